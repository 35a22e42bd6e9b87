/*
 * QTest testcase for SVM: VT-d's page request queue, its event, and the
 * descriptors that answer and drain
 *
 * VT-d rev 4.1, 7.4, 7.7, 7.10 and 11.4.11.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "libqos/vtd-svm.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define CREDITS     64
#define DESC        QVTD_PRQ_ENTRY_SIZE

/* Vectors of CPU 0 */
#define VECTOR      0x41
#define VECTOR2     0x42

static uint32_t status(QVTDSVM *f)
{
    return qvtd_readl(f->v, QVTD_PRS_REG);
}

static bool event_pending(QVTDSVM *f)
{
    return qvtd_readl(f->v, QVTD_PECTL_REG) & QVTD_EVENT_PENDING;
}

static void mask_event(QVTDSVM *f, bool mask)
{
    qvtd_writel(f->v, QVTD_PECTL_REG, mask ? QVTD_EVENT_MASK : 0);
}

/* A page fault that the OS sees and refuses; returns the request */
static QVTDPageReq refused_fault(QVTDSVM *f)
{
    QVTDPageReq req;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_svm_respond(f, &req, QVTD_SVM_INVALID);
    g_assert(!qsvm_wait(&f->svm));
    return req;
}

/* The OS maps what is asked for until the command has ended */
static bool serve_all(QVTDSVM *f)
{
    int64_t start = g_get_monotonic_time();
    QVTDPageReq req;

    while (!qsvm_is_done(&f->svm)) {
        qsvm_step(&f->svm, start);
        while (qvtd_pop_page_req(f->v, &req)) {
            qvtd_fs_map(f->v, f->table, req.addr, qvtd_alloc_page(f->v), 1,
                        QVTD_FS_USER_RW);
            if (req.last) {
                qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
            }
        }
    }
    return qsvm_wait(&f->svm);
}

static bool all_written(QVTDSVM *f, uint64_t size)
{
    for (uint64_t offset = 0; offset < size; offset += PAGE) {
        uint64_t pte = qvtd_pte(f->v, f->table, IOVA + offset, 1);

        if (!qvtd_svm_is_written(f, pte & QVTD_PTE_ADDR_MASK, PAGE, offset)) {
            return false;
        }
    }
    return true;
}

/*
 * The event
 */

static void test_event(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    refused_fault(f);
    g_assert_cmphex(status(f), ==, QVTD_PRS_PPR);
    g_assert(!event_pending(f));
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_svm_stop(f);
}

/* 11.4.11.5: a masked event is pending, and sent when it is unmasked */
static void test_masked_event(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    mask_event(f, true);
    refused_fault(f);
    g_assert(event_pending(f));
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    mask_event(f, true);
    g_assert(event_pending(f));
    mask_event(f, false);
    g_assert(!event_pending(f));
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_svm_stop(f);
}

/* Software has seen to the requests before it unmasks the event */
static void test_cleared_event(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    mask_event(f, true);
    refused_fault(f);
    qvtd_writel(f->v, QVTD_PRS_REG, 0);
    g_assert_cmphex(status(f), ==, QVTD_PRS_PPR);
    g_assert(event_pending(f));
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PPR);
    g_assert_cmphex(status(f), ==, 0);
    g_assert(!event_pending(f));
    mask_event(f, false);
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_svm_stop(f);
}

/* A request while PPR is set is no event; the next one after that is */
static void test_one_event(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    refused_fault(f);
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR2, 0);
    refused_fault(f);
    g_assert(!qvtd_msi_pending(f->v, VECTOR2, 0));
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PPR);
    refused_fault(f);
    g_assert(qvtd_msi_pending(f->v, VECTOR2, 0));
    qvtd_svm_stop(f);
}

/*
 * Registers
 */

static void test_reset_values(void)
{
    QVTDSVM *f = qvtd_svm_start();

    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQH_REG), ==, 0);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, 0);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQA_REG), ==, 0);
    g_assert_cmphex(status(f), ==, 0);
    g_assert_cmphex(qvtd_readl(f->v, QVTD_PECTL_REG), ==, QVTD_EVENT_MASK);
    qvtd_svm_stop(f);
}

/* Pairs of 32-bit registers, written and read at once */
static void test_wide_access(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_writeq(f->v, QVTD_PEADDR_REG, 0xfee00000);
    qvtd_writeq(f->v, QVTD_PECTL_REG, (uint64_t)VECTOR << 32 |
                                      QVTD_EVENT_MASK);
    refused_fault(f);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PECTL_REG), ==,
                    (uint64_t)VECTOR << 32 | QVTD_EVENT_MASK |
                    QVTD_EVENT_PENDING);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PRS_REG - 4) >> 32, ==,
                    QVTD_PRS_PPR);
    qvtd_writeq(f->v, QVTD_PECTL_REG, (uint64_t)VECTOR2 << 32);
    g_assert(qvtd_msi_pending(f->v, VECTOR2, 0));
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_writeq(f->v, QVTD_PRS_REG - 4, (uint64_t)QVTD_PRS_PPR << 32);
    g_assert_cmphex(status(f), ==, 0);
    qvtd_svm_stop(f);
}

/*
 * The ring
 */

/* 11.4.11.3: 2^(n + 7) descriptors; the last one is followed by the first */
static void test_wrap(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    for (unsigned int order = 0; order <= 7; order++) {
        uint64_t last = (PAGE << order) - DESC;

        qvtd_enable_prq(f->v, order);
        qvtd_writeq(f->v, QVTD_PQT_REG, last);
        qvtd_writeq(f->v, QVTD_PQH_REG, last);
        refused_fault(f);
        g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, 0);
        refused_fault(f);
        g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, DESC);
    }
    qvtd_svm_stop(f);
}

/* More requests in a row than the queue has room for, as they are consumed */
static void test_many(void)
{
    enum { SIZE = 300 * PAGE };
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qsvm_start_write(&f->svm, IOVA, SIZE);
    g_assert(serve_all(f));
    g_assert(all_written(f, SIZE));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_PAGE_REQUESTS), ==,
                     SIZE / PAGE);
    g_assert(!(status(f) & QVTD_PRS_PRO));
    qvtd_svm_stop(f);
}

/* Make the queue look as if software had left room for @count descriptors */
static void leave_room(QVTDSVM *f, unsigned int count)
{
    uint64_t tail = qvtd_readq(f->v, QVTD_PQT_REG);

    qvtd_writeq(f->v, QVTD_PQH_REG, (tail + (count + 1) * DESC) % PAGE);
}

/*
 * 7.4.1: the ring holds one less than its size; what does not fit is
 * discarded, and all that follows until PRO is clear, also if there is room.
 * Nothing is lost: the function asks again.
 */
static void test_overflow(void)
{
    enum { ROOM = 2, SIZE = 10 * PAGE };
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    leave_room(f, ROOM);
    qsvm_start_write(&f->svm, IOVA, SIZE);
    while (!(status(f) & QVTD_PRS_PRO)) {
        qsvm_step(&f->svm, g_get_monotonic_time());
    }
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, ROOM * DESC);

    qvtd_writeq(f->v, QVTD_PQH_REG, 0);
    qsvm_settle(&f->svm);
    g_assert(!qsvm_is_done(&f->svm));
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, ROOM * DESC);
    g_assert_cmphex(status(f), ==, QVTD_PRS_PPR | QVTD_PRS_PRO);

    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PPR | QVTD_PRS_PRO);
    g_assert(serve_all(f));
    g_assert(all_written(f, SIZE));
    qvtd_svm_stop(f);
}

/* Without room from the start, and the overflow cleared before there is any */
static void test_full(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    int64_t start = g_get_monotonic_time();

    leave_room(f, 0);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    for (int i = 0; i < 3; i++) {
        while (!(status(f) & QVTD_PRS_PRO)) {
            qsvm_step(&f->svm, start);
        }
        g_assert_cmphex(status(f), ==, QVTD_PRS_PRO);
        g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, 0);
        qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PRO);
    }
    qvtd_writeq(f->v, QVTD_PQH_REG, 0);
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PRO);
    g_assert(serve_all(f));
    g_assert(all_written(f, PAGE));
    qvtd_svm_stop(f);
}

/* A function that waits for room may be told to stop */
static void test_end_of_wait_for_room(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    leave_room(f, 0);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    qsvm_settle(&f->svm);
    g_assert(!qsvm_is_done(&f->svm));
    qsvm_set_pasid(&f->svm, QVTD_SVM_PASID);
    g_assert(!qsvm_wait(&f->svm));
    qvtd_writeq(f->v, QVTD_PQH_REG, 0);
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PRO);
    qsvm_settle(&f->svm);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, 0);
    qvtd_svm_stop(f);
}

typedef struct BadQueue {
    const char *path;
    uint64_t base;
} BadQueue;

static const BadQueue bad_queues[] = {
    { "/svm/pri/a-request-without-a-queue-is-refused", 0 },
    { "/svm/pri/a-request-to-a-queue-that-is-not-in-memory-is-refused",
      QVTD_SVM_NO_RAM },
    { "/svm/pri/a-request-to-a-queue-in-registers-is-refused",
      Q35_HOST_BRIDGE_IOMMU_ADDR },
};

static void test_bad_queue(const void *data)
{
    const BadQueue *b = data;
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_writeq(f->v, QVTD_PQA_REG, b->base);
    g_assert(!qsvm_write(&f->svm, IOVA, PAGE));
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, 0);
    g_assert_cmphex(status(f), ==, 0);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_PAGE_REQUESTS), ==, 0);

    qvtd_writeq(f->v, QVTD_PQA_REG, f->v->prq);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    g_assert(serve_all(f));
    qvtd_svm_stop(f);
}

/*
 * Descriptors
 */

/* 7.10: what was requested before is in the queue when the wait completes */
static void test_drain(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_inv(f->v, qvtd_wait_desc(QVTD_WAIT_FN | QVTD_WAIT_PD, 0, 0));
    /* It drains, and answers nothing */
    qsvm_settle(&f->svm);
    g_assert(!qsvm_is_done(&f->svm));
    qvtd_iq_push(f->v, qvtd_page_response_desc(f->sid, QVTD_SVM_PASID,
                                               req.prgi, QVTD_SVM_INVALID));
    qvtd_inv(f->v, qvtd_wait_desc(QVTD_WAIT_FN | QVTD_WAIT_PD, 0, 0));
    g_assert(!qsvm_wait(&f->svm));
    qvtd_svm_stop(f);
}

typedef struct Response {
    const char *path;
    uint64_t qw[4];         /* differs from the right response by these */
    bool legal;
} Response;

static const Response responses[] = {
    { "/svm/pri/response-may-have-LPIG-clear", { 0, 1 << 2 }, true },
    { "/svm/pri/response-may-have-private-data",
      { 1 << 5, 0, 0x1122334455667788, 0x99aabbccddeeff00 }, true },
    { "/svm/pri/response-bit-6-is-reserved", { 1 << 6 } },
    { "/svm/pri/response-bit-8-is-reserved", { 1 << 8 } },
    { "/svm/pri/response-bits-above-the-PASID-are-reserved", { 1ULL << 52 } },
    { "/svm/pri/response-bit-0-of-the-second-word-is-reserved", { 0, 1 } },
    { "/svm/pri/response-bits-above-the-index-are-reserved", { 0, 1 << 12 } },
    { "/svm/pri/response-third-word-is-reserved", { 0, 0, 1 } },
    { "/svm/pri/response-fourth-word-is-reserved", { 0, 0, 0, 1ULL << 63 } },
};

/* A malformed one stops the queue and answers nothing */
static void test_response(const void *data)
{
    const Response *r = data;
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;
    QVTDDesc desc;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    desc = qvtd_page_response_desc(f->sid, QVTD_SVM_PASID, req.prgi,
                                   QVTD_SVM_INVALID);
    for (int i = 0; i < ARRAY_SIZE(desc.qw); i++) {
        desc.qw[i] ^= r->qw[i];
    }
    g_assert(qvtd_iq_submit(f->v, desc) == r->legal);
    if (!r->legal) {
        g_assert(qvtd_iq_error(f->v));
        qvtd_iq_recover(f->v);
        qsvm_settle(&f->svm);
        g_assert(!qsvm_is_done(&f->svm));
        qvtd_svm_respond(f, &req, QVTD_SVM_INVALID);
    }
    g_assert(!qsvm_wait(&f->svm));
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(bad_queues); i++) {
        qtest_add_data_func(bad_queues[i].path, &bad_queues[i],
                            test_bad_queue);
    }
    for (int i = 0; i < ARRAY_SIZE(responses); i++) {
        qtest_add_data_func(responses[i].path, &responses[i], test_response);
    }
    qtest_add_func("/svm/pri/the-first-request-is-an-event", test_event);
    qtest_add_func("/svm/pri/a-masked-event-is-pending", test_masked_event);
    qtest_add_func("/svm/pri/a-cleared-status-is-no-event",
                   test_cleared_event);
    qtest_add_func("/svm/pri/further-requests-are-no-events", test_one_event);
    qtest_add_func("/svm/pri/registers-have-their-values-after-reset",
                   test_reset_values);
    qtest_add_func("/svm/pri/registers-are-accessed-in-pairs",
                   test_wide_access);
    qtest_add_func("/svm/pri/a-queue-of-each-size-wraps", test_wrap);
    qtest_add_func("/svm/pri/the-queue-is-used-again-and-again", test_many);
    qtest_add_func("/svm/pri/an-overflow-loses-nothing", test_overflow);
    qtest_add_func("/svm/pri/a-full-queue-overflows-again", test_full);
    qtest_add_func("/svm/pri/a-wait-for-room-can-be-ended",
                   test_end_of_wait_for_room);
    qtest_add_func("/svm/pri/a-drain-answers-nothing", test_drain);
    return g_test_run();
}
