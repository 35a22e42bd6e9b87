/*
 * svmctl: what its parts share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SVMCTL_H
#define SVMCTL_H

#include "scenario.h"
#include "svm_uapi.h"

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

/* All SCENARIO_COUNTERS of them */
void svm_read_counters(int fd, uint64_t *values);

/* One counter, by its register: SVM_STAT_* */
uint64_t svm_counter(int fd, unsigned reg);

/* The PASID of this process, as the device knows it */
uint32_t svm_pasid(int fd);

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
void svm_run_high_address(void);
void svm_run_passthrough(void);

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
void svm_run_two_endpoints(void);
void svm_run_ten_processes(void);
void svm_run_signals(void);
void svm_run_close(void);
void svm_run_unbind(void);
void svm_run_exit(void);

/* svmctl-race.c: the device against munmap() */
void svm_run_race_4k(void);
void svm_run_race_thp(void);
void svm_run_race_2m(void);

#endif /* SVMCTL_H */
