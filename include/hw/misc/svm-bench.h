/*
 * Benchmark device for shared virtual memory: its registers
 *
 * All registers have 64 bits and lie in BAR 0. Writing SVM_BENCH_OP runs an
 * operation in threads of its own; SVM_BENCH_BUSY reads as 1 until they have
 * ended, and SVM_BENCH_NS then has the nanoseconds that they took, or a
 * negative errno. The device is for "./svm bench" alone: no build has it unless
 * it is asked for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_SVM_BENCH_H
#define HW_MISC_SVM_BENCH_H

#define SVM_BENCH_VENDOR_ID     0x1234
#define SVM_BENCH_DEVICE_ID     0x5bec

#define SVM_BENCH_BAR           0
#define SVM_BENCH_BAR_SIZE      0x1000

/* Capabilities, in configuration space */
#define SVM_BENCH_CAP_EXP       0x40
#define SVM_BENCH_CAP_PASID     0x100
#define SVM_BENCH_CAP_ATS       0x110
#define SVM_BENCH_CAP_PRI       0x120

/* Page requests that may be outstanding */
#define SVM_BENCH_PRI_CAPACITY  0x10000

/* What an operation stores at most: results of one translation request */
#define SVM_BENCH_RESULTS_MAX   4096

/* Registers */
#define SVM_BENCH_OP            0x00
#define SVM_BENCH_BUSY          0x08
#define SVM_BENCH_NS            0x10
#define SVM_BENCH_COUNT         0x18    /* how often */
#define SVM_BENCH_THREADS       0x20    /* in how many threads at once */
#define SVM_BENCH_PASID         0x28
#define SVM_BENCH_PASIDS        0x30    /* PASIDs: in turns, or one a thread */
#define SVM_BENCH_ADDR          0x38
#define SVM_BENCH_LENGTH        0x40
#define SVM_BENCH_RANDOM        0x48    /* added to ADDR: random bits of it */
#define SVM_BENCH_DATA          0x50
#define SVM_BENCH_ADDR2         0x58
#define SVM_BENCH_DATA2         0x60
#define SVM_BENCH_REG_END       0x68

/* Operations, each COUNT times unless it says something else */
#define SVM_BENCH_TRANSLATE     1   /* [ADDR, +LENGTH); DATA: clear A and D */
#define SVM_BENCH_READ_TABLES   2   /* DATA: table; CAS each entry if DATA2 */
#define SVM_BENCH_READ_WALK     3   /* DATA: top table, of 4 levels */
#define SVM_BENCH_PAGE_REQUEST  4   /* one group; if DATA, groups of one */
#define SVM_BENCH_WRITE         5   /* LENGTH bytes to ADDR */
#define SVM_BENCH_POKE          6   /* DATA to ADDR, then DATA2 to ADDR2 */
#define SVM_BENCH_REGISTER      7   /* notifiers of COUNT PASIDs from PASID */
#define SVM_BENCH_UNREGISTER    8   /* those, once */
#define SVM_BENCH_FIRST_USE     9   /* register, translate, unregister */
#define SVM_BENCH_DMA           10  /* untranslated; PASID 0: without one */
#define SVM_BENCH_ATC_FILL      11  /* COUNT entries, of a hash table as well */
#define SVM_BENCH_ATC_LOOKUP    12
#define SVM_BENCH_HASH_LOOKUP   13
#define SVM_BENCH_ATC_INVALIDATE 14 /* DATA entries of them */
#define SVM_BENCH_HASH_REMOVE   15  /* the same of the hash table */
#define SVM_BENCH_FILL          16  /* DATA + i * DATA2 to ADDR + i * LENGTH */
#define SVM_BENCH_TRIM          17  /* drop caches, give back unused memory */
#define SVM_BENCH_COPY          18  /* LENGTH bytes from ADDR to ADDR2 */
#define SVM_BENCH_MEMCPY        19  /* the same in guest memory */
#define SVM_BENCH_ANSWER        20  /* request, DATA + i * DATA2 to ADDR2 */

#endif /* HW_MISC_SVM_BENCH_H */
