/*
 * QTest testcase for VT-d: invalidation wait descriptors that only fence
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd.h"

static void check_wait(bool scalable, uint64_t flags, bool legal)
{
    QTestState *qts = qtest_initf("-M q35 -device intel-iommu,"
                                  "x-scalable-mode=%s",
                                  scalable ? "on" : "off");
    QVTD *v = qvtd_new(qts, scalable);
    QVTDDesc wait = qvtd_wait_desc(flags, 0, v->wait_addr);

    qvtd_enable(v);
    qvtd_inv(v, qvtd_iotlb_desc(QVTD_IOTLB_GLOBAL, 0, 0, 0));
    g_assert(qvtd_iq_submit(v, wait) == legal);
    g_assert(qvtd_iq_error(v) == !legal);
    if (!legal) {
        qvtd_iq_recover(v);
    }
    qvtd_inv(v, qvtd_iotlb_desc(QVTD_IOTLB_GLOBAL, 0, 0, 0));
    g_assert_cmphex(qvtd_readq(v, DMAR_IQH_REG), ==,
                    qvtd_readq(v, DMAR_IQT_REG));
    qvtd_free(v);
    qtest_quit(qts);
}

/* 6.5.2.8: FN alone orders what comes after it, and has no other effect */
static void test_fence(void)
{
    check_wait(true, QVTD_WAIT_FN, true);
}

static void test_fence_legacy(void)
{
    check_wait(false, QVTD_WAIT_FN, true);
}

static void test_fence_status(void)
{
    check_wait(true, QVTD_WAIT_FN | QVTD_WAIT_SW, true);
}

/* Nothing to do at all is not a wait */
static void test_nothing(void)
{
    check_wait(true, 0, false);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/fence/fence", test_fence);
    qtest_add_func("/vtd/fence/fence-legacy", test_fence_legacy);
    qtest_add_func("/vtd/fence/fence-status", test_fence_status);
    qtest_add_func("/vtd/fence/nothing", test_nothing);
    return g_test_run();
}
