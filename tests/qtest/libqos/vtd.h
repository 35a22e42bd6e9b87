/*
 * libqos builder for Intel VT-d: tables, registers, invalidation and page
 * request queues
 *
 * Copyright (c) 2026 QEMU SVM developers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_LIBQOS_VTD_H
#define TESTS_LIBQOS_VTD_H

#include "../libqtest.h"
#include "hw/i386/intel_iommu_internal.h"

/* A PASID that stands for "the request has none" */
#define QVTD_NO_PASID           UINT32_MAX

/* Default placement of what qvtd_alloc() hands out, in guest physical memory */
#define QVTD_HEAP_BASE          (16 * 1024 * 1024ULL)
#define QVTD_HEAP_SIZE          (64 * 1024 * 1024ULL)

/* Scalable-mode context entry (VT-d 9.4) */
#define QVTD_CE_P               (1ULL << 0)
#define QVTD_CE_FPD             (1ULL << 1)
#define QVTD_CE_DTE             (1ULL << 2)
#define QVTD_CE_PASIDE          (1ULL << 3)
#define QVTD_CE_PRE             (1ULL << 4)
#define QVTD_CE_PDTS_SHIFT      9

/* Legacy-mode context entry (VT-d 9.3), address width of 48 bits */

/* PASID directory entry (VT-d 9.5) */
#define QVTD_PDE_P              (1ULL << 0)
#define QVTD_PDE_FPD            (1ULL << 1)

/* PASID table entry (VT-d 9.6): PGTT, and bits of its first and third word */
#define QVTD_PGTT_FS            1
#define QVTD_PGTT_SS            2
#define QVTD_PGTT_NESTED        3
#define QVTD_PGTT_PT            4
#define QVTD_PE_P               (1ULL << 0)
#define QVTD_PE_FPD             (1ULL << 1)
#define QVTD_PE_AW_SHIFT        2
#define QVTD_PE_PGTT_SHIFT      6
#define QVTD_PE_PWSNP           (1ULL << 23)
#define QVTD_PE_PGSNP           (1ULL << 24)
#define QVTD_PE_SRE             (1ULL << 0)
#define QVTD_PE_ERE             (1ULL << 1)
#define QVTD_PE_FSPM_5LEVEL     (1ULL << 2)
#define QVTD_PE_WPE             (1ULL << 4)
#define QVTD_PE_NXE             (1ULL << 5)
#define QVTD_PE_SMEP            (1ULL << 6)
#define QVTD_PE_EAFE            (1ULL << 7)

/* First-stage paging entry (VT-d 9.7) */
#define QVTD_FS_P               (1ULL << 0)
#define QVTD_FS_RW              (1ULL << 1)
#define QVTD_FS_US              (1ULL << 2)
#define QVTD_FS_A               (1ULL << 5)
#define QVTD_FS_D               (1ULL << 6)
#define QVTD_FS_PS              (1ULL << 7)
#define QVTD_FS_G               (1ULL << 8)
#define QVTD_FS_EA              (1ULL << 10)
#define QVTD_FS_XD              (1ULL << 63)
#define QVTD_FS_USER_RW         (QVTD_FS_P | QVTD_FS_RW | QVTD_FS_US)
#define QVTD_FS_USER_RO         (QVTD_FS_P | QVTD_FS_US)

/* Second-stage paging entry (VT-d 9.8) */
#define QVTD_SS_R               (1ULL << 0)
#define QVTD_SS_W               (1ULL << 1)
#define QVTD_SS_RW              (QVTD_SS_R | QVTD_SS_W)
#define QVTD_SS_PS              (1ULL << 7)

#define QVTD_PTE_ADDR_MASK      0x000ffffffffff000ULL

/* Granularity fields of the invalidation descriptors (VT-d 6.5.2) */
#define QVTD_CC_GLOBAL          1
#define QVTD_CC_DOMAIN          2
#define QVTD_CC_DEVICE          3
#define QVTD_IOTLB_GLOBAL       1
#define QVTD_IOTLB_DOMAIN       2
#define QVTD_IOTLB_PAGE         3
#define QVTD_PIOTLB_ALL         2
#define QVTD_PIOTLB_PAGE        3
#define QVTD_PC_DOMAIN          0
#define QVTD_PC_PASID           1
#define QVTD_PC_GLOBAL          3

/* Flags of the wait descriptor */
#define QVTD_WAIT_IF            (1ULL << 4)
#define QVTD_WAIT_SW            (1ULL << 5)
#define QVTD_WAIT_FN            (1ULL << 6)
#define QVTD_WAIT_PD            (1ULL << 7)

/* Address of a device-TLB invalidation that means "everything" (with S) */
#define QVTD_DEV_TLB_ALL        0x7ffffffffffff000ULL

/* Errors of the invalidation queue: bit of FSTS, record register */
#define QVTD_FSTS_ITE           (1U << 6)
#define QVTD_IQERCD_REG         0xb0

/* Page request registers */
#define QVTD_PQH_REG            0xc0
#define QVTD_PQT_REG            0xc8
#define QVTD_PQA_REG            0xd0
#define QVTD_PRS_REG            0xdc
#define QVTD_PRS_PPR            (1U << 0)
#define QVTD_PRS_PRO            (1U << 1)
#define QVTD_PECTL_REG          0xe0
#define QVTD_PEDATA_REG         0xe4
#define QVTD_PEADDR_REG         0xe8
#define QVTD_PEUADDR_REG        0xec
#define QVTD_PRQ_ENTRY_SIZE     32

/* Bits 31 and 30 of FECTL, IECTL and PECTL */
#define QVTD_EVENT_MASK         (1U << 31)
#define QVTD_EVENT_PENDING      (1U << 30)

/**
 * struct QVTD - what a test knows of the VT-d unit that it drives
 * @qts: the machine
 * @heap: guest physical address that qvtd_alloc() gives out next
 * @heap_end: where the heap ends
 * @scalable: root and context tables are in scalable-mode format
 * @root: guest physical address of the root table
 * @iq: guest physical address of the invalidation queue
 * @iq_order: the queue is 2^iq_order pages long
 * @iq_wide: its descriptors are 256 bits wide
 * @iq_tail: index of the next descriptor to write
 * @wait_addr: where wait descriptors write their status
 * @wait_data: status of the latest wait descriptor
 * @prq: guest physical address of the page request queue
 * @prq_order: the queue is 2^prq_order pages long
 * @levels: of the paging structures that are built and of entries that are
 *     written, 3 to 5; 4 at first. First stage of 5 levels wants
 *     QVTD_PE_FSPM_5LEVEL, too.
 */
typedef struct QVTD {
    QTestState *qts;
    uint64_t heap;
    uint64_t heap_end;
    bool scalable;
    uint64_t root;
    uint64_t iq;
    unsigned int iq_order;
    bool iq_wide;
    unsigned int iq_tail;
    uint64_t wait_addr;
    uint32_t wait_data;
    uint64_t prq;
    unsigned int prq_order;
    int levels;
} QVTD;

/**
 * struct QVTDDesc - an invalidation queue descriptor
 * @qw: its words; the upper two are unused by a 128-bit queue
 */
typedef struct QVTDDesc {
    uint64_t qw[4];
} QVTDDesc;

/**
 * struct QVTDPasidEntry - the fields of a PASID table entry
 * @pgtt: QVTD_PGTT_*
 * @did: domain ID
 * @table: guest physical address of the top paging structure, of the first
 *     stage if there are two
 * @second: that of the second stage, if the first is nested in it
 * @snoop: QVTD_PE_PWSNP and QVTD_PE_PGSNP
 * @flags: bits of the third word (QVTD_PE_SRE and so on), first stage only
 * @fpd: fault processing is disabled
 * @absent: leave P clear
 */
typedef struct QVTDPasidEntry {
    unsigned int pgtt;
    uint16_t did;
    uint64_t table;
    uint64_t second;
    uint64_t snoop;
    uint64_t flags;
    bool fpd;
    bool absent;
} QVTDPasidEntry;

/**
 * struct QVTDFault - a fault recording register, decoded
 * @reason: the fault reason (VTDFaultReason)
 * @sid: source ID
 * @addr: page address
 * @read: the request was a read
 * @has_pasid: the request had a PASID
 * @pasid: its PASID
 * @exec: the request was an execute request
 * @priv: the request was a privileged one
 * @at: its address type: 0 untranslated, 1 translation request, 2 translated
 * @page_request: it was a page request
 */
typedef struct QVTDFault {
    uint8_t reason;
    uint16_t sid;
    uint64_t addr;
    bool read;
    bool has_pasid;
    uint32_t pasid;
    bool exec;
    bool priv;
    unsigned int at;
    bool page_request;
} QVTDFault;

/**
 * struct QVTDPageReq - a page request descriptor, decoded
 * @sid: requester ID
 * @has_pasid: the request has a PASID
 * @pasid: its PASID
 * @addr: page address
 * @read: read access requested
 * @write: write access requested
 * @exec: execute access requested
 * @priv: privileged access requested
 * @last: last request of its group
 * @prgi: page request group index
 */
typedef struct QVTDPageReq {
    uint16_t sid;
    bool has_pasid;
    uint32_t pasid;
    uint64_t addr;
    bool read;
    bool write;
    bool exec;
    bool priv;
    bool last;
    uint16_t prgi;
} QVTDPageReq;

/**
 * qvtd_new: start to drive the VT-d unit of a machine
 * @qts: the machine; it needs RAM up to QVTD_HEAP_BASE + QVTD_HEAP_SIZE
 * @scalable: build root and context tables in scalable-mode format
 *
 * Returns: what qvtd_free() frees. Nothing is enabled yet.
 */
QVTD *qvtd_new(QTestState *qts, bool scalable);

/**
 * qvtd_free: forget a VT-d unit
 * @v: what qvtd_new() returned, or NULL
 */
void qvtd_free(QVTD *v);

/**
 * qvtd_alloc: allocate zeroed guest memory
 * @v: VT-d unit
 * @size: bytes, rounded up to whole pages
 * @align: power of two, at least a page is used
 *
 * Returns: guest physical address. There is no way to give memory back.
 */
uint64_t qvtd_alloc(QVTD *v, uint64_t size, uint64_t align);

/**
 * qvtd_alloc_page: allocate a zeroed page of guest memory
 * @v: VT-d unit
 *
 * Returns: guest physical address.
 */
uint64_t qvtd_alloc_page(QVTD *v);

/** qvtd_readl: read a 32-bit register at offset @reg */
uint32_t qvtd_readl(QVTD *v, uint64_t reg);
/** qvtd_readq: read a 64-bit register at offset @reg */
uint64_t qvtd_readq(QVTD *v, uint64_t reg);
/** qvtd_writel: write a 32-bit register at offset @reg */
void qvtd_writel(QVTD *v, uint64_t reg, uint32_t val);
/** qvtd_writeq: write a 64-bit register at offset @reg */
void qvtd_writeq(QVTD *v, uint64_t reg, uint64_t val);

/**
 * qvtd_context_addr: address of a function's context entry
 * @v: VT-d unit
 * @sid: bus, device, function
 *
 * Builds the root entry and the context table when they are not there yet.
 *
 * Returns: guest physical address of 32 bytes (scalable mode) or 16.
 */
uint64_t qvtd_context_addr(QVTD *v, uint16_t sid);

/**
 * qvtd_set_context: write a scalable-mode context entry
 * @v: VT-d unit
 * @sid: bus, device, function
 * @flags: QVTD_CE_*; P is not implied
 * @pdts: the PASID directory has 2^(@pdts + 7) entries
 * @dir: guest physical address of the PASID directory
 * @rid_pasid: PASID of requests that have none
 */
void qvtd_set_context(QVTD *v, uint16_t sid, uint64_t flags, unsigned int pdts,
                      uint64_t dir, uint32_t rid_pasid);

/**
 * qvtd_set_legacy_context: write a present legacy-mode context entry
 * @v: VT-d unit
 * @sid: bus, device, function
 * @tt: translation type, VTD_CONTEXT_TT_*
 * @did: domain ID
 * @table: guest physical address of the second-stage table, of
 *     @v->levels
 */
void qvtd_set_legacy_context(QVTD *v, uint16_t sid, uint64_t tt, uint16_t did,
                             uint64_t table);

/**
 * qvtd_new_pasid_dir: allocate an empty PASID directory
 * @v: VT-d unit
 * @pdts: it has 2^(@pdts + 7) entries; 7 for all 2^20 PASIDs
 *
 * Returns: guest physical address.
 */
uint64_t qvtd_new_pasid_dir(QVTD *v, unsigned int pdts);

/**
 * qvtd_pasid_entry_addr: address of a PASID table entry
 * @v: VT-d unit
 * @dir: PASID directory
 * @pasid: PASID
 *
 * Builds the PASID table when it is not there yet.
 *
 * Returns: guest physical address of the 64 bytes of the entry.
 */
uint64_t qvtd_pasid_entry_addr(QVTD *v, uint64_t dir, uint32_t pasid);

/**
 * qvtd_set_pasid_entry: write a PASID table entry
 * @v: VT-d unit
 * @dir: PASID directory
 * @pasid: PASID
 * @pe: the entry; its address width is 48 bits
 */
void qvtd_set_pasid_entry(QVTD *v, uint64_t dir, uint32_t pasid,
                          const QVTDPasidEntry *pe);

/**
 * qvtd_pte_addr: address of a paging entry, first or second stage
 * @v: VT-d unit
 * @table: guest physical address of the top structure, of @v->levels
 * @iova: input address
 * @level: 4 (PML4E) to 1 (PTE)
 *
 * Every level above has to be there.
 *
 * Returns: guest physical address of the entry's 8 bytes.
 */
uint64_t qvtd_pte_addr(QVTD *v, uint64_t table, uint64_t iova, int level);

/**
 * qvtd_pte: read a paging entry, see qvtd_pte_addr()
 * @v: VT-d unit
 * @table: top structure
 * @iova: input address
 * @level: 4 to 1
 *
 * Returns: the entry.
 */
uint64_t qvtd_pte(QVTD *v, uint64_t table, uint64_t iova, int level);

/**
 * qvtd_fs_map: map one page in a first-stage table
 * @v: VT-d unit
 * @table: guest physical address of the PML4 table
 * @iova: input address, aligned to the page size
 * @pa: output address, likewise
 * @level: 1 for 4 KiB, 2 for 2 MiB, 3 for 1 GiB
 * @flags: QVTD_FS_* of the leaf; PS is added where it belongs
 *
 * Missing levels above are built, present, writable and for users.
 */
void qvtd_fs_map(QVTD *v, uint64_t table, uint64_t iova, uint64_t pa,
                 int level, uint64_t flags);

/**
 * qvtd_ss_map: map one page in a second-stage table
 * @v: VT-d unit
 * @table: guest physical address of the top table, of @v->levels
 * @iova: input address, aligned to the page size
 * @pa: output address, likewise
 * @level: 1 for 4 KiB, 2 for 2 MiB, 3 for 1 GiB
 * @flags: QVTD_SS_* of the leaf; PS is added where it belongs
 */
void qvtd_ss_map(QVTD *v, uint64_t table, uint64_t iova, uint64_t pa,
                 int level, uint64_t flags);

/**
 * qvtd_enable: set the root table, enable queued invalidation and translation
 * @v: VT-d unit
 *
 * The queue's descriptors are 256 bits wide in scalable mode, else 128.
 */
void qvtd_enable(QVTD *v);

/**
 * qvtd_set_root: tell the unit where the root table is
 * @v: VT-d unit
 */
void qvtd_set_root(QVTD *v);

/**
 * qvtd_enter_legacy_mode: translate by a root table of legacy mode from now on
 * @v: the unit; its old tables are left as they are
 * @sid: source ID of the one function that has a context entry
 * @tt: its VTD_CONTEXT_TT_*
 * @did: its domain ID
 * @table: its top paging structure
 */
void qvtd_enter_legacy_mode(QVTD *v, uint16_t sid, uint64_t tt, uint16_t did,
                            uint64_t table);

/**
 * qvtd_enable_qi: set up and enable an empty invalidation queue
 * @v: VT-d unit
 * @order: the queue is 2^@order pages long
 * @wide: descriptors of 256 bits, else 128
 */
void qvtd_enable_qi(QVTD *v, unsigned int order, bool wide);

/**
 * qvtd_disable_qi: disable the invalidation queue
 * @v: VT-d unit, with translation enabled
 */
void qvtd_disable_qi(QVTD *v);

/**
 * qvtd_set_translation: enable or disable DMA remapping
 * @v: VT-d unit
 * @on: enable
 */
void qvtd_set_translation(QVTD *v, bool on);

/**
 * qvtd_iq_push: write a descriptor at the tail; the unit does not see it yet
 * @v: VT-d unit
 * @desc: the descriptor
 */
void qvtd_iq_push(QVTD *v, QVTDDesc desc);

/**
 * qvtd_iq_kick: move the tail register behind what was pushed
 * @v: VT-d unit
 */
void qvtd_iq_kick(QVTD *v);

/**
 * qvtd_iq_error: whether the queue stopped with an invalidation queue error
 * @v: VT-d unit
 */
bool qvtd_iq_error(QVTD *v);

/**
 * qvtd_iq_error_info: why the queue stopped (IQERCD.IQEI, VT-d 11.4.9.9)
 * @v: VT-d unit
 */
unsigned int qvtd_iq_error_info(QVTD *v);

/**
 * qvtd_iq_recover: go on after an invalidation queue error
 * @v: VT-d unit
 *
 * Clears the error and turns the descriptor that caused it into a wait with
 * status write, as a guest's driver does.
 */
void qvtd_iq_recover(QVTD *v);

/**
 * qvtd_iq_submit: push one descriptor and a wait, kick, and see them completed
 * @v: VT-d unit
 * @desc: the descriptor
 *
 * Returns: the wait descriptor's status was written and there is no error.
 */
bool qvtd_iq_submit(QVTD *v, QVTDDesc desc);

/**
 * qvtd_inv: qvtd_iq_submit() that has to succeed
 * @v: VT-d unit
 * @desc: the descriptor
 */
void qvtd_inv(QVTD *v, QVTDDesc desc);

/**
 * qvtd_inv_times_out: an invalidation that nobody answers
 * @v: VT-d unit, with svm=on
 * @desc: the descriptor
 *
 * Fails the test if it completes; clears the Invalidation Time-out Error.
 */
void qvtd_inv_times_out(QVTD *v, QVTDDesc desc);

/**
 * qvtd_inv_all: invalidate context cache, PASID cache and IOTLB globally
 * @v: VT-d unit
 */
void qvtd_inv_all(QVTD *v);

/**
 * qvtd_cc_desc: context-cache invalidate descriptor
 * @g: granularity, QVTD_CC_*
 * @did: domain
 * @sid: function, for QVTD_CC_DEVICE
 * @fm: function mask
 */
QVTDDesc qvtd_cc_desc(unsigned int g, uint16_t did, uint16_t sid,
                      unsigned int fm);

/**
 * qvtd_iotlb_desc: IOTLB invalidate descriptor
 * @g: granularity, QVTD_IOTLB_*
 * @did: domain
 * @addr: page address, for QVTD_IOTLB_PAGE
 * @am: 2^@am pages
 */
QVTDDesc qvtd_iotlb_desc(unsigned int g, uint16_t did, uint64_t addr,
                         unsigned int am);

/**
 * qvtd_piotlb_desc: PASID-based IOTLB invalidate descriptor
 * @g: granularity, QVTD_PIOTLB_*
 * @did: domain
 * @pasid: PASID
 * @addr: page address, for QVTD_PIOTLB_PAGE
 * @am: 2^@am pages
 * @ih: invalidation hint
 */
QVTDDesc qvtd_piotlb_desc(unsigned int g, uint16_t did, uint32_t pasid,
                          uint64_t addr, unsigned int am, bool ih);

/**
 * qvtd_pasid_cache_desc: PASID-cache invalidate descriptor
 * @g: granularity, QVTD_PC_*
 * @did: domain
 * @pasid: PASID, for QVTD_PC_PASID
 */
QVTDDesc qvtd_pasid_cache_desc(unsigned int g, uint16_t did, uint32_t pasid);

/**
 * qvtd_dev_iotlb_desc: device-TLB invalidate descriptor (without PASID)
 * @sid: function
 * @addr: page address, low bits of it encode the size when @s
 * @s: the range is larger than a page
 */
QVTDDesc qvtd_dev_iotlb_desc(uint16_t sid, uint64_t addr, bool s);

/**
 * qvtd_dev_piotlb_desc: PASID-based device-TLB invalidate descriptor
 * @sid: function
 * @pasid: PASID
 * @addr: page address, low bits of it encode the size when @s
 * @s: the range is larger than a page
 * @global: all PASIDs of the function
 */
QVTDDesc qvtd_dev_piotlb_desc(uint16_t sid, uint32_t pasid, uint64_t addr,
                              bool s, bool global);

/**
 * qvtd_dev_tlb_range: address field of a device-TLB invalidation
 * @addr: start, aligned to @size
 * @size: power of two, at least 8 KiB; then S has to be set
 */
uint64_t qvtd_dev_tlb_range(uint64_t addr, uint64_t size);

/**
 * qvtd_wait_desc: invalidation wait descriptor
 * @flags: QVTD_WAIT_*
 * @data: status data
 * @addr: where it is written (QVTD_WAIT_SW)
 */
QVTDDesc qvtd_wait_desc(uint64_t flags, uint32_t data, uint64_t addr);

/**
 * qvtd_page_response_desc: page group response descriptor
 * @sid: requester ID
 * @pasid: PASID, or QVTD_NO_PASID
 * @prgi: page request group index
 * @code: response code; 0 Success, 1 Invalid Request, 15 Response Failure
 */
QVTDDesc qvtd_page_response_desc(uint16_t sid, uint32_t pasid, uint16_t prgi,
                                 unsigned int code);

/**
 * qvtd_enable_prq: set up an empty page request queue
 * @v: VT-d unit
 * @order: the queue is 2^@order pages long, 128 requests each
 */
void qvtd_enable_prq(QVTD *v, unsigned int order);

/**
 * qvtd_pop_page_req: take the oldest page request off the queue
 * @v: VT-d unit
 * @req: where it is put
 *
 * Returns: false when the queue is empty.
 */
bool qvtd_pop_page_req(QVTD *v, QVTDPageReq *req);

/**
 * qvtd_pop_fault: take the fault that is recorded, if there is one
 * @v: VT-d unit
 * @fault: where it is put
 *
 * Clears the fault recording register and a fault overflow.
 *
 * Returns: false when none is recorded.
 */
bool qvtd_pop_fault(QVTD *v, QVTDFault *fault);

/**
 * qvtd_set_msi: program an event's MSI and unmask it
 * @v: VT-d unit
 * @ctl: DMAR_FECTL_REG, DMAR_IECTL_REG or QVTD_PECTL_REG
 * @vector: interrupt vector
 * @apic_id: destination, physical mode; above 255 only with EIM
 */
void qvtd_set_msi(QVTD *v, uint64_t ctl, uint8_t vector, uint32_t apic_id);

/**
 * qvtd_msi_pending: whether a CPU's local APIC has an interrupt in its IRR
 * @v: VT-d unit
 * @vector: interrupt vector, 16 and above
 * @apic_id: the local APIC's ID
 *
 * No CPU runs under qtest, so an interrupt that was sent stays there until
 * the machine is reset.
 */
bool qvtd_msi_pending(QVTD *v, uint8_t vector, uint32_t apic_id);

#endif
