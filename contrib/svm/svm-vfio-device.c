/*
 * svm-vfio: vfio-pci, iommufd, and the endpoint's registers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "svm-vfio.h"

uint64_t *vfio_counters;

static const char *device_path(void)
{
    const char *path = getenv("SVM_VFIO_DEVICE");

    return path ? path : "/dev/vfio/devices/vfio0";
}

static int open_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    svm_need(fd >= 0, path);
    return fd;
}

static void bind_device(struct vfio *v)
{
    struct vfio_device_bind_iommufd bind = {
        .argsz = sizeof(bind),
        .iommufd = v->iommufd,
    };

    svm_need(!ioctl(v->device, VFIO_DEVICE_BIND_IOMMUFD, &bind),
             "VFIO_DEVICE_BIND_IOMMUFD");
    v->device_id = bind.out_devid;
}

static struct vfio_region_info region_info(struct vfio *v, uint32_t index)
{
    struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

    svm_need(!ioctl(v->device, VFIO_DEVICE_GET_REGION_INFO, &info),
             "VFIO_DEVICE_GET_REGION_INFO");
    return info;
}

static void map_registers(struct vfio *v)
{
    struct vfio_region_info info = region_info(v, VFIO_PCI_BAR0_REGION_INDEX);
    void *bar = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
                     v->device, info.offset);

    svm_need(bar != MAP_FAILED, "mmap of the registers");
    v->bar = bar;
    if (vfio_read(v, SVM_REG_ID) != SVM_ID) {
        svm_fail("%s is not the endpoint", device_path());
    }
}

static void enable_bus_master(struct vfio *v)
{
    struct vfio_region_info info =
        region_info(v, VFIO_PCI_CONFIG_REGION_INDEX);
    uint16_t command;

    svm_need(pread(v->device, &command, 2, info.offset + PCI_COMMAND) == 2,
             "reading the command register");
    command |= PCI_COMMAND_MASTER;
    svm_need(pwrite(v->device, &command, 2, info.offset + PCI_COMMAND) == 2,
             "writing the command register");
}

static void enable_interrupt(struct vfio *v)
{
    union {
        struct vfio_irq_set set;
        char bytes[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
    } irq = {
        .set = {
            .argsz = sizeof(irq),
            .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
            .index = VFIO_PCI_MSI_IRQ_INDEX,
            .count = 1,
        },
    };

    v->event = eventfd(0, EFD_CLOEXEC);
    svm_need(v->event >= 0, "eventfd");
    memcpy(irq.bytes + sizeof(irq.set), &v->event, sizeof(int32_t));
    svm_need(!ioctl(v->device, VFIO_DEVICE_SET_IRQS, &irq),
             "VFIO_DEVICE_SET_IRQS");
}

static void open_fault_queue(struct vfio *v)
{
    struct iommu_fault_alloc alloc = { .size = sizeof(alloc) };

    svm_need(!ioctl(v->iommufd, IOMMU_FAULT_QUEUE_ALLOC, &alloc),
             "IOMMU_FAULT_QUEUE_ALLOC");
    v->fault_id = alloc.out_fault_id;
    v->faults = alloc.out_fault_fd;
}

void vfio_open(struct vfio *v)
{
    v->device = open_file(device_path());
    v->iommufd = open_file("/dev/iommu");
    bind_device(v);
    open_fault_queue(v);
    map_registers(v);
    enable_interrupt(v);
    enable_bus_master(v);
}

void vfio_close(struct vfio *v)
{
    for (int i = 0; i < SCENARIO_COUNTERS; i++) {
        vfio_counters[i] += vfio_read(v, SVM_REG_STATS + 8 * i);
    }
    svm_unmap(v->bar, SVM_BAR_SIZE);
    close(v->device);
    close(v->faults);
    close(v->iommufd);
    close(v->event);
}

uint64_t vfio_read(struct vfio *v, unsigned reg)
{
    volatile uint64_t *at = (void *)(v->bar + reg); /* a register */

    return *at;
}

static void write_register(struct vfio *v, unsigned reg, uint64_t value)
{
    volatile uint64_t *at = (void *)(v->bar + reg); /* a register */

    *at = value;
}

static void write_pasid(struct vfio *v, uint32_t pasid)
{
    volatile uint32_t *at = (void *)(v->bar + SVM_REG_PASID); /* a register */

    *at = pasid;
}

/* From sysfs, as vfio shows what it likes */
uint16_t vfio_read_control(uint16_t capability, unsigned offset)
{
    char path[100];
    uint32_t header;
    uint16_t control;
    int at = PCI_CFG_SPACE_SIZE;
    int fd;

    snprintf(path, sizeof(path), "/sys/class/vfio-dev/%s/device/config",
             strrchr(device_path(), '/') + 1);
    fd = open_file(path);
    do {
        svm_need(pread(fd, &header, 4, at) == 4, path);
        if (PCI_EXT_CAP_ID(header) == capability) {
            svm_need(pread(fd, &control, 2, at + offset) == 2, path);
            close(fd);
            return control;
        }
        at = PCI_EXT_CAP_NEXT(header);
    } while (at);
    svm_fail("no capability 0x%x", capability);
}

static uint32_t new_ioas(struct vfio *v)
{
    struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

    svm_need(!ioctl(v->iommufd, IOMMU_IOAS_ALLOC, &alloc), "IOMMU_IOAS_ALLOC");
    return alloc.out_ioas_id;
}

static uint32_t new_hwpt(struct vfio_space *space, bool faults)
{
    struct iommu_hwpt_alloc alloc = {
        .size = sizeof(alloc),
        .flags = IOMMU_HWPT_ALLOC_PASID |
                 (faults ? IOMMU_HWPT_FAULT_ID_VALID : 0),
        .dev_id = space->v->device_id,
        .pt_id = space->ioas,
        .fault_id = space->v->fault_id,
    };

    svm_need(!ioctl(space->v->iommufd, IOMMU_HWPT_ALLOC, &alloc),
             "IOMMU_HWPT_ALLOC");
    return alloc.out_hwpt_id;
}

static void attach_table(struct vfio_space *space, uint32_t table)
{
    struct vfio_device_attach_iommufd_pt attach = {
        .argsz = sizeof(attach),
        .pt_id = table,
    };

    if (space->pasid != SVM_PASID_NONE) {
        attach.flags = VFIO_DEVICE_ATTACH_PASID;
        attach.pasid = space->pasid;
    }
    svm_need(!ioctl(space->v->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach),
             "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

void vfio_attach(struct vfio_space *space, struct vfio *v, uint32_t pasid,
                 bool faults)
{
    *space = (struct vfio_space) {
        .v = v,
        .pasid = pasid,
        .ioas = new_ioas(v),
    };
    if (faults || pasid != SVM_PASID_NONE) {
        attach_table(space, new_hwpt(space, faults));
    } else {
        /* Without further wishes the kernel makes what it needs by itself */
        attach_table(space, space->ioas);
    }
}

uint32_t vfio_attach_nested(struct vfio_space *space, struct vfio *v,
                            uint32_t pasid, uint64_t table, unsigned width)
{
    struct iommu_hwpt_vtd_s1 first_stage = {
        .pgtbl_addr = table,
        .addr_width = width,
    };
    struct iommu_hwpt_alloc parent = {
        .size = sizeof(parent),
        .flags = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_ALLOC_NEST_PARENT,
        .dev_id = v->device_id,
        .pt_id = new_ioas(v),
    };
    struct iommu_hwpt_alloc nested = {
        .size = sizeof(nested),
        .flags = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID,
        .dev_id = v->device_id,
        .data_type = IOMMU_HWPT_DATA_VTD_S1,
        .data_len = sizeof(first_stage),
        .data_uptr = (uintptr_t)&first_stage,
        .fault_id = v->fault_id,
    };

    *space = (struct vfio_space) {
        .v = v,
        .pasid = pasid,
        .ioas = parent.pt_id,
    };
    svm_need(!ioctl(v->iommufd, IOMMU_HWPT_ALLOC, &parent),
             "IOMMU_HWPT_ALLOC of a parent");
    nested.pt_id = parent.out_hwpt_id;
    svm_need(!ioctl(v->iommufd, IOMMU_HWPT_ALLOC, &nested),
             "IOMMU_HWPT_ALLOC of a nested table");
    attach_table(space, nested.out_hwpt_id);
    return nested.out_hwpt_id;
}

void vfio_invalidate(struct vfio *v, uint32_t nested, uint64_t addr,
                     size_t pages)
{
    struct iommu_hwpt_vtd_s1_invalidate entry = {
        .addr = addr,
        .npages = pages,
    };
    struct iommu_hwpt_invalidate invalidate = {
        .size = sizeof(invalidate),
        .hwpt_id = nested,
        .data_uptr = (uintptr_t)&entry,
        .data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
        .entry_len = sizeof(entry),
        .entry_num = 1,
    };

    svm_need(!ioctl(v->iommufd, IOMMU_HWPT_INVALIDATE, &invalidate),
             "IOMMU_HWPT_INVALIDATE");
}

bool vfio_has_five_levels(struct vfio *v)
{
    struct iommu_hw_info_vtd vtd = { };
    struct iommu_hw_info info = {
        .size = sizeof(info),
        .dev_id = v->device_id,
        .data_len = sizeof(vtd),
        .data_uptr = (uintptr_t)&vtd,
    };

    svm_need(!ioctl(v->iommufd, IOMMU_GET_HW_INFO, &info),
             "IOMMU_GET_HW_INFO");
    if (info.out_data_type != IOMMU_HW_INFO_TYPE_INTEL_VTD) {
        svm_fail("the IOMMU is not VT-d");
    }
    return vtd.cap_reg >> 60 & 1; /* FL5LP */
}

void vfio_detach(struct vfio_space *space)
{
    struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };

    if (space->pasid != SVM_PASID_NONE) {
        detach.flags = VFIO_DEVICE_DETACH_PASID;
        detach.pasid = space->pasid;
    }
    svm_need(!ioctl(space->v->device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach),
             "VFIO_DEVICE_DETACH_IOMMUFD_PT");
}

void vfio_map(struct vfio_space *space, uint64_t iova, void *buf, size_t size,
              bool writable)
{
    struct iommu_ioas_map map = {
        .size = sizeof(map),
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
                 (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0),
        .ioas_id = space->ioas,
        .user_va = (uintptr_t)buf,
        .length = size,
        .iova = iova,
    };

    svm_need(!ioctl(space->v->iommufd, IOMMU_IOAS_MAP, &map),
             "IOMMU_IOAS_MAP");
}

void vfio_unmap(struct vfio_space *space, uint64_t iova, size_t size)
{
    struct iommu_ioas_unmap unmap = {
        .size = sizeof(unmap),
        .ioas_id = space->ioas,
        .iova = iova,
        .length = size,
    };

    svm_need(!ioctl(space->v->iommufd, IOMMU_IOAS_UNMAP, &unmap),
             "IOMMU_IOAS_UNMAP");
}

void vfio_start(struct vfio_space *space, uint32_t op, uint64_t iova,
                size_t size, uint8_t crc)
{
    struct vfio *v = space->v;

    write_pasid(v, space->pasid);
    write_register(v, SVM_REG_ADDR, iova);
    write_register(v, SVM_REG_SIZE, size);
    write_register(v, SVM_REG_CRC, crc);
    write_register(v, SVM_REG_CMD, op);
}

uint64_t vfio_wait(struct vfio *v)
{
    uint64_t count;

    svm_need(read(v->event, &count, sizeof(count)) == sizeof(count),
             "waiting for the interrupt");
    if (count != 1) {
        svm_fail("%lu interrupts for a command", count);
    }
    return vfio_read(v, SVM_REG_STATUS);
}

uint64_t vfio_stop(struct vfio *v)
{
    write_pasid(v, SVM_PASID_NONE);
    return vfio_wait(v);
}

uint64_t vfio_run(struct vfio_space *space, uint32_t op, uint64_t iova,
                  size_t size, uint8_t crc)
{
    vfio_start(space, op, iova, size, crc);
    return vfio_wait(space->v);
}

size_t vfio_wait_fault(struct vfio *v, struct iommu_hwpt_pgfault *faults)
{
    struct pollfd fds[2] = {
        { .fd = v->event, .events = POLLIN },
        { .fd = v->faults, .events = POLLIN },
    };
    ssize_t n;

    svm_need(poll(fds, 2, -1) > 0, "poll");
    if (fds[0].revents) {
        return 0;
    }
    n = read(v->faults, faults, VFIO_FAULTS * sizeof(*faults));
    svm_need(n > 0, "reading page requests");
    return n / sizeof(*faults);
}

void vfio_respond(struct vfio *v, uint32_t cookie, uint32_t code)
{
    struct iommu_hwpt_page_response response = {
        .cookie = cookie,
        .code = code,
    };

    svm_need(write(v->faults, &response, sizeof(response)) ==
             sizeof(response), "answering page requests");
}
