// Quantization of whole arrays over every layout against an element by element walk, and the scale searches against
// brute force; the same bits on every target and for every number of threads.
#include <algorithm>
#include <functional>
#include <limits>
#include <string>

#include "core/error.h"
#include "quantize/fake_quantize.h"
#include "quantize/scale_search.h"
#include "test/check.h"

namespace bitwright::test {
namespace {

std::vector<const KernelTable*> tables() {
  int count = 0;
  const KernelTable* const* all = available_kernels(&count);
  return {all, all + count};
}

ThreadPool& pool(int threads) {
  static ThreadPool one(1), two(2), four(4);
  return threads == 1 ? one : threads == 2 ? two : four;
}

std::string name_of(const ScaleLayout& layout) {
  char text[128];
  std::snprintf(text, sizeof text, "[%d,%d,%d] sharing %d block %d", int(layout.outer), int(layout.axis),
                int(layout.inner), int(layout.sharing), int(layout.block));
  return text;
}

// The group of element i, from the definition.
int64_t group_of(const ScaleLayout& layout, int64_t i) {
  const int64_t inner = i % layout.inner, axis = i / layout.inner % layout.axis, outer = i / layout.inner / layout.axis;
  if (layout.sharing == Sharing::kTensor) return 0;
  if (layout.sharing == Sharing::kChannel) return axis;
  return (outer * layout.blocks() + axis / layout.block) * layout.inner + inner;
}

std::vector<ScaleLayout> layouts() {
  std::vector<ScaleLayout> result;
  for (int64_t outer : {1, 3}) {
    for (int64_t axis : {1, 7, 64}) {
      for (int64_t inner : {1, 9, 40}) {
        result.push_back({outer, axis, inner, Sharing::kTensor, 1});
        result.push_back({outer, axis, inner, Sharing::kChannel, 1});
        for (int64_t block : {1, 16, 100}) result.push_back({outer, axis, inner, Sharing::kBlock, block});
      }
    }
  }
  result.push_back({2, 5, 40000, Sharing::kChannel, 1});
  result.push_back({300, 400, 1, Sharing::kTensor, 1});
  result.push_back({40000, 3, 1, Sharing::kChannel, 1});
  result.push_back({300, 400, 1, Sharing::kBlock, 32});
  result.push_back({0, 4, 4, Sharing::kTensor, 1});
  result.push_back({4, 4, 0, Sharing::kBlock, 2});
  return result;
}

float fake_of(float x, float scale, int32_t zero_point, int32_t qmin, int32_t qmax) {
  const double code = std::nearbyint(static_cast<double>(x / scale)) + zero_point;
  return static_cast<float>(std::clamp<double>(code, qmin, qmax) - zero_point) * scale;
}

void test_layouts() {
  Random random(1);
  for (const ScaleLayout& layout : layouts()) {
    const int64_t count = layout.count(), groups = layout.groups(), candidates = 3;
    const int32_t qmin = -8, qmax = 7;
    const std::vector<float> x = random.reals(count), weights = random.reals(count);
    std::vector<float> scales(candidates * groups);
    std::vector<int32_t> zero_points(candidates * groups);
    for (float& scale : scales) scale = 0.02f + 0.2f * std::fabs(random.real());
    for (int32_t& zero_point : zero_points) zero_point = static_cast<int32_t>(random.integer(qmin, qmax));
    std::vector<float> wanted(count);
    std::vector<int32_t> wanted_codes(count);
    std::vector<double> wanted_sums(candidates * groups), wanted_weighted(candidates * groups);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t c = 0; c < candidates; ++c) {
        const int64_t g = c * groups + group_of(layout, i);
        const float y = fake_of(x[i], scales[g], zero_points[g], qmin, qmax);
        const double error = double(y) - x[i];
        wanted_sums[g] += error * error;
        wanted_weighted[g] += error * error * weights[i];
        if (c > 0) continue;
        wanted[i] = y;
        wanted_codes[i] = static_cast<int32_t>(std::nearbyint(y / scales[g])) + zero_points[g];
      }
    }
    std::vector<double> first_sums;
    for (const KernelTable* table : tables()) {
      for (int threads : {1, 2, 4}) {
        std::vector<float> y(count);
        std::vector<int32_t> codes(count);
        std::vector<double> sums(candidates * groups), weighted(candidates * groups);
        fake_quantize(pool(threads), *table, x.data(), layout, scales.data(), zero_points.data(), qmin, qmax, y.data());
        quantize(pool(threads), *table, x.data(), layout, scales.data(), zero_points.data(), qmin, qmax, codes.data());
        quantization_errors(pool(threads), *table, x.data(), nullptr, layout, scales.data(), zero_points.data(),
                            candidates, qmin, qmax, sums.data());
        quantization_errors(pool(threads), *table, x.data(), weights.data(), layout, scales.data(), zero_points.data(),
                            candidates, qmin, qmax, weighted.data());
        const std::string name = name_of(layout);
        check(y == wanted, "fake_quantize %s %s", table->target, name.c_str());
        check(codes == wanted_codes, "quantize %s %s", table->target, name.c_str());
        bool close = true;
        // Errors are differences rounded to float, squared and summed in double.
        for (size_t g = 0; g < sums.size(); ++g) {
          close = close && std::fabs(sums[g] - wanted_sums[g]) <= 1e-6 * wanted_sums[g] &&
                  std::fabs(weighted[g] - wanted_weighted[g]) <= 1e-6 * wanted_sums[g];
        }
        check(close, "quantization_errors %s %s", table->target, name.c_str());
        if (first_sums.empty()) first_sums = sums;
        check(same_bits(sums, first_sums), "quantization_errors %s %s: bits depend on target or threads", table->target,
              name.c_str());
      }
    }
  }
}

double error_of(const std::vector<float>& x, const float* weights, const Grid& grid) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = double(fake_of(x[i], grid.scale, grid.zero_point, grid.qmin, grid.qmax)) - x[i];
    sum += error * error * (weights ? weights[i] : 1);
  }
  return sum;
}

enum class Bell { kBothSigns, kPositive, kLongLowTail };

// Bell-shaped values with a few far outliers.
std::vector<float> bell(Random& random, int64_t count, Bell kind) {
  std::vector<float> x(count);
  for (float& value : x) {
    value = random.real() + random.real() + random.real() + random.real();
    if (random.integer(0, 200) == 0) value *= 4;
    if (kind == Bell::kPositive) value = std::fabs(value);
    if (kind == Bell::kLongLowTail) value = value < 0 ? value : std::min(value, 1.0f);
  }
  if (kind == Bell::kLongLowTail) x[count / 2] = -15;
  return x;
}

std::vector<Codes> code_ranges() {
  return {{-127, 127, true}, {-128, 127, true}, {-7, 7, true}, {-8, 7, false},
          {0, 255, false},   {0, 15, false},    {0, 3, false}};
}

void test_min_max() {
  Random random(2);
  for (const Codes& codes : code_ranges()) {
    for (Bell kind : {Bell::kBothSigns, Bell::kPositive, Bell::kLongLowTail}) {
      const std::vector<float> x = bell(random, 1000, kind);
      const double low = std::min(0.0f, *std::min_element(x.begin(), x.end())),
                   high = *std::max_element(x.begin(), x.end());
      const float wanted = static_cast<float>(codes.symmetric ? std::max(-low, high) / std::min(-codes.qmin, codes.qmax)
                                                              : (high - low) / (codes.qmax - codes.qmin));
      float scale;
      int32_t zero_point;
      search_scales(pool(1), *tables()[0], x.data(), nullptr, {1, 1, 1000}, RangeMethod::kMinMax, 1, codes, &scale,
                    &zero_point);
      check(scale == wanted && zero_point >= codes.qmin && zero_point <= codes.qmax &&
                (!codes.symmetric || zero_point == 0),
            "min-max [%d,%d]: scale %.9g, wanted %.9g; zero point %d", codes.qmin, codes.qmax, double(scale),
            double(wanted), zero_point);
      const int32_t wanted_zero_point =
          codes.symmetric ? 0 : static_cast<int32_t>(std::nearbyint(codes.qmin - low / double(scale)));
      check(zero_point == wanted_zero_point, "min-max [%d,%d]: zero point %d, wanted %d", codes.qmin, codes.qmax,
            zero_point, wanted_zero_point);
      // Nothing is clipped: no error beyond half a step, or a whole one where the rounded zero point shifts an end.
      for (float value : x) {
        const float error = std::fabs(fake_of(value, scale, zero_point, codes.qmin, codes.qmax) - value);
        if (!check(error <= scale * 1.0001f, "min-max [%d,%d] clips", codes.qmin, codes.qmax)) break;
      }
    }
  }
}

void test_percentile() {
  Random random(3);
  std::vector<float> x(1000);
  for (int i = 0; i < 1000; ++i) x[i] = static_cast<float>(i + 1);
  std::reverse(x.begin(), x.end());
  float scale;
  int32_t zero_point;
  search_scales(pool(1), *tables()[0], x.data(), nullptr, {1, 1, 1000}, RangeMethod::kPercentile, 0.99,
                {-127, 127, true}, &scale, &zero_point);
  check(scale == 990.0f / 127, "the 99th percentile of 1..1000 is 990; the scale is %.9g", double(scale));
  for (int i = 0; i < 1000; i += 2) x[i] = -x[i];
  search_scales(pool(1), *tables()[0], x.data(), nullptr, {1, 1, 1000}, RangeMethod::kPercentile, 0.99, {0, 255, false},
                &scale, &zero_point);
  std::vector<float> sorted = x;
  std::sort(sorted.begin(), sorted.end());
  // Half a percent, five values, is left out at either end.
  const float wanted = static_cast<float>((double(sorted[994]) - sorted[5]) / 255);
  check(scale == wanted, "the central 99 %% of two signs: scale %.9g, wanted %.9g", double(scale), double(wanted));
}

void test_least_error() {
  Random random(4);
  for (const Codes& codes : code_ranges()) {
    for (Bell kind : {Bell::kBothSigns, Bell::kPositive, Bell::kLongLowTail}) {
      for (bool weighted : {false, true}) {
        const std::vector<float> x = bell(random, 2000, kind);
        std::vector<float> weight_values = random.reals(2000);
        for (float& weight : weight_values) weight = weight * weight;
        const float* weights = weighted ? weight_values.data() : nullptr;
        float scale, plain_scale;
        int32_t zero_point, plain_zero_point;
        const ScaleLayout layout{1, 1, 2000};
        search_scales(pool(1), *tables()[0], x.data(), weights, layout, RangeMethod::kLeastError, 1, codes, &scale,
                      &zero_point);
        search_scales(pool(1), *tables()[0], x.data(), nullptr, layout, RangeMethod::kMinMax, 1, codes, &plain_scale,
                      &plain_zero_point);
        const double found = error_of(x, weights, {scale, zero_point, codes.qmin, codes.qmax});
        const double plain = error_of(x, weights, {plain_scale, plain_zero_point, codes.qmin, codes.qmax});
        check(found <= plain * (1 + 1e-9), "least error [%d,%d]: %g is above min-max's %g", codes.qmin, codes.qmax,
              found, plain);
        const double low = std::min(0.0f, *std::min_element(x.begin(), x.end())),
                     high = *std::max_element(x.begin(), x.end());
        double best = plain;
        const int steps = codes.symmetric || kind == Bell::kPositive ? 1 : 60;
        for (int i = 0; i < (steps == 1 ? 2000 : 60); ++i) {
          const double ratio = 1 - i * 0.95 / (steps == 1 ? 2000 : 60);
          for (int j = 0; j < steps; ++j) {
            const double other = steps == 1 ? ratio : 1 - j * 0.95 / steps;
            best = std::min(best, error_of(x, weights, grid_of(low * ratio, high * other, codes)));
          }
        }
        check(found <= best * 1.03, "least error [%d,%d] kind %d weighted %d: %g, brute force finds %g", codes.qmin,
              codes.qmax, int(kind), weighted, found, best);
      }
    }
  }
}

// Every group of every layout gets what it would get alone, on every target and for every number of threads.
void test_search_layouts() {
  Random random(5);
  for (const ScaleLayout& layout : layouts()) {
    if (layout.count() > 30000) continue;
    const int64_t count = layout.count(), groups = layout.groups();
    const std::vector<float> x = random.reals(count), weights(count, 0.5f);
    std::vector<std::vector<float>> parts(groups);
    for (int64_t i = 0; i < count; ++i) parts[group_of(layout, i)].push_back(x[i]);
    for (RangeMethod method : {RangeMethod::kMinMax, RangeMethod::kPercentile, RangeMethod::kLeastError}) {
      const Codes codes{-8, 7, false};
      std::vector<float> wanted(groups);
      std::vector<int32_t> wanted_zero_points(groups);
      for (int64_t g = 0; g < groups; ++g) {
        search_scales(pool(1), *tables()[0], parts[g].data(), nullptr, {1, 1, static_cast<int64_t>(parts[g].size())},
                      method, 0.9, codes, &wanted[g], &wanted_zero_points[g]);
      }
      for (const KernelTable* table : tables()) {
        for (int threads : {1, 2}) {
          std::vector<float> scales(groups);
          std::vector<int32_t> zero_points(groups);
          search_scales(pool(threads), *table, x.data(), weights.data(), layout, method, 0.9, codes, scales.data(),
                        zero_points.data());
          check(same_bits(scales, wanted) && zero_points == wanted_zero_points, "search_scales %s method %d %s",
                table->target, int(method), name_of(layout).c_str());
        }
      }
    }
  }
}

void test_edges() {
  const Codes symmetric{-127, 127, true}, affine{0, 255, false};
  const float zeros[4] = {0, -0.0f, 0, 0}, tiny[4] = {1e-44f, 0, -1e-45f, 0};
  const float wide[4] = {3.4e38f, -3.4e38f, 1, 0};
  for (const Codes& codes : {symmetric, affine}) {
    for (const float* x : {zeros, tiny, wide}) {
      for (RangeMethod method : {RangeMethod::kMinMax, RangeMethod::kPercentile, RangeMethod::kLeastError}) {
        float scale = 0;
        int32_t zero_point;
        search_scales(pool(1), *tables()[0], x, nullptr, {1, 1, 4}, method, 0.999, codes, &scale, &zero_point);
        check(std::isnormal(scale) && scale > 0 && zero_point >= codes.qmin && zero_point <= codes.qmax,
              "unusable scale %g for %g..", double(scale), double(x[0]));
      }
    }
  }
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const float x[4] = {1, bad, 2, 3};
    float scale[2];
    int32_t zero_point[2];
    bool refused = false;
    try {
      search_scales(pool(2), *tables()[0], x, nullptr, {1, 2, 2, Sharing::kChannel}, RangeMethod::kLeastError, 1,
                    symmetric, scale, zero_point);
    } catch (const EngineError& error) {
      refused = error.status() == BW_INVALID_ARGUMENT;
    }
    check(refused, "%g has no range", double(bad));
  }
}

}  // namespace
}  // namespace bitwright::test

int main() {
  using namespace bitwright::test;
  test_layouts();
  test_min_max();
  test_percentile();
  test_least_error();
  test_search_layouts();
  test_edges();
  return finish();
}
