/*
 * QTest testcase for SVM: the endpoint's queues, what their descriptors do and
 * which registers they have
 *
 * docs/specs/svm.rst, "Queues" and what follows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/svm-queue.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define OTHER       0x7f5678900000ULL
#define PASID       QVTD_SVM_PASID
#define PEER        0x123
#define CREDITS     8
#define SIZE        8
#define PATTERN     0x8877665544332211ULL

/* Longer than what the device moves at once, and no multiple of it */
#define LONG_PAGES  35
#define LONG        (33 * PAGE + 77)

typedef struct Machine {
    QVTDSVM *f;
    QPCIBar bar;
    QSVMQueue q;
} Machine;

static void start_with(Machine *m, const char *devices, uint32_t size)
{
    m->f = qvtd_svm_start_machine("", devices);
    qvtd_svm_attach(m->f, QPCI_DEVFN(4, 0));
    m->bar = qsvm_map_queues(m->f);
    qsvm_queue_init(&m->q, m->f, m->bar, 0, PASID, m->f->table, size);
}

static void start_disabled(Machine *m)
{
    start_with(m, "-device svm,addr=4", SIZE);
}

static void enable(QSVMQueue *q)
{
    g_assert_cmpuint(qsvm_queue_control(q, SVM_CTRL_ENABLE), ==,
                     SVM_STATE_RUNNING);
}

static void start(Machine *m)
{
    start_disabled(m);
    enable(&m->q);
}

static void start_pri(Machine *m)
{
    start(m);
    qvtd_enable_prq(m->f->v, 0);
    qsvm_enable_pri(&m->f->svm, CREDITS);
}

static void stop(Machine *m)
{
    qvtd_svm_stop(m->f);
}

static void map_pages(QSVMQueue *q, uint64_t iova, unsigned int pages)
{
    for (unsigned int i = 0; i < pages; i++) {
        qsvm_queue_map(q, iova + i * PAGE);
    }
}

static uint64_t pa_of(QSVMQueue *q, uint64_t iova)
{
    return qvtd_pte(q->f->v, q->table, iova, 1) & QVTD_PTE_ADDR_MASK;
}

static void write_bytes(QSVMQueue *q, uint64_t iova, const uint8_t *buf,
                        size_t len)
{
    while (len) {
        size_t n = MIN(len, PAGE - iova % PAGE);

        qtest_bufwrite(q->f->qts, pa_of(q, iova) + iova % PAGE, buf, n);
        iova += n;
        buf += n;
        len -= n;
    }
}

static void read_bytes(QSVMQueue *q, uint64_t iova, uint8_t *buf, size_t len)
{
    while (len) {
        size_t n = MIN(len, PAGE - iova % PAGE);

        qtest_bufread(q->f->qts, pa_of(q, iova) + iova % PAGE, buf, n);
        iova += n;
        buf += n;
        len -= n;
    }
}

static uint8_t *random_bytes(QSVMQueue *q, uint64_t iova, size_t len)
{
    uint8_t *buf = g_malloc(len);

    for (size_t i = 0; i < len; i++) {
        buf[i] = g_test_rand_int();
    }
    write_bytes(q, iova, buf, len);
    return buf;
}

static void expect_bytes(QSVMQueue *q, uint64_t iova, const uint8_t *expected,
                         size_t len)
{
    g_autofree uint8_t *seen = g_malloc(len);

    read_bytes(q, iova, seen, len);
    g_assert(!len || !memcmp(seen, expected, len));
}

static void expect_poison(QSVMQueue *q, uint64_t iova, size_t len)
{
    g_autofree uint8_t *expected = NULL;

    if (!len) {
        return;
    }
    expected = g_malloc(len);
    memset(expected, QVTD_SVM_POISON, len);
    expect_bytes(q, iova, expected, len);
}

static void expect_ok(const QSVMRecord *rec, uint64_t done, uint64_t value)
{
    g_assert_cmpuint(rec->status, ==, SVM_CPL_OK);
    g_assert_cmphex(rec->done, ==, done);
    g_assert_cmphex(rec->addr, ==, 0);
    g_assert_cmphex(rec->value, ==, value);
    g_assert_cmpuint(rec->side, ==, SVM_SIDE_NONE);
}

static void expect_error(const QSVMRecord *rec, unsigned int status,
                         uint64_t done, unsigned int side, uint64_t addr)
{
    g_assert_cmpuint(rec->status, ==, status);
    g_assert_cmphex(rec->done, ==, done);
    g_assert_cmphex(rec->addr, ==, addr);
    g_assert_cmphex(rec->value, ==, 0);
    g_assert_cmpuint(rec->side, ==, side);
}

static void expect_works(QSVMQueue *q)
{
    QSVMRecord rec = qsvm_queue_run(q, &(QSVMDesc) { .op = SVM_OP_NOP });

    expect_ok(&rec, 0, 0);
}

/*
 * Operations
 */

static void test_nop(void)
{
    QSVMRecord rec;
    Machine m;

    start(&m);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) {
        .op = SVM_OP_NOP, .src = IOVA, .dst = IOVA, .len = UINT64_MAX,
        .arg = UINT64_MAX,
    });
    expect_ok(&rec, 0, 0);
    g_assert_cmphex(rec.seq, ==, 1);
    g_assert_cmpuint(qsvm_queue_readl(&m.q, SVM_Q_HEAD), ==, 1);
    g_assert_cmpuint(qsvm_queue_readl(&m.q, SVM_Q_TAIL), ==, 1);
    stop(&m);
}

/* Where a buffer begins in its page, and its length */
typedef struct Span {
    const char *path;
    unsigned int offset;
    uint64_t len;
} Span;

static const Span fills[] = {
    { "/svm/queue/fill/a-page", 0, PAGE },
    { "/svm/queue/fill/a-byte", 5, 1 },
    { "/svm/queue/fill/a-part-of-the-pattern", 1, 7 },
    { "/svm/queue/fill/pages-from-an-odd-byte-to-an-odd-byte", 13, LONG },
    { "/svm/queue/fill/nothing", 7, 0 },
};

static void test_fill(const void *data)
{
    const Span *s = data;
    g_autofree uint8_t *expected = g_malloc(s->len + 1);
    uint64_t dst = IOVA + s->offset;
    QSVMRecord rec;
    Machine m;

    start(&m);
    map_pages(&m.q, IOVA, LONG_PAGES);
    for (size_t i = 0; i < s->len; i++) {
        expected[i] = PATTERN >> i % 8 * 8;
    }
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .dst = dst, .len = s->len, .arg = PATTERN,
    });
    expect_ok(&rec, s->len, 0);
    expect_bytes(&m.q, dst, expected, s->len);
    expect_poison(&m.q, IOVA, s->offset);
    expect_poison(&m.q, dst + s->len, PAGE - 100);
    stop(&m);
}

static const Span copies[] = {
    { "/svm/queue/copy/a-page", 0, PAGE },
    { "/svm/queue/copy/a-byte", 5, 1 },
    { "/svm/queue/copy/pages-from-an-odd-byte-to-an-odd-byte", 13, LONG },
    { "/svm/queue/copy/nothing", 7, 0 },
};

static void test_copy(const void *data)
{
    const Span *s = data;
    g_autofree uint8_t *expected = NULL;
    uint64_t src = IOVA + s->offset, dst = OTHER + s->offset / 2;
    QSVMRecord rec;
    Machine m;

    start(&m);
    map_pages(&m.q, IOVA, LONG_PAGES);
    map_pages(&m.q, OTHER, LONG_PAGES);
    expected = random_bytes(&m.q, src, s->len);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) {
        .op = SVM_OP_COPY, .src = src, .dst = dst, .len = s->len,
    });
    expect_ok(&rec, s->len, 0);
    expect_bytes(&m.q, dst, expected, s->len);
    expect_bytes(&m.q, src, expected, s->len);
    expect_poison(&m.q, OTHER, s->offset / 2);
    expect_poison(&m.q, dst + s->len, PAGE - 100);
    stop(&m);
}

typedef struct Compare {
    const char *path;
    uint64_t len;
    int64_t different;          /* byte, or -1 */
} Compare;

static const Compare compares[] = {
    { "/svm/queue/compare/equal", LONG, -1 },
    { "/svm/queue/compare/first-byte", LONG, 0 },
    { "/svm/queue/compare/last-byte", LONG, LONG - 1 },
    { "/svm/queue/compare/a-byte-that-is-far-inside", LONG, 68000 },
    { "/svm/queue/compare/nothing", 0, -1 },
};

static void test_compare(const void *data)
{
    const Compare *c = data;
    uint64_t src = IOVA + 3, dst = OTHER + 9;
    g_autofree uint8_t *buf = NULL;
    QSVMRecord rec;
    Machine m;

    start(&m);
    map_pages(&m.q, IOVA, LONG_PAGES);
    map_pages(&m.q, OTHER, LONG_PAGES);
    buf = random_bytes(&m.q, src, c->len);
    if (c->different >= 0) {
        buf[c->different] ^= 0x10;
    }
    write_bytes(&m.q, dst, buf, c->len);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) {
        .op = SVM_OP_COMPARE, .src = src, .dst = dst, .len = c->len,
    });
    if (c->different < 0) {
        expect_ok(&rec, c->len, c->len);
    } else {
        g_assert_cmpuint(rec.status, ==, SVM_CPL_DIFFERENT);
        g_assert_cmphex(rec.value, ==, c->different);
        g_assert_cmphex(rec.done, ==, c->different);
        g_assert_cmphex(rec.addr, ==, 0);
    }
    stop(&m);
}

static void test_crc(void)
{
    g_autofree uint8_t *buf = NULL;
    QSVMDesc desc = {
        .op = SVM_OP_CRC, .src = IOVA + 21, .len = LONG, .arg = SVM_CRC_INIT,
    };
    QSVMRecord rec;
    Machine m;

    start(&m);
    map_pages(&m.q, IOVA, LONG_PAGES);
    buf = random_bytes(&m.q, desc.src, LONG);
    rec = qsvm_queue_run(&m.q, &desc);
    expect_ok(&rec, LONG, qsvm_crc(SVM_CRC_INIT, buf, LONG));

    /* In two pieces, the second from where the first ends */
    desc.len = 1000;
    rec = qsvm_queue_run(&m.q, &desc);
    expect_ok(&rec, 1000, qsvm_crc(SVM_CRC_INIT, buf, 1000));
    desc = (QSVMDesc) {
        .op = SVM_OP_CRC, .src = desc.src + 1000, .len = LONG - 1000,
        .arg = rec.value,
    };
    rec = qsvm_queue_run(&m.q, &desc);
    expect_ok(&rec, LONG - 1000, qsvm_crc(SVM_CRC_INIT, buf, LONG));

    desc.len = 0;
    rec = qsvm_queue_run(&m.q, &desc);
    expect_ok(&rec, 0, desc.arg);
    stop(&m);
}

/* It asks the OS for all pages, and changes none */
static void test_translate(void)
{
    QSVMDesc desc = {
        .op = SVM_OP_TRANSLATE, .src = IOVA + 1, .len = 3 * PAGE - 1,
    };
    uint64_t requests;
    QSVMRecord rec;
    Machine m;

    start(&m);
    map_pages(&m.q, IOVA, 3);
    rec = qsvm_queue_run(&m.q, &desc);
    expect_ok(&rec, desc.len, 0);
    desc.flags = SVM_DESC_F_WRITE;
    rec = qsvm_queue_run(&m.q, &desc);
    expect_ok(&rec, desc.len, 0);
    expect_poison(&m.q, IOVA, 3 * PAGE);
    g_assert(qvtd_pte(m.f->v, m.q.table, IOVA + 2 * PAGE, 1) & QVTD_FS_D);

    /* All is in the cache now */
    requests = qsvm_readq(&m.f->svm, SVM_STAT_ATS_REQUESTS);
    rec = qsvm_queue_run(&m.q, &desc);
    expect_ok(&rec, desc.len, 0);
    g_assert_cmpuint(qsvm_readq(&m.f->svm, SVM_STAT_ATS_REQUESTS), ==,
                     requests);
    stop(&m);
}

static void test_top(void)
{
    QSVMRecord rec;
    Machine m;

    start(&m);
    qsvm_queue_map(&m.q, 0 - PAGE);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .dst = 0 - PAGE, .len = PAGE,
    });
    expect_ok(&rec, PAGE, 0);
    stop(&m);
}

/*
 * Descriptors that are not valid
 */

typedef struct Invalid {
    const char *path;
    QSVMDesc desc;
} Invalid;

static const Invalid invalids[] = {
    { "/svm/queue/invalid/the-first-operation-that-there-is-not",
      { .op = SVM_OP_TRANSLATE + 1 } },
    { "/svm/queue/invalid/operation-of-32-bits", { .op = UINT32_MAX } },
    { "/svm/queue/invalid/reserved-flag", { .flags = 1 << 5 } },
    { "/svm/queue/invalid/last-reserved-flag", { .flags = 1u << 31 } },
    { "/svm/queue/invalid/source-beyond-the-top",
      { .op = SVM_OP_CRC, .src = 0 - PAGE, .len = PAGE + 1, .arg = 0xff } },
    { "/svm/queue/invalid/destination-beyond-the-top",
      { .op = SVM_OP_FILL, .dst = PAGE, .len = UINT64_MAX } },
    { "/svm/queue/invalid/copy-to-beyond-the-top",
      { .op = SVM_OP_COPY, .src = IOVA, .dst = UINT64_MAX, .len = 2 } },
    { "/svm/queue/invalid/initial-value-of-more-than-a-byte",
      { .op = SVM_OP_CRC, .src = IOVA, .len = 1, .arg = 0x100 } },
};

static void test_invalid(const void *data)
{
    const Invalid *i = data;
    QSVMRecord rec;
    Machine m;

    start(&m);
    qsvm_queue_map(&m.q, IOVA);
    rec = qsvm_queue_run(&m.q, &i->desc);
    expect_error(&rec, SVM_CPL_INVALID, 0, SVM_SIDE_NONE, 0);
    expect_works(&m.q);
    expect_poison(&m.q, IOVA, PAGE);
    stop(&m);
}

static void test_reserved_field(void)
{
    QSVMRecord rec;
    Machine m;

    start(&m);
    for (unsigned int i = SVM_DESC_RESERVED; i < SVM_DESC_SIZE; i++) {
        uint64_t slot = m.q.tail % SIZE * SVM_DESC_SIZE;
        uint32_t index = qsvm_queue_push(&m.q, &(QSVMDesc) { });

        qtest_writeb(m.f->qts, m.q.ring + slot + i, 0x80);
        qsvm_queue_kick(&m.q);
        rec = qsvm_queue_wait(&m.q, index);
        expect_error(&rec, SVM_CPL_INVALID, 0, SVM_SIDE_NONE, 0);
    }
    stop(&m);
}

/*
 * Errors of memory. The buffer's first page is there, the second is as the
 * case says.
 */

typedef struct Fault {
    const char *path;
    QSVMDesc desc;
    uint64_t iova;              /* of the second page */
    uint64_t flags;             /* of its entry, or 0 */
    unsigned int status;
    unsigned int side;
    int response;               /* to page requests; -1: PRI is disabled */
} Fault;

#define FIRST   (IOVA + PAGE - 100)
#define SECOND  (OTHER + PAGE - 100)
#define BOTH    .src = FIRST, .dst = SECOND, .len = 200

static const Fault faults[] = {
    { "/svm/queue/fault/fill-of-what-is-not-mapped",
      { .op = SVM_OP_FILL, .dst = FIRST, .len = 200 }, IOVA, 0,
      SVM_CPL_UNMAPPED, SVM_SIDE_DST, -1 },
    { "/svm/queue/fault/fill-of-a-read-only-page",
      { .op = SVM_OP_FILL, .dst = FIRST, .len = 200 }, IOVA, QVTD_FS_USER_RO,
      SVM_CPL_PERMISSION, SVM_SIDE_DST, -1 },
    { "/svm/queue/fault/CRC-of-what-is-not-mapped",
      { .op = SVM_OP_CRC, .src = FIRST, .len = 200, .arg = 0xff }, IOVA, 0,
      SVM_CPL_UNMAPPED, SVM_SIDE_SRC, -1 },
    { "/svm/queue/fault/copy-from-what-is-not-mapped",
      { .op = SVM_OP_COPY, BOTH }, IOVA, 0, SVM_CPL_UNMAPPED, SVM_SIDE_SRC,
      -1 },
    { "/svm/queue/fault/copy-to-what-is-not-mapped",
      { .op = SVM_OP_COPY, BOTH }, OTHER, 0, SVM_CPL_UNMAPPED, SVM_SIDE_DST,
      -1 },
    { "/svm/queue/fault/copy-to-a-read-only-page",
      { .op = SVM_OP_COPY, BOTH }, OTHER, QVTD_FS_USER_RO,
      SVM_CPL_PERMISSION, SVM_SIDE_DST, -1 },
    { "/svm/queue/fault/compare-with-what-is-not-mapped",
      { .op = SVM_OP_COMPARE, BOTH }, OTHER, 0, SVM_CPL_UNMAPPED,
      SVM_SIDE_DST, -1 },
    { "/svm/queue/fault/compare-of-what-is-not-mapped",
      { .op = SVM_OP_COMPARE, BOTH }, IOVA, 0, SVM_CPL_UNMAPPED,
      SVM_SIDE_SRC, -1 },
    { "/svm/queue/fault/translation-of-what-is-not-mapped",
      { .op = SVM_OP_TRANSLATE, .src = FIRST, .len = 200 }, IOVA, 0,
      SVM_CPL_UNMAPPED, SVM_SIDE_SRC, -1 },
    { "/svm/queue/fault/translation-for-writing-of-a-read-only-page",
      { .op = SVM_OP_TRANSLATE, .flags = SVM_DESC_F_WRITE, .src = FIRST,
        .len = 200 }, IOVA, QVTD_FS_USER_RO, SVM_CPL_PERMISSION,
      SVM_SIDE_SRC, -1 },
    { "/svm/queue/fault/Invalid-Request-for-what-is-not-mapped",
      { .op = SVM_OP_COPY, BOTH }, IOVA, 0, SVM_CPL_UNMAPPED, SVM_SIDE_SRC,
      QVTD_SVM_INVALID },
    { "/svm/queue/fault/Invalid-Request-for-a-read-only-page",
      { .op = SVM_OP_COPY, BOTH }, OTHER, QVTD_FS_USER_RO,
      SVM_CPL_PERMISSION, SVM_SIDE_DST, QVTD_SVM_INVALID },
    { "/svm/queue/fault/Success-again-and-again-without-effect",
      { .op = SVM_OP_COPY, BOTH }, OTHER, 0, SVM_CPL_RETRIES, SVM_SIDE_DST,
      QVTD_SVM_SUCCESS },
    { "/svm/queue/fault/Response-Failure",
      { .op = SVM_OP_FILL, .dst = FIRST, .len = 200 }, IOVA, 0,
      SVM_CPL_RESPONSE, SVM_SIDE_DST, QVTD_SVM_FAILURE },
};

static QSVMRecord wait_responding(Machine *m, uint32_t index, int response)
{
    int64_t start = g_get_monotonic_time();
    QVTDPageReq req;

    while (!qsvm_queue_is_complete(&m->q, index)) {
        if (response >= 0 && qvtd_pop_page_req(m->f->v, &req)) {
            qvtd_svm_respond(m->f, &req, response);
            if (response == QVTD_SVM_FAILURE) {
                /* It disables PRI, without which the record is fine too */
                response = -1;
            }
        }
        qsvm_step(&m->f->svm, start);
    }
    return qsvm_queue_record(&m->q, index);
}

static void test_fault(const void *data)
{
    const Fault *fault = data;
    uint64_t at = fault->iova + PAGE;
    QSVMRecord rec;
    Machine m;

    if (fault->response < 0) {
        start(&m);
    } else {
        start_pri(&m);
    }
    map_pages(&m.q, IOVA, 2);
    map_pages(&m.q, OTHER, 2);
    qtest_writeq(m.f->qts, qvtd_pte_addr(m.f->v, m.q.table, at, 1),
                 fault->flags ? pa_of(&m.q, at) | fault->flags : 0);
    qvtd_inv_all(m.f->v);
    rec = wait_responding(&m, qsvm_queue_submit(&m.q, &fault->desc),
                          fault->response);
    expect_error(&rec, fault->status, 100, fault->side, at);

    /* The queue does not mind */
    expect_works(&m.q);
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_RUNNING);
    stop(&m);
}

static void test_prefix(void)
{
    uint64_t second;
    g_autofree uint8_t *buf = NULL;
    QSVMRecord rec;
    Machine m;

    start(&m);
    qsvm_queue_map(&m.q, IOVA);
    map_pages(&m.q, OTHER, 2);
    buf = random_bytes(&m.q, FIRST, 100);
    second = SECOND;
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) { .op = SVM_OP_COPY, BOTH });
    expect_error(&rec, SVM_CPL_UNMAPPED, 100, SVM_SIDE_SRC, IOVA + PAGE);
    expect_bytes(&m.q, second, buf, 100);
    expect_poison(&m.q, second + 100, 100);

    /* A difference before the error comes first */
    buf[99] ^= 1;
    write_bytes(&m.q, second, buf, 100);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) { .op = SVM_OP_COMPARE, BOTH });
    g_assert_cmpuint(rec.status, ==, SVM_CPL_DIFFERENT);
    g_assert_cmphex(rec.value, ==, 99);
    stop(&m);
}

static void test_bus_error(void)
{
    QSVMRecord rec;
    Machine m;

    start(&m);
    qvtd_fs_map(m.f->v, m.q.table, IOVA, QVTD_SVM_NO_RAM, 1, QVTD_FS_USER_RW);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .dst = IOVA + 8, .len = 8,
    });
    expect_error(&rec, SVM_CPL_BUS_ERROR, 0, SVM_SIDE_DST, IOVA + 8);

    /* For writing it is translated, and not accessed */
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) {
        .op = SVM_OP_TRANSLATE, .flags = SVM_DESC_F_WRITE, .src = IOVA + 8,
        .len = 8,
    });
    expect_ok(&rec, 8, 0);
    stop(&m);
}

/*
 * Order, wrap-around, fence, interrupts
 */

static void test_wrap(uint32_t first)
{
    uint64_t page;
    Machine m;

    start_disabled(&m);
    m.q.tail = first;
    qsvm_queue_configure(&m.q);
    enable(&m.q);
    page = qsvm_queue_map(&m.q, IOVA);
    for (int round = 0; round < 3; round++) {
        for (unsigned int i = 0; i < SIZE; i++) {
            qsvm_queue_push(&m.q, &(QSVMDesc) {
                .op = SVM_OP_FILL, .dst = IOVA + 8 * i, .len = 8,
                .arg = m.q.tail,
            });
        }
        qsvm_queue_kick(&m.q);
        for (unsigned int i = 0; i < SIZE; i++) {
            uint32_t index = m.q.tail - SIZE + i;
            QSVMRecord rec = qsvm_queue_wait(&m.q, index);

            expect_ok(&rec, 8, 0);
            g_assert_cmphex(qtest_readq(m.f->qts, page + 8 * i), ==, index);
        }
    }
    g_assert_cmphex(qsvm_queue_db_readl(&m.q, SVM_DB_HEAD), ==, m.q.tail);
    g_assert_cmphex(qsvm_queue_db_readl(&m.q, SVM_DB_TAIL), ==, m.q.tail);
    stop(&m);
}

static void test_wrap_ring(void)
{
    test_wrap(3);
}

static void test_wrap_index(void)
{
    test_wrap(0 - 2 * SIZE + 3);
}

static void test_small(void)
{
    Machine m;

    start_with(&m, "-device svm,addr=4", 1);
    enable(&m.q);
    for (int i = 0; i < 20; i++) {
        expect_works(&m.q);
    }
    stop(&m);
}

/* All of the largest ring is used, in one go */
static void test_large(void)
{
    const size_t size = SVM_Q_SIZE_MAX * SVM_REC_SIZE;
    g_autofree uint8_t *records = g_malloc(size);
    Machine m;

    start_with(&m, "-device svm,addr=4", SVM_Q_SIZE_MAX);
    enable(&m.q);
    qsvm_queue_map(&m.q, IOVA);
    /* What was zeroed is a ring of no-operations */
    m.q.tail = SVM_Q_SIZE_MAX - 1;
    qsvm_queue_submit(&m.q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .dst = IOVA, .len = 8,
    });
    qsvm_queue_wait(&m.q, SVM_Q_SIZE_MAX - 1);
    qtest_bufread(m.f->qts, m.q.records, records, size);
    for (uint32_t i = 0; i < SVM_Q_SIZE_MAX; i++) {
        g_assert_cmphex(ldl_le_p(records + i * SVM_REC_SIZE + SVM_REC_SEQ), ==,
                        i + 1);
    }
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_RUNNING);
    stop(&m);
}

typedef struct Link {
    bool fence;
    bool good;
    unsigned int status;
} Link;

/* A chain ends with what fails, and not before, nor later */
static void test_fence(void)
{
    static const Link chain[SIZE] = {
        { true, true, SVM_CPL_OK },
        { true, true, SVM_CPL_OK },
        { true, false, SVM_CPL_UNMAPPED },
        { true, true, SVM_CPL_SKIPPED },
        { true, false, SVM_CPL_SKIPPED },
        { false, true, SVM_CPL_OK },
        { true, true, SVM_CPL_OK },
        { false, false, SVM_CPL_UNMAPPED },
    };
    QSVMRecord rec;
    uint64_t page;
    Machine m;

    start(&m);
    page = qsvm_queue_map(&m.q, IOVA);
    for (int i = 0; i < SIZE; i++) {
        qsvm_queue_push(&m.q, &(QSVMDesc) {
            .op = SVM_OP_FILL, .flags = chain[i].fence ? SVM_DESC_F_FENCE : 0,
            .dst = (chain[i].good ? IOVA : OTHER) + 8 * i, .len = 8,
        });
    }
    qsvm_queue_kick(&m.q);
    for (int i = 0; i < SIZE; i++) {
        rec = qsvm_queue_wait(&m.q, i);
        g_assert_cmpuint(rec.status, ==, chain[i].status);
        g_assert(qvtd_svm_is_poisoned(m.f, page + 8 * i, 8) ==
                 (rec.status != SVM_CPL_OK));
    }

    /* Enabled again, it has no descriptor before */
    qsvm_queue_control(&m.q, SVM_CTRL_ABORT);
    enable(&m.q);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) { .flags = SVM_DESC_F_FENCE });
    expect_ok(&rec, 0, 0);
    stop(&m);
}

static void test_fence_after_difference(void)
{
    QSVMRecord rec;
    Machine m;

    start(&m);
    map_pages(&m.q, IOVA, 2);
    write_bytes(&m.q, IOVA, (const uint8_t *)"a", 1);
    qsvm_queue_push(&m.q, &(QSVMDesc) {
        .op = SVM_OP_COMPARE, .src = IOVA, .dst = IOVA + 1, .len = 1,
    });
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) { .flags = SVM_DESC_F_FENCE });
    expect_error(&rec, SVM_CPL_SKIPPED, 0, SVM_SIDE_NONE, 0);
    stop(&m);
}

static void test_interrupt(void)
{
    Machine m;

    start(&m);
    expect_works(&m.q);
    qsvm_settle(&m.f->svm);
    g_assert(!qsvm_queue_has_interrupt(&m.q));

    qsvm_queue_submit(&m.q, &(QSVMDesc) { .flags = SVM_DESC_F_INTR });
    qsvm_queue_wait_interrupt(&m.q);
    g_assert(qsvm_queue_is_complete(&m.q, 1));

    /* Whatever becomes of the descriptor */
    qsvm_queue_submit(&m.q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .flags = SVM_DESC_F_INTR, .dst = OTHER, .len = 1,
    });
    qsvm_queue_wait_interrupt(&m.q);
    g_assert_cmpuint(qsvm_queue_record(&m.q, 2).status, ==, SVM_CPL_UNMAPPED);
    qsvm_queue_submit(&m.q, &(QSVMDesc) {
        .op = UINT32_MAX, .flags = SVM_DESC_F_INTR,
    });
    qsvm_queue_wait_interrupt(&m.q);
    g_assert(!qsvm_is_done(&m.f->svm));
    stop(&m);
}

#define MSI_VECTOR 0x85

/* All queues have the one vector of MSI */
static void test_msi(void)
{
    int64_t began = g_get_monotonic_time();
    QPCIDevice *dev;
    uint8_t cap;
    Machine m;

    start(&m);
    dev = m.f->svm.dev;
    cap = qpci_find_capability(dev, PCI_CAP_ID_MSIX, 0);
    qpci_config_writew(dev, cap + PCI_MSIX_FLAGS, 0);
    cap = qpci_find_capability(dev, PCI_CAP_ID_MSI, 0);
    qpci_config_writel(dev, cap + PCI_MSI_ADDRESS_LO, 0xfee00000);
    qpci_config_writel(dev, cap + PCI_MSI_ADDRESS_HI, 0);
    qpci_config_writew(dev, cap + PCI_MSI_DATA_64, MSI_VECTOR);
    qpci_config_writew(dev, cap + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE);
    expect_works(&m.q);
    g_assert(!qvtd_msi_pending(m.f->v, MSI_VECTOR, 0));
    qsvm_queue_run(&m.q, &(QSVMDesc) { .flags = SVM_DESC_F_INTR });
    while (!qvtd_msi_pending(m.f->v, MSI_VECTOR, 0)) {
        qsvm_step(&m.f->svm, began);
    }
    stop(&m);
}

/*
 * Peers
 */

typedef struct PeerCase {
    const char *path;
    QSVMDesc desc;
    uint32_t needs;
} PeerCase;

#define SPAN .src = IOVA, .dst = OTHER, .len = PAGE

static const PeerCase peer_cases[] = {
    { "/svm/queue/peer/copy-to-a-peer",
      { .op = SVM_OP_COPY, .flags = SVM_DESC_F_DST_PEER, SPAN },
      SVM_PEER_WRITE },
    { "/svm/queue/peer/copy-from-a-peer",
      { .op = SVM_OP_COPY, .flags = SVM_DESC_F_SRC_PEER, SPAN },
      SVM_PEER_READ },
    { "/svm/queue/peer/copy-within-a-peer",
      { .op = SVM_OP_COPY, .flags = SVM_DESC_F_SRC_PEER | SVM_DESC_F_DST_PEER,
        SPAN }, SVM_PEER_READ | SVM_PEER_WRITE },
    { "/svm/queue/peer/fill", { .op = SVM_OP_FILL,
      .flags = SVM_DESC_F_DST_PEER, SPAN }, SVM_PEER_WRITE },
    { "/svm/queue/peer/compare", { .op = SVM_OP_COMPARE,
      .flags = SVM_DESC_F_DST_PEER, SPAN }, SVM_PEER_READ },
    { "/svm/queue/peer/CRC", { .op = SVM_OP_CRC,
      .flags = SVM_DESC_F_SRC_PEER, SPAN }, SVM_PEER_READ },
    { "/svm/queue/peer/translate", { .op = SVM_OP_TRANSLATE,
      .flags = SVM_DESC_F_SRC_PEER, SPAN }, SVM_PEER_READ },
    { "/svm/queue/peer/translate-for-writing", { .op = SVM_OP_TRANSLATE,
      .flags = SVM_DESC_F_SRC_PEER | SVM_DESC_F_WRITE, SPAN },
      SVM_PEER_WRITE },
};

static QSVMQueue add_peer(Machine *m)
{
    QSVMQueue peer = { .f = m->f, .pasid = PEER };

    peer.table = qvtd_svm_add_process(m->f, PEER);
    return peer;
}

static void expect_no_peer(Machine *m, const PeerCase *p, uint32_t grant)
{
    QSVMRecord rec;

    qsvm_queue_writel(&m->q, SVM_Q_PEER, grant);
    rec = qsvm_queue_run(&m->q, &p->desc);
    expect_error(&rec, SVM_CPL_NO_PEER, 0, SVM_SIDE_NONE, 0);
}

/* The source is filled with 0, the destination is poisoned */
static void test_peer(const void *data)
{
    const PeerCase *p = data;
    const uint32_t both = SVM_PEER_READ | SVM_PEER_WRITE;
    bool src = p->desc.flags & SVM_DESC_F_SRC_PEER;
    bool dst = p->desc.flags & SVM_DESC_F_DST_PEER;
    bool writes = p->desc.op == SVM_OP_COPY || p->desc.op == SVM_OP_FILL;
    uint8_t zero[PAGE] = { };
    QSVMQueue peer;
    QSVMRecord rec;
    Machine m;

    start(&m);
    peer = add_peer(&m);
    /* Each address is there in one of the processes alone */
    qsvm_queue_map(src ? &peer : &m.q, IOVA);
    write_bytes(src ? &peer : &m.q, IOVA, zero, PAGE);
    qsvm_queue_map(dst ? &peer : &m.q, OTHER);

    expect_no_peer(&m, p, 0);
    expect_no_peer(&m, p, PEER);
    expect_no_peer(&m, p, PEER | (p->needs == both ? SVM_PEER_READ
                                                   : both & ~p->needs));
    expect_poison(dst ? &peer : &m.q, OTHER, PAGE);

    qsvm_queue_writel(&m.q, SVM_Q_PEER, PEER | p->needs);
    rec = qsvm_queue_run(&m.q, &p->desc);
    g_assert_cmpuint(rec.status, ==, p->desc.op == SVM_OP_COMPARE
                                     ? SVM_CPL_DIFFERENT : SVM_CPL_OK);
    if (writes) {
        expect_bytes(dst ? &peer : &m.q, OTHER, zero, PAGE);
    } else {
        expect_poison(dst ? &peer : &m.q, OTHER, PAGE);
    }

    expect_no_peer(&m, p, 0);
    stop(&m);
}

/* What is granted to one queue is not granted to another of the process */
static void test_peer_of_another_queue(void)
{
    QSVMDesc desc = {
        .op = SVM_OP_FILL, .flags = SVM_DESC_F_DST_PEER, .dst = IOVA,
        .len = PAGE,
    };
    QSVMQueue peer, second;
    QSVMRecord rec;
    Machine m;

    start(&m);
    peer = add_peer(&m);
    qsvm_queue_map(&peer, IOVA);
    qsvm_queue_init(&second, m.f, m.bar, 1, PASID, m.f->table, SIZE);
    enable(&second);
    qsvm_queue_writel(&m.q, SVM_Q_PEER, PEER | SVM_PEER_WRITE);
    rec = qsvm_queue_run(&second, &desc);
    expect_error(&rec, SVM_CPL_NO_PEER, 0, SVM_SIDE_NONE, 0);
    expect_poison(&peer, IOVA, PAGE);

    /* The peer learns nothing of it, and has no rights in return */
    rec = qsvm_queue_run(&m.q, &desc);
    expect_ok(&rec, PAGE, 0);
    stop(&m);
}

/* Revoked while the OS is asked for its page */
static void test_peer_revoked(void)
{
    QVTDPageReq req;
    QSVMRecord rec;
    uint32_t index;
    Machine m;

    start_pri(&m);
    add_peer(&m);
    qsvm_queue_writel(&m.q, SVM_Q_PEER, PEER | SVM_PEER_WRITE);
    index = qsvm_queue_submit(&m.q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .flags = SVM_DESC_F_DST_PEER, .dst = IOVA,
        .len = PAGE,
    });
    req = qvtd_svm_wait_page_req(m.f);
    g_assert_cmphex(req.pasid, ==, PEER);
    qsvm_queue_writel(&m.q, SVM_Q_PEER, 0);
    rec = qsvm_queue_wait(&m.q, index);
    expect_error(&rec, SVM_CPL_CANCELLED, 0, SVM_SIDE_DST, IOVA);
    qvtd_svm_respond(m.f, &req, QVTD_SVM_SUCCESS);
    expect_works(&m.q);
    stop(&m);
}

/* A PASID that has no process: the unit records it */
static void test_peer_without_process(void)
{
    QVTDFault fault;
    QSVMRecord rec;
    Machine m;

    start(&m);
    qsvm_queue_map(&m.q, IOVA);
    qsvm_queue_writel(&m.q, SVM_Q_PEER, (PEER + 1) | SVM_PEER_WRITE);
    rec = qsvm_queue_run(&m.q, &(QSVMDesc) {
        .op = SVM_OP_FILL, .flags = SVM_DESC_F_DST_PEER, .dst = IOVA,
        .len = PAGE,
    });
    expect_error(&rec, SVM_CPL_DISABLED, 0, SVM_SIDE_DST, IOVA);
    fault = qvtd_svm_take_fault(m.f);
    g_assert_cmphex(fault.pasid, ==, PEER + 1);
    expect_poison(&m.q, IOVA, PAGE);
    expect_works(&m.q);
    stop(&m);
}

/*
 * Registers
 */

static void test_global_registers(void)
{
    QPCIDevice *dev;
    Machine m;

    start_disabled(&m);
    dev = m.f->svm.dev;
    g_assert_cmphex(qpci_io_readq(dev, m.bar, SVM_QG_ID), ==, SVM_QUEUE_ID);
    g_assert_cmpuint(qpci_io_readl(dev, m.bar, SVM_QG_QUEUES), ==, SVM_QUEUES);
    g_assert_cmpuint(qpci_io_readl(dev, m.bar, SVM_QG_SIZE_MAX), ==,
                     SVM_Q_SIZE_MAX);
    stop(&m);
}

typedef struct Reg {
    uint64_t reg;
    bool wide;
    uint64_t initial;
    uint64_t good[3];
    uint64_t bad[4];
} Reg;

static const Reg regs[] = {
    { SVM_Q_RING, true, 0, { 64, IOVA, 0 - 64ULL }, { 1, 32, IOVA + 63, ~0 } },
    { SVM_Q_RECORDS, true, 0, { 32, IOVA, 0 - 32ULL },
      { 1, 16, IOVA + 31, ~0 } },
    { SVM_Q_SIZE, false, 0, { 1, 2, SVM_Q_SIZE_MAX },
      { 0, 3, SVM_Q_SIZE_MAX + 1, SVM_Q_SIZE_MAX * 2 } },
    { SVM_Q_PASID, false, SVM_PASID_NONE, { 0, 0xfffff, SVM_PASID_NONE },
      { SVM_PASID_NONE + 1, 0x200000, 0x80000000, UINT32_MAX } },
    { SVM_Q_PEER, false, 0, { SVM_PEER_READ | 1, SVM_PEER_WRITE | 0xfffff,
                              SVM_PASID_NONE },
      { SVM_PASID_NONE + 1, 1 << 21, 1 << 29, UINT32_MAX } },
    { SVM_Q_HEAD, false, 0, { 1, 0x80000000, UINT32_MAX } },
};

static uint64_t read_reg(QSVMQueue *q, const Reg *r)
{
    return r->wide ? qsvm_queue_readq(q, r->reg) : qsvm_queue_readl(q, r->reg);
}

static void write_reg(QSVMQueue *q, const Reg *r, uint64_t val)
{
    if (r->wide) {
        qsvm_queue_writeq(q, r->reg, val);
    } else {
        qsvm_queue_writel(q, r->reg, val);
    }
}

static void test_registers(void)
{
    Machine m;

    start_disabled(&m);
    for (int i = 0; i < ARRAY_SIZE(regs); i++) {
        const Reg *r = &regs[i];
        QSVMQueue q = { .f = m.f, .bar = m.bar, .n = 63 };

        g_assert_cmphex(read_reg(&q, r), ==, r->initial);
        for (int j = 0; j < ARRAY_SIZE(r->good); j++) {
            write_reg(&q, r, r->good[j]);
            g_assert_cmphex(read_reg(&q, r), ==, r->good[j]);
        }
        for (int j = 0; j < ARRAY_SIZE(r->bad) && r->bad[2]; j++) {
            write_reg(&q, r, r->bad[j]);
            g_assert_cmphex(read_reg(&q, r), ==, r->good[2]);
        }
    }
    stop(&m);
}

static void test_registers_while_enabled(void)
{
    Machine m;

    start(&m);
    for (int i = 0; i < ARRAY_SIZE(regs); i++) {
        const Reg *r = &regs[i];
        uint64_t before = read_reg(&m.q, r);

        write_reg(&m.q, r, r->good[0]);
        g_assert_cmphex(read_reg(&m.q, r), ==,
                        r->reg == SVM_Q_PEER ? r->good[0] : before);
    }
    expect_works(&m.q);
    stop(&m);
}

/* Each access that is none to a register, and its neighbours */
static void test_bad_accesses(void)
{
    static const uint64_t areas[] = {
        0, 0x20, 0xff8, SVM_Q_REGS(0), SVM_Q_REGS(0) + 0x20,
        SVM_Q_REGS(0) + 0x38, SVM_Q_REGS(1) - 0x10, SVM_Q_REGS(63),
        SVM_Q_REGS(64), SVM_Q_REGS(64) + 0x10, SVM_DOORBELL_PAGE(0) - 0x20,
        SVM_DOORBELL_PAGE(0), SVM_DOORBELL_PAGE(0) + 0x10,
        SVM_DOORBELL_PAGE(1) - 0x10, SVM_DOORBELL_PAGE(63),
        SVM_QUEUE_BAR_SIZE - 0x20,
    };
    Machine m;

    start(&m);
    for (int i = 0; i < ARRAY_SIZE(areas); i++) {
        for (uint64_t a = areas[i]; a < areas[i] + 0x10; a++) {
            uint64_t addr = m.bar.addr + a;

            qtest_readb(m.f->qts, addr);
            qtest_readw(m.f->qts, addr);
            qtest_readl(m.f->qts, addr);
            qtest_readq(m.f->qts, addr);
            qtest_writeb(m.f->qts, addr, 0xff);
            qtest_writew(m.f->qts, addr, 0xffff);
            if (a != SVM_DOORBELL_PAGE(0)) {
                qtest_writel(m.f->qts, addr, UINT32_MAX);
            }
            qtest_writeq(m.f->qts, addr, UINT64_MAX);
        }
    }
    g_assert_cmphex(qsvm_queue_readq(&m.q, SVM_Q_RING), ==, QSVM_RING_IOVA(0));
    expect_works(&m.q);
    stop(&m);
}

typedef struct Config {
    const char *path;
    uint64_t ring;
    uint64_t records;
    uint32_t size;
} Config;

static const Config configs[] = {
    { "/svm/queue/error/enabled-without-a-size", 0, 0, 0 },
    { "/svm/queue/error/enabled-with-a-ring-beyond-the-top",
      0 - 64ULL, 0, 2 },
    { "/svm/queue/error/enabled-with-records-beyond-the-top",
      0, 0 - 32ULL, 2 },
};

static void test_config(const void *data)
{
    const Config *c = data;
    QSVMQueue q;
    Machine m;

    start_disabled(&m);
    q = (QSVMQueue) { .f = m.f, .bar = m.bar, .n = 5 };
    qsvm_queue_writeq(&q, SVM_Q_RING, c->ring);
    qsvm_queue_writeq(&q, SVM_Q_RECORDS, c->records);
    qsvm_queue_writel(&q, SVM_Q_SIZE, c->size);
    g_assert_cmpuint(qsvm_queue_control(&q, SVM_CTRL_ENABLE), ==,
                     SVM_STATE_ERROR);
    g_assert_cmphex(qsvm_queue_readl(&q, SVM_Q_ERROR), ==, SVM_ERROR_CONFIG);
    qsvm_queue_wait_interrupt(&q);
    g_assert_cmpuint(qsvm_queue_control(&q, SVM_CTRL_ABORT), ==,
                     SVM_STATE_DISABLED);
    g_assert_cmphex(qsvm_queue_readl(&q, SVM_Q_ERROR), ==, SVM_ERROR_NONE);
    stop(&m);
}

static void test_no_pasid(void)
{
    Machine m;

    start_disabled(&m);
    qsvm_set_pasid_enables(&m.f->svm, 0);
    g_assert_cmpuint(qsvm_queue_control(&m.q, SVM_CTRL_ENABLE), ==,
                     SVM_STATE_ERROR);
    g_assert_cmphex(qsvm_queue_readl(&m.q, SVM_Q_ERROR), ==, SVM_ERROR_PASID);
    stop(&m);
}

/* Requests without PASID: the addresses are those of the function's own */
static void test_requests_without_pasid(void)
{
    uint64_t table;
    QSVMQueue q;
    Machine m;

    start_disabled(&m);
    table = qvtd_svm_add_process(m.f, 0);
    qsvm_queue_init(&q, m.f, m.bar, 7, SVM_PASID_NONE, table, SIZE);
    enable(&q);
    expect_works(&q);
    stop(&m);
}

/*
 * Doorbells
 */

typedef struct Doorbell {
    const char *path;
    uint32_t done;              /* descriptors that were executed before */
    uint32_t tail;
    bool good;
} Doorbell;

static const Doorbell doorbells[] = {
    { "/svm/queue/doorbell/the-same-value-has-no-effect", 3, 3, true },
    { "/svm/queue/doorbell/as-many-as-the-ring-has", 3, 3 + SIZE, true },
    { "/svm/queue/doorbell/one-more-than-the-ring-has", 3, 4 + SIZE },
    { "/svm/queue/doorbell/one-before-the-last", 3, 2 },
    { "/svm/queue/doorbell/all-ones", 0, UINT32_MAX },
    { "/svm/queue/doorbell/half-of-all", 3, 0x80000003 },
};

static void test_doorbell(const void *data)
{
    const Doorbell *d = data;
    QSVMQueue other;
    Machine m;

    start(&m);
    qsvm_queue_init(&other, m.f, m.bar, 1, PASID, m.f->table, SIZE);
    enable(&other);
    for (int i = 0; i < d->done; i++) {
        expect_works(&m.q);
    }
    qsvm_queue_db_writel(&m.q, SVM_DB_TAIL, d->tail);
    if (d->good) {
        m.q.tail = d->tail;
        qsvm_queue_wait(&m.q, d->tail - 1);
        g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_RUNNING);
    } else {
        g_assert_cmpuint(qsvm_queue_db_readl(&m.q, SVM_DB_STATE), ==,
                         SVM_STATE_ERROR);
        g_assert_cmphex(qsvm_queue_readl(&m.q, SVM_Q_ERROR), ==,
                        SVM_ERROR_DOORBELL);
        qsvm_queue_wait_interrupt(&m.q);
        /* It is of no use until the driver has seen to it */
        qsvm_queue_db_writel(&m.q, SVM_DB_TAIL, d->done + 1);
        qsvm_settle(&m.f->svm);
        g_assert(!qsvm_queue_is_complete(&m.q, d->done));
        g_assert_cmpuint(qsvm_queue_control(&m.q, SVM_CTRL_ABORT), ==,
                         SVM_STATE_DISABLED);
        enable(&m.q);
    }
    expect_works(&m.q);
    expect_works(&other);
    stop(&m);
}

static void test_doorbell_disabled(void)
{
    Machine m;

    start_disabled(&m);
    qsvm_queue_submit(&m.q, &(QSVMDesc) { });
    qsvm_settle(&m.f->svm);
    g_assert(!qsvm_queue_is_complete(&m.q, 0));
    g_assert_cmpuint(qsvm_queue_state(&m.q), ==, SVM_STATE_DISABLED);
    enable(&m.q);
    g_assert_cmpuint(qsvm_queue_db_readl(&m.q, SVM_DB_TAIL), ==, 0);
    qsvm_settle(&m.f->svm);
    g_assert(!qsvm_queue_is_complete(&m.q, 0));
    qsvm_queue_kick(&m.q);
    qsvm_queue_wait(&m.q, 0);
    stop(&m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svm/queue/nop", test_nop);
    for (int i = 0; i < ARRAY_SIZE(fills); i++) {
        qtest_add_data_func(fills[i].path, &fills[i], test_fill);
    }
    for (int i = 0; i < ARRAY_SIZE(copies); i++) {
        qtest_add_data_func(copies[i].path, &copies[i], test_copy);
    }
    for (int i = 0; i < ARRAY_SIZE(compares); i++) {
        qtest_add_data_func(compares[i].path, &compares[i], test_compare);
    }
    qtest_add_func("/svm/queue/CRC", test_crc);
    qtest_add_func("/svm/queue/translate", test_translate);
    qtest_add_func("/svm/queue/a-range-ends-at-the-top", test_top);
    for (int i = 0; i < ARRAY_SIZE(invalids); i++) {
        qtest_add_data_func(invalids[i].path, &invalids[i], test_invalid);
    }
    qtest_add_func("/svm/queue/invalid/reserved-fields", test_reserved_field);
    for (int i = 0; i < ARRAY_SIZE(faults); i++) {
        qtest_add_data_func(faults[i].path, &faults[i], test_fault);
    }
    qtest_add_func("/svm/queue/fault/what-precedes-it-is-done", test_prefix);
    qtest_add_func("/svm/queue/fault/bus-error", test_bus_error);
    qtest_add_func("/svm/queue/wrap/ring", test_wrap_ring);
    qtest_add_func("/svm/queue/wrap/index", test_wrap_index);
    qtest_add_func("/svm/queue/wrap/ring-of-one", test_small);
    qtest_add_func("/svm/queue/wrap/largest-ring", test_large);
    qtest_add_func("/svm/queue/fence/a-chain-ends-where-one-fails",
                   test_fence);
    qtest_add_func("/svm/queue/fence/a-difference-ends-a-chain",
                   test_fence_after_difference);
    qtest_add_func("/svm/queue/interrupt/for-who-wants-it", test_interrupt);
    qtest_add_func("/svm/queue/interrupt/by-MSI-without-MSI-X", test_msi);
    for (int i = 0; i < ARRAY_SIZE(peer_cases); i++) {
        qtest_add_data_func(peer_cases[i].path, &peer_cases[i], test_peer);
    }
    qtest_add_func("/svm/queue/peer/is-that-of-one-queue",
                   test_peer_of_another_queue);
    qtest_add_func("/svm/queue/peer/is-revoked-while-in-use",
                   test_peer_revoked);
    qtest_add_func("/svm/queue/peer/without-a-process",
                   test_peer_without_process);
    qtest_add_func("/svm/queue/reg/what-the-queues-are-like",
                   test_global_registers);
    qtest_add_func("/svm/queue/reg/values-good-and-bad", test_registers);
    qtest_add_func("/svm/queue/reg/read-only-while-enabled",
                   test_registers_while_enabled);
    qtest_add_func("/svm/queue/reg/bad-accesses-have-no-effect",
                   test_bad_accesses);
    for (int i = 0; i < ARRAY_SIZE(configs); i++) {
        qtest_add_data_func(configs[i].path, &configs[i], test_config);
    }
    qtest_add_func("/svm/queue/error/PASID-that-cannot-be-used",
                   test_no_pasid);
    qtest_add_func("/svm/queue/requests-without-PASID",
                   test_requests_without_pasid);
    for (int i = 0; i < ARRAY_SIZE(doorbells); i++) {
        qtest_add_data_func(doorbells[i].path, &doorbells[i], test_doorbell);
    }
    qtest_add_func("/svm/queue/doorbell/of-a-disabled-queue",
                   test_doorbell_disabled);
    return g_test_run();
}
