/*
 * Fuzz targets of shared virtual memory: what they share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "hw/boards.h"
#include "hw/i386/intel_iommu.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_regs.h"
#include "hw/qdev-core.h"
#include "tests/qtest/libqos/pci-pc.h"
#include "system/memory.h"
#include "svm_fuzz.h"

/* Whatever is waited for ends within this */
#define PATIENCE_SECONDS 20
#define PATIENCE_ROUNDS  20000

void svm_fuzz_check(bool ok, const char *rule)
{
    if (!ok) {
        fprintf(stderr, "Broken: %s\n", rule);
        abort();
    }
}

bool svm_fuzz_patient(SVMFuzzPatience *p)
{
    int64_t now = g_get_monotonic_time();

    p->start = p->start ?: now;
    return ++p->rounds < PATIENCE_ROUNDS ||
           now - p->start < PATIENCE_SECONDS * G_USEC_PER_SEC;
}

GString *svm_fuzz_cmdline(const char *args)
{
    GString *cmdline = g_string_new(TARGET_NAME);

    g_string_append_printf(cmdline, " -display none -nodefaults -accel qtest "
                           "-m 128M %s", args);
    return cmdline;
}

PCIDevice *svm_fuzz_pci_device(const char *id)
{
    PCIDevice *dev;

    svm_fuzz_check(pci_qdev_find_device(id, &dev) == 0, "the device is there");
    return dev;
}

void svm_fuzz_run_main_loop(void)
{
    main_loop_wait(true);
}

uint8_t *svm_fuzz_heap(void)
{
    uint8_t *ram = memory_region_get_ram_ptr(current_machine->ram);

    return ram + QVTD_HEAP_BASE;
}

/* A bus remembers where it put BARs, and a machine is set up often. */
void svm_fuzz_reset_bus(QPCIBus *bus)
{
    static uint64_t first;

    if (!first) {
        first = bus->mmio_alloc_ptr;
    }
    bus->mmio_alloc_ptr = first;
}

static QPCIBus *get_bus(QTestState *s)
{
    static QPCIBus *bus;

    if (!bus) {
        bus = qpci_new_pc(s, NULL);
    }
    svm_fuzz_reset_bus(bus);
    qsvm_enable_ecam(bus);
    return bus;
}

/*
 * What was freed waits for a thread that seldom gets the BQL from a main loop
 * which never rests.
 */
void svm_fuzz_free_memory(void)
{
    static unsigned inputs;

    if (++inputs % 64 == 0) {
        drain_call_rcu();
    }
}

static void reset_vtd(QVTDSVM *f, QTestState *s, int devfn)
{
    Object *iommu = object_resolve_path_type("", TYPE_INTEL_IOMMU_DEVICE, NULL);

    if (f->v) {
        qsvm_fini(&f->svm);
        qvtd_free(f->v);
    }
    device_cold_reset(DEVICE(iommu));
    device_cold_reset(DEVICE(svm_fuzz_pci_device("svm")));
    memset(svm_fuzz_heap(), 0, SVM_FUZZ_HEAP_SIZE);
    *f = (QVTDSVM) { .qts = s, .bus = get_bus(s) };
    qvtd_svm_attach(f, devfn);
    qvtd_enable_prq(f->v, 0);
}

/*
 * To take the devices away and to put them back changes the memory map a dozen
 * times, which costs more than all else. In a transaction it changes once: they
 * go on to answer where they will be.
 */
void svm_fuzz_reset_vtd(QVTDSVM *f, QTestState *s, int devfn)
{
    bool mapped = f->v && qsvm_readq(&f->svm, SVM_REG_ID) == SVM_ID;

    if (mapped) {
        memory_region_transaction_begin();
    }
    reset_vtd(f, s, devfn);
    if (mapped) {
        memory_region_transaction_commit();
    }
}
