// Numpy-style broadcasting of two tensors, as nested loops with the trailing axes merged.
#pragma once

#include <vector>

#include "ops/op.h"

namespace bitwright {

class Broadcast {
 public:
  Broadcast(const Shape& a, const Shape& b) {
    const size_t rank = std::max(a.size(), b.size());
    shape_.resize(rank);
    std::vector<int64_t> stride_a(rank), stride_b(rank);
    int64_t run_a = 1, run_b = 1;
    for (size_t i = rank; i-- > 0;) {
      const size_t from_end = rank - i;
      const int64_t da = from_end <= a.size() ? a[a.size() - from_end] : 1;
      const int64_t db = from_end <= b.size() ? b[b.size() - from_end] : 1;
      if (da != db && da != 1 && db != 1) invalid_model("shapes " + to_string(a) + " and " + to_string(b) + " do not broadcast");
      shape_[i] = da == 1 ? db : da;
      stride_a[i] = da == 1 ? 0 : run_a;
      stride_b[i] = db == 1 ? 0 : run_b;
      run_a *= da;
      run_b *= db;
    }
    count_ = element_count(shape_);
    // Neighbouring axes over which both operands move alike become one.
    for (size_t i = rank; i-- > 0;) {
      if (shape_[i] == 1) continue;
      if (!axes_.empty() && stride_a[i] == axes_.back().a * axes_.back().size && stride_b[i] == axes_.back().b * axes_.back().size)
        axes_.back().size *= shape_[i];
      else
        axes_.push_back({shape_[i], stride_a[i], stride_b[i]});
    }
    if (axes_.empty()) axes_.push_back({1, 0, 0});
  }

  const Shape& shape() const { return shape_; }
  int64_t count() const { return count_; }
  // Both operands go along with the output.
  bool elementwise() const { return axes_.size() == 1 && axes_[0].a == 1 && axes_[0].b == 1; }

  // Calls body(output index, index in a, index in b) for all elements; ascending within a chunk.
  template <class Body>
  void each(ThreadPool& pool, const Body& body) const {
    runs(pool, per_element(body));
  }

  // Calls body(output index, element of a, element of b) for all elements, in loops that compilers can vectorize.
  template <class S, class Body>
  void each_pair(ThreadPool& pool, const S* a, const S* b, const Body& body) const {
    runs(pool, [&](int64_t o, int64_t ia, int64_t ib, int64_t length, int64_t step_a, int64_t step_b) {
      if (step_a != 0 && step_b != 0) {
        for (int64_t j = 0; j < length; ++j) body(o + j, a[ia + j], b[ib + j]);
      } else if (step_a != 0) {
        const S other = b[ib];
        for (int64_t j = 0; j < length; ++j) body(o + j, a[ia + j], other);
      } else {
        const S other = a[ia];
        for (int64_t j = 0; j < length; ++j) body(o + j, other, b[ib + j * step_b]);
      }
    });
  }

  // The same in ascending order throughout, on this thread.
  template <class Body>
  void in_order(const Body& body) const {
    runs_in_order(per_element(body));
  }

  // Calls body(output index, index in a, index in b, length, step in a, step in b) for stretches of the innermost axis; the steps are 0 or 1.
  template <class Body>
  void runs(ThreadPool& pool, const Body& body) const {
    parallel_chunks(pool, count_, [&](int64_t begin, int64_t end) { range(begin, end, body); });
  }

  template <class Body>
  void runs_in_order(const Body& body) const {
    range(0, count_, body);
  }

  // As runs, where elements that share an element of b are visited in order by one thread: for sums over them.
  template <class Body>
  void runs_by_operand(ThreadPool& pool, const Body& body) const {
    if (count_ == 0) return;
    int64_t block = count_;
    for (size_t k = axes_.size(); k-- > 1 && axes_[k].b != 0;) block /= axes_[k].size;
    const int64_t blocks = count_ / block, together = std::max<int64_t>(1, kChunk / block);
    pool.parallel_for((blocks + together - 1) / together,
                      [&](int64_t i) { range(i * together * block, std::min(blocks, (i + 1) * together) * block, body); });
  }

 private:
  struct Axis {
    int64_t size, a, b;
  };

  template <class Body>
  static auto per_element(const Body& body) {
    return [&body](int64_t o, int64_t ia, int64_t ib, int64_t length, int64_t step_a, int64_t step_b) {
      for (int64_t j = 0; j < length; ++j) body(o + j, ia + j * step_a, ib + j * step_b);
    };
  }

  template <class Body>
  void range(int64_t begin, int64_t end, const Body& body) const {
    const Axis inner = axes_[0];
    for (int64_t o = begin; o < end;) {
      int64_t rest = o / inner.size, ia = 0, ib = 0;
      for (size_t k = 1; k < axes_.size(); ++k) {
        const int64_t at = rest % axes_[k].size;
        rest /= axes_[k].size;
        ia += at * axes_[k].a;
        ib += at * axes_[k].b;
      }
      const int64_t j = o % inner.size, length = std::min(inner.size - j, end - o);
      body(o, ia + j * inner.a, ib + j * inner.b, length, inner.a, inner.b);
      o += length;
    }
  }

  Shape shape_;
  int64_t count_ = 0;
  std::vector<Axis> axes_;  // innermost first
};

// y = or += factor * x, where x is operand `side` (0: a, 1: b) of the broadcast and y has its shape.
template <class T>
void spread(const Linear& linear, const Broadcast& broadcast, int side, const T* x, T factor, T* y, bool accumulate) {
  broadcast.runs(linear.pool, [&](int64_t o, int64_t ia, int64_t ib, int64_t length, int64_t step_a, int64_t step_b) {
    const T* from = x + (side == 0 ? ia : ib);
    const int64_t step = side == 0 ? step_a : step_b;
    if (accumulate)
      for (int64_t j = 0; j < length; ++j) y[o + j] += factor * from[j * step];
    else
      for (int64_t j = 0; j < length; ++j) y[o + j] = factor * from[j * step];
  });
}

// sums[operand index] += x, over all elements of the broadcast's shape in order: the transpose of `spread`.
template <class T>
void gather_sums(const Broadcast& broadcast, int side, const T* x, double* sums) {
  broadcast.runs_in_order([&](int64_t o, int64_t ia, int64_t ib, int64_t length, int64_t step_a, int64_t step_b) {
    double* to = sums + (side == 0 ? ia : ib);
    if ((side == 0 ? step_a : step_b) == 0) {
      double sum = *to;
      for (int64_t j = 0; j < length; ++j) sum += x[o + j];
      *to = sum;
    } else {
      for (int64_t j = 0; j < length; ++j) to[j] += x[o + j];
    }
  });
}

// Adds `full`, cotangents [first, first + sets) of the batch in the broadcast's shape, to the sum of an input, which is operand `side` (0: a, 1: b).
template <class T>
void reduce_adjoint(Context& context, int input, int side, const Broadcast& broadcast, const T* full, int first, int sets) {
  const int64_t n = broadcast.count(), own = context.input(input).count();
  if (const ParameterSum parameter = context.parameter(input)) {
    context.linear.pool.parallel_for(parameter.sets, [&](int64_t s) {
      gather_sums(broadcast, side, full + (parameter.first - first + s) * n, parameter.data + s * own);
    });
    return;
  }
  const Sum<T> sum = context.template adjoint<T>(input);
  if (!sum) return;
  T* to = sum.data + first * own;
  if (own == n) {
    if (sum.accumulate)
      add_to(context.linear, full, n * sets, to);
    else
      copy(context.linear, full, n * sets, to);
    return;
  }
  context.linear.pool.parallel_for(sets, [&](int64_t r) {
    std::vector<double> wide(own);
    gather_sums(broadcast, side, full + r * n, wide.data());
    for (int64_t i = 0; i < own; ++i) to[r * own + i] = static_cast<T>(sum.accumulate ? to[r * own + i] + wide[i] : wide[i]);
  });
}

template <class T>
void reduce_adjoint(Context& context, int input, int side, const Broadcast& broadcast, const T* full) {
  reduce_adjoint(context, input, side, broadcast, full, 0, context.batch);
}

}  // namespace bitwright
