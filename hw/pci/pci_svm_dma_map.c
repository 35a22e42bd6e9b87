/*
 * DMA to the memory of a guest's processes: mappings
 *
 * A mapping is a right to access memory, which ends when the guest says so. It
 * is in the list of its PASID until it is unmapped or revoked. Whoever revokes
 * it holds the BQL and waits for the accesses that have begun: these take
 * nothing that he may hold. The mapping itself nobody waits for.
 *
 * PCIe Base Specification r6.0, section 10.3.3.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "block/aio.h"
#include "hw/pci/pci_device.h"
#include "pci_svm_dma_internal.h"
#include "trace.h"

struct PCISVMDMAMap {
    PCISVMDMAContext *ctx;      /* a reference */
    AioContext *home;
    PCISVMDMARevokeFunc *revoke;
    void *opaque;
    unsigned refs;              /* the holder's, and that of a bottom half */

    /* Only in @home: what the revoke function must not come before or after */
    bool mapped;
    bool early;
    bool unmapped;

    MemoryRegion *mr;           /* a reference */
    void *host;
    uint64_t addr;
    size_t len;
    bool is_write;

    /* The engine's lock */
    bool revoked;
    unsigned uses;
    QLIST_ENTRY(PCISVMDMAMap) next;
};

/* Life cycle */

static void map_free(void *opaque)
{
    PCISVMDMAMap *map = opaque;

    if (map->mr) {
        memory_region_unref(map->mr);
    }
    pci_svm_dma_unref(map->ctx);
    g_free(map);
}

/* The last reference to memory that was unplugged is given up under the BQL. */
static void map_unref(PCISVMDMAMap *map)
{
    if (qatomic_fetch_dec(&map->refs) > 1) {
        return;
    }
    if (bql_locked()) {
        map_free(map);
    } else {
        aio_bh_schedule_oneshot(qemu_get_aio_context(), map_free, map);
    }
}

/* The holder hears of a revocation when it knows of the mapping. */

static void map_tell(void *opaque)
{
    PCISVMDMAMap *map = opaque;

    if (!map->mapped) {
        map->early = true;
    } else if (!map->unmapped) {
        map->revoke(map, map->opaque);
    }
    map_unref(map);
}

static void map_tell_later(PCISVMDMAMap *map)
{
    qatomic_inc(&map->refs);
    aio_bh_schedule_oneshot(map->home, map_tell, map);
}

bool svm_dma_map_enter_locked(SVMDMAOp *op, MemoryRegion *mr, void *host,
                              hwaddr len)
{
    PCISVMDMAMap *map = op->job->map;

    /* Who changes these revokes later what was entered before. */
    if (op->engine->paused || svm_dma_op_status(op) != PCI_SVM_DMA_OK) {
        return false;
    }
    map->home = op->home;
    map->mr = mr;
    map->host = host;
    map->addr = op->addr;
    map->len = len;
    map->is_write = op->is_write;
    QLIST_INSERT_HEAD(&op->ctx->pasid_use->maps, map, next);
    return true;
}

int coroutine_fn pci_svm_dma_co_map(PCISVMDMAContext *ctx, uint64_t addr,
                                    size_t *len, bool is_write, unsigned flags,
                                    PCISVMDMARevokeFunc *revoke, void *opaque,
                                    PCISVMDMAMap **map, PCISVMDMAError *err)
{
    const PCISVMDMARange range = { addr, MIN(*len, PCI_SVM_DMA_PIECE_MAX) };
    PCISVMDMAMap *new = g_new0(PCISVMDMAMap, 1);
    const SVMDMAJob job = {
        .ctx = ctx, .ranges = &range, .count = 1, .room = UINT64_MAX,
        .is_write = is_write, .flags = flags, .map = new,
    };
    int ret;

    new->ctx = pci_svm_dma_ref(ctx);
    new->revoke = revoke;
    new->opaque = opaque;
    new->refs = 1;
    ret = svm_dma_run(&job, err);
    if (ret) {
        map_unref(new);
        return ret;
    }
    trace_pci_svm_dma_map(ctx->engine->name, ctx->pasid, addr,
                          new->len, is_write);
    new->mapped = true;
    if (new->early) {
        map_tell_later(new);
    }
    *len = new->len;
    *map = new;
    return 0;
}

void pci_svm_dma_unmap(PCISVMDMAMap *map)
{
    if (!map) {
        return;
    }
    map->unmapped = true;
    WITH_QEMU_LOCK_GUARD(&map->ctx->engine->lock) {
        assert(!map->uses);
        if (!map->revoked) {
            QLIST_REMOVE(map, next);
        }
    }
    trace_pci_svm_dma_unmap(map->ctx->engine->name,
                            map->ctx->pasid, map->addr, map->len);
    map_unref(map);
}

/* Accesses */

void *pci_svm_dma_map_begin(PCISVMDMAMap *map)
{
    PCISVMDMA *e = map->ctx->engine;

    QEMU_LOCK_GUARD(&e->lock);
    if (map->revoked) {
        return NULL;
    }
    map->uses++;
    svm_dma_set_busy_locked(e);
    return map->host;
}

static void map_mark_dirty(PCISVMDMAMap *map, size_t offset, size_t len)
{
    if (map->is_write && offset < map->len && len) {
        len = MIN(len, map->len - offset);
        memory_region_ref(map->mr);
        address_space_unmap(map->ctx->engine->as, map->host + offset, len,
                            true, len);
    }
}

void pci_svm_dma_map_end(PCISVMDMAMap *map, size_t offset, size_t len)
{
    PCISVMDMA *e = map->ctx->engine;

    map_mark_dirty(map, offset, len);
    QEMU_LOCK_GUARD(&e->lock);
    map->uses--;
    e->revoked_uses -= map->revoked;
    svm_dma_set_idle_locked(e);
}

/* Revocation */

static void map_revoke_locked(PCISVMDMA *e, PCISVMDMAMap *map)
{
    trace_pci_svm_dma_revoke(e->name, map->ctx->pasid, map->addr,
                             map->len, map->uses);
    QLIST_REMOVE(map, next);
    map->revoked = true;
    e->revoked_uses += map->uses;
    if (map->revoke) {
        map_tell_later(map);
    }
}

void svm_dma_revoke_maps_locked(SVMDMAPasid *p, const PCISVMDMAContext *ctx,
                                uint64_t first, uint64_t last)
{
    PCISVMDMAMap *map, *next;

    QLIST_FOREACH_SAFE(map, &p->maps, next, next) {
        if ((!ctx || map->ctx == ctx) && map->addr <= last &&
            first <= map->addr + (map->len - 1)) {
            map_revoke_locked(p->engine, map);
        }
    }
}

void svm_dma_revoke_all_maps_locked(PCISVMDMA *e)
{
    GHashTableIter iter;
    void *p;

    g_hash_table_iter_init(&iter, e->pasids);
    while (g_hash_table_iter_next(&iter, NULL, &p)) {
        svm_dma_revoke_maps_locked(p, NULL, 0, UINT64_MAX);
    }
}

static bool map_is_used(void *opaque)
{
    PCISVMDMA *e = opaque;

    return e->revoked_uses;
}

void svm_dma_wait_revoked_locked(PCISVMDMA *e)
{
    svm_dma_wait_unused_locked(e, map_is_used, e);
}
