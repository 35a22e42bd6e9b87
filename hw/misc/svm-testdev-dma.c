/*
 * Test device of the SVM API: the calls of the DMA engine
 *
 * Each call of hw/pci/pci_svm_dma.h as the registers say, in the main loop.
 * What takes time is a request, or a coroutine, whose end the registers of its
 * slot tell. docs/specs/svm-testdev.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/coroutine.h"
#include "qemu/main-loop.h"
#include "block/aio.h"
#include "hw/pci/pci_device.h"
#include "svm-testdev-dma.h"

/* One request, or one mapping that is being made */
typedef struct SVMTestdevJob {
    SVMTestdevDMA *dma;
    SVMTestdevDMASlot *slot;
    PCISVMDMAContext *ctx;
    SVMTestdevDMAArgs args;
    uint64_t data;
} SVMTestdevJob;

static unsigned testdev_flags(const SVMTestdevDMAArgs *args)
{
    return (args->flags & SVM_TESTDEV_FLAG_PRIV ? PCI_SVM_DMA_PRIV : 0) |
           (args->flags & SVM_TESTDEV_FLAG_EXEC ? PCI_SVM_DMA_EXEC : 0);
}

static size_t testdev_length(const SVMTestdevDMAArgs *args)
{
    return MIN(args->length, sizeof(uint64_t));
}

static SVMTestdevJob *testdev_job_new(SVMTestdevDMA *dma,
                                      SVMTestdevDMASlot *slot,
                                      const SVMTestdevDMAArgs *args)
{
    SVMTestdevJob *job = g_new0(SVMTestdevJob, 1);

    job->dma = dma;
    job->slot = slot;
    job->ctx = pci_svm_dma_ref(slot->ctx);
    job->args = *args;
    job->data = cpu_to_le64(args->data);
    object_ref(dma->owner);
    return job;
}

static void testdev_job_end(void *opaque, int ret, const PCISVMDMAError *err)
{
    SVMTestdevJob *job = opaque;
    SVMTestdevDMASlot *slot = job->slot;

    slot->ret = ret;
    slot->err = *err;
    slot->data = le64_to_cpu(job->data);
    slot->done++;
    pci_svm_dma_unref(job->ctx);
    object_unref(job->dma->owner);
    g_free(job);
}

/*
 * Requests
 */

static int testdev_request(SVMTestdevDMA *dma, SVMTestdevDMASlot *slot,
                           const SVMTestdevDMAArgs *args, bool is_write)
{
    SVMTestdevJob *job = testdev_job_new(dma, slot, args);

    pci_svm_dma_aio_unref(slot->req);
    slot->req = is_write
        ? pci_svm_dma_aio_write(slot->ctx, args->addr, &job->data,
                                testdev_length(args), testdev_flags(args),
                                qemu_get_aio_context(), testdev_job_end, job)
        : pci_svm_dma_aio_read(slot->ctx, args->addr, &job->data,
                               testdev_length(args), testdev_flags(args),
                               qemu_get_aio_context(), testdev_job_end, job);
    return 0;
}

/*
 * Mappings
 */

static void testdev_revoked(PCISVMDMAMap *map, void *opaque)
{
    SVMTestdevDMASlot *slot = opaque;

    slot->revoked++;
}

static void coroutine_fn testdev_map_entry(void *opaque)
{
    SVMTestdevJob *job = opaque;
    SVMTestdevDMASlot *slot = job->slot;
    size_t len = MIN(job->args.length, SIZE_MAX);
    PCISVMDMAMap *map = NULL;
    PCISVMDMAError err;
    int ret;

    ret = pci_svm_dma_co_map(job->ctx, job->args.addr, &len,
                             job->args.flags & SVM_TESTDEV_FLAG_WRITE,
                             testdev_flags(&job->args), testdev_revoked, slot,
                             &map, &err);
    if (slot->ctx != job->ctx) {
        pci_svm_dma_unmap(map);
    } else if (!ret) {
        pci_svm_dma_unmap(slot->map);
        slot->map = map;
        slot->map_len = len;
    }
    testdev_job_end(job, ret, &err);
}

static int testdev_map(SVMTestdevDMA *dma, SVMTestdevDMASlot *slot,
                       const SVMTestdevDMAArgs *args)
{
    SVMTestdevJob *job = testdev_job_new(dma, slot, args);

    aio_co_schedule(qemu_get_aio_context(),
                    qemu_coroutine_create(testdev_map_entry, job));
    return 0;
}

/* At an offset, which is the address register's */
static int testdev_map_access(SVMTestdevDMASlot *slot,
                              const SVMTestdevDMAArgs *args, bool is_write)
{
    uint64_t data = cpu_to_le64(args->data);
    size_t len = testdev_length(args);
    uint8_t *host;

    if (!slot->map || args->addr > slot->map_len ||
        len > slot->map_len - args->addr) {
        return -EINVAL;
    }
    host = pci_svm_dma_map_begin(slot->map);
    if (!host) {
        return -ESTALE;
    }
    memcpy(is_write ? host + args->addr : (void *)&data,
           is_write ? (void *)&data : host + args->addr, len);
    pci_svm_dma_map_end(slot->map, args->addr, is_write ? len : 0);
    slot->data = le64_to_cpu(data);
    return 0;
}

/*
 * Calls
 */

static int testdev_open(SVMTestdevDMA *dma, SVMTestdevDMASlot *slot,
                        uint32_t pasid)
{
    if (slot->ctx) {
        return -EBUSY;
    }
    slot->ctx = pci_svm_dma_open(dma->engine, pasid, NULL);
    return slot->ctx ? 0 : -EINVAL;
}

static int testdev_close(SVMTestdevDMASlot *slot)
{
    g_clear_pointer(&slot->ctx, pci_svm_dma_close);
    return 0;
}

static int testdev_unmap(SVMTestdevDMASlot *slot)
{
    g_clear_pointer(&slot->map, pci_svm_dma_unmap);
    return 0;
}

static int64_t testdev_call_in_context(SVMTestdevDMA *dma,
                                       SVMTestdevDMASlot *slot, uint64_t call,
                                       const SVMTestdevDMAArgs *args)
{
    if (!slot->ctx) {
        return -EINVAL;
    }
    switch (call) {
    case SVM_TESTDEV_SVM_READ:
        return testdev_request(dma, slot, args, false);
    case SVM_TESTDEV_SVM_WRITE:
        return testdev_request(dma, slot, args, true);
    case SVM_TESTDEV_MAP:
        return testdev_map(dma, slot, args);
    case SVM_TESTDEV_CANCEL:
        pci_svm_dma_cancel(slot->ctx);
        return 0;
    default:
        return -ENOSYS;
    }
}

int64_t svm_testdev_dma_call(SVMTestdevDMA *dma, unsigned n, uint64_t call,
                             const SVMTestdevDMAArgs *args)
{
    SVMTestdevDMASlot *slot = &dma->slot[n];

    if (!dma->engine) {
        dma->engine = pci_svm_dma_new(PCI_DEVICE(dma->owner), 0);
    }
    switch (call) {
    case SVM_TESTDEV_OPEN:
        return testdev_open(dma, slot, args->pasid);
    case SVM_TESTDEV_CLOSE:
        return testdev_close(slot);
    case SVM_TESTDEV_MAP_READ:
        return testdev_map_access(slot, args, false);
    case SVM_TESTDEV_MAP_WRITE:
        return testdev_map_access(slot, args, true);
    case SVM_TESTDEV_UNMAP:
        return testdev_unmap(slot);
    case SVM_TESTDEV_CANCEL_REQUEST:
        if (slot->req) {
            pci_svm_dma_aio_cancel(slot->req);
        }
        return 0;
    case SVM_TESTDEV_CANCEL_PASID:
        pci_svm_dma_cancel_pasid(dma->engine, args->pasid);
        return 0;
    case SVM_TESTDEV_SET_TIMEOUT:
        pci_svm_dma_set_page_timeout(dma->engine, args->length);
        return 0;
    default:
        return testdev_call_in_context(dma, slot, call, args);
    }
}

uint64_t svm_testdev_dma_read(SVMTestdevDMA *dma, unsigned n, uint64_t reg)
{
    SVMTestdevDMASlot *slot = &dma->slot[n];

    switch (reg) {
    case SVM_TESTDEV_SVM_DONE:
        return slot->done;
    case SVM_TESTDEV_SVM_RET:
        return slot->ret;
    case SVM_TESTDEV_SVM_REASON:
        return slot->err.reason;
    case SVM_TESTDEV_SVM_ADDR:
        return slot->err.addr;
    case SVM_TESTDEV_SVM_BYTES:
        return slot->err.done;
    case SVM_TESTDEV_SVM_DATA:
        return slot->data;
    case SVM_TESTDEV_MAP_LENGTH:
        return slot->map_len;
    case SVM_TESTDEV_MAP_REVOKED:
        return slot->revoked;
    default:
        return 0;
    }
}

void svm_testdev_dma_init(SVMTestdevDMA *dma, PCIDevice *dev)
{
    dma->owner = OBJECT(dev);
}

/* Jobs have a reference to the device, and end by themselves. */
void svm_testdev_dma_exit(SVMTestdevDMA *dma)
{
    for (int i = 0; i < SVM_TESTDEV_SLOTS; i++) {
        testdev_close(&dma->slot[i]);
        testdev_unmap(&dma->slot[i]);
        g_clear_pointer(&dma->slot[i].req, pci_svm_dma_aio_unref);
    }
    g_clear_pointer(&dma->engine, pci_svm_dma_free);
}
