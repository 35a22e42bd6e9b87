/*
 * QTest testcase for SVM: what VT-d and the endpoint advertise, and which
 * options go together
 *
 * VT-d rev 4.1, 11.4.2 and 11.4.3; PCIe r6.0, 7.8.9, 10.5.1 and 10.5.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "libqos/vtd-svm.h"
#include "qobject/qdict.h"

/* Capabilities that svm=on adds to what its options have */
#define CAP_SAGAW_57    (8ULL << VTD_CAP_SAGAW_SHIFT)
#define CAP_FL5LP       (1ULL << 60)
#define ECAP_NEST       (1ULL << 26)
#define ECAP_PRS        (1ULL << 29)
#define ECAP_ERS        (1ULL << 30)
#define ECAP_NWFS       (1ULL << 33)
#define ECAP_EAFS       (1ULL << 34)
#define ECAP_PSS_20     (19ULL << 35)
#define ECAP_PDS        (1ULL << 42)
#define ECAP_SMPWC      (1ULL << 48)
#define ECAP_RPS        (1ULL << 49)

/* What every unit of q35 has */
#define CAP_BASE        (VTD_CAP_FRO | VTD_CAP_NFR | VTD_CAP_ND | \
                         VTD_CAP_MAMV | VTD_CAP_PSI | VTD_CAP_SLLPS)
#define ECAP_BASE       (VTD_ECAP_QI | VTD_ECAP_IRO)

/* With the defaults of all options */
#define CAP_48          (CAP_BASE | VTD_CAP_MGAW(48) | VTD_CAP_SAGAW_39bit | \
                         VTD_CAP_SAGAW_48bit | VTD_CAP_DRAIN)
#define ECAP_IR         (VTD_ECAP_IR | VTD_ECAP_MHMV)
#define ECAP_DEFAULT    (ECAP_BASE | ECAP_IR | VTD_ECAP_PT)

/* Scalable mode, of second and of first stage */
#define ECAP_SM_SS      (VTD_ECAP_SMTS | VTD_ECAP_SRS | VTD_ECAP_SLTS)
#define ECAP_SM_FS      (VTD_ECAP_SMTS | VTD_ECAP_FLTS)

#define ECAP_SVM        (ECAP_SM_FS | VTD_ECAP_SLTS | ECAP_NEST | \
                         VTD_ECAP_DT | VTD_ECAP_PASID | \
                         VTD_ECAP_SRS | ECAP_PRS | ECAP_ERS | ECAP_NWFS | \
                         ECAP_EAFS | ECAP_PSS_20 | ECAP_PDS | ECAP_SMPWC | \
                         ECAP_RPS)
#define CAP_SVM_57      (CAP_BASE | VTD_CAP_MGAW(57) | VTD_CAP_SAGAW_39bit | \
                         VTD_CAP_SAGAW_48bit | CAP_SAGAW_57 | VTD_CAP_DRAIN | \
                         VTD_CAP_FS1GP | CAP_FL5LP)

typedef struct Caps {
    const char *path;
    const char *opts;
    uint64_t cap;
    uint64_t ecap;
} Caps;

static const Caps caps[] = {
    { "/svm/caps/what-svm-on-offers", "svm=on",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | ECAP_SVM },
    { "/svm/caps/what-svm-on-offers-with-what-it-needs",
      "svm=on,x-scalable-mode=on,x-flts=on,device-iotlb=on,x-pasid-mode=on,"
      "aw-bits=48,dma-translation=on,dma-drain=on,snoop-control=off,"
      "caching-mode=off",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | ECAP_SVM },
    { "/svm/caps/what-svm-on-offers-without-1-GiB-pages", "svm=on,fs1gp=off",
      CAP_48, ECAP_DEFAULT | ECAP_SVM },
    { "/svm/caps/what-svm-on-offers-without-interrupt-remapping",
      "svm=on,intremap=off",
      CAP_48 | VTD_CAP_FS1GP, ECAP_BASE | VTD_ECAP_PT | ECAP_SVM },
    { "/svm/caps/what-svm-on-offers-without-pass-through", "svm=on,pt=off",
      CAP_48 | VTD_CAP_FS1GP, ECAP_BASE | ECAP_IR | ECAP_SVM },
    { "/svm/caps/what-svm-on-offers-with-5-level-tables", "svm=on,aw-bits=57",
      CAP_SVM_57, ECAP_DEFAULT | ECAP_SVM },
    { "/svm/caps/what-svm-on-offers-without-page-requests",
      "svm=on,svm-page-requests=off",
      CAP_48 | VTD_CAP_FS1GP,
      ECAP_DEFAULT | (ECAP_SVM & ~(ECAP_PRS | ECAP_PDS)) },
    { "/svm/caps/what-svm-on-offers-without-page-request-drain",
      "svm=on,svm-page-request-drain=off",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | (ECAP_SVM & ~ECAP_PDS) },
    { "/svm/caps/what-svm-on-offers-without-second-stage",
      "svm=on,svm-second-stage=off", CAP_48 | VTD_CAP_FS1GP,
      ECAP_DEFAULT | (ECAP_SVM & ~(VTD_ECAP_SLTS | ECAP_NEST)) },
    { "/svm/caps/what-svm-on-offers-without-RID_PASID",
      "svm=on,svm-rid-pasid=off",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | (ECAP_SVM & ~ECAP_RPS) },
    { "/svm/caps/what-svm-on-offers-without-page-walk-coherency",
      "svm=on,svm-page-walk-coherency=off",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | (ECAP_SVM & ~ECAP_SMPWC) },
    { "/svm/caps/what-svm-on-offers-without-nesting", "svm=on,svm-nesting=off",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | (ECAP_SVM & ~ECAP_NEST) },
    { "/svm/caps/what-svm-on-offers-without-execute-requests",
      "svm=on,svm-execute=off",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | (ECAP_SVM & ~ECAP_ERS) },
    { "/svm/caps/what-svm-on-offers-without-privileged-requests",
      "svm=on,svm-privileged=off",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | (ECAP_SVM & ~VTD_ECAP_SRS) },
    { "/svm/caps/what-svm-on-offers-without-the-no-write-flag",
      "svm=on,svm-no-write=off",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | (ECAP_SVM & ~ECAP_NWFS) },
    { "/svm/caps/what-svm-on-offers-without-extended-accessed",
      "svm=on,svm-extended-accessed=off",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | (ECAP_SVM & ~ECAP_EAFS) },
    { "/svm/caps/what-svm-on-offers-with-8-bit-PASIDs",
      "svm=on,svm-pasid-bits=8",
      CAP_48 | VTD_CAP_FS1GP,
      ECAP_DEFAULT | (ECAP_SVM & ~ECAP_PSS_20) | 7ULL << 35 },

    { "/svm/caps/what-the-defaults-offer", "svm=off", CAP_48, ECAP_DEFAULT },
    { "/svm/caps/what-intremap-off-offers", "intremap=off",
      CAP_48, ECAP_BASE | VTD_ECAP_PT },
    { "/svm/caps/what-eim-on-offers", "intremap=on,eim=on",
      CAP_48, ECAP_DEFAULT | VTD_ECAP_EIM },
    { "/svm/caps/what-device-iotlb-on-offers", "device-iotlb=on",
      CAP_48, ECAP_DEFAULT | VTD_ECAP_DT },
    { "/svm/caps/what-pt-off-offers", "pt=off", CAP_48, ECAP_BASE | ECAP_IR },
    { "/svm/caps/what-caching-mode-on-offers", "caching-mode=on",
      CAP_48 | VTD_CAP_CM, ECAP_DEFAULT },
    { "/svm/caps/what-snoop-control-on-offers", "snoop-control=on",
      CAP_48, ECAP_DEFAULT | VTD_ECAP_SC },
    { "/svm/caps/what-aw-bits-39-offers", "aw-bits=39",
      CAP_BASE | VTD_CAP_MGAW(39) | VTD_CAP_SAGAW_39bit | VTD_CAP_DRAIN,
      ECAP_DEFAULT },
    { "/svm/caps/what-dma-drain-off-offers", "dma-drain=off",
      CAP_48 & ~VTD_CAP_DRAIN, ECAP_DEFAULT },
    { "/svm/caps/what-dma-translation-off-offers", "dma-translation=off",
      CAP_48 & ~VTD_CAP_SAGAW_MASK, ECAP_DEFAULT },
    { "/svm/caps/what-scalable-mode-offers", "x-scalable-mode=on",
      CAP_48, ECAP_DEFAULT | ECAP_SM_SS },
    { "/svm/caps/what-scalable-mode-with-device-iotlb-offers",
      "x-scalable-mode=on,device-iotlb=on",
      CAP_48, ECAP_DEFAULT | ECAP_SM_SS | VTD_ECAP_DT },
    { "/svm/caps/what-scalable-mode-with-PASID-offers",
      "x-scalable-mode=on,x-pasid-mode=on",
      CAP_48, ECAP_DEFAULT | ECAP_SM_SS | VTD_ECAP_PASID },
    { "/svm/caps/what-first-stage-offers", "x-scalable-mode=on,x-flts=on",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | ECAP_SM_FS },
    { "/svm/caps/what-first-stage-without-1-GiB-pages-offers",
      "x-scalable-mode=on,x-flts=on,fs1gp=off",
      CAP_48, ECAP_DEFAULT | ECAP_SM_FS },
    { "/svm/caps/what-first-stage-with-device-iotlb-offers",
      "x-scalable-mode=on,x-flts=on,device-iotlb=on",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | ECAP_SM_FS | VTD_ECAP_DT },
    { "/svm/caps/what-first-stage-with-PASID-offers",
      "x-scalable-mode=on,x-flts=on,x-pasid-mode=on",
      CAP_48 | VTD_CAP_FS1GP, ECAP_DEFAULT | ECAP_SM_FS | VTD_ECAP_PASID },
};

/* The page request registers are there exactly where PRS says so */
static void test_caps(const void *data)
{
    const Caps *c = data;
    QTestState *qts = qtest_initf("-M q35 -device intel-iommu,%s", c->opts);
    QVTD *v = qvtd_new(qts, false);
    bool prs = c->ecap & ECAP_PRS;

    g_assert_cmphex(qvtd_readq(v, DMAR_CAP_REG), ==, c->cap);
    g_assert_cmphex(qvtd_readq(v, DMAR_ECAP_REG), ==, c->ecap);
    g_assert_cmphex(qvtd_readl(v, QVTD_PECTL_REG), ==,
                    prs ? QVTD_EVENT_MASK : 0);
    qvtd_writeq(v, QVTD_PQA_REG, 0x12345007);
    g_assert_cmphex(qvtd_readq(v, QVTD_PQA_REG), ==, prs ? 0x12345007 : 0);
    qvtd_free(v);
    qtest_quit(qts);
}

/*
 * Options that contradict each other
 */

typedef struct Refusal {
    const char *path;
    const char *opts;
    const char *message;
} Refusal;

static const Refusal refusals[] = {
    { "/svm/caps/svm-needs-scalable-mode", "svm=on,x-scalable-mode=off",
      "svm=on needs x-scalable-mode=on" },
    { "/svm/caps/svm-needs-first-stage", "svm=on,x-flts=off",
      "svm=on needs x-flts=on" },
    { "/svm/caps/svm-needs-device-iotlb", "svm=on,device-iotlb=off",
      "svm=on needs device-iotlb=on" },
    { "/svm/caps/svm-needs-device-iotlb-also-if-it-comes-later",
      "device-iotlb=off,svm=on", "svm=on needs device-iotlb=on" },
    { "/svm/caps/svm-needs-PASID", "svm=on,x-pasid-mode=off",
      "svm=on needs x-pasid-mode=on" },
    { "/svm/caps/svm-needs-48-bits", "svm=on,aw-bits=39",
      "svm=on needs aw-bits=48 or more" },
    { "/svm/caps/PASIDs-have-a-width", "svm=on,svm-pasid-bits=0",
      "svm-pasid-bits must be 1 to 20" },
    { "/svm/caps/PASIDs-have-at-most-20-bits", "svm=on,svm-pasid-bits=21",
      "svm-pasid-bits must be 1 to 20" },
    { "/svm/caps/svm-needs-DMA-translation", "svm=on,dma-translation=off",
      "svm=on needs dma-translation=on" },
    { "/svm/caps/svm-needs-DMA-drain", "svm=on,dma-drain=off",
      "svm=on needs dma-drain=on" },
    { "/svm/caps/svm-needs-caching-mode-off", "svm=on,caching-mode=on",
      "svm=on needs caching-mode=off" },
    { "/svm/caps/svm-needs-snoop-control-off", "svm=on,snoop-control=on",
      "svm=on needs snoop-control=off" },
};

static void test_refusal(const void *data)
{
    const Refusal *r = data;
    g_autofree char *unit = g_strdup_printf("intel-iommu,%s", r->opts);
    g_autofree char *expected = g_strdup_printf(" -device %s: %s\n", unit,
                                                r->message);
    g_autofree char *errors = qvtd_svm_refusal(unit);

    g_assert(g_str_has_suffix(errors, expected));
    /* One sentence */
    g_assert(strchr(errors, '\n') == errors + strlen(errors) - 1);
}

/*
 * Descriptors that come with the option
 */

typedef struct Descriptor {
    const char *path;
    const char *opts;
    QVTDDesc desc;
    bool legal;
} Descriptor;

#define FIRST_STAGE "x-scalable-mode=on,x-flts=on"

static const Descriptor descriptors[] = {
    { "/svm/caps/drain-is-legal-with-PDS", "svm=on",
      { { VTD_INV_DESC_WAIT | QVTD_WAIT_FN | QVTD_WAIT_PD } }, true },
    { "/svm/caps/drain-is-reserved-without-PDS", FIRST_STAGE,
      { { VTD_INV_DESC_WAIT | QVTD_WAIT_FN | QVTD_WAIT_PD } }, false },
    { "/svm/caps/fence-is-legal-anyway", FIRST_STAGE,
      { { VTD_INV_DESC_WAIT | QVTD_WAIT_FN } }, true },
    { "/svm/caps/page-group-response-is-legal-with-PRS", "svm=on",
      { { 9 } }, true },
    { "/svm/caps/page-group-response-is-unknown-without-PRS", FIRST_STAGE,
      { { 9 } }, false },
};

static void test_descriptor(const void *data)
{
    const Descriptor *d = data;
    QTestState *qts = qtest_initf("-M q35 -device intel-iommu,%s", d->opts);
    QVTD *v = qvtd_new(qts, true);

    qvtd_enable(v);
    g_assert(qvtd_iq_submit(v, d->desc) == d->legal);
    g_assert(qvtd_iq_error(v) == !d->legal);
    qvtd_free(v);
    qtest_quit(qts);
}

static bool get_option(QTestState *qts, const char *name)
{
    QDict *answer = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                              " 'path': '/machine/peripheral/unit',"
                              " 'property': %s } }", name);
    bool on = qdict_get_bool(answer, "return");

    qobject_unref(answer);
    return on;
}

/* Those that svm=on has set included */
static void test_options(void)
{
    QTestState *qts = qtest_init("-M q35 -device intel-iommu,id=unit,svm=on,"
                                 "svm-execute=off");

    g_assert(get_option(qts, "svm"));
    g_assert(get_option(qts, "x-flts"));
    g_assert(get_option(qts, "device-iotlb"));
    g_assert(!get_option(qts, "svm-execute"));
    g_assert(!get_option(qts, "snoop-control"));
    qtest_quit(qts);
}

/*
 * The endpoint
 */

/* Writes all ones to a register and returns what it keeps */
static uint16_t writable(QSVM *svm, uint16_t offset)
{
    uint16_t kept;

    qsvm_config_writew(svm, offset, 0xffff);
    kept = qsvm_config_readw(svm, offset);
    qsvm_config_writew(svm, offset, 0);
    return kept;
}

static void test_pasid_capability(void)
{
    QVTDSVM *f = qvtd_svm_start();
    QSVM *svm = &f->svm;

    g_assert_cmphex(qsvm_config_readl(svm, svm->pasid_cap) & 0xfffff, ==,
                    1 << 16 | PCI_EXT_CAP_ID_PASID);
    g_assert_cmphex(qsvm_config_readw(svm, svm->pasid_cap + PCI_PASID_CAP), ==,
                    20 << 8 | PCI_PASID_CAP_PRIV);
    /* Execute is not supported, so its enable is not writable */
    g_assert_cmphex(writable(svm, svm->pasid_cap + PCI_PASID_CTRL), ==,
                    PCI_PASID_CTRL_ENABLE | PCI_PASID_CTRL_PRIV);
    g_assert_cmphex(writable(svm, svm->pasid_cap + PCI_PASID_CAP), ==,
                    20 << 8 | PCI_PASID_CAP_PRIV);
    qvtd_svm_stop(f);
}

static void test_ats_capability(void)
{
    QVTDSVM *f = qvtd_svm_start();
    QSVM *svm = &f->svm;
    uint16_t cap = qsvm_config_readw(svm, svm->ats_cap + PCI_ATS_CAP);

    g_assert_cmphex(qsvm_config_readl(svm, svm->ats_cap) & 0xfffff, ==,
                    1 << 16 | PCI_EXT_CAP_ID_ATS);
    g_assert(cap & PCI_ATS_CAP_PAGE_ALIGNED);
    g_assert_cmpuint(PCI_ATS_CAP_QDEP(cap), ==, 0);
    g_assert_cmphex(writable(svm, svm->ats_cap + PCI_ATS_CTRL), ==,
                    PCI_ATS_CTRL_ENABLE | PCI_ATS_CTRL_STU(0xffff));
    g_assert_cmphex(writable(svm, svm->ats_cap + PCI_ATS_CAP), ==, cap);
    qvtd_svm_stop(f);
}

static void test_pri_capability(void)
{
    QVTDSVM *f = qvtd_svm_start();
    QSVM *svm = &f->svm;

    g_assert_cmphex(qsvm_config_readl(svm, svm->pri_cap) & 0xfffff, ==,
                    1 << 16 | PCI_EXT_CAP_ID_PRI);
    g_assert_cmphex(qsvm_pri_status(svm), ==, PCI_PRI_STATUS_PASID |
                    PCI_PRI_STATUS_STOPPED);
    g_assert_cmphex(writable(svm, svm->pri_cap + PCI_PRI_STATUS), ==,
                    PCI_PRI_STATUS_PASID | PCI_PRI_STATUS_STOPPED);
    g_assert_cmphex(writable(svm, svm->pri_cap + PCI_PRI_CTRL), ==,
                    PCI_PRI_CTRL_ENABLE);
    qsvm_config_writel(svm, svm->pri_cap + PCI_PRI_MAX_REQ, 1);
    g_assert_cmpuint(qsvm_config_readl(svm, svm->pri_cap + PCI_PRI_MAX_REQ),
                     ==, 512);
    qsvm_config_writel(svm, svm->pri_cap + PCI_PRI_ALLOC_REQ, 0x1234);
    g_assert_cmphex(qsvm_config_readl(svm, svm->pri_cap + PCI_PRI_ALLOC_REQ),
                    ==, 0x1234);
    qvtd_svm_stop(f);
}

/* Vectors of CPU 0 */
#define VECTOR_MSI      0x44
#define VECTOR_MSIX     0x45

/* The end of a command is one interrupt, by MSI-X if that is enabled */
static void test_interrupts(void)
{
    QVTDSVM *f = qvtd_svm_start();
    QPCIDevice *dev = f->svm.dev;
    uint8_t msi = qpci_find_capability(dev, PCI_CAP_ID_MSI, 0);
    uint8_t msix = qpci_find_capability(dev, PCI_CAP_ID_MSIX, 0);

    qpci_config_writel(dev, msi + PCI_MSI_ADDRESS_LO, 0xfee00000);
    qpci_config_writew(dev, msi + PCI_MSI_DATA_64, VECTOR_MSI);
    qpci_config_writew(dev, msi + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE);
    qpci_io_writel(dev, f->svm.bar, SVM_MSIX_TABLE + PCI_MSIX_ENTRY_DATA,
                   VECTOR_MSIX);
    g_assert(qsvm_write(&f->svm, 0, 0));
    g_assert(qvtd_msi_pending(f->v, VECTOR_MSIX, 0));
    g_assert(!qvtd_msi_pending(f->v, VECTOR_MSI, 0));

    qpci_config_writew(dev, msix + PCI_MSIX_FLAGS, 0);
    qsvm_start_write(&f->svm, 0, 0);
    g_assert(qvtd_msi_pending(f->v, VECTOR_MSI, 0));
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_COMMANDS), ==, 2);
    qvtd_svm_stop(f);
}

/* What is no register reads as 0, and a write to it is lost */
static void test_no_register(void)
{
    QVTDSVM *f = qvtd_svm_start();
    QPCIDevice *dev = f->svm.dev;
    uint64_t page = qvtd_svm_map(f, 0, QVTD_FS_USER_RW);
    uint64_t hole = SVM_REG_OUTSTANDING + 8;

    qvtd_svm_poison(f, page, 8);
    qpci_io_writeq(dev, f->svm.bar, hole, UINT64_MAX);
    g_assert_cmphex(qpci_io_readq(dev, f->svm.bar, hole), ==, 0);
    /* 64-bit registers accept 64-bit accesses */
    g_assert_cmphex(qpci_io_readl(dev, f->svm.bar, SVM_REG_ID), ==, 0);
    qpci_io_writel(dev, f->svm.bar, SVM_REG_CMD, SVM_CMD_WRITE);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_COMMANDS), ==, 0);
    g_assert(qvtd_svm_is_poisoned(f, page, 8));
    qvtd_svm_stop(f);
}

/* Neither a write nor a read, of which the CRC would be right */
static void test_unknown_command(void)
{
    const uint8_t poison[8] = { [0 ... 7] = QVTD_SVM_POISON };
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, 0, QVTD_FS_USER_RW);

    qvtd_svm_poison(f, page, 8);
    g_assert(qsvm_read(&f->svm, 0, 8, qsvm_crc(SVM_CRC_INIT, poison, 8)));
    qsvm_writeq(&f->svm, SVM_REG_CMD, SVM_CMD_WRITE + SVM_CMD_READ + 1);
    g_assert(!qsvm_wait(&f->svm));
    g_assert(qvtd_svm_is_poisoned(f, page, 8));
    g_assert(qvtd_svm_writes(f, 0, page));
    qvtd_svm_stop(f);
}

/* The device is there, and each of its commands fails */
static void test_endpoint_alone(const void *data)
{
    const char *unit = data;
    QTestState *qts = qtest_initf("-M q35 %s -device svm,addr=4", unit);
    QPCIBus *bus = qpci_new_pc(qts, NULL);
    QSVM svm;

    qsvm_enable_ecam(bus);
    qsvm_init(&svm, bus, QPCI_DEVFN(4, 0));
    qsvm_set_pasid_enables(&svm, PCI_PASID_CTRL_ENABLE);
    qsvm_set_ats(&svm, true);
    qsvm_enable_pri(&svm, 1);
    qsvm_set_pasid(&svm, 1);
    g_assert(!qsvm_write(&svm, 0x100000, 1));
    g_assert_cmpuint(qtest_readb(qts, 0x100000), ==, 0);
    qsvm_set_pasid(&svm, SVM_PASID_NONE);
    qtest_writeb(qts, 0x100000, 1);
    g_assert(!qsvm_write(&svm, 0x100000, 1));
    g_assert_cmpuint(qtest_readb(qts, 0x100000), ==, 1);
    qsvm_fini(&svm);
    qpci_free_pc(bus);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(caps); i++) {
        qtest_add_data_func(caps[i].path, &caps[i], test_caps);
    }
    for (int i = 0; i < ARRAY_SIZE(refusals); i++) {
        qtest_add_data_func(refusals[i].path, &refusals[i], test_refusal);
    }
    for (int i = 0; i < ARRAY_SIZE(descriptors); i++) {
        qtest_add_data_func(descriptors[i].path, &descriptors[i],
                            test_descriptor);
    }
    qtest_add_func("/svm/caps/the-endpoint-has-PASIDs-of-20-bits",
                   test_pasid_capability);
    qtest_add_func("/svm/caps/the-endpoint-sends-page-aligned-requests",
                   test_ats_capability);
    qtest_add_func("/svm/caps/the-endpoint-has-512-page-requests",
                   test_pri_capability);
    qtest_add_func("/svm/caps/the-end-of-a-command-is-an-interrupt",
                   test_interrupts);
    qtest_add_func("/svm/caps/what-is-no-register-of-the-endpoint-reads-as-0",
                   test_no_register);
    qtest_add_func("/svm/caps/an-unknown-command-of-the-endpoint-fails",
                   test_unknown_command);
    qtest_add_func("/svm/caps/options-read-as-they-work", test_options);
    qtest_add_data_func("/svm/caps/without-IOMMU-each-command-fails", "",
                        test_endpoint_alone);
    qtest_add_data_func("/svm/caps/without-svm-on-each-command-fails",
                        "-device intel-iommu,x-scalable-mode=on,x-flts=on,"
                        "device-iotlb=on", test_endpoint_alone);
    return g_test_run();
}
