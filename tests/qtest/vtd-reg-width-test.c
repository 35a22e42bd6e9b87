/*
 * QTest testcase for VT-d: 64-bit accesses to pairs of 32-bit registers
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd.h"

#define DATA    0x1234ULL
#define ADDR    0xfee01000ULL

static QVTD *start(void)
{
    return qvtd_new(qtest_init("-M q35 -device intel-iommu"), false);
}

static void stop(QVTD *v)
{
    qtest_quit(v->qts);
    qvtd_free(v);
}

/* A 64-bit write does what two 32-bit ones do */
static void check_pair(uint64_t reg, uint32_t low, uint32_t high)
{
    QVTD *v = start();

    qvtd_writeq(v, reg, (uint64_t)high << 32 | low);
    g_assert_cmphex(qvtd_readl(v, reg), ==, low);
    g_assert_cmphex(qvtd_readl(v, reg + 4), ==, high);
    g_assert_cmphex(qvtd_readq(v, reg), ==, (uint64_t)high << 32 | low);
    stop(v);
}

static void test_fectl(void)
{
    check_pair(DMAR_FECTL_REG, QVTD_EVENT_MASK, DATA);
}

static void test_iectl(void)
{
    check_pair(DMAR_IECTL_REG, QVTD_EVENT_MASK, DATA);
}

static void test_feaddr(void)
{
    check_pair(DMAR_FEADDR_REG, ADDR, 0);
}

static void test_ieaddr(void)
{
    check_pair(DMAR_IEADDR_REG, ADDR, 0);
}

/* The lower half of what is written is reserved: the upper clears @cause. */
static void check_clears(QVTD *v, uint64_t reg, uint32_t cause, uint64_t event)
{
    g_assert(qvtd_readl(v, reg) & cause);
    g_assert(qvtd_readl(v, event) & QVTD_EVENT_PENDING);
    qvtd_writeq(v, reg - 4, (uint64_t)cause << 32);
    g_assert(!(qvtd_readl(v, reg) & cause));
    g_assert(!(qvtd_readl(v, event) & QVTD_EVENT_PENDING));
}

static void test_fsts(void)
{
    QVTD *v = start();

    qvtd_enable(v);
    g_assert(!qvtd_iq_submit(v, (QVTDDesc) { { 0 } }));
    check_clears(v, DMAR_FSTS_REG, VTD_FSTS_IQE, DMAR_FECTL_REG);
    stop(v);
}

static void test_ics(void)
{
    QVTD *v = start();

    qvtd_enable(v);
    qvtd_inv(v, qvtd_wait_desc(QVTD_WAIT_IF, 0, 0));
    check_clears(v, DMAR_ICS_REG, VTD_ICS_IWC, DMAR_IECTL_REG);
    stop(v);
}

/* Whatever a guest writes, wherever: QEMU is still there afterwards */
static void test_everywhere(void)
{
    static const uint64_t values[] = { 0, UINT64_MAX, UINT32_MAX };
    QVTD *v = start();

    for (int i = 0; i < ARRAY_SIZE(values); i++) {
        for (uint64_t reg = 0; reg < DMAR_REG_SIZE; reg += 8) {
            qvtd_writeq(v, reg, values[i]);
            qvtd_readq(v, reg);
        }
        for (uint64_t reg = 0; reg < DMAR_REG_SIZE; reg += 4) {
            qvtd_writel(v, reg, values[i]);
            qvtd_readl(v, reg);
        }
    }
    stop(v);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/reg-width/fectl", test_fectl);
    qtest_add_func("/vtd/reg-width/iectl", test_iectl);
    qtest_add_func("/vtd/reg-width/feaddr", test_feaddr);
    qtest_add_func("/vtd/reg-width/ieaddr", test_ieaddr);
    qtest_add_func("/vtd/reg-width/fsts", test_fsts);
    qtest_add_func("/vtd/reg-width/ics", test_ics);
    qtest_add_func("/vtd/reg-width/everywhere", test_everywhere);
    return g_test_run();
}
