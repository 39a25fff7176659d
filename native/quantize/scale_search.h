// Chooses the quantizer of each group of an array from its values. Zero is always exactly representable.
//
// A range [low, high] that contains zero becomes a quantizer:
// - symmetric: scale = max(-low, high) / min(qmax, -qmin), zero point 0
// - affine: scale = (high - low) / (qmax - qmin), zero point = round_half_even(qmin - low / scale)
//
// and the methods differ in the range:
// - kMinMax: the smallest and largest value.
// - kPercentile: the smallest range, in ranks, that keeps a share of the values: of the magnitudes when symmetric, else
//   cut equally at both ends.
// - kLeastError: shrunken copies of the min-max range, coarse steps first and then fine ones around the best; an affine
//   quantizer's ends are shrunk together first and then each alone, twice. The least sum of squared errors wins, each
//   error times its weight when there are weights (a second derivative of the loss, say); a tie goes to the larger
//   range.
//
// Results have the same bits on every target, for any number of threads.
#pragma once

#include "core/parallel.h"
#include "kernels/kernels.h"
#include "quantize/layout.h"

namespace bitwright {

enum class RangeMethod { kMinMax, kPercentile, kLeastError };

struct Codes {
  int32_t qmin, qmax;
  bool symmetric;  // needs qmin < 0 < qmax
};

// The quantizer of a range.
Grid grid_of(double low, double high, const Codes& codes);

// `share` is kPercentile's; `weights` (kLeastError's) may be nullptr. Throws EngineError when a value is NaN or
// infinite.
void search_scales(ThreadPool& pool, const KernelTable& kernels, const float* x, const float* weights,
                   const ScaleLayout& layout, RangeMethod method, double share, const Codes& codes, float* scales,
                   int32_t* zero_points);

}  // namespace bitwright
