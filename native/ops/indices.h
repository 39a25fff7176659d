// Where the indices of Gather and Scatter operators point, checked: offsets of blocks of elements in the tensor that they index.
#pragma once

#include "ops/index_map.h"

namespace bitwright {

struct IndexedBlocks {
  std::vector<int64_t> offsets;  // of the blocks, in the order of the indices
  int64_t block = 1;             // elements in each

  // Where the u-th element of all blocks is.
  int64_t at(int64_t u) const { return offsets[u / block] + u % block; }
};

// A map that takes blocks one after the other.
IndexMap blocks_map(IndexedBlocks blocks);

// Index `i`, counted from the end when negative, of an axis with `size` elements.
int64_t checked_index(int64_t i, int64_t size);

// One element for each element of `indices`: the one at its own position, but for `axis`, where the index says.
IndexedBlocks indexed_elements(const Shape& shape, const Tensor& indices, int64_t axis);

// One block for each row of the last axis of `indices`, whose elements index the axes after the first `batch_axes`; over those
// the indices go along with the tensor.
IndexedBlocks indexed_slices(const Shape& shape, const Tensor& indices, int64_t batch_axes);

}  // namespace bitwright
