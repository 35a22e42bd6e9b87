/*
 * Demo endpoint for shared virtual memory: its registers
 *
 * Shared by the device model, the qtests and the Linux driver: plain C, no
 * other header. The specification is docs/specs/svm.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_SVM_H
#define HW_MISC_SVM_H

#define SVM_PCI_VENDOR_ID       0x1234
#define SVM_PCI_DEVICE_ID       0x0b11

/* BAR 0: 64-bit memory, little endian */
#define SVM_BAR                 0
#define SVM_BAR_SIZE            0x4000

/* Single-command interface; 64-bit registers unless said */
#define SVM_REG_CMD             0x00 /* W: start a command */
#define SVM_REG_ID              0x00 /* R: SVM_ID */
#define SVM_REG_ADDR            0x08 /* W: address of the buffer */
#define SVM_REG_STATUS          0x08 /* R: status of the last command */
#define SVM_REG_CRC             0x10 /* W: expected CRC of a read */
#define SVM_REG_SIZE            0x18 /* W: size of the buffer in bytes */
#define SVM_REG_OPTIONS         0x20 /* W: SVM_OPT_* */
#define SVM_REG_PASID           0x50 /* W, 32-bit: PASID, or SVM_PASID_NONE */

#define SVM_ID                  0x0053564d0b111234ULL

#define SVM_CMD_WRITE           1    /* the device writes the buffer */
#define SVM_CMD_READ            2    /* the device reads the buffer */

#define SVM_STATUS_OK           0
#define SVM_STATUS_FAILED       1

#define SVM_OPT_PRIV            (1u << 0) /* requests are privileged */

#define SVM_PASID_NONE          (1u << 20)

/* Largest buffer of one command, in bytes */
#define SVM_SIZE_MAX            (1ULL << 32)

/* A write command fills the buffer with 0, 1, ... 250, 0, 1, ... */
#define SVM_PATTERN_PERIOD      251

/* CRC of a read command: CRC-8, reflected, no final inversion */
#define SVM_CRC_POLY            0xab
#define SVM_CRC_INIT            0xff

/*
 * Counters since the device was reset: read-only, 64-bit. A 64-bit read is
 * one consistent value of its counter; counters move independently.
 */
#define SVM_REG_STATS           0x100
#define SVM_STAT_ATS_REQUESTS   0x100 /* translation requests sent */
#define SVM_STAT_ATS_RESULTS    0x108 /* translations granted in full */
#define SVM_STAT_ATS_HOLES      0x110 /* results that lacked a permission */
#define SVM_STAT_ATC_HITS       0x118 /* lookups that the ATC answered */
#define SVM_STAT_ATC_MISSES     0x120 /* lookups that it did not */
#define SVM_STAT_PAGE_REQUESTS  0x128 /* page requests accepted by the host */
#define SVM_STAT_PAGE_GROUPS    0x130 /* page request groups completed */
#define SVM_STAT_RESP_SUCCESS   0x138 /* responses: Success */
#define SVM_STAT_RESP_INVALID   0x140 /* responses: Invalid Request */
#define SVM_STAT_RESP_FAILURE   0x148 /* responses: Response Failure */
#define SVM_STAT_REFUSED        0x150 /* requests that the host did not take */
#define SVM_STAT_INVALIDATIONS  0x158 /* device-TLB invalidations received */
#define SVM_STAT_REVOKED        0x160 /* ATC entries that they dropped */
#define SVM_STAT_BYTES_READ     0x168
#define SVM_STAT_BYTES_WRITTEN  0x170
#define SVM_STAT_COMMANDS       0x178 /* commands completed */
#define SVM_STAT_FAILURES       0x180 /* of these, failed */
#define SVM_STAT_END            0x188

/* MSI-X table and pending bits, in the same BAR */
#define SVM_MSIX_TABLE          0x2000
#define SVM_MSIX_PBA            0x3000
#define SVM_VECTORS             1    /* vector 0: a command has ended */

#endif /* HW_MISC_SVM_H */
