/*
 * Intel IOMMU (VT-d): translation requests and translated requests of devices
 * with a device-TLB
 *
 * VT-d rev 4.1, sections 3.6 (first-stage translation), 4.2 (device-TLB) and
 * 3.15 (interrupt address range); PCIe r6.0, 10.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "intel_iommu_svm.h"
#include "trace.h"

/* A translation request being served */
typedef struct ATSWalk {
    IntelIOMMUState *s;
    const VTDRequestContext *ctx;
    const PCISVMTranslation *req;
    size_t count;               /* results stored */
    unsigned retries;           /* left for the entry being looked at */
} ATSWalk;

/* A page of a paging structure, read without a copy */
typedef struct ATSTable {
    hwaddr addr;
    const uint64_t *entries;
    bool writable;
} ATSTable;

/* What the levels above an entry leave of its permissions */
typedef struct ATSPermissions {
    bool user;
    bool write;
    bool exec;
} ATSPermissions;

static const MemTxAttrs ats_attrs = { .memory = 1 };

static unsigned ats_level_shift(unsigned level)
{
    return VTD_PAGE_SHIFT + (level - 1) * VTD_LEVEL_BITS;
}

/* Does the block of size @mask + 1 around @addr hold interrupt addresses? */
static bool ats_overlaps_interrupts(hwaddr addr, hwaddr mask)
{
    return (addr & ~mask) <= VTD_INTERRUPT_ADDR_LAST &&
           (addr | mask) >= VTD_INTERRUPT_ADDR_FIRST;
}

/*
 * A result must not let the device believe that it may use the interrupt
 * range: cut the block around @addr, which is outside, until it is, too.
 */
static hwaddr ats_clip_mask(hwaddr addr, hwaddr mask)
{
    while (mask && ats_overlaps_interrupts(addr, mask)) {
        mask >>= 1;
    }
    return mask;
}

static bool ats_lacks_permission(const PCISVMTranslation *req,
                                 IOMMUAccessFlags perm)
{
    return !(perm & IOMMU_RO) ||
           (!req->no_write && !(perm & IOMMU_WO)) ||
           (req->exec_req && !(perm & IOMMU_EXEC));
}

/*
 * Store what holds for the block of size @mask + 1 around @addr. Sets @next to
 * the first address after it, 0 at the end of the address space.
 */
static int ats_emit(ATSWalk *w, hwaddr addr, hwaddr target, hwaddr mask,
                    IOMMUAccessFlags perm, hwaddr *next)
{
    hwaddr clipped = perm ? ats_clip_mask(addr, mask) : mask;
    IOMMUTLBEntry *entry;

    if (w->count == w->req->result_length) {
        return -ENOMEM;
    }
    w->retries = VTD_PTE_SET_RETRIES;
    entry = &w->req->result[w->count++];
    *entry = (IOMMUTLBEntry) {
        .target_as = &address_space_memory,
        .iova = addr & ~clipped,
        .translated_addr = perm ? (target + (addr & mask)) & ~clipped : 0,
        .addr_mask = clipped,
        .perm = perm,
        .pasid = w->req->pasid,
    };
    *w->req->err_count += ats_lacks_permission(w->req, perm);
    trace_vtd_ats_result(w->ctx->sid, w->req->pasid, entry->iova,
                         entry->translated_addr, clipped, perm);
    *next = (addr | clipped) + 1;
    return 0;
}

/* Something that the guest must hear of; the device sees a hole. */
static int ats_emit_fault(ATSWalk *w, VTDFaultReason fault, hwaddr addr,
                          hwaddr mask, hwaddr *next)
{
    vtd_record_fault(w->s, w->ctx, fault, addr, !w->req->no_write);
    return ats_emit(w, addr, 0, mask, IOMMU_NONE, next);
}

/* RCU critical section: the pointer is good until its end. */
static bool ats_map_table(hwaddr addr, ATSTable *table)
{
    hwaddr len = VTD_PAGE_SIZE;
    hwaddr offset;
    MemoryRegion *mr;

    mr = address_space_translate(&address_space_memory, addr, &offset, &len,
                                 false, ats_attrs);
    if (len < VTD_PAGE_SIZE ||
        !memory_access_is_direct(mr, false, ats_attrs)) {
        return false;
    }
    table->addr = addr;
    table->writable = memory_access_is_direct(mr, true, ats_attrs);
    table->entries = memory_region_get_ram_ptr(mr) + offset;
    return true;
}

/* As vtd_pte_set_flags(), which might take the BQL for what is not RAM */
static int ats_set_flags(const ATSTable *table, unsigned index, uint64_t entry,
                         uint64_t flags)
{
    if ((entry & flags) == flags) {
        return 0;
    }
    if (!table->writable) {
        return -EIO;
    }
    return vtd_pte_set_flags(table->addr + index * sizeof(entry), entry,
                             flags);
}

static bool ats_is_leaf(uint64_t entry, unsigned level)
{
    return level == VTD_PT_LEVEL ||
           (level <= VTD_PDP_LEVEL && (entry & VTD_PT_PAGE_SIZE_MASK));
}

/* Reserved bits of a first-stage entry (VT-d 9.8). */
static bool ats_reserved_bits_set(ATSWalk *w, uint64_t entry, unsigned level)
{
    uint64_t address = MAKE_64BIT_MASK(VTD_PAGE_SHIFT, 52 - VTD_PAGE_SHIFT);
    uint64_t rsvd = address & ~VTD_HAW_MASK(w->s->aw_bits);

    if (level > VTD_PDP_LEVEL ||
        (level == VTD_PDP_LEVEL && !(w->s->cap & VTD_CAP_FS1GP))) {
        rsvd |= VTD_PT_PAGE_SIZE_MASK;
    } else if (level > VTD_PT_LEVEL && ats_is_leaf(entry, level)) {
        /* Bit 12 is PAT. */
        rsvd |= MAKE_64BIT_MASK(13, ats_level_shift(level) - 13);
    }
    return entry & rsvd;
}

static void ats_restrict(ATSWalk *w, ATSPermissions *p, uint64_t entry)
{
    p->user &= !!(entry & VTD_FL_US);
    p->write &= !!(entry & VTD_FL_RW);
    /*
     * Without NXE the bit is ignored, not reserved as in the CPU's tables (?):
     * Linux shares tables that use it, and leaves NXE clear.
     */
    if (w->ctx->pe.val[2] & VTD_SM_PASID_NXE) {
        p->exec &= !(entry & VTD_FL_XD);
    }
}

/* The permissions that a completion carries (VT-d 3.6.1, PCIe 10.2.3). */
static IOMMUAccessFlags ats_grant(ATSWalk *w, const ATSPermissions *p)
{
    const PCISVMTranslation *req = w->req;
    uint64_t control = w->ctx->pe.val[2];
    bool read, write, exec;

    if (req->priv_req) {
        read = control & VTD_SM_PASID_SRE;
        write = p->write || !(control & VTD_SM_PASID_WPE);
        exec = p->exec && !(p->user && (control & VTD_SM_PASID_SMEP));
    } else {
        read = p->user;
        write = p->write;
        exec = p->exec;
    }
    if (!read) {
        return IOMMU_NONE;
    }
    return IOMMU_ACCESS_FLAG_FULL(true, write && !req->no_write,
                                  exec && req->exec_req &&
                                  (control & VTD_SM_PASID_ERE),
                                  req->priv_req, false, false);
}

static int ats_walk_table(ATSWalk *w, hwaddr table_addr, unsigned level,
                          ATSPermissions upper, hwaddr *addr, hwaddr last);

static int ats_emit_leaf(ATSWalk *w, uint64_t entry, hwaddr mask,
                         IOMMUAccessFlags perm, hwaddr *addr)
{
    hwaddr target = entry & VTD_PT_BASE_ADDR_MASK(w->s->aw_bits) & ~mask;

    if (perm && ats_overlaps_interrupts(target, mask)) {
        return ats_emit_fault(w, VTD_FR_SM_INTERRUPT_ADDR, *addr, mask, addr);
    }
    return ats_emit(w, *addr, target, mask, perm, addr);
}

/*
 * Serve *@addr from one entry; advances *@addr behind what it covers, or lets
 * it stand when the entry changed under our hands and must be looked at again.
 */
static int ats_walk_entry(ATSWalk *w, ATSTable *table, unsigned level,
                          ATSPermissions p, hwaddr *addr, hwaddr last)
{
    hwaddr mask = MAKE_64BIT_MASK(0, ats_level_shift(level));
    unsigned index = extract64(*addr, ats_level_shift(level), VTD_LEVEL_BITS);
    uint64_t entry = le64_to_cpu(qatomic_read_u64(&table->entries[index]));
    IOMMUAccessFlags perm = IOMMU_RO;
    uint64_t flags = VTD_FL_A;
    bool leaf;
    int ret;

    if (!(entry & VTD_FL_P)) {
        return ats_emit(w, *addr, 0, mask, IOMMU_NONE, addr);
    }
    if (ats_reserved_bits_set(w, entry, level)) {
        return ats_emit_fault(w, VTD_FR_FS_PAGING_ENTRY_RSVD, *addr, mask,
                              addr);
    }
    ats_restrict(w, &p, entry);
    leaf = ats_is_leaf(entry, level);
    if (leaf) {
        if (ats_overlaps_interrupts(*addr, 0)) {
            /* Never translated, whatever is mapped there (3.15). */
            return ats_emit(w, *addr, 0,
                            MIN(mask, VTD_INTERRUPT_ADDR_SIZE - 1),
                            IOMMU_NONE, addr);
        }
        perm = ats_grant(w, &p);
        flags |= perm & IOMMU_WO ? VTD_FL_D : 0;
    }
    if (perm) {
        ret = ats_set_flags(table, index, entry, flags);
        if (ret == -EAGAIN && w->retries--) {
            return 0;
        }
        if (ret) {
            return ats_emit_fault(w, VTD_FR_FS_BIT_UPDATE_FAILED, *addr, mask,
                                  addr);
        }
    }
    if (leaf) {
        return ats_emit_leaf(w, entry, mask, perm, addr);
    }
    return ats_walk_table(w, entry & VTD_PT_BASE_ADDR_MASK(w->s->aw_bits),
                          level - 1, p, addr, MIN(last, *addr | mask));
}

/* Serve *@addr to @last, all of which one table covers, from that table. */
static int ats_walk_table(ATSWalk *w, hwaddr table_addr, unsigned level,
                          ATSPermissions upper, hwaddr *addr, hwaddr last)
{
    unsigned top = VTD_PML4_LEVEL;
    ATSTable table;
    int ret;

    if (!ats_map_table(table_addr, &table)) {
        return ats_emit_fault(w, level == top ? VTD_FR_PASID_ENTRY_FSPTPTR_INV
                                              : VTD_FR_FS_PAGING_ENTRY_INV,
                              *addr,
                              MAKE_64BIT_MASK(0, ats_level_shift(level + 1)),
                              addr);
    }
    do {
        ret = ats_walk_entry(w, &table, level, upper, addr, last);
    } while (!ret && *addr && *addr <= last);
    return ret;
}

/* Both halves of the address space are as wide as one table of the top. */
static bool ats_is_canonical(hwaddr addr)
{
    return sextract64(addr, 0, ats_level_shift(VTD_PML4_LEVEL + 1)) == addr;
}

static int ats_walk_first_stage(ATSWalk *w)
{
    hwaddr table = w->ctx->pe.val[2] & VTD_SM_PASID_ENTRY_FLPTPTR;
    hwaddr top_mask = MAKE_64BIT_MASK(0, ats_level_shift(VTD_PML4_LEVEL));
    hwaddr half_mask = MAKE_64BIT_MASK(0, ats_level_shift(VTD_PML4_LEVEL + 1)
                                       - 1);
    ATSPermissions all = { .user = true, .write = true, .exec = true };
    hwaddr addr = w->req->addr;
    hwaddr last = w->req->last;
    int ret;

    do {
        if (ats_is_canonical(addr)) {
            ret = ats_walk_table(w, table, VTD_PML4_LEVEL, all, &addr,
                                 MIN(last, addr | half_mask));
        } else {
            ret = ats_emit(w, addr, 0, top_mask, IOMMU_NONE, &addr);
        }
    } while (!ret && addr && addr <= last);
    return ret;
}

/* Pass-through: every address stands for itself (VT-d 3.6.3). */
static int ats_walk_identity(ATSWalk *w)
{
    hwaddr mask = MAKE_64BIT_MASK(0, ats_level_shift(VTD_PDP_LEVEL));
    IOMMUAccessFlags perm = IOMMU_ACCESS_FLAG(true, !w->req->no_write);
    hwaddr addr = w->req->addr;
    int ret;

    do {
        bool inside = ats_overlaps_interrupts(addr, 0);
        bool reachable = !(addr & ~VTD_HAW_MASK(w->s->aw_bits));

        ret = ats_emit(w, addr, addr & ~mask,
                       inside ? VTD_INTERRUPT_ADDR_SIZE - 1 : mask,
                       reachable && !inside ? perm : IOMMU_NONE, &addr);
    } while (!ret && addr && addr <= w->req->last);
    return ret;
}

bool vtd_ats_enabled_by(IntelIOMMUState *s, const VTDContextEntry *ce)
{
    if (s->root_scalable) {
        return ce->lo & VTD_SM_CONTEXT_DTE;
    }
    return (ce->lo & VTD_CONTEXT_ENTRY_TT) == VTD_CONTEXT_TT_DEV_IOTLB;
}

static int ats_walk(ATSWalk *w)
{
    if (!w->s->root_scalable) {
        return -EFAULT;
    }
    switch (w->ctx->pe.val[0] & VTD_SM_PASID_ENTRY_PGTT) {
    case VTD_SM_PASID_ENTRY_FLT:
        return ats_walk_first_stage(w);
    case VTD_SM_PASID_ENTRY_PT:
        return ats_walk_identity(w);
    default:
        return -EFAULT;
    }
}

ssize_t vtd_ats_translate(IntelIOMMUState *s, PCIBus *bus, int devfn,
                          const PCISVMTranslation *req)
{
    VTDRequestContext ctx;
    ATSWalk walk = {
        .s = s, .ctx = &ctx, .req = req, .retries = VTD_PTE_SET_RETRIES,
    };
    VTDFaultReason fault;
    ssize_t ret;

    fault = vtd_request_begin(s, bus, devfn, req->pasid, &ctx);
    if (fault) {
        vtd_record_fault(s, &ctx, fault, req->addr, !req->no_write);
        ret = -EFAULT;
    } else {
        ret = ats_walk(&walk) ?: walk.count;
    }
    vtd_request_end(s, &ctx);
    return ret;
}

bool vtd_bypass_allowed(VTDAddressSpace *as, const VTDContextEntry *ce)
{
    IntelIOMMUState *s = as->iommu_state;
    PCIDevice *dev = as->bus->devices[as->devfn];

    return !s->svm || !dev || !dev->exp.ats_cap || vtd_ats_enabled_by(s, ce);
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

bool vtd_translated_request(VTDAddressSpace *as, hwaddr addr, bool is_write,
                            IOMMUTLBEntry *entry)
{
    IntelIOMMUState *s = as->iommu_state;
    VTDRequestContext ctx = {
        .sid = PCI_BUILD_BDF(pci_bus_num(as->bus), as->devfn),
        .pasid = as->pasid,
    };
    hwaddr mask = MAKE_64BIT_MASK(0, ats_level_shift(VTD_PDP_LEVEL));
    VTDFaultReason fault;

    fault = -vtd_dev_to_context_entry(s, pci_bus_num(as->bus), as->devfn,
                                      &ctx.ce);
    ctx.fpd = ctx.ce.lo & VTD_CONTEXT_ENTRY_FPD;
    if (!fault && !vtd_ats_enabled_by(s, &ctx.ce)) {
        fault = VTD_FR_CONTEXT_ENTRY_TT;
    }
    if (!fault && as->pasid != PCI_NO_PASID) {
        fault = VTD_FR_CONTEXT_ENTRY_TT;    /* translated, with a PASID */
    }
    if (!fault && ats_overlaps_interrupts(addr, 0)) {
        fault = VTD_FR_SM_INTERRUPT_ADDR;
    }
    trace_vtd_translated_request(ctx.sid, addr, is_write, fault);
    if (fault) {
        vtd_record_fault(s, &ctx, fault, addr, is_write);
        *entry = (IOMMUTLBEntry) { .perm = IOMMU_NONE };
        return false;
    }
    mask = ats_clip_mask(addr, mask);
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
