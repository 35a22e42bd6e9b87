/*
 * PCIe Address Translation Services (ATS) extended capability: its state
 *
 * PCIe Base Specification r6.0, section 10.5.1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie_ats.h"

static uint16_t pcie_ats_control(const PCIDevice *dev)
{
    uint16_t cap = dev->exp.ats_cap;

    return cap ? pci_get_word(dev->config + cap + PCI_ATS_CTRL) : 0;
}

bool pcie_ats_enabled(const PCIDevice *dev)
{
    return pcie_ats_control(dev) & PCI_ATS_CTRL_ENABLE;
}

unsigned pcie_ats_stu(const PCIDevice *dev)
{
    return PCI_ATS_MIN_STU + PCI_ATS_CTRL_STU(pcie_ats_control(dev));
}

void pcie_ats_reset(PCIDevice *dev)
{
    if (dev->exp.ats_cap) {
        pci_set_word(dev->config + dev->exp.ats_cap + PCI_ATS_CTRL, 0);
    }
}
