#include "ops/window.h"

namespace bitwright {

Window Window::of(const Attributes& attributes, const std::vector<int64_t>& spatial, std::vector<int64_t> kernel, bool ceil_mode) {
  const size_t rank = spatial.size();
  Window w;
  w.kernel = std::move(kernel);
  w.stride = attributes.integers("strides", std::vector<int64_t>(rank, 1));
  w.dilation = attributes.integers("dilations", std::vector<int64_t>(rank, 1));
  std::vector<int64_t> pads = attributes.integers("pads", std::vector<int64_t>(2 * rank, 0));
  if (w.kernel.size() != rank || w.stride.size() != rank || w.dilation.size() != rank || pads.size() != 2 * rank)
    invalid_model("kernel_shape, strides, dilations or pads do not fit " + std::to_string(rank) + " spatial axes");
  const std::string mode = attributes.text("auto_pad", "NOTSET");
  if (mode != "NOTSET" && mode != "VALID" && mode != "SAME_UPPER" && mode != "SAME_LOWER") invalid_model("auto_pad '" + mode + "' is unknown");
  w.pad_begin.resize(rank);
  w.pad_end.resize(rank);
  w.out.resize(rank);
  for (size_t i = 0; i < rank; ++i) {
    if (w.kernel[i] < 1 || w.stride[i] < 1 || w.dilation[i] < 1) invalid_model("kernel_shape, strides and dilations must be positive");
    const int64_t reach = (w.kernel[i] - 1) * w.dilation[i] + 1;
    if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      w.out[i] = (spatial[i] + w.stride[i] - 1) / w.stride[i];
      const int64_t total = std::max<int64_t>(0, (w.out[i] - 1) * w.stride[i] + reach - spatial[i]);
      w.pad_begin[i] = mode == "SAME_UPPER" ? total / 2 : (total + 1) / 2;
      w.pad_end[i] = total - w.pad_begin[i];
      continue;
    }
    w.pad_begin[i] = mode == "VALID" ? 0 : pads[i];
    w.pad_end[i] = mode == "VALID" ? 0 : pads[rank + i];
    if (w.pad_begin[i] < 0 || w.pad_end[i] < 0) unsupported("negative pads");
    const int64_t room = spatial[i] + w.pad_begin[i] + w.pad_end[i] - reach;
    if (room < 0) invalid_model("the window is larger than the padded input");
    w.out[i] = (ceil_mode ? (room + w.stride[i] - 1) / w.stride[i] : room / w.stride[i]) + 1;
    // A last window that would start in the far padding is dropped.
    if (ceil_mode && (w.out[i] - 1) * w.stride[i] >= spatial[i] + w.pad_begin[i]) --w.out[i];
  }
  return w;
}

}  // namespace bitwright
