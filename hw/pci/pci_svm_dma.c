/*
 * DMA to the memory of a guest's processes: cache, translation requests, page
 * requests, pre-translated accesses
 *
 * PCIe Base Specification r6.0, chapter 10 and section 6.20.
 *
 * Locks, in the order in which they are taken: BQL, PCISVMDMA.lock, nothing.
 * The engine's lock is not held across any call of pci_svm.h or pci_atc.h:
 * these lead to locks under which our own notifiers are called.
 *
 * An operation is busy, or it waits. While it is busy it takes neither the BQL
 * nor a lock that is held by those who want the BQL, so whoever holds the BQL
 * may wait until it is no longer busy. All waiting is in op_wait_locked() and
 * op_access_mmio().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/coroutine.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/stats64.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "block/aio.h"
#include "hw/pci/pci_atc.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_svm_dma.h"
#include "hw/pci/pcie.h"
#include "system/runstate.h"
#include "trace.h"

/* Results of one translation request: how far it may read ahead */
#define SVM_DMA_WINDOW 128

/* Page requests in a group */
#define SVM_DMA_GROUP_MAX 32

#define SVM_DMA_GROUPS (PCI_PRI_PRGI_MASK + 1)

/* Pause before a page request that found no room is sent again */
#define SVM_DMA_HOLDOFF_NS (1 * SCALE_MS)

/* Bytes after which an operation lets others in its AioContext run */
#define SVM_DMA_BURST (2 * MiB)

/* What a step costs at least, in terms of SVM_DMA_BURST */
#define SVM_DMA_STEP (4 * KiB)

/* Bytes of an access to memory that is not RAM */
#define SVM_DMA_BOUNCE (4 * KiB)

#define FOREVER (-1)

typedef struct SVMDMAOp SVMDMAOp;

/* What has become of an operation's page request group */
typedef enum SVMDMAAnswer {
    ANSWER_NONE,
    ANSWER_SUCCESS,
    ANSWER_INVALID,
    ANSWER_FAILURE,
    ANSWER_LOST,        /* PRI was disabled */
} SVMDMAAnswer;

/*
 * A PASID whose notifiers are registered: that of invalidations while there
 * are contexts, that of responses until the last group is answered.
 */
typedef struct SVMDMAPasid {
    PCISVMDMA *engine;
    uint32_t pasid;
    IOMMUNotifier iotlb;
    IOMMUPRINotifier pri;
    unsigned contexts;
    unsigned groups;
} SVMDMAPasid;

/* A page request group that has an index; @op is NULL once nobody waits. */
typedef struct SVMDMAGroup {
    SVMDMAPasid *pasid;
    SVMDMAOp *op;
    uint32_t credits;
} SVMDMAGroup;

/* The members of PCISVMDMAStats */
#define SVM_DMA_FOR_EACH_STAT(X) \
    X(ats_requests) \
    X(ats_results) \
    X(ats_holes) \
    X(atc_hits) \
    X(atc_misses) \
    X(page_requests) \
    X(page_groups) \
    X(resp_success) \
    X(resp_invalid) \
    X(resp_failure) \
    X(refused) \
    X(invalidations) \
    X(revoked) \
    X(bytes_read) \
    X(bytes_written)

typedef struct SVMDMACounters {
#define COUNTER(name) Stat64 name;
    SVM_DMA_FOR_EACH_STAT(COUNTER)
#undef COUNTER
} SVMDMACounters;

struct PCISVMDMA {
    PCIDevice *dev;
    AddressSpace *as;
    PCIATC *atc;
    uint32_t page_size;
    unsigned refs;
    SVMDMACounters stats;
    Notifier state_notifier;
    VMChangeStateEntry *vm_state;
    unsigned enables;           /* as the state notifier last saw them */
    GHashTable *pasids;

    QemuMutex lock;             /* the members below */
    QemuCond idle;
    unsigned busy;              /* operations */
    bool dead;
    bool paused;                /* the VM is stopped; read without the lock */
    unsigned epoch;             /* likewise */
    QLIST_HEAD(, PCISVMDMAContext) contexts;
    QLIST_HEAD(, SVMDMAOp) ops;
    QTAILQ_HEAD(, SVMDMAOp) credit_queue;
    uint32_t credits_used;
    unsigned groups_used;
    unsigned next_prgi;
    SVMDMAGroup groups[SVM_DMA_GROUPS];
};

struct PCISVMDMAContext {
    PCISVMDMA *engine;
    SVMDMAPasid *pasid_use;     /* valid until the context is closed */
    uint32_t pasid;
    unsigned refs;
    unsigned busy;              /* operations; engine's lock */
    bool closed;                /* written with the engine's lock held */
    QLIST_ENTRY(PCISVMDMAContext) next;
};

/* An operation; lives on its coroutine's stack. */
struct SVMDMAOp {
    PCISVMDMA *engine;
    PCISVMDMAContext *ctx;
    AioContext *home;
    unsigned epoch;
    bool is_write;
    bool priv;
    bool exec;
    IOMMUAccessFlags need;
    MemTxAttrs attrs;
    PCISVMDMAFunc *fn;
    void *opaque;

    uint64_t addr;              /* of the bytes that are left */
    uint64_t len;
    uint64_t burst;             /* done since others were let run */
    PCISVMDMAReason reason;

    /* The engine's lock */
    Coroutine *parked;
    QEMUTimer timer;
    SVMDMAAnswer answer;
    QLIST_ENTRY(SVMDMAOp) next;
    QTAILQ_ENTRY(SVMDMAOp) next_credit;

    IOMMUTLBEntry results[SVM_DMA_WINDOW];
};

static const int svm_dma_errno[] = {
    [PCI_SVM_DMA_OK] = 0,
    [PCI_SVM_DMA_UNMAPPED] = -EFAULT,
    [PCI_SVM_DMA_PERMISSION] = -EACCES,
    [PCI_SVM_DMA_RESPONSE_FAILURE] = -EIO,
    [PCI_SVM_DMA_RETRIES_EXHAUSTED] = -ETIMEDOUT,
    [PCI_SVM_DMA_DISABLED] = -EPERM,
    [PCI_SVM_DMA_CANCELLED] = -ECANCELED,
    [PCI_SVM_DMA_BUS_ERROR] = -EIO,
};

/* References */

static void svm_dma_unref_engine(PCISVMDMA *e)
{
    if (qatomic_fetch_dec(&e->refs) > 1) {
        return;
    }
    pci_atc_free(e->atc);
    g_hash_table_destroy(e->pasids);
    qemu_cond_destroy(&e->idle);
    qemu_mutex_destroy(&e->lock);
    g_free(e);
}

PCISVMDMAContext *pci_svm_dma_ref(PCISVMDMAContext *ctx)
{
    qatomic_inc(&ctx->refs);
    return ctx;
}

void pci_svm_dma_unref(PCISVMDMAContext *ctx)
{
    if (qatomic_fetch_dec(&ctx->refs) > 1) {
        return;
    }
    svm_dma_unref_engine(ctx->engine);
    g_free(ctx);
}

/* Operations: being busy and waiting */

static PCISVMDMAReason op_status(const SVMDMAOp *op)
{
    if (qatomic_read(&op->ctx->closed)) {
        return PCI_SVM_DMA_CANCELLED;
    }
    if (qatomic_read(&op->engine->epoch) != op->epoch) {
        return PCI_SVM_DMA_DISABLED;
    }
    return PCI_SVM_DMA_OK;
}

/* A reason that concerns the whole operation is also behind other failures. */
static int op_fail(SVMDMAOp *op, PCISVMDMAReason reason)
{
    PCISVMDMAReason status = op_status(op);

    op->reason = status == PCI_SVM_DMA_OK ? reason : status;
    return svm_dma_errno[op->reason];
}

static int op_check(SVMDMAOp *op)
{
    return op_fail(op, PCI_SVM_DMA_OK);
}

static void op_set_busy_locked(SVMDMAOp *op)
{
    op->engine->busy++;
    op->ctx->busy++;
}

static void op_set_idle_locked(SVMDMAOp *op)
{
    op->engine->busy--;
    if (--op->ctx->busy == 0) {
        qemu_cond_broadcast(&op->engine->idle);
    }
}

/*
 * Always by way of its AioContext's bottom half: a notifier must not be
 * re-entered by the coroutine that it wakes.
 */
static void op_wake_locked(SVMDMAOp *op)
{
    Coroutine *co = g_steal_pointer(&op->parked);

    if (co) {
        aio_co_schedule(op->home, co);
    }
}

static void op_timer_expired(void *opaque)
{
    SVMDMAOp *op = opaque;

    QEMU_LOCK_GUARD(&op->engine->lock);
    op_wake_locked(op);
}

/*
 * Wait to be woken, for @ns at most, and as long as the VM is stopped. Wakes
 * may be spurious. The operation is not busy meanwhile. If op_status() is bad
 * afterwards the operation must not do more than to clean up.
 */
static void coroutine_fn op_wait_locked(SVMDMAOp *op, int64_t ns)
{
    PCISVMDMA *e = op->engine;

    op_set_idle_locked(op);
    if (ns > 0) {
        timer_mod(&op->timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + ns);
    }
    do {
        op->parked = qemu_coroutine_self();
        if (ns == 0 && !e->paused) {
            op_wake_locked(op);
        }
        qemu_mutex_unlock(&e->lock);
        qemu_coroutine_yield();
        qemu_mutex_lock(&e->lock);
    } while (e->paused && op_status(op) == PCI_SVM_DMA_OK);
    timer_del(&op->timer);
    op_set_busy_locked(op);
}

/* Between steps: let others run now and then, and the VM stop. */
static int coroutine_fn op_rest(SVMDMAOp *op)
{
    PCISVMDMA *e = op->engine;

    op->burst += SVM_DMA_STEP;
    if (op->burst >= SVM_DMA_BURST || qatomic_read(&e->paused)) {
        op->burst = 0;
        qemu_mutex_lock(&e->lock);
        op_wait_locked(op, 0);
        qemu_mutex_unlock(&e->lock);
    }
    return op_check(op);
}

static void svm_dma_wake_all_locked(PCISVMDMA *e)
{
    SVMDMAOp *op;

    QLIST_FOREACH(op, &e->ops, next) {
        op_wake_locked(op);
    }
}

/* Page request groups and credits */

static bool svm_dma_has_credit_locked(PCISVMDMA *e, uint32_t alloc)
{
    return e->credits_used < alloc && e->groups_used < SVM_DMA_GROUPS;
}

static void svm_dma_wake_credit_locked(PCISVMDMA *e)
{
    SVMDMAOp *op = QTAILQ_FIRST(&e->credit_queue);

    if (op) {
        op_wake_locked(op);
    }
}

static void svm_dma_collect_pasids(void *opaque);

static void svm_dma_put_group_locked(PCISVMDMA *e, SVMDMAGroup *group)
{
    SVMDMAPasid *p = group->pasid;

    e->credits_used -= group->credits;
    e->groups_used--;
    *group = (SVMDMAGroup) { };
    if (--p->groups == 0 && !p->contexts) {
        /* This may be its notifier, which cannot be unregistered here. */
        qatomic_inc(&e->refs);
        aio_bh_schedule_oneshot(qemu_get_aio_context(),
                                svm_dma_collect_pasids, e);
    }
    svm_dma_wake_credit_locked(e);
}

static void svm_dma_answer_locked(PCISVMDMA *e, SVMDMAGroup *group,
                                  SVMDMAAnswer answer)
{
    if (group->op) {
        group->op->answer = answer;
        op_wake_locked(group->op);
    }
    svm_dma_put_group_locked(e, group);
}

static void svm_dma_lose_groups_locked(PCISVMDMA *e)
{
    for (int i = 0; i < SVM_DMA_GROUPS; i++) {
        if (e->groups[i].pasid) {
            svm_dma_answer_locked(e, &e->groups[i], ANSWER_LOST);
        }
    }
}

/*
 * Indices are used in turn: one that was abandoned while PRI was disabled may
 * still be outstanding for the host.
 */
static unsigned svm_dma_find_prgi_locked(PCISVMDMA *e)
{
    while (e->groups[e->next_prgi % SVM_DMA_GROUPS].pasid) {
        e->next_prgi++;
    }
    return e->next_prgi++ % SVM_DMA_GROUPS;
}

static SVMDMAGroup *op_new_group_locked(SVMDMAOp *op, uint32_t credits)
{
    PCISVMDMA *e = op->engine;
    SVMDMAGroup *group = &e->groups[svm_dma_find_prgi_locked(e)];

    *group = (SVMDMAGroup) {
        .pasid = op->ctx->pasid_use, .op = op, .credits = credits,
    };
    group->pasid->groups++;
    e->groups_used++;
    e->credits_used += credits;
    op->answer = ANSWER_NONE;
    return group;
}

static bool op_may_ask(SVMDMAOp *op, uint32_t *alloc)
{
    *alloc = op_status(op) == PCI_SVM_DMA_OK
             ? pcie_pri_get_req_alloc(op->engine->dev) : 0;
    return *alloc;
}

/*
 * Wait for credits, first come first served. Returns NULL after a failure;
 * else at least one credit, and at most *@count, which is set to that.
 */
static SVMDMAGroup * coroutine_fn op_get_group(SVMDMAOp *op, unsigned *count)
{
    PCISVMDMA *e = op->engine;
    SVMDMAGroup *group = NULL;
    uint32_t alloc;

    QEMU_LOCK_GUARD(&e->lock);
    QTAILQ_INSERT_TAIL(&e->credit_queue, op, next_credit);
    while (op_may_ask(op, &alloc) &&
           (QTAILQ_FIRST(&e->credit_queue) != op ||
            !svm_dma_has_credit_locked(e, alloc))) {
        op_wait_locked(op, FOREVER);
    }
    if (alloc) {
        *count = MIN(*count, alloc - e->credits_used);
        group = op_new_group_locked(op, *count);
    }
    QTAILQ_REMOVE(&e->credit_queue, op, next_credit);
    svm_dma_wake_credit_locked(e);
    return group;
}

/* Give up a group that was not sent, or that nobody can complete any more. */
static void op_put_group(SVMDMAOp *op, SVMDMAGroup *group)
{
    QEMU_LOCK_GUARD(&op->engine->lock);
    if (op->answer == ANSWER_NONE) {
        svm_dma_put_group_locked(op->engine, group);
    }
}

/*
 * Wait for room in the host's queue. Returns false when a request is out of
 * the question. Does not look at op_status(): see op_send_group().
 */
static bool coroutine_fn op_hold_off(SVMDMAOp *op)
{
    PCISVMDMA *e = op->engine;

    QEMU_LOCK_GUARD(&e->lock);
    do {
        if (op->answer == ANSWER_NONE && !e->dead) {
            op_wait_locked(op, SVM_DMA_HOLDOFF_NS);
        }
    } while (e->paused && op->answer == ANSWER_NONE && !e->dead);
    return op->answer == ANSWER_NONE && !e->dead;
}

static int op_send_page(SVMDMAOp *op, uint64_t page, bool last, uint16_t prgi)
{
    PCISVMDMA *e = op->engine;
    int ret = pci_pri_request_page(e->dev, op->ctx->pasid, op->priv, op->exec,
                                   page, last, prgi, true, op->is_write);

    stat64_add(ret ? &e->stats.refused : &e->stats.page_requests, 1);
    return ret;
}

static bool svm_dma_is_busy_errno(int ret)
{
    return ret == -ENOSPC || ret == -EBUSY;
}

/*
 * Returns 0 when the whole group was sent. Once its first request is out the
 * group is completed, even if the operation ends: the host keeps it until it
 * has seen the last request (PCIe r6.0, 6.20.1).
 */
static int coroutine_fn op_send_group(SVMDMAOp *op, uint16_t prgi,
                                      const uint64_t *pages, unsigned count)
{
    unsigned sent = 0;
    bool last;
    int ret;

    do {
        last = sent == count - 1 ||
               (sent && op_status(op) != PCI_SVM_DMA_OK);
        ret = op_send_page(op, pages[sent], last, prgi);
        if (!ret) {
            sent++;
        } else if (!sent || !svm_dma_is_busy_errno(ret)) {
            return ret;
        } else if (!op_hold_off(op)) {
            return -EPERM;
        }
    } while (ret || !last);
    return 0;
}

/* If the operation ends first the group lives on until it is answered. */
static SVMDMAAnswer coroutine_fn op_wait_answer(SVMDMAOp *op,
                                                SVMDMAGroup *group)
{
    QEMU_LOCK_GUARD(&op->engine->lock);
    while (op->answer == ANSWER_NONE && op_status(op) == PCI_SVM_DMA_OK) {
        op_wait_locked(op, FOREVER);
    }
    if (op->answer == ANSWER_NONE) {
        group->op = NULL;
    }
    return op->answer;
}

/* Translation */

static bool op_is_granted(const SVMDMAOp *op, const IOMMUTLBEntry *entry)
{
    return (entry->perm & op->need) == op->need &&
           !(entry->perm & IOMMU_UNTRANSLATED_ONLY);
}

/* Returns the number of results, which are in @op->results, or an error. */
static ssize_t op_request_translation(SVMDMAOp *op, PCIATCTicket ticket)
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
        return op_fail(op, PCI_SVM_DMA_DISABLED);
    }
    stat64_add(&e->stats.ats_requests, 1);
    stat64_add(&e->stats.ats_results, n - MIN(errors, n));
    stat64_add(&e->stats.ats_holes, errors);
    pci_atc_insert(e->atc, op->ctx->pasid, op->results, n, ticket);
    return n;
}

static const IOMMUTLBEntry *op_find_result(const SVMDMAOp *op, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const IOMMUTLBEntry *entry = &op->results[i];

        if ((op->addr & ~entry->addr_mask) ==
            (entry->iova & ~entry->addr_mask)) {
            return entry;
        }
    }
    return NULL;
}

/* The pages that the results say are missing, up to @max of them */
static unsigned op_list_missing(const SVMDMAOp *op, size_t n, uint64_t *pages,
                                unsigned max)
{
    uint64_t page_size = op->engine->page_size;
    uint64_t op_last = op->addr + (op->len - 1);
    unsigned count = 0;

    for (size_t i = 0; i < n && count < max; i++) {
        const IOMMUTLBEntry *entry = &op->results[i];
        uint64_t first = MAX(entry->iova & ~entry->addr_mask,
                             op->addr & ~(page_size - 1));
        uint64_t last = MIN(entry->iova | entry->addr_mask, op_last);

        if (op_is_granted(op, entry) || first > last) {
            continue;
        }
        do {
            pages[count++] = first;
            first += page_size;
        } while (count < max && first - 1 < last);
    }
    return count;
}

/*
 * Ask the OS for the pages that are missing among @n results, in one group of
 * at most *@count, and wait. *@count is set to the number that was asked for.
 * Returns -EAGAIN when nothing could be sent now.
 */
static int coroutine_fn op_request_pages(SVMDMAOp *op, size_t n,
                                         unsigned *count,
                                         SVMDMAAnswer *answer)
{
    PCISVMDMA *e = op->engine;
    uint64_t pages[SVM_DMA_GROUP_MAX];
    SVMDMAGroup *group;
    uint16_t prgi;
    int ret;

    *count = op_list_missing(op, n, pages, *count);
    group = op_get_group(op, count);
    if (!group) {
        return op_fail(op, PCI_SVM_DMA_DISABLED);
    }
    prgi = group - e->groups;
    trace_pci_svm_dma_page_group(e->dev->name, op->ctx->pasid, prgi, pages[0],
                                 *count, op->is_write);
    ret = op_send_group(op, prgi, pages, *count);
    if (ret) {
        op_put_group(op, group);
        op->answer = ANSWER_NONE;
        if (svm_dma_is_busy_errno(ret) && op_hold_off(op)) {
            return op_check(op) ?: -EAGAIN;
        }
        return op_fail(op, PCI_SVM_DMA_DISABLED);
    }
    *answer = op_wait_answer(op, group);
    return op_check(op);
}

static int op_fail_access(SVMDMAOp *op, const IOMMUTLBEntry *entry)
{
    return op_fail(op, entry->perm & IOMMU_RW ? PCI_SVM_DMA_PERMISSION
                                              : PCI_SVM_DMA_UNMAPPED);
}

/*
 * The OS was asked for @count pages because of @entry. Returns 0 to translate
 * again, after which *@max pages may be asked for.
 */
static int op_handle_answer(SVMDMAOp *op, const IOMMUTLBEntry *entry,
                            SVMDMAAnswer answer, unsigned count,
                            unsigned *max)
{
    switch (answer) {
    case ANSWER_SUCCESS:
        return 0;
    case ANSWER_INVALID:
        if (count == 1) {
            return op_fail_access(op, entry);
        }
        /* It need not have been the first page: ask for that alone. */
        *max = 1;
        return 0;
    case ANSWER_FAILURE:
        return op_fail(op, PCI_SVM_DMA_RESPONSE_FAILURE);
    default:
        return op_fail(op, PCI_SVM_DMA_DISABLED);
    }
}

/* Translate op->addr, with the OS's help if need be. */
static int coroutine_fn op_resolve(SVMDMAOp *op, IOMMUTLBEntry *entry,
                                   PCIATCTicket *ticket)
{
    PCISVMDMA *e = op->engine;
    unsigned max = SVM_DMA_GROUP_MAX;
    SVMDMAAnswer answer;
    unsigned tries = 0;

    for (;;) {
        const IOMMUTLBEntry *found;
        unsigned count = max;
        ssize_t n;
        int ret;

        *ticket = pci_atc_get_ticket(e->atc);
        n = op_request_translation(op, *ticket);
        if (n < 0) {
            return n;
        }
        found = op_find_result(op, n);
        if (!found) {
            return op_fail(op, PCI_SVM_DMA_DISABLED);
        }
        *entry = *found;
        if (op_is_granted(op, entry)) {
            return 0;
        }
        if (!pcie_pri_enabled(e->dev)) {
            return op_fail_access(op, entry);
        }
        if (tries == PCI_SVM_DMA_RETRIES) {
            return op_fail(op, PCI_SVM_DMA_RETRIES_EXHAUSTED);
        }
        ret = op_request_pages(op, n, &count, &answer);
        if (!ret) {
            tries++;
            ret = op_handle_answer(op, entry, answer, count, &max);
        }
        if (ret && ret != -EAGAIN) {
            return ret;
        }
    }
}

static int coroutine_fn op_translate(SVMDMAOp *op, IOMMUTLBEntry *entry,
                                     PCIATCTicket *ticket)
{
    PCISVMDMA *e = op->engine;

    if (pci_atc_lookup(e->atc, op->ctx->pasid, op->addr, op->need, entry,
                       ticket)) {
        stat64_add(&e->stats.atc_hits, 1);
        return 0;
    }
    stat64_add(&e->stats.atc_misses, 1);
    return op_resolve(op, entry, ticket);
}

/* Access */

static int op_call(SVMDMAOp *op, void *host, size_t len)
{
    int ret = op->fn(host, len, op->opaque);

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
    op->burst += len;
}

static int op_access_bounce(SVMDMAOp *op, hwaddr translated, size_t len)
{
    g_autofree void *bounce = g_malloc0(len);
    AddressSpace *as = op->engine->as;
    MemTxResult result = MEMTX_OK;
    int ret;

    if (!op->is_write) {
        result = address_space_read(as, translated, op->attrs, bounce, len);
    }
    ret = result == MEMTX_OK ? op_call(op, bounce, len) : 0;
    if (!ret && op->is_write) {
        result = address_space_write(as, translated, op->attrs, bounce, len);
    }
    return result == MEMTX_OK ? ret : op_fail(op, PCI_SVM_DMA_BUS_ERROR);
}

/*
 * What is not RAM is accessed in the main loop, which has the BQL: nothing is
 * revoked meanwhile, unless by the access itself. An IOThread must not wait
 * for the BQL, whose holder may wait for the IOThread.
 */
static int coroutine_fn op_access_mmio(SVMDMAOp *op,
                                       const IOMMUTLBEntry *entry,
                                       PCIATCTicket ticket, hwaddr translated,
                                       size_t len)
{
    PCISVMDMA *e = op->engine;
    bool done = false;
    int ret;

    len = MIN(len, SVM_DMA_BOUNCE);
    WITH_QEMU_LOCK_GUARD(&e->lock) {
        op_set_idle_locked(op);
    }
    aio_co_reschedule_self(qemu_get_aio_context());
    ret = op_check(op);
    if (!ret && !e->paused &&
        pci_atc_is_current(e->atc, op->ctx->pasid, entry, ticket)) {
        trace_pci_svm_dma_mmio(e->dev->name, op->ctx->pasid, op->addr,
                               translated, len, op->is_write);
        ret = op_access_bounce(op, translated, len);
        done = !ret;
    }
    aio_co_reschedule_self(op->home);
    WITH_QEMU_LOCK_GUARD(&e->lock) {
        op_set_busy_locked(op);
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
static MemoryRegion *op_map(SVMDMAOp *op, hwaddr translated, hwaddr *len,
                            void **host)
{
    MemoryRegion *mr;
    hwaddr offset;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(op->engine->as, translated, &offset, len,
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

static int op_access_ram(SVMDMAOp *op, const IOMMUTLBEntry *entry,
                         PCIATCTicket ticket, MemoryRegion *mr, void *host,
                         hwaddr len)
{
    PCISVMDMA *e = op->engine;
    PCIATCUse use;
    int ret;

    if (!pci_atc_use_begin(e->atc, &use, op->ctx->pasid, entry, ticket)) {
        memory_region_unref(mr);
        return 0;
    }
    ret = op_call(op, host, len);
    op_unmap(op, mr, host, len);
    pci_atc_use_end(e->atc, &use);
    if (!ret) {
        op_advance(op, len);
    }
    return ret;
}

/* Returns 0 also when the translation was revoked, and nothing was done. */
static int coroutine_fn op_access(SVMDMAOp *op, const IOMMUTLBEntry *entry,
                                  PCIATCTicket ticket)
{
    hwaddr offset = op->addr & entry->addr_mask;
    hwaddr translated = (entry->translated_addr & ~entry->addr_mask) | offset;
    hwaddr len = MIN(MIN(op->len - 1, entry->addr_mask - offset),
                     PCI_SVM_DMA_PIECE_MAX - 1) + 1;
    hwaddr mapped = len;
    MemoryRegion *mr;
    void *host;

    trace_pci_svm_dma_access(op->engine->dev->name, op->ctx->pasid, op->addr,
                             translated, len, op->is_write);
    mr = op_map(op, translated, &mapped, &host);
    if (!mr) {
        return op_access_mmio(op, entry, ticket, translated, len);
    }
    return op_access_ram(op, entry, ticket, mr, host, mapped);
}

static int coroutine_fn op_run(SVMDMAOp *op)
{
    IOMMUTLBEntry entry;
    PCIATCTicket ticket;
    int ret = 0;

    while (op->len && !ret) {
        ret = op_rest(op) ?: op_translate(op, &entry, &ticket);
        /*
         * A state change revokes all after it made op_check() fail, so this
         * must come after the ticket, and before the ticket is checked.
         */
        ret = ret ?: op_check(op);
        ret = ret ?: op_access(op, &entry, ticket);
    }
    return ret;
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
    QLIST_INSERT_HEAD(&e->ops, op, next);
    op_set_busy_locked(op);
}

static void op_end(SVMDMAOp *op)
{
    WITH_QEMU_LOCK_GUARD(&op->engine->lock) {
        QLIST_REMOVE(op, next);
        op_set_idle_locked(op);
    }
    pci_svm_dma_unref(op->ctx);
}

static MemTxAttrs svm_dma_attrs(PCIDevice *dev)
{
    return (MemTxAttrs) {
        .requester_id = pci_requester_id(dev),
        .address_type = PCI_AT_TRANSLATED,
    };
}

static IOMMUAccessFlags svm_dma_needs(bool is_write, unsigned flags)
{
    return IOMMU_ACCESS_FLAG_FULL(!is_write, is_write,
                                  flags & PCI_SVM_DMA_EXEC,
                                  flags & PCI_SVM_DMA_PRIV, 0, 0);
}

int coroutine_fn pci_svm_dma_co_walk(PCISVMDMAContext *ctx, uint64_t addr,
                                     uint64_t len, bool is_write,
                                     unsigned flags, PCISVMDMAFunc *fn,
                                     void *opaque, PCISVMDMAError *err)
{
    SVMDMAOp op;
    int ret;

    op.engine = ctx->engine;
    op.ctx = ctx;
    op.is_write = is_write;
    op.priv = flags & PCI_SVM_DMA_PRIV;
    op.exec = flags & PCI_SVM_DMA_EXEC;
    op.need = svm_dma_needs(is_write, flags);
    op.fn = fn;
    op.opaque = opaque;
    op.addr = addr;
    op.len = len;
    op.burst = 0;
    op.reason = PCI_SVM_DMA_OK;
    op.parked = NULL;
    op.answer = ANSWER_NONE;

    op_begin(&op);
    ret = op_check(&op);
    if (!ret) {
        op.attrs = svm_dma_attrs(ctx->engine->dev);
        ret = len && addr + (len - 1) < addr
              ? op_fail(&op, PCI_SVM_DMA_UNMAPPED) : op_run(&op);
    }
    if (err) {
        *err = (PCISVMDMAError) { .addr = op.addr, .reason = op.reason };
    }
    trace_pci_svm_dma_end(ctx->pasid, addr, len, is_write, op.addr, op.reason);
    op_end(&op);
    return ret;
}

typedef struct SVMDMABuffer {
    void *in;
    const void *out;
} SVMDMABuffer;

static int svm_dma_copy_in(void *host, size_t len, void *opaque)
{
    SVMDMABuffer *buf = opaque;

    memcpy(buf->in, host, len);
    buf->in += len;
    return 0;
}

static int svm_dma_copy_out(void *host, size_t len, void *opaque)
{
    SVMDMABuffer *buf = opaque;

    memcpy(host, buf->out, len);
    buf->out += len;
    return 0;
}

int coroutine_fn pci_svm_dma_co_read(PCISVMDMAContext *ctx, uint64_t addr,
                                     void *buf, size_t len, unsigned flags,
                                     PCISVMDMAError *err)
{
    SVMDMABuffer buffer = { .in = buf };

    return pci_svm_dma_co_walk(ctx, addr, len, false, flags, svm_dma_copy_in,
                               &buffer, err);
}

int coroutine_fn pci_svm_dma_co_write(PCISVMDMAContext *ctx, uint64_t addr,
                                      const void *buf, size_t len,
                                      unsigned flags, PCISVMDMAError *err)
{
    SVMDMABuffer buffer = { .out = buf };

    return pci_svm_dma_co_walk(ctx, addr, len, true, flags, svm_dma_copy_out,
                               &buffer, err);
}

/* What arrives from below; all under the BQL */

static void svm_dma_invalidate(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    SVMDMAPasid *p = n->opaque;
    PCISVMDMA *e = p->engine;
    hwaddr last = entry->iova + MIN(entry->addr_mask, ~entry->iova);
    size_t revoked;

    revoked = pci_atc_invalidate(e->atc, p->pasid, entry->iova, last);
    stat64_add(&e->stats.invalidations, 1);
    stat64_add(&e->stats.revoked, revoked);
    trace_pci_svm_dma_invalidate(e->dev->name, p->pasid, entry->iova, last,
                                 revoked);
}

static SVMDMAAnswer svm_dma_count_answer(PCISVMDMA *e,
                                         IOMMUPRIResponseCode code)
{
    stat64_add(&e->stats.page_groups, 1);
    switch (code) {
    case IOMMU_PRI_RESP_SUCCESS:
        stat64_add(&e->stats.resp_success, 1);
        return ANSWER_SUCCESS;
    case IOMMU_PRI_RESP_INVALID_REQUEST:
        stat64_add(&e->stats.resp_invalid, 1);
        return ANSWER_INVALID;
    default:
        stat64_add(&e->stats.resp_failure, 1);
        return ANSWER_FAILURE;
    }
}

static void svm_dma_respond(IOMMUPRINotifier *notifier,
                            IOMMUPRIResponse *response)
{
    SVMDMAPasid *p = container_of(notifier, SVMDMAPasid, pri);
    PCISVMDMA *e = p->engine;
    uint16_t prgi = response->prgi & PCI_PRI_PRGI_MASK;
    SVMDMAGroup *group = &e->groups[prgi];

    QEMU_LOCK_GUARD(&e->lock);
    trace_pci_svm_dma_response(e->dev->name, p->pasid, prgi,
                               response->response_code, group->op != NULL);
    if (group->pasid == p) {
        svm_dma_answer_locked(e, group,
                              svm_dma_count_answer(e,
                                                   response->response_code));
    }
}

enum {
    ENABLE_MASTER = 1,
    ENABLE_ATS = 2,
    ENABLE_PASID = 4,
};

static unsigned svm_dma_enables(const PCIDevice *dev)
{
    return (qatomic_read(&dev->is_master) ? ENABLE_MASTER : 0) |
           (pcie_ats_enabled(dev) ? ENABLE_ATS : 0) |
           (pcie_pasid_enabled(dev) ? ENABLE_PASID : 0);
}

/*
 * Operations that are under way when something is disabled fail, even if it
 * is enabled again before they look.
 */
static void svm_dma_state_changed(Notifier *notifier, void *data)
{
    PCISVMDMA *e = container_of(notifier, PCISVMDMA, state_notifier);
    unsigned enables = svm_dma_enables(e->dev);
    bool lost = e->enables & ~enables;

    trace_pci_svm_dma_state(e->dev->name, enables, pcie_pri_enabled(e->dev),
                            lost);
    e->enables = enables;
    WITH_QEMU_LOCK_GUARD(&e->lock) {
        if (!pcie_pri_enabled(e->dev)) {
            svm_dma_lose_groups_locked(e);
        }
        if (lost) {
            qatomic_set(&e->epoch, e->epoch + 1);
        }
        svm_dma_wake_all_locked(e);
    }
    if (lost) {
        pci_atc_invalidate_all(e->atc);
    }
}

/* Nothing that the VM can see changes while it is stopped. */
static void svm_dma_vm_state_changed(void *opaque, bool running,
                                     RunState state)
{
    PCISVMDMA *e = opaque;

    QEMU_LOCK_GUARD(&e->lock);
    qatomic_set(&e->paused, !running);
    if (running) {
        svm_dma_wake_all_locked(e);
    }
    while (!running && e->busy) {
        qemu_cond_wait(&e->idle, &e->lock);
    }
}

/* Contexts and engines */

static void svm_dma_put_pasid(SVMDMAPasid *p)
{
    PCISVMDMA *e = p->engine;

    WITH_QEMU_LOCK_GUARD(&e->lock) {
        if (p->contexts || p->groups) {
            return;
        }
    }
    /* Without contexts nothing begins a group, so there is none from now. */
    pci_pri_unregister_notifier(e->dev, p->pasid);
    g_hash_table_remove(e->pasids, GUINT_TO_POINTER(p->pasid));
}

static void svm_dma_collect_pasids(void *opaque)
{
    PCISVMDMA *e = opaque;
    g_autoptr(GList) pasids = g_hash_table_get_values(e->pasids);

    for (GList *p = pasids; p; p = p->next) {
        svm_dma_put_pasid(p->data);
    }
    svm_dma_unref_engine(e);
}

static SVMDMAPasid *svm_dma_new_pasid(PCISVMDMA *e, uint32_t pasid, int *ret)
{
    SVMDMAPasid *p = g_new0(SVMDMAPasid, 1);

    p->engine = e;
    p->pasid = pasid;
    p->pri.notify = svm_dma_respond;
    *ret = pci_pri_register_notifier(e->dev, pasid, &p->pri);
    if (*ret) {
        g_free(p);
        return NULL;
    }
    g_hash_table_insert(e->pasids, GUINT_TO_POINTER(pasid), p);
    return p;
}

static int svm_dma_listen(PCISVMDMA *e, SVMDMAPasid *p)
{
    uint8_t addr_width;
    int ret = 0;

    /* Set before the first operation can start, and then left alone */
    if (!e->page_size) {
        ret = pci_iommu_get_iotlb_info(e->dev, &addr_width, &e->page_size);
    }
    if (!ret) {
        ret = pci_iommu_init_iotlb_notifier(e->dev, &p->iotlb,
                                            svm_dma_invalidate, p);
    }
    if (!ret) {
        ret = pci_iommu_register_iotlb_notifier(e->dev, p->pasid, &p->iotlb);
    }
    return ret;
}

/* The PASID's notifiers, registered, with one more context */
static SVMDMAPasid *svm_dma_get_pasid(PCISVMDMA *e, uint32_t pasid, int *ret)
{
    SVMDMAPasid *p = g_hash_table_lookup(e->pasids, GUINT_TO_POINTER(pasid));

    *ret = 0;
    if (!p) {
        p = svm_dma_new_pasid(e, pasid, ret);
    }
    if (p && !p->contexts) {
        *ret = svm_dma_listen(e, p);
    }
    if (*ret) {
        if (p) {
            svm_dma_put_pasid(p);
        }
        return NULL;
    }
    WITH_QEMU_LOCK_GUARD(&e->lock) {
        p->contexts++;
    }
    return p;
}

PCISVMDMAContext *pci_svm_dma_open(PCISVMDMA *e, uint32_t pasid, Error **errp)
{
    PCISVMDMAContext *ctx;
    SVMDMAPasid *p;
    int ret;

    assert(bql_locked());
    p = svm_dma_get_pasid(e, pasid, &ret);
    if (!p) {
        error_setg_errno(errp, -ret, "%s cannot use PASID 0x%" PRIx32,
                         e->dev->name, pasid);
        return NULL;
    }
    ctx = g_new0(PCISVMDMAContext, 1);
    ctx->engine = e;
    ctx->pasid_use = p;
    ctx->pasid = pasid;
    ctx->refs = 1;
    qatomic_inc(&e->refs);
    WITH_QEMU_LOCK_GUARD(&e->lock) {
        QLIST_INSERT_HEAD(&e->contexts, ctx, next);
    }
    trace_pci_svm_dma_open(e->dev->name, pasid);
    return ctx;
}

/* Returns whether it was the last context of its PASID. */
static bool svm_dma_stop_context(PCISVMDMAContext *ctx)
{
    PCISVMDMA *e = ctx->engine;

    QEMU_LOCK_GUARD(&e->lock);
    qatomic_set(&ctx->closed, true);
    QLIST_REMOVE(ctx, next);
    svm_dma_wake_all_locked(e);
    while (ctx->busy) {
        qemu_cond_wait(&e->idle, &e->lock);
    }
    return --ctx->pasid_use->contexts == 0;
}

void pci_svm_dma_close(PCISVMDMAContext *ctx)
{
    PCISVMDMA *e;
    SVMDMAPasid *p;

    if (!ctx) {
        return;
    }
    assert(bql_locked());
    e = ctx->engine;
    p = ctx->pasid_use;
    trace_pci_svm_dma_close(e->dev->name, ctx->pasid);
    if (svm_dma_stop_context(ctx)) {
        pci_iommu_unregister_iotlb_notifier(e->dev, p->pasid, &p->iotlb);
        pci_atc_invalidate(e->atc, p->pasid, 0, UINT64_MAX);
        svm_dma_put_pasid(p);
    }
    pci_svm_dma_unref(ctx);
}

PCISVMDMA *pci_svm_dma_new(PCIDevice *dev, size_t atc_entries)
{
    PCISVMDMA *e = g_new0(PCISVMDMA, 1);

    e->dev = dev;
    e->as = pci_get_address_space(dev);
    e->atc = pci_atc_new(atc_entries ?: PCI_SVM_DMA_ATC_ENTRIES);
    e->refs = 1;
    e->paused = !runstate_is_running();
    e->enables = svm_dma_enables(dev);
    e->pasids = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    qemu_mutex_init(&e->lock);
    qemu_cond_init(&e->idle);
    QLIST_INIT(&e->contexts);
    QLIST_INIT(&e->ops);
    QTAILQ_INIT(&e->credit_queue);
    e->state_notifier.notify = svm_dma_state_changed;
    pci_svm_add_state_notifier(dev, &e->state_notifier);
    e->vm_state = qemu_add_vm_change_state_handler(svm_dma_vm_state_changed,
                                                   e);
    return e;
}

/* From now on no operation uses the device. */
static void svm_dma_stop_engine(PCISVMDMA *e)
{
    QEMU_LOCK_GUARD(&e->lock);
    e->dead = true;
    svm_dma_wake_all_locked(e);
    while (e->busy) {
        qemu_cond_wait(&e->idle, &e->lock);
    }
    svm_dma_lose_groups_locked(e);
}

void pci_svm_dma_free(PCISVMDMA *e)
{
    if (!e) {
        return;
    }
    assert(bql_locked());
    while (!QLIST_EMPTY(&e->contexts)) {
        pci_svm_dma_close(QLIST_FIRST(&e->contexts));
    }
    svm_dma_stop_engine(e);
    qatomic_inc(&e->refs);
    svm_dma_collect_pasids(e);
    notifier_remove(&e->state_notifier);
    qemu_del_vm_change_state_handler(e->vm_state);
    svm_dma_unref_engine(e);
}

void pci_svm_dma_get_stats(PCISVMDMA *e, PCISVMDMAStats *stats)
{
#define GET_STAT(name) stats->name = stat64_get(&e->stats.name);
    SVM_DMA_FOR_EACH_STAT(GET_STAT)
#undef GET_STAT
}

void pci_svm_dma_set_stats(PCISVMDMA *e, const PCISVMDMAStats *stats)
{
#define SET_STAT(name) stat64_set(&e->stats.name, stats->name);
    SVM_DMA_FOR_EACH_STAT(SET_STAT)
#undef SET_STAT
}

void pci_svm_dma_reset_stats(PCISVMDMA *e)
{
    pci_svm_dma_set_stats(e, &(PCISVMDMAStats) { });
}
