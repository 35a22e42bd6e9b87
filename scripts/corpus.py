#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The inputs that a fuzz target starts from, as text: one a line, in hex.

usage: corpus.py unpack FILE DIR    a file in DIR for each input of FILE
       corpus.py pack FILE DIR      FILE from the files of DIR, by size; the
                                    first lines of FILE, its comment, stay
"""

import hashlib
import os
import sys


def read_lines(path):
    with open(path, encoding='ascii') as f:
        return f.read().splitlines()


def unpack(path, directory):
    os.makedirs(directory, exist_ok=True)
    for line in read_lines(path):
        if not line.startswith('#'):
            data = bytes.fromhex(line)
            name = hashlib.sha1(data).hexdigest()
            with open(os.path.join(directory, name), 'wb') as f:
                f.write(data)


def pack(path, directory):
    inputs = []
    for entry in os.scandir(directory):
        with open(entry.path, 'rb') as f:
            inputs.append(f.read())
    comment = [line for line in read_lines(path) if line.startswith('#')]
    inputs.sort(key=lambda data: (len(data), data))
    with open(path, 'w', encoding='ascii') as f:
        f.writelines(line + '\n' for line in comment)
        f.writelines(data.hex() + '\n' for data in inputs if data)


def main():
    commands = {'unpack': unpack, 'pack': pack}
    if len(sys.argv) != 4 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](sys.argv[2], sys.argv[3])


if __name__ == '__main__':
    main()
