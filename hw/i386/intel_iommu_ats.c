/*
 * Intel IOMMU (VT-d): translation requests and translated requests of devices
 * with a device-TLB
 *
 * VT-d rev 4.1, sections 4.2 (device-TLB) and 3.15 (interrupt address range);
 * PCIe r6.0, 10.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "intel_iommu_svm.h"
#include "trace.h"

/* A translation request being served */
typedef struct ATSRequest {
    IntelIOMMUState *s;
    const VTDRequestContext *ctx;
    const PCISVMTranslation *req;
    IOMMUAccessFlags wanted;
    hwaddr next;                /* behind the results; 0 is the very end */
    size_t count;               /* results stored */
    uint32_t errors;            /* of them */
} ATSRequest;

static bool ats_lacks_permission(const ATSRequest *r, IOMMUAccessFlags perm)
{
    const PCISVMTranslation *req = r->req;

    return !(perm & IOMMU_RO) ||
           (!req->no_write && !(perm & IOMMU_WO)) ||
           (req->exec_req && !(perm & IOMMU_EXEC));
}

/* Kept out of what every page goes through */
static G_NO_INLINE void ats_trace(const ATSRequest *r,
                                  const IOMMUTLBEntry *entry)
{
    trace_vtd_ats_result(r->ctx->sid, r->req->pasid, entry->iova,
                         entry->translated_addr, entry->addr_mask,
                         entry->perm);
}

/* Store what holds for the block around m->addr. */
static inline QEMU_ALWAYS_INLINE
int ats_store(ATSRequest *r, const VTDMapping *m)
{
    IOMMUTLBEntry *entry;

    if (r->count == r->req->result_length) {
        return -ENOMEM;
    }
    entry = &r->req->result[r->count++];
    *entry = (IOMMUTLBEntry) {
        .target_as = &address_space_memory,
        .iova = m->addr & ~m->mask,
        .translated_addr = m->perm ? m->target : 0,
        .addr_mask = m->mask,
        .perm = m->perm,
        .pasid = r->req->pasid,
    };
    r->next = (m->addr | m->mask) + 1;
    r->errors += ats_lacks_permission(r, m->perm);
    if (trace_event_get_state_backends(TRACE_VTD_ATS_RESULT)) {
        ats_trace(r, entry);
    }
    return 0;
}

/* Of a table that is broken the guest must hear; the device sees a hole. */
static int ats_emit(void *opaque, const VTDMapping *mapping)
{
    ATSRequest *r = opaque;

    if (mapping->fault && !vtd_fault_is_miss(mapping->fault)) {
        vtd_record_fault(r->s, r->ctx, mapping->fault, mapping->addr,
                         r->wanted);
    }
    return ats_store(r, mapping);
}

/* Interrupt addresses are never translated, whatever is mapped there (3.15). */
static int ats_refuse_interrupts(ATSRequest *r, hwaddr addr)
{
    const VTDMapping hole = {
        .addr = addr, .mask = VTD_INTERRUPT_ADDR_SIZE - 1,
    };

    return ats_store(r, &hole);
}

static int ats_walk(ATSRequest *r, hwaddr addr, hwaddr last)
{
    const VTDWalkRequest walk = {
        .addr = addr, .last = last, .wanted = r->wanted,
        .room = r->req->result_length - r->count,
    };

    return vtd_walk(r->s, &r->ctx->ce, &r->ctx->pe, &walk, ats_emit, r);
}

static int ats_serve(ATSRequest *r)
{
    const hwaddr before = VTD_INTERRUPT_ADDR_FIRST - 1;
    hwaddr last = r->req->last;
    int ret;

    do {
        if (vtd_overlaps_interrupts(r->next, 0)) {
            ret = ats_refuse_interrupts(r, r->next);
        } else {
            ret = ats_walk(r, r->next,
                           r->next <= before ? MIN(last, before) : last);
        }
    } while (!ret && r->next && r->next <= last);
    return ret;
}

static IOMMUAccessFlags ats_wanted(const IntelIOMMUState *s,
                                   const PCISVMTranslation *req)
{
    /* Without NWFS the promise not to write is ignored (11.4.3). */
    bool write = !req->no_write || !(s->ecap & VTD_ECAP_NWFS);

    return IOMMU_ACCESS_FLAG_FULL(true, write, req->exec_req, req->priv_req,
                                  false, false);
}

ssize_t vtd_ats_translate(IntelIOMMUState *s, PCIBus *bus, int devfn,
                          const PCISVMTranslation *req)
{
    VTDRequestContext ctx;
    ATSRequest r = {
        .s = s, .ctx = &ctx, .req = req, .wanted = ats_wanted(s, req),
        .next = req->addr,
    };
    VTDFaultReason fault;
    ssize_t ret;

    fault = vtd_request_begin(s, bus, devfn, req->pasid,
                              VTD_REQUEST_TRANSLATION, &ctx);
    if (!qatomic_read(&s->dmar_enabled)) {
        /* Disabled since we were let in: the drain may not have seen us. */
        ret = -EPERM;
    } else if (fault) {
        vtd_record_fault(s, &ctx, fault, req->addr, r.wanted);
        ret = -EFAULT;
    } else {
        ret = ats_serve(&r) ?: r.count;
        *req->err_count = r.errors;
    }
    vtd_request_end(s, &ctx);
    return ret;
}

int vtd_translated_index(IOMMUMemoryRegion *iommu, MemTxAttrs attrs)
{
    VTDAddressSpace *as = container_of(iommu, VTDAddressSpace, iommu);

    return as->iommu_state->svm && !attrs.unspecified ? attrs.address_type
                                                      : PCI_AT_UNTRANSLATED;
}

int vtd_translated_num_indexes(IOMMUMemoryRegion *iommu)
{
    VTDAddressSpace *as = container_of(iommu, VTDAddressSpace, iommu);

    return as->iommu_state->svm ? PCI_AT_TRANSLATED + 1 : 1;
}

static VTDFaultReason ats_check_translated(VTDAddressSpace *as, hwaddr addr,
                                           VTDRequestContext *ctx)
{
    IntelIOMMUState *s = as->iommu_state;
    VTDFaultReason fault;

    fault = vtd_request_begin(s, as->bus, as->devfn, as->pasid,
                              VTD_REQUEST_TRANSLATED, ctx);
    vtd_request_end(s, ctx);
    if (!fault && vtd_overlaps_interrupts(addr, 0)) {
        fault = s->root_scalable ? VTD_FR_SM_INTERRUPT_ADDR
                                 : VTD_FR_INTERRUPT_ADDR;
    }
    return fault;
}

bool vtd_translated_request(VTDAddressSpace *as, hwaddr addr, bool is_write,
                            IOMMUTLBEntry *entry)
{
    IOMMUAccessFlags access = is_write ? IOMMU_WO : IOMMU_RO;
    VTDRequestContext ctx;
    VTDFaultReason fault = ats_check_translated(as, addr, &ctx);
    hwaddr mask = vtd_clip_interrupts(addr, ~VTD_PAGE_MASK_1G);

    trace_vtd_translated_request(ctx.sid, addr, is_write, fault);
    if (fault) {
        vtd_record_fault(as->iommu_state, &ctx, fault, addr, access);
        *entry = (IOMMUTLBEntry) { .perm = IOMMU_NONE };
        return false;
    }
    *entry = (IOMMUTLBEntry) {
        .target_as = &address_space_memory,
        .iova = addr & ~mask,
        .translated_addr = addr & ~mask,
        .addr_mask = mask,
        .perm = IOMMU_RW,
        .pasid = PCI_NO_PASID,
    };
    return true;
}
