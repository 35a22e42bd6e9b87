/*
 * libqos builder for Intel VT-d: tables, registers, invalidation and page
 * request queues
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "vtd.h"

#define QVTD_PAGE_SIZE      4096ULL
#define QVTD_PDE_SIZE       8
#define QVTD_PE_SIZE        64

QVTD *qvtd_new(QTestState *qts, bool scalable)
{
    QVTD *v = g_new0(QVTD, 1);

    v->qts = qts;
    v->heap = QVTD_HEAP_BASE;
    v->heap_end = QVTD_HEAP_BASE + QVTD_HEAP_SIZE;
    v->scalable = scalable;
    v->levels = 4;
    v->root = qvtd_alloc_page(v);
    v->wait_addr = qvtd_alloc_page(v);
    return v;
}

void qvtd_free(QVTD *v)
{
    g_free(v);
}

uint64_t qvtd_alloc(QVTD *v, uint64_t size, uint64_t align)
{
    uint64_t addr = ROUND_UP(v->heap, MAX(align, QVTD_PAGE_SIZE));

    size = ROUND_UP(size, QVTD_PAGE_SIZE);
    g_assert_cmpuint(addr + size, <=, v->heap_end);
    v->heap = addr + size;
    qtest_memset(v->qts, addr, 0, size);
    return addr;
}

uint64_t qvtd_alloc_page(QVTD *v)
{
    return qvtd_alloc(v, QVTD_PAGE_SIZE, QVTD_PAGE_SIZE);
}

/* Registers */

uint32_t qvtd_readl(QVTD *v, uint64_t reg)
{
    return qtest_readl(v->qts, Q35_HOST_BRIDGE_IOMMU_ADDR + reg);
}

uint64_t qvtd_readq(QVTD *v, uint64_t reg)
{
    return qtest_readq(v->qts, Q35_HOST_BRIDGE_IOMMU_ADDR + reg);
}

void qvtd_writel(QVTD *v, uint64_t reg, uint32_t val)
{
    qtest_writel(v->qts, Q35_HOST_BRIDGE_IOMMU_ADDR + reg, val);
}

void qvtd_writeq(QVTD *v, uint64_t reg, uint64_t val)
{
    qtest_writeq(v->qts, Q35_HOST_BRIDGE_IOMMU_ADDR + reg, val);
}

/* Root, context and PASID tables */

uint64_t qvtd_context_addr(QVTD *v, uint16_t sid)
{
    uint64_t re = v->root + (sid >> 8) * sizeof(VTDRootEntry);
    unsigned int index = sid & 0xff;
    unsigned int size = VTD_CTX_ENTRY_LEGACY_SIZE;
    uint64_t table;

    if (v->scalable) {
        /* Each half of the root entry has the table of 128 functions */
        re += (index >> 7) * sizeof(uint64_t);
        index &= 0x7f;
        size = VTD_CTX_ENTRY_SCALABLE_SIZE;
    }
    table = qtest_readq(v->qts, re);
    if (!(table & VTD_ROOT_ENTRY_P)) {
        table = qvtd_alloc_page(v);
        qtest_writeq(v->qts, re, table | VTD_ROOT_ENTRY_P);
    }
    return (table & VTD_ROOT_ENTRY_CTP) + index * size;
}

void qvtd_set_context(QVTD *v, uint16_t sid, uint64_t flags, unsigned int pdts,
                      uint64_t dir, uint32_t rid_pasid)
{
    uint64_t ce = qvtd_context_addr(v, sid);

    g_assert(v->scalable);
    qtest_writeq(v->qts, ce + 8, rid_pasid);
    qtest_writeq(v->qts, ce, flags | pdts << QVTD_CE_PDTS_SHIFT | dir);
}

void qvtd_set_legacy_context(QVTD *v, uint16_t sid, uint64_t tt, uint16_t did,
                             uint64_t table)
{
    uint64_t ce = qvtd_context_addr(v, sid);

    g_assert(!v->scalable);
    qtest_writeq(v->qts, ce + 8, (uint64_t)did << 8 | (v->levels - 2));
    qtest_writeq(v->qts, ce, table | tt | VTD_CONTEXT_ENTRY_P);
}

uint64_t qvtd_new_pasid_dir(QVTD *v, unsigned int pdts)
{
    return qvtd_alloc(v, (1ULL << (pdts + 7)) * QVTD_PDE_SIZE, QVTD_PAGE_SIZE);
}

uint64_t qvtd_pasid_entry_addr(QVTD *v, uint64_t dir, uint32_t pasid)
{
    uint64_t addr = dir + (pasid >> 6) * QVTD_PDE_SIZE;
    uint64_t pde = qtest_readq(v->qts, addr);

    if (!(pde & QVTD_PDE_P)) {
        pde |= qvtd_alloc_page(v) | QVTD_PDE_P;
        qtest_writeq(v->qts, addr, pde);
    }
    return (pde & QVTD_PTE_ADDR_MASK) + (pasid & 0x3f) * QVTD_PE_SIZE;
}

void qvtd_set_pasid_entry(QVTD *v, uint64_t dir, uint32_t pasid,
                          const QVTDPasidEntry *pe)
{
    uint64_t addr = qvtd_pasid_entry_addr(v, dir, pasid);
    bool fs = pe->pgtt == QVTD_PGTT_FS || pe->pgtt == QVTD_PGTT_NESTED;
    uint64_t qw0 = (uint64_t)(v->levels - 2) << QVTD_PE_AW_SHIFT |
                   (uint64_t)pe->pgtt << QVTD_PE_PGTT_SHIFT;

    if (!pe->absent) {
        qw0 |= QVTD_PE_P;
    }
    if (pe->fpd) {
        qw0 |= QVTD_PE_FPD;
    }
    qtest_writeq(v->qts, addr + 16, fs ? pe->table | pe->flags : 0);
    qtest_writeq(v->qts, addr + 8, pe->did | pe->snoop);
    qtest_writeq(v->qts, addr, qw0 | (fs ? pe->second : pe->table));
}

/* Paging structures */

static uint64_t qvtd_pte_index(uint64_t iova, int level)
{
    return extract64(iova, 12 + (level - 1) * 9, 9);
}

uint64_t qvtd_pte_addr(QVTD *v, uint64_t table, uint64_t iova, int level)
{
    for (int l = v->levels; l > level; l--) {
        table = qtest_readq(v->qts, table + qvtd_pte_index(iova, l) * 8);
        table &= QVTD_PTE_ADDR_MASK;
        g_assert_cmpuint(table, !=, 0);
    }
    return table + qvtd_pte_index(iova, level) * 8;
}

uint64_t qvtd_pte(QVTD *v, uint64_t table, uint64_t iova, int level)
{
    return qtest_readq(v->qts, qvtd_pte_addr(v, table, iova, level));
}

static void qvtd_map(QVTD *v, uint64_t table, uint64_t iova, int level,
                     uint64_t leaf, uint64_t non_leaf)
{
    for (int l = v->levels; l > level; l--) {
        uint64_t addr = table + qvtd_pte_index(iova, l) * 8;
        uint64_t pte = qtest_readq(v->qts, addr);

        if (!(pte & QVTD_PTE_ADDR_MASK)) {
            pte = qvtd_alloc_page(v) | non_leaf;
            qtest_writeq(v->qts, addr, pte);
        }
        table = pte & QVTD_PTE_ADDR_MASK;
    }
    qtest_writeq(v->qts, table + qvtd_pte_index(iova, level) * 8, leaf);
}

void qvtd_fs_map(QVTD *v, uint64_t table, uint64_t iova, uint64_t pa,
                 int level, uint64_t flags)
{
    qvtd_map(v, table, iova, level, pa | flags | (level > 1 ? QVTD_FS_PS : 0),
             QVTD_FS_USER_RW);
}

void qvtd_ss_map(QVTD *v, uint64_t table, uint64_t iova, uint64_t pa,
                 int level, uint64_t flags)
{
    qvtd_map(v, table, iova, level, pa | flags | (level > 1 ? QVTD_SS_PS : 0),
             QVTD_SS_RW);
}

/* Enabling */

/* A command other than the enable bits that are set now */
static void qvtd_gcmd(QVTD *v, uint32_t clear, uint32_t set)
{
    uint32_t enabled = qvtd_readl(v, DMAR_GSTS_REG) &
                       (VTD_GSTS_TES | VTD_GSTS_QIES | VTD_GSTS_IRES);

    qvtd_writel(v, DMAR_GCMD_REG, (enabled & ~clear) | set);
}

void qvtd_set_root(QVTD *v)
{
    qvtd_writeq(v, DMAR_RTADDR_REG,
                v->root | (v->scalable ? VTD_RTADDR_SMT : 0));
    qvtd_gcmd(v, 0, VTD_GCMD_SRTP);
    g_assert(qvtd_readl(v, DMAR_GSTS_REG) & VTD_GSTS_RTPS);
}

void qvtd_enable_qi(QVTD *v, unsigned int order, bool wide)
{
    uint64_t size = QVTD_PAGE_SIZE << order;

    v->iq = qvtd_alloc(v, size, size);
    v->iq_order = order;
    v->iq_wide = wide;
    v->iq_tail = 0;
    qvtd_writeq(v, DMAR_IQT_REG, 0);
    qvtd_writeq(v, DMAR_IQA_REG,
                v->iq | (wide ? VTD_IQA_DW_MASK : 0) | order);
    qvtd_gcmd(v, 0, VTD_GCMD_QIE);
    g_assert(qvtd_readl(v, DMAR_GSTS_REG) & VTD_GSTS_QIES);
}

void qvtd_disable_qi(QVTD *v)
{
    /* The unit wants a wait descriptor to be the last one. */
    qvtd_inv(v, qvtd_wait_desc(QVTD_WAIT_FN, 0, 0));
    qvtd_writel(v, DMAR_GCMD_REG, VTD_GCMD_TE);
    g_assert(!(qvtd_readl(v, DMAR_GSTS_REG) & VTD_GSTS_QIES));
}

void qvtd_set_translation(QVTD *v, bool on)
{
    qvtd_gcmd(v, VTD_GCMD_TE, on ? VTD_GCMD_TE : 0);
    g_assert_cmpuint(!!(qvtd_readl(v, DMAR_GSTS_REG) & VTD_GSTS_TES), ==, on);
}

void qvtd_enter_legacy_mode(QVTD *v, uint16_t sid, uint64_t tt, uint16_t did,
                            uint64_t table)
{
    qvtd_set_translation(v, false);
    v->scalable = false;
    v->root = qvtd_alloc_page(v);
    qvtd_set_legacy_context(v, sid, tt, did, table);
    qvtd_set_root(v);
    qvtd_set_translation(v, true);
}

void qvtd_enable(QVTD *v)
{
    qvtd_set_root(v);
    qvtd_enable_qi(v, 0, v->scalable);
    qvtd_set_translation(v, true);
}

/* Invalidation queue */

static unsigned int qvtd_iq_shift(QVTD *v)
{
    return v->iq_wide ? 5 : 4;
}

void qvtd_iq_push(QVTD *v, QVTDDesc desc)
{
    unsigned int shift = qvtd_iq_shift(v);
    uint64_t addr = v->iq + ((uint64_t)v->iq_tail << shift);

    for (int i = 0; i < (v->iq_wide ? 4 : 2); i++) {
        qtest_writeq(v->qts, addr + i * 8, desc.qw[i]);
    }
    v->iq_tail = (v->iq_tail + 1) % ((QVTD_PAGE_SIZE << v->iq_order) >> shift);
}

void qvtd_iq_kick(QVTD *v)
{
    qvtd_writeq(v, DMAR_IQT_REG, (uint64_t)v->iq_tail << qvtd_iq_shift(v));
}

bool qvtd_iq_error(QVTD *v)
{
    return qvtd_readl(v, DMAR_FSTS_REG) & VTD_FSTS_IQE;
}

unsigned int qvtd_iq_error_info(QVTD *v)
{
    return qvtd_readq(v, QVTD_IQERCD_REG) & 0xf;
}

void qvtd_iq_recover(QVTD *v)
{
    uint64_t head = qvtd_readq(v, DMAR_IQH_REG);
    QVTDDesc nop = qvtd_wait_desc(QVTD_WAIT_SW, 0, v->wait_addr);

    for (int i = 0; i < (v->iq_wide ? 4 : 2); i++) {
        qtest_writeq(v->qts, v->iq + head + i * 8, nop.qw[i]);
    }
    qvtd_writel(v, DMAR_FSTS_REG, VTD_FSTS_IQE);
    qvtd_iq_kick(v);
}

bool qvtd_iq_submit(QVTD *v, QVTDDesc desc)
{
    v->wait_data++;
    qvtd_iq_push(v, desc);
    qvtd_iq_push(v, qvtd_wait_desc(QVTD_WAIT_SW, v->wait_data, v->wait_addr));
    qvtd_iq_kick(v);
    return !qvtd_iq_error(v) &&
           qtest_readl(v->qts, v->wait_addr) == v->wait_data;
}

void qvtd_inv(QVTD *v, QVTDDesc desc)
{
    g_assert(qvtd_iq_submit(v, desc));
}

void qvtd_inv_times_out(QVTD *v, QVTDDesc desc)
{
    g_assert(!qvtd_iq_submit(v, desc));
    g_assert_cmphex(qvtd_readl(v, DMAR_FSTS_REG) & QVTD_FSTS_ITE, !=, 0);
    qvtd_writel(v, DMAR_FSTS_REG, QVTD_FSTS_ITE);
}

void qvtd_inv_all(QVTD *v)
{
    qvtd_inv(v, qvtd_cc_desc(QVTD_CC_GLOBAL, 0, 0, 0));
    if (v->scalable) {
        qvtd_inv(v, qvtd_pasid_cache_desc(QVTD_PC_GLOBAL, 0, 0));
    }
    qvtd_inv(v, qvtd_iotlb_desc(QVTD_IOTLB_GLOBAL, 0, 0, 0));
}

QVTDDesc qvtd_cc_desc(unsigned int g, uint16_t did, uint16_t sid,
                      unsigned int fm)
{
    return (QVTDDesc) { {
        VTD_INV_DESC_CC | g << 4 | (uint64_t)did << 16 | (uint64_t)sid << 32 |
        (uint64_t)fm << 48
    } };
}

QVTDDesc qvtd_iotlb_desc(unsigned int g, uint16_t did, uint64_t addr,
                         unsigned int am)
{
    return (QVTDDesc) { {
        VTD_INV_DESC_IOTLB | g << 4 | (uint64_t)did << 16,
        addr | am
    } };
}

QVTDDesc qvtd_piotlb_desc(unsigned int g, uint16_t did, uint32_t pasid,
                          uint64_t addr, unsigned int am, bool ih)
{
    return (QVTDDesc) { {
        VTD_INV_DESC_PIOTLB | g << 4 | (uint64_t)did << 16 |
        (uint64_t)pasid << 32,
        addr | am | ih << 6
    } };
}

QVTDDesc qvtd_pasid_cache_desc(unsigned int g, uint16_t did, uint32_t pasid)
{
    return (QVTDDesc) { {
        VTD_INV_DESC_PC | g << 4 | (uint64_t)did << 16 | (uint64_t)pasid << 32
    } };
}

QVTDDesc qvtd_dev_iotlb_desc(uint16_t sid, uint64_t addr, bool s)
{
    return (QVTDDesc) { {
        VTD_INV_DESC_DEVICE | (uint64_t)sid << 32,
        addr | s
    } };
}

QVTDDesc qvtd_dev_piotlb_desc(uint16_t sid, uint32_t pasid, uint64_t addr,
                              bool s, bool global)
{
    return (QVTDDesc) { {
        VTD_INV_DESC_DEV_PIOTLB | (uint64_t)sid << 16 | (uint64_t)pasid << 32,
        addr | s << 11 | global
    } };
}

uint64_t qvtd_dev_tlb_range(uint64_t addr, uint64_t size)
{
    /* The lowest zero bit, from bit 12 up, says how large the range is */
    return addr | ((size >> 1) - QVTD_PAGE_SIZE);
}

QVTDDesc qvtd_wait_desc(uint64_t flags, uint32_t data, uint64_t addr)
{
    return (QVTDDesc) { {
        VTD_INV_DESC_WAIT | flags | (uint64_t)data << 32,
        addr
    } };
}

QVTDDesc qvtd_page_response_desc(uint16_t sid, uint32_t pasid, uint16_t prgi,
                                 unsigned int code)
{
    bool has_pasid = pasid != QVTD_NO_PASID;

    return (QVTDDesc) { {
        9 | has_pasid << 4 | code << 12 | (uint64_t)sid << 16 |
        (has_pasid ? (uint64_t)pasid << 32 : 0),
        1 << 2 | (uint64_t)prgi << 3
    } };
}

/* Page request queue */

void qvtd_enable_prq(QVTD *v, unsigned int order)
{
    uint64_t size = QVTD_PAGE_SIZE << order;

    v->prq = qvtd_alloc(v, size, size);
    v->prq_order = order;
    qvtd_writeq(v, QVTD_PQH_REG, 0);
    qvtd_writeq(v, QVTD_PQT_REG, 0);
    qvtd_writeq(v, QVTD_PQA_REG, v->prq | order);
}

bool qvtd_pop_page_req(QVTD *v, QVTDPageReq *req)
{
    uint64_t head = qvtd_readq(v, QVTD_PQH_REG);
    uint64_t qw0, qw1;

    if (head == qvtd_readq(v, QVTD_PQT_REG)) {
        return false;
    }
    qw0 = qtest_readq(v->qts, v->prq + head);
    qw1 = qtest_readq(v->qts, v->prq + head + 8);
    g_assert_cmpuint(extract64(qw0, 0, 8), ==, 1);
    *req = (QVTDPageReq) {
        .has_pasid = extract64(qw0, 8, 1),
        .sid = extract64(qw0, 16, 16),
        .pasid = extract64(qw0, 32, 20),
        .exec = extract64(qw0, 52, 1),
        .priv = extract64(qw0, 53, 1),
        .read = extract64(qw1, 0, 1),
        .write = extract64(qw1, 1, 1),
        .last = extract64(qw1, 2, 1),
        .prgi = extract64(qw1, 3, 9),
        .addr = qw1 & ~0xfffULL,
    };
    head = (head + QVTD_PRQ_ENTRY_SIZE) % (QVTD_PAGE_SIZE << v->prq_order);
    qvtd_writeq(v, QVTD_PQH_REG, head);
    return true;
}

/* Faults and interrupts */

bool qvtd_pop_fault(QVTD *v, QVTDFault *fault)
{
    uint64_t lo = qvtd_readq(v, DMAR_FRCD_REG_0_0);
    uint64_t hi = qvtd_readq(v, DMAR_FRCD_REG_0_2);

    if (!(hi & VTD_FRCD_F)) {
        return false;
    }
    *fault = (QVTDFault) {
        .sid = extract64(hi, 0, 16),
        .page_request = extract64(hi, 28, 1) && !(hi & VTD_FRCD_T),
        .at = extract64(hi, 60, 2),
        .priv = extract64(hi, 29, 1),
        .exec = extract64(hi, 30, 1),
        .has_pasid = extract64(hi, 31, 1),
        .reason = extract64(hi, 32, 8),
        .pasid = extract64(hi, 40, 20),
        .read = hi & VTD_FRCD_T,
        .addr = lo & ~0xfffULL,
    };
    qvtd_writeq(v, DMAR_FRCD_REG_0_2, VTD_FRCD_F);
    qvtd_writel(v, DMAR_FSTS_REG, VTD_FSTS_PFO);
    return true;
}

void qvtd_set_msi(QVTD *v, uint64_t ctl, uint8_t vector, uint32_t apic_id)
{
    qvtd_writel(v, ctl + 4, vector);
    qvtd_writel(v, ctl + 8, VTD_INTERRUPT_ADDR_FIRST | (apic_id & 0xff) << 12);
    qvtd_writel(v, ctl + 12, apic_id & ~0xffU);
    qvtd_writel(v, ctl, 0);
}

bool qvtd_msi_pending(QVTD *v, uint8_t vector, uint32_t apic_id)
{
    g_autofree char *info = qtest_hmp(v->qts, "info lapic %u", apic_id);
    g_autofree char *number = g_strdup_printf("%u", vector);
    const char *irr = strstr(info, "IRR\t");
    g_auto(GStrv) vectors = NULL;
    g_autofree char *line = NULL;

    g_assert(irr);
    irr += strlen("IRR\t");
    line = g_strndup(irr, strcspn(irr, "\r\n"));
    vectors = g_strsplit_set(line, " ()", 0);
    return g_strv_contains((const char * const *)vectors, number);
}
