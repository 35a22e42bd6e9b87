/*
 * PCIe Page Request Interface (PRI) extended capability
 *
 * PCIe Base Specification r6.0, sections 10.4 and 10.5.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/lockable.h"
#include "qemu/range.h"
#include "hw/pci/pci_bus.h"
#include "hw/pci/pci_device.h"
#include "hw/pci/pcie_pri.h"

#define PRI_CAP_VERSION 1

/*
 * The requests in flight. @lock is a leaf: nothing is called with it held.
 * @groups has at most as many elements as there are credits, so its size is
 * bounded by the capacity that the device's author chose.
 */
struct PCIEPRIState {
    QemuMutex lock;
    GHashTable *groups;         /* pri_key() -> PRIGroup */
    uint32_t outstanding;       /* requests in all groups */
    uint32_t reserved;          /* those that groups have credits for, unsent */
    unsigned forgotten[PCI_DEVFN_MAX]; /* how often; read without the lock */
    bool failed;                /* Response Failure since PRI was enabled */
    bool response_pasid;        /* PRG Response PASID Required */
    uint64_t serial;            /* of the latest group */
};

typedef struct PRIGroup {
    uint64_t key;
    uint64_t serial;
    uint32_t pasid;
    uint32_t requests;
    bool complete;              /* the last request was sent */
    bool planned;               /* it has its credits from the beginning */
    uint32_t reserved;          /* of them, those that are left */
} PRIGroup;

#define PRI_KEY_DEVFN_SHIFT 48

/*
 * Each (function, PASID) has its own 512 indices, or each function if its
 * responses carry no PASID. Virtual functions share the state.
 */
static uint64_t pri_key(const PCIDevice *dev, uint32_t pasid, uint16_t prgi)
{
    if (!pcie_pri_response_pasid_required(dev)) {
        pasid = PCI_NO_PASID;
    }
    return (uint64_t)dev->devfn << PRI_KEY_DEVFN_SHIFT |
           (uint64_t)pasid << 16 | prgi;
}

/* A virtual function uses the capability of its physical function. */
static PCIDevice *pri_owner(const PCIDevice *dev)
{
    return pci_is_vf(dev) ? pcie_sriov_get_pf((PCIDevice *)dev)
                          : (PCIDevice *)dev;
}

static uint16_t pri_control(const PCIDevice *owner)
{
    return pci_get_word(owner->config + owner->exp.pri_cap + PCI_PRI_CTRL);
}

/*
 * Called with the lock held, after anything that Stopped depends on. A device's
 * thread comes here without the BQL: it leaves alone the byte of the bits that
 * software clears.
 */
static void pri_update_stopped(PCIDevice *owner)
{
    PCIEPRIState *pri = owner->exp.pri;
    uint8_t *status = owner->config + owner->exp.pri_cap + PCI_PRI_STATUS + 1;
    bool running = (pri_control(owner) & PCI_PRI_CTRL_ENABLE) && !pri->failed;

    if (running || pri->outstanding) {
        pci_byte_test_and_clear_mask(status, PCI_PRI_STATUS_STOPPED >> 8);
    } else {
        pci_byte_test_and_set_mask(status, PCI_PRI_STATUS_STOPPED >> 8);
    }
}

static void pri_forget_groups(PCIDevice *owner)
{
    PCIEPRIState *pri = owner->exp.pri;

    g_hash_table_remove_all(pri->groups);
    pri->outstanding = 0;
    pri->reserved = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(pri->forgotten); i++) {
        qatomic_set(&pri->forgotten[i], pri->forgotten[i] + 1);
    }
}

static void pri_remove_group(PCIEPRIState *pri, PRIGroup *group)
{
    uint64_t key = group->key;

    pri->outstanding -= group->requests;
    pri->reserved -= group->reserved;
    g_hash_table_remove(pri->groups, &key);
}

void pcie_pri_init(PCIDevice *dev, uint16_t offset,
                   uint32_t outstanding_pr_cap, bool prg_response_pasid_req)
{
    PCIEPRIState *pri = g_new0(PCIEPRIState, 1);
    uint8_t *config = dev->config + offset;

    pcie_add_capability(dev, PCI_EXT_CAP_ID_PRI, PRI_CAP_VERSION, offset,
                        PCI_EXT_CAP_PRI_SIZEOF);
    dev->exp.pri_cap = offset;
    dev->exp.pri = pri;
    pri->response_pasid = prg_response_pasid_req;
    qemu_mutex_init(&pri->lock);
    pri->groups = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL,
                                        g_free);

    pci_set_word(config + PCI_PRI_STATUS, PCI_PRI_STATUS_STOPPED |
                 (prg_response_pasid_req ? PCI_PRI_STATUS_PASID : 0));
    /* Stopped is state, which may differ where a migration arrives. */
    pci_word_test_and_clear_mask(dev->cmask + offset + PCI_PRI_STATUS,
                                 PCI_PRI_STATUS_STOPPED);
    pci_set_long(config + PCI_PRI_MAX_REQ, outstanding_pr_cap);
    pci_set_word(dev->wmask + offset + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    pci_set_word(dev->w1cmask + offset + PCI_PRI_STATUS,
                 PCI_PRI_STATUS_RF | PCI_PRI_STATUS_UPRGI);
    pci_set_long(dev->wmask + offset + PCI_PRI_ALLOC_REQ, UINT32_MAX);
}

static bool pri_group_is_of(const PRIGroup *group, const PCIDevice *dev)
{
    return group->key >> PRI_KEY_DEVFN_SHIFT == dev->devfn;
}

/* The other functions that share the interface go on waiting for theirs. */
static void pri_forget_vf(PCIDevice *vf)
{
    PCIDevice *owner = pri_owner(vf);
    PCIEPRIState *pri = owner->exp.pri;
    GHashTableIter iter;
    PRIGroup *group;

    if (!pri) {
        return;
    }
    QEMU_LOCK_GUARD(&pri->lock);
    g_hash_table_iter_init(&iter, pri->groups);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&group)) {
        if (pri_group_is_of(group, vf)) {
            pri->outstanding -= group->requests;
            pri->reserved -= group->reserved;
            g_hash_table_iter_remove(&iter);
        }
    }
    qatomic_set(&pri->forgotten[vf->devfn], pri->forgotten[vf->devfn] + 1);
    pri_update_stopped(owner);
}

void pcie_pri_exit(PCIDevice *dev)
{
    PCIEPRIState *pri = g_steal_pointer(&dev->exp.pri);

    if (pri) {
        g_hash_table_destroy(pri->groups);
        qemu_mutex_destroy(&pri->lock);
        g_free(pri);
    }
}

void pcie_pri_reset(PCIDevice *dev)
{
    PCIEPRIState *pri = dev->exp.pri;
    uint8_t *config = dev->config + dev->exp.pri_cap;

    if (pci_is_vf(dev)) {
        pri_forget_vf(dev);
        return;
    }
    if (!pri) {
        return;
    }
    QEMU_LOCK_GUARD(&pri->lock);
    pci_set_word(config + PCI_PRI_CTRL, 0);
    pci_word_test_and_clear_mask(config + PCI_PRI_STATUS,
                                 PCI_PRI_STATUS_RF | PCI_PRI_STATUS_UPRGI);
    pci_set_long(config + PCI_PRI_ALLOC_REQ, 0);
    qatomic_set(&pri->failed, false);
    pri_forget_groups(dev);
    pri_update_stopped(dev);
}

void pcie_pri_post_load(PCIDevice *dev)
{
    PCIEPRIState *pri = dev->exp.pri;
    uint16_t status;

    if (!pri) {
        return;
    }
    QEMU_LOCK_GUARD(&pri->lock);
    status = pci_get_word(dev->config + dev->exp.pri_cap + PCI_PRI_STATUS);
    /* Enabled and Stopped at once: that is what a Response Failure leaves. */
    qatomic_set(&pri->failed, (pri_control(dev) & PCI_PRI_CTRL_ENABLE) &&
                              (status & PCI_PRI_STATUS_STOPPED));
    pri_forget_groups(dev);
    pri_update_stopped(dev);
}

void pcie_pri_write_config(PCIDevice *dev, uint32_t addr, uint32_t val,
                           int len)
{
    PCIEPRIState *pri = dev->exp.pri;
    uint32_t ctrl = dev->exp.pri_cap + PCI_PRI_CTRL;
    bool reset;

    /* The status follows, and was written back as it had been before. */
    if (!pri || !ranges_overlap(addr, len, ctrl, 2 * sizeof(uint16_t))) {
        return;
    }
    reset = range_covers_byte(addr, len, ctrl) &&
            ((val >> (8 * (ctrl - addr))) & PCI_PRI_CTRL_RESET);

    QEMU_LOCK_GUARD(&pri->lock);
    if (!(pri_control(dev) & PCI_PRI_CTRL_ENABLE)) {
        qatomic_set(&pri->failed, false);
        if (reset) {
            pri_forget_groups(dev);
        }
    }
    pri_update_stopped(dev);
}

bool pcie_pri_enabled(const PCIDevice *dev)
{
    const PCIDevice *owner = pri_owner(dev);

    return owner->exp.pri && (pri_control(owner) & PCI_PRI_CTRL_ENABLE) &&
           !qatomic_read(&owner->exp.pri->failed);
}

static uint32_t pri_allocation(const PCIDevice *owner)
{
    const uint8_t *config = owner->config + owner->exp.pri_cap;

    return MIN(pci_get_long(config + PCI_PRI_ALLOC_REQ),
               pci_get_long(config + PCI_PRI_MAX_REQ));
}

uint32_t pcie_pri_get_req_alloc(const PCIDevice *dev)
{
    return pcie_pri_enabled(dev) ? pri_allocation(pri_owner(dev)) : 0;
}

bool pcie_pri_response_pasid_required(const PCIDevice *dev)
{
    const PCIDevice *owner = pri_owner(dev);

    return owner->exp.pri && owner->exp.pri->response_pasid;
}

/* A group that was planned keeps its credits if the allocation is lowered. */
static uint32_t pri_free_credits(const PCIDevice *owner)
{
    const PCIEPRIState *pri = owner->exp.pri;
    uint32_t allocation = pri_allocation(owner);

    return allocation - MIN(allocation, pri->outstanding + pri->reserved);
}

static PRIGroup *pri_add_group(PCIEPRIState *pri, uint64_t key, uint32_t pasid)
{
    PRIGroup *group = g_new0(PRIGroup, 1);

    group->key = key;
    group->serial = ++pri->serial;
    group->pasid = pasid;
    g_hash_table_insert(pri->groups, &group->key, group);
    return group;
}

int pcie_pri_plan_group(PCIDevice *dev, uint32_t pasid, uint16_t prgi,
                        unsigned count)
{
    PCIDevice *owner = pri_owner(dev);
    PCIEPRIState *pri = owner->exp.pri;
    uint64_t key = pri_key(dev, pasid, prgi);
    PRIGroup *group;
    uint32_t credits;

    if (!pri) {
        return -EPERM;
    }
    QEMU_LOCK_GUARD(&pri->lock);
    if (!pcie_pri_enabled(owner)) {
        return -EPERM;
    }
    credits = MIN(count, pri_free_credits(owner));
    if (!credits || g_hash_table_contains(pri->groups, &key)) {
        return -EBUSY;
    }
    group = pri_add_group(pri, key, pasid);
    group->planned = true;
    group->reserved = credits;
    pri->reserved += credits;
    return credits;
}

/* Take a credit for one more request of a group, which may be a new one. */
static bool pri_take_credit(PCIDevice *owner, PRIGroup *group)
{
    if (!group || !group->planned) {
        return pri_free_credits(owner);
    }
    if (!group->reserved) {
        return false;
    }
    group->reserved--;
    owner->exp.pri->reserved--;
    return true;
}

int pcie_pri_begin_request(PCIDevice *dev, uint32_t pasid, uint16_t prgi,
                           bool last, uint64_t *serial)
{
    PCIDevice *owner = pri_owner(dev);
    PCIEPRIState *pri = owner->exp.pri;
    uint64_t key = pri_key(dev, pasid, prgi);
    PRIGroup *group;

    if (!pri) {
        return -EPERM;
    }
    QEMU_LOCK_GUARD(&pri->lock);
    if (!pcie_pri_enabled(owner)) {
        return -EPERM;
    }
    group = g_hash_table_lookup(pri->groups, &key);
    if ((group && (group->complete || group->pasid != pasid)) ||
        !pri_take_credit(owner, group)) {
        return -EBUSY;
    }
    group = group ?: pri_add_group(pri, key, pasid);
    group->requests++;
    group->complete = last;
    pri->outstanding++;
    if (last) {
        pri->reserved -= group->reserved;
        group->reserved = 0;
    }
    *serial = group->serial;
    return 0;
}

void pcie_pri_cancel_request(PCIDevice *dev, uint32_t pasid, uint16_t prgi,
                             bool last, uint64_t serial)
{
    PCIDevice *owner = pri_owner(dev);
    PCIEPRIState *pri = owner->exp.pri;
    uint64_t key = pri_key(dev, pasid, prgi);
    PRIGroup *group;

    QEMU_LOCK_GUARD(&pri->lock);
    group = g_hash_table_lookup(pri->groups, &key);
    if (!group || group->serial != serial) {
        return;                 /* PRI was reset meanwhile */
    }
    if (last) {
        group->complete = false;
    }
    pri->outstanding--;
    group->requests--;
    if (group->planned) {
        group->reserved++;
        pri->reserved++;
    } else if (!group->requests) {
        pri_remove_group(pri, group);
    }
    pri_update_stopped(owner);
}

void pcie_pri_abandon_group(PCIDevice *dev, uint32_t pasid, uint16_t prgi)
{
    PCIDevice *owner = pri_owner(dev);
    PCIEPRIState *pri = owner->exp.pri;
    uint64_t key = pri_key(dev, pasid, prgi);
    PRIGroup *group;

    if (!pri) {
        return;
    }
    QEMU_LOCK_GUARD(&pri->lock);
    group = g_hash_table_lookup(pri->groups, &key);
    if (group && !group->complete && group->pasid == pasid) {
        pri_remove_group(pri, group);
        pri_update_stopped(owner);
    }
}

static void pri_set_status(PCIDevice *owner, uint16_t bit)
{
    pci_word_test_and_set_mask(owner->config + owner->exp.pri_cap +
                               PCI_PRI_STATUS, bit);
}

bool pcie_pri_end_group(PCIDevice *dev, uint32_t *pasid,
                        const IOMMUPRIResponse *response)
{
    PCIDevice *owner = pri_owner(dev);
    PCIEPRIState *pri = owner->exp.pri;
    uint64_t key = pri_key(dev, *pasid, response->prgi);
    PRIGroup *group;

    if (!pri) {
        return false;
    }
    QEMU_LOCK_GUARD(&pri->lock);
    if (pri->failed) {
        return false;           /* further responses are ignored */
    }
    group = g_hash_table_lookup(pri->groups, &key);
    if (!group || !group->complete) {
        pri_set_status(owner, PCI_PRI_STATUS_UPRGI);
        return false;
    }
    *pasid = group->pasid;
    pri_remove_group(pri, group);
    if (response->response_code == IOMMU_PRI_RESP_FAILURE) {
        pri_set_status(owner, PCI_PRI_STATUS_RF);
        qatomic_set(&pri->failed, true);
        pri_forget_groups(owner);
    }
    pri_update_stopped(owner);
    return true;
}

unsigned pcie_pri_get_forgotten(const PCIDevice *dev)
{
    PCIEPRIState *pri = pri_owner(dev)->exp.pri;

    return pri ? qatomic_read(&pri->forgotten[dev->devfn]) : 0;
}

uint32_t pcie_pri_get_outstanding(const PCIDevice *dev, const uint32_t *pasid)
{
    PCIEPRIState *pri = pri_owner(dev)->exp.pri;
    uint32_t outstanding = 0;
    GHashTableIter iter;
    PRIGroup *group;

    if (!pri) {
        return 0;
    }
    QEMU_LOCK_GUARD(&pri->lock);
    g_hash_table_iter_init(&iter, pri->groups);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&group)) {
        if (pri_group_is_of(group, dev) &&
            (!pasid || group->pasid == *pasid)) {
            outstanding += group->requests;
        }
    }
    return outstanding;
}
