/*
 * libqos fixture: a q35 machine, its VT-d unit with svm=on and with the tables
 * of a process, and one SVM endpoint that works on the process's memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_LIBQOS_VTD_SVM_H
#define TESTS_LIBQOS_VTD_SVM_H

#include "svm.h"
#include "vtd.h"

/* A physical address that is no memory, nor a device's */
#define QVTD_SVM_NO_RAM         0xd0000000ULL

/* The PASID of the process, in the last table of the directory but one */
#define QVTD_SVM_PASID          0xfff85

/* The domain of all processes */
#define QVTD_SVM_DID            1

/* Flags of the endpoint's context entry when the fixture starts */
#define QVTD_SVM_CONTEXT        (QVTD_CE_P | QVTD_CE_DTE | QVTD_CE_PASIDE | \
                                 QVTD_CE_PRE)

/* PASID directories have room for all PASIDs */
#define QVTD_SVM_PDTS           7

/* A byte that the device never writes */
#define QVTD_SVM_POISON         0xfe

/* Response codes of a page request group (PCIe r6.0, 10.4.2) */
#define QVTD_SVM_SUCCESS        0x0
#define QVTD_SVM_INVALID        0x1
#define QVTD_SVM_FAILURE        0xf

/* Of a device that is not the endpoint: its ID, and what it may request */
#define QVTD_SVM_DEVICE_ID      "device"
#define QVTD_SVM_ALLOCATION     32

/**
 * struct QVTDSVM - the fixture
 * @qts: the machine
 * @bus: its PCI bus
 * @svm: the endpoint: bus master, PASID and ATS enabled, PRI not
 * @v: the VT-d unit, enabled
 * @sid: the endpoint's requester ID
 * @dir: its PASID directory
 * @table: top paging structure of the process QVTD_SVM_PASID, empty
 */
typedef struct QVTDSVM {
    QTestState *qts;
    QPCIBus *bus;
    QSVM svm;
    QVTD *v;
    uint16_t sid;
    uint64_t dir;
    uint64_t table;
} QVTDSVM;

/**
 * qvtd_svm_start_machine: start the machine, and set nothing up
 * @iommu_opts: further options of -device intel-iommu,svm=on, or ""
 * @devices: further command line, with a -device svm
 *
 * Returns: what qvtd_svm_attach() completes.
 */
QVTDSVM *qvtd_svm_start_machine(const char *iommu_opts, const char *devices);

/**
 * qvtd_svm_attach: find the endpoint and set up translation
 * @f: what qvtd_svm_start_machine() returned
 * @sid: bus, device, function of the endpoint
 */
void qvtd_svm_attach(QVTDSVM *f, uint16_t sid);

/**
 * qvtd_svm_start_with: qvtd_svm_start_machine() and qvtd_svm_attach() with an
 * endpoint on the root bus
 * @iommu_opts: further options of -device intel-iommu,svm=on, or ""
 * @svm_opts: further options of -device svm, or ""
 *
 * Returns: what qvtd_svm_stop() frees.
 */
QVTDSVM *qvtd_svm_start_with(const char *iommu_opts, const char *svm_opts);

/**
 * qvtd_svm_start: qvtd_svm_start_with() without further options
 */
QVTDSVM *qvtd_svm_start(void);

/**
 * qvtd_svm_start_pri: qvtd_svm_start() with an empty page request queue of one
 * page, and PRI enabled
 * @allocation: number of outstanding page requests
 */
QVTDSVM *qvtd_svm_start_pri(uint32_t allocation);

/**
 * qvtd_svm_start_device: start a machine with a device that is not the endpoint
 * @device: its name, and its options
 *
 * It is enabled as bus master, with PASID, ATS and PRI; its BAR 0 is mapped,
 * and @f->svm reaches it. The page request queue is one page, and empty. Of
 * what is below, use what does not have the endpoint work.
 *
 * Returns: what qvtd_svm_stop() frees.
 */
QVTDSVM *qvtd_svm_start_device(const char *device);

/**
 * qvtd_svm_set_up_device: set such a device up again after a system reset
 * @f: the fixture; its tables are new and empty
 */
void qvtd_svm_set_up_device(QVTDSVM *f);

/**
 * qvtd_svm_refusal: start QEMU with a device that it refuses
 * @device: the device with its options
 *
 * Fails the test unless QEMU ends with status 1. (A device that is not refused
 * would be followed by one that does not exist.)
 *
 * Returns: what QEMU says; to be freed by g_free().
 */
char *qvtd_svm_refusal(const char *device);

/**
 * qvtd_svm_number_bus: give the bus behind a bridge a number and memory
 * @f: the fixture
 * @devfn: where the bridge is on the root bus
 * @bus: the number; configuration space and memory behind it answer then
 */
void qvtd_svm_number_bus(QVTDSVM *f, int devfn, uint8_t bus);

/**
 * qvtd_svm_stop: stop the machine
 * @f: the fixture
 *
 * Fails the test if a fault or a page request is left that nobody looked at.
 */
void qvtd_svm_stop(QVTDSVM *f);

/**
 * qvtd_svm_system_reset: reset the machine, and set nothing up
 * @f: the fixture
 */
void qvtd_svm_system_reset(QVTDSVM *f);

/**
 * qvtd_svm_set_up: set everything up again after a system reset
 * @f: the fixture; its tables are new and empty
 */
void qvtd_svm_set_up(QVTDSVM *f);

/**
 * qvtd_svm_set_up_function: set the endpoint up again after a function reset
 * @f: the fixture
 */
void qvtd_svm_set_up_function(QVTDSVM *f);

/**
 * qvtd_svm_set_context: change the endpoint's context entry
 * @f: the fixture
 * @flags: QVTD_CE_*
 *
 * Invalidates what the unit may have cached of it, and nothing in the device.
 */
void qvtd_svm_set_context(QVTDSVM *f, uint64_t flags);

/**
 * qvtd_svm_set_entry: change the PASID entry of QVTD_SVM_PASID
 * @f: the fixture
 * @flags: QVTD_PE_SRE and so on
 */
void qvtd_svm_set_entry(QVTDSVM *f, uint64_t flags);

/**
 * qvtd_svm_add_process: add a process with an empty first-stage table
 * @f: the fixture
 * @pasid: its PASID
 *
 * Returns: the table.
 */
uint64_t qvtd_svm_add_process(QVTDSVM *f, uint32_t pasid);

/**
 * qvtd_svm_map: map a new page into the process QVTD_SVM_PASID
 * @f: the fixture
 * @iova: page address
 * @flags: QVTD_FS_* of the leaf
 *
 * Returns: guest physical address of the page.
 */
uint64_t qvtd_svm_map(QVTDSVM *f, uint64_t iova, uint64_t flags);

/**
 * qvtd_svm_poison: fill memory with something that the device does not write
 * @f: the fixture
 * @pa: guest physical address
 * @len: bytes
 */
void qvtd_svm_poison(QVTDSVM *f, uint64_t pa, size_t len);

/**
 * qvtd_svm_is_poisoned: whether memory is as qvtd_svm_poison() left it
 * @f: the fixture
 * @pa: guest physical address
 * @len: bytes
 */
bool qvtd_svm_is_poisoned(QVTDSVM *f, uint64_t pa, size_t len);

/**
 * qvtd_svm_is_written: whether the device has written memory
 * @f: the fixture
 * @pa: guest physical address
 * @len: bytes
 * @offset: where in the device's buffer they are
 */
bool qvtd_svm_is_written(QVTDSVM *f, uint64_t pa, size_t len, uint64_t offset);

/**
 * qvtd_svm_writes: have the device write a few bytes
 * @f: the fixture
 * @addr: address of the buffer, in one page
 * @pa: guest physical address where it should arrive
 *
 * Fails the test when memory at @pa disagrees with the result.
 *
 * Returns: whether the command succeeded.
 */
bool qvtd_svm_writes(QVTDSVM *f, uint64_t addr, uint64_t pa);

/**
 * qvtd_svm_reads: have the device read a few bytes
 * @f: the fixture
 * @addr: address of the buffer, in one page
 * @pa: guest physical address where it should read; the bytes there change
 *
 * Returns: whether the command succeeded and the device saw these bytes.
 */
bool qvtd_svm_reads(QVTDSVM *f, uint64_t addr, uint64_t pa);

/**
 * qvtd_svm_take_fault: take a fault of the endpoint
 * @f: the fixture
 *
 * Fails the test if there is none, or one of another function.
 *
 * Returns: the fault.
 */
QVTDFault qvtd_svm_take_fault(QVTDSVM *f);

/**
 * qvtd_svm_wait_page_req: wait for the next page request
 * @f: the fixture
 *
 * Fails the test when it is of another function, or when none comes.
 *
 * Returns: the request.
 */
QVTDPageReq qvtd_svm_wait_page_req(QVTDSVM *f);

/**
 * qvtd_svm_expect_no_page_req: fail the test if a page request comes
 * @f: the fixture
 *
 * Gives the device some time for it.
 */
void qvtd_svm_expect_no_page_req(QVTDSVM *f);

/**
 * qvtd_svm_resolve: map a new page where a page request wants one
 * @f: the fixture
 * @req: the request, of the process whose table is @f->table
 *
 * Returns: guest physical address of the page, which is poisoned.
 */
uint64_t qvtd_svm_resolve(QVTDSVM *f, const QVTDPageReq *req);

/**
 * qvtd_svm_write_resolved: have the device write a page that is not there, and
 * answer its one page request with a new page and Success
 * @f: the fixture
 * @addr: page address
 *
 * Fails the test when the page disagrees with the result.
 *
 * Returns: whether the command succeeded.
 */
bool qvtd_svm_write_resolved(QVTDSVM *f, uint64_t addr);

/**
 * qvtd_svm_respond: answer a page request group
 * @f: the fixture
 * @req: its last request
 * @code: QVTD_SVM_SUCCESS and so on
 */
void qvtd_svm_respond(QVTDSVM *f, const QVTDPageReq *req, unsigned int code);

#endif
