#include "ops/window.h"

namespace bitwright {

namespace {

// Beyond any real model, and small enough that no product of two overflows.
constexpr int64_t kLimit = int64_t{1} << 30;

// The attribute `pads`: the begins of all axes, then the ends.
std::vector<int64_t> read_pads(const Attributes& attributes, size_t rank) {
  std::vector<int64_t> pads = attributes.integers("pads", std::vector<int64_t>(2 * rank, 0));
  if (pads.size() != 2 * rank) invalid_model("pads has " + std::to_string(pads.size()) + " elements for " + std::to_string(rank) + " spatial axes");
  for (int64_t pad : pads) {
    if (pad < 0) unsupported("negative pads are not supported");
    if (pad > kLimit) invalid_model("pads are out of range");
  }
  return pads;
}

enum class AutoPad { kNone, kValid, kUpper, kLower };

AutoPad read_auto_pad(const Attributes& attributes) {
  const std::string mode = attributes.text("auto_pad", "NOTSET");
  if (mode == "NOTSET") return AutoPad::kNone;
  if (mode == "VALID") return AutoPad::kValid;
  if (mode == "SAME_UPPER") return AutoPad::kUpper;
  if (mode == "SAME_LOWER") return AutoPad::kLower;
  invalid_model("auto_pad '" + mode + "' is unknown");
}

}  // namespace

Window Window::read(const Attributes& attributes, size_t rank, std::vector<int64_t> kernel) {
  Window w;
  w.kernel = std::move(kernel);
  w.stride = attributes.integers("strides", std::vector<int64_t>(rank, 1));
  w.dilation = attributes.integers("dilations", std::vector<int64_t>(rank, 1));
  if (w.kernel.size() != rank || w.stride.size() != rank || w.dilation.size() != rank)
    invalid_model("kernel_shape, strides or dilations do not fit " + std::to_string(rank) + " spatial axes");
  for (const auto* list : {&w.kernel, &w.stride, &w.dilation})
    for (int64_t value : *list)
      if (value < 1 || value > kLimit) invalid_model("kernel_shape, strides and dilations must be positive");
  w.pad_begin.resize(rank);
  w.pad_end.resize(rank);
  w.out.resize(rank);
  return w;
}

Window Window::of(const Attributes& attributes, const std::vector<int64_t>& spatial, std::vector<int64_t> kernel, bool ceil_mode) {
  const size_t rank = spatial.size();
  Window w = read(attributes, rank, std::move(kernel));
  const std::vector<int64_t> pads = read_pads(attributes, rank);
  const AutoPad mode = read_auto_pad(attributes);
  for (size_t i = 0; i < rank; ++i) {
    const int64_t reach = (w.kernel[i] - 1) * w.dilation[i] + 1;
    if (mode == AutoPad::kUpper || mode == AutoPad::kLower) {
      w.out[i] = (spatial[i] + w.stride[i] - 1) / w.stride[i];
      const int64_t total = std::max<int64_t>(0, (w.out[i] - 1) * w.stride[i] + reach - spatial[i]);
      w.pad_begin[i] = mode == AutoPad::kUpper ? total / 2 : (total + 1) / 2;
      w.pad_end[i] = total - w.pad_begin[i];
      continue;
    }
    w.pad_begin[i] = mode == AutoPad::kValid ? 0 : pads[i];
    w.pad_end[i] = mode == AutoPad::kValid ? 0 : pads[rank + i];
    const int64_t room = spatial[i] + w.pad_begin[i] + w.pad_end[i] - reach;
    if (room < 0) invalid_model("the window is larger than the padded input");
    w.out[i] = (ceil_mode ? (room + w.stride[i] - 1) / w.stride[i] : room / w.stride[i]) + 1;
    // A last window that would start in the far padding is dropped.
    if (ceil_mode && (w.out[i] - 1) * w.stride[i] >= spatial[i] + w.pad_begin[i]) --w.out[i];
  }
  return w;
}

Window Window::transposed(const Attributes& attributes, const std::vector<int64_t>& spatial, std::vector<int64_t> kernel) {
  const size_t rank = spatial.size();
  Window w = read(attributes, rank, std::move(kernel));
  const std::vector<int64_t> pads = read_pads(attributes, rank), extra = attributes.integers("output_padding", std::vector<int64_t>(rank, 0));
  std::vector<int64_t> shape = attributes.integers("output_shape", {});
  // Some exporters name all axes.
  if (shape.size() == rank + 2) shape.erase(shape.begin(), shape.begin() + 2);
  if (extra.size() != rank || (!shape.empty() && shape.size() != rank))
    invalid_model("output_padding or output_shape do not fit " + std::to_string(rank) + " spatial axes");
  for (int64_t size : shape)
    if (size < 0 || size > kLimit) invalid_model("output_shape is out of range");
  const AutoPad mode = read_auto_pad(attributes);
  for (size_t i = 0; i < rank; ++i) {
    if (extra[i] < 0 || extra[i] > kLimit || spatial[i] > kLimit) invalid_model("output_padding is out of range");
    const int64_t full = (spatial[i] - 1) * w.stride[i] + (w.kernel[i] - 1) * w.dilation[i] + 1 + extra[i];
    const bool same = mode == AutoPad::kUpper || mode == AutoPad::kLower;
    if (same || !shape.empty()) {
      w.out[i] = shape.empty() ? spatial[i] * w.stride[i] : shape[i];
      const int64_t total = std::max<int64_t>(0, full - w.out[i]);
      w.pad_begin[i] = mode == AutoPad::kUpper ? total / 2 : total - total / 2;
    } else {
      w.pad_begin[i] = mode == AutoPad::kValid ? 0 : pads[i];
      w.out[i] = full - w.pad_begin[i] - (mode == AutoPad::kValid ? 0 : pads[rank + i]);
    }
    if (w.out[i] < 0) invalid_model("the pads are larger than the output");
    w.pad_end[i] = std::max<int64_t>(0, full - w.out[i] - w.pad_begin[i]);
  }
  return w;
}

}  // namespace bitwright
