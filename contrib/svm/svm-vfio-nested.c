/*
 * svm-vfio: first-stage tables of the program, nested in an I/O address space
 *
 * What a virtual machine monitor does for a guest that has an IOMMU: tables and
 * buffers are in an arena that the program has mapped, and the tables hold
 * addresses of that mapping. The device sets Accessed and Dirty in them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <string.h>

#include "svm-vfio.h"

/* Where the arena is mapped */
#define ARENA       (5 * GIB)

/* What the endpoint calls the buffer: it has a last-level table for itself */
#define BUFFER_4    0x5a5a5a400000UL
#define BUFFER_5    0x5a5a5a5a400000UL

#define DATA        64          /* pages of the buffer */
#define SPARE       10          /* pages that replace some */
#define FIRST_DATA  5           /* the pages before it hold tables */
#define ARENA_PAGES (FIRST_DATA + DATA + SPARE)

#define PTE_PRESENT     (1UL << 0)
#define PTE_WRITE       (1UL << 1)
#define PTE_USER        (1UL << 2)
#define PTE_ACCESSED    (1UL << 5)
#define PTE_DIRTY       (1UL << 6)
#define PTE_ALL         (PTE_PRESENT | PTE_WRITE | PTE_USER)

/**
 * struct nested - tables, and the buffer that they lead to
 * @space: the address space
 * @table: name of the tables
 * @levels: 4 or 5
 * @buffer: the endpoint's address of the buffer
 * @arena: tables, then pages
 * @page: which page of the arena is which page of the buffer
 * @refuse: answer Invalid Request to page requests
 * @requests: page requests so far
 */
struct nested {
    struct vfio_space space;
    uint32_t table;
    unsigned levels;
    uint64_t buffer;
    uint8_t *arena;
    unsigned page[DATA];
    bool refuse;
    size_t requests;
};

/* The entry for @addr in the table of @level, of which there is one only */
static uint64_t *entry_at(struct nested *n, unsigned level, uint64_t addr)
{
    uint64_t *table = (void *)(n->arena + (n->levels - level) * PAGE);

    return table + (addr >> (12 + 9 * (level - 1)) & 511);
}

static uint64_t read_entry(struct nested *n, unsigned level, unsigned page)
{
    return __atomic_load_n(entry_at(n, level, n->buffer + page * PAGE),
                           __ATOMIC_SEQ_CST);
}

static void write_entry(struct nested *n, unsigned level, unsigned page,
                        uint64_t value)
{
    __atomic_store_n(entry_at(n, level, n->buffer + page * PAGE), value,
                     __ATOMIC_SEQ_CST);
}

static void set_page(struct nested *n, unsigned page, uint64_t flags)
{
    write_entry(n, 1, page, flags ? (ARENA + n->page[page] * PAGE) | flags : 0);
}

static void invalidate(struct nested *n, unsigned page, size_t pages)
{
    vfio_invalidate(n->space.v, n->table, n->buffer + page * PAGE, pages);
}

static uint8_t *data(struct nested *n, unsigned page)
{
    return n->arena + n->page[page] * PAGE;
}

static void nested_init(struct nested *n, struct vfio *v, uint32_t pasid,
                        unsigned levels)
{
    memset(n, 0, sizeof(*n));
    n->levels = levels;
    n->buffer = levels == 5 ? BUFFER_5 : BUFFER_4;
    n->arena = svm_map_small(ARENA_PAGES * PAGE);
    n->table = vfio_attach_nested(&n->space, v, pasid, ARENA,
                                  levels == 5 ? 57 : 48);
    vfio_map(&n->space, ARENA, n->arena, ARENA_PAGES * PAGE, true);

    for (unsigned level = levels; level > 1; level--) {
        write_entry(n, level, 0,
                    (ARENA + (levels - level + 1) * PAGE) | PTE_ALL);
    }
    for (unsigned i = 0; i < DATA; i++) {
        /* Neighbours in the buffer are none in the arena: 37 is odd */
        n->page[i] = FIRST_DATA + i * 37 % DATA;
        svm_fill(data(n, i), PAGE, GUARD_BYTE);
        set_page(n, i, PTE_ALL);
    }
}

static void nested_fini(struct nested *n)
{
    vfio_detach(&n->space);
    vfio_unmap(&n->space, ARENA, ARENA_PAGES * PAGE);
    svm_unmap(n->arena, ARENA_PAGES * PAGE);
}

static void answer(struct nested *n, const struct iommu_hwpt_pgfault *fault)
{
    bool has_pasid = fault->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID;
    uint64_t page = (fault->addr - n->buffer) / PAGE;

    if (has_pasid != (n->space.pasid != SVM_PASID_NONE) || page >= DATA) {
        svm_fail("a page request for 0x%llx", fault->addr);
    }
    n->requests++;
    if (!n->refuse) {
        set_page(n, page, PTE_ALL);
    }
    if (fault->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE) {
        vfio_respond(n->space.v, fault->cookie,
                     n->refuse ? IOMMUFD_PAGE_RESP_INVALID :
                                 IOMMUFD_PAGE_RESP_SUCCESS);
    }
}

/* Pages @from to before @to: does the command succeed? */
static bool run(struct nested *n, uint32_t op, unsigned from, unsigned to,
                uint8_t crc)
{
    static struct iommu_hwpt_pgfault faults[VFIO_FAULTS];
    size_t number;

    vfio_start(&n->space, op, n->buffer + from * PAGE, (to - from) * PAGE, crc);
    while ((number = vfio_wait_fault(n->space.v, faults))) {
        for (size_t i = 0; i < number; i++) {
            answer(n, &faults[i]);
        }
    }
    return vfio_wait(n->space.v) == SVM_STATUS_OK;
}

/* The buffer as the endpoint sees it */
static uint8_t *gather(struct nested *n, unsigned from, unsigned to)
{
    static uint8_t buf[DATA * PAGE];

    for (unsigned i = from; i < to; i++) {
        memcpy(buf + (i - from) * PAGE, data(n, i), PAGE);
    }
    return buf;
}

static void check_write(struct nested *n, unsigned from, unsigned to)
{
    if (!run(n, SVM_CMD_WRITE, from, to, 0)) {
        svm_fail("the device could not write through nested tables");
    }
    svm_check_pattern(gather(n, from, to), (to - from) * PAGE,
                      "what the device wrote");
}

static void check_read(struct nested *n, unsigned from, unsigned to)
{
    uint8_t crc = svm_crc(gather(n, from, to), (to - from) * PAGE) ^
                  svm_injected_error();

    if (!run(n, SVM_CMD_READ, from, to, crc) ||
        run(n, SVM_CMD_READ, from, to, crc ^ 1)) {
        svm_fail("the device did not read CRC 0x%x through nested tables",
                 crc);
    }
}

static void check_flags(struct nested *n, unsigned level, unsigned from,
                        unsigned to, uint64_t expected)
{
    for (unsigned i = from; i < to; i++) {
        uint64_t flags = read_entry(n, level, i) &
                         (PTE_ACCESSED | PTE_DIRTY);

        if (flags != expected) {
            svm_fail("Accessed and Dirty of page %u in level %u are 0x%lx",
                     i, level, flags);
        }
    }
}

/* Accessed where the device was, Dirty in the last level where it wrote */
static void check_accessed_dirty(struct nested *n)
{
    check_flags(n, 1, 0, DATA, 0);
    check_write(n, 0, 20);
    check_read(n, 20, 40);
    check_flags(n, 1, 0, 20, PTE_ACCESSED | PTE_DIRTY);
    check_flags(n, 1, 20, 40, PTE_ACCESSED);
    check_flags(n, 1, 40, DATA, 0);
    for (unsigned level = 2; level <= n->levels; level++) {
        check_flags(n, level, 0, 1, PTE_ACCESSED);
    }
}

/* Pages that are replaced by others, which the device has to ask for */
static void check_replaced(struct nested *n)
{
    unsigned old[SPARE];

    for (unsigned i = 0; i < SPARE; i++) {
        set_page(n, 4 + i, 0);
    }
    invalidate(n, 4, SPARE);
    for (unsigned i = 0; i < SPARE; i++) {
        old[i] = n->page[4 + i];
        svm_fill(data(n, 4 + i), PAGE, GUARD_BYTE);
        n->page[4 + i] = FIRST_DATA + DATA + i;
    }
    n->requests = 0;
    check_write(n, 0, 20);
    if (n->requests != SPARE) {
        svm_fail("%zu page requests for %d pages", n->requests, SPARE);
    }
    for (unsigned i = 0; i < SPARE; i++) {
        svm_check_filled(n->arena + old[i] * PAGE, PAGE, GUARD_BYTE,
                         "a page that the tables lost");
    }
}

/* A page of the supervisor's, then one for reading only */
static void check_permissions(struct nested *n)
{
    n->refuse = true;
    set_page(n, 50, PTE_PRESENT | PTE_WRITE);
    if (run(n, SVM_CMD_WRITE, 50, 51, 0) ||
        run(n, SVM_CMD_READ, 50, 51, svm_crc(data(n, 50), PAGE))) {
        svm_fail("the device used a supervisor page");
    }
    set_page(n, 51, PTE_PRESENT | PTE_USER);
    check_read(n, 51, 52);
    if (run(n, SVM_CMD_WRITE, 51, 52, 0)) {
        svm_fail("the device wrote a read-only page");
    }
    svm_check_filled(data(n, 50), PAGE, GUARD_BYTE, "a supervisor page");
    svm_check_filled(data(n, 51), PAGE, GUARD_BYTE, "a read-only page");
}

static void check_nested(struct vfio *v, uint32_t pasid, unsigned levels)
{
    struct nested n;

    nested_init(&n, v, pasid, levels);
    check_accessed_dirty(&n);
    check_replaced(&n);
    check_permissions(&n);
    nested_fini(&n);
}

void vfio_run_nested(void)
{
    unsigned most;
    struct vfio v;

    vfio_open(&v);
    most = vfio_has_five_levels(&v) ? 5 : 4;
    for (unsigned levels = 4; levels <= most; levels++) {
        check_nested(&v, SVM_PASID_NONE, levels);
        check_nested(&v, 77, levels);
    }
    svm_note("tables of %s levels", most == 5 ? "4 and 5" : "4");
    vfio_close(&v);
}
