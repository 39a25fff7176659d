#include "kernels/gather.h"

#include <algorithm>

namespace bitwright {

namespace {

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
int64_t ceil_div(int64_t a, int64_t b) { return -floor_div(-a, b); }

// Fields that do not depend on the direction.
Gather base_gather(const ConvShape& shape) {
  Gather gather = {};
  gather.samples = shape.samples;
  gather.groups = shape.groups;
  gather.weight_sets = shape.weight_sets;
  const int64_t group_in = shape.in_channels / shape.groups;
  gather.weight_group_stride = shape.out_channels / shape.groups * group_in * shape.kernel_height * shape.kernel_width;
  gather.weight_set_stride = shape.groups * gather.weight_group_stride;
  return gather;
}

}  // namespace

Gather forward_gather(const ConvShape& shape) {
  Gather gather = base_gather(shape);
  gather.channels = shape.in_channels / shape.groups;
  gather.rows = shape.out_channels / shape.groups;
  gather.weight_channel_stride = shape.kernel_height * shape.kernel_width;
  gather.weight_row_stride = gather.channels * gather.weight_channel_stride;
  gather.source_height = shape.in_height;
  gather.source_width = shape.in_width;
  gather.grid_height = gather.out_height = shape.out_height;
  gather.grid_width = gather.out_width = shape.out_width;
  gather.step_y = shape.stride_y;
  gather.step_x = shape.stride_x;
  gather.out_step_y = gather.out_step_x = 1;
  for (int64_t ky = 0; ky < shape.kernel_height; ++ky) {
    for (int64_t kx = 0; kx < shape.kernel_width; ++kx) {
      gather.taps.push_back(
          {ky * shape.dilation_y - shape.pad_top, kx * shape.dilation_x - shape.pad_left, ky * shape.kernel_width + kx});
    }
  }
  return gather;
}

std::vector<Gather> input_adjoint_gathers(const ConvShape& shape) {
  std::vector<Gather> gathers;
  for (int64_t py = 0; py < std::min(shape.stride_y, shape.in_height); ++py) {
    for (int64_t px = 0; px < std::min(shape.stride_x, shape.in_width); ++px) {
      Gather gather = base_gather(shape);
      gather.channels = shape.out_channels / shape.groups;
      gather.rows = shape.in_channels / shape.groups;
      gather.weight_row_stride = shape.kernel_height * shape.kernel_width;
      gather.weight_channel_stride = gather.rows * gather.weight_row_stride;
      gather.source_height = shape.out_height;
      gather.source_width = shape.out_width;
      gather.grid_height = ceil_div(shape.in_height - py, shape.stride_y);
      gather.grid_width = ceil_div(shape.in_width - px, shape.stride_x);
      gather.step_y = gather.step_x = 1;
      gather.out_height = shape.in_height;
      gather.out_width = shape.in_width;
      gather.out_origin_y = py;
      gather.out_origin_x = px;
      gather.out_step_y = shape.stride_y;
      gather.out_step_x = shape.stride_x;
      for (int64_t ky = 0; ky < shape.kernel_height; ++ky) {
        for (int64_t kx = 0; kx < shape.kernel_width; ++kx) {
          const int64_t y = py + shape.pad_top - ky * shape.dilation_y, x = px + shape.pad_left - kx * shape.dilation_x;
          if (y % shape.stride_y != 0 || x % shape.stride_x != 0) continue;
          gather.taps.push_back({y / shape.stride_y, x / shape.stride_x, ky * shape.kernel_width + kx});
        }
      }
      gathers.push_back(std::move(gather));
    }
  }
  return gathers;
}

Stage::Stage(const Gather& gather, Reading reading) : gather_(gather) {
  if (!gather.taps.empty()) {
    int64_t max_y = min_y_ = gather.taps[0].y, max_x = min_x_ = gather.taps[0].x;
    for (const Tap& tap : gather.taps) {
      min_y_ = std::min(min_y_, tap.y);
      max_y = std::max(max_y, tap.y);
      min_x_ = std::min(min_x_, tap.x);
      max_x = std::max(max_x, tap.x);
    }
    extra_y_ = (max_y - min_y_) / gather.step_y;
    extra_x_ = (max_x - min_x_) / gather.step_x;
    for (const Tap& tap : gather.taps) {
      phases_.push_back((tap.y - min_y_) % gather.step_y * gather.step_x + (tap.x - min_x_) % gather.step_x);
    }
    std::sort(phases_.begin(), phases_.end());
    phases_.erase(std::unique(phases_.begin(), phases_.end()), phases_.end());
  }
  in_place_ = reading == Reading::kAnywhere && gather.step_y == 1 && gather.step_x == 1 && min_y_ >= 0 && min_x_ >= 0 &&
              gather.grid_height + min_y_ + extra_y_ <= gather.source_height &&
              gather.grid_width + min_x_ + extra_x_ <= gather.source_width;
  row_stride_ = in_place_ ? gather.source_width : gather.grid_width + extra_x_;
}

int64_t Stage::size(int64_t grid_rows) const {
  return static_cast<int64_t>(phases_.size()) * (grid_rows + extra_y_) * row_stride_ + kLanes;
}

void Stage::offsets(int64_t grid_rows, int64_t* result) const {
  for (const Tap& tap : gather_.taps) {
    const int64_t y = tap.y - min_y_, x = tap.x - min_x_;
    const int64_t phase = y % gather_.step_y * gather_.step_x + x % gather_.step_x;
    const int64_t slot = std::lower_bound(phases_.begin(), phases_.end(), phase) - phases_.begin();
    *result++ = (slot * (grid_rows + extra_y_) + y / gather_.step_y) * row_stride_ + x / gather_.step_x;
  }
}

void Stage::copy(const float* plane, int64_t first, int64_t grid_rows, float* band) const {
  const int64_t step = gather_.step_x;
  for (int64_t phase : phases_) {
    const int64_t origin_y = phase / step + min_y_, origin_x = phase % step + min_x_;
    // Columns [begin, end) of the band lie inside the source.
    const int64_t begin = std::clamp<int64_t>(ceil_div(-origin_x, step), 0, row_stride_);
    const int64_t end = std::clamp<int64_t>(ceil_div(gather_.source_width - origin_x, step), begin, row_stride_);
    for (int64_t i = 0; i < grid_rows + extra_y_; ++i, band += row_stride_) {
      const int64_t y = (first + i) * gather_.step_y + origin_y;
      if (y < 0 || y >= gather_.source_height) {
        std::fill_n(band, row_stride_, 0.0f);
        continue;
      }
      const float* row = plane + y * gather_.source_width + origin_x;
      std::fill_n(band, begin, 0.0f);
      if (step == 1) {
        std::copy(row + begin, row + end, band + begin);
      } else {
        for (int64_t j = begin; j < end; ++j) band[j] = row[j * step];
      }
      std::fill(band + end, band + row_stride_, 0.0f);
    }
  }
}

void collect_weights(const Gather& gather, int64_t group, const float* w, float* rows) {
  for (int64_t set = 0; set < gather.weight_sets; ++set) {
    for (int64_t row = 0; row < gather.rows; ++row) {
      for (int64_t channel = 0; channel < gather.channels; ++channel) {
        const float* kernel = w + set * gather.weight_set_stride + group * gather.weight_group_stride +
                              row * gather.weight_row_stride + channel * gather.weight_channel_stride;
        for (const Tap& tap : gather.taps) *rows++ = kernel[tap.weight];
      }
    }
  }
}

}  // namespace bitwright
