/*
 * QTest testcase for SVM: what reset does to a function that uses PASID, ATS
 * and PRI, also in the middle of a command
 *
 * PCIe r6.0, 6.6.2 (function level reset), 7.8.9, 10.5.1 and 10.5.2.
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

static void function_reset(QVTDSVM *f)
{
    qsvm_function_reset(&f->svm);
}

typedef struct Reset {
    const char *enables_path;
    const char *cache_path;
    const char *waiting_path;
    void (*reset)(QVTDSVM *f);
    void (*set_up)(QVTDSVM *f);
} Reset;

static const Reset resets[] = {
    { "/svm/caps/function-level-reset-clears-the-enables",
      "/svm/inv/function-level-reset-empties-the-cache",
      "/svm/pri/function-level-reset-ends-the-wait",
      function_reset, qvtd_svm_set_up_function },
    { "/svm/caps/system-reset-clears-the-enables",
      "/svm/inv/system-reset-empties-the-cache",
      "/svm/pri/system-reset-ends-the-wait",
      qvtd_svm_system_reset, qvtd_svm_set_up },
};

static void check_registers(QVTDSVM *f)
{
    QSVM *svm = &f->svm;

    g_assert_cmphex(qpci_config_readw(svm->dev, PCI_COMMAND), ==, 0);
    g_assert_cmphex(qsvm_config_readw(svm, svm->pasid_cap + PCI_PASID_CTRL),
                    ==, 0);
    g_assert_cmphex(qsvm_config_readw(svm, svm->ats_cap + PCI_ATS_CTRL), ==,
                    0);
    g_assert_cmphex(qsvm_config_readw(svm, svm->pri_cap + PCI_PRI_CTRL), ==,
                    0);
    g_assert_cmphex(qsvm_config_readl(svm, svm->pri_cap + PCI_PRI_ALLOC_REQ),
                    ==, 0);
    g_assert_cmphex(qsvm_pri_status(svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
}

static void test_enables(const void *data)
{
    const Reset *r = data;
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    QVTDPageReq none = { .sid = f->sid, .has_pasid = true };

    /* So that there is an error bit to clear, too */
    qvtd_svm_respond(f, &none, QVTD_SVM_SUCCESS);
    g_assert(qsvm_pri_status(&f->svm) & PCI_PRI_STATUS_UPRGI);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    r->reset(f);
    check_registers(f);

    /* PASID, too: a command has none until software sets one */
    qsvm_enable(&f->svm);
    qsvm_set_ats(&f->svm, true);
    qsvm_set_pasid_enables(&f->svm, PCI_PASID_CTRL_ENABLE);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_REG_STATUS), ==, SVM_STATUS_OK);
    for (uint64_t reg = SVM_REG_STATS; reg < SVM_STAT_END; reg += 8) {
        g_assert_cmpuint(qsvm_readq(&f->svm, reg), ==, 0);
    }
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    if (r->reset == function_reset) {
        g_assert(!qvtd_svm_take_fault(f).has_pasid);
    }
    qvtd_svm_stop(f);
}

static void test_cache(const void *data)
{
    const Reset *r = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    g_assert(qvtd_svm_writes(f, IOVA, page));
    r->reset(f);
    r->set_up(f);
    page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_svm_stop(f);
}

/* Without status, without interrupt, and without a touch of memory */
static void test_waiting(const void *data)
{
    const Reset *r = data;
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint64_t page = qvtd_alloc_page(f->v);
    QVTDPageReq req;

    qvtd_svm_poison(f, page, PAGE);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_fs_map(f->v, f->table, IOVA, page, 1, QVTD_FS_USER_RW);
    r->reset(f);
    check_registers(f);
    r->set_up(f);
    if (r->reset == function_reset) {
        qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
        g_assert(qsvm_pri_status(&f->svm) & PCI_PRI_STATUS_UPRGI);
    }
    qsvm_settle(&f->svm);
    g_assert(!qsvm_is_done(&f->svm));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_COMMANDS), ==, 0);
    g_assert(qvtd_svm_is_poisoned(f, page, PAGE));

    /* All credits are there again, and the next command gets them */
    qvtd_enable_prq(f->v, 0);
    qsvm_enable_pri(&f->svm, 1);
    qsvm_start_write(&f->svm, IOVA + PAGE, PAGE);
    req = qvtd_svm_wait_page_req(f);
    page = qvtd_svm_map(f, IOVA + PAGE, QVTD_FS_USER_RW);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_written(f, page, PAGE, 0));
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(resets); i++) {
        qtest_add_data_func(resets[i].enables_path, &resets[i], test_enables);
        qtest_add_data_func(resets[i].cache_path, &resets[i], test_cache);
        qtest_add_data_func(resets[i].waiting_path, &resets[i], test_waiting);
    }
    return g_test_run();
}
