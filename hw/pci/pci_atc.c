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
#include "hw/pci/pci_atc.h"
#include "trace.h"

#define PCI_ATC_ENTRIES_MAX (1 << 24)

/* A ticket that is older than the log counts as covered. */
#define PCI_ATC_LOG_LEN 64

/* Entries that one eviction looks at before it takes the oldest. */
#define PCI_ATC_EVICT_SCAN 16

/* Sizes that a lookup looks for at a time; IOMMUs have three or four */
#define PCI_ATC_PROBES 4

/* Entries that an invalidation has in the processor's cache at a time */
#define PCI_ATC_DROP_BATCH 16

/* The translations of one PASID, ordered by address; there while it has any */
typedef struct PCIATCSpace {
    IntervalTreeRoot tree;
    uint32_t pasid;
} PCIATCSpace;

typedef struct PCIATCEntry {
    IntervalTreeNode node;
    PCIATCSpace *space;
    uint64_t hash;
    struct PCIATCEntry *hash_next;
    QTAILQ_ENTRY(PCIATCEntry) age;
    hwaddr translated_addr;
    IOMMUAccessFlags perm;
    bool recent;
} PCIATCEntry;

/*
 * The entries whose hashes lead here. What a lookup wants of the first stands
 * in the bucket, and of the others a bit of each hash, so that a lookup misses
 * the processor's cache once, as a rule.
 */
typedef struct PCIATCBucket {
    PCIATCEntry *first;
    hwaddr start;
    hwaddr translated_addr;
    uint32_t pasid;
    uint8_t size_bit;
    uint8_t perm;
    bool recent;                /* in place of the first entry's */
    uint8_t others;
} PCIATCBucket;

QEMU_BUILD_BUG_ON(sizeof(PCIATCBucket) > 32);

/* What is looked for */
typedef struct PCIATCKey {
    uint64_t hash;
    hwaddr start;
    uint32_t pasid;
    unsigned size_bit;
    bool priv;
} PCIATCKey;

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
    PCIATCBucket *buckets;
    unsigned bucket_bits;       /* log2 of their number */
    uint64_t factors[2];        /* of the hash */
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

static bool atc_is_priv(IOMMUAccessFlags perm)
{
    return perm & IOMMU_PRIV;
}

/*
 * The upper bits of the hash are good. Its factors are random, so that nobody
 * can choose addresses that share a bucket.
 */
static PCIATCKey atc_key(const PCIATC *atc, uint32_t pasid, hwaddr start,
                         unsigned size_bit, bool priv)
{
    uint64_t kind = ((uint64_t)pasid << 32) | (size_bit << 1) | priv;
    uint64_t hash = start * atc->factors[0] + kind * atc->factors[1];

    return (PCIATCKey) {
        .hash = (hash ^ hash >> 32) * atc->factors[1],
        .start = start, .pasid = pasid, .size_bit = size_bit, .priv = priv,
    };
}

static PCIATCBucket *atc_bucket(const PCIATC *atc, uint64_t hash)
{
    return &atc->buckets[hash >> 32 >> (32 - atc->bucket_bits)];
}

/* Of bits that the entries of a bucket do not share */
static uint8_t atc_filter(uint64_t hash)
{
    return 1 << extract64(hash, 32, 3);
}

static bool atc_first_is(const PCIATCBucket *bucket, const PCIATCKey *key)
{
    return bucket->first && bucket->start == key->start &&
           bucket->pasid == key->pasid && bucket->size_bit == key->size_bit &&
           atc_is_priv(bucket->perm) == key->priv;
}

static PCIATCEntry *atc_find_other(const PCIATCBucket *bucket,
                                   const PCIATCKey *key)
{
    PCIATCEntry *e;

    if (!(bucket->others & atc_filter(key->hash))) {
        return NULL;
    }
    e = bucket->first->hash_next;
    while (e && (e->hash != key->hash || e->node.start != key->start ||
                 e->space->pasid != key->pasid ||
                 atc_size_bit(atc_entry_mask(e)) != key->size_bit ||
                 atc_is_priv(e->perm) != key->priv)) {
        e = e->hash_next;
    }
    return e;
}

static PCIATCEntry *atc_find(const PCIATC *atc, const PCIATCKey *key)
{
    PCIATCBucket *bucket = atc_bucket(atc, key->hash);

    return atc_first_is(bucket, key) ? bucket->first
                                     : atc_find_other(bucket, key);
}

/* After the first entry, or what it says, has changed */
static void atc_show_first(PCIATCBucket *bucket)
{
    const PCIATCEntry *e = bucket->first;

    if (e) {
        bucket->start = e->node.start;
        bucket->translated_addr = e->translated_addr;
        bucket->pasid = e->space->pasid;
        bucket->size_bit = atc_size_bit(atc_entry_mask(e));
        bucket->perm = e->perm;
        bucket->recent = e->recent;
    }
}

static void atc_hash_insert(PCIATC *atc, PCIATCEntry *e)
{
    PCIATCBucket *bucket = atc_bucket(atc, e->hash);
    PCIATCEntry *old = bucket->first;

    if (old) {
        old->recent = bucket->recent;
        bucket->others |= atc_filter(old->hash);
    }
    e->hash_next = old;
    bucket->first = e;
    atc_show_first(bucket);
}

static void atc_hash_remove(PCIATC *atc, PCIATCEntry *e)
{
    PCIATCBucket *bucket = atc_bucket(atc, e->hash);
    PCIATCEntry **p = &bucket->first;

    bucket->first->recent = bucket->recent;
    bucket->others = 0;
    while (*p) {
        if (*p == e) {
            *p = e->hash_next;
        } else {
            bucket->others |= p != &bucket->first ? atc_filter((*p)->hash) : 0;
            p = &(*p)->hash_next;
        }
    }
    atc_show_first(bucket);
}

static void atc_grant(PCIATC *atc, PCIATCEntry *e, IOMMUAccessFlags perm)
{
    PCIATCBucket *bucket = atc_bucket(atc, e->hash);

    e->perm |= perm;
    if (bucket->first == e) {
        bucket->perm = e->perm;
    }
}

/* Was it looked up since the last call? */
static bool atc_take_recent(PCIATC *atc, PCIATCEntry *e)
{
    PCIATCBucket *bucket = atc_bucket(atc, e->hash);
    bool *recent = bucket->first == e ? &bucket->recent : &e->recent;
    bool ret = *recent;

    *recent = false;
    return ret;
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
    unsigned bit = atc_size_bit(mask);
    PCIATCEntry *e = g_new0(PCIATCEntry, 1);

    e->node.start = start;
    e->node.last = start | mask;
    e->translated_addr = translated_addr;
    e->perm = perm;
    e->space = atc_get_space(atc, pasid);
    e->hash = atc_key(atc, pasid, start, bit, atc_is_priv(perm)).hash;
    interval_tree_insert(&e->node, &e->space->tree);
    atc_hash_insert(atc, e);
    QTAILQ_INSERT_TAIL(&atc->by_age, e, age);
    atc->size_count[bit]++;
    atc->sizes |= 1ULL << bit;
    atc->count++;
}

/* Second chance: what was looked up since the last visit stays. */
static void atc_evict_one(PCIATC *atc)
{
    PCIATCEntry *e = QTAILQ_FIRST(&atc->by_age);

    for (int i = 0; i < PCI_ATC_EVICT_SCAN && atc_take_recent(atc, e); i++) {
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
    PCIATCKey key = atc_key(atc, pasid, start, atc_size_bit(mask),
                            atc_is_priv(entry->perm));
    PCIATCEntry *e = atc_find(atc, &key);

    if (e && e->translated_addr == translated_addr) {
        atc_grant(atc, e, entry->perm);
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

/* What the bucket has for @key, if that grants what is needed */
static bool atc_probe(PCIATCBucket *bucket, const PCIATCKey *key,
                      IOMMUAccessFlags need, IOMMUTLBEntry *entry)
{
    PCIATCEntry *e;
    bool *recent;

    if (atc_first_is(bucket, key)) {
        entry->translated_addr = bucket->translated_addr;
        entry->perm = bucket->perm;
        recent = &bucket->recent;
    } else {
        e = atc_find_other(bucket, key);
        if (!e) {
            return false;
        }
        entry->translated_addr = e->translated_addr;
        entry->perm = e->perm;
        recent = &e->recent;
    }
    if ((entry->perm & need) != need) {
        return false;
    }
    entry->iova = key->start;
    entry->addr_mask = UINT64_MAX >> (63 - key->size_bit);
    *recent = true;
    return true;
}

/*
 * Look for an address among the entries of some sizes, a bit each. The buckets
 * are under way from memory before the first is looked at.
 */
static bool atc_match(PCIATC *atc, uint32_t pasid, hwaddr iova,
                      IOMMUAccessFlags need, uint64_t sizes,
                      IOMMUTLBEntry *entry)
{
    PCIATCKey keys[PCI_ATC_PROBES];
    unsigned n = 0;

    for (; sizes && n < PCI_ATC_PROBES; sizes &= sizes - 1) {
        unsigned bit = ctz64(sizes);

        keys[n] = atc_key(atc, pasid, iova & ~(UINT64_MAX >> (63 - bit)), bit,
                          atc_is_priv(need));
        __builtin_prefetch(atc_bucket(atc, keys[n++].hash));
    }
    for (unsigned i = 0; i < n; i++) {
        if (atc_probe(atc_bucket(atc, keys[i].hash), &keys[i], need, entry)) {
            return true;
        }
    }
    return sizes && atc_match(atc, pasid, iova, need, sizes, entry);
}

bool pci_atc_lookup(PCIATC *atc, uint32_t pasid, hwaddr iova,
                    IOMMUAccessFlags need, IOMMUTLBEntry *entry,
                    PCIATCTicket *ticket)
{
    IOMMUTLBEntry found = { .pasid = pasid };
    bool hit;

    WITH_QEMU_LOCK_GUARD(&atc->lock) {
        hit = atc_match(atc, pasid, iova, need, atc->sizes, &found);
        if (hit) {
            *ticket = atc->seq;
        }
    }
    trace_pci_atc_lookup(atc, pasid, iova, need, hit);
    if (hit) {
        *entry = found;
    }
    return hit;
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

/* Remove some entries, which need not be in order, and are in no cache yet. */
static size_t atc_drop_batch(PCIATC *atc, PCIATCSpace *space,
                             const PCIATCScope *scope)
{
    PCIATCEntry *batch[PCI_ATC_DROP_BATCH];
    IntervalTreeNode *node;
    size_t n = 0;

    node = interval_tree_iter_first(&space->tree, scope->first, scope->last);
    while (node && n < PCI_ATC_DROP_BATCH) {
        batch[n] = container_of(node, PCIATCEntry, node);
        __builtin_prefetch(atc_bucket(atc, batch[n++]->hash), 1);
        node = interval_tree_iter_next(node, scope->first, scope->last);
    }
    for (size_t i = 0; i < n; i++) {
        atc_remove(atc, batch[i]);
    }
    return n;
}

static size_t atc_drop_range(PCIATC *atc, const PCIATCScope *scope)
{
    PCIATCSpace *space;
    size_t n, dropped = 0;

    do {
        /* It goes with its last entry. */
        space = g_hash_table_lookup(atc->spaces,
                                    GUINT_TO_POINTER(scope->pasid));
        n = space ? atc_drop_batch(atc, space, scope) : 0;
        dropped += n;
    } while (n == PCI_ATC_DROP_BATCH);
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

    atc->max_entries = MIN(MAX(max_entries, 1), PCI_ATC_ENTRIES_MAX);
    atc->bucket_bits = ctz64(pow2ceil(atc->max_entries));
    atc->buckets = g_new0(PCIATCBucket, 1 << atc->bucket_bits);
    for (size_t i = 0; i < ARRAY_SIZE(atc->factors); i++) {
        atc->factors[i] = (uint64_t)g_random_int() << 32 | g_random_int() | 1;
    }
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
