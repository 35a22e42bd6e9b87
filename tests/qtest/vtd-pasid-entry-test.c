/*
 * QTest testcase for VT-d: the PASID table entry that a request uses is
 * checked, and one copy of it serves the whole translation
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd-edu.h"

#define IOVA    0x40000000ULL

/* A machine whose device has written to IOVA once: context entry cached */
static QVTDEdu *start_and_write(uint64_t *page)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);

    *page = qvtd_alloc_page(f->v);
    qvtd_fs_map(f->v, f->table, IOVA, *page, 1, QVTD_FS_USER_RW);
    g_assert(qvtd_edu_writes(f, IOVA, *page));
    return f;
}

/* The PASID cache and the IOTLB forget the entry, the context cache stays */
static void invalidate_pasid(QVTDEdu *f)
{
    qvtd_inv(f->v, qvtd_pasid_cache_desc(QVTD_PC_PASID, QVTD_EDU_DID,
                                         QVTD_EDU_RID_PASID));
    qvtd_inv(f->v, qvtd_piotlb_desc(QVTD_PIOTLB_ALL, QVTD_EDU_DID,
                                    QVTD_EDU_RID_PASID, 0, 0, false));
}

/* 9.6: P = 0, "any other fields are ignored": they must not translate */
static void test_not_present(void)
{
    uint64_t page;
    QVTDEdu *f = start_and_write(&page);
    QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS,
        .did = QVTD_EDU_DID,
        .table = f->table,
        .absent = true,
    };
    QVTDFault fault;

    qvtd_set_pasid_entry(f->v, f->dir, QVTD_EDU_RID_PASID, &pe);
    invalidate_pasid(f);
    g_assert(!qvtd_edu_writes(f, IOVA, page));
    g_assert(qvtd_pop_fault(f->v, &fault));
    g_assert_cmphex(fault.reason, ==, VTD_FR_PASID_ENTRY_P);
    g_assert_cmphex(fault.sid, ==, f->sid);

    pe.absent = false;
    qvtd_set_pasid_entry(f->v, f->dir, QVTD_EDU_RID_PASID, &pe);
    g_assert(qvtd_edu_writes(f, IOVA, page));
    g_assert(!qvtd_pop_fault(f->v, &fault));
    qvtd_edu_stop(f);
}

/* 9.6: FSPM is 5-level, which the unit lacks; FPD must not skip that check */
static void test_unsupported_level(void)
{
    uint64_t page;
    QVTDEdu *f = start_and_write(&page);
    QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS,
        .did = QVTD_EDU_DID,
        .table = f->table,
    };
    QVTDFault fault;

    qvtd_set_context(f->v, f->sid, QVTD_CE_P | QVTD_CE_FPD, 0, f->dir,
                     QVTD_EDU_RID_PASID);
    qvtd_inv_all(f->v);
    g_assert(qvtd_edu_writes(f, IOVA, page));

    pe.flags = QVTD_PE_FSPM_5LEVEL;
    qvtd_set_pasid_entry(f->v, f->dir, QVTD_EDU_RID_PASID, &pe);
    invalidate_pasid(f);
    g_assert(!qvtd_edu_writes(f, IOVA, page));
    g_assert(!qvtd_pop_fault(f->v, &fault));
    qvtd_edu_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/pasid-entry/not-present", test_not_present);
    qtest_add_func("/vtd/pasid-entry/unsupported-level",
                   test_unsupported_level);
    return g_test_run();
}
