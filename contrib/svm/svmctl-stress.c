/*
 * svmctl: many processes, each with a queue, whose memory changes meanwhile
 *
 * A process submits some operations, and unmaps, protects, swaps out or forks
 * the memory that they work on while they do. Then it looks at every byte:
 * those that the records account for are what the operations make of them, and
 * the others, also of memory that the device may not have any more, are what
 * they were.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "svmctl.h"

#define SIZE        (16 * PAGE)     /* of the sources, and the destinations */
#define JOBS        4               /* operations of a round */
#define JOB_SIZE    (SIZE / JOBS)
#define HUGE_SIZE   (2 * MIB)
#define HUGE_EVERY  16              /* processes: one has huge pages */
#define RENEW_EVERY 32              /* rounds: new memory */
#define LEAST_ROUNDS (2 * KINDS)    /* of a process, on however slow a host */

enum kind {
    QUIET, UNMAP, REMAP, PROTECT, SWAP, FORK, KINDS
};

static const char *const kind_names[KINDS] = {
    "nothing", "munmap", "mmap", "mprotect", "swap", "fork",
};

/* What the processes tell the first one, in shared memory */
struct tally {
    uint64_t rounds;
    uint64_t operations;
    uint64_t faults[KINDS];
    uint64_t overlaps[KINDS];
};

/* All of them, in shared memory */
struct svm_stress {
    volatile double deadline;   /* by svm_seconds() */
    volatile unsigned moments;  /* odd: the machine may stop */
    bool may_lose;
    unsigned processes;
    pid_t *children;        /* 0: none */
    struct tally *tallies;
};

/* An operation on its part of the sources and the destinations */
struct job {
    struct libsvm_op op;
    size_t src;             /* offsets */
    size_t dst;
    size_t differ;          /* compare: the first byte that does, or length */
    struct svm_record record;
};

struct worker {
    unsigned number;
    unsigned kind;          /* enum kind, of this round */
    uint64_t random;
    struct svm_stress *stress;
    struct tally *tally;
    struct libsvm *svm;
    struct libsvm_queue *queue;
    struct svm_meeting meeting;
    pid_t child;

    uint8_t *src;
    uint8_t *dst;
    uint8_t *spare;         /* address space of the same size */
    size_t huge;            /* bytes of the mapping of huge pages, or 0 */

    struct job jobs[JOBS];
    uint64_t last;          /* ticket */

    uint8_t *target;        /* what is changed: src or dst */
    size_t from, to;        /* offsets in it */

    uint8_t source[SIZE];   /* what src has */
    uint8_t model[SIZE];    /* what dst should have */
    bool written[SIZE];     /* by an operation */
    uint8_t once[SIZE];     /* what was written if it was executed twice */
    bool twice;             /* the machine may have stopped in this round */
    uint8_t snapshot[SIZE];
};

static uint64_t next_random(struct worker *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

static bool toss(struct worker *w)
{
    return next_random(w) >> 20 & 1;
}

/* From 0 to @n - 1 */
static size_t pick(struct worker *w, size_t n)
{
    return (next_random(w) >> 16) % n;
}

/* The memory */

static void map_here(uint8_t *at, size_t size, int prot)
{
    svm_need(mmap(at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                  0) == at, "mmap");
}

/* A small mapping, or one in which sources and destinations share a page */
static void renew_memory(struct worker *w)
{
    size_t size = w->huge ? w->huge : 2 * SIZE;

    if (w->src) {
        svm_unmap(w->src, size);
    }
    if (w->huge) {
        w->src = svm_map(size, HUGE_SIZE, 0);
        svm_need(!madvise(w->src, size, MADV_HUGEPAGE), "MADV_HUGEPAGE");
    } else {
        w->src = svm_map_small(size);
    }
    w->dst = w->src + SIZE;
}

/* What a round starts with; destinations that nobody has touched, or not */
static void prepare_memory(struct worker *w)
{
    if (!w->src || w->tally->rounds % RENEW_EVERY == 0) {
        renew_memory(w);
    }
    svm_fill_random(w->source, SIZE, next_random(w));
    memcpy(w->src, w->source, SIZE);
    if (toss(w)) {
        svm_need(!madvise(w->dst, SIZE, MADV_DONTNEED), "MADV_DONTNEED");
        memset(w->model, 0, SIZE);
    } else {
        svm_fill_random(w->model, SIZE, next_random(w));
        memcpy(w->dst, w->model, SIZE);
    }
    memset(w->written, 0, sizeof(w->written));
}

/* The operations */

/* Make the destination equal to the source, or equal but for a byte. */
static void prepare_compare(struct worker *w, struct job *job)
{
    job->differ = job->op.len;
    memcpy(w->model + job->dst, w->source + job->src, job->op.len);
    if (toss(w)) {
        job->differ = pick(w, job->op.len);
        w->model[job->dst + job->differ] ^= 1 + pick(w, 255);
    }
    memcpy(w->dst + job->dst, w->model + job->dst, job->op.len);
}

static void prepare_job(struct worker *w, unsigned i)
{
    struct job *job = &w->jobs[i];

    memset(job, 0, sizeof(*job));
    job->op.op = pick(w, SVM_OP_TRANSLATE + 1);
    job->op.len = 1 + pick(w, JOB_SIZE - 200);
    job->src = i * JOB_SIZE + pick(w, JOB_SIZE - job->op.len);
    job->dst = i * JOB_SIZE + pick(w, JOB_SIZE - job->op.len);
    job->op.src = w->src + job->src;
    job->op.dst = w->dst + job->dst;
    job->op.arg = job->op.op == SVM_OP_CRC ? SVM_CRC_INIT : next_random(w);
    job->op.flags = i < JOBS - 1 && toss(w) ? LIBSVM_QUIET : 0;
    if (i && toss(w) && toss(w)) {
        job->op.flags |= SVM_DESC_F_FENCE;
    }
    if (job->op.op == SVM_OP_TRANSLATE) {
        job->op.src = job->op.dst;
        job->op.flags |= toss(w) ? SVM_DESC_F_WRITE : 0;
    }
    if (job->op.op == SVM_OP_COMPARE) {
        prepare_compare(w, job);
    }
}

static void submit_jobs(struct worker *w)
{
    struct libsvm_op ops[JOBS];

    for (unsigned i = 0; i < JOBS; i++) {
        prepare_job(w, i);
        ops[i] = w->jobs[i].op;
    }
    svm_need_ok(libsvm_submit_all(w->queue, ops, JOBS, &w->last),
                "submitting");
}

/* Returns whether they are complete; else the device was taken away. */
static bool collect_jobs(struct worker *w)
{
    for (unsigned i = 0; i < JOBS; i++) {
        int ret = libsvm_wait(w->queue, w->last + 1 - JOBS + i, -1,
                              &w->jobs[i].record);

        if (ret == -ENODEV && w->stress->may_lose) {
            return false;
        }
        svm_need_ok(ret, "waiting for an operation");
        w->tally->operations++;
    }
    return true;
}

/* What happens to the memory while they run */

static void choose_target(struct worker *w)
{
    size_t first = pick(w, SIZE / PAGE);
    size_t n = 1 + pick(w, SIZE / PAGE - first);

    w->target = w->kind != REMAP && toss(w) ? w->src : w->dst;
    w->from = first * PAGE;
    w->to = w->from + n * PAGE;
}

/* Once it is unmapped, other memory is likely made of the same pages. */
static void begin_unmap(struct worker *w)
{
    size_t size = w->to - w->from;

    svm_unmap(w->target + w->from, size);
    map_here(w->spare, size, PROT_READ | PROT_WRITE);
    svm_fill(w->spare, size, GUARD_BYTE);
}

static void end_unmap(struct worker *w)
{
    size_t size = w->to - w->from;

    svm_check_filled(w->spare, size, GUARD_BYTE,
                     "memory that took the place of what was unmapped");
    map_here(w->spare, size, PROT_NONE);
    map_here(w->target + w->from, size, PROT_READ | PROT_WRITE);
}

/* Sources must not be read any more, destinations not be written. */
static void begin_protect(struct worker *w)
{
    bool write = w->target == w->dst;

    svm_need(!mprotect(w->target + w->from, w->to - w->from,
                       write ? PROT_READ : PROT_NONE), "mprotect");
    if (write) {
        memcpy(w->snapshot, w->target + w->from, w->to - w->from);
    }
}

static void end_protect(struct worker *w)
{
    uint8_t *start = w->target + w->from;
    size_t size = w->to - w->from;

    if (w->target == w->dst && memcmp(w->snapshot, start, size)) {
        svm_fail("process %u: read-only memory was written", w->number);
    }
    svm_need(!mprotect(start, size, PROT_READ | PROT_WRITE), "mprotect");
}

/* What the child sees is what there was, whatever its parent's device does. */
static void forked_child(struct worker *w)
{
    memcpy(w->snapshot, w->dst, SIZE);
    if (memcmp(w->source, w->src, SIZE)) {
        svm_fail("process %u: its child has other sources", w->number);
    }
    svm_fill(w->src, SIZE, GUARD_BYTE);
    svm_meeting_wait(w->meeting.to_child);
    if (memcmp(w->snapshot, w->dst, SIZE)) {
        svm_fail("process %u: its child's memory was written", w->number);
    }
    svm_check_filled(w->src, SIZE, GUARD_BYTE, "a child's memory");
    _exit(0);
}

static void begin_fork(struct worker *w)
{
    pid_t parent = getpid();

    w->child = svm_start_child();
    if (!w->child) {
        svm_end_with(parent);
        forked_child(w);
    }
}

static void end_fork(struct worker *w)
{
    svm_meeting_signal(w->meeting.to_child);
    svm_join_child(w->child);
}

static void begin_disturbance(struct worker *w)
{
    choose_target(w);
    if (toss(w)) {
        sched_yield();
    }
    /* Quick: does the last one have no record yet? */
    w->tally->overlaps[w->kind] += libsvm_queue_room(w->queue) < JOBS * 2;
    switch (w->kind) {
    case UNMAP:
        begin_unmap(w);
        break;
    case REMAP:
        svm_unmap(w->target + w->from, w->to - w->from);
        map_here(w->target + w->from, w->to - w->from,
                 PROT_READ | PROT_WRITE);
        break;
    case PROTECT:
        begin_protect(w);
        break;
    case SWAP:
        svm_need(!madvise(w->src, 2 * SIZE, MADV_PAGEOUT), "MADV_PAGEOUT");
        break;
    case FORK:
        begin_fork(w);
        break;
    }
}

static void end_disturbance(struct worker *w)
{
    switch (w->kind) {
    case UNMAP:
        end_unmap(w);
        break;
    case PROTECT:
        end_protect(w);
        break;
    case FORK:
        end_fork(w);
        break;
    }
}

/* What became of it */

static bool is_fault(const struct job *job)
{
    return job->record.status == SVM_CPL_UNMAPPED ||
           job->record.status == SVM_CPL_PERMISSION;
}

static bool uses_dst(const struct job *job)
{
    return job->op.op == SVM_OP_FILL || job->op.op == SVM_OP_COPY ||
           job->op.op == SVM_OP_COMPARE;
}

static bool writes(const struct job *job)
{
    return job->op.op == SVM_OP_FILL || job->op.op == SVM_OP_COPY ||
           (job->op.op == SVM_OP_TRANSLATE &&
            job->op.flags & SVM_DESC_F_WRITE);
}

static void fail_job(struct worker *w, const struct job *job, const char *why)
{
    svm_fail("process %u, round %llu, %s: operation %u, flags 0x%x, %llu bytes "
             "from %p to %p: %s, done %llu, address 0x%llx, side %u, "
             "value %llu: %s", w->number,
             (unsigned long long)w->tally->rounds, kind_names[w->kind],
             job->op.op, job->op.flags, (unsigned long long)job->op.len,
             job->op.src, job->op.dst, libsvm_status_name(job->record.status),
             (unsigned long long)job->record.done,
             (unsigned long long)job->record.addr, job->record.side,
             (unsigned long long)job->record.value, why);
}

/* A fault is right where the memory was taken away, and only there. */
static void check_fault(struct worker *w, const struct job *job)
{
    const struct svm_record *r = &job->record;
    bool dst = r->side == SVM_SIDE_DST;
    uintptr_t start = (uintptr_t)(dst ? job->op.dst : job->op.src);
    uintptr_t from = (uintptr_t)w->target + w->from;

    if (w->kind != UNMAP && w->kind != REMAP && w->kind != PROTECT) {
        fail_job(w, job, "no memory was taken away");
    }
    if (w->kind == PROTECT && w->target == w->dst && !writes(job)) {
        fail_job(w, job, "it may read");
    }
    if ((r->side != SVM_SIDE_SRC && !dst) || (dst && !uses_dst(job))) {
        fail_job(w, job, "the side is wrong");
    }
    if (r->addr < from || r->addr >= from + (w->to - w->from) ||
        r->addr < start || r->addr - start >= job->op.len) {
        fail_job(w, job, "the memory is there");
    }
    if (r->done != r->addr - start) {
        fail_job(w, job, "what is done does not end at the address");
    }
    w->tally->faults[w->kind]++;
}

/* Does the operation look at destinations that were mapped anew? */
static bool sees_remapped(struct worker *w, const struct job *job)
{
    return w->kind == REMAP && job->dst < w->to &&
           job->dst + job->op.len > w->from;
}

static void check_result(struct worker *w, const struct job *job)
{
    uint64_t value = 0;

    if (job->op.op == SVM_OP_COMPARE) {
        if (sees_remapped(w, job)) {
            return;
        }
        value = job->differ;
    } else if (job->op.op == SVM_OP_CRC) {
        value = svm_crc(w->source + job->src, job->op.len) ^
                svm_injected_error();
    }
    if (job->record.value != value) {
        fail_job(w, job, "the value is wrong");
    }
    if ((job->record.status == SVM_CPL_DIFFERENT) !=
        (job->op.op == SVM_OP_COMPARE && value < job->op.len)) {
        fail_job(w, job, "the status is wrong");
    }
    if (job->op.op != SVM_OP_COMPARE && job->op.op != SVM_OP_NOP &&
        job->record.done != job->op.len) {
        fail_job(w, job, "not all is done");
    }
}

/*
 * What the operation has made of the destination, as far as it got. It may have
 * got further before, if the machine has stopped and it was executed again.
 */
static void apply_job(struct worker *w, const struct job *job)
{
    for (size_t i = 0; i < job->op.len; i++) {
        uint8_t byte = job->op.op == SVM_OP_FILL ?
                       job->op.arg >> i % 8 * 8 : w->source[job->src + i];

        if (i < job->record.done) {
            w->model[job->dst + i] = byte;
            w->written[job->dst + i] = true;
        }
        w->once[job->dst + i] = byte;
    }
}

static void check_job(struct worker *w, unsigned i)
{
    struct job *job = &w->jobs[i];

    if (job->op.flags & SVM_DESC_F_FENCE &&
        w->jobs[i - 1].record.status != SVM_CPL_OK) {
        if (job->record.status != SVM_CPL_SKIPPED) {
            fail_job(w, job, "not skipped");
        }
        return;
    }
    if (is_fault(job)) {
        check_fault(w, job);
    } else if (job->record.status == SVM_CPL_OK ||
               job->record.status == SVM_CPL_DIFFERENT) {
        check_result(w, job);
    } else {
        fail_job(w, job, "the status is wrong");
    }
    if (job->op.op == SVM_OP_FILL || job->op.op == SVM_OP_COPY) {
        apply_job(w, job);
    }
}

static void check_jobs(struct worker *w)
{
    /* Bytes that no operation has written are what they were, both times */
    memcpy(w->once, w->model, SIZE);
    for (unsigned i = 0; i < JOBS; i++) {
        check_job(w, i);
    }
}

/* A byte of memory that is new now, or was new while the operations ran */
static bool right_in_new(struct worker *w, size_t i)
{
    return !w->dst[i] ||
           (w->kind == REMAP && w->written[i] && w->dst[i] == w->model[i]);
}

static void check_destinations(struct worker *w)
{
    bool new = w->target == w->dst &&
               (w->kind == UNMAP || w->kind == REMAP);

    if (!new && !memcmp(w->dst, w->model, SIZE)) {
        return;
    }
    for (size_t i = 0; i < SIZE; i++) {
        bool right = new && i >= w->from && i < w->to ?
                     right_in_new(w, i) :
                     w->dst[i] == w->model[i] ||
                     (w->twice && w->dst[i] == w->once[i]);

        if (!right) {
            fail_job(w, &w->jobs[i / JOB_SIZE], "a byte is wrong");
        }
    }
}

static void check_sources(struct worker *w)
{
    size_t from = SIZE, to = SIZE;

    if (w->target == w->src && w->kind == UNMAP) {
        from = w->from;
        to = w->to;
        svm_check_filled(w->src + from, to - from, 0, "new memory");
    }
    if (memcmp(w->src, w->source, from) ||
        memcmp(w->src + to, w->source + to, SIZE - to)) {
        svm_fail("process %u: the sources have changed", w->number);
    }
}

/* Whoever is told that the device is gone can rely on it. */
static void end_without_device(struct worker *w)
{
    svm_fill(w->src, 2 * SIZE, GUARD_BYTE);
    libsvm_queue_close(w->queue);
    libsvm_close(w->svm);
    svm_check_filled(w->src, 2 * SIZE, GUARD_BYTE,
                     "memory of a device that was taken away");
    _exit(SVM_STRESS_LOST);
}

static void run_round(struct worker *w)
{
    unsigned moments = w->stress->moments;
    bool complete;

    w->kind = w->tally->rounds % KINDS;
    prepare_memory(w);
    submit_jobs(w);
    begin_disturbance(w);
    complete = collect_jobs(w);
    end_disturbance(w);
    if (!complete) {
        end_without_device(w);
    }
    w->twice = moments % 2 || w->stress->moments != moments;
    check_jobs(w);
    check_destinations(w);
    check_sources(w);
    w->tally->rounds++;
}

/*
 * The queue of a process that was killed may be in use for an instant: while a
 * page request of it is served, and its child has the file.
 */
static int open_queue(struct worker *w)
{
    double deadline = svm_seconds() + 10;
    int ret;

    while ((ret = libsvm_queue_open(w->svm, JOBS * 2, &w->queue)) == -ENOSPC &&
           w->stress->may_lose && svm_seconds() < deadline) {
        usleep(10000);
    }
    return ret;
}

static void open_device(struct worker *w, const char *path)
{
    int ret = libsvm_open(path, &w->svm);

    if (!ret) {
        ret = open_queue(w);
    }
    if (w->stress->may_lose && svm_is_gone(ret)) {
        _exit(SVM_STRESS_LOST);
    }
    svm_need_ok(ret, path ? path : "opening the device");
}

static void run_worker(struct svm_stress *stress, unsigned number,
                       const char *path, uint64_t seed)
{
    static struct worker w;

    w.number = number;
    w.random = (seed + 1) * 0x9e3779b97f4a7c15ULL + number;
    w.stress = stress;
    w.tally = &stress->tallies[number];
    w.huge = number % HUGE_EVERY ? 0 : HUGE_SIZE;
    open_device(&w, path);
    w.spare = svm_map_small(SIZE);
    svm_meeting_init(&w.meeting);
    do {
        run_round(&w);
    } while (svm_seconds() < stress->deadline ||
             w.tally->rounds < LEAST_ROUNDS);
    _exit(0);
}

/* All of them */

static void add_up(struct tally *sum, const struct tally *tally)
{
    sum->rounds += tally->rounds;
    sum->operations += tally->operations;
    for (int kind = 0; kind < KINDS; kind++) {
        sum->faults[kind] += tally->faults[kind];
        sum->overlaps[kind] += tally->overlaps[kind];
    }
}

/* Each kind of change met operations that ran, and stopped some of them. */
static void check_tallies(const struct tally *tallies, unsigned processes)
{
    struct tally sum = { };

    for (unsigned i = 0; i < processes; i++) {
        add_up(&sum, &tallies[i]);
    }
    svm_note("%u processes: %lu rounds, %lu operations, %lu MiB compared; "
             "faults: %lu by munmap, %lu by mmap, %lu by mprotect; overlaps: "
             "%lu munmap, %lu mmap, %lu mprotect, %lu swap, %lu fork",
             processes, sum.rounds, sum.operations,
             sum.rounds * 2 * SIZE / MIB, sum.faults[UNMAP],
             sum.faults[REMAP], sum.faults[PROTECT], sum.overlaps[UNMAP],
             sum.overlaps[REMAP], sum.overlaps[PROTECT], sum.overlaps[SWAP],
             sum.overlaps[FORK]);
    if (!(sum.faults[UNMAP] + sum.faults[REMAP] + sum.faults[PROTECT])) {
        svm_fail("no operation met memory that was taken away");
    }
    for (int kind = UNMAP; kind < KINDS; kind++) {
        if (!sum.overlaps[kind]) {
            svm_fail("no operation ran during %s", kind_names[kind]);
        }
    }
}

struct svm_stress *svm_stress_new(unsigned processes, bool may_lose)
{
    struct svm_stress *s = svm_map_shared(sizeof(*s));

    s->deadline = INFINITY;
    s->may_lose = may_lose;
    s->processes = processes;
    s->children = svm_map_shared(processes * sizeof(*s->children));
    s->tallies = svm_map_shared(processes * sizeof(*s->tallies));
    return s;
}

void svm_stress_start(struct svm_stress *s, unsigned number, const char *path,
                      uint64_t seed)
{
    pid_t parent = getpid();
    pid_t child = svm_start_child();

    if (!child) {
        svm_end_with(parent);
        run_worker(s, number, path, seed);
    }
    s->children[number] = child;
}

void svm_stress_start_all(struct svm_stress *s, uint64_t seed)
{
    for (unsigned i = 0; i < s->processes; i++) {
        svm_stress_start(s, i, NULL, seed);
    }
}

pid_t svm_stress_pid(struct svm_stress *s, unsigned number)
{
    return s->children[number];
}

void svm_stress_forget(struct svm_stress *s, unsigned number)
{
    s->children[number] = 0;
}

uint64_t svm_stress_operations(const struct svm_stress *s)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < s->processes; i++) {
        sum += s->tallies[i].operations;
    }
    return sum;
}

void svm_stress_set_deadline(struct svm_stress *s, double deadline)
{
    s->deadline = deadline;
}

void svm_stress_expect_stop(struct svm_stress *s, bool expect)
{
    if (expect != s->moments % 2) {
        s->moments++;
    }
}

void svm_stress_finish(struct svm_stress *s)
{
    for (unsigned i = 0; i < s->processes; i++) {
        if (s->children[i]) {
            svm_join_child(s->children[i]);
        }
    }
    check_tallies(s->tallies, s->processes);
    munmap(s->tallies, s->processes * sizeof(*s->tallies));
    munmap(s->children, s->processes * sizeof(*s->children));
    munmap(s, sizeof(*s));
}

void svm_stress(unsigned processes, unsigned seconds, uint64_t seed)
{
    struct svm_stress *s = svm_stress_new(processes, false);

    svm_stress_set_deadline(s, svm_seconds() + seconds);
    svm_stress_start_all(s, seed);
    svm_stress_finish(s);
}

void svm_run_stress(void)
{
    svm_stress(SVM_QUEUES, 120, 1);
}

void svm_run_stress_brief(void)
{
    svm_stress(8, 5, 1);
}
