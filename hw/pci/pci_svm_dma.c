/*
 * DMA to the memory of a guest's processes: engines and contexts
 *
 * Their life, the PASIDs that they listen to, and what arrives from below:
 * invalidations, and changes of state of the function and of the VM.
 *
 * PCIe Base Specification r6.0, chapter 10.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "block/aio.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#include "pci_svm_dma_internal.h"
#include "trace.h"

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
    g_free(e->name);
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

/* Waiting, under the BQL, for those that are busy */

void svm_dma_wait_unused_locked(PCISVMDMA *e, bool (*is_used)(void *opaque),
                                void *opaque)
{
    e->waiters++;
    while (is_used(opaque)) {
        qemu_cond_wait(&e->idle, &e->lock);
    }
    e->waiters--;
}

static bool svm_dma_is_busy(void *opaque)
{
    PCISVMDMA *e = opaque;

    return e->busy;
}

static void svm_dma_wait_idle_locked(PCISVMDMA *e)
{
    svm_dma_wait_unused_locked(e, svm_dma_is_busy, e);
}

static void svm_dma_wake_all_locked(PCISVMDMA *e)
{
    SVMDMAOp *op;

    QLIST_FOREACH(op, &e->ops, next) {
        svm_dma_op_wake_locked(op);
    }
}

/* What arrives from below; all under the BQL */

static void svm_dma_invalidate(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    SVMDMAPasid *p = n->opaque;
    PCISVMDMA *e = p->engine;
    hwaddr last = entry->iova + MIN(entry->addr_mask, ~entry->iova);
    size_t revoked;

    revoked = pci_atc_invalidate(e->atc, p->pasid, entry->iova, last);
    WITH_QEMU_LOCK_GUARD(&e->lock) {
        svm_dma_revoke_maps_locked(p, NULL, entry->iova, last);
        svm_dma_wait_revoked_locked(e);
    }
    stat64_add(&e->stats.invalidations, 1);
    stat64_add(&e->stats.revoked, revoked);
    pci_svm_count(p->counters, PCI_SVM_ATC_REVOKED, revoked);
    trace_pci_svm_dma_invalidate(e->name, p->pasid, entry->iova, last,
                                 revoked);
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
    unsigned forgotten = pcie_pri_get_forgotten(e->dev);
    bool lost = e->enables & ~enables;

    trace_pci_svm_dma_state(e->name, enables, pcie_pri_enabled(e->dev), lost);
    e->enables = enables;
    WITH_QEMU_LOCK_GUARD(&e->lock) {
        if (!pcie_pri_enabled(e->dev) || forgotten != e->forgotten) {
            svm_dma_lose_groups_locked(e);
        }
        e->forgotten = forgotten;
        if (lost) {
            qatomic_set(&e->epoch, e->epoch + 1);
            svm_dma_revoke_all_maps_locked(e);
        }
        svm_dma_wake_all_locked(e);
        svm_dma_wait_revoked_locked(e);
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
    } else {
        svm_dma_revoke_all_maps_locked(e);
        svm_dma_wait_idle_locked(e);
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
    pci_svm_put_counters(e->dev, p->counters);
    g_hash_table_remove(e->pasids, GUINT_TO_POINTER(p->pasid));
}

void svm_dma_collect_pasids(void *opaque)
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
    QLIST_INIT(&p->maps);
    *ret = pci_pri_register_notifier(e->dev, pasid, &p->pri);
    if (*ret) {
        g_free(p);
        return NULL;
    }
    p->counters = pci_svm_get_counters(e->dev, pasid);
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
                         e->name, pasid);
        return NULL;
    }
    ctx = g_new0(PCISVMDMAContext, 1);
    ctx->engine = e;
    ctx->pasid_use = p;
    ctx->pasid = pasid;
    ctx->refs = 1;
    ctx->group_max = SVM_DMA_GROUP_MAX;
    qatomic_inc(&e->refs);
    WITH_QEMU_LOCK_GUARD(&e->lock) {
        QLIST_INSERT_HEAD(&e->contexts, ctx, next);
    }
    trace_pci_svm_dma_open(e->name, pasid);
    return ctx;
}

/* Cancelling: from then on nothing that has begun uses memory. */

static bool svm_dma_is_cancelling(void *opaque)
{
    PCISVMDMAContext *ctx = opaque;
    SVMDMAOp *op;

    QLIST_FOREACH(op, &ctx->engine->ops, next) {
        if (op->ctx == ctx && op->cancelled && op->busy) {
            return true;
        }
    }
    return false;
}

static void svm_dma_cancel_locked(PCISVMDMAContext *ctx)
{
    PCISVMDMA *e = ctx->engine;
    SVMDMAOp *op;

    QLIST_FOREACH(op, &e->ops, next) {
        if (op->ctx == ctx) {
            svm_dma_op_cancel_locked(op);
        }
    }
    svm_dma_revoke_maps_locked(ctx->pasid_use, ctx, 0, UINT64_MAX);
    svm_dma_wait_unused_locked(e, svm_dma_is_cancelling, ctx);
    svm_dma_wait_revoked_locked(e);
}

void pci_svm_dma_cancel(PCISVMDMAContext *ctx)
{
    assert(bql_locked());
    trace_pci_svm_dma_cancel(ctx->engine->name, ctx->pasid);
    QEMU_LOCK_GUARD(&ctx->engine->lock);
    svm_dma_cancel_locked(ctx);
}

void pci_svm_dma_cancel_pasid(PCISVMDMA *e, uint32_t pasid)
{
    PCISVMDMAContext *ctx;

    assert(bql_locked());
    /* Contexts come and go under the BQL alone. */
    QLIST_FOREACH(ctx, &e->contexts, next) {
        if (ctx->pasid == pasid) {
            pci_svm_dma_cancel(ctx);
        }
    }
}

unsigned pci_svm_dma_outstanding(PCISVMDMA *e, uint32_t pasid)
{
    SVMDMAPasid *p;

    assert(bql_locked());
    p = g_hash_table_lookup(e->pasids, GUINT_TO_POINTER(pasid));
    QEMU_LOCK_GUARD(&e->lock);
    return p ? p->groups : 0;
}

/* Returns whether it was the last context of its PASID. */
static bool svm_dma_stop_context(PCISVMDMAContext *ctx)
{
    QEMU_LOCK_GUARD(&ctx->engine->lock);
    ctx->closed = true;
    QLIST_REMOVE(ctx, next);
    svm_dma_cancel_locked(ctx);
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
    trace_pci_svm_dma_close(e->name, ctx->pasid);
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
    e->name = g_strdup(pci_svm_name(dev));
    e->as = pci_get_address_space(dev);
    e->atc = pci_atc_new(atc_entries ?: PCI_SVM_DMA_ATC_ENTRIES);
    e->refs = 1;
    e->paused = !runstate_is_live(runstate_get());
    e->enables = svm_dma_enables(dev);
    e->forgotten = pcie_pri_get_forgotten(dev);
    e->pasids = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    qemu_mutex_init(&e->lock);
    qemu_cond_init(&e->idle);
    QLIST_INIT(&e->contexts);
    QLIST_INIT(&e->ops);
    QTAILQ_INIT(&e->credit_queue);
    aio_timer_init(qemu_get_aio_context(), &e->group_timer,
                   QEMU_CLOCK_VIRTUAL, SCALE_NS, svm_dma_tend_groups, e);
    e->state_notifier.notify = svm_dma_state_changed;
    pci_svm_add_state_notifier(dev, &e->state_notifier);
    pci_svm_set_atc(dev, e->atc);
    e->vm_state = qemu_add_vm_change_state_handler(svm_dma_vm_state_changed,
                                                   e);
    return e;
}

void pci_svm_dma_set_page_timeout(PCISVMDMA *e, uint32_t ms)
{
    assert(bql_locked());
    qatomic_set(&e->page_timeout_ms, ms);
}

/* From now on no operation uses the device. */
static void svm_dma_stop_engine(PCISVMDMA *e)
{
    QEMU_LOCK_GUARD(&e->lock);
    e->dead = true;
    svm_dma_wake_all_locked(e);
    svm_dma_wait_idle_locked(e);
    svm_dma_lose_groups_locked(e);
    timer_del(&e->group_timer);
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
    pci_svm_set_atc(e->dev, NULL);
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
