/*
 * QTest testcase for SVM: what a device author has of the DMA engine: mappings,
 * requests, cancelling, and the time-out of page requests
 *
 * The calls of hw/pci/pci_svm_dma.h, made by the test device, on VT-d's tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/svm-testdev.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define OTHER_PASID 0x123
#define PATTERN     0x1122334455667788ULL
#define TIMEOUT_MS  10000
#define WRITE       SVM_TESTDEV_FLAG_WRITE

/* PCISVMDMAReason */
#define REASON_UNMAPPED     1
#define REASON_PERMISSION   2
#define REASON_CANCELLED    6
#define REASON_BUS_ERROR    7
#define REASON_TIMEOUT      9

static void start(QTestdev *t)
{
    qtestdev_start(t, "");
    g_assert_cmpint(qtestdev_call(t, SVM_TESTDEV_OPEN), ==, 0);
}

static void stop(QTestdev *t)
{
    qtestdev_stop(t);
}

/* Operations of slot 0, or of the one that the test has chosen */

static void begin(QTestdev *t, unsigned int call, uint64_t addr,
                  uint64_t length, unsigned int flags)
{
    qtestdev_set(t, SVM_TESTDEV_ADDR, addr);
    qtestdev_set(t, SVM_TESTDEV_LENGTH, length);
    qtestdev_set(t, SVM_TESTDEV_FLAGS, flags);
    qtestdev_set(t, SVM_TESTDEV_DATA, PATTERN);
    g_assert_cmpint(qtestdev_call(t, call), ==, 0);
}

static void wait_count(QTestdev *t, uint64_t reg, uint64_t count)
{
    int64_t start_us = g_get_monotonic_time();

    while (qtestdev_reg(t, reg) < count) {
        qsvm_step(&t->f->svm, start_us);
    }
    g_assert_cmpuint(qtestdev_reg(t, reg), ==, count);
}

static uint64_t done(QTestdev *t)
{
    return qtestdev_reg(t, SVM_TESTDEV_SVM_DONE);
}

static void expect_end(QTestdev *t, uint64_t count, int ret,
                       unsigned int reason, uint64_t addr)
{
    wait_count(t, SVM_TESTDEV_SVM_DONE, count);
    g_assert_cmpint((int64_t)qtestdev_reg(t, SVM_TESTDEV_SVM_RET), ==, ret);
    g_assert_cmpuint(qtestdev_reg(t, SVM_TESTDEV_SVM_REASON), ==, reason);
    g_assert_cmphex(qtestdev_reg(t, SVM_TESTDEV_SVM_ADDR), ==, addr);
}

static void run(QTestdev *t, unsigned int call, uint64_t addr, uint64_t length,
                unsigned int flags)
{
    uint64_t before = done(t);

    begin(t, call, addr, length, flags);
    wait_count(t, SVM_TESTDEV_SVM_DONE, before + 1);
    g_assert_cmpint((int64_t)qtestdev_reg(t, SVM_TESTDEV_SVM_RET), ==, 0);
}

static void respond(QTestdev *t, const QVTDPageReq *req, unsigned int code)
{
    qtestdev_respond(t, req->pasid, req->prgi, code);
}

static void invalidate(QTestdev *t, uint64_t addr)
{
    qvtd_inv(t->f->v, qvtd_dev_piotlb_desc(t->sid, t->pasid, addr, false,
                                           false));
}

/* Through the mapping */

static int64_t map_access(QTestdev *t, unsigned int call, uint64_t offset)
{
    qtestdev_set(t, SVM_TESTDEV_ADDR, offset);
    qtestdev_set(t, SVM_TESTDEV_LENGTH, 8);
    qtestdev_set(t, SVM_TESTDEV_DATA, PATTERN);
    return qtestdev_call(t, call);
}

static bool map_reads(QTestdev *t, uint64_t offset, uint64_t pa)
{
    qtest_writeq(t->qts, pa, ~PATTERN ^ offset);
    if (map_access(t, SVM_TESTDEV_MAP_READ, offset)) {
        return false;
    }
    g_assert_cmphex(qtestdev_reg(t, SVM_TESTDEV_SVM_DATA), ==,
                    ~PATTERN ^ offset);
    return true;
}

static bool map_writes(QTestdev *t, uint64_t offset, uint64_t pa)
{
    bool ok;

    qtest_writeq(t->qts, pa, ~PATTERN);
    ok = !map_access(t, SVM_TESTDEV_MAP_WRITE, offset);
    g_assert_cmphex(qtest_readq(t->qts, pa), ==, ok ? PATTERN : ~PATTERN);
    return ok;
}

static void expect_revoked(QTestdev *t, uint64_t pa, uint64_t count)
{
    g_assert_cmpint(map_access(t, SVM_TESTDEV_MAP_READ, 0), ==, -ESTALE);
    g_assert(!map_writes(t, 0, pa));
    wait_count(t, SVM_TESTDEV_MAP_REVOKED, count);
}

static void test_map(void)
{
    uint64_t pa, dirty = QVTD_FS_A | QVTD_FS_D;
    QTestdev t;

    start(&t);
    pa = qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW);
    run(&t, SVM_TESTDEV_MAP, IOVA + 0x100, SIZE_MAX, 0);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_MAP_LENGTH), ==,
                     PAGE - 0x100);
    g_assert(map_reads(&t, 8, pa + 0x108));
    g_assert_cmphex(qvtd_pte(t.f->v, t.f->table, IOVA, 1) & dirty, ==,
                    QVTD_FS_A);
    run(&t, SVM_TESTDEV_MAP, IOVA, PAGE, WRITE);
    g_assert_cmphex(qvtd_pte(t.f->v, t.f->table, IOVA, 1) & dirty, ==, dirty);
    g_assert(map_writes(&t, PAGE - 8, pa + PAGE - 8));
    g_assert(map_reads(&t, PAGE - 8, pa + PAGE - 8));
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_UNMAP), ==, 0);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_MAP_REVOKED), ==, 0);
    stop(&t);
}

/* The wait descriptor completes while the mapping is there */
static void test_invalidation(void)
{
    uint64_t pa, other;
    QTestdev t;

    start(&t);
    pa = qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW);
    run(&t, SVM_TESTDEV_MAP, IOVA, PAGE, WRITE);
    invalidate(&t, IOVA + PAGE);
    invalidate(&t, IOVA - PAGE);
    g_assert(map_writes(&t, 0, pa));
    other = qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW);
    invalidate(&t, IOVA);
    expect_revoked(&t, pa, 1);
    run(&t, SVM_TESTDEV_MAP, IOVA, PAGE, WRITE);
    g_assert(map_writes(&t, 0, other));
    invalidate(&t, IOVA);
    expect_revoked(&t, other, 2);
    stop(&t);
}

static void test_invalidation_of_another_pasid(void)
{
    uint64_t pa;
    QTestdev t;

    start(&t);
    qvtd_svm_add_process(t.f, OTHER_PASID);
    pa = qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW);
    run(&t, SVM_TESTDEV_MAP, IOVA, PAGE, WRITE);
    qvtd_inv(t.f->v, qvtd_dev_piotlb_desc(t.sid, OTHER_PASID, IOVA, false,
                                          false));
    g_assert(map_writes(&t, 0, pa));
    qvtd_inv(t.f->v, qvtd_dev_piotlb_desc(t.sid, OTHER_PASID, IOVA, false,
                                          true));
    expect_revoked(&t, pa, 1);
    stop(&t);
}

static void revoke_by_close(QTestdev *t)
{
    g_assert_cmpint(qtestdev_call(t, SVM_TESTDEV_CLOSE), ==, 0);
}

static void revoke_by_cancel(QTestdev *t)
{
    g_assert_cmpint(qtestdev_call(t, SVM_TESTDEV_CANCEL), ==, 0);
}

static void revoke_by_cancel_pasid(QTestdev *t)
{
    g_assert_cmpint(qtestdev_call(t, SVM_TESTDEV_CANCEL_PASID), ==, 0);
}

static void revoke_by_ats(QTestdev *t)
{
    qtestdev_writew(t, SVM_TESTDEV_CAP_ATS + PCI_ATS_CTRL, 0);
}

static void revoke_by_master(QTestdev *t)
{
    qtestdev_set_master(t, false);
}

static void revoke_by_function_reset(QTestdev *t)
{
    qtestdev_function_reset(t);
    qtestdev_enable(t);
}

static void revoke_by_vm_stop(QTestdev *t)
{
    qtest_qmp_assert_success(t->qts, "{ 'execute': 'stop' }");
    qtest_qmp_assert_success(t->qts, "{ 'execute': 'cont' }");
}

typedef struct Revocation {
    const char *path;
    void (*fn)(QTestdev *t);
} Revocation;

static const Revocation revocations[] = {
    { "/svm/dma/a-mapping-ends-with-its-context", revoke_by_close },
    { "/svm/dma/a-mapping-ends-when-its-context-is-cancelled",
      revoke_by_cancel },
    { "/svm/dma/a-mapping-ends-when-its-PASID-is-cancelled",
      revoke_by_cancel_pasid },
    { "/svm/dma/a-mapping-ends-with-ATS-Enable", revoke_by_ats },
    { "/svm/dma/a-mapping-ends-with-Bus-Master-Enable", revoke_by_master },
    { "/svm/dma/a-mapping-ends-with-a-function-reset",
      revoke_by_function_reset },
    { "/svm/dma/a-mapping-ends-when-the-VM-stops", revoke_by_vm_stop },
};

static void test_revocation(const void *data)
{
    const Revocation *r = data;
    uint64_t pa;
    QTestdev t;

    start(&t);
    pa = qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW);
    run(&t, SVM_TESTDEV_MAP, IOVA, PAGE, WRITE);
    g_assert(map_writes(&t, 0, pa));
    r->fn(&t);
    expect_revoked(&t, pa, 1);
    stop(&t);
}

/* One page request, whatever the length */
static void test_map_missing_page(void)
{
    QVTDPageReq req;
    uint64_t pa;
    QTestdev t;

    start(&t);
    begin(&t, SVM_TESTDEV_MAP, IOVA, 16 * PAGE, WRITE);
    req = qtestdev_wait_request(&t);
    g_assert_cmphex(req.addr, ==, IOVA);
    g_assert(req.last && req.write);
    g_assert_cmpuint(done(&t), ==, 0);
    pa = qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW);
    respond(&t, &req, QVTD_SVM_SUCCESS);
    expect_end(&t, 1, 0, 0, IOVA);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_MAP_LENGTH), ==, PAGE);
    g_assert(map_writes(&t, 0, pa));
    stop(&t);
}

static void test_map_refused(void)
{
    QVTDPageReq req;
    QTestdev t;

    start(&t);
    qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW & ~QVTD_FS_RW);
    begin(&t, SVM_TESTDEV_MAP, IOVA, PAGE, WRITE);
    req = qtestdev_wait_request(&t);
    respond(&t, &req, QVTD_SVM_INVALID);
    expect_end(&t, 1, -EACCES, REASON_PERMISSION, IOVA);
    begin(&t, SVM_TESTDEV_MAP, IOVA + PAGE, PAGE, 0);
    req = qtestdev_wait_request(&t);
    respond(&t, &req, QVTD_SVM_INVALID);
    expect_end(&t, 2, -EFAULT, REASON_UNMAPPED, IOVA + PAGE);

    /* A device's registers are no RAM */
    qvtd_fs_map(t.f->v, t.f->table, IOVA + 2 * PAGE, t.bar, 1,
                QVTD_FS_USER_RW);
    begin(&t, SVM_TESTDEV_MAP, IOVA + 2 * PAGE, PAGE, 0);
    expect_end(&t, 3, -EIO, REASON_BUS_ERROR, IOVA + 2 * PAGE);
    g_assert_cmpint(map_access(&t, SVM_TESTDEV_MAP_READ, 0), ==, -EINVAL);
    stop(&t);
}

/* Requests */

static void test_request(void)
{
    uint64_t pa;
    QTestdev t;

    start(&t);
    pa = qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW);
    run(&t, SVM_TESTDEV_SVM_WRITE, IOVA + 16, 8, 0);
    g_assert_cmphex(qtest_readq(t.qts, pa + 16), ==, PATTERN);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_SVM_BYTES), ==, 8);
    qtest_writeq(t.qts, pa + 24, ~PATTERN);
    run(&t, SVM_TESTDEV_SVM_READ, IOVA + 24, 8, 0);
    g_assert_cmphex(qtestdev_reg(&t, SVM_TESTDEV_SVM_DATA), ==, ~PATTERN);
    stop(&t);
}

typedef struct Cancel {
    const char *path;
    unsigned int call;
} Cancel;

static const Cancel cancels[] = {
    { "/svm/dma/a-request-is-cancelled-by-itself",
      SVM_TESTDEV_CANCEL_REQUEST },
    { "/svm/dma/a-request-is-cancelled-with-its-context", SVM_TESTDEV_CANCEL },
    { "/svm/dma/a-request-is-cancelled-with-its-PASID",
      SVM_TESTDEV_CANCEL_PASID },
};

/* The answer finds no one, and gives its credit back. */
static void test_cancel(const void *data)
{
    const Cancel *c = data;
    QVTDPageReq req, again;
    uint64_t pa;
    QTestdev t;

    start(&t);
    begin(&t, SVM_TESTDEV_SVM_WRITE, IOVA, 8, 0);
    req = qtestdev_wait_request(&t);
    g_assert_cmpint(qtestdev_call(&t, c->call), ==, 0);
    expect_end(&t, 1, -ECANCELED, REASON_CANCELLED, IOVA);
    pa = qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW);
    qtest_writeq(t.qts, pa, ~PATTERN);
    respond(&t, &req, QVTD_SVM_SUCCESS);
    g_assert_cmphex(qtest_readq(t.qts, pa), ==, ~PATTERN);

    begin(&t, SVM_TESTDEV_SVM_WRITE, IOVA + PAGE, 8, 0);
    again = qtestdev_wait_request(&t);
    respond(&t, &again, QVTD_SVM_INVALID);
    expect_end(&t, 2, -EFAULT, REASON_UNMAPPED, IOVA + PAGE);
    run(&t, SVM_TESTDEV_SVM_WRITE, IOVA, 8, 0);
    g_assert_cmphex(qtest_readq(t.qts, pa), ==, PATTERN);
    stop(&t);
}

static void test_cancel_spares_others(void)
{
    QVTDPageReq req[2];
    QTestdev t;

    start(&t);
    qvtd_svm_add_process(t.f, OTHER_PASID);
    begin(&t, SVM_TESTDEV_SVM_READ, IOVA, 8, 0);
    req[0] = qtestdev_wait_request(&t);
    qtestdev_set(&t, SVM_TESTDEV_SLOT, 1);
    t.pasid = OTHER_PASID;
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_OPEN), ==, 0);
    begin(&t, SVM_TESTDEV_SVM_READ, IOVA, 8, 0);
    req[1] = qtestdev_wait_request(&t);

    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_CANCEL_PASID), ==, 0);
    expect_end(&t, 1, -ECANCELED, REASON_CANCELLED, IOVA);
    qtestdev_set(&t, SVM_TESTDEV_SLOT, 0);
    qsvm_settle(&t.f->svm);
    g_assert_cmpuint(done(&t), ==, 0);
    qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW);
    respond(&t, &req[0], QVTD_SVM_SUCCESS);
    expect_end(&t, 1, 0, 0, IOVA + 8);
    respond(&t, &req[1], QVTD_SVM_SUCCESS);
    stop(&t);
}

/* Time-out */

static void step_ms(QTestState *qts, unsigned int ms)
{
    qtest_clock_step(qts, ms * 1000000LL);
}

static void test_timeout(void)
{
    QVTDPageReq req;
    uint64_t pa;
    QTestdev t;

    start(&t);
    qtestdev_enable_pri(&t, 1);
    qtestdev_set(&t, SVM_TESTDEV_LENGTH, TIMEOUT_MS);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_SET_TIMEOUT), ==, 0);
    begin(&t, SVM_TESTDEV_SVM_WRITE, IOVA, 8, 0);
    req = qtestdev_wait_request(&t);
    step_ms(t.qts, TIMEOUT_MS / 2);
    g_assert_cmpuint(done(&t), ==, 0);
    step_ms(t.qts, TIMEOUT_MS);
    expect_end(&t, 1, -ETIMEDOUT, REASON_TIMEOUT, IOVA);

    /* The one credit is the group's, until the answer comes after all. */
    begin(&t, SVM_TESTDEV_SVM_WRITE, IOVA, 8, 0);
    qsvm_settle(&t.f->svm);
    step_ms(t.qts, TIMEOUT_MS);
    expect_end(&t, 2, -ETIMEDOUT, REASON_TIMEOUT, IOVA);
    qtestdev_pop_none(&t);
    respond(&t, &req, QVTD_SVM_SUCCESS);
    begin(&t, SVM_TESTDEV_SVM_WRITE, IOVA, 8, 0);
    req = qtestdev_wait_request(&t);
    pa = qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW);
    respond(&t, &req, QVTD_SVM_SUCCESS);
    expect_end(&t, 3, 0, 0, IOVA + 8);
    g_assert_cmphex(qtest_readq(t.qts, pa), ==, PATTERN);
    stop(&t);
}

/* The endpoint's commands: one with an option, one without */
static void check_endpoint(const char *opts, bool fails)
{
    QVTDSVM *f = qvtd_svm_start_with("", opts);
    QVTDPageReq req;

    qvtd_enable_prq(f->v, 0);
    qsvm_enable_pri(&f->svm, 1);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    step_ms(f->qts, 2 * TIMEOUT_MS);
    if (fails) {
        g_assert(!qsvm_wait(&f->svm));
        qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    } else {
        g_assert(!qsvm_is_done(&f->svm));
        qvtd_svm_resolve(f, &req);
        qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
        g_assert(qsvm_wait(&f->svm));
    }
    qvtd_svm_stop(f);
}

static void test_endpoint_timeout(void)
{
    g_autofree char *opts = g_strdup_printf("page-timeout-ms=%d", TIMEOUT_MS);

    check_endpoint(opts, true);
    check_endpoint("", false);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(revocations); i++) {
        qtest_add_data_func(revocations[i].path, &revocations[i],
                            test_revocation);
    }
    for (int i = 0; i < ARRAY_SIZE(cancels); i++) {
        qtest_add_data_func(cancels[i].path, &cancels[i], test_cancel);
    }
    qtest_add_func("/svm/dma/a-mapping-is-the-page", test_map);
    qtest_add_func("/svm/dma/an-invalidation-revokes-a-mapping",
                   test_invalidation);
    qtest_add_func("/svm/dma/an-invalidation-of-another-PASID-spares-a-mapping",
                   test_invalidation_of_another_pasid);
    qtest_add_func("/svm/dma/a-mapping-asks-for-its-page",
                   test_map_missing_page);
    qtest_add_func("/svm/dma/a-mapping-needs-permission-and-RAM",
                   test_map_refused);
    qtest_add_func("/svm/dma/a-request-reads-and-writes", test_request);
    qtest_add_func("/svm/dma/cancelling-a-PASID-spares-others",
                   test_cancel_spares_others);
    qtest_add_func("/svm/dma/a-page-request-has-its-time", test_timeout);
    qtest_add_func("/svm/dma/page-timeout-ms-ends-a-command",
                   test_endpoint_timeout);
    return g_test_run();
}
