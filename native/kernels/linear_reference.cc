// The double overloads of linear.h: plain loops over the definitions, sharing nothing with the packed float ones that
// are tested against them.
#include <algorithm>
#include <utility>

#include "kernels/linear.h"

namespace bitwright {

namespace {

// Calls body(weight, input, output, count), element offsets, for stretches of products of output channel `oc` with
// input channel `ic` of its group, of sample `n`: those of one weight with `count` inputs, stride_x apart, that go into
// adjacent outputs.
template <class Body>
void each_stretch(const ConvShape& s, int64_t n, int64_t oc, int64_t ic, Body body) {
  const int64_t group_in = s.in_channels / s.groups, group = oc / (s.out_channels / s.groups);
  const int64_t plane = (n * s.in_channels + group * group_in + ic) * s.in_height;
  for (int64_t kh = 0; kh < s.kernel_height; ++kh) {
    for (int64_t kw = 0; kw < s.kernel_width; ++kw) {
      const int64_t weight = ((oc * group_in + ic) * s.kernel_height + kh) * s.kernel_width + kw;
      const int64_t shift = kw * s.dilation_x - s.pad_left;
      const int64_t first = shift < 0 ? (-shift + s.stride_x - 1) / s.stride_x : 0;
      const int64_t reach = s.in_width - shift;
      const int64_t end = reach > 0 ? std::min(s.out_width, (reach + s.stride_x - 1) / s.stride_x) : 0;
      if (first >= end) continue;
      for (int64_t oh = 0; oh < s.out_height; ++oh) {
        const int64_t ih = oh * s.stride_y + kh * s.dilation_y - s.pad_top;
        if (ih < 0 || ih >= s.in_height) continue;
        body(weight, (plane + ih) * s.in_width + first * s.stride_x + shift,
             ((n * s.out_channels + oc) * s.out_height + oh) * s.out_width + first, end - first);
      }
    }
  }
}

// Columns as rows, which lie in memory alike and are the longer stretches.
ConvShape along_rows(ConvShape s) {
  if (s.in_width != 1 || s.kernel_width != 1 || s.out_width != 1 || s.pad_left != 0) return s;
  std::swap(s.in_height, s.in_width);
  std::swap(s.out_height, s.out_width);
  std::swap(s.kernel_height, s.kernel_width);
  std::swap(s.stride_y, s.stride_x);
  std::swap(s.dilation_y, s.dilation_x);
  std::swap(s.pad_top, s.pad_left);
  return s;
}

struct Sizes {
  int64_t weights, input, output;
  explicit Sizes(const ConvShape& s)
      : weights(s.out_channels * (s.in_channels / s.groups) * s.kernel_height * s.kernel_width),
        input(s.samples * s.in_channels * s.in_height * s.in_width),
        output(s.samples * s.out_channels * s.out_height * s.out_width) {}
};

}  // namespace

void gemm(const Linear& linear, const GemmShape& shape, const double* a, const double* b, double* c, bool accumulate) {
  linear.pool.parallel_for(shape.batch * shape.rows, [&](int64_t task) {
    const int64_t item = task / shape.rows, row = task % shape.rows;
    const double* a_item = a + item * shape.stride_a;
    const double* b_item = b + item * shape.stride_b;
    double* c_row = c + item * shape.stride_c + row * shape.ldc;
    for (int64_t column = 0; column < shape.columns; ++column) {
      double sum = accumulate ? c_row[column] : 0;
      for (int64_t k = 0; k < shape.depth; ++k) {
        sum += (shape.transpose_a ? a_item[k * shape.lda + row] : a_item[row * shape.lda + k]) *
               (shape.transpose_b ? b_item[column * shape.ldb + k] : b_item[k * shape.ldb + column]);
      }
      c_row[column] = sum;
    }
  });
}

void conv_forward(const Linear& linear, const ConvShape& given, const double* x, const double* w, double* y,
                  bool accumulate) {
  const ConvShape shape = along_rows(given);
  const Sizes sizes(shape);
  const int64_t group_in = shape.in_channels / shape.groups, step = shape.stride_x;
  if (!accumulate) std::fill_n(y, shape.weight_sets * sizes.output, 0.0);
  linear.pool.parallel_for(shape.weight_sets * shape.samples * shape.out_channels, [&](int64_t task) {
    const int64_t oc = task % shape.out_channels, item = task / shape.out_channels;
    const double* w_set = w + item / shape.samples * sizes.weights;
    double* y_set = y + item / shape.samples * sizes.output;
    for (int64_t ic = 0; ic < group_in; ++ic) {
      each_stretch(shape, item % shape.samples, oc, ic,
                   [&](int64_t weight, int64_t input, int64_t output, int64_t count) {
                     const double factor = w_set[weight];
                     for (int64_t i = 0; i < count; ++i) y_set[output + i] += factor * x[input + i * step];
                   });
    }
  });
}

void conv_input_adjoint(const Linear& linear, const ConvShape& given, const double* dy, const double* w, double* dx,
                        bool accumulate) {
  const ConvShape shape = along_rows(given);
  const Sizes sizes(shape);
  const int64_t group_in = shape.in_channels / shape.groups, group_out = shape.out_channels / shape.groups;
  const int64_t step = shape.stride_x;
  if (!accumulate) std::fill_n(dx, shape.weight_sets * sizes.input, 0.0);
  linear.pool.parallel_for(shape.weight_sets * shape.samples * shape.in_channels, [&](int64_t task) {
    const int64_t channel = task % shape.in_channels, item = task / shape.in_channels;
    const double* w_set = w + item / shape.samples * sizes.weights;
    double* dx_set = dx + item / shape.samples * sizes.input;
    for (int64_t row = 0; row < group_out; ++row) {
      each_stretch(shape, item % shape.samples, channel / group_in * group_out + row, channel % group_in,
                   [&](int64_t weight, int64_t input, int64_t output, int64_t count) {
                     const double factor = w_set[weight];
                     for (int64_t i = 0; i < count; ++i) dx_set[input + i * step] += factor * dy[output + i];
                   });
    }
  });
}

void conv_weight_adjoint(const Linear& linear, const ConvShape& given, const double* x, const double* dy, double* dw) {
  const ConvShape shape = along_rows(given);
  const int64_t group_in = shape.in_channels / shape.groups, step = shape.stride_x;
  linear.pool.parallel_for(shape.out_channels, [&](int64_t oc) {
    for (int64_t n = 0; n < shape.samples; ++n) {
      for (int64_t ic = 0; ic < group_in; ++ic) {
        each_stretch(shape, n, oc, ic, [&](int64_t weight, int64_t input, int64_t output, int64_t count) {
          double sum = dw[weight];
          for (int64_t i = 0; i < count; ++i) sum += x[input + i * step] * dy[output + i];
          dw[weight] = sum;
        });
      }
    }
  });
}

}  // namespace bitwright
