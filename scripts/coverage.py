#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines of our files the tests have run, as gcov counts them.

usage: coverage.py reset BUILD
       coverage.py report BUILD [--limit PERCENT]

BUILD is a coverage build of QEMU.  "reset" forgets earlier runs.  "report"
prints a table of our files below hw/, writes the lines that were not run to
BUILD/uncovered.txt, says which of them no row of
docs/devel/pci-svm-coverage.rst explains, and fails if the total of hw/pci and
hw/i386 is below the limit.  Without a limit it only shows.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXPLAINED = ROOT / 'docs/devel/pci-svm-coverage.rst'
COUNTED = ('hw/pci/', 'hw/i386/')
ROW = re.compile(r'^"?``(?P<file>hw/[^`]+)``"?,\s*"?``(?P<function>[^`]+)``')


class Line:
    """A line with code; a file may be compiled into several programs."""

    def __init__(self):
        self.count = 0
        self.functions = set()

    def add(self, entry):
        self.count += entry['count']
        self.functions.add(entry.get('function_name', ''))


def our_path(name):
    """The path of one of our files in the repository, else None."""
    path = name.rpartition('/tree/')[2]
    if path.startswith('hw/') and (ROOT / path).is_file():
        return path
    return None


def gcov(build, notes):
    """What gcov says about each of the note files."""
    for first in range(0, len(notes), 50):
        run = subprocess.run(
            ['gcov', '--json-format', '--stdout'] + notes[first:first + 50],
            cwd=build, check=True, encoding='utf-8',
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for document in run.stdout.splitlines():
            yield json.loads(document)


def read_counts(build):
    """{path: {line number: Line}}"""
    notes = sorted(str(p.relative_to(build)) for p in build.rglob('*.gcno'))
    files = collections.defaultdict(lambda: collections.defaultdict(Line))
    for document in gcov(build, notes):
        for entry in document['files']:
            path = our_path(entry['file'])
            if path is None:
                continue
            for line in entry['lines']:
                files[path][line['line_number']].add(line)
    return files


def read_explained():
    """{(path, function)}"""
    if not EXPLAINED.is_file():
        return set()
    rows = (ROW.match(line.strip())
            for line in EXPLAINED.read_text(encoding='utf-8').splitlines())
    return {(r['file'], r['function']) for r in rows if r}


def write_uncovered(files, out):
    """List what was not run; return what is not explained either."""
    explained = read_explained()
    missing = []
    with open(out, 'w', encoding='utf-8') as f:
        for path in sorted(files):
            text = (ROOT / path).read_text(encoding='utf-8').splitlines()
            for number, line in sorted(files[path].items()):
                if line.count:
                    continue
                names = ', '.join(sorted(line.functions))
                where = f'{path}:{number}: {names}: {text[number - 1].strip()}'
                print(where, file=f)
                if not any((path, n) in explained for n in line.functions):
                    missing.append(where)
    return missing


def print_row(name, lines, covered):
    percent = 100 * covered / lines if lines else 0
    print(f'{name:<32} {lines:>6} {covered:>8} {percent:>7.1f} %')


def count(lines):
    return len(lines), sum(1 for line in lines.values() if line.count)


def print_report(options):
    files = read_counts(options.build)
    missing = write_uncovered(files, options.build / 'uncovered.txt')
    if missing and options.limit:
        print(f'Not run, and not explained in {EXPLAINED.relative_to(ROOT)}:')
        print('\n'.join(missing), end='\n\n')
    print(f'{"file":<32} {"lines":>6} {"covered":>8} {"percent":>9}')
    total = covered = 0
    for path in sorted(files):
        row = count(files[path])
        print_row(path, *row)
        if path.startswith(COUNTED):
            total += row[0]
            covered += row[1]
    enough = total > 0 and 100 * covered >= options.limit * total
    if not enough:
        print(f'Less than {options.limit} % is not enough.')
    print_row('total of hw/pci and hw/i386', total, covered)
    return 0 if enough else 1


def reset(options):
    for path in options.build.rglob('*.gcda'):
        path.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    for name, function in ('reset', reset), ('report', print_report):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument('build', type=pathlib.Path)
    command.add_argument('--limit', type=int, default=0)
    options = parser.parse_args()
    return options.function(options) or 0


if __name__ == '__main__':
    sys.exit(main())
