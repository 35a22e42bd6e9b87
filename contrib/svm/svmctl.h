/*
 * svmctl: what its parts share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SVMCTL_H
#define SVMCTL_H

#include <sys/types.h>

#include "libsvm/libsvm.h"
#include "scenario.h"

/* svmctl-device.c: the device */

/* Fails the scenario, or the command, if @ret is an error of libsvm. */
void svm_need_ok(int ret, const char *what);

/* Could a device or a queue not be opened since it is gone, or in a reset? */
bool svm_is_gone(int ret);

/* Open the device and bind this process's address space to it. */
struct libsvm *svm_open(void);

/* The same, for a certain device. */
struct libsvm *svm_open_path(const char *path);

/* Start a command, and wait for its end: SVM_STATUS_*. */
void svm_submit(struct libsvm *svm, uint32_t op, const void *addr, size_t size,
                uint8_t crc, uint32_t options);
uint64_t svm_wait(struct libsvm *svm);
uint64_t svm_run(struct libsvm *svm, uint32_t op, const void *addr, size_t size,
                 uint8_t crc, uint32_t options);

/* All SCENARIO_COUNTERS of them */
void svm_read_counters(struct libsvm *svm, uint64_t *values);

/* One counter, by its register: SVM_STAT_* */
uint64_t svm_counter(struct libsvm *svm, unsigned reg);

/* The PASID of this process, as the device knows it */
uint32_t svm_pasid(struct libsvm *svm);

/* The device writes, and exactly its pattern arrives. */
void svm_check_write(struct libsvm *svm, uint8_t *buf, size_t size);

/* The device finds what the CPU sees, and a wrong CRC fails. */
void svm_check_read(struct libsvm *svm, const uint8_t *buf, size_t size);

/* The command fails. */
void svm_check_write_fails(struct libsvm *svm, void *addr, size_t size);

/* The command fails without a byte read. Nobody else uses the device. */
void svm_check_read_fails(struct libsvm *svm, const void *addr, size_t size);

/*
 * Both directions with random data, with @guard bytes on each side of the
 * buffer, which must be the caller's to overwrite, unharmed.
 */
void svm_check_buffer(struct libsvm *svm, uint8_t *buf, size_t size,
                      size_t guard);

/* Memory larger than the device can write before somebody looks */
#define SVM_LONG_SIZE (256 * MIB)

/* Start a long command on untouched memory and see the device work on it. */
uint8_t *svm_start_long_command(struct libsvm *svm);

/* Ordinary memory still works. */
void svm_check_health(struct libsvm *svm);

/* svmctl-queue.c: queues */

struct libsvm_queue *svm_queue_open(struct libsvm *svm, unsigned size);

/* Map the doorbell of a queue. */
uint32_t *svm_map_doorbell(struct libsvm *svm, unsigned number);

/* Run an operation, or wait for one; whatever becomes of it. */
struct svm_record svm_queue_run(struct libsvm_queue *queue,
                                const struct libsvm_op *op);
struct svm_record svm_queue_wait(struct libsvm_queue *queue, uint64_t ticket);

/* Run an operation, which must end with @status. */
struct svm_record svm_queue_expect(struct libsvm_queue *queue,
                                   const struct libsvm_op *op,
                                   unsigned status);

/* The device fills a buffer, and exactly that arrives. */
void svm_queue_fill(struct libsvm_queue *queue, uint8_t *buf, size_t size,
                    uint64_t arg);

/* The device finds what the CPU sees. */
void svm_queue_crc(struct libsvm_queue *queue, const uint8_t *buf,
                   size_t size);

/* Start a fill of SVM_LONG_SIZE bytes, and see the queue at work on it. */
uint8_t *svm_queue_start_long(struct libsvm_queue *queue, uint64_t *ticket);

/* svmctl-stress.c, svmctl-tools.c: commands; they print what they have done */

/* @processes of them for @seconds; the same @seed does the same again. */
void svm_stress(unsigned processes, unsigned seconds, uint64_t seed);

/* Exit status of a process that has lost its device, if it may */
#define SVM_STRESS_LOST 3

/*
 * The same in steps: new, start, and finish, which waits for the processes.
 * They end when the deadline is over, by svm_seconds(); at first there is none.
 */
struct svm_stress *svm_stress_new(unsigned processes, bool may_lose);
void svm_stress_start(struct svm_stress *s, unsigned number, const char *path,
                      uint64_t seed);
void svm_stress_start_all(struct svm_stress *s, uint64_t seed);
void svm_stress_set_deadline(struct svm_stress *s, double deadline);
void svm_stress_finish(struct svm_stress *s);

/*
 * From now on, or not any more, the machine may be stopped: an operation that
 * fails may have been executed twice, as far as it got and further.
 */
void svm_stress_expect_stop(struct svm_stress *s, bool expect);

/* One of the processes, or 0; forgotten when it was waited for */
pid_t svm_stress_pid(struct svm_stress *s, unsigned number);
void svm_stress_forget(struct svm_stress *s, unsigned number);

/* How many all of them have seen complete */
uint64_t svm_stress_operations(const struct svm_stress *s);

void svm_copy_file(const char *from, const char *to);
uint8_t svm_crc_file(const char *path);

/* @seconds for each line */
void svm_bench(double seconds);

void svm_print_status(void);

/* svmctl-helper.c: processes that wait for each other, sysfs, and the host */

/* A pair of pipes, for two processes that wait for each other */
struct svm_meeting {
    int to_child[2];
    int to_parent[2];
};

void svm_meeting_init(struct svm_meeting *m);
void svm_meeting_signal(int ends[2]);
void svm_meeting_wait(int ends[2]);

pid_t svm_start_child(void);

/* This process is killed when @parent, its parent, ends. */
void svm_end_with(pid_t parent);

/* The child has said why, if it failed. */
void svm_join_child(pid_t pid);

/* Address of the function behind a device, "svm1"; to be freed */
char *svm_pci_function(const char *misc);

/* Write @what to a file of sysfs. */
void svm_tell_sysfs(const char *path, const char *what);

/* Say something to the program that has booted the guest. */
void svm_say(const char *line);

/* The file of what it types on the console, which is not to repeat it */
int svm_open_keyboard(void);

/* Ask it for something, and wait for the answer, a word. */
void svm_ask(const char *what, char *answer, size_t size);

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
void svm_run_lost_pasid(void);
void svm_run_exit(void);

/* svmctl-race.c: the device against munmap() */
void svm_run_race_4k(void);
void svm_run_race_thp(void);
void svm_run_race_2m(void);

/* svmctl-queue.c: operations, errors, states */
void svm_run_queue_ops(void);
void svm_run_queue_errors(void);
void svm_run_queue_ring(void);
void svm_run_queue_control(void);
void svm_run_queue_command(void);
void svm_run_queue_many(void);

/* svmctl-life.c: queues, and processes and drivers that come and go */
void svm_run_queue_peer(void);
void svm_run_queue_info(void);
void svm_run_queue_fork(void);
void svm_run_queue_exec(void);
void svm_run_queue_exit(void);
void svm_run_queue_unbind(void);
void svm_run_queue_reset(void);
void svm_run_queue_suspend(void);
void svm_run_queue_remove(void);

/* svmctl-stress.c: many processes, whose memory changes meanwhile */
void svm_run_stress(void);
void svm_run_stress_brief(void);

/* svmctl-moments.c: the machine moves, goes back in time, loses a device */
void svm_run_migrate(void);
void svm_run_snapshot(void);
void svm_run_hot_plug(void);

/* svmctl-soak.c: all of it, for long */
void svm_run_soak(void);

/* svmctl-tools.c: the commands */
void svm_run_tools(void);

#endif /* SVMCTL_H */
