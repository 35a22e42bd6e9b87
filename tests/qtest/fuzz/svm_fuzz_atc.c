/*
 * Fuzz target: the address translation cache (hw/pci/pci_atc.h) against a model
 *
 * The model is a flat list of what was entered and is not revoked. Whatever
 * the cache says has to be in the list; as long as nothing had to be evicted,
 * it has to say all that is in the list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_atc.h"
#include "hw/pci/pci_bus.h"
#include "svm_fuzz.h"

#define TICKETS     4
#define USES        4
#define BATCH       4

/*
 * A ticket may be refused because many invalidations have passed, whatever
 * they covered. So few must not be too many.
 */
#define RECENT      16

enum {
    OP_INSERT,
    OP_LOOKUP,
    OP_INVALIDATE,
    OP_INVALIDATE_ALL,
    OP_TICKET,
    OP_USE_BEGIN,
    OP_USE_END,
    OP_CURRENT,
    OPS,
};

typedef struct ModelEntry {
    uint32_t pasid;
    hwaddr iova;
    hwaddr mask;
    hwaddr translated;
    IOMMUAccessFlags perm;
} ModelEntry;

typedef struct ModelScope {
    uint32_t pasid;
    bool all;
    hwaddr first;
    hwaddr last;
} ModelScope;

typedef struct ModelTicket {
    PCIATCTicket ticket;
    unsigned when;              /* invalidations that had passed */
} ModelTicket;

typedef struct ModelUse {
    PCIATCUse use;
    bool active;
    uint32_t pasid;
    hwaddr first;
    hwaddr last;
} ModelUse;

static struct {
    PCIATC *atc;
    size_t max_entries;
    bool evicted;               /* the cache may know less than the list */
    GArray *entries;
    GArray *scopes;
    ModelTicket ticket[TICKETS];
    ModelUse use[USES];
} model;

/* What an input can name */

static uint32_t take_pasid(SVMFuzzInput *in)
{
    static const uint32_t pasids[] = { PCI_NO_PASID, 0, 1, 0xfffff };

    return pasids[svm_fuzz_u8(in) % ARRAY_SIZE(pasids)];
}

/* Neighbours, around places where sizes meet, and both ends */
static hwaddr take_addr(SVMFuzzInput *in)
{
    static const hwaddr bases[] = {
        0, 2 * MiB - 0x8000, 1 * GiB - 0x8000, -0x40000ULL,
    };
    uint8_t where = svm_fuzz_u8(in);

    return bases[where % 4] + ((hwaddr)(where / 4) << 12);
}

static hwaddr take_mask(SVMFuzzInput *in)
{
    static const hwaddr masks[] = {
        0xfff, 0x1fff, 0xffff, 0x1fffff, 0x3fffffff, UINT64_MAX, 1, 0, 0xffe,
    };

    return masks[svm_fuzz_u8(in) % ARRAY_SIZE(masks)];
}

static IOMMUAccessFlags take_perm(SVMFuzzInput *in)
{
    return svm_fuzz_u8(in) & (IOMMU_RW | IOMMU_EXEC | IOMMU_PRIV |
                              IOMMU_GLOBAL | IOMMU_UNTRANSLATED_ONLY);
}

static IOMMUTLBEntry take_entry(SVMFuzzInput *in)
{
    hwaddr iova = take_addr(in);
    hwaddr mask = take_mask(in);
    /* Neighbours may lead to neighbours. */
    hwaddr translated = (hwaddr)(svm_fuzz_u8(in) % 4) << 48 |
                        extract64(iova, 0, 48);

    return (IOMMUTLBEntry) {
        .iova = iova & ~mask, .addr_mask = mask,
        .translated_addr = translated & ~mask, .perm = take_perm(in),
    };
}

/* The model */

static bool ranges_meet(hwaddr a, hwaddr a_last, hwaddr b, hwaddr b_last)
{
    return a <= b_last && b <= a_last;
}

static bool scope_covers(const ModelScope *scope, uint32_t pasid, hwaddr first,
                         hwaddr last)
{
    return scope->all || (scope->pasid == pasid &&
                          ranges_meet(scope->first, scope->last, first, last));
}

static bool is_revoked(const ModelTicket *t, uint32_t pasid, hwaddr first,
                       hwaddr last)
{
    for (unsigned i = t->when; i < model.scopes->len; i++) {
        if (scope_covers(&g_array_index(model.scopes, ModelScope, i), pasid,
                         first, last)) {
            return true;
        }
    }
    return false;
}

static bool is_recent(const ModelTicket *t)
{
    return model.scopes->len - t->when <= RECENT;
}

static bool is_cacheable(const IOMMUTLBEntry *e)
{
    return (e->perm & IOMMU_RW) && !(e->perm & IOMMU_UNTRANSLATED_ONLY) &&
           e->addr_mask && !(e->addr_mask & (e->addr_mask + 1));
}

static ModelEntry *model_entry(unsigned i)
{
    return &g_array_index(model.entries, ModelEntry, i);
}

static void model_enter(uint32_t pasid, const IOMMUTLBEntry *e)
{
    ModelEntry new = {
        pasid, e->iova, e->addr_mask, e->translated_addr, e->perm,
    };

    for (unsigned i = 0; i < model.entries->len; i++) {
        ModelEntry *old = model_entry(i);

        if (old->pasid == pasid && old->iova == e->iova &&
            old->mask == e->addr_mask &&
            !((old->perm ^ e->perm) & IOMMU_PRIV)) {
            new.perm |= old->translated == new.translated ? old->perm : 0;
            *old = new;
            return;
        }
    }
    g_array_append_val(model.entries, new);
    if (model.entries->len > model.max_entries) {
        model.evicted = true;
    }
}

static size_t model_revoke(const ModelScope *scope)
{
    size_t dropped = 0;

    g_array_append_val(model.scopes, *scope);
    for (unsigned i = model.entries->len; i--; ) {
        ModelEntry *e = model_entry(i);

        if (scope_covers(scope, e->pasid, e->iova, e->iova | e->mask)) {
            g_array_remove_index_fast(model.entries, i);
            dropped++;
        }
    }
    if (!model.entries->len) {
        model.evicted = false;
    }
    return dropped;
}

static bool grants(const ModelEntry *e, uint32_t pasid, hwaddr addr,
                   IOMMUAccessFlags need)
{
    return e->pasid == pasid && (addr & ~e->mask) == e->iova &&
           (e->perm & need) == need &&
           !((e->perm ^ need) & IOMMU_PRIV);
}

/* The smallest that grants @need */
static const ModelEntry *model_lookup(uint32_t pasid, hwaddr addr,
                                      IOMMUAccessFlags need)
{
    const ModelEntry *best = NULL;

    for (unsigned i = 0; i < model.entries->len; i++) {
        const ModelEntry *e = model_entry(i);

        if (grants(e, pasid, addr, need) && (!best || e->mask < best->mask)) {
            best = e;
        }
    }
    return best;
}

/* Is @found one of the list, with permissions that it has? */
static bool model_knows(uint32_t pasid, const IOMMUTLBEntry *found)
{
    for (unsigned i = 0; i < model.entries->len; i++) {
        const ModelEntry *e = model_entry(i);

        if (e->pasid == pasid && e->iova == found->iova &&
            e->mask == found->addr_mask &&
            e->translated == found->translated_addr &&
            !((e->perm ^ found->perm) & IOMMU_PRIV) &&
            !(found->perm & ~e->perm)) {
            return true;
        }
    }
    return false;
}

/* Operations */

static ModelTicket *take_ticket(SVMFuzzInput *in)
{
    return &model.ticket[svm_fuzz_u8(in) % TICKETS];
}

static void op_ticket(SVMFuzzInput *in)
{
    *take_ticket(in) = (ModelTicket) {
        pci_atc_get_ticket(model.atc), model.scopes->len,
    };
}

/* One by one, so that it is known which of them the cache took */
static void insert_one(uint32_t pasid, const IOMMUTLBEntry *e,
                       const ModelTicket *t)
{
    size_t entered = pci_atc_insert(model.atc, pasid, e, 1, t->ticket);
    bool revoked = is_revoked(t, pasid, e->iova, e->iova | e->addr_mask);

    svm_fuzz_check(entered <= (is_cacheable(e) && !revoked),
                   "what was revoked, or grants nothing, is not entered");
    svm_fuzz_check(entered == (is_cacheable(e) && !revoked) || !is_recent(t),
                   "what was not revoked is entered");
    if (entered) {
        model_enter(pasid, e);
    }
}

/* All at once, with a ticket of now, which nothing has revoked */
static void insert_batch(uint32_t pasid, const IOMMUTLBEntry *e, size_t count)
{
    size_t cacheable = 0;

    for (size_t i = 0; i < count; i++) {
        if (is_cacheable(&e[i])) {
            model_enter(pasid, &e[i]);
            cacheable++;
        }
    }
    svm_fuzz_check(pci_atc_insert(model.atc, pasid, e, count,
                                  pci_atc_get_ticket(model.atc)) == cacheable,
                   "all of an array is entered");
}

static void op_insert(SVMFuzzInput *in)
{
    uint32_t pasid = take_pasid(in);
    uint8_t how = svm_fuzz_u8(in);
    IOMMUTLBEntry e[BATCH];

    if (how < 0x80) {
        e[0] = take_entry(in);
        insert_one(pasid, e, &model.ticket[how % TICKETS]);
        return;
    }
    for (size_t i = 0; i < BATCH; i++) {
        e[i] = take_entry(in);
    }
    insert_batch(pasid, e, BATCH);
}

static bool leads_to(uint32_t pasid, hwaddr addr, IOMMUAccessFlags need,
                     hwaddr target)
{
    for (unsigned i = 0; i < model.entries->len; i++) {
        const ModelEntry *e = model_entry(i);

        if (grants(e, pasid, addr, need) &&
            e->translated + (addr & e->mask) == target) {
            return true;
        }
    }
    return false;
}

/* Each page that is said to follow is cached, and does. */
static void check_extent(uint32_t pasid, hwaddr addr, IOMMUAccessFlags need,
                         const IOMMUTLBEntry *found, size_t max)
{
    hwaddr target = found->translated_addr + (addr & found->addr_mask);
    unsigned hits;
    size_t len = pci_atc_extend(model.atc, pasid, addr, found, need, max,
                                &hits);

    svm_fuzz_check(len && len <= max, "an extent is within what is asked for");
    svm_fuzz_check(addr + (len - 1) >= addr, "an extent does not wrap");
    for (size_t i = 0; i < len; i += 4096) {
        svm_fuzz_check(leads_to(pasid, addr + i, need, target + i),
                       "an extent is cached");
    }
    svm_fuzz_check(leads_to(pasid, addr + len - 1, need, target + len - 1),
                   "the end of an extent is cached");
}

static void op_lookup(SVMFuzzInput *in)
{
    uint32_t pasid = take_pasid(in);
    hwaddr addr = take_addr(in) + (svm_fuzz_u8(in) << 4);
    IOMMUAccessFlags need = take_perm(in) & ~(IOMMU_GLOBAL |
                                              IOMMU_UNTRANSLATED_ONLY);
    const ModelEntry *expected = model_lookup(pasid, addr, need);
    IOMMUTLBEntry found;
    PCIATCTicket ticket;

    if (!pci_atc_lookup(model.atc, pasid, addr, need, &found, &ticket)) {
        svm_fuzz_check(!expected || model.evicted, "what is cached is found");
        return;
    }
    svm_fuzz_check((found.perm & need) == need, "a hit grants what is needed");
    svm_fuzz_check((addr & ~found.addr_mask) == found.iova,
                   "a hit covers the address");
    svm_fuzz_check(model_knows(pasid, &found), "a hit was entered");
    svm_fuzz_check(model.evicted || found.addr_mask == expected->mask,
                   "a hit is the smallest one");
    svm_fuzz_check(pci_atc_is_current(model.atc, pasid, &found, ticket),
                   "a hit is current");
    check_extent(pasid, addr, need, &found, 1 + (svm_fuzz_u16(in) << 6));
}

/* A use that it covers would be waited for: there is one thread. */
static void end_covered_uses(const ModelScope *scope)
{
    for (int i = 0; i < USES; i++) {
        ModelUse *u = &model.use[i];

        if (u->active && scope_covers(scope, u->pasid, u->first, u->last)) {
            pci_atc_use_end(model.atc, &u->use);
            u->active = false;
        }
    }
}

static void op_invalidate(SVMFuzzInput *in)
{
    ModelScope scope = { .pasid = take_pasid(in), .first = take_addr(in) };
    bool evicted = model.evicted;
    size_t dropped, expected;

    scope.last = scope.first | take_mask(in);
    scope.first &= ~(scope.first ^ scope.last);
    end_covered_uses(&scope);
    dropped = pci_atc_invalidate(model.atc, scope.pasid, scope.first,
                                 scope.last);
    expected = model_revoke(&scope);
    svm_fuzz_check(dropped <= expected, "no more is dropped than there was");
    svm_fuzz_check(dropped == expected || evicted,
                   "all that is revoked is dropped");
}

static void op_invalidate_all(SVMFuzzInput *in)
{
    ModelScope scope = { .all = true, .last = UINT64_MAX };
    size_t count = pci_atc_count(model.atc);

    end_covered_uses(&scope);
    svm_fuzz_check(pci_atc_invalidate_all(model.atc) == count,
                   "all that is cached is dropped");
    model_revoke(&scope);
}

static void op_use_begin(SVMFuzzInput *in)
{
    ModelUse *u = &model.use[svm_fuzz_u8(in) % USES];
    const ModelTicket *t = take_ticket(in);
    uint32_t pasid = take_pasid(in);
    IOMMUTLBEntry e = take_entry(in);
    bool revoked = is_revoked(t, pasid, e.iova, e.iova | e.addr_mask);
    bool began;

    if (u->active) {
        return;
    }
    began = pci_atc_use_begin(model.atc, &u->use, pasid, &e, t->ticket);
    svm_fuzz_check(!began || !revoked, "what was revoked is not used");
    svm_fuzz_check(began || revoked || !is_recent(t),
                   "what was not revoked may be used");
    if (began) {
        u->active = true;
        u->pasid = pasid;
        u->first = e.iova & ~e.addr_mask;
        u->last = e.iova | e.addr_mask;
    }
}

static void op_use_end(SVMFuzzInput *in)
{
    ModelUse *u = &model.use[svm_fuzz_u8(in) % USES];

    if (u->active) {
        pci_atc_use_end(model.atc, &u->use);
        u->active = false;
    }
}

static void op_current(SVMFuzzInput *in)
{
    const ModelTicket *t = take_ticket(in);
    uint32_t pasid = take_pasid(in);
    IOMMUTLBEntry e = take_entry(in);
    bool revoked = is_revoked(t, pasid, e.iova, e.iova | e.addr_mask);
    bool current = pci_atc_is_current(model.atc, pasid, &e, t->ticket);

    svm_fuzz_check(!current || !revoked, "what was revoked is not current");
    svm_fuzz_check(current || revoked || !is_recent(t),
                   "what was not revoked is current");
}

static void (*const ops[OPS])(SVMFuzzInput *) = {
    [OP_INSERT] = op_insert,
    [OP_LOOKUP] = op_lookup,
    [OP_INVALIDATE] = op_invalidate,
    [OP_INVALIDATE_ALL] = op_invalidate_all,
    [OP_TICKET] = op_ticket,
    [OP_USE_BEGIN] = op_use_begin,
    [OP_USE_END] = op_use_end,
    [OP_CURRENT] = op_current,
};

static void check_count(void)
{
    size_t count = pci_atc_count(model.atc);

    svm_fuzz_check(count <= model.max_entries, "the cache is bounded");
    svm_fuzz_check(count <= model.entries->len, "the cache makes nothing up");
    svm_fuzz_check(count == model.entries->len || model.evicted,
                   "nothing is evicted from a cache that has room");
}

static void atc_begin(size_t max_entries)
{
    memset(&model, 0, sizeof(model));
    model.max_entries = max_entries;
    model.atc = pci_atc_new(max_entries);
    model.entries = g_array_new(false, false, sizeof(ModelEntry));
    model.scopes = g_array_new(false, false, sizeof(ModelScope));
    for (int i = 0; i < TICKETS; i++) {
        model.ticket[i].ticket = pci_atc_get_ticket(model.atc);
    }
}

static void atc_end(void)
{
    for (int i = 0; i < USES; i++) {
        if (model.use[i].active) {
            pci_atc_use_end(model.atc, &model.use[i].use);
        }
    }
    pci_atc_free(model.atc);
    g_array_free(model.entries, true);
    g_array_free(model.scopes, true);
}

static void atc_fuzz(QTestState *s, const unsigned char *data, size_t size)
{
    static const size_t sizes[] = { 1, 3, 16, 4096 };
    SVMFuzzInput in = { data, size };

    atc_begin(sizes[svm_fuzz_u8(&in) % ARRAY_SIZE(sizes)]);
    while (in.size) {
        ops[svm_fuzz_u8(&in) % OPS](&in);
        check_count();
    }
    atc_end();
}

static GString *atc_cmdline(FuzzTarget *t)
{
    return svm_fuzz_cmdline("-machine none");
}

static void register_atc(void)
{
    fuzz_add_target(&(FuzzTarget) {
        .name = "svm-atc",
        .description = "Address translation cache, against a model",
        .get_init_cmdline = atc_cmdline,
        .fuzz = atc_fuzz,
    });
}

fuzz_target_init(register_atc);
