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
#include "qemu/main-loop.h"
#include "qemu/xxhash.h"
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
    VTDSVMFunction *fn;
    uint32_t pasid;
    unsigned users;
} VTDPASIDRegion;

/* A function some of whose PASIDs are listened to */
struct VTDSVMFunction {
    IntelIOMMUState *s;
    PCIBus *bus;
    uint8_t devfn;
    GHashTable *pasids;         /* PASID -> VTDPASIDRegion */
};

#define TYPE_VTD_PASID_REGION "intel-iommu-pasid-memory-region"

/*
 * A function is known by its bus and not by its requester ID, which changes
 * when the guest renumbers its buses.
 */
static guint vtd_function_hash(gconstpointer v)
{
    const VTDSVMFunction *fn = v;

    return qemu_xxhash4((uintptr_t)fn->bus, fn->devfn);
}

static gboolean vtd_function_equal(gconstpointer v1, gconstpointer v2)
{
    const VTDSVMFunction *fn1 = v1, *fn2 = v2;

    return fn1->bus == fn2->bus && fn1->devfn == fn2->devfn;
}

static VTDSVMFunction *vtd_find_function(IntelIOMMUState *s, PCIBus *bus,
                                         uint8_t devfn)
{
    const VTDSVMFunction key = { .bus = bus, .devfn = devfn };

    return g_hash_table_lookup(s->svm_state.functions, &key);
}

static VTDSVMFunction *vtd_find_or_add_function(IntelIOMMUState *s,
                                                PCIBus *bus, int devfn)
{
    VTDSVMFunction *fn = vtd_find_function(s, bus, devfn);

    if (!fn) {
        fn = g_new(VTDSVMFunction, 1);
        *fn = (VTDSVMFunction) {
            .s = s, .bus = bus, .devfn = devfn,
            .pasids = g_hash_table_new(NULL, NULL),
        };
        g_hash_table_add(s->svm_state.functions, fn);
    }
    return fn;
}

static void vtd_remove_function(IntelIOMMUState *s, VTDSVMFunction *fn)
{
    g_hash_table_remove(s->svm_state.functions, fn);
    g_hash_table_destroy(fn->pasids);
    g_free(fn);
}

void vtd_pasid_init(IntelIOMMUState *s)
{
    s->svm_state.functions = g_hash_table_new(vtd_function_hash,
                                              vtd_function_equal);
    vtd_cache_init(s);
    vtd_tlb_init(s);
}

/*
 * Nobody looks at the region through QOM: it has no owner and no name, and
 * goes without properties, which would be the greater part of a PASID's KiB.
 * None of a memory region's has anything to release.
 */
static void vtd_init_region(VTDPASIDRegion *region)
{
    memory_region_init_iommu(&region->iommu, sizeof(region->iommu),
                             TYPE_VTD_PASID_REGION, NULL, NULL, UINT64_MAX);
    g_hash_table_remove_all(OBJECT(&region->iommu)->properties);
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
        region = g_new(VTDPASIDRegion, 1);
        *region = (VTDPASIDRegion) { .fn = fn, .pasid = pasid };
        vtd_init_region(region);
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

/* A function that is on its way out is not on its bus any more. */
static bool vtd_invalidates_globally(const VTDSVMFunction *fn)
{
    PCIDevice *dev = fn->bus->devices[fn->devfn];

    return dev && pcie_ats_global_invalidate(dev);
}

void vtd_invalidate_pasid_dev_tlb(IntelIOMMUState *s, uint16_t sid,
                                  uint32_t pasid, bool global, hwaddr addr,
                                  hwaddr mask)
{
    PCIBus *bus = vtd_find_bus(VTD_SID_TO_BUS(sid));
    VTDSVMFunction *fn = vtd_find_function(s, bus, VTD_SID_TO_DEVFN(sid));
    GHashTableIter iter;
    gpointer key, region;

    trace_vtd_pasid_dev_tlb(sid, pasid, global, addr, mask);
    if (!fn) {
        return;
    }
    if (!global || !vtd_invalidates_globally(fn)) {
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
    vtd_cache_drop(s);
    /*
     * The address spaces are as many as there are functions, whatever number
     * of PASIDs is in use. One that is translated notices at its next request
     * that it passes through now; the others have to hear of it.
     */
    g_hash_table_iter_init(&iter, s->vtd_address_spaces);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&as)) {
        if (!as->iommu.parent_obj.enabled) {
            vtd_switch_address_space(as);
        }
    }
    return true;
}

static IOMMUTLBEntry vtd_pasid_region_translate(IOMMUMemoryRegion *iommu,
                                                hwaddr addr,
                                                IOMMUAccessFlags flag,
                                                int iommu_idx)
{
    VTDPASIDRegion *region = container_of(iommu, VTDPASIDRegion, iommu);
    VTDSVMFunction *fn = region->fn;
    IOMMUTLBEntry entry = {
        .target_as = &address_space_memory, .pasid = region->pasid,
    };

    /*
     * Without translation nobody knows the PASID (4.1); a translated request
     * with PASID is malformed.
     */
    if (fn->s->dmar_enabled && iommu_idx != PCI_AT_TRANSLATED) {
        vtd_untranslated_with_pasid(fn->s, fn->bus, fn->devfn, region->pasid,
                                    addr, flag & IOMMU_WO, &entry);
    }
    return entry;
}

static int vtd_pasid_region_index(IOMMUMemoryRegion *iommu, MemTxAttrs attrs)
{
    return attrs.unspecified ? PCI_AT_UNTRANSLATED : attrs.address_type;
}

static int vtd_pasid_region_num_indexes(IOMMUMemoryRegion *iommu)
{
    return PCI_AT_TRANSLATED + 1;
}

static void vtd_pasid_region_class_init(ObjectClass *klass, void *data)
{
    IOMMUMemoryRegionClass *imrc = IOMMU_MEMORY_REGION_CLASS(klass);

    imrc->translate = vtd_pasid_region_translate;
    imrc->attrs_to_index = vtd_pasid_region_index;
    imrc->num_indexes = vtd_pasid_region_num_indexes;
}

static const TypeInfo vtd_pasid_region_info = {
    .name = TYPE_VTD_PASID_REGION,
    .parent = TYPE_IOMMU_MEMORY_REGION,
    .class_init = vtd_pasid_region_class_init,
};

static void vtd_pasid_register_types(void)
{
    type_register_static(&vtd_pasid_region_info);
}

type_init(vtd_pasid_register_types)
