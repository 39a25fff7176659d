// Elementwise work on long arrays, in chunks over the pool: float goes through the kernel table, double through plain loops.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/linear.h"

namespace bitwright {

constexpr int64_t kChunk = 1 << 14;

// Calls body(begin, end) for pieces of [0, count).
template <class Body>
void parallel_chunks(ThreadPool& pool, int64_t count, const Body& body) {
  if (count <= kChunk) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  pool.parallel_for((count + kChunk - 1) / kChunk, [&](int64_t i) { body(i * kChunk, std::min(count, (i + 1) * kChunk)); });
}

template <class T>
void copy(const Linear& linear, const T* x, int64_t count, T* y) {
  parallel_chunks(linear.pool, count, [&](int64_t begin, int64_t end) { std::memcpy(y + begin, x + begin, (end - begin) * sizeof(T)); });
}

template <class T>
void fill(const Linear& linear, T value, int64_t count, T* y) {
  parallel_chunks(linear.pool, count, [&](int64_t begin, int64_t end) { std::fill(y + begin, y + end, value); });
}

// y += x
inline void add_to(const Linear& linear, const float* x, int64_t count, float* y) {
  parallel_chunks(linear.pool, count, [&](int64_t begin, int64_t end) { linear.kernels.add_to(x + begin, end - begin, y + begin); });
}
inline void add_to(const Linear&, const double* x, int64_t count, double* y) {
  for (int64_t i = 0; i < count; ++i) y[i] += x[i];
}

// y = a + b
inline void add(const Linear& linear, const float* a, const float* b, int64_t count, float* y) {
  parallel_chunks(linear.pool, count, [&](int64_t begin, int64_t end) { linear.kernels.add(a + begin, b + begin, end - begin, y + begin); });
}
inline void add(const Linear&, const double* a, const double* b, int64_t count, double* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = a[i] + b[i];
}

// y = a * b
inline void multiply(const Linear& linear, const float* a, const float* b, int64_t count, float* y) {
  parallel_chunks(linear.pool, count,
                  [&](int64_t begin, int64_t end) { linear.kernels.multiply(a + begin, b + begin, end - begin, y + begin); });
}
inline void multiply(const Linear&, const double* a, const double* b, int64_t count, double* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = a[i] * b[i];
}

// y += a * b
inline void multiply_add(const Linear& linear, const float* a, const float* b, int64_t count, float* y) {
  parallel_chunks(linear.pool, count,
                  [&](int64_t begin, int64_t end) { linear.kernels.multiply_add(a + begin, b + begin, end - begin, y + begin); });
}
inline void multiply_add(const Linear&, const double* a, const double* b, int64_t count, double* y) {
  for (int64_t i = 0; i < count; ++i) y[i] += a[i] * b[i];
}

// y = min(max(x, low), high)
inline void clip(const Linear& linear, const float* x, float low, float high, int64_t count, float* y) {
  parallel_chunks(linear.pool, count, [&](int64_t begin, int64_t end) { linear.kernels.clip(x + begin, low, high, end - begin, y + begin); });
}
inline void clip(const Linear&, const double* x, double low, double high, int64_t count, double* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = std::min(std::max(x[i], low), high);
}

// y = or += g where low < x < high, 0 elsewhere
inline void clip_mask(const Linear& linear, const float* x, float low, float high, const float* g, int64_t count, bool accumulate, float* y) {
  parallel_chunks(linear.pool, count, [&](int64_t begin, int64_t end) {
    linear.kernels.clip_mask(x + begin, low, high, g + begin, end - begin, accumulate, y + begin);
  });
}
inline void clip_mask(const Linear&, const double* x, double low, double high, const double* g, int64_t count, bool accumulate, double* y) {
  for (int64_t i = 0; i < count; ++i) {
    const double passed = low < x[i] && x[i] < high ? g[i] : 0.0;
    y[i] = accumulate ? y[i] + passed : passed;
  }
}

// y = x * scale + shift; serial, for rows and planes
inline void scale_shift(const Linear& linear, const float* x, float scale, float shift, int64_t count, float* y) {
  linear.kernels.scale_shift(x, scale, shift, count, y);
}
inline void scale_shift(const Linear&, const double* x, double scale, double shift, int64_t count, double* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] * scale + shift;
}

// Sum of a * b in double; serial, so that its order is fixed.
inline double dot(const Linear& linear, const float* a, const float* b, int64_t count) { return linear.kernels.dot(a, b, count); }
inline double dot(const Linear&, const double* a, const double* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace bitwright
