/*
 * svmctl: what scenarios with several processes or drivers use
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

void svm_join_child(pid_t pid)
{
    int status;

    svm_need(waitpid(pid, &status, 0) == pid, "waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        svm_fail("a child process ended with status 0x%x", status);
    }
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
