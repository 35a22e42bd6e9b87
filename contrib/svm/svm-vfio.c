/*
 * svm-vfio: scenarios in which a program has the endpoint to itself
 *
 * The program maps its memory into I/O address spaces of the endpoint and
 * answers the endpoint's page requests. No driver of the endpoint is needed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/pci_regs.h>

#include "svm-vfio.h"

/* An I/O virtual address that is nobody's address */
#define IOVA        (5 * GIB)

/* Any one that no other program has */
#define SOME_PASID  77

/* The largest one that the endpoint and VT-d take */
#define LAST_PASID  0xfffff

#define PAGES       128

/* What becomes of a page that the endpoint asks for */
enum answer {
    MAP,                /* it is mapped */
    MAP_READ_ONLY,      /* it is mapped for reading only */
    REFUSE,             /* it is not mapped: Invalid Request */
    LIE,                /* it is not mapped, and the answer is Success */
};

/**
 * struct backing - memory behind a piece of an I/O address space
 * @space: the address space
 * @iova: address of the piece
 * @buf: the memory
 * @size: of both
 * @answer: to page requests
 * @from: the page from which on the answer is REFUSE
 * @is_write: the command that goes on needs to write
 * @mapped: the pages that were mapped
 * @requests: page requests so far
 * @groups: groups of them
 */
struct backing {
    struct vfio_space *space;
    uint64_t iova;
    uint8_t *buf;
    size_t size;
    enum answer answer;
    size_t from;
    bool is_write;
    bool mapped[PAGES];
    size_t requests;
    size_t groups;
};

static void backing_init_at(struct backing *b, struct vfio_space *space,
                            uint64_t iova, size_t pages)
{
    *b = (struct backing) {
        .space = space,
        .iova = iova,
        .buf = svm_map_small(pages * PAGE),
        .size = pages * PAGE,
        .from = pages,
    };
    svm_fill(b->buf, b->size, GUARD_BYTE);
}

static void backing_init(struct backing *b, struct vfio_space *space,
                         size_t pages)
{
    backing_init_at(b, space, IOVA, pages);
}

static void backing_unmap(struct backing *b)
{
    vfio_unmap(b->space, b->iova, b->size);
    memset(b->mapped, 0, sizeof(b->mapped));
}

static size_t backing_count_mapped(const struct backing *b)
{
    size_t n = 0;

    for (size_t i = 0; i < PAGES; i++) {
        n += b->mapped[i];
    }
    return n;
}

/* Is it a request of the command that goes on? */
static void check_request(const struct backing *b,
                          const struct iommu_hwpt_pgfault *fault)
{
    bool has_pasid = fault->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID;
    uint32_t perm = fault->perm & ~IOMMU_PGFAULT_PERM_READ;

    if (has_pasid != (b->space->pasid != SVM_PASID_NONE) ||
        (has_pasid && fault->pasid != b->space->pasid)) {
        svm_fail("a page request %s PASID %u", has_pasid ? "with" : "without",
                 fault->pasid);
    }
    if (fault->dev_id != b->space->v->device_id || fault->addr % PAGE ||
        fault->addr < b->iova || fault->addr >= b->iova + b->size) {
        svm_fail("a page request for 0x%llx", fault->addr);
    }
    if (perm != (b->is_write ? IOMMU_PGFAULT_PERM_WRITE : 0)) {
        svm_fail("a page request for permissions 0x%x", fault->perm);
    }
}

/* The response that this page leads to */
static uint32_t handle_request(struct backing *b, uint64_t addr)
{
    size_t page = (addr - b->iova) / PAGE;

    b->requests++;
    if (b->answer == REFUSE || page >= b->from) {
        return IOMMUFD_PAGE_RESP_INVALID;
    }
    if (b->answer != LIE && !b->mapped[page]) {
        vfio_map(b->space, addr, b->buf + page * PAGE, PAGE,
                 b->answer == MAP);
        b->mapped[page] = true;
    }
    return IOMMUFD_PAGE_RESP_SUCCESS;
}

/* Answer page requests until the command has ended. */
static uint64_t serve(struct backing *b)
{
    static struct iommu_hwpt_pgfault faults[VFIO_FAULTS];
    uint32_t code = IOMMUFD_PAGE_RESP_SUCCESS;
    size_t n;

    while ((n = vfio_wait_fault(b->space->v, faults))) {
        for (size_t i = 0; i < n; i++) {
            check_request(b, &faults[i]);
            code |= handle_request(b, faults[i].addr);
            if (faults[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE) {
                vfio_respond(b->space->v, faults[i].cookie, code);
                code = IOMMUFD_PAGE_RESP_SUCCESS;
                b->groups++;
            }
        }
    }
    return vfio_wait(b->space->v);
}

static uint64_t run(struct backing *b, uint32_t op, size_t offset, size_t size,
                    uint8_t crc)
{
    b->is_write = op == SVM_CMD_WRITE;
    vfio_start(b->space, op, b->iova + offset, size, crc);
    return serve(b);
}

static void check_write(struct backing *b, size_t offset, size_t size)
{
    if (run(b, SVM_CMD_WRITE, offset, size, 0) != SVM_STATUS_OK) {
        svm_fail("the device could not write %zu bytes", size);
    }
    svm_check_pattern(b->buf + offset, size, "what the device wrote");
}

static void check_read(struct backing *b, size_t offset, size_t size)
{
    uint8_t crc = svm_crc(b->buf + offset, size) ^ svm_injected_error();

    if (run(b, SVM_CMD_READ, offset, size, crc) != SVM_STATUS_OK) {
        svm_fail("the device did not read CRC 0x%x in %zu bytes", crc, size);
    }
    if (run(b, SVM_CMD_READ, offset, size, crc ^ 1) != SVM_STATUS_FAILED) {
        svm_fail("the device accepted a wrong CRC of %zu bytes", size);
    }
}

static void check_fails(struct backing *b, uint32_t op, size_t size)
{
    uint8_t crc = svm_crc(b->buf, size);

    if (run(b, op, 0, size, crc) != SVM_STATUS_FAILED) {
        svm_fail("a command without permission succeeded");
    }
}

static void check_untouched(const struct backing *b, size_t from)
{
    svm_check_filled(b->buf + from, b->size - from, GUARD_BYTE,
                     "memory that the device must not write");
}

/* The device knows of as many page requests as we do. */
static void check_counts(struct vfio *v, const struct backing *b)
{
    uint64_t requests = vfio_read(v, SVM_STAT_PAGE_REQUESTS);
    uint64_t groups = vfio_read(v, SVM_STAT_PAGE_GROUPS);

    if (requests != b->requests || groups != b->groups) {
        svm_fail("%lu page requests in %lu groups, and %zu in %zu arrived",
                 requests, groups, b->requests, b->groups);
    }
    svm_note("%zu page requests in %zu groups", b->requests, b->groups);
}

/* Everything is mapped before the device uses it. */
static void check_mapped(struct vfio_space *space)
{
    struct backing b;

    backing_init(&b, space, 64);
    vfio_map(space, IOVA, b.buf, b.size, true);
    check_write(&b, 7, 40 * PAGE);
    check_untouched(&b, 40 * PAGE + 7);
    svm_fill_random(b.buf, b.size, 1);
    check_read(&b, 0, b.size);
    svm_check_random(b.buf, b.size, 1, "what the device read");
    backing_unmap(&b);

    /* What it has cached is of no use to it */
    svm_fill(b.buf, b.size, GUARD_BYTE);
    check_fails(&b, SVM_CMD_WRITE, b.size);
    check_fails(&b, SVM_CMD_READ, b.size);
    check_untouched(&b, 0);

    vfio_map(space, IOVA, b.buf, b.size, false);
    check_read(&b, 0, b.size);
    check_fails(&b, SVM_CMD_WRITE, b.size);
    check_untouched(&b, 0);
    backing_unmap(&b);
    svm_unmap(b.buf, b.size);
}

static void check_mapped_huge(struct vfio_space *space)
{
    const size_t size = 2 * MIB;
    uint8_t *buf = svm_map_huge(size, size);
    uint64_t results = vfio_read(space->v, SVM_STAT_ATS_RESULTS);

    svm_fill_random(buf, size, 2);
    vfio_map(space, IOVA, buf, size, true);
    if (vfio_run(space, SVM_CMD_READ, IOVA, size, svm_crc(buf, size)) !=
        SVM_STATUS_OK ||
        vfio_run(space, SVM_CMD_WRITE, IOVA + 1, size - 2, 0) !=
        SVM_STATUS_OK) {
        svm_fail("the device could not use a huge page");
    }
    svm_check_pattern(buf + 1, size - 2, "the huge page");
    vfio_unmap(space, IOVA, size);
    svm_unmap(buf, size);
    results = vfio_read(space->v, SVM_STAT_ATS_RESULTS) - results;
    if (results > 8) {
        svm_fail("%lu translations for a huge page", results);
    }
}

static void run_mapped(void)
{
    struct vfio_space space;
    struct vfio v;

    vfio_open(&v);
    vfio_attach(&space, &v, SVM_PASID_NONE, false);
    check_mapped(&space);
    check_mapped_huge(&space);
    vfio_close(&v);
}

/* The same where Linux has enabled neither PASID nor PRI, but ATS. */
static void run_legacy(void)
{
    struct vfio_space space;
    struct vfio v;

    vfio_open(&v);
    vfio_attach(&space, &v, SVM_PASID_NONE, false);
    if (!(vfio_read_control(PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL) &
          PCI_ATS_CTRL_ENABLE) ||
        vfio_read_control(PCI_EXT_CAP_ID_PASID, PCI_PASID_CTRL) & 1 ||
        vfio_read_control(PCI_EXT_CAP_ID_PRI, PCI_PRI_CTRL) & 1) {
        svm_fail("ATS, and nothing else, should be enabled");
    }
    check_mapped(&space);
    check_mapped_huge(&space);
    if (!vfio_read(&v, SVM_STAT_ATS_RESULTS) ||
        vfio_read(&v, SVM_STAT_PAGE_REQUESTS)) {
        svm_fail("translations should have come by ATS, and by nothing else");
    }
    vfio_close(&v);
}

/* Nothing is mapped before the device asks for it. */
static void check_faults(uint32_t pasid, uint64_t iova)
{
    struct vfio_space space;
    struct backing b;
    struct vfio v;

    vfio_open(&v);
    vfio_attach(&space, &v, pasid, true);
    backing_init_at(&b, &space, iova, PAGES);

    check_write(&b, 3 * PAGE + 50, 70 * PAGE);
    svm_check_filled(b.buf, 3 * PAGE + 50, GUARD_BYTE, "before the buffer");
    check_untouched(&b, 73 * PAGE + 50);
    if (backing_count_mapped(&b) != 71 || b.requests != 71) {
        svm_fail("%zu page requests for 71 pages", b.requests);
    }
    svm_fill_random(b.buf, b.size, 1);
    check_read(&b, 0, b.size);
    if (backing_count_mapped(&b) != PAGES || b.requests != PAGES) {
        svm_fail("%zu page requests for %d pages", b.requests, PAGES);
    }
    check_counts(&v, &b);
    vfio_close(&v);
}

static void run_faults(void)
{
    check_faults(SVM_PASID_NONE, IOVA);
}

static void run_faults_pasid(void)
{
    check_faults(SOME_PASID, IOVA);
}

/* Up to the last page that five levels of first-stage tables map */
static void run_high_iova(void)
{
    check_faults(SVM_PASID_NONE, (1UL << 47) + 5 * GIB);
    check_faults(SOME_PASID, (1UL << 48) + 5 * GIB);
    check_faults(SOME_PASID, (1UL << 56) - PAGES * PAGE);
}

static void check_refused(struct vfio *v, uint32_t pasid)
{
    struct vfio_space space;
    struct backing b;

    vfio_attach(&space, v, pasid, true);
    backing_init(&b, &space, PAGES);

    b.answer = REFUSE;
    check_fails(&b, SVM_CMD_WRITE, b.size);
    check_fails(&b, SVM_CMD_READ, b.size);
    check_untouched(&b, 0);
    if (!vfio_read(v, SVM_STAT_RESP_INVALID)) {
        svm_fail("no answer Invalid Request arrived");
    }

    /* The first one that is refused ends the command */
    b.answer = MAP;
    b.from = 50;
    check_fails(&b, SVM_CMD_WRITE, b.size);
    check_untouched(&b, 50 * PAGE);
    vfio_unmap(&space, IOVA, b.size);
    vfio_detach(&space);
    svm_unmap(b.buf, b.size);
}

/* Success does not help a device for which nothing has changed. */
static void check_not_helped(struct vfio *v, uint32_t pasid)
{
    struct vfio_space space;
    struct backing b;

    vfio_attach(&space, v, pasid, true);
    backing_init(&b, &space, 4);
    b.answer = LIE;
    check_fails(&b, SVM_CMD_WRITE, b.size);
    check_untouched(&b, 0);
    if (b.groups < 2) {
        svm_fail("the device did not try again");
    }

    b.answer = MAP_READ_ONLY;
    check_read(&b, 0, b.size);
    check_fails(&b, SVM_CMD_WRITE, b.size);
    check_untouched(&b, 0);
    vfio_detach(&space);
    svm_unmap(b.buf, b.size);
}

static void run_refused(void)
{
    struct vfio v;

    vfio_open(&v);
    check_refused(&v, SVM_PASID_NONE);
    check_refused(&v, SOME_PASID);
    check_not_helped(&v, SVM_PASID_NONE);
    check_not_helped(&v, SOME_PASID);
    vfio_close(&v);
}

/* One address in three address spaces */
static void run_spaces(void)
{
    static const uint32_t pasids[] = { SVM_PASID_NONE, 1, LAST_PASID };
    const size_t half = 8 * PAGE;
    struct vfio_space spaces[ARRAY_SIZE(pasids)];
    struct backing b[ARRAY_SIZE(pasids)];
    struct vfio v;

    vfio_open(&v);
    for (size_t i = 0; i < ARRAY_SIZE(pasids); i++) {
        vfio_attach(&spaces[i], &v, pasids[i], true);
        backing_init(&b[i], &spaces[i], 16);
    }
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(pasids); i++) {
            svm_fill_random(b[i].buf, half, 10 * round + i);
            svm_fill_random(b[i].buf + half, half, 10 * round + i + 5);
        }
        for (size_t i = 0; i < ARRAY_SIZE(pasids); i++) {
            check_read(&b[i], 0, 2 * half);
            svm_check_random(b[i].buf, half, 10 * round + i, "its own turn");
            check_write(&b[i], 0, half);
            svm_check_random(b[i].buf + half, half, 10 * round + i + 5,
                             "memory that no command names");
        }
    }
    vfio_close(&v);
}

/* Unmapped memory is out of reach, at once and for what goes on, too. */
static void check_revoked(struct vfio *v, uint32_t pasid)
{
    const size_t size = 16 * MIB;
    struct vfio_space space;
    struct backing b, big;
    uint8_t *old;

    vfio_attach(&space, v, pasid, true);
    backing_init(&b, &space, PAGES);
    check_write(&b, 0, b.size);
    backing_unmap(&b);
    old = b.buf;
    svm_fill(old, b.size, GUARD_BYTE);
    b.buf = svm_map_small(b.size);
    check_write(&b, 0, b.size);
    svm_check_filled(old, b.size, GUARD_BYTE, "memory that was unmapped");
    backing_unmap(&b);

    /* The second half is not there: the command cannot end before its time */
    backing_init(&big, &space, size / PAGE);
    big.answer = REFUSE;
    big.is_write = true;
    vfio_map(&space, IOVA, big.buf, size / 2, true);
    vfio_start(&space, SVM_CMD_WRITE, IOVA, size, 0);
    vfio_unmap(&space, IOVA, size / 2);
    svm_fill(big.buf, size, GUARD_BYTE);
    if (serve(&big) != SVM_STATUS_FAILED) {
        svm_fail("a command outlived its memory");
    }
    check_untouched(&big, 0);
    vfio_detach(&space);
    svm_unmap(old, b.size);
    svm_unmap(b.buf, b.size);
    svm_unmap(big.buf, size);
}

static void run_revoked(void)
{
    struct vfio v;

    vfio_open(&v);
    for (int i = 0; i < 5; i++) {
        check_revoked(&v, SVM_PASID_NONE);
        check_revoked(&v, SOME_PASID);
    }
    vfio_close(&v);
}

/*
 * The program loses interest in a command whose page request it has not
 * answered, and takes the address space away: the kernel answers. Another
 * address space stays, and the device can use it.
 */
static void check_abandoned(struct vfio *v, uint32_t pasid)
{
    static struct iommu_hwpt_pgfault faults[VFIO_FAULTS];
    struct vfio_space space;
    struct backing b;

    vfio_attach(&space, v, pasid, true);
    backing_init(&b, &space, PAGES);
    vfio_start(&space, SVM_CMD_WRITE, IOVA, b.size, 0);
    if (!vfio_wait_fault(v, faults)) {
        svm_fail("no page request for memory that is not mapped");
    }
    if (vfio_stop(v) != SVM_STATUS_FAILED) {
        svm_fail("a command succeeded without an answer");
    }
    vfio_detach(&space);
    check_untouched(&b, 0);
    svm_unmap(b.buf, b.size);
}

static void run_unanswered(void)
{
    struct vfio_space space;
    struct backing b;
    struct vfio v;

    vfio_open(&v);
    vfio_attach(&space, &v, 1, true);
    backing_init(&b, &space, PAGES);
    for (int i = 0; i < 20; i++) {
        check_abandoned(&v, i & 1 ? SOME_PASID : SVM_PASID_NONE);
        check_write(&b, 0, b.size);
        backing_unmap(&b);
    }
    vfio_close(&v);
}

/* Time in which the registers have to stay where they are, in seconds */
#define NEIGHBOUR_SECONDS 2

static void set_memory_decode(int config, bool on)
{
    uint16_t command;

    svm_need(pread(config, &command, 2, PCI_COMMAND) == 2,
             "reading PCI_COMMAND");
    command = on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY;
    svm_need(pwrite(config, &command, 2, PCI_COMMAND) == 2,
             "writing PCI_COMMAND");
}

/* The other endpoint's registers come and go, until they are told to stay. */
static void *come_and_go(void *stop)
{
    int config = open("/sys/class/vfio-dev/vfio1/device/config",
                      O_RDWR | O_CLOEXEC);

    svm_need(config >= 0, "configuration space of the other endpoint");
    while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
        set_memory_decode(config, false);
        set_memory_decode(config, true);
    }
    close(config);
    return NULL;
}

/* A CPU reads our registers while another one changes the map of memory. */
static void run_neighbour(void)
{
    double end = svm_seconds() + NEIGHBOUR_SECONDS;
    bool stop = false;
    size_t reads = 0;
    pthread_t thread;
    struct vfio v;

    vfio_open(&v);
    svm_need(!pthread_create(&thread, NULL, come_and_go, &stop),
             "pthread_create");
    while (svm_seconds() < end) {
        for (int i = 0; i < 100; i++) {
            uint64_t id = vfio_read(&v, SVM_REG_ID);

            if (id != SVM_ID) {
                svm_fail("read %zu of the register gave 0x%lx", reads + i, id);
            }
        }
        reads += 100;
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    svm_need(!pthread_join(thread, NULL), "pthread_join");
    svm_note("%zu reads", reads);
    vfio_close(&v);
}

static const struct scenario scenarios[] = {
    { "vfio-mapped", run_mapped, "memory that is mapped, without PASID" },
    { "vfio-faults", run_faults, "page requests without PASID, answered" },
    { "vfio-faults-pasid", run_faults_pasid,
      "page requests with PASID, answered" },
    { "vfio-refused", run_refused, "page requests that do not help" },
    { "vfio-spaces", run_spaces, "one address in three address spaces" },
    { "vfio-revoked", run_revoked, "memory unmapped while the device works" },
    { "vfio-unanswered", run_unanswered, "page requests that nobody answers" },
    { "vfio-neighbour", run_neighbour,
      "registers stay while another device's go" },
    { "vfio-nested", vfio_run_nested, "first-stage tables of the program" },
    { "high-iova", run_high_iova, "I/O addresses that take five levels" },
    { "legacy", run_legacy, "ATS in legacy mode, without PASID" },
};

/* The processes of scenarios add to what this one has mapped. */
static void read_counters(uint64_t *counters)
{
    const size_t size = SCENARIO_COUNTERS * sizeof(*counters);

    if (!vfio_counters) {
        vfio_counters = svm_map_shared(size);
    }
    memcpy(counters, vfio_counters, size);
}

static void check_health(void)
{
    run_mapped();
}

static const struct scenario_suite suite = {
    .program = "svm-vfio",
    .scenarios = scenarios,
    .number = ARRAY_SIZE(scenarios),
    .before = read_counters,
    .after = read_counters,
    .check_health = check_health,
};

static int usage(int status)
{
    fprintf(status ? stderr : stdout,
            "usage: svm-vfio --help                 print this\n"
            SCENARIO_USAGE("svm-vfio")
            "vfio-pci must have the device. SVM_VFIO_DEVICE names it, by "
            "default\n/dev/vfio/devices/vfio0.\n");
    return status;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (!strcmp(command, "scenario")) {
        return scenario_main(&suite, argc - 1, argv + 1);
    }
    return usage(!strcmp(command, "--help") || !strcmp(command, "help") ?
                 0 : 2);
}
