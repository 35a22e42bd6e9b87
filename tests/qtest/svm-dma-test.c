/*
 * QTest testcase for SVM: DMA by untranslated requests, with PASID and
 * without, and by translated requests
 *
 * They take the same tables as translation requests, and what those only
 * answer is a fault here. VT-d rev 4.1, 3.6 to 3.8, 3.14, 4.2.4 and 7.1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "exec/memory.h"
#include "hw/pci/pci_regs.h"
#include "libqos/svm-testdev.h"

#define PAGE        (4 * KiB)
#define DID         7
#define PASID       0xabcde
#define RID_PASID   5
#define IOVA        0x3540000000ULL
#define PATTERN     0x1122334455667788ULL
#define TRANSLATED  SVM_TESTDEV_FLAG_TRANSLATED

/* Real time in which what is left to RCU is freed, in two grace periods */
#define GRACE_US    (300 * 1000)

typedef struct Machine {
    QTestdev t;
    QVTD *v;
    unsigned int pgtt;
    uint64_t table;
    uint64_t second;
    uint64_t page;
} Machine;

static void set_pasid_entry(Machine *m)
{
    uint32_t pasid = m->t.pasid == QVTD_NO_PASID ? RID_PASID : m->t.pasid;
    QVTDPasidEntry pe = {
        .pgtt = m->pgtt, .did = DID, .table = m->table, .second = m->second,
    };

    qvtd_set_pasid_entry(m->v, m->t.f->dir, pasid, &pe);
}

static void set_entry(Machine *m)
{
    set_pasid_entry(m);
    qvtd_set_context(m->v, m->t.sid, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS,
                     m->t.f->dir, RID_PASID);
    qvtd_inv_all(m->v);
}

/* A process, or a domain, with a page at IOVA that may be read and written */
static void start(Machine *m, unsigned int pgtt, uint32_t pasid)
{
    *m = (Machine) { .pgtt = pgtt };
    qtestdev_start(&m->t, "");
    m->v = m->t.f->v;
    m->t.pasid = pasid;
    m->table = qvtd_alloc_page(m->v);
    m->page = qvtd_alloc_page(m->v);
    if (pgtt == QVTD_PGTT_NESTED) {
        m->second = qvtd_alloc_page(m->v);
        qvtd_ss_map(m->v, m->second, 0, 0, 3, QVTD_SS_RW);
    }
    if (pgtt == QVTD_PGTT_FS || pgtt == QVTD_PGTT_NESTED) {
        qvtd_fs_map(m->v, m->table, IOVA, m->page, 1, QVTD_FS_USER_RW);
    } else {
        qvtd_ss_map(m->v, m->table, IOVA, m->page, 1, QVTD_SS_RW);
    }
    set_entry(m);
}

static void stop(Machine *m)
{
    qtestdev_stop(&m->t);
}

/* What arrives, or is seen, is the page's; else nothing is */
static bool writes_at(Machine *m, uint64_t addr, uint64_t pa,
                      unsigned int flags)
{
    uint64_t data = PATTERN, seen;
    MemTxResult ret;

    qtest_writeq(m->t.qts, pa, ~PATTERN);
    ret = qtestdev_dma(&m->t, addr, true, flags, &data);
    seen = qtest_readq(m->t.qts, pa);
    g_assert_cmphex(seen, ==, ret ? ~PATTERN : PATTERN);
    return !ret;
}

static bool reads_at(Machine *m, uint64_t addr, uint64_t pa,
                     unsigned int flags)
{
    uint64_t data = 0;
    MemTxResult ret;

    qtest_writeq(m->t.qts, pa, PATTERN);
    ret = qtestdev_dma(&m->t, addr, false, flags, &data);
    g_assert_cmphex(data, ==, ret ? 0 : PATTERN);
    return !ret;
}

static bool writes(Machine *m)
{
    return writes_at(m, IOVA, m->page, 0);
}

static bool reads(Machine *m)
{
    return reads_at(m, IOVA, m->page, 0);
}

static void expect_fault(Machine *m, unsigned int reason, uint64_t addr,
                         bool read, unsigned int at)
{
    QVTDFault fault;

    g_assert(qvtd_pop_fault(m->v, &fault));
    g_assert_cmphex(fault.reason, ==, reason);
    g_assert_cmphex(fault.sid, ==, m->t.sid);
    g_assert_cmphex(fault.addr, ==, addr);
    g_assert(fault.read == read);
    g_assert_cmphex(fault.at, ==, at);
    g_assert_cmpint(fault.has_pasid, ==, m->t.pasid != QVTD_NO_PASID);
    if (fault.has_pasid) {
        g_assert_cmphex(fault.pasid, ==, m->t.pasid);
    }
}

static uint64_t leaf_addr(Machine *m)
{
    return qvtd_pte_addr(m->v, m->table, IOVA, 1);
}

static void change(Machine *m, uint64_t addr, uint64_t clear, uint64_t set)
{
    qtest_writeq(m->t.qts, addr, (qtest_readq(m->t.qts, addr) & ~clear) | set);
    qvtd_inv_all(m->v);
}

/*
 * Each kind of table, with and without PASID
 */

typedef struct Path {
    const char *path;
    unsigned int pgtt;
    uint32_t pasid;
} Path;

static const Path paths[] = {
    { "/svm/pasid/DMA-with-a-PASID-of-20-bits-through-a-first-stage",
      QVTD_PGTT_FS, 0xfffff },
    { "/svm/pasid/DMA-with-a-PASID-of-20-bits-through-a-second-stage",
      QVTD_PGTT_SS, 0xfffff },
    { "/svm/pasid/DMA-with-PASID-0", QVTD_PGTT_FS, 0 },
    { "/svm/pasid/DMA-without-PASID-through-the-first-stage-of-RID_PASID",
      QVTD_PGTT_FS, QVTD_NO_PASID },
    { "/svm/pasid/DMA-with-PASID-through-nested-tables", QVTD_PGTT_NESTED,
      0x12345 },
    { "/svm/pasid/DMA-without-PASID-through-nested-tables", QVTD_PGTT_NESTED,
      QVTD_NO_PASID },
    { "/svm/pasid/DMA-without-PASID-through-the-second-stage-of-RID_PASID",
      QVTD_PGTT_SS, QVTD_NO_PASID },
};

/* A read sets Accessed, a write Dirty; what is unmapped is a fault */
static void test_path(const void *data)
{
    const Path *p = data;
    uint64_t ad = QVTD_FS_A | QVTD_FS_D;
    bool first = p->pgtt != QVTD_PGTT_SS;
    unsigned int reason = first ? VTD_FR_FS_PAGING_ENTRY_P : VTD_FR_SM_READ;
    Machine m;

    start(&m, p->pgtt, p->pasid);
    g_assert(reads(&m));
    g_assert_cmphex(qtest_readq(m.t.qts, leaf_addr(&m)) & ad, ==,
                    first ? QVTD_FS_A : 0);
    g_assert(writes(&m));
    g_assert_cmphex(qtest_readq(m.t.qts, leaf_addr(&m)) & ad, ==,
                    first ? ad : 0);
    g_assert(reads(&m));

    change(&m, leaf_addr(&m), QVTD_FS_P | QVTD_SS_RW, 0);
    g_assert(!reads(&m));
    expect_fault(&m, reason, IOVA, true, 0);
    change(&m, leaf_addr(&m), 0, first ? QVTD_FS_USER_RW : QVTD_SS_RW);
    g_assert(writes(&m));
    stop(&m);
}

/*
 * The IOTLB: what was translated once is translated anew after an invalidation
 */

typedef struct Forget {
    const char *path;
    unsigned int pgtt;
    QVTDDesc (*desc)(void);
    bool with_pasid;
} Forget;

static QVTDDesc iotlb_page(void)
{
    return qvtd_iotlb_desc(QVTD_IOTLB_PAGE, DID, IOVA, 0);
}

static QVTDDesc iotlb_2m(void)
{
    return qvtd_iotlb_desc(QVTD_IOTLB_PAGE, DID, IOVA, 9);
}

static QVTDDesc iotlb_domain(void)
{
    return qvtd_iotlb_desc(QVTD_IOTLB_DOMAIN, DID, 0, 0);
}

static QVTDDesc iotlb_global(void)
{
    return qvtd_iotlb_desc(QVTD_IOTLB_GLOBAL, 0, 0, 0);
}

static QVTDDesc piotlb_all(void)
{
    return qvtd_piotlb_desc(QVTD_PIOTLB_ALL, DID, RID_PASID, 0, 0, false);
}

static QVTDDesc piotlb_page(void)
{
    return qvtd_piotlb_desc(QVTD_PIOTLB_PAGE, DID, RID_PASID, IOVA, 0, false);
}

static QVTDDesc piotlb_all_of_pasid(void)
{
    return qvtd_piotlb_desc(QVTD_PIOTLB_ALL, DID, PASID, 0, 0, false);
}

static QVTDDesc piotlb_page_of_pasid(void)
{
    return qvtd_piotlb_desc(QVTD_PIOTLB_PAGE, DID, PASID, IOVA, 0, false);
}

static const Forget forgets[] = {
    { "/svm/inv/a-page-invalidation-forgets-a-second-stage-page",
      QVTD_PGTT_SS, iotlb_page },
    { "/svm/inv/a-2-MiB-invalidation-forgets-a-second-stage-page",
      QVTD_PGTT_SS, iotlb_2m },
    { "/svm/inv/a-domain-invalidation-forgets-a-second-stage-page",
      QVTD_PGTT_SS, iotlb_domain },
    { "/svm/inv/a-global-invalidation-forgets-a-second-stage-page",
      QVTD_PGTT_SS, iotlb_global },
    { "/svm/inv/a-PASID-invalidation-forgets-a-nested-page",
      QVTD_PGTT_NESTED, piotlb_all },
    { "/svm/inv/a-PASID-page-invalidation-forgets-a-nested-page",
      QVTD_PGTT_NESTED, piotlb_page },
    { "/svm/inv/a-page-invalidation-of-the-second-stage-forgets-nested-pages",
      QVTD_PGTT_NESTED, iotlb_page },
    { "/svm/inv/a-domain-invalidation-forgets-nested-pages",
      QVTD_PGTT_NESTED, iotlb_domain },
    { "/svm/inv/a-PASID-invalidation-forgets-a-page-of-the-PASID",
      QVTD_PGTT_FS, piotlb_all_of_pasid, true },
    { "/svm/inv/a-PASID-page-invalidation-forgets-a-page-of-the-PASID",
      QVTD_PGTT_FS, piotlb_page_of_pasid, true },
    { "/svm/inv/a-global-invalidation-forgets-a-page-of-the-PASID",
      QVTD_PGTT_SS, iotlb_global, true },
};

static void test_forget(const void *data)
{
    const Forget *f = data;
    uint64_t other;
    Machine m;

    start(&m, f->pgtt, f->with_pasid ? PASID : QVTD_NO_PASID);
    g_assert(writes(&m));
    g_assert(reads(&m));
    other = qvtd_alloc_page(m.v);
    qtest_writeq(m.t.qts, leaf_addr(&m),
                 (qtest_readq(m.t.qts, leaf_addr(&m)) & ~QVTD_PTE_ADDR_MASK) |
                 other);
    qvtd_inv(m.v, f->desc());
    g_assert(reads_at(&m, IOVA, other, 0));
    g_assert(writes_at(&m, IOVA, other, 0));
    stop(&m);
}

/* With what leads to them: the PASID entry names another table. */
static void test_forget_with_entry(const void *data)
{
    const QVTDDesc *desc = data;
    uint64_t other;
    Machine m;

    start(&m, QVTD_PGTT_FS, PASID);
    g_assert(writes(&m));
    g_assert(reads(&m));
    other = qvtd_alloc_page(m.v);
    m.table = qvtd_alloc_page(m.v);
    qvtd_fs_map(m.v, m.table, IOVA, other, 1, QVTD_FS_USER_RW);
    set_pasid_entry(&m);
    qvtd_inv(m.v, *desc);
    g_assert(reads_at(&m, IOVA, other, 0));
    g_assert(writes_at(&m, IOVA, other, 0));
    stop(&m);
}

static void add_forget_with_entry(const char *path, QVTDDesc desc)
{
    qtest_add_data_func_full(path, g_memdup2(&desc, sizeof(desc)),
                             test_forget_with_entry, g_free);
}

/*
 * What a first stage refuses, and says so
 */

typedef struct Refusal {
    const char *path;
    uint64_t clear;
    uint64_t set;
    unsigned int level;     /* of the entry that changes */
    unsigned int read;      /* fault of a read, or 0 */
    unsigned int write;
} Refusal;

static const Refusal refusals[] = {
    { "/svm/fault/DMA-to-a-page-that-is-not-present", QVTD_FS_P, 0, 1,
      VTD_FR_FS_PAGING_ENTRY_P, VTD_FR_FS_PAGING_ENTRY_P },
    { "/svm/fault/DMA-to-a-table-that-is-not-present", QVTD_FS_P, 0, 3,
      VTD_FR_FS_PAGING_ENTRY_P, VTD_FR_FS_PAGING_ENTRY_P },
    { "/svm/fault/DMA-that-writes-a-read-only-page", QVTD_FS_RW, 0, 1,
      0, VTD_FR_SM_WRITE },
    { "/svm/fault/DMA-that-writes-below-a-read-only-entry", QVTD_FS_RW, 0, 2,
      0, VTD_FR_SM_WRITE },
    { "/svm/fault/DMA-to-a-supervisor-page", QVTD_FS_US, 0, 1,
      VTD_FR_FS_PAGING_ENTRY_US, VTD_FR_FS_PAGING_ENTRY_US },
    { "/svm/fault/DMA-below-a-supervisor-entry", QVTD_FS_US, 0, 4,
      VTD_FR_FS_PAGING_ENTRY_US, VTD_FR_FS_PAGING_ENTRY_US },
    { "/svm/fault/DMA-through-an-entry-with-reserved-bits", 0, 1ULL << 51, 1,
      VTD_FR_FS_PAGING_ENTRY_RSVD, VTD_FR_FS_PAGING_ENTRY_RSVD },
    { "/svm/fault/DMA-through-a-table-that-is-not-in-memory",
      QVTD_PTE_ADDR_MASK, QVTD_SVM_NO_RAM, 2,
      VTD_FR_FS_PAGING_ENTRY_INV, VTD_FR_FS_PAGING_ENTRY_INV },
    { "/svm/fault/DMA-to-a-page-in-the-interrupt-range", QVTD_PTE_ADDR_MASK,
      0xfee01000, 1, VTD_FR_SM_INTERRUPT_ADDR, VTD_FR_SM_INTERRUPT_ADDR },
};

static void check_refusal(const Refusal *r, uint32_t pasid)
{
    uint64_t leaf;
    Machine m;

    start(&m, QVTD_PGTT_FS, pasid);
    change(&m, qvtd_pte_addr(m.v, m.table, IOVA, r->level), r->clear, r->set);
    g_assert(writes(&m) == !r->write);
    if (r->write) {
        expect_fault(&m, r->write, IOVA, false, 0);
    }
    if (r->level == 1) {
        leaf = qtest_readq(m.t.qts, leaf_addr(&m));
        g_assert_cmphex(leaf & (QVTD_FS_A | QVTD_FS_D), ==, 0);
    }
    g_assert(reads(&m) == !r->read);
    if (r->read) {
        expect_fault(&m, r->read, IOVA, true, 0);
    }
    stop(&m);
}

static void test_refusal(const void *data)
{
    check_refusal(data, QVTD_SVM_PASID);
    check_refusal(data, QVTD_NO_PASID);
}

static void test_non_canonical(void)
{
    Machine m;

    start(&m, QVTD_PGTT_FS, QVTD_SVM_PASID);
    g_assert(!reads_at(&m, 1ULL << 47, m.page, 0));
    expect_fault(&m, VTD_FR_FS_NON_CANONICAL, 1ULL << 47, true, 0);
    stop(&m);
}

static void test_second_stage_read_only(void)
{
    Machine m;

    start(&m, QVTD_PGTT_SS, QVTD_SVM_PASID);
    change(&m, leaf_addr(&m), QVTD_SS_W, 0);
    g_assert(reads(&m));
    g_assert(!writes(&m));
    expect_fault(&m, VTD_FR_SM_WRITE, IOVA, false, 0);
    g_assert(!reads_at(&m, 1ULL << 48, m.page, 0));
    expect_fault(&m, VTD_FR_SM_BEYOND_MGAW, 1ULL << 48, true, 0);
    stop(&m);
}

/* Also where a write has been before, whose translation is in the IOTLB */
static void test_second_stage_write_only(void)
{
    Machine m;

    start(&m, QVTD_PGTT_SS, QVTD_NO_PASID);
    change(&m, leaf_addr(&m), QVTD_SS_R, 0);
    g_assert(writes(&m));
    g_assert(!reads(&m));
    expect_fault(&m, VTD_FR_SM_READ, IOVA, true, 0);
    g_assert(writes(&m));
    stop(&m);
}

/*
 * What a second stage refuses to a first
 */

/* A table of the first stage, or the page, and what is cleared of its entry */
typedef struct Hidden {
    const char *path;
    int level;              /* of the table; 0 is the page itself */
    uint64_t clear;
    unsigned int read;      /* fault of a read, or 0 */
    unsigned int write;
} Hidden;

static const Hidden hidden[] = {
    { "/svm/fault/DMA-through-a-root-that-the-second-stage-hides", 4,
      QVTD_SS_RW, VTD_FR_NESTED_ROOT_READ, VTD_FR_NESTED_ROOT_READ },
    { "/svm/fault/DMA-through-a-table-that-the-second-stage-hides", 2,
      QVTD_SS_RW, VTD_FR_NESTED_READ, VTD_FR_NESTED_READ },
    { "/svm/fault/DMA-through-a-table-that-the-second-stage-protects", 1,
      QVTD_SS_W, VTD_FR_NESTED_WRITE, VTD_FR_NESTED_WRITE },
    { "/svm/fault/DMA-to-a-page-that-the-second-stage-protects", 0,
      QVTD_SS_W, 0, VTD_FR_SM_WRITE },
    { "/svm/fault/DMA-to-a-page-that-the-second-stage-hides", 0,
      QVTD_SS_RW, VTD_FR_SM_READ, VTD_FR_SM_WRITE },
};

static uint64_t table_page(Machine *m, int level)
{
    uint64_t addr = level ? qvtd_pte_addr(m->v, m->table, IOVA, level)
                          : m->page;

    return addr & QVTD_PTE_ADDR_MASK;
}

static void test_hidden(const void *data)
{
    const Hidden *h = data;
    uint64_t page;
    Machine m;

    start(&m, QVTD_PGTT_NESTED, QVTD_SVM_PASID);
    page = table_page(&m, h->level);
    change(&m, qvtd_pte_addr(m.v, m.second, 0, 3), ~0ULL, 0);
    for (uint64_t pa = 0; pa < QVTD_HEAP_BASE + QVTD_HEAP_SIZE; pa += PAGE) {
        qvtd_ss_map(m.v, m.second, pa, pa, 1,
                    QVTD_SS_RW & (pa == page ? ~h->clear : ~0ULL));
    }
    g_assert(reads(&m) == !h->read);
    if (h->read) {
        expect_fault(&m, h->read, IOVA, true, 0);
    }
    g_assert(!writes(&m));
    expect_fault(&m, h->write, IOVA, false, 0);
    stop(&m);
}

/* A second stage of 3 levels ends at 512 GiB */
static void test_nested_beyond(void)
{
    Machine m;

    start(&m, QVTD_PGTT_NESTED, QVTD_SVM_PASID);
    m.v->levels = 3;
    m.second = qvtd_alloc_page(m.v);
    qvtd_ss_map(m.v, m.second, 0, 0, 3, QVTD_SS_RW);
    set_entry(&m);
    m.v->levels = 4;
    g_assert(reads(&m));
    change(&m, leaf_addr(&m), QVTD_PTE_ADDR_MASK, 1ULL << 39);
    g_assert(!reads(&m));
    expect_fault(&m, VTD_FR_NESTED_BEYOND_MGAW, IOVA, true, 0);
    stop(&m);
}

/* 3.14: with PASID they are addresses like all others */
static void test_interrupt_address_with_pasid(void)
{
    uint64_t page;
    Machine m;

    start(&m, QVTD_PGTT_FS, QVTD_SVM_PASID);
    page = qvtd_alloc_page(m.v);
    qvtd_fs_map(m.v, m.table, 0xfee00000, page, 1, QVTD_FS_USER_RW);
    g_assert(writes_at(&m, 0xfee00000, page, 0));
    g_assert(reads_at(&m, 0xfee00000, page, 0));
    stop(&m);
}

static void test_pass_through(void)
{
    Machine m;

    start(&m, QVTD_PGTT_PT, QVTD_SVM_PASID);
    g_assert(writes_at(&m, m.page, m.page, 0));
    g_assert(reads_at(&m, m.page, m.page, 0));
    g_assert(!reads_at(&m, 0xfee00000, m.page, 0));
    expect_fault(&m, VTD_FR_SM_INTERRUPT_ADDR, 0xfee00000, true, 0);
    stop(&m);
}

/*
 * What the context entry and the function allow
 */

static void set_context(Machine *m, uint64_t flags)
{
    qvtd_set_context(m->v, m->t.sid, flags, QVTD_SVM_PDTS, m->t.f->dir,
                     RID_PASID);
    qvtd_inv_all(m->v);
}

/* DTE and PRE are for ATS and PRI, PASIDE for all that has a PASID */
static void test_context_enables(void)
{
    Machine m;

    start(&m, QVTD_PGTT_FS, QVTD_SVM_PASID);
    set_context(&m, QVTD_CE_P | QVTD_CE_PASIDE);
    g_assert(writes(&m));
    set_context(&m, QVTD_SVM_CONTEXT & ~QVTD_CE_PASIDE);
    g_assert(!writes(&m));
    expect_fault(&m, VTD_FR_SM_PASID_DISABLED, IOVA, false, 0);
    stop(&m);
}

static void test_function_enables(void)
{
    Machine m;

    start(&m, QVTD_PGTT_FS, QVTD_SVM_PASID);
    qtestdev_writew(&m.t, SVM_TESTDEV_CAP_ATS + PCI_ATS_CTRL, 0);
    g_assert(writes(&m));
    qtestdev_writew(&m.t, SVM_TESTDEV_CAP_PASID + PCI_PASID_CTRL, 0);
    g_assert(!writes(&m));
    stop(&m);
}

static void test_not_master(void)
{
    Machine m;

    start(&m, QVTD_PGTT_FS, QVTD_SVM_PASID);
    qtestdev_set_master(&m.t, false);
    g_assert(!writes(&m));
    m.t.pasid = QVTD_NO_PASID;
    g_assert(!writes(&m));
    stop(&m);
}

/* Without remapping nobody knows what the PASID means */
static void test_no_remapping(void)
{
    Machine m;

    start(&m, QVTD_PGTT_FS, QVTD_SVM_PASID);
    qvtd_set_translation(m.v, false);
    g_assert(!writes(&m));
    qvtd_set_translation(m.v, true);
    g_assert(writes(&m));
    stop(&m);
}

/*
 * Translated requests
 */

static void test_translated(void)
{
    Machine m;

    start(&m, QVTD_PGTT_FS, QVTD_NO_PASID);
    g_assert(writes_at(&m, m.page, m.page, TRANSLATED));
    g_assert(reads_at(&m, m.page, m.page, TRANSLATED));
    set_context(&m, QVTD_SVM_CONTEXT & ~QVTD_CE_DTE);
    g_assert(!writes_at(&m, m.page, m.page, TRANSLATED));
    expect_fault(&m, VTD_FR_SM_DTE_DISABLED, m.page, false, 2);
    g_assert(!reads_at(&m, m.page, m.page, TRANSLATED));
    expect_fault(&m, VTD_FR_SM_DTE_DISABLED, m.page, true, 2);
    stop(&m);
}

/* Pass-through needs no tables, and ATS needs DTE all the same */
static void test_translated_pass_through(void)
{
    Machine m;

    start(&m, QVTD_PGTT_PT, QVTD_NO_PASID);
    g_assert(writes_at(&m, m.page, m.page, TRANSLATED));
    set_context(&m, QVTD_SVM_CONTEXT & ~QVTD_CE_DTE);
    g_assert(writes_at(&m, m.page, m.page, 0));
    g_assert(!writes_at(&m, m.page, m.page, TRANSLATED));
    expect_fault(&m, VTD_FR_SM_DTE_DISABLED, m.page, false, 2);
    stop(&m);
}

/* An address that is translated has no PASID any more: malformed, no fault */
static void test_translated_with_pasid(void)
{
    Machine m;

    start(&m, QVTD_PGTT_FS, QVTD_SVM_PASID);
    g_assert(!writes_at(&m, m.page, m.page, TRANSLATED));
    g_assert(!writes_at(&m, IOVA, m.page, TRANSLATED));
    stop(&m);
}

typedef struct LegacyType {
    const char *path;
    uint64_t tt;
    bool translated;
    bool identity;
} LegacyType;

static const LegacyType legacy_types[] = {
    { "/svm/ats/legacy-mode/TT-00b-blocks-translated-requests",
      VTD_CONTEXT_TT_MULTI_LEVEL },
    { "/svm/ats/legacy-mode/TT-01b-lets-translated-requests-through",
      VTD_CONTEXT_TT_DEV_IOTLB, .translated = true },
    { "/svm/ats/legacy-mode/TT-10b-blocks-translated-requests",
      VTD_CONTEXT_TT_PASS_THROUGH, .identity = true },
};

static void test_legacy_type(const void *data)
{
    const LegacyType *l = data;
    uint64_t addr;
    Machine m;

    start(&m, QVTD_PGTT_SS, QVTD_NO_PASID);
    qvtd_enter_legacy_mode(m.v, m.t.sid, l->tt, DID, m.table);

    addr = l->identity ? m.page : IOVA;
    g_assert(writes_at(&m, addr, m.page, 0));
    g_assert(reads_at(&m, addr, m.page, 0));
    g_assert(writes_at(&m, m.page, m.page, TRANSLATED) == l->translated);
    if (!l->translated) {
        expect_fault(&m, VTD_FR_CONTEXT_ENTRY_TT, m.page, false, 2);
    }
    stop(&m);
}

/* Legacy mode has its own numbers for what the modes have in common */

static uint64_t root_addr(Machine *m)
{
    return m->v->root;
}

static uint64_t context_addr(Machine *m)
{
    return qvtd_context_addr(m->v, m->t.sid);
}

static uint64_t context_high_addr(Machine *m)
{
    return context_addr(m) + 8;
}

static uint64_t directory_entry_addr(Machine *m)
{
    return qvtd_pte_addr(m->v, m->table, IOVA, 2);
}

typedef struct LegacyFault {
    const char *path;
    uint64_t (*addr)(Machine *m);
    uint64_t clear;
    uint64_t set;
    unsigned int read;      /* fault of a read, or 0 */
    unsigned int write;
} LegacyFault;

static const LegacyFault legacy_faults[] = {
    { "/svm/fault/legacy-root-entry-is-not-present", root_addr, 1, 0,
      VTD_FR_ROOT_ENTRY_P, VTD_FR_ROOT_ENTRY_P },
    { "/svm/fault/legacy-root-entry-has-a-reserved-bit-set", root_addr, 0,
      1 << 1, VTD_FR_ROOT_ENTRY_RSVD, VTD_FR_ROOT_ENTRY_RSVD },
    { "/svm/fault/legacy-context-table-is-not-in-memory", root_addr,
      QVTD_PTE_ADDR_MASK, QVTD_SVM_NO_RAM,
      VTD_FR_CONTEXT_TABLE_INV, VTD_FR_CONTEXT_TABLE_INV },
    { "/svm/fault/legacy-context-entry-is-not-present", context_addr,
      VTD_CONTEXT_ENTRY_P, 0, VTD_FR_CONTEXT_ENTRY_P, VTD_FR_CONTEXT_ENTRY_P },
    { "/svm/fault/legacy-context-entry-has-a-reserved-bit-set", context_addr,
      0, 1 << 4, VTD_FR_CONTEXT_ENTRY_RSVD, VTD_FR_CONTEXT_ENTRY_RSVD },
    { "/svm/fault/legacy-context-entry-has-an-unsupported-width",
      context_high_addr, 0, VTD_CONTEXT_ENTRY_AW,
      VTD_FR_CONTEXT_ENTRY_INV, VTD_FR_CONTEXT_ENTRY_INV },
    { "/svm/fault/legacy-table-is-not-in-memory", directory_entry_addr,
      QVTD_PTE_ADDR_MASK, QVTD_SVM_NO_RAM,
      VTD_FR_PAGING_ENTRY_INV, VTD_FR_PAGING_ENTRY_INV },
    { "/svm/fault/legacy-page-has-a-reserved-bit-set", leaf_addr, 0,
      1ULL << 51, VTD_FR_PAGING_ENTRY_RSVD, VTD_FR_PAGING_ENTRY_RSVD },
    { "/svm/fault/legacy-page-is-read-only", leaf_addr, QVTD_SS_W, 0,
      0, VTD_FR_WRITE },
    { "/svm/fault/legacy-page-is-write-only", leaf_addr, QVTD_SS_R, 0,
      VTD_FR_READ, 0 },
};

static void test_legacy_fault(const void *data)
{
    const LegacyFault *l = data;
    Machine m;

    start(&m, QVTD_PGTT_SS, QVTD_NO_PASID);
    qvtd_enter_legacy_mode(m.v, m.t.sid, VTD_CONTEXT_TT_DEV_IOTLB, DID,
                           m.table);
    change(&m, l->addr(&m), l->clear, l->set);
    g_assert(writes(&m) == !l->write);
    if (l->write) {
        expect_fault(&m, l->write, IOVA, false, 0);
    }
    g_assert(reads(&m) == !l->read);
    if (l->read) {
        expect_fault(&m, l->read, IOVA, true, 0);
    }
    stop(&m);
}

static void test_legacy_range(void)
{
    Machine m;

    start(&m, QVTD_PGTT_SS, QVTD_NO_PASID);
    qvtd_enter_legacy_mode(m.v, m.t.sid, VTD_CONTEXT_TT_DEV_IOTLB, DID,
                           m.table);
    g_assert(!reads_at(&m, 1ULL << 48, m.page, 0));
    expect_fault(&m, VTD_FR_ADDR_BEYOND_MGAW, 1ULL << 48, true, 0);
    stop(&m);
}

/*
 * The device ends the address space that a DMA needs at once. What the memory
 * core still has of it is freed when the memory map changes, here by the bus
 * master's address space.
 */
static void test_space_ends_first(void)
{
    Machine m;

    start(&m, QVTD_PGTT_FS, QVTD_SVM_PASID);
    for (int i = 0; i < 3; i++) {
        g_assert(writes(&m));
        g_usleep(GRACE_US);
        qtestdev_set_master(&m.t, false);
        qtestdev_set_master(&m.t, true);
        g_usleep(GRACE_US);
    }
    g_assert(writes(&m));
    stop(&m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(paths); i++) {
        qtest_add_data_func(paths[i].path, &paths[i], test_path);
    }
    for (int i = 0; i < ARRAY_SIZE(forgets); i++) {
        qtest_add_data_func(forgets[i].path, &forgets[i], test_forget);
    }
    add_forget_with_entry("/svm/inv/the-PASID-cache-takes-translations-along",
                          qvtd_pasid_cache_desc(QVTD_PC_PASID, DID, PASID));
    add_forget_with_entry("/svm/inv/the-context-cache-takes-translations-along",
                          qvtd_cc_desc(QVTD_CC_GLOBAL, 0, 0, 0));
    for (int i = 0; i < ARRAY_SIZE(refusals); i++) {
        qtest_add_data_func(refusals[i].path, &refusals[i], test_refusal);
    }
    for (int i = 0; i < ARRAY_SIZE(legacy_types); i++) {
        qtest_add_data_func(legacy_types[i].path, &legacy_types[i],
                            test_legacy_type);
    }
    for (int i = 0; i < ARRAY_SIZE(legacy_faults); i++) {
        qtest_add_data_func(legacy_faults[i].path, &legacy_faults[i],
                            test_legacy_fault);
    }
    qtest_add_func("/svm/fault/legacy-address-is-beyond-the-width",
                   test_legacy_range);
    qtest_add_func("/svm/fault/DMA-to-a-non-canonical-address",
                   test_non_canonical);
    qtest_add_func("/svm/fault/DMA-beyond-what-a-second-stage-allows",
                   test_second_stage_read_only);
    qtest_add_func("/svm/fault/DMA-that-reads-a-write-only-page",
                   test_second_stage_write_only);
    for (int i = 0; i < ARRAY_SIZE(hidden); i++) {
        qtest_add_data_func(hidden[i].path, &hidden[i], test_hidden);
    }
    qtest_add_func("/svm/fault/DMA-that-leads-beyond-the-second-stage",
                   test_nested_beyond);
    qtest_add_func("/svm/pasid/interrupt-addresses-with-PASID-are-translated",
                   test_interrupt_address_with_pasid);
    qtest_add_func("/svm/pasid/pass-through-with-PASID-is-identity",
                   test_pass_through);
    qtest_add_func("/svm/pasid/DMA-with-PASID-needs-PASIDE-and-not-DTE",
                   test_context_enables);
    qtest_add_func("/svm/pasid/DMA-with-PASID-needs-the-PASID-enable-alone",
                   test_function_enables);
    qtest_add_func("/svm/pasid/DMA-with-PASID-needs-a-bus-master",
                   test_not_master);
    qtest_add_func("/svm/pasid/DMA-with-PASID-needs-remapping",
                   test_no_remapping);
    qtest_add_func("/svm/pasid/an-address-space-ends-before-its-flat-view",
                   test_space_ends_first);
    qtest_add_func("/svm/ats/translated-requests-need-DTE", test_translated);
    qtest_add_func("/svm/ats/translated-requests-beside-pass-through-need-DTE",
                   test_translated_pass_through);
    qtest_add_func("/svm/ats/translated-requests-have-no-PASID",
                   test_translated_with_pasid);
    return g_test_run();
}
