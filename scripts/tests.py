#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tests there are, which are meant, and how they went.

usage: tests.py list BUILD [--suite NAME] [--filter PATTERN] [--ours [--guests]]
       tests.py targets BUILD [--suite NAME] [--filter PATTERN]
       tests.py summary TESTLOG

--ours: programs whose source is in this repository, and not QEMU's; --guests:
and the guests.
"""

import argparse
import fnmatch
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SUBTEST = re.compile(r'^(?P<no>not )?ok\b(?P<rest>.*)$')
SKIPPED = re.compile(r'#\s*skip', re.IGNORECASE)


def introspect(build, what):
    path = os.path.join(build, 'meson-info', f'intro-{what}.json')
    with open(path, encoding='utf-8') as f:
        return json.load(f)


def suite_of(test):
    return test['suite'][0].split(':')[-1]


def is_ours(test):
    source = f"tests/{suite_of(test)}/{test['name']}.c"
    return os.path.exists(os.path.join(ROOT, source))


def is_meant(test, options):
    name = f"{suite_of(test)}/{test['name']}"
    guest = options.guests and suite_of(test) == 'guest'
    if options.ours and not guest and not is_ours(test):
        return False
    if options.suite and suite_of(test) not in options.suite:
        return False
    pattern = options.filter
    return (pattern is None or pattern in name or
            fnmatch.fnmatch(name, pattern) or
            fnmatch.fnmatch(test['name'], pattern))


def meant(options):
    return [t for t in introspect(options.build, 'tests')
            if is_meant(t, options)]


def print_list(options):
    for name in sorted(f"{suite_of(t)}/{t['name']}" for t in meant(options)):
        print(name)


def print_targets(options):
    """The ninja targets that the meant tests depend on."""
    wanted = {d for t in meant(options) for d in t['depends']}
    for target in introspect(options.build, 'targets'):
        if target['id'] in wanted:
            print(os.path.relpath(target['filename'][0], options.build))


def count_subtests(test):
    """(passed, failed, skipped) of one test program."""
    passed = failed = skipped = 0
    for line in test.get('stdout', '').splitlines():
        match = SUBTEST.match(line)
        if match is None:
            continue
        if SKIPPED.search(match['rest']):
            skipped += 1
        elif match['no']:
            failed += 1
        else:
            passed += 1
    result = test['result']
    if result == 'SKIP':
        return 0, 0, max(skipped, 1)
    if result != 'OK' and failed == 0:
        # It crashed, hung or broke off between two of its cases.
        failed = 1
    elif result == 'OK' and passed + skipped == 0:
        passed = 1
    return passed, failed, skipped


def print_summary(options):
    with open(options.testlog, encoding='utf-8') as f:
        counts = [count_subtests(json.loads(line)) for line in f]
    passed, failed, skipped = (sum(c) for c in zip(*counts)) \
        if counts else (0, 0, 0)
    line = f'{passed} passed, {failed} failed'
    if skipped:
        line += f', {skipped} skipped'
    print(line)
    return 0 if passed and not failed else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest='command', required=True)
    for name, function in ('list', print_list), ('targets', print_targets):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument('build')
        command.add_argument('--suite', action='append')
        command.add_argument('--filter')
        command.add_argument('--ours', action='store_true')
        command.add_argument('--guests', action='store_true')
    command = commands.add_parser('summary')
    command.set_defaults(function=print_summary)
    command.add_argument('testlog')
    options = parser.parse_args()
    return options.function(options) or 0


if __name__ == '__main__':
    sys.exit(main())
