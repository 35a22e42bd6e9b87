/*
 * Address translation cache (ATC) of a PCIe function
 *
 * Keeps what translation completions said, per PASID, until the host revokes
 * it. PCIe Base Specification r6.0, sections 10.1.1 and 10.3.
 *
 * Two rules make it safe to use from threads that do not hold the BQL, while
 * invalidations arrive in a thread that does:
 *
 * 1. A translation is good only if no invalidation that covers it passed
 *    since it was asked for. The one who asks takes a ticket before it sends
 *    the request; pci_atc_insert() and pci_atc_use_begin() refuse what an
 *    invalidation later than the ticket covers.
 * 2. An invalidation returns only when nobody uses what it revoked. Each
 *    access to memory stands between pci_atc_use_begin() and
 *    pci_atc_use_end(), and an invalidation waits for the uses that it
 *    covers.
 *
 * Translations of all sizes stand side by side: a 4 KiB and a 2 MiB
 * translation of one address do not replace each other. Memory is bounded by
 * the number of entries given at creation; a full cache evicts entries that
 * were not looked up lately. Eviction is no revocation: a use goes on. A lookup
 * costs one hash probe per size of translation in the cache, an insertion
 * O(log n), an invalidation O(log n), and a hash probe for each entry that it
 * drops.
 *
 * Locking: every function may be called from any thread, with or without the
 * BQL. Lookups, and the begin and the end of a use, neither wait for each other
 * nor for those that change the cache. These share one lock, which is a leaf:
 * but for spin locks of the cache's own nothing is locked and no callback is
 * called under it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_PCI_ATC_H
#define QEMU_PCI_ATC_H

#include "qemu/queue.h"
#include "system/memory.h"

/**
 * typedef PCIATC - a cache; opaque
 */
typedef struct PCIATC PCIATC;

/**
 * typedef PCIATCTicket - a point in the sequence of a cache's invalidations
 */
typedef uint64_t PCIATCTicket;

/**
 * struct PCIATCUse - one use of a translation, while it lasts
 *
 * Storage belongs to the user, on its stack for example; the members belong
 * to the cache.
 */
typedef struct PCIATCUse {
    /* private: */
    uint32_t pasid;
    hwaddr first;
    hwaddr last;
    PCIATCTicket ticket;
    unsigned stripe;
    QLIST_ENTRY(PCIATCUse) next;
} PCIATCUse;

/**
 * pci_atc_new: create an empty cache
 *
 * @max_entries: translations that it holds at most, 1..2^24; a value outside
 *     is brought inside. Each takes 64 bytes, up to a power of two of them,
 *     once they are needed, and some 16 to 40 more while it is there.
 */
PCIATC *pci_atc_new(size_t max_entries);

/**
 * pci_atc_free: free a cache and what it holds
 *
 * @atc: the cache, or NULL. Nobody uses an entry and no other thread calls.
 */
void pci_atc_free(PCIATC *atc);

/**
 * pci_atc_get_ticket: note the time before a translation request is sent
 *
 * @atc: the cache
 *
 * Returns: the ticket for what the request will bring.
 */
PCIATCTicket pci_atc_get_ticket(PCIATC *atc);

/**
 * pci_atc_insert: enter the results of a translation request
 *
 * @atc: the cache
 * @pasid: PASID of the request, or %PCI_NO_PASID
 * @entries: the results; iova and addr_mask describe an aligned power of two
 * @count: number of elements of @entries
 * @ticket: from pci_atc_get_ticket(), before the request was sent
 *
 * Skips results that grant neither reading nor writing, that may be used
 * untranslated only, and those that an invalidation since @ticket covers. A
 * result for the range of a cached entry with the same translation adds its
 * permissions to it; with another translation, it replaces it.
 *
 * Returns: how many of @entries are in the cache now, unless later ones
 * evicted earlier ones.
 */
size_t pci_atc_insert(PCIATC *atc, uint32_t pasid,
                      const IOMMUTLBEntry *entries, size_t count,
                      PCIATCTicket ticket);

/**
 * pci_atc_lookup: find a translation
 *
 * @atc: the cache
 * @pasid: PASID, or %PCI_NO_PASID
 * @iova: untranslated address
 * @need: permissions, a combination of %IOMMU_RO, %IOMMU_WO, %IOMMU_EXEC and
 *     %IOMMU_PRIV. Privileged translations are found with %IOMMU_PRIV, the
 *     others without.
 * @entry: set to the translation, of any size, that covers @iova and grants
 *     all of @need. The smallest, if there are several.
 * @ticket: set to the ticket to use the translation with
 *
 * Returns: whether there is one; if not, nothing is set.
 */
bool pci_atc_lookup(PCIATC *atc, uint32_t pasid, hwaddr iova,
                    IOMMUAccessFlags need, IOMMUTLBEntry *entry,
                    PCIATCTicket *ticket);

/**
 * pci_atc_extend: how far does the memory of a translation go on?
 *
 * @atc: the cache
 * @pasid: PASID of the translation, or %PCI_NO_PASID
 * @iova: untranslated address that @entry covers
 * @entry: the translation
 * @need: permissions, as for pci_atc_lookup()
 * @max: bytes, 1 or more, beyond which does not matter
 * @hits: set to the number of further translations that were looked at
 *
 * Returns: the number of bytes from @iova on, at most @max, which @entry and
 * translations in the cache behind it translate to addresses that follow each
 * other. They may be used with the ticket that belongs to @entry.
 */
size_t pci_atc_extend(PCIATC *atc, uint32_t pasid, hwaddr iova,
                      const IOMMUTLBEntry *entry, IOMMUAccessFlags need,
                      size_t max, unsigned *hits);

/**
 * pci_atc_use_begin: start to access memory through a translation
 *
 * @atc: the cache
 * @use: identifies the use until pci_atc_use_end()
 * @pasid: PASID of the translation, or %PCI_NO_PASID
 * @entry: the translation, from a lookup or from a translation request;
 *     whether it is still cached does not matter
 * @ticket: the ticket that belongs to @entry
 *
 * Until pci_atc_use_end() the user neither takes the BQL or a lock that
 * another thread holds while it waits for the BQL, nor yields, nor waits for
 * anything else: an invalidation, which holds the BQL, waits for the user. It
 * keeps the use short, some 100 microseconds, and ends it in the same thread.
 *
 * Returns: false, and no use has begun, when an invalidation since @ticket
 * covers @entry: ask for a new translation.
 */
bool pci_atc_use_begin(PCIATC *atc, PCIATCUse *use, uint32_t pasid,
                       const IOMMUTLBEntry *entry, PCIATCTicket ticket);

/**
 * pci_atc_use_begin_range: start to access memory through translations
 *
 * @atc: the cache
 * @use: identifies the use until pci_atc_use_end()
 * @pasid: PASID of the translations, or %PCI_NO_PASID
 * @first: first untranslated address that is accessed
 * @last: last one, inclusive
 * @ticket: the oldest of those that belong to the translations
 *
 * As pci_atc_use_begin().
 */
bool pci_atc_use_begin_range(PCIATC *atc, PCIATCUse *use, uint32_t pasid,
                             hwaddr first, hwaddr last, PCIATCTicket ticket);

/**
 * pci_atc_use_end: the access to memory is complete
 *
 * @atc: the cache
 * @use: from pci_atc_use_begin()
 */
void pci_atc_use_end(PCIATC *atc, PCIATCUse *use);

/**
 * pci_atc_is_current: has a translation not been revoked?
 *
 * @atc: the cache
 * @pasid: PASID of the translation, or %PCI_NO_PASID
 * @entry: the translation
 * @ticket: the ticket that belongs to @entry
 *
 * The answer holds as long as the caller excludes invalidations, which the
 * BQL does; without it use pci_atc_use_begin().
 */
bool pci_atc_is_current(PCIATC *atc, uint32_t pasid,
                        const IOMMUTLBEntry *entry, PCIATCTicket ticket);

/**
 * pci_atc_invalidate: revoke the translations of a range
 *
 * @atc: the cache
 * @pasid: PASID, or %PCI_NO_PASID
 * @first: first untranslated address
 * @last: last untranslated address, inclusive; 0 and %UINT64_MAX revoke all
 *     that @pasid has
 *
 * Drops every entry that overlaps the range, and waits until the uses of such
 * translations that began before have ended. Not within a use.
 *
 * Returns: the number of entries that were dropped.
 */
size_t pci_atc_invalidate(PCIATC *atc, uint32_t pasid, hwaddr first,
                          hwaddr last);

/**
 * pci_atc_invalidate_all: revoke the translations of all PASIDs
 *
 * @atc: the cache
 *
 * As pci_atc_invalidate().
 */
size_t pci_atc_invalidate_all(PCIATC *atc);

/**
 * pci_atc_count: number of entries in the cache
 *
 * @atc: the cache
 */
size_t pci_atc_count(PCIATC *atc);

/**
 * struct PCIATCUsage - what is in a cache, or in it for one PASID
 *
 * @entries: translations
 * @bytes: memory that they take, in bytes; of a whole cache, with its tables
 */
typedef struct PCIATCUsage {
    size_t entries;
    uint64_t bytes;
} PCIATCUsage;

/**
 * pci_atc_get_usage: how full is the cache?
 *
 * @atc: the cache
 * @usage: set to what it holds
 *
 * Returns: the number of translations that it holds at most.
 */
size_t pci_atc_get_usage(PCIATC *atc, PCIATCUsage *usage);

/**
 * pci_atc_get_pasid_usage: what does it hold for one PASID?
 *
 * @atc: the cache
 * @pasid: PASID, or %PCI_NO_PASID
 * @usage: set to it
 */
void pci_atc_get_pasid_usage(PCIATC *atc, uint32_t pasid, PCIATCUsage *usage);

#endif /* QEMU_PCI_ATC_H */
