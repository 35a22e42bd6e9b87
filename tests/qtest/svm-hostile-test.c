/*
 * QTest testcase for SVM: a guest that does what no guest should
 *
 * Tables that are no memory, a queue full of garbage, PASIDs without end, and
 * all of that again and again: QEMU goes on, keeps its memory and says little.
 * VT-d rev 4.1, 6.5.2, 7.1.3 and chapter 9.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "exec/memory.h"
#include "hw/pci/pci_regs.h"
#include "libqos/svm-testdev.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define PATTERN     0x1122334455667788ULL

/*
 * Tables where there is no memory
 */

typedef struct Place {
    const char *name;
    uint64_t addr;
} Place;

/* Where the RAM of the device is put */
#define DEVICE_RAM  0xe8200000ULL

static const Place places[] = {
    { "RAM-of-a-device", DEVICE_RAM },
    { "registers", 0xfed00000ULL },
    { "the-units-own-registers", Q35_HOST_BRIDGE_IOMMU_ADDR },
    { "interrupt-addresses", 0xfee00000ULL },
    { "a-hole", QVTD_SVM_NO_RAM },
    { "nowhere", 1ULL << 38 },
    { "the-end-of-the-host-width", (1ULL << 39) - PAGE },
};

typedef struct Table {
    const char *name;
    uint64_t (*find)(QTestdev *t);      /* the pointer to it */
    VTDFaultReason reason;              /* that it cannot be read */
    bool paging;                        /* of the process: a hole */
} Table;

static uint64_t find_context_table(QTestdev *t)
{
    /* A root entry has two halves, of functions below and from device 16 on */
    return t->f->v->root + (t->sid >> 8) * 16;
}

static uint64_t find_directory(QTestdev *t)
{
    return qvtd_context_addr(t->f->v, t->sid);
}

static uint64_t find_pasid_table(QTestdev *t)
{
    return t->f->dir + (t->pasid >> 6) * 8;
}

static uint64_t find_first_table(QTestdev *t)
{
    return qvtd_pasid_entry_addr(t->f->v, t->f->dir, t->pasid) + 16;
}

static uint64_t find_level_3(QTestdev *t)
{
    return qvtd_pte_addr(t->f->v, t->f->table, IOVA, 4);
}

static uint64_t find_level_2(QTestdev *t)
{
    return qvtd_pte_addr(t->f->v, t->f->table, IOVA, 3);
}

static uint64_t find_level_1(QTestdev *t)
{
    return qvtd_pte_addr(t->f->v, t->f->table, IOVA, 2);
}

static const Table tables[] = {
    { "context-table", find_context_table, VTD_FR_SM_CONTEXT_TABLE_INV },
    { "PASID-directory", find_directory, VTD_FR_PASID_DIR_ACCESS_ERR },
    { "PASID-table", find_pasid_table, VTD_FR_PASID_TABLE_ACCESS_ERR },
    { "PML4-table", find_first_table, VTD_FR_PASID_ENTRY_FSPTPTR_INV, true },
    { "page-directory-pointer-table", find_level_3, VTD_FR_FS_PAGING_ENTRY_INV,
      true },
    { "page-directory", find_level_2, VTD_FR_FS_PAGING_ENTRY_INV, true },
    { "page-table", find_level_1, VTD_FR_FS_PAGING_ENTRY_INV, true },
};

static uint64_t start(QTestdev *t, const char *log)
{
    g_autofree char *opts = g_strdup_printf("%s%s", log ? " 2>" : "",
                                            log ?: "");

    qtestdev_start(t, opts);
    qtest_writel(t->qts, t->config + PCI_BASE_ADDRESS_2, DEVICE_RAM);
    return qvtd_svm_map(t->f, IOVA, QVTD_FS_USER_RW);
}

static bool writes(QTestdev *t)
{
    uint64_t data = PATTERN;

    return qtestdev_dma(t, IOVA, true, 0, &data) == MEMTX_OK;
}

static void expect_fault(QTestdev *t, unsigned int at, VTDFaultReason reason)
{
    QVTDFault fault;

    g_assert(qvtd_pop_fault(t->f->v, &fault));
    g_assert_cmphex(fault.reason, ==, reason);
    g_assert_cmphex(fault.sid, ==, t->sid);
    g_assert_cmpint(fault.at, ==, at);
    g_assert(fault.has_pasid);
    g_assert_cmphex(fault.pasid, ==, t->pasid);
}

/* A request of each kind fails, and says so; nobody asks twice. */
static void check_table(QTestdev *t, const Table *table, uint64_t place)
{
    uint64_t pointer = table->find(t);
    uint64_t good = qtest_readq(t->qts, pointer);

    qtest_writeq(t->qts, pointer, (good & 0xfff) | place);
    qvtd_inv_all(t->f->v);
    g_assert_cmpint(qtestdev_translate(t, IOVA, PAGE, 0), ==,
                    table->paging ? 1 : -EFAULT);
    g_assert(!table->paging ||
             qtestdev_result(t, 0, SVM_TESTDEV_RESULT_PERM) == IOMMU_NONE);
    expect_fault(t, 1, table->reason);
    g_assert(!writes(t));
    expect_fault(t, 0, table->reason);
    qtest_writeq(t->qts, pointer, good);
    qvtd_inv_all(t->f->v);
}

static void test_place(const void *opaque)
{
    const Place *place = opaque;
    QTestdev t;
    uint64_t page = start(&t, NULL);

    for (int i = 0; i < ARRAY_SIZE(tables); i++) {
        g_test_message("%s", tables[i].name);
        check_table(&t, &tables[i], place->addr);
        g_assert_cmpint(qtestdev_translate(&t, IOVA, PAGE, 0), ==, 1);
        g_assert_cmphex(qtestdev_result(&t, 0, SVM_TESTDEV_RESULT_ADDR), ==,
                        page);
        g_assert(writes(&t));
    }
    qtestdev_stop(&t);
}

/*
 * Garbage in the invalidation queue
 */

/* Half of it has a type that there is, and addresses that could be. */
static QVTDDesc garbage(GRand *rand)
{
    QVTDDesc desc;

    for (int i = 0; i < ARRAY_SIZE(desc.qw); i++) {
        desc.qw[i] = (uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand);
    }
    if (g_rand_boolean(rand)) {
        desc.qw[0] = deposit64(desc.qw[0], 0, 12, g_rand_int(rand) & 0xf) &
                     0x000fffffffff003fULL;
        desc.qw[1] &= 0x0000fffffffff000ULL;
        desc.qw[2] = desc.qw[3] = 0;
    }
    /* A status that is written somewhere in memory would be our own doing. */
    if ((desc.qw[0] & 0xe0f) == VTD_INV_DESC_WAIT) {
        desc.qw[0] &= ~QVTD_WAIT_SW;
    }
    return desc;
}

static bool has_timed_out(QVTD *v)
{
    return qvtd_readl(v, DMAR_FSTS_REG) & QVTD_FSTS_ITE;
}

/* As a driver that does not despair */
static unsigned int recover(QVTD *v)
{
    unsigned int errors = 0;

    while (qvtd_iq_error(v) || has_timed_out(v)) {
        g_assert_cmpuint(errors++, <, 1000);
        if (qvtd_iq_error(v)) {
            qvtd_iq_recover(v);
        } else {
            qvtd_writel(v, DMAR_FSTS_REG, QVTD_FSTS_ITE);
        }
    }
    return errors;
}

static unsigned int push_garbage(QVTD *v, GRand *rand)
{
    unsigned int count = (PAGE << v->iq_order) / 32 - 1;

    for (unsigned int i = 0; i < count; i++) {
        qvtd_iq_push(v, garbage(rand));
    }
    qvtd_iq_kick(v);
    return recover(v);
}

static void expect_work(QTestdev *t)
{
    qvtd_inv_all(t->f->v);
    g_assert_cmpint(qtestdev_translate(t, IOVA, PAGE, 0), ==, 1);
    g_assert(writes(t));
    qtestdev_call_sample(t, SVM_TESTDEV_UNREGISTER_PRI, 0);
    qtestdev_call_sample(t, SVM_TESTDEV_UNREGISTER_IOTLB, 0);
    qtestdev_expect_success(t, 0);
}

static void test_garbage(void)
{
    GRand *rand = g_rand_new_with_seed(g_test_rand_int());
    unsigned int errors = 0;
    QTestdev t;

    start(&t, NULL);
    qtestdev_listen(&t, 0);
    for (int i = 0; i < (g_test_slow() ? 1000 : 20); i++) {
        errors += push_garbage(t.f->v, rand);
    }
    g_assert_cmpuint(errors, >, 100);
    expect_work(&t);
    qtestdev_stop(&t);
    g_rand_free(rand);
}

/*
 * Invalidations that concern a part of what a listener has asked for
 */

typedef struct Overlap {
    uint64_t addr;
    unsigned int am;
    uint64_t heard;
    uint64_t mask;
} Overlap;

static const Overlap overlaps[] = {
    /* The last 2 MiB below the interrupt range, and as much behind that */
    { VTD_INTERRUPT_ADDR_FIRST - 2 * MiB, 10,
      VTD_INTERRUPT_ADDR_FIRST - 2 * MiB, 2 * MiB - 1 },
    /* The lowest bits of the address are masked. */
    { 1 * GiB + PAGE, 1, 1 * GiB, 2 * PAGE - 1 },
};

static int64_t listen_to(QTestdev *t, uint64_t addr, uint64_t length)
{
    qtestdev_set(t, SVM_TESTDEV_ADDR, addr);
    qtestdev_set(t, SVM_TESTDEV_LENGTH, length);
    return qtestdev_call(t, SVM_TESTDEV_REGISTER_UNMAP);
}

static void listen_below_interrupts(QTestdev *t)
{
    QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS, .did = QVTD_SVM_DID, .table = t->f->table,
    };

    qvtd_set_pasid_entry(t->f->v, t->f->dir, 0, &pe);
    qvtd_inv_all(t->f->v);
    g_assert_cmpint(listen_to(t, VTD_INTERRUPT_ADDR_FIRST, PAGE), ==, -ENODEV);
    g_assert_cmpint(listen_to(t, 0, VTD_INTERRUPT_ADDR_FIRST), ==, 0);
    g_assert_cmpint(listen_to(t, 0, VTD_INTERRUPT_ADDR_FIRST), ==, -EINVAL);
}

static void check_overlap(QTestdev *t, const Overlap *o)
{
    uint64_t before = qtestdev_reg(t, SVM_TESTDEV_INV_COUNT);

    qvtd_inv(t->f->v, qvtd_iotlb_desc(QVTD_IOTLB_PAGE, QVTD_SVM_DID, o->addr,
                                      o->am));
    g_assert_cmpuint(qtestdev_reg(t, SVM_TESTDEV_INV_COUNT), ==, before + 1);
    g_assert_cmphex(qtestdev_reg(t, SVM_TESTDEV_INV_ADDR), ==, o->heard);
    g_assert_cmphex(qtestdev_reg(t, SVM_TESTDEV_INV_MASK), ==, o->mask);
}

static void test_overlap(void)
{
    QTestdev t;

    start(&t, NULL);
    listen_below_interrupts(&t);
    for (int i = 0; i < ARRAY_SIZE(overlaps); i++) {
        check_overlap(&t, &overlaps[i]);
    }
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_UNREGISTER_UNMAP), ==, 0);
    expect_work(&t);
    qtestdev_stop(&t);
}

/*
 * PASIDs
 */

/* Resident memory of QEMU, in bytes */
static uint64_t resident(QTestState *qts)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/statm", qtest_pid(qts));
    g_autofree char *statm = NULL;
    unsigned long size, pages;

    g_assert(g_file_get_contents(path, &statm, NULL, NULL));
    g_assert_cmpint(sscanf(statm, "%lu %lu", &size, &pages), ==, 2);
    return (uint64_t)pages * qemu_real_host_page_size();
}

/* AddressSanitizer shall not keep what QEMU frees: it is counted. */
static void start_counted(QTestdev *t)
{
    const char *asan = g_getenv("ASAN_OPTIONS");
    g_autofree char *old = g_strdup(asan ? asan : "");
    g_autofree char *new = g_strdup_printf("%s:quarantine_size_mb=0:"
                                           "thread_local_quarantine_size_kb=0",
                                           old);

    g_setenv("ASAN_OPTIONS", new, true);
    start(t, NULL);
    g_setenv("ASAN_OPTIONS", old, true);
}

static void touch_pasids(QTestdev *t, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i += SVM_TESTDEV_TOUCH_MAX) {
        t->pasid = first + i;
        qtestdev_set(t, SVM_TESTDEV_LENGTH, SVM_TESTDEV_TOUCH_MAX);
        g_assert_cmpint(qtestdev_call(t, SVM_TESTDEV_TOUCH_PASIDS), ==,
                        SVM_TESTDEV_TOUCH_MAX);
    }
}

/* All PASIDs have the same tables, for them not to be what takes memory. */
static void share_tables(QTestdev *t)
{
    uint64_t table = qtest_readq(t->qts, find_pasid_table(t));
    QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS, .did = QVTD_SVM_DID, .table = t->f->table,
    };

    for (uint32_t pasid = 0; pasid < 1 << 6; pasid++) {
        qvtd_set_pasid_entry(t->f->v, t->f->dir,
                             (t->pasid & ~0x3f) | pasid, &pe);
    }
    for (uint32_t i = 0; i < 1 << 14; i++) {
        qtest_writeq(t->qts, t->f->dir + i * 8, table);
    }
}

/*
 * What stays of each is less than half of the smallest thing that could be
 * allocated for it, 32 bytes: it is no PASID's.
 */
static void test_pasids(void)
{
    const uint32_t all = 1 << 20, few = 1 << 16;
    uint64_t before, after;
    QVTDPageReq req;
    QTestdev t;

#ifndef CONFIG_LINUX
    g_test_skip("no /proc");
    return;
#endif
#ifdef CONFIG_TSAN
    g_test_skip("ThreadSanitizer's own memory grows with what is touched");
    return;
#endif
    start_counted(&t);
    share_tables(&t);
    qtestdev_prepare_sample(&t, 0);
    touch_pasids(&t, 0, few);
    before = resident(t.qts);
    touch_pasids(&t, few, all - few);
    after = resident(t.qts);
    g_test_message("%" PRIu64 " KiB, then %" PRIu64 " KiB", before / KiB,
                   after / KiB);
    g_assert_cmpuint(after, <, before + (all - few) * 16);
    while (qvtd_pop_page_req(t.f->v, &req)) {
        ;
    }
    qtestdev_stop(&t);
}

/*
 * The log
 */

static unsigned int lines(const char *path)
{
    g_autofree char *log = NULL;
    unsigned int n = 0;

    g_assert(g_file_get_contents(path, &log, NULL, NULL));
    for (const char *p = log; *p; p++) {
        n += *p == '\n';
    }
    return n;
}

static void drain(QTestdev *t)
{
    QVTDPageReq req;
    QVTDFault fault;

    while (qvtd_pop_fault(t->f->v, &fault)) {
        ;
    }
    while (qvtd_pop_page_req(t->f->v, &req)) {
        ;
    }
}

/* Faults that nobody takes, and page requests that have no room */
static void overflow(QTestdev *t)
{
    for (int i = 0; i < 16; i++) {
        qtestdev_translate(t, IOVA + i * PAGE, PAGE, 0);
        t->pasid ^= 1;
        qtestdev_translate(t, IOVA, PAGE, 0);
        writes(t);
        t->pasid ^= 1;
    }
    qtestdev_call_sample(t, SVM_TESTDEV_REGISTER_PRI, 0);
    for (int i = 0; i <= PCI_PRI_PRGI_MASK; i++) {
        qtestdev_request(t, i, true);
    }
}

/* Each register, with all bits, in all widths, and beyond the last one */
static void scribble(QVTD *v)
{
    const uint64_t keep[] = {
        DMAR_GCMD_REG, DMAR_IQT_REG, DMAR_IQA_REG, DMAR_IQA_REG + 4,
        DMAR_RTADDR_REG, DMAR_RTADDR_REG + 4,
    };

    for (uint64_t reg = 0; reg < DMAR_REG_SIZE; reg += 4) {
        bool kept = false;

        for (int i = 0; i < ARRAY_SIZE(keep); i++) {
            kept |= reg == keep[i];
        }
        if (!kept) {
            qvtd_writel(v, reg, UINT32_MAX);
            qvtd_readl(v, reg);
        }
    }
    qvtd_readq(v, DMAR_REG_SIZE - 4);
    qvtd_writeq(v, DMAR_REG_SIZE - 4, UINT64_MAX);
}

static void set_up_queue_again(QVTD *v)
{
    qvtd_writel(v, DMAR_FSTS_REG, UINT32_MAX);
    qvtd_writeq(v, QVTD_PQA_REG, v->prq | v->prq_order);
    qvtd_writeq(v, QVTD_PQH_REG, 0);
    qvtd_writeq(v, QVTD_PQT_REG, 0);
    qvtd_writel(v, QVTD_PRS_REG, UINT32_MAX);
}

/* The same at each call */
static void misbehave(QTestdev *t)
{
    GRand *rand = g_rand_new_with_seed(1);

    for (int i = 0; i < ARRAY_SIZE(places); i++) {
        for (int j = 0; j < ARRAY_SIZE(tables); j++) {
            check_table(t, &tables[j], places[i].addr);
        }
    }
    push_garbage(t->f->v, rand);
    overflow(t);
    scribble(t->f->v);
    set_up_queue_again(t->f->v);
    recover(t->f->v);
    drain(t);
    qtestdev_enable_pri(t, 0);
    qtestdev_writew(t, SVM_TESTDEV_CAP_PRI + PCI_PRI_CTRL, PCI_PRI_CTRL_RESET);
    qtestdev_enable_pri(t, QTESTDEV_PRI_ALLOCATION);
    g_rand_free(rand);
}

/* Each kind of error is reported once, however often it is made. */
static void test_log(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("svm-hostile-test-XXXXXX", &path, NULL);
    unsigned int first;
    QTestdev t;

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    start(&t, path);
    misbehave(&t);
    first = lines(path);
    g_assert_cmpuint(first, >, 0);
    for (int i = 0; i < 20; i++) {
        misbehave(&t);
    }
    g_test_message("%u lines", first);
    g_assert_cmpuint(lines(path), ==, first);
    expect_work(&t);
    qtestdev_stop(&t);
    g_assert_cmpint(unlink(path), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(places); i++) {
        g_autofree char *path = g_strdup_printf("/svm/hostile/tables-in-%s",
                                                places[i].name);

        qtest_add_data_func(path, &places[i], test_place);
    }
    qtest_add_func("/svm/hostile/a-queue-full-of-garbage", test_garbage);
    qtest_add_func("/svm/hostile/an-invalidation-beyond-a-listener's-range",
                   test_overlap);
    qtest_add_func("/svm/hostile/every-PASID-one-after-the-other",
                   test_pasids);
    qtest_add_func("/svm/hostile/errors-are-reported-once", test_log);
    return g_test_run();
}
