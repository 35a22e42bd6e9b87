/*
 * Boolean options of the x86 IOMMUs that remember whether they were set
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/bitops.h"
#include "hw/i386/x86-iommu-option.h"

static void x86_iommu_option_get(Object *obj, Visitor *v, const char *name,
                                 void *opaque, Error **errp)
{
    qdev_prop_bool.get(obj, v, name, opaque, errp);
}

static void x86_iommu_option_set(Object *obj, Visitor *v, const char *name,
                                 void *opaque, Error **errp)
{
    const Property *prop = opaque;
    ERRP_GUARD();

    qdev_prop_bool.set(obj, v, name, opaque, errp);
    if (!*errp) {
        X86_IOMMU_DEVICE(obj)->options_set |= BIT(prop->bitnr);
    }
}

static void x86_iommu_option_set_default(ObjectProperty *op,
                                         const Property *prop)
{
    object_property_set_default_bool(op, false);
    /* The state starts as zero; setting the default would count as the user. */
    op->init = NULL;
}

bool x86_iommu_option_is_set(const X86IOMMUState *s, X86IOMMUOption option)
{
    return s->options_set & BIT(option);
}

const PropertyInfo x86_iommu_option_bool = {
    .type = "bool",
    .description = "on/off",
    .get = x86_iommu_option_get,
    .set = x86_iommu_option_set,
    .set_default_value = x86_iommu_option_set_default,
};
