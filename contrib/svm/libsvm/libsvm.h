/*
 * libsvm: use the demo endpoint for shared virtual memory from a process
 *
 * Opens an endpoint, submits operations on the process's own memory to it, and
 * waits for them. Any memory will do: what malloc() returns, the stack, a
 * mapped file, memory that was never touched or went to swap.
 *
 *     struct libsvm *svm;
 *     struct libsvm_queue *queue;
 *     struct svm_record record;
 *     struct libsvm_op op = {
 *         .op = SVM_OP_COPY, .src = a, .dst = b, .len = n,
 *     };
 *
 *     libsvm_open(NULL, &svm);
 *     libsvm_queue_open(svm, 64, &queue);
 *     libsvm_run(queue, &op, &record);      record.status is SVM_CPL_OK
 *     libsvm_queue_close(queue);
 *     libsvm_close(svm);
 *
 * Functions that can fail return a negative error number, which
 * libsvm_strerror() explains; what errno is afterwards means nothing. These
 * are everybody's:
 *
 *   -ENODEV    the device was removed or reset, or it does not answer; what
 *              submits does not look, and libsvm_poll() says so
 *   -EPERM     the address space is not the one that opened the device: a
 *              child after fork() opens it itself
 *
 * Threads: a struct libsvm may be used by several threads at once, but for
 * libsvm_close(). A queue is for one thread at a time; different queues are
 * independent of each other. Functions that submit make no system call.
 *
 * fork(): a child inherits neither queues nor doorbells. What can fail with a
 * queue of its parent fails with -EPERM there, and libsvm_queue_room() is 0;
 * libsvm_queue_close() frees what the child has of it.
 *
 * What descriptors, records and states mean is in docs/specs/svm.rst; their
 * constants are in include/hw/misc/svm.h, their structures in svm_uapi.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef LIBSVM_H
#define LIBSVM_H

#include <stddef.h>
#include <stdint.h>

#include "hw/misc/svm.h"
#include "svm_uapi.h"

/* The device when there is no other choice; see libsvm_open() */
#define LIBSVM_DEVICE "/dev/svm0"

struct libsvm;
struct libsvm_queue;

/**
 * struct libsvm_op - an operation
 * @op: SVM_OP_*
 * @flags: SVM_DESC_F_* but SVM_DESC_F_INTR, and LIBSVM_QUIET
 * @src: address of the source; of another address space with
 *       SVM_DESC_F_SRC_PEER
 * @dst: address of the destination, the same with SVM_DESC_F_DST_PEER
 * @len: bytes
 * @arg: SVM_OP_FILL: eight bytes to repeat. SVM_OP_CRC: initial value.
 */
struct libsvm_op {
    uint32_t op;
    uint32_t flags;
    const void *src;
    const void *dst;
    uint64_t len;
    uint64_t arg;
};

/*
 * Flag of an operation: no interrupt when it is complete. It makes a chain of
 * operations cheaper of which the last one is waited for. libsvm_wait()
 * for a quiet operation looks again every millisecond.
 */
#define LIBSVM_QUIET (1u << 31)

/* The device */

/**
 * libsvm_open() - open a device and bind the process's address space to it
 * @path: of the device; NULL means the environment's SVM_DEVICE, or else
 *        LIBSVM_DEVICE
 * @svm: where to store the device
 *
 * Returns 0, -ENOMEM, or an error of open(). -EOPNOTSUPP: the kernel or the
 * IOMMU does not share address spaces with devices.
 */
int libsvm_open(const char *path, struct libsvm **svm);

/**
 * libsvm_close() - end the bond, and what was granted to others
 * @svm: the device, without queues; NULL is nothing
 */
void libsvm_close(struct libsvm *svm);

/**
 * libsvm_fd() - the file of a device, for poll() and for ioctls of svm_uapi.h
 * @svm: the device
 */
int libsvm_fd(const struct libsvm *svm);

/**
 * libsvm_pasid() - by which PASID the device knows the process
 * @svm: the device
 *
 * Returns the PASID or a negative error.
 */
int libsvm_pasid(const struct libsvm *svm);

/**
 * libsvm_counters() - read the counters of a device
 * @svm: the device
 * @counters: where to store them
 *
 * Returns 0, or -ENODEV, also while the device is being reset.
 */
int libsvm_counters(const struct libsvm *svm, struct svm_counters *counters);

/**
 * libsvm_queue_info() - who has a queue of the device, and what it is doing
 * @svm: the device
 * @number: of the queue, 0 to SVM_QUEUES - 1
 * @info: where to store that
 *
 * Peer and address of another file's queue are told to CAP_SYS_ADMIN only.
 *
 * Returns 0 or -EINVAL.
 */
int libsvm_queue_info(const struct libsvm *svm, unsigned number,
                      struct svm_queue_info *info);

/**
 * libsvm_grant() - let another process's queues access this process's memory
 * @svm: the device
 * @access: SVM_PEER_READ, SVM_PEER_WRITE or both
 *
 * Returns a file descriptor to be sent to the other process, which gives it
 * to libsvm_queue_set_peer(); or -EINVAL.
 */
int libsvm_grant(const struct libsvm *svm, uint32_t access);

/**
 * libsvm_revoke() - take back all that was granted
 * @svm: the device
 *
 * On return no queue of another process accesses this one's memory. Returns 0.
 */
int libsvm_revoke(const struct libsvm *svm);

/* Single commands: one at a time, and one device for all */

/**
 * libsvm_command_submit() - start a command
 * @svm: the device
 * @command: what to do
 *
 * Waits until commands of others have ended. Returns 0, or -EBUSY if @svm has
 * one that was not waited for.
 */
int libsvm_command_submit(struct libsvm *svm,
                          const struct svm_command *command);

/**
 * libsvm_command_wait() - wait for the end of a command
 * @svm: the device
 *
 * Returns SVM_STATUS_OK, SVM_STATUS_FAILED, or -EINVAL if there is no command.
 */
int libsvm_command_wait(struct libsvm *svm);

/* Queues */

/**
 * libsvm_queue_open() - have a queue, empty and running
 * @svm: the device; it must be open as long as the queue
 * @size: how many operations it takes, a power of two up to SVM_Q_SIZE_MAX
 * @queue: where to store the queue
 *
 * Its ring and records are 96 bytes for each operation of the process's memory.
 * Returns 0, -ENOMEM, -EINVAL: another size; -ENOSPC: all queues of the device
 * are in use; -EBUSY: the device is being reset; -EIO: the device refused.
 */
int libsvm_queue_open(struct libsvm *svm, unsigned size,
                      struct libsvm_queue **queue);

/**
 * libsvm_queue_close() - abort a queue and free it
 * @queue: the queue; NULL is nothing
 *
 * On return the device accesses no memory for it.
 */
void libsvm_queue_close(struct libsvm_queue *queue);

/**
 * libsvm_queue_fd() - the file of a queue
 * @queue: the queue
 *
 * poll() says POLLIN when something may have completed; svm_uapi.h has the
 * rest. Call libsvm_poll() then: it makes the file quiet until something
 * happens again.
 */
int libsvm_queue_fd(const struct libsvm_queue *queue);

/**
 * libsvm_queue_number() - which of the device's queues it is
 * @queue: the queue
 */
unsigned libsvm_queue_number(const struct libsvm_queue *queue);

/**
 * libsvm_queue_room() - how many operations can be submitted
 * @queue: the queue
 */
unsigned libsvm_queue_room(struct libsvm_queue *queue);

/**
 * libsvm_queue_control() - pause, resume, drain, abort or enable a queue
 * @queue: the queue
 * @control: SVM_CTRL_*
 *
 * Waits until the queue is paused after SVM_CTRL_PAUSE, and
 * disabled after SVM_CTRL_DRAIN. Operations that have not
 * completed when a queue is aborted never do: see libsvm_poll().
 *
 * Returns 0; -EINVAL: not possible in the queue's state; -EIO: the queue is in
 * error now.
 */
int libsvm_queue_control(struct libsvm_queue *queue, unsigned control);

/**
 * libsvm_queue_status() - what a queue is doing, and its error
 * @queue: the queue
 * @status: where to store that
 *
 * Returns 0.
 */
int libsvm_queue_status(const struct libsvm_queue *queue,
                        struct svm_queue_status *status);

/**
 * libsvm_queue_set_peer() - which other address space operations can access
 * @queue: the queue
 * @grant: what libsvm_grant() of that process has returned, or -1 for none.
 *         It may be closed afterwards.
 *
 * Returns 0; -EBADF: not a grant; -EINVAL: one of another device; -EACCES: it
 * was revoked, or the other process is gone.
 */
int libsvm_queue_set_peer(struct libsvm_queue *queue, int grant);

/* Operations */

/**
 * libsvm_submit() - submit an operation
 * @queue: the queue
 * @op: the operation. The memory has to stay there until it is complete; the
 *      structure itself does not.
 * @ticket: where to store what libsvm_poll() and libsvm_wait() take; or NULL
 *
 * The result of an operation is kept until as many as the queue takes have been
 * submitted after it.
 *
 * Returns 0; -EAGAIN: the queue is full until the oldest operation completes. A
 * queue that is disabled or in error takes operations, and executes none of
 * them: libsvm_poll() says so.
 */
int libsvm_submit(struct libsvm_queue *queue, const struct libsvm_op *op,
                  uint64_t *ticket);

/**
 * libsvm_submit_all() - submit operations at once
 * @queue: the queue
 * @ops: the operations
 * @n: how many
 * @ticket: where to store that of the last one; or NULL. The one before it has
 *          the ticket that is one less, and so on.
 *
 * As libsvm_submit(), with one doorbell for all. If there is no room for all,
 * none is submitted. -EINVAL: @n is 0.
 */
int libsvm_submit_all(struct libsvm_queue *queue, const struct libsvm_op *ops,
                      unsigned n, uint64_t *ticket);

/**
 * libsvm_poll() - is an operation complete?
 * @queue: the queue
 * @ticket: of the operation
 * @record: where to store what became of it; or NULL
 *
 * Returns 0; -EAGAIN: not yet; -EINVAL: no such operation; -ESTALE: its result
 * is not kept any more; -EIO: the queue is disabled or in error; -ECANCELED:
 * the queue was aborted before it.
 */
int libsvm_poll(struct libsvm_queue *queue, uint64_t ticket,
                struct svm_record *record);

/**
 * libsvm_wait() - wait until an operation is complete
 * @queue: the queue
 * @ticket: of the operation
 * @timeout_ms: how long at most, in milliseconds; -1: for ever
 * @record: where to store what became of it; or NULL
 *
 * Signals do not end the wait. Returns as libsvm_poll() does, or -ETIMEDOUT
 * instead of -EAGAIN.
 */
int libsvm_wait(struct libsvm_queue *queue, uint64_t ticket, int timeout_ms,
                struct svm_record *record);

/**
 * libsvm_run() - submit an operation and wait until it is complete
 * @queue: the queue
 * @op: the operation
 * @record: where to store what became of it; or NULL
 *
 * Returns as libsvm_submit() and libsvm_wait() do.
 */
int libsvm_run(struct libsvm_queue *queue, const struct libsvm_op *op,
               struct svm_record *record);

/* Words */

/**
 * libsvm_strerror() - what an error of this library means
 * @error: what a function has returned
 *
 * Returns constant text.
 */
const char *libsvm_strerror(int error);

/**
 * libsvm_status_name() - what a status of a record means
 * @status: SVM_CPL_*
 *
 * Returns constant text.
 */
const char *libsvm_status_name(unsigned status);

/**
 * libsvm_state_name() - the name of a queue's state
 * @state: SVM_STATE_*
 *
 * Returns constant text.
 */
const char *libsvm_state_name(unsigned state);

/**
 * libsvm_error_name() - what an error of a queue means
 * @error: the error of struct svm_queue_status
 *
 * Returns constant text.
 */
const char *libsvm_error_name(uint32_t error);

#endif /* LIBSVM_H */
