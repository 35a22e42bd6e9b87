/*
 * svmctl: scenarios with one buffer, of each kind of memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "svmctl.h"

void svm_run_malloc(void)
{
    static const size_t sizes[] = { 1, 24, 1000, 5000, 100000, 3000000 };
    const size_t guard = 16;
    struct libsvm *svm = svm_open();

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint8_t *block = malloc(sizes[i] + 2 * guard);

        svm_need(block, "malloc");
        svm_check_buffer(svm, block + guard, sizes[i], guard);
        free(block);
    }
}

void svm_run_stack(void)
{
    uint8_t local[5 * PAGE];

    svm_check_buffer(svm_open(), local + 100, sizeof(local) - 200, 100);
}

void svm_run_anonymous(void)
{
    uint8_t *map = svm_map(MIB, PAGE, 0);

    svm_check_buffer(svm_open(), map + PAGE, MIB - 2 * PAGE, PAGE);
}

/* What the device writes is in the file; what is in the file, it reads. */
void svm_run_file_shared(void)
{
    const size_t size = 16 * PAGE;
    int file = svm_make_file(size);
    struct libsvm *svm = svm_open();
    uint8_t *copy = malloc(size);
    uint8_t *map;

    map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    svm_need(map != MAP_FAILED && copy, "mmap of a file");

    svm_check_write(svm, map, size);
    svm_need(pread(file, copy, size, 0) == (ssize_t)size, "pread");
    svm_check_pattern(copy, size, "the file that the device wrote");

    svm_fill_random(copy, size, 1);
    svm_need(pwrite(file, copy, size, 0) == (ssize_t)size, "pwrite");
    svm_check_random(map, size, 1, "the mapped file");
    svm_check_read(svm, map, size);
    svm_check_buffer(svm, map + PAGE, size - 2 * PAGE, PAGE);
}

/* What the device writes is in the process's copy only. */
void svm_run_file_private(void)
{
    const size_t size = 16 * PAGE;
    int file = svm_make_file(size);
    struct libsvm *svm = svm_open();
    uint8_t *copy = malloc(size);
    uint8_t *map;

    svm_need(copy, "malloc");
    svm_fill_random(copy, size, 1);
    svm_need(pwrite(file, copy, size, 0) == (ssize_t)size, "pwrite");
    map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    svm_need(map != MAP_FAILED, "mmap of a file");

    /* The device reads pages of the file, then must leave them alone */
    svm_check_read(svm, map, size);
    svm_check_write(svm, map + 3 * PAGE, 5 * PAGE);
    svm_check_random(map, 3 * PAGE, 1, "the rest of the mapping");
    svm_need(pread(file, copy, size, 0) == (ssize_t)size, "pread");
    svm_check_random(copy, size, 1, "the file behind a private mapping");
}

/* Pages that no CPU has touched: the device's page requests make them. */
void svm_run_first_touch(void)
{
    const size_t size = MIB;
    uint8_t *map = svm_map_small(size);
    struct libsvm *svm = svm_open();
    uint64_t requests = svm_counter(svm, SVM_STAT_PAGE_REQUESTS);
    size_t start = 10 * PAGE + 50;
    size_t length = 100 * PAGE;
    uint8_t *zeros;

    svm_check_write(svm, map + start, length);
    svm_check_filled(map, start, 0, "untouched memory before the buffer");
    svm_check_filled(map + start + length, size - start - length, 0,
                     "untouched memory after the buffer");
    svm_unmap(map, size);

    zeros = svm_map(size, PAGE, 0);
    map = svm_map_small(size);
    if (svm_run(svm, SVM_CMD_READ, map, size, svm_crc(zeros, size), 0) !=
        SVM_STATUS_OK) {
        svm_fail("the device did not read zeros from untouched memory");
    }
    svm_check_filled(map, size, 0, "untouched memory");
    requests = svm_counter(svm, SVM_STAT_PAGE_REQUESTS) - requests;
    if (requests < length / PAGE) {
        svm_fail("only %lu page requests for untouched memory", requests);
    }
    svm_note("%lu page requests", requests);
}

void svm_run_unaligned(void)
{
    static const size_t sizes[] = { 1, 2, 3, 7, 8, 9, 63, 250, 251, 252, 1023 };
    struct libsvm *svm = svm_open();
    uint8_t *map = svm_map(4 * PAGE, PAGE, 0);

    for (size_t offset = 0; offset < 17; offset++) {
        size_t size = sizes[offset % ARRAY_SIZE(sizes)];

        svm_check_buffer(svm, map + PAGE + offset, size, 300);
    }
}

void svm_run_page_crossing(void)
{
    static const size_t before[] = { 1, 7, 100, 4095 };
    static const size_t after[] = { 1, 9, 4096, 4097, 12289 };
    struct libsvm *svm = svm_open();
    uint8_t *map = svm_map_small(8 * PAGE);

    for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(after); k++) {
            svm_check_buffer(svm, map + 2 * PAGE - before[i],
                             before[i] + after[k], 300);
        }
    }
}

void svm_run_64_mib(void)
{
    const size_t size = 64 * MIB;
    struct libsvm *svm = svm_open();
    uint8_t *map = svm_map(size + 2 * PAGE, PAGE, 0);

    svm_check_write(svm, map + PAGE + 1, size);
    svm_check_filled(map, PAGE + 1, 0, "before the buffer");
    svm_check_filled(map + PAGE + 1 + size, PAGE - 1, 0, "after the buffer");
    svm_fill_random(map + PAGE + 1, size, 1);
    svm_check_read(svm, map + PAGE + 1, size);
}

void svm_run_huge_thp(void)
{
    uint8_t *map = svm_map(4 * MIB, 2 * MIB, 0);
    struct libsvm *svm = svm_open();
    uint64_t results = svm_counter(svm, SVM_STAT_ATS_RESULTS);

    svm_need(!madvise(map, 4 * MIB, MADV_HUGEPAGE), "MADV_HUGEPAGE");
    /* The first touch of the device brings in a whole huge page */
    svm_check_write(svm, map + 2 * MIB - PAGE, 2 * PAGE);
    svm_check_buffer(svm, map + PAGE, 4 * MIB - 2 * PAGE, PAGE);
    results = svm_counter(svm, SVM_STAT_ATS_RESULTS) - results;
    svm_note("%lu translations for 4 MiB", results);
    if (results > 64) {
        svm_fail("%lu translations for two huge pages", results);
    }
}

/* @n pages of @page bytes; buffers of @size at the start, middle and ends */
static void check_huge(size_t page, size_t n, size_t size)
{
    uint8_t *map = svm_map_huge(n * page, page);
    struct libsvm *svm = svm_open();

    /* Untouched by the CPU */
    svm_check_write(svm, map + page - 1000, 2000);

    svm_check_buffer(svm, map + PAGE, size, PAGE);
    svm_check_buffer(svm, map + page / 2 + 3, size, PAGE);
    for (size_t i = 1; i < n; i++) {
        svm_check_buffer(svm, map + i * page - size / 2 - 1, size, PAGE);
    }
    svm_check_buffer(svm, map + n * page - PAGE - size, size, PAGE);
    svm_unmap(map, n * page);
}

void svm_run_huge_2m(void)
{
    check_huge(2 * MIB, 3, MIB);
    check_huge(2 * MIB, 2, 2 * MIB);
}

void svm_run_huge_1g(void)
{
    check_huge(GIB, 2, MIB);
}

/* At @addr, with other memory where an address that lost bits would lead */
static void check_high(struct libsvm *svm, uintptr_t addr)
{
    const size_t size = 40 * PAGE;
    const size_t guard = 4 * PAGE;
    uint64_t requests = svm_counter(svm, SVM_STAT_PAGE_REQUESTS);
    uint8_t *low = (uint8_t *)(addr & ((1UL << 46) - 1));
    uint8_t *high = (uint8_t *)addr;

    svm_map_at(low, size, false);
    svm_map_at(high, size, false);
    svm_fill(low, size, GUARD_BYTE);
    svm_check_write(svm, high + 1000, guard);
    requests = svm_counter(svm, SVM_STAT_PAGE_REQUESTS) - requests;
    if (requests < guard / PAGE) {
        svm_fail("only %lu page requests for untouched memory", requests);
    }
    svm_check_buffer(svm, high + guard, size - 2 * guard, guard);
    svm_check_filled(low, size, GUARD_BYTE, "memory at the low address");
    svm_unmap(high, size);
    svm_check_write_fails(svm, high, size);
    svm_check_filled(low, size, GUARD_BYTE, "memory at the low address");
    svm_unmap(low, size);
}

/* Above 47 bits, up to the last page that a process can have. */
void svm_run_high_address(void)
{
    struct libsvm *svm = svm_open();

    check_high(svm, (1UL << 47) + 123 * MIB);
    check_high(svm, (1UL << 48) + 123 * MIB);
    check_high(svm, (3UL << 52) + 123 * MIB);
    check_high(svm, (1UL << 56) - 41 * PAGE);
}

static void check_group_type(const char *path, const char *type)
{
    FILE *file = fopen(path, "r");
    char line[32] = "";

    svm_need(file && fgets(line, sizeof(line), file), path);
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, type)) {
        svm_fail("the type of the default domain is %s, not %s", line, type);
    }
}

/* Without a PASID an address is a physical one, with one it is a process's. */
void svm_run_passthrough(void)
{
    const size_t size = 64 * PAGE;
    uint8_t *map = svm_map_small(size);
    struct libsvm *svm = svm_open();

    check_group_type("/sys/class/misc/svm0/device/iommu_group/type",
                     "identity");
    svm_check_write(svm, map + PAGE, size - 2 * PAGE);
    svm_check_buffer(svm, map + PAGE, size - 2 * PAGE, PAGE);
    svm_unmap(map, size);
    svm_check_write_fails(svm, map, size);
}
