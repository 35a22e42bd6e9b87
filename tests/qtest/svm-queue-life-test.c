/*
 * QTest testcase for SVM: the endpoint's queues, their states, and what
 * happens to them while they work
 *
 * docs/specs/svm.rst, "States of a queue" and what follows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "libqos/svm-queue.h"
#include "libqos/vtd-svm-migrate.h"
#include "qobject/qdict.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define PASID       QVTD_SVM_PASID
#define CREDITS     8
#define SIZE        8
#define PATTERN     0x8877665544332211ULL

/* Queues, beside the first one, that keep its thread busy; in how long steps */
#define BUSY_QUEUES 32
#define BUSY_SIZE   64
#define BUSY_IOVA   0x7f2000000000ULL
#define BUSY_PAGE   (2 * MiB)
#define BUSY_LEN    (BUSY_PAGE - 128 * KiB)

/* How often work is begun and ended, and what memory that may take */
#define PILE_ROUNDS 500
#define PILE_MAX    (100 * MiB)

#define ENDPOINT    "-device svm,addr=4"

/* Two threads for the queues, one for commands */
#define IOTHREADS   "-object iothread,id=a -object iothread,id=b -device " \
                    "'{\"driver\":\"svm\",\"addr\":\"4\"," \
                    "\"iothreads\":[\"a\",\"b\"]}'"

typedef struct Machine {
    QVTDSVM *f;
    QPCIBar bar;
    QSVMQueue q;
} Machine;

static void enable(QSVMQueue *q)
{
    g_assert_cmpuint(qsvm_queue_control(q, SVM_CTRL_ENABLE), ==,
                     SVM_STATE_RUNNING);
}

static void start_with(Machine *m, const char *devices)
{
    m->f = qvtd_svm_start_machine("", devices);
    qvtd_svm_attach(m->f, QPCI_DEVFN(4, 0));
    qvtd_enable_prq(m->f->v, 0);
    qsvm_enable_pri(&m->f->svm, CREDITS);
    m->bar = qsvm_map_queues(m->f);
    qsvm_queue_init(&m->q, m->f, m->bar, 0, PASID, m->f->table, SIZE);
    enable(&m->q);
}

static void start(Machine *m)
{
    start_with(m, ENDPOINT);
}

static void stop(Machine *m)
{
    qvtd_svm_stop(m->f);
}

static void expect_works(QSVMQueue *q)
{
    QSVMRecord rec = qsvm_queue_run(q, &(QSVMDesc) { .op = SVM_OP_NOP });

    g_assert_cmpuint(rec.status, ==, SVM_CPL_OK);
}

/* A descriptor that waits for a page */
static uint32_t submit_waiting(Machine *m, uint32_t flags, QVTDPageReq *req)
{
    uint32_t index = qsvm_queue_submit(&m->q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .flags = flags, .dst = IOVA, .len = PAGE,
        .arg = PATTERN,
    });

    *req = qvtd_svm_wait_page_req(m->f);
    g_assert_cmphex(req->addr, ==, IOVA);
    return index;
}

static uint64_t resolve(Machine *m, const QVTDPageReq *req)
{
    uint64_t page = qvtd_svm_resolve(m->f, req);

    qvtd_svm_respond(m->f, req, QVTD_SVM_SUCCESS);
    return page;
}

static bool is_filled(Machine *m, uint64_t page)
{
    return qtest_readq(m->f->qts, page) == PATTERN &&
           qtest_readq(m->f->qts, page + PAGE - 8) == PATTERN;
}

static void expect_idle(Machine *m, uint32_t index)
{
    qsvm_settle(&m->f->svm);
    g_assert(!qsvm_queue_is_complete(&m->q, index));
}

static void expect_paused_until_resumed(Machine *m, uint32_t index)
{
    expect_idle(m, index);
    qsvm_queue_control(&m->q, SVM_CTRL_RESUME);
    qsvm_queue_wait(&m->q, index);
}

/*
 * Pause, drain, abort
 */

static void test_pause_idle(void)
{
    uint32_t index;
    Machine m;

    start(&m);
    expect_works(&m.q);
    g_assert_cmpuint(qsvm_queue_control(&m.q, SVM_CTRL_PAUSE), ==,
                     SVM_STATE_PAUSED);
    qsvm_queue_wait_interrupt(&m.q);
    index = qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    expect_idle(&m, index);
    g_assert_cmpuint(qsvm_queue_readl(&m.q, SVM_Q_TAIL), ==, index + 1);
    g_assert_cmpuint(qsvm_queue_control(&m.q, SVM_CTRL_RESUME), ==,
                     SVM_STATE_RUNNING);
    qsvm_queue_wait(&m.q, index);
    g_assert(!qsvm_queue_has_interrupt(&m.q));
    stop(&m);
}

static void test_pause_busy(void)
{
    QVTDPageReq req;
    uint32_t first, second;
    uint64_t page;
    Machine m;

    start(&m);
    first = submit_waiting(&m, 0, &req);
    second = qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    g_assert_cmpuint(qsvm_queue_control(&m.q, SVM_CTRL_PAUSE), ==,
                     SVM_STATE_PAUSING);
    g_assert(!qsvm_queue_has_interrupt(&m.q));
    page = resolve(&m, &req);
    qsvm_queue_wait_interrupt(&m.q);
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_PAUSED);
    g_assert(qsvm_queue_is_complete(&m.q, first));
    g_assert(is_filled(&m, page));
    expect_paused_until_resumed(&m, second);
    stop(&m);
}

/* The descriptor does not notice */
static void test_resume_busy(void)
{
    QVTDPageReq req;
    uint32_t index;
    Machine m;

    start(&m);
    submit_waiting(&m, 0, &req);
    index = qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    qsvm_queue_control(&m.q, SVM_CTRL_PAUSE);
    g_assert_cmpuint(qsvm_queue_control(&m.q, SVM_CTRL_RESUME), ==,
                     SVM_STATE_RUNNING);
    resolve(&m, &req);
    qsvm_queue_wait(&m.q, index);
    qsvm_settle(&m.f->svm);
    g_assert(!qsvm_queue_has_interrupt(&m.q));
    stop(&m);
}

static void test_drain_idle(void)
{
    Machine m;

    start(&m);
    expect_works(&m.q);
    g_assert_cmpuint(qsvm_queue_control(&m.q, SVM_CTRL_DRAIN), ==,
                     SVM_STATE_DISABLED);
    qsvm_queue_wait_interrupt(&m.q);
    g_assert_cmpuint(qsvm_queue_readl(&m.q, SVM_Q_HEAD), ==, 1);
    enable(&m.q);
    expect_works(&m.q);
    stop(&m);
}

static void test_drain_busy(void)
{
    QVTDPageReq req;
    uint32_t second, third;
    Machine m;

    start(&m);
    submit_waiting(&m, 0, &req);
    second = qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    g_assert_cmpuint(qsvm_queue_control(&m.q, SVM_CTRL_DRAIN), ==,
                     SVM_STATE_DRAINING);
    third = qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    resolve(&m, &req);
    qsvm_queue_wait_interrupt(&m.q);
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_DISABLED);
    g_assert(qsvm_queue_is_complete(&m.q, second));
    expect_idle(&m, third);
    g_assert_cmpuint(qsvm_queue_readl(&m.q, SVM_Q_HEAD), ==, third);
    stop(&m);
}

static void test_drain_paused(void)
{
    uint32_t index;
    Machine m;

    start(&m);
    qsvm_queue_control(&m.q, SVM_CTRL_PAUSE);
    index = qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    qsvm_queue_control(&m.q, SVM_CTRL_DRAIN);
    qsvm_queue_wait(&m.q, index);
    qsvm_queue_wait_state(&m.q, SVM_STATE_DISABLED);
    stop(&m);
}

static void test_abort(void)
{
    QVTDPageReq req;
    uint32_t index;
    uint64_t page;
    Machine m;

    start(&m);
    index = submit_waiting(&m, SVM_DESC_F_INTR, &req);
    g_assert_cmpuint(qsvm_queue_control(&m.q, SVM_CTRL_ABORT), ==,
                     SVM_STATE_DISABLED);
    page = resolve(&m, &req);
    expect_idle(&m, index);
    g_assert(qvtd_svm_is_poisoned(m.f, page, PAGE));
    g_assert(!qsvm_queue_has_interrupt(&m.q));
    g_assert_cmpuint(qsvm_queue_readl(&m.q, SVM_Q_HEAD), ==, index);
    g_assert_cmpuint(qsvm_queue_readl(&m.q, SVM_Q_TAIL), ==, index + 1);

    /* What was submitted before is forgotten, not the place */
    enable(&m.q);
    expect_idle(&m, index);
    qsvm_queue_kick(&m.q);
    qsvm_queue_wait(&m.q, index);
    g_assert(is_filled(&m, page));
    stop(&m);
}

/* The OS does not answer in time: neither the queue nor the page is lost. */
static void test_page_timeout(void)
{
    QVTDPageReq req;
    QSVMRecord rec;
    uint32_t index;
    Machine m;

    start_with(&m, ENDPOINT ",page-timeout-ms=100");
    index = submit_waiting(&m, 0, &req);
    qsvm_queue_submit(&m.q, &(QSVMDesc) { .flags = SVM_DESC_F_FENCE });
    g_assert(!qsvm_queue_is_complete(&m.q, index));
    qtest_clock_step(m.f->qts, NANOSECONDS_PER_SECOND / 10);
    rec = qsvm_queue_wait(&m.q, index);
    g_assert_cmpuint(rec.status, ==, SVM_CPL_TIMEOUT);
    g_assert_cmphex(rec.addr, ==, IOVA);
    g_assert_cmphex(rec.done, ==, 0);
    rec = qsvm_queue_wait(&m.q, index + 1);
    g_assert_cmpuint(rec.status, ==, SVM_CPL_SKIPPED);

    resolve(&m, &req);
    expect_works(&m.q);
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_RUNNING);
    stop(&m);
}

/* While the old coroutine is about to end, and without waiting for it */
static void test_abort_again_and_again(void)
{
    QVTDPageReq req;
    Machine m;

    start(&m);
    for (int i = 0; i < 50; i++) {
        qsvm_queue_submit(&m.q, &(QSVMDesc) {
            .op = SVM_OP_FILL, .dst = IOVA, .len = PAGE,
        });
        qsvm_queue_control(&m.q, i % 3 ? SVM_CTRL_ABORT : SVM_CTRL_PAUSE);
        qsvm_queue_control(&m.q, SVM_CTRL_ABORT);
        m.q.tail = qsvm_queue_readl(&m.q, SVM_Q_HEAD);
        enable(&m.q);
        while (qvtd_pop_page_req(m.f->v, &req)) {
            qvtd_svm_respond(m.f, &req, QVTD_SVM_SUCCESS);
        }
    }
    expect_works(&m.q);
    qsvm_settle(&m.f->svm);
    while (qvtd_pop_page_req(m.f->v, &req)) {
        qvtd_svm_respond(m.f, &req, QVTD_SVM_SUCCESS);
    }
    stop(&m);
}

typedef struct Control {
    uint32_t state;
    uint32_t good;              /* bits */
} Control;

#define ALLOW(c) (1 << SVM_CTRL_##c)

static const Control controls[] = {
    { SVM_STATE_DISABLED, ALLOW(ENABLE) | ALLOW(ABORT) },
    { SVM_STATE_RUNNING, ALLOW(PAUSE) | ALLOW(DRAIN) | ALLOW(ABORT) },
    { SVM_STATE_PAUSING, ALLOW(RESUME) | ALLOW(DRAIN) | ALLOW(ABORT) },
    { SVM_STATE_PAUSED, ALLOW(RESUME) | ALLOW(DRAIN) | ALLOW(ABORT) },
    { SVM_STATE_DRAINING, ALLOW(ABORT) },
    { SVM_STATE_ERROR, ALLOW(ABORT) },
};

/* Bring a queue, disabled, whose descriptor waits for ever, into a state */
static void enter_state(Machine *m, uint32_t state)
{
    QVTDPageReq req;

    if (state == SVM_STATE_DISABLED) {
        return;
    }
    enable(&m->q);
    if (state == SVM_STATE_PAUSED) {
        qsvm_queue_control(&m->q, SVM_CTRL_PAUSE);
    }
    qsvm_queue_kick(&m->q);
    if (state == SVM_STATE_PAUSING) {
        /* Once it has begun */
        req = qvtd_svm_wait_page_req(m->f);
        qsvm_queue_control(&m->q, SVM_CTRL_PAUSE);
        qvtd_svm_respond(m->f, &req, QVTD_SVM_SUCCESS);
    } else if (state == SVM_STATE_DRAINING) {
        qsvm_queue_control(&m->q, SVM_CTRL_DRAIN);
    } else if (state == SVM_STATE_ERROR) {
        qsvm_queue_db_writel(&m->q, SVM_DB_TAIL, SIZE + 1);
    }
}

static void test_controls(void)
{
    Machine m;

    start(&m);
    qsvm_queue_control(&m.q, SVM_CTRL_ABORT);
    qsvm_queue_push(&m.q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .dst = IOVA, .len = PAGE,
    });
    for (int i = 0; i < ARRAY_SIZE(controls); i++) {
        for (uint32_t val = 0; val < 8; val++) {
            bool good = val && controls[i].good & 1 << val;
            QVTDPageReq req;

            enter_state(&m, controls[i].state);
            g_assert_cmpuint(qsvm_queue_state(&m.q), ==, controls[i].state);
            qsvm_queue_control(&m.q, val);
            g_assert_cmpint(qsvm_queue_state(&m.q) != controls[i].state ||
                            (val == SVM_CTRL_ABORT && good), ==, good);
            qsvm_queue_control(&m.q, SVM_CTRL_ABORT);
            qsvm_settle(&m.f->svm);
            while (qvtd_pop_page_req(m.f->v, &req)) {
                qvtd_svm_respond(m.f, &req, QVTD_SVM_SUCCESS);
            }
        }
    }
    stop(&m);
}

/*
 * The ring and the records
 */

static uint64_t ring_entry(Machine *m, bool records)
{
    uint64_t iova = records ? QSVM_RECORD_IOVA(0) : QSVM_RING_IOVA(0);

    return qvtd_pte_addr(m->f->v, m->q.table, iova, 1);
}

/* Ring or records are swapped out, and come back */
static void check_swapped(bool records)
{
    uint64_t entry;
    uint32_t index;
    QVTDPageReq req;
    uint64_t pte;
    Machine m;

    start(&m);
    entry = ring_entry(&m, records);
    pte = qtest_readq(m.f->qts, entry);
    qtest_writeq(m.f->qts, entry, 0);
    index = qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    req = qvtd_svm_wait_page_req(m.f);
    g_assert_cmphex(req.addr, ==, records ? QSVM_RECORD_IOVA(0)
                                          : QSVM_RING_IOVA(0));
    g_assert_cmpint(req.write, ==, records);
    qtest_writeq(m.f->qts, entry, pte);
    qvtd_svm_respond(m.f, &req, QVTD_SVM_SUCCESS);
    qsvm_queue_wait(&m.q, index);
    stop(&m);
}

static void test_ring_swapped(void)
{
    check_swapped(false);
}

static void test_records_swapped(void)
{
    check_swapped(true);
}

typedef struct RingError {
    const char *path;
    bool records;
    bool read_only;
    unsigned int cause;
    unsigned int status;
} RingError;

static const RingError ring_errors[] = {
    { "/svm/queue/error/ring-that-is-not-mapped", false, false,
      SVM_ERROR_RING, SVM_CPL_UNMAPPED },
    { "/svm/queue/error/records-that-are-not-mapped", true, false,
      SVM_ERROR_RECORD, SVM_CPL_UNMAPPED },
    { "/svm/queue/error/records-that-are-read-only", true, true,
      SVM_ERROR_RECORD, SVM_CPL_PERMISSION },
};

static void test_ring_error(const void *data)
{
    const RingError *r = data;
    QVTDPageReq req;
    uint64_t entry, pte;
    Machine m;

    start(&m);
    entry = ring_entry(&m, r->records);
    pte = qtest_readq(m.f->qts, entry);
    qtest_writeq(m.f->qts, entry, r->read_only ? pte & ~QVTD_FS_RW : 0);
    qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    req = qvtd_svm_wait_page_req(m.f);
    qvtd_svm_respond(m.f, &req, QVTD_SVM_INVALID);
    qsvm_queue_wait_interrupt(&m.q);
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_ERROR);
    g_assert_cmpuint(SVM_ERROR_CAUSE(qsvm_queue_readl(&m.q, SVM_Q_ERROR)), ==,
                     r->cause);
    g_assert_cmpuint(SVM_ERROR_STATUS(qsvm_queue_readl(&m.q, SVM_Q_ERROR)),
                     ==, r->status);
    g_assert_cmphex(qsvm_queue_readq(&m.q, SVM_Q_ERROR_ADDR), ==,
                    r->records ? QSVM_RECORD_IOVA(0) : QSVM_RING_IOVA(0));
    g_assert_cmpuint(qsvm_queue_readl(&m.q, SVM_Q_HEAD), ==, 0);

    qtest_writeq(m.f->qts, entry, pte);
    qsvm_queue_control(&m.q, SVM_CTRL_ABORT);
    g_assert_cmphex(qsvm_queue_readq(&m.q, SVM_Q_ERROR_ADDR), ==, 0);
    enable(&m.q);
    qsvm_queue_kick(&m.q);
    qsvm_queue_wait(&m.q, 0);
    stop(&m);
}

/*
 * Many queues
 */

static void run_mixed(QSVMQueue *q, uint64_t iova)
{
    qsvm_queue_push(q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .dst = iova, .len = PAGE, .arg = PATTERN + q->n,
    });
    qsvm_queue_push(q, &(QSVMDesc) {
        .op = SVM_OP_COPY, .flags = SVM_DESC_F_FENCE, .src = iova,
        .dst = iova + PAGE, .len = PAGE,
    });
    qsvm_queue_push(q, &(QSVMDesc) {
        .op = SVM_OP_COMPARE, .flags = SVM_DESC_F_FENCE, .src = iova,
        .dst = iova + PAGE, .len = PAGE,
    });
    qsvm_queue_push(q, &(QSVMDesc) {
        .op = SVM_OP_CRC, .flags = SVM_DESC_F_FENCE | SVM_DESC_F_INTR,
        .src = iova + PAGE, .len = PAGE, .arg = SVM_CRC_INIT,
    });
}

static void check_mixed(QSVMQueue *q, uint64_t page)
{
    g_autofree uint8_t *buf = g_malloc(PAGE);
    QSVMRecord rec = qsvm_queue_wait(q, q->tail - 1);

    g_assert_cmpuint(rec.status, ==, SVM_CPL_OK);
    qtest_bufread(q->f->qts, page, buf, PAGE);
    g_assert_cmphex(rec.value, ==, qsvm_crc(SVM_CRC_INIT, buf, PAGE));
    g_assert_cmphex(qtest_readq(q->f->qts, page), ==, PATTERN + q->n);
    qsvm_queue_wait_interrupt(q);
}

/* Each in a process of its own, at the same addresses */
static void check_all(const char *devices)
{
    QSVMQueue queues[SVM_QUEUES];
    uint64_t pages[SVM_QUEUES];
    Machine m;

    start_with(&m, devices);
    qsvm_queue_control(&m.q, SVM_CTRL_ABORT);
    for (int n = 0; n < SVM_QUEUES; n++) {
        uint64_t table = qvtd_svm_add_process(m.f, 0x1000 + n);

        qsvm_queue_init(&queues[n], m.f, m.bar, n, 0x1000 + n, table, SIZE);
        qsvm_queue_map(&queues[n], IOVA);
        pages[n] = qsvm_queue_map(&queues[n], IOVA + PAGE);
        enable(&queues[n]);
    }
    for (int round = 0; round < 3; round++) {
        for (int n = 0; n < SVM_QUEUES; n++) {
            run_mixed(&queues[n], IOVA);
        }
        for (int n = 0; n < SVM_QUEUES; n++) {
            qsvm_queue_kick(&queues[n]);
        }
        for (int n = 0; n < SVM_QUEUES; n++) {
            check_mixed(&queues[n], pages[n]);
        }
    }
    stop(&m);
}

static void test_64_queues(void)
{
    check_all(ENDPOINT);
}

static void test_two_threads(void)
{
    check_all(IOTHREADS);
}

static void test_one_thread(void)
{
    check_all("-object iothread,id=a " ENDPOINT ",iothread=a");
}

static void test_unknown_thread(void)
{
    QDict *response, *error;
    Machine m;

    start_with(&m, ENDPOINT " -device pcie-root-port,id=bridge,addr=5");
    response = qtest_qmp(m.f->qts, "{ 'execute': 'device_add', 'arguments': {"
                         " 'driver': 'svm', 'bus': 'bridge',"
                         " 'iothreads': [ 'nobody' ] } }");
    error = qdict_get_qdict(response, "error");
    g_assert(error);
    g_assert_cmpstr(qdict_get_str(error, "desc"), ==,
                    "there is no iothread \"nobody\"");
    qobject_unref(response);
    stop(&m);
}

/* One that waits for a page keeps no other one from working */
static void test_parallel(void)
{
    QVTDPageReq req;
    QSVMQueue other;
    uint32_t index;
    Machine m;

    start(&m);
    qsvm_queue_init(&other, m.f, m.bar, 1, PASID, m.f->table, SIZE);
    enable(&other);
    index = submit_waiting(&m, 0, &req);
    for (int i = 0; i < 3 * SIZE; i++) {
        expect_works(&other);
    }
    g_assert(!qsvm_queue_is_complete(&m.q, index));
    resolve(&m, &req);
    qsvm_queue_wait(&m.q, index);

    /* Nor the single command */
    qvtd_svm_map(m.f, IOVA + PAGE, QVTD_FS_USER_RW);
    g_assert(qsvm_write(&m.f->svm, IOVA + PAGE, PAGE));
    expect_works(&m.q);
    stop(&m);
}

/*
 * A thread that is busy
 */

static void map_busy_page(Machine *m)
{
    qvtd_fs_map(m->f->v, m->f->table, BUSY_IOVA,
                qvtd_alloc(m->f->v, BUSY_PAGE, BUSY_PAGE), 2, QVTD_FS_USER_RW);
}

/* Each descriptor takes some milliseconds, and is one step. */
static void make_busy(Machine *m, QSVMQueue *q, unsigned int n)
{
    qsvm_queue_init(q, m->f, m->bar, n, PASID, m->f->table, BUSY_SIZE);
    enable(q);
    for (int i = 0; i < BUSY_SIZE - 1; i++) {
        qsvm_queue_push(q, &(QSVMDesc) {
            .op = SVM_OP_CRC, .src = BUSY_IOVA, .len = BUSY_LEN,
        });
    }
    qsvm_queue_kick(q);
}

static void start_busy(Machine *m)
{
    QSVMQueue q;

    start(m);
    map_busy_page(m);
    for (int n = 1; n <= BUSY_QUEUES; n++) {
        make_busy(m, &q, n);
    }
}

/* Of QEMU: a coroutine takes 1 MiB, whether it uses it or not. */
static uint64_t address_space(Machine *m)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/statm",
                                            qtest_pid(m->f->qts));
    g_autofree char *statm = NULL;
    unsigned long pages;

    g_assert(g_file_get_contents(path, &statm, NULL, NULL));
    g_assert_cmpint(sscanf(statm, "%lu", &pages), ==, 1);
    return (uint64_t)pages * qemu_real_host_page_size();
}

static void abort_and_enable(Machine *m)
{
    qsvm_queue_control(&m->q, SVM_CTRL_ABORT);
    m->q.tail = qsvm_queue_readl(&m->q, SVM_Q_HEAD);
    enable(&m->q);
}

static void end_command(Machine *m)
{
    qsvm_writeq(&m->f->svm, SVM_REG_CMD, SVM_CMD_WRITE);
    qsvm_set_pasid(&m->f->svm, PASID);
}

static void expect_no_pile(Machine *m, void (*begin_and_end)(Machine *m))
{
    uint64_t before = address_space(m);

    for (int i = 0; i < PILE_ROUNDS; i++) {
        begin_and_end(m);
    }
    g_test_message("%" PRIu64 " MiB, then %" PRIu64 " MiB", before / MiB,
                   address_space(m) / MiB);
    g_assert_cmpuint(address_space(m), <, before + PILE_MAX);
}

static void submit_and_abort(Machine *m)
{
    qsvm_queue_submit(&m->q, &(QSVMDesc) { });
    abort_and_enable(m);
}

/* However often; and what is submitted then is executed. */
static void test_aborted_descriptors(void)
{
    Machine m;

#ifndef CONFIG_LINUX
    g_test_skip("no /proc");
    return;
#endif
    start_busy(&m);
    expect_no_pile(&m, submit_and_abort);
    expect_works(&m.q);
    stop(&m);
}

static void test_ended_commands(void)
{
    Machine m;

#ifndef CONFIG_LINUX
    g_test_skip("no /proc");
    return;
#endif
    start_busy(&m);
    qvtd_svm_map(m.f, IOVA, QVTD_FS_USER_RW);
    qsvm_writeq(&m.f->svm, SVM_REG_ADDR, IOVA);
    qsvm_writeq(&m.f->svm, SVM_REG_SIZE, PAGE);
    expect_no_pile(&m, end_command);
    g_assert(!qsvm_wait(&m.f->svm));
    g_assert(qsvm_write(&m.f->svm, IOVA, PAGE));
    stop(&m);
}

/* A queue that waits for the end of what was aborted goes with a reset */
static void test_reset_after_abort(void)
{
    Machine m;

    start_busy(&m);
    submit_and_abort(&m);
    qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    qsvm_function_reset(&m.f->svm);
    qvtd_svm_set_up_function(m.f);
    m.bar = m.q.bar = qsvm_map_queues(m.f);
    m.q.tail = 0;
    qsvm_queue_configure(&m.q);
    enable(&m.q);
    expect_works(&m.q);
    stop(&m);
}

static void test_stop_after_abort(void)
{
    uint32_t index;
    Machine m;

    start_busy(&m);
    submit_and_abort(&m);
    index = qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    qtest_qmp_assert_success(m.f->qts, "{ 'execute': 'stop' }");
    qtest_qmp_assert_success(m.f->qts, "{ 'execute': 'cont' }");
    qsvm_queue_wait(&m.q, index);
    stop(&m);
}

/* What records of a busy queue there were: copied by another one */
static unsigned int count_records(Machine *m, uint64_t copy)
{
    unsigned int n = 0;

    while (qtest_readl(m->f->qts, copy + n * SVM_REC_SIZE + SVM_REC_SEQ) ==
           n + 1) {
        n++;
    }
    return n;
}

/* Long descriptors of one are no burst that others of the thread wait for. */
static void test_turns(void)
{
    const unsigned int bytes = BUSY_SIZE * SVM_REC_SIZE;
    uint64_t copies[BUSY_SIZE / 2];
    QSVMQueue busy, other;
    Machine m;

    start(&m);
    map_busy_page(&m);
    qsvm_queue_init(&other, m.f, m.bar, 2, PASID, m.f->table, BUSY_SIZE);
    enable(&other);
    for (int i = 0; i < ARRAY_SIZE(copies); i++) {
        copies[i] = qsvm_queue_map(&other, IOVA + i * PAGE);
        qsvm_queue_push(&other, &(QSVMDesc) {
            .op = SVM_OP_COPY, .src = QSVM_RECORD_IOVA(1),
            .dst = IOVA + i * PAGE, .len = bytes,
        });
    }
    make_busy(&m, &busy, 1);
    qsvm_queue_kick(&other);
    qsvm_queue_wait(&other, ARRAY_SIZE(copies) - 1);
    for (int i = 1; i < ARRAY_SIZE(copies); i++) {
        g_assert_cmpuint(count_records(&m, copies[i]), <=,
                         count_records(&m, copies[i - 1]) + 4);
    }
    stop(&m);
}

/*
 * What happens from outside
 */

/* When an invalidation has completed the old page is written no more */
static void test_invalidation(void)
{
    QSVMDesc desc = {
        .op = SVM_OP_FILL, .dst = IOVA, .len = PAGE, .arg = PATTERN,
    };
    uint64_t page, old;
    Machine m;

    start(&m);
    page = qsvm_queue_map(&m.q, IOVA);
    for (int i = 0; i < 50; i++) {
        while (m.q.tail - qsvm_queue_db_readl(&m.q, SVM_DB_HEAD) < SIZE) {
            qsvm_queue_submit(&m.q, &desc);
        }
        old = page;
        page = qvtd_svm_map(m.f, IOVA, QVTD_FS_USER_RW);
        qvtd_inv(m.f->v, qvtd_piotlb_desc(QVTD_PIOTLB_PAGE, QVTD_SVM_DID,
                                          PASID, IOVA, 0, false));
        qvtd_inv(m.f->v, qvtd_dev_piotlb_desc(m.f->sid, PASID, IOVA, false,
                                              false));
        qvtd_svm_poison(m.f, old, PAGE);
        qsvm_queue_wait(&m.q, m.q.tail - 1);
        qsvm_queue_submit(&m.q, &desc);
        qsvm_queue_wait(&m.q, m.q.tail - 1);
        g_assert(qvtd_svm_is_poisoned(m.f, old, PAGE));
        g_assert(is_filled(&m, page));
    }
    stop(&m);
}

static void expect_reset(Machine *m)
{
    g_assert_cmpuint(qsvm_queue_state(&m->q), ==, SVM_STATE_DISABLED);
    g_assert_cmphex(qsvm_queue_readq(&m->q, SVM_Q_RING), ==, 0);
    g_assert_cmphex(qsvm_queue_readl(&m->q, SVM_Q_SIZE), ==, 0);
    g_assert_cmphex(qsvm_queue_readl(&m->q, SVM_Q_HEAD), ==, 0);
    g_assert_cmphex(qsvm_queue_readl(&m->q, SVM_Q_PASID), ==, SVM_PASID_NONE);
    g_assert_cmphex(qsvm_queue_readl(&m->q, SVM_Q_PEER), ==, 0);
}

static void test_function_reset(void)
{
    QVTDPageReq req;
    uint32_t index;
    uint64_t page;
    Machine m;

    start(&m);
    qsvm_queue_writel(&m.q, SVM_Q_PEER, SVM_PEER_READ | PASID);
    index = submit_waiting(&m, SVM_DESC_F_INTR, &req);
    qsvm_function_reset(&m.f->svm);
    page = resolve(&m, &req);
    qvtd_svm_set_up_function(m.f);
    m.bar = m.q.bar = qsvm_map_queues(m.f);
    expect_reset(&m);
    expect_idle(&m, index);
    g_assert(qvtd_svm_is_poisoned(m.f, page, PAGE));
    g_assert(!qsvm_queue_has_interrupt(&m.q));

    qsvm_queue_configure(&m.q);
    enable(&m.q);
    expect_works(&m.q);
    stop(&m);
}

static void set_power(Machine *m, unsigned int state)
{
    uint8_t cap = qpci_find_capability(m->f->svm.dev, PCI_CAP_ID_PM, 0);

    qpci_config_writew(m->f->svm.dev, cap + PCI_PM_CTRL, state);
}

static void set_master(Machine *m, bool on)
{
    uint16_t cmd = qpci_config_readw(m->f->svm.dev, PCI_COMMAND);

    cmd = on ? cmd | PCI_COMMAND_MASTER : cmd & ~PCI_COMMAND_MASTER;
    qpci_config_writew(m->f->svm.dev, PCI_COMMAND, cmd);
}

/* The record cannot be written either */
static void expect_disabled_error(Machine *m)
{
    uint32_t error;

    qsvm_queue_wait_state(&m->q, SVM_STATE_ERROR);
    error = qsvm_queue_readl(&m->q, SVM_Q_ERROR);
    g_assert_cmpuint(SVM_ERROR_CAUSE(error), ==, SVM_ERROR_RECORD);
    g_assert_cmpuint(SVM_ERROR_STATUS(error), ==, SVM_CPL_DISABLED);
    qsvm_queue_control(&m->q, SVM_CTRL_ABORT);
    m->q.tail = qsvm_queue_readl(&m->q, SVM_Q_HEAD);
    enable(&m->q);
    expect_works(&m->q);
}

static void test_not_master(void)
{
    QVTDPageReq req;
    Machine m;

    start(&m);
    expect_works(&m.q);
    submit_waiting(&m, 0, &req);
    set_master(&m, false);
    qsvm_queue_wait_state(&m.q, SVM_STATE_ERROR);
    set_master(&m, true);
    expect_disabled_error(&m);
    qvtd_svm_respond(m.f, &req, QVTD_SVM_SUCCESS);
    stop(&m);
}

/* One that is idle remembers everything */
static void test_d3hot(void)
{
    Machine m;

    start(&m);
    expect_works(&m.q);
    set_power(&m, 3);
    set_power(&m, 0);
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_RUNNING);
    expect_works(&m.q);
    stop(&m);
}

/* Its thread may be late, and find that the function is back */
static void test_d3hot_busy(void)
{
    int64_t began = g_get_monotonic_time();
    QVTDPageReq req;
    uint32_t index;
    Machine m;

    start(&m);
    index = submit_waiting(&m, 0, &req);
    set_power(&m, 3);
    qsvm_settle(&m.f->svm);
    set_power(&m, 0);
    while (qsvm_queue_state(&m.q) == SVM_STATE_RUNNING &&
           !qsvm_queue_is_complete(&m.q, index)) {
        qsvm_step(&m.f->svm, began);
    }
    if (qsvm_queue_is_complete(&m.q, index)) {
        g_assert_cmpuint(qsvm_queue_record(&m.q, index).status, ==,
                         SVM_CPL_DISABLED);
        expect_works(&m.q);
    } else {
        expect_disabled_error(&m);
    }
    qvtd_svm_respond(m.f, &req, QVTD_SVM_SUCCESS);
    stop(&m);
}

static void test_vm_stop(void)
{
    QVTDPageReq req, again;
    uint32_t index;
    uint64_t page;
    Machine m;

    start(&m);
    index = submit_waiting(&m, SVM_DESC_F_INTR, &req);
    qtest_qmp_assert_success(m.f->qts, "{ 'execute': 'stop' }");
    /* What a debugger may do */
    qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_RUNNING);
    g_assert(!qsvm_queue_is_complete(&m.q, index));
    qtest_qmp_assert_success(m.f->qts, "{ 'execute': 'cont' }");

    /* It is executed anew, and asks again */
    again = qvtd_svm_wait_page_req(m.f);
    g_assert_cmphex(again.addr, ==, req.addr);
    page = resolve(&m, &again);
    qvtd_svm_respond(m.f, &req, QVTD_SVM_SUCCESS);
    qsvm_queue_wait(&m.q, index + 1);
    g_assert(is_filled(&m, page));
    qsvm_queue_wait_interrupt(&m.q);
    stop(&m);
}

static void test_vm_stop_pausing(void)
{
    QVTDPageReq req;
    uint32_t index;
    Machine m;

    start(&m);
    index = submit_waiting(&m, 0, &req);
    qsvm_queue_control(&m.q, SVM_CTRL_PAUSE);
    qtest_qmp_assert_success(m.f->qts, "{ 'execute': 'stop' }");
    qtest_qmp_assert_success(m.f->qts, "{ 'execute': 'cont' }");
    qsvm_queue_wait_state(&m.q, SVM_STATE_PAUSED);
    qsvm_queue_wait_interrupt(&m.q);
    resolve(&m, &req);
    expect_paused_until_resumed(&m, index);
    stop(&m);
}

/* Nothing is done twice, and no record or interrupt is lost */
static void test_vm_stop_while_busy(void)
{
    Machine m;

    start(&m);
    for (int i = 0; i < 50; i++) {
        for (int j = 0; j < SIZE; j++) {
            qsvm_queue_push(&m.q, &(QSVMDesc) {
                .flags = j == SIZE - 1 ? SVM_DESC_F_INTR : 0,
            });
        }
        qsvm_queue_kick(&m.q);
        qtest_qmp_assert_success(m.f->qts, "{ 'execute': 'stop' }");
        g_assert_cmpint(qsvm_queue_is_complete(&m.q, m.q.tail - 1), ==,
                        qsvm_queue_readl(&m.q, SVM_Q_HEAD) == m.q.tail);
        qtest_qmp_assert_success(m.f->qts, "{ 'execute': 'cont' }");
        qsvm_queue_wait_interrupt(&m.q);
        g_assert(qsvm_queue_is_complete(&m.q, m.q.tail - 1));
    }
    stop(&m);
}

/*
 * Migration
 */

static void migrate(Machine *m)
{
    m->f = m->q.f = qvtd_svm_migrate(m->f, ENDPOINT);
}

static void test_migrate_idle(void)
{
    QSVMRecord rec;
    Machine m;

    start(&m);
    expect_works(&m.q);
    qsvm_queue_writel(&m.q, SVM_Q_PEER, SVM_PEER_READ | PASID);
    qsvm_queue_map(&m.q, IOVA);
    /* The next one is not to be executed */
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) { .op = UINT32_MAX });
    g_assert_cmpuint(rec.status, ==, SVM_CPL_INVALID);
    migrate(&m);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) { .flags = SVM_DESC_F_FENCE });
    g_assert_cmpuint(rec.status, ==, SVM_CPL_SKIPPED);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) {
        .op = SVM_OP_CRC, .flags = SVM_DESC_F_SRC_PEER, .src = IOVA,
        .len = PAGE,
    });
    g_assert_cmpuint(rec.status, ==, SVM_CPL_OK);
    stop(&m);
}

static void test_migrate_busy(void)
{
    QVTDPageReq req, again;
    uint32_t index;
    uint64_t page;
    Machine m;

    start(&m);
    index = submit_waiting(&m, SVM_DESC_F_INTR, &req);
    migrate(&m);
    again = qvtd_svm_wait_page_req(m.f);
    g_assert_cmphex(again.addr, ==, req.addr);
    page = resolve(&m, &again);
    qsvm_queue_wait(&m.q, index);
    g_assert(is_filled(&m, page));
    qsvm_queue_wait_interrupt(&m.q);
    stop(&m);
}

static void test_migrate_paused(void)
{
    uint32_t index;
    Machine m;

    start(&m);
    qsvm_queue_control(&m.q, SVM_CTRL_PAUSE);
    qsvm_queue_wait_interrupt(&m.q);
    index = qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    migrate(&m);
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_PAUSED);
    expect_paused_until_resumed(&m, index);
    stop(&m);
}

static void test_migrate_error(void)
{
    Machine m;

    start(&m);
    qsvm_queue_db_writel(&m.q, SVM_DB_TAIL, SIZE + 1);
    qsvm_queue_wait_interrupt(&m.q);
    migrate(&m);
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_ERROR);
    g_assert_cmphex(qsvm_queue_readl(&m.q, SVM_Q_ERROR), ==,
                    SVM_ERROR_DOORBELL);
    qsvm_queue_control(&m.q, SVM_CTRL_ABORT);
    enable(&m.q);
    expect_works(&m.q);
    stop(&m);
}

/* The device goes while a queue works */
static void test_unplug(void)
{
    QVTDPageReq req;
    Machine m;

    start_with(&m, ENDPOINT ",id=ep");
    submit_waiting(&m, 0, &req);
    qtest_qmp_assert_success(m.f->qts, "{ 'execute': 'qom-set', 'arguments': {"
                             " 'path': '/machine/peripheral/ep', 'property':"
                             " 'realized', 'value': false } }");
    qvtd_svm_respond(m.f, &req, QVTD_SVM_SUCCESS);
    qtest_clock_step(m.f->qts, NANOSECONDS_PER_SECOND);
    stop(&m);
}

/*
 * Guests that mean no good
 */

/* The process has a page of the device's own registers at IOVA */
static void map_registers(Machine *m, uint64_t offset)
{
    qvtd_fs_map(m->f->v, m->q.table, IOVA, m->bar.addr + offset, 1,
                QVTD_FS_USER_RW);
}

static uint32_t submit_reg_write(Machine *m, uint64_t addr, uint32_t val)
{
    return qsvm_queue_submit(&m->q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .dst = addr, .len = 4, .arg = val,
    });
}

static void test_own_doorbell(void)
{
    QSVMQueue other;
    uint32_t index;
    Machine m;

    start(&m);
    qsvm_queue_init(&other, m.f, m.bar, 1, PASID, m.f->table, SIZE);
    enable(&other);
    map_registers(&m, SVM_DOORBELL_PAGE(1));
    index = qsvm_queue_push(&other, &(QSVMDesc) { });
    submit_reg_write(&m, IOVA + SVM_DB_TAIL, index + 1);
    qsvm_queue_wait(&other, index);
    qsvm_queue_wait(&m.q, 0);

    /* And its own, with a value that stops it */
    map_registers(&m, SVM_DOORBELL_PAGE(0));
    qvtd_inv(m.f->v, qvtd_dev_piotlb_desc(m.f->sid, PASID, IOVA, false,
                                          false));
    submit_reg_write(&m, IOVA + SVM_DB_TAIL, UINT32_MAX);
    qsvm_queue_wait_state(&m.q, SVM_STATE_ERROR);
    expect_idle(&m, 1);
    stop(&m);
}

static void test_own_control(void)
{
    uint32_t index;
    Machine m;

    start(&m);
    map_registers(&m, SVM_Q_REGS(0));
    index = submit_reg_write(&m, IOVA + SVM_Q_CTRL, SVM_CTRL_ABORT);
    qsvm_queue_wait_state(&m.q, SVM_STATE_DISABLED);
    expect_idle(&m, index);
    m.q.tail = qsvm_queue_readl(&m.q, SVM_Q_HEAD);
    enable(&m.q);
    expect_works(&m.q);
    stop(&m);
}

static void test_own_peer(void)
{
    QSVMRecord rec;
    Machine m;

    start(&m);
    map_registers(&m, SVM_Q_REGS(0));
    qsvm_queue_writel(&m.q, SVM_Q_PEER, PASID | SVM_PEER_WRITE);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .flags = SVM_DESC_F_DST_PEER,
        .dst = IOVA + SVM_Q_PEER, .len = 4,
    });
    /* The access itself has ended what it belongs to, and is complete */
    g_assert_cmpuint(rec.status, ==, SVM_CPL_OK);
    g_assert_cmphex(qsvm_queue_readl(&m.q, SVM_Q_PEER), ==, 0);
    stop(&m);
}

static void test_ring_in_registers(void)
{
    QSVMRecord rec;
    Machine m;

    start(&m);
    qsvm_queue_control(&m.q, SVM_CTRL_ABORT);
    map_registers(&m, 0);
    qsvm_queue_writeq(&m.q, SVM_Q_RING, IOVA);
    enable(&m.q);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) { });
    g_assert_cmpuint(rec.status, ==, SVM_CPL_INVALID);

    stop(&m);
}

/* One that fails when it is written would have been counted already. */
static void test_records_in_registers(void)
{
    uint32_t index, error;
    Machine m;

    start(&m);
    qsvm_queue_control(&m.q, SVM_CTRL_ABORT);
    map_registers(&m, 0);
    qsvm_queue_writeq(&m.q, SVM_Q_RECORDS, IOVA);
    enable(&m.q);
    index = qsvm_queue_submit(&m.q, &(QSVMDesc) { .flags = SVM_DESC_F_INTR });
    qsvm_queue_wait_interrupt(&m.q);
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_ERROR);
    error = qsvm_queue_readl(&m.q, SVM_Q_ERROR);
    g_assert_cmpuint(SVM_ERROR_CAUSE(error), ==, SVM_ERROR_RECORD);
    g_assert_cmpuint(SVM_ERROR_STATUS(error), ==, SVM_CPL_BUS_ERROR);
    g_assert_cmphex(qsvm_queue_readq(&m.q, SVM_Q_ERROR_ADDR), ==, IOVA);
    g_assert_cmpuint(qsvm_queue_readl(&m.q, SVM_Q_HEAD), ==, index);

    qsvm_queue_control(&m.q, SVM_CTRL_ABORT);
    qsvm_queue_writeq(&m.q, SVM_Q_RECORDS, QSVM_RECORD_IOVA(0));
    enable(&m.q);
    qsvm_queue_kick(&m.q);
    qsvm_queue_wait(&m.q, index);
    stop(&m);
}

/* Buffers may lie upon the ring and the records themselves */
static uint64_t random_address(void)
{
    const uint64_t addrs[] = {
        0, 0 - PAGE, IOVA, IOVA + 3 * PAGE, QSVM_RING_IOVA(0),
        QSVM_RECORD_IOVA(0),
    };

    return addrs[g_test_rand_int_range(0, ARRAY_SIZE(addrs))] +
           g_test_rand_int_range(-8, 128);
}

static void push_random(QSVMQueue *q)
{
    qsvm_queue_push(q, &(QSVMDesc) {
        .op = g_test_rand_int_range(0, SVM_OP_TRANSLATE + 2),
        .flags = g_test_rand_int_range(0, SVM_DESC_F_MASK + 2),
        .src = random_address(),
        .dst = random_address(),
        .len = 1ULL << g_test_rand_int_range(0, 64),
        .arg = g_test_rand_int_range(0, 256),
    });
}

static void write_random_register(QSVMQueue *q)
{
    uint64_t reg = g_test_rand_int_range(0, 0x40 / 4) * 4;
    uint32_t val = g_test_rand_int_range(-2, 10);

    if (reg % 8) {
        qsvm_queue_writel(q, reg, val);
    } else {
        qsvm_queue_writeq(q, reg, val * 64ULL);
    }
}

static void test_random(void)
{
    QSVMQueue good;
    Machine m;

    start(&m);
    qsvm_disable_pri(&m.f->svm);
    qsvm_queue_init(&good, m.f, m.bar, 1, 0x123,
                    qvtd_svm_add_process(m.f, 0x123), SIZE);
    enable(&good);
    for (int i = 0; i < 4; i++) {
        qsvm_queue_map(&m.q, IOVA + i * PAGE);
    }
    for (int i = 0; i < 300; i++) {
        push_random(&m.q);
        qsvm_queue_db_writel(&m.q, SVM_DB_TAIL,
                             m.q.tail + (i % 20 ? 0
                                         : g_test_rand_int_range(-9, 9)));
        if (i % 7 == 0) {
            write_random_register(&m.q);
        }
        if (qsvm_queue_state(&m.q) != SVM_STATE_RUNNING) {
            qsvm_queue_control(&m.q, SVM_CTRL_ABORT);
            m.q.tail = 0;
            qsvm_queue_writel(&m.q, SVM_Q_PEER, SVM_PEER_READ | PASID);
            qsvm_queue_configure(&m.q);
            enable(&m.q);
        }
    }
    expect_works(&good);
    stop(&m);
}

typedef struct Test {
    const char *path;
    void (*fn)(void);
} Test;

static const Test tests[] = {
    { "/svm/queue/state/an-idle-queue-is-paused-at-once", test_pause_idle },
    { "/svm/queue/state/a-pause-waits-for-the-descriptor", test_pause_busy },
    { "/svm/queue/state/resume-ends-pausing", test_resume_busy },
    { "/svm/queue/state/an-idle-queue-is-drained-at-once", test_drain_idle },
    { "/svm/queue/state/a-drain-executes-what-was-submitted",
      test_drain_busy },
    { "/svm/queue/state/a-paused-queue-is-drained", test_drain_paused },
    { "/svm/queue/state/abort-waits-for-nothing", test_abort },
    { "/svm/queue/state/page-timeout-ms-ends-a-descriptor",
      test_page_timeout },
    { "/svm/queue/state/abort-again-and-again", test_abort_again_and_again },
    { "/svm/queue/state/each-control-in-each-state", test_controls },
    { "/svm/queue/ring/is-swapped-in", test_ring_swapped },
    { "/svm/queue/ring/records-are-swapped-in", test_records_swapped },
    { "/svm/queue/many/64-queues-of-64-processes", test_64_queues },
    { "/svm/queue/many/over-two-threads", test_two_threads },
    { "/svm/queue/many/in-a-given-thread", test_one_thread },
    { "/svm/queue/many/a-thread-that-does-not-exist", test_unknown_thread },
    { "/svm/queue/many/one-that-waits-does-not-stop-others", test_parallel },
    { "/svm/queue/busy/aborted-descriptors-do-not-pile-up",
      test_aborted_descriptors },
    { "/svm/queue/busy/ended-commands-do-not-pile-up", test_ended_commands },
    { "/svm/queue/busy/a-reset-after-an-abort", test_reset_after_abort },
    { "/svm/queue/busy/the-machine-stops-after-an-abort",
      test_stop_after_abort },
    { "/svm/queue/busy/long-descriptors-take-turns-with-others", test_turns },
    { "/svm/queue/event/invalidations-while-it-works", test_invalidation },
    { "/svm/queue/event/function-level-reset", test_function_reset },
    { "/svm/queue/event/bus-mastering-is-disabled", test_not_master },
    { "/svm/queue/event/D3hot-of-an-idle-queue", test_d3hot },
    { "/svm/queue/event/D3hot-of-a-busy-queue", test_d3hot_busy },
    { "/svm/queue/event/the-machine-stops", test_vm_stop },
    { "/svm/queue/event/the-machine-stops-in-a-pause", test_vm_stop_pausing },
    { "/svm/queue/event/the-machine-stops-at-any-time",
      test_vm_stop_while_busy },
    { "/svm/queue/event/unplug", test_unplug },
    { "/svm/queue/hostile/a-descriptor-writes-doorbells", test_own_doorbell },
    { "/svm/queue/hostile/a-descriptor-aborts-its-queue", test_own_control },
    { "/svm/queue/hostile/a-descriptor-writes-its-peer", test_own_peer },
    { "/svm/queue/hostile/ring-in-registers", test_ring_in_registers },
    { "/svm/queue/hostile/records-in-registers", test_records_in_registers },
    { "/svm/queue/hostile/anything", test_random },
};

static const Test migrations[] = {
    { "/svm/queue/migrate/idle", test_migrate_idle },
    { "/svm/queue/migrate/busy", test_migrate_busy },
    { "/svm/queue/migrate/paused", test_migrate_paused },
    { "/svm/queue/migrate/error", test_migrate_error },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(tests); i++) {
        qtest_add_func(tests[i].path, tests[i].fn);
    }
    for (int i = 0; i < ARRAY_SIZE(migrations); i++) {
        qvtd_svm_add_migration(migrations[i].path, migrations[i].fn);
    }
    for (int i = 0; i < ARRAY_SIZE(ring_errors); i++) {
        qtest_add_data_func(ring_errors[i].path, &ring_errors[i],
                            test_ring_error);
    }
    return g_test_run();
}
