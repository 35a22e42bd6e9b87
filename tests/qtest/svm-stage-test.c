/*
 * QTest testcase for SVM: translation requests through each kind of table that
 * VT-d has: first stage, second stage, nested, pass-through, legacy mode
 *
 * VT-d rev 4.1, 3.4 to 3.8, 4.2 and 9.3 to 9.9.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "exec/memory.h"
#include "libqos/svm-testdev.h"

#define PAGE        (4 * KiB)
#define DID         7
#define RID_PASID   5

/* Aligned to 1 GiB */
#define IOVA        0x3540000000ULL
#define PA          (1 * GiB)

/* Where the first stage believes that memory is, under a second */
#define NESTED      (1ULL << 38)

/* IOMMUAccessFlags as a number */
#define NONE        IOMMU_NONE
#define RO          IOMMU_RO
#define WO          IOMMU_WO
#define RW          IOMMU_RW

#define NO_WRITE    SVM_TESTDEV_FLAG_NO_WRITE
#define EXEC        SVM_TESTDEV_FLAG_EXEC
#define PRIV        SVM_TESTDEV_FLAG_PRIV

#define TT_LEGACY   100     /* a kind of table that is no PGTT */

/* IQERCD.IQEI: the type of a descriptor is unknown */
#define IQEI_TYPE   3

/* A kind of table */
typedef struct Kind {
    const char *name;
    const char *iommu_opts;
    unsigned int pgtt;
    int levels;
    bool rid;               /* requests have no PASID */
    uint64_t iova;
} Kind;

typedef struct Machine {
    QTestdev t;
    QVTD *v;
    const Kind *k;
    uint64_t table;
    uint64_t second;
} Machine;

static const Kind first_stage = {
    "first-stage", "", QVTD_PGTT_FS, 4, .iova = IOVA,
};
static const Kind second_stage = {
    "second-stage", "", QVTD_PGTT_SS, 4, .iova = IOVA,
};
static const Kind nested = {
    "nested", "", QVTD_PGTT_NESTED, 4, .iova = IOVA,
};
static const Kind legacy = {
    "legacy-mode", "", TT_LEGACY, 4, true, IOVA,
};
static const Kind five_levels = {
    "5-level-first-stage", "aw-bits=57", QVTD_PGTT_FS, 5,
    .iova = 0x00a5b6c440000000ULL,
};

static bool is_first(const Kind *k)
{
    return k->pgtt == QVTD_PGTT_FS || k->pgtt == QVTD_PGTT_NESTED;
}

/* Tables */

static void set_entry_snoop(Machine *m, uint64_t flags, uint64_t snoop)
{
    uint32_t pasid = m->k->rid ? RID_PASID : QVTD_SVM_PASID;
    QVTDPasidEntry pe = {
        .pgtt = m->k->pgtt, .did = DID, .table = m->table,
        .second = m->second, .snoop = snoop,
        .flags = flags | (m->v->levels == 5 ? QVTD_PE_FSPM_5LEVEL : 0),
    };

    qvtd_set_pasid_entry(m->v, m->t.f->dir, pasid, &pe);
    qvtd_inv(m->v, qvtd_pasid_cache_desc(QVTD_PC_PASID, DID, pasid));
}

static void set_entry(Machine *m, uint64_t flags)
{
    set_entry_snoop(m, flags, 0);
}

/* The first stage finds its tables where they are, and data above NESTED */
static void map_second_stage(Machine *m)
{
    m->second = qvtd_alloc_page(m->v);
    for (uint64_t pa = 0; pa < 2 * GiB; pa += GiB) {
        qvtd_ss_map(m->v, m->second, pa, pa, 3, QVTD_SS_RW);
        qvtd_ss_map(m->v, m->second, NESTED + pa, pa, 3, QVTD_SS_RW);
    }
}

static void start(Machine *m, const Kind *k)
{
    *m = (Machine) { .k = k };
    qtestdev_start_with(&m->t, k->iommu_opts, "");
    m->v = m->t.f->v;
    m->v->levels = k->levels;
    m->table = qvtd_alloc_page(m->v);
    if (k->pgtt == QVTD_PGTT_NESTED) {
        map_second_stage(m);
    }
    if (k->rid) {
        m->t.pasid = QVTD_NO_PASID;
    }
    if (k->pgtt == TT_LEGACY) {
        qvtd_enter_legacy_mode(m->v, m->t.sid, VTD_CONTEXT_TT_DEV_IOTLB, DID,
                               m->table);
        return;
    }
    set_entry(m, 0);
    qvtd_set_context(m->v, m->t.sid, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS,
                     m->t.f->dir, k->rid ? RID_PASID : 0);
    qvtd_inv_all(m->v);
}

static void stop(Machine *m)
{
    qtestdev_stop(&m->t);
}

static void map_flags(Machine *m, uint64_t iova, uint64_t pa, int level,
                      uint64_t flags)
{
    if (m->k->pgtt == QVTD_PGTT_NESTED) {
        pa += NESTED;
    }
    if (is_first(m->k)) {
        qvtd_fs_map(m->v, m->table, iova, pa, level, flags);
    } else {
        qvtd_ss_map(m->v, m->table, iova, pa, level, flags);
    }
}

static void map(Machine *m, uint64_t iova, uint64_t pa, int level, bool write)
{
    if (is_first(m->k)) {
        map_flags(m, iova, pa, level, write ? QVTD_FS_USER_RW
                                            : QVTD_FS_USER_RO);
    } else {
        map_flags(m, iova, pa, level, write ? QVTD_SS_RW : QVTD_SS_R);
    }
}

/* Requests */

static int64_t translate(Machine *m, uint64_t addr, unsigned int flags)
{
    return qtestdev_translate(&m->t, addr, PAGE, flags);
}

static void expect_result(Machine *m, unsigned int n, uint64_t iova,
                          uint64_t pa, uint64_t size, unsigned int perm)
{
    QTestdev *t = &m->t;

    g_assert_cmphex(qtestdev_result(t, n, SVM_TESTDEV_RESULT_IOVA), ==, iova);
    g_assert_cmphex(qtestdev_result(t, n, SVM_TESTDEV_RESULT_MASK), ==,
                    size - 1);
    g_assert_cmphex(qtestdev_result(t, n, SVM_TESTDEV_RESULT_ADDR), ==, pa);
    g_assert_cmphex(qtestdev_result(t, n, SVM_TESTDEV_RESULT_PERM), ==, perm);
}

/* One page at @iova that leads to @pa, asked for by an address in it */
static void expect_page(Machine *m, uint64_t iova, uint64_t pa, uint64_t size,
                        unsigned int flags, unsigned int perm)
{
    g_assert_cmpint(translate(m, iova + size - PAGE, flags), ==, 1);
    expect_result(m, 0, iova, perm ? pa : 0, size, perm);
}

static void expect_perm(Machine *m, uint64_t addr, unsigned int flags,
                        unsigned int perm)
{
    g_assert_cmpint(translate(m, addr, flags), ==, 1);
    g_assert_cmphex(qtestdev_result(&m->t, 0, SVM_TESTDEV_RESULT_PERM), ==,
                    perm);
}

static QVTDFault take_fault(Machine *m, unsigned int reason)
{
    QVTDFault fault;

    g_assert(qvtd_pop_fault(m->v, &fault));
    g_assert_cmphex(fault.reason, ==, reason);
    g_assert_cmphex(fault.sid, ==, m->t.sid);
    g_assert_cmpint(fault.has_pasid, ==, m->t.pasid != QVTD_NO_PASID);
    if (fault.has_pasid) {
        g_assert_cmphex(fault.pasid, ==, m->t.pasid);
    }
    return fault;
}

/* The request as a whole is refused */
static void expect_refusal(Machine *m, unsigned int reason)
{
    QVTDFault fault;

    g_assert_cmpint(translate(m, m->k->iova, 0), ==, -EFAULT);
    fault = take_fault(m, reason);
    g_assert_cmphex(fault.addr, ==, m->k->iova);
    g_assert_cmphex(fault.at, ==, 1);
    g_assert(!fault.page_request);
}

/* A table on the way is broken: a hole, and a fault */
static void expect_broken(Machine *m, uint64_t iova, unsigned int reason)
{
    expect_perm(m, iova, 0, NONE);
    take_fault(m, reason);
}

static void change_pte(Machine *m, uint64_t table, uint64_t iova, int level,
                       uint64_t clear, uint64_t set)
{
    uint64_t addr = qvtd_pte_addr(m->v, table, iova, level);

    qtest_writeq(m->t.qts, addr, (qtest_readq(m->t.qts, addr) & ~clear) | set);
}

/*
 * What all kinds have in common
 */

static const Kind kinds[] = {
    { "first-stage", "", QVTD_PGTT_FS, 4, .iova = IOVA },
    { "first-stage-of-RID_PASID", "", QVTD_PGTT_FS, 4, true, IOVA },
    { "5-level-first-stage", "aw-bits=57", QVTD_PGTT_FS, 5,
      .iova = 0x00a5b6c440000000ULL },
    { "4-level-first-stage-of-a-unit-with-5-levels", "aw-bits=57",
      QVTD_PGTT_FS, 4, .iova = IOVA },
    { "second-stage", "", QVTD_PGTT_SS, 4, .iova = IOVA },
    { "second-stage-of-RID_PASID", "", QVTD_PGTT_SS, 4, true, IOVA },
    { "3-level-second-stage", "", QVTD_PGTT_SS, 3, .iova = IOVA },
    { "5-level-second-stage", "aw-bits=57", QVTD_PGTT_SS, 5,
      .iova = 0x0165b6c440000000ULL },
    { "nested", "", QVTD_PGTT_NESTED, 4, .iova = IOVA },
    { "nested-of-RID_PASID", "", QVTD_PGTT_NESTED, 4, true, IOVA },
    { "5-level-nested", "aw-bits=57", QVTD_PGTT_NESTED, 5,
      .iova = 0x00a5b6c440000000ULL },
    { "legacy-mode", "", TT_LEGACY, 4, true, IOVA },
    { "3-level-legacy-mode", "", TT_LEGACY, 3, true, IOVA },
    { "5-level-legacy-mode", "aw-bits=57", TT_LEGACY, 5, true,
      0x0165b6c440000000ULL },
};

static const uint64_t sizes[] = { 0, 4 * KiB, 2 * MiB, 1 * GiB };

/* One result for each leaf, with its size; a hole is as large as its entry */
static void test_pages(const void *data)
{
    const Kind *k = data;
    Machine m;

    start(&m, k);
    for (int level = 1; level <= 3; level++) {
        uint64_t iova = k->iova + level * GiB;

        map(&m, iova, PA, level, true);
        expect_page(&m, iova, PA, sizes[level], 0, RW);
        if (level < 3) {
            expect_page(&m, iova + sizes[level], 0, sizes[level], 0, NONE);
            map(&m, iova + sizes[level], PA, level, false);
            expect_page(&m, iova + sizes[level], PA, sizes[level], 0, RO);
            g_assert_cmpint(qtestdev_reg(&m.t, SVM_TESTDEV_ERRORS), ==, 1);
        }
    }
    expect_page(&m, k->iova, 0, GiB, 0, NONE);
    stop(&m);
}

/* Neighbours are not merged, even where they are neighbours in memory too */
static void test_range(const void *data)
{
    const Kind *k = data;
    uint64_t iova = k->iova + 2 * MiB - PAGE;
    Machine m;

    start(&m, k);
    map(&m, iova, PA + 2 * MiB - PAGE, 1, true);
    map(&m, iova + PAGE, PA + 2 * MiB, 2, true);
    map(&m, iova + PAGE + 2 * MiB + PAGE, PA, 1, false);
    g_assert_cmpint(qtestdev_translate(&m.t, iova, 2 * MiB + 3 * PAGE, 0), ==,
                    4);
    expect_result(&m, 0, iova, PA + 2 * MiB - PAGE, PAGE, RW);
    expect_result(&m, 1, iova + PAGE, PA + 2 * MiB, 2 * MiB, RW);
    expect_result(&m, 2, iova + PAGE + 2 * MiB, 0, PAGE, NONE);
    expect_result(&m, 3, iova + PAGE + 2 * MiB + PAGE, PA, PAGE, RO);
    g_assert_cmpint(qtestdev_reg(&m.t, SVM_TESTDEV_ERRORS), ==, 2);
    stop(&m);
}

/* Never translated, whatever is mapped there (3.15) */
/* What a request said of a page, and what it left of the page's entry */
typedef struct Page {
    uint64_t result[4];
    uint64_t pte;
} Page;

/* Entries of pages, as a first stage has them, and for a second stage */
static const struct {
    uint64_t first;
    uint64_t second;
} neighbours[] = {
    { QVTD_FS_USER_RW, QVTD_SS_RW },
    { QVTD_FS_USER_RW, QVTD_SS_RW },
    { QVTD_FS_USER_RO, QVTD_SS_R },
    { QVTD_FS_USER_RO, QVTD_SS_R },
    { 0, 0 },
    { 0, 0 },
    { QVTD_FS_USER_RW | QVTD_FS_A | QVTD_FS_D, QVTD_SS_W },
    { QVTD_FS_USER_RW | QVTD_FS_A | QVTD_FS_D, QVTD_SS_W },
    { QVTD_FS_USER_RW | QVTD_FS_A, QVTD_SS_RW },
    { QVTD_FS_P | QVTD_FS_RW, QVTD_SS_R },
    { QVTD_FS_USER_RO | QVTD_FS_A | QVTD_FS_XD, QVTD_SS_RW },
};

#define NEIGHBOURS  (8 * ARRAY_SIZE(neighbours))

static uint64_t neighbour_pte(Machine *m, unsigned int n)
{
    return qvtd_pte_addr(m->v, m->table, m->k->iova + n * PAGE, 1);
}

static void map_neighbours(Machine *m)
{
    for (unsigned int n = 0; n < NEIGHBOURS; n++) {
        unsigned int i = n % ARRAY_SIZE(neighbours);
        uint64_t flags = is_first(m->k) ? neighbours[i].first
                                        : neighbours[i].second;

        map_flags(m, m->k->iova + n * PAGE, PA + (n ^ 5) * PAGE, 1, flags);
        if (!flags) {
            qtest_writeq(m->t.qts, neighbour_pte(m, n), 0);
        }
    }
}

static void read_neighbour(Machine *m, unsigned int result, unsigned int n,
                           Page *page)
{
    QTestdev *t = &m->t;

    page->result[0] = qtestdev_result(t, result, SVM_TESTDEV_RESULT_IOVA);
    page->result[1] = qtestdev_result(t, result, SVM_TESTDEV_RESULT_MASK);
    page->result[2] = qtestdev_result(t, result, SVM_TESTDEV_RESULT_ADDR);
    page->result[3] = qtestdev_result(t, result, SVM_TESTDEV_RESULT_PERM);
    page->pte = qtest_readq(t->qts, neighbour_pte(m, n));
}

/* A request for many pages says of each what one for that page says. */
static void check_neighbours(Machine *m, unsigned int flags)
{
    Page alone[NEIGHBOURS] = { }, page = { };
    unsigned int errors = 0;

    map_neighbours(m);
    for (unsigned int n = 0; n < NEIGHBOURS; n++) {
        g_assert_cmpint(translate(m, m->k->iova + n * PAGE, flags), ==, 1);
        read_neighbour(m, 0, n, &alone[n]);
        errors += qtestdev_reg(&m->t, SVM_TESTDEV_ERRORS);
    }
    map_neighbours(m);
    g_assert_cmpint(qtestdev_translate(&m->t, m->k->iova, NEIGHBOURS * PAGE,
                                       flags), ==, NEIGHBOURS);
    g_assert_cmpint(qtestdev_reg(&m->t, SVM_TESTDEV_ERRORS), ==, errors);
    for (unsigned int n = 0; n < NEIGHBOURS; n++) {
        read_neighbour(m, n, n, &page);
        g_assert_cmpmem(&page, sizeof(page), &alone[n], sizeof(page));
    }
}

static void test_neighbours(const void *data)
{
    const Kind *k = data;
    Machine m;

    start(&m, k);
    check_neighbours(&m, 0);
    check_neighbours(&m, NO_WRITE);
    if (!k->rid) {
        check_neighbours(&m, EXEC);
        check_neighbours(&m, PRIV);
    }
    stop(&m);
}

/* Between pages that are translated a page is broken, and no other. */
static void test_neighbour_broken(void)
{
    Machine m;

    start(&m, &first_stage);
    for (unsigned int n = 0; n < 6; n++) {
        map(&m, IOVA + n * PAGE, n == 2 ? 0xfee00000 : PA + n * PAGE, 1, true);
    }
    g_assert_cmpint(qtestdev_translate(&m.t, IOVA, 6 * PAGE, 0), ==, 6);
    for (unsigned int n = 0; n < 6; n++) {
        expect_result(&m, n, IOVA + n * PAGE, n == 2 ? 0 : PA + n * PAGE,
                      PAGE, n == 2 ? NONE : RW);
    }
    take_fault(&m, VTD_FR_SM_INTERRUPT_ADDR);
    change_pte(&m, m.table, IOVA + 2 * PAGE, 1, UINT64_MAX,
               (1ULL << 50) | QVTD_FS_USER_RW);
    change_pte(&m, m.table, IOVA + 3 * PAGE, 1, QVTD_FS_RW, 0);
    g_assert_cmpint(qtestdev_translate(&m.t, IOVA, 6 * PAGE, 0), ==, 6);
    expect_result(&m, 1, IOVA + PAGE, PA + PAGE, PAGE, RW);
    expect_result(&m, 2, IOVA + 2 * PAGE, 0, PAGE, NONE);
    expect_result(&m, 3, IOVA + 3 * PAGE, PA + 3 * PAGE, PAGE, RO);
    expect_result(&m, 4, IOVA + 4 * PAGE, PA + 4 * PAGE, PAGE, RW);
    take_fault(&m, VTD_FR_FS_PAGING_ENTRY_RSVD);
    stop(&m);
}

static void test_interrupts(const void *data)
{
    const Kind *k = data;
    Machine m;

    start(&m, k);
    map(&m, 3ULL * GiB, PA, 3, true);
    g_assert_cmpint(qtestdev_translate(&m.t, 0xfedff000, 2 * MiB, 0), ==, 3);
    expect_result(&m, 0, 0xfec00000, PA + 0x3ec00000, 2 * MiB, RW);
    expect_result(&m, 1, 0xfee00000, 0, MiB, NONE);
    expect_result(&m, 2, 0xfef00000, PA + 0x3ef00000, MiB, RW);
    stop(&m);
}

/* A page that leads to the interrupt range is broken */
static void test_interrupt_target(const void *data)
{
    const Kind *k = data;
    unsigned int reason = k->pgtt == TT_LEGACY ? VTD_FR_INTERRUPT_ADDR
                                               : VTD_FR_SM_INTERRUPT_ADDR;
    Machine m;

    start(&m, k);
    if (k->pgtt == QVTD_PGTT_NESTED) {
        qvtd_ss_map(m.v, m.second, NESTED + 3ULL * GiB, 3ULL * GiB, 3,
                    QVTD_SS_RW);
    }
    map(&m, k->iova, 0xfee01000, 1, true);
    expect_broken(&m, k->iova, reason);

    /* Of a larger one that leads beside it, too, that part is good */
    map(&m, k->iova + 2 * MiB, 0xfee00000, 2, true);
    expect_page(&m, k->iova + 2 * MiB, 0, MiB, 0, NONE);
    take_fault(&m, reason);
    expect_page(&m, k->iova + 3 * MiB, 0xfef00000, MiB, 0, RW);
    stop(&m);
}

/* 9.8, 9.9: bits of an address that the host does not have */
static void test_reserved(const void *data)
{
    const Kind *k = data;
    unsigned int reason = VTD_FR_SM_SS_ENTRY_RSVD;
    Machine m;

    start(&m, k);
    map(&m, k->iova, PA, 1, true);
    change_pte(&m, m.table, k->iova, 1, 0, 1ULL << 51);
    if (is_first(k)) {
        reason = VTD_FR_FS_PAGING_ENTRY_RSVD;
    } else if (k->pgtt == TT_LEGACY) {
        reason = VTD_FR_PAGING_ENTRY_RSVD;
    }
    expect_broken(&m, k->iova, reason);
    stop(&m);
}

static void test_table_address(const void *data)
{
    const Kind *k = data;
    unsigned int reason = VTD_FR_SM_SS_ENTRY_INV;
    Machine m;

    start(&m, k);
    map(&m, k->iova, PA, 1, true);
    change_pte(&m, m.table, k->iova, 2, QVTD_PTE_ADDR_MASK, QVTD_SVM_NO_RAM);
    if (k->pgtt == QVTD_PGTT_NESTED) {
        /* The second stage has nothing there: that is its miss */
        expect_perm(&m, k->iova, 0, NONE);
        stop(&m);
        return;
    }
    if (is_first(k)) {
        reason = VTD_FR_FS_PAGING_ENTRY_INV;
    } else if (k->pgtt == TT_LEGACY) {
        reason = VTD_FR_PAGING_ENTRY_INV;
    }
    expect_broken(&m, k->iova, reason);
    stop(&m);
}

typedef struct Common {
    const char *path;       /* with the kind for %s */
    void (*test)(const void *data);
} Common;

static const Common commons[] = {
    { "/svm/ats/%s/pages-of-all-sizes-are-translated", test_pages },
    { "/svm/ats/%s/neighbours-are-not-merged", test_range },
    { "/svm/ats/%s/neighbours-are-as-each-is-alone", test_neighbours },
    { "/svm/ats/%s/interrupt-addresses-are-not-translated", test_interrupts },
    { "/svm/ats/%s/a-page-must-not-lead-to-the-interrupt-range",
      test_interrupt_target },
    { "/svm/ats/%s/reserved-bits-are-checked", test_reserved },
    { "/svm/ats/%s/a-table-must-be-in-memory", test_table_address },
};

/*
 * First stage
 */

/* A page, the flags of its PASID entry, and what a request gets */
typedef struct Access {
    const char *path;
    uint64_t leaf;
    uint64_t upper_set;     /* in the entry above */
    uint64_t entry;
    unsigned int flags;
    unsigned int perm;
} Access;

#define XR  (IOMMU_RO | IOMMU_EXEC)
#define XRW (IOMMU_RW | IOMMU_EXEC)
#define PRW (IOMMU_RW | IOMMU_PRIV)
#define USER_RW QVTD_FS_USER_RW
#define KERNEL_RW (QVTD_FS_P | QVTD_FS_RW)

static const Access accesses[] = {
    { "/svm/ats/a-request-without-ER-is-granted-no-Exe", USER_RW,
      .entry = QVTD_PE_ERE, .perm = RW },
    { "/svm/ats/an-execute-request-is-granted-Exe-with-ERE", USER_RW,
      .entry = QVTD_PE_ERE, .flags = EXEC, .perm = XRW },
    { "/svm/ats/an-execute-request-is-granted-no-Exe-without-ERE", USER_RW,
      .flags = EXEC, .perm = RW },
    { "/svm/ats/XD-with-NXE-refuses-Exe", USER_RW | QVTD_FS_XD,
      .entry = QVTD_PE_ERE | QVTD_PE_NXE, .flags = EXEC, .perm = RW },
    { "/svm/ats/XD-above-a-page-refuses-Exe", USER_RW, .upper_set = QVTD_FS_XD,
      .entry = QVTD_PE_ERE | QVTD_PE_NXE, .flags = EXEC, .perm = RW },
    { "/svm/ats/XD-without-NXE-does-not-refuse-Exe", USER_RW | QVTD_FS_XD,
      .entry = QVTD_PE_ERE, .flags = EXEC, .perm = XRW },
    { "/svm/ats/an-execute-request-is-granted-Exe-for-a-read-only-page",
      QVTD_FS_USER_RO,
      .entry = QVTD_PE_ERE, .flags = EXEC | NO_WRITE, .perm = XR },
    { "/svm/ats/SMEP-refuses-Exe-to-a-privileged-request-for-a-user-page",
      USER_RW, .entry = QVTD_PE_ERE | QVTD_PE_SRE | QVTD_PE_SMEP,
      .flags = EXEC | PRIV, .perm = PRW },
    { "/svm/ats/without-SMEP-it-is-granted-Exe", USER_RW,
      .entry = QVTD_PE_ERE | QVTD_PE_SRE, .flags = EXEC | PRIV,
      .perm = PRW | IOMMU_EXEC },
    { "/svm/ats/SMEP-grants-Exe-for-a-supervisor-page", KERNEL_RW,
      .entry = QVTD_PE_ERE | QVTD_PE_SRE | QVTD_PE_SMEP,
      .flags = EXEC | PRIV, .perm = PRW | IOMMU_EXEC },
    { "/svm/ats/a-privileged-request-is-granted-Priv", KERNEL_RW,
      .entry = QVTD_PE_SRE, .flags = PRIV, .perm = PRW },
    { "/svm/ats/NW-is-granted-no-W", USER_RW, .flags = NO_WRITE, .perm = RO },
    { "/svm/ats/a-global-page-is-not-granted-Global", USER_RW | QVTD_FS_G,
      .perm = RW },
};

static void check_access(const Kind *k, const Access *a)
{
    uint64_t leaf;
    Machine m;

    start(&m, k);
    set_entry(&m, a->entry);
    map_flags(&m, k->iova, PA, 1, a->leaf);
    change_pte(&m, m.table, k->iova, 2, 0, a->upper_set);
    expect_perm(&m, k->iova, a->flags, a->perm);
    leaf = qvtd_pte(m.v, m.table, k->iova, 1);
    g_assert_cmphex(leaf & QVTD_FS_A, ==, QVTD_FS_A);
    g_assert_cmphex(leaf & QVTD_FS_D, ==, a->perm & WO ? QVTD_FS_D : 0);
    stop(&m);
}

static void test_access(const void *data)
{
    check_access(&first_stage, data);
    check_access(&nested, data);
    check_access(&five_levels, data);
}

/* 3.6.1: each level has a say, whatever the others grant */
static void check_each_level(const Kind *k)
{
    Machine m;

    start(&m, k);
    set_entry(&m, QVTD_PE_ERE | QVTD_PE_NXE);
    map(&m, k->iova, PA, 1, true);
    for (int level = 1; level <= k->levels; level++) {
        change_pte(&m, m.table, k->iova, level, QVTD_FS_US, 0);
        expect_perm(&m, k->iova, EXEC, NONE);
        change_pte(&m, m.table, k->iova, level, QVTD_FS_RW, QVTD_FS_US);
        expect_perm(&m, k->iova, EXEC, XR);
        change_pte(&m, m.table, k->iova, level, 0, QVTD_FS_RW | QVTD_FS_XD);
        expect_perm(&m, k->iova, EXEC, RW);
        change_pte(&m, m.table, k->iova, level, QVTD_FS_XD | QVTD_FS_P, 0);
        expect_perm(&m, k->iova, EXEC, NONE);
        change_pte(&m, m.table, k->iova, level, QVTD_FS_A, QVTD_FS_P);
        expect_perm(&m, k->iova, EXEC, XRW);
        g_assert_cmphex(qvtd_pte(m.v, m.table, k->iova, level) & QVTD_FS_A, ==,
                        QVTD_FS_A);
    }
    stop(&m);
}

static void test_each_level(void)
{
    check_each_level(&first_stage);
    check_each_level(&nested);
    check_each_level(&five_levels);
}

static void expect_ea(Machine *m, uint64_t ea)
{
    for (int level = 1; level <= m->k->levels; level++) {
        g_assert_cmphex(qvtd_pte(m->v, m->table, m->k->iova, level) &
                        QVTD_FS_EA, ==, ea);
    }
}

/* 3.6.2: EA on each level that was used, with EAFE alone */
static void test_extended_accessed(const void *data)
{
    const Kind *k = data;
    Machine m;

    start(&m, k);
    map(&m, k->iova, PA, 1, true);
    expect_perm(&m, k->iova, 0, RW);
    expect_ea(&m, 0);
    set_entry(&m, QVTD_PE_EAFE);
    expect_perm(&m, k->iova, 0, RW);
    expect_ea(&m, QVTD_FS_EA);
    stop(&m);
}

/* What a level refuses marks nothing below it */
static void test_refused_not_accessed(void)
{
    Machine m;

    start(&m, &first_stage);
    map_flags(&m, IOVA, PA, 1, KERNEL_RW);
    expect_perm(&m, IOVA, 0, NONE);
    g_assert_cmphex(qvtd_pte(m.v, m.table, IOVA, 1) & (QVTD_FS_A | QVTD_FS_D),
                    ==, 0);
    stop(&m);
}

/* A page for which the completion has no room stays as it was */
static void test_room(void)
{
    Machine m;

    start(&m, &first_stage);
    for (int i = 0; i < 3; i++) {
        map(&m, IOVA + i * PAGE, PA + i * PAGE, 1, true);
    }
    qtestdev_set(&m.t, SVM_TESTDEV_ADDR, IOVA);
    qtestdev_set(&m.t, SVM_TESTDEV_LENGTH, 3 * PAGE);
    qtestdev_set(&m.t, SVM_TESTDEV_FLAGS, 0);
    qtestdev_set(&m.t, SVM_TESTDEV_ROOM, 2);
    g_assert_cmpint(qtestdev_call(&m.t, SVM_TESTDEV_TRANSLATE), ==, -ENOMEM);
    g_assert_cmphex(qvtd_pte(m.v, m.table, IOVA + PAGE, 1) &
                    (QVTD_FS_A | QVTD_FS_D), ==, QVTD_FS_A | QVTD_FS_D);
    g_assert_cmphex(qvtd_pte(m.v, m.table, IOVA + 2 * PAGE, 1) &
                    (QVTD_FS_A | QVTD_FS_D), ==, 0);
    stop(&m);
}

static void test_level_5_page_size(void)
{
    Machine m;

    start(&m, &five_levels);
    map(&m, five_levels.iova, PA, 1, true);
    change_pte(&m, m.table, five_levels.iova, 5, 0, QVTD_FS_PS);
    expect_broken(&m, five_levels.iova, VTD_FR_FS_PAGING_ENTRY_RSVD);
    stop(&m);
}

/* 57 bits: both halves, and what is between them */
static void test_five_level_canonical(void)
{
    const uint64_t top = 0xff00000000000000ULL, hole = 1ULL << 56;
    Machine m;

    start(&m, &five_levels);
    map(&m, top, PA, 1, true);
    map(&m, hole - PAGE, PA + PAGE, 1, true);
    expect_page(&m, top, PA, PAGE, 0, RW);
    expect_page(&m, hole - PAGE, PA + PAGE, PAGE, 0, RW);
    expect_perm(&m, hole, 0, NONE);
    expect_perm(&m, top - PAGE, 0, NONE);
    stop(&m);
}

/* A bit of the capabilities that is off makes its field reserved */
typedef struct Unsupported {
    const char *path;
    const char *opts;
    unsigned int pgtt;
    uint64_t flags;
    unsigned int reason;
    uint64_t snoop;
} Unsupported;

static const Unsupported unsupported[] = {
    { "/svm/fault/SRE-needs-SRS", "svm-privileged=off", QVTD_PGTT_FS,
      QVTD_PE_SRE, VTD_FR_PASID_ENTRY_RSVD },
    { "/svm/fault/ERE-needs-ERS", "svm-execute=off", QVTD_PGTT_FS,
      QVTD_PE_ERE, VTD_FR_PASID_ENTRY_RSVD },
    { "/svm/fault/EAFE-needs-EAFS", "svm-extended-accessed=off", QVTD_PGTT_FS,
      QVTD_PE_EAFE, VTD_FR_PASID_ENTRY_RSVD },
    { "/svm/fault/PWSNP-needs-SMPWC", "svm-page-walk-coherency=off",
      QVTD_PGTT_FS, 0, VTD_FR_PASID_ENTRY_RSVD, QVTD_PE_PWSNP },
    { "/svm/fault/PGSNP-needs-SC", "", QVTD_PGTT_FS, 0,
      VTD_FR_PASID_ENTRY_RSVD, QVTD_PE_PGSNP },
    { "/svm/fault/second-stage-needs-SSTS", "svm-second-stage=off",
      QVTD_PGTT_SS, 0, VTD_FR_PASID_TABLE_ENTRY_INV },
    { "/svm/fault/nesting-needs-SSTS", "svm-second-stage=off",
      QVTD_PGTT_NESTED, 0, VTD_FR_PASID_TABLE_ENTRY_INV },
    { "/svm/fault/nesting-needs-NEST", "svm-nesting=off", QVTD_PGTT_NESTED,
      0, VTD_FR_PASID_TABLE_ENTRY_INV },
    { "/svm/fault/pass-through-needs-PT", "pt=off", QVTD_PGTT_PT, 0,
      VTD_FR_PASID_TABLE_ENTRY_INV },
    { "/svm/fault/5-levels-need-FL5LP", "", QVTD_PGTT_FS, QVTD_PE_FSPM_5LEVEL,
      VTD_FR_PASID_TABLE_ENTRY_INV },
    { "/svm/fault/5-levels-of-a-nested-first-stage-need-FL5LP", "",
      QVTD_PGTT_NESTED, QVTD_PE_FSPM_5LEVEL, VTD_FR_PASID_TABLE_ENTRY_INV },
};

static void test_unsupported(const void *data)
{
    const Unsupported *u = data;
    const Kind k = { "", u->opts, u->pgtt, 4, .iova = IOVA };
    Machine m;

    start(&m, &k);
    set_entry_snoop(&m, u->flags, u->snoop);
    expect_refusal(&m, u->reason);
    stop(&m);
}

/* 9.6, PWSNP: all of our walks are coherent, so it changes nothing */
static void test_page_walk_snoop(void)
{
    Machine m;

    start(&m, &first_stage);
    map(&m, IOVA, PA, 1, true);
    set_entry_snoop(&m, 0, QVTD_PE_PWSNP);
    expect_perm(&m, IOVA, 0, RW);
    stop(&m);
}

static void set_context(Machine *m, uint64_t flags, uint32_t rid_pasid)
{
    qvtd_set_context(m->v, m->t.sid, flags, QVTD_SVM_PDTS, m->t.f->dir,
                     rid_pasid);
    qvtd_inv_all(m->v);
}

/* 9.4, RID_PASID: without RPS it is reserved, and requests use PASID 0 */
static void test_rid_pasid_off(void)
{
    const Kind k = { "", "svm-rid-pasid=off", QVTD_PGTT_FS, 4, true, IOVA };
    Machine m;

    start(&m, &k);
    map(&m, IOVA, PA, 1, true);
    expect_refusal(&m, VTD_FR_SM_CONTEXT_ENTRY_RSVD);
    set_context(&m, QVTD_SVM_CONTEXT, 0);
    expect_refusal(&m, VTD_FR_PASID_ENTRY_P);
    qvtd_set_pasid_entry(m.v, m.t.f->dir, 0, &(QVTDPasidEntry) {
        .pgtt = QVTD_PGTT_FS, .did = DID, .table = m.table,
    });
    expect_perm(&m, IOVA, 0, RW);
    stop(&m);
}

/* 9.4, RID_PRIV: requests without PASID are never privileged here */
static void test_rid_priv(void)
{
    Machine m;

    start(&m, &first_stage);
    set_context(&m, QVTD_SVM_CONTEXT, 1 << 20);
    expect_refusal(&m, VTD_FR_SM_CONTEXT_ENTRY_RSVD);
    stop(&m);
}

static void check_second_levels(const Kind *k, int levels)
{
    QVTDPasidEntry pe = { .pgtt = k->pgtt, .did = DID };
    Machine m;

    start(&m, k);
    pe.table = m.table;
    pe.second = m.second;
    m.v->levels = levels;
    qvtd_set_pasid_entry(m.v, m.t.f->dir, QVTD_SVM_PASID, &pe);
    m.v->levels = k->levels;
    expect_refusal(&m, VTD_FR_PASID_TABLE_ENTRY_INV);
    stop(&m);
}

static void test_unsupported_second_levels(void)
{
    for (int levels = 5; levels <= 9; levels++) {
        check_second_levels(&second_stage, levels);
        check_second_levels(&nested, levels);
    }
    check_second_levels(&second_stage, 2);
    check_second_levels(&nested, 2);
}

/* 11.4.3, NWFS: without it the promise not to write is not heard */
static void test_no_write_flag_off(void)
{
    const Kind k = { "", "svm-no-write=off", QVTD_PGTT_FS, 4, .iova = IOVA };
    Machine m;

    start(&m, &k);
    map(&m, IOVA, PA, 1, true);
    expect_perm(&m, IOVA, NO_WRITE, RW);
    g_assert_cmphex(qvtd_pte(m.v, m.table, IOVA, 1) & QVTD_FS_D, ==, QVTD_FS_D);
    stop(&m);
}

/* 3.4.3: the unit knows PASIDs of fewer bits than the function */
static void test_narrow_pasid(void)
{
    const Kind k = { "", "svm-pasid-bits=8", QVTD_PGTT_FS, 4, .iova = IOVA };
    Machine m;

    start(&m, &k);
    m.t.pasid = 0x100;
    g_assert_cmpint(translate(&m, IOVA, 0), ==, -EINVAL);
    stop(&m);
}

/* 11.4.3, PRS and PDS: what is off is not there */
static void test_page_requests_off(void)
{
    const Kind k = { "", "svm-page-requests=off", QVTD_PGTT_FS, 4,
                     .iova = IOVA };
    Machine m;

    start(&m, &k);
    qtestdev_listen(&m.t, 0);
    g_assert_cmpint(qtestdev_request(&m.t, 0, true), ==, -EPERM);
    g_assert(!qvtd_iq_submit(m.v, qvtd_page_response_desc(m.t.sid, m.t.pasid, 0,
                                                          QVTD_SVM_SUCCESS)));
    g_assert_cmpuint(qvtd_iq_error_info(m.v), ==, IQEI_TYPE);
    qvtd_iq_recover(m.v);
    g_assert(!qvtd_iq_submit(m.v, qvtd_wait_desc(QVTD_WAIT_PD | QVTD_WAIT_SW, 0,
                                                 m.v->wait_addr)));
    qvtd_iq_recover(m.v);
    expect_refusal(&m, VTD_FR_SM_CONTEXT_ENTRY_RSVD);   /* PRE is set */
    qvtd_set_context(m.v, m.t.sid, QVTD_SVM_CONTEXT & ~QVTD_CE_PRE,
                     QVTD_SVM_PDTS, m.t.f->dir, 0);
    qvtd_inv_all(m.v);
    map(&m, IOVA, PA, 1, true);
    expect_perm(&m, IOVA, 0, RW);
    stop(&m);
}

/* 11.4.3, PDS: draining alone is off */
static void test_drain_off(void)
{
    const Kind k = { "", "svm-page-request-drain=off", QVTD_PGTT_FS, 4,
                     .iova = IOVA };
    Machine m;

    start(&m, &k);
    qtestdev_listen(&m.t, 0);
    g_assert(!qvtd_iq_submit(m.v, qvtd_wait_desc(QVTD_WAIT_PD | QVTD_WAIT_SW, 0,
                                                 m.v->wait_addr)));
    qvtd_iq_recover(m.v);
    g_assert_cmpint(qtestdev_request(&m.t, 0, true), ==, 0);
    g_assert_cmpuint(qtestdev_pop(&m.t).prgi, ==, 0);
    stop(&m);
}

/*
 * Second stage
 */

static void test_write_only(const void *data)
{
    const Kind *k = data;
    Machine m;

    start(&m, k);
    map_flags(&m, k->iova, PA, 1, QVTD_SS_W);
    expect_perm(&m, k->iova, 0, WO);
    expect_perm(&m, k->iova, NO_WRITE, NONE);
    stop(&m);
}

/* Without SSADS nobody writes to the tables, without SSEE nothing is Exe */
static void test_second_stage_untouched(const void *data)
{
    const Kind *k = data;
    Machine m;

    start(&m, k);
    map(&m, k->iova, PA, 1, true);
    expect_perm(&m, k->iova, k->rid ? 0 : EXEC, RW);
    g_assert_cmphex(qvtd_pte(m.v, m.table, k->iova, 1), ==, PA | QVTD_SS_RW);
    stop(&m);
}

/* What lies beyond is not what an address without its upper bits leads to */
static void test_second_stage_range(const void *data)
{
    const Kind *k = data;
    uint64_t end = PAGE << (9 * k->levels);
    Machine m;

    start(&m, k);
    map(&m, 0, PA, 1, true);
    map(&m, end - PAGE, PA, 1, true);
    expect_perm(&m, end, 0, NONE);
    expect_perm(&m, -PAGE, 0, NONE);
    expect_page(&m, end - PAGE, PA, PAGE, 0, RW);
    stop(&m);
}

static void test_second_stage_root(void)
{
    Machine m;

    start(&m, &second_stage);
    m.table = QVTD_SVM_NO_RAM;
    set_entry(&m, 0);
    expect_broken(&m, IOVA, VTD_FR_SM_SSPTPTR_INV);
    stop(&m);
}

/*
 * Nested
 */

/* The smaller of both pages is the result */
static void test_nested_sizes(void)
{
    Machine m;

    start(&m, &nested);
    map(&m, IOVA, PA, 3, true);
    change_pte(&m, m.second, NESTED + PA, 3, ~0ULL, 0);
    qvtd_ss_map(m.v, m.second, NESTED + PA, PA + 2 * MiB, 2, QVTD_SS_RW);
    qvtd_ss_map(m.v, m.second, NESTED + PA + 2 * MiB, PA, 1, QVTD_SS_RW);
    expect_page(&m, IOVA, PA + 2 * MiB, 2 * MiB, 0, RW);
    expect_page(&m, IOVA + 2 * MiB, PA, PAGE, 0, RW);
    expect_page(&m, IOVA + 2 * MiB + PAGE, 0, PAGE, 0, NONE);
    stop(&m);
}

/* Dirty is for what both stages let be written */
static void test_nested_read_only(void)
{
    Machine m;

    start(&m, &nested);
    map(&m, IOVA, PA, 1, true);
    change_pte(&m, m.second, NESTED + PA, 3, QVTD_SS_W, 0);
    expect_perm(&m, IOVA, 0, RO);
    g_assert_cmphex(qvtd_pte(m.v, m.table, IOVA, 1) & (QVTD_FS_A | QVTD_FS_D),
                    ==, QVTD_FS_A);
    change_pte(&m, m.second, NESTED + PA, 3, QVTD_SS_RW, 0);
    expect_perm(&m, IOVA, 0, NONE);
    stop(&m);
}

/* Nothing is left for a request that does not write */
static void test_nested_write_only(void)
{
    Machine m;

    start(&m, &nested);
    map(&m, IOVA, PA, 1, true);
    change_pte(&m, m.second, NESTED + PA, 3, QVTD_SS_R, 0);
    map(&m, IOVA + PAGE, PA, 1, false);
    expect_perm(&m, IOVA + PAGE, 0, NONE);
    expect_perm(&m, IOVA, NO_WRITE, NONE);
    g_assert_cmphex(qvtd_pte(m.v, m.table, IOVA, 1) & QVTD_FS_A, ==, 0);
    expect_perm(&m, IOVA, 0, WO);
    g_assert_cmphex(qvtd_pte(m.v, m.table, IOVA, 1) & QVTD_FS_A, !=, 0);
    stop(&m);
}

/* What must not be read must not be executed */
static void test_nested_not_executed(void)
{
    Machine m;

    start(&m, &nested);
    set_entry(&m, QVTD_PE_ERE);
    map(&m, IOVA, PA, 1, true);
    change_pte(&m, m.second, NESTED + PA, 3, QVTD_SS_R, 0);
    expect_perm(&m, IOVA, EXEC, WO);
    stop(&m);
}

/* Tables that the second stage lets be read only, with and without Accessed */
static void test_nested_tables_read_only(void)
{
    Machine m;

    start(&m, &nested);
    map(&m, IOVA, PA, 1, true);
    change_pte(&m, m.second, 0, 3, QVTD_SS_W, 0);
    expect_perm(&m, IOVA, 0, NONE);
    for (int level = 1; level <= 4; level++) {
        change_pte(&m, m.table, IOVA, level, 0, QVTD_FS_A);
    }
    expect_perm(&m, IOVA, NO_WRITE, RO);
    expect_perm(&m, IOVA, 0, NONE);
    stop(&m);
}

static void test_nested_tables_hidden(void)
{
    Machine m;

    start(&m, &nested);
    map(&m, IOVA, PA, 1, true);
    change_pte(&m, m.second, 0, 3, QVTD_SS_RW, 0);
    expect_perm(&m, IOVA, 0, NONE);
    stop(&m);
}

static void test_nested_second_broken(void)
{
    Machine m;

    start(&m, &nested);
    map(&m, IOVA, PA, 1, true);
    change_pte(&m, m.second, NESTED + PA, 3, 0, 1ULL << 51);
    expect_broken(&m, IOVA, VTD_FR_SM_SS_ENTRY_RSVD);
    stop(&m);
}

/* The first stage has addresses of more bits than the second */
static void test_nested_beyond(void)
{
    const Kind k = { "", "aw-bits=57", QVTD_PGTT_NESTED, 4, .iova = IOVA };
    Machine m;

    start(&m, &k);
    map(&m, IOVA, 1ULL << 49, 1, true);
    expect_perm(&m, IOVA, 0, NONE);
    stop(&m);
}

/*
 * Pass-through
 */

static void test_pass_through(void)
{
    const Kind k = { "", "", QVTD_PGTT_PT, 4, .iova = IOVA };
    Machine m;

    start(&m, &k);
    expect_page(&m, IOVA, IOVA, GiB, 0, RW);
    expect_page(&m, IOVA, IOVA, GiB, NO_WRITE, RO);
    expect_page(&m, 0xfee00000, 0, MiB, 0, NONE);
    expect_page(&m, 0xfef00000, 0xfef00000, MiB, 0, RW);
    expect_perm(&m, 1ULL << 48, 0, NONE);
    stop(&m);
}

/* Pages of 1 GiB, of which the completion has room for one */
static void test_pass_through_room(void)
{
    const Kind k = { "", "", QVTD_PGTT_PT, 4, .iova = IOVA };
    Machine m;

    start(&m, &k);
    qtestdev_set(&m.t, SVM_TESTDEV_ADDR, IOVA);
    qtestdev_set(&m.t, SVM_TESTDEV_LENGTH, 2 * GiB);
    qtestdev_set(&m.t, SVM_TESTDEV_FLAGS, 0);
    qtestdev_set(&m.t, SVM_TESTDEV_ROOM, 1);
    g_assert_cmpint(qtestdev_call(&m.t, SVM_TESTDEV_TRANSLATE), ==, -ENOMEM);
    expect_result(&m, 0, IOVA, IOVA, GiB, RW);
    stop(&m);
}

/*
 * Legacy mode
 */

static void check_legacy_type(uint64_t tt)
{
    Machine m;

    start(&m, &legacy);
    qvtd_set_legacy_context(m.v, m.t.sid, tt, DID, m.table);
    qvtd_inv_all(m.v);
    expect_refusal(&m, VTD_FR_CONTEXT_ENTRY_TT);
    stop(&m);
}

static void test_legacy_tt_0(void)
{
    check_legacy_type(VTD_CONTEXT_TT_MULTI_LEVEL);
}

static void test_legacy_tt_2(void)
{
    check_legacy_type(VTD_CONTEXT_TT_PASS_THROUGH);
}

static void test_legacy_tt_3(void)
{
    Machine m;

    start(&m, &legacy);
    qvtd_set_legacy_context(m.v, m.t.sid, 3 << 2, DID, m.table);
    qvtd_inv_all(m.v);
    expect_refusal(&m, VTD_FR_CONTEXT_ENTRY_INV);
    stop(&m);
}

static void test_legacy_pasid(void)
{
    Machine m;

    start(&m, &legacy);
    m.t.pasid = QVTD_SVM_PASID;
    expect_refusal(&m, VTD_FR_SM_TTM_PASID);
    stop(&m);
}

static void test_legacy_page_request(void)
{
    QVTDFault fault;
    Machine m;

    start(&m, &legacy);
    m.t.pasid = QVTD_SVM_PASID;
    qtestdev_listen(&m.t, 0);
    g_assert_cmpint(qtestdev_request(&m.t, 0, true), ==, -EFAULT);
    fault = take_fault(&m, VTD_FR_SM_TTM_PAGE_REQUEST);
    g_assert(fault.page_request);
    qtestdev_pop_none(&m.t);
    stop(&m);
}

/* 9.4: RID_PASID has a place in the directory, or the entry is wrong */
static void test_rid_pasid_too_large(void)
{
    const Kind k = { "", "", QVTD_PGTT_FS, 4, true, IOVA };
    Machine m;

    start(&m, &k);
    qvtd_set_context(m.v, m.t.sid, QVTD_SVM_CONTEXT, 0, m.t.f->dir, 1 << 13);
    qvtd_inv_all(m.v);
    expect_refusal(&m, VTD_FR_SM_RID_PASID);
    stop(&m);
}

/* 11.4.9: what the record says of the request */
static void test_record(void)
{
    QVTDFault fault;
    Machine m;

    start(&m, &first_stage);
    map(&m, IOVA, PA, 1, true);
    change_pte(&m, m.table, IOVA, 1, 0, 1ULL << 51);
    expect_perm(&m, IOVA, 0, NONE);
    fault = take_fault(&m, VTD_FR_FS_PAGING_ENTRY_RSVD);
    g_assert(fault.at == 1 && !fault.exec && !fault.priv && !fault.read);
    expect_perm(&m, IOVA, EXEC | NO_WRITE, NONE);
    fault = take_fault(&m, VTD_FR_FS_PAGING_ENTRY_RSVD);
    g_assert(fault.at == 1 && fault.exec && !fault.priv && fault.read);
    expect_perm(&m, IOVA, PRIV, NONE);
    fault = take_fault(&m, VTD_FR_FS_PAGING_ENTRY_RSVD);
    g_assert(fault.at == 1 && !fault.exec && fault.priv && !fault.read);
    stop(&m);
}

/* 7.2.1: one record, and another function's fault while it is full */
static void test_overflow(void)
{
    QVTDFault fault;
    Machine m;

    start(&m, &first_stage);
    map(&m, IOVA, PA, 1, true);
    change_pte(&m, m.table, IOVA, 1, 0, 1ULL << 51);
    expect_perm(&m, IOVA, 0, NONE);
    g_assert_cmphex(qvtd_readl(m.v, DMAR_FSTS_REG) & 3, ==, VTD_FSTS_PPF);

    g_assert(!qsvm_write(&m.t.f->svm, IOVA, PAGE));
    g_assert_cmphex(qvtd_readl(m.v, DMAR_FSTS_REG) & 3, ==,
                    VTD_FSTS_PPF | VTD_FSTS_PFO);
    take_fault(&m, VTD_FR_FS_PAGING_ENTRY_RSVD);
    g_assert(!qvtd_pop_fault(m.v, &fault));
    g_assert_cmphex(qvtd_readl(m.v, DMAR_FSTS_REG) & 3, ==, 0);

    g_assert(!qsvm_write(&m.t.f->svm, IOVA, PAGE));
    g_assert(qvtd_pop_fault(m.v, &fault));
    g_assert_cmphex(fault.sid, ==, m.t.f->sid);
    stop(&m);
}

static void add_test(const char *format, const Kind *k,
                     void (*test)(const void *))
{
    g_autofree char *path = g_strdup_printf(format, k->name);

    qtest_add_data_func(path, k, test);
}

static void add_commons(const Kind *k)
{
    for (int i = 0; i < ARRAY_SIZE(commons); i++) {
        if (commons[i].test == test_reserved && *k->iommu_opts) {
            continue;   /* with 57 bits all bits of an address are valid */
        }
        add_test(commons[i].path, k, commons[i].test);
    }
}

static void add_first_stage(void)
{
    for (int i = 0; i < ARRAY_SIZE(accesses); i++) {
        qtest_add_data_func(accesses[i].path, &accesses[i], test_access);
    }
    for (int i = 0; i < ARRAY_SIZE(unsupported); i++) {
        qtest_add_data_func(unsupported[i].path, &unsupported[i],
                            test_unsupported);
    }
    qtest_add_func("/svm/fault/a-second-stage-has-as-many-levels-as-SAGAW-says",
                   test_unsupported_second_levels);
    qtest_add_func("/svm/ats/each-level-has-a-say-in-permissions",
                   test_each_level);
    qtest_add_func("/svm/pri/page-requests-need-PRS", test_page_requests_off);
    qtest_add_func("/svm/prq/page-requests-do-without-PDS", test_drain_off);
    qtest_add_func("/svm/ats/PWSNP-changes-nothing", test_page_walk_snoop);
    qtest_add_func("/svm/fault/RID_PASID-needs-RPS", test_rid_pasid_off);
    qtest_add_func("/svm/fault/RID_PRIV-is-reserved", test_rid_priv);
    qtest_add_data_func("/svm/ats/EAFE-sets-EA-on-each-level",
                        &first_stage, test_extended_accessed);
    qtest_add_data_func("/svm/ats/EAFE-sets-EA-on-each-of-5-levels",
                        &five_levels, test_extended_accessed);
    qtest_add_data_func("/svm/ats/EAFE-sets-EA-in-a-nested-first-stage",
                        &nested, test_extended_accessed);
    qtest_add_func("/svm/ats/a-broken-page-leaves-its-neighbours-alone",
                   test_neighbour_broken);
    qtest_add_func("/svm/ats/a-page-that-is-refused-is-not-marked",
                   test_refused_not_accessed);
    qtest_add_func("/svm/ats/a-page-without-room-for-its-result-is-not-marked",
                   test_room);
    qtest_add_func("/svm/fault/PML5-entry-has-PS-set", test_level_5_page_size);
    qtest_add_func("/svm/ats/5-levels-have-canonical-addresses-of-57-bits",
                   test_five_level_canonical);
    qtest_add_func("/svm/ats/NW-needs-NWFS", test_no_write_flag_off);
    qtest_add_func("/svm/pasid/a-PASID-fits-the-width-of-the-unit",
                   test_narrow_pasid);
}

static void add_range(const Kind *k)
{
    g_autofree char *path = g_strdup_printf(
        "/svm/ats/%s/addresses-end-with-the-width", k->name);

    qtest_add_data_func(path, k, test_second_stage_range);
}

static void add_second_stage(const Kind *k)
{
    add_test("/svm/ats/%s/a-page-may-be-write-only", k, test_write_only);
    add_test("/svm/ats/%s/entries-are-not-written", k,
             test_second_stage_untouched);
}

static void add_nested(void)
{
    static const struct {
        const char *path;
        void (*test)(void);
    } tests[] = {
        { "the-smaller-page-is-the-result", test_nested_sizes },
        { "what-the-second-stage-protects-is-not-dirty",
          test_nested_read_only },
        { "both-stages-must-grant-an-access", test_nested_write_only },
        { "what-the-second-stage-hides-is-not-executed",
          test_nested_not_executed },
        { "tables-must-be-writable-to-be-marked",
          test_nested_tables_read_only },
        { "tables-that-the-second-stage-hides-are-a-miss",
          test_nested_tables_hidden },
        { "a-broken-second-stage-is-a-fault", test_nested_second_broken },
        { "addresses-beyond-the-second-stage-are-a-miss",
          test_nested_beyond },
    };

    for (int i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/svm/ats/nested/%s",
                                                tests[i].path);

        qtest_add_func(path, tests[i].test);
    }
}

static void add_legacy(void)
{
    qtest_add_func("/svm/ats/legacy-mode/TT-00b-blocks-translation-requests",
                   test_legacy_tt_0);
    qtest_add_func("/svm/ats/legacy-mode/TT-10b-blocks-translation-requests",
                   test_legacy_tt_2);
    qtest_add_func("/svm/ats/legacy-mode/TT-11b-is-invalid", test_legacy_tt_3);
    qtest_add_func("/svm/pasid/legacy-mode-has-no-PASIDs", test_legacy_pasid);
    qtest_add_func("/svm/pri/legacy-mode-has-no-page-requests",
                   test_legacy_page_request);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(kinds); i++) {
        add_commons(&kinds[i]);
        if (!is_first(&kinds[i])) {
            add_range(&kinds[i]);
        }
    }
    add_first_stage();
    add_second_stage(&second_stage);
    add_second_stage(&legacy);
    qtest_add_func("/svm/fault/SSPTPTR-is-not-in-memory",
                   test_second_stage_root);
    add_nested();
    add_legacy();
    qtest_add_func("/svm/ats/pass-through-is-identity", test_pass_through);
    qtest_add_func("/svm/ats/pass-through-stops-where-the-room-does",
                   test_pass_through_room);
    qtest_add_func("/svm/fault/a-record-says-what-kind-of-request-it-was",
                   test_record);
    qtest_add_func("/svm/fault/faults-overflow-when-no-record-is-free",
                   test_overflow);
    qtest_add_func("/svm/fault/RID_PASID-is-beyond-the-directory",
                   test_rid_pasid_too_large);
    return g_test_run();
}
