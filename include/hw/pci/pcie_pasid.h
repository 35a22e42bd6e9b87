/*
 * PCIe Process Address Space ID (PASID) extended capability
 *
 * PCIe Base Specification r6.0, section 7.8.9.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_PCIE_PASID_H
#define QEMU_PCIE_PASID_H

/* Largest Max PASID Width that the capability can encode, in bits. */
#define PCI_PASID_WIDTH_MAX 20

/**
 * pcie_pasid_init: add the PASID capability to a function
 *
 * @dev: the function, being realized
 * @offset: offset of the capability in extended configuration space
 * @pasid_width: Max PASID Width in bits, 0..20
 * @exec_perm: Execute Permission Supported
 * @priv_mod: Privileged Mode Supported
 *
 * The control register is writable for the bits that are supported, and it
 * is cleared by every reset of the function.
 *
 * Context: BQL, at realize. PCIe r6.0, 7.8.9.
 */
void pcie_pasid_init(PCIDevice *dev, uint16_t offset, uint8_t pasid_width,
                     bool exec_perm, bool priv_mod);

/**
 * pcie_pasid_reset: clear the control register
 *
 * @dev: the function; one without the capability is left alone
 *
 * Context: BQL. Called by the PCI core for each kind of reset.
 */
void pcie_pasid_reset(PCIDevice *dev);

/**
 * pcie_pasid_enabled: has software set PASID Enable?
 *
 * @dev: the function
 *
 * Returns: false also when @dev has no PASID capability.
 *
 * Context: any thread.
 */
bool pcie_pasid_enabled(const PCIDevice *dev);

/**
 * pcie_pasid_exec_enabled: may requests ask for execute permission?
 *
 * @dev: the function
 *
 * Context: any thread.
 */
bool pcie_pasid_exec_enabled(const PCIDevice *dev);

/**
 * pcie_pasid_priv_enabled: may requests be privileged?
 *
 * @dev: the function
 *
 * Context: any thread.
 */
bool pcie_pasid_priv_enabled(const PCIDevice *dev);

/**
 * pcie_pasid_width: Max PASID Width of the capability
 *
 * @dev: the function
 *
 * Returns: bits, 0..20; 0 when @dev has no PASID capability.
 *
 * Context: any thread.
 */
uint8_t pcie_pasid_width(const PCIDevice *dev);

#endif /* QEMU_PCIE_PASID_H */
