#include "ops/indices.h"

#include "ops/rearrangement.h"

namespace bitwright {

IndexMap blocks_map(IndexedBlocks blocks) {
  const auto count = static_cast<int64_t>(blocks.offsets.size());
  return IndexMap({{count, 0, blocks.block, std::move(blocks.offsets)}, {blocks.block, 1, 1, {}}});
}

int64_t checked_index(int64_t i, int64_t size) {
  if (i < -size || i >= size) invalid_model("index " + std::to_string(i) + " is outside of an axis with " + std::to_string(size) + " elements");
  return i < 0 ? i + size : i;
}

IndexedBlocks indexed_elements(const Shape& shape, const Tensor& indices, int64_t axis) {
  const int rank = static_cast<int>(shape.size()), along = normalize_axis(axis, rank);
  const Shape& extent = indices.shape();
  if (indices.rank() != rank) invalid_model("indices of shape " + to_string(extent) + " do not fit shape " + to_string(shape));
  for (int k = 0; k < rank; ++k)
    if (k != along && extent[k] > shape[k]) invalid_model("indices of shape " + to_string(extent) + " do not fit shape " + to_string(shape));
  const std::vector<int64_t> strides = IndexMap::strides(shape);
  IndexedBlocks blocks;
  blocks.offsets = to_int64(indices);
  std::vector<int64_t> at(rank);
  for (int64_t& offset : blocks.offsets) {
    offset = checked_index(offset, shape[along]) * strides[along];
    for (int k = 0; k < rank; ++k)
      if (k != along) offset += at[k] * strides[k];
    for (int k = rank; k-- > 0;) {
      if (++at[k] < extent[k]) break;
      at[k] = 0;
    }
  }
  return blocks;
}

IndexedBlocks indexed_slices(const Shape& shape, const Tensor& indices, int64_t batch_axes) {
  const Shape& extent = indices.shape();
  const auto rank = static_cast<int64_t>(shape.size());
  if (extent.empty() || batch_axes < 0 || batch_axes >= static_cast<int64_t>(extent.size()) || extent.back() < 1 || extent.back() > rank - batch_axes)
    invalid_model("indices of shape " + to_string(extent) + " do not fit shape " + to_string(shape));
  for (int64_t k = 0; k < batch_axes; ++k)
    if (extent[k] != shape[k]) invalid_model("indices of shape " + to_string(extent) + " and shape " + to_string(shape) + " have different batches");
  const std::vector<int64_t> strides = IndexMap::strides(shape);
  const int64_t depth = extent.back(), count = indices.count() / depth;
  const int64_t batches = element_count({extent.begin(), extent.begin() + batch_axes});
  const int64_t batch_size = element_count({shape.begin() + batch_axes, shape.end()});
  const std::vector<int64_t> values = to_int64(indices);
  IndexedBlocks blocks;
  blocks.block = element_count({shape.begin() + batch_axes + depth, shape.end()});
  blocks.offsets.resize(count);
  for (int64_t i = 0; i < count; ++i) {
    int64_t& offset = blocks.offsets[i];
    offset = i / (count / batches) * batch_size;
    for (int64_t k = 0; k < depth; ++k) offset += checked_index(values[i * depth + k], shape[batch_axes + k]) * strides[batch_axes + k];
  }
  return blocks;
}

}  // namespace bitwright
