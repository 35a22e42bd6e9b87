/*
 * Demo endpoint for shared virtual memory: registers and states of the queues
 *
 * docs/specs/svm.rst, from "Queue registers" on; svm-ring.c executes the
 * descriptors. All of this belongs to the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/host-utils.h"
#include "qemu/log.h"
#include "svm-internal.h"
#include "system/runstate.h"
#include "trace.h"

/*
 * States
 */

static void svm_queue_notify(SVMQueue *q)
{
    svm_notify(q->queues->dev, SVM_VECTOR_QUEUE(q->index));
}

static void svm_queue_set_state(SVMQueue *q, uint32_t state)
{
    trace_svm_queue_state(pci_svm_name(q->queues->dev), q->index, q->state,
                          state);
    q->state = state;
}

static uint32_t svm_queue_head(const SVMQueue *q)
{
    return q->ring ? svm_ring_head(q->ring) : q->head;
}

static bool svm_queue_has_work(const SVMQueue *q)
{
    return svm_queue_head(q) != q->tail;
}

/*
 * When this has returned the device accesses no memory for the queue. Returns
 * whether an interrupt is pending.
 */
static bool svm_queue_stop(SVMQueue *q)
{
    SVMRing *ring = g_steal_pointer(&q->ring);

    if (!ring) {
        return false;
    }
    q->closing++;
    return svm_ring_close(ring, &q->head, &q->failed);
}

static void svm_queue_disable(SVMQueue *q)
{
    svm_queue_stop(q);
    svm_queue_set_state(q, SVM_STATE_DISABLED);
}

static void svm_queue_fail(SVMQueue *q, uint32_t error, uint64_t addr)
{
    svm_queue_stop(q);
    q->error = error;
    q->error_addr = addr;
    trace_svm_queue_error(pci_svm_name(q->queues->dev), q->index, error, addr);
    svm_queue_set_state(q, SVM_STATE_ERROR);
    svm_queue_notify(q);
}

/* Do what the state demands, and go to the next one if there is no more. */
static void svm_queue_settle(SVMQueue *q)
{
    bool active = q->ring && svm_ring_is_active(q->ring);

    switch (q->state) {
    case SVM_STATE_PAUSING:
        if (!active) {
            svm_queue_set_state(q, SVM_STATE_PAUSED);
            svm_queue_notify(q);
        }
        break;
    case SVM_STATE_DRAINING:
        if (!active && !svm_queue_has_work(q)) {
            svm_queue_disable(q);
            svm_queue_notify(q);
            break;
        }
        /* fall through */
    case SVM_STATE_RUNNING:
        if (q->ring && !q->closing) {
            svm_ring_run(q->ring, q->tail);
        }
        break;
    default:
        break;
    }
}

static void svm_queue_ring_notify(SVMRing *ring, void *opaque)
{
    SVMQueue *q = opaque;
    uint64_t addr;
    uint32_t error;

    /* A ring that was closed says nothing any more. */
    if (q->ring != ring) {
        return;
    }
    if (svm_ring_take_interrupt(ring)) {
        svm_queue_notify(q);
    }
    error = svm_ring_error(ring, &addr);
    if (error) {
        svm_queue_fail(q, error, addr);
    } else {
        svm_queue_settle(q);
    }
}

static void svm_queue_ring_ended(void *opaque)
{
    SVMQueue *q = opaque;

    q->closing--;
    if (q->ring) {
        svm_queue_settle(q);
    }
}

static AioContext *svm_queue_aio_context(const SVMQueue *q)
{
    SVMQueues *queues = q->queues;
    unsigned thread = q->index % queues->thread_count;

    return iothread_get_aio_context(queues->threads[thread]);
}

static void svm_queue_open(SVMQueue *q)
{
    SVMRingConfig config = {
        .dev = q->queues->dev,
        .dma = q->queues->dma,
        .aio = svm_queue_aio_context(q),
        .index = q->index,
        .pasid = svm_dma_pasid(q->pasid),
        .addr = q->addr,
        .records = q->records,
        .size = q->size,
        .head = q->head,
        .failed = q->failed,
        .notify = svm_queue_ring_notify,
        .ended = svm_queue_ring_ended,
        .opaque = q,
    };

    q->ring = svm_ring_open(&config);
    if (q->ring) {
        svm_ring_set_peer(q->ring, q->peer);
    }
}

static bool svm_queue_is_enabled(const SVMQueue *q)
{
    return q->state != SVM_STATE_DISABLED && q->state != SVM_STATE_ERROR;
}

/* Go on where svm_queue_stop() has interrupted. */
static void svm_queue_start(SVMQueue *q)
{
    if (!svm_queue_is_enabled(q) || q->ring) {
        return;
    }
    svm_queue_open(q);
    if (q->ring) {
        svm_queue_settle(q);
    } else {
        svm_queue_fail(q, SVM_ERROR_PASID, 0);
    }
}

/*
 * Control
 */

static bool svm_queue_config_valid(const SVMQueue *q)
{
    return q->size &&
           svm_range_valid(q->addr, (uint64_t)q->size * SVM_DESC_SIZE) &&
           svm_range_valid(q->records, (uint64_t)q->size * SVM_REC_SIZE);
}

static void svm_queue_enable(SVMQueue *q)
{
    q->tail = q->head;
    q->failed = false;
    if (!svm_queue_config_valid(q)) {
        svm_queue_fail(q, SVM_ERROR_CONFIG, 0);
        return;
    }
    svm_queue_set_state(q, SVM_STATE_RUNNING);
    /* A debugger may write registers while the machine is stopped. */
    if (runstate_is_running()) {
        svm_queue_start(q);
    }
}

static void svm_queue_pause(SVMQueue *q)
{
    svm_queue_set_state(q, SVM_STATE_PAUSING);
    if (q->ring) {
        svm_ring_pause(q->ring);
    }
    svm_queue_settle(q);
}

static void svm_queue_resume(SVMQueue *q)
{
    svm_queue_set_state(q, SVM_STATE_RUNNING);
    svm_queue_settle(q);
}

static void svm_queue_drain(SVMQueue *q)
{
    svm_queue_set_state(q, SVM_STATE_DRAINING);
    svm_queue_settle(q);
}

static void svm_queue_abort(SVMQueue *q)
{
    /* That of a descriptor which is complete */
    if (svm_queue_stop(q)) {
        svm_queue_notify(q);
    }
    svm_queue_disable(q);
    q->error = SVM_ERROR_NONE;
    q->error_addr = 0;
}

typedef struct SVMControl {
    void (*apply)(SVMQueue *q);
    unsigned states;            /* bits: those in which it is allowed */
} SVMControl;

static const SVMControl svm_controls[] = {
    [SVM_CTRL_ENABLE] = { svm_queue_enable, 1 << SVM_STATE_DISABLED },
    [SVM_CTRL_PAUSE] = { svm_queue_pause, 1 << SVM_STATE_RUNNING },
    [SVM_CTRL_RESUME] = {
        svm_queue_resume, 1 << SVM_STATE_PAUSING | 1 << SVM_STATE_PAUSED
    },
    [SVM_CTRL_DRAIN] = {
        svm_queue_drain, 1 << SVM_STATE_RUNNING | 1 << SVM_STATE_PAUSING |
                         1 << SVM_STATE_PAUSED
    },
    [SVM_CTRL_ABORT] = { svm_queue_abort, ~0u },
};

static bool svm_queue_control(SVMQueue *q, uint32_t val)
{
    trace_svm_queue_control(pci_svm_name(q->queues->dev), q->index, val,
                            q->state);
    if (val >= ARRAY_SIZE(svm_controls) ||
        !(svm_controls[val].states & 1u << q->state)) {
        return false;
    }
    svm_controls[val].apply(q);
    return true;
}

static bool svm_queue_doorbell(SVMQueue *q, uint32_t tail)
{
    uint32_t room = q->size - (q->tail - svm_queue_head(q));

    trace_svm_queue_doorbell(pci_svm_name(q->queues->dev), q->index, tail,
                             q->tail, q->state);
    if (!svm_queue_is_enabled(q) || q->state == SVM_STATE_DRAINING) {
        return false;
    }
    if (tail - q->tail > room) {
        svm_queue_fail(q, SVM_ERROR_DOORBELL, 0);
        return true;
    }
    q->tail = tail;
    svm_queue_settle(q);
    return true;
}

/*
 * Registers. A handler returns false for what is a guest error.
 */

static bool svm_queue_peer_valid(uint32_t val)
{
    return !(val & ~(SVM_PEER_READ | SVM_PEER_WRITE | SVM_PEER_PASID_MASK)) &&
           (val & SVM_PEER_PASID_MASK) <= SVM_PASID_NONE;
}

static bool svm_queue_set_peer(SVMQueue *q, uint32_t val)
{
    if (!svm_queue_peer_valid(val)) {
        return false;
    }
    q->peer = val;
    if (q->ring) {
        svm_ring_set_peer(q->ring, val);
    }
    return true;
}

static bool svm_queue_size_valid(uint32_t size)
{
    return is_power_of_2(size) && size <= SVM_Q_SIZE_MAX;
}

/* Is this a good value of a register that is for a disabled queue? */
static bool svm_queue_value_valid(hwaddr reg, uint64_t val)
{
    switch (reg) {
    case SVM_Q_RING:
        return val % SVM_DESC_SIZE == 0;
    case SVM_Q_RECORDS:
        return val % SVM_REC_SIZE == 0;
    case SVM_Q_SIZE:
        return svm_queue_size_valid(val);
    case SVM_Q_PASID:
        return val <= SVM_PASID_NONE;
    case SVM_Q_HEAD:
        return true;
    default:
        return false;
    }
}

static bool svm_queue_configure(SVMQueue *q, hwaddr reg, uint64_t val)
{
    if (q->state != SVM_STATE_DISABLED || !svm_queue_value_valid(reg, val)) {
        return false;
    }
    trace_svm_queue_configure(pci_svm_name(q->queues->dev), q->index, reg, val);
    switch (reg) {
    case SVM_Q_RING:
        q->addr = val;
        break;
    case SVM_Q_RECORDS:
        q->records = val;
        break;
    case SVM_Q_SIZE:
        q->size = val;
        break;
    case SVM_Q_PASID:
        q->pasid = val;
        break;
    case SVM_Q_HEAD:
        q->head = val;
        break;
    }
    return true;
}

static bool svm_queue_write(SVMQueue *q, hwaddr reg, uint64_t val)
{
    switch (reg) {
    case SVM_Q_PEER:
        return svm_queue_set_peer(q, val);
    case SVM_Q_CTRL:
        return svm_queue_control(q, val);
    default:
        return svm_queue_configure(q, reg, val);
    }
}

static bool svm_queue_read(SVMQueue *q, hwaddr reg, uint64_t *val)
{
    switch (reg) {
    case SVM_Q_RING:
        *val = q->addr;
        return true;
    case SVM_Q_RECORDS:
        *val = q->records;
        return true;
    case SVM_Q_SIZE:
        *val = q->size;
        return true;
    case SVM_Q_PASID:
        *val = q->pasid;
        return true;
    case SVM_Q_PEER:
        *val = q->peer;
        return true;
    case SVM_Q_HEAD:
        *val = svm_queue_head(q);
        return true;
    case SVM_Q_TAIL:
        *val = q->tail;
        return true;
    case SVM_Q_STATE:
        *val = q->state;
        return true;
    case SVM_Q_ERROR:
        *val = q->error;
        return true;
    case SVM_Q_ERROR_ADDR:
        *val = q->error_addr;
        return true;
    default:
        return false;
    }
}

static bool svm_doorbell_read(SVMQueue *q, hwaddr reg, uint64_t *val)
{
    switch (reg) {
    case SVM_DB_TAIL:
        return svm_queue_read(q, SVM_Q_TAIL, val);
    case SVM_DB_HEAD:
        return svm_queue_read(q, SVM_Q_HEAD, val);
    case SVM_DB_STATE:
        return svm_queue_read(q, SVM_Q_STATE, val);
    default:
        return false;
    }
}

static bool svm_global_read(hwaddr reg, uint64_t *val)
{
    switch (reg) {
    case SVM_QG_ID:
        *val = SVM_QUEUE_ID;
        return true;
    case SVM_QG_QUEUES:
        *val = SVM_QUEUES;
        return true;
    case SVM_QG_SIZE_MAX:
        *val = SVM_Q_SIZE_MAX;
        return true;
    default:
        return false;
    }
}

/* Where an address of the BAR leads */
typedef struct SVMQueueReg {
    SVMQueue *q;                /* NULL: no queue's */
    bool doorbell;              /* in the doorbell page, else a control one */
    hwaddr reg;
    unsigned size;              /* of the register, if there is one */
} SVMQueueReg;

static unsigned svm_control_reg_size(hwaddr reg)
{
    return reg == SVM_Q_RING || reg == SVM_Q_RECORDS ||
           reg == SVM_Q_ERROR_ADDR ? 8 : 4;
}

static SVMQueueReg svm_queue_decode(SVMQueues *queues, hwaddr addr)
{
    const hwaddr stride = SVM_Q_REGS(1) - SVM_Q_REGS(0);

    if (addr >= SVM_DOORBELL_PAGE(0)) {
        addr -= SVM_DOORBELL_PAGE(0);
        return (SVMQueueReg) {
            .q = &queues->queue[addr / SVM_DOORBELL_SIZE],
            .doorbell = true,
            .reg = addr % SVM_DOORBELL_SIZE,
            .size = 4,
        };
    }
    if (addr >= SVM_Q_REGS(0) && addr < SVM_Q_REGS(SVM_QUEUES)) {
        addr -= SVM_Q_REGS(0);
        return (SVMQueueReg) {
            .q = &queues->queue[addr / stride],
            .reg = addr % stride,
            .size = svm_control_reg_size(addr % stride),
        };
    }
    return (SVMQueueReg) { .reg = addr, .size = addr == SVM_QG_ID ? 8 : 4 };
}

static bool svm_queue_reg_read(const SVMQueueReg *r, uint64_t *val)
{
    if (!r->q) {
        return svm_global_read(r->reg, val);
    }
    return r->doorbell ? svm_doorbell_read(r->q, r->reg, val)
                       : svm_queue_read(r->q, r->reg, val);
}

static bool svm_queue_reg_write(const SVMQueueReg *r, uint64_t val)
{
    if (!r->q) {
        return false;
    }
    if (r->doorbell) {
        return r->reg == SVM_DB_TAIL && svm_queue_doorbell(r->q, val);
    }
    return svm_queue_write(r->q, r->reg, val);
}

static uint64_t svm_queue_mmio_read(void *opaque, hwaddr addr, unsigned size)
{
    SVMQueues *queues = opaque;
    SVMQueueReg r = svm_queue_decode(queues, addr);
    uint64_t val = 0;

    if (!queues->dma) {
        return UINT64_MAX;
    }
    if (size != r.size || !svm_queue_reg_read(&r, &val)) {
        qemu_log_mask(LOG_GUEST_ERROR, "svm: invalid read of %u bytes at 0x%"
                      HWADDR_PRIx " of the queues\n", size, addr);
    }
    return val;
}

static void svm_queue_mmio_write(void *opaque, hwaddr addr, uint64_t val,
                                 unsigned size)
{
    SVMQueues *queues = opaque;
    SVMQueueReg r = svm_queue_decode(queues, addr);

    if (!queues->dma) {
        return;
    }
    if (size != r.size || !svm_queue_reg_write(&r, val)) {
        qemu_log_mask(LOG_GUEST_ERROR, "svm: invalid write of %u bytes, 0x%"
                      PRIx64 ", at 0x%" HWADDR_PRIx " of the queues\n", size,
                      val, addr);
    }
}

/* Each access arrives as the guest made it: the handlers judge its size. */
static const MemoryRegionOps svm_queue_mmio_ops = {
    .read = svm_queue_mmio_read,
    .write = svm_queue_mmio_write,
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

void svm_queues_start(SVMQueues *queues)
{
    for (int i = 0; i < SVM_QUEUES; i++) {
        svm_queue_start(&queues->queue[i]);
    }
}

void svm_queues_stop(SVMQueues *queues)
{
    for (int i = 0; i < SVM_QUEUES; i++) {
        SVMQueue *q = &queues->queue[i];

        /* Its record may be in memory: who comes next has to know. */
        if (svm_queue_stop(q)) {
            svm_queue_notify(q);
        }
    }
}

void svm_queues_exit(SVMQueues *queues)
{
    svm_queues_stop(queues);
    queues->dma = NULL;
}

static void svm_queue_reset(SVMQueue *q, SVMQueues *queues, unsigned index)
{
    svm_queue_stop(q);
    *q = (SVMQueue) {
        .queues = queues, .index = index, .pasid = SVM_PASID_NONE,
        .closing = q->closing,
    };
}

void svm_queues_reset(SVMQueues *queues)
{
    for (int i = 0; i < SVM_QUEUES; i++) {
        svm_queue_reset(&queues->queue[i], queues, i);
    }
}

static bool svm_queue_in_use(const SVMQueue *q)
{
    return q->addr || q->records || q->size || q->pasid != SVM_PASID_NONE ||
           q->peer || q->head || q->tail || q->state;
}

bool svm_queues_in_use(SVMQueues *queues)
{
    for (int i = 0; i < SVM_QUEUES; i++) {
        if (svm_queue_in_use(&queues->queue[i])) {
            return true;
        }
    }
    return false;
}

static bool svm_queues_init_threads(SVMQueues *queues, IOThread *thread,
                                    Error **errp)
{
    unsigned count = MAX(queues->iothread_count, 1);

    if (queues->threads) {
        return true;            /* realized a second time */
    }
    queues->threads = g_new0(IOThread *, count);
    for (unsigned i = 0; i < queues->iothread_count; i++) {
        thread = iothread_by_id(queues->iothreads[i]);
        if (!thread) {
            error_setg(errp, "there is no iothread \"%s\"",
                       queues->iothreads[i]);
            return false;
        }
        queues->threads[queues->thread_count++] = thread;
        object_ref(thread);
    }
    if (!queues->thread_count) {
        queues->threads[queues->thread_count++] = thread;
        object_ref(thread);
    }
    return true;
}

bool svm_queues_init(SVMQueues *queues, PCIDevice *dev, PCISVMDMA *dma,
                     IOThread *thread, Error **errp)
{
    queues->dev = dev;
    queues->dma = dma;
    svm_queues_reset(queues);
    memory_region_init_io(&queues->bar, OBJECT(dev), &svm_queue_mmio_ops,
                          queues, "svm-queues", SVM_QUEUE_BAR_SIZE);
    pci_register_bar(dev, SVM_QUEUE_BAR, PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64, &queues->bar);
    return svm_queues_init_threads(queues, thread, errp);
}

void svm_queues_fini(SVMQueues *queues)
{
    for (unsigned i = 0; i < queues->thread_count; i++) {
        object_unref(queues->threads[i]);
    }
    g_clear_pointer(&queues->threads, g_free);
    queues->thread_count = 0;
}

/*
 * Migration; rings are closed while the machine is stopped.
 */

static int svm_queue_post_load(void *opaque, int version_id)
{
    SVMQueue *q = opaque;
    bool valid = svm_queue_value_valid(SVM_Q_RING, q->addr) &&
                 svm_queue_value_valid(SVM_Q_RECORDS, q->records) &&
                 svm_queue_value_valid(SVM_Q_PASID, q->pasid) &&
                 svm_queue_peer_valid(q->peer) &&
                 (!q->size || svm_queue_size_valid(q->size)) &&
                 q->state <= SVM_STATE_ERROR;

    if (valid && svm_queue_is_enabled(q)) {
        valid = svm_queue_config_valid(q) && q->tail - q->head <= q->size;
    }
    return valid ? 0 : -EINVAL;
}

static const VMStateDescription svm_vmstate_queue = {
    .name = "svm/queue",
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = svm_queue_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(addr, SVMQueue),
        VMSTATE_UINT64(records, SVMQueue),
        VMSTATE_UINT32(size, SVMQueue),
        VMSTATE_UINT32(pasid, SVMQueue),
        VMSTATE_UINT32(peer, SVMQueue),
        VMSTATE_UINT32(head, SVMQueue),
        VMSTATE_UINT32(tail, SVMQueue),
        VMSTATE_UINT32(state, SVMQueue),
        VMSTATE_UINT32(error, SVMQueue),
        VMSTATE_UINT64(error_addr, SVMQueue),
        VMSTATE_BOOL(failed, SVMQueue),
        VMSTATE_END_OF_LIST()
    },
};

const VMStateDescription svm_vmstate_queues = {
    .name = "svm/queues-array",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STRUCT_ARRAY(queue, SVMQueues, SVM_QUEUES, 1,
                             svm_vmstate_queue, SVMQueue),
        VMSTATE_END_OF_LIST()
    },
};
