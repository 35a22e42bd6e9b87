# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU processes: monitors, consoles, and the one that the guest is in."""

import collections
import json
import os
import pathlib
import selectors
import socket
import subprocess
import tempfile
import time

# No output for so long, or no end after so long, and the guest has failed
SILENCE_SECONDS = 300
TOTAL_SECONDS = 850

# No answer of the monitor for so long, and QEMU has failed
MONITOR_SECONDS = 120

# QEMU has its devices to take down.
QUIT_SECONDS = 60

DISK_BYTES = 64 << 20


class Failure(Exception):
    """The guest could not do its work; the message is for the user."""


class Monitor:
    """QEMU's monitor.

    When the guest ends QEMU pauses, says what the devices have done, and
    leaves.
    """

    def __init__(self):
        self.socket, self.far = socket.socketpair()
        self.socket.settimeout(MONITOR_SECONDS)
        self.rest = b''
        self.ready = False
        self.replies = collections.deque()
        self.events = []
        self.leaves = False
        self.functions = []

    def options(self):
        """For QEMU."""
        return ['-chardev', f'socket,id=qmp,fd={self.far.fileno()}',
                '-mon', 'chardev=qmp,mode=control',
                '-action', 'shutdown=pause']

    def _send(self, name, arguments):
        message = {'execute': name, 'arguments': arguments}
        try:
            self.socket.sendall(json.dumps(message).encode())
        except OSError:
            # It is gone, as the next read says.
            pass

    def _take(self, message):
        """One message. The first reply is that to qmp_capabilities."""
        if 'QMP' in message:
            self._send('qmp_capabilities', {})
        elif 'event' in message:
            self.events.append(message)
        elif not self.ready:
            self.ready = True
        else:
            self.replies.append(message)

    def _read(self):
        """Wait for messages, and sort them. Returns whether QEMU is there."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            # It has left without listening to the end.
            return False
        except TimeoutError as error:
            raise Failure('QEMU\'s monitor said nothing for '
                          f'{MONITOR_SECONDS} s') from error
        *lines, self.rest = (self.rest + data).split(b'\n')
        for line in lines:
            self._take(json.loads(line))
        return bool(data)

    def _read_on(self, doing):
        if not self._read():
            raise Failure(f'QEMU has ended at {doing}')

    def command(self, name, **arguments):
        """Have QEMU do something. Returns its answer."""
        while not self.ready:
            self._read_on(name)
        self._send(name, {key.replace('_', '-'): value
                          for key, value in arguments.items()})
        while not self.replies:
            self._read_on(name)
        reply = self.replies.popleft()
        if 'error' in reply:
            raise Failure(f'QEMU refused {name}: {reply["error"]["desc"]}')
        return reply['return']

    def human(self, line):
        """The same, of the monitor for persons. It says nothing if it can."""
        said = self.command('human-monitor-command', command_line=line)
        if said:
            raise Failure(f'QEMU refused {line}: {said.strip()}')

    def take_event(self, name, **data):
        """Has there been such an event? It is forgotten then."""
        # Before it answers it says what has happened.
        self.command('query-status')
        for event in self.events:
            if event['event'] == name and \
                    data.items() <= event['data'].items():
                self.events.remove(event)
                return True
        return False

    def outstanding(self):
        """How many page requests wait for an answer of the guest."""
        return sum(function['total']['page-requests-outstanding']
                   for function in self.command('x-query-pci-svm'))

    def hear(self):
        """It says something. Returns whether there may be more."""
        return self._read()

    def follow_shutdown(self):
        """When the guest has ended: what have the devices done?"""
        # Its own end, which follows, is one more such event.
        if self.leaves or not any(event['event'] == 'SHUTDOWN'
                                  for event in self.events):
            return
        self.leaves = True
        try:
            self.functions = self.command('x-query-pci-svm')
        except Failure:
            # Another QEMU
            pass
        self._send('quit', {})


class Qemu:
    """A QEMU process, its console and its monitor."""

    def __init__(self, command, disk):
        self.monitor = Monitor()
        try:
            self.process = subprocess.Popen(
                command + self.monitor.options(), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                pass_fds=[disk.fileno(), self.monitor.far.fileno()])
        except OSError as error:
            raise Failure(f'QEMU does not start: {error}') from error
        finally:
            self.monitor.far.close()
        self.pipe = self.process.stdout.fileno()

    def type(self, line):
        """Type a line on the guest's console."""
        try:
            self.process.stdin.write(line.encode() + b'\n')
            self.process.stdin.flush()
        except OSError as error:
            raise Failure('QEMU has ended') from error

    def rest(self):
        """What it still prints before it ends."""
        return b''.join(iter(lambda: os.read(self.pipe, 65536), b''))

    def kill(self):
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Guest:
    """A guest, in one QEMU process after the other."""

    def __init__(self, args, command):
        """@command: what starts a QEMU with a disk, the argument."""
        self.command = command
        self.folder = tempfile.TemporaryDirectory(prefix='svm-guest-')
        logdir = pathlib.Path(os.environ.get('SVM_LOGDIR', '.'))
        self.log_path = logdir / f'guest-{args.mode}-{args.guest}.log'
        self.log = open(self.log_path, 'wb', buffering=0)
        self.silence = SILENCE_SECONDS * args.patience
        self.seconds = TOTAL_SECONDS * args.patience + args.seconds
        self.deadline = time.monotonic() + self.seconds
        self.processes = []
        self.pending = b''
        # Called every now and then, and says when to be called again
        self.routine = None
        self.routine_due = 0
        try:
            self.qemu = self.start()
        except Failure:
            self.stop()
            raise

    @property
    def monitor(self):
        """That of the QEMU that the guest is in."""
        return self.qemu.monitor

    def path(self, name):
        """A file that is gone when the guest is."""
        return os.path.join(self.folder.name, name)

    def start(self, *more):
        """One more QEMU, with one more disk."""
        with tempfile.TemporaryFile() as disk:
            disk.truncate(DISK_BYTES)
            qemu = Qemu(self.command(disk) + list(more), disk)
        self.processes.append(qemu)
        return qemu

    def move_to(self, target):
        """The guest has gone to another QEMU. The old one ends."""
        old, self.qemu = self.qemu, target
        old.monitor.command('quit')
        try:
            old.process.wait(QUIT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise Failure(f'QEMU did not quit in {QUIT_SECONDS} s') from error
        if old.process.returncode:
            raise Failure('QEMU quit with exit status '
                          f'{old.process.returncode}')
        self.pending += old.rest()
        self.processes.remove(old)

    def stop(self):
        """Leave nothing behind but the log, whole."""
        for qemu in self.processes:
            qemu.kill()
            self.log.write(qemu.rest())
        self.log.close()
        self.folder.cleanup()

    def _select(self, sources):
        """Those of them that have something to say"""
        left = self.deadline - time.monotonic()
        silence = min(self.silence, max(left, 0))
        end = time.monotonic() + silence
        with selectors.DefaultSelector() as selector:
            for source in sources:
                selector.register(source, selectors.EVENT_READ)
            while True:
                wait = end - time.monotonic()
                if self.routine:
                    wait = min(wait, self.routine_due - time.monotonic())
                ready = selector.select(max(wait, 0))
                if ready:
                    return [key.fileobj for key, _ in ready]
                if time.monotonic() >= end:
                    raise Failure(
                        f'the guest did not end in {self.seconds} s'
                        if left < self.silence else
                        f'the guest was silent for {self.silence} s')
                self._do_routine()

    def _do_routine(self):
        if self.routine and time.monotonic() >= self.routine_due:
            self.routine_due = time.monotonic() + self.routine()

    def chunks(self):
        """Output as it comes; ends with QEMU's."""
        deaf = None
        while True:
            qemu = self.qemu
            sources = [qemu.pipe]
            if qemu is not deaf:
                sources.append(qemu.monitor.socket)
            ready = self._select(sources)
            self._do_routine()
            if qemu.monitor.socket in ready and not qemu.monitor.hear():
                deaf = qemu
            qemu.monitor.follow_shutdown()
            if qemu.pipe not in ready:
                continue
            data = os.read(qemu.pipe, 65536)
            if not data:
                return
            yield data
            while self.pending:
                data, self.pending = self.pending, b''
                yield data

    def lines(self):
        """The same, as lines of text."""
        rest = b''
        for data in self.chunks():
            self.log.write(data)
            *whole, rest = (rest + data).split(b'\n')
            for line in whole:
                yield line.decode(errors='replace').rstrip('\r')
        if rest:
            yield rest.decode(errors='replace')
