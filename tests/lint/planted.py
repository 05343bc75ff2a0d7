"""planted.py - proves that a lint finds what it is there for

PLANTED is rows of (path, text, whether that is wrong).
"""
import os
import sys
import tempfile


def finds_what_is_planted(check, planted):
    """In a tree of just these files, check(root) complains of the wrong ones."""
    with tempfile.TemporaryDirectory() as root:
        for path, text, _ in planted:
            os.makedirs(os.path.join(root, os.path.dirname(path)),
                        exist_ok=True)
            with open(os.path.join(root, path), 'w', encoding='utf-8') as f:
                f.write(text)
        found = {w.split(':')[0] for w in check(root)}
    wanted = {path for path, _, bad in planted if bad}
    for path in sorted(found ^ wanted):
        print(f'{path}: {"missed" if path in wanted else "false alarm"}')
    return found == wanted


def main(check, planted):
    """The exit code of LINT.py ROOT and of LINT.py --self-test."""
    if sys.argv[1:] == ['--self-test']:
        return 0 if finds_what_is_planted(check, planted) else 1
    wrong = check(sys.argv[1])
    print(*wrong, sep='\n')
    return 1 if wrong else 0
