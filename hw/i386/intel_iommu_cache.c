/*
 * Intel IOMMU (VT-d): context cache and PASID cache of shared virtual memory
 *
 * What the tables say of (function, PASID) is remembered until the guest
 * invalidates either cache. All of it goes at once, whatever the granularity:
 * it is refilled by four reads of memory, and an invalidation costs the same
 * however much there is. Entries that are not present or not valid are not
 * remembered. VT-d rev 4.1, sections 6.2.1, 6.2.2 and 6.5.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/xxhash.h"
#include "intel_iommu_svm.h"

#define CACHE_ENTRIES   1024

/*
 * @seq is odd while the entry is written, and differs after that. The rest is
 * read and written word by word.
 */
struct VTDCacheEntry {
    unsigned seq;
    uint32_t pasid;
    unsigned long generation;   /* of the cache when the tables were read */
    uint16_t sid;
    bool fpd;
    uint64_t ce[4];
    uint64_t pe[8];
};

static VTDCacheEntry *cache_slot(IntelIOMMUState *s, uint16_t sid,
                                 uint32_t pasid)
{
    return &s->svm_state.cache[qemu_xxhash2((uint64_t)sid << 32 | pasid) %
                               CACHE_ENTRIES];
}

static void cache_copy_out(uint64_t *to, const uint64_t *from, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        to[i] = qatomic_read__nocheck(&from[i]);
    }
}

static void cache_copy_in(uint64_t *to, const uint64_t *from, size_t words)
{
    for (size_t i = 0; i < words; i++) {
        qatomic_set__nocheck(&to[i], from[i]);
    }
}

bool vtd_cache_lookup(IntelIOMMUState *s, VTDRequestContext *ctx,
                      unsigned long generation)
{
    VTDCacheEntry *e = cache_slot(s, ctx->sid, ctx->pasid);
    unsigned seq = qatomic_load_acquire(&e->seq);

    if (seq & 1 || qatomic_read(&e->generation) != generation ||
        qatomic_read(&e->pasid) != ctx->pasid ||
        qatomic_read(&e->sid) != ctx->sid) {
        return false;
    }
    cache_copy_out(ctx->ce.val, e->ce, ARRAY_SIZE(e->ce));
    cache_copy_out(ctx->pe.val, e->pe, ARRAY_SIZE(e->pe));
    ctx->fpd = qatomic_read(&e->fpd);
    /* All of the above before the second look */
    smp_rmb();
    return qatomic_read(&e->seq) == seq;
}

/* Where two threads meet, one of them leaves it. */
void vtd_cache_insert(IntelIOMMUState *s, const VTDRequestContext *ctx,
                      unsigned long generation)
{
    VTDCacheEntry *e = cache_slot(s, ctx->sid, ctx->pasid);
    unsigned seq = qatomic_read(&e->seq);

    if (seq & 1 || qatomic_cmpxchg(&e->seq, seq, seq + 1) != seq) {
        return;
    }
    /* Readers see the odd number before any of what follows */
    smp_wmb();
    qatomic_set(&e->generation, generation);
    qatomic_set(&e->pasid, ctx->pasid);
    qatomic_set(&e->sid, ctx->sid);
    qatomic_set(&e->fpd, ctx->fpd);
    cache_copy_in(e->ce, ctx->ce.val, ARRAY_SIZE(e->ce));
    cache_copy_in(e->pe, ctx->pe.val, ARRAY_SIZE(e->pe));
    qatomic_store_release(&e->seq, seq + 2);
}

void vtd_cache_init(IntelIOMMUState *s)
{
    if (s->svm) {
        /* Generation 0 is that of empty entries. */
        s->svm_state.cache_generation = 1;
        s->svm_state.cache = g_new0(VTDCacheEntry, CACHE_ENTRIES);
    }
}

void vtd_cache_drop(IntelIOMMUState *s)
{
    qatomic_inc(&s->svm_state.cache_generation);
    /* After that: a walk in its new generation begins with the new caches */
    qatomic_inc(&s->svm_state.tlb_generation);
}
