// The sliding window that convolutions and pools share: its attributes, and what they give for an input size.
#pragma once

#include "ops/op.h"

namespace bitwright {

struct Window {
  std::vector<int64_t> kernel, stride, dilation, pad_begin, pad_end, out;

  // spatial: input sizes. ceil_mode: the output counts windows that start inside the input but end beyond the padding.
  static Window of(const Attributes& attributes, const std::vector<int64_t>& spatial, std::vector<int64_t> kernel, bool ceil_mode = false);
  // The window of a transposed convolution: `spatial` is what the window's output would be, `out` what it slides over.
  static Window transposed(const Attributes& attributes, const std::vector<int64_t>& spatial, std::vector<int64_t> kernel);

 private:
  // What both forms read and check alike: everything but pads and sizes.
  static Window read(const Attributes& attributes, size_t rank, std::vector<int64_t> kernel);
};

}  // namespace bitwright
