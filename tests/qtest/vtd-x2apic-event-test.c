/*
 * QTest testcase for VT-d: event interrupts to a CPU whose APIC ID needs more
 * than 8 bits
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd-edu.h"

#define VECTOR      0x41
#define APIC_ID     0x12345678

/* The message for it: bits 31:8 of the ID are in the upper half */
#define MSI_ADDR    0x12345600fee78000ULL

/*
 * No CPU runs under qtest that could switch its APIC to x2APIC mode, and in
 * xAPIC mode it ignores the upper bits. So look for the message in the trace.
 */
static QVTDEdu *start(bool eim, char **log)
{
    g_autofree char *args = NULL;
    g_autoptr(GError) err = NULL;
    int fd = g_file_open_tmp("vtd-x2apic-event-XXXXXX", log, &err);

    g_assert_no_error(err);
    close(fd);
    args = g_strdup_printf("-trace vtd_irq_generate -D %s", *log);
    return qvtd_edu_start(eim ? QVTD_EDU_LEGACY ",intremap=on,eim=on" :
                                QVTD_EDU_LEGACY ",intremap=on,eim=off", args);
}

static void stop_and_check_msi(QVTDEdu *f, char *log, uint64_t addr)
{
    g_autofree char *msg = g_strdup_printf("0x%" PRIx64 " data 0x%x", addr,
                                           VECTOR);
    g_autofree char *text = NULL;
    g_autoptr(GError) err = NULL;

    qvtd_edu_stop(f);
    g_file_get_contents(log, &text, NULL, &err);
    g_assert_no_error(err);
    unlink(log);
    g_free(log);
    if (!strstr(text, "vtd_irq_generate")) {
        g_test_skip("QEMU was built without the log trace backend");
        return;
    }
    g_assert(strstr(text, msg));
}

/* The upper address register has bits 31:8 of the destination */
static void test_fault_event(void)
{
    char *log;
    QVTDEdu *f = start(true, &log);

    qvtd_set_msi(f->v, DMAR_FECTL_REG, VECTOR, APIC_ID);
    g_assert_cmphex(qvtd_readl(f->v, DMAR_FEUADDR_REG), ==, MSI_ADDR >> 32);
    qedu_dma_write(&f->edu, 0, 8);
    stop_and_check_msi(f, log, MSI_ADDR);
}

static void test_invalidation_event(void)
{
    char *log;
    QVTDEdu *f = start(true, &log);

    qvtd_set_msi(f->v, DMAR_IECTL_REG, VECTOR, APIC_ID);
    g_assert_cmphex(qvtd_readl(f->v, DMAR_IEUADDR_REG), ==, MSI_ADDR >> 32);
    qvtd_inv(f->v, qvtd_wait_desc(QVTD_WAIT_IF, 0, 0));
    stop_and_check_msi(f, log, MSI_ADDR);
}

/* Without EIM the registers are reserved, and read as zero */
static void test_no_eim(void)
{
    char *log;
    QVTDEdu *f = start(false, &log);

    qvtd_set_msi(f->v, DMAR_IECTL_REG, VECTOR, APIC_ID);
    g_assert_cmphex(qvtd_readl(f->v, DMAR_IEUADDR_REG), ==, 0);
    qvtd_set_msi(f->v, DMAR_FECTL_REG, VECTOR, APIC_ID);
    g_assert_cmphex(qvtd_readl(f->v, DMAR_FEUADDR_REG), ==, 0);
    qedu_dma_write(&f->edu, 0, 8);
    stop_and_check_msi(f, log, (uint32_t)MSI_ADDR);
}

/* The interrupt arrives, once it was unmasked */
static void test_delivery(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_LEGACY ",intremap=on,eim=on", NULL);

    qedu_dma_write(&f->edu, 0, 8);
    g_assert(qvtd_readl(f->v, DMAR_FECTL_REG) & QVTD_EVENT_PENDING);
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_set_msi(f->v, DMAR_FECTL_REG, VECTOR, 0);
    g_assert(!(qvtd_readl(f->v, DMAR_FECTL_REG) & QVTD_EVENT_PENDING));
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_edu_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/x2apic-event/fault", test_fault_event);
    qtest_add_func("/vtd/x2apic-event/invalidation", test_invalidation_event);
    qtest_add_func("/vtd/x2apic-event/no-eim", test_no_eim);
    qtest_add_func("/vtd/x2apic-event/delivery", test_delivery);
    return g_test_run();
}
