/*
 * Address translation cache (ATC) of a PCIe function
 *
 * PCIe Base Specification r6.0, sections 10.1.1 and 10.3.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/host-utils.h"
#include "qemu/interval-tree.h"
#include "qemu/lockable.h"
#include "qemu/thread.h"
#include "qemu/xxhash.h"
#include "hw/pci/pci_atc.h"
#include "trace.h"

#define PCI_ATC_ENTRIES_MAX (1 << 24)

/* A ticket that is older than the log counts as covered. */
#define PCI_ATC_LOG_LEN 64

/* Entries that one eviction looks at before it takes the oldest. */
#define PCI_ATC_EVICT_SCAN 16

/* The translations of one PASID, ordered by address; there while it has any */
typedef struct PCIATCSpace {
    IntervalTreeRoot tree;
    uint32_t pasid;
} PCIATCSpace;

typedef struct PCIATCEntry {
    IntervalTreeNode node;
    PCIATCSpace *space;
    struct PCIATCEntry *hash_next;
    QTAILQ_ENTRY(PCIATCEntry) age;
    hwaddr translated_addr;
    IOMMUAccessFlags perm;
    bool recent;
} PCIATCEntry;

/* What an invalidation covers */
typedef struct PCIATCScope {
    uint32_t pasid;
    bool all_pasids;
    hwaddr first;
    hwaddr last;
} PCIATCScope;

struct PCIATC {
    QemuMutex lock;
    QemuCond use_ended;
    unsigned waiters;

    size_t max_entries;
    size_t count;
    GHashTable *spaces;
    PCIATCEntry **buckets;
    size_t bucket_mask;
    QTAILQ_HEAD(, PCIATCEntry) by_age;
    /* Bit n - 1 is set while there are entries of 2^n bytes. */
    uint64_t sizes;
    size_t size_count[64];

    /* Number of invalidations so far, and the last of them */
    PCIATCTicket seq;
    PCIATCScope log[PCI_ATC_LOG_LEN];
    QLIST_HEAD(, PCIATCUse) uses;
};

static uint64_t atc_entry_mask(const PCIATCEntry *e)
{
    return e->node.last - e->node.start;
}

static unsigned atc_size_bit(uint64_t mask)
{
    return ctz64(~(mask >> 1));
}

static PCIATCEntry **atc_bucket(PCIATC *atc, uint32_t pasid, hwaddr start,
                                uint64_t mask, bool priv)
{
    uint64_t kind = ((uint64_t)pasid << 32) | (atc_size_bit(mask) << 1) | priv;

    return &atc->buckets[qemu_xxhash4(start, kind) & atc->bucket_mask];
}

static bool atc_is_priv(IOMMUAccessFlags perm)
{
    return perm & IOMMU_PRIV;
}

static PCIATCEntry *atc_find(PCIATC *atc, uint32_t pasid, hwaddr start,
                             uint64_t mask, bool priv)
{
    PCIATCEntry *e = *atc_bucket(atc, pasid, start, mask, priv);

    while (e && (e->node.start != start || atc_entry_mask(e) != mask ||
                 e->space->pasid != pasid || atc_is_priv(e->perm) != priv)) {
        e = e->hash_next;
    }
    return e;
}

static void atc_hash_remove(PCIATC *atc, PCIATCEntry *e)
{
    PCIATCEntry **p = atc_bucket(atc, e->space->pasid, e->node.start,
                                 atc_entry_mask(e), atc_is_priv(e->perm));

    while (*p != e) {
        p = &(*p)->hash_next;
    }
    *p = e->hash_next;
}

static PCIATCSpace *atc_get_space(PCIATC *atc, uint32_t pasid)
{
    PCIATCSpace *space = g_hash_table_lookup(atc->spaces,
                                             GUINT_TO_POINTER(pasid));

    if (!space) {
        space = g_new0(PCIATCSpace, 1);
        space->pasid = pasid;
        g_hash_table_insert(atc->spaces, GUINT_TO_POINTER(pasid), space);
    }
    return space;
}

static void atc_remove(PCIATC *atc, PCIATCEntry *e)
{
    PCIATCSpace *space = e->space;
    unsigned bit = atc_size_bit(atc_entry_mask(e));

    atc_hash_remove(atc, e);
    interval_tree_remove(&e->node, &space->tree);
    if (interval_tree_is_empty(&space->tree)) {
        g_hash_table_remove(atc->spaces, GUINT_TO_POINTER(space->pasid));
    }
    QTAILQ_REMOVE(&atc->by_age, e, age);
    if (!--atc->size_count[bit]) {
        atc->sizes &= ~(1ULL << bit);
    }
    atc->count--;
    g_free(e);
}

static void atc_add(PCIATC *atc, uint32_t pasid, hwaddr start, uint64_t mask,
                    hwaddr translated_addr, IOMMUAccessFlags perm)
{
    PCIATCEntry **bucket = atc_bucket(atc, pasid, start, mask,
                                      atc_is_priv(perm));
    unsigned bit = atc_size_bit(mask);
    PCIATCEntry *e = g_new0(PCIATCEntry, 1);

    e->node.start = start;
    e->node.last = start | mask;
    e->translated_addr = translated_addr;
    e->perm = perm;
    e->space = atc_get_space(atc, pasid);
    interval_tree_insert(&e->node, &e->space->tree);
    e->hash_next = *bucket;
    *bucket = e;
    QTAILQ_INSERT_TAIL(&atc->by_age, e, age);
    atc->size_count[bit]++;
    atc->sizes |= 1ULL << bit;
    atc->count++;
}

/* Second chance: what was looked up since the last visit stays. */
static void atc_evict_one(PCIATC *atc)
{
    PCIATCEntry *e = QTAILQ_FIRST(&atc->by_age);

    for (int i = 0; i < PCI_ATC_EVICT_SCAN && e->recent; i++) {
        e->recent = false;
        QTAILQ_REMOVE(&atc->by_age, e, age);
        QTAILQ_INSERT_TAIL(&atc->by_age, e, age);
        e = QTAILQ_FIRST(&atc->by_age);
    }
    trace_pci_atc_evict(atc, e->space->pasid, e->node.start,
                        atc_entry_mask(e));
    atc_remove(atc, e);
}

static bool atc_scope_covers(const PCIATCScope *scope, uint32_t pasid,
                             hwaddr first, hwaddr last)
{
    return (scope->all_pasids || scope->pasid == pasid) &&
           scope->first <= last && first <= scope->last;
}

static bool atc_is_revoked(PCIATC *atc, uint32_t pasid, hwaddr first,
                           hwaddr last, PCIATCTicket ticket)
{
    if (atc->seq - ticket > PCI_ATC_LOG_LEN) {
        return true;
    }
    for (PCIATCTicket n = ticket; n != atc->seq; n++) {
        if (atc_scope_covers(&atc->log[n % PCI_ATC_LOG_LEN], pasid,
                             first, last)) {
            return true;
        }
    }
    return false;
}

static bool atc_is_cacheable(const IOMMUTLBEntry *entry)
{
    hwaddr mask = entry->addr_mask;

    return (entry->perm & IOMMU_RW) &&
           !(entry->perm & IOMMU_UNTRANSLATED_ONLY) &&
           mask && !(mask & (mask + 1));
}

static void atc_enter(PCIATC *atc, uint32_t pasid, const IOMMUTLBEntry *entry)
{
    hwaddr mask = entry->addr_mask;
    hwaddr start = entry->iova & ~mask;
    hwaddr translated_addr = entry->translated_addr & ~mask;
    PCIATCEntry *e = atc_find(atc, pasid, start, mask,
                              atc_is_priv(entry->perm));

    if (e && e->translated_addr == translated_addr) {
        e->perm |= entry->perm;
        return;
    }
    if (e) {
        atc_remove(atc, e);
    } else if (atc->count == atc->max_entries) {
        atc_evict_one(atc);
    }
    atc_add(atc, pasid, start, mask, translated_addr, entry->perm);
}

PCIATCTicket pci_atc_get_ticket(PCIATC *atc)
{
    QEMU_LOCK_GUARD(&atc->lock);
    return atc->seq;
}

size_t pci_atc_insert(PCIATC *atc, uint32_t pasid,
                      const IOMMUTLBEntry *entries, size_t count,
                      PCIATCTicket ticket)
{
    size_t entered = 0;

    QEMU_LOCK_GUARD(&atc->lock);
    for (size_t i = 0; i < count; i++) {
        hwaddr first = entries[i].iova & ~entries[i].addr_mask;
        hwaddr last = entries[i].iova | entries[i].addr_mask;

        if (!atc_is_cacheable(&entries[i])) {
            continue;
        }
        if (atc_is_revoked(atc, pasid, first, last, ticket)) {
            trace_pci_atc_refuse(atc, pasid, first, entries[i].addr_mask);
            continue;
        }
        trace_pci_atc_insert(atc, pasid, first, entries[i].addr_mask,
                             entries[i].translated_addr, entries[i].perm);
        atc_enter(atc, pasid, &entries[i]);
        entered++;
    }
    return entered;
}

static PCIATCEntry *atc_match(PCIATC *atc, uint32_t pasid, hwaddr iova,
                              IOMMUAccessFlags need)
{
    for (uint64_t sizes = atc->sizes; sizes; sizes &= sizes - 1) {
        uint64_t mask = UINT64_MAX >> (63 - ctz64(sizes));
        PCIATCEntry *e = atc_find(atc, pasid, iova & ~mask, mask,
                                  atc_is_priv(need));

        if (e && (e->perm & need) == need) {
            return e;
        }
    }
    return NULL;
}

bool pci_atc_lookup(PCIATC *atc, uint32_t pasid, hwaddr iova,
                    IOMMUAccessFlags need, IOMMUTLBEntry *entry,
                    PCIATCTicket *ticket)
{
    PCIATCEntry *e;

    QEMU_LOCK_GUARD(&atc->lock);
    e = atc_match(atc, pasid, iova, need);
    trace_pci_atc_lookup(atc, pasid, iova, need, e != NULL);
    if (!e) {
        return false;
    }
    e->recent = true;
    *entry = (IOMMUTLBEntry) {
        .iova = e->node.start,
        .addr_mask = atc_entry_mask(e),
        .translated_addr = e->translated_addr,
        .perm = e->perm,
        .pasid = pasid,
    };
    *ticket = atc->seq;
    return true;
}

bool pci_atc_use_begin(PCIATC *atc, PCIATCUse *use, uint32_t pasid,
                       const IOMMUTLBEntry *entry, PCIATCTicket ticket)
{
    use->pasid = pasid;
    use->first = entry->iova & ~entry->addr_mask;
    use->last = entry->iova | entry->addr_mask;

    QEMU_LOCK_GUARD(&atc->lock);
    if (atc_is_revoked(atc, pasid, use->first, use->last, ticket)) {
        return false;
    }
    use->ticket = atc->seq;
    QLIST_INSERT_HEAD(&atc->uses, use, next);
    return true;
}

void pci_atc_use_end(PCIATC *atc, PCIATCUse *use)
{
    QEMU_LOCK_GUARD(&atc->lock);
    QLIST_REMOVE(use, next);
    if (atc->waiters) {
        qemu_cond_broadcast(&atc->use_ended);
    }
}

bool pci_atc_is_current(PCIATC *atc, uint32_t pasid,
                        const IOMMUTLBEntry *entry, PCIATCTicket ticket)
{
    QEMU_LOCK_GUARD(&atc->lock);
    return !atc_is_revoked(atc, pasid, entry->iova & ~entry->addr_mask,
                           entry->iova | entry->addr_mask, ticket);
}

static bool atc_is_used(PCIATC *atc, const PCIATCScope *scope,
                        PCIATCTicket seq)
{
    PCIATCUse *use;

    QLIST_FOREACH(use, &atc->uses, next) {
        /* A later use knows of this invalidation already. */
        if (use->ticket < seq &&
            atc_scope_covers(scope, use->pasid, use->first, use->last)) {
            return true;
        }
    }
    return false;
}

static void atc_wait_unused(PCIATC *atc, const PCIATCScope *scope)
{
    PCIATCTicket seq = atc->seq;

    atc->waiters++;
    while (atc_is_used(atc, scope, seq)) {
        trace_pci_atc_wait(atc, scope->pasid, scope->first, scope->last);
        qemu_cond_wait(&atc->use_ended, &atc->lock);
    }
    atc->waiters--;
}

static size_t atc_drop_range(PCIATC *atc, const PCIATCScope *scope)
{
    PCIATCSpace *space = g_hash_table_lookup(atc->spaces,
                                             GUINT_TO_POINTER(scope->pasid));
    IntervalTreeNode *node, *next;
    size_t dropped = 0;

    node = space ? interval_tree_iter_first(&space->tree, scope->first,
                                            scope->last) : NULL;
    while (node) {
        next = interval_tree_iter_next(node, scope->first, scope->last);
        atc_remove(atc, container_of(node, PCIATCEntry, node));
        node = next;
        dropped++;
    }
    return dropped;
}

static size_t atc_drop_all(PCIATC *atc)
{
    size_t dropped = atc->count;
    PCIATCEntry *e;

    while ((e = QTAILQ_FIRST(&atc->by_age))) {
        atc_remove(atc, e);
    }
    return dropped;
}

static size_t atc_revoke(PCIATC *atc, const PCIATCScope *scope)
{
    size_t dropped;

    QEMU_LOCK_GUARD(&atc->lock);
    atc->log[atc->seq % PCI_ATC_LOG_LEN] = *scope;
    atc->seq++;
    dropped = scope->all_pasids ? atc_drop_all(atc)
                                : atc_drop_range(atc, scope);
    atc_wait_unused(atc, scope);
    return dropped;
}

size_t pci_atc_invalidate(PCIATC *atc, uint32_t pasid, hwaddr first,
                          hwaddr last)
{
    PCIATCScope scope = { .pasid = pasid, .first = first, .last = last };
    size_t dropped = atc_revoke(atc, &scope);

    trace_pci_atc_invalidate(atc, pasid, first, last, dropped);
    return dropped;
}

size_t pci_atc_invalidate_all(PCIATC *atc)
{
    PCIATCScope scope = { .all_pasids = true, .last = UINT64_MAX };
    size_t dropped = atc_revoke(atc, &scope);

    trace_pci_atc_invalidate_all(atc, dropped);
    return dropped;
}

size_t pci_atc_count(PCIATC *atc)
{
    QEMU_LOCK_GUARD(&atc->lock);
    return atc->count;
}

PCIATC *pci_atc_new(size_t max_entries)
{
    PCIATC *atc = g_new0(PCIATC, 1);
    size_t buckets;

    atc->max_entries = MIN(MAX(max_entries, 1), PCI_ATC_ENTRIES_MAX);
    buckets = pow2ceil(atc->max_entries);
    atc->buckets = g_new0(PCIATCEntry *, buckets);
    atc->bucket_mask = buckets - 1;
    atc->spaces = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    QTAILQ_INIT(&atc->by_age);
    QLIST_INIT(&atc->uses);
    qemu_mutex_init(&atc->lock);
    qemu_cond_init(&atc->use_ended);
    return atc;
}

void pci_atc_free(PCIATC *atc)
{
    if (!atc) {
        return;
    }
    assert(QLIST_EMPTY(&atc->uses));
    atc_drop_all(atc);
    g_hash_table_destroy(atc->spaces);
    g_free(atc->buckets);
    qemu_cond_destroy(&atc->use_ended);
    qemu_mutex_destroy(&atc->lock);
    g_free(atc);
}
