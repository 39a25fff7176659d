#include "quantize/fake_quantize.h"

#include <algorithm>
#include <vector>

namespace bitwright {

namespace {

// Elements of one task: enough to outweigh handing it to a thread, few enough to spread a layer's weights.
constexpr int64_t kChunk = int64_t{1} << 15;

// Calls run(offset, count, group) for stretches of x that share a quantizer. A task gets at least kChunk elements in
// all, unless x ends.
template <class Run>
void each_stretch(ThreadPool& pool, const ScaleLayout& layout, const Run& run) {
  // Rows of `width` elements, which are cut into stretches of `length`.
  const bool tensor = layout.sharing == Sharing::kTensor, channel = layout.sharing == Sharing::kChannel;
  const int64_t width = tensor ? layout.count() : channel ? layout.inner : layout.axis;
  const int64_t length = tensor ? kChunk : channel ? layout.inner : layout.block;
  if (layout.count() == 0) return;
  const int64_t rows = layout.count() / width, per_row = (width + length - 1) / length;
  const int64_t stretches = rows * per_row, per_task = std::max<int64_t>(1, kChunk / length);
  pool.parallel_for((stretches + per_task - 1) / per_task, [&](int64_t task) {
    for (int64_t s = task * per_task; s < std::min((task + 1) * per_task, stretches); ++s) {
      const int64_t row = s / per_row, begin = s % per_row * length;
      run(row * width + begin, std::min(length, width - begin), tensor ? 0 : channel ? row % layout.axis : s);
    }
  });
}

// Calls run(offset, count, scales, zero_points) for stretches of x in which neighbours have quantizers of their own.
template <class Run>
void each_varied_stretch(ThreadPool& pool, const ScaleLayout& layout, const float* scales, const int32_t* zero_points,
                         const Run& run) {
  std::vector<float> row_scales;
  std::vector<int32_t> row_zero_points;
  int64_t rows = layout.outer * layout.axis, width = layout.inner;
  const bool channel = layout.sharing == Sharing::kChannel;
  if (channel) {
    // Short stretches: the quantizers are written out once for all elements of an outer index.
    rows = layout.outer;
    width = layout.axis * layout.inner;
    for (int64_t i = 0; i < width; ++i) {
      row_scales.push_back(scales[i / layout.inner]);
      row_zero_points.push_back(zero_points[i / layout.inner]);
    }
    scales = row_scales.data();
    zero_points = row_zero_points.data();
  }
  const int64_t per_task = std::max<int64_t>(1, kChunk / std::max<int64_t>(1, width));
  pool.parallel_for((rows + per_task - 1) / per_task, [&](int64_t task) {
    for (int64_t row = task * per_task; row < std::min((task + 1) * per_task, rows); ++row) {
      const int64_t group =
          channel ? 0 : (row / layout.axis * layout.blocks() + row % layout.axis / layout.block) * layout.inner;
      run(row * width, width, scales + group, zero_points + group);
    }
  });
}

bool varies_within_vectors(const ScaleLayout& layout) {
  if (layout.sharing == Sharing::kChannel) return layout.inner < kLanes;
  return layout.sharing == Sharing::kBlock && layout.inner > 1;
}

}  // namespace

void fake_quantize(ThreadPool& pool, const KernelTable& kernels, const float* x, const ScaleLayout& layout,
                   const float* scales, const int32_t* zero_points, int32_t qmin, int32_t qmax, float* y) {
  if (varies_within_vectors(layout)) {
    each_varied_stretch(
        pool, layout, scales, zero_points,
        [&](int64_t offset, int64_t count, const float* stretch_scales, const int32_t* stretch_zero_points) {
          kernels.fake_quantize_each(x + offset, count, stretch_scales, stretch_zero_points, qmin, qmax, y + offset);
        });
  } else {
    each_stretch(pool, layout, [&](int64_t offset, int64_t count, int64_t group) {
      kernels.fake_quantize(x + offset, count, {scales[group], zero_points[group], qmin, qmax}, y + offset);
    });
  }
}

void quantize(ThreadPool& pool, const KernelTable& kernels, const float* x, const ScaleLayout& layout,
              const float* scales, const int32_t* zero_points, int32_t qmin, int32_t qmax, int32_t* codes) {
  if (varies_within_vectors(layout)) {
    each_varied_stretch(
        pool, layout, scales, zero_points,
        [&](int64_t offset, int64_t count, const float* stretch_scales, const int32_t* stretch_zero_points) {
          kernels.quantize_each(x + offset, count, stretch_scales, stretch_zero_points, qmin, qmax, codes + offset);
        });
  } else {
    each_stretch(pool, layout, [&](int64_t offset, int64_t count, int64_t group) {
      kernels.quantize(x + offset, count, {scales[group], zero_points[group], qmin, qmax}, codes + offset);
    });
  }
}

void group_errors(ThreadPool& pool, const KernelTable& kernels, const float* x, const float* weights, int64_t count,
                  const Grid* grids, int64_t grid_count, double* sums) {
  const int64_t chunks = (count + kChunk - 1) / kChunk;
  std::vector<double> parts(chunks * grid_count);
  pool.parallel_for(chunks, [&](int64_t chunk) {
    const int64_t begin = chunk * kChunk;
    kernels.error_sums(x + begin, weights == nullptr ? nullptr : weights + begin, std::min(kChunk, count - begin),
                       grids, grid_count, parts.data() + chunk * grid_count);
  });
  for (int64_t g = 0; g < grid_count; ++g) {
    sums[g] = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sums[g] += parts[chunk * grid_count + g];
  }
}

void quantization_errors(ThreadPool& pool, const KernelTable& kernels, const float* x, const float* weights,
                         const ScaleLayout& layout, const float* scales, const int32_t* zero_points, int64_t candidates,
                         int32_t qmin, int32_t qmax, double* sums) {
  const int64_t groups = layout.groups();
  const int64_t per_task =
      std::max<int64_t>(1, kChunk / std::max<int64_t>(1, layout.count() / std::max<int64_t>(1, groups)));
  pool.parallel_for((groups + per_task - 1) / per_task, [&](int64_t task) {
    std::vector<float> x_buffer, weight_buffer;
    std::vector<Grid> grids(candidates);
    std::vector<double> group_sums(candidates);
    for (int64_t group = task * per_task; group < std::min((task + 1) * per_task, groups); ++group) {
      for (int64_t c = 0; c < candidates; ++c)
        grids[c] = {scales[c * groups + group], zero_points[c * groups + group], qmin, qmax};
      const GroupElements elements = group_elements(layout, x, group, x_buffer);
      const float* group_weights =
          weights == nullptr ? nullptr : group_elements(layout, weights, group, weight_buffer).values;
      group_errors(pool, kernels, elements.values, group_weights, elements.count, grids.data(), candidates,
                   group_sums.data());
      for (int64_t c = 0; c < candidates; ++c) sums[c * groups + group] = group_sums[c];
    }
  });
}

}  // namespace bitwright
