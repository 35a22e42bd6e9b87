/*
 * libqos driver for the test device of the SVM API (-device svm-testdev): each
 * call of the API with the arguments that a test wants
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_LIBQOS_SVM_TESTDEV_H
#define TESTS_LIBQOS_SVM_TESTDEV_H

#include "hw/misc/svm-testdev.h"
#include "vtd-svm.h"

/* Where the device is on the root bus, and its first virtual function */
#define QTESTDEV_SID            QPCI_DEVFN(6, 0)
#define QTESTDEV_VF_SID         QPCI_DEVFN(6, 1)

/* Where a bridge is, and the bus behind it */
#define QTESTDEV_BRIDGE_DEVFN   QPCI_DEVFN(5, 0)
#define QTESTDEV_BRIDGE_BUS     1

#define QTESTDEV_PRI_ALLOCATION 8

/**
 * struct QTestdev - one function of the test device
 * @f: the machine; its own endpoint is there too
 * @qts: the machine
 * @sid: requester ID
 * @config: guest physical address of its configuration space
 * @bar: of its registers
 * @pasid: PASID of the calls, QVTD_SVM_PASID at first, or QVTD_NO_PASID
 */
typedef struct QTestdev {
    QVTDSVM *f;
    QTestState *qts;
    uint16_t sid;
    uint64_t config;
    uint64_t bar;
    uint32_t pasid;
} QTestdev;

/* The calls that a function must be allowed to make, whatever it wants */
extern const unsigned int qtestdev_calls[5];

/**
 * qtestdev_start: start a machine with the device on the root bus, enabled
 * @t: filled in
 * @opts: options of the device, each with a comma before, or ""
 *
 * It shares the PASID directory of the fixture's endpoint. The page request
 * queue is enabled.
 */
void qtestdev_start(QTestdev *t, const char *opts);

/**
 * qtestdev_start_with: qtestdev_start() with options of the IOMMU
 * @t: filled in
 * @iommu_opts: further options of -device intel-iommu,svm=on, or ""
 * @opts: options of the device, each with a comma before, or ""
 */
void qtestdev_start_with(QTestdev *t, const char *iommu_opts,
                         const char *opts);

/**
 * qtestdev_start_behind: the same with the device behind a bridge
 * @t: filled in
 * @bridge: the bridge with its options, without id and addr
 * @devfn: the device's address on the bus behind it
 * @opts: options of the device, each with a comma before, or ""
 */
void qtestdev_start_behind(QTestdev *t, const char *bridge, int devfn,
                           const char *opts);

/**
 * qtestdev_stop: stop the machine
 * @t: the function
 */
void qtestdev_stop(QTestdev *t);

/**
 * qtestdev_number_bus: set up the bridge at QTESTDEV_BRIDGE_DEVFN
 * @f: the machine
 */
void qtestdev_number_bus(QVTDSVM *f);

/**
 * qtestdev_map: set the address of the registers, and become bus master
 * @t: the function
 */
void qtestdev_map(QTestdev *t);

/**
 * qtestdev_enable: qtestdev_map(), and enable PASID, ATS and PRI
 * @t: the function
 */
void qtestdev_enable(QTestdev *t);

/**
 * qtestdev_enable_vfs: enable all virtual functions of a physical function
 * @pf: the physical function
 * @vf: filled in, as many as there are
 * @count: their number
 *
 * ATS of each is enabled.
 */
void qtestdev_enable_vfs(QTestdev *pf, QTestdev *vf, unsigned int count);

/** qtestdev_readw: read 16 bits of configuration space */
uint16_t qtestdev_readw(QTestdev *t, uint16_t offset);
/** qtestdev_writew: write 16 bits of configuration space */
void qtestdev_writew(QTestdev *t, uint16_t offset, uint16_t val);
/** qtestdev_reg: read a register */
uint64_t qtestdev_reg(QTestdev *t, uint64_t reg);
/** qtestdev_set: write a register */
void qtestdev_set(QTestdev *t, uint64_t reg, uint64_t val);

/**
 * qtestdev_set_master: set or clear Bus Master Enable
 * @t: the function
 * @on: set
 */
void qtestdev_set_master(QTestdev *t, bool on);

/**
 * qtestdev_set_power: write PowerState
 * @t: the function
 * @state: 0 (D0) to 3 (D3hot)
 */
void qtestdev_set_power(QTestdev *t, unsigned int state);

/**
 * qtestdev_function_reset: do a function level reset
 * @t: the function
 */
void qtestdev_function_reset(QTestdev *t);

/**
 * qtestdev_enable_pri: enable PRI with an allocation
 * @t: the physical function
 * @allocation: number of outstanding page requests
 */
void qtestdev_enable_pri(QTestdev *t, uint32_t allocation);

/**
 * qtestdev_pri_status: read the status register of the PRI capability
 * @t: the physical function
 */
uint16_t qtestdev_pri_status(QTestdev *t);

/**
 * qtestdev_call: make a call with the arguments that are in the registers
 * @t: the function
 * @call: SVM_TESTDEV_*; PASID is that of @t
 *
 * Returns: what it returned.
 */
int64_t qtestdev_call(QTestdev *t, unsigned int call);

/**
 * qtestdev_call_sample: make a call with arguments that are legal
 * @t: the function
 * @call: one of qtestdev_calls
 * @flags: SVM_TESTDEV_FLAG_PRIV and _EXEC
 *
 * A page request is that of a group of one, index 0.
 */
int64_t qtestdev_call_sample(QTestdev *t, unsigned int call,
                             unsigned int flags);

/**
 * qtestdev_prepare_sample: set the arguments of qtestdev_call_sample()
 * @t: the function
 * @flags: SVM_TESTDEV_FLAG_PRIV and _EXEC
 */
void qtestdev_prepare_sample(QTestdev *t, unsigned int flags);

/**
 * qtestdev_expect_success: make each of qtestdev_calls, successfully
 * @t: the function, with nothing registered for its PASID
 * @flags: SVM_TESTDEV_FLAG_PRIV and _EXEC
 *
 * Answers the page request, and ends what was registered.
 */
void qtestdev_expect_success(QTestdev *t, unsigned int flags);

/**
 * qtestdev_expect_refusal: make each of qtestdev_calls, in vain
 * @t: the function
 * @flags: SVM_TESTDEV_FLAG_PRIV and _EXEC
 * @error: what each returns
 *
 * Fails the test if one had an effect.
 */
void qtestdev_expect_refusal(QTestdev *t, unsigned int flags, int error);

/**
 * qtestdev_listen: register both notifiers of a slot
 * @t: the function
 * @slot: number
 */
void qtestdev_listen(QTestdev *t, unsigned int slot);

/**
 * qtestdev_translate: send a translation request
 * @t: the function
 * @addr: address
 * @length: bytes
 * @flags: SVM_TESTDEV_FLAG_*
 */
int64_t qtestdev_translate(QTestdev *t, uint64_t addr, uint64_t length,
                           unsigned int flags);

/**
 * qtestdev_result: a register of a result
 * @t: the function
 * @n: number of the result
 * @reg: SVM_TESTDEV_RESULT_*
 */
uint64_t qtestdev_result(QTestdev *t, unsigned int n, uint64_t reg);

/**
 * qtestdev_dma: access 8 bytes of memory, with the PASID of @t if it has one
 * @t: the function
 * @addr: address
 * @is_write: write @data, else read it
 * @flags: SVM_TESTDEV_FLAG_TRANSLATED or 0
 * @data: the bytes, little endian
 *
 * Returns: MEMTX_OK, or why not.
 */
MemTxResult qtestdev_dma(QTestdev *t, uint64_t addr, bool is_write,
                         unsigned int flags, uint64_t *data);

/**
 * qtestdev_request: send a page request for reading
 * @t: the function
 * @prgi: page request group index
 * @last: last one of its group
 */
int64_t qtestdev_request(QTestdev *t, uint16_t prgi, bool last);

/**
 * qtestdev_pop: take a page request off the queue, which must have one
 * @t: the function that must have sent it
 */
QVTDPageReq qtestdev_pop(QTestdev *t);

/**
 * qtestdev_wait_request: wait for a page request, and take it off the queue
 * @t: the function that must have sent it; the VM's time passes meanwhile
 */
QVTDPageReq qtestdev_wait_request(QTestdev *t);

/**
 * qtestdev_pop_none: fail the test if the page request queue is not empty
 * @t: any function
 */
void qtestdev_pop_none(QTestdev *t);

/**
 * qtestdev_respond: answer a page request group
 * @t: the function
 * @pasid: PASID, or QVTD_NO_PASID
 * @prgi: page request group index
 * @code: QVTD_SVM_SUCCESS and so on
 */
void qtestdev_respond(QTestdev *t, uint32_t pasid, uint16_t prgi,
                      unsigned int code);

#endif
