/*
 * QTest testcase for SVM: an endpoint behind a PCI Express root port, whose
 * requester ID depends on the number that software gave its bus
 *
 * PCIe r6.0, 2.2.6.2; VT-d rev 4.1, 3.4.1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/vtd-svm.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define PORT_DEVFN  QPCI_DEVFN(5, 0)
#define PORT_ARGS   "-device pcie-root-port,id=rp,addr=5 -device svm,bus=rp"
#define FIRST_BUS   1
#define SECOND_BUS  0x7f

static QVTDSVM *start(void)
{
    QVTDSVM *f = qvtd_svm_start_machine("", PORT_ARGS);

    qvtd_svm_number_bus(f, PORT_DEVFN, FIRST_BUS);
    qvtd_svm_attach(f, FIRST_BUS << 8);
    return f;
}

/* The OS gives the bus another number; the endpoint knows nothing of it */
static void renumber(QVTDSVM *f, uint8_t number)
{
    qvtd_svm_number_bus(f, PORT_DEVFN, number);
    qvtd_svm_set_context(f, 0);
    f->sid = number << 8;
    qvtd_svm_set_context(f, QVTD_SVM_CONTEXT);
    qsvm_fini(&f->svm);
    qsvm_init(&f->svm, f->bus, f->sid);
}

static void check_fault(QVTDSVM *f)
{
    uint64_t page = qvtd_svm_map(f, IOVA + PAGE, QVTD_FS_USER_RW);

    qvtd_svm_set_context(f, QVTD_SVM_CONTEXT & ~QVTD_CE_PASIDE);
    g_assert(!qvtd_svm_writes(f, IOVA + PAGE, page));
    qvtd_svm_take_fault(f);
    qvtd_svm_set_context(f, QVTD_SVM_CONTEXT);
}

static void check_page_request(QVTDSVM *f)
{
    QVTDPageReq req;
    uint64_t page;

    qvtd_enable_prq(f->v, 0);
    qsvm_enable_pri(&f->svm, 1);
    qsvm_start_write(&f->svm, IOVA + 2 * PAGE, PAGE);
    req = qvtd_svm_wait_page_req(f);
    page = qvtd_svm_map(f, IOVA + 2 * PAGE, QVTD_FS_USER_RW);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_written(f, page, PAGE, 0));
}

static void test_root_port(void)
{
    QVTDSVM *f = start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    g_assert(qvtd_svm_writes(f, IOVA, page));
    check_fault(f);
    check_page_request(f);
    qvtd_svm_stop(f);
}

static void invalidate(QVTDSVM *f, uint8_t bus)
{
    qvtd_inv(f->v, qvtd_dev_piotlb_desc(bus << 8, QVTD_SVM_PASID, IOVA, false,
                                        false));
}

/* What was cached before is known to the unit by its new number alone */
static void test_renumber(void)
{
    QVTDSVM *f = start();
    uint64_t old = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    uint64_t new;

    g_assert(qvtd_svm_writes(f, IOVA, old));
    invalidate(f, FIRST_BUS);
    g_assert(qvtd_svm_writes(f, IOVA, old));

    renumber(f, SECOND_BUS);
    g_assert(qvtd_svm_writes(f, IOVA, old));
    new = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    /* Nobody has the old number: that times out */
    qvtd_inv_times_out(f->v, qvtd_dev_piotlb_desc(FIRST_BUS << 8,
                                                  QVTD_SVM_PASID, IOVA, false,
                                                  false));
    g_assert(qvtd_svm_writes(f, IOVA, old));
    invalidate(f, SECOND_BUS);
    g_assert(qvtd_svm_writes(f, IOVA, new));
    check_fault(f);
    check_page_request(f);
    qvtd_svm_stop(f);
}

/* A response goes to the function that has the number when it comes */
static void test_renumber_waiting(void)
{
    QVTDSVM *f = start();
    QVTDPageReq req;
    uint64_t page;

    qvtd_enable_prq(f->v, 0);
    qsvm_enable_pri(&f->svm, 1);
    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    renumber(f, SECOND_BUS);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    qsvm_settle(&f->svm);
    g_assert(!qsvm_is_done(&f->svm));
    req.sid = f->sid;
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    g_assert(qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_written(f, page, PAGE, 0));
    qvtd_svm_stop(f);
}

/* An endpoint on the root bus, and one beside the ports of a switch */
#define SWITCH_ARGS     "-global ICH9-LPC." \
                        "acpi-pci-hotplug-with-bridge-support=off " \
                        "-device svm,addr=6 " \
                        "-device pcie-root-port,id=rp,addr=5 " \
                        "-device x3130-upstream,id=switch,bus=rp " \
                        "-device svm,bus=switch,addr=6"
#define SWITCH_DEVFN    (1 << 8)
#define SWITCH_BUS      2
#define ENDPOINT_DEVFN  QPCI_DEVFN(6, 0)
#define BEHIND_SID      (SWITCH_BUS << 8 | ENDPOINT_DEVFN)

static void set_bus_number(QVTDSVM *f, int devfn, uint8_t reg, uint8_t number)
{
    QPCIDevice *bridge = qpci_device_find(f->bus, devfn);

    qpci_config_writeb(bridge, reg, number);
    g_free(bridge);
}

static void number_switch(QVTDSVM *f)
{
    qvtd_svm_number_bus(f, PORT_DEVFN, 1);
    set_bus_number(f, PORT_DEVFN, PCI_SUBORDINATE_BUS, SWITCH_BUS);
    qvtd_svm_number_bus(f, SWITCH_DEVFN, SWITCH_BUS);
}

/* It shares the tables of the fixture's endpoint. */
static void enable_behind_switch(QVTDSVM *f, QSVM *svm)
{
    qsvm_init(svm, f->bus, BEHIND_SID);
    qvtd_set_context(f->v, BEHIND_SID, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS, f->dir,
                     0);
    qsvm_set_pasid_enables(svm, PCI_PASID_CTRL_ENABLE);
    qsvm_set_ats(svm, true);
    qsvm_set_pasid(svm, QVTD_SVM_PASID);
}

/* Both endpoints have the page in their caches. */
static QVTDSVM *start_switch(QSVM *behind, uint64_t *page)
{
    QVTDSVM *f;

    if (!qtest_has_device("x3130-upstream")) {
        g_test_skip("no x3130-upstream");
        return NULL;
    }
    f = qvtd_svm_start_machine("", SWITCH_ARGS);
    number_switch(f);
    qvtd_svm_attach(f, ENDPOINT_DEVFN);
    enable_behind_switch(f, behind);
    *page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    g_assert(qvtd_svm_writes(f, IOVA, *page));
    g_assert(qsvm_write(behind, IOVA, 1));
    return f;
}

/* A bridge that has lost its numbers has that of the root bus */
static void test_same_number(void)
{
    uint64_t old, new;
    QSVM behind;
    QVTDSVM *f = start_switch(&behind, &old);

    if (!f) {
        return;
    }
    set_bus_number(f, SWITCH_DEVFN, PCI_SECONDARY_BUS, 0);
    new = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    qvtd_inv(f->v, qvtd_dev_piotlb_desc(ENDPOINT_DEVFN, QVTD_SVM_PASID, IOVA,
                                        false, false));
    g_assert(qvtd_svm_writes(f, IOVA, new));
    qsvm_fini(&behind);
    qvtd_svm_stop(f);
}

static void write_slot_control(QVTDSVM *f, uint16_t val)
{
    QPCIDevice *port = qpci_device_find(f->bus, PORT_DEVFN);
    uint8_t cap = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);

    qpci_config_writew(port, cap + PCI_EXP_SLTCTL, val);
    g_free(port);
}

static void unplug_switch(QVTDSVM *f)
{
    write_slot_control(f, PCI_EXP_SLTCTL_PWR_IND_ON | PCI_EXP_SLTCTL_PWR_ON);
    qtest_qmp_assert_success(f->qts, "{ 'execute': 'device_del', "
                                     "'arguments': { 'id': 'switch' } }");
    write_slot_control(f, PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PWR_OFF);
    qtest_qmp_eventwait(f->qts, "DEVICE_DELETED");
}

/* What the OS still says of the endpoint concerns nobody */
static void test_unplug_switch(void)
{
    uint64_t page;
    QSVM behind;
    QVTDSVM *f = start_switch(&behind, &page);

    if (!f) {
        return;
    }
    unplug_switch(f);
    qvtd_inv(f->v, qvtd_pasid_cache_desc(QVTD_PC_GLOBAL, 0, 0));
    qvtd_inv(f->v, qvtd_page_response_desc(BEHIND_SID, QVTD_SVM_PASID, 0,
                                           QVTD_SVM_SUCCESS));
    qvtd_inv_times_out(f->v, qvtd_dev_piotlb_desc(BEHIND_SID, QVTD_SVM_PASID,
                                                  IOVA, false, true));
    qvtd_inv_all(f->v);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qsvm_fini(&behind);
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/svm/ats/a-function-behind-a-root-port-is-served",
                   test_root_port);
    qtest_add_func("/svm/inv/a-function-is-known-by-the-number-of-its-bus",
                   test_renumber);
    qtest_add_func("/svm/inv/a-bus-without-a-number-is-not-the-root-bus",
                   test_same_number);
    qtest_add_func("/svm/inv/a-bus-is-unplugged-with-its-functions",
                   test_unplug_switch);
    qtest_add_func("/svm/pri/a-response-finds-a-bus-that-was-renumbered",
                   test_renumber_waiting);
    return g_test_run();
}
