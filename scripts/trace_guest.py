#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a scenario of the guest, and tell what happened as a sequence.

QEMU's trace events, as its "log" backend writes them, become lines: when, how
long after the one before, device, PASID, address, from whom to whom, and what.
"""

import argparse
import html
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
GUEST_RUN = ROOT / 'scripts/guest-run'

LANES = ('process', 'driver', 'endpoint', 'ATC', 'VT-d', 'guest OS')
PROCESS, DRIVER, ENDPOINT, ATC, VTD, OS = LANES

# Lines of the log that are kept: a scenario can write gigabytes
LOG_LINES = 200000

# The scenario that is shown if none is named
SCENARIO = 'read-only'

ANSWERS = {'0': 'Success', '1': 'Invalid Request', '15': 'Response Failure'}

NAME = r'(?P<device>\S+)'
PASID = r'pasid[= ](?P<pasid>0x[\da-f]+)'
ADDR = r'addr[= ](?P<addr>0x[\da-f]+)'
SID = r'sid (?P<sid>0x[\da-f]+)'

# Event: who tells whom, what its arguments look like, and what that means
EVENTS = {
    'svm_pasid_write': (
        DRIVER, ENDPOINT,
        rf'{NAME}: PASID (?P<pasid>0x[\da-f]+), busy \d',
        'writes the PASID register'),
    'svm_command_start': (
        DRIVER, ENDPOINT,
        rf'{NAME}: PASID (?P<pasid>0x[\da-f]+) command (?P<code>\d+) at '
        r'(?P<addr>0x[\da-f]+) size (?P<size>0x[\da-f]+) .*',
        'command {command}, {size} bytes'),
    'svm_command_end': (
        ENDPOINT, DRIVER,
        rf'{NAME}: PASID (?P<pasid>0x[\da-f]+) status (?P<status>\d+)',
        'the command ends: {outcome}'),
    'svm_notify': (
        ENDPOINT, DRIVER, rf'{NAME}: vector \d+ MSI-X \d MSI \d',
        'interrupt'),
    'svm_queue_control': (
        DRIVER, ENDPOINT, rf'{NAME}: queue \d+ control \d+ in state \d+',
        'controls a queue'),
    'svm_queue_doorbell': (
        PROCESS, ENDPOINT, rf'{NAME}: queue \d+ tail .*', 'doorbell'),
    'svm_queue_error': (
        ENDPOINT, DRIVER, rf'{NAME}: queue \d+ error .*', 'error of a queue'),
    'svm_ring_descriptor': (
        PROCESS, ENDPOINT, rf'{NAME}: queue \d+ descriptor .*',
        'descriptor of a queue'),
    'svm_ring_complete': (
        ENDPOINT, PROCESS, rf'{NAME}: queue \d+ descriptor .*',
        'completion record'),
    'svm_reset': (DRIVER, ENDPOINT, rf'{NAME}: busy \d', 'reset'),
    'pci_svm_dma_open': (ENDPOINT, ATC, rf'{NAME} {PASID}', 'opens a PASID'),
    'pci_svm_dma_close': (ENDPOINT, ATC, rf'{NAME} {PASID}', 'closes it'),
    'pci_svm_dma_lookup': (
        ENDPOINT, ATC, rf'{NAME} {PASID} {ADDR} hit=(?P<hit>\d)',
        'lookup: {found}'),
    'pci_ats_request': (
        ENDPOINT, VTD, rf'{NAME} {PASID} {ADDR} length=(?P<size>0x[\da-f]+) .*',
        'translation request, {size} bytes'),
    'pci_ats_completion': (
        VTD, ENDPOINT, rf'{NAME} {PASID} {ADDR} -> (?P<count>-?\d+) entries, '
        r'(?P<errors>\d+) lack permission',
        '{count} results, {errors} without permission'),
    'pci_atc_insert': (
        ENDPOINT, ATC,
        rf'(?P<atc>0x[\da-f]+) {PASID} iova=(?P<addr>0x[\da-f]+) '
        r'mask=(?P<mask>0x[\da-f]+) -> (?P<to>0x[\da-f]+) .*',
        'keep {extent} at {to}'),
    'pci_atc_refuse': (
        ATC, ENDPOINT,
        rf'(?P<atc>0x[\da-f]+) {PASID} iova=(?P<addr>0x[\da-f]+) .*',
        'not kept: revoked meanwhile'),
    'pci_svm_dma_access': (
        ENDPOINT, PROCESS,
        rf'{NAME} {PASID} {ADDR} -> (?P<to>0x[\da-f]+) '
        r'len=(?P<size>0x[\da-f]+) write=(?P<write>\d)',
        '{writes} {size} bytes at {to}'),
    'pci_svm_dma_map': (
        ENDPOINT, ATC,
        rf'{NAME} {PASID} {ADDR} len=(?P<size>0x[\da-f]+) write=\d',
        'maps {size} bytes'),
    'pci_svm_dma_unmap': (
        ENDPOINT, ATC, rf'{NAME} {PASID} {ADDR} len=(?P<size>0x[\da-f]+)',
        'gives back {size} bytes'),
    'pci_svm_dma_revoke': (
        ATC, ENDPOINT,
        rf'{NAME} {PASID} {ADDR} len=(?P<size>0x[\da-f]+) uses=(?P<count>\d+)',
        'revokes a map of {size} bytes, {count} in use'),
    'pci_pri_request': (
        ENDPOINT, VTD,
        rf'{NAME} {PASID} {ADDR} prgi=(?P<prgi>\d+) last=(?P<last>\d) read=\d '
        r'write=(?P<write>\d) -> (?P<ret>-?\d+)',
        'page request, group {prgi}{last}{refused}'),
    'vtd_prq_request': (
        VTD, OS,
        rf'{SID} {PASID} {ADDR} prgi (?P<prgi>\d+) .*',
        'puts it into the page request queue'),
    'vtd_prq_event_send': (VTD, OS, '', 'page request interrupt'),
    'vtd_prq_overflow': (
        VTD, OS, 'head 0x[\\da-f]+ tail 0x[\\da-f]+',
        'the page request queue is full'),
    'vtd_prq_response': (
        OS, VTD, rf'{SID} {PASID} prgi (?P<prgi>\d+) code (?P<answer>\d+)',
        'answers group {prgi}: {answer}'),
    'pci_pri_response': (
        VTD, ENDPOINT,
        rf'{NAME} {PASID} prgi=(?P<prgi>\d+) code=(?P<answer>\d+)',
        'group {prgi}: {answer}'),
    'vtd_pasid_dev_tlb': (
        OS, VTD,
        rf'{SID} {PASID} global \d {ADDR} mask (?P<mask>0x[\da-f]+)',
        'device-TLB invalidation of {extent}'),
    'pci_svm_invalidate': (
        VTD, ENDPOINT, rf'{NAME} {PASID} {ADDR} mask=(?P<mask>0x[\da-f]+)',
        'invalidation of {extent}'),
    'pci_svm_dma_invalidate': (
        ENDPOINT, ATC,
        rf'{NAME} {PASID} (?P<addr>0x[\da-f]+)\.\.0x[\da-f]+ '
        r'revoked (?P<count>\d+)',
        'drops {count} translations'),
    'vtd_inv_desc_wait_sw': (
        VTD, OS, r'wait invalidate status .*',
        'wait descriptor: what precedes it is done'),
    'vtd_request_fault': (
        VTD, OS, rf'{SID} {PASID} type \d+ fault (?P<fault>0x[\da-f]+) '
        rf'{ADDR} .*',
        'fault {fault}'),
}
# Not an arrow: says whose a cache is
BINDING = 'pci_svm_atc'
# A PASID that stands for none
NO_PASID = (0xffffffff, 1 << 20)

LINE = re.compile(r'(?P<thread>\d+)@(?P<s>\d+)\.(?P<us>\d{6}):(?P<name>\w+) ?'
                  r'(?P<args>.*)')


def extent_of(mask):
    """A range, by the mask of its addresses."""
    size = int(mask, 16) + 1
    for unit, shift in (('GiB', 30), ('MiB', 20), ('KiB', 10)):
        if size >> shift and size < 1 << 48:
            return f'{size >> shift:,} {unit}'
    return 'everything' if size >= 1 << 48 else f'{size} bytes'


# What an argument says to a person
WORDS = {
    'size': lambda v: f'{int(v, 16):,}',
    'answer': lambda v: ANSWERS.get(v, f'code {v}'),
    'last': lambda v: ', the last' if v == '1' else '',
}
DERIVED = {
    'command': ('code', lambda v: {'1': 'write', '2': 'read'}.get(v, v)),
    'outcome': ('status', lambda v: 'success' if v == '0' else 'failure'),
    'found': ('hit', lambda v: 'hit' if v == '1' else 'miss'),
    'extent': ('mask', extent_of),
    'writes': ('write', lambda v: 'writes' if v == '1' else 'reads'),
    'refused': ('ret', lambda v: '' if v == '0' else f', refused ({v})'),
}


class Event:
    """An arrow."""

    def __init__(self, time, thread, name, fields):
        self.time = time                # in microseconds
        self.thread = thread
        self.name = name
        self.source, self.target, _, text = EVENTS[name]
        self.device = fields.get('device', '')
        self.sid = fields.get('sid')
        self.pasid = fields.get('pasid', '')
        if self.pasid and int(self.pasid, 16) in NO_PASID:
            self.pasid = 'none'
        self.addr = fields.get('addr', '')
        words = {key: WORDS.get(key, str)(value)
                 for key, value in fields.items() if value is not None}
        for key, (of, say) in DERIVED.items():
            if of in fields:
                words[key] = say(fields[of])
        self.text = text.format(**words)


class Reader:
    """Makes events of a log."""

    def __init__(self):
        self.caches = {}
        self.names = {}                 # by requester ID
        self.unnamed = {}               # thread: requester ID without a name
        self.waits = False

    def _device(self, event, atc):
        """Whose it is: VT-d says requester IDs, a cache is an address."""
        if event.device:
            sid = self.unnamed.pop(event.thread, None)
            self.names.setdefault(sid, event.device)
        elif atc:
            event.device = self.caches.get(atc, '')
        elif event.sid and event.sid not in self.names:
            self.unnamed[event.thread] = event.sid

    def _is_wanted(self, event):
        """A wait descriptor that no device has to do with is none of ours."""
        if event.name == 'vtd_inv_desc_wait_sw':
            wanted, self.waits = self.waits, False
            return wanted
        self.waits |= event.name in ('vtd_pasid_dev_tlb', 'vtd_prq_response',
                                     'pci_svm_invalidate')
        return True

    def line(self, text):
        """The event that a line tells, or None."""
        match = LINE.fullmatch(text.rstrip())
        if not match:
            return None
        name, args = match['name'], match['args'].strip()
        if name == BINDING:
            device, _, atc = args.partition(' atc=')
            self.caches[atc] = device
        if name not in EVENTS:
            return None
        found = re.fullmatch(EVENTS[name][2], args)
        if not found:
            return None
        fields = found.groupdict()
        event = Event(int(match['s']) * 1000000 + int(match['us']),
                      match['thread'], name, fields)
        if not self._is_wanted(event):
            return None
        self._device(event, fields.get('atc'))
        return event

    @staticmethod
    def _put(events, event):
        """In the order of the arrows: a page request says at its end how it
        went, and the queue has taken it before."""
        place = len(events)
        if event.name == 'pci_pri_request':
            for n in range(len(events) - 1, max(len(events) - 8, -1), -1):
                if (events[n].name == 'vtd_prq_request' and
                        events[n].thread == event.thread and
                        events[n].addr == event.addr):
                    place = n
                    event.time = events[n].time
                    break
        events.insert(place, event)

    def read(self, lines):
        """All events, from the first command on: before, Linux boots."""
        events = []
        for event in filter(None, map(self.line, lines)):
            self._put(events, event)
        for event in events:
            if event.sid and not event.device:
                event.device = self.names.get(event.sid, event.sid)
        first = next((n for n, e in enumerate(events)
                      if e.name == 'pci_svm_dma_open' or
                      e.name == 'svm_command_start'), 0)
        if first and events[first - 1].name == 'svm_pasid_write':
            first -= 1
        return events[first:]


def span(microseconds):
    """A time to read."""
    if microseconds < 1000:
        return f'{microseconds} us'
    if microseconds < 1000000:
        return f'{microseconds / 1000:.1f} ms'
    return f'{microseconds / 1000000:.1f} s'


def rows(events):
    """Lines of text."""
    yield (f'{"ms":>9}  {"after":>9}  {"device":<8} {"PASID":<7} '
           f'{"address":<18}  {"from":>8}    {"to":<8}  event')
    start = before = events[0].time if events else 0
    for e in events:
        yield (f'{(e.time - start) / 1000:9.3f}  {span(e.time - before):>9}  '
               f'{e.device:<8} {e.pasid:<7} {e.addr:<18}  {e.source:>8} -> '
               f'{e.target:<8}  {e.text}')
        before = e.time


# The picture, in pixels
LANE_WIDTH, LEFT, TOP, ROW = 200, 130, 60, 26


def svg_arrow(e, y):
    """An arrow between two lanes, and what it says."""
    x1, x2 = (LEFT + LANE_WIDTH * LANES.index(lane) + LANE_WIDTH // 2
              for lane in (e.source, e.target))
    said = ' '.join(filter(None, [e.text, e.addr]))
    hint = ' '.join(filter(None, [e.name, e.device, e.pasid and
                                  f'PASID {e.pasid}', e.addr]))
    return (f'<g class="arrow"><title>{html.escape(hint)}</title>'
            f'<line x1="{x1}" y1="{y}" x2="{x2}" y2="{y}" stroke="#246" '
            f'marker-end="url(#tip)"/>'
            f'<text x="{min(x1, x2) + 6}" y="{y - 4}">{html.escape(said)}'
            '</text></g>')


def svg(events, title):
    """A picture: time runs downwards, a column for each lane."""
    width = LEFT + LANE_WIDTH * len(LANES) + 40
    height = TOP + ROW * (len(events) + 1) + 20
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
           f'height="{height}" font-family="sans-serif" font-size="10">')
    yield f'<title>{html.escape(title)}</title>'
    yield ('<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" '
           'markerWidth="8" markerHeight="8" orient="auto">'
           '<path d="M0,0 L8,4 L0,8 z" fill="#246"/></marker></defs>')
    yield '<rect width="100%" height="100%" fill="white"/>'
    for n, lane in enumerate(LANES):
        x = LEFT + LANE_WIDTH * n + LANE_WIDTH // 2
        yield (f'<text class="lane" x="{x}" y="30" text-anchor="middle" '
               f'font-size="14" font-weight="bold">{html.escape(lane)}</text>')
        yield (f'<line x1="{x}" y1="40" x2="{x}" y2="{height - 10}" '
               'stroke="#ccc"/>')
    start = before = events[0].time if events else 0
    for n, e in enumerate(events):
        y = TOP + ROW * (n + 1)
        yield (f'<text x="8" y="{y}" fill="#555">'
               f'{(e.time - start) / 1000:.3f} ms</text>')
        if e.time - before >= 1000:
            yield (f'<text x="8" y="{y - 11}" fill="#a40">'
                   f'{span(e.time - before)} later</text>')
        yield svg_arrow(e, y)
        before = e.time
    yield '</svg>'


class Log(threading.Thread):
    """Takes what QEMU writes, and keeps the beginning of it."""

    def __init__(self, path):
        super().__init__(daemon=True)
        os.mkfifo(path)
        # Open for writing too: it ends when we say so, not with a writer.
        self.end = os.open(path, os.O_RDWR)
        self.pipe = os.fdopen(os.open(path, os.O_RDONLY), errors='replace')
        self.lines = []
        self.lost = 0

    def run(self):
        for line in self.pipe:
            if line == '\n':
                break
            if len(self.lines) < LOG_LINES:
                self.lines.append(line)
            else:
                self.lost += 1

    def finish(self):
        """QEMU has written all."""
        os.write(self.end, b'\n')
        self.join()
        os.close(self.end)
        self.pipe.close()


def run_guest(command):
    """Its exit status, and what it says. It ends when we do."""
    with subprocess.Popen(command, stdout=subprocess.PIPE,
                          text=True) as guest:
        try:
            said, _ = guest.communicate()
        except BaseException:
            guest.terminate()
            raise
    return guest.returncode, said


def record(args):
    """Boot the guest, which runs the scenario; the log that comes of it."""
    with tempfile.TemporaryDirectory() as directory:
        log = Log(f'{directory}/trace')
        log.start()
        command = [GUEST_RUN, '--test', args.scenario]
        if args.guest:
            command += ['--guest', args.guest]
        options = ['-msg', 'timestamp=on', '-D', f'{directory}/trace']
        for name in (*EVENTS, BINDING):
            options += ['-trace', f'enable={name}']
        command += [f'--qemu-option={option}' for option in options]
        status, said = run_guest(command)
        log.finish()
    # 1: something failed in the guest, and the trace shows what led to it
    if status > 1 or not log.lines:
        sys.exit(f'the guest did not run: {said.strip()}')
    if status:
        print(said.strip(), file=sys.stderr)
    return log.lines, log.lost, status


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='./svm trace', usage='%(prog)s [SCENARIO] [OPTION...]',
        description=__doc__.splitlines()[0])
    parser.add_argument('scenario', nargs='?', default=SCENARIO,
                        metavar='SCENARIO',
                        help="one of those of './svm demo' "
                             f'(default: {SCENARIO})')
    parser.add_argument('--svg', metavar='FILE',
                        help='draw it too, with a lane for each of ' +
                             ', '.join(LANES))
    parser.add_argument('--events', type=int, default=300, metavar='N',
                        help='show no more of them (default: 300)')
    parser.add_argument('--guest', metavar='NAME',
                        help='in which guest, as for the demo')
    parser.add_argument('--save', metavar='FILE', help="keep QEMU's log")
    parser.add_argument('--log', metavar='FILE',
                        help='boot nothing, and show this log')
    args = parser.parse_args()
    if args.events < 1:
        parser.error('--events wants a number from 1 on')
    return args


def main():
    """Exit status: 0, 1 if the scenario failed, 2 for wrong usage."""
    args = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if args.log:
        with open(args.log, encoding='utf-8', errors='replace') as file:
            lines, lost, status = list(file), 0, 0
    else:
        lines, lost, status = record(args)
    if args.save:
        pathlib.Path(args.save).write_text(''.join(lines), encoding='utf-8')
    events = Reader().read(lines)
    if not events:
        sys.exit('no event of a device with shared virtual memory is in there')
    shown = events[:args.events]
    print('\n'.join(rows(shown)))
    if lost or len(shown) < len(events):
        print(f'... and {len(events) - len(shown):,} more events'
              + (f', and {lost:,} lines of the log' if lost else ''))
    if args.svg:
        pathlib.Path(args.svg).write_text(
            '\n'.join(svg(shown, args.scenario)) + '\n', encoding='utf-8')
    return status


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f'cannot read or write {error.filename}: {error.strerror}')
