/*
 * The PASIDs that a function uses: who listens to them, and what is counted
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

#ifndef QEMU_PCI_SVM_PASIDS_H
#define QEMU_PCI_SVM_PASIDS_H

#include "qemu/queue.h"
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

typedef QSLIST_HEAD(PCISVMListeners, SVMListener) PCISVMListeners;

/**
 * struct PCISVMPasid - a PASID in use
 *
 * @counters: what is counted of it
 * @number: PASID, or %PCI_NO_PASID
 * @users: calls of pci_svm_pasids_get() that were not put yet
 * @pri: who hears the responses to its page requests, or NULL. Changes under
 *     the BQL, threads may read it atomically in an RCU critical section.
 * @listeners: the IOTLB notifiers of pci_svm.c. BQL.
 *
 * The other fields, and what malloc() adds, keep the counters of two PASIDs in
 * different cache lines.
 */
typedef struct PCISVMPasid {
    PCISVMCounters counters;
    uint32_t number;
    uint32_t users;
    struct IOMMUPRINotifier *pri;
    PCISVMListeners listeners;
} PCISVMPasid;

/**
 * typedef PCISVMPasids - the PASIDs that a function uses; opaque
 */
typedef struct PCISVMPasids PCISVMPasids;

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
 * pci_svm_pasids_new: begin to count for a function
 */
PCISVMPasids *pci_svm_pasids_new(void);

/**
 * pci_svm_pasids_free: end it
 *
 * @pasids: from pci_svm_pasids_new(). Some may still be in use. Threads may be
 *     at it until the end of their RCU critical section.
 *
 * Context: BQL.
 */
void pci_svm_pasids_free(PCISVMPasids *pasids);

/**
 * pci_svm_pasids_get: begin to use a PASID
 *
 * @pasids: the function's
 * @pasid: PASID, or %PCI_NO_PASID
 *
 * Returns: @pasid's entry, valid until the matching call of
 * pci_svm_pasids_put().
 *
 * Context: BQL.
 */
PCISVMPasid *pci_svm_pasids_get(PCISVMPasids *pasids, uint32_t pasid);

/**
 * pci_svm_pasids_put: end what pci_svm_pasids_get() began
 *
 * @pasids: the function's
 * @pasid: as returned there
 *
 * Context: BQL.
 */
void pci_svm_pasids_put(PCISVMPasids *pasids, PCISVMPasid *pasid);

/**
 * pci_svm_pasids_find: look a PASID up
 *
 * @pasids: the function's
 * @pasid: PASID, or %PCI_NO_PASID
 *
 * Returns: its entry, valid until the end of the RCU critical section. If it is
 * not in use, that is the remainder: it counts, and has no notifier.
 *
 * Context: any thread, in an RCU critical section.
 */
PCISVMPasid *pci_svm_pasids_find(PCISVMPasids *pasids, uint32_t pasid);

/**
 * pci_svm_pasids_sum: what is counted of all PASIDs, and the remainder
 *
 * @pasids: the function's
 * @sum: set to it, indexed by #PCISVMCounter
 *
 * Context: BQL.
 */
void pci_svm_pasids_sum(PCISVMPasids *pasids,
                        uint64_t sum[PCI_SVM_COUNTER__MAX]);

/**
 * pci_svm_pasids_read: read the counters of a PASID
 *
 * @pasids: the function's
 * @pasid: a PASID in use, or %PCI_NO_PASID
 * @counts: set to them, indexed by #PCISVMCounter
 *
 * Context: BQL.
 */
void pci_svm_pasids_read(PCISVMPasids *pasids, uint32_t pasid,
                         uint64_t counts[PCI_SVM_COUNTER__MAX]);

/**
 * pci_svm_pasids_list: the PASIDs that are in use
 *
 * @pasids: the function's
 *
 * Returns: an array of uint32_t, in order; %PCI_NO_PASID is the last one.
 *
 * Context: BQL.
 */
GArray *pci_svm_pasids_list(PCISVMPasids *pasids);

#endif /* QEMU_PCI_SVM_PASIDS_H */
