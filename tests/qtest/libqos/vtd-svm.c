/*
 * libqos fixture: a q35 machine, its VT-d unit with svm=on and with the tables
 * of a process, and one SVM endpoint that works on the process's memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "pci-pc.h"
#include "qobject/qdict.h"
#include "vtd-svm.h"

#define QVTD_SVM_SLOT       4

/* Memory behind a bridge: where libqos puts BARs */
#define QVTD_SVM_WINDOW_BASE    0xe000
#define QVTD_SVM_WINDOW_LIMIT   0xeff0

/* What qvtd_svm_writes() and qvtd_svm_reads() transfer */
#define QVTD_SVM_PROBE      32

static void qvtd_svm_build_tables(QVTDSVM *f)
{
    f->v = qvtd_new(f->qts, true);
    f->dir = qvtd_new_pasid_dir(f->v, QVTD_SVM_PDTS);
    f->table = qvtd_svm_add_process(f, QVTD_SVM_PASID);
    qvtd_set_context(f->v, f->sid, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS, f->dir, 0);
    qvtd_enable(f->v);
}

static void qvtd_svm_enable_capabilities(QVTDSVM *f)
{
    qsvm_set_pasid_enables(&f->svm, PCI_PASID_CTRL_ENABLE |
                                    PCI_PASID_CTRL_PRIV);
    qsvm_set_ats(&f->svm, true);
}

static void qvtd_svm_enable_function(QVTDSVM *f)
{
    qvtd_svm_enable_capabilities(f);
    qsvm_set_pasid(&f->svm, QVTD_SVM_PASID);
}

QVTDSVM *qvtd_svm_start_machine(const char *iommu_opts, const char *devices)
{
    QVTDSVM *f = g_new0(QVTDSVM, 1);

    /* A 32-bit host cannot give more; only the top of 1 GiB pages needs it. */
    f->qts = qtest_initf("-M q35 -m %s -device intel-iommu,svm=on%s%s %s",
                         sizeof(void *) == 4 ? "2047M" : "2G",
                         *iommu_opts ? "," : "", iommu_opts, devices);
    f->bus = qpci_new_pc(f->qts, NULL);
    qsvm_enable_ecam(f->bus);
    return f;
}

void qvtd_svm_attach(QVTDSVM *f, uint16_t sid)
{
    f->sid = sid;
    qsvm_init(&f->svm, f->bus, sid);
    qvtd_svm_build_tables(f);
    qvtd_svm_enable_function(f);
}

QVTDSVM *qvtd_svm_start_with(const char *iommu_opts, const char *svm_opts)
{
    g_autofree char *device = g_strdup_printf("-device svm,addr=0x%x%s%s",
                                              QVTD_SVM_SLOT,
                                              *svm_opts ? "," : "", svm_opts);
    QVTDSVM *f = qvtd_svm_start_machine(iommu_opts, device);

    qvtd_svm_attach(f, QPCI_DEVFN(QVTD_SVM_SLOT, 0));
    return f;
}

QVTDSVM *qvtd_svm_start(void)
{
    return qvtd_svm_start_with("", "");
}

QVTDSVM *qvtd_svm_start_pri(uint32_t allocation)
{
    QVTDSVM *f = qvtd_svm_start();

    qvtd_enable_prq(f->v, 0);
    qsvm_enable_pri(&f->svm, allocation);
    return f;
}

QVTDSVM *qvtd_svm_start_device(const char *device)
{
    g_autofree char *args = g_strdup_printf("-device %s,id=%s,addr=0x%x",
                                            device, QVTD_SVM_DEVICE_ID,
                                            QVTD_SVM_SLOT);
    QVTDSVM *f = qvtd_svm_start_machine("", args);

    f->sid = QPCI_DEVFN(QVTD_SVM_SLOT, 0);
    qsvm_init_function(&f->svm, f->bus, f->sid);
    qvtd_svm_set_up_device(f);
    return f;
}

void qvtd_svm_set_up_device(QVTDSVM *f)
{
    qvtd_free(f->v);
    qvtd_svm_build_tables(f);
    qvtd_enable_prq(f->v, 0);
    qsvm_enable_function(&f->svm);
    qvtd_svm_enable_capabilities(f);
    qsvm_enable_pri(&f->svm, QVTD_SVM_ALLOCATION);
}

char *qvtd_svm_refusal(const char *device)
{
    char *argv[] = {
        getenv("QTEST_QEMU_BINARY"), (char *)"-M", (char *)"q35",
        (char *)"-nodefaults", (char *)"-accel", (char *)"qtest",
        (char *)"-display", (char *)"none", (char *)"-device",
        (char *)device, (char *)"-device",
        (char *)"no-such-device", NULL
    };
    char *errors = NULL;
    int status;

    g_assert(g_spawn_sync(NULL, argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL,
                          NULL, NULL, &errors, &status, NULL));
    g_assert(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    return errors;
}

void qvtd_svm_number_bus(QVTDSVM *f, int devfn, uint8_t bus)
{
    QPCIDevice *bridge = qpci_device_find(f->bus, devfn);

    qpci_config_writeb(bridge, PCI_PRIMARY_BUS, 0);
    qpci_config_writeb(bridge, PCI_SECONDARY_BUS, bus);
    qpci_config_writeb(bridge, PCI_SUBORDINATE_BUS, bus);
    qpci_config_writew(bridge, PCI_MEMORY_BASE, QVTD_SVM_WINDOW_BASE);
    qpci_config_writew(bridge, PCI_MEMORY_LIMIT, QVTD_SVM_WINDOW_LIMIT);
    qpci_config_writew(bridge, PCI_COMMAND, PCI_COMMAND_MEMORY |
                                            PCI_COMMAND_MASTER);
    g_free(bridge);
}

void qvtd_svm_stop(QVTDSVM *f)
{
    QVTDFault fault;
    QVTDPageReq req;

    g_assert(!qvtd_pop_fault(f->v, &fault));
    g_assert(!f->v->prq || !qvtd_pop_page_req(f->v, &req));
    qvtd_free(f->v);
    qsvm_fini(&f->svm);
    qpci_free_pc(f->bus);
    qtest_quit(f->qts);
    g_free(f);
}

void qvtd_svm_system_reset(QVTDSVM *f)
{
    qobject_unref(qtest_qmp(f->qts, "{ 'execute': 'system_reset' }"));
    qtest_qmp_eventwait(f->qts, "RESET");
    qsvm_enable_ecam(f->bus);
}

void qvtd_svm_set_up(QVTDSVM *f)
{
    qvtd_free(f->v);
    qvtd_svm_build_tables(f);
    qvtd_svm_set_up_function(f);
}

void qvtd_svm_set_up_function(QVTDSVM *f)
{
    qsvm_enable(&f->svm);
    qvtd_svm_enable_function(f);
}

/* Tables */

void qvtd_svm_set_context(QVTDSVM *f, uint64_t flags)
{
    qvtd_set_context(f->v, f->sid, flags, QVTD_SVM_PDTS, f->dir, 0);
    qvtd_inv_all(f->v);
}

void qvtd_svm_set_entry(QVTDSVM *f, uint64_t flags)
{
    QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS, .did = QVTD_SVM_DID,
        .table = f->table, .flags = flags,
    };

    qvtd_set_pasid_entry(f->v, f->dir, QVTD_SVM_PASID, &pe);
    qvtd_inv(f->v, qvtd_pasid_cache_desc(QVTD_PC_PASID, QVTD_SVM_DID,
                                         QVTD_SVM_PASID));
}

uint64_t qvtd_svm_add_process(QVTDSVM *f, uint32_t pasid)
{
    QVTDPasidEntry pe = {
        .pgtt = QVTD_PGTT_FS, .did = QVTD_SVM_DID,
        .table = qvtd_alloc_page(f->v),
    };

    qvtd_set_pasid_entry(f->v, f->dir, pasid, &pe);
    return pe.table;
}

uint64_t qvtd_svm_map(QVTDSVM *f, uint64_t iova, uint64_t flags)
{
    uint64_t page = qvtd_alloc_page(f->v);

    qvtd_fs_map(f->v, f->table, iova, page, 1, flags);
    return page;
}

/* Memory */

void qvtd_svm_poison(QVTDSVM *f, uint64_t pa, size_t len)
{
    qtest_memset(f->qts, pa, QVTD_SVM_POISON, len);
}

static bool qvtd_svm_memory_is(QVTDSVM *f, uint64_t pa, const uint8_t *expected,
                               size_t len)
{
    g_autofree uint8_t *seen = g_malloc(len);

    qtest_bufread(f->qts, pa, seen, len);
    return !memcmp(seen, expected, len);
}

bool qvtd_svm_is_poisoned(QVTDSVM *f, uint64_t pa, size_t len)
{
    g_autofree uint8_t *expected = g_malloc(len);

    memset(expected, QVTD_SVM_POISON, len);
    return qvtd_svm_memory_is(f, pa, expected, len);
}

bool qvtd_svm_is_written(QVTDSVM *f, uint64_t pa, size_t len, uint64_t offset)
{
    g_autofree uint8_t *expected = g_malloc(len);

    qsvm_pattern(expected, len, offset);
    return qvtd_svm_memory_is(f, pa, expected, len);
}

bool qvtd_svm_writes(QVTDSVM *f, uint64_t addr, uint64_t pa)
{
    bool ok;

    qvtd_svm_poison(f, pa, QVTD_SVM_PROBE);
    ok = qsvm_write(&f->svm, addr, QVTD_SVM_PROBE);
    g_assert(ok ? qvtd_svm_is_written(f, pa, QVTD_SVM_PROBE, 0)
                : qvtd_svm_is_poisoned(f, pa, QVTD_SVM_PROBE));
    return ok;
}

bool qvtd_svm_reads(QVTDSVM *f, uint64_t addr, uint64_t pa)
{
    uint8_t bytes[QVTD_SVM_PROBE];
    uint8_t crc;

    for (int i = 0; i < sizeof(bytes); i++) {
        bytes[i] = g_test_rand_int();
    }
    qtest_bufwrite(f->qts, pa, bytes, sizeof(bytes));
    crc = qsvm_crc(SVM_CRC_INIT, bytes, sizeof(bytes));
    return qsvm_read(&f->svm, addr, sizeof(bytes), crc);
}

/* Faults and page requests */

QVTDFault qvtd_svm_take_fault(QVTDSVM *f)
{
    QVTDFault fault;

    g_assert(qvtd_pop_fault(f->v, &fault));
    g_assert_cmphex(fault.sid, ==, f->sid);
    return fault;
}

QVTDPageReq qvtd_svm_wait_page_req(QVTDSVM *f)
{
    int64_t start = g_get_monotonic_time();
    QVTDPageReq req;

    while (!qvtd_pop_page_req(f->v, &req)) {
        qsvm_step(&f->svm, start);
    }
    g_assert_cmphex(req.sid, ==, f->sid);
    return req;
}

void qvtd_svm_expect_no_page_req(QVTDSVM *f)
{
    qsvm_settle(&f->svm);
    g_assert_cmphex(qvtd_readq(f->v, QVTD_PQH_REG), ==,
                    qvtd_readq(f->v, QVTD_PQT_REG));
}

uint64_t qvtd_svm_resolve(QVTDSVM *f, const QVTDPageReq *req)
{
    uint64_t page = qvtd_svm_map(f, req->addr, req->write ? QVTD_FS_USER_RW
                                                          : QVTD_FS_USER_RO);

    qvtd_svm_poison(f, page, 4096);
    return page;
}

void qvtd_svm_respond(QVTDSVM *f, const QVTDPageReq *req, unsigned int code)
{
    qvtd_inv(f->v, qvtd_page_response_desc(
                       req->sid, req->has_pasid ? req->pasid : QVTD_NO_PASID,
                       req->prgi, code));
}

bool qvtd_svm_write_resolved(QVTDSVM *f, uint64_t addr)
{
    QVTDPageReq req;
    uint64_t page;
    bool ok;

    qsvm_start_write(&f->svm, addr, 4096);
    req = qvtd_svm_wait_page_req(f);
    page = qvtd_svm_resolve(f, &req);
    qvtd_svm_respond(f, &req, QVTD_SVM_SUCCESS);
    ok = qsvm_wait(&f->svm);
    g_assert(ok ? qvtd_svm_is_written(f, page, 4096, 0)
                : qvtd_svm_is_poisoned(f, page, 4096));
    return ok;
}
