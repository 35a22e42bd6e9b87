/*
 * svmctl: commands to the device, and what must be true after one
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "svmctl.h"

int svm_open_path(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    svm_need(fd >= 0, path);
    return fd;
}

int svm_open(void)
{
    const char *path = getenv("SVM_DEVICE");

    return svm_open_path(path ? path : "/dev/svm0");
}

void svm_submit(int fd, uint32_t op, const void *addr, size_t size,
                uint8_t crc, uint32_t options)
{
    struct svm_command cmd = {
        .op = op,
        .options = options,
        .addr = (uintptr_t)addr,
        .size = size,
        .crc = crc,
    };
    int ret;

    do {
        ret = ioctl(fd, SVM_IOC_SUBMIT, &cmd);
    } while (ret && errno == EINTR);
    svm_need(!ret, "starting a command");
}

uint64_t svm_wait(int fd)
{
    __u64 status;
    int ret;

    do {
        ret = ioctl(fd, SVM_IOC_WAIT, &status);
    } while (ret && errno == EINTR);
    svm_need(!ret, "waiting for a command");
    return status;
}

uint64_t svm_run(int fd, uint32_t op, const void *addr, size_t size,
                 uint8_t crc, uint32_t options)
{
    svm_submit(fd, op, addr, size, crc, options);
    return svm_wait(fd);
}

void svm_read_counters(int fd, uint64_t *values)
{
    struct svm_counters counters;

    svm_need(!ioctl(fd, SVM_IOC_COUNTERS, &counters), "reading the counters");
    for (int i = 0; i < SCENARIO_COUNTERS; i++) {
        values[i] = counters.value[i];
    }
}

uint64_t svm_counter(int fd, unsigned reg)
{
    uint64_t values[SCENARIO_COUNTERS];

    svm_read_counters(fd, values);
    return values[(reg - SVM_REG_STATS) / 8];
}

uint32_t svm_pasid(int fd)
{
    __u32 pasid;

    svm_need(!ioctl(fd, SVM_IOC_PASID, &pasid), "asking for the PASID");
    return pasid;
}

void svm_check_write(int fd, uint8_t *buf, size_t size)
{
    if (svm_run(fd, SVM_CMD_WRITE, buf, size, 0, 0) != SVM_STATUS_OK) {
        svm_fail("the device could not write %zu bytes at %p", size, buf);
    }
    svm_check_pattern(buf, size, "the buffer that the device wrote");
}

void svm_check_read(int fd, const uint8_t *buf, size_t size)
{
    uint8_t crc = svm_crc(buf, size) ^ svm_injected_error();

    if (svm_run(fd, SVM_CMD_READ, buf, size, crc, 0) != SVM_STATUS_OK) {
        svm_fail("the device did not read CRC 0x%x in %zu bytes at %p",
                 crc, size, buf);
    }
    crc ^= 0x10;
    if (svm_run(fd, SVM_CMD_READ, buf, size, crc, 0) != SVM_STATUS_FAILED) {
        svm_fail("the device accepted a wrong CRC of %zu bytes at %p",
                 size, buf);
    }
}

void svm_check_write_fails(int fd, void *addr, size_t size)
{
    if (svm_run(fd, SVM_CMD_WRITE, addr, size, 0, 0) != SVM_STATUS_FAILED) {
        svm_fail("the device was able to write %zu bytes at %p", size, addr);
    }
}

void svm_check_read_fails(int fd, const void *addr, size_t size)
{
    uint64_t bytes = svm_counter(fd, SVM_STAT_BYTES_READ);

    if (svm_run(fd, SVM_CMD_READ, addr, size, 0, 0) != SVM_STATUS_FAILED ||
        svm_run(fd, SVM_CMD_READ, addr, size, 1, 0) != SVM_STATUS_FAILED ||
        svm_counter(fd, SVM_STAT_BYTES_READ) != bytes) {
        svm_fail("the device was able to read %zu bytes at %p", size, addr);
    }
}

void svm_check_buffer(int fd, uint8_t *buf, size_t size, size_t guard)
{
    static uint64_t seed;

    svm_fill(buf - guard, guard, GUARD_BYTE);
    svm_fill(buf + size, guard, GUARD_BYTE);
    svm_fill_random(buf, size, ++seed);
    svm_check_read(fd, buf, size);
    svm_check_random(buf, size, seed, "the buffer that the device read");
    svm_check_write(fd, buf, size);
    svm_check_filled(buf - guard, guard, GUARD_BYTE, "before the buffer");
    svm_check_filled(buf + size, guard, GUARD_BYTE, "after the buffer");
}

void svm_check_health(int fd)
{
    uint8_t *block = malloc(5 * PAGE);

    svm_need(block, "malloc");
    svm_check_buffer(fd, block + PAGE + 5, 2 * PAGE, 100);
    free(block);
}
