/*
 * Test device of the PCI-level API of shared virtual memory
 *
 * Makes the calls of hw/pci/pci_svm.h with arguments from its registers, and
 * keeps what they return and what its notifiers hear. It has no cache and
 * makes no call of its own, so that a test sees the rules of the API and of
 * PCIe one at a time. docs/specs/svm-testdev.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/memalign.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "qom/object.h"
#include "hw/misc/svm-testdev.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "svm-testdev-dma.h"

#define TYPE_SVM_TESTDEV    "svm-testdev"
#define TYPE_SVM_TESTDEV_VF "svm-testdev-vf"
OBJECT_DECLARE_SIMPLE_TYPE(SVMTestdev, SVM_TESTDEV)

/* VFs have the functions that follow */
#define SVM_TESTDEV_VF_OFFSET   1
#define SVM_TESTDEV_VF_STRIDE   1

#define REG(offset) ((offset) / sizeof(uint64_t))

typedef struct SVMTestdevSlot {
    IOMMUNotifier iotlb;
    IOMMUNotifier unmap;
    MemoryRegion *unmap_region; /* where @unmap is registered, or NULL */
    IOMMUPRINotifier pri;
    uint64_t inv_count;
    IOMMUTLBEntry inv;
    uint64_t resp_count;
    IOMMUPRIResponse resp;
} SVMTestdevSlot;

struct SVMTestdev {
    PCIDevice parent_obj;

    MemoryRegion bar;
    MemoryRegion ram;
    void *ram_ptr;
    QEMUTimer *timer;
    uint64_t call;              /* what the timer waits for */
    uint64_t reg[REG(SVM_TESTDEV_REG_END)];
    IOMMUTLBEntry result[SVM_TESTDEV_RESULTS_MAX];
    SVMTestdevSlot slot[SVM_TESTDEV_SLOTS];
    SVMTestdevDMA dma;
    Notifier state_notifier;

    /* Properties */
    bool pasid;
    uint8_t pasid_width;
    bool exec;
    bool priv;
    bool ats;
    bool global_invalidate;
    bool pri;
    uint32_t pri_capacity;
    bool pri_pasid;
    bool no_soft_reset;
    uint16_t vfs;
};

/*
 * Notifiers
 */

static void svm_testdev_invalidated(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    SVMTestdevSlot *slot = container_of(n, SVMTestdevSlot, iotlb);

    slot->inv_count++;
    slot->inv = *entry;
}

static void svm_testdev_unmapped(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    SVMTestdevSlot *slot = container_of(n, SVMTestdevSlot, unmap);

    slot->inv_count++;
    slot->inv = *entry;
}

static void svm_testdev_responded(IOMMUPRINotifier *n,
                                  IOMMUPRIResponse *response)
{
    SVMTestdevSlot *slot = container_of(n, SVMTestdevSlot, pri);

    slot->resp_count++;
    slot->resp = *response;
}

static void svm_testdev_state_changed(Notifier *n, void *data)
{
    SVMTestdev *s = container_of(n, SVMTestdev, state_notifier);

    s->reg[REG(SVM_TESTDEV_STATE_EVENTS)]++;
}

/*
 * Calls
 */

static unsigned svm_testdev_slot_number(SVMTestdev *s)
{
    return s->reg[REG(SVM_TESTDEV_SLOT)] % SVM_TESTDEV_SLOTS;
}

static SVMTestdevSlot *svm_testdev_slot(SVMTestdev *s)
{
    return &s->slot[svm_testdev_slot_number(s)];
}

static uint32_t svm_testdev_pasid(SVMTestdev *s)
{
    return s->reg[REG(SVM_TESTDEV_PASID)];
}

static bool svm_testdev_flag(SVMTestdev *s, uint64_t flag)
{
    return s->reg[REG(SVM_TESTDEV_FLAGS)] & flag;
}

static int svm_testdev_get_info(SVMTestdev *s)
{
    uint32_t page_size = 0;
    uint8_t bits = 0;
    int ret = pci_iommu_get_iotlb_info(&s->parent_obj, &bits, &page_size);

    s->reg[REG(SVM_TESTDEV_ADDR)] = bits;
    s->reg[REG(SVM_TESTDEV_LENGTH)] = page_size;
    return ret;
}

static int svm_testdev_register_iotlb(SVMTestdev *s)
{
    PCIDevice *dev = &s->parent_obj;
    SVMTestdevSlot *slot = svm_testdev_slot(s);
    IOMMUNotifier n;
    int ret;

    ret = pci_iommu_init_iotlb_notifier(dev, &n, svm_testdev_invalidated, s);
    if (ret) {
        return ret;
    }
    /* One that is registered already must not be overwritten. */
    if (!slot->iotlb.notify) {
        slot->iotlb = n;
    }
    ret = pci_iommu_register_iotlb_notifier(dev, svm_testdev_pasid(s),
                                            &slot->iotlb);
    return ret;
}

static int svm_testdev_unregister_iotlb(SVMTestdev *s)
{
    SVMTestdevSlot *slot = svm_testdev_slot(s);

    return pci_iommu_unregister_iotlb_notifier(&s->parent_obj,
                                               svm_testdev_pasid(s),
                                               &slot->iotlb);
}

/* As vhost: of a part of the addresses, and by no call of the SVM API */
static int svm_testdev_register_unmap(SVMTestdev *s)
{
    AddressSpace *as = pci_device_iommu_address_space(&s->parent_obj);
    SVMTestdevSlot *slot = svm_testdev_slot(s);
    hwaddr addr = s->reg[REG(SVM_TESTDEV_ADDR)];
    hwaddr last = addr + s->reg[REG(SVM_TESTDEV_LENGTH)] - 1;
    MemoryRegion *mr;
    int ret;

    if (last < addr || slot->unmap_region) {
        return -EINVAL;
    }
    mr = memory_region_find(as->root, addr, 1).mr;
    iommu_notifier_init(&slot->unmap, svm_testdev_unmapped,
                        IOMMU_NOTIFIER_UNMAP, addr, last, 0);
    ret = mr && memory_region_is_iommu(mr)
          ? memory_region_register_iommu_notifier(mr, &slot->unmap, NULL)
          : -ENODEV;
    if (ret) {
        memory_region_unref(mr);
    } else {
        slot->unmap_region = mr;
    }
    return ret;
}

static int svm_testdev_unregister_unmap(SVMTestdevSlot *slot)
{
    MemoryRegion *mr = g_steal_pointer(&slot->unmap_region);

    if (!mr) {
        return -EINVAL;
    }
    memory_region_unregister_iommu_notifier(mr, &slot->unmap);
    memory_region_unref(mr);
    return 0;
}

static ssize_t svm_testdev_translate(SVMTestdev *s, bool part)
{
    size_t room = MIN(s->reg[REG(SVM_TESTDEV_ROOM)], SVM_TESTDEV_RESULTS_MAX);
    uint32_t errors = 0;
    ssize_t ret;

    memset(s->result, 0xff, sizeof(s->result));
    ret = (part ? pci_ats_request_part : pci_ats_request_translation)
          (&s->parent_obj, svm_testdev_pasid(s),
           svm_testdev_flag(s, SVM_TESTDEV_FLAG_PRIV),
           svm_testdev_flag(s, SVM_TESTDEV_FLAG_EXEC),
           s->reg[REG(SVM_TESTDEV_ADDR)], s->reg[REG(SVM_TESTDEV_LENGTH)],
           svm_testdev_flag(s, SVM_TESTDEV_FLAG_NO_WRITE), s->result, room,
           &errors);
    s->reg[REG(SVM_TESTDEV_ERRORS)] = errors;
    return ret;
}

static int svm_testdev_request_page(SVMTestdev *s)
{
    return pci_pri_request_page(&s->parent_obj, svm_testdev_pasid(s),
                                svm_testdev_flag(s, SVM_TESTDEV_FLAG_PRIV),
                                svm_testdev_flag(s, SVM_TESTDEV_FLAG_EXEC),
                                s->reg[REG(SVM_TESTDEV_ADDR)],
                                svm_testdev_flag(s, SVM_TESTDEV_FLAG_LAST),
                                s->reg[REG(SVM_TESTDEV_PRGI)],
                                svm_testdev_flag(s, SVM_TESTDEV_FLAG_READ),
                                svm_testdev_flag(s, SVM_TESTDEV_FLAG_WRITE));
}

static int svm_testdev_register_pri(SVMTestdev *s)
{
    SVMTestdevSlot *slot = svm_testdev_slot(s);

    slot->pri.notify = svm_testdev_responded;
    return pci_pri_register_notifier(&s->parent_obj, svm_testdev_pasid(s),
                                     &slot->pri);
}

static MemTxResult svm_testdev_dma_to(SVMTestdev *s, AddressSpace *as,
                                      uint64_t *data, dma_addr_t len,
                                      DMADirection dir)
{
    PCIDevice *dev = &s->parent_obj;
    const MemTxAttrs attrs = {
        .requester_id = pci_requester_id(dev),
        .address_type = svm_testdev_flag(s, SVM_TESTDEV_FLAG_TRANSLATED)
                        ? PCI_AT_TRANSLATED : PCI_AT_UNTRANSLATED,
    };

    return dma_memory_rw(as, s->reg[REG(SVM_TESTDEV_ADDR)], data, len, dir,
                         attrs);
}

static int64_t svm_testdev_dma_pasid(SVMTestdev *s, uint64_t *data,
                                     dma_addr_t len, DMADirection dir)
{
    PCIDevice *dev = &s->parent_obj;
    bool translated = svm_testdev_flag(s, SVM_TESTDEV_FLAG_TRANSLATED);
    AddressSpace *as;
    int64_t ret;
    int err;

    as = pci_pasid_get_address_space(dev, svm_testdev_pasid(s), &err);
    if (!as) {
        return err;
    }
    if (translated) {
        ret = svm_testdev_dma_to(s, as, data, len, dir);
    } else {
        ret = pci_pasid_dma_rw(dev, as, s->reg[REG(SVM_TESTDEV_ADDR)], data,
                               len, dir == DMA_DIRECTION_FROM_DEVICE);
    }
    pci_pasid_put_address_space(dev, as);
    return ret;
}

static int64_t svm_testdev_dma(SVMTestdev *s, DMADirection dir)
{
    uint64_t data = cpu_to_le64(s->reg[REG(SVM_TESTDEV_DATA)]);
    dma_addr_t len = MIN(s->reg[REG(SVM_TESTDEV_LENGTH)], sizeof(data));
    int64_t ret;

    ret = svm_testdev_pasid(s) == PCI_NO_PASID
          ? svm_testdev_dma_to(s, pci_get_address_space(&s->parent_obj),
                               &data, len, dir)
          : svm_testdev_dma_pasid(s, &data, len, dir);
    if (dir == DMA_DIRECTION_TO_DEVICE && !ret) {
        s->reg[REG(SVM_TESTDEV_DATA)] = le64_to_cpu(data);
    }
    return ret;
}

static int64_t svm_testdev_call_engine(SVMTestdev *s, uint64_t call)
{
    const SVMTestdevDMAArgs args = {
        .pasid = svm_testdev_pasid(s),
        .addr = s->reg[REG(SVM_TESTDEV_ADDR)],
        .length = s->reg[REG(SVM_TESTDEV_LENGTH)],
        .flags = s->reg[REG(SVM_TESTDEV_FLAGS)],
        .data = s->reg[REG(SVM_TESTDEV_DATA)],
    };

    return svm_testdev_dma_call(&s->dma, svm_testdev_slot_number(s), call,
                                &args);
}

/* One after the other: what each of them needed can be given back. */
static int64_t svm_testdev_touch_pasids(SVMTestdev *s)
{
    PCIDevice *dev = &s->parent_obj;
    uint64_t count = MIN(s->reg[REG(SVM_TESTDEV_LENGTH)],
                         SVM_TESTDEV_TOUCH_MAX);
    uint64_t first = svm_testdev_pasid(s), i;
    uint32_t errors;

    for (i = 0; i < count; i++) {
        s->reg[REG(SVM_TESTDEV_PASID)] = first + i;
        if (svm_testdev_register_iotlb(s) || svm_testdev_register_pri(s)) {
            break;
        }
        pci_ats_request_translation(dev, first + i, false, false,
                                    s->reg[REG(SVM_TESTDEV_ADDR)], 1, true,
                                    s->result, SVM_TESTDEV_RESULTS_MAX,
                                    &errors);
        svm_testdev_request_page(s);
        svm_testdev_unregister_iotlb(s);
        pci_pri_unregister_notifier(dev, first + i);
    }
    return i;
}

static int64_t svm_testdev_call(SVMTestdev *s, uint64_t call)
{
    switch (call) {
    case SVM_TESTDEV_GET_INFO:
        return svm_testdev_get_info(s);
    case SVM_TESTDEV_REGISTER_IOTLB:
        return svm_testdev_register_iotlb(s);
    case SVM_TESTDEV_UNREGISTER_IOTLB:
        return svm_testdev_unregister_iotlb(s);
    case SVM_TESTDEV_TRANSLATE:
        return svm_testdev_translate(s, false);
    case SVM_TESTDEV_TRANSLATE_PART:
        return svm_testdev_translate(s, true);
    case SVM_TESTDEV_REQUEST_PAGE:
        return svm_testdev_request_page(s);
    case SVM_TESTDEV_REGISTER_PRI:
        return svm_testdev_register_pri(s);
    case SVM_TESTDEV_UNREGISTER_PRI:
        pci_pri_unregister_notifier(&s->parent_obj, svm_testdev_pasid(s));
        return 0;
    case SVM_TESTDEV_DMA_READ:
        return svm_testdev_dma(s, DMA_DIRECTION_TO_DEVICE);
    case SVM_TESTDEV_DMA_WRITE:
        return svm_testdev_dma(s, DMA_DIRECTION_FROM_DEVICE);
    case SVM_TESTDEV_OPEN ... SVM_TESTDEV_SET_TIMEOUT:
        return svm_testdev_call_engine(s, call);
    case SVM_TESTDEV_TOUCH_PASIDS:
        return svm_testdev_touch_pasids(s);
    case SVM_TESTDEV_REGISTER_UNMAP:
        return svm_testdev_register_unmap(s);
    case SVM_TESTDEV_UNREGISTER_UNMAP:
        return svm_testdev_unregister_unmap(svm_testdev_slot(s));
    default:
        return -ENOSYS;
    }
}

static void svm_testdev_call_due(void *opaque)
{
    SVMTestdev *s = opaque;

    s->reg[REG(SVM_TESTDEV_CALL)] = svm_testdev_call(s, s->call);
}

static void svm_testdev_call_write(SVMTestdev *s, uint64_t call)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    uint64_t delay = MIN(s->reg[REG(SVM_TESTDEV_DELAY)],
                         NANOSECONDS_PER_SECOND);

    s->call = call;
    if (delay) {
        timer_mod(s->timer, now + delay);
    } else {
        svm_testdev_call_due(s);
    }
}

/*
 * Registers
 */

static uint64_t svm_testdev_state(SVMTestdev *s)
{
    PCIDevice *dev = &s->parent_obj;

    return (dev->is_master ? SVM_TESTDEV_STATE_MASTER : 0) |
           (pcie_pasid_enabled(dev) ? SVM_TESTDEV_STATE_PASID : 0) |
           (pcie_ats_enabled(dev) ? SVM_TESTDEV_STATE_ATS : 0) |
           (pcie_pri_enabled(dev) ? SVM_TESTDEV_STATE_PRI : 0);
}

static uint64_t svm_testdev_read_result(SVMTestdev *s, hwaddr offset)
{
    IOMMUTLBEntry *e = &s->result[offset / SVM_TESTDEV_RESULT_SIZE];

    switch (offset % SVM_TESTDEV_RESULT_SIZE) {
    case SVM_TESTDEV_RESULT_IOVA:
        return e->iova;
    case SVM_TESTDEV_RESULT_ADDR:
        return e->translated_addr;
    case SVM_TESTDEV_RESULT_MASK:
        return e->addr_mask;
    default:
        return e->perm;
    }
}

/* An access that has waited for the BQL comes late. */
static bool svm_testdev_is_gone(const SVMTestdev *s)
{
    return !s->timer;
}

static uint64_t svm_testdev_read(void *opaque, hwaddr addr, unsigned size)
{
    SVMTestdev *s = opaque;
    SVMTestdevSlot *slot = svm_testdev_slot(s);

    if (svm_testdev_is_gone(s)) {
        return UINT64_MAX;
    }
    switch (addr) {
    case SVM_TESTDEV_STATE:
        return svm_testdev_state(s);
    case SVM_TESTDEV_ALLOCATION:
        return pcie_pri_get_req_alloc(&s->parent_obj);
    case SVM_TESTDEV_STU:
        return pcie_ats_stu(&s->parent_obj);
    case SVM_TESTDEV_INV_COUNT:
        return slot->inv_count;
    case SVM_TESTDEV_INV_ADDR:
        return slot->inv.iova;
    case SVM_TESTDEV_INV_MASK:
        return slot->inv.addr_mask;
    case SVM_TESTDEV_INV_PASID:
        return slot->inv.pasid;
    case SVM_TESTDEV_RESP_COUNT:
        return slot->resp_count;
    case SVM_TESTDEV_RESP_CODE:
        return slot->resp.response_code;
    case SVM_TESTDEV_RESP_PRGI:
        return slot->resp.prgi;
    case SVM_TESTDEV_SVM_DONE ... SVM_TESTDEV_SVM_END - 1:
        return svm_testdev_dma_read(&s->dma, svm_testdev_slot_number(s), addr);
    case SVM_TESTDEV_RESULTS ... SVM_TESTDEV_BAR_SIZE - 1:
        return svm_testdev_read_result(s, addr - SVM_TESTDEV_RESULTS);
    default:
        return addr < SVM_TESTDEV_REG_END ? s->reg[REG(addr)] : 0;
    }
}

static void svm_testdev_write(void *opaque, hwaddr addr, uint64_t val,
                              unsigned size)
{
    SVMTestdev *s = opaque;

    if (svm_testdev_is_gone(s)) {
        return;
    }
    if (addr == SVM_TESTDEV_CALL) {
        svm_testdev_call_write(s, val);
    } else if (addr < SVM_TESTDEV_STATE) {
        s->reg[REG(addr)] = val;
    }
}

static const MemoryRegionOps svm_testdev_ops = {
    .read = svm_testdev_read,
    .write = svm_testdev_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 8,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 8,
        .max_access_size = 8,
    },
};

/*
 * Life cycle
 */

static void svm_testdev_write_config(PCIDevice *dev, uint32_t addr,
                                     uint32_t val, int len)
{
    pci_default_write_config(dev, addr, val, len);
    pcie_cap_flr_write_config(dev, addr, val, len);
}

static bool svm_testdev_init_pm(SVMTestdev *s, Error **errp)
{
    PCIDevice *dev = &s->parent_obj;

    if (pci_pm_init(dev, SVM_TESTDEV_CAP_PM, errp) < 0) {
        return false;
    }
    pci_set_word(dev->config + SVM_TESTDEV_CAP_PM + PCI_PM_PMC,
                 PCI_PM_CAP_VER_1_2);
    pci_set_word(dev->config + SVM_TESTDEV_CAP_PM + PCI_PM_CTRL,
                 s->no_soft_reset ? PCI_PM_CTRL_NO_SOFT_RESET : 0);
    pci_set_word(dev->wmask + SVM_TESTDEV_CAP_PM + PCI_PM_CTRL,
                 PCI_PM_CTRL_STATE_MASK);
    return true;
}

/* A virtual function has ATS of its own; PASID and PRI are its PF's. */
static void svm_testdev_init_caps(SVMTestdev *s)
{
    PCIDevice *dev = &s->parent_obj;

    pcie_endpoint_cap_init(dev, SVM_TESTDEV_CAP_EXP);
    pcie_cap_flr_init(dev);
    /* The others can be off, but a list of them must begin at 0x100. */
    pcie_dev_ser_num_init(dev, SVM_TESTDEV_CAP_SERIAL, dev->devfn);
    if (s->pasid && !pci_is_vf(dev)) {
        pcie_pasid_init(dev, SVM_TESTDEV_CAP_PASID, s->pasid_width, s->exec,
                        s->priv);
    }
    if (s->ats) {
        pcie_ats_init(dev, SVM_TESTDEV_CAP_ATS, true);
        if (s->global_invalidate) {
            pcie_ats_set_global_invalidate(dev);
        }
    }
    if (s->pri && !pci_is_vf(dev)) {
        pcie_pri_init(dev, SVM_TESTDEV_CAP_PRI, s->pri_capacity, s->pri_pasid);
    }
}

static bool svm_testdev_init_vfs(SVMTestdev *s, Error **errp)
{
    PCIDevice *dev = &s->parent_obj;

    if (!s->vfs) {
        return true;
    }
    if (!pcie_sriov_pf_init(dev, SVM_TESTDEV_CAP_SRIOV, TYPE_SVM_TESTDEV_VF,
                            SVM_TESTDEV_VF_DEVICE_ID, s->vfs, s->vfs,
                            SVM_TESTDEV_VF_OFFSET, SVM_TESTDEV_VF_STRIDE,
                            errp)) {
        return false;
    }
    pcie_sriov_pf_init_vf_bar(dev, SVM_TESTDEV_BAR,
                              PCI_BASE_ADDRESS_SPACE_MEMORY |
                              PCI_BASE_ADDRESS_MEM_TYPE_64,
                              SVM_TESTDEV_BAR_SIZE);
    return true;
}

static void svm_testdev_init_ram(SVMTestdev *s)
{
    memory_region_init_ram_device_ptr(&s->ram, OBJECT(s), "svm-testdev-ram",
                                      SVM_TESTDEV_RAM_SIZE, s->ram_ptr);
    pci_register_bar(&s->parent_obj, SVM_TESTDEV_RAM_BAR,
                     PCI_BASE_ADDRESS_SPACE_MEMORY, &s->ram);
}

static void svm_testdev_realize(PCIDevice *dev, Error **errp)
{
    SVMTestdev *s = SVM_TESTDEV(dev);

    if (s->pasid_width > PCI_PASID_WIDTH_MAX) {
        error_setg(errp, "pasid-width must be 0 to %d", PCI_PASID_WIDTH_MAX);
        return;
    }
    memory_region_init_io(&s->bar, OBJECT(s), &svm_testdev_ops, s,
                          "svm-testdev", SVM_TESTDEV_BAR_SIZE);
    pci_register_bar(dev, SVM_TESTDEV_BAR, PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64, &s->bar);
    if (!pci_is_vf(dev)) {
        svm_testdev_init_ram(s);
    }
    svm_testdev_init_caps(s);
    if (!svm_testdev_init_pm(s, errp) || !svm_testdev_init_vfs(s, errp)) {
        return;
    }
    svm_testdev_dma_init(&s->dma, dev);
    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, svm_testdev_call_due, s);
    s->state_notifier.notify = svm_testdev_state_changed;
    pci_svm_add_state_notifier(dev, &s->state_notifier);
}

/*
 * A call that is due is made now: what a call in the midst of an unplug
 * returns. Registrations are left for the PCI core to end.
 */
static void svm_testdev_exit(PCIDevice *dev)
{
    SVMTestdev *s = SVM_TESTDEV(dev);

    if (timer_pending(s->timer)) {
        svm_testdev_call_due(s);
    }
    g_clear_pointer(&s->timer, timer_free);
    svm_testdev_dma_exit(&s->dma);
    notifier_remove(&s->state_notifier);
    for (int i = 0; i < SVM_TESTDEV_SLOTS; i++) {
        svm_testdev_unregister_unmap(&s->slot[i]);
    }
    if (s->vfs) {
        pcie_sriov_pf_exit(dev);
    }
}

static void svm_testdev_instance_init(Object *obj)
{
    SVMTestdev *s = SVM_TESTDEV(obj);

    object_property_add_uint64_ptr(obj, "result",
                                   &s->reg[REG(SVM_TESTDEV_CALL)],
                                   OBJ_PROP_FLAG_READ);
    s->ram_ptr = qemu_memalign(qemu_real_host_page_size(),
                               SVM_TESTDEV_RAM_SIZE);
    memset(s->ram_ptr, 0, SVM_TESTDEV_RAM_SIZE);
}

static void svm_testdev_instance_finalize(Object *obj)
{
    qemu_vfree(SVM_TESTDEV(obj)->ram_ptr);
}

static const Property svm_testdev_properties[] = {
    DEFINE_PROP_BOOL("pasid", SVMTestdev, pasid, true),
    DEFINE_PROP_UINT8("pasid-width", SVMTestdev, pasid_width,
                      PCI_PASID_WIDTH_MAX),
    DEFINE_PROP_BOOL("exec", SVMTestdev, exec, true),
    DEFINE_PROP_BOOL("priv", SVMTestdev, priv, true),
    DEFINE_PROP_BOOL("ats", SVMTestdev, ats, true),
    DEFINE_PROP_BOOL("global-invalidate", SVMTestdev, global_invalidate, true),
    DEFINE_PROP_BOOL("pri", SVMTestdev, pri, true),
    DEFINE_PROP_UINT32("pri-capacity", SVMTestdev, pri_capacity, 512),
    DEFINE_PROP_BOOL("pri-pasid", SVMTestdev, pri_pasid, true),
    DEFINE_PROP_BOOL("no-soft-reset", SVMTestdev, no_soft_reset, true),
    DEFINE_PROP_UINT16("vfs", SVMTestdev, vfs, 0),
};

static const VMStateDescription svm_testdev_vmstate = {
    .name = "svm-testdev",
    .unmigratable = 1,
};

static const struct {
    const char *name;
    const char *description;
} svm_testdev_options[] = {
    { "pasid", "Has the PASID capability" },
    { "pasid-width", "Max PASID Width, in bits" },
    { "exec", "Execute Permission Supported" },
    { "priv", "Privileged Mode Supported" },
    { "ats", "Has the ATS capability" },
    { "global-invalidate", "Global Invalidate Supported" },
    { "pri", "Has the PRI capability" },
    { "pri-capacity", "Outstanding Page Request Capacity" },
    { "pri-pasid", "PRG Response PASID Required" },
    { "no-soft-reset", "No_Soft_Reset of power management" },
    { "vfs", "Number of virtual functions" },
};

static void svm_testdev_describe_options(ObjectClass *klass)
{
    for (size_t i = 0; i < ARRAY_SIZE(svm_testdev_options); i++) {
        object_class_property_set_description(klass,
            svm_testdev_options[i].name, svm_testdev_options[i].description);
    }
}

static void svm_testdev_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = svm_testdev_realize;
    pc->exit = svm_testdev_exit;
    pc->config_write = svm_testdev_write_config;
    pc->vendor_id = SVM_TESTDEV_VENDOR_ID;
    pc->device_id = SVM_TESTDEV_DEVICE_ID;
    pc->class_id = PCI_CLASS_OTHERS;
    dc->desc = "Test device of the API of shared virtual memory";
    dc->vmsd = &svm_testdev_vmstate;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    device_class_set_props(dc, svm_testdev_properties);
    svm_testdev_describe_options(klass);
}

static void svm_testdev_vf_class_init(ObjectClass *klass, void *data)
{
    DEVICE_CLASS(klass)->user_creatable = false;
}

static const TypeInfo svm_testdev_types[] = {
    {
        .name = TYPE_SVM_TESTDEV,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(SVMTestdev),
        .instance_init = svm_testdev_instance_init,
        .instance_finalize = svm_testdev_instance_finalize,
        .class_init = svm_testdev_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
    {
        .name = TYPE_SVM_TESTDEV_VF,
        .parent = TYPE_SVM_TESTDEV,
        .class_init = svm_testdev_vf_class_init,
    },
};

DEFINE_TYPES(svm_testdev_types)
