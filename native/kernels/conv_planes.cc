// Convolutions with few channels in a group: every plane of the output is a sum of shifted source planes, read where
// they are.
#include <algorithm>
#include <vector>

#include "kernels/gather.h"
#include "kernels/scratch.h"
#include "kernels/stretches.h"

namespace bitwright {

namespace {

// The taps of a phase on all source planes of a group.
std::vector<PlaneTap> group_taps(const Gather& gather, const Phase& phase) {
  std::vector<PlaneTap> taps;
  for (int64_t channel = 0; channel < gather.channels; ++channel) {
    for (const Tap& tap : phase.taps) taps.push_back({channel * gather.source_size(), tap.y, tap.x});
  }
  return taps;
}

Plane plane_of(const Gather& gather, const Phase& phase, const std::vector<PlaneTap>& taps, int64_t y_stride) {
  return {phase.grid_height,   phase.grid_width, y_stride,      gather.source_height,
          gather.source_width, gather.step_y,    gather.step_x, static_cast<int64_t>(taps.size()),
          taps.data()};
}

struct PhasePlan {
  std::vector<PlaneTap> taps;
  std::vector<float> weights;  // [group][set, row][channel, tap]
};

class Planes {
 public:
  Planes(const KernelTable& kernels, const Gather& gather, const float* w) : kernels_(kernels), gather_(gather) {
    for (const Phase& phase : gather.phases) {
      const int64_t group_size = gather.weight_sets * gather.rows * gather.depth(phase);
      PhasePlan plan{group_taps(gather, phase), std::vector<float>(gather.groups * group_size)};
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
    const float* planes = source + unit * gather_.channels * gather_.source_size();
    const int64_t units = gather_.samples * gather_.groups, group = unit % gather_.groups;
    for (int64_t set = 0; set < gather_.weight_sets; ++set) {
      for (int64_t row = 0; row < gather_.rows; ++row) {
        float* out_plane = out + ((set * units + unit) * gather_.rows + row) * gather_.out_size();
        run_row((group * gather_.weight_sets + set) * gather_.rows + row, planes, out_plane, accumulate);
      }
    }
  }

 private:
  // One plane of the output; `row` numbers (group, set, row).
  void run_row(int64_t row, const float* planes, float* out_plane, bool accumulate) const {
    for (size_t first = 0; first < plans_.size();) {
      size_t end = first + 1;
      while (end < plans_.size() && gather_.phases[end].origin_y == gather_.phases[first].origin_y) ++end;
      run_phases(first, end, row, planes, out_plane, accumulate);
      first = end;
    }
  }

  // Phases [first, end) write the same rows of the output.
  void run_phases(size_t first, size_t end, int64_t row, const float* planes, float* out_plane, bool accumulate) const {
    const Phase& phase = gather_.phases[first];
    float* out = out_plane + phase.origin_y * gather_.out_width;
    const int64_t out_stride = gather_.out_step_y * gather_.out_width;
    if (gather_.out_step_x == 1) {
      run_phase(first, row, planes, out, out_stride, accumulate);
      return;
    }
    static thread_local Scratch scratch;
    const int64_t size = phase.grid_size() + kLanes;
    float* grids = scratch.floats(size * static_cast<int64_t>(end - first));
    for (size_t i = first; i < end; ++i) {
      run_phase(i, row, planes, grids + static_cast<int64_t>(i - first) * size, phase.grid_width, false);
    }
    for (int64_t y = 0; y < phase.grid_height; ++y, grids += phase.grid_width, out += out_stride) {
      if (gather_.out_step_x == 2 && end - first == 2) {
        kernels_.interleave(grids, grids + size, gather_.out_width, out, accumulate);
        continue;
      }
      for (size_t i = first; i < end; ++i) {
        const float* grid = grids + static_cast<int64_t>(i - first) * size;
        float* to = out + gather_.phases[i].origin_x;
        for (int64_t x = 0; x < gather_.phases[i].grid_width; ++x, to += gather_.out_step_x)
          *to = accumulate ? *to + grid[x] : grid[x];
      }
    }
  }

  void run_phase(size_t index, int64_t row, const float* planes, float* y, int64_t y_stride, bool accumulate) const {
    const PhasePlan& plan = plans_[index];
    const Plane plane = plane_of(gather_, gather_.phases[index], plan.taps, y_stride);
    kernels_.weighted_taps(plane, planes, plan.weights.data() + row * plane.tap_count, y, accumulate);
  }

  const KernelTable& kernels_;
  const Gather& gather_;
  std::vector<PhasePlan> plans_;
  int64_t work_ = 0;
};

}  // namespace

bool suits_planes(const Gather& gather) {
  constexpr int64_t kFewChannels = 4;
  return gather.groups > 1 && gather.channels <= kFewChannels && gather.rows <= kFewChannels;
}

void run_planes(const Linear& linear, const Gather& gather, const float* source, const float* w, float* out,
                bool accumulate) {
  const Planes planes(linear.kernels, gather, w);
  parallel_stretches(linear.pool, gather.samples * gather.groups, planes.work(), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) planes.run(unit, source, out, accumulate);
  });
}

void weight_adjoint_planes(const Linear& linear, const Gather& gather, const float* x, const float* dy, double* dw) {
  const Phase& phase = gather.phases[0];
  const std::vector<PlaneTap> taps = group_taps(gather, phase);
  const Plane plane = plane_of(gather, phase, taps, phase.grid_width);
  const int64_t work = gather.samples * gather.rows * plane.tap_count * phase.grid_size();
  parallel_stretches(linear.pool, gather.groups, work, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(plane.tap_count);
    for (int64_t group = begin; group < end; ++group) {
      for (int64_t n = 0; n < gather.samples; ++n) {
        const int64_t unit = n * gather.groups + group;
        const float* planes = x + unit * gather.channels * gather.source_size();
        for (int64_t row = 0; row < gather.rows; ++row) {
          linear.kernels.tap_products(plane, planes, dy + (unit * gather.rows + row) * phase.grid_size(), sums.data());
          double* dw_row = dw + group * gather.weight_group_stride + row * gather.weight_row_stride;
          for (int64_t k = 0; k < plane.tap_count; ++k) dw_row[k] += sums[k];
        }
      }
    }
  });
}

}  // namespace bitwright
