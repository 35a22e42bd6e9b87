/*
 * QTest testcase for SVM: what invalidations take out of a device's cache of
 * translations (ATC), and what they leave
 *
 * PCIe r6.0, 10.3; VT-d rev 4.1, 6.5.2. Each case lets the device cache a
 * translation, changes the tables and sees whether the device uses the old
 * page or the new one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/vtd-svm.h"

#define PAGE    (4 * KiB)
#define HUGE    0x7f0000000000ULL   /* aligned to all page sizes */
#define IOVA    (HUGE + 3 * PAGE)
#define OTHER   0x321               /* a PASID of nobody's or of another */

/* Two endpoints, of which the first one is used */
#define FIRST   QPCI_DEVFN(4, 0)
#define SECOND  QPCI_DEVFN(5, 0)
#define DEVICES "-device svm,addr=0x4 -device svm,addr=0x5"

/* A page that the device has cached, and that has moved since */
typedef struct Moved {
    uint64_t iova;
    uint64_t old;
    uint64_t new;
} Moved;

static Moved move_page(QVTDSVM *f, uint64_t iova)
{
    Moved m = { .iova = iova };

    m.old = qvtd_svm_map(f, iova, QVTD_FS_USER_RW);
    g_assert(qvtd_svm_writes(f, iova, m.old));
    m.new = qvtd_svm_map(f, iova, QVTD_FS_USER_RW);
    return m;
}

/* Exactly one of the two pages is written */
static bool uses_new_page(QVTDSVM *f, const Moved *m)
{
    uint8_t seen[2];

    qvtd_svm_poison(f, m->old, 1);
    qvtd_svm_poison(f, m->new, 1);
    g_assert(qsvm_write(&f->svm, m->iova, 1));
    seen[0] = qtest_readb(f->qts, m->old);
    seen[1] = qtest_readb(f->qts, m->new);
    g_assert_cmpuint(!seen[0] + !seen[1], ==, 1);
    return !seen[1];
}

/*
 * One page, one descriptor
 */

static QVTDDesc inv_page(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID, IOVA, false, false);
}

static QVTDDesc inv_8k(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID,
                                qvtd_dev_tlb_range(HUGE + 2 * PAGE, 2 * PAGE),
                                true, false);
}

static QVTDDesc inv_2m(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID,
                                qvtd_dev_tlb_range(HUGE, 2 * MiB), true,
                                false);
}

static QVTDDesc inv_all(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID, QVTD_DEV_TLB_ALL, true,
                                false);
}

static QVTDDesc inv_global(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, OTHER, QVTD_DEV_TLB_ALL, true, true);
}

static QVTDDesc inv_global_page(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, OTHER, IOVA, false, true);
}

static QVTDDesc inv_page_before(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID, IOVA - PAGE, false,
                                false);
}

static QVTDDesc inv_page_after(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID, IOVA + PAGE, false,
                                false);
}

static QVTDDesc inv_next_2m(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID,
                                qvtd_dev_tlb_range(HUGE + 2 * MiB, 2 * MiB),
                                true, false);
}

static QVTDDesc inv_other_pasid(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, OTHER, QVTD_DEV_TLB_ALL, true, false);
}

static QVTDDesc inv_other_function(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(SECOND, QVTD_SVM_PASID, QVTD_DEV_TLB_ALL,
                                true, true);
}

static QVTDDesc inv_without_pasid(QVTDSVM *f)
{
    return qvtd_dev_iotlb_desc(f->sid, QVTD_DEV_TLB_ALL, true);
}

static QVTDDesc inv_all_ones(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID,
                                ~(uint64_t)0 << 12, true, false);
}

static QVTDDesc inv_lower_half(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID,
                                qvtd_dev_tlb_range(0, 1ULL << 63), true,
                                false);
}

static QVTDDesc inv_upper_half(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID,
                                qvtd_dev_tlb_range(1ULL << 63, 1ULL << 63),
                                true, false);
}

static QVTDDesc inv_piotlb_page(QVTDSVM *f)
{
    return qvtd_piotlb_desc(QVTD_PIOTLB_PAGE, QVTD_SVM_DID, QVTD_SVM_PASID,
                            IOVA, 0, false);
}

static QVTDDesc inv_iotlb(QVTDSVM *f)
{
    return qvtd_iotlb_desc(QVTD_IOTLB_GLOBAL, 0, 0, 0);
}

static QVTDDesc inv_iotlb_domain(QVTDSVM *f)
{
    return qvtd_iotlb_desc(QVTD_IOTLB_DOMAIN, QVTD_SVM_DID, 0, 0);
}

static QVTDDesc inv_iotlb_page(QVTDSVM *f)
{
    return qvtd_iotlb_desc(QVTD_IOTLB_PAGE, QVTD_SVM_DID, IOVA, 0);
}

static QVTDDesc inv_context_cache(QVTDSVM *f)
{
    return qvtd_cc_desc(QVTD_CC_GLOBAL, 0, 0, 0);
}

static QVTDDesc inv_context_cache_function(QVTDSVM *f)
{
    return qvtd_cc_desc(QVTD_CC_DEVICE, QVTD_SVM_DID, f->sid, 0);
}

static QVTDDesc inv_pasid_cache_domain(QVTDSVM *f)
{
    return qvtd_pasid_cache_desc(QVTD_PC_DOMAIN, QVTD_SVM_DID, 0);
}

static QVTDDesc inv_pasid_cache_pasid(QVTDSVM *f)
{
    return qvtd_pasid_cache_desc(QVTD_PC_PASID, QVTD_SVM_DID, QVTD_SVM_PASID);
}

static QVTDDesc inv_piotlb(QVTDSVM *f)
{
    return qvtd_piotlb_desc(QVTD_PIOTLB_ALL, QVTD_SVM_DID, QVTD_SVM_PASID, 0,
                            0, false);
}

static QVTDDesc inv_pasid_cache(QVTDSVM *f)
{
    return qvtd_pasid_cache_desc(QVTD_PC_GLOBAL, 0, 0);
}

static QVTDDesc inv_nothing(QVTDSVM *f)
{
    return qvtd_wait_desc(QVTD_WAIT_FN, 0, 0);
}

typedef struct InvCase {
    const char *path;
    QVTDDesc (*desc)(QVTDSVM *f);
    bool hits;
} InvCase;

static const InvCase inv_cases[] = {
    { "/svm/inv/the-page-is-used-until-it-is-invalidated",
      inv_nothing, false },
    { "/svm/inv/a-page-of-the-PASID-is-invalidated", inv_page, true },
    { "/svm/inv/a-range-of-8-KiB-is-invalidated", inv_8k, true },
    { "/svm/inv/a-range-of-2-MiB-is-invalidated", inv_2m, true },
    { "/svm/inv/everything-of-the-PASID-is-invalidated", inv_all, true },
    { "/svm/inv/everything-may-be-said-by-all-ones", inv_all_ones, true },
    { "/svm/inv/the-lower-half-is-invalidated", inv_lower_half, true },
    { "/svm/inv/the-upper-half-is-another", inv_upper_half, false },
    { "/svm/inv/everything-of-all-PASIDs-is-invalidated", inv_global, true },
    { "/svm/inv/a-page-of-all-PASIDs-is-invalidated", inv_global_page, true },
    { "/svm/inv/the-page-before-is-another", inv_page_before, false },
    { "/svm/inv/the-page-after-is-another", inv_page_after, false },
    { "/svm/inv/the-next-2-MiB-are-others", inv_next_2m, false },
    { "/svm/inv/another-PASID-is-another", inv_other_pasid, false },
    { "/svm/inv/another-function-is-another", inv_other_function, false },
    { "/svm/inv/an-invalidation-without-PASID-spares-PASIDs",
      inv_without_pasid, false },
    { "/svm/inv/an-IOTLB-invalidation-is-none-of-the-device-TLB",
      inv_piotlb, false },
    { "/svm/inv/an-IOTLB-page-is-none-of-the-device-TLB",
      inv_piotlb_page, false },
    { "/svm/inv/an-IOTLB-invalidation-without-PASID-is-none-of-the-device-TLB",
      inv_iotlb, false },
    { "/svm/inv/a-PASID-cache-invalidation-is-none-of-the-device-TLB",
      inv_pasid_cache, false },
    { "/svm/inv/a-domain-of-the-PASID-cache-is-none-of-the-device-TLB",
      inv_pasid_cache_domain, false },
    { "/svm/inv/a-PASID-of-the-PASID-cache-is-none-of-the-device-TLB",
      inv_pasid_cache_pasid, false },
    { "/svm/inv/a-context-cache-invalidation-is-none-of-the-device-TLB",
      inv_context_cache, false },
    { "/svm/inv/a-function-of-the-context-cache-is-none-of-the-device-TLB",
      inv_context_cache_function, false },
};

static void test_inv(const void *data)
{
    const InvCase *c = data;
    QVTDSVM *f = qvtd_svm_start_machine("", DEVICES);
    Moved m;

    qvtd_svm_attach(f, FIRST);
    m = move_page(f, IOVA);
    qvtd_inv(f->v, c->desc(f));
    g_assert(uses_new_page(f, &m) == c->hits);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_REVOKED), ==, c->hits);
    qvtd_svm_stop(f);
}

/*
 * Ranges
 */

static QVTDDesc inv_range(QVTDSVM *f, uint64_t range, bool has_pasid)
{
    return has_pasid ? qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID, range,
                                            true, false)
                     : qvtd_dev_iotlb_desc(f->sid, range, true);
}

/* The first and last page of the range go, their neighbours stay */
static void check_range(QVTDSVM *f, uint64_t size, bool has_pasid)
{
    Moved before = move_page(f, HUGE - PAGE);
    Moved first = move_page(f, HUGE);
    Moved last = move_page(f, HUGE + size - PAGE);
    Moved after = move_page(f, HUGE + size);
    uint64_t range = qvtd_dev_tlb_range(HUGE, size);

    qvtd_inv(f->v, inv_range(f, range, has_pasid));
    g_assert(!uses_new_page(f, &before));
    g_assert(uses_new_page(f, &first));
    g_assert(uses_new_page(f, &last));
    g_assert(!uses_new_page(f, &after));
}

static void check_range_sizes(QVTDSVM *f, bool has_pasid)
{
    for (uint64_t size = 2 * PAGE; size <= 512 * GiB; size *= 2) {
        check_range(f, size, has_pasid);
        qvtd_inv(f->v, inv_range(f, QVTD_DEV_TLB_ALL, has_pasid));
    }
    qvtd_svm_stop(f);
}

/* The endpoint works with translations of requests without PASID */
static QVTDSVM *start_without_pasid(void)
{
    QVTDSVM *f = qvtd_svm_start();

    f->table = qvtd_svm_add_process(f, 0);
    qsvm_set_pasid(&f->svm, SVM_PASID_NONE);
    return f;
}

static void test_range_sizes(void)
{
    check_range_sizes(qvtd_svm_start(), true);
}

static void test_range_sizes_without_pasid(void)
{
    check_range_sizes(start_without_pasid(), false);
}

typedef struct HugePage {
    const char *path;
    int level;
    uint64_t size;
} HugePage;

static const HugePage huge_pages[] = {
    { "/svm/inv/a-2-MiB-page-goes-with-any-of-its-pages", 2, 2 * MiB },
    { "/svm/inv/a-1-GiB-page-goes-with-any-of-its-pages", 3, 1 * GiB },
};

static void test_huge_page(const void *data)
{
    const HugePage *p = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t offset = p->size / 2 + 5 * PAGE;
    Moved m = { HUGE + offset, 1 * GiB + offset, offset };

    qvtd_fs_map(f->v, f->table, HUGE, 1 * GiB, p->level, QVTD_FS_USER_RW);
    g_assert(qvtd_svm_writes(f, m.iova, m.old));
    qvtd_fs_map(f->v, f->table, HUGE, 0, p->level, QVTD_FS_USER_RW);
    g_assert(!uses_new_page(f, &m));
    qvtd_inv(f->v, qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID,
                                        HUGE + 7 * PAGE, false, false));
    g_assert(uses_new_page(f, &m));
    qvtd_svm_stop(f);
}

/*
 * PASIDs
 */

/* The same address in two processes; the device goes back and forth */
static void check_two_pasids(bool global)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t other = qvtd_svm_add_process(f, OTHER);
    uint64_t first = f->table;
    Moved mine = move_page(f, IOVA);
    Moved theirs;

    f->table = other;
    qsvm_set_pasid(&f->svm, OTHER);
    theirs = move_page(f, IOVA);
    f->table = first;
    qvtd_inv(f->v, qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID, IOVA, false,
                                        global));
    g_assert(uses_new_page(f, &theirs) == global);
    qsvm_set_pasid(&f->svm, QVTD_SVM_PASID);
    g_assert(uses_new_page(f, &mine));
    qvtd_svm_stop(f);
}

static void test_other_pasid_stays(void)
{
    check_two_pasids(false);
}

static void test_global_spans_pasids(void)
{
    check_two_pasids(true);
}

/*
 * Translations of requests without PASID, which RID_PASID's entry serves
 */

static QVTDDesc inv_page_without(QVTDSVM *f)
{
    return qvtd_dev_iotlb_desc(f->sid, IOVA, false);
}

static QVTDDesc inv_next_page_without(QVTDSVM *f)
{
    return qvtd_dev_iotlb_desc(f->sid, IOVA + PAGE, false);
}

static QVTDDesc inv_rid_pasid(QVTDSVM *f)
{
    return qvtd_dev_piotlb_desc(f->sid, 0, QVTD_DEV_TLB_ALL, true, false);
}

static QVTDDesc inv_piotlb_rid_pasid(QVTDSVM *f)
{
    return qvtd_piotlb_desc(QVTD_PIOTLB_ALL, QVTD_SVM_DID, 0, 0, 0, false);
}

static const InvCase without_cases[] = {
    { "/svm/inv/without-PASID-a-page-is-invalidated", inv_page_without, true },
    { "/svm/inv/without-PASID-everything-is-invalidated",
      inv_without_pasid, true },
    { "/svm/inv/without-PASID-the-next-page-is-another",
      inv_next_page_without, false },
    { "/svm/inv/without-PASID-is-not-with-RID_PASID", inv_rid_pasid, false },
    { "/svm/inv/without-PASID-is-none-of-all-PASIDs", inv_global, false },
    { "/svm/inv/without-PASID-the-IOTLB-is-another", inv_iotlb, false },
    { "/svm/inv/without-PASID-a-domain-of-the-IOTLB-is-another",
      inv_iotlb_domain, false },
    { "/svm/inv/without-PASID-a-page-of-the-IOTLB-is-another",
      inv_iotlb_page, false },
    { "/svm/inv/without-PASID-the-IOTLB-of-RID_PASID-is-another",
      inv_piotlb_rid_pasid, false },
    { "/svm/inv/without-PASID-the-context-cache-is-another",
      inv_context_cache, false },
    { "/svm/inv/without-PASID-the-context-cache-of-it-is-another",
      inv_context_cache_function, false },
    { "/svm/inv/without-PASID-the-PASID-cache-is-another",
      inv_pasid_cache, false },
};

static void test_without_pasid(const void *data)
{
    const InvCase *c = data;
    QVTDSVM *f = start_without_pasid();
    Moved m = move_page(f, IOVA);

    qvtd_inv(f->v, c->desc(f));
    g_assert(uses_new_page(f, &m) == c->hits);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_REVOKED), ==, c->hits);
    qvtd_svm_stop(f);
}

/*
 * Registers, while the queue is disabled: none of them has a device TLB
 */

/* Whatever is enabled now, but for @clear */
static void global_command(QVTDSVM *f, uint32_t clear, uint32_t set)
{
    uint32_t enabled = qvtd_readl(f->v, DMAR_GSTS_REG) &
                       (VTD_GSTS_TES | VTD_GSTS_QIES);

    qvtd_writel(f->v, DMAR_GCMD_REG, (enabled & ~clear) | set);
}

static void ccmd_global(QVTDSVM *f)
{
    qvtd_writeq(f->v, DMAR_CCMD_REG, VTD_CCMD_ICC | VTD_CCMD_GLOBAL_INVL);
    g_assert_cmphex(qvtd_readq(f->v, DMAR_CCMD_REG), ==,
                    VTD_CCMD_GLOBAL_INVL | VTD_CCMD_GLOBAL_INVL_A);
}

static void ccmd_function(QVTDSVM *f)
{
    qvtd_writeq(f->v, DMAR_CCMD_REG, VTD_CCMD_ICC | VTD_CCMD_DEVICE_INVL |
                                     (uint64_t)f->sid << 16);
    g_assert_cmphex(qvtd_readq(f->v, DMAR_CCMD_REG) &
                    (VTD_CCMD_ICC | VTD_CCMD_CAIG_MASK), ==,
                    VTD_CCMD_DEVICE_INVL_A);
}

static void iotlb_global(QVTDSVM *f)
{
    qvtd_writeq(f->v, DMAR_IOTLB_REG, VTD_TLB_IVT | VTD_TLB_GLOBAL_FLUSH);
    g_assert_cmphex(qvtd_readq(f->v, DMAR_IOTLB_REG) &
                    (VTD_TLB_IVT | VTD_TLB_FLUSH_GRANU_MASK_A), ==,
                    VTD_TLB_GLOBAL_FLUSH_A);
}

static void iotlb_domain(QVTDSVM *f)
{
    qvtd_writeq(f->v, DMAR_IOTLB_REG, VTD_TLB_IVT | VTD_TLB_DSI_FLUSH |
                                      (uint64_t)QVTD_SVM_DID << 32);
    g_assert_cmphex(qvtd_readq(f->v, DMAR_IOTLB_REG) &
                    (VTD_TLB_IVT | VTD_TLB_FLUSH_GRANU_MASK_A), ==,
                    VTD_TLB_DSI_FLUSH_A);
}

static void iotlb_page(QVTDSVM *f)
{
    qvtd_writeq(f->v, DMAR_IVA_REG, IOVA);
    qvtd_writeq(f->v, DMAR_IOTLB_REG, VTD_TLB_IVT | VTD_TLB_PSI_FLUSH |
                                      (uint64_t)QVTD_SVM_DID << 32);
    g_assert_cmphex(qvtd_readq(f->v, DMAR_IOTLB_REG) &
                    (VTD_TLB_IVT | VTD_TLB_FLUSH_GRANU_MASK_A), ==,
                    VTD_TLB_PSI_FLUSH_A);
}

static void root_again(QVTDSVM *f)
{
    qvtd_set_root(f->v);
}

static void translation_again(QVTDSVM *f)
{
    qvtd_set_translation(f->v, false);
    qvtd_set_translation(f->v, true);
}

typedef struct RegisterCase {
    const char *path;
    void (*write)(QVTDSVM *f);
} RegisterCase;

static const RegisterCase register_cases[] = {
    { "/svm/inv/CCMD-of-everything-is-none-of-the-device-TLB", ccmd_global },
    { "/svm/inv/CCMD-of-a-function-is-none-of-the-device-TLB", ccmd_function },
    { "/svm/inv/IOTLB-register-of-everything-is-none-of-the-device-TLB",
      iotlb_global },
    { "/svm/inv/IOTLB-register-of-a-domain-is-none-of-the-device-TLB",
      iotlb_domain },
    { "/svm/inv/IOTLB-register-of-a-page-is-none-of-the-device-TLB",
      iotlb_page },
    { "/svm/inv/the-root-table-set-again-is-none-of-the-device-TLB",
      root_again },
    { "/svm/inv/translation-enabled-again-is-none-of-the-device-TLB",
      translation_again },
};

static void check_register(QVTDSVM *f, const RegisterCase *c)
{
    Moved m = move_page(f, IOVA);

    qvtd_inv(f->v, inv_nothing(f));
    global_command(f, VTD_GCMD_QIE, 0);
    c->write(f);
    g_assert(!uses_new_page(f, &m));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_INVALIDATIONS), ==, 0);
    qvtd_svm_stop(f);
}

static void test_register(const void *data)
{
    check_register(qvtd_svm_start(), data);
    check_register(start_without_pasid(), data);
}

/*
 * Permissions
 */

static void test_revoked_page(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_fs_map(f->v, f->table, IOVA, 0, 1, 0);
    qvtd_inv(f->v, inv_page(f));
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    g_assert(!qvtd_svm_reads(f, IOVA, page));
    qvtd_svm_stop(f);
}

static void test_revoked_write(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_fs_map(f->v, f->table, IOVA, page, 1, QVTD_FS_USER_RO);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_inv(f->v, inv_page(f));
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    g_assert(qvtd_svm_reads(f, IOVA, page));
    qvtd_svm_stop(f);
}

/* The OS need not invalidate what it only adds to */
static void test_granted_later(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_alloc_page(f->v);

    g_assert(!qvtd_svm_writes(f, IOVA, page));
    qvtd_fs_map(f->v, f->table, IOVA, page, 1, QVTD_FS_USER_RO);
    g_assert(qvtd_svm_reads(f, IOVA, page));
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    qvtd_fs_map(f->v, f->table, IOVA, page, 1, QVTD_FS_USER_RW);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_INVALIDATIONS), ==, 0);
    qvtd_svm_stop(f);
}

/* 6.5.2.2: after the PASID cache and the device TLB the new table is used */
static void test_new_table(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t old = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    Moved m = { IOVA, old };

    g_assert(qvtd_svm_writes(f, IOVA, old));
    f->table = qvtd_alloc_page(f->v);
    m.new = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    qvtd_svm_set_entry(f, 0);
    qvtd_inv(f->v, inv_piotlb(f));
    g_assert(!uses_new_page(f, &m));
    qvtd_inv(f->v, inv_all(f));
    g_assert(uses_new_page(f, &m));
    qvtd_svm_stop(f);
}

/* PCIe 10.3.7: the cache is empty after Enable has changed */
static void test_ats_enable(void)
{
    QVTDSVM *f = qvtd_svm_start();
    Moved m = move_page(f, IOVA);

    qsvm_set_ats(&f->svm, true);
    g_assert(!uses_new_page(f, &m));
    qsvm_set_ats(&f->svm, false);
    qsvm_set_ats(&f->svm, true);
    g_assert(uses_new_page(f, &m));
    qvtd_svm_stop(f);
}

/* What Linux sends when an address space goes away (VT-d 7.10) */
static void test_linux_drain(void)
{
    QVTDSVM *f = qvtd_svm_start();
    Moved m = move_page(f, IOVA);
    uint64_t done = qvtd_alloc_page(f->v);

    qvtd_iq_push(f->v, qvtd_wait_desc(QVTD_WAIT_FN, 0, 0));
    qvtd_iq_push(f->v, inv_piotlb(f));
    qvtd_iq_push(f->v, inv_all(f));
    qvtd_iq_push(f->v, qvtd_wait_desc(QVTD_WAIT_PD | QVTD_WAIT_SW, 0x600d,
                                      done));
    qvtd_iq_kick(f->v);
    g_assert(!qvtd_iq_error(f->v));
    g_assert_cmphex(qtest_readl(f->qts, done), ==, 0x600d);
    g_assert(uses_new_page(f, &m));
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(inv_cases); i++) {
        qtest_add_data_func(inv_cases[i].path, &inv_cases[i], test_inv);
    }
    for (int i = 0; i < ARRAY_SIZE(huge_pages); i++) {
        qtest_add_data_func(huge_pages[i].path, &huge_pages[i],
                            test_huge_page);
    }
    for (int i = 0; i < ARRAY_SIZE(without_cases); i++) {
        qtest_add_data_func(without_cases[i].path, &without_cases[i],
                            test_without_pasid);
    }
    for (int i = 0; i < ARRAY_SIZE(register_cases); i++) {
        qtest_add_data_func(register_cases[i].path, &register_cases[i],
                            test_register);
    }
    qtest_add_func("/svm/inv/a-range-ends-where-its-size-says",
                   test_range_sizes);
    qtest_add_func("/svm/inv/without-PASID-a-range-ends-where-its-size-says",
                   test_range_sizes_without_pasid);
    qtest_add_func("/svm/inv/one-PASID-goes-and-the-other-stays",
                   test_other_pasid_stays);
    qtest_add_func("/svm/inv/Global-spans-PASIDs", test_global_spans_pasids);
    qtest_add_func("/svm/inv/a-revoked-page-is-gone", test_revoked_page);
    qtest_add_func("/svm/inv/a-revoked-write-permission-is-gone",
                   test_revoked_write);
    qtest_add_func("/svm/inv/a-permission-granted-later-needs-none",
                   test_granted_later);
    qtest_add_func("/svm/inv/a-new-table-is-used-after-both-caches",
                   test_new_table);
    qtest_add_func("/svm/inv/ATS-Enable-empties-the-cache", test_ats_enable);
    qtest_add_func("/svm/inv/the-drain-of-Linux-is-complete",
                   test_linux_drain);
    return g_test_run();
}
