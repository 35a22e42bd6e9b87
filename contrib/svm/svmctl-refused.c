/*
 * svmctl: scenarios in which the device must not get what it asks for
 *
 * After each of them ordinary memory must work as before.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <sys/mman.h>

#include "svmctl.h"

/* Addresses that a PCIe write turns into an interrupt */
#define INTERRUPT_RANGE     ((uint8_t *)0xfee00000)
#define INTERRUPT_RANGE_END ((uint8_t *)0xfef00000)

/* The device may read it, not write it. */
void svm_run_read_only(void)
{
    const size_t size = 8 * PAGE;
    int file = svm_make_file(size);
    struct libsvm *svm = svm_open();
    uint8_t *writable, *map;

    writable = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    map = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
    svm_need(writable != MAP_FAILED && map != MAP_FAILED, "mmap of a file");
    svm_fill_random(writable, size, 1);

    svm_check_write_fails(svm, map, size);
    svm_check_read(svm, map, size);
    svm_check_write_fails(svm, map, size);
    svm_check_random(map, size, 1, "the read-only memory");
    svm_check_write(svm, writable, size);
    svm_check_read(svm, map, size);
    svm_check_health(svm);
}

void svm_run_unmapped(void)
{
    const size_t size = 8 * PAGE;
    uint8_t *map = svm_map_small(size);
    struct libsvm *svm = svm_open();

    /* Once without, once with a translation that the device had before */
    for (int used = 0; used < 2; used++) {
        if (used) {
            svm_check_write(svm, map, size);
        }
        svm_unmap(map, size);
        svm_check_write_fails(svm, map, size);
        svm_check_read_fails(svm, map, PAGE);
        svm_map_at(map, size, false);
    }
    svm_check_buffer(svm, map + PAGE, size - 2 * PAGE, PAGE);
    svm_check_write_fails(svm, NULL, PAGE);
    svm_check_health(svm);
}

/* A buffer of which a page in the middle is missing. */
void svm_run_partly_unmapped(void)
{
    const size_t size = 64 * PAGE;
    uint8_t *map = svm_map_small(size);
    uint8_t *hole = map + 40 * PAGE;
    struct libsvm *svm = svm_open();

    svm_fill(map, size, GUARD_BYTE);
    svm_unmap(hole, PAGE);
    svm_check_write_fails(svm, map, size);
    svm_check_read_fails(svm, hole, PAGE + 20);

    svm_fill(hole + PAGE, size - 41 * PAGE, GUARD_BYTE);
    svm_check_write(svm, map, hole - map);
    svm_check_filled(hole + PAGE, size - 41 * PAGE, GUARD_BYTE,
                     "after the hole");
    svm_check_health(svm);
}

static void check_interrupt_range(struct libsvm *svm)
{
    svm_check_write_fails(svm, INTERRUPT_RANGE, 4);
    svm_check_write_fails(svm, INTERRUPT_RANGE + 0x1000, 16 * PAGE);
    svm_check_write_fails(svm, INTERRUPT_RANGE_END - 8, 8);
    svm_check_read_fails(svm, INTERRUPT_RANGE + 0x123, 100);
}

void svm_run_interrupt_range(void)
{
    struct libsvm *svm = svm_open();

    check_interrupt_range(svm);
    svm_check_health(svm);
}

/*
 * The process may well have memory there. Neighbouring memory works, also
 * when the page that it is in is a huge one and reaches into the range.
 */
void svm_run_interrupt_range_mapped(void)
{
    uint8_t *map = INTERRUPT_RANGE - 2 * MIB;
    const size_t size = 6 * MIB;
    struct libsvm *svm = svm_open();

    for (int huge = 0; huge < 2; huge++) {
        svm_map_at(map, size, huge);
        svm_fill(map, size, GUARD_BYTE);

        check_interrupt_range(svm);
        svm_check_write_fails(svm, INTERRUPT_RANGE - PAGE, 2 * PAGE);
        svm_check_buffer(svm, INTERRUPT_RANGE - 2 * PAGE, PAGE, PAGE);
        svm_check_buffer(svm, INTERRUPT_RANGE_END + PAGE, MIB / 2, PAGE);
        check_interrupt_range(svm);

        svm_check_filled(INTERRUPT_RANGE,
                         INTERRUPT_RANGE_END - INTERRUPT_RANGE, GUARD_BYTE,
                         "the process's memory in the interrupt range");
        svm_unmap(map, size);
    }
    svm_check_health(svm);
}

/* The kernel grants no process's device the privileges of the kernel. */
void svm_run_privileged(void)
{
    const size_t size = 4 * PAGE;
    uint8_t *map = svm_map_small(size);
    struct libsvm *svm = svm_open();

    for (int cached = 0; cached < 2; cached++) {
        svm_fill_random(map, size, 1);
        if (cached) {
            svm_check_read(svm, map, size);
        }
        if (svm_run(svm, SVM_CMD_WRITE, map, size, 0, SVM_OPT_PRIV) !=
            SVM_STATUS_FAILED ||
            svm_run(svm, SVM_CMD_READ, map, size, svm_crc(map, size),
                    SVM_OPT_PRIV) != SVM_STATUS_FAILED) {
            svm_fail("a privileged request was granted");
        }
        svm_check_random(map, size, 1, "the buffer");
    }
    svm_check_buffer(svm, map + PAGE, 2 * PAGE, PAGE);
    svm_check_health(svm);
}
