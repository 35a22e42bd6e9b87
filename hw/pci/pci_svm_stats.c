/*
 * What a function does with shared virtual memory, counted per PASID
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/memalign.h"
#include "qemu/qht.h"
#include "qemu/queue.h"
#include "qemu/rcu.h"
#include "qemu/xxhash.h"
#include "hw/pci/pci_svm_stats.h"

#define SVM_STATS_BUCKETS 4

/* A cache line of most hosts */
#define SVM_STATS_ALIGN 64

/* A PASID in use, or one that threads may still count for */
typedef struct SVMPasidStats {
    struct rcu_head rcu;
    PCISVMStats *owner;
    uint32_t pasid;
    unsigned users;
    PCISVMCounters counters;
    QLIST_ENTRY(SVMPasidStats) next;
} QEMU_ALIGNED(SVM_STATS_ALIGN) SVMPasidStats;

/* All changes are made under the BQL; RCU lets threads look @pasids up. */
struct PCISVMStats {
    struct rcu_head rcu;
    uint64_t secret;
    struct qht pasids;
    QLIST_HEAD(, SVMPasidStats) retired;
    PCISVMCounters remainder;
};

/* Guests choose PASIDs, and shall not choose what shares a bucket. */
static uint32_t svm_stats_hash(const PCISVMStats *stats, uint32_t pasid)
{
    return qemu_xxhash4(stats->secret, pasid);
}

static bool svm_stats_equal(const void *a, const void *b)
{
    return ((const SVMPasidStats *)a)->pasid ==
           ((const SVMPasidStats *)b)->pasid;
}

static bool svm_stats_is_of(const void *obj, const void *pasid)
{
    return ((const SVMPasidStats *)obj)->pasid == *(const uint32_t *)pasid;
}

static SVMPasidStats *svm_stats_lookup(const PCISVMStats *stats,
                                       uint32_t pasid)
{
    return qht_lookup_custom(&stats->pasids, &pasid,
                             svm_stats_hash(stats, pasid), svm_stats_is_of);
}

PCISVMStats *pci_svm_stats_new(void)
{
    PCISVMStats *stats = g_new0(PCISVMStats, 1);

    stats->secret = (uint64_t)g_random_int() << 32 | g_random_int();
    qht_init(&stats->pasids, svm_stats_equal, SVM_STATS_BUCKETS,
             QHT_MODE_AUTO_RESIZE);
    QLIST_INIT(&stats->retired);
    return stats;
}

static bool svm_stats_free_pasid(void *p, uint32_t hash, void *opaque)
{
    qemu_vfree(p);
    return true;
}

/* Callbacks of RCU run in their order: nothing is in @retired any more. */
static void svm_stats_reclaim(PCISVMStats *stats)
{
    qht_iter_remove(&stats->pasids, svm_stats_free_pasid, NULL);
    qht_destroy(&stats->pasids);
    g_free(stats);
}

void pci_svm_stats_free(PCISVMStats *stats)
{
    call_rcu(stats, svm_stats_reclaim, rcu);
}

PCISVMCounters *pci_svm_stats_get(PCISVMStats *stats, uint32_t pasid)
{
    SVMPasidStats *p;

    assert(bql_locked());
    RCU_READ_LOCK_GUARD();
    p = svm_stats_lookup(stats, pasid);
    if (!p) {
        p = qemu_memalign(SVM_STATS_ALIGN, sizeof(*p));
        memset(p, 0, sizeof(*p));
        p->owner = stats;
        p->pasid = pasid;
        qht_insert(&stats->pasids, p, svm_stats_hash(stats, pasid), NULL);
    }
    p->users++;
    return &p->counters;
}

/* Nobody counts there any more. */
static void svm_stats_merge(SVMPasidStats *p)
{
    for (int i = 0; i < PCI_SVM_COUNTER__MAX; i++) {
        pci_svm_count(&p->owner->remainder, i,
                      stat64_get(&p->counters.value[i]));
    }
    QLIST_REMOVE(p, next);
    qemu_vfree(p);
}

void pci_svm_stats_put(PCISVMStats *stats, uint32_t pasid)
{
    SVMPasidStats *p;

    assert(bql_locked());
    RCU_READ_LOCK_GUARD();
    p = svm_stats_lookup(stats, pasid);
    if (--p->users == 0) {
        qht_remove(&stats->pasids, p, svm_stats_hash(stats, pasid));
        QLIST_INSERT_HEAD(&stats->retired, p, next);
        call_rcu(p, svm_stats_merge, rcu);
    }
}

PCISVMCounters *pci_svm_stats_find(PCISVMStats *stats, uint32_t pasid)
{
    SVMPasidStats *p = svm_stats_lookup(stats, pasid);

    return p ? &p->counters : &stats->remainder;
}

static void svm_stats_add_up(const PCISVMCounters *counters, uint64_t *sum)
{
    for (int i = 0; i < PCI_SVM_COUNTER__MAX; i++) {
        sum[i] += stat64_get(&counters->value[i]);
    }
}

static void svm_stats_add_pasid(void *p, uint32_t hash, void *sum)
{
    svm_stats_add_up(&((SVMPasidStats *)p)->counters, sum);
}

void pci_svm_stats_sum(PCISVMStats *stats, uint64_t sum[PCI_SVM_COUNTER__MAX])
{
    SVMPasidStats *p;

    assert(bql_locked());
    memset(sum, 0, PCI_SVM_COUNTER__MAX * sizeof(*sum));
    svm_stats_add_up(&stats->remainder, sum);
    QLIST_FOREACH(p, &stats->retired, next) {
        svm_stats_add_up(&p->counters, sum);
    }
    qht_iter(&stats->pasids, svm_stats_add_pasid, sum);
}

void pci_svm_stats_read(PCISVMStats *stats, uint32_t pasid,
                        uint64_t counts[PCI_SVM_COUNTER__MAX])
{
    RCU_READ_LOCK_GUARD();
    memset(counts, 0, PCI_SVM_COUNTER__MAX * sizeof(*counts));
    svm_stats_add_up(pci_svm_stats_find(stats, pasid), counts);
}

static void svm_stats_append(void *p, uint32_t hash, void *list)
{
    g_array_append_val((GArray *)list, ((SVMPasidStats *)p)->pasid);
}

static gint svm_stats_compare(gconstpointer a, gconstpointer b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

GArray *pci_svm_stats_list(PCISVMStats *stats)
{
    GArray *list = g_array_new(false, false, sizeof(uint32_t));

    assert(bql_locked());
    qht_iter(&stats->pasids, svm_stats_append, list);
    g_array_sort(list, svm_stats_compare);
    return list;
}
