/*
 * QTest testcase for VT-d: a bus that is unplugged with its bridge
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "libqos/vtd.h"

/* The port does hot-plug by itself, which needs no firmware's tables */
#define MACHINE     "-M q35 -device intel-iommu,device-iotlb=on " \
                    "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=" \
                    "off -device pcie-root-port,id=rp,addr=5 " \
                    "-device pcie-pci-bridge,id=bridge,bus=rp " \
                    "-device edu,bus=bridge,addr=1"

/* What the number of the bus was before software had given it one */
#define SID         QPCI_DEVFN(0, 0)

static void write_slot_control(QTestState *qts, uint16_t val)
{
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    QPCIDevice *port = qpci_device_find(bus, QPCI_DEVFN(5, 0));
    uint8_t cap = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);

    qpci_config_writew(port, cap + PCI_EXP_SLTCTL, val);
    g_free(port);
    qpci_free_pc(bus);
}

static void unplug_bridge(QTestState *qts)
{
    write_slot_control(qts, PCI_EXP_SLTCTL_PWR_IND_ON | PCI_EXP_SLTCTL_PWR_ON);
    qtest_qmp_assert_success(qts, "{ 'execute': 'device_del',"
                                  "  'arguments': { 'id': 'bridge' } }");
    write_slot_control(qts, PCI_EXP_SLTCTL_PWR_IND_OFF |
                            PCI_EXP_SLTCTL_PWR_OFF);
    qtest_qmp_eventwait(qts, "DEVICE_DELETED");
}

/* Whatever concerns all functions, or those of a bus, leaves it alone */
static void test_unplug(void)
{
    QTestState *qts;
    QVTD *v;

    if (!qtest_has_device("pcie-pci-bridge")) {
        g_test_skip("no pcie-pci-bridge");
        return;
    }
    qts = qtest_init(MACHINE);
    v = qvtd_new(qts, false);
    unplug_bridge(qts);
    qvtd_enable(v);
    qvtd_inv(v, qvtd_cc_desc(QVTD_CC_GLOBAL, 0, 0, 0));
    qvtd_inv(v, qvtd_cc_desc(QVTD_CC_DEVICE, 0, SID, 0));
    qvtd_inv(v, qvtd_dev_iotlb_desc(SID, QVTD_DEV_TLB_ALL, true));
    qvtd_free(v);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/bus-unplug/functions-are-forgotten", test_unplug);
    return g_test_run();
}
