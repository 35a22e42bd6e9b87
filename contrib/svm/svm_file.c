/*
 * Linux driver of the demo endpoint: the character device
 *
 * An open file binds the opener's address space to the device. Commands and
 * queues of the file work on that address space.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <linux/compat.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "svm_drv.h"

static void svm_mark_stopped(struct svm_file *file)
{
    guard(spinlock_irq)(&file->svm->cmd_lock);
    file->stopped = true;
}

/* On return the device neither works for @file nor starts to. */
static void svm_stop(struct svm_file *file)
{
    scoped_guard(mutex, &file->svm->queues_lock) {
        svm_mark_stopped(file);
        svm_queues_stop(file);
    }
    svm_command_cancel(file);
}

/*
 * The address space goes away, by exit or exec, or the bond does. The IOMMU
 * driver is about to clear the PASID's entry, and a request that it receives
 * after that is a fault in the log: the device must have stopped before.
 */
static void svm_mm_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
    struct svm_file *file = container_of(notifier, struct svm_file, notifier);

    svm_stop(file);
    complete_all(&file->released);
}

static const struct mmu_notifier_ops svm_mmu_ops = {
    .release = svm_mm_release,
};

/*
 * The caller holds files_lock.
 *
 * The IOMMU driver does not expect the bond to end while it hears that the
 * address space does. So that is put off, or, if it has begun, waited for:
 * everyone's notifiers are called in one go, and mmu_notifier_unregister()
 * waits for all of them.
 *
 * Page requests that the device sent before it stopped may still be in the
 * IOMMU's queue, and the kernel finds the bond by their PASID: it has to last
 * until they are answered. iommu_sva_unbind_device() sees to that while there
 * is an entry for the PASID. Linux 7.3 does not once the address space is gone.
 * Nor may svm_mm_release() wait: the kernel may be about to answer, and calls
 * it from there. During a reset, which forgets the requests, there is nothing
 * to ask the device for: svm_reset_prepare() has waited.
 */
static void svm_unbind(struct svm_file *file)
{
    bool alive;

    if (!file->sva) {
        return;
    }
    alive = mmget_not_zero(file->mm);
    if (!alive) {
        wait_for_completion(&file->released);
    }
    /* Calls svm_mm_release() if that has not happened. */
    mmu_notifier_unregister(&file->notifier, file->mm);
    if (!alive && file->svm->state != SVM_RESETTING) {
        svm_end_requests(file);
    }
    iommu_sva_unbind_device(file->sva);
    file->sva = NULL;
    if (alive) {
        mmput_async(file->mm);
    }
}

void svm_unbind_all(struct svm_device *svm)
{
    struct svm_file *file;

    list_for_each_entry(file, &svm->files, node) {
        svm_unbind(file);
    }
}

bool svm_wait_answers_all(struct svm_device *svm)
{
    struct svm_file *file;
    bool good = true;

    list_for_each_entry(file, &svm->files, node) {
        good &= svm_wait_answers(file);
    }
    return good;
}

static int svm_bind_mm(struct svm_file *file, struct mm_struct *mm)
{
    struct iommu_sva *sva;
    int ret;

    sva = iommu_sva_bind_device(&file->svm->pdev->dev, mm);
    if (IS_ERR(sva)) {
        return PTR_ERR(sva);
    }
    file->mm = mm;
    file->pasid = iommu_sva_get_pasid(sva);
    /* Those who register last are called first: before the IOMMU driver. */
    file->notifier.ops = &svm_mmu_ops;
    ret = mmu_notifier_register(&file->notifier, mm);
    if (ret) {
        iommu_sva_unbind_device(sva);
        return ret;
    }
    file->sva = sva;
    return 0;
}

static int svm_bind(struct svm_file *file)
{
    struct svm_device *svm = file->svm;
    int ret;

    guard(mutex)(&svm->files_lock);
    if (svm->state == SVM_REMOVED) {
        return -ENODEV;
    }
    ret = svm_bind_mm(file, current->mm);
    if (!ret) {
        list_add(&file->node, &svm->files);
    }
    return ret;
}

static void svm_file_free(struct svm_file *file)
{
    __free_page(file->nowhere);
    kfree(file);
}

static struct svm_file *svm_file_alloc(void)
{
    struct svm_file *file;

    file = kzalloc(sizeof(*file), GFP_KERNEL);
    if (!file) {
        return NULL;
    }
    file->nowhere = alloc_page(GFP_KERNEL | __GFP_ZERO);
    if (!file->nowhere) {
        kfree(file);
        return NULL;
    }
    return file;
}

static int svm_open(struct inode *inode, struct file *filp)
{
    struct svm_device *svm = container_of(filp->private_data,
                                          struct svm_device, misc);
    struct svm_file *file;
    int ret;

    file = svm_file_alloc();
    if (!file) {
        return -ENOMEM;
    }
    file->svm = svm;
    file->filp = filp;
    init_completion(&file->released);
    ret = svm_bind(file);
    if (ret) {
        svm_file_free(file);
        return ret;
    }
    kref_get(&svm->ref);
    filp->private_data = file;
    return 0;
}

/* Queues and doorbells of the file hold it open: there are none. */
static int svm_release(struct inode *inode, struct file *filp)
{
    struct svm_file *file = filp->private_data;
    struct svm_device *svm = file->svm;

    scoped_guard(mutex, &svm->files_lock) {
        svm_unbind(file);
        list_del(&file->node);
    }
    svm_file_free(file);
    svm_device_put(svm);
    return 0;
}

static int svm_read_counters(struct svm_device *svm, u64 *values)
{
    int i;

    guard(spinlock_irq)(&svm->cmd_lock);
    if (svm->state != SVM_ALIVE) {
        return -ENODEV;
    }
    for (i = 0; i < SVM_NR_COUNTERS; i++) {
        values[i] = readq(svm->bar + SVM_REG_STATS + i * 8);
    }
    return 0;
}

static long svm_ioctl_counters(struct svm_file *file, unsigned long arg)
{
    void __user *to = (void __user *)arg;
    struct svm_counters counters;
    int ret;

    static_assert(SVM_REG_STATS + sizeof(counters) == SVM_STAT_END);

    ret = svm_read_counters(file->svm, counters.value);
    if (ret) {
        return ret;
    }
    return copy_to_user(to, &counters, sizeof(counters)) ? -EFAULT : 0;
}

static bool svm_is_bound(struct svm_file *file)
{
    guard(mutex)(&file->svm->files_lock);
    return file->sva;
}

/* Nobody waits with a lock for the page of @arg. */
static long svm_ioctl_pasid(struct svm_file *file, unsigned long arg)
{
    if (!svm_is_bound(file)) {
        return -ENODEV;
    }
    return put_user(file->pasid, (u32 __user *)arg);
}

static long svm_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
    struct svm_file *file = filp->private_data;

    switch (cmd) {
    case SVM_IOC_SUBMIT:
        return svm_command_submit(file, arg);
    case SVM_IOC_WAIT:
        return svm_command_wait(file, arg);
    case SVM_IOC_COUNTERS:
        return svm_ioctl_counters(file, arg);
    case SVM_IOC_PASID:
        return svm_ioctl_pasid(file, arg);
    case SVM_IOC_QUEUE:
        return svm_queue_create(file, arg);
    case SVM_IOC_QUEUE_INFO:
        return svm_queue_info(file, arg);
    case SVM_IOC_GRANT:
        return svm_grant_create(file, arg);
    case SVM_IOC_REVOKE:
        return svm_grant_revoke(file);
    default:
        return -ENOTTY;
    }
}

static int svm_mmap(struct file *filp, struct vm_area_struct *vma)
{
    return svm_queue_mmap(filp->private_data, vma);
}

const struct file_operations svm_fops = {
    .owner = THIS_MODULE,
    .open = svm_open,
    .release = svm_release,
    .unlocked_ioctl = svm_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
    .mmap = svm_mmap,
};
