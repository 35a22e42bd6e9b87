/*
 * Address translation cache (ATC) of a PCIe function
 *
 * PCIe Base Specification r6.0, sections 10.1.1 and 10.3.
 *
 * Entries stand in a hash table that is read without a lock, and their keys in
 * an index, by which an invalidation finds them. The lock is for those who
 * change the cache.
 *
 * An invalidation first removes entries, then makes itself known (@seq), then
 * looks for uses. Hence:
 *
 * - a lookup reads @seq before it reads the table. An entry that it finds was
 *   there at that time, so an invalidation that covers it is later than the
 *   ticket;
 * - a use is first registered, then @seq is read: either the use sees the
 *   invalidation, or the invalidation sees the use.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bitops.h"
#include "qemu/host-utils.h"
#include "qemu/lockable.h"
#include "qemu/madvise.h"
#include "qemu/memalign.h"
#include "qemu/seqlock.h"
#include "qemu/thread.h"
#include "hw/pci/pci_atc.h"
#include "pci_atc_index.h"
#include "trace.h"

#define PCI_ATC_ENTRIES_MAX (1 << 24)

/* A ticket that is older than the log counts as covered. */
#define PCI_ATC_LOG_LEN 64

/* Entries that one eviction looks at before it takes one that is in use. */
#define PCI_ATC_EVICT_SCAN 16

/* Entries in a bucket, which fills a line of the processor's cache */
#define PCI_ATC_WAYS 2

/* Threads whose uses are registered apart from each other */
#define PCI_ATC_STRIPES 16

#define CACHE_LINE 64

/*
 * An entry: the key's address; the translated address; the key's space above
 * eight bits of permissions, 0 if there is none.
 */
typedef struct PCIATCSlot {
    aligned_uint64_t addr;
    aligned_uint64_t translated;
    aligned_uint64_t grant;
} PCIATCSlot;

typedef struct PCIATCBucket {
    PCIATCSlot slot[PCI_ATC_WAYS];
    QemuSeqLock version;            /* of the slots */
    uint32_t passed;                /* entries that found no room here */
    bool recent[PCI_ATC_WAYS];      /* looked up since the last visit */
} QEMU_ALIGNED(CACHE_LINE) PCIATCBucket;

QEMU_BUILD_BUG_ON(sizeof(PCIATCBucket) != CACHE_LINE);

/* What an invalidation covers */
typedef struct PCIATCScope {
    uint32_t pasid;
    bool all_pasids;
    hwaddr first;
    hwaddr last;
} PCIATCScope;

/* The uses of some threads */
typedef struct PCIATCUses {
    QemuSpin lock;
    unsigned count;                 /* read without the lock */
    QLIST_HEAD(, PCIATCUse) list;
} QEMU_ALIGNED(CACHE_LINE) PCIATCUses;

struct PCIATC {
    /* Constant */
    PCIATCBucket *buckets;
    size_t bucket_mask;
    size_t max_entries;
    uint64_t factors[2];            /* of the hash */

    /* Written with the lock held; read without it */
    aligned_uint64_t seq;           /* invalidations so far */
    aligned_uint64_t sizes;         /* bit n - 1: there are some of 2^n bytes */
    unsigned waiters;

    PCIATCUses uses[PCI_ATC_STRIPES];

    QemuMutex lock;                 /* the members below */
    QemuCond use_ended;
    PCIATCScope log[PCI_ATC_LOG_LEN];   /* the last invalidations */
    PCIATCIndex index;
    size_t count;
    size_t size_count[64];
    size_t hand;                    /* where the next eviction begins */
};

/* Keys */

/* So that no key is 0 */
#define ATC_KEY (1ULL << 38)

static unsigned atc_size_bit(uint64_t mask)
{
    return ctz64(~(mask >> 1));
}

static uint64_t atc_mask(unsigned size_bit)
{
    return UINT64_MAX >> (63 - size_bit);
}

static PCIATCKey atc_key(uint32_t pasid, hwaddr addr, unsigned size_bit,
                         bool priv)
{
    return (PCIATCKey) {
        .space = ATC_KEY | (uint64_t)pasid << 6 | size_bit,
        .addr = (addr & ~atc_mask(size_bit)) | priv,
    };
}

static unsigned atc_key_size_bit(const PCIATCKey *key)
{
    return key->space & 63;
}

static bool atc_is_priv(IOMMUAccessFlags perm)
{
    return perm & IOMMU_PRIV;
}

/* The table */

static uint64_t atc_grant(const PCIATCKey *key, IOMMUAccessFlags perm)
{
    return key->space << 8 | perm;
}

static IOMMUAccessFlags atc_grant_perm(uint64_t grant)
{
    return grant & 0xff;
}

QEMU_BUILD_BUG_ON(IOMMU_UNTRANSLATED_ONLY > 0xff);

/*
 * Where an entry is, unless there is no room. Two neighbours share a bucket,
 * and four buckets follow each other, as devices like to go on. The factors
 * are random, so that nobody can choose addresses that share more.
 */
static size_t atc_home(const PCIATC *atc, const PCIATCKey *key)
{
    uint64_t page = key->addr >> 1 >> atc_key_size_bit(key);
    uint64_t kind = key->space << 1 | (key->addr & 1);
    uint64_t hash = (page >> 3) * atc->factors[0] + kind * atc->factors[1];

    hash = (hash ^ hash >> 32) * atc->factors[1] >> 32;
    return (hash + (page >> 1 & 3)) & atc->bucket_mask;
}

/* Without branches that nobody could predict */
static int atc_find_way(const PCIATCBucket *bucket, const PCIATCKey *key)
{
    uint32_t found = 0;

    for (int i = 0; i < PCI_ATC_WAYS; i++) {
        const PCIATCSlot *slot = &bucket->slot[i];
        uint64_t grant = qatomic_read_u64(&slot->grant);
        uint64_t addr = qatomic_read_u64(&slot->addr);

        found |= (((addr ^ key->addr) | (grant >> 8 ^ key->space)) == 0) << i;
    }
    return found ? ctz32(found) : -1;
}

/*
 * Read a bucket's entry for @key as it was at one time, without the lock.
 * Returns the way in which it is.
 */
static int atc_read(const PCIATCBucket *bucket, const PCIATCKey *key,
                    PCIATCSlot *copy)
{
    unsigned version;
    int way;

    do {
        version = seqlock_read_begin(&bucket->version);
        way = atc_find_way(bucket, key);
        if (way >= 0) {
            const PCIATCSlot *slot = &bucket->slot[way];

            copy->translated = qatomic_read_u64(&slot->translated);
            copy->grant = qatomic_read_u64(&slot->grant);
        }
    } while (seqlock_read_retry(&bucket->version, version));
    return way;
}

/* Called with the lock held, as those that follow */
static void atc_write(PCIATCBucket *bucket, int way, const PCIATCSlot *val)
{
    PCIATCSlot *slot = &bucket->slot[way];

    seqlock_write_begin(&bucket->version);
    qatomic_set_u64(&slot->addr, val->addr);
    qatomic_set_u64(&slot->translated, val->translated);
    qatomic_set_u64(&slot->grant, val->grant);
    seqlock_write_end(&bucket->version);
    qatomic_set(&bucket->recent[way], false);
}

/* The bucket that has the entry, and in @way where */
static PCIATCBucket *atc_find(PCIATC *atc, const PCIATCKey *key, int *way)
{
    size_t i = atc_home(atc, key);

    for (size_t n = 0; n <= atc->bucket_mask; n++) {
        PCIATCBucket *bucket = &atc->buckets[i];

        *way = atc_find_way(bucket, key);
        if (*way >= 0) {
            return bucket;
        }
        if (!bucket->passed) {
            break;
        }
        i = (i + 1) & atc->bucket_mask;
    }
    return NULL;
}

static int atc_find_room(const PCIATCBucket *bucket)
{
    for (int i = 0; i < PCI_ATC_WAYS; i++) {
        if (!bucket->slot[i].grant) {
            return i;
        }
    }
    return -1;
}

static void atc_pass(PCIATCBucket *bucket, int delta)
{
    qatomic_set(&bucket->passed, bucket->passed + delta);
}

/* There is room somewhere: the table is at most half full. */
static void atc_table_insert(PCIATC *atc, const PCIATCKey *key,
                             const PCIATCSlot *val)
{
    size_t i = atc_home(atc, key);
    int way;

    while ((way = atc_find_room(&atc->buckets[i])) < 0) {
        atc_pass(&atc->buckets[i], 1);
        i = (i + 1) & atc->bucket_mask;
    }
    atc_write(&atc->buckets[i], way, val);
}

static void atc_table_remove(PCIATC *atc, const PCIATCKey *key)
{
    size_t i = atc_home(atc, key);
    int way;

    while ((way = atc_find_way(&atc->buckets[i], key)) < 0) {
        atc_pass(&atc->buckets[i], -1);
        i = (i + 1) & atc->bucket_mask;
    }
    atc_write(&atc->buckets[i], way, &(PCIATCSlot) { });
}

/* Entries */

static void atc_count_size(PCIATC *atc, unsigned bit, int delta)
{
    uint64_t sizes = atc->sizes;

    atc->count += delta;
    atc->size_count[bit] += delta;
    sizes = deposit64(sizes, bit, 1, atc->size_count[bit] != 0);
    if (sizes != atc->sizes) {
        qatomic_set_u64(&atc->sizes, sizes);
    }
}

/* After keys have left the index; they need not be in the processor's cache. */
static void atc_removed(const PCIATCKey *keys, unsigned n, void *opaque)
{
    PCIATC *atc = opaque;

    for (unsigned i = 0; i < n; i++) {
        __builtin_prefetch(&atc->buckets[atc_home(atc, &keys[i])], 1);
    }
    for (unsigned i = 0; i < n; i++) {
        atc_table_remove(atc, &keys[i]);
        atc_count_size(atc, atc_key_size_bit(&keys[i]), -1);
    }
}

/* A way that has an entry; the one after the last that this said */
static PCIATCSlot *atc_next_victim(PCIATC *atc, bool **recent)
{
    PCIATCBucket *bucket;
    unsigned way;

    do {
        bucket = &atc->buckets[atc->hand / PCI_ATC_WAYS & atc->bucket_mask];
        way = atc->hand++ % PCI_ATC_WAYS;
    } while (!bucket->slot[way].grant);
    *recent = &bucket->recent[way];
    return &bucket->slot[way];
}

/* Second chance: what was looked up since the last visit stays. */
static void atc_evict_one(PCIATC *atc)
{
    bool *recent;
    PCIATCSlot *slot = atc_next_victim(atc, &recent);
    PCIATCKey key;

    for (int i = 0; i < PCI_ATC_EVICT_SCAN && qatomic_read(recent); i++) {
        qatomic_set(recent, false);
        slot = atc_next_victim(atc, &recent);
    }
    key = (PCIATCKey) { .space = slot->grant >> 8, .addr = slot->addr };
    trace_pci_atc_evict(atc, key.space >> 6, key.addr & ~1ULL,
                        atc_mask(atc_key_size_bit(&key)));
    pci_atc_index_remove(&atc->index, key, key, atc_removed, atc);
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
    unsigned bit = atc_size_bit(entry->addr_mask);
    PCIATCKey key = atc_key(pasid, entry->iova, bit, atc_is_priv(entry->perm));
    PCIATCSlot val = {
        .addr = key.addr,
        .translated = entry->translated_addr & ~entry->addr_mask,
        .grant = atc_grant(&key, entry->perm),
    };
    int way;
    PCIATCBucket *bucket = atc_find(atc, &key, &way);

    if (bucket) {
        if (bucket->slot[way].translated == val.translated) {
            val.grant |= bucket->slot[way].grant;
        }
        atc_write(bucket, way, &val);
        return;
    }
    if (atc->count == atc->max_entries) {
        atc_evict_one(atc);
    }
    pci_atc_index_insert(&atc->index, key);
    atc_table_insert(atc, &key, &val);
    atc_count_size(atc, bit, 1);
}

/* Tickets */

static bool atc_scope_covers(const PCIATCScope *scope, uint32_t pasid,
                             hwaddr first, hwaddr last)
{
    return (scope->all_pasids || scope->pasid == pasid) &&
           scope->first <= last && first <= scope->last;
}

/* Called with the lock held */
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

PCIATCTicket pci_atc_get_ticket(PCIATC *atc)
{
    PCIATCTicket ticket = qatomic_read_u64(&atc->seq);

    /* Before what the ticket is for; pairs with atc_revoke() */
    smp_rmb();
    return ticket;
}

bool pci_atc_is_current(PCIATC *atc, uint32_t pasid,
                        const IOMMUTLBEntry *entry, PCIATCTicket ticket)
{
    QEMU_LOCK_GUARD(&atc->lock);
    return !atc_is_revoked(atc, pasid, entry->iova & ~entry->addr_mask,
                           entry->iova | entry->addr_mask, ticket);
}

/* Insertion and lookup */

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

/* Look for an entry of one size that grants what is needed. */
static bool atc_match(PCIATC *atc, const PCIATCKey *key, IOMMUAccessFlags need,
                      PCIATCSlot *found)
{
    size_t i = atc_home(atc, key);

    for (size_t n = 0; n <= atc->bucket_mask; n++) {
        PCIATCBucket *bucket = &atc->buckets[i];
        int way = atc_read(bucket, key, found);

        if (way >= 0) {
            if ((atc_grant_perm(found->grant) & need) != need) {
                return false;
            }
            if (!qatomic_read(&bucket->recent[way])) {
                qatomic_set(&bucket->recent[way], true);
            }
            return true;
        }
        if (!qatomic_read(&bucket->passed)) {
            break;
        }
        i = (i + 1) & atc->bucket_mask;
    }
    return false;
}

/* Start to read the bucket of a key, from memory if need be. */
static void atc_prefetch(const PCIATC *atc, PCIATCKey key)
{
    __builtin_prefetch(&atc->buckets[atc_home(atc, &key)]);
}

static bool atc_lookup(PCIATC *atc, uint32_t pasid, hwaddr iova,
                       IOMMUAccessFlags need, IOMMUTLBEntry *entry)
{
    uint64_t sizes = qatomic_read_u64(&atc->sizes);
    PCIATCSlot found;

    for (uint64_t rest = sizes & (sizes - 1); rest; rest &= rest - 1) {
        atc_prefetch(atc, atc_key(pasid, iova, ctz64(rest),
                                  atc_is_priv(need)));
    }
    for (; sizes; sizes &= sizes - 1) {
        unsigned bit = ctz64(sizes);
        PCIATCKey key = atc_key(pasid, iova, bit, atc_is_priv(need));

        if (atc_match(atc, &key, need, &found)) {
            *entry = (IOMMUTLBEntry) {
                .iova = iova & ~atc_mask(bit),
                .translated_addr = found.translated,
                .addr_mask = atc_mask(bit),
                .perm = atc_grant_perm(found.grant),
                .pasid = pasid,
            };
            return true;
        }
    }
    return false;
}

bool pci_atc_lookup(PCIATC *atc, uint32_t pasid, hwaddr iova,
                    IOMMUAccessFlags need, IOMMUTLBEntry *entry,
                    PCIATCTicket *ticket)
{
    PCIATCTicket now = pci_atc_get_ticket(atc);
    bool hit = atc_lookup(atc, pasid, iova, need, entry);

    trace_pci_atc_lookup(atc, pasid, iova, need, hit);
    if (hit) {
        *ticket = now;
    }
    return hit;
}

size_t pci_atc_extend(PCIATC *atc, uint32_t pasid, hwaddr iova,
                      const IOMMUTLBEntry *entry, IOMMUAccessFlags need,
                      size_t max, unsigned *hits)
{
    hwaddr delta = entry->translated_addr - (entry->iova & ~entry->addr_mask);
    hwaddr last = entry->iova | entry->addr_mask;
    unsigned bit = atc_size_bit(entry->addr_mask);
    IOMMUTLBEntry next;

    *hits = 0;
    for (size_t ahead = entry->addr_mask; ahead < max - 1;
         ahead += entry->addr_mask + 1) {
        atc_prefetch(atc, atc_key(pasid, iova + ahead + 1, bit,
                                  atc_is_priv(need)));
    }
    while (last - iova < max - 1 && last != UINT64_MAX &&
           atc_lookup(atc, pasid, last + 1, need, &next) &&
           next.translated_addr - next.iova == delta) {
        last = next.iova | next.addr_mask;
        ++*hits;
    }
    return MIN(last - iova, max - 1) + 1;
}

/* Uses */

/* A thread keeps its stripe, so that threads do not share cache lines. */
static unsigned atc_stripe(void)
{
    static unsigned threads;
    static __thread unsigned stripe;

    if (!stripe) {
        stripe = qatomic_fetch_inc(&threads) % PCI_ATC_STRIPES + 1;
    }
    return stripe - 1;
}

static void atc_register_use(PCIATC *atc, PCIATCUse *use)
{
    PCIATCUses *uses = &atc->uses[use->stripe];

    qemu_spin_lock(&uses->lock);
    QLIST_INSERT_HEAD(&uses->list, use, next);
    qatomic_set(&uses->count, uses->count + 1);
    qemu_spin_unlock(&uses->lock);
}

void pci_atc_use_end(PCIATC *atc, PCIATCUse *use)
{
    PCIATCUses *uses = &atc->uses[use->stripe];
    unsigned waiters;

    qemu_spin_lock(&uses->lock);
    QLIST_REMOVE(use, next);
    /* After the accesses to memory; pairs with atc_is_used() */
    qatomic_store_release(&uses->count, uses->count - 1);
    waiters = qatomic_read(&atc->waiters);
    qemu_spin_unlock(&uses->lock);
    if (waiters) {
        QEMU_LOCK_GUARD(&atc->lock);
        qemu_cond_broadcast(&atc->use_ended);
    }
}

/* There was an invalidation since the ticket: look which. */
static bool atc_confirm_use(PCIATC *atc, PCIATCUse *use)
{
    WITH_QEMU_LOCK_GUARD(&atc->lock) {
        if (!atc_is_revoked(atc, use->pasid, use->first, use->last,
                            use->ticket)) {
            use->ticket = atc->seq;
            return true;
        }
    }
    pci_atc_use_end(atc, use);
    return false;
}

bool pci_atc_use_begin_range(PCIATC *atc, PCIATCUse *use, uint32_t pasid,
                             hwaddr first, hwaddr last, PCIATCTicket ticket)
{
    use->pasid = pasid;
    use->first = first;
    use->last = last;
    use->ticket = ticket;
    use->stripe = atc_stripe();
    atc_register_use(atc, use);
    /* Pairs with atc_wait_unused() */
    smp_mb();
    return qatomic_read_u64(&atc->seq) == ticket || atc_confirm_use(atc, use);
}

bool pci_atc_use_begin(PCIATC *atc, PCIATCUse *use, uint32_t pasid,
                       const IOMMUTLBEntry *entry, PCIATCTicket ticket)
{
    return pci_atc_use_begin_range(atc, use, pasid,
                                   entry->iova & ~entry->addr_mask,
                                   entry->iova | entry->addr_mask, ticket);
}

/* Invalidation; with the lock held */

static bool atc_stripe_is_used(PCIATCUses *uses, const PCIATCScope *scope,
                               PCIATCTicket seq)
{
    PCIATCUse *use;
    bool used = false;

    qemu_spin_lock(&uses->lock);
    QLIST_FOREACH(use, &uses->list, next) {
        /* A later use knows of this invalidation already. */
        used |= use->ticket < seq &&
                atc_scope_covers(scope, use->pasid, use->first, use->last);
    }
    qemu_spin_unlock(&uses->lock);
    return used;
}

static bool atc_is_used(PCIATC *atc, const PCIATCScope *scope,
                        PCIATCTicket seq)
{
    for (int i = 0; i < PCI_ATC_STRIPES; i++) {
        if (qatomic_load_acquire(&atc->uses[i].count) &&
            atc_stripe_is_used(&atc->uses[i], scope, seq)) {
            return true;
        }
    }
    return false;
}

static void atc_wait_unused(PCIATC *atc, const PCIATCScope *scope)
{
    PCIATCTicket seq = atc->seq;

    qatomic_set(&atc->waiters, atc->waiters + 1);
    /* Pairs with pci_atc_use_begin_range() */
    smp_mb();
    while (atc_is_used(atc, scope, seq)) {
        trace_pci_atc_wait(atc, scope->pasid, scope->first, scope->last);
        qemu_cond_wait(&atc->use_ended, &atc->lock);
    }
    qatomic_set(&atc->waiters, atc->waiters - 1);
}

static size_t atc_drop_range(PCIATC *atc, const PCIATCScope *scope)
{
    size_t dropped = 0;

    for (uint64_t sizes = atc->sizes; sizes; sizes &= sizes - 1) {
        unsigned bit = ctz64(sizes);

        dropped += pci_atc_index_remove(&atc->index,
                                        atc_key(scope->pasid, scope->first,
                                                bit, false),
                                        atc_key(scope->pasid, scope->last,
                                                bit, true),
                                        atc_removed, atc);
    }
    return dropped;
}

static size_t atc_drop_all(PCIATC *atc)
{
    return pci_atc_index_remove(&atc->index, (PCIATCKey) { },
                                (PCIATCKey) { UINT64_MAX, UINT64_MAX },
                                atc_removed, atc);
}

static size_t atc_revoke(PCIATC *atc, const PCIATCScope *scope)
{
    size_t dropped;

    QEMU_LOCK_GUARD(&atc->lock);
    dropped = scope->all_pasids ? atc_drop_all(atc)
                                : atc_drop_range(atc, scope);
    atc->log[atc->seq % PCI_ATC_LOG_LEN] = *scope;
    /* Who sees this sees no entry of these; pairs with pci_atc_get_ticket() */
    smp_wmb();
    qatomic_set_u64(&atc->seq, atc->seq + 1);
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

/* Life */

size_t pci_atc_count(PCIATC *atc)
{
    QEMU_LOCK_GUARD(&atc->lock);
    return atc->count;
}

static size_t atc_table_size(const PCIATC *atc)
{
    return (atc->bucket_mask + 1) * sizeof(PCIATCBucket);
}

size_t pci_atc_get_usage(PCIATC *atc, PCIATCUsage *usage)
{
    QEMU_LOCK_GUARD(&atc->lock);
    usage->entries = atc->count;
    usage->bytes = sizeof(*atc) + atc_table_size(atc) +
                   pci_atc_index_bytes(&atc->index);
    return atc->max_entries;
}

void pci_atc_get_pasid_usage(PCIATC *atc, uint32_t pasid, PCIATCUsage *usage)
{
    QEMU_LOCK_GUARD(&atc->lock);
    usage->entries = pci_atc_index_count(&atc->index,
                                         atc_key(pasid, 0, 0, false),
                                         atc_key(pasid, UINT64_MAX, 63, true));
    usage->bytes = usage->entries * (sizeof(PCIATCSlot) + sizeof(PCIATCKey));
}

/* Zeroes, which take memory once they are written; in huge pages if possible */
static PCIATCBucket *atc_new_table(const PCIATC *atc)
{
    size_t size = atc_table_size(atc);
    PCIATCBucket *table = qemu_anon_ram_alloc(size, NULL, false, false);

    if (!table) {
        g_error("no memory for an ATC of %zu entries", atc->max_entries);
    }
    qemu_madvise(table, size, QEMU_MADV_HUGEPAGE);
    return table;
}

PCIATC *pci_atc_new(size_t max_entries)
{
    PCIATC *atc = qemu_memalign(CACHE_LINE, sizeof(*atc));

    memset(atc, 0, sizeof(*atc));
    atc->max_entries = MIN(MAX(max_entries, 1), PCI_ATC_ENTRIES_MAX);
    atc->bucket_mask = pow2ceil(atc->max_entries) - 1;
    atc->buckets = atc_new_table(atc);
    for (size_t i = 0; i < ARRAY_SIZE(atc->factors); i++) {
        atc->factors[i] = (uint64_t)g_random_int() << 32 | g_random_int() | 1;
    }
    for (size_t i = 0; i < PCI_ATC_STRIPES; i++) {
        qemu_spin_init(&atc->uses[i].lock);
        QLIST_INIT(&atc->uses[i].list);
    }
    qemu_mutex_init(&atc->lock);
    qemu_cond_init(&atc->use_ended);
    return atc;
}

void pci_atc_free(PCIATC *atc)
{
    if (!atc) {
        return;
    }
    for (size_t i = 0; i < PCI_ATC_STRIPES; i++) {
        assert(QLIST_EMPTY(&atc->uses[i].list));
    }
    atc_drop_all(atc);
    qemu_anon_ram_free(atc->buckets, atc_table_size(atc));
    qemu_cond_destroy(&atc->use_ended);
    qemu_mutex_destroy(&atc->lock);
    qemu_vfree(atc);
}
