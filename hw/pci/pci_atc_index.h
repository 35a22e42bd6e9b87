/*
 * What an address translation cache holds, in order
 *
 * A set of keys (a B+ tree), so that an invalidation finds the entries of a
 * range. Internal to pci_atc.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_PCI_PCI_ATC_INDEX_H
#define HW_PCI_PCI_ATC_INDEX_H

/* Keys in a node at most */
#define PCI_ATC_INDEX_NODE 32

/**
 * struct PCIATCKey - what tells the entries of a cache apart
 *
 * @space: PASID and size of the translation, (pasid << 6) | (log2(size) - 1)
 * @addr: first untranslated address; bit 0 is set for a privileged one
 */
typedef struct PCIATCKey {
    uint64_t space;
    uint64_t addr;
} PCIATCKey;

typedef struct PCIATCNode PCIATCNode;

/**
 * struct PCIATCIndex - a set of keys; empty when it is all zeroes
 */
typedef struct PCIATCIndex {
    PCIATCNode *root;
} PCIATCIndex;

/**
 * typedef PCIATCIndexFunc - hears of keys that leave an index
 *
 * @keys: the keys, in order
 * @n: their number, 1..%PCI_ATC_INDEX_NODE
 * @opaque: user data
 */
typedef void PCIATCIndexFunc(const PCIATCKey *keys, unsigned n, void *opaque);

/**
 * pci_atc_index_insert: add a key
 *
 * @index: the set
 * @key: not in it yet
 *
 * Context: the caller excludes all others, here and below.
 */
void pci_atc_index_insert(PCIATCIndex *index, PCIATCKey key);

/**
 * pci_atc_index_remove: remove the keys of a range
 *
 * @index: the set
 * @first: the first key, which need not be there
 * @last: the last one, inclusive
 * @fn: called for those that were there
 * @opaque: user data for @fn
 *
 * Returns: how many there were.
 */
size_t pci_atc_index_remove(PCIATCIndex *index, PCIATCKey first,
                            PCIATCKey last, PCIATCIndexFunc *fn, void *opaque);

/**
 * pci_atc_index_count: count the keys of a range
 *
 * @index: the set
 * @first: the first key, which need not be there
 * @last: the last one, inclusive
 *
 * Returns: how many there are.
 */
size_t pci_atc_index_count(const PCIATCIndex *index, PCIATCKey first,
                           PCIATCKey last);

/**
 * pci_atc_index_bytes: the memory that a set takes
 *
 * @index: the set
 *
 * Returns: bytes.
 */
size_t pci_atc_index_bytes(const PCIATCIndex *index);

#endif /* HW_PCI_PCI_ATC_INDEX_H */
