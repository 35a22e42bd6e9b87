/*
 * svmctl: scenarios in which mappings change between commands
 *
 * The device has translations from before: a stale one shows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "svmctl.h"

/* munmap() and other memory at the same address, of the same and other size. */
void svm_run_remap(void)
{
    const size_t size = 4 * MIB;
    uint8_t *map = svm_map(size, 2 * MIB, 0);
    struct libsvm *svm = svm_open();

    for (int i = 0; i < 40; i++) {
        svm_unmap(map, size);
        if (i % 4 == 0) {
            svm_check_write_fails(svm, map + i * PAGE, PAGE);
        }
        svm_map_at(map, size, i & 1);

        svm_check_write(svm, map + 2 * MIB - 20 * PAGE, 40 * PAGE);
        svm_check_filled(map, 2 * MIB - 20 * PAGE, 0, "new memory");
        svm_fill_random(map + 2 * MIB - 20 * PAGE, 40 * PAGE, i);
        svm_check_read(svm, map + 2 * MIB - 20 * PAGE, 40 * PAGE);
        svm_check_random(map + 2 * MIB - 20 * PAGE, 40 * PAGE, i,
                         "new memory");
    }
}

void svm_run_mprotect(void)
{
    const size_t size = 16 * PAGE;
    uint8_t *map = svm_map_small(size);
    struct libsvm *svm = svm_open();

    for (int i = 0; i < 10; i++) {
        svm_check_write(svm, map, size);
        svm_fill_random(map, size, i);

        svm_need(!mprotect(map, size, PROT_READ), "mprotect");
        svm_check_write_fails(svm, map + 15 * PAGE, PAGE);
        svm_check_write_fails(svm, map, size);
        svm_check_read(svm, map, size);
        svm_check_random(map, size, i, "the read-only memory");

        svm_need(!mprotect(map, size, PROT_NONE), "mprotect");
        svm_check_write_fails(svm, map, size);
        svm_check_read_fails(svm, map + 7 * PAGE, 10);

        svm_need(!mprotect(map, size, PROT_READ | PROT_WRITE), "mprotect");
        svm_check_random(map, size, i, "the memory that is writable again");
    }
    svm_check_buffer(svm, map + PAGE, size - 2 * PAGE, PAGE);
}

#define SWAP_PAGES ((size_t)512)

static size_t count_swapped(const uint8_t *map)
{
    uint64_t entries[SWAP_PAGES];
    size_t swapped = 0;

    svm_read_pagemap(map, SWAP_PAGES, entries);
    for (size_t i = 0; i < SWAP_PAGES; i++) {
        swapped += !!(entries[i] & SVM_PAGEMAP_SWAPPED);
    }
    return swapped;
}

/* A CPU keeps back pages that it has just brought in: ask on each of them. */
static void move_to_cpu(int n)
{
    cpu_set_t cpu;

    CPU_ZERO(&cpu);
    CPU_SET(n % sysconf(_SC_NPROCESSORS_ONLN), &cpu);
    svm_need(!sched_setaffinity(0, sizeof(cpu), &cpu), "sched_setaffinity");
}

static void swap_out(uint8_t *map)
{
    size_t swapped = 0;

    for (int tries = 0; tries < 100; tries++) {
        move_to_cpu(tries);
        svm_need(!madvise(map, SWAP_PAGES * PAGE, MADV_PAGEOUT),
                 "MADV_PAGEOUT");
        swapped = count_swapped(map);
        if (swapped == SWAP_PAGES) {
            return;
        }
        usleep(10000);
    }
    svm_fail("only %zu of %zu pages went to swap", swapped, SWAP_PAGES);
}

/* The device finds what went to swap, and that brings it back. */
static void read_from_swap(struct libsvm *svm, uint8_t *map, uint64_t seed)
{
    const size_t size = SWAP_PAGES * PAGE;
    uint8_t crc;

    svm_fill_random(map, size, seed);
    crc = svm_crc(map, size);
    swap_out(map);
    if (svm_run(svm, SVM_CMD_READ, map, size, crc, 0) != SVM_STATUS_OK) {
        svm_fail("the device did not find what went to swap");
    }
    if (count_swapped(map)) {
        svm_fail("the device read pages that are in swap");
    }
}

static void write_and_check_in_swap(struct libsvm *svm, uint8_t *map,
                                    const char *what)
{
    const size_t size = SWAP_PAGES * PAGE - 200;

    if (svm_run(svm, SVM_CMD_WRITE, map + 100, size, 0, 0) != SVM_STATUS_OK) {
        svm_fail("the device could not write %s", what);
    }
    swap_out(map);
    svm_check_pattern(map + 100, size, what);
}

/* Pages in swap come back for the device; what it wrote goes to swap. */
void svm_run_swap(void)
{
    uint8_t *map = svm_map_small(SWAP_PAGES * PAGE);
    struct libsvm *svm = svm_open();

    for (int i = 0; i < 3; i++) {
        read_from_swap(svm, map, i);
        write_and_check_in_swap(svm, map, "pages that it had read from swap");

        svm_fill_random(map, SWAP_PAGES * PAGE, i);
        swap_out(map);
        write_and_check_in_swap(svm, map, "pages that were in swap");
    }
    svm_check_buffer(svm, map + PAGE, (SWAP_PAGES - 2) * PAGE, PAGE);
}

/*
 * MADV_FREE makes pages clean and lets the kernel throw them away, unless they
 * become dirty again. The device writes the first half, with no page request,
 * because all of it is still mapped: the dirty bits that it sets on the way
 * are all that keeps what it wrote.
 */
static void check_dirty(struct libsvm *svm, size_t align, int advice)
{
    const size_t half = 2 * MIB;
    uint8_t *map = svm_map(2 * half, align, 0);
    uint64_t requests;

    svm_need(!madvise(map, 2 * half, advice), "madvise");
    svm_check_write(svm, map, 2 * half);
    svm_fill_random(map, 2 * half, 1);
    svm_need(!madvise(map, 2 * half, MADV_FREE), "MADV_FREE");

    requests = svm_counter(svm, SVM_STAT_PAGE_REQUESTS);
    if (svm_run(svm, SVM_CMD_WRITE, map, half, 0, 0) != SVM_STATUS_OK) {
        svm_fail("the device could not write after MADV_FREE");
    }
    if (svm_counter(svm, SVM_STAT_PAGE_REQUESTS) != requests) {
        svm_fail("page requests for memory that is mapped");
    }
    for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
        move_to_cpu(cpu);
        svm_need(!madvise(map, 2 * half, MADV_PAGEOUT), "MADV_PAGEOUT");
    }
    svm_check_pattern(map, half, "what the device wrote after MADV_FREE");
    if (svm_count_others(map + half, half, 0) > half / 2) {
        svm_fail("the kernel kept pages that nobody wrote after MADV_FREE");
    }
    svm_unmap(map, 2 * half);
}

void svm_run_dirty(void)
{
    struct libsvm *svm = svm_open();

    check_dirty(svm, PAGE, MADV_NOHUGEPAGE);
    check_dirty(svm, 2 * MIB, MADV_HUGEPAGE);
}
