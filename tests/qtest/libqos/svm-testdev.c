/*
 * libqos driver for the test device of the SVM API (-device svm-testdev)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "svm-testdev.h"

/* Out of the way of what libqos allocates, in the window of a bridge */
#define TESTDEV_BAR         0xe8000000ULL
#define TESTDEV_VF_BAR      0xe8100000ULL

/* A page for samples; it need not be mapped */
#define SAMPLE_IOVA         0x7f1234560000ULL

const unsigned int qtestdev_calls[5] = {
    SVM_TESTDEV_REGISTER_IOTLB, SVM_TESTDEV_REGISTER_PRI,
    SVM_TESTDEV_TRANSLATE, SVM_TESTDEV_TRANSLATE_PART,
    SVM_TESTDEV_REQUEST_PAGE,
};

/* Accesses */

uint16_t qtestdev_readw(QTestdev *t, uint16_t offset)
{
    return qtest_readw(t->qts, t->config + offset);
}

void qtestdev_writew(QTestdev *t, uint16_t offset, uint16_t val)
{
    qtest_writew(t->qts, t->config + offset, val);
}

uint64_t qtestdev_reg(QTestdev *t, uint64_t reg)
{
    return qtest_readq(t->qts, t->bar + reg);
}

void qtestdev_set(QTestdev *t, uint64_t reg, uint64_t val)
{
    qtest_writeq(t->qts, t->bar + reg, val);
}

/* Life cycle */

static void init_function(QTestdev *t, QVTDSVM *f, uint16_t sid, uint64_t bar)
{
    *t = (QTestdev) {
        .f = f, .qts = f->qts, .sid = sid,
        .config = QSVM_ECAM_BASE + ((uint64_t)sid << 12),
        .bar = bar, .pasid = QVTD_SVM_PASID,
    };
}

static void set_context(QTestdev *t)
{
    qvtd_set_context(t->f->v, t->sid, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS,
                     t->f->dir, 0);
}

void qtestdev_set_master(QTestdev *t, bool on)
{
    qtestdev_writew(t, PCI_COMMAND, PCI_COMMAND_MEMORY |
                                    (on ? PCI_COMMAND_MASTER : 0));
}

void qtestdev_map(QTestdev *t)
{
    qtest_writel(t->qts, t->config + PCI_BASE_ADDRESS_0, t->bar);
    qtest_writel(t->qts, t->config + PCI_BASE_ADDRESS_1, t->bar >> 32);
    qtestdev_set_master(t, true);
}

void qtestdev_enable(QTestdev *t)
{
    qtestdev_map(t);
    qtestdev_writew(t, SVM_TESTDEV_CAP_PASID + PCI_PASID_CTRL,
                    PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_EXEC |
                    PCI_PASID_CTRL_PRIV);
    qtestdev_writew(t, SVM_TESTDEV_CAP_ATS + PCI_ATS_CTRL,
                    PCI_ATS_CTRL_ENABLE);
    qtestdev_enable_pri(t, QTESTDEV_PRI_ALLOCATION);
}

void qtestdev_enable_pri(QTestdev *t, uint32_t allocation)
{
    qtest_writel(t->qts, t->config + SVM_TESTDEV_CAP_PRI + PCI_PRI_ALLOC_REQ,
                 allocation);
    qtestdev_writew(t, SVM_TESTDEV_CAP_PRI + PCI_PRI_CTRL,
                    PCI_PRI_CTRL_ENABLE);
}

void qtestdev_start(QTestdev *t, const char *opts)
{
    qtestdev_start_with(t, "", opts);
}

void qtestdev_start_with(QTestdev *t, const char *iommu_opts, const char *opts)
{
    g_autofree char *devices = g_strdup_printf("-device svm,addr=4 "
        "-device svm-testdev,id=testdev,addr=6%s", opts);
    QVTDSVM *f = qvtd_svm_start_machine(iommu_opts, devices);

    qvtd_svm_attach(f, QPCI_DEVFN(4, 0));
    qvtd_enable_prq(f->v, 0);
    init_function(t, f, QTESTDEV_SID, TESTDEV_BAR);
    set_context(t);
    qtestdev_enable(t);
}

void qtestdev_start_behind(QTestdev *t, const char *bridge, int devfn,
                           const char *opts)
{
    g_autofree char *devices = g_strdup_printf(
        "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
        "-device svm,addr=4 -device %s,id=bridge,addr=5 "
        "-device svm-testdev,id=testdev,bus=bridge,addr=0x%x%s",
        bridge, devfn >> 3, opts);
    QVTDSVM *f = qvtd_svm_start_machine("", devices);

    qvtd_svm_attach(f, QPCI_DEVFN(4, 0));
    qvtd_enable_prq(f->v, 0);
    qtestdev_number_bus(f);
    init_function(t, f, QTESTDEV_BRIDGE_BUS << 8 | devfn, TESTDEV_BAR);
    set_context(t);
    qtestdev_enable(t);
}

void qtestdev_stop(QTestdev *t)
{
    qvtd_svm_stop(t->f);
}

void qtestdev_number_bus(QVTDSVM *f)
{
    qvtd_svm_number_bus(f, QTESTDEV_BRIDGE_DEVFN, QTESTDEV_BRIDGE_BUS);
}

void qtestdev_enable_vfs(QTestdev *pf, QTestdev *vf, unsigned int count)
{
    uint64_t cap = pf->config + SVM_TESTDEV_CAP_SRIOV;

    qtest_writel(pf->qts, cap + PCI_SRIOV_BAR, TESTDEV_VF_BAR);
    qtest_writel(pf->qts, cap + PCI_SRIOV_BAR + 4, TESTDEV_VF_BAR >> 32);
    qtest_writew(pf->qts, cap + PCI_SRIOV_NUM_VF, count);
    qtest_writew(pf->qts, cap + PCI_SRIOV_CTRL,
                 PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
    for (unsigned int i = 0; i < count; i++) {
        init_function(&vf[i], pf->f, pf->sid + 1 + i,
                      TESTDEV_VF_BAR + i * SVM_TESTDEV_BAR_SIZE);
        set_context(&vf[i]);
        qtestdev_set_master(&vf[i], true);
        qtestdev_writew(&vf[i], SVM_TESTDEV_CAP_ATS + PCI_ATS_CTRL,
                        PCI_ATS_CTRL_ENABLE);
    }
}

/* State */

void qtestdev_set_power(QTestdev *t, unsigned int state)
{
    qtestdev_writew(t, SVM_TESTDEV_CAP_PM + PCI_PM_CTRL, state);
    g_assert_cmpuint(qtestdev_readw(t, SVM_TESTDEV_CAP_PM + PCI_PM_CTRL) &
                     PCI_PM_CTRL_STATE_MASK, ==, state);
}

void qtestdev_function_reset(QTestdev *t)
{
    qtestdev_writew(t, SVM_TESTDEV_CAP_EXP + PCI_EXP_DEVCTL,
                    PCI_EXP_DEVCTL_BCR_FLR);
}

uint16_t qtestdev_pri_status(QTestdev *t)
{
    return qtestdev_readw(t, SVM_TESTDEV_CAP_PRI + PCI_PRI_STATUS);
}

/* Calls */

int64_t qtestdev_call(QTestdev *t, unsigned int call)
{
    qtestdev_set(t, SVM_TESTDEV_PASID, t->pasid);
    qtestdev_set(t, SVM_TESTDEV_CALL, call);
    return qtestdev_reg(t, SVM_TESTDEV_CALL);
}

void qtestdev_prepare_sample(QTestdev *t, unsigned int flags)
{
    qtestdev_set(t, SVM_TESTDEV_PASID, t->pasid);
    qtestdev_set(t, SVM_TESTDEV_SLOT, 0);
    qtestdev_set(t, SVM_TESTDEV_ADDR, SAMPLE_IOVA);
    qtestdev_set(t, SVM_TESTDEV_LENGTH, 4096);
    qtestdev_set(t, SVM_TESTDEV_ROOM, 1);
    qtestdev_set(t, SVM_TESTDEV_PRGI, 0);
    qtestdev_set(t, SVM_TESTDEV_FLAGS, flags | SVM_TESTDEV_FLAG_READ |
                                       SVM_TESTDEV_FLAG_LAST);
}

int64_t qtestdev_call_sample(QTestdev *t, unsigned int call,
                             unsigned int flags)
{
    qtestdev_prepare_sample(t, flags);
    return qtestdev_call(t, call);
}

static bool is_translation(unsigned int call)
{
    return call == SVM_TESTDEV_TRANSLATE || call == SVM_TESTDEV_TRANSLATE_PART;
}

void qtestdev_expect_success(QTestdev *t, unsigned int flags)
{
    uint64_t responses = qtestdev_reg(t, SVM_TESTDEV_RESP_COUNT);

    for (int i = 0; i < ARRAY_SIZE(qtestdev_calls); i++) {
        g_assert_cmpint(qtestdev_call_sample(t, qtestdev_calls[i], flags), ==,
                        is_translation(qtestdev_calls[i]));
    }
    g_assert_cmphex(qtestdev_pop(t).pasid, ==,
                    t->pasid == QVTD_NO_PASID ? 0 : t->pasid);
    qtestdev_respond(t, t->pasid, 0, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(qtestdev_reg(t, SVM_TESTDEV_RESP_COUNT), ==,
                     responses + 1);
    g_assert_cmpint(qtestdev_call(t, SVM_TESTDEV_UNREGISTER_IOTLB), ==, 0);
    g_assert_cmpint(qtestdev_call(t, SVM_TESTDEV_UNREGISTER_PRI), ==, 0);
}

void qtestdev_expect_refusal(QTestdev *t, unsigned int flags, int error)
{
    for (int i = 0; i < ARRAY_SIZE(qtestdev_calls); i++) {
        g_assert_cmpint(qtestdev_call_sample(t, qtestdev_calls[i], flags), ==,
                        error);
        /* The device fills its array before a call. */
        if (is_translation(qtestdev_calls[i])) {
            g_assert_cmphex(qtestdev_result(t, 0, SVM_TESTDEV_RESULT_IOVA),
                            ==, UINT64_MAX);
        }
    }
    qtestdev_pop_none(t);
    g_assert_cmpint(qtestdev_call(t, SVM_TESTDEV_UNREGISTER_IOTLB), ==,
                    -EINVAL);
}

void qtestdev_listen(QTestdev *t, unsigned int slot)
{
    qtestdev_set(t, SVM_TESTDEV_SLOT, slot);
    g_assert_cmpint(qtestdev_call(t, SVM_TESTDEV_REGISTER_IOTLB), ==, 0);
    g_assert_cmpint(qtestdev_call(t, SVM_TESTDEV_REGISTER_PRI), ==, 0);
}

int64_t qtestdev_translate(QTestdev *t, uint64_t addr, uint64_t length,
                           unsigned int flags)
{
    qtestdev_set(t, SVM_TESTDEV_ADDR, addr);
    qtestdev_set(t, SVM_TESTDEV_LENGTH, length);
    qtestdev_set(t, SVM_TESTDEV_FLAGS, flags);
    qtestdev_set(t, SVM_TESTDEV_ROOM, SVM_TESTDEV_RESULTS_MAX);
    return qtestdev_call(t, SVM_TESTDEV_TRANSLATE);
}

uint64_t qtestdev_result(QTestdev *t, unsigned int n, uint64_t reg)
{
    return qtestdev_reg(t, SVM_TESTDEV_RESULTS + n * SVM_TESTDEV_RESULT_SIZE +
                           reg);
}

MemTxResult qtestdev_dma(QTestdev *t, uint64_t addr, bool is_write,
                         unsigned int flags, uint64_t *data)
{
    MemTxResult ret;

    qtestdev_set(t, SVM_TESTDEV_ADDR, addr);
    qtestdev_set(t, SVM_TESTDEV_LENGTH, sizeof(*data));
    qtestdev_set(t, SVM_TESTDEV_FLAGS, flags);
    qtestdev_set(t, SVM_TESTDEV_DATA, *data);
    ret = qtestdev_call(t, is_write ? SVM_TESTDEV_DMA_WRITE
                                    : SVM_TESTDEV_DMA_READ);
    *data = qtestdev_reg(t, SVM_TESTDEV_DATA);
    return ret;
}

int64_t qtestdev_request(QTestdev *t, uint16_t prgi, bool last)
{
    qtestdev_prepare_sample(t, 0);
    qtestdev_set(t, SVM_TESTDEV_PRGI, prgi);
    qtestdev_set(t, SVM_TESTDEV_FLAGS, SVM_TESTDEV_FLAG_READ |
                                       (last ? SVM_TESTDEV_FLAG_LAST : 0));
    return qtestdev_call(t, SVM_TESTDEV_REQUEST_PAGE);
}

QVTDPageReq qtestdev_pop(QTestdev *t)
{
    QVTDPageReq req;

    g_assert(qvtd_pop_page_req(t->f->v, &req));
    g_assert_cmphex(req.sid, ==, t->sid);
    return req;
}

QVTDPageReq qtestdev_wait_request(QTestdev *t)
{
    int64_t start = g_get_monotonic_time();
    QVTDPageReq req;

    while (!qvtd_pop_page_req(t->f->v, &req)) {
        qsvm_step(&t->f->svm, start);
    }
    g_assert_cmphex(req.sid, ==, t->sid);
    return req;
}

void qtestdev_pop_none(QTestdev *t)
{
    QVTDPageReq req;

    g_assert(!qvtd_pop_page_req(t->f->v, &req));
}

void qtestdev_respond(QTestdev *t, uint32_t pasid, uint16_t prgi,
                      unsigned int code)
{
    qvtd_inv(t->f->v, qvtd_page_response_desc(t->sid, pasid, prgi, code));
}
