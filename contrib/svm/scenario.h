/*
 * Scenarios: checks of a device, each in a process of its own
 *
 * Whatever happens to that process happens to nobody else. A scenario fails by
 * calling svm_fail(), from any thread or child process, and passes by
 * returning.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SCENARIO_H
#define SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/misc/svm.h"

#define KIB         ((size_t)1 << 10)
#define MIB         ((size_t)1 << 20)
#define GIB         ((size_t)1 << 30)
#define PAGE        (4 * KIB)

/* Never written by the device: its pattern ends at 250 */
#define GUARD_BYTE  0xfe

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

/* The device's counters, in the order of SVM_REG_STATS */
#define SCENARIO_COUNTERS ((SVM_STAT_END - SVM_REG_STATS) / 8)

struct scenario {
    const char *name;
    void (*run)(void);
    const char *title;
};

/**
 * struct scenario_suite - the scenarios of a program
 * @program: its name
 * @scenarios: them, in order
 * @number: how many
 * @before: prepare for a scenario, in the program's process; store the counters
 * @after: the same when it has ended, however it did
 * @check_health: end of a scenario, in its process: ordinary use works
 */
struct scenario_suite {
    const char *program;
    const struct scenario *scenarios;
    size_t number;
    void (*before)(uint64_t *counters);
    void (*after)(uint64_t *counters);
    void (*check_health)(void);
};

/* "PROGRAM scenario ..." of the command line, with argv[0] "scenario" */
int scenario_main(const struct scenario_suite *suite, int argc, char **argv);

/* The part of a program's usage that is about it */
#define SCENARIO_USAGE(program)                                               \
    "       " program " scenario --list        list the scenarios\n"           \
    "       " program " scenario [OPTION]... NAME...|all\n"                    \
    "  -v, --verbose          print what happened beneath, too\n"             \
    "  -r, --rounds N         rounds of the races (default 2000)\n"           \
    "  -s, --seconds N        length of the soak (default 60; 0: until\n"     \
    "                         something is typed on the console)\n"           \
    "  -f, --inject-failure   expect a wrong CRC: the scenarios must fail\n"

/* Name of a counter */
const char *scenario_counter_name(unsigned i);

extern unsigned svm_rounds;
extern unsigned svm_soak_seconds;

/* What to corrupt the next expected CRC with: 0 unless a failure is wanted. */
uint8_t svm_injected_error(void);

/* End the scenario as failed, with a reason. */
void svm_fail(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* Say something about a run that a person may want to know. One per run. */
void svm_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Fails the scenario, with errno, if @ok is false. */
void svm_need(bool ok, const char *what);

/* A clock, in seconds */
double svm_seconds(void);

/* memory.c: memory that a device works on */

/* Map anonymous memory; @align is a power of two, @flags adds MAP_*. */
uint8_t *svm_map(size_t size, size_t align, int flags);

/* Map anonymous memory of 4 KiB pages that nobody has touched. */
uint8_t *svm_map_small(size_t size);

/* Map memory of huge pages of @page bytes, from the kernel's pool. */
uint8_t *svm_map_huge(size_t size, size_t page);

/* Map anonymous memory at @addr, where nothing is, of huge pages or of none. */
void svm_map_at(uint8_t *addr, size_t size, bool huge);

/* Map zero bytes that children share. */
void *svm_map_shared(size_t size);

void svm_unmap(void *addr, size_t size);

/* A file on tmpfs, of @size zero bytes and without a name. */
int svm_make_file(size_t size);

/* Reproducible random bytes, and whether they are still there. */
void svm_fill_random(uint8_t *buf, size_t size, uint64_t seed);
void svm_check_random(const uint8_t *buf, size_t size, uint64_t seed,
                      const char *what);

void svm_fill(uint8_t *buf, size_t size, uint8_t value);
void svm_check_filled(const uint8_t *buf, size_t size, uint8_t value,
                      const char *what);
void svm_check_pattern(const uint8_t *buf, size_t size, const char *what);

/* How many of the bytes differ from @value */
size_t svm_count_others(const uint8_t *buf, size_t size, uint8_t value);

/* /proc/self/pagemap of @n pages at @addr */
#define SVM_PAGEMAP_PRESENT (1ULL << 63)
#define SVM_PAGEMAP_SWAPPED (1ULL << 62)
#define SVM_PAGEMAP_PFN     ((1ULL << 55) - 1)
void svm_read_pagemap(const void *addr, size_t n, uint64_t *entries);

/* The CRC that the device computes */
uint8_t svm_crc(const void *data, size_t size);

#endif /* SCENARIO_H */
