/*
 * Demo endpoint for shared virtual memory: execution of descriptors
 *
 * Takes descriptors from a ring in a process's memory, executes them on that
 * memory and writes their completion records there. docs/specs/svm.rst, from
 * "Descriptors" to "Submitting work". All that has to do with shared virtual
 * memory is in the calls of pci_svm_dma.
 *
 * A coroutine in an IOThread does the work, without the BQL; it lives as long
 * as there is something to do. It tells the main loop by a bottom half what
 * has become of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/coroutine.h"
#include "qemu/cutils.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/thread.h"
#include "qemu/units.h"
#include "block/aio.h"
#include "svm-internal.h"
#include "trace.h"

/* Steps of a coroutine, or bytes, after which others in its AioContext run */
#define SVM_RING_BURST 16
#define SVM_RING_BURST_BYTES (1 * MiB)

/* Bytes that copy and compare work on at once */
#define SVM_RING_BUFFER PCI_SVM_DMA_PIECE_MAX

struct SVMRing {
    SVMRingConfig config;
    unsigned refs;
    PCISVMDMAContext *ctx;

    /* Written by the coroutine */
    uint32_t head;              /* atomic */
    bool failed;
    uint8_t *buffer;
    unsigned steps;             /* since others were let run */
    uint64_t bytes;             /* likewise */
    uint32_t error;
    uint64_t error_addr;

    bool interrupt;             /* atomic: pending */
    bool scheduled;             /* atomic: the bottom half is */

    QemuMutex lock;             /* a leaf; the members below */
    uint32_t tail;
    bool paused;
    bool active;                /* there is a coroutine */
    PCISVMDMAContext *peer;
    uint32_t peer_access;       /* SVM_PEER_READ, SVM_PEER_WRITE */
};

/* A descriptor and its execution; lives on the coroutine's stack */
typedef struct SVMTask {
    SVMRing *ring;
    uint32_t index;
    uint32_t op;
    uint32_t flags;
    uint64_t src;
    uint64_t dst;
    uint64_t len;
    uint64_t arg;

    PCISVMDMAContext *src_ctx;
    PCISVMDMAContext *dst_ctx;
    PCISVMDMAContext *peer;     /* a reference, or NULL */

    /* The record */
    uint64_t done;
    uint64_t value;
    uint16_t status;
    uint16_t side;
    PCISVMDMAError err;
} SVMTask;

static const uint16_t svm_status[] = {
    [PCI_SVM_DMA_OK] = SVM_CPL_OK,
    [PCI_SVM_DMA_UNMAPPED] = SVM_CPL_UNMAPPED,
    [PCI_SVM_DMA_PERMISSION] = SVM_CPL_PERMISSION,
    [PCI_SVM_DMA_RESPONSE_FAILURE] = SVM_CPL_RESPONSE,
    [PCI_SVM_DMA_RETRIES_EXHAUSTED] = SVM_CPL_RETRIES,
    [PCI_SVM_DMA_DISABLED] = SVM_CPL_DISABLED,
    [PCI_SVM_DMA_CANCELLED] = SVM_CPL_CANCELLED,
    [PCI_SVM_DMA_BUS_ERROR] = SVM_CPL_BUS_ERROR,
    [PCI_SVM_DMA_TIMEOUT] = SVM_CPL_TIMEOUT,
};

/* Let others run now and then: each operation of pci_svm_dma may be short. */
static void coroutine_fn svm_ring_co_rest(SVMRing *ring)
{
    ring->steps++;
    if (ring->steps < SVM_RING_BURST && ring->bytes < SVM_RING_BURST_BYTES) {
        return;
    }
    ring->steps = 0;
    ring->bytes = 0;
    aio_co_schedule(ring->config.aio, qemu_coroutine_self());
    qemu_coroutine_yield();
}

/*
 * The operations. Each sets @done to the number of bytes that it has dealt
 * with, and returns 0 or sets @err and @side.
 */

static int svm_fill_piece(void *host, size_t len, void *opaque)
{
    SVMTask *t = opaque;
    unsigned shift = t->done % 8 * 8;
    uint64_t pattern = shift ? t->arg >> shift | t->arg << (64 - shift)
                             : t->arg;
    uint8_t bytes[8];
    size_t i;

    t->done += len;
    stq_le_p(bytes, pattern);
    for (i = 0; i + 8 <= len; i += 8) {
        memcpy(host + i, bytes, 8);
    }
    memcpy(host + i, bytes, len - i);
    return 0;
}

static int coroutine_fn svm_op_fill(SVMTask *t)
{
    int ret = pci_svm_dma_co_walk(t->dst_ctx, t->dst, t->len, true, 0,
                                  svm_fill_piece, t, &t->err);

    t->side = SVM_SIDE_DST;
    t->done = t->err.addr - t->dst;
    return ret;
}

static int svm_crc_piece(void *host, size_t len, void *opaque)
{
    SVMTask *t = opaque;

    t->value = svm_crc(t->value, host, len);
    return 0;
}

static int coroutine_fn svm_op_crc(SVMTask *t)
{
    int ret;

    t->value = t->arg;
    ret = pci_svm_dma_co_walk(t->src_ctx, t->src, t->len, false, 0,
                              svm_crc_piece, t, &t->err);
    t->side = SVM_SIDE_SRC;
    t->done = t->err.addr - t->src;
    return ret;
}

/* Fill the buffer from the source; what there is before an error counts. */
static int coroutine_fn svm_task_read(SVMTask *t, size_t *len)
{
    uint64_t addr = t->src + t->done;
    int ret;

    *len = MIN(t->len - t->done, SVM_RING_BUFFER);
    ret = pci_svm_dma_co_read(t->src_ctx, addr, t->ring->buffer, *len, 0,
                              &t->err);
    t->side = SVM_SIDE_SRC;
    *len = t->err.addr - addr;
    return ret;
}

static int svm_copy_piece(void *host, size_t len, void *opaque)
{
    SVMTask *t = opaque;

    memcpy(host, t->ring->buffer + t->done % SVM_RING_BUFFER, len);
    t->done += len;
    return 0;
}

static int svm_compare_piece(void *host, size_t len, void *opaque)
{
    SVMTask *t = opaque;
    const uint8_t *a = t->ring->buffer + t->done % SVM_RING_BUFFER;
    const uint8_t *b = host;
    size_t i = 0;

    if (!memcmp(a, b, len)) {
        i = len;
    }
    while (i < len && a[i] == b[i]) {
        i++;
    }
    t->done += i;
    return i < len ? -EILSEQ : 0;
}

/* Copy and compare: a buffer of the source, then the same of the destination */
static int coroutine_fn svm_task_pass(SVMTask *t, bool is_write,
                                      PCISVMDMAFunc *fn)
{
    int ret = 0, src_ret;

    t->ring->buffer = t->ring->buffer ?: g_malloc(SVM_RING_BUFFER);
    while (t->done < t->len && !ret) {
        PCISVMDMAError src_err;
        size_t len;

        src_ret = svm_task_read(t, &len);
        src_err = t->err;
        if (len) {
            uint64_t addr = t->dst + t->done;
            uint64_t done = t->done;

            ret = pci_svm_dma_co_walk(t->dst_ctx, addr, len, is_write, 0, fn, t,
                                      &t->err);
            t->side = SVM_SIDE_DST;
            if (ret != -EILSEQ) {
                t->done = done + (t->err.addr - addr);
            }
        }
        if (!ret && src_ret) {
            t->side = SVM_SIDE_SRC;
            t->err = src_err;
            return src_ret;
        }
        svm_ring_co_rest(t->ring);
    }
    return ret;
}

static int coroutine_fn svm_op_copy(SVMTask *t)
{
    return svm_task_pass(t, true, svm_copy_piece);
}

static int coroutine_fn svm_op_compare(SVMTask *t)
{
    int ret = svm_task_pass(t, false, svm_compare_piece);

    t->value = t->done;
    return ret;
}

/* Stop before RAM is accessed. Other memory was read, unless for a write. */
static int svm_translate_piece(void *host, size_t len, void *opaque)
{
    SVMTask *t = opaque;

    t->done += len;
    return -EINTR;
}

static int coroutine_fn svm_op_translate(SVMTask *t)
{
    bool is_write = t->flags & SVM_DESC_F_WRITE;
    int ret = 0;

    t->side = SVM_SIDE_SRC;
    while (t->done < t->len && !ret) {
        ret = pci_svm_dma_co_walk(t->src_ctx, t->src + t->done,
                                  t->len - t->done, is_write, 0,
                                  svm_translate_piece, t, &t->err);
        ret = t->err.reason == PCI_SVM_DMA_STOPPED ? 0 : ret;
        svm_ring_co_rest(t->ring);
    }
    return ret;
}

static int coroutine_fn svm_op_nop(SVMTask *t)
{
    return 0;
}

typedef struct SVMOp {
    int coroutine_fn (*execute)(SVMTask *t);
    bool src;
    bool dst;
    bool dst_write;
} SVMOp;

static const SVMOp svm_ops[] = {
    [SVM_OP_NOP] = { svm_op_nop },
    [SVM_OP_FILL] = { svm_op_fill, .dst = true, .dst_write = true },
    [SVM_OP_COPY] = { svm_op_copy, true, .dst = true, .dst_write = true },
    [SVM_OP_COMPARE] = { svm_op_compare, .src = true, .dst = true },
    [SVM_OP_CRC] = { svm_op_crc, .src = true },
    [SVM_OP_TRANSLATE] = { svm_op_translate, .src = true },
};

/*
 * Tasks: descriptors, whose memory they may access, and their records
 */

static void svm_task_decode(SVMTask *t, const uint8_t *desc)
{
    t->op = ldl_le_p(desc + SVM_DESC_OP);
    t->flags = ldl_le_p(desc + SVM_DESC_FLAGS);
    t->src = ldq_le_p(desc + SVM_DESC_SRC);
    t->dst = ldq_le_p(desc + SVM_DESC_DST);
    t->len = ldq_le_p(desc + SVM_DESC_LEN);
    t->arg = ldq_le_p(desc + SVM_DESC_ARG);
    trace_svm_ring_descriptor(pci_svm_name(t->ring->config.dev),
                              t->ring->config.index, t->index, t->op, t->flags,
                              t->src, t->dst, t->len);
}

static bool svm_task_valid(const SVMTask *t, const uint8_t *desc)
{
    const SVMOp *op = &svm_ops[t->op];

    return !(t->flags & ~SVM_DESC_F_MASK) &&
           buffer_is_zero(desc + SVM_DESC_RESERVED,
                          SVM_DESC_SIZE - SVM_DESC_RESERVED) &&
           (!op->src || svm_range_valid(t->src, t->len)) &&
           (!op->dst || svm_range_valid(t->dst, t->len)) &&
           (t->op != SVM_OP_CRC || t->arg <= 0xff);
}

static bool svm_task_is_src_peer(const SVMTask *t)
{
    return svm_ops[t->op].src && t->flags & SVM_DESC_F_SRC_PEER;
}

static bool svm_task_is_dst_peer(const SVMTask *t)
{
    return svm_ops[t->op].dst && t->flags & SVM_DESC_F_DST_PEER;
}

static uint32_t svm_task_peer_access(const SVMTask *t)
{
    bool src_write = t->op == SVM_OP_TRANSLATE && t->flags & SVM_DESC_F_WRITE;
    uint32_t access = 0;

    if (svm_task_is_src_peer(t)) {
        access |= src_write ? SVM_PEER_WRITE : SVM_PEER_READ;
    }
    if (svm_task_is_dst_peer(t)) {
        access |= svm_ops[t->op].dst_write ? SVM_PEER_WRITE : SVM_PEER_READ;
    }
    return access;
}

/* The peer's context, if @access is granted */
static bool svm_task_get_peer(SVMTask *t, uint32_t access)
{
    SVMRing *ring = t->ring;

    QEMU_LOCK_GUARD(&ring->lock);
    if ((ring->peer_access & access) != access) {
        t->status = SVM_CPL_NO_PEER;
    } else if (!ring->peer) {
        t->status = SVM_CPL_DISABLED;
        t->side = svm_task_is_src_peer(t) ? SVM_SIDE_SRC : SVM_SIDE_DST;
        t->err.addr = svm_task_is_src_peer(t) ? t->src : t->dst;
    } else {
        t->peer = pci_svm_dma_ref(ring->peer);
    }
    return t->peer;
}

static bool svm_task_get_contexts(SVMTask *t)
{
    uint32_t access = svm_task_peer_access(t);

    if (access && !svm_task_get_peer(t, access)) {
        return false;
    }
    t->src_ctx = svm_task_is_src_peer(t) ? t->peer : t->ring->ctx;
    t->dst_ctx = svm_task_is_dst_peer(t) ? t->peer : t->ring->ctx;
    return true;
}

static void svm_task_set_status(SVMTask *t, int ret)
{
    if (!ret) {
        t->status = SVM_CPL_OK;
    } else if (t->err.reason == PCI_SVM_DMA_STOPPED) {
        t->status = SVM_CPL_DIFFERENT;
    } else {
        t->status = svm_status[t->err.reason];
        t->value = 0;
        return;
    }
    t->side = SVM_SIDE_NONE;
    t->err.addr = 0;
}

static void coroutine_fn svm_task_execute(SVMTask *t, const uint8_t *desc)
{
    svm_task_decode(t, desc);
    if (t->op >= ARRAY_SIZE(svm_ops) || !svm_task_valid(t, desc)) {
        t->status = SVM_CPL_INVALID;
        return;
    }
    if (t->flags & SVM_DESC_F_FENCE) {
        if (t->ring->failed) {
            t->status = SVM_CPL_SKIPPED;
            return;
        }
        smp_mb();               /* all effects of what was before */
    }
    if (svm_task_get_contexts(t)) {
        svm_task_set_status(t, svm_ops[t->op].execute(t));
    }
    g_clear_pointer(&t->peer, pci_svm_dma_unref);
}

/* A record on its way to memory */
typedef struct SVMRecord {
    SVMTask *task;
    uint8_t bytes[SVM_REC_SIZE];
    size_t done;
} SVMRecord;

static void svm_record_encode(SVMRecord *r)
{
    const SVMTask *t = r->task;

    stq_le_p(r->bytes + SVM_REC_DONE, t->done);
    stq_le_p(r->bytes + SVM_REC_ADDR, t->err.addr);
    stq_le_p(r->bytes + SVM_REC_VALUE, t->value);
    stw_le_p(r->bytes + SVM_REC_STATUS, t->status);
    stw_le_p(r->bytes + SVM_REC_SIDE, t->side);
    stl_le_p(r->bytes + SVM_REC_SEQ, t->index + 1);
}

/*
 * This runs while the ring cannot be closed: whether it has been counted, and
 * its interrupt is due, never differs from whether the guest sees the record.
 */
static void svm_task_count(SVMTask *t)
{
    SVMRing *ring = t->ring;

    ring->failed = t->status != SVM_CPL_OK;
    if (t->flags & SVM_DESC_F_INTR) {
        qatomic_set(&ring->interrupt, true);
    }
    /* Who sees the record may use the descriptor's place in the ring. */
    qatomic_store_release(&ring->head, t->index + 1);
}

static int svm_record_piece(void *host, size_t len, void *opaque)
{
    SVMRecord *r = opaque;
    const uint8_t *bytes = r->bytes + r->done;
    uint32_t *seq = host + len - sizeof(*seq);

    r->done += len;
    if (r->done < SVM_REC_SIZE) {
        memcpy(host, bytes, len);
        return 0;
    }
    svm_task_count(r->task);
    if (len < sizeof(*seq) || !QEMU_PTR_IS_ALIGNED(seq, sizeof(*seq))) {
        memcpy(host, bytes, len);
        return 0;
    }
    memcpy(host, bytes, len - sizeof(*seq));
    qatomic_store_release(seq, cpu_to_le32(r->task->index + 1));
    return 0;
}

static void svm_ring_fail(SVMRing *ring, uint32_t cause,
                          const PCISVMDMAError *err)
{
    ring->error_addr = err->addr;
    qatomic_store_release(&ring->error, cause | svm_status[err->reason] << 8);
    trace_svm_ring_error(pci_svm_name(ring->config.dev), ring->config.index,
                         cause, err->reason, err->addr);
}

static uint64_t svm_ring_slot(const SVMRing *ring, uint32_t index)
{
    return index & (ring->config.size - 1);
}

static void svm_ring_schedule(SVMRing *ring);

static bool coroutine_fn svm_task_complete(SVMTask *t)
{
    SVMRing *ring = t->ring;
    uint64_t addr = ring->config.records +
                    SVM_REC_SIZE * svm_ring_slot(ring, t->index);
    SVMRecord record = { .task = t };
    PCISVMDMAError err;

    trace_svm_ring_complete(pci_svm_name(ring->config.dev), ring->config.index,
                            t->index, t->status, t->done, t->err.addr,
                            t->value);
    svm_record_encode(&record);
    if (pci_svm_dma_co_walk(ring->ctx, addr, SVM_REC_SIZE, true,
                            PCI_SVM_DMA_RAM, svm_record_piece, &record, &err)) {
        svm_ring_fail(ring, SVM_ERROR_RECORD, &err);
        return false;
    }
    if (t->flags & SVM_DESC_F_INTR) {
        svm_ring_schedule(ring);
    }
    return true;
}

static bool coroutine_fn svm_ring_co_step(SVMRing *ring)
{
    SVMTask task = { .ring = ring, .index = ring->head };
    uint64_t addr = ring->config.addr +
                    SVM_DESC_SIZE * svm_ring_slot(ring, task.index);
    uint8_t desc[SVM_DESC_SIZE];
    PCISVMDMAError err;

    if (pci_svm_dma_co_read(ring->ctx, addr, desc, sizeof(desc), 0, &err)) {
        svm_ring_fail(ring, SVM_ERROR_RING, &err);
        return false;
    }
    svm_task_execute(&task, desc);
    ring->bytes += task.done;
    return svm_task_complete(&task);
}

/*
 * The coroutine and its end
 */

static void svm_ring_free(void *opaque)
{
    SVMRing *ring = opaque;

    ring->config.ended(ring->config.opaque);
    pci_svm_dma_unref(ring->ctx);
    qemu_mutex_destroy(&ring->lock);
    object_unref(ring->config.dev);
    g_free(ring->buffer);
    g_free(ring);
}

static bool svm_ring_put(SVMRing *ring)
{
    return qatomic_fetch_dec(&ring->refs) == 1;
}

/* The function may end with the ring, which only the main loop may do. */
static void svm_ring_unref(SVMRing *ring)
{
    if (svm_ring_put(ring)) {
        aio_bh_schedule_oneshot(qemu_get_aio_context(), svm_ring_free, ring);
    }
}

static void svm_ring_bh(void *opaque)
{
    SVMRing *ring = opaque;

    qatomic_xchg(&ring->scheduled, false);
    ring->config.notify(ring, ring->config.opaque);
    svm_ring_unref(ring);
}

static void svm_ring_schedule(SVMRing *ring)
{
    if (!qatomic_xchg(&ring->scheduled, true)) {
        qatomic_inc(&ring->refs);
        aio_bh_schedule_oneshot(qemu_get_aio_context(), svm_ring_bh, ring);
    }
}

/* Is there something to do? If not, the coroutine ends. */
static bool svm_ring_next(SVMRing *ring)
{
    QEMU_LOCK_GUARD(&ring->lock);
    ring->active = !ring->paused && ring->head != ring->tail;
    return ring->active;
}

static void coroutine_fn svm_ring_co_entry(void *opaque)
{
    SVMRing *ring = opaque;

    while (svm_ring_next(ring) && svm_ring_co_step(ring)) {
        svm_ring_co_rest(ring);
    }
    svm_ring_schedule(ring);
    svm_ring_unref(ring);
}

/*
 * What the queue does with it
 */

SVMRing *svm_ring_open(const SVMRingConfig *config)
{
    PCISVMDMAContext *ctx = pci_svm_dma_open(config->dma, config->pasid, NULL);
    SVMRing *ring;

    if (!ctx) {
        return NULL;
    }
    ring = g_new0(SVMRing, 1);
    ring->config = *config;
    ring->refs = 1;
    ring->ctx = pci_svm_dma_ref(ctx);
    ring->head = config->head;
    ring->tail = config->head;
    ring->failed = config->failed;
    ring->paused = true;
    qemu_mutex_init(&ring->lock);
    object_ref(config->dev);
    return ring;
}

bool svm_ring_close(SVMRing *ring, uint32_t *head, bool *failed)
{
    bool interrupt;

    svm_ring_pause(ring);
    svm_ring_set_peer(ring, 0);
    pci_svm_dma_close(ring->ctx);
    /* The coroutine writes these no more: it would have to write a record. */
    *head = qatomic_read(&ring->head);
    *failed = ring->failed;
    interrupt = svm_ring_take_interrupt(ring);
    /* Whoever closes it has the function as well. */
    if (svm_ring_put(ring)) {
        svm_ring_free(ring);
    }
    return interrupt;
}

void svm_ring_run(SVMRing *ring, uint32_t tail)
{
    QEMU_LOCK_GUARD(&ring->lock);
    ring->tail = tail;
    ring->paused = false;
    if (!ring->active && ring->head != tail) {
        ring->active = true;
        qatomic_inc(&ring->refs);
        aio_co_schedule(ring->config.aio,
                        qemu_coroutine_create(svm_ring_co_entry, ring));
    }
}

void svm_ring_pause(SVMRing *ring)
{
    QEMU_LOCK_GUARD(&ring->lock);
    ring->paused = true;
}

void svm_ring_set_peer(SVMRing *ring, uint32_t peer)
{
    uint32_t access = peer & (SVM_PEER_READ | SVM_PEER_WRITE);
    uint32_t pasid = peer & SVM_PEER_PASID_MASK;
    PCISVMDMAContext *ctx = NULL, *old;

    if (access) {
        ctx = pci_svm_dma_open(ring->config.dma, svm_dma_pasid(pasid), NULL);
    }
    WITH_QEMU_LOCK_GUARD(&ring->lock) {
        old = ring->peer;
        ring->peer = ctx;
        ring->peer_access = access;
    }
    pci_svm_dma_close(old);
}

bool svm_ring_is_active(SVMRing *ring)
{
    QEMU_LOCK_GUARD(&ring->lock);
    return ring->active;
}

uint32_t svm_ring_head(SVMRing *ring)
{
    return qatomic_read(&ring->head);
}

bool svm_ring_take_interrupt(SVMRing *ring)
{
    return qatomic_xchg(&ring->interrupt, false);
}

uint32_t svm_ring_error(SVMRing *ring, uint64_t *addr)
{
    uint32_t error = qatomic_load_acquire(&ring->error);

    *addr = error ? ring->error_addr : 0;
    return error;
}
