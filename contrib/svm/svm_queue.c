/*
 * Linux driver of the demo endpoint: queues
 *
 * A queue belongs to the address space of an open file and is a file itself.
 * The process submits by its doorbell page; the driver makes queues, says whose
 * memory they may access, and takes that away. docs/specs/svm.rst, "Queues".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "svm_drv.h"

static_assert(sizeof(struct svm_descriptor) == SVM_DESC_SIZE);
static_assert(sizeof(struct svm_record) == SVM_REC_SIZE);

/**
 * struct svm_queue - a queue of the device, and who has it
 * @svm: the device
 * @file: whose address space it has; held open
 * @peer: whose address space it accesses as well, held open; or NULL
 * @pid: the process
 * @regs: its control registers
 * @number: which one it is
 * @irq: its interrupt
 * @name: of the interrupt
 * @gone: it is not the device's any more; queues_lock, or a hint
 * @events: interrupts since the last read()
 * @wait: woken by an interrupt, and when the queue is gone
 */
struct svm_queue {
    struct svm_device *svm;
    struct svm_file *file;
    struct svm_file *peer;
    struct pid *pid;
    void __iomem *regs;
    unsigned int number;
    int irq;
    char name[24];
    bool gone;
    atomic64_t events;
    wait_queue_head_t wait;
};

/**
 * struct svm_grant - leave to access an address space
 * @file: whose; held open
 * @access: SVM_PEER_*
 * @number: what @file's number was
 */
struct svm_grant {
    struct svm_file *file;
    u32 access;
    unsigned int number;
};

static irqreturn_t svm_queue_irq(int irq, void *data)
{
    struct svm_queue *queue = data;

    atomic64_inc(&queue->events);
    wake_up_all(&queue->wait);
    return IRQ_HANDLED;
}

/* Queues of the device. The caller holds queues_lock. */

static u32 svm_queue_state(struct svm_queue *queue)
{
    return readl(queue->regs + SVM_Q_STATE);
}

static void svm_queue_set_peer(struct svm_queue *queue, struct svm_file *peer,
                               u32 access)
{
    writel(peer ? peer->pasid | access : 0, queue->regs + SVM_Q_PEER);
    /* A write may be on its way for long; a read is not */
    svm_queue_state(queue);
    if (queue->peer) {
        fput(queue->peer->filp);
    }
    if (peer) {
        get_file(peer->filp);
    }
    queue->peer = peer;
}

/* Afterwards page faults find the queue gone. */
static void svm_queue_zap(struct svm_queue *queue)
{
    unmap_mapping_range(queue->file->filp->f_mapping,
                        (loff_t)queue->number << PAGE_SHIFT, PAGE_SIZE, 1);
}

/* On return the device does not access memory for the queue. */
static void svm_queue_stop(struct svm_queue *queue)
{
    if (queue->gone) {
        return;
    }
    writel(SVM_CTRL_ABORT, queue->regs + SVM_Q_CTRL);
    svm_queue_set_peer(queue, NULL, 0);
    free_irq(queue->irq, queue);
    queue->svm->queues[queue->number] = NULL;
    svm_queue_zap(queue);
    WRITE_ONCE(queue->gone, true);
    wake_up_all(&queue->wait);
}

void svm_queues_stop(struct svm_file *file)
{
    struct svm_queue *queue;
    int n;

    for (n = 0; n < SVM_QUEUES; n++) {
        queue = file->svm->queues[n];
        if (queue && queue->file == file) {
            svm_queue_stop(queue);
        } else if (queue && queue->peer == file) {
            svm_queue_set_peer(queue, NULL, 0);
        }
    }
}

void svm_queues_stop_all(struct svm_device *svm)
{
    int n;

    for (n = 0; n < SVM_QUEUES; n++) {
        if (svm->queues[n]) {
            svm_queue_stop(svm->queues[n]);
        }
    }
}

static int svm_queue_enable(struct svm_queue *queue, u32 head)
{
    writel(head, queue->regs + SVM_Q_HEAD);
    writel(SVM_CTRL_ENABLE, queue->regs + SVM_Q_CTRL);
    return svm_queue_state(queue) == SVM_STATE_RUNNING ? 0 : -EIO;
}

static int svm_queue_program(struct svm_queue *queue,
                             const struct svm_queue_create *create)
{
    writeq(create->ring, queue->regs + SVM_Q_RING);
    writeq(create->records, queue->regs + SVM_Q_RECORDS);
    writel(create->size, queue->regs + SVM_Q_SIZE);
    writel(queue->file->pasid, queue->regs + SVM_Q_PASID);
    writel(0, queue->regs + SVM_Q_PEER);
    return svm_queue_enable(queue, 0);
}

/* The only vector of MSI is everybody's. */
static int svm_queue_request_irq(struct svm_queue *queue)
{
    struct pci_dev *pdev = queue->svm->pdev;
    int vector = pdev->msix_enabled ? SVM_VECTOR_QUEUE(queue->number) :
                                      SVM_VECTOR_COMMAND;

    queue->irq = pci_irq_vector(pdev, vector);
    snprintf(queue->name, sizeof(queue->name), "%s-queue%u",
             queue->svm->misc.name, queue->number);
    return request_irq(queue->irq, svm_queue_irq, IRQF_SHARED, queue->name,
                       queue);
}

static int svm_queue_find_free(struct svm_device *svm)
{
    int n;

    for (n = 0; n < SVM_QUEUES; n++) {
        if (!svm->queues[n]) {
            return n;
        }
    }
    return -ENOSPC;
}

static int svm_queue_check_device(struct svm_file *file)
{
    switch (file->svm->state) {
    case SVM_ALIVE:
        return file->stopped ? -ENODEV : 0;
    case SVM_RESETTING:
        return -EBUSY;
    default:
        return -ENODEV;
    }
}

/* Take a queue of the device and enable it. */
static int svm_queue_start(struct svm_queue *queue,
                           const struct svm_queue_create *create)
{
    struct svm_device *svm = queue->svm;
    int ret;

    guard(mutex)(&svm->queues_lock);
    ret = svm_queue_check_device(queue->file);
    if (ret) {
        return ret;
    }
    ret = svm_queue_find_free(svm);
    if (ret < 0) {
        return ret;
    }
    queue->number = ret;
    queue->regs = svm->queue_bar + SVM_Q_REGS(queue->number);
    ret = svm_queue_request_irq(queue);
    if (ret) {
        return ret;
    }
    ret = svm_queue_program(queue, create);
    if (ret) {
        writel(SVM_CTRL_ABORT, queue->regs + SVM_Q_CTRL);
        free_irq(queue->irq, queue);
        return ret;
    }
    svm->queues[queue->number] = queue;
    queue->gone = false;
    return 0;
}

static struct svm_queue *svm_queue_alloc(struct svm_file *file)
{
    struct svm_queue *queue = kzalloc(sizeof(*queue), GFP_KERNEL);

    if (queue) {
        queue->svm = file->svm;
        queue->file = file;
        queue->pid = get_task_pid(current, PIDTYPE_TGID);
        queue->gone = true;
        init_waitqueue_head(&queue->wait);
        get_file(file->filp);
    }
    return queue;
}

static void svm_queue_free(struct svm_queue *queue)
{
    scoped_guard(mutex, &queue->svm->queues_lock) {
        svm_queue_stop(queue);
    }
    put_pid(queue->pid);
    fput(queue->file->filp);
    kfree(queue);
}

/*
 * The file of a queue. Its last reference may go in any process, but only
 * the one with the right address space is served.
 */

static int svm_queue_check(struct svm_queue *queue)
{
    if (current->mm != queue->file->mm) {
        return -EPERM;
    }
    return READ_ONCE(queue->gone) ? -ENODEV : 0;
}

static int svm_queue_release(struct inode *inode, struct file *filp)
{
    svm_queue_free(filp->private_data);
    return 0;
}

static __poll_t svm_queue_poll(struct file *filp, poll_table *table)
{
    struct svm_queue *queue = filp->private_data;
    __poll_t mask = 0;

    poll_wait(filp, &queue->wait, table);
    if (atomic64_read(&queue->events)) {
        mask |= EPOLLIN | EPOLLRDNORM;
    }
    if (READ_ONCE(queue->gone)) {
        mask |= EPOLLERR | EPOLLHUP;
    }
    return mask;
}

/* For wait_event(): has read() an answer? */
static bool svm_queue_has_events(struct svm_queue *queue, u64 *events)
{
    *events = atomic64_xchg(&queue->events, 0);
    return *events || READ_ONCE(queue->gone);
}

static int svm_queue_wait_events(struct svm_queue *queue, bool wait,
                                 u64 *events)
{
    if (svm_queue_has_events(queue, events)) {
        return 0;
    }
    if (!wait) {
        return -EAGAIN;
    }
    return wait_event_interruptible(queue->wait,
                                    svm_queue_has_events(queue, events));
}

static ssize_t svm_queue_read(struct kiocb *iocb, struct iov_iter *to)
{
    struct svm_queue *queue = iocb->ki_filp->private_data;
    bool wait = !(iocb->ki_filp->f_flags & O_NONBLOCK ||
                  iocb->ki_flags & IOCB_NOWAIT);
    u64 events;
    int ret;

    if (iov_iter_count(to) < sizeof(events)) {
        return -EINVAL;
    }
    ret = svm_queue_check(queue);
    if (!ret) {
        ret = svm_queue_wait_events(queue, wait, &events);
    }
    if (ret) {
        return ret;
    }
    if (!events) {
        return -ENODEV;
    }
    return copy_to_iter(&events, sizeof(events), to) == sizeof(events) ?
           sizeof(events) : -EFAULT;
}

static bool svm_queue_may(u32 state, unsigned long control)
{
    switch (control) {
    case SVM_CTRL_PAUSE:
        return state == SVM_STATE_RUNNING;
    case SVM_CTRL_RESUME:
        return state == SVM_STATE_PAUSING || state == SVM_STATE_PAUSED;
    case SVM_CTRL_DRAIN:
        return state == SVM_STATE_RUNNING || state == SVM_STATE_PAUSING ||
               state == SVM_STATE_PAUSED;
    case SVM_CTRL_ABORT:
        return true;
    default:
        return false;
    }
}

static long svm_queue_control(struct svm_queue *queue, unsigned long control)
{
    guard(mutex)(&queue->svm->queues_lock);
    if (queue->gone) {
        return -ENODEV;
    }
    if (!svm_queue_may(svm_queue_state(queue), control)) {
        return -EINVAL;
    }
    writel(control, queue->regs + SVM_Q_CTRL);
    svm_queue_state(queue);
    return 0;
}

static long svm_queue_enable_again(struct svm_queue *queue, unsigned long head)
{
    guard(mutex)(&queue->svm->queues_lock);
    if (queue->gone) {
        return -ENODEV;
    }
    if (svm_queue_state(queue) != SVM_STATE_DISABLED || head > U32_MAX) {
        return -EINVAL;
    }
    return svm_queue_enable(queue, head);
}

static void svm_queue_read_status(struct svm_queue *queue,
                                  struct svm_queue_status *status)
{
    status->state = svm_queue_state(queue);
    status->error = readl(queue->regs + SVM_Q_ERROR);
    status->addr = readq(queue->regs + SVM_Q_ERROR_ADDR);
    status->head = readl(queue->regs + SVM_Q_HEAD);
    status->tail = readl(queue->regs + SVM_Q_TAIL);
}

static long svm_queue_status(struct svm_queue *queue, unsigned long arg)
{
    void __user *to = (void __user *)arg;
    struct svm_queue_status status;

    scoped_guard(mutex, &queue->svm->queues_lock) {
        if (queue->gone) {
            return -ENODEV;
        }
        svm_queue_read_status(queue, &status);
    }
    return copy_to_user(to, &status, sizeof(status)) ? -EFAULT : 0;
}

static int svm_queue_set_grant(struct svm_queue *queue,
                               const struct svm_grant *grant)
{
    struct svm_file *peer = grant ? grant->file : NULL;

    if (peer && peer->svm != queue->svm) {
        return -EINVAL;
    }
    guard(mutex)(&queue->svm->queues_lock);
    if (queue->gone) {
        return -ENODEV;
    }
    if (peer && (peer->stopped || peer->grants != grant->number)) {
        return -EACCES;
    }
    svm_queue_set_peer(queue, peer, grant ? grant->access : 0);
    return 0;
}

static const struct file_operations svm_grant_fops;

static long svm_queue_peer(struct svm_queue *queue, unsigned long arg)
{
    struct file *filp;
    int ret = -EBADF;

    if ((int)arg == -1) {
        return svm_queue_set_grant(queue, NULL);
    }
    filp = fget(arg);
    if (!filp) {
        return ret;
    }
    if (filp->f_op == &svm_grant_fops) {
        ret = svm_queue_set_grant(queue, filp->private_data);
    }
    fput(filp);
    return ret;
}

static long svm_queue_ioctl(struct file *filp, unsigned int cmd,
                            unsigned long arg)
{
    struct svm_queue *queue = filp->private_data;
    int ret = svm_queue_check(queue);

    if (ret) {
        return ret;
    }
    switch (cmd) {
    case SVM_QUEUE_IOC_CONTROL:
        return svm_queue_control(queue, arg);
    case SVM_QUEUE_IOC_ENABLE:
        return svm_queue_enable_again(queue, arg);
    case SVM_QUEUE_IOC_STATUS:
        return svm_queue_status(queue, arg);
    case SVM_QUEUE_IOC_PEER:
        return svm_queue_peer(queue, arg);
    default:
        return -ENOTTY;
    }
}

static const struct file_operations svm_queue_fops = {
    .owner = THIS_MODULE,
    .release = svm_queue_release,
    .poll = svm_queue_poll,
    .read_iter = svm_queue_read,
    .unlocked_ioctl = svm_queue_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
};

/* Making queues: ioctls of the device's file */

static int svm_queue_check_create(const struct svm_queue_create *create)
{
    if (!is_power_of_2(create->size) || create->size > SVM_Q_SIZE_MAX ||
        create->ring % SVM_DESC_SIZE || create->records % SVM_REC_SIZE) {
        return -EINVAL;
    }
    if (!access_ok((void __user *)create->ring,
                   create->size * SVM_DESC_SIZE) ||
        !access_ok((void __user *)create->records,
                   create->size * SVM_REC_SIZE)) {
        return -EINVAL;
    }
    return 0;
}

/* Returns the file descriptor of @queue. The queue is freed if that fails. */
static long svm_queue_publish(struct svm_queue *queue,
                              struct svm_queue_create *create,
                              void __user *to)
{
    struct file *filp;
    int fd;

    fd = get_unused_fd_flags(O_CLOEXEC);
    if (fd < 0) {
        svm_queue_free(queue);
        return fd;
    }
    filp = anon_inode_getfile("[svm-queue]", &svm_queue_fops, queue, O_RDWR);
    if (IS_ERR(filp)) {
        put_unused_fd(fd);
        svm_queue_free(queue);
        return PTR_ERR(filp);
    }
    create->number = queue->number;
    create->doorbell = (u64)queue->number << PAGE_SHIFT;
    if (copy_to_user(to, create, sizeof(*create))) {
        put_unused_fd(fd);
        fput(filp);
        return -EFAULT;
    }
    fd_install(fd, filp);
    return fd;
}

long svm_queue_create(struct svm_file *file, unsigned long arg)
{
    void __user *user = (void __user *)arg;
    struct svm_queue_create create;
    struct svm_queue *queue;
    int ret;

    if (current->mm != file->mm) {
        return -EPERM;
    }
    if (copy_from_user(&create, user, sizeof(create))) {
        return -EFAULT;
    }
    ret = svm_queue_check_create(&create);
    if (ret) {
        return ret;
    }
    queue = svm_queue_alloc(file);
    if (!queue) {
        return -ENOMEM;
    }
    ret = svm_queue_start(queue, &create);
    if (ret) {
        svm_queue_free(queue);
        return ret;
    }
    return svm_queue_publish(queue, &create, user);
}

/* What memory a process has, and whose, is its own business. */
static void svm_queue_describe(struct svm_queue *queue, bool privileged,
                               struct svm_queue_info *info)
{
    info->used = true;
    info->pid = pid_vnr(queue->pid);
    info->pasid = queue->file->pasid;
    info->peer = readl(queue->regs + SVM_Q_PEER);
    svm_queue_read_status(queue, &info->status);
    if (!privileged) {
        info->peer = 0;
        info->status.addr = 0;
    }
}

long svm_queue_info(struct svm_file *file, unsigned long arg)
{
    void __user *user = (void __user *)arg;
    struct svm_device *svm = file->svm;
    struct svm_queue_info info = { };

    if (get_user(info.number, (u32 __user *)user)) {
        return -EFAULT;
    }
    if (info.number >= SVM_QUEUES) {
        return -EINVAL;
    }
    scoped_guard(mutex, &svm->queues_lock) {
        unsigned int n = array_index_nospec(info.number, SVM_QUEUES);
        struct svm_queue *queue = svm->queues[n];

        if (queue) {
            svm_queue_describe(queue, queue->file == file ||
                               capable(CAP_SYS_ADMIN), &info);
        }
    }
    return copy_to_user(user, &info, sizeof(info)) ? -EFAULT : 0;
}

/* Doorbells */

static struct svm_queue *svm_queue_of(struct svm_file *file, pgoff_t number)
{
    struct svm_queue *queue;

    if (number >= SVM_QUEUES) {
        return NULL;
    }
    queue = file->svm->queues[array_index_nospec(number, SVM_QUEUES)];
    return queue && queue->file == file ? queue : NULL;
}

/*
 * Once the queue is gone there is ordinary memory: a process that has not
 * heard of it yet writes there and lives.
 */
static vm_fault_t svm_doorbell_fault(struct vm_fault *vmf)
{
    struct vm_area_struct *vma = vmf->vma;
    struct svm_file *file = vma->vm_private_data;
    struct svm_device *svm = file->svm;

    static_assert(SVM_DOORBELL_SIZE == PAGE_SIZE);

    guard(mutex)(&svm->queues_lock);
    if (!svm_queue_of(file, vmf->pgoff)) {
        return vmf_insert_pfn(vma, vmf->address, page_to_pfn(file->nowhere));
    }
    return vmf_insert_pfn_prot(vma, vmf->address,
                               PHYS_PFN(svm->doorbells) + vmf->pgoff,
                               pgprot_noncached(vma->vm_page_prot));
}

static const struct vm_operations_struct svm_doorbell_ops = {
    .fault = svm_doorbell_fault,
};

int svm_queue_mmap(struct svm_file *file, struct vm_area_struct *vma)
{
    if (current->mm != file->mm) {
        return -EPERM;
    }
    if (vma_pages(vma) != 1 || !(vma->vm_flags & VM_SHARED) ||
        vma->vm_flags & VM_EXEC) {
        return -EINVAL;
    }
    scoped_guard(mutex, &file->svm->queues_lock) {
        if (!svm_queue_of(file, vma->vm_pgoff)) {
            return -ENODEV;
        }
    }
    vm_flags_mod(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTCOPY |
                 VM_DONTDUMP, VM_MAYEXEC);
    vma->vm_private_data = file;
    vma->vm_ops = &svm_doorbell_ops;
    return 0;
}

/* Grants */

static int svm_grant_release(struct inode *inode, struct file *filp)
{
    struct svm_grant *grant = filp->private_data;

    fput(grant->file->filp);
    kfree(grant);
    return 0;
}

static const struct file_operations svm_grant_fops = {
    .owner = THIS_MODULE,
    .release = svm_grant_release,
};

long svm_grant_create(struct svm_file *file, unsigned long access)
{
    struct svm_grant *grant;
    int fd;

    if (current->mm != file->mm) {
        return -EPERM;
    }
    if (!access || access & ~(unsigned long)(SVM_PEER_READ | SVM_PEER_WRITE)) {
        return -EINVAL;
    }
    grant = kzalloc(sizeof(*grant), GFP_KERNEL);
    if (!grant) {
        return -ENOMEM;
    }
    grant->file = file;
    grant->access = access;
    scoped_guard(mutex, &file->svm->queues_lock) {
        if (file->stopped) {
            kfree(grant);
            return -ENODEV;
        }
        grant->number = file->grants;
    }
    get_file(file->filp);
    fd = anon_inode_getfd("[svm-grant]", &svm_grant_fops, grant, O_CLOEXEC);
    if (fd < 0) {
        fput(file->filp);
        kfree(grant);
    }
    return fd;
}

long svm_grant_revoke(struct svm_file *file)
{
    struct svm_device *svm = file->svm;
    int n;

    if (current->mm != file->mm) {
        return -EPERM;
    }
    guard(mutex)(&svm->queues_lock);
    file->grants++;
    for (n = 0; n < SVM_QUEUES; n++) {
        if (svm->queues[n] && svm->queues[n]->peer == file) {
            svm_queue_set_peer(svm->queues[n], NULL, 0);
        }
    }
    return 0;
}
