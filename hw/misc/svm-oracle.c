/*
 * Oracle of the stress device: the guest's view of a process's pages, and
 * whether the device's accesses agree with it
 *
 * PCIe Base Specification r6.0, 10.3.3 (when an invalidation is complete); VT-d
 * rev 4.1, 3.6.2 (Accessed and Dirty).
 *
 * Of the guest, one thread changes entries and another one, which holds the
 * BQL, invalidates and settles. A unit is the former's while no change of it
 * is pending, and the latter's while one is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bitops.h"
#include "qemu/bswap.h"
#include "qemu/lockable.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "exec/address-spaces.h"
#include "hw/misc/svm-oracle.h"
#include "system/memory.h"

#define ORACLE_PAGE         4096
#define ORACLE_FRAMES       (SVM_STRESS_ARENA_SIZE / ORACLE_PAGE)
#define ORACLE_BLOCK_FRAMES (SVM_STRESS_BLOCK / ORACLE_PAGE)
#define ORACLE_BLOCK_UNIT   SVM_STRESS_PAGES

/* What the device never writes */
#define ORACLE_FREE_BYTE    0xa5

/* First-stage paging entry (VT-d 9.8) */
#define ORACLE_P            (1ULL << 0)
#define ORACLE_RW           (1ULL << 1)
#define ORACLE_US           (1ULL << 2)
#define ORACLE_A            (1ULL << 5)
#define ORACLE_D            (1ULL << 6)
#define ORACLE_PS           (1ULL << 7)
#define ORACLE_USER_RW      (ORACLE_P | ORACLE_RW | ORACLE_US)
/* Bits that the unit ignores: only the guest changes them */
#define ORACLE_TAG          (1ULL << 52)
#define ORACLE_TAG_MASK     (0x3ffULL << 52)
#define ORACLE_TAGS         512

typedef enum UnitState {
    UNIT_LIVE,
    UNIT_READ_ONLY,
    UNIT_FREE,
} UnitState;

typedef enum UnitChange {
    CHANGE_NONE,
    CHANGE_REVOKE,          /* clear P */
    CHANGE_PROTECT,         /* clear RW */
    CHANGE_CLEAN,           /* clear A and D */
    CHANGE_SPLIT,
    CHANGE_MERGE,
} UnitChange;

typedef struct OracleUnit {
    UnitState state;        /* atomic */
    UnitChange change;      /* that is pending; atomic */
    unsigned revoked;       /* how often it was; atomic */
    unsigned protected;
    bool is_split;
    bool was_split;         /* its table has the entries of clean pages */
    uint64_t tag;
} OracleUnit;

typedef struct OracleFrame {
    unsigned writes;        /* by the device; atomic */
    unsigned checked;       /* of them, those that had Dirty */
    bool dirty;             /* was in an entry that the guest has changed */
} OracleFrame;

typedef struct OracleProcess {
    SVMOracleProcess where;
    uint8_t *arena;
    uint64_t *small;
    uint64_t *huge;
    uint64_t *split;
    OracleUnit unit[SVM_STRESS_UNITS];
    OracleFrame frame[ORACLE_FRAMES];
} OracleProcess;

struct SVMOracle {
    OracleProcess process[SVM_STRESS_PROCESSES];
    QemuMutex lock;         /* @first */
    uint64_t first;
    unsigned violations;    /* atomic, as are those that follow */
    unsigned accesses;
    unsigned busy;
    unsigned changes;
    unsigned writes;
};

/*
 * Memory
 */

static void *oracle_map(hwaddr addr, hwaddr size)
{
    hwaddr len = size;
    MemoryRegion *mr;
    hwaddr offset;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(&address_space_memory, addr, &offset, &len,
                                 true, MEMTXATTRS_UNSPECIFIED);
    if (len < size || addr % sizeof(uint64_t) || !memory_region_is_ram(mr)) {
        return NULL;
    }
    memory_region_ref(mr);
    return (uint8_t *)memory_region_get_ram_ptr(mr) + offset;
}

static void oracle_unmap(void *host)
{
    ram_addr_t offset;

    if (host) {
        memory_region_unref(memory_region_from_host(host, &offset));
    }
}

static bool oracle_map_process(OracleProcess *p)
{
    p->arena = oracle_map(p->where.arena, SVM_STRESS_ARENA_SIZE);
    p->small = oracle_map(p->where.small,
                          SVM_STRESS_PAGES * sizeof(uint64_t));
    p->huge = oracle_map(p->where.huge, sizeof(uint64_t));
    p->split = oracle_map(p->where.split, ORACLE_PAGE);
    return p->arena && p->small && p->huge && p->split;
}

SVMOracle *svm_oracle_new(const SVMOracleProcess *process)
{
    SVMOracle *o = g_new0(SVMOracle, 1);
    bool mapped = true;

    qemu_mutex_init(&o->lock);
    for (unsigned i = 0; i < SVM_STRESS_PROCESSES; i++) {
        o->process[i].where = process[i];
        mapped &= oracle_map_process(&o->process[i]);
    }
    if (!mapped) {
        svm_oracle_free(o);
        return NULL;
    }
    return o;
}

void svm_oracle_free(SVMOracle *o)
{
    if (!o) {
        return;
    }
    for (unsigned i = 0; i < SVM_STRESS_PROCESSES; i++) {
        OracleProcess *p = &o->process[i];

        oracle_unmap(p->arena);
        oracle_unmap(p->small);
        oracle_unmap(p->huge);
        oracle_unmap(p->split);
    }
    qemu_mutex_destroy(&o->lock);
    g_free(o);
}

void svm_oracle_violation(SVMOracle *o, unsigned rule, unsigned process,
                          unsigned unit)
{
    qatomic_inc(&o->violations);
    QEMU_LOCK_GUARD(&o->lock);
    if (!o->first) {
        o->first = (uint64_t)process << 32 | unit << 16 | rule;
    }
}

static void oracle_violation(SVMOracle *o, unsigned rule,
                             const OracleProcess *p, unsigned unit)
{
    svm_oracle_violation(o, rule, p - o->process, unit);
}

/*
 * Units
 */

static unsigned oracle_first_frame(unsigned unit)
{
    return unit == ORACLE_BLOCK_UNIT ? ORACLE_BLOCK_FRAMES : unit;
}

static unsigned oracle_frames(unsigned unit)
{
    return unit == ORACLE_BLOCK_UNIT ? ORACLE_BLOCK_FRAMES : 1;
}

static uint8_t *oracle_memory(const OracleProcess *p, unsigned unit)
{
    return p->arena + oracle_first_frame(unit) * ORACLE_PAGE;
}

static size_t oracle_size(unsigned unit)
{
    return oracle_frames(unit) * ORACLE_PAGE;
}

/* The entry that the guest changes */
static uint64_t *oracle_entry(const OracleProcess *p, unsigned unit)
{
    return unit == ORACLE_BLOCK_UNIT ? p->huge : &p->small[unit];
}

/* The entry that has a frame's Dirty */
static uint64_t oracle_leaf(const OracleProcess *p, unsigned unit, unsigned i)
{
    uint64_t *leaf = p->unit[unit].is_split ? &p->split[i]
                                            : oracle_entry(p, unit);

    return le64_to_cpu(qatomic_read__nocheck(leaf));
}

static bool oracle_cmpxchg(uint64_t *entry, uint64_t *old, uint64_t new)
{
    uint64_t expected = cpu_to_le64(*old);
    uint64_t seen = expected;

#ifdef CONFIG_ATOMIC64
    seen = qatomic_cmpxchg__nocheck(entry, expected, cpu_to_le64(new));
#endif
    *old = le64_to_cpu(seen);
    return seen == expected;
}

/*
 * The guest's changes
 */

static void oracle_note_dirty(OracleProcess *p, unsigned unit, uint64_t entry)
{
    unsigned first = oracle_first_frame(unit);

    if (!(entry & ORACLE_D)) {
        return;
    }
    for (unsigned i = 0; i < oracle_frames(unit); i++) {
        p->frame[first + i].dirty = true;
    }
}

static void oracle_set_entry(SVMOracle *o, OracleProcess *p, unsigned unit,
                             uint64_t keep, uint64_t set)
{
    OracleUnit *u = &p->unit[unit];
    uint64_t *entry = oracle_entry(p, unit);
    uint64_t old = le64_to_cpu(qatomic_read__nocheck(entry));

    while (!oracle_cmpxchg(entry, &old, (old & keep) | set)) {
        ;
    }
    if (!u->is_split) {
        oracle_note_dirty(p, unit, old & ~keep);
    }
    if ((old & ORACLE_TAG_MASK) != u->tag) {
        oracle_violation(o, SVM_STRESS_LOST_UPDATE, p, unit);
    }
    u->tag = ((old & keep) | set) & ORACLE_TAG_MASK;
    qatomic_inc(&o->changes);
}

/* The entry has changed: whoever sees this may invalidate. */
static void oracle_await(OracleUnit *u, UnitChange change)
{
    qatomic_store_release(&u->change, change);
}

static void oracle_take(SVMOracle *o, OracleProcess *p, unsigned unit,
                        UnitChange change, uint64_t clear)
{
    oracle_set_entry(o, p, unit, ~(clear | ORACLE_D), 0);
    oracle_await(&p->unit[unit], change);
}

static void oracle_split(SVMOracle *o, OracleProcess *p)
{
    OracleUnit *u = &p->unit[ORACLE_BLOCK_UNIT];
    uint64_t addr = p->where.arena + SVM_STRESS_BLOCK;

    for (unsigned i = 0; i < ORACLE_BLOCK_FRAMES; i++) {
        uint64_t entry = (addr + i * ORACLE_PAGE) | ORACLE_USER_RW;

        if (u->was_split &&
            le64_to_cpu(qatomic_read__nocheck(&p->split[i])) != entry) {
            oracle_violation(o, SVM_STRESS_FREED_TABLE, p, ORACLE_BLOCK_UNIT);
        }
        qatomic_set__nocheck(&p->split[i], cpu_to_le64(entry));
    }
    u->was_split = true;
    oracle_set_entry(o, p, ORACLE_BLOCK_UNIT, 0,
                     p->where.split | ORACLE_USER_RW);
    u->is_split = true;
    oracle_await(u, CHANGE_SPLIT);
}

static void oracle_merge(SVMOracle *o, OracleProcess *p)
{
    OracleUnit *u = &p->unit[ORACLE_BLOCK_UNIT];

    oracle_set_entry(o, p, ORACLE_BLOCK_UNIT, 0,
                     (p->where.arena + SVM_STRESS_BLOCK) | ORACLE_PS |
                     ORACLE_USER_RW);
    u->is_split = false;
    oracle_await(u, CHANGE_MERGE);
}

/*
 * Bits that no walk looks at, many times in a row. Since Accessed goes with
 * them each walk marks the entry meanwhile, and often enough finds it changed.
 */
static void oracle_tag(SVMOracle *o, OracleProcess *p, unsigned unit)
{
    for (unsigned i = 0; i < ORACLE_TAGS; i++) {
        uint64_t tag = (p->unit[unit].tag + ORACLE_TAG) & ORACLE_TAG_MASK;

        oracle_set_entry(o, p, unit, ~(ORACLE_TAG_MASK | ORACLE_A), tag);
    }
}

/* Giving needs no invalidation; a state allows before an entry does. */
static void oracle_give(SVMOracle *o, OracleProcess *p, unsigned unit)
{
    qatomic_store_release(&p->unit[unit].state, UNIT_LIVE);
    oracle_set_entry(o, p, unit, ~0ULL, ORACLE_P | ORACLE_RW);
}

static bool oracle_is_untouched(const OracleProcess *p, unsigned unit)
{
    const uint8_t *mem = oracle_memory(p, unit);

    return *mem == ORACLE_FREE_BYTE &&
           !memcmp(mem, mem + 1, oracle_size(unit) - 1);
}

static void oracle_reuse(SVMOracle *o, OracleProcess *p, unsigned unit)
{
    if (!oracle_is_untouched(p, unit)) {
        oracle_violation(o, SVM_STRESS_POISON, p, unit);
    }
    oracle_give(o, p, unit);
}

static void oracle_change_live(SVMOracle *o, OracleProcess *p, unsigned unit,
                               unsigned choice)
{
    switch (choice) {
    case 0:
    case 1:
        oracle_take(o, p, unit, CHANGE_REVOKE, ORACLE_P | ORACLE_A);
        break;
    case 2:
        oracle_take(o, p, unit, CHANGE_PROTECT, ORACLE_RW);
        break;
    case 3:
    case 4:
        oracle_take(o, p, unit, CHANGE_CLEAN, ORACLE_A);
        break;
    case 5:
        if (unit == ORACLE_BLOCK_UNIT) {
            oracle_split(o, p);
            break;
        }
        /* fall through */
    default:
        oracle_tag(o, p, unit);
    }
}

static void oracle_change_read_only(SVMOracle *o, OracleProcess *p,
                                    unsigned unit, unsigned choice)
{
    if (choice < 2) {
        oracle_take(o, p, unit, CHANGE_REVOKE, ORACLE_P | ORACLE_A);
    } else if (choice < 6) {
        oracle_give(o, p, unit);
    } else {
        oracle_tag(o, p, unit);
    }
}

void svm_oracle_change(SVMOracle *o, uint64_t random)
{
    OracleProcess *p = &o->process[random % SVM_STRESS_PROCESSES];
    unsigned choice = extract64(random, 8, 3);
    unsigned unit = extract64(random, 16, 6);
    OracleUnit *u;

    /* One in four is the block, and two are of the pages that all want. */
    if (!extract64(random, 32, 2)) {
        unit = ORACLE_BLOCK_UNIT;
    } else if (extract64(random, 32, 1)) {
        unit %= SVM_STRESS_HOT_PAGES;
    }
    u = &p->unit[unit];
    if (qatomic_load_acquire(&u->change)) {
        return;
    }
    if (u->is_split) {
        oracle_merge(o, p);
    } else if (u->state == UNIT_LIVE) {
        oracle_change_live(o, p, unit, choice);
    } else if (u->state == UNIT_READ_ONLY) {
        oracle_change_read_only(o, p, unit, choice);
    } else {
        oracle_reuse(o, p, unit);
    }
}

void svm_oracle_tag(SVMOracle *o, unsigned process, unsigned unit)
{
    oracle_tag(o, &o->process[process], unit);
}

/*
 * The guest's invalidations
 */

uint64_t svm_oracle_pending(SVMOracle *o, unsigned process)
{
    uint64_t pending = 0;

    for (unsigned i = 0; i < SVM_STRESS_UNITS; i++) {
        if (qatomic_load_acquire(&o->process[process].unit[i].change)) {
            pending |= 1ULL << i;
        }
    }
    return pending;
}

/*
 * What was counted was written by leave of an entry that had Dirty: of the one
 * that the guest has changed or, if the device has asked again, of the present.
 */
static void oracle_check_dirty(SVMOracle *o, OracleProcess *p, unsigned unit)
{
    for (unsigned i = 0; i < oracle_frames(unit); i++) {
        OracleFrame *f = &p->frame[oracle_first_frame(unit) + i];
        unsigned writes = qatomic_load_acquire(&f->writes);

        if (writes != f->checked && !f->dirty &&
            !(oracle_leaf(p, unit, i) & ORACLE_D)) {
            oracle_violation(o, SVM_STRESS_NOT_DIRTY, p, unit);
        }
        qatomic_add(&o->writes, writes - f->checked);
        f->checked = writes;
        f->dirty = false;
    }
}

/*
 * Requests that met the split table may have set Dirty there to the end. From
 * now on it is the guest's, who leaves in it what a late request would mark.
 */
static void oracle_end_merge(OracleProcess *p)
{
    for (unsigned i = 0; i < ORACLE_BLOCK_FRAMES; i++) {
        uint64_t entry = le64_to_cpu(qatomic_read__nocheck(&p->split[i]));

        if (entry & ORACLE_D) {
            p->frame[ORACLE_BLOCK_FRAMES + i].dirty = true;
        }
        qatomic_set__nocheck(&p->split[i],
                             cpu_to_le64(entry & ~(ORACLE_A | ORACLE_D)));
    }
}

static void oracle_end_change(OracleProcess *p, unsigned unit)
{
    OracleUnit *u = &p->unit[unit];

    if (u->change == CHANGE_REVOKE) {
        qatomic_set(&u->state, UNIT_FREE);
        qatomic_set(&u->revoked, u->revoked + 1);
        /* Whoever still accesses it sees that, or what it does is seen */
        smp_mb();
        memset(oracle_memory(p, unit), ORACLE_FREE_BYTE, oracle_size(unit));
    } else if (u->change == CHANGE_PROTECT) {
        qatomic_set(&u->state, UNIT_READ_ONLY);
        qatomic_set(&u->protected, u->protected + 1);
    }
}

void svm_oracle_settle(SVMOracle *o, unsigned process, uint64_t units)
{
    OracleProcess *p = &o->process[process];

    units &= svm_oracle_pending(o, process);
    for (unsigned i = 0; i < SVM_STRESS_UNITS; i++) {
        if (!extract64(units, i, 1)) {
            continue;
        }
        if (p->unit[i].change == CHANGE_MERGE) {
            oracle_end_merge(p);
        }
        oracle_check_dirty(o, p, i);
        oracle_end_change(p, i);
        qatomic_store_release(&p->unit[i].change, CHANGE_NONE);
    }
}

/*
 * The device's accesses
 */

static bool oracle_unit_at(uint64_t offset, unsigned *unit, uint64_t *end)
{
    if (offset < SVM_STRESS_PAGES * ORACLE_PAGE) {
        *unit = offset / ORACLE_PAGE;
        *end = ROUND_UP(offset + 1, ORACLE_PAGE);
        return true;
    }
    *unit = ORACLE_BLOCK_UNIT;
    *end = SVM_STRESS_ARENA_SIZE;
    return offset >= SVM_STRESS_BLOCK && offset < SVM_STRESS_ARENA_SIZE;
}

static void oracle_spin(unsigned ns)
{
    int64_t end = get_clock() + ns;

    while (ns && get_clock() < end) {
        ;
    }
}

static void oracle_touch(uint8_t *host, size_t len, bool is_write,
                         unsigned spin, uint8_t *data)
{
    if (is_write) {
        memset(host, *data, len);
        oracle_spin(spin);
        host[len - 1] = *data;
    } else {
        *data = qatomic_read(host);
        oracle_spin(spin);
        *data ^= qatomic_read(&host[len - 1]);
    }
}

static void oracle_count_writes(OracleProcess *p, uint64_t offset, size_t len)
{
    for (unsigned i = offset / ORACLE_PAGE;
         i <= (offset + len - 1) / ORACLE_PAGE; i++) {
        qatomic_inc(&p->frame[i].writes);
    }
}

static void oracle_access_unit(SVMOracle *o, OracleProcess *p, unsigned unit,
                               uint64_t offset, size_t len, bool is_write,
                               unsigned spin, uint8_t *data)
{
    OracleUnit *u = &p->unit[unit];
    unsigned revoked = qatomic_load_acquire(&u->revoked);
    unsigned protected = qatomic_load_acquire(&u->protected);
    UnitState state = qatomic_load_acquire(&u->state);

    if (state == UNIT_FREE) {
        oracle_violation(o, SVM_STRESS_NOT_MAPPED, p, unit);
    } else if (is_write && state == UNIT_READ_ONLY) {
        oracle_violation(o, SVM_STRESS_NOT_WRITABLE, p, unit);
    }
    if (is_write) {
        oracle_count_writes(p, offset, len);
    }
    oracle_touch(p->arena + offset, len, is_write, spin, data);
    /* The access, then whether it was allowed all the time */
    smp_mb();
    if (revoked != qatomic_read(&u->revoked) ||
        (is_write && protected != qatomic_read(&u->protected))) {
        oracle_violation(o, SVM_STRESS_REVOKED_IN_USE, p, unit);
    }
}

void svm_oracle_access(SVMOracle *o, unsigned process, uint64_t offset,
                       void *host, size_t len, bool is_write, unsigned spin,
                       uint8_t *data)
{
    OracleProcess *p = &o->process[process];
    uint64_t first = offset, last = offset + len, end;
    unsigned unit;

    /* A copy of what was free must differ from what is. */
    *data = *data == ORACLE_FREE_BYTE ? 0 : *data;
    qatomic_inc(&o->accesses);
    qatomic_inc(&o->busy);
    while (offset < last) {
        if (!oracle_unit_at(offset, &unit, &end) ||
            host != p->arena + first) {
            oracle_violation(o, SVM_STRESS_OUTSIDE, p, unit);
            break;
        }
        end = MIN(end, last);
        oracle_access_unit(o, p, unit, offset, end - offset, is_write, spin,
                           data);
        offset = end;
    }
    qatomic_dec(&o->busy);
}

uint64_t svm_oracle_count(SVMOracle *o, hwaddr reg)
{
    switch (reg) {
    case SVM_STRESS_VIOLATIONS:
        return qatomic_read(&o->violations);
    case SVM_STRESS_ACCESSES:
        return qatomic_read(&o->accesses);
    case SVM_STRESS_BUSY:
        return qatomic_read(&o->busy);
    case SVM_STRESS_CHANGES:
        return qatomic_read(&o->changes);
    case SVM_STRESS_WRITES:
        return qatomic_read(&o->writes);
    default:
        break;
    }
    QEMU_LOCK_GUARD(&o->lock);
    return o->first;
}
