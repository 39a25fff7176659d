// The whole SIMD surface: one table of functions for each target (baseline, avx2, avx512, neon, wasm128) and flavour.
//
// Flavours differ in multiply-adds alone. `fast` fuses them where the machine can; `strict` rounds after the product,
// with the same bits on every target. Everything that is not a product (fake quantization, error sums, reductions) has
// the same bits in both. Sums run in double over kLanes virtual lanes (element i goes to lane i % kLanes) that are
// merged pairwise, whatever the vector width.
#pragma once

#include <cstdint>

namespace bitwright {

constexpr int kLanes = 16;

// x -> (clamp(round_half_even(x / scale) + zero_point, qmin, qmax) - zero_point) * scale, as ONNX QuantizeLinear and
// DequantizeLinear compute it. NaN gives qmin's value on every target.
struct Grid {
  float scale;
  int32_t zero_point;
  int32_t qmin;
  int32_t qmax;
};

// One plane of a depthwise convolution. Pixel (r, c) of y meets the pixels (r * step_y + tap.y, c * step_x + tap.x) of
// the source planes, which are source_height x source_width and zero outside.
struct PlaneTap {
  int64_t plane;  // where the source plane begins in x
  int64_t y, x;
};

struct Plane {
  int64_t rows, columns, y_stride;
  int64_t source_height, source_width;
  int64_t step_y, step_x;
  int64_t tap_count;
  const PlaneTap* taps;
};

struct KernelTable {
  const char* target;   // "baseline", "avx2", "avx512", "neon", "wasm128"
  const char* flavour;  // "fast" or "strict"

  // Register tile of gemm_tile: rows x columns.
  int tile_rows;
  int tile_columns;

  // C[tile_rows x columns] (row stride ldc) = or += sum over k of a[k * tile_rows + r] * b[k * ldb + c], for columns up
  // to tile_columns. Works in whole vectors: b is read and C written up to the next multiple of a vector.
  // Each element accumulates over k in ascending order; k blocks are added to C one after the other.
  void (*gemm_tile)(int64_t columns, int64_t depth, const float* a, const float* b, int64_t ldb, float* c, int64_t ldc,
                    bool accumulate);

  // y[r][c] = or += sum over taps t of w[t] * x at tap t of (r, c), t ascending.
  void (*weighted_taps)(const Plane& plane, const float* x, const float* w, float* y, bool accumulate);
  // sums[t] = sum over r and c of y[r][c] * x at tap t of (r, c), in float. Column c adds to lane c % kLanes; a
  // stretch of kLanes columns goes through all rows before the next.
  void (*tap_products)(const Plane& plane, const float* x, const float* y, float* sums);
  // y[r * y_stride + c] = x[offsets[r] + c].
  void (*copy_shifted)(const float* x, const int64_t* offsets, int64_t rows, int64_t columns, float* y,
                       int64_t y_stride);
  // Rows of `width` one behind the other: `before` zeros, x[r * x_stride + c * step] for c < count, zeros to the end.
  // Writes up to kLanes elements more.
  void (*pad_rows)(const float* x, int64_t x_stride, int64_t step, int64_t rows, int64_t before, int64_t count,
                   int64_t width, float* y);
  // y[0 .. count) = or += even[0], odd[0], even[1], ...; both can be read kLanes elements past their end.
  void (*interleave)(const float* even, const float* odd, int64_t count, float* y, bool accumulate);

  // y[i] = grid(x[i]).
  void (*fake_quantize)(const float* x, int64_t count, Grid grid, float* y);
  // y[i] = grid_i(x[i]) with a scale and a zero point of its own for every element.
  void (*fake_quantize_each)(const float* x, int64_t count, const float* scales, const int32_t* zero_points,
                             int32_t qmin, int32_t qmax, float* y);
  // codes[i] = clamp(round_half_even(x[i] / scale) + zero_point, qmin, qmax).
  void (*quantize)(const float* x, int64_t count, Grid grid, int32_t* codes);
  // The same with a scale and a zero point of its own for every element.
  void (*quantize_each)(const float* x, int64_t count, const float* scales, const int32_t* zero_points, int32_t qmin,
                        int32_t qmax, int32_t* codes);
  // sums[g] += sum over i of (grids[g](x[i]) - x[i])^2 * (weights ? weights[i] : 1), for all grids in one pass over x.
  void (*error_sums)(const float* x, const float* weights, int64_t count, const Grid* grids, int64_t grid_count,
                     double* sums);

  // Smallest and largest element; NaN is skipped and counted in *nans.
  void (*min_max)(const float* x, int64_t count, float* min, float* max, int64_t* nans);
  // bins[clamp(floor((x - low) * bin_count / (high - low)), 0, bin_count - 1)] += 1.
  void (*histogram)(const float* x, int64_t count, float low, float high, int64_t bin_count, uint64_t* bins);

  // Sum of a[i] * b[i], products and sums in double.
  double (*dot)(const float* a, const float* b, int64_t count);
  // y = or += x.
  void (*add)(const float* a, const float* b, int64_t count, float* y);           // y = a + b
  void (*add_to)(const float* x, int64_t count, float* y);                        // y += x
  void (*multiply)(const float* a, const float* b, int64_t count, float* y);      // y = a * b
  void (*multiply_add)(const float* a, const float* b, int64_t count, float* y);  // y += a * b, product rounded first
  void (*scale_shift)(const float* x, float scale, float shift, int64_t count,
                      float* y);  // y = x * scale + shift, product rounded first
  void (*clip)(const float* x, float low, float high, int64_t count, float* y);  // y = min(max(x, low), high)
  // y = (or += when accumulate) low < x && x < high ? g : 0.
  void (*clip_mask)(const float* x, float low, float high, const float* g, int64_t count, bool accumulate, float* y);
  // y[i] = -1 where bit i % 64 of bits[i / 64] is set, +1 elsewhere.
  void (*signs)(const uint64_t* bits, int64_t count, float* y);
};

// The tables that this build holds and this machine can run, best first; every target appears in both flavours.
const KernelTable* const* available_kernels(int* count);

// The table for a name such as "avx2" (nullptr or "": the best) and a flavour; nullptr when it cannot run here.
const KernelTable* find_kernels(const char* target, const char* flavour);

}  // namespace bitwright
