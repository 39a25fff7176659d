// Sums of any terms in double over kLanes lanes that are merged pairwise: compilers turn them into vector code, and the order is fixed.
#pragma once

#include "kernels/kernels.h"

namespace bitwright {

// term(0) + ... + term(count - 1)
template <class Term>
double lane_sum(int64_t count, const Term& term) {
  double lanes[kLanes] = {};
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes)
    for (int64_t k = 0; k < kLanes; ++k) lanes[k] += term(j + k);
  for (int64_t k = 0; j < count; ++j, ++k) lanes[k] += term(j);
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t k = 0; k < half; ++k) lanes[k] += lanes[k + half];
  return lanes[0];
}

}  // namespace bitwright
