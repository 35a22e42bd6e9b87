/*
 * QTest testcase for SVM: functions that try to reach what they were not given
 *
 * PCIe r6.0, 10.1 and 6.20; VT-d rev 4.1, 3.4, 4.2.4 and 7.1. Each attempt is
 * refused, leaves memory alone and is in the fault log. Beside the endpoint
 * there is a test device, with virtual functions, which makes any call. Each of
 * the functions has a PASID directory of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "exec/memory.h"
#include "hw/pci/pci_regs.h"
#include "libqos/svm-testdev.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define PATTERN     0x1122334455667788ULL
#define TRANSLATED  SVM_TESTDEV_FLAG_TRANSLATED

/* Kinds of requests, as a fault record has them */
enum { AT_DMA, AT_TRANSLATION, AT_TRANSLATED, AT_PAGE_REQUEST };

/* A function with a process of its own, which has one page */
typedef struct Party {
    QTestdev t;
    uint64_t dir;
    uint64_t table;
    uint64_t page;
} Party;

static void set_context(Party *p, uint64_t flags)
{
    qvtd_set_context(p->t.f->v, p->t.sid, flags, QVTD_SVM_PDTS, p->dir, 0);
    qvtd_inv_all(p->t.f->v);
}

static void give_process(Party *p)
{
    QVTD *v = p->t.f->v;
    QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS, .did = QVTD_SVM_DID,
    };

    p->dir = qvtd_new_pasid_dir(v, QVTD_SVM_PDTS);
    p->table = qvtd_alloc_page(v);
    p->page = qvtd_alloc(v, 3 * PAGE, PAGE) + PAGE;
    qvtd_fs_map(v, p->table, IOVA, p->page, 1, QVTD_FS_USER_RW);
    pe.table = p->table;
    qvtd_set_pasid_entry(v, p->dir, p->t.pasid, &pe);
    set_context(p, QVTD_SVM_CONTEXT);
}

/* The test device, its virtual function, and the endpoint with @pf->t.f */
static void start(Party *pf, Party *vf)
{
    qtestdev_start(&pf->t, ",vfs=1");
    qtestdev_enable_vfs(&pf->t, &vf->t, 1);
    vf->t.pasid = 0x42;
    give_process(pf);
    give_process(vf);
}

static void stop(Party *pf)
{
    qtestdev_stop(&pf->t);
}

static void expect_fault(Party *p, unsigned int reason, unsigned int at,
                         uint64_t addr)
{
    QVTDFault fault;

    g_assert(qvtd_pop_fault(p->t.f->v, &fault));
    g_assert_cmphex(fault.reason, ==, reason);
    g_assert_cmphex(fault.sid, ==, p->t.sid);
    g_assert_cmpint(fault.page_request ? AT_PAGE_REQUEST : fault.at, ==, at);
    g_assert_cmphex(fault.addr, ==, addr);
    g_assert(fault.has_pasid == (at != AT_TRANSLATED));
    if (fault.has_pasid) {
        g_assert_cmphex(fault.pasid, ==, p->t.pasid);
    }
}

static bool writes(Party *p, uint64_t addr, unsigned int flags)
{
    uint64_t data = PATTERN;

    return qtestdev_dma(&p->t, addr, true, flags, &data) == MEMTX_OK;
}

static void expect_page(Party *p, uint64_t val)
{
    g_assert_cmphex(qtest_readq(p->t.qts, p->page), ==, val);
}

/* Each of the ways into the process of @pasid, all in vain */
static void expect_no_way(Party *p, uint32_t pasid, unsigned int reason)
{
    uint32_t own = p->t.pasid;

    p->t.pasid = pasid;
    g_assert_cmpint(qtestdev_translate(&p->t, IOVA, PAGE, 0), ==, -EFAULT);
    expect_fault(p, reason, AT_TRANSLATION, IOVA);
    g_assert(!writes(p, IOVA, 0));
    expect_fault(p, reason, AT_DMA, IOVA);
    qtestdev_listen(&p->t, 1);
    g_assert_cmpint(qtestdev_request(&p->t, 0, true), ==, -EFAULT);
    expect_fault(p, reason, AT_PAGE_REQUEST, IOVA);
    qtestdev_pop_none(&p->t);
    p->t.pasid = own;
}

static void expect_own(Party *p)
{
    qtest_writeq(p->t.qts, p->page, 0);
    g_assert_cmpint(qtestdev_translate(&p->t, IOVA, PAGE, 0), ==, 1);
    g_assert_cmphex(qtestdev_result(&p->t, 0, SVM_TESTDEV_RESULT_ADDR), ==,
                    p->page);
    g_assert(writes(p, IOVA, 0));
    expect_page(p, PATTERN);
    qtest_writeq(p->t.qts, p->page, 0);
}

/* A PASID that the OS has bound to another device is none of this one's */
static void test_other_process(void)
{
    Party pf = { }, vf = { };
    uint64_t page;

    start(&pf, &vf);
    qvtd_svm_add_process(pf.t.f, 0x99);
    page = qvtd_svm_map(pf.t.f, IOVA, QVTD_FS_USER_RW);
    qvtd_svm_poison(pf.t.f, page, PAGE);
    expect_no_way(&pf, 0x99, VTD_FR_PASID_DIR_ENTRY_P);
    g_assert(qvtd_svm_is_poisoned(pf.t.f, page, PAGE));
    expect_own(&pf);
    stop(&pf);
}

static void test_vf_and_pf(void)
{
    Party pf = { }, vf = { };

    start(&pf, &vf);
    expect_no_way(&vf, pf.t.pasid, VTD_FR_PASID_DIR_ENTRY_P);
    expect_no_way(&pf, vf.t.pasid, VTD_FR_PASID_DIR_ENTRY_P);
    expect_page(&pf, 0);
    expect_page(&vf, 0);
    expect_own(&vf);
    expect_page(&pf, 0);
    expect_own(&pf);
    expect_page(&vf, 0);
    stop(&pf);
}

/* What the OS takes from one is not lent by the other */
static void test_vf_alone(void)
{
    Party pf = { }, vf = { };

    start(&pf, &vf);
    set_context(&vf, 0);
    expect_no_way(&vf, vf.t.pasid, VTD_FR_SM_CONTEXT_ENTRY_P);
    expect_own(&pf);
    set_context(&vf, QVTD_SVM_CONTEXT);
    set_context(&pf, 0);
    expect_no_way(&pf, pf.t.pasid, VTD_FR_SM_CONTEXT_ENTRY_P);
    expect_own(&vf);
    stop(&pf);
}

/* The endpoint's process has the PASID that the test device's has, too */
static void test_same_pasid(void)
{
    Party pf = { }, vf = { };
    uint64_t page, invalidations;
    QVTDSVM *f;

    start(&pf, &vf);
    f = pf.t.f;
    g_assert_cmphex(pf.t.pasid, ==, QVTD_SVM_PASID);
    page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    expect_page(&pf, 0);
    qvtd_svm_poison(f, page, PAGE);
    expect_own(&pf);
    g_assert(qvtd_svm_is_poisoned(f, page, PAGE));

    /* Nor does one reach what only the other has */
    page = qvtd_svm_map(f, IOVA + PAGE, QVTD_FS_USER_RW);
    qvtd_svm_poison(f, page, PAGE);
    g_assert(!writes(&pf, IOVA + PAGE, 0));
    expect_fault(&pf, VTD_FR_FS_PAGING_ENTRY_P, AT_DMA, IOVA + PAGE);
    g_assert_cmpint(qtestdev_translate(&pf.t, IOVA + PAGE, PAGE, 0), ==, 1);
    g_assert_cmphex(qtestdev_result(&pf.t, 0, SVM_TESTDEV_RESULT_PERM), ==,
                    IOMMU_NONE);
    g_assert(qvtd_svm_is_poisoned(f, page, PAGE));

    qtestdev_listen(&pf.t, 0);
    invalidations = qtestdev_reg(&pf.t, SVM_TESTDEV_INV_COUNT);
    qvtd_inv(f->v, qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID, IOVA, false,
                                        false));
    g_assert_cmpuint(qtestdev_reg(&pf.t, SVM_TESTDEV_INV_COUNT), ==,
                     invalidations);
    qvtd_inv(f->v, qvtd_dev_piotlb_desc(pf.t.sid, QVTD_SVM_PASID, IOVA, false,
                                        false));
    g_assert_cmpuint(qtestdev_reg(&pf.t, SVM_TESTDEV_INV_COUNT), ==,
                     invalidations + 1);
    stop(&pf);
}

/* Nor is a response to the one an answer to the other */
static void test_same_index(void)
{
    Party pf = { }, vf = { };
    QVTDPageReq mine, theirs;
    QVTDSVM *f;

    start(&pf, &vf);
    f = pf.t.f;
    qsvm_enable_pri(&f->svm, 1);
    qtestdev_listen(&pf.t, 0);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    theirs = qvtd_svm_wait_page_req(f);
    g_assert_cmpint(qtestdev_request(&pf.t, theirs.prgi, true), ==, 0);
    mine = qtestdev_pop(&pf.t);
    g_assert_cmphex(mine.pasid, ==, theirs.pasid);
    g_assert_cmphex(mine.prgi, ==, theirs.prgi);

    qtestdev_respond(&pf.t, mine.pasid, mine.prgi, QVTD_SVM_INVALID);
    g_assert_cmpuint(qtestdev_reg(&pf.t, SVM_TESTDEV_RESP_COUNT), ==, 1);
    qsvm_settle(&f->svm);
    g_assert(!qsvm_is_done(&f->svm));
    qvtd_svm_resolve(f, &theirs);
    qvtd_svm_respond(f, &theirs, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    g_assert_cmpuint(qtestdev_reg(&pf.t, SVM_TESTDEV_RESP_COUNT), ==, 1);
    stop(&pf);
}

/* The pages around the one that was given follow it in memory as well */
static void test_beside(void)
{
    const struct {
        int64_t offset;
        uint64_t fault;
    } beside[] = {
        { -8, IOVA - PAGE },
        { -4, IOVA - PAGE },
        { PAGE - 4, IOVA + PAGE },
        { PAGE, IOVA + PAGE },
    };
    Party pf = { }, vf = { };

    start(&pf, &vf);
    qvtd_svm_poison(pf.t.f, pf.page - PAGE, PAGE);
    qvtd_svm_poison(pf.t.f, pf.page + PAGE, PAGE);
    for (int i = 0; i < ARRAY_SIZE(beside); i++) {
        g_assert(!writes(&pf, IOVA + beside[i].offset, 0));
        expect_fault(&pf, VTD_FR_FS_PAGING_ENTRY_P, AT_DMA, beside[i].fault);
    }
    g_assert_cmpint(qtestdev_translate(&pf.t, IOVA - PAGE, 3 * PAGE, 0), ==,
                    3);
    for (int i = 0; i < 3; i++) {
        g_assert_cmphex(qtestdev_result(&pf.t, i, SVM_TESTDEV_RESULT_PERM), ==,
                        i == 1 ? IOMMU_RW : IOMMU_NONE);
        g_assert_cmphex(qtestdev_result(&pf.t, i, SVM_TESTDEV_RESULT_MASK), ==,
                        PAGE - 1);
    }
    g_assert(qvtd_svm_is_poisoned(pf.t.f, pf.page - PAGE, PAGE));
    g_assert(qvtd_svm_is_poisoned(pf.t.f, pf.page + PAGE, PAGE));
    stop(&pf);
}

static void unmap(Party *p)
{
    qtest_writeq(p->t.qts, qvtd_pte_addr(p->t.f->v, p->table, IOVA, 1), 0);
    qvtd_inv_all(p->t.f->v);
}

/* Whatever the unit remembered is forgotten. */
static void test_revoked(void)
{
    Party pf = { }, vf = { };

    start(&pf, &vf);
    expect_own(&pf);
    unmap(&pf);
    g_assert(!writes(&pf, IOVA, 0));
    expect_fault(&pf, VTD_FR_FS_PAGING_ENTRY_P, AT_DMA, IOVA);
    expect_page(&pf, 0);
    g_assert_cmpint(qtestdev_translate(&pf.t, IOVA, PAGE, 0), ==, 1);
    g_assert_cmphex(qtestdev_result(&pf.t, 0, SVM_TESTDEV_RESULT_PERM), ==,
                    IOMMU_NONE);
    stop(&pf);
}

/*
 * The trust that ATS needs: the unit believes translated requests of a function
 * whose context entry says so, and ends that when it says so no more.
 */
static void test_kept(void)
{
    Party pf = { }, vf = { };
    uint32_t pasid;

    start(&pf, &vf);
    pasid = pf.t.pasid;
    g_assert_cmpint(qtestdev_translate(&pf.t, IOVA, PAGE, 0), ==, 1);
    pf.t.pasid = QVTD_NO_PASID;
    g_assert(writes(&pf, pf.page, TRANSLATED));
    expect_page(&pf, PATTERN);
    qtest_writeq(pf.t.qts, pf.page, 0);

    set_context(&pf, QVTD_SVM_CONTEXT & ~QVTD_CE_DTE);
    g_assert(!writes(&pf, pf.page, TRANSLATED));
    expect_fault(&pf, VTD_FR_SM_DTE_DISABLED, AT_TRANSLATED, pf.page);
    set_context(&pf, 0);
    g_assert(!writes(&pf, pf.page, TRANSLATED));
    expect_fault(&pf, VTD_FR_SM_CONTEXT_ENTRY_P, AT_TRANSLATED, pf.page);
    expect_page(&pf, 0);

    /* It is the function that is trusted, not the slot. */
    vf.t.pasid = QVTD_NO_PASID;
    g_assert(writes(&vf, vf.page, TRANSLATED));
    set_context(&pf, QVTD_SVM_CONTEXT);
    pf.t.pasid = pasid;
    expect_own(&pf);
    stop(&pf);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svm/isolation/a-PASID-of-another-device-is-refused",
                   test_other_process);
    qtest_add_func("/svm/isolation/a-PASID-of-the-PF-is-none-of-its-VF",
                   test_vf_and_pf);
    qtest_add_func("/svm/isolation/a-function-that-is-ended-ends-alone",
                   test_vf_alone);
    qtest_add_func("/svm/isolation/one-PASID-is-two-in-two-endpoints",
                   test_same_pasid);
    qtest_add_func("/svm/isolation/one-index-is-two-in-two-endpoints",
                   test_same_index);
    qtest_add_func("/svm/isolation/addresses-beside-a-page-are-refused",
                   test_beside);
    qtest_add_func("/svm/isolation/what-was-revoked-is-refused", test_revoked);
    qtest_add_func("/svm/isolation/a-translation-that-was-kept-is-refused",
                   test_kept);
    return g_test_run();
}
