/*
 * QTest testcase for SVM: devices that go while they use PASID, ATS and PRI, or
 * while somebody uses their registers
 *
 * PCIe r6.0, 6.7.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "hw/misc/svm-stress.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "libqos/svm-testdev.h"
#include "libqos/virtio-pci.h"
#include "qobject/qdict.h"
#include "qobject/qnum.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_ring.h"

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

static void pull_out(QTestState *qts, const char *id)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);

    qtest_qmp_assert_success(qts, "{ 'execute': 'qom-set', 'arguments': {"
                             " 'path': %s, 'property': 'realized',"
                             " 'value': false } }", path);
}

/* Nobody was asked */
static void remove_by_surprise(QVTDSVM *f, const char *id)
{
    pull_out(f->qts, id);
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

/*
 * Accesses that come late. A block device's data is in registers: its IOThread,
 * as a CPU does, finds them and waits for the BQL, which an unplug has.
 */

#define LATE_DATA       1024    /* bytes of a request */
#define LATE_HEADER     16      /* bytes, and the status byte behind it */
#define LATE_BUFFERS    120     /* of them, in registers */
#define LATE_REQUESTS   255
#define LATE_ROUNDS     4

typedef struct Late {
    const char *path;
    const char *device;
    unsigned int bar;
    uint64_t reg;
    unsigned int len;           /* of an access */
    uint64_t val;               /* written again and again; 0: it is read */
    uint64_t arg;               /* a register of the same size, or 0 */
    uint64_t arg_val;           /* what it is set to before */
} Late;

static const Late lates[] = {
    { "/svm/caps/a-late-read-of-counters-is-harmless", "svm", SVM_BAR,
      SVM_STAT_ATS_REQUESTS, 8 },
    { "/svm/caps/a-late-read-of-outstanding-requests-is-harmless", "svm",
      SVM_BAR, SVM_REG_OUTSTANDING, 4 },
    { "/svm/caps/a-late-command-is-harmless", "svm", SVM_BAR, SVM_REG_CMD, 8,
      SVM_CMD_WRITE, SVM_REG_SIZE, PAGE },
    { "/svm/caps/a-queue-that-is-enabled-late-is-harmless", "svm",
      SVM_QUEUE_BAR, SVM_Q_REGS(0) + SVM_Q_CTRL, 4,
      SVM_CTRL_ENABLE | (uint64_t)SVM_CTRL_ABORT << 32,
      SVM_Q_REGS(0) + SVM_Q_SIZE, 1 },
    { "/svm/caps/a-late-read-of-an-MSI-X-table-is-harmless", "svm", SVM_BAR,
      SVM_MSIX_TABLE, 4 },
    { "/svm/caps/a-late-call-is-harmless", "svm-testdev", SVM_TESTDEV_BAR,
      SVM_TESTDEV_CALL, 8, SVM_TESTDEV_OPEN, SVM_TESTDEV_DELAY, 1 },
    { "/svm/caps/a-late-close-is-harmless", "svm-stress", SVM_STRESS_BAR,
      SVM_STRESS_CMD, 8, SVM_STRESS_CLOSE },
    { "/svm/caps/a-process-that-is-set-late-is-harmless", "upcase", 0, 0, 8,
      QVTD_SVM_PASID },
};

typedef struct LateMachine {
    QTestState *qts;
    QPCIBus *bus;
    QGuestAllocator alloc;
    QVirtioPCIDevice *blk;
    QVirtQueue *vq;
    QPCIDevice *dev;
    QPCIBar bar;
} LateMachine;

static void late_start_driver(LateMachine *m)
{
    QPCIAddress addr = { .devfn = QPCI_DEVFN(5, 0) };
    QVirtioDevice *vdev;

    m->blk = virtio_pci_new(m->bus, &addr);
    vdev = &m->blk->vdev;
    qvirtio_pci_device_enable(m->blk);
    qvirtio_start_device(vdev);
    qvirtio_set_features(vdev, qvirtio_get_features(vdev) &
                         ~(QVIRTIO_F_BAD_FEATURE |
                           1ULL << VIRTIO_RING_F_INDIRECT_DESC |
                           1ULL << VIRTIO_RING_F_EVENT_IDX));
    m->vq = qvirtqueue_setup(vdev, &m->alloc, 0);
    qvirtio_set_driver_ok(vdev);
}

static void late_start(LateMachine *m, const Late *l, const char *disk)
{
    uint64_t arg_val = cpu_to_le64(l->arg_val);

    m->qts = qtest_initf("-M q35 -device %s,id=late,addr=4 "
                         "-object iothread,id=io "
                         "-blockdev file,filename=%s,node-name=disk "
                         "-device virtio-blk-pci,addr=5,drive=disk,iothread=io,"
                         "iommu_platform=on,disable-legacy=on,"
                         "x-max-bounce-buffer-size=1048576", l->device, disk);
    m->bus = qpci_new_pc(m->qts, NULL);
    alloc_init(&m->alloc, ALLOC_NO_FLAGS, 1 * MiB, 16 * MiB, PAGE);
    late_start_driver(m);
    m->dev = qpci_device_find(m->bus, QPCI_DEVFN(4, 0));
    qpci_device_enable(m->dev);
    m->bar = qpci_iomap(m->dev, l->bar, NULL);
    if (l->arg) {
        qpci_memwrite(m->dev, m->bar, l->arg, &arg_val, l->len);
    }
}

static void late_stop(LateMachine *m)
{
    qvirtqueue_cleanup(m->blk->vdev.bus, m->vq, &m->alloc);
    qvirtio_pci_device_disable(m->blk);
    qvirtio_pci_destructor(&m->blk->obj);
    g_free(m->blk);
    g_free(m->dev);
    alloc_destroy(&m->alloc);
    qpci_free_pc(m->bus);
    qtest_quit(m->qts);
}

/* Returns its first descriptor. */
static uint32_t late_make_request(LateMachine *m, const Late *l)
{
    uint64_t req = guest_alloc(&m->alloc, PAGE), rest = req + LATE_DATA;
    uint32_t head;

    qtest_memset(m->qts, req, 0, LATE_HEADER);
    qtest_writel(m->qts, req, l->val ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT);
    head = qvirtqueue_add(m->qts, m->vq, req, LATE_HEADER, false, true);
    for (int i = 0; i < LATE_BUFFERS; i++) {
        qvirtqueue_add(m->qts, m->vq, m->bar.addr + l->reg, l->len, l->val,
                       true);
    }
    qvirtqueue_add(m->qts, m->vq, rest, LATE_DATA - LATE_BUFFERS * l->len,
                   l->val, true);
    qvirtqueue_add(m->qts, m->vq, req + LATE_HEADER, 1, true, false);
    return head;
}

/* The same one many times */
static void late_submit(LateMachine *m, uint32_t head)
{
    uint16_t ring[LATE_REQUESTS];

    g_assert_cmpuint(m->vq->size, >, LATE_REQUESTS);
    for (int i = 0; i < LATE_REQUESTS; i++) {
        ring[i] = cpu_to_le16(head);
    }
    qtest_bufwrite(m->qts, m->vq->avail + 4, ring, sizeof(ring));
    qtest_writew(m->qts, m->vq->avail + 2, LATE_REQUESTS - 1);
    qvirtqueue_kick(m->qts, &m->blk->vdev, m->vq, head);
}

static void late_wait(LateMachine *m, unsigned int count)
{
    int64_t deadline = g_get_monotonic_time() + QSVM_TIMEOUT_US;

    while (qtest_readw(m->qts, m->vq->used + 2) < count) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline);
    }
}

/* Data is read when a request begins, and written when it ends. */
static void late_round(const Late *l, const char *disk)
{
    LateMachine m;

    late_start(&m, l, disk);
    late_submit(&m, late_make_request(&m, l));
    late_wait(&m, l->val ? 1 : 0);
    pull_out(m.qts, "late");
    late_wait(&m, LATE_REQUESTS);
    late_stop(&m);
}

static void late_make_disk(int fd, uint64_t val)
{
    uint64_t data[LATE_DATA / sizeof(uint64_t)];

    for (int i = 0; i < ARRAY_SIZE(data); i++) {
        data[i] = cpu_to_le64(val);
    }
    g_assert_cmpint(write(fd, data, sizeof(data)), ==, sizeof(data));
    close(fd);
}

static void test_late(const void *data)
{
    const Late *l = data;
    g_autofree char *disk = NULL;
    int fd;

    if (!qtest_has_device(l->device) || !qtest_has_device("virtio-blk-pci")) {
        g_test_skip("the device is missing");
        return;
    }
    fd = g_file_open_tmp("svm-unplug-test-XXXXXX", &disk, NULL);
    g_assert_cmpint(fd, >=, 0);
    late_make_disk(fd, l->val);
    for (int i = 0; i < LATE_ROUNDS; i++) {
        late_round(l, disk);
    }
    g_assert_cmpint(unlink(disk), ==, 0);
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
    for (int i = 0; i < ARRAY_SIZE(lates); i++) {
        qtest_add_data_func(lates[i].path, &lates[i], test_late);
    }
    qtest_add_func("/svm/caps/a-device-that-never-used-svm-is-unplugged",
                   test_other_device);
    qtest_add_func("/svm/caps/a-request-to-unplug-stops-nothing",
                   test_requested);
    return g_test_run();
}
