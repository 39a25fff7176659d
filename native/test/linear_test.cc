// gemm and the convolutions: every target and flavour against the plain loops in double; the strict flavour bit by bit
// against scalar sums in the order that linear.h states; all of them for other numbers of threads and other batch
// splits.
#include "kernels/linear.h"

#include <algorithm>
#include <string>

#include "test/check.h"

namespace bitwright::test {
namespace {

std::vector<const KernelTable*> tables() {
  int count = 0;
  const KernelTable* const* all = available_kernels(&count);
  return {all, all + count};
}

// |got - wanted| against the sum of `terms` products of numbers below one: each rounding is at most 2^-24 of a partial
// sum that is below `terms`; random signs keep it near the square root, so a fixed multiple of that separates rounding
// from a wrong product.
double tolerance(int64_t terms) { return 1e-6 * (4 + 4 * std::sqrt(static_cast<double>(terms))); }

template <class T>
double largest_difference(const std::vector<T>& got, const std::vector<double>& wanted) {
  double largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(got[i]) - wanted[i]);
    // A NaN is the largest of all.
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

std::vector<double> widen(const std::vector<float>& x) { return {x.begin(), x.end()}; }

ThreadPool& pool(int threads) {
  static ThreadPool one(1), two(2), four(4);
  return threads == 1 ? one : threads == 2 ? two : four;
}

// A float sum in strict order: blocks of k, each from zero upwards, added to the result one after the other.
class BlockSum {
 public:
  explicit BlockSum(float before) : total_(before) {}
  void add(int64_t k, float a, float b) {
    if (k / kDepthBlock != block_) {
      total_ += sum_;
      sum_ = 0;
      block_ = k / kDepthBlock;
    }
    const volatile float product = a * b;
    sum_ += product;
  }
  float total() const { return total_ + sum_; }

 private:
  static constexpr int64_t kDepthBlock = 256;
  float total_, sum_ = 0;
  int64_t block_ = 0;
};

struct GemmCase {
  GemmShape shape;
  bool accumulate;
  std::vector<float> a, b, c;

  GemmCase(Random& random, int64_t rows, int64_t columns, int64_t depth) {
    shape.rows = rows;
    shape.columns = columns;
    shape.depth = depth;
    shape.transpose_a = random.integer(0, 1);
    shape.transpose_b = random.integer(0, 1);
    shape.lda = (shape.transpose_a ? rows : depth) + random.integer(0, 3);
    shape.ldb = (shape.transpose_b ? depth : columns) + random.integer(0, 3);
    shape.ldc = columns + random.integer(0, 3);
    shape.batch = random.integer(1, 3);
    const int64_t a_size = (shape.transpose_a ? depth : rows) * shape.lda,
                  b_size = (shape.transpose_b ? columns : depth) * shape.ldb;
    shape.stride_a = random.integer(0, 3) == 0 ? 0 : a_size;
    shape.stride_b = random.integer(0, 3) == 0 ? 0 : b_size;
    shape.stride_c = rows * shape.ldc;
    accumulate = random.integer(0, 1);
    a = random.reals(a_size * shape.batch);
    b = random.reals(b_size * shape.batch);
    c = random.reals(shape.stride_c * shape.batch);
  }

  std::vector<float> strict() const {
    std::vector<float> result = c;
    for (int64_t item = 0; item < shape.batch; ++item) {
      for (int64_t row = 0; row < shape.rows; ++row) {
        for (int64_t column = 0; column < shape.columns; ++column) {
          float& element = result[item * shape.stride_c + row * shape.ldc + column];
          BlockSum sum(accumulate ? element : 0);
          for (int64_t k = 0; k < shape.depth; ++k) {
            sum.add(k, a[item * shape.stride_a + (shape.transpose_a ? k * shape.lda + row : row * shape.lda + k)],
                    b[item * shape.stride_b + (shape.transpose_b ? column * shape.ldb + k : k * shape.ldb + column)]);
          }
          element = sum.total();
        }
      }
    }
    return result;
  }

  std::vector<float> run(const KernelTable& table, int threads) const {
    std::vector<float> result = c;
    gemm({table, pool(threads)}, shape, a.data(), b.data(), result.data(), accumulate);
    return result;
  }
};

void test_gemm() {
  Random random(1);
  for (int trial = 0; trial < 150; ++trial) {
    const int64_t largest = trial % 10 == 0 ? 150 : 40;
    const int64_t rows = random.integer(1, largest),
                  columns = trial % 7 == 0 ? random.integer(1, 3) : random.integer(1, largest * 2);
    const int64_t depth = trial % 15 == 0 ? 0 : random.integer(1, trial % 4 == 0 ? 600 : 50);
    const GemmCase test(random, rows, columns, depth);
    std::vector<double> wanted = widen(test.c);
    gemm({*tables()[0], pool(1)}, test.shape, widen(test.a).data(), widen(test.b).data(), wanted.data(),
         test.accumulate);
    const std::vector<float> strict = test.strict();
    for (const KernelTable* table : tables()) {
      const std::vector<float> got = test.run(*table, 1);
      const double difference = largest_difference(got, wanted);
      check(difference <= tolerance(depth), "gemm %s %s %dx%dx%d transposed %d %d: off by %g", table->target,
            table->flavour, int(rows), int(columns), int(depth), test.shape.transpose_a, test.shape.transpose_b,
            difference);
      check(same_bits(got, test.run(*table, 2)) && same_bits(got, test.run(*table, 4)),
            "gemm %s %s %dx%dx%d: bits depend on threads", table->target, table->flavour, int(rows), int(columns),
            int(depth));
      if (std::string(table->flavour) != "strict") continue;
      check(same_bits(got, strict), "gemm %s strict %dx%dx%d: not the stated order", table->target, int(rows),
            int(columns), int(depth));
    }
  }
}

// Rows of a product have the same bits alone and together; so have columns.
void test_gemm_split() {
  Random random(2);
  const int64_t rows = 37, columns = 101, depth = 300;
  GemmCase test(random, rows, columns, depth);
  test.shape.batch = 1;
  test.shape.transpose_a = test.shape.transpose_b = false;
  test.shape.lda = depth;
  test.shape.ldb = test.shape.ldc = columns;
  test.accumulate = false;
  test.a = random.reals(rows * depth);
  test.b = random.reals(depth * columns);
  test.c.assign(rows * columns, 0);
  for (const KernelTable* table : tables()) {
    const std::vector<float> whole = test.run(*table, 1);
    std::vector<float> parts(rows * columns);
    for (int64_t row = 0; row < rows; ++row) {
      GemmShape shape = test.shape;
      shape.rows = 1;
      gemm({*table, pool(1)}, shape, test.a.data() + row * depth, test.b.data(), parts.data() + row * columns, false);
    }
    check(same_bits(whole, parts), "gemm %s %s: bits depend on the number of rows", table->target, table->flavour);
    for (int64_t column = 0; column < columns; ++column) {
      GemmShape shape = test.shape;
      shape.columns = 1;
      gemm({*table, pool(1)}, shape, test.a.data(), test.b.data() + column, parts.data() + column, false);
    }
    check(same_bits(whole, parts), "gemm %s %s: bits depend on the number of columns", table->target, table->flavour);
  }
}

struct ConvCase {
  ConvShape shape;
  bool accumulate;
  std::vector<float> x, w, dy;

  int64_t input() const { return shape.samples * shape.in_channels * shape.in_height * shape.in_width; }
  int64_t output() const { return shape.samples * shape.out_channels * shape.out_height * shape.out_width; }
  int64_t weights() const {
    return shape.out_channels * (shape.in_channels / shape.groups) * shape.kernel_height * shape.kernel_width;
  }

  std::string name() const {
    char text[256];
    std::snprintf(text, sizeof text, "N%d C%d>%d g%d %dx%d>%dx%d k%dx%d s%dx%d d%dx%d p%d,%d sets %d accumulate %d",
                  int(shape.samples), int(shape.in_channels), int(shape.out_channels), int(shape.groups),
                  int(shape.in_height), int(shape.in_width), int(shape.out_height), int(shape.out_width),
                  int(shape.kernel_height), int(shape.kernel_width), int(shape.stride_y), int(shape.stride_x),
                  int(shape.dilation_y), int(shape.dilation_x), int(shape.pad_top), int(shape.pad_left),
                  int(shape.weight_sets), accumulate);
    return text;
  }

  ConvCase(Random& random, int64_t channels, int64_t extent, int64_t samples) {
    const int64_t kind = random.integer(0, 3);
    if (kind == 0) {  // depthwise
      shape.in_channels = shape.groups = random.integer(1, channels);
      shape.out_channels = shape.groups * random.integer(1, 3);
    } else {
      shape.groups = kind == 1 ? random.integer(1, 3) : 1;
      shape.in_channels = shape.groups * random.integer(1, channels);
      shape.out_channels = shape.groups * random.integer(1, channels);
    }
    shape.samples = samples;
    const bool pointwise = random.integer(0, 3) == 0;
    while (true) {
      shape.in_height = random.integer(0, 5) == 0 ? 1 : random.integer(1, extent);
      shape.in_width = random.integer(1, extent);
      shape.kernel_height = pointwise ? 1 : random.integer(1, 5);
      shape.kernel_width = pointwise ? 1 : random.integer(1, 5);
      shape.stride_y = random.integer(1, 3);
      shape.stride_x = random.integer(0, 1) ? shape.stride_y : random.integer(1, 3);
      shape.dilation_y = random.integer(1, 2);
      shape.dilation_x = random.integer(1, 2);
      shape.pad_top = random.integer(0, 3);
      shape.pad_left = random.integer(0, 3);
      const int64_t height =
          shape.in_height + shape.pad_top + random.integer(0, 3) - (shape.kernel_height - 1) * shape.dilation_y - 1;
      const int64_t width =
          shape.in_width + shape.pad_left + random.integer(0, 3) - (shape.kernel_width - 1) * shape.dilation_x - 1;
      if (height < 0 || width < 0) continue;
      shape.out_height = height / shape.stride_y + 1;
      shape.out_width = width / shape.stride_x + 1;
      break;
    }
    shape.weight_sets = random.integer(0, 2) == 0 ? random.integer(2, 4) : 1;
    accumulate = random.integer(0, 1);
    x = random.reals(input());
    dy = random.reals(output());
    w = random.reals(shape.weight_sets * weights());
  }

  int64_t group_in() const { return shape.in_channels / shape.groups; }
  int64_t group_out() const { return shape.out_channels / shape.groups; }
  // Few channels on both sides of a group: shifted planes, whose weight adjoint has an order of its own.
  bool by_planes() const { return shape.groups > 1 && group_in() <= 4 && group_out() <= 4; }

  float x_at(int64_t n, int64_t ic, int64_t ih, int64_t iw) const {
    if (ih < 0 || iw < 0 || ih >= shape.in_height || iw >= shape.in_width) return 0;
    return x[((n * shape.in_channels + ic) * shape.in_height + ih) * shape.in_width + iw];
  }
  float w_at(int64_t set, int64_t oc, int64_t ic, int64_t kh, int64_t kw) const {
    return w[(((set * shape.out_channels + oc) * group_in() + ic) * shape.kernel_height + kh) * shape.kernel_width +
             kw];
  }

  // Depth runs over (input channel, tap).
  std::vector<float> strict_forward() const {
    std::vector<float> y;
    for (int64_t set = 0; set < shape.weight_sets; ++set) {
      for (int64_t row = 0; row < output() / shape.out_width; ++row) {
        const int64_t oh = row % shape.out_height, oc = row / shape.out_height % shape.out_channels;
        const int64_t n = row / shape.out_height / shape.out_channels;
        for (int64_t ow = 0; ow < shape.out_width; ++ow) {
          BlockSum sum(accumulate ? 0.5f : 0);
          int64_t k = 0;
          for (int64_t ic = 0; ic < group_in(); ++ic) {
            for (int64_t kh = 0; kh < shape.kernel_height; ++kh) {
              for (int64_t kw = 0; kw < shape.kernel_width; ++kw, ++k) {
                sum.add(k, w_at(set, oc, ic, kh, kw),
                        x_at(n, oc / group_out() * group_in() + ic,
                             oh * shape.stride_y + kh * shape.dilation_y - shape.pad_top,
                             ow * shape.stride_x + kw * shape.dilation_x - shape.pad_left));
              }
            }
          }
          y.push_back(sum.total());
        }
      }
    }
    return y;
  }

  // Depth runs over (output channel, tap that can reach the pixel's phase).
  std::vector<float> strict_input_adjoint() const {
    std::vector<float> dx;
    for (int64_t set = 0; set < shape.weight_sets; ++set) {
      for (int64_t row = 0; row < input() / shape.in_width; ++row) {
        const int64_t ih = row % shape.in_height, ic = row / shape.in_height % shape.in_channels;
        const int64_t n = row / shape.in_height / shape.in_channels;
        for (int64_t iw = 0; iw < shape.in_width; ++iw) {
          BlockSum sum(accumulate ? 0.5f : 0);
          int64_t k = 0;
          for (int64_t o = 0; o < group_out(); ++o) {
            const int64_t oc = ic / group_in() * group_out() + o;
            for (int64_t kh = 0; kh < shape.kernel_height; ++kh) {
              for (int64_t kw = 0; kw < shape.kernel_width; ++kw) {
                const int64_t y = ih + shape.pad_top - kh * shape.dilation_y,
                              x = iw + shape.pad_left - kw * shape.dilation_x;
                if (y % shape.stride_y != 0 || x % shape.stride_x != 0) continue;
                const int64_t oh = y / shape.stride_y, ow = x / shape.stride_x;
                const bool inside = oh >= 0 && ow >= 0 && oh < shape.out_height && ow < shape.out_width;
                sum.add(
                    k++, w_at(set, oc, ic % group_in(), kh, kw),
                    inside ? dy[((n * shape.out_channels + oc) * shape.out_height + oh) * shape.out_width + ow] : 0);
              }
            }
          }
          dx.push_back(sum.total());
        }
      }
    }
    return dx;
  }

  // Depth runs over the pixels of a sample: in blocks, or (planes) in lanes by column.
  std::vector<double> strict_weight_adjoint() const {
    std::vector<double> dw(weights(), 0.5);
    for (int64_t i = 0; i < weights(); ++i) {
      const int64_t kw = i % shape.kernel_width, kh = i / shape.kernel_width % shape.kernel_height;
      const int64_t ic = i / shape.kernel_width / shape.kernel_height % group_in();
      const int64_t oc = i / shape.kernel_width / shape.kernel_height / group_in();
      for (int64_t n = 0; n < shape.samples; ++n) {
        BlockSum sum(0);
        float lanes[kLanes] = {};
        const auto factors = [&](int64_t oh, int64_t ow) {
          const float g = dy[((n * shape.out_channels + oc) * shape.out_height + oh) * shape.out_width + ow];
          return std::make_pair(g, x_at(n, oc / group_out() * group_in() + ic,
                                        oh * shape.stride_y + kh * shape.dilation_y - shape.pad_top,
                                        ow * shape.stride_x + kw * shape.dilation_x - shape.pad_left));
        };
        for (int64_t pixel = 0; pixel < shape.out_height * shape.out_width; ++pixel) {
          const auto [g, value] = factors(pixel / shape.out_width, pixel % shape.out_width);
          sum.add(pixel, g, value);
        }
        for (int64_t stretch = 0; stretch < shape.out_width; stretch += kLanes) {
          for (int64_t oh = 0; oh < shape.out_height; ++oh) {
            for (int64_t ow = stretch; ow < std::min<int64_t>(stretch + kLanes, shape.out_width); ++ow) {
              const auto [g, value] = factors(oh, ow);
              const volatile float product = g * value;
              lanes[ow % kLanes] += product;
            }
          }
        }
        for (int half = kLanes / 2; half > 0; half /= 2) {
          for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
        }
        dw[i] += static_cast<double>(by_planes() ? lanes[0] : sum.total());
      }
    }
    return dw;
  }

  std::vector<float> forward(const KernelTable& table, int threads) const {
    std::vector<float> y(shape.weight_sets * output(), 0.5f);
    conv_forward({table, pool(threads)}, shape, x.data(), w.data(), y.data(), accumulate);
    return y;
  }
  std::vector<float> input_adjoint(const KernelTable& table, int threads) const {
    std::vector<float> dx(shape.weight_sets * input(), 0.5f);
    conv_input_adjoint({table, pool(threads)}, shape, dy.data(), w.data(), dx.data(), accumulate);
    return dx;
  }
  std::vector<double> weight_adjoint(const KernelTable& table, int threads) const {
    ConvShape one_set = shape;
    one_set.weight_sets = 1;
    std::vector<double> dw(weights(), 0.5);
    conv_weight_adjoint({table, pool(threads)}, one_set, x.data(), dy.data(), dw.data());
    return dw;
  }
};

struct Wanted {
  std::vector<double> y, dx, dw;

  explicit Wanted(const ConvCase& test) {
    const Linear linear{*tables()[0], pool(1)};
    ConvShape one_set = test.shape;
    one_set.weight_sets = 1;
    y.assign(test.shape.weight_sets * test.output(), 0.5);
    dx.assign(test.shape.weight_sets * test.input(), 0.5);
    dw.assign(test.weights(), 0.5);
    conv_forward(linear, test.shape, widen(test.x).data(), widen(test.w).data(), y.data(), test.accumulate);
    conv_input_adjoint(linear, test.shape, widen(test.dy).data(), widen(test.w).data(), dx.data(), test.accumulate);
    conv_weight_adjoint(linear, one_set, widen(test.x).data(), widen(test.dy).data(), dw.data());
  }
};

// The plain loops themselves: <conv(x), dy> = <x, input_adjoint(dy)> = <w, weight_adjoint(x, dy)>.
void test_reference_identities() {
  Random random(3);
  for (int trial = 0; trial < 100; ++trial) {
    ConvCase test(random, 4, 8, 2);
    test.shape.weight_sets = 1;
    test.accumulate = false;
    const Wanted wanted(test);
    double by_output = 0, by_input = 0, by_weight = 0;
    for (size_t i = 0; i < test.dy.size(); ++i) by_output += wanted.y[i] * test.dy[i];
    for (size_t i = 0; i < test.x.size(); ++i) by_input += wanted.dx[i] * test.x[i];
    for (int64_t i = 0; i < test.weights(); ++i) by_weight += (wanted.dw[i] - 0.5) * test.w[i];
    check(std::fabs(by_output - by_input) < 1e-9 && std::fabs(by_output - by_weight) < 1e-9,
          "adjoint identity %s: %.12g %.12g %.12g", test.name().c_str(), by_output, by_input, by_weight);
  }
}

void test_conv_case(const ConvCase& test) {
  const Wanted wanted(test);
  const std::string name = test.name();
  const int64_t kernel = test.shape.kernel_height * test.shape.kernel_width;
  const double forward_tolerance = tolerance(test.shape.in_channels / test.shape.groups * kernel);
  const double input_tolerance = tolerance(test.shape.out_channels / test.shape.groups * kernel);
  const double weight_tolerance = tolerance(test.shape.samples * test.shape.out_height * test.shape.out_width);
  const std::vector<float> strict_y = test.strict_forward(), strict_dx = test.strict_input_adjoint();
  const std::vector<double> strict_dw = test.strict_weight_adjoint();
  for (const KernelTable* table : tables()) {
    const std::vector<float> y = test.forward(*table, 1), dx = test.input_adjoint(*table, 1);
    const std::vector<double> dw = test.weight_adjoint(*table, 1);
    check(largest_difference(y, wanted.y) <= forward_tolerance, "conv_forward %s %s %s: off by %g", table->target,
          table->flavour, name.c_str(), largest_difference(y, wanted.y));
    check(largest_difference(dx, wanted.dx) <= input_tolerance, "conv_input_adjoint %s %s %s: off by %g", table->target,
          table->flavour, name.c_str(), largest_difference(dx, wanted.dx));
    check(largest_difference(dw, wanted.dw) <= weight_tolerance, "conv_weight_adjoint %s %s %s: off by %g",
          table->target, table->flavour, name.c_str(), largest_difference(dw, wanted.dw));
    for (int threads : {2, 4}) {
      check(same_bits(y, test.forward(*table, threads)) && same_bits(dx, test.input_adjoint(*table, threads)) &&
                same_bits(dw, test.weight_adjoint(*table, threads)),
            "conv %s %s %s: bits depend on threads", table->target, table->flavour, name.c_str());
    }
    if (std::string(table->flavour) != "strict") continue;
    check(same_bits(y, strict_y) && same_bits(dx, strict_dx) && same_bits(dw, strict_dw),
          "conv %s strict %s: not the stated order", table->target, name.c_str());
  }
}

void test_conv() {
  Random random(4);
  for (int trial = 0; trial < 200; ++trial) test_conv_case(ConvCase(random, 6, 12, random.integer(1, 3)));
  for (int trial = 0; trial < 15; ++trial) test_conv_case(ConvCase(random, 50, 30, 2));
}

// The channels and maps of MobileNets, where tiles are cut by sample and row ends.
void test_conv_narrow() {
  Random random(5);
  for (int64_t extent : {7, 14, 15, 16, 17}) {
    for (int64_t stride : {1, 2}) {
      for (int64_t groups : {1, 20}) {
        for (int64_t kernel : {1, 3}) {
          ConvCase test(random, 1, 4, 3);
          test.shape = {};
          test.shape.samples = 3;
          test.shape.in_channels = test.shape.out_channels = 20;
          test.shape.groups = groups;
          test.shape.in_height = test.shape.in_width = extent;
          test.shape.kernel_height = test.shape.kernel_width = kernel;
          test.shape.stride_y = test.shape.stride_x = stride;
          test.shape.pad_top = test.shape.pad_left = kernel / 2;
          test.shape.out_height = test.shape.out_width = (extent - 1) / stride + 1;
          test.x = random.reals(test.input());
          test.dy = random.reals(test.output());
          test.w = random.reals(test.weights());
          test_conv_case(test);
        }
      }
    }
  }
}

// Maps of one column, which the plain loops take for rows, with kernels that reach over the ends.
void test_conv_column() {
  Random random(7);
  for (int64_t kernel : {1, 2, 5}) {
    for (int64_t stride : {1, 3}) {
      for (int64_t groups : {1, 2}) {
        ConvCase test(random, 1, 4, 2);
        test.shape = {};
        test.shape.samples = 2;
        test.shape.groups = groups;
        test.shape.in_channels = 4;
        test.shape.out_channels = 6;
        test.shape.in_height = 11;
        test.shape.in_width = test.shape.out_width = test.shape.kernel_width = 1;
        test.shape.kernel_height = kernel;
        test.shape.stride_y = stride;
        test.shape.dilation_y = 2;
        test.shape.pad_top = kernel / 2;
        test.shape.out_height = (11 + 2 * (kernel / 2) - 2 * (kernel - 1) - 1) / stride + 1;
        test.x = random.reals(test.input());
        test.dy = random.reals(test.output());
        test.w = random.reals(test.weights());
        test_conv_case(test);
      }
    }
  }
}

// Samples have the same bits alone and together, and so has each weight set.
void test_conv_split() {
  Random random(6);
  for (int trial = 0; trial < 60; ++trial) {
    ConvCase test(random, 20, 12, 4);
    test.accumulate = false;
    for (const KernelTable* table : tables()) {
      const Linear linear{*table, pool(1)};
      const std::vector<float> y = test.forward(*table, 1), dx = test.input_adjoint(*table, 1);
      const std::vector<double> dw = test.weight_adjoint(*table, 1);
      std::vector<float> y_parts(y.size()), dx_parts(dx.size());
      std::vector<double> dw_parts(dw.size(), 0.5);
      ConvShape one = test.shape;
      one.samples = one.weight_sets = 1;
      const int64_t input = test.input() / test.shape.samples, output = test.output() / test.shape.samples;
      for (int64_t n = 0; n < test.shape.samples; ++n) {
        for (int64_t set = 0; set < test.shape.weight_sets; ++set) {
          const int64_t part = set * test.shape.samples + n;
          const float* w = test.w.data() + set * test.weights();
          conv_forward(linear, one, test.x.data() + n * input, w, y_parts.data() + part * output, false);
          conv_input_adjoint(linear, one, test.dy.data() + n * output, w, dx_parts.data() + part * input, false);
        }
        conv_weight_adjoint(linear, one, test.x.data() + n * input, test.dy.data() + n * output, dw_parts.data());
      }
      check(same_bits(y, y_parts) && same_bits(dx, dx_parts) && same_bits(dw, dw_parts),
            "conv %s %s %s: bits depend on the batch", table->target, table->flavour, test.name().c_str());
    }
  }
}

// Calls from inside a pool's chunk run serially and give the same.
void test_nested() {
  Random random(7);
  const ConvCase test(random, 20, 20, 2);
  const KernelTable& table = *tables()[0];
  const std::vector<float> alone = test.forward(table, 1);
  std::vector<std::vector<float>> nested(8);
  pool(4).parallel_for(8, [&](int64_t i) { nested[i] = test.forward(table, 4); });
  for (const std::vector<float>& result : nested) check(same_bits(alone, result), "conv inside a chunk differs");
}

}  // namespace
}  // namespace bitwright::test

int main() {
  using namespace bitwright::test;
  test_gemm();
  test_gemm_split();
  test_reference_identities();
  test_conv();
  test_conv_narrow();
  test_conv_column();
  test_conv_split();
  test_nested();
  return finish();
}
