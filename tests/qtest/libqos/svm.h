/*
 * libqos driver for the SVM demo endpoint (-device svm)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_LIBQOS_SVM_H
#define TESTS_LIBQOS_SVM_H

#include "pci.h"
#include "hw/misc/svm.h"

/* Where the machine's extended configuration space is put (q35) */
#define QSVM_ECAM_BASE      0xb0000000ULL

/* How long a test waits before it fails, in microseconds of real time */
#define QSVM_TIMEOUT_US     (30 * G_USEC_PER_SEC)

/* Virtual time of one step of a loop that waits for the device */
#define QSVM_STEP_NS        (1000 * 1000LL)

/**
 * struct QSVM - an SVM endpoint
 * @dev: the PCI function
 * @bar: its registers
 * @config: guest physical address of its configuration space
 * @pasid_cap: offset of the PASID capability
 * @ats_cap: offset of the ATS capability
 * @pri_cap: offset of the PRI capability
 */
typedef struct QSVM {
    QPCIDevice *dev;
    QPCIBar bar;
    uint64_t config;
    uint16_t pasid_cap;
    uint16_t ats_cap;
    uint16_t pri_cap;
} QSVM;

/**
 * qsvm_enable_ecam: enable the extended configuration space of a q35 machine
 * @bus: root bus
 *
 * Reset disables it.
 */
void qsvm_enable_ecam(QPCIBus *bus);

/**
 * qsvm_init_function: find a function that has PASID, ATS and PRI
 * @svm: filled in, but for its @bar; the function need not be the endpoint
 * @bus: PCI bus, with extended configuration space
 * @devfn: device and function number on bus 0
 */
void qsvm_init_function(QSVM *svm, QPCIBus *bus, int devfn);

/**
 * qsvm_enable_function: enable a function as bus master, and map its BAR 0
 * @svm: the function
 */
void qsvm_enable_function(QSVM *svm);

/**
 * qsvm_init: find an endpoint, enable it as bus master, map its registers
 * @svm: filled in
 * @bus: PCI bus, with extended configuration space
 * @devfn: device and function number on bus 0
 *
 * MSI-X is enabled, its vector masked: interrupts stay pending until
 * qsvm_wait() takes them. PASID, ATS and PRI stay as they are.
 */
void qsvm_init(QSVM *svm, QPCIBus *bus, int devfn);

/**
 * qsvm_enable: qsvm_init() for an endpoint that lost its set-up to a reset
 * @svm: the endpoint
 */
void qsvm_enable(QSVM *svm);

/**
 * qsvm_fini: undo qsvm_init()
 * @svm: the endpoint
 */
void qsvm_fini(QSVM *svm);

/** qsvm_config_readw: read 16 bits of (extended) configuration space */
uint16_t qsvm_config_readw(QSVM *svm, uint16_t offset);
/** qsvm_config_readl: read 32 bits of (extended) configuration space */
uint32_t qsvm_config_readl(QSVM *svm, uint16_t offset);
/** qsvm_config_writew: write 16 bits of (extended) configuration space */
void qsvm_config_writew(QSVM *svm, uint16_t offset, uint16_t val);
/** qsvm_config_writel: write 32 bits of (extended) configuration space */
void qsvm_config_writel(QSVM *svm, uint16_t offset, uint32_t val);

/**
 * qsvm_find_ext_cap: find an extended capability
 * @svm: the endpoint
 * @id: PCI_EXT_CAP_ID_*
 *
 * Returns: its offset, or 0.
 */
uint16_t qsvm_find_ext_cap(QSVM *svm, uint16_t id);

/**
 * qsvm_set_pasid_enables: write the control register of the PASID capability
 * @svm: the endpoint
 * @ctrl: PCI_PASID_CTRL_*
 */
void qsvm_set_pasid_enables(QSVM *svm, uint16_t ctrl);

/**
 * qsvm_set_ats: enable or disable ATS, with pages as the translation unit
 * @svm: the endpoint
 * @on: enable
 */
void qsvm_set_ats(QSVM *svm, bool on);

/**
 * qsvm_enable_pri: reset and enable PRI
 * @svm: the endpoint
 * @allocation: number of outstanding page requests
 */
void qsvm_enable_pri(QSVM *svm, uint32_t allocation);

/**
 * qsvm_disable_pri: disable PRI
 * @svm: the endpoint
 */
void qsvm_disable_pri(QSVM *svm);

/**
 * qsvm_pri_status: read the status register of the PRI capability
 * @svm: the endpoint
 *
 * Returns: PCI_PRI_STATUS_*
 */
uint16_t qsvm_pri_status(QSVM *svm);

/**
 * qsvm_function_reset: do a function level reset
 * @svm: the endpoint
 */
void qsvm_function_reset(QSVM *svm);

/** qsvm_readq: read a 64-bit register */
uint64_t qsvm_readq(QSVM *svm, uint64_t reg);
/** qsvm_writeq: write a 64-bit register */
void qsvm_writeq(QSVM *svm, uint64_t reg, uint64_t val);

/**
 * qsvm_set_pasid: write the PASID register
 * @svm: the endpoint
 * @pasid: PASID, or SVM_PASID_NONE
 */
void qsvm_set_pasid(QSVM *svm, uint32_t pasid);

/**
 * qsvm_outstanding: page request groups that are not answered
 * @svm: the endpoint
 * @pasid: of their requests, or SVM_PASID_NONE
 */
uint32_t qsvm_outstanding(QSVM *svm, uint32_t pasid);

/**
 * qsvm_start_write: let the device write its pattern, without waiting
 * @svm: the endpoint
 * @addr: address of the buffer
 * @size: its size in bytes
 */
void qsvm_start_write(QSVM *svm, uint64_t addr, uint64_t size);

/**
 * qsvm_start_read: let the device read and compare the CRC, without waiting
 * @svm: the endpoint
 * @addr: address of the buffer
 * @size: its size in bytes
 * @crc: expected CRC
 */
void qsvm_start_read(QSVM *svm, uint64_t addr, uint64_t size, uint8_t crc);

/**
 * qsvm_is_done: whether the command's interrupt is pending
 * @svm: the endpoint
 */
bool qsvm_is_done(QSVM *svm);

/**
 * qsvm_wait: wait for the command's interrupt and take it
 * @svm: the endpoint
 *
 * Returns: whether the command succeeded.
 */
bool qsvm_wait(QSVM *svm);

/**
 * qsvm_step: let virtual time pass in a loop that waits for the device
 * @svm: the endpoint
 * @start: g_get_monotonic_time() when the loop began
 *
 * Fails the test after QSVM_TIMEOUT_US.
 */
void qsvm_step(QSVM *svm, int64_t start);

/**
 * qsvm_settle: let enough time pass for what must not happen to happen
 * @svm: the endpoint
 */
void qsvm_settle(QSVM *svm);

/**
 * qsvm_write: qsvm_start_write() and qsvm_wait()
 * @svm: the endpoint
 * @addr: address of the buffer
 * @size: its size in bytes
 *
 * Returns: whether the command succeeded.
 */
bool qsvm_write(QSVM *svm, uint64_t addr, uint64_t size);

/**
 * qsvm_read: qsvm_start_read() and qsvm_wait()
 * @svm: the endpoint
 * @addr: address of the buffer
 * @size: its size in bytes
 * @crc: expected CRC
 *
 * Returns: whether the command succeeded.
 */
bool qsvm_read(QSVM *svm, uint64_t addr, uint64_t size, uint8_t crc);

/**
 * qsvm_crc: the CRC that the device computes
 * @crc: SVM_CRC_INIT, or the CRC of what precedes
 * @buf: bytes
 * @len: their number
 */
uint8_t qsvm_crc(uint8_t crc, const void *buf, size_t len);

/**
 * qsvm_pattern: what the device writes
 * @buf: filled in
 * @len: bytes
 * @offset: in the device's buffer
 */
void qsvm_pattern(void *buf, size_t len, uint64_t offset);

#endif
