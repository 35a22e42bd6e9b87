/*
 * libqos driver for the SVM demo endpoint (-device svm)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "svm.h"

/* Host bridge of q35: base address of the extended configuration space */
#define Q35_PCIEXBAR        0x60
#define Q35_PCIEXBAR_EN     (1 << 0)

/* An extended capability's header (PCIe r6.0, 7.6.3) */
#define EXT_CAP_FIRST       0x100
#define EXT_CAP_ID(header)  ((header) & 0xffff)
#define EXT_CAP_NEXT(header) ((header) >> 20 & 0xffc)

#define QSVM_SETTLE_STEPS   20

void qsvm_enable_ecam(QPCIBus *bus)
{
    bus->config_writel(bus, 0, Q35_PCIEXBAR + 4, 0);
    bus->config_writel(bus, 0, Q35_PCIEXBAR, QSVM_ECAM_BASE | Q35_PCIEXBAR_EN);
}

/* Configuration space */

uint16_t qsvm_config_readw(QSVM *svm, uint16_t offset)
{
    return qtest_readw(svm->dev->bus->qts, svm->config + offset);
}

uint32_t qsvm_config_readl(QSVM *svm, uint16_t offset)
{
    return qtest_readl(svm->dev->bus->qts, svm->config + offset);
}

void qsvm_config_writew(QSVM *svm, uint16_t offset, uint16_t val)
{
    qtest_writew(svm->dev->bus->qts, svm->config + offset, val);
}

void qsvm_config_writel(QSVM *svm, uint16_t offset, uint32_t val)
{
    qtest_writel(svm->dev->bus->qts, svm->config + offset, val);
}

uint16_t qsvm_find_ext_cap(QSVM *svm, uint16_t id)
{
    uint16_t offset = EXT_CAP_FIRST;

    while (offset) {
        uint32_t header = qsvm_config_readl(svm, offset);

        if (EXT_CAP_ID(header) == id) {
            return offset;
        }
        offset = EXT_CAP_NEXT(header);
    }
    return 0;
}

void qsvm_set_pasid_enables(QSVM *svm, uint16_t ctrl)
{
    qsvm_config_writew(svm, svm->pasid_cap + PCI_PASID_CTRL, ctrl);
}

void qsvm_set_ats(QSVM *svm, bool on)
{
    qsvm_config_writew(svm, svm->ats_cap + PCI_ATS_CTRL,
                       on ? PCI_ATS_CTRL_ENABLE : 0);
}

void qsvm_enable_pri(QSVM *svm, uint32_t allocation)
{
    g_assert(qsvm_pri_status(svm) & PCI_PRI_STATUS_STOPPED);
    qsvm_config_writew(svm, svm->pri_cap + PCI_PRI_CTRL, PCI_PRI_CTRL_RESET);
    qsvm_config_writew(svm, svm->pri_cap + PCI_PRI_STATUS,
                       PCI_PRI_STATUS_RF | PCI_PRI_STATUS_UPRGI);
    qsvm_config_writel(svm, svm->pri_cap + PCI_PRI_ALLOC_REQ, allocation);
    qsvm_config_writew(svm, svm->pri_cap + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
}

void qsvm_disable_pri(QSVM *svm)
{
    qsvm_config_writew(svm, svm->pri_cap + PCI_PRI_CTRL, 0);
}

uint16_t qsvm_pri_status(QSVM *svm)
{
    return qsvm_config_readw(svm, svm->pri_cap + PCI_PRI_STATUS);
}

void qsvm_function_reset(QSVM *svm)
{
    uint8_t cap = qpci_find_capability(svm->dev, PCI_CAP_ID_EXP, 0);
    uint16_t ctrl = qpci_config_readw(svm->dev, cap + PCI_EXP_DEVCTL);

    g_assert(qpci_config_readl(svm->dev, cap + PCI_EXP_DEVCAP) &
             PCI_EXP_DEVCAP_FLR);
    qpci_config_writew(svm->dev, cap + PCI_EXP_DEVCTL,
                       ctrl | PCI_EXP_DEVCTL_BCR_FLR);
}

/* Life cycle */

static void qsvm_mask_msix(QSVM *svm, bool mask)
{
    qpci_io_writel(svm->dev, svm->bar,
                   SVM_MSIX_TABLE + PCI_MSIX_ENTRY_VECTOR_CTRL,
                   mask ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

static void qsvm_enable_msix(QSVM *svm)
{
    uint8_t cap = qpci_find_capability(svm->dev, PCI_CAP_ID_MSIX, 0);

    g_assert_cmphex(qpci_config_readl(svm->dev, cap + PCI_MSIX_TABLE), ==,
                    SVM_MSIX_TABLE | SVM_BAR);
    g_assert_cmphex(qpci_config_readl(svm->dev, cap + PCI_MSIX_PBA), ==,
                    SVM_MSIX_PBA | SVM_BAR);
    /* Some vector of local APIC 0, for qsvm_wait() to send a message to */
    qpci_io_writel(svm->dev, svm->bar, SVM_MSIX_TABLE, 0xfee00000);
    qpci_io_writel(svm->dev, svm->bar, SVM_MSIX_TABLE + 4, 0);
    qpci_io_writel(svm->dev, svm->bar, SVM_MSIX_TABLE + 8, 0x80);
    qsvm_mask_msix(svm, true);
    qpci_config_writew(svm->dev, cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
}

void qsvm_enable_function(QSVM *svm)
{
    qpci_device_enable(svm->dev);
    svm->bar = qpci_iomap(svm->dev, SVM_BAR, NULL);
}

void qsvm_enable(QSVM *svm)
{
    qsvm_enable_function(svm);
    g_assert_cmphex(qsvm_readq(svm, SVM_REG_ID), ==, SVM_ID);
    qsvm_enable_msix(svm);
}

void qsvm_init_function(QSVM *svm, QPCIBus *bus, int devfn)
{
    svm->dev = qpci_device_find(bus, devfn);
    g_assert(svm->dev);
    svm->config = QSVM_ECAM_BASE + (devfn << 12);
    svm->pasid_cap = qsvm_find_ext_cap(svm, PCI_EXT_CAP_ID_PASID);
    svm->ats_cap = qsvm_find_ext_cap(svm, PCI_EXT_CAP_ID_ATS);
    svm->pri_cap = qsvm_find_ext_cap(svm, PCI_EXT_CAP_ID_PRI);
    g_assert(svm->pasid_cap && svm->ats_cap && svm->pri_cap);
}

void qsvm_init(QSVM *svm, QPCIBus *bus, int devfn)
{
    qsvm_init_function(svm, bus, devfn);
    g_assert_cmphex(qpci_config_readw(svm->dev, PCI_VENDOR_ID), ==,
                    SVM_PCI_VENDOR_ID);
    g_assert_cmphex(qpci_config_readw(svm->dev, PCI_DEVICE_ID), ==,
                    SVM_PCI_DEVICE_ID);
    qsvm_enable(svm);
}

void qsvm_fini(QSVM *svm)
{
    qpci_iounmap(svm->dev, svm->bar);
    g_free(svm->dev);
}

/* Commands */

uint64_t qsvm_readq(QSVM *svm, uint64_t reg)
{
    return qpci_io_readq(svm->dev, svm->bar, reg);
}

void qsvm_writeq(QSVM *svm, uint64_t reg, uint64_t val)
{
    qpci_io_writeq(svm->dev, svm->bar, reg, val);
}

void qsvm_set_pasid(QSVM *svm, uint32_t pasid)
{
    qpci_io_writel(svm->dev, svm->bar, SVM_REG_PASID, pasid);
}

uint32_t qsvm_outstanding(QSVM *svm, uint32_t pasid)
{
    qpci_io_writel(svm->dev, svm->bar, SVM_REG_OUTSTANDING, pasid);
    return qpci_io_readl(svm->dev, svm->bar, SVM_REG_OUTSTANDING);
}

static void qsvm_start(QSVM *svm, uint64_t cmd, uint64_t addr, uint64_t size)
{
    g_assert(!qsvm_is_done(svm));
    qsvm_writeq(svm, SVM_REG_ADDR, addr);
    qsvm_writeq(svm, SVM_REG_SIZE, size);
    qsvm_writeq(svm, SVM_REG_CMD, cmd);
}

void qsvm_start_write(QSVM *svm, uint64_t addr, uint64_t size)
{
    qsvm_start(svm, SVM_CMD_WRITE, addr, size);
}

void qsvm_start_read(QSVM *svm, uint64_t addr, uint64_t size, uint8_t crc)
{
    qsvm_writeq(svm, SVM_REG_CRC, crc);
    qsvm_start(svm, SVM_CMD_READ, addr, size);
}

bool qsvm_is_done(QSVM *svm)
{
    return qpci_io_readl(svm->dev, svm->bar, SVM_MSIX_PBA) & 1;
}

void qsvm_step(QSVM *svm, int64_t start)
{
    g_assert_cmpint(g_get_monotonic_time() - start, <, QSVM_TIMEOUT_US);
    qtest_clock_step(svm->dev->bus->qts, QSVM_STEP_NS);
}

void qsvm_settle(QSVM *svm)
{
    for (int i = 0; i < QSVM_SETTLE_STEPS; i++) {
        qsvm_step(svm, g_get_monotonic_time());
    }
}

bool qsvm_wait(QSVM *svm)
{
    int64_t start = g_get_monotonic_time();

    while (!qsvm_is_done(svm)) {
        qsvm_step(svm, start);
    }
    /* Unmasking sends the pending message */
    qsvm_mask_msix(svm, false);
    qsvm_mask_msix(svm, true);
    g_assert(!qsvm_is_done(svm));
    return qsvm_readq(svm, SVM_REG_STATUS) == SVM_STATUS_OK;
}

bool qsvm_write(QSVM *svm, uint64_t addr, uint64_t size)
{
    qsvm_start_write(svm, addr, size);
    return qsvm_wait(svm);
}

bool qsvm_read(QSVM *svm, uint64_t addr, uint64_t size, uint8_t crc)
{
    qsvm_start_read(svm, addr, size, crc);
    return qsvm_wait(svm);
}

uint8_t qsvm_crc(uint8_t crc, const void *buf, size_t len)
{
    const uint8_t *bytes = buf;

    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (crc & 1 ? SVM_CRC_POLY : 0);
        }
    }
    return crc;
}

void qsvm_pattern(void *buf, size_t len, uint64_t offset)
{
    uint8_t *bytes = buf;

    for (size_t i = 0; i < len; i++) {
        bytes[i] = (offset + i) % SVM_PATTERN_PERIOD;
    }
}
