/*
 * PCIe Process Address Space ID (PASID) extended capability
 *
 * PCIe Base Specification r6.0, sections 6.20 and 7.8.9.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie_pasid.h"

#define PASID_CAP_VERSION       1
#define PASID_CAP_WIDTH_SHIFT   8

/* A virtual function uses the capability of its physical function. */
static const PCIDevice *pcie_pasid_owner(const PCIDevice *dev)
{
    return pci_is_vf(dev) ? pcie_sriov_get_pf((PCIDevice *)dev) : dev;
}

static uint16_t pcie_pasid_get(const PCIDevice *dev, unsigned reg)
{
    const PCIDevice *owner = pcie_pasid_owner(dev);
    uint16_t cap = owner->exp.pasid_cap;

    return cap ? pci_get_word(owner->config + cap + reg) : 0;
}

void pcie_pasid_init(PCIDevice *dev, uint16_t offset, uint8_t pasid_width,
                     bool exec_perm, bool priv_mod)
{
    uint16_t permissions = (exec_perm ? PCI_PASID_CAP_EXEC : 0) |
                           (priv_mod ? PCI_PASID_CAP_PRIV : 0);

    assert(pasid_width <= PCI_PASID_WIDTH_MAX);
    pcie_add_capability(dev, PCI_EXT_CAP_ID_PASID, PASID_CAP_VERSION, offset,
                        PCI_EXT_CAP_PASID_SIZEOF);
    dev->exp.pasid_cap = offset;
    pci_set_word(dev->config + offset + PCI_PASID_CAP,
                 permissions | pasid_width << PASID_CAP_WIDTH_SHIFT);
    pci_set_word(dev->config + offset + PCI_PASID_CTRL, 0);
    /* Each enable of a permission has the position of its capability bit. */
    pci_set_word(dev->wmask + offset + PCI_PASID_CTRL,
                 PCI_PASID_CTRL_ENABLE | permissions);
}

void pcie_pasid_reset(PCIDevice *dev)
{
    if (dev->exp.pasid_cap) {
        pci_set_word(dev->config + dev->exp.pasid_cap + PCI_PASID_CTRL, 0);
    }
}

bool pcie_pasid_enabled(const PCIDevice *dev)
{
    return pcie_pasid_get(dev, PCI_PASID_CTRL) & PCI_PASID_CTRL_ENABLE;
}

bool pcie_pasid_exec_enabled(const PCIDevice *dev)
{
    return pcie_pasid_enabled(dev) &&
           (pcie_pasid_get(dev, PCI_PASID_CTRL) & PCI_PASID_CTRL_EXEC);
}

bool pcie_pasid_priv_enabled(const PCIDevice *dev)
{
    return pcie_pasid_enabled(dev) &&
           (pcie_pasid_get(dev, PCI_PASID_CTRL) & PCI_PASID_CTRL_PRIV);
}

uint8_t pcie_pasid_width(const PCIDevice *dev)
{
    return (pcie_pasid_get(dev, PCI_PASID_CAP) & PCI_PASID_CAP_WIDTH) >>
           PASID_CAP_WIDTH_SHIFT;
}
