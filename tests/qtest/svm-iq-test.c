/*
 * QTest testcase for SVM: which descriptors the invalidation queue takes, what
 * stops it, and how it goes on
 *
 * VT-d rev 4.1, 6.5.2, 11.4.4.3 and 11.4.9.9.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qobject/qdict.h"
#include "libqos/vtd-svm.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f0000003000ULL
#define VECTOR      0x41
#define VECTOR2     0x42

/* An endpoint that nobody has set up, and a port with one behind it */
#define ENDPOINT    QPCI_DEVFN(4, 0)
#define PORT        QPCI_DEVFN(3, 0)
#define PORT_BUS    1
#define DEVICES     "-device svm,addr=0x4 " \
                    "-device pcie-root-port,id=rp,addr=0x3 " \
                    "-device svm,bus=rp,id=gone "

/* Functions that are not there: on the root bus, and on no bus at all */
#define ABSENT      QPCI_DEVFN(6, 3)
#define NO_BUS      0x4208

/* IQERCD.IQEI */
#define TAIL        1
#define FETCH       2
#define TYPE        3
#define RESERVED    4
#define WIDTH       5
#define ALIGNMENT   6

/* Bits of descriptors */
#define BIT64(n)    (1ULL << (n))
#define G(n)        ((uint64_t)(n) << 4)
#define DID         (7ULL << 16)
#define SID_16      ((uint64_t)ENDPOINT << 16)
#define SID_32      ((uint64_t)ENDPOINT << 32)
#define PASID       (0xfff85ULL << 32)
#define EVERYTHING  QVTD_DEV_TLB_ALL

/* Kinds of tables and of queue */
typedef struct Mode {
    bool scalable;
    bool wide;
} Mode;

static const Mode scalable = { true, true };
static const Mode narrow = { true, false };
static const Mode legacy = { false, false };
static const Mode legacy_wide = { false, true };

/* A machine whose unit has an empty root table, and a queue of @mode */
static QVTD *start(const Mode *mode)
{
    QTestState *qts = qtest_init("-M q35 -device intel-iommu,svm=on " DEVICES);
    QVTD *v = qvtd_new(qts, mode->scalable);

    qvtd_set_root(v);
    qvtd_enable_qi(v, 0, mode->wide);
    qvtd_set_translation(v, true);
    return v;
}

static void stop(QVTD *v)
{
    QTestState *qts = v->qts;

    qvtd_free(v);
    qtest_quit(qts);
}

/*
 * Descriptors
 */

typedef struct DescCase {
    const char *path;
    const Mode *mode;
    QVTDDesc desc;
    unsigned int error;     /* IQEI, or 0 */
} DescCase;

static const DescCase desc_cases[] = {
    { "/svm/inv/context-cache-of-everything-is-legal", &scalable,
      { { 1 | G(1) } } },
    { "/svm/inv/context-cache-of-a-domain-is-legal", &scalable,
      { { 1 | G(2) | DID } } },
    { "/svm/inv/context-cache-of-functions-with-a-mask-is-legal", &scalable,
      { { 1 | G(3) | DID | SID_32 | 3ULL << 48 } } },
    { "/svm/inv/context-cache-granularity-0-is-reserved", &scalable,
      { { 1 } }, RESERVED },
    { "/svm/inv/context-cache-bits-8-to-6-are-reserved", &scalable,
      { { 1 | G(1) | BIT64(8) } }, RESERVED },
    { "/svm/inv/context-cache-bits-15-to-12-are-reserved", &scalable,
      { { 1 | G(1) | BIT64(12) } }, RESERVED },
    { "/svm/inv/context-cache-bits-above-the-mask-are-reserved", &scalable,
      { { 1 | G(1) | BIT64(50) } }, RESERVED },
    { "/svm/inv/context-cache-second-word-is-reserved", &scalable,
      { { 1 | G(1), 1 } }, RESERVED },
    { "/svm/inv/context-cache-upper-half-is-reserved", &scalable,
      { { 1 | G(1), 0, 0, BIT64(63) } }, RESERVED },

    { "/svm/inv/IOTLB-of-everything-with-drains-is-legal", &scalable,
      { { 2 | G(1) | BIT64(6) | BIT64(7) } } },
    { "/svm/inv/IOTLB-of-a-domain-is-legal",
      &scalable, { { 2 | G(2) | DID } } },
    { "/svm/inv/IOTLB-of-pages-with-a-hint-is-legal", &scalable,
      { { 2 | G(3) | DID, IOVA | BIT64(6) | VTD_MAMV } } },
    { "/svm/inv/IOTLB-of-more-pages-than-MAMV-is-reserved", &scalable,
      { { 2 | G(3) | DID, IOVA | (VTD_MAMV + 1) } }, RESERVED },
    { "/svm/inv/IOTLB-granularity-0-is-reserved", &scalable,
      { { 2 } }, RESERVED },
    { "/svm/inv/IOTLB-bit-8-is-reserved", &scalable,
      { { 2 | G(1) | BIT64(8) } }, RESERVED },
    { "/svm/inv/IOTLB-bits-15-to-12-are-reserved", &scalable,
      { { 2 | G(1) | BIT64(15) } }, RESERVED },
    { "/svm/inv/IOTLB-bits-above-the-domain-are-reserved", &scalable,
      { { 2 | G(1) | BIT64(32) } }, RESERVED },
    { "/svm/inv/IOTLB-bits-below-the-address-are-reserved", &scalable,
      { { 2 | G(3) | DID, IOVA | BIT64(7) } }, RESERVED },
    { "/svm/inv/IOTLB-upper-half-is-reserved", &scalable,
      { { 2 | G(1), 0, 1 } }, RESERVED },

    { "/svm/inv/device-TLB-of-a-page-is-legal",
      &scalable, { { 3 | SID_32, IOVA } } },
    { "/svm/inv/device-TLB-of-everything-and-MIP-is-legal", &scalable,
      { { 3 | SID_32 | 31 << 16, EVERYTHING | 1 } } },
    { "/svm/inv/device-TLB-bits-8-to-4-are-reserved", &scalable,
      { { 3 | SID_32 | BIT64(4), IOVA } }, RESERVED },
    { "/svm/inv/device-TLB-PFSID-is-reserved-without-DIT", &scalable,
      { { 3 | SID_32 | BIT64(12), IOVA } }, RESERVED },
    { "/svm/inv/device-TLB-bits-above-MIP-are-reserved", &scalable,
      { { 3 | SID_32 | BIT64(21), IOVA } }, RESERVED },
    { "/svm/inv/device-TLB-bits-above-the-function-are-reserved", &scalable,
      { { 3 | SID_32 | BIT64(48), IOVA } }, RESERVED },
    { "/svm/inv/device-TLB-bits-below-the-address-are-reserved", &scalable,
      { { 3 | SID_32, IOVA | BIT64(1) } }, RESERVED },
    { "/svm/inv/device-TLB-upper-half-is-reserved", &scalable,
      { { 3 | SID_32, IOVA, BIT64(63) } }, RESERVED },

    { "/svm/inv/interrupt-entry-cache-of-everything-is-legal",
      &scalable, { { 4 } } },
    { "/svm/inv/interrupt-entry-cache-of-one-index-is-legal", &scalable,
      { { 4 | BIT64(4) | 2ULL << 27 | 8ULL << 32 } } },
    { "/svm/inv/interrupt-entry-bits-26-to-5-are-reserved", &scalable,
      { { 4 | BIT64(26) } }, RESERVED },
    { "/svm/inv/interrupt-entry-bits-above-the-index-are-reserved", &scalable,
      { { 4 | BIT64(48) } }, RESERVED },
    { "/svm/inv/interrupt-entry-second-word-is-reserved", &scalable,
      { { 4, 1 } }, RESERVED },

    { "/svm/inv/wait-for-the-fence-alone-is-legal", &scalable,
      { { 5 | QVTD_WAIT_FN } } },
    { "/svm/inv/wait-for-the-interrupt-alone-is-legal", &scalable,
      { { 5 | QVTD_WAIT_IF } } },
    { "/svm/inv/wait-for-the-fence-and-the-drain-is-legal", &scalable,
      { { 5 | QVTD_WAIT_FN | QVTD_WAIT_PD } } },
    { "/svm/inv/wait-for-nothing-is-malformed", &scalable,
      { { 5 } }, RESERVED },
    { "/svm/inv/wait-for-the-drain-alone-is-malformed", &scalable,
      { { 5 | QVTD_WAIT_PD } }, RESERVED },
    { "/svm/inv/wait-bit-8-is-reserved", &scalable,
      { { 5 | QVTD_WAIT_FN | BIT64(8) } }, RESERVED },
    { "/svm/inv/wait-bits-31-to-12-are-reserved", &scalable,
      { { 5 | QVTD_WAIT_FN | BIT64(31) } }, RESERVED },
    { "/svm/inv/wait-status-address-is-aligned", &scalable,
      { { 5 | QVTD_WAIT_SW, PAGE | 2 } }, RESERVED },
    { "/svm/inv/wait-upper-half-is-reserved", &scalable,
      { { 5 | QVTD_WAIT_FN, 0, 1 } }, RESERVED },

    { "/svm/inv/PASID-IOTLB-of-a-PASID-is-legal", &scalable,
      { { 6 | G(2) | DID | PASID } } },
    { "/svm/inv/PASID-IOTLB-of-2-GiB-of-a-PASID-is-legal", &scalable,
      { { 6 | G(3) | DID | PASID, 19 } } },
    { "/svm/inv/PASID-IOTLB-of-pages-with-a-hint-is-legal", &scalable,
      { { 6 | G(3) | DID | PASID, IOVA | BIT64(6) } } },
    { "/svm/inv/PASID-IOTLB-granularity-0-is-reserved", &scalable,
      { { 6 | DID | PASID } }, RESERVED },
    { "/svm/inv/PASID-IOTLB-granularity-1-is-reserved", &scalable,
      { { 6 | G(1) | DID | PASID } }, RESERVED },
    { "/svm/inv/PASID-IOTLB-bits-8-to-6-are-reserved", &scalable,
      { { 6 | G(2) | DID | PASID | BIT64(6) } }, RESERVED },
    { "/svm/inv/PASID-IOTLB-bits-15-to-12-are-reserved", &scalable,
      { { 6 | G(2) | DID | PASID | BIT64(12) } }, RESERVED },
    { "/svm/inv/PASID-IOTLB-bits-above-the-PASID-are-reserved", &scalable,
      { { 6 | G(2) | DID | PASID | BIT64(52) } }, RESERVED },
    { "/svm/inv/PASID-IOTLB-bits-below-the-address-are-reserved", &scalable,
      { { 6 | G(3) | DID | PASID, IOVA | BIT64(7) } }, RESERVED },
    { "/svm/inv/PASID-IOTLB-upper-half-is-reserved", &scalable,
      { { 6 | G(2) | DID | PASID, 0, 1 } }, RESERVED },

    { "/svm/inv/PASID-cache-of-a-domain-is-legal", &scalable,
      { { 7 | G(QVTD_PC_DOMAIN) | DID } } },
    { "/svm/inv/PASID-cache-of-a-PASID-is-legal", &scalable,
      { { 7 | G(QVTD_PC_PASID) | DID | PASID } } },
    { "/svm/inv/PASID-cache-of-everything-is-legal", &scalable,
      { { 7 | G(QVTD_PC_GLOBAL) } } },
    { "/svm/inv/PASID-cache-granularity-2-is-reserved", &scalable,
      { { 7 | G(2) | DID } }, RESERVED },
    { "/svm/inv/PASID-cache-bits-8-to-6-are-reserved", &scalable,
      { { 7 | G(QVTD_PC_GLOBAL) | BIT64(6) } }, RESERVED },
    { "/svm/inv/PASID-cache-bits-15-to-12-are-reserved", &scalable,
      { { 7 | G(QVTD_PC_GLOBAL) | BIT64(12) } }, RESERVED },
    { "/svm/inv/PASID-cache-bits-above-the-PASID-are-reserved", &scalable,
      { { 7 | G(QVTD_PC_GLOBAL) | BIT64(52) } }, RESERVED },
    { "/svm/inv/PASID-cache-second-word-is-reserved", &scalable,
      { { 7 | G(QVTD_PC_GLOBAL), 1 } }, RESERVED },
    { "/svm/inv/PASID-cache-upper-half-is-reserved", &scalable,
      { { 7 | G(QVTD_PC_GLOBAL), 0, 1 } }, RESERVED },

    { "/svm/inv/PASID-device-TLB-of-a-page-is-legal", &scalable,
      { { 8 | SID_16 | PASID, IOVA } } },
    { "/svm/inv/PASID-device-TLB-of-everything-of-all-PASIDs-is-legal",
      &scalable,
      { { 8 | SID_16 | 31 << 4, EVERYTHING | BIT64(11) | 1 } } },
    { "/svm/inv/PASID-device-TLB-PFSID-is-reserved-without-DIT", &scalable,
      { { 8 | SID_16 | PASID | BIT64(12), IOVA } }, RESERVED },
    { "/svm/inv/PASID-device-TLB-upper-PFSID-is-reserved-without-DIT",
      &scalable, { { 8 | SID_16 | PASID | BIT64(52), IOVA } }, RESERVED },
    { "/svm/inv/PASID-device-TLB-bits-10-to-1-are-reserved", &scalable,
      { { 8 | SID_16 | PASID, IOVA | BIT64(10) } }, RESERVED },
    { "/svm/inv/PASID-device-TLB-upper-half-is-reserved", &scalable,
      { { 8 | SID_16 | PASID, IOVA, 1 } }, RESERVED },

    { "/svm/inv/type-0-is-reserved", &scalable, { { 0 } }, TYPE },
    { "/svm/inv/type-10-is-reserved", &scalable, { { 10 } }, TYPE },
    { "/svm/inv/type-15-is-reserved", &scalable, { { 15 } }, TYPE },
    { "/svm/inv/bits-11-to-9-are-of-the-type", &scalable,
      { { 5 | QVTD_WAIT_FN | BIT64(9) } }, TYPE },

    { "/svm/inv/wait-in-a-128-bit-queue-is-legal", &narrow,
      { { 5 | QVTD_WAIT_FN | QVTD_WAIT_PD } } },
    { "/svm/inv/device-TLB-in-a-128-bit-queue-is-legal", &narrow,
      { { 3 | SID_32, IOVA } } },
    { "/svm/inv/reserved-bits-in-a-128-bit-queue", &narrow,
      { { 3 | SID_32, IOVA | 2 } }, RESERVED },
    { "/svm/inv/PASID-IOTLB-does-not-fit-a-128-bit-queue", &narrow,
      { { 6 | G(2) | DID | PASID } }, WIDTH },
    { "/svm/inv/PASID-cache-does-not-fit-a-128-bit-queue", &narrow,
      { { 7 | G(QVTD_PC_GLOBAL) } }, WIDTH },
    { "/svm/inv/PASID-device-TLB-does-not-fit-a-128-bit-queue", &narrow,
      { { 8 | SID_16 | PASID, IOVA } }, WIDTH },
    { "/svm/inv/page-group-response-does-not-fit-a-128-bit-queue", &narrow,
      { { 9 | SID_16 } }, WIDTH },

    { "/svm/inv/context-cache-in-legacy-mode-is-legal", &legacy,
      { { 1 | G(3) | DID | SID_32 } } },
    { "/svm/inv/device-TLB-in-legacy-mode-is-legal", &legacy,
      { { 3 | SID_32, EVERYTHING | 1 } } },
    { "/svm/inv/PASID-cache-does-not-fit-legacy-mode", &legacy,
      { { 7 | G(QVTD_PC_GLOBAL) } }, WIDTH },
    { "/svm/inv/type-10-is-reserved-in-legacy-mode", &legacy,
      { { 10 } }, TYPE },
    { "/svm/inv/PASID-cache-in-a-wide-legacy-queue-is-legal",
      &legacy_wide, { { 7 | G(QVTD_PC_GLOBAL) } } },
    { "/svm/inv/PASID-IOTLB-in-a-wide-legacy-queue-is-legal",
      &legacy_wide, { { 6 | G(2) | DID | PASID } } },
    { "/svm/inv/PASID-device-TLB-in-a-wide-legacy-queue-is-legal",
      &legacy_wide, { { 8 | SID_16 | PASID, IOVA } } },
    { "/svm/inv/page-group-response-in-a-wide-legacy-queue-is-legal",
      &legacy_wide, { { 9 | SID_16 } } },
};

static void check_legal(QVTD *v)
{
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG), ==, 0);
    g_assert_cmphex(qvtd_readq(v, DMAR_IQH_REG), ==,
                    qvtd_readq(v, DMAR_IQT_REG));
}

/* The head stays at it, and what follows waits for software */
static void check_error(QVTD *v, uint64_t head, unsigned int error)
{
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG), ==, VTD_FSTS_IQE);
    g_assert_cmphex(qvtd_readq(v, QVTD_IQERCD_REG), ==, error);
    g_assert_cmphex(qvtd_readq(v, DMAR_IQH_REG), ==, head);
    g_assert_cmphex(qtest_readl(v->qts, v->wait_addr), !=, v->wait_data);
    qvtd_iq_kick(v);
    g_assert_cmphex(qtest_readl(v->qts, v->wait_addr), !=, v->wait_data);
    qvtd_iq_recover(v);
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG), ==, 0);
    g_assert_cmphex(qtest_readl(v->qts, v->wait_addr), ==, v->wait_data);
}

static void test_desc(const void *data)
{
    const DescCase *c = data;
    QVTD *v = start(c->mode);
    uint64_t head;

    qvtd_inv(v, qvtd_wait_desc(QVTD_WAIT_FN, 0, 0));
    head = qvtd_readq(v, DMAR_IQH_REG);
    g_assert(qvtd_iq_submit(v, c->desc) == !c->error);
    if (c->error) {
        check_error(v, head, c->error);
    } else {
        check_legal(v);
    }
    stop(v);
}

/*
 * Other errors of the queue
 */

/* Linux overwrites the descriptor, clears the error and waits */
static void test_goes_on(void)
{
    QVTD *v = start(&scalable);
    QVTDDesc nop = qvtd_wait_desc(QVTD_WAIT_FN, 0, 0);

    g_assert(!qvtd_iq_submit(v, (QVTDDesc) { { 10 } }));
    qtest_writeq(v->qts, v->iq, nop.qw[0]);
    qvtd_writel(v, DMAR_FSTS_REG, VTD_FSTS_IQE);
    g_assert_cmphex(qtest_readl(v->qts, v->wait_addr), ==, v->wait_data);
    check_legal(v);
    stop(v);
}

static void test_cleared_too_early(void)
{
    QVTD *v = start(&scalable);

    g_assert(!qvtd_iq_submit(v, (QVTDDesc) { { 10 } }));
    qvtd_writel(v, DMAR_FSTS_REG, VTD_FSTS_IQE);
    check_error(v, 0, TYPE);
    stop(v);
}

static void check_tail(const Mode *mode, uint64_t tail, unsigned int error)
{
    QVTD *v = start(mode);

    qvtd_writeq(v, DMAR_IQT_REG, tail);
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG), ==, VTD_FSTS_IQE);
    g_assert_cmpuint(qvtd_iq_error_info(v), ==, error);
    g_assert_cmphex(qvtd_readq(v, DMAR_IQH_REG), ==, 0);
    /* Software corrects the tail and clears the error */
    qvtd_iq_push(v, qvtd_wait_desc(QVTD_WAIT_SW, 0x600d, v->wait_addr));
    qvtd_iq_kick(v);
    g_assert_cmphex(qtest_readl(v->qts, v->wait_addr), ==, 0);
    qvtd_writel(v, DMAR_FSTS_REG, VTD_FSTS_IQE);
    g_assert_cmphex(qtest_readl(v->qts, v->wait_addr), ==, 0x600d);
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG), ==, 0);
    stop(v);
}

static void test_tail(void)
{
    check_tail(&scalable, PAGE, TAIL);
}

static void test_narrow_tail(void)
{
    check_tail(&narrow, PAGE, TAIL);
}

static void test_odd_tail(void)
{
    check_tail(&scalable, 0x10, ALIGNMENT);
}

static void test_fetch(void)
{
    QTestState *qts = qtest_init("-M q35 -device intel-iommu,svm=on");
    QVTD *v = qvtd_new(qts, true);

    qvtd_set_root(v);
    qvtd_enable_qi(v, 0, true);
    qvtd_inv(v, qvtd_wait_desc(QVTD_WAIT_FN, 0, 0));
    /* Disabled, moved to where no memory is, and enabled again */
    qvtd_writel(v, DMAR_GCMD_REG, 0);
    qvtd_writeq(v, DMAR_IQT_REG, 0);
    qvtd_writeq(v, DMAR_IQA_REG, QVTD_SVM_NO_RAM | VTD_IQA_DW_MASK);
    qvtd_writel(v, DMAR_GCMD_REG, VTD_GCMD_QIE);
    qvtd_writeq(v, DMAR_IQT_REG, 0x20);
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG), ==, VTD_FSTS_IQE);
    g_assert_cmpuint(qvtd_iq_error_info(v), ==, FETCH);
    stop(v);
}

/* No queue error that has a name, but status cannot be lost in silence */
static void test_status_without_memory(void)
{
    QVTD *v = start(&scalable);

    g_assert(!qvtd_iq_submit(v, qvtd_wait_desc(QVTD_WAIT_SW, 1,
                                               QVTD_SVM_NO_RAM)));
    check_error(v, 0, 0);
    stop(v);
}

static void test_record_is_read_only(void)
{
    QVTD *v = start(&scalable);

    g_assert(!qvtd_iq_submit(v, (QVTDDesc) { { 10 } }));
    qvtd_writeq(v, QVTD_IQERCD_REG, UINT64_MAX);
    qvtd_writel(v, QVTD_IQERCD_REG, UINT32_MAX);
    qvtd_writel(v, QVTD_IQERCD_REG + 4, UINT32_MAX);
    g_assert_cmphex(qvtd_readl(v, QVTD_IQERCD_REG), ==, TYPE);
    g_assert_cmphex(qvtd_readl(v, QVTD_IQERCD_REG + 4), ==, 0);
    stop(v);
}

/*
 * Time-outs: an invalidation that nobody answers
 */

static bool timed_out(QVTD *v)
{
    return qvtd_readl(v, DMAR_FSTS_REG) & QVTD_FSTS_ITE;
}

static void clear_timeout(QVTD *v)
{
    qvtd_writel(v, DMAR_FSTS_REG, QVTD_FSTS_ITE);
}

static QVTDDesc inv_with_pasid(uint16_t sid)
{
    return qvtd_dev_piotlb_desc(sid, QVTD_SVM_PASID, EVERYTHING, true, false);
}

static QVTDDesc inv_without_pasid(uint16_t sid)
{
    return qvtd_dev_iotlb_desc(sid, EVERYTHING, true);
}

static QVTDDesc inv_all_pasids(uint16_t sid)
{
    return qvtd_dev_piotlb_desc(sid, 0, EVERYTHING, true, true);
}

typedef struct Timeout {
    const char *path;
    QVTDDesc (*desc)(uint16_t sid);
    uint16_t sid;
    bool times_out;
} Timeout;

static const Timeout timeouts[] = {
    { "/svm/inv/a-function-whose-ATS-is-disabled-answers",
      inv_without_pasid, ENDPOINT },
    { "/svm/inv/a-function-whose-ATS-is-disabled-answers-with-PASID",
      inv_with_pasid, ENDPOINT },
    { "/svm/inv/a-function-whose-ATS-is-disabled-answers-for-all-PASIDs",
      inv_all_pasids, ENDPOINT },
    { "/svm/inv/no-function-answers-an-invalidation-with-PASID",
      inv_with_pasid, ABSENT, true },
    { "/svm/inv/no-function-answers-an-invalidation-without-PASID",
      inv_without_pasid, ABSENT, true },
    { "/svm/inv/no-function-answers-an-invalidation-of-all-PASIDs",
      inv_all_pasids, ABSENT, true },
    { "/svm/inv/no-bus-answers-an-invalidation",
      inv_with_pasid, NO_BUS, true },
    { "/svm/inv/a-function-without-ATS-does-not-answer",
      inv_without_pasid, PORT, true },
    { "/svm/inv/a-conventional-function-does-not-answer",
      inv_with_pasid, QPCI_DEVFN(0, 0), true },
};

/* The wait descriptor is aborted: it has passed, and wrote nothing */
static void check_timeout(QVTD *v, uint16_t sid)
{
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG), ==, QVTD_FSTS_ITE);
    g_assert_cmphex(qvtd_readq(v, QVTD_IQERCD_REG), ==, (uint64_t)sid << 32);
    g_assert_cmphex(qvtd_readq(v, DMAR_IQH_REG), ==,
                    qvtd_readq(v, DMAR_IQT_REG));
    clear_timeout(v);
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG), ==, 0);
    g_assert_cmphex(qtest_readl(v->qts, v->wait_addr), !=, v->wait_data);
}

static void test_timeout(const void *data)
{
    const Timeout *t = data;
    QVTD *v = start(&scalable);

    g_assert(qvtd_iq_submit(v, t->desc(t->sid)) == !t->times_out);
    if (t->times_out) {
        check_timeout(v, t->sid);
    } else {
        check_legal(v);
    }
    qvtd_inv(v, qvtd_wait_desc(QVTD_WAIT_FN, 0, 0));
    stop(v);
}

static void test_narrow_timeout(void)
{
    QVTD *v = start(&legacy);

    g_assert(!qvtd_iq_submit(v, inv_without_pasid(ABSENT)));
    check_timeout(v, ABSENT);
    qvtd_inv(v, qvtd_wait_desc(QVTD_WAIT_FN, 0, 0));
    stop(v);
}

/* ATS is disabled by a reset of which the driver of the IOMMU knows nothing */
static void test_reset_function(void)
{
    QVTDSVM *f = qvtd_svm_start();

    qsvm_function_reset(&f->svm);
    qvtd_inv(f->v, inv_with_pasid(f->sid));
    g_assert(!timed_out(f->v));
    qvtd_svm_stop(f);
}

/* No guest acknowledges it, so that it happens when the machine is reset */
static void unplug(QVTDSVM *f, const char *id)
{
    qtest_qmp_device_del_send(f->qts, id);
    qobject_unref(qtest_qmp(f->qts, "{ 'execute': 'system_reset' }"));
    qtest_qmp_eventwait(f->qts, "RESET");
    qvtd_svm_number_bus(f, PORT, PORT_BUS);
    qvtd_free(f->v);
    f->v = qvtd_new(f->qts, true);
    qvtd_enable(f->v);
}

/* It was there, listened and answered */
static void test_unplugged(void)
{
    QVTDSVM *f = qvtd_svm_start_machine("", DEVICES);
    uint64_t page;

    qvtd_svm_number_bus(f, PORT, PORT_BUS);
    qvtd_svm_attach(f, PORT_BUS << 8);
    page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_inv(f->v, inv_with_pasid(f->sid));
    unplug(f, "gone");
    g_assert(!qvtd_iq_submit(f->v, inv_with_pasid(f->sid)));
    check_timeout(f->v, f->sid);
    qvtd_svm_stop(f);
}

/* What is between the invalidation and the wait is done */
static void test_done_before_the_wait(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_iq_push(f->v, inv_with_pasid(ABSENT));
    g_assert(!qvtd_iq_submit(f->v, inv_with_pasid(f->sid)));
    g_assert(timed_out(f->v));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_REVOKED), ==, 1);
    qvtd_svm_stop(f);
}

/* What follows the wait is not, until the error is cleared */
static void test_stopped_after_the_wait(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_iq_push(f->v, inv_with_pasid(ABSENT));
    qvtd_iq_push(f->v, qvtd_wait_desc(QVTD_WAIT_SW, 0xbad, f->v->wait_addr));
    g_assert(!qvtd_iq_submit(f->v, inv_with_pasid(f->sid)));
    g_assert(timed_out(f->v));
    g_assert_cmphex(qvtd_readq(f->v, DMAR_IQH_REG), ==, 2 * 32);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_INVALIDATIONS), ==, 0);
    qvtd_iq_kick(f->v);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_INVALIDATIONS), ==, 0);
    g_assert_cmphex(qtest_readl(f->qts, f->v->wait_addr), ==, 0);

    clear_timeout(f->v);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_INVALIDATIONS), ==, 1);
    g_assert_cmphex(qtest_readl(f->qts, f->v->wait_addr), ==,
                    f->v->wait_data);
    g_assert(!timed_out(f->v));
    qvtd_svm_stop(f);
}

static void test_timeout_without_wait(void)
{
    QVTD *v = start(&scalable);

    qvtd_iq_push(v, inv_with_pasid(ABSENT));
    qvtd_iq_kick(v);
    g_assert(timed_out(v));
    g_assert(!qvtd_iq_submit(v, inv_with_pasid(ENDPOINT)));
    g_assert_cmphex(qvtd_readq(v, DMAR_IQH_REG), ==, 32);
    clear_timeout(v);
    g_assert_cmphex(qtest_readl(v->qts, v->wait_addr), ==, v->wait_data);
    stop(v);
}

static void test_first_of_two(void)
{
    QVTD *v = start(&scalable);

    qvtd_iq_push(v, inv_with_pasid(NO_BUS));
    g_assert(!qvtd_iq_submit(v, inv_with_pasid(ABSENT)));
    check_timeout(v, NO_BUS);
    g_assert(!qvtd_iq_submit(v, inv_with_pasid(ABSENT)));
    check_timeout(v, ABSENT);
    stop(v);
}

/* The interrupt of a wait that is aborted does not come either */
static void test_aborted_interrupt(void)
{
    QVTD *v = start(&scalable);

    qvtd_iq_push(v, inv_with_pasid(ABSENT));
    qvtd_iq_push(v, qvtd_wait_desc(QVTD_WAIT_IF, 0, 0));
    qvtd_iq_kick(v);
    g_assert(timed_out(v));
    g_assert_cmphex(qvtd_readl(v, DMAR_ICS_REG), ==, 0);
    clear_timeout(v);
    qvtd_inv(v, qvtd_wait_desc(QVTD_WAIT_IF, 0, 0));
    g_assert_cmphex(qvtd_readl(v, DMAR_ICS_REG), ==, VTD_ICS_IWC);
    stop(v);
}

static void test_timeout_event(void)
{
    QVTD *v = start(&scalable);

    qvtd_set_msi(v, DMAR_FECTL_REG, VECTOR, 0);
    g_assert(!qvtd_iq_submit(v, inv_with_pasid(ABSENT)));
    g_assert(qvtd_msi_pending(v, VECTOR, 0));
    g_assert(!(qvtd_readl(v, DMAR_FECTL_REG) & QVTD_EVENT_PENDING));
    clear_timeout(v);

    qvtd_writel(v, DMAR_FECTL_REG, QVTD_EVENT_MASK);
    g_assert(!qvtd_iq_submit(v, inv_with_pasid(ABSENT)));
    g_assert(qvtd_readl(v, DMAR_FECTL_REG) & QVTD_EVENT_PENDING);
    qvtd_set_msi(v, DMAR_FECTL_REG, VECTOR2, 0);
    g_assert(qvtd_msi_pending(v, VECTOR2, 0));
    stop(v);
}

static void test_cleared_timeout_event(void)
{
    QVTD *v = start(&scalable);

    g_assert(!qvtd_iq_submit(v, inv_with_pasid(ABSENT)));
    g_assert(qvtd_readl(v, DMAR_FECTL_REG) & QVTD_EVENT_PENDING);
    qvtd_writel(v, DMAR_FSTS_REG, VTD_FSTS_IQE);
    g_assert(qvtd_readl(v, DMAR_FECTL_REG) & QVTD_EVENT_PENDING);
    clear_timeout(v);
    g_assert(!(qvtd_readl(v, DMAR_FECTL_REG) & QVTD_EVENT_PENDING));
    qvtd_set_msi(v, DMAR_FECTL_REG, VECTOR, 0);
    g_assert(!qvtd_msi_pending(v, VECTOR, 0));
    stop(v);
}

/* Each stops the queue; the second one is no event of its own */
static void test_both_errors(void)
{
    QVTD *v = start(&scalable);
    QVTDDesc nop = qvtd_wait_desc(QVTD_WAIT_FN, 0, 0);

    qvtd_iq_push(v, inv_with_pasid(ABSENT));
    g_assert(!qvtd_iq_submit(v, (QVTDDesc) { { 10 } }));
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG), ==,
                    VTD_FSTS_IQE | QVTD_FSTS_ITE);
    g_assert_cmphex(qvtd_readq(v, QVTD_IQERCD_REG), ==,
                    (uint64_t)ABSENT << 32 | TYPE);
    g_assert_cmphex(qvtd_readq(v, DMAR_IQH_REG), ==, 32);
    clear_timeout(v);
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG), ==, VTD_FSTS_IQE);
    g_assert_cmphex(qtest_readl(v->qts, v->wait_addr), !=, v->wait_data);
    qtest_writeq(v->qts, v->iq + 32, nop.qw[0]);
    qvtd_writel(v, DMAR_FSTS_REG, VTD_FSTS_IQE);
    g_assert_cmphex(qtest_readl(v->qts, v->wait_addr), ==, v->wait_data);
    stop(v);
}

/* Without svm=on a device that is not there costs nothing, as it always did */
static void test_without_svm(void)
{
    QTestState *qts = qtest_init("-M q35 -device intel-iommu,device-iotlb=on");
    QVTD *v = qvtd_new(qts, false);

    qvtd_enable(v);
    qvtd_inv(v, inv_without_pasid(ABSENT));
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG), ==, 0);
    g_assert(!qvtd_iq_submit(v, (QVTDDesc) { { 10 } }));
    g_assert_cmphex(qvtd_readq(v, QVTD_IQERCD_REG), ==, 0);
    stop(v);
}

static const struct {
    const char *path;
    void (*fn)(void);
} tests[] = {
    { "/svm/inv/the-queue-goes-on-when-its-error-is-cleared", test_goes_on },
    { "/svm/inv/the-queue-stops-again-at-the-same-descriptor",
      test_cleared_too_early },
    { "/svm/inv/a-tail-beyond-the-queue-is-an-error", test_tail },
    { "/svm/inv/a-tail-beyond-a-128-bit-queue-is-an-error", test_narrow_tail },
    { "/svm/inv/a-tail-within-a-256-bit-descriptor-is-an-error",
      test_odd_tail },
    { "/svm/inv/a-queue-that-is-not-in-memory-is-an-error", test_fetch },
    { "/svm/inv/a-status-that-is-not-in-memory-is-an-error",
      test_status_without_memory },
    { "/svm/inv/the-error-record-is-read-only", test_record_is_read_only },
    { "/svm/inv/no-function-answers-in-legacy-mode", test_narrow_timeout },
    { "/svm/inv/a-function-that-was-reset-answers", test_reset_function },
    { "/svm/inv/a-function-that-was-unplugged-does-not-answer",
      test_unplugged },
    { "/svm/inv/a-time-out-lets-what-precedes-the-wait-be-done",
      test_done_before_the_wait },
    { "/svm/inv/a-time-out-stops-what-follows-the-wait",
      test_stopped_after_the_wait },
    { "/svm/inv/a-time-out-needs-no-wait", test_timeout_without_wait },
    { "/svm/inv/the-first-of-two-time-outs-is-recorded", test_first_of_two },
    { "/svm/inv/a-time-out-aborts-the-interrupt-of-the-wait",
      test_aborted_interrupt },
    { "/svm/inv/a-time-out-is-a-fault-event", test_timeout_event },
    { "/svm/inv/a-cleared-time-out-is-no-event", test_cleared_timeout_event },
    { "/svm/inv/a-time-out-and-a-queue-error-stop-the-queue-both",
      test_both_errors },
    { "/svm/inv/without-svm-nothing-times-out", test_without_svm },
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(desc_cases); i++) {
        qtest_add_data_func(desc_cases[i].path, &desc_cases[i], test_desc);
    }
    for (int i = 0; i < ARRAY_SIZE(timeouts); i++) {
        qtest_add_data_func(timeouts[i].path, &timeouts[i], test_timeout);
    }
    for (int i = 0; i < ARRAY_SIZE(tests); i++) {
        qtest_add_func(tests[i].path, tests[i].fn);
    }
    return g_test_run();
}
