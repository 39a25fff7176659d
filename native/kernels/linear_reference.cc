// The double overloads of linear.h: plain loops over the definitions, sharing nothing with the packed float ones that
// are tested against them.
#include <algorithm>

#include "kernels/linear.h"

namespace bitwright {

namespace {

// Calls body(weight, input, output), three element offsets, for every product that goes into output channel `oc` of
// sample `n`.
template <class Body>
void each_product(const ConvShape& s, int64_t n, int64_t oc, Body body) {
  const int64_t group_in = s.in_channels / s.groups, group = oc / (s.out_channels / s.groups);
  for (int64_t ic = 0; ic < group_in; ++ic) {
    const int64_t plane = (n * s.in_channels + group * group_in + ic) * s.in_height;
    for (int64_t kh = 0; kh < s.kernel_height; ++kh) {
      for (int64_t kw = 0; kw < s.kernel_width; ++kw) {
        const int64_t weight = ((oc * group_in + ic) * s.kernel_height + kh) * s.kernel_width + kw;
        for (int64_t oh = 0; oh < s.out_height; ++oh) {
          const int64_t ih = oh * s.stride_y + kh * s.dilation_y - s.pad_top;
          if (ih < 0 || ih >= s.in_height) continue;
          for (int64_t ow = 0; ow < s.out_width; ++ow) {
            const int64_t iw = ow * s.stride_x + kw * s.dilation_x - s.pad_left;
            if (iw < 0 || iw >= s.in_width) continue;
            body(weight, (plane + ih) * s.in_width + iw,
                 ((n * s.out_channels + oc) * s.out_height + oh) * s.out_width + ow);
          }
        }
      }
    }
  }
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

void conv_forward(const Linear& linear, const ConvShape& shape, const double* x, const double* w, double* y,
                  bool accumulate) {
  const Sizes sizes(shape);
  if (!accumulate) std::fill_n(y, shape.weight_sets * sizes.output, 0.0);
  linear.pool.parallel_for(shape.weight_sets * shape.samples, [&](int64_t task) {
    const double* w_set = w + task / shape.samples * sizes.weights;
    double* y_set = y + task / shape.samples * sizes.output;
    for (int64_t oc = 0; oc < shape.out_channels; ++oc) {
      each_product(shape, task % shape.samples, oc,
                   [&](int64_t weight, int64_t input, int64_t output) { y_set[output] += w_set[weight] * x[input]; });
    }
  });
}

void conv_input_adjoint(const Linear& linear, const ConvShape& shape, const double* dy, const double* w, double* dx,
                        bool accumulate) {
  const Sizes sizes(shape);
  if (!accumulate) std::fill_n(dx, shape.weight_sets * sizes.input, 0.0);
  linear.pool.parallel_for(shape.weight_sets * shape.samples, [&](int64_t task) {
    const double* w_set = w + task / shape.samples * sizes.weights;
    double* dx_set = dx + task / shape.samples * sizes.input;
    for (int64_t oc = 0; oc < shape.out_channels; ++oc) {
      each_product(shape, task % shape.samples, oc,
                   [&](int64_t weight, int64_t input, int64_t output) { dx_set[input] += w_set[weight] * dy[output]; });
    }
  });
}

void conv_weight_adjoint(const Linear& linear, const ConvShape& shape, const double* x, const double* dy, double* dw) {
  linear.pool.parallel_for(shape.out_channels, [&](int64_t oc) {
    for (int64_t n = 0; n < shape.samples; ++n) {
      each_product(shape, n, oc,
                   [&](int64_t weight, int64_t input, int64_t output) { dw[weight] += x[input] * dy[output]; });
    }
  });
}

}  // namespace bitwright
