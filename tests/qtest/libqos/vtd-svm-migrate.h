/*
 * Migration of a machine with VT-d and the endpoint: from one QEMU to another
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QTEST_LIBQOS_VTD_SVM_MIGRATE_H
#define QTEST_LIBQOS_VTD_SVM_MIGRATE_H

#include "vtd-svm.h"

/*
 * Add a case that migrates. ThreadSanitizer skips it: the coroutine that loads
 * a migration waits for CPUs without the BQL, which it takes for a lock of
 * another thread from then on.
 */
void qvtd_svm_add_migration(const char *path, void (*fn)(void));
void qvtd_svm_add_data_migration(const char *path, const void *data,
                                 void (*fn)(const void *));

/* Where a test may leave a file. Returns what g_free() frees. */
char *qvtd_svm_temporary_path(void);

/*
 * Wait until the migration of @qts has the state @status, as query-migrate
 * names it, and check that it never has @never.
 */
void qvtd_svm_await_migration(QTestState *qts, const char *status,
                              const char *never);

/* Migrate @qts to @uri, and wait for the end of it. */
void qvtd_svm_migrate_to(QTestState *qts, const char *uri);

/*
 * Migrate @f to a file, and that to a machine of its own, which has @devices
 * as @f has. Returns that machine, with the memory and the devices of @f,
 * which is freed.
 */
QVTDSVM *qvtd_svm_migrate(QVTDSVM *f, const char *devices);

/* The same over a socket: both machines are there while the source runs. */
QVTDSVM *qvtd_svm_migrate_live(QVTDSVM *f, const char *devices);

#endif
