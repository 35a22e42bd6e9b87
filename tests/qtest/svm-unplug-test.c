/*
 * QTest testcase for SVM: devices that go while they use PASID, ATS and PRI
 *
 * PCIe r6.0, 6.7.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "libqos/svm-testdev.h"
#include "qobject/qdict.h"
#include "qobject/qnum.h"

#define PAGE        (4 * KiB)
#define IOVA        0x7f1234560000ULL
#define SID         (QTESTDEV_BRIDGE_BUS << 8)
#define CREDITS     8

/* Hot-plug by the port itself, which needs no firmware's tables */
#define PORT_ARGS   "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=" \
                    "off -device pcie-root-port,id=bridge,addr=5 "

/*
 * Ways to go
 */

static void write_slot_control(QVTDSVM *f, uint16_t val)
{
    QPCIDevice *port = qpci_device_find(f->bus, QTESTDEV_BRIDGE_DEVFN);
    uint8_t cap = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);

    qpci_config_writew(port, cap + PCI_EXP_SLTCTL, val);
    g_free(port);
}

/* A person asks; the OS agrees, and turns power and indicator off */
static void request_removal(QVTDSVM *f, const char *id)
{
    write_slot_control(f, PCI_EXP_SLTCTL_PWR_IND_ON | PCI_EXP_SLTCTL_PWR_ON);
    qtest_qmp_assert_success(f->qts, "{ 'execute': 'device_del', "
                                     "'arguments': { 'id': %s } }", id);
}

static void agree(QVTDSVM *f, const char *id)
{
    write_slot_control(f, PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PWR_OFF);
    qtest_qmp_eventwait(f->qts, "DEVICE_DELETED");
}

static void remove_orderly(QVTDSVM *f, const char *id)
{
    request_removal(f, id);
    agree(f, id);
}

/* Nobody was asked */
static void remove_by_surprise(QVTDSVM *f, const char *id)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);

    qtest_qmp_assert_success(f->qts, "{ 'execute': 'qom-set', 'arguments': {"
                             " 'path': %s, 'property': 'realized',"
                             " 'value': false } }", path);
}

typedef struct Removal {
    const char *idle_path;
    const char *waiting_path;
    const char *notifiers_path;
    const char *vfs_path;
    void (*remove)(QVTDSVM *f, const char *id);
    bool again;                 /* the device can be plugged in again */
} Removal;

static const Removal removals[] = {
    { "/svm/caps/a-device-that-has-a-cache-is-unplugged",
      "/svm/pri/a-device-that-waits-for-a-response-is-unplugged",
      "/svm/caps/a-device-with-notifiers-is-unplugged",
      "/svm/caps/virtual-functions-with-notifiers-are-unplugged",
      remove_orderly, true },
    { "/svm/caps/a-device-that-has-a-cache-is-gone-by-surprise",
      "/svm/pri/a-device-that-waits-for-a-response-is-gone-by-surprise",
      "/svm/caps/a-device-with-notifiers-is-gone-by-surprise",
      "/svm/caps/virtual-functions-with-notifiers-are-gone-by-surprise",
      remove_by_surprise },
};

/*
 * The endpoint
 */

static QVTDSVM *start_endpoint(void)
{
    QVTDSVM *f = qvtd_svm_start_machine("", PORT_ARGS
                                        "-device svm,id=ep,bus=bridge");

    qtestdev_number_bus(f);
    qvtd_svm_attach(f, SID);
    qvtd_enable_prq(f->v, 0);
    qsvm_enable_pri(&f->svm, CREDITS);
    return f;
}

/* Nothing may use what the device has left behind */
static void touch_what_was(QVTDSVM *f, uint16_t sid)
{
    for (int i = 0; i < 8; i++) {
        qvtd_inv(f->v, qvtd_page_response_desc(sid, QVTD_SVM_PASID, i,
                                               QVTD_SVM_SUCCESS));
    }
    qvtd_inv_times_out(f->v, qvtd_dev_piotlb_desc(sid, QVTD_SVM_PASID, IOVA,
                                                  false, false));
    qvtd_inv_times_out(f->v, qvtd_dev_piotlb_desc(sid, QVTD_SVM_PASID, IOVA,
                                                  false, true));
    qvtd_inv_all(f->v);
    qtest_clock_step(f->qts, NANOSECONDS_PER_SECOND);
}

/* Without a device to leave alone */
static void stop_machine(QVTDSVM *f)
{
    QVTDFault fault;

    g_assert(!qvtd_pop_fault(f->v, &fault));
    qvtd_free(f->v);
    g_free(f->svm.dev);
    qpci_free_pc(f->bus);
    qtest_quit(f->qts);
    g_free(f);
}

static void plug_in_again(QVTDSVM *f)
{
    qtest_qmp_assert_success(f->qts, "{ 'execute': 'device_add', 'arguments':"
                             " { 'driver': 'svm', 'id': 'ep',"
                             " 'bus': 'bridge' } }");
    write_slot_control(f, PCI_EXP_SLTCTL_PWR_IND_ON | PCI_EXP_SLTCTL_PWR_ON);
    g_free(f->svm.dev);
    qsvm_init(&f->svm, f->bus, SID);
    qsvm_set_pasid_enables(&f->svm, PCI_PASID_CTRL_ENABLE);
    qsvm_set_ats(&f->svm, true);
    qsvm_set_pasid(&f->svm, QVTD_SVM_PASID);
}

static void check_replacement(QVTDSVM *f)
{
    uint64_t page;

    plug_in_again(f);
    page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    qvtd_inv(f->v, qvtd_dev_piotlb_desc(SID, QVTD_SVM_PASID, IOVA, false,
                                        false));
    g_assert(qvtd_svm_writes(f, IOVA, page));
}

static void test_idle(const void *data)
{
    const Removal *r = data;
    QVTDSVM *f = start_endpoint();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    g_assert(qvtd_svm_writes(f, IOVA, page));
    r->remove(f, "ep");
    touch_what_was(f, SID);
    if (r->again) {
        check_replacement(f);
    }
    stop_machine(f);
}

/* The page that the OS makes resident is not touched any more */
static void test_waiting(const void *data)
{
    const Removal *r = data;
    QVTDSVM *f = start_endpoint();
    QVTDPageReq req;
    uint64_t page;

    qsvm_start_write(&f->svm, IOVA, PAGE);
    req = qvtd_svm_wait_page_req(f);
    page = qvtd_svm_resolve(f, &req);
    r->remove(f, "ep");
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    touch_what_was(f, SID);
    g_assert(qvtd_svm_is_poisoned(f, page, PAGE));
    if (r->again) {
        check_replacement(f);
    }
    stop_machine(f);
}

/* The OS may need the device in order to agree */
static void test_requested(void)
{
    QVTDSVM *f = start_endpoint();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    request_removal(f, "ep");
    g_assert(qvtd_svm_writes(f, IOVA, page));
    agree(f, "ep");
    stop_machine(f);
}

/*
 * The test device
 */

static void test_notifiers(const void *data)
{
    const Removal *r = data;
    QTestdev t;

    qtestdev_start_behind(&t, "pcie-root-port", 0, "");
    for (unsigned int i = 0; i < SVM_TESTDEV_SLOTS; i++) {
        t.pasid = i ? i : QVTD_SVM_PASID;
        qtestdev_listen(&t, i);
    }
    t.pasid = QVTD_SVM_PASID;
    for (unsigned int i = 0; i < CREDITS; i++) {
        g_assert_cmpint(qtestdev_request(&t, i, i), ==, 0);
        qtestdev_pop(&t);
    }
    r->remove(t.f, "testdev");
    touch_what_was(t.f, t.sid);
    qtestdev_pop_none(&t);
    qtestdev_stop(&t);
}

static void test_vfs(const void *data)
{
    const Removal *r = data;
    QTestdev t, vf[2];

    qtestdev_start_behind(&t, "pcie-root-port", 0, ",vfs=2");
    qtestdev_enable_vfs(&t, vf, ARRAY_SIZE(vf));
    for (int i = 0; i < ARRAY_SIZE(vf); i++) {
        qtestdev_listen(&vf[i], 0);
        g_assert_cmpint(qtestdev_request(&vf[i], i, true), ==, 0);
        qtestdev_pop(&vf[i]);
    }
    qtestdev_listen(&t, 0);
    r->remove(t.f, "testdev");
    touch_what_was(t.f, t.sid);
    touch_what_was(t.f, vf[0].sid);
    touch_what_was(t.f, vf[1].sid);
    qtestdev_stop(&t);
}

/* Each device of the machine ends as those do that use the API */
static void test_other_device(void)
{
    QVTDSVM *f = qvtd_svm_start_machine("", "-device svm,addr=4 "
                                        "-device edu,id=other,addr=5");

    qvtd_svm_attach(f, QPCI_DEVFN(4, 0));
    remove_by_surprise(f, "other");
    g_assert(!qpci_device_find(f->bus, QPCI_DEVFN(5, 0)));
    touch_what_was(f, QPCI_DEVFN(5, 0));
    qvtd_svm_stop(f);
}

typedef struct Call {
    const char *path;
    unsigned int call;
    int64_t ret;
} Call;

static const Call calls[] = {
    { "/svm/caps/an-unplug-refuses-to-register-for-invalidations",
      SVM_TESTDEV_REGISTER_IOTLB, -EPERM },
    { "/svm/caps/an-unplug-refuses-to-register-for-responses",
      SVM_TESTDEV_REGISTER_PRI, -EPERM },
    { "/svm/caps/an-unplug-refuses-a-translation-request",
      SVM_TESTDEV_TRANSLATE, -EPERM },
    { "/svm/caps/an-unplug-refuses-a-partial-translation-request",
      SVM_TESTDEV_TRANSLATE_PART, -EPERM },
    { "/svm/caps/an-unplug-refuses-a-page-request", SVM_TESTDEV_REQUEST_PAGE,
      -EPERM },
    { "/svm/caps/an-unplug-lets-a-device-unregister",
      SVM_TESTDEV_UNREGISTER_IOTLB, 0 },
};

static int64_t read_result(QTestState *qts)
{
    QDict *response = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                                     " 'path': '/machine/peripheral/testdev',"
                                     " 'property': 'result' } }");
    int64_t ret = qnum_get_uint(qobject_to(QNum, qdict_get(response,
                                                           "return")));

    qobject_unref(response);
    return ret;
}

/* The device makes the call while it is being unrealized */
static void test_call(const void *data)
{
    const Call *c = data;
    QTestdev t;

    qtestdev_start(&t, "");
    qtestdev_listen(&t, 1);
    qtestdev_prepare_sample(&t, 0);
    if (c->call == SVM_TESTDEV_UNREGISTER_IOTLB) {
        qtestdev_set(&t, SVM_TESTDEV_SLOT, 1);
    }
    qtestdev_set(&t, SVM_TESTDEV_DELAY, NANOSECONDS_PER_SECOND);
    qtestdev_set(&t, SVM_TESTDEV_CALL, c->call);
    remove_by_surprise(t.f, "testdev");
    g_assert_cmpint(read_result(t.qts), ==, c->ret);
    qtestdev_pop_none(&t);
    touch_what_was(t.f, t.sid);
    qtestdev_stop(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(removals); i++) {
        qtest_add_data_func(removals[i].idle_path, &removals[i], test_idle);
        qtest_add_data_func(removals[i].waiting_path, &removals[i],
                            test_waiting);
        qtest_add_data_func(removals[i].notifiers_path, &removals[i],
                            test_notifiers);
        qtest_add_data_func(removals[i].vfs_path, &removals[i], test_vfs);
    }
    for (int i = 0; i < ARRAY_SIZE(calls); i++) {
        qtest_add_data_func(calls[i].path, &calls[i], test_call);
    }
    qtest_add_func("/svm/caps/a-device-that-never-used-svm-is-unplugged",
                   test_other_device);
    qtest_add_func("/svm/caps/a-request-to-unplug-stops-nothing",
                   test_requested);
    return g_test_run();
}
