/*
 * PCIe Page Request Interface (PRI) extended capability
 *
 * PCIe Base Specification r6.0, sections 10.4 and 10.5.2.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_PCIE_PRI_H
#define QEMU_PCIE_PRI_H

/* A page request group index has nine bits (PCIe r6.0, 10.4.1). */
#define PCI_PRI_PRGI_MASK 0x1ff

typedef struct PCIEPRIState PCIEPRIState;

/**
 * enum IOMMUPRIResponseCode - what the host said to a page request group
 *
 * @IOMMU_PRI_RESP_SUCCESS: the pages are resident; translate again
 * @IOMMU_PRI_RESP_INVALID_REQUEST: at least one page does not exist or was
 *     asked for with a permission that the process lacks
 * @IOMMU_PRI_RESP_FAILURE: Response Failure; the function's PRI is disabled
 *     until software enables it again
 *
 * PCIe r6.0, table 10-11.
 */
typedef enum IOMMUPRIResponseCode {
    IOMMU_PRI_RESP_SUCCESS,
    IOMMU_PRI_RESP_INVALID_REQUEST,
    IOMMU_PRI_RESP_FAILURE,
} IOMMUPRIResponseCode;

/**
 * struct IOMMUPRIResponse - a page request group response
 *
 * @response_code: the answer for the whole group
 * @prgi: the page request group index, 0..%PCI_PRI_PRGI_MASK
 */
typedef struct IOMMUPRIResponse {
    IOMMUPRIResponseCode response_code;
    uint16_t prgi;
} IOMMUPRIResponse;

struct IOMMUPRINotifier;

/**
 * typedef IOMMUPRINotify - called for each page request group response
 *
 * @notifier: the notifier that was registered
 * @response: the response; valid during the call
 *
 * Context: under the BQL, in the thread that processed the guest's response
 * descriptor. It may send further page requests; it must not unregister the
 * notifier that is being called.
 */
typedef void (*IOMMUPRINotify)(struct IOMMUPRINotifier *notifier,
                               IOMMUPRIResponse *response);

/**
 * struct IOMMUPRINotifier - receiver of page request group responses
 *
 * @notify: the callback
 */
typedef struct IOMMUPRINotifier {
    IOMMUPRINotify notify;
} IOMMUPRINotifier;

/**
 * pcie_pri_init: add the PRI capability to a function
 *
 * @dev: the function, being realized
 * @offset: offset of the capability in extended configuration space
 * @outstanding_pr_cap: Outstanding Page Request Capacity: page requests that
 *     the function can have outstanding at a time
 * @prg_response_pasid_req: PRG Response PASID Required
 *
 * Context: BQL, at realize. PCIe r6.0, 10.5.2.
 */
void pcie_pri_init(PCIDevice *dev, uint16_t offset,
                   uint32_t outstanding_pr_cap, bool prg_response_pasid_req);

/**
 * pcie_pri_reset: clear the control and allocation registers, set Stopped
 *
 * @dev: the function; one without the capability is left alone, but for a
 *     virtual function: the interface that it shares forgets its requests
 *
 * Context: BQL. Called by the PCI core for each kind of reset.
 */
void pcie_pri_reset(PCIDevice *dev);

/**
 * pcie_pri_enabled: has software set PRI Enable?
 *
 * @dev: the function
 *
 * Returns: false also when @dev has no PRI capability.
 *
 * Context: any thread.
 */
bool pcie_pri_enabled(const PCIDevice *dev);

/**
 * pcie_pri_get_req_alloc: page requests that may be outstanding at a time
 *
 * @dev: the function
 *
 * Returns: Outstanding Page Request Allocation as software wrote it, at most
 * the capacity; 0 while PRI is disabled.
 *
 * Context: any thread.
 */
uint32_t pcie_pri_get_req_alloc(const PCIDevice *dev);

/**
 * pcie_pri_response_pasid_required: do responses carry the request's PASID?
 *
 * @dev: the function
 *
 * Context: any thread.
 */
bool pcie_pri_response_pasid_required(const PCIDevice *dev);

/**
 * pcie_pri_get_outstanding: page requests that await their response
 *
 * @dev: the function
 * @pasid: those of this PASID, or %PCI_NO_PASID, alone; NULL for all
 *
 * Looks at each group that is outstanding.
 *
 * Context: any thread.
 */
uint32_t pcie_pri_get_outstanding(const PCIDevice *dev, const uint32_t *pasid);

/**
 * pcie_pri_get_forgotten: how often requests were forgotten
 *
 * @dev: the function
 *
 * Changes when a reset, or a Response Failure, has made the interface forget
 * the function's requests: no response to them reaches it any more.
 *
 * Context: any thread.
 */
unsigned pcie_pri_get_forgotten(const PCIDevice *dev);

/**
 * pcie_pri_plan_group: give a group the credits of all its requests
 *
 * @dev: the function
 * @pasid: PASID, or %PCI_NO_PASID
 * @prgi: page request group index, 0..%PCI_PRI_PRGI_MASK
 * @count: requests, not 0
 *
 * Functions that share an interface share its credits. A group that had to wait
 * for more of them in its middle might wait for others that do the same. One
 * that was planned ends with its last request, as any other, or with
 * pcie_pri_abandon_group().
 *
 * Returns: the number of requests that it may have, 1..@count; -EPERM while PRI
 * is disabled; -EBUSY when the allocation is used up, or the index in use.
 *
 * Context: any thread.
 */
int pcie_pri_plan_group(PCIDevice *dev, uint32_t pasid, uint16_t prgi,
                        unsigned count);

/**
 * pcie_pri_begin_request: account for a page request about to be sent
 *
 * @dev: the function
 * @pasid: PASID, or %PCI_NO_PASID
 * @prgi: page request group index, 0..%PCI_PRI_PRGI_MASK
 * @last: last request of its group
 * @serial: set to what tells the group from a later one of the same index
 *
 * Takes one credit of the allocation, or of the group's, if that was planned.
 * A response may come as soon as the request is visible to the host, so this
 * must come before.
 *
 * Returns: 0; -EPERM while PRI is disabled; -EBUSY when the allocation is used
 * up, when the group is complete and awaits its response, or, without PRG
 * Response PASID Required, when the index is in use with another PASID.
 *
 * Context: any thread.
 */
int pcie_pri_begin_request(PCIDevice *dev, uint32_t pasid, uint16_t prgi,
                           bool last, uint64_t *serial);

/**
 * pcie_pri_abandon_group: a group will not be completed
 *
 * @dev: the function
 * @pasid: PASID, or %PCI_NO_PASID
 * @prgi: page request group index, 0..%PCI_PRI_PRGI_MASK
 *
 * For a group whose rest the device will not send, or the host refuses: what
 * was sent of it is never answered, and its credits come back, with those that
 * were planned. A group that is
 * complete, or that there is not, stays as it is.
 *
 * Context: any thread.
 */
void pcie_pri_abandon_group(PCIDevice *dev, uint32_t pasid, uint16_t prgi);

/**
 * pcie_pri_cancel_request: the request of pcie_pri_begin_request() was not sent
 *
 * @dev: the function
 * @pasid: as given there
 * @prgi: as given there
 * @last: as given there
 * @serial: as set there
 *
 * Context: any thread.
 */
void pcie_pri_cancel_request(PCIDevice *dev, uint32_t pasid, uint16_t prgi,
                             bool last, uint64_t serial);

/**
 * pcie_pri_end_group: a response arrived; give back the group's credits
 *
 * @dev: the function
 * @pasid: PASID of the response, or %PCI_NO_PASID; set to that of the group's
 *     requests, if the response was expected
 * @response: the response
 *
 * Without PRG Response PASID Required the index alone says which group it is,
 * and the PASID of the response is ignored. An index that is not outstanding
 * sets Unexpected PRG Index. A Response Failure sets its bit, forgets all
 * groups and disables PRI until software enables it again; further responses
 * are ignored until then (PCIe r6.0, 10.5.2.3).
 *
 * Returns: whether the response was expected, and should reach the device.
 *
 * Context: BQL.
 */
bool pcie_pri_end_group(PCIDevice *dev, uint32_t *pasid,
                        const IOMMUPRIResponse *response);

/**
 * pcie_pri_write_config: hook of the PCI core's configuration write
 *
 * @dev: the function
 * @addr: offset in configuration space
 * @val: the value written
 * @len: bytes, 1, 2 or 4
 *
 * Context: BQL.
 */
void pcie_pri_write_config(PCIDevice *dev, uint32_t addr, uint32_t val,
                           int len);

/**
 * pcie_pri_post_load: take over what a migration brought
 *
 * @dev: the function
 *
 * The control and status registers and the allocation are in configuration
 * space; requests that were outstanding are forgotten.
 *
 * Context: BQL. Hook of the PCI core.
 */
void pcie_pri_post_load(PCIDevice *dev);

/**
 * pcie_pri_exit: free the state of pcie_pri_init()
 *
 * @dev: the function, being unrealized; one without the capability is left
 *     alone
 *
 * Context: BQL. Hook of the PCI core.
 */
void pcie_pri_exit(PCIDevice *dev);

#endif /* QEMU_PCIE_PRI_H */
