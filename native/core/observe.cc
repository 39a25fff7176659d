// Statistics of the values of a run, for calibration. Sums go sample by sample, so they do not depend on the batch split.
#include <algorithm>
#include <cmath>

#include "core/graph.h"

namespace bitwright {

namespace {

Tensor floats(Graph& graph, int value) {
  Tensor tensor = graph.primal(value);
  if (tensor.dtype() != BW_FLOAT32) invalid_argument(std::string("statistics are of float32 values; this one is ") + dtype_name(tensor.dtype()));
  return tensor;
}

}  // namespace

void Graph::ranges(const std::vector<int>& values, double* out) {
  for (size_t v = 0; v < values.size(); ++v) {
    const Tensor tensor = floats(*this, values[v]);
    const int64_t count = tensor.count();
    const float* x = tensor.data<float>();
    const int64_t chunks = (count + kChunk - 1) / kChunk;
    std::vector<float> low(chunks), high(chunks);
    std::vector<int64_t> unusable(chunks);
    linear_.pool.parallel_for(chunks, [&](int64_t c) {
      linear_.kernels.min_max(x + c * kChunk, std::min(kChunk, count - c * kChunk), &low[c], &high[c], &unusable[c]);
    });
    double* range = out + 3 * v;
    range[0] = INFINITY;
    range[1] = -INFINITY;
    range[2] = 0;
    for (int64_t c = 0; c < chunks; ++c) {
      range[0] = std::min<double>(range[0], low[c]);
      range[1] = std::max<double>(range[1], high[c]);
      range[2] += static_cast<double>(unusable[c]);
    }
  }
}

void Graph::histogram(int value, float low, float high, double* bins, int bin_count) {
  if (!(high > low) || bin_count < 1) invalid_argument("a histogram needs low < high and at least one bin");
  const Tensor tensor = floats(*this, value);
  const int64_t count = tensor.count();
  const float* x = tensor.data<float>();
  const int64_t parts = std::min<int64_t>(linear_.pool.threads(), (count + kChunk - 1) / kChunk);
  std::vector<std::vector<uint64_t>> counts(parts, std::vector<uint64_t>(bin_count));
  linear_.pool.parallel_for(parts, [&](int64_t part) {
    const int64_t begin = part * count / parts, end = (part + 1) * count / parts;
    linear_.kernels.histogram(x + begin, end - begin, low, high, bin_count, counts[part].data());
  });
  for (const auto& part : counts)
    for (int b = 0; b < bin_count; ++b) bins[b] += static_cast<double>(part[b]);
}

void Graph::errors(int value, const std::vector<Grid>& grids, double* sums) {
  for (const Grid& grid : grids)
    if (!(grid.scale > 0) || grid.qmin > grid.qmax) invalid_argument("a quantizer's scale must be positive, and qmin at most qmax");
  const Tensor tensor = floats(*this, value);
  const int64_t count = tensor.count();
  const float* x = tensor.data<float>();
  const int64_t samples = count % samples_ == 0 ? samples_ : 1;
  const int64_t each = count / samples, chunks = (each + kChunk - 1) / kChunk;
  const auto grid_count = static_cast<int64_t>(grids.size());
  std::vector<double> parts(samples * chunks * grid_count);
  linear_.pool.parallel_for(samples * chunks, [&](int64_t i) {
    const int64_t begin = (i % chunks) * kChunk;
    linear_.kernels.error_sums(x + (i / chunks) * each + begin, nullptr, std::min(kChunk, each - begin), grids.data(), grid_count,
                               parts.data() + i * grid_count);
  });
  for (int64_t n = 0; n < samples; ++n)
    for (int64_t g = 0; g < grid_count; ++g) {
      double sample = 0;
      for (int64_t c = 0; c < chunks; ++c) sample += parts[(n * chunks + c) * grid_count + g];
      sums[g] += sample;
    }
}

}  // namespace bitwright
