/*
 * QTest testcase for SVM: machines that do not have it migrate as before
 *
 * A machine without svm=on goes to a QEMU that does not know of it, and comes
 * from one. QTEST_QEMU_BINARY_DST is the one that it goes to, and
 * QTEST_QEMU_BINARY_SRC the one that it comes from; one that is not set is the
 * one under test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "libqos/svm.h"
#include "libqos/vtd-edu.h"
#include "libqos/vtd-svm-migrate.h"

#define PAGE        (4 * KiB)
#define IOVA        0x40000000ULL
#define BRIDGE      QPCI_DEVFN(5, 0)
#define RNG_BUS     1
#define STU         3

/* Of the functions of bus 0, of one behind it, and VT-d's registers */
#define BUS_SIZE    (256 * PAGE)
#define CONFIG_SIZE (BUS_SIZE + PAGE)
#define VTD_SIZE    0x100

/* What the guest has set up, beside the device that does DMA */
#define DEVICES     "-device pcie-root-port,id=bridge,addr=5 " \
                    "-device virtio-rng-pci,bus=bridge,ats=on," \
                    "iommu_platform=on,disable-legacy=on"

typedef struct Machine {
    const char *name;
    const char *type;
    const char *iommu;
} Machine;

static const Machine machines[] = {
    { "legacy-mode", "pc-q35-10.0", QVTD_EDU_LEGACY },
    { "a-device-TLB", "pc-q35-10.0", QVTD_EDU_LEGACY ",device-iotlb=on" },
    { "a-first-stage", "pc-q35-10.0", QVTD_EDU_FIRST_STAGE },
    { "PASIDs", "pc-q35-10.0", QVTD_EDU_FIRST_STAGE ",x-pasid-mode=on" },
    { "an-older-type", "pc-q35-9.0",
      QVTD_EDU_LEGACY ",aw-bits=48,device-iotlb=on" },
    { "an-old-type", "pc-q35-6.0", QVTD_EDU_LEGACY ",aw-bits=48" },
};

static QTestState *launch(const Machine *m, const char *binary,
                          const char *more)
{
    g_autofree char *args = g_strdup_printf("-nodefaults -M %s,hpet=off,"
                                            "vmport=off -device intel-iommu,"
                                            "%s " QVTD_EDU_ARGS " " DEVICES
                                            " %s", m->type, m->iommu, more);

    return qtest_init_with_env(binary, args, true);
}

/*
 * A guest's view
 */

typedef struct View {
    uint8_t config[CONFIG_SIZE];
    uint8_t vtd[VTD_SIZE];
} View;

static View *look(QTestState *qts)
{
    View *view = g_new(View, 1);

    qtest_memread(qts, QSVM_ECAM_BASE, view->config, CONFIG_SIZE);
    qtest_memread(qts, Q35_HOST_BRIDGE_IOMMU_ADDR, view->vtd, VTD_SIZE);
    /* The device that does DMA has no state that migrates */
    memset(view->config + QVTD_EDU_DEVFN * PAGE, 0, PAGE);
    return view;
}

static void expect_same(const char *what, const uint8_t *before,
                        const uint8_t *after, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (before[i] != after[i]) {
            g_test_message("%s, offset 0x%zx: 0x%02x, then 0x%02x", what, i,
                           before[i], after[i]);
        }
    }
    g_assert(!memcmp(before, after, size));
}

/*
 * The guest
 */

static void set_up_functions(QVTDEdu *f)
{
    QSVM rng = { .dev = f->edu.dev, .config = QSVM_ECAM_BASE + BUS_SIZE };
    uint64_t bridge = QSVM_ECAM_BASE + BRIDGE * PAGE;

    qsvm_enable_ecam(f->bus);
    qtest_writeb(f->qts, bridge + PCI_SECONDARY_BUS, RNG_BUS);
    qtest_writeb(f->qts, bridge + PCI_SUBORDINATE_BUS, RNG_BUS);
    rng.ats_cap = qsvm_find_ext_cap(&rng, PCI_EXT_CAP_ID_ATS);
    g_assert(rng.ats_cap);
    qsvm_config_writew(&rng, rng.ats_cap + PCI_ATS_CTRL,
                       PCI_ATS_CTRL_ENABLE | STU);
    qsvm_config_writew(&rng, PCI_COMMAND, PCI_COMMAND_MASTER);
}

static uint64_t map_page(QVTDEdu *f)
{
    uint64_t page = qvtd_alloc_page(f->v);

    if (f->v->scalable) {
        qvtd_fs_map(f->v, f->table, IOVA, page, 1, QVTD_FS_USER_RW);
    } else {
        qvtd_ss_map(f->v, f->table, IOVA, page, 1, QVTD_SS_RW);
    }
    return page;
}

static void unmap_page(QVTDEdu *f)
{
    qtest_writeq(f->qts, qvtd_pte_addr(f->v, f->table, IOVA, 1), 0);
    qvtd_inv_all(f->v);
    if (f->v->scalable) {
        qvtd_inv(f->v, qvtd_piotlb_desc(QVTD_PIOTLB_ALL, QVTD_EDU_DID,
                                        QVTD_EDU_RID_PASID, 0, 0, false));
    }
}

/* By a file; the source ends. */
static void migrate(QVTDEdu *f, const Machine *m, const char *binary)
{
    g_autofree char *path = qvtd_svm_temporary_path();
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    QTestState *to = launch(m, binary, "-incoming defer");

    qvtd_svm_migrate_to(f->qts, uri);
    qtest_qmp_assert_success(to, "{ 'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s } }", uri);
    qtest_qmp_eventwait(to, "RESUME");
    qvtd_edu_move(f, to);
    g_assert_cmpint(unlink(path), ==, 0);
}

static void check(const Machine *m, const char *from, const char *to)
{
    QVTDEdu *f = qvtd_edu_attach(launch(m, from, ""), m->iommu);
    uint64_t page = map_page(f);
    g_autofree View *before = NULL;
    g_autofree View *after = NULL;

    set_up_functions(f);
    g_assert(qvtd_edu_writes(f, IOVA, page));
    before = look(f->qts);
    migrate(f, m, to);
    after = look(f->qts);
    expect_same("configuration space", before->config, after->config,
                CONFIG_SIZE);
    expect_same("VT-d", before->vtd, after->vtd, VTD_SIZE);

    /* Tables and the invalidation queue are where they were */
    g_assert(qvtd_edu_writes(f, IOVA, page));
    unmap_page(f);
    g_assert(!qvtd_edu_writes(f, IOVA, page));
    qvtd_edu_stop(f);
}

static void test_to(const void *opaque)
{
    check(opaque, NULL, "QTEST_QEMU_BINARY_DST");
}

static void test_from(const void *opaque)
{
    check(opaque, "QTEST_QEMU_BINARY_SRC", NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(machines); i++) {
        g_autofree char *to = g_strdup_printf("/svm/compat/goes/%s",
                                              machines[i].name);
        g_autofree char *from = g_strdup_printf("/svm/compat/comes/%s",
                                                machines[i].name);

        qvtd_svm_add_data_migration(to, &machines[i], test_to);
        qvtd_svm_add_data_migration(from, &machines[i], test_from);
    }
    return g_test_run();
}
