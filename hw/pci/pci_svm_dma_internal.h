/*
 * What the parts of the SVM DMA engine have in common
 *
 * - pci_svm_dma.c: engines, contexts, and what arrives from below
 * - pci_svm_dma_op.c: operations: being busy, waiting, translating, accessing
 * - pci_svm_dma_fault.c: page request groups: credits, sending, answers
 * - pci_svm_dma_map.c: mappings, and their revocation
 * - pci_svm_dma_aio.c: requests, operations with a completion function
 *
 * Locks, in the order in which they are taken: BQL, PCISVMDMA.lock, nothing.
 * The engine's lock is not held across any call of pci_svm.h or pci_atc.h:
 * these lead to locks under which our own notifiers are called. That of
 * pcie_pri.h is a leaf. What ends in _locked is called with the engine's.
 *
 * An operation is busy, or it waits. While it is busy it takes neither the BQL
 * nor a lock that is held by those who want the BQL, so whoever holds the BQL
 * may wait until it is no longer busy. In the main loop, that is under the BQL,
 * it is never busy: worker threads are, in its place. An access to a mapping
 * counts as busy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PCI_PCI_SVM_DMA_INTERNAL_H
#define HW_PCI_PCI_SVM_DMA_INTERNAL_H

#include "qemu/coroutine.h"
#include "qemu/stats64.h"
#include "qemu/thread.h"
#include "qemu/timer.h"
#include "hw/pci/pci_atc.h"
#include "hw/pci/pci_svm_dma.h"
#include "hw/pci/pci_svm_name.h"
#include "system/runstate.h"

/* Results of one translation request: how far it may read ahead */
#define SVM_DMA_WINDOW 128

#define SVM_DMA_GROUPS (PCI_PRI_PRGI_MASK + 1)

/*
 * Page requests in a group; and when the OS has answered Invalid Request, in
 * the groups that follow, until it answers Success
 */
#define SVM_DMA_GROUP_MAX 512
#define SVM_DMA_GROUP_MIN 8

#define SVM_DMA_FOREVER (-1)

typedef struct SVMDMAOp SVMDMAOp;

/* What has become of an operation's page request group */
typedef enum SVMDMAAnswer {
    ANSWER_NONE,
    ANSWER_SUCCESS,
    ANSWER_INVALID,
    ANSWER_FAILURE,
    ANSWER_LOST,        /* PRI was disabled */
} SVMDMAAnswer;

/* What an operation has to do that it cannot do while it is busy */
typedef enum SVMDMAPending {
    PENDING_NONE,
    PENDING_YIELD,      /* let others run */
    PENDING_PAGES,      /* ask the OS for pages */
    PENDING_MMIO,       /* access what is not RAM */
} SVMDMAPending;

/*
 * A PASID whose notifiers are registered: that of invalidations while there
 * are contexts, that of responses until the last group is answered.
 */
typedef struct SVMDMAPasid {
    PCISVMDMA *engine;
    uint32_t pasid;
    IOMMUNotifier iotlb;
    IOMMUPRINotifier pri;
    PCISVMCounters *counters;
    unsigned contexts;
    unsigned groups;
    QLIST_HEAD(, PCISVMDMAMap) maps;    /* not revoked; engine's lock */
} SVMDMAPasid;

/*
 * A page request group that has an index; @op is NULL once nobody waits. If it
 * was left before its last request was sent, @rest is that request; if that
 * cannot be sent either the group is abandoned.
 */
typedef struct SVMDMAGroup {
    SVMDMAPasid *pasid;
    SVMDMAOp *op;
    uint32_t credits;
    bool incomplete;
    int64_t forget;             /* when an abandoned group is; or 0 */
    struct {
        uint64_t page;
        bool priv;
        bool exec;
        bool is_write;
    } rest;
} SVMDMAGroup;

/* The members of PCISVMDMAStats */
#define SVM_DMA_FOR_EACH_STAT(X) \
    X(ats_requests) \
    X(ats_results) \
    X(ats_holes) \
    X(atc_hits) \
    X(atc_misses) \
    X(page_requests) \
    X(page_groups) \
    X(resp_success) \
    X(resp_invalid) \
    X(resp_failure) \
    X(refused) \
    X(invalidations) \
    X(revoked) \
    X(bytes_read) \
    X(bytes_written)

typedef struct SVMDMACounters {
#define COUNTER(name) Stat64 name;
    SVM_DMA_FOR_EACH_STAT(COUNTER)
#undef COUNTER
} SVMDMACounters;

struct PCISVMDMA {
    PCIDevice *dev;
    char *name;                 /* of @dev, for trace events; outlives it */
    AddressSpace *as;
    PCIATC *atc;
    uint32_t page_size;
    unsigned refs;
    SVMDMACounters stats;
    Notifier state_notifier;
    VMChangeStateEntry *vm_state;
    unsigned enables;           /* as the state notifier last saw them */
    unsigned forgotten;         /* likewise: pcie_pri_get_forgotten() */
    GHashTable *pasids;
    QEMUTimer group_timer;      /* for groups that were left */
    uint32_t page_timeout_ms;   /* or 0; read without the lock */

    QemuMutex lock;             /* the members below */
    QemuCond idle;
    unsigned waiters;           /* for something that is no longer busy */
    unsigned busy;              /* operations, and accesses to mappings */
    unsigned revoked_uses;      /* accesses to mappings that were revoked */
    bool dead;
    bool paused;                /* the VM is stopped; read without the lock */
    unsigned epoch;             /* likewise */
    QLIST_HEAD(, PCISVMDMAContext) contexts;
    QLIST_HEAD(, SVMDMAOp) ops;
    QTAILQ_HEAD(, SVMDMAOp) credit_queue;
    uint32_t credits_used;
    unsigned groups_used;
    unsigned next_prgi;
    SVMDMAGroup groups[SVM_DMA_GROUPS];
};

struct PCISVMDMAContext {
    PCISVMDMA *engine;
    SVMDMAPasid *pasid_use;     /* valid until the context is closed */
    uint32_t pasid;
    unsigned refs;
    unsigned group_max;         /* read without a lock */
    bool closed;                /* engine's lock */
    QLIST_ENTRY(PCISVMDMAContext) next;
};

/* What an operation shall do; stays as it is */
typedef struct SVMDMAJob {
    PCISVMDMAContext *ctx;
    const PCISVMDMARange *ranges;
    size_t count;
    uint64_t room;              /* bytes that there may be in the ranges */
    bool is_write;
    unsigned flags;
    PCISVMDMAFunc *fn;
    void *opaque;
    PCISVMDMAMap *map;          /* in place of @fn: what to fill in */
    PCISVMDMARequest *req;      /* whose operation it is, or NULL */
} SVMDMAJob;

/* A place in a vector; user data of svm_dma_copy_in() and _out() */
typedef struct SVMDMACursor {
    const struct iovec *iov;
    size_t offset;
} SVMDMACursor;

/* An operation; lives on its coroutine's stack. */
struct SVMDMAOp {
    const SVMDMAJob *job;
    PCISVMDMA *engine;
    PCISVMDMAContext *ctx;
    AioContext *home;
    unsigned epoch;
    bool is_write;
    bool priv;
    bool exec;
    IOMMUAccessFlags need;
    MemTxAttrs attrs;

    size_t next_range;
    uint64_t addr;              /* of the bytes that are left of a range */
    uint64_t len;
    uint64_t total;
    uint64_t done;
    uint64_t burst;             /* done since others were let run */
    PCISVMDMAReason reason;

    /* The translation of @addr, and what it leaves to do */
    SVMDMAPending pending;
    IOMMUTLBEntry entry;
    PCIATCTicket ticket;
    hwaddr translated;
    hwaddr piece;               /* bytes from there */

    /* Page requests since the last access */
    bool asked;
    unsigned tries;
    unsigned group_max;         /* or 0: as the context's */
    int64_t deadline;           /* or 0 */

    /* The engine's lock */
    bool busy;
    bool sending;               /* a page request */
    bool cancelled;             /* read without it */
    Coroutine *parked;
    QEMUTimer timer;
    SVMDMAAnswer answer;
    QLIST_ENTRY(SVMDMAOp) next;
    QTAILQ_ENTRY(SVMDMAOp) next_credit;

    size_t result_count;
    IOMMUTLBEntry results[SVM_DMA_WINDOW];
};

/* pci_svm_dma.c */

void svm_dma_collect_pasids(void *opaque);

/* Wait, under the BQL, until @is_used(@opaque) is false. */
void svm_dma_wait_unused_locked(PCISVMDMA *e, bool (*is_used)(void *opaque),
                                void *opaque);

static inline void svm_dma_set_busy_locked(PCISVMDMA *e)
{
    e->busy++;
}

/* Something is no longer in use: whoever waits for that looks again. */
static inline void svm_dma_wake_waiters_locked(PCISVMDMA *e)
{
    if (e->waiters) {
        qemu_cond_broadcast(&e->idle);
    }
}

static inline void svm_dma_set_idle_locked(PCISVMDMA *e)
{
    e->busy--;
    svm_dma_wake_waiters_locked(e);
}

/* pci_svm_dma_op.c */

int coroutine_fn svm_dma_run(const SVMDMAJob *job, PCISVMDMAError *err);

PCISVMDMAFunc svm_dma_copy_in;
PCISVMDMAFunc svm_dma_copy_out;

PCISVMDMAReason svm_dma_op_status(const SVMDMAOp *op);

/* Set the reason, unless there is one that concerns the whole operation. */
int svm_dma_op_fail(SVMDMAOp *op, PCISVMDMAReason reason);
int svm_dma_op_check(SVMDMAOp *op);
int svm_dma_op_fail_access(SVMDMAOp *op);
bool svm_dma_op_is_granted(const SVMDMAOp *op, const IOMMUTLBEntry *entry);

void svm_dma_op_wake_locked(SVMDMAOp *op);
void svm_dma_op_cancel_locked(SVMDMAOp *op);

/*
 * Wait to be woken, for @ns at most, and as long as the VM is stopped. Wakes
 * may be spurious. The operation is not busy meanwhile. If svm_dma_op_status()
 * is bad afterwards the operation must not do more than to clean up.
 */
void coroutine_fn svm_dma_op_wait_locked(SVMDMAOp *op, int64_t ns);

/* pci_svm_dma_fault.c */

/* Ask for the pages that the results lack. Returns 0 to translate again. */
int coroutine_fn svm_dma_op_ask(SVMDMAOp *op);

void svm_dma_respond(IOMMUPRINotifier *notifier, IOMMUPRIResponse *response);
void svm_dma_lose_groups_locked(PCISVMDMA *e);
void svm_dma_tend_groups(void *opaque);

/* pci_svm_dma_map.c */

/*
 * The translation of an operation leads to RAM at @host: fill in its mapping.
 * Returns false if it has been revoked already.
 */
bool svm_dma_map_enter_locked(SVMDMAOp *op, MemoryRegion *mr, void *host,
                              hwaddr len);

/* Revoke the mappings of a range; of one context, or of all if it is NULL. */
void svm_dma_revoke_maps_locked(SVMDMAPasid *p, const PCISVMDMAContext *ctx,
                                uint64_t first, uint64_t last);
void svm_dma_revoke_all_maps_locked(PCISVMDMA *e);

/* Wait until nobody accesses what was revoked. */
void svm_dma_wait_revoked_locked(PCISVMDMA *e);

/* pci_svm_dma_aio.c */

/* The operation of a request begins, or ends; returns if it is cancelled. */
bool svm_dma_request_begin_locked(PCISVMDMARequest *req, SVMDMAOp *op);
void svm_dma_request_end_locked(PCISVMDMARequest *req);

#endif /* HW_PCI_PCI_SVM_DMA_INTERNAL_H */
