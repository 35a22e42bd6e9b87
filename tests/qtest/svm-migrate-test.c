/*
 * QTest testcase for SVM: what of a function's capabilities migrates
 *
 * PCIe r6.0, 7.8.9, 10.5.1 and 10.5.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "libqos/vtd-svm.h"
#include "qobject/qdict.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define CREDITS     5
#define STU         3

static bool is_completed(QTestState *qts)
{
    QDict *info = qtest_qmp_assert_success_ref(qts,
                                               "{ 'execute':"
                                               " 'query-migrate' }");
    const char *status = qdict_get_try_str(info, "status");
    bool completed = !g_strcmp0(status, "completed");

    g_assert_cmpstr(status, !=, "failed");
    qobject_unref(info);
    return completed;
}

/* Another machine, with the memory and the devices of @f, which ends */
static QVTDSVM *migrate(QVTDSVM *f)
{
    g_autofree char *path = g_strdup_printf("%s/svm-migrate-%d.qtest",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    int64_t start = g_get_monotonic_time();
    QVTDSVM *to;

    qtest_qmp_assert_success(f->qts, "{ 'execute': 'migrate', 'arguments': {"
                             " 'uri': %s } }", uri);
    while (!is_completed(f->qts)) {
        g_assert_cmpint(g_get_monotonic_time() - start, <, QSVM_TIMEOUT_US);
        g_usleep(1000);
    }
    to = qvtd_svm_start_machine("", "-device svm,addr=4 -incoming defer");
    qtest_qmp_assert_success(to->qts, "{ 'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s } }", uri);
    qtest_qmp_eventwait(to->qts, "RESUME");
    g_assert_cmpint(unlink(path), ==, 0);

    to->sid = f->sid;
    to->dir = f->dir;
    to->table = f->table;
    to->v = g_memdup2(f->v, sizeof(*f->v));
    to->v->qts = to->qts;
    to->svm = f->svm;
    to->svm.dev = qpci_device_find(to->bus, to->sid);
    qvtd_svm_stop(f);
    return to;
}

static void test_enables(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    QSVM *svm = &f->svm;
    QVTDPageReq req;

    qsvm_config_writew(svm, svm->ats_cap + PCI_ATS_CTRL,
                       PCI_ATS_CTRL_ENABLE | STU);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    f = migrate(f);
    svm = &f->svm;
    g_assert_cmphex(qsvm_config_readw(svm, svm->pasid_cap + PCI_PASID_CTRL),
                    ==, PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_PRIV);
    g_assert_cmphex(qsvm_config_readw(svm, svm->ats_cap + PCI_ATS_CTRL), ==,
                    PCI_ATS_CTRL_ENABLE | STU);
    g_assert_cmphex(qsvm_config_readw(svm, svm->pri_cap + PCI_PRI_CTRL), ==,
                    PCI_PRI_CTRL_ENABLE);
    g_assert_cmpuint(qsvm_config_readl(svm, svm->pri_cap + PCI_PRI_ALLOC_REQ),
                     ==, CREDITS);
    g_assert_cmphex(qsvm_pri_status(svm), ==, PCI_PRI_STATUS_PASID);

    /* And they have their effect, without a write to them */
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qsvm_start_write(svm, IOVA + PAGE, PAGE);
    req = qvtd_svm_wait_page_req(f);
    page = qvtd_svm_resolve(f, &req);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(svm));
    g_assert(qvtd_svm_is_written(f, page, PAGE, 0));
    qvtd_svm_stop(f);
}

static void test_disabled(void)
{
    QVTDSVM *f = migrate(qvtd_svm_start());
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    g_assert(!qsvm_write(&f->svm, IOVA + PAGE, PAGE));
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qsvm_set_ats(&f->svm, false);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    qvtd_svm_stop(f);
}

/* The bit that says so may be clear: the interface is disabled still */
static void test_failure(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_svm_respond(f, &req, QVTD_SVM_FAILURE);
    g_assert(!qsvm_wait(&f->svm));
    qsvm_config_writew(&f->svm, f->svm.pri_cap + PCI_PRI_STATUS,
                       PCI_PRI_STATUS_RF);
    f = migrate(f);
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    g_assert(!qsvm_write(&f->svm, IOVA, PAGE));
    qvtd_svm_expect_no_page_req(f);

    qsvm_disable_pri(&f->svm);
    qsvm_enable_pri(&f->svm, CREDITS);
    g_assert(qvtd_svm_write_resolved(f, IOVA));
    qvtd_svm_stop(f);
}

/* A group that was outstanding is forgotten, with its credit */
static void test_outstanding(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(1);
    QVTDPageReq req, again;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    f = migrate(f);
    again = qvtd_svm_wait_page_req(f);
    g_assert_cmphex(again.addr, ==, req.addr);
    qvtd_svm_resolve(f, &again);
    qvtd_svm_respond(f, &again, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID);
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svm/caps/enables-STU-and-allocation-migrate",
                   test_enables);
    qtest_add_func("/svm/caps/what-is-disabled-stays-so-in-a-migration",
                   test_disabled);
    qtest_add_func("/svm/pri/Response-Failure-lasts-through-a-migration",
                   test_failure);
    qtest_add_func("/svm/pri/a-migration-forgets-outstanding-groups",
                   test_outstanding);
    return g_test_run();
}
