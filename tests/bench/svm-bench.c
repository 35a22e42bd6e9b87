/*
 * Benchmarks of shared virtual memory
 *
 * Builds guest tables, lets -device svm-bench (and -device svm) work on them,
 * and prints one JSON object per case: how many nanoseconds each run of it took
 * per operation, and how many each run of its floor did. The two take turns, so
 * that what else the machine does falls on both. scripts/bench in the
 * repository of this series makes tables and charts of that.
 *
 * usage: QTEST_QEMU_BINARY=... svm-bench [--quick] [--list] [--filter GLOB]
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "hw/misc/svm-bench.h"
#include "hw/pci/pci_regs.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "libqos/pci-pc.h"
#include "libqos/vtd-svm.h"

#define PAGE            (4 * KiB)
#define PTES            512

#define BENCH_SID       QPCI_DEVFN(5, 0)
#define BENCH_CONFIG    (QSVM_ECAM_BASE + ((uint64_t)BENCH_SID << 12))
#define BENCH_BAR       0xe8000000ULL
#define OTHER_CONFIG    (QSVM_ECAM_BASE + ((uint64_t)QPCI_DEVFN(6, 0) << 12))
#define OTHER_BAR       0xe8100000ULL

/* Guest memory beyond libqos's heap */
#define LEAF_TABLES     0x20000000ULL   /* of 64 GiB: 128 MiB */
#define EMPTY_TABLES    0x28000000ULL
#define DIRECTORIES     0x28010000ULL
#define PDPT            0x28080000ULL
#define TOP             0x28081000ULL
#define EMPTY_DIRECTORY 0x28082000ULL
#define HUGE_DIRECTORY  0x28083000ULL
#define PASID_TABLES    0x30000000ULL   /* of 2^20: 64 MiB */
#define PASID_DIR       0x34000000ULL
#define DATA            0x40000000ULL

/* What is mapped: 64 GiB of 4 KiB pages, and some more behind them */
#define IOVA            0x7f0000000000ULL
#define IOVA_SIZE       (64 * GiB)
#define IOVA_HUGE_2M    (IOVA + IOVA_SIZE)
#define IOVA_HUGE_1G    (IOVA + IOVA_SIZE + GiB)
#define IOVA_EMPTY      (IOVA + IOVA_SIZE + 2 * GiB)
#define FLAGS           (QVTD_FS_USER_RW | QVTD_FS_A | QVTD_FS_D)

#define ALL_PASIDS      (1 << 20)
#define PRGIS           512     /* page request group indices */

/* The invalidation queue: one half for the case, one for its floor */
#define IQ_ORDER        4
#define IQ_DESC         32
#define IQ_HALF         ((PAGE << IQ_ORDER) / IQ_DESC / 2)

typedef struct Bench {
    QVTDSVM *f;
    QTestState *qts;
    bool quick;
    bool list;
    const char *filter;
    int64_t iothread;
} Bench;

/* Values of the device's registers, and what an operation counts as */
typedef struct Op {
    uint64_t op;
    uint64_t count;
    uint64_t threads;
    uint64_t pasid;
    uint64_t pasids;
    uint64_t addr;
    uint64_t length;
    uint64_t random;
    uint64_t data;
    uint64_t addr2;
    uint64_t data2;
    unsigned int per;           /* operations per count; 0 is 1 */
    void (*before)(Bench *b);
} Op;

/*
 * A row: @must is what the ratio may be at most, 0 if there is no bound.
 * @least: what the floor takes, divided by what the case takes, must be that
 * at least.
 */
typedef struct Case {
    const char *group;
    const char *name;
    uint64_t n;
    double must;
    Op op;
    Op floor;
    bool least;
} Case;

/*
 * Running
 */

static uint64_t reg(Bench *b, uint64_t offset)
{
    return qtest_readq(b->qts, BENCH_BAR + offset);
}

static void set(Bench *b, uint64_t offset, uint64_t val)
{
    qtest_writeq(b->qts, BENCH_BAR + offset, val);
}

/* Nanoseconds */
static int64_t run(Bench *b, const Op *o)
{
    int64_t ns;

    if (o->before) {
        o->before(b);
    }
    set(b, SVM_BENCH_COUNT, o->count);
    set(b, SVM_BENCH_THREADS, o->threads);
    set(b, SVM_BENCH_PASID, o->pasid);
    set(b, SVM_BENCH_PASIDS, o->pasids);
    set(b, SVM_BENCH_ADDR, o->addr);
    set(b, SVM_BENCH_LENGTH, o->length);
    set(b, SVM_BENCH_RANDOM, o->random);
    set(b, SVM_BENCH_DATA, o->data);
    set(b, SVM_BENCH_ADDR2, o->addr2);
    set(b, SVM_BENCH_DATA2, o->data2);
    set(b, SVM_BENCH_OP, o->op);
    while (reg(b, SVM_BENCH_BUSY)) {
        g_usleep(500);
    }
    ns = reg(b, SVM_BENCH_NS);
    if (qvtd_iq_error(b->f->v)) {
        g_error("the invalidation queue has stopped");
    }
    if (ns < 0) {
        g_error("operation %" PRIu64 " failed: %s", o->op, strerror(-ns));
    }
    return ns;
}

static double run_per_op(Bench *b, const Op *o)
{
    return (double)run(b, o) / (o->count * MAX(o->per, 1));
}

/* As many operations as take some milliseconds, if the case leaves it open */
static Op calibrate(Bench *b, const Op *op)
{
    const int64_t enough = (b->quick ? 2 : 10) * 1000 * 1000;
    Op o = *op;

    if (o.count) {
        return o;
    }
    for (o.count = 1; run(b, &o) < enough && o.count < 1ULL << 32;) {
        o.count *= 2;
    }
    return o;
}

static void print_list(const char *name, const double *values, unsigned int n)
{
    printf(", \"%s\": [", name);
    for (unsigned int i = 0; i < n; i++) {
        printf("%s%.2f", i ? ", " : "", values[i]);
    }
    printf("]");
}

static void print_case(const Case *c, const double *ns, const double *floor,
                       unsigned int n)
{
    printf("{\"group\": \"%s\", \"case\": \"%s\", \"n\": %" PRIu64
           ", \"must\": %g, \"least\": %s", c->group, c->name, c->n, c->must,
           c->least ? "true" : "false");
    print_list("ns", ns, n);
    print_list("floor", floor, floor ? n : 0);
    printf("}\n");
    fflush(stdout);
}

/* Of a case that has several sizes the list has one line. */
static bool is_filtered(Bench *b, const char *name)
{
    return b->filter && !g_pattern_match_simple(b->filter, name);
}

static bool wanted(Bench *b, const char *name)
{
    static const char *listed = "";

    if (is_filtered(b, name)) {
        return false;
    }
    if (b->list && strcmp(listed, name)) {
        printf("%s\n", name);
        listed = name;
    }
    return !b->list;
}

/* Case and floor take turns, each in its own QEMU or in the same */
static void measure_beside(Bench *b, Bench *other, const Case *c)
{
    unsigned int runs = b->quick ? 5 : 21;
    double ns[21], floor[21];
    Op op = calibrate(b, &c->op), floor_op;

    if (c->floor.op) {
        floor_op = calibrate(other, &c->floor);
    }
    for (unsigned int i = 0; i < runs; i++) {
        ns[i] = run_per_op(b, &op);
        floor[i] = c->floor.op ? run_per_op(other, &floor_op) : 0;
    }
    print_case(c, ns, c->floor.op ? floor : NULL, runs);
}

static void measure(Bench *b, const Case *c)
{
    measure_beside(b, b, c);
}

static void measure_if_wanted(Bench *b, const Case *c)
{
    if (wanted(b, c->name)) {
        measure(b, c);
    }
}

/*
 * The machine
 */

static void fill(Bench *b, uint64_t addr, uint64_t count, uint64_t step,
                 uint64_t data, uint64_t delta)
{
    const Op o = {
        .op = SVM_BENCH_FILL, .count = count, .addr = addr, .length = step,
        .data = data, .data2 = delta,
    };

    run(b, &o);
}

static void build_process(Bench *b)
{
    fill(b, LEAF_TABLES, IOVA_SIZE / PAGE, 8, DATA | FLAGS, 0);
    fill(b, LEAF_TABLES, 64 * KiB, 8, DATA | FLAGS, PAGE);
    fill(b, DIRECTORIES, IOVA_SIZE / PAGE / PTES, 8, LEAF_TABLES | FLAGS,
         PAGE);
    fill(b, EMPTY_TABLES, 8 * PTES, 8, 0, 0);
    fill(b, EMPTY_DIRECTORY, 8, 8, EMPTY_TABLES | FLAGS, PAGE);
    fill(b, HUGE_DIRECTORY, PTES, 8, DATA | FLAGS | QVTD_FS_PS, 0);
    fill(b, PDPT, 64, 8, DIRECTORIES | FLAGS, PAGE);
    fill(b, PDPT + 64 * 8, 1, 8, HUGE_DIRECTORY | FLAGS, 0);
    fill(b, PDPT + 65 * 8, 1, 8, DATA | FLAGS | QVTD_FS_PS, 0);
    fill(b, PDPT + 66 * 8, 1, 8, EMPTY_DIRECTORY | FLAGS, 0);
    fill(b, TOP + (IOVA >> 39) * 8, 1, 8, PDPT | FLAGS, 0);
}

/* All PASIDs are of the same process */
static void build_pasids(Bench *b)
{
    fill(b, PASID_TABLES, ALL_PASIDS, 64,
         QVTD_PE_P | 2 << QVTD_PE_AW_SHIFT |
         (uint64_t)QVTD_PGTT_FS << QVTD_PE_PGTT_SHIFT, 0);
    fill(b, PASID_TABLES + 8, ALL_PASIDS, 64, QVTD_SVM_DID, 0);
    fill(b, PASID_TABLES + 16, ALL_PASIDS, 64, TOP, 0);
    fill(b, PASID_DIR, ALL_PASIDS / 64, 8, PASID_TABLES | 1, PAGE);
}

static void map_bar(Bench *b, uint64_t config, uint64_t bar)
{
    qtest_writel(b->qts, config + PCI_BASE_ADDRESS_0, bar);
    qtest_writew(b->qts, config + PCI_COMMAND,
                 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void enable_function(Bench *b)
{
    qtest_writew(b->qts, BENCH_CONFIG + SVM_BENCH_CAP_PASID + PCI_PASID_CTRL,
                 PCI_PASID_CTRL_ENABLE);
    qtest_writew(b->qts, BENCH_CONFIG + SVM_BENCH_CAP_ATS + PCI_ATS_CTRL,
                 PCI_ATS_CTRL_ENABLE);
    qtest_writel(b->qts, BENCH_CONFIG + SVM_BENCH_CAP_PRI + PCI_PRI_ALLOC_REQ,
                 SVM_BENCH_PRI_CAPACITY);
    qtest_writew(b->qts, BENCH_CONFIG + SVM_BENCH_CAP_PRI + PCI_PRI_CTRL,
                 PCI_PRI_CTRL_ENABLE);
}

static void start(Bench *b)
{
    b->f = qvtd_svm_start_machine("", "-object iothread,id=iothread "
                                      "-device svm,addr=4,iothread=iothread "
                                      "-device svm-bench,addr=5 "
                                      "-device edu,addr=6");
    b->qts = b->f->qts;
    qvtd_svm_attach(b->f, QPCI_DEVFN(4, 0));
    map_bar(b, BENCH_CONFIG, BENCH_BAR);
    map_bar(b, OTHER_CONFIG, OTHER_BAR);
    build_process(b);
    build_pasids(b);
    qvtd_set_context(b->f->v, BENCH_SID, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS,
                     PASID_DIR, 0);
    qvtd_set_context(b->f->v, b->f->sid, QVTD_SVM_CONTEXT, QVTD_SVM_PDTS,
                     PASID_DIR, 0);
    qvtd_disable_qi(b->f->v);
    qvtd_enable_qi(b->f->v, IQ_ORDER, true);
    qvtd_enable_prq(b->f->v, 7);
    enable_function(b);
}

static void stop(Bench *b)
{
    QVTDFault fault;

    if (qvtd_pop_fault(b->f->v, &fault)) {
        g_error("fault 0x%x at 0x%" PRIx64, fault.reason, fault.addr);
    }
    /* The fixture's own end looks for page requests that nobody took */
    qtest_quit(b->qts);
}

/*
 * Translation
 */

#define TRANSLATE(...) { .op = SVM_BENCH_TRANSLATE, .pasid = 1, __VA_ARGS__ }
#define TABLES(...) { .op = SVM_BENCH_READ_TABLES, __VA_ARGS__ }
#define WALK(...) { .op = SVM_BENCH_READ_WALK, .data = TOP, __VA_ARGS__ }

static const Case translation[] = {
    { "translate", "512 neighbouring pages", 512, 6,
      TRANSLATE(.addr = IOVA, .length = 2 * MiB),
      TABLES(.data = LEAF_TABLES, .length = 2 * MiB) },
    { "translate", "512 pages with A and D clear", 512, 4,
      TRANSLATE(.addr = IOVA, .length = 2 * MiB, .data = LEAF_TABLES),
      TABLES(.data = LEAF_TABLES, .length = 2 * MiB, .data2 = 1) },
    { "translate", "4096 pages that are not present", 4096, 6,
      TRANSLATE(.addr = IOVA_EMPTY, .length = 16 * MiB),
      TABLES(.data = EMPTY_TABLES, .length = 16 * MiB) },
    { "translate", "a 4 KiB page at random in 64 GiB", 1, 2.5,
      TRANSLATE(.addr = IOVA, .length = PAGE,
                .random = IOVA_SIZE - PAGE),
      WALK(.addr = IOVA, .random = IOVA_SIZE - PAGE) },
    { "translate", "the same 4 KiB page", 1, 2,
      TRANSLATE(.addr = IOVA, .length = PAGE), WALK(.addr = IOVA) },
    { "translate", "the same 2 MiB page", 1, 2,
      TRANSLATE(.addr = IOVA_HUGE_2M, .length = PAGE),
      WALK(.addr = IOVA) },
    { "translate", "the same 1 GiB page", 1, 2,
      TRANSLATE(.addr = IOVA_HUGE_1G, .length = PAGE),
      WALK(.addr = IOVA) },
};

static void use_pasids(Bench *b, uint64_t count)
{
    const Op o = { .op = SVM_BENCH_REGISTER, .pasid = 1, .count = count };

    if (!b->list) {
        run(b, &o);
    }
}

/* Throughput, beside that of one thread */
static void bench_threads(Bench *b)
{
    const Case shared = {
        "threads", "two threads translate for a PASID", 2, 1.8,
        TRANSLATE(.addr = IOVA, .length = PAGE, .random = IOVA_SIZE - PAGE,
                  .threads = 2, .per = 2),
        TRANSLATE(.addr = IOVA, .length = PAGE, .random = IOVA_SIZE - PAGE),
        .least = true,
    };
    Case own = shared;

    own.name = "two threads translate, a PASID each";
    own.op.pasids = 2;
    if (wanted(b, shared.name) || wanted(b, own.name)) {
        use_pasids(b, 2);
        measure_if_wanted(b, &own);
        measure_if_wanted(b, &shared);
        use_pasids(b, 0);
    }
}

/*
 * Users of PASIDs
 */

static const uint64_t populations[] = { 1, 16, 256, 4096, 65536 };

static void bench_first_use(Bench *b)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(populations); i++) {
        const Case c = {
            "first use", "first use of a PASID", populations[i], 50,
            { .op = SVM_BENCH_FIRST_USE, .pasid = ALL_PASIDS / 2,
              .pasids = ALL_PASIDS / 2, .addr = IOVA },
            TRANSLATE(.addr = IOVA, .length = PAGE),
        };

        if (wanted(b, c.name)) {
            use_pasids(b, populations[i]);
            measure(b, &c);
        }
    }
}

static double resident(Bench *b)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/statm",
                                            (int)qtest_pid(b->qts));
    g_autofree char *statm = NULL;
    const Op trim = { .op = SVM_BENCH_TRIM };
    uint64_t pages = 0;

    run(b, &trim);
    if (!g_file_get_contents(path, &statm, NULL, NULL) ||
        sscanf(statm, "%*u %" SCNu64, &pages) != 1) {
        g_error("cannot read %s", path);
    }
    return pages * qemu_real_host_page_size();
}

/* Bytes, where other cases have nanoseconds */
static void bench_memory(Bench *b)
{
    const Case used = { "memory", "bytes per PASID in use", ALL_PASIDS - 1,
                        1024 };
    const Case left = { "memory", "bytes per PASID, all released",
                        ALL_PASIDS - 1, 16 };
    const Op release = { .op = SVM_BENCH_UNREGISTER };
    double before, during, one = 1;

    if (wanted(b, used.name)) {
        use_pasids(b, 1);
        run(b, &release);
        before = resident(b);
        use_pasids(b, used.n);
        during = (resident(b) - before) / used.n;
        print_case(&used, &during, &one, 1);
        run(b, &release);
        during = (resident(b) - before) / used.n;
        print_case(&left, &during, &one, 1);
    }
}

/* The two states of the machine cannot take turns */
static void bench_topology(Bench *b)
{
    const uint64_t pasids = 65536;
    const Op o = {
        .op = SVM_BENCH_POKE, .length = 2, .count = b->quick ? 50 : 400,
        .addr = OTHER_CONFIG + PCI_COMMAND, .data = 0,
        .addr2 = OTHER_CONFIG + PCI_COMMAND, .data2 = PCI_COMMAND_MEMORY,
    };
    const Case c = { "topology", "a BAR that comes and goes", pasids, 1.1 };
    unsigned int runs = b->quick ? 5 : 21;
    double ns[21], floor[21];

    if (!wanted(b, c.name)) {
        return;
    }
    use_pasids(b, 0);
    for (unsigned int i = 0; i < runs; i++) {
        floor[i] = run_per_op(b, &o);
    }
    use_pasids(b, pasids);
    for (unsigned int i = 0; i < runs; i++) {
        ns[i] = run_per_op(b, &o);
    }
    print_case(&c, ns, floor, runs);
}

/*
 * Page requests
 */

/* The guest takes all requests, answers the group, and has an empty queue */
static void take_requests(Bench *b)
{
    QVTD *v = b->f->v;
    const Op o = { .op = SVM_BENCH_TRIM };

    run(b, &o);
    qvtd_writeq(v, QVTD_PQH_REG, qvtd_readq(v, QVTD_PQT_REG));
    qtest_writew(b->qts, BENCH_CONFIG + SVM_BENCH_CAP_PRI + PCI_PRI_CTRL,
                 PCI_PRI_CTRL_RESET);
    qtest_writew(b->qts, BENCH_CONFIG + SVM_BENCH_CAP_PRI + PCI_PRI_CTRL,
                 PCI_PRI_CTRL_ENABLE);
}

static void bench_page_request(Bench *b)
{
    const Case c = {
        "page request", "page request into the queue", 1, 5,
        { .op = SVM_BENCH_PAGE_REQUEST, .pasid = 1, .addr = IOVA_EMPTY,
          .count = 16000, .before = take_requests },
        { .op = SVM_BENCH_WRITE, .addr = DATA, .length = 32,
          .count = 16000, .random = 64 * KiB - 64 },
    };

    if (wanted(b, c.name)) {
        use_pasids(b, 1);
        measure(b, &c);
        take_requests(b);
    }
}

/*
 * Descriptors: the first half of the queue has @count of them, each with a
 * wait; the second one has as many waits. A kick is to the end of a half.
 */

static void put_desc(Bench *b, unsigned int index, QVTDDesc desc)
{
    qtest_memwrite(b->qts, b->f->v->iq + (uint64_t)index * IQ_DESC, desc.qw,
                   sizeof(desc.qw));
}

static void fill_queue(Bench *b, const QVTDDesc *desc)
{
    QVTDDesc wait = qvtd_wait_desc(QVTD_WAIT_SW, 1, DATA);

    for (unsigned int i = 0; i < IQ_HALF; i += 2) {
        put_desc(b, i, *desc);
        put_desc(b, i + 1, wait);
        put_desc(b, IQ_HALF + i, wait);
        put_desc(b, IQ_HALF + i + 1, wait);
    }
}

#define KICK(index, ...) { \
    .op = SVM_BENCH_POKE, .count = 1, .length = 8, \
    .addr = Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_IQT_REG, \
    .data = (uint64_t)(index) * IQ_DESC, __VA_ARGS__ }

static void bench_descriptor(Bench *b, const char *group, const char *name,
                             double must, QVTDDesc desc)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(populations); i++) {
        const Case c = {
            group, name, populations[i], must,
            KICK(IQ_HALF, .per = IQ_HALF / 2), KICK(0, .per = IQ_HALF),
        };

        if (wanted(b, name)) {
            use_pasids(b, populations[i]);
            fill_queue(b, &desc);
            measure(b, &c);
        }
    }
}

static void bench_invalidation(Bench *b)
{
    bench_descriptor(b, "invalidation", "device-TLB invalidation of a page", 3,
                     qvtd_dev_piotlb_desc(BENCH_SID, 1, IOVA, false,
                                          false));
    bench_descriptor(b, "invalidation", "PASID-cache invalidation of a PASID",
                     4, qvtd_pasid_cache_desc(QVTD_PC_PASID, QVTD_SVM_DID,
                                              1));
    bench_descriptor(b, "invalidation", "IOTLB invalidation of a PASID", 5,
                     qvtd_piotlb_desc(QVTD_PIOTLB_ALL, QVTD_SVM_DID, 1, 0, 0,
                                      false));
    bench_descriptor(b, "invalidation", "IOTLB invalidation of a page", 5,
                     qvtd_piotlb_desc(QVTD_PIOTLB_PAGE, QVTD_SVM_DID, 1, IOVA,
                                      0, false));
}

/* ATC entries that the invalidation does not hit */
static void bench_atc_population(Bench *b)
{
    static const uint64_t entries[] = { 0, 1000, 1000000 };
    QVTDDesc desc = qvtd_dev_piotlb_desc(BENCH_SID, 1, IOVA, false,
                                          false);

    for (unsigned int i = 0; i < ARRAY_SIZE(entries); i++) {
        const Case c = {
            "invalidation by entries", "device-TLB invalidation beside entries",
            entries[i], 3,
            KICK(IQ_HALF, .per = IQ_HALF / 2), KICK(0, .per = IQ_HALF),
        };
        const Op atc = { .op = SVM_BENCH_ATC_FILL, .count = entries[i] };
        const Op trim = { .op = SVM_BENCH_TRIM };

        if (wanted(b, c.name)) {
            use_pasids(b, 1);
            run(b, &atc);
            fill_queue(b, &desc);
            measure(b, &c);
            run(b, &trim);
        }
    }
}

/* As many groups as the first half answers */
static void ask(Bench *b)
{
    const Op o = {
        .op = SVM_BENCH_PAGE_REQUEST, .pasid = 1, .addr = IOVA_EMPTY,
        .count = IQ_HALF / 2, .data = 1,
    };

    take_requests(b);
    run(b, &o);
}

static void bench_response(Bench *b)
{
    const char *name = "page group response";
    QVTDDesc desc;

    for (unsigned int i = 0; i < ARRAY_SIZE(populations); i++) {
        const Case c = {
            "response", name, populations[i], 3,
            KICK(IQ_HALF, .per = IQ_HALF / 2, .before = ask),
            KICK(0, .per = IQ_HALF),
        };

        if (!wanted(b, name)) {
            return;
        }
        use_pasids(b, populations[i]);
        desc = qvtd_page_response_desc(BENCH_SID, 1, 0, QVTD_SVM_SUCCESS);
        fill_queue(b, &desc);
        for (unsigned int j = 0; j < IQ_HALF / 2; j++) {
            put_desc(b, 2 * j, qvtd_page_response_desc(BENCH_SID, 1, j,
                                                       QVTD_SVM_SUCCESS));
        }
        measure(b, &c);
        take_requests(b);
    }
}

/* To the first descriptor of the queue */
static void rewind_queue(Bench *b)
{
    const Op o = KICK(0);

    take_requests(b);
    run(b, &o);
}

/* The guest answers each request at once, and takes it from the queue later. */
static void bench_answer(Bench *b)
{
    const Case c = {
        "page request", "page request to response", 1, 0,
        { .op = SVM_BENCH_ANSWER, .pasid = 1, .addr = IOVA_EMPTY,
          .addr2 = Q35_HOST_BRIDGE_IOMMU_ADDR + DMAR_IQT_REG,
          .data = IQ_DESC, .data2 = IQ_DESC, .count = IQ_HALF,
          .before = rewind_queue },
        { .op = SVM_BENCH_WRITE, .addr = DATA, .length = 64,
          .count = 16000, .random = 64 * KiB - 64 },
    };

    if (!wanted(b, c.name)) {
        return;
    }
    use_pasids(b, 1);
    for (unsigned int i = 0; i < IQ_HALF; i++) {
        put_desc(b, i, qvtd_page_response_desc(BENCH_SID, 1,
                                               i % PRGIS,
                                               QVTD_SVM_SUCCESS));
        put_desc(b, IQ_HALF + i, qvtd_wait_desc(QVTD_WAIT_SW, 1, DATA));
    }
    measure(b, &c);
    rewind_queue(b);
}

/*
 * The cache
 */

static void bench_atc(Bench *b)
{
    static const uint64_t entries[] = { 1000, 31623, 1000000 };

    for (unsigned int i = 0; i < ARRAY_SIZE(entries); i++) {
        const Op atc = { .op = SVM_BENCH_ATC_FILL, .count = entries[i] };
        const Case lookup = {
            "ATC", "ATC lookup", entries[i], entries[i] == 1000000,
            { .op = SVM_BENCH_ATC_LOOKUP }, { .op = SVM_BENCH_HASH_LOOKUP },
        };
        const Case range = {
            "ATC", "ATC invalidation of 256 entries", entries[i], 3,
            { .op = SVM_BENCH_ATC_INVALIDATE, .data = 256, .per = 256 },
            { .op = SVM_BENCH_HASH_REMOVE, .data = 256, .per = 256 },
        };

        const Case threads = {
            "threads", "two threads look up in an ATC", entries[i], 0,
            { .op = SVM_BENCH_ATC_LOOKUP, .threads = 2, .per = 2 },
            { .op = SVM_BENCH_ATC_LOOKUP }, .least = true,
        };

        if (is_filtered(b, lookup.name) && is_filtered(b, range.name) &&
            is_filtered(b, threads.name)) {
            continue;
        }
        if (!b->list) {
            run(b, &atc);
        }
        measure_if_wanted(b, &lookup);
        measure_if_wanted(b, &range);
        measure_if_wanted(b, &threads);
    }
}

/*
 * Untranslated requests, beside those of an IOMMU that is as it was before
 */

static void start_before(Bench *b)
{
    QVTDSVM *f = g_new0(QVTDSVM, 1);

    f->qts = qtest_init("-M q35 -m 2G "
                        "-device intel-iommu,x-scalable-mode=on,x-flts=on "
                        "-device svm-bench,addr=5");
    f->bus = qpci_new_pc(f->qts, NULL);
    qsvm_enable_ecam(f->bus);
    f->v = qvtd_new(f->qts, true);
    b->f = f;
    b->qts = f->qts;
    map_bar(b, BENCH_CONFIG, BENCH_BAR);
    build_process(b);
    build_pasids(b);
    qvtd_set_context(f->v, BENCH_SID, QVTD_CE_P, QVTD_SVM_PDTS, PASID_DIR, 0);
    qvtd_enable(f->v);
}

#define DMA(...) { .op = SVM_BENCH_DMA, .length = 8, .addr = IOVA, __VA_ARGS__ }

static const Case dma_cases[] = {
    { "dma", "untranslated, IOTLB cold", 1, 1. / 3,
      DMA(.random = IOVA_SIZE - PAGE), DMA(.random = IOVA_SIZE - PAGE) },
    { "dma", "untranslated, IOTLB warm", 1, 1, DMA(), DMA() },
    { "dma", "untranslated with PASID, cold", 1, 1. / 3,
      DMA(.random = IOVA_SIZE - PAGE, .pasid = 1),
      DMA(.random = IOVA_SIZE - PAGE) },
    { "dma", "untranslated with PASID, warm", 1, 1, DMA(.pasid = 1), DMA() },
};

static void bench_untranslated(Bench *b)
{
    Bench before = { .quick = b->quick };

    for (unsigned int i = 0; i < ARRAY_SIZE(dma_cases); i++) {
        if (!wanted(b, dma_cases[i].name)) {
            continue;
        }
        if (!before.f) {
            start_before(&before);
        }
        measure_beside(b, &before, &dma_cases[i]);
    }
    if (before.f) {
        stop(&before);
    }
}

/*
 * Data
 */

#define DATA_SIZE   (64 * MiB)

static uint8_t *host_memory;
/* volatile: nobody reads it, and what computes it should stay */
static volatile uint8_t host_crc;

static void host_fill(void)
{
    memset(host_memory, 0x5a, DATA_SIZE);
}

static void host_checksum(void)
{
    uint8_t table[256];
    uint8_t crc = SVM_CRC_INIT;

    for (unsigned int i = 0; i < ARRAY_SIZE(table); i++) {
        table[i] = qsvm_crc(0, &(uint8_t) { i }, 1);
    }
    for (size_t i = 0; i < DATA_SIZE; i++) {
        crc = table[crc ^ host_memory[i]];
    }
    host_crc = crc;
}

static int64_t own_time(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static double time_host(void (*fn)(void))
{
    int64_t start = own_time();

    fn();
    return own_time() - start;
}

/* The thread in which the endpoint works */
static int64_t iothread_id(Bench *b)
{
    QDict *rsp = qtest_qmp(b->qts, "{'execute': 'query-iothreads'}");
    QDict *iothread = qobject_to(QDict,
                                 qlist_peek(qdict_get_qlist(rsp, "return")));
    int64_t id = qdict_get_int(iothread, "thread-id");

    qobject_unref(rsp);
    return id;
}

/* Processor time that the endpoint had so far, in nanoseconds */
static int64_t endpoint_time(Bench *b)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task/%" PRId64
                                            "/schedstat",
                                            (int)qtest_pid(b->qts),
                                            b->iothread);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        g_error("cannot read %s", path);
    }
    return g_ascii_strtoll(text, NULL, 10);
}

static double time_endpoint(Bench *b, uint64_t addr, bool write)
{
    QSVM *svm = &b->f->svm;
    int64_t start = endpoint_time(b);

    if (write) {
        qsvm_start_write(svm, addr, DATA_SIZE);
    } else {
        qsvm_start_read(svm, addr, DATA_SIZE, 0);
    }
    qsvm_wait(svm);
    return endpoint_time(b) - start;
}

typedef struct DataCase {
    const char *name;
    uint64_t addr;
    bool write;
    bool cold;
    double must;
} DataCase;

static const DataCase data_cases[] = {
    { "fill, 4 KiB pages, cold", IOVA, true, true, 2.5 },
    { "fill, 4 KiB pages, warm", IOVA, true, false, 1.3 },
    { "fill, 2 MiB pages, warm", IOVA_HUGE_2M, true, false, 1.3 },
    { "CRC, 4 KiB pages, cold", IOVA, false, true, 2.5 },
    { "CRC, 4 KiB pages, warm", IOVA, false, false, 1.3 },
    { "CRC, 2 MiB pages, warm", IOVA_HUGE_2M, false, false, 1.3 },
};

static void bench_data_case(Bench *b, const DataCase *d)
{
    const Case c = { "data", d->name, DATA_SIZE, d->must };
    unsigned int runs = b->quick ? 3 : 11;
    double ns[21], floor[21];

    if (!wanted(b, d->name)) {
        return;
    }
    time_endpoint(b, d->addr, d->write);
    for (unsigned int i = 0; i < runs; i++) {
        if (d->cold) {
            qsvm_set_ats(&b->f->svm, false);
            qsvm_set_ats(&b->f->svm, true);
        }
        ns[i] = time_endpoint(b, d->addr, d->write);
        floor[i] = time_host(d->write ? host_fill : host_checksum);
    }
    print_case(&c, ns, floor, runs);
}

/* What has been cached goes with ATS. */
static void toggle_ats(Bench *b)
{
    uint64_t ctrl = BENCH_CONFIG + SVM_BENCH_CAP_ATS + PCI_ATS_CTRL;

    qtest_writew(b->qts, ctrl, 0);
    qtest_writew(b->qts, ctrl, PCI_ATS_CTRL_ENABLE);
}

#define COPY(...) { \
    .op = SVM_BENCH_COPY, .count = 1, .pasid = ALL_PASIDS / 2, \
    .addr = IOVA, .addr2 = IOVA + DATA_SIZE, .length = DATA_SIZE, \
    __VA_ARGS__ }
#define MEMCPY { \
    .op = SVM_BENCH_MEMCPY, .count = 1, .length = DATA_SIZE, \
    .addr = DATA, .addr2 = DATA + DATA_SIZE }

static const Case copies[] = {
    { "data", "copy, 4 KiB pages, cold", DATA_SIZE, 2.5,
      COPY(.before = toggle_ats), MEMCPY },
    { "data", "copy, 4 KiB pages, warm", DATA_SIZE, 1.3, COPY(), MEMCPY },
};

/* Memory that was never written would all be one page of zeroes. */
static void bench_copies(Bench *b)
{
    if (!b->list) {
        fill(b, DATA, 2 * DATA_SIZE / PAGE, PAGE, 1, 1);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(copies); i++) {
        measure_if_wanted(b, &copies[i]);
    }
}

static void bench_data(Bench *b)
{
    bench_copies(b);
    host_memory = g_malloc(DATA_SIZE);
    host_fill();
    if (!b->list) {
        b->iothread = iothread_id(b);
        qsvm_set_pasid(&b->f->svm, 1);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(data_cases); i++) {
        bench_data_case(b, &data_cases[i]);
    }
    g_free(host_memory);
}

static void bench_translation(Bench *b)
{
    use_pasids(b, 1);
    for (unsigned int i = 0; i < ARRAY_SIZE(translation); i++) {
        measure_if_wanted(b, &translation[i]);
    }
    bench_threads(b);
}

static void bench_all(Bench *b)
{
    bench_translation(b);
    bench_page_request(b);
    bench_response(b);
    bench_answer(b);
    bench_invalidation(b);
    bench_atc_population(b);
    bench_topology(b);
    bench_first_use(b);
    bench_atc(b);
    bench_untranslated(b);
    bench_data(b);
    bench_memory(b);
}

int main(int argc, char **argv)
{
    Bench b = {};
    GOptionEntry options[] = {
        { "quick", 0, 0, G_OPTION_ARG_NONE, &b.quick, "few and short runs" },
        { "list", 0, 0, G_OPTION_ARG_NONE, &b.list, "name the cases" },
        { "filter", 0, 0, G_OPTION_ARG_STRING, (void *)&b.filter,
          "those whose name matches", "GLOB" },
        { }
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) err = NULL;

    /* As GLib is from 2.76 on: its slices kept what was freed. */
    g_setenv("G_SLICE", "always-malloc", true);
    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &err)) {
        fprintf(stderr, "svm-bench: %s\n", err->message);
        return 2;
    }
    if (!b.list) {
        start(&b);
    }
    bench_all(&b);
    if (!b.list) {
        stop(&b);
    }
    return 0;
}
