"""tap.py - a pytest plugin that reports each case as a line of TAP

Loaded by meson with `-p tap`, so that meson's log has the single
cases.  A skipped case says why; a failing one is followed by its report, each
line behind a '#'.
"""
import os

import pytest

# Loaded before pytest redirects descriptor 1 to capture what the tests print.
_out = os.fdopen(os.dup(1), 'w', buffering=1, encoding='utf-8',
                 errors='backslashreplace')
_worst = {}
_n = 0


def _say(line):
    print(line, file=_out, flush=True)


def _finish(nodeid):
    global _n
    _n += 1
    what, reports = _worst.pop(nodeid)
    name = nodeid.split('::', 1)[-1].replace('#', '.')
    if what == 'skipped':
        reason = str(reports[-1].longrepr[-1]).replace('\n', ' ')
        _say(f'ok {_n} - {name} # SKIP {reason}')
        return
    _say(f'{"not ok" if what == "failed" else "ok"} {_n} - {name}')
    for report in reports if what == 'failed' else ():
        text = report.longreprtext + ''.join(
            f'\n-- {title} --\n{content}'
            for title, content in report.sections)
        for line in text.splitlines():
            _say(f'#   {line}')


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    # Its options stay (others ask for them), its output would be no TAP.
    config.pluginmanager.unregister(name='terminalreporter')


def pytest_runtest_logreport(report):
    what, reports = _worst.get(report.nodeid, ('passed', []))
    if report.outcome != 'passed' and what != 'failed':
        what = report.outcome
    if report.outcome != 'passed':
        reports.append(report)
    _worst[report.nodeid] = (what, reports)
    if report.when == 'teardown':
        _finish(report.nodeid)


def pytest_collectreport(report):
    if report.failed:
        _worst[report.nodeid or 'collection'] = ('failed', [report])
        _finish(report.nodeid or 'collection')


def pytest_sessionfinish():
    _say(f'1..{_n}')
