/*
 * QTest testcase for SVM: threads of a device race with all that a guest can do
 *
 * -device svm-stress (docs/specs/svm-stress.rst) translates, faults and copies
 * by itself, and one of its threads changes paging entries. The test is the
 * rest of the guest: it invalidates, answers, disables, resets, moves the
 * queue, unplugs. An oracle in the device looks at each access.
 *
 * The seed that is printed at the start repeats the guest's choices (--seed),
 * and in the case that has no threads everything. -m slow takes minutes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/misc/svm-stress.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "libqos/svm-testdev.h"

#define PAGE            (4 * KiB)
#define SID             (QTESTDEV_BRIDGE_BUS << 8)
#define BAR             0xe8000000ULL
#define PASID_PAGE      0x77
#define THREADS         3
#define SPIN_NS         4000
#define CREDITS         32

/* Steps of the case without threads */
#define STEPS           400

/* Hot-plug by the port itself, which needs no firmware's tables */
#define MACHINE "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off " \
                "-device pcie-root-port,id=bridge,addr=5 " \
                "-device svm,addr=4 -device svm-stress,id=stress,bus=bridge"

static const uint32_t pasids[SVM_STRESS_PROCESSES] = { QVTD_SVM_PASID, 0x42 };

/* Address 0 is like any other, and like what follows the last one. */
static const uint64_t iovas[SVM_STRESS_PROCESSES] = { 0x7f1200000000ULL, 0 };

typedef struct Race {
    QVTDSVM *f;
    QVTD *v;
    QTestState *qts;
    GRand *rand;
    uint32_t credits;
    bool fails;             /* Response Failure is an answer, too */
    GQueue unanswered;      /* QVTDPageReq * */
} Race;

/* A number from 0 to @n - 1 */
static unsigned int choose(Race *r, unsigned int n)
{
    return g_rand_int_range(r->rand, 0, n);
}

static bool one_in(Race *r, unsigned int n)
{
    return !choose(r, n);
}

/*
 * The device
 */

static uint64_t config(uint16_t offset)
{
    return QSVM_ECAM_BASE + (SID << 12) + offset;
}

static uint64_t get(Race *r, uint64_t reg)
{
    return qtest_readq(r->qts, BAR + reg);
}

static void set(Race *r, uint64_t reg, uint64_t val)
{
    qtest_writeq(r->qts, BAR + reg, val);
}

static void command(Race *r, uint64_t cmd)
{
    set(r, SVM_STRESS_CMD, cmd);
}

static void set_master(Race *r, bool on)
{
    qtest_writew(r->qts, config(PCI_COMMAND),
                 PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0));
}

static void set_pasid(Race *r, bool on)
{
    qtest_writew(r->qts, config(SVM_STRESS_CAP_PASID + PCI_PASID_CTRL),
                 on ? PCI_PASID_CTRL_ENABLE : 0);
}

static void set_ats(Race *r, bool on)
{
    qtest_writew(r->qts, config(SVM_STRESS_CAP_ATS + PCI_ATS_CTRL),
                 on ? PCI_ATS_CTRL_ENABLE : 0);
}

static void set_pri(Race *r, bool on)
{
    uint64_t ctrl = config(SVM_STRESS_CAP_PRI + PCI_PRI_CTRL);

    qtest_writew(r->qts, ctrl, PCI_PRI_CTRL_RESET);
    if (on) {
        qtest_writel(r->qts, config(SVM_STRESS_CAP_PRI + PCI_PRI_ALLOC_REQ),
                     r->credits);
        qtest_writew(r->qts, ctrl, PCI_PRI_CTRL_ENABLE);
    }
}

static void enable(Race *r)
{
    qtest_writel(r->qts, config(PCI_BASE_ADDRESS_0), BAR);
    qtest_writel(r->qts, config(PCI_BASE_ADDRESS_1), BAR >> 32);
    set_master(r, true);
    set_pasid(r, true);
    set_ats(r, true);
    set_pri(r, true);
    command(r, SVM_STRESS_OPEN);
    g_assert(get(r, SVM_STRESS_IS_OPEN));
}

static void give_process(Race *r, unsigned int n)
{
    uint64_t table = n ? qvtd_svm_add_process(r->f, pasids[n]) : r->f->table;
    uint64_t arena = qvtd_alloc(r->v, SVM_STRESS_ARENA_SIZE, SVM_STRESS_BLOCK);
    uint64_t regs = SVM_STRESS_PROCESS(n), block = iovas[n] + SVM_STRESS_BLOCK;

    for (int i = 0; i < SVM_STRESS_PAGES; i++) {
        qvtd_fs_map(r->v, table, iovas[n] + i * PAGE, arena + i * PAGE, 1,
                    QVTD_FS_USER_RW);
    }
    qvtd_fs_map(r->v, table, block, arena + SVM_STRESS_BLOCK, 2,
                QVTD_FS_USER_RW);
    set(r, regs + SVM_STRESS_PASID, pasids[n]);
    set(r, regs + SVM_STRESS_IOVA, iovas[n]);
    set(r, regs + SVM_STRESS_ARENA, arena);
    set(r, regs + SVM_STRESS_SMALL,
        qvtd_pte(r->v, table, iovas[n], 2) & QVTD_PTE_ADDR_MASK);
    set(r, regs + SVM_STRESS_HUGE,
        (qvtd_pte(r->v, table, block, 3) & QVTD_PTE_ADDR_MASK) +
        extract64(block, 21, 9) * sizeof(uint64_t));
    set(r, regs + SVM_STRESS_SPLIT, qvtd_alloc_page(r->v));
}

static void race_init(Race *r, uint32_t credits, uint32_t seed)
{
    QVTDSVM *f = qvtd_svm_start_machine("", MACHINE);

    *r = (Race) {
        .f = f, .qts = f->qts, .credits = credits,
        .rand = g_rand_new_with_seed(seed),
    };
    g_queue_init(&r->unanswered);
    qtestdev_number_bus(f);
    qvtd_svm_attach(f, QPCI_DEVFN(4, 0));
    r->v = f->v;
    qvtd_enable_prq(f->v, 0);
    qvtd_set_context(f->v, SID, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS, f->dir, 0);
    qvtd_svm_add_process(f, PASID_PAGE);
    qtest_writel(r->qts, config(PCI_BASE_ADDRESS_0), BAR);
    qtest_writel(r->qts, config(PCI_BASE_ADDRESS_1), BAR >> 32);
    set_master(r, true);
    for (int i = 0; i < SVM_STRESS_PROCESSES; i++) {
        give_process(r, i);
    }
    set(r, SVM_STRESS_PASID_PAGE, PASID_PAGE);
    set(r, SVM_STRESS_SEED, seed);
    set(r, SVM_STRESS_THREADS, THREADS);
    set(r, SVM_STRESS_SPIN, SPIN_NS);
}

static void race_start(Race *r, unsigned int kinds)
{
    set(r, SVM_STRESS_KINDS, kinds);
    command(r, SVM_STRESS_SETUP);
    enable(r);
    command(r, SVM_STRESS_START);
}

static void race_fini(Race *r)
{
    g_queue_clear_full(&r->unanswered, g_free);
    g_rand_free(r->rand);
    qvtd_svm_stop(r->f);
}

/*
 * Invalidations
 */

static QVTDDesc invalidate_unit(unsigned int n, unsigned int unit)
{
    uint64_t block = qvtd_dev_tlb_range(iovas[n] + SVM_STRESS_BLOCK,
                                        SVM_STRESS_BLOCK);

    return unit == SVM_STRESS_PAGES
           ? qvtd_dev_piotlb_desc(SID, pasids[n], block, true, false)
           : qvtd_dev_piotlb_desc(SID, pasids[n], iovas[n] + unit * PAGE, false,
                                  false);
}

/* In one of the ways that an OS has; returns the last descriptor. */
static QVTDDesc invalidate(Race *r, unsigned int n, uint64_t units)
{
    QVTDDesc desc = { };

    switch (choose(r, 4)) {
    case 0:
        return qvtd_dev_piotlb_desc(SID, pasids[n], QVTD_DEV_TLB_ALL, true,
                                    true);
    case 1:
        return qvtd_dev_piotlb_desc(SID, pasids[n], QVTD_DEV_TLB_ALL, true,
                                    false);
    case 2:
        return qvtd_dev_piotlb_desc(SID, pasids[n],
                                    qvtd_dev_tlb_range(iovas[n],
                                                       SVM_STRESS_ARENA_SIZE),
                                    true, false);
    default:
        while (units) {
            desc = invalidate_unit(n, ctz64(units));
            units &= units - 1;
            if (units) {
                qvtd_iq_push(r->v, desc);
            }
        }
        return desc;
    }
}

static void settle(Race *r)
{
    for (int i = 0; i < SVM_STRESS_PROCESSES; i++) {
        uint64_t reg = SVM_STRESS_PROCESS(i) + SVM_STRESS_PENDING;
        uint64_t units = get(r, reg);

        if (units) {
            qvtd_inv(r->v, invalidate(r, i, units));
            set(r, reg, units);
        }
    }
}

/*
 * Page requests
 */

static void take_requests(Race *r)
{
    QVTDPageReq req;

    /* So that room is not taken for what an overflow has lost */
    qvtd_writel(r->v, QVTD_PRS_REG, QVTD_PRS_PPR | QVTD_PRS_PRO);
    while (qvtd_pop_page_req(r->v, &req)) {
        if (req.last) {
            g_queue_push_tail(&r->unanswered, g_memdup2(&req, sizeof(req)));
        }
    }
}

static unsigned int choose_code(Race *r)
{
    if (one_in(r, 8)) {
        return QVTD_SVM_INVALID;
    }
    return r->fails && one_in(r, 50) ? QVTD_SVM_FAILURE : QVTD_SVM_SUCCESS;
}

static void answer(Race *r, unsigned int code)
{
    g_autofree QVTDPageReq *req = g_queue_pop_head(&r->unanswered);

    qvtd_inv(r->v, qvtd_page_response_desc(req->sid, req->pasid, req->prgi,
                                           code));
}

static void answer_some(Race *r)
{
    take_requests(r);
    while (r->unanswered.length && !one_in(r, 8)) {
        answer(r, choose_code(r));
    }
}

/* What was sent before the interface was disabled needs no response */
static void forget_requests(Race *r)
{
    take_requests(r);
    g_queue_clear_full(&r->unanswered, g_free);
}

/*
 * What else a guest does
 */

/* No translation is used when the register write returns, and none after it */
static void expect_quiet(Race *r)
{
    uint64_t accesses = get(r, SVM_STRESS_ACCESSES);

    g_assert_cmpuint(get(r, SVM_STRESS_BUSY), ==, 0);
    g_usleep(200);
    g_assert_cmpuint(get(r, SVM_STRESS_ACCESSES), ==, accesses);
}

static void toggle_pasid(Race *r)
{
    set_pasid(r, false);
    expect_quiet(r);
    set_pasid(r, true);
}

static void toggle_ats(Race *r)
{
    set_ats(r, false);
    expect_quiet(r);
    set_ats(r, true);
}

static void toggle_master(Race *r)
{
    set_master(r, false);
    expect_quiet(r);
    set_master(r, true);
}

/* Of each thread one request may be on its way, and none begins after that. */
static void toggle_pri(Race *r)
{
    QVTDPageReq req;
    unsigned int late = 0;

    set_pri(r, false);
    forget_requests(r);
    g_usleep(200);
    while (qvtd_pop_page_req(r->v, &req)) {
        late++;
    }
    g_assert_cmpuint(late, <=, THREADS);
    set_pri(r, true);
}

static void reopen(Race *r)
{
    command(r, SVM_STRESS_CLOSE);
    expect_quiet(r);
    command(r, SVM_STRESS_OPEN);
    g_assert(get(r, SVM_STRESS_IS_OPEN));
}

/* The registers are lost, and found again before anything looks at them */
static void reset_function(Race *r)
{
    qtest_writew(r->qts, config(SVM_STRESS_CAP_EXP + PCI_EXP_DEVCTL),
                 PCI_EXP_DEVCTL_BCR_FLR);
    g_assert_cmphex(qtest_readw(r->qts, config(PCI_COMMAND)), ==, 0);
    qtest_writel(r->qts, config(PCI_BASE_ADDRESS_0), BAR);
    qtest_writel(r->qts, config(PCI_BASE_ADDRESS_1), BAR >> 32);
    set_master(r, false);
    expect_quiet(r);
    g_assert(!get(r, SVM_STRESS_IS_OPEN));
    forget_requests(r);
    enable(r);
}

/* To another place, of another size; what is in the old one is lost */
static void move_queue(Race *r)
{
    unsigned int order = choose(r, 3);

    qvtd_writeq(r->v, QVTD_PQA_REG, 0);
    r->v->prq = qvtd_alloc(r->v, PAGE << order, PAGE);
    r->v->prq_order = order;
    qvtd_writeq(r->v, QVTD_PQH_REG, 0);
    qvtd_writeq(r->v, QVTD_PQT_REG, 0);
    qvtd_writeq(r->v, QVTD_PQA_REG, r->v->prq | order);
    toggle_pri(r);
}

/* What an OS forgets is the device's again when the interface is disabled */
static void ignore_requests(Race *r)
{
    forget_requests(r);
    g_usleep(500);
    toggle_pri(r);
}

/* A Response Failure has disabled the interface */
static void recover(Race *r)
{
    uint64_t status = config(SVM_STRESS_CAP_PRI + PCI_PRI_STATUS);

    if (qtest_readw(r->qts, status) & PCI_PRI_STATUS_RF) {
        qtest_writew(r->qts, status, PCI_PRI_STATUS_RF);
        toggle_pri(r);
    }
}

typedef void Event(Race *r);

static void tick(Race *r)
{
    settle(r);
    answer_some(r);
    recover(r);
    qtest_clock_step(r->qts, NANOSECONDS_PER_SECOND / 1000);
}

/* It was no test of races if nothing happened. */
typedef bool Enough(Race *r);

static bool has_accessed(Race *r)
{
    return get(r, SVM_STRESS_ACCESSES) > 100 &&
           get(r, SVM_STRESS_CHANGES) > 100 && get(r, SVM_STRESS_WRITES) > 100;
}

static bool has_walked(Race *r)
{
    return get(r, SVM_STRESS_ENDED) > 10 && get(r, SVM_STRESS_CHANGES) > 1000;
}

static bool has_sent(Race *r)
{
    return get(r, SVM_STRESS_SENT);
}

/* For some time, and on a busy host until enough has happened */
static void run(Race *r, Event *const *events, int count, Enough *enough)
{
    gint64 us = (g_test_slow() ? 30 : 2) * G_USEC_PER_SEC;
    gint64 start = g_get_monotonic_time(), now = start;

    while (now - start < us || !enough(r)) {
        g_assert_cmpint(now - start, <, us + QSVM_TIMEOUT_US);
        tick(r);
        if (count && one_in(r, 4)) {
            events[choose(r, count)](r);
        }
        now = g_get_monotonic_time();
    }
}

/*
 * What must hold
 */

static void expect_no_violation(Race *r)
{
    uint64_t first = get(r, SVM_STRESS_FIRST);

    if (get(r, SVM_STRESS_VIOLATIONS)) {
        g_test_message("%" PRIu64 " violations; the first one: rule %" PRIu64
                       ", process %" PRIu64 ", unit or index %" PRIu64,
                       get(r, SVM_STRESS_VIOLATIONS), extract64(first, 0, 16),
                       extract64(first, 32, 16), extract64(first, 16, 16));
    }
    g_assert_cmpuint(get(r, SVM_STRESS_VIOLATIONS), ==, 0);
}

/* Each operation ends when all that was asked is answered. */
static void stop(Race *r)
{
    gint64 start = g_get_monotonic_time();

    command(r, SVM_STRESS_STOP);
    while (get(r, SVM_STRESS_RUNNING)) {
        tick(r);
        g_assert_cmpint(g_get_monotonic_time() - start, <, QSVM_TIMEOUT_US);
    }
    take_requests(r);
    while (r->unanswered.length) {
        answer(r, QVTD_SVM_SUCCESS);
    }
    settle(r);
    expect_no_violation(r);
    g_test_message("%" PRIu64 " operations, %" PRIu64 " accesses, %" PRIu64
                   " changes of entries, %" PRIu64 " writes checked, %" PRIu64
                   " page requests besides",
                   get(r, SVM_STRESS_ENDED), get(r, SVM_STRESS_ACCESSES),
                   get(r, SVM_STRESS_CHANGES), get(r, SVM_STRESS_WRITES),
                   get(r, SVM_STRESS_SENT));
}

static void expect_all_answered(Race *r)
{
    g_assert_cmpuint(get(r, SVM_STRESS_OUTSTANDING), ==, 0);
    g_assert_cmpuint(get(r, SVM_STRESS_SENT), >, 0);
    g_assert_cmpuint(get(r, SVM_STRESS_SENT), ==,
                     get(r, SVM_STRESS_ANSWERED));
    g_assert_cmpuint(get(r, SVM_STRESS_LOST), ==, 0);
}

/*
 * Cases
 */

#define DMA         (SVM_STRESS_KIND_DMA | SVM_STRESS_KIND_GUEST)
#define TRANSLATE   (SVM_STRESS_KIND_TRANSLATE | SVM_STRESS_KIND_GUEST)

typedef struct Case {
    const char *path;
    unsigned int kinds;
    uint32_t credits;
    bool fails;
    Event *events[10];
} Case;

static const Case cases[] = {
    { "/svm/race/DMA-and-page-tables", DMA, CREDITS },
    { "/svm/race/translated-requests-and-page-tables", TRANSLATE, CREDITS },
    { "/svm/race/DMA-and-failed-page-requests", DMA, 4, true,
      { ignore_requests } },
    { "/svm/race/DMA-and-enables", DMA | TRANSLATE, CREDITS, false,
      { toggle_pasid, toggle_ats, toggle_master, toggle_pri } },
    { "/svm/race/DMA-and-resets", DMA | TRANSLATE, CREDITS, false,
      { reset_function, reopen } },
    { "/svm/race/DMA-and-a-queue-that-moves", DMA, SVM_STRESS_PRI_CAPACITY,
      false, { move_queue } },
    { "/svm/race/DMA-and-everything", DMA | TRANSLATE, CREDITS, true,
      { toggle_pasid, toggle_ats, toggle_master, toggle_pri, reset_function,
        reopen, move_queue, ignore_requests } },
};

static void test_case(const void *opaque)
{
    const Case *c = opaque;
    int count = 0;
    Race r;

    while (c->events[count]) {
        count++;
    }
    race_init(&r, c->credits, g_test_rand_int());
    r.fails = c->fails;
    race_start(&r, c->kinds);
    run(&r, c->events, count, has_accessed);
    stop(&r);
    race_fini(&r);
}

/*
 * The last process's first page is at address 0, which is also what follows
 * the last address: a walk that looks at its entry again is not at its end.
 */
static void test_walks(void)
{
    Race r;

    race_init(&r, CREDITS, g_test_rand_int());
    race_start(&r, SVM_STRESS_KIND_WALK | SVM_STRESS_KIND_GUEST);
    run(&r, NULL, 0, has_walked);
    stop(&r);
    race_fini(&r);
}

/* More credits than the queue has room: it overflows all the time. */
static void test_requests(void)
{
    Race r;

    race_init(&r, SVM_STRESS_PRI_CAPACITY, g_test_rand_int());
    race_start(&r, SVM_STRESS_KIND_PAGE);
    run(&r, NULL, 0, has_sent);
    stop(&r);
    expect_all_answered(&r);
    race_fini(&r);
}

static void test_requests_end(void)
{
    Event *const events[] = { toggle_pri, reset_function, move_queue };
    Race r;

    race_init(&r, SVM_STRESS_PRI_CAPACITY, g_test_rand_int());
    r.fails = true;
    race_start(&r, SVM_STRESS_KIND_PAGE);
    run(&r, events, ARRAY_SIZE(events), has_sent);
    stop(&r);
    toggle_pri(&r);
    g_assert_cmpuint(get(&r, SVM_STRESS_OUTSTANDING), ==, 0);
    g_assert_cmpuint(get(&r, SVM_STRESS_SENT), >, 0);
    race_fini(&r);
}

/*
 * Unplugging
 */

static void write_slot_control(Race *r, uint16_t val)
{
    QPCIDevice *port = qpci_device_find(r->f->bus, QTESTDEV_BRIDGE_DEVFN);
    uint8_t cap = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);

    qpci_config_writew(port, cap + PCI_EXP_SLTCTL, val);
    g_free(port);
}

static void unplug(Race *r)
{
    write_slot_control(r, PCI_EXP_SLTCTL_PWR_IND_ON | PCI_EXP_SLTCTL_PWR_ON);
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'device_del', "
                                     "'arguments': { 'id': 'stress' } }");
    write_slot_control(r, PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PWR_OFF);
    qtest_qmp_eventwait(r->qts, "DEVICE_DELETED");
}

/* Nobody was asked */
static void pull_out(Race *r)
{
    qtest_qmp_assert_success(r->qts, "{ 'execute': 'qom-set', 'arguments': {"
                             " 'path': '/machine/peripheral/stress',"
                             " 'property': 'realized', 'value': false } }");
}

typedef struct Departure {
    const char *path;
    Event *go;
} Departure;

static const Departure departures[] = {
    { "/svm/race/a-device-at-work-is-unplugged", unplug },
    { "/svm/race/a-device-at-work-is-pulled-out", pull_out },
};

static void test_gone(const void *opaque)
{
    const Departure *d = opaque;

    for (int i = 0; i < (g_test_slow() ? 50 : 4); i++) {
        gint64 end = g_get_monotonic_time() +
                     g_test_rand_int_range(0, G_USEC_PER_SEC / 4);
        Race r;

        race_init(&r, CREDITS, g_test_rand_int());
        race_start(&r, DMA | TRANSLATE);
        do {
            tick(&r);
        } while (g_get_monotonic_time() < end);
        expect_no_violation(&r);
        d->go(&r);
        take_requests(&r);
        while (r.unanswered.length) {
            answer(&r, QVTD_SVM_SUCCESS);
        }
        qvtd_inv_times_out(r.v, qvtd_dev_piotlb_desc(SID, pasids[0], iovas[0],
                                                     false, false));
        race_fini(&r);
    }
}

/*
 * Without threads
 */

static void note(GString *log, const char *what, uint64_t val)
{
    g_string_append_printf(log, "%s %" PRIx64 "\n", what, val);
}

static void step_answer(Race *r, GString *log)
{
    QVTDPageReq req;
    unsigned int code;

    if (!qvtd_pop_page_req(r->v, &req)) {
        return;
    }
    note(log, "request", req.addr | req.write << 1 | req.read);
    if (req.last) {
        code = choose_code(r);
        note(log, "response", code);
        qvtd_inv(r->v, qvtd_page_response_desc(SID, req.pasid, req.prgi,
                                               code));
    }
}

static void step_access(Race *r, GString *log)
{
    uint64_t ended = get(r, SVM_STRESS_ENDED);
    gint64 start = g_get_monotonic_time();

    command(r, SVM_STRESS_ACCESS);
    while (get(r, SVM_STRESS_ENDED) == ended) {
        step_answer(r, log);
        qtest_clock_step(r->qts, NANOSECONDS_PER_SECOND / 1000);
        g_assert_cmpint(g_get_monotonic_time() - start, <, QSVM_TIMEOUT_US);
    }
    note(log, "result", get(r, SVM_STRESS_LAST));
}

static void step(Race *r, GString *log)
{
    switch (choose(r, 4)) {
    case 0:
        for (int i = 0; i < SVM_STRESS_PROCESSES; i++) {
            note(log, "pending", get(r, SVM_STRESS_PROCESS(i) +
                                        SVM_STRESS_PENDING));
        }
        settle(r);
        break;
    case 1:
        step_access(r, log);
        break;
    default:
        command(r, SVM_STRESS_CHANGE);
    }
}

/* Returns what happened; to be freed by g_free(). */
static char *play(uint32_t seed)
{
    GString *log = g_string_new("");
    Race r;

    race_init(&r, CREDITS, seed);
    command(&r, SVM_STRESS_SETUP);
    enable(&r);
    for (int i = 0; i < STEPS; i++) {
        step(&r, log);
    }
    settle(&r);
    expect_no_violation(&r);
    note(log, "accesses", get(&r, SVM_STRESS_ACCESSES));
    note(log, "changes", get(&r, SVM_STRESS_CHANGES));
    note(log, "writes", get(&r, SVM_STRESS_WRITES));
    g_assert_cmpuint(get(&r, SVM_STRESS_WRITES), >, 0);
    race_fini(&r);
    return g_string_free(log, FALSE);
}

static void test_seed(void)
{
    uint32_t seed = g_test_rand_int();
    g_autofree char *first = play(seed);
    g_autofree char *again = play(seed);
    g_autofree char *other = play(seed + 1);

    g_assert_cmpstr(first, ==, again);
    g_assert_cmpstr(first, !=, other);
}

/* The device does nothing for a guest that gave it no memory, or no PASID. */
static void test_not_open(void)
{
    Race r;

    race_init(&r, CREDITS, 0);
    command(&r, SVM_STRESS_SETUP);
    command(&r, SVM_STRESS_OPEN);
    g_assert(!get(&r, SVM_STRESS_IS_OPEN));
    set(&r, SVM_STRESS_PROCESS(0) + SVM_STRESS_ARENA, QVTD_SVM_NO_RAM);
    command(&r, SVM_STRESS_SETUP);
    set_pasid(&r, true);
    command(&r, SVM_STRESS_OPEN);
    g_assert(!get(&r, SVM_STRESS_IS_OPEN));
    command(&r, SVM_STRESS_START);
    command(&r, SVM_STRESS_CHANGE);
    g_assert_cmpuint(get(&r, SVM_STRESS_RUNNING), ==, 0);
    race_fini(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        qtest_add_data_func(cases[i].path, &cases[i], test_case);
    }
    qtest_add_func("/svm/race/an-entry-that-changes-is-looked-at-again",
                   test_walks);
    qtest_add_func("/svm/race/each-page-request-is-answered-once",
                   test_requests);
    qtest_add_func("/svm/race/each-page-request-ends-once", test_requests_end);
    for (int i = 0; i < ARRAY_SIZE(departures); i++) {
        qtest_add_data_func(departures[i].path, &departures[i], test_gone);
    }
    qtest_add_func("/svm/race/a-seed-repeats-what-happens", test_seed);
    qtest_add_func("/svm/race/no-memory-and-no-PASID-is-no-race",
                   test_not_open);
    return g_test_run();
}
