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
    { "/svm/inv/a-PASID-cache-invalidation-is-none-of-the-device-TLB",
      inv_pasid_cache, false },
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

/* The first and last page of the range go, their neighbours stay */
static void check_range(QVTDSVM *f, uint64_t size)
{
    Moved before = move_page(f, HUGE - PAGE);
    Moved first = move_page(f, HUGE);
    Moved last = move_page(f, HUGE + size - PAGE);
    Moved after = move_page(f, HUGE + size);
    uint64_t range = qvtd_dev_tlb_range(HUGE, size);

    qvtd_inv(f->v, qvtd_dev_piotlb_desc(f->sid, QVTD_SVM_PASID, range, true,
                                        false));
    g_assert(!uses_new_page(f, &before));
    g_assert(uses_new_page(f, &first));
    g_assert(uses_new_page(f, &last));
    g_assert(!uses_new_page(f, &after));
}

static void test_range_sizes(void)
{
    QVTDSVM *f = qvtd_svm_start();

    for (uint64_t size = 2 * PAGE; size <= 512 * GiB; size *= 2) {
        check_range(f, size);
        qvtd_inv(f->v, inv_all(f));
    }
    qvtd_svm_stop(f);
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

/* Translations of requests without PASID, which RID_PASID's entry serves */
static void test_without_pasid(void)
{
    QVTDSVM *f = qvtd_svm_start();
    Moved m;

    f->table = qvtd_svm_add_process(f, 0);
    qsvm_set_pasid(&f->svm, SVM_PASID_NONE);
    m = move_page(f, IOVA);
    g_assert(!uses_new_page(f, &m));
    qvtd_inv(f->v, qvtd_dev_iotlb_desc(f->sid, IOVA + PAGE, false));
    g_assert(!uses_new_page(f, &m));
    qvtd_inv(f->v, qvtd_dev_iotlb_desc(f->sid, IOVA, false));
    g_assert(uses_new_page(f, &m));

    m = move_page(f, HUGE);
    qvtd_inv(f->v, qvtd_dev_iotlb_desc(f->sid, QVTD_DEV_TLB_ALL, true));
    g_assert(uses_new_page(f, &m));
    qvtd_svm_stop(f);
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
    qtest_add_func("/svm/inv/a-range-ends-where-its-size-says",
                   test_range_sizes);
    qtest_add_func("/svm/inv/one-PASID-goes-and-the-other-stays",
                   test_other_pasid_stays);
    qtest_add_func("/svm/inv/Global-spans-PASIDs", test_global_spans_pasids);
    qtest_add_func("/svm/inv/translations-without-PASID-have-their-own",
                   test_without_pasid);
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
