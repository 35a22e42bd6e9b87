/*
 * Demo endpoint for shared virtual memory: what its parts lend each other
 *
 * svm.c is the function and its single command interface, svm-queue.c the
 * registers and states of the queues, svm-ring.c what executes descriptors.
 * The specification is docs/specs/svm.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_SVM_INTERNAL_H
#define HW_MISC_SVM_INTERNAL_H

#include "hw/misc/svm.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_svm_dma.h"
#include "hw/pci/pci_svm_name.h"
#include "migration/vmstate.h"
#include "system/iothread.h"

/**
 * svm_range_valid: is a range of addresses one that does not wrap?
 * @addr: where it starts
 * @len: bytes, also 0
 */
static inline bool svm_range_valid(uint64_t addr, uint64_t len)
{
    return !len || addr + (len - 1) >= addr;
}

/**
 * svm_dma_pasid: what the value of a register with a PASID is to the engine
 * @pasid: a PASID, or SVM_PASID_NONE
 */
static inline uint32_t svm_dma_pasid(uint32_t pasid)
{
    return pasid == SVM_PASID_NONE ? PCI_NO_PASID : pasid;
}

/*
 * svm.c
 */

/**
 * svm_crc: the CRC of a read command and of SVM_OP_CRC
 * @crc: initial value, or the CRC of what precedes
 * @buf: bytes
 * @len: their number
 *
 * Context: any thread.
 */
uint8_t svm_crc(uint8_t crc, const void *buf, size_t len);

/**
 * svm_notify: send an interrupt by MSI-X, or else by MSI, if one is enabled
 * @dev: the function
 * @vector: SVM_VECTOR_*; MSI has vector 0 only
 *
 * Context: BQL.
 */
void svm_notify(PCIDevice *dev, unsigned vector);

/*
 * svm-ring.c
 */

/**
 * typedef SVMRing - a ring from when the device begins to look at it until it
 * ceases to; opaque
 *
 * A coroutine executes what was submitted, and ends when nothing is left.
 */
typedef struct SVMRing SVMRing;

/**
 * typedef SVMRingNotify - something has happened to a ring
 * @ring: the ring, which may be closed already
 * @opaque: user data
 *
 * An interrupt is pending, the coroutine has ended, or there is an error.
 *
 * Context: main loop, BQL.
 */
typedef void (SVMRingNotify)(SVMRing *ring, void *opaque);

/**
 * typedef SVMRingEnded - a ring that was closed has ended
 * @opaque: user data
 *
 * It has no coroutine any more.
 *
 * Context: BQL; the main loop, or svm_ring_close().
 */
typedef void (SVMRingEnded)(void *opaque);

/**
 * struct SVMRingConfig - what a ring is opened with
 * @dev: the function; it lives as long as the ring
 * @dma: its engine
 * @aio: where descriptors are executed
 * @index: of the queue, for trace events
 * @pasid: PASID, or PCI_NO_PASID
 * @addr: of the ring
 * @records: address of the completion records
 * @size: descriptors, a power of two
 * @head: next descriptor
 * @failed: the one before did not complete with SVM_CPL_OK
 * @notify: called in the main loop
 * @ended: called once, when nothing is left of the ring
 * @opaque: for @notify and @ended
 */
typedef struct SVMRingConfig {
    PCIDevice *dev;
    PCISVMDMA *dma;
    AioContext *aio;
    unsigned index;
    uint32_t pasid;
    uint64_t addr;
    uint64_t records;
    uint32_t size;
    uint32_t head;
    bool failed;
    SVMRingNotify *notify;
    SVMRingEnded *ended;
    void *opaque;
} SVMRingConfig;

/**
 * svm_ring_open: begin to use a ring; it is paused
 * @config: copied
 *
 * Returns: the ring, or NULL when the PASID cannot be used.
 *
 * Context: BQL.
 */
SVMRing *svm_ring_open(const SVMRingConfig *config);

/**
 * svm_ring_close: cease to use a ring
 * @ring: the ring; invalid afterwards but for a comparison
 * @head: set to the first descriptor without record
 * @failed: set to whether the one before did not complete with SVM_CPL_OK
 *
 * When it returns no memory is accessed on behalf of the ring. A coroutine ends
 * later, when its thread has time for it.
 *
 * Returns: whether an interrupt is pending.
 *
 * Context: BQL.
 */
bool svm_ring_close(SVMRing *ring, uint32_t *head, bool *failed);

/**
 * svm_ring_run: let a ring execute descriptors, if it has any
 * @ring: the ring
 * @tail: index that follows that of the last one
 *
 * Context: BQL.
 */
void svm_ring_run(SVMRing *ring, uint32_t tail);

/**
 * svm_ring_pause: let a ring begin no further descriptor
 * @ring: the ring
 *
 * Context: BQL.
 */
void svm_ring_pause(SVMRing *ring);

/**
 * svm_ring_set_peer: change what descriptors may access besides
 * @ring: the ring
 * @peer: SVM_Q_PEER
 *
 * When it returns no memory is accessed on behalf of the former value.
 *
 * Context: BQL.
 */
void svm_ring_set_peer(SVMRing *ring, uint32_t peer);

/**
 * svm_ring_is_active: is a descriptor being executed, or about to be?
 * @ring: the ring
 *
 * Context: BQL. What begins is begun under the BQL as well.
 */
bool svm_ring_is_active(SVMRing *ring);

/**
 * svm_ring_head: index of the descriptor that is, or will be, executed
 * @ring: the ring
 *
 * Context: any thread.
 */
uint32_t svm_ring_head(SVMRing *ring);

/**
 * svm_ring_take_interrupt: is an interrupt pending? Not any longer.
 * @ring: the ring
 *
 * Context: any thread.
 */
bool svm_ring_take_interrupt(SVMRing *ring);

/**
 * svm_ring_error: what has stopped a ring
 * @ring: the ring, which has no coroutine
 * @addr: set to the address, if there is an error
 *
 * Returns: SVM_Q_ERROR, 0 for none.
 *
 * Context: its SVMRingNotify.
 */
uint32_t svm_ring_error(SVMRing *ring, uint64_t *addr);

/*
 * svm-queue.c
 */

typedef struct SVMQueues SVMQueues;

/**
 * struct SVMQueue - a queue
 *
 * Its registers; @head and @failed as long as there is no ring. All belongs to
 * the BQL.
 *
 * A ring runs only when those before it have ended, so that there is one
 * coroutine whatever the guest does while the thread is busy: @closing counts
 * them.
 */
typedef struct SVMQueue {
    SVMQueues *queues;
    unsigned index;

    uint64_t addr;
    uint64_t records;
    uint32_t size;
    uint32_t pasid;
    uint32_t peer;
    uint32_t head;
    uint32_t tail;
    uint32_t state;
    uint32_t error;
    uint64_t error_addr;
    bool failed;

    SVMRing *ring;              /* NULL also while the machine is stopped */
    unsigned closing;           /* rings that were closed; outlives a reset */
} SVMQueue;

/**
 * struct SVMQueues - the queues of a function
 * @dma: its engine; NULL when the function is gone
 * @iothreads: names of the IOThreads, a property
 * @iothread_count: their number
 */
struct SVMQueues {
    PCIDevice *dev;
    PCISVMDMA *dma;
    IOThread **threads;
    unsigned thread_count;
    MemoryRegion bar;
    SVMQueue queue[SVM_QUEUES];

    char **iothreads;
    uint32_t iothread_count;
};

/**
 * svm_queues_init: add the queues to a function, with their BAR
 * @queues: zero but for the properties
 * @dev: the function
 * @dma: its engine
 * @thread: the thread if there is no list of them
 * @errp: set on failure
 *
 * Context: BQL, at realize.
 */
bool svm_queues_init(SVMQueues *queues, PCIDevice *dev, PCISVMDMA *dma,
                     IOThread *thread, Error **errp);

/**
 * svm_queues_fini: give up the threads
 * @queues: the queues, which are stopped, or were never initialized
 *
 * Context: BQL, when the function is finalized.
 */
void svm_queues_fini(SVMQueues *queues);

/**
 * svm_queues_start: go on after svm_queues_stop()
 * @queues: the queues
 *
 * Context: BQL; the machine runs.
 */
void svm_queues_start(SVMQueues *queues);

/**
 * svm_queues_stop: access no memory from now on
 * @queues: the queues; their states and registers stay as they are
 *
 * Context: BQL; the machine is stopped.
 */
void svm_queues_stop(SVMQueues *queues);

/**
 * svm_queues_exit: svm_queues_stop() for good
 * @queues: the queues; an access to a register that is late has no effect
 *
 * Context: BQL, when the function is unrealized.
 */
void svm_queues_exit(SVMQueues *queues);

/**
 * svm_queues_reset: disable all queues, and clear their registers
 * @queues: the queues
 *
 * Context: BQL.
 */
void svm_queues_reset(SVMQueues *queues);

/**
 * svm_queues_in_use: is there anything that reset would change?
 * @queues: the queues
 *
 * Context: BQL.
 */
bool svm_queues_in_use(SVMQueues *queues);

extern const VMStateDescription svm_vmstate_queues;

#endif /* HW_MISC_SVM_INTERNAL_H */
