/*
 * PCI-level API of shared virtual memory: ATS, PRI and their invalidations
 *
 * A device asks its IOMMU for translations in a process's address space
 * (ATS), asks the guest's OS to resolve page faults (PRI) and hears when what
 * it learnt goes stale (IOTLB notifiers). An IOMMU model implements
 * #PCISVMOps. PCIe Base Specification r6.0, chapter 10.
 *
 * Threads, for every function of this header:
 *
 * - Translation requests and page requests come from any thread, with or
 *   without the BQL. They never wait for the guest.
 * - Registration and unregistration need the BQL, and assert it.
 * - Notifiers run under the BQL, in the thread that processed the guest's
 *   descriptor. When an IOTLB notifier returns, the device uses no
 *   translation that it revoked: the guest's wait descriptor completes after
 *   that. A device must therefore hold no lock across a call of this API that
 *   one of its notifiers takes.
 *
 * A function is refused with -EPERM while it is not bus master, is powered
 * down (D1 to D3, or the power of its slot is off; a virtual function also if
 * its physical function is), is being unplugged, or while the capability that
 * the call needs is absent or disabled; with -EINVAL when a PASID is wider than
 * the capability or the IOMMU supports, or when an argument is out of range;
 * with -ENODEV when its bus has no IOMMU with SVM, or when it is behind a
 * conventional bus, where requester IDs are aliases. Nothing has been allocated
 * or changed then. What prepares, asks or ends is never refused for the state
 * of the function: pci_iommu_get_iotlb_info(), pci_iommu_init_iotlb_notifier()
 * and the functions that unregister.
 *
 * A device is being unplugged from when its slot loses power, or from when it
 * begins to be unrealized. A mere request to unplug leaves it as it is: the
 * guest may need it to comply.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_PCI_SVM_H
#define QEMU_PCI_SVM_H

#include "system/memory.h"
#include "hw/pci/pcie_ats.h"
#include "hw/pci/pcie_pasid.h"
#include "hw/pci/pcie_pri.h"
#include "hw/pci/pci_svm_pasids.h"

typedef struct PCISVMState PCISVMState;
typedef struct PCIATC PCIATC;

/**
 * enum PCIAddressType - the AT field of a memory request
 *
 * @PCI_AT_UNTRANSLATED: the IOMMU translates the address
 * @PCI_AT_TRANSLATED: the address came from a translation completion
 *
 * The values of MemTxAttrs.address_type. PCIe r6.0, table 2-5 and 10.2.1.
 */
typedef enum PCIAddressType {
    PCI_AT_UNTRANSLATED = 0,
    PCI_AT_TRANSLATED = 1,
} PCIAddressType;

/**
 * struct PCISVMTranslation - a translation request as an IOMMU model sees it
 *
 * @pasid: PASID, or %PCI_NO_PASID
 * @priv_req: Privileged Mode Requested
 * @exec_req: Execute Requested
 * @no_write: the device promises not to write (NW)
 * @addr: first byte, multiple of the page size
 * @last: last byte of the range, inclusive: a range may end at 2^64 - 1
 * @result: array for the translations
 * @result_length: number of elements of @result
 * @err_count: set to the number of results that lack a permission that was
 *     asked for
 */
typedef struct PCISVMTranslation {
    uint32_t pasid;
    bool priv_req;
    bool exec_req;
    bool no_write;
    hwaddr addr;
    hwaddr last;
    IOMMUTLBEntry *result;
    size_t result_length;
    uint32_t *err_count;
} PCISVMTranslation;

/**
 * struct PCISVMPageRequest - a page request message
 *
 * @pasid: PASID, or %PCI_NO_PASID
 * @priv_req: Privileged Mode Requested
 * @exec_req: Execute Requested
 * @addr: an address in the page
 * @lpig: last request of its group
 * @prgi: page request group index, 0..%PCI_PRI_PRGI_MASK
 * @is_read: read access requested
 * @is_write: write access requested
 *
 * PCIe r6.0, 10.4.1.
 */
typedef struct PCISVMPageRequest {
    uint32_t pasid;
    bool priv_req;
    bool exec_req;
    hwaddr addr;
    bool lpig;
    uint16_t prgi;
    bool is_read;
    bool is_write;
} PCISVMPageRequest;

/**
 * struct PCISVMOps - what an IOMMU model does for SVM
 *
 * Reached through PCIIOMMUOps.svm. In each callback @opaque is the pointer
 * given to pci_setup_iommu(), @bus and @devfn name the requester. The PCI
 * level has checked the function's capabilities, bus mastering and the PASID
 * against the capability; the model checks what only it knows.
 */
typedef struct PCISVMOps {
    /**
     * @pasid_bits: width of a PASID in this IOMMU, in bits; 0 when it
     * supports none
     */
    unsigned (*pasid_bits)(void *opaque);
    /** @get_iotlb_info: see pci_iommu_get_iotlb_info(); any thread */
    void (*get_iotlb_info)(void *opaque, uint8_t *addr_width,
                           uint32_t *min_page_size);
    /**
     * @get_iotlb_region: the memory region whose notifiers hear the
     * invalidations of (function, PASID). The region lives until the matching
     * call of @put_iotlb_region. BQL.
     */
    IOMMUMemoryRegion *(*get_iotlb_region)(PCIBus *bus, void *opaque,
                                           int devfn, uint32_t pasid);
    /** @put_iotlb_region: end a use of @get_iotlb_region. BQL. */
    void (*put_iotlb_region)(PCIBus *bus, void *opaque, int devfn,
                             uint32_t pasid);
    /**
     * @translate: see pci_ats_request_translation(). Any thread; called in
     * an RCU critical section.
     */
    ssize_t (*translate)(PCIBus *bus, void *opaque, int devfn,
                         const PCISVMTranslation *req);
    /**
     * @page_request: see pci_pri_request_page(). Any thread. The response
     * goes to pci_pri_respond().
     */
    int (*page_request)(PCIBus *bus, void *opaque, int devfn,
                        const PCISVMPageRequest *req);
} PCISVMOps;

/**
 * pci_iommu_get_iotlb_info: address width and page size of the IOMMU
 *
 * @dev: the function
 * @addr_width: set to the width of untranslated addresses, in bits
 * @min_page_size: set to the smallest page, in bytes
 *
 * Returns: 0, or -ENODEV.
 *
 * Context: any thread.
 */
int pci_iommu_get_iotlb_info(PCIDevice *dev, uint8_t *addr_width,
                             uint32_t *min_page_size);

/**
 * pci_iommu_init_iotlb_notifier: prepare a notifier of invalidations
 *
 * @dev: the function
 * @n: the notifier, uninitialized
 * @fn: called with @n and an entry whose iova, addr_mask and pasid say what
 *     went stale; perm is %IOMMU_NONE. The range may be larger than anything
 *     the device asked for, up to the whole address space.
 * @opaque: user data, found in @n->opaque
 *
 * Returns: 0, or -ENODEV.
 *
 * Context: BQL.
 */
int pci_iommu_init_iotlb_notifier(PCIDevice *dev, IOMMUNotifier *n,
                                  IOMMUNotify fn, void *opaque);

/**
 * pci_iommu_register_iotlb_notifier: hear the invalidations of one PASID
 *
 * @dev: the function
 * @pasid: PASID, or %PCI_NO_PASID for requests without one
 * @n: a notifier from pci_iommu_init_iotlb_notifier(); it must stay valid
 *     until it is unregistered
 *
 * The same notifier may hear of several PASIDs: the entry that it gets says of
 * which.
 *
 * Returns: 0, -EPERM, -EINVAL or -ENODEV; see the top of this header. -EINVAL
 * also when @n is registered for @pasid already. ATS need not be enabled yet.
 *
 * Context: BQL.
 */
int pci_iommu_register_iotlb_notifier(PCIDevice *dev, uint32_t pasid,
                                      IOMMUNotifier *n);

/**
 * pci_iommu_unregister_iotlb_notifier: stop hearing invalidations
 *
 * @dev: the function
 * @pasid: as given at registration
 * @n: as given at registration
 *
 * Succeeds for what was registered, whatever the guest did to the function's
 * enable bits meanwhile.
 *
 * Returns: 0, or -EINVAL when @n was not registered for @pasid.
 *
 * Context: BQL; not from a notifier.
 */
int pci_iommu_unregister_iotlb_notifier(PCIDevice *dev, uint32_t pasid,
                                        IOMMUNotifier *n);

/**
 * pci_ats_request_translation: send a translation request
 *
 * @dev: the function
 * @pasid: PASID, or %PCI_NO_PASID
 * @priv_req: Privileged Mode Requested; needs a PASID and Privileged Mode
 *     Enable
 * @exec_req: Execute Requested; needs a PASID and Execute Permission Enable
 * @addr: first byte, multiple of the IOMMU's page size and of the Smallest
 *     Translation Unit
 * @length: bytes, not 0; @addr + @length may be 2^64
 * @no_write: the device promises not to write: no page becomes dirty, and no
 *     entry carries write permission
 * @result: array for the translations
 * @result_length: number of elements of @result
 * @err_count: set to the number of results that lack a permission that was
 *     asked for: reading always, writing unless @no_write, executing when
 *     @exec_req
 *
 * One result per leaf mapping, in address order, with iova and addr_mask
 * aligned to it. A hole is one entry with perm %IOMMU_NONE whose mask is the
 * size of the level at which the walk ended. perm holds what the IOMMU grants:
 * a read-only page asked for writing has R without W. A miss is no fault, and
 * is not logged as one.
 *
 * Returns: the number of results; -ENOMEM when @result is too small for the
 * range, the first @result_length entries being valid; -EPERM, -EINVAL or
 * -ENODEV as at the top of this header; -EFAULT when the guest's tables do
 * not let the function send translation requests.
 *
 * Context: any thread. PCIe r6.0, 10.2.2 and 10.2.3.
 */
ssize_t pci_ats_request_translation(PCIDevice *dev, uint32_t pasid,
                                    bool priv_req, bool exec_req,
                                    hwaddr addr, size_t length,
                                    bool no_write, IOMMUTLBEntry *result,
                                    size_t result_length,
                                    uint32_t *err_count);

/**
 * pci_ats_request_part: send a translation request, take part of its results
 *
 * @dev: the function
 * @pasid: PASID, or %PCI_NO_PASID
 * @priv_req: Privileged Mode Requested
 * @exec_req: Execute Requested
 * @addr: first byte of interest, multiple of the IOMMU's page size
 * @length: bytes, not 0; @addr + @length may be 2^64
 * @no_write: the device promises not to write
 * @result: array for the translations
 * @result_length: number of elements of @result
 * @err_count: set to the number of results that lack a permission that was
 *     asked for
 *
 * As pci_ats_request_translation(), but @addr may be in the midst of a Smallest
 * Translation Unit. The request begins where the unit does; the results for
 * what precedes @addr take no room in @result. Software may choose a unit of
 * 2^31 pages.
 *
 * Returns: as pci_ats_request_translation().
 *
 * Context: any thread. PCIe r6.0, 10.2.2, 10.2.3 and 10.5.1.3.
 */
ssize_t pci_ats_request_part(PCIDevice *dev, uint32_t pasid, bool priv_req,
                             bool exec_req, hwaddr addr, size_t length,
                             bool no_write, IOMMUTLBEntry *result,
                             size_t result_length, uint32_t *err_count);

/**
 * pci_pri_request_page: send a page request message
 *
 * @dev: the function
 * @pasid: PASID, or %PCI_NO_PASID
 * @priv_req: Privileged Mode Requested
 * @exec_req: Execute Requested
 * @addr: an address in the page
 * @lpig: last request of its group
 * @prgi: page request group index, 0..%PCI_PRI_PRGI_MASK; an index belongs to
 *     one group of (function, PASID) from its first request to its response, or
 *     of the function without PRG Response PASID Required
 * @is_read: read access requested
 * @is_write: write access requested
 *
 * With @lpig, a PASID and neither @is_read nor @is_write nor @prgi this is a
 * Stop Marker: it takes no credit, needs no notifier and gets no response.
 *
 * Returns: 0 when the request was sent, after which the group's response
 * comes to the notifier of @pasid, also if responses to this function carry no
 * PASID; else no response comes for this request:
 * -ENOSPC when the host's queue has no room: nothing is outstanding, and the
 * device may ask again later; -EBUSY when the function has used its Outstanding
 * Page Request Allocation, or when the index's group is complete and awaits
 * its response, or belongs to another PASID of a function whose responses carry
 * none; -EINVAL also for an index out of range or when no notifier is
 * registered for @pasid; -EPERM, -ENODEV as at the top of this header;
 * -EFAULT when the guest's tables do not let the function send page requests.
 *
 * Context: any thread. PCIe r6.0, 10.4.1.
 */
int pci_pri_request_page(PCIDevice *dev, uint32_t pasid, bool priv_req,
                         bool exec_req, hwaddr addr, bool lpig, uint16_t prgi,
                         bool is_read, bool is_write);

/**
 * pci_pri_register_notifier: hear the responses for one PASID
 *
 * @dev: the function
 * @pasid: PASID, or %PCI_NO_PASID
 * @notifier: must stay valid until it is unregistered
 *
 * Returns: 0; -EBUSY when @pasid has a notifier; -EPERM, -EINVAL, -ENODEV as
 * at the top of this header. PRI need not be enabled yet.
 *
 * Context: BQL.
 */
int pci_pri_register_notifier(PCIDevice *dev, uint32_t pasid,
                              IOMMUPRINotifier *notifier);

/**
 * pci_pri_unregister_notifier: stop hearing responses
 *
 * @dev: the function
 * @pasid: as given at registration
 *
 * Always succeeds. Outstanding requests of @pasid stay outstanding, and hold
 * their credits, until the guest answers or PRI is reset.
 *
 * Context: BQL; not from the notifier itself.
 */
void pci_pri_unregister_notifier(PCIDevice *dev, uint32_t pasid);

/**
 * pci_pri_respond: a page request group response arrived
 *
 * @bus: bus of the function
 * @devfn: device and function number
 * @pasid: PASID of the response, or %PCI_NO_PASID
 * @response: the response
 *
 * For IOMMU models. Does the capability's bookkeeping (credits, Unexpected
 * PRG Index, Response Failure), then calls the notifier of @pasid. A function
 * that does not exist is ignored.
 *
 * Context: BQL. PCIe r6.0, 10.4.2.
 */
void pci_pri_respond(PCIBus *bus, int devfn, uint32_t pasid,
                     IOMMUPRIResponse *response);

/**
 * pci_svm_add_state_notifier: hear when ATS, PASID or PRI change their state
 *
 * @dev: the function
 * @notifier: called, with @dev as its data, after software or a reset changed
 *     an enable bit, bus mastering or the power state: a translation cache
 *     must be emptied (PCIe r6.0, 10.5.1.3), a wait for a response may be in
 *     vain
 *
 * Context: BQL, both this call and the notifier. Use notifier_remove() to end.
 */
void pci_svm_add_state_notifier(PCIDevice *dev, Notifier *notifier);

/**
 * pci_svm_get_counters: begin to count for a PASID
 *
 * @dev: the function
 * @pasid: PASID, or %PCI_NO_PASID
 *
 * This level counts requests, responses and invalidations by itself; a device
 * with a translation cache adds what it alone knows by pci_svm_count().
 *
 * Returns: the counters of @pasid, valid until the matching call of
 * pci_svm_put_counters().
 *
 * Context: BQL.
 */
PCISVMCounters *pci_svm_get_counters(PCIDevice *dev, uint32_t pasid);

/**
 * pci_svm_put_counters: end what pci_svm_get_counters() began
 *
 * @dev: the function
 * @counters: as returned there
 *
 * Context: BQL.
 */
void pci_svm_put_counters(PCIDevice *dev, PCISVMCounters *counters);

/**
 * pci_svm_get_pasids: the PASIDs that a function uses, and all counters
 *
 * @dev: the function
 *
 * Returns: NULL when there are none, as the function has had neither a PASID
 * nor a capability so far.
 *
 * Context: BQL.
 */
PCISVMPasids *pci_svm_get_pasids(PCIDevice *dev);

/**
 * pci_svm_set_atc: say which translation cache is the function's
 *
 * @dev: the function
 * @atc: the cache, or NULL before it is freed
 *
 * For those who want to look into it; nothing depends on it.
 *
 * Context: BQL.
 */
void pci_svm_set_atc(PCIDevice *dev, PCIATC *atc);

/**
 * pci_svm_get_atc: the function's translation cache
 *
 * @dev: the function
 *
 * Returns: what pci_svm_set_atc() was told, else NULL.
 *
 * Context: BQL.
 */
PCIATC *pci_svm_get_atc(PCIDevice *dev);

/**
 * pci_svm_config_changed: take over what configuration space says now
 *
 * @dev: the function
 *
 * Hook of the PCI core, after configuration space was written, reset or
 * loaded, and when unrealizing begins: caches bus mastering, and tells the
 * state notifiers when something that they wait for has changed. Those of
 * virtual functions hear of their physical function's.
 *
 * Context: BQL.
 */
void pci_svm_config_changed(PCIDevice *dev);

/**
 * pci_svm_pm_changed: software has written PowerState
 *
 * @dev: the function
 * @old: PowerState before, 0 (D0) to 3 (D3hot)
 * @new: PowerState now
 *
 * Hook of the PCI core. Without No_Soft_Reset the way from D3hot to D0 resets
 * the function: this resets PASID, ATS and PRI. The rest is the device's to
 * reset.
 *
 * Context: BQL. PCIe r6.0, 5.3.1.4 and 7.5.2.2.
 */
void pci_svm_pm_changed(PCIDevice *dev, uint8_t old, uint8_t new);

/**
 * pci_svm_exit: free what the function has at this level
 *
 * @dev: the function, being unrealized
 *
 * Hook of the PCI core. A registration that the device forgot is ended.
 *
 * Context: BQL.
 */
void pci_svm_exit(PCIDevice *dev);

/**
 * pci_pasid_get_address_space: what untranslated requests with PASID see
 *
 * @dev: the function; it needs the PASID capability, and neither ATS nor PRI
 * @pasid: a PASID
 * @err: set to -errno when there is none: -ENODEV without an IOMMU that knows
 *     PASIDs, or behind a conventional bus; -EPERM when @dev is no bus master
 *     or its PASID capability is not enabled; -EINVAL when @pasid does not fit
 *     the capability's width or the IOMMU's
 *
 * For devices that have no translation cache of their own: the IOMMU translates
 * each access, and each that it refuses is a fault. An address space costs KiBs
 * and makes changes of the memory map slower; a device with many PASIDs keeps
 * those in use only, or uses ATS.
 *
 * Returns: an address space for the memory API, which the caller ends by
 * pci_pasid_put_address_space(); NULL with @err set.
 *
 * Context: BQL. PCIe r6.0, 6.20.
 */
AddressSpace *pci_pasid_get_address_space(PCIDevice *dev, uint32_t pasid,
                                          int *err);

/**
 * pci_pasid_put_address_space: end the use of an address space of a PASID
 *
 * @dev: the function
 * @as: from pci_pasid_get_address_space(); nothing of it is mapped
 *
 * Context: BQL.
 */
void pci_pasid_put_address_space(PCIDevice *dev, AddressSpace *as);

/**
 * pci_pasid_dma_rw: access memory by an untranslated request with PASID
 *
 * @dev: the function
 * @as: from pci_pasid_get_address_space()
 * @addr: address in the PASID's address space
 * @buf: data
 * @len: bytes
 * @is_write: write memory, else read it
 *
 * Returns: a MemTxResult; %MEMTX_ACCESS_ERROR too when the function is no bus
 * master or its PASID capability is not enabled now.
 *
 * Context: any thread, with or without the BQL.
 */
MemTxResult pci_pasid_dma_rw(PCIDevice *dev, AddressSpace *as, hwaddr addr,
                             void *buf, hwaddr len, bool is_write);

#endif /* QEMU_PCI_SVM_H */
