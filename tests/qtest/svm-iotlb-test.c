/*
 * QTest testcase for SVM: what invalidations take out of the unit's own caches
 *
 * VT-d rev 4.1, 6.5.2, 11.4.5 and 11.4.8. A device without ATS does DMA
 * through the first stage, before and after a change of the guest's tables. How
 * much more than it was told to the unit forgets is its own affair; what it
 * keeps without being told is checked once for each cache, so that the other
 * cases have something to look at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "libqos/vtd-edu.h"

#define PAGE    (4 * KiB)
#define OPTIONS "svm=on,x-scalable-mode=on"

/* Aligned to all page sizes, and a page in it */
#define AREA    0x40000000ULL
#define IOVA    (AREA + 5 * PAGE)

/* A page that the unit has cached, and that has moved since */
typedef struct Moved {
    QVTDEdu *f;
    uint64_t old;
    uint64_t new;
} Moved;

/* Exactly one of the two pages is written */
static bool uses_new_page(const Moved *m)
{
    bool new = qvtd_edu_writes(m->f, IOVA, m->new);
    bool old = qvtd_edu_writes(m->f, IOVA, m->old);

    g_assert(new != old);
    return new;
}

/*
 * The IOTLB
 */

static QVTDDesc piotlb(unsigned int did, uint32_t pasid)
{
    return qvtd_piotlb_desc(QVTD_PIOTLB_ALL, did, pasid, 0, 0, false);
}

static QVTDDesc piotlb_pages(uint64_t addr, unsigned int am)
{
    return qvtd_piotlb_desc(QVTD_PIOTLB_PAGE, QVTD_EDU_DID,
                            QVTD_EDU_RID_PASID, addr, am, false);
}

static void inv_nothing(Moved *m)
{
    qvtd_inv(m->f->v, qvtd_wait_desc(QVTD_WAIT_FN, 0, 0));
}

static void inv_pasid(Moved *m)
{
    qvtd_inv(m->f->v, piotlb(QVTD_EDU_DID, QVTD_EDU_RID_PASID));
}

static void inv_page(Moved *m)
{
    qvtd_inv(m->f->v, piotlb_pages(IOVA, 0));
}

static void inv_8_pages(Moved *m)
{
    qvtd_inv(m->f->v, piotlb_pages(AREA, 3));
}

static void inv_2m(Moved *m)
{
    qvtd_inv(m->f->v, piotlb_pages(AREA, 9));
}

static void inv_1g(Moved *m)
{
    qvtd_inv(m->f->v, piotlb_pages(AREA, 18));
}

static void inv_all_pages(Moved *m)
{
    qvtd_inv(m->f->v, piotlb_pages(0, 52));
}

static void inv_global(Moved *m)
{
    qvtd_inv(m->f->v, qvtd_iotlb_desc(QVTD_IOTLB_GLOBAL, 0, 0, 0));
}

static void inv_domain(Moved *m)
{
    qvtd_inv(m->f->v, qvtd_iotlb_desc(QVTD_IOTLB_DOMAIN, QVTD_EDU_DID, 0, 0));
}

/* Registers are for a unit whose queue is disabled */
static void write_iotlb(Moved *m, uint64_t val)
{
    qvtd_disable_qi(m->f->v);
    qvtd_writeq(m->f->v, DMAR_IOTLB_REG, VTD_TLB_IVT | val);
    g_assert(!(qvtd_readq(m->f->v, DMAR_IOTLB_REG) & VTD_TLB_IVT));
}

static void register_global(Moved *m)
{
    write_iotlb(m, VTD_TLB_GLOBAL_FLUSH);
}

static void register_domain(Moved *m)
{
    write_iotlb(m, VTD_TLB_DSI_FLUSH | (uint64_t)QVTD_EDU_DID << 32);
}

/* By halves, the second of which has the command bit */
static void register_halves(Moved *m)
{
    qvtd_disable_qi(m->f->v);
    qvtd_writel(m->f->v, DMAR_IOTLB_REG, 0);
    qvtd_writel(m->f->v, DMAR_IOTLB_REG + 4,
                (VTD_TLB_IVT | VTD_TLB_GLOBAL_FLUSH) >> 32);
    g_assert(!(qvtd_readq(m->f->v, DMAR_IOTLB_REG) & VTD_TLB_IVT));
}

typedef struct Case {
    const char *path;
    void (*inv)(Moved *m);
    bool kept;
} Case;

static const Case pages[] = {
    { "/svm/inv/the-IOTLB-keeps-a-page-until-it-is-told", inv_nothing, true },
    { "/svm/inv/the-IOTLB-forgets-a-PASID", inv_pasid },
    { "/svm/inv/the-IOTLB-forgets-a-page-of-a-PASID", inv_page },
    { "/svm/inv/the-IOTLB-forgets-32-KiB-of-a-PASID", inv_8_pages },
    { "/svm/inv/the-IOTLB-forgets-2-MiB-of-a-PASID", inv_2m },
    { "/svm/inv/the-IOTLB-forgets-1-GiB-of-a-PASID", inv_1g },
    { "/svm/inv/the-IOTLB-forgets-all-pages-of-a-PASID", inv_all_pages },
    { "/svm/inv/the-IOTLB-forgets-everything", inv_global },
    { "/svm/inv/the-IOTLB-forgets-a-domain", inv_domain },
    { "/svm/inv/the-IOTLB-register-forgets-everything", register_global },
    { "/svm/inv/the-IOTLB-register-forgets-a-domain", register_domain },
    { "/svm/inv/the-IOTLB-register-is-written-by-halves", register_halves },
};

static void test_page(const void *data)
{
    const Case *c = data;
    QVTDEdu *f = qvtd_edu_start(OPTIONS, NULL);
    Moved m = { f, qvtd_alloc_page(f->v), qvtd_alloc_page(f->v) };

    qvtd_fs_map(f->v, f->table, IOVA, m.old, 1, QVTD_FS_USER_RW);
    g_assert(qvtd_edu_writes(f, IOVA, m.old));
    qvtd_fs_map(f->v, f->table, IOVA, m.new, 1, QVTD_FS_USER_RW);
    c->inv(&m);
    g_assert(uses_new_page(&m) == !c->kept);
    qvtd_edu_stop(f);
}

/* One page of it is enough */
static void test_huge_page(void)
{
    QVTDEdu *f = qvtd_edu_start(OPTIONS, NULL);
    uint64_t offset = IOVA - AREA;
    Moved m = { f, 32 * MiB + offset, 64 * MiB + offset };

    qvtd_fs_map(f->v, f->table, AREA, m.old - offset, 2, QVTD_FS_USER_RW);
    g_assert(qvtd_edu_writes(f, IOVA, m.old));
    qvtd_fs_map(f->v, f->table, AREA, m.new - offset, 2, QVTD_FS_USER_RW);
    g_assert(!uses_new_page(&m));
    qvtd_inv(f->v, piotlb_pages(AREA + 300 * PAGE, 0));
    g_assert(uses_new_page(&m));
    qvtd_edu_stop(f);
}

/*
 * The context cache; the IOTLB has to be told afterwards
 */

static void cc_nothing(Moved *m)
{
}

static void cc_global(Moved *m)
{
    qvtd_inv(m->f->v, qvtd_cc_desc(QVTD_CC_GLOBAL, 0, 0, 0));
}

static void cc_domain(Moved *m)
{
    qvtd_inv(m->f->v, qvtd_cc_desc(QVTD_CC_DOMAIN, QVTD_EDU_DID, 0, 0));
}

static void cc_function(Moved *m)
{
    qvtd_inv(m->f->v, qvtd_cc_desc(QVTD_CC_DEVICE, QVTD_EDU_DID, m->f->sid,
                                   0));
}

/* The mask covers the three bits of the function number */
static void cc_functions(Moved *m)
{
    qvtd_inv(m->f->v, qvtd_cc_desc(QVTD_CC_DEVICE, QVTD_EDU_DID,
                                   m->f->sid | 7, 3));
}

static void cc_register(Moved *m, uint64_t val)
{
    QVTD *v = m->f->v;

    qvtd_disable_qi(v);
    qvtd_writeq(v, DMAR_CCMD_REG, VTD_CCMD_ICC | val);
    g_assert(!(qvtd_readq(v, DMAR_CCMD_REG) & VTD_CCMD_ICC));
    qvtd_enable_qi(v, 0, true);
}

static void ccmd_global(Moved *m)
{
    cc_register(m, VTD_CCMD_GLOBAL_INVL);
}

static void ccmd_domain(Moved *m)
{
    cc_register(m, VTD_CCMD_DOMAIN_INVL | QVTD_EDU_DID);
}

static void ccmd_function(Moved *m)
{
    cc_register(m, VTD_CCMD_DEVICE_INVL | (uint64_t)m->f->sid << 16);
}

static const Case contexts[] = {
    { "/svm/inv/the-context-cache-keeps-an-entry-until-it-is-told",
      cc_nothing, true },
    { "/svm/inv/the-context-cache-forgets-everything", cc_global },
    { "/svm/inv/the-context-cache-forgets-a-domain", cc_domain },
    { "/svm/inv/the-context-cache-forgets-a-function", cc_function },
    { "/svm/inv/the-context-cache-forgets-functions-by-mask", cc_functions },
    { "/svm/inv/CCMD-forgets-everything", ccmd_global },
    { "/svm/inv/CCMD-forgets-a-domain", ccmd_domain },
    { "/svm/inv/CCMD-forgets-a-function", ccmd_function },
};

/* The context entry has another RID_PASID, and that another table */
static void test_context(const void *data)
{
    const Case *c = data;
    QVTDEdu *f = qvtd_edu_start(OPTIONS, NULL);
    Moved m = { f, qvtd_alloc_page(f->v), qvtd_alloc_page(f->v) };
    QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS, .did = QVTD_EDU_DID,
        .table = qvtd_alloc_page(f->v),
    };

    qvtd_fs_map(f->v, f->table, IOVA, m.old, 1, QVTD_FS_USER_RW);
    g_assert(qvtd_edu_writes(f, IOVA, m.old));
    qvtd_fs_map(f->v, pe.table, IOVA, m.new, 1, QVTD_FS_USER_RW);
    qvtd_set_pasid_entry(f->v, f->dir, QVTD_EDU_RID_PASID + 1, &pe);
    qvtd_set_context(f->v, f->sid, QVTD_CE_P, 0, f->dir,
                     QVTD_EDU_RID_PASID + 1);
    c->inv(&m);
    inv_global(&m);
    g_assert(uses_new_page(&m) == !c->kept);
    qvtd_edu_stop(f);
}

/*
 * The PASID cache
 */

static void pc_nothing(Moved *m)
{
}

static void pc_domain(Moved *m)
{
    qvtd_inv(m->f->v, qvtd_pasid_cache_desc(QVTD_PC_DOMAIN, QVTD_EDU_DID, 0));
}

static void pc_pasid(Moved *m)
{
    qvtd_inv(m->f->v, qvtd_pasid_cache_desc(QVTD_PC_PASID, QVTD_EDU_DID,
                                            QVTD_EDU_RID_PASID));
}

static void pc_global(Moved *m)
{
    qvtd_inv(m->f->v, qvtd_pasid_cache_desc(QVTD_PC_GLOBAL, 0, 0));
}

static const Case pasids[] = {
    { "/svm/inv/the-PASID-cache-keeps-an-entry-until-it-is-told",
      pc_nothing, true },
    { "/svm/inv/the-PASID-cache-forgets-a-domain", pc_domain },
    { "/svm/inv/the-PASID-cache-forgets-a-PASID", pc_pasid },
    { "/svm/inv/the-PASID-cache-forgets-everything", pc_global },
};

static void set_pgtt(QVTDEdu *f, unsigned int pgtt)
{
    QVTDPasidEntry pe = {
        .pgtt = pgtt, .did = QVTD_EDU_DID,
        .table = pgtt == QVTD_PGTT_FS ? f->table : 0,
    };

    qvtd_set_pasid_entry(f->v, f->dir, QVTD_EDU_RID_PASID, &pe);
}

/* Passed through, to where the address says, until the entry is another */
static void test_pasid(const void *data)
{
    const Case *c = data;
    QVTDEdu *f = qvtd_edu_start(OPTIONS, "-m 2G");
    Moved m = { f, IOVA, qvtd_alloc_page(f->v) };

    qvtd_fs_map(f->v, f->table, IOVA, m.new, 1, QVTD_FS_USER_RW);
    set_pgtt(f, QVTD_PGTT_PT);
    qvtd_inv_all(f->v);
    g_assert(qvtd_edu_writes(f, IOVA, m.old));
    set_pgtt(f, QVTD_PGTT_FS);
    inv_pasid(&m);
    c->inv(&m);
    g_assert(uses_new_page(&m) == !c->kept);

    set_pgtt(f, QVTD_PGTT_PT);
    c->inv(&m);
    inv_pasid(&m);
    g_assert(!uses_new_page(&m));
    qvtd_edu_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(pages); i++) {
        qtest_add_data_func(pages[i].path, &pages[i], test_page);
    }
    for (int i = 0; i < ARRAY_SIZE(contexts); i++) {
        qtest_add_data_func(contexts[i].path, &contexts[i], test_context);
    }
    for (int i = 0; i < ARRAY_SIZE(pasids); i++) {
        qtest_add_data_func(pasids[i].path, &pasids[i], test_pasid);
    }
    qtest_add_func("/svm/inv/the-IOTLB-forgets-a-2-MiB-page-by-any-of-it",
                   test_huge_page);
    return g_test_run();
}
