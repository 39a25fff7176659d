// Inner products per sample, in double: every left-hand tensor with every right-hand one.
#pragma once

#include <vector>

#include "core/array.h"

namespace bitwright {

// Calls add(r, n, l, sum) for sum = sum_j left_l[n][j] right_r[n][j], j over the `each` elements of sample n. right: [rights][samples][each].
// left(l, begin, count, room) points to the `count` elements of left-hand tensor l from `begin` on, which it may have to make in `room`.
// Sums run over chunks of a sample, added in order: they do not depend on threads or on the other samples.
template <class T, class Left, class Add>
void contract(const Linear& linear, int64_t samples, int64_t each, int lefts, const Left& left, int rights, const T* right, const Add& add) {
  constexpr int64_t kPiece = 2048;  // so that a piece of every tensor stays in the nearest caches
  const int64_t chunks = (each + kChunk - 1) / kChunk, pairs = int64_t{lefts} * rights;
  std::vector<double> parts(samples * chunks * pairs);
  linear.pool.parallel_for(samples * chunks, [&](int64_t i) {
    const int64_t start = i / chunks * each, end = std::min(each, (i % chunks + 1) * kChunk);
    double* sums = parts.data() + i * pairs;
    T room[kPiece];
    for (int64_t at = i % chunks * kChunk; at < end; at += kPiece) {
      const int64_t count = std::min(kPiece, end - at);
      for (int l = 0; l < lefts; ++l) {
        const T* x = left(l, start + at, count, room);
        for (int r = 0; r < rights; ++r) sums[r * lefts + l] += dot(linear, x, right + r * samples * each + start + at, count);
      }
    }
  });
  for (int64_t i = 0; i < samples * chunks; ++i)
    for (int r = 0; r < rights; ++r)
      for (int l = 0; l < lefts; ++l) add(r, i / chunks, l, parts[i * pairs + r * lefts + l]);
}

}  // namespace bitwright
