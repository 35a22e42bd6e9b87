/*
 * svmctl: the machine migrates, goes back to a snapshot, or loses a device,
 * while processes use it
 *
 * The program that has booted the guest does it when it is asked. Guest and
 * processes notice nothing of the first two, and look at every byte.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svmctl.h"

#define PROCESSES   8               /* of the stress */
#define PAUSE_US    1000000         /* between two moments */
#define SIZE        (4 * MIB)       /* of other operations */

#define DEVICE      "/dev/svm1"     /* that is unplugged */
#define USERS       6
#define ROUNDS      3
#define PATIENCE    60              /* seconds */

static void throw_away(uint8_t *buf)
{
    svm_need(!madvise(buf, SIZE, MADV_DONTNEED), "MADV_DONTNEED");
}

/* Returns false when the device is gone. */
static bool write_once(struct libsvm *svm, uint8_t *buf)
{
    const struct svm_command cmd = {
        .op = SVM_CMD_WRITE, .addr = (uintptr_t)buf, .size = SIZE,
    };
    int ret = libsvm_command_submit(svm, &cmd);

    if (!ret) {
        ret = libsvm_command_wait(svm);
    }
    if (ret == -ENODEV || ret == SVM_STATUS_FAILED) {
        return false;
    }
    svm_need_ok(ret, "a command");
    svm_check_pattern(buf, SIZE, "what a command has written");
    return true;
}

static void ask_for(const char *what)
{
    char answer[16];

    svm_ask(what, answer, sizeof(answer));
    if (strcmp(answer, "done")) {
        svm_fail("%s: the answer is \"%s\"", what, answer);
    }
}

/* Processes with queues */
static struct svm_stress *start_stress(unsigned processes)
{
    struct svm_stress *stress = svm_stress_new(processes, false);

    svm_stress_start_all(stress, 1);
    usleep(PAUSE_US);
    return stress;
}

static void finish_stress(struct svm_stress *stress)
{
    svm_stress_set_deadline(stress, 0);
    svm_stress_finish(stress);
}

/* And one with commands, which nearly always waits for a page */
static pid_t start_commander(void)
{
    pid_t parent = getpid();
    pid_t pid = svm_start_child();

    if (!pid) {
        struct libsvm *svm = svm_open();
        uint8_t *buf = svm_map_small(SIZE);

        svm_end_with(parent);
        while (write_once(svm, buf)) {
            throw_away(buf);
        }
        svm_fail("a command was lost");
    }
    return pid;
}

static void end_killed(pid_t pid)
{
    int status;

    kill(pid, SIGKILL);
    svm_need(waitpid(pid, &status, 0) == pid, "waitpid");
    if (!WIFSIGNALED(status)) {
        svm_fail("a process ended with status 0x%x", status);
    }
}

void svm_run_migrate(void)
{
    static const char *const ways[] = {
        "migrate-file", "migrate-socket", "migrate-file", "migrate-socket",
    };
    struct svm_stress *stress = start_stress(PROCESSES);
    pid_t commander = start_commander();

    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        svm_stress_expect_stop(stress, true);
        ask_for(ways[i]);
        svm_stress_expect_stop(stress, false);
        usleep(PAUSE_US);
    }
    end_killed(commander);
    finish_stress(stress);
}

/*
 * The answer comes twice: when the snapshot has been made, and when the machine
 * is back at it. What was done in between has not been.
 */
static void save_and_restore(struct svm_stress *stress)
{
    uint64_t operations = svm_stress_operations(stress);
    char answer[16];

    svm_ask("save", answer, sizeof(answer));
    if (!strcmp(answer, "restored")) {
        return;
    }
    if (strcmp(answer, "saved")) {
        svm_fail("save: the answer is \"%s\"", answer);
    }
    usleep(PAUSE_US);
    if (svm_stress_operations(stress) == operations) {
        svm_fail("nothing went on after the snapshot");
    }
    svm_ask("restore", answer, sizeof(answer));
    svm_fail("the machine has not gone back to the snapshot");
}

void svm_run_snapshot(void)
{
    struct svm_stress *stress = start_stress(PROCESSES);
    pid_t commander = start_commander();

    for (int i = 0; i < 3; i++) {
        svm_stress_expect_stop(stress, true);
        save_and_restore(stress);
        svm_stress_expect_stop(stress, false);
        usleep(PAUSE_US);
    }
    end_killed(commander);
    finish_stress(stress);
}

/* Hot plug: half of the processes have queues, half use single commands */

/* What one of them tells the first process, and that remembers of it */
struct user {
    volatile unsigned done;         /* operations */
    volatile unsigned losses;       /* devices that it has lost */
    unsigned done_before;
    unsigned losses_before;
};

static struct libsvm *await_device(void)
{
    struct libsvm *svm = NULL;
    int ret;

    while (svm_is_gone(ret = libsvm_open(DEVICE, &svm))) {
        usleep(10000);
    }
    svm_need_ok(ret, DEVICE);
    return svm;
}

static bool fill_once(struct libsvm_queue *queue, uint8_t *buf, uint8_t value)
{
    const struct libsvm_op op = {
        .op = SVM_OP_FILL, .dst = buf, .len = SIZE,
        .arg = value * 0x0101010101010101ULL,
    };
    struct svm_record record;
    uint64_t ticket;
    int ret;

    svm_need_ok(libsvm_submit(queue, &op, &ticket), "submitting");
    ret = libsvm_wait(queue, ticket, PATIENCE * 1000, &record);
    if (ret == -ENODEV) {
        return false;
    }
    svm_need_ok(ret, "an operation");
    if (record.status != SVM_CPL_OK) {
        svm_fail("an operation: %s", libsvm_status_name(record.status));
    }
    svm_check_filled(buf, SIZE, value, "what the queue has filled");
    return true;
}

/* The file of a queue says it, and all else fails. */
static void check_queue_gone(struct libsvm_queue *queue)
{
    struct pollfd wait = { .fd = libsvm_queue_fd(queue), .events = POLLIN };

    svm_need(poll(&wait, 1, 0) == 1, "polling the queue of a lost device");
    if (!(wait.revents & POLLHUP) ||
        libsvm_queue_control(queue, SVM_CTRL_ABORT) != -ENODEV) {
        svm_fail("a queue outlived its device");
    }
}

/* No byte arrives once the process was told, and all calls fail. */
static void check_lost(struct libsvm *svm, struct libsvm_queue *queue,
                       uint8_t *buf)
{
    const struct svm_command cmd = { .op = SVM_CMD_WRITE };
    struct libsvm_queue *other;

    svm_fill(buf, SIZE, GUARD_BYTE);
    if (queue) {
        check_queue_gone(queue);
    }
    if (libsvm_command_submit(svm, &cmd) != -ENODEV ||
        libsvm_queue_open(svm, 4, &other) != -ENODEV) {
        svm_fail("a file outlived its device");
    }
    usleep(20000);
    svm_check_filled(buf, SIZE, GUARD_BYTE, "memory of a lost device");
}

/* Returns NULL when the device is gone. */
static struct libsvm_queue *open_queue(struct libsvm *svm)
{
    struct libsvm_queue *queue = NULL;
    int ret = libsvm_queue_open(svm, 4, &queue);

    if (!svm_is_gone(ret)) {
        svm_need_ok(ret, "opening a queue");
    }
    return queue;
}

/* One device after the other */
static void run_user(struct user *user, bool has_queue)
{
    uint8_t *buf = svm_map_small(SIZE);

    for (;;) {
        struct libsvm *svm = await_device();
        struct libsvm_queue *queue = has_queue ? open_queue(svm) : NULL;

        if (has_queue && !queue) {
            libsvm_close(svm);
            continue;
        }
        throw_away(buf);
        while (queue ? fill_once(queue, buf, user->done) :
                       write_once(svm, buf)) {
            throw_away(buf);
            user->done++;
        }
        check_lost(svm, queue, buf);
        libsvm_queue_close(queue);
        libsvm_close(svm);
        user->losses++;
    }
}

static bool gets_on(const struct user *user)
{
    return user->done != user->done_before;
}

static bool was_told(const struct user *user)
{
    return user->losses != user->losses_before;
}

static void await_users(struct user *users, bool (*ready)(const struct user *),
                        const char *what)
{
    double deadline = svm_seconds() + PATIENCE;

    for (unsigned i = 0; i < USERS; i++) {
        while (!ready(&users[i])) {
            if (svm_seconds() > deadline) {
                svm_fail("process %u %s", i, what);
            }
            usleep(10000);
        }
    }
}

static void plug_round(struct user *users)
{
    for (unsigned i = 0; i < USERS; i++) {
        users[i].done_before = users[i].done;
        users[i].losses_before = users[i].losses;
    }
    await_users(users, gets_on, "does not get on with the device");
    usleep(PAUSE_US);
    ask_for("unplug svm1");
    await_users(users, was_told, "was not told that the device is gone");
    if (!access(DEVICE, F_OK)) {
        svm_fail("the device was unplugged, and its name is there");
    }
    ask_for("plug svm1");
}

static struct user *start_users(pid_t *children)
{
    struct user *users = svm_map_shared(USERS * sizeof(*users));

    for (unsigned i = 0; i < USERS; i++) {
        children[i] = svm_start_child();
        if (!children[i]) {
            run_user(&users[i], i % 2);
        }
    }
    return users;
}

/* The other device works on meanwhile. */
void svm_run_hot_plug(void)
{
    struct svm_stress *stress = start_stress(2);
    unsigned operations = 0;
    pid_t children[USERS];
    struct user *users = start_users(children);

    for (int i = 0; i < ROUNDS; i++) {
        plug_round(users);
    }
    svm_check_health(await_device());
    for (unsigned i = 0; i < USERS; i++) {
        end_killed(children[i]);
        operations += users[i].done;
    }
    svm_note("unplugged %u times, %u operations of %u processes", ROUNDS,
             operations, USERS);
    finish_stress(stress);
}
