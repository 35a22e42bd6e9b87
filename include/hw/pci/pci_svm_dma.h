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
 * starts and stops as a whole, such as a queue; operations in them. An
 * operation works on memory piece by piece; a mapping (#PCISVMDMAMap) gives
 * access to a piece for longer.
 *
 * Threads:
 *
 * - Engines and contexts are created and ended under the BQL.
 * - Operations are coroutine functions, pci_svm_dma_co_*(), or requests with a
 *   completion function, pci_svm_dma_aio_*(). They run in any AioContext, many
 *   at a time, also in one context. They do not hold the BQL while they
 *   translate, wait or copy: those in the main loop do that in worker threads.
 *   The exception is memory that is not RAM, which the main loop accesses.
 * - Cancelling operations, or ending their context, does not wait for them to
 *   return, so it may be called from a register write. It waits until none of
 *   them touches guest memory, which takes as long as one piece; they end with
 *   %PCI_SVM_DMA_CANCELLED soon after, in their own thread. A device that is
 *   unrealized waits for its coroutines as always.
 *
 * Memory: an engine has what its cache takes (see pci_atc_new()) and some 25
 * KiB; a context, a PASID, a mapping and a request some 200 bytes each; an
 * operation some 10 KiB while it runs, on its coroutine's stack, whatever its
 * length. How many of these there are is the device's choice.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_PCI_SVM_DMA_H
#define QEMU_PCI_SVM_DMA_H

#include "hw/pci/pci.h"
#include "hw/pci/pci_svm.h"
#include "qemu/coroutine-core.h"
#include "qemu/iov.h"

/**
 * typedef PCISVMDMA - the DMA engine of a function; opaque
 */
typedef struct PCISVMDMA PCISVMDMA;

/**
 * typedef PCISVMDMAContext - a use of one PASID by an engine; opaque
 */
typedef struct PCISVMDMAContext PCISVMDMAContext;

/**
 * typedef PCISVMDMAMap - a piece of process memory, mapped; opaque
 */
typedef struct PCISVMDMAMap PCISVMDMAMap;

/**
 * typedef PCISVMDMARequest - an operation with a completion function; opaque
 */
typedef struct PCISVMDMARequest PCISVMDMARequest;

/* Translations that an engine caches unless the device says otherwise. */
#define PCI_SVM_DMA_ATC_ENTRIES 65536

/* Bytes that a #PCISVMDMAFunc gets at most in one call, or a mapping has. */
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
 * @PCI_SVM_DMA_RAM: other memory is %PCI_SVM_DMA_BUS_ERROR. So what the
 *     device's function has seen is accessed: nothing fails after it.
 */
typedef enum PCISVMDMAFlags {
    PCI_SVM_DMA_PRIV = 1,
    PCI_SVM_DMA_EXEC = 2,
    PCI_SVM_DMA_RAM = 4,
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
 * @PCI_SVM_DMA_CANCELLED: the operation was cancelled, by itself, with its
 *     context or with its PASID; or the context was closed. -ECANCELED
 * @PCI_SVM_DMA_BUS_ERROR: the translated address cannot be accessed, or is no
 *     RAM and is to be mapped or accessed with %PCI_SVM_DMA_RAM. -EIO
 * @PCI_SVM_DMA_STOPPED: the device's function returned an error, which is the
 *     operation's result
 * @PCI_SVM_DMA_TIMEOUT: the OS did not answer in time, see
 *     pci_svm_dma_set_page_timeout(). -ETIMEDOUT
 * @PCI_SVM_DMA_NO_ROOM: the list of ranges is longer than the vector; nothing
 *     was accessed. -EOVERFLOW
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
    PCI_SVM_DMA_TIMEOUT,
    PCI_SVM_DMA_NO_ROOM,
} PCISVMDMAReason;

/**
 * struct PCISVMDMAError - where and why an operation failed
 *
 * @addr: the first address that was not accessed
 * @reason: what was the matter with it
 * @done: bytes that were accessed before, in all ranges
 */
typedef struct PCISVMDMAError {
    uint64_t addr;
    PCISVMDMAReason reason;
    uint64_t done;
} PCISVMDMAError;

/**
 * struct PCISVMDMARange - an element of a scatter list in process memory
 *
 * @addr: first address
 * @len: bytes; 0 is fine. @addr + @len may be 2^64, not more.
 */
typedef struct PCISVMDMARange {
    uint64_t addr;
    uint64_t len;
} PCISVMDMARange;

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
 * time. The function is called in the operation's thread, in a worker thread
 * in place of the main loop's, or, for what is no RAM, in the main loop's; an
 * invalidation, which holds the BQL, waits for it: it must not take the BQL or
 * a lock that others hold while they wait for the BQL, not rely on the BQL, not
 * yield, not wait, and not start another operation.
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
 * pci_svm_dma_set_page_timeout: bound the wait for the guest's OS
 *
 * @engine: the engine
 * @ms: milliseconds of the virtual machine's time; 0, which is the default,
 *     for no bound
 *
 * An operation that needs a page, and has not seen its page request answered
 * after that time, fails with %PCI_SVM_DMA_TIMEOUT. The time includes the wait
 * for credits and for room in the host's queue. It begins anew with each
 * page request group. What the operation has sent stays outstanding, and keeps
 * its credits, until the OS answers after all or PRI is disabled: PCIe r6.0,
 * 10.4, has no time-out of page requests.
 *
 * Context: BQL. Holds for page requests that begin later.
 */
void pci_svm_dma_set_page_timeout(PCISVMDMA *engine, uint32_t ms);

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
 * %PCI_SVM_DMA_CANCELLED, in their own thread; mappings are revoked, and are
 * still to be ended by pci_svm_dma_unmap(). A page request group that was sent
 * in part is completed when the host has room for it, as PCIe r6.0, 6.20.1,
 * demands; responses that are still to come find no one, but
 * pci_svm_dma_outstanding() counts them.
 *
 * Context: BQL; not from a #PCISVMDMAFunc.
 */
void pci_svm_dma_close(PCISVMDMAContext *ctx);

/**
 * pci_svm_dma_cancel: cancel what a context does
 *
 * @ctx: an open context
 *
 * As pci_svm_dma_close(), but the context stays open: operations that begin
 * later are not affected. One that a coroutine is about to begin in another
 * thread may begin later.
 *
 * Context: BQL; not from a #PCISVMDMAFunc.
 */
void pci_svm_dma_cancel(PCISVMDMAContext *ctx);

/**
 * pci_svm_dma_cancel_pasid: cancel what a function does with a PASID
 *
 * @engine: the engine
 * @pasid: PASID, or %PCI_NO_PASID
 *
 * pci_svm_dma_cancel() of all contexts of @pasid.
 *
 * Context: BQL; not from a #PCISVMDMAFunc.
 */
void pci_svm_dma_cancel_pasid(PCISVMDMA *engine, uint32_t pasid);

/**
 * pci_svm_dma_outstanding: page request groups that are not answered
 *
 * @engine: the engine
 * @pasid: PASID, or %PCI_NO_PASID
 *
 * A group counts from before its first request until the OS has answered it,
 * whatever becomes of the operation that needs it; or until PRI is disabled, or
 * the function reset. One that cannot be completed, because the OS has taken
 * away what its last request needs, is never answered: it counts for another
 * 100 ms of the virtual machine's time, in which the OS takes what it was sent
 * of it out of its queue.
 *
 * Before an OS gives a PASID to somebody else the function has to stop its use
 * of it: it ends what it does, and waits for the responses to its page requests
 * (PCIe r6.0, 10.4.1.2, the first of two ways). So a device closes, or cancels,
 * all contexts of @pasid, and tells its driver when this has become 0.
 *
 * Returns: their number
 *
 * Context: BQL.
 */
unsigned pci_svm_dma_outstanding(PCISVMDMA *engine, uint32_t pasid);

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
 * invalidation waits for it: as long as one call of @fn takes.
 *
 * A translation request covers all that is left of the range, of whose results
 * the first 128 are taken at a time; a page request group all pages that they
 * lack, as far as credits allow, up to 512; fewer after the OS has answered
 * Invalid Request, until it answers Success.
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
 * pci_svm_dma_co_readv: read a scatter list of process memory into a vector
 *
 * @ctx: the context
 * @ranges: the scatter list
 * @count: number of elements of @ranges
 * @qiov: where the bytes go, those of the first range first. It may be longer
 *     than the list; qemu_iovec_init_buf() makes one of a buffer.
 * @flags: a combination of #PCISVMDMAFlags
 * @err: if not NULL, set to what happened
 *
 * One operation, which works on one range after the other: it fails at the
 * first address that fails. @ranges and @qiov stay valid until it returns.
 * Otherwise as pci_svm_dma_co_walk().
 */
int coroutine_fn pci_svm_dma_co_readv(PCISVMDMAContext *ctx,
                                      const PCISVMDMARange *ranges,
                                      size_t count, QEMUIOVector *qiov,
                                      unsigned flags, PCISVMDMAError *err);

/**
 * pci_svm_dma_co_writev: write a vector to a scatter list of process memory
 *
 * @ctx: the context
 * @ranges: the scatter list
 * @count: number of elements of @ranges
 * @qiov: the bytes, those for the first range first; it may be longer
 * @flags: a combination of #PCISVMDMAFlags
 * @err: if not NULL, set to what happened
 *
 * Otherwise as pci_svm_dma_co_readv().
 */
int coroutine_fn pci_svm_dma_co_writev(PCISVMDMAContext *ctx,
                                       const PCISVMDMARange *ranges,
                                       size_t count, QEMUIOVector *qiov,
                                       unsigned flags, PCISVMDMAError *err);

/**
 * typedef PCISVMDMACompletionFunc - hears that a request has ended
 *
 * @opaque: user data
 * @ret: 0, or a negative errno as #PCISVMDMAReason lists them
 * @err: what happened, also if @ret is 0; valid during the call
 *
 * Called once for each request, in the request's AioContext, after the last
 * access to memory. It may do what a bottom half may do.
 */
typedef void (PCISVMDMACompletionFunc)(void *opaque, int ret,
                                       const PCISVMDMAError *err);

/**
 * pci_svm_dma_aio_walk: work on process memory in place, without a coroutine
 *
 * @ctx: the context, open or referenced
 * @addr: first address
 * @len: bytes
 * @is_write: @fn writes the memory
 * @flags: a combination of #PCISVMDMAFlags
 * @fn: called for each piece, in the order of addresses
 * @aio: where the operation runs, and where @cb is called
 * @cb: called when the operation has ended, not before this function returns
 *     if the caller is in @aio
 * @opaque: user data for @fn and @cb
 *
 * Otherwise as pci_svm_dma_co_walk().
 *
 * Returns: the request, with a reference that the caller gives back by
 * pci_svm_dma_aio_unref(), at once if it will not cancel.
 *
 * Context: any thread.
 */
PCISVMDMARequest *pci_svm_dma_aio_walk(PCISVMDMAContext *ctx, uint64_t addr,
                                       uint64_t len, bool is_write,
                                       unsigned flags, PCISVMDMAFunc *fn,
                                       AioContext *aio,
                                       PCISVMDMACompletionFunc *cb,
                                       void *opaque);

/**
 * pci_svm_dma_aio_readv: read a scatter list, without a coroutine
 *
 * @ctx: the context, open or referenced
 * @ranges: the scatter list; valid until @cb is called, as is @qiov
 * @count: number of elements of @ranges
 * @qiov: where the bytes go
 * @flags: a combination of #PCISVMDMAFlags
 * @aio: where the operation runs, and where @cb is called
 * @cb: called when the operation has ended
 * @opaque: user data for @cb
 *
 * Otherwise as pci_svm_dma_co_readv() and pci_svm_dma_aio_walk().
 */
PCISVMDMARequest *pci_svm_dma_aio_readv(PCISVMDMAContext *ctx,
                                        const PCISVMDMARange *ranges,
                                        size_t count, QEMUIOVector *qiov,
                                        unsigned flags, AioContext *aio,
                                        PCISVMDMACompletionFunc *cb,
                                        void *opaque);

/**
 * pci_svm_dma_aio_writev: write a scatter list, without a coroutine
 *
 * @ctx: the context, open or referenced
 * @ranges: the scatter list; valid until @cb is called, as is @qiov
 * @count: number of elements of @ranges
 * @qiov: the bytes
 * @flags: a combination of #PCISVMDMAFlags
 * @aio: where the operation runs, and where @cb is called
 * @cb: called when the operation has ended
 * @opaque: user data for @cb
 *
 * Otherwise as pci_svm_dma_co_writev() and pci_svm_dma_aio_walk().
 */
PCISVMDMARequest *pci_svm_dma_aio_writev(PCISVMDMAContext *ctx,
                                         const PCISVMDMARange *ranges,
                                         size_t count, QEMUIOVector *qiov,
                                         unsigned flags, AioContext *aio,
                                         PCISVMDMACompletionFunc *cb,
                                         void *opaque);

/**
 * pci_svm_dma_aio_read: read process memory into a buffer, without a coroutine
 *
 * @ctx: the context, open or referenced
 * @addr: first address
 * @buf: the buffer; valid until @cb is called
 * @len: bytes
 * @flags: a combination of #PCISVMDMAFlags
 * @aio: where the operation runs, and where @cb is called
 * @cb: called when the operation has ended
 * @opaque: user data for @cb
 *
 * Otherwise as pci_svm_dma_aio_walk().
 */
PCISVMDMARequest *pci_svm_dma_aio_read(PCISVMDMAContext *ctx, uint64_t addr,
                                       void *buf, size_t len, unsigned flags,
                                       AioContext *aio,
                                       PCISVMDMACompletionFunc *cb,
                                       void *opaque);

/**
 * pci_svm_dma_aio_write: write a buffer to process memory, without a coroutine
 *
 * @ctx: the context, open or referenced
 * @addr: first address
 * @buf: the buffer; valid until @cb is called
 * @len: bytes
 * @flags: a combination of #PCISVMDMAFlags
 * @aio: where the operation runs, and where @cb is called
 * @cb: called when the operation has ended
 * @opaque: user data for @cb
 *
 * Otherwise as pci_svm_dma_aio_walk().
 */
PCISVMDMARequest *pci_svm_dma_aio_write(PCISVMDMAContext *ctx, uint64_t addr,
                                        const void *buf, size_t len,
                                        unsigned flags, AioContext *aio,
                                        PCISVMDMACompletionFunc *cb,
                                        void *opaque);

/**
 * pci_svm_dma_aio_cancel: cancel one request
 *
 * @req: the request
 *
 * When it returns the request accesses no guest memory and no buffer, and will
 * not. Its completion function is called all the same, in its AioContext, with
 * %PCI_SVM_DMA_CANCELLED unless the operation had ended before. What has ended
 * is left alone.
 *
 * Context: BQL; not from a #PCISVMDMAFunc.
 */
void pci_svm_dma_aio_cancel(PCISVMDMARequest *req);

/**
 * pci_svm_dma_aio_unref: give back the reference to a request
 *
 * @req: the request, or NULL; it goes on
 *
 * Context: any thread.
 */
void pci_svm_dma_aio_unref(PCISVMDMARequest *req);

/**
 * typedef PCISVMDMARevokeFunc - hears that a mapping was revoked
 *
 * @map: the mapping
 * @opaque: user data
 *
 * Called once, in the AioContext in which it was mapped, soon after the
 * mapping was revoked: pci_svm_dma_map_begin() returns NULL since. Usually
 * it calls pci_svm_dma_unmap(), and starts a coroutine that maps anew.
 */
typedef void (PCISVMDMARevokeFunc)(PCISVMDMAMap *map, void *opaque);

/**
 * pci_svm_dma_co_map: map a piece of process memory for direct access
 *
 * @ctx: the context
 * @addr: first address
 * @len: bytes wanted, of which 0 are as good as not mapped; set to what the
 *     mapping has: as much, or less, up to the end of one translation, of a
 *     block of RAM, or of %PCI_SVM_DMA_PIECE_MAX
 * @is_write: the memory will be written, and may be read; else it is only read
 * @flags: a combination of #PCISVMDMAFlags
 * @revoke: called when the mapping was revoked, or NULL
 * @opaque: user data for @revoke
 * @map: set to the mapping
 * @err: if not NULL, set to what happened
 *
 * Translates, asks for the page and waits for it as pci_svm_dma_co_walk()
 * does. Nothing is pinned, and the guest keeps all its rights: a mapping is
 * revoked, at once and for good, by an invalidation of its pages, by what fails
 * operations with %PCI_SVM_DMA_CANCELLED or %PCI_SVM_DMA_DISABLED, and when the
 * VM stops. Each access stands between pci_svm_dma_map_begin(), which fails
 * then, and pci_svm_dma_map_end(). An invalidation waits for accesses that
 * have begun, and never for the mapping to end: the guest waits no longer than
 * one access takes, which the device bounds, and the device hears of it by
 * @revoke, and by NULL.
 *
 * A mapping costs the engine a look per invalidation of its PASID.
 *
 * Returns: 0, or a negative errno as #PCISVMDMAReason lists them; @len and @map
 * are not set then.
 *
 * Context: a coroutine in any AioContext, with the BQL only if that is the
 * main loop's.
 */
int coroutine_fn pci_svm_dma_co_map(PCISVMDMAContext *ctx, uint64_t addr,
                                    size_t *len, bool is_write, unsigned flags,
                                    PCISVMDMARevokeFunc *revoke, void *opaque,
                                    PCISVMDMAMap **map, PCISVMDMAError *err);

/**
 * pci_svm_dma_map_begin: start to access mapped memory
 *
 * @map: the mapping
 *
 * Until pci_svm_dma_map_end() the caller keeps the rules of a #PCISVMDMAFunc:
 * it takes neither the BQL nor a lock that others hold while they wait for the
 * BQL, it does not yield, and does not wait. It takes some 100 microseconds at
 * most.
 *
 * Returns: the memory, valid until pci_svm_dma_map_end(); or NULL when the
 * mapping was revoked.
 *
 * Context: any thread; several may access one mapping.
 */
void *pci_svm_dma_map_begin(PCISVMDMAMap *map);

/**
 * pci_svm_dma_map_end: the access to mapped memory is complete
 *
 * @map: the mapping, after pci_svm_dma_map_begin() that did not return NULL
 * @offset: first byte that was written, from the mapping's start
 * @len: bytes from there that were written, 0 if none; not beyond the mapping,
 *     and 0 unless it was mapped for writing
 *
 * Context: the thread that called pci_svm_dma_map_begin().
 */
void pci_svm_dma_map_end(PCISVMDMAMap *map, size_t offset, size_t len);

/**
 * pci_svm_dma_unmap: end a mapping
 *
 * @map: the mapping, or NULL; nobody accesses it. It may have been revoked, and
 *     its context and engine may be gone.
 *
 * Its #PCISVMDMARevokeFunc is not called any more.
 *
 * Context: the AioContext in which it was mapped; any thread if it has no
 * #PCISVMDMARevokeFunc.
 */
void pci_svm_dma_unmap(PCISVMDMAMap *map);

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
