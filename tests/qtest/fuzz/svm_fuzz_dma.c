/*
 * Fuzz target: DMA to process memory (hw/pci/pci_svm_dma.h) and the PCI level
 * below it, on an IOMMU and a guest OS made of arrays
 *
 * The target puts an IOMMU of its own in front of -device svm-testdev, whose
 * function gets an engine. The input starts operations, answers their page
 * requests, changes mappings, takes capabilities away, stops the machine. Each
 * byte that an operation touches is compared with the mapping of that moment.
 *
 * Operations may touch memory in threads of their own. What takes something
 * away from them, a mapping or the right to access memory, has done so when it
 * returns: until then what was right before is right too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/coroutine.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "block/aio.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_regs.h"
#include "hw/pci/pci_svm_dma.h"
#include "hw/pci/pcie.h"
#include "hw/misc/svm-testdev.h"
#include "hw/qdev-core.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "svm_fuzz.h"

#define TYPE_FUZZ_REGION    "svm-fuzz-iommu-memory-region"

#define PAGE        4096
#define SPACES      3
#define PAGES       32
#define FRAMES      16
#define CONTEXTS    4
#define OPERATIONS  8

/* The pages touch the top of the address space. */
#define BASE        (-(uint64_t)PAGES * PAGE)

/* Pages that one translation covers if they may be put together */
#define COMBINED    8

/* Page requests that may be outstanding, unless the input says otherwise */
#define ALLOCATION  40

/* What the host's queue of page requests holds at most */
#define ROOM_MAX    1024

/* What an operation's own function returns to stop it */
#define STOP_ERRNO  (-EXDEV)

enum {
    OP_START,
    OP_RESPOND,
    OP_MAP,
    OP_INVALIDATE,
    OP_CLOSE,
    OP_CONFIG,
    OP_RESET,
    OP_POLL,
    OP_CLOCK,
    OP_ROOM,
    OP_MACHINE,
    OPS,
};

typedef struct Page {
    unsigned frame;             /* FRAMES: no memory */
    IOMMUAccessFlags perm;      /* with IOMMU_PRIV for privileged requests */
} Page;

typedef struct Request {
    uint32_t pasid;
    uint16_t prgi;
    bool lpig;
    bool is_write;
    hwaddr addr;
} Request;

/* What has happened so far, to tell what an operation may end with */
typedef struct Events {
    unsigned disabled;
    unsigned success;
    unsigned invalid;
    unsigned failure;
} Events;

typedef struct Context {
    PCISVMDMAContext *ctx;
    unsigned space;
    unsigned closed;            /* number of times that the slot was closed */
} Context;

typedef struct Operation {
    bool running;
    Context *context;
    unsigned closed;            /* of the context when it started */
    unsigned space;
    uint64_t addr;
    uint64_t len;
    bool is_write;
    unsigned flags;
    unsigned pieces;            /* until it is stopped; 0: it is not */
    uint64_t seen;              /* bytes */
    size_t latest;              /* size of the latest piece */
    Events start;
    bool off;                   /* something was, when it started */
} Operation;

static struct {
    QemuMutex lock;             /* of @page, @old and @may_access */
    Page old;                   /* what is being taken away, and from where */
    Page *changing;
    bool may_access;
    QTestState *qts;
    PCIDevice *dev;
    IOMMUMemoryRegion region[SPACES];
    PCISVMDMA *engine;
    Page page[SPACES][PAGES];
    bool combine;
    bool had_no_memory;         /* some page led there, once */
    GArray *queue;
    unsigned room;
    Events events;
    uint64_t bytes;
    Context context[CONTEXTS];
    Operation operation[OPERATIONS];
} m;

static const uint32_t pasids[SPACES] = { PCI_NO_PASID, 5, 0xfffff };

static unsigned space_of(uint32_t pasid)
{
    unsigned i = 0;

    while (pasids[i] != pasid) {
        svm_fuzz_check(++i < SPACES, "a PASID is one that was given");
    }
    return i;
}

static hwaddr frame_addr(unsigned frame)
{
    return frame == FRAMES ? QVTD_SVM_NO_RAM : QVTD_HEAP_BASE + frame * PAGE;
}

static bool all_on(void)
{
    return m.dev->is_master && pcie_ats_enabled(m.dev) &&
           pcie_pasid_enabled(m.dev) && pcie_pasid_priv_enabled(m.dev) &&
           pcie_pasid_exec_enabled(m.dev) && pcie_pri_enabled(m.dev) &&
           pcie_pri_get_req_alloc(m.dev);
}

/*
 * The IOMMU
 */

static AddressSpace *fuzz_address_space(PCIBus *bus, void *opaque, int devfn)
{
    return &address_space_memory;
}

static unsigned fuzz_pasid_bits(void *opaque)
{
    return 20;
}

static void fuzz_iotlb_info(void *opaque, uint8_t *addr_width,
                            uint32_t *min_page_size)
{
    *addr_width = 64;
    *min_page_size = PAGE;
}

static IOMMUMemoryRegion *fuzz_get_region(PCIBus *bus, void *opaque, int devfn,
                                          uint32_t pasid)
{
    return &m.region[space_of(pasid)];
}

static void fuzz_put_region(PCIBus *bus, void *opaque, int devfn,
                            uint32_t pasid)
{
}

static bool continues(const Page *first, unsigned i)
{
    return first[i].perm == first->perm && first->frame + i == first[i].frame &&
           first[i].frame < FRAMES;
}

/* Do the pages around @page make one larger page? */
static bool is_combined(const Page *table, unsigned page)
{
    const Page *first = &table[page & ~(COMBINED - 1)];

    if (!m.combine || !(first->perm & IOMMU_RW) || first->frame % COMBINED) {
        return false;
    }
    for (unsigned i = 1; i < COMBINED; i++) {
        if (!continues(first, i)) {
            return false;
        }
    }
    return true;
}

static IOMMUTLBEntry translate_page(const PCISVMTranslation *req, hwaddr addr)
{
    const Page *table = m.page[space_of(req->pasid)];
    unsigned page = (addr - BASE) / PAGE;
    IOMMUTLBEntry e = { .iova = addr, .addr_mask = PAGE - 1 };

    if (addr < BASE || !(table[page].perm & IOMMU_RW) ||
        !!(table[page].perm & IOMMU_PRIV) != req->priv_req) {
        return e;
    }
    if (is_combined(table, page)) {
        page &= ~(COMBINED - 1);
        e.iova = BASE + page * PAGE;
        e.addr_mask = COMBINED * PAGE - 1;
    }
    e.translated_addr = frame_addr(table[page].frame);
    e.perm = table[page].perm;
    if (req->no_write) {
        e.perm &= ~IOMMU_WO;
    }
    if (!req->exec_req) {
        e.perm &= ~IOMMU_EXEC;
    }
    return e;
}

static ssize_t fuzz_translate(PCIBus *bus, void *opaque, int devfn,
                              const PCISVMTranslation *req)
{
    IOMMUAccessFlags need = IOMMU_RO | (req->no_write ? 0 : IOMMU_WO) |
                            (req->exec_req ? IOMMU_EXEC : 0);
    hwaddr addr = req->addr;
    size_t n = 0;

    do {
        if (n == req->result_length) {
            return -ENOMEM;
        }
        req->result[n] = translate_page(req, addr);
        *req->err_count += (req->result[n].perm & need) != need;
        addr = (req->result[n].iova | req->result[n].addr_mask) + 1;
        n++;
    } while (addr && addr <= req->last);
    return n;
}

static int fuzz_page_request(PCIBus *bus, void *opaque, int devfn,
                             const PCISVMPageRequest *req)
{
    Request r = {
        req->pasid, req->prgi, req->lpig, req->is_write, req->addr,
    };

    svm_fuzz_check(pcie_pri_enabled(m.dev), "no page request without PRI");
    if (m.queue->len >= m.room) {
        return -ENOSPC;
    }
    g_array_append_val(m.queue, r);
    return 0;
}

static const PCISVMOps fuzz_svm_ops = {
    .pasid_bits = fuzz_pasid_bits,
    .get_iotlb_info = fuzz_iotlb_info,
    .get_iotlb_region = fuzz_get_region,
    .put_iotlb_region = fuzz_put_region,
    .translate = fuzz_translate,
    .page_request = fuzz_page_request,
};

static const PCIIOMMUOps fuzz_iommu_ops = {
    .get_address_space = fuzz_address_space,
    .svm = &fuzz_svm_ops,
};

/*
 * The oracle
 */

static const Page *page_at(const Operation *op, uint64_t addr)
{
    svm_fuzz_check(addr >= BASE, "only what is mapped is accessed");
    return &m.page[op->space][(addr - BASE) / PAGE];
}

/* Does @page let an operation touch @host? What is no memory is not in it. */
static bool page_allows(const Page *page, const Operation *op, uint64_t addr,
                        const uint8_t *host)
{
    IOMMUAccessFlags need = op->is_write ? IOMMU_WO : IOMMU_RO;
    uint8_t *heap = svm_fuzz_heap();

    need |= op->flags & PCI_SVM_DMA_EXEC ? IOMMU_EXEC : 0;
    return (page->perm & need) == need &&
           !(page->perm & IOMMU_PRIV) == !(op->flags & PCI_SVM_DMA_PRIV) &&
           (page->frame < FRAMES
            ? host == heap + page->frame * PAGE + addr % PAGE
            : host < heap || host >= heap + SVM_FUZZ_HEAP_SIZE);
}

static void check_byte(const Operation *op, uint64_t addr, const uint8_t *host)
{
    const Page *page = page_at(op, addr);

    QEMU_LOCK_GUARD(&m.lock);
    svm_fuzz_check(page_allows(page, op, addr, host) ||
                   (page == m.changing && page_allows(&m.old, op, addr, host)),
                   "an access goes where the page leads, with its permission");
}

static void check_piece(const Operation *op, const uint8_t *host, size_t len)
{
    uint64_t addr = op->addr + op->seen;

    svm_fuzz_check(op->running, "an operation that has ended does nothing");
    svm_fuzz_check(op->closed == qatomic_read(&op->context->closed),
                   "nothing is accessed once the context is closed");
    svm_fuzz_check(qatomic_read(&m.may_access),
                   "nothing is accessed by a function that may not, nor while "
                   "the machine is stopped");
    svm_fuzz_check(len && len <= PCI_SVM_DMA_PIECE_MAX &&
                   len <= op->len - op->seen, "a piece has a legal size");
    check_byte(op, addr, host);
    check_byte(op, addr + len - 1, host + len - 1);
    for (uint64_t next = ROUND_UP(addr + 1, PAGE); next > addr &&
         next < addr + len; next += PAGE) {
        check_byte(op, next, host + (next - addr));
    }
}

static int piece(void *host, size_t len, void *opaque)
{
    Operation *op = opaque;

    check_piece(op, host, len);
    op->seen += len;
    op->latest = len;
    if (op->is_write) {
        memset(host, op->seen, len);
    }
    return op->pieces && --op->pieces == 0 ? STOP_ERRNO : 0;
}

static bool was_off(const Operation *op)
{
    return op->off || op->start.disabled != m.events.disabled || !all_on();
}

static bool may_end_with(const Operation *op, PCISVMDMAReason reason)
{
    switch (reason) {
    case PCI_SVM_DMA_OK:
        return op->seen == op->len;
    case PCI_SVM_DMA_UNMAPPED:
        return op->addr + (op->len - 1) < op->addr ||
               op->start.invalid != m.events.invalid || was_off(op);
    case PCI_SVM_DMA_PERMISSION:
        return op->start.invalid != m.events.invalid || was_off(op);
    case PCI_SVM_DMA_RESPONSE_FAILURE:
        return op->start.failure != m.events.failure;
    case PCI_SVM_DMA_RETRIES_EXHAUSTED:
        return m.events.success - op->start.success >= PCI_SVM_DMA_RETRIES;
    case PCI_SVM_DMA_DISABLED:
        /* Both flags travel with a PASID. */
        return was_off(op) || (!op->space && op->flags);
    case PCI_SVM_DMA_CANCELLED:
        return op->closed != op->context->closed;
    case PCI_SVM_DMA_BUS_ERROR:
        return m.had_no_memory;
    case PCI_SVM_DMA_STOPPED:
        return op->latest && !op->pieces;
    default:
        return false;
    }
}

static void check_end(const Operation *op, int ret, const PCISVMDMAError *err)
{
    uint64_t next = op->addr + op->seen;

    svm_fuzz_check(!ret == (err->reason == PCI_SVM_DMA_OK),
                   "an operation fails for a reason");
    svm_fuzz_check(may_end_with(op, err->reason), "the reason is true");
    svm_fuzz_check(err->reason != PCI_SVM_DMA_STOPPED || ret == STOP_ERRNO,
                   "the function's error is the operation's");
    svm_fuzz_check(err->addr == next || err->addr == next - op->latest,
                   "an error says where");
}

static void coroutine_fn operation_entry(void *opaque)
{
    Operation *op = opaque;
    PCISVMDMAError err;
    int ret;

    ret = pci_svm_dma_co_walk(op->context->ctx, op->addr, op->len,
                              op->is_write, op->flags, piece, op, &err);
    check_end(op, ret, &err);
    m.bytes += err.addr - op->addr;
    op->running = false;
}

/*
 * The input
 */

static uint64_t take_addr(SVMFuzzInput *in)
{
    uint16_t where = svm_fuzz_u16(in);

    return BASE + (where % PAGES) * PAGE + (where / PAGES);
}

static void op_start(SVMFuzzInput *in)
{
    Operation *op = &m.operation[svm_fuzz_u8(in) % OPERATIONS];
    Context *context = &m.context[svm_fuzz_u8(in) % CONTEXTS];
    uint8_t how = svm_fuzz_u8(in);

    if (op->running || !context->ctx) {
        return;
    }
    *op = (Operation) {
        .running = true, .context = context, .closed = context->closed,
        .space = context->space, .addr = take_addr(in),
        .len = (uint64_t)svm_fuzz_u16(in) << (how & 0x80 ? 2 : 0),
        .is_write = how & 1,
        .flags = (how & 2 ? PCI_SVM_DMA_PRIV : 0) |
                 (how & 4 ? PCI_SVM_DMA_EXEC : 0),
        .pieces = how >> 3 & 7, .start = m.events, .off = !all_on(),
    };
    qemu_coroutine_enter(qemu_coroutine_create(operation_entry, op));
}

static void invalidate(unsigned space, hwaddr iova, hwaddr mask)
{
    memory_region_notify_iommu(&m.region[space], 0, (IOMMUTLBEvent) {
        .type = IOMMU_NOTIFIER_DEVIOTLB_UNMAP,
        .entry = {
            .target_as = &address_space_memory, .iova = iova,
            .addr_mask = mask, .perm = IOMMU_NONE, .pasid = pasids[space],
        },
    });
}

static void set_page(unsigned space, unsigned page, Page new)
{
    Page *p = &m.page[space][page];

    m.had_no_memory |= new.frame == FRAMES;
    WITH_QEMU_LOCK_GUARD(&m.lock) {
        m.old = *p;
        m.changing = p;
        *p = new;
    }
    /* As an OS: what was not there cannot be cached. */
    if (m.old.perm & IOMMU_RW) {
        invalidate(space, BASE + page * PAGE, PAGE - 1);
    }
    WITH_QEMU_LOCK_GUARD(&m.lock) {
        m.changing = NULL;
    }
}

static void op_map(SVMFuzzInput *in)
{
    unsigned space = svm_fuzz_u8(in) % SPACES;
    uint8_t page = svm_fuzz_u8(in);
    unsigned frame = svm_fuzz_u8(in) % (FRAMES + 1);
    unsigned perm = svm_fuzz_u8(in) & (IOMMU_RW | IOMMU_EXEC | IOMMU_PRIV);

    if (!(page & 0x80)) {
        set_page(space, page % PAGES, (Page) { frame, perm });
        return;
    }
    /* A run of them, which may be put together */
    for (unsigned i = 0; i < COMBINED; i++) {
        set_page(space, (page + i) % PAGES,
                 (Page) { (frame + i) % FRAMES, perm });
    }
}

static void op_invalidate(SVMFuzzInput *in)
{
    unsigned space = svm_fuzz_u8(in) % SPACES;
    unsigned order = svm_fuzz_u8(in) % 53;
    hwaddr mask = ((hwaddr)PAGE << order) - 1;
    hwaddr addr = take_addr(in);

    invalidate(space, order == 52 ? 0 : addr & ~mask,
               order == 52 ? UINT64_MAX : mask);
}

/* As an OS that makes the page resident, or not */
static void resolve(const Request *r)
{
    if (r->addr >= BASE) {
        unsigned page = (r->addr - BASE) / PAGE;

        set_page(space_of(r->pasid), page, (Page) {
            page % FRAMES, r->is_write ? IOMMU_RW : IOMMU_RO,
        });
    }
}

static void take_group(const Request *last, bool resolved)
{
    for (unsigned i = m.queue->len; i--; ) {
        Request r = g_array_index(m.queue, Request, i);

        if (r.pasid == last->pasid && r.prgi == last->prgi) {
            g_array_remove_index(m.queue, i);
            if (resolved) {
                resolve(&r);
            }
        }
    }
}

static void send_response(uint32_t pasid, uint16_t prgi,
                          IOMMUPRIResponseCode code)
{
    IOMMUPRIResponse response = { code, prgi };

    m.events.success += code == IOMMU_PRI_RESP_SUCCESS;
    m.events.invalid += code == IOMMU_PRI_RESP_INVALID_REQUEST;
    m.events.failure += code == IOMMU_PRI_RESP_FAILURE;
    /* A Response Failure disables PRI. */
    m.events.disabled += code == IOMMU_PRI_RESP_FAILURE;
    pci_pri_respond(pci_get_bus(m.dev), m.dev->devfn, pasid, &response);
}

static bool respond(unsigned nth, IOMMUPRIResponseCode code, bool resolved)
{
    for (unsigned i = 0; i < m.queue->len; i++) {
        Request r = g_array_index(m.queue, Request, i);

        if (r.lpig && !nth--) {
            take_group(&r, resolved);
            send_response(r.pasid, r.prgi, code);
            return true;
        }
    }
    return false;
}

static void op_respond(SVMFuzzInput *in)
{
    uint8_t how = svm_fuzz_u8(in);
    IOMMUPRIResponseCode code = how % 3;

    if (how < 0xf0) {
        respond(how >> 4, code, how & 4);
    } else {
        send_response(pasids[how % SPACES], svm_fuzz_u16(in) & 0x1ff, code);
    }
}

static void open_context(Context *context, unsigned space)
{
    context->space = space;
    context->ctx = pci_svm_dma_open(m.engine, pasids[space], NULL);
}

static void op_close(SVMFuzzInput *in)
{
    Context *context = &m.context[svm_fuzz_u8(in) % CONTEXTS];

    if (context->ctx) {
        g_clear_pointer(&context->ctx, pci_svm_dma_close);
        qatomic_inc(&context->closed);
    } else {
        open_context(context, svm_fuzz_u8(in) % SPACES);
    }
}

/* Around what may change it */
static void begin_change(void)
{
    qatomic_set(&m.may_access, true);
}

static void end_change(void)
{
    qatomic_set(&m.may_access, runstate_is_running() && m.dev->is_master &&
                               pcie_ats_enabled(m.dev));
    m.events.disabled += !all_on();
}

static void config_write(uint16_t offset, uint32_t val, int len)
{
    begin_change();
    m.dev->config_write(m.dev, offset, val, len);
    end_change();
}

static void op_config(SVMFuzzInput *in)
{
    uint8_t how = svm_fuzz_u8(in);
    uint8_t val = svm_fuzz_u8(in);

    switch (how % 6) {
    case 0:
        config_write(PCI_COMMAND, val & (PCI_COMMAND_MASTER |
                                         PCI_COMMAND_MEMORY), 2);
        break;
    case 1:
        config_write(SVM_TESTDEV_CAP_PASID + PCI_PASID_CTRL, val, 2);
        break;
    case 2:
        config_write(SVM_TESTDEV_CAP_ATS + PCI_ATS_CTRL, (val & 0x80) << 8 |
                     (val & 0x1f), 2);
        break;
    case 3:
        config_write(SVM_TESTDEV_CAP_PRI + PCI_PRI_CTRL, val, 2);
        break;
    case 4:
        config_write(SVM_TESTDEV_CAP_PRI + PCI_PRI_ALLOC_REQ, val, 4);
        break;
    default:
        config_write(SVM_TESTDEV_CAP_PM + PCI_PM_CTRL, val & 3, 2);
    }
}

static void set_up_function(void)
{
    config_write(SVM_TESTDEV_CAP_PM + PCI_PM_CTRL, 0, 2);
    config_write(PCI_COMMAND, PCI_COMMAND_MASTER, 2);
    config_write(SVM_TESTDEV_CAP_PASID + PCI_PASID_CTRL,
                 PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_PRIV |
                 PCI_PASID_CTRL_EXEC, 2);
    config_write(SVM_TESTDEV_CAP_ATS + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE, 2);
    config_write(SVM_TESTDEV_CAP_PRI + PCI_PRI_CTRL, 0, 2);
    config_write(SVM_TESTDEV_CAP_PRI + PCI_PRI_CTRL, PCI_PRI_CTRL_RESET, 2);
    config_write(SVM_TESTDEV_CAP_PRI + PCI_PRI_STATUS,
                 PCI_PRI_STATUS_RF | PCI_PRI_STATUS_UPRGI, 2);
    config_write(SVM_TESTDEV_CAP_PRI + PCI_PRI_ALLOC_REQ, ALLOCATION,
                 4);
    config_write(SVM_TESTDEV_CAP_PRI + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE, 2);
}

static void op_reset(SVMFuzzInput *in)
{
    begin_change();
    device_cold_reset(DEVICE(m.dev));
    end_change();
    if (svm_fuzz_u8(in) & 1) {
        set_up_function();
    }
}

static void op_poll(SVMFuzzInput *in)
{
    svm_fuzz_run_main_loop();
}

static void op_clock(SVMFuzzInput *in)
{
    qtest_clock_step(m.qts, SCALE_MS);
}

static void op_room(SVMFuzzInput *in)
{
    m.room = svm_fuzz_u8(in);
}

static void op_machine(SVMFuzzInput *in)
{
    begin_change();
    if (runstate_is_running()) {
        vm_stop(RUN_STATE_PAUSED);
    } else {
        vm_start();
    }
    end_change();
}

static void (*const ops[OPS])(SVMFuzzInput *) = {
    [OP_START] = op_start,
    [OP_RESPOND] = op_respond,
    [OP_MAP] = op_map,
    [OP_INVALIDATE] = op_invalidate,
    [OP_CLOSE] = op_close,
    [OP_CONFIG] = op_config,
    [OP_RESET] = op_reset,
    [OP_POLL] = op_poll,
    [OP_CLOCK] = op_clock,
    [OP_ROOM] = op_room,
    [OP_MACHINE] = op_machine,
};

/*
 * Each input
 */

static bool is_any_running(void)
{
    for (int i = 0; i < OPERATIONS; i++) {
        if (m.operation[i].running) {
            return true;
        }
    }
    return false;
}

static void check_stats(void)
{
    PCISVMDMAStats stats;

    pci_svm_dma_get_stats(m.engine, &stats);
    svm_fuzz_check(stats.bytes_read + stats.bytes_written == m.bytes,
                   "all bytes are counted");
    svm_fuzz_check(stats.page_groups == stats.resp_success +
                   stats.resp_invalid + stats.resp_failure,
                   "a group is completed by one response");
    svm_fuzz_check(stats.page_requests >= stats.page_groups,
                   "a group has a request");
}

static void begin(uint8_t how)
{
    static const size_t atc_sizes[] = { 0, 1, 4, 64 };

    set_up_function();
    m.combine = how & 4;
    m.engine = pci_svm_dma_new(m.dev, atc_sizes[how & 3]);
    memset(m.page, 0, sizeof(m.page));
    m.had_no_memory = false;
    g_array_set_size(m.queue, 0);
    m.room = ROOM_MAX;
    m.bytes = 0;
    memset(&m.events, 0, sizeof(m.events));
    memset(m.context, 0, sizeof(m.context));
    memset(m.operation, 0, sizeof(m.operation));
    open_context(&m.context[0], 1);
    open_context(&m.context[1], 1);
}

/*
 * The guest answers all that is asked: all operations have to end. A group that
 * was begun is completed, for which there must be an allocation.
 */
static void end(void)
{
    SVMFuzzPatience patience = { };

    if (!runstate_is_running()) {
        op_machine(NULL);
    }
    m.room = ROOM_MAX;
    config_write(SVM_TESTDEV_CAP_PRI + PCI_PRI_ALLOC_REQ, ALLOCATION, 4);
    while (is_any_running()) {
        svm_fuzz_check(svm_fuzz_patient(&patience),
                       "an operation ends once it is answered");
        while (respond(0, IOMMU_PRI_RESP_INVALID_REQUEST, false)) {
            /* the next */
        }
        svm_fuzz_run_main_loop();
        qtest_clock_step(m.qts, SCALE_MS);
    }
    check_stats();
    for (int i = 0; i < CONTEXTS; i++) {
        pci_svm_dma_close(m.context[i].ctx);
    }
    g_clear_pointer(&m.engine, pci_svm_dma_free);
    svm_fuzz_run_main_loop();
    device_cold_reset(DEVICE(m.dev));
}

static void dma_fuzz(QTestState *s, const unsigned char *data, size_t size)
{
    SVMFuzzInput in = { data, size };

    svm_fuzz_free_memory();
    begin(svm_fuzz_u8(&in));
    while (in.size) {
        ops[svm_fuzz_u8(&in) % OPS](&in);
    }
    end();
}

static void dma_pre_fuzz(QTestState *s)
{
    m.qts = s;
    m.dev = svm_fuzz_pci_device("testdev");
    m.queue = g_array_new(false, false, sizeof(Request));
    qemu_mutex_init(&m.lock);
    for (int i = 0; i < SPACES; i++) {
        memory_region_init_iommu(&m.region[i], sizeof(m.region[i]),
                                 TYPE_FUZZ_REGION, OBJECT(m.dev), "svm-fuzz",
                                 UINT64_MAX);
    }
    pci_setup_iommu(pci_get_bus(m.dev), &fuzz_iommu_ops, NULL);
}

static GString *dma_cmdline(FuzzTarget *t)
{
    return svm_fuzz_cmdline(SVM_FUZZ_Q35
                            " -device svm-testdev,id=testdev,addr=6");
}

static void register_dma(void)
{
    fuzz_add_target(&(FuzzTarget) {
        .name = "svm-dma",
        .description = "DMA to process memory, against a model",
        .get_init_cmdline = dma_cmdline,
        .pre_fuzz = dma_pre_fuzz,
        .fuzz = dma_fuzz,
    });
}

fuzz_target_init(register_dma);

static const TypeInfo fuzz_types[] = {
    {
        .name = TYPE_FUZZ_REGION,
        .parent = TYPE_IOMMU_MEMORY_REGION,
        .instance_size = sizeof(IOMMUMemoryRegion),
    },
};

DEFINE_TYPES(fuzz_types)
