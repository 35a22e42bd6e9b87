#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of our own unit tests and qtests, as their sources name them.

usage: cases.py list                 programs, SUITE/NAME a line, are read from
                                     standard input; others than ours are ignored
       cases.py check DOCUMENT...    paths that a document names and no source
                                     has; exit status 1 if there is one

A part of a path that a program computes is shown as "*".
"""

import collections
import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GROUPS = {
    'pasid': 'PASIDs: width, enables, tables, DMA with one'
             ' (PCIe 6.20 and 7.8.9; VT-d 3.4.3 and 9.4 to 9.6)',
    'ats': 'Translation requests, translated requests'
           ' (PCIe 10.2; VT-d 3.6 to 3.8 and 4.2)',
    'pri': 'Page requests: groups, credits, responses, status'
           ' (PCIe 10.4 and 10.5.2)',
    'prq': 'The page request queue and its event (VT-d 7.4 to 7.10)',
    'inv': 'Invalidations and the queue that they come from'
           ' (PCIe 10.3; VT-d 6.5)',
    'query': 'What the monitor says about all that',
    'fault': 'Faults and their codes (VT-d 7.1 to 7.3)',
    'caps': 'Capabilities, options, resets'
            ' (VT-d 11.4.2 and 11.4.3; PCIe 7.8.9 and 10.5)',
    'vtd': 'VT-d as QEMU has it, without SVM',
}
LITERAL = re.compile(r'"(/[^"\n]*)"')
CASE = re.compile(r'/(svm|vtd|pci-atc|pci-svm-dma)/[^"]+$')
NAMED = re.compile(r'``(/(?:svm|vtd)/[^`]+)``')


def cases_of(source):
    """The paths in a test program's source, in its order."""
    found = LITERAL.findall(source.read_text(encoding='utf-8'))
    paths = (re.sub(r'%[a-z]+', '*', path) for path in found
             if CASE.match(path))
    return list(dict.fromkeys(paths))


def group_of(path):
    first, second = path.split('/')[1:3]
    return second if first == 'svm' else first


def order_of(group):
    known = list(GROUPS)
    return known.index(group) if group in known else len(known)


def print_cases(programs):
    groups = collections.defaultdict(dict)
    for program in sorted(programs):
        source = ROOT / 'tests' / f'{program}.c'
        if not source.is_file():
            continue
        for path in cases_of(source):
            groups[group_of(path)].setdefault(source.stem, []).append(path)
    for group in sorted(groups, key=order_of):
        title = GROUPS.get(group)
        print(f'\n{group}: {title}' if title else f'\n{group}')
        for program, paths in groups[group].items():
            print(f'  {program}')
            print('\n'.join(f'    {path}' for path in paths))


def check(documents):
    patterns = [path for source in ROOT.glob('tests/qtest/*.c')
                for path in cases_of(source)]
    missing = 0
    for document in documents:
        text = pathlib.Path(document).read_text(encoding='utf-8')
        for path in NAMED.findall(text):
            if not any(fnmatch.fnmatchcase(path, p) for p in patterns):
                print(f'{document} names {path}, which no test has')
                missing += 1
    return 1 if missing else 0


def main(arguments):
    if arguments == ['list']:
        print_cases(sys.stdin.read().split())
        return 0
    if len(arguments) > 1 and arguments[0] == 'check':
        return check(arguments[1:])
    print(__doc__.strip(), file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
