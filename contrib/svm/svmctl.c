/*
 * svmctl: use the demo endpoint for shared virtual memory from a process
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "svmctl.h"

/* A scenario that takes longer than this, in seconds, has failed */
#define SCENARIO_TIMEOUT 240

struct scenario {
    const char *name;
    void (*run)(void);
    const char *title;
};

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
    { "swap", svm_run_swap, "pages that went to swap" },
    { "dirty", svm_run_dirty, "MADV_FREE, then the device writes" },
    { "fork", svm_run_fork, "copy-on-write after fork(), both processes" },
    { "two-devices", svm_run_two_devices, "two devices at once" },
    { "turns", svm_run_turns, "six processes at once" },
    { "signals", svm_run_signals, "signals while the device works" },
    { "close", svm_run_close, "close() while the device works" },
    { "unbind", svm_run_unbind, "the driver leaves while the device works" },
    { "exit", svm_run_exit, "20 processes that end while the device works" },
    { "race-4k", svm_run_race_4k, "the device against munmap(), 4 KiB pages" },
    { "race-thp", svm_run_race_thp,
      "the device against munmap(), transparent huge pages" },
    { "race-2m", svm_run_race_2m,
      "the device against munmap(), 2 MiB huge pages" },
};

/* In the order of SVM_REG_STATS */
static const char *const counter_names[SVM_NR_COUNTERS] = {
    "ats-requests", "ats-results", "ats-holes", "atc-hits", "atc-misses",
    "page-requests", "page-groups", "resp-success", "resp-invalid",
    "resp-failure", "refused", "invalidations", "revoked", "bytes-read",
    "bytes-written", "commands", "failures",
};

unsigned svm_rounds = 2000;
static bool inject_failure;
static bool verbose;

/* Where the processes of a scenario write their verdict and note */
static int report_fd = STDOUT_FILENO;

static void report(char kind, const char *fmt, va_list args)
{
    char line[512] = { kind };
    int n = vsnprintf(line + 1, sizeof(line) - 1, fmt, args);

    if (n > (int)sizeof(line) - 2) {
        n = sizeof(line) - 2;
    }
    line[n + 1] = '\n';
    if (write(report_fd, line, n + 2) < 0) {
        _exit(2);
    }
}

void svm_fail(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    report('!', fmt, args);
    va_end(args);
    _exit(1);
}

void svm_note(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    report('#', fmt, args);
    va_end(args);
}

void svm_need(bool ok, const char *what)
{
    if (!ok) {
        svm_fail("%s: %s", what, strerror(errno));
    }
}

uint8_t svm_injected_error(void)
{
    uint8_t error = inject_failure ? 0x55 : 0;

    inject_failure = false;
    return error;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* The first process of the scenario */
static void run_in_child(const struct scenario *s, int report_to)
{
    report_fd = report_to;
    setpgid(0, 0);
    alarm(SCENARIO_TIMEOUT);
    s->run();
    svm_check_health(svm_open());
    _exit(0);
}

/* What a process of the scenario reported first, of each kind */
struct verdict {
    char why[512];
    char note[512];
};

static void read_reports(FILE *from, struct verdict *v)
{
    char line[512];

    while (fgets(line, sizeof(line), from)) {
        char *to = line[0] == '!' ? v->why : v->note;

        line[strcspn(line, "\n")] = '\0';
        if (!*to) {
            strcpy(to, line + 1);
        }
    }
}

static void explain_status(int status, struct verdict *v)
{
    if (v->why[0]) {
        return;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        snprintf(v->why, sizeof(v->why), "no end after %d seconds",
                 SCENARIO_TIMEOUT);
    } else if (WIFSIGNALED(status)) {
        snprintf(v->why, sizeof(v->why), "killed by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else if (status) {
        snprintf(v->why, sizeof(v->why), "exit status %d",
                 WEXITSTATUS(status));
    }
}

static void judge(const struct scenario *s, struct verdict *v)
{
    int ends[2];
    int status;
    pid_t pid;
    FILE *from;

    svm_need(!pipe(ends), "pipe");
    fflush(stdout);
    pid = fork();
    svm_need(pid >= 0, "fork");
    if (!pid) {
        close(ends[0]);
        run_in_child(s, ends[1]);
    }
    close(ends[1]);
    /* Processes that the scenario left behind hold the pipe open: kill them */
    svm_need(waitpid(pid, &status, 0) == pid, "waitpid");
    kill(-pid, SIGKILL);
    from = fdopen(ends[0], "r");
    svm_need(from, "fdopen");
    read_reports(from, v);
    fclose(from);
    explain_status(status, v);
}

static void print_counters(const struct svm_counters *from,
                           const struct svm_counters *to)
{
    for (int i = 0; i < SVM_NR_COUNTERS; i++) {
        printf(" %s=%llu", counter_names[i],
               (unsigned long long)(to->value[i] - from->value[i]));
    }
}

/* One line: verdict, and on demand what happened. */
static bool run_scenario(const struct scenario *s)
{
    struct svm_counters before, after;
    struct verdict v = { };
    double start = seconds();
    int fd = svm_open();

    svm_read_counters(fd, &before);
    judge(s, &v);
    svm_read_counters(fd, &after);
    close(fd);

    if (v.why[0]) {
        printf("FAIL %s: %s", s->name, v.why);
    } else {
        printf("ok %s", s->name);
    }
    if (verbose) {
        printf(" # ms=%.0f", (seconds() - start) * 1000);
        print_counters(&before, &after);
        printf(" # %s", v.note);
    }
    printf("\n");
    return !v.why[0];
}

static int run_scenarios(int n, char **names)
{
    bool all = n == 1 && !strcmp(names[0], "all");
    bool passed = true;
    int found = 0;

    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        bool wanted = all;

        for (int k = 0; k < n && !wanted; k++) {
            wanted = !strcmp(names[k], scenarios[i].name);
        }
        if (wanted) {
            found++;
            passed &= run_scenario(&scenarios[i]);
        }
    }
    if (!all && found != n) {
        fprintf(stderr, "svmctl: unknown scenario; see svmctl scenario "
                "--list\n");
        return 2;
    }
    return passed ? 0 : 1;
}

static int list_scenarios(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        printf("%s %s\n", scenarios[i].name, scenarios[i].title);
    }
    return 0;
}

static int usage(int status)
{
    fprintf(status ? stderr : stdout,
            "usage: svmctl status                 print the device's counters\n"
            "       svmctl write [SIZE]           have the device write a buffer\n"
            "       svmctl read [SIZE]            have the device read a buffer\n"
            "       svmctl scenario --list        list the scenarios\n"
            "       svmctl scenario [OPTION]... NAME...|all\n"
            "  -v, --verbose          print what happened beneath, too\n"
            "  -r, --rounds N         rounds of the races (default 2000)\n"
            "  -f, --inject-failure   expect a wrong CRC: the scenarios must fail\n"
            "SVM_DEVICE names the device, by default /dev/svm0.\n");
    return status;
}

static int do_scenario(int argc, char **argv)
{
    static const struct option options[] = {
        { "list", no_argument, NULL, 'l' },
        { "verbose", no_argument, NULL, 'v' },
        { "rounds", required_argument, NULL, 'r' },
        { "inject-failure", no_argument, NULL, 'f' },
        { }
    };
    int option;

    while ((option = getopt_long(argc, argv, "lvr:f", options, NULL)) >= 0) {
        switch (option) {
        case 'l':
            return list_scenarios();
        case 'v':
            verbose = true;
            break;
        case 'r':
            if (sscanf(optarg, "%u", &svm_rounds) != 1) {
                return usage(2);
            }
            break;
        case 'f':
            inject_failure = true;
            break;
        default:
            return usage(2);
        }
    }
    if (optind == argc) {
        return usage(2);
    }
    return run_scenarios(argc - optind, argv + optind);
}

static int do_status(void)
{
    struct svm_counters counters;

    svm_read_counters(svm_open(), &counters);
    for (int i = 0; i < SVM_NR_COUNTERS; i++) {
        printf("%-14s %llu\n", counter_names[i],
               (unsigned long long)counters.value[i]);
    }
    return 0;
}

static int do_command(uint32_t op, const char *size_arg)
{
    int fd = svm_open();
    size_t size = MIB;
    double start;
    uint8_t *buf;

    if (size_arg && sscanf(size_arg, "%zu", &size) != 1) {
        return usage(2);
    }
    buf = malloc(size);
    svm_need(buf, "malloc");
    start = seconds();
    if (op == SVM_CMD_WRITE) {
        svm_check_write(fd, buf, size);
    } else {
        svm_fill_random(buf, size, 1);
        start = seconds();
        svm_check_read(fd, buf, size);
    }
    printf("%zu bytes, right, in %.1f ms\n", size, (seconds() - start) * 1000);
    free(buf);
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (!strcmp(command, "scenario")) {
        return do_scenario(argc - 1, argv + 1);
    } else if (!strcmp(command, "status") && argc == 2) {
        return do_status();
    } else if (!strcmp(command, "write") && argc <= 3) {
        return do_command(SVM_CMD_WRITE, argv[2]);
    } else if (!strcmp(command, "read") && argc <= 3) {
        return do_command(SVM_CMD_READ, argv[2]);
    }
    return usage(!strcmp(command, "--help") || !strcmp(command, "help") ?
                 0 : 2);
}
