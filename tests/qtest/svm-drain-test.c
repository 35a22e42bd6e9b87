/*
 * QTest testcase for SVM: what the guest does while another thread serves a
 * request
 *
 * A request is held in its middle by QEMU's log, a pipe that is full: a request
 * that faults, or yields a result, writes a line to it. VT-d rev 4.1, 6.5.2.8,
 * 7.10 and 11.4.4.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/misc/svm.h"
#include "libqos/vtd-svm.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define NO_PROCESS  0x42
#define DONE        0x600d

/* In legacy mode it would be an address width of 81 bits */
#define RID_PASID   7

/* The pages before and behind the interrupt addresses: two walks */
#define BEFORE      0xfedff000ULL
#define BEHIND      0xfef00000ULL

/* Longer than a wait takes that waits for nothing */
#define HOLD_US     (500 * 1000)

typedef struct Log {
    char *dir;
    char *path;
    int fd;
    bool open;              /* has been emptied; atomic */
} Log;

static void log_init(Log *log)
{
    log->dir = g_dir_make_tmp("svm-drain-test-XXXXXX", NULL);
    log->path = g_build_filename(log->dir, "log", NULL);
    g_assert_cmpint(mkfifo(log->path, 0600), ==, 0);
    log->fd = open(log->path, O_RDWR | O_NONBLOCK);
    g_assert_cmpint(log->fd, >=, 0);
    log->open = false;
}

static void log_fini(Log *log)
{
    close(log->fd);
    g_assert_cmpint(unlink(log->path), ==, 0);
    g_assert_cmpint(rmdir(log->dir), ==, 0);
    g_free(log->path);
    g_free(log->dir);
}

static void log_fill(Log *log)
{
    while (write(log->fd, "", 1) == 1) {
        ;
    }
    g_assert_cmpint(errno, ==, EAGAIN);
}

static void *log_empty(void *opaque)
{
    Log *log = opaque;
    char buf[PAGE];

    g_usleep(HOLD_US);
    qatomic_set(&log->open, true);
    while (read(log->fd, buf, sizeof(buf)) > 0) {
        ;
    }
    return NULL;
}

/* Whether QEMU's log has trace events; else nothing can hold a request */
static bool can_hold(void)
{
#ifdef CONFIG_TRACE_LOG
    return true;
#else
    g_test_skip("QEMU was built without the log trace backend");
    return false;
#endif
}

/* Returns NULL when the test is skipped. */
static QVTDSVM *start(Log *log, const char *event)
{
    g_autofree char *opts = NULL;
    QVTDSVM *f;

    if (!can_hold()) {
        return NULL;
    }
    log_init(log);
    opts = g_strdup_printf("-device svm,addr=4 -D %s -trace enable=%s",
                           log->path, event);
    f = qvtd_svm_start_machine("", opts);
    qvtd_svm_attach(f, QPCI_DEVFN(4, 0));
    qvtd_enable_prq(f->v, 0);
    qsvm_enable_pri(&f->svm, 1);
    return f;
}

/* The device's thread has recorded the fault, and its request has not ended */
static void hold_request(QVTDSVM *f, Log *log)
{
    int64_t began = g_get_monotonic_time();

    log_fill(log);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    while (!(qvtd_readl(f->v, DMAR_FSTS_REG) & VTD_FSTS_PPF)) {
        qsvm_step(&f->svm, began);
    }
}

static void expect_drain(QVTDSVM *f, Log *log, unsigned int reason)
{
    uint64_t done = qvtd_alloc_page(f->v);
    QVTDFault fault;
    GThread *thread;

    hold_request(f, log);
    thread = g_thread_new("log", log_empty, log);
    g_assert(qvtd_iq_submit(f->v, qvtd_wait_desc(QVTD_WAIT_SW | QVTD_WAIT_PD,
                                                 DONE, done)));
    g_assert(qatomic_read(&log->open));
    g_assert_cmphex(qtest_readl(f->qts, done), ==, DONE);
    g_thread_join(thread);
    g_assert(!qsvm_wait(&f->svm));
    g_assert(qvtd_pop_fault(f->v, &fault));
    g_assert_cmphex(fault.reason, ==, reason);
    qvtd_svm_stop(f);
    log_fini(log);
}

static void test_translation_request(void)
{
    Log log;
    QVTDSVM *f = start(&log, "vtd_request_fault");

    if (!f) {
        return;
    }
    qsvm_set_pasid(&f->svm, NO_PROCESS);
    expect_drain(f, &log, VTD_FR_PASID_DIR_ENTRY_P);
}

static void test_page_request(void)
{
    Log log;
    QVTDSVM *f = start(&log, "vtd_request_fault");

    if (!f) {
        return;
    }
    qvtd_svm_set_context(f, QVTD_SVM_CONTEXT & ~QVTD_CE_PRE);
    expect_drain(f, &log, VTD_FR_SM_PRE_DISABLED);
}

/* 11.4.4.1, TE: the tables are the guest's again when the status says so */
static void test_disable(void)
{
    GThread *thread;
    QVTDFault fault;
    Log log;
    QVTDSVM *f = start(&log, "vtd_request_fault");

    if (!f) {
        return;
    }
    qsvm_set_pasid(&f->svm, NO_PROCESS);
    hold_request(f, &log);
    thread = g_thread_new("log", log_empty, &log);
    qvtd_set_translation(f->v, false);
    g_assert(qatomic_read(&log.open));
    g_thread_join(thread);
    g_assert(!qsvm_wait(&f->svm));
    g_assert(qvtd_pop_fault(f->v, &fault));
    qvtd_svm_stop(f);
    log_fini(&log);
}

/* The request is in its first walk, or behind it */
static void hold_walk(QVTDSVM *f, Log *log, uint64_t table)
{
    int64_t began = g_get_monotonic_time();

    log_fill(log);
    qsvm_start_write(&f->svm, BEFORE, BEHIND + PAGE - BEFORE);
    while (!(qvtd_pte(f->v, table, BEFORE, 1) & QVTD_FS_A)) {
        qsvm_step(&f->svm, began);
    }
}

/* Whatever the root table becomes, the entries are what they were read as */
static void test_change_of_mode(void)
{
    GThread *thread;
    QVTDFault fault;
    uint64_t table;
    QVTDSVM *f;
    Log log;

    f = start(&log, "vtd_ats_result");
    if (!f) {
        return;
    }
    table = qvtd_svm_add_process(f, RID_PASID);
    qvtd_fs_map(f->v, table, BEFORE, qvtd_alloc_page(f->v), 1, QVTD_FS_USER_RW);
    qvtd_fs_map(f->v, table, BEHIND, qvtd_alloc_page(f->v), 1, QVTD_FS_USER_RW);
    qvtd_set_context(f->v, f->sid, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS, f->dir,
                     RID_PASID);
    qvtd_inv_all(f->v);
    qsvm_set_pasid(&f->svm, SVM_PASID_NONE);
    qsvm_disable_pri(&f->svm);

    hold_walk(f, &log, table);
    f->v->scalable = false;
    qvtd_set_root(f->v);
    thread = g_thread_new("log", log_empty, &log);
    g_thread_join(thread);
    /* The root table of this mode refuses what comes after the results */
    g_assert(!qsvm_wait(&f->svm));
    g_assert(qvtd_pop_fault(f->v, &fault));
    g_assert_cmphex(fault.at, ==, 2);
    g_assert_cmphex(qvtd_pte(f->v, table, BEHIND, 1) & QVTD_FS_A, ==,
                    QVTD_FS_A);
    f->v->scalable = true;
    qvtd_set_root(f->v);
    qvtd_svm_stop(f);
    log_fini(&log);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svm/inv/a-wait-is-for-translation-requests-too",
                   test_translation_request);
    qtest_add_func("/svm/prq/a-drain-waits-for-page-requests",
                   test_page_request);
    qtest_add_func("/svm/ats/disabling-translation-waits-for-requests",
                   test_disable);
    qtest_add_func("/svm/ats/a-request-keeps-the-mode-of-its-entries",
                   test_change_of_mode);
    return g_test_run();
}
