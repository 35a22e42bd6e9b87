/*
 * DMA to the memory of a guest's processes: page request groups
 *
 * An operation asks the guest's OS for all pages that its translations lack, in
 * one group, as far as the function's allocation permits, and waits for the
 * answer. Credits are given first come, first served. A group belongs to the
 * engine until it is answered, whatever becomes of the operation.
 *
 * PCIe Base Specification r6.0, sections 6.20.1 and 10.4.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "block/aio.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#include "pci_svm_dma_internal.h"
#include "trace.h"

/* Pause before what found no room, or no credit, is tried again */
#define SVM_DMA_HOLDOFF_NS (1 * SCALE_MS)

/* An OS has taken what it was sent of an abandoned group out of its queue */
#define SVM_DMA_FORGET_NS (100 * SCALE_MS)

/* Time */

static int64_t fault_now(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

static void op_set_deadline(SVMDMAOp *op)
{
    uint32_t ms = qatomic_read(&op->engine->page_timeout_ms);

    if (ms && !op->deadline) {
        op->deadline = fault_now() + (int64_t)ms * SCALE_MS;
    }
}

static bool op_is_late(const SVMDMAOp *op)
{
    return op->deadline && fault_now() >= op->deadline;
}

static bool op_may_wait(const SVMDMAOp *op)
{
    return svm_dma_op_status(op) == PCI_SVM_DMA_OK && !op_is_late(op);
}

static int op_fail_unanswered(SVMDMAOp *op)
{
    return svm_dma_op_fail(op, op_is_late(op) ? PCI_SVM_DMA_TIMEOUT
                                              : PCI_SVM_DMA_DISABLED);
}

/* For the guest: not beyond the deadline */
static void coroutine_fn op_wait_guest_locked(SVMDMAOp *op, int64_t ns)
{
    if (op->deadline) {
        int64_t left = MAX(op->deadline - fault_now(), 1);

        ns = ns == SVM_DMA_FOREVER ? left : MIN(ns, left);
    }
    svm_dma_op_wait_locked(op, ns);
}

/* Groups and credits */

static void fault_wake_first_locked(PCISVMDMA *e)
{
    SVMDMAOp *op = QTAILQ_FIRST(&e->credit_queue);

    if (op) {
        svm_dma_op_wake_locked(op);
    }
}

static void fault_put_group_locked(PCISVMDMA *e, SVMDMAGroup *group)
{
    SVMDMAPasid *p = group->pasid;

    e->credits_used -= group->credits;
    e->groups_used--;
    *group = (SVMDMAGroup) { };
    if (--p->groups == 0 && !p->contexts) {
        /* This may be its notifier, which cannot be unregistered here. */
        qatomic_inc(&e->refs);
        aio_bh_schedule_oneshot(qemu_get_aio_context(),
                                svm_dma_collect_pasids, e);
    }
    fault_wake_first_locked(e);
}

static void fault_tell_locked(SVMDMAGroup *group, SVMDMAAnswer answer)
{
    SVMDMAOp *op = g_steal_pointer(&group->op);

    if (op) {
        op->answer = answer;
        svm_dma_op_wake_locked(op);
    }
}

static void fault_answer_locked(PCISVMDMA *e, SVMDMAGroup *group,
                                SVMDMAAnswer answer)
{
    fault_tell_locked(group, answer);
    fault_put_group_locked(e, group);
}

static bool fault_is_sending_lost(void *opaque)
{
    PCISVMDMA *e = opaque;
    SVMDMAOp *op;

    QLIST_FOREACH(op, &e->ops, next) {
        if (op->sending && op->answer == ANSWER_LOST) {
            return true;
        }
    }
    return false;
}

/* What is complete awaits its response all the same, which finds no one. */
void svm_dma_lose_groups_locked(PCISVMDMA *e)
{
    for (int i = 0; i < SVM_DMA_GROUPS; i++) {
        fault_tell_locked(&e->groups[i], ANSWER_LOST);
    }
    svm_dma_wait_unused_locked(e, fault_is_sending_lost, e);
    for (int i = 0; i < SVM_DMA_GROUPS; i++) {
        SVMDMAGroup *group = &e->groups[i];

        if (group->pasid) {
            pcie_pri_abandon_group(e->dev, group->pasid->pasid, i);
            fault_put_group_locked(e, group);
        }
    }
}

/*
 * Indices are used in turn: one that was abandoned while PRI was disabled may
 * still be outstanding for the host.
 */
static unsigned fault_find_prgi_locked(PCISVMDMA *e)
{
    while (e->groups[e->next_prgi % SVM_DMA_GROUPS].pasid) {
        e->next_prgi++;
    }
    return e->next_prgi++ % SVM_DMA_GROUPS;
}

static SVMDMAGroup *op_new_group_locked(SVMDMAOp *op, unsigned prgi,
                                        uint32_t credits)
{
    PCISVMDMA *e = op->engine;
    SVMDMAGroup *group = &e->groups[prgi];

    *group = (SVMDMAGroup) {
        .pasid = op->ctx->pasid_use, .op = op, .credits = credits,
    };
    group->pasid->groups++;
    e->groups_used++;
    e->credits_used += credits;
    op->answer = ANSWER_NONE;
    return group;
}

static bool op_may_ask(SVMDMAOp *op, uint32_t *alloc)
{
    *alloc = op_may_wait(op) ? pcie_pri_get_req_alloc(op->engine->dev) : 0;
    return *alloc;
}

static bool op_has_turn_locked(SVMDMAOp *op)
{
    PCISVMDMA *e = op->engine;

    return QTAILQ_FIRST(&e->credit_queue) == op && !e->paused &&
           e->groups_used < SVM_DMA_GROUPS;
}

/*
 * A group with one credit at least, and *@count at most, which is set to that;
 * or NULL. All of it is there at once: an operation that waited for more in
 * the middle of a group might wait for another function, which does the same.
 */
static SVMDMAGroup *op_try_group_locked(SVMDMAOp *op, unsigned *count)
{
    PCISVMDMA *e = op->engine;
    unsigned prgi;
    int credits;

    if (!op_has_turn_locked(op)) {
        return NULL;
    }
    prgi = fault_find_prgi_locked(e);
    credits = pcie_pri_plan_group(e->dev, op->ctx->pasid, prgi, *count);
    if (credits < 0) {
        return NULL;
    }
    *count = credits;
    return op_new_group_locked(op, prgi, credits);
}

/* Nobody tells when other functions give back the credits that they share. */
static int64_t op_credit_wait_locked(SVMDMAOp *op, uint32_t alloc)
{
    return op_has_turn_locked(op) && op->engine->credits_used < alloc
           ? SVM_DMA_HOLDOFF_NS : SVM_DMA_FOREVER;
}

/* Wait for credits, first come first served. Returns NULL after a failure. */
static SVMDMAGroup * coroutine_fn op_get_group(SVMDMAOp *op, unsigned *count)
{
    PCISVMDMA *e = op->engine;
    SVMDMAGroup *group = NULL;
    uint32_t alloc;

    QEMU_LOCK_GUARD(&e->lock);
    QTAILQ_INSERT_TAIL(&e->credit_queue, op, next_credit);
    while (op_may_ask(op, &alloc) &&
           !(group = op_try_group_locked(op, count))) {
        op_wait_guest_locked(op, op_credit_wait_locked(op, alloc));
    }
    QTAILQ_REMOVE(&e->credit_queue, op, next_credit);
    fault_wake_first_locked(e);
    return group;
}

/* Give up a group of which nothing was sent. */
static void op_put_group(SVMDMAOp *op, SVMDMAGroup *group)
{
    PCISVMDMA *e = op->engine;

    QEMU_LOCK_GUARD(&e->lock);
    if (op->answer == ANSWER_NONE) {
        pcie_pri_abandon_group(e->dev, op->ctx->pasid, group - e->groups);
        fault_put_group_locked(e, group);
    }
    op->answer = ANSWER_NONE;
}

/* Sending */

static bool fault_is_busy_errno(int ret)
{
    return ret == -ENOSPC || ret == -EBUSY;
}

static int fault_count(PCISVMDMA *e, int ret)
{
    stat64_add(ret ? &e->stats.refused : &e->stats.page_requests, 1);
    return ret;
}

/*
 * Nothing of a group that was lost is sent any more: PRI may be enabled again,
 * and then it would be the beginning of a group that nobody completes. What is
 * being sent is waited for by svm_dma_lose_groups_locked().
 */
static bool op_begin_send(SVMDMAOp *op)
{
    QEMU_LOCK_GUARD(&op->engine->lock);
    op->sending = op->answer == ANSWER_NONE;
    return op->sending;
}

static void op_end_send(SVMDMAOp *op)
{
    QEMU_LOCK_GUARD(&op->engine->lock);
    op->sending = false;
    svm_dma_wake_waiters_locked(op->engine);
}

static int op_send_page(SVMDMAOp *op, uint64_t page, bool last, uint16_t prgi)
{
    PCISVMDMA *e = op->engine;
    int ret;

    if (!op_begin_send(op)) {
        return -EPERM;
    }
    ret = pci_pri_request_page(e->dev, op->ctx->pasid, op->priv, op->exec,
                               page, last, prgi, true, op->is_write);
    op_end_send(op);
    return fault_count(e, ret);
}

/* Wait for room in the host's queue. Returns false if that is in vain. */
static bool coroutine_fn op_hold_off(SVMDMAOp *op)
{
    QEMU_LOCK_GUARD(&op->engine->lock);
    if (op->answer == ANSWER_NONE && op_may_wait(op)) {
        op_wait_guest_locked(op, SVM_DMA_HOLDOFF_NS);
    }
    return op->answer == ANSWER_NONE && op_may_wait(op);
}

/*
 * The operation ends and its group is not complete. The host keeps a group
 * until it has seen the last request (PCIe r6.0, 6.20.1), and so does the
 * function its credits: the engine sees to that.
 */
static void op_leave_group(SVMDMAOp *op, SVMDMAGroup *group, uint64_t page)
{
    PCISVMDMA *e = op->engine;

    QEMU_LOCK_GUARD(&e->lock);
    if (op->answer != ANSWER_NONE) {
        return;
    }
    group->op = NULL;
    group->incomplete = true;
    group->rest.page = page;
    group->rest.priv = op->priv;
    group->rest.exec = op->exec;
    group->rest.is_write = op->is_write;
    timer_mod(&e->group_timer, fault_now());
}

/*
 * The function may send nothing as it is set up, or the guest's tables do not
 * let it: nobody will answer what was sent. Whether that changes is for the
 * guest to say, and others need the credits. But the OS may have that in its
 * queue still, and shall not take the group for ended before it has seen it.
 */
static void fault_abandon_group(PCISVMDMA *e, SVMDMAGroup *group)
{
    pcie_pri_abandon_group(e->dev, group->pasid->pasid, group - e->groups);
    QEMU_LOCK_GUARD(&e->lock);
    e->credits_used -= group->credits;
    group->credits = 0;
    group->incomplete = false;
    group->forget = fault_now() + SVM_DMA_FORGET_NS;
    fault_wake_first_locked(e);
}

/*
 * The group cannot change meanwhile: answers come under the BQL, as this.
 * Returns false if there was no room.
 */
static bool fault_send_rest(PCISVMDMA *e, SVMDMAGroup *group)
{
    int ret = pci_pri_request_page(e->dev, group->pasid->pasid,
                                   group->rest.priv, group->rest.exec,
                                   group->rest.page, true, group - e->groups,
                                   true, group->rest.is_write);

    fault_count(e, ret);
    if (fault_is_busy_errno(ret)) {
        return false;
    }
    if (ret) {
        fault_abandon_group(e, group);
        return true;
    }
    QEMU_LOCK_GUARD(&e->lock);
    group->incomplete = false;
    return true;
}

/* Returns when it is to be forgotten. */
static int64_t fault_forget_group(PCISVMDMA *e, SVMDMAGroup *group)
{
    QEMU_LOCK_GUARD(&e->lock);
    if (group->forget && group->forget <= fault_now()) {
        fault_put_group_locked(e, group);
    }
    return group->forget ?: INT64_MAX;
}

/* Returns when to look at the group again. */
static int64_t fault_tend_group(PCISVMDMA *e, SVMDMAGroup *group)
{
    bool incomplete;

    WITH_QEMU_LOCK_GUARD(&e->lock) {
        incomplete = group->incomplete;
    }
    if (incomplete && !fault_send_rest(e, group)) {
        return fault_now() + SVM_DMA_HOLDOFF_NS;
    }
    return fault_forget_group(e, group);
}

void svm_dma_tend_groups(void *opaque)
{
    PCISVMDMA *e = opaque;
    int64_t next = INT64_MAX;

    for (int i = 0; i < SVM_DMA_GROUPS; i++) {
        next = MIN(next, fault_tend_group(e, &e->groups[i]));
    }
    if (next < INT64_MAX) {
        timer_mod_anticipate(&e->group_timer, next);
    }
}

/* Returns 0 when the whole group was sent, -EAGAIN when none of it was. */
static int coroutine_fn op_send_group(SVMDMAOp *op, SVMDMAGroup *group,
                                      const uint64_t *pages, unsigned count)
{
    uint16_t prgi = group - op->engine->groups;
    unsigned sent = 0;
    int ret;

    while (sent < count) {
        ret = op_send_page(op, pages[sent], sent == count - 1, prgi);
        if (!ret) {
            sent++;
        } else if (!sent) {
            op_put_group(op, group);
            return fault_is_busy_errno(ret) && op_hold_off(op)
                   ? -EAGAIN : op_fail_unanswered(op);
        } else if (!fault_is_busy_errno(ret) || !op_hold_off(op)) {
            op_leave_group(op, group, pages[sent]);
            return op_fail_unanswered(op);
        }
    }
    return 0;
}

/* Answers */

/* If the operation ends first the group lives on until it is answered. */
static SVMDMAAnswer coroutine_fn op_wait_answer(SVMDMAOp *op,
                                                SVMDMAGroup *group)
{
    QEMU_LOCK_GUARD(&op->engine->lock);
    while (op->answer == ANSWER_NONE && op_may_wait(op)) {
        op_wait_guest_locked(op, SVM_DMA_FOREVER);
    }
    if (op->answer == ANSWER_NONE) {
        group->op = NULL;
    } else {
        op->deadline = 0;
    }
    return op->answer;
}

/*
 * A process that asks for memory that it does not have may do so again: then
 * each request costs the guest's OS a fault in vain. An operation that runs at
 * the same time may win; that does no harm.
 */
static void op_adapt_groups(SVMDMAOp *op, bool success)
{
    unsigned max = qatomic_read(&op->ctx->group_max);

    qatomic_set(&op->ctx->group_max,
                success ? MIN(max * 2, SVM_DMA_GROUP_MAX)
                        : MAX(max / 8, SVM_DMA_GROUP_MIN));
}

/* The OS was asked for @count pages. Returns 0 to translate again. */
static int op_handle_answer(SVMDMAOp *op, SVMDMAAnswer answer, unsigned count)
{
    op->tries++;
    switch (answer) {
    case ANSWER_SUCCESS:
        op_adapt_groups(op, true);
        return 0;
    case ANSWER_INVALID:
        op_adapt_groups(op, false);
        if (count == 1) {
            return svm_dma_op_fail_access(op);
        }
        /* It need not have been the first page: ask for that alone. */
        op->group_max = 1;
        return 0;
    case ANSWER_FAILURE:
        return svm_dma_op_fail(op, PCI_SVM_DMA_RESPONSE_FAILURE);
    default:
        return op_fail_unanswered(op);
    }
}

/* The pages that the results say are missing, up to @max of them */
static unsigned op_list_missing(const SVMDMAOp *op, uint64_t *pages,
                                unsigned max)
{
    uint64_t page_size = op->engine->page_size;
    uint64_t op_last = op->addr + (op->len - 1);
    unsigned count = 0;

    for (size_t i = 0; i < op->result_count && count < max; i++) {
        const IOMMUTLBEntry *entry = &op->results[i];
        uint64_t first = MAX(entry->iova & ~entry->addr_mask,
                             op->addr & ~(page_size - 1));
        uint64_t last = MIN(entry->iova | entry->addr_mask, op_last);

        if (svm_dma_op_is_granted(op, entry) || first > last) {
            continue;
        }
        do {
            pages[count++] = first;
            first += page_size;
        } while (count < max && first - 1 < last);
    }
    return count;
}

int coroutine_fn svm_dma_op_ask(SVMDMAOp *op)
{
    PCISVMDMA *e = op->engine;
    uint64_t pages[SVM_DMA_GROUP_MAX];
    unsigned max = op->group_max ?: qatomic_read(&op->ctx->group_max);
    unsigned count = op_list_missing(op, pages, max);
    SVMDMAGroup *group;
    SVMDMAAnswer answer;
    int ret;

    op_set_deadline(op);
    group = op_get_group(op, &count);
    if (!group) {
        return op_fail_unanswered(op);
    }
    trace_pci_svm_dma_page_group(e->name, op->ctx->pasid, group - e->groups,
                                 pages[0], count, op->is_write);
    ret = op_send_group(op, group, pages, count);
    if (ret) {
        return ret == -EAGAIN ? 0 : ret;
    }
    answer = op_wait_answer(op, group);
    return svm_dma_op_check(op) ?: op_handle_answer(op, answer, count);
}

static SVMDMAAnswer fault_count_answer(PCISVMDMA *e, IOMMUPRIResponseCode code)
{
    stat64_add(&e->stats.page_groups, 1);
    switch (code) {
    case IOMMU_PRI_RESP_SUCCESS:
        stat64_add(&e->stats.resp_success, 1);
        return ANSWER_SUCCESS;
    case IOMMU_PRI_RESP_INVALID_REQUEST:
        stat64_add(&e->stats.resp_invalid, 1);
        return ANSWER_INVALID;
    default:
        stat64_add(&e->stats.resp_failure, 1);
        return ANSWER_FAILURE;
    }
}

void svm_dma_respond(IOMMUPRINotifier *notifier, IOMMUPRIResponse *response)
{
    SVMDMAPasid *p = container_of(notifier, SVMDMAPasid, pri);
    PCISVMDMA *e = p->engine;
    uint16_t prgi = response->prgi & PCI_PRI_PRGI_MASK;
    SVMDMAGroup *group = &e->groups[prgi];

    QEMU_LOCK_GUARD(&e->lock);
    trace_pci_svm_dma_response(e->name, p->pasid, prgi,
                               response->response_code, group->op != NULL);
    if (group->pasid == p) {
        fault_answer_locked(e, group,
                            fault_count_answer(e, response->response_code));
    }
}
