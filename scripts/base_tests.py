#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own tests, before and after the series.

usage: base_tests.py names BEFORE-BUILD BUILD   tests of the base that BUILD has
       base_tests.py report BEFORE AFTER        the table; exit status 1 if the
                                                series makes a case worse

BEFORE and AFTER are directories with QEMU's tree and its build.
"""

import collections
import json
import os
import re
import sys

SUITES = ('qemu:unit', 'qemu:qtest-x86_64')
CASE = re.compile(r'^(not )?ok \d+ (?:- )?(.*?)\s*(?:# *SKIP *(.*))?$',
                  re.IGNORECASE)
# In tests/qtest/meson.build: "(CONDITION ? ['NAME', ...] : [])"
CHOICE = re.compile(r"\(([^?\[\]]*)\?\s*\[([^\]]*)\]\s*:\s*\[\]\)", re.DOTALL)
NAME = re.compile(r"'([\w-]+)'")


class Result:
    """What came of a test program."""

    def __init__(self, entry):
        self.cases = {}
        self.skips = collections.Counter()
        for line in entry.get('stdout', '').splitlines():
            match = CASE.match(line)
            if match is None:
                continue
            bad, name, skip = match.groups()
            if skip is not None:
                self.skips[skip or 'no reason given'] += 1
            self.cases[name] = \
                'FAIL' if bad else 'skip' if skip is not None else 'ok'
        self.word = {'OK': 'ok', 'SKIP': 'skip'}.get(entry['result'],
                                                     entry['result'])
        self.last = (entry.get('stderr', '').strip().splitlines() or [''])[-1]

    def why(self):
        """The reason, if there is more to say than "ok"."""
        bad = [name for name, word in self.cases.items() if word == 'FAIL']
        if bad:
            return 'not ok: ' + ', '.join(bad)
        if self.word not in ('ok', 'skip'):
            return self.last
        if self.word == 'skip' and not self.cases:
            return 'has no case in this build'
        return '; '.join(f'{n} skipped: {why}' if why else f'{n} skipped'
                         for why, n in self.skips.items())


def introspected(build):
    """Names of the unit tests and x86_64 qtests that a build has."""
    path = os.path.join(build, 'meson-info', 'intro-tests.json')
    with open(path, encoding='utf-8') as f:
        return [t['name'] for t in json.load(f)
                if any(suite in SUITES for suite in t['suite'])]


def results(side):
    """Name to Result, from meson's log."""
    path = os.path.join(side, 'build', 'meson-logs', 'testlog.json')
    with open(path, encoding='utf-8') as f:
        entries = [json.loads(line) for line in f]
    return {e['name'].split(' / ', 1)[1]: Result(e) for e in entries}


def statements(path):
    """(conditions around it, text) of each assignment in a meson.build."""
    around, text = [], ''
    with open(path, encoding='utf-8') as f:
        for line in f:
            line = line.split('#', 1)[0].rstrip()
            more = line.endswith('\\')
            text += line.rstrip('\\') + '\n'
            if more or sum(map(text.count, '([{')) > \
               sum(map(text.count, ')]}')):
                continue
            word = (text.split() or [''])[0]
            if word in ('if', 'foreach'):
                around.append(' '.join(text.split()[1:]))
            elif word in ('endif', 'endforeach'):
                around.pop()
            elif word in ('else', 'elif'):
                around[-1] = ' '.join(text.split())
            elif '=' in text:
                yield list(around), text
            text = ''


def plain(conditions):
    """Conditions of meson.build for a person."""
    parts = [' '.join(c.split()) for c in conditions]
    text = ' and '.join(f'({p})' if ' or ' in p and len(parts) > 1 else p
                        for p in parts)
    return re.sub(r"config_\w+\.(?:has_key|get)\('(\w+)'\)", r'\1', text)


def listed_units(tree):
    """Name to condition: the keys of "tests"."""
    found = {}
    path = os.path.join(tree, 'tests', 'unit', 'meson.build')
    for around, text in statements(path):
        if re.match(r'\s*tests \+?=', text):
            for name in re.findall(r"'([\w-]+)'\s*:", text):
                found[name] = plain(around)
    return found


def listed_qtests(tree):
    """Name to condition: what the lists hold that x86_64 takes in."""
    lists = collections.defaultdict(list)
    path = os.path.join(tree, 'tests', 'qtest', 'meson.build')
    for around, text in statements(path):
        match = re.match(r'\s*(qtests_\w+) \+?=(.*)', text, re.DOTALL)
        if match:
            lists[match.group(1)].append((around, match.group(2)))
    found, seen, todo = {}, set(), ['qtests_x86_64', 'qtests_generic']
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for around, text in lists[name]:
            todo += re.findall(r'qtests_\w+', text)
            for condition, names in CHOICE.findall(text):
                for test in NAME.findall(names):
                    found['qtest-x86_64/' + test] = plain(around + [condition])
            rest = re.sub(r"\('\w+'\)", '', CHOICE.sub('', text))
            for test in NAME.findall(rest):
                found['qtest-x86_64/' + test] = plain(around)
    return found


def not_built(before, have):
    """Name to reason: x86_64's tests in the sources that the build has not."""
    tree = os.path.join(before, 'tree')
    listed = {**listed_units(tree), **listed_qtests(tree)}
    return {name: f'not built: needs {why}' if why else 'not built'
            for name, why in listed.items() if name not in have}


def rows(before, after):
    """(name, before, after, reason, is it worse?) of each test."""
    old, new = results(before), results(after)
    have = introspected(os.path.join(before, 'build'))
    for name, reason in not_built(before, have).items():
        yield name, '-', '-', reason, False
    for name in have:
        if name not in old:
            yield name, '-', '-', 'did not run', True
        elif name not in new:
            yield name, old[name].word, '-', 'not built with the series', True
        else:
            worse = [case for case, word in old[name].cases.items()
                     if word == 'ok' and new[name].cases.get(case) != 'ok']
            lost = old[name].word == 'ok' and new[name].word != 'ok'
            reason = new[name].why() or old[name].why()
            if worse:
                reason = 'worse: ' + ', '.join(worse) + '; ' + reason
            yield (name, old[name].word, new[name].word, reason,
                   bool(worse or lost))


def report(before, after):
    """Print the table; is all well?"""
    table = sorted(rows(before, after))
    sums = collections.Counter(
        'worse' if worse else 'not built' if old == '-' else
        'skipped' if new == 'skip' else 'passed' if new == 'ok' else
        'failed before too' for _, old, new, _, worse in table)
    with open(os.path.join(before, 'tree', 'VERSION'), encoding='utf-8') as f:
        print(f'# Unit tests and x86_64 qtests of QEMU {f.read().strip()}, '
              'without the series and with it:')
    print('# ' + ', '.join(
        f'{sums[key]} {key}' for key in ('passed', 'skipped', 'not built',
                                         'failed before too', 'worse')))
    width = max(len(row[0]) for row in table)
    print(f'\n{"name":<{width}}  {"before":<8}{"after":<8}reason')
    for name, old, new, reason, _ in table:
        print(f'{name:<{width}}  {old:<8}{new:<8}{reason}'.rstrip())
    return sums['passed'] > 0 and not sums['worse']


def main():
    """Exit status: 0 all well, 1 something is worse, 2 wrong usage."""
    if len(sys.argv) != 4 or sys.argv[1] not in ('names', 'report'):
        print(__doc__, file=sys.stderr)
        return 2
    if sys.argv[1] == 'report':
        return 0 if report(*sys.argv[2:]) else 1
    have = set(introspected(sys.argv[3]))
    print('\n'.join(n for n in introspected(sys.argv[2]) if n in have))
    return 0


if __name__ == '__main__':
    sys.exit(main())
