/*
 * QTest testcase for VT-d: translation tables must be in memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd-edu.h"

#define IOVA    0x40000000ULL

/* Registers, of the HPET, that can be read like a table */
#define MMIO    0xfed00000ULL

static void check_fault(QVTDEdu *f, VTDFaultReason reason)
{
    uint64_t page = qvtd_alloc_page(f->v);
    QVTDFault fault;

    g_assert(!qvtd_edu_writes(f, IOVA, page));
    g_assert(qvtd_pop_fault(f->v, &fault));
    g_assert_cmphex(fault.reason, ==, reason);
    qvtd_edu_stop(f);
}

/* 9.1: a context table that cannot be read is LCT.1, not an absent entry */
static void test_context_table(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    uint64_t root = qvtd_readq(f->v, DMAR_RTADDR_REG) & VTD_PAGE_MASK_4K;

    qtest_writeq(f->qts, root, MMIO | VTD_ROOT_ENTRY_P);
    qvtd_inv_all(f->v);
    check_fault(f, VTD_FR_CONTEXT_TABLE_INV);
}

/* 9.5: a PASID table that cannot be read */
static void test_pasid_table(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);

    qtest_writeq(f->qts, f->dir, MMIO | QVTD_PDE_P);
    qvtd_inv_all(f->v);
    check_fault(f, VTD_FR_PASID_TABLE_ACCESS_ERR);
}

/* 9.6: a first-stage table that cannot be read */
static void test_page_table(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS, .did = QVTD_EDU_DID, .table = MMIO,
    };

    qvtd_set_pasid_entry(f->v, f->dir, QVTD_EDU_RID_PASID, &pe);
    qvtd_inv_all(f->v);
    check_fault(f, VTD_FR_PASID_ENTRY_FSPTPTR_INV);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/table-memory/context-table", test_context_table);
    qtest_add_func("/vtd/table-memory/pasid-table", test_pasid_table);
    qtest_add_func("/vtd/table-memory/page-table", test_page_table);
    return g_test_run();
}
