/*
 * Registers of the stress device of shared virtual memory (-device svm-stress)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_SVM_STRESS_H
#define HW_MISC_SVM_STRESS_H

#define SVM_STRESS_VENDOR_ID        0x1234
#define SVM_STRESS_DEVICE_ID        0x0b14

/* BAR 0: 64-bit memory, registers of 64 bits, little endian */
#define SVM_STRESS_BAR              0
#define SVM_STRESS_BAR_SIZE         0x1000

/* Capabilities */
#define SVM_STRESS_CAP_EXP          0x80
#define SVM_STRESS_CAP_PASID        0x100
#define SVM_STRESS_CAP_ATS          0x108
#define SVM_STRESS_CAP_PRI          0x110
#define SVM_STRESS_PRI_CAPACITY     512

/* What processes have: 63 pages, and a block of 2 MiB at 2 MiB */
#define SVM_STRESS_PROCESSES        2
#define SVM_STRESS_PAGES            63
#define SVM_STRESS_UNITS            64
#define SVM_STRESS_HOT_PAGES        4       /* more is done to these */
#define SVM_STRESS_BLOCK            (1ULL << 21)
#define SVM_STRESS_ARENA_SIZE       (2 * SVM_STRESS_BLOCK)

/* A write does something */
#define SVM_STRESS_CMD              0x000
#define SVM_STRESS_SETUP            1   /* take the processes' registers */
#define SVM_STRESS_OPEN             2   /* begin to use the PASIDs */
#define SVM_STRESS_CLOSE            3   /* end it */
#define SVM_STRESS_START            4   /* start the threads */
#define SVM_STRESS_STOP             5   /* ask them to end */
#define SVM_STRESS_ACCESS           6   /* one DMA, in the main loop */
#define SVM_STRESS_CHANGE           7   /* one change of a paging entry */

/* Arguments of START, of ACCESS and of CHANGE */
#define SVM_STRESS_SEED             0x008
#define SVM_STRESS_THREADS          0x010   /* of the device, 8 at most */
#define SVM_STRESS_KINDS            0x018   /* of work for threads */
#define SVM_STRESS_KIND_DMA         1   /* by the DMA helper */
#define SVM_STRESS_KIND_TRANSLATE   2   /* by translation requests and an ATC */
#define SVM_STRESS_KIND_PAGE        4   /* page requests of PASID_PAGE */
#define SVM_STRESS_KIND_GUEST       8   /* a CPU that changes paging entries */
#define SVM_STRESS_KIND_WALK        16  /* of a page whose entry it changes */
#define SVM_STRESS_SPIN             0x020   /* ns that an access takes, 50 us */
#define SVM_STRESS_PASID_PAGE       0x028

/* Processes, 0x40 bytes each */
#define SVM_STRESS_PROCESS(n)       (0x040 + (n) * 0x40)
#define SVM_STRESS_PASID            0x00
#define SVM_STRESS_IOVA             0x08    /* multiple of 4 MiB */
#define SVM_STRESS_ARENA            0x10    /* its memory, in that order */
#define SVM_STRESS_SMALL            0x18    /* entry of the first page */
#define SVM_STRESS_HUGE             0x20    /* entry of the block */
#define SVM_STRESS_SPLIT            0x28    /* table for when it is split */
/*
 * Units whose change awaits an invalidation: bits 0 to 62 pages, bit 63 the
 * block. A write says which of these are invalidated.
 */
#define SVM_STRESS_PENDING          0x30

/* Read-only */
#define SVM_STRESS_RUNNING          0x100   /* threads and operations */
#define SVM_STRESS_IS_OPEN          0x108
#define SVM_STRESS_VIOLATIONS       0x110   /* of the rules, seen so far */
#define SVM_STRESS_FIRST            0x118   /* process << 32 | unit << 16 | */
#define SVM_STRESS_OUTSIDE          1       /* not the memory of that address */
#define SVM_STRESS_NOT_MAPPED       2       /* access after revocation */
#define SVM_STRESS_NOT_WRITABLE     3       /* write after write protection */
#define SVM_STRESS_REVOKED_IN_USE   4       /* revoked while it was accessed */
#define SVM_STRESS_NOT_DIRTY        5       /* a write without Dirty */
#define SVM_STRESS_LOST_UPDATE      6       /* of the guest's, of an entry */
#define SVM_STRESS_POISON           7       /* written while not mapped */
#define SVM_STRESS_NOT_ASKED        8       /* a response to no request */
#define SVM_STRESS_FREED_TABLE      9       /* marked after it was replaced */
#define SVM_STRESS_NO_RESULT        10      /* of a translation request */
#define SVM_STRESS_ACCESSES         0x120   /* that have begun */
#define SVM_STRESS_BUSY             0x128   /* that have not ended */
#define SVM_STRESS_CHANGES          0x130   /* of paging entries */
#define SVM_STRESS_OUTSTANDING      0x138   /* page requests of PASID_PAGE */
#define SVM_STRESS_SENT             0x140   /* of these */
#define SVM_STRESS_ANSWERED         0x148
#define SVM_STRESS_LOST             0x150   /* ended with the interface */
#define SVM_STRESS_ENDED            0x158   /* operations */
#define SVM_STRESS_LAST             0x160   /* result of the latest one */
#define SVM_STRESS_WRITES           0x168   /* of pages, checked for Dirty */
#define SVM_STRESS_REG_END          0x170

/* Read-only: how many operations ended so, by PCISVMDMAReason */
#define SVM_STRESS_REASON(n)        (0x180 + (n) * 8)
#define SVM_STRESS_REASONS          16

#endif /* HW_MISC_SVM_STRESS_H */
