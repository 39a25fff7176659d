// The elementwise, quantization and reduction kernels: every target and flavour against scalar definitions, over odd,
// empty and misaligned sizes. All of them have the same bits on every target; elements behind an output's end stay
// untouched.
#include "kernels/kernels.h"

#include <limits>
#include <string>

#include "test/check.h"

namespace bitwright::test {
namespace {

constexpr float kSentinel = 12345.0f;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<const KernelTable*> tables() {
  int count = 0;
  const KernelTable* const* all = available_kernels(&count);
  return {all, all + count};
}

// Every size up to a few vectors of the widest target, then some that fill blocks.
std::vector<int64_t> sizes() {
  std::vector<int64_t> result;
  for (int64_t size = 0; size <= 70; ++size) result.push_back(size);
  for (int64_t size : {127, 128, 511, 512, 513, 1000, 4097}) result.push_back(size);
  return result;
}

// Halfway cases of the scale 2^-3, zeros of both signs, values far outside of any grid, the smallest numbers.
std::vector<float> values(Random& random, int64_t count) {
  const float special[] = {0.0f,   -0.0f,   0.0625f, -0.0625f, 0.1875f,    -0.1875f,   0.3125f,    1e30f,      -1e30f,
                           1e-40f, -1e-40f, 1e-45f,  3e38f,    4194304.5f, 8388607.5f, -8388609.f, 16777216.f, 100.0f};
  std::vector<float> result(count);
  for (float& value : result) {
    const int64_t kind = random.integer(0, 9);
    value = kind == 0 ? special[random.integer(0, 17)] : kind == 1 ? random.real() * 1e4f : random.real() * 20;
  }
  return result;
}

// The definition, step by step: the quotient rounded to float, half to even, the zero point added, saturated; NaN as
// the lowest code.
int32_t code_of(float x, const Grid& grid) {
  const float quotient = x / grid.scale;
  if (std::isnan(quotient)) return grid.qmin;
  const double code = std::nearbyint(static_cast<double>(quotient)) + grid.zero_point;
  return static_cast<int32_t>(code < grid.qmin ? grid.qmin : code > grid.qmax ? grid.qmax : code);
}

float fake_of(float x, const Grid& grid) { return static_cast<float>(code_of(x, grid) - grid.zero_point) * grid.scale; }

Grid random_grid(Random& random) {
  const int bits = static_cast<int>(random.integer(2, 16));
  const bool is_signed = random.integer(0, 1);
  Grid grid;
  grid.qmin = is_signed ? -(1 << (bits - 1)) : 0;
  grid.qmax = grid.qmin + (1 << bits) - 1;
  grid.zero_point = random.integer(0, 1) ? (is_signed ? 0 : 1 << (bits - 1))
                                         : static_cast<int32_t>(random.integer(grid.qmin, grid.qmax));
  const float scales[] = {0.125f, 0.1f, 1e-3f, 3e-39f, 1e-45f, 7.3f, 1e30f};
  grid.scale = random.integer(0, 2) == 0 ? scales[random.integer(0, 6)] : 0.01f + 0.2f * std::fabs(random.real());
  return grid;
}

// Room for `count` elements at an odd address, followed by a sentinel.
struct Output {
  std::vector<float> memory;
  int64_t count;
  explicit Output(int64_t n, float fill = 0) : memory(n + 2, fill), count(n) { memory.back() = kSentinel; }
  float* data() { return memory.data() + 1; }
  bool intact() const { return memory.back() == kSentinel; }
};

Output misaligned(const std::vector<float>& x) {
  Output result(static_cast<int64_t>(x.size()));
  std::copy(x.begin(), x.end(), result.data());
  return result;
}

// Compares one kernel's output with one scalar function of the index, bit by bit.
template <class Run, class Scalar>
void check_map(const char* name, const KernelTable& table, int64_t count, float fill, Run run, Scalar scalar) {
  Output y(count, fill);
  run(y.data());
  bool ok = y.intact();
  int64_t at = -1;
  for (int64_t i = 0; i < count; ++i) {
    const float wanted = scalar(i);
    if (std::memcmp(&wanted, y.data() + i, sizeof wanted) != 0 && !(std::isnan(wanted) && std::isnan(y.data()[i]))) {
      ok = false;
      at = i;
    }
  }
  check(ok, "%s %s %s count %d: element %d is %.9g, wanted %.9g", name, table.target, table.flavour, int(count),
        int(at), at < 0 ? 0.0 : double(y.data()[at]), at < 0 ? 0.0 : double(scalar(at)));
}

void test_quantize() {
  Random random(1);
  for (int64_t count : sizes()) {
    for (int trial = 0; trial < 6; ++trial) {
      Output x_memory = misaligned(values(random, count));
      float* x = x_memory.data();
      if (count > 3) {
        x[count / 2] = kNaN;
        x[0] = kInfinity;
        x[count - 1] = -kInfinity;
      }
      const Grid grid = random_grid(random);
      std::vector<float> scales(count);
      std::vector<int32_t> zero_points(count);
      for (int64_t i = 0; i < count; ++i) {
        scales[i] = random_grid(random).scale;
        zero_points[i] = static_cast<int32_t>(random.integer(grid.qmin, grid.qmax));
      }
      for (const KernelTable* table : tables()) {
        check_map(
            "fake_quantize", *table, count, 0, [&](float* y) { table->fake_quantize(x, count, grid, y); },
            [&](int64_t i) { return fake_of(x[i], grid); });
        check_map(
            "fake_quantize_each", *table, count, 0,
            [&](float* y) {
              table->fake_quantize_each(x, count, scales.data(), zero_points.data(), grid.qmin, grid.qmax, y);
            },
            [&](int64_t i) { return fake_of(x[i], {scales[i], zero_points[i], grid.qmin, grid.qmax}); });
        std::vector<int32_t> codes(count + 1, 777);
        table->quantize(x, count, grid, codes.data());
        bool ok = codes[count] == 777;
        for (int64_t i = 0; i < count; ++i) ok = ok && codes[i] == code_of(x[i], grid);
        check(ok, "quantize %s %s count %d", table->target, table->flavour, int(count));
        codes.assign(count + 1, 777);
        table->quantize_each(x, count, scales.data(), zero_points.data(), grid.qmin, grid.qmax, codes.data());
        ok = codes[count] == 777;
        for (int64_t i = 0; i < count; ++i)
          ok = ok && codes[i] == code_of(x[i], {scales[i], zero_points[i], grid.qmin, grid.qmax});
        check(ok, "quantize_each %s %s count %d", table->target, table->flavour, int(count));
      }
    }
  }
}

// Sixteen lanes, merged in halves, as kernels.h states.
double lane_sum(const std::vector<double>& terms) {
  double lanes[kLanes] = {};
  for (size_t i = 0; i < terms.size(); ++i) lanes[i % kLanes] += terms[i];
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

void test_error_sums() {
  Random random(2);
  for (int64_t count : sizes()) {
    const int64_t grid_count = random.integer(0, 70);
    std::vector<Grid> grids(grid_count);
    for (Grid& grid : grids) {
      grid = random_grid(random);
      // A grid whose range excludes zero, and so errs on padding.
      if (random.integer(0, 3) == 0) grid.zero_point = grid.qmin - 3;
    }
    Output x_memory = misaligned(random.reals(count)), weight_memory = misaligned(random.reals(count));
    const float* x = x_memory.data();
    for (const float* weights : {static_cast<const float*>(nullptr), static_cast<const float*>(weight_memory.data())}) {
      std::vector<double> wanted(grid_count, 0.25);
      for (int64_t g = 0; g < grid_count; ++g) {
        std::vector<double> terms(count);
        for (int64_t i = 0; i < count; ++i) {
          const double error = fake_of(x[i], grids[g]) - x[i];
          terms[i] = error * error * (weights ? weights[i] : 1);
        }
        wanted[g] += lane_sum(terms);
      }
      for (const KernelTable* table : tables()) {
        std::vector<double> sums(grid_count, 0.25);
        table->error_sums(x, weights, count, grids.data(), grid_count, sums.data());
        check(same_bits(sums, wanted), "error_sums %s %s count %d grids %d weights %d", table->target, table->flavour,
              int(count), int(grid_count), weights != nullptr);
      }
    }
  }
}

void test_reductions() {
  Random random(3);
  for (int64_t count : sizes()) {
    Output x_memory = misaligned(values(random, count)), y_memory = misaligned(values(random, count));
    float* x = x_memory.data();
    const float* y = y_memory.data();
    std::vector<double> products(count);
    for (int64_t i = 0; i < count; ++i) products[i] = double(x[i]) * double(y[i]);
    const double wanted_dot = lane_sum(products);
    for (const KernelTable* table : tables()) {
      const double got = table->dot(x, y, count);
      check(std::memcmp(&got, &wanted_dot, sizeof got) == 0, "dot %s %s count %d: %.17g, wanted %.17g", table->target,
            table->flavour, int(count), got, wanted_dot);
    }
    const int64_t nans = count < 4 ? 0 : random.integer(0, 3);
    for (int64_t i = 0; i < nans; ++i) x[i * (count / 4)] = kNaN;
    float low = kInfinity, high = -kInfinity;
    const int64_t bin_count = random.integer(1, 50);
    const float histogram_low = -3, histogram_high = 5;
    std::vector<uint64_t> wanted_bins(bin_count, 7);
    for (int64_t i = 0; i < count; ++i) {
      if (std::isnan(x[i])) continue;
      low = std::fmin(low, x[i]);
      high = std::fmax(high, x[i]);
      const double bin =
          std::floor((double(x[i]) - histogram_low) * double(bin_count) / (histogram_high - histogram_low));
      ++wanted_bins[static_cast<int64_t>(std::fmin(std::fmax(bin, 0), double(bin_count - 1)))];
    }
    for (const KernelTable* table : tables()) {
      float got_low, got_high;
      int64_t got_nans;
      table->min_max(x, count, &got_low, &got_high, &got_nans);
      check(got_low == low && got_high == high && got_nans == nans && !(got_low == 0 && std::signbit(got_low)) &&
                !(got_high == 0 && std::signbit(got_high)),
            "min_max %s %s count %d: %g %g %d, wanted %g %g %d", table->target, table->flavour, int(count),
            double(got_low), double(got_high), int(got_nans), double(low), double(high), int(nans));
      std::vector<uint64_t> bins(bin_count, 7);
      table->histogram(x, count, histogram_low, histogram_high, bin_count, bins.data());
      check(same_bits(bins, wanted_bins), "histogram %s %s count %d", table->target, table->flavour, int(count));
    }
  }
}

void test_elementwise() {
  Random random(4);
  for (int64_t count : sizes()) {
    Output a_memory = misaligned(values(random, count)), b_memory = misaligned(values(random, count));
    float* a = a_memory.data();
    const float* b = b_memory.data();
    if (count > 2) a[1] = kNaN;
    const float low = -0.5f, high = 6.0f, scale = 1.7f, shift = -0.3f, before = 0.75f;
    for (const KernelTable* table : tables()) {
      check_map(
          "add", *table, count, 0, [&](float* y) { table->add(a, b, count, y); },
          [&](int64_t i) { return a[i] + b[i]; });
      check_map(
          "add_to", *table, count, before, [&](float* y) { table->add_to(a, count, y); },
          [&](int64_t i) { return before + a[i]; });
      check_map(
          "multiply", *table, count, 0, [&](float* y) { table->multiply(a, b, count, y); },
          [&](int64_t i) { return a[i] * b[i]; });
      check_map(
          "multiply_add", *table, count, before, [&](float* y) { table->multiply_add(a, b, count, y); },
          [&](int64_t i) {
            const volatile float product = a[i] * b[i];
            return before + product;
          });
      check_map(
          "scale_shift", *table, count, 0, [&](float* y) { table->scale_shift(a, scale, shift, count, y); },
          [&](int64_t i) {
            const volatile float product = a[i] * scale;
            return product + shift;
          });
      check_map(
          "clip", *table, count, 0, [&](float* y) { table->clip(a, low, high, count, y); },
          [&](int64_t i) { return a[i] < low    ? low
                                  : a[i] > high ? high
                                                : a[i]; });
      check_map(
          "clip_mask", *table, count, 0, [&](float* y) { table->clip_mask(a, low, high, b, count, false, y); },
          [&](int64_t i) { return low < a[i] && a[i] < high ? b[i] : 0.0f; });
      check_map(
          "clip_mask accumulating", *table, count, before,
          [&](float* y) { table->clip_mask(a, low, high, b, count, true, y); },
          [&](int64_t i) { return before + (low < a[i] && a[i] < high ? b[i] : 0.0f); });
    }
  }
}

void test_signs() {
  Random random(5);
  for (int64_t count : sizes()) {
    std::vector<uint64_t> bits(count / 64 + 1);
    for (uint64_t& word : bits) word = random.next();
    for (const KernelTable* table : tables()) {
      check_map(
          "signs", *table, count, 0, [&](float* y) { table->signs(bits.data(), count, y); },
          [&](int64_t i) { return bits[i / 64] >> (i % 64) & 1 ? -1.0f : 1.0f; });
    }
  }
}

void test_dispatch() {
  const std::vector<const KernelTable*> all = tables();
  check(find_kernels(nullptr, nullptr) == all[0] && find_kernels("", "") == all[0], "the default is the first table");
  check(find_kernels("no such target", nullptr) == nullptr, "an unknown target gives nullptr");
  for (const KernelTable* table : all) {
    check(find_kernels(table->target, table->flavour) == table, "find_kernels %s %s", table->target, table->flavour);
  }
  check(std::string(find_kernels(nullptr, "strict")->flavour) == "strict", "a flavour of the best target");
}

}  // namespace
}  // namespace bitwright::test

int main() {
  using namespace bitwright::test;
  test_dispatch();
  test_quantize();
  test_error_sums();
  test_reductions();
  test_elementwise();
  test_signs();
  return finish();
}
