/*
 * Intel IOMMU (VT-d): untranslated requests, and the IOTLB of shared virtual
 * memory
 *
 * What a walk has found for (function, PASID, page) is remembered until the
 * guest invalidates the IOTLB, or the caches of the tables that lead there. All
 * of it goes at once, whatever the granularity: an entry is refilled by one
 * walk, and an invalidation costs the same however much there is. Looking takes
 * no lock. VT-d rev 4.1, sections 6.2.5 and 6.5.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/xxhash.h"
#include "hw/pci/pci_bus.h"
#include "intel_iommu_svm.h"

#define TLB_ENTRIES     4096

/*
 * @seq is odd while the entry is written, and differs after that. The rest is
 * read and written word by word.
 */
struct VTDTLBEntry {
    unsigned seq;
    unsigned perm;
    uint32_t pasid;
    uint16_t sid;
    unsigned long generation;   /* of the IOTLB before the walk */
    uint64_t page;              /* whose request it was; it may map more */
    uint64_t target;
    uint64_t mask;
};

typedef struct Untranslated {
    IntelIOMMUState *s;
    PCIBus *bus;
    uint8_t devfn;
    uint16_t sid;
    uint32_t pasid;
    hwaddr addr;
    bool is_write;
    bool walked;                /* @ctx is what the tables say */
    VTDRequestContext ctx;
} Untranslated;

/* ---- IOTLB */

static VTDTLBEntry *tlb_slot(const Untranslated *r)
{
    uint64_t requester = (uint64_t)r->sid << 32 | r->pasid;

    return &r->s->svm_state.tlb[(qemu_xxhash2(requester) +
                                 (r->addr >> VTD_PAGE_SHIFT)) % TLB_ENTRIES];
}

static IOMMUAccessFlags untranslated_access(const Untranslated *r)
{
    return r->is_write ? IOMMU_WO : IOMMU_RO;
}

static bool tlb_is_hit(const VTDTLBEntry *e, const Untranslated *r,
                       unsigned long generation)
{
    return qatomic_read__nocheck(&e->page) == r->addr >> VTD_PAGE_SHIFT &&
           qatomic_read(&e->generation) == generation &&
           qatomic_read(&e->pasid) == r->pasid &&
           qatomic_read(&e->sid) == r->sid &&
           qatomic_read(&e->perm) & untranslated_access(r);
}

static bool tlb_lookup(const Untranslated *r, unsigned long generation,
                       VTDMapping *m)
{
    VTDTLBEntry *e = tlb_slot(r);
    unsigned seq = qatomic_load_acquire(&e->seq);

    if (seq & 1 || !tlb_is_hit(e, r, generation)) {
        return false;
    }
    m->target = qatomic_read__nocheck(&e->target);
    m->mask = qatomic_read__nocheck(&e->mask);
    m->perm = qatomic_read(&e->perm);
    /* All of the above before the second look */
    smp_rmb();
    return qatomic_read(&e->seq) == seq;
}

/* Where two threads meet, one of them leaves it. */
static void tlb_insert(const Untranslated *r, unsigned long generation,
                       const VTDMapping *m)
{
    VTDTLBEntry *e = tlb_slot(r);
    unsigned seq = qatomic_read(&e->seq);

    if (seq & 1 || qatomic_cmpxchg(&e->seq, seq, seq + 1) != seq) {
        return;
    }
    /* Readers see the odd number before any of what follows */
    smp_wmb();
    qatomic_set(&e->perm, m->perm);
    qatomic_set(&e->pasid, r->pasid);
    qatomic_set(&e->sid, r->sid);
    qatomic_set(&e->generation, generation);
    qatomic_set__nocheck(&e->page, r->addr >> VTD_PAGE_SHIFT);
    qatomic_set__nocheck(&e->target, m->target);
    qatomic_set__nocheck(&e->mask, m->mask);
    qatomic_store_release(&e->seq, seq + 2);
}

void vtd_tlb_init(IntelIOMMUState *s)
{
    if (s->svm) {
        /* Generation 0 is that of empty entries. */
        s->svm_state.tlb_generation = 1;
        s->svm_state.tlb = g_new0(VTDTLBEntry, TLB_ENTRIES);
    }
}

void vtd_tlb_drop(IntelIOMMUState *s)
{
    qatomic_inc(&s->svm_state.tlb_generation);
}

/* ---- requests */

static bool untranslated_is_legacy_pt(const VTDRequestContext *ctx)
{
    return !(ctx->pe.val[0] & VTD_PASID_ENTRY_P) &&
           (ctx->ce.lo & VTD_CONTEXT_ENTRY_TT) == VTD_CONTEXT_TT_PASS_THROUGH;
}

/* Addresses stand for themselves, by a table entry of no table (3.9). */
static VTDFaultReason untranslated_pass(hwaddr addr, VTDMapping *m)
{
    *m = (VTDMapping) {
        .addr = addr,
        .target = addr & VTD_PAGE_MASK_4K,
        .mask = ~VTD_PAGE_MASK_4K,
        .perm = IOMMU_RW,
    };
    return 0;
}

static VTDFaultReason untranslated_find(Untranslated *r, VTDMapping *m)
{
    VTDRequestContext *ctx = &r->ctx;
    VTDFaultReason fault;

    fault = vtd_request_begin(r->s, r->bus, r->devfn, r->pasid,
                              VTD_REQUEST_UNTRANSLATED, ctx);
    if (fault) {
        return fault;
    }
    if (untranslated_is_legacy_pt(ctx)) {
        return untranslated_pass(r->addr, m);
    }
    return vtd_walk_one(r->s, &ctx->ce, &ctx->pe, r->addr, r->is_write, m);
}

static bool untranslated_walk(Untranslated *r, unsigned long generation,
                              VTDMapping *m)
{
    VTDFaultReason fault = untranslated_find(r, m);

    if (!fault) {
        tlb_insert(r, generation, m);
    }
    vtd_request_end(r->s, &r->ctx);
    if (fault) {
        vtd_record_fault(r->s, &r->ctx, fault, r->addr,
                         untranslated_access(r));
    }
    r->walked = true;
    return !fault;
}

static bool untranslated_request(Untranslated *r, IOMMUTLBEntry *entry)
{
    VTDSVMState *svm = &r->s->svm_state;
    unsigned long generation = qatomic_load_acquire(&svm->tlb_generation);
    VTDMapping m = { };

    r->sid = PCI_BUILD_BDF(pci_bus_num(r->bus), r->devfn);
    if (!tlb_lookup(r, generation, &m) &&
        !untranslated_walk(r, generation, &m)) {
        return false;
    }
    entry->iova = r->addr & ~m.mask;
    entry->translated_addr = m.target;
    entry->addr_mask = m.mask;
    entry->perm = m.perm & IOMMU_RW;
    return true;
}

bool vtd_untranslated_with_pasid(IntelIOMMUState *s, PCIBus *bus, int devfn,
                                 uint32_t pasid, hwaddr addr, bool is_write,
                                 IOMMUTLBEntry *entry)
{
    Untranslated r = {
        .s = s, .bus = bus, .devfn = devfn, .pasid = pasid, .addr = addr,
        .is_write = is_write,
    };

    return untranslated_request(&r, entry);
}

static bool untranslated_passes(const VTDRequestContext *ctx)
{
    return untranslated_is_legacy_pt(ctx) ||
           (ctx->pe.val[0] & VTD_PASID_ENTRY_P &&
            (ctx->pe.val[0] & VTD_SM_PASID_ENTRY_PGTT) ==
            VTD_SM_PASID_ENTRY_PT);
}

bool vtd_untranslated_request(VTDAddressSpace *as, hwaddr addr, bool is_write,
                              IOMMUTLBEntry *entry)
{
    Untranslated r = {
        .s = as->iommu_state, .bus = as->bus, .devfn = as->devfn,
        .pasid = as->pasid, .addr = addr, .is_write = is_write,
    };

    if (!untranslated_request(&r, entry)) {
        return false;
    }
    /* The first of those that need not come here */
    if (r.walked && untranslated_passes(&r.ctx) &&
        vtd_bypass_allowed(as, &r.ctx.ce)) {
        vtd_pt_schedule_fast_path(as);
    }
    return true;
}
