/*
 * svmctl: scenarios with several devices or processes, also ones that end
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svmctl.h"

/* The second one may be behind a root port; both know the process. */
void svm_run_two_devices(void)
{
    const size_t size = MIB;
    uint8_t *map = svm_map_small(size);
    int fd[2] = { svm_open_path("/dev/svm0"), svm_open_path("/dev/svm1") };

    for (int i = 0; i < 10; i++) {
        svm_submit(fd[0], SVM_CMD_WRITE, map, size / 2, 0, 0);
        svm_submit(fd[1], SVM_CMD_WRITE, map + size / 2, size / 2, 0, 0);
        if (svm_wait(fd[0]) != SVM_STATUS_OK ||
            svm_wait(fd[1]) != SVM_STATUS_OK) {
            svm_fail("a device could not write its half of the buffer");
        }
        svm_check_pattern(map, size / 2, "the first device's half");
        svm_check_pattern(map + size / 2, size / 2,
                          "the second device's half");

        /* Both must forget these pages */
        svm_need(!madvise(map, size, MADV_DONTNEED), "MADV_DONTNEED");
        svm_fill_random(map, size, i);
        svm_check_read(fd[0], map, size);
        svm_check_read(fd[1], map, size);
    }
}

/* A pair of pipes, for two processes that wait for each other */
struct meeting {
    int to_child[2];
    int to_parent[2];
};

static void meeting_init(struct meeting *m)
{
    svm_need(!pipe(m->to_child) && !pipe(m->to_parent), "pipe");
}

static void meeting_signal(int ends[2])
{
    svm_need(write(ends[1], "", 1) == 1, "telling another process");
}

static void meeting_wait(int ends[2])
{
    char byte;

    svm_need(read(ends[0], &byte, 1) == 1, "hearing from another process");
}

static pid_t start_child(void)
{
    pid_t pid = fork();

    svm_need(pid >= 0, "fork");
    return pid;
}

/* The child has said why, if it failed. */
static void join_child(pid_t pid)
{
    int status;

    svm_need(waitpid(pid, &status, 0) == pid, "waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        svm_fail("a child process ended with status 0x%x", status);
    }
}

/*
 * Copy on write with the device on both sides: the parent's writes the second
 * half of the buffer, then the child's the first half.
 */
static void fork_child(struct meeting *m, uint8_t *map, size_t half)
{
    int fd = svm_open();

    meeting_wait(m->to_child);
    svm_check_random(map, 2 * half, 1, "the child's memory");
    svm_check_read(fd, map, 2 * half);
    svm_check_write(fd, map, half);
    svm_fill_random(map, half, 2);
    meeting_signal(m->to_parent);

    meeting_wait(m->to_child);
    svm_check_random(map, half, 2, "the child's half");
    svm_check_read(fd, map, 2 * half);
    _exit(0);
}

static void check_fork(int fd, bool huge)
{
    const size_t half = 2 * MIB;
    uint8_t *map = svm_map(2 * half, 2 * MIB, 0);
    uint8_t *copy = malloc(2 * half);
    struct meeting m;
    pid_t child;

    svm_need(copy, "malloc");
    svm_need(!madvise(map, 2 * half, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE),
             "madvise");
    meeting_init(&m);

    /* The device may write all of it before the fork, and knows that */
    svm_check_write(fd, map, 2 * half);
    svm_fill_random(map, 2 * half, 1);
    svm_fill_random(copy, 2 * half, 1);
    child = start_child();
    if (!child) {
        fork_child(&m, map, half);
    }
    svm_check_write(fd, map + half, half);
    meeting_signal(m.to_child);
    meeting_wait(m.to_parent);

    svm_check_random(map, half, 1, "the parent's half");
    svm_check_pattern(map + half, half, "what the parent's device wrote");
    svm_check_read(fd, map, 2 * half);
    svm_check_write(fd, map, half);
    meeting_signal(m.to_child);
    join_child(child);
    svm_check_pattern(map, half, "what the parent's device wrote last");
    svm_unmap(map, 2 * half);
    free(copy);
}

void svm_run_fork(void)
{
    int fd = svm_open();

    check_fork(fd, false);
    check_fork(fd, true);
}

/* Processes that use the device at once take turns. */
void svm_run_turns(void)
{
    pid_t children[6];
    int fd = svm_open();

    for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
        children[i] = start_child();
        if (!children[i]) {
            uint8_t *map = svm_map_small(32 * PAGE);
            int own = svm_open();

            for (int k = 0; k < 30; k++) {
                svm_check_buffer(own, map + PAGE + k, (10 + i) * PAGE, PAGE);
            }
            _exit(0);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
        join_child(children[i]);
    }
    svm_check_health(fd);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    signals += number == SIGALRM;
}

/* Signals interrupt the waiting process, not the device. */
void svm_run_signals(void)
{
    const struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
    const struct itimerval never = { { 0, 0 }, { 0, 0 } };
    const struct sigaction action = { .sa_handler = count_signal };
    const size_t size = 16 * MIB;
    uint8_t *map = svm_map_small(size);
    int fd = svm_open();

    svm_need(!sigaction(SIGALRM, &action, NULL), "sigaction");
    svm_need(!setitimer(ITIMER_REAL, &often, NULL), "setitimer");
    svm_check_write(fd, map, size);
    svm_need(!setitimer(ITIMER_REAL, &never, NULL), "setitimer");
    if (!signals) {
        svm_fail("no signal arrived");
    }
    svm_note("%d signals", (int)signals);
}

/* Memory larger than the device can write before somebody looks */
#define LONG_SIZE (256 * MIB)

/* Start a long command on untouched memory and see the device work on it. */
static uint8_t *start_long_command(int fd)
{
    uint8_t *map = svm_map_small(LONG_SIZE);
    uint64_t bytes = svm_counter(fd, SVM_STAT_BYTES_WRITTEN);

    svm_submit(fd, SVM_CMD_WRITE, map, LONG_SIZE, 0, 0);
    while (svm_counter(fd, SVM_STAT_BYTES_WRITTEN) == bytes) {
        usleep(100);
    }
    return map;
}

/* Closing the file ends the command, and no byte arrives after that. */
void svm_run_close(void)
{
    int watch = svm_open();

    for (int i = 0; i < 5; i++) {
        uint64_t failures = svm_counter(watch, SVM_STAT_FAILURES);
        int fd = svm_open();
        uint8_t *map = start_long_command(fd);

        close(fd);
        svm_fill(map, 8 * MIB, GUARD_BYTE);
        if (svm_counter(watch, SVM_STAT_FAILURES) != failures + 1) {
            svm_fail("the command did not fail when its file was closed");
        }
        svm_check_filled(map, 8 * MIB, GUARD_BYTE, "after close");
        svm_unmap(map, LONG_SIZE);
    }
    svm_check_health(watch);
}

static void tell_driver(const char *what, const char *function)
{
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/sys/bus/pci/drivers/svm/%s", what);
    file = fopen(path, "w");
    svm_need(file && fputs(function, file) >= 0 && !fclose(file), path);
}

/* The driver leaves the device while it works for an open file. */
void svm_run_unbind(void)
{
    struct svm_command cmd = { .op = SVM_CMD_WRITE };
    int fd = svm_open_path("/dev/svm1");
    char *link = realpath("/sys/class/misc/svm1/device", NULL);
    const char *function = link ? strrchr(link, '/') + 1 : NULL;
    uint8_t *map;

    svm_need(function, "/sys/class/misc/svm1/device");
    map = start_long_command(fd);
    tell_driver("unbind", function);
    svm_fill(map, 8 * MIB, GUARD_BYTE);
    if (svm_wait(fd) != SVM_STATUS_FAILED) {
        svm_fail("the command did not fail when the driver left");
    }
    if (!ioctl(fd, SVM_IOC_SUBMIT, &cmd) || errno != ENODEV) {
        svm_fail("a command without a driver: %s", strerror(errno));
    }
    svm_check_filled(map, 8 * MIB, GUARD_BYTE, "after the driver left");

    /* The open file has kept the name */
    close(fd);
    tell_driver("bind", function);
    svm_check_health(svm_open_path("/dev/svm1"));
    free(link);
}

/* Works on its memory when it ends: by itself, or because it is killed. */
static void exit_child(struct meeting *m, bool killed)
{
    int fd = svm_open();

    start_long_command(fd);
    if (!killed) {
        _exit(0);
    }
    meeting_signal(m->to_parent);
    svm_wait(fd);
    svm_fail("the command ended before the process was killed");
}

static void exit_once(struct meeting *m, bool killed)
{
    pid_t child = start_child();
    int status;

    if (!child) {
        exit_child(m, killed);
    }
    if (killed) {
        meeting_wait(m->to_parent);
        kill(child, SIGKILL);
    }
    svm_need(waitpid(child, &status, 0) == child, "waitpid");
    if (killed ? !WIFSIGNALED(status) : status != 0) {
        svm_fail("the child process ended with status 0x%x", status);
    }
}

void svm_run_exit(void)
{
    struct meeting m;
    int fd = svm_open();

    meeting_init(&m);
    for (int i = 0; i < 20; i++) {
        uint64_t failures = svm_counter(fd, SVM_STAT_FAILURES);

        exit_once(&m, i & 1);
        if (svm_counter(fd, SVM_STAT_FAILURES) != failures + 1) {
            svm_fail("process %d: the device was not at work when it ended",
                     i);
        }
        svm_check_health(fd);
    }
}
