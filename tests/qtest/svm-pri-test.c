/*
 * QTest testcase for SVM: page requests of a function (PRI) and the responses
 * of the OS
 *
 * PCIe r6.0, 10.4 and 10.5.2; VT-d rev 4.1, 7.4 and 7.7. The test plays the
 * OS: it takes requests off VT-d's page request queue, changes page tables and
 * answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/vtd-svm.h"

#define PAGE    (4 * KiB)
#define IOVA    0x7f1234560000ULL
#define CREDITS 64
#define PAGES   20

static uint64_t page_at(QVTDSVM *f, uint64_t iova)
{
    return qvtd_pte(f->v, f->table, iova, 1) & QVTD_PTE_ADDR_MASK;
}

/*
 * The request
 */

typedef struct Request {
    const char *path;
    bool pasid;
    bool priv;
    bool write;
} Request;

static const Request requests[] = {
    { "/svm/pri/a-read-requests-the-page-for-reading", .pasid = true },
    { "/svm/pri/a-write-requests-the-page-for-writing", .pasid = true,
      .write = true },
    { "/svm/pri/a-privileged-read-makes-a-privileged-request", .pasid = true,
      .priv = true },
    { "/svm/pri/a-privileged-write-makes-a-privileged-request", .pasid = true,
      .priv = true, .write = true },
    { "/svm/pri/a-read-without-PASID-makes-a-request-without", },
    { "/svm/pri/a-write-without-PASID-makes-a-request-without",
      .write = true },
};

/* VT-d 7.4.1: the descriptor bit by bit; its index alone is the device's */
static void check_descriptor(QVTDSVM *f, const Request *r)
{
    uint64_t desc[4];
    uint64_t pasid = r->pasid ? QVTD_SVM_PASID : 0;
    uint64_t prgi_mask = 0x1ffULL << 3;

    for (int i = 0; i < ARRAY_SIZE(desc); i++) {
        desc[i] = qtest_readq(f->qts, f->v->prq + i * 8);
    }
    g_assert_cmphex(desc[0], ==, 1 | r->pasid << 8 | (uint64_t)f->sid << 16 |
                    pasid << 32 | (uint64_t)r->priv << 53);
    g_assert_cmphex(desc[1] & ~prgi_mask, ==, IOVA | 1 << 2 | r->write << 1 |
                    1);
    g_assert_cmphex(desc[2], ==, 0);
    g_assert_cmphex(desc[3], ==, 0);
}

static void test_request(const void *data)
{
    const Request *r = data;
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    const uint8_t poison = QVTD_SVM_POISON;     /* by qvtd_svm_resolve() */
    uint8_t crc = qsvm_crc(SVM_CRC_INIT, &poison, 1);
    QVTDPageReq req;
    uint64_t page;

    if (r->pasid) {
        qvtd_svm_set_entry(f, r->priv ? QVTD_PE_SRE : 0);
    } else {
        f->table = qvtd_svm_add_process(f, 0);
        qsvm_set_pasid(&f->svm, SVM_PASID_NONE);
    }
    qsvm_writeq(&f->svm, SVM_REG_OPTIONS, r->priv ? SVM_OPT_PRIV : 0);
    if (r->write) {
        qsvm_start_write(&f->svm, IOVA + 0x123, 0x45);
    } else {
        qsvm_start_read(&f->svm, IOVA + 0x123, 1, crc);
    }
    req = qvtd_svm_wait_page_req(f);
    check_descriptor(f, r);
    page = qvtd_svm_resolve(f, &req);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    if (r->write) {
        g_assert(qvtd_svm_is_written(f, page + 0x123, 0x45, 0));
    }
    g_assert_cmphex(qvtd_pte(f->v, f->table, IOVA, 1) &
                    (QVTD_FS_A | QVTD_FS_D), ==,
                    QVTD_FS_A | (r->write ? QVTD_FS_D : 0));
    qvtd_svm_stop(f);
}

/* 10.4.1.1: one index for the group, L on its last request */
static void test_group(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req, first;

    /* The OS has some of the pages already */
    qvtd_svm_map(f, IOVA + 3 * PAGE, QVTD_FS_USER_RW);
    qvtd_svm_map(f, IOVA + 7 * PAGE, QVTD_FS_USER_RW);
    qsvm_start_write(&f->svm, IOVA, PAGES * PAGE);
    for (int i = 0; i < PAGES; i++) {
        if (i == 3 || i == 7) {
            continue;
        }
        req = qvtd_svm_wait_page_req(f);
        first = i ? first : req;
        g_assert_cmphex(req.addr, ==, IOVA + i * PAGE);
        g_assert_cmpuint(req.prgi, ==, first.prgi);
        g_assert(req.last == (i == PAGES - 1));
        qvtd_svm_resolve(f, &req);
    }
    qvtd_svm_expect_no_page_req(f);
    g_assert(!qsvm_is_done(&f->svm));
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    for (int i = 0; i < PAGES; i++) {
        g_assert(qvtd_svm_is_written(f, page_at(f, IOVA + i * PAGE), PAGE,
                                     i * PAGE));
    }
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_PAGE_REQUESTS), ==,
                     PAGES - 2);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_PAGE_GROUPS), ==, 1);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_RESP_SUCCESS), ==, 1);
    qvtd_svm_stop(f);
}

/*
 * Credits
 */

/*
 * 10.5.2.5: no more requests than the allocation are outstanding. Returns how
 * many there were at most.
 */
static unsigned int serve_all(QVTDSVM *f, unsigned int credits)
{
    int64_t start = g_get_monotonic_time();
    unsigned int group = 0, outstanding = 0, most = 0;
    QVTDPageReq req;

    while (!qsvm_is_done(&f->svm)) {
        qsvm_step(&f->svm, start);
        if (!qvtd_pop_page_req(f->v, &req)) {
            continue;
        }
        qvtd_svm_resolve(f, &req);
        group++;
        most = MAX(most, ++outstanding);
        g_assert_cmpuint(outstanding, <=, credits);
        if (req.last) {
            qvtd_svm_expect_no_page_req(f);
            qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
            outstanding -= group;
            group = 0;
        }
    }
    return most;
}

static void check_credits(unsigned int credits)
{
    QVTDSVM *f = qvtd_svm_start_pri(credits);

    qsvm_start_write(&f->svm, IOVA, PAGES * PAGE);
    g_assert_cmpuint(serve_all(f, credits), ==, credits);
    g_assert(qsvm_wait(&f->svm));
    for (int i = 0; i < PAGES; i++) {
        g_assert(qvtd_svm_is_written(f, page_at(f, IOVA + i * PAGE), PAGE,
                                     i * PAGE));
    }
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_PAGE_REQUESTS), ==, PAGES);
    qvtd_svm_stop(f);
}

static void test_credits(void)
{
    check_credits(4);
}

static void test_one_credit(void)
{
    check_credits(1);
}

static void test_no_credit(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(0);

    g_assert(!qsvm_write(&f->svm, IOVA, PAGE));
    qvtd_svm_expect_no_page_req(f);
    qvtd_svm_stop(f);
}

/*
 * The response
 */

/* An OS that says no: the command fails, and nothing else does */
static void test_invalid(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;
    uint64_t page;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    page = qvtd_svm_resolve(f, &req);
    qtest_writeq(f->qts, qvtd_pte_addr(f->v, f->table, IOVA, 1), 0);
    qvtd_svm_respond(f, &req, QVTD_SVM_INVALID);
    g_assert(!qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_poisoned(f, page, PAGE));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_RESP_INVALID), ==, 1);
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID);

    g_assert(qvtd_svm_write_resolved(f, IOVA));
    qvtd_svm_stop(f);
}

/* What precedes the refused page is written */
static void test_invalid_in_group(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    int64_t start = g_get_monotonic_time();
    unsigned int code = QVTD_SVM_SUCCESS;
    uint64_t first = qvtd_alloc_page(f->v);
    QVTDPageReq req;

    qsvm_start_write(&f->svm, IOVA, 4 * PAGE);
    while (!qsvm_is_done(&f->svm)) {
        qsvm_step(&f->svm, start);
        if (!qvtd_pop_page_req(f->v, &req)) {
            continue;
        }
        if (req.addr == IOVA) {
            qvtd_fs_map(f->v, f->table, IOVA, first, 1, QVTD_FS_USER_RW);
        } else {
            code = QVTD_SVM_INVALID;
        }
        if (req.last) {
            qvtd_svm_respond(f, &req, code);
            code = QVTD_SVM_SUCCESS;
        }
    }
    g_assert(!qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_written(f, first, PAGE, 0));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_BYTES_WRITTEN), ==, PAGE);
    qvtd_svm_stop(f);
}

/* An OS that says yes and does nothing is not asked for ever */
static void test_success_without_mapping(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    int64_t start = g_get_monotonic_time();
    unsigned int asked = 0;
    QVTDPageReq req;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    while (!qsvm_is_done(&f->svm)) {
        qsvm_step(&f->svm, start);
        if (qvtd_pop_page_req(f->v, &req)) {
            qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
            g_assert_cmpuint(++asked, <, 100);
        }
    }
    g_assert(!qsvm_wait(&f->svm));
    g_assert_cmpuint(asked, >, 1);
    qvtd_svm_stop(f);
}

typedef struct Failure {
    const char *path;
    unsigned int code;
} Failure;

static const Failure failures[] = {
    { "/svm/pri/Response-Failure-disables-the-interface", QVTD_SVM_FAILURE },
    { "/svm/pri/response-code-2-is-a-Response-Failure", 2 },
    { "/svm/pri/response-code-7-is-a-Response-Failure", 7 },
    { "/svm/pri/response-code-14-is-a-Response-Failure", 14 },
};

/* 10.4.2.1: until software has enabled it again */
static void test_failure(const void *data)
{
    const Failure *c = data;
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint64_t mapped = qvtd_svm_map(f, IOVA + PAGE, QVTD_FS_USER_RW);
    QVTDPageReq req;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_svm_respond(f, &req, c->code);
    g_assert(!qsvm_wait(&f->svm));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_RESP_FAILURE), ==, 1);
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED | PCI_PRI_STATUS_RF);
    g_assert(!qsvm_write(&f->svm, IOVA, PAGE));
    qvtd_svm_expect_no_page_req(f);
    g_assert(qvtd_svm_writes(f, IOVA + PAGE, mapped));

    qsvm_disable_pri(&f->svm);
    qsvm_enable_pri(&f->svm, CREDITS);
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID);
    g_assert(qvtd_svm_write_resolved(f, IOVA));
    qvtd_svm_stop(f);
}

/*
 * Responses that nobody waits for
 */

typedef struct Unexpected {
    const char *path;
    uint16_t sid;           /* differs from the right response by these */
    uint32_t pasid;
    uint16_t prgi;
    bool no_pasid;
    bool uprgi;
} Unexpected;

static const Unexpected unexpected[] = {
    { "/svm/pri/a-response-of-another-index-sets-UPRGI", .prgi = 1,
      .uprgi = true },
    { "/svm/pri/a-response-of-the-farthest-index-sets-UPRGI", .prgi = 0x100,
      .uprgi = true },
    { "/svm/pri/a-response-of-another-PASID-sets-UPRGI", .pasid = 1,
      .uprgi = true },
    { "/svm/pri/a-response-without-the-PASID-sets-UPRGI", .no_pasid = true,
      .uprgi = true },
    { "/svm/pri/a-response-to-no-function-is-ignored", .sid = 1 },
    { "/svm/pri/a-response-to-no-bus-is-ignored", .sid = 0x5500 },
};

/* The command goes on waiting for the right one */
static void test_unexpected(const void *data)
{
    const Unexpected *u = data;
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint16_t status = PCI_PRI_STATUS_PASID |
                      (u->uprgi ? PCI_PRI_STATUS_UPRGI : 0);
    QVTDPageReq req, wrong;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_svm_resolve(f, &req);
    wrong = req;
    wrong.sid ^= u->sid;
    wrong.pasid ^= u->pasid;
    wrong.prgi ^= u->prgi;
    wrong.has_pasid = !u->no_pasid;
    qvtd_svm_respond(f, &wrong, QVTD_SVM_FAILURE);
    qvtd_svm_expect_no_page_req(f);
    g_assert(!qsvm_is_done(&f->svm));
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, status);

    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    qsvm_config_writew(&f->svm, f->svm.pri_cap + PCI_PRI_STATUS,
                       PCI_PRI_STATUS_UPRGI);
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID);
    /* The index was used up */
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_UPRGI);
    qvtd_svm_stop(f);
}

/*
 * Copy on write
 */

/* The page was read before; the OS copies it, invalidates, and answers */
static void test_copy_on_write(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint64_t shared = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RO);
    QVTDPageReq req;
    uint64_t copy;

    g_assert(qvtd_svm_reads(f, IOVA, shared));
    qvtd_svm_poison(f, shared, PAGE);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    g_assert(req.write);
    copy = qvtd_svm_resolve(f, &req);
    qvtd_inv(f->v, qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID, IOVA, false,
                                        false));
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_written(f, copy, PAGE, 0));
    g_assert(qvtd_svm_is_poisoned(f, shared, PAGE));
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(requests); i++) {
        qtest_add_data_func(requests[i].path, &requests[i], test_request);
    }
    for (int i = 0; i < ARRAY_SIZE(failures); i++) {
        qtest_add_data_func(failures[i].path, &failures[i], test_failure);
    }
    for (int i = 0; i < ARRAY_SIZE(unexpected); i++) {
        qtest_add_data_func(unexpected[i].path, &unexpected[i],
                            test_unexpected);
    }
    qtest_add_func("/svm/pri/a-group-has-one-index-and-one-last-request",
                   test_group);
    qtest_add_func("/svm/pri/requests-do-not-exceed-the-allocation",
                   test_credits);
    qtest_add_func("/svm/pri/an-allocation-of-one-is-enough", test_one_credit);
    qtest_add_func("/svm/pri/an-allocation-of-zero-permits-no-request",
                   test_no_credit);
    qtest_add_func("/svm/pri/Invalid-Request-fails-the-command-alone",
                   test_invalid);
    qtest_add_func("/svm/pri/Invalid-Request-ends-the-command-at-that-page",
                   test_invalid_in_group);
    qtest_add_func("/svm/pri/Success-without-a-mapping-ends-the-command",
                   test_success_without_mapping);
    qtest_add_func("/svm/pri/a-write-to-a-read-only-page-lets-the-OS-copy-it",
                   test_copy_on_write);
    return g_test_run();
}
