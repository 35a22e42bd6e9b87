/*
 * libqos driver for the edu device's DMA engine
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "edu.h"

#define QEDU_DMA_SRC        0x80
#define QEDU_DMA_DST        0x88
#define QEDU_DMA_CNT        0x90
#define QEDU_DMA_CMD        0x98
#define QEDU_DMA_RUN        (1 << 0)
#define QEDU_DMA_TO_PCI     (1 << 1)
#define QEDU_BUFFER         0x40000

/* The device waits 100 ms before it transfers */
#define QEDU_DMA_DELAY_NS   (101 * 1000 * 1000LL)

void qedu_init(QEdu *edu, QPCIBus *bus, int devfn)
{
    edu->dev = qpci_device_find(bus, devfn);
    g_assert(edu->dev);
    qpci_device_enable(edu->dev);
    edu->bar = qpci_iomap(edu->dev, 0, NULL);
}

void qedu_fini(QEdu *edu)
{
    qpci_iounmap(edu->dev, edu->bar);
    g_free(edu->dev);
}

static void qedu_dma(QEdu *edu, uint64_t src, uint64_t dst, uint64_t size,
                     uint64_t cmd)
{
    qpci_io_writeq(edu->dev, edu->bar, QEDU_DMA_SRC, src);
    qpci_io_writeq(edu->dev, edu->bar, QEDU_DMA_DST, dst);
    qpci_io_writeq(edu->dev, edu->bar, QEDU_DMA_CNT, size);
    qpci_io_writeq(edu->dev, edu->bar, QEDU_DMA_CMD, cmd | QEDU_DMA_RUN);
    qtest_clock_step(edu->dev->bus->qts, QEDU_DMA_DELAY_NS);
    cmd = qpci_io_readq(edu->dev, edu->bar, QEDU_DMA_CMD);
    g_assert(!(cmd & QEDU_DMA_RUN));
}

void qedu_dma_read(QEdu *edu, uint64_t addr, uint64_t size)
{
    qedu_dma(edu, addr, QEDU_BUFFER, size, 0);
}

void qedu_dma_write(QEdu *edu, uint64_t addr, uint64_t size)
{
    qedu_dma(edu, QEDU_BUFFER, addr, size, QEDU_DMA_TO_PCI);
}
