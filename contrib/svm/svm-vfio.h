/*
 * svm-vfio: the demo endpoint driven from user space
 *
 * vfio-pci gives a program the registers and the interrupt, iommufd gives it
 * I/O address spaces with a queue of page requests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef SVM_VFIO_H
#define SVM_VFIO_H

#include <linux/iommufd.h>

#include "scenario.h"

/* Page requests that the kernel hands over at once, at most */
#define VFIO_FAULTS 512

/**
 * struct vfio - an endpoint that is ours
 * @device: the file of vfio-pci
 * @iommufd: /dev/iommu
 * @device_id: the endpoint's name in @iommufd
 * @fault_id: the queue's name in @iommufd
 * @faults: the file of the queue
 * @event: fires when a command has ended
 * @bar: the registers
 */
struct vfio {
    int device;
    int iommufd;
    uint32_t device_id;
    uint32_t fault_id;
    int faults;
    int event;
    uint8_t *bar;
};

/**
 * struct vfio_space - an I/O address space of the endpoint
 * @v: the endpoint
 * @pasid: which of its requests are translated here; SVM_PASID_NONE: those
 *         without
 * @ioas: its name in iommufd
 */
struct vfio_space {
    struct vfio *v;
    uint32_t pasid;
    uint32_t ioas;
};

/* Open the device, which resets it, and let it be bus master. */
void vfio_open(struct vfio *v);

/* Close everything, whatever goes on. The device's counters are kept. */
void vfio_close(struct vfio *v);

/* The counters of the devices that this scenario has closed */
extern uint64_t *vfio_counters;

uint64_t vfio_read(struct vfio *v, unsigned reg);

/* The control register, at @offset, of an extended capability */
uint16_t vfio_read_control(uint16_t capability, unsigned offset);

/* An empty address space; page requests for it go to the queue if @faults. */
void vfio_attach(struct vfio_space *space, struct vfio *v, uint32_t pasid,
                 bool faults);
void vfio_detach(struct vfio_space *space);

/*
 * An address space with a first-stage table of our own, of @width (48 or 57)
 * bits, whose root is at address @table of the IOAS. What the table holds are
 * addresses of the IOAS. Page requests go to the queue. The table's name.
 */
uint32_t vfio_attach_nested(struct vfio_space *space, struct vfio *v,
                            uint32_t pasid, uint64_t table, unsigned width);

/* That table has changed. */
void vfio_invalidate(struct vfio *v, uint32_t nested, uint64_t addr,
                     size_t pages);

/* Can a first-stage table have five levels? */
bool vfio_has_five_levels(struct vfio *v);

/* Map memory of this process, for reading and perhaps for writing. */
void vfio_map(struct vfio_space *space, uint64_t iova, void *buf, size_t size,
              bool writable);
void vfio_unmap(struct vfio_space *space, uint64_t iova, size_t size);

/* Start a command; afterwards wait for its end: SVM_STATUS_* */
void vfio_start(struct vfio_space *space, uint32_t op, uint64_t iova,
                size_t size, uint8_t crc);
uint64_t vfio_wait(struct vfio *v);

/* The same, but have the device give up the command that goes on. */
uint64_t vfio_stop(struct vfio *v);

uint64_t vfio_run(struct vfio_space *space, uint32_t op, uint64_t iova,
                  size_t size, uint8_t crc);

/*
 * Wait for page requests or for the end of the command, whichever is first.
 * The number of page requests, whole groups of them, or 0.
 */
size_t vfio_wait_fault(struct vfio *v, struct iommu_hwpt_pgfault *faults);

/* Answer a group: IOMMUFD_PAGE_RESP_* */
void vfio_respond(struct vfio *v, uint32_t cookie, uint32_t code);

/* svm-vfio-nested.c: a scenario */
void vfio_run_nested(void);

#endif /* SVM_VFIO_H */
