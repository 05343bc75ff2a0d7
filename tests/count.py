#!/usr/bin/env python3
"""count.py LOGS... - add up the test cases of meson's logs (testlog.json)

Prints `N passed, N failed, N skipped` and exits 1 if a case failed, 2 if one was
skipped although it could have run (/dev/fuse is there, so nothing has to be),
3 if nothing ran.  A TAP program counts as its cases (from testlog.junit.xml
beside the log), every other test as one.  A program that crashes, times out or
fails without naming a case is one failure on top of its cases.
"""
import collections
import json
import os
import sys
import xml.etree.ElementTree as et

FUSE = '/dev/fuse'


def subtests(junit):
    """TAP program -> Counter of its cases."""
    cases = {}
    for suite in et.parse(junit).getroot().iter('testsuite'):
        name = suite.get('name').partition('.')[2]  # "project.name"
        found = cases.setdefault(name, collections.Counter())
        for case in suite.iter('testcase'):
            tags = {child.tag for child in case}
            found['failed' if tags & {'failure', 'error'} else
                  'skipped' if 'skipped' in tags else 'passed'] += 1
    return cases


def count(log):
    cases = subtests(log[:-len('json')] + 'junit.xml')
    total, skipped = collections.Counter(), []
    with open(log, encoding='utf-8') as f:
        rows = [json.loads(line) for line in f]
    for row in rows:
        one = cases.get(row['name'], collections.Counter())
        if row['result'] == 'SKIP' and not one['skipped']:
            one['skipped'] += 1
        elif row['result'] not in ('OK', 'SKIP', 'EXPECTEDFAIL'):
            one['failed'] += not one['failed']
        elif not one:
            one['passed'] += 1
        if one['skipped']:
            skipped.append(row['name'])
        total += one
    return total, skipped


def main():
    total, skipped = collections.Counter(), []
    for log in sys.argv[1:]:
        more, names = count(log)
        total += more
        skipped += names
    if skipped:
        print('skipped cases in:', ', '.join(skipped))
    print(f'{total["passed"]} passed, {total["failed"]} failed, '
          f'{total["skipped"]} skipped')
    if total['failed']:
        return 1
    if skipped and os.path.exists(FUSE):
        return 2
    return 0 if total['passed'] else 3


if __name__ == '__main__':
    sys.exit(main())
