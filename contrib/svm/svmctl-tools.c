/*
 * svmctl: commands that put the device to use, by its queues
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "svmctl.h"

/* A mapped file; size 0 has no mapping */
struct mapped_file {
    int fd;
    size_t size;
    uint8_t *map;
};

static void map_file(struct mapped_file *file, const char *path, int prot)
{
    if (file->size) {
        file->map = mmap(NULL, file->size, prot, MAP_SHARED, file->fd, 0);
        svm_need(file->map != MAP_FAILED, path);
    }
}

static void open_source(struct mapped_file *file, const char *path)
{
    struct stat st;

    file->fd = open(path, O_RDONLY | O_CLOEXEC);
    svm_need(file->fd >= 0 && !fstat(file->fd, &st), path);
    if (!S_ISREG(st.st_mode)) {
        svm_fail("%s: not a regular file", path);
    }
    file->size = st.st_size;
    map_file(file, path, PROT_READ);
}

static bool is_same_file(int fd, const char *path)
{
    struct stat a, b;

    return !fstat(fd, &a) && !stat(path, &b) && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* As large as the source, with the space that it takes. */
static void open_destination(struct mapped_file *file, const char *path,
                             size_t size)
{
    int error = 0;

    file->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    svm_need(file->fd >= 0, path);
    if (size) {
        error = posix_fallocate(file->fd, 0, size);
    }
    if (error) {
        svm_fail("%s: %s", path, strerror(error));
    }
    file->size = size;
    map_file(file, path, PROT_READ | PROT_WRITE);
}

static void close_file(struct mapped_file *file)
{
    if (file->size) {
        svm_unmap(file->map, file->size);
    }
    close(file->fd);
}

static uint64_t run_or_fail(struct libsvm_queue *queue,
                            const struct libsvm_op *op)
{
    struct svm_record record = svm_queue_run(queue, op);

    if (record.status != SVM_CPL_OK) {
        svm_fail("%s at 0x%llx after %llu of %llu bytes",
                 libsvm_status_name(record.status),
                 (unsigned long long)record.addr,
                 (unsigned long long)record.done,
                 (unsigned long long)op->len);
    }
    return record.value;
}

static void print_rate(const char *what, size_t size, double seconds)
{
    printf("%s %zu bytes in %.1f ms, %.0f MiB/s\n", what, size,
           seconds * 1000, size / seconds / MIB);
}

void svm_copy_file(const char *from, const char *to)
{
    struct libsvm *svm = svm_open();
    struct libsvm_queue *queue = svm_queue_open(svm, 1);
    struct mapped_file src = { }, dst = { };
    double start = svm_seconds();
    struct libsvm_op op = { .op = SVM_OP_COPY };

    open_source(&src, from);
    if (is_same_file(src.fd, to)) {
        svm_fail("%s and %s are the same file", from, to);
    }
    open_destination(&dst, to, src.size);
    op.src = src.map;
    op.dst = dst.map;
    op.len = src.size;
    run_or_fail(queue, &op);
    print_rate("copied", src.size, svm_seconds() - start);
    close_file(&src);
    close_file(&dst);
    libsvm_queue_close(queue);
    libsvm_close(svm);
}

uint8_t svm_crc_file(const char *path)
{
    struct libsvm *svm = svm_open();
    struct libsvm_queue *queue = svm_queue_open(svm, 1);
    struct libsvm_op op = { .op = SVM_OP_CRC, .arg = SVM_CRC_INIT };
    struct mapped_file file = { };
    uint8_t crc;

    open_source(&file, path);
    op.src = file.map;
    op.len = file.size;
    crc = run_or_fail(queue, &op);
    printf("0x%02x  %s\n", crc, path);
    close_file(&file);
    libsvm_queue_close(queue);
    libsvm_close(svm);
    return crc;
}

/* bench: how often an operation can be done in some time */

#define BENCH_SIZE  (16 * MIB)
#define BENCH_QUEUE 64

struct bench {
    const char *name;
    uint32_t op;
    uint64_t size;
    unsigned batch;         /* operations that are submitted at once */
    bool fresh;             /* destinations that nobody has touched */
};

static const struct bench benches[] = {
    { "no-op, one by one", SVM_OP_NOP, 0, 1, false },
    { "no-op", SVM_OP_NOP, 0, BENCH_QUEUE, false },
    { "translate", SVM_OP_TRANSLATE, 16 * MIB, 1, false },
    { "fill", SVM_OP_FILL, MIB, 8, false },
    { "copy", SVM_OP_COPY, 4 * KIB, BENCH_QUEUE, false },
    { "copy", SVM_OP_COPY, 64 * KIB, 16, false },
    { "copy", SVM_OP_COPY, MIB, 8, false },
    { "copy", SVM_OP_COPY, 16 * MIB, 1, false },
    { "copy, page faults", SVM_OP_COPY, MIB, 1, true },
    { "compare", SVM_OP_COMPARE, MIB, 8, false },
    { "CRC", SVM_OP_CRC, MIB, 8, false },
};

static void bench_batch(struct libsvm_queue *queue, const struct bench *b,
                        uint8_t *src, uint8_t *dst)
{
    struct libsvm_op ops[BENCH_QUEUE];
    uint64_t last;

    for (unsigned i = 0; i < b->batch; i++) {
        ops[i] = (struct libsvm_op) {
            .op = b->op, .src = src, .dst = dst, .len = b->size,
            .flags = i + 1 < b->batch ? LIBSVM_QUIET : 0,
        };
    }
    if (b->fresh) {
        svm_need(!madvise(dst, b->size, MADV_DONTNEED), "MADV_DONTNEED");
    }
    svm_need_ok(libsvm_submit_all(queue, ops, b->batch, &last), "submitting");
    svm_queue_wait(queue, last);
}

static void bench_one(struct libsvm_queue *queue, const struct bench *b,
                      uint8_t *src, uint8_t *dst, double seconds)
{
    unsigned long n = 0;
    double start, time;

    bench_batch(queue, b, src, dst);
    start = svm_seconds();
    do {
        bench_batch(queue, b, src, dst);
        n += b->batch;
        time = svm_seconds() - start;
    } while (time < seconds);
    printf("%-18s %9llu %6u %12.1f %12.0f\n", b->name,
           (unsigned long long)b->size, b->batch, time / n * 1e6,
           b->size * n / time / MIB);
}

void svm_bench(double seconds)
{
    struct libsvm *svm = svm_open();
    struct libsvm_queue *queue = svm_queue_open(svm, BENCH_QUEUE);
    uint8_t *src = svm_map_small(BENCH_SIZE);
    uint8_t *dst = svm_map_small(BENCH_SIZE);

    svm_fill(src, BENCH_SIZE, 1);
    svm_fill(dst, BENCH_SIZE, 1);
    printf("%-18s %9s %6s %12s %12s\n", "operation", "bytes", "batch",
           "each, us", "MiB/s");
    for (size_t i = 0; i < ARRAY_SIZE(benches); i++) {
        bench_one(queue, &benches[i], src, dst, seconds);
    }
    svm_unmap(src, BENCH_SIZE);
    svm_unmap(dst, BENCH_SIZE);
    libsvm_queue_close(queue);
    libsvm_close(svm);
}

/* status */

static void print_queue(unsigned number, const struct svm_queue_info *info)
{
    printf("%-5u %7u %7u %-9s %10u %10u", number, info->pid, info->pasid,
           libsvm_state_name(info->status.state), info->status.head,
           info->status.tail);
    if (info->peer) {
        printf("  peer %u%s%s", info->peer & SVM_PEER_PASID_MASK,
               info->peer & SVM_PEER_READ ? " read" : "",
               info->peer & SVM_PEER_WRITE ? " write" : "");
    }
    if (info->status.error) {
        printf("  %s", libsvm_error_name(info->status.error));
    }
    printf("\n");
}

void svm_print_status(void)
{
    struct libsvm *svm = svm_open();
    uint64_t counters[SCENARIO_COUNTERS];
    struct svm_queue_info info;
    unsigned used = 0;

    svm_read_counters(svm, counters);
    for (int i = 0; i < SCENARIO_COUNTERS; i++) {
        printf("%-14s %llu\n", scenario_counter_name(i),
               (unsigned long long)counters[i]);
    }
    for (unsigned n = 0; n < SVM_QUEUES; n++) {
        svm_need_ok(libsvm_queue_info(svm, n, &info), "asking for a queue");
        if (info.used && !used++) {
            printf("\n%-5s %7s %7s %-9s %10s %10s\n", "queue", "process",
                   "PASID", "state", "head", "tail");
        }
        if (info.used) {
            print_queue(n, &info);
        }
    }
    printf("\n%u of %u queues in use\n", used, SVM_QUEUES);
    libsvm_close(svm);
}

/* The scenario: what the commands print goes nowhere, what they do counts. */

static void make_file(const char *path, const uint8_t *data, size_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    svm_need(fd >= 0 && write(fd, data, size) == (ssize_t)size, path);
    close(fd);
}

static void check_file(const char *path, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    svm_need(copy && fd >= 0, path);
    svm_need(read(fd, copy, size + 1) == (ssize_t)size, path);
    if (memcmp(copy, data, size)) {
        svm_fail("%s is not a copy", path);
    }
    close(fd);
    free(copy);
}

void svm_run_tools(void)
{
    static const size_t sizes[] = { 0, 1, 4096, 1234567 };
    const size_t size = 1234567;
    uint8_t *data = malloc(size);

    svm_need(data && freopen("/dev/null", "w", stdout), "/dev/null");
    svm_fill_random(data, size, 1);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        make_file("/tmp/from", data, sizes[i]);
        make_file("/tmp/to", data, i & 1 ? size : 0);
        svm_copy_file("/tmp/from", "/tmp/to");
        check_file("/tmp/to", data, sizes[i]);
        if (svm_crc_file("/tmp/to") != svm_crc(data, sizes[i])) {
            svm_fail("crc has printed a wrong CRC");
        }
    }
    unlink("/tmp/from");
    unlink("/tmp/to");
    svm_bench(0.02);
    svm_print_status();
    free(data);
}
