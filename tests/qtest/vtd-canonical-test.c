/*
 * QTest testcase for VT-d: which first-stage input addresses are canonical
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd-edu.h"

/* 9.6: a unit without second stage has AW reserved, so that guests clear it */
static void clear_aw(QVTDEdu *f)
{
    uint64_t pe = qvtd_pasid_entry_addr(f->v, f->dir, QVTD_EDU_RID_PASID);

    qtest_writeq(f->qts, pe, QVTD_PE_P | QVTD_PGTT_FS << QVTD_PE_PGTT_SHIFT);
}

static void check_address(uint64_t iova, bool canonical)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    uint64_t page = qvtd_alloc_page(f->v);
    QVTDFault fault;

    qvtd_fs_map(f->v, f->table, iova, page, 1, QVTD_FS_USER_RW);
    for (int i = 0; i < 2; i++) {
        g_assert(qvtd_edu_writes(f, iova, page) == canonical);
        g_assert(qvtd_pop_fault(f->v, &fault) == !canonical);
        if (!canonical) {
            g_assert_cmphex(fault.reason, ==, VTD_FR_FS_NON_CANONICAL);
        }
        clear_aw(f);
        qvtd_inv_all(f->v);
    }
    qvtd_edu_stop(f);
}

static void test_low(void)
{
    check_address(0x00007ffffffff000ULL, true);
}

static void test_high(void)
{
    check_address(0xffff800000000000ULL, true);
}

static void test_above_low(void)
{
    check_address(0x0000800000000000ULL, false);
}

static void test_below_high(void)
{
    check_address(0xffff7ffffffff000ULL, false);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/canonical/low", test_low);
    qtest_add_func("/vtd/canonical/high", test_high);
    qtest_add_func("/vtd/canonical/above-low", test_above_low);
    qtest_add_func("/vtd/canonical/below-high", test_below_high);
    return g_test_run();
}
