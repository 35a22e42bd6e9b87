/*
 * Intel IOMMU (VT-d): shared virtual memory, internal interface
 *
 * What intel_iommu.c lends to the SVM units, which of their hooks it calls,
 * and what they offer each other:
 *
 *   intel_iommu_svm.c    option, capability bits, operations of the PCI level
 *   intel_iommu_pasid.c  state of (function, PASID), PASID cache, device TLB
 *   intel_iommu_ats.c    translation requests, translated requests
 *   intel_iommu_prq.c    page request queue, page group responses
 *
 * Lock order: BQL, IntelIOMMUState.iommu_lock, IntelIOMMUState.prq.lock.
 * References are to the VT-d specification, rev 4.1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_INTEL_IOMMU_SVM_H
#define HW_I386_INTEL_IOMMU_SVM_H

#include "hw/i386/intel_iommu.h"
#include "hw/pci/pci_svm.h"
#include "intel_iommu_internal.h"

/* Capability bits (11.4.3) and fields that the base has no use for */
#define VTD_ECAP_PRS            (1ULL << 29)
#define VTD_ECAP_ERS            (1ULL << 30)
#define VTD_ECAP_NWFS           (1ULL << 33)
#define VTD_ECAP_PSS(bits)      ((uint64_t)((bits) - 1) << 35)
#define VTD_ECAP_PDS            (1ULL << 42)
#define VTD_ECAP_SMPWC          (1ULL << 48)
#define VTD_ECAP_RPS            (1ULL << 49)

/* Scalable-mode context entry (9.4) */
#define VTD_SM_CONTEXT_DTE      (1ULL << 2)
#define VTD_SM_CONTEXT_PASIDE   (1ULL << 3)
#define VTD_SM_CONTEXT_PRE      (1ULL << 4)
#define VTD_SM_CONTEXT_PDTS(lo) (((lo) >> 9) & 7)

/* Scalable-mode PASID table entry (9.6) */
#define VTD_SM_PASID_SRE        (1ULL << 0)
#define VTD_SM_PASID_ERE        (1ULL << 1)
#define VTD_SM_PASID_WPE        (1ULL << 4)
#define VTD_SM_PASID_NXE        (1ULL << 5)
#define VTD_SM_PASID_SMEP       (1ULL << 6)

/* First-stage paging entry (9.8) */
#define VTD_FL_XD               (1ULL << 63)

/* Width of a PASID with svm=on, in bits */
#define VTD_SVM_PASID_BITS      20

/**
 * struct VTDRequestContext - what the guest's tables say about a request
 *
 * A snapshot, taken and checked once per request, so that a guest that
 * changes its tables meanwhile gets the old or the new meaning and no mixture.
 *
 * @sid: requester ID
 * @pasid: PASID of the request, or %PCI_NO_PASID
 * @fpd: fault processing is disabled for this request
 * @epoch: private to vtd_request_begin() and vtd_request_end()
 * @ce: context entry, present and checked
 * @pe: PASID entry, present and checked; scalable mode only
 */
typedef struct VTDRequestContext {
    uint16_t sid;
    uint32_t pasid;
    bool fpd;
    unsigned epoch;
    VTDContextEntry ce;
    VTDPASIDEntry pe;
} VTDRequestContext;

/* Lent by intel_iommu.c */
void vtd_define_quad(IntelIOMMUState *s, hwaddr addr, uint64_t val,
                     uint64_t wmask, uint64_t w1cmask);
void vtd_define_long(IntelIOMMUState *s, hwaddr addr, uint32_t val,
                     uint32_t wmask, uint32_t w1cmask);
void vtd_set_quad(IntelIOMMUState *s, hwaddr addr, uint64_t val);
void vtd_set_long(IntelIOMMUState *s, hwaddr addr, uint32_t val);
uint64_t vtd_get_quad_raw(IntelIOMMUState *s, hwaddr addr);
uint32_t vtd_get_long_raw(IntelIOMMUState *s, hwaddr addr);
void vtd_set_quad_raw(IntelIOMMUState *s, hwaddr addr, uint64_t val);
uint32_t vtd_set_clear_mask_long(IntelIOMMUState *s, hwaddr addr,
                                 uint32_t clear, uint32_t mask);
void vtd_generate_interrupt(IntelIOMMUState *s, hwaddr mesg_addr_reg,
                            hwaddr mesg_data_reg);
bool vtd_inv_desc_reserved_check(IntelIOMMUState *s, VTDInvDesc *inv_desc,
                                 uint64_t mask[4], bool dw,
                                 const char *func_name, const char *desc_type);
int vtd_dev_to_context_entry(IntelIOMMUState *s, uint8_t bus_num,
                             uint8_t devfn, VTDContextEntry *ce);
int vtd_ce_get_pasid_entry(IntelIOMMUState *s, VTDContextEntry *ce,
                           uint32_t pasid, VTDPASIDEntry *pe, bool *fpd_set);
void vtd_report_fault(IntelIOMMUState *s, int err, bool is_fpd_set,
                      uint16_t source_id, hwaddr addr, bool is_write,
                      bool is_pasid, uint32_t pasid);
bool vtd_switch_address_space(VTDAddressSpace *as);

/*
 * Hooks of intel_iommu.c, and what the units offer each other.
 * intel_iommu_svm.c
 */

/**
 * vtd_svm_decide_config: turn on what svm=on needs
 *
 * @s: the IOMMU, with the user's options
 * @errp: set when an option was set to contradict svm=on
 *
 * Returns: false with @errp set.
 *
 * Context: BQL, at realize, before other options are checked.
 */
bool vtd_svm_decide_config(IntelIOMMUState *s, Error **errp);

/**
 * vtd_svm_cap_init: capability bits of what the SVM units do
 *
 * @s: the IOMMU; nothing changes without svm=on
 *
 * Context: BQL. VT-d 11.4.3.
 */
void vtd_svm_cap_init(IntelIOMMUState *s);

/* The PCI level's way into this model; refuses everything without svm=on. */
extern const PCISVMOps vtd_svm_ops;

/* intel_iommu_pasid.c */

/**
 * vtd_pasid_init: prepare the state of (function, PASID)
 *
 * @s: the IOMMU, being realized
 *
 * Context: BQL.
 */
void vtd_pasid_init(IntelIOMMUState *s);

/**
 * vtd_request_begin: take the snapshot that a request is served by
 *
 * @s: the IOMMU
 * @bus: bus of the requester
 * @devfn: device and function number of the requester
 * @pasid: PASID of the request, or %PCI_NO_PASID
 * @ctx: filled in as far as the tables could be read; sid, pasid and fpd always
 *
 * Until vtd_request_end(), which must follow in any case, wait descriptors of
 * the guest do not complete: the snapshot, and the tables that it leads to,
 * stay what they are. The caller takes no BQL meanwhile.
 * The context entry of a request that is not refused enables ATS.
 *
 * Returns: 0, or the fault condition (VTDFaultReason) that the tables give.
 *
 * Context: any thread, RCU critical section. VT-d 3.4.3, 3.9.
 */
int vtd_request_begin(IntelIOMMUState *s, PCIBus *bus, int devfn,
                      uint32_t pasid, VTDRequestContext *ctx);

/**
 * vtd_request_end: the request was served, or refused
 *
 * @s: the IOMMU
 * @ctx: from vtd_request_begin()
 *
 * Context: any thread.
 */
void vtd_request_end(IntelIOMMUState *s, const VTDRequestContext *ctx);

/**
 * vtd_drain_requests: wait for the requests that are being served
 *
 * @s: the IOMMU
 *
 * Context: BQL, without iommu_lock. VT-d 6.5.2.8.
 */
void vtd_drain_requests(IntelIOMMUState *s);

/**
 * vtd_record_fault: record a fault of a request, unless its FPD is set
 *
 * @s: the IOMMU
 * @ctx: the request
 * @fault: fault condition
 * @addr: address of the request
 * @is_write: the request is a write
 *
 * Context: any thread, without iommu_lock.
 */
void vtd_record_fault(IntelIOMMUState *s, const VTDRequestContext *ctx,
                      VTDFaultReason fault, hwaddr addr, bool is_write);

/**
 * vtd_get_iotlb_region: region whose notifiers hear a PASID's invalidations
 *
 * @s: the IOMMU
 * @bus: bus of the function
 * @devfn: device and function number
 * @pasid: PASID, or %PCI_NO_PASID
 *
 * The region belongs to no address space: it costs no flat-view update.
 *
 * Returns: the region, which lives until the matching vtd_put_iotlb_region().
 *
 * Context: BQL.
 */
IOMMUMemoryRegion *vtd_get_iotlb_region(IntelIOMMUState *s, PCIBus *bus,
                                        int devfn, uint32_t pasid);

/**
 * vtd_put_iotlb_region: end a use of vtd_get_iotlb_region()
 *
 * @s: the IOMMU
 * @bus: as given there
 * @devfn: as given there
 * @pasid: as given there
 *
 * Context: BQL.
 */
void vtd_put_iotlb_region(IntelIOMMUState *s, PCIBus *bus, int devfn,
                          uint32_t pasid);

/**
 * vtd_find_bus: bus that has a number now
 *
 * @s: the IOMMU
 * @bus_num: bus number, as the guest has assigned it
 *
 * Returns: the bus, or NULL.
 *
 * Context: BQL.
 */
PCIBus *vtd_find_bus(IntelIOMMUState *s, uint8_t bus_num);

/**
 * vtd_invalidate_pasid_dev_tlb: tell a function about stale translations
 *
 * @s: the IOMMU
 * @sid: requester ID of the function
 * @pasid: PASID; unused with @global
 * @global: all PASIDs of the function
 * @addr: first byte
 * @mask: size in bytes minus 1
 *
 * When this returns, the function uses none of them.
 *
 * Context: BQL, without iommu_lock. VT-d 6.5.2.6.
 */
void vtd_invalidate_pasid_dev_tlb(IntelIOMMUState *s, uint16_t sid,
                                  uint32_t pasid, bool global, hwaddr addr,
                                  hwaddr mask);

/**
 * vtd_process_pasid_cache_desc: PASID-cache invalidate descriptor
 *
 * @s: the IOMMU
 * @desc: the descriptor
 *
 * Translations read the PASID table each time; what depends on it for longer
 * is the choice between translation and pass-through.
 *
 * Returns: false if the descriptor is malformed.
 *
 * Context: BQL, without iommu_lock. VT-d 6.5.2.2.
 */
bool vtd_process_pasid_cache_desc(IntelIOMMUState *s, VTDInvDesc *desc);

/* intel_iommu_ats.c */

/**
 * vtd_ats_translate: serve a translation request
 *
 * @s: the IOMMU
 * @bus: bus of the requester
 * @devfn: device and function number of the requester
 * @req: the request
 *
 * Returns: see pci_ats_request_translation().
 *
 * Context: any thread, RCU critical section.
 */
ssize_t vtd_ats_translate(IntelIOMMUState *s, PCIBus *bus, int devfn,
                          const PCISVMTranslation *req);

/**
 * vtd_ats_enabled_by: does a context entry allow ATS?
 *
 * @s: the IOMMU
 * @ce: present context entry
 *
 * Returns: whether the function may send translation requests and translated
 * requests: DTE, or translation type 01b in legacy mode.
 *
 * Context: any thread.
 */
bool vtd_ats_enabled_by(IntelIOMMUState *s, const VTDContextEntry *ce);

/**
 * vtd_translated_request: let a translated request (AT = 10b) through
 *
 * @as: address space of the requester
 * @addr: translated address
 * @is_write: the request is a write
 * @entry: filled in with an identity mapping, or with no permission
 *
 * A function whose context entry does not enable its device TLB is refused,
 * with a fault.
 *
 * Returns: whether the request is allowed.
 *
 * Context: any thread, RCU critical section. VT-d 4.2.4.
 */
bool vtd_translated_request(VTDAddressSpace *as, hwaddr addr, bool is_write,
                            IOMMUTLBEntry *entry);

/**
 * vtd_bypass_allowed: may an address space that is passed through skip us?
 *
 * @as: address space of the requester
 * @ce: its context entry, present
 *
 * Pass-through leaves untranslated requests as they are, so that they need
 * not come here; a function with an ATS capability whose context entry does
 * not enable its device TLB must, to have its translated requests refused.
 *
 * Context: any thread.
 */
bool vtd_bypass_allowed(VTDAddressSpace *as, const VTDContextEntry *ce);

/**
 * vtd_translated_index: IOMMU index of a request, by its address type
 *
 * @iommu: region of a function
 * @attrs: attributes of the request
 *
 * Returns: %PCI_AT_TRANSLATED or %PCI_AT_UNTRANSLATED.
 */
int vtd_translated_index(IOMMUMemoryRegion *iommu, MemTxAttrs attrs);

/**
 * vtd_translated_num_indexes: number of values of vtd_translated_index()
 *
 * @iommu: region of a function
 */
int vtd_translated_num_indexes(IOMMUMemoryRegion *iommu);

/* intel_iommu_prq.c */

/**
 * vtd_prq_init: prepare the queue
 *
 * @s: the IOMMU, being realized; its options are final
 *
 * Context: BQL; before the first vtd_prq_reset().
 */
void vtd_prq_init(IntelIOMMUState *s);

/**
 * vtd_prq_reset: define the registers with their values after reset
 *
 * @s: the IOMMU; ecap is valid, and csr and its masks are clear
 *
 * Safe against concurrent page requests, provided that csr is cleared with
 * prq.lock held: from there on they find no queue.
 *
 * Context: BQL.
 */
void vtd_prq_reset(IntelIOMMUState *s);

/**
 * vtd_prq_mem_read: read a register of the queue
 *
 * @s: the IOMMU
 * @addr: offset of the access, aligned to @size
 * @size: 4 or 8
 * @val: set to the value
 *
 * Returns: false if there is no such register here, or without svm=on.
 *
 * Context: BQL.
 */
bool vtd_prq_mem_read(IntelIOMMUState *s, hwaddr addr, unsigned size,
                      uint64_t *val);

/**
 * vtd_prq_mem_write: write a register of the queue
 *
 * @s: the IOMMU
 * @addr: offset of the access, aligned to @size
 * @val: the value
 * @size: 4 or 8; 8 bytes may be two registers, which change at once
 *
 * Sends the page request event if it was pending and is no longer masked.
 *
 * Returns: false if there is no such register here, or without svm=on.
 *
 * Context: BQL.
 */
bool vtd_prq_mem_write(IntelIOMMUState *s, hwaddr addr, uint64_t val,
                       unsigned size);

/**
 * vtd_prq_request: put a page request, or a stop marker, into the guest's queue
 *
 * @s: the IOMMU, with svm=on
 * @sid: requester ID
 * @req: the request, which the caller has checked against the context entry and
 *     the PASID entry
 *
 * Returns: 0; -ENOSPC when the queue is full, or has overflowed and software
 * has not cleared that: the request is discarded, and may be sent again later;
 * -EFAULT when software has set up no queue, or one that is not in RAM.
 *
 * Context: any thread, with or without the BQL.
 */
int vtd_prq_request(IntelIOMMUState *s, uint16_t sid,
                    const PCISVMPageRequest *req);

/**
 * vtd_prq_process_response_desc: deliver a page group response
 *
 * @s: the IOMMU
 * @desc: invalidation queue descriptor of type %VTD_INV_DESC_PGRESP
 *
 * A response to a function that does not exist is ignored.
 *
 * Returns: false if the descriptor is malformed, as it is in a queue of 128-bit
 * descriptors: an invalidation queue error.
 *
 * Context: BQL, without iommu_lock: calls the device.
 */
bool vtd_prq_process_response_desc(IntelIOMMUState *s, VTDInvDesc *desc);

/**
 * vtd_prq_drain: what a wait descriptor with Page-request Drain waits for
 *
 * @s: the IOMMU
 *
 * When this returns, each page request that vtd_prq_request() accepted before
 * is in the guest's queue. Responses reach devices synchronously.
 *
 * Context: BQL.
 */
void vtd_prq_drain(IntelIOMMUState *s);

#endif /* HW_I386_INTEL_IOMMU_SVM_H */
