/*
 * QEMU emulation of an Intel IOMMU (VT-d): errors of the invalidation queue
 *
 * A malformed descriptor stops the queue, and software reads why (Invalidation
 * Queue Error). So does a device-TLB invalidation that nobody answers
 * (Invalidation Time-out Error), but then the descriptors up to a wait
 * descriptor are done, and that one is aborted: its status is not written.
 * The queue goes on when software has cleared the error.
 *
 * VT-d rev 4.1, 6.5.2.10 (queue errors), 6.5.2.11 (time-outs), 11.4.7
 * (FSTS) and 11.4.9.9 (IQERCD).
 *
 * Where those leave room, or could not be checked against Linux's driver (?):
 *
 * - No time passes: an invalidation has timed out when the wait descriptor
 *   that follows it is reached, or the end of the queue.
 * - Who does not answer is a function that is not there, or that has no ATS
 *   capability, as it takes the message for an Unsupported Request. One whose
 *   ATS is disabled has an empty ATC and answers: it loses its enable in a
 *   reset of which the driver of the IOMMU does not know, and Linux sends an
 *   invalidation that timed out again and again while the function is there.
 * - Of several functions that do not answer IQERCD names the first.
 * - IQERCD keeps what it says when software clears the error in FSTS.
 * - The codes of IQEI (?).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/registerfields.h"
#include "intel_iommu_internal.h"
#include "intel_iommu_svm.h"
#include "trace.h"

/* Invalidation Queue Error Record Register (11.4.9.9) */
FIELD(IQERCD, IQEI, 0, 4)       /* Invalidation Queue Error Info */
FIELD(IQERCD, ITESID, 32, 16)   /* Requester ID of the time-out */

/* What stops the queue until software clears it */
#define VTD_FSTS_INV_ERRORS     (VTD_FSTS_IQE | VTD_FSTS_ITE)

static uint32_t vtd_inv_errors(IntelIOMMUState *s)
{
    return vtd_get_long_raw(s, DMAR_FSTS_REG) & VTD_FSTS_INV_ERRORS;
}

void vtd_inv_record_queue_error(IntelIOMMUState *s)
{
    uint64_t val = vtd_get_quad_raw(s, DMAR_IQERCD_REG);

    if (!s->svm) {
        return;
    }
    trace_vtd_inv_queue_error(s->iq_head, s->inv_state.iqei);
    vtd_set_quad_raw(s, DMAR_IQERCD_REG,
                     FIELD_DP64(val, IQERCD, IQEI, s->inv_state.iqei));
}

static bool vtd_inv_function_answers(uint16_t sid)
{
    PCIBus *bus = vtd_find_bus(VTD_SID_TO_BUS(sid));
    PCIDevice *dev = bus ? bus->devices[VTD_SID_TO_DEVFN(sid)] : NULL;

    return dev && dev->enabled && pci_is_express(dev) &&
           pcie_find_capability(dev, PCI_EXT_CAP_ID_ATS);
}

bool vtd_inv_reach_function(IntelIOMMUState *s, uint16_t sid)
{
    if (vtd_inv_function_answers(sid)) {
        return true;
    }
    trace_vtd_inv_no_answer(sid);
    if (!s->inv_state.timed_out) {
        s->inv_state.timed_out = true;
        s->inv_state.timed_out_sid = sid;
    }
    return false;
}

bool vtd_inv_report_timeout(IntelIOMMUState *s)
{
    uint64_t val = vtd_get_quad_raw(s, DMAR_IQERCD_REG);
    uint32_t fsts;

    if (!s->inv_state.timed_out) {
        return false;
    }
    s->inv_state.timed_out = false;
    vtd_set_quad_raw(s, DMAR_IQERCD_REG,
                     FIELD_DP64(val, IQERCD, ITESID,
                                s->inv_state.timed_out_sid));

    QEMU_LOCK_GUARD(&s->iommu_lock);
    fsts = vtd_get_long_raw(s, DMAR_FSTS_REG);
    vtd_set_clear_mask_long(s, DMAR_FSTS_REG, 0, VTD_FSTS_ITE);
    vtd_generate_fault_event(s, fsts);
    return true;
}

bool vtd_inv_timeout_pending(IntelIOMMUState *s)
{
    return vtd_inv_errors(s) & VTD_FSTS_ITE;
}

void vtd_inv_resume(IntelIOMMUState *s)
{
    if (s->svm && s->qi_enabled && !vtd_inv_errors(s)) {
        vtd_fetch_inv_desc(s);
    }
}

void vtd_inv_reset(IntelIOMMUState *s)
{
    uint32_t w1c = ldl_le_p(&s->w1cmask[DMAR_FSTS_REG]);

    if (s->svm) {
        vtd_define_long(s, DMAR_FSTS_REG, 0, 0, w1c | VTD_FSTS_ITE);
    }
}
