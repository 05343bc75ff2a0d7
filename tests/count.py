#!/usr/bin/env python3
"""count.py LOGS... - add up the test cases of meson's logs (testlog.json)

Prints `N passed, N failed, N skipped` and exits 1 if a case failed, 2 if one was
skipped although it could have run here, 3 if nothing ran.  What cannot run says
why, beginning with `this machine` or `this user`: /dev/fuse is not there, or the
user is not root.  Above that line stands what each failed program said (meson
shows no output of a TAP program, and its log may be on a machine out of reach)
and why something was skipped.

A TAP program counts as its cases (from testlog.junit.xml beside the log), every
other test as one.  A program that crashes, times out or fails without naming a
case is one failure on top of its cases.
"""
import collections
import json
import sys
import xml.etree.ElementTree as et

EXCUSES = ('this machine ', 'this user ')
SHOWN = 150  # lines of a failed program's output


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


def tell(row):
    """What a program that failed said, without the cases that passed."""
    print(f'== {row["name"]}: {row["result"]}, exit status '
          f'{row.get("returncode")}, {row.get("duration", 0):.0f} s')
    for stream in 'stdout', 'stderr':
        said = [line for line in (row.get(stream) or '').splitlines()
                if not line.startswith('ok ')]
        if len(said) > SHOWN:
            said[SHOWN // 2:-SHOWN // 2] = ['[...]']
        for line in said:
            print('  ', line)


def reasons(row):
    """[(excused, text)]: the cases of a program that were skipped, and why.

    A case of cmocka can give its reason only in a line of its own before."""
    lines = ['', *(row.get('stdout') or '').splitlines()]
    said = [line if any(e in line for e in EXCUSES) else f'{line} {before}'
            for before, line in zip(lines, lines[1:]) if '# SKIP' in line]
    return [(any(e in line for e in EXCUSES),
             f'skipped: {row["name"]}: {line}') for line in said or lines[-1:]]


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
            tell(row)
        elif not one:
            one['passed'] += 1
        if one['skipped']:
            skipped += reasons(row)
        total += one
    return total, skipped


def main():
    sys.stdout.reconfigure(errors='backslashreplace')
    total, skipped = collections.Counter(), []
    for log in sys.argv[1:]:
        more, names = count(log)
        total += more
        skipped += names
    for _, text in skipped:
        print(text)
    print(f'{total["passed"]} passed, {total["failed"]} failed, '
          f'{total["skipped"]} skipped')
    if total['failed']:
        return 1
    if not all(excused for excused, _ in skipped):
        return 2
    return 0 if total['passed'] else 3


if __name__ == '__main__':
    sys.exit(main())
