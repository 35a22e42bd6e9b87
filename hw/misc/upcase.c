/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Step 1: a device that turns blocks of text into upper case */
#include "qemu/osdep.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_svm_dma.h"
#include "migration/vmstate.h"

#define TYPE_UPCASE "upcase"
OBJECT_DECLARE_SIMPLE_TYPE(UpcaseState, UPCASE)

enum { REG_PROCESS, REG_BLOCK = 8, BAR_SIZE = 16, BLOCK_SIZE = 4096 };
enum { STATUS_DONE, STATUS_BUSY, STATUS_FAILED };

struct UpcaseState {
    PCIDevice parent_obj;
    MemoryRegion bar;
    uint64_t block, status;
    PCISVMDMA *dma;
    PCISVMDMAContext *ctx;
};

/* Step 2: its work on a process's memory */
static void coroutine_fn upcase_co_run(void *opaque)
{
    UpcaseState *s = UPCASE(object_ref(opaque));
    PCISVMDMAContext *ctx = pci_svm_dma_ref(s->ctx);
    char buf[BLOCK_SIZE];
    int ret = pci_svm_dma_co_read(ctx, s->block, buf, BLOCK_SIZE, 0, NULL);

    for (size_t i = 0; i < BLOCK_SIZE && !ret; i++) {
        buf[i] = g_ascii_toupper(buf[i]);
    }
    ret = ret ?: pci_svm_dma_co_write(ctx, s->block, buf, BLOCK_SIZE, 0, NULL);
    if (ctx == s->ctx) {
        s->status = ret ? STATUS_FAILED : STATUS_DONE;
    }
    pci_svm_dma_unref(ctx);
    object_unref(s);
}

/* Step 3: its registers */
static uint64_t upcase_read(void *opaque, hwaddr addr, unsigned size)
{
    return UPCASE(opaque)->dma ? UPCASE(opaque)->status : UINT64_MAX;
}

static void upcase_write(void *opaque, hwaddr addr, uint64_t val, unsigned size)
{
    UpcaseState *s = opaque;

    if (addr == REG_PROCESS && s->dma) {
        g_clear_pointer(&s->ctx, pci_svm_dma_close);
        s->ctx = pci_svm_dma_open(s->dma, MIN(val, 1 << 20), NULL);
        s->status = s->ctx ? STATUS_DONE : STATUS_FAILED;
    } else if (s->ctx && s->status != STATUS_BUSY) {
        s->block = val;
        s->status = STATUS_BUSY;
        qemu_coroutine_enter(qemu_coroutine_create(upcase_co_run, s));
    }
}

static const MemoryRegionOps upcase_ops = {
    .read = upcase_read,
    .write = upcase_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 8, .max_access_size = 8 },
    .impl = { .min_access_size = 8, .max_access_size = 8 },
};

/* Step 4: its life */
static void upcase_reset(Object *obj, ResetType type)
{
    g_clear_pointer(&UPCASE(obj)->ctx, pci_svm_dma_close);
    UPCASE(obj)->status = STATUS_DONE;
}

static void upcase_realize(PCIDevice *dev, Error **errp)
{
    UpcaseState *s = UPCASE(dev);

    pcie_endpoint_cap_init(dev, 0x40);
    pcie_pasid_init(dev, 0x100, 20, false, false);
    pcie_ats_init(dev, 0x108, true);
    pcie_pri_init(dev, 0x110, 32, true);
    s->dma = pci_svm_dma_new(dev, 0);
    memory_region_init_io(&s->bar, OBJECT(s), &upcase_ops, s, TYPE_UPCASE,
                          BAR_SIZE);
    pci_register_bar(dev, 0, PCI_BASE_ADDRESS_SPACE_MEMORY, &s->bar);
}

static void upcase_exit(PCIDevice *dev)
{
    upcase_reset(OBJECT(dev), RESET_TYPE_COLD);
    g_clear_pointer(&UPCASE(dev)->dma, pci_svm_dma_free);
}

/* Step 5: its type */
static const VMStateDescription upcase_vmstate = {
    .name = TYPE_UPCASE, .unmigratable = 1,
};

static void upcase_class_init(ObjectClass *klass, void *data)
{
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->vendor_id = PCI_VENDOR_ID_QEMU;
    pc->device_id = 0x0b15;
    pc->class_id = PCI_CLASS_OTHERS;
    pc->realize = upcase_realize;
    pc->exit = upcase_exit;
    DEVICE_CLASS(klass)->vmsd = &upcase_vmstate;
    RESETTABLE_CLASS(klass)->phases.hold = upcase_reset;
}

static const TypeInfo upcase_types[] = { {
    .name = TYPE_UPCASE,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(UpcaseState),
    .class_init = upcase_class_init,
    .interfaces = (InterfaceInfo[]) { { INTERFACE_PCIE_DEVICE }, { } },
} };
DEFINE_TYPES(upcase_types)
