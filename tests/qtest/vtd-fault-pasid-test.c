/*
 * QTest testcase for VT-d: a fault record has the PASID that the request had
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd-edu.h"

#define IOVA    0x40000000ULL

static void check_fault_without_pasid(QVTDEdu *f, uint8_t reason)
{
    QVTDFault fault;

    qedu_dma_write(&f->edu, IOVA, 8);
    g_assert(qvtd_pop_fault(f->v, &fault));
    g_assert_cmphex(fault.reason, ==, reason);
    g_assert_cmphex(fault.sid, ==, f->sid);
    g_assert_cmphex(fault.addr, ==, IOVA);
    g_assert(!fault.read);
    g_assert(!fault.has_pasid);
    g_assert_cmphex(fault.pasid, ==, 0);
}

/* PP of the fault record is clear when the request had none: not RID_PASID */
static void test_rid_pasid(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    QVTDPasidEntry pe = { .absent = true };

    check_fault_without_pasid(f, VTD_FR_FS_PAGING_ENTRY_P);
    qvtd_set_pasid_entry(f->v, f->dir, QVTD_EDU_RID_PASID, &pe);
    check_fault_without_pasid(f, VTD_FR_PASID_ENTRY_P);
    qvtd_edu_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/fault-pasid/rid-pasid", test_rid_pasid);
    return g_test_run();
}
