/*
 * QTest testcase for VT-d: Accessed and Dirty of first-stage paging entries
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd-edu.h"

#define IOVA    0x40000000ULL

static void invalidate_iotlb(QVTDEdu *f)
{
    qvtd_inv(f->v, qvtd_piotlb_desc(QVTD_PIOTLB_ALL, QVTD_EDU_DID,
                                    QVTD_EDU_RID_PASID, 0, 0, false));
}

/* 3.6.2: A in every entry that was used, D where the leaf was written */
static void check_write(int level, uint64_t flags)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    uint64_t size = 1ULL << (12 + (level - 1) * 9);
    uint64_t page = qvtd_alloc(f->v, size, size);
    uint64_t pte;

    qvtd_fs_map(f->v, f->table, IOVA, page, level, flags);
    pte = qvtd_pte(f->v, f->table, IOVA, level);
    g_assert(qvtd_edu_writes(f, IOVA, page));
    g_assert_cmphex(qvtd_pte(f->v, f->table, IOVA, level), ==,
                    pte | QVTD_FS_A | QVTD_FS_D);
    for (int l = level + 1; l <= 4; l++) {
        pte = qvtd_pte(f->v, f->table, IOVA, l);
        g_assert(pte & QVTD_FS_A);
        g_assert(!(pte & QVTD_FS_D));
    }
    qvtd_edu_stop(f);
}

static void test_write(void)
{
    check_write(1, QVTD_FS_USER_RW);
}

/* What the guest sees when it cleared D alone, or read the page before */
static void test_write_accessed(void)
{
    check_write(1, QVTD_FS_USER_RW | QVTD_FS_A);
}

static void test_write_2m(void)
{
    check_write(2, QVTD_FS_USER_RW | QVTD_FS_A);
}

/* A read sets A alone; a write that misses the IOTLB later adds D */
static void test_read_then_write(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    uint64_t page = qvtd_alloc_page(f->v);
    uint64_t pte = page | QVTD_FS_USER_RW;

    qvtd_fs_map(f->v, f->table, IOVA, page, 1, QVTD_FS_USER_RW);
    qedu_dma_read(&f->edu, IOVA, 8);
    g_assert_cmphex(qvtd_pte(f->v, f->table, IOVA, 1), ==, pte | QVTD_FS_A);

    invalidate_iotlb(f);
    g_assert(qvtd_edu_writes(f, IOVA, page));
    g_assert_cmphex(qvtd_pte(f->v, f->table, IOVA, 1), ==,
                    pte | QVTD_FS_A | QVTD_FS_D);
    qvtd_edu_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/dirty/write", test_write);
    qtest_add_func("/vtd/dirty/write-accessed", test_write_accessed);
    qtest_add_func("/vtd/dirty/write-2m", test_write_2m);
    qtest_add_func("/vtd/dirty/read-then-write", test_read_then_write);
    return g_test_run();
}
