/*
 * What a function does with shared virtual memory, counted per PASID
 *
 * pci_svm.c counts what it sees of each function. A PASID has counters of its
 * own as long as someone uses it: while a notifier is registered for it, or
 * pci_svm_get_counters() is in effect. What happens to other PASIDs, or has
 * happened to those that are no longer in use, is in a remainder that all of
 * them share, so that the sum over a function is always complete.
 *
 * Counting takes no lock. Threads that work for different PASIDs do not write
 * to the same cache line. No reset of the device, and no migration, changes a
 * counter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_PCI_SVM_STATS_H
#define QEMU_PCI_SVM_STATS_H

#include "qemu/stats64.h"

/**
 * enum PCISVMCounter - what is counted
 *
 * @PCI_SVM_TRANSLATION_REQUESTS: translation requests that were answered
 * @PCI_SVM_TRANSLATIONS: their results with all permissions that were asked for
 * @PCI_SVM_HOLES: their results without
 * @PCI_SVM_TRANSLATIONS_REFUSED: translation requests that were refused
 * @PCI_SVM_PAGE_REQUESTS: page requests sent, but for Stop Markers
 * @PCI_SVM_PAGE_REQUESTS_REFUSED: page requests that could not be sent
 * @PCI_SVM_RESPONSES_SUCCESS: groups that were answered with Success
 * @PCI_SVM_RESPONSES_INVALID: with Invalid Request
 * @PCI_SVM_RESPONSES_FAILURE: with Response Failure
 * @PCI_SVM_RESPONSES_UNEXPECTED: responses that no group awaited
 * @PCI_SVM_INVALIDATIONS: invalidations, once for each notifier that heard one
 * @PCI_SVM_ATC_HITS: lookups that the function's translation cache answered
 * @PCI_SVM_ATC_MISSES: lookups that it did not
 * @PCI_SVM_ATC_REVOKED: translations that invalidations dropped from it
 * @PCI_SVM_COUNTER__MAX: their number
 *
 * The last three are counted by who keeps the cache.
 */
typedef enum PCISVMCounter {
    PCI_SVM_TRANSLATION_REQUESTS,
    PCI_SVM_TRANSLATIONS,
    PCI_SVM_HOLES,
    PCI_SVM_TRANSLATIONS_REFUSED,
    PCI_SVM_PAGE_REQUESTS,
    PCI_SVM_PAGE_REQUESTS_REFUSED,
    PCI_SVM_RESPONSES_SUCCESS,
    PCI_SVM_RESPONSES_INVALID,
    PCI_SVM_RESPONSES_FAILURE,
    PCI_SVM_RESPONSES_UNEXPECTED,
    PCI_SVM_INVALIDATIONS,
    PCI_SVM_ATC_HITS,
    PCI_SVM_ATC_MISSES,
    PCI_SVM_ATC_REVOKED,
    PCI_SVM_COUNTER__MAX,
} PCISVMCounter;

/**
 * struct PCISVMCounters - counters, of one PASID for example
 *
 * @value: indexed by #PCISVMCounter
 */
typedef struct PCISVMCounters {
    Stat64 value[PCI_SVM_COUNTER__MAX];
} PCISVMCounters;

/**
 * typedef PCISVMStats - the counters of a function; opaque
 */
typedef struct PCISVMStats PCISVMStats;

/**
 * pci_svm_count: add to a counter
 *
 * @counters: what it belongs to
 * @which: the counter
 * @n: how much
 *
 * Context: any thread.
 */
static inline void pci_svm_count(PCISVMCounters *counters, PCISVMCounter which,
                                 uint64_t n)
{
    /* Many are 0, and an atomic addition is not cheap. */
    if (n) {
        stat64_add(&counters->value[which], n);
    }
}

/**
 * pci_svm_stats_new: begin to count for a function
 */
PCISVMStats *pci_svm_stats_new(void);

/**
 * pci_svm_stats_free: end it
 *
 * @stats: from pci_svm_stats_new(). PASIDs may still be in use. Threads may be
 *     at it until the end of their RCU critical section.
 *
 * Context: BQL.
 */
void pci_svm_stats_free(PCISVMStats *stats);

/**
 * pci_svm_stats_get: begin to use a PASID
 *
 * @stats: the function's
 * @pasid: PASID, or %PCI_NO_PASID
 *
 * Returns: the counters of @pasid, valid until the matching call of
 * pci_svm_stats_put().
 *
 * Context: BQL.
 */
PCISVMCounters *pci_svm_stats_get(PCISVMStats *stats, uint32_t pasid);

/**
 * pci_svm_stats_put: end what pci_svm_stats_get() began
 *
 * @stats: the function's
 * @pasid: as given there
 *
 * Context: BQL.
 */
void pci_svm_stats_put(PCISVMStats *stats, uint32_t pasid);

/**
 * pci_svm_stats_find: the counters to use for a PASID
 *
 * @stats: the function's
 * @pasid: PASID, or %PCI_NO_PASID
 *
 * Returns: those of @pasid, or the remainder's if it is not in use. They are
 * valid until the end of the RCU critical section.
 *
 * Context: any thread, in an RCU critical section.
 */
PCISVMCounters *pci_svm_stats_find(PCISVMStats *stats, uint32_t pasid);

/**
 * pci_svm_stats_sum: all PASIDs and the remainder
 *
 * @stats: the function's
 * @sum: set to it, indexed by #PCISVMCounter
 *
 * Context: BQL.
 */
void pci_svm_stats_sum(PCISVMStats *stats,
                       uint64_t sum[PCI_SVM_COUNTER__MAX]);

/**
 * pci_svm_stats_read: read the counters of a PASID
 *
 * @stats: the function's
 * @pasid: a PASID in use, or %PCI_NO_PASID
 * @counts: set to them, indexed by #PCISVMCounter
 *
 * Context: BQL.
 */
void pci_svm_stats_read(PCISVMStats *stats, uint32_t pasid,
                        uint64_t counts[PCI_SVM_COUNTER__MAX]);

/**
 * pci_svm_stats_list: the PASIDs that are in use
 *
 * @stats: the function's
 *
 * Returns: an array of uint32_t, in order; %PCI_NO_PASID is the last one.
 *
 * Context: BQL.
 */
GArray *pci_svm_stats_list(PCISVMStats *stats);

#endif /* QEMU_PCI_SVM_STATS_H */
