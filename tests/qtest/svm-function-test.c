/*
 * QTest testcase for SVM: what a function's capabilities and state let it
 * do, call by call
 *
 * PCIe r6.0, 5.3.1.4, 6.20, 7.8.9, 10.2 and 10.5.1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/svm-testdev.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL

#define PASID_CTRL  (SVM_TESTDEV_CAP_PASID + PCI_PASID_CTRL)
#define ATS_CTRL    (SVM_TESTDEV_CAP_ATS + PCI_ATS_CTRL)
#define PRI_CTRL    (SVM_TESTDEV_CAP_PRI + PCI_PRI_CTRL)
#define PRI_ALLOC   (SVM_TESTDEV_CAP_PRI + PCI_PRI_ALLOC_REQ)

#define PRIV        SVM_TESTDEV_FLAG_PRIV
#define EXEC        SVM_TESTDEV_FLAG_EXEC

/*
 * PASID
 */

typedef struct Width {
    const char *path;
    unsigned int bits;
} Width;

static const Width widths[] = {
    { "/svm/pasid/a-width-of-0-bits-permits-one-PASID", 0 },
    { "/svm/pasid/a-width-of-1-bit-is-enforced-in-every-call", 1 },
    { "/svm/pasid/a-width-of-8-bits-is-enforced-in-every-call", 8 },
    { "/svm/pasid/a-width-of-16-bits-is-enforced-in-every-call", 16 },
    { "/svm/pasid/a-width-of-19-bits-is-enforced-in-every-call", 19 },
    { "/svm/pasid/a-width-of-20-bits-is-enforced-in-every-call", 20 },
};

static int64_t send_stop_marker(QTestdev *t)
{
    qtestdev_prepare_sample(t, 0);
    qtestdev_set(t, SVM_TESTDEV_FLAGS, SVM_TESTDEV_FLAG_LAST);
    return qtestdev_call(t, SVM_TESTDEV_REQUEST_PAGE);
}

/* 7.8.9.2: PASIDs from 0 to 2^width - 1 */
static void test_width(const void *data)
{
    const Width *w = data;
    g_autofree char *opts = g_strdup_printf(",pasid-width=%u", w->bits);
    uint32_t beyond = 1u << w->bits;
    QTestdev t;

    qtestdev_start(&t, opts);
    g_assert_cmpuint(qtestdev_readw(&t, SVM_TESTDEV_CAP_PASID +
                                        PCI_PASID_CAP) >> 8, ==, w->bits);
    qvtd_svm_add_process(t.f, 0);
    qvtd_svm_add_process(t.f, beyond - 1);
    t.pasid = 0;
    qtestdev_expect_success(&t, 0);
    t.pasid = beyond - 1;
    qtestdev_expect_success(&t, 0);

    t.pasid = beyond;
    qtestdev_expect_refusal(&t, 0, -EINVAL);
    /* It needs no notifier, which there cannot be */
    g_assert_cmpint(send_stop_marker(&t), ==, -EINVAL);
    t.pasid = QVTD_NO_PASID - 1;
    qtestdev_expect_refusal(&t, 0, -EINVAL);
    qtestdev_pop_none(&t);
    qtestdev_stop(&t);
}

static void test_width_of_21(void)
{
    g_autofree char *errors = qvtd_svm_refusal("svm-testdev,pasid-width=21");

    g_assert(strstr(errors, "pasid-width must be 0 to 20"));
}

typedef struct Permissions {
    const char *path;
    const char *opts;
    uint16_t writable;
} Permissions;

static const Permissions permissions[] = {
    { "/svm/pasid/permission-enables-are-writable-if-both-are-supported",
      ",exec=on,priv=on", PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_EXEC |
                          PCI_PASID_CTRL_PRIV },
    { "/svm/pasid/Privileged-Mode-Enable-is-read-only-if-not-supported",
      ",exec=on,priv=off", PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_EXEC },
    { "/svm/pasid/Execute-Permission-Enable-is-read-only-if-not-supported",
      ",exec=off,priv=on", PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_PRIV },
    { "/svm/pasid/permission-enables-are-read-only-if-none-is-supported",
      ",exec=off,priv=off", PCI_PASID_CTRL_ENABLE },
};

static void check_permission(QTestdev *t, unsigned int flags, bool granted)
{
    const unsigned int calls[] = { SVM_TESTDEV_TRANSLATE,
                                   SVM_TESTDEV_TRANSLATE_PART };

    for (int i = 0; i < ARRAY_SIZE(calls); i++) {
        g_assert_cmpint(qtestdev_call_sample(t, calls[i], flags), ==,
                        granted ? 1 : -EPERM);
    }
    g_assert_cmpint(qtestdev_call_sample(t, SVM_TESTDEV_REQUEST_PAGE, flags),
                    ==, granted ? 0 : -EPERM);
    if (granted) {
        QVTDPageReq req = qtestdev_pop(t);

        g_assert(req.exec == !!(flags & EXEC));
        g_assert(req.priv == !!(flags & PRIV));
        qtestdev_respond(t, t->pasid, 0, QVTD_SVM_SUCCESS);
    }
    qtestdev_pop_none(t);
}

/* 7.8.9.3, and 6.20.2: what is disabled is not requested */
static void test_permissions(const void *data)
{
    const Permissions *p = data;
    QTestdev t;

    qtestdev_start(&t, p->opts);
    qvtd_svm_set_entry(t.f, QVTD_PE_SRE | QVTD_PE_ERE);
    qtestdev_listen(&t, 0);
    qtestdev_writew(&t, PASID_CTRL, 0xffff);
    g_assert_cmphex(qtestdev_readw(&t, PASID_CTRL), ==, p->writable);
    check_permission(&t, PRIV, p->writable & PCI_PASID_CTRL_PRIV);
    check_permission(&t, EXEC, p->writable & PCI_PASID_CTRL_EXEC);
    check_permission(&t, 0, true);

    qtestdev_writew(&t, PASID_CTRL, PCI_PASID_CTRL_ENABLE);
    check_permission(&t, PRIV, false);
    check_permission(&t, EXEC, false);
    check_permission(&t, 0, true);
    qtestdev_stop(&t);
}

static void test_permission_needs_pasid(void)
{
    QTestdev t;

    qtestdev_start(&t, "");
    t.pasid = QVTD_NO_PASID;
    qtestdev_listen(&t, 0);
    for (unsigned int flag = PRIV; flag <= EXEC; flag++) {
        g_assert_cmpint(qtestdev_call_sample(&t, SVM_TESTDEV_TRANSLATE, flag),
                        ==, -EINVAL);
        g_assert_cmpint(qtestdev_call_sample(&t, SVM_TESTDEV_REQUEST_PAGE,
                                             flag), ==, -EINVAL);
    }
    qtestdev_pop_none(&t);
    qtestdev_stop(&t);
}

typedef struct Disabled {
    const char *path;
    const char *opts;
    uint16_t reg;
    uint16_t val;
    bool without_pasid;         /* works then */
} Disabled;

static const Disabled pasid_disabled[] = {
    { "/svm/pasid/PASID-Enable-is-needed-by-every-call", "", PASID_CTRL,
      PCI_PASID_CTRL_EXEC | PCI_PASID_CTRL_PRIV },
    { "/svm/pasid/a-function-without-the-capability-has-no-PASID",
      ",pasid=off", PASID_CTRL, PCI_PASID_CTRL_ENABLE },
};

static void test_pasid_disabled(const void *data)
{
    const Disabled *d = data;
    QTestdev t;

    qtestdev_start(&t, d->opts);
    qtestdev_writew(&t, d->reg, d->val);
    qtestdev_expect_refusal(&t, 0, -EPERM);
    g_assert_cmpint(send_stop_marker(&t), ==, -EPERM);

    t.pasid = QVTD_NO_PASID;
    qvtd_svm_add_process(t.f, 0);
    qtestdev_expect_success(&t, 0);
    qtestdev_stop(&t);
}

/*
 * ATS
 */

static const Disabled ats_disabled[] = {
    { "/svm/ats/ATS-Enable-is-needed-by-every-translation-request", "",
      ATS_CTRL, 0 },
    { "/svm/ats/a-function-without-the-capability-sends-no-request",
      ",ats=off", ATS_CTRL, PCI_ATS_CTRL_ENABLE },
};

static void test_ats_disabled(const void *data)
{
    const Disabled *d = data;
    QTestdev t;

    qtestdev_start(&t, d->opts);
    qtestdev_writew(&t, d->reg, d->val);
    g_assert_cmpint(qtestdev_call_sample(&t, SVM_TESTDEV_TRANSLATE, 0), ==,
                    -EPERM);
    g_assert_cmpint(qtestdev_call_sample(&t, SVM_TESTDEV_TRANSLATE_PART, 0),
                    ==, -EPERM);
    g_assert_cmphex(qtestdev_result(&t, 0, SVM_TESTDEV_RESULT_IOVA), ==,
                    UINT64_MAX);
    qtestdev_stop(&t);
}

typedef struct RangeCase {
    const char *path;
    uint64_t addr;
    uint64_t length;
    int64_t ret;
} RangeCase;

#define TOP (0 - PAGE)

static const RangeCase ranges[] = {
    { "/svm/ats/a-request-begins-at-a-page", IOVA, PAGE, 1 },
    { "/svm/ats/a-request-that-begins-in-a-page-is-refused", IOVA + PAGE / 2,
      PAGE, -EINVAL },
    { "/svm/ats/a-request-that-begins-at-its-second-byte-is-refused",
      IOVA + 1, PAGE, -EINVAL },
    { "/svm/ats/a-request-that-begins-at-its-last-byte-is-refused",
      IOVA + PAGE - 1, 1, -EINVAL },
    { "/svm/ats/a-request-ends-with-the-page-of-its-last-byte", IOVA,
      PAGE + 1, 2 },
    { "/svm/ats/a-request-for-nothing-is-refused", IOVA, 0, -EINVAL },
    { "/svm/ats/a-request-ends-at-the-top", TOP, PAGE, 1 },
    { "/svm/ats/a-request-beyond-the-top-is-refused", TOP, PAGE + 1, -EINVAL },
    { "/svm/ats/a-request-for-everything-beyond-is-refused", PAGE, UINT64_MAX,
      -EINVAL },
};

static void test_range(const void *data)
{
    const RangeCase *r = data;
    QTestdev t;

    qtestdev_start(&t, "");
    for (int i = 0; i < 4; i++) {
        qvtd_svm_map(t.f, IOVA + i * PAGE, QVTD_FS_USER_RW);
    }
    qvtd_svm_map(t.f, TOP, QVTD_FS_USER_RW);
    g_assert_cmpint(qtestdev_translate(&t, r->addr, r->length, 0), ==, r->ret);
    for (int i = 0; i < r->ret; i++) {
        g_assert_cmphex(qtestdev_result(&t, i, SVM_TESTDEV_RESULT_IOVA), ==,
                        r->addr + i * PAGE);
        g_assert_cmphex(qtestdev_result(&t, i, SVM_TESTDEV_RESULT_MASK), ==,
                        PAGE - 1);
    }
    qtestdev_stop(&t);
}

static void test_room(void)
{
    uint64_t page[3];
    QTestdev t;

    qtestdev_start(&t, "");
    for (int i = 0; i < ARRAY_SIZE(page); i++) {
        page[i] = qvtd_svm_map(t.f, IOVA + i * PAGE, QVTD_FS_USER_RW);
    }
    qtestdev_translate(&t, IOVA, 3 * PAGE, 0);
    qtestdev_set(&t, SVM_TESTDEV_ROOM, 2);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_TRANSLATE), ==, -ENOMEM);
    for (int i = 0; i < 2; i++) {
        g_assert_cmphex(qtestdev_result(&t, i, SVM_TESTDEV_RESULT_ADDR), ==,
                        page[i]);
    }
    g_assert_cmphex(qtestdev_result(&t, 2, SVM_TESTDEV_RESULT_ADDR), ==,
                    UINT64_MAX);
    qtestdev_stop(&t);
}

/* Smallest Translation Unit */

typedef struct Unit {
    const char *path;
    const char *device_path;
    unsigned int stu;
} Unit;

static const Unit units[] = {
    { "/svm/ats/STU-0-is-a-page", "/svm/ats/a-device-works-with-STU-0", 0 },
    { "/svm/ats/STU-1-is-two-pages", "/svm/ats/a-device-works-with-STU-1", 1 },
    { "/svm/ats/STU-7-is-128-pages", "/svm/ats/a-device-works-with-STU-7", 7 },
    { "/svm/ats/STU-8-is-256-pages", "/svm/ats/a-device-works-with-STU-8", 8 },
    { "/svm/ats/STU-20-is-4-GiB", "/svm/ats/a-device-works-with-STU-20", 20 },
    { "/svm/ats/STU-31-is-8-TiB", "/svm/ats/a-device-works-with-STU-31", 31 },
};

/* 10.5.1.3 */
static void test_stu(const void *data)
{
    const Unit *u = data;
    uint64_t unit = PAGE << u->stu;
    uint64_t end = (IOVA & -unit) + unit;
    uint64_t page;
    QTestdev t;

    qtestdev_start(&t, "");
    qtestdev_writew(&t, ATS_CTRL, PCI_ATS_CTRL_ENABLE | u->stu);
    g_assert_cmphex(qtestdev_readw(&t, ATS_CTRL), ==,
                    PCI_ATS_CTRL_ENABLE | u->stu);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_STU), ==, 12 + u->stu);
    page = qvtd_svm_map(t.f, end - PAGE, QVTD_FS_USER_RW);
    g_assert_cmpint(qtestdev_translate(&t, end - unit, PAGE, 0), ==, 1);
    g_assert_cmpint(qtestdev_translate(&t, end - PAGE, PAGE, 0), ==,
                    u->stu ? -EINVAL : 1);

    /* A part of a unit is the same request, with fewer results */
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_TRANSLATE_PART), ==, 1);
    g_assert_cmphex(qtestdev_result(&t, 0, SVM_TESTDEV_RESULT_IOVA), ==,
                    end - PAGE);
    g_assert_cmphex(qtestdev_result(&t, 0, SVM_TESTDEV_RESULT_ADDR), ==, page);
    qtestdev_set(&t, SVM_TESTDEV_ADDR, end - 1);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_TRANSLATE_PART), ==,
                    -EINVAL);
    qtestdev_stop(&t);
}

/* Far from the beginning of the unit, as its user knows nothing of units */
static void test_device_stu(const void *data)
{
    const Unit *u = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t addr = IOVA + 300 * PAGE;
    uint64_t page[2];

    qsvm_config_writew(&f->svm, f->svm.ats_cap + PCI_ATS_CTRL,
                       PCI_ATS_CTRL_ENABLE | u->stu);
    for (int i = 0; i < ARRAY_SIZE(page); i++) {
        page[i] = qvtd_svm_map(f, addr + i * PAGE, QVTD_FS_USER_RW);
    }
    g_assert(qsvm_write(&f->svm, addr, 2 * PAGE));
    for (int i = 0; i < ARRAY_SIZE(page); i++) {
        g_assert(qvtd_svm_is_written(f, page[i], PAGE, i * PAGE));
    }
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_ATS_REQUESTS), ==, 1);
    qvtd_svm_stop(f);
}

/*
 * Invalidations
 */

/* 10.5.1.2: depth 32; none is lost, and each is in time */
static void test_queue_depth(void)
{
    enum { COUNT = 100 };
    QTestdev t;
    QVTD *v;

    qtestdev_start(&t, "");
    v = t.f->v;
    qtestdev_listen(&t, 0);
    g_assert_cmpuint(PCI_ATS_CAP_QDEP(qtestdev_readw(&t, SVM_TESTDEV_CAP_ATS +
                                                         PCI_ATS_CAP)), ==, 0);
    for (int i = 0; i < COUNT; i++) {
        qvtd_iq_push(v, qvtd_dev_piotlb_desc(t.sid, t.pasid, IOVA + i * PAGE,
                                             false, false));
    }
    g_assert(qvtd_iq_submit(v, qvtd_wait_desc(QVTD_WAIT_FN, 0, 0)));
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_INV_COUNT), ==, COUNT);
    g_assert_cmphex(qtestdev_reg(&t, SVM_TESTDEV_INV_ADDR), ==,
                    IOVA + (COUNT - 1) * PAGE);
    qtestdev_stop(&t);
}

/* 10.3.2: 4 KiB << n, from the lowest clear bit of the address */
static void test_invalidation_sizes(void)
{
    const uint64_t base = 1ULL << 45;
    QTestdev t;

    qtestdev_start(&t, "");
    qtestdev_listen(&t, 0);
    for (uint64_t size = PAGE; size <= base; size *= 2) {
        bool s = size > PAGE;

        qvtd_inv(t.f->v, qvtd_dev_piotlb_desc(
            t.sid, t.pasid, s ? qvtd_dev_tlb_range(base, size) : base, s,
            false));
        g_assert_cmphex(qtestdev_reg(&t, SVM_TESTDEV_INV_ADDR), ==, base);
        g_assert_cmphex(qtestdev_reg(&t, SVM_TESTDEV_INV_MASK), ==, size - 1);
    }
    qvtd_inv(t.f->v, qvtd_dev_piotlb_desc(t.sid, t.pasid, INT64_MAX - PAGE + 1,
                                          true, false));
    g_assert_cmphex(qtestdev_reg(&t, SVM_TESTDEV_INV_ADDR), ==, 0);
    g_assert_cmphex(qtestdev_reg(&t, SVM_TESTDEV_INV_MASK), ==, UINT64_MAX);
    qtestdev_stop(&t);
}

typedef struct Global {
    const char *path;
    const char *opts;
    bool supported;
} Global;

static const Global globals[] = {
    { "/svm/inv/Global-is-heard-by-all-PASIDs-where-supported", "", true },
    { "/svm/inv/Global-is-ignored-where-not-supported",
      ",global-invalidate=off", false },
};

static void test_global(const void *data)
{
    const Global *g = data;
    QTestdev t;

    qtestdev_start(&t, g->opts);
    g_assert(!!(qtestdev_readw(&t, SVM_TESTDEV_CAP_ATS + PCI_ATS_CAP) & 0x40)
             == g->supported);
    qvtd_svm_add_process(t.f, 1);
    qtestdev_listen(&t, 0);
    t.pasid = 1;
    qtestdev_listen(&t, 1);
    qvtd_inv(t.f->v, qvtd_dev_piotlb_desc(t.sid, 1, IOVA, false, true));
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_INV_COUNT), ==, 1);
    g_assert_cmphex(qtestdev_reg(&t, SVM_TESTDEV_INV_PASID), ==, 1);
    qtestdev_set(&t, SVM_TESTDEV_SLOT, 0);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_INV_COUNT), ==,
                     g->supported);
    qtestdev_stop(&t);
}

/*
 * The cache of a device
 */

static void clear_pasid(QVTDSVM *f)
{
    qsvm_set_pasid_enables(&f->svm, 0);
    qsvm_set_pasid_enables(&f->svm, PCI_PASID_CTRL_ENABLE);
}

static void clear_ats(QVTDSVM *f)
{
    qsvm_set_ats(&f->svm, false);
    qsvm_set_ats(&f->svm, true);
}

static void clear_master(QVTDSVM *f)
{
    uint16_t cmd = qpci_config_readw(f->svm.dev, PCI_COMMAND);

    qpci_config_writew(f->svm.dev, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER);
    qpci_config_writew(f->svm.dev, PCI_COMMAND, cmd);
}

static void enter_d3hot(QVTDSVM *f)
{
    uint8_t cap = qpci_find_capability(f->svm.dev, PCI_CAP_ID_PM, 0);

    qpci_config_writew(f->svm.dev, cap + PCI_PM_CTRL, 3);
    qpci_config_writew(f->svm.dev, cap + PCI_PM_CTRL, 0);
}

static void enable_again(QVTDSVM *f)
{
    qsvm_set_ats(&f->svm, true);
    qsvm_set_pasid_enables(&f->svm, PCI_PASID_CTRL_ENABLE);
}

typedef struct Flush {
    const char *path;
    void (*cause)(QVTDSVM *f);
    bool flushes;
} Flush;

static const Flush flushes[] = {
    { "/svm/ats/ATS-Enable-clear-and-set-empties-the-cache", clear_ats, true },
    { "/svm/ats/PASID-Enable-clear-and-set-empties-the-cache", clear_pasid,
      true },
    { "/svm/ats/Bus-Master-Enable-clear-and-set-empties-the-cache",
      clear_master, true },
    { "/svm/ats/D3hot-and-back-empties-the-cache", enter_d3hot, true },
    { "/svm/ats/enables-that-do-not-change-keep-the-cache", enable_again,
      false },
};

/* The device is idle and keeps its PASID: nothing but the event flushes */
static void test_flush(const void *data)
{
    const Flush *c = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t old = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    uint64_t new;

    g_assert(qvtd_svm_writes(f, IOVA, old));
    new = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    c->cause(f);
    g_assert(qvtd_svm_writes(f, IOVA, c->flushes ? new : old));
    qvtd_svm_stop(f);
}

/*
 * Bus mastering, power, place
 */

/* A call while the function's registers are out of reach */
static int64_t call_during(QTestdev *t, unsigned int call,
                           void (*enter)(QTestdev *t),
                           void (*leave)(QTestdev *t))
{
    enum { DELAY_NS = 1000 };

    qtestdev_prepare_sample(t, 0);
    qtestdev_set(t, SVM_TESTDEV_DELAY, DELAY_NS);
    qtestdev_set(t, SVM_TESTDEV_CALL, call);
    enter(t);
    qtest_clock_step(t->qts, DELAY_NS);
    leave(t);
    qtestdev_set(t, SVM_TESTDEV_DELAY, 0);
    return qtestdev_reg(t, SVM_TESTDEV_CALL);
}

static void master_off(QTestdev *t)
{
    qtestdev_set_master(t, false);
}

static void master_on(QTestdev *t)
{
    qtestdev_set_master(t, true);
}

static void power_d3hot(QTestdev *t)
{
    qtestdev_set_power(t, 3);
    g_assert_cmpuint(qtestdev_reg(t, SVM_TESTDEV_STU), ==, 0);
}

static void power_d0(QTestdev *t)
{
    qtestdev_set_power(t, 0);
}

static void power_slot(QTestdev *t, bool on)
{
    QPCIDevice *port = qpci_device_find(t->f->bus, QTESTDEV_BRIDGE_DEVFN);
    uint8_t cap = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);

    qpci_config_writew(port, cap + PCI_EXP_SLTCTL,
                       PCI_EXP_SLTCTL_PWR_IND_ON |
                       (on ? PCI_EXP_SLTCTL_PWR_ON : PCI_EXP_SLTCTL_PWR_OFF));
    g_free(port);
}

static void slot_off(QTestdev *t)
{
    power_slot(t, false);
    g_assert_cmphex(qtestdev_readw(t, PCI_VENDOR_ID), ==, 0xffff);
}

static void slot_on(QTestdev *t)
{
    power_slot(t, true);
    qtestdev_enable(t);
}

typedef struct Absence {
    const char *path;
    bool root_port;
    void (*enter)(QTestdev *t);
    void (*leave)(QTestdev *t);
} Absence;

static const Absence absences[] = {
    { "/svm/caps/a-function-that-is-not-bus-master-is-refused-every-call",
      false, master_off, master_on },
    { "/svm/caps/a-function-in-D3hot-is-refused-every-call", false,
      power_d3hot, power_d0 },
    { "/svm/caps/a-function-whose-slot-is-off-is-refused-every-call", true,
      slot_off, slot_on },
};

static void test_absence(const void *data)
{
    const Absence *a = data;
    QTestdev t;

    if (a->root_port) {
        qtestdev_start_behind(&t, "pcie-root-port", 0, "");
    } else {
        qtestdev_start(&t, "");
    }
    for (int i = 0; i < ARRAY_SIZE(qtestdev_calls); i++) {
        g_assert_cmpint(call_during(&t, qtestdev_calls[i], a->enter, a->leave),
                        ==, -EPERM);
    }
    /* Nothing has changed, no credit is lost, no page was asked for */
    qtestdev_pop_none(&t);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_UNREGISTER_IOTLB), ==,
                    -EINVAL);
    qtestdev_enable_pri(&t, 1);
    qtestdev_expect_success(&t, 0);
    qtestdev_stop(&t);
}

/* What was registered before can be ended then */
static void test_unregister_in_absence(void)
{
    QTestdev t;

    qtestdev_start(&t, "");
    qtestdev_listen(&t, 0);
    qtestdev_set_master(&t, false);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_UNREGISTER_IOTLB), ==, 0);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_UNREGISTER_PRI), ==, 0);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_UNREGISTER_IOTLB), ==,
                    -EINVAL);
    qtestdev_set_master(&t, true);
    qvtd_inv(t.f->v, qvtd_dev_piotlb_desc(t.sid, t.pasid, IOVA, false, false));
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_INV_COUNT), ==, 0);
    qtestdev_expect_success(&t, 0);
    qtestdev_stop(&t);
}

static void expect_heard(QTestdev *t, uint32_t pasid, unsigned count)
{
    qvtd_inv(t->f->v, qvtd_dev_piotlb_desc(t->sid, pasid, IOVA, false, false));
    g_assert_cmpuint(qtestdev_reg(t, SVM_TESTDEV_INV_COUNT), ==, count);
}

/* One notifier hears several PASIDs, of each once, and learns which */
static void test_shared_notifier(void)
{
    QTestdev t;

    qtestdev_start(&t, "");
    qtestdev_listen(&t, 0);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_REGISTER_IOTLB), ==,
                    -EINVAL);
    expect_heard(&t, 1, 0);
    t.pasid = 1;
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_UNREGISTER_IOTLB), ==,
                    -EINVAL);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_REGISTER_IOTLB), ==, 0);
    expect_heard(&t, 1, 1);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_INV_PASID), ==, 1);
    expect_heard(&t, QVTD_SVM_PASID, 2);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_INV_PASID), ==,
                     QVTD_SVM_PASID);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_UNREGISTER_IOTLB), ==, 0);
    expect_heard(&t, 1, 2);
    expect_heard(&t, QVTD_SVM_PASID, 3);
    t.pasid = QVTD_SVM_PASID;
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_UNREGISTER_IOTLB), ==, 0);
    expect_heard(&t, QVTD_SVM_PASID, 3);
    qtestdev_stop(&t);
}

typedef struct Alias {
    const char *path;
    const char *bridge;
    int devfn;
} Alias;

static const Alias aliases[] = {
    { "/svm/caps/a-function-behind-a-PCIe-to-PCI-bridge-is-refused",
      "pcie-pci-bridge", QPCI_DEVFN(3, 0) },
    { "/svm/caps/a-function-behind-a-conventional-bridge-is-refused",
      "pci-bridge,chassis_nr=1", QPCI_DEVFN(3, 0) },
};

static void test_alias(const void *data)
{
    const Alias *a = data;
    QTestdev t;

    qtestdev_start_behind(&t, a->bridge, a->devfn, "");
    g_assert_cmphex(qtestdev_reg(&t, SVM_TESTDEV_STATE) &
                    SVM_TESTDEV_STATE_MASTER, !=, 0);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_GET_INFO), ==, -ENODEV);
    qtestdev_expect_refusal(&t, 0, -ENODEV);
    t.pasid = QVTD_NO_PASID;
    qtestdev_expect_refusal(&t, 0, -ENODEV);
    qtestdev_stop(&t);
}

static void test_info(void)
{
    QTestdev t;

    qtestdev_start_behind(&t, "pcie-root-port", 0, "");
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_GET_INFO), ==, 0);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_ADDR), ==, 48);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_LENGTH), ==, PAGE);
    qtestdev_expect_success(&t, 0);
    qtestdev_stop(&t);
}

/*
 * Resets
 */

static void function_reset(QTestdev *t)
{
    qtestdev_function_reset(t);
}

static void d3hot_and_back(QTestdev *t)
{
    qtestdev_set_power(t, 3);
    qtestdev_set_power(t, 0);
}

static void slot_off_and_on(QTestdev *t)
{
    power_slot(t, false);
    power_slot(t, true);
}

static void bridge_reset(QTestdev *t)
{
    QPCIDevice *port = qpci_device_find(t->f->bus, QTESTDEV_BRIDGE_DEVFN);

    qpci_config_writew(port, PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_BUS_RESET);
    qpci_config_writew(port, PCI_BRIDGE_CONTROL, 0);
    g_free(port);
}

typedef struct Reset {
    const char *path;
    const char *requests_path;
    void (*reset)(QTestdev *t);
    const char *opts;
    bool keeps;
} Reset;

static const Reset resets[] = {
    { "/svm/caps/function-level-reset-clears-the-control-registers",
      "/svm/pri/function-level-reset-forgets-what-is-outstanding",
      function_reset, "" },
    { "/svm/caps/a-reset-of-the-bus-clears-the-control-registers",
      "/svm/pri/a-reset-of-the-bus-forgets-what-is-outstanding",
      bridge_reset, "" },
    { "/svm/caps/the-slot-without-power-clears-the-control-registers",
      "/svm/pri/the-slot-without-power-forgets-what-is-outstanding",
      slot_off_and_on, "" },
    { "/svm/caps/D3hot-to-D0-clears-the-control-registers",
      "/svm/pri/D3hot-to-D0-forgets-what-is-outstanding",
      d3hot_and_back, ",no-soft-reset=off" },
    { "/svm/caps/D3hot-to-D0-with-No_Soft_Reset-keeps-the-control-registers",
      "/svm/pri/D3hot-to-D0-with-No_Soft_Reset-keeps-what-is-outstanding",
      d3hot_and_back, "", true },
};

static void check_control(QTestdev *t, bool enabled)
{
    uint16_t pasid = PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_EXEC |
                     PCI_PASID_CTRL_PRIV;
    uint16_t pri = PCI_PRI_STATUS_PASID |
                   (enabled ? PCI_PRI_STATUS_UPRGI : PCI_PRI_STATUS_STOPPED);

    g_assert_cmphex(qtestdev_readw(t, PASID_CTRL), ==, enabled ? pasid : 0);
    g_assert_cmphex(qtestdev_readw(t, ATS_CTRL), ==,
                    enabled ? PCI_ATS_CTRL_ENABLE | 3 : 0);
    g_assert_cmphex(qtestdev_readw(t, PRI_CTRL), ==,
                    enabled ? PCI_PRI_CTRL_ENABLE : 0);
    g_assert_cmphex(qtestdev_readw(t, PRI_ALLOC), ==,
                    enabled ? QTESTDEV_PRI_ALLOCATION : 0);
    g_assert_cmphex(qtestdev_pri_status(t), ==, pri);
}

static void test_reset(const void *data)
{
    const Reset *r = data;
    QTestdev t;

    qtestdev_start_behind(&t, "pcie-root-port", 0, r->opts);
    qtestdev_writew(&t, ATS_CTRL, PCI_ATS_CTRL_ENABLE | 3);
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_SUCCESS);
    check_control(&t, true);
    r->reset(&t);
    check_control(&t, r->keeps);

    qtestdev_enable(&t);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_STU), ==, 12);
    qtestdev_expect_success(&t, 0);
    qtestdev_stop(&t);
}

/* What is outstanding is forgotten with the rest, or stays with it */
static void test_reset_outstanding(const void *data)
{
    const Reset *r = data;
    QTestdev t;

    qtestdev_start_behind(&t, "pcie-root-port", 0, r->opts);
    qtestdev_enable_pri(&t, 1);
    qtestdev_listen(&t, 0);
    g_assert_cmpint(qtestdev_request(&t, 0, true), ==, 0);
    qtestdev_pop(&t);
    r->reset(&t);
    qtestdev_enable(&t);
    qtestdev_enable_pri(&t, 1);
    g_assert_cmpint(qtestdev_request(&t, 1, true), ==, r->keeps ? -EBUSY : 0);
    if (!r->keeps) {
        qtestdev_pop(&t);
    }
    qtestdev_stop(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(widths); i++) {
        qtest_add_data_func(widths[i].path, &widths[i], test_width);
    }
    qtest_add_func("/svm/pasid/a-width-of-21-bits-is-refused",
                   test_width_of_21);
    for (int i = 0; i < ARRAY_SIZE(permissions); i++) {
        qtest_add_data_func(permissions[i].path, &permissions[i],
                            test_permissions);
    }
    qtest_add_func("/svm/pasid/permissions-are-asked-for-with-a-PASID-only",
                   test_permission_needs_pasid);
    for (int i = 0; i < ARRAY_SIZE(pasid_disabled); i++) {
        qtest_add_data_func(pasid_disabled[i].path, &pasid_disabled[i],
                            test_pasid_disabled);
    }
    for (int i = 0; i < ARRAY_SIZE(ats_disabled); i++) {
        qtest_add_data_func(ats_disabled[i].path, &ats_disabled[i],
                            test_ats_disabled);
    }
    for (int i = 0; i < ARRAY_SIZE(ranges); i++) {
        qtest_add_data_func(ranges[i].path, &ranges[i], test_range);
    }
    qtest_add_func("/svm/ats/results-beyond-the-room-are-not-stored",
                   test_room);
    for (int i = 0; i < ARRAY_SIZE(units); i++) {
        qtest_add_data_func(units[i].path, &units[i], test_stu);
        qtest_add_data_func(units[i].device_path, &units[i], test_device_stu);
    }
    qtest_add_func("/svm/inv/more-invalidations-than-the-queue-is-deep-arrive",
                   test_queue_depth);
    qtest_add_func("/svm/inv/an-address-says-how-much-is-invalidated",
                   test_invalidation_sizes);
    for (int i = 0; i < ARRAY_SIZE(globals); i++) {
        qtest_add_data_func(globals[i].path, &globals[i], test_global);
    }
    for (int i = 0; i < ARRAY_SIZE(flushes); i++) {
        qtest_add_data_func(flushes[i].path, &flushes[i], test_flush);
    }
    for (int i = 0; i < ARRAY_SIZE(absences); i++) {
        qtest_add_data_func(absences[i].path, &absences[i], test_absence);
    }
    qtest_add_func("/svm/caps/notifiers-can-be-ended-without-bus-mastering",
                   test_unregister_in_absence);
    qtest_add_func("/svm/inv/a-notifier-hears-several-PASIDs-each-once",
                   test_shared_notifier);
    for (int i = 0; i < ARRAY_SIZE(aliases); i++) {
        qtest_add_data_func(aliases[i].path, &aliases[i], test_alias);
    }
    qtest_add_func("/svm/caps/a-function-behind-a-root-port-is-told-of-it",
                   test_info);
    for (int i = 0; i < ARRAY_SIZE(resets); i++) {
        qtest_add_data_func(resets[i].path, &resets[i], test_reset);
        qtest_add_data_func(resets[i].requests_path, &resets[i],
                            test_reset_outstanding);
    }
    return g_test_run();
}
