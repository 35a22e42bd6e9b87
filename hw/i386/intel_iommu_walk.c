/*
 * Intel IOMMU (VT-d): the walk of the paging structures, first stage, second
 * stage, and the one nested in the other
 *
 * Translation requests and untranslated requests take the same walk; what is
 * granted and why something is not comes back as data. VT-d rev 4.1, sections
 * 3.6 (first stage), 3.7 (second stage), 3.8 (nested), 9.8 and 9.9 (entries).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "exec/memory.h"
#include "intel_iommu_svm.h"

/* Physical addresses end here, however wide the translated ones are */
#define WALK_PHYS_BITS_MAX      52

/* First-stage entry: Extended Accessed (9.8) */
#define WALK_FS_EA              (1ULL << 10)

/*
 * Bits of a first-stage entry on which no walk depends: those that it sets, and
 * those that are for software (9.8)
 */
#define WALK_FS_UNUSED          (VTD_FL_A | VTD_FL_D | MAKE_64BIT_MASK(9, 3) | \
                                 MAKE_64BIT_MASK(52, 11))

/* How often an entry that says the same is marked before it is read anew */
#define WALK_CMPXCHG_TRIES      64

/* One stage of a walk */
typedef struct WalkStage {
    hwaddr root;
    unsigned levels;
    bool first;
} WalkStage;

/* RAM in which tables are; good in the RCU critical section of the walk */
typedef struct WalkRAM {
    hwaddr first;
    hwaddr size;
    MemoryRegion *mr;
    hwaddr offset;              /* of @first in @mr */
    void *host;
    bool writable;
} WalkRAM;

typedef struct Walk {
    IntelIOMMUState *s;
    const VTDWalkRequest *req;
    WalkRAM *ram;               /* that was met last */
    bool scalable;              /* the mode that the entries were read in */
    WalkStage stage;
    const WalkStage *second;    /* that the first stage is nested in, or NULL */
    uint64_t control;           /* third quad of a first stage's PASID entry */
    VTDWalkEmit *emit;
    void *opaque;
    size_t room;                /* for further blocks */
} Walk;

/* A page of a paging structure, read without a copy */
typedef struct WalkTable {
    uint64_t *entries;
    bool writable;
    MemoryRegion *mr;           /* where the page is */
    hwaddr offset;
} WalkTable;

/* What the levels above an entry leave of its permissions */
typedef struct WalkPermissions {
    bool user;
    bool read;
    bool write;
    bool exec;
} WalkPermissions;

static const MemTxAttrs walk_attrs = { .memory = 1 };

static unsigned walk_level_shift(unsigned level)
{
    return VTD_PAGE_SHIFT + (level - 1) * VTD_LEVEL_BITS;
}

static hwaddr walk_level_mask(unsigned level)
{
    return MAKE_64BIT_MASK(0, walk_level_shift(level));
}

static uint64_t walk_phys_mask(IntelIOMMUState *s)
{
    return VTD_HAW_MASK(MIN(s->aw_bits, WALK_PHYS_BITS_MAX));
}

static hwaddr walk_entry_address(const Walk *w, uint64_t entry)
{
    return entry & walk_phys_mask(w->s) & ~(hwaddr)(VTD_PAGE_SIZE - 1);
}

bool vtd_overlaps_interrupts(hwaddr addr, hwaddr mask)
{
    return (addr & ~mask) <= VTD_INTERRUPT_ADDR_LAST &&
           (addr | mask) >= VTD_INTERRUPT_ADDR_FIRST;
}

hwaddr vtd_clip_interrupts(hwaddr addr, hwaddr mask)
{
    if (!vtd_overlaps_interrupts(addr, 0)) {
        while (vtd_overlaps_interrupts(addr, mask)) {
            mask >>= 1;
        }
    }
    return mask;
}

/* Emit what holds for the block around *@addr; *@addr moves behind it. */
static int walk_emit(Walk *w, hwaddr *addr, const VTDMapping *found)
{
    VTDMapping m = *found;

    if (!w->room) {
        return -ENOMEM;
    }
    w->room--;
    if (m.perm) {
        m.mask = vtd_clip_interrupts(*addr, m.mask);
    }
    m.addr = *addr;
    m.target &= ~m.mask;
    *addr = (*addr | m.mask) + 1;
    return w->emit(w->opaque, &m);
}

static int walk_emit_fault(Walk *w, hwaddr *addr, hwaddr mask,
                           VTDFaultReason fault)
{
    const VTDMapping m = { .mask = mask, .fault = fault };

    return walk_emit(w, addr, &m);
}

static int walk_range(Walk *w, hwaddr addr, hwaddr last);

/* ---- the second stage under a first stage */

static int walk_keep_mapping(void *opaque, const VTDMapping *mapping)
{
    *(VTDMapping *)opaque = *mapping;
    return 0;
}

/* Where does the second stage put an address that the first stage yields? */
static VTDMapping walk_second_stage(const Walk *w, hwaddr addr)
{
    static const VTDWalkRequest any = { .wanted = IOMMU_RW, .room = 1 };
    VTDMapping mapping;
    Walk second = {
        .s = w->s,
        .req = &any,
        .ram = w->ram,
        .scalable = w->scalable,
        .stage = *w->second,
        .emit = walk_keep_mapping,
        .opaque = &mapping,
        .room = any.room,
    };

    walk_range(&second, addr, addr);
    return mapping;
}

/* The second stage lets the first not have an address: why? */
static VTDFaultReason walk_nested_fault(const VTDMapping *second,
                                        VTDFaultReason miss)
{
    if (second->fault == VTD_FR_SM_BEYOND_MGAW) {
        return VTD_FR_NESTED_BEYOND_MGAW;
    }
    return second->fault && !vtd_fault_is_miss(second->fault) ? second->fault
                                                              : miss;
}

/* ---- tables */

static bool walk_ram_has(const WalkRAM *ram, hwaddr addr)
{
    hwaddr offset = addr - ram->first;

    return offset < ram->size && ram->size - offset >= VTD_PAGE_SIZE;
}

/* All RAM that begins at @first, if the table at @addr is in it */
static bool walk_map_ram(WalkRAM *ram, hwaddr first, hwaddr addr)
{
    WalkRAM found = { .first = first, .size = HWADDR_MAX - first };

    found.mr = address_space_translate(&address_space_memory, first,
                                       &found.offset, &found.size, false,
                                       walk_attrs);
    if (!walk_ram_has(&found, addr) ||
        !memory_access_is_direct(found.mr, false, walk_attrs)) {
        return false;
    }
    found.writable = memory_access_is_direct(found.mr, true, walk_attrs);
    found.host = memory_region_get_ram_ptr(found.mr) + found.offset;
    *ram = found;
    return true;
}

/*
 * Tables are in a piece of RAM or two. Each thread remembers a low table in
 * each, from which all others can be reached by one look at the memory map.
 */
static bool walk_find_ram(WalkRAM *ram, hwaddr addr)
{
    static __thread hwaddr low[2];
    hwaddr *first = &low[addr >= 4 * GiB];

    if (walk_ram_has(ram, addr) ||
        (*first <= addr && walk_map_ram(ram, *first, addr))) {
        return true;
    }
    *first = addr;
    return walk_map_ram(ram, addr, addr);
}

static VTDFaultReason walk_access_fault(const Walk *w, bool root)
{
    if (w->stage.first) {
        return root ? VTD_FR_PASID_ENTRY_FSPTPTR_INV
                    : VTD_FR_FS_PAGING_ENTRY_INV;
    }
    if (!w->scalable) {
        return root ? VTD_FR_CONTEXT_ENTRY_INV : VTD_FR_PAGING_ENTRY_INV;
    }
    return root ? VTD_FR_SM_SSPTPTR_INV : VTD_FR_SM_SS_ENTRY_INV;
}

static VTDFaultReason walk_map_table(const Walk *w, hwaddr addr, bool root,
                                     WalkTable *table)
{
    VTDMapping second = { .perm = IOMMU_RW };

    if (w->second) {
        second = walk_second_stage(w, addr);
        if (!(second.perm & IOMMU_RO)) {
            return walk_nested_fault(&second, root ? VTD_FR_NESTED_ROOT_READ
                                                   : VTD_FR_NESTED_READ);
        }
        addr = second.target + (addr & second.mask);
    }
    if (!walk_find_ram(w->ram, addr)) {
        return walk_access_fault(w, root);
    }
    *table = (WalkTable) {
        .entries = w->ram->host + (addr - w->ram->first),
        .writable = w->ram->writable && second.perm & IOMMU_WO,
        .mr = w->ram->mr,
        .offset = w->ram->offset + (addr - w->ram->first),
    };
    return 0;
}

/*
 * Set flags in an entry that says the same as @entry did. A CPU may change bits
 * that no walk depends on faster than a walk comes back to them.
 */
static bool walk_cmpxchg(const WalkTable *table, unsigned index,
                         uint64_t entry, uint64_t flags)
{
    uint64_t *ptr = &table->entries[index], now = entry;

    for (int i = 0; i < WALK_CMPXCHG_TRIES; i++) {
        if (vtd_pte_cmpxchg(ptr, cpu_to_le64(now), cpu_to_le64(now | flags))) {
            return true;
        }
        now = le64_to_cpu(qatomic_read_u64(ptr));
        if ((now ^ entry) & ~WALK_FS_UNUSED) {
            break;
        }
    }
    return false;
}

/* As vtd_pte_set_flags(), of a table that is mapped already */
static int walk_set_flags(const WalkTable *table, unsigned index,
                          uint64_t entry, uint64_t flags)
{
    if ((entry & flags) == flags) {
        return 0;
    }
    if (!table->writable) {
        return -EIO;
    }
    if (!walk_cmpxchg(table, index, entry, flags)) {
        return -EAGAIN;
    }
    memory_region_set_dirty(table->mr, table->offset + index * sizeof(entry),
                            sizeof(entry));
    return 0;
}

/* ---- entries */

static bool walk_is_present(const Walk *w, uint64_t entry)
{
    return entry & (w->stage.first ? VTD_FL_P : VTD_SL_RW_MASK);
}

static bool walk_is_leaf(uint64_t entry, unsigned level)
{
    return level == VTD_PT_LEVEL ||
           (level <= VTD_PDP_LEVEL && (entry & VTD_PT_PAGE_SIZE_MASK));
}

/* Reserved bits of a first-stage entry (9.8) */
static uint64_t walk_first_stage_reserved(const Walk *w, uint64_t entry,
                                          unsigned level)
{
    uint64_t rsvd = MAKE_64BIT_MASK(0, WALK_PHYS_BITS_MAX) &
                    ~walk_phys_mask(w->s);

    if (level > VTD_PDP_LEVEL ||
        (level == VTD_PDP_LEVEL && !(w->s->cap & VTD_CAP_FS1GP))) {
        rsvd |= VTD_PT_PAGE_SIZE_MASK;
    } else if (level > VTD_PT_LEVEL && walk_is_leaf(entry, level)) {
        /* Bit 12 is PAT. */
        rsvd |= MAKE_64BIT_MASK(13, walk_level_shift(level) - 13);
    }
    return rsvd;
}

static VTDFaultReason walk_check_reserved(const Walk *w, uint64_t entry,
                                          unsigned level)
{
    if (w->stage.first) {
        return entry & walk_first_stage_reserved(w, entry, level)
               ? VTD_FR_FS_PAGING_ENTRY_RSVD : 0;
    }
    /* All levels above the large pages have the same reserved bits. */
    if (!vtd_slpte_nonzero_rsvd(entry, MIN(level, VTD_PML4_LEVEL))) {
        return 0;
    }
    return w->scalable ? VTD_FR_SM_SS_ENTRY_RSVD : VTD_FR_PAGING_ENTRY_RSVD;
}

static void walk_restrict(const Walk *w, WalkPermissions *p, uint64_t entry)
{
    if (!w->stage.first) {
        p->read &= !!(entry & VTD_SL_R);
        p->write &= !!(entry & VTD_SL_W);
        return;
    }
    p->user &= !!(entry & VTD_FL_US);
    p->write &= !!(entry & VTD_FL_RW);
    /*
     * Without NXE the bit is ignored, not reserved as in the CPU's tables (?):
     * Linux shares tables that use it, and leaves NXE clear.
     */
    if (w->control & VTD_SM_PASID_NXE) {
        p->exec &= !(entry & VTD_FL_XD);
    }
}

/* The permissions of a first-stage entry for this request (3.6.1) */
static IOMMUAccessFlags walk_first_stage_perm(const Walk *w,
                                              const WalkPermissions *p)
{
    bool read, write, exec;

    if (w->req->wanted & IOMMU_PRIV) {
        read = w->control & VTD_SM_PASID_SRE;
        write = p->write || !(w->control & VTD_SM_PASID_WPE);
        exec = p->exec && !(p->user && (w->control & VTD_SM_PASID_SMEP));
    } else {
        read = p->user;
        write = p->write;
        exec = p->exec;
    }
    exec &= !!(w->control & VTD_SM_PASID_ERE);
    return read ? IOMMU_ACCESS_FLAG_FULL(true, write, exec, true, false, false)
                : IOMMU_NONE;
}

/* Of what is wanted, what is granted; nothing if something needed is not. */
static IOMMUAccessFlags walk_grant(const Walk *w, IOMMUAccessFlags perm)
{
    perm &= w->req->wanted;
    return perm & IOMMU_RW && (perm & w->req->needed) == w->req->needed
           ? perm : IOMMU_NONE;
}

static IOMMUAccessFlags walk_leaf_perm(const Walk *w, const WalkPermissions *p)
{
    /* A second stage knows neither privilege nor, without SSEE, execution. */
    return w->stage.first ? walk_first_stage_perm(w, p)
                          : IOMMU_ACCESS_FLAG_FULL(p->read, p->write, false,
                                                   true, false, false);
}

/* Neither stage grants this access. */
static VTDFaultReason walk_no_access(const Walk *w)
{
    if (w->req->needed & IOMMU_WO) {
        return w->scalable ? VTD_FR_SM_WRITE : VTD_FR_WRITE;
    }
    return w->scalable ? VTD_FR_SM_READ : VTD_FR_READ;
}

static VTDFaultReason walk_not_present(const Walk *w)
{
    return w->stage.first ? VTD_FR_FS_PAGING_ENTRY_P : walk_no_access(w);
}

/* Why does a leaf not grant what the request needs? */
static VTDFaultReason walk_denied(const Walk *w, IOMMUAccessFlags perm)
{
    if (!w->stage.first || perm) {
        return walk_no_access(w);
    }
    return w->req->wanted & IOMMU_PRIV ? VTD_FR_SM_SRE_DISABLED
                                       : VTD_FR_FS_PAGING_ENTRY_US;
}

/* ---- the walk */

static int walk_table(Walk *w, hwaddr addr_of_table, unsigned level,
                      WalkPermissions upper, hwaddr *addr, hwaddr last);

/* What is set in an entry that is used; Dirty where a write is granted */
static uint64_t walk_use_flags(const Walk *w, bool dirty)
{
    if (!w->stage.first) {
        return 0;       /* The second stage has no such bits without SSADS. */
    }
    return VTD_FL_A | (dirty ? VTD_FL_D : 0) |
           (w->control & VTD_SM_PASID_EAFE ? WALK_FS_EA : 0);
}

/* *@again when the entry changed under our hands: look at it again. */
static VTDFaultReason walk_mark_used(const Walk *w, const WalkTable *table,
                                     unsigned index, uint64_t entry,
                                     bool dirty, bool *again)
{
    int ret = walk_set_flags(table, index, entry, walk_use_flags(w, dirty));

    *again = ret == -EAGAIN;
    if (!ret) {
        return 0;
    }
    return w->second && !table->writable ? VTD_FR_NESTED_WRITE
                                         : VTD_FR_FS_BIT_UPDATE_FAILED;
}

/* The second stage has the last word about where, how much and how. */
static VTDFaultReason walk_nest_leaf(const Walk *w, hwaddr addr,
                                     VTDMapping *m, IOMMUAccessFlags *perm)
{
    VTDMapping second = walk_second_stage(w, addr);

    m->mask = MIN(m->mask, second.mask);
    m->target = second.target + (addr & second.mask);
    *perm &= second.perm | ~IOMMU_RW;
    if (!(second.perm & IOMMU_RO)) {
        *perm &= ~IOMMU_EXEC;
    }
    return second.perm ? 0 : walk_nested_fault(&second, walk_no_access(w));
}

/* Nothing leads to the interrupt range; what is beside it in a block may. */
static VTDFaultReason walk_check_target(const Walk *w, VTDMapping *m)
{
    if (!vtd_overlaps_interrupts(m->target, 0)) {
        m->mask = vtd_clip_interrupts(m->target, m->mask);
        return 0;
    }
    m->mask = MIN(m->mask, VTD_INTERRUPT_ADDR_SIZE - 1);
    return w->scalable ? VTD_FR_SM_INTERRUPT_ADDR : VTD_FR_INTERRUPT_ADDR;
}

/* What a leaf yields for @addr; @m has its size, and nothing else yet. */
static void walk_leaf(const Walk *w, uint64_t entry, const WalkPermissions *p,
                      hwaddr addr, VTDMapping *m)
{
    IOMMUAccessFlags perm = walk_leaf_perm(w, p);

    /* The block and the address in it: the second stage may have it smaller. */
    m->target = (walk_entry_address(w, entry) & ~m->mask) + (addr & m->mask);
    if (!walk_grant(w, perm)) {
        m->fault = walk_denied(w, perm);
        return;
    }
    m->fault = w->second ? walk_nest_leaf(w, m->target, m, &perm) : 0;
    if (!m->fault && !walk_grant(w, perm)) {
        m->fault = walk_denied(w, perm);
    }
    if (!m->fault) {
        m->fault = walk_check_target(w, m);
    }
    m->perm = m->fault ? IOMMU_NONE : walk_grant(w, perm);
}

/* -EAGAIN, with @may_retry, when the entry changed under our hands. */
static int walk_try_entry(Walk *w, const WalkTable *table, unsigned level,
                          WalkPermissions p, hwaddr *addr, hwaddr last,
                          bool may_retry)
{
    VTDMapping m = { .mask = walk_level_mask(level) };
    unsigned index = extract64(*addr, walk_level_shift(level), VTD_LEVEL_BITS);
    uint64_t entry = le64_to_cpu(qatomic_read_u64(&table->entries[index]));
    bool leaf = walk_is_leaf(entry, level);
    bool again = false;
    VTDFaultReason fault;

    if (!w->room) {
        return -ENOMEM;     /* before anything is marked as used */
    }
    fault = walk_is_present(w, entry) ? walk_check_reserved(w, entry, level)
                                      : walk_not_present(w);
    if (fault) {
        return walk_emit_fault(w, addr, m.mask, fault);
    }
    walk_restrict(w, &p, entry);
    if (leaf) {
        walk_leaf(w, entry, &p, *addr, &m);
    }
    if (!m.fault) {
        fault = walk_mark_used(w, table, index, entry, m.perm & IOMMU_WO,
                               &again);
    }
    if (again && may_retry) {
        return -EAGAIN;
    }
    if (fault) {
        return walk_emit_fault(w, addr, m.mask, fault);
    }
    if (leaf) {
        return walk_emit(w, addr, &m);
    }
    return walk_table(w, walk_entry_address(w, entry), level - 1, p, addr,
                      MIN(last, *addr | m.mask));
}

/*
 * Serve *@addr from one entry; advances *@addr behind what it covers. It never
 * returns 0 and lets *@addr stand: 0 is also what follows the last address.
 */
static int walk_entry(Walk *w, const WalkTable *table, unsigned level,
                      WalkPermissions upper, hwaddr *addr, hwaddr last)
{
    unsigned retries = VTD_PTE_SET_RETRIES;
    int ret;

    do {
        ret = walk_try_entry(w, table, level, upper, addr, last, retries);
    } while (ret == -EAGAIN && retries--);
    return ret;
}

/* ---- neighbouring pages */

/*
 * What the bits of an entry beside its address yield. Neighbours have the same
 * bits as a rule, and nothing is worked out twice for them.
 */
typedef struct WalkPages {
    uint64_t address_mask;
    uint64_t bits;
    uint64_t flags;             /* that are to be set */
    VTDMapping mapping;
    bool marked;                /* some entry */
} WalkPages;

/* False of what walk_entry() has to look at */
static bool walk_learn_page(const Walk *w, WalkPermissions p, uint64_t bits,
                            WalkPages *pages)
{
    VTDMapping *m = &pages->mapping;

    *m = (VTDMapping) { .mask = VTD_PAGE_SIZE - 1 };
    pages->flags = 0;
    pages->bits = UINT64_MAX;       /* of no entry */
    if (!walk_is_present(w, bits)) {
        m->fault = walk_not_present(w);
    } else if (walk_check_reserved(w, bits, VTD_PT_LEVEL)) {
        return false;
    } else {
        walk_restrict(w, &p, bits);
        walk_leaf(w, bits, &p, 0, m);
        if (!m->fault) {
            pages->flags = walk_use_flags(w, m->perm & IOMMU_WO) & ~bits;
        }
    }
    pages->bits = bits;
    return true;
}

static bool walk_mark_page(const WalkTable *table, unsigned index,
                           uint64_t entry, WalkPages *pages)
{
    if (!pages->flags) {
        return true;
    }
    pages->marked |= table->writable;
    return table->writable && walk_cmpxchg(table, index, entry, pages->flags);
}

/* As walk_entry() of the last level, which does what is not the rule */
static int walk_page(Walk *w, const WalkTable *table, WalkPages *pages,
                     const WalkPermissions *upper, hwaddr *addr, hwaddr last)
{
    VTDMapping *m = &pages->mapping;
    unsigned index = extract64(*addr, VTD_PAGE_SHIFT, VTD_LEVEL_BITS);
    uint64_t entry = le64_to_cpu(qatomic_read_u64(&table->entries[index]));
    uint64_t bits = entry & ~pages->address_mask;

    if (bits != pages->bits && !walk_learn_page(w, *upper, bits, pages)) {
        return walk_entry(w, table, VTD_PT_LEVEL, *upper, addr, last);
    }
    m->addr = *addr;
    m->target = entry & pages->address_mask;
    if (!w->room ||
        (m->perm && (vtd_overlaps_interrupts(m->target, 0) ||
                     !walk_mark_page(table, index, entry, pages)))) {
        return walk_entry(w, table, VTD_PT_LEVEL, *upper, addr, last);
    }
    w->room--;
    *addr = (*addr | m->mask) + 1;
    return w->emit(w->opaque, m);
}

static int walk_pages(Walk *w, const WalkTable *table,
                      const WalkPermissions *upper, hwaddr *addr, hwaddr last)
{
    WalkPages pages = {
        .address_mask = walk_phys_mask(w->s) & VTD_PAGE_MASK_4K,
        .bits = UINT64_MAX,
    };
    int ret;

    do {
        ret = walk_page(w, table, &pages, upper, addr, last);
    } while (!ret && *addr && *addr <= last);
    if (pages.marked) {
        memory_region_set_dirty(table->mr, table->offset, VTD_PAGE_SIZE);
    }
    return ret;
}

/* Serve *@addr to @last, all of which one table covers, from that table. */
static int walk_table(Walk *w, hwaddr table_addr, unsigned level,
                      WalkPermissions upper, hwaddr *addr, hwaddr last)
{
    WalkTable table;
    VTDFaultReason fault;
    int ret;

    fault = walk_map_table(w, table_addr, level == w->stage.levels, &table);
    if (fault) {
        return walk_emit_fault(w, addr, walk_level_mask(level + 1), fault);
    }
    if (level == VTD_PT_LEVEL && !w->second) {
        return walk_pages(w, &table, &upper, addr, last);
    }
    do {
        ret = walk_entry(w, &table, level, upper, addr, last);
    } while (!ret && *addr && *addr <= last);
    return ret;
}

/* Width of the addresses that a stage takes */
static unsigned walk_input_bits(const Walk *w)
{
    unsigned bits = walk_level_shift(w->stage.levels + 1);

    return w->stage.first ? bits : MIN(bits, w->s->aw_bits);
}

static bool walk_in_range(const Walk *w, hwaddr addr)
{
    unsigned bits = walk_input_bits(w);

    return w->stage.first ? sextract64(addr, 0, bits) == addr
                          : !(addr & ~MAKE_64BIT_MASK(0, bits));
}

static VTDFaultReason walk_out_of_range(const Walk *w)
{
    if (w->stage.first) {
        return VTD_FR_FS_NON_CANONICAL;
    }
    return w->scalable ? VTD_FR_SM_BEYOND_MGAW : VTD_FR_ADDR_BEYOND_MGAW;
}

static int walk_range(Walk *w, hwaddr addr, hwaddr last)
{
    const WalkPermissions all = { true, true, true, true };
    /* A canonical half, or everything */
    hwaddr reach = MAKE_64BIT_MASK(0, walk_input_bits(w) - w->stage.first);
    int ret;

    do {
        if (walk_in_range(w, addr)) {
            ret = walk_table(w, w->stage.root, w->stage.levels, all, &addr,
                             MIN(last, addr | reach));
        } else {
            ret = walk_emit_fault(w, &addr, walk_level_mask(w->stage.levels),
                                  walk_out_of_range(w));
        }
    } while (!ret && addr && addr <= last);
    return ret;
}

/* Pass-through: every address stands for itself (3.6.3). */
static int walk_identity(Walk *w, hwaddr addr, hwaddr last)
{
    int ret;

    do {
        VTDMapping m = {
            .target = addr,
            .mask = walk_level_mask(VTD_PDP_LEVEL),
            .perm = w->req->wanted & (IOMMU_RW | IOMMU_PRIV),
        };

        if (vtd_overlaps_interrupts(addr, 0)) {
            ret = walk_emit_fault(w, &addr, VTD_INTERRUPT_ADDR_SIZE - 1,
                                  VTD_FR_SM_INTERRUPT_ADDR);
        } else if (addr & ~walk_phys_mask(w->s)) {
            ret = walk_emit_fault(w, &addr, m.mask, VTD_FR_SM_BEYOND_MGAW);
        } else {
            ret = walk_emit(w, &addr, &m);
        }
    } while (!ret && addr && addr <= last);
    return ret;
}

/* ---- what to walk */

static WalkStage walk_first_stage_of(const VTDPASIDEntry *pe)
{
    return (WalkStage) {
        .root = pe->val[2] & VTD_SM_PASID_ENTRY_FLPTPTR,
        .levels = vtd_pasid_entry_first_levels(pe),
        .first = true,
    };
}

static WalkStage walk_second_stage_of(const VTDPASIDEntry *pe)
{
    return (WalkStage) {
        .root = pe->val[0] & VTD_SM_PASID_ENTRY_SLPTPTR,
        .levels = vtd_pasid_entry_second_levels(pe),
    };
}

/*
 * The width was checked, unless the guest changed the mode of its root table
 * while the entry was read: then it is as good as any that we can walk.
 */
static WalkStage walk_legacy_stage_of(const VTDContextEntry *ce)
{
    return (WalkStage) {
        .root = ce->lo & VTD_CONTEXT_ENTRY_SLPTPTR,
        .levels = MIN(2 + (ce->hi & VTD_CONTEXT_ENTRY_AW), VTD_PML5_LEVEL),
    };
}

static int walk_legacy(Walk *w, const VTDContextEntry *ce)
{
    w->stage = walk_legacy_stage_of(ce);
    return walk_range(w, w->req->addr, w->req->last);
}

static int walk_scalable(Walk *w, const VTDPASIDEntry *pe)
{
    WalkStage second = walk_second_stage_of(pe);

    switch (pe->val[0] & VTD_SM_PASID_ENTRY_PGTT) {
    case VTD_SM_PASID_ENTRY_PT:
        return walk_identity(w, w->req->addr, w->req->last);
    case VTD_SM_PASID_ENTRY_SLT:
        w->stage = second;
        break;
    case VTD_SM_PASID_ENTRY_NESTED:
        w->second = &second;
        /* fall through */
    default:    /* first stage: the entry was checked */
        w->stage = walk_first_stage_of(pe);
        w->control = pe->val[2];
        break;
    }
    return walk_range(w, w->req->addr, w->req->last);
}

/* Not what the root table says now, but what these entries were read by */
static bool walk_is_scalable(const VTDPASIDEntry *pe)
{
    return pe->val[0] & VTD_PASID_ENTRY_P;
}

int vtd_walk(IntelIOMMUState *s, const VTDContextEntry *ce,
             const VTDPASIDEntry *pe, const VTDWalkRequest *req,
             VTDWalkEmit *emit, void *opaque)
{
    WalkRAM ram = { };
    Walk w = {
        .s = s, .req = req, .ram = &ram, .scalable = walk_is_scalable(pe),
        .emit = emit, .opaque = opaque, .room = req->room,
    };

    return w.scalable ? walk_scalable(&w, pe) : walk_legacy(&w, ce);
}

bool vtd_fault_is_miss(VTDFaultReason fault)
{
    switch (fault) {
    case VTD_FR_ADDR_BEYOND_MGAW:
    case VTD_FR_WRITE:
    case VTD_FR_READ:
    case VTD_FR_FS_PAGING_ENTRY_P:
    case VTD_FR_NESTED_BEYOND_MGAW:
    case VTD_FR_NESTED_ROOT_READ:
    case VTD_FR_NESTED_READ:
    case VTD_FR_NESTED_WRITE:
    case VTD_FR_FS_NON_CANONICAL:
    case VTD_FR_FS_PAGING_ENTRY_US:
    case VTD_FR_SM_BEYOND_MGAW:
    case VTD_FR_SM_WRITE:
    case VTD_FR_SM_READ:
    case VTD_FR_SM_SRE_DISABLED:
        return true;
    default:
        return false;
    }
}

/* ---- untranslated requests */

static bool walk_is_second_only(const VTDPASIDEntry *pe)
{
    return !walk_is_scalable(pe) ||
           (pe->val[0] & VTD_SM_PASID_ENTRY_PGTT) == VTD_SM_PASID_ENTRY_SLT;
}

VTDFaultReason vtd_walk_one(IntelIOMMUState *s, const VTDContextEntry *ce,
                            const VTDPASIDEntry *pe, hwaddr addr,
                            bool is_write, VTDMapping *mapping)
{
    const VTDWalkRequest req = {
        .addr = addr,
        .last = addr,
        /* Nobody may write by what a read found before Dirty is set. */
        .wanted = is_write || walk_is_second_only(pe) ? IOMMU_RW : IOMMU_RO,
        .needed = is_write ? IOMMU_WO : IOMMU_RO,
        .room = 1,
    };

    vtd_walk(s, ce, pe, &req, walk_keep_mapping, mapping);
    return mapping->fault;
}
