#include "core/loss.h"

#include <algorithm>
#include <numeric>

#include "core/elementary.h"
#include "core/random.h"

namespace bitwright {

namespace {

// log(sum_j e^z_j), shifted by the largest so that nothing overflows.
template <class T>
double log_sum_exp(const T* z, int64_t count) {
  double largest = z[0];
  for (int64_t j = 1; j < count; ++j) largest = std::max<double>(largest, z[j]);
  double sum = 0;
  for (int64_t j = 0; j < count; ++j) sum += elementary::exp(z[j] - largest);
  return largest + elementary::log(sum);
}

// Elements along the axis of the classes: the last one, or the one before where networks that end in a pooling keep axes of one element.
int64_t class_count(const Tensor& z) {
  int axis = z.rank() - 1;
  while (axis > 1 && z.dim(axis) == 1) --axis;
  return z.dim(axis);
}

}  // namespace

template <class T>
Loss<T>::Loss(bw_loss kind, const Tensor& z, int64_t samples, Tensor target) : kind_(kind), z_(z), target_(std::move(target)), samples_(samples) {
  if (samples < 1 || z.count() == 0 || z.count() % samples != 0)
    invalid_model("an output of shape " + to_string(z.shape()) + " does not divide into " + std::to_string(samples) + " samples");
  // An output with a single axis has a number for each sample, unless that axis is the classes of one.
  if (rows_are_distributions())
    classes_ = z.rank() == 0 ? 1 : class_count(z);
  else
    classes_ = z.rank() == 0 ? 1 : z.rank() == 1 ? z.count() / samples : z.dim(-1);
  rows_ = z.count() / classes_;
  if (rows_ % samples != 0)
    invalid_model("the last axis of an output of shape " + to_string(z.shape()) + " cannot be the classes of " + std::to_string(samples) + " samples");
  const int64_t expected = kind == BW_SUM ? 0 : kind == BW_CROSS_ENTROPY ? rows_ : z.count();
  if (target_.count() != expected)
    invalid_argument("the loss's target has " + std::to_string(target_.count()) + " elements, " + std::to_string(expected) + " are needed");
  if (!rows_are_distributions()) return;

  row_weight_.assign(rows_, 0.0);
  const int64_t per_sample = rows_ / samples;
  for (int64_t n = 0; n < samples; ++n) {
    int64_t counted = 0;
    for (int64_t r = n * per_sample; r < (n + 1) * per_sample; ++r) {
      if (kind == BW_CROSS_ENTROPY) {
        const int32_t label = target_.data<int32_t>()[r];
        if (label < -1 || label >= classes_)
          invalid_argument("label " + std::to_string(label) + " is not a class: there are " + std::to_string(classes_));
        if (label < 0) continue;
      }
      row_weight_[r] = 1;
      ++counted;
    }
    for (int64_t r = n * per_sample; r < (n + 1) * per_sample; ++r)
      if (counted > 0) row_weight_[r] /= static_cast<double>(counted);
  }
}

template <class T>
template <class Body>
void Loss<T>::each_row(const Linear& linear, const Body& body) const {
  linear.pool.parallel_for(rows_, [&](int64_t r) { body(r, z_.data<T>() + r * classes_); });
}

template <class T>
std::vector<double> Loss<T>::values(const Linear& linear) const {
  std::vector<double> row_losses(rows_, 0.0);
  each_row(linear, [&](int64_t r, const T* z) {
    double loss = 0;
    if (kind_ == BW_CROSS_ENTROPY) {
      if (row_weight_[r] == 0) return;
      loss = log_sum_exp(z, classes_) - z[target_.data<int32_t>()[r]];
    } else if (kind_ == BW_SUM) {
      for (int64_t j = 0; j < classes_; ++j) loss += z[j];
    } else {
      const T* t = target_.data<T>() + r * classes_;
      if (kind_ == BW_KL) {
        const double norm_z = log_sum_exp(z, classes_), norm_t = log_sum_exp(t, classes_);
        for (int64_t j = 0; j < classes_; ++j) loss += elementary::exp(t[j] - norm_t) * ((t[j] - norm_t) - (z[j] - norm_z));
      } else {
        for (int64_t j = 0; j < classes_; ++j) {
          const double difference = static_cast<double>(z[j]) - t[j];
          loss += kind_ == BW_SQUARED_ERROR ? 0.5 * difference * difference : static_cast<double>(z[j]) * t[j];
        }
      }
    }
    row_losses[r] = loss * (rows_are_distributions() ? row_weight_[r] : 1.0);
  });
  std::vector<double> losses(samples_, 0.0);
  for (int64_t r = 0; r < rows_; ++r) losses[r / (rows_ / samples_)] += row_losses[r];
  return losses;
}

template <class T>
void Loss<T>::gradient(const Linear& linear, T* g) const {
  each_row(linear, [&](int64_t r, const T* z) {
    T* to = g + r * classes_;
    if (kind_ == BW_SUM) return std::fill(to, to + classes_, T(1));
    if (!rows_are_distributions()) {
      const T* t = target_.data<T>() + r * classes_;
      for (int64_t j = 0; j < classes_; ++j) to[j] = kind_ == BW_LINEAR ? t[j] : z[j] - t[j];
      return;
    }
    const double norm = log_sum_exp(z, classes_), weight = row_weight_[r];
    for (int64_t j = 0; j < classes_; ++j) to[j] = static_cast<T>(weight * elementary::exp(z[j] - norm));
    if (kind_ == BW_CROSS_ENTROPY) {
      if (weight != 0) to[target_.data<int32_t>()[r]] -= static_cast<T>(weight);
    } else {
      const T* t = target_.data<T>() + r * classes_;
      const double norm_t = log_sum_exp(t, classes_);
      for (int64_t j = 0; j < classes_; ++j) to[j] = static_cast<T>(weight * (elementary::exp(z[j] - norm) - elementary::exp(t[j] - norm_t)));
    }
  });
}

template <class T>
void Loss<T>::hessian_product(const Linear& linear, const T* dz, int probes, T* hz) const {
  const int64_t count = z_.count();
  if (dz == nullptr || kind_ == BW_LINEAR || kind_ == BW_SUM) return fill(linear, T(0), probes * count, hz);
  if (kind_ == BW_SQUARED_ERROR) return copy(linear, dz, probes * count, hz);
  each_row(linear, [&](int64_t r, const T* z) {
    const double norm = log_sum_exp(z, classes_);
    std::vector<double> p(classes_);
    for (int64_t j = 0; j < classes_; ++j) p[j] = elementary::exp(z[j] - norm);
    for (int64_t k = 0; k < probes; ++k) {
      const T* v = dz + k * count + r * classes_;
      T* to = hz + k * count + r * classes_;
      double mean = 0;
      for (int64_t j = 0; j < classes_; ++j) mean += p[j] * v[j];
      for (int64_t j = 0; j < classes_; ++j) to[j] = static_cast<T>(row_weight_[r] * p[j] * (v[j] - mean));
    }
  });
}

// Signs eps whose products of two classes average to zero: over the draws, because each class has a random sign; and within a block of m probes, m a
// power of two, for any two of the m likeliest classes, because classes take turns in the columns of a Hadamard matrix. So the average over probes
// misses what the many unlikely classes do to each other and, with as many probes as classes, nothing.
template <class T>
void Loss<T>::fisher(const Linear& linear, const FisherSigns& signs, int probes, T* xi) const {
  if (kind_ == BW_LINEAR || kind_ == BW_SUM) invalid_argument("a linear loss has no curvature to draw cotangents from");
  const int64_t count = z_.count();
  const int64_t rows = rows_ / samples_;
  each_row(linear, [&](int64_t r, const T* z) {
    std::vector<double> p;
    std::vector<int64_t> column(classes_);  // by falling probability
    std::iota(column.begin(), column.end(), r % rows * classes_);
    if (rows_are_distributions()) {
      const double norm = log_sum_exp(z, classes_);
      for (int64_t j = 0; j < classes_; ++j) p.push_back(elementary::exp(z[j] - norm));
      std::vector<int64_t> order(classes_);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return z[a] > z[b]; });
      for (int64_t i = 0; i < classes_; ++i) column[order[i]] = r % rows * classes_ + i;
    }
    const double scale = rows_are_distributions() ? std::sqrt(row_weight_[r]) : 1;
    for (int64_t first = 0, block = 1; first < probes; first += block) {
      for (block = 1; 2 * block <= probes - first;) block *= 2;
      const SignStream stream(signs.seed, static_cast<uint64_t>(r % rows), signs.first_sample + static_cast<uint64_t>(r / rows), static_cast<uint64_t>(first));
      for (int64_t k = 0; k < block; ++k) {
        T* to = xi + (first + k) * count + r * classes_;
        stream.each_piece<T>(linear.kernels, classes_, [&](const T* eps, int64_t begin, int64_t size) { std::memcpy(to + begin, eps, size * sizeof(T)); });
        for (int64_t j = 0; j < classes_; ++j)
          if (__builtin_parityll(static_cast<unsigned long long>(k & column[j] & (block - 1)))) to[j] = -to[j];
        if (p.empty()) continue;
        double mean = 0;
        for (int64_t j = 0; j < classes_; ++j) mean += std::sqrt(p[j]) * to[j];
        for (int64_t j = 0; j < classes_; ++j) to[j] = static_cast<T>(scale * (std::sqrt(p[j]) * to[j] - p[j] * mean));
      }
    }
  });
}

template class Loss<float>;
template class Loss<double>;

}  // namespace bitwright
