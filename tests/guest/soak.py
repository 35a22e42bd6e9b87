# SPDX-License-Identifier: GPL-2.0-or-later
"""Disturb a machine at random while its guest works, and watch how much memory
QEMU takes.

The guest's memory is a file, so that /proc/PID/status tells it (RssShmem) from
QEMU's own (RssAnon): heap, stacks, and the code that TCG has translated, which
has a limit.
"""

import pathlib
import random
import statistics
import time

from qemu import Failure

# Until then, or for the first quarter of the time, QEMU may still learn
WARM_UP_SECONDS = 60

# QEMU may hold that much more at the end than after the warm-up: threads come
# and go with vCPUs' work, and malloc() gives each an arena, which it does not
# return. The smallest leak is 32 bytes, malloc()'s least: once in a hundred
# operations of a soak of half an hour it is as much.
TOLERANCE_MIB = 2

# The levels are medians of so much of the time after the warm-up
LEVEL_PART = 0.2

# So many processes leave little time to what unplugs.
UNPLUG_SECONDS = 300

# The guest is left its devices towards its end.
QUIET_SECONDS = 60

# Questions that only look
QUESTIONS = [
    ('x-query-pci-svm', {}),
    ('query-stats', {'target': 'vm'}),
    ('query-stats-schemas', {}),
    ('query-cpus-fast', {}),
    ('query-pci', {}),
    ('query-memory-size-summary', {}),
    ('human-monitor-command', {'command_line': 'info registers -a'}),
    ('human-monitor-command', {'command_line': 'info mtree -f'}),
    ('human-monitor-command', {'command_line': 'info pic'}),
]


class Soak:
    """One soak of a guest."""

    def __init__(self, guest, moments, seconds, progress):
        """@progress is told, in a sentence, how it goes."""
        self.guest = guest
        self.moments = moments
        self.seconds = seconds
        self.progress = progress
        self.counters = {}
        self.start = time.monotonic()
        self.samples = []
        self.disturbances = 0
        self.plugs = 0
        self.slowest = 0
        self.told = False
        self.plugged = True
        self.unplug_began = None
        guest.routine = self.step
        guest.routine_due = self.start

    def end(self):
        """The guest has done its work."""
        self.guest.routine = None

    @property
    def elapsed(self):
        """In seconds"""
        return time.monotonic() - self.start

    def step(self):
        """Look, and do something. Returns when to be called again."""
        self.samples.append((self.elapsed, self._resident_mib()))
        self.progress(self._sentence())
        if self.unplug_began is not None:
            self._watch_unplug()
        if self.elapsed < self.seconds:
            self._disturb()
        elif not self.told:
            self.guest.qemu.type('end')
            self.told = True
        return random.uniform(0.5, 4)

    def _resident_mib(self):
        status = pathlib.Path(f'/proc/{self.guest.qemu.process.pid}/status')
        for line in status.read_text(encoding='ascii').splitlines():
            if line.startswith('RssAnon:'):
                return int(line.split()[1]) / 1024
        raise Failure(f'{status} does not say RssAnon')

    def _sentence(self):
        said = ', '.join(f'{int(value):,} {name}'
                         for name, value in self.counters.items())
        return (f'{self.elapsed:,.0f} of {self.seconds:,} s, '
                f'{self.samples[-1][1]:.1f} MiB, '
                f'{self.disturbances} disturbances, plugged in '
                f'{self.plugs} times (gone after {self.slowest:.0f} s at '
                f'most); {said or "starting"}')

    def _disturb(self):
        self.disturbances += 1
        monitor = self.guest.monitor
        kind = random.randrange(10)
        if kind < 2:
            monitor.command('stop')
            time.sleep(random.uniform(0, 0.5))
            monitor.command('cont')
        elif kind < 4 and self.elapsed < self.seconds - QUIET_SECONDS:
            self._plug()
        else:
            name, arguments = random.choice(QUESTIONS)
            monitor.command(name, **arguments)

    def _plug(self):
        """The second device goes, or comes. A busy guest takes its time."""
        if not self.plugged:
            self.moments.plug('svm1')
            self.plugged = True
            self.plugs += 1
        elif self.unplug_began is None:
            self.moments.begin_unplug('svm1')
            self.unplug_began = self.elapsed

    def _watch_unplug(self):
        """Has the second device gone?"""
        took = self.elapsed - self.unplug_began
        if self.moments.is_unplugged('svm1'):
            self.plugged = False
            self.unplug_began = None
            self.slowest = max(self.slowest, took)
        elif took > UNPLUG_SECONDS:
            raise Failure('the guest did not let svm1 go in '
                          f'{UNPLUG_SECONDS} s')

    def verdict(self):
        """Returns whether memory is flat, and lines that say it."""
        warm = max(WARM_UP_SECONDS, self.seconds / 4)
        samples = [s for s in self.samples if s[0] >= warm]
        number = round(len(samples) * LEVEL_PART)
        if not number:
            return False, ['the soak ended before there was much to measure']
        first = statistics.median(mib for _, mib in samples[:number])
        last = statistics.median(mib for _, mib in samples[-number:])
        slope = statistics.linear_regression(*zip(*samples)).slope * 3600
        flat = last - first <= TOLERANCE_MIB
        return flat, [
            self._sentence(),
            f'memory of QEMU: {first:.2f} MiB after {warm:,.0f} s, '
            f'{last:.2f} MiB at the end, {slope:+.2f} MiB/h'
            + ('' if flat else f': it grew more than {TOLERANCE_MIB} MiB')]
