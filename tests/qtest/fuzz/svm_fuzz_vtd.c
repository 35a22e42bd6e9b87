/*
 * Fuzz target: VT-d (-device intel-iommu,svm=on) under a device that translates
 * and faults
 *
 * The input is a guest that writes what it likes to the unit's registers, to
 * its tables and to its queues, while -device svm-testdev sends translation
 * requests, page requests and DMA, from its function and from two virtual ones.
 *
 * Nothing may crash. What a translation request is answered has to be well
 * formed: no device looks at it twice.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_regs.h"
#include "tests/qtest/libqos/svm-testdev.h"
#include "svm_fuzz.h"

#define SLOT            4
#define TESTDEV_BAR     0xe8000000ULL
#define VFS             2
#define FUNCTIONS       (1 + VFS)

/* The process: an address for each level of its tables */
#define BASE            0x7f1234567000ULL
#define PAGE            4096
#define DID             1

/* Few page request group indices, so that a response meets its request */
#define INDICES         4

enum {
    OP_REG_WRITE,
    OP_REG_READ,
    OP_TABLE,
    OP_ENTRY,
    OP_MODE,
    OP_MEMORY,
    OP_DESC,
    OP_RAW_DESC,
    OP_CALL,
    OP_CONFIG,
    OP_PRQ,
    OP_CLOCK,
    OP_RECOVER,
    OPS,
};

/* The tables whose entries the input changes, each a run of 64-bit words */
typedef struct Table {
    uint64_t pa;
    unsigned words;
} Table;

/* Tables that operations know by name */
enum TableIndex {
    ENTRY,                      /* PASID entry of the process */
    RID_ENTRY,                  /* of requests without PASID */
    LEGACY_CONTEXT,
};

static struct {
    QVTDSVM f;
    PCIDevice *dev;
    QTestdev function[FUNCTIONS];
    unsigned functions;         /* 1, or with the virtual ones */
    uint64_t second;            /* top table of a second stage */
    uint64_t identity;          /* another, with all memory where it is */
    uint64_t legacy;            /* root table of legacy mode */
    Table table[24];
    unsigned tables;
} g;

static const uint32_t pasids[] = {
    QVTD_SVM_PASID, QVTD_NO_PASID, 0, 1, 0xfffff, 0x100000,
};

static const uint16_t regs[] = {
    DMAR_GCMD_REG, DMAR_RTADDR_REG, DMAR_CCMD_REG, DMAR_FSTS_REG,
    DMAR_FECTL_REG, DMAR_FEDATA_REG, DMAR_FEADDR_REG, DMAR_FEUADDR_REG,
    DMAR_PMEN_REG, DMAR_IQH_REG, DMAR_IQT_REG, DMAR_IQA_REG, DMAR_ICS_REG,
    DMAR_IECTL_REG, DMAR_IEDATA_REG, DMAR_IEADDR_REG, DMAR_IEUADDR_REG,
    DMAR_IRTA_REG, QVTD_IQERCD_REG, QVTD_PQH_REG, QVTD_PQT_REG, QVTD_PQA_REG,
    QVTD_PRS_REG, QVTD_PECTL_REG, QVTD_PEDATA_REG, QVTD_PEADDR_REG,
    QVTD_PEUADDR_REG, DMAR_IOTLB_REG, DMAR_IVA_REG, DMAR_FRCD_REG_0_0,
    DMAR_FRCD_REG_0_2,
};

/* What an input can name */

/* A number, or an address with flags: what registers and entries hold */
static uint64_t take_value(SVMFuzzInput *in)
{
    uint8_t kind = svm_fuzz_u8(in);
    uint64_t page;

    switch (kind & 7) {
    case 0:
        return svm_fuzz_u64(in);
    case 1:
        return svm_fuzz_u16(in);
    case 2:
        return (uint64_t)svm_fuzz_u16(in) << 48 | svm_fuzz_u16(in);
    case 3:
        return 1ULL << (svm_fuzz_u8(in) % 64) | svm_fuzz_u8(in);
    case 4:
        /* Where there is no memory, and where a device is */
        return (kind & 8 ? QVTD_SVM_NO_RAM : TESTDEV_BAR) | svm_fuzz_u16(in);
    case 5:
        return VTD_INTERRUPT_ADDR_FIRST + ((uint64_t)svm_fuzz_u8(in) << 12);
    default:
        page = QVTD_HEAP_BASE + (uint64_t)svm_fuzz_u8(in) * PAGE;
        return page | svm_fuzz_u16(in);
    }
}

static uint32_t take_pasid(SVMFuzzInput *in)
{
    return pasids[svm_fuzz_u8(in) % ARRAY_SIZE(pasids)];
}

static uint64_t take_addr(SVMFuzzInput *in)
{
    uint8_t kind = svm_fuzz_u8(in);

    switch (kind & 3) {
    case 0:
        return BASE + (uint64_t)svm_fuzz_u8(in) * PAGE;
    case 1:
        return -(1ULL + svm_fuzz_u16(in)) << 12;
    case 2:
        return take_value(in);
    default:
        return BASE;
    }
}

static uint16_t take_sid(SVMFuzzInput *in)
{
    uint8_t kind = svm_fuzz_u8(in);

    return kind < 0xf0 ? QTESTDEV_SID + kind % FUNCTIONS : svm_fuzz_u16(in);
}

/* The unit */

static void op_reg_write(SVMFuzzInput *in)
{
    uint8_t which = svm_fuzz_u8(in);
    uint64_t reg = regs[which % ARRAY_SIZE(regs)];

    if (which >= 0xf0) {
        reg = svm_fuzz_u16(in) % DMAR_REG_SIZE & ~3;
    }
    if (svm_fuzz_u8(in) & 1) {
        qvtd_writel(g.f.v, reg, take_value(in));
    } else {
        qvtd_writeq(g.f.v, reg, take_value(in));
    }
}

static void op_reg_read(SVMFuzzInput *in)
{
    uint16_t reg = svm_fuzz_u16(in);

    if (reg & 0x8000) {
        qvtd_readl(g.f.v, reg % DMAR_REG_SIZE & ~3);
    } else {
        qvtd_readq(g.f.v, reg % DMAR_REG_SIZE & ~3);
    }
}

static void op_table(SVMFuzzInput *in)
{
    const Table *table = &g.table[svm_fuzz_u8(in) % g.tables];
    uint64_t addr = table->pa + svm_fuzz_u8(in) % table->words * 8;
    uint8_t how = svm_fuzz_u8(in);
    uint64_t val = take_value(in);

    /* To change a bit gets further than to change them all. */
    if (how & 1) {
        val ^= qtest_readq(g.f.qts, addr);
    }
    qtest_writeq(g.f.qts, addr, val);
}

/* A PASID entry that makes sense, of any kind */
static void op_entry(SVMFuzzInput *in)
{
    uint8_t kind = svm_fuzz_u8(in);
    uint8_t flags = svm_fuzz_u8(in);
    uint64_t second = kind & 0x10 ? g.second : g.identity;
    uint64_t addr = g.table[kind & 0x20 ? RID_ENTRY : ENTRY].pa;

    qtest_writeq(g.f.qts, addr, QVTD_PE_P | 2 << QVTD_PE_AW_SHIFT |
                 (kind & 7) << QVTD_PE_PGTT_SHIFT | second);
    qtest_writeq(g.f.qts, addr + 8, DID);
    qtest_writeq(g.f.qts, addr + 16, flags | g.f.table);
    qvtd_iq_push(g.f.v, qvtd_pasid_cache_desc(QVTD_PC_GLOBAL, 0, 0));
    qvtd_iq_push(g.f.v, qvtd_iotlb_desc(QVTD_IOTLB_GLOBAL, 0, 0, 0));
    qvtd_iq_kick(g.f.v);
}

/* Tables of scalable mode, or of legacy mode with a translation type */
static void op_mode(SVMFuzzInput *in)
{
    uint8_t how = svm_fuzz_u8(in);

    if (how & 1) {
        qvtd_writeq(g.f.v, DMAR_RTADDR_REG, g.f.v->root | VTD_RTADDR_SMT);
    } else {
        qtest_writeq(g.f.qts, g.table[LEGACY_CONTEXT].pa,
                     VTD_CONTEXT_ENTRY_P | (how & 0xe) << 1 | g.second);
        qvtd_writeq(g.f.v, DMAR_RTADDR_REG, g.legacy);
    }
    qvtd_writel(g.f.v, DMAR_GCMD_REG, VTD_GCMD_SRTP | VTD_GCMD_QIE |
                                      (how & 0x80 ? 0 : VTD_GCMD_TE));
    qvtd_writel(g.f.v, DMAR_GCMD_REG, VTD_GCMD_QIE |
                                      (how & 0x80 ? 0 : VTD_GCMD_TE));
}

static void op_memory(SVMFuzzInput *in)
{
    uint64_t offset = (uint64_t)svm_fuzz_u16(in) * 8;

    qtest_writeq(g.f.qts, QVTD_HEAP_BASE + offset, take_value(in));
}

/* The invalidation queue */

static QVTDDesc take_desc(SVMFuzzInput *in)
{
    uint8_t how = svm_fuzz_u8(in);
    unsigned granularity = how >> 4;
    uint32_t pasid = take_pasid(in) & 0xfffff;
    uint64_t addr = take_addr(in) & ~0xfffULL;
    uint16_t sid = take_sid(in);

    switch (how % 9) {
    case 0:
        return qvtd_cc_desc(granularity & 3, DID, sid, granularity >> 2);
    case 1:
        return qvtd_iotlb_desc(granularity & 3, DID, addr, granularity);
    case 2:
        return qvtd_piotlb_desc(granularity & 3, DID, pasid, addr,
                                granularity, how & 1);
    case 3:
        return qvtd_pasid_cache_desc(granularity & 3, DID, pasid);
    case 4:
        return qvtd_dev_iotlb_desc(sid, addr, granularity & 1);
    case 5:
        return qvtd_dev_piotlb_desc(sid, pasid, addr, granularity & 1,
                                    granularity & 2);
    case 6:
        return qvtd_wait_desc((uint64_t)granularity << 4, how,
                              g.f.v->wait_addr);
    case 7:
        return qvtd_wait_desc((uint64_t)granularity << 4, how, take_value(in));
    default:
        return qvtd_page_response_desc(sid, granularity & 1 ? QVTD_NO_PASID
                                                            : pasid,
                                       svm_fuzz_u8(in) % INDICES,
                                       granularity >> 1);
    }
}

static void op_desc(SVMFuzzInput *in)
{
    uint8_t kick = svm_fuzz_u8(in);

    qvtd_iq_push(g.f.v, take_desc(in));
    if (kick & 1) {
        qvtd_iq_kick(g.f.v);
    }
}

static void op_raw_desc(SVMFuzzInput *in)
{
    QVTDDesc desc;

    for (int i = 0; i < ARRAY_SIZE(desc.qw); i++) {
        desc.qw[i] = take_value(in);
    }
    qvtd_iq_push(g.f.v, desc);
    qvtd_iq_kick(g.f.v);
}

/* As a driver does after an error */
static void op_recover(SVMFuzzInput *in)
{
    uint8_t how = svm_fuzz_u8(in);

    if (how & 1) {
        qvtd_iq_recover(g.f.v);
    }
    if (how & 2) {
        qvtd_writel(g.f.v, DMAR_FSTS_REG, ~0);
    }
    if (how & 4) {
        qvtd_writel(g.f.v, QVTD_PRS_REG, ~0);
    }
    if (how & 8) {
        g.f.v->iq = qvtd_readq(g.f.v, DMAR_IQA_REG) & QVTD_PTE_ADDR_MASK;
        g.f.v->iq_tail = 0;
    }
}

/* The device */

static void check_result(const IOMMUTLBEntry *e, hwaddr next)
{
    hwaddr mask = e->addr_mask;

    svm_fuzz_check(mask >= PAGE - 1 && !(mask & (mask + 1)),
                   "a result has a size of 2^n bytes, a page at least");
    svm_fuzz_check(!(e->iova & mask), "a result's address is aligned to it");
    svm_fuzz_check(e->iova <= next && next <= (e->iova | mask),
                   "results are in order, without gaps");
    svm_fuzz_check(!(e->perm & IOMMU_RW) || !(e->translated_addr & mask),
                   "a translated address is aligned to it");
    svm_fuzz_check(!(e->perm & IOMMU_RW) ||
                   e->translated_addr > VTD_INTERRUPT_ADDR_LAST ||
                   (e->translated_addr | mask) < VTD_INTERRUPT_ADDR_FIRST,
                   "no translation leads to the interrupt range");
}

static IOMMUTLBEntry get_result(QTestdev *t, unsigned n)
{
    return (IOMMUTLBEntry) {
        .iova = qtestdev_result(t, n, SVM_TESTDEV_RESULT_IOVA),
        .translated_addr = qtestdev_result(t, n, SVM_TESTDEV_RESULT_ADDR),
        .addr_mask = qtestdev_result(t, n, SVM_TESTDEV_RESULT_MASK),
        .perm = qtestdev_result(t, n, SVM_TESTDEV_RESULT_PERM),
    };
}

static void check_results(QTestdev *t, int64_t count)
{
    uint64_t addr = qtestdev_reg(t, SVM_TESTDEV_ADDR);
    uint64_t last = addr + (qtestdev_reg(t, SVM_TESTDEV_LENGTH) - 1);
    int64_t room = qtestdev_reg(t, SVM_TESTDEV_ROOM);
    bool complete = count != -ENOMEM;

    count = complete ? count : room;
    svm_fuzz_check(count <= room, "results fit");
    for (int64_t i = 0; i < count; i++) {
        IOMMUTLBEntry e = get_result(t, i);

        check_result(&e, addr);
        addr = (e.iova | e.addr_mask) + 1;
    }
    svm_fuzz_check(!complete || addr - 1 >= last, "results cover the range");
}

static bool is_translation(uint8_t call)
{
    return call == SVM_TESTDEV_TRANSLATE || call == SVM_TESTDEV_TRANSLATE_PART;
}

static void op_call(SVMFuzzInput *in)
{
    QTestdev *t = &g.function[svm_fuzz_u8(in) % g.functions];
    uint8_t call = 1 + svm_fuzz_u8(in) % SVM_TESTDEV_DMA_WRITE;
    uint8_t how = svm_fuzz_u8(in);
    int64_t ret;

    t->pasid = take_pasid(in);
    qtestdev_set(t, SVM_TESTDEV_ADDR, take_addr(in));
    qtestdev_set(t, SVM_TESTDEV_LENGTH,
                 (uint64_t)svm_fuzz_u8(in) << (how & 0x3f));
    qtestdev_set(t, SVM_TESTDEV_FLAGS, svm_fuzz_u8(in));
    qtestdev_set(t, SVM_TESTDEV_PRGI, how % INDICES);
    qtestdev_set(t, SVM_TESTDEV_ROOM, how % 32);
    qtestdev_set(t, SVM_TESTDEV_SLOT, how % SVM_TESTDEV_SLOTS);
    ret = qtestdev_call(t, call);
    if (is_translation(call) && (ret > 0 || ret == -ENOMEM)) {
        check_results(t, ret);
    }
}

/* Its registers stay where they are: else they do not answer. */
static void op_config(SVMFuzzInput *in)
{
    uint16_t offset = svm_fuzz_u16(in) & 0xffe;
    uint16_t sid = QTESTDEV_SID + svm_fuzz_u8(in) % FUNCTIONS;
    uint64_t addr = QSVM_ECAM_BASE + ((uint64_t)sid << 12) + offset;
    uint16_t val = svm_fuzz_u16(in);

    if ((offset < PCI_BASE_ADDRESS_0 || offset >= PCI_CARDBUS_CIS) &&
        offset < SVM_TESTDEV_CAP_SRIOV) {
        qtest_writew(g.f.qts, addr, val);
    }
}

static void op_prq(SVMFuzzInput *in)
{
    uint64_t head = qvtd_readq(g.f.v, QVTD_PQH_REG);

    head += (svm_fuzz_u8(in) + 1) * QVTD_PRQ_ENTRY_SIZE;
    qvtd_writeq(g.f.v, QVTD_PQH_REG, head);
}

static void op_clock(SVMFuzzInput *in)
{
    qtest_clock_step(g.f.qts, (1 + svm_fuzz_u8(in)) * 100 * SCALE_US);
    svm_fuzz_run_main_loop();
}

static void (*const ops[OPS])(SVMFuzzInput *) = {
    [OP_REG_WRITE] = op_reg_write,
    [OP_REG_READ] = op_reg_read,
    [OP_TABLE] = op_table,
    [OP_ENTRY] = op_entry,
    [OP_MODE] = op_mode,
    [OP_MEMORY] = op_memory,
    [OP_DESC] = op_desc,
    [OP_RAW_DESC] = op_raw_desc,
    [OP_CALL] = op_call,
    [OP_CONFIG] = op_config,
    [OP_PRQ] = op_prq,
    [OP_CLOCK] = op_clock,
    [OP_RECOVER] = op_recover,
};

/* Each input */

static void add_table(uint64_t pa, unsigned words)
{
    g.table[g.tables++] = (Table) { pa, words };
}

/* The entries that lead to BASE, of each level */
static void add_levels(uint64_t table)
{
    for (int level = g.f.v->levels; level >= 1; level--) {
        add_table(qvtd_pte_addr(g.f.v, table, BASE, level), 2);
    }
}

/* A root table and a context table that the two modes share no page of */
static uint64_t build_legacy(QVTD *v)
{
    uint64_t root = qvtd_alloc_page(v);
    uint64_t context = qvtd_alloc_page(v);

    qtest_writeq(v->qts, root, context | VTD_ROOT_ENTRY_P);
    for (int sid = QTESTDEV_SID; sid < QTESTDEV_SID + FUNCTIONS; sid++) {
        qtest_writeq(v->qts, context + sid * 16 + 8,
                     (DID << 8) | (v->levels - 2));
    }
    return root;
}

static void build_tables(void)
{
    QVTD *v = g.f.v;

    qvtd_fs_map(v, g.f.table, BASE, qvtd_alloc_page(v), 1, QVTD_FS_USER_RW);
    qvtd_fs_map(v, g.f.table, BASE + PAGE, qvtd_alloc_page(v), 1,
                QVTD_FS_USER_RO);
    g.second = qvtd_alloc_page(v);
    qvtd_ss_map(v, g.second, BASE, qvtd_alloc_page(v), 1, QVTD_SS_RW);
    g.identity = qvtd_alloc_page(v);
    qvtd_ss_map(v, g.identity, 0, 0, 3, QVTD_SS_RW);
    g.legacy = build_legacy(v);
    for (int sid = QTESTDEV_SID; sid < QTESTDEV_SID + FUNCTIONS; sid++) {
        qvtd_set_context(v, sid, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS, g.f.dir, 0);
    }
}

/* In the order of TableIndex, and of what an input gains by changing them */
static void list_tables(void)
{
    QVTD *v = g.f.v;

    g.tables = 0;
    add_table(qvtd_pasid_entry_addr(v, g.f.dir, QVTD_SVM_PASID), 8);
    add_table(qvtd_pasid_entry_addr(v, g.f.dir, 0), 8);
    add_table(qtest_readq(v->qts, g.legacy) + QTESTDEV_SID * 16 -
              VTD_ROOT_ENTRY_P, 2);
    add_levels(g.f.table);
    add_levels(g.second);
    add_table(g.identity, 1);
    add_table(qvtd_context_addr(v, QTESTDEV_SID), 4);
    add_table(g.f.dir + (QVTD_SVM_PASID >> 6) * 8, 1);
    add_table(v->root, 2);
    add_table(v->iq, 255);
    add_table(v->prq, 255);
    add_table(qvtd_context_addr(v, QTESTDEV_VF_SID), 4);
}

static void set_up_testdev(bool vfs)
{
    QTestdev *pf = &g.function[0];

    *pf = (QTestdev) {
        .f = &g.f, .qts = g.f.qts, .sid = QTESTDEV_SID, .bar = TESTDEV_BAR,
        .config = QSVM_ECAM_BASE + ((uint64_t)QTESTDEV_SID << 12),
        .pasid = QVTD_SVM_PASID,
    };
    qtestdev_enable(pf);
    g.functions = 1;
    if (vfs) {
        qtestdev_enable_vfs(pf, pf + 1, VFS);
        g.functions = FUNCTIONS;
    }
}

/* Registrations survive a reset, and are none of the guest's business. */
static void end_registrations(QTestdev *t)
{
    for (int i = 0; i < ARRAY_SIZE(pasids); i++) {
        t->pasid = pasids[i];
        qtestdev_call(t, SVM_TESTDEV_UNREGISTER_PRI);
        for (int slot = 0; slot < SVM_TESTDEV_SLOTS; slot++) {
            qtestdev_set(t, SVM_TESTDEV_SLOT, slot);
            qtestdev_call(t, SVM_TESTDEV_UNREGISTER_IOTLB);
        }
    }
}

/* The registers answer again, whatever the guest has done to them. */
static void tear_down_testdev(void)
{
    unsigned functions = g.functions;

    qtestdev_writew(&g.function[0], SVM_TESTDEV_CAP_PM + PCI_PM_CTRL, 0);
    set_up_testdev(functions > 1);
    for (unsigned i = 0; i < functions; i++) {
        end_registrations(&g.function[i]);
    }
}

/* Its registers answer all the time, as svm_fuzz_reset_vtd() explains. */
static void set_up(QTestState *s, bool vfs)
{
    static bool again;

    if (again) {
        memory_region_transaction_begin();
    }
    device_cold_reset(DEVICE(g.dev));
    svm_fuzz_reset_vtd(&g.f, s, QPCI_DEVFN(SLOT, 0));
    build_tables();
    list_tables();
    set_up_testdev(vfs);
    if (again) {
        memory_region_transaction_commit();
    }
    again = true;
}

static void vtd_fuzz(QTestState *s, const unsigned char *data, size_t size)
{
    SVMFuzzInput in = { data, size };

    svm_fuzz_free_memory();
    set_up(s, svm_fuzz_u8(&in) & 1);
    while (in.size) {
        ops[svm_fuzz_u8(&in) % OPS](&in);
    }
    svm_fuzz_run_main_loop();
    tear_down_testdev();
}

static void vtd_pre_fuzz(QTestState *s)
{
    g.dev = svm_fuzz_pci_device("testdev");
}

static GString *vtd_cmdline(FuzzTarget *t)
{
    return svm_fuzz_cmdline(SVM_FUZZ_Q35 " -device intel-iommu,svm=on "
                            "-device svm,id=svm,addr=4 "
                            "-device svm-testdev,id=testdev,addr=6,vfs=2");
}

static void register_vtd(void)
{
    fuzz_add_target(&(FuzzTarget) {
        .name = "svm-vtd",
        .description = "VT-d under a device that translates and faults",
        .get_init_cmdline = vtd_cmdline,
        .pre_fuzz = vtd_pre_fuzz,
        .fuzz = vtd_fuzz,
    });
}

fuzz_target_init(register_vtd);
