/*
 * QTest testcase for SVM: what ends a command that waits for the response to a
 * page request
 *
 * PCIe r6.0, 10.4 and 10.5.2; docs/specs/svm.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/vtd-svm.h"

#define PAGE    (4 * KiB)
#define IOVA    0x7f1234560000ULL
#define CREDITS 64

static uint64_t page_at(QVTDSVM *f, uint64_t iova)
{
    return qvtd_pte(f->v, f->table, iova, 1) & QVTD_PTE_ADDR_MASK;
}

static void test_disabled(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qsvm_disable_pri(&f->svm);
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    g_assert(!qsvm_write(&f->svm, IOVA, PAGE));
    qvtd_svm_expect_no_page_req(f);
    qvtd_svm_stop(f);
}

/* 10.5.2.3: it is Stopped when the last response is here */
static void test_stopped(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;

    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qsvm_disable_pri(&f->svm);
    g_assert(!qsvm_wait(&f->svm));
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID);
    qvtd_svm_resolve(f, &req);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    g_assert(qvtd_svm_is_poisoned(f, page_at(f, IOVA), PAGE));
    qvtd_svm_stop(f);
}

/* 10.5.2.2: Reset forgets what is outstanding, while Enable is clear */
static void test_pri_reset(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(1);
    uint16_t ctrl = f->svm.pri_cap + PCI_PRI_CTRL;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    qvtd_svm_wait_page_req(f);
    qsvm_disable_pri(&f->svm);
    g_assert(!qsvm_wait(&f->svm));
    qsvm_config_writew(&f->svm, ctrl, PCI_PRI_CTRL_RESET);
    g_assert_cmphex(qsvm_config_readw(&f->svm, ctrl), ==, 0);
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);

    /* The one credit is there again */
    qsvm_enable_pri(&f->svm, 1);
    g_assert(qvtd_svm_write_resolved(f, IOVA));
    qvtd_svm_stop(f);
}

/* The device has a copy of what it works on, and works on one at a time */
static void test_busy(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint64_t other = qvtd_svm_map(f, IOVA + PAGE, QVTD_FS_USER_RW);
    QVTDPageReq req;
    uint64_t page;

    qvtd_svm_poison(f, other, PAGE);
    qsvm_start_write(&f->svm, IOVA, 0x100);
    req = qvtd_svm_wait_page_req(f);
    qsvm_start_write(&f->svm, IOVA + PAGE, PAGE);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_REG_STATUS), ==,
                     SVM_STATUS_FAILED);
    page = qvtd_svm_resolve(f, &req);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_written(f, page, 0x100, 0));
    g_assert(qvtd_svm_is_poisoned(f, page + 0x100, PAGE - 0x100));
    qvtd_svm_expect_no_page_req(f);
    g_assert(!qsvm_is_done(&f->svm));
    g_assert(qvtd_svm_is_poisoned(f, other, PAGE));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_COMMANDS), ==, 1);
    qvtd_svm_stop(f);
}

static void expect_outstanding(QVTDSVM *f, uint32_t groups)
{
    g_assert_cmpuint(qsvm_outstanding(&f->svm, QVTD_SVM_PASID), ==, groups);
}

/* A write to the PASID register, of the same or of another process */
static void check_pasid_write(uint32_t pasid)
{
    QVTDSVM *f = qvtd_svm_start_pri(2);
    QVTDPageReq req, next;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_svm_resolve(f, &req);
    if (pasid != QVTD_SVM_PASID) {
        qvtd_svm_add_process(f, pasid);
    }
    qsvm_set_pasid(&f->svm, pasid);
    g_assert(!qsvm_wait(&f->svm));
    expect_outstanding(f, 1);

    /* The old request is outstanding still; the device can do without */
    qsvm_start_write(&f->svm, IOVA + PAGE, PAGE);
    next = qvtd_svm_wait_page_req(f);
    g_assert_cmphex(next.pasid, ==, pasid);
    qvtd_svm_respond(f, &next, QVTD_SVM_INVALID);
    g_assert(!qsvm_wait(&f->svm));
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    expect_outstanding(f, 0);
    qvtd_svm_expect_no_page_req(f);
    g_assert(!qsvm_is_done(&f->svm));
    g_assert(qvtd_svm_is_poisoned(f, page_at(f, IOVA), PAGE));
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID);
    qvtd_svm_stop(f);
}

static void test_same_pasid_write(void)
{
    check_pasid_write(QVTD_SVM_PASID);
}

static void test_other_pasid_write(void)
{
    check_pasid_write(0x42);
}

/* What waits while the machine is stopped begins anew when it runs again */
static void test_stop_and_cont(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req, again;
    uint64_t page;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qtest_qmp_assert_success(f->qts, "{ 'execute': 'stop' }");
    page = qvtd_svm_resolve(f, &req);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    qvtd_svm_expect_no_page_req(f);
    g_assert(!qsvm_is_done(&f->svm));
    g_assert(qvtd_svm_is_poisoned(f, page, PAGE));
    qtest_qmp_assert_success(f->qts, "{ 'execute': 'cont' }");
    g_assert(qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_written(f, page, PAGE, 0));

    qsvm_start_write(&f->svm, IOVA + PAGE, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qtest_qmp_assert_success(f->qts, "{ 'execute': 'stop' }");
    qtest_qmp_assert_success(f->qts, "{ 'execute': 'cont' }");
    again = qvtd_svm_wait_page_req(f);
    g_assert_cmphex(again.addr, ==, req.addr);
    g_assert_cmpuint(again.prgi, !=, req.prgi);
    page = qvtd_svm_resolve(f, &again);
    qvtd_svm_respond(f, &req, QVTD_SVM_INVALID);
    qvtd_svm_expect_no_page_req(f);
    g_assert(!qsvm_is_done(&f->svm));
    qvtd_svm_respond(f, &again, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_written(f, page, PAGE, 0));
    qvtd_svm_stop(f);
}

/* Requests of one PASID are not those of another one, or of none */
static void test_outstanding(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;

    expect_outstanding(f, 0);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    expect_outstanding(f, 1);
    g_assert_cmpuint(qsvm_outstanding(&f->svm, QVTD_SVM_PASID + 1), ==, 0);
    g_assert_cmpuint(qsvm_outstanding(&f->svm, SVM_PASID_NONE), ==, 0);
    qvtd_svm_resolve(f, &req);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    expect_outstanding(f, 0);
    g_assert(qsvm_wait(&f->svm));
    qvtd_svm_stop(f);
}

/* What is no PASID does not change for which one the register answers */
static void test_outstanding_invalid(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qsvm_start_write(&f->svm, IOVA, PAGE);
    qvtd_svm_wait_page_req(f);
    expect_outstanding(f, 1);
    g_assert_cmpuint(qsvm_outstanding(&f->svm, SVM_PASID_NONE + 1), ==, 1);
    g_assert_cmpuint(qsvm_outstanding(&f->svm, UINT32_MAX), ==, 1);
    g_assert_cmphex(qsvm_readq(&f->svm, SVM_REG_OUTSTANDING), ==, 0);
    qsvm_function_reset(&f->svm);
    qvtd_svm_set_up_function(f);
    expect_outstanding(f, 0);
    qvtd_svm_stop(f);
}

static void enter_d3hot(QVTDSVM *f)
{
    uint8_t cap = qpci_find_capability(f->svm.dev, PCI_CAP_ID_PM, 0);

    qpci_config_writew(f->svm.dev, cap + PCI_PM_CTRL, 3);
    g_assert_cmphex(qpci_config_readw(f->svm.dev, cap + PCI_PM_CTRL) &
                    PCI_PM_CTRL_STATE_MASK, ==, 3);
    /* Registers cannot be reached there, and keep their values */
    qpci_config_writew(f->svm.dev, cap + PCI_PM_CTRL, 0);
}

static void clear_master(QVTDSVM *f)
{
    qpci_config_writew(f->svm.dev, PCI_COMMAND, PCI_COMMAND_MEMORY);
}

static void clear_pasid(QVTDSVM *f)
{
    qsvm_set_pasid_enables(&f->svm, 0);
}

static void clear_ats(QVTDSVM *f)
{
    qsvm_set_ats(&f->svm, false);
}

static void clear_pri(QVTDSVM *f)
{
    qsvm_disable_pri(&f->svm);
}

typedef struct Disable {
    const char *path;
    void (*clear)(QVTDSVM *f);
    bool lost;                  /* the request is not outstanding any more */
} Disable;

static const Disable disables[] = {
    { "/svm/pri/Bus-Master-Enable-clear-ends-the-wait", clear_master },
    { "/svm/pri/PASID-Enable-clear-ends-the-wait", clear_pasid },
    { "/svm/pri/ATS-Enable-clear-ends-the-wait", clear_ats },
    { "/svm/pri/PRI-Enable-clear-ends-the-wait", clear_pri, true },
    { "/svm/pri/D3hot-ends-the-wait", enter_d3hot },
};

static void test_disable(const void *data)
{
    const Disable *d = data;
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;
    uint64_t page;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    page = qvtd_svm_resolve(f, &req);
    d->clear(f);
    g_assert(!qsvm_wait(&f->svm));
    expect_outstanding(f, d->lost ? 0 : 1);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    qvtd_svm_expect_no_page_req(f);
    g_assert(!qsvm_is_done(&f->svm));
    g_assert(qvtd_svm_is_poisoned(f, page, PAGE));
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(disables); i++) {
        qtest_add_data_func(disables[i].path, &disables[i], test_disable);
    }
    qtest_add_func("/svm/pri/a-disabled-interface-sends-no-request",
                   test_disabled);
    qtest_add_func("/svm/pri/Stopped-waits-for-outstanding-responses",
                   test_stopped);
    qtest_add_func("/svm/pri/Reset-forgets-outstanding-requests",
                   test_pri_reset);
    qtest_add_func("/svm/pri/a-command-while-another-one-waits-is-ignored",
                   test_busy);
    qtest_add_func("/svm/pri/the-same-PASID-written-again-ends-the-wait",
                   test_same_pasid_write);
    qtest_add_func("/svm/pri/another-PASID-ends-the-wait",
                   test_other_pasid_write);
    qtest_add_func("/svm/pri/requests-are-outstanding-until-they-are-answered",
                   test_outstanding);
    qtest_add_func("/svm/pri/the-register-of-outstanding-requests-takes-PASIDs",
                   test_outstanding_invalid);
    qtest_add_func("/svm/pri/a-stop-of-the-machine-begins-the-command-anew",
                   test_stop_and_cont);
    return g_test_run();
}
