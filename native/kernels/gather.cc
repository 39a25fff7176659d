#include "kernels/gather.h"

#include <algorithm>

namespace bitwright {

namespace {

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
int64_t ceil_div(int64_t a, int64_t b) { return -floor_div(-a, b); }

// The first i >= 0 with origin + i * step >= 0.
int64_t first_inside(int64_t origin, int64_t step) {
  return origin >= 0 ? 0 : step == 1 ? -origin : ceil_div(-origin, step);
}

// Fields that do not depend on the direction.
Gather base_gather(const ConvShape& shape) {
  Gather gather = {};
  gather.samples = shape.samples;
  gather.groups = shape.groups;
  gather.weight_sets = shape.weight_sets;
  const int64_t group_in = shape.in_channels / shape.groups;
  gather.kernel_size = shape.kernel_height * shape.kernel_width;
  gather.weight_group_stride = shape.out_channels / shape.groups * group_in * gather.kernel_size;
  gather.weight_set_stride = shape.groups * gather.weight_group_stride;
  return gather;
}

}  // namespace

Gather forward_gather(const ConvShape& shape) {
  Gather gather = base_gather(shape);
  gather.channels = shape.in_channels / shape.groups;
  gather.rows = shape.out_channels / shape.groups;
  gather.weight_channel_stride = gather.kernel_size;
  gather.weight_row_stride = gather.channels * gather.weight_channel_stride;
  gather.source_height = shape.in_height;
  gather.source_width = shape.in_width;
  gather.step_y = shape.stride_y;
  gather.step_x = shape.stride_x;
  gather.out_height = shape.out_height;
  gather.out_width = shape.out_width;
  gather.out_step_y = gather.out_step_x = 1;
  Phase phase = {0, 0, shape.out_height, shape.out_width, {}};
  for (int64_t ky = 0; ky < shape.kernel_height; ++ky) {
    for (int64_t kx = 0; kx < shape.kernel_width; ++kx) {
      phase.taps.push_back({ky * shape.dilation_y - shape.pad_top, kx * shape.dilation_x - shape.pad_left,
                            ky * shape.kernel_width + kx});
    }
  }
  gather.phases.push_back(std::move(phase));
  return gather;
}

Gather input_adjoint_gather(const ConvShape& shape) {
  Gather gather = base_gather(shape);
  gather.channels = shape.out_channels / shape.groups;
  gather.rows = shape.in_channels / shape.groups;
  gather.weight_row_stride = gather.kernel_size;
  gather.weight_channel_stride = gather.rows * gather.weight_row_stride;
  gather.source_height = shape.out_height;
  gather.source_width = shape.out_width;
  gather.step_y = gather.step_x = 1;
  gather.out_height = shape.in_height;
  gather.out_width = shape.in_width;
  gather.out_step_y = shape.stride_y;
  gather.out_step_x = shape.stride_x;
  for (int64_t py = 0; py < std::min(shape.stride_y, shape.in_height); ++py) {
    for (int64_t px = 0; px < std::min(shape.stride_x, shape.in_width); ++px) {
      Phase phase = {
          py, px, ceil_div(shape.in_height - py, shape.stride_y), ceil_div(shape.in_width - px, shape.stride_x), {}};
      for (int64_t ky = 0; ky < shape.kernel_height; ++ky) {
        for (int64_t kx = 0; kx < shape.kernel_width; ++kx) {
          const int64_t y = py + shape.pad_top - ky * shape.dilation_y, x = px + shape.pad_left - kx * shape.dilation_x;
          if (y % shape.stride_y != 0 || x % shape.stride_x != 0) continue;
          phase.taps.push_back({y / shape.stride_y, x / shape.stride_x, ky * shape.kernel_width + kx});
        }
      }
      gather.phases.push_back(std::move(phase));
    }
  }
  return gather;
}

Stage::Stage(const KernelTable& kernels, const Gather& gather, const Phase& phase)
    : kernels_(kernels), gather_(gather), phase_(phase) {
  if (!phase.taps.empty()) {
    int64_t max_y = min_y_ = phase.taps[0].y, max_x = min_x_ = phase.taps[0].x;
    for (const Tap& tap : phase.taps) {
      min_y_ = std::min(min_y_, tap.y);
      max_y = std::max(max_y, tap.y);
      min_x_ = std::min(min_x_, tap.x);
      max_x = std::max(max_x, tap.x);
    }
    extra_y_ = (max_y - min_y_) / gather.step_y;
    extra_x_ = (max_x - min_x_) / gather.step_x;
  }
  in_place_ = gather.step_y == 1 && gather.step_x == 1 && min_y_ >= 0 && min_x_ >= 0 &&
              phase.grid_height + min_y_ + extra_y_ <= gather.source_height &&
              phase.grid_width + min_x_ + extra_x_ <= gather.source_width;
  row_stride_ = in_place_ ? gather.source_width : phase.grid_width + extra_x_;
  std::vector<int64_t> numbers;
  for (const Tap& tap : phase.taps) numbers.push_back(part_of(tap));
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  for (int64_t number : numbers) {
    Part part = {number, number / gather.step_x + min_y_, number % gather.step_x + min_x_, 0, 0};
    part.begin_x = std::min(first_inside(part.origin_x, gather.step_x), row_stride_);
    part.end_x = std::clamp(ceil_div(gather.source_width - part.origin_x, gather.step_x), part.begin_x, row_stride_);
    parts_.push_back(part);
  }
}

int64_t Stage::part_of(const Tap& tap) const {
  return (tap.y - min_y_) % gather_.step_y * gather_.step_x + (tap.x - min_x_) % gather_.step_x;
}

int64_t Stage::size(int64_t grid_rows) const {
  return static_cast<int64_t>(parts_.size()) * (grid_rows + extra_y_) * row_stride_ + kLanes;
}

void Stage::offsets(int64_t grid_rows, int64_t* result) const {
  for (const Tap& tap : phase_.taps) {
    const int64_t number = part_of(tap), y = (tap.y - min_y_) / gather_.step_y, x = (tap.x - min_x_) / gather_.step_x;
    int64_t slot = 0;
    while (parts_[slot].number != number) ++slot;
    *result++ = (slot * (grid_rows + extra_y_) + y) * row_stride_ + x;
  }
}

void Stage::copy(const float* plane, int64_t first, int64_t grid_rows, float* band) const {
  const int64_t rows = grid_rows + extra_y_, height = gather_.source_height, width = gather_.source_width;
  const int64_t step_y = gather_.step_y, step_x = gather_.step_x;
  for (const Part& part : parts_) {
    const int64_t origin_y = first * step_y + part.origin_y;
    const int64_t begin_y = std::min(first_inside(origin_y, step_y), rows);
    // Counting rows up to the last inside costs less than dividing.
    int64_t end_y = rows;
    while (end_y > begin_y && origin_y + (end_y - 1) * step_y >= height) --end_y;
    std::fill_n(band, begin_y * row_stride_, 0.0f);
    const float* source = plane + (origin_y + begin_y * step_y) * width + part.origin_x + part.begin_x * step_x;
    kernels_.pad_rows(source, step_y * width, step_x, end_y - begin_y, part.begin_x, part.end_x - part.begin_x,
                      row_stride_, band + begin_y * row_stride_);
    std::fill_n(band + end_y * row_stride_, (rows - end_y) * row_stride_, 0.0f);
    band += rows * row_stride_;
  }
}

void collect_weights(const Gather& gather, const Phase& phase, int64_t group, const float* w, float* rows) {
  for (int64_t set = 0; set < gather.weight_sets; ++set) {
    for (int64_t row = 0; row < gather.rows; ++row) {
      for (int64_t channel = 0; channel < gather.channels; ++channel) {
        const float* kernel = w + set * gather.weight_set_stride + group * gather.weight_group_stride +
                              row * gather.weight_row_stride + channel * gather.weight_channel_stride;
        for (const Tap& tap : phase.taps) *rows++ = kernel[tap.weight];
      }
    }
  }
}

}  // namespace bitwright
