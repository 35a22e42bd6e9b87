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
 * Returns: log2 of the unit in bytes, 12..43; 12 without the capability.
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
