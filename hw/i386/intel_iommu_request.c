/*
 * Intel IOMMU (VT-d): requests of functions, and what the guest's root,
 * context and PASID tables say about them
 *
 * VT-d rev 4.1, sections 3.4 (tables), 7.1 (faults), 9.3 to 9.6 (entries) and
 * 11.4.7 (fault recording).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "intel_iommu_svm.h"
#include "trace.h"

/* Fault recording register, upper half, beyond what the base has a use for */
#define FRCD_TYPE_2             (1ULL << 28)    /* page request, if T1 is 0 */
#define FRCD_PRIV               (1ULL << 29)
#define FRCD_EXE                (1ULL << 30)
#define FRCD_AT(at)             ((uint64_t)(at) << 60)

/* Reserved bits of the entries, other than addresses that are too wide */
#define PASID_DIR_RSVD          0xffcULL
#define PASID_ENTRY_RSVD_VAL0   0xe20ULL
#define PASID_ENTRY_RSVD_VAL1   0x7f0000ULL
#define PASID_ENTRY_RSVD_VAL2   0xf00ULL

/* ---- PASID tables */

static bool vtd_address_is_reserved(IntelIOMMUState *s, uint64_t entry)
{
    return entry & ~VTD_HAW_MASK(s->aw_bits);
}

/* Is @pasid within the directory (PDTS, 9.4)? */
static bool vtd_pasid_in_directory(const VTDContextEntry *ce, uint32_t pasid)
{
    unsigned entries = 1u << (VTD_SM_CONTEXT_PDTS(ce->lo) + 7);

    return VTD_PASID_DIR_INDEX(pasid) < entries;
}

static VTDFaultReason vtd_read_pasid_dir(IntelIOMMUState *s,
                                         const VTDContextEntry *ce,
                                         uint32_t pasid, uint64_t *pdire)
{
    hwaddr base = ce->lo & VTD_PASID_DIR_BASE_ADDR_MASK;
    unsigned index = VTD_PASID_DIR_INDEX(pasid);

    if (!vtd_read_table(base + index * sizeof(*pdire), pdire,
                        sizeof(*pdire))) {
        *pdire = 0;
        return VTD_FR_PASID_DIR_ACCESS_ERR;
    }
    le64_to_cpus(pdire);
    if (!(*pdire & VTD_PASID_ENTRY_P)) {
        return VTD_FR_PASID_DIR_ENTRY_P;
    }
    if (*pdire & PASID_DIR_RSVD || vtd_address_is_reserved(s, *pdire)) {
        return VTD_FR_PASID_DIR_RSVD;
    }
    return 0;
}

/* A field whose capability is not there is reserved. */
static bool vtd_sm_context_rsvd_set(IntelIOMMUState *s,
                                    const VTDContextEntry *ce)
{
    uint64_t rsvd = VTD_SM_CONTEXT_RID_PRIV;

    rsvd |= s->ecap & VTD_ECAP_RPS ? 0 : VTD_SM_CONTEXT_ENTRY_RID2PASID_MASK;
    return ce->val[1] & rsvd ||
           (ce->lo & VTD_SM_CONTEXT_PRE && !(s->ecap & VTD_ECAP_PRS));
}

static bool vtd_pasid_entry_rsvd_set(IntelIOMMUState *s,
                                     const VTDPASIDEntry *pe)
{
    uint64_t rsvd1 = PASID_ENTRY_RSVD_VAL1, rsvd2 = PASID_ENTRY_RSVD_VAL2;

    rsvd1 |= s->ecap & VTD_ECAP_SMPWC ? 0 : VTD_SM_PASID_PWSNP;
    rsvd1 |= s->ecap & VTD_ECAP_SC ? 0 : VTD_SM_PASID_PGSNP;
    rsvd2 |= s->ecap & VTD_ECAP_SRS ? 0 : VTD_SM_PASID_SRE;
    rsvd2 |= s->ecap & VTD_ECAP_ERS ? 0 : VTD_SM_PASID_ERE;
    rsvd2 |= s->ecap & VTD_ECAP_EAFS ? 0 : VTD_SM_PASID_EAFE;
    return pe->val[0] & PASID_ENTRY_RSVD_VAL0 || pe->val[1] & rsvd1 ||
           pe->val[2] & rsvd2 || vtd_address_is_reserved(s, pe->val[0]) ||
           vtd_address_is_reserved(s, pe->val[2]);
}

static bool vtd_first_levels_supported(IntelIOMMUState *s,
                                       const VTDPASIDEntry *pe)
{
    unsigned levels = vtd_pasid_entry_first_levels(pe);

    return levels == VTD_PML4_LEVEL ||
           (levels == VTD_PML5_LEVEL && s->cap & VTD_CAP_FL5LP);
}

static bool vtd_second_levels_supported(IntelIOMMUState *s,
                                        const VTDPASIDEntry *pe)
{
    unsigned aw = vtd_pasid_entry_second_levels(pe) - 2;

    return s->cap & VTD_CAP_SAGAW_MASK & (1ULL << (VTD_CAP_SAGAW_SHIFT + aw));
}

static bool vtd_pasid_entry_valid(IntelIOMMUState *s, const VTDPASIDEntry *pe)
{
    switch (pe->val[0] & VTD_SM_PASID_ENTRY_PGTT) {
    case VTD_SM_PASID_ENTRY_FLT:
        return vtd_first_levels_supported(s, pe);
    case VTD_SM_PASID_ENTRY_SLT:
        return s->ecap & VTD_ECAP_SLTS && vtd_second_levels_supported(s, pe);
    case VTD_SM_PASID_ENTRY_NESTED:
        return s->ecap & VTD_ECAP_NEST && vtd_first_levels_supported(s, pe) &&
               vtd_second_levels_supported(s, pe);
    case VTD_SM_PASID_ENTRY_PT:
        return s->ecap & VTD_ECAP_PT;
    default:
        return false;
    }
}

static VTDFaultReason vtd_read_pasid_entry(IntelIOMMUState *s, hwaddr table,
                                           uint32_t pasid, VTDPASIDEntry *pe)
{
    hwaddr addr = (table & VTD_PASID_TABLE_BASE_ADDR_MASK) +
                  VTD_PASID_TABLE_INDEX(pasid) * sizeof(*pe);

    if (!vtd_read_table(addr, pe, sizeof(*pe))) {
        memset(pe, 0, sizeof(*pe));
        return VTD_FR_PASID_TABLE_ACCESS_ERR;
    }
    for (size_t i = 0; i < ARRAY_SIZE(pe->val); i++) {
        le64_to_cpus(&pe->val[i]);
    }
    if (!(pe->val[0] & VTD_PASID_ENTRY_P)) {
        return VTD_FR_PASID_ENTRY_P;
    }
    if (vtd_pasid_entry_rsvd_set(s, pe)) {
        return VTD_FR_PASID_ENTRY_RSVD;
    }
    return vtd_pasid_entry_valid(s, pe) ? 0 : VTD_FR_PASID_TABLE_ENTRY_INV;
}

static VTDFaultReason vtd_find_pasid_entry(IntelIOMMUState *s,
                                           const VTDContextEntry *ce,
                                           uint32_t pasid, VTDPASIDEntry *pe,
                                           bool *fpd)
{
    bool rid_pasid = pasid == PCI_NO_PASID;
    VTDFaultReason fault;
    uint64_t pdire;

    if (rid_pasid) {
        pasid = ce->val[1] & VTD_SM_CONTEXT_ENTRY_RID2PASID_MASK;
    }
    if (!vtd_pasid_in_directory(ce, pasid)) {
        return rid_pasid ? VTD_FR_SM_RID_PASID : VTD_FR_SM_PASID_TOO_LARGE;
    }
    fault = vtd_read_pasid_dir(s, ce, pasid, &pdire);
    *fpd |= pdire & VTD_PASID_DIR_FPD;
    if (fault) {
        return fault;
    }
    fault = vtd_read_pasid_entry(s, pdire, pasid, pe);
    *fpd |= pe->val[0] & VTD_PASID_ENTRY_FPD;
    return fault;
}

VTDFaultReason vtd_svm_get_pasid_entry(IntelIOMMUState *s,
                                       const VTDContextEntry *ce,
                                       uint32_t pasid, VTDPASIDEntry *pe,
                                       bool *fpd)
{
    *pe = (VTDPASIDEntry) {};
    return vtd_sm_context_rsvd_set(s, ce)
           ? VTD_FR_SM_CONTEXT_ENTRY_RSVD
           : vtd_find_pasid_entry(s, ce, pasid, pe, fpd);
}

/* ---- requests */

bool vtd_ats_enabled_by(IntelIOMMUState *s, const VTDContextEntry *ce)
{
    if (s->root_scalable) {
        return ce->lo & VTD_SM_CONTEXT_DTE;
    }
    return (ce->lo & VTD_CONTEXT_ENTRY_TT) == VTD_CONTEXT_TT_DEV_IOTLB;
}

bool vtd_bypass_allowed(VTDAddressSpace *as, const VTDContextEntry *ce)
{
    IntelIOMMUState *s = as->iommu_state;
    PCIDevice *dev = as->bus->devices[as->devfn];

    return !s->svm || !dev || !dev->exp.ats_cap || vtd_ats_enabled_by(s, ce);
}

/* Legacy mode has no PASIDs and no page requests (3.4.1). */
static VTDFaultReason vtd_request_check_legacy(IntelIOMMUState *s,
                                               const VTDRequestContext *ctx)
{
    if (ctx->type == VTD_REQUEST_PAGE) {
        return VTD_FR_SM_TTM_PAGE_REQUEST;
    }
    if (ctx->pasid != PCI_NO_PASID) {
        return VTD_FR_SM_TTM_PASID;
    }
    return ctx->type == VTD_REQUEST_UNTRANSLATED ||
           vtd_ats_enabled_by(s, &ctx->ce) ? 0 : VTD_FR_CONTEXT_ENTRY_TT;
}

static VTDFaultReason vtd_request_check_scalable(IntelIOMMUState *s,
                                                 const VTDRequestContext *ctx)
{
    uint64_t lo = ctx->ce.lo;

    if (vtd_sm_context_rsvd_set(s, &ctx->ce)) {
        return VTD_FR_SM_CONTEXT_ENTRY_RSVD;
    }
    if (ctx->type == VTD_REQUEST_PAGE && !(lo & VTD_SM_CONTEXT_PRE)) {
        return VTD_FR_SM_PRE_DISABLED;
    }
    if ((ctx->type == VTD_REQUEST_TRANSLATION ||
         ctx->type == VTD_REQUEST_TRANSLATED) && !(lo & VTD_SM_CONTEXT_DTE)) {
        return VTD_FR_SM_DTE_DISABLED;
    }
    if (ctx->pasid != PCI_NO_PASID && !(lo & VTD_SM_CONTEXT_PASIDE)) {
        return VTD_FR_SM_PASID_DISABLED;
    }
    return 0;
}

static VTDFaultReason vtd_request_check(IntelIOMMUState *s, bool scalable,
                                        const VTDRequestContext *ctx)
{
    return scalable ? vtd_request_check_scalable(s, ctx)
                    : vtd_request_check_legacy(s, ctx);
}

static VTDFaultReason vtd_request_read_tables(IntelIOMMUState *s, uint8_t devfn,
                                              VTDRequestContext *ctx,
                                              unsigned long generation)
{
    bool scalable = s->root_scalable;
    VTDFaultReason fault;

    fault = -vtd_dev_to_context_entry(s, ctx->sid >> 8, devfn, &ctx->ce);
    ctx->fpd = ctx->ce.lo & VTD_CONTEXT_ENTRY_FPD;
    if (!fault) {
        fault = vtd_request_check(s, scalable, ctx);
    }
    if (fault || (scalable && ctx->type == VTD_REQUEST_TRANSLATED)) {
        return fault;
    }
    if (scalable) {
        fault = vtd_find_pasid_entry(s, &ctx->ce, ctx->pasid, &ctx->pe,
                                     &ctx->fpd);
    }
    if (!fault) {
        vtd_cache_insert(s, ctx, generation);
    }
    return fault;
}

/* A thread keeps its stripe, so that threads do not share cache lines. */
static unsigned vtd_request_stripe(void)
{
    static unsigned threads;
    static __thread unsigned stripe;

    if (!stripe) {
        stripe = qatomic_fetch_inc(&threads) % VTD_SERVING_STRIPES + 1;
    }
    return stripe - 1;
}

/*
 * The count is incremented before the caches and the tables are read, and the
 * full barrier pairs with that of vtd_drain_requests(): either the drain sees
 * the request and waits, or the request sees what the guest had written and
 * invalidated before.
 */
VTDFaultReason vtd_request_begin(IntelIOMMUState *s, PCIBus *bus, int devfn,
                                 uint32_t pasid, VTDRequestType type,
                                 VTDRequestContext *ctx)
{
    VTDSVMState *svm = &s->svm_state;
    unsigned long generation;

    ctx->sid = PCI_BUILD_BDF(pci_bus_num(bus), devfn);
    ctx->pasid = pasid;
    ctx->type = type;
    ctx->stripe = vtd_request_stripe();
    ctx->epoch = qatomic_read(&svm->epoch);
    qatomic_inc(&svm->serving[ctx->stripe].count[ctx->epoch]);
    /* Count, then read: pairs with vtd_drain_requests() */
    smp_mb__after_rmw();
    generation = qatomic_load_acquire(&svm->cache_generation);
    if (vtd_cache_lookup(s, ctx, generation)) {
        return vtd_request_check(s, s->root_scalable, ctx);
    }
    ctx->fpd = false;
    ctx->ce = (VTDContextEntry) {};
    ctx->pe = (VTDPASIDEntry) {};
    return vtd_request_read_tables(s, devfn, ctx, generation);
}

void vtd_request_end(IntelIOMMUState *s, const VTDRequestContext *ctx)
{
    VTDSVMState *svm = &s->svm_state;

    /* The last access, then the count: pairs with vtd_drain_requests() */
    smp_mb__before_rmw();
    qatomic_dec(&svm->serving[ctx->stripe].count[ctx->epoch]);
}

static void vtd_drain_stripe(VTDServing *serving, unsigned epoch)
{
    while (qatomic_read(&serving->count[epoch])) {
        g_thread_yield();
    }
}

/*
 * Requests that begin meanwhile use the other counts, so that they cannot keep
 * us here; twice, because a request may have read the epoch long ago and
 * count itself late. Serving takes microseconds, and no lock that we hold.
 */
void vtd_drain_requests(IntelIOMMUState *s)
{
    VTDSVMState *svm = &s->svm_state;

    assert(bql_locked());
    for (int i = 0; i < 2; i++) {
        unsigned old = svm->epoch;

        qatomic_set(&svm->epoch, !old);
        /* Guest wrote, then the counts: pairs with vtd_request_begin() */
        smp_mb();
        for (unsigned j = 0; j < VTD_SERVING_STRIPES; j++) {
            vtd_drain_stripe(&svm->serving[j], old);
        }
    }
    /* The counts, then what the guest does: pairs with vtd_request_end() */
    smp_mb();
}

/* ---- faults */

/* The same conditions have other numbers in scalable mode (7.1.3). */
static const uint8_t scalable_faults[] = {
    [VTD_FR_ROOT_ENTRY_P] = VTD_FR_SM_ROOT_ENTRY_P,
    [VTD_FR_CONTEXT_ENTRY_P] = VTD_FR_SM_CONTEXT_ENTRY_P,
    [VTD_FR_CONTEXT_ENTRY_INV] = VTD_FR_SM_CONTEXT_ENTRY_INV,
    [VTD_FR_ROOT_TABLE_INV] = VTD_FR_SM_ROOT_TABLE_INV,
    [VTD_FR_CONTEXT_TABLE_INV] = VTD_FR_SM_CONTEXT_TABLE_INV,
    [VTD_FR_ROOT_ENTRY_RSVD] = VTD_FR_SM_ROOT_ENTRY_RSVD,
    [VTD_FR_CONTEXT_ENTRY_RSVD] = VTD_FR_SM_CONTEXT_ENTRY_RSVD,
};

static VTDFaultReason vtd_fault_in_mode(const IntelIOMMUState *s,
                                        VTDFaultReason fault)
{
    if (s->root_scalable && fault < ARRAY_SIZE(scalable_faults) &&
        scalable_faults[fault]) {
        return scalable_faults[fault];
    }
    return fault;
}

/* What the recording register says of a request, beside its address (11.4.7) */
static uint64_t vtd_fault_record(const VTDRequestContext *ctx,
                                 VTDFaultReason fault, IOMMUAccessFlags access)
{
    uint64_t hi = VTD_FRCD_SID(ctx->sid) | VTD_FRCD_FR(fault);

    if (ctx->type == VTD_REQUEST_PAGE) {
        hi |= FRCD_TYPE_2;
    } else {
        hi |= FRCD_AT(ctx->type) | (access & IOMMU_WO ? 0 : VTD_FRCD_T);
    }
    if (ctx->pasid != PCI_NO_PASID) {
        hi |= VTD_FRCD_PV(ctx->pasid) | VTD_FRCD_PP(1);
        hi |= access & IOMMU_EXEC ? FRCD_EXE : 0;
        hi |= access & IOMMU_PRIV ? FRCD_PRIV : 0;
    }
    return hi;
}

void vtd_record_fault(IntelIOMMUState *s, const VTDRequestContext *ctx,
                      VTDFaultReason fault, hwaddr addr,
                      IOMMUAccessFlags access)
{
    fault = vtd_fault_in_mode(s, fault);
    if (!ctx->fpd || !vtd_is_qualified_fault(fault)) {
        QEMU_LOCK_GUARD(&s->iommu_lock);
        vtd_report_frcd_fault(s, ctx->sid,
                              vtd_fault_record(ctx, fault, access),
                              VTD_FRCD_FI(addr));
    }
    trace_vtd_request_fault(ctx->sid, ctx->pasid, ctx->type, fault, addr,
                            ctx->fpd);
}
