/*
 * svmctl: scenarios with several devices or processes, also ones that end
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
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
    struct libsvm *svm[2] = {
        svm_open_path("/dev/svm0"), svm_open_path("/dev/svm1")
    };

    for (int i = 0; i < 10; i++) {
        svm_submit(svm[0], SVM_CMD_WRITE, map, size / 2, 0, 0);
        svm_submit(svm[1], SVM_CMD_WRITE, map + size / 2, size / 2, 0, 0);
        if (svm_wait(svm[0]) != SVM_STATUS_OK ||
            svm_wait(svm[1]) != SVM_STATUS_OK) {
            svm_fail("a device could not write its half of the buffer");
        }
        svm_check_pattern(map, size / 2, "the first device's half");
        svm_check_pattern(map + size / 2, size / 2,
                          "the second device's half");

        /* Both must forget these pages */
        svm_need(!madvise(map, size, MADV_DONTNEED), "MADV_DONTNEED");
        svm_fill_random(map, size, i);
        svm_check_read(svm[0], map, size);
        svm_check_read(svm[1], map, size);
    }
}

/*
 * Copy on write with the device on both sides: the parent's writes the second
 * half of the buffer, then the child's the first half.
 */
static void fork_child(struct svm_meeting *m, uint8_t *map, size_t half)
{
    struct libsvm *svm = svm_open();

    svm_meeting_wait(m->to_child);
    svm_check_random(map, 2 * half, 1, "the child's memory");
    svm_check_read(svm, map, 2 * half);
    svm_check_write(svm, map, half);
    svm_fill_random(map, half, 2);
    svm_meeting_signal(m->to_parent);

    svm_meeting_wait(m->to_child);
    svm_check_random(map, half, 2, "the child's half");
    svm_check_read(svm, map, 2 * half);
    _exit(0);
}

static void check_fork(struct libsvm *svm, bool huge)
{
    const size_t half = 2 * MIB;
    uint8_t *map = svm_map(2 * half, 2 * MIB, 0);
    uint8_t *copy = malloc(2 * half);
    struct svm_meeting m;
    pid_t child;

    svm_need(copy, "malloc");
    svm_need(!madvise(map, 2 * half, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE),
             "madvise");
    svm_meeting_init(&m);

    /* The device may write all of it before the fork, and knows that */
    svm_check_write(svm, map, 2 * half);
    svm_fill_random(map, 2 * half, 1);
    svm_fill_random(copy, 2 * half, 1);
    child = svm_start_child();
    if (!child) {
        fork_child(&m, map, half);
    }
    svm_check_write(svm, map + half, half);
    svm_meeting_signal(m.to_child);
    svm_meeting_wait(m.to_parent);

    svm_check_random(map, half, 1, "the parent's half");
    svm_check_pattern(map + half, half, "what the parent's device wrote");
    svm_check_read(svm, map, 2 * half);
    svm_check_write(svm, map, half);
    svm_meeting_signal(m.to_child);
    svm_join_child(child);
    svm_check_pattern(map, half, "what the parent's device wrote last");
    svm_unmap(map, 2 * half);
    free(copy);
}

void svm_run_fork(void)
{
    struct libsvm *svm = svm_open();

    check_fork(svm, false);
    check_fork(svm, true);
}

#define PROCESSES 10

/* What ten processes and their parent share */
struct crowd {
    struct svm_meeting bound;
    struct svm_meeting worked;
    uint32_t pasid[PROCESSES];
};

static struct crowd *crowd_new(void)
{
    struct crowd *crowd = svm_map_shared(sizeof(*crowd));

    svm_meeting_init(&crowd->bound);
    svm_meeting_init(&crowd->worked);
    return crowd;
}

/* One of them: here, and going on when all of them are. */
static void crowd_wait(struct svm_meeting *m)
{
    svm_meeting_signal(m->to_parent);
    svm_meeting_wait(m->to_child);
}

static void crowd_gather(struct svm_meeting *m)
{
    for (int i = 0; i < PROCESSES; i++) {
        svm_meeting_wait(m->to_parent);
    }
    for (int i = 0; i < PROCESSES; i++) {
        svm_meeting_signal(m->to_child);
    }
}

/*
 * The same address means other memory in each process. What the device wrote
 * for this one, in the first half, and what this one wrote, in the second,
 * has to outlast the others' turns.
 */
static void crowd_child(struct crowd *crowd, int i, uint8_t *map, size_t half)
{
    const size_t length = half - (i + 1) * 100;
    struct libsvm *svm = svm_open();

    crowd->pasid[i] = svm_pasid(svm);
    crowd_wait(&crowd->bound);
    for (int round = 0; round < 20; round++) {
        uint64_t seed = i * 1000 + round;

        svm_fill_random(map + half, half, seed);
        svm_check_read(svm, map, 2 * half);
        svm_check_write(svm, map, length);
        svm_check_random(map + half, half, seed, "this process's half");
    }
    crowd_wait(&crowd->worked);
    svm_check_pattern(map, length, "what the device wrote for this process");
    svm_check_read(svm, map, 2 * half);
    _exit(0);
}

static void check_pasids_differ(const uint32_t *pasid)
{
    uint32_t low = pasid[0];
    uint32_t high = pasid[0];

    for (int i = 0; i < PROCESSES; i++) {
        for (int k = 0; k < i; k++) {
            if (pasid[i] == pasid[k]) {
                svm_fail("two processes have PASID %u", pasid[i]);
            }
        }
        low = pasid[i] < low ? pasid[i] : low;
        high = pasid[i] > high ? pasid[i] : high;
    }
    svm_note("ten PASIDs, from %u to %u", low, high);
}

/* Ten processes, bound at the same time, take turns. */
void svm_run_ten_processes(void)
{
    const size_t half = 32 * PAGE;
    uint8_t *map = svm_map_small(2 * half);
    struct crowd *crowd = crowd_new();
    pid_t children[PROCESSES];
    struct libsvm *svm = svm_open();

    for (int i = 0; i < PROCESSES; i++) {
        children[i] = svm_start_child();
        if (!children[i]) {
            crowd_child(crowd, i, map, half);
        }
    }
    crowd_gather(&crowd->bound);
    check_pasids_differ(crowd->pasid);
    crowd_gather(&crowd->worked);
    for (int i = 0; i < PROCESSES; i++) {
        svm_join_child(children[i]);
    }
    svm_check_filled(map, 2 * half, 0, "the memory of the processes' parent");
    svm_check_health(svm);
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
    struct libsvm *svm = svm_open();

    svm_need(!sigaction(SIGALRM, &action, NULL), "sigaction");
    svm_need(!setitimer(ITIMER_REAL, &often, NULL), "setitimer");
    svm_check_write(svm, map, size);
    svm_need(!setitimer(ITIMER_REAL, &never, NULL), "setitimer");
    if (!signals) {
        svm_fail("no signal arrived");
    }
    svm_note("%d signals", (int)signals);
}

/* How many bridges are between a device and its root bus? */
static int count_bridges(const char *misc)
{
    char *path = realpath(misc, NULL);
    const char *at = path ? strstr(path, "/pci") : NULL;
    int n = -2;

    svm_need(at, misc);
    for (; at; at = strchr(at + 1, '/')) {
        n++;
    }
    free(path);
    return n;
}

/* Until the device has written more, in the command that it is at */
static void await_progress(struct libsvm *svm, uint64_t commands)
{
    uint64_t bytes = svm_counter(svm, SVM_STAT_BYTES_WRITTEN);

    while (svm_counter(svm, SVM_STAT_BYTES_WRITTEN) < bytes + MIB) {
        if (svm_counter(svm, SVM_STAT_COMMANDS) != commands) {
            svm_fail("a device did not work while the other one did");
        }
        usleep(100);
    }
}

/* An endpoint of the root complex and one behind a port, for one process. */
void svm_run_two_endpoints(void)
{
    struct libsvm *svm[2] = {
        svm_open_path("/dev/svm0"), svm_open_path("/dev/svm1")
    };
    uint64_t commands[2];
    uint8_t *map[2];

    if (count_bridges("/sys/class/misc/svm0/device") != 0 ||
        count_bridges("/sys/class/misc/svm1/device") != 1) {
        svm_fail("the devices are not where they should be");
    }
    if (svm_pasid(svm[0]) != svm_pasid(svm[1])) {
        svm_fail("the devices know the process by different PASIDs");
    }
    for (int i = 0; i < 2; i++) {
        commands[i] = svm_counter(svm[i], SVM_STAT_COMMANDS);
        map[i] = svm_start_long_command(svm[i]);
    }
    await_progress(svm[0], commands[0]);
    await_progress(svm[1], commands[1]);
    if (svm_counter(svm[0], SVM_STAT_COMMANDS) != commands[0]) {
        svm_fail("the devices did not work at once");
    }

    /* What one of them loses is nothing to the other one */
    svm_unmap(map[0], SVM_LONG_SIZE);
    if (svm_wait(svm[0]) != SVM_STATUS_FAILED) {
        svm_fail("a command outlived its memory");
    }
    await_progress(svm[1], commands[1]);
    svm_check_pattern(map[1], MIB, "what the other device wrote");
    libsvm_close(svm[1]);
    svm_check_health(svm[0]);
}

/* Closing the file ends the command, and no byte arrives after that. */
void svm_run_close(void)
{
    struct libsvm *watch = svm_open();

    for (int i = 0; i < 5; i++) {
        uint64_t failures = svm_counter(watch, SVM_STAT_FAILURES);
        struct libsvm *svm = svm_open();
        uint8_t *map = svm_start_long_command(svm);

        libsvm_close(svm);
        svm_fill(map, 8 * MIB, GUARD_BYTE);
        if (svm_counter(watch, SVM_STAT_FAILURES) != failures + 1) {
            svm_fail("the command did not fail when its file was closed");
        }
        svm_check_filled(map, 8 * MIB, GUARD_BYTE, "after close");
        svm_unmap(map, SVM_LONG_SIZE);
    }
    svm_check_health(watch);
}

/* The driver leaves the device while it works for an open file. */
void svm_run_unbind(void)
{
    const struct svm_command cmd = { .op = SVM_CMD_WRITE };
    struct libsvm *svm = svm_open_path("/dev/svm1");
    char *function = svm_pci_function("svm1");
    uint8_t *map;
    int ret;

    map = svm_start_long_command(svm);
    svm_tell_sysfs("/sys/bus/pci/drivers/svm/unbind", function);
    svm_fill(map, 8 * MIB, GUARD_BYTE);
    if (svm_wait(svm) != SVM_STATUS_FAILED) {
        svm_fail("the command did not fail when the driver left");
    }
    ret = libsvm_command_submit(svm, &cmd);
    if (ret != -ENODEV) {
        svm_fail("a command without a driver: %s", libsvm_strerror(ret));
    }
    svm_check_filled(map, 8 * MIB, GUARD_BYTE, "after the driver left");

    /* The open file has kept the name */
    libsvm_close(svm);
    svm_tell_sysfs("/sys/bus/pci/drivers/svm/bind", function);
    svm_check_health(svm_open_path("/dev/svm1"));
    free(function);
}

/* The PASID register, as a reset that the driver does not know of leaves it */
static void lose_pasid(void)
{
    const char *path = "/sys/class/misc/svm0/device/resource0";
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t *bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    svm_need(bar != MAP_FAILED, path);
    __atomic_store_n((uint32_t *)(bar + SVM_REG_PASID), SVM_PASID_NONE,
                     __ATOMIC_RELEASE);
    svm_unmap(bar, PAGE);
    close(fd);
}

/* A command has its process's PASID, whatever the register had before. */
void svm_run_lost_pasid(void)
{
    struct libsvm *svm = svm_open_path("/dev/svm0");

    for (int i = 0; i < 3; i++) {
        svm_check_health(svm);
        lose_pasid();
    }
    svm_check_health(svm);
}

/* Works on its memory when it ends: by itself, or because it is killed. */
static void exit_child(struct svm_meeting *m, bool killed)
{
    struct libsvm *svm = svm_open();

    svm_start_long_command(svm);
    if (!killed) {
        _exit(0);
    }
    svm_meeting_signal(m->to_parent);
    svm_wait(svm);
    svm_fail("the command ended before the process was killed");
}

static void exit_once(struct svm_meeting *m, bool killed)
{
    pid_t child = svm_start_child();
    int status;

    if (!child) {
        exit_child(m, killed);
    }
    if (killed) {
        svm_meeting_wait(m->to_parent);
        kill(child, SIGKILL);
    }
    svm_need(waitpid(child, &status, 0) == child, "waitpid");
    if (killed ? !WIFSIGNALED(status) : status != 0) {
        svm_fail("the child process ended with status 0x%x", status);
    }
}

void svm_run_exit(void)
{
    struct svm_meeting m;
    struct libsvm *svm = svm_open();

    svm_meeting_init(&m);
    for (int i = 0; i < 20; i++) {
        uint64_t failures = svm_counter(svm, SVM_STAT_FAILURES);

        exit_once(&m, i & 1);
        if (svm_counter(svm, SVM_STAT_FAILURES) != failures + 1) {
            svm_fail("process %d: the device was not at work when it ended",
                     i);
        }
        svm_check_health(svm);
    }
}
