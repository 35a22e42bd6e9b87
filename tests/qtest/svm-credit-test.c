/*
 * QTest testcase for SVM: the page request interface of a function: credits,
 * groups, responses, status
 *
 * PCIe r6.0, 10.4 and 10.5.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/svm-testdev.h"

#define PAGE        (4 * KiB)
#define ALLOCATION  QTESTDEV_PRI_ALLOCATION

#define PRI_CTRL    (SVM_TESTDEV_CAP_PRI + PCI_PRI_CTRL)
#define PRI_STATUS  (SVM_TESTDEV_CAP_PRI + PCI_PRI_STATUS)
#define PRI_MAX_REQ (SVM_TESTDEV_CAP_PRI + PCI_PRI_MAX_REQ)
#define PRI_ALLOC   (SVM_TESTDEV_CAP_PRI + PCI_PRI_ALLOC_REQ)

/* The PASID of a second process */
#define OTHER_PASID 0x42

static void start_listening(QTestdev *t, const char *opts)
{
    qtestdev_start(t, opts);
    qvtd_svm_add_process(t->f, OTHER_PASID);
    t->pasid = OTHER_PASID;
    qtestdev_listen(t, 1);
    t->pasid = QVTD_SVM_PASID;
    qtestdev_listen(t, 0);
}

static uint64_t responses(QTestdev *t, unsigned int slot)
{
    qtestdev_set(t, SVM_TESTDEV_SLOT, slot);
    return qtestdev_reg(t, SVM_TESTDEV_RESP_COUNT);
}

/* Sends a request that must go out */
static void request(QTestdev *t, uint16_t prgi, bool last)
{
    g_assert_cmpint(qtestdev_request(t, prgi, last), ==, 0);
    g_assert_cmpuint(qtestdev_pop(t).prgi, ==, prgi);
}

/* Sends one that must not */
static void request_in_vain(QTestdev *t, uint16_t prgi, int error)
{
    g_assert_cmpint(qtestdev_request(t, prgi, true), ==, error);
    qtestdev_pop_none(t);
}

/* Uses up what is left, by groups of one from @prgi on; how much it was */
static unsigned int use_credits(QTestdev *t, uint16_t prgi)
{
    unsigned int n = 0;

    while (!qtestdev_request(t, prgi + n, true)) {
        g_assert_cmpuint(qtestdev_pop(t).prgi, ==, prgi + n);
        n++;
    }
    g_assert_cmpint(qtestdev_reg(t, SVM_TESTDEV_CALL), ==, -EBUSY);
    return n;
}

static void stop(QTestdev *t, uint16_t status)
{
    g_assert_cmphex(qtestdev_pri_status(t), ==, status);
    qtestdev_pop_none(t);
    qtestdev_stop(t);
}

/*
 * Credits
 */

typedef struct Allocation {
    const char *path;
    uint32_t capacity;
    uint32_t allocation;
    uint32_t credits;
} Allocation;

static const Allocation allocations[] = {
    { "/svm/pri/the-allocation-limits-what-is-outstanding", 512, 5, 5 },
    { "/svm/pri/the-capacity-limits-the-allocation", 3, 5, 3 },
    { "/svm/pri/an-allocation-of-all-ones-is-the-capacity", 7, UINT32_MAX, 7 },
    { "/svm/pri/an-allocation-of-zero-gives-no-credit", 512, 0, 0 },
    { "/svm/pri/a-capacity-of-zero-gives-no-credit", 0, 5, 0 },
};

/* 10.5.2.4 and 10.5.2.5 */
static void test_allocation(const void *data)
{
    const Allocation *a = data;
    g_autofree char *opts = g_strdup_printf(",pri-capacity=%u", a->capacity);
    QTestdev t;

    start_listening(&t, opts);
    g_assert_cmpuint(qtest_readl(t.qts, t.config + PRI_MAX_REQ), ==,
                     a->capacity);
    qtestdev_enable_pri(&t, a->allocation);
    g_assert_cmpuint(qtest_readl(t.qts, t.config + PRI_ALLOC), ==,
                     a->allocation);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_ALLOCATION), ==, a->credits);
    g_assert_cmpuint(use_credits(&t, 0), ==, a->credits);
    stop(&t, PCI_PRI_STATUS_PASID);
}

/* Each request costs one; the group's response gives back as many */
static void test_group_credits(void)
{
    QTestdev t;

    start_listening(&t, "");
    for (int i = 0; i < 3; i++) {
        request(&t, 10, i == 2);
    }
    for (int i = 0; i < 2; i++) {
        request(&t, 11, i == 1);
    }
    g_assert_cmpuint(use_credits(&t, 100), ==, ALLOCATION - 5);
    qtestdev_respond(&t, t.pasid, 10, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(use_credits(&t, 200), ==, 3);
    qtestdev_respond(&t, t.pasid, 11, QVTD_SVM_INVALID);
    g_assert_cmpuint(use_credits(&t, 300), ==, 2);
    g_assert_cmpuint(responses(&t, 0), ==, 2);
    stop(&t, PCI_PRI_STATUS_PASID);
}

/* The function has them, and not its PASIDs */
static void test_function_credits(void)
{
    QTestdev t;

    start_listening(&t, "");
    request(&t, 0, true);
    t.pasid = OTHER_PASID;
    g_assert_cmpuint(use_credits(&t, 0), ==, ALLOCATION - 1);
    t.pasid = QVTD_SVM_PASID;
    request_in_vain(&t, 1, -EBUSY);
    t.pasid = OTHER_PASID;
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_SUCCESS);
    t.pasid = QVTD_SVM_PASID;
    g_assert_cmpuint(use_credits(&t, 1), ==, 1);
    stop(&t, PCI_PRI_STATUS_PASID);
}

/* VT-d, Page Request Enable of the function's context entry */
static void set_pre(QTestdev *t, bool on)
{
    qvtd_set_context(t->f->v, t->sid,
                     QVTD_SVM_CONTEXT & ~(on ? 0 : QVTD_CE_PRE),
                     QVTD_SVM_PDTS, t->f->dir, 0);
    qvtd_inv_all(t->f->v);
}

/* Sends a request that the unit refuses */
static void request_refused(QTestdev *t, uint16_t prgi)
{
    QVTDFault fault;

    request_in_vain(t, prgi, -EFAULT);
    g_assert(qvtd_pop_fault(t->f->v, &fault));
    g_assert_cmphex(fault.sid, ==, t->sid);
    g_assert_cmphex(fault.reason, ==, VTD_FR_SM_PRE_DISABLED);
}

/* A request that was not sent takes no credit and is no part of its group */
static void test_unsent(void)
{
    QTestdev t;

    start_listening(&t, "");
    request(&t, 5, false);
    set_pre(&t, false);
    request_refused(&t, 5);
    request_refused(&t, 6);
    set_pre(&t, true);

    /* The group is not complete: it is not answered, and goes on */
    qtestdev_respond(&t, t.pasid, 5, QVTD_SVM_SUCCESS);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_UPRGI);
    g_assert_cmpuint(responses(&t, 0), ==, 0);
    request(&t, 5, true);
    /* The other one has not begun: its index is free */
    request(&t, 6, true);
    g_assert_cmpuint(use_credits(&t, 100), ==, ALLOCATION - 3);
    stop(&t, PCI_PRI_STATUS_PASID | PCI_PRI_STATUS_UPRGI);
}

/* The queue of one page holds 127 requests */
static void test_no_room(void)
{
    QVTDPageReq req;
    QTestdev t;

    start_listening(&t, "");
    qtestdev_enable_pri(&t, 512);
    for (int i = 0; i < 127; i++) {
        g_assert_cmpint(qtestdev_request(&t, i, true), ==, 0);
    }
    g_assert_cmpint(qtestdev_request(&t, 127, true), ==, -ENOSPC);
    g_assert_cmpint(qtestdev_request(&t, 128, true), ==, -ENOSPC);
    for (int i = 0; i < 127; i++) {
        g_assert(qvtd_pop_page_req(t.f->v, &req));
        g_assert_cmpuint(req.prgi, ==, i);
    }
    qvtd_writel(t.f->v, QVTD_PRS_REG, QVTD_PRS_PPR | QVTD_PRS_PRO);
    qtestdev_enable_pri(&t, 128);
    g_assert_cmpuint(use_credits(&t, 127), ==, 1);
    stop(&t, PCI_PRI_STATUS_PASID);
}

/*
 * Groups
 */

static void test_complete_group(void)
{
    QTestdev t;

    start_listening(&t, "");
    request(&t, 7, true);
    request_in_vain(&t, 7, -EBUSY);
    qtestdev_respond(&t, t.pasid, 7, QVTD_SVM_SUCCESS);
    request(&t, 7, true);
    stop(&t, PCI_PRI_STATUS_PASID);
}

static void test_indices(void)
{
    QTestdev t;

    start_listening(&t, "");
    request(&t, 0x1ff, true);
    request_in_vain(&t, 0x200, -EINVAL);
    request_in_vain(&t, 0xffff, -EINVAL);
    qtestdev_respond(&t, t.pasid, 0x1ff, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&t, 0), ==, 1);
    g_assert_cmphex(qtestdev_reg(&t, SVM_TESTDEV_RESP_PRGI), ==, 0x1ff);
    stop(&t, PCI_PRI_STATUS_PASID);
}

/* An index of one PASID is none of another's */
static void test_indices_of_pasids(void)
{
    QTestdev t;

    start_listening(&t, "");
    request(&t, 7, true);
    t.pasid = OTHER_PASID;
    request(&t, 7, true);
    qtestdev_respond(&t, OTHER_PASID, 7, QVTD_SVM_INVALID);
    g_assert_cmpuint(responses(&t, 0), ==, 0);
    g_assert_cmpuint(responses(&t, 1), ==, 1);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_RESP_CODE), ==, 1);
    qtestdev_respond(&t, QVTD_SVM_PASID, 7, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&t, 0), ==, 1);
    g_assert_cmpuint(responses(&t, 1), ==, 1);
    stop(&t, PCI_PRI_STATUS_PASID);
}

static void test_notifier(void)
{
    QTestdev t;

    qtestdev_start(&t, "");
    request_in_vain(&t, 0, -EINVAL);
    qtestdev_listen(&t, 0);
    qtestdev_set(&t, SVM_TESTDEV_SLOT, 1);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_REGISTER_PRI), ==, -EBUSY);
    request(&t, 0, true);

    /* Ended: the response gives back the credit, and calls nobody */
    qtestdev_enable_pri(&t, 1);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_UNREGISTER_PRI), ==, 0);
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&t, 0), ==, 0);
    qtestdev_set(&t, SVM_TESTDEV_SLOT, 1);
    g_assert_cmpint(qtestdev_call(&t, SVM_TESTDEV_REGISTER_PRI), ==, 0);
    g_assert_cmpuint(use_credits(&t, 0), ==, 1);
    stop(&t, PCI_PRI_STATUS_PASID);
}

/* VT-d 4.2: there is nobody to ask */
static void test_unit_without_translation(void)
{
    QTestdev t;

    start_listening(&t, "");
    qvtd_set_translation(t.f->v, false);
    request_in_vain(&t, 0, -EPERM);
    qvtd_set_translation(t.f->v, true);
    g_assert_cmpuint(use_credits(&t, 0), ==, ALLOCATION);
    stop(&t, PCI_PRI_STATUS_PASID);
}

/*
 * Stop Marker
 */

static int64_t send_stop_marker(QTestdev *t)
{
    qtestdev_prepare_sample(t, 0);
    qtestdev_set(t, SVM_TESTDEV_FLAGS, SVM_TESTDEV_FLAG_LAST);
    return qtestdev_call(t, SVM_TESTDEV_REQUEST_PAGE);
}

/* 10.4.1.2: last in group, no access, a PASID; no response and no credit */
static void test_stop_marker(void)
{
    QVTDPageReq req;
    QTestdev t;

    start_listening(&t, "");
    request(&t, 0, true);
    use_credits(&t, 1);
    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(send_stop_marker(&t), ==, 0);
        req = qtestdev_pop(&t);
        g_assert(req.last && !req.read && !req.write && !req.prgi);
        g_assert(req.has_pasid);
        g_assert_cmphex(req.pasid, ==, t.pasid);
    }
    /* The request of index 0 that is outstanding is another matter */
    g_assert_cmphex(qtestdev_pri_status(&t), ==, PCI_PRI_STATUS_PASID);
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&t, 0), ==, 1);
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&t, 0), ==, 1);
    stop(&t, PCI_PRI_STATUS_PASID | PCI_PRI_STATUS_UPRGI);
}

static void test_stop_marker_disabled(void)
{
    QTestdev t;

    start_listening(&t, "");
    qtestdev_writew(&t, PRI_CTRL, 0);
    g_assert_cmpint(send_stop_marker(&t), ==, -EPERM);
    qtestdev_pop_none(&t);
    stop(&t, PCI_PRI_STATUS_PASID | PCI_PRI_STATUS_STOPPED);
}

/*
 * Control
 */

static void test_disabled(const void *opts)
{
    QTestdev t;

    start_listening(&t, opts);
    qtestdev_writew(&t, PRI_CTRL, 0);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_ALLOCATION), ==, 0);
    request_in_vain(&t, 0, -EPERM);
    /* Nobody asked, and nobody hears */
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&t, 0), ==, 0);
    qtestdev_stop(&t);
}

/* 10.5.2.3: clear while enabled, or while a response is missing */
static void test_stopped(void)
{
    const uint16_t stopped = PCI_PRI_STATUS_PASID | PCI_PRI_STATUS_STOPPED;
    QTestdev t;

    start_listening(&t, "");
    g_assert_cmphex(qtestdev_pri_status(&t), ==, PCI_PRI_STATUS_PASID);
    qtestdev_writew(&t, PRI_CTRL, 0);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, stopped);
    qtestdev_writew(&t, PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    request(&t, 0, true);
    request(&t, 1, false);
    qtestdev_writew(&t, PRI_CTRL, 0);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, PCI_PRI_STATUS_PASID);
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_SUCCESS);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, PCI_PRI_STATUS_PASID);
    /* The other one is never complete: that is what Reset is for */
    qtestdev_writew(&t, PRI_CTRL, PCI_PRI_CTRL_RESET);
    stop(&t, stopped);
}

typedef struct Control {
    const char *path;
    uint16_t before;
    uint16_t val;
    unsigned int credits;       /* of ALLOCATION, one of which is in use */
} Control;

static const Control controls[] = {
    { "/svm/pri/Reset-gives-all-credits-back", 0, PCI_PRI_CTRL_RESET,
      ALLOCATION },
    { "/svm/pri/Reset-together-with-a-clear-of-Enable-is-a-reset",
      PCI_PRI_CTRL_ENABLE, PCI_PRI_CTRL_RESET, ALLOCATION },
    { "/svm/pri/Reset-while-enabled-is-none", PCI_PRI_CTRL_ENABLE,
      PCI_PRI_CTRL_ENABLE | PCI_PRI_CTRL_RESET, ALLOCATION - 1 },
    { "/svm/pri/disabling-is-no-reset", PCI_PRI_CTRL_ENABLE, 0,
      ALLOCATION - 1 },
};

/* 10.5.2.2 */
static void test_control(const void *data)
{
    const Control *c = data;
    QTestdev t;

    start_listening(&t, "");
    request(&t, 0, true);
    qtestdev_writew(&t, PRI_CTRL, c->before);
    qtestdev_writew(&t, PRI_CTRL, c->val);
    g_assert_cmphex(qtestdev_readw(&t, PRI_CTRL), ==,
                    c->val & PCI_PRI_CTRL_ENABLE);
    qtestdev_writew(&t, PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    g_assert_cmpuint(use_credits(&t, 1), ==, c->credits);
    stop(&t, PCI_PRI_STATUS_PASID);
}

/* Software may write bytes: those that have no Reset bit do not reset */
static void test_partial_writes(void)
{
    QTestdev t;

    start_listening(&t, "");
    request(&t, 0, true);
    qtest_writeb(t.qts, t.config + PRI_CTRL, 0);
    qtest_writeb(t.qts, t.config + PRI_CTRL + 1, PCI_PRI_CTRL_RESET);
    qtest_writew(t.qts, t.config + PRI_STATUS, PCI_PRI_CTRL_RESET);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, PCI_PRI_STATUS_PASID);
    qtest_writeb(t.qts, t.config + PRI_CTRL, PCI_PRI_CTRL_RESET);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    /* All of the control and status registers at once */
    qtest_writel(t.qts, t.config + PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    g_assert_cmpuint(use_credits(&t, 0), ==, ALLOCATION);
    stop(&t, PCI_PRI_STATUS_PASID);
}

/*
 * Responses
 */

static void test_failure_forgets(void)
{
    const uint16_t failed = PCI_PRI_STATUS_PASID | PCI_PRI_STATUS_STOPPED;
    QTestdev t;

    start_listening(&t, "");
    request(&t, 0, true);
    request(&t, 1, true);
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_FAILURE);
    g_assert_cmpuint(responses(&t, 0), ==, 1);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_RESP_CODE), ==, 2);
    g_assert_cmphex(qtestdev_reg(&t, SVM_TESTDEV_STATE) &
                    SVM_TESTDEV_STATE_PRI, ==, 0);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, failed | PCI_PRI_STATUS_RF);

    /* 10.5.2.3: the function expects no more, and ignores what comes */
    qtestdev_respond(&t, t.pasid, 1, QVTD_SVM_SUCCESS);
    qtestdev_respond(&t, t.pasid, 2, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&t, 0), ==, 1);
    stop(&t, failed | PCI_PRI_STATUS_RF);
}

/* Neither the bit's clear nor a write that changes nothing enables it */
static void test_failure_until_enabled(void)
{
    QTestdev t;

    start_listening(&t, "");
    request(&t, 0, true);
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_FAILURE);
    request_in_vain(&t, 1, -EPERM);
    qtestdev_writew(&t, PRI_STATUS, PCI_PRI_STATUS_RF);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    request_in_vain(&t, 1, -EPERM);
    qtestdev_writew(&t, PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    request_in_vain(&t, 1, -EPERM);
    g_assert_cmpuint(qtestdev_reg(&t, SVM_TESTDEV_ALLOCATION), ==, 0);
    qtestdev_writew(&t, PRI_CTRL, 0);
    request_in_vain(&t, 1, -EPERM);
    qtestdev_writew(&t, PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    g_assert_cmpuint(use_credits(&t, 0), ==, ALLOCATION);
    stop(&t, PCI_PRI_STATUS_PASID);
}

/* 10.5.2.3: an index without a group, or without its last request */
static void test_unexpected(void)
{
    QTestdev t;

    start_listening(&t, "");
    request(&t, 0, false);
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_FAILURE);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_UPRGI);
    qtestdev_writew(&t, PRI_STATUS, PCI_PRI_STATUS_RF);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_UPRGI);
    qtestdev_writew(&t, PRI_STATUS, PCI_PRI_STATUS_UPRGI);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, PCI_PRI_STATUS_PASID);
    g_assert_cmpuint(responses(&t, 0), ==, 0);

    /* The group goes on */
    request(&t, 0, true);
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&t, 0), ==, 1);
    g_assert_cmpuint(use_credits(&t, 0), ==, ALLOCATION);
    stop(&t, PCI_PRI_STATUS_PASID);
}

/* It is the response of a disabled interface, too */
static void test_unexpected_while_disabled(void)
{
    QTestdev t;

    start_listening(&t, "");
    qtestdev_writew(&t, PRI_CTRL, 0);
    qtestdev_respond(&t, t.pasid, 0, QVTD_SVM_SUCCESS);
    stop(&t, PCI_PRI_STATUS_PASID | PCI_PRI_STATUS_STOPPED |
             PCI_PRI_STATUS_UPRGI);
}

/*
 * PRG Response PASID Required
 */

typedef struct Response {
    const char *path;
    const char *opts;
    uint32_t request;           /* PASID */
    uint32_t response;          /* likewise */
    bool expected;
} Response;

static const Response response_cases[] = {
    { "/svm/pri/PASID-Required-wants-the-PASID-of-the-request", "",
      OTHER_PASID, OTHER_PASID, true },
    { "/svm/pri/PASID-Required-refuses-a-response-without-PASID", "",
      OTHER_PASID, QVTD_NO_PASID, false },
    { "/svm/pri/PASID-Required-refuses-the-PASID-of-another-request", "",
      OTHER_PASID, QVTD_SVM_PASID, false },
    { "/svm/pri/PASID-Required-is-for-requests-with-PASID", "",
      QVTD_NO_PASID, QVTD_NO_PASID, true },
    { "/svm/pri/PASID-Required-refuses-a-PASID-that-no-request-had", "",
      QVTD_NO_PASID, OTHER_PASID, false },
    { "/svm/pri/a-response-needs-no-PASID-that-is-not-required",
      ",pri-pasid=off", OTHER_PASID, QVTD_NO_PASID, true },
    { "/svm/pri/a-PASID-that-is-not-required-is-ignored",
      ",pri-pasid=off", OTHER_PASID, OTHER_PASID, true },
    { "/svm/pri/the-index-alone-counts-if-no-PASID-is-required",
      ",pri-pasid=off", OTHER_PASID, QVTD_SVM_PASID, true },
    { "/svm/pri/a-request-without-PASID-is-answered-without",
      ",pri-pasid=off", QVTD_NO_PASID, QVTD_NO_PASID, true },
};

/* 10.5.2.3; what VT-d sends has the PASID that the OS's descriptor has */
static void test_response(const void *data)
{
    const Response *r = data;
    uint16_t status = *r->opts ? 0 : PCI_PRI_STATUS_PASID;
    unsigned int slot = r->request == QVTD_NO_PASID ? 2 : 1;
    QTestdev t;

    start_listening(&t, r->opts);
    qvtd_svm_add_process(t.f, 0);
    t.pasid = QVTD_NO_PASID;
    qtestdev_listen(&t, 2);
    g_assert_cmphex(qtestdev_pri_status(&t), ==, status);
    t.pasid = r->request;
    request(&t, 9, true);
    qtestdev_respond(&t, r->response, 9, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&t, slot), ==, r->expected);
    g_assert_cmpuint(responses(&t, 0), ==, 0);
    g_assert_cmpuint(use_credits(&t, 10), ==, ALLOCATION - !r->expected);
    stop(&t, status | (r->expected ? 0 : PCI_PRI_STATUS_UPRGI));
}

/* Responses would not say whose they are */
static void test_shared_index(void)
{
    QTestdev t;

    start_listening(&t, ",pri-pasid=off");
    request(&t, 9, false);
    t.pasid = OTHER_PASID;
    request_in_vain(&t, 9, -EBUSY);
    request(&t, 10, true);
    t.pasid = QVTD_SVM_PASID;
    request(&t, 9, true);
    qtestdev_respond(&t, QVTD_NO_PASID, 10, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&t, 0), ==, 0);
    g_assert_cmpuint(responses(&t, 1), ==, 1);
    qtestdev_respond(&t, QVTD_NO_PASID, 9, QVTD_SVM_SUCCESS);
    g_assert_cmpuint(responses(&t, 0), ==, 1);
    stop(&t, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(allocations); i++) {
        qtest_add_data_func(allocations[i].path, &allocations[i],
                            test_allocation);
    }
    for (int i = 0; i < ARRAY_SIZE(controls); i++) {
        qtest_add_data_func(controls[i].path, &controls[i], test_control);
    }
    for (int i = 0; i < ARRAY_SIZE(response_cases); i++) {
        qtest_add_data_func(response_cases[i].path, &response_cases[i],
                            test_response);
    }
    qtest_add_func("/svm/pri/a-response-gives-back-the-credits-of-its-group",
                   test_group_credits);
    qtest_add_func("/svm/pri/credits-are-the-function's-and-no-PASID's",
                   test_function_credits);
    qtest_add_func("/svm/pri/a-request-that-was-not-sent-took-no-credit",
                   test_unsent);
    qtest_add_func("/svm/pri/a-request-without-room-took-no-credit",
                   test_no_room);
    qtest_add_func("/svm/pri/a-complete-group-keeps-its-index",
                   test_complete_group);
    qtest_add_func("/svm/pri/an-index-has-9-bits", test_indices);
    qtest_add_func("/svm/pri/an-index-belongs-to-one-PASID",
                   test_indices_of_pasids);
    qtest_add_func("/svm/pri/a-request-needs-somebody-to-hear-the-response",
                   test_notifier);
    qtest_add_func("/svm/pri/a-unit-without-translation-takes-no-request",
                   test_unit_without_translation);
    qtest_add_func("/svm/pri/a-Stop-Marker-has-no-credit-and-no-response",
                   test_stop_marker);
    qtest_add_func("/svm/pri/a-Stop-Marker-needs-Enable",
                   test_stop_marker_disabled);
    qtest_add_data_func("/svm/pri/Enable-is-needed-by-every-page-request", "",
                        test_disabled);
    qtest_add_data_func("/svm/pri/a-function-without-the-capability-sends-none",
                        ",pri=off", test_disabled);
    qtest_add_func("/svm/pri/Stopped-is-disabled-with-nothing-outstanding",
                   test_stopped);
    qtest_add_func("/svm/pri/control-and-status-are-written-by-parts",
                   test_partial_writes);
    qtest_add_func("/svm/pri/Response-Failure-ends-all-groups",
                   test_failure_forgets);
    qtest_add_func("/svm/pri/Response-Failure-lasts-until-Enable-is-set-anew",
                   test_failure_until_enabled);
    qtest_add_func("/svm/pri/a-response-to-an-incomplete-group-sets-UPRGI",
                   test_unexpected);
    qtest_add_func("/svm/pri/UPRGI-is-set-while-disabled-too",
                   test_unexpected_while_disabled);
    qtest_add_func("/svm/pri/PASIDs-share-indices-if-none-is-required",
                   test_shared_index);
    return g_test_run();
}
