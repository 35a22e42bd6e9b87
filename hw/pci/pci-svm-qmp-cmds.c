/*
 * QMP: what PCI functions do with shared virtual memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-pci.h"
#include "hw/pci/pci_atc.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_host.h"
#include "hw/pci/pci_svm.h"
#include "pci-internal.h"

/* PASIDs of a function that are listed unless more are asked for */
#define SVM_QUERY_LIMIT 64

/* What is asked for, and the answer so far */
typedef struct SVMQuery {
    bool has_pasid;
    uint32_t pasid;
    uint32_t limit;
    PciSvmInfoList **tail;
} SVMQuery;

static PciSvmAtc *svm_query_atc(const uint64_t *counts,
                                const PCIATCUsage *usage)
{
    PciSvmAtc *atc = g_new0(PciSvmAtc, 1);

    atc->hits = counts[PCI_SVM_ATC_HITS];
    atc->misses = counts[PCI_SVM_ATC_MISSES];
    atc->revoked = counts[PCI_SVM_ATC_REVOKED];
    atc->entries = usage->entries;
    atc->bytes = usage->bytes;
    return atc;
}

static void svm_query_counters(const uint64_t *counts, PciSvmCounters *c)
{
    c->translation_requests = counts[PCI_SVM_TRANSLATION_REQUESTS];
    c->translations = counts[PCI_SVM_TRANSLATIONS];
    c->holes = counts[PCI_SVM_HOLES];
    c->translations_refused = counts[PCI_SVM_TRANSLATIONS_REFUSED];
    c->page_requests = counts[PCI_SVM_PAGE_REQUESTS];
    c->page_requests_refused = counts[PCI_SVM_PAGE_REQUESTS_REFUSED];
    c->responses_success = counts[PCI_SVM_RESPONSES_SUCCESS];
    c->responses_invalid = counts[PCI_SVM_RESPONSES_INVALID];
    c->responses_failure = counts[PCI_SVM_RESPONSES_FAILURE];
    c->responses_unexpected = counts[PCI_SVM_RESPONSES_UNEXPECTED];
    c->invalidations = counts[PCI_SVM_INVALIDATIONS];
}

static PciSvmCounters *svm_query_total(PCIDevice *dev)
{
    PciSvmCounters *total = g_new0(PciSvmCounters, 1);
    PCISVMPasids *pasids = pci_svm_get_pasids(dev);
    uint64_t counts[PCI_SVM_COUNTER__MAX] = { };
    PCIATC *atc = pci_svm_get_atc(dev);
    PCIATCUsage usage;

    if (pasids) {
        pci_svm_pasids_sum(pasids, counts);
    }
    svm_query_counters(counts, total);
    total->page_requests_outstanding = pcie_pri_get_outstanding(dev, NULL);
    if (atc) {
        pci_atc_get_usage(atc, &usage);
        total->atc = svm_query_atc(counts, &usage);
    }
    return total;
}

static PciSvmPasid *svm_query_pasid(PCIDevice *dev, PCISVMPasids *pasids,
                                    uint32_t pasid)
{
    PciSvmPasid *p = g_new0(PciSvmPasid, 1);
    uint64_t counts[PCI_SVM_COUNTER__MAX];
    PCIATC *atc = pci_svm_get_atc(dev);
    PCIATCUsage usage;

    p->has_pasid = pasid != PCI_NO_PASID;
    p->pasid = p->has_pasid ? pasid : 0;
    pci_svm_pasids_read(pasids, pasid, counts);
    svm_query_counters(counts, qapi_PciSvmPasid_base(p));
    p->page_requests_outstanding = pcie_pri_get_outstanding(dev, &pasid);
    if (atc) {
        pci_atc_get_pasid_usage(atc, pasid, &usage);
        p->atc = svm_query_atc(counts, &usage);
    }
    return p;
}

static void svm_query_pasids(PCIDevice *dev, const SVMQuery *q,
                             PciSvmInfo *info)
{
    PCISVMPasids *pasids = pci_svm_get_pasids(dev);
    PciSvmPasidList **tail = &info->pasids;
    g_autoptr(GArray) list = NULL;
    uint32_t listed = 0;

    if (!pasids) {
        return;
    }
    list = pci_svm_pasids_list(pasids);
    info->pasid_count = list->len;
    for (guint i = 0; i < list->len && listed < q->limit; i++) {
        uint32_t pasid = g_array_index(list, uint32_t, i);

        if (!q->has_pasid || pasid == q->pasid) {
            QAPI_LIST_APPEND(tail, svm_query_pasid(dev, pasids, pasid));
            listed++;
        }
    }
}

static void svm_query_capabilities(PCIDevice *dev, PciSvmInfo *info)
{
    PCIDevice *owner = pci_is_vf(dev) ? pcie_sriov_get_pf(dev) : dev;
    PCIATC *atc = pci_svm_get_atc(dev);
    PCIATCUsage usage;

    if (dev->exp.ats_cap) {
        info->ats = g_new0(PciSvmAtsCapability, 1);
        info->ats->enabled = pcie_ats_enabled(dev);
        info->ats->stu = 1ULL << pcie_ats_stu(dev);
        info->ats->has_atc_entries_max = atc;
        info->ats->atc_entries_max = atc ? pci_atc_get_usage(atc, &usage) : 0;
    }
    if (owner->exp.pasid_cap) {
        info->pasid = g_new0(PciSvmPasidCapability, 1);
        info->pasid->enabled = pcie_pasid_enabled(dev);
        info->pasid->width = pcie_pasid_width(dev);
        info->pasid->execute = pcie_pasid_exec_enabled(dev);
        info->pasid->privileged = pcie_pasid_priv_enabled(dev);
    }
    if (owner->exp.pri) {
        info->pri = g_new0(PciSvmPriCapability, 1);
        info->pri->enabled = pcie_pri_enabled(dev);
        info->pri->allocation = pcie_pri_get_req_alloc(dev);
    }
}

static void svm_query_function(PCIDevice *dev, SVMQuery *q)
{
    PciSvmInfo *info = g_new0(PciSvmInfo, 1);

    info->qom_path = object_get_canonical_path(OBJECT(dev));
    info->qdev_id = g_strdup(dev->qdev.id);
    info->type = g_strdup(object_get_typename(OBJECT(dev)));
    info->bus = pci_dev_bus_num(dev);
    info->slot = PCI_SLOT(dev->devfn);
    info->function = PCI_FUNC(dev->devfn);
    info->bus_master = qatomic_read(&dev->is_master);
    svm_query_capabilities(dev, info);
    info->total = svm_query_total(dev);
    svm_query_pasids(dev, q, info);
    QAPI_LIST_APPEND(q->tail, info);
}

/* A function that has none of the capabilities is of no interest. */
static void svm_query_if_capable(PCIBus *bus, PCIDevice *dev, void *opaque)
{
    PCIDevice *owner = pci_is_vf(dev) ? pcie_sriov_get_pf(dev) : dev;

    if (dev->exp.ats_cap || owner->exp.pasid_cap || owner->exp.pri) {
        svm_query_function(dev, opaque);
    }
}

static void *svm_query_bus(PCIBus *bus, void *opaque)
{
    pci_for_each_device_under_bus(bus, svm_query_if_capable, opaque);
    return opaque;
}

static PCIDevice *svm_query_find(const char *device, Error **errp)
{
    Object *obj = object_resolve_path_at(machine_get_container("peripheral"),
                                         device);

    obj = object_dynamic_cast(obj, TYPE_PCI_DEVICE);
    if (!obj || !qdev_is_realized(DEVICE(obj))) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND,
                  "PCI function '%s' not found", device);
        return NULL;
    }
    return PCI_DEVICE(obj);
}

PciSvmInfoList *qmp_x_query_pci_svm(const char *device, bool has_pasid,
                                    uint32_t pasid, bool has_limit,
                                    uint32_t limit, Error **errp)
{
    PciSvmInfoList *head = NULL;
    SVMQuery q = {
        .has_pasid = has_pasid, .pasid = pasid,
        .limit = has_limit ? limit : SVM_QUERY_LIMIT, .tail = &head,
    };
    PCIHostState *host;
    PCIDevice *dev;

    if (device) {
        dev = svm_query_find(device, errp);
        if (dev) {
            svm_query_function(dev, &q);
        }
        return head;
    }
    QLIST_FOREACH(host, &pci_host_bridges, next) {
        /* An expander's bus is found below its parent. */
        if (!host->bus->parent_dev) {
            pci_for_each_bus_depth_first(host->bus, svm_query_bus, NULL, &q);
        }
    }
    return head;
}
