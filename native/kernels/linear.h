// Matrix products and convolutions over a KernelTable: packing, blocking and threads. Overloads in double are plain
// loops, the reference that the float ones are tested against.
//
// No reduction is split over threads or depends on the batch size: an output element is the same sum in the same order
// whatever the batch split. In float that order is: k ascending in blocks of 256, each summed from zero, the blocks
// added to the result (or to what it held, when accumulating) one after the other. For convolutions k runs over
// (channel read, kernel tap that can reach the pixel), taps row-major; for the weight adjoint over the pixels of one
// sample, or, when groups > 1 and at most 4 channels of a group lie on either side, over kLanes lanes (column c of the
// output in lane c % kLanes; a stretch of kLanes columns goes through all rows before the next) merged pairwise. The
// strict flavour rounds every product; tests hold it to this order bit by bit.
#pragma once

#include <cstdint>

#include "core/parallel.h"
#include "kernels/kernels.h"

namespace bitwright {

struct Linear {
  const KernelTable& kernels;
  ThreadPool& pool;
};

// C[i] (rows x columns) = or += op(A[i]) op(B[i]) for i in [0, batch), C order, row strides ld*, batch strides stride_*
// in elements (0 shares an operand). transpose_a: A is stored depth x rows; transpose_b: B is stored columns x depth.
struct GemmShape {
  int64_t rows, columns, depth;
  bool transpose_a = false, transpose_b = false;
  int64_t lda, ldb, ldc;
  int64_t batch = 1, stride_a = 0, stride_b = 0, stride_c = 0;
};

void gemm(const Linear& linear, const GemmShape& shape, const float* a, const float* b, float* c, bool accumulate);
void gemm(const Linear& linear, const GemmShape& shape, const double* a, const double* b, double* c, bool accumulate);

// A 2-D convolution, NCHW; 1-D ones have a height of 1. group g maps input channels [g IC/G, ...) to output channels [g
// OC/G, ...).
struct ConvShape {
  int64_t samples;
  int64_t in_channels, in_height, in_width;
  int64_t out_channels, out_height, out_width;
  int64_t kernel_height, kernel_width;
  int64_t stride_y = 1, stride_x = 1, dilation_y = 1, dilation_x = 1;
  int64_t pad_top = 0, pad_left = 0;  // the far pads follow from the output size
  int64_t groups = 1;
  // Several weights applied to the same input (probes): weights are [weight_sets][OC][IC/G][KH][KW], the result
  // [weight_sets][samples]...
  int64_t weight_sets = 1;
};

// y[p][n][oc][oh][ow] = or += sum w[p][oc][ic][kh][kw] x[n][ic][..]. (No bias.)
void conv_forward(const Linear& linear, const ConvShape& shape, const float* x, const float* w, float* y,
                  bool accumulate);
void conv_forward(const Linear& linear, const ConvShape& shape, const double* x, const double* w, double* y,
                  bool accumulate);

// The transpose in x: dx[p][n][ic][ih][iw] = or += sum w[p][oc][ic][kh][kw] dy[n][oc][..].
void conv_input_adjoint(const Linear& linear, const ConvShape& shape, const float* dy, const float* w, float* dx,
                        bool accumulate);
void conv_input_adjoint(const Linear& linear, const ConvShape& shape, const double* dy, const double* w, double* dx,
                        bool accumulate);

// The transpose in w, summed over samples in sample order in double: dw[oc][ic][kh][kw] += sum_n sum dy[n][oc][..]
// x[n][ic][..]. weight_sets must be 1.
void conv_weight_adjoint(const Linear& linear, const ConvShape& shape, const float* x, const float* dy, double* dw);
void conv_weight_adjoint(const Linear& linear, const ConvShape& shape, const double* x, const double* dy, double* dw);

}  // namespace bitwright
