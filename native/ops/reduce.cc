// Reductions over axes: of sums of a function of the elements, and of the extremes. A reduction is the transpose of a broadcast, and
// walks one from the result's shape to the input's.
#include <cmath>

#include "ops/broadcast.h"
#include "ops/dtypes.h"
#include "ops/families.h"
#include "ops/jet.h"
#include "ops/rearrangement.h"
#include "ops/selection.h"

namespace bitwright {

namespace {

// The axes are an attribute or the second input (opset 13 for ReduceSum, 18 for the others), all of them when there are none.
class Axes {
 public:
  explicit Axes(const NodeInfo& info)
      : axes_(info.node.attributes.integers("axes", {})), keep_(info.node.attributes.integer("keepdims", 1) != 0),
        none_if_empty_(info.node.attributes.integer("noop_with_empty_axes", 0) != 0) {}

  // The input's shape with 1 for every reduced axis.
  Shape kept(const Context& context) const {
    Shape shape = context.input(0).shape();
    const std::vector<int64_t> axes = context.has(1) ? integer_list(context.input(1)) : axes_;
    if (axes.empty() && !none_if_empty_) std::fill(shape.begin(), shape.end(), 1);
    for (int axis : normalize_axes(axes, context.input(0).rank())) shape[axis] = 1;
    return shape;
  }

  // The output's shape.
  Shape out(const Context& context) const {
    const Shape kept = this->kept(context);
    if (keep_) return kept;
    const std::vector<int64_t> axes = context.has(1) ? integer_list(context.input(1)) : axes_;
    const std::vector<int> removed = normalize_axes(axes, context.input(0).rank());
    Shape shape;
    for (size_t i = 0; i < kept.size(); ++i) {
      const bool reduced = axes.empty() ? !none_if_empty_ : std::find(removed.begin(), removed.end(), static_cast<int>(i)) != removed.end();
      if (!reduced) shape.push_back(kept[i]);
    }
    return shape;
  }

 private:
  std::vector<int64_t> axes_;
  bool keep_, none_if_empty_;
};

// y = outer(sum of inner(x - shift)) + shift, where the shift is the greatest x when F::shifted, else 0. Sums in double.
template <class T, class F>
class Reduction : public Op {
 public:
  explicit Reduction(const NodeInfo& info) : axes_(info) {}

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    const Broadcast broadcast(x.shape(), axes_.kept(context));
    const Shape out = axes_.out(context);
    if (!is_float(x.dtype())) return integers(context, broadcast, out);
    const int64_t count = element_count(out);
    std::vector<double> shifts = shifts_of(context, broadcast, count);
    Tensor sums = context.template make<double>({count});
    double* sum = sums.template data<double>();
    std::fill(sum, sum + count, 0.0);
    const T* from = x.data<T>();
    broadcast.runs_by_operand(context.linear.pool, [&](int64_t o, int64_t, int64_t at, int64_t length, int64_t, int64_t step) {
      add_terms(length, step, sum + at, [&](int64_t j) { return F::inner(static_cast<double>(from[o + j]) - shifts[at + j * step]); });
    });
    const double size = size_of(broadcast, count);
    T* y = context.output(0, DTypeOf<T>::value, out).template data<T>();
    for (int64_t i = 0; i < count; ++i) y[i] = static_cast<T>(F::outer(sum[i], size) + shifts[i]);
    if (context.keep) context.saved->assign(1, sums);
  }

  void tangent(Context& context) override {
    const Tensor* dx = context.tangent(0);
    if (!dx) return;
    const Pass pass(*this, context);
    T* y = context.make_tangent(0).template data<T>();
    for (int p = 0; p < context.probes; ++p) {
      const std::vector<double> moved = sum_tangents(context, pass, dx->data<T>() + p * context.input(0).count());
      for (int64_t i = 0; i < pass.count; ++i) y[p * pass.count + i] = static_cast<T>(pass.slope[i] * moved[i]);
    }
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const Sum<T> sum = context.template adjoint<T>(0);
    if (!sum) return;
    const Pass pass(*this, context);
    const int64_t n = context.input(0).count();
    for (int r = 0; r < context.batch; ++r) {
      const T* from = g->data<T>() + r * pass.count;
      T* to = sum.data + r * n;
      pass.each(context, [&](int64_t o, int64_t at, const Jet1<double>& inner) {
        const T value = static_cast<T>(inner.d * pass.slope[at] * from[at]);
        to[o] = sum.accumulate ? to[o] + value : value;
      });
    }
  }

  void curvature(Context& context) override {
    const Tensor *g = context.cotangent(0), *dx = context.tangent(0);
    if (F::linear || !g || !dx || !context.adjoint_wanted(0)) return;
    const Pass pass(*this, context);
    const int64_t n = context.input(0).count();
    T* sum = context.template adjoint<T>(0).data + context.first * n;
    const T* gs = g->data<T>();
    for (int p = 0; p < context.probes; ++p, sum += n) {
      const T* along = dx->data<T>() + p * n;
      const std::vector<double> moved = sum_tangents(context, pass, along);
      pass.each(context, [&](int64_t o, int64_t at, const Jet1<double>& inner) {
        sum[o] += static_cast<T>((inner.dd * pass.slope[at] * along[o] + inner.d * pass.bend[at] * moved[at]) * gs[at]);
      });
    }
  }

 private:
  // What the derivative passes share: the walk, and the first two derivatives of `outer` at each sum.
  struct Pass {
    Broadcast broadcast;
    int64_t count;
    const T* x;
    std::vector<double> shifts, slope, bend;

    Pass(const Reduction& op, const Context& context)
        : broadcast(context.input(0).shape(), op.axes_.kept(context)), count(context.out[0].count()), x(context.input(0).template data<T>()),
          shifts(op.shifts_of(context, broadcast, count)) {
      const double* sum = (*context.saved)[0].template data<double>();
      const double size = size_of(broadcast, count);
      for (int64_t i = 0; i < count; ++i) {
        const Jet1<double> outer = F::outer(Jet1<double>::variable(sum[i]), size);
        slope.push_back(outer.d);
        bend.push_back(outer.dd);
      }
    }

    template <class Body>
    void each(Context& context, const Body& body) const {
      broadcast.each(context.linear.pool, [&](int64_t o, int64_t, int64_t at) {
        body(o, at, F::inner(Jet1<double>::variable(static_cast<double>(x[o]) - shifts[at])));
      });
    }
  };

  // sums[j * step] += term(j)
  template <class Term>
  static void add_terms(int64_t length, int64_t step, double* sums, const Term& term) {
    if (step == 0) {
      double total = *sums;
      for (int64_t j = 0; j < length; ++j) total += term(j);
      *sums = total;
    } else {
      for (int64_t j = 0; j < length; ++j) sums[j * step] += term(j);
    }
  }

  static double size_of(const Broadcast& broadcast, int64_t count) {
    return count == 0 ? 0 : static_cast<double>(broadcast.count()) / static_cast<double>(count);
  }

  std::vector<double> shifts_of(const Context& context, const Broadcast& broadcast, int64_t count) const {
    std::vector<double> shifts(count);
    if (!F::shifted) return shifts;
    std::fill(shifts.begin(), shifts.end(), -std::numeric_limits<double>::infinity());
    const T* x = context.input(0).template data<T>();
    broadcast.in_order([&](int64_t o, int64_t, int64_t at) { shifts[at] = std::max(shifts[at], static_cast<double>(x[o])); });
    for (double& shift : shifts)
      if (!std::isfinite(shift)) shift = 0;
    return shifts;
  }

  // The derivatives of the sums along dx.
  static std::vector<double> sum_tangents(Context& context, const Pass& pass, const T* dx) {
    std::vector<double> moved(pass.count);
    pass.broadcast.runs_by_operand(context.linear.pool, [&](int64_t o, int64_t, int64_t at, int64_t length, int64_t, int64_t step) {
      add_terms(length, step, moved.data() + at, [&](int64_t j) {
        return F::inner(Jet1<double>::variable(static_cast<double>(pass.x[o + j]) - pass.shifts[at + j * step])).d * dx[o + j];
      });
    });
    return moved;
  }

  static void integers(Context& context, const Broadcast& broadcast, const Shape& out) {
    if constexpr (!F::linear) {
      unsupported("is supported on floats only");
    } else {
      const Tensor& x = context.input(0);
      std::vector<int64_t> sums(element_count(out));
      const std::vector<int64_t> values = to_int64(x);
      broadcast.in_order([&](int64_t o, int64_t, int64_t at) { sums[at] = wrapping_add(sums[at], values[o]); });
      const int64_t size = sums.empty() ? 0 : broadcast.count() / static_cast<int64_t>(sums.size());
      visit_number(x.dtype(), [&](auto zero) {
        using S = decltype(zero);
        S* y = context.output(0, x.dtype(), out).template data<S>();
        for (size_t i = 0; i < sums.size(); ++i) y[i] = static_cast<S>(F::mean ? (size == 0 ? 0 : sums[i] / size) : sums[i]);
      });
    }
  }

  Axes axes_;
};

// The functions of the elements and of their sum, over any number type.
struct Affine {
  static constexpr bool linear = true, mean = false, shifted = false;
  template <class S>
  static S inner(const S& x) { return x; }
  template <class S>
  static S outer(const S& sum, double) { return sum; }
};

struct SumOf : Affine {};

struct MeanOf : Affine {
  static constexpr bool mean = true;
  template <class S>
  static S outer(const S& sum, double size) { return sum / S(size); }
};

struct Nonlinear : Affine {
  static constexpr bool linear = false;
};

struct SquaresOf : Nonlinear {
  template <class S>
  static S inner(const S& x) { return x * x; }
};

// At zero the derivative of a norm is taken to be 0.
struct L2Of : SquaresOf {
  template <class S>
  static S outer(const S& sum, double) { return math::value(sum) == 0 ? S(0) : math::sqrt(sum); }
};

struct L1Of : Nonlinear {
  template <class S>
  static S inner(const S& x) { return math::abs(x); }
};

struct LogSumOf : Nonlinear {
  template <class S>
  static S outer(const S& sum, double) { return math::log(sum); }
};

struct LogSumExpOf : LogSumOf {
  static constexpr bool shifted = true;
  template <class S>
  static S inner(const S& x) { return math::exp(x); }
};

template <class F>
std::unique_ptr<Op> make_reduction(const NodeInfo& info) {
  if (info.real == BW_FLOAT64) return std::make_unique<Reduction<double, F>>(info);
  return std::make_unique<Reduction<float, F>>(info);
}

// The greatest or least element; the first one where several are equal. Groups are the indices of the axes before the first reduced one.
template <class T, bool greatest>
class Extreme : public Selection<T> {
 public:
  explicit Extreme(const NodeInfo& info) : axes_(info) {}

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    const Shape out = axes_.out(context);
    if (x.count() == 0 && element_count(out) != 0) invalid_model("nothing has no extreme: shape " + to_string(x.shape()));
    const Groups groups = this->groups(context);
    const Shape &shape = x.shape(), kept = axes_.kept(context);
    const auto split = shape.size() - trailing(shape, kept);
    const Broadcast broadcast({shape.begin() + split, shape.end()}, {kept.begin() + split, kept.end()});
    int32_t* index = this->make_index(context);
    std::fill(index, index + groups.count * groups.out, -1);
    visit_number(x.dtype(), [&](auto zero) {
      using S = decltype(zero);
      S* y = context.output(0, x.dtype(), out).template data<S>();
      context.linear.pool.parallel_for(groups.count, [&](int64_t group) {
        const S* from = x.data<S>() + group * groups.in;
        int32_t* at = index + group * groups.out;
        broadcast.in_order([&](int64_t i, int64_t, int64_t o) {
          if (at[o] < 0 || (greatest ? from[i] > from[at[o]] : from[i] < from[at[o]])) at[o] = static_cast<int32_t>(i);
        });
        for (int64_t o = 0; o < groups.out; ++o) y[group * groups.out + o] = from[at[o]];
      });
    });
  }

 private:
  // The number of axes from the first reduced one on.
  static size_t trailing(const Shape& shape, const Shape& kept) {
    size_t first = 0;
    while (first < shape.size() && shape[first] == kept[first]) ++first;
    return shape.size() - first;
  }

  Groups groups(const Context& context) const override {
    const Shape &shape = context.input(0).shape(), kept = axes_.kept(context);
    const auto split = shape.size() - trailing(shape, kept);
    return {element_count({shape.begin(), shape.begin() + split}), element_count({shape.begin() + split, shape.end()}),
            element_count({kept.begin() + split, kept.end()})};
  }

  Axes axes_;
};

template <class T>
using ReduceMax = Extreme<T, true>;
template <class T>
using ReduceMin = Extreme<T, false>;

template <class F>
Row reduction(const char* type, const char* samples) {
  return {"", type, 1, F::linear ? "linear" : "custom", true, {}, make_reduction<F>, samples};
}

constexpr const char* kAxesInput = R"([
  {"inputs": [[2,3,4], {"dims": [1], "dtype": "int64", "values": [-1], "constant": true}], "opset": 18},
  {"inputs": [[2,3,4], {"dims": [2], "dtype": "int64", "values": [0,2], "constant": true}], "attributes": {"keepdims": 0}, "opset": 18},
  {"inputs": [[2,3,4]], "attributes": {"axes": [1]}, "opset": 11},
  {"inputs": [[2,3,4]], "opset": 18},
  {"inputs": [[2,3]], "attributes": {"noop_with_empty_axes": 1}, "opset": 18},
  {"inputs": [{"dims": [2,3], "dtype": "int64", "values": [1,5,-2,3,9,4]}, {"dims": [1], "dtype": "int64", "values": [1], "constant": true}], "opset": 18}
])";
constexpr const char* kFloats = R"([
  {"inputs": [[2,3,4], {"dims": [1], "dtype": "int64", "values": [1], "constant": true}], "opset": 18},
  {"inputs": [[2,3,4]], "attributes": {"axes": [0,-1], "keepdims": 0}, "opset": 13}
])";
constexpr const char* kPositive = R"([
  {"inputs": [{"dims": [2,3,4], "low": 0.2, "high": 2}, {"dims": [1], "dtype": "int64", "values": [1], "constant": true}], "opset": 18}
])";

}  // namespace

std::vector<Row> reduce_rows() {
  return {
      reduction<SumOf>("ReduceSum", kAxesInput),
      reduction<MeanOf>("ReduceMean", kAxesInput),
      reduction<SquaresOf>("ReduceSumSquare", kFloats),
      reduction<L1Of>("ReduceL1", kFloats),
      reduction<L2Of>("ReduceL2", kFloats),
      reduction<LogSumOf>("ReduceLogSum", kPositive),
      reduction<LogSumExpOf>("ReduceLogSumExp", kFloats),
      {"", "ReduceMax", 1, "selection", true, {}, make_op<ReduceMax>, kAxesInput},
      {"", "ReduceMin", 1, "selection", true, {}, make_op<ReduceMin>, kAxesInput},
  };
}

}  // namespace bitwright
