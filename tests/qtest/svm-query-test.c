/*
 * QTest testcase for SVM: what QMP x-query-pci-svm and HMP "info svm" say
 *
 * Each case makes something happen a known number of times, and compares every
 * counter.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "hw/pci/pci_regs.h"
#include "libqos/svm-testdev.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define OTHER_PASID 0x42
#define READ        SVM_TESTDEV_FLAG_READ
#define STOP_MARKER SVM_TESTDEV_FLAG_LAST

/*
 * The answer
 */

static const char *const counter_names[] = {
    "translation-requests", "translations", "holes", "translations-refused",
    "page-requests", "page-requests-refused", "page-requests-outstanding",
    "responses-success", "responses-invalid", "responses-failure",
    "responses-unexpected", "invalidations",
};

/* All functions that the answer has */
static QList *query_all(QTestState *qts, const char *arguments)
{
    QDict *answer = qtest_qmp(qts,
        "{ 'execute': 'x-query-pci-svm', 'arguments': %p }",
        qobject_from_json(arguments, &error_abort));
    QList *list;

    g_assert(qdict_haskey(answer, "return"));
    list = qobject_ref(qdict_get_qlist(answer, "return"));
    qobject_unref(answer);
    return list;
}

/* The only function that it has */
static QDict *query(QTestState *qts, const char *arguments)
{
    QList *list = query_all(qts, arguments);
    QDict *function = qobject_to(QDict, qlist_pop(list));

    g_assert_nonnull(function);
    g_assert(qlist_empty(list));
    qobject_unref(list);
    return function;
}

static QDict *query_testdev(QTestdev *t)
{
    return query(t->qts, "{ 'device': 'testdev' }");
}

/* The one that is there; a virtual function has no name that is known */
static QDict *query_at(QTestState *qts, uint16_t sid)
{
    QList *list = query_all(qts, "{}");
    QDict *function;

    while ((function = qobject_to(QDict, qlist_pop(list))) &&
           QPCI_DEVFN(qdict_get_int(function, "slot"),
                      qdict_get_int(function, "function")) != sid) {
        qobject_unref(function);
    }
    g_assert_nonnull(function);
    qobject_unref(list);
    return function;
}

/* What a function does with @pasid; -1 for what it does without one */
static QDict *find_pasid(QDict *function, int64_t pasid)
{
    const QListEntry *e;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(function, "pasids"), e) {
        QDict *p = qobject_to(QDict, qlist_entry_obj(e));

        if (qdict_get_try_int(p, "pasid", -1) == pasid) {
            return p;
        }
    }
    return NULL;
}

/* Pairs of name and value, ending in NULL; all other counters are 0 */
static void G_GNUC_NULL_TERMINATED expect(QDict *counters, ...)
{
    QDict *wanted = qdict_new();
    const char *name;
    va_list ap;

    va_start(ap, counters);
    while ((name = va_arg(ap, const char *))) {
        qdict_put_int(wanted, name, va_arg(ap, unsigned int));
    }
    va_end(ap);
    for (int i = 0; i < ARRAY_SIZE(counter_names); i++) {
        name = counter_names[i];
        if (qdict_get_int(counters, name) !=
            qdict_get_try_int(wanted, name, 0)) {
            g_error("%s: %" PRId64, name, qdict_get_int(counters, name));
        }
    }
    qobject_unref(wanted);
}

/* As expect(), of a function that has done nothing else, by one PASID */
#define expect_both(t, ...) do { \
    QDict *f_ = query_testdev(t); \
    expect(qdict_get_qdict(f_, "total"), __VA_ARGS__); \
    expect(find_pasid(f_, (t)->pasid == QVTD_NO_PASID ? -1 : (t)->pasid), \
           __VA_ARGS__); \
    qobject_unref(f_); \
} while (0)

static void start_listening(QTestdev *t, const char *opts)
{
    qtestdev_start(t, opts);
    qtestdev_listen(t, 0);
}

/*
 * Capabilities
 */

static void test_capabilities(void)
{
    QVTDSVM *f = qvtd_svm_start_with("", "id=one,x-atc-entries=100");
    QDict *d, *cap;

    qsvm_set_ats(&f->svm, false);
    qsvm_config_writew(&f->svm, f->svm.ats_cap + PCI_ATS_CTRL, 3);
    qsvm_set_pasid_enables(&f->svm, 0);
    d = query(f->qts, "{}");
    g_assert_cmpstr(qdict_get_str(d, "qdev-id"), ==, "one");
    g_assert_cmpstr(qdict_get_str(d, "qom-path"), ==,
                    "/machine/peripheral/one");
    g_assert_cmpstr(qdict_get_str(d, "type"), ==, "svm");
    g_assert_cmpint(qdict_get_int(d, "bus"), ==, 0);
    g_assert_cmpint(qdict_get_int(d, "slot"), ==, f->sid >> 3);
    g_assert_cmpint(qdict_get_int(d, "function"), ==, 0);
    g_assert(qdict_get_bool(d, "bus-master"));
    cap = qdict_get_qdict(d, "ats");
    g_assert(!qdict_get_bool(cap, "enabled"));
    g_assert_cmpint(qdict_get_int(cap, "stu"), ==, 32 * KiB);
    g_assert_cmpint(qdict_get_int(cap, "atc-entries-max"), ==, 100);
    cap = qdict_get_qdict(d, "pasid");
    g_assert(!qdict_get_bool(cap, "enabled"));
    g_assert_cmpint(qdict_get_int(cap, "width"), ==, 20);
    cap = qdict_get_qdict(d, "pri");
    g_assert(!qdict_get_bool(cap, "enabled"));
    g_assert_cmpint(qdict_get_int(cap, "allocation"), ==, 0);
    expect(qdict_get_qdict(d, "total"), NULL);
    g_assert_cmpint(qdict_get_int(d, "pasid-count"), ==, 0);
    qobject_unref(d);
    qvtd_svm_stop(f);
}

static void test_enables(void)
{
    QDict *d, *cap;
    QTestdev t;

    qtestdev_start(&t, ",pasid-width=9");
    d = query_testdev(&t);
    cap = qdict_get_qdict(d, "ats");
    g_assert(qdict_get_bool(cap, "enabled"));
    g_assert_cmpint(qdict_get_int(cap, "stu"), ==, PAGE);
    g_assert(!qdict_haskey(cap, "atc-entries-max"));
    cap = qdict_get_qdict(d, "pasid");
    g_assert(qdict_get_bool(cap, "enabled"));
    g_assert_cmpint(qdict_get_int(cap, "width"), ==, 9);
    g_assert(qdict_get_bool(cap, "execute"));
    g_assert(qdict_get_bool(cap, "privileged"));
    cap = qdict_get_qdict(d, "pri");
    g_assert(qdict_get_bool(cap, "enabled"));
    g_assert_cmpint(qdict_get_int(cap, "allocation"), ==,
                    QTESTDEV_PRI_ALLOCATION);
    qobject_unref(d);
    qtestdev_stop(&t);
}

/*
 * Translations
 */

static void test_translation(void)
{
    QTestdev t;

    start_listening(&t, "");
    qvtd_svm_map(t.f, IOVA, QVTD_FS_USER_RW);
    qvtd_svm_map(t.f, IOVA + 2 * PAGE, QVTD_FS_USER_RW);
    g_assert_cmpint(qtestdev_translate(&t, IOVA, 3 * PAGE, 0), ==, 3);
    expect_both(&t, "translation-requests", 1, "translations", 2, "holes", 1,
                NULL);

    /* As many as there is room for */
    qtestdev_set(&t, SVM_TESTDEV_ROOM, 1);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_TRANSLATE), ==, -ENOMEM);
    expect_both(&t, "translation-requests", 2, "translations", 3, "holes", 1,
                NULL);
    qtestdev_stop(&t);
}

static void test_translation_refused(void)
{
    QTestdev t;

    start_listening(&t, "");
    g_assert_cmpint(qtestdev_translate(&t, IOVA + 1, PAGE, 0), ==, -EINVAL);
    qtestdev_set_master(&t, false);
    g_assert_cmpint(qtestdev_translate(&t, IOVA, PAGE, 0), ==, -EPERM);
    expect_both(&t, "translations-refused", 2, NULL);
    qtestdev_stop(&t);
}

static void test_tables_refuse(void)
{
    QVTDFault fault;
    QTestdev t;

    start_listening(&t, "");
    qvtd_set_context(t.f->v, t.sid, QVTD_SVM_CONTEXT & ~QVTD_CE_DTE,
                     QVTD_SVM_PDTS, t.f->dir, 0);
    qvtd_inv_all(t.f->v);
    g_assert_cmpint(qtestdev_translate(&t, IOVA, PAGE, 0), ==, -EFAULT);
    g_assert(qvtd_pop_fault(t.f->v, &fault));
    g_assert_cmphex(fault.sid, ==, t.sid);
    expect_both(&t, "translations-refused", 1, NULL);
    qtestdev_stop(&t);
}

/* By turns for two PASIDs, for one that nobody listens to, and without one */
static void test_each_pasid(void)
{
    QDict *d;
    QTestdev t;

    qtestdev_start(&t, "");
    qvtd_svm_add_process(t.f, OTHER_PASID);
    for (int i = 0; i < 3; i++) {
        qtestdev_translate(&t, IOVA, PAGE, 0);
    }
    qtestdev_listen(&t, 0);
    t.pasid = OTHER_PASID;
    qtestdev_listen(&t, 1);
    qtestdev_translate(&t, IOVA, PAGE, 0);
    t.pasid = QVTD_NO_PASID;
    qtestdev_listen(&t, 2);
    qtestdev_set_master(&t, false);
    for (int i = 0; i < 2; i++) {
        qtestdev_translate(&t, IOVA, PAGE, 0);
    }

    d = query_testdev(&t);
    expect(qdict_get_qdict(d, "total"), "translation-requests", 4, "holes", 4,
           "translations-refused", 2, NULL);
    g_assert_cmpint(qdict_get_int(d, "pasid-count"), ==, 3);
    g_assert_cmpuint(qlist_size(qdict_get_qlist(d, "pasids")), ==, 3);
    expect(find_pasid(d, QVTD_SVM_PASID), NULL);
    expect(find_pasid(d, OTHER_PASID), "translation-requests", 1, "holes", 1,
           NULL);
    expect(find_pasid(d, -1), "translations-refused", 2, NULL);
    qobject_unref(d);
    qtestdev_stop(&t);
}

/* The PASID is forgotten with its last notifier, what it did is not */
static void test_past(void)
{
    QDict *d;
    QTestdev t;

    start_listening(&t, "");
    qtestdev_translate(&t, IOVA, PAGE, 0);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_UNREGISTER_IOTLB), ==, 0);
    expect_both(&t, "translation-requests", 1, "holes", 1, NULL);
    for (int i = 0; i < 3; i++) {
        qtestdev_call(&t, i & 1 ? SVM_TESTDEV_REGISTER_PRI
                                : SVM_TESTDEV_UNREGISTER_PRI);
        d = query_testdev(&t);
        expect(qdict_get_qdict(d, "total"), "translation-requests", i + 1,
               "holes", i + 1, NULL);
        g_assert_cmpint(qdict_get_int(d, "pasid-count"), ==, i & 1);
        qobject_unref(d);
        qtestdev_translate(&t, IOVA, PAGE, 0);
    }
    qtestdev_stop(&t);
}

static void test_reset(void)
{
    QTestdev t;

    start_listening(&t, "");
    qtestdev_translate(&t, IOVA, PAGE, 0);
    g_assert_cmpint(qtestdev_request(&t, 0, true), ==, 0);
    qtestdev_pop(&t);
    qtestdev_function_reset(&t);
    expect_both(&t, "translation-requests", 1, "holes", 1, "page-requests", 1,
                NULL);
    qtestdev_stop(&t);
}

/* Each function has its own; a virtual one says what its physical one has */
static void test_virtual_function(void)
{
    QDict *d, *total;
    QTestdev pf, vf;

    qtestdev_start(&pf, ",vfs=1");
    qtestdev_enable_vfs(&pf, &vf, 1);
    qtestdev_listen(&vf, 0);
    qtestdev_translate(&vf, IOVA, PAGE, 0);
    g_assert_cmpint(qtestdev_request(&vf, 0, true), ==, 0);
    qtestdev_pop(&vf);

    d = query_testdev(&pf);
    expect(qdict_get_qdict(d, "total"), NULL);
    qobject_unref(d);
    d = query_at(pf.qts, QTESTDEV_VF_SID);
    total = qdict_get_qdict(d, "total");
    expect(total, "translation-requests", 1, "holes", 1, "page-requests", 1,
           "page-requests-outstanding", 1, NULL);
    g_assert_cmpint(qdict_get_int(qdict_get_qdict(d, "pri"), "allocation"), ==,
                    QTESTDEV_PRI_ALLOCATION);
    qobject_unref(d);
    qtestdev_respond(&vf, vf.pasid, 0, QVTD_SVM_SUCCESS);
    qtestdev_stop(&pf);
}

/*
 * Page requests
 */

/* Sends groups of one, two, ... requests; returns how many requests */
static unsigned int send_groups(QTestdev *t, unsigned int groups)
{
    unsigned int sent = 0;

    for (int group = 0; group < groups; group++) {
        for (int i = 0; i <= group; i++) {
            g_assert_cmpint(qtestdev_request(t, group, i == group), ==, 0);
            qtestdev_pop(t);
            sent++;
        }
    }
    return sent;
}

static void test_page_requests(void)
{
    QTestdev t;

    start_listening(&t, "");
    g_assert_cmpuint(send_groups(&t, 3), ==, 6);
    expect_both(&t, "page-requests", 6, "page-requests-outstanding", 6, NULL);
    qtestdev_respond(&t, t.pasid, 1, QVTD_SVM_SUCCESS);
    expect_both(&t, "page-requests", 6, "page-requests-outstanding", 4,
                "responses-success", 1, NULL);
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_INVALID);
    expect_both(&t, "page-requests", 6, "page-requests-outstanding", 3,
                "responses-success", 1, "responses-invalid", 1, NULL);
    qtestdev_respond(&t, t.pasid, 7, QVTD_SVM_SUCCESS);
    expect_both(&t, "page-requests", 6, "page-requests-outstanding", 3,
                "responses-success", 1, "responses-invalid", 1,
                "responses-unexpected", 1, NULL);
    qtestdev_respond(&t, t.pasid, 2, QVTD_SVM_FAILURE);
    expect_both(&t, "page-requests", 6, "responses-success", 1,
                "responses-invalid", 1, "responses-unexpected", 1,
                "responses-failure", 1, NULL);
    qtestdev_stop(&t);
}

static void test_page_requests_of_each_pasid(void)
{
    QDict *d;
    QTestdev t;

    start_listening(&t, "");
    send_groups(&t, 1);
    qvtd_svm_add_process(t.f, OTHER_PASID);
    t.pasid = OTHER_PASID;
    qtestdev_listen(&t, 1);
    send_groups(&t, 2);
    d = query_testdev(&t);
    expect(qdict_get_qdict(d, "total"), "page-requests", 4,
           "page-requests-outstanding", 4, NULL);
    expect(find_pasid(d, QVTD_SVM_PASID), "page-requests", 1,
           "page-requests-outstanding", 1, NULL);
    expect(find_pasid(d, OTHER_PASID), "page-requests", 3,
           "page-requests-outstanding", 3, NULL);
    qobject_unref(d);
    qtestdev_stop(&t);
}

static void test_page_request_refused(void)
{
    QTestdev t;

    start_listening(&t, "");
    qtestdev_enable_pri(&t, 1);
    g_assert_cmpint(qtestdev_request(&t, 0, true), ==, 0);
    qtestdev_pop(&t);
    g_assert_cmpint(qtestdev_request(&t, 1, true), ==, -EBUSY);
    qtestdev_set_master(&t, false);
    g_assert_cmpint(qtestdev_request(&t, 1, true), ==, -EPERM);
    expect_both(&t, "page-requests", 1, "page-requests-outstanding", 1,
                "page-requests-refused", 2, NULL);
    qtestdev_stop(&t);
}

/* 10.4.1.2.1: it is owed no response */
static void test_stop_marker(void)
{
    QTestdev t;

    start_listening(&t, "");
    qtestdev_prepare_sample(&t, 0);
    qtestdev_set(&t, SVM_TESTDEV_FLAGS, STOP_MARKER);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_REQUEST_PAGE), ==, 0);
    qtestdev_pop(&t);
    expect_both(&t, NULL);
    qtestdev_stop(&t);
}

/*
 * Invalidations
 */

static void test_invalidations(void)
{
    QTestdev t;

    start_listening(&t, "");
    qvtd_inv(t.f->v, qvtd_dev_piotlb_desc(t.sid, t.pasid, IOVA, false, false));
    qvtd_inv(t.f->v, qvtd_dev_piotlb_desc(t.sid, OTHER_PASID, IOVA, false,
                                          false));
    expect_both(&t, "invalidations", 1, NULL);

    /* Once more for a second notifier */
    qtestdev_set(&t, SVM_TESTDEV_SLOT, 1);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_REGISTER_IOTLB), ==, 0);
    qvtd_inv(t.f->v, qvtd_dev_piotlb_desc(t.sid, t.pasid, IOVA, false, false));
    expect_both(&t, "invalidations", 3, NULL);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_INV_COUNT), ==, 1);
    qtestdev_stop(&t);
}

/*
 * The cache
 */

typedef struct Cache {
    int64_t hits;
    int64_t misses;
    int64_t revoked;
    int64_t entries;
} Cache;

/* Returns the memory that the cache takes, of the PASID and in all */
static int64_t expect_cache(QDict *counters, const Cache *wanted)
{
    QDict *atc = qdict_get_qdict(counters, "atc");

    g_assert_cmpint(qdict_get_int(atc, "hits"), ==, wanted->hits);
    g_assert_cmpint(qdict_get_int(atc, "misses"), ==, wanted->misses);
    g_assert_cmpint(qdict_get_int(atc, "revoked"), ==, wanted->revoked);
    g_assert_cmpint(qdict_get_int(atc, "entries"), ==, wanted->entries);
    return qdict_get_int(atc, "bytes");
}

static void expect_caches(QVTDSVM *f, const Cache *wanted)
{
    QDict *d = query(f->qts, "{}");
    int64_t all, own;

    all = expect_cache(qdict_get_qdict(d, "total"), wanted);
    own = expect_cache(find_pasid(d, QVTD_SVM_PASID), wanted);
    g_assert_cmpint(all, >, own);
    /* An entry has two addresses, and takes no more than some of them */
    g_assert_cmpint(own, >=, wanted->entries * 16);
    g_assert_cmpint(own, <=, wanted->entries ? wanted->entries * 256 + KiB : 0);
    qobject_unref(d);
}

static void test_cache(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    QDict *d;

    qvtd_svm_map(f, IOVA + PAGE, QVTD_FS_USER_RW);
    g_assert(qsvm_write(&f->svm, IOVA, 2 * PAGE));
    expect_caches(f, &(Cache) { .hits = 1, .misses = 1, .entries = 2 });
    g_assert(qsvm_write(&f->svm, IOVA, 1));
    expect_caches(f, &(Cache) { .hits = 2, .misses = 1, .entries = 2 });
    qvtd_inv(f->v, qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID, IOVA, false,
                                        false));
    expect_caches(f, &(Cache) { .hits = 2, .misses = 1, .entries = 1,
                                .revoked = 1 });
    qvtd_inv(f->v, qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID,
                                        QVTD_DEV_TLB_ALL, true, false));
    expect_caches(f, &(Cache) { .hits = 2, .misses = 1, .revoked = 2 });
    g_assert(qvtd_svm_is_written(f, page, 1, 0));

    /* The rest of what the device has done, counted below it */
    d = query(f->qts, "{}");
    expect(qdict_get_qdict(d, "total"), "translation-requests", 1,
           "translations", 2, "invalidations", 2, NULL);
    qobject_unref(d);
    qvtd_svm_stop(f);
}

/*
 * The question
 */

static void listen_many(QTestdev *t, unsigned int pasids)
{
    for (int i = 0; i < pasids; i++) {
        t->pasid = pasids - i;
        qtestdev_listen(t, i);
    }
}

/* The lowest ones, in order; the sums are complete */
static void test_limit(void)
{
    const QListEntry *e;
    int wanted = 1;
    QTestdev t;
    QDict *d;

    qtestdev_start(&t, "");
    listen_many(&t, SVM_TESTDEV_SLOTS);
    qtestdev_set_master(&t, false);
    for (int i = 1; i <= SVM_TESTDEV_SLOTS; i++) {
        t.pasid = i;
        qtestdev_translate(&t, IOVA, PAGE, 0);
    }
    d = query(t.qts, "{ 'device': 'testdev', 'limit': 3 }");
    g_assert_cmpint(qdict_get_int(d, "pasid-count"), ==, SVM_TESTDEV_SLOTS);
    g_assert_cmpuint(qlist_size(qdict_get_qlist(d, "pasids")), ==, 3);
    QLIST_FOREACH_ENTRY(qdict_get_qlist(d, "pasids"), e) {
        QDict *p = qobject_to(QDict, qlist_entry_obj(e));

        g_assert_cmpint(qdict_get_int(p, "pasid"), ==, wanted++);
        expect(p, "translations-refused", 1, NULL);
    }
    expect(qdict_get_qdict(d, "total"), "translations-refused",
           SVM_TESTDEV_SLOTS, NULL);
    qobject_unref(d);
    d = query(t.qts, "{ 'device': 'testdev', 'limit': 0 }");
    g_assert(qlist_empty(qdict_get_qlist(d, "pasids")));
    qobject_unref(d);
    qtestdev_stop(&t);
}

static void test_one_pasid(void)
{
    QTestdev t;
    QDict *d;

    qtestdev_start(&t, "");
    listen_many(&t, 3);
    d = query(t.qts, "{ 'device': 'testdev', 'pasid': 2 }");
    g_assert_cmpint(qdict_get_int(d, "pasid-count"), ==, 3);
    g_assert_cmpuint(qlist_size(qdict_get_qlist(d, "pasids")), ==, 1);
    g_assert_nonnull(find_pasid(d, 2));
    qobject_unref(d);
    qtestdev_stop(&t);
}

/* Behind a bridge too; but not the bridge, nor what else the machine has */
static void test_all_functions(void)
{
    QList *list;
    QTestdev t;
    QDict *d;

    qtestdev_start_behind(&t, "pcie-root-port", 0, "");
    list = query_all(t.qts, "{}");
    g_assert_cmpuint(qlist_size(list), ==, 2);
    d = qobject_to(QDict, qlist_pop(list));
    g_assert_cmpstr(qdict_get_str(d, "type"), ==, "svm");
    g_assert(!qdict_haskey(d, "qdev-id"));
    qobject_unref(d);
    d = qobject_to(QDict, qlist_pop(list));
    g_assert_cmpstr(qdict_get_str(d, "type"), ==, "svm-testdev");
    g_assert_cmpint(qdict_get_int(d, "bus"), ==, QTESTDEV_BRIDGE_BUS);
    qobject_unref(d);
    qobject_unref(list);
    qtestdev_stop(&t);
}

/* Its bus is a child of another one, and has a host bridge of its own */
static void test_expander(void)
{
    QVTDSVM *f = qvtd_svm_start_machine("", "-device svm,addr=5 "
        "-device pxb-pcie,id=pxb,bus_nr=16 "
        "-device pcie-root-port,id=rp,bus=pxb,chassis=1 "
        "-device svm,id=below,bus=rp");
    QList *list = query_all(f->qts, "{}");

    g_assert_cmpuint(qlist_size(list), ==, 2);
    qobject_unref(list);
    qvtd_svm_attach(f, QPCI_DEVFN(5, 0));
    qvtd_svm_stop(f);
}

static void test_no_function(void)
{
    QVTDSVM *f = qvtd_svm_start();
    QDict *answer = qtest_qmp_assert_failure_ref(f->qts,
        "{ 'execute': 'x-query-pci-svm',"
        "  'arguments': { 'device': '/machine' } }");

    g_assert_cmpstr(qdict_get_str(answer, "class"), ==, "DeviceNotFound");
    qobject_unref(answer);
    qvtd_svm_stop(f);
}

static void test_hmp(void)
{
    g_autofree char *all = NULL, *one = NULL, *none = NULL;
    QTestdev t;

    start_listening(&t, "");
    qvtd_svm_add_process(t.f, OTHER_PASID);
    t.pasid = OTHER_PASID;
    qtestdev_listen(&t, 1);
    qtestdev_translate(&t, IOVA, PAGE, 0);
    all = qtest_hmp(t.qts, "info svm");
    g_assert_nonnull(strstr(all, "svm 00:04.0 /machine/peripheral-anon/"));
    g_assert_nonnull(strstr(all, "ATC: 0 hits, 0 misses"));
    one = qtest_hmp(t.qts, "info svm testdev 1");
    g_assert(g_str_has_prefix(one, "svm-testdev 00:06.0 testdev\r\n"
                                   "  bus master on\r\n  ATS on"));
    g_assert_nonnull(strstr(one, "PASID 0x42\r\n    translations: "
                                 "1 requests, 0 granted, 1 holes, 0 refused"));
    g_assert_nonnull(strstr(one, "and 1 more PASIDs"));
    none = qtest_hmp(t.qts, "info svm nothing");
    g_assert_cmpstr(none, ==, "Error: PCI function 'nothing' not found\r\n");
    qtestdev_stop(&t);
}

typedef struct Case {
    const char *path;
    void (*fn)(void);
} Case;

static const Case cases[] = {
    { "/svm/query/capabilities-that-are-off", test_capabilities },
    { "/svm/query/capabilities-that-are-on", test_enables },
    { "/svm/query/translations-and-holes-are-counted", test_translation },
    { "/svm/query/translations-that-are-refused-are-counted",
      test_translation_refused },
    { "/svm/query/translations-that-the-tables-refuse-are-counted",
      test_tables_refuse },
    { "/svm/query/each-PASID-has-its-counters", test_each_pasid },
    { "/svm/query/the-sum-outlives-the-PASID", test_past },
    { "/svm/query/a-reset-leaves-the-counters-alone", test_reset },
    { "/svm/query/a-virtual-function-has-its-counters",
      test_virtual_function },
    { "/svm/query/page-requests-and-answers-are-counted",
      test_page_requests },
    { "/svm/query/each-PASID-has-its-page-requests",
      test_page_requests_of_each_pasid },
    { "/svm/query/page-requests-that-are-refused-are-counted",
      test_page_request_refused },
    { "/svm/query/a-Stop-Marker-is-not-counted", test_stop_marker },
    { "/svm/query/invalidations-are-counted", test_invalidations },
    { "/svm/query/what-the-cache-holds-and-does", test_cache },
    { "/svm/query/the-list-of-PASIDs-has-a-limit", test_limit },
    { "/svm/query/one-PASID-alone", test_one_pasid },
    { "/svm/query/all-functions", test_all_functions },
    { "/svm/query/each-function-once", test_expander },
    { "/svm/query/no-such-function", test_no_function },
    { "/svm/query/info-svm-says-the-same", test_hmp },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        qtest_add_func(cases[i].path, cases[i].fn);
    }
    return g_test_run();
}
