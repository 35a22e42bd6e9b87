/*
 * Linux driver of the demo endpoint: the single-command interface
 *
 * The device works on one command at a time: open files take turns.
 * docs/specs/svm.rst, "Single command: registers" and "Commands".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "svm_drv.h"

/* How long the device may take to end a command whose PASID was disabled */
#define SVM_STOP_TIMEOUT (10 * HZ)

/*
 * How long the kernel may take from one answer to a page request group to the
 * next, and how often the device is asked for them, in microseconds. A
 * real-time thread of it takes the requests out of the IOMMU's queue, and when
 * the address space is gone an answer takes no time.
 */
#define SVM_ANSWER_TIMEOUT_US USEC_PER_SEC
#define SVM_ANSWER_POLL_US 1000

/* What a register of a function that is gone reads as */
#define SVM_STATUS_LOST (~0ULL)

/* The registers. The caller holds cmd_lock and knows that the device lives. */

static u64 svm_read_commands(struct svm_device *svm)
{
    return readq(svm->bar + SVM_STAT_COMMANDS);
}

/*
 * Whatever happened to the register since, a command has its file's PASID. An
 * idle device that is told the same again keeps its cache.
 */
static void svm_set_pasid(struct svm_device *svm, u32 pasid)
{
    writel(pasid, svm->bar + SVM_REG_PASID);
    svm->pasid = pasid;
}

static void svm_start(struct svm_file *file, const struct svm_command *cmd)
{
    struct svm_device *svm = file->svm;

    svm->commands = svm_read_commands(svm);
    svm_set_pasid(svm, file->pasid);
    writeq(cmd->addr, svm->bar + SVM_REG_ADDR);
    writeq(cmd->size, svm->bar + SVM_REG_SIZE);
    writeq(cmd->crc, svm->bar + SVM_REG_CRC);
    writeq(cmd->options, svm->bar + SVM_REG_OPTIONS);
    writeq(cmd->op, svm->bar + SVM_REG_CMD);
}

/* The only vector of MSI is for the queues, too: has the command ended? */
irqreturn_t svm_command_irq(int irq, void *data)
{
    struct svm_device *svm = data;
    struct svm_file *file;

    scoped_guard(spinlock, &svm->cmd_lock) {
        file = svm->owner;
        if (!file || svm_read_commands(svm) == svm->commands) {
            return IRQ_HANDLED;
        }
        file->status = readq(svm->bar + SVM_REG_STATUS);
        file->state = SVM_FILE_DONE;
        svm->owner = NULL;
    }
    wake_up_all(&svm->wait);
    return IRQ_HANDLED;
}

/* Start @cmd, or say why not: -EAGAIN while it has to wait for its turn. */
static int svm_try_submit(struct svm_file *file, const struct svm_command *cmd)
{
    struct svm_device *svm = file->svm;

    guard(spinlock_irq)(&svm->cmd_lock);
    if (svm->state == SVM_HUNG || svm->state == SVM_REMOVED || file->stopped) {
        return -ENODEV;
    }
    if (file->state != SVM_FILE_IDLE) {
        return -EBUSY;
    }
    if (svm->owner || svm->state == SVM_RESETTING) {
        return -EAGAIN;
    }
    svm->owner = file;
    file->state = SVM_FILE_BUSY;
    svm_start(file, cmd);
    return 0;
}

/* For wait_event(): has svm_try_submit() an answer? */
static bool svm_submitted(struct svm_file *file, const struct svm_command *cmd,
                          int *ret)
{
    *ret = svm_try_submit(file, cmd);
    return *ret != -EAGAIN;
}

/* Collect the status of @file's command: -EAGAIN while it goes on. */
static int svm_try_collect(struct svm_file *file, u64 *status)
{
    guard(spinlock_irq)(&file->svm->cmd_lock);
    switch (file->state) {
    case SVM_FILE_IDLE:
        return -EINVAL;
    case SVM_FILE_BUSY:
        return -EAGAIN;
    case SVM_FILE_DONE:
        break;
    }
    *status = file->status;
    file->state = SVM_FILE_IDLE;
    return *status == SVM_STATUS_LOST ? -ENODEV : 0;
}

/* For wait_event(): has svm_try_collect() an answer? */
static bool svm_collected(struct svm_file *file, u64 *status, int *ret)
{
    *ret = svm_try_collect(file, status);
    return *ret != -EAGAIN;
}

static bool svm_is_owner(struct svm_file *file)
{
    guard(spinlock_irq)(&file->svm->cmd_lock);
    return file->svm->owner == file;
}

/*
 * Take the PASID away from the device unless another file uses it. A command of
 * @file that is going on thereby fails, and its interrupt arrives.
 */
static void svm_disable_pasid(struct svm_file *file)
{
    struct svm_device *svm = file->svm;
    bool idle;

    guard(spinlock_irq)(&svm->cmd_lock);
    idle = svm->state == SVM_ALIVE && !svm->owner;
    if (svm->owner == file || (idle && svm->pasid == file->pasid)) {
        svm_set_pasid(svm, SVM_PASID_NONE);
    }
}

void svm_command_cancel(struct svm_file *file)
{
    struct svm_device *svm = file->svm;
    bool present;

    svm_disable_pasid(file);
    if (!svm_is_owner(file)) {
        return;
    }
    present = pci_device_is_present(svm->pdev);
    if (!wait_event_timeout(svm->wait, !svm_is_owner(file),
                            present ? SVM_STOP_TIMEOUT : 0)) {
        if (present) {
            pr_err("%s: the device did not stop\n", svm->misc.name);
        }
        svm_give_up(svm, SVM_HUNG);
    }
}

/*
 * Page request groups of @file's address space without a response. In whatever
 * state the device is, it is asked no more than that.
 */
static u32 svm_read_outstanding(struct svm_file *file)
{
    struct svm_device *svm = file->svm;
    u32 groups;

    guard(spinlock_irq)(&svm->cmd_lock);
    writel(file->pasid, svm->bar + SVM_REG_OUTSTANDING);
    groups = readl(svm->bar + SVM_REG_OUTSTANDING);
    /* The function is gone, and its requests are nobody's. */
    return groups == U32_MAX ? 0 : groups;
}

/*
 * A group whose rest the IOMMU refused, as the address space went away, is
 * never answered; the device ceases to count it by itself.
 */
bool svm_wait_answers(struct svm_file *file)
{
    u32 groups = svm_read_outstanding(file);
    u32 before;
    int ret;

    do {
        before = groups;
        ret = read_poll_timeout(svm_read_outstanding, groups,
                                !groups || groups != before,
                                SVM_ANSWER_POLL_US, SVM_ANSWER_TIMEOUT_US,
                                false, file);
    } while (!ret && groups);
    return !ret;
}

/*
 * If the kernel has taken the requests and still does not answer, it may be at
 * what takes long: the end of the address space, which was left to it.
 */
void svm_end_requests(struct svm_file *file)
{
    if (!svm_wait_answers(file)) {
        iopf_queue_flush_dev(&file->svm->pdev->dev);
    }
}

void svm_command_lose(struct svm_device *svm)
{
    scoped_guard(spinlock_irq, &svm->cmd_lock) {
        if (svm->owner) {
            svm->owner->status = SVM_STATUS_LOST;
            svm->owner->state = SVM_FILE_DONE;
            svm->owner = NULL;
        }
    }
    wake_up_all(&svm->wait);
}

static struct svm_file *svm_owner(struct svm_device *svm)
{
    guard(spinlock_irq)(&svm->cmd_lock);
    return svm->owner;
}

/* The caller's files_lock keeps the owner from going away. */
void svm_command_cancel_any(struct svm_device *svm)
{
    struct svm_file *owner = svm_owner(svm);

    if (owner) {
        svm_command_cancel(owner);
    }
}

long svm_command_submit(struct svm_file *file, unsigned long arg)
{
    void __user *from = (void __user *)arg;
    struct svm_command cmd;
    int ret;

    if (current->mm != file->mm) {
        return -EPERM;
    }
    if (copy_from_user(&cmd, from, sizeof(cmd))) {
        return -EFAULT;
    }
    if (cmd.op != SVM_CMD_READ && cmd.op != SVM_CMD_WRITE) {
        return -EINVAL;
    }
    if (wait_event_interruptible(file->svm->wait,
                                 svm_submitted(file, &cmd, &ret))) {
        return -ERESTARTSYS;
    }
    return ret;
}

long svm_command_wait(struct svm_file *file, unsigned long arg)
{
    void __user *to = (void __user *)arg;
    u64 status;
    int ret;

    if (wait_event_interruptible(file->svm->wait,
                                 svm_collected(file, &status, &ret))) {
        return -ERESTARTSYS;
    }
    if (ret) {
        return ret;
    }
    return copy_to_user(to, &status, sizeof(status)) ? -EFAULT : 0;
}
