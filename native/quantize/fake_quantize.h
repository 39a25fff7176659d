// Quantization of whole arrays: the kernels of kernels.h over a layout of scales. Bits do not depend on target, flavour
// or threads.
//
// `scales` and `zero_points` hold one element for each group of the layout; scales are positive, zero points lie in
// [qmin, qmax], and all codes fit 16 bits.
#pragma once

#include "core/parallel.h"
#include "kernels/kernels.h"
#include "quantize/layout.h"

namespace bitwright {

// y = the dequantized codes of x. y may be x.
void fake_quantize(ThreadPool& pool, const KernelTable& kernels, const float* x, const ScaleLayout& layout,
                   const float* scales, const int32_t* zero_points, int32_t qmin, int32_t qmax, float* y);

void quantize(ThreadPool& pool, const KernelTable& kernels, const float* x, const ScaleLayout& layout,
              const float* scales, const int32_t* zero_points, int32_t qmin, int32_t qmax, int32_t* codes);

// sums[candidate * groups + group] = sum over the group's elements of (fake_quantize(x) - x)^2, each times its weight
// when there are weights, under scales[candidate * groups + group]. All candidates share one pass over x.
void quantization_errors(ThreadPool& pool, const KernelTable& kernels, const float* x, const float* weights,
                         const ScaleLayout& layout, const float* scales, const int32_t* zero_points, int64_t candidates,
                         int32_t qmin, int32_t qmax, double* sums);

// The same for the elements of one group and any grids: sums[g] for grids[g]. Sums run over chunks of fixed size, added
// in order.
void group_errors(ThreadPool& pool, const KernelTable& kernels, const float* x, const float* weights, int64_t count,
                  const Grid* grids, int64_t grid_count, double* sums);

}  // namespace bitwright
