/*
 * PCIe Address Translation Services (ATS) extended capability: its state
 *
 * PCIe Base Specification r6.0, section 10.5.1. The capability itself is
 * added by pcie_ats_init(), in pcie.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_PCIE_ATS_H
#define QEMU_PCIE_ATS_H

/* Smallest Translation Unit, in the control register */
#define PCI_ATS_CTRL_STU_MASK           0x001f

/* Global Invalidate Supported, in the capability register */
#define PCI_ATS_CAP_GLOBAL_INVALIDATE   0x0040

/**
 * pcie_ats_control_wmask: which bits of the control register are writable
 *
 * @dev: the function, being realized
 *
 * For pcie_ats_init(). The Smallest Translation Unit of a virtual function is
 * hardwired to zero: that of its physical function applies.
 *
 * Context: BQL. PCIe r6.0, 10.5.1.3.
 */
uint16_t pcie_ats_control_wmask(const PCIDevice *dev);

/**
 * pcie_ats_set_global_invalidate: set Global Invalidate Supported
 *
 * @dev: the function, being realized, after pcie_ats_init()
 *
 * For a function that listens to all PASIDs of which it caches anything.
 *
 * Context: BQL. PCIe r6.0, 10.5.1.2.
 */
void pcie_ats_set_global_invalidate(PCIDevice *dev);

/**
 * pcie_ats_global_invalidate: does the function support Global Invalidate?
 *
 * @dev: the function
 *
 * For IOMMU models. A function without ignores the Global Invalidate bit: the
 * invalidation concerns the PASID that it carries.
 *
 * Context: any thread.
 */
bool pcie_ats_global_invalidate(const PCIDevice *dev);

/**
 * pcie_ats_enabled: has software set ATS Enable?
 *
 * @dev: the function
 *
 * Returns: false also when @dev has no ATS capability.
 *
 * Context: any thread.
 */
bool pcie_ats_enabled(const PCIDevice *dev);

/**
 * pcie_ats_stu: smallest translation unit that software has set
 *
 * @dev: the function
 *
 * Returns: log2 of the unit in bytes, 12..43; 12 without the capability. A
 * virtual function has that of its physical function.
 *
 * Context: any thread. PCIe r6.0, 10.5.1.3.
 */
unsigned pcie_ats_stu(const PCIDevice *dev);

/**
 * pcie_ats_reset: clear the control register
 *
 * @dev: the function; one without the capability is left alone
 *
 * Context: BQL. Called by the PCI core for each kind of reset.
 */
void pcie_ats_reset(PCIDevice *dev);

#endif /* QEMU_PCIE_ATS_H */
