/*
 * svmctl: what its parts share
 *
 * A scenario runs in a process of its own, so that whatever happens to it
 * happens to nobody else. It fails by calling svm_fail(), from any thread or
 * child process, and passes by returning.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SVMCTL_H
#define SVMCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hw/misc/svm.h"
#include "svm_uapi.h"

#define KIB         ((size_t)1 << 10)
#define MIB         ((size_t)1 << 20)
#define GIB         ((size_t)1 << 30)
#define PAGE        (4 * KIB)

/* Never written by the device: its pattern ends at 250 */
#define GUARD_BYTE  0xfe

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

/* svmctl.c: verdicts, and options that scenarios look at */

extern unsigned svm_rounds;

/* What to corrupt the next expected CRC with: 0 unless a failure is wanted. */
uint8_t svm_injected_error(void);

/* End the scenario as failed, with a reason. */
void svm_fail(const char *fmt, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* Say something about a run that a person may want to know. One per run. */
void svm_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Fails the scenario, with errno, if @ok is false. */
void svm_need(bool ok, const char *what);

/* svmctl-device.c: the device */

/* Open the device and bind this process's address space to it. */
int svm_open(void);

/* The same, for a certain device. */
int svm_open_path(const char *path);

/* Start a command, and wait for its end: SVM_STATUS_*. */
void svm_submit(int fd, uint32_t op, const void *addr, size_t size,
                uint8_t crc, uint32_t options);
uint64_t svm_wait(int fd);
uint64_t svm_run(int fd, uint32_t op, const void *addr, size_t size,
                 uint8_t crc, uint32_t options);

void svm_read_counters(int fd, struct svm_counters *counters);

/* One counter, by its register: SVM_STAT_* */
uint64_t svm_counter(int fd, unsigned reg);

uint8_t svm_crc(const void *data, size_t size);

/* The device writes, and exactly its pattern arrives. */
void svm_check_write(int fd, uint8_t *buf, size_t size);

/* The device finds what the CPU sees, and a wrong CRC fails. */
void svm_check_read(int fd, const uint8_t *buf, size_t size);

/* The command fails. */
void svm_check_write_fails(int fd, void *addr, size_t size);

/* The command fails without a byte read. Nobody else uses the device. */
void svm_check_read_fails(int fd, const void *addr, size_t size);

/*
 * Both directions with random data, with @guard bytes on each side of the
 * buffer, which must be the caller's to overwrite, unharmed.
 */
void svm_check_buffer(int fd, uint8_t *buf, size_t size, size_t guard);

/* Ordinary memory still works. */
void svm_check_health(int fd);

/* svmctl-memory.c: memory */

/* Map anonymous memory; @align is a power of two, @flags adds MAP_*. */
uint8_t *svm_map(size_t size, size_t align, int flags);

/* Map anonymous memory of 4 KiB pages that nobody has touched. */
uint8_t *svm_map_small(size_t size);

/* Map memory of huge pages of @page bytes, from the kernel's pool. */
uint8_t *svm_map_huge(size_t size, size_t page);

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

/* The scenarios */

/* svmctl-basic.c: one buffer, of any kind */
void svm_run_malloc(void);
void svm_run_stack(void);
void svm_run_anonymous(void);
void svm_run_file_shared(void);
void svm_run_file_private(void);
void svm_run_first_touch(void);
void svm_run_unaligned(void);
void svm_run_page_crossing(void);
void svm_run_64_mib(void);
void svm_run_huge_thp(void);
void svm_run_huge_2m(void);
void svm_run_huge_1g(void);

/* svmctl-refused.c: what the device must not get */
void svm_run_read_only(void);
void svm_run_unmapped(void);
void svm_run_partly_unmapped(void);
void svm_run_interrupt_range(void);
void svm_run_interrupt_range_mapped(void);
void svm_run_privileged(void);

/* svmctl-change.c: mappings that change */
void svm_run_remap(void);
void svm_run_mprotect(void);
void svm_run_swap(void);
void svm_run_dirty(void);

/* svmctl-process.c: several processes or devices */
void svm_run_two_devices(void);
void svm_run_fork(void);
void svm_run_turns(void);
void svm_run_signals(void);
void svm_run_close(void);
void svm_run_unbind(void);
void svm_run_exit(void);

/* svmctl-race.c: the device against munmap() */
void svm_run_race_4k(void);
void svm_run_race_thp(void);
void svm_run_race_2m(void);

#endif /* SVMCTL_H */
