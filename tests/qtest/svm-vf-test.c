/*
 * QTest testcase for SVM: virtual functions, which have ATS of their own and
 * share the PASID and PRI capabilities of their physical function
 *
 * PCIe r6.0, 6.20, 9.3.7, 10.4 and 10.5.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/svm-testdev.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define VFS         2

#define PASID_CTRL  (SVM_TESTDEV_CAP_PASID + PCI_PASID_CTRL)
#define ATS_CTRL    (SVM_TESTDEV_CAP_ATS + PCI_ATS_CTRL)
#define PRI_CTRL    (SVM_TESTDEV_CAP_PRI + PCI_PRI_CTRL)

static void start(QTestdev *pf, QTestdev *vf, const char *opts)
{
    g_autofree char *all = g_strdup_printf(",vfs=%u%s", VFS, opts);

    qtestdev_start(pf, all);
    qtestdev_enable_vfs(pf, vf, VFS);
}

static void listen_all(QTestdev *pf, QTestdev *vf)
{
    qtestdev_listen(pf, 0);
    for (int i = 0; i < VFS; i++) {
        qtestdev_listen(&vf[i], 0);
    }
}

static void request(QTestdev *t, uint16_t prgi)
{
    g_assert_cmpint(qtestdev_request(t, prgi, true), ==, 0);
    qtestdev_pop(t);
}

static void request_in_vain(QTestdev *t, uint16_t prgi, int error)
{
    g_assert_cmpint(qtestdev_request(t, prgi, true), ==, error);
    qtestdev_pop_none(t);
}

static uint64_t responses(QTestdev *t)
{
    return qtestdev_reg(t, SVM_TESTDEV_RESP_COUNT);
}

static bool has_ext_cap(QTestdev *t, uint16_t id)
{
    uint16_t offset = 0x100;

    while (offset) {
        uint32_t header = qtest_readl(t->qts, t->config + offset);

        if ((header & 0xffff) == id) {
            return true;
        }
        offset = header >> 20;
    }
    return false;
}

/* Each function makes every call, as itself */
static void test_calls(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    for (int i = 0; i < VFS; i++) {
        g_assert(has_ext_cap(&vf[i], PCI_EXT_CAP_ID_ATS));
        g_assert(!has_ext_cap(&vf[i], PCI_EXT_CAP_ID_PASID));
        g_assert(!has_ext_cap(&vf[i], PCI_EXT_CAP_ID_PRI));
        qtestdev_expect_success(&vf[i], 0);
    }
    qtestdev_expect_success(&pf, 0);
    qtestdev_stop(&pf);
}

/* 6.20 */
static void test_pasid(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, ",pasid-width=8,exec=off");
    qvtd_svm_add_process(pf.f, 0xff);
    vf[0].pasid = 0xff;
    qtestdev_expect_success(&vf[0], 0);
    g_assert_cmpint(qtestdev_call_sample(&vf[0], SVM_TESTDEV_TRANSLATE,
                                         SVM_TESTDEV_FLAG_EXEC), ==, -EPERM);
    g_assert_cmpint(qtestdev_call_sample(&vf[0], SVM_TESTDEV_TRANSLATE,
                                         SVM_TESTDEV_FLAG_PRIV), ==, 1);
    vf[0].pasid = 0x100;
    qtestdev_expect_refusal(&vf[0], 0, -EINVAL);

    vf[0].pasid = 0xff;
    qtestdev_writew(&pf, PASID_CTRL, 0);
    qtestdev_expect_refusal(&vf[0], 0, -EPERM);
    qtestdev_writew(&pf, PASID_CTRL, PCI_PASID_CTRL_ENABLE);
    qtestdev_expect_success(&vf[0], 0);
    qtestdev_stop(&pf);
}

/* 10.5.1.3 */
static void test_ats(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    qtestdev_writew(&pf, ATS_CTRL, 0);
    qtestdev_writew(&vf[1], ATS_CTRL, 0);
    g_assert_cmpint(qtestdev_translate(&pf, IOVA, PAGE, 0), ==, -EPERM);
    g_assert_cmpint(qtestdev_translate(&vf[0], IOVA, PAGE, 0), ==, 1);
    g_assert_cmpint(qtestdev_translate(&vf[1], IOVA, PAGE, 0), ==, -EPERM);
    qtestdev_stop(&pf);
}

/* 10.5.1.3: a VF's is hardwired to zero, and the PF's applies */
static void test_stu(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    qtestdev_writew(&vf[0], ATS_CTRL, 0xffff);
    g_assert_cmphex(qtestdev_readw(&vf[0], ATS_CTRL), ==, PCI_ATS_CTRL_ENABLE);
    g_assert_cmpint(qtestdev_translate(&vf[0], IOVA + PAGE, PAGE, 0), ==, 1);
    qtestdev_writew(&pf, ATS_CTRL, 1);
    g_assert_cmpuint(qtestdev_reg(&vf[0], SVM_TESTDEV_STU), ==, 13);
    g_assert_cmpint(qtestdev_translate(&vf[0], IOVA + PAGE, PAGE, 0), ==,
                    -EINVAL);
    g_assert_cmpint(qtestdev_translate(&vf[0], IOVA, PAGE, 0), ==, 1);
    qtestdev_stop(&pf);
}

/* An invalidation of one function is none of another */
static void test_invalidation(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    listen_all(&pf, vf);
    qvtd_inv(pf.f->v, qvtd_dev_piotlb_desc(vf[1].sid, vf[1].pasid, IOVA, false,
                                           false));
    g_assert_cmpuint(qtestdev_reg(&pf, SVM_TESTDEV_INV_COUNT), ==, 0);
    g_assert_cmpuint(qtestdev_reg(&vf[0], SVM_TESTDEV_INV_COUNT), ==, 0);
    g_assert_cmpuint(qtestdev_reg(&vf[1], SVM_TESTDEV_INV_COUNT), ==, 1);
    qtestdev_stop(&pf);
}

/*
 * The shared page request interface
 */

static void test_credits(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    qtestdev_enable_pri(&pf, 2);
    listen_all(&pf, vf);
    g_assert_cmpuint(qtestdev_reg(&vf[1], SVM_TESTDEV_ALLOCATION), ==, 2);
    request(&pf, 0);
    request(&vf[0], 0);
    request_in_vain(&vf[1], 0, -EBUSY);
    request_in_vain(&vf[0], 1, -EBUSY);
    request_in_vain(&pf, 1, -EBUSY);
    qtestdev_respond(&vf[0], vf[0].pasid, 0, QVTD_SVM_SUCCESS);
    request(&vf[1], 0);
    request_in_vain(&pf, 1, -EBUSY);
    g_assert_cmphex(qtestdev_pri_status(&pf), ==, PCI_PRI_STATUS_PASID);
    qtestdev_stop(&pf);
}

/* One index, one PASID, two functions: two groups */
static void test_groups(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    listen_all(&pf, vf);
    request(&pf, 5);
    request(&vf[0], 5);
    qtestdev_respond(&vf[0], vf[0].pasid, 5, QVTD_SVM_INVALID);
    g_assert_cmpuint(responses(&vf[0]), ==, 1);
    g_assert_cmpuint(responses(&pf), ==, 0);
    qtestdev_respond(&vf[1], vf[1].pasid, 5, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&vf[1]), ==, 0);
    g_assert_cmphex(qtestdev_pri_status(&pf), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_UPRGI);
    qtestdev_respond(&pf, pf.pasid, 5, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&pf), ==, 1);
    qtestdev_stop(&pf);
}

static void test_failure(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    listen_all(&pf, vf);
    request(&vf[0], 0);
    request(&vf[1], 0);
    qtestdev_respond(&vf[0], vf[0].pasid, 0, QVTD_SVM_FAILURE);
    g_assert_cmphex(qtestdev_pri_status(&pf), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED | PCI_PRI_STATUS_RF);
    request_in_vain(&vf[0], 1, -EPERM);
    request_in_vain(&vf[1], 1, -EPERM);
    request_in_vain(&pf, 1, -EPERM);
    qtestdev_writew(&pf, PRI_CTRL, 0);
    qtestdev_writew(&pf, PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    request(&vf[1], 1);
    qtestdev_stop(&pf);
}

/* Whatever changes for all of them, each hears of it */
static void test_state(void)
{
    uint64_t events = 0;
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    listen_all(&pf, vf);
    events = qtestdev_reg(&vf[1], SVM_TESTDEV_STATE_EVENTS);
    qtestdev_writew(&pf, PASID_CTRL, 0);
    g_assert_cmpuint(qtestdev_reg(&vf[1], SVM_TESTDEV_STATE_EVENTS), ==,
                     ++events);
    qtestdev_writew(&pf, PASID_CTRL, PCI_PASID_CTRL_ENABLE);
    g_assert_cmpuint(qtestdev_reg(&vf[1], SVM_TESTDEV_STATE_EVENTS), ==,
                     ++events);
    qtestdev_writew(&pf, ATS_CTRL, 0);
    g_assert_cmpuint(qtestdev_reg(&vf[1], SVM_TESTDEV_STATE_EVENTS), ==,
                     events);
    request(&vf[0], 0);
    qtestdev_respond(&vf[0], vf[0].pasid, 0, QVTD_SVM_FAILURE);
    g_assert_cmpuint(qtestdev_reg(&vf[1], SVM_TESTDEV_STATE_EVENTS), ==,
                     ++events);
    qtestdev_writew(&pf, PRI_CTRL, 0);
    g_assert_cmpuint(qtestdev_reg(&vf[1], SVM_TESTDEV_STATE_EVENTS), ==,
                     events);
    qtestdev_stop(&pf);
}

/*
 * The DMA helper of two functions
 */

/* A write of two pages that are missing */
static void begin_write(QTestdev *t)
{
    qtestdev_set(t, SVM_TESTDEV_ADDR, IOVA + PAGE - 4);
    qtestdev_set(t, SVM_TESTDEV_LENGTH, 8);
    qtestdev_set(t, SVM_TESTDEV_FLAGS, 0);
    g_assert_cmpint(qtestdev_call(t, SVM_TESTDEV_SVM_WRITE), ==, 0);
}

static void open_both(QTestdev *vf)
{
    for (int i = 0; i < VFS; i++) {
        g_assert_cmpint(qtestdev_call(&vf[i], SVM_TESTDEV_OPEN), ==, 0);
    }
}

static void wait_end(QTestdev *t, int ret)
{
    int64_t start = g_get_monotonic_time();

    while (!qtestdev_reg(t, SVM_TESTDEV_SVM_DONE)) {
        qsvm_step(&t->f->svm, start);
    }
    g_assert_cmpint(qtestdev_reg(t, SVM_TESTDEV_SVM_RET), ==, ret);
}

/* Neither waits, in the middle of a group, for what the other one has. */
static void test_group_has_its_credits(void)
{
    QVTDPageReq req[2];
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    qtestdev_enable_pri(&pf, 3);
    open_both(vf);
    begin_write(&vf[0]);
    g_assert(!qtestdev_wait_request(&vf[0]).last);
    req[0] = qtestdev_wait_request(&vf[0]);
    g_assert(req[0].last);
    begin_write(&vf[1]);
    req[1] = qtestdev_wait_request(&vf[1]);
    g_assert(req[1].last);

    qtestdev_respond(&vf[0], req[0].pasid, req[0].prgi, QVTD_SVM_FAILURE);
    wait_end(&vf[0], -EIO);
    wait_end(&vf[1], -EPERM);
    qtestdev_stop(&pf);
}

/* All credits were the group's, and are the next one's. */
static void test_group_ends_with_a_reset(void)
{
    QVTDPageReq req;
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    qtestdev_enable_pri(&pf, 2);
    open_both(vf);
    begin_write(&vf[0]);
    qtestdev_wait_request(&vf[0]);
    req = qtestdev_wait_request(&vf[0]);
    qtestdev_set_master(&vf[0], false);
    wait_end(&vf[0], -EPERM);
    qtestdev_writew(&vf[0], ATS_CTRL, 0);
    qtestdev_function_reset(&vf[0]);
    qtestdev_respond(&vf[0], req.pasid, req.prgi, QVTD_SVM_SUCCESS);

    qtestdev_set_master(&vf[0], true);
    qtestdev_writew(&vf[0], ATS_CTRL, PCI_ATS_CTRL_ENABLE);
    begin_write(&vf[0]);
    qtestdev_wait_request(&vf[0]);
    req = qtestdev_wait_request(&vf[0]);
    g_assert(req.last);
    qtestdev_stop(&pf);
}

/*
 * Resets and power
 */

/* Its own ATS and requests; what is shared stays */
static void test_vf_reset(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    qtestdev_enable_pri(&pf, 3);
    listen_all(&pf, vf);
    request(&pf, 0);
    request(&vf[0], 0);
    request(&vf[1], 0);
    qtestdev_function_reset(&vf[0]);
    g_assert_cmphex(qtestdev_readw(&vf[0], ATS_CTRL), ==, 0);
    g_assert_cmphex(qtestdev_readw(&vf[1], ATS_CTRL), ==, PCI_ATS_CTRL_ENABLE);
    g_assert_cmphex(qtestdev_readw(&pf, PASID_CTRL) & PCI_PASID_CTRL_ENABLE,
                    !=, 0);
    g_assert_cmphex(qtestdev_pri_status(&pf), ==, PCI_PRI_STATUS_PASID);
    request(&pf, 1);
    request_in_vain(&pf, 2, -EBUSY);
    qtestdev_respond(&vf[0], vf[0].pasid, 0, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&vf[0]), ==, 0);
    g_assert_cmphex(qtestdev_pri_status(&pf), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_UPRGI);
    qtestdev_respond(&vf[1], vf[1].pasid, 0, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&vf[1]), ==, 1);
    qtestdev_stop(&pf);
}

/* A physical function without the capabilities has none to share */
static void test_pf_without(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, ",pasid=off,ats=off,pri=off");
    qtestdev_expect_refusal(&vf[0], 0, -EPERM);
    qtestdev_respond(&vf[0], vf[0].pasid, 0, QVTD_SVM_SUCCESS);
    vf[0].pasid = QVTD_NO_PASID;
    qvtd_svm_add_process(pf.f, 0);
    g_assert_cmpint(qtestdev_translate(&vf[0], IOVA, PAGE, 0), ==, 1);
    request_in_vain(&vf[0], 0, -EPERM);
    qtestdev_function_reset(&vf[0]);
    g_assert_cmphex(qtestdev_reg(&vf[1], SVM_TESTDEV_STATE), ==,
                    SVM_TESTDEV_STATE_MASTER | SVM_TESTDEV_STATE_ATS);
    qtestdev_stop(&pf);
}

static void test_pf_reset(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    listen_all(&pf, vf);
    request(&vf[0], 0);
    qtestdev_function_reset(&pf);
    g_assert_cmphex(qtestdev_readw(&vf[0], PCI_COMMAND), ==, 0xffff);
    g_assert_cmphex(qtestdev_pri_status(&pf), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    qtestdev_respond(&vf[0], vf[0].pasid, 0, QVTD_SVM_SUCCESS);

    qtestdev_enable(&pf);
    qtestdev_enable_vfs(&pf, vf, VFS);
    g_assert_cmpuint(responses(&vf[0]), ==, 0);
    request(&vf[0], 0);
    qtestdev_respond(&vf[0], vf[0].pasid, 0, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&vf[0]), ==, 1);
    qtestdev_stop(&pf);
}

/* What a function that is no more had outstanding is nobody's */
static void test_vf_disable(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    qtestdev_enable_pri(&pf, 2);
    listen_all(&pf, vf);
    request(&vf[0], 0);
    request(&vf[1], 0);
    qtestdev_writew(&pf, SVM_TESTDEV_CAP_SRIOV + PCI_SRIOV_CTRL, 0);
    qtestdev_respond(&vf[0], vf[0].pasid, 0, QVTD_SVM_FAILURE);
    qvtd_inv_times_out(pf.f->v, qvtd_dev_piotlb_desc(vf[0].sid, vf[0].pasid,
                                                     IOVA, false, false));
    request(&pf, 0);
    request(&pf, 1);
    request_in_vain(&pf, 2, -EBUSY);
    qtestdev_stop(&pf);
}

static void test_power(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    qtestdev_set_power(&pf, 3);
    qtestdev_expect_refusal(&vf[0], 0, -EPERM);
    qtestdev_set_power(&pf, 0);
    qtestdev_expect_success(&vf[0], 0);

    qtestdev_set_power(&vf[0], 3);
    qtestdev_expect_success(&vf[1], 0);
    qtestdev_expect_success(&pf, 0);
    qtestdev_set_power(&vf[0], 0);
    qtestdev_expect_success(&vf[0], 0);
    qtestdev_stop(&pf);
}

static void test_master(void)
{
    QTestdev pf, vf[VFS];

    start(&pf, vf, "");
    qtestdev_set_master(&vf[0], false);
    qtestdev_expect_refusal(&vf[0], 0, -EPERM);
    qtestdev_expect_success(&vf[1], 0);
    qtestdev_set_master(&pf, false);
    qtestdev_expect_refusal(&pf, 0, -EPERM);
    qtestdev_expect_success(&vf[1], 0);
    qtestdev_stop(&pf);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svm/caps/a-virtual-function-makes-every-call",
                   test_calls);
    qtest_add_func("/svm/pasid/a-virtual-function-uses-its-PF's-capability",
                   test_pasid);
    qtest_add_func("/svm/ats/each-function-has-its-own-ATS-Enable", test_ats);
    qtest_add_func("/svm/ats/a-virtual-function-uses-its-PF's-STU", test_stu);
    qtest_add_func("/svm/inv/an-invalidation-is-for-one-virtual-function",
                   test_invalidation);
    qtest_add_func("/svm/pri/virtual-functions-share-the-PF's-credits",
                   test_credits);
    qtest_add_func("/svm/pri/an-index-belongs-to-one-function", test_groups);
    qtest_add_func("/svm/pri/Response-Failure-disables-all-that-share",
                   test_failure);
    qtest_add_func("/svm/pri/functions-that-share-credits-complete-groups",
                   test_group_has_its_credits);
    qtest_add_func("/svm/pri/a-reset-of-a-virtual-function-frees-its-credits",
                   test_group_ends_with_a_reset);
    qtest_add_func("/svm/caps/virtual-functions-hear-of-their-PF's-state",
                   test_state);
    qtest_add_func("/svm/caps/a-reset-of-a-virtual-function-spares-the-others",
                   test_vf_reset);
    qtest_add_func("/svm/caps/a-PF-without-the-capabilities-shares-none",
                   test_pf_without);
    qtest_add_func("/svm/caps/a-reset-of-the-PF-ends-its-virtual-functions",
                   test_pf_reset);
    qtest_add_func("/svm/caps/a-virtual-function-that-is-disabled-is-no-more",
                   test_vf_disable);
    qtest_add_func("/svm/caps/a-PF-in-D3hot-takes-its-virtual-functions-along",
                   test_power);
    qtest_add_func("/svm/caps/each-function-has-its-own-Bus-Master-Enable",
                   test_master);
    return g_test_run();
}
