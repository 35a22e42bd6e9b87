/*
 * DMA to the memory of a guest's processes: requests
 *
 * A request is an operation in a coroutine of its own, for devices that have
 * none, and a handle to cancel it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "block/aio.h"
#include "pci_svm_dma_internal.h"

struct PCISVMDMARequest {
    unsigned refs;              /* the caller's, and the coroutine's */
    SVMDMAJob job;
    PCISVMDMACompletionFunc *cb;
    void *opaque;
    int ret;
    PCISVMDMAError err;

    /* What the job refers to */
    PCISVMDMARange range;
    struct iovec iov;
    SVMDMACursor cursor;

    /* The engine's lock */
    SVMDMAOp *op;               /* while it runs */
    bool cancelled;
};

void pci_svm_dma_aio_unref(PCISVMDMARequest *req)
{
    if (req && qatomic_fetch_dec(&req->refs) == 1) {
        pci_svm_dma_unref(req->job.ctx);
        g_free(req);
    }
}

bool svm_dma_request_begin_locked(PCISVMDMARequest *req, SVMDMAOp *op)
{
    req->op = op;
    return req->cancelled;
}

void svm_dma_request_end_locked(PCISVMDMARequest *req)
{
    req->op = NULL;
}

static void aio_complete(void *opaque)
{
    PCISVMDMARequest *req = opaque;

    req->cb(req->opaque, req->ret, &req->err);
    pci_svm_dma_aio_unref(req);
}

static void coroutine_fn aio_entry(void *opaque)
{
    PCISVMDMARequest *req = opaque;

    req->ret = svm_dma_run(&req->job, &req->err);
    /* The device need not know that there is a coroutine. */
    aio_bh_schedule_oneshot(qemu_get_current_aio_context(), aio_complete, req);
}

static PCISVMDMARequest *aio_new(PCISVMDMAContext *ctx, bool is_write,
                                 unsigned flags, PCISVMDMACompletionFunc *cb,
                                 void *opaque)
{
    PCISVMDMARequest *req = g_new0(PCISVMDMARequest, 1);

    req->refs = 2;
    req->cb = cb;
    req->opaque = opaque;
    req->job.ctx = pci_svm_dma_ref(ctx);
    req->job.is_write = is_write;
    req->job.flags = flags;
    req->job.ranges = &req->range;
    req->job.count = 1;
    req->job.req = req;
    return req;
}

static PCISVMDMARequest *aio_start(PCISVMDMARequest *req, AioContext *aio)
{
    aio_co_schedule(aio, qemu_coroutine_create(aio_entry, req));
    return req;
}

static PCISVMDMARequest *aio_start_copy(PCISVMDMARequest *req,
                                        const struct iovec *iov, size_t size,
                                        AioContext *aio)
{
    req->cursor.iov = iov;
    req->job.room = size;
    req->job.fn = req->job.is_write ? svm_dma_copy_out : svm_dma_copy_in;
    req->job.opaque = &req->cursor;
    return aio_start(req, aio);
}

static PCISVMDMARequest *aio_start_buffer(PCISVMDMARequest *req, uint64_t addr,
                                          void *buf, size_t len,
                                          AioContext *aio)
{
    req->range = (PCISVMDMARange) { addr, len };
    req->iov = (struct iovec) { buf, len };
    return aio_start_copy(req, &req->iov, len, aio);
}

static PCISVMDMARequest *aio_start_vector(PCISVMDMARequest *req,
                                          const PCISVMDMARange *ranges,
                                          size_t count, QEMUIOVector *qiov,
                                          AioContext *aio)
{
    req->job.ranges = ranges;
    req->job.count = count;
    return aio_start_copy(req, qiov->iov, qiov->size, aio);
}

PCISVMDMARequest *pci_svm_dma_aio_walk(PCISVMDMAContext *ctx, uint64_t addr,
                                       uint64_t len, bool is_write,
                                       unsigned flags, PCISVMDMAFunc *fn,
                                       AioContext *aio,
                                       PCISVMDMACompletionFunc *cb,
                                       void *opaque)
{
    PCISVMDMARequest *req = aio_new(ctx, is_write, flags, cb, opaque);

    req->range = (PCISVMDMARange) { addr, len };
    req->job.room = UINT64_MAX;
    req->job.fn = fn;
    req->job.opaque = opaque;
    return aio_start(req, aio);
}

PCISVMDMARequest *pci_svm_dma_aio_readv(PCISVMDMAContext *ctx,
                                        const PCISVMDMARange *ranges,
                                        size_t count, QEMUIOVector *qiov,
                                        unsigned flags, AioContext *aio,
                                        PCISVMDMACompletionFunc *cb,
                                        void *opaque)
{
    return aio_start_vector(aio_new(ctx, false, flags, cb, opaque), ranges,
                            count, qiov, aio);
}

PCISVMDMARequest *pci_svm_dma_aio_writev(PCISVMDMAContext *ctx,
                                         const PCISVMDMARange *ranges,
                                         size_t count, QEMUIOVector *qiov,
                                         unsigned flags, AioContext *aio,
                                         PCISVMDMACompletionFunc *cb,
                                         void *opaque)
{
    return aio_start_vector(aio_new(ctx, true, flags, cb, opaque), ranges,
                            count, qiov, aio);
}

PCISVMDMARequest *pci_svm_dma_aio_read(PCISVMDMAContext *ctx, uint64_t addr,
                                       void *buf, size_t len, unsigned flags,
                                       AioContext *aio,
                                       PCISVMDMACompletionFunc *cb,
                                       void *opaque)
{
    return aio_start_buffer(aio_new(ctx, false, flags, cb, opaque), addr, buf,
                            len, aio);
}

PCISVMDMARequest *pci_svm_dma_aio_write(PCISVMDMAContext *ctx, uint64_t addr,
                                        const void *buf, size_t len,
                                        unsigned flags, AioContext *aio,
                                        PCISVMDMACompletionFunc *cb,
                                        void *opaque)
{
    return aio_start_buffer(aio_new(ctx, true, flags, cb, opaque), addr,
                            (void *)buf, len, aio);
}

static bool aio_is_busy(void *opaque)
{
    PCISVMDMARequest *req = opaque;

    return req->op && req->op->busy;
}

void pci_svm_dma_aio_cancel(PCISVMDMARequest *req)
{
    PCISVMDMA *e = req->job.ctx->engine;

    assert(bql_locked());
    QEMU_LOCK_GUARD(&e->lock);
    req->cancelled = true;
    if (req->op) {
        svm_dma_op_cancel_locked(req->op);
        svm_dma_wait_unused_locked(e, aio_is_busy, req);
    }
}
