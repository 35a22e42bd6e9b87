/*
 * QTest testcase for VT-d: how Accessed and Dirty get into a paging entry
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "libqos/vtd-edu.h"

#define IOVA        0x40000000ULL

/* Bits that the IOMMU ignores, and G */
#define OTHER_BITS  (1ULL << 9 | 1ULL << 11 | 0x7ffULL << 52 | QVTD_FS_G)

/* Firmware of this size is mapped read-only below 4 GiB */
#define ROM_SIZE    0x10000
#define ROM_BASE    (0x100000000ULL - ROM_SIZE)

/* Where the page table in ROM points to: RAM below the heap */
#define ROM_TARGET  (QVTD_HEAP_BASE - 4096)

/* Only A and D change, in each entry, whatever else is there */
static void test_other_bits(void)
{
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, NULL);
    uint64_t page = qvtd_alloc_page(f->v);
    uint64_t pte[5];

    qvtd_fs_map(f->v, f->table, IOVA, page, 1, QVTD_FS_USER_RW);
    for (int l = 1; l <= 4; l++) {
        pte[l] = qvtd_pte(f->v, f->table, IOVA, l) | OTHER_BITS;
    }
    for (int l = 1; l <= 4; l++) {
        qtest_writeq(f->qts, qvtd_pte_addr(f->v, f->table, IOVA, l), pte[l]);
    }
    g_assert(qvtd_edu_writes(f, IOVA, page));
    for (int l = 1; l <= 4; l++) {
        g_assert_cmphex(qvtd_pte(f->v, f->table, IOVA, l), ==,
                        pte[l] | QVTD_FS_A | (l == 1 ? QVTD_FS_D : 0));
    }
    qvtd_edu_stop(f);
}

/* Firmware that begins with a page table of one entry */
static char *write_rom(uint64_t pte)
{
    g_autofree uint64_t *rom = g_malloc0(ROM_SIZE);
    g_autoptr(GError) err = NULL;
    char *name = NULL;
    int fd = g_file_open_tmp("vtd-pte-update-XXXXXX", &name, &err);

    g_assert_no_error(err);
    close(fd);
    rom[0] = cpu_to_le64(pte);
    g_file_set_contents(name, (char *)rom, ROM_SIZE, &err);
    g_assert_no_error(err);
    return name;
}

static void check_rom_table(uint64_t flags, bool works)
{
    uint64_t pte = ROM_TARGET | QVTD_FS_USER_RW | flags;
    g_autofree char *rom = write_rom(pte);
    g_autofree char *args = g_strdup_printf("-bios %s", rom);
    QVTDEdu *f = qvtd_edu_start(QVTD_EDU_FIRST_STAGE, args);
    QVTDFault fault;

    qvtd_fs_map(f->v, f->table, IOVA, 0, 1, 0);
    qtest_writeq(f->qts, qvtd_pte_addr(f->v, f->table, IOVA, 2),
                 ROM_BASE | QVTD_FS_USER_RW);
    g_assert_cmphex(qvtd_pte(f->v, f->table, IOVA, 1), ==, pte);

    g_assert(qvtd_edu_writes(f, IOVA, ROM_TARGET) == works);
    g_assert(qvtd_pop_fault(f->v, &fault) == !works);
    if (!works) {
        g_assert_cmphex(fault.reason, ==, VTD_FR_FS_BIT_UPDATE_FAILED);
    }
    g_assert_cmphex(qvtd_pte(f->v, f->table, IOVA, 1), ==, pte);
    qvtd_edu_stop(f);
    unlink(rom);
}

/* Entries that have both bits are not written, so may be read-only */
static void test_rom_dirty(void)
{
    check_rom_table(QVTD_FS_A | QVTD_FS_D, true);
}

/* SFS.10: the bits cannot be set */
static void test_rom_clean(void)
{
    check_rom_table(0, false);
}

static void test_rom_accessed(void)
{
    check_rom_table(QVTD_FS_A, false);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/pte-update/other-bits", test_other_bits);
    qtest_add_func("/vtd/pte-update/rom-dirty", test_rom_dirty);
    qtest_add_func("/vtd/pte-update/rom-clean", test_rom_clean);
    qtest_add_func("/vtd/pte-update/rom-accessed", test_rom_accessed);
    return g_test_run();
}
