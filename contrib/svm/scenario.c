/*
 * Scenarios: runs them, one process each, and says how they went
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scenario.h"

/* A scenario that takes longer than this, in seconds, has failed */
#define SCENARIO_TIMEOUT 240

/* In the order of SVM_REG_STATS */
static const char *const counter_names[SCENARIO_COUNTERS] = {
    "ats-requests", "ats-results", "ats-holes", "atc-hits", "atc-misses",
    "page-requests", "page-groups", "resp-success", "resp-invalid",
    "resp-failure", "refused", "invalidations", "revoked", "bytes-read",
    "bytes-written", "commands", "failures",
};

const char *scenario_counter_name(unsigned i)
{
    return counter_names[i];
}

static const struct scenario_suite *suite;

unsigned svm_rounds = 2000;
unsigned svm_soak_seconds = 60;
static unsigned timeout = SCENARIO_TIMEOUT;    /* 0: none */
static bool inject_failure;
static bool verbose;

/* Where the processes of a scenario write their verdict and note */
static int report_fd = -1;

/* Without a scenario a person reads it. */
static void tell(FILE *to, const char *fmt, va_list args)
{
    fflush(stdout);
    if (to == stderr) {
        fprintf(to, "%s: ", program_invocation_short_name);
    }
    vfprintf(to, fmt, args);
    fputc('\n', to);
}

static void report(char kind, const char *fmt, va_list args)
{
    char line[512] = { kind };
    int n;

    if (report_fd < 0) {
        tell(kind == '!' ? stderr : stdout, fmt, args);
        return;
    }
    n = vsnprintf(line + 1, sizeof(line) - 1, fmt, args);
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

double svm_seconds(void)
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
    alarm(timeout);
    s->run();
    suite->check_health();
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
        snprintf(v->why, sizeof(v->why), "no end after %u seconds", timeout);
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

static void print_counters(const uint64_t *from, const uint64_t *to)
{
    for (int i = 0; i < SCENARIO_COUNTERS; i++) {
        printf(" %s=%llu", counter_names[i],
               (unsigned long long)(to[i] - from[i]));
    }
}

/* One line: verdict, and on demand what happened. */
static bool run_scenario(const struct scenario *s)
{
    uint64_t before[SCENARIO_COUNTERS] = { };
    uint64_t after[SCENARIO_COUNTERS] = { };
    struct verdict v = { };
    double start = svm_seconds();

    suite->before(before);
    judge(s, &v);
    suite->after(after);

    if (v.why[0]) {
        printf("FAIL %s: %s", s->name, v.why);
    } else {
        printf("ok %s", s->name);
    }
    if (verbose) {
        printf(" # ms=%.0f", (svm_seconds() - start) * 1000);
        print_counters(before, after);
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

    for (size_t i = 0; i < suite->number; i++) {
        bool wanted = all;

        for (int k = 0; k < n && !wanted; k++) {
            wanted = !strcmp(names[k], suite->scenarios[i].name);
        }
        if (wanted) {
            found++;
            passed &= run_scenario(&suite->scenarios[i]);
        }
    }
    if (!all && found != n) {
        fprintf(stderr, "%s: unknown scenario; see %s scenario --list\n",
                suite->program, suite->program);
        return 2;
    }
    return passed ? 0 : 1;
}

static int list_scenarios(void)
{
    for (size_t i = 0; i < suite->number; i++) {
        printf("%s %s\n", suite->scenarios[i].name, suite->scenarios[i].title);
    }
    return 0;
}

static int bad_usage(void)
{
    fprintf(stderr, "%s scenario: see %s --help\n", suite->program,
            suite->program);
    return 2;
}

int scenario_main(const struct scenario_suite *of, int argc, char **argv)
{
    static const struct option options[] = {
        { "list", no_argument, NULL, 'l' },
        { "verbose", no_argument, NULL, 'v' },
        { "rounds", required_argument, NULL, 'r' },
        { "seconds", required_argument, NULL, 's' },
        { "inject-failure", no_argument, NULL, 'f' },
        { }
    };
    int option;

    suite = of;
    while ((option = getopt_long(argc, argv, "lvr:s:f", options, NULL)) >= 0) {
        switch (option) {
        case 'l':
            return list_scenarios();
        case 'v':
            verbose = true;
            break;
        case 'r':
            if (sscanf(optarg, "%u", &svm_rounds) != 1) {
                return bad_usage();
            }
            break;
        case 's':
            if (sscanf(optarg, "%u", &svm_soak_seconds) != 1) {
                return bad_usage();
            }
            timeout = svm_soak_seconds ?
                      SCENARIO_TIMEOUT + svm_soak_seconds : 0;
            break;
        case 'f':
            inject_failure = true;
            break;
        default:
            return bad_usage();
        }
    }
    if (optind == argc) {
        return bad_usage();
    }
    return run_scenarios(argc - optind, argv + optind);
}
