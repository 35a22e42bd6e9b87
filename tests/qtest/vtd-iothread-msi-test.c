/*
 * QTest testcase for VT-d: a fault in an IOThread interrupts the guest
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd-blk.h"

#define VECTOR          0x41
#define ROM_SIZE        0x10000
#define TIMEOUT_US      (30 * G_USEC_PER_SEC)

/*
 * Firmware that halts: the local APIC belongs to a CPU of an accelerator that
 * has one, and nothing else is to happen there
 */
static char *write_firmware(void)
{
    static const uint8_t halt[] = { 0xf4, 0xeb, 0xfd }; /* 1: hlt; jmp 1b */
    g_autofree uint8_t *rom = g_malloc0(ROM_SIZE);
    g_autoptr(GError) err = NULL;
    char *name = NULL;
    int fd = g_file_open_tmp("vtd-iothread-msi-XXXXXX", &name, &err);

    g_assert_no_error(err);
    close(fd);
    memcpy(rom + ROM_SIZE - 16, halt, sizeof(halt));
    g_file_set_contents(name, (char *)rom, ROM_SIZE, &err);
    g_assert_no_error(err);
    return name;
}

/* The thread has no business with the interrupt controller: the BQL has */
static void test_fault_event(void)
{
    g_autofree char *rom = write_firmware();
    g_autofree char *args = g_strdup_printf("-accel tcg -bios %s", rom);
    QVTDBlk *b = qvtd_blk_start(args);
    int64_t deadline = g_get_monotonic_time() + TIMEOUT_US;
    QVTDFault fault;

    qvtd_blk_submit(b, b->data);
    qvtd_blk_wait(b);
    g_assert(!qvtd_pop_fault(b->v, &fault));

    qvtd_set_msi(b->v, DMAR_FECTL_REG, VECTOR, 0);
    qvtd_blk_submit(b, QVTD_BLK_UNMAPPED);
    while (!qvtd_msi_pending(b->v, VECTOR, 0)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
    g_assert(qvtd_pop_fault(b->v, &fault));
    g_assert_cmphex(fault.sid, ==, b->sid);
    g_assert_cmphex(fault.addr, ==, QVTD_BLK_UNMAPPED);

    /*
     * The data is thrown away under the BQL, by a thread for which a QEMU that
     * ends waits with the BQL taken
     */
    qvtd_blk_wait(b);
    qvtd_blk_stop(b);
    unlink(rom);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (qtest_has_accel("tcg")) {
        qtest_add_func("/vtd/iothread-msi/fault-event", test_fault_event);
    }
    return g_test_run();
}
