/*
 * Demo endpoint for shared virtual memory: its registers, and what queues have
 * in memory
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

#define SVM_REG_OUTSTANDING     0x58 /* 32-bit; W: as SVM_REG_PASID, to ask */
                                     /* R: its groups that are not answered */

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
#define SVM_VECTORS             (1 + SVM_QUEUES)
#define SVM_VECTOR_COMMAND      0    /* a command has ended */
#define SVM_VECTOR_QUEUE(n)     (1 + (n))

/* BAR 2: 64-bit memory, little endian: the queues */
#define SVM_QUEUE_BAR           2
#define SVM_QUEUE_BAR_SIZE      0x80000

#define SVM_QUEUES              64

/* What the queues are like: read-only, 32-bit unless said */
#define SVM_QG_ID               0x00 /* 64-bit: SVM_QUEUE_ID */
#define SVM_QG_QUEUES           0x08 /* number of queues */
#define SVM_QG_SIZE_MAX         0x0c /* descriptors in a ring, at most */

#define SVM_QUEUE_ID            0x0153564d0b111234ULL

/* Control registers of queue n, for the driver; 32-bit unless said */
#define SVM_Q_REGS(n)           (0x1000 + 0x100 * (n))
#define SVM_Q_RING              0x00 /* RW, 64-bit: address of the ring */
#define SVM_Q_RECORDS           0x08 /* RW, 64-bit: address of the records */
#define SVM_Q_SIZE              0x10 /* RW: descriptors in the ring */
#define SVM_Q_PASID             0x14 /* RW: PASID, or SVM_PASID_NONE */
#define SVM_Q_PEER              0x18 /* RW: PASID and SVM_PEER_* */
#define SVM_Q_HEAD              0x1c /* RW: next descriptor to be executed */
#define SVM_Q_TAIL              0x20 /* R: first descriptor not submitted */
#define SVM_Q_CTRL              0x24 /* W: SVM_CTRL_* */
#define SVM_Q_STATE             0x24 /* R: SVM_STATE_* */
#define SVM_Q_ERROR             0x28 /* R: SVM_ERROR_*, SVM_ERROR_STATUS() */
#define SVM_Q_ERROR_ADDR        0x30 /* R, 64-bit: address of the error */

#define SVM_Q_SIZE_MAX          65536

#define SVM_PEER_PASID_MASK     0x1fffffu /* PASID, or SVM_PASID_NONE */
#define SVM_PEER_READ           (1u << 30)
#define SVM_PEER_WRITE          (1u << 31)

#define SVM_CTRL_ENABLE         1
#define SVM_CTRL_PAUSE          2
#define SVM_CTRL_RESUME         3
#define SVM_CTRL_DRAIN          4
#define SVM_CTRL_ABORT          5

#define SVM_STATE_DISABLED      0
#define SVM_STATE_RUNNING       1
#define SVM_STATE_PAUSING       2
#define SVM_STATE_PAUSED        3
#define SVM_STATE_DRAINING      4
#define SVM_STATE_ERROR         5

#define SVM_ERROR_CAUSE(e)      ((e) & 0xff)
#define SVM_ERROR_STATUS(e)     ((e) >> 8 & 0xff) /* SVM_CPL_* */

#define SVM_ERROR_NONE          0
#define SVM_ERROR_DOORBELL      1    /* bad value written to the doorbell */
#define SVM_ERROR_RING          2    /* a descriptor could not be read */
#define SVM_ERROR_RECORD        3    /* a record could not be written */
#define SVM_ERROR_CONFIG        4    /* enabled with bad registers */
#define SVM_ERROR_PASID         5    /* the PASID cannot be used */

/* Doorbell page of queue n, for the process; 32-bit registers */
#define SVM_DOORBELL_PAGE(n)    (0x40000 + SVM_DOORBELL_SIZE * (n))
#define SVM_DOORBELL_SIZE       0x1000
#define SVM_DB_TAIL             0x00 /* RW: first descriptor not submitted */
#define SVM_DB_HEAD             0x04 /* R: as SVM_Q_HEAD */
#define SVM_DB_STATE            0x08 /* R: as SVM_Q_STATE */

/* Descriptor: 64 bytes, little endian. Offsets of its members: */
#define SVM_DESC_SIZE           64
#define SVM_DESC_OP             0x00 /* 32-bit: SVM_OP_* */
#define SVM_DESC_FLAGS          0x04 /* 32-bit: SVM_DESC_F_* */
#define SVM_DESC_SRC            0x08 /* 64-bit: address of the source */
#define SVM_DESC_DST            0x10 /* 64-bit: address of the destination */
#define SVM_DESC_LEN            0x18 /* 64-bit: bytes */
#define SVM_DESC_ARG            0x20 /* 64-bit: depends on the operation */
#define SVM_DESC_RESERVED       0x28 /* up to the end: zero */

#define SVM_OP_NOP              0
#define SVM_OP_FILL             1
#define SVM_OP_COPY             2
#define SVM_OP_COMPARE          3
#define SVM_OP_CRC              4
#define SVM_OP_TRANSLATE        5

#define SVM_DESC_F_FENCE        (1u << 0) /* only if the one before succeeded */
#define SVM_DESC_F_INTR         (1u << 1) /* interrupt when complete */
#define SVM_DESC_F_SRC_PEER     (1u << 2) /* source is the peer's */
#define SVM_DESC_F_DST_PEER     (1u << 3) /* destination is the peer's */
#define SVM_DESC_F_WRITE        (1u << 4) /* translate for writing */
#define SVM_DESC_F_MASK         0x1fu

/* Completion record: 32 bytes, little endian. Offsets of its members: */
#define SVM_REC_SIZE            32
#define SVM_REC_DONE            0x00 /* 64-bit: bytes that were worked on */
#define SVM_REC_ADDR            0x08 /* 64-bit: faulting address, or 0 */
#define SVM_REC_VALUE           0x10 /* 64-bit: result */
#define SVM_REC_STATUS          0x18 /* 16-bit: SVM_CPL_* */
#define SVM_REC_SIDE            0x1a /* 16-bit: SVM_SIDE_* of the address */
#define SVM_REC_SEQ             0x1c /* 32-bit: written last: index + 1 */

#define SVM_CPL_OK              0
#define SVM_CPL_DIFFERENT       1    /* compare: the first difference */
#define SVM_CPL_INVALID         2    /* the descriptor is not valid */
#define SVM_CPL_SKIPPED         3    /* fenced, and the one before is not OK */
#define SVM_CPL_UNMAPPED        4
#define SVM_CPL_PERMISSION      5
#define SVM_CPL_RESPONSE        6    /* page request: Response Failure */
#define SVM_CPL_RETRIES         7    /* page requests without effect */
#define SVM_CPL_DISABLED        8    /* a capability is or was disabled */
#define SVM_CPL_CANCELLED       9    /* the peer register was written */
#define SVM_CPL_BUS_ERROR       10
#define SVM_CPL_NO_PEER         11   /* the peer register does not grant it */
#define SVM_CPL_TIMEOUT         12   /* no answer within page-timeout-ms */

#define SVM_SIDE_NONE           0
#define SVM_SIDE_SRC            1
#define SVM_SIDE_DST            2

#endif /* HW_MISC_SVM_H */
