/*
 * QTest testcase for SVM: translation requests (ATS) with PASID through VT-d's
 * first-stage tables, and the translated requests that follow
 *
 * PCIe r6.0, 10.2; VT-d rev 4.1, 3.6, 3.15 and 4.2. PRI is disabled here: the
 * endpoint fails at the first translation that lacks a permission. Unless a
 * case takes a fault there must be none: qvtd_svm_stop() sees to that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/vtd-svm.h"

#define PAGE    (4 * KiB)
#define IOVA    0x7f1234560000ULL
#define HUGE    0x7f0000000000ULL   /* aligned to all page sizes */
#define HUGE_PA (1 * GiB)           /* likewise, second half of memory */

/*
 * Page sizes
 */

typedef struct PageSize {
    const char *path;
    const char *flags_path;
    int level;
    uint64_t size;
} PageSize;

static const PageSize page_sizes[] = {
    { "/svm/ats/a-4-KiB-page-is-translated",
      "/svm/ats/accessed-and-dirty-are-set-for-a-4-KiB-page", 1, 4 * KiB },
    { "/svm/ats/a-2-MiB-page-is-translated",
      "/svm/ats/accessed-and-dirty-are-set-for-a-2-MiB-page", 2, 2 * MiB },
    { "/svm/ats/a-1-GiB-page-is-translated",
      "/svm/ats/accessed-and-dirty-are-set-for-a-1-GiB-page", 3, 1 * GiB },
};

/* At both ends of the page, next to what must not change */
static void test_page_size(const void *data)
{
    const PageSize *p = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t last = HUGE_PA + p->size - PAGE;

    qvtd_fs_map(f->v, f->table, HUGE, HUGE_PA, p->level, QVTD_FS_USER_RW);
    qvtd_svm_poison(f, HUGE_PA, PAGE);
    qvtd_svm_poison(f, last, PAGE);
    g_assert(qsvm_write(&f->svm, HUGE + 0x11, 0x100));
    g_assert(qsvm_write(&f->svm, HUGE + p->size - 0x100, 0x100));
    g_assert(qvtd_svm_is_poisoned(f, HUGE_PA, 0x11));
    g_assert(qvtd_svm_is_written(f, HUGE_PA + 0x11, 0x100, 0));
    g_assert(qvtd_svm_is_poisoned(f, HUGE_PA + 0x111, 0x100));
    g_assert(qvtd_svm_is_written(f, last + PAGE - 0x100, 0x100, 0));
    g_assert(qvtd_svm_is_poisoned(f, last + PAGE - 0x200, 0x100));
    g_assert(qvtd_svm_reads(f, HUGE + p->size / 2, HUGE_PA + p->size / 2));
    qvtd_svm_stop(f);
}

/* Bits that mean something to others: PWT, PCD, G and what is ignored */
#define OTHER_BITS  (3ULL << 3 | QVTD_FS_G | 1ULL << 9 | 1ULL << 11 | \
                     0x7ffULL << 52)

/* 3.6.2: A on each level, D on the leaf by a write alone, nothing else */
static void check_flags(QVTDSVM *f, const PageSize *p, uint64_t leaf_flags)
{
    uint64_t leaf = HUGE_PA | QVTD_FS_USER_RW | OTHER_BITS |
                    (p->level > 1 ? QVTD_FS_PS : 0);

    g_assert_cmphex(qvtd_pte(f->v, f->table, HUGE, p->level), ==,
                    leaf | leaf_flags);
    for (int level = 4; level > p->level; level--) {
        uint64_t entry = qvtd_pte(f->v, f->table, HUGE, level);

        g_assert_cmphex(entry & ~QVTD_PTE_ADDR_MASK, ==,
                        QVTD_FS_USER_RW | QVTD_FS_A);
    }
}

static void test_flags(const void *data)
{
    const PageSize *p = data;
    QVTDSVM *f = qvtd_svm_start();

    qvtd_fs_map(f->v, f->table, HUGE, HUGE_PA, p->level,
                QVTD_FS_USER_RW | OTHER_BITS);
    g_assert(qvtd_svm_reads(f, HUGE, HUGE_PA));
    check_flags(f, p, QVTD_FS_A);
    g_assert(qvtd_svm_writes(f, HUGE, HUGE_PA));
    check_flags(f, p, QVTD_FS_A | QVTD_FS_D);
    qvtd_svm_stop(f);
}

/*
 * Permissions
 */

typedef struct Permission {
    const char *path;
    uint64_t leaf;          /* flags of the leaf */
    uint64_t cleared;       /* flags that the entry above it lacks */
    uint64_t entry;         /* flags of the PASID entry */
    bool priv;              /* privileged requests */
    bool read;              /* what is granted */
    bool write;
} Permission;

static const Permission permissions[] = {
    { "/svm/ats/a-user-page-is-read-and-written",
      QVTD_FS_USER_RW, .read = true, .write = true },
    { "/svm/ats/a-read-only-page-is-read-and-not-written",
      QVTD_FS_USER_RO, .read = true },
    { "/svm/ats/a-page-below-a-read-only-entry-is-not-written",
      QVTD_FS_USER_RW, .cleared = QVTD_FS_RW, .read = true },
    { "/svm/ats/a-supervisor-page-is-refused-to-a-user-request",
      QVTD_FS_P | QVTD_FS_RW },
    { "/svm/ats/a-page-below-a-supervisor-entry-is-refused-to-a-user-request",
      QVTD_FS_USER_RW, .cleared = QVTD_FS_US },
    { "/svm/ats/SRE-gives-a-user-request-no-supervisor-page",
      QVTD_FS_P | QVTD_FS_RW, .entry = QVTD_PE_SRE },
    { "/svm/ats/a-privileged-request-needs-SRE",
      QVTD_FS_USER_RW, .priv = true },
    { "/svm/ats/a-privileged-request-is-granted-a-supervisor-page",
      QVTD_FS_P | QVTD_FS_RW, .entry = QVTD_PE_SRE, .priv = true,
      .read = true, .write = true },
    { "/svm/ats/a-privileged-request-is-granted-a-user-page",
      QVTD_FS_USER_RW, .entry = QVTD_PE_SRE, .priv = true,
      .read = true, .write = true },
    { "/svm/ats/a-privileged-write-to-a-read-only-page-is-granted-without-WPE",
      QVTD_FS_USER_RO, .entry = QVTD_PE_SRE, .priv = true,
      .read = true, .write = true },
    { "/svm/ats/WPE-protects-a-read-only-page-from-a-privileged-write",
      QVTD_FS_USER_RO, .entry = QVTD_PE_SRE | QVTD_PE_WPE, .priv = true,
      .read = true },
    { "/svm/ats/XD-without-NXE-is-ignored",
      QVTD_FS_USER_RW | QVTD_FS_XD, .read = true, .write = true },
    { "/svm/ats/XD-with-NXE-refuses-neither-reads-nor-writes",
      QVTD_FS_USER_RW | QVTD_FS_XD, .entry = QVTD_PE_NXE, .read = true,
      .write = true },
};

static void test_permission(const void *data)
{
    const Permission *p = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, p->leaf);
    uint64_t above = qvtd_pte_addr(f->v, f->table, IOVA, 2);
    uint64_t leaf;

    qtest_writeq(f->qts, above, qtest_readq(f->qts, above) & ~p->cleared);
    qvtd_svm_set_entry(f, p->entry);
    qsvm_writeq(&f->svm, SVM_REG_OPTIONS, p->priv ? SVM_OPT_PRIV : 0);
    /* Twice: what the read left in the cache must not grant more */
    g_assert(qvtd_svm_reads(f, IOVA, page) == p->read);
    g_assert(qvtd_svm_writes(f, IOVA, page) == p->write);
    g_assert(qvtd_svm_reads(f, IOVA, page) == p->read);

    leaf = qvtd_pte(f->v, f->table, IOVA, 1);
    g_assert_cmphex(leaf & ~QVTD_FS_A, ==,
                    page | p->leaf | (p->write ? QVTD_FS_D : 0));
    g_assert(!p->read || (leaf & QVTD_FS_A));
    qvtd_svm_stop(f);
}

/*
 * Buffers
 */

typedef struct Crossing {
    const char *path;
    int first;              /* level of the leaf */
    int second;
} Crossing;

static const Crossing crossings[] = {
    { "/svm/ats/a-buffer-crosses-4-KiB-pages", 1, 1 },
    { "/svm/ats/a-buffer-crosses-from-a-4-KiB-into-a-2-MiB-page", 1, 2 },
    { "/svm/ats/a-buffer-crosses-from-a-2-MiB-into-a-4-KiB-page", 2, 1 },
    { "/svm/ats/a-buffer-crosses-2-MiB-pages", 2, 2 },
    { "/svm/ats/a-buffer-crosses-from-a-2-MiB-into-a-1-GiB-page", 2, 3 },
    { "/svm/ats/a-buffer-crosses-1-GiB-pages", 3, 3 },
};

/* The second page precedes the first one in memory */
static void test_crossing(const void *data)
{
    const Crossing *c = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t first_size = page_sizes[c->first - 1].size;
    uint64_t first_end = HUGE_PA + first_size;

    qvtd_fs_map(f->v, f->table, HUGE - first_size, HUGE_PA, c->first,
                QVTD_FS_USER_RW);
    qvtd_fs_map(f->v, f->table, HUGE, 0, c->second, QVTD_FS_USER_RW);
    qvtd_svm_poison(f, first_end - 0x200, 0x200);
    qvtd_svm_poison(f, 0, 0x200);
    g_assert(qsvm_write(&f->svm, HUGE - 0x103, 0x203));
    g_assert(qvtd_svm_is_poisoned(f, first_end - 0x200, 0xfd));
    g_assert(qvtd_svm_is_written(f, first_end - 0x103, 0x103, 0));
    g_assert(qvtd_svm_is_written(f, 0, 0x100, 0x103));
    g_assert(qvtd_svm_is_poisoned(f, 0x100, 0x100));
    qvtd_svm_stop(f);
}

/* More pages than one translation request returns, scattered */
static void check_scattered(const char *svm_opts)
{
    enum { PAGES = 300 };
    QVTDSVM *f = qvtd_svm_start_with("", svm_opts);
    uint64_t pa = qvtd_alloc(f->v, PAGES * PAGE, PAGE);

    for (int i = 0; i < PAGES; i++) {
        qvtd_fs_map(f->v, f->table, IOVA + i * PAGE,
                    pa + (PAGES - 1 - i) * PAGE, 1, QVTD_FS_USER_RW);
    }
    g_assert(qsvm_write(&f->svm, IOVA, PAGES * PAGE));
    for (int i = 0; i < PAGES; i++) {
        g_assert(qvtd_svm_is_written(f, pa + (PAGES - 1 - i) * PAGE, PAGE,
                                     i * PAGE));
    }
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_BYTES_WRITTEN), ==,
                     PAGES * PAGE);
    qvtd_svm_stop(f);
}

static void test_scattered(void)
{
    check_scattered("");
}

static void test_small_cache(void)
{
    check_scattered("x-atc-entries=2");
}

static void test_iothread(void)
{
    check_scattered("iothread=io -object iothread,id=io");
}

static void test_empty_buffer(void)
{
    QVTDSVM *f = qvtd_svm_start();

    g_assert(qsvm_write(&f->svm, IOVA, 0));
    g_assert(qsvm_read(&f->svm, IOVA, 0, SVM_CRC_INIT));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_ATS_REQUESTS), ==, 0);
    qvtd_svm_stop(f);
}

static void test_read_crc(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RO);
    uint8_t bytes[256];
    uint8_t crc;

    for (int i = 0; i < sizeof(bytes); i++) {
        bytes[i] = i ^ 0x5a;
    }
    qtest_bufwrite(f->qts, page + 1, bytes, sizeof(bytes));
    crc = qsvm_crc(SVM_CRC_INIT, bytes, sizeof(bytes));
    g_assert(qsvm_read(&f->svm, IOVA + 1, sizeof(bytes), crc));
    g_assert(!qsvm_read(&f->svm, IOVA + 1, sizeof(bytes), crc ^ 1));
    g_assert(!qsvm_read(&f->svm, IOVA + 2, sizeof(bytes), crc));
    qvtd_svm_stop(f);
}

/*
 * Holes
 */

/* What is not present belongs to the OS: a page that was swapped out */
#define SWAP_ENTRY  0x00123456789abc1eULL

typedef struct Hole {
    const char *path;
    int level;
} Hole;

static const Hole holes[] = {
    { "/svm/ats/a-page-that-is-not-present-ends-the-command", 1 },
    { "/svm/ats/a-page-table-that-is-not-present-ends-the-command", 2 },
    { "/svm/ats/a-page-directory-that-is-not-present-ends-the-command", 3 },
    { "/svm/ats/a-PML4-entry-that-is-not-present-ends-the-command", 4 },
};

/* The page before it is written; a hole is no fault */
static void test_hole(const void *data)
{
    const Hole *h = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, HUGE - PAGE, QVTD_FS_USER_RW);
    uint64_t hole = qvtd_svm_map(f, HUGE, QVTD_FS_USER_RW);
    uint64_t entry = qvtd_pte_addr(f->v, f->table, HUGE, h->level);

    qvtd_svm_poison(f, hole, PAGE);
    qtest_writeq(f->qts, entry, SWAP_ENTRY);
    g_assert(!qsvm_write(&f->svm, HUGE - PAGE, 2 * PAGE));
    g_assert(qvtd_svm_is_written(f, page, PAGE, 0));
    g_assert(qvtd_svm_is_poisoned(f, hole, PAGE));
    g_assert_cmphex(qtest_readq(f->qts, entry), ==, SWAP_ENTRY);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_ATS_HOLES), >=, 1);
    qvtd_svm_stop(f);
}

/*
 * The address space
 */

#define INTERRUPTS      0xfee00000ULL
#define INTERRUPTS_END  0xfef00000ULL

static void test_interrupt_range(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t first = qvtd_svm_map(f, INTERRUPTS, QVTD_FS_USER_RW);
    uint64_t last = qvtd_svm_map(f, INTERRUPTS_END - PAGE, QVTD_FS_USER_RW);
    uint64_t before = qvtd_svm_map(f, INTERRUPTS - PAGE, QVTD_FS_USER_RW);
    uint64_t after = qvtd_svm_map(f, INTERRUPTS_END, QVTD_FS_USER_RW);

    g_assert(!qvtd_svm_writes(f, INTERRUPTS, first));
    g_assert(!qvtd_svm_reads(f, INTERRUPTS, first));
    g_assert(!qvtd_svm_writes(f, INTERRUPTS_END - PAGE, last));
    g_assert(qvtd_svm_writes(f, INTERRUPTS - PAGE, before));
    g_assert(qvtd_svm_writes(f, INTERRUPTS_END, after));
    qvtd_svm_stop(f);
}

/* The bytes that would arrive are a message for a vector of CPU 0 */
#define VECTOR  0x47

static void test_interrupt_range_unmapped(void)
{
    QVTDSVM *f = qvtd_svm_start();

    qvtd_svm_map(f, INTERRUPTS - PAGE, QVTD_FS_USER_RW);
    g_assert(!qsvm_write(&f->svm, INTERRUPTS - VECTOR, VECTOR + 4));
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    g_assert(!qsvm_read(&f->svm, INTERRUPTS, 4, 0));
    qvtd_svm_stop(f);
}

/* Usable outside of the range, and a buffer that runs into it stops there */
static void check_page_around_interrupts(uint64_t start, int level)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t to_pa = HUGE_PA - start;
    uint64_t at = INTERRUPTS_END + to_pa;

    qvtd_fs_map(f->v, f->table, start, HUGE_PA, level, QVTD_FS_USER_RW);
    g_assert(qvtd_svm_writes(f, INTERRUPTS_END, at));
    g_assert(!qvtd_svm_writes(f, INTERRUPTS, INTERRUPTS + to_pa));
    g_assert(qvtd_svm_writes(f, INTERRUPTS_END + PAGE, at + PAGE));
    g_assert(!qvtd_svm_writes(f, INTERRUPTS_END - PAGE, at - PAGE));
    if (start < INTERRUPTS) {
        at = INTERRUPTS + to_pa;
        qvtd_svm_poison(f, at, PAGE);
        g_assert(!qsvm_write(&f->svm, INTERRUPTS - PAGE, 2 * PAGE));
        g_assert(qvtd_svm_is_written(f, at - PAGE, PAGE, 0));
        g_assert(qvtd_svm_is_poisoned(f, at, PAGE));
    }
    qvtd_svm_stop(f);
}

static void test_2m_page_around_interrupts(void)
{
    check_page_around_interrupts(INTERRUPTS, 2);
}

static void test_1g_page_around_interrupts(void)
{
    check_page_around_interrupts(3 * GiB, 3);
}

#define UPPER_HALF  0xffff800000000000ULL

static void test_upper_half(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t first = qvtd_svm_map(f, UPPER_HALF, QVTD_FS_USER_RW);
    uint64_t top = qvtd_svm_map(f, -PAGE, QVTD_FS_USER_RW);

    g_assert(qvtd_svm_writes(f, UPPER_HALF, first));
    g_assert(qsvm_write(&f->svm, -PAGE, PAGE));
    g_assert(qvtd_svm_is_written(f, top, PAGE, 0));
    qvtd_svm_stop(f);
}

static void test_beyond_top(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t zero = qvtd_svm_map(f, 0, QVTD_FS_USER_RW);
    QVTDFault fault;

    qvtd_svm_map(f, -PAGE, QVTD_FS_USER_RW);
    qvtd_svm_poison(f, zero, PAGE);
    g_assert(!qsvm_write(&f->svm, -PAGE, PAGE + 1));
    g_assert(qvtd_svm_is_poisoned(f, zero, PAGE));
    qvtd_pop_fault(f->v, &fault);
    qvtd_svm_stop(f);
}

/* It differs from a mapped address in bits that no table has an index for */
static void check_non_canonical(uint64_t bad, uint64_t good)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, good, QVTD_FS_USER_RW);
    QVTDFault fault;

    g_assert(!qvtd_svm_writes(f, bad, page));
    g_assert(qvtd_svm_writes(f, good, page));
    g_assert(!qvtd_svm_writes(f, bad, page));
    /* Whether it is a fault, too, is left to the unit */
    qvtd_pop_fault(f->v, &fault);
    qvtd_svm_stop(f);
}

static void test_non_canonical(void)
{
    check_non_canonical(0x0000800000000000ULL, UPPER_HALF);
    check_non_canonical(0x0001000000001000ULL, 0x1000);
    check_non_canonical(0xfffe800000000000ULL, UPPER_HALF);
}

/*
 * Enables, and translated requests
 */

static void set_master(QVTDSVM *f, bool on)
{
    qpci_config_writew(f->svm.dev, PCI_COMMAND, PCI_COMMAND_MEMORY |
                       (on ? PCI_COMMAND_MASTER : 0));
}

static void set_ats(QVTDSVM *f, bool on)
{
    qsvm_set_ats(&f->svm, on);
}

static void set_translation(QVTDSVM *f, bool on)
{
    qvtd_set_translation(f->v, on);
}

typedef struct Enable {
    const char *path;
    void (*set)(QVTDSVM *f, bool on);
} Enable;

static const Enable enables[] = {
    { "/svm/ats/a-function-that-is-not-bus-master-sends-no-request",
      set_master },
    { "/svm/ats/a-function-whose-ATS-is-disabled-sends-no-request", set_ats },
    { "/svm/ats/a-unit-that-does-not-translate-answers-no-request",
      set_translation },
};

static void test_enable(const void *data)
{
    const Enable *e = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    e->set(f, false);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_ATS_RESULTS), ==, 0);
    e->set(f, true);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_svm_stop(f);
}

/* 4.2.4: the device has its translation already, and still has it later */
static void test_translated_request(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    uint64_t requests;
    QVTDFault fault;

    g_assert(qvtd_svm_writes(f, IOVA, page));
    requests = qsvm_readq(&f->svm, SVM_STAT_ATS_REQUESTS);

    qvtd_svm_set_context(f, QVTD_SVM_CONTEXT & ~QVTD_CE_DTE);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    fault = qvtd_svm_take_fault(f);
    g_assert_cmphex(fault.addr, ==, page);
    g_assert(!fault.read);
    g_assert(!qvtd_svm_reads(f, IOVA, page));
    fault = qvtd_svm_take_fault(f);
    g_assert_cmphex(fault.addr, ==, page);
    g_assert(fault.read);

    qvtd_svm_set_context(f, QVTD_SVM_CONTEXT);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_ATS_REQUESTS), ==, requests);
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(page_sizes); i++) {
        qtest_add_data_func(page_sizes[i].path, &page_sizes[i],
                            test_page_size);
        qtest_add_data_func(page_sizes[i].flags_path, &page_sizes[i],
                            test_flags);
    }
    for (int i = 0; i < ARRAY_SIZE(permissions); i++) {
        qtest_add_data_func(permissions[i].path, &permissions[i],
                            test_permission);
    }
    for (int i = 0; i < ARRAY_SIZE(crossings); i++) {
        qtest_add_data_func(crossings[i].path, &crossings[i], test_crossing);
    }
    for (int i = 0; i < ARRAY_SIZE(holes); i++) {
        qtest_add_data_func(holes[i].path, &holes[i], test_hole);
    }
    for (int i = 0; i < ARRAY_SIZE(enables); i++) {
        qtest_add_data_func(enables[i].path, &enables[i], test_enable);
    }
    qtest_add_func("/svm/ats/a-buffer-has-more-pages-than-a-request-returns",
                   test_scattered);
    qtest_add_func("/svm/ats/a-buffer-has-more-pages-than-the-cache-holds",
                   test_small_cache);
    qtest_add_func("/svm/ats/requests-come-from-an-iothread", test_iothread);
    qtest_add_func("/svm/ats/a-buffer-without-bytes-is-not-translated",
                   test_empty_buffer);
    qtest_add_func("/svm/ats/the-device-reads-what-the-process-sees",
                   test_read_crc);
    qtest_add_func("/svm/ats/the-interrupt-range-is-refused-though-mapped",
                   test_interrupt_range);
    qtest_add_func("/svm/ats/the-interrupt-range-is-refused-unmapped",
                   test_interrupt_range_unmapped);
    qtest_add_func("/svm/ats/a-2-MiB-page-is-usable-outside-of-the-interrupts",
                   test_2m_page_around_interrupts);
    qtest_add_func("/svm/ats/a-1-GiB-page-is-usable-outside-of-the-interrupts",
                   test_1g_page_around_interrupts);
    qtest_add_func("/svm/ats/the-upper-half-is-translated-up-to-its-top",
                   test_upper_half);
    qtest_add_func("/svm/ats/a-buffer-beyond-the-top-fails", test_beyond_top);
    qtest_add_func("/svm/ats/a-non-canonical-address-fails",
                   test_non_canonical);
    qtest_add_func("/svm/ats/a-translated-request-needs-DTE",
                   test_translated_request);
    return g_test_run();
}
