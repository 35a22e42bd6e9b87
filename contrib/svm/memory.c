/*
 * Scenarios: the memory that they share with the device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario.h"

uint8_t *svm_map(size_t size, size_t align, int flags)
{
    size_t reserve = align > PAGE ? size + align : size;
    uint8_t *map, *start;

    map = mmap(NULL, reserve, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    svm_need(map != MAP_FAILED, "mmap");
    if (reserve == size) {
        return map;
    }
    start = (uint8_t *)(((uintptr_t)map + align - 1) & -align);
    if (start > map) {
        svm_unmap(map, start - map);
    }
    if (map + reserve > start + size) {
        svm_unmap(start + size, map + reserve - (start + size));
    }
    return start;
}

uint8_t *svm_map_small(size_t size)
{
    uint8_t *map = svm_map(size, PAGE, 0);

    svm_need(!madvise(map, size, MADV_NOHUGEPAGE), "MADV_NOHUGEPAGE");
    return map;
}

uint8_t *svm_map_huge(size_t size, size_t page)
{
    int shift = __builtin_ctzl(page);

    return svm_map(size, PAGE, MAP_HUGETLB | shift << MAP_HUGE_SHIFT);
}

void svm_map_at(uint8_t *addr, size_t size, bool huge)
{
    svm_need(mmap(addr, size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                  0) == addr, "mmap at a given address");
    svm_need(!madvise(addr, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE),
             "madvise");
}

void *svm_map_shared(size_t size)
{
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    svm_need(map != MAP_FAILED, "mmap of shared memory");
    return map;
}

void svm_unmap(void *addr, size_t size)
{
    svm_need(!munmap(addr, size), "munmap");
}

int svm_make_file(size_t size)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    svm_need(fd >= 0, "a file in /tmp");
    svm_need(!ftruncate(fd, size), "ftruncate");
    return fd;
}

/* xorshift64*, eight bytes at a time */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

static uint64_t first_random(uint64_t seed)
{
    return (seed + 1) * 0x9e3779b97f4a7c15ULL;
}

void svm_fill_random(uint8_t *buf, size_t size, uint64_t seed)
{
    uint64_t state = first_random(seed);

    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t value = next_random(&state);
        size_t n = size - i < sizeof(value) ? size - i : sizeof(value);

        memcpy(buf + i, &value, n);
    }
}

void svm_check_random(const uint8_t *buf, size_t size, uint64_t seed,
                      const char *what)
{
    uint64_t state = first_random(seed);

    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t value = next_random(&state);
        size_t n = size - i < sizeof(value) ? size - i : sizeof(value);

        if (memcmp(buf + i, &value, n)) {
            svm_fail("%s changed near byte %zu of %zu", what, i, size);
        }
    }
}

void svm_fill(uint8_t *buf, size_t size, uint8_t value)
{
    memset(buf, value, size);
}

/* Is it enough to look at the first @period bytes? */
static bool repeats(const uint8_t *buf, size_t size, size_t period)
{
    return size > period && !memcmp(buf, buf + period, size - period);
}

size_t svm_count_others(const uint8_t *buf, size_t size, uint8_t value)
{
    size_t others = 0;

    if (repeats(buf, size, PAGE) && !svm_count_others(buf, PAGE, value)) {
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        others += buf[i] != value;
    }
    return others;
}

void svm_check_filled(const uint8_t *buf, size_t size, uint8_t value,
                      const char *what)
{
    size_t others = svm_count_others(buf, size, value);

    if (others) {
        svm_fail("%s: %zu of %zu bytes are not 0x%x", what, others, size,
                 value);
    }
}

void svm_check_pattern(const uint8_t *buf, size_t size, const char *what)
{
    uint8_t expected = 0;

    if (repeats(buf, size, SVM_PATTERN_PERIOD)) {
        size = SVM_PATTERN_PERIOD;
    }
    for (size_t i = 0; i < size; i++) {
        if (buf[i] != expected) {
            svm_fail("%s: byte %zu of %zu is %u instead of %u", what, i, size,
                     buf[i], expected);
        }
        expected = expected == SVM_PATTERN_PERIOD - 1 ? 0 : expected + 1;
    }
}

void svm_read_pagemap(const void *addr, size_t n, uint64_t *entries)
{
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    size_t size = n * sizeof(*entries);

    svm_need(fd >= 0, "/proc/self/pagemap");
    svm_need(pread(fd, entries, size,
                   (uintptr_t)addr / PAGE * sizeof(*entries)) ==
             (ssize_t)size, "/proc/self/pagemap");
    close(fd);
}

static uint8_t crc_of_byte(uint8_t crc)
{
    for (int bit = 0; bit < 8; bit++) {
        crc = (crc >> 1) ^ (crc & 1 ? SVM_CRC_POLY : 0);
    }
    return crc;
}

uint8_t svm_crc(const void *data, size_t size)
{
    static uint8_t table[256];
    const uint8_t *byte = data;
    uint8_t crc = SVM_CRC_INIT;

    if (!table[1]) {
        for (int i = 0; i < 256; i++) {
            table[i] = crc_of_byte(i);
        }
    }
    for (size_t i = 0; i < size; i++) {
        crc = table[crc ^ byte[i]];
    }
    return crc;
}
