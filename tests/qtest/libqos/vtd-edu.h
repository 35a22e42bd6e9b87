/*
 * libqos fixture: a q35 machine, its VT-d unit with tables, and one edu device
 * to do DMA through it
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_LIBQOS_VTD_EDU_H
#define TESTS_LIBQOS_VTD_EDU_H

#include "edu.h"
#include "vtd.h"

/* IOMMU options of the two ways to translate */
#define QVTD_EDU_FIRST_STAGE    "x-scalable-mode=on,x-flts=on"
#define QVTD_EDU_LEGACY         "x-scalable-mode=off"

/* The device, on the command line and on bus 0 */
#define QVTD_EDU_ARGS           "-device edu,addr=4,dma_mask=0xffffffffffffffff"
#define QVTD_EDU_DEVFN          QPCI_DEVFN(4, 0)

/* The PASID of requests that have none, and the domain of the tables */
#define QVTD_EDU_RID_PASID      5
#define QVTD_EDU_DID            7

/**
 * struct QVTDEdu - the fixture
 * @qts: the machine
 * @bus: its PCI bus
 * @edu: the device
 * @v: the VT-d unit, enabled
 * @sid: the device's source ID
 * @dir: the PASID directory (first stage only)
 * @table: the device's page table, empty
 */
typedef struct QVTDEdu {
    QTestState *qts;
    QPCIBus *bus;
    QEdu edu;
    QVTD *v;
    uint16_t sid;
    uint64_t dir;
    uint64_t table;
} QVTDEdu;

/**
 * qvtd_edu_start: start the machine and enable DMA remapping
 * @iommu_opts: QVTD_EDU_FIRST_STAGE or QVTD_EDU_LEGACY, and what else
 *              -device intel-iommu is to get
 * @args: further command line, or NULL
 *
 * Returns: what qvtd_edu_stop() frees.
 */
QVTDEdu *qvtd_edu_start(const char *iommu_opts, const char *args);

/**
 * qvtd_edu_attach: enable DMA remapping of a machine that was started
 * @qts: the machine, with -device intel-iommu,@iommu_opts and QVTD_EDU_ARGS
 * @iommu_opts: as above
 *
 * Returns: what qvtd_edu_stop() frees, with the machine.
 */
QVTDEdu *qvtd_edu_attach(QTestState *qts, const char *iommu_opts);

/**
 * qvtd_edu_move: go on with the machine to which this one has migrated
 * @f: the fixture, whose machine is stopped
 * @qts: the other one; the device has no state that migrates
 */
void qvtd_edu_move(QVTDEdu *f, QTestState *qts);

/**
 * qvtd_edu_stop: stop the machine
 * @f: the fixture
 */
void qvtd_edu_stop(QVTDEdu *f);

/**
 * qvtd_edu_writes: have the device write, and see whether it arrives
 * @f: the fixture
 * @iova: bus address
 * @pa: guest physical address of 8 bytes where it should arrive
 */
bool qvtd_edu_writes(QVTDEdu *f, uint64_t iova, uint64_t pa);

#endif
