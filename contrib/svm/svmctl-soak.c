/*
 * svmctl: processes with all queues of a device, for long, that come and go
 *
 * 64 processes have the queues of the first device, some more have queues of
 * the second one, and change their memory meanwhile as the stress does. Now
 * and then one is killed and another one starts, with another PASID, or a
 * device is reset. The program that has booted the guest may unplug the second
 * device, and says when it is enough, unless that is known from the start.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svmctl.h"

#define OTHERS      8                       /* with the second device */
#define PROCESSES   (SVM_QUEUES + OTHERS)
#define TICK_US     100000
#define TICKS(s)    ((s) * 1000000 / TICK_US)
#define KILL_EVERY  TICKS(1)                /* on average */
#define RESET_EVERY TICKS(20)
#define TELL_EVERY  TICKS(5)
#define LAST_NAME   15                      /* of the second device */

struct soak {
    struct svm_stress *stress;
    bool killed[PROCESSES];
    unsigned resets_before[PROCESSES];      /* it started */
    bool ending;
    uint64_t starts;
    unsigned kills;
    unsigned losses;
    unsigned resets;                        /* of the first device */
};

/* The second device; another name while files of one that is gone are open */
static bool find_second(char *path, size_t size)
{
    for (unsigned n = 1; n <= LAST_NAME; n++) {
        snprintf(path, size, "/dev/svm%u", n);
        if (!access(path, F_OK)) {
            return true;
        }
    }
    return false;
}

static void start(struct soak *s, unsigned number)
{
    char path[32] = LIBSVM_DEVICE;

    if (number >= SVM_QUEUES && !find_second(path, sizeof(path))) {
        return;
    }
    s->killed[number] = false;
    s->resets_before[number] = s->resets;
    svm_stress_start(s->stress, number, path, s->starts++);
}

/* May a process have ended with this status? */
static bool end_is_right(struct soak *s, unsigned number, int status)
{
    if (WIFSIGNALED(status)) {
        return s->killed[number] && WTERMSIG(status) == SIGKILL;
    }
    if (WEXITSTATUS(status) != SVM_STRESS_LOST) {
        return s->ending && !status;
    }
    s->losses++;
    return number >= SVM_QUEUES || s->resets_before[number] != s->resets;
}

static void handle_end(struct soak *s, pid_t pid, int status)
{
    for (unsigned i = 0; i < PROCESSES; i++) {
        if (svm_stress_pid(s->stress, i) == pid) {
            if (!end_is_right(s, i, status)) {
                svm_fail("process %u ended with status 0x%x", i, status);
            }
            svm_stress_forget(s->stress, i);
            return;
        }
    }
    /* A child of one that was killed: this process inherits them */
}

static void replace_ended(struct soak *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        handle_end(s, pid, status);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        if (!svm_stress_pid(s->stress, i)) {
            start(s, i);
        }
    }
}

static void tell(struct soak *s)
{
    char line[128];

    snprintf(line, sizeof(line), "soak operations=%llu started=%llu "
             "killed=%u lost=%u resets=%u",
             (unsigned long long)svm_stress_operations(s->stress),
             (unsigned long long)s->starts, s->kills, s->losses, s->resets);
    svm_say(line);
}

/* They end when their rounds do. */
static void finish(struct soak *s)
{
    int status;
    pid_t pid;

    s->ending = true;
    svm_stress_set_deadline(s->stress, 0);
    while ((pid = waitpid(-1, &status, 0)) > 0) {
        handle_end(s, pid, status);
    }
    tell(s);
    svm_stress_finish(s->stress);
}

static void kill_one(struct soak *s)
{
    unsigned number = random() % PROCESSES;
    pid_t pid = svm_stress_pid(s->stress, number);

    if (pid) {
        s->killed[number] = true;
        s->kills++;
        kill(pid, SIGKILL);
    }
}

/* The second device may be gone, or about to go. */
static void reset_one(struct soak *s)
{
    char path[32];
    char reset[64];
    int fd;

    if (random() % 2) {
        s->resets++;
        svm_tell_sysfs("/sys/class/misc/svm0/device/reset", "1");
    } else if (find_second(path, sizeof(path))) {
        snprintf(reset, sizeof(reset), "/sys/class/misc/%s/device/reset",
                 path + strlen("/dev/"));
        fd = open(reset, O_WRONLY | O_CLOEXEC);
        if (fd >= 0) {
            svm_need(write(fd, "1", 1) == 1 || errno == ENODEV ||
                     errno == ENOTTY, reset);
            close(fd);
        }
    }
}

/* The clock of a guest is wrong at times where the host is busy. */
static bool is_over(int keyboard, double end)
{
    struct pollfd wait = { .fd = keyboard, .events = POLLIN };

    return svm_soak_seconds ? svm_seconds() >= end : poll(&wait, 1, 0) > 0;
}

void svm_run_soak(void)
{
    double end = svm_seconds() + svm_soak_seconds;
    int keyboard = svm_open_keyboard();
    static struct soak s;

    svm_need(!prctl(PR_SET_CHILD_SUBREAPER, 1), "PR_SET_CHILD_SUBREAPER");
    s.stress = svm_stress_new(PROCESSES, true);
    svm_stress_expect_stop(s.stress, true);
    for (unsigned tick = 0; !is_over(keyboard, end); tick++) {
        replace_ended(&s);
        if (random() % KILL_EVERY == 0) {
            kill_one(&s);
        }
        if (random() % RESET_EVERY == 0) {
            reset_one(&s);
        }
        if (tick % TELL_EVERY == 0) {
            tell(&s);
        }
        usleep(TICK_US);
    }
    finish(&s);
}
