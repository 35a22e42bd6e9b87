/*
 * libqos driver for the queues of the SVM demo endpoint (-device svm)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "hw/pci/pci_regs.h"
#include "svm-queue.h"

#define PAGE 4096

QPCIBar qsvm_map_queues(QVTDSVM *f)
{
    return qpci_iomap(f->svm.dev, SVM_QUEUE_BAR, NULL);
}

/* Registers */

static uint64_t queue_reg(QSVMQueue *q, uint64_t reg)
{
    return SVM_Q_REGS(q->n) + reg;
}

uint32_t qsvm_queue_readl(QSVMQueue *q, uint64_t reg)
{
    return qpci_io_readl(q->f->svm.dev, q->bar, queue_reg(q, reg));
}

uint64_t qsvm_queue_readq(QSVMQueue *q, uint64_t reg)
{
    return qpci_io_readq(q->f->svm.dev, q->bar, queue_reg(q, reg));
}

void qsvm_queue_writel(QSVMQueue *q, uint64_t reg, uint32_t val)
{
    qpci_io_writel(q->f->svm.dev, q->bar, queue_reg(q, reg), val);
}

void qsvm_queue_writeq(QSVMQueue *q, uint64_t reg, uint64_t val)
{
    qpci_io_writeq(q->f->svm.dev, q->bar, queue_reg(q, reg), val);
}

uint32_t qsvm_queue_db_readl(QSVMQueue *q, uint64_t reg)
{
    return qpci_io_readl(q->f->svm.dev, q->bar, SVM_DOORBELL_PAGE(q->n) + reg);
}

void qsvm_queue_db_writel(QSVMQueue *q, uint64_t reg, uint32_t val)
{
    qpci_io_writel(q->f->svm.dev, q->bar, SVM_DOORBELL_PAGE(q->n) + reg, val);
}

/* States */

uint32_t qsvm_queue_state(QSVMQueue *q)
{
    return qsvm_queue_readl(q, SVM_Q_STATE);
}

uint32_t qsvm_queue_control(QSVMQueue *q, uint32_t val)
{
    qsvm_queue_writel(q, SVM_Q_CTRL, val);
    return qsvm_queue_state(q);
}

void qsvm_queue_wait_state(QSVMQueue *q, uint32_t state)
{
    int64_t start = g_get_monotonic_time();

    while (qsvm_queue_state(q) != state) {
        qsvm_step(&q->f->svm, start);
    }
}

/* Set-up */

static uint64_t queue_alloc(QSVMQueue *q, uint64_t iova, uint64_t size)
{
    uint64_t pa = qvtd_alloc(q->f->v, size, PAGE);

    for (uint64_t offset = 0; offset < size; offset += PAGE) {
        qvtd_fs_map(q->f->v, q->table, iova + offset, pa + offset, 1,
                    QVTD_FS_USER_RW);
    }
    return pa;
}

void qsvm_queue_configure(QSVMQueue *q)
{
    qsvm_queue_writeq(q, SVM_Q_RING, QSVM_RING_IOVA(q->n));
    qsvm_queue_writeq(q, SVM_Q_RECORDS, QSVM_RECORD_IOVA(q->n));
    qsvm_queue_writel(q, SVM_Q_SIZE, q->size);
    qsvm_queue_writel(q, SVM_Q_PASID, q->pasid);
    qsvm_queue_writel(q, SVM_Q_HEAD, q->tail);
}

void qsvm_queue_init(QSVMQueue *q, QVTDSVM *f, QPCIBar bar, unsigned int n,
                     uint32_t pasid, uint64_t table, uint32_t size)
{
    *q = (QSVMQueue) {
        .f = f, .bar = bar, .n = n, .pasid = pasid, .table = table,
        .size = size,
    };
    q->ring = queue_alloc(q, QSVM_RING_IOVA(n), size * SVM_DESC_SIZE);
    q->records = queue_alloc(q, QSVM_RECORD_IOVA(n), size * SVM_REC_SIZE);
    qsvm_queue_configure(q);
}

uint64_t qsvm_queue_map(QSVMQueue *q, uint64_t iova)
{
    uint64_t pa = queue_alloc(q, iova, PAGE);

    qvtd_svm_poison(q->f, pa, PAGE);
    return pa;
}

/* Descriptors and records */

uint32_t qsvm_queue_push(QSVMQueue *q, const QSVMDesc *desc)
{
    uint8_t bytes[SVM_DESC_SIZE] = { };

    stl_le_p(bytes + SVM_DESC_OP, desc->op);
    stl_le_p(bytes + SVM_DESC_FLAGS, desc->flags);
    stq_le_p(bytes + SVM_DESC_SRC, desc->src);
    stq_le_p(bytes + SVM_DESC_DST, desc->dst);
    stq_le_p(bytes + SVM_DESC_LEN, desc->len);
    stq_le_p(bytes + SVM_DESC_ARG, desc->arg);
    qtest_bufwrite(q->f->qts, q->ring + q->tail % q->size * SVM_DESC_SIZE,
                   bytes, sizeof(bytes));
    return q->tail++;
}

void qsvm_queue_kick(QSVMQueue *q)
{
    qsvm_queue_db_writel(q, SVM_DB_TAIL, q->tail);
}

uint32_t qsvm_queue_submit(QSVMQueue *q, const QSVMDesc *desc)
{
    uint32_t index = qsvm_queue_push(q, desc);

    qsvm_queue_kick(q);
    return index;
}

QSVMRecord qsvm_queue_record(QSVMQueue *q, uint32_t index)
{
    uint8_t bytes[SVM_REC_SIZE];
    QSVMRecord rec;

    qtest_bufread(q->f->qts, q->records + index % q->size * SVM_REC_SIZE,
                  bytes, sizeof(bytes));
    rec.done = ldq_le_p(bytes + SVM_REC_DONE);
    rec.addr = ldq_le_p(bytes + SVM_REC_ADDR);
    rec.value = ldq_le_p(bytes + SVM_REC_VALUE);
    rec.status = lduw_le_p(bytes + SVM_REC_STATUS);
    rec.side = lduw_le_p(bytes + SVM_REC_SIDE);
    rec.seq = ldl_le_p(bytes + SVM_REC_SEQ);
    return rec;
}

/* Its last field alone, since the others are valid only after it */
bool qsvm_queue_is_complete(QSVMQueue *q, uint32_t index)
{
    uint64_t record = q->records + index % q->size * SVM_REC_SIZE;

    return qtest_readl(q->f->qts, record + SVM_REC_SEQ) == index + 1;
}

QSVMRecord qsvm_queue_wait(QSVMQueue *q, uint32_t index)
{
    int64_t start = g_get_monotonic_time();

    while (!qsvm_queue_is_complete(q, index)) {
        qsvm_step(&q->f->svm, start);
    }
    return qsvm_queue_record(q, index);
}

QSVMRecord qsvm_queue_run(QSVMQueue *q, const QSVMDesc *desc)
{
    return qsvm_queue_wait(q, qsvm_queue_submit(q, desc));
}

/* Interrupts: masked, so that they stay pending */

static uint64_t queue_vector(QSVMQueue *q)
{
    return SVM_MSIX_TABLE + SVM_VECTOR_QUEUE(q->n) * PCI_MSIX_ENTRY_SIZE;
}

static void queue_mask_vector(QSVMQueue *q, bool mask)
{
    qpci_io_writel(q->f->svm.dev, q->f->svm.bar,
                   queue_vector(q) + PCI_MSIX_ENTRY_VECTOR_CTRL,
                   mask ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

bool qsvm_queue_has_interrupt(QSVMQueue *q)
{
    unsigned int vector = SVM_VECTOR_QUEUE(q->n);

    return qpci_io_readl(q->f->svm.dev, q->f->svm.bar,
                         SVM_MSIX_PBA + vector / 32 * 4) >> vector % 32 & 1;
}

void qsvm_queue_wait_interrupt(QSVMQueue *q)
{
    QPCIDevice *dev = q->f->svm.dev;
    int64_t start = g_get_monotonic_time();

    while (!qsvm_queue_has_interrupt(q)) {
        qsvm_step(&q->f->svm, start);
    }
    /* Unmasking sends the pending message, to some vector of local APIC 0. */
    qpci_io_writel(dev, q->f->svm.bar, queue_vector(q), 0xfee00000);
    qpci_io_writel(dev, q->f->svm.bar, queue_vector(q) + 4, 0);
    qpci_io_writel(dev, q->f->svm.bar, queue_vector(q) + 8, 0x81);
    queue_mask_vector(q, false);
    queue_mask_vector(q, true);
    g_assert(!qsvm_queue_has_interrupt(q));
}
