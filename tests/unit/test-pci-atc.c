/*
 * Tests of the address translation cache
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/thread.h"
#include "qemu/units.h"
#include "hw/pci/pci_atc.h"

#define PASID_A 1
#define PASID_B 2
#define PASID_C 0xfffff

#define SIZE_4K 12
#define SIZE_2M 21
#define SIZE_1G 30
#define SIZE_512G 39

/* Invalidations after which a ticket is too old whatever they covered */
#define TICKET_LIFE 64

static IOMMUTLBEntry entry(hwaddr iova, unsigned size, hwaddr translated,
                           IOMMUAccessFlags perm)
{
    return (IOMMUTLBEntry) {
        .iova = iova,
        .addr_mask = size == 64 ? UINT64_MAX : (1ULL << size) - 1,
        .translated_addr = translated,
        .perm = perm,
    };
}

static size_t insert(PCIATC *atc, uint32_t pasid, hwaddr iova, unsigned size,
                     hwaddr translated, IOMMUAccessFlags perm)
{
    IOMMUTLBEntry e = entry(iova, size, translated, perm);

    return pci_atc_insert(atc, pasid, &e, 1, pci_atc_get_ticket(atc));
}

static bool has(PCIATC *atc, uint32_t pasid, hwaddr iova,
                IOMMUAccessFlags need)
{
    IOMMUTLBEntry e;
    PCIATCTicket ticket;

    return pci_atc_lookup(atc, pasid, iova, need, &e, &ticket);
}

static void check_lookup(PCIATC *atc, uint32_t pasid, hwaddr iova,
                         IOMMUAccessFlags need, const IOMMUTLBEntry *want)
{
    IOMMUTLBEntry e;
    PCIATCTicket ticket;

    g_assert_true(pci_atc_lookup(atc, pasid, iova, need, &e, &ticket));
    g_assert_cmphex(e.iova, ==, want->iova);
    g_assert_cmphex(e.addr_mask, ==, want->addr_mask);
    g_assert_cmphex(e.translated_addr, ==, want->translated_addr);
    g_assert_cmphex(e.perm, ==, want->perm);
    g_assert_cmphex(e.pasid, ==, pasid);
}

/* Lookup */

static void test_sizes_side_by_side(void)
{
    static const unsigned sizes[] = { SIZE_512G, SIZE_4K, SIZE_1G, SIZE_2M };
    PCIATC *atc = pci_atc_new(16);
    IOMMUTLBEntry e[ARRAY_SIZE(sizes)];

    for (int i = 0; i < ARRAY_SIZE(sizes); i++) {
        e[i] = entry(0, sizes[i], (i + 1ULL) << 40, IOMMU_RW);
    }
    g_assert_cmpuint(pci_atc_insert(atc, PASID_A, e, ARRAY_SIZE(e),
                                    pci_atc_get_ticket(atc)), ==, 4);
    g_assert_cmpuint(pci_atc_count(atc), ==, 4);
    check_lookup(atc, PASID_A, 0xfff, IOMMU_RO, &e[1]);
    check_lookup(atc, PASID_A, 0x1000, IOMMU_RO, &e[3]);
    check_lookup(atc, PASID_A, 2 * MiB, IOMMU_RO, &e[2]);
    check_lookup(atc, PASID_A, 512 * GiB - 1, IOMMU_RO, &e[0]);
    g_assert_false(has(atc, PASID_A, 512 * GiB, IOMMU_RO));
    g_assert_false(has(atc, PASID_B, 0, IOMMU_RO));

    /* Each goes for itself. */
    g_assert_cmpuint(pci_atc_invalidate(atc, PASID_A, 1 * GiB, 1 * GiB), ==, 1);
    g_assert_cmpuint(pci_atc_invalidate(atc, PASID_A, 0x1000, 0x1fff), ==, 2);
    check_lookup(atc, PASID_A, 0, IOMMU_RO, &e[1]);
    g_assert_false(has(atc, PASID_A, 0x1000, IOMMU_RO));
    pci_atc_free(atc);
}

static void test_any_size(void)
{
    PCIATC *atc = pci_atc_new(128);
    IOMMUTLBEntry e;

    for (unsigned size = 1; size <= 64; size++) {
        e = entry(0, size, 0, IOMMU_RO);
        insert(atc, size, 0, size, 0, IOMMU_RO);
        check_lookup(atc, size, e.addr_mask, IOMMU_RO, &e);
        if (size < 64) {
            g_assert_false(has(atc, size, e.addr_mask + 1, IOMMU_RO));
        }
    }
    g_assert_cmpuint(pci_atc_count(atc), ==, 64);
    pci_atc_free(atc);
}

static void test_permissions(void)
{
    PCIATC *atc = pci_atc_new(16);
    IOMMUTLBEntry small = entry(0, SIZE_4K, 0x1000, IOMMU_RO);
    IOMMUTLBEntry large = entry(0, SIZE_2M, 2 * MiB, IOMMU_RW | IOMMU_EXEC);

    insert(atc, PASID_A, 0, SIZE_4K, 0x1000, small.perm);
    g_assert_false(has(atc, PASID_A, 0, IOMMU_WO));
    insert(atc, PASID_A, 0, SIZE_2M, 2 * MiB, large.perm);
    check_lookup(atc, PASID_A, 0, IOMMU_RO, &small);
    check_lookup(atc, PASID_A, 0, IOMMU_WO, &large);
    check_lookup(atc, PASID_A, 0, IOMMU_RO | IOMMU_EXEC, &large);

    /* What two requests learnt adds up. */
    insert(atc, PASID_A, 0, SIZE_4K, 0x1000, IOMMU_WO | IOMMU_EXEC);
    small.perm = IOMMU_RW | IOMMU_EXEC;
    check_lookup(atc, PASID_A, 0, IOMMU_RW | IOMMU_EXEC, &small);
    g_assert_cmpuint(pci_atc_count(atc), ==, 2);
    pci_atc_free(atc);
}

static void test_privileged_apart(void)
{
    PCIATC *atc = pci_atc_new(16);
    IOMMUTLBEntry user = entry(0, SIZE_4K, 0x1000, IOMMU_RO);
    IOMMUTLBEntry priv = entry(0, SIZE_4K, 0x2000, IOMMU_RW | IOMMU_PRIV);

    insert(atc, PASID_A, 0, SIZE_4K, 0x2000, priv.perm);
    g_assert_false(has(atc, PASID_A, 0, IOMMU_RO));
    insert(atc, PASID_A, 0, SIZE_4K, 0x1000, user.perm);
    check_lookup(atc, PASID_A, 0, IOMMU_RO, &user);
    check_lookup(atc, PASID_A, 0, IOMMU_RO | IOMMU_PRIV, &priv);
    g_assert_false(has(atc, PASID_A, 0, IOMMU_WO));
    g_assert_cmpuint(pci_atc_invalidate(atc, PASID_A, 0, 0), ==, 2);
    pci_atc_free(atc);
}

static void test_not_cacheable(void)
{
    static const IOMMUAccessFlags perms[] = {
        IOMMU_NONE, IOMMU_EXEC, IOMMU_PRIV, IOMMU_GLOBAL,
        IOMMU_RW | IOMMU_UNTRANSLATED_ONLY,
    };
    PCIATC *atc = pci_atc_new(16);
    IOMMUTLBEntry odd = { .addr_mask = 0x2fff, .perm = IOMMU_RW };

    for (int i = 0; i < ARRAY_SIZE(perms); i++) {
        g_assert_cmpuint(insert(atc, PASID_A, 0, SIZE_4K, 0, perms[i]), ==, 0);
    }
    g_assert_cmpuint(pci_atc_insert(atc, PASID_A, &odd, 1,
                                    pci_atc_get_ticket(atc)), ==, 0);
    g_assert_cmpuint(pci_atc_count(atc), ==, 0);
    pci_atc_free(atc);
}

static void test_new_translation_replaces(void)
{
    PCIATC *atc = pci_atc_new(16);
    IOMMUTLBEntry e = entry(0x5000, SIZE_4K, 0x2000, IOMMU_RO);

    insert(atc, PASID_A, 0x5000, SIZE_4K, 0x1000, IOMMU_RW);
    insert(atc, PASID_A, 0x5000, SIZE_4K, 0x2000, IOMMU_RO);
    check_lookup(atc, PASID_A, 0x5000, IOMMU_RO, &e);
    g_assert_false(has(atc, PASID_A, 0x5000, IOMMU_WO));
    g_assert_cmpuint(pci_atc_count(atc), ==, 1);
    pci_atc_free(atc);
}

/* Neighbours */

static size_t extend(PCIATC *atc, hwaddr iova, IOMMUAccessFlags need,
                     size_t max, unsigned *hits)
{
    IOMMUTLBEntry e;
    PCIATCTicket ticket;

    g_assert_true(pci_atc_lookup(atc, PASID_A, iova, need, &e, &ticket));
    return pci_atc_extend(atc, PASID_A, iova, &e, need, max, hits);
}

static void test_extend(void)
{
    PCIATC *atc = pci_atc_new(16);
    unsigned hits;

    insert(atc, PASID_A, 0x1000, SIZE_4K, 0x51000, IOMMU_RW);
    insert(atc, PASID_A, 0x2000, SIZE_4K, 0x52000, IOMMU_RW);
    insert(atc, PASID_A, 0x3000, SIZE_4K, 0x53000, IOMMU_RO);
    insert(atc, PASID_A, 0x4000, SIZE_4K, 0x64000, IOMMU_RW);
    insert(atc, PASID_A, 0x5000, SIZE_4K, 0x65000, IOMMU_RW);
    insert(atc, PASID_B, 0x6000, SIZE_4K, 0x66000, IOMMU_RW);

    /* Memory that follows, with the permission, as far as it matters */
    g_assert_cmpuint(extend(atc, 0x1234, IOMMU_RO, MiB, &hits), ==, 0x2dcc);
    g_assert_cmpuint(hits, ==, 2);
    g_assert_cmpuint(extend(atc, 0x1234, IOMMU_WO, MiB, &hits), ==, 0x1dcc);
    g_assert_cmpuint(hits, ==, 1);
    g_assert_cmpuint(extend(atc, 0x1234, IOMMU_RO, 0xdcd, &hits), ==, 0xdcd);
    g_assert_cmpuint(hits, ==, 1);
    g_assert_cmpuint(extend(atc, 0x1234, IOMMU_RO, 0xdcc, &hits), ==, 0xdcc);
    g_assert_cmpuint(hits, ==, 0);
    g_assert_cmpuint(extend(atc, 0x1fff, IOMMU_RO, 1, &hits), ==, 1);
    /* Up to a hole, which another PASID has not */
    g_assert_cmpuint(extend(atc, 0x4000, IOMMU_RO, MiB, &hits), ==, 0x2000);
    pci_atc_free(atc);
}

static void test_extend_to_the_end(void)
{
    PCIATC *atc = pci_atc_new(16);
    hwaddr top = UINT64_MAX - 0xfff;
    unsigned hits;

    insert(atc, PASID_A, top - 0x1000, SIZE_4K, 0, IOMMU_RO);
    insert(atc, PASID_A, top, SIZE_4K, 0x1000, IOMMU_RO);
    /* What an address space that wraps would have next */
    insert(atc, PASID_A, 0, SIZE_4K, 0x2000, IOMMU_RO);
    g_assert_cmpuint(extend(atc, top - 1, IOMMU_RO, MiB, &hits), ==, 0x1001);
    g_assert_cmpuint(hits, ==, 1);
    pci_atc_free(atc);
}

static void test_extend_over_sizes(void)
{
    PCIATC *atc = pci_atc_new(16);
    unsigned hits;

    insert(atc, PASID_A, 2 * MiB - 0x1000, SIZE_4K, 6 * MiB - 0x1000, IOMMU_RO);
    insert(atc, PASID_A, 2 * MiB, SIZE_2M, 6 * MiB, IOMMU_RO);
    insert(atc, PASID_A, 4 * MiB, SIZE_4K, 8 * MiB, IOMMU_RO);
    g_assert_cmpuint(extend(atc, 2 * MiB - 1, IOMMU_RO, 64 * MiB, &hits), ==,
                     2 * MiB + 0x1001);
    g_assert_cmpuint(hits, ==, 2);
    pci_atc_free(atc);
}

/* The ticket of the first is good for all that was found after it. */
static void test_use_of_a_range(void)
{
    PCIATC *atc = pci_atc_new(16);
    PCIATCTicket ticket;
    IOMMUTLBEntry e;
    PCIATCUse use;

    insert(atc, PASID_A, 0x1000, SIZE_4K, 0x1000, IOMMU_RO);
    insert(atc, PASID_A, 0x2000, SIZE_4K, 0x2000, IOMMU_RO);
    g_assert_true(pci_atc_lookup(atc, PASID_A, 0x1000, IOMMU_RO, &e, &ticket));
    pci_atc_invalidate(atc, PASID_A, 0x3000, UINT64_MAX);
    g_assert_true(pci_atc_use_begin_range(atc, &use, PASID_A, 0x1ff0, 0x2fff,
                                          ticket));
    /* Would never return if it waited. */
    pci_atc_invalidate(atc, PASID_A, 0, 0x1fef);
    pci_atc_use_end(atc, &use);
    g_assert_true(pci_atc_use_begin_range(atc, &use, PASID_A, 0x2000, 0x2fff,
                                          ticket));
    pci_atc_use_end(atc, &use);
    g_assert_false(pci_atc_use_begin_range(atc, &use, PASID_A, 0x1fef, 0x2fff,
                                           ticket));
    pci_atc_free(atc);
}

/* Bounds */

static void test_bounded(void)
{
    PCIATC *atc = pci_atc_new(100);
    hwaddr last = 0x1000 * 999;

    for (hwaddr iova = 0; iova <= last; iova += 0x1000) {
        insert(atc, (iova >> 12) % 7, iova, SIZE_4K, iova, IOMMU_RO);
        g_assert_true(has(atc, (iova >> 12) % 7, iova, IOMMU_RO));
        g_assert_cmpuint(pci_atc_count(atc), <=, 100);
    }
    g_assert_cmpuint(pci_atc_count(atc), ==, 100);
    g_assert_cmpuint(pci_atc_invalidate_all(atc), ==, 100);
    pci_atc_free(atc);
}

static void test_smallest_cache(void)
{
    PCIATC *atc = pci_atc_new(0);

    insert(atc, PASID_A, 0, SIZE_4K, 0, IOMMU_RO);
    insert(atc, PASID_A, 0, SIZE_2M, 0, IOMMU_RO);
    g_assert_cmpuint(pci_atc_count(atc), ==, 1);
    g_assert_true(has(atc, PASID_A, 1 * MiB, IOMMU_RO));
    pci_atc_free(atc);
}

static void test_no_cache(void)
{
    pci_atc_free(NULL);
}

static void test_eviction_spares_what_is_used(void)
{
    PCIATC *atc = pci_atc_new(4);

    for (hwaddr iova = 0; iova < 0x4000; iova += 0x1000) {
        insert(atc, PASID_A, iova, SIZE_4K, iova, IOMMU_RO);
    }
    g_assert_true(has(atc, PASID_A, 0, IOMMU_RO));
    insert(atc, PASID_A, 0x4000, SIZE_4K, 0, IOMMU_RO);
    g_assert_cmpuint(pci_atc_count(atc), ==, 4);
    g_assert_true(has(atc, PASID_A, 0, IOMMU_RO));
    g_assert_true(has(atc, PASID_A, 0x4000, IOMMU_RO));
    pci_atc_free(atc);
}

static void test_eviction_is_no_revocation(void)
{
    PCIATC *atc = pci_atc_new(1);
    IOMMUTLBEntry e;
    PCIATCTicket ticket;
    PCIATCUse use;

    insert(atc, PASID_A, 0, SIZE_4K, 0, IOMMU_RO);
    g_assert_true(pci_atc_lookup(atc, PASID_A, 0, IOMMU_RO, &e, &ticket));
    insert(atc, PASID_A, 0x1000, SIZE_4K, 0, IOMMU_RO);
    g_assert_false(has(atc, PASID_A, 0, IOMMU_RO));
    g_assert_true(pci_atc_use_begin(atc, &use, PASID_A, &e, ticket));
    pci_atc_use_end(atc, &use);
    pci_atc_free(atc);
}

/* Invalidation */

typedef struct RangeCase {
    const char *path;
    hwaddr first;
    hwaddr last;
    /* Of the pages listed in test_range() */
    unsigned dropped;
} RangeCase;

#define PAGE_4K_TOP (UINT64_MAX - 0xfff)
#define PAGE_2M_TOP (UINT64_MAX - (2 * MiB - 1))

static const IOMMUTLBEntry range_pages[] = {
    { .iova = 0x0000, .addr_mask = 0xfff, .perm = IOMMU_RW },
    { .iova = 0x1000, .addr_mask = 0xfff, .perm = IOMMU_RW },
    { .iova = 0x2000, .addr_mask = 0xfff, .perm = IOMMU_RW },
    { .iova = 2 * MiB, .addr_mask = 2 * MiB - 1, .perm = IOMMU_RW },
    { .iova = PAGE_2M_TOP, .addr_mask = 2 * MiB - 1, .perm = IOMMU_RW },
    { .iova = PAGE_4K_TOP, .addr_mask = 0xfff, .perm = IOMMU_RW },
};

static const RangeCase range_cases[] = {
    { "/pci-atc/invalidate/one-page", 0x1000, 0x1fff, 0x02 },
    { "/pci-atc/invalidate/one-byte", 0x1fff, 0x1fff, 0x02 },
    { "/pci-atc/invalidate/across-a-border", 0x1fff, 0x2000, 0x06 },
    { "/pci-atc/invalidate/first-byte", 0, 0, 0x01 },
    { "/pci-atc/invalidate/hole", 0x3000, 2 * MiB - 1, 0 },
    { "/pci-atc/invalidate/inside-a-large-page",
      3 * MiB, 3 * MiB + 0xfff, 0x08 },
    { "/pci-atc/invalidate/last-byte", UINT64_MAX, UINT64_MAX, 0x30 },
    { "/pci-atc/invalidate/top-large-page-only",
      PAGE_2M_TOP, PAGE_4K_TOP - 1, 0x10 },
    { "/pci-atc/invalidate/upper-half", 1ULL << 63, UINT64_MAX, 0x30 },
    { "/pci-atc/invalidate/everything", 0, UINT64_MAX, 0x3f },
};

static void test_range(const void *data)
{
    const RangeCase *c = data;
    PCIATC *atc = pci_atc_new(64);
    size_t n = ARRAY_SIZE(range_pages);

    pci_atc_insert(atc, PASID_A, range_pages, n, pci_atc_get_ticket(atc));
    pci_atc_insert(atc, PASID_B, range_pages, n, pci_atc_get_ticket(atc));
    g_assert_cmpuint(pci_atc_invalidate(atc, PASID_A, c->first, c->last), ==,
                     ctpop32(c->dropped));
    g_assert_cmpuint(pci_atc_count(atc), ==, 2 * n - ctpop32(c->dropped));
    for (size_t i = 0; i < n; i++) {
        /* The large page at the top also translates for the small one. */
        bool stays = !(c->dropped & (1 << i)) ||
                     (i == 5 && !(c->dropped & (1 << 4)));

        g_assert_cmpint(has(atc, PASID_A, range_pages[i].iova, IOMMU_RO), ==,
                        stays);
        check_lookup(atc, PASID_B, range_pages[i].iova, IOMMU_RO,
                     &range_pages[i]);
    }
    pci_atc_free(atc);
}

static void test_all_pasids(void)
{
    PCIATC *atc = pci_atc_new(64);

    insert(atc, PASID_A, 0, SIZE_4K, 0, IOMMU_RO);
    insert(atc, PASID_C, 0, SIZE_1G, 0, IOMMU_RO);
    insert(atc, UINT32_MAX, 0x1000, SIZE_4K, 0, IOMMU_RO);
    g_assert_cmpuint(pci_atc_invalidate_all(atc), ==, 3);
    g_assert_cmpuint(pci_atc_count(atc), ==, 0);
    g_assert_false(has(atc, PASID_A, 0, IOMMU_RO));
    g_assert_false(has(atc, PASID_C, 0, IOMMU_RO));
    g_assert_cmpuint(pci_atc_invalidate_all(atc), ==, 0);
    pci_atc_free(atc);
}

/* Tickets */

typedef struct TicketCase {
    const char *path;
    uint32_t pasid;
    bool all_pasids;
    hwaddr first;
    hwaddr last;
    bool good;
} TicketCase;

/* What happens between the ticket and the entry of [2 MiB, 4 MiB) */
static const TicketCase ticket_cases[] = {
    { "/pci-atc/ticket/same-range",
      PASID_A, false, 2 * MiB, 4 * MiB - 1, false },
    { "/pci-atc/ticket/one-byte-inside",
      PASID_A, false, 3 * MiB, 3 * MiB, false },
    { "/pci-atc/ticket/last-byte",
      PASID_A, false, 4 * MiB - 1, UINT64_MAX, false },
    { "/pci-atc/ticket/all-of-the-pasid",
      PASID_A, false, 0, UINT64_MAX, false },
    { "/pci-atc/ticket/all-pasids", 0, true, 0, 0, false },
    { "/pci-atc/ticket/below", PASID_A, false, 0, 2 * MiB - 1, true },
    { "/pci-atc/ticket/above", PASID_A, false, 4 * MiB, UINT64_MAX, true },
    { "/pci-atc/ticket/other-pasid", PASID_B, false, 0, UINT64_MAX, true },
};

static void test_ticket(const void *data)
{
    const TicketCase *c = data;
    PCIATC *atc = pci_atc_new(64);
    IOMMUTLBEntry e = entry(2 * MiB, SIZE_2M, 0, IOMMU_RW);
    PCIATCTicket ticket = pci_atc_get_ticket(atc);
    PCIATCUse use;

    if (c->all_pasids) {
        pci_atc_invalidate_all(atc);
    } else {
        pci_atc_invalidate(atc, c->pasid, c->first, c->last);
    }
    g_assert_cmpuint(pci_atc_insert(atc, PASID_A, &e, 1, ticket), ==, c->good);
    g_assert_cmpint(has(atc, PASID_A, 2 * MiB, IOMMU_RO), ==, c->good);
    g_assert_cmpint(pci_atc_is_current(atc, PASID_A, &e, ticket), ==, c->good);
    g_assert_cmpint(pci_atc_use_begin(atc, &use, PASID_A, &e, ticket), ==,
                    c->good);
    if (c->good) {
        pci_atc_use_end(atc, &use);
    }
    /* What is asked for now is good. */
    g_assert_cmpuint(pci_atc_insert(atc, PASID_A, &e, 1,
                                    pci_atc_get_ticket(atc)), ==, 1);
    pci_atc_free(atc);
}

static void test_ticket_refuses_only_what_is_covered(void)
{
    PCIATC *atc = pci_atc_new(64);
    PCIATCTicket ticket = pci_atc_get_ticket(atc);

    pci_atc_invalidate(atc, PASID_A, 0x1000, 0x1fff);
    g_assert_cmpuint(pci_atc_insert(atc, PASID_A, range_pages,
                                    ARRAY_SIZE(range_pages), ticket), ==, 5);
    g_assert_true(has(atc, PASID_A, 0, IOMMU_RO));
    g_assert_false(has(atc, PASID_A, 0x1000, IOMMU_RO));
    g_assert_true(has(atc, PASID_A, 0x2000, IOMMU_RO));
    pci_atc_free(atc);
}

static void test_old_ticket_counts_as_covered(void)
{
    PCIATC *atc = pci_atc_new(64);
    IOMMUTLBEntry e = entry(0, SIZE_4K, 0, IOMMU_RW);
    PCIATCTicket ticket = pci_atc_get_ticket(atc);

    for (int i = 0; i < TICKET_LIFE; i++) {
        g_assert_true(pci_atc_is_current(atc, PASID_A, &e, ticket));
        pci_atc_invalidate(atc, PASID_B, 0, UINT64_MAX);
    }
    g_assert_cmpuint(pci_atc_insert(atc, PASID_A, &e, 1, ticket), ==, 1);
    pci_atc_invalidate(atc, PASID_B, 0, UINT64_MAX);
    g_assert_cmpuint(pci_atc_insert(atc, PASID_A, &e, 1, ticket), ==, 0);
    g_assert_false(pci_atc_is_current(atc, PASID_A, &e, ticket));
    pci_atc_free(atc);
}

/* Uses */

typedef struct Invalidator {
    PCIATC *atc;
    hwaddr first;
    hwaddr last;
    bool used;          /* set by the user before its use ends */
    bool seen_used;     /* what the invalidation found when it returned */
} Invalidator;

static void *invalidator_thread(void *opaque)
{
    Invalidator *inv = opaque;

    pci_atc_invalidate(inv->atc, PASID_A, inv->first, inv->last);
    inv->seen_used = qatomic_read(&inv->used);
    return NULL;
}

static void begin_use(PCIATC *atc, hwaddr iova, PCIATCUse *use,
                      IOMMUTLBEntry *e, PCIATCTicket *ticket)
{
    insert(atc, PASID_A, iova, SIZE_4K, iova, IOMMU_RW);
    g_assert_true(pci_atc_lookup(atc, PASID_A, iova, IOMMU_RO, e, ticket));
    g_assert_true(pci_atc_use_begin(atc, use, PASID_A, e, *ticket));
}

/* Until the other thread's invalidation has begun */
static void wait_revoked(PCIATC *atc, const IOMMUTLBEntry *e,
                         PCIATCTicket ticket)
{
    while (pci_atc_is_current(atc, PASID_A, e, ticket)) {
        g_thread_yield();
    }
}

static void test_invalidation_waits_for_uses(void)
{
    PCIATC *atc = pci_atc_new(64);
    Invalidator inv = { .atc = atc, .first = 0x1000, .last = 0x1fff };
    IOMMUTLBEntry e1, e2;
    PCIATCTicket t1, t2;
    PCIATCUse first, second, late;
    QemuThread thread;

    begin_use(atc, 0x1000, &first, &e1, &t1);
    begin_use(atc, 0x1000, &second, &e2, &t2);
    qemu_thread_create(&thread, "invalidator", invalidator_thread, &inv,
                       QEMU_THREAD_JOINABLE);
    wait_revoked(atc, &e1, t1);
    g_assert_false(has(atc, PASID_A, 0x1000, IOMMU_RO));
    g_assert_false(pci_atc_use_begin(atc, &late, PASID_A, &e1, t1));
    pci_atc_use_end(atc, &first);
    /* A short while for an invalidation that does not wait to show it */
    g_usleep(1000);
    qatomic_set(&inv.used, true);
    pci_atc_use_end(atc, &second);
    qemu_thread_join(&thread);
    g_assert_true(inv.seen_used);
    pci_atc_free(atc);
}

static void test_invalidation_ignores_other_uses(void)
{
    PCIATC *atc = pci_atc_new(64);
    IOMMUTLBEntry e;
    PCIATCTicket ticket;
    PCIATCUse use;

    begin_use(atc, 0x1000, &use, &e, &ticket);
    /* Would never return if it waited. */
    pci_atc_invalidate(atc, PASID_A, 0, 0xfff);
    pci_atc_invalidate(atc, PASID_A, 0x2000, UINT64_MAX);
    pci_atc_invalidate(atc, PASID_B, 0, UINT64_MAX);
    pci_atc_use_end(atc, &use);
    pci_atc_free(atc);
}

static void test_invalidation_ignores_later_uses(void)
{
    PCIATC *atc = pci_atc_new(64);
    Invalidator inv = { .atc = atc, .last = UINT64_MAX, .used = true };
    IOMMUTLBEntry e, later;
    PCIATCTicket ticket, later_ticket;
    PCIATCUse use, later_use;
    QemuThread thread;

    begin_use(atc, 0x1000, &use, &e, &ticket);
    qemu_thread_create(&thread, "invalidator", invalidator_thread, &inv,
                       QEMU_THREAD_JOINABLE);
    wait_revoked(atc, &e, ticket);
    begin_use(atc, 0x1000, &later_use, &later, &later_ticket);
    pci_atc_use_end(atc, &use);
    /* Would never return if the invalidation waited for later uses. */
    qemu_thread_join(&thread);
    pci_atc_use_end(atc, &later_use);
    pci_atc_free(atc);
}

/*
 * The race that decides: threads translate and access pages while another
 * unmaps, invalidates and frees them. A page that is accessed is never free.
 */

#define RACE_PAGES 8
#define RACE_FRAMES 64
#define RACE_ROUNDS 2000
#define RACE_THREADS 3

typedef struct Race {
    PCIATC *atc;
    unsigned frame_of[RACE_PAGES];
    bool frame_free[RACE_FRAMES];
    bool stop;
    unsigned stale;
} Race;

static void race_translate(Race *race, unsigned page, IOMMUTLBEntry *e,
                           PCIATCTicket *ticket)
{
    hwaddr iova = page << SIZE_4K;

    if (pci_atc_lookup(race->atc, PASID_A, iova, IOMMU_RO, e, ticket)) {
        return;
    }
    *ticket = pci_atc_get_ticket(race->atc);
    *e = entry(iova, SIZE_4K,
               (hwaddr)qatomic_read(&race->frame_of[page]) << SIZE_4K,
               IOMMU_RW);
    pci_atc_insert(race->atc, PASID_A, e, 1, *ticket);
}

static void *race_user_thread(void *opaque)
{
    Race *race = opaque;
    unsigned page = 0;
    IOMMUTLBEntry e;
    PCIATCTicket ticket;
    PCIATCUse use;

    while (!qatomic_read(&race->stop)) {
        page = (page + 1) % RACE_PAGES;
        race_translate(race, page, &e, &ticket);
        if (!pci_atc_use_begin(race->atc, &use, PASID_A, &e, ticket)) {
            continue;
        }
        for (int i = 0; i < 10; i++) {
            if (qatomic_read(&race->frame_free[e.translated_addr >> SIZE_4K])) {
                qatomic_inc(&race->stale);
            }
        }
        pci_atc_use_end(race->atc, &use);
    }
    return NULL;
}

static unsigned race_alloc_frame(Race *race, GRand *rand)
{
    unsigned frame;

    do {
        frame = g_rand_int_range(rand, 0, RACE_FRAMES);
    } while (!race->frame_free[frame]);
    qatomic_set(&race->frame_free[frame], false);
    return frame;
}

static void race_move_page(Race *race, GRand *rand)
{
    unsigned page = g_rand_int_range(rand, 0, RACE_PAGES);
    hwaddr first = page << SIZE_4K;
    unsigned old = race->frame_of[page];

    qatomic_set(&race->frame_of[page], race_alloc_frame(race, rand));
    pci_atc_invalidate(race->atc, PASID_A, first, first + 0xfff);
    qatomic_set(&race->frame_free[old], true);
}

static void test_no_stale_access(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(g_test_rand_int());
    QemuThread threads[RACE_THREADS];
    Race race = { .atc = pci_atc_new(4) };

    memset(race.frame_free, true, sizeof(race.frame_free));
    for (int i = 0; i < RACE_PAGES; i++) {
        race.frame_of[i] = race_alloc_frame(&race, rand);
    }
    for (int i = 0; i < RACE_THREADS; i++) {
        qemu_thread_create(&threads[i], "user", race_user_thread, &race,
                           QEMU_THREAD_JOINABLE);
    }
    for (int i = 0; i < RACE_ROUNDS; i++) {
        race_move_page(&race, rand);
    }
    qatomic_set(&race.stop, true);
    for (int i = 0; i < RACE_THREADS; i++) {
        qemu_thread_join(&threads[i]);
    }
    g_assert_cmpuint(race.stale, ==, 0);
    pci_atc_free(race.atc);
}

/*
 * Lookups take no lock: what they find was entered like that, whatever is
 * entered, evicted and dropped meanwhile.
 */

#define CHURN_PAGES 64
#define CHURN_PASIDS 2
#define CHURN_ROUNDS 20000

typedef struct Churn {
    PCIATC *atc;
    bool stop;
    unsigned found;
    unsigned wrong;
} Churn;

static hwaddr churn_translated(uint32_t pasid, hwaddr iova)
{
    return (iova << 8) + ((hwaddr)pasid << 32);
}

static void *churn_lookup_thread(void *opaque)
{
    Churn *churn = opaque;
    IOMMUTLBEntry e;
    PCIATCTicket ticket;

    for (unsigned i = 0; !qatomic_read(&churn->stop); i++) {
        hwaddr iova = (i % CHURN_PAGES) << SIZE_4K;
        uint32_t pasid = i / CHURN_PAGES % CHURN_PASIDS;

        if (!pci_atc_lookup(churn->atc, pasid, iova, IOMMU_RO, &e, &ticket)) {
            continue;
        }
        qatomic_inc(&churn->found);
        if (e.iova != iova || e.pasid != pasid || e.perm != IOMMU_RW ||
            e.translated_addr != churn_translated(pasid, iova)) {
            qatomic_inc(&churn->wrong);
        }
    }
    return NULL;
}

static void churn_change(Churn *churn, GRand *rand)
{
    uint32_t pasid = g_rand_int_range(rand, 0, CHURN_PASIDS);
    hwaddr iova = (hwaddr)g_rand_int_range(rand, 0, CHURN_PAGES) << SIZE_4K;

    if (g_rand_int_range(rand, 0, 4)) {
        insert(churn->atc, pasid, iova, SIZE_4K, churn_translated(pasid, iova),
               IOMMU_RW);
    } else {
        pci_atc_invalidate(churn->atc, pasid, iova, iova + 0xfff);
    }
}

static void test_lookups_see_whole_entries(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(g_test_rand_int());
    QemuThread threads[2];
    Churn churn = { .atc = pci_atc_new(CHURN_PAGES / 2) };

    for (int i = 0; i < ARRAY_SIZE(threads); i++) {
        qemu_thread_create(&threads[i], "lookup", churn_lookup_thread, &churn,
                           QEMU_THREAD_JOINABLE);
    }
    for (int i = 0; i < CHURN_ROUNDS || !qatomic_read(&churn.found); i++) {
        churn_change(&churn, rand);
    }
    qatomic_set(&churn.stop, true);
    for (int i = 0; i < ARRAY_SIZE(threads); i++) {
        qemu_thread_join(&threads[i]);
    }
    g_assert_cmpuint(churn.wrong, ==, 0);
    pci_atc_free(churn.atc);
}

/* Comparison with a model that is too simple to be wrong */

#define MODEL_ENTRIES 4096
#define MODEL_ROUNDS 50000
#define MODEL_TICKETS 4

typedef struct ModelEntry {
    uint32_t pasid;
    IOMMUTLBEntry e;
} ModelEntry;

typedef struct ModelRange {
    bool all_pasids;
    uint32_t pasid;
    hwaddr first;
    hwaddr last;
} ModelRange;

typedef struct Model {
    PCIATC *atc;
    GRand *rand;
    GArray *entries;
    GArray *log;
    PCIATCTicket tickets[MODEL_TICKETS];
    unsigned ticket_log_len[MODEL_TICKETS];
} Model;

static bool model_overlaps(const ModelRange *r, uint32_t pasid,
                           const IOMMUTLBEntry *e)
{
    return (r->all_pasids || r->pasid == pasid) &&
           r->first <= (e->iova | e->addr_mask) && e->iova <= r->last;
}

static hwaddr model_random_addr(Model *m)
{
    hwaddr addr = (hwaddr)g_rand_int_range(m->rand, 0, 1024) << SIZE_4K;

    if (g_rand_boolean(m->rand)) {
        addr += (hwaddr)g_rand_int_range(m->rand, 0, 4) << SIZE_1G;
    }
    /* Both ends of the address space */
    return g_rand_boolean(m->rand) ? addr : UINT64_MAX - addr;
}

static uint32_t model_random_pasid(Model *m)
{
    static const uint32_t pasids[] = { 0, PASID_A, PASID_C, UINT32_MAX };

    return pasids[g_rand_int_range(m->rand, 0, ARRAY_SIZE(pasids))];
}

static IOMMUAccessFlags model_random_perm(Model *m)
{
    return g_rand_int_range(m->rand, 1, 4) |
           (g_rand_boolean(m->rand) ? IOMMU_EXEC : 0) |
           (g_rand_int_range(m->rand, 0, 8) ? 0 : IOMMU_PRIV);
}

static void model_enter(Model *m, uint32_t pasid, const IOMMUTLBEntry *e)
{
    for (unsigned i = 0; i < m->entries->len; i++) {
        ModelEntry *old = &g_array_index(m->entries, ModelEntry, i);

        if (old->pasid == pasid && old->e.iova == e->iova &&
            old->e.addr_mask == e->addr_mask &&
            !((old->e.perm ^ e->perm) & IOMMU_PRIV)) {
            old->e.perm = e->perm |
                (old->e.translated_addr == e->translated_addr ? old->e.perm
                                                              : 0);
            old->e.translated_addr = e->translated_addr;
            return;
        }
    }
    g_array_append_val(m->entries, ((ModelEntry) { pasid, *e }));
}

static void model_insert(Model *m)
{
    static const unsigned sizes[] = { SIZE_4K, SIZE_4K, SIZE_2M, SIZE_1G };
    unsigned size = sizes[g_rand_int_range(m->rand, 0, ARRAY_SIZE(sizes))];
    unsigned t = g_rand_int_range(m->rand, 0, MODEL_TICKETS);
    hwaddr mask = (1ULL << size) - 1;
    uint32_t pasid = model_random_pasid(m);
    IOMMUTLBEntry e = entry(model_random_addr(m) & ~mask, size,
                            (hwaddr)g_rand_int_range(m->rand, 0, 2) << 40,
                            model_random_perm(m));
    bool good = m->log->len - m->ticket_log_len[t] <= TICKET_LIFE;

    for (unsigned i = m->ticket_log_len[t]; good && i < m->log->len; i++) {
        good = !model_overlaps(&g_array_index(m->log, ModelRange, i), pasid,
                               &e);
    }
    g_assert_cmpuint(pci_atc_insert(m->atc, pasid, &e, 1, m->tickets[t]), ==,
                     good);
    if (good) {
        model_enter(m, pasid, &e);
    }
}

static void model_invalidate(Model *m)
{
    ModelRange r = {
        .all_pasids = !g_rand_int_range(m->rand, 0, 50),
        .pasid = model_random_pasid(m),
        .last = UINT64_MAX,
    };
    size_t dropped = 0, got;

    if (!r.all_pasids && g_rand_int_range(m->rand, 0, 10)) {
        hwaddr size = 1ULL << g_rand_int_range(m->rand, 0, 24);

        r.first = model_random_addr(m);
        r.last = r.first + MIN(size - 1, UINT64_MAX - r.first);
    }
    for (unsigned i = 0; i < m->entries->len;) {
        ModelEntry *old = &g_array_index(m->entries, ModelEntry, i);

        if (model_overlaps(&r, old->pasid, &old->e)) {
            g_array_remove_index_fast(m->entries, i);
            dropped++;
        } else {
            i++;
        }
    }
    got = r.all_pasids ? pci_atc_invalidate_all(m->atc)
                       : pci_atc_invalidate(m->atc, r.pasid, r.first, r.last);
    g_assert_cmpuint(got, ==, dropped);
    g_array_append_val(m->log, r);
}

static void model_lookup(Model *m)
{
    hwaddr iova = model_random_addr(m);
    uint32_t pasid = model_random_pasid(m);
    IOMMUAccessFlags need = model_random_perm(m);
    const IOMMUTLBEntry *best = NULL;

    for (unsigned i = 0; i < m->entries->len; i++) {
        ModelEntry *c = &g_array_index(m->entries, ModelEntry, i);

        if (c->pasid == pasid && c->e.iova == (iova & ~c->e.addr_mask) &&
            (c->e.perm & need) == need &&
            (c->e.perm & IOMMU_PRIV) == (need & IOMMU_PRIV) &&
            (!best || c->e.addr_mask < best->addr_mask)) {
            best = &c->e;
        }
    }
    if (best) {
        check_lookup(m->atc, pasid, iova, need, best);
    } else {
        g_assert_false(has(m->atc, pasid, iova, need));
    }
}

static void model_take_ticket(Model *m)
{
    unsigned t = g_rand_int_range(m->rand, 0, MODEL_TICKETS);

    m->tickets[t] = pci_atc_get_ticket(m->atc);
    m->ticket_log_len[t] = m->log->len;
}

static void test_model(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(g_test_rand_int());
    g_autoptr(GArray) entries = g_array_new(false, false, sizeof(ModelEntry));
    g_autoptr(GArray) log = g_array_new(false, false, sizeof(ModelRange));
    Model m = {
        .atc = pci_atc_new(MODEL_ENTRIES), .rand = rand,
        .entries = entries, .log = log,
    };

    for (int i = 0; i < MODEL_ROUNDS && entries->len < MODEL_ENTRIES; i++) {
        switch (g_rand_int_range(rand, 0, 10)) {
        case 0:
            model_invalidate(&m);
            break;
        case 1:
        case 2:
            model_take_ticket(&m);
            break;
        case 3:
        case 4:
        case 5:
        case 6:
            model_insert(&m);
            break;
        default:
            model_lookup(&m);
        }
        g_assert_cmpuint(pci_atc_count(m.atc), ==, entries->len);
    }
    pci_atc_free(m.atc);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    g_test_add_func("/pci-atc/lookup/sizes-side-by-side",
                    test_sizes_side_by_side);
    g_test_add_func("/pci-atc/lookup/any-size", test_any_size);
    g_test_add_func("/pci-atc/lookup/permissions", test_permissions);
    g_test_add_func("/pci-atc/lookup/privileged-apart", test_privileged_apart);
    g_test_add_func("/pci-atc/extend/as-far-as-it-goes", test_extend);
    g_test_add_func("/pci-atc/extend/to-the-end", test_extend_to_the_end);
    g_test_add_func("/pci-atc/extend/over-sizes", test_extend_over_sizes);
    g_test_add_func("/pci-atc/extend/use", test_use_of_a_range);
    g_test_add_func("/pci-atc/insert/not-cacheable", test_not_cacheable);
    g_test_add_func("/pci-atc/insert/new-translation-replaces",
                    test_new_translation_replaces);
    g_test_add_func("/pci-atc/bounds/many", test_bounded);
    g_test_add_func("/pci-atc/bounds/smallest", test_smallest_cache);
    g_test_add_func("/pci-atc/bounds/none-can-be-freed", test_no_cache);
    g_test_add_func("/pci-atc/bounds/eviction-spares-what-is-used",
                    test_eviction_spares_what_is_used);
    g_test_add_func("/pci-atc/bounds/eviction-is-no-revocation",
                    test_eviction_is_no_revocation);
    for (int i = 0; i < ARRAY_SIZE(range_cases); i++) {
        g_test_add_data_func(range_cases[i].path, &range_cases[i], test_range);
    }
    g_test_add_func("/pci-atc/invalidate/all-pasids", test_all_pasids);
    for (int i = 0; i < ARRAY_SIZE(ticket_cases); i++) {
        g_test_add_data_func(ticket_cases[i].path, &ticket_cases[i],
                             test_ticket);
    }
    g_test_add_func("/pci-atc/ticket/refuses-only-what-is-covered",
                    test_ticket_refuses_only_what_is_covered);
    g_test_add_func("/pci-atc/ticket/old-counts-as-covered",
                    test_old_ticket_counts_as_covered);
    g_test_add_func("/pci-atc/use/invalidation-waits",
                    test_invalidation_waits_for_uses);
    g_test_add_func("/pci-atc/use/other-uses-do-not-matter",
                    test_invalidation_ignores_other_uses);
    g_test_add_func("/pci-atc/use/later-uses-do-not-matter",
                    test_invalidation_ignores_later_uses);
    g_test_add_func("/pci-atc/use/no-stale-access", test_no_stale_access);
    g_test_add_func("/pci-atc/lookup/whole-entries",
                    test_lookups_see_whole_entries);
    g_test_add_func("/pci-atc/model", test_model);
    return g_test_run();
}
