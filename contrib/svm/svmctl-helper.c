/*
 * svmctl: what scenarios with several processes or drivers use
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "svmctl.h"

void svm_meeting_init(struct svm_meeting *m)
{
    svm_need(!pipe(m->to_child) && !pipe(m->to_parent), "pipe");
}

void svm_meeting_signal(int ends[2])
{
    svm_need(write(ends[1], "", 1) == 1, "telling another process");
}

void svm_meeting_wait(int ends[2])
{
    char byte;

    svm_need(read(ends[0], &byte, 1) == 1, "hearing from another process");
}

pid_t svm_start_child(void)
{
    pid_t pid = fork();

    svm_need(pid >= 0, "fork");
    return pid;
}

void svm_end_with(pid_t parent)
{
    svm_need(!prctl(PR_SET_PDEATHSIG, SIGKILL), "PR_SET_PDEATHSIG");
    if (getppid() != parent) {
        _exit(0);
    }
}

void svm_join_child(pid_t pid)
{
    int status;

    svm_need(waitpid(pid, &status, 0) == pid, "waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        svm_fail("a child process ended with status 0x%x", status);
    }
}

void svm_say(const char *line)
{
    int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);

    svm_need(fd >= 0, "/dev/console");
    svm_need(dprintf(fd, "SVM-TEST: %s\n", line) > 0, "/dev/console");
    close(fd);
}

int svm_open_keyboard(void)
{
    int fd = open("/dev/console", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    struct termios attr;

    svm_need(fd >= 0 && !tcgetattr(fd, &attr), "/dev/console");
    attr.c_lflag &= ~(ECHO | ECHONL);
    svm_need(!tcsetattr(fd, TCSANOW, &attr), "/dev/console");
    return fd;
}

void svm_ask(const char *what, char *answer, size_t size)
{
    int fd = svm_open_keyboard();
    char line[64];
    ssize_t n;

    snprintf(line, sizeof(line), "ask %s", what);
    svm_say(line);
    n = read(fd, answer, size - 1);
    svm_need(n > 0, "hearing from the host");
    answer[n] = '\0';
    answer[strcspn(answer, "\n")] = '\0';
    close(fd);
}

char *svm_pci_function(const char *misc)
{
    char link[64];
    char *path, *name;

    snprintf(link, sizeof(link), "/sys/class/misc/%s/device", misc);
    path = realpath(link, NULL);
    svm_need(path, link);
    name = strdup(strrchr(path, '/') + 1);
    svm_need(name, "strdup");
    free(path);
    return name;
}

void svm_tell_sysfs(const char *path, const char *what)
{
    FILE *file = fopen(path, "w");

    svm_need(file && fputs(what, file) >= 0 && !fclose(file), path);
}
