/*
 * libsvm: devices, queues, operations
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "libsvm.h"

/* How often libsvm_wait() looks at what sends no interrupt */
#define QUIET_MS 1

#define FLAG_SIZE SVM_DOORBELL_SIZE

_Static_assert(sizeof(struct svm_descriptor) == SVM_DESC_SIZE, "descriptor");
_Static_assert(sizeof(struct svm_record) == SVM_REC_SIZE, "record");

struct libsvm {
    int fd;
};

/*
 * A page that says whether the queue is this process's, the ring and the
 * records are one piece of memory, which reads as zero in a child.
 * Indices are counted in 64 bits; the device knows the lower half of them.
 */
struct libsvm_queue {
    int fd;
    unsigned size;
    unsigned number;
    size_t map_size;
    bool *ours;                     /* the start of that piece */
    struct svm_descriptor *ring;
    struct svm_record *records;
    uint32_t *doorbell;
    uint64_t tail;                  /* what is submitted next */
    uint64_t done;                  /* those before are complete or lost */
    uint64_t start;                 /* those before do not complete any more */
};

static int svm_ioctl(int fd, unsigned long request, uintptr_t arg)
{
    int ret;

    do {
        ret = ioctl(fd, request, arg);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : ret;
}

static int svm_ioctl_ptr(int fd, unsigned long request, const void *arg)
{
    return svm_ioctl(fd, request, (uintptr_t)arg);
}

/* The device */

int libsvm_open(const char *path, struct libsvm **svm)
{
    struct libsvm *new = malloc(sizeof(*new));

    if (!new) {
        return -ENOMEM;
    }
    if (!path) {
        path = getenv("SVM_DEVICE");
    }
    new->fd = open(path ? path : LIBSVM_DEVICE, O_RDWR | O_CLOEXEC);
    if (new->fd < 0) {
        int error = errno;

        free(new);
        return -error;
    }
    *svm = new;
    return 0;
}

void libsvm_close(struct libsvm *svm)
{
    if (svm) {
        /* A grant would keep the bond. In a child this is refused: rightly. */
        libsvm_revoke(svm);
        close(svm->fd);
        free(svm);
    }
}

int libsvm_fd(const struct libsvm *svm)
{
    return svm->fd;
}

int libsvm_pasid(const struct libsvm *svm)
{
    __u32 pasid;
    int ret = svm_ioctl_ptr(svm->fd, SVM_IOC_PASID, &pasid);

    return ret < 0 ? ret : (int)pasid;
}

int libsvm_counters(const struct libsvm *svm, struct svm_counters *counters)
{
    return svm_ioctl_ptr(svm->fd, SVM_IOC_COUNTERS, counters);
}

int libsvm_queue_info(const struct libsvm *svm, unsigned number,
                      struct svm_queue_info *info)
{
    info->number = number;
    return svm_ioctl_ptr(svm->fd, SVM_IOC_QUEUE_INFO, info);
}

int libsvm_grant(const struct libsvm *svm, uint32_t access)
{
    return svm_ioctl(svm->fd, SVM_IOC_GRANT, access);
}

int libsvm_revoke(const struct libsvm *svm)
{
    return svm_ioctl(svm->fd, SVM_IOC_REVOKE, 0);
}

/* Single commands */

int libsvm_command_submit(struct libsvm *svm,
                          const struct svm_command *command)
{
    return svm_ioctl_ptr(svm->fd, SVM_IOC_SUBMIT, command);
}

int libsvm_command_wait(struct libsvm *svm)
{
    __u64 status;
    int ret = svm_ioctl_ptr(svm->fd, SVM_IOC_WAIT, &status);

    return ret < 0 ? ret : (int)status;
}

/* Queues */

static int queue_map_memory(struct libsvm_queue *queue)
{
    size_t ring_size = queue->size * sizeof(*queue->ring);
    uint8_t *map;

    queue->map_size = FLAG_SIZE + ring_size +
                      queue->size * sizeof(*queue->records);
    map = mmap(NULL, queue->map_size, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        return -errno;
    }
    queue->ours = (bool *)map;
    queue->ring = (struct svm_descriptor *)(map + FLAG_SIZE);
    queue->records = (struct svm_record *)(map + FLAG_SIZE + ring_size);
    if (madvise(map, queue->map_size, MADV_WIPEONFORK)) {
        return -errno;
    }
    *queue->ours = true;
    return 0;
}

static int queue_create(struct libsvm *svm, struct libsvm_queue *queue)
{
    struct svm_queue_create create = {
        .ring = (uintptr_t)queue->ring,
        .records = (uintptr_t)queue->records,
        .size = queue->size,
    };
    uint32_t *doorbell;

    queue->fd = svm_ioctl_ptr(svm->fd, SVM_IOC_QUEUE, &create);
    if (queue->fd < 0) {
        return queue->fd;
    }
    queue->number = create.number;
    if (fcntl(queue->fd, F_SETFL, O_NONBLOCK)) {
        return -errno;
    }
    doorbell = mmap(NULL, SVM_DOORBELL_SIZE, PROT_READ | PROT_WRITE,
                    MAP_SHARED, svm->fd, create.doorbell);
    if (doorbell == MAP_FAILED) {
        return -errno;
    }
    queue->doorbell = doorbell;
    return 0;
}

int libsvm_queue_open(struct libsvm *svm, unsigned size,
                      struct libsvm_queue **queue)
{
    struct libsvm_queue *new;
    int ret;

    if (!size || size & (size - 1) || size > SVM_Q_SIZE_MAX) {
        return -EINVAL;
    }
    new = calloc(1, sizeof(*new));
    if (!new) {
        return -ENOMEM;
    }
    new->fd = -1;
    new->size = size;
    ret = queue_map_memory(new);
    if (!ret) {
        ret = queue_create(svm, new);
    }
    if (ret) {
        libsvm_queue_close(new);
        return ret;
    }
    *queue = new;
    return 0;
}

void libsvm_queue_close(struct libsvm_queue *queue)
{
    if (!queue) {
        return;
    }
    if (queue->fd >= 0) {
        /* Another process may have a copy of it */
        if (queue->ours && *queue->ours) {
            svm_ioctl(queue->fd, SVM_QUEUE_IOC_CONTROL, SVM_CTRL_ABORT);
        }
        close(queue->fd);
    }
    if (queue->ours) {
        if (*queue->ours && queue->doorbell) {
            munmap(queue->doorbell, SVM_DOORBELL_SIZE);
        }
        munmap(queue->ours, queue->map_size);
    }
    free(queue);
}

int libsvm_queue_fd(const struct libsvm_queue *queue)
{
    return queue->fd;
}

unsigned libsvm_queue_number(const struct libsvm_queue *queue)
{
    return queue->number;
}

int libsvm_queue_status(const struct libsvm_queue *queue,
                        struct svm_queue_status *status)
{
    return svm_ioctl_ptr(queue->fd, SVM_QUEUE_IOC_STATUS, status);
}

int libsvm_queue_set_peer(struct libsvm_queue *queue, int grant)
{
    return svm_ioctl(queue->fd, SVM_QUEUE_IOC_PEER, grant);
}

static uint32_t queue_state(const struct libsvm_queue *queue)
{
    return __atomic_load_n(queue->doorbell + SVM_DB_STATE / 4,
                           __ATOMIC_ACQUIRE);
}

/* Forget the events until now; what they announced is seen afterwards. */
static void queue_take_events(struct libsvm_queue *queue)
{
    uint64_t events;
    ssize_t ret;

    do {
        ret = read(queue->fd, &events, sizeof(events));
    } while (ret < 0 && errno == EINTR);
}

/* Wait for an event; false when the queue is gone. */
static bool queue_await_event(struct libsvm_queue *queue, int timeout_ms)
{
    struct pollfd wait = { .fd = queue->fd, .events = POLLIN };

    poll(&wait, 1, timeout_ms);
    return !(wait.revents & (POLLERR | POLLHUP));
}

/*
 * The queue is disabled or in error. The driver is told, too, when it is about
 * to take the queue away: it answers when that is done.
 */
static int queue_why_stopped(const struct libsvm_queue *queue)
{
    struct svm_queue_status status;
    int ret = libsvm_queue_status(queue, &status);

    return ret ? ret : -EIO;
}

/*
 * Until the queue is no longer in @state; 0, -EIO or -ENODEV. A queue that the
 * driver takes away is disabled before it is gone.
 */
static int queue_leave_state(struct libsvm_queue *queue, uint32_t state)
{
    struct svm_queue_status status;

    while (queue_state(queue) == state) {
        queue_take_events(queue);
        if (queue_state(queue) == state && !queue_await_event(queue, -1)) {
            return -ENODEV;
        }
    }
    if (queue_state(queue) == SVM_STATE_ERROR) {
        return -EIO;
    }
    return libsvm_queue_status(queue, &status);
}

/* What has no record now will not have one. */
static void queue_forget(struct libsvm_queue *queue)
{
    queue->start = queue->tail;
    queue->done = queue->tail;
}

int libsvm_queue_control(struct libsvm_queue *queue, unsigned control)
{
    int ret;

    if (!*queue->ours) {
        return -EPERM;
    }
    if (control == SVM_CTRL_ENABLE) {
        ret = svm_ioctl(queue->fd, SVM_QUEUE_IOC_ENABLE,
                        (uint32_t)queue->tail);
    } else {
        ret = svm_ioctl(queue->fd, SVM_QUEUE_IOC_CONTROL, control);
    }
    if (!ret && control == SVM_CTRL_PAUSE) {
        return queue_leave_state(queue, SVM_STATE_PAUSING);
    }
    if (!ret && control == SVM_CTRL_DRAIN) {
        ret = queue_leave_state(queue, SVM_STATE_DRAINING);
    }
    if (!ret && control != SVM_CTRL_RESUME) {
        queue_forget(queue);
    }
    return ret;
}

/* Operations */

/* The sequence number is written last, and read first. */
static bool queue_has_record(struct libsvm_queue *queue, uint64_t index)
{
    struct svm_record *record = &queue->records[index % queue->size];

    return __atomic_load_n(&record->seq, __ATOMIC_ACQUIRE) ==
           (uint32_t)(index + 1);
}

unsigned libsvm_queue_room(struct libsvm_queue *queue)
{
    if (!*queue->ours) {
        return 0;
    }
    while (queue->done < queue->tail &&
           queue_has_record(queue, queue->done)) {
        queue->done++;
    }
    return queue->size - (queue->tail - queue->done);
}

static void queue_describe(struct libsvm_queue *queue, uint64_t index,
                           const struct libsvm_op *op)
{
    uint32_t flags = op->flags & ~LIBSVM_QUIET;

    if (!(op->flags & LIBSVM_QUIET)) {
        flags |= SVM_DESC_F_INTR;
    }
    queue->ring[index % queue->size] = (struct svm_descriptor) {
        .op = op->op,
        .flags = flags,
        .src = (uintptr_t)op->src,
        .dst = (uintptr_t)op->dst,
        .len = op->len,
        .arg = op->arg,
    };
}

int libsvm_submit_all(struct libsvm_queue *queue, const struct libsvm_op *ops,
                      unsigned n, uint64_t *ticket)
{
    if (!*queue->ours) {
        return -EPERM;
    }
    if (!n) {
        return -EINVAL;
    }
    if (n > libsvm_queue_room(queue)) {
        return -EAGAIN;
    }
    for (unsigned i = 0; i < n; i++) {
        queue_describe(queue, queue->tail + i, &ops[i]);
    }
    queue->tail += n;
    if (ticket) {
        *ticket = queue->tail - 1;
    }
    __atomic_store_n(queue->doorbell + SVM_DB_TAIL / 4, queue->tail,
                     __ATOMIC_RELEASE);
    return 0;
}

int libsvm_submit(struct libsvm_queue *queue, const struct libsvm_op *op,
                  uint64_t *ticket)
{
    return libsvm_submit_all(queue, op, 1, ticket);
}

/* -EAGAIN: there is no record */
static int queue_take_record(struct libsvm_queue *queue, uint64_t ticket,
                             struct svm_record *record)
{
    if (ticket >= queue->tail) {
        return -EINVAL;
    }
    if (queue->tail - ticket > queue->size) {
        return -ESTALE;
    }
    if (!queue_has_record(queue, ticket)) {
        return ticket < queue->start ? -ECANCELED : -EAGAIN;
    }
    if (record) {
        *record = queue->records[ticket % queue->size];
    }
    return 0;
}

int libsvm_poll(struct libsvm_queue *queue, uint64_t ticket,
                struct svm_record *record)
{
    bool alive;
    int ret;

    if (!*queue->ours) {
        return -EPERM;
    }
    ret = queue_take_record(queue, ticket, record);
    if (ret != -EAGAIN) {
        return ret;
    }
    queue_take_events(queue);
    alive = queue_state(queue) != SVM_STATE_ERROR &&
            queue_state(queue) != SVM_STATE_DISABLED;
    ret = queue_take_record(queue, ticket, record);
    if (ret != -EAGAIN || alive) {
        return ret;
    }
    return queue_why_stopped(queue);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* How long to wait for an interrupt, in milliseconds, -1 for ever */
static int wait_step(const struct libsvm_queue *queue, uint64_t ticket,
                     int timeout_ms, int64_t start)
{
    const struct svm_descriptor *d = &queue->ring[ticket % queue->size];
    int64_t left = -1;

    if (timeout_ms >= 0) {
        left = start + timeout_ms - now_ms();
        left = left < 0 ? 0 : left;
    }
    if (!(d->flags & SVM_DESC_F_INTR) && (left < 0 || left > QUIET_MS)) {
        left = QUIET_MS;
    }
    return left;
}

int libsvm_wait(struct libsvm_queue *queue, uint64_t ticket, int timeout_ms,
                struct svm_record *record)
{
    int64_t start = now_ms();
    int ret;

    while ((ret = libsvm_poll(queue, ticket, record)) == -EAGAIN) {
        if (timeout_ms >= 0 && now_ms() - start >= timeout_ms) {
            return -ETIMEDOUT;
        }
        queue_await_event(queue, wait_step(queue, ticket, timeout_ms, start));
    }
    return ret;
}

int libsvm_run(struct libsvm_queue *queue, const struct libsvm_op *op,
               struct svm_record *record)
{
    uint64_t ticket;
    int ret = libsvm_submit(queue, op, &ticket);

    return ret ? ret : libsvm_wait(queue, ticket, -1, record);
}
