/*
 * libqos fixture: a q35 machine with VT-d in legacy mode, and a virtio-blk
 * device whose requests are processed in an IOThread
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_ring.h"
#include "pci-pc.h"
#include "vtd-blk.h"

#define QVTD_BLK_SLOT           5
#define QVTD_BLK_DID            9
#define QVTD_BLK_SECTOR         512
#define QVTD_BLK_TIMEOUT_US     (30 * G_USEC_PER_SEC)

/* The header is at the start of its page, the status byte behind it */
#define QVTD_BLK_HEADER_SIZE    16

static void qvtd_blk_start_driver(QVTDBlk *b)
{
    QPCIAddress addr = { .devfn = b->sid };
    QVirtioDevice *vdev;
    uint64_t features;

    b->dev = virtio_pci_new(b->bus, &addr);
    g_assert(b->dev);
    vdev = &b->dev->vdev;
    qvirtio_pci_device_enable(b->dev);
    qvirtio_start_device(vdev);
    features = qvirtio_get_features(vdev);
    features &= ~(QVIRTIO_F_BAD_FEATURE | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |
                  1ULL << VIRTIO_RING_F_EVENT_IDX);
    qvirtio_set_features(vdev, features);
    b->vq = qvirtqueue_setup(vdev, &b->alloc, 0);
    qvirtio_set_driver_ok(vdev);
}

QVTDBlk *qvtd_blk_start(const char *args)
{
    QVTDBlk *b = g_new0(QVTDBlk, 1);

    b->qts = qtest_initf("-M q35 -device intel-iommu -object iothread,id=io "
                         "-blockdev null-co,node-name=disk,read-zeroes=on "
                         "-device virtio-blk-pci,addr=0x%x,drive=disk,"
                         "iothread=io,iommu_platform=on,disable-legacy=on %s",
                         QVTD_BLK_SLOT, args ?: "");
    b->sid = QPCI_DEVFN(QVTD_BLK_SLOT, 0);
    b->bus = qpci_new_pc(b->qts, NULL);
    b->v = qvtd_new(b->qts, false);
    b->table = qvtd_alloc_page(b->v);
    qvtd_ss_map(b->v, b->table, 0, 0, 3, QVTD_SS_RW);
    qvtd_set_legacy_context(b->v, b->sid, VTD_CONTEXT_TT_MULTI_LEVEL,
                            QVTD_BLK_DID, b->table);
    b->req = qvtd_alloc_page(b->v);
    b->data = qvtd_alloc_page(b->v);
    qvtd_enable(b->v);

    alloc_init(&b->alloc, ALLOC_NO_FLAGS, 1024 * 1024, QVTD_HEAP_BASE, 4096);
    qvtd_blk_start_driver(b);
    return b;
}

void qvtd_blk_stop(QVTDBlk *b)
{
    qvirtqueue_cleanup(b->dev->vdev.bus, b->vq, &b->alloc);
    qvirtio_pci_device_disable(b->dev);
    qvirtio_pci_destructor(&b->dev->obj);
    g_free(b->dev);
    alloc_destroy(&b->alloc);
    qvtd_free(b->v);
    qpci_free_pc(b->bus);
    qtest_quit(b->qts);
    g_free(b);
}

void qvtd_blk_submit(QVTDBlk *b, uint64_t addr)
{
    uint64_t status = b->req + QVTD_BLK_HEADER_SIZE;
    uint32_t head;

    qtest_memset(b->qts, b->req, 0, QVTD_BLK_HEADER_SIZE);
    qtest_writel(b->qts, b->req, VIRTIO_BLK_T_IN);
    qtest_writeb(b->qts, status, UINT8_MAX);
    /* The queue does not get its descriptors back, and 10.0.2 has no call */
    b->vq->free_head = 0;
    b->vq->num_free = b->vq->size;
    head = qvirtqueue_add(b->qts, b->vq, b->req, QVTD_BLK_HEADER_SIZE,
                          false, true);
    qvirtqueue_add(b->qts, b->vq, addr, QVTD_BLK_SECTOR, true, true);
    qvirtqueue_add(b->qts, b->vq, status, 1, true, false);
    qvirtqueue_kick(b->qts, &b->dev->vdev, b->vq, head);
}

void qvtd_blk_wait(QVTDBlk *b)
{
    int64_t deadline = g_get_monotonic_time() + QVTD_BLK_TIMEOUT_US;
    uint8_t status;

    do {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
        status = qtest_readb(b->qts, b->req + QVTD_BLK_HEADER_SIZE);
    } while (status == UINT8_MAX || !qvirtqueue_get_buf(b->qts, b->vq, NULL,
                                                        NULL));
    g_assert_cmpuint(status, ==, VIRTIO_BLK_S_OK);
}
