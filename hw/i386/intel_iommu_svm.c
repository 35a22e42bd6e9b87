/*
 * Intel IOMMU (VT-d): the svm=on option, its capability bits, and the way in
 * for the PCI level
 *
 * VT-d rev 4.1, sections 7.3 (page requests) and 11.4 (registers).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/rcu.h"
#include "qapi/error.h"
#include "hw/i386/x86-iommu-option.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "intel_iommu_svm.h"
#include "trace.h"

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
    if (!s->dma_translation) {
        error_setg(errp, "svm=on needs dma-translation=on");
        return false;
    }
    if (!s->dma_drain) {
        error_setg(errp, "svm=on needs dma-drain=on");
        return false;
    }
    if (s->snoop_control) {
        /* It refuses the notifiers that carry invalidations to devices. */
        error_setg(errp, "svm=on needs snoop-control=off");
        return false;
    }
    return vtd_svm_turn_on_all(s, errp);
}

void vtd_svm_cap_init(IntelIOMMUState *s)
{
    if (!s->svm) {
        return;
    }
    s->ecap |= VTD_ECAP_PRS | VTD_ECAP_ERS | VTD_ECAP_SRS | VTD_ECAP_NWFS |
               VTD_ECAP_PSS(VTD_SVM_PASID_BITS) | VTD_ECAP_PDS |
               VTD_ECAP_SMPWC | VTD_ECAP_RPS;
}

static unsigned vtd_svm_pasid_bits(void *opaque)
{
    return VTD_SVM_PASID_BITS;
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
    return s->dmar_enabled ? vtd_ats_translate(s, bus, devfn, req) : -EPERM;
}

/* Does the guest let this function send page requests (VT-d 7.3)? */
static bool vtd_page_requests_enabled(IntelIOMMUState *s,
                                      const VTDRequestContext *ctx)
{
    return s->root_scalable && (ctx->ce.lo & VTD_SM_CONTEXT_PRE);
}

static int vtd_svm_page_request(PCIBus *bus, void *opaque, int devfn,
                                const PCISVMPageRequest *req)
{
    IntelIOMMUState *s = opaque;
    VTDRequestContext ctx;
    VTDFaultReason fault;
    int ret;

    if (!s->dmar_enabled) {
        return -EPERM;
    }
    RCU_READ_LOCK_GUARD();
    fault = vtd_request_begin(s, bus, devfn, req->pasid, &ctx);
    if (!fault && !vtd_page_requests_enabled(s, &ctx)) {
        fault = VTD_FR_SM_PRE_DISABLED;
    }
    if (fault) {
        vtd_record_fault(s, &ctx, fault, req->addr, req->is_write);
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
