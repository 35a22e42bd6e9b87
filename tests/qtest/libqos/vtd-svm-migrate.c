/*
 * Migration of a machine with VT-d and the endpoint: from one QEMU to another
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "svm.h"
#include "vtd-svm-migrate.h"

#ifdef CONFIG_TSAN
static void skip_migration(const void *opaque)
{
    g_test_skip("ThreadSanitizer loses the BQL where a migration is loaded");
}
#endif

void qvtd_svm_add_data_migration(const char *path, const void *data,
                                 void (*fn)(const void *))
{
#ifdef CONFIG_TSAN
    fn = skip_migration;
#endif
    qtest_add_data_func(path, data, fn);
}

static void call_migration(const void *opaque)
{
    void (*fn)(void) = opaque;

    fn();
}

void qvtd_svm_add_migration(const char *path, void (*fn)(void))
{
    qvtd_svm_add_data_migration(path, fn, call_migration);
}

char *qvtd_svm_temporary_path(void)
{
    return g_strdup_printf("%s/svm-migrate-%d.qtest", g_get_tmp_dir(),
                           getpid());
}

static bool migration_is(QTestState *qts, const char *status,
                         const char *never)
{
    QDict *info = qtest_qmp_assert_success_ref(qts,
                                               "{ 'execute':"
                                               " 'query-migrate' }");
    const char *now = qdict_get_try_str(info, "status");
    bool is = !g_strcmp0(now, status);

    g_assert_cmpstr(now, !=, never);
    qobject_unref(info);
    return is;
}

void qvtd_svm_await_migration(QTestState *qts, const char *status,
                              const char *never)
{
    int64_t start = g_get_monotonic_time();

    while (!migration_is(qts, status, never)) {
        g_assert_cmpint(g_get_monotonic_time() - start, <, QSVM_TIMEOUT_US);
        g_usleep(1000);
    }
}

void qvtd_svm_migrate_to(QTestState *qts, const char *uri)
{
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate', 'arguments': {"
                             " 'uri': %s } }", uri);
    qvtd_svm_await_migration(qts, "completed", "failed");
}

static QVTDSVM *start_destination(const char *devices)
{
    g_autofree char *opts = g_strdup_printf("%s -incoming defer", devices);

    return qvtd_svm_start_machine("", opts);
}

static void migrate_from(QVTDSVM *to, const char *uri)
{
    qtest_qmp_assert_success(to->qts, "{ 'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s } }", uri);
}

/* @to goes on where @f was, which ends. */
static void take_over(QVTDSVM *to, QVTDSVM *f)
{
    qtest_qmp_eventwait(to->qts, "RESUME");
    to->sid = f->sid;
    to->dir = f->dir;
    to->table = f->table;
    to->v = g_memdup2(f->v, sizeof(*f->v));
    to->v->qts = to->qts;
    to->svm = f->svm;
    to->svm.dev = qpci_device_find(to->bus, to->sid);
    qvtd_svm_stop(f);
}

QVTDSVM *qvtd_svm_migrate(QVTDSVM *f, const char *devices)
{
    g_autofree char *path = qvtd_svm_temporary_path();
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    QVTDSVM *to;

    qvtd_svm_migrate_to(f->qts, uri);
    to = start_destination(devices);
    migrate_from(to, uri);
    take_over(to, f);
    g_assert_cmpint(unlink(path), ==, 0);
    return to;
}

QVTDSVM *qvtd_svm_migrate_live(QVTDSVM *f, const char *devices)
{
    g_autofree char *path = qvtd_svm_temporary_path();
    g_autofree char *uri = g_strdup_printf("unix:%s", path);
    QVTDSVM *to = start_destination(devices);

    migrate_from(to, uri);
    qvtd_svm_migrate_to(f->qts, uri);
    take_over(to, f);
    unlink(path);
    return to;
}
