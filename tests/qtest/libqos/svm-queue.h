/*
 * libqos driver for the queues of the SVM demo endpoint (-device svm)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_LIBQOS_SVM_QUEUE_H
#define TESTS_LIBQOS_SVM_QUEUE_H

#include "vtd-svm.h"

/* Where a queue's ring and records are in its process; one place for each */
#define QSVM_RING_IOVA(n)       (0x400000000000ULL + ((uint64_t)(n) << 24))
#define QSVM_RECORD_IOVA(n)     (QSVM_RING_IOVA(n) + (1ULL << 23))

/**
 * struct QSVMQueue - a queue, and what a process knows of it
 * @f: the machine
 * @bar: registers of all queues
 * @n: number
 * @pasid: of the process
 * @table: its top paging structure
 * @size: descriptors in the ring
 * @ring: guest physical address of the ring
 * @records: of the completion records
 * @tail: index of the next descriptor to write
 */
typedef struct QSVMQueue {
    QVTDSVM *f;
    QPCIBar bar;
    unsigned int n;
    uint32_t pasid;
    uint64_t table;
    uint32_t size;
    uint64_t ring;
    uint64_t records;
    uint32_t tail;
} QSVMQueue;

/**
 * struct QSVMDesc - a descriptor
 */
typedef struct QSVMDesc {
    uint32_t op;
    uint32_t flags;
    uint64_t src;
    uint64_t dst;
    uint64_t len;
    uint64_t arg;
} QSVMDesc;

/**
 * struct QSVMRecord - a completion record
 */
typedef struct QSVMRecord {
    uint64_t done;
    uint64_t addr;
    uint64_t value;
    uint16_t status;
    uint16_t side;
    uint32_t seq;
} QSVMRecord;

/**
 * qsvm_map_queues: map the registers of the queues
 * @f: the machine; PCI memory is enabled
 *
 * To be called once, and after a reset.
 */
QPCIBar qsvm_map_queues(QVTDSVM *f);

/**
 * qsvm_queue_init: map ring and records into a process, and set the registers
 * @q: filled in
 * @f: the machine
 * @bar: what qsvm_map_queues() returned
 * @n: number of the queue
 * @pasid: of the process
 * @table: its top paging structure
 * @size: descriptors in the ring
 */
void qsvm_queue_init(QSVMQueue *q, QVTDSVM *f, QPCIBar bar, unsigned int n,
                     uint32_t pasid, uint64_t table, uint32_t size);

/**
 * qsvm_queue_configure: write the registers that a disabled queue has
 * @q: the queue
 *
 * The head is @q->tail.
 */
void qsvm_queue_configure(QSVMQueue *q);

/** qsvm_queue_readl: read a 32-bit control register */
uint32_t qsvm_queue_readl(QSVMQueue *q, uint64_t reg);
/** qsvm_queue_readq: read a 64-bit control register */
uint64_t qsvm_queue_readq(QSVMQueue *q, uint64_t reg);
/** qsvm_queue_writel: write a 32-bit control register */
void qsvm_queue_writel(QSVMQueue *q, uint64_t reg, uint32_t val);
/** qsvm_queue_writeq: write a 64-bit control register */
void qsvm_queue_writeq(QSVMQueue *q, uint64_t reg, uint64_t val);
/** qsvm_queue_db_readl: read a register of the doorbell page */
uint32_t qsvm_queue_db_readl(QSVMQueue *q, uint64_t reg);
/** qsvm_queue_db_writel: write a register of the doorbell page */
void qsvm_queue_db_writel(QSVMQueue *q, uint64_t reg, uint32_t val);

/**
 * qsvm_queue_control: write the control register
 * @q: the queue
 * @val: SVM_CTRL_*
 *
 * Returns: the state afterwards.
 */
uint32_t qsvm_queue_control(QSVMQueue *q, uint32_t val);

/** qsvm_queue_state: read the state */
uint32_t qsvm_queue_state(QSVMQueue *q);

/**
 * qsvm_queue_wait_state: wait until the queue is in a state
 * @q: the queue
 * @state: SVM_STATE_*
 */
void qsvm_queue_wait_state(QSVMQueue *q, uint32_t state);

/**
 * qsvm_queue_push: write a descriptor; the device does not know of it yet
 * @q: the queue
 * @desc: the descriptor
 *
 * Returns: its index.
 */
uint32_t qsvm_queue_push(QSVMQueue *q, const QSVMDesc *desc);

/**
 * qsvm_queue_kick: write the doorbell
 * @q: the queue
 */
void qsvm_queue_kick(QSVMQueue *q);

/**
 * qsvm_queue_submit: qsvm_queue_push() and qsvm_queue_kick()
 * @q: the queue
 * @desc: the descriptor
 *
 * Returns: its index.
 */
uint32_t qsvm_queue_submit(QSVMQueue *q, const QSVMDesc *desc);

/**
 * qsvm_queue_record: read the completion record of an index as it is
 * @q: the queue
 * @index: the index
 */
QSVMRecord qsvm_queue_record(QSVMQueue *q, uint32_t index);

/**
 * qsvm_queue_is_complete: whether a descriptor's record is written
 * @q: the queue
 * @index: its index
 */
bool qsvm_queue_is_complete(QSVMQueue *q, uint32_t index);

/**
 * qsvm_queue_wait: wait for a descriptor's record
 * @q: the queue
 * @index: its index
 */
QSVMRecord qsvm_queue_wait(QSVMQueue *q, uint32_t index);

/**
 * qsvm_queue_run: qsvm_queue_submit() and qsvm_queue_wait()
 * @q: the queue
 * @desc: the descriptor
 */
QSVMRecord qsvm_queue_run(QSVMQueue *q, const QSVMDesc *desc);

/**
 * qsvm_queue_has_interrupt: whether the queue's interrupt is pending
 * @q: the queue
 */
bool qsvm_queue_has_interrupt(QSVMQueue *q);

/**
 * qsvm_queue_wait_interrupt: wait for the queue's interrupt, and take it
 * @q: the queue
 */
void qsvm_queue_wait_interrupt(QSVMQueue *q);

/**
 * qsvm_queue_map: map a new page into the queue's process, for users to write
 * @q: the queue
 * @iova: page address
 *
 * Returns: guest physical address of the page, which is poisoned.
 */
uint64_t qsvm_queue_map(QSVMQueue *q, uint64_t iova);

#endif
