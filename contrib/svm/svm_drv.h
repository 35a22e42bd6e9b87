/*
 * Linux driver of the demo endpoint: what its parts share
 *
 * svm_main.c     the PCI function: probe, remove, reset
 * svm_file.c     the character device, and the bond of each open file
 * svm_command.c  the single-command interface: files take turns
 * svm_queue.c    the queues: a file each
 *
 * Locks, in the order in which they nest; mmap_lock, which page faults hold,
 * is outside of queues_lock:
 *
 *   files_lock   open files and their bonds. It is held while
 *                mmu_notifier_unregister() waits for notifiers, which never
 *                take it. A process that does not let go of its mmap_lock
 *                keeps it by opening: our notifier comes after the IOMMU
 *                driver's, which iommu_sva_bind_device() registers with a lock
 *                that all devices share.
 *   queues_lock  queues. Nobody waits with it for a page fault.
 *   cmd_lock     the single-command interface and the state of the device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SVM_DRV_H
#define SVM_DRV_H

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "hw/misc/svm.h"
#include "svm_uapi.h"

#define SVM_NAME "svm"

struct svm_queue;

enum svm_file_state {
    SVM_FILE_IDLE,
    SVM_FILE_BUSY,
    SVM_FILE_DONE,
};

/**
 * enum svm_state - may the registers be used?
 * @SVM_ALIVE: yes
 * @SVM_RESETTING: not now; or the machine sleeps
 * @SVM_HUNG: it did not stop when told to; a reset helps
 * @SVM_REMOVED: never again
 */
enum svm_state {
    SVM_ALIVE,
    SVM_RESETTING,
    SVM_HUNG,
    SVM_REMOVED,
};

/**
 * struct svm_device - one endpoint
 * @ref: held by the bound device and by each open file
 * @pdev: the PCI function; valid while @files_lock is held and not SVM_REMOVED
 * @bar: registers of the single-command interface
 * @queue_bar: registers of the queues
 * @doorbells: physical address of the first doorbell page
 * @misc: the character device
 * @index: number in its name
 * @files_lock: protects @files and the bond of each file
 * @files: open files
 * @queues_lock: protects @queues, their registers and the peer of each
 * @queues: those in use; NULL where one is free
 * @cmd_lock: protects what follows, and the state of each file
 * @owner: the file whose command the device works on
 * @commands: how many commands had ended when @owner's started
 * @pasid: what was written to the PASID register last
 * @state: changed with @queues_lock held, too, and from and to SVM_RESETTING
 *         with @files_lock
 * @wait: woken when a command has ended and when @state changes
 */
struct svm_device {
    struct kref ref;
    struct pci_dev *pdev;
    void __iomem *bar;
    void __iomem *queue_bar;
    phys_addr_t doorbells;
    struct miscdevice misc;
    int index;

    struct mutex files_lock;
    struct list_head files;

    struct mutex queues_lock;
    struct svm_queue *queues[SVM_QUEUES];

    spinlock_t cmd_lock;
    struct svm_file *owner;
    u64 commands;
    u32 pasid;
    enum svm_state state;
    wait_queue_head_t wait;
};

/**
 * struct svm_file - one open file
 * @svm: the device
 * @filp: itself
 * @node: in svm->files
 * @sva: bond between the device and @mm; NULL once the device is removed
 * @notifier: tells when @mm goes away
 * @released: it has told
 * @mm: the opener's address space, which @notifier keeps from being freed
 * @pasid: what the device calls it
 * @stopped: @mm is gone, or the bond is about to go: nothing is started any
 *           more. Changed with queues_lock and cmd_lock held.
 * @grants: those of another number were revoked; queues_lock
 * @nowhere: what a doorbell is mapped to whose queue is gone
 * @state: of this file's command
 * @status: SVM_STATUS_*, when @state is SVM_FILE_DONE
 */
struct svm_file {
    struct svm_device *svm;
    struct file *filp;
    struct list_head node;
    struct iommu_sva *sva;
    struct mmu_notifier notifier;
    struct completion released;
    struct mm_struct *mm;
    u32 pasid;
    bool stopped;
    unsigned int grants;
    struct page *nowhere;
    enum svm_file_state state;
    u64 status;
};

/* svm_main.c */

void svm_device_put(void *svm);

/* The device is not to be touched any more, but by a reset. Sleeps. */
void svm_give_up(struct svm_device *svm, enum svm_state state);

/* svm_file.c */

extern const struct file_operations svm_fops;

/* The bonds of all files end; the caller does not let new ones begin. */
void svm_unbind_all(struct svm_device *svm);

/* svm_wait_answers() for each file: did it return true for all? */
bool svm_wait_answers_all(struct svm_device *svm);

/* svm_command.c */

irqreturn_t svm_command_irq(int irq, void *svm);

/* On return the device works on no command of @file. Sleeps. */
void svm_command_cancel(struct svm_file *file);

/*
 * On return the kernel has taken the page requests of @file's address space out
 * of the IOMMU's queue. Returns whether it has answered them, too. The device
 * sends no others: it has stopped. The caller holds files_lock. Sleeps, for
 * a second if nothing happens.
 */
bool svm_wait_answers(struct svm_file *file);

/*
 * On return the kernel has done with them, too. While page faults of others
 * wait for somebody, so does this.
 */
void svm_end_requests(struct svm_file *file);

/* svm_command_cancel() for whoever's it is. The caller holds files_lock. */
void svm_command_cancel_any(struct svm_device *svm);

/* A command that is going on will not end: ENODEV to who waits for it. */
void svm_command_lose(struct svm_device *svm);

/* The ioctls of svm_uapi.h */
long svm_command_submit(struct svm_file *file, unsigned long arg);
long svm_command_wait(struct svm_file *file, unsigned long arg);

/* svm_queue.c */

/* Queues of @file, and accesses by others' to its memory, end. queues_lock */
void svm_queues_stop(struct svm_file *file);

/* All queues end. queues_lock */
void svm_queues_stop_all(struct svm_device *svm);

/* The ioctls of svm_uapi.h */
long svm_queue_create(struct svm_file *file, unsigned long arg);
long svm_queue_info(struct svm_file *file, unsigned long arg);
long svm_grant_create(struct svm_file *file, unsigned long arg);
long svm_grant_revoke(struct svm_file *file);

/* Map a doorbell, whose offset svm_queue_create() has told. */
int svm_queue_mmap(struct svm_file *file, struct vm_area_struct *vma);

#endif /* SVM_DRV_H */
