#include "quantize/scale_search.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"
#include "quantize/fake_quantize.h"

namespace bitwright {

namespace {

struct Range {
  double low, high;
};

// The element that `count` * share elements do not exceed (nearest rank). Reorders x.
float quantile(std::vector<float>& x, double share) {
  const auto count = static_cast<int64_t>(x.size());
  const int64_t rank =
      std::clamp<int64_t>(static_cast<int64_t>(std::ceil(share * static_cast<double>(count))), 1, count);
  std::nth_element(x.begin(), x.begin() + (rank - 1), x.end());
  return x[rank - 1];
}

Range percentile_range(const GroupElements& elements, double share, bool symmetric) {
  std::vector<float> x(elements.values, elements.values + elements.count);
  if (symmetric) {
    for (float& value : x) value = std::fabs(value);
    const double high = quantile(x, share);
    return {-high, high};
  }
  const double tail = (1 - share) / 2;
  const double high = quantile(x, 1 - tail);
  for (float& value : x) value = -value;
  return {-static_cast<double>(quantile(x, 1 - tail)), high};
}

// Ratios by repeated multiplication, since pow differs between C libraries.
std::vector<double> geometric(double first, double factor, int count) {
  std::vector<double> ratios;
  for (double ratio = first; static_cast<int>(ratios.size()) < count; ratio *= factor) ratios.push_back(ratio);
  return ratios;
}

// The search for the least error over the elements of one group.
class ErrorSearch {
 public:
  ErrorSearch(ThreadPool& pool, const KernelTable& kernels, const GroupElements& elements, const float* weights,
              const Codes& codes, Range extremes)
      : pool_(pool),
        kernels_(kernels),
        elements_(elements),
        weights_(weights),
        codes_(codes),
        extremes_(extremes),
        best_(extremes) {}

  Range run() {
    // From the whole range down to a twentieth of it, then eight steps to each of the coarse ones.
    const std::vector<double> coarse = geometric(1, 0.94, 49), fine = geometric(1.0558, 0.9923, 15);
    improve(extremes_, coarse, true, true);
    const bool two_ends = !codes_.symmetric && extremes_.low < 0 && extremes_.high > 0;
    if (!two_ends) {
      improve(best_, fine, true, true);
      return best_;
    }
    // An end's best place depends on the other's: both are found again beside each other.
    for (int round = 0; round < 2; ++round) {
      improve(extremes_, coarse, true, false);
      improve(extremes_, coarse, false, true);
    }
    improve(best_, fine, true, false);
    improve(best_, fine, false, true);
    return best_;
  }

 private:
  // Tries base.low * ratio and base.high * ratio, or one of them beside the best other end.
  void improve(Range base, const std::vector<double>& ratios, bool move_low, bool move_high) {
    std::vector<Range> ranges;
    std::vector<Grid> grids;
    for (double ratio : ratios) {
      const Range range = {move_low ? std::max(base.low * ratio, extremes_.low) : best_.low,
                           move_high ? std::min(base.high * ratio, extremes_.high) : best_.high};
      ranges.push_back(range);
      grids.push_back(grid_of(range.low, range.high, codes_));
    }
    std::vector<double> errors(grids.size());
    group_errors(pool_, kernels_, elements_.values, weights_, elements_.count, grids.data(),
                 static_cast<int64_t>(grids.size()), errors.data());
    for (size_t i = 0; i < ranges.size(); ++i) {
      if (!(errors[i] < best_error_)) continue;
      best_error_ = errors[i];
      best_ = ranges[i];
    }
  }

  ThreadPool& pool_;
  const KernelTable& kernels_;
  const GroupElements& elements_;
  const float* weights_;
  const Codes& codes_;
  const Range extremes_;
  Range best_;
  double best_error_ = std::numeric_limits<double>::infinity();
};

Range extremes_of(const KernelTable& kernels, const GroupElements& elements, int64_t group) {
  if (elements.count == 0) return {0, 0};
  float low, high;
  int64_t nans;
  kernels.min_max(elements.values, elements.count, &low, &high, &nans);
  if (nans > 0 || !std::isfinite(low) || !std::isfinite(high)) {
    invalid_argument("quantizer " + std::to_string(group) +
                     " has values that are NaN or infinite, for which there is no range");
  }
  return {std::min<double>(low, 0), std::max<double>(high, 0)};
}

}  // namespace

Grid grid_of(double low, double high, const Codes& codes) {
  const double width = codes.symmetric ? std::max(-low, high) : high - low;
  const double steps = codes.symmetric ? std::min(codes.qmax, -codes.qmin) : codes.qmax - codes.qmin;
  // All values are zero: any scale will do. Below the smallest normal number a scale would lose its precision, or be
  // zero itself.
  const float scale = width == 0 ? 1.0f : std::max(static_cast<float>(width / steps), FLT_MIN);
  if (codes.symmetric) return {scale, 0, codes.qmin, codes.qmax};
  const double zero_point = std::nearbyint(codes.qmin - low / static_cast<double>(scale));
  return {scale, static_cast<int32_t>(std::clamp<double>(zero_point, codes.qmin, codes.qmax)), codes.qmin, codes.qmax};
}

void search_scales(ThreadPool& pool, const KernelTable& kernels, const float* x, const float* weights,
                   const ScaleLayout& layout, RangeMethod method, double share, const Codes& codes, float* scales,
                   int32_t* zero_points) {
  pool.parallel_for(layout.groups(), [&](int64_t group) {
    std::vector<float> x_buffer, weight_buffer;
    const GroupElements elements = group_elements(layout, x, group, x_buffer);
    Range range = extremes_of(kernels, elements, group);
    if (method == RangeMethod::kPercentile && elements.count > 0) {
      range = percentile_range(elements, share, codes.symmetric);
      range = {std::min(range.low, 0.0), std::max(range.high, 0.0)};
    } else if (method == RangeMethod::kLeastError) {
      const float* group_weights =
          weights == nullptr ? nullptr : group_elements(layout, weights, group, weight_buffer).values;
      range = ErrorSearch(pool, kernels, elements, group_weights, codes, range).run();
    }
    const Grid grid = grid_of(range.low, range.high, codes);
    scales[group] = grid.scale;
    zero_points[group] = grid.zero_point;
  });
}

}  // namespace bitwright
