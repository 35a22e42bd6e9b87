/*
 * Registers of the test device of the SVM API (-device svm-testdev)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_SVM_TESTDEV_H
#define HW_MISC_SVM_TESTDEV_H

#define SVM_TESTDEV_VENDOR_ID       0x1234
#define SVM_TESTDEV_DEVICE_ID       0x0b12
#define SVM_TESTDEV_VF_DEVICE_ID    0x0b13

/* BAR 0: 64-bit memory, registers of 64 bits, little endian */
#define SVM_TESTDEV_BAR             0
#define SVM_TESTDEV_BAR_SIZE        0x4000

/* BAR 2: 32-bit memory, RAM of a device: an access to it is an I/O access */
#define SVM_TESTDEV_RAM_BAR         2
#define SVM_TESTDEV_RAM_SIZE        0x1000

/* Capabilities */
#define SVM_TESTDEV_CAP_PM          0x40
#define SVM_TESTDEV_CAP_EXP         0x80
#define SVM_TESTDEV_CAP_SERIAL      0x100
#define SVM_TESTDEV_CAP_PASID       0x110
#define SVM_TESTDEV_CAP_ATS         0x118
#define SVM_TESTDEV_CAP_PRI         0x120
#define SVM_TESTDEV_CAP_SRIOV       0x140

/* The call: a write makes it, a read is what it returned */
#define SVM_TESTDEV_CALL            0x000
#define SVM_TESTDEV_GET_INFO        1   /* to ADDR: bits, to LENGTH: page */
#define SVM_TESTDEV_REGISTER_IOTLB  2
#define SVM_TESTDEV_UNREGISTER_IOTLB 3
#define SVM_TESTDEV_TRANSLATE       4
#define SVM_TESTDEV_TRANSLATE_PART  5
#define SVM_TESTDEV_REQUEST_PAGE    6
#define SVM_TESTDEV_REGISTER_PRI    7
#define SVM_TESTDEV_UNREGISTER_PRI  8
#define SVM_TESTDEV_DMA_READ        9   /* of up to 8 bytes, to DATA */
#define SVM_TESTDEV_DMA_WRITE       10  /* of DATA */
#define SVM_TESTDEV_TOUCH_PASIDS    11  /* LENGTH of them, from PASID on */
#define SVM_TESTDEV_TOUCH_MAX       4096

#define SVM_TESTDEV_REGISTER_UNMAP  12  /* of LENGTH from ADDR, no PASID */
#define SVM_TESTDEV_UNREGISTER_UNMAP 13

/* Those of the DMA engine, about the slot's context */
#define SVM_TESTDEV_OPEN            16
#define SVM_TESTDEV_CLOSE           17
#define SVM_TESTDEV_SVM_READ        18  /* of up to 8 bytes */
#define SVM_TESTDEV_SVM_WRITE       19  /* of DATA */
#define SVM_TESTDEV_MAP             20  /* FLAG_WRITE: for writing */
#define SVM_TESTDEV_MAP_READ        21  /* ADDR: offset */
#define SVM_TESTDEV_MAP_WRITE       22  /* likewise, of DATA */
#define SVM_TESTDEV_UNMAP           23
#define SVM_TESTDEV_CANCEL          24
#define SVM_TESTDEV_CANCEL_REQUEST  25  /* the slot's latest */
#define SVM_TESTDEV_CANCEL_PASID    26
#define SVM_TESTDEV_SET_TIMEOUT     27  /* LENGTH: milliseconds */

/* Its arguments; they keep their values, through resets too */
#define SVM_TESTDEV_PASID           0x008   /* ~0: none */
#define SVM_TESTDEV_ADDR            0x010
#define SVM_TESTDEV_LENGTH          0x018
#define SVM_TESTDEV_FLAGS           0x020
#define SVM_TESTDEV_FLAG_PRIV       1
#define SVM_TESTDEV_FLAG_EXEC       2
#define SVM_TESTDEV_FLAG_NO_WRITE   4
#define SVM_TESTDEV_FLAG_READ       8
#define SVM_TESTDEV_FLAG_WRITE      16
#define SVM_TESTDEV_FLAG_LAST       32
#define SVM_TESTDEV_FLAG_TRANSLATED 64  /* address type of a DMA */
#define SVM_TESTDEV_PRGI            0x028
#define SVM_TESTDEV_ROOM            0x030   /* results, 256 at most */
#define SVM_TESTDEV_ERRORS          0x038   /* result: err_count */

/* Which of the notifiers the call and the registers 0xc0 ... are about */
#define SVM_TESTDEV_SLOT            0x040
#define SVM_TESTDEV_SLOTS           8

/* 0: a call is made at once; else when that many ns of the VM have passed */
#define SVM_TESTDEV_DELAY           0x048

/* What a DMA writes, or has read */
#define SVM_TESTDEV_DATA            0x050

/* Read-only: what the function's state is now */
#define SVM_TESTDEV_STATE           0x080
#define SVM_TESTDEV_STATE_MASTER    1
#define SVM_TESTDEV_STATE_PASID     2
#define SVM_TESTDEV_STATE_ATS       4
#define SVM_TESTDEV_STATE_PRI       8
#define SVM_TESTDEV_STATE_EVENTS    0x088   /* of the state notifier */
#define SVM_TESTDEV_ALLOCATION      0x090
#define SVM_TESTDEV_STU             0x098

/* Read-only: what the notifiers of the slot have heard, last event */
#define SVM_TESTDEV_INV_COUNT       0x0c0
#define SVM_TESTDEV_INV_ADDR        0x0c8
#define SVM_TESTDEV_INV_MASK        0x0d0
#define SVM_TESTDEV_INV_PASID       0x0d8
#define SVM_TESTDEV_RESP_COUNT      0x0e0
#define SVM_TESTDEV_RESP_CODE       0x0e8
#define SVM_TESTDEV_RESP_PRGI       0x0f0
#define SVM_TESTDEV_REG_END         0x0f8

/* Read-only: what the slot's last operation of the DMA engine came to */
#define SVM_TESTDEV_SVM_DONE        0x100   /* how many have ended */
#define SVM_TESTDEV_SVM_RET         0x108
#define SVM_TESTDEV_SVM_REASON      0x110   /* PCISVMDMAReason */
#define SVM_TESTDEV_SVM_ADDR        0x118
#define SVM_TESTDEV_SVM_BYTES       0x120
#define SVM_TESTDEV_SVM_DATA        0x128   /* read, by a mapping too */
#define SVM_TESTDEV_MAP_LENGTH      0x130
#define SVM_TESTDEV_MAP_REVOKED     0x138   /* how many were revoked */
#define SVM_TESTDEV_SVM_END         0x140

/* Read-only: results of a translation, four registers each */
#define SVM_TESTDEV_RESULTS         0x2000
#define SVM_TESTDEV_RESULT_IOVA     0x00
#define SVM_TESTDEV_RESULT_ADDR     0x08
#define SVM_TESTDEV_RESULT_MASK     0x10
#define SVM_TESTDEV_RESULT_PERM     0x18    /* IOMMUAccessFlags */
#define SVM_TESTDEV_RESULT_SIZE     0x20
#define SVM_TESTDEV_RESULTS_MAX     256

#endif /* HW_MISC_SVM_TESTDEV_H */
