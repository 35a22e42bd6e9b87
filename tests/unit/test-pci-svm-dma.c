/*
 * Tests of DMA to process memory, on an IOMMU and a guest OS made of arrays
 *
 * The main thread stands for the guest's CPUs, and for the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitmap.h"
#include "qemu/coroutine.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "block/aio.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_svm_dma_internal.h"
#include "hw/pci/pcie.h"
#include "system/cpu-timers.h"
#include "system/runstate.h"
#include "iothread.h"

#define PASID 5
#define PAGE 4096

/* Untranslated addresses of the pages; these touch the top */
#define PAGES 256
#define BASE (-(uint64_t)PAGES * PAGE)

#define FRAMES 512
#define RAM_SIZE (FRAMES * PAGE)
#define MMIO_BASE (1ULL << 40)
#define MMIO_SIZE (2 * PAGE)

typedef struct PageRequest {
    uint32_t pasid;
    hwaddr addr;
    bool lpig;
    uint16_t prgi;
    bool is_read;
    bool is_write;
    bool priv;
    bool exec;
} PageRequest;

static struct {
    PCIDevice dev;
    uint8_t ram[RAM_SIZE];
    uint8_t mmio[MMIO_SIZE];
    bool mmio_fails;

    bool ats, pasid, pri;
    uint32_t alloc;

    /* The process */
    aligned_uint64_t frame[PAGES];
    IOMMUAccessFlags perm[PAGES];

    /* The host's queue of page requests, and what it refuses */
    QemuMutex lock;
    GArray *queue;
    unsigned room;
    int ats_errno;
    int request_errno;
    int iotlb_errno;
    unsigned abandoned;
    uint16_t abandoned_prgi;
    uint32_t credits[PCI_PRI_PRGI_MASK + 1];
    uint32_t elsewhere;             /* that another function has */
    unsigned forgotten;
    bool ats_no_write;

    /* What was marked dirty last */
    hwaddr dirty;
    hwaddr dirty_len;

    /* What the VM's time is ahead of real time */
    int64_t skew;

    /* Called in a translation request, a page request, an MMIO access */
    void (*on_translate)(void);
    void (*on_request)(void);
    void (*on_mmio)(void);

    IOMMUNotifier *iotlb;
    IOMMUPRINotifier *pri_notifier;
    Notifier *state_notifier;
    VMChangeStateHandler *vm_handler;
    void *vm_opaque;
    QemuThread main_thread;
    PCISVMCounters counters;
} fake;

static MemoryRegion fake_ram = { .ram = true };
static MemoryRegion fake_mmio;

/* The PCI level */

bool pcie_ats_enabled(const PCIDevice *dev)
{
    return fake.ats;
}

bool pcie_pasid_enabled(const PCIDevice *dev)
{
    return fake.pasid;
}

bool pcie_pri_enabled(const PCIDevice *dev)
{
    return qatomic_read(&fake.pri);
}

uint32_t pcie_pri_get_req_alloc(const PCIDevice *dev)
{
    return pcie_pri_enabled(dev) ? fake.alloc : 0;
}

uint16_t pci_requester_id(PCIDevice *dev)
{
    return 0x10;
}

int pci_iommu_get_iotlb_info(PCIDevice *dev, uint8_t *addr_width,
                             uint32_t *min_page_size)
{
    *addr_width = 64;
    *min_page_size = PAGE;
    return 0;
}

int pci_iommu_init_iotlb_notifier(PCIDevice *dev, IOMMUNotifier *n,
                                  IOMMUNotify fn, void *opaque)
{
    n->notify = fn;
    n->opaque = opaque;
    return 0;
}

int pci_iommu_register_iotlb_notifier(PCIDevice *dev, uint32_t pasid,
                                      IOMMUNotifier *n)
{
    if (fake.iotlb_errno) {
        return fake.iotlb_errno;
    }
    g_assert_null(fake.iotlb);
    fake.iotlb = n;
    return 0;
}

int pci_iommu_unregister_iotlb_notifier(PCIDevice *dev, uint32_t pasid,
                                        IOMMUNotifier *n)
{
    g_assert_true(fake.iotlb == n);
    fake.iotlb = NULL;
    return 0;
}

int pci_pri_register_notifier(PCIDevice *dev, uint32_t pasid,
                              IOMMUPRINotifier *notifier)
{
    if (pasid != PASID) {
        return -EINVAL;
    }
    g_assert_null(fake.pri_notifier);
    fake.pri_notifier = notifier;
    return 0;
}

void pci_pri_unregister_notifier(PCIDevice *dev, uint32_t pasid)
{
    fake.pri_notifier = NULL;
}

void pci_svm_add_state_notifier(PCIDevice *dev, Notifier *notifier)
{
    static NotifierList list = NOTIFIER_LIST_INITIALIZER(list);

    fake.state_notifier = notifier;
    notifier_list_add(&list, notifier);
}

PCISVMCounters *pci_svm_get_counters(PCIDevice *dev, uint32_t pasid)
{
    return &fake.counters;
}

void pci_svm_put_counters(PCIDevice *dev, PCISVMCounters *counters)
{
}

void pci_svm_set_atc(PCIDevice *dev, PCIATC *atc)
{
}

static IOMMUTLBEntry fake_translate(hwaddr addr, bool priv, bool no_write)
{
    unsigned page = (addr - BASE) / PAGE;
    IOMMUAccessFlags perm = addr < BASE ? IOMMU_NONE
                                        : qatomic_read(&fake.perm[page]);
    IOMMUTLBEntry e = { .iova = addr, .addr_mask = PAGE - 1 };

    /* User memory is not for privileged requests. */
    if ((perm & IOMMU_RW) && !priv) {
        e.translated_addr = qatomic_read_u64(&fake.frame[page]);
        e.perm = no_write ? perm & ~IOMMU_WO : perm;
    }
    return e;
}

ssize_t pci_ats_request_part(PCIDevice *dev, uint32_t pasid, bool priv_req,
                             bool exec_req, hwaddr addr, size_t length,
                             bool no_write, IOMMUTLBEntry *result,
                             size_t result_length, uint32_t *err_count)
{
    IOMMUAccessFlags need = IOMMU_RO | (no_write ? 0 : IOMMU_WO) |
                            (exec_req ? IOMMU_EXEC : 0);
    hwaddr last = addr + (length - 1);
    size_t n = 0;

    g_assert_cmpuint(pasid, ==, PASID);
    g_assert_cmphex(addr & (PAGE - 1), ==, 0);
    g_assert_cmphex(addr, <=, last);
    if (!fake.ats || !fake.dev.is_master || fake.ats_errno) {
        return fake.ats_errno ?: -EPERM;
    }
    qatomic_set(&fake.ats_no_write, no_write);
    *err_count = 0;
    do {
        if (n == result_length) {
            return -ENOMEM;
        }
        result[n] = fake_translate(addr, priv_req, no_write);
        *err_count += (result[n].perm & need) != need;
        n++;
        addr += PAGE;
    } while (addr && addr - 1 < last);
    if (fake.on_translate) {
        fake.on_translate();
    }
    return n;
}

int pci_pri_request_page(PCIDevice *dev, uint32_t pasid, bool priv_req,
                         bool exec_req, hwaddr addr, bool lpig, uint16_t prgi,
                         bool is_read, bool is_write)
{
    PageRequest r = { pasid, addr, lpig, prgi, is_read, is_write, priv_req,
                      exec_req };

    if (!pcie_pri_enabled(dev) || !fake.dev.is_master) {
        return -EPERM;
    }
    if (fake.request_errno) {
        return fake.request_errno;
    }
    if (fake.on_request) {
        fake.on_request();
    }
    QEMU_LOCK_GUARD(&fake.lock);
    if (fake.queue->len >= fake.room) {
        return -ENOSPC;
    }
    g_assert_nonnull(fake.pri_notifier);
    g_array_append_val(fake.queue, r);
    return 0;
}

unsigned pcie_pri_get_forgotten(const PCIDevice *dev)
{
    return fake.forgotten;
}

int pcie_pri_plan_group(PCIDevice *dev, uint32_t pasid, uint16_t prgi,
                        unsigned count)
{
    uint32_t used = qatomic_read(&fake.elsewhere);

    g_assert_cmpuint(count, >, 0);
    if (!pcie_pri_enabled(dev)) {
        return -EPERM;
    }
    QEMU_LOCK_GUARD(&fake.lock);
    for (int i = 0; i <= PCI_PRI_PRGI_MASK; i++) {
        used += fake.credits[i];
    }
    if (fake.credits[prgi] || used >= fake.alloc) {
        return -EBUSY;
    }
    fake.credits[prgi] = MIN(count, fake.alloc - used);
    return fake.credits[prgi];
}

static void fake_end_group(uint16_t prgi)
{
    QEMU_LOCK_GUARD(&fake.lock);
    fake.credits[prgi] = 0;
}

void pcie_pri_abandon_group(PCIDevice *dev, uint32_t pasid, uint16_t prgi)
{
    fake.abandoned++;
    fake.abandoned_prgi = prgi;
    fake_end_group(prgi);
}

/* Memory */

MemoryRegion *flatview_translate(FlatView *fv, hwaddr addr, hwaddr *xlat,
                                 hwaddr *plen, bool is_write, MemTxAttrs attrs)
{
    g_assert_cmpint(attrs.address_type, ==, PCI_AT_TRANSLATED);
    g_assert_cmphex(attrs.requester_id, ==, 0x10);
    if (addr >= MMIO_BASE) {
        *xlat = addr - MMIO_BASE;
        if (fake.on_mmio) {
            fake.on_mmio();
        }
        return &fake_mmio;
    }
    g_assert_cmphex(addr + *plen, <=, RAM_SIZE);
    *xlat = addr;
    return &fake_ram;
}

bool memory_region_is_ram_device(MemoryRegion *mr)
{
    return false;
}

void memory_region_ref(MemoryRegion *mr)
{
    qatomic_inc(&mr->priority);
}

void memory_region_unref(MemoryRegion *mr)
{
    qatomic_dec(&mr->priority);
}

void *memory_region_get_ram_ptr(MemoryRegion *mr)
{
    return fake.ram;
}

void address_space_unmap(AddressSpace *as, void *buffer, hwaddr len,
                         bool is_write, hwaddr access_len)
{
    g_assert_true(is_write);
    g_assert_cmpuint(len, ==, access_len);
    fake.dirty = (uint8_t *)buffer - fake.ram;
    fake.dirty_len = len;
    memory_region_unref(&fake_ram);
}

static MemTxResult fake_mmio_rw(hwaddr addr, void *buf, hwaddr len,
                                bool is_write)
{
    g_assert_true(bql_locked());
    g_assert_cmphex(addr, >=, MMIO_BASE);
    if (fake.mmio_fails) {
        return MEMTX_DECODE_ERROR;
    }
    if (is_write) {
        memcpy(fake.mmio + (addr - MMIO_BASE), buf, len);
    } else {
        memcpy(buf, fake.mmio + (addr - MMIO_BASE), len);
    }
    return MEMTX_OK;
}

MemTxResult address_space_read_full(AddressSpace *as, hwaddr addr,
                                    MemTxAttrs attrs, void *buf, hwaddr len)
{
    return fake_mmio_rw(addr, buf, len, false);
}

MemTxResult address_space_write(AddressSpace *as, hwaddr addr,
                                MemTxAttrs attrs, const void *buf, hwaddr len)
{
    return fake_mmio_rw(addr, (void *)buf, len, true);
}

/* The rest of QEMU */

bool bql_locked(void)
{
    return qemu_thread_is_self(&fake.main_thread);
}

void bql_lock_impl(const char *file, int line)
{
    g_assert_true(bql_locked());
}

void bql_unlock(void)
{
}

void bql_block_unlock(bool increase)
{
}

RunState runstate_get(void)
{
    return RUN_STATE_RUNNING;
}

int64_t cpu_get_clock(void)
{
    return get_clock() + fake.skew;
}

VMChangeStateEntry *qemu_add_vm_change_state_handler(VMChangeStateHandler *cb,
                                                     void *opaque)
{
    fake.vm_handler = cb;
    fake.vm_opaque = opaque;
    return NULL;
}

void qemu_del_vm_change_state_handler(VMChangeStateEntry *e)
{
    fake.vm_handler = NULL;
}

/* The guest's side */

static void guest_map(unsigned page, hwaddr frame, IOMMUAccessFlags perm)
{
    qatomic_set_u64(&fake.frame[page], frame);
    qatomic_set(&fake.perm[page], perm);
}

/* @count pages from @page on, in frames of the same numbers */
static void guest_map_run(unsigned page, unsigned count, IOMMUAccessFlags perm)
{
    for (unsigned i = page; i < page + count; i++) {
        guest_map(i, i * PAGE, perm);
    }
}

static void guest_invalidate(unsigned page)
{
    IOMMUTLBEntry e = {
        .iova = BASE + page * PAGE, .addr_mask = PAGE - 1, .pasid = PASID,
    };

    fake.iotlb->notify(fake.iotlb, &e);
}

static void guest_respond(uint16_t prgi, IOMMUPRIResponseCode code)
{
    IOMMUPRIResponse response = { code, prgi };

    fake_end_group(prgi & PCI_PRI_PRGI_MASK);
    if (fake.pri_notifier) {
        fake.pri_notifier->notify(fake.pri_notifier, &response);
    }
}

static const PageRequest *guest_request(unsigned i)
{
    g_assert_cmpuint(i, <, fake.queue->len);
    return &g_array_index(fake.queue, PageRequest, i);
}

static void guest_change_state(void)
{
    fake.state_notifier->notify(fake.state_notifier, &fake.dev);
}

/* The device's side */

typedef struct Op {
    PCISVMDMAContext *ctx;
    uint64_t addr;
    uint64_t len;
    bool is_write;
    unsigned flags;
    uint8_t *buf;
    PCISVMDMAFunc *fn;
    const PCISVMDMARange *ranges;
    size_t count;
    QEMUIOVector *qiov;
    int ret;
    bool done;
    PCISVMDMAError err;
} Op;

static void coroutine_fn op_entry(void *opaque)
{
    Op *op = opaque;

    if (op->fn) {
        op->ret = pci_svm_dma_co_walk(op->ctx, op->addr, op->len, op->is_write,
                                      op->flags, op->fn, op, &op->err);
    } else if (op->qiov) {
        op->ret = (op->is_write ? pci_svm_dma_co_writev : pci_svm_dma_co_readv)
                  (op->ctx, op->ranges, op->count, op->qiov, op->flags,
                   &op->err);
    } else if (op->is_write) {
        op->ret = pci_svm_dma_co_write(op->ctx, op->addr, op->buf, op->len,
                                       op->flags, &op->err);
    } else {
        op->ret = pci_svm_dma_co_read(op->ctx, op->addr, op->buf, op->len,
                                      op->flags, &op->err);
    }
    qatomic_store_release(&op->done, true);
    aio_wait_kick();
}

static void op_start(Op *op)
{
    qemu_coroutine_enter(qemu_coroutine_create(op_entry, op));
}

static void op_start_in(Op *op, AioContext *ctx)
{
    aio_co_schedule(ctx, qemu_coroutine_create(op_entry, op));
}

static void op_join(Op *op)
{
    AIO_WAIT_WHILE_UNLOCKED(NULL, !qatomic_load_acquire(&op->done));
}

static void op_join_with(Op *op, PCISVMDMAReason reason, int ret,
                         uint64_t stopped)
{
    op_join(op);
    g_assert_cmpint(op->err.reason, ==, reason);
    g_assert_cmpint(op->ret, ==, ret);
    g_assert_cmphex(op->err.addr, ==, stopped);
}

static void op_join_ok(Op *op)
{
    op_join_with(op, PCI_SVM_DMA_OK, 0, op->addr + op->len);
}

static PCISVMDMA *engine;
static PCISVMDMAContext *context;
static uint8_t buffer[PAGES * PAGE];

/* Is a worker thread doing what the main loop must not? */
static bool is_working(void)
{
    SVMDMAOp *op;

    if (!engine) {
        return false;
    }
    QEMU_LOCK_GUARD(&engine->lock);
    QLIST_FOREACH(op, &engine->ops, next) {
        if (op->home == qemu_get_aio_context() && !op->parked) {
            return true;
        }
    }
    return false;
}

/* Let everything happen that needs neither the guest nor time. */
static void settle(void)
{
    while (aio_poll(qemu_get_aio_context(), false) || is_working()) {
        g_thread_yield();
    }
}

static void op_start_in_turn(Op *op)
{
    op_start(op);
    settle();
}

static void wait_queue(unsigned len)
{
    while (fake.queue->len < len) {
        aio_poll(qemu_get_aio_context(), true);
    }
}

static void setup(void)
{
    memset(fake.perm, 0, sizeof(fake.perm));
    memset(fake.credits, 0, sizeof(fake.credits));
    fake.elsewhere = 0;
    for (size_t i = 0; i < RAM_SIZE; i++) {
        fake.ram[i] = i * 7 + (i >> 12);
    }
    fake.dev.is_master = fake.ats = fake.pasid = fake.pri = true;
    fake.request_errno = 0;
    fake.abandoned = 0;
    fake.on_request = NULL;
    fake.alloc = 64;
    fake.room = 1000;
    fake.ats_errno = 0;
    fake.iotlb_errno = 0;
    fake.mmio_fails = false;
    fake.on_translate = NULL;
    fake.on_mmio = NULL;
    fake.queue = g_array_new(false, false, sizeof(PageRequest));
    engine = pci_svm_dma_new(&fake.dev, 0);
    context = pci_svm_dma_open(engine, PASID, &error_abort);
    memset(buffer, 0, sizeof(buffer));
}

static void teardown(void)
{
    g_clear_pointer(&context, pci_svm_dma_close);
    g_clear_pointer(&engine, pci_svm_dma_free);
    settle();
    g_assert_null(fake.iotlb);
    g_assert_null(fake.pri_notifier);
    g_assert_null(fake.vm_handler);
    g_assert_cmpint(fake_ram.priority, ==, 0);
    g_array_free(fake.queue, true);
}

static Op op_new(bool is_write, unsigned page, uint64_t offset, uint64_t len)
{
    return (Op) {
        .ctx = context, .addr = BASE + page * PAGE + offset, .len = len,
        .is_write = is_write, .buf = buffer,
    };
}

static PCISVMDMAStats get_stats(void)
{
    PCISVMDMAStats stats;

    pci_svm_dma_get_stats(engine, &stats);
    return stats;
}

/* Translation */

static void test_read(void)
{
    Op op = op_new(false, 3, 100, 2 * PAGE);

    guest_map(3, 0x7000, IOMMU_RW);
    guest_map(4, 0x1000, IOMMU_RO);
    guest_map(5, 0x9000, IOMMU_RW);
    op_start(&op);
    op_join_ok(&op);
    g_assert_cmpmem(buffer, PAGE - 100, fake.ram + 0x7064, PAGE - 100);
    g_assert_cmpmem(buffer + PAGE - 100, PAGE, fake.ram + 0x1000, PAGE);
    g_assert_cmpmem(buffer + 2 * PAGE - 100, 100, fake.ram + 0x9000, 100);
    g_assert_true(fake.ats_no_write);
    g_assert_cmpuint(get_stats().bytes_read, ==, 2 * PAGE);
    g_assert_cmpuint(get_stats().bytes_written, ==, 0);
}

static void test_write(void)
{
    Op op = op_new(true, 3, PAGE - 1, 2);

    guest_map(3, 0x7000, IOMMU_RW);
    guest_map(4, 0x1000, IOMMU_RW);
    buffer[0] = 0xaa;
    buffer[1] = 0x55;
    op_start(&op);
    op_join_ok(&op);
    g_assert_cmphex(fake.ram[0x7fff], ==, 0xaa);
    g_assert_cmphex(fake.ram[0x1000], ==, 0x55);
    g_assert_false(fake.ats_no_write);
    g_assert_cmpuint(get_stats().bytes_written, ==, 2);
}

static void test_read_ahead_and_cache(void)
{
    Op op = op_new(false, 0, 0, 100 * PAGE);

    guest_map_run(0, PAGES, IOMMU_RW);
    op_start(&op);
    op_join_ok(&op);
    g_assert_cmpuint(get_stats().ats_requests, ==, 1);
    g_assert_cmpuint(get_stats().ats_results, ==, 100);
    g_assert_cmpuint(get_stats().atc_misses, ==, 1);
    g_assert_cmpuint(get_stats().atc_hits, ==, 99);

    /* A write is no part of what a read brought. */
    op = op_new(true, 0, 0, 1);
    op_start(&op);
    op_join_ok(&op);
    g_assert_cmpuint(get_stats().ats_requests, ==, 2);
    g_assert_cmpuint(get_stats().page_requests, ==, 0);
}

static void test_whole_range(void)
{
    Op op = op_new(false, 0, 0, PAGES * PAGE);

    guest_map_run(0, PAGES, IOMMU_RW);
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_OK, 0, 0);
    g_assert_cmpmem(buffer, PAGES * PAGE, fake.ram, PAGES * PAGE);
}

static void test_nothing(void)
{
    Op op = op_new(false, 0, 0, 0);

    op_start(&op);
    op_join_ok(&op);
    g_assert_cmpuint(get_stats().ats_requests, ==, 0);
}

static void test_beyond_the_top(void)
{
    Op op = op_new(false, PAGES - 1, 0, PAGE + 1);

    guest_map_run(0, PAGES, IOMMU_RW);
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_UNMAPPED, -EFAULT, op.addr);
    g_assert_cmpuint(get_stats().ats_requests, ==, 0);
}

static void test_translation_refused(void)
{
    Op op = op_new(false, 0, 0, 1);

    guest_map_run(0, 1, IOMMU_RW);
    fake.ats_errno = -EFAULT;
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_DISABLED, -EPERM, op.addr);
    g_assert_cmpuint(get_stats().refused, ==, 1);
}

static void test_open_refused(void)
{
    Error *err = NULL;

    g_assert_null(pci_svm_dma_open(engine, PASID + 1, &err));
    error_free_or_abort(&err);
    g_clear_pointer(&context, pci_svm_dma_close);
    fake.iotlb_errno = -ENODEV;
    g_assert_null(pci_svm_dma_open(engine, PASID, &err));
    error_free_or_abort(&err);
    g_assert_null(fake.pri_notifier);
}

static void revoke_page_0(void)
{
    fake.on_translate = NULL;
    guest_map(0, 0x8000, IOMMU_RW);
    guest_invalidate(0);
}

static void test_revoked_while_translating(void)
{
    Op op = op_new(false, 0, 0, PAGE);

    guest_map(0, 0x4000, IOMMU_RW);
    fake.on_translate = revoke_page_0;
    op_start(&op);
    op_join_ok(&op);
    g_assert_cmpmem(buffer, PAGE, fake.ram + 0x8000, PAGE);
    g_assert_cmpuint(get_stats().ats_requests, ==, 2);
    g_assert_cmpuint(get_stats().invalidations, ==, 1);
}

static void test_invalidation_drops(void)
{
    Op op = op_new(false, 0, 0, 2 * PAGE);

    guest_map_run(0, 2, IOMMU_RW);
    op_start(&op);
    op_join_ok(&op);
    guest_map(0, 0x8000, IOMMU_RW);
    guest_invalidate(0);
    g_assert_cmpuint(get_stats().revoked, ==, 1);
    op.done = false;
    op_start(&op);
    op_join_ok(&op);
    g_assert_cmpmem(buffer, PAGE, fake.ram + 0x8000, PAGE);
}

static int stop_at_second(void *host, size_t len, void *opaque)
{
    Op *op = opaque;

    return op->flags-- == PCI_SVM_DMA_EXEC ? 0 : -EDOM;
}

static void test_function_stops(void)
{
    Op op = op_new(false, 0, 0, 3 * PAGE);

    guest_map_run(0, 3, IOMMU_RW | IOMMU_EXEC);
    /* Pages that do not follow each other in memory are pieces of their own. */
    guest_map(1, 0x8000, IOMMU_RW | IOMMU_EXEC);
    op.fn = stop_at_second;
    op.flags = PCI_SVM_DMA_EXEC;
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_STOPPED, -EDOM, op.addr + PAGE);
}

/* What is not RAM */

static void test_mmio(void)
{
    Op op = op_new(true, 0, 16, 2 * PAGE - 16);

    guest_map(0, MMIO_BASE, IOMMU_RW);
    guest_map(1, MMIO_BASE + PAGE, IOMMU_RW);
    memset(buffer, 0x5a, sizeof(buffer));
    op_start(&op);
    op_join_ok(&op);
    g_assert_cmphex(fake.mmio[15], ==, 0);
    g_assert_cmpmem(fake.mmio + 16, 2 * PAGE - 16, buffer, 2 * PAGE - 16);

    memset(buffer, 0, sizeof(buffer));
    op = op_new(false, 1, 1, 1);
    op_start(&op);
    op_join_ok(&op);
    g_assert_cmphex(buffer[0], ==, 0x5a);
}

static void test_bus_error(void)
{
    Op op = op_new(true, 0, 0, 2 * PAGE);

    guest_map(0, 0, IOMMU_RW);
    guest_map(1, MMIO_BASE, IOMMU_RW);
    fake.mmio_fails = true;
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_BUS_ERROR, -EIO, op.addr + PAGE);
}

static void test_ram_only(void)
{
    Op op = op_new(true, 0, 0, 2 * PAGE);

    guest_map(0, 0, IOMMU_RW);
    guest_map(1, MMIO_BASE, IOMMU_RW);
    memset(buffer, 0x5a, sizeof(buffer));
    op.flags = PCI_SVM_DMA_RAM;
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_BUS_ERROR, -EIO, op.addr + PAGE);
    g_assert_cmphex(fake.ram[0], ==, 0x5a);
    g_assert_cmphex(fake.mmio[0], ==, 0);
}

/* Page requests */

static void test_page_request(void)
{
    Op op = op_new(true, 1, 10, 3 * PAGE);

    guest_map(1, 0, IOMMU_RW);
    guest_map(3, 0, IOMMU_RO);
    op_start(&op);
    settle();
    g_assert_false(op.done);
    g_assert_cmpuint(fake.queue->len, ==, 3);
    for (int i = 0; i < 3; i++) {
        const PageRequest *r = guest_request(i);

        g_assert_cmphex(r->addr, ==, BASE + (2 + i) * PAGE);
        g_assert_cmpint(r->lpig, ==, i == 2);
        g_assert_cmpuint(r->prgi, ==, guest_request(0)->prgi);
        g_assert_true(r->is_read && r->is_write && !r->priv && !r->exec);
    }
    guest_map_run(2, 3, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
    g_assert_cmpuint(get_stats().page_requests, ==, 3);
    g_assert_cmpuint(get_stats().page_groups, ==, 1);
    g_assert_cmpuint(get_stats().resp_success, ==, 1);
}

static void test_read_asks_for_reading(void)
{
    Op op = op_new(false, 1, 10, 1);

    op_start(&op);
    settle();
    g_assert_cmpuint(fake.queue->len, ==, 1);
    g_assert_true(guest_request(0)->is_read && !guest_request(0)->is_write);
    guest_map_run(1, 1, IOMMU_RO);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
}

static void test_unmapped(void)
{
    Op op = op_new(false, 1, 10, 1);

    op_start(&op);
    settle();
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_INVALID_REQUEST);
    op_join_with(&op, PCI_SVM_DMA_UNMAPPED, -EFAULT, op.addr);
    g_assert_cmpuint(get_stats().resp_invalid, ==, 1);
}

static void test_read_only(void)
{
    Op op = op_new(true, 1, 10, 1);

    guest_map_run(1, 1, IOMMU_RO);
    op_start(&op);
    settle();
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_INVALID_REQUEST);
    op_join_with(&op, PCI_SVM_DMA_PERMISSION, -EACCES, op.addr);
}

static void test_privileged(void)
{
    Op op = op_new(false, 1, 10, 1);

    guest_map_run(1, 1, IOMMU_RW);
    op.flags = PCI_SVM_DMA_PRIV;
    op_start(&op);
    settle();
    g_assert_true(guest_request(0)->priv);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_INVALID_REQUEST);
    op_join_with(&op, PCI_SVM_DMA_UNMAPPED, -EFAULT, op.addr);
}

/* An invalid page fails the operation there, not at the group's first page. */
static void test_unmapped_in_a_group(void)
{
    Op op = op_new(true, 0, 0, 3 * PAGE);

    op_start(&op);
    settle();
    g_assert_cmpuint(fake.queue->len, ==, 3);
    guest_map_run(0, 1, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_INVALID_REQUEST);
    settle();
    g_assert_cmpuint(fake.queue->len, ==, 5);
    guest_respond(guest_request(3)->prgi, IOMMU_PRI_RESP_INVALID_REQUEST);
    settle();
    g_assert_cmpuint(fake.queue->len, ==, 6);
    g_assert_cmphex(guest_request(5)->addr, ==, op.addr + PAGE);
    g_assert_true(guest_request(5)->lpig);
    guest_respond(guest_request(5)->prgi, IOMMU_PRI_RESP_INVALID_REQUEST);
    op_join_with(&op, PCI_SVM_DMA_UNMAPPED, -EFAULT, op.addr + PAGE);
}

static void test_response_failure(void)
{
    Op op = op_new(false, 1, 10, 1);

    op_start(&op);
    settle();
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_FAILURE);
    fake.pri = false;
    guest_change_state();
    op_join_with(&op, PCI_SVM_DMA_RESPONSE_FAILURE, -EIO, op.addr);
    g_assert_cmpuint(get_stats().resp_failure, ==, 1);
}

static void test_retries_are_bounded(void)
{
    Op op = op_new(false, 1, 10, 1);

    op_start(&op);
    for (int i = 0; i < PCI_SVM_DMA_RETRIES; i++) {
        settle();
        g_assert_cmpuint(fake.queue->len, ==, i + 1);
        guest_respond(guest_request(i)->prgi, IOMMU_PRI_RESP_SUCCESS);
    }
    op_join_with(&op, PCI_SVM_DMA_RETRIES_EXHAUSTED, -ETIMEDOUT, op.addr);
}

static void test_without_pri(void)
{
    Op op = op_new(false, 1, 0, 2 * PAGE);

    fake.pri = false;
    guest_map_run(1, 1, IOMMU_RW);
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_UNMAPPED, -EFAULT, op.addr + PAGE);
    g_assert_cmpuint(fake.queue->len, ==, 0);
}

static void test_unknown_response(void)
{
    Op op = op_new(false, 1, 0, 1);

    op_start(&op);
    settle();
    guest_respond(guest_request(0)->prgi ^ 1, IOMMU_PRI_RESP_SUCCESS);
    settle();
    g_assert_cmpuint(get_stats().page_groups, ==, 0);
    guest_map_run(1, 1, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
}

static void test_page_request_at_the_top(void)
{
    Op op = op_new(false, PAGES - 1, 0, PAGE);

    op_start(&op);
    settle();
    g_assert_cmpuint(fake.queue->len, ==, 1);
    g_assert_cmphex(guest_request(0)->addr, ==, op.addr);
    guest_map_run(PAGES - 1, 1, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
}

/* Credits */

static void test_credits(void)
{
    Op first = op_new(false, 0, 0, 10 * PAGE);
    Op second = op_new(false, 20, 0, PAGE);
    Op third = op_new(false, 40, 0, PAGE);

    fake.alloc = 4;
    op_start_in_turn(&first);
    op_start_in_turn(&second);
    op_start_in_turn(&third);
    /* Four for the first; the others wait for it. */
    g_assert_cmpuint(fake.queue->len, ==, 4);
    g_assert_true(guest_request(3)->lpig);
    guest_map_run(0, 4, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    settle();
    /* First come, first served; the rest is for the first. */
    g_assert_cmpuint(fake.queue->len, ==, 8);
    g_assert_cmphex(guest_request(4)->addr, ==, second.addr);
    g_assert_cmphex(guest_request(5)->addr, ==, third.addr);
    g_assert_cmphex(guest_request(6)->addr, ==, first.addr + 4 * PAGE);
    g_assert_true(guest_request(7)->lpig);
    guest_map_run(0, 41, IOMMU_RW);
    for (int i = 4; i < 7; i++) {
        guest_respond(guest_request(i)->prgi, IOMMU_PRI_RESP_SUCCESS);
    }
    op_join_ok(&first);
    op_join_ok(&second);
    op_join_ok(&third);
}

static void test_cancelled_in_the_credit_queue(void)
{
    PCISVMDMAContext *other = pci_svm_dma_open(engine, PASID, &error_abort);
    Op first = op_new(false, 0, 0, 1);
    Op second = op_new(false, 20, 0, 1);
    Op third = op_new(false, 40, 0, 1);

    fake.alloc = 1;
    second.ctx = other;
    op_start_in_turn(&first);
    op_start_in_turn(&second);
    op_start_in_turn(&third);
    pci_svm_dma_close(other);
    op_join_with(&second, PCI_SVM_DMA_CANCELLED, -ECANCELED, second.addr);
    guest_map_run(0, 41, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&first);
    settle();
    g_assert_cmphex(guest_request(1)->addr, ==, third.addr);
    guest_respond(guest_request(1)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&third);
}

static void test_all_indices(void)
{
    g_autofree Op *ops = g_new(Op, PCI_PRI_PRGI_MASK + 2);
    DECLARE_BITMAP(used, PCI_PRI_PRGI_MASK + 1) = { };

    fake.alloc = UINT32_MAX;
    for (int i = 0; i < PCI_PRI_PRGI_MASK + 2; i++) {
        ops[i] = op_new(false, 0, 0, 1);
        op_start(&ops[i]);
    }
    settle();
    g_assert_cmpuint(fake.queue->len, ==, PCI_PRI_PRGI_MASK + 1);
    for (int i = 0; i <= PCI_PRI_PRGI_MASK; i++) {
        g_assert_false(test_and_set_bit(guest_request(i)->prgi, used));
    }
    guest_map_run(0, 1, IOMMU_RW);
    for (int i = 0; i <= PCI_PRI_PRGI_MASK; i++) {
        guest_respond(guest_request(i)->prgi, IOMMU_PRI_RESP_SUCCESS);
    }
    settle();
    guest_respond(guest_request(PCI_PRI_PRGI_MASK + 1)->prgi,
                  IOMMU_PRI_RESP_SUCCESS);
    for (int i = 0; i < PCI_PRI_PRGI_MASK + 2; i++) {
        op_join_ok(&ops[i]);
    }
}

/* What is left is less than the operation wants, or nothing at first. */
static void test_credits_elsewhere(void)
{
    Op op = op_new(false, 0, 0, 4 * PAGE);

    fake.alloc = 8;
    fake.elsewhere = 8;
    op_start(&op);
    settle();
    g_assert_cmpuint(fake.queue->len, ==, 0);
    g_assert_false(op.done);
    qatomic_set(&fake.elsewhere, 5);
    wait_queue(3);
    g_assert_true(guest_request(2)->lpig);
    guest_map_run(0, 4, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
}

/* A group that the interface has forgotten is lost, though PRI is enabled. */
static void test_forgotten(void)
{
    Op op = op_new(false, 0, 0, 1);

    fake.alloc = 1;
    op_start_in_turn(&op);
    fake_end_group(guest_request(0)->prgi);
    fake.forgotten++;
    guest_change_state();
    g_assert_cmpuint(pci_svm_dma_outstanding(engine, PASID), ==, 0);
    op_join_with(&op, PCI_SVM_DMA_DISABLED, -EPERM, op.addr);
    op = op_new(false, 1, 0, 1);
    op_start_in_turn(&op);
    guest_map_run(1, 1, IOMMU_RW);
    guest_respond(guest_request(1)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
}

/* A full queue */

/* Until there is room only two requests of its group are sent. */
static void op_start_in_part(Op *op)
{
    fake.room = 2;
    op_start(op);
    settle();
}

static void test_no_room_at_first(void)
{
    Op op = op_new(false, 0, 0, 2 * PAGE);

    fake.room = 0;
    op_start(&op);
    settle();
    g_assert_false(op.done);
    g_assert_cmpuint(get_stats().refused, >, 0);
    fake.room = 1000;
    wait_queue(2);
    guest_map_run(0, 2, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
    g_assert_cmpuint(fake.queue->len, ==, 2);
}

static void test_no_room_in_a_group(void)
{
    Op op = op_new(false, 0, 0, 3 * PAGE);

    op_start_in_part(&op);
    fake.room = 1000;
    wait_queue(3);
    g_assert_false(guest_request(1)->lpig);
    g_assert_true(guest_request(2)->lpig);
    g_assert_cmpuint(guest_request(2)->prgi, ==, guest_request(0)->prgi);
    g_assert_cmphex(guest_request(2)->addr, ==, op.addr + 2 * PAGE);
    guest_map_run(0, 3, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
}

static void test_close_completes_the_group(void)
{
    Op op = op_new(false, 0, 0, 10 * PAGE);

    op_start_in_part(&op);
    g_clear_pointer(&context, pci_svm_dma_close);
    g_assert_null(fake.iotlb);
    fake.room = 1000;
    wait_queue(3);
    g_assert_true(guest_request(2)->lpig);
    op_join_with(&op, PCI_SVM_DMA_CANCELLED, -ECANCELED, op.addr);
    g_assert_cmpuint(fake.queue->len, ==, 3);
    /* Its notifier goes when it is answered. */
    g_assert_nonnull(fake.pri_notifier);
    g_assert_cmpuint(pci_svm_dma_outstanding(engine, PASID), ==, 1);
    guest_respond(guest_request(2)->prgi, IOMMU_PRI_RESP_SUCCESS);
    g_assert_cmpuint(pci_svm_dma_outstanding(engine, PASID), ==, 0);
    settle();
    g_assert_null(fake.pri_notifier);
}

/*
 * Nobody will answer what was sent: the credits come back. The OS has time to
 * take it out of its queue.
 */
static void expect_abandoned(Op *op)
{
    op_join_with(op, PCI_SVM_DMA_DISABLED, -EPERM, op->addr);
    while (!fake.abandoned) {
        aio_poll(qemu_get_aio_context(), true);
    }
    g_assert_cmpuint(fake.abandoned, ==, 1);
    g_assert_cmpuint(fake.abandoned_prgi, ==, guest_request(0)->prgi);
    g_assert_cmpuint(fake.queue->len, ==, 2);
    g_assert_cmpuint(pci_svm_dma_outstanding(engine, PASID), ==, 1);
    fake.skew += NANOSECONDS_PER_SECOND / 10;
    settle();
    g_assert_cmpuint(pci_svm_dma_outstanding(engine, PASID), ==, 0);
}

static void test_disabled_in_a_group(void)
{
    Op op = op_new(false, 0, 0, 3 * PAGE);

    op_start_in_part(&op);
    fake.dev.is_master = false;
    guest_change_state();
    expect_abandoned(&op);
}

static void test_fault_in_a_group(void)
{
    Op op = op_new(false, 0, 0, 3 * PAGE);

    op_start_in_part(&op);
    fake.request_errno = -EFAULT;
    expect_abandoned(&op);
}

static void test_free_abandons_the_group(void)
{
    Op op = op_new(false, 0, 0, 10 * PAGE);

    op_start_in_part(&op);
    g_clear_pointer(&context, pci_svm_dma_close);
    g_clear_pointer(&engine, pci_svm_dma_free);
    g_assert_null(fake.pri_notifier);
    op_join_with(&op, PCI_SVM_DMA_CANCELLED, -ECANCELED, op.addr);
    g_assert_cmpuint(fake.queue->len, ==, 2);
}

/* The end of contexts */

/* Of the one credit, which the first request still has */
static void expect_credit_comes_with_response(unsigned int page)
{
    Op op = op_new(false, page, 0, 1);

    op_start(&op);
    settle();
    g_assert_cmpuint(fake.queue->len, ==, 1);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    settle();
    g_assert_cmpuint(fake.queue->len, ==, 2);
    guest_map_run(page, 1, IOMMU_RW);
    guest_respond(guest_request(1)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
}

static void test_close_while_waiting(void)
{
    Op op = op_new(false, 0, 0, 1);

    fake.alloc = 1;
    op_start(&op);
    settle();
    pci_svm_dma_close(context);
    op_join_with(&op, PCI_SVM_DMA_CANCELLED, -ECANCELED, op.addr);

    context = pci_svm_dma_open(engine, PASID, &error_abort);
    expect_credit_comes_with_response(1);
}

static void expect_outstanding(unsigned int groups)
{
    g_assert_cmpuint(pci_svm_dma_outstanding(engine, PASID), ==, groups);
    g_assert_cmpuint(pci_svm_dma_outstanding(engine, PASID + 1), ==, 0);
    g_assert_cmpuint(pci_svm_dma_outstanding(engine, PCI_NO_PASID), ==, 0);
}

static void test_close_leaves_outstanding(void)
{
    Op first = op_new(false, 0, 0, 1);
    Op second = op_new(false, 20, 0, 1);

    expect_outstanding(0);
    op_start_in_turn(&first);
    op_start_in_turn(&second);
    expect_outstanding(2);
    g_clear_pointer(&context, pci_svm_dma_close);
    op_join_with(&first, PCI_SVM_DMA_CANCELLED, -ECANCELED, first.addr);
    op_join_with(&second, PCI_SVM_DMA_CANCELLED, -ECANCELED, second.addr);
    expect_outstanding(2);
    guest_respond(guest_request(1)->prgi, IOMMU_PRI_RESP_INVALID_REQUEST);
    expect_outstanding(1);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    expect_outstanding(0);
}

static void test_free_closes(void)
{
    Op op = op_new(false, 0, 0, 1);

    op_start(&op);
    settle();
    context = NULL;
    g_clear_pointer(&engine, pci_svm_dma_free);
    g_assert_null(fake.iotlb);
    g_assert_null(fake.pri_notifier);
    op_join_with(&op, PCI_SVM_DMA_CANCELLED, -ECANCELED, op.addr);
}

static void test_closed_context(void)
{
    PCISVMDMAContext *ctx = pci_svm_dma_ref(context);
    Op op = op_new(false, 0, 0, 1);

    guest_map_run(0, 1, IOMMU_RW);
    g_clear_pointer(&context, pci_svm_dma_close);
    g_clear_pointer(&engine, pci_svm_dma_free);
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_CANCELLED, -ECANCELED, op.addr);
    pci_svm_dma_unref(ctx);
}

static void test_close_empties_the_cache(void)
{
    Op op = op_new(false, 0, 0, 1);

    guest_map_run(0, 1, IOMMU_RW);
    op_start(&op);
    op_join_ok(&op);
    pci_svm_dma_close(context);
    context = pci_svm_dma_open(engine, PASID, &error_abort);
    op = op_new(false, 0, 0, 1);
    op_start(&op);
    op_join_ok(&op);
    g_assert_cmpuint(get_stats().ats_requests, ==, 2);
}

static void test_contexts_share(void)
{
    PCISVMDMAContext *other = pci_svm_dma_open(engine, PASID, &error_abort);
    Op op = op_new(false, 0, 0, 1);

    guest_map_run(0, 1, IOMMU_RW);
    op_start(&op);
    op_join_ok(&op);
    pci_svm_dma_close(context);
    g_assert_nonnull(fake.iotlb);
    context = other;
    op = op_new(false, 0, 0, 1);
    op_start(&op);
    op_join_ok(&op);
    g_assert_cmpuint(get_stats().ats_requests, ==, 1);
}

/* State changes */

typedef struct StateCase {
    const char *path;
    bool *enable;
} StateCase;

static const StateCase state_cases[] = {
    { "/pci-svm-dma/state/bus-master-off", &fake.dev.is_master },
    { "/pci-svm-dma/state/ats-off", &fake.ats },
    { "/pci-svm-dma/state/pasid-off", &fake.pasid },
    { "/pci-svm-dma/state/pri-off", &fake.pri },
};

/* Also if it is on again before the operation sees it */
static void test_disabled_while_waiting(const void *data)
{
    const StateCase *c = data;
    Op op;

    setup();
    op = op_new(false, 0, 0, 1);
    op_start(&op);
    settle();
    *c->enable = false;
    guest_change_state();
    *c->enable = true;
    guest_change_state();
    op_join_with(&op, PCI_SVM_DMA_DISABLED, -EPERM, op.addr);

    op = op_new(false, 0, 0, 1);
    guest_map_run(0, 1, IOMMU_RW);
    op_start(&op);
    op_join_ok(&op);
    teardown();
}

static void test_ats_off_empties_the_cache(void)
{
    Op op = op_new(false, 0, 0, 1);

    guest_map_run(0, 1, IOMMU_RW);
    op_start(&op);
    op_join_ok(&op);
    fake.ats = false;
    guest_change_state();
    fake.ats = true;
    guest_change_state();
    op.done = false;
    op_start(&op);
    op_join_ok(&op);
    g_assert_cmpuint(get_stats().ats_requests, ==, 2);
}

static void test_stopped_vm(void)
{
    Op op = op_new(true, 0, 0, 1);

    guest_map_run(0, 1, IOMMU_RW);
    fake.ram[0] = 1;
    fake.vm_handler(fake.vm_opaque, false, RUN_STATE_PAUSED);
    op_start(&op);
    settle();
    g_assert_false(op.done);
    g_assert_cmpuint(get_stats().ats_requests, ==, 0);
    g_assert_cmphex(fake.ram[0], ==, 1);
    fake.vm_handler(fake.vm_opaque, true, RUN_STATE_RUNNING);
    op_join_ok(&op);
    g_assert_cmphex(fake.ram[0], ==, 0);
}

static bool is_busy(void)
{
    QEMU_LOCK_GUARD(&engine->lock);
    return engine->busy;
}

/* It stops when a worker has found that a page is missing */
static void test_stopped_vm_asks_for_nothing(void)
{
    Op op = op_new(false, 0, 0, 1);

    op_start(&op);
    while (!get_stats().ats_holes || is_busy()) {
        g_usleep(1000);
    }
    fake.vm_handler(fake.vm_opaque, false, RUN_STATE_PAUSED);
    settle();
    g_assert_cmpuint(fake.queue->len, ==, 0);
    fake.vm_handler(fake.vm_opaque, true, RUN_STATE_RUNNING);
    wait_queue(1);
    guest_map_run(0, 1, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
}

/* In other threads */

#define RACE_PAGES 8
#define RACE_OPS 4
#define RACE_THREADS 2
#define RACE_REVOKED 500

static struct {
    unsigned stale;
    bool frame_free[FRAMES];
} race;

/* Operations that are paused may be about to look. */
static void race_set_all(bool is_free)
{
    for (int i = 0; i < FRAMES; i++) {
        qatomic_set(&race.frame_free[i], is_free);
    }
}

/* A frame that is accessed is never free. */
static int race_piece(void *host, size_t len, void *opaque)
{
    unsigned frame = ((uint8_t *)host - fake.ram) / PAGE;

    for (int i = 0; i < 20; i++) {
        if (qatomic_read(&race.frame_free[frame])) {
            qatomic_inc(&race.stale);
        }
    }
    return 0;
}

static void coroutine_fn race_entry(void *opaque)
{
    Op *op = opaque;

    do {
        pci_svm_dma_co_walk(op->ctx, op->addr, op->len, op->is_write, 0,
                            race_piece, op, &op->err);
        /* A guest that takes pages away so fast may exhaust an operation. */
    } while (op->err.reason == PCI_SVM_DMA_OK ||
             op->err.reason == PCI_SVM_DMA_RETRIES_EXHAUSTED);
    pci_svm_dma_unref(op->ctx);
    qatomic_store_release(&op->done, true);
    aio_wait_kick();
}

static void race_start(Op *op, IOThread *thread, unsigned n)
{
    *op = op_new(n & 1, n, n * 100, 4 * PAGE);
    pci_svm_dma_ref(op->ctx);
    aio_co_schedule(iothread_get_aio_context(thread),
                    qemu_coroutine_create(race_entry, op));
}

static hwaddr race_alloc_frame(void)
{
    static unsigned frame;

    do {
        frame = (frame + 1) % FRAMES;
    } while (!race.frame_free[frame]);
    qatomic_set(&race.frame_free[frame], false);
    return frame * PAGE;
}

/* Move a page, or take it away */
static void race_change_page(unsigned page, bool take)
{
    hwaddr old = fake.frame[page];

    if (!fake.perm[page]) {
        return;
    }
    if (take) {
        guest_map(page, old, IOMMU_NONE);
    } else {
        guest_map(page, race_alloc_frame(), IOMMU_RW);
    }
    guest_invalidate(page);
    qatomic_set(&race.frame_free[old / PAGE], true);
}

static void race_handle_faults(void)
{
    g_autoptr(GArray) queue = g_array_new(false, false, sizeof(PageRequest));

    WITH_QEMU_LOCK_GUARD(&fake.lock) {
        GArray *tmp = fake.queue;

        fake.queue = g_steal_pointer(&queue);
        queue = tmp;
    }
    for (unsigned i = 0; i < queue->len; i++) {
        PageRequest *r = &g_array_index(queue, PageRequest, i);
        unsigned page = (r->addr - BASE) / PAGE;

        if (!fake.perm[page]) {
            guest_map(page, race_alloc_frame(), IOMMU_RW);
        }
        if (r->lpig) {
            guest_respond(r->prgi, IOMMU_PRI_RESP_SUCCESS);
        }
    }
    settle();
}

static void test_race(void)
{
    IOThread *threads[RACE_THREADS];
    Op ops[RACE_OPS];

    fake.alloc = 3;
    race.stale = 0;
    race_set_all(true);
    for (int i = 0; i < RACE_THREADS; i++) {
        threads[i] = iothread_new();
    }
    for (int i = 0; i < RACE_OPS; i++) {
        race_start(&ops[i], threads[i % RACE_THREADS], i);
    }
    for (int i = 0; get_stats().revoked < RACE_REVOKED; i++) {
        race_change_page(g_test_rand_int_range(0, RACE_PAGES), i & 1);
        race_handle_faults();
        g_usleep(10);
    }
    g_clear_pointer(&context, pci_svm_dma_close);
    /* No memory is used from now. */
    for (int i = 0; i < FRAMES; i++) {
        qatomic_set(&race.frame_free[i], true);
    }
    for (int i = 0; i < RACE_OPS; i++) {
        op_join(&ops[i]);
        g_assert_cmpint(ops[i].err.reason, ==, PCI_SVM_DMA_CANCELLED);
    }
    for (int i = 0; i < RACE_THREADS; i++) {
        iothread_join(threads[i]);
    }
    g_assert_cmpuint(race.stale, ==, 0);
}

/* Nothing happens while the VM is stopped, at whatever moment that is. */
static void test_stopped_vm_race(void)
{
    IOThread *thread = iothread_new();
    Op ops[RACE_OPS];

    race.stale = 0;
    race_set_all(false);
    guest_map_run(0, RACE_PAGES, IOMMU_RW);
    for (int i = 0; i < RACE_OPS; i++) {
        race_start(&ops[i], thread, i);
    }
    for (int i = 0; i < 300; i++) {
        fake.vm_handler(fake.vm_opaque, false, RUN_STATE_PAUSED);
        race_set_all(true);
        g_usleep(10);
        race_set_all(false);
        fake.vm_handler(fake.vm_opaque, true, RUN_STATE_RUNNING);
        g_usleep(10);
    }
    g_clear_pointer(&context, pci_svm_dma_close);
    for (int i = 0; i < RACE_OPS; i++) {
        op_join(&ops[i]);
    }
    iothread_join(thread);
    g_assert_cmpuint(race.stale, ==, 0);
}

static void test_mmio_in_a_thread(void)
{
    IOThread *thread = iothread_new();
    Op op = op_new(true, 0, 0, 3 * PAGE);

    guest_map(0, 0, IOMMU_RW);
    guest_map(1, MMIO_BASE, IOMMU_RW);
    guest_map(2, PAGE, IOMMU_RW);
    memset(buffer, 0x77, sizeof(buffer));
    op_start_in(&op, iothread_get_aio_context(thread));
    op_join_ok(&op);
    iothread_join(thread);
    g_assert_cmpmem(fake.mmio, PAGE, buffer, PAGE);
    g_assert_cmpmem(fake.ram, 2 * PAGE, buffer, 2 * PAGE);
}

static void revoke_mmio_bh(void *opaque)
{
    guest_map(0, 0x3000, IOMMU_RW);
    guest_invalidate(0);
    qatomic_set((bool *)opaque, true);
}

static void revoke_mmio(void)
{
    bool revoked = false;

    fake.on_mmio = NULL;
    aio_bh_schedule_oneshot(qemu_get_aio_context(), revoke_mmio_bh, &revoked);
    while (!qatomic_read(&revoked)) {
        g_thread_yield();
    }
}

static void test_mmio_revoked_meanwhile(void)
{
    IOThread *thread = iothread_new();
    Op op = op_new(true, 0, 0, 1);

    guest_map(0, MMIO_BASE, IOMMU_RW);
    fake.mmio[0] = 0x11;
    buffer[0] = 0x77;
    fake.on_mmio = revoke_mmio;
    op_start_in(&op, iothread_get_aio_context(thread));
    op_join_ok(&op);
    iothread_join(thread);
    g_assert_cmphex(fake.mmio[0], ==, 0x11);
    g_assert_cmphex(fake.ram[0x3000], ==, 0x77);
}

static bool call_begun, close_begun, close_returned, call_after_close;

static void slow_call(void)
{
    qatomic_set(&call_begun, true);
    while (!qatomic_read(&close_begun)) {
        g_thread_yield();
    }
    /* A short while for a close that does not wait to show it */
    g_usleep(1000);
    call_after_close = qatomic_read(&close_returned);
}

static void wait_call(void)
{
    while (!qatomic_read(&call_begun)) {
        g_thread_yield();
    }
}

static void test_close_waits_for_translation(void)
{
    IOThread *thread = iothread_new();
    Op op = op_new(true, 0, 0, 1);

    call_begun = close_begun = close_returned = false;
    fake.on_translate = slow_call;
    guest_map_run(0, 1, IOMMU_RW);
    op_start_in(&op, iothread_get_aio_context(thread));
    wait_call();
    qatomic_set(&close_begun, true);
    g_clear_pointer(&context, pci_svm_dma_close);
    qatomic_set(&close_returned, true);
    op_join(&op);
    iothread_join(thread);
    g_assert_false(call_after_close);
}

static void slow_second_request(void)
{
    if (fake.queue->len == 1) {
        slow_call();
    }
}

/* PRI is disabled in the middle of a group, and enabled again at once */
static void test_lost_in_a_group(void)
{
    IOThread *thread = iothread_new();
    Op op = op_new(false, 0, 0, 4 * PAGE);

    call_begun = close_begun = close_returned = false;
    fake.on_request = slow_second_request;
    op_start_in(&op, iothread_get_aio_context(thread));
    wait_call();
    qatomic_set(&fake.pri, false);
    qatomic_set(&close_begun, true);
    guest_change_state();
    qatomic_set(&close_returned, true);
    qatomic_set(&fake.pri, true);
    guest_change_state();
    op_join_with(&op, PCI_SVM_DMA_DISABLED, -EPERM, op.addr);
    iothread_join(thread);
    settle();
    g_assert_false(call_after_close);
    g_assert_cmpuint(fake.abandoned, ==, 1);
    g_assert_cmpuint(fake.queue->len, ==, 2);
    g_assert_cmpuint(pci_svm_dma_outstanding(engine, PASID), ==, 0);
}

/* Scatter lists */

/* Unaligned, one of them empty, the last at the top; and where they lead */
static const PCISVMDMARange list[] = {
    { BASE + 3 * PAGE + 100, PAGE },
    { BASE + 7 * PAGE, 0 },
    { BASE + 20 * PAGE, 3 },
    { BASE + (PAGES - 1) * PAGE, PAGE },
};

#define LIST_BYTES (2 * PAGE + 3)

static void map_list(void)
{
    guest_map(3, 0x7000, IOMMU_RW);
    guest_map(4, 0x1000, IOMMU_RW);
    guest_map(20, 0x9000, IOMMU_RW);
    guest_map(PAGES - 1, 0x3000, IOMMU_RW);
}

static void list_from_ram(uint8_t *buf)
{
    memcpy(buf, fake.ram + 0x7000 + 100, PAGE - 100);
    memcpy(buf + PAGE - 100, fake.ram + 0x1000, 100);
    memcpy(buf + PAGE, fake.ram + 0x9000, 3);
    memcpy(buf + PAGE + 3, fake.ram + 0x3000, PAGE);
}

/* One that has other pieces than the list, and @extra bytes that it lacks */
static void vector_init(QEMUIOVector *qiov, size_t extra)
{
    qemu_iovec_init(qiov, 4);
    qemu_iovec_add(qiov, buffer, 1);
    qemu_iovec_add(qiov, buffer + 1, 0);
    qemu_iovec_add(qiov, buffer + 1, 2 * PAGE - 1);
    qemu_iovec_add(qiov, buffer + 2 * PAGE, LIST_BYTES - 2 * PAGE + extra);
}

static Op op_new_list(bool is_write, QEMUIOVector *qiov)
{
    return (Op) {
        .ctx = context, .ranges = list, .count = ARRAY_SIZE(list),
        .qiov = qiov, .is_write = is_write,
    };
}

static void test_list_read(void)
{
    uint8_t expected[LIST_BYTES];
    QEMUIOVector qiov;
    Op op;

    map_list();
    vector_init(&qiov, 1);
    op = op_new_list(false, &qiov);
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_OK, 0, 0);
    list_from_ram(expected);
    g_assert_cmpmem(buffer, LIST_BYTES, expected, LIST_BYTES);
    g_assert_cmphex(buffer[LIST_BYTES], ==, 0);
    g_assert_cmpuint(op.err.done, ==, LIST_BYTES);
    qemu_iovec_destroy(&qiov);
}

static void test_list_write(void)
{
    uint8_t seen[LIST_BYTES];
    QEMUIOVector qiov;
    Op op;

    map_list();
    for (int i = 0; i < LIST_BYTES; i++) {
        buffer[i] = i * 13;
    }
    vector_init(&qiov, 0);
    op = op_new_list(true, &qiov);
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_OK, 0, 0);
    list_from_ram(seen);
    g_assert_cmpmem(seen, LIST_BYTES, buffer, LIST_BYTES);
    g_assert_cmphex(fake.ram[0x7000 + 99], !=, buffer[0]);
    qemu_iovec_destroy(&qiov);
}

static void test_list_fails_in_a_range(void)
{
    QEMUIOVector qiov;
    Op op;

    map_list();
    guest_map(20, 0, IOMMU_NONE);
    fake.pri = false;
    vector_init(&qiov, 0);
    op = op_new_list(false, &qiov);
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_UNMAPPED, -EFAULT, list[2].addr);
    g_assert_cmpuint(op.err.done, ==, PAGE);
    qemu_iovec_destroy(&qiov);
}

/* As a whole, before anything is accessed */
static void test_list_exceeds_the_vector(void)
{
    QEMUIOVector qiov;
    Op op;

    map_list();
    qemu_iovec_init_buf(&qiov, buffer, PAGE + 2);
    op = op_new_list(false, &qiov);
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_NO_ROOM, -EOVERFLOW, list[2].addr + 2);
    g_assert_cmpuint(get_stats().ats_requests, ==, 0);
    g_assert_cmpuint(op.err.done, ==, 0);
}

static void test_list_beyond_the_top(void)
{
    const PCISVMDMARange beyond[] = {
        list[0], { BASE + (PAGES - 1) * PAGE, PAGE + 1 },
    };
    QEMUIOVector qiov;
    Op op;

    map_list();
    vector_init(&qiov, 0);
    op = op_new_list(false, &qiov);
    op.ranges = beyond;
    op.count = ARRAY_SIZE(beyond);
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_UNMAPPED, -EFAULT, beyond[1].addr);
    g_assert_cmpuint(get_stats().ats_requests, ==, 0);
    qemu_iovec_destroy(&qiov);
}

static void test_empty_list(void)
{
    QEMUIOVector qiov;
    Op op;

    qemu_iovec_init(&qiov, 1);
    op = op_new_list(false, &qiov);
    op.count = 0;
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_OK, 0, 0);
    op = op_new_list(true, &qiov);
    op.ranges++;
    op.count = 1;
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_OK, 0, list[1].addr);
    qemu_iovec_destroy(&qiov);
}

/* How much is asked for at once */

static void test_group_is_as_large_as_credits_allow(void)
{
    Op op = op_new(true, 0, 0, 100 * PAGE);

    fake.alloc = 64;
    op_start(&op);
    settle();
    g_assert_cmpuint(get_stats().ats_requests, ==, 1);
    g_assert_cmpuint(fake.queue->len, ==, 64);
    g_assert_true(guest_request(63)->lpig);
    guest_map_run(0, 64, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    settle();
    g_assert_cmpuint(fake.queue->len, ==, 100);
    guest_map_run(64, 36, IOMMU_RW);
    guest_respond(guest_request(64)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
    g_assert_cmpuint(get_stats().page_groups, ==, 2);
}

/* Who asks in vain asks for less the next time, until it gets what it wants. */
static void test_group_adapts(void)
{
    Op op;

    fake.alloc = 128;
    for (int i = 0; i < 2; i++) {
        op = op_new(true, 0, 0, 100 * PAGE);
        op_start_in_turn(&op);
        g_assert_cmpuint(fake.queue->len, ==, i ? 101 + SVM_DMA_GROUP_MIN
                                                : 100);
        guest_respond(guest_request(i * 101)->prgi,
                      IOMMU_PRI_RESP_INVALID_REQUEST);
        settle();
        guest_respond(guest_request(fake.queue->len - 1)->prgi,
                      IOMMU_PRI_RESP_INVALID_REQUEST);
        op_join_with(&op, PCI_SVM_DMA_UNMAPPED, -EFAULT, op.addr);
    }
    op = op_new(true, 0, 0, 100 * PAGE);
    op_start_in_turn(&op);
    for (unsigned done = 0, n = SVM_DMA_GROUP_MIN; done < 100; n *= 2) {
        const PageRequest *last = guest_request(fake.queue->len - 1);

        done = MIN(done + n, 100);
        g_assert_cmphex(last->addr, ==, BASE + (done - 1) * PAGE);
        guest_map_run(0, done, IOMMU_RW);
        guest_respond(last->prgi, IOMMU_PRI_RESP_SUCCESS);
        settle();
    }
    op_join_ok(&op);
}

/* Neither time nor memory depend on the length: it fails where it should. */
static void test_longest_range(void)
{
    Op op = op_new(false, 0, 0, 0);

    fake.pri = false;
    op.addr = 0;
    op.len = UINT64_MAX;
    op_start(&op);
    op_join_with(&op, PCI_SVM_DMA_UNMAPPED, -EFAULT, 0);
    g_assert_cmpuint(get_stats().ats_requests, ==, 1);
    g_assert_cmpuint(get_stats().ats_holes, ==, SVM_DMA_WINDOW);
}

static int check_no_bql(void *host, size_t len, void *opaque)
{
    return bql_locked() ? -EDEADLK : 0;
}

/* Also in the main loop; with requests for pages in between */
static void test_no_bql_while_copying(void)
{
    Op op = op_new(true, 0, 0, 3 * PAGE);

    guest_map_run(0, 1, IOMMU_RW);
    op.fn = check_no_bql;
    op_start(&op);
    settle();
    guest_map_run(1, 2, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&op);
    g_assert_cmpuint(op.err.done, ==, 3 * PAGE);
}

/* Time-out */

#define TIMEOUT_MS 10000
#define TIMEOUT_NS (TIMEOUT_MS * INT64_C(1000000))

/* Time passes until @op fails, and it does not before. */
static void expect_timeout(Op *op)
{
    settle();
    fake.skew += TIMEOUT_NS / 2;
    settle();
    g_assert_false(op->done);
    fake.skew += TIMEOUT_NS / 2;
}

static void test_timeout(void)
{
    Op op = op_new(false, 1, 10, PAGE);

    fake.alloc = 1;
    guest_map_run(1, 1, IOMMU_RW);
    pci_svm_dma_set_page_timeout(engine, TIMEOUT_MS);
    op_start(&op);
    expect_timeout(&op);
    op_join_with(&op, PCI_SVM_DMA_TIMEOUT, -ETIMEDOUT, BASE + 2 * PAGE);
    g_assert_cmpuint(op.err.done, ==, PAGE - 10);
    g_assert_cmpuint(fake.queue->len, ==, 1);

    pci_svm_dma_set_page_timeout(engine, 0);
    expect_credit_comes_with_response(2);
}

static void test_timeout_without_credits(void)
{
    Op first = op_new(false, 0, 0, 1);
    Op second = op_new(false, 1, 0, 1);

    fake.alloc = 1;
    op_start_in_turn(&first);
    pci_svm_dma_set_page_timeout(engine, TIMEOUT_MS);
    op_start(&second);
    expect_timeout(&second);
    op_join_with(&second, PCI_SVM_DMA_TIMEOUT, -ETIMEDOUT, second.addr);
    g_assert_cmpuint(fake.queue->len, ==, 1);
    g_assert_false(first.done);
    guest_map_run(0, 1, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&first);
}

static void test_timeout_without_room(void)
{
    Op op = op_new(false, 0, 0, 1);

    pci_svm_dma_set_page_timeout(engine, TIMEOUT_MS);
    fake.room = 0;
    op_start(&op);
    expect_timeout(&op);
    op_join_with(&op, PCI_SVM_DMA_TIMEOUT, -ETIMEDOUT, op.addr);
    g_assert_cmpuint(fake.queue->len, ==, 0);
}

/* The operation ends, and the group is completed all the same. */
static void test_timeout_in_a_group(void)
{
    Op op = op_new(false, 0, 0, 10 * PAGE);
    const PageRequest *last;

    pci_svm_dma_set_page_timeout(engine, TIMEOUT_MS);
    fake.room = 2;
    op_start(&op);
    expect_timeout(&op);
    op_join_with(&op, PCI_SVM_DMA_TIMEOUT, -ETIMEDOUT, op.addr);
    g_assert_cmpuint(fake.queue->len, ==, 2);
    fake.room = 1000;
    wait_queue(3);
    last = guest_request(2);
    g_assert_true(last->lpig && last->is_read && !last->is_write);
    g_assert_cmpuint(last->prgi, ==, guest_request(0)->prgi);
    g_assert_cmphex(last->addr, ==, op.addr + 2 * PAGE);
    guest_respond(last->prgi, IOMMU_PRI_RESP_SUCCESS);
    settle();
    g_assert_cmpuint(fake.queue->len, ==, 3);
}

/* Each group has its time: an OS that is slow, and answers, does not fail. */
static void test_timeout_is_for_each_group(void)
{
    Op op = op_new(false, 0, 0, 4 * PAGE);

    fake.alloc = 1;
    pci_svm_dma_set_page_timeout(engine, TIMEOUT_MS);
    op_start(&op);
    for (int i = 0; i < 4; i++) {
        settle();
        g_assert_cmpuint(fake.queue->len, ==, i + 1);
        fake.skew += TIMEOUT_NS / 2;
        settle();
        guest_map_run(i, 1, IOMMU_RW);
        guest_respond(guest_request(i)->prgi, IOMMU_PRI_RESP_SUCCESS);
    }
    op_join_ok(&op);
}

/* Cancelling */

/* Nor does the time for one page pass while another one is waited for. */
static void test_timeout_is_for_each_page(void)
{
    Op op = op_new(false, 0, 0, 2 * PAGE);

    pci_svm_dma_set_page_timeout(engine, TIMEOUT_MS);
    fake.room = 0;
    op_start(&op);
    settle();
    fake.skew += TIMEOUT_NS * 3 / 4;
    guest_map_run(0, 1, IOMMU_RW);
    while (get_stats().bytes_read < PAGE) {
        aio_poll(qemu_get_aio_context(), true);
    }
    settle();
    fake.skew += TIMEOUT_NS * 3 / 4;
    settle();
    g_assert_false(op.done);
    guest_map_run(1, 1, IOMMU_RW);
    op_join_ok(&op);
}

static void test_cancel(void)
{
    PCISVMDMAContext *other = pci_svm_dma_open(engine, PASID, &error_abort);
    Op op = op_new(false, 0, 0, 1);
    Op spared = op_new(false, 1, 0, 1);
    Op later = op_new(false, 2, 0, 1);

    spared.ctx = other;
    op_start_in_turn(&op);
    op_start_in_turn(&spared);
    pci_svm_dma_cancel(context);
    op_join_with(&op, PCI_SVM_DMA_CANCELLED, -ECANCELED, op.addr);

    guest_map_run(0, 3, IOMMU_RW);
    op_start(&later);
    op_join_ok(&later);
    g_assert_false(spared.done);
    guest_respond(guest_request(1)->prgi, IOMMU_PRI_RESP_SUCCESS);
    op_join_ok(&spared);
    pci_svm_dma_close(other);
}

static void test_cancel_pasid(void)
{
    PCISVMDMAContext *other = pci_svm_dma_open(engine, PASID, &error_abort);
    Op ops[] = { op_new(false, 0, 0, 1), op_new(false, 1, 0, 1) };
    Op later = op_new(false, 2, 0, 1);

    ops[1].ctx = other;
    op_start_in_turn(&ops[0]);
    op_start_in_turn(&ops[1]);
    pci_svm_dma_cancel_pasid(engine, PASID + 1);
    settle();
    g_assert_false(ops[0].done || ops[1].done);
    pci_svm_dma_cancel_pasid(engine, PASID);
    for (int i = 0; i < ARRAY_SIZE(ops); i++) {
        op_join_with(&ops[i], PCI_SVM_DMA_CANCELLED, -ECANCELED, ops[i].addr);
    }
    guest_map_run(0, 3, IOMMU_RW);
    op_start(&later);
    op_join_ok(&later);
    pci_svm_dma_close(other);
}

/* Requests */

typedef struct Request {
    PCISVMDMARequest *req;
    AioContext *aio;
    unsigned calls;
    bool elsewhere;
    bool in_coroutine;
    int ret;
    PCISVMDMAError err;
} Request;

static void request_done(void *opaque, int ret, const PCISVMDMAError *err)
{
    Request *r = opaque;

    r->elsewhere = qemu_get_current_aio_context() != r->aio;
    r->in_coroutine = qemu_in_coroutine();
    r->ret = ret;
    r->err = *err;
    qatomic_store_release(&r->calls, r->calls + 1);
    aio_wait_kick();
}

static void request_join_with(Request *r, PCISVMDMAReason reason, int ret)
{
    AIO_WAIT_WHILE_UNLOCKED(NULL, !qatomic_load_acquire(&r->calls));
    settle();
    g_assert_cmpuint(r->calls, ==, 1);
    g_assert_false(r->elsewhere);
    g_assert_false(r->in_coroutine);
    g_assert_cmpint(r->err.reason, ==, reason);
    g_assert_cmpint(r->ret, ==, ret);
    pci_svm_dma_aio_unref(r->req);
}

static void check_requests(AioContext *aio)
{
    Request in = { .aio = aio }, out = in, list_in = in, list_out = in;
    uint8_t expected[LIST_BYTES];
    QEMUIOVector qiov;

    map_list();
    guest_map(0, 0x5000, IOMMU_RW);
    memset(buffer, 0x5a, PAGE);
    out.req = pci_svm_dma_aio_write(context, BASE + 1, buffer, 100, 0, aio,
                                    request_done, &out);
    request_join_with(&out, PCI_SVM_DMA_OK, 0);
    g_assert_cmpmem(fake.ram + 0x5001, 100, buffer, 100);

    in.req = pci_svm_dma_aio_read(context, BASE + 3 * PAGE, buffer, PAGE, 0,
                                  aio, request_done, &in);
    request_join_with(&in, PCI_SVM_DMA_OK, 0);
    g_assert_cmpmem(fake.ram + 0x7000, PAGE, buffer, PAGE);
    g_assert_cmpuint(in.err.done, ==, PAGE);

    vector_init(&qiov, 0);
    list_in.req = pci_svm_dma_aio_readv(context, list, ARRAY_SIZE(list), &qiov,
                                        0, aio, request_done, &list_in);
    request_join_with(&list_in, PCI_SVM_DMA_OK, 0);
    list_from_ram(expected);
    g_assert_cmpmem(buffer, LIST_BYTES, expected, LIST_BYTES);

    memset(buffer, 0x3c, LIST_BYTES);
    list_out.req = pci_svm_dma_aio_writev(context, list, ARRAY_SIZE(list),
                                          &qiov, 0, aio, request_done,
                                          &list_out);
    request_join_with(&list_out, PCI_SVM_DMA_OK, 0);
    list_from_ram(expected);
    g_assert_cmpmem(buffer, LIST_BYTES, expected, LIST_BYTES);
    qemu_iovec_destroy(&qiov);
}

static void test_requests(void)
{
    check_requests(qemu_get_aio_context());
}

static void test_requests_in_a_thread(void)
{
    IOThread *thread = iothread_new();

    check_requests(iothread_get_aio_context(thread));
    iothread_join(thread);
}

static int walk_and_count(void *host, size_t len, void *opaque)
{
    Request *r = opaque;

    r->err.addr += len;
    return r->err.addr == 2 * PAGE ? -EDOM : 0;
}

static void test_request_that_walks(void)
{
    Request r = { .aio = qemu_get_aio_context() };

    guest_map_run(0, 3, IOMMU_RW);
    /* Pages that do not follow each other in memory are pieces of their own. */
    guest_map(1, 0x8000, IOMMU_RW);
    r.req = pci_svm_dma_aio_walk(context, BASE, 3 * PAGE, false, 0,
                                 walk_and_count, r.aio, request_done, &r);
    g_assert_cmpuint(r.calls, ==, 0);
    request_join_with(&r, PCI_SVM_DMA_STOPPED, -EDOM);
    g_assert_cmphex(r.err.addr, ==, BASE + PAGE);
}

/* Who does not cancel gives the reference back at once. */
static void test_request_without_handle(void)
{
    Request r = { .aio = qemu_get_aio_context() };

    guest_map_run(0, 1, IOMMU_RW);
    pci_svm_dma_aio_unref(pci_svm_dma_aio_read(context, BASE, buffer, 1, 0,
                                               r.aio, request_done, &r));
    request_join_with(&r, PCI_SVM_DMA_OK, 0);
}

static void test_cancel_request(void)
{
    Request r[2] = {
        { .aio = qemu_get_aio_context() }, { .aio = qemu_get_aio_context() },
    };

    for (int i = 0; i < ARRAY_SIZE(r); i++) {
        r[i].req = pci_svm_dma_aio_read(context, BASE + i * PAGE, buffer, 1, 0,
                                        r[i].aio, request_done, &r[i]);
        settle();
    }
    pci_svm_dma_aio_cancel(r[0].req);
    g_assert_cmpuint(r[0].calls, ==, 0);
    request_join_with(&r[0], PCI_SVM_DMA_CANCELLED, -ECANCELED);
    g_assert_cmpuint(r[1].calls, ==, 0);
    guest_map_run(0, 2, IOMMU_RW);
    guest_respond(guest_request(1)->prgi, IOMMU_PRI_RESP_SUCCESS);
    settle();
    /* What has ended is left alone. */
    pci_svm_dma_aio_cancel(r[1].req);
    request_join_with(&r[1], PCI_SVM_DMA_OK, 0);
}

static void test_cancel_request_before_it_starts(void)
{
    Request r = { .aio = qemu_get_aio_context() };

    guest_map_run(0, 1, IOMMU_RW);
    r.req = pci_svm_dma_aio_write(context, BASE, buffer, 1, 0, r.aio,
                                  request_done, &r);
    pci_svm_dma_aio_cancel(r.req);
    request_join_with(&r, PCI_SVM_DMA_CANCELLED, -ECANCELED);
    g_assert_cmpuint(get_stats().ats_requests, ==, 0);
}

/* Mappings */

typedef struct Mapping {
    uint64_t addr;
    size_t len;
    bool is_write;
    bool unmaps;                /* when it is revoked */
    AioContext *aio;
    PCISVMDMAMap *map;
    unsigned revoked;
    bool too_early;
    bool elsewhere;
    bool done;
    int ret;
    PCISVMDMAError err;
} Mapping;

static void mapping_revoked(PCISVMDMAMap *map, void *opaque)
{
    Mapping *m = opaque;

    m->too_early = !m->done;
    m->elsewhere = qemu_get_current_aio_context() != m->aio;
    if (m->unmaps) {
        g_clear_pointer(&m->map, pci_svm_dma_unmap);
    }
    qatomic_store_release(&m->revoked, m->revoked + 1);
    aio_wait_kick();
}

static void coroutine_fn mapping_entry(void *opaque)
{
    Mapping *m = opaque;

    m->ret = pci_svm_dma_co_map(context, m->addr, &m->len, m->is_write, 0,
                                mapping_revoked, m, &m->map, &m->err);
    qatomic_store_release(&m->done, true);
    aio_wait_kick();
}

static Mapping mapping_new(bool is_write, unsigned page, uint64_t offset,
                           size_t len)
{
    return (Mapping) {
        .addr = BASE + page * PAGE + offset, .len = len, .is_write = is_write,
        .aio = qemu_get_aio_context(),
    };
}

static void mapping_start(Mapping *m)
{
    aio_co_enter(m->aio, qemu_coroutine_create(mapping_entry, m));
}

static void mapping_join(Mapping *m)
{
    AIO_WAIT_WHILE_UNLOCKED(NULL, !qatomic_load_acquire(&m->done));
}

static void mapping_make(Mapping *m)
{
    mapping_start(m);
    mapping_join(m);
    g_assert_cmpint(m->ret, ==, 0);
    g_assert_nonnull(m->map);
}

static bool mapping_works(Mapping *m)
{
    if (!pci_svm_dma_map_begin(m->map)) {
        return false;
    }
    pci_svm_dma_map_end(m->map, 0, 0);
    return true;
}

static void test_map(void)
{
    Mapping m = mapping_new(true, 3, 100, 50);
    uint8_t *host;

    guest_map(3, 0x7000, IOMMU_RW);
    mapping_make(&m);
    g_assert_cmpuint(m.len, ==, 50);
    host = pci_svm_dma_map_begin(m.map);
    g_assert_true(host == fake.ram + 0x7000 + 100);
    host[7] = 0x99;
    fake.dirty_len = 0;
    pci_svm_dma_map_end(m.map, 7, 1);
    g_assert_cmphex(fake.dirty, ==, 0x7000 + 107);
    g_assert_cmpuint(fake.dirty_len, ==, 1);

    /* Not beyond the mapping, whatever the device says */
    pci_svm_dma_map_begin(m.map);
    pci_svm_dma_map_end(m.map, 48, SIZE_MAX);
    g_assert_cmphex(fake.dirty, ==, 0x7000 + 148);
    g_assert_cmpuint(fake.dirty_len, ==, 2);
    fake.dirty_len = 0;
    pci_svm_dma_map_begin(m.map);
    pci_svm_dma_map_end(m.map, 50, 1);
    g_assert_cmpuint(fake.dirty_len, ==, 0);
    pci_svm_dma_unmap(m.map);
    g_assert_cmpuint(m.revoked, ==, 0);
}

static void test_map_read_only(void)
{
    Mapping m = mapping_new(false, 3, 0, PAGE);

    guest_map(3, 0x7000, IOMMU_RO);
    mapping_make(&m);
    fake.dirty_len = 0;
    g_assert_nonnull(pci_svm_dma_map_begin(m.map));
    pci_svm_dma_map_end(m.map, 0, PAGE);
    g_assert_cmpuint(fake.dirty_len, ==, 0);
    pci_svm_dma_unmap(m.map);
}

/* Up to the end of the translation, and it asks for one page only */
static void test_map_is_bounded(void)
{
    Mapping m = mapping_new(true, 3, 100, SIZE_MAX);

    mapping_start(&m);
    settle();
    g_assert_false(m.done);
    g_assert_cmpuint(fake.queue->len, ==, 1);
    g_assert_true(guest_request(0)->is_write && guest_request(0)->lpig);
    guest_map_run(3, 1, IOMMU_RW);
    guest_respond(guest_request(0)->prgi, IOMMU_PRI_RESP_SUCCESS);
    mapping_join(&m);
    g_assert_cmpint(m.ret, ==, 0);
    g_assert_cmpuint(m.len, ==, PAGE - 100);
    pci_svm_dma_unmap(m.map);
}

static void test_map_refused(void)
{
    Mapping m = mapping_new(true, 3, 100, 50);

    guest_map(3, 0x7000, IOMMU_RO);
    fake.pri = false;
    mapping_start(&m);
    mapping_join(&m);
    g_assert_cmpint(m.ret, ==, -EACCES);
    g_assert_cmpint(m.err.reason, ==, PCI_SVM_DMA_PERMISSION);
    g_assert_cmphex(m.err.addr, ==, m.addr);
    g_assert_null(m.map);

    m = mapping_new(true, 3, 100, 0);
    mapping_start(&m);
    mapping_join(&m);
    g_assert_cmpint(m.ret, ==, -EFAULT);

    m = mapping_new(true, 4, 0, 50);
    guest_map(4, MMIO_BASE, IOMMU_RW);
    mapping_start(&m);
    mapping_join(&m);
    g_assert_cmpint(m.ret, ==, -EIO);
    g_assert_cmpint(m.err.reason, ==, PCI_SVM_DMA_BUS_ERROR);
}

static void revoke_by_invalidation(void)
{
    guest_invalidate(3);
}

static void revoke_by_close(void)
{
    g_clear_pointer(&context, pci_svm_dma_close);
}

static void revoke_by_free(void)
{
    context = NULL;
    g_clear_pointer(&engine, pci_svm_dma_free);
}

static void revoke_by_cancel(void)
{
    pci_svm_dma_cancel(context);
}

static void revoke_by_state(void)
{
    fake.ats = false;
    guest_change_state();
}

static void revoke_by_vm_stop(void)
{
    fake.vm_handler(fake.vm_opaque, false, RUN_STATE_PAUSED);
    fake.vm_handler(fake.vm_opaque, true, RUN_STATE_RUNNING);
}

typedef struct Revocation {
    const char *path;
    void (*fn)(void);
} Revocation;

static const Revocation revocations[] = {
    { "/pci-svm-dma/map/revoked-by-invalidation", revoke_by_invalidation },
    { "/pci-svm-dma/map/revoked-by-close", revoke_by_close },
    { "/pci-svm-dma/map/revoked-by-free", revoke_by_free },
    { "/pci-svm-dma/map/revoked-by-cancel", revoke_by_cancel },
    { "/pci-svm-dma/map/revoked-by-a-state-change", revoke_by_state },
    { "/pci-svm-dma/map/revoked-by-a-stop-of-the-VM", revoke_by_vm_stop },
};

/* At once; the holder hears of it once, and later ends it, or has done so. */
static void test_revocation(const void *data)
{
    const Revocation *r = data;
    Mapping kept, unmapped, unmaps;

    setup();
    kept = unmapped = unmaps = mapping_new(true, 3, 0, PAGE);
    unmaps.unmaps = true;
    guest_map_run(3, 1, IOMMU_RW);
    mapping_make(&kept);
    mapping_make(&unmapped);
    mapping_make(&unmaps);
    g_assert_true(mapping_works(&kept));
    r->fn();
    g_assert_false(mapping_works(&kept));
    g_assert_cmpuint(kept.revoked, ==, 0);
    pci_svm_dma_unmap(unmapped.map);
    settle();
    g_assert_cmpuint(kept.revoked, ==, 1);
    g_assert_cmpuint(unmapped.revoked, ==, 0);
    g_assert_cmpuint(unmaps.revoked, ==, 1);
    g_assert_null(unmaps.map);
    g_assert_false(kept.elsewhere);
    g_assert_false(mapping_works(&kept));
    pci_svm_dma_unmap(kept.map);
    teardown();
}

static void test_invalidation_elsewhere(void)
{
    Mapping m = mapping_new(false, 3, PAGE - 1, 1);

    guest_map_run(3, 1, IOMMU_RW);
    mapping_make(&m);
    guest_invalidate(2);
    guest_invalidate(4);
    g_assert_true(mapping_works(&m));
    guest_invalidate(3);
    g_assert_false(mapping_works(&m));
    settle();
    g_assert_cmpuint(m.revoked, ==, 1);
    pci_svm_dma_unmap(m.map);
}

static bool has_mapping(void)
{
    QEMU_LOCK_GUARD(&engine->lock);
    return !QLIST_EMPTY(&context->pasid_use->maps);
}

/* Who maps hears of the revocation when it knows of the mapping. */
static void test_revoked_before_it_is_returned(void)
{
    Mapping m = mapping_new(false, 3, 0, PAGE);

    guest_map_run(3, 1, IOMMU_RW);
    mapping_start(&m);
    /* The worker thread is created by the main loop. */
    while (!has_mapping()) {
        aio_poll(qemu_get_aio_context(), false);
        g_thread_yield();
    }
    g_assert_false(m.done);
    guest_invalidate(3);
    mapping_join(&m);
    settle();
    g_assert_cmpint(m.ret, ==, 0);
    g_assert_cmpuint(m.revoked, ==, 1);
    g_assert_false(m.too_early);
    g_assert_false(mapping_works(&m));
    pci_svm_dma_unmap(m.map);
}

/* It is not entered when the translation has been revoked. */
static void test_map_revoked_while_translating(void)
{
    Mapping m = mapping_new(false, 0, 0, PAGE);

    guest_map(0, 0x4000, IOMMU_RW);
    fake.on_translate = revoke_page_0;
    mapping_make(&m);
    g_assert_true(pci_svm_dma_map_begin(m.map) == fake.ram + 0x8000);
    pci_svm_dma_map_end(m.map, 0, 0);
    pci_svm_dma_unmap(m.map);
}

/* A thread that accesses what the guest takes away */

static struct {
    Mapping m;
    bool stop;
    unsigned accesses;
} mapper;

static void mapper_access(PCISVMDMAMap *map)
{
    uint8_t *host;

    while ((host = pci_svm_dma_map_begin(map))) {
        race_piece(host, PAGE, NULL);
        qatomic_inc(&mapper.accesses);
        pci_svm_dma_map_end(map, 0, PAGE);
    }
}

static void coroutine_fn mapper_entry(void *opaque)
{
    Mapping *m = &mapper.m;

    while (!qatomic_read(&mapper.stop)) {
        m->len = PAGE;
        m->ret = pci_svm_dma_co_map(opaque, m->addr, &m->len, true, 0, NULL,
                                    NULL, &m->map, &m->err);
        if (!m->ret) {
            mapper_access(m->map);
            pci_svm_dma_unmap(m->map);
        }
    }
    pci_svm_dma_unref(opaque);
    qatomic_store_release(&m->done, true);
    aio_wait_kick();
}

static void test_map_race(void)
{
    IOThread *thread = iothread_new();
    uint64_t before;

    race.stale = 0;
    race_set_all(true);
    mapper.stop = false;
    mapper.accesses = 0;
    mapper.m = mapping_new(true, 0, 0, PAGE);
    guest_map(0, race_alloc_frame(), IOMMU_RW);
    pci_svm_dma_ref(context);
    aio_co_schedule(iothread_get_aio_context(thread),
                    qemu_coroutine_create(mapper_entry, context));
    for (int i = 0; i < 300; i++) {
        before = qatomic_read(&mapper.accesses);
        while (qatomic_read(&mapper.accesses) == before) {
            race_handle_faults();
        }
        race_change_page(0, i & 1);
    }
    qatomic_set(&mapper.stop, true);
    g_clear_pointer(&context, pci_svm_dma_close);
    for (int i = 0; i < FRAMES; i++) {
        qatomic_set(&race.frame_free[i], true);
    }
    mapping_join(&mapper.m);
    iothread_join(thread);
    g_assert_cmpuint(race.stale, ==, 0);
}

typedef struct TestCase {
    const char *path;
    void (*fn)(void);
} TestCase;

static const TestCase test_cases[] = {
    { "/pci-svm-dma/translate/read", test_read },
    { "/pci-svm-dma/translate/write", test_write },
    { "/pci-svm-dma/translate/read-ahead-and-cache",
      test_read_ahead_and_cache },
    { "/pci-svm-dma/translate/whole-range", test_whole_range },
    { "/pci-svm-dma/translate/nothing", test_nothing },
    { "/pci-svm-dma/translate/beyond-the-top", test_beyond_the_top },
    { "/pci-svm-dma/translate/refused", test_translation_refused },
    { "/pci-svm-dma/translate/open-refused", test_open_refused },
    { "/pci-svm-dma/translate/revoked-meanwhile",
      test_revoked_while_translating },
    { "/pci-svm-dma/translate/invalidation-drops", test_invalidation_drops },
    { "/pci-svm-dma/translate/function-stops", test_function_stops },
    { "/pci-svm-dma/mmio/access", test_mmio },
    { "/pci-svm-dma/mmio/RAM-is-wanted", test_ram_only },
    { "/pci-svm-dma/mmio/bus-error", test_bus_error },
    { "/pci-svm-dma/mmio/thread", test_mmio_in_a_thread },
    { "/pci-svm-dma/mmio/revoked-meanwhile", test_mmio_revoked_meanwhile },
    { "/pci-svm-dma/page-request/group", test_page_request },
    { "/pci-svm-dma/page-request/read", test_read_asks_for_reading },
    { "/pci-svm-dma/page-request/unmapped", test_unmapped },
    { "/pci-svm-dma/page-request/read-only", test_read_only },
    { "/pci-svm-dma/page-request/privileged", test_privileged },
    { "/pci-svm-dma/page-request/unmapped-in-a-group",
      test_unmapped_in_a_group },
    { "/pci-svm-dma/page-request/response-failure", test_response_failure },
    { "/pci-svm-dma/page-request/retries-are-bounded",
      test_retries_are_bounded },
    { "/pci-svm-dma/page-request/without-pri", test_without_pri },
    { "/pci-svm-dma/page-request/unknown-response", test_unknown_response },
    { "/pci-svm-dma/page-request/at-the-top", test_page_request_at_the_top },
    { "/pci-svm-dma/credits/first-come-first-served", test_credits },
    { "/pci-svm-dma/credits/cancelled", test_cancelled_in_the_credit_queue },
    { "/pci-svm-dma/credits/all-indices", test_all_indices },
    { "/pci-svm-dma/credits/shared-with-others", test_credits_elsewhere },
    { "/pci-svm-dma/full-queue/at-first", test_no_room_at_first },
    { "/pci-svm-dma/full-queue/in-a-group", test_no_room_in_a_group },
    { "/pci-svm-dma/full-queue/close-completes-the-group",
      test_close_completes_the_group },
    { "/pci-svm-dma/state/pri-off-in-a-group", test_lost_in_a_group },
    { "/pci-svm-dma/full-queue/disabled-in-a-group",
      test_disabled_in_a_group },
    { "/pci-svm-dma/full-queue/fault-in-a-group", test_fault_in_a_group },
    { "/pci-svm-dma/full-queue/free-abandons-the-group",
      test_free_abandons_the_group },
    { "/pci-svm-dma/close/while-waiting", test_close_while_waiting },
    { "/pci-svm-dma/close/waits-for-translation",
      test_close_waits_for_translation },
    { "/pci-svm-dma/close/leaves-groups-outstanding",
      test_close_leaves_outstanding },
    { "/pci-svm-dma/close/free-closes", test_free_closes },
    { "/pci-svm-dma/close/before-the-start", test_closed_context },
    { "/pci-svm-dma/close/empties-the-cache", test_close_empties_the_cache },
    { "/pci-svm-dma/close/contexts-share", test_contexts_share },
    { "/pci-svm-dma/state/ats-off-empties-the-cache",
      test_ats_off_empties_the_cache },
    { "/pci-svm-dma/state/stopped-vm", test_stopped_vm },
    { "/pci-svm-dma/state/stopped-vm-asks-for-nothing",
      test_stopped_vm_asks_for_nothing },
    { "/pci-svm-dma/state/forgotten-requests", test_forgotten },
    { "/pci-svm-dma/state/stopped-vm-race", test_stopped_vm_race },
    { "/pci-svm-dma/race", test_race },
    { "/pci-svm-dma/list/read", test_list_read },
    { "/pci-svm-dma/list/write", test_list_write },
    { "/pci-svm-dma/list/fails-in-a-range", test_list_fails_in_a_range },
    { "/pci-svm-dma/list/exceeds-the-vector", test_list_exceeds_the_vector },
    { "/pci-svm-dma/list/beyond-the-top", test_list_beyond_the_top },
    { "/pci-svm-dma/list/empty", test_empty_list },
    { "/pci-svm-dma/bounds/group-is-as-large-as-credits-allow",
      test_group_is_as_large_as_credits_allow },
    { "/pci-svm-dma/bounds/group-adapts", test_group_adapts },
    { "/pci-svm-dma/bounds/longest-range", test_longest_range },
    { "/pci-svm-dma/bounds/no-BQL-while-copying", test_no_bql_while_copying },
    { "/pci-svm-dma/timeout/no-answer", test_timeout },
    { "/pci-svm-dma/timeout/no-credits", test_timeout_without_credits },
    { "/pci-svm-dma/timeout/no-room", test_timeout_without_room },
    { "/pci-svm-dma/timeout/in-a-group", test_timeout_in_a_group },
    { "/pci-svm-dma/timeout/each-group", test_timeout_is_for_each_group },
    { "/pci-svm-dma/timeout/each-page", test_timeout_is_for_each_page },
    { "/pci-svm-dma/cancel/context", test_cancel },
    { "/pci-svm-dma/cancel/pasid", test_cancel_pasid },
    { "/pci-svm-dma/request/main-loop", test_requests },
    { "/pci-svm-dma/request/thread", test_requests_in_a_thread },
    { "/pci-svm-dma/request/walk", test_request_that_walks },
    { "/pci-svm-dma/request/no-handle", test_request_without_handle },
    { "/pci-svm-dma/request/cancel", test_cancel_request },
    { "/pci-svm-dma/request/cancel-before-the-start",
      test_cancel_request_before_it_starts },
    { "/pci-svm-dma/map/access", test_map },
    { "/pci-svm-dma/map/read-only", test_map_read_only },
    { "/pci-svm-dma/map/bounded", test_map_is_bounded },
    { "/pci-svm-dma/map/refused", test_map_refused },
    { "/pci-svm-dma/map/invalidation-elsewhere", test_invalidation_elsewhere },
    { "/pci-svm-dma/map/revoked-before-it-is-returned",
      test_revoked_before_it_is_returned },
    { "/pci-svm-dma/map/revoked-while-translating",
      test_map_revoked_while_translating },
    { "/pci-svm-dma/map/race", test_map_race },
};

static void run_test(const void *data)
{
    const TestCase *c = data;

    setup();
    c->fn();
    teardown();
}

int main(int argc, char **argv)
{
    qemu_thread_get_self(&fake.main_thread);
    qemu_mutex_init(&fake.lock);
    qemu_init_main_loop(&error_abort);
    qemu_clock_enable(QEMU_CLOCK_VIRTUAL, true);
    g_test_init(&argc, &argv, NULL);

    for (int i = 0; i < ARRAY_SIZE(test_cases); i++) {
        g_test_add_data_func(test_cases[i].path, &test_cases[i], run_test);
    }
    for (int i = 0; i < ARRAY_SIZE(state_cases); i++) {
        g_test_add_data_func(state_cases[i].path, &state_cases[i],
                             test_disabled_while_waiting);
    }
    for (int i = 0; i < ARRAY_SIZE(revocations); i++) {
        g_test_add_data_func(revocations[i].path, &revocations[i],
                             test_revocation);
    }
    return g_test_run();
}
