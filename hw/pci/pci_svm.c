/*
 * PCI-level API of shared virtual memory: checks each call against the
 * function's capabilities and hands it to the IOMMU model
 *
 * PCIe Base Specification r6.0, chapter 10.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qapi/error.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_svm.h"
#include "hw/pci/pci_svm_name.h"
#include "system/dma.h"
#include "pci-internal.h"
#include "trace.h"

/* The IOMMU that serves a function, as the callbacks of its model want it. */
typedef struct SVMRequester {
    const PCISVMOps *ops;
    void *opaque;
    PCIBus *bus;
    int devfn;
} SVMRequester;

/* What a function has registered */
struct PCISVMState {
    SVMRequester requester;     /* once @is_located; then it does not change */
    bool is_located;
    PCISVMPasids *pasids;
    NotifierList state_notifiers;
    unsigned enables;           /* SVM_* as the notifiers last heard */
    unsigned forgotten;         /* of the page requests, likewise */
    PCIATC *atc;                /* the device's, if it has said which */
};

/* What a state notifier is called for. */
enum {
    SVM_MASTER = 1 << 0,
    SVM_ATS = 1 << 1,
    SVM_PASID = 1 << 2,
    SVM_PRI = 1 << 3,
};

/* Values of PowerState (PCIe r6.0, 7.5.2.2) */
enum {
    SVM_PM_D0 = 0,
    SVM_PM_D3HOT = 3,
};

/*
 * A registered IOTLB notifier, and the region that it listens to, by way of
 * @ear.
 */
typedef struct SVMListener {
    PCIDevice *dev;
    PCISVMPasid *pasid;
    IOMMUMemoryRegion *region;
    IOMMUNotifier *notifier;
    IOMMUNotifier ear;
    QSLIST_ENTRY(SVMListener) next;
} SVMListener;

/*
 * Behind a conventional bus functions share a requester ID: one's translations
 * would be another's.
 */
static bool svm_is_aliased(PCIDevice *dev, PCIBus *iommu_bus)
{
    PCIBus *bus;

    for (bus = pci_get_bus(dev); bus != iommu_bus;
         bus = pci_get_bus(bus->parent_dev)) {
        if (!pci_bus_is_express(bus)) {
            return true;
        }
    }
    return false;
}

static int svm_locate_requester(PCIDevice *dev, SVMRequester *req)
{
    PCIBus *iommu_bus;

    pci_device_get_iommu_bus_devfn(dev, &iommu_bus, &req->bus, &req->devfn);
    if (!iommu_bus || !iommu_bus->iommu_ops->svm ||
        svm_is_aliased(dev, iommu_bus)) {
        return -ENODEV;
    }
    req->ops = iommu_bus->iommu_ops->svm;
    req->opaque = iommu_bus->iommu_opaque;
    return 0;
}

/* The way to the IOMMU is fixed; its bus numbers are not, and not looked at. */
static int svm_find_requester(PCIDevice *dev, SVMRequester *req)
{
    PCISVMState *svm = qatomic_load_acquire(&dev->svm);

    if (!svm || !qatomic_load_acquire(&svm->is_located)) {
        return svm_locate_requester(dev, req);
    }
    *req = svm->requester;
    return 0;
}

/* Does @pasid fit the function's capability and its IOMMU? */
static int svm_check_pasid(PCIDevice *dev, const SVMRequester *req,
                           uint32_t pasid)
{
    unsigned width;

    if (pasid == PCI_NO_PASID) {
        return 0;
    }
    if (!pcie_pasid_enabled(dev)) {
        return -EPERM;
    }
    width = MIN(pcie_pasid_width(dev), req->ops->pasid_bits(req->opaque));
    return pasid < (1u << width) ? 0 : -EINVAL;
}

/* What every call that uses a PASID, or none, must pass. */
static int svm_check_call(PCIDevice *dev, SVMRequester *req, uint32_t pasid)
{
    int ret = svm_find_requester(dev, req);

    if (ret) {
        return ret;
    }
    if (!qatomic_read(&dev->is_master)) {
        return -EPERM;
    }
    return svm_check_pasid(dev, req, pasid);
}

/* What every request that goes out on the link must pass. */
static int svm_check_request(PCIDevice *dev, SVMRequester *req, uint32_t pasid,
                             bool priv_req, bool exec_req)
{
    int ret = svm_check_call(dev, req, pasid);

    if (ret) {
        return ret;
    }
    /* Both bits travel in the PASID prefix (PCIe r6.0, 6.20.2). */
    if ((priv_req || exec_req) && pasid == PCI_NO_PASID) {
        return -EINVAL;
    }
    if ((priv_req && !pcie_pasid_priv_enabled(dev)) ||
        (exec_req && !pcie_pasid_exec_enabled(dev))) {
        return -EPERM;
    }
    return 0;
}

static uint16_t svm_pm_control(const PCIDevice *dev)
{
    return dev->cap_present & QEMU_PCI_CAP_PM
           ? pci_get_word(dev->config + dev->pm_cap + PCI_PM_CTRL) : 0;
}

static bool svm_in_d0(const PCIDevice *dev)
{
    return !(svm_pm_control(dev) & PCI_PM_CTRL_STATE_MASK);
}

/*
 * Unrealizing begins with clearing realized. Loss of the slot's power resets
 * the function, and bus mastering with it.
 */
static bool svm_is_operational(PCIDevice *dev)
{
    return qdev_is_realized(DEVICE(dev)) && svm_in_d0(dev) &&
           (!pci_is_vf(dev) || svm_in_d0(pcie_sriov_get_pf(dev)));
}

static unsigned svm_enables(const PCIDevice *dev)
{
    return (dev->is_master ? SVM_MASTER : 0) |
           (pcie_ats_enabled(dev) ? SVM_ATS : 0) |
           (pcie_pasid_enabled(dev) ? SVM_PASID : 0) |
           (pcie_pri_enabled(dev) ? SVM_PRI : 0);
}

static PCISVMState *svm_state(PCIDevice *dev)
{
    PCISVMState *svm = dev->svm;

    assert(bql_locked());
    if (!svm) {
        svm = g_new0(PCISVMState, 1);
        notifier_list_init(&svm->state_notifiers);
        svm->enables = svm_enables(dev);
        svm->forgotten = pcie_pri_get_forgotten(dev);
        svm->pasids = pci_svm_pasids_new();
        /* Threads that send page requests look at it without the BQL. */
        qatomic_store_release(&dev->svm, svm);
    }
    /* The IOMMU may be created after the function. */
    if (!svm->is_located && !svm_locate_requester(dev, &svm->requester)) {
        qatomic_store_release(&svm->is_located, true);
    }
    return svm;
}

/* In an RCU critical section. NULL before the first reset. */
static PCISVMPasid *svm_find_pasid(PCIDevice *dev, uint32_t pasid)
{
    PCISVMState *svm = qatomic_load_acquire(&dev->svm);

    return svm ? pci_svm_pasids_find(svm->pasids, pasid) : NULL;
}

static void svm_count(PCIDevice *dev, uint32_t pasid, PCISVMCounter which)
{
    PCISVMPasid *p;

    RCU_READ_LOCK_GUARD();
    p = svm_find_pasid(dev, pasid);
    if (p) {
        pci_svm_count(&p->counters, which, 1);
    }
}

PCISVMCounters *pci_svm_get_counters(PCIDevice *dev, uint32_t pasid)
{
    return &pci_svm_pasids_get(svm_state(dev)->pasids, pasid)->counters;
}

void pci_svm_put_counters(PCIDevice *dev, PCISVMCounters *counters)
{
    pci_svm_pasids_put(dev->svm->pasids,
                       container_of(counters, PCISVMPasid, counters));
}

PCISVMPasids *pci_svm_get_pasids(PCIDevice *dev)
{
    return dev->svm ? dev->svm->pasids : NULL;
}

void pci_svm_set_atc(PCIDevice *dev, PCIATC *atc)
{
    svm_state(dev)->atc = atc;
    trace_pci_svm_atc(pci_svm_name(dev), atc);
}

PCIATC *pci_svm_get_atc(PCIDevice *dev)
{
    return dev->svm ? dev->svm->atc : NULL;
}

int pci_iommu_get_iotlb_info(PCIDevice *dev, uint8_t *addr_width,
                             uint32_t *min_page_size)
{
    SVMRequester req;
    int ret = svm_find_requester(dev, &req);

    if (!ret) {
        req.ops->get_iotlb_info(req.opaque, addr_width, min_page_size);
    }
    return ret;
}

int pci_iommu_init_iotlb_notifier(PCIDevice *dev, IOMMUNotifier *n,
                                  IOMMUNotify fn, void *opaque)
{
    SVMRequester req;
    int ret = svm_find_requester(dev, &req);

    if (!ret) {
        iommu_notifier_init(n, fn, IOMMU_NOTIFIER_DEVIOTLB_EVENTS, 0,
                            HWADDR_MAX, 0);
        n->opaque = opaque;
    }
    return ret;
}

static void svm_hear_invalidation(IOMMUNotifier *ear, IOMMUTLBEntry *entry)
{
    SVMListener *l = container_of(ear, SVMListener, ear);

    entry->pasid = l->pasid->number;
    trace_pci_svm_invalidate(pci_svm_name(l->dev), l->pasid->number,
                             entry->iova, entry->addr_mask);
    pci_svm_count(&l->pasid->counters, PCI_SVM_INVALIDATIONS, 1);
    l->notifier->notify(l->notifier, entry);
}

/* IOMMUs are not unplugged: what was located once is found again. */
static void svm_end_listening(SVMListener *l)
{
    PCISVMState *svm = l->dev->svm;
    SVMRequester *req = &svm->requester;
    uint32_t pasid = l->pasid->number;

    memory_region_unregister_iommu_notifier(MEMORY_REGION(l->region), &l->ear);
    req->ops->put_iotlb_region(req->bus, req->opaque, req->devfn, pasid);
    QSLIST_REMOVE(&l->pasid->listeners, l, SVMListener, next);
    pci_svm_pasids_put(svm->pasids, l->pasid);
    trace_pci_iommu_unregister_iotlb_notifier(pci_svm_name(l->dev), pasid);
    g_free(l);
}

static int svm_begin_listening(PCIDevice *dev, const SVMRequester *req,
                               PCISVMPasid *pasid, IOMMUNotifier *n)
{
    SVMListener *l = g_new(SVMListener, 1);
    int ret;

    *l = (SVMListener) {
        .dev = dev, .pasid = pasid, .notifier = n, .ear = *n,
        .region = req->ops->get_iotlb_region(req->bus, req->opaque, req->devfn,
                                             pasid->number),
    };
    l->ear.notify = svm_hear_invalidation;
    ret = memory_region_register_iommu_notifier(MEMORY_REGION(l->region),
                                                &l->ear, NULL);
    if (ret) {
        req->ops->put_iotlb_region(req->bus, req->opaque, req->devfn,
                                   pasid->number);
        g_free(l);
        return ret;
    }
    QSLIST_INSERT_HEAD(&pasid->listeners, l, next);
    trace_pci_iommu_register_iotlb_notifier(pci_svm_name(dev), pasid->number);
    return 0;
}

static SVMListener *svm_find_listener(PCIDevice *dev, uint32_t pasid,
                                      IOMMUNotifier *n)
{
    PCISVMPasid *p;
    SVMListener *l;

    assert(bql_locked());
    RCU_READ_LOCK_GUARD();
    p = svm_find_pasid(dev, pasid);
    if (p) {
        QSLIST_FOREACH(l, &p->listeners, next) {
            if (l->notifier == n) {
                return l;
            }
        }
    }
    return NULL;
}

int pci_iommu_register_iotlb_notifier(PCIDevice *dev, uint32_t pasid,
                                      IOMMUNotifier *n)
{
    PCISVMPasid *p;
    PCISVMState *svm;
    SVMRequester req;
    int ret;

    ret = svm_check_call(dev, &req, pasid);
    if (ret) {
        return ret;
    }
    if (svm_find_listener(dev, pasid, n)) {
        return -EINVAL;
    }
    svm = svm_state(dev);
    p = pci_svm_pasids_get(svm->pasids, pasid);
    ret = svm_begin_listening(dev, &req, p, n);
    if (ret) {
        pci_svm_pasids_put(svm->pasids, p);
    }
    return ret;
}

int pci_iommu_unregister_iotlb_notifier(PCIDevice *dev, uint32_t pasid,
                                        IOMMUNotifier *n)
{
    SVMListener *l = svm_find_listener(dev, pasid, n);

    if (!l) {
        return -EINVAL;
    }
    svm_end_listening(l);
    return 0;
}

static bool svm_range_valid(const SVMRequester *req,
                            const PCISVMTranslation *t, uint64_t alignment)
{
    uint32_t page_size;
    uint8_t width;

    req->ops->get_iotlb_info(req->opaque, &width, &page_size);
    return !(t->addr & (MAX(page_size, alignment) - 1)) && t->addr <= t->last;
}

static int svm_check_translation(PCIDevice *dev, SVMRequester *req,
                                 const PCISVMTranslation *t, size_t length,
                                 uint64_t alignment)
{
    int ret = svm_check_request(dev, req, t->pasid, t->priv_req, t->exec_req);

    if (ret) {
        return ret;
    }
    if (!pcie_ats_enabled(dev)) {
        return -EPERM;
    }
    return length && svm_range_valid(req, t, alignment) ? 0 : -EINVAL;
}

static void svm_count_translation(PCIDevice *dev, const PCISVMTranslation *t,
                                  ssize_t ret)
{
    PCISVMPasid *p = svm_find_pasid(dev, t->pasid);
    size_t results = ret == -ENOMEM ? t->result_length : MAX(ret, 0);

    if (!p) {
        return;
    }
    if (ret < 0 && ret != -ENOMEM) {
        pci_svm_count(&p->counters, PCI_SVM_TRANSLATIONS_REFUSED, 1);
        return;
    }
    pci_svm_count(&p->counters, PCI_SVM_TRANSLATION_REQUESTS, 1);
    pci_svm_count(&p->counters, PCI_SVM_TRANSLATIONS,
                  results - MIN(*t->err_count, results));
    pci_svm_count(&p->counters, PCI_SVM_HOLES, *t->err_count);
}

static ssize_t svm_request_translation(PCIDevice *dev,
                                       const PCISVMTranslation *t,
                                       size_t length, uint64_t alignment)
{
    SVMRequester req;
    ssize_t ret;

    ret = svm_check_translation(dev, &req, t, length, alignment);
    if (ret) {
        svm_count(dev, t->pasid, PCI_SVM_TRANSLATIONS_REFUSED);
        return ret;
    }
    *t->err_count = 0;
    trace_pci_ats_request(pci_svm_name(dev), t->pasid, t->addr, length,
                          t->priv_req, t->exec_req, t->no_write);
    WITH_RCU_READ_LOCK_GUARD() {
        ret = req.ops->translate(req.bus, req.opaque, req.devfn, t);
        svm_count_translation(dev, t, ret);
    }
    trace_pci_ats_completion(pci_svm_name(dev), t->pasid, t->addr, ret,
                             *t->err_count);
    return ret;
}

ssize_t pci_ats_request_translation(PCIDevice *dev, uint32_t pasid,
                                    bool priv_req, bool exec_req,
                                    hwaddr addr, size_t length,
                                    bool no_write, IOMMUTLBEntry *result,
                                    size_t result_length,
                                    uint32_t *err_count)
{
    PCISVMTranslation translation = {
        .pasid = pasid, .priv_req = priv_req, .exec_req = exec_req,
        .no_write = no_write, .addr = addr, .last = addr + (length - 1),
        .result = result, .result_length = result_length,
        .err_count = err_count,
    };

    return svm_request_translation(dev, &translation, length,
                                   1ULL << pcie_ats_stu(dev));
}

ssize_t pci_ats_request_part(PCIDevice *dev, uint32_t pasid, bool priv_req,
                             bool exec_req, hwaddr addr, size_t length,
                             bool no_write, IOMMUTLBEntry *result,
                             size_t result_length, uint32_t *err_count)
{
    PCISVMTranslation translation = {
        .pasid = pasid, .priv_req = priv_req, .exec_req = exec_req,
        .no_write = no_write, .addr = addr, .last = addr + (length - 1),
        .result = result, .result_length = result_length,
        .err_count = err_count,
    };

    return svm_request_translation(dev, &translation, length, 1);
}

static bool svm_is_stop_marker(const PCISVMPageRequest *pr)
{
    return pr->pasid != PCI_NO_PASID && pr->lpig && !pr->is_read &&
           !pr->is_write && !pr->prgi;
}

/* Send a request that is owed a response, which costs a credit. */
static int svm_send_page_request(PCIDevice *dev, const SVMRequester *req,
                                 const PCISVMPageRequest *pr)
{
    uint64_t serial;
    int ret;

    ret = pcie_pri_begin_request(dev, pr->pasid, pr->prgi, pr->lpig, &serial);
    if (ret) {
        return ret;
    }
    ret = req->ops->page_request(req->bus, req->opaque, req->devfn, pr);
    if (ret) {
        pcie_pri_cancel_request(dev, pr->pasid, pr->prgi, pr->lpig, serial);
    }
    return ret;
}

static int svm_request_page(PCIDevice *dev, const PCISVMPasid *pasid,
                            const PCISVMPageRequest *pr)
{
    SVMRequester req;
    int ret;

    ret = svm_check_request(dev, &req, pr->pasid, pr->priv_req, pr->exec_req);
    if (ret) {
        return ret;
    }
    if (!pcie_pri_enabled(dev)) {
        return -EPERM;
    }
    if (pr->prgi > PCI_PRI_PRGI_MASK) {
        return -EINVAL;
    }
    if (svm_is_stop_marker(pr)) {
        return req.ops->page_request(req.bus, req.opaque, req.devfn, pr);
    }
    if (!pasid || !qatomic_read(&pasid->pri)) {
        return -EINVAL;
    }
    return svm_send_page_request(dev, &req, pr);
}

static void svm_count_page_request(PCISVMPasid *pasid,
                                   const PCISVMPageRequest *pr, int ret)
{
    if (!pasid) {
        return;
    }
    if (ret) {
        pci_svm_count(&pasid->counters, PCI_SVM_PAGE_REQUESTS_REFUSED, 1);
    } else if (!svm_is_stop_marker(pr)) {
        pci_svm_count(&pasid->counters, PCI_SVM_PAGE_REQUESTS, 1);
    }
}

int pci_pri_request_page(PCIDevice *dev, uint32_t pasid, bool priv_req,
                         bool exec_req, hwaddr addr, bool lpig, uint16_t prgi,
                         bool is_read, bool is_write)
{
    const PCISVMPageRequest pr = {
        .pasid = pasid, .priv_req = priv_req, .exec_req = exec_req,
        .addr = addr, .lpig = lpig, .prgi = prgi,
        .is_read = is_read, .is_write = is_write,
    };
    PCISVMPasid *p;
    int ret;

    RCU_READ_LOCK_GUARD();
    p = svm_find_pasid(dev, pasid);
    ret = svm_request_page(dev, p, &pr);
    trace_pci_pri_request(pci_svm_name(dev), pasid, addr, prgi, lpig, is_read,
                          is_write, ret);
    svm_count_page_request(p, &pr, ret);
    return ret;
}

int pci_pri_register_notifier(PCIDevice *dev, uint32_t pasid,
                              IOMMUPRINotifier *notifier)
{
    SVMRequester req;
    PCISVMPasid *p;
    int ret;

    assert(bql_locked());
    ret = svm_check_call(dev, &req, pasid);
    if (ret) {
        return ret;
    }
    p = pci_svm_pasids_get(svm_state(dev)->pasids, pasid);
    if (p->pri) {
        pci_svm_pasids_put(dev->svm->pasids, p);
        return -EBUSY;
    }
    qatomic_set(&p->pri, notifier);
    return 0;
}

void pci_pri_unregister_notifier(PCIDevice *dev, uint32_t pasid)
{
    PCISVMPasid *p;

    assert(bql_locked());
    RCU_READ_LOCK_GUARD();
    p = svm_find_pasid(dev, pasid);
    if (p && p->pri) {
        qatomic_set(&p->pri, NULL);
        pci_svm_pasids_put(dev->svm->pasids, p);
    }
}

static PCISVMCounter svm_response_counter(IOMMUPRIResponseCode code)
{
    switch (code) {
    case IOMMU_PRI_RESP_SUCCESS:
        return PCI_SVM_RESPONSES_SUCCESS;
    case IOMMU_PRI_RESP_INVALID_REQUEST:
        return PCI_SVM_RESPONSES_INVALID;
    default:
        return PCI_SVM_RESPONSES_FAILURE;
    }
}

/* Returns who shall hear of it. */
static IOMMUPRINotifier *svm_count_response(PCIDevice *dev, uint32_t pasid,
                                            IOMMUPRIResponseCode code)
{
    PCISVMPasid *p;

    RCU_READ_LOCK_GUARD();
    p = svm_find_pasid(dev, pasid);
    if (!p) {
        return NULL;
    }
    pci_svm_count(&p->counters, svm_response_counter(code), 1);
    return p->pri;
}

void pci_pri_respond(PCIBus *bus, int devfn, uint32_t pasid,
                     IOMMUPRIResponse *response)
{
    PCIDevice *dev = bus->devices[devfn];
    IOMMUPRINotifier *notifier;

    assert(bql_locked());
    if (!dev) {
        return;
    }
    trace_pci_pri_response(pci_svm_name(dev), pasid, response->prgi,
                           response->response_code);
    if (!pcie_pri_end_group(dev, &pasid, response)) {
        svm_count(dev, pasid, PCI_SVM_RESPONSES_UNEXPECTED);
        return;
    }
    notifier = svm_count_response(dev, pasid, response->response_code);
    if (notifier) {
        notifier->notify(notifier, response);
    }
    /* It has disabled PRI: other groups wait in vain. */
    if (response->response_code == IOMMU_PRI_RESP_FAILURE) {
        pci_svm_config_changed(pci_is_vf(dev) ? pcie_sriov_get_pf(dev) : dev);
    }
}

void pci_svm_add_state_notifier(PCIDevice *dev, Notifier *notifier)
{
    notifier_list_add(&svm_state(dev)->state_notifiers, notifier);
}

static bool svm_is_capable(const PCIDevice *dev)
{
    const PCIDevice *owner = pci_is_vf(dev)
                             ? pcie_sriov_get_pf((PCIDevice *)dev) : dev;

    return dev->exp.ats_cap || owner->exp.pasid_cap || owner->exp.pri;
}

static void svm_update_enables(PCIDevice *dev)
{
    PCISVMState *svm = dev->svm;
    unsigned enables, forgotten;

    qatomic_set(&dev->is_master, svm_is_operational(dev) &&
                (pci_get_word(dev->config + PCI_COMMAND) &
                 PCI_COMMAND_MASTER));
    /* Whatever the device does, it is counted from its first reset. */
    if (!svm && svm_is_capable(dev) && qdev_is_realized(DEVICE(dev))) {
        svm = svm_state(dev);
    }
    if (!svm) {
        return;
    }
    enables = svm_enables(dev);
    forgotten = pcie_pri_get_forgotten(dev);
    if (enables != svm->enables || forgotten != svm->forgotten) {
        svm->enables = enables;
        svm->forgotten = forgotten;
        trace_pci_svm_state(pci_svm_name(dev), dev->is_master,
                            pcie_ats_enabled(dev), pcie_pasid_enabled(dev),
                            pcie_pri_enabled(dev));
        notifier_list_notify(&svm->state_notifiers, dev);
    }
}

void pci_svm_config_changed(PCIDevice *dev)
{
    PCIDevice **vf = dev->exp.sriov_pf.vf;
    uint16_t vfs = 0;

    svm_update_enables(dev);
    /* They use its PASID and PRI capabilities, and depend on its power. */
    if (vf && qdev_is_realized(DEVICE(dev))) {
        vfs = pci_get_word(dev->config + dev->exp.sriov_cap +
                           PCI_SRIOV_TOTAL_VF);
    }
    for (uint16_t i = 0; i < vfs; i++) {
        svm_update_enables(vf[i]);
    }
}

void pci_svm_pm_changed(PCIDevice *dev, uint8_t old, uint8_t new)
{
    if (old == SVM_PM_D3HOT && new == SVM_PM_D0 &&
        !(svm_pm_control(dev) & PCI_PM_CTRL_NO_SOFT_RESET)) {
        pcie_pasid_reset(dev);
        pcie_ats_reset(dev);
        pcie_pri_reset(dev);
    }
}

static void svm_end_all_listening(PCIDevice *dev)
{
    g_autoptr(GArray) list = pci_svm_pasids_list(dev->svm->pasids);
    SVMListener *l, *next;

    for (guint i = 0; i < list->len; i++) {
        PCISVMPasid *p = svm_find_pasid(dev, g_array_index(list, uint32_t, i));

        QSLIST_FOREACH_SAFE(l, &p->listeners, next, next) {
            svm_end_listening(l);
        }
    }
}

void pci_svm_exit(PCIDevice *dev)
{
    PCISVMState *svm = dev->svm;

    qatomic_set(&dev->is_master, false);
    if (!svm) {
        return;
    }
    WITH_RCU_READ_LOCK_GUARD() {
        svm_end_all_listening(dev);
    }
    pci_svm_pasids_free(svm->pasids);
    g_free(svm);
    dev->svm = NULL;
}

/*
 * Untranslated requests with PASID
 */

typedef struct SVMAddressSpace {
    struct rcu_head rcu;
    AddressSpace as;
    SVMRequester req;
    IOMMUMemoryRegion *region;
    uint32_t pasid;
} SVMAddressSpace;

AddressSpace *pci_pasid_get_address_space(PCIDevice *dev, uint32_t pasid,
                                          int *err)
{
    SVMAddressSpace *space = g_new0(SVMAddressSpace, 1);
    int ret = svm_check_call(dev, &space->req, pasid);

    assert(bql_locked());
    if (pasid == PCI_NO_PASID) {
        ret = -EINVAL;
    }
    if (ret) {
        g_free(space);
        *err = ret;
        return NULL;
    }
    space->region = space->req.ops->get_iotlb_region(space->req.bus,
                                                     space->req.opaque,
                                                     space->req.devfn, pasid);
    space->pasid = pasid;
    address_space_init(&space->as, MEMORY_REGION(space->region), "pci-pasid");
    trace_pci_pasid_address_space(pci_svm_name(dev), pasid, true);
    return &space->as;
}

static void svm_free_address_space(SVMAddressSpace *space)
{
    space->req.ops->put_iotlb_region(space->req.bus, space->req.opaque,
                                     space->req.devfn, space->pasid);
    g_free(space);
}

/*
 * A flat view looks at its regions once more when it is destroyed, and the
 * memory core keeps those that it has made until the memory map changes. A
 * region may go before that: a change of it, in effect none, makes the flat
 * view go first. No transaction is open here.
 */
static void svm_forget_flat_view(IOMMUMemoryRegion *region)
{
    MemoryRegion *mr = MEMORY_REGION(region);

    memory_region_transaction_begin();
    memory_region_set_enabled(mr, false);
    memory_region_set_enabled(mr, true);
    memory_region_transaction_commit();
}

static void svm_release_address_space(SVMAddressSpace *space)
{
    svm_forget_flat_view(space->region);
    call_rcu(space, svm_free_address_space, rcu);
}

void pci_pasid_put_address_space(PCIDevice *dev, AddressSpace *as)
{
    SVMAddressSpace *space = container_of(as, SVMAddressSpace, as);

    assert(bql_locked());
    trace_pci_pasid_address_space(pci_svm_name(dev), space->pasid, false);
    address_space_destroy(as);
    call_rcu(space, svm_release_address_space, rcu);
}

MemTxResult pci_pasid_dma_rw(PCIDevice *dev, AddressSpace *as, hwaddr addr,
                             void *buf, hwaddr len, bool is_write)
{
    const MemTxAttrs attrs = { .requester_id = pci_requester_id(dev) };
    SVMAddressSpace *space = container_of(as, SVMAddressSpace, as);
    SVMRequester req;

    if (svm_check_call(dev, &req, space->pasid)) {
        return MEMTX_ACCESS_ERROR;
    }
    return dma_memory_rw(as, addr, buf, len,
                         is_write ? DMA_DIRECTION_FROM_DEVICE
                                  : DMA_DIRECTION_TO_DEVICE, attrs);
}
