# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens to a machine while a guest works: migration, a snapshot, a
device that is unplugged. The guest asks for it, in a line "SVM-TEST: ask ..."
on its console, and gets an answer there.
"""

import time

from qemu import Failure

# As the guest never rests there is always memory to send: it may be stopped
# for so long, and nothing else limits how fast it is sent.
DOWNTIME_MS = 2000
BANDWIDTH = 1 << 40

# What takes longer has failed.
PATIENCE_SECONDS = 120

# So many attempts to meet page requests that are outstanding
ATTEMPTS = 8

SNAPSHOT_BYTES = 1 << 20


class Moments:
    """Does what the guest asks for, and remembers what it was like."""

    def __init__(self, guest):
        self.guest = guest
        self.notes = []
        self.has_disk = False

    def obey(self, words):
        """The answer goes to where the guest is then. It is "idle" if no page
        request was ever outstanding: the guest may know why."""
        answers = {'migrate-file': self.migrate_file,
                   'migrate-socket': self.migrate_socket,
                   'save': self.save, 'restore': self.restore,
                   'unplug': self.unplug, 'plug': self.plug}
        what, *arguments = words.split()
        if what not in answers:
            raise Failure(f'the guest asks for "{words}"')
        answer = answers[what](*arguments)
        self.guest.qemu.type(answer)

    def take_notes(self):
        """What there is to tell since the last time."""
        notes, self.notes = self.notes, []
        return notes

    def migrate_file(self):
        """To a file, and from it."""
        def transfer(source, target):
            path = self.guest.path('stream')
            send(source, f'file:{path}')
            receive(target, f'file:{path}')
        return self._migrate('through a file', transfer)

    def migrate_socket(self):
        """Directly."""
        def transfer(source, target):
            uri = f'unix:{self.guest.path("socket")}'
            receive(target, uri)
            send(source, uri)
        return self._migrate('over a socket', transfer)

    def _migrate(self, how, transfer):
        """Again and again, until page requests were outstanding."""
        for _ in range(ATTEMPTS):
            target = self.guest.start('-incoming', 'defer')
            source = self.guest.monitor
            transfer(source, target.monitor)
            await_arrival(target.monitor)
            outstanding = source.outstanding()
            told = source.command('query-migrate')
            self.guest.move_to(target)
            self.notes.append(
                f'migrated {how}: {outstanding} page requests outstanding, '
                f'{told["ram"]["transferred"] >> 20} MiB, stopped for '
                f'{told["downtime"]} ms')
            if outstanding:
                return 'done'
        return 'idle'

    def save(self):
        """Make a snapshot while page requests are outstanding."""
        monitor = self.guest.monitor
        if not self.has_disk:
            make_disk(monitor, self.guest.path('disk'))
            self.has_disk = True
        for _ in range(ATTEMPTS * 10):
            monitor.command('stop')
            outstanding = monitor.outstanding()
            if outstanding:
                break
            monitor.command('cont')
            time.sleep(0.05)
        else:
            return 'idle'
        monitor.human('savevm moment')
        monitor.command('cont')
        self.notes.append(f'snapshot: {outstanding} page requests outstanding')
        return 'saved'

    def restore(self):
        """Go back there: the guest hears once more what it was told then."""
        self.guest.monitor.human('loadvm moment')
        return 'restored'

    def unplug(self, device):
        """The guest's system lets a device go."""
        start = time.monotonic()
        self.begin_unplug(device)
        wait_until(lambda: self.is_unplugged(device), f'unplugging {device}')
        self.notes.append(f'{device}: gone after '
                          f'{time.monotonic() - start:.1f} s')
        return 'done'

    def begin_unplug(self, device):
        """Ask the guest's system to let a device go."""
        self.guest.monitor.command('device_del', id=device)

    def is_unplugged(self, device):
        """Has it?"""
        return self.guest.monitor.take_event('DEVICE_DELETED', device=device)

    def plug(self, device):
        """And it comes back."""
        self.guest.monitor.command('device_add', driver='svm', id=device,
                                   bus='rp')
        return 'done'


def set_up(monitor):
    """Migrate as fast as possible."""
    monitor.command('migrate-set-parameters', max_bandwidth=BANDWIDTH,
                    downtime_limit=DOWNTIME_MS)


def wait_until(true, what):
    """Until it is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise Failure(f'{what} took more than {PATIENCE_SECONDS} s')
        time.sleep(0.02)


def await_migration(monitor):
    """Until it is completed."""
    def completed():
        told = monitor.command('query-migrate')
        status = told.get('status')
        if status in ('failed', 'cancelled'):
            raise Failure('the migration failed: '
                          f'{told.get("error-desc", status)}')
        return status == 'completed'
    wait_until(completed, 'a migration')


def send(monitor, uri):
    """The machine leaves."""
    set_up(monitor)
    monitor.command('migrate', uri=uri)
    await_migration(monitor)


def receive(monitor, uri):
    """A machine is about to arrive."""
    monitor.command('migrate-incoming', uri=uri, exit_on_error=False)


def await_arrival(monitor):
    """It runs."""
    await_migration(monitor)
    wait_until(lambda: monitor.command('query-status')['running'],
               'the start after a migration')


def make_disk(monitor, path):
    """A disk for snapshots, which the guest does not see."""
    with open(path, 'wb'):
        pass
    monitor.command('blockdev-add', driver='file', node_name='image',
                    filename=path)
    monitor.command('blockdev-create', job_id='create', options={
        'driver': 'qcow2', 'file': 'image', 'size': SNAPSHOT_BYTES})
    wait_until(lambda: monitor.command('query-jobs')[0]['status'] ==
               'concluded', 'making a disk')
    monitor.command('job-dismiss', id='create')
    monitor.command('blockdev-add', driver='qcow2', node_name='disk',
                    file='image')
