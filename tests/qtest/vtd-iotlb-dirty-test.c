/*
 * QTest testcase for VT-d: what an IOTLB entry is good for that another kind of
 * access has filled
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd-edu.h"

#define IOVA    0x40000000ULL

/* A write after a read, without an invalidation between them, sets D */
static void test_read_write(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    uint64_t page = qvtd_alloc_page(f->v);

    qvtd_fs_map(f->v, f->table, IOVA, page, 1, QVTD_FS_USER_RW);
    qedu_dma_read(&f->edu, IOVA, 8);
    g_assert(!(qvtd_pte(f->v, f->table, IOVA, 1) & QVTD_FS_D));
    g_assert(qvtd_edu_writes(f, IOVA, page));
    g_assert(qvtd_pte(f->v, f->table, IOVA, 1) & QVTD_FS_D);
    qvtd_edu_stop(f);
}

/* A read of a page that is dirty already fills an entry that serves writes */
static void test_read_dirty_write(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    uint64_t page = qvtd_alloc_page(f->v);

    qvtd_fs_map(f->v, f->table, IOVA, page, 1,
                QVTD_FS_USER_RW | QVTD_FS_A | QVTD_FS_D);
    qedu_dma_read(&f->edu, IOVA, 8);
    /* Nothing was invalidated: a write that needs the tables would fail */
    qvtd_fs_map(f->v, f->table, IOVA, page, 1, 0);
    g_assert(qvtd_edu_writes(f, IOVA, page));
    qvtd_edu_stop(f);
}

/* A write to a read-only page is a fault, whatever was cached before */
static void test_read_only(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    uint64_t page = qvtd_alloc_page(f->v);
    QVTDFault fault;

    qvtd_fs_map(f->v, f->table, IOVA, page, 1, QVTD_FS_USER_RO);
    qedu_dma_read(&f->edu, IOVA, 8);
    g_assert(!qvtd_edu_writes(f, IOVA, page));
    g_assert(qvtd_pop_fault(f->v, &fault));
    g_assert_cmphex(fault.reason, ==, VTD_FR_SM_WRITE);
    g_assert(!(qvtd_pte(f->v, f->table, IOVA, 1) & QVTD_FS_D));
    qvtd_edu_stop(f);
}

/* Likewise a read of what may only be written */
static void test_write_only(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_LEGACY, NULL);
    uint64_t page = qvtd_alloc_page(f->v);
    QVTDFault fault;

    qvtd_ss_map(f->v, f->table, IOVA, page, 1, QVTD_SS_W);
    g_assert(qvtd_edu_writes(f, IOVA, page));
    qedu_dma_read(&f->edu, IOVA, 8);
    g_assert(qvtd_pop_fault(f->v, &fault));
    g_assert_cmphex(fault.reason, ==, VTD_FR_READ);
    g_assert(fault.read);
    qvtd_edu_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/iotlb-dirty/read-write", test_read_write);
    qtest_add_func("/vtd/iotlb-dirty/read-dirty-write",
                   test_read_dirty_write);
    qtest_add_func("/vtd/iotlb-dirty/read-only", test_read_only);
    qtest_add_func("/vtd/iotlb-dirty/write-only", test_write_only);
    return g_test_run();
}
