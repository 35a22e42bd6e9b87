/*
 * QTest testcase for SVM: what of a function's capabilities migrates
 *
 * PCIe r6.0, 7.8.9, 10.5.1 and 10.5.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "libqos/vtd-svm-migrate.h"
#include "qobject/qdict.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define CREDITS     5
#define STU         3
#define PAGES       6
#define OFFSET      100

#define ENDPOINT    "-device svm,addr=4"

static QVTDSVM *migrate(QVTDSVM *f)
{
    return qvtd_svm_migrate(f, ENDPOINT);
}

static QVTDSVM *migrate_live(QVTDSVM *f)
{
    return qvtd_svm_migrate_live(f, ENDPOINT);
}

static void test_enables(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    QSVM *svm = &f->svm;
    QVTDPageReq req;

    qsvm_config_writew(svm, svm->ats_cap + PCI_ATS_CTRL,
                       PCI_ATS_CTRL_ENABLE | STU);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    f = migrate(f);
    svm = &f->svm;
    g_assert_cmphex(qsvm_config_readw(svm, svm->pasid_cap + PCI_PASID_CTRL),
                    ==, PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_PRIV);
    g_assert_cmphex(qsvm_config_readw(svm, svm->ats_cap + PCI_ATS_CTRL), ==,
                    PCI_ATS_CTRL_ENABLE | STU);
    g_assert_cmphex(qsvm_config_readw(svm, svm->pri_cap + PCI_PRI_CTRL), ==,
                    PCI_PRI_CTRL_ENABLE);
    g_assert_cmpuint(qsvm_config_readl(svm, svm->pri_cap + PCI_PRI_ALLOC_REQ),
                     ==, CREDITS);
    g_assert_cmphex(qsvm_pri_status(svm), ==, PCI_PRI_STATUS_PASID);

    /* And they have their effect, without a write to them */
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qsvm_start_write(svm, IOVA + PAGE, PAGE);
    req = qvtd_svm_wait_page_req(f);
    page = qvtd_svm_resolve(f, &req);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(svm));
    g_assert(qvtd_svm_is_written(f, page, PAGE, 0));
    qvtd_svm_stop(f);
}

static void test_disabled(void)
{
    QVTDSVM *f = migrate(qvtd_svm_start());
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    g_assert(!qsvm_write(&f->svm, IOVA + PAGE, PAGE));
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qsvm_set_ats(&f->svm, false);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    qvtd_svm_stop(f);
}

/* The bit that says so may be clear: the interface is disabled still */
static void test_failure(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_svm_respond(f, &req, QVTD_SVM_FAILURE);
    g_assert(!qsvm_wait(&f->svm));
    qsvm_config_writew(&f->svm, f->svm.pri_cap + PCI_PRI_STATUS,
                       PCI_PRI_STATUS_RF);
    f = migrate(f);
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    g_assert(!qsvm_write(&f->svm, IOVA, PAGE));
    qvtd_svm_expect_no_page_req(f);

    qsvm_disable_pri(&f->svm);
    qsvm_enable_pri(&f->svm, CREDITS);
    g_assert(qvtd_svm_write_resolved(f, IOVA));
    qvtd_svm_stop(f);
}

/* A group that was outstanding is forgotten, with its credit */
static void test_outstanding(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(1);
    QVTDPageReq req, again;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    f = migrate(f);
    again = qvtd_svm_wait_page_req(f);
    g_assert_cmphex(again.addr, ==, req.addr);
    qvtd_svm_resolve(f, &again);
    qvtd_svm_respond(f, &again, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID);
    qvtd_svm_stop(f);
}

/*
 * Every other page of a buffer is missing, and the requests are outstanding: no
 * byte is lost, and none is written that was not asked for.
 */
static void check_transfer(QVTDSVM *(*go)(QVTDSVM *))
{
    QVTDSVM *f = qvtd_svm_start_pri(1);
    uint64_t page[PAGES];
    QVTDPageReq req;

    for (int i = 0; i < PAGES; i += 2) {
        page[i] = qvtd_svm_map(f, IOVA + i * PAGE, QVTD_FS_USER_RW);
    }
    qsvm_start_write(&f->svm, IOVA + OFFSET, PAGES * PAGE - 2 * OFFSET);
    for (int i = 1; i < PAGES; i += 2) {
        req = qvtd_svm_wait_page_req(f);
        g_assert_cmphex(req.addr, ==, IOVA + i * PAGE);
        f = go(f);
        g_assert(!qsvm_is_done(&f->svm));
        req = qvtd_svm_wait_page_req(f);
        g_assert_cmphex(req.addr, ==, IOVA + i * PAGE);
        page[i] = qvtd_svm_resolve(f, &req);
        qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    }
    g_assert(qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_written(f, page[0] + OFFSET, PAGE - OFFSET, 0));
    for (int i = 1; i < PAGES - 1; i++) {
        g_assert(qvtd_svm_is_written(f, page[i], PAGE, i * PAGE - OFFSET));
    }
    g_assert(qvtd_svm_is_written(f, page[PAGES - 1], PAGE - OFFSET,
                                 (PAGES - 1) * PAGE - OFFSET));
    g_assert(qvtd_svm_is_poisoned(f, page[PAGES - 1] + PAGE - OFFSET, OFFSET));
    qvtd_svm_stop(f);
}

static void test_file(void)
{
    check_transfer(migrate);
}

static void test_socket(void)
{
    check_transfer(migrate_live);
}

/* Returns whether it was done, and is over. */
static bool dismiss_job(QTestState *qts)
{
    QDict *reply = qtest_qmp(qts, "{ 'execute': 'job-dismiss', 'arguments': {"
                                  " 'id': 'create' } }");
    bool done = qdict_haskey(reply, "return");

    qobject_unref(reply);
    return done;
}

/* A machine with a disk that nothing uses but snapshots */
static QVTDSVM *start_with_disk(const char *path)
{
    g_autofree char *opts = g_strdup_printf(
        ENDPOINT " -blockdev driver=file,node-name=image,filename=%s",
        path);
    int64_t start = g_get_monotonic_time();
    QVTDSVM *f;

    g_assert(g_file_set_contents(path, "", 0, NULL));
    f = qvtd_svm_start_machine("", opts);
    qtest_qmp_assert_success(f->qts, "{ 'execute': 'blockdev-create',"
                             " 'arguments': { 'job-id': 'create', 'options': {"
                             " 'driver': 'qcow2', 'file': 'image',"
                             " 'size': 1048576 } } }");
    while (!dismiss_job(f->qts)) {
        g_assert_cmpint(g_get_monotonic_time() - start, <, QSVM_TIMEOUT_US);
        g_usleep(1000);
    }
    qtest_qmp_assert_success(f->qts, "{ 'execute': 'blockdev-add',"
                             " 'arguments': { 'driver': 'qcow2',"
                             " 'node-name': 'disk', 'file': 'image' } }");
    qvtd_svm_attach(f, QPCI_DEVFN(4, 0));
    qvtd_enable_prq(f->v, 0);
    qsvm_enable_pri(&f->svm, CREDITS);
    return f;
}

static void monitor(QVTDSVM *f, const char *command)
{
    g_autofree char *said = qtest_hmp(f->qts, "%s", command);

    g_assert_cmpstr(said, ==, "");
}

static void answer_and_finish(QVTDSVM *f, const QVTDPageReq *req)
{
    uint64_t page = qvtd_svm_resolve(f, req);

    qvtd_svm_respond(f, req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_written(f, page, PAGE, PAGE));
}

/* What came after the snapshot has not been: the command waits once more. */
static void test_snapshot(void)
{
    g_autofree char *path = qvtd_svm_temporary_path();
    QVTDSVM *f = start_with_disk(path);
    QVTDPageReq req, again;
    QVTD saved;

    qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    qsvm_start_write(&f->svm, IOVA, 2 * PAGE);
    req = qvtd_svm_wait_page_req(f);
    saved = *f->v;
    monitor(f, "savevm middle");
    /* It has stopped the machine, and let it go on. */
    again = qvtd_svm_wait_page_req(f);
    qvtd_svm_respond(f, &req, QVTD_SVM_INVALID);
    answer_and_finish(f, &again);

    for (int i = 0; i < 2; i++) {
        monitor(f, "loadvm middle");
        *f->v = saved;
        g_assert(!qsvm_is_done(&f->svm));
        req = qvtd_svm_wait_page_req(f);
        g_assert_cmphex(req.addr, ==, IOVA + PAGE);
        answer_and_finish(f, &req);
    }
    qvtd_svm_stop(f);
    g_assert_cmpint(unlink(path), ==, 0);
}

typedef struct Refusal {
    const char *path;
    const char *source;
    const char *destination;
    const char *says;
} Refusal;

static const Refusal refusals[] = {
    { "/svm/caps/a-destination-without-svm-is-refused",
      "svm=on", "x-scalable-mode=on", "The source has -device "
      "intel-iommu,svm=on, which this machine needs, too" },
    { "/svm/caps/a-destination-with-svm-is-refused-what-had-none",
      "x-scalable-mode=on", "svm=on", "The source has other options of -device "
      "intel-iommu than this machine, which has svm=on" },
    { "/svm/caps/a-destination-with-other-capabilities-is-refused",
      "svm=on", "svm=on,svm-nesting=off", "The source has other options of "
      "-device intel-iommu than this machine, which has svm=on" },
};

static unsigned int count(const char *where, const char *what)
{
    unsigned int n = 0;

    while ((where = strstr(where, what))) {
        where += strlen(what);
        n++;
    }
    return n;
}

static QTestState *start_with(const char *opts, const char *more)
{
    return qtest_initf("-M q35 -device intel-iommu,%s -device svm,addr=4 %s",
                       opts, more);
}

static void save(const char *opts, const char *uri)
{
    QTestState *qts = start_with(opts, "");

    qvtd_svm_migrate_to(qts, uri);
    qtest_quit(qts);
}

/* In one sentence, and not by an end of QEMU that says nothing */
static void test_refused(const void *opaque)
{
    const Refusal *r = opaque;
    g_autofree char *path = qvtd_svm_temporary_path();
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    g_autofree char *log = g_strdup_printf("%s.log", path);
    g_autofree char *more = g_strdup_printf("-incoming defer 2>%s", log);
    g_autofree char *said = NULL;
    QTestState *to;

    save(r->source, uri);
    to = start_with(r->destination, more);
    qtest_qmp_assert_success(to, "{ 'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s,"
                             " 'exit-on-error': false } }", uri);
    qvtd_svm_await_migration(to, "failed", "completed");
    qtest_quit(to);
    g_assert(g_file_get_contents(log, &said, NULL, NULL));
    g_assert_cmpuint(count(said, r->says), ==, 1);
    g_assert_cmpint(unlink(log), ==, 0);
    g_assert_cmpint(unlink(path), ==, 0);
}

static const struct {
    const char *path;
    void (*fn)(void);
} tests[] = {
    { "/svm/caps/enables-STU-and-allocation-migrate", test_enables },
    { "/svm/caps/what-is-disabled-stays-so-in-a-migration", test_disabled },
    { "/svm/pri/Response-Failure-lasts-through-a-migration", test_failure },
    { "/svm/pri/a-migration-forgets-outstanding-groups", test_outstanding },
    { "/svm/pri/a-transfer-that-waits-goes-on-from-a-file", test_file },
    { "/svm/pri/a-transfer-that-waits-goes-on-over-a-socket", test_socket },
    { "/svm/pri/a-transfer-that-waits-goes-on-from-a-snapshot", test_snapshot },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(tests); i++) {
        qvtd_svm_add_migration(tests[i].path, tests[i].fn);
    }
    for (int i = 0; i < ARRAY_SIZE(refusals); i++) {
        qvtd_svm_add_data_migration(refusals[i].path, &refusals[i],
                                    test_refused);
    }
    return g_test_run();
}
