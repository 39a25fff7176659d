// Convolutions with few channels in a group: every plane of the output is a sum of shifted source planes, without packing.
#include <algorithm>
#include <vector>

#include "kernels/gather.h"
#include "kernels/scratch.h"

namespace bitwright {

namespace {

// Multiply-adds below which a task costs less than handing it to another thread.
constexpr int64_t kTaskWork = 1 << 16;

// Source planes of one group, staged one behind the other, and the taps that read them.
class StagedGroup {
 public:
  explicit StagedGroup(const Gather& gather)
      : gather_(gather), stage_(gather, Stage::Reading::kCopied), size_(stage_.size(gather.grid_height)), offsets_(gather.depth()) {
    const int64_t taps = static_cast<int64_t>(gather.taps.size());
    for (int64_t channel = 0; channel < gather.channels; ++channel) {
      int64_t* offsets = offsets_.data() + channel * taps;
      stage_.offsets(gather.grid_height, offsets);
      for (int64_t t = 0; t < taps; ++t) offsets[t] += channel * size_;
    }
  }

  // The group's planes begin at `source`; the result holds until the thread's next call.
  const float* copy(const float* source) const {
    static thread_local Scratch scratch;
    float* staged = scratch.floats(gather_.channels * size_);
    for (int64_t channel = 0; channel < gather_.channels; ++channel) {
      stage_.copy(source + channel * gather_.source_size(), 0, gather_.grid_height, staged + channel * size_);
    }
    return staged;
  }

  Plane plane(int64_t y_stride) const {
    return {gather_.grid_height, gather_.grid_width, stage_.row_stride(), y_stride, gather_.depth(), offsets_.data()};
  }

 private:
  const Gather& gather_;
  const Stage stage_;
  const int64_t size_;
  std::vector<int64_t> offsets_;
};

// Spreads a grid plane over the pixels of `out` that it stands for.
void spread(const Gather& gather, const float* grid, float* out, bool accumulate) {
  for (int64_t y = 0; y < gather.grid_height; ++y, grid += gather.grid_width) {
    float* row = out + (y * gather.out_step_y + gather.out_origin_y) * gather.out_width + gather.out_origin_x;
    for (int64_t x = 0; x < gather.grid_width; ++x) {
      float& pixel = row[x * gather.out_step_x];
      pixel = accumulate ? pixel + grid[x] : grid[x];
    }
  }
}

}  // namespace

bool suits_planes(const Gather& gather) {
  constexpr int64_t kFewChannels = 4;
  return gather.groups > 1 && gather.channels <= kFewChannels && gather.rows <= kFewChannels;
}

void run_planes(const Linear& linear, const Gather& gather, const float* source, const float* w, float* out, bool accumulate) {
  const int64_t rows = gather.weight_sets * gather.rows;
  std::vector<float> weights(gather.groups * rows * gather.depth());
  for (int64_t group = 0; group < gather.groups; ++group) {
    collect_weights(gather, group, w, weights.data() + group * rows * gather.depth());
  }
  const StagedGroup staged_group(gather);
  const bool direct = gather.out_step_y == 1 && gather.out_step_x == 1;
  const Plane plane = staged_group.plane(direct ? gather.out_width : gather.grid_width);
  const int64_t units = gather.samples * gather.groups;
  const int64_t work = std::max<int64_t>(1, rows * gather.depth() * gather.grid_size());
  const int64_t units_per_task = std::max<int64_t>(1, kTaskWork / work);
  linear.pool.parallel_for((units + units_per_task - 1) / units_per_task, [&](int64_t task) {
    static thread_local Scratch scratch;
    const int64_t end = std::min((task + 1) * units_per_task, units);
    for (int64_t unit = task * units_per_task; unit < end; ++unit) {
      const float* staged = staged_group.copy(source + unit * gather.channels * gather.source_size());
      for (int64_t row = 0; row < rows; ++row) {
        const int64_t set = row / gather.rows, channel = row % gather.rows;
        const float* row_weights = weights.data() + (unit % gather.groups * rows + row) * gather.depth();
        float* out_plane = out + ((set * units + unit) * gather.rows + channel) * gather.out_size();
        if (direct) {
          linear.kernels.weighted_shifts(plane, staged, row_weights, out_plane, accumulate);
        } else {
          float* grid = scratch.floats(gather.grid_size());
          linear.kernels.weighted_shifts(plane, staged, row_weights, grid, false);
          spread(gather, grid, out_plane, accumulate);
        }
      }
    }
  });
}

void weight_adjoint_planes(const Linear& linear, const Gather& gather, const float* x, const float* dy, double* dw) {
  const StagedGroup staged_group(gather);
  const Plane plane = staged_group.plane(gather.grid_width);
  linear.pool.parallel_for(gather.groups, [&](int64_t group) {
    std::vector<float> sums(gather.depth());
    for (int64_t n = 0; n < gather.samples; ++n) {
      const int64_t unit = n * gather.groups + group;
      const float* staged = staged_group.copy(x + unit * gather.channels * gather.source_size());
      for (int64_t row = 0; row < gather.rows; ++row) {
        linear.kernels.shift_products(plane, staged, dy + (unit * gather.rows + row) * gather.grid_size(), sums.data());
        double* dw_row = dw + group * gather.weight_group_stride + row * gather.weight_row_stride;
        for (int64_t k = 0; k < gather.depth(); ++k) dw_row[k] += sums[k];
      }
    }
  });
}

}  // namespace bitwright
