#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the benchmarks, print a table, write latest.json and a chart per group.

usage: bench.py [--quick] [--filter GLOB] [--list] [--baseline FILE] [--qemu BINARY] PROGRAM OUT

A row is a case with its median, its minimum and its spread (half of the runs
lie within that part of the median), the floor's median, and the ratio: the
median of what each run took by what the run of the floor beside it took.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

FLAT = 1.5
FLAT_GROUPS = ('invalidation', 'invalidation by entries', 'response', 'first use')
UNITS = {'memory': 'bytes'}


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4)
    return low, high


def row(sample):
    """What one line of the program says, in figures."""
    ns, floor = sample['ns'], sample['floor']
    median = statistics.median(ns)
    low, high = quartiles(ns)
    least = sample.get('least', False)
    ratio = statistics.median(a / b for a, b in zip(ns, floor)) if floor else None
    if ratio and least:
        ratio = 1 / ratio
    return {
        'group': sample['group'], 'case': sample['case'], 'n': sample['n'],
        'median_ns': median, 'min_ns': min(ns), 'spread': (high - low) / median if median else None,
        'floor_ns': statistics.median(floor) if floor else None, 'ratio': ratio,
        'must': sample['must'] or None, 'least': least,
    }


def flat_rows(rows):
    """How much a case's time grows over the sizes that it was measured at.

    Beside its floor, which does not depend on the size and was measured at the
    same time: what the machine did meanwhile falls on both.
    """
    for group in FLAT_GROUPS:
        for case in dict.fromkeys(r['case'] for r in rows if r['group'] == group):
            ratios = [r['ratio'] for r in rows if r['case'] == case and r['group'] == group and r['ratio']]
            if len(ratios) > 1:
                yield {
                    'group': group, 'case': case + ', flat', 'n': None, 'median_ns': None, 'min_ns': None,
                    'spread': None, 'floor_ns': None, 'ratio': max(ratios) / min(ratios),
                    'must': FLAT, 'least': False,
                }


def reaches(r):
    if r['must'] is None or r['ratio'] is None:
        return None
    return r['ratio'] >= r['must'] if r['least'] else r['ratio'] <= r['must']


def figure(value, digits=4):
    if value is None:
        return '-'
    return f'{value:,.0f}' if value >= 1000 else f'{value:.{digits}g}'


def format_row(r, before):
    verdict = {None: '', True: 'yes', False: 'NO'}[reaches(r)]
    must = '-' if r['must'] is None else f"{'>=' if r['least'] else '<='} {r['must']:g}"
    spread = '-' if r['spread'] is None else f"{r['spread']:.0%}"
    old = ''
    if before is not None:
        old = f'{r["median_ns"] / before:9.2f}' if before and r['median_ns'] else f'{"-":>9}'
    return (f'{r["case"]:<42}{figure(r["n"]):>12}{figure(r["median_ns"]):>12}{figure(r["min_ns"]):>12}{spread:>8}'
            f'{figure(r["floor_ns"]):>12}{figure(r["ratio"], 3):>9}{must:>10} {verdict:<4}{old}')


def heading(baseline):
    return (f'{"case":<42}{"n":>12}{"median ns":>12}{"min ns":>12}{"spread":>8}{"floor ns":>12}{"ratio":>9}{"must":>10}     '
            + (f'{"to base":>9}' if baseline else ''))


def read_baseline(path):
    if not path:
        return None
    try:
        with open(path, encoding='utf-8') as f:
            return {(r['case'], r['n']): r['median_ns'] for r in json.load(f)}
    except (OSError, ValueError, KeyError, TypeError) as e:
        sys.exit(f'bench: {path} is no earlier result: {e}')


def run(args, command, env):
    """Yield the program's samples as they come; end it with us."""
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as program:
        try:
            for line in program.stdout:
                if line.startswith('{'):
                    yield json.loads(line)
            rc = program.wait()
        except BaseException:
            program.send_signal(signal.SIGTERM)
            program.wait()
            raise
    if rc:
        sys.exit(f'bench: {args.program} ended with {rc}')


def draw(rows, group, path):
    """Cost against size on log scales, the floor as a dashed line."""
    cases = [(c, [r for r in rows if r['case'] == c and r['group'] == group and r['n'] and r['median_ns']])
             for c in dict.fromkeys(r['case'] for r in rows if r['group'] == group)]
    cases = [(c, points) for c, points in cases if points]
    if not cases:
        return False
    script = [
        'set terminal svg size 820,480 font "sans-serif,13" background "white"', f'set output "{path}"',
        f'set title "{group}"', 'set logscale xy', 'set key outside right top',
        f'set ylabel "{UNITS.get(group, "nanoseconds")}"', 'set xlabel "n"', 'set grid',
    ]
    sizes = [r['n'] for _, points in cases for r in points]
    script.append(f'set xrange [{min(sizes) / 2}:{max(sizes) * 2}]')
    plots = []
    for i, (case, points) in enumerate(cases):
        script += [f'$case{i} << EOD'] + [f'{r["n"]} {r["median_ns"]} {r["floor_ns"] or "NaN"}' for r in points] + ['EOD']
        plots.append(f'$case{i} using 1:2 with linespoints lc {i + 1} pt {i + 5} title "{case}"')
        plots.append(f'$case{i} using 1:3 with linespoints lc {i + 1} dt 2 pt 1 title "floor"')
    script.append('plot ' + ', '.join(plots))
    subprocess.run(['gnuplot'], input='\n'.join(script) + '\n', text=True, check=True, stderr=subprocess.DEVNULL)
    return True


def write_results(rows, out):
    with open(os.path.join(out, 'latest.json.new'), 'w', encoding='utf-8') as f:
        json.dump(rows, f, indent=1)
        f.write('\n')
    os.replace(f.name, os.path.join(out, 'latest.json'))
    for group in dict.fromkeys(r['group'] for r in rows):
        name = re.sub(r'\W+', '-', group.lower())
        draw(rows, group, os.path.join(out, name + '.svg'))


def options():
    p = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1].splitlines()[0], add_help=False)
    for name in ('--quick', '--list'):
        p.add_argument(name, action='store_true')
    for name in ('--filter', '--baseline', '--qemu'):
        p.add_argument(name)
    p.add_argument('program')
    p.add_argument('out')
    return p.parse_args()


def main():
    args = options()
    baseline = read_baseline(args.baseline)
    command = [args.program]
    if args.quick:
        command.append('--quick')
    if args.filter:
        command += ['--filter', args.filter]
    if args.list:
        sys.exit(subprocess.run(command + ['--list'], check=False).returncode)
    env = dict(os.environ)
    if args.qemu:
        env['QTEST_QEMU_BINARY'] = args.qemu
    rows, start = [], time.monotonic()
    print(heading(baseline))
    for sample in run(args, command, env):
        r = row(sample)
        rows.append(r)
        print(format_row(r, baseline and baseline.get((r['case'], r['n']), 0)), flush=True)
    for r in list(flat_rows(rows)):
        rows.append(r)
        print(format_row(r, None))
    if not rows:
        sys.exit('bench: no case matches: --list shows all')
    write_results(rows, args.out)
    missed = sum(reaches(r) is False for r in rows)
    print(f'{len(rows)} rows, {missed} of them miss their bound, in {time.monotonic() - start:.0f} s; '
          f'{os.path.relpath(args.out)}/latest.json and charts beside it')


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
