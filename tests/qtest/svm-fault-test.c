/*
 * QTest testcase for SVM: which translation requests and page requests record
 * a fault, and what the record says
 *
 * VT-d rev 4.1, chapter 7 and 9.4 to 9.7.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "libqos/vtd-svm.h"

#define PAGE    (4 * KiB)
#define IOVA    0x7f1234400000ULL   /* aligned to 2 MiB */

/* A vector of CPU 0 */
#define VECTOR  0x43

/*
 * Ways to break the tables of a process that has a page at IOVA
 */

static uint64_t context_addr(QVTDSVM *f)
{
    return qvtd_context_addr(f->v, f->sid);
}

static uint64_t directory_addr(QVTDSVM *f)
{
    return f->dir + (QVTD_SVM_PASID >> 6) * 8;
}

static uint64_t entry_addr(QVTDSVM *f)
{
    return qvtd_pasid_entry_addr(f->v, f->dir, QVTD_SVM_PASID);
}

static void change(QVTDSVM *f, uint64_t addr, uint64_t clear, uint64_t set)
{
    qtest_writeq(f->qts, addr, (qtest_readq(f->qts, addr) & ~clear) | set);
}

static void change_pte(QVTDSVM *f, int level, uint64_t clear, uint64_t set)
{
    change(f, qvtd_pte_addr(f->v, f->table, IOVA, level), clear, set);
}

static void break_root(QVTDSVM *f)
{
    change(f, f->v->root, 1, 0);
}

static void break_root_address(QVTDSVM *f)
{
    qvtd_set_translation(f->v, false);
    f->v->root = QVTD_SVM_NO_RAM;
    qvtd_set_root(f->v);
    qvtd_set_translation(f->v, true);
}

static void break_context_address(QVTDSVM *f)
{
    change(f, f->v->root, QVTD_PTE_ADDR_MASK, QVTD_SVM_NO_RAM);
}

static void break_context(QVTDSVM *f)
{
    change(f, context_addr(f), QVTD_CE_P, 0);
}

static void break_dte(QVTDSVM *f)
{
    change(f, context_addr(f), QVTD_CE_DTE, 0);
}

static void break_paside(QVTDSVM *f)
{
    change(f, context_addr(f), QVTD_CE_PASIDE, 0);
}

static void break_pdts(QVTDSVM *f)
{
    change(f, context_addr(f), 1 << QVTD_CE_PDTS_SHIFT, 0);
}

static void break_directory_address(QVTDSVM *f)
{
    change(f, context_addr(f), QVTD_PTE_ADDR_MASK, QVTD_SVM_NO_RAM);
}

static void break_directory_entry(QVTDSVM *f)
{
    change(f, directory_addr(f), QVTD_PDE_P, 0);
}

static void break_pasid_table_address(QVTDSVM *f)
{
    change(f, directory_addr(f), QVTD_PTE_ADDR_MASK, QVTD_SVM_NO_RAM);
}

static void break_pasid_entry(QVTDSVM *f)
{
    change(f, entry_addr(f), QVTD_PE_P, 0);
}

static void break_pgtt(QVTDSVM *f)
{
    change(f, entry_addr(f), 7 << QVTD_PE_PGTT_SHIFT, 0);
}

static void break_fspm(QVTDSVM *f)
{
    change(f, entry_addr(f) + 16, 0, QVTD_PE_FSPM_5LEVEL);
}

static void break_fsptptr(QVTDSVM *f)
{
    change(f, entry_addr(f) + 16, QVTD_PTE_ADDR_MASK, QVTD_SVM_NO_RAM);
}

static void break_table_address(QVTDSVM *f)
{
    change_pte(f, 2, QVTD_PTE_ADDR_MASK, QVTD_SVM_NO_RAM);
}

static void break_leaf_width(QVTDSVM *f)
{
    change_pte(f, 1, 0, 1ULL << 51);
}

static void break_result(QVTDSVM *f)
{
    change_pte(f, 1, QVTD_PTE_ADDR_MASK, 0xfee01000);
}

static void break_2m_result(QVTDSVM *f)
{
    change_pte(f, 2, QVTD_PTE_ADDR_MASK, 0xfee00000 | QVTD_FS_PS);
}

typedef struct FaultCase {
    const char *path;
    void (*prepare)(QVTDSVM *f);
    unsigned int reason;
} FaultCase;

static const FaultCase fault_cases[] = {
    { "/svm/fault/root-entry-is-not-present", break_root,
      VTD_FR_SM_ROOT_ENTRY_P },
    { "/svm/fault/root-table-is-not-in-memory", break_root_address,
      VTD_FR_SM_ROOT_TABLE_INV },
    { "/svm/fault/context-table-is-not-in-memory", break_context_address,
      VTD_FR_SM_CONTEXT_TABLE_INV },
    { "/svm/fault/context-entry-is-not-present", break_context,
      VTD_FR_SM_CONTEXT_ENTRY_P },
    { "/svm/fault/context-entry-has-DTE-clear", break_dte,
      VTD_FR_SM_DTE_DISABLED },
    { "/svm/fault/context-entry-has-PASIDE-clear", break_paside,
      VTD_FR_SM_PASID_DISABLED },
    { "/svm/fault/PASID-is-beyond-the-directory", break_pdts,
      VTD_FR_SM_PASID_TOO_LARGE },
    { "/svm/fault/PASID-directory-is-not-in-memory", break_directory_address,
      VTD_FR_PASID_DIR_ACCESS_ERR },
    { "/svm/fault/PASID-directory-entry-is-not-present", break_directory_entry,
      VTD_FR_PASID_DIR_ENTRY_P },
    { "/svm/fault/PASID-table-is-not-in-memory", break_pasid_table_address,
      VTD_FR_PASID_TABLE_ACCESS_ERR },
    { "/svm/fault/PASID-entry-is-not-present", break_pasid_entry,
      VTD_FR_PASID_ENTRY_P },
    { "/svm/fault/PASID-entry-has-a-reserved-PGTT", break_pgtt,
      VTD_FR_PASID_TABLE_ENTRY_INV },
    { "/svm/fault/PASID-entry-has-an-unsupported-FSPM", break_fspm,
      VTD_FR_PASID_TABLE_ENTRY_INV },
    { "/svm/fault/FSPTPTR-is-not-in-memory", break_fsptptr,
      VTD_FR_PASID_ENTRY_FSPTPTR_INV },
    { "/svm/fault/page-table-is-not-in-memory", break_table_address,
      VTD_FR_FS_PAGING_ENTRY_INV },
    { "/svm/fault/result-is-in-the-interrupt-range", break_result,
      VTD_FR_SM_INTERRUPT_ADDR },
    { "/svm/fault/result-of-2-MiB-covers-the-interrupt-range", break_2m_result,
      VTD_FR_SM_INTERRUPT_ADDR },
};

static void check_record(QVTDSVM *f, unsigned int reason, bool read)
{
    QVTDFault fault = qvtd_svm_take_fault(f);

    g_assert_cmphex(fault.reason, ==, reason);
    g_assert_cmphex(fault.addr, ==, IOVA);
    g_assert(fault.has_pasid);
    g_assert_cmphex(fault.pasid, ==, QVTD_SVM_PASID);
    g_assert(fault.read == read);
}

static void repair(QVTDSVM *f)
{
    qvtd_set_translation(f->v, false);
    f->v->root = qvtd_alloc_page(f->v);
    qvtd_set_root(f->v);
    qvtd_set_translation(f->v, true);
    f->dir = qvtd_new_pasid_dir(f->v, QVTD_SVM_PDTS);
    f->table = qvtd_svm_add_process(f, QVTD_SVM_PASID);
    qvtd_svm_set_context(f, QVTD_SVM_CONTEXT);
}

/* Each refused request is recorded; the device works after the repair */
static void test_fault(const void *data)
{
    const FaultCase *c = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    c->prepare(f);
    qvtd_inv_all(f->v);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    check_record(f, c->reason, false);
    g_assert(!qvtd_svm_reads(f, IOVA, page));
    check_record(f, c->reason, true);

    repair(f);
    page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_svm_stop(f);
}

/*
 * Each reserved bit of each word of an entry
 */

/* Bits that addresses of 48 bits do not have; paging entries ignore some */
#define WIDE            (~0ULL << 48)
#define WIDE_52         (0xfULL << 48)
#define BITS(high, low) MAKE_64BIT_MASK(low, (high) - (low) + 1)

typedef struct Reserved {
    const char *path;
    uint64_t (*addr)(QVTDSVM *f);
    uint64_t mask[4];
    unsigned int reason;
    int leaf;               /* the level of the page, 0 for 1 */
} Reserved;

static uint64_t root_addr(QVTDSVM *f)
{
    return f->v->root;
}

static uint64_t pte_addr(QVTDSVM *f)
{
    return qvtd_pte_addr(f->v, f->table, IOVA, 1);
}

static uint64_t pde_addr(QVTDSVM *f)
{
    return qvtd_pte_addr(f->v, f->table, IOVA, 2);
}

static uint64_t pdpe_addr(QVTDSVM *f)
{
    return qvtd_pte_addr(f->v, f->table, IOVA, 3);
}

static uint64_t pml4e_addr(QVTDSVM *f)
{
    return qvtd_pte_addr(f->v, f->table, IOVA, 4);
}

static const Reserved reserved[] = {
    { "/svm/fault/root-entry-has-a-reserved-bit-set", root_addr,
      { BITS(11, 1) | WIDE, BITS(11, 1) | WIDE }, VTD_FR_SM_ROOT_ENTRY_RSVD },
    { "/svm/fault/context-entry-has-a-reserved-bit-set", context_addr,
      { BITS(8, 5) | WIDE, BITS(63, 20), ~0ULL, ~0ULL },
      VTD_FR_SM_CONTEXT_ENTRY_RSVD },
    { "/svm/fault/PASID-directory-entry-has-a-reserved-bit-set", directory_addr,
      { BITS(11, 2) | WIDE }, VTD_FR_PASID_DIR_RSVD },
    { "/svm/fault/PASID-entry-has-a-reserved-bit-set", entry_addr,
      { BITS(5, 5) | BITS(11, 9) | WIDE, BITS(22, 16) | BITS(24, 24),
        BITS(11, 8) | WIDE }, VTD_FR_PASID_ENTRY_RSVD },
    { "/svm/fault/4-KiB-entry-has-a-reserved-bit-set", pte_addr, { WIDE_52 },
      VTD_FR_FS_PAGING_ENTRY_RSVD },
    { "/svm/fault/2-MiB-entry-has-a-reserved-bit-set", pde_addr,
      { BITS(20, 13) | WIDE_52 }, VTD_FR_FS_PAGING_ENTRY_RSVD, 2 },
    { "/svm/fault/1-GiB-entry-has-a-reserved-bit-set", pdpe_addr,
      { BITS(29, 13) | WIDE_52 }, VTD_FR_FS_PAGING_ENTRY_RSVD, 3 },
    { "/svm/fault/page-directory-entry-has-a-reserved-bit-set", pde_addr,
      { WIDE_52 }, VTD_FR_FS_PAGING_ENTRY_RSVD },
    { "/svm/fault/PML4-entry-has-a-reserved-bit-set", pml4e_addr,
      { QVTD_FS_PS | WIDE_52 }, VTD_FR_FS_PAGING_ENTRY_RSVD },
};

static uint64_t leaf_size(int level)
{
    return level == 3 ? GiB : level == 2 ? 2 * MiB : PAGE;
}

static void check_bit(QVTDSVM *f, uint64_t addr, uint64_t bit,
                      unsigned int reason)
{
    uint64_t entry = qtest_readq(f->qts, addr);

    g_assert_cmphex(entry & bit, ==, 0);
    qtest_writeq(f->qts, addr, entry | bit);
    g_assert(!qsvm_write(&f->svm, IOVA, 8));
    check_record(f, reason, false);
    qtest_writeq(f->qts, addr, entry);
}

static void test_reserved(const void *data)
{
    const Reserved *r = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t addr;

    qvtd_fs_map(f->v, f->table, IOVA & -leaf_size(r->leaf), GiB,
                MAX(r->leaf, 1), QVTD_FS_USER_RW);
    addr = r->addr(f);
    for (int word = 0; word < ARRAY_SIZE(r->mask); word++) {
        for (uint64_t bit = 1; bit; bit <<= 1) {
            if (r->mask[word] & bit) {
                check_bit(f, addr + word * 8, bit, r->reason);
            }
        }
    }
    qvtd_svm_stop(f);
}

/*
 * Fault processing disable
 */

static void fpd_context(QVTDSVM *f)
{
    change(f, context_addr(f), 0, QVTD_CE_FPD);
}

static void fpd_directory_entry(QVTDSVM *f)
{
    change(f, directory_addr(f), 0, QVTD_PDE_FPD);
}

static void fpd_pasid_entry(QVTDSVM *f)
{
    change(f, entry_addr(f), 0, QVTD_PE_FPD);
}

typedef struct FPDCase {
    const char *path;
    void (*disable)(QVTDSVM *f);
    void (*prepare)(QVTDSVM *f);
} FPDCase;

static const FPDCase fpd_cases[] = {
    { "/svm/fault/FPD-of-the-context-entry-covers-the-PASID-directory",
      fpd_context, break_directory_entry },
    { "/svm/fault/FPD-of-the-context-entry-covers-the-PASID-entry",
      fpd_context, break_pasid_entry },
    { "/svm/fault/FPD-of-the-context-entry-covers-paging-entries",
      fpd_context, break_leaf_width },
    { "/svm/fault/FPD-of-the-directory-entry-covers-that-entry",
      fpd_directory_entry, break_directory_entry },
    { "/svm/fault/FPD-of-the-directory-entry-covers-the-PASID-entry",
      fpd_directory_entry, break_pasid_entry },
    { "/svm/fault/FPD-of-the-directory-entry-covers-paging-entries",
      fpd_directory_entry, break_leaf_width },
    { "/svm/fault/FPD-of-the-PASID-entry-covers-that-entry",
      fpd_pasid_entry, break_pasid_entry },
    { "/svm/fault/FPD-of-the-PASID-entry-covers-FSPTPTR",
      fpd_pasid_entry, break_fsptptr },
    { "/svm/fault/FPD-of-the-PASID-entry-covers-paging-entries",
      fpd_pasid_entry, break_leaf_width },
};

/* The request is refused and nothing recorded, which qvtd_svm_stop() checks */
static void test_fpd(const void *data)
{
    const FPDCase *c = data;
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    c->disable(f);
    c->prepare(f);
    qvtd_inv_all(f->v);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    g_assert(!qvtd_svm_reads(f, IOVA, page));
    qvtd_svm_stop(f);
}

/* FPD hides a fault, and refuses nothing */
static void test_fpd_alone(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    fpd_context(f);
    fpd_directory_entry(f);
    fpd_pasid_entry(f);
    qvtd_inv_all(f->v);
    g_assert(qvtd_svm_writes(f, IOVA, page));
    qvtd_svm_stop(f);
}

/*
 * Page requests
 */

/* 7.3: PRE is for page requests alone */
static void test_pre(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(32);
    uint64_t page = qvtd_svm_map(f, IOVA - PAGE, QVTD_FS_USER_RW);

    qvtd_svm_set_context(f, QVTD_SVM_CONTEXT & ~QVTD_CE_PRE);
    g_assert(qvtd_svm_writes(f, IOVA - PAGE, page));
    g_assert(!qsvm_write(&f->svm, IOVA, PAGE));
    check_record(f, VTD_FR_SM_PRE_DISABLED, false);
    g_assert_cmpuint(qsvm_readq(&f->svm, SVM_STAT_PAGE_REQUESTS), ==, 0);
    qvtd_svm_stop(f);
}

static void test_pre_fpd(void)
{
    QVTDSVM *f = qvtd_svm_start_pri(32);

    qvtd_svm_set_context(f, (QVTD_SVM_CONTEXT & ~QVTD_CE_PRE) | QVTD_CE_FPD);
    g_assert(!qsvm_write(&f->svm, IOVA, PAGE));
    qvtd_svm_stop(f);
}

/*
 * The recording register and its event
 */

/* 7.3: the message is sent although the fault is not of this thread */
static void test_event(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    int64_t start = g_get_monotonic_time();

    qvtd_set_msi(f->v, DMAR_FECTL_REG, VECTOR, 0);
    break_fsptptr(f);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    while (!qvtd_msi_pending(f->v, VECTOR, 0)) {
        qsvm_step(&f->svm, start);
    }
    check_record(f, VTD_FR_PASID_ENTRY_FSPTPTR_INV, false);
    qvtd_svm_stop(f);
}

/* Masked, it is pending, until it is unmasked */
static void test_masked_event(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);

    qvtd_set_msi(f->v, DMAR_FECTL_REG, VECTOR, 0);
    qvtd_writel(f->v, DMAR_FECTL_REG, QVTD_EVENT_MASK);
    break_fsptptr(f);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    g_assert_cmphex(qvtd_readl(f->v, DMAR_FECTL_REG), ==, QVTD_EVENT_MASK |
                    QVTD_EVENT_PENDING);
    g_assert(!qvtd_msi_pending(f->v, VECTOR, 0));
    qvtd_writel(f->v, DMAR_FECTL_REG, 0);
    g_assert(qvtd_msi_pending(f->v, VECTOR, 0));
    check_record(f, VTD_FR_PASID_ENTRY_FSPTPTR_INV, false);
    qvtd_svm_stop(f);
}

/* 7.2.1: faults of one function are merged while its record is full */
static void test_compression(void)
{
    QVTDSVM *f = qvtd_svm_start();
    uint64_t page = qvtd_svm_map(f, IOVA, QVTD_FS_USER_RW);
    QVTDFault fault;

    break_leaf_width(f);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    break_fsptptr(f);
    qvtd_inv_all(f->v);
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    check_record(f, VTD_FR_FS_PAGING_ENTRY_RSVD, false);
    g_assert(!qvtd_pop_fault(f->v, &fault));
    g_assert(!qvtd_svm_writes(f, IOVA, page));
    check_record(f, VTD_FR_PASID_ENTRY_FSPTPTR_INV, false);
    qvtd_svm_stop(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(fault_cases); i++) {
        qtest_add_data_func(fault_cases[i].path, &fault_cases[i], test_fault);
    }
    for (int i = 0; i < ARRAY_SIZE(reserved); i++) {
        qtest_add_data_func(reserved[i].path, &reserved[i], test_reserved);
    }
    for (int i = 0; i < ARRAY_SIZE(fpd_cases); i++) {
        qtest_add_data_func(fpd_cases[i].path, &fpd_cases[i], test_fpd);
    }
    qtest_add_func("/svm/fault/FPD-refuses-nothing", test_fpd_alone);
    qtest_add_func("/svm/fault/page-request-needs-PRE", test_pre);
    qtest_add_func("/svm/fault/FPD-covers-page-requests", test_pre_fpd);
    qtest_add_func("/svm/fault/a-fault-is-an-event", test_event);
    qtest_add_func("/svm/fault/a-masked-event-is-pending", test_masked_event);
    qtest_add_func("/svm/fault/a-fault-waits-for-software-to-take-it",
                   test_compression);
    return g_test_run();
}
