/*
 * Fuzz targets of shared virtual memory: what they share
 *
 * An input is a sequence of operations: a byte that says which, and the bytes
 * that it takes. What is missing at the end of the input is zero, so that an
 * input that is cut off or extended still means the same at its beginning.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_FUZZ_SVM_FUZZ_H
#define TESTS_FUZZ_SVM_FUZZ_H

#include "qemu/bitops.h"
#include "fuzz.h"
#include "tests/qtest/libqos/vtd-svm.h"

/**
 * struct SVMFuzzInput - the bytes of an input that nobody has taken yet
 * @data: the first of them
 * @size: their number
 */
typedef struct SVMFuzzInput {
    const unsigned char *data;
    size_t size;
} SVMFuzzInput;

/**
 * svm_fuzz_take: take a little-endian number off an input
 * @in: the input
 * @bytes: size of the number, 1 to 8
 */
static inline uint64_t svm_fuzz_take(SVMFuzzInput *in, size_t bytes)
{
    uint64_t val = 0;

    for (size_t i = 0; i < bytes && in->size; i++) {
        val |= (uint64_t)*in->data++ << (8 * i);
        in->size--;
    }
    return val;
}

/* svm_fuzz_u8: take a byte off @in */
static inline uint8_t svm_fuzz_u8(SVMFuzzInput *in)
{
    return svm_fuzz_take(in, 1);
}

/* svm_fuzz_u16: take two bytes off @in */
static inline uint16_t svm_fuzz_u16(SVMFuzzInput *in)
{
    return svm_fuzz_take(in, 2);
}

/* svm_fuzz_u64: take eight bytes off @in */
static inline uint64_t svm_fuzz_u64(SVMFuzzInput *in)
{
    return svm_fuzz_take(in, 8);
}

/**
 * svm_fuzz_check: end the process with a report if a rule is broken
 * @ok: the rule holds
 * @rule: says what it is
 */
void svm_fuzz_check(bool ok, const char *rule);

/**
 * struct SVMFuzzPatience - how long something has been waited for; zeroed at
 * first
 */
typedef struct SVMFuzzPatience {
    int64_t start;
    unsigned rounds;
} SVMFuzzPatience;

/**
 * svm_fuzz_patient: is it too early to give up?
 * @p: patience, of which this takes a little
 *
 * It ends after so many seconds and so many rounds: the machine that a target
 * runs on may stand still, which is no finding.
 */
bool svm_fuzz_patient(SVMFuzzPatience *p);

/**
 * svm_fuzz_pci_device: find a function by its id on the command line
 * @id: the id
 */
struct PCIDevice *svm_fuzz_pci_device(const char *id);

/**
 * svm_fuzz_cmdline: the command line of a machine without firmware's work
 * @args: its devices
 */
GString *svm_fuzz_cmdline(const char *args);

/**
 * svm_fuzz_run_main_loop: run what is due in the main loop, and do not wait
 */
void svm_fuzz_run_main_loop(void);

/**
 * svm_fuzz_free_memory: free what earlier inputs have left to RCU, now and then
 *
 * To be called for each input, in no transaction of the memory map.
 */
void svm_fuzz_free_memory(void);

/* A machine with as little as it can have: less memory map to change */
#define SVM_FUZZ_Q35        "-M q35,sata=off,smbus=off,hpet=off,smm=off," \
                            "vmport=off,i8042=off"

/* Guest memory that the targets of a machine with VT-d clear each time */
#define SVM_FUZZ_HEAP_SIZE  (1 * MiB)

/**
 * svm_fuzz_reset_vtd: bring a machine back to where each input starts
 * @f: the fixture; all zero at first. Function and VT-d unit are those of a
 *     guest that has just set them up, with an empty process.
 * @s: the machine
 * @devfn: of the endpoint, a device svm
 */
void svm_fuzz_reset_vtd(QVTDSVM *f, QTestState *s, int devfn);

/**
 * svm_fuzz_reset_bus: put BARs where the first ones were put
 * @bus: the bus of the fixture
 */
void svm_fuzz_reset_bus(QPCIBus *bus);

/**
 * svm_fuzz_heap: the guest memory that the targets use
 *
 * Returns: host address of QVTD_HEAP_BASE.
 */
uint8_t *svm_fuzz_heap(void);

#endif /* TESTS_FUZZ_SVM_FUZZ_H */
