// How the elements of an array share quantizers. The array is seen as [outer, axis, inner] in C order.
#pragma once

#include <cstdint>
#include <vector>

namespace bitwright {

enum class Sharing {
  kTensor,   // one quantizer
  kChannel,  // one for each index along axis
  kBlock,    // one for each (outer, axis / block, inner); the last block of an axis may be short
};

struct ScaleLayout {
  int64_t outer = 1, axis = 1, inner = 1;
  Sharing sharing = Sharing::kTensor;
  int64_t block = 1;

  int64_t count() const { return outer * axis * inner; }
  int64_t blocks() const { return (axis + block - 1) / block; }
  // Quantizers, numbered in C order of the indices that tell them apart.
  int64_t groups() const {
    return sharing == Sharing::kTensor ? 1 : sharing == Sharing::kChannel ? axis : outer * blocks() * inner;
  }
};

// A group's elements in memory order, one behind the other: in the array itself where they lie so, else copied to
// `buffer`.
struct GroupElements {
  const float* values;
  int64_t count;
};
GroupElements group_elements(const ScaleLayout& layout, const float* x, int64_t group, std::vector<float>& buffer);

}  // namespace bitwright
