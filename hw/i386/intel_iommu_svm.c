/*
 * Intel IOMMU (VT-d): the svm=on option, its capability bits, and the way in
 * for the PCI level
 *
 * VT-d rev 4.1, sections 7.3 (page requests) and 11.4 (registers).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/rcu.h"
#include "qapi/error.h"
#include "hw/i386/x86-iommu-option.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "migration/vmstate.h"
#include "intel_iommu_svm.h"
#include "trace.h"

static const struct {
    const char *name;
    const char *description;
} vtd_svm_options[] = {
    { "svm", "Share the address space of guest processes with devices" },
    { "svm-page-requests", "Page requests of devices (PRS)" },
    { "svm-page-request-drain", "Wait descriptors drain page requests (PDS)" },
    { "svm-second-stage", "Second-stage tables in scalable mode (SSTS)" },
    { "svm-nesting", "A first stage nested in a second (NEST)" },
    { "svm-rid-pasid", "A PASID for requests without one, else 0 (RPS)" },
    { "svm-page-walk-coherency", "Coherent walks in scalable mode (SMPWC)" },
    { "svm-execute", "Requests for execution (ERS)" },
    { "svm-privileged", "Privileged requests (SRS)" },
    { "svm-no-write", "No Write flag of translation requests (NWFS)" },
    { "svm-extended-accessed", "Extended Accessed flag of entries (EAFS)" },
    { "svm-pasid-bits", "Width of PASIDs, 1 to 20 (PSS)" },
};

void vtd_svm_describe_options(ObjectClass *klass)
{
    for (size_t i = 0; i < ARRAY_SIZE(vtd_svm_options); i++) {
        object_class_property_set_description(klass, vtd_svm_options[i].name,
                                              vtd_svm_options[i].description);
    }
}

/* An option that svm=on turns on, unless the user has turned it off. */
static bool vtd_svm_turn_on(IntelIOMMUState *s, bool *value,
                            X86IOMMUOption option, const char *name,
                            Error **errp)
{
    if (!*value && x86_iommu_option_is_set(X86_IOMMU_DEVICE(s), option)) {
        error_setg(errp, "svm=on needs %s=on", name);
        return false;
    }
    *value = true;
    return true;
}

static bool vtd_svm_turn_on_all(IntelIOMMUState *s, Error **errp)
{
    return vtd_svm_turn_on(s, &X86_IOMMU_DEVICE(s)->dt_supported,
                           X86_IOMMU_OPTION_DEVICE_IOTLB, "device-iotlb",
                           errp) &&
           vtd_svm_turn_on(s, &s->scalable_mode,
                           X86_IOMMU_OPTION_SCALABLE_MODE, "x-scalable-mode",
                           errp) &&
           vtd_svm_turn_on(s, &s->flts, X86_IOMMU_OPTION_FLTS, "x-flts",
                           errp) &&
           vtd_svm_turn_on(s, &s->pasid, X86_IOMMU_OPTION_PASID,
                           "x-pasid-mode", errp);
}

bool vtd_svm_decide_config(IntelIOMMUState *s, Error **errp)
{
    if (!s->svm) {
        return true;
    }
    if (s->aw_bits < VTD_HOST_AW_48BIT) {
        error_setg(errp, "svm=on needs aw-bits=%d or more", VTD_HOST_AW_48BIT);
        return false;
    }
    if (s->svm_state.pasid_bits < 1 ||
        s->svm_state.pasid_bits > VTD_SVM_PASID_BITS) {
        error_setg(errp, "svm-pasid-bits must be 1 to %d", VTD_SVM_PASID_BITS);
        return false;
    }
    if (!s->dma_translation) {
        error_setg(errp, "svm=on needs dma-translation=on");
        return false;
    }
    if (!s->dma_drain) {
        error_setg(errp, "svm=on needs dma-drain=on");
        return false;
    }
    if (s->caching_mode) {
        /* It lets in notifiers that shadow what first-stage tables map. */
        error_setg(errp, "svm=on needs caching-mode=off");
        return false;
    }
    if (s->snoop_control) {
        /* It refuses the notifiers that carry invalidations to devices. */
        error_setg(errp, "svm=on needs snoop-control=off");
        return false;
    }
    return vtd_svm_turn_on_all(s, errp);
}

bool vtd_svm_aw_bits_ok(IntelIOMMUState *s)
{
    return s->svm && s->aw_bits == VTD_SVM_AW_BITS_MAX;
}

/* Draining is of page requests, and nesting in a second stage. */
static uint64_t vtd_svm_optional_ecap(const VTDSVMState *svm)
{
    bool drain = svm->page_requests && svm->page_request_drain;
    bool nesting = svm->second_stage && svm->nesting;

    return (svm->page_requests ? VTD_ECAP_PRS : 0) |
           (drain ? VTD_ECAP_PDS : 0) |
           (svm->second_stage ? VTD_ECAP_SLTS : 0) |
           (nesting ? VTD_ECAP_NEST : 0) |
           (svm->rid_pasid ? VTD_ECAP_RPS : 0) |
           (svm->page_walk_coherency ? VTD_ECAP_SMPWC : 0) |
           (svm->execute ? VTD_ECAP_ERS : 0) |
           (svm->privileged ? VTD_ECAP_SRS : 0) |
           (svm->no_write ? VTD_ECAP_NWFS : 0) |
           (svm->extended_accessed ? VTD_ECAP_EAFS : 0);
}

void vtd_svm_cap_init(IntelIOMMUState *s)
{
    if (!s->svm) {
        return;
    }
    s->ecap |= vtd_svm_optional_ecap(&s->svm_state) |
               VTD_ECAP_PSS(s->svm_state.pasid_bits);
    if (s->aw_bits == VTD_SVM_AW_BITS_MAX) {
        s->cap |= VTD_CAP_FL5LP | VTD_CAP_SAGAW_57BIT;
    }
}

/*
 * Migration: all state is in the registers, which any destination takes. A
 * guest that has found this feature must keep it, with all that it was told.
 */
static bool vtd_svm_vmstate_needed(void *opaque)
{
    IntelIOMMUState *s = opaque;

    return s->svm;
}

static int vtd_svm_vmstate_post_load(void *opaque, int version_id)
{
    IntelIOMMUState *s = opaque;

    if (!s->svm) {
        error_report("The source has -device intel-iommu,svm=on, which this "
                     "machine needs, too");
        return -EINVAL;
    }
    return 0;
}

const VMStateDescription vtd_svm_vmstate = {
    .name = "iommu-intel/svm",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = vtd_svm_vmstate_needed,
    .post_load = vtd_svm_vmstate_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_END_OF_LIST()
    },
};

int vtd_svm_post_load(IntelIOMMUState *s)
{
    if (s->svm && (vtd_get_quad_raw(s, DMAR_CAP_REG) != s->cap ||
                   vtd_get_quad_raw(s, DMAR_ECAP_REG) != s->ecap)) {
        error_report("The source has other options of -device intel-iommu than "
                     "this machine, which has svm=on");
        return -EINVAL;
    }
    return 0;
}

static unsigned vtd_svm_pasid_bits(void *opaque)
{
    IntelIOMMUState *s = opaque;

    return s->svm_state.pasid_bits;
}

static void vtd_svm_get_iotlb_info(void *opaque, uint8_t *addr_width,
                                   uint32_t *min_page_size)
{
    IntelIOMMUState *s = opaque;

    *addr_width = s->aw_bits;
    *min_page_size = VTD_PAGE_SIZE;
}

static IOMMUMemoryRegion *vtd_svm_get_iotlb_region(PCIBus *bus, void *opaque,
                                                   int devfn, uint32_t pasid)
{
    return vtd_get_iotlb_region(opaque, bus, devfn, pasid);
}

static void vtd_svm_put_iotlb_region(PCIBus *bus, void *opaque, int devfn,
                                     uint32_t pasid)
{
    vtd_put_iotlb_region(opaque, bus, devfn, pasid);
}

static ssize_t vtd_svm_translate(PCIBus *bus, void *opaque, int devfn,
                                 const PCISVMTranslation *req)
{
    IntelIOMMUState *s = opaque;

    /* Without translation there is nobody to answer (VT-d 4.2). */
    return qatomic_read(&s->dmar_enabled)
           ? vtd_ats_translate(s, bus, devfn, req) : -EPERM;
}

static int vtd_svm_page_request(PCIBus *bus, void *opaque, int devfn,
                                const PCISVMPageRequest *req)
{
    IntelIOMMUState *s = opaque;
    VTDRequestContext ctx;
    VTDFaultReason fault;
    int ret;

    if (!qatomic_read(&s->dmar_enabled) || !(s->ecap & VTD_ECAP_PRS)) {
        return -EPERM;
    }
    RCU_READ_LOCK_GUARD();
    fault = vtd_request_begin(s, bus, devfn, req->pasid, VTD_REQUEST_PAGE,
                              &ctx);
    if (!qatomic_read(&s->dmar_enabled)) {
        /* Disabled since we were let in: the drain may not have seen us. */
        ret = -EPERM;
    } else if (fault) {
        vtd_record_fault(s, &ctx, fault, req->addr,
                         IOMMU_ACCESS_FLAG_FULL(req->is_read, req->is_write,
                                                req->exec_req, req->priv_req,
                                                false, false));
        ret = -EFAULT;
    } else {
        /* A drain that began after our look at the tables waits for this. */
        ret = vtd_prq_request(s, ctx.sid, req);
    }
    vtd_request_end(s, &ctx);
    return ret;
}

const PCISVMOps vtd_svm_ops = {
    .pasid_bits = vtd_svm_pasid_bits,
    .get_iotlb_info = vtd_svm_get_iotlb_info,
    .get_iotlb_region = vtd_svm_get_iotlb_region,
    .put_iotlb_region = vtd_svm_put_iotlb_region,
    .translate = vtd_svm_translate,
    .page_request = vtd_svm_page_request,
};
