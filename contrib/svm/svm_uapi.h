/*
 * User-space interface of the demo endpoint's Linux driver
 *
 * One character device per endpoint: /dev/svm0, /dev/svm1, ... Opening it
 * binds the opener's address space to the endpoint. The bond ends when the
 * file is closed and the queues, grants and mapped doorbells that were made of
 * it are, too; or before, when the address space ends by exit or exec.
 *
 * Addresses in commands and descriptors are the opener's own virtual
 * addresses, so only threads of the process that opened the file may submit. A
 * child after fork() has an address space of its own and opens the device
 * itself: commands and queues of its parent are refused to it, and it does not
 * inherit mapped doorbells.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SVM_UAPI_H
#define SVM_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct svm_command - one command of the single-command interface
 * @op: SVM_CMD_READ or SVM_CMD_WRITE of hw/misc/svm.h
 * @options: SVM_OPT_*
 * @addr: virtual address of the buffer
 * @size: its size in bytes
 * @crc: CRC-8 that the device must find (SVM_CMD_READ)
 */
struct svm_command {
    __u32 op;
    __u32 options;
    __u64 addr;
    __u64 size;
    __u64 crc;
};

/* The device's counters, in the order of SVM_REG_STATS in hw/misc/svm.h */
#define SVM_NR_COUNTERS 17

struct svm_counters {
    __u64 value[SVM_NR_COUNTERS];
};

/**
 * struct svm_descriptor - an element of a ring; see docs/specs/svm.rst
 * @op: SVM_OP_*
 * @flags: SVM_DESC_F_*
 * @src: address of the source
 * @dst: address of the destination
 * @len: bytes
 * @arg: depends on @op
 * @reserved: zero
 */
struct svm_descriptor {
    __u32 op;
    __u32 flags;
    __u64 src;
    __u64 dst;
    __u64 len;
    __u64 arg;
    __u64 reserved[3];
};

/**
 * struct svm_record - what became of a descriptor
 * @done: bytes, from the start, on which the operation is complete
 * @addr: the first address that could not be accessed, or 0
 * @value: result of SVM_OP_COMPARE and SVM_OP_CRC
 * @status: SVM_CPL_*
 * @side: SVM_SIDE_* of @addr
 * @seq: index of the descriptor + 1; written last
 */
struct svm_record {
    __u64 done;
    __u64 addr;
    __u64 value;
    __u16 status;
    __u16 side;
    __u32 seq;
};

/**
 * struct svm_queue_create - a new queue
 * @ring: in: address of the descriptors, a multiple of their size
 * @records: in: address of the records, a multiple of their size
 * @size: in: number of each, a power of two
 * @number: out: which of the device's queues it is
 * @doorbell: out: offset of the doorbell page for mmap() of the device's file
 */
struct svm_queue_create {
    __u64 ring;
    __u64 records;
    __u32 size;
    __u32 number;
    __u64 doorbell;
};

/**
 * struct svm_queue_status - what a queue is doing
 * @state: SVM_STATE_*
 * @error: SVM_ERROR_*
 * @addr: address of the error
 * @head: index of the next descriptor that has no record
 * @tail: index of the first descriptor that was not submitted
 */
struct svm_queue_status {
    __u32 state;
    __u32 error;
    __u64 addr;
    __u32 head;
    __u32 tail;
};

/**
 * struct svm_queue_info - one of the device's queues
 * @number: in: which one
 * @used: out: whether it belongs to a process; if not, the others are 0
 * @pid: out: the process, or 0 if the caller cannot see it
 * @pasid: out: its PASID
 * @peer: out: the PASID of the peer and SVM_PEER_*, or 0
 * @reserved: out: 0
 * @status: out: what it is doing
 *
 * @peer and the address of @status are 0 unless the queue was made of the file
 * that is asked, or the caller has CAP_SYS_ADMIN.
 */
struct svm_queue_info {
    __u32 number;
    __u32 used;
    __u32 pid;
    __u32 pasid;
    __u32 peer;
    __u32 reserved;
    struct svm_queue_status status;
};

/*
 * Start a command. The device works on one command at a time: waits,
 * interruptibly, until those of other files have ended.
 * EBUSY: this file has a command that SVM_IOC_WAIT has not collected.
 * EPERM: the caller's address space is not the one that was bound.
 * ENODEV: the device is gone, or failed to stop; the opener's memory is gone.
 */
#define SVM_IOC_SUBMIT          _IOW('v', 0xd0, struct svm_command)

/*
 * Wait, interruptibly, for the end of this file's command and store its status,
 * SVM_STATUS_*. A signal does not stop the command; closing the file does.
 * EINVAL: no command was started. ENODEV: as above.
 */
#define SVM_IOC_WAIT            _IOR('v', 0xd1, __u64)

/* Read the counters of the device. ENODEV: as above, or in a reset. */
#define SVM_IOC_COUNTERS        _IOR('v', 0xd2, struct svm_counters)

/* The PASID of the bound address space. ENODEV: as above. */
#define SVM_IOC_PASID           _IOR('v', 0xd3, __u32)

/*
 * Make a queue of the bound address space, running and empty, with the head
 * 0. Returns a file descriptor, close-on-exec, that stands for the queue: see
 * below. Closing the last copy of it aborts the queue. The memory of ring and
 * records is ordinary memory that the caller keeps there.
 *
 * One page of the device's file at @doorbell, mapped shared, has the doorbell.
 * It is for the address space that was bound alone. Once the queue is gone the
 * page is still there, reads as SVM_STATE_DISABLED and leads nowhere.
 *
 * EINVAL: a size or address that the device does not take.
 * ENOSPC: all queues are in use.
 * EBUSY: a reset is going on.
 * EIO: the device refused it.
 * EPERM, ENODEV: as above.
 */
#define SVM_IOC_QUEUE           _IOWR('v', 0xd4, struct svm_queue_create)

/*
 * Describe one of the device's queues, whoever has it, but not where others
 * have their memory: see above. EINVAL: no such one.
 */
#define SVM_IOC_QUEUE_INFO      _IOWR('v', 0xd5, struct svm_queue_info)

/*
 * Grant access to the bound address space. The argument is SVM_PEER_READ,
 * SVM_PEER_WRITE or both. Returns a file descriptor, close-on-exec. Whoever has
 * it, or is given it through a socket, may set it as the peer of
 * a queue of the same device: see SVM_QUEUE_IOC_PEER.
 * EINVAL: another argument. EPERM, ENODEV: as above.
 */
#define SVM_IOC_GRANT           _IO('v', 0xd6)

/*
 * Revoke all grants that were made of this file. On return no queue of others
 * accesses the bound address space. EPERM: as above.
 */
#define SVM_IOC_REVOKE          _IO('v', 0xd7)

/*
 * The file descriptor of a queue
 *
 * read() takes eight bytes and gives the number of interrupts since the last
 * read(), a __u64: at least one; it waits for one, or fails with EAGAIN
 * if O_NONBLOCK is set. poll() says POLLIN when there is one. An interrupt may
 * be another queue's: look at the records.
 *
 * A queue is gone when the device was removed or reset, when it failed to
 * stop, when the machine was suspended, or when the bond has ended. Then
 * poll() says POLLERR and POLLHUP, and all else fails with ENODEV. For another
 * address space than the one that was bound, all but poll() and close() fails
 * with EPERM.
 */

/*
 * The argument is SVM_CTRL_* but SVM_CTRL_ENABLE. Pausing and draining go on
 * after the return; an interrupt says that they have ended. EINVAL: another
 * argument, or the queue is not in a state in which it is possible.
 */
#define SVM_QUEUE_IOC_CONTROL   _IO('v', 0xe0)

/* Read the state of the queue. */
#define SVM_QUEUE_IOC_STATUS    _IOR('v', 0xe1, struct svm_queue_status)

/*
 * Enable a queue that was drained or aborted. The argument is the index of its
 * first descriptor. EINVAL: it is not disabled. EIO: the device refused.
 */
#define SVM_QUEUE_IOC_ENABLE    _IO('v', 0xe3)

/*
 * The argument is the file descriptor of a grant, or -1: descriptors with
 * SVM_DESC_F_SRC_PEER and SVM_DESC_F_DST_PEER reach its address space, or
 * none. Accesses to the memory of the former peer end. The queue needs the
 * file descriptor of the grant no more.
 * EBADF: not a grant. EINVAL: a grant of another device. EACCES: it was
 * revoked, or its address space is gone.
 */
#define SVM_QUEUE_IOC_PEER      _IO('v', 0xe2)

#endif /* SVM_UAPI_H */
