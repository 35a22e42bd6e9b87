/*
 * QTest testcase for SVM: what VT-d remembers of its context and PASID tables,
 * and what makes it forget
 *
 * VT-d rev 4.1, 6.2.1 (context cache), 6.2.2 (PASID cache), 6.5.2 (descriptors)
 * and 11.4.4 (global commands).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "libqos/svm-testdev.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define MANY        1500

typedef struct Machine {
    QTestdev t;
    QVTD *v;
    uint64_t page;          /* where IOVA leads to at first */
} Machine;

static uint64_t new_table(Machine *m, uint64_t *page)
{
    uint64_t table = qvtd_alloc_page(m->v);

    *page = qvtd_alloc_page(m->v);
    qvtd_fs_map(m->v, table, IOVA, *page, 1, QVTD_FS_USER_RW);
    return table;
}

static void set_entry(Machine *m, uint64_t dir, uint32_t pasid, uint64_t table)
{
    const QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS, .did = QVTD_SVM_DID, .table = table,
    };

    qvtd_set_pasid_entry(m->v, dir, pasid, &pe);
}

static void start(Machine *m)
{
    qtestdev_start(&m->t, "");
    m->v = m->t.f->v;
    m->page = qvtd_svm_map(m->t.f, IOVA, QVTD_FS_USER_RW);
}

static void expect(Machine *m, uint64_t page)
{
    g_assert_cmpint(qtestdev_translate(&m->t, IOVA, PAGE, 0), ==, 1);
    g_assert_cmphex(qtestdev_result(&m->t, 0, SVM_TESTDEV_RESULT_ADDR), ==,
                    page);
}

/* What changes; returns where IOVA leads to from now on */

static uint64_t change_entry(Machine *m)
{
    uint64_t page, table = new_table(m, &page);

    set_entry(m, m->t.f->dir, QVTD_SVM_PASID, table);
    return page;
}

static uint64_t change_context(Machine *m)
{
    uint64_t dir = qvtd_new_pasid_dir(m->v, QVTD_SVM_PDTS);
    uint64_t page, table = new_table(m, &page);

    set_entry(m, dir, QVTD_SVM_PASID, table);
    qvtd_set_context(m->v, m->t.sid, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS, dir, 0);
    return page;
}

static uint64_t change_root(Machine *m)
{
    m->v->root = qvtd_alloc_page(m->v);
    return change_context(m);
}

/* What makes it be forgotten */

static void pasid_cache_domain(Machine *m)
{
    qvtd_inv(m->v, qvtd_pasid_cache_desc(QVTD_PC_DOMAIN, QVTD_SVM_DID, 0));
}

static void pasid_cache_pasid(Machine *m)
{
    qvtd_inv(m->v, qvtd_pasid_cache_desc(QVTD_PC_PASID, QVTD_SVM_DID,
                                         QVTD_SVM_PASID));
}

static void pasid_cache_global(Machine *m)
{
    qvtd_inv(m->v, qvtd_pasid_cache_desc(QVTD_PC_GLOBAL, 0, 0));
}

static void context_cache_global(Machine *m)
{
    qvtd_inv(m->v, qvtd_cc_desc(QVTD_CC_GLOBAL, 0, 0, 0));
}

static void context_cache_domain(Machine *m)
{
    qvtd_inv(m->v, qvtd_cc_desc(QVTD_CC_DOMAIN, QVTD_SVM_DID, 0, 0));
}

static void context_cache_device(Machine *m)
{
    qvtd_inv(m->v, qvtd_cc_desc(QVTD_CC_DEVICE, 0, m->t.sid, 0));
}

/* Commands of the register are ignored while the queue is enabled */
static void ccmd(Machine *m, uint64_t val)
{
    qvtd_disable_qi(m->v);
    qvtd_writeq(m->v, DMAR_CCMD_REG, VTD_CCMD_ICC | val);
    g_assert(!(qvtd_readq(m->v, DMAR_CCMD_REG) & VTD_CCMD_ICC));
    qvtd_enable_qi(m->v, 0, true);
}

static void ccmd_global(Machine *m)
{
    ccmd(m, VTD_CCMD_GLOBAL_INVL);
}

static void ccmd_device(Machine *m)
{
    ccmd(m, VTD_CCMD_DEVICE_INVL | (uint64_t)m->t.sid << 16);
}

static void root_pointer(Machine *m)
{
    qvtd_set_root(m->v);
}

static void translation_enable(Machine *m)
{
    qvtd_set_translation(m->v, false);
    qvtd_set_translation(m->v, true);
}

typedef struct CacheCase {
    const char *path;
    uint64_t (*change)(Machine *m);
    void (*forget)(Machine *m);
} CacheCase;

static const CacheCase cases[] = {
    { "/svm/inv/a-PASID-entry-goes-with-the-PASID-cache-of-its-domain",
      change_entry, pasid_cache_domain },
    { "/svm/inv/a-PASID-entry-goes-with-its-PASID-cache", change_entry,
      pasid_cache_pasid },
    { "/svm/inv/a-PASID-entry-goes-with-the-PASID-cache", change_entry,
      pasid_cache_global },
    { "/svm/inv/a-context-entry-goes-with-the-context-cache", change_context,
      context_cache_global },
    { "/svm/inv/a-context-entry-goes-with-the-context-cache-of-a-domain",
      change_context, context_cache_domain },
    { "/svm/inv/a-context-entry-goes-with-the-context-cache-of-its-function",
      change_context, context_cache_device },
    { "/svm/inv/a-context-entry-goes-with-CCMD", change_context, ccmd_global },
    { "/svm/inv/a-context-entry-goes-with-CCMD-of-its-function",
      change_context, ccmd_device },
    { "/svm/inv/a-root-entry-goes-with-SRTP", change_root, root_pointer },
    { "/svm/inv/a-context-entry-goes-when-translation-is-off", change_context,
      translation_enable },
};

static void test_forget(const void *data)
{
    const CacheCase *c = data;
    uint64_t page;
    Machine m;

    start(&m);
    expect(&m, m.page);
    expect(&m, m.page);
    page = c->change(&m);
    c->forget(&m);
    expect(&m, page);
    qtestdev_stop(&m.t);
}

/* 6.1: with CM clear what is not present, or faults, is not remembered */
static void test_not_present(void)
{
    uint64_t page, table;
    QVTDFault fault;
    Machine m;

    start(&m);
    m.t.pasid = 0x42;
    table = new_table(&m, &page);
    g_assert_cmpint(qtestdev_translate(&m.t, IOVA, PAGE, 0), ==, -EFAULT);
    g_assert(qvtd_pop_fault(m.v, &fault));
    g_assert_cmphex(fault.reason, ==, VTD_FR_PASID_DIR_ENTRY_P);
    set_entry(&m, m.t.f->dir, m.t.pasid, table);
    expect(&m, page);
    qtestdev_stop(&m.t);
}

/* More PASIDs than are remembered, twice: none takes another's entry */
static void test_many_pasids(void)
{
    g_autofree uint64_t *pages = g_new(uint64_t, MANY);
    Machine m;

    start(&m);
    for (unsigned int i = 0; i < MANY; i++) {
        set_entry(&m, m.t.f->dir, i, new_table(&m, &pages[i]));
    }
    for (unsigned int i = 0; i < 2 * MANY; i++) {
        m.t.pasid = i % MANY;
        expect(&m, pages[m.t.pasid]);
    }
    qtestdev_stop(&m.t);
}

/* FPD of what is remembered is remembered */
static void test_fpd(void)
{
    const QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS, .did = QVTD_SVM_DID, .fpd = true,
        .table = QVTD_SVM_NO_RAM,
    };
    QVTDFault fault;
    Machine m;

    start(&m);
    qvtd_set_pasid_entry(m.v, m.t.f->dir, QVTD_SVM_PASID, &pe);
    for (unsigned int i = 0; i < 2; i++) {
        g_assert_cmpint(qtestdev_translate(&m.t, IOVA, PAGE, 0), ==, 1);
        g_assert_cmphex(qtestdev_result(&m.t, 0, SVM_TESTDEV_RESULT_PERM), ==,
                        IOMMU_NONE);
        g_assert(!qvtd_pop_fault(m.v, &fault));
    }
    qtestdev_stop(&m.t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        qtest_add_data_func(cases[i].path, &cases[i], test_forget);
    }
    qtest_add_func("/svm/inv/what-is-not-present-is-not-remembered",
                   test_not_present);
    qtest_add_func("/svm/inv/many-PASIDs-keep-their-entries",
                   test_many_pasids);
    qtest_add_func("/svm/fault/FPD-is-remembered", test_fpd);
    return g_test_run();
}
