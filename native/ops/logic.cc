// Comparisons, logic, choices and rounding: what is piecewise constant has no derivative, Where has that of the branch it takes.
#include <cmath>
#include <functional>

#include "ops/broadcast.h"
#include "ops/dtypes.h"
#include "ops/families.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

// y = f(a, b) of type bool.
template <class F>
class Comparison : public Op {
 public:
  explicit Comparison(const NodeInfo&) {}

  void forward(Context& context) override {
    const Tensor &a = context.input(0), &b = context.input(1);
    const Broadcast broadcast(a.shape(), b.shape());
    bool* y = context.output(0, BW_BOOL, broadcast.shape()).template data<bool>();
    visit_dtype(a.dtype(), [&](auto zero) {
      const auto *as = a.data<decltype(zero)>(), *bs = b.data<decltype(zero)>();
      broadcast.each(context.linear.pool, [&](int64_t o, int64_t ia, int64_t ib) { y[o] = F()(as[ia], bs[ib]); });
    });
  }
};

// y = f(x), of the type that f gives; bool stays bool.
template <class F>
class Predicate : public Op {
 public:
  explicit Predicate(const NodeInfo&) {}

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    visit_dtype(x.dtype(), [&](auto zero) {
      using S = decltype(zero);
      using R = decltype(F()(S()));
      const S* from = x.data<S>();
      R* to = context.output(0, DTypeOf<R>::value, x.shape()).template data<R>();
      parallel_chunks(context.linear.pool, x.count(), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) to[i] = F()(from[i]);
      });
    });
  }
};

struct Not {
  template <class S>
  bool operator()(S x) const { return x == S(0); }
};

struct IsNaN {
  template <class S>
  bool operator()(S x) const { return x != x; }
};

struct Floor {
  template <class S>
  S operator()(S x) const { return static_cast<S>(std::floor(x)); }
};

struct Ceil {
  template <class S>
  S operator()(S x) const { return static_cast<S>(std::ceil(x)); }
};

// Half to even: the engine never leaves the default rounding mode.
struct Round {
  template <class S>
  S operator()(S x) const { return static_cast<S>(std::nearbyint(x)); }
};

struct Sign {
  template <class S>
  S operator()(S x) const { return static_cast<S>((x > S(0)) - (x < S(0))); }
};

struct And {
  bool operator()(bool a, bool b) const { return a && b; }
};
struct Or {
  bool operator()(bool a, bool b) const { return a || b; }
};
struct Xor {
  bool operator()(bool a, bool b) const { return a != b; }
};

// y = f(a, b) on the bits of integers.
template <class F>
class Bitwise : public Op {
 public:
  explicit Bitwise(const NodeInfo&) {}

  void forward(Context& context) override {
    const Tensor &a = context.input(0), &b = context.input(1);
    if (is_float(a.dtype()) || a.dtype() == BW_BOOL || a.dtype() != b.dtype()) invalid_model("expected integers of one type");
    const Broadcast broadcast(a.shape(), b.shape());
    Tensor& y = context.output(0, a.dtype(), broadcast.shape());
    visit_width(a.dtype(), [&](auto zero) {
      using S = decltype(zero);
      const auto *as = static_cast<const S*>(a.raw()), *bs = static_cast<const S*>(b.raw());
      auto* to = static_cast<S*>(y.raw());
      broadcast.each(context.linear.pool, [&](int64_t o, int64_t ia, int64_t ib) { to[o] = static_cast<S>(F()(as[ia], bs[ib])); });
    });
  }
};

struct BitwiseNot {
  template <class S>
  S operator()(S x) const {
    if constexpr (std::is_integral_v<S> && !std::is_same_v<S, bool>) return static_cast<S>(~x);
    else invalid_model("expected integers");
  }
};

// Of the signs that the attributes name.
class IsInf : public Op {
 public:
  explicit IsInf(const NodeInfo& info) : negative_(info.node.attributes.integer("detect_negative", 1) != 0), positive_(info.node.attributes.integer("detect_positive", 1) != 0) {}

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    bool* y = context.output(0, BW_BOOL, x.shape()).data<bool>();
    visit_dtype(x.dtype(), [&](auto zero) {
      using S = decltype(zero);
      if constexpr (std::is_floating_point_v<S>)
        std::transform(x.data<S>(), x.data<S>() + x.count(), y, [&](S v) { return std::isinf(v) && (v < 0 ? negative_ : positive_); });
      else
        invalid_model("IsInf takes floats");
    });
  }

 private:
  bool negative_, positive_;
};

// y = condition ? a : b
class Where : public Op {
 public:
  explicit Where(const NodeInfo&) {}

  void forward(Context& context) override {
    const Tensor &a = context.input(1), &b = context.input(2);
    if (a.dtype() != b.dtype()) invalid_model("the two branches of Where have different types");
    const Shape shape = Broadcast(Broadcast(a.shape(), b.shape()).shape(), context.input(0).shape()).shape();
    Tensor& y = context.output(0, a.dtype(), shape);
    const Tensor condition = whole_condition(context, shape);
    visit_width(a.dtype(), [&](auto zero) {
      using E = decltype(zero);
      E* to = static_cast<E*>(y.raw());
      for (int side = 1; side <= 2; ++side)
        choose(context, condition.data<bool>(), side, static_cast<const E*>(context.input(side).raw()), to);
    });
  }

  void tangent(Context& context) override {
    if (!context.tangent(1) && !context.tangent(2)) return;
    const Tensor condition = whole_condition(context, context.out[0].shape());
    Tensor& y = context.make_tangent(0);
    const int64_t count = context.out[0].count();
    std::memset(y.raw(), 0, y.bytes());
    visit_width(y.dtype(), [&](auto zero) {
      using E = decltype(zero);
      for (int side = 1; side <= 2; ++side) {
        const Tensor* d = context.tangent(side);
        for (int p = 0; d && p < context.probes; ++p)
          choose(context, condition.data<bool>(), side, static_cast<const E*>(d->raw()) + p * context.input(side).count(), static_cast<E*>(y.raw()) + p * count);
      }
    });
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    if (g->dtype() == BW_FLOAT64)
      pass_back<double>(context, *g);
    else
      pass_back<float>(context, *g);
  }

 private:
  static Tensor whole_condition(Context& context, const Shape& shape) {
    const Tensor& condition = context.input(0);
    if (condition.shape() == shape) return condition;
    Tensor whole = context.make<bool>(shape);
    const bool* from = condition.data<bool>();
    bool* to = whole.data<bool>();
    Broadcast(shape, condition.shape()).each(context.linear.pool, [&](int64_t o, int64_t, int64_t i) { to[o] = from[i]; });
    return whole;
  }

  // y = x wherever the condition takes this side.
  template <class E>
  static void choose(Context& context, const bool* condition, int side, const E* x, E* y) {
    Broadcast(context.out[0].shape(), context.input(side).shape()).each(context.linear.pool, [&](int64_t o, int64_t, int64_t i) {
      if (condition[o] == (side == 1)) y[o] = x[i];
    });
  }

  template <class T>
  static void pass_back(Context& context, const Tensor& g) {
    const Shape& shape = context.out[0].shape();
    const int64_t count = context.out[0].count();
    const Tensor condition = whole_condition(context, shape);
    const bool* taken = condition.data<bool>();
    const T* from = g.data<T>();
    for (int side = 1; side <= 2; ++side) {
      if (!context.adjoint_wanted(side)) continue;
      Tensor masked = context.make<T>(g.shape());
      T* to = masked.template data<T>();
      context.linear.pool.parallel_for(context.batch, [&](int64_t r) {
        for (int64_t i = 0; i < count; ++i) to[r * count + i] = taken[i] == (side == 1) ? from[r * count + i] : T(0);
      });
      reduce_adjoint<T>(context, side, 1, Broadcast(shape, context.input(side).shape()), to);
    }
  }
};

// The index of the greatest (or least) element along an axis; the first one of equals, or the last with select_last_index.
template <bool greatest>
class ArgExtreme : public Op {
 public:
  explicit ArgExtreme(const NodeInfo& info)
      : axis_(info.node.attributes.integer("axis", 0)), keep_(info.node.attributes.integer("keepdims", 1) != 0),
        last_(info.node.attributes.integer("select_last_index", 0) != 0) {}

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    const int axis = normalize_axis(axis_, x.rank());
    const Shape& shape = x.shape();
    const int64_t outer = element_count({shape.begin(), shape.begin() + axis}), size = shape[axis], inner = element_count({shape.begin() + axis + 1, shape.end()});
    if (size == 0) invalid_model("an empty axis has no extreme");
    Shape out = shape;
    out[axis] = 1;
    if (!keep_) out.erase(out.begin() + axis);
    int64_t* y = context.output(0, BW_INT64, out).data<int64_t>();
    visit_number(x.dtype(), [&](auto zero) {
      const auto* from = x.data<decltype(zero)>();
      context.linear.pool.parallel_for(outer, [&](int64_t o) {
        for (int64_t i = 0; i < inner; ++i) {
          const auto* line = from + o * size * inner + i;
          int64_t best = 0;
          for (int64_t k = 1; k < size; ++k) {
            const auto value = line[k * inner], record = line[best * inner];
            if (greatest ? value > record : value < record) best = k;
            else if (last_ && value == record) best = k;
          }
          y[o * inner + i] = best;
        }
      });
    });
  }

 private:
  int64_t axis_;
  bool keep_, last_;
};

template <class F>
Row comparison(const char* type, int since, const char* samples) {
  return {"", type, since, "shape", false, {}, make_plain<Comparison<F>>, samples};
}

template <class F>
Row predicate(const char* type, int since, const char* samples) {
  return {"", type, since, "shape", false, {}, make_plain<Predicate<F>>, samples};
}

template <class F>
Row bitwise(const char* type) {
  return {"", type, 18, "shape", false, {}, make_plain<Bitwise<F>>, R"([
    {"inputs": [{"dims": [2,3], "dtype": "int64", "values": [1,-2,3,12,5,6]}, {"dims": [3], "dtype": "int64", "values": [3,2,-4]}]},
    {"inputs": [{"dims": [2], "dtype": "uint8", "values": [200,7]}, {"dims": [], "dtype": "uint8", "values": [21]}]}
  ])"};
}

constexpr const char* kComparisonSamples = R"([
  {"inputs": [{"dims": [2,3], "values": [1,2,3,4,5,6]}, {"dims": [3], "values": [3,2,4]}]},
  {"inputs": [{"dims": [4], "dtype": "int64", "values": [1,2,3,4]}, {"dims": [], "dtype": "int64", "values": [2]}]}
])";
constexpr const char* kLogicSamples = R"([
  {"inputs": [{"dims": [2,2], "dtype": "bool", "values": [0,0,1,1]}, {"dims": [2], "dtype": "bool", "values": [0,1]}]}
])";
constexpr const char* kRoundingSamples = R"([{"inputs": [{"dims": [6], "values": [-2.5,-1.2,-0.5,0.5,1.5,2.7]}]}])";

}  // namespace

std::vector<Row> logic_rows() {
  return {
      comparison<std::equal_to<>>("Equal", 7, kComparisonSamples),
      comparison<std::less<>>("Less", 7, kComparisonSamples),
      comparison<std::less_equal<>>("LessOrEqual", 12, kComparisonSamples),
      comparison<std::greater<>>("Greater", 7, kComparisonSamples),
      comparison<std::greater_equal<>>("GreaterOrEqual", 12, kComparisonSamples),
      comparison<And>("And", 7, kLogicSamples),
      comparison<Or>("Or", 7, kLogicSamples),
      comparison<Xor>("Xor", 7, kLogicSamples),
      bitwise<std::bit_and<>>("BitwiseAnd"),
      bitwise<std::bit_or<>>("BitwiseOr"),
      bitwise<std::bit_xor<>>("BitwiseXor"),
      predicate<BitwiseNot>("BitwiseNot", 18, R"([{"inputs": [{"dims": [3], "dtype": "int32", "values": [0,-7,12]}]}])"),
      predicate<Not>("Not", 1, R"([{"inputs": [{"dims": [2], "dtype": "bool", "values": [0,1]}]}])"),
      predicate<IsNaN>("IsNaN", 9, R"([{"inputs": [[5]]}])"),
      {"", "IsInf", 10, "shape", false, {}, make_plain<IsInf>, R"([{"inputs": [[5]]}, {"inputs": [[5]], "attributes": {"detect_negative": 0}}])"},
      predicate<Floor>("Floor", 1, kRoundingSamples),
      predicate<Ceil>("Ceil", 1, kRoundingSamples),
      predicate<Round>("Round", 11, kRoundingSamples),
      predicate<Sign>("Sign", 9, R"([{"inputs": [[5]]}, {"inputs": [{"dims": [3], "dtype": "int64", "values": [-4,0,2]}]}])"),
      {"", "Where", 9, "selection", true, {}, make_plain<Where>, R"([
        {"inputs": [{"dims": [2,1], "dtype": "bool", "values": [1,0]}, [2,3], [1,3]]},
        {"inputs": [{"dims": [2,1,3], "dtype": "bool", "values": [1,0,1,1,1,0]}, [], [4,1]]},
        {"inputs": [{"dims": [3], "dtype": "bool", "values": [1,0,1]}, {"dims": [3], "dtype": "int64", "values": [1,2,3]}, {"dims": [], "dtype": "int64", "values": [9]}]}
      ])"},
      {"", "ArgMax", 1, "shape", false, {}, make_plain<ArgExtreme<true>>, R"([
        {"inputs": [[3,4,2]], "attributes": {"axis": 1}},
        {"inputs": [{"dims": [2,4], "dtype": "int32", "values": [3,7,7,1,2,2,0,2]}], "attributes": {"axis": -1, "keepdims": 0, "select_last_index": 1}}
      ])"},
      {"", "ArgMin", 1, "shape", false, {}, make_plain<ArgExtreme<false>>, R"([{"inputs": [[3,4,2]], "attributes": {"axis": 2}}])"},
  };
}

}  // namespace bitwright
