/*
 * What an address translation cache holds, in order: a B+ tree
 *
 * A node that is full is divided on the way down to a new key; one that has
 * become empty goes. Nodes are not merged before that: a cache that loses
 * entries usually gains others soon. The height stays within the logarithm,
 * to base PCI_ATC_INDEX_NODE / 2, of the number of keys ever inserted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "pci_atc_index.h"

#define NODE_HALF (PCI_ATC_INDEX_NODE / 2)

/*
 * A leaf (level 0) has keys. An inner node has children, and what is in
 * child[i] is less than key[i + 1], and not less than key[i]; key[0] means
 * nothing.
 */
struct PCIATCNode {
    unsigned level;
    unsigned count;
    PCIATCKey key[PCI_ATC_INDEX_NODE];
    PCIATCNode *child[];
};

static bool key_less(PCIATCKey a, PCIATCKey b)
{
    return a.space < b.space || (a.space == b.space && a.addr < b.addr);
}

static size_t node_size(unsigned level)
{
    size_t children = level ? PCI_ATC_INDEX_NODE : 0;

    return sizeof(PCIATCNode) + children * sizeof(PCIATCNode *);
}

static PCIATCNode *node_new(unsigned level)
{
    PCIATCNode *node = g_malloc(node_size(level));

    node->level = level;
    node->count = 0;
    return node;
}

/* The number of keys that are less than @key; the first @low of them are. */
static unsigned node_rank(const PCIATCNode *node, PCIATCKey key, unsigned low)
{
    unsigned high = node->count;

    while (low < high) {
        unsigned mid = (low + high) / 2;

        if (key_less(node->key[mid], key)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* The number of keys that are not greater than @key */
static unsigned node_rank_after(const PCIATCNode *node, PCIATCKey key,
                                unsigned low)
{
    unsigned i = node_rank(node, key, low);

    return i + (i < node->count && !key_less(key, node->key[i]));
}

/* The child of an inner node in which @key is, if it is there at all */
static unsigned node_child(const PCIATCNode *node, PCIATCKey key)
{
    return node_rank_after(node, key, 1) - 1;
}

/* Move @n keys, and children if any, within a node or to another. */
static void node_move(PCIATCNode *to, unsigned i, const PCIATCNode *from,
                      unsigned j, unsigned n)
{
    memmove(&to->key[i], &from->key[j], n * sizeof(to->key[0]));
    if (to->level) {
        memmove(&to->child[i], &from->child[j], n * sizeof(to->child[0]));
    }
}

/* Divide a full child in two. */
static void node_divide_child(PCIATCNode *node, unsigned i)
{
    PCIATCNode *left = node->child[i];
    PCIATCNode *right = node_new(left->level);

    node_move(right, 0, left, NODE_HALF, NODE_HALF);
    left->count = right->count = NODE_HALF;
    node_move(node, i + 2, node, i + 1, node->count - (i + 1));
    node->key[i + 1] = right->key[0];
    node->child[i + 1] = right;
    node->count++;
}

/* A root that has room */
static PCIATCNode *index_get_root(PCIATCIndex *index)
{
    PCIATCNode *old = index->root;

    if (!old) {
        index->root = node_new(0);
    } else if (old->count == PCI_ATC_INDEX_NODE) {
        index->root = node_new(old->level + 1);
        index->root->child[0] = old;
        index->root->count = 1;
        node_divide_child(index->root, 0);
    }
    return index->root;
}

void pci_atc_index_insert(PCIATCIndex *index, PCIATCKey key)
{
    PCIATCNode *node = index_get_root(index);
    unsigned i;

    while (node->level) {
        i = node_child(node, key);
        if (node->child[i]->count == PCI_ATC_INDEX_NODE) {
            node_divide_child(node, i);
            i = node_child(node, key);
        }
        node = node->child[i];
    }
    i = node_rank(node, key, 0);
    node_move(node, i + 1, node, i, node->count - i);
    node->key[i] = key;
    node->count++;
}

static size_t leaf_remove(PCIATCNode *leaf, PCIATCKey first, PCIATCKey last,
                          PCIATCIndexFunc *fn, void *opaque)
{
    unsigned i = node_rank(leaf, first, 0);
    unsigned end = node_rank_after(leaf, last, 0);

    if (i >= end) {
        return 0;
    }
    fn(&leaf->key[i], end - i, opaque);
    node_move(leaf, i, leaf, end, leaf->count - end);
    leaf->count -= end - i;
    return end - i;
}

static size_t node_remove(PCIATCNode *node, PCIATCKey first, PCIATCKey last,
                          PCIATCIndexFunc *fn, void *opaque)
{
    unsigned i, end, kept;
    size_t removed = 0;

    if (!node->level) {
        return leaf_remove(node, first, last, fn, opaque);
    }
    i = kept = node_child(node, first);
    end = node_child(node, last) + 1;
    for (; i < end; i++) {
        removed += node_remove(node->child[i], first, last, fn, opaque);
        if (node->child[i]->count) {
            node_move(node, kept++, node, i, 1);
        } else {
            g_free(node->child[i]);
        }
    }
    node_move(node, kept, node, end, node->count - end);
    node->count -= end - kept;
    return removed;
}

size_t pci_atc_index_remove(PCIATCIndex *index, PCIATCKey first,
                            PCIATCKey last, PCIATCIndexFunc *fn, void *opaque)
{
    PCIATCNode *root = index->root;
    size_t removed = root ? node_remove(root, first, last, fn, opaque) : 0;

    /* A root has two children, or is a leaf that has a key. */
    while (root && root->count < (root->level ? 2 : 1)) {
        index->root = root->level && root->count ? root->child[0] : NULL;
        g_free(root);
        root = index->root;
    }
    return removed;
}

static size_t node_count_keys(const PCIATCNode *node, PCIATCKey first,
                              PCIATCKey last)
{
    size_t count = 0;

    if (!node->level) {
        unsigned i = node_rank(node, first, 0);
        unsigned end = node_rank_after(node, last, 0);

        return i < end ? end - i : 0;
    }
    for (unsigned i = node_child(node, first); i <= node_child(node, last);
         i++) {
        count += node_count_keys(node->child[i], first, last);
    }
    return count;
}

size_t pci_atc_index_count(const PCIATCIndex *index, PCIATCKey first,
                           PCIATCKey last)
{
    return index->root ? node_count_keys(index->root, first, last) : 0;
}

static size_t node_bytes(const PCIATCNode *node)
{
    size_t bytes = node_size(node->level);

    for (unsigned i = 0; node->level && i < node->count; i++) {
        bytes += node_bytes(node->child[i]);
    }
    return bytes;
}

size_t pci_atc_index_bytes(const PCIATCIndex *index)
{
    return index->root ? node_bytes(index->root) : 0;
}
