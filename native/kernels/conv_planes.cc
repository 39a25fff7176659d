// Convolutions with few channels in a group: every plane of the output is a sum of shifted source planes, without packing.
#include <algorithm>
#include <vector>

#include "kernels/gather.h"
#include "kernels/scratch.h"

namespace bitwright {

namespace {

// Multiply-adds below which a task costs less than handing it to another thread.
constexpr int64_t kTaskWork = 1 << 17;

// Source planes of one group, staged one behind the other.
class StagedGroup {
 public:
  StagedGroup(const KernelTable& kernels, const Gather& gather)
      : gather_(gather), stage_(kernels, gather, gather.phases.data(), gather.phases.size(), Stage::Reading::kCopied) {
    for (const Phase& phase : gather.phases) grid_rows_ = std::max(grid_rows_, phase.grid_height);
    size_ = stage_.size(grid_rows_);
  }

  // The group's planes begin at `source`; the result holds until the thread's next call.
  const float* copy(const float* source) const {
    static thread_local Scratch scratch;
    float* staged = scratch.floats(gather_.channels * size_);
    for (int64_t channel = 0; channel < gather_.channels; ++channel) {
      stage_.copy(source + channel * gather_.source_size(), 0, grid_rows_, staged + channel * size_);
    }
    return staged;
  }

  std::vector<int64_t> offsets(const Phase& phase) const {
    std::vector<int64_t> result(gather_.depth(phase));
    int64_t* offsets = result.data();
    for (int64_t channel = 0; channel < gather_.channels; ++channel) {
      stage_.offsets(phase.taps, grid_rows_, offsets);
      for (size_t t = 0; t < phase.taps.size(); ++t) *offsets++ += channel * size_;
    }
    return result;
  }

  int64_t row_stride() const { return stage_.row_stride(); }

 private:
  const Gather& gather_;
  const Stage stage_;
  int64_t grid_rows_ = 0;
  int64_t size_;
};

// What a phase needs beside the staged planes.
struct PhasePlan {
  std::vector<int64_t> offsets;
  std::vector<float> weights;  // [group][set, row][channel, tap]
};

class Planes {
 public:
  Planes(const KernelTable& kernels, const Gather& gather, const float* w) : kernels_(kernels), gather_(gather), staged_(kernels, gather) {
    for (const Phase& phase : gather.phases) {
      const int64_t group_size = gather.weight_sets * gather.rows * gather.depth(phase);
      PhasePlan plan{staged_.offsets(phase), std::vector<float>(gather.groups * group_size)};
      for (int64_t group = 0; group < gather.groups; ++group) {
        collect_weights(gather, phase, group, w, plan.weights.data() + group * group_size);
      }
      work_ += group_size * phase.grid_size();
      plans_.push_back(std::move(plan));
    }
  }

  // Multiply-adds of a unit.
  int64_t work() const { return work_; }

  // Unit u is group u % groups of sample u / groups.
  void run(int64_t unit, const float* source, float* out, bool accumulate) const {
    const float* staged = staged_.copy(source + unit * gather_.channels * gather_.source_size());
    const int64_t units = gather_.samples * gather_.groups;
    for (int64_t row = 0; row < gather_.weight_sets * gather_.rows; ++row) {
      const int64_t set = row / gather_.rows, channel = row % gather_.rows;
      float* out_plane = out + ((set * units + unit) * gather_.rows + channel) * gather_.out_size();
      for (size_t first = 0; first < plans_.size();) {
        size_t end = first + 1;
        while (end < plans_.size() && gather_.phases[end].origin_y == gather_.phases[first].origin_y) ++end;
        run_rows(first, end, unit % gather_.groups, row, staged, out_plane, accumulate);
        first = end;
      }
    }
  }

 private:
  // Phases [first, end) write the same rows of the output.
  void run_rows(size_t first, size_t end, int64_t group, int64_t row, const float* staged, float* out_plane, bool accumulate) const {
    const Phase& phase = gather_.phases[first];
    float* out = out_plane + phase.origin_y * gather_.out_width;
    const int64_t out_stride = gather_.out_step_y * gather_.out_width;
    if (gather_.out_step_x == 1) {
      run_phase(first, group, row, staged, out, out_stride, accumulate);
      return;
    }
    static thread_local Scratch scratch;
    const int64_t size = phase.grid_size() + kLanes;
    float* grids = scratch.floats(size * static_cast<int64_t>(end - first));
    for (size_t i = first; i < end; ++i) {
      run_phase(i, group, row, staged, grids + static_cast<int64_t>(i - first) * size, phase.grid_width, false);
    }
    for (int64_t y = 0; y < phase.grid_height; ++y, grids += phase.grid_width, out += out_stride) {
      if (gather_.out_step_x == 2 && end - first == 2) {
        kernels_.interleave(grids, grids + size, gather_.out_width, out, accumulate);
        continue;
      }
      for (size_t i = first; i < end; ++i) {
        const float* grid = grids + static_cast<int64_t>(i - first) * size;
        float* to = out + gather_.phases[i].origin_x;
        for (int64_t x = 0; x < gather_.phases[i].grid_width; ++x, to += gather_.out_step_x) *to = accumulate ? *to + grid[x] : grid[x];
      }
    }
  }

  void run_phase(size_t index, int64_t group, int64_t row, const float* staged, float* y, int64_t y_stride, bool accumulate) const {
    const Phase& phase = gather_.phases[index];
    const PhasePlan& plan = plans_[index];
    const int64_t depth = gather_.depth(phase);
    const Plane plane = {phase.grid_height, phase.grid_width, staged_.row_stride(), y_stride, depth, plan.offsets.data()};
    const float* weights = plan.weights.data() + (group * gather_.weight_sets * gather_.rows + row) * depth;
    kernels_.weighted_shifts(plane, staged, weights, y, accumulate);
  }

  const KernelTable& kernels_;
  const Gather& gather_;
  const StagedGroup staged_;
  std::vector<PhasePlan> plans_;
  int64_t work_ = 0;
};

}  // namespace

bool suits_planes(const Gather& gather) {
  constexpr int64_t kFewChannels = 4;
  return gather.groups > 1 && gather.channels <= kFewChannels && gather.rows <= kFewChannels;
}

void run_planes(const Linear& linear, const Gather& gather, const float* source, const float* w, float* out, bool accumulate) {
  const Planes planes(linear.kernels, gather, w);
  const int64_t units = gather.samples * gather.groups;
  const int64_t units_per_task = std::max<int64_t>(1, kTaskWork / std::max<int64_t>(1, planes.work()));
  linear.pool.parallel_for((units + units_per_task - 1) / units_per_task, [&](int64_t task) {
    const int64_t end = std::min((task + 1) * units_per_task, units);
    for (int64_t unit = task * units_per_task; unit < end; ++unit) planes.run(unit, source, out, accumulate);
  });
}

void weight_adjoint_planes(const Linear& linear, const Gather& gather, const float* x, const float* dy, double* dw) {
  const Phase& phase = gather.phases[0];
  const StagedGroup staged_group(linear.kernels, gather);
  const std::vector<int64_t> offsets = staged_group.offsets(phase);
  const int64_t depth = gather.depth(phase);
  const Plane plane = {phase.grid_height, phase.grid_width, staged_group.row_stride(), phase.grid_width, depth, offsets.data()};
  const int64_t work = std::max<int64_t>(1, gather.samples * gather.rows * depth * phase.grid_size());
  const int64_t groups_per_task = std::max<int64_t>(1, kTaskWork / work);
  linear.pool.parallel_for((gather.groups + groups_per_task - 1) / groups_per_task, [&](int64_t task) {
    std::vector<float> sums(depth);
    const int64_t end = std::min((task + 1) * groups_per_task, gather.groups);
    for (int64_t group = task * groups_per_task; group < end; ++group) {
      for (int64_t n = 0; n < gather.samples; ++n) {
        const int64_t unit = n * gather.groups + group;
        const float* staged = staged_group.copy(x + unit * gather.channels * gather.source_size());
        for (int64_t row = 0; row < gather.rows; ++row) {
          linear.kernels.shift_products(plane, staged, dy + (unit * gather.rows + row) * phase.grid_size(), sums.data());
          double* dw_row = dw + group * gather.weight_group_stride + row * gather.weight_row_stride;
          for (int64_t k = 0; k < depth; ++k) dw_row[k] += sums[k];
        }
      }
    }
  });
}

}  // namespace bitwright
