/*
 * What the trace events of shared virtual memory call a device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_PCI_SVM_NAME_H
#define QEMU_PCI_SVM_NAME_H

#include "hw/pci/pci_device.h"

/**
 * pci_svm_name: what trace events call a device
 *
 * @dev: the device
 *
 * Returns its id, or for want of one its type; lives as long as @dev.
 *
 * Context: any thread.
 */
static inline const char *pci_svm_name(const PCIDevice *dev)
{
    return dev->qdev.id ?: dev->name;
}

#endif
