/*
 * libsvm: errors, statuses and states in words
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <errno.h>
#include <string.h>

#include "libsvm.h"

#define WORD(table, i)                                                        \
    ((i) < sizeof(table) / sizeof((table)[0]) && (table)[i] ?                 \
     (table)[i] : "unknown")

const char *libsvm_strerror(int error)
{
    switch (-error) {
    case ENODEV:
        return "the device is gone, was reset or does not answer";
    case EPERM:
        return "the device was opened by another process";
    case EOPNOTSUPP:
        return "the kernel or the IOMMU does not share memory with devices";
    case ENOSPC:
        return "all queues of the device are in use";
    case EBUSY:
        return "the device is busy, or is being reset";
    case EAGAIN:
        return "not yet";
    case EIO:
        return "the queue is disabled or in error";
    case ESTALE:
        return "the result of this operation is not kept any more";
    case ECANCELED:
        return "the queue was aborted before this operation";
    case EBADF:
        return "this is not a grant";
    case EACCES:
        return "the grant was revoked, or its process is gone";
    default:
        return strerror(-error);
    }
}

const char *libsvm_status_name(unsigned status)
{
    static const char *const names[] = {
        [SVM_CPL_OK] = "ok",
        [SVM_CPL_DIFFERENT] = "different",
        [SVM_CPL_INVALID] = "invalid descriptor",
        [SVM_CPL_SKIPPED] = "skipped",
        [SVM_CPL_UNMAPPED] = "unmapped",
        [SVM_CPL_PERMISSION] = "permission denied",
        [SVM_CPL_RESPONSE] = "response failure",
        [SVM_CPL_RETRIES] = "page requests without effect",
        [SVM_CPL_DISABLED] = "disabled",
        [SVM_CPL_CANCELLED] = "cancelled",
        [SVM_CPL_BUS_ERROR] = "bus error",
        [SVM_CPL_NO_PEER] = "no peer",
        [SVM_CPL_TIMEOUT] = "no answer to a page request",
    };

    return WORD(names, status);
}

const char *libsvm_state_name(unsigned state)
{
    static const char *const names[] = {
        [SVM_STATE_DISABLED] = "disabled",
        [SVM_STATE_RUNNING] = "running",
        [SVM_STATE_PAUSING] = "pausing",
        [SVM_STATE_PAUSED] = "paused",
        [SVM_STATE_DRAINING] = "draining",
        [SVM_STATE_ERROR] = "error",
    };

    return WORD(names, state);
}

const char *libsvm_error_name(uint32_t error)
{
    static const char *const names[] = {
        [SVM_ERROR_NONE] = "none",
        [SVM_ERROR_DOORBELL] = "bad doorbell",
        [SVM_ERROR_RING] = "a descriptor cannot be read",
        [SVM_ERROR_RECORD] = "a record cannot be written",
        [SVM_ERROR_CONFIG] = "bad registers",
        [SVM_ERROR_PASID] = "the PASID cannot be used",
    };

    return WORD(names, SVM_ERROR_CAUSE(error));
}
