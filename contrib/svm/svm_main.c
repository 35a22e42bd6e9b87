/*
 * Linux driver of the demo endpoint for shared virtual memory
 *
 * Gives processes the interfaces of docs/specs/svm.rst, each on its own memory.
 * This file is about the PCI function: probe, remove, reset, and sleep.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/pm.h>
#include <linux/slab.h>

#include "svm_drv.h"

static bool msix = true;
module_param(msix, bool, 0444);
MODULE_PARM_DESC(msix, "Use MSI-X rather than MSI (default: true)");

static DEFINE_IDA(svm_ida);

static void svm_device_release(struct kref *ref)
{
    struct svm_device *svm = container_of(ref, struct svm_device, ref);

    ida_free(&svm_ida, svm->index);
    kfree(svm->misc.name);
    kfree(svm);
}

void svm_device_put(void *svm)
{
    kref_put(&((struct svm_device *)svm)->ref, svm_device_release);
}

static void svm_set_state(struct svm_device *svm, enum svm_state state)
{
    scoped_guard(mutex, &svm->queues_lock) {
        scoped_guard(spinlock_irq, &svm->cmd_lock) {
            svm->state = state;
        }
        if (state != SVM_ALIVE) {
            svm_queues_stop_all(svm);
        }
    }
    wake_up_all(&svm->wait);
}

void svm_give_up(struct svm_device *svm, enum svm_state state)
{
    svm_set_state(svm, state);
    svm_command_lose(svm);
}

/*
 * Files may stay open: they keep the memory of the device, not its bonds.
 * Not a devm action: the bonds must have gone before the driver core gives
 * the device back to the IOMMU layer, which it does between the two.
 */
static void svm_remove(struct pci_dev *pdev)
{
    struct svm_device *svm = pci_get_drvdata(pdev);

    misc_deregister(&svm->misc);
    guard(mutex)(&svm->files_lock);
    svm_unbind_all(svm);
    svm_give_up(svm, SVM_REMOVED);
}

/*
 * What the function works on ends; the bonds stay. It may forget page requests
 * that are in the IOMMU's queue, and nobody could tell afterwards. Returns
 * whether all were answered. The caller holds files_lock.
 */
static bool svm_pause(struct svm_device *svm)
{
    svm_set_state(svm, SVM_RESETTING);
    svm_command_cancel_any(svm);
    return svm_wait_answers_all(svm);
}

/*
 * Somebody resets the function, and the IOMMU layer blocks the bonds meanwhile.
 * It waits for page faults that it is at, but not if their address spaces are
 * gone.
 */
static void svm_reset_prepare(struct pci_dev *pdev)
{
    struct svm_device *svm = pci_get_drvdata(pdev);

    guard(mutex)(&svm->files_lock);
    if (!svm_pause(svm)) {
        iopf_queue_flush_dev(&pdev->dev);
    }
}

static void svm_reset_done(struct pci_dev *pdev)
{
    struct svm_device *svm = pci_get_drvdata(pdev);

    guard(mutex)(&svm->files_lock);
    svm->pasid = SVM_PASID_NONE;
    svm_set_state(svm, SVM_ALIVE);
}

static const struct pci_error_handlers svm_reset_handlers = {
    .reset_prepare = svm_reset_prepare,
    .reset_done = svm_reset_done,
};

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
    mutex_init(&svm->queues_lock);
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
    svm->queue_bar = pcim_iomap_region(svm->pdev, SVM_QUEUE_BAR, SVM_NAME);
    if (IS_ERR(svm->queue_bar)) {
        return PTR_ERR(svm->queue_bar);
    }
    if (readq(svm->bar + SVM_REG_ID) != SVM_ID ||
        readq(svm->queue_bar + SVM_QG_ID) != SVM_QUEUE_ID) {
        return -ENODEV;
    }
    svm->doorbells = pci_resource_start(svm->pdev, SVM_QUEUE_BAR) +
                     SVM_DOORBELL_PAGE(0);
    return 0;
}

/* Whoever had the device before may have left it at work. */
static void svm_quiesce(struct svm_device *svm)
{
    int n;

    writel(SVM_PASID_NONE, svm->bar + SVM_REG_PASID);
    svm->pasid = SVM_PASID_NONE;
    for (n = 0; n < SVM_QUEUES; n++) {
        writel(SVM_CTRL_ABORT, svm->queue_bar + SVM_Q_REGS(n) + SVM_Q_CTRL);
    }
}

/* All vectors of MSI-X, or the one of MSI, which is for everything. */
static int svm_request_irq(struct svm_device *svm)
{
    struct pci_dev *pdev = svm->pdev;
    int ret = -ENOSPC;

    if (msix) {
        ret = pci_alloc_irq_vectors(pdev, SVM_VECTORS, SVM_VECTORS,
                                    PCI_IRQ_MSIX);
    }
    if (ret < 0) {
        ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI);
    }
    if (ret < 0) {
        return ret;
    }
    return devm_request_irq(&pdev->dev,
                            pci_irq_vector(pdev, SVM_VECTOR_COMMAND),
                            svm_command_irq, IRQF_SHARED, svm->misc.name, svm);
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
    svm_quiesce(svm);
    pci_set_master(pdev);
    ret = svm_request_irq(svm);
    if (ret) {
        return dev_err_probe(dev, ret, "cannot have an interrupt vector\n");
    }
    return svm_register(svm);
}

/*
 * Sleep is a reset for processes. The function may have lost all its registers
 * afterwards, or none. A page fault may wait for a process that is frozen, and
 * nobody waits for it.
 */
static int svm_suspend(struct device *dev)
{
    struct svm_device *svm = dev_get_drvdata(dev);

    guard(mutex)(&svm->files_lock);
    svm_pause(svm);
    return 0;
}

static int svm_resume(struct device *dev)
{
    svm_quiesce(dev_get_drvdata(dev));
    svm_reset_done(to_pci_dev(dev));
    return 0;
}

static DEFINE_SIMPLE_DEV_PM_OPS(svm_pm_ops, svm_suspend, svm_resume);

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
    .err_handler = &svm_reset_handlers,
    .driver.pm = pm_sleep_ptr(&svm_pm_ops),
};
module_pci_driver(svm_driver);

MODULE_DESCRIPTION("Demo endpoint for shared virtual memory");
MODULE_LICENSE("GPL");
