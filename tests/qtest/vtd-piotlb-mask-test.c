/*
 * QTest testcase for VT-d: PASID-based IOTLB invalidation of large areas
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd-edu.h"

#define IOVA    0x40000000ULL

/* G = 3, address masks up to the 64 bits of a first-stage address */
static void check_mask(unsigned int am)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    uint64_t old = qvtd_alloc_page(f->v);
    uint64_t new = qvtd_alloc_page(f->v);
    uint64_t area = am < 52 ? IOVA & -(0x1000ULL << am) : 0;

    qvtd_fs_map(f->v, f->table, IOVA, old, 1, QVTD_FS_USER_RW);
    g_assert(qvtd_edu_writes(f, IOVA, old));
    qvtd_fs_map(f->v, f->table, IOVA, new, 1, QVTD_FS_USER_RW);
    qvtd_inv(f->v, qvtd_piotlb_desc(3, QVTD_EDU_DID, QVTD_EDU_RID_PASID, area,
                                    am, false));
    g_assert(!qvtd_iq_error(f->v));
    g_assert(qvtd_edu_writes(f, IOVA, new));
    qvtd_edu_stop(f);
}

static void test_small_mask(void)
{
    check_mask(18);
}

static void test_above_mamv(void)
{
    check_mask(19);
}

static void test_largest_mask(void)
{
    check_mask(63);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/piotlb-mask/mamv", test_small_mask);
    qtest_add_func("/vtd/piotlb-mask/above-mamv", test_above_mamv);
    qtest_add_func("/vtd/piotlb-mask/largest", test_largest_mask);
    return g_test_run();
}
