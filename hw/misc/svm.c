/*
 * Demo endpoint for shared virtual memory: the function, and its single
 * command interface
 *
 * Fills buffers of guest processes, or computes a checksum over them, by PASID
 * and virtual address. The specification is docs/specs/svm.rst. The queues are
 * in svm-queue.c.
 *
 * Registers, state and interrupts belong to the BQL. A command runs as a job,
 * a coroutine in an IOThread; a job never takes the BQL and reports its end
 * through a bottom half of the main loop. The device forgets a job that it
 * stops: what the bottom half of a forgotten job says is ignored, but that it
 * has ended. There is one at most, for which the next command waits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/coroutine.h"
#include "qemu/log.h"
#include "qemu/module.h"
#include "qom/object.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_svm_dma.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "hw/resettable.h"
#include "migration/vmstate.h"
#include "system/iothread.h"
#include "system/runstate.h"
#include "svm-internal.h"
#include "trace.h"

#define TYPE_SVM "svm"
OBJECT_DECLARE_SIMPLE_TYPE(SVMState, SVM)

/* Capabilities in configuration space */
#define SVM_CAP_PM              0x40
#define SVM_CAP_MSI             0x50
#define SVM_CAP_MSIX            0x70
#define SVM_CAP_EXP             0x80
#define SVM_CAP_PASID           0x100
#define SVM_CAP_ATS             0x108
#define SVM_CAP_PRI             0x110

#define SVM_PASID_WIDTH         20
#define SVM_PRI_CAPACITY        512

/* Longest piece of the pattern that is copied at once: whole periods */
#define SVM_PATTERN_RUN         (64 * SVM_PATTERN_PERIOD)

/* What software asked for: the registers as they were when it started */
typedef struct SVMCommand {
    uint64_t code;              /* SVM_CMD_* */
    uint64_t addr;
    uint64_t size;
    uint64_t crc;
    uint64_t options;
} SVMCommand;

/* One execution of a command; lives until its bottom half has run */
typedef struct SVMJob {
    SVMState *s;
    PCISVMDMAContext *ctx;
    SVMCommand cmd;
    uint64_t done;              /* bytes */
    uint8_t crc;
    int ret;
} SVMJob;

struct SVMState {
    PCIDevice parent_obj;

    MemoryRegion bar;
    IOThread *iothread;         /* property, or NULL */
    IOThread *own_iothread;
    uint32_t atc_entries;
    uint32_t page_timeout_ms;
    VMChangeStateEntry *vm_change;

    SVMCommand regs;            /* what the next command will do */
    SVMCommand cmd;             /* what the running command does */
    bool busy;                  /* a command is running */
    uint64_t status;
    uint32_t pasid;
    uint32_t asked_pasid;       /* whose outstanding groups are asked for */
    uint64_t commands;
    uint64_t failures;
    PCISVMDMAStats stats;       /* for migration; the engine has the others */

    PCISVMDMA *dma;
    PCISVMDMAContext *ctx;      /* open for @pasid, or NULL */
    SVMJob *job;                /* NULL also while the machine is stopped */
    bool leaving;               /* a forgotten job has not ended */

    SVMQueues queues;
};

/*
 * The pattern, long enough for a run that starts anywhere in a period; and
 * the CRC of each byte.
 */
static uint8_t svm_pattern[SVM_PATTERN_RUN + SVM_PATTERN_PERIOD];
static uint8_t svm_crc_table[256];

static void svm_tables_init(void)
{
    for (int i = 0; i < ARRAY_SIZE(svm_pattern); i++) {
        svm_pattern[i] = i % SVM_PATTERN_PERIOD;
    }
    for (int i = 0; i < ARRAY_SIZE(svm_crc_table); i++) {
        uint8_t crc = i;

        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (crc & 1 ? SVM_CRC_POLY : 0);
        }
        svm_crc_table[i] = crc;
    }
}

uint8_t svm_crc(uint8_t crc, const void *buf, size_t len)
{
    const uint8_t *src = buf;

    while (len--) {
        crc = svm_crc_table[crc ^ *src++];
    }
    return crc;
}

/*
 * The work on memory, piece by piece, in the job's IOThread
 */

static int svm_fill_piece(void *host, size_t len, void *opaque)
{
    SVMJob *job = opaque;
    const uint8_t *src = svm_pattern + job->done % SVM_PATTERN_PERIOD;
    uint8_t *dst = host;

    job->done += len;
    while (len) {
        size_t run = MIN(len, SVM_PATTERN_RUN);

        memcpy(dst, src, run);
        dst += run;
        len -= run;
    }
    return 0;
}

static int svm_crc_piece(void *host, size_t len, void *opaque)
{
    SVMJob *job = opaque;

    job->done += len;
    job->crc = svm_crc(job->crc, host, len);
    return 0;
}

static int coroutine_fn svm_job_co_walk(SVMJob *job)
{
    const SVMCommand *cmd = &job->cmd;
    bool is_write = cmd->code == SVM_CMD_WRITE;
    unsigned flags = cmd->options & SVM_OPT_PRIV ? PCI_SVM_DMA_PRIV : 0;

    return pci_svm_dma_co_walk(job->ctx, cmd->addr, cmd->size, is_write, flags,
                               is_write ? svm_fill_piece : svm_crc_piece, job,
                               NULL);
}

/*
 * Commands and their jobs, under the BQL
 */

void svm_notify(PCIDevice *dev, unsigned vector)
{
    trace_svm_notify(pci_svm_name(dev), vector, msix_enabled(dev),
                     msi_enabled(dev));
    if (msix_enabled(dev)) {
        msix_notify(dev, vector);
    } else if (msi_enabled(dev)) {
        msi_notify(dev, 0);
    }
}

static void svm_command_end(SVMState *s, bool ok)
{
    s->busy = false;
    s->status = ok ? SVM_STATUS_OK : SVM_STATUS_FAILED;
    s->commands++;
    s->failures += !ok;
    trace_svm_command_end(pci_svm_name(&s->parent_obj), s->pasid, s->status);
    svm_notify(&s->parent_obj, SVM_VECTOR_COMMAND);
}

static bool svm_command_valid(const SVMCommand *cmd)
{
    if (cmd->code != SVM_CMD_WRITE && cmd->code != SVM_CMD_READ) {
        return false;
    }
    return cmd->size <= SVM_SIZE_MAX && svm_range_valid(cmd->addr, cmd->size);
}

/* Is the result of a command that went through its whole buffer good? */
static bool svm_command_check(const SVMCommand *cmd, uint8_t crc)
{
    return cmd->code == SVM_CMD_WRITE || cmd->crc == crc;
}

static void svm_job_done(void *opaque);

static void coroutine_fn svm_job_co_entry(void *opaque)
{
    SVMJob *job = opaque;

    job->ret = svm_job_co_walk(job);
    /* Only the main loop may touch the device and send its interrupt. */
    aio_bh_schedule_oneshot(qemu_get_aio_context(), svm_job_done, job);
}

static AioContext *svm_aio_context(SVMState *s)
{
    return iothread_get_aio_context(s->iothread ?: s->own_iothread);
}

static void svm_job_start(SVMState *s)
{
    SVMJob *job;

    if (s->leaving) {
        return;
    }
    job = g_new(SVMJob, 1);
    *job = (SVMJob) {
        .s = s,
        .ctx = pci_svm_dma_ref(s->ctx),
        .cmd = s->cmd,
        .crc = SVM_CRC_INIT,
    };
    object_ref(s);
    s->job = job;
    aio_co_enter(svm_aio_context(s),
                 qemu_coroutine_create(svm_job_co_entry, job));
}

static void svm_job_forgotten_done(SVMState *s)
{
    s->leaving = false;
    /* Without a context there is none, or the machine is stopped. */
    if (s->busy && s->ctx) {
        svm_job_start(s);
    }
}

static void svm_job_done(void *opaque)
{
    SVMJob *job = opaque;
    SVMState *s = job->s;

    trace_svm_job_done(pci_svm_name(&s->parent_obj), job->ret, job->done,
                       job->crc, s->job == job);
    if (s->job == job) {
        s->job = NULL;
        svm_command_end(s, !job->ret && svm_command_check(&job->cmd, job->crc));
    } else {
        svm_job_forgotten_done(s);
    }
    pci_svm_dma_unref(job->ctx);
    g_free(job);
    object_unref(s);
}

/* When this has returned the device accesses no memory. */
static void svm_job_stop(SVMState *s)
{
    s->leaving = s->leaving || s->job;
    s->job = NULL;
    g_clear_pointer(&s->ctx, pci_svm_dma_close);
}

static bool svm_dma_open(SVMState *s)
{
    if (!s->ctx) {
        s->ctx = pci_svm_dma_open(s->dma, svm_dma_pasid(s->pasid), NULL);
    }
    return s->ctx;
}

static void svm_command_run(SVMState *s)
{
    const SVMCommand *cmd = &s->cmd;

    if (!svm_command_valid(cmd)) {
        svm_command_end(s, false);
    } else if (!cmd->size) {
        svm_command_end(s, svm_command_check(cmd, SVM_CRC_INIT));
    } else if (!svm_dma_open(s)) {
        svm_command_end(s, false);
    } else {
        svm_job_start(s);
    }
}

static void svm_command_start(SVMState *s, uint64_t code)
{
    if (s->busy) {
        qemu_log_mask(LOG_GUEST_ERROR, "svm: command 0x%" PRIx64
                      " while another one is running\n", code);
        return;
    }
    s->cmd = s->regs;
    s->cmd.code = code;
    s->busy = true;
    s->status = SVM_STATUS_FAILED;
    trace_svm_command_start(pci_svm_name(&s->parent_obj), s->pasid, code,
                            s->cmd.addr, s->cmd.size, s->cmd.options);
    /* A debugger may write registers while the machine is stopped. */
    if (runstate_is_running()) {
        svm_command_run(s);
    }
}

static bool svm_pasid_valid(uint32_t pasid)
{
    if (pasid <= SVM_PASID_NONE) {
        return true;
    }
    qemu_log_mask(LOG_GUEST_ERROR, "svm: invalid PASID 0x%x\n", pasid);
    return false;
}

static void svm_pasid_write(SVMState *s, uint32_t pasid)
{
    if (!svm_pasid_valid(pasid)) {
        return;
    }
    trace_svm_pasid_write(pci_svm_name(&s->parent_obj), pasid, s->busy);
    /* An idle device keeps what it has cached for the same process. */
    if (s->busy || pasid != s->pasid) {
        svm_job_stop(s);
    }
    s->pasid = pasid;
    if (s->busy) {
        svm_command_end(s, false);
    }
}

static void svm_ask_write(SVMState *s, uint32_t pasid)
{
    if (svm_pasid_valid(pasid)) {
        s->asked_pasid = pasid;
    }
}

/* The machine's memory does not change while it is stopped. */
static void svm_vm_change(void *opaque, bool running, RunState state)
{
    SVMState *s = opaque;

    if (!running) {
        svm_job_stop(s);
        svm_queues_stop(&s->queues);
        return;
    }
    if (s->busy && !s->job) {
        svm_command_run(s);
    }
    svm_queues_start(&s->queues);
}

/*
 * Registers
 */

static unsigned svm_reg_size(hwaddr addr)
{
    return addr == SVM_REG_PASID || addr == SVM_REG_OUTSTANDING ? 4 : 8;
}

#define SVM_STAT_FIELD(reg, name) \
    [(reg - SVM_REG_STATS) / 8] = offsetof(PCISVMDMAStats, name)

static const size_t svm_stat_fields[] = {
    SVM_STAT_FIELD(SVM_STAT_ATS_REQUESTS, ats_requests),
    SVM_STAT_FIELD(SVM_STAT_ATS_RESULTS, ats_results),
    SVM_STAT_FIELD(SVM_STAT_ATS_HOLES, ats_holes),
    SVM_STAT_FIELD(SVM_STAT_ATC_HITS, atc_hits),
    SVM_STAT_FIELD(SVM_STAT_ATC_MISSES, atc_misses),
    SVM_STAT_FIELD(SVM_STAT_PAGE_REQUESTS, page_requests),
    SVM_STAT_FIELD(SVM_STAT_PAGE_GROUPS, page_groups),
    SVM_STAT_FIELD(SVM_STAT_RESP_SUCCESS, resp_success),
    SVM_STAT_FIELD(SVM_STAT_RESP_INVALID, resp_invalid),
    SVM_STAT_FIELD(SVM_STAT_RESP_FAILURE, resp_failure),
    SVM_STAT_FIELD(SVM_STAT_REFUSED, refused),
    SVM_STAT_FIELD(SVM_STAT_INVALIDATIONS, invalidations),
    SVM_STAT_FIELD(SVM_STAT_REVOKED, revoked),
    SVM_STAT_FIELD(SVM_STAT_BYTES_READ, bytes_read),
    SVM_STAT_FIELD(SVM_STAT_BYTES_WRITTEN, bytes_written),
};

static uint64_t svm_dma_stat_read(SVMState *s, hwaddr addr)
{
    PCISVMDMAStats stats;

    pci_svm_dma_get_stats(s->dma, &stats);
    return *(uint64_t *)((char *)&stats +
                         svm_stat_fields[(addr - SVM_REG_STATS) / 8]);
}

static bool svm_reg_read(SVMState *s, hwaddr addr, uint64_t *val)
{
    switch (addr) {
    case SVM_REG_ID:
        *val = SVM_ID;
        return true;
    case SVM_REG_STATUS:
        *val = s->status;
        return true;
    case SVM_REG_OUTSTANDING:
        *val = pci_svm_dma_outstanding(s->dma, svm_dma_pasid(s->asked_pasid));
        return true;
    case SVM_REG_STATS ... SVM_STAT_BYTES_WRITTEN:
        *val = svm_dma_stat_read(s, addr);
        return true;
    case SVM_STAT_COMMANDS:
        *val = s->commands;
        return true;
    case SVM_STAT_FAILURES:
        *val = s->failures;
        return true;
    default:
        return false;
    }
}

static bool svm_reg_write(SVMState *s, hwaddr addr, uint64_t val)
{
    switch (addr) {
    case SVM_REG_CMD:
        svm_command_start(s, val);
        return true;
    case SVM_REG_ADDR:
        s->regs.addr = val;
        return true;
    case SVM_REG_CRC:
        s->regs.crc = val;
        return true;
    case SVM_REG_SIZE:
        s->regs.size = val;
        return true;
    case SVM_REG_OPTIONS:
        s->regs.options = val;
        return true;
    case SVM_REG_PASID:
        svm_pasid_write(s, val);
        return true;
    case SVM_REG_OUTSTANDING:
        svm_ask_write(s, val);
        return true;
    default:
        return false;
    }
}

/* A CPU that has found the region may wait for the BQL during an unplug. */
static bool svm_is_gone(const SVMState *s)
{
    return !s->dma;
}

static uint64_t svm_mmio_read(void *opaque, hwaddr addr, unsigned size)
{
    uint64_t val = 0;

    if (svm_is_gone(opaque)) {
        return UINT64_MAX;
    }
    if (size != svm_reg_size(addr) || addr % size ||
        !svm_reg_read(opaque, addr, &val)) {
        qemu_log_mask(LOG_GUEST_ERROR, "svm: invalid read of %u bytes at 0x%"
                      HWADDR_PRIx "\n", size, addr);
    }
    return val;
}

static void svm_mmio_write(void *opaque, hwaddr addr, uint64_t val,
                           unsigned size)
{
    if (svm_is_gone(opaque)) {
        return;
    }
    if (size != svm_reg_size(addr) || addr % size ||
        !svm_reg_write(opaque, addr, val)) {
        qemu_log_mask(LOG_GUEST_ERROR, "svm: invalid write of %u bytes at 0x%"
                      HWADDR_PRIx "\n", size, addr);
    }
}

/* Each access arrives as the guest made it: the handlers judge its size. */
static const MemoryRegionOps svm_mmio_ops = {
    .read = svm_mmio_read,
    .write = svm_mmio_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
        .unaligned = true,
    },
};

/*
 * Life cycle
 */

static void svm_write_config(PCIDevice *dev, uint32_t addr, uint32_t val,
                             int len)
{
    pci_default_write_config(dev, addr, val, len);
    pcie_cap_flr_write_config(dev, addr, val, len);
}

static void svm_reset_hold(Object *obj, ResetType type)
{
    SVMState *s = SVM(obj);

    trace_svm_reset(pci_svm_name(&s->parent_obj), s->busy);
    svm_job_stop(s);
    svm_queues_reset(&s->queues);
    s->busy = false;
    s->regs = (SVMCommand) { };
    s->status = SVM_STATUS_OK;
    s->pasid = SVM_PASID_NONE;
    s->asked_pasid = SVM_PASID_NONE;
    s->commands = 0;
    s->failures = 0;
    pci_svm_dma_reset_stats(s->dma);
}

static bool svm_init_interrupts(SVMState *s, Error **errp)
{
    PCIDevice *dev = &s->parent_obj;

    if (msi_init(dev, SVM_CAP_MSI, 1, true, false, errp) < 0) {
        return false;
    }
    if (msix_init(dev, SVM_VECTORS, &s->bar, SVM_BAR, SVM_MSIX_TABLE, &s->bar,
                  SVM_BAR, SVM_MSIX_PBA, SVM_CAP_MSIX, errp) < 0) {
        msi_uninit(dev);
        return false;
    }
    for (int i = 0; i < SVM_VECTORS; i++) {
        msix_vector_use(dev, i);
    }
    return true;
}

static void svm_exit_interrupts(SVMState *s)
{
    PCIDevice *dev = &s->parent_obj;

    msix_uninit(dev, &s->bar, &s->bar);
    msi_uninit(dev);
}

static bool svm_init_pm(PCIDevice *dev, Error **errp)
{
    if (pci_pm_init(dev, SVM_CAP_PM, errp) < 0) {
        return false;
    }
    pci_set_word(dev->config + SVM_CAP_PM + PCI_PM_PMC, PCI_PM_CAP_VER_1_2);
    pci_set_word(dev->config + SVM_CAP_PM + PCI_PM_CTRL,
                 PCI_PM_CTRL_NO_SOFT_RESET);
    pci_set_word(dev->wmask + SVM_CAP_PM + PCI_PM_CTRL,
                 PCI_PM_CTRL_STATE_MASK);
    return true;
}

/* All that makes a PCI Express function capable of SVM */
static void svm_init_express(PCIDevice *dev)
{
    pcie_endpoint_cap_init(dev, SVM_CAP_EXP);
    pcie_cap_flr_init(dev);
    pcie_pasid_init(dev, SVM_CAP_PASID, SVM_PASID_WIDTH, false, true);
    pcie_ats_init(dev, SVM_CAP_ATS, true);
    pcie_ats_set_global_invalidate(dev);
    pcie_pri_init(dev, SVM_CAP_PRI, SVM_PRI_CAPACITY, true);
}

static bool svm_init_iothread(SVMState *s, Error **errp)
{
    static unsigned counter;
    g_autofree char *id = NULL;

    if (s->iothread) {
        return true;
    }
    id = g_strdup_printf("svm-%u", counter++);
    s->own_iothread = iothread_create(id, errp);
    return s->own_iothread;
}

static void svm_realize(PCIDevice *dev, Error **errp)
{
    SVMState *s = SVM(dev);

    memory_region_init_io(&s->bar, OBJECT(s), &svm_mmio_ops, s, "svm",
                          SVM_BAR_SIZE);
    pci_register_bar(dev, SVM_BAR, PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64, &s->bar);
    svm_init_express(dev);
    if (!svm_init_pm(dev, errp) || !svm_init_interrupts(s, errp)) {
        return;
    }
    s->dma = pci_svm_dma_new(dev, s->atc_entries);
    pci_svm_dma_set_page_timeout(s->dma, s->page_timeout_ms);
    if (!svm_init_iothread(s, errp) ||
        !svm_queues_init(&s->queues, dev, s->dma,
                         s->iothread ?: s->own_iothread, errp)) {
        svm_queues_exit(&s->queues);
        g_clear_pointer(&s->dma, pci_svm_dma_free);
        svm_exit_interrupts(s);
        return;
    }
    s->vm_change = qdev_add_vm_change_state_handler(DEVICE(s), svm_vm_change,
                                                    s);
}

/* A job that was stopped may still be about to end: see svm_finalize(). */
static void svm_exit(PCIDevice *dev)
{
    SVMState *s = SVM(dev);

    qemu_del_vm_change_state_handler(s->vm_change);
    svm_job_stop(s);
    svm_queues_exit(&s->queues);
    g_clear_pointer(&s->dma, pci_svm_dma_free);
    svm_exit_interrupts(s);
}

/* Each job and ring has a reference: no coroutine is left in the threads. */
static void svm_finalize(Object *obj)
{
    SVMState *s = SVM(obj);

    svm_queues_fini(&s->queues);
    g_clear_pointer(&s->own_iothread, iothread_destroy);
}

static int svm_pre_save(void *opaque)
{
    SVMState *s = opaque;

    pci_svm_dma_get_stats(s->dma, &s->stats);
    return 0;
}

static int svm_post_load(void *opaque, int version_id)
{
    SVMState *s = opaque;

    pci_svm_dma_set_stats(s->dma, &s->stats);
    return s->pasid <= SVM_PASID_NONE && s->asked_pasid <= SVM_PASID_NONE
           ? 0 : -EINVAL;
}

static const VMStateDescription svm_vmstate_command = {
    .name = "svm/command",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(code, SVMCommand),
        VMSTATE_UINT64(addr, SVMCommand),
        VMSTATE_UINT64(size, SVMCommand),
        VMSTATE_UINT64(crc, SVMCommand),
        VMSTATE_UINT64(options, SVMCommand),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription svm_vmstate_stats = {
    .name = "svm/stats",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(ats_requests, PCISVMDMAStats),
        VMSTATE_UINT64(ats_results, PCISVMDMAStats),
        VMSTATE_UINT64(ats_holes, PCISVMDMAStats),
        VMSTATE_UINT64(atc_hits, PCISVMDMAStats),
        VMSTATE_UINT64(atc_misses, PCISVMDMAStats),
        VMSTATE_UINT64(page_requests, PCISVMDMAStats),
        VMSTATE_UINT64(page_groups, PCISVMDMAStats),
        VMSTATE_UINT64(resp_success, PCISVMDMAStats),
        VMSTATE_UINT64(resp_invalid, PCISVMDMAStats),
        VMSTATE_UINT64(resp_failure, PCISVMDMAStats),
        VMSTATE_UINT64(refused, PCISVMDMAStats),
        VMSTATE_UINT64(invalidations, PCISVMDMAStats),
        VMSTATE_UINT64(revoked, PCISVMDMAStats),
        VMSTATE_UINT64(bytes_read, PCISVMDMAStats),
        VMSTATE_UINT64(bytes_written, PCISVMDMAStats),
        VMSTATE_END_OF_LIST()
    },
};

static bool svm_queues_needed(void *opaque)
{
    SVMState *s = opaque;

    return svm_queues_in_use(&s->queues);
}

static const VMStateDescription svm_vmstate_with_queues = {
    .name = "svm/queues",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = svm_queues_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_STRUCT(queues, SVMState, 1, svm_vmstate_queues, SVMQueues),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription svm_vmstate = {
    .name = "svm",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = svm_pre_save,
    .post_load = svm_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, SVMState),
        VMSTATE_MSIX(parent_obj, SVMState),
        VMSTATE_STRUCT(regs, SVMState, 1, svm_vmstate_command, SVMCommand),
        VMSTATE_STRUCT(cmd, SVMState, 1, svm_vmstate_command, SVMCommand),
        VMSTATE_STRUCT(stats, SVMState, 1, svm_vmstate_stats, PCISVMDMAStats),
        VMSTATE_BOOL(busy, SVMState),
        VMSTATE_UINT64(status, SVMState),
        VMSTATE_UINT32(pasid, SVMState),
        VMSTATE_UINT32(asked_pasid, SVMState),
        VMSTATE_UINT64(commands, SVMState),
        VMSTATE_UINT64(failures, SVMState),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription * const []) {
        &svm_vmstate_with_queues,
        NULL
    },
};

static const Property svm_properties[] = {
    DEFINE_PROP_LINK("iothread", SVMState, iothread, TYPE_IOTHREAD,
                     IOThread *),
    DEFINE_PROP_ARRAY("iothreads", SVMState, queues.iothread_count,
                      queues.iothreads, qdev_prop_string, char *),
    DEFINE_PROP_UINT32("page-timeout-ms", SVMState, page_timeout_ms, 0),
    DEFINE_PROP_UINT32("x-atc-entries", SVMState, atc_entries,
                       PCI_SVM_DMA_ATC_ENTRIES),
};

static void svm_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);

    svm_tables_init();
    pc->realize = svm_realize;
    pc->exit = svm_exit;
    pc->config_write = svm_write_config;
    pc->vendor_id = SVM_PCI_VENDOR_ID;
    pc->device_id = SVM_PCI_DEVICE_ID;
    pc->class_id = PCI_CLASS_OTHERS;
    rc->phases.hold = svm_reset_hold;
    dc->desc = "Demo endpoint for shared virtual memory";
    dc->vmsd = &svm_vmstate;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    device_class_set_props(dc, svm_properties);
    object_class_property_set_description(klass, "iothread",
        "Thread that executes commands (default: a thread of its own)");
    object_class_property_set_description(klass, "iothreads",
        "Names of the threads over which queues are spread, a JSON list "
        "(default: that of commands)");
    object_class_property_set_description(klass, "page-timeout-ms",
        "Time in which a page request must be answered (default: 0, no limit)");
    object_class_property_set_description(klass, "x-atc-entries",
        "Translations that the device caches at most");
}

static const TypeInfo svm_types[] = {
    {
        .name = TYPE_SVM,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(SVMState),
        .instance_finalize = svm_finalize,
        .class_init = svm_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
};

DEFINE_TYPES(svm_types)
