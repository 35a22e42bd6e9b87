/*
 * QTest testcase for SVM: requests with and without PASID
 *
 * PCIe r6.0, 6.20; VT-d rev 4.1, 3.4.3 and 9.4 to 9.6.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/vtd-svm.h"

#define IOVA    0x7f1234560000ULL

/* First and last of tables and directory, and what differs in one bit */
static const uint32_t pasids[] = {
    0, 1, 0x3f, 0x40, 0x80, 0x7ffff, 0x80000, 0xfffbf, 0xfffff,
};

static void test_widths(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t pages[ARRAY_SIZE(pasids)];

    for (int i = 0; i < ARRAY_SIZE(pasids); i++) {
        f->table = qvtd_svm_add_process(f, pasids[i]);
        pages[i] = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    }
    /* Twice: from the tables, and from what the device has cached */
    for (int i = 0; i < 2 * ARRAY_SIZE(pasids); i++) {
        int n = i % ARRAY_SIZE(pasids);

        qsvm_set_pasid(&f->svm, pasids[n]);
        g_assert(qvtd_svm_writes(f, IOVA, pages[n]));
        qvtd_svm_poison(f, pages[n], 0x1000);
    }
    for (int i = 0; i < ARRAY_SIZE(pasids); i++) {
        g_assert(qvtd_svm_is_poisoned(f, pages[i], 0x1000));
    }
    qvtd_svm_stop(f);
}

/* The device has no way to send 21 bits; the register keeps its value */
static void test_too_wide(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    qsvm_set_pasid(&f->svm, SVM_PASID_NONE + 1);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qsvm_set_pasid(&f->svm, UINT32_MAX);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_svm_stop(f);
}

/* 9.4: the directory has 2^(PDTS + 7) entries of 64 PASIDs */
static void test_pdts(void)
{
    QVTDSVM *f = qvtd_svm_start();

    for (unsigned int pdts = 0; pdts < QVTD_SVM_PDTS; pdts++) {
        uint32_t first_beyond = 1u << (pdts + 13);
        uint64_t inside, beyond;

        f->table = qvtd_svm_add_process(f, first_beyond - 1);
        inside = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
        f->table = qvtd_svm_add_process(f, first_beyond);
        beyond = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
        qvtd_set_context(f->v, f->sid, QVTD_SVM_CONTEXT, pdts, f->dir, 0);
        qvtd_inv_all(f->v);

        qsvm_set_pasid(&f->svm, first_beyond - 1);
        g_assert(qvtd_svm_writes(f, IOVA, inside));
        qsvm_set_pasid(&f->svm, first_beyond);
        g_assert(!qvtd_svm_writes(f, IOVA, beyond));
        g_assert_cmphex(qvtd_svm_take_fault(f).pasid, ==, first_beyond);
    }
    qvtd_svm_stop(f);
}

/*
 * Requests without PASID
 */

/* 3.4.3: RID_PASID of the context entry stands in for the PASID */
static void test_rid_pasid(void)
{
    enum { RID_PASID = 0x54321 };
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page;

    f->table = qvtd_svm_add_process(f, RID_PASID);
    page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    qvtd_set_context(f->v, f->sid, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS, f->dir,
                     RID_PASID);
    qvtd_inv_all(f->v);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    qsvm_set_pasid(&f->svm, SVM_PASID_NONE);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    g_assert(qvtd_svm_reads(f, IOVA, page));
    qvtd_svm_stop(f);
}

/* They need neither PASIDE nor the PASID capability */
static void test_no_pasid_enables(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page;

    f->table = qvtd_svm_add_process(f, 0);
    page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    qvtd_svm_set_context(f, QVTD_CE_P | QVTD_CE_DTE);
    qsvm_set_pasid_enables(&f->svm, 0);
    qsvm_set_pasid(&f->svm, SVM_PASID_NONE);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_svm_stop(f);
}

/* A fault of theirs has no PASID */
static void test_no_pasid_fault(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    QVTDFault fault;

    qsvm_set_pasid(&f->svm, SVM_PASID_NONE);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    fault = qvtd_svm_take_fault(f);
    g_assert_cmphex(fault.reason, ==, VTD_FR_PASID_DIR_ENTRY_P);
    g_assert_cmphex(fault.addr, ==, IOVA);
    g_assert(!fault.has_pasid);
    qvtd_svm_stop(f);
}

/*
 * Enables of the function
 */

static void test_pasid_enable(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    qsvm_set_pasid_enables(&f->svm, 0);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_ATS_REQUESTS), ==, 0);
    qsvm_set_pasid_enables(&f->svm, PCI_PASID_CTRL_ENABLE);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_svm_stop(f);
}

static void test_privileged_mode_enable(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    qvtd_svm_set_entry(f, QVTD_PE_SRE);
    qsvm_writeq(&f->svm, SVM_REG_OPTIONS, SVM_OPT_PRIV);
    qsvm_set_pasid_enables(&f->svm, PCI_PASID_CTRL_ENABLE);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_ATS_RESULTS), ==, 0);
    qsvm_set_pasid_enables(&f->svm, PCI_PASID_CTRL_ENABLE |
                                    PCI_PASID_CTRL_PRIV);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_svm_stop(f);
}

/* The bit travels in the PASID prefix: without one it cannot be sent */
static void test_privileged_without_pasid(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page;

    f->table = qvtd_svm_add_process(f, 0);
    page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    qsvm_set_pasid(&f->svm, SVM_PASID_NONE);
    qsvm_writeq(&f->svm, SVM_REG_OPTIONS, SVM_OPT_PRIV);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    qsvm_writeq(&f->svm, SVM_REG_OPTIONS, 0);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_svm_stop(f);
}

/* What is cached for user requests serves no privileged ones, nor vice versa */
static void test_privileged_cached_apart(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_P | QVTD_FS_RW);

    qvtd_svm_set_entry(f, QVTD_PE_SRE);
    for (int i = 0; i < 4; i++) {
        bool priv = i & 1;

        qsvm_writeq(&f->svm, SVM_REG_OPTIONS, priv ? SVM_OPT_PRIV : 0);
        g_assert(qvtd_svm_writes(f, IOVA, page) == priv);
    }
    qvtd_svm_stop(f);
}

/*
 * Pass-through
 */

/* 9.6: PGTT = 100b, every address stands for itself */
static void test_pass_through(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_alloc_page(f->v);
    QVTDPasidEntry pe = { .pgtt = QVTD_PGTT_PT, .did = QVTD_SVM_DID };

    qvtd_set_pasid_entry(f->v, f->dir, QVTD_SVM_PASID, &pe);
    qvtd_inv_all(f->v);
    g_assert(qvtd_svm_writes(f, page, page));
    g_assert(qvtd_svm_reads(f, page, page));
    g_assert(!qsvm_write(&f->svm, 0xfee00000, 4));
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svm/pasid/each-of-20-bits-has-its-own-address-space",
                   test_widths);
    qtest_add_func("/svm/pasid/a-PASID-of-21-bits-is-no-PASID", test_too_wide);
    qtest_add_func("/svm/pasid/PDTS-says-where-the-directory-ends", test_pdts);
    qtest_add_func("/svm/pasid/requests-without-one-use-RID_PASID",
                   test_rid_pasid);
    qtest_add_func("/svm/pasid/requests-without-one-need-no-PASID-enables",
                   test_no_pasid_enables);
    qtest_add_func("/svm/pasid/a-fault-without-one-says-so",
                   test_no_pasid_fault);
    qtest_add_func("/svm/pasid/PASID-Enable-is-needed", test_pasid_enable);
    qtest_add_func("/svm/pasid/Privileged-Mode-Enable-is-needed",
                   test_privileged_mode_enable);
    qtest_add_func("/svm/pasid/a-privileged-request-needs-one",
                   test_privileged_without_pasid);
    qtest_add_func("/svm/pasid/privileged-and-user-requests-do-not-mix",
                   test_privileged_cached_apart);
    qtest_add_func("/svm/pasid/pass-through-is-identity", test_pass_through);
    return g_test_run();
}
