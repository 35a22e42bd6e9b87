/*
 * libqos driver for the edu device's DMA engine
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_LIBQOS_EDU_H
#define TESTS_LIBQOS_EDU_H

#include "pci.h"

/* What one transfer can carry: the size of the device's buffer, in bytes */
#define QEDU_BUFFER_SIZE    4096

/**
 * struct QEdu - an edu device
 * @dev: the PCI function
 * @bar: its registers
 */
typedef struct QEdu {
    QPCIDevice *dev;
    QPCIBar bar;
} QEdu;

/**
 * qedu_init: find and enable an edu device
 * @edu: filled in
 * @bus: PCI bus
 * @devfn: device and function number
 */
void qedu_init(QEdu *edu, QPCIBus *bus, int devfn);

/**
 * qedu_fini: undo qedu_init()
 * @edu: the device
 */
void qedu_fini(QEdu *edu);

/**
 * qedu_dma_read: let the device read from memory into its buffer
 * @edu: the device
 * @addr: bus address
 * @size: bytes, at most QEDU_BUFFER_SIZE
 *
 * Steps the virtual clock until the transfer is over. The device does not say
 * whether it failed.
 */
void qedu_dma_read(QEdu *edu, uint64_t addr, uint64_t size);

/**
 * qedu_dma_write: let the device write from its buffer to memory
 * @edu: the device
 * @addr: bus address
 * @size: bytes, at most QEDU_BUFFER_SIZE
 *
 * Steps the virtual clock until the transfer is over.
 */
void qedu_dma_write(QEdu *edu, uint64_t addr, uint64_t size);

#endif
