/*
 * QTest testcase for SVM: VT-d's page request queue, its event, and the
 * descriptors that answer and drain
 *
 * VT-d rev 4.1, 7.4, 7.7, 7.10 and 11.4.11.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/svm-testdev.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define CREDITS     64
#define DESC        QVTD_PRQ_ENTRY_SIZE

/* Vectors of CPU 0 */
#define VECTOR      0x41
#define VECTOR2     0x42

static uint32_t status(QVTDSVM *f)
{
    return qvtd_readl(f->v, QVTD_PRS_REG);
}

static bool event_pending(QVTDSVM *f)
{
    return qvtd_readl(f->v, QVTD_PECTL_REG) & QVTD_EVENT_PENDING;
}

static void mask_event(QVTDSVM *f, bool mask)
{
    qvtd_writel(f->v, QVTD_PECTL_REG, mask ? QVTD_EVENT_MASK : 0);
}

/* A page fault that the OS sees and refuses; returns the request */
static QVTDPageReq refused_fault(QVTDSVM *f)
{
    QVTDPageReq req;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_svm_respond(f, &req, QVTD_SVM_INVALID);
    g_assert(!qsvm_wait(&f->svm));
    return req;
}

/* The OS maps what is asked for until the command has ended */
static bool serve_all(QVTDSVM *f)
{
    int64_t start = g_get_monotonic_time();
    QVTDPageReq req;

    while (!qsvm_is_done(&f->svm)) {
        qsvm_step(&f->svm, start);
        while (qvtd_pop_page_req(f->v, &req)) {
            qvtd_fs_map(f->v, f->table, req.addr, qvtd_alloc_page(f->v), 1,
                        QVTD_FS_USER_RW);
            if (req.last) {
                qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
            }
        }
    }
    return qsvm_wait(&f->svm);
}

static bool all_written(QVTDSVM *f, uint64_t size)
{
    for (uint64_t offset = 0; offset < size; offset += PAGE) {
        uint64_t pte = qvtd_pte(f->v, f->table, IOVA + offset, 1);

        if (!qvtd_svm_is_written(f, pte & QVTD_PTE_ADDR_MASK, PAGE, offset)) {
            return false;
        }
    }
    return true;
}

/* Make the queue look as if software had left room for @count descriptors */
static void leave_room(QVTDSVM *f, unsigned int count)
{
    uint64_t tail = qvtd_readq(f->v, QVTD_PQT_REG);

    qvtd_writeq(f->v, QVTD_PQH_REG, (tail + (count + 1) * DESC) % PAGE);
}

static void wait_overflow(QVTDSVM *f)
{
    int64_t start = g_get_monotonic_time();

    while (!(status(f) & QVTD_PRS_PRO)) {
        qsvm_step(&f->svm, start);
    }
}

static void wait_tail(QVTDSVM *f, uint64_t tail)
{
    int64_t start = g_get_monotonic_time();

    while (qvtd_readq(f->v, QVTD_PQT_REG) != tail) {
        qsvm_step(&f->svm, start);
    }
}

/* A request that finds no room; the device waits for some */
static void overflow(QVTDSVM *f)
{
    leave_room(f, 0);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    wait_overflow(f);
}

/* Takes the PASID from the device, so that no request comes any more */
static void end_overflow(QVTDSVM *f)
{
    qsvm_set_pasid(&f->svm, QVTD_SVM_PASID);
    g_assert(!qsvm_wait(&f->svm));
    qvtd_writeq(f->v, QVTD_PQH_REG, qvtd_readq(f->v, QVTD_PQT_REG));
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PRO);
}

/*
 * The event
 */

static void test_event(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    refused_fault(f);
    g_assert_cmphex(status(f), ==, QVTD_PRS_PPR);
    g_assert(!event_pending(f));
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_svm_stop(f);
}

/* The device asks while it handles a register write of the same CPU's */
static void test_event_at_once(void)
{
    QTestdev t;

    qtestdev_start(&t, "");
    qtestdev_listen(&t, 0);
    qvtd_set_msi(t.f->v, QVTD_PECTL_REG, VECTOR, 0);
    g_assert_cmpint(qtestdev_request(&t, 0, true), ==, 0);
    g_assert(qvtd_msi_pending(t.f->v, VECTOR, 0));
    g_assert(!event_pending(t.f));
    qtestdev_pop(&t);
    qtestdev_stop(&t);
}

/* 11.4.11.5: a masked event is pending, and sent when it is unmasked */
static void test_masked_event(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    mask_event(f, true);
    refused_fault(f);
    g_assert(event_pending(f));
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    mask_event(f, true);
    g_assert(event_pending(f));
    mask_event(f, false);
    g_assert(!event_pending(f));
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_svm_stop(f);
}

/* Software has seen to the requests before it unmasks the event */
static void test_cleared_event(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    mask_event(f, true);
    refused_fault(f);
    qvtd_writel(f->v, QVTD_PRS_REG, 0);
    g_assert_cmphex(status(f), ==, QVTD_PRS_PPR);
    g_assert(event_pending(f));
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PPR);
    g_assert_cmphex(status(f), ==, 0);
    g_assert(!event_pending(f));
    mask_event(f, false);
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_svm_stop(f);
}

/* A request while PPR is set is no event; the next one after that is */
static void test_one_event(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    refused_fault(f);
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR2, 0);
    refused_fault(f);
    g_assert(!qvtd_msi_pending(f->v, VECTOR2, 0));
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PPR);
    refused_fault(f);
    g_assert(qvtd_msi_pending(f->v, VECTOR2, 0));
    qvtd_svm_stop(f);
}

/* Each of the two is an event when neither was set before */
static void test_overflow_event(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    overflow(f);
    g_assert_cmphex(status(f), ==, QVTD_PRS_PRO);
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    end_overflow(f);
    qvtd_svm_stop(f);
}

static void test_joining_event(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    refused_fault(f);
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR2, 0);
    overflow(f);
    g_assert_cmphex(status(f), ==, QVTD_PRS_PPR | QVTD_PRS_PRO);
    g_assert(!event_pending(f));
    g_assert(!qvtd_msi_pending(f->v, VECTOR2, 0));
    end_overflow(f);
    qvtd_svm_stop(f);
}

/* Each bit is cleared alone, and the event with the last one */
static void test_two_conditions(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    refused_fault(f);
    overflow(f);
    g_assert(event_pending(f));
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PPR);
    g_assert_cmphex(status(f), ==, QVTD_PRS_PRO);
    g_assert(event_pending(f));
    end_overflow(f);
    g_assert_cmphex(status(f), ==, 0);
    g_assert(!event_pending(f));
    qvtd_svm_stop(f);
}

/* The message is what the registers hold when it is sent */
static void test_late_message(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    mask_event(f, true);
    refused_fault(f);
    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR2, 0);
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    g_assert(qvtd_msi_pending(f->v, VECTOR2, 0));
    qvtd_svm_stop(f);
}

typedef struct Message {
    const char *path;
    const char *opts;
    uint64_t address;       /* of an MSI to APIC_ID */
} Message;

#define APIC_ID     0x12345678

static const Message messages[] = {
    { "/svm/prq/the-upper-address-has-bits-31-to-8-of-the-APIC-ID",
      "intremap=on,eim=on", 0x12345600fee78000ULL },
    { "/svm/prq/the-upper-address-is-reserved-without-EIM",
      "intremap=on,eim=off", 0xfee78000ULL },
};

/*
 * No CPU runs under qtest that could switch its APIC to x2APIC mode, so look
 * for the message in the trace.
 */
static void check_trace(const char *log, const Message *m)
{
    g_autofree char *msg = g_strdup_printf("0x%" PRIx64 " data 0x%x",
                                           m->address, VECTOR);
    g_autofree char *text = NULL;
    g_autoptr(GError) err = NULL;

    g_file_get_contents(log, &text, NULL, &err);
    g_assert_no_error(err);
    g_assert(strstr(text, msg));
}

static void test_message(const void *data)
{
    const Message *m = data;
    g_autoptr(GError) err = NULL;
    g_autofree char *log = NULL;
    g_autofree char *args = NULL;
    QVTDSVM *f;
    int fd;

#ifndef CONFIG_TRACE_LOG
    g_test_skip("QEMU was built without the log trace backend");
    return;
#endif
    fd = g_file_open_tmp("svm-prq-XXXXXX", &log, &err);
    g_assert_no_error(err);
    close(fd);
    args = g_strdup_printf("-device svm,addr=4 -trace vtd_irq_generate -D %s",
                           log);
    f = qvtd_svm_start_machine(m->opts, args);
    qvtd_svm_attach(f, QPCI_DEVFN(4, 0));
    qvtd_enable_prq(f->v, 0);
    qsvm_enable_pri(&f->svm, CREDITS);
    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, APIC_ID);
    g_assert_cmphex(qvtd_readl(f->v, QVTD_PEUADDR_REG), ==, m->address >> 32);
    refused_fault(f);
    qvtd_svm_stop(f);
    check_trace(log, m);
    unlink(log);
}

/*
 * Registers
 */

typedef struct Register {
    uint64_t offset;
    unsigned int size;
    uint64_t kept;          /* of all ones */
} Register;

static const Register registers[] = {
    { QVTD_PQH_REG, 8, 0x7ffe0 },
    { QVTD_PQH_REG, 4, 0x7ffe0 },
    { QVTD_PQH_REG + 4, 4, 0 },
    { QVTD_PQT_REG, 8, 0x7ffe0 },
    { QVTD_PQT_REG, 4, 0x7ffe0 },
    { QVTD_PQT_REG + 4, 4, 0 },
    { QVTD_PQA_REG, 8, 0xfffffffffffff007ULL },
    { QVTD_PQA_REG, 4, 0xfffff007 },
    { QVTD_PQA_REG + 4, 4, 0xffffffff },
    { QVTD_PRS_REG - 4, 4, 0 },
    { QVTD_PRS_REG, 4, 0 },
    { QVTD_PRS_REG - 4, 8, 0 },
    { QVTD_PECTL_REG, 4, QVTD_EVENT_MASK },
    { QVTD_PEDATA_REG, 4, 0xffffffff },
    { QVTD_PECTL_REG, 8, 0xffffffffULL << 32 | QVTD_EVENT_MASK },
    { QVTD_PEADDR_REG, 4, 0xfffffffc },
    { QVTD_PEUADDR_REG, 4, 0 },
    { QVTD_PEADDR_REG, 8, 0xfffffffc },
};

static void write_register(QVTDSVM *f, const Register *r, uint64_t val)
{
    if (r->size == 8) {
        qvtd_writeq(f->v, r->offset, val);
    } else {
        qvtd_writel(f->v, r->offset, val);
    }
}

static uint64_t read_register(QVTDSVM *f, const Register *r)
{
    return r->size == 8 ? qvtd_readq(f->v, r->offset)
                        : qvtd_readl(f->v, r->offset);
}

/* And all others are as wide as the access */
static void test_reserved_bits(void)
{
    QVTDSVM *f = qvtd_svm_start_with("eim=off", "");

    for (int i = 0; i < ARRAY_SIZE(registers); i++) {
        write_register(f, &registers[i], 0);
        g_assert_cmphex(read_register(f, &registers[i]), ==, 0);
        write_register(f, &registers[i], UINT64_MAX);
        g_assert_cmphex(read_register(f, &registers[i]), ==,
                        registers[i].kept);
    }
    qvtd_svm_stop(f);
}

static void test_halves(void)
{
    QVTDSVM *f = qvtd_svm_start();

    qvtd_writeq(f->v, QVTD_PQA_REG, 0x1234567812345007ULL);
    qvtd_writel(f->v, QVTD_PQA_REG, 0xabcde003);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQA_REG), ==, 0x12345678abcde003ULL);
    qvtd_writel(f->v, QVTD_PQA_REG + 4, 0x9abcdef0);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQA_REG), ==, 0x9abcdef0abcde003ULL);
    g_assert_cmphex(qvtd_readl(f->v, QVTD_PQA_REG + 4), ==, 0x9abcdef0);

    qvtd_writeq(f->v, QVTD_PQH_REG, 0x20);
    qvtd_writel(f->v, QVTD_PQH_REG + 4, 0xffffffff);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQH_REG), ==, 0x20);
    qvtd_svm_stop(f);
}

/* Which the specification does not allow */
static void test_odd_accesses(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t base = Q35_HOST_BRIDGE_IOMMU_ADDR;

    qvtd_writeq(f->v, QVTD_PQA_REG, 0x12345000);
    qtest_writeb(f->qts, base + QVTD_PQA_REG + 2, 0xff);
    qtest_writew(f->qts, base + QVTD_PQA_REG + 2, 0xffff);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQA_REG), ==, 0x12345000);

    /* Two registers that are not a pair: the access is split */
    qtest_writeq(f->qts, base + QVTD_PEDATA_REG, 0xfee01000ULL << 32 | VECTOR);
    g_assert_cmphex(qvtd_readl(f->v, QVTD_PEDATA_REG), ==, VECTOR);
    g_assert_cmphex(qvtd_readl(f->v, QVTD_PEADDR_REG), ==, 0xfee01000);
    qvtd_svm_stop(f);
}

/* An OS that knows no 64-bit accesses */
static void test_32_bit_accesses(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint64_t queue = qvtd_alloc_page(f->v);

    qvtd_writel(f->v, QVTD_PQH_REG, PAGE - DESC);
    qvtd_writel(f->v, QVTD_PQT_REG, PAGE - DESC);
    qvtd_writel(f->v, QVTD_PQA_REG, queue);
    qvtd_writel(f->v, QVTD_PQA_REG + 4, 0);
    f->v->prq = queue;
    refused_fault(f);
    g_assert_cmphex(qvtd_readl(f->v, QVTD_PQH_REG), ==, 0);
    g_assert_cmphex(qvtd_readl(f->v, QVTD_PQT_REG), ==, 0);
    g_assert_cmphex(qvtd_readl(f->v, QVTD_PQT_REG + 4), ==, 0);
    qvtd_svm_stop(f);
}

static void test_reset_values(void)
{
    QVTDSVM *f = qvtd_svm_start();

    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQH_REG), ==, 0);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, 0);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQA_REG), ==, 0);
    g_assert_cmphex(status(f), ==, 0);
    g_assert_cmphex(qvtd_readl(f->v, QVTD_PECTL_REG), ==, QVTD_EVENT_MASK);
    qvtd_svm_stop(f);
}

/* Pairs of 32-bit registers, written and read at once */
static void test_wide_access(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_writeq(f->v, QVTD_PEADDR_REG, 0xfee00000);
    qvtd_writeq(f->v, QVTD_PECTL_REG, (uint64_t)VECTOR << 32 |
                                      QVTD_EVENT_MASK);
    refused_fault(f);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PECTL_REG), ==,
                    (uint64_t)VECTOR << 32 | QVTD_EVENT_MASK |
                    QVTD_EVENT_PENDING);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PRS_REG - 4) >> 32, ==,
                    QVTD_PRS_PPR);
    qvtd_writeq(f->v, QVTD_PECTL_REG, (uint64_t)VECTOR2 << 32);
    g_assert(qvtd_msi_pending(f->v, VECTOR2, 0));
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_writeq(f->v, QVTD_PRS_REG - 4, (uint64_t)QVTD_PRS_PPR << 32);
    g_assert_cmphex(status(f), ==, 0);
    qvtd_svm_stop(f);
}

/*
 * The ring
 */

/* 11.4.11.3: 2^(n + 7) descriptors; the last one is followed by the first */
static void test_wrap(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    for (unsigned int order = 0; order <= 7; order++) {
        uint64_t last = (PAGE << order) - DESC;

        qvtd_enable_prq(f->v, order);
        qvtd_writeq(f->v, QVTD_PQT_REG, last);
        qvtd_writeq(f->v, QVTD_PQH_REG, last);
        refused_fault(f);
        g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, 0);
        refused_fault(f);
        g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, DESC);
    }
    qvtd_svm_stop(f);
}

/* 7.4.1: one less than its size; the last place stays as it is */
static void test_capacity(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    for (unsigned int order = 0; order <= 7; order++) {
        uint64_t last = (PAGE << order) - DESC;
        QVTDPageReq req;

        qvtd_enable_prq(f->v, order);
        qvtd_writeq(f->v, QVTD_PQT_REG, last);
        qsvm_start_write(&f->svm, IOVA, PAGE);
        wait_overflow(f);
        g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, last);
        g_assert_cmphex(qtest_readq(f->qts, f->v->prq + last), ==, 0);

        /* One place more */
        qvtd_writeq(f->v, QVTD_PQH_REG, DESC);
        qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PRO);
        wait_tail(f, 0);
        qvtd_writeq(f->v, QVTD_PQH_REG, last);
        req = qvtd_svm_wait_page_req(f);
        qvtd_svm_respond(f, &req, QVTD_SVM_INVALID);
        g_assert(!qsvm_wait(&f->svm));
    }
    qvtd_svm_stop(f);
}

/* More requests in a row than the queue has room for, as they are consumed */
static void test_many(void)
{
    enum { SIZE = 300 * PAGE };
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qsvm_start_write(&f->svm, IOVA, SIZE);
    g_assert(serve_all(f));
    g_assert(all_written(f, SIZE));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_PAGE_REQUESTS), ==,
                     SIZE / PAGE);
    g_assert(!(status(f) & QVTD_PRS_PRO));
    qvtd_svm_stop(f);
}

/*
 * 7.4.1: the ring holds one less than its size; what does not fit is
 * discarded, and all that follows until PRO is clear, also if there is room.
 * Nothing is lost: the function asks again.
 */
static void test_overflow(void)
{
    enum { ROOM = 2, SIZE = 10 * PAGE };
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_set_msi(f->v, QVTD_PECTL_REG, VECTOR, 0);
    leave_room(f, ROOM);
    qsvm_start_write(&f->svm, IOVA, SIZE);
    wait_overflow(f);
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, ROOM * DESC);

    qvtd_writeq(f->v, QVTD_PQH_REG, 0);
    qsvm_settle(&f->svm);
    g_assert(!qsvm_is_done(&f->svm));
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, ROOM * DESC);
    g_assert_cmphex(status(f), ==, QVTD_PRS_PPR | QVTD_PRS_PRO);

    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PPR | QVTD_PRS_PRO);
    g_assert(serve_all(f));
    g_assert(all_written(f, SIZE));
    qvtd_svm_stop(f);
}

/* Bytes whose pages are one group that takes all credits */
#define GROUP (CREDITS * PAGE)

/* There is room for two requests of the group. */
static void start_in_part(QVTDSVM *f)
{
    leave_room(f, 2);
    qsvm_start_write(&f->svm, IOVA, GROUP);
    wait_overflow(f);
}

/* Software drops them, as nothing follows, and makes room. */
static void drop_part(QVTDSVM *f)
{
    QVTDPageReq req;

    qvtd_writeq(f->v, QVTD_PQH_REG, 0);
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PPR | QVTD_PRS_PRO);
    while (qvtd_pop_page_req(f->v, &req)) {
        g_assert(!req.last);
    }
}

/* What is never complete is not waited for: Stopped, and all credits again */
static void test_disabled_in_a_group(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint16_t ctrl = f->svm.pri_cap + PCI_PRI_CTRL;

    start_in_part(f);
    qsvm_disable_pri(&f->svm);
    g_assert(!qsvm_wait(&f->svm));
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    drop_part(f);

    qsvm_config_writew(&f->svm, ctrl, PCI_PRI_CTRL_ENABLE);
    qsvm_start_write(&f->svm, IOVA, GROUP);
    g_assert(serve_all(f));
    g_assert(all_written(f, GROUP));
    qvtd_svm_stop(f);
}

/*
 * The guest takes the PASID away while a group is sent in part, and gives it
 * back: the function has all its credits again, for a group of that size.
 */
static void test_fault_in_a_group(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPasidEntry gone = { .absent = true };
    QVTDFault fault;

    start_in_part(f);
    qvtd_set_pasid_entry(f->v, f->dir, QVTD_SVM_PASID, &gone);
    qvtd_inv_all(f->v);
    g_assert(!qsvm_wait(&f->svm));
    while (qsvm_outstanding(&f->svm, QVTD_SVM_PASID)) {
        qtest_clock_step(f->qts, SCALE_MS);
    }
    while (qvtd_pop_fault(f->v, &fault)) {
        g_assert_cmphex(fault.sid, ==, f->sid);
    }
    drop_part(f);

    qvtd_svm_set_entry(f, 0);
    qsvm_start_write(&f->svm, IOVA, GROUP);
    g_assert(serve_all(f));
    g_assert(all_written(f, GROUP));
    qvtd_svm_stop(f);
}

/* A group has its credits from the beginning, whatever software thinks then. */
static void test_lowered_in_a_group(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    start_in_part(f);
    qsvm_config_writel(&f->svm, f->svm.pri_cap + PCI_PRI_ALLOC_REQ, 1);
    qvtd_writeq(f->v, QVTD_PQH_REG, 0);
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PPR | QVTD_PRS_PRO);
    g_assert(serve_all(f));
    g_assert(all_written(f, GROUP));
    qvtd_svm_stop(f);
}

/* Without room from the start, and the overflow cleared before there is any */
static void test_full(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    int64_t start = g_get_monotonic_time();

    leave_room(f, 0);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    for (int i = 0; i < 3; i++) {
        while (!(status(f) & QVTD_PRS_PRO)) {
            qsvm_step(&f->svm, start);
        }
        g_assert_cmphex(status(f), ==, QVTD_PRS_PRO);
        g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, 0);
        qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PRO);
    }
    qvtd_writeq(f->v, QVTD_PQH_REG, 0);
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PRO);
    g_assert(serve_all(f));
    g_assert(all_written(f, PAGE));
    qvtd_svm_stop(f);
}

/*
 * The unit could answer what it discards. It does not: the function keeps its
 * credit, its only one, and asks again when it likes.
 */
static void test_no_automatic_response(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(1);

    overflow(f);
    qsvm_settle(&f->svm);
    g_assert(!qsvm_is_done(&f->svm));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_PAGE_REQUESTS), ==, 0);
    for (int reg = SVM_STAT_RESP_SUCCESS; reg <= SVM_STAT_RESP_FAILURE;
         reg += 8) {
        g_assert_cmpuint(qsvm_readq(&f->svm, reg), ==, 0);
    }
    g_assert_cmphex(qsvm_pri_status(&f->svm), ==, PCI_PRI_STATUS_PASID);

    qvtd_writeq(f->v, QVTD_PQH_REG, 0);
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PRO);
    g_assert(serve_all(f));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_PAGE_REQUESTS), ==, 1);
    qvtd_svm_stop(f);
}

/* The rest of a group comes later, its last request and one response too */
static void test_cut_group(void)
{
    enum { ROOM = 2, REQUESTS = 10 };
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;

    leave_room(f, ROOM);
    qsvm_start_write(&f->svm, IOVA, REQUESTS * PAGE);
    wait_overflow(f);
    g_assert_cmphex(status(f), ==, QVTD_PRS_PPR | QVTD_PRS_PRO);
    qvtd_writeq(f->v, QVTD_PQH_REG, 0);
    for (int i = 0; i < REQUESTS; i++) {
        req = qvtd_svm_wait_page_req(f);
        g_assert_cmphex(req.addr, ==, IOVA + i * PAGE);
        g_assert(req.last == (i == REQUESTS - 1));
        if (i == ROOM - 1) {
            qvtd_svm_expect_no_page_req(f);
            qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PRO);
        }
        qvtd_svm_resolve(f, &req);
    }
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    g_assert(all_written(f, REQUESTS * PAGE));
    qvtd_svm_stop(f);
}

/* A function that waits for room may be told to stop */
static void test_end_of_wait_for_room(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    leave_room(f, 0);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    qsvm_settle(&f->svm);
    g_assert(!qsvm_is_done(&f->svm));
    qsvm_set_pasid(&f->svm, QVTD_SVM_PASID);
    g_assert(!qsvm_wait(&f->svm));
    qvtd_writeq(f->v, QVTD_PQH_REG, 0);
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PRO);
    qsvm_settle(&f->svm);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, 0);
    qvtd_svm_stop(f);
}

typedef struct BadQueue {
    const char *path;
    uint64_t base;
} BadQueue;

static const BadQueue bad_queues[] = {
    { "/svm/prq/a-request-without-a-queue-is-refused", 0 },
    { "/svm/prq/a-request-to-a-queue-that-is-not-in-memory-is-refused",
      QVTD_SVM_NO_RAM },
    { "/svm/prq/a-request-to-a-queue-in-registers-is-refused",
      Q35_HOST_BRIDGE_IOMMU_ADDR },
    { "/svm/prq/a-request-to-a-queue-in-the-interrupt-range-is-refused",
      VTD_INTERRUPT_ADDR_FIRST },
    { "/svm/prq/a-request-to-a-queue-in-ROM-is-refused", 4 * GiB - PAGE },
};

static void test_bad_queue(const void *data)
{
    const BadQueue *b = data;
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    qvtd_writeq(f->v, QVTD_PQA_REG, b->base);
    g_assert(!qsvm_write(&f->svm, IOVA, PAGE));
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, 0);
    g_assert_cmphex(status(f), ==, 0);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_PAGE_REQUESTS), ==, 0);

    qvtd_writeq(f->v, QVTD_PQA_REG, f->v->prq);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    g_assert(serve_all(f));
    qvtd_svm_stop(f);
}

/* It begins in the last page of memory, and has two */
static void test_end_of_memory(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);

    f->v->prq = 2 * GiB - PAGE;
    f->v->prq_order = 1;
    qvtd_writeq(f->v, QVTD_PQA_REG, f->v->prq | 1);
    qvtd_writeq(f->v, QVTD_PQH_REG, PAGE - DESC);
    qvtd_writeq(f->v, QVTD_PQT_REG, PAGE - DESC);
    refused_fault(f);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, PAGE);
    g_assert(!qsvm_write(&f->svm, IOVA, PAGE));
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, PAGE);
    qvtd_svm_stop(f);
}

/* What waits for a response waits on; what comes goes to the new place */
static void test_moved_queue(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint64_t old = f->v->prq;
    QVTDPageReq req;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_enable_prq(f->v, 3);
    qvtd_svm_poison(f, old, PAGE);
    qvtd_svm_resolve(f, &req);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    qsvm_start_write(&f->svm, IOVA + PAGE, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_svm_respond(f, &req, QVTD_SVM_INVALID);
    g_assert(!qsvm_wait(&f->svm));
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQT_REG), ==, DESC);
    g_assert(qvtd_svm_is_poisoned(f, old, PAGE));
    qvtd_svm_stop(f);
}

/* The overflow is of the unit, not of a place: it lasts */
static void test_moved_full_queue(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    uint64_t old = f->v->prq;

    overflow(f);
    qvtd_enable_prq(f->v, 0);
    qvtd_svm_poison(f, old, PAGE);
    qvtd_svm_expect_no_page_req(f);
    g_assert_cmphex(status(f), ==, QVTD_PRS_PRO);
    qvtd_writel(f->v, QVTD_PRS_REG, QVTD_PRS_PRO);
    g_assert(serve_all(f));
    g_assert(qvtd_svm_is_poisoned(f, old, PAGE));
    qvtd_svm_stop(f);
}

/*
 * Descriptors
 */

/* 7.10: what was requested before is in the queue when the wait completes */
static void test_drain(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_inv(f->v, qvtd_wait_desc(QVTD_WAIT_FN | QVTD_WAIT_PD, 0, 0));
    /* It drains, and answers nothing */
    qsvm_settle(&f->svm);
    g_assert(!qsvm_is_done(&f->svm));
    qvtd_iq_push(f->v, qvtd_page_response_desc(f->sid, QVTD_SVM_PASID,
                                               req.prgi, QVTD_SVM_INVALID));
    qvtd_inv(f->v, qvtd_wait_desc(QVTD_WAIT_FN | QVTD_WAIT_PD, 0, 0));
    g_assert(!qsvm_wait(&f->svm));
    qvtd_svm_stop(f);
}

typedef struct Response {
    const char *path;
    uint64_t qw[4];         /* differs from the right response by these */
    bool legal;
} Response;

static const Response responses[] = {
    { "/svm/prq/response-may-have-LPIG-clear", { 0, 1 << 2 }, true },
    { "/svm/prq/response-may-have-private-data",
      { 1 << 5, 0, 0x1122334455667788, 0x99aabbccddeeff00 }, true },
    { "/svm/prq/response-bit-6-is-reserved", { 1 << 6 } },
    { "/svm/prq/response-bit-8-is-reserved", { 1 << 8 } },
    { "/svm/prq/response-bits-above-the-PASID-are-reserved", { 1ULL << 52 } },
    { "/svm/prq/response-bit-0-of-the-second-word-is-reserved", { 0, 1 } },
    { "/svm/prq/response-bits-above-the-index-are-reserved", { 0, 1 << 12 } },
    { "/svm/prq/response-third-word-is-reserved", { 0, 0, 1 } },
    { "/svm/prq/response-fourth-word-is-reserved", { 0, 0, 0, 1ULL << 63 } },
};

/* A malformed one stops the queue and answers nothing */
static void test_response(const void *data)
{
    const Response *r = data;
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;
    QVTDDesc desc;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    desc = qvtd_page_response_desc(f->sid, QVTD_SVM_PASID, req.prgi,
                                   QVTD_SVM_INVALID);
    for (int i = 0; i < ARRAY_SIZE(desc.qw); i++) {
        desc.qw[i] ^= r->qw[i];
    }
    g_assert(qvtd_iq_submit(f->v, desc) == r->legal);
    if (!r->legal) {
        g_assert(qvtd_iq_error(f->v));
        qvtd_iq_recover(f->v);
        qsvm_settle(&f->svm);
        g_assert(!qsvm_is_done(&f->svm));
        qvtd_svm_respond(f, &req, QVTD_SVM_INVALID);
    }
    g_assert(!qsvm_wait(&f->svm));
    qvtd_svm_stop(f);
}

/* Its index is nobody's: nothing happens, and the queue goes on */
static void test_response_without_pri(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(CREDITS);
    QVTDPageReq req;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    qvtd_inv(f->v, qvtd_page_response_desc(QPCI_DEVFN(0, 0), req.pasid,
                                           req.prgi, QVTD_SVM_FAILURE));
    qvtd_inv(f->v, qvtd_page_response_desc(QPCI_DEVFN(0x1f, 0), QVTD_NO_PASID,
                                           req.prgi, QVTD_SVM_FAILURE));
    qvtd_svm_expect_no_page_req(f);
    g_assert(!qsvm_is_done(&f->svm));
    qvtd_svm_respond(f, &req, QVTD_SVM_INVALID);
    g_assert(!qsvm_wait(&f->svm));
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(bad_queues); i++) {
        qtest_add_data_func(bad_queues[i].path, &bad_queues[i],
                            test_bad_queue);
    }
    for (int i = 0; i < ARRAY_SIZE(messages); i++) {
        qtest_add_data_func(messages[i].path, &messages[i], test_message);
    }
    for (int i = 0; i < ARRAY_SIZE(responses); i++) {
        qtest_add_data_func(responses[i].path, &responses[i], test_response);
    }
    qtest_add_func("/svm/prq/the-first-request-is-an-event", test_event);
    qtest_add_func("/svm/prq/a-request-of-the-main-loop-is-an-event-at-once",
                   test_event_at_once);
    qtest_add_func("/svm/prq/a-masked-event-is-pending", test_masked_event);
    qtest_add_func("/svm/prq/a-cleared-status-is-no-event",
                   test_cleared_event);
    qtest_add_func("/svm/prq/further-requests-are-no-events", test_one_event);
    qtest_add_func("/svm/prq/an-overflow-alone-is-an-event",
                   test_overflow_event);
    qtest_add_func("/svm/prq/an-overflow-of-pending-requests-is-no-event",
                   test_joining_event);
    qtest_add_func("/svm/prq/an-event-is-pending-until-both-bits-are-clear",
                   test_two_conditions);
    qtest_add_func("/svm/prq/the-message-is-read-when-the-event-is-sent",
                   test_late_message);
    qtest_add_func("/svm/prq/reserved-bits-of-registers-read-as-zero",
                   test_reserved_bits);
    qtest_add_func("/svm/prq/halves-of-registers-are-written-one-by-one",
                   test_halves);
    qtest_add_func("/svm/prq/accesses-of-8-and-16-bits-are-ignored",
                   test_odd_accesses);
    qtest_add_func("/svm/prq/accesses-of-32-bits-are-enough",
                   test_32_bit_accesses);
    qtest_add_func("/svm/prq/registers-have-their-values-after-reset",
                   test_reset_values);
    qtest_add_func("/svm/prq/registers-are-accessed-in-pairs",
                   test_wide_access);
    qtest_add_func("/svm/prq/a-queue-of-each-size-wraps", test_wrap);
    qtest_add_func("/svm/prq/a-queue-of-each-size-holds-one-less",
                   test_capacity);
    qtest_add_func("/svm/prq/a-discarded-request-is-answered-by-nobody",
                   test_no_automatic_response);
    qtest_add_func("/svm/prq/a-group-that-was-cut-is-completed",
                   test_cut_group);
    qtest_add_func("/svm/prq/a-queue-ends-where-memory-ends",
                   test_end_of_memory);
    qtest_add_func("/svm/prq/a-queue-that-was-moved-is-left-alone",
                   test_moved_queue);
    qtest_add_func("/svm/prq/an-overflow-outlasts-the-move-of-the-queue",
                   test_moved_full_queue);
    qtest_add_func("/svm/prq/a-response-to-a-function-without-PRI-is-ignored",
                   test_response_without_pri);
    qtest_add_func("/svm/prq/the-queue-is-used-again-and-again", test_many);
    qtest_add_func("/svm/prq/an-overflow-loses-nothing", test_overflow);
    qtest_add_func("/svm/prq/a-full-queue-overflows-again", test_full);
    qtest_add_func("/svm/prq/Stopped-does-not-wait-for-an-incomplete-group",
                   test_disabled_in_a_group);
    qtest_add_func("/svm/prq/an-allocation-that-is-lowered-lets-a-group-end",
                   test_lowered_in_a_group);
    qtest_add_func("/svm/prq/credits-of-a-group-that-faults-come-back",
                   test_fault_in_a_group);
    qtest_add_func("/svm/prq/a-wait-for-room-can-be-ended",
                   test_end_of_wait_for_room);
    qtest_add_func("/svm/prq/a-drain-answers-nothing", test_drain);
    return g_test_run();
}
