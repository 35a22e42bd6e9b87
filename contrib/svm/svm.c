/*
 * Linux driver of the demo endpoint for shared virtual memory
 *
 * Gives processes the single-command interface of docs/specs/svm.rst, each on
 * its own memory: an open file binds the opener's address space to the device,
 * and the commands of all files take turns.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "hw/misc/svm.h"
#include "svm_uapi.h"

#define SVM_NAME "svm"

/* How long the device may take to end a command whose PASID was disabled */
#define SVM_STOP_TIMEOUT (10 * HZ)

static bool msix = true;
module_param(msix, bool, 0444);
MODULE_PARM_DESC(msix, "Use MSI-X rather than MSI (default: true)");

static DEFINE_IDA(svm_ida);

enum svm_file_state {
    SVM_FILE_IDLE,
    SVM_FILE_BUSY,
    SVM_FILE_DONE,
};

/**
 * struct svm_device - one endpoint
 * @ref: held by the bound device and by each open file
 * @pdev: the PCI function; valid while @files_lock is held and not @dead
 * @bar: its registers; touched under @cmd_lock, and only while not @dead
 * @misc: the character device
 * @index: number in its name
 * @files_lock: protects @files and the bond of each file
 * @files: open files
 * @cmd_lock: protects what follows, and the state of each file
 * @owner: the file whose command the device works on
 * @pasid: content of the PASID register
 * @dead: removed, or it did not stop when told to
 * @wait: woken when a command has ended and when the device dies
 */
struct svm_device {
    struct kref ref;
    struct pci_dev *pdev;
    void __iomem *bar;
    struct miscdevice misc;
    int index;

    struct mutex files_lock;
    struct list_head files;

    spinlock_t cmd_lock;
    struct svm_file *owner;
    u32 pasid;
    bool dead;
    wait_queue_head_t wait;
};

/**
 * struct svm_file - one open file
 * @svm: the device
 * @node: in svm->files
 * @sva: bond between the device and @mm; NULL once the device is removed
 * @notifier: tells when @mm goes away
 * @mm: the opener's address space, which @notifier keeps from being freed
 * @pasid: what the device calls it
 * @stopped: @mm is gone, or the bond is about to go: no command any more
 * @state: of this file's command
 * @status: SVM_STATUS_*, when @state is SVM_FILE_DONE
 */
struct svm_file {
    struct svm_device *svm;
    struct list_head node;
    struct iommu_sva *sva;
    struct mmu_notifier notifier;
    struct mm_struct *mm;
    u32 pasid;
    bool stopped;
    enum svm_file_state state;
    u64 status;
};

static void svm_device_release(struct kref *ref)
{
    struct svm_device *svm = container_of(ref, struct svm_device, ref);

    ida_free(&svm_ida, svm->index);
    kfree(svm->misc.name);
    kfree(svm);
}

static void svm_device_put(void *svm)
{
    kref_put(&((struct svm_device *)svm)->ref, svm_device_release);
}

/* The registers. The caller holds cmd_lock and knows that the device lives. */

static void svm_set_pasid(struct svm_device *svm, u32 pasid)
{
    /* A change throws away the device's cache: leave it alone if possible */
    if (svm->pasid != pasid) {
        writel(pasid, svm->bar + SVM_REG_PASID);
        svm->pasid = pasid;
    }
}

static void svm_start(struct svm_file *file, const struct svm_command *cmd)
{
    struct svm_device *svm = file->svm;

    svm_set_pasid(svm, file->pasid);
    writeq(cmd->addr, svm->bar + SVM_REG_ADDR);
    writeq(cmd->size, svm->bar + SVM_REG_SIZE);
    writeq(cmd->crc, svm->bar + SVM_REG_CRC);
    writeq(cmd->options, svm->bar + SVM_REG_OPTIONS);
    writeq(cmd->op, svm->bar + SVM_REG_CMD);
}

static irqreturn_t svm_irq(int irq, void *data)
{
    struct svm_device *svm = data;
    struct svm_file *file;

    spin_lock(&svm->cmd_lock);
    file = svm->owner;
    if (file) {
        file->status = readq(svm->bar + SVM_REG_STATUS);
        file->state = SVM_FILE_DONE;
        svm->owner = NULL;
    }
    spin_unlock(&svm->cmd_lock);

    wake_up_all(&svm->wait);
    return IRQ_HANDLED;
}

/* Start @cmd, or say why not: -EAGAIN while another file has its turn. */
static int svm_try_submit(struct svm_file *file, const struct svm_command *cmd)
{
    struct svm_device *svm = file->svm;

    guard(spinlock_irq)(&svm->cmd_lock);
    if (svm->dead || file->stopped) {
        return -ENODEV;
    }
    if (file->state != SVM_FILE_IDLE) {
        return -EBUSY;
    }
    if (svm->owner) {
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
    struct svm_device *svm = file->svm;

    guard(spinlock_irq)(&svm->cmd_lock);
    switch (file->state) {
    case SVM_FILE_IDLE:
        return -EINVAL;
    case SVM_FILE_BUSY:
        return svm->dead ? -ENODEV : -EAGAIN;
    case SVM_FILE_DONE:
        break;
    }
    *status = file->status;
    file->state = SVM_FILE_IDLE;
    return 0;
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
 * Take the PASID away from the device unless another file uses it, for good. A
 * command of @file that is going on thereby fails, and its interrupt arrives.
 */
static void svm_disable_pasid(struct svm_file *file)
{
    struct svm_device *svm = file->svm;

    guard(spinlock_irq)(&svm->cmd_lock);
    file->stopped = true;
    if (svm->dead) {
        return;
    }
    if (svm->owner == file || (!svm->owner && svm->pasid == file->pasid)) {
        svm_set_pasid(svm, SVM_PASID_NONE);
    }
}

static void svm_give_up(struct svm_device *svm)
{
    scoped_guard(spinlock_irq, &svm->cmd_lock) {
        svm->dead = true;
        svm->owner = NULL;
    }
    wake_up_all(&svm->wait);
}

/* On return the device neither works for @file nor starts to. */
static void svm_stop(struct svm_file *file)
{
    struct svm_device *svm = file->svm;

    svm_disable_pasid(file);
    if (!wait_event_timeout(svm->wait, !svm_is_owner(file),
                            SVM_STOP_TIMEOUT)) {
        pr_err("%s: the device did not stop\n", svm->misc.name);
        svm_give_up(svm);
    }
}

/*
 * The address space goes away, by exit or exec, or the bond does. The IOMMU
 * driver is about to clear the PASID's entry, and a request that it receives
 * after that is a fault in the log: the device must have stopped before.
 */
static void svm_mm_release(struct mmu_notifier *notifier, struct mm_struct *mm)
{
    svm_stop(container_of(notifier, struct svm_file, notifier));
}

static const struct mmu_notifier_ops svm_mmu_ops = {
    .release = svm_mm_release,
};

/* The caller holds files_lock. */
static void svm_unbind(struct svm_file *file)
{
    if (file->sva) {
        /* Calls svm_mm_release() if that has not happened. */
        mmu_notifier_unregister(&file->notifier, file->mm);
        iommu_sva_unbind_device(file->sva);
        file->sva = NULL;
    }
}

static int svm_bind_mm(struct svm_file *file, struct mm_struct *mm)
{
    struct iommu_sva *sva;
    int ret;

    sva = iommu_sva_bind_device(&file->svm->pdev->dev, mm);
    if (IS_ERR(sva)) {
        return PTR_ERR(sva);
    }
    /* Those who register last are called first: before the IOMMU driver. */
    file->notifier.ops = &svm_mmu_ops;
    ret = mmu_notifier_register(&file->notifier, mm);
    if (ret) {
        iommu_sva_unbind_device(sva);
        return ret;
    }
    file->sva = sva;
    file->mm = mm;
    file->pasid = iommu_sva_get_pasid(sva);
    return 0;
}

static int svm_bind(struct svm_file *file)
{
    struct svm_device *svm = file->svm;
    int ret;

    guard(mutex)(&svm->files_lock);
    if (svm->dead) {
        return -ENODEV;
    }
    ret = svm_bind_mm(file, current->mm);
    if (!ret) {
        list_add(&file->node, &svm->files);
    }
    return ret;
}

static int svm_open(struct inode *inode, struct file *filp)
{
    struct svm_device *svm = container_of(filp->private_data,
                                          struct svm_device, misc);
    struct svm_file *file;
    int ret;

    file = kzalloc(sizeof(*file), GFP_KERNEL);
    if (!file) {
        return -ENOMEM;
    }
    file->svm = svm;
    ret = svm_bind(file);
    if (ret) {
        kfree(file);
        return ret;
    }
    kref_get(&svm->ref);
    filp->private_data = file;
    return 0;
}

static int svm_release(struct inode *inode, struct file *filp)
{
    struct svm_file *file = filp->private_data;
    struct svm_device *svm = file->svm;

    scoped_guard(mutex, &svm->files_lock) {
        svm_unbind(file);
        list_del(&file->node);
    }
    kfree(file);
    svm_device_put(svm);
    return 0;
}

static long svm_ioctl_submit(struct svm_file *file, unsigned long arg)
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

static long svm_ioctl_wait(struct svm_file *file, unsigned long arg)
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

static long svm_ioctl_counters(struct svm_file *file, unsigned long arg)
{
    void __user *to = (void __user *)arg;
    struct svm_device *svm = file->svm;
    struct svm_counters counters;
    int i;

    static_assert(SVM_REG_STATS + sizeof(counters) == SVM_STAT_END);

    scoped_guard(spinlock_irq, &svm->cmd_lock) {
        if (svm->dead) {
            return -ENODEV;
        }
        for (i = 0; i < SVM_NR_COUNTERS; i++) {
            counters.value[i] = readq(svm->bar + SVM_REG_STATS + i * 8);
        }
    }
    return copy_to_user(to, &counters, sizeof(counters)) ? -EFAULT : 0;
}

static long svm_ioctl_pasid(struct svm_file *file, unsigned long arg)
{
    guard(mutex)(&file->svm->files_lock);
    if (!file->sva) {
        return -ENODEV;
    }
    return put_user(file->pasid, (u32 __user *)arg);
}

static long svm_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
    struct svm_file *file = filp->private_data;

    switch (cmd) {
    case SVM_IOC_SUBMIT:
        return svm_ioctl_submit(file, arg);
    case SVM_IOC_WAIT:
        return svm_ioctl_wait(file, arg);
    case SVM_IOC_COUNTERS:
        return svm_ioctl_counters(file, arg);
    case SVM_IOC_PASID:
        return svm_ioctl_pasid(file, arg);
    default:
        return -ENOTTY;
    }
}

static const struct file_operations svm_fops = {
    .owner = THIS_MODULE,
    .open = svm_open,
    .release = svm_release,
    .unlocked_ioctl = svm_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
};

/*
 * Files may stay open: they keep the memory of the device, not its bonds.
 * Not a devm action: the bonds must have gone before the driver core gives
 * the device back to the IOMMU layer, which it does between the two.
 */
static void svm_remove(struct pci_dev *pdev)
{
    struct svm_device *svm = pci_get_drvdata(pdev);
    struct svm_file *file;

    misc_deregister(&svm->misc);
    scoped_guard(mutex, &svm->files_lock) {
        list_for_each_entry(file, &svm->files, node) {
            svm_unbind(file);
        }
        svm_give_up(svm);
    }
}

static int svm_register(struct svm_device *svm)
{
    svm->misc.minor = MISC_DYNAMIC_MINOR;
    svm->misc.fops = &svm_fops;
    svm->misc.parent = &svm->pdev->dev;
    return misc_register(&svm->misc);
}

static struct svm_device *svm_device_alloc(struct pci_dev *pdev)
{
    struct svm_device *svm;

    svm = kzalloc(sizeof(*svm), GFP_KERNEL);
    if (!svm) {
        return ERR_PTR(-ENOMEM);
    }
    svm->index = ida_alloc(&svm_ida, GFP_KERNEL);
    if (svm->index < 0) {
        int ret = svm->index;

        kfree(svm);
        return ERR_PTR(ret);
    }
    kref_init(&svm->ref);
    svm->pdev = pdev;
    mutex_init(&svm->files_lock);
    INIT_LIST_HEAD(&svm->files);
    spin_lock_init(&svm->cmd_lock);
    init_waitqueue_head(&svm->wait);
    svm->misc.name = kasprintf(GFP_KERNEL, SVM_NAME "%d", svm->index);
    if (!svm->misc.name) {
        svm_device_put(svm);
        return ERR_PTR(-ENOMEM);
    }
    return svm;
}

static int svm_map(struct svm_device *svm)
{
    svm->bar = pcim_iomap_region(svm->pdev, SVM_BAR, SVM_NAME);
    if (IS_ERR(svm->bar)) {
        return PTR_ERR(svm->bar);
    }
    if (readq(svm->bar + SVM_REG_ID) != SVM_ID) {
        return -ENODEV;
    }
    writel(SVM_PASID_NONE, svm->bar + SVM_REG_PASID);
    svm->pasid = SVM_PASID_NONE;
    return 0;
}

static int svm_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
    struct device *dev = &pdev->dev;
    struct svm_device *svm;
    int ret;

    ret = pcim_enable_device(pdev);
    if (ret) {
        return ret;
    }
    svm = svm_device_alloc(pdev);
    if (IS_ERR(svm)) {
        return PTR_ERR(svm);
    }
    pci_set_drvdata(pdev, svm);
    ret = devm_add_action_or_reset(dev, svm_device_put, svm);
    if (ret) {
        return ret;
    }
    ret = svm_map(svm);
    if (ret) {
        return dev_err_probe(dev, ret, "cannot use the registers\n");
    }
    pci_set_master(pdev);
    ret = pci_alloc_irq_vectors(pdev, 1, SVM_VECTORS,
                                msix ? PCI_IRQ_MSIX : PCI_IRQ_MSI);
    if (ret < 0) {
        return dev_err_probe(dev, ret, "cannot have an interrupt vector\n");
    }
    ret = devm_request_irq(dev, pci_irq_vector(pdev, 0), svm_irq, 0,
                           svm->misc.name, svm);
    if (ret) {
        return ret;
    }
    return svm_register(svm);
}

static const struct pci_device_id svm_ids[] = {
    { PCI_DEVICE(SVM_PCI_VENDOR_ID, SVM_PCI_DEVICE_ID) },
    { }
};
MODULE_DEVICE_TABLE(pci, svm_ids);

static struct pci_driver svm_driver = {
    .name = SVM_NAME,
    .id_table = svm_ids,
    .probe = svm_probe,
    .remove = svm_remove,
};
module_pci_driver(svm_driver);

MODULE_DESCRIPTION("Demo endpoint for shared virtual memory");
MODULE_LICENSE("GPL");
