# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# How QEMU is configured, lean, wherever it is built.  Sourced, after lib.sh.

# shellcheck disable=SC2034  # used by those who source this
QEMU_CONFIGURE=(
    --python=/usr/bin/python3 --disable-download
    --target-list=x86_64-softmmu --without-default-features --enable-system --enable-tcg
    --enable-kvm --enable-slirp --enable-pixman --enable-fdt=system
    --disable-docs --disable-install-blobs
)

# link_firmware DIR: QEMU and its qtests look for firmware there
link_firmware() {
    local dir=$1/qemu-bundle/usr/local/share/qemu
    mkdir -p "$dir"
    ln -sf -t "$dir" "$BUILD"/firmware/*
}
