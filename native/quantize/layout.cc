#include "quantize/layout.h"

#include <algorithm>

namespace bitwright {

GroupElements group_elements(const ScaleLayout& layout, const float* x, int64_t group, std::vector<float>& buffer) {
  if (layout.sharing == Sharing::kTensor) return {x, layout.count()};

  if (layout.sharing == Sharing::kChannel) {
    const float* first = x + group * layout.inner;
    if (layout.outer == 1) return {first, layout.inner};
    buffer.resize(layout.outer * layout.inner);
    for (int64_t o = 0; o < layout.outer; ++o) {
      std::copy_n(first + o * layout.axis * layout.inner, layout.inner, buffer.data() + o * layout.inner);
    }
    return {buffer.data(), layout.outer * layout.inner};
  }

  const int64_t inner = group % layout.inner, block = group / layout.inner % layout.blocks(),
                outer = group / layout.inner / layout.blocks();
  const int64_t begin = block * layout.block, count = std::min(layout.block, layout.axis - begin);
  const float* first = x + (outer * layout.axis + begin) * layout.inner + inner;
  if (layout.inner == 1) return {first, count};
  buffer.resize(count);
  for (int64_t i = 0; i < count; ++i) buffer[i] = first[i * layout.inner];
  return {buffer.data(), count};
}

}  // namespace bitwright
