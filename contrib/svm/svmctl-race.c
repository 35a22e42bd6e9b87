/*
 * svmctl: the race of the device against munmap()
 *
 * One thread keeps the device writing a range. The other takes the range away;
 * once the kernel has returned from that, the pages belong to nobody, and the
 * memory that it maps next is likely made of them. The device has no business
 * there: a byte that changes was written through a stale translation.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "svmctl.h"

#define RANGE_SIZE  (2 * MIB)
#define RANGE_PAGES (RANGE_SIZE / PAGE)
#define MMAP_FLAGS  (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)

/* How many times the other memory is looked at once it is filled */
#define LOOKS 2

/* How many commands are tried in vain before the range is mapped again */
#define TRIES 2

/* In which rounds the physical pages of both mappings are compared */
#define COMPARE_EVERY 32

struct race {
    struct libsvm *svm;
    int flags;          /* MAP_* of both mappings */
    int advice;         /* MADV_* of both mappings, or 0 */
    uint8_t *range;     /* where the device writes, while it is mapped */
    uint8_t *other;     /* where the device has never been told to write */
    sem_t mapped;       /* posted when the range is there */
    atomic_bool stop;
    atomic_ulong ended; /* commands */
    atomic_ulong cut;   /* of these, failed */
    unsigned overlaps;  /* rounds in which the device wrote while unmapping */
    unsigned compared;  /* pages, in the rounds that look */
    unsigned reused;    /* of these, seen in both mappings */
    size_t stale;       /* bytes */
};

/* Commands without a pause; a pause once some found nothing mapped. */
static void *keep_writing(void *opaque)
{
    struct race *r = opaque;
    unsigned failures = 0;

    while (!atomic_load(&r->stop)) {
        if (svm_run(r->svm, SVM_CMD_WRITE, r->range, RANGE_SIZE, 0, 0) ==
            SVM_STATUS_OK) {
            failures = 0;
        } else if (++failures % TRIES == 0) {
            sem_wait(&r->mapped);
        }
        atomic_fetch_add(&r->cut, !!failures);
        atomic_fetch_add(&r->ended, 1);
    }
    return NULL;
}

static void map_at(struct race *r, uint8_t *at)
{
    svm_need(mmap(at, RANGE_SIZE, PROT_READ | PROT_WRITE,
                  MMAP_FLAGS | r->flags, -1, 0) == at, "mmap");
    if (r->advice) {
        svm_need(!madvise(at, RANGE_SIZE, r->advice), "madvise");
    }
}

/* Reserved again in the same call, so that nothing else gets the address */
static void reserve(uint8_t *at)
{
    svm_need(mmap(at, RANGE_SIZE, PROT_NONE, MMAP_FLAGS, -1, 0) == at,
             "mmap of PROT_NONE");
}

/* The commands go to the range only: bytes written are bytes written there. */
static void wait_for_bytes(struct race *r, uint64_t target)
{
    while (svm_counter(r->svm, SVM_STAT_BYTES_WRITTEN) < target) {
        usleep(50);
    }
}

/*
 * In every other round the CPU has touched the range before, so that the
 * device runs at full speed; in the others it waits for page requests. In some
 * it has written when this returns; in others it may just have started, and
 * waits for the translation.
 */
static void map_range(struct race *r, unsigned round)
{
    uint64_t bytes = svm_counter(r->svm, SVM_STAT_BYTES_WRITTEN);

    map_at(r, r->range);
    if (round & 1) {
        svm_need(!madvise(r->range, RANGE_SIZE, MADV_POPULATE_WRITE),
                 "MADV_POPULATE_WRITE");
    }
    sem_post(&r->mapped);
    if (round % 8 < 6) {
        wait_for_bytes(r, bytes + (1 + rand() % 64) * PAGE);
    } else {
        usleep(rand() % 500);
    }
}

static void take_range_away(struct race *r, unsigned round)
{
    uint64_t bytes = svm_counter(r->svm, SVM_STAT_BYTES_WRITTEN);

    if (round % 4 < 2) {
        svm_unmap(r->range, RANGE_SIZE);
    } else {
        reserve(r->range);
    }
    r->overlaps += svm_counter(r->svm, SVM_STAT_BYTES_WRITTEN) != bytes;
}

static void check_other(struct race *r, size_t size)
{
    svm_need(!madvise(r->other, size, MADV_POPULATE_WRITE),
             "MADV_POPULATE_WRITE");
    r->stale += svm_count_others(r->other, size, 0);
    svm_fill(r->other, size, GUARD_BYTE);
    for (int i = 0; i < LOOKS; i++) {
        r->stale += svm_count_others(r->other, size, GUARD_BYTE);
    }
}

static int compare_pages(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The physical pages behind RANGE_SIZE bytes at @addr, 0 where none is */
static void find_pages(const uint8_t *addr, uint64_t *pages)
{
    svm_read_pagemap(addr, RANGE_PAGES, pages);
    for (size_t i = 0; i < RANGE_PAGES; i++) {
        pages[i] &= pages[i] & SVM_PAGEMAP_PRESENT ? SVM_PAGEMAP_PFN : 0;
    }
}

/* How many of the pages @old are in the other memory now? */
static void count_reused(struct race *r, const uint64_t *old)
{
    uint64_t new[RANGE_PAGES];

    find_pages(r->other, new);
    qsort(new, RANGE_PAGES, sizeof(*new), compare_pages);
    for (size_t i = 0; i < RANGE_PAGES; i++) {
        if (old[i]) {
            r->compared++;
            r->reused += !!bsearch(&old[i], new, RANGE_PAGES, sizeof(*new),
                                   compare_pages);
        }
    }
}

static void run_round(struct race *r, unsigned round)
{
    bool compare = round % COMPARE_EVERY < 2;
    /* Of a range that the device touches first, only a part gets there */
    size_t size = round & 1 ? RANGE_SIZE : RANGE_SIZE / 4;
    uint64_t old[RANGE_PAGES];

    map_range(r, round);
    if (compare) {
        find_pages(r->range, old);
    }
    take_range_away(r, round);
    map_at(r, r->other);
    check_other(r, size);
    if (compare) {
        count_reused(r, old);
    }
    reserve(r->other);
    if (r->stale) {
        svm_fail("round %u: %zu stale bytes", round, r->stale);
    }
}

static void check_race_was_one(struct race *r)
{
    svm_note("%u rounds, %lu commands (%lu cut short), %u overlaps, "
             "%u of %u pages reused", svm_rounds, r->ended, r->cut,
             r->overlaps, r->reused, r->compared);
    if (r->cut < svm_rounds / 10) {
        svm_fail("no race: the device was not at work (%lu commands, "
                 "%lu cut short)", r->ended, r->cut);
    }
    if (r->overlaps < svm_rounds / 50) {
        svm_fail("no race: the device wrote during %u of %u unmappings",
                 r->overlaps, svm_rounds);
    }
    if (r->reused < r->compared / 10) {
        svm_fail("no race: %u of %u pages were reused", r->reused,
                 r->compared);
    }
}

static void race(int flags, int advice)
{
    struct race r = {
        .svm = svm_open(),
        .flags = flags,
        .advice = advice,
        .range = svm_map(RANGE_SIZE, 2 * MIB, 0),
        .other = svm_map(RANGE_SIZE, 2 * MIB, 0),
    };
    pthread_t writer;

    reserve(r.range);
    reserve(r.other);
    svm_need(!sem_init(&r.mapped, 0, 0), "sem_init");
    svm_need(!pthread_create(&writer, NULL, keep_writing, &r),
             "pthread_create");
    for (unsigned round = 0; round < svm_rounds; round++) {
        run_round(&r, round);
    }
    atomic_store(&r.stop, true);
    sem_post(&r.mapped);
    pthread_join(writer, NULL);
    check_race_was_one(&r);
}

void svm_run_race_4k(void)
{
    race(0, MADV_NOHUGEPAGE);
}

void svm_run_race_thp(void)
{
    race(0, MADV_HUGEPAGE);
}

static size_t free_huge_pages(void)
{
    const char *path = "/sys/kernel/mm/hugepages/hugepages-2048kB/"
                       "free_hugepages";
    FILE *file = fopen(path, "r");
    size_t n;

    svm_need(file && fscanf(file, "%zu", &n) == 1, path);
    fclose(file);
    return n;
}

/* The kernel's pool has one page left: both mappings are made of it. */
void svm_run_race_2m(void)
{
    size_t spare = free_huge_pages();

    svm_need(spare > 0, "a free huge page");
    if (spare > 1) {
        size_t size = (spare - 1) * RANGE_SIZE;

        svm_fill(svm_map_huge(size, RANGE_SIZE), size, 0);
    }
    race(MAP_HUGETLB | 21 << MAP_HUGE_SHIFT, 0);
}
