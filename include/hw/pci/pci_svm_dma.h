/*
 * DMA to the memory of a guest's processes, for device authors
 *
 * A device reads and writes process memory by (PASID, address). Translation
 * cache, translation requests, page requests and the wait for their answers,
 * credits, retries and pre-translated DMA happen inside. A device that uses
 * this header needs no other call of pci_svm.h.
 *
 * One engine (#PCISVMDMA) per function; one or more contexts
 * (#PCISVMDMAContext) per PASID, each of which is a thing that the device
 * starts and stops as a whole, such as a queue; operations in them.
 *
 * Threads:
 *
 * - Engines and contexts are created and ended under the BQL.
 * - Operations are coroutine functions. They run in any AioContext, many at a
 *   time, also in one context. They do not hold the BQL while they translate,
 *   wait or copy, unless their AioContext is the main loop's.
 * - Ending a context does not wait for its operations to return, so it may be
 *   called from a register write. It waits until none of them touches guest
 *   memory; they end with %PCI_SVM_DMA_CANCELLED soon after, in their own
 *   thread. A device that is unrealized waits for its coroutines as always.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_PCI_SVM_DMA_H
#define QEMU_PCI_SVM_DMA_H

#include "hw/pci/pci.h"
#include "hw/pci/pci_svm.h"
#include "qemu/coroutine-core.h"

/**
 * typedef PCISVMDMA - the DMA engine of a function; opaque
 */
typedef struct PCISVMDMA PCISVMDMA;

/**
 * typedef PCISVMDMAContext - a use of one PASID by an engine; opaque
 */
typedef struct PCISVMDMAContext PCISVMDMAContext;

/* Translations that an engine caches unless the device says otherwise. */
#define PCI_SVM_DMA_ATC_ENTRIES 65536

/* Bytes that a #PCISVMDMAFunc gets at most in one call. */
#define PCI_SVM_DMA_PIECE_MAX (64 * 1024)

/*
 * Page requests for one page that are answered with Success, without the page
 * becoming accessible, before an operation gives up.
 */
#define PCI_SVM_DMA_RETRIES 16

/**
 * enum PCISVMDMAFlags - properties of an operation
 *
 * @PCI_SVM_DMA_PRIV: requests are privileged
 * @PCI_SVM_DMA_EXEC: execute permission is needed too
 */
typedef enum PCISVMDMAFlags {
    PCI_SVM_DMA_PRIV = 1,
    PCI_SVM_DMA_EXEC = 2,
} PCISVMDMAFlags;

/**
 * enum PCISVMDMAReason - why an operation failed
 *
 * @PCI_SVM_DMA_OK: it did not; returned as 0
 * @PCI_SVM_DMA_UNMAPPED: nothing is mapped there, and the OS answered Invalid
 *     Request or cannot be asked (no PRI); or the range exceeds 2^64. -EFAULT
 * @PCI_SVM_DMA_PERMISSION: a page is mapped without the permission, and the
 *     OS answered Invalid Request or cannot be asked. -EACCES
 * @PCI_SVM_DMA_RESPONSE_FAILURE: the OS answered Response Failure. -EIO
 * @PCI_SVM_DMA_RETRIES_EXHAUSTED: the OS answered Success
 *     %PCI_SVM_DMA_RETRIES times, and the page is not accessible. -ETIMEDOUT
 * @PCI_SVM_DMA_DISABLED: the function is not bus master, a capability is or
 *     was disabled, the function was reset, it has no page request allocation,
 *     or the guest's tables do not let it send requests. -EPERM
 * @PCI_SVM_DMA_CANCELLED: the context was closed. -ECANCELED
 * @PCI_SVM_DMA_BUS_ERROR: the translated address cannot be accessed. -EIO
 * @PCI_SVM_DMA_STOPPED: the device's function returned an error, which is the
 *     operation's result
 */
typedef enum PCISVMDMAReason {
    PCI_SVM_DMA_OK,
    PCI_SVM_DMA_UNMAPPED,
    PCI_SVM_DMA_PERMISSION,
    PCI_SVM_DMA_RESPONSE_FAILURE,
    PCI_SVM_DMA_RETRIES_EXHAUSTED,
    PCI_SVM_DMA_DISABLED,
    PCI_SVM_DMA_CANCELLED,
    PCI_SVM_DMA_BUS_ERROR,
    PCI_SVM_DMA_STOPPED,
} PCISVMDMAReason;

/**
 * struct PCISVMDMAError - where and why an operation failed
 *
 * @addr: the first address that was not accessed
 * @reason: what was the matter with it
 */
typedef struct PCISVMDMAError {
    uint64_t addr;
    PCISVMDMAReason reason;
} PCISVMDMAError;

/**
 * struct PCISVMDMAStats - counters of an engine
 *
 * @ats_requests: translation requests sent
 * @ats_results: translations granted in full
 * @ats_holes: results that lacked a permission
 * @atc_hits: lookups that the cache answered
 * @atc_misses: lookups that it did not
 * @page_requests: page requests accepted by the host
 * @page_groups: page request groups completed, that is answered
 * @resp_success: of these, with Success
 * @resp_invalid: with Invalid Request
 * @resp_failure: with Response Failure
 * @refused: requests that the host did not take; a request that finds no room
 *     is counted each time that it is tried
 * @invalidations: invalidations received
 * @revoked: cached translations that they dropped
 * @bytes_read: bytes of guest memory read
 * @bytes_written: bytes of guest memory written
 */
typedef struct PCISVMDMAStats {
    uint64_t ats_requests;
    uint64_t ats_results;
    uint64_t ats_holes;
    uint64_t atc_hits;
    uint64_t atc_misses;
    uint64_t page_requests;
    uint64_t page_groups;
    uint64_t resp_success;
    uint64_t resp_invalid;
    uint64_t resp_failure;
    uint64_t refused;
    uint64_t invalidations;
    uint64_t revoked;
    uint64_t bytes_read;
    uint64_t bytes_written;
} PCISVMDMAStats;

/**
 * typedef PCISVMDMAFunc - works on a piece of memory in place
 *
 * @host: the memory
 * @len: its size in bytes, 1..%PCI_SVM_DMA_PIECE_MAX
 * @opaque: user data
 *
 * Reads [@host, @host + @len), or writes all of it when the operation is a
 * write. Each byte of the operation is seen once, in the order of addresses.
 * Other threads, such as the guest's CPUs, may access it at the same
 * time. The function is called in the operation's thread or in the main
 * thread; an invalidation, which holds the BQL, waits for it: it must not take
 * the BQL or a lock that others hold while they wait for the BQL, not yield,
 * not wait, and not start another operation.
 *
 * Returns: 0 to go on, or a negative errno to stop the operation.
 */
typedef int (PCISVMDMAFunc)(void *host, size_t len, void *opaque);

/**
 * pci_svm_dma_new: create a function's engine
 *
 * @dev: the function. Its capabilities may be added before or after.
 * @atc_entries: translations to cache at most, for all PASIDs together; 0 for
 *     %PCI_SVM_DMA_ATC_ENTRIES
 *
 * Context: BQL, at realize.
 */
PCISVMDMA *pci_svm_dma_new(PCIDevice *dev, size_t atc_entries);

/**
 * pci_svm_dma_free: end an engine
 *
 * @engine: the engine, or NULL
 *
 * Closes the contexts that are still open. When it returns, nothing accesses
 * guest memory or sends requests, and @dev is no longer used.
 *
 * Context: BQL, at unrealize.
 */
void pci_svm_dma_free(PCISVMDMA *engine);

/**
 * pci_svm_dma_open: start to use a PASID
 *
 * @engine: the engine
 * @pasid: PASID, or %PCI_NO_PASID for requests without one
 * @errp: set on failure
 *
 * Several contexts may have the same PASID; they share what is cached.
 *
 * Returns: the context, or NULL when the IOMMU has no SVM, the PASID is too
 * wide, or PASIDs are not enabled.
 *
 * Context: BQL.
 */
PCISVMDMAContext *pci_svm_dma_open(PCISVMDMA *engine, uint32_t pasid,
                                   Error **errp);

/**
 * pci_svm_dma_close: end the use of a PASID
 *
 * @ctx: the context, or NULL; invalid afterwards, except for operations that
 *     are running and for those who have a reference
 *
 * When it returns no operation of @ctx accesses guest memory or translates,
 * and none will. Operations that are running fail with
 * %PCI_SVM_DMA_CANCELLED, in their own thread. A page request group that was
 * sent in part is completed when the host has room for it, as PCIe r6.0,
 * 6.20.1, demands; responses that are still to come find no one.
 *
 * Context: BQL; not from a #PCISVMDMAFunc.
 */
void pci_svm_dma_close(PCISVMDMAContext *ctx);

/**
 * pci_svm_dma_ref: hold a context's memory
 *
 * @ctx: the context
 *
 * A coroutine that may start an operation after the context was closed needs
 * a reference, taken before it is scheduled. It does not keep the context
 * open.
 *
 * Returns: @ctx
 *
 * Context: any thread.
 */
PCISVMDMAContext *pci_svm_dma_ref(PCISVMDMAContext *ctx);

/**
 * pci_svm_dma_unref: end what pci_svm_dma_ref() began
 *
 * @ctx: the context
 *
 * Context: any thread.
 */
void pci_svm_dma_unref(PCISVMDMAContext *ctx);

/**
 * pci_svm_dma_co_walk: work on process memory in place
 *
 * @ctx: the context, open or referenced; once it is closed, operations fail
 * @addr: first address
 * @len: bytes; 0 is fine. @addr + @len may be 2^64, not more.
 * @is_write: @fn writes the memory; else it reads it
 * @flags: a combination of #PCISVMDMAFlags
 * @fn: called for each piece, in the order of addresses. Pages that are not
 *     accessible are asked for, and waited for, between calls.
 * @opaque: user data for @fn
 * @err: if not NULL, set to what happened
 *
 * Memory use does not depend on @len. Neither does the time that an
 * invalidation waits for it.
 *
 * Returns: 0, or a negative errno as #PCISVMDMAReason lists them. Pieces
 * before the failing address have been worked on.
 *
 * Context: a coroutine in any AioContext, with the BQL only if that is the
 * main loop's.
 */
int coroutine_fn pci_svm_dma_co_walk(PCISVMDMAContext *ctx, uint64_t addr,
                                     uint64_t len, bool is_write,
                                     unsigned flags, PCISVMDMAFunc *fn,
                                     void *opaque, PCISVMDMAError *err);

/**
 * pci_svm_dma_co_read: read process memory into a buffer
 *
 * @ctx: the context
 * @addr: first address
 * @buf: the buffer
 * @len: bytes
 * @flags: a combination of #PCISVMDMAFlags
 * @err: if not NULL, set to what happened
 *
 * Otherwise as pci_svm_dma_co_walk().
 */
int coroutine_fn pci_svm_dma_co_read(PCISVMDMAContext *ctx, uint64_t addr,
                                     void *buf, size_t len, unsigned flags,
                                     PCISVMDMAError *err);

/**
 * pci_svm_dma_co_write: write a buffer into process memory
 *
 * @ctx: the context
 * @addr: first address
 * @buf: the buffer
 * @len: bytes
 * @flags: a combination of #PCISVMDMAFlags
 * @err: if not NULL, set to what happened
 *
 * Otherwise as pci_svm_dma_co_walk().
 */
int coroutine_fn pci_svm_dma_co_write(PCISVMDMAContext *ctx, uint64_t addr,
                                      const void *buf, size_t len,
                                      unsigned flags, PCISVMDMAError *err);

/**
 * pci_svm_dma_get_stats: read an engine's counters
 *
 * @engine: the engine
 * @stats: set to the counters, each of which is consistent in itself
 *
 * Context: any thread.
 */
void pci_svm_dma_get_stats(PCISVMDMA *engine, PCISVMDMAStats *stats);

/**
 * pci_svm_dma_set_stats: set an engine's counters, after migration for example
 *
 * @engine: the engine
 * @stats: what the counters go on from
 *
 * Context: any thread.
 */
void pci_svm_dma_set_stats(PCISVMDMA *engine, const PCISVMDMAStats *stats);

/**
 * pci_svm_dma_reset_stats: set an engine's counters to zero
 *
 * @engine: the engine
 *
 * Context: any thread.
 */
void pci_svm_dma_reset_stats(PCISVMDMA *engine);

#endif /* QEMU_PCI_SVM_DMA_H */
