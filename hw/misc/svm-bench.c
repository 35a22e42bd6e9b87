/*
 * Benchmark device for shared virtual memory
 *
 * Makes calls of the PCI level in a loop, in as many threads as it is told,
 * and says how long that took; beside each case it has a floor: what the memory
 * accesses of the case cost by themselves. include/hw/misc/svm-bench.h has the
 * registers, docs/devel/performance.rst the cases.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/coroutine.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "qom/object.h"
#include "block/aio.h"
#include "hw/misc/svm-bench.h"
#include "hw/pci/pci_atc.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_svm_dma.h"
#include "hw/pci/pcie.h"
#include "migration/vmstate.h"
#include "system/dma.h"

#include <malloc.h>

#define TYPE_SVM_BENCH "svm-bench"
OBJECT_DECLARE_SIMPLE_TYPE(SVMBench, SVM_BENCH)

#define REG(offset)     ((offset) / sizeof(uint64_t))

#define BENCH_PAGE      4096
#define BENCH_PTE_ADDR  0x000ffffffffff000ULL
#define BENCH_PTE_AD    0x60ULL
#define BENCH_THREADS   16
#define BENCH_PASIDS    (1u << PCI_PASID_WIDTH_MAX)
#define BENCH_ATC_MAX   (1u << 21)
#define BENCH_PIECE     PCI_SVM_DMA_PIECE_MAX

/* What a thread has to itself */
typedef struct BenchThread {
    SVMBench *s;
    QemuThread thread;
    unsigned index;
    uint64_t random;
    int64_t ns;
    IOMMUTLBEntry result[SVM_BENCH_RESULTS_MAX];
} BenchThread;

typedef int64_t BenchFunc(SVMBench *s, BenchThread *t);

struct SVMBench {
    PCIDevice parent_obj;

    MemoryRegion bar;
    uint64_t reg[REG(SVM_BENCH_REG_END)];
    BenchFunc *func;
    unsigned running;           /* threads; atomic */
    unsigned ready;             /* of them, those that have started; atomic */
    bool gone;                  /* atomic: nothing begins, threads shall end */
    unsigned threads;
    BenchThread *thread[BENCH_THREADS];

    IOMMUNotifier iotlb;        /* of all registered PASIDs */
    IOMMUPRINotifier pri;
    uint32_t first_pasid;
    uint32_t pasids;

    PCIATC *atc;
    GHashTable *hash;
    uint64_t atc_count;

    PCISVMDMA *engine;
    PCISVMDMAContext *dma;
};

static uint64_t bench_reg(SVMBench *s, unsigned offset)
{
    return s->reg[REG(offset)];
}

static bool bench_goes_on(SVMBench *s, uint64_t i)
{
    return i < bench_reg(s, SVM_BENCH_COUNT) && !qatomic_read(&s->gone);
}

/* Nanoseconds for which the thread could have run and had no processor */
static int64_t bench_delay(void)
{
    g_autofree char *text = NULL;
    char *delay;

    if (!g_file_get_contents("/proc/thread-self/schedstat", &text, NULL,
                             NULL)) {
        return 0;
    }
    g_ascii_strtoll(text, &delay, 10);
    return g_ascii_strtoll(delay, NULL, 10);
}

/*
 * One thread by itself is measured by the processor time that it had, threads
 * that meet by the time that passed, less that in which there was no processor
 * for them: so what else the machine does counts less.
 */
static int64_t bench_clock(SVMBench *s)
{
    int64_t ns, delay;
    struct timespec ts;

    if (s->threads > 1) {
        do {
            delay = bench_delay();
            ns = get_clock();
        } while (bench_delay() != delay);
        return ns - delay;
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

/* xorshift64: the same numbers in each run */
static uint64_t bench_random(BenchThread *t)
{
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return t->random;
}

static uint64_t bench_addr(SVMBench *s, BenchThread *t)
{
    uint64_t mask = bench_reg(s, SVM_BENCH_RANDOM);

    return bench_reg(s, SVM_BENCH_ADDR) + (mask ? bench_random(t) & mask : 0);
}

static uint32_t bench_pasid(SVMBench *s, uint64_t i)
{
    uint64_t pasids = MAX(bench_reg(s, SVM_BENCH_PASIDS), 1);
    uint32_t pasid = bench_reg(s, SVM_BENCH_PASID);

    return pasid == PCI_NO_PASID ? pasid : pasid + i % pasids;
}

/*
 * Translation, and what it reads
 */

static uint64_t *bench_map(hwaddr addr, hwaddr size)
{
    hwaddr len = size;
    uint64_t *p = address_space_map(&address_space_memory, addr, &len, true,
                                    MEMTXATTRS_UNSPECIFIED);

    if (p && len < size) {
        address_space_unmap(&address_space_memory, p, len, true, 0);
        p = NULL;
    }
    return p;
}

static void bench_unmap(uint64_t *p, hwaddr size)
{
    address_space_unmap(&address_space_memory, p, size, true, 0);
}

/* Leaf tables of the range, which follow each other in memory */
static hwaddr bench_tables_size(SVMBench *s)
{
    return MIN(bench_reg(s, SVM_BENCH_LENGTH) / BENCH_PAGE,
               SVM_BENCH_RESULTS_MAX) * sizeof(uint64_t);
}

static bool bench_clear_ad(hwaddr tables, hwaddr size)
{
    uint64_t *pte = bench_map(tables, size);

    if (!pte) {
        return false;
    }
    for (size_t i = 0; i < size / sizeof(*pte); i++) {
        pte[i] &= ~BENCH_PTE_AD;
    }
    bench_unmap(pte, size);
    return true;
}

static int64_t bench_translate(SVMBench *s, BenchThread *t)
{
    hwaddr tables = bench_reg(s, SVM_BENCH_DATA);
    uint64_t length = bench_reg(s, SVM_BENCH_LENGTH);
    bool alone = bench_reg(s, SVM_BENCH_THREADS) < 2;
    int64_t ns = 0, start = bench_clock(s);
    uint32_t errors;
    ssize_t ret;

    for (uint64_t i = 0; bench_goes_on(s, i); i++) {
        if (tables) {
            ns += bench_clock(s) - start;
            if (!bench_clear_ad(tables, bench_tables_size(s))) {
                return -EINVAL;
            }
            start = bench_clock(s);
        }
        ret = pci_ats_request_translation(&s->parent_obj,
                                          bench_pasid(s, alone ? i : t->index),
                                          false, false, bench_addr(s, t),
                                          length, false, t->result,
                                          SVM_BENCH_RESULTS_MAX, &errors);
        if (ret < 0) {
            return ret;
        }
    }
    return ns + bench_clock(s) - start;
}

static void bench_read_table(BenchThread *t, hwaddr addr, hwaddr size, bool cas)
{
    IOMMUTLBEntry *entry = t->result;
    uint64_t *pte = bench_map(addr, size);

    for (size_t i = 0; pte && i < size / sizeof(*pte); i++, entry++) {
        uint64_t val = qatomic_read(&pte[i]);

        if (cas) {
            qatomic_cmpxchg(&pte[i], val, val | BENCH_PTE_AD);
        }
        *entry = (IOMMUTLBEntry) {
            .target_as = &address_space_memory,
            .iova = i * BENCH_PAGE,
            .translated_addr = le64_to_cpu(val) & BENCH_PTE_ADDR,
            .addr_mask = BENCH_PAGE - 1,
            .perm = IOMMU_RW,
        };
    }
    if (pte) {
        bench_unmap(pte, size);
    }
}

static int64_t bench_read_tables(SVMBench *s, BenchThread *t)
{
    hwaddr tables = bench_reg(s, SVM_BENCH_DATA);
    hwaddr size = bench_tables_size(s);
    bool cas = bench_reg(s, SVM_BENCH_DATA2);
    int64_t ns = 0, start = bench_clock(s);

    for (uint64_t i = 0; bench_goes_on(s, i); i++) {
        if (cas) {
            ns += bench_clock(s) - start;
            if (!bench_clear_ad(tables, size)) {
                return -EINVAL;
            }
            start = bench_clock(s);
        }
        for (hwaddr done = 0; done < size; done += BENCH_PAGE) {
            bench_read_table(t, tables + done, MIN(size - done, BENCH_PAGE),
                             cas);
        }
    }
    return ns + bench_clock(s) - start;
}

static int64_t bench_read_walk(SVMBench *s, BenchThread *t)
{
    int64_t start = bench_clock(s);

    for (uint64_t i = 0; bench_goes_on(s, i); i++) {
        uint64_t addr = bench_addr(s, t);
        hwaddr table = bench_reg(s, SVM_BENCH_DATA);

        for (int level = 4; level >= 1; level--) {
            hwaddr index = extract64(addr, 3 + 9 * level, 9);
            uint64_t pte = address_space_ldq_le(&address_space_memory,
                                                table + index * sizeof(pte),
                                                MEMTXATTRS_UNSPECIFIED, NULL);

            /* A leaf above level 1 is read again, as often as four levels */
            table = pte & BENCH_PTE_ADDR;
        }
    }
    return bench_clock(s) - start;
}

/*
 * Page requests, accesses, invalidations
 */

static int64_t bench_page_request(SVMBench *s, BenchThread *t)
{
    bool groups = bench_reg(s, SVM_BENCH_DATA);
    uint64_t count = bench_reg(s, SVM_BENCH_COUNT);
    int64_t start = bench_clock(s);
    int ret;

    for (uint64_t i = 0; bench_goes_on(s, i); i++) {
        uint16_t prgi = groups ? i & PCI_PRI_PRGI_MASK : 0;
        uint32_t pasid = bench_pasid(s, groups ? i / (PCI_PRI_PRGI_MASK + 1)
                                               : 0);

        ret = pci_pri_request_page(&s->parent_obj, pasid, false, false,
                                   bench_addr(s, t),
                                   groups || i == count - 1, prgi, true, true);
        if (ret) {
            return ret;
        }
    }
    return bench_clock(s) - start;
}

/* A group of one, and the tail of a queue that has the answer next */
static int64_t bench_answer(SVMBench *s, BenchThread *t)
{
    int64_t start = bench_clock(s);

    for (uint64_t i = 0; bench_goes_on(s, i); i++) {
        uint64_t tail = bench_reg(s, SVM_BENCH_DATA) +
                        i * bench_reg(s, SVM_BENCH_DATA2);
        int ret = pci_pri_request_page(&s->parent_obj, bench_pasid(s, 0),
                                       false, false, bench_addr(s, t), true,
                                       i & PCI_PRI_PRGI_MASK, true, true);

        if (ret) {
            return ret;
        }
        address_space_stq_le(&address_space_memory,
                             bench_reg(s, SVM_BENCH_ADDR2), tail,
                             MEMTXATTRS_UNSPECIFIED, NULL);
    }
    return bench_clock(s) - start;
}

static int64_t bench_write(SVMBench *s, BenchThread *t)
{
    uint8_t buf[64] = {};
    hwaddr len = MIN(bench_reg(s, SVM_BENCH_LENGTH), sizeof(buf));
    int64_t start = bench_clock(s);

    for (uint64_t i = 0; bench_goes_on(s, i); i++) {
        address_space_write(&address_space_memory, bench_addr(s, t),
                            MEMTXATTRS_UNSPECIFIED, buf, len);
    }
    return bench_clock(s) - start;
}

static void bench_poke_one(SVMBench *s, unsigned addr, unsigned data)
{
    uint64_t val = cpu_to_le64(bench_reg(s, data));
    hwaddr len = MIN(bench_reg(s, SVM_BENCH_LENGTH), sizeof(val));

    if (bench_reg(s, addr)) {
        address_space_write(&address_space_memory, bench_reg(s, addr),
                            MEMTXATTRS_UNSPECIFIED, &val, len);
    }
}

static int64_t bench_poke(SVMBench *s, BenchThread *t)
{
    int64_t start = bench_clock(s);

    for (uint64_t i = 0; bench_goes_on(s, i); i++) {
        bench_poke_one(s, SVM_BENCH_ADDR, SVM_BENCH_DATA);
        bench_poke_one(s, SVM_BENCH_ADDR2, SVM_BENCH_DATA2);
    }
    return bench_clock(s) - start;
}

static MemTxResult bench_dma_read(SVMBench *s, BenchThread *t,
                                  AddressSpace *as, void *buf, hwaddr len)
{
    PCIDevice *dev = &s->parent_obj;
    hwaddr addr = bench_addr(s, t);

    return as ? pci_pasid_dma_rw(dev, as, addr, buf, len, false)
              : pci_dma_read(dev, addr, buf, len);
}

static AddressSpace *bench_get_address_space(SVMBench *s, int *err)
{
    uint32_t pasid = bench_reg(s, SVM_BENCH_PASID);

    BQL_LOCK_GUARD();
    return pasid ? pci_pasid_get_address_space(&s->parent_obj, pasid, err)
                 : NULL;
}

/* Untranslated requests; PASID 0 stands for none. */
static int64_t bench_dma(SVMBench *s, BenchThread *t)
{
    uint8_t buf[BENCH_PIECE];
    hwaddr len = MIN(bench_reg(s, SVM_BENCH_LENGTH), sizeof(buf));
    MemTxResult ret = MEMTX_OK;
    AddressSpace *as;
    int64_t ns;
    int err = 0;

    as = bench_get_address_space(s, &err);
    if (err) {
        return err;
    }
    ns = -bench_clock(s);
    for (uint64_t i = 0; bench_goes_on(s, i) && ret == MEMTX_OK; i++) {
        ret = bench_dma_read(s, t, as, buf, len);
    }
    ns += bench_clock(s);
    if (as) {
        BQL_LOCK_GUARD();
        pci_pasid_put_address_space(&s->parent_obj, as);
    }
    return ret ? -EIO : ns;
}

/*
 * Users of PASIDs
 */

static void bench_hear(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
}

static void bench_hear_response(IOMMUPRINotifier *n, IOMMUPRIResponse *response)
{
}

/* Once: some PASIDs may be registered while others are for the first time. */
static int bench_init_notifiers(SVMBench *s)
{
    if (s->iotlb.notify) {
        return 0;
    }
    return pci_iommu_init_iotlb_notifier(&s->parent_obj, &s->iotlb, bench_hear,
                                         s);
}

static int bench_register_one(SVMBench *s, uint32_t pasid)
{
    PCIDevice *dev = &s->parent_obj;
    int ret = pci_iommu_register_iotlb_notifier(dev, pasid, &s->iotlb);

    if (ret) {
        return ret;
    }
    ret = pci_pri_register_notifier(dev, pasid, &s->pri);
    if (ret) {
        pci_iommu_unregister_iotlb_notifier(dev, pasid, &s->iotlb);
    }
    return ret;
}

static void bench_unregister_one(SVMBench *s, uint32_t pasid)
{
    pci_pri_unregister_notifier(&s->parent_obj, pasid);
    pci_iommu_unregister_iotlb_notifier(&s->parent_obj, pasid, &s->iotlb);
}

static int64_t bench_unregister(SVMBench *s, BenchThread *t)
{
    int64_t start = bench_clock(s);

    BQL_LOCK_GUARD();
    while (s->pasids) {
        s->pasids--;
        bench_unregister_one(s, s->first_pasid + s->pasids);
    }
    return bench_clock(s) - start;
}

static int64_t bench_register(SVMBench *s, BenchThread *t)
{
    uint32_t count = MIN(bench_reg(s, SVM_BENCH_COUNT), BENCH_PASIDS);
    int64_t start = bench_clock(s);
    int ret;

    bench_unregister(s, t);
    BQL_LOCK_GUARD();
    ret = bench_init_notifiers(s);
    s->first_pasid = bench_reg(s, SVM_BENCH_PASID);
    while (s->pasids < count && !ret) {
        ret = bench_register_one(s, s->first_pasid + s->pasids);
        s->pasids += !ret;
    }
    return ret ?: bench_clock(s) - start;
}

static int64_t bench_first_use(SVMBench *s, BenchThread *t)
{
    uint32_t count = MIN(bench_reg(s, SVM_BENCH_COUNT), BENCH_PASIDS);
    int64_t start = bench_clock(s);
    uint32_t errors;
    ssize_t ret;

    BQL_LOCK_GUARD();
    ret = bench_init_notifiers(s);
    for (uint32_t i = 0; i < count && ret >= 0; i++) {
        uint32_t pasid = bench_pasid(s, i);

        ret = bench_register_one(s, pasid);
        if (!ret) {
            ret = pci_ats_request_translation(&s->parent_obj, pasid, false,
                                              false, bench_addr(s, t),
                                              BENCH_PAGE, false, t->result, 1,
                                              &errors);
            bench_unregister_one(s, pasid);
        }
    }
    return ret < 0 ? ret : bench_clock(s) - start;
}

/*
 * Translation cache, beside a GHashTable
 */

/* Sizes from 4 KiB to 1 GiB, most of them small, none overlapping another */
static IOMMUTLBEntry bench_atc_entry(uint64_t i)
{
    unsigned shift = i % 64 == 0 ? 30 : i % 8 == 0 ? 21 : 12;

    return (IOMMUTLBEntry) {
        .target_as = &address_space_memory,
        .iova = i << 30,
        .addr_mask = (1ULL << shift) - 1,
        .perm = IOMMU_RW,
    };
}

typedef void BenchRange(SVMBench *s, uint64_t first, uint64_t n);

static void bench_atc_remove(SVMBench *s, uint64_t first, uint64_t n)
{
    pci_atc_invalidate(s->atc, 1, first << 30, ((first + n) << 30) - 1);
}

static void bench_atc_insert(SVMBench *s, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n; i++) {
        IOMMUTLBEntry entry = bench_atc_entry(i);

        pci_atc_insert(s->atc, 1, &entry, 1, pci_atc_get_ticket(s->atc));
    }
}

static void bench_hash_remove(SVMBench *s, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n; i++) {
        g_hash_table_remove(s->hash, &i);
    }
}

static void bench_hash_insert(SVMBench *s, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n; i++) {
        g_hash_table_add(s->hash, g_memdup2(&i, sizeof(i)));
    }
}

static int64_t bench_atc_fill(SVMBench *s, BenchThread *t)
{
    uint64_t count = MIN(bench_reg(s, SVM_BENCH_COUNT), BENCH_ATC_MAX);
    int64_t start;

    g_clear_pointer(&s->atc, pci_atc_free);
    g_clear_pointer(&s->hash, g_hash_table_destroy);
    s->atc = pci_atc_new(MAX(count, 1));
    s->hash = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    s->atc_count = count;
    start = bench_clock(s);
    bench_atc_insert(s, 0, count);
    bench_hash_insert(s, 0, count);
    return bench_clock(s) - start;
}

static int64_t bench_atc_lookup(SVMBench *s, BenchThread *t)
{
    int64_t start = bench_clock(s);
    PCIATCTicket ticket;
    IOMMUTLBEntry entry;

    if (!s->atc_count) {
        return -EINVAL;
    }
    for (uint64_t i = 0; bench_goes_on(s, i); i++) {
        hwaddr addr = (bench_random(t) % s->atc_count) << 30;

        if (!pci_atc_lookup(s->atc, 1, addr, IOMMU_RO, &entry, &ticket)) {
            return -ENOENT;
        }
    }
    return bench_clock(s) - start;
}

static int64_t bench_hash_lookup(SVMBench *s, BenchThread *t)
{
    int64_t start = bench_clock(s);

    if (!s->atc_count) {
        return -EINVAL;
    }
    for (uint64_t i = 0; bench_goes_on(s, i); i++) {
        uint64_t key = bench_random(t) % s->atc_count;

        if (!g_hash_table_contains(s->hash, &key)) {
            return -ENOENT;
        }
    }
    return bench_clock(s) - start;
}

/* The entries that were removed come back, outside the time */
static int64_t bench_remove(SVMBench *s, BenchThread *t, BenchRange *remove,
                            BenchRange *insert)
{
    uint64_t n = MIN(bench_reg(s, SVM_BENCH_DATA), s->atc_count);
    int64_t ns = 0;

    for (uint64_t i = 0; bench_goes_on(s, i) && n; i++) {
        uint64_t first = bench_random(t) % (s->atc_count - n + 1);
        int64_t start = bench_clock(s);

        remove(s, first, n);
        ns += bench_clock(s) - start;
        insert(s, first, n);
    }
    return ns;
}

static int64_t bench_atc_invalidate(SVMBench *s, BenchThread *t)
{
    return bench_remove(s, t, bench_atc_remove, bench_atc_insert);
}

static int64_t bench_hash_remove_range(SVMBench *s, BenchThread *t)
{
    return bench_remove(s, t, bench_hash_remove, bench_hash_insert);
}

/*
 * Copying by the DMA helper, beside memcpy()
 */

typedef struct BenchCopy {
    SVMBench *s;
    PCISVMDMAContext *dma;
    bool busy;
    int ret;
    uint8_t buf[BENCH_PIECE];
} BenchCopy;

static void coroutine_fn bench_copy_entry(void *opaque)
{
    BenchCopy *copy = opaque;
    uint64_t from = bench_reg(copy->s, SVM_BENCH_ADDR);
    uint64_t to = bench_reg(copy->s, SVM_BENCH_ADDR2);
    uint64_t left = bench_reg(copy->s, SVM_BENCH_LENGTH);

    while (left && !copy->ret) {
        size_t len = MIN(left, sizeof(copy->buf));

        copy->ret = pci_svm_dma_co_read(copy->dma, from, copy->buf, len, 0,
                                        NULL) ?:
                    pci_svm_dma_co_write(copy->dma, to, copy->buf, len, 0,
                                         NULL);
        from += len;
        to += len;
        left -= len;
    }
    copy->busy = false;
}

static int64_t bench_copy_once(BenchCopy *copy, AioContext *aio)
{
    int64_t start = bench_clock(copy->s);

    copy->busy = true;
    aio_co_enter(aio, qemu_coroutine_create(bench_copy_entry, copy));
    while (copy->busy) {
        aio_poll(aio, true);
    }
    return copy->ret ?: bench_clock(copy->s) - start;
}

static int64_t bench_copy_in(BenchCopy *copy, AioContext *aio)
{
    int64_t ns = 0, ret = 0;

    for (uint64_t i = 0; bench_goes_on(copy->s, i) && ret >= 0; i++) {
        ret = bench_copy_once(copy, aio);
        ns += ret;
    }
    return ret < 0 ? ret : ns;
}

/* It stays open, and so what it has cached stays. */
static PCISVMDMAContext *bench_open(SVMBench *s)
{
    BQL_LOCK_GUARD();
    if (!s->engine) {
        s->engine = pci_svm_dma_new(&s->parent_obj, 0);
        s->dma = pci_svm_dma_open(s->engine, bench_pasid(s, 0), NULL);
    }
    return s->dma;
}

static int64_t bench_copy(SVMBench *s, BenchThread *t)
{
    g_autofree BenchCopy *copy = g_new0(BenchCopy, 1);
    AioContext *aio = aio_context_new(NULL);
    int64_t ns;

    if (!aio) {
        return -ENOMEM;
    }
    qemu_set_current_aio_context(aio);
    copy->s = s;
    copy->dma = bench_open(s);
    ns = copy->dma ? bench_copy_in(copy, aio) : -EINVAL;
    aio_context_unref(aio);
    return ns;
}

static int64_t bench_memcpy(SVMBench *s, BenchThread *t)
{
    hwaddr size = bench_reg(s, SVM_BENCH_LENGTH);
    uint64_t *from = bench_map(bench_reg(s, SVM_BENCH_ADDR), size);
    uint64_t *to = bench_map(bench_reg(s, SVM_BENCH_ADDR2), size);
    int64_t ns = -EINVAL;

    if (from && to) {
        ns = -bench_clock(s);
        for (uint64_t i = 0; bench_goes_on(s, i); i++) {
            for (hwaddr done = 0; done < size; done += BENCH_PIECE) {
                memcpy((void *)to + done, (void *)from + done,
                       MIN(size - done, BENCH_PIECE));
            }
        }
        ns += bench_clock(s);
    }
    if (from) {
        bench_unmap(from, size);
    }
    if (to) {
        bench_unmap(to, size);
    }
    return ns;
}

/*
 * What a benchmark needs before it begins
 */

static int64_t bench_fill(SVMBench *s, BenchThread *t)
{
    uint64_t step = MAX(bench_reg(s, SVM_BENCH_LENGTH), sizeof(uint64_t));
    hwaddr addr = bench_reg(s, SVM_BENCH_ADDR);
    int64_t start = bench_clock(s);

    for (uint64_t i = 0; bench_goes_on(s, i); i++) {
        uint64_t val = bench_reg(s, SVM_BENCH_DATA) +
                       i * bench_reg(s, SVM_BENCH_DATA2);

        address_space_stq_le(&address_space_memory, addr + i * step, val,
                             MEMTXATTRS_UNSPECIFIED, NULL);
    }
    return bench_clock(s) - start;
}

static int64_t bench_trim(SVMBench *s, BenchThread *t)
{
    BQL_LOCK_GUARD();
    s->dma = NULL;
    g_clear_pointer(&s->engine, pci_svm_dma_free);
    g_clear_pointer(&s->atc, pci_atc_free);
    g_clear_pointer(&s->hash, g_hash_table_destroy);
    s->atc_count = 0;
    /* What was released goes after a grace period. */
    drain_call_rcu();
    malloc_trim(0);
    return 0;
}

/*
 * Threads
 */

static BenchFunc *const bench_ops[] = {
    [SVM_BENCH_TRANSLATE] = bench_translate,
    [SVM_BENCH_READ_TABLES] = bench_read_tables,
    [SVM_BENCH_READ_WALK] = bench_read_walk,
    [SVM_BENCH_PAGE_REQUEST] = bench_page_request,
    [SVM_BENCH_WRITE] = bench_write,
    [SVM_BENCH_POKE] = bench_poke,
    [SVM_BENCH_REGISTER] = bench_register,
    [SVM_BENCH_UNREGISTER] = bench_unregister,
    [SVM_BENCH_FIRST_USE] = bench_first_use,
    [SVM_BENCH_DMA] = bench_dma,
    [SVM_BENCH_ATC_FILL] = bench_atc_fill,
    [SVM_BENCH_ATC_LOOKUP] = bench_atc_lookup,
    [SVM_BENCH_HASH_LOOKUP] = bench_hash_lookup,
    [SVM_BENCH_ATC_INVALIDATE] = bench_atc_invalidate,
    [SVM_BENCH_HASH_REMOVE] = bench_hash_remove_range,
    [SVM_BENCH_FILL] = bench_fill,
    [SVM_BENCH_TRIM] = bench_trim,
    [SVM_BENCH_COPY] = bench_copy,
    [SVM_BENCH_MEMCPY] = bench_memcpy,
    [SVM_BENCH_ANSWER] = bench_answer,
};

/* All threads begin at the same time. */
static void *bench_thread(void *opaque)
{
    BenchThread *t = opaque;
    SVMBench *s = t->s;

    rcu_register_thread();
    qatomic_inc(&s->ready);
    while (qatomic_read(&s->ready) < s->threads) {
        g_thread_yield();
    }
    t->ns = s->func(s, t);
    rcu_unregister_thread();
    qatomic_dec(&s->running);
    return NULL;
}

static void bench_start(SVMBench *s, uint64_t op)
{
    if (s->threads || op >= ARRAY_SIZE(bench_ops) || !bench_ops[op]) {
        return;
    }
    s->func = bench_ops[op];
    s->threads = MIN(MAX(bench_reg(s, SVM_BENCH_THREADS), 1), BENCH_THREADS);
    s->running = s->threads;
    s->ready = 0;
    for (unsigned i = 0; i < s->threads; i++) {
        s->thread[i] = g_new0(BenchThread, 1);
        s->thread[i]->s = s;
        s->thread[i]->index = i;
        s->thread[i]->random = 0x9e3779b97f4a7c15ULL * (i + 1);
        qemu_thread_create(&s->thread[i]->thread, "svm-bench", bench_thread,
                           s->thread[i], QEMU_THREAD_JOINABLE);
    }
}

/* The slowest thread's time, or an error */
static void bench_collect(SVMBench *s)
{
    int64_t ns = 0;

    for (unsigned i = 0; i < s->threads; i++) {
        qemu_thread_join(&s->thread[i]->thread);
        ns = ns < 0 || s->thread[i]->ns < 0 ? MIN(ns, s->thread[i]->ns)
                                            : MAX(ns, s->thread[i]->ns);
        g_clear_pointer(&s->thread[i], g_free);
    }
    s->threads = 0;
    s->reg[REG(SVM_BENCH_NS)] = ns;
}

static bool bench_is_busy(SVMBench *s)
{
    if (s->threads && !qatomic_read(&s->running)) {
        bench_collect(s);
    }
    return s->threads;
}

/*
 * The device
 */

static uint64_t bench_mmio_read(void *opaque, hwaddr addr, unsigned size)
{
    SVMBench *s = opaque;

    if (s->gone) {
        return UINT64_MAX;
    }
    if (addr == SVM_BENCH_BUSY) {
        return bench_is_busy(s);
    }
    return addr < SVM_BENCH_REG_END ? bench_reg(s, addr) : 0;
}

static void bench_mmio_write(void *opaque, hwaddr addr, uint64_t val,
                             unsigned size)
{
    SVMBench *s = opaque;

    if (s->gone || bench_is_busy(s)) {
        return;
    }
    if (addr == SVM_BENCH_OP) {
        bench_start(s, val);
    } else if (addr >= SVM_BENCH_COUNT && addr < SVM_BENCH_REG_END) {
        s->reg[REG(addr)] = val;
    }
}

static const MemoryRegionOps bench_mmio_ops = {
    .read = bench_mmio_read,
    .write = bench_mmio_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 8, .max_access_size = 8 },
    .impl = { .min_access_size = 8, .max_access_size = 8 },
};

static void bench_realize(PCIDevice *dev, Error **errp)
{
    SVMBench *s = SVM_BENCH(dev);

    memory_region_init_io(&s->bar, OBJECT(s), &bench_mmio_ops, s, "svm-bench",
                          SVM_BENCH_BAR_SIZE);
    pci_register_bar(dev, SVM_BENCH_BAR, PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64, &s->bar);
    pcie_endpoint_cap_init(dev, SVM_BENCH_CAP_EXP);
    pcie_pasid_init(dev, SVM_BENCH_CAP_PASID, PCI_PASID_WIDTH_MAX, true, true);
    pcie_ats_init(dev, SVM_BENCH_CAP_ATS, true);
    pcie_pri_init(dev, SVM_BENCH_CAP_PRI, SVM_BENCH_PRI_CAPACITY, true);
    s->pri.notify = bench_hear_response;
    s->gone = false;
}

static void bench_exit(PCIDevice *dev)
{
    SVMBench *s = SVM_BENCH(dev);

    qatomic_set(&s->gone, true);
    while (bench_is_busy(s)) {
        bql_unlock();
        g_usleep(1000);
        bql_lock();
    }
    bench_unregister(s, NULL);
    bench_trim(s, NULL);
}

static const VMStateDescription bench_vmstate = {
    .name = TYPE_SVM_BENCH,
    .unmigratable = 1,
};

static void bench_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);

    pc->realize = bench_realize;
    pc->exit = bench_exit;
    pc->vendor_id = SVM_BENCH_VENDOR_ID;
    pc->device_id = SVM_BENCH_DEVICE_ID;
    pc->class_id = PCI_CLASS_OTHERS;
    dc->desc = "Benchmark device for shared virtual memory";
    dc->vmsd = &bench_vmstate;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo bench_types[] = {
    {
        .name = TYPE_SVM_BENCH,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(SVMBench),
        .class_init = bench_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
};

DEFINE_TYPES(bench_types)
