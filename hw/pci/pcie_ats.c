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

/* What a virtual function lacks is said by its physical function. */
static const PCIDevice *pcie_ats_owner(const PCIDevice *dev)
{
    return pci_is_vf(dev) ? pcie_sriov_get_pf((PCIDevice *)dev) : dev;
}

uint16_t pcie_ats_control_wmask(const PCIDevice *dev)
{
    return PCI_ATS_CTRL_ENABLE | (pci_is_vf(dev) ? 0 : PCI_ATS_CTRL_STU_MASK);
}

void pcie_ats_set_global_invalidate(PCIDevice *dev)
{
    assert(dev->exp.ats_cap);
    pci_word_test_and_set_mask(dev->config + dev->exp.ats_cap + PCI_ATS_CAP,
                               PCI_ATS_CAP_GLOBAL_INVALIDATE);
}

bool pcie_ats_global_invalidate(const PCIDevice *dev)
{
    uint16_t cap = dev->exp.ats_cap;

    return cap && (pci_get_word(dev->config + cap + PCI_ATS_CAP) &
                   PCI_ATS_CAP_GLOBAL_INVALIDATE);
}

bool pcie_ats_enabled(const PCIDevice *dev)
{
    return pcie_ats_control(dev) & PCI_ATS_CTRL_ENABLE;
}

unsigned pcie_ats_stu(const PCIDevice *dev)
{
    uint16_t control = pcie_ats_control(pcie_ats_owner(dev));

    return PCI_ATS_MIN_STU + PCI_ATS_CTRL_STU(control);
}

void pcie_ats_reset(PCIDevice *dev)
{
    if (dev->exp.ats_cap) {
        pci_set_word(dev->config + dev->exp.ats_cap + PCI_ATS_CTRL, 0);
    }
}
