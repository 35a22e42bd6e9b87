/*
 * Stress device of shared virtual memory
 *
 * Its threads translate, fault and copy on their own, through the DMA helper
 * and through the PCI-level API, while the guest, of which one thread is here
 * too, changes page tables and all else. svm-oracle.c checks each access; the
 * page requests that are sent without the helper are checked here, that each
 * ends exactly once. docs/specs/svm-stress.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/coroutine.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "qapi/error.h"
#include "qom/object.h"
#include "block/aio-wait.h"
#include "hw/misc/svm-oracle.h"
#include "hw/pci/pci_atc.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pci_svm_dma.h"
#include "hw/pci/pcie.h"
#include "migration/vmstate.h"
#include "system/iothread.h"
#include "system/memory.h"

#define TYPE_SVM_STRESS "svm-stress"
OBJECT_DECLARE_SIMPLE_TYPE(SVMStress, SVM_STRESS)

#define REG(offset)         ((offset) / sizeof(uint64_t))

#define STRESS_PAGE         4096
#define STRESS_THREADS      8

/* Operations of a thread at a time, and of the test in the main loop */
#define STRESS_AGENTS       4

#define STRESS_SPIN_MAX     (50 * SCALE_US)
#define STRESS_RESULTS      8
#define STRESS_WALKS        1000
#define STRESS_WALKED       (SVM_STRESS_PROCESSES - 1)

/* How long a translation lies about, in terms of what an access takes */
#define STRESS_LINGER       8

/* Pauses, of real time: after a failure, and between the guest's changes */
#define STRESS_PAUSE_NS     (50 * SCALE_US)
#define STRESS_CHANGE_US    20

/* Bytes of an access at most */
#define STRESS_LEN_SMALL    (3 * STRESS_PAGE)
#define STRESS_LEN_BLOCK    (128 * 1024)

/* What is known of a page request group of PASID_PAGE */
typedef enum StressGroup {
    GROUP_IDLE,
    GROUP_CALLING,      /* the call has not returned */
    GROUP_ANSWERED,     /* likewise, and the response has come */
    GROUP_DOUBTED,      /* likewise, and the interface was disabled */
    GROUP_SENT,
    GROUP_MAYBE,        /* sent, before or after it was disabled */
} StressGroup;

typedef struct StressAgent {
    SVMStress *s;
    uint64_t random;
    uint8_t data;
    bool once;
} StressAgent;

struct SVMStress {
    PCIDevice parent_obj;

    MemoryRegion bar;
    uint64_t reg[REG(SVM_STRESS_REG_END)];
    SVMOracle *oracle;
    PCISVMDMA *dma;
    PCIATC *atc;
    IOMMUNotifier iotlb[SVM_STRESS_PROCESSES];
    IOMMUPRINotifier pri;
    Notifier state_notifier;

    unsigned threads;
    IOThread *iothread[STRESS_THREADS];
    QemuThread guest;
    bool has_guest;
    bool gone;                  /* what has waited for the BQL comes late */
    bool stop;                  /* atomic, as are those that follow */
    bool is_open;
    unsigned running;
    unsigned ended;
    int last;
    unsigned reason[SVM_STRESS_REASONS];

    QemuMutex lock;             /* the members below */
    PCISVMDMAContext *ctx[SVM_STRESS_PROCESSES];
    StressGroup group[PCI_PRI_PRGI_MASK + 1];
    unsigned sent;
    unsigned answered;
    unsigned lost;
};

static uint64_t stress_reg(SVMStress *s, unsigned offset)
{
    return s->reg[REG(offset)];
}

static uint64_t stress_process_reg(SVMStress *s, unsigned process,
                                   unsigned offset)
{
    return stress_reg(s, SVM_STRESS_PROCESS(process) + offset);
}

/* xorshift64*: the same numbers for the same seed */
static uint64_t stress_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

static uint64_t stress_seed(SVMStress *s, unsigned n)
{
    uint64_t state = stress_reg(s, SVM_STRESS_SEED) + n;

    state = (state + 1) * 0x9e3779b97f4a7c15ULL;
    return state ?: 1;
}

/* ns that something takes */
static unsigned stress_spin(StressAgent *a)
{
    uint64_t max = MIN(stress_reg(a->s, SVM_STRESS_SPIN), STRESS_SPIN_MAX);

    return stress_random(&a->random) % (max + 1);
}

/* Be slow where something may happen in between. */
static void stress_linger(StressAgent *a)
{
    int64_t end = get_clock() + STRESS_LINGER * stress_spin(a);

    while (get_clock() < end) {
        ;
    }
}

/*
 * What an agent accesses next
 */

typedef struct StressAccess {
    StressAgent *agent;
    unsigned process;
    uint64_t offset;
    uint64_t len;
    bool is_write;
} StressAccess;

static uint64_t stress_access_addr(const StressAccess *x)
{
    return stress_process_reg(x->agent->s, x->process, SVM_STRESS_IOVA) +
           x->offset;
}

static uint32_t stress_access_pasid(const StressAccess *x)
{
    return stress_process_reg(x->agent->s, x->process, SVM_STRESS_PASID);
}

static void stress_choose_access(StressAgent *a, StressAccess *x)
{
    bool block = stress_random(&a->random) & 1;
    bool hot = stress_random(&a->random) & 1;
    uint64_t size = block ? SVM_STRESS_BLOCK
                  : hot ? SVM_STRESS_HOT_PAGES * STRESS_PAGE
                        : SVM_STRESS_PAGES * STRESS_PAGE;
    uint64_t max = block ? STRESS_LEN_BLOCK : STRESS_LEN_SMALL;
    uint64_t offset = stress_random(&a->random) % size;

    *x = (StressAccess) {
        .agent = a,
        .process = stress_random(&a->random) % SVM_STRESS_PROCESSES,
        .offset = (block ? SVM_STRESS_BLOCK : 0) + offset,
        .len = MIN(1 + stress_random(&a->random) % max, size - offset),
        .is_write = stress_random(&a->random) & 1,
    };
}

static void stress_do_access(StressAccess *x, void *host, size_t len)
{
    StressAgent *a = x->agent;

    svm_oracle_access(a->s->oracle, x->process, x->offset, host, len,
                      x->is_write, stress_spin(a), &a->data);
    x->offset += len;
}

/*
 * Through the DMA helper
 */

static PCISVMDMAContext *stress_get_context(SVMStress *s, unsigned process)
{
    QEMU_LOCK_GUARD(&s->lock);
    return s->ctx[process] ? pci_svm_dma_ref(s->ctx[process]) : NULL;
}

static int stress_piece(void *host, size_t len, void *opaque)
{
    stress_do_access(opaque, host, len);
    return 0;
}

static int coroutine_fn stress_co_dma(StressAgent *a)
{
    PCISVMDMAContext *ctx;
    PCISVMDMAError err = {};
    StressAccess x;
    int ret;

    stress_choose_access(a, &x);
    ctx = stress_get_context(a->s, x.process);
    if (!ctx) {
        return -ENODEV;
    }
    ret = pci_svm_dma_co_walk(ctx, stress_access_addr(&x), x.len, x.is_write, 0,
                              stress_piece, &x, &err);
    pci_svm_dma_unref(ctx);
    qatomic_inc(&a->s->reason[err.reason % SVM_STRESS_REASONS]);
    return ret;
}

/*
 * Through the PCI-level API, with a cache of our own
 */

static void stress_invalidated(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    SVMStress *s = n->opaque;

    pci_atc_invalidate(s->atc, entry->pasid, entry->iova,
                       entry->iova + entry->addr_mask);
}

static void stress_check_results(SVMStress *s, unsigned process, ssize_t ret)
{
    if (ret == 0) {
        svm_oracle_violation(s->oracle, SVM_STRESS_NO_RESULT, process, 0);
    }
}

static bool stress_translate(SVMStress *s, const StressAccess *x,
                             IOMMUTLBEntry *entry, PCIATCTicket *ticket)
{
    IOMMUAccessFlags need = x->is_write ? IOMMU_RW : IOMMU_RO;
    uint64_t page = stress_access_addr(x) & ~(STRESS_PAGE - 1ULL);
    IOMMUTLBEntry result[STRESS_RESULTS];
    uint32_t pasid = stress_access_pasid(x), errors;
    ssize_t ret;

    if (pci_atc_lookup(s->atc, pasid, page, need, entry, ticket)) {
        return true;
    }
    /* In this order: what is closed later outdates the ticket. */
    *ticket = pci_atc_get_ticket(s->atc);
    if (!qatomic_load_acquire(&s->is_open)) {
        return false;
    }
    ret = pci_ats_request_translation(&s->parent_obj, pasid, false, false, page,
                                      ROUND_UP(x->len, STRESS_PAGE),
                                      !x->is_write, result, STRESS_RESULTS,
                                      &errors);
    stress_check_results(s, x->process, ret);
    if (ret <= 0 && ret != -ENOMEM) {
        return false;
    }
    pci_atc_insert(s->atc, pasid, result, ret < 0 ? STRESS_RESULTS : ret,
                   *ticket);
    *entry = result[0];
    return (entry->perm & need) == need;
}

/*
 * By way of the bus, which must let it through. dma_memory_rw() would take the
 * BQL while the function is no bus master, and there is no RAM on its bus.
 */
static void stress_translated_access(SVMStress *s, StressAccess *x,
                                     const IOMMUTLBEntry *entry)
{
    const MemTxAttrs attrs = {
        .requester_id = pci_requester_id(&s->parent_obj),
        .address_type = PCI_AT_TRANSLATED,
    };
    hwaddr in = stress_access_addr(x) & entry->addr_mask;
    hwaddr len = MIN(x->len, entry->addr_mask + 1 - in);
    MemoryRegion *mr;
    hwaddr offset;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(pci_get_address_space(&s->parent_obj),
                                 entry->translated_addr + in, &offset, &len,
                                 x->is_write, attrs);
    if (memory_access_is_direct(mr, x->is_write, attrs)) {
        stress_do_access(x, (uint8_t *)memory_region_get_ram_ptr(mr) + offset,
                         len);
    }
}

static int stress_translated(StressAgent *a)
{
    SVMStress *s = a->s;
    PCIATCTicket ticket;
    IOMMUTLBEntry entry;
    StressAccess x;
    PCIATCUse use;

    stress_choose_access(a, &x);
    if (!stress_translate(s, &x, &entry, &ticket)) {
        return -EFAULT;
    }
    stress_linger(a);
    if (!pci_atc_use_begin(s->atc, &use, stress_access_pasid(&x), &entry,
                           ticket)) {
        return -EAGAIN;
    }
    stress_translated_access(s, &x, &entry);
    pci_atc_use_end(s->atc, &use);
    return 0;
}

/* Nothing is cached: each of them is a walk. */
static int stress_walk(StressAgent *a)
{
    SVMStress *s = a->s;
    uint64_t addr = stress_process_reg(s, STRESS_WALKED, SVM_STRESS_IOVA);
    uint32_t pasid = stress_process_reg(s, STRESS_WALKED, SVM_STRESS_PASID);
    IOMMUTLBEntry result;
    uint32_t errors;
    ssize_t ret = 0;

    for (int i = 0; i < STRESS_WALKS && ret >= 0; i++) {
        ret = pci_ats_request_translation(&s->parent_obj, pasid, false, false,
                                          addr, STRESS_PAGE, true, &result, 1,
                                          &errors);
        stress_check_results(s, STRESS_WALKED, ret);
    }
    return MIN(ret, 0);
}

/*
 * Page requests
 */

static bool stress_begin_group(SVMStress *s, uint16_t prgi)
{
    QEMU_LOCK_GUARD(&s->lock);
    if (s->group[prgi] != GROUP_IDLE) {
        return false;
    }
    s->group[prgi] = GROUP_CALLING;
    return true;
}

static void stress_end_group(SVMStress *s, uint16_t prgi, int ret)
{
    QEMU_LOCK_GUARD(&s->lock);

    /* Counters are read without the lock. */
    qatomic_set(&s->sent, s->sent + !ret);
    if (s->group[prgi] == GROUP_CALLING) {
        s->group[prgi] = ret ? GROUP_IDLE : GROUP_SENT;
    } else if (s->group[prgi] == GROUP_DOUBTED) {
        s->group[prgi] = ret ? GROUP_IDLE : GROUP_MAYBE;
    } else {
        if (ret) {
            svm_oracle_violation(s->oracle, SVM_STRESS_NOT_ASKED, 0, prgi);
        }
        s->group[prgi] = GROUP_IDLE;
    }
}

static int stress_request_page(StressAgent *a)
{
    SVMStress *s = a->s;
    uint16_t prgi = stress_random(&a->random) & PCI_PRI_PRGI_MASK;
    int ret;

    if (!qatomic_load_acquire(&s->is_open) || !stress_begin_group(s, prgi)) {
        return -EBUSY;
    }
    ret = pci_pri_request_page(&s->parent_obj,
                               stress_reg(s, SVM_STRESS_PASID_PAGE), false,
                               false, (uint64_t)prgi * STRESS_PAGE, true, prgi,
                               true, true);
    stress_end_group(s, prgi, ret);
    return ret;
}

static void stress_responded(IOMMUPRINotifier *n, IOMMUPRIResponse *response)
{
    SVMStress *s = container_of(n, SVMStress, pri);
    StressGroup *group = &s->group[response->prgi & PCI_PRI_PRGI_MASK];

    QEMU_LOCK_GUARD(&s->lock);
    qatomic_set(&s->answered, s->answered + 1);
    if (*group == GROUP_IDLE || *group == GROUP_ANSWERED) {
        svm_oracle_violation(s->oracle, SVM_STRESS_NOT_ASKED, 0,
                             response->prgi);
        return;
    }
    *group = *group == GROUP_CALLING || *group == GROUP_DOUBTED
             ? GROUP_ANSWERED : GROUP_IDLE;
}

/* Requests that were sent before PRI was disabled get no response. */
static void stress_lose_groups(SVMStress *s)
{
    QEMU_LOCK_GUARD(&s->lock);
    for (unsigned i = 0; i < ARRAY_SIZE(s->group); i++) {
        StressGroup group = s->group[i];

        if (group == GROUP_SENT || group == GROUP_MAYBE) {
            s->group[i] = GROUP_IDLE;
            qatomic_set(&s->lost, s->lost + 1);
        } else if (group == GROUP_CALLING) {
            s->group[i] = GROUP_DOUBTED;
        }
    }
}

static unsigned stress_outstanding(SVMStress *s)
{
    unsigned count = 0;

    QEMU_LOCK_GUARD(&s->lock);
    for (unsigned i = 0; i < ARRAY_SIZE(s->group); i++) {
        count += s->group[i] != GROUP_IDLE;
    }
    return count;
}

static void stress_state_changed(Notifier *n, void *data)
{
    SVMStress *s = container_of(n, SVMStress, state_notifier);

    pci_atc_invalidate_all(s->atc);
    if (!pcie_pri_enabled(&s->parent_obj)) {
        stress_lose_groups(s);
    }
}

/*
 * Threads
 */

static int coroutine_fn stress_co_once(StressAgent *a, unsigned kind)
{
    switch (kind) {
    case SVM_STRESS_KIND_TRANSLATE:
        return stress_translated(a);
    case SVM_STRESS_KIND_PAGE:
        return stress_request_page(a);
    case SVM_STRESS_KIND_WALK:
        return stress_walk(a);
    default:
        return stress_co_dma(a);
    }
}

/* One of the kinds that are wanted, at random */
static unsigned stress_choose_kind(StressAgent *a)
{
    unsigned kinds = stress_reg(a->s, SVM_STRESS_KINDS) &
                     (SVM_STRESS_KIND_DMA | SVM_STRESS_KIND_TRANSLATE |
                      SVM_STRESS_KIND_PAGE | SVM_STRESS_KIND_WALK);
    unsigned kind;

    if (a->once || !kinds) {
        return SVM_STRESS_KIND_DMA;
    }
    do {
        kind = 1u << stress_random(&a->random) % 5;
    } while (!(kind & kinds));
    return kind;
}

static void coroutine_fn stress_agent_co_entry(void *opaque)
{
    StressAgent *a = opaque;
    SVMStress *s = a->s;
    int ret;

    do {
        ret = stress_co_once(a, stress_choose_kind(a));
        qatomic_set(&s->last, ret);
        qatomic_inc(&s->ended);
        if (a->once) {
            break;
        }
        /* Others of the thread want to run, too. */
        qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, ret ? STRESS_PAUSE_NS : 1);
    } while (!qatomic_read(&s->stop));
    g_free(a);
    qatomic_dec(&s->running);
    aio_wait_kick();
}

static void stress_start_agent(SVMStress *s, AioContext *aio, uint64_t seed,
                               bool once)
{
    StressAgent *a = g_new(StressAgent, 1);

    *a = (StressAgent) {
        .s = s, .random = seed, .once = once,
    };
    qatomic_inc(&s->running);
    aio_co_enter(aio, qemu_coroutine_create(stress_agent_co_entry, a));
}

static void *stress_guest_thread(void *opaque)
{
    SVMStress *s = opaque;
    uint64_t random = stress_seed(s, STRESS_THREADS * STRESS_AGENTS);
    bool walk = stress_reg(s, SVM_STRESS_KINDS) & SVM_STRESS_KIND_WALK;

    rcu_register_thread();
    while (!qatomic_read(&s->stop)) {
        if (walk) {
            svm_oracle_tag(s->oracle, STRESS_WALKED, 0);
            continue;
        }
        svm_oracle_change(s->oracle, stress_random(&random));
        g_usleep(random % STRESS_CHANGE_US);
    }
    rcu_unregister_thread();
    qatomic_dec(&s->running);
    aio_wait_kick();
    return NULL;
}

static bool stress_start_thread(SVMStress *s, unsigned n)
{
    static unsigned counter;
    g_autofree char *id = g_strdup_printf("svm-stress-%u", counter++);
    Error *err = NULL;

    s->iothread[n] = iothread_create(id, &err);
    if (!s->iothread[n]) {
        error_free(err);
        return false;
    }
    for (unsigned i = 0; i < STRESS_AGENTS; i++) {
        stress_start_agent(s, iothread_get_aio_context(s->iothread[n]),
                           stress_seed(s, n * STRESS_AGENTS + i), false);
    }
    s->threads++;
    return true;
}

static void stress_start(SVMStress *s)
{
    unsigned threads = MIN(stress_reg(s, SVM_STRESS_THREADS), STRESS_THREADS);

    qatomic_set(&s->stop, false);
    while (s->threads < threads && stress_start_thread(s, s->threads)) {
        ;
    }
    s->has_guest = stress_reg(s, SVM_STRESS_KINDS) & SVM_STRESS_KIND_GUEST;
    if (s->has_guest) {
        qatomic_inc(&s->running);
        qemu_thread_create(&s->guest, "svm-stress-guest", stress_guest_thread,
                           s, QEMU_THREAD_JOINABLE);
    }
}

static void stress_join(SVMStress *s)
{
    if (s->has_guest) {
        qemu_thread_join(&s->guest);
        s->has_guest = false;
    }
    while (s->threads) {
        s->threads--;
        iothread_destroy(s->iothread[s->threads]);
    }
}

static bool stress_is_running(SVMStress *s)
{
    if (qatomic_read(&s->running)) {
        return true;
    }
    stress_join(s);
    return false;
}

/*
 * PASIDs
 */

static void stress_close(SVMStress *s)
{
    PCIDevice *dev = &s->parent_obj;
    PCISVMDMAContext *ctx[SVM_STRESS_PROCESSES];

    qatomic_store_release(&s->is_open, false);
    WITH_QEMU_LOCK_GUARD(&s->lock) {
        memcpy(ctx, s->ctx, sizeof(ctx));
        memset(s->ctx, 0, sizeof(s->ctx));
    }
    pci_atc_invalidate_all(s->atc);
    for (unsigned i = 0; i < SVM_STRESS_PROCESSES; i++) {
        pci_svm_dma_close(ctx[i]);
        pci_iommu_unregister_iotlb_notifier(
            dev, stress_process_reg(s, i, SVM_STRESS_PASID), &s->iotlb[i]);
    }
}

static bool stress_open_process(SVMStress *s, unsigned i)
{
    PCIDevice *dev = &s->parent_obj;
    uint32_t pasid = stress_process_reg(s, i, SVM_STRESS_PASID);
    PCISVMDMAContext *ctx = pci_svm_dma_open(s->dma, pasid, NULL);

    if (!ctx) {
        return false;
    }
    WITH_QEMU_LOCK_GUARD(&s->lock) {
        s->ctx[i] = ctx;
    }
    return !pci_iommu_init_iotlb_notifier(dev, &s->iotlb[i],
                                          stress_invalidated, s) &&
           !pci_iommu_register_iotlb_notifier(dev, pasid, &s->iotlb[i]);
}

/* The notifier of responses stays: what was sent is answered some day. */
static void stress_open(SVMStress *s)
{
    bool ok = true;
    int ret;

    for (unsigned i = 0; i < SVM_STRESS_PROCESSES; i++) {
        ok = ok && stress_open_process(s, i);
    }
    ret = pci_pri_register_notifier(&s->parent_obj,
                                    stress_reg(s, SVM_STRESS_PASID_PAGE),
                                    &s->pri);
    if (!ok || (ret && ret != -EBUSY)) {
        stress_close(s);
        return;
    }
    qatomic_store_release(&s->is_open, true);
}

static void stress_set_up(SVMStress *s)
{
    SVMOracleProcess process[SVM_STRESS_PROCESSES];

    for (unsigned i = 0; i < SVM_STRESS_PROCESSES; i++) {
        process[i] = (SVMOracleProcess) {
            .arena = stress_process_reg(s, i, SVM_STRESS_ARENA),
            .small = stress_process_reg(s, i, SVM_STRESS_SMALL),
            .huge = stress_process_reg(s, i, SVM_STRESS_HUGE),
            .split = stress_process_reg(s, i, SVM_STRESS_SPLIT),
        };
    }
    svm_oracle_free(s->oracle);
    s->oracle = svm_oracle_new(process);
}

/*
 * Registers
 */

static void stress_step(SVMStress *s)
{
    uint64_t *seed = &s->reg[REG(SVM_STRESS_SEED)];

    *seed = stress_seed(s, 0);
    stress_start_agent(s, qemu_get_aio_context(), *seed, true);
}

static void stress_change(SVMStress *s)
{
    uint64_t *seed = &s->reg[REG(SVM_STRESS_SEED)];

    *seed = stress_seed(s, 0);
    svm_oracle_change(s->oracle, *seed);
}

/* With an oracle, without threads */
static void stress_begin(SVMStress *s, uint64_t cmd)
{
    if (!s->oracle || stress_is_running(s)) {
        return;
    }
    if (cmd == SVM_STRESS_START) {
        stress_start(s);
    } else if (cmd == SVM_STRESS_ACCESS) {
        stress_step(s);
    }
}

static void stress_command(SVMStress *s, uint64_t cmd)
{
    switch (cmd) {
    case SVM_STRESS_SETUP:
        if (!s->is_open && !stress_is_running(s)) {
            stress_set_up(s);
        }
        break;
    case SVM_STRESS_OPEN:
        if (s->oracle && !s->is_open) {
            stress_open(s);
        }
        break;
    case SVM_STRESS_CLOSE:
        stress_close(s);
        break;
    case SVM_STRESS_STOP:
        qatomic_set(&s->stop, true);
        break;
    case SVM_STRESS_CHANGE:
        if (s->oracle && !s->threads && !s->has_guest) {
            stress_change(s);
        }
        break;
    default:
        stress_begin(s, cmd);
        break;
    }
}

static uint64_t stress_read_pending(SVMStress *s, hwaddr addr)
{
    for (unsigned i = 0; i < SVM_STRESS_PROCESSES; i++) {
        if (addr == SVM_STRESS_PROCESS(i) + SVM_STRESS_PENDING) {
            return svm_oracle_pending(s->oracle, i);
        }
    }
    return stress_reg(s, addr);
}

static bool stress_write_pending(SVMStress *s, hwaddr addr, uint64_t val)
{
    for (unsigned i = 0; i < SVM_STRESS_PROCESSES; i++) {
        if (addr == SVM_STRESS_PROCESS(i) + SVM_STRESS_PENDING) {
            svm_oracle_settle(s->oracle, i, val);
            return true;
        }
    }
    return false;
}

static uint64_t stress_read_status(SVMStress *s, hwaddr addr)
{
    switch (addr) {
    case SVM_STRESS_RUNNING:
        return stress_is_running(s) ? qatomic_read(&s->running) : 0;
    case SVM_STRESS_IS_OPEN:
        return s->is_open;
    case SVM_STRESS_OUTSTANDING:
        return stress_outstanding(s);
    case SVM_STRESS_SENT:
        return qatomic_read(&s->sent);
    case SVM_STRESS_ANSWERED:
        return qatomic_read(&s->answered);
    case SVM_STRESS_LOST:
        return qatomic_read(&s->lost);
    case SVM_STRESS_ENDED:
        return qatomic_read(&s->ended);
    case SVM_STRESS_LAST:
        return qatomic_read(&s->last);
    default:
        return s->oracle ? svm_oracle_count(s->oracle, addr) : 0;
    }
}

static uint64_t stress_mmio_read(void *opaque, hwaddr addr, unsigned size)
{
    SVMStress *s = opaque;
    hwaddr reason = (addr - SVM_STRESS_REASON(0)) / sizeof(uint64_t);

    if (s->gone) {
        return UINT64_MAX;
    }
    if (addr < SVM_STRESS_RUNNING) {
        return s->oracle ? stress_read_pending(s, addr) : stress_reg(s, addr);
    }
    if (addr < SVM_STRESS_REG_END) {
        return stress_read_status(s, addr);
    }
    return reason < SVM_STRESS_REASONS ? qatomic_read(&s->reason[reason]) : 0;
}

static void stress_mmio_write(void *opaque, hwaddr addr, uint64_t val,
                              unsigned size)
{
    SVMStress *s = opaque;

    if (s->gone) {
        return;
    }
    if (addr == SVM_STRESS_CMD) {
        stress_command(s, val);
    } else if (s->oracle && stress_write_pending(s, addr, val)) {
        return;
    } else if (addr < SVM_STRESS_RUNNING && !s->is_open && !s->threads) {
        s->reg[REG(addr)] = val;
    }
}

static const MemoryRegionOps stress_mmio_ops = {
    .read = stress_mmio_read,
    .write = stress_mmio_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 8, .max_access_size = 8 },
    .impl = { .min_access_size = 8, .max_access_size = 8 },
};

/*
 * Life cycle
 */

static void stress_write_config(PCIDevice *dev, uint32_t addr, uint32_t val,
                                int len)
{
    pci_default_write_config(dev, addr, val, len);
    pcie_cap_flr_write_config(dev, addr, val, len);
}

static void stress_reset_hold(Object *obj, ResetType type)
{
    stress_close(SVM_STRESS(obj));
}

static void stress_realize(PCIDevice *dev, Error **errp)
{
    SVMStress *s = SVM_STRESS(dev);

#ifndef CONFIG_ATOMIC64
    error_setg(errp, "svm-stress needs a host with 64-bit atomic operations");
    return;
#endif
    memory_region_init_io(&s->bar, OBJECT(s), &stress_mmio_ops, s, "svm-stress",
                          SVM_STRESS_BAR_SIZE);
    pci_register_bar(dev, SVM_STRESS_BAR, PCI_BASE_ADDRESS_SPACE_MEMORY |
                     PCI_BASE_ADDRESS_MEM_TYPE_64, &s->bar);
    pcie_endpoint_cap_init(dev, SVM_STRESS_CAP_EXP);
    pcie_cap_flr_init(dev);
    pcie_pasid_init(dev, SVM_STRESS_CAP_PASID, PCI_PASID_WIDTH_MAX, true, true);
    pcie_ats_init(dev, SVM_STRESS_CAP_ATS, true);
    pcie_ats_set_global_invalidate(dev);
    pcie_pri_init(dev, SVM_STRESS_CAP_PRI, SVM_STRESS_PRI_CAPACITY, true);
    qemu_mutex_init(&s->lock);
    s->gone = false;
    s->pri.notify = stress_responded;
    s->atc = pci_atc_new(SVM_STRESS_PROCESSES * SVM_STRESS_UNITS);
    s->dma = pci_svm_dma_new(dev, 0);
    s->state_notifier.notify = stress_state_changed;
    pci_svm_add_state_notifier(dev, &s->state_notifier);
}

/* Threads in the midst of something are waited for, and need no BQL. */
static void stress_exit(PCIDevice *dev)
{
    SVMStress *s = SVM_STRESS(dev);

    s->gone = true;
    qatomic_set(&s->stop, true);
    stress_close(s);
    AIO_WAIT_WHILE_UNLOCKED(NULL, qatomic_read(&s->running));
    stress_join(s);
    notifier_remove(&s->state_notifier);
    g_clear_pointer(&s->dma, pci_svm_dma_free);
    g_clear_pointer(&s->atc, pci_atc_free);
    g_clear_pointer(&s->oracle, svm_oracle_free);
    qemu_mutex_destroy(&s->lock);
}

static const VMStateDescription stress_vmstate = {
    .name = TYPE_SVM_STRESS,
    .unmigratable = 1,
};

static void stress_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);

    pc->realize = stress_realize;
    pc->exit = stress_exit;
    pc->config_write = stress_write_config;
    pc->vendor_id = SVM_STRESS_VENDOR_ID;
    pc->device_id = SVM_STRESS_DEVICE_ID;
    pc->class_id = PCI_CLASS_OTHERS;
    rc->phases.hold = stress_reset_hold;
    dc->desc = "Stress device for shared virtual memory";
    dc->vmsd = &stress_vmstate;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo stress_types[] = {
    {
        .name = TYPE_SVM_STRESS,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(SVMStress),
        .class_init = stress_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
};

DEFINE_TYPES(stress_types)
