// The functions of abi.h on arrays, over quantize/. Each call works on its own thread alone; callers run independent calls at once.
#include <cmath>

#include "abi.h"
#include "abi_call.h"
#include "core/json.h"
#include "kernels/kernels.h"
#include "quantize/fake_quantize.h"
#include "quantize/scale_search.h"

namespace bitwright {

namespace {

ScaleLayout read_layout(bw_size outer, bw_size axis, bw_size inner, int32_t layout, bw_size block, bw_size groups) {
  if (layout < 0 || layout > 2) invalid_argument("a layout is 0, 1 or 2");
  to_size(outer * axis * inner);
  ScaleLayout result;
  result.outer = static_cast<int64_t>(to_size(outer));
  result.axis = static_cast<int64_t>(to_size(axis));
  result.inner = static_cast<int64_t>(to_size(inner));
  result.sharing = static_cast<Sharing>(layout);
  result.block = static_cast<int64_t>(to_size(block));
  if (result.block < 1) invalid_argument("a block has at least one index");
  if (to_size(groups) != static_cast<size_t>(result.groups())) {
    invalid_argument("the layout has " + std::to_string(result.groups()) + " groups, not " + std::to_string(to_size(groups)));
  }
  return result;
}

void check_codes(int32_t qmin, int32_t qmax) {
  if (qmin >= qmax || qmin < -32768 || qmax > 65535 || qmax - qmin > 65535) invalid_argument("codes must be a range of at most 16 bits");
}

void check_quantizers(const float* scales, const int32_t* zero_points, size_t count, int32_t qmin, int32_t qmax) {
  check_codes(qmin, qmax);
  for (size_t i = 0; i < count; ++i) {
    if (!(scales[i] > 0) || std::isinf(scales[i])) invalid_argument("a scale must be positive and finite");
    if (zero_points[i] < qmin || zero_points[i] > qmax) invalid_argument("a zero point must be a code");
  }
}

// None, or one for each element.
const float* read_weights(const float* weights, bw_size count, const ScaleLayout& layout) {
  if (count == 0) return nullptr;
  if (to_size(count) != static_cast<size_t>(layout.count())) invalid_argument("there must be one weight for each element, or none");
  return weights;
}

// Bits do not depend on it.
const KernelTable& best_kernels() { return *find_kernels(nullptr, nullptr); }

}  // namespace

}  // namespace bitwright

using namespace bitwright;

int32_t bw_targets(uint8_t* out, bw_size capacity, bw_size* length) {
  return guarded_call([&] {
    int count = 0;
    const KernelTable* const* tables = available_kernels(&count);
    JsonWriter json;
    json.begin_array();
    for (int i = 0; i < count; ++i) json.value(std::string(tables[i]->target) + "/" + tables[i]->flavour);
    give_text(json.end_array().text(), out, capacity, length);
  });
}

int32_t bw_fake_quantize(const float* x, bw_size outer, bw_size axis, bw_size inner, int32_t layout, bw_size block, const float* scales,
                         const int32_t* zero_points, bw_size groups, int32_t qmin, int32_t qmax, float* out_y) {
  return guarded_call([&] {
    const ScaleLayout scale_layout = read_layout(outer, axis, inner, layout, block, groups);
    check_quantizers(scales, zero_points, to_size(groups), qmin, qmax);
    ThreadPool pool(1);
    fake_quantize(pool, best_kernels(), x, scale_layout, scales, zero_points, qmin, qmax, out_y);
  });
}

int32_t bw_quantize(const float* x, bw_size outer, bw_size axis, bw_size inner, int32_t layout, bw_size block, const float* scales,
                    const int32_t* zero_points, bw_size groups, int32_t qmin, int32_t qmax, int32_t* out_codes) {
  return guarded_call([&] {
    const ScaleLayout scale_layout = read_layout(outer, axis, inner, layout, block, groups);
    check_quantizers(scales, zero_points, to_size(groups), qmin, qmax);
    ThreadPool pool(1);
    quantize(pool, best_kernels(), x, scale_layout, scales, zero_points, qmin, qmax, out_codes);
  });
}

int32_t bw_quantization_error(const float* x, const float* weights, bw_size weights_count, bw_size outer, bw_size axis, bw_size inner,
                              int32_t layout, bw_size block, const float* scales, const int32_t* zero_points, bw_size groups,
                              bw_size candidates, int32_t qmin, int32_t qmax, double* out_sums) {
  return guarded_call([&] {
    const ScaleLayout scale_layout = read_layout(outer, axis, inner, layout, block, groups);
    check_quantizers(scales, zero_points, to_size(groups * candidates), qmin, qmax);
    ThreadPool pool(1);
    quantization_errors(pool, best_kernels(), x, read_weights(weights, weights_count, scale_layout), scale_layout, scales, zero_points,
                        static_cast<int64_t>(to_size(candidates)), qmin, qmax, out_sums);
  });
}

int32_t bw_search_scale(const float* x, const float* weights, bw_size weights_count, bw_size outer, bw_size axis, bw_size inner,
                        int32_t layout, bw_size block, bw_size groups, int32_t method, double parameter, int32_t symmetric, int32_t qmin,
                        int32_t qmax, float* out_scales, int32_t* out_zero_points) {
  return guarded_call([&] {
    const ScaleLayout scale_layout = read_layout(outer, axis, inner, layout, block, groups);
    check_codes(qmin, qmax);
    if (symmetric != 0 && qmin >= 0) invalid_argument("a symmetric quantizer needs signed codes");
    if (method < 0 || method > 2) invalid_argument("a range method is 0, 1 or 2");
    if (method == 1 && !(parameter > 0 && parameter <= 1)) invalid_argument("a percentile keeps a share above 0 and up to 1");
    ThreadPool pool(1);
    search_scales(pool, best_kernels(), x, read_weights(weights, weights_count, scale_layout), scale_layout, static_cast<RangeMethod>(method),
                  parameter, {qmin, qmax, symmetric != 0}, out_scales, out_zero_points);
  });
}
