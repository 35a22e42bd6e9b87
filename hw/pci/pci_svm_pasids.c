/*
 * The PASIDs that a function uses
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/qht.h"
#include "qemu/rcu.h"
#include "qemu/xxhash.h"
#include "hw/pci/pci_svm_pasids.h"

#define SVM_PASIDS_BUCKETS 4

/* A PASID in use, or one that threads may still count for */
typedef struct SVMPasidUse {
    struct rcu_head rcu;
    PCISVMPasid pasid;
    PCISVMPasids *owner;
    QSIMPLEQ_ENTRY(SVMPasidUse) next;
} SVMPasidUse;

/* All changes are made under the BQL; RCU lets threads look @table up. */
struct PCISVMPasids {
    struct rcu_head rcu;
    uint64_t secret;
    uint32_t count;
    struct qht table;
    QSIMPLEQ_HEAD(, SVMPasidUse) retired;
    PCISVMPasid remainder;
};

/* Guests choose PASIDs, and shall not choose what shares a bucket. */
static uint32_t svm_pasids_hash(const PCISVMPasids *pasids, uint32_t pasid)
{
    return qemu_xxhash4(pasids->secret, pasid);
}

static bool svm_pasids_equal(const void *a, const void *b)
{
    return ((const SVMPasidUse *)a)->pasid.number ==
           ((const SVMPasidUse *)b)->pasid.number;
}

static bool svm_pasids_is_of(const void *use, const void *pasid)
{
    return ((const SVMPasidUse *)use)->pasid.number ==
           *(const uint32_t *)pasid;
}

static SVMPasidUse *svm_pasids_lookup(const PCISVMPasids *pasids,
                                      uint32_t pasid)
{
    return qht_lookup_custom(&pasids->table, &pasid,
                             svm_pasids_hash(pasids, pasid),
                             svm_pasids_is_of);
}

PCISVMPasids *pci_svm_pasids_new(void)
{
    PCISVMPasids *pasids = g_new0(PCISVMPasids, 1);

    pasids->secret = (uint64_t)g_random_int() << 32 | g_random_int();
    qht_init(&pasids->table, svm_pasids_equal, SVM_PASIDS_BUCKETS,
             QHT_MODE_AUTO_RESIZE);
    QSIMPLEQ_INIT(&pasids->retired);
    return pasids;
}

static bool svm_pasids_free_use(void *use, uint32_t hash, void *opaque)
{
    g_free(use);
    return true;
}

/* Callbacks of RCU run in their order: nothing is in @retired any more. */
static void svm_pasids_reclaim(PCISVMPasids *pasids)
{
    qht_iter_remove(&pasids->table, svm_pasids_free_use, NULL);
    qht_destroy(&pasids->table);
    g_free(pasids);
}

void pci_svm_pasids_free(PCISVMPasids *pasids)
{
    call_rcu(pasids, svm_pasids_reclaim, rcu);
}

static SVMPasidUse *svm_pasids_add(PCISVMPasids *pasids, uint32_t pasid)
{
    SVMPasidUse *use = g_new0(SVMPasidUse, 1);

    use->owner = pasids;
    use->pasid.number = pasid;
    qht_insert(&pasids->table, use, svm_pasids_hash(pasids, pasid), NULL);
    pasids->count++;
    return use;
}

PCISVMPasid *pci_svm_pasids_get(PCISVMPasids *pasids, uint32_t pasid)
{
    SVMPasidUse *use;

    assert(bql_locked());
    RCU_READ_LOCK_GUARD();
    use = svm_pasids_lookup(pasids, pasid) ?: svm_pasids_add(pasids, pasid);
    use->pasid.users++;
    return &use->pasid;
}

/* Nobody counts there any more. The oldest of the retired is @use. */
static void svm_pasids_merge(SVMPasidUse *use)
{
    PCISVMPasids *pasids = use->owner;

    for (int i = 0; i < PCI_SVM_COUNTER__MAX; i++) {
        pci_svm_count(&pasids->remainder.counters, i,
                      stat64_get(&use->pasid.counters.value[i]));
    }
    assert(use == QSIMPLEQ_FIRST(&pasids->retired));
    QSIMPLEQ_REMOVE_HEAD(&pasids->retired, next);
    g_free(use);
}

void pci_svm_pasids_put(PCISVMPasids *pasids, PCISVMPasid *pasid)
{
    SVMPasidUse *use = container_of(pasid, SVMPasidUse, pasid);

    assert(bql_locked());
    if (--pasid->users) {
        return;
    }
    qht_remove(&pasids->table, use, svm_pasids_hash(pasids, pasid->number));
    QSIMPLEQ_INSERT_TAIL(&pasids->retired, use, next);
    call_rcu(use, svm_pasids_merge, rcu);
    /* By itself the table only grows. */
    if (--pasids->count == 0) {
        qht_reset_size(&pasids->table, SVM_PASIDS_BUCKETS);
    }
}

PCISVMPasid *pci_svm_pasids_find(PCISVMPasids *pasids, uint32_t pasid)
{
    SVMPasidUse *use = svm_pasids_lookup(pasids, pasid);

    return use ? &use->pasid : &pasids->remainder;
}

static void svm_pasids_add_up(const PCISVMCounters *counters, uint64_t *sum)
{
    for (int i = 0; i < PCI_SVM_COUNTER__MAX; i++) {
        sum[i] += stat64_get(&counters->value[i]);
    }
}

static void svm_pasids_add_use(void *use, uint32_t hash, void *sum)
{
    svm_pasids_add_up(&((SVMPasidUse *)use)->pasid.counters, sum);
}

void pci_svm_pasids_sum(PCISVMPasids *pasids,
                        uint64_t sum[PCI_SVM_COUNTER__MAX])
{
    SVMPasidUse *use;

    assert(bql_locked());
    memset(sum, 0, PCI_SVM_COUNTER__MAX * sizeof(*sum));
    svm_pasids_add_up(&pasids->remainder.counters, sum);
    QSIMPLEQ_FOREACH(use, &pasids->retired, next) {
        svm_pasids_add_up(&use->pasid.counters, sum);
    }
    qht_iter(&pasids->table, svm_pasids_add_use, sum);
}

void pci_svm_pasids_read(PCISVMPasids *pasids, uint32_t pasid,
                         uint64_t counts[PCI_SVM_COUNTER__MAX])
{
    RCU_READ_LOCK_GUARD();
    memset(counts, 0, PCI_SVM_COUNTER__MAX * sizeof(*counts));
    svm_pasids_add_up(&pci_svm_pasids_find(pasids, pasid)->counters, counts);
}

static void svm_pasids_append(void *use, uint32_t hash, void *list)
{
    g_array_append_val((GArray *)list, ((SVMPasidUse *)use)->pasid.number);
}

static gint svm_pasids_compare(gconstpointer a, gconstpointer b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

GArray *pci_svm_pasids_list(PCISVMPasids *pasids)
{
    GArray *list = g_array_new(false, false, sizeof(uint32_t));

    assert(bql_locked());
    qht_iter(&pasids->table, svm_pasids_append, list);
    g_array_sort(list, svm_pasids_compare);
    return list;
}
