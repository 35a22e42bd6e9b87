/*
 * QTest testcase for the toy device of docs/devel/svm-device.rst
 *
 * The test plays the operating system: it has the page tables of a process,
 * takes the device's page requests off VT-d's queue, and answers them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "libqos/vtd-svm.h"

#define PAGE            (4 * KiB)
#define IOVA            0x7f1234560000ULL
#define NO_PROCESS      (1 << 20)

/* The registers, and what the second one says (docs/devel/svm-device.rst) */
#define REG_PROCESS     0
#define REG_BLOCK       8
#define STATUS_DONE     0
#define STATUS_BUSY     1
#define STATUS_FAILED   2

static QVTDSVM *start(void)
{
    QVTDSVM *f = qvtd_svm_start_device("upcase");

    qsvm_writeq(&f->svm, REG_PROCESS, QVTD_SVM_PASID);
    g_assert_cmpuint(qsvm_readq(&f->svm, REG_BLOCK), ==, STATUS_DONE);
    return f;
}

static bool is_busy(QVTDSVM *f)
{
    return qsvm_readq(&f->svm, REG_BLOCK) == STATUS_BUSY;
}

static void run(QVTDSVM *f, uint64_t addr)
{
    qsvm_writeq(&f->svm, REG_BLOCK, addr);
}

/* Returns whether the device says that it has done its work. */
static bool finish(QVTDSVM *f)
{
    int64_t begin = g_get_monotonic_time();

    while (is_busy(f)) {
        qsvm_step(&f->svm, begin);
    }
    return qsvm_readq(&f->svm, REG_BLOCK) == STATUS_DONE;
}

/* A new page of small letters */
static uint64_t map_text(QVTDSVM *f, uint64_t iova, uint64_t flags)
{
    uint64_t page = qvtd_svm_map(f, iova, flags);

    qtest_memset(f->qts, page, 'a', PAGE);
    return page;
}

static bool holds(QVTDSVM *f, uint64_t pa, char letter, size_t len)
{
    g_autofree char *seen = g_malloc(len);

    qtest_bufread(f->qts, pa, seen, len);
    for (size_t i = 0; i < len; i++) {
        if (seen[i] != letter) {
            return false;
        }
    }
    return true;
}

static uint64_t answer(QVTDSVM *f, const QVTDPageReq *req)
{
    uint64_t page = map_text(f, IOVA, QVTD_FS_USER_RW);

    g_assert_cmphex(req->addr, ==, IOVA);
    g_assert_cmphex(req->pasid, ==, QVTD_SVM_PASID);
    qvtd_svm_respond(f, req, QVTD_SVM_SUCCESS);
    return page;
}

static uint64_t resolve(QVTDSVM *f)
{
    QVTDPageReq req = qvtd_svm_wait_page_req(f);

    return answer(f, &req);
}

static void test_block(void)
{
    QVTDSVM *f = start();
    uint64_t first = map_text(f, IOVA, QVTD_FS_USER_RW);
    uint64_t second = map_text(f, IOVA + PAGE, QVTD_FS_USER_RW);

    run(f, IOVA + 10);
    g_assert(finish(f));
    g_assert(holds(f, first, 'a', 10));
    g_assert(holds(f, first + 10, 'A', PAGE - 10));
    g_assert(holds(f, second, 'A', 10));
    g_assert(holds(f, second + 10, 'a', PAGE - 10));
    qvtd_svm_stop(f);
}

static void test_not_there(void)
{
    QVTDSVM *f = start();
    uint64_t page;

    run(f, IOVA);
    g_assert(is_busy(f));
    page = resolve(f);
    g_assert(finish(f));
    g_assert(holds(f, page, 'A', PAGE));
    qvtd_svm_stop(f);
}

static void test_read_only(void)
{
    QVTDSVM *f = start();
    uint64_t page = map_text(f, IOVA, QVTD_FS_USER_RO);
    QVTDPageReq req;

    run(f, IOVA);
    req = qvtd_svm_wait_page_req(f);
    g_assert(req.write);
    qvtd_svm_respond(f, &req, QVTD_SVM_INVALID);
    g_assert(!finish(f));
    g_assert(holds(f, page, 'a', PAGE));
    qvtd_svm_stop(f);
}

static void test_end_of_addresses(void)
{
    QVTDSVM *f = start();

    run(f, UINT64_MAX);
    g_assert(!finish(f));
    qvtd_svm_stop(f);
}

/* Too wide, also if what is left of it in fewer bits is a process, or none */
static void test_no_process(void)
{
    const uint64_t values[] = {
        NO_PROCESS, UINT32_MAX, UINT64_MAX, 1ULL << 32 | QVTD_SVM_PASID,
    };
    QVTDSVM *f = start();
    uint64_t page = map_text(f, IOVA, QVTD_FS_USER_RW);

    for (int i = 0; i < ARRAY_SIZE(values); i++) {
        qsvm_writeq(&f->svm, REG_PROCESS, values[i]);
        g_assert(!finish(f));
        run(f, IOVA);
        g_assert(!finish(f));
        qsvm_settle(&f->svm);
        g_assert(holds(f, page, 'a', PAGE));
    }
    qvtd_svm_stop(f);
}

/* Nothing is left of the block that was under way. */
static void expect_idle(QVTDSVM *f, uint64_t page)
{
    qsvm_settle(&f->svm);
    g_assert_cmpuint(qsvm_readq(&f->svm, REG_BLOCK), ==, STATUS_DONE);
    g_assert(holds(f, page, 'a', PAGE));
}

static void test_busy(void)
{
    QVTDSVM *f = start();
    uint64_t other = map_text(f, IOVA + PAGE, QVTD_FS_USER_RW);
    uint64_t page;

    run(f, IOVA);
    run(f, IOVA + PAGE);
    page = resolve(f);
    g_assert(finish(f));
    g_assert(holds(f, page, 'A', PAGE));
    expect_idle(f, other);
    qvtd_svm_stop(f);
}

static void test_other_process(void)
{
    QVTDSVM *f = start();
    QVTDPageReq req;
    uint64_t page;

    run(f, IOVA);
    req = qvtd_svm_wait_page_req(f);
    qvtd_svm_add_process(f, QVTD_SVM_PASID - 1);
    qsvm_writeq(&f->svm, REG_PROCESS, QVTD_SVM_PASID - 1);
    g_assert(!is_busy(f));
    page = answer(f, &req);
    expect_idle(f, page);
    qvtd_svm_stop(f);
}

static void test_reset(void)
{
    QVTDSVM *f = start();
    uint64_t page;

    run(f, IOVA);
    qvtd_svm_wait_page_req(f);
    qvtd_svm_system_reset(f);
    qvtd_svm_set_up_device(f);
    page = map_text(f, IOVA, QVTD_FS_USER_RW);
    expect_idle(f, page);
    qsvm_writeq(&f->svm, REG_PROCESS, QVTD_SVM_PASID);
    run(f, IOVA);
    g_assert(finish(f));
    g_assert(holds(f, page, 'A', PAGE));
    qvtd_svm_stop(f);
}

static void test_unplug(void)
{
    QVTDSVM *f = start();
    uint64_t page;

    run(f, IOVA);
    qvtd_svm_wait_page_req(f);
    page = map_text(f, IOVA, QVTD_FS_USER_RW);
    qtest_qmp_assert_success(f->qts, "{ 'execute': 'qom-set', 'arguments': {"
                             " 'path': '/machine/peripheral/"
                             QVTD_SVM_DEVICE_ID "',"
                             " 'property': 'realized', 'value': false } }");
    qsvm_settle(&f->svm);
    g_assert(holds(f, page, 'a', PAGE));
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/upcase/a-block-is-turned-into-upper-case", test_block);
    qtest_add_func("/upcase/a-page-that-is-not-there-is-asked-for",
                   test_not_there);
    qtest_add_func("/upcase/a-read-only-page-is-a-failure", test_read_only);
    qtest_add_func("/upcase/no-block-goes-beyond-the-last-address",
                   test_end_of_addresses);
    qtest_add_func("/upcase/without-a-process-nothing-is-done",
                   test_no_process);
    qtest_add_func("/upcase/it-does-one-block-at-a-time", test_busy);
    qtest_add_func("/upcase/another-process-ends-the-work",
                   test_other_process);
    qtest_add_func("/upcase/a-reset-ends-the-work", test_reset);
    qtest_add_func("/upcase/unplugging-ends-the-work", test_unplug);
    return g_test_run();
}
