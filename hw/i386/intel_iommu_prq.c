/*
 * QEMU emulation of an Intel IOMMU (VT-d): page request queue
 *
 * A page request of a device becomes a descriptor in a ring in the guest's
 * memory, which status bits and an event announce. The guest answers with page
 * group response descriptors in its invalidation queue.
 *
 * VT-d rev 4.1, 7.4 (queue), 7.7 (page group response) and 11.4.11 (registers).
 * A request is in the queue, or refused, when vtd_prq_request() returns, and
 * its caller counts it as being served meanwhile: draining (7.10) is a part of
 * vtd_drain_requests().
 *
 * Where those leave room, or could not be checked against Linux's driver (?):
 *
 * - The queue has no enable bit. A base address of 0, its value after reset,
 *   means that there is no queue, rather than a queue in page 0.
 * - A request whose descriptor cannot be written, because the queue is not in
 *   RAM, is refused; neither the tail nor the status changes.
 * - A request that is discarded gets no automatic response. Instead its sender
 *   learns at once that it may ask again.
 * - Private data of a response is accepted and ignored: no request carries any.
 *   Its Last Page bit is ignored, as drivers exist which set it and which
 *   do not, and so is its PASID unless it is marked as present.
 *
 * Locking: prq.lock protects the ring and its registers in csr against page
 * requests from threads that hold no BQL. It is the innermost lock (BQL,
 * iommu_lock, prq.lock): under it nothing but guest RAM is accessed, no
 * interrupt is sent and no device called. The interrupt's message registers
 * change, and are read, under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/range.h"
#include "qemu/rcu.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_svm.h"
#include "hw/registerfields.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "intel_iommu_internal.h"
#include "intel_iommu_svm.h"
#include "trace.h"

/* Page Request Queue Address Register (11.4.11.3) */
FIELD(PQA, SIZE, 0, 3)
#define VTD_PQA_BASE_MASK(aw)   (VTD_HAW_MASK(aw) & VTD_PAGE_MASK_4K)

/* Page Request Status Register (11.4.11.4) */
FIELD(PRS, PPR, 0, 1)           /* Pending Page Request */
FIELD(PRS, PRO, 1, 1)           /* Page Request Overflow */
#define VTD_PRS_CONDITIONS      (R_PRS_PPR_MASK | R_PRS_PRO_MASK)

/* Page Request Event Control Register (11.4.11.5) */
FIELD(PECTL, IP, 30, 1)         /* Interrupt Pending */
FIELD(PECTL, IM, 31, 1)         /* Interrupt Mask */

/* Page request descriptor (7.4.1.1) */
FIELD(PRQ_QW0, TYPE, 0, 8)
FIELD(PRQ_QW0, PASID_PRESENT, 8, 1)
FIELD(PRQ_QW0, RID, 16, 16)
FIELD(PRQ_QW0, PASID, 32, 20)
FIELD(PRQ_QW0, EXEC, 52, 1)
FIELD(PRQ_QW0, PRIV, 53, 1)
FIELD(PRQ_QW1, READ, 0, 1)
FIELD(PRQ_QW1, WRITE, 1, 1)
FIELD(PRQ_QW1, LAST, 2, 1)
FIELD(PRQ_QW1, PRGI, 3, 9)
#define VTD_PRQ_TYPE_PAGE_REQ   1
#define VTD_PRQ_DESC_SIZE       32

/* Page group response descriptor (7.7.1) */
FIELD(PGRESP_QW0, PASID_PRESENT, 4, 1)
FIELD(PGRESP_QW0, PRIVATE_DATA, 5, 1)
FIELD(PGRESP_QW0, CODE, 12, 4)
FIELD(PGRESP_QW0, RID, 16, 16)
FIELD(PGRESP_QW0, PASID, 32, 20)
FIELD(PGRESP_QW1, PRGI, 3, 9)
#define VTD_PGRESP_RSVD_VAL0    0xfff00000000001c0ULL
#define VTD_PGRESP_RSVD_VAL1    0xfffffffffffff003ULL

/* What a register of byte offsets into the queue implements (11.4.11.1) */
#define VTD_PRQ_OFFSET_WMASK    0x7ffe0ULL

typedef struct VTDPRQDesc {
    uint64_t val[4];
} VTDPRQDesc;

QEMU_BUILD_BUG_ON(sizeof(VTDPRQDesc) != VTD_PRQ_DESC_SIZE);

static VTDPRQDesc vtd_prq_encode_request(uint16_t sid,
                                         const PCISVMPageRequest *req)
{
    uint64_t qw0 = FIELD_DP64(0, PRQ_QW0, TYPE, VTD_PRQ_TYPE_PAGE_REQ);
    uint64_t qw1 = req->addr & VTD_PAGE_MASK_4K;

    qw0 = FIELD_DP64(qw0, PRQ_QW0, RID, sid);
    if (req->pasid != PCI_NO_PASID) {
        qw0 = FIELD_DP64(qw0, PRQ_QW0, PASID_PRESENT, 1);
        qw0 = FIELD_DP64(qw0, PRQ_QW0, PASID, req->pasid);
        qw0 = FIELD_DP64(qw0, PRQ_QW0, EXEC, req->exec_req);
        qw0 = FIELD_DP64(qw0, PRQ_QW0, PRIV, req->priv_req);
    }

    qw1 = FIELD_DP64(qw1, PRQ_QW1, READ, req->is_read);
    qw1 = FIELD_DP64(qw1, PRQ_QW1, WRITE, req->is_write);
    qw1 = FIELD_DP64(qw1, PRQ_QW1, LAST, req->lpig);
    qw1 = FIELD_DP64(qw1, PRQ_QW1, PRGI, req->prgi);

    return (VTDPRQDesc) { .val = { cpu_to_le64(qw0), cpu_to_le64(qw1) } };
}

/*
 * The address is the guest's choice, and this runs with the queue's lock held:
 * an access to anything but RAM would take the BQL, or come back to these very
 * registers.
 */
static bool vtd_prq_write_ram(hwaddr addr, const VTDPRQDesc *desc)
{
    const MemTxAttrs attrs = MEMTXATTRS_UNSPECIFIED;
    hwaddr offset, len = sizeof(*desc);
    MemoryRegion *mr;
    void *host;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(&address_space_memory, addr, &offset, &len,
                                 true, attrs);
    if (len < sizeof(*desc) || !memory_access_is_direct(mr, true, attrs)) {
        return false;
    }
    host = memory_region_get_ram_ptr(mr) + offset;
    memcpy(host, desc, sizeof(*desc));
    /* Mark it dirty; this gives up a reference. */
    memory_region_ref(mr);
    address_space_unmap(&address_space_memory, host, len, true, len);
    return true;
}

/* Offsets wrap in a ring of 2^(n + 7) descriptors. */
static uint64_t vtd_prq_offset_mask(uint64_t pqa)
{
    uint64_t size = VTD_PAGE_SIZE << FIELD_EX64(pqa, PQA, SIZE);

    return size - VTD_PRQ_DESC_SIZE;
}

/* An event must be sent: a condition is pending, and not masked. */
static bool vtd_prq_event_due_locked(IntelIOMMUState *s)
{
    uint32_t pectl = vtd_get_long_raw(s, DMAR_PECTL_REG);

    return (pectl & (R_PECTL_IP_MASK | R_PECTL_IM_MASK)) == R_PECTL_IP_MASK;
}

/* A condition that joins one which software has yet to clear is no event. */
static void vtd_prq_set_status_locked(IntelIOMMUState *s, uint32_t condition)
{
    uint32_t prs = vtd_get_long_raw(s, DMAR_PRS_REG);

    if (prs & condition) {
        return;
    }
    vtd_set_clear_mask_long(s, DMAR_PRS_REG, 0, condition);
    if (!(prs & VTD_PRS_CONDITIONS)) {
        vtd_set_clear_mask_long(s, DMAR_PECTL_REG, 0, R_PECTL_IP_MASK);
        trace_vtd_prq_event_pending(condition);
    }
}

static int vtd_prq_append_locked(IntelIOMMUState *s, const VTDPRQDesc *desc)
{
    uint64_t pqa = vtd_get_quad_raw(s, DMAR_PQA_REG);
    hwaddr base = pqa & VTD_PQA_BASE_MASK(s->aw_bits);
    uint64_t mask = vtd_prq_offset_mask(pqa);
    uint64_t head = vtd_get_quad_raw(s, DMAR_PQH_REG) & mask;
    uint64_t tail = vtd_get_quad_raw(s, DMAR_PQT_REG) & mask;
    uint64_t next = (tail + VTD_PRQ_DESC_SIZE) & mask;

    if (!base) {
        return -EFAULT;
    }

    /* An overflow lasts until software clears it, whatever room there is. */
    if (vtd_get_long_raw(s, DMAR_PRS_REG) & R_PRS_PRO_MASK) {
        return -ENOSPC;
    }

    if (next == head) {
        trace_vtd_prq_overflow(head, tail);
        vtd_prq_set_status_locked(s, R_PRS_PRO_MASK);
        return -ENOSPC;
    }

    if (!vtd_prq_write_ram(base + tail, desc)) {
        return -EFAULT;
    }

    /* Software reads the tail under the lock: it finds the descriptor. */
    vtd_set_quad_raw(s, DMAR_PQT_REG, next);
    vtd_prq_set_status_locked(s, R_PRS_PPR_MASK);
    return 0;
}

/*
 * BQL. Until here the event has been pending in its register, so that software
 * may still mask or clear it, and so that it migrates. The lock is dropped
 * first: it is the innermost, and the interrupt controller has its own.
 */
static void vtd_prq_send_event(void *opaque)
{
    IntelIOMMUState *s = opaque;

    WITH_QEMU_LOCK_GUARD(&s->prq.lock) {
        if (!vtd_prq_event_due_locked(s)) {
            return;
        }
        vtd_set_clear_mask_long(s, DMAR_PECTL_REG, R_PECTL_IP_MASK, 0);
    }

    trace_vtd_prq_event_send();
    vtd_generate_interrupt(s, DMAR_PEADDR_REG, DMAR_PEDATA_REG);
}

static void vtd_prq_kick_event(IntelIOMMUState *s)
{
    if (bql_locked()) {
        vtd_prq_send_event(s);
    } else {
        qemu_bh_schedule(s->prq.event_bh);
    }
}

int vtd_prq_request(IntelIOMMUState *s, uint16_t sid,
                    const PCISVMPageRequest *req)
{
    VTDPRQDesc desc = vtd_prq_encode_request(sid, req);
    bool event_due;
    int ret;

    WITH_QEMU_LOCK_GUARD(&s->prq.lock) {
        ret = vtd_prq_append_locked(s, &desc);
        event_due = vtd_prq_event_due_locked(s);
    }
    trace_vtd_prq_request(sid, req->pasid, req->addr, req->prgi, req->lpig,
                          req->is_read, req->is_write, ret);

    if (event_due) {
        vtd_prq_kick_event(s);
    }
    return ret;
}

static IOMMUPRIResponseCode vtd_prq_decode_response_code(unsigned code)
{
    switch (code) {
    case 0x0:
        return IOMMU_PRI_RESP_SUCCESS;
    case 0x1:
        return IOMMU_PRI_RESP_INVALID_REQUEST;
    default:
        /* All but 0xf are reserved, and mean the same (PCIe r6.0, 10.4.2). */
        return IOMMU_PRI_RESP_FAILURE;
    }
}

static bool vtd_prq_check_response_desc(IntelIOMMUState *s, VTDInvDesc *desc)
{
    bool private_data = FIELD_EX64(desc->val[0], PGRESP_QW0, PRIVATE_DATA);
    uint64_t data_rsvd = private_data ? 0 : VTD_INV_DESC_ALL_ONE;
    uint64_t rsvd[4] = { VTD_PGRESP_RSVD_VAL0, VTD_PGRESP_RSVD_VAL1,
                         data_rsvd, data_rsvd };

    return vtd_inv_desc_reserved_check(s, desc, rsvd, true, __func__,
                                       "page group response");
}

bool vtd_prq_process_response_desc(IntelIOMMUState *s, VTDInvDesc *desc)
{
    IOMMUPRIResponse response;
    uint32_t pasid = PCI_NO_PASID;
    uint16_t sid;
    PCIBus *bus;

    if (!vtd_prq_check_response_desc(s, desc)) {
        return false;
    }

    response.response_code = vtd_prq_decode_response_code(
        FIELD_EX64(desc->val[0], PGRESP_QW0, CODE));
    response.prgi = FIELD_EX64(desc->val[1], PGRESP_QW1, PRGI);
    sid = FIELD_EX64(desc->val[0], PGRESP_QW0, RID);
    if (FIELD_EX64(desc->val[0], PGRESP_QW0, PASID_PRESENT)) {
        pasid = FIELD_EX64(desc->val[0], PGRESP_QW0, PASID);
    }
    trace_vtd_prq_response(sid, pasid, response.prgi, response.response_code);

    bus = vtd_find_bus(VTD_SID_TO_BUS(sid));
    if (bus) {
        pci_pri_respond(bus, VTD_SID_TO_DEVFN(sid), pasid, &response);
    }
    return true;
}

static bool vtd_prq_has_register(IntelIOMMUState *s, hwaddr addr, unsigned size)
{
    return (s->ecap & VTD_ECAP_PRS) && addr >= DMAR_PQH_REG &&
           addr + size <= DMAR_PEUADDR_REG + sizeof(uint32_t);
}

bool vtd_prq_mem_read(IntelIOMMUState *s, hwaddr addr, unsigned size,
                      uint64_t *val)
{
    if (!vtd_prq_has_register(s, addr, size)) {
        return false;
    }

    QEMU_LOCK_GUARD(&s->prq.lock);
    *val = size == 8 ? vtd_get_quad_raw(s, addr) : vtd_get_long_raw(s, addr);
    return true;
}

static void vtd_prq_write_registers_locked(IntelIOMMUState *s, hwaddr addr,
                                           uint64_t val, unsigned size)
{
    /* By halves: a 64-bit access may cover two registers. */
    for (unsigned i = 0; i < size; i += sizeof(uint32_t)) {
        vtd_set_long(s, addr + i, val >> (i * 8));
    }

    if (!(vtd_get_long_raw(s, DMAR_PRS_REG) & VTD_PRS_CONDITIONS)) {
        vtd_set_clear_mask_long(s, DMAR_PECTL_REG, R_PECTL_IP_MASK, 0);
    }
}

bool vtd_prq_mem_write(IntelIOMMUState *s, hwaddr addr, uint64_t val,
                       unsigned size)
{
    if (!vtd_prq_has_register(s, addr, size)) {
        return false;
    }

    WITH_QEMU_LOCK_GUARD(&s->prq.lock) {
        vtd_prq_write_registers_locked(s, addr, val, size);
    }

    if (ranges_overlap(addr, size, DMAR_PECTL_REG, sizeof(uint32_t))) {
        vtd_prq_send_event(s);
    }
    return true;
}

/* An event that was pending when the machine was saved, or stopped */
static void vtd_prq_vm_state_change(void *opaque, bool running, RunState state)
{
    if (running) {
        vtd_prq_send_event(opaque);
    }
}

void vtd_prq_init(IntelIOMMUState *s)
{
    qemu_mutex_init(&s->prq.lock);
    if (!s->svm) {
        return;
    }

    s->prq.event_bh = qemu_bh_new_guarded(vtd_prq_send_event, s,
                                          &DEVICE(s)->mem_reentrancy_guard);
    qemu_add_vm_change_state_handler(vtd_prq_vm_state_change, s);
}

void vtd_prq_reset(IntelIOMMUState *s)
{
    uint32_t upper_wmask = s->ecap & VTD_ECAP_EIM ? UINT32_MAX : 0;

    if (!(s->ecap & VTD_ECAP_PRS)) {
        return;
    }

    QEMU_LOCK_GUARD(&s->prq.lock);

    vtd_define_quad(s, DMAR_PQH_REG, 0, VTD_PRQ_OFFSET_WMASK, 0);
    vtd_define_quad(s, DMAR_PQT_REG, 0, VTD_PRQ_OFFSET_WMASK, 0);
    vtd_define_quad(s, DMAR_PQA_REG, 0, VTD_PAGE_MASK_4K | R_PQA_SIZE_MASK, 0);
    vtd_define_long(s, DMAR_PRS_REG, 0, 0, VTD_PRS_CONDITIONS);
    vtd_define_long(s, DMAR_PECTL_REG, R_PECTL_IM_MASK, R_PECTL_IM_MASK, 0);
    vtd_define_long(s, DMAR_PEDATA_REG, 0, UINT32_MAX, 0);
    vtd_define_long(s, DMAR_PEADDR_REG, 0, 0xfffffffcU, 0);
    /* RsvdZ without Extended Interrupt Mode (11.4.11.8) */
    vtd_define_long(s, DMAR_PEUADDR_REG, 0, upper_wmask, 0);
}
