/*
 * svmctl: scenarios with queues while processes and drivers come and go
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svmctl.h"

/* A file of the child's, whose number it has told */
static int take_file(struct svm_meeting *m, pid_t child)
{
    int pidfd = syscall(SYS_pidfd_open, child, 0);
    int number, fd;

    svm_need(pidfd >= 0, "pidfd_open");
    svm_need(read(m->to_parent[0], &number, sizeof(number)) == sizeof(number),
             "hearing from another process");
    fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
    svm_need(fd >= 0, "pidfd_getfd");
    close(pidfd);
    return fd;
}

static void tell_file(struct svm_meeting *m, int fd)
{
    svm_need(write(m->to_parent[1], &fd, sizeof(fd)) == sizeof(fd),
             "telling another process");
}

/* Two processes, one of which grants; @map has the same address in both. */

#define PEER_SIZE (32 * PAGE)

/* The owner of the queue works on its peer's memory, and on that alone. */
static void peer_child(struct svm_meeting *m, uint8_t *map, int reader,
                       int both)
{
    struct libsvm_queue *queue = svm_queue_open(svm_open(), 8);
    struct libsvm_op copy = {
        .op = SVM_OP_COPY, .src = map, .dst = map + PEER_SIZE,
        .len = PEER_SIZE, .flags = SVM_DESC_F_SRC_PEER,
    };

    svm_fill(map, 2 * PEER_SIZE, 1);
    svm_queue_expect(queue, &copy, SVM_CPL_NO_PEER);
    svm_need_ok(libsvm_queue_set_peer(queue, reader), "setting the peer");
    svm_queue_expect(queue, &copy, SVM_CPL_OK);
    svm_check_random(map + PEER_SIZE, PEER_SIZE, 7, "a copy from the peer");
    svm_check_filled(map, PEER_SIZE, 1, "this process's memory");

    copy.flags = SVM_DESC_F_DST_PEER;
    svm_queue_expect(queue, &copy, SVM_CPL_NO_PEER);
    svm_need_ok(libsvm_queue_set_peer(queue, both), "setting the peer");
    svm_queue_expect(queue, &copy, SVM_CPL_OK);
    svm_check_random(map + PEER_SIZE, PEER_SIZE, 7, "this process's memory");
    copy.flags = SVM_DESC_F_SRC_PEER | SVM_DESC_F_DST_PEER;
    copy.src = map + PEER_SIZE;
    copy.dst = map + 2 * PEER_SIZE;
    svm_queue_expect(queue, &copy, SVM_CPL_OK);

    /* The parent looks, and revokes */
    svm_meeting_signal(m->to_parent);
    svm_meeting_wait(m->to_child);
    svm_queue_expect(queue, &copy, SVM_CPL_NO_PEER);
    if (libsvm_queue_set_peer(queue, both) != -EACCES ||
        libsvm_queue_set_peer(queue, m->to_parent[1]) != -EBADF) {
        svm_fail("a grant that is none was taken");
    }
    svm_queue_fill(queue, map, PAGE, 5);
    _exit(0);
}

static void granting_child(struct svm_meeting *m)
{
    int grant = libsvm_grant(svm_open(), SVM_PEER_WRITE);

    svm_need_ok(grant, "granting");
    tell_file(m, grant);
    pause();
}

/* The one that has granted ends while the other one's queue is at it. */
static void check_peer_ends(struct libsvm *svm, struct libsvm_queue *queue)
{
    uint64_t bytes = svm_counter(svm, SVM_STAT_BYTES_WRITTEN);
    struct libsvm_op fill = {
        .op = SVM_OP_FILL, .dst = svm_map_small(SVM_LONG_SIZE),
        .len = SVM_LONG_SIZE, .flags = SVM_DESC_F_DST_PEER,
    };
    struct svm_record record;
    struct svm_meeting m;
    uint64_t ticket;
    pid_t child;
    int grant;

    svm_meeting_init(&m);
    child = svm_start_child();
    if (!child) {
        granting_child(&m);
    }
    grant = take_file(&m, child);
    svm_need_ok(libsvm_queue_set_peer(queue, grant), "setting the peer");
    svm_need_ok(libsvm_submit(queue, &fill, &ticket), "submitting");
    while (svm_counter(svm, SVM_STAT_BYTES_WRITTEN) < bytes + 10 * PAGE) {
        usleep(100);
    }
    kill(child, SIGKILL);
    record = svm_queue_wait(queue, ticket);
    if (record.status != SVM_CPL_CANCELLED &&
        record.status != SVM_CPL_UNMAPPED) {
        svm_fail("the peer is gone: %s", libsvm_status_name(record.status));
    }
    svm_need(waitpid(child, NULL, 0) == child, "waitpid");
    svm_queue_expect(queue, &fill, SVM_CPL_NO_PEER);
    if (libsvm_queue_set_peer(queue, grant) != -EACCES) {
        svm_fail("a process that is gone is a peer");
    }
    svm_unmap((void *)fill.dst, SVM_LONG_SIZE);
}

/* Copies between two processes, as far as one grants it and no further. */
void svm_run_queue_peer(void)
{
    struct libsvm *svm = svm_open();
    uint8_t *map = svm_map_small(3 * PEER_SIZE);
    int both = libsvm_grant(svm, SVM_PEER_READ | SVM_PEER_WRITE);
    int reader = libsvm_grant(svm, SVM_PEER_READ);
    struct svm_meeting m;
    pid_t child;

    svm_need_ok(both, "granting");
    svm_need_ok(reader, "granting");
    if (libsvm_grant(svm, 0) != -EINVAL) {
        svm_fail("nothing was granted");
    }
    svm_fill_random(map, PEER_SIZE, 7);
    svm_meeting_init(&m);
    child = svm_start_child();
    if (!child) {
        peer_child(&m, map, reader, both);
    }

    svm_meeting_wait(m.to_parent);
    svm_check_random(map, PEER_SIZE, 7, "what was to be read");
    svm_check_filled(map + PEER_SIZE, PEER_SIZE, 1, "what the peer copied");
    svm_check_filled(map + 2 * PEER_SIZE, PEER_SIZE, 1,
                     "what the peer copied within this process");
    svm_need_ok(libsvm_revoke(svm), "revoking");
    svm_fill(map, 3 * PEER_SIZE, GUARD_BYTE);
    svm_meeting_signal(m.to_child);
    svm_join_child(child);
    svm_check_filled(map, 3 * PEER_SIZE, GUARD_BYTE, "what was revoked");
    check_peer_ends(svm, svm_queue_open(svm, 2));
}

/* A child has nothing of its parent's queue, and a device of its own. */
static void fork_child(struct libsvm *svm, struct libsvm_queue *queue,
                       uint32_t *doorbell, uint64_t ticket)
{
    const struct libsvm_op op = { .op = SVM_OP_NOP };
    struct svm_queue_status status;
    struct libsvm_queue *other;
    unsigned char core;

    if (libsvm_submit(queue, &op, NULL) != -EPERM ||
        libsvm_poll(queue, ticket, NULL) != -EPERM ||
        libsvm_queue_status(queue, &status) != -EPERM ||
        ioctl(libsvm_queue_fd(queue), SVM_QUEUE_IOC_CONTROL,
              SVM_CTRL_ABORT) != -1 || errno != EPERM ||
        libsvm_queue_open(svm, 4, &other) != -EPERM ||
        libsvm_grant(svm, SVM_PEER_READ) != -EPERM) {
        svm_fail("a child can use its parent's queue");
    }
    if (!mincore(doorbell, SVM_DOORBELL_SIZE, &core) ||
        errno != ENOMEM) {
        svm_fail("a child has its parent's doorbell");
    }
    if (mmap(NULL, SVM_DOORBELL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
             libsvm_fd(svm), (off_t)libsvm_queue_number(queue) *
             SVM_DOORBELL_SIZE) != MAP_FAILED || errno != EPERM) {
        svm_fail("a child can map its parent's doorbell");
    }
    libsvm_queue_close(queue);
    libsvm_close(svm);
    svm_queue_fill(svm_queue_open(svm_open(), 4), svm_map_small(MIB), MIB,
                   3);
    _exit(0);
}

void svm_run_queue_fork(void)
{
    struct libsvm *svm = svm_open();
    struct libsvm_queue *queue = svm_queue_open(svm, 8);
    uint32_t *doorbell = svm_map_doorbell(svm, libsvm_queue_number(queue));
    uint8_t buf[100];
    uint64_t ticket;
    uint8_t *map;

    for (int i = 0; i < 5; i++) {
        pid_t child;

        map = svm_queue_start_long(queue, &ticket);
        child = svm_start_child();
        if (!child) {
            fork_child(svm, queue, doorbell, ticket);
        }
        svm_join_child(child);

        /* It goes on for the parent, until the memory is gone */
        if (libsvm_poll(queue, ticket, NULL) == -EPERM) {
            svm_fail("the parent has lost its queue");
        }
        svm_unmap(map, SVM_LONG_SIZE);
        svm_queue_wait(queue, ticket);
        svm_queue_fill(queue, buf, sizeof(buf), i);
    }
}

/* The file of a queue that is gone says so, and the rest is refused. */
static void check_gone(int fd)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };

    svm_need(poll(&wait, 1, 20000) == 1, "waiting for the queue's end");
    if (!(wait.revents & POLLHUP)) {
        svm_fail("a queue is there that should be gone");
    }
}

static void exec_child(struct svm_meeting *m)
{
    char *argv[] = { "sh", "-c", "read line", NULL };
    struct libsvm *svm = svm_open();
    struct libsvm_queue *queue = svm_queue_open(svm, 4);
    int fd = libsvm_queue_fd(queue);
    uint64_t ticket;

    svm_need(!fcntl(libsvm_fd(svm), F_SETFD, 0) && !fcntl(fd, F_SETFD, 0),
             "FD_CLOEXEC");
    svm_queue_start_long(queue, &ticket);
    tell_file(m, fd);
    svm_meeting_wait(m->to_child);
    svm_need(!dup2(m->to_child[0], STDIN_FILENO), "dup2");
    execv("/bin/sh", argv);
    svm_need(false, "/bin/sh");
}

/* exec() ends the address space, whoever has the files. */
void svm_run_queue_exec(void)
{
    struct svm_queue_status status;
    struct libsvm *svm = svm_open();
    struct svm_meeting m;
    pid_t child;
    int fd;

    svm_meeting_init(&m);
    child = svm_start_child();
    if (!child) {
        exec_child(&m);
    }
    fd = take_file(&m, child);
    if (!ioctl(fd, SVM_QUEUE_IOC_STATUS, &status) || errno != EPERM) {
        svm_fail("another process can use the queue");
    }
    svm_meeting_signal(m.to_child);
    check_gone(fd);
    if (waitpid(child, NULL, WNOHANG)) {
        svm_fail("the program after exec() has ended");
    }
    svm_queue_fill(svm_queue_open(svm, 4), svm_map_small(MIB), MIB, 1);
    kill(child, SIGKILL);
    svm_need(waitpid(child, NULL, 0) == child, "waitpid");
}

static void exit_child(struct svm_meeting *m, bool killed)
{
    struct libsvm *svm = svm_open();
    struct libsvm_queue *queue = svm_queue_open(svm, 4);
    uint64_t ticket;

    svm_queue_start_long(queue, &ticket);
    if (!killed) {
        _exit(0);
    }
    svm_meeting_signal(m->to_parent);
    svm_queue_wait(queue, ticket);
    svm_fail("the operation ended before the process was killed");
}

static unsigned queues_in_use(struct libsvm *svm)
{
    struct svm_queue_info info;
    unsigned used = 0;

    for (unsigned n = 0; n < SVM_QUEUES; n++) {
        svm_need_ok(libsvm_queue_info(svm, n, &info), "asking for a queue");
        used += info.used;
    }
    return used;
}

/* Processes that end with a queue at work leave nothing behind. */
void svm_run_queue_exit(void)
{
    struct libsvm *svm = svm_open();
    struct libsvm_queue *queue = svm_queue_open(svm, 4);
    uint8_t *map = svm_map_small(MIB);
    struct svm_meeting m;

    svm_meeting_init(&m);
    for (int i = 0; i < 20; i++) {
        bool killed = i & 1;
        pid_t child = svm_start_child();

        if (!child) {
            exit_child(&m, killed);
        }
        if (killed) {
            svm_meeting_wait(m.to_parent);
            kill(child, SIGKILL);
        }
        svm_need(waitpid(child, NULL, 0) == child, "waitpid");
        svm_queue_fill(queue, map, MIB, i);
        svm_need(!madvise(map, MIB, MADV_DONTNEED), "MADV_DONTNEED");
    }
    if (queues_in_use(svm) != 1) {
        svm_fail("%u queues are in use, not 1", queues_in_use(svm));
    }
}

/* With a queue and a command at work, the device is taken away by @path. */
static void check_taken_away(const char *path, const char *what)
{
    struct libsvm *svm = svm_open_path("/dev/svm1");
    struct libsvm_queue *queue = svm_queue_open(svm, 8);
    struct libsvm_op nop = { .op = SVM_OP_NOP };
    uint8_t *command = svm_start_long_command(svm);
    uint64_t ticket;
    uint8_t *map = svm_queue_start_long(queue, &ticket);

    svm_tell_sysfs(path, what);
    svm_fill(map, 8 * MIB, GUARD_BYTE);
    svm_fill(command, 8 * MIB, GUARD_BYTE);
    if (svm_wait(svm) != SVM_STATUS_FAILED) {
        svm_fail("a command did not fail when the device was taken away");
    }
    if (libsvm_wait(queue, ticket, 10000, NULL) != -ENODEV) {
        svm_fail("an operation did not end when the device was taken away");
    }
    /* The doorbell is there, and leads nowhere */
    svm_need_ok(libsvm_submit(queue, &nop, &ticket), "submitting");
    if (libsvm_poll(queue, ticket, NULL) != -ENODEV ||
        libsvm_queue_control(queue, SVM_CTRL_ABORT) != -ENODEV) {
        svm_fail("a queue outlived its device");
    }
    check_gone(libsvm_queue_fd(queue));
    svm_check_filled(map, 8 * MIB, GUARD_BYTE, "the queue's memory");
    svm_check_filled(command, 8 * MIB, GUARD_BYTE, "the command's memory");
    libsvm_queue_close(queue);
    libsvm_close(svm);
    svm_unmap(map, SVM_LONG_SIZE);
    svm_unmap(command, SVM_LONG_SIZE);
}

/* Takes the device away once its queue @number drains. */
static void taking_child(unsigned number, const char *path, const char *what)
{
    struct libsvm *svm = svm_open_path("/dev/svm1");
    struct svm_queue_info info;

    do {
        usleep(1000);
        svm_need_ok(libsvm_queue_info(svm, number, &info), "queue info");
    } while (info.status.state != SVM_STATE_DRAINING);
    svm_tell_sysfs(path, what);
    _exit(0);
}

/* Who waits for the end of a queue's work is told that the queue is gone. */
static void check_drain_ends(const char *path, const char *what)
{
    struct libsvm *svm = svm_open_path("/dev/svm1");
    struct libsvm_queue *queue = svm_queue_open(svm, 8);
    uint64_t ticket;
    uint8_t *map = svm_queue_start_long(queue, &ticket);
    pid_t child = svm_start_child();
    int ret;

    if (!child) {
        taking_child(libsvm_queue_number(queue), path, what);
    }
    ret = libsvm_queue_control(queue, SVM_CTRL_DRAIN);
    if (ret != -ENODEV) {
        svm_fail("draining a queue that was taken away: %s",
                 ret ? libsvm_strerror(ret) : "it is drained");
    }
    svm_join_child(child);
    libsvm_queue_close(queue);
    libsvm_close(svm);
    svm_unmap(map, SVM_LONG_SIZE);
}

static void check_is_back(void)
{
    struct libsvm *svm = svm_open_path("/dev/svm1");
    struct libsvm_queue *queue = svm_queue_open(svm, 4);

    svm_check_health(svm);
    svm_queue_fill(queue, svm_map_small(MIB), MIB, 9);
    libsvm_queue_close(queue);
    libsvm_close(svm);
}

void svm_run_queue_unbind(void)
{
    char *function = svm_pci_function("svm1");

    check_drain_ends("/sys/bus/pci/drivers/svm/unbind", function);
    svm_tell_sysfs("/sys/bus/pci/drivers/svm/bind", function);
    check_taken_away("/sys/bus/pci/drivers/svm/unbind", function);
    svm_tell_sysfs("/sys/bus/pci/drivers/svm/bind", function);
    check_is_back();
    free(function);
}

/* The function is taken from the bus, and found again. */
void svm_run_queue_remove(void)
{
    check_taken_away("/sys/class/misc/svm1/device/remove", "1");
    svm_tell_sysfs("/sys/bus/pci/rescan", "1");
    check_is_back();
}

/* The device forgets all; a file that was open before works on. */
static void check_forgets(const char *path, const char *what)
{
    struct libsvm *before = svm_open_path("/dev/svm1");

    check_drain_ends(path, what);
    for (int i = 0; i < 3; i++) {
        check_taken_away(path, what);
        svm_queue_fill(svm_queue_open(before, 4), svm_map_small(MIB), MIB, i);
        svm_check_health(before);
        check_is_back();
    }
}

void svm_run_queue_reset(void)
{
    check_forgets("/sys/class/misc/svm1/device/reset", "1");
}

/* It goes as far as to let its devices sleep, and comes back. */
void svm_run_queue_suspend(void)
{
    svm_tell_sysfs("/sys/module/suspend/parameters/pm_test_delay", "0");
    svm_tell_sysfs("/sys/power/pm_test", "platform");
    check_forgets("/sys/power/state", "mem");
    svm_tell_sysfs("/sys/power/pm_test", "none");
}
