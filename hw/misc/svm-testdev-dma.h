/*
 * Test device of the SVM API: the calls of the DMA engine
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_SVM_TESTDEV_DMA_H
#define HW_MISC_SVM_TESTDEV_DMA_H

#include "hw/misc/svm-testdev.h"
#include "hw/pci/pci_svm_dma.h"

/* What a slot does with the memory of its PASID */
typedef struct SVMTestdevDMASlot {
    PCISVMDMAContext *ctx;
    PCISVMDMARequest *req;      /* the latest */
    PCISVMDMAMap *map;
    uint64_t map_len;
    uint64_t data;
    uint64_t done;
    uint64_t revoked;
    int ret;
    PCISVMDMAError err;
} SVMTestdevDMASlot;

typedef struct SVMTestdevDMA {
    Object *owner;
    PCISVMDMA *engine;          /* from the first call on */
    SVMTestdevDMASlot slot[SVM_TESTDEV_SLOTS];
} SVMTestdevDMA;

/* The arguments of a call */
typedef struct SVMTestdevDMAArgs {
    uint32_t pasid;
    uint64_t addr;
    uint64_t length;
    unsigned flags;             /* SVM_TESTDEV_FLAG_* */
    uint64_t data;
} SVMTestdevDMAArgs;

void svm_testdev_dma_init(SVMTestdevDMA *dma, PCIDevice *dev);
void svm_testdev_dma_exit(SVMTestdevDMA *dma);
int64_t svm_testdev_dma_call(SVMTestdevDMA *dma, unsigned slot, uint64_t call,
                             const SVMTestdevDMAArgs *args);
uint64_t svm_testdev_dma_read(SVMTestdevDMA *dma, unsigned slot, uint64_t reg);

#endif
