/*
 * QTest testcase for VT-d: bad invalidation descriptors are guest errors
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd.h"

/* What a guest can repeat without end belongs into the log that asks for it */
static void check_logged(bool wide, QVTDDesc desc, const char *message)
{
    g_autofree char *name = NULL;
    g_autofree char *log = NULL;
    g_autoptr(GError) err = NULL;
    int fd = g_file_open_tmp("vtd-guest-error-XXXXXX", &name, &err);
    QTestState *qts;
    QVTD *v;

    g_assert_no_error(err);
    close(fd);
    qts = qtest_initf("-M q35 -device intel-iommu,x-scalable-mode=on "
                      "-d guest_errors -D %s", name);
    v = qvtd_new(qts, true);
    qvtd_set_root(v);
    qvtd_enable_qi(v, 0, wide);
    g_assert(!qvtd_iq_submit(v, desc));
    g_assert(qvtd_iq_error(v));
    qvtd_free(v);
    qtest_quit(qts);

    g_file_get_contents(name, &log, NULL, &err);
    g_assert_no_error(err);
    g_assert(strstr(log, message));
    unlink(name);
}

/* 6.5.2.1: bits 8:6 of the first word are reserved */
static void test_reserved_256(void)
{
    QVTDDesc desc = qvtd_cc_desc(QVTD_CC_GLOBAL, 0, 0, 0);

    desc.qw[0] |= 1ULL << 6;
    check_logged(true, desc, "reserved nonzero");
}

static void test_reserved_128(void)
{
    QVTDDesc desc = qvtd_cc_desc(QVTD_CC_GLOBAL, 0, 0, 0);

    desc.qw[0] |= 1ULL << 6;
    check_logged(false, desc, "reserved nonzero");
}

static void test_wide_in_128(void)
{
    check_logged(false, qvtd_piotlb_desc(QVTD_PIOTLB_ALL, 0, 0, 0, 0, false),
                 "in 128-bit invalidation queue");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/guest-error/reserved-256", test_reserved_256);
    qtest_add_func("/vtd/guest-error/reserved-128", test_reserved_128);
    qtest_add_func("/vtd/guest-error/wide-in-128", test_wide_in_128);
    return g_test_run();
}
