/*
 * libqos fixture: a q35 machine, its VT-d unit with tables, and one edu device
 * to do DMA through it
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "pci-pc.h"
#include "vtd-edu.h"

/* Something that the device's buffer does not hold */
#define QVTD_EDU_SENTINEL   0xa5a5a5a5a5a5a5a5ULL

static void qvtd_edu_build_tables(QVTDEdu *f)
{
    QVTDPasidEntry pe = { .pgtt = QVTD_PGTT_FS, .did = QVTD_EDU_DID };

    f->table = qvtd_alloc_page(f->v);
    if (!f->v->scalable) {
        qvtd_set_legacy_context(f->v, f->sid, VTD_CONTEXT_TT_MULTI_LEVEL,
                                QVTD_EDU_DID, f->table);
        return;
    }
    f->dir = qvtd_new_pasid_dir(f->v, 0);
    pe.table = f->table;
    qvtd_set_pasid_entry(f->v, f->dir, QVTD_EDU_RID_PASID, &pe);
    qvtd_set_context(f->v, f->sid, QVTD_CE_P, 0, f->dir, QVTD_EDU_RID_PASID);
}

static void qvtd_edu_open(QVTDEdu *f, QTestState *qts)
{
    f->qts = qts;
    f->bus = qpci_new_pc(qts, NULL);
    qedu_init(&f->edu, f->bus, f->sid);
}

static void qvtd_edu_close(QVTDEdu *f)
{
    qedu_fini(&f->edu);
    qpci_free_pc(f->bus);
    qtest_quit(f->qts);
}

QVTDEdu *qvtd_edu_attach(QTestState *qts, const char *iommu_opts)
{
    QVTDEdu *f = g_new0(QVTDEdu, 1);

    f->sid = QVTD_EDU_DEVFN;
    qvtd_edu_open(f, qts);
    f->v = qvtd_new(f->qts, strstr(iommu_opts, "x-scalable-mode=on"));
    qvtd_edu_build_tables(f);
    qvtd_enable(f->v);
    return f;
}

QVTDEdu *qvtd_edu_start(const char *iommu_opts, const char *args)
{
    return qvtd_edu_attach(qtest_initf("-M q35 -device intel-iommu,%s "
                                       QVTD_EDU_ARGS " %s", iommu_opts,
                                       args ?: ""), iommu_opts);
}

void qvtd_edu_move(QVTDEdu *f, QTestState *qts)
{
    qvtd_edu_close(f);
    qvtd_edu_open(f, qts);
    f->v->qts = qts;
}

void qvtd_edu_stop(QVTDEdu *f)
{
    qvtd_free(f->v);
    qvtd_edu_close(f);
    g_free(f);
}

bool qvtd_edu_writes(QVTDEdu *f, uint64_t iova, uint64_t pa)
{
    qtest_writeq(f->qts, pa, QVTD_EDU_SENTINEL);
    qedu_dma_write(&f->edu, iova, sizeof(uint64_t));
    return qtest_readq(f->qts, pa) != QVTD_EDU_SENTINEL;
}
