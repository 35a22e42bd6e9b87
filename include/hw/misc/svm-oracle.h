/*
 * Oracle of the stress device: the guest's view of a process's pages, and
 * whether the device's accesses agree with it
 *
 * A unit is what one leaf entry maps: a page of 4 KiB, or a block of 2 MiB
 * which the guest splits and merges. A change of an entry that takes something
 * away is pending until the guest has seen an invalidation complete and settles
 * it; from then on the device must not do what was taken away. Where a unit's
 * memory is follows from its address, so that an access through a translation
 * of another process, or of another page, is seen too.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_MISC_SVM_ORACLE_H
#define HW_MISC_SVM_ORACLE_H

#include "exec/hwaddr.h"
#include "hw/misc/svm-stress.h"

/**
 * typedef SVMOracle - an oracle; opaque
 */
typedef struct SVMOracle SVMOracle;

/**
 * struct SVMOracleProcess - where a process's memory and tables are
 *
 * @arena: guest physical address of SVM_STRESS_ARENA_SIZE bytes, a multiple of
 *     2 MiB
 * @small: entries of SVM_STRESS_PAGES pages, present and writable
 * @huge: entry of the block, a present and writable leaf
 * @split: a page for its leaves while it is split
 */
typedef struct SVMOracleProcess {
    hwaddr arena;
    hwaddr small;
    hwaddr huge;
    hwaddr split;
} SVMOracleProcess;

/**
 * svm_oracle_new: begin to watch
 *
 * @process: SVM_STRESS_PROCESSES of them
 *
 * Returns: the oracle, or NULL when not all that is RAM.
 *
 * Context: BQL.
 */
SVMOracle *svm_oracle_new(const SVMOracleProcess *process);

/**
 * svm_oracle_free: end it
 *
 * @o: the oracle, or NULL. No other thread uses it.
 *
 * Context: BQL.
 */
void svm_oracle_free(SVMOracle *o);

/**
 * svm_oracle_change: change an entry as a CPU does, by compare-and-swap
 *
 * @o: the oracle
 * @random: chooses unit and change
 *
 * What awaits an invalidation is left alone.
 *
 * Context: one thread, any.
 */
void svm_oracle_change(SVMOracle *o, uint64_t random);

/**
 * svm_oracle_tag: change bits of an entry that no walk looks at, and Accessed,
 * many times in a row
 *
 * @o: the oracle
 * @process: its number
 * @unit: of the process
 *
 * Context: the thread of svm_oracle_change().
 */
void svm_oracle_tag(SVMOracle *o, unsigned process, unsigned unit);

/**
 * svm_oracle_pending: which units await an invalidation
 *
 * @o: the oracle
 * @process: its number
 *
 * Returns: SVM_STRESS_PENDING
 */
uint64_t svm_oracle_pending(SVMOracle *o, unsigned process);

/**
 * svm_oracle_settle: an invalidation has completed
 *
 * @o: the oracle
 * @process: its number
 * @units: of those that were pending before the invalidation began
 *
 * Checks that Dirty was set for what had been written.
 *
 * Context: BQL.
 */
void svm_oracle_settle(SVMOracle *o, unsigned process, uint64_t units);

/**
 * svm_oracle_access: access memory on behalf of the device, and check that it
 * may
 *
 * @o: the oracle
 * @process: whose memory the device wants
 * @offset: from the process's first address, where it wants it
 * @host: where it was told to access it
 * @len: bytes, not 0
 * @is_write: write, else read
 * @spin: ns that each unit takes
 * @data: what is written, or has been read; the same bytes all over
 *
 * Context: any thread, between the translation and the end of its use.
 */
void svm_oracle_access(SVMOracle *o, unsigned process, uint64_t offset,
                       void *host, size_t len, bool is_write, unsigned spin,
                       uint8_t *data);

/**
 * svm_oracle_violation: note that a rule was violated
 *
 * @o: the oracle
 * @rule: SVM_STRESS_OUTSIDE and so on
 * @process: whose
 * @unit: which
 */
void svm_oracle_violation(SVMOracle *o, unsigned rule, unsigned process,
                          unsigned unit);

/**
 * svm_oracle_count: read one of the counters
 *
 * @o: the oracle
 * @reg: SVM_STRESS_VIOLATIONS, _FIRST, _ACCESSES, _BUSY, _CHANGES or _WRITES
 */
uint64_t svm_oracle_count(SVMOracle *o, hwaddr reg);

#endif /* HW_MISC_SVM_ORACLE_H */
