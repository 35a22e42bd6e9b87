/*
 * libqos fixture: a q35 machine with VT-d in legacy mode, and a virtio-blk
 * device whose requests are processed in an IOThread
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_LIBQOS_VTD_BLK_H
#define TESTS_LIBQOS_VTD_BLK_H

#include "libqos-malloc.h"
#include "virtio-pci.h"
#include "vtd.h"

/* The first GiB is mapped one to one; this bus address is not */
#define QVTD_BLK_UNMAPPED   0x80000000ULL

/**
 * struct QVTDBlk - the fixture
 * @qts: the machine
 * @v: its VT-d unit, enabled
 * @bus: its PCI bus
 * @dev: the block device
 * @vq: its request queue
 * @alloc: memory for the queue
 * @sid: the device's source ID
 * @table: its second-stage page table
 * @req: guest physical address of a read request's header and status
 * @data: guest physical address of a sector of data
 */
typedef struct QVTDBlk {
    QTestState *qts;
    QVTD *v;
    QPCIBus *bus;
    QVirtioPCIDevice *dev;
    QVirtQueue *vq;
    QGuestAllocator alloc;
    uint16_t sid;
    uint64_t table;
    uint64_t req;
    uint64_t data;
} QVTDBlk;

/**
 * qvtd_blk_start: start the machine, and the device's driver
 * @args: further command line, or NULL
 *
 * Returns: what qvtd_blk_stop() frees.
 */
QVTDBlk *qvtd_blk_start(const char *args);

/**
 * qvtd_blk_stop: stop the machine
 * @b: the fixture
 */
void qvtd_blk_stop(QVTDBlk *b);

/**
 * qvtd_blk_submit: submit a request that reads a sector
 * @b: the fixture
 * @addr: bus address for the data: @b->data, or QVTD_BLK_UNMAPPED, after which
 *        the device is broken
 *
 * The IOThread takes the request while the caller goes on.
 */
void qvtd_blk_submit(QVTDBlk *b, uint64_t addr);

/**
 * qvtd_blk_wait: wait until the request that was submitted last has completed
 * @b: the fixture
 */
void qvtd_blk_wait(QVTDBlk *b);

#endif
