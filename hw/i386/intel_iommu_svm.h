/*
 * Intel IOMMU (VT-d): shared virtual memory, internal interface
 *
 * What intel_iommu.c lends to the SVM units, which of their hooks it calls,
 * and what they offer each other:
 *
 *   intel_iommu_svm.c    options, capability bits, operations of the PCI level
 *   intel_iommu_request.c  requests, and what the guest's tables say of them
 *   intel_iommu_cache.c  what these said: context cache and PASID cache
 *   intel_iommu_walk.c   paging structures
 *   intel_iommu_untranslated.c  untranslated requests, and their IOTLB
 *   intel_iommu_pasid.c  state of (function, PASID), PASID cache, device TLB
 *   intel_iommu_ats.c    translation requests, translated requests
 *   intel_iommu_prq.c    page request queue, page group responses
 *   intel_iommu_inv.c    errors of the invalidation queue
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
#define VTD_CAP_SAGAW_57BIT     (8ULL << VTD_CAP_SAGAW_SHIFT)
#define VTD_CAP_FL5LP           (1ULL << 60)
#define VTD_ECAP_NEST           (1ULL << 26)
#define VTD_ECAP_PRS            (1ULL << 29)
#define VTD_ECAP_ERS            (1ULL << 30)
#define VTD_ECAP_NWFS           (1ULL << 33)
#define VTD_ECAP_EAFS           (1ULL << 34)
#define VTD_ECAP_PSS(bits)      ((uint64_t)((bits) - 1) << 35)
#define VTD_ECAP_PDS            (1ULL << 42)
#define VTD_ECAP_SMPWC          (1ULL << 48)
#define VTD_ECAP_RPS            (1ULL << 49)

/* Scalable-mode context entry (9.4) */
#define VTD_SM_CONTEXT_DTE      (1ULL << 2)
#define VTD_SM_CONTEXT_PASIDE   (1ULL << 3)
#define VTD_SM_CONTEXT_PRE      (1ULL << 4)
#define VTD_SM_CONTEXT_PDTS(lo) (((lo) >> 9) & 7)
#define VTD_SM_CONTEXT_RID_PRIV (1ULL << 20)    /* second word */

/* Scalable-mode PASID table entry (9.6), second and third word */
#define VTD_SM_PASID_PWSNP      (1ULL << 23)
#define VTD_SM_PASID_PGSNP      (1ULL << 24)
#define VTD_SM_PASID_SRE        (1ULL << 0)
#define VTD_SM_PASID_ERE        (1ULL << 1)
#define VTD_SM_PASID_WPE        (1ULL << 4)
#define VTD_SM_PASID_NXE        (1ULL << 5)
#define VTD_SM_PASID_SMEP       (1ULL << 6)
#define VTD_SM_PASID_EAFE       (1ULL << 7)

/* First-stage paging entry (9.8) */
#define VTD_FL_XD               (1ULL << 63)

#define VTD_PML5_LEVEL          5

/* Widest PASID, and widest address (aw-bits) with svm=on, in bits */
#define VTD_SVM_PASID_BITS      20
#define VTD_SVM_AW_BITS_MAX     57

/* Requests of a function (7.1.3); the first three are PCIe address types */
typedef enum VTDRequestType {
    VTD_REQUEST_UNTRANSLATED = 0,
    VTD_REQUEST_TRANSLATION = 1,
    VTD_REQUEST_TRANSLATED = 2,
    VTD_REQUEST_PAGE,
} VTDRequestType;

/**
 * struct VTDRequestContext - what the guest's tables say about a request
 *
 * A snapshot, taken and checked once per request, so that a guest that
 * changes its tables meanwhile gets the old or the new meaning and no mixture.
 *
 * @sid: requester ID
 * @pasid: PASID of the request, or %PCI_NO_PASID
 * @type: what is requested
 * @fpd: fault processing is disabled for this request
 * @stripe: private to vtd_request_begin() and vtd_request_end()
 * @epoch: the same
 * @ce: context entry, present and checked
 * @pe: PASID entry, present and checked; zero in legacy mode, and for
 *     translated requests
 */
typedef struct VTDRequestContext {
    uint16_t sid;
    uint32_t pasid;
    VTDRequestType type;
    bool fpd;
    unsigned stripe;
    unsigned epoch;
    VTDContextEntry ce;
    VTDPASIDEntry pe;
} VTDRequestContext;

/**
 * struct VTDWalkRequest - what is asked of the paging structures
 *
 * @addr: first byte
 * @last: last byte, not below @addr
 * @wanted: permissions to grant where the paging structures have them;
 *     %IOMMU_PRIV makes it a privileged request. Dirty is set where a write is
 *     granted.
 * @needed: permissions without which nothing is granted, and no entry of a
 *     leaf is marked as used
 * @room: number of blocks to emit at most
 */
typedef struct VTDWalkRequest {
    hwaddr addr;
    hwaddr last;
    IOMMUAccessFlags wanted;
    IOMMUAccessFlags needed;
    size_t room;
} VTDWalkRequest;

/**
 * struct VTDMapping - what the paging structures say about a block
 *
 * @addr: address at which the walk looks; the block is the one around it
 * @target: where the block is, if @perm is not %IOMMU_NONE
 * @mask: size of the block minus 1
 * @perm: what is granted, of what was wanted
 * @fault: why nothing is, or 0
 */
typedef struct VTDMapping {
    hwaddr addr;
    hwaddr target;
    hwaddr mask;
    IOMMUAccessFlags perm;
    VTDFaultReason fault;
} VTDMapping;

typedef int VTDWalkEmit(void *opaque, const VTDMapping *mapping);

/* First-stage and second-stage levels of a PASID entry (9.6) */
static inline unsigned vtd_pasid_entry_first_levels(const VTDPASIDEntry *pe)
{
    return VTD_PML4_LEVEL + ((pe->val[2] >> 2) & VTD_SM_PASID_ENTRY_FLPM);
}

static inline unsigned vtd_pasid_entry_second_levels(const VTDPASIDEntry *pe)
{
    return 2 + ((pe->val[0] >> 2) & VTD_SM_PASID_ENTRY_AW);
}

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
void vtd_generate_fault_event(IntelIOMMUState *s, uint32_t pre_fsts);
void vtd_fetch_inv_desc(IntelIOMMUState *s);
bool vtd_inv_desc_reserved_check(IntelIOMMUState *s, VTDInvDesc *inv_desc,
                                 uint64_t mask[4], bool dw,
                                 const char *func_name, const char *desc_type);
bool vtd_read_table(hwaddr addr, void *buf, hwaddr len);
int vtd_dev_to_context_entry(IntelIOMMUState *s, uint8_t bus_num,
                             uint8_t devfn, VTDContextEntry *ce);
bool vtd_slpte_nonzero_rsvd(uint64_t slpte, uint32_t level);
bool vtd_is_qualified_fault(VTDFaultReason fault);
void vtd_report_frcd_fault(IntelIOMMUState *s, uint64_t source_id, uint64_t hi,
                           uint64_t lo);
PCIBus *vtd_find_bus(uint8_t bus_num);
bool vtd_switch_address_space(VTDAddressSpace *as);
void vtd_pt_schedule_fast_path(VTDAddressSpace *as);

/*
 * Hooks of intel_iommu.c, and what the units offer each other.
 * intel_iommu_svm.c
 */

/**
 * vtd_svm_describe_options: descriptions of svm and svm-*, for "-device help"
 *
 * @klass: the class of the IOMMU, which has these properties
 *
 * Context: while the class is initialized.
 */
void vtd_svm_describe_options(ObjectClass *klass);

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
 * vtd_svm_aw_bits_ok: is this width of addresses one that svm=on adds?
 *
 * @s: the IOMMU, with the user's options
 *
 * Context: BQL, at realize.
 */
bool vtd_svm_aw_bits_ok(IntelIOMMUState *s);

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

/*
 * vtd_svm_vmstate: subsection of the IOMMU's, of a machine with svm=on; refuses
 * to be loaded by one without
 */
extern const VMStateDescription vtd_svm_vmstate;

/**
 * vtd_svm_post_load: may this machine go on where another one stopped?
 * @s: the IOMMU, with the registers of the source
 *
 * Returns: 0, or -EINVAL, reported, if this has svm=on and its capabilities are
 * not those that the guest knows.
 *
 * Context: BQL.
 */
int vtd_svm_post_load(IntelIOMMUState *s);

/* intel_iommu_request.c */

/**
 * vtd_request_begin: take the snapshot that a request is served by
 *
 * @s: the IOMMU
 * @bus: bus of the requester
 * @devfn: device and function number of the requester
 * @pasid: PASID of the request, or %PCI_NO_PASID
 * @type: what is requested
 * @ctx: filled in as far as the tables could be read; sid, pasid, type and fpd
 *     always
 *
 * Until vtd_request_end(), which must follow in any case, wait descriptors of
 * the guest do not complete: the snapshot, and the tables that it leads to,
 * stay what they are. The caller takes no BQL meanwhile.
 * The context entry of a request that is not refused allows its type.
 *
 * Returns: 0, or the fault condition that the tables give.
 *
 * Context: any thread, RCU critical section. VT-d 3.4, 3.9.
 */
VTDFaultReason vtd_request_begin(IntelIOMMUState *s, PCIBus *bus, int devfn,
                                 uint32_t pasid, VTDRequestType type,
                                 VTDRequestContext *ctx);

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
 * vtd_cache_init: make the context cache and the PASID cache, empty
 *
 * @s: the IOMMU
 *
 * Context: realize.
 */
void vtd_cache_init(IntelIOMMUState *s);

/**
 * vtd_cache_drop: forget what the root, context and PASID tables said
 *
 * @s: the IOMMU
 *
 * Requests that have looked before are waited for by vtd_drain_requests().
 *
 * Context: any thread. VT-d 6.5.2.1 (context cache), 6.5.2.2 (PASID cache),
 * 11.4.4 (root table pointer, translation enable).
 */
void vtd_cache_drop(IntelIOMMUState *s);

/**
 * vtd_cache_lookup: what did the tables say?
 *
 * @s: the IOMMU
 * @ctx: its sid and pasid are looked for; fpd, ce and pe are filled in
 * @generation: of the cache, read by the caller before
 *
 * Returns: whether it is known; otherwise fpd, ce and pe are undefined.
 *
 * Context: any thread.
 */
bool vtd_cache_lookup(IntelIOMMUState *s, VTDRequestContext *ctx,
                      unsigned long generation);

/**
 * vtd_cache_insert: remember what the tables said
 *
 * @s: the IOMMU
 * @ctx: sid, pasid, fpd, ce and pe; entries that are present and valid
 * @generation: of the cache, read before the tables were
 *
 * Context: any thread.
 */
void vtd_cache_insert(IntelIOMMUState *s, const VTDRequestContext *ctx,
                      unsigned long generation);

/**
 * vtd_drain_requests: wait for the requests that are being served
 *
 * @s: the IOMMU
 *
 * When this returns, what they read from the guest's tables is used no more by
 * this unit, and each page request that was accepted before is in the guest's
 * queue. Responses reach devices synchronously. So each wait descriptor does
 * what Page-request Drain asks for.
 *
 * Context: BQL, without iommu_lock. VT-d 6.5.2.8, 7.10.
 */
void vtd_drain_requests(IntelIOMMUState *s);

/**
 * vtd_svm_get_pasid_entry: read and check a PASID entry
 *
 * @s: the IOMMU, in scalable mode
 * @ce: context entry, present and checked
 * @pasid: PASID, or %PCI_NO_PASID for RID_PASID
 * @pe: filled in as far as it was read, else zero
 * @fpd: set, and never cleared, if an entry on the way disables fault
 *     processing
 *
 * Returns: 0, or the fault condition.
 *
 * Context: any thread. VT-d 9.5, 9.6.
 */
VTDFaultReason vtd_svm_get_pasid_entry(IntelIOMMUState *s,
                                       const VTDContextEntry *ce,
                                       uint32_t pasid, VTDPASIDEntry *pe,
                                       bool *fpd);

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
 * vtd_record_fault: record a fault of a request, unless its FPD is set
 *
 * @s: the IOMMU
 * @ctx: the request
 * @fault: fault condition, by its code in either mode
 * @addr: address of the request
 * @access: what it wants: a write, execution, privilege
 *
 * Context: any thread, without iommu_lock. VT-d 7.1.
 */
void vtd_record_fault(IntelIOMMUState *s, const VTDRequestContext *ctx,
                      VTDFaultReason fault, hwaddr addr,
                      IOMMUAccessFlags access);

/* intel_iommu_walk.c */

/**
 * vtd_walk: walk the paging structures for a range of addresses
 *
 * @s: the IOMMU
 * @ce: context entry, present and checked; in legacy mode it has a table, for
 *     nobody comes here by pass-through (TT = 10b)
 * @pe: PASID entry, present and checked; zero in legacy mode, which is how the
 *     mode is known: the guest may have changed the root table since
 * @req: what is asked
 * @emit: called for one block after the other, in the order of addresses, until
 *     the range is covered or it returns something else than 0. A block is a
 *     leaf, or what an entry that leads nowhere covers; each is as large as the
 *     paging structures say, and not merged with its neighbour.
 * @opaque: first argument of @emit
 *
 * Accessed (and Extended Accessed) is set on each first-stage entry that is
 * used, Dirty on leaves where a write is granted. No block extends over
 * both interrupt addresses and others, unless it is not mapped.
 *
 * Returns: 0; -ENOMEM when more blocks are there than room for them, and then
 * nothing of the next one was marked; or what @emit has returned.
 *
 * Context: any thread, RCU critical section. VT-d 3.6, 3.7, 3.8.
 */
int vtd_walk(IntelIOMMUState *s, const VTDContextEntry *ce,
             const VTDPASIDEntry *pe, const VTDWalkRequest *req,
             VTDWalkEmit *emit, void *opaque);

/**
 * vtd_walk_one: walk for an untranslated request
 *
 * @s: the IOMMU
 * @ce: as for vtd_walk()
 * @pe: as for vtd_walk()
 * @addr: address of the request
 * @is_write: the request is a write, else a read
 * @mapping: set to what was found
 *
 * Returns: 0, or the fault condition.
 *
 * Context: as for vtd_walk().
 */
VTDFaultReason vtd_walk_one(IntelIOMMUState *s, const VTDContextEntry *ce,
                            const VTDPASIDEntry *pe, hwaddr addr,
                            bool is_write, VTDMapping *mapping);

/**
 * vtd_fault_is_miss: is a fault condition what an ATS device asks about?
 *
 * @fault: fault condition of a walk
 *
 * Returns: true for addresses that are not mapped, or not with the permission:
 * a translation completion says so, and no fault is recorded. False for tables
 * that are broken, which the guest must hear of in any case.
 */
bool vtd_fault_is_miss(VTDFaultReason fault);

/**
 * vtd_overlaps_interrupts: does a block hold interrupt addresses?
 *
 * @addr: an address in the block
 * @mask: size of the block minus 1
 *
 * VT-d 3.15.
 */
bool vtd_overlaps_interrupts(hwaddr addr, hwaddr mask);

/**
 * vtd_clip_interrupts: leave the interrupt addresses out of a block
 *
 * @addr: an address in the block
 * @mask: size of the block minus 1
 *
 * Returns: the size minus 1 of the largest part of the block that is a block,
 * too, has @addr in it and no interrupt address; @mask as it is if @addr is
 * one.
 *
 * VT-d 3.15.
 */
hwaddr vtd_clip_interrupts(hwaddr addr, hwaddr mask);

/* intel_iommu_untranslated.c */

/**
 * vtd_tlb_init: make the IOTLB, empty
 *
 * @s: the IOMMU; nothing is made without svm=on
 *
 * Context: realize.
 */
void vtd_tlb_init(IntelIOMMUState *s);

/**
 * vtd_tlb_drop: forget the translations of untranslated requests
 *
 * @s: the IOMMU
 *
 * vtd_cache_drop() makes them stale, too. Walks under way are waited for by
 * vtd_drain_requests(); who has found an entry is not.
 *
 * Context: any thread. VT-d 6.5.2.3, 6.5.2.4.
 */
void vtd_tlb_drop(IntelIOMMUState *s);

/**
 * vtd_untranslated_request: translate an untranslated request of a function
 *
 * @as: address space of the requester
 * @addr: address of the request
 * @is_write: the request is a write, else a read
 * @entry: iova, translated_addr, addr_mask and perm are set to what was found.
 *     perm is what the guest's tables are marked for: a write is in it only if
 *     Dirty is set, or there is none.
 *
 * Whoever passes through is let skip us from now on, by
 * vtd_pt_schedule_fast_path().
 *
 * Returns: false if there is no such translation, and the fault was recorded;
 * @entry is as it was then.
 *
 * Context: any thread, RCU critical section, with svm=on and translation
 * enabled. VT-d 3.6 to 3.9.
 */
bool vtd_untranslated_request(VTDAddressSpace *as, hwaddr addr, bool is_write,
                              IOMMUTLBEntry *entry);

/**
 * vtd_untranslated_with_pasid: the same with PASID
 *
 * @s: the IOMMU
 * @bus: bus of the requester
 * @devfn: device and function number of the requester
 * @pasid: PASID of the request
 * @addr: as for vtd_untranslated_request()
 * @is_write: the same
 * @entry: the same
 *
 * Returns: as vtd_untranslated_request(). Context: the same.
 */
bool vtd_untranslated_with_pasid(IntelIOMMUState *s, PCIBus *bus, int devfn,
                                 uint32_t pasid, hwaddr addr, bool is_write,
                                 IOMMUTLBEntry *entry);

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
 * Drops what is remembered of the tables, whatever the granularity, and looks
 * again at the functions that bypass translation.
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
 * Returns: false if there is no such register here, or without ECAP.PRS.
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
 * Returns: false if there is no such register here, or without ECAP.PRS.
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

/* intel_iommu_inv.c */

/**
 * vtd_inv_reset: define what errors of the invalidation queue need of FSTS
 *
 * @s: the IOMMU, whose registers have their values after reset
 *
 * Context: BQL.
 */
void vtd_inv_reset(IntelIOMMUState *s);

/**
 * vtd_inv_record_queue_error: tell software why the queue stops
 *
 * @s: the IOMMU, with the reason in inv_state.iqei; nothing changes without
 *     svm=on
 *
 * Context: BQL. VT-d 11.4.9.9.
 */
void vtd_inv_record_queue_error(IntelIOMMUState *s);

/**
 * vtd_inv_reach_function: will a device-TLB invalidation be answered?
 *
 * @s: the IOMMU, with svm=on
 * @sid: requester ID of the function
 *
 * Returns: false when the function will not answer. Then the invalidation
 * times out, which vtd_inv_report_timeout() reports.
 *
 * Context: BQL. VT-d 6.5.2.11.
 */
bool vtd_inv_reach_function(IntelIOMMUState *s, uint16_t sid);

/**
 * vtd_inv_report_timeout: wait for the invalidations since the last call
 *
 * @s: the IOMMU
 *
 * Returns: whether one of them has timed out. The queue stops then, with an
 * Invalidation Time-out Error, and the wait descriptor that waits for them is
 * aborted.
 *
 * Context: BQL, without iommu_lock. VT-d 6.5.2.11.
 */
bool vtd_inv_report_timeout(IntelIOMMUState *s);

/**
 * vtd_inv_timeout_pending: software has to clear a time-out first
 *
 * @s: the IOMMU
 *
 * Returns: whether the queue stands still for that reason.
 *
 * Context: BQL.
 */
bool vtd_inv_timeout_pending(IntelIOMMUState *s);

/**
 * vtd_inv_resume: go on with the queue if software has cleared its errors
 *
 * @s: the IOMMU; nothing happens without svm=on
 *
 * Context: BQL, without iommu_lock. VT-d 6.5.2.10, 6.5.2.11.
 */
void vtd_inv_resume(IntelIOMMUState *s);

#endif /* HW_I386_INTEL_IOMMU_SVM_H */
