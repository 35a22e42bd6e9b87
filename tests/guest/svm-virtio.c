/*
 * svm-virtio: I/O through virtio devices that are behind the IOMMU, with ATS
 *
 * They are no users of the series: what it changes in the IOMMU must not
 * change what they do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <glob.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "scenario.h"

#define DISK_SIZE   (16 * MIB)
#define RANDOM_SIZE (16 * KIB)

static uint32_t read_config(int fd, unsigned offset)
{
    uint32_t value;

    svm_need(pread(fd, &value, sizeof(value), offset) == sizeof(value),
             "the configuration space");
    return value;
}

static unsigned find_ats(int fd)
{
    unsigned offset = PCI_CFG_SPACE_SIZE;
    uint32_t header;

    while (offset) {
        header = read_config(fd, offset);
        if (PCI_EXT_CAP_ID(header) == PCI_EXT_CAP_ID_ATS) {
            break;
        }
        offset = PCI_EXT_CAP_NEXT(header);
    }
    return offset;
}

/* Has Linux enabled ATS in the function that this driver has? */
static void check_ats(const char *driver)
{
    char pattern[128];
    unsigned ats;
    glob_t found;
    int fd;

    snprintf(pattern, sizeof(pattern),
             "/sys/bus/virtio/drivers/%s/virtio*/../config", driver);
    if (glob(pattern, 0, NULL, &found) || found.gl_pathc != 1) {
        svm_fail("%s should have one device", driver);
    }
    fd = open(found.gl_pathv[0], O_RDONLY);
    svm_need(fd >= 0, found.gl_pathv[0]);
    ats = find_ats(fd);
    if (!ats ||
        !(read_config(fd, ats + PCI_ATS_CAP) >> 16 & PCI_ATS_CTRL_ENABLE)) {
        svm_fail("%s: ATS is not enabled", driver);
    }
    close(fd);
    globfree(&found);
}

static int open_device(const char *path, int flags)
{
    int fd = open(path, flags);

    svm_need(fd >= 0, path);
    return fd;
}

/* Each direction moves memory that the other one has not touched. */
static void check_disk(int fd)
{
    uint8_t *out = svm_map_small(DISK_SIZE);
    uint8_t *in = svm_map_small(DISK_SIZE);

    svm_fill_random(out, DISK_SIZE, 1);
    svm_need(pwrite(fd, out, DISK_SIZE, 0) == (ssize_t)DISK_SIZE, "pwrite");
    svm_need(!fsync(fd), "fsync");
    svm_need(pread(fd, in, DISK_SIZE, 0) == (ssize_t)DISK_SIZE, "pread");
    svm_check_random(in, DISK_SIZE, 1 + svm_injected_error(), "what was read");
    svm_unmap(in, DISK_SIZE);
    svm_unmap(out, DISK_SIZE);
}

static void run_blk(void)
{
    int fd = open_device("/dev/vda", O_RDWR | O_DIRECT);

    check_ats("virtio_blk");
    for (int i = 0; i < 4; i++) {
        check_disk(fd);
    }
    close(fd);
}

static void read_random(uint8_t *buf, size_t size)
{
    int fd = open_device("/dev/hwrng", O_RDONLY);
    ssize_t n;

    for (size_t done = 0; done < size; done += n) {
        n = read(fd, buf + done, size - done);
        svm_need(n > 0, "/dev/hwrng");
    }
    close(fd);
}

static void run_rng(void)
{
    static uint8_t buf[RANDOM_SIZE];
    size_t seen[256] = { };

    check_ats("virtio_rng");
    if (!svm_injected_error()) {
        read_random(buf, RANDOM_SIZE);
    }
    for (size_t i = 0; i < RANDOM_SIZE; i++) {
        seen[buf[i]]++;
    }
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
        if (seen[i] > 4 * RANDOM_SIZE / ARRAY_SIZE(seen)) {
            svm_fail("%zu of %zu random bytes are 0x%02zx", seen[i],
                     RANDOM_SIZE, i);
        }
    }
}

static const struct scenario scenarios[] = {
    { "virtio-blk", run_blk, "a disk with ATS, written and read" },
    { "virtio-rng", run_rng, "a source of random bytes with ATS" },
};

static void no_counters(uint64_t *counters)
{
    memset(counters, 0, SCENARIO_COUNTERS * sizeof(*counters));
}

static void check_health(void)
{
    close(open_device("/dev/vda", O_RDONLY));
}

static const struct scenario_suite suite = {
    .program = "svm-virtio",
    .scenarios = scenarios,
    .number = ARRAY_SIZE(scenarios),
    .before = no_counters,
    .after = no_counters,
    .check_health = check_health,
};

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "scenario")) {
        return scenario_main(&suite, argc - 1, argv + 1);
    }
    fprintf(stderr, "usage:\n" SCENARIO_USAGE("svm-virtio"));
    return 2;
}
