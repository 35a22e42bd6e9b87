/*
 * HMP: what PCI functions do with shared virtual memory
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-pci.h"
#include "qobject/qdict.h"

static const char *svm_on_off(bool on)
{
    return on ? "on" : "off";
}

static void svm_print_capabilities(Monitor *mon, const PciSvmInfo *info)
{
    monitor_printf(mon, "  bus master %s\n", svm_on_off(info->bus_master));
    if (info->ats) {
        monitor_printf(mon, "  ATS %s, smallest translation unit %" PRIu64
                       " bytes\n", svm_on_off(info->ats->enabled),
                       info->ats->stu);
    }
    if (info->pasid) {
        monitor_printf(mon, "  PASID %s, %u bits, execute %s, privileged %s\n",
                       svm_on_off(info->pasid->enabled), info->pasid->width,
                       svm_on_off(info->pasid->execute),
                       svm_on_off(info->pasid->privileged));
    }
    if (info->pri) {
        monitor_printf(mon, "  PRI %s, allocation %" PRIu32
                       " page requests\n", svm_on_off(info->pri->enabled),
                       info->pri->allocation);
    }
}

static void svm_print_counters(Monitor *mon, const PciSvmCounters *c)
{
    monitor_printf(mon, "    translations: %" PRIu64 " requests, %" PRIu64
                   " granted, %" PRIu64 " holes, %" PRIu64 " refused\n",
                   c->translation_requests, c->translations, c->holes,
                   c->translations_refused);
    monitor_printf(mon, "    page requests: %" PRIu64 " sent, %" PRIu64
                   " outstanding, %" PRIu64 " refused\n", c->page_requests,
                   c->page_requests_outstanding, c->page_requests_refused);
    monitor_printf(mon, "    responses: %" PRIu64 " success, %" PRIu64
                   " invalid, %" PRIu64 " failure, %" PRIu64 " unexpected\n",
                   c->responses_success, c->responses_invalid,
                   c->responses_failure, c->responses_unexpected);
    monitor_printf(mon, "    invalidations: %" PRIu64 "\n", c->invalidations);
    if (c->atc) {
        monitor_printf(mon, "    ATC: %" PRIu64 " hits, %" PRIu64
                       " misses, %" PRIu64 " revoked, %" PRIu64
                       " entries, %" PRIu64 " bytes\n", c->atc->hits,
                       c->atc->misses, c->atc->revoked, c->atc->entries,
                       c->atc->bytes);
    }
}

static void svm_print_function(Monitor *mon, const PciSvmInfo *info)
{
    uint64_t listed = 0;

    monitor_printf(mon, "%s %02" PRIx64 ":%02" PRIx64 ".%" PRIx64 " %s\n",
                   info->type, info->bus, info->slot, info->function,
                   info->qdev_id ?: info->qom_path);
    svm_print_capabilities(mon, info);
    monitor_printf(mon, "  total\n");
    svm_print_counters(mon, info->total);
    for (PciSvmPasidList *p = info->pasids; p; p = p->next) {
        if (p->value->has_pasid) {
            monitor_printf(mon, "  PASID 0x%" PRIx32 "\n", p->value->pasid);
        } else {
            monitor_printf(mon, "  without PASID\n");
        }
        svm_print_counters(mon, qapi_PciSvmPasid_base(p->value));
        listed++;
    }
    if (listed < info->pasid_count) {
        monitor_printf(mon, "  and %" PRIu64 " more PASIDs\n",
                       info->pasid_count - listed);
    }
}

void hmp_info_svm(Monitor *mon, const QDict *qdict)
{
    const char *device = qdict_get_try_str(qdict, "device");
    bool has_limit = qdict_haskey(qdict, "limit");
    int64_t limit = qdict_get_try_int(qdict, "limit", 0);
    g_autoptr(PciSvmInfoList) list = NULL;
    Error *err = NULL;

    list = qmp_x_query_pci_svm(device, false, 0, has_limit, MAX(limit, 0),
                               &err);
    if (hmp_handle_error(mon, err)) {
        return;
    }
    for (PciSvmInfoList *info = list; info; info = info->next) {
        svm_print_function(mon, info->value);
    }
}
