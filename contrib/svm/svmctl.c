/*
 * svmctl: use the demo endpoint for shared virtual memory from a process
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "svmctl.h"

static const struct scenario scenarios[] = {
    { "malloc", svm_run_malloc, "memory from malloc()" },
    { "stack", svm_run_stack, "the stack" },
    { "anonymous", svm_run_anonymous, "anonymous mmap()" },
    { "file-shared", svm_run_file_shared, "a file, mapped shared" },
    { "file-private", svm_run_file_private, "a file, mapped private" },
    { "first-touch", svm_run_first_touch, "memory that no CPU has touched" },
    { "unaligned", svm_run_unaligned, "buffers of odd sizes and addresses" },
    { "page-crossing", svm_run_page_crossing, "buffers across pages" },
    { "64-mib", svm_run_64_mib, "64 MiB in one command" },
    { "huge-thp", svm_run_huge_thp, "transparent huge pages" },
    { "huge-2m", svm_run_huge_2m, "2 MiB huge pages" },
    { "huge-1g", svm_run_huge_1g, "1 GiB huge pages" },
    { "read-only", svm_run_read_only, "read-only memory: read, not written" },
    { "unmapped", svm_run_unmapped, "no memory: refused" },
    { "partly-unmapped", svm_run_partly_unmapped,
      "a hole in the buffer: refused" },
    { "interrupt-range", svm_run_interrupt_range,
      "0xfee00000, not mapped: refused" },
    { "interrupt-range-mapped", svm_run_interrupt_range_mapped,
      "0xfee00000, mapped: refused" },
    { "privileged", svm_run_privileged, "privileged requests: refused" },
    { "remap", svm_run_remap, "munmap() and new memory at the same address" },
    { "mprotect", svm_run_mprotect, "mprotect() to read-only and back" },
    { "high-address", svm_run_high_address,
      "memory that takes five levels of tables" },
    { "passthrough", svm_run_passthrough,
      "PASIDs beside a default domain of iommu=pt" },
    { "swap", svm_run_swap, "pages that went to swap" },
    { "dirty", svm_run_dirty, "MADV_FREE, then the device writes" },
    { "fork", svm_run_fork, "copy-on-write after fork(), both processes" },
    { "two-devices", svm_run_two_devices, "two devices at once" },
    { "two-endpoints", svm_run_two_endpoints,
      "on the root bus and behind a port, both at work" },
    { "ten-processes", svm_run_ten_processes,
      "ten processes at once, each with its PASID" },
    { "signals", svm_run_signals, "signals while the device works" },
    { "close", svm_run_close, "close() while the device works" },
    { "unbind", svm_run_unbind, "the driver leaves while the device works" },
    { "lost-pasid", svm_run_lost_pasid,
      "the PASID register loses its value" },
    { "exit", svm_run_exit, "20 processes that end while the device works" },
    { "queue-ops", svm_run_queue_ops, "each operation of a queue" },
    { "queue-errors", svm_run_queue_errors,
      "operations that fail: where, and what else" },
    { "queue-ring", svm_run_queue_ring,
      "rings: full, bad doorbells, and taken away" },
    { "queue-control", svm_run_queue_control, "abort, drain, enable" },
    { "queue-command", svm_run_queue_command,
      "a queue and a command at work" },
    { "queue-many", svm_run_queue_many, "all queues of a device at once" },
    { "queue-peer", svm_run_queue_peer,
      "copies between two processes, as far as granted" },
    { "queue-info", svm_run_queue_info,
      "what others are told of a queue" },
    { "queue-fork", svm_run_queue_fork, "a child without its parent's queue" },
    { "queue-exec", svm_run_queue_exec, "exec() while a queue works" },
    { "queue-exit", svm_run_queue_exit,
      "20 processes that end while a queue works" },
    { "queue-unbind", svm_run_queue_unbind,
      "the driver leaves while a queue works" },
    { "queue-reset", svm_run_queue_reset, "a reset while a queue works" },
    { "queue-suspend", svm_run_queue_suspend,
      "the machine sleeps while a queue works" },
    { "queue-remove", svm_run_queue_remove,
      "the function is removed while a queue works" },
    { "tools", svm_run_tools, "copy, crc, bench and status" },
    { "stress-brief", svm_run_stress_brief,
      "8 processes with queues, 5 seconds" },
    { "stress", svm_run_stress,
      "64 processes with queues, two minutes" },
    { "migrate", svm_run_migrate,
      "migrations to files and over sockets, 8 processes" },
    { "snapshot", svm_run_snapshot,
      "back to a snapshot, 8 processes" },
    { "hot-plug", svm_run_hot_plug,
      "the device is unplugged while 6 processes use it" },
    { "soak", svm_run_soak,
      "72 processes that come and go, two devices" },
    { "race-4k", svm_run_race_4k, "the device against munmap(), 4 KiB pages" },
    { "race-thp", svm_run_race_thp,
      "the device against munmap(), transparent huge pages" },
    { "race-2m", svm_run_race_2m,
      "the device against munmap(), 2 MiB huge pages" },
};

/* Open while a scenario runs, so that its end leaves the device as it was */
static struct libsvm *watch;

static void before_scenario(uint64_t *counters)
{
    watch = svm_open();
    svm_read_counters(watch, counters);
}

static void after_scenario(uint64_t *counters)
{
    svm_read_counters(watch, counters);
    libsvm_close(watch);
}

static void check_health(void)
{
    svm_check_health(svm_open());
}

static const struct scenario_suite suite = {
    .program = "svmctl",
    .scenarios = scenarios,
    .number = ARRAY_SIZE(scenarios),
    .before = before_scenario,
    .after = after_scenario,
    .check_health = check_health,
};

static int usage(int status)
{
    fprintf(status ? stderr : stdout,
            "usage: svmctl status                 print the device's counters and queues\n"
            "       svmctl write [SIZE]           have the device write a buffer\n"
            "       svmctl read [SIZE]            have the device read a buffer\n"
            "       svmctl copy FILE FILE         have a queue copy a file\n"
            "       svmctl crc FILE...            have a queue compute CRCs\n"
            "       svmctl bench [SECONDS]        how fast is a queue? (0.5 each)\n"
            "       svmctl stress [PROCESSES [SECONDS [SEED]]]\n"
            "                                     queues on memory that changes (64 120 1)\n"
            SCENARIO_USAGE("svmctl")
            "SVM_DEVICE names the device, by default " LIBSVM_DEVICE ".\n");
    return status;
}

static int do_command(uint32_t op, const char *size_arg)
{
    struct libsvm *svm = svm_open();
    size_t size = MIB;
    double start;
    uint8_t *buf;

    if (size_arg && sscanf(size_arg, "%zu", &size) != 1) {
        return usage(2);
    }
    buf = malloc(size);
    svm_need(buf, "malloc");
    start = svm_seconds();
    if (op == SVM_CMD_WRITE) {
        svm_check_write(svm, buf, size);
    } else {
        svm_fill_random(buf, size, 1);
        start = svm_seconds();
        svm_check_read(svm, buf, size);
    }
    printf("%zu bytes, right, in %.1f ms\n", size,
           (svm_seconds() - start) * 1000);
    free(buf);
    return 0;
}

static int do_bench(const char *seconds_arg)
{
    double seconds = 0.5;

    if (seconds_arg && (sscanf(seconds_arg, "%lf", &seconds) != 1 ||
                        seconds <= 0)) {
        return usage(2);
    }
    svm_bench(seconds);
    return 0;
}

static int do_stress(int argc, char **argv)
{
    unsigned long values[] = { SVM_QUEUES, 120, 1 };

    for (int i = 0; i < argc; i++) {
        if (sscanf(argv[i], "%lu", &values[i]) != 1) {
            return usage(2);
        }
    }
    if (!values[0] || values[0] > SVM_QUEUES) {
        return usage(2);
    }
    svm_stress(values[0], values[1], values[2]);
    return 0;
}

static int do_crc(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        svm_crc_file(argv[i]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (!strcmp(command, "scenario")) {
        return scenario_main(&suite, argc - 1, argv + 1);
    } else if (!strcmp(command, "status") && argc == 2) {
        svm_print_status();
        return 0;
    } else if (!strcmp(command, "write") && argc <= 3) {
        return do_command(SVM_CMD_WRITE, argv[2]);
    } else if (!strcmp(command, "read") && argc <= 3) {
        return do_command(SVM_CMD_READ, argv[2]);
    } else if (!strcmp(command, "copy") && argc == 4) {
        svm_copy_file(argv[2], argv[3]);
        return 0;
    } else if (!strcmp(command, "crc") && argc > 2) {
        return do_crc(argc - 2, argv + 2);
    } else if (!strcmp(command, "bench") && argc <= 3) {
        return do_bench(argv[2]);
    } else if (!strcmp(command, "stress") && argc <= 5) {
        return do_stress(argc - 2, argv + 2);
    }
    return usage(!strcmp(command, "--help") || !strcmp(command, "help") ?
                 0 : 2);
}
