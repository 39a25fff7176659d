#include "ops/volume.h"

#include <algorithm>

namespace bitwright {

namespace {

// [count][depth][plane] as [depth][count][plane], where every depth is a tensor of planes, and back.
template <class T>
Tensor by_depth(const Linear& linear, BufferPool& pool, const T* x, int64_t count, int64_t depth, int64_t plane) {
  Tensor sorted(pool, DTypeOf<T>::value, {depth, count, plane});
  T* to = sorted.data<T>();
  linear.pool.parallel_for(count, [&](int64_t i) {
    for (int64_t d = 0; d < depth; ++d) std::copy_n(x + (i * depth + d) * plane, plane, to + (d * count + i) * plane);
  });
  return sorted;
}

template <class T>
void from_depth(const Linear& linear, const Tensor& sorted, int64_t count, int64_t depth, int64_t plane, T* y, bool accumulate) {
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

// The numbers of planes, and of elements, in one depth of each operand.
struct Sizes {
  int64_t x, w, y;
  explicit Sizes(const VolumeShape& shape)
      : x(shape.samples * shape.in_channels), w(shape.out_channels * (shape.in_channels / shape.groups)), y(shape.samples * shape.out_channels) {}
};

}  // namespace

template <class T>
void volume_forward(const Linear& linear, BufferPool& pool, const VolumeShape& shape, const T* x, const T* w, T* y, bool accumulate) {
  if (shape.flat()) return conv_forward(linear, shape, x, w, y, accumulate);
  const Sizes sizes(shape);
  const Tensor xs = by_depth(linear, pool, x, sizes.x, shape.in_depth, shape.in_plane());
  ConvShape plane = shape;
  plane.weight_sets = 1;
  for (int64_t set = 0; set < shape.weight_sets; ++set) {
    const Tensor ws = by_depth(linear, pool, w + set * sizes.w * shape.kernel_depth * shape.kernel_plane(), sizes.w, shape.kernel_depth, shape.kernel_plane());
    Tensor ys(pool, DTypeOf<T>::value, {shape.out_depth, sizes.y, shape.out_plane()});
    T* to = ys.data<T>();
    std::fill_n(to, ys.count(), T(0));
    each_depth(shape, [&](int64_t o, int64_t i, int64_t k) {
      conv_forward(linear, plane, xs.data<T>() + i * sizes.x * shape.in_plane(), ws.data<T>() + k * sizes.w * shape.kernel_plane(), to + o * sizes.y * shape.out_plane(), true);
    });
    from_depth(linear, ys, sizes.y, shape.out_depth, shape.out_plane(), y + set * ys.count(), accumulate);
  }
}

template <class T>
void volume_input_adjoint(const Linear& linear, BufferPool& pool, const VolumeShape& shape, const T* dy, const T* w, T* dx, bool accumulate) {
  if (shape.flat()) return conv_input_adjoint(linear, shape, dy, w, dx, accumulate);
  const Sizes sizes(shape);
  const Tensor ys = by_depth(linear, pool, dy, sizes.y, shape.out_depth, shape.out_plane());
  ConvShape plane = shape;
  plane.weight_sets = 1;
  for (int64_t set = 0; set < shape.weight_sets; ++set) {
    const Tensor ws = by_depth(linear, pool, w + set * sizes.w * shape.kernel_depth * shape.kernel_plane(), sizes.w, shape.kernel_depth, shape.kernel_plane());
    Tensor xs(pool, DTypeOf<T>::value, {shape.in_depth, sizes.x, shape.in_plane()});
    T* to = xs.data<T>();
    std::fill_n(to, xs.count(), T(0));
    each_depth(shape, [&](int64_t o, int64_t i, int64_t k) {
      conv_input_adjoint(linear, plane, ys.data<T>() + o * sizes.y * shape.out_plane(), ws.data<T>() + k * sizes.w * shape.kernel_plane(), to + i * sizes.x * shape.in_plane(), true);
    });
    from_depth(linear, xs, sizes.x, shape.in_depth, shape.in_plane(), dx + set * xs.count(), accumulate);
  }
}

template <class T>
void volume_weight_adjoint(const Linear& linear, BufferPool& pool, const VolumeShape& shape, const T* x, const T* dy, double* dw) {
  if (shape.flat()) return conv_weight_adjoint(linear, shape, x, dy, dw);
  const Sizes sizes(shape);
  const Tensor xs = by_depth(linear, pool, x, sizes.x, shape.in_depth, shape.in_plane());
  const Tensor ys = by_depth(linear, pool, dy, sizes.y, shape.out_depth, shape.out_plane());
  Tensor ws = by_depth(linear, pool, static_cast<const double*>(dw), sizes.w, shape.kernel_depth, shape.kernel_plane());
  double* to = ws.data<double>();
  each_depth(shape, [&](int64_t o, int64_t i, int64_t k) {
    conv_weight_adjoint(linear, shape, xs.data<T>() + i * sizes.x * shape.in_plane(), ys.data<T>() + o * sizes.y * shape.out_plane(), to + k * sizes.w * shape.kernel_plane());
  });
  from_depth(linear, ws, sizes.w, shape.kernel_depth, shape.kernel_plane(), dw, false);
}

#define INSTANTIATE(T)                                                                                                      \
  template void volume_forward(const Linear&, BufferPool&, const VolumeShape&, const T*, const T*, T*, bool);               \
  template void volume_input_adjoint(const Linear&, BufferPool&, const VolumeShape&, const T*, const T*, T*, bool);         \
  template void volume_weight_adjoint(const Linear&, BufferPool&, const VolumeShape&, const T*, const T*, double*)
INSTANTIATE(float);
INSTANTIATE(double);
#undef INSTANTIATE

}  // namespace bitwright
