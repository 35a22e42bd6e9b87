/*
 * Boolean options of the x86 IOMMUs that remember whether they were set
 *
 * An option that turns on others must tell "off by default" from "off because
 * the user said so".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_X86_IOMMU_OPTION_H
#define HW_I386_X86_IOMMU_OPTION_H

#include "hw/i386/x86-iommu.h"
#include "hw/qdev-properties.h"

/* Position of an option in X86IOMMUState.options_set */
typedef enum X86IOMMUOption {
    X86_IOMMU_OPTION_DEVICE_IOTLB,
    X86_IOMMU_OPTION_SCALABLE_MODE,
    X86_IOMMU_OPTION_FLTS,
    X86_IOMMU_OPTION_PASID,
} X86IOMMUOption;

extern const PropertyInfo x86_iommu_option_bool;

/* Like DEFINE_PROP_BOOL(), with a default of false */
#define DEFINE_PROP_X86_IOMMU_OPTION(_name, _state, _field, _option) \
    DEFINE_PROP(_name, _state, _field, x86_iommu_option_bool, bool, \
                .bitnr = (_option), .set_default = true)

/**
 * x86_iommu_option_is_set: has the user set this option, to any value?
 *
 * @s: the IOMMU
 * @option: the option
 *
 * Context: BQL, at realize.
 */
bool x86_iommu_option_is_set(const X86IOMMUState *s, X86IOMMUOption option);

#endif /* HW_I386_X86_IOMMU_OPTION_H */
