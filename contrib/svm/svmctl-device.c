/*
 * svmctl: commands to the device, and what must be true after one
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "svmctl.h"

void svm_need_ok(int ret, const char *what)
{
    if (ret < 0) {
        svm_fail("%s: %s", what, libsvm_strerror(ret));
    }
}

bool svm_is_gone(int ret)
{
    return ret == -ENODEV || ret == -ENOENT || ret == -ENXIO || ret == -EBUSY;
}

struct libsvm *svm_open_path(const char *path)
{
    struct libsvm *svm = NULL;

    svm_need_ok(libsvm_open(path, &svm), path ? path : "opening the device");
    return svm;
}

struct libsvm *svm_open(void)
{
    return svm_open_path(NULL);
}

void svm_submit(struct libsvm *svm, uint32_t op, const void *addr, size_t size,
                uint8_t crc, uint32_t options)
{
    struct svm_command cmd = {
        .op = op,
        .options = options,
        .addr = (uintptr_t)addr,
        .size = size,
        .crc = crc,
    };

    svm_need_ok(libsvm_command_submit(svm, &cmd), "starting a command");
}

uint64_t svm_wait(struct libsvm *svm)
{
    int status = libsvm_command_wait(svm);

    svm_need_ok(status, "waiting for a command");
    return status;
}

uint64_t svm_run(struct libsvm *svm, uint32_t op, const void *addr,
                 size_t size, uint8_t crc, uint32_t options)
{
    svm_submit(svm, op, addr, size, crc, options);
    return svm_wait(svm);
}

void svm_read_counters(struct libsvm *svm, uint64_t *values)
{
    struct svm_counters counters;

    svm_need_ok(libsvm_counters(svm, &counters), "reading the counters");
    for (int i = 0; i < SCENARIO_COUNTERS; i++) {
        values[i] = counters.value[i];
    }
}

uint64_t svm_counter(struct libsvm *svm, unsigned reg)
{
    uint64_t values[SCENARIO_COUNTERS];

    svm_read_counters(svm, values);
    return values[(reg - SVM_REG_STATS) / 8];
}

uint32_t svm_pasid(struct libsvm *svm)
{
    int pasid = libsvm_pasid(svm);

    svm_need_ok(pasid, "asking for the PASID");
    return pasid;
}

void svm_check_write(struct libsvm *svm, uint8_t *buf, size_t size)
{
    if (svm_run(svm, SVM_CMD_WRITE, buf, size, 0, 0) != SVM_STATUS_OK) {
        svm_fail("the device could not write %zu bytes at %p", size, buf);
    }
    svm_check_pattern(buf, size, "the buffer that the device wrote");
}

void svm_check_read(struct libsvm *svm, const uint8_t *buf, size_t size)
{
    uint8_t crc = svm_crc(buf, size) ^ svm_injected_error();

    if (svm_run(svm, SVM_CMD_READ, buf, size, crc, 0) != SVM_STATUS_OK) {
        svm_fail("the device did not read CRC 0x%x in %zu bytes at %p",
                 crc, size, buf);
    }
    crc ^= 0x10;
    if (svm_run(svm, SVM_CMD_READ, buf, size, crc, 0) != SVM_STATUS_FAILED) {
        svm_fail("the device accepted a wrong CRC of %zu bytes at %p",
                 size, buf);
    }
}

void svm_check_write_fails(struct libsvm *svm, void *addr, size_t size)
{
    if (svm_run(svm, SVM_CMD_WRITE, addr, size, 0, 0) != SVM_STATUS_FAILED) {
        svm_fail("the device was able to write %zu bytes at %p", size, addr);
    }
}

void svm_check_read_fails(struct libsvm *svm, const void *addr, size_t size)
{
    uint64_t bytes = svm_counter(svm, SVM_STAT_BYTES_READ);

    if (svm_run(svm, SVM_CMD_READ, addr, size, 0, 0) != SVM_STATUS_FAILED ||
        svm_run(svm, SVM_CMD_READ, addr, size, 1, 0) != SVM_STATUS_FAILED ||
        svm_counter(svm, SVM_STAT_BYTES_READ) != bytes) {
        svm_fail("the device was able to read %zu bytes at %p", size, addr);
    }
}

void svm_check_buffer(struct libsvm *svm, uint8_t *buf, size_t size,
                      size_t guard)
{
    static uint64_t seed;

    svm_fill(buf - guard, guard, GUARD_BYTE);
    svm_fill(buf + size, guard, GUARD_BYTE);
    svm_fill_random(buf, size, ++seed);
    svm_check_read(svm, buf, size);
    svm_check_random(buf, size, seed, "the buffer that the device read");
    svm_check_write(svm, buf, size);
    svm_check_filled(buf - guard, guard, GUARD_BYTE, "before the buffer");
    svm_check_filled(buf + size, guard, GUARD_BYTE, "after the buffer");
}

uint8_t *svm_start_long_command(struct libsvm *svm)
{
    uint8_t *map = svm_map_small(SVM_LONG_SIZE);
    uint64_t bytes = svm_counter(svm, SVM_STAT_BYTES_WRITTEN);

    svm_submit(svm, SVM_CMD_WRITE, map, SVM_LONG_SIZE, 0, 0);
    while (svm_counter(svm, SVM_STAT_BYTES_WRITTEN) == bytes) {
        usleep(100);
    }
    return map;
}

void svm_check_health(struct libsvm *svm)
{
    uint8_t *block = malloc(5 * PAGE);

    svm_need(block, "malloc");
    svm_check_buffer(svm, block + PAGE + 5, 2 * PAGE, 100);
    free(block);
}
