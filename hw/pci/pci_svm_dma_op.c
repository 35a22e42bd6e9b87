/*
 * DMA to the memory of a guest's processes: operations
 *
 * An operation works on its ranges piece by piece: look the translation up, or
 * request it; access the memory. That is op_work(), which is busy and never
 * waits. What it cannot do itself it leaves to op_do(), which may wait.
 *
 * PCIe Base Specification r6.0, sections 10.2 and 10.3.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/units.h"
#include "block/aio.h"
#include "block/thread-pool.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#include "pci_svm_dma_internal.h"
#include "trace.h"

/* Bytes after which an operation lets others in its AioContext run */
#define SVM_DMA_BURST (2 * MiB)

/* What a step costs at least, in terms of SVM_DMA_BURST */
#define SVM_DMA_STEP (4 * KiB)

/* Bytes of an access to memory that is not RAM */
#define SVM_DMA_BOUNCE (4 * KiB)

static const int svm_dma_errno[] = {
    [PCI_SVM_DMA_OK] = 0,
    [PCI_SVM_DMA_UNMAPPED] = -EFAULT,
    [PCI_SVM_DMA_PERMISSION] = -EACCES,
    [PCI_SVM_DMA_RESPONSE_FAILURE] = -EIO,
    [PCI_SVM_DMA_RETRIES_EXHAUSTED] = -ETIMEDOUT,
    [PCI_SVM_DMA_DISABLED] = -EPERM,
    [PCI_SVM_DMA_CANCELLED] = -ECANCELED,
    [PCI_SVM_DMA_BUS_ERROR] = -EIO,
    [PCI_SVM_DMA_TIMEOUT] = -ETIMEDOUT,
    [PCI_SVM_DMA_NO_ROOM] = -EOVERFLOW,
};

/* Why it must end */

PCISVMDMAReason svm_dma_op_status(const SVMDMAOp *op)
{
    if (qatomic_read(&op->cancelled)) {
        return PCI_SVM_DMA_CANCELLED;
    }
    if (qatomic_read(&op->engine->epoch) != op->epoch) {
        return PCI_SVM_DMA_DISABLED;
    }
    return PCI_SVM_DMA_OK;
}

int svm_dma_op_fail(SVMDMAOp *op, PCISVMDMAReason reason)
{
    PCISVMDMAReason status = svm_dma_op_status(op);

    op->reason = status == PCI_SVM_DMA_OK ? reason : status;
    return svm_dma_errno[op->reason];
}

int svm_dma_op_check(SVMDMAOp *op)
{
    return svm_dma_op_fail(op, PCI_SVM_DMA_OK);
}

int svm_dma_op_fail_access(SVMDMAOp *op)
{
    return svm_dma_op_fail(op, op->entry.perm & IOMMU_RW
                               ? PCI_SVM_DMA_PERMISSION
                               : PCI_SVM_DMA_UNMAPPED);
}

/* Being busy and waiting */

static bool op_is_in_main_loop(const SVMDMAOp *op)
{
    return op->home == qemu_get_aio_context();
}

static void op_set_busy_locked(SVMDMAOp *op)
{
    svm_dma_set_busy_locked(op->engine);
    op->busy = true;
}

static void op_set_idle_locked(SVMDMAOp *op)
{
    op->busy = false;
    svm_dma_set_idle_locked(op->engine);
}

/* Back from a wait, in its AioContext: worker threads are for the main loop */
static void op_return_locked(SVMDMAOp *op)
{
    if (!op_is_in_main_loop(op)) {
        op_set_busy_locked(op);
    }
}

static void op_leave_locked(SVMDMAOp *op)
{
    if (op->busy) {
        op_set_idle_locked(op);
    }
}

/*
 * Always by way of its AioContext's bottom half: a notifier must not be
 * re-entered by the coroutine that it wakes.
 */
void svm_dma_op_wake_locked(SVMDMAOp *op)
{
    Coroutine *co = g_steal_pointer(&op->parked);

    if (co) {
        aio_co_schedule(op->home, co);
    }
}

void svm_dma_op_cancel_locked(SVMDMAOp *op)
{
    qatomic_set(&op->cancelled, true);
    svm_dma_op_wake_locked(op);
}

static void op_timer_expired(void *opaque)
{
    SVMDMAOp *op = opaque;

    QEMU_LOCK_GUARD(&op->engine->lock);
    svm_dma_op_wake_locked(op);
}

void coroutine_fn svm_dma_op_wait_locked(SVMDMAOp *op, int64_t ns)
{
    PCISVMDMA *e = op->engine;

    op_leave_locked(op);
    if (ns > 0) {
        timer_mod(&op->timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + ns);
    }
    do {
        op->parked = qemu_coroutine_self();
        if (ns == 0 && !e->paused) {
            svm_dma_op_wake_locked(op);
        }
        qemu_mutex_unlock(&e->lock);
        qemu_coroutine_yield();
        qemu_mutex_lock(&e->lock);
    } while (e->paused && svm_dma_op_status(op) == PCI_SVM_DMA_OK);
    timer_del(&op->timer);
    op_return_locked(op);
}

static int coroutine_fn op_rest(SVMDMAOp *op)
{
    PCISVMDMA *e = op->engine;

    op->burst = 0;
    qemu_mutex_lock(&e->lock);
    svm_dma_op_wait_locked(op, 0);
    qemu_mutex_unlock(&e->lock);
    return svm_dma_op_check(op);
}

/* Translation */

bool svm_dma_op_is_granted(const SVMDMAOp *op, const IOMMUTLBEntry *entry)
{
    return (entry->perm & op->need) == op->need &&
           !(entry->perm & IOMMU_UNTRANSLATED_ONLY);
}

static int op_request_translation(SVMDMAOp *op)
{
    PCISVMDMA *e = op->engine;
    uint64_t start = op->addr & ~((uint64_t)e->page_size - 1);
    uint64_t last = op->addr + (op->len - 1);
    size_t length = MIN(last - start, SIZE_MAX - 1) + 1;
    uint32_t errors = 0;
    ssize_t n;

    n = pci_ats_request_part(e->dev, op->ctx->pasid, op->priv, op->exec, start,
                             length, !op->is_write, op->results,
                             SVM_DMA_WINDOW, &errors);
    if (n == -ENOMEM) {
        n = SVM_DMA_WINDOW;
    }
    if (n < 0) {
        stat64_add(&e->stats.refused, 1);
        return svm_dma_op_fail(op, PCI_SVM_DMA_DISABLED);
    }
    op->result_count = n;
    stat64_add(&e->stats.ats_requests, 1);
    stat64_add(&e->stats.ats_results, n - MIN(errors, n));
    stat64_add(&e->stats.ats_holes, errors);
    pci_atc_insert(e->atc, op->ctx->pasid, op->results, n, op->ticket);
    return 0;
}

static const IOMMUTLBEntry *op_find_result(const SVMDMAOp *op)
{
    for (size_t i = 0; i < op->result_count; i++) {
        const IOMMUTLBEntry *entry = &op->results[i];

        if ((op->addr & ~entry->addr_mask) ==
            (entry->iova & ~entry->addr_mask)) {
            return entry;
        }
    }
    return NULL;
}

/* Not from the cache; if the page is missing, the OS remains to be asked. */
static int op_resolve(SVMDMAOp *op)
{
    PCISVMDMA *e = op->engine;
    const IOMMUTLBEntry *found;
    int ret;

    op->ticket = pci_atc_get_ticket(e->atc);
    ret = op_request_translation(op);
    if (ret) {
        return ret;
    }
    found = op_find_result(op);
    if (!found) {
        return svm_dma_op_fail(op, PCI_SVM_DMA_DISABLED);
    }
    op->entry = *found;
    if (svm_dma_op_is_granted(op, found)) {
        return 0;
    }
    if (!pcie_pri_enabled(e->dev)) {
        return svm_dma_op_fail_access(op);
    }
    if (op->tries == PCI_SVM_DMA_RETRIES) {
        return svm_dma_op_fail(op, PCI_SVM_DMA_RETRIES_EXHAUSTED);
    }
    op->pending = PENDING_PAGES;
    return 0;
}

static int op_translate(SVMDMAOp *op)
{
    PCISVMDMA *e = op->engine;
    bool hit;

    if (op->asked) {
        op->asked = false;
        return op_resolve(op);
    }
    hit = pci_atc_lookup(e->atc, op->ctx->pasid, op->addr, op->need, &op->entry,
                         &op->ticket);
    trace_pci_svm_dma_lookup(e->name, op->ctx->pasid, op->addr,
                             hit);
    stat64_add(hit ? &e->stats.atc_hits : &e->stats.atc_misses, 1);
    pci_svm_count(op->ctx->pasid_use->counters,
                  hit ? PCI_SVM_ATC_HITS : PCI_SVM_ATC_MISSES, 1);
    return hit ? 0 : op_resolve(op);
}

/* Access */

static int op_call(SVMDMAOp *op, void *host, size_t len)
{
    int ret = op->job->fn(host, len, op->job->opaque);

    if (ret) {
        op->reason = PCI_SVM_DMA_STOPPED;
    }
    return ret;
}

static void op_advance(SVMDMAOp *op, uint64_t len)
{
    SVMDMACounters *stats = &op->engine->stats;

    stat64_add(op->is_write ? &stats->bytes_written : &stats->bytes_read, len);
    op->addr += len;
    op->len -= len;
    op->done += len;
    op->burst += len;
    op->tries = 0;
    op->group_max = 0;
    op->deadline = 0;
}

static int op_access_bounce(SVMDMAOp *op, size_t len)
{
    g_autofree void *bounce = g_malloc0(len);
    AddressSpace *as = op->engine->as;
    MemTxResult result = MEMTX_OK;
    int ret;

    if (!op->is_write) {
        result = address_space_read(as, op->translated, op->attrs, bounce,
                                    len);
    }
    ret = result == MEMTX_OK ? op_call(op, bounce, len) : 0;
    if (!ret && op->is_write) {
        result = address_space_write(as, op->translated, op->attrs, bounce,
                                     len);
    }
    return result == MEMTX_OK ? ret
                              : svm_dma_op_fail(op, PCI_SVM_DMA_BUS_ERROR);
}

/*
 * What is not RAM is accessed in the main loop, which has the BQL: nothing is
 * revoked meanwhile, unless by the access itself. An IOThread must not wait
 * for the BQL, whose holder may wait for the IOThread.
 */
static int coroutine_fn op_access_mmio(SVMDMAOp *op)
{
    PCISVMDMA *e = op->engine;
    size_t len = MIN(op->piece, SVM_DMA_BOUNCE);
    bool done = false;
    int ret;

    WITH_QEMU_LOCK_GUARD(&e->lock) {
        op_leave_locked(op);
    }
    aio_co_reschedule_self(qemu_get_aio_context());
    ret = svm_dma_op_check(op);
    if (!ret && !e->paused &&
        pci_atc_is_current(e->atc, op->ctx->pasid, &op->entry, op->ticket)) {
        trace_pci_svm_dma_mmio(e->name, op->ctx->pasid, op->addr,
                               op->translated, len, op->is_write);
        ret = op->job->flags & PCI_SVM_DMA_RAM
              ? svm_dma_op_fail(op, PCI_SVM_DMA_BUS_ERROR)
              : op_access_bounce(op, len);
        done = !ret;
    }
    aio_co_reschedule_self(op->home);
    WITH_QEMU_LOCK_GUARD(&e->lock) {
        op_return_locked(op);
    }
    if (done) {
        op_advance(op, len);
    }
    return ret;
}

/*
 * address_space_map() would read what is not RAM at once, under the BQL. So
 * this takes only RAM, and leaves the rest to op_access_mmio().
 */
static MemoryRegion *op_map(SVMDMAOp *op, hwaddr *len, void **host)
{
    MemoryRegion *mr;
    hwaddr offset;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(op->engine->as, op->translated, &offset, len,
                                 op->is_write, op->attrs);
    if (!memory_access_is_direct(mr, op->is_write, op->attrs)) {
        return NULL;
    }
    memory_region_ref(mr);
    *host = memory_region_get_ram_ptr(mr) + offset;
    return mr;
}

/* For a write: mark it dirty, and drop code that was translated from it. */
static void op_unmap(SVMDMAOp *op, MemoryRegion *mr, void *host, hwaddr len)
{
    if (op->is_write) {
        address_space_unmap(op->engine->as, host, len, true, len);
    } else {
        memory_region_unref(mr);
    }
}

/* Keep it, for whoever wants to access it later */
static int op_keep(SVMDMAOp *op, MemoryRegion *mr, void *host, hwaddr len)
{
    PCISVMDMA *e = op->engine;
    bool entered;

    WITH_QEMU_LOCK_GUARD(&e->lock) {
        entered = svm_dma_map_enter_locked(op, mr, host, len);
    }
    if (!entered) {
        memory_region_unref(mr);
    } else {
        op->len = 0;
    }
    return 0;
}

static int op_work_on(SVMDMAOp *op, MemoryRegion *mr, void *host, hwaddr len)
{
    int ret = op_call(op, host, len);

    op_unmap(op, mr, host, len);
    if (!ret) {
        op_advance(op, len);
    }
    return ret;
}

static int op_access_ram(SVMDMAOp *op, MemoryRegion *mr, void *host,
                         hwaddr len)
{
    hwaddr first = op->entry.iova & ~op->entry.addr_mask;
    hwaddr last = MAX(op->entry.iova | op->entry.addr_mask,
                      op->addr + (len - 1));
    PCISVMDMA *e = op->engine;
    PCIATCUse use;
    int ret;

    if (!pci_atc_use_begin_range(e->atc, &use, op->ctx->pasid, first, last,
                                 op->ticket)) {
        memory_region_unref(mr);
        return 0;
    }
    ret = op->job->map ? op_keep(op, mr, host, len)
                       : op_work_on(op, mr, host, len);
    pci_atc_use_end(e->atc, &use);
    return ret;
}

/* What one translation has of the next piece */
static hwaddr op_entry_len(const SVMDMAOp *op)
{
    hwaddr mask = op->entry.addr_mask;

    return MIN(MIN(op->len - 1, mask - (op->addr & mask)),
               PCI_SVM_DMA_PIECE_MAX - 1) + 1;
}

/* The next piece: what is translated to memory in one block */
static hwaddr op_piece_len(const SVMDMAOp *op)
{
    PCISVMDMA *e = op->engine;
    unsigned hits;
    hwaddr len;

    if (op->job->map) {
        return op_entry_len(op);
    }
    len = pci_atc_extend(e->atc, op->ctx->pasid, op->addr, &op->entry, op->need,
                         MIN(op->len, PCI_SVM_DMA_PIECE_MAX), &hits);
    if (hits) {
        stat64_add(&e->stats.atc_hits, hits);
    }
    return len;
}

/*
 * Returns 0 also when the translation was revoked, and nothing was done.
 *
 * What owns the memory may be unplugged meanwhile. Its end is for the BQL's
 * holder: RCU sees to it that the reference is not the last one.
 */
static int op_access(SVMDMAOp *op)
{
    hwaddr mask = op->entry.addr_mask;
    hwaddr offset = op->addr & mask;
    MemoryRegion *mr;
    hwaddr len;
    void *host;

    RCU_READ_LOCK_GUARD();
    op->translated = (op->entry.translated_addr & ~mask) | offset;
    op->piece = op_piece_len(op);
    trace_pci_svm_dma_access(op->engine->name, op->ctx->pasid,
                             op->addr, op->translated, op->piece, op->is_write);
    len = op->piece;
    mr = op_map(op, &len, &host);
    if (mr) {
        return op_access_ram(op, mr, host, len);
    }
    if (op->job->map) {
        return svm_dma_op_fail(op, PCI_SVM_DMA_BUS_ERROR);
    }
    op->piece = op_entry_len(op);
    op->pending = PENDING_MMIO;
    return 0;
}

/* The operation as a whole */

static int op_step(SVMDMAOp *op)
{
    int ret = svm_dma_op_check(op) ?: op_translate(op);

    if (ret || op->pending != PENDING_NONE) {
        return ret;
    }
    /*
     * A state change revokes all after it made svm_dma_op_check() fail, so this
     * must come after the ticket, and before the ticket is checked.
     */
    return svm_dma_op_check(op) ?: op_access(op);
}

static int op_work(SVMDMAOp *op)
{
    int ret = 0;

    op->pending = PENDING_NONE;
    while (op->len && !ret && op->pending == PENDING_NONE) {
        op->burst += SVM_DMA_STEP;
        if (op->burst >= SVM_DMA_BURST || qatomic_read(&op->engine->paused)) {
            op->pending = PENDING_YIELD;
        } else {
            ret = op_step(op);
        }
    }
    return ret;
}

static bool op_may_work_locked(const SVMDMAOp *op)
{
    return !op->engine->paused && svm_dma_op_status(op) == PCI_SVM_DMA_OK;
}

/* In place of the main loop, which has the BQL. Workers do not know of RCU. */
static int op_work_in_thread(void *opaque)
{
    SVMDMAOp *op = opaque;
    int ret;

    op->pending = PENDING_YIELD;
    WITH_QEMU_LOCK_GUARD(&op->engine->lock) {
        if (!op_may_work_locked(op)) {
            return 0;
        }
        op_set_busy_locked(op);
    }
    rcu_register_thread();
    ret = op_work(op);
    rcu_unregister_thread();
    WITH_QEMU_LOCK_GUARD(&op->engine->lock) {
        op_set_idle_locked(op);
    }
    return ret;
}

static int coroutine_fn op_do(SVMDMAOp *op)
{
    switch (op->pending) {
    case PENDING_YIELD:
        return op_rest(op);
    case PENDING_PAGES:
        op->asked = true;
        return svm_dma_op_ask(op);
    case PENDING_MMIO:
        return op_access_mmio(op);
    default:
        return 0;
    }
}

static bool op_next_range(SVMDMAOp *op)
{
    const PCISVMDMARange *range;

    if (op->next_range == op->job->count) {
        return false;
    }
    range = &op->job->ranges[op->next_range++];
    op->addr = range->addr;
    op->len = range->len;
    return true;
}

/* Nothing cannot be mapped, but well be read. */
static bool op_may_access(const SVMDMAOp *op, const PCISVMDMARange *range)
{
    if (!range->len) {
        return !op->job->map;
    }
    return range->addr + (range->len - 1) >= range->addr;
}

/* Refuse it as a whole, at the first address that is out of the question. */
static int op_check_ranges(SVMDMAOp *op)
{
    uint64_t room = op->job->room;

    for (size_t i = 0; i < op->job->count; i++) {
        const PCISVMDMARange *range = &op->job->ranges[i];

        op->addr = range->addr;
        if (!op_may_access(op, range)) {
            return svm_dma_op_fail(op, PCI_SVM_DMA_UNMAPPED);
        }
        if (range->len > room) {
            op->addr += room;
            return svm_dma_op_fail(op, PCI_SVM_DMA_NO_ROOM);
        }
        room -= range->len;
        op->total += range->len;
    }
    return 0;
}

static int coroutine_fn op_run(SVMDMAOp *op)
{
    int ret = svm_dma_op_check(op) ?: op_check_ranges(op);

    while (!ret && (op->len || op_next_range(op))) {
        op->pending = PENDING_NONE;
        if (op->len) {
            ret = op_is_in_main_loop(op)
                  ? thread_pool_submit_co(op_work_in_thread, op)
                  : op_work(op);
        }
        ret = ret ?: op_do(op);
    }
    return ret;
}

static IOMMUAccessFlags op_needs(const SVMDMAJob *job)
{
    return IOMMU_ACCESS_FLAG_FULL(!job->is_write, job->is_write,
                                  job->flags & PCI_SVM_DMA_EXEC,
                                  job->flags & PCI_SVM_DMA_PRIV, 0, 0);
}

static void op_init(SVMDMAOp *op, const SVMDMAJob *job)
{
    op->job = job;
    op->engine = job->ctx->engine;
    op->ctx = job->ctx;
    op->is_write = job->is_write;
    op->priv = job->flags & PCI_SVM_DMA_PRIV;
    op->exec = job->flags & PCI_SVM_DMA_EXEC;
    op->need = op_needs(job);
    op->next_range = 0;
    op->addr = job->count ? job->ranges[0].addr : 0;
    op->len = 0;
    op->total = 0;
    op->done = 0;
    op->burst = 0;
    op->reason = PCI_SVM_DMA_OK;
    op->asked = false;
    op->tries = 0;
    op->group_max = job->map ? 1 : 0;
    op->deadline = 0;
    op->busy = false;
    op->sending = false;
    op->parked = NULL;
    op->answer = ANSWER_NONE;
}

static void op_begin(SVMDMAOp *op)
{
    PCISVMDMA *e = op->engine;

    pci_svm_dma_ref(op->ctx);
    op->home = qemu_get_current_aio_context();
    aio_timer_init(op->home, &op->timer, QEMU_CLOCK_VIRTUAL, SCALE_NS,
                   op_timer_expired, op);
    QEMU_LOCK_GUARD(&e->lock);
    op->epoch = e->epoch;
    op->cancelled = op->ctx->closed;
    if (op->job->req && svm_dma_request_begin_locked(op->job->req, op)) {
        op->cancelled = true;
    }
    QLIST_INSERT_HEAD(&e->ops, op, next);
    op_return_locked(op);
    if (!op->cancelled) {
        op->attrs = (MemTxAttrs) {
            .requester_id = pci_requester_id(e->dev),
            .address_type = PCI_AT_TRANSLATED,
        };
    }
}

static void op_end(SVMDMAOp *op)
{
    WITH_QEMU_LOCK_GUARD(&op->engine->lock) {
        QLIST_REMOVE(op, next);
        op_leave_locked(op);
        if (op->job->req) {
            svm_dma_request_end_locked(op->job->req);
        }
    }
    pci_svm_dma_unref(op->ctx);
}

int coroutine_fn svm_dma_run(const SVMDMAJob *job, PCISVMDMAError *err)
{
    SVMDMAOp op;
    int ret;

    op_init(&op, job);
    op_begin(&op);
    ret = op_run(&op);
    if (err) {
        *err = (PCISVMDMAError) {
            .addr = op.addr, .reason = op.reason, .done = op.done,
        };
    }
    trace_pci_svm_dma_end(op.engine->name, job->ctx->pasid,
                          job->count ? job->ranges[0].addr : 0, op.total,
                          op.is_write, op.addr, op.reason);
    op_end(&op);
    return ret;
}

/* Vectors */

/* Up to @len bytes at the cursor, which moves behind them */
static size_t svm_dma_cursor_take(SVMDMACursor *cursor, size_t len,
                                  void **base)
{
    size_t n;

    while (cursor->offset == cursor->iov->iov_len) {
        cursor->iov++;
        cursor->offset = 0;
    }
    *base = cursor->iov->iov_base + cursor->offset;
    n = MIN(len, cursor->iov->iov_len - cursor->offset);
    cursor->offset += n;
    return n;
}

int svm_dma_copy_in(void *host, size_t len, void *opaque)
{
    void *base;

    while (len) {
        size_t n = svm_dma_cursor_take(opaque, len, &base);

        memcpy(base, host, n);
        host += n;
        len -= n;
    }
    return 0;
}

int svm_dma_copy_out(void *host, size_t len, void *opaque)
{
    void *base;

    while (len) {
        size_t n = svm_dma_cursor_take(opaque, len, &base);

        memcpy(host, base, n);
        host += n;
        len -= n;
    }
    return 0;
}

/* The coroutine interface */

int coroutine_fn pci_svm_dma_co_walk(PCISVMDMAContext *ctx, uint64_t addr,
                                     uint64_t len, bool is_write,
                                     unsigned flags, PCISVMDMAFunc *fn,
                                     void *opaque, PCISVMDMAError *err)
{
    const PCISVMDMARange range = { addr, len };
    const SVMDMAJob job = {
        .ctx = ctx, .ranges = &range, .count = 1, .room = UINT64_MAX,
        .is_write = is_write, .flags = flags, .fn = fn, .opaque = opaque,
    };

    return svm_dma_run(&job, err);
}

static int coroutine_fn svm_dma_co_vector(PCISVMDMAContext *ctx,
                                          const PCISVMDMARange *ranges,
                                          size_t count, QEMUIOVector *qiov,
                                          bool is_write, unsigned flags,
                                          PCISVMDMAError *err)
{
    SVMDMACursor cursor = { .iov = qiov->iov };
    const SVMDMAJob job = {
        .ctx = ctx, .ranges = ranges, .count = count, .room = qiov->size,
        .is_write = is_write, .flags = flags, .opaque = &cursor,
        .fn = is_write ? svm_dma_copy_out : svm_dma_copy_in,
    };

    return svm_dma_run(&job, err);
}

int coroutine_fn pci_svm_dma_co_readv(PCISVMDMAContext *ctx,
                                      const PCISVMDMARange *ranges,
                                      size_t count, QEMUIOVector *qiov,
                                      unsigned flags, PCISVMDMAError *err)
{
    return svm_dma_co_vector(ctx, ranges, count, qiov, false, flags, err);
}

int coroutine_fn pci_svm_dma_co_writev(PCISVMDMAContext *ctx,
                                       const PCISVMDMARange *ranges,
                                       size_t count, QEMUIOVector *qiov,
                                       unsigned flags, PCISVMDMAError *err)
{
    return svm_dma_co_vector(ctx, ranges, count, qiov, true, flags, err);
}

int coroutine_fn pci_svm_dma_co_read(PCISVMDMAContext *ctx, uint64_t addr,
                                     void *buf, size_t len, unsigned flags,
                                     PCISVMDMAError *err)
{
    QEMUIOVector qiov = QEMU_IOVEC_INIT_BUF(qiov, buf, len);
    const PCISVMDMARange range = { addr, len };

    return pci_svm_dma_co_readv(ctx, &range, 1, &qiov, flags, err);
}

int coroutine_fn pci_svm_dma_co_write(PCISVMDMAContext *ctx, uint64_t addr,
                                      const void *buf, size_t len,
                                      unsigned flags, PCISVMDMAError *err)
{
    QEMUIOVector qiov = QEMU_IOVEC_INIT_BUF(qiov, (void *)buf, len);
    const PCISVMDMARange range = { addr, len };

    return pci_svm_dma_co_writev(ctx, &range, 1, &qiov, flags, err);
}
