#include "ops/volume.h"

#include <algorithm>

namespace bitwright {

namespace {

// A tensor as planes: `count` of them at each of `depth` depths.
struct Planes {
  int64_t count, depth, plane;
  int64_t layer() const { return count * plane; }  // elements at one depth
};

// [count][depth][plane] as [depth][count][plane], where every depth is a tensor of planes, and back.
template <class T>
Tensor by_depth(const Linear& linear, BufferPool& pool, const T* x, const Planes& planes) {
  const int64_t count = planes.count, depth = planes.depth, plane = planes.plane;
  Tensor sorted(pool, DTypeOf<T>::value, {depth, count, plane});
  T* to = sorted.data<T>();
  linear.pool.parallel_for(count, [&](int64_t i) {
    for (int64_t d = 0; d < depth; ++d) std::copy_n(x + (i * depth + d) * plane, plane, to + (d * count + i) * plane);
  });
  return sorted;
}

template <class T>
void from_depth(const Linear& linear, const Tensor& sorted, const Planes& planes, T* y, bool accumulate) {
  const int64_t count = planes.count, depth = planes.depth, plane = planes.plane;
  const T* from = sorted.data<T>();
  linear.pool.parallel_for(count, [&](int64_t i) {
    for (int64_t d = 0; d < depth; ++d) {
      const T* source = from + (d * count + i) * plane;
      T* to = y + (i * depth + d) * plane;
      for (int64_t j = 0; j < plane; ++j) to[j] = accumulate ? to[j] + source[j] : source[j];
    }
  });
}

// Calls body(depth of y, depth of x, depth of w) wherever the kernel meets the input.
template <class Body>
void each_depth(const VolumeShape& shape, const Body& body) {
  for (int64_t o = 0; o < shape.out_depth; ++o)
    for (int64_t k = 0; k < shape.kernel_depth; ++k) {
      const int64_t i = o * shape.stride_z + k * shape.dilation_z - shape.pad_front;
      if (i >= 0 && i < shape.in_depth) body(o, i, k);
    }
}

Planes planes_of_x(const VolumeShape& shape) { return {shape.samples * shape.in_channels, shape.in_depth, shape.in_plane()}; }
Planes planes_of_w(const VolumeShape& shape) { return {shape.out_channels * (shape.in_channels / shape.groups), shape.kernel_depth, shape.kernel_plane()}; }
Planes planes_of_y(const VolumeShape& shape) { return {shape.samples * shape.out_channels, shape.out_depth, shape.out_plane()}; }

// A convolution of planes, or its transpose in x.
template <class T>
using PlaneRule = void (*)(const Linear&, const ConvShape&, const T* from, const T* w, T* to, bool accumulate);

// For each set of weights the sum over the kernel's depths: from x to y, or `back`.
template <class T>
void sum_over_depths(const Linear& linear, BufferPool& pool, const VolumeShape& shape, bool back, const T* from, const T* w, T* to, bool accumulate, PlaneRule<T> rule) {
  const Planes x = planes_of_x(shape), kernel = planes_of_w(shape), y = planes_of_y(shape);
  const Planes &in = back ? y : x, &out = back ? x : y;
  const Tensor read = by_depth(linear, pool, from, in);
  ConvShape plane = shape;
  plane.weight_sets = 1;
  for (int64_t set = 0; set < shape.weight_sets; ++set) {
    const Tensor weights = by_depth(linear, pool, w + set * kernel.layer() * kernel.depth, kernel);
    Tensor sums(pool, DTypeOf<T>::value, {out.depth, out.count, out.plane});
    T* sum = sums.data<T>();
    std::fill_n(sum, sums.count(), T(0));
    each_depth(shape, [&](int64_t o, int64_t i, int64_t k) {
      rule(linear, plane, read.data<T>() + (back ? o : i) * in.layer(), weights.data<T>() + k * kernel.layer(), sum + (back ? i : o) * out.layer(), true);
    });
    from_depth(linear, sums, out, to + set * sums.count(), accumulate);
  }
}

}  // namespace

template <class T>
void volume_forward(const Linear& linear, BufferPool& pool, const VolumeShape& shape, const T* x, const T* w, T* y, bool accumulate) {
  if (shape.flat()) return conv_forward(linear, shape, x, w, y, accumulate);
  sum_over_depths<T>(linear, pool, shape, false, x, w, y, accumulate, conv_forward);
}

template <class T>
void volume_input_adjoint(const Linear& linear, BufferPool& pool, const VolumeShape& shape, const T* dy, const T* w, T* dx, bool accumulate) {
  if (shape.flat()) return conv_input_adjoint(linear, shape, dy, w, dx, accumulate);
  sum_over_depths<T>(linear, pool, shape, true, dy, w, dx, accumulate, conv_input_adjoint);
}

template <class T>
void volume_weight_adjoint(const Linear& linear, BufferPool& pool, const VolumeShape& shape, const T* x, const T* dy, double* dw) {
  if (shape.flat()) return conv_weight_adjoint(linear, shape, x, dy, dw);
  const Planes of_x = planes_of_x(shape), of_w = planes_of_w(shape), of_y = planes_of_y(shape);
  const Tensor xs = by_depth(linear, pool, x, of_x);
  const Tensor ys = by_depth(linear, pool, dy, of_y);
  Tensor ws = by_depth(linear, pool, static_cast<const double*>(dw), of_w);
  double* to = ws.data<double>();
  each_depth(shape, [&](int64_t o, int64_t i, int64_t k) {
    conv_weight_adjoint(linear, shape, xs.data<T>() + i * of_x.layer(), ys.data<T>() + o * of_y.layer(), to + k * of_w.layer());
  });
  from_depth(linear, ws, of_w, dw, false);
}

#define INSTANTIATE(T)                                                                                                      \
  template void volume_forward(const Linear&, BufferPool&, const VolumeShape&, const T*, const T*, T*, bool);               \
  template void volume_input_adjoint(const Linear&, BufferPool&, const VolumeShape&, const T*, const T*, T*, bool);         \
  template void volume_weight_adjoint(const Linear&, BufferPool&, const VolumeShape&, const T*, const T*, double*)
INSTANTIATE(float);
INSTANTIATE(double);
#undef INSTANTIATE

}  // namespace bitwright
