// The scalar at the end of a graph: a loss per sample, its gradient and its Hessian's product with tangents.
#pragma once

#include "core/array.h"
#include "core/tensor.h"

namespace bitwright {

// What random cotangents depend on, beside the probe and the row.
struct FisherSigns {
  uint64_t seed = 0;
  uint64_t first_sample = 0;  // index of the batch's first sample in the data set
};

// Rows are the elements along the last axis; the rows of one sample are averaged (cross-entropy and KL).
// With p = softmax(z): the gradient of a row is p - target, the Hessian diag(p) - p p^T, for both.
template <class T>
class Loss {
 public:
  // target: int32 classes (cross-entropy), nothing (sum), or elements of type T shaped like z. A class of -1 leaves its row out.
  Loss(bw_loss kind, const Tensor& z, int64_t samples, Tensor target);

  std::vector<double> values(const Linear& linear) const;
  // g = dL/dz, L the sum over samples.
  void gradient(const Linear& linear, T* g) const;
  // hz[p] = (d2L/dz2) dz[p] for p in [0, probes); dz may be nullptr (zero).
  void hessian_product(const Linear& linear, const T* dz, int probes, T* hz) const;
  // Random xi[p], independent for every sample, with covariance d2L/dz2 and mean 0: sqrt(w) (sqrt(p) eps - p (sqrt(p) . eps)) for a row of weight w,
  // eps for squared errors, eps being signs.
  void fisher(const Linear& linear, const FisherSigns& signs, int probes, T* xi) const;

 private:
  bool rows_are_distributions() const { return kind_ == BW_CROSS_ENTROPY || kind_ == BW_KL; }
  template <class Body>
  void each_row(const Linear& linear, const Body& body) const;

  bw_loss kind_;
  Tensor z_, target_;
  int64_t samples_, classes_ = 1, rows_ = 0;
  std::vector<double> row_weight_;  // 1 / rows that count in the row's sample, 0 for a row left out
};

}  // namespace bitwright
