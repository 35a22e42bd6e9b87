/*
 * Fuzz target: the endpoint (-device svm) with a live IOMMU
 *
 * The input is a guest: it writes registers and configuration space, starts
 * commands, sets up queues whose rings are in the process's memory, fills and
 * kicks them, maps and unmaps pages of the process, answers page requests or
 * does not, and resets the function. Commands and queues run in their threads
 * meanwhile.
 *
 * Rules, whatever the guest does:
 * - memory that no page was ever mapped to is not written, nor is that of pages
 *   that were never writable;
 * - once an unmapped page was invalidated nothing writes to it;
 * - an invalidation completes;
 * - a command, and each descriptor of a queue, ends when the guest answers its
 *   page requests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_regs.h"
#include "tests/qtest/libqos/svm-queue.h"
#include "svm_fuzz.h"

#define SLOT        4
#define PAGE        4096
#define PAGES       16
#define FRAMES      8
#define GUARDS      4
#define BASE        0x7f1234560000ULL
#define QUEUES      2

/* How long the guest waits for what its command does, in steps of 10 us */
#define WAIT_STEPS  20

enum {
    OP_WRITE,
    OP_READ,
    OP_CONFIG,
    OP_COMMAND,
    OP_MAP,
    OP_MEMORY,
    OP_ANSWER,
    OP_INVALIDATE,
    OP_ENTRY,
    OP_WAIT,
    OP_CLOCK,
    OP_SET_UP,
    OP_QUEUE,
    OP_QUEUE_REG,
    OP_QUEUE_CONTROL,
    OP_DESCRIPTOR,
    OP_DOORBELL,
    OPS,
};

/* A page of guest memory that the process may get */
typedef struct Frame {
    uint64_t pa;
    unsigned mapped;            /* pages that lead to it */
    bool writable;              /* some page was, once */
    bool revoked;               /* no page leads to it any more */
    uint8_t seen[PAGE];         /* what was in it then */
} Frame;

static struct {
    QVTDSVM f;
    PCIDevice *dev;
    uint64_t guard;
    Frame frame[FRAMES];
    Frame *page[PAGES];         /* where each leads, or NULL */
    QPCIBar queue_bar;
    unsigned ring[QUEUES];      /* the page of each */
} g;

static uint8_t *host(uint64_t pa)
{
    return svm_fuzz_heap() + (pa - QVTD_HEAP_BASE);
}

static bool is_poison(uint64_t pa, size_t len)
{
    const uint8_t *bytes = host(pa);

    return bytes[0] == QVTD_SVM_POISON && !memcmp(bytes, bytes + 1, len - 1);
}

/* The oracle */

static void check_frame(const Frame *frame)
{
    if (frame->revoked) {
        svm_fuzz_check(!memcmp(host(frame->pa), frame->seen, PAGE),
                       "nothing writes to what was revoked");
    }
    if (!frame->writable) {
        svm_fuzz_check(is_poison(frame->pa, PAGE),
                       "nothing writes to what is not writable");
    }
}

static void check_memory(void)
{
    for (int i = 0; i < FRAMES; i++) {
        check_frame(&g.frame[i]);
    }
    svm_fuzz_check(is_poison(g.guard, GUARDS * PAGE),
                   "nothing writes to what is not mapped");
}

static void submit(QVTDDesc desc)
{
    svm_fuzz_check(qvtd_iq_submit(g.f.v, desc), "an invalidation completes");
}

/* The guest */

static void invalidate(uint64_t addr)
{
    submit(qvtd_piotlb_desc(QVTD_PIOTLB_PAGE, QVTD_SVM_DID, QVTD_SVM_PASID,
                            addr, 0, false));
    submit(qvtd_dev_piotlb_desc(g.f.sid, QVTD_SVM_PASID, addr, false, false));
}

static void unmap(unsigned page)
{
    Frame *frame = g_steal_pointer(&g.page[page]);
    uint64_t addr = BASE + page * PAGE;

    qtest_writeq(g.f.qts, qvtd_pte_addr(g.f.v, g.f.table, addr, 1), 0);
    invalidate(addr);
    if (frame && --frame->mapped == 0) {
        frame->revoked = true;
        memcpy(frame->seen, host(frame->pa), PAGE);
    }
}

static void map(unsigned page, Frame *frame, uint64_t flags)
{
    check_frame(frame);
    frame->revoked = false;
    frame->mapped++;
    frame->writable |= flags & QVTD_FS_RW;
    g.page[page] = frame;
    qvtd_fs_map(g.f.v, g.f.table, BASE + page * PAGE, frame->pa, 1,
                flags | QVTD_FS_P);
}

static void op_map(SVMFuzzInput *in)
{
    unsigned page = svm_fuzz_u8(in) % PAGES;
    Frame *frame = &g.frame[svm_fuzz_u8(in) % FRAMES];
    uint8_t flags = svm_fuzz_u8(in);

    if (g.page[page]) {
        unmap(page);
    }
    if (flags & QVTD_FS_P) {
        /* The upper bits stand for those that do not fit in a byte. */
        map(page, frame, (flags & (QVTD_FS_USER_RW | QVTD_FS_A | QVTD_FS_D)) |
                         (flags & 0x80 ? QVTD_FS_XD : 0) |
                         (flags & 0x10 ? QVTD_FS_G : 0));
    }
}

/* The process writes @len bytes at @offset of what it maps, now or later. */
static void write_frame(Frame *frame, unsigned offset, const void *bytes,
                        size_t len)
{
    check_frame(frame);
    memcpy(host(frame->pa) + offset, bytes, len);
    frame->writable = true;
    memcpy(frame->seen, host(frame->pa), PAGE);
}

static void op_memory(SVMFuzzInput *in)
{
    Frame *frame = &g.frame[svm_fuzz_u8(in) % FRAMES];
    uint16_t offset = svm_fuzz_u16(in) % PAGE & ~7;
    uint64_t val = cpu_to_le64(svm_fuzz_u64(in));

    write_frame(frame, offset, &val, sizeof(val));
}

static void answer(bool resolve, unsigned code)
{
    QVTDPageReq req;

    if (!qvtd_pop_page_req(g.f.v, &req)) {
        return;
    }
    if (resolve && req.addr >= BASE && req.addr < BASE + PAGES * PAGE &&
        !g.page[(req.addr - BASE) / PAGE]) {
        map((req.addr - BASE) / PAGE, &g.frame[req.addr / PAGE % FRAMES],
            req.write ? QVTD_FS_USER_RW : QVTD_FS_USER_RO);
    }
    if (req.last) {
        submit(qvtd_page_response_desc(g.f.sid, req.pasid, req.prgi, code));
    }
}

static void op_answer(SVMFuzzInput *in)
{
    static const unsigned codes[] = {
        QVTD_SVM_SUCCESS, QVTD_SVM_INVALID, QVTD_SVM_FAILURE,
    };
    uint8_t how = svm_fuzz_u8(in);

    if (how < 0xf0) {
        answer(how & 1, codes[how / 2 % ARRAY_SIZE(codes)]);
    } else {
        submit(qvtd_page_response_desc(g.f.sid, QVTD_SVM_PASID,
                                       svm_fuzz_u16(in) & 0x1ff,
                                       codes[how % ARRAY_SIZE(codes)]));
    }
}

static void op_invalidate(SVMFuzzInput *in)
{
    uint8_t how = svm_fuzz_u8(in);
    uint64_t addr = BASE + svm_fuzz_u8(in) * PAGE;

    if (how < 0x80) {
        submit(qvtd_dev_piotlb_desc(g.f.sid, QVTD_SVM_PASID,
                                    qvtd_dev_tlb_range(addr & ~0xffffULL,
                                                       64 * KiB),
                                    true, how & 1));
    } else {
        submit(qvtd_dev_iotlb_desc(g.f.sid, QVTD_DEV_TLB_ALL, true));
    }
}

/* Bits that make more pages writable are none of it: see check_frame(). */
static void op_entry(SVMFuzzInput *in)
{
    QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS, .did = QVTD_SVM_DID, .table = g.f.table,
    };
    uint8_t how = svm_fuzz_u8(in);

    pe.flags = QVTD_PE_WPE | (how & (QVTD_PE_SRE | QVTD_PE_ERE | QVTD_PE_NXE |
                                     QVTD_PE_SMEP | QVTD_PE_EAFE));
    pe.fpd = how & 2;
    pe.absent = how & 4;
    qvtd_set_pasid_entry(g.f.v, g.f.dir, QVTD_SVM_PASID, &pe);
    submit(qvtd_pasid_cache_desc(QVTD_PC_PASID, QVTD_SVM_DID, QVTD_SVM_PASID));
    submit(qvtd_piotlb_desc(QVTD_PIOTLB_ALL, QVTD_SVM_DID, QVTD_SVM_PASID, 0,
                            0, false));
    submit(qvtd_dev_piotlb_desc(g.f.sid, QVTD_SVM_PASID, QVTD_DEV_TLB_ALL,
                                true, false));
}

/* The device */

static void write_bar(uint16_t offset, unsigned size, uint64_t val)
{
    uint64_t addr = g.f.svm.bar.addr + offset % SVM_BAR_SIZE;

    switch (size) {
    case 1:
        return qtest_writeb(g.f.qts, addr, val);
    case 2:
        return qtest_writew(g.f.qts, addr, val);
    case 4:
        return qtest_writel(g.f.qts, addr, val);
    default:
        return qtest_writeq(g.f.qts, addr, val);
    }
}

/*
 * A message's address is the guest's choice and needs no page of the process:
 * it stays that of the local APIC.
 */
static bool is_message_address(uint16_t offset, unsigned size)
{
    offset %= SVM_BAR_SIZE;
    return offset + size > SVM_MSIX_TABLE &&
           offset < SVM_MSIX_TABLE + SVM_BAR_SIZE / 4;
}

static void op_write(SVMFuzzInput *in)
{
    uint16_t offset = svm_fuzz_u16(in);
    unsigned size = 1 << (offset >> 14);
    uint64_t val = svm_fuzz_take(in, size);

    if (!is_message_address(offset, size)) {
        write_bar(offset, size, val);
    }
}

static void op_read(SVMFuzzInput *in)
{
    uint16_t offset = svm_fuzz_u16(in);
    uint64_t addr = g.f.svm.bar.addr + offset % SVM_BAR_SIZE;

    switch (offset >> 14) {
    case 0:
        qtest_readb(g.f.qts, addr);
        break;
    case 1:
        qtest_readw(g.f.qts, addr);
        break;
    case 2:
        qtest_readl(g.f.qts, addr);
        break;
    default:
        qtest_readq(g.f.qts, addr);
    }
}

/* Its registers stay where they are, and so do its messages. */
static bool is_kept(uint16_t offset)
{
    uint8_t msi = g.dev->msi_cap;

    return (offset >= PCI_BASE_ADDRESS_0 && offset < PCI_CARDBUS_CIS) ||
           (offset >= msi + PCI_MSI_ADDRESS_LO &&
            offset < msi + PCI_MSI_DATA_64);
}

static void op_config(SVMFuzzInput *in)
{
    uint16_t offset = svm_fuzz_u16(in) & 0xffe;
    uint16_t val = svm_fuzz_u16(in);

    if (!is_kept(offset)) {
        qsvm_config_writew(&g.f.svm, offset, val);
    }
}

static void op_command(SVMFuzzInput *in)
{
    uint8_t how = svm_fuzz_u8(in);

    write_bar(SVM_REG_ADDR, 8, BASE + svm_fuzz_u16(in));
    write_bar(SVM_REG_SIZE, 8, svm_fuzz_u16(in));
    write_bar(SVM_REG_OPTIONS, 8, how >> 2 & 1);
    write_bar(SVM_REG_CMD, 8, how & 3);
}

/* The queues of the device */

static void write_queue(unsigned n, unsigned reg, unsigned size, uint64_t val)
{
    uint64_t addr = g.queue_bar.addr + SVM_Q_REGS(n) + reg;

    if (size == 8) {
        qtest_writeq(g.f.qts, addr, val);
    } else {
        qtest_writel(g.f.qts, addr, val);
    }
}

static uint32_t read_queue(unsigned n, unsigned reg)
{
    return qtest_readl(g.f.qts, g.queue_bar.addr + SVM_Q_REGS(n) + reg);
}

/* As a driver sets it up; rings begin in pages of the process. */
static void op_queue(SVMFuzzInput *in)
{
    unsigned n = svm_fuzz_u8(in) % QUEUES;
    uint8_t pages = svm_fuzz_u8(in), how = svm_fuzz_u8(in);

    g.ring[n] = pages % PAGES;
    write_queue(n, SVM_Q_CTRL, 4, SVM_CTRL_ABORT);
    write_queue(n, SVM_Q_RING, 8, BASE + g.ring[n] * PAGE);
    write_queue(n, SVM_Q_RECORDS, 8, BASE + pages / PAGES * PAGE +
                                     (how & 0x10 ? PAGE / 2 : 0));
    write_queue(n, SVM_Q_SIZE, 4, 1 << (how & 7));
    write_queue(n, SVM_Q_PASID, 4, QVTD_SVM_PASID);
    write_queue(n, SVM_Q_PEER, 4, QVTD_SVM_PASID |
                                  (how & 0x20 ? SVM_PEER_READ : 0) |
                                  (how & 0x40 ? SVM_PEER_WRITE : 0));
    /* Just before the counters of 32 bits wrap, or not */
    write_queue(n, SVM_Q_HEAD, 4, how & 0x08 ? UINT32_MAX - 1 : 0);
    write_queue(n, SVM_Q_CTRL, 4, SVM_CTRL_ENABLE);
}

static void op_queue_reg(SVMFuzzInput *in)
{
    unsigned n = svm_fuzz_u8(in) % QUEUES;
    uint8_t reg = svm_fuzz_u8(in);
    unsigned size = reg & 0x80 ? 8 : 4;

    write_queue(n, reg % 0x40, size, svm_fuzz_take(in, size));
}

static void op_queue_control(SVMFuzzInput *in)
{
    unsigned n = svm_fuzz_u8(in) % QUEUES;

    write_queue(n, SVM_Q_CTRL, 4, svm_fuzz_u8(in) % (SVM_CTRL_ABORT + 1));
}

/* One that may be valid, or, with the topmost bit, any */
static void op_descriptor(SVMFuzzInput *in)
{
    unsigned n = svm_fuzz_u8(in) % QUEUES;
    unsigned slot = svm_fuzz_u8(in) % (PAGE / SVM_DESC_SIZE);
    uint8_t op = svm_fuzz_u8(in), desc[SVM_DESC_SIZE] = { };

    if (!g.page[g.ring[n]]) {
        return;
    }
    stl_le_p(desc + SVM_DESC_OP, op % 8);
    stl_le_p(desc + SVM_DESC_FLAGS, svm_fuzz_u8(in) & SVM_DESC_F_MASK);
    stq_le_p(desc + SVM_DESC_SRC, BASE + svm_fuzz_u16(in));
    stq_le_p(desc + SVM_DESC_DST, BASE + svm_fuzz_u16(in));
    stq_le_p(desc + SVM_DESC_LEN, svm_fuzz_u16(in));
    stq_le_p(desc + SVM_DESC_ARG, svm_fuzz_u8(in));
    if (op & 0x80) {
        stq_le_p(desc + op / 8 % 8 * 8, svm_fuzz_u64(in));
    }
    write_frame(g.page[g.ring[n]], slot * SVM_DESC_SIZE, desc, sizeof(desc));
}

static void op_doorbell(SVMFuzzInput *in)
{
    unsigned n = svm_fuzz_u8(in) % QUEUES;

    qtest_writel(g.f.qts, g.queue_bar.addr + SVM_DOORBELL_PAGE(n),
                 read_queue(n, SVM_Q_TAIL) + (int8_t)svm_fuzz_u8(in));
}

static bool has_page_request(void)
{
    return qvtd_readq(g.f.v, QVTD_PQH_REG) != qvtd_readq(g.f.v, QVTD_PQT_REG);
}

/* For a message that says that a command has ended, or for a page request */
static void op_wait(SVMFuzzInput *in)
{
    for (int i = 0; i < WAIT_STEPS && !has_page_request() &&
                    !qsvm_is_done(&g.f.svm); i++) {
        g_usleep(10);
        svm_fuzz_run_main_loop();
    }
}

static void op_clock(SVMFuzzInput *in)
{
    qtest_clock_step(g.f.qts, (1 + svm_fuzz_u8(in)) * 100 * SCALE_US);
    svm_fuzz_run_main_loop();
}

/* Let the registers answer again, whatever the guest has done to them. */
static void wake_up(void)
{
    qsvm_config_writew(&g.f.svm, g.dev->pm_cap + PCI_PM_CTRL, 0);
    if (qsvm_readq(&g.f.svm, SVM_REG_ID) != SVM_ID) {
        svm_fuzz_reset_bus(g.f.bus);
        qsvm_enable(&g.f.svm);
        g.queue_bar = qsvm_map_queues(&g.f);
    }
}

/* Unlike qsvm_enable_pri(), whatever is outstanding */
static void enable_pri(uint32_t allocation)
{
    QSVM *svm = &g.f.svm;

    qsvm_disable_pri(svm);
    qsvm_config_writew(svm, svm->pri_cap + PCI_PRI_CTRL, PCI_PRI_CTRL_RESET);
    qsvm_config_writew(svm, svm->pri_cap + PCI_PRI_STATUS,
                       PCI_PRI_STATUS_RF | PCI_PRI_STATUS_UPRGI);
    qsvm_config_writel(svm, svm->pri_cap + PCI_PRI_ALLOC_REQ, allocation);
    qsvm_config_writew(svm, svm->pri_cap + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
}

static void op_set_up(SVMFuzzInput *in)
{
    uint8_t how = svm_fuzz_u8(in);

    wake_up();
    qsvm_set_pasid_enables(&g.f.svm, PCI_PASID_CTRL_ENABLE |
                                     PCI_PASID_CTRL_PRIV);
    qsvm_set_ats(&g.f.svm, true);
    qsvm_set_pasid(&g.f.svm, QVTD_SVM_PASID);
    if (how & 1) {
        enable_pri(1 + (how >> 1));
    }
}

static void (*const ops[OPS])(SVMFuzzInput *) = {
    [OP_WRITE] = op_write,
    [OP_READ] = op_read,
    [OP_CONFIG] = op_config,
    [OP_COMMAND] = op_command,
    [OP_MAP] = op_map,
    [OP_MEMORY] = op_memory,
    [OP_ANSWER] = op_answer,
    [OP_INVALIDATE] = op_invalidate,
    [OP_ENTRY] = op_entry,
    [OP_WAIT] = op_wait,
    [OP_CLOCK] = op_clock,
    [OP_SET_UP] = op_set_up,
    [OP_QUEUE] = op_queue,
    [OP_QUEUE_REG] = op_queue_reg,
    [OP_QUEUE_CONTROL] = op_queue_control,
    [OP_DESCRIPTOR] = op_descriptor,
    [OP_DOORBELL] = op_doorbell,
};

/* Each input */

static void begin(QTestState *s)
{
    svm_fuzz_reset_vtd(&g.f, s, QPCI_DEVFN(SLOT, 0));
    g.queue_bar = qsvm_map_queues(&g.f);
    enable_pri(64);
    memset(g.ring, 0, sizeof(g.ring));
    memset(g.page, 0, sizeof(g.page));
    memset(g.frame, 0, sizeof(g.frame));
    for (int i = 0; i < FRAMES; i++) {
        g.frame[i].pa = qvtd_alloc_page(g.f.v);
        memset(host(g.frame[i].pa), QVTD_SVM_POISON, PAGE);
    }
    g.guard = qvtd_alloc(g.f.v, GUARDS * PAGE, PAGE);
    memset(host(g.guard), QVTD_SVM_POISON, GUARDS * PAGE);
    map(0, &g.frame[0], QVTD_FS_USER_RW);
}

/* A command of no bytes ends at once, unless another one is running. */
static bool has_command(void)
{
    uint64_t ended = qsvm_readq(&g.f.svm, SVM_STAT_COMMANDS);

    write_bar(SVM_REG_SIZE, 8, 0);
    write_bar(SVM_REG_CMD, 8, SVM_CMD_WRITE);
    return qsvm_readq(&g.f.svm, SVM_STAT_COMMANDS) == ended;
}

/* Descriptors that were not executed; a queue that was paused goes on. */
static bool has_work(unsigned n)
{
    switch (read_queue(n, SVM_Q_STATE)) {
    case SVM_STATE_DISABLED:
    case SVM_STATE_ERROR:
        return false;
    case SVM_STATE_RUNNING:
        return read_queue(n, SVM_Q_HEAD) != read_queue(n, SVM_Q_TAIL);
    case SVM_STATE_DRAINING:
        return true;
    default:
        write_queue(n, SVM_Q_CTRL, 4, SVM_CTRL_RESUME);
        return true;
    }
}

static bool is_busy(void)
{
    for (unsigned n = 0; n < QUEUES; n++) {
        if (has_work(n)) {
            return true;
        }
    }
    return has_command();
}

/* For who reads a report: what has not ended? */
static void tell_work(void)
{
    for (unsigned n = 0; n < QUEUES; n++) {
        fprintf(stderr, "queue %u: state %u, head %u, tail %u\n", n,
                read_queue(n, SVM_Q_STATE), read_queue(n, SVM_Q_HEAD),
                read_queue(n, SVM_Q_TAIL));
    }
    fprintf(stderr, "status of the command: %" PRIu64 "\n",
            qsvm_readq(&g.f.svm, SVM_REG_STATUS));
}

/*
 * All is answered now, if in the negative: what is left has to end. What was
 * begun is completed, for which the allocation must be as large as it was.
 */
static void end(void)
{
    SVMFuzzPatience patience = { };

    wake_up();
    qsvm_config_writel(&g.f.svm, g.f.svm.pri_cap + PCI_PRI_ALLOC_REQ,
                       UINT32_MAX);
    while (is_busy()) {
        if (!svm_fuzz_patient(&patience)) {
            tell_work();
            svm_fuzz_check(false,
                           "work ends when its page requests are answered");
        }
        qvtd_writel(g.f.v, QVTD_PRS_REG, QVTD_PRS_PPR | QVTD_PRS_PRO);
        while (has_page_request()) {
            answer(false, QVTD_SVM_INVALID);
        }
        qtest_clock_step(g.f.qts, SCALE_MS);
        svm_fuzz_run_main_loop();
    }
    check_memory();
}

static void endpoint_pre_fuzz(QTestState *s)
{
    g.dev = svm_fuzz_pci_device("svm");
}

static void endpoint_fuzz(QTestState *s, const unsigned char *data,
                          size_t size)
{
    SVMFuzzInput in = { data, size };

    svm_fuzz_free_memory();
    begin(s);
    while (in.size) {
        ops[svm_fuzz_u8(&in) % OPS](&in);
    }
    end();
}

static GString *endpoint_cmdline(FuzzTarget *t)
{
    return svm_fuzz_cmdline(SVM_FUZZ_Q35 " -device intel-iommu,svm=on "
                            "-device svm,id=svm,addr=4,x-atc-entries=8");
}

static void register_endpoint(void)
{
    fuzz_add_target(&(FuzzTarget) {
        .name = "svm-endpoint",
        .description = "Endpoint of shared virtual memory, with its IOMMU",
        .get_init_cmdline = endpoint_cmdline,
        .pre_fuzz = endpoint_pre_fuzz,
        .fuzz = endpoint_fuzz,
    });
}

fuzz_target_init(register_endpoint);
