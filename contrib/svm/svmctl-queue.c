/*
 * svmctl: scenarios with queues: operations, their errors, states
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "svmctl.h"

#define FILL_ARG 0x8877665544332211ULL

/* A user without privileges */
#define NOBODY 65534

struct libsvm_queue *svm_queue_open(struct libsvm *svm, unsigned size)
{
    struct libsvm_queue *queue = NULL;

    svm_need_ok(libsvm_queue_open(svm, size, &queue), "opening a queue");
    return queue;
}

struct svm_record svm_queue_run(struct libsvm_queue *queue,
                                const struct libsvm_op *op)
{
    struct svm_record record;

    svm_need_ok(libsvm_run(queue, op, &record), "an operation");
    return record;
}

struct svm_record svm_queue_wait(struct libsvm_queue *queue, uint64_t ticket)
{
    struct svm_record record;

    svm_need_ok(libsvm_wait(queue, ticket, -1, &record),
                "waiting for an operation");
    return record;
}

struct svm_record svm_queue_expect(struct libsvm_queue *queue,
                                   const struct libsvm_op *op,
                                   unsigned status)
{
    struct svm_record record = svm_queue_run(queue, op);

    if (record.status != status) {
        svm_fail("operation %u, flags 0x%x, of %llu bytes: %s at 0x%llx, "
                 "not %s", op->op, op->flags, (unsigned long long)op->len,
                 libsvm_status_name(record.status),
                 (unsigned long long)record.addr, libsvm_status_name(status));
    }
    return record;
}

static void expect_done(const struct svm_record *record, uint64_t done,
                        uint64_t value)
{
    if (record->done != done || record->value != value || record->addr ||
        record->side != SVM_SIDE_NONE) {
        svm_fail("a record has done %llu, value 0x%llx, address 0x%llx, "
                 "side %u, not done %llu, value 0x%llx",
                 (unsigned long long)record->done,
                 (unsigned long long)record->value,
                 (unsigned long long)record->addr, record->side,
                 (unsigned long long)done, (unsigned long long)value);
    }
}

static void expect_fault(const struct svm_record *record, const uint8_t *addr,
                         unsigned side, uint64_t done)
{
    if (record->addr != (uintptr_t)addr || record->side != side ||
        record->done != done) {
        svm_fail("%s at 0x%llx, side %u, after %llu bytes, not at %p, side %u, "
                 "after %llu", libsvm_status_name(record->status),
                 (unsigned long long)record->addr, record->side,
                 (unsigned long long)record->done, addr, side,
                 (unsigned long long)done);
    }
}

void svm_queue_fill(struct libsvm_queue *queue, uint8_t *buf, size_t size,
                    uint64_t arg)
{
    const struct libsvm_op op = {
        .op = SVM_OP_FILL, .dst = buf, .len = size, .arg = arg,
    };
    struct svm_record record = svm_queue_expect(queue, &op, SVM_CPL_OK);

    expect_done(&record, size, 0);
    for (size_t i = 0; i < size; i++) {
        if (buf[i] != (uint8_t)(arg >> i % 8 * 8)) {
            svm_fail("byte %zu of %zu is 0x%x after a fill", i, size, buf[i]);
        }
    }
}

void svm_queue_crc(struct libsvm_queue *queue, const uint8_t *buf, size_t size)
{
    const struct libsvm_op op = {
        .op = SVM_OP_CRC, .src = buf, .len = size, .arg = SVM_CRC_INIT,
    };
    struct svm_record record = svm_queue_expect(queue, &op, SVM_CPL_OK);

    expect_done(&record, size, svm_crc(buf, size) ^ svm_injected_error());
}

/* Copies @size random bytes, and finds the one that differs. */
static void check_copy(struct libsvm_queue *queue, uint8_t *dst, uint8_t *src,
                       size_t size)
{
    static uint64_t seed = 1000;
    struct libsvm_op op = {
        .op = SVM_OP_COPY, .src = src, .dst = dst, .len = size,
    };
    struct svm_record record;

    svm_fill_random(src, size, ++seed);
    record = svm_queue_expect(queue, &op, SVM_CPL_OK);
    expect_done(&record, size, 0);
    svm_check_random(dst, size, seed, "the copy");
    svm_check_random(src, size, seed, "the source of the copy");

    op.op = SVM_OP_COMPARE;
    record = svm_queue_expect(queue, &op, SVM_CPL_OK);
    expect_done(&record, size, size);
    if (size) {
        size_t at = seed % size;

        dst[at] ^= 0x20;
        record = svm_queue_expect(queue, &op, SVM_CPL_DIFFERENT);
        if (record.value != at) {
            svm_fail("compare found byte %llu, not %zu, of %zu",
                     (unsigned long long)record.value, at, size);
        }
    }
}

/* All operations on buffers of odd sizes at odd places, with guards. */
void svm_run_queue_ops(void)
{
    static const size_t sizes[] = { 0, 1, 7, 8, 9, 250, 4095, 4096, 4097,
                                    12345, 300000 };
    const size_t half = 80 * PAGE;
    struct libsvm_queue *queue = svm_queue_open(svm_open(), 16);
    struct libsvm_op nop = { .op = SVM_OP_NOP, .len = 5, .src = (void *)9 };
    struct svm_record record = svm_queue_expect(queue, &nop, SVM_CPL_OK);
    uint8_t *map = svm_map_small(2 * half);

    expect_done(&record, record.done, 0);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        const size_t size = sizes[i];
        uint8_t *dst = map + PAGE + i;
        uint8_t *src = map + half + 3 * i;
        const struct libsvm_op translate = {
            .op = SVM_OP_TRANSLATE, .src = src, .len = size,
            .flags = i & 1 ? SVM_DESC_F_WRITE : 0,
        };

        record = svm_queue_expect(queue, &translate, SVM_CPL_OK);
        expect_done(&record, size, 0);
        svm_fill(dst - 100, size + 200, GUARD_BYTE);
        svm_queue_fill(queue, dst, size, FILL_ARG);
        svm_check_filled(dst - 100, 100, GUARD_BYTE, "before the buffer");
        svm_check_filled(dst + size, 100, GUARD_BYTE, "after the buffer");
        check_copy(queue, dst, src, size);
        svm_check_filled(dst - 100, 100, GUARD_BYTE, "before the copy");
        svm_check_filled(dst + size, 100, GUARD_BYTE, "after the copy");
        svm_queue_crc(queue, dst, size);
    }
}

/* A hole and a read-only page: the record says where, and no byte is after. */
static void check_faults(struct libsvm_queue *queue)
{
    uint8_t *src = svm_map_small(8 * PAGE);
    uint8_t *dst = svm_map_small(8 * PAGE);
    struct libsvm_op op = {
        .op = SVM_OP_COPY, .src = src + 10, .dst = dst + 20, .len = 6 * PAGE,
    };
    size_t done = 4 * PAGE - 10;
    struct svm_record record;

    svm_fill_random(src, 8 * PAGE, 1);
    svm_fill(dst, 8 * PAGE, GUARD_BYTE);
    svm_unmap(src + 4 * PAGE, PAGE);
    record = svm_queue_expect(queue, &op, SVM_CPL_UNMAPPED);
    expect_fault(&record, src + 4 * PAGE, SVM_SIDE_SRC, done);
    if (memcmp(dst + 20, src + 10, done)) {
        svm_fail("what precedes a hole was not copied");
    }
    svm_check_filled(dst + 20 + done, 8 * PAGE - 20 - done, GUARD_BYTE,
                     "what follows the hole");

    op.op = SVM_OP_CRC;
    op.arg = SVM_CRC_INIT;
    record = svm_queue_expect(queue, &op, SVM_CPL_UNMAPPED);
    expect_fault(&record, src + 4 * PAGE, SVM_SIDE_SRC, done);

    svm_fill(dst, 8 * PAGE, GUARD_BYTE);
    svm_need(!mprotect(dst + 3 * PAGE, PAGE, PROT_READ), "mprotect");
    op.op = SVM_OP_FILL;
    record = svm_queue_expect(queue, &op, SVM_CPL_PERMISSION);
    expect_fault(&record, dst + 3 * PAGE, SVM_SIDE_DST, 3 * PAGE - 20);
    svm_check_filled(dst + 3 * PAGE, 5 * PAGE, GUARD_BYTE,
                     "what follows the read-only page");

    op = (struct libsvm_op) { .op = SVM_OP_TRANSLATE, .src = dst,
                              .len = 8 * PAGE, .flags = SVM_DESC_F_WRITE };
    record = svm_queue_expect(queue, &op, SVM_CPL_PERMISSION);
    expect_fault(&record, dst + 3 * PAGE, SVM_SIDE_SRC, 3 * PAGE);
    op.flags = 0;
    svm_queue_expect(queue, &op, SVM_CPL_OK);
}

static void check_invalid(struct libsvm_queue *queue, uint8_t *buf)
{
    const struct libsvm_op ops[] = {
        { .op = SVM_OP_TRANSLATE + 1 },
        { .op = SVM_OP_NOP, .flags = SVM_DESC_F_MASK + 1 },
        { .op = SVM_OP_CRC, .src = buf, .len = 1, .arg = 0x100 },
        { .op = SVM_OP_CRC, .src = (void *)-10L, .len = 11 },
        { .op = SVM_OP_COPY, .src = buf, .dst = (void *)-10L, .len = 11 },
    };
    const struct libsvm_op peer[] = {
        { .op = SVM_OP_CRC, .src = buf, .len = 1,
          .flags = SVM_DESC_F_SRC_PEER },
        { .op = SVM_OP_FILL, .dst = buf, .len = 1,
          .flags = SVM_DESC_F_DST_PEER },
    };

    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        svm_queue_expect(queue, &ops[i], SVM_CPL_INVALID);
    }
    for (size_t i = 0; i < ARRAY_SIZE(peer); i++) {
        svm_queue_expect(queue, &peer[i], SVM_CPL_NO_PEER);
    }
}

/* A chain ends where a link fails; what has no fence starts anew. */
static void check_fence(struct libsvm_queue *queue, uint8_t *buf)
{
    const struct libsvm_op ops[] = {
        { .op = SVM_OP_FILL, .dst = buf, .len = 8, .arg = 1 },
        { .op = SVM_OP_FILL, .dst = buf, .len = 8, .arg = 2,
          .flags = SVM_DESC_F_FENCE | LIBSVM_QUIET },
        { .op = SVM_OP_FILL, .dst = NULL, .len = 8,
          .flags = SVM_DESC_F_FENCE },
        { .op = SVM_OP_FILL, .dst = buf, .len = 8, .arg = 3,
          .flags = SVM_DESC_F_FENCE },
        { .op = SVM_OP_FILL, .dst = buf, .len = 8, .arg = 4,
          .flags = SVM_DESC_F_FENCE | LIBSVM_QUIET },
        { .op = SVM_OP_CRC, .src = buf, .len = 8, .arg = SVM_CRC_INIT,
          .flags = LIBSVM_QUIET },
    };
    static const unsigned statuses[] = {
        SVM_CPL_OK, SVM_CPL_OK, SVM_CPL_UNMAPPED, SVM_CPL_SKIPPED,
        SVM_CPL_SKIPPED, SVM_CPL_OK,
    };
    uint64_t last;

    svm_need_ok(libsvm_submit_all(queue, ops, ARRAY_SIZE(ops), &last),
                "submitting a chain");
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        struct svm_record record;

        record = svm_queue_wait(queue, last + 1 - ARRAY_SIZE(ops) + i);
        if (record.status != statuses[i]) {
            svm_fail("link %zu of the chain: %s, not %s", i,
                     libsvm_status_name(record.status),
                     libsvm_status_name(statuses[i]));
        }
    }
    if (buf[0] != 2) {
        svm_fail("the chain has written %u", buf[0]);
    }
}

void svm_run_queue_errors(void)
{
    struct libsvm_queue *queue = svm_queue_open(svm_open(), 8);
    uint8_t *buf = malloc(100);

    svm_need(buf, "malloc");
    check_faults(queue);
    check_invalid(queue, buf);
    check_fence(queue, buf);
    svm_queue_fill(queue, buf, 100, FILL_ARG);
}

uint32_t *svm_map_doorbell(struct libsvm *svm, unsigned number)
{
    uint32_t *doorbell = mmap(NULL, SVM_DOORBELL_SIZE, PROT_READ | PROT_WRITE,
                              MAP_SHARED, libsvm_fd(svm),
                              (off_t)number * SVM_DOORBELL_SIZE);

    svm_need(doorbell != MAP_FAILED, "mmap of a doorbell");
    return doorbell;
}

static void ring_doorbell(uint32_t *doorbell, uint32_t tail)
{
    __atomic_store_n(doorbell + SVM_DB_TAIL / 4, tail, __ATOMIC_RELEASE);
}

/* More than the ring has: full, then in turns, and old results are lost. */
static void check_ring(struct libsvm_queue *queue, unsigned size)
{
    uint64_t values[64] = { };
    uint64_t ticket, first = 0;
    struct libsvm_op op = { .op = SVM_OP_FILL, .len = 8 };

    svm_need_ok(libsvm_queue_control(queue, SVM_CTRL_PAUSE), "pausing");
    for (unsigned i = 0; i < size; i++) {
        op.dst = &values[i];
        op.arg = i + 1;
        svm_need_ok(libsvm_submit(queue, &op, i ? &ticket : &first),
                    "submitting");
    }
    if (libsvm_submit(queue, &op, NULL) != -EAGAIN ||
        libsvm_queue_room(queue)) {
        svm_fail("a full queue took an operation");
    }
    if (libsvm_poll(queue, first, NULL) != -EAGAIN || values[0]) {
        svm_fail("a paused queue has executed an operation");
    }
    svm_need_ok(libsvm_queue_control(queue, SVM_CTRL_RESUME), "resuming");
    svm_queue_wait(queue, ticket);
    for (unsigned i = 0; i < 1000; i++) {
        op.dst = &values[i % size];
        op.arg = i;
        svm_need_ok(libsvm_submit(queue, &op, &ticket), "submitting");
        svm_queue_wait(queue, ticket);
        if (values[i % size] != i) {
            svm_fail("operation %u had no effect", i);
        }
    }
    if (libsvm_poll(queue, first, NULL) != -ESTALE ||
        libsvm_poll(queue, ticket + 1, NULL) != -EINVAL) {
        svm_fail("a queue has results that it cannot have");
    }
}

/* A bad doorbell is the queue's error, and nobody else's. */
static void check_doorbell(struct libsvm *svm, struct libsvm_queue *queue)
{
    struct libsvm_op op = { .op = SVM_OP_NOP };
    struct libsvm_queue *other = svm_queue_open(svm, 1);
    uint32_t *doorbell = svm_map_doorbell(svm, libsvm_queue_number(queue));
    struct svm_queue_status status;
    uint64_t ticket;

    ring_doorbell(doorbell, -1);
    svm_need_ok(libsvm_queue_status(queue, &status), "status of a queue");
    if (status.state != SVM_STATE_ERROR ||
        SVM_ERROR_CAUSE(status.error) != SVM_ERROR_DOORBELL) {
        svm_fail("a bad doorbell: state %s, error %s",
                 libsvm_state_name(status.state),
                 libsvm_error_name(status.error));
    }
    svm_need_ok(libsvm_submit(queue, &op, &ticket), "submitting");
    if (libsvm_wait(queue, ticket, 1000, NULL) != -EIO) {
        svm_fail("a queue in error works");
    }
    svm_queue_run(other, &op);
    libsvm_queue_close(other);

    svm_need_ok(libsvm_queue_control(queue, SVM_CTRL_ABORT), "aborting");
    svm_need_ok(libsvm_queue_control(queue, SVM_CTRL_ENABLE), "enabling");
    if (libsvm_poll(queue, ticket, NULL) != -ECANCELED) {
        svm_fail("an operation of before the error has a result");
    }
    svm_queue_run(queue, &op);
}

/* A queue from which the process takes the ring away: its file */
static int lose_ring(struct libsvm *svm, struct svm_queue_create *create)
{
    uint8_t *map = svm_map_small(2 * PAGE);
    struct pollfd wait = { .events = POLLIN };
    uint32_t *doorbell;

    *create = (struct svm_queue_create) {
        .ring = (uintptr_t)map, .records = (uintptr_t)map + PAGE, .size = 4,
    };
    wait.fd = ioctl(libsvm_fd(svm), SVM_IOC_QUEUE, create);
    svm_need(wait.fd >= 0, "making a queue");
    doorbell = svm_map_doorbell(svm, create->number);
    svm_unmap(map, PAGE);
    ring_doorbell(doorbell, 1);
    svm_need(poll(&wait, 1, 10000) == 1, "waiting for an error");
    svm_unmap(doorbell, SVM_DOORBELL_SIZE);
    return wait.fd;
}

static void check_lost_ring(struct libsvm *svm)
{
    struct svm_queue_create create;
    int fd = lose_ring(svm, &create);
    struct svm_queue_status status;

    svm_need(!ioctl(fd, SVM_QUEUE_IOC_STATUS, &status), "status of a queue");
    if (status.state != SVM_STATE_ERROR ||
        SVM_ERROR_CAUSE(status.error) != SVM_ERROR_RING ||
        SVM_ERROR_STATUS(status.error) != SVM_CPL_UNMAPPED ||
        status.addr != create.ring) {
        svm_fail("no ring: state %s, error 0x%x at 0x%llx",
                 libsvm_state_name(status.state), status.error,
                 (unsigned long long)status.addr);
    }
    close(fd);
}

/* A doorbell that was mapped is no way to the queue's next owner. */
static void check_old_doorbell(struct libsvm *svm)
{
    struct libsvm_queue *queue = svm_queue_open(svm, 4);
    unsigned number = libsvm_queue_number(queue);
    uint32_t *doorbell = svm_map_doorbell(svm, number);
    const struct libsvm_op op = { .op = SVM_OP_NOP };
    struct libsvm *other = svm_open();

    svm_queue_run(queue, &op);
    ring_doorbell(doorbell, 1);
    libsvm_queue_close(queue);
    queue = svm_queue_open(other, 4);
    if (libsvm_queue_number(queue) != number) {
        svm_fail("the queue has number %u, not %u",
                 libsvm_queue_number(queue), number);
    }
    ring_doorbell(doorbell, -1);
    svm_queue_run(queue, &op);
    libsvm_queue_close(queue);
    libsvm_close(other);
    svm_unmap(doorbell, SVM_DOORBELL_SIZE);
}

void svm_run_queue_ring(void)
{
    struct libsvm *svm = svm_open();
    struct libsvm_queue *queue = svm_queue_open(svm, 8);

    check_ring(queue, 8);
    check_doorbell(svm, queue);
    check_lost_ring(svm);
    check_old_doorbell(svm);
    check_ring(queue, 8);
}

/* A queue with a peer and an address: is @svm told? */
static void check_info(struct libsvm *svm,
                       const struct svm_queue_create *create, bool told)
{
    struct svm_queue_info info;

    svm_need_ok(libsvm_queue_info(svm, create->number, &info), "queue info");
    if (!info.used || info.status.state != SVM_STATE_ERROR) {
        svm_fail("queue %u is not in error", create->number);
    }
    if (info.status.addr != (told ? create->ring : 0) ||
        (info.peer != 0) != told) {
        svm_fail("what is told of queue %u: address 0x%llx, peer 0x%x",
                 create->number, (unsigned long long)info.status.addr,
                 info.peer);
    }
}

/* Makes such a queue. */
static void make_telling_queue(struct libsvm *svm,
                               struct svm_queue_create *create)
{
    int fd = lose_ring(svm, create);
    int grant = libsvm_grant(svm, SVM_PEER_READ);

    svm_need_ok(grant, "granting");
    svm_need(!ioctl(fd, SVM_QUEUE_IOC_PEER, grant), "setting the peer");
    check_info(svm, create, true);
}

/* Without privileges, with a queue of its own */
static void asking_child(const struct svm_queue_create *others)
{
    struct libsvm *svm = svm_open();
    struct svm_queue_create own;

    make_telling_queue(svm, &own);
    svm_need(!setresuid(NOBODY, NOBODY, NOBODY), "setresuid");
    check_info(svm, &own, true);
    check_info(svm, others, false);
    _exit(0);
}

/* Where a process has its memory, and a peer, is not told to others. */
void svm_run_queue_info(void)
{
    struct libsvm *svm = svm_open();
    struct svm_queue_create create;
    pid_t child;

    make_telling_queue(svm, &create);
    check_info(svm_open(), &create, true);
    child = svm_start_child();
    if (!child) {
        asking_child(&create);
    }
    svm_join_child(child);
}

uint8_t *svm_queue_start_long(struct libsvm_queue *queue, uint64_t *ticket)
{
    uint8_t *map = svm_map_small(SVM_LONG_SIZE);
    const struct libsvm_op op = {
        .op = SVM_OP_FILL, .dst = map, .len = SVM_LONG_SIZE, .arg = ~0ULL,
    };

    svm_need_ok(libsvm_submit(queue, &op, ticket), "submitting");
    while (!__atomic_load_n(map + 20 * PAGE, __ATOMIC_ACQUIRE)) {
        usleep(100);
    }
    return map;
}

static void check_abort(struct libsvm_queue *queue)
{
    uint64_t ticket;
    uint8_t *map = svm_queue_start_long(queue, &ticket);

    svm_need_ok(libsvm_queue_control(queue, SVM_CTRL_ABORT), "aborting");
    svm_fill(map, 8 * MIB, GUARD_BYTE);
    if (libsvm_poll(queue, ticket, NULL) != -ECANCELED) {
        svm_fail("an operation has survived an abort");
    }
    svm_need_ok(libsvm_queue_control(queue, SVM_CTRL_ENABLE), "enabling");
    svm_queue_fill(queue, map + 8 * MIB, PAGE, FILL_ARG);
    svm_check_filled(map, 8 * MIB, GUARD_BYTE, "after the abort");
    svm_unmap(map, SVM_LONG_SIZE);
}

static void check_drain(struct libsvm_queue *queue)
{
    const size_t size = 2 * MIB;
    uint8_t *map = svm_map_small(size);
    struct libsvm_op op = {
        .op = SVM_OP_FILL, .dst = map, .len = size, .arg = FILL_ARG,
    };
    const struct libsvm_op crc = {
        .op = SVM_OP_CRC, .src = map, .len = size, .arg = SVM_CRC_INIT,
        .flags = LIBSVM_QUIET,
    };
    struct svm_record record;
    uint64_t ticket;

    svm_need_ok(libsvm_submit(queue, &op, NULL), "submitting");
    svm_need_ok(libsvm_submit(queue, &crc, &ticket), "submitting");
    svm_need_ok(libsvm_queue_control(queue, SVM_CTRL_DRAIN), "draining");
    svm_need_ok(libsvm_poll(queue, ticket, &record), "what was drained");
    expect_done(&record, size, svm_crc(map, size));
    if (libsvm_queue_control(queue, SVM_CTRL_PAUSE) != -EINVAL) {
        svm_fail("a disabled queue was paused");
    }
    op.dst = map + PAGE;
    op.arg = 0;
    svm_need_ok(libsvm_submit(queue, &op, &ticket), "submitting");
    if (libsvm_wait(queue, ticket, 1000, NULL) != -EIO) {
        svm_fail("a disabled queue works");
    }
    svm_need_ok(libsvm_queue_control(queue, SVM_CTRL_ENABLE), "enabling");
    if (map[PAGE] != (FILL_ARG & 0xff)) {
        svm_fail("a disabled queue has worked");
    }
}

void svm_run_queue_control(void)
{
    struct libsvm_queue *queue = svm_queue_open(svm_open(), 8);

    for (int i = 0; i < 3; i++) {
        check_abort(queue);
        check_drain(queue);
    }
    svm_queue_fill(queue, svm_map_small(PAGE), PAGE, FILL_ARG);
}

/* Neither ends the other's work, though they may share an interrupt. */
void svm_run_queue_command(void)
{
    const size_t size = 32 * MIB;
    struct libsvm *svm = svm_open();
    struct libsvm_queue *queue = svm_queue_open(svm, 8);
    uint8_t *map = svm_map_small(size);
    uint8_t *other = svm_map_small(MIB);
    uint64_t commands = svm_counter(svm, SVM_STAT_COMMANDS);
    unsigned n = 0;

    svm_submit(svm, SVM_CMD_WRITE, map, size, 0, 0);
    do {
        svm_queue_fill(queue, other, PAGE, FILL_ARG + n++);
    } while (n < 10 || svm_counter(svm, SVM_STAT_COMMANDS) == commands);
    if (svm_wait(svm) != SVM_STATUS_OK) {
        svm_fail("the command failed");
    }
    svm_check_pattern(map, size, "what the command wrote");
    svm_note("%u operations during a command", n);
}

#define MANY SVM_QUEUES

/* All queues of the device in one process; poll() says which one is done. */
void svm_run_queue_many(void)
{
    const size_t size = 16 * PAGE;
    struct libsvm *svm = svm_open();
    struct libsvm_queue *queues[MANY], *more;
    uint8_t *map = svm_map_small(MANY * size);
    uint64_t tickets[MANY];

    for (int i = 0; i < MANY; i++) {
        queues[i] = svm_queue_open(svm, 4);
    }
    if (libsvm_queue_open(svm, 4, &more) != -ENOSPC) {
        svm_fail("the device has more queues than it should");
    }
    for (int i = 0; i < MANY; i++) {
        const struct libsvm_op op = {
            .op = SVM_OP_FILL, .dst = map + i * size, .len = size, .arg = i,
        };

        svm_need_ok(libsvm_submit(queues[i], &op, &tickets[i]), "submitting");
    }
    for (int i = 0; i < MANY; i++) {
        struct pollfd wait = {
            .fd = libsvm_queue_fd(queues[i]), .events = POLLIN,
        };

        svm_need(poll(&wait, 1, 60000) == 1, "waiting for a queue");
        if (svm_queue_wait(queues[i], tickets[i]).status != SVM_CPL_OK) {
            svm_fail("queue %d failed", i);
        }
    }
    for (int i = 0; i < MANY; i++) {
        if (*(uint64_t *)(map + i * size + size - 8) != (uint64_t)i) {
            svm_fail("queue %d did not do its work", i);
        }
        libsvm_queue_close(queues[i]);
    }
    libsvm_queue_close(svm_queue_open(svm, 4));
}
