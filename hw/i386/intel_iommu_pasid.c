/*
 * Intel IOMMU (VT-d): what the guest's tables and the model itself keep for a
 * (function, PASID)
 *
 * VT-d rev 4.1, sections 3.4.3 (PASID tables), 6.5.2.2 (PASID-cache
 * invalidation) and 6.5.2.6 (PASID-based device-TLB invalidation).
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

/* PASID-cache invalidate descriptor */
#define PC_DESC_RSVD_VAL0       0xfff000000000f1c0ULL
#define PC_DESC_G(val)          (((val) >> 4) & 3)
#define PC_DESC_DID(val)        (((val) >> 16) & 0xffff)
#define PC_DESC_PASID(val)      (((val) >> 32) & 0xfffff)
#define PC_DESC_G_RESERVED      2

/* One PASID of a function that somebody listens to */
typedef struct VTDPASIDRegion {
    IOMMUMemoryRegion iommu;
    unsigned users;
} VTDPASIDRegion;

/* A function some of whose PASIDs are listened to */
struct VTDSVMFunction {
    PCIBus *bus;
    uint8_t devfn;
    GHashTable *pasids;         /* PASID -> VTDPASIDRegion */
};

#define TYPE_VTD_PASID_REGION "intel-iommu-pasid-memory-region"

static uint16_t vtd_function_sid(const VTDSVMFunction *fn)
{
    return PCI_BUILD_BDF(pci_bus_num(fn->bus), fn->devfn);
}

/*
 * A function is known by its bus and not by its requester ID, which changes
 * when the guest renumbers its buses. The table by requester ID is a cache of
 * the list: it is made anew when it turns out to be wrong.
 */
static void vtd_rebuild_sids(IntelIOMMUState *s)
{
    VTDSVMState *svm = &s->svm_state;

    g_hash_table_remove_all(svm->by_sid);
    for (guint i = 0; i < svm->functions->len; i++) {
        VTDSVMFunction *fn = g_ptr_array_index(svm->functions, i);

        g_hash_table_insert(svm->by_sid,
                            GUINT_TO_POINTER(vtd_function_sid(fn)), fn);
    }
}

static VTDSVMFunction *vtd_lookup_sid(IntelIOMMUState *s, uint16_t sid)
{
    VTDSVMFunction *fn = g_hash_table_lookup(s->svm_state.by_sid,
                                             GUINT_TO_POINTER(sid));

    return fn && vtd_function_sid(fn) == sid ? fn : NULL;
}

static VTDSVMFunction *vtd_find_function(IntelIOMMUState *s, uint16_t sid)
{
    VTDSVMFunction *fn = vtd_lookup_sid(s, sid);

    if (!fn) {
        vtd_rebuild_sids(s);
        fn = vtd_lookup_sid(s, sid);
    }
    return fn;
}

static VTDSVMFunction *vtd_find_or_add_function(IntelIOMMUState *s,
                                                PCIBus *bus, int devfn)
{
    VTDSVMState *svm = &s->svm_state;
    VTDSVMFunction *fn;

    for (guint i = 0; i < svm->functions->len; i++) {
        fn = g_ptr_array_index(svm->functions, i);
        if (fn->bus == bus && fn->devfn == devfn) {
            return fn;
        }
    }
    fn = g_new0(VTDSVMFunction, 1);
    fn->bus = bus;
    fn->devfn = devfn;
    fn->pasids = g_hash_table_new(NULL, NULL);
    g_ptr_array_add(svm->functions, fn);
    return fn;
}

static void vtd_remove_function(IntelIOMMUState *s, VTDSVMFunction *fn)
{
    g_hash_table_remove_all(s->svm_state.by_sid);
    g_hash_table_destroy(fn->pasids);
    g_ptr_array_remove_fast(s->svm_state.functions, fn);
    g_free(fn);
}

void vtd_pasid_init(IntelIOMMUState *s)
{
    s->svm_state.functions = g_ptr_array_new();
    s->svm_state.by_sid = g_hash_table_new(NULL, NULL);
}

IOMMUMemoryRegion *vtd_get_iotlb_region(IntelIOMMUState *s, PCIBus *bus,
                                        int devfn, uint32_t pasid)
{
    VTDSVMFunction *fn;
    VTDPASIDRegion *region;

    assert(bql_locked());
    if (pasid == PCI_NO_PASID) {
        return &vtd_find_add_as(s, bus, devfn, pasid)->iommu;
    }
    fn = vtd_find_or_add_function(s, bus, devfn);
    region = g_hash_table_lookup(fn->pasids, GUINT_TO_POINTER(pasid));
    if (!region) {
        region = g_new0(VTDPASIDRegion, 1);
        /* Without owner and name: a QOM child per PASID would cost KiBs. */
        memory_region_init_iommu(&region->iommu, sizeof(region->iommu),
                                 TYPE_VTD_PASID_REGION, NULL, NULL,
                                 UINT64_MAX);
        g_hash_table_insert(fn->pasids, GUINT_TO_POINTER(pasid), region);
    }
    region->users++;
    return &region->iommu;
}

void vtd_put_iotlb_region(IntelIOMMUState *s, PCIBus *bus, int devfn,
                          uint32_t pasid)
{
    VTDSVMFunction *fn;
    VTDPASIDRegion *region;

    assert(bql_locked());
    if (pasid == PCI_NO_PASID) {
        return;
    }
    fn = vtd_find_or_add_function(s, bus, devfn);
    region = g_hash_table_lookup(fn->pasids, GUINT_TO_POINTER(pasid));
    assert(region);
    if (--region->users) {
        return;
    }
    g_hash_table_remove(fn->pasids, GUINT_TO_POINTER(pasid));
    object_unref(OBJECT(&region->iommu));
    g_free(region);
    if (!g_hash_table_size(fn->pasids)) {
        vtd_remove_function(s, fn);
    }
}

PCIBus *vtd_find_bus(IntelIOMMUState *s, uint8_t bus_num)
{
    GHashTableIter iter;
    VTDAddressSpace *as = s->vtd_as_cache[bus_num];

    /* Filled on demand, and checked: bus numbers are the guest's. */
    if (as && pci_bus_num(as->bus) == bus_num) {
        return as->bus;
    }
    g_hash_table_iter_init(&iter, s->vtd_address_spaces);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&as)) {
        if (pci_bus_num(as->bus) == bus_num) {
            s->vtd_as_cache[bus_num] = as;
            return as->bus;
        }
    }
    return NULL;
}

static void vtd_notify_region(VTDPASIDRegion *region, uint32_t pasid,
                              hwaddr addr, hwaddr mask)
{
    IOMMUTLBEvent event = {
        .type = IOMMU_NOTIFIER_DEVIOTLB_UNMAP,
        .entry = {
            .target_as = &address_space_memory,
            .iova = addr,
            .addr_mask = mask,
            .perm = IOMMU_NONE,
            .pasid = pasid,
        },
    };

    memory_region_notify_iommu(&region->iommu, 0, event);
}

void vtd_invalidate_pasid_dev_tlb(IntelIOMMUState *s, uint16_t sid,
                                  uint32_t pasid, bool global, hwaddr addr,
                                  hwaddr mask)
{
    VTDSVMFunction *fn = vtd_find_function(s, sid);
    GHashTableIter iter;
    gpointer key, region;

    trace_vtd_pasid_dev_tlb(sid, pasid, global, addr, mask);
    if (!fn) {
        return;
    }
    if (!global) {
        region = g_hash_table_lookup(fn->pasids, GUINT_TO_POINTER(pasid));
        if (region) {
            vtd_notify_region(region, pasid, addr, mask);
        }
        return;
    }
    g_hash_table_iter_init(&iter, fn->pasids);
    while (g_hash_table_iter_next(&iter, &key, &region)) {
        vtd_notify_region(region, GPOINTER_TO_UINT(key), addr, mask);
    }
}

bool vtd_process_pasid_cache_desc(IntelIOMMUState *s, VTDInvDesc *desc)
{
    uint64_t mask[4] = { PC_DESC_RSVD_VAL0, VTD_INV_DESC_ALL_ONE,
                         VTD_INV_DESC_ALL_ONE, VTD_INV_DESC_ALL_ONE };
    GHashTableIter iter;
    VTDAddressSpace *as;

    if (!vtd_inv_desc_reserved_check(s, desc, mask, true, __func__,
                                     "PASID cache inv") ||
        PC_DESC_G(desc->val[0]) == PC_DESC_G_RESERVED) {
        return false;
    }
    trace_vtd_inv_desc_pasid_cache(PC_DESC_G(desc->val[0]),
                                   PC_DESC_DID(desc->val[0]),
                                   PC_DESC_PASID(desc->val[0]));
    /*
     * The address spaces are as many as there are functions, whatever number
     * of PASIDs is in use.
     */
    g_hash_table_iter_init(&iter, s->vtd_address_spaces);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&as)) {
        vtd_switch_address_space(as);
    }
    return true;
}

/* Is @pasid within the directory (PDTS, 9.4)? */
static bool vtd_pasid_in_directory(const VTDContextEntry *ce, uint32_t pasid)
{
    unsigned entries = 1u << (VTD_SM_CONTEXT_PDTS(ce->lo) + 7);

    return VTD_PASID_DIR_INDEX(pasid) < entries;
}

static int vtd_request_pasid_entry(IntelIOMMUState *s, VTDRequestContext *ctx)
{
    VTDContextEntry *ce = &ctx->ce;
    uint32_t pasid = ctx->pasid;

    if (pasid == PCI_NO_PASID) {
        pasid = ce->val[1] & VTD_SM_CONTEXT_ENTRY_RID2PASID_MASK;
    } else if (!(ce->lo & VTD_SM_CONTEXT_PASIDE)) {
        return VTD_FR_CONTEXT_ENTRY_TT;
    }
    if (!vtd_pasid_in_directory(ce, pasid)) {
        return VTD_FR_PASID_DIR_ENTRY_P;
    }
    return -vtd_ce_get_pasid_entry(s, ce, pasid, &ctx->pe, &ctx->fpd);
}

static int vtd_request_context(IntelIOMMUState *s, PCIBus *bus, int devfn,
                               VTDRequestContext *ctx)
{
    int ret = vtd_dev_to_context_entry(s, pci_bus_num(bus), devfn, &ctx->ce);

    ctx->fpd = ctx->ce.lo & VTD_CONTEXT_ENTRY_FPD;
    if (!ret && s->root_scalable) {
        ret = -vtd_request_pasid_entry(s, ctx);
    } else if (!ret && ctx->pasid != PCI_NO_PASID) {
        return VTD_FR_CONTEXT_ENTRY_TT;     /* legacy mode has no PASIDs */
    }
    if (!ret && !vtd_ats_enabled_by(s, &ctx->ce)) {
        return VTD_FR_CONTEXT_ENTRY_TT;
    }
    return -ret;
}

/*
 * The count is incremented before the tables are read, and the full barrier
 * pairs with that of vtd_drain_requests(): either the drain sees the request
 * and waits, or the request sees what the guest had written before.
 */
int vtd_request_begin(IntelIOMMUState *s, PCIBus *bus, int devfn,
                      uint32_t pasid, VTDRequestContext *ctx)
{
    VTDSVMState *svm = &s->svm_state;

    *ctx = (VTDRequestContext) {
        .sid = PCI_BUILD_BDF(pci_bus_num(bus), devfn), .pasid = pasid,
        .epoch = qatomic_read(&svm->epoch),
    };
    qatomic_inc(&svm->serving[ctx->epoch]);
    /* Count, then read: pairs with vtd_drain_requests() */
    smp_mb();
    return vtd_request_context(s, bus, devfn, ctx);
}

void vtd_request_end(IntelIOMMUState *s, const VTDRequestContext *ctx)
{
    /* The last access, then the count: pairs with vtd_drain_requests() */
    smp_mb();
    qatomic_dec(&s->svm_state.serving[ctx->epoch]);
}

/*
 * Requests that begin meanwhile use the other count, so that they cannot keep
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
        /* Guest wrote, then the count: pairs with vtd_request_begin() */
        smp_mb();
        while (qatomic_read(&svm->serving[old])) {
            g_thread_yield();
        }
    }
    /* The count, then what the guest does: pairs with vtd_request_end() */
    smp_mb();
}

void vtd_record_fault(IntelIOMMUState *s, const VTDRequestContext *ctx,
                      VTDFaultReason fault, hwaddr addr, bool is_write)
{
    bool has_pasid = ctx->pasid != PCI_NO_PASID;

    QEMU_LOCK_GUARD(&s->iommu_lock);
    vtd_report_fault(s, fault, ctx->fpd, ctx->sid, addr, is_write, has_pasid,
                     has_pasid ? ctx->pasid : 0);
}

static const TypeInfo vtd_pasid_region_info = {
    .name = TYPE_VTD_PASID_REGION,
    .parent = TYPE_IOMMU_MEMORY_REGION,
};

static void vtd_pasid_register_types(void)
{
    type_register_static(&vtd_pasid_region_info);
}

type_init(vtd_pasid_register_types)
