/*
 * User-space interface of the demo endpoint's Linux driver
 *
 * One character device per endpoint: /dev/svm0, /dev/svm1, ... Opening it
 * binds the opener's address space to the endpoint; closing it ends the bond.
 * Addresses in a command are the opener's own virtual addresses, so only
 * threads of the process that opened the file may submit. A child after
 * fork() has an address space of its own and opens the device itself.
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

/* Read the counters of the device. ENODEV: as above. */
#define SVM_IOC_COUNTERS        _IOR('v', 0xd2, struct svm_counters)

/* The PASID of the bound address space. ENODEV: as above. */
#define SVM_IOC_PASID           _IOR('v', 0xd3, __u32)

#endif /* SVM_UAPI_H */
