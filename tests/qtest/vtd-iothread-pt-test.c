/*
 * QTest testcase for VT-d: pass-through DMA of an IOThread, and the guest's
 * invalidations at the same time
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqos/vtd-blk.h"

#define DID         3
#define ROUNDS      300
#define TIMEOUT_S   240

/*
 * After each change from translated to pass-through, the first access of the
 * device makes QEMU leave the IOMMU out. It needs the locks that the
 * invalidations take, in another thread.
 */
static void test_invalidate(void)
{
    QVTDBlk *b = qvtd_blk_start(NULL);
    QVTDDesc forget = qvtd_iotlb_desc(QVTD_IOTLB_GLOBAL, 0, 0, 0);

    /* A deadlock ends here */
    alarm(TIMEOUT_S);
    for (int i = 0; i < ROUNDS; i++) {
        qvtd_set_legacy_context(b->v, b->sid, VTD_CONTEXT_TT_MULTI_LEVEL, DID,
                                b->table);
        qvtd_inv(b->v, qvtd_cc_desc(QVTD_CC_GLOBAL, 0, 0, 0));
        qvtd_inv(b->v, forget);

        qvtd_set_legacy_context(b->v, b->sid, VTD_CONTEXT_TT_PASS_THROUGH,
                                DID, 0);
        qvtd_blk_submit(b, b->data);
        for (int j = 0; j < 4; j++) {
            qvtd_iq_push(b->v, forget);
            qvtd_iq_kick(b->v);
        }
        qvtd_blk_wait(b);
    }
    alarm(0);
    qvtd_blk_stop(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/vtd/iothread-pt/invalidate", test_invalidate);
    return g_test_run();
}
