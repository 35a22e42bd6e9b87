/*
 * QTest testcase for VT-d: fault processing disable in the entries of a
 * PASID, present or not
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd-edu.h"

#define IOVA    0x40000000ULL

/* An entry that is not present: whether the fault that it causes is recorded */
static void check_absent_entry(bool fpd)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    uint64_t page = qvtd_alloc_page(f->v);
    QVTDPasidEntry pe = { .absent = true, .fpd = fpd };
    QVTDFault fault;

    qvtd_set_pasid_entry(f->v, f->dir, QVTD_EDU_RID_PASID, &pe);
    g_assert(!qvtd_edu_writes(f, IOVA, page));
    g_assert(qvtd_pop_fault(f->v, &fault) == !fpd);
    if (!fpd) {
        g_assert_cmphex(fault.reason, ==, VTD_FR_PASID_ENTRY_P);
    }
    qvtd_edu_stop(f);
}

/* 9.6: FPD of the PASID entry, with P = 0 */
static void test_absent_entry_fpd(void)
{
    check_absent_entry(true);
}

/* The same without FPD is reported, as the missing entry that it is */
static void test_absent_entry(void)
{
    check_absent_entry(false);
}

/* 9.5: FPD of the PASID directory entry, with P = 0 */
static void test_absent_table_fpd(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    uint64_t page = qvtd_alloc_page(f->v);
    QVTDFault fault;

    qtest_writeq(f->qts, f->dir, QVTD_PDE_FPD);
    g_assert(!qvtd_edu_writes(f, IOVA, page));
    g_assert(!qvtd_pop_fault(f->v, &fault));

    qtest_writeq(f->qts, f->dir, 0);
    g_assert(!qvtd_edu_writes(f, IOVA, page));
    g_assert(qvtd_pop_fault(f->v, &fault));
    g_assert_cmphex(fault.reason, ==, VTD_FR_PASID_DIR_ENTRY_P);
    qvtd_edu_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/fpd/absent-entry-fpd", test_absent_entry_fpd);
    qtest_add_func("/vtd/fpd/absent-entry", test_absent_entry);
    qtest_add_func("/vtd/fpd/absent-table-fpd", test_absent_table_fpd);
    return g_test_run();
}
