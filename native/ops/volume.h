// Convolutions over up to three spatial axes: those over three are sums of convolutions of planes, one for each depth of the kernel.
#pragma once

#include "core/array.h"
#include "core/tensor.h"
#include "kernels/linear.h"

namespace bitwright {

// A convolution over depth, height and width; without a depth it is that of its planes.
struct VolumeShape : ConvShape {
  int64_t in_depth = 1, out_depth = 1, kernel_depth = 1, stride_z = 1, dilation_z = 1, pad_front = 0;

  bool flat() const { return in_depth == 1 && out_depth == 1 && kernel_depth == 1; }
  int64_t in_plane() const { return in_height * in_width; }
  int64_t out_plane() const { return out_height * out_width; }
  int64_t kernel_plane() const { return kernel_height * kernel_width; }
};

// As the functions of the same names in kernels/linear.h.
template <class T>
void volume_forward(const Linear& linear, BufferPool& pool, const VolumeShape& shape, const T* x, const T* w, T* y, bool accumulate);
template <class T>
void volume_input_adjoint(const Linear& linear, BufferPool& pool, const VolumeShape& shape, const T* dy, const T* w, T* dx, bool accumulate);
template <class T>
void volume_weight_adjoint(const Linear& linear, BufferPool& pool, const VolumeShape& shape, const T* x, const T* dy, double* dw);

}  // namespace bitwright
