/*
 * Memory API, under the name that the header has from QEMU 10.1 on
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A device written against the PCI-level SVM API includes "system/memory.h";
 * on this base the same declarations live in "exec/memory.h".
 */

#ifndef SYSTEM_MEMORY_H
#define SYSTEM_MEMORY_H

#include "exec/memory.h"

#endif
