// Arithmetic on two tensors, with broadcasting.
#include "ops/families.h"
#include "ops/kinds.h"

namespace bitwright {

namespace {

template <class F>
std::unique_ptr<Op> make_pairwise(const NodeInfo& info) {
  if (info.real == BW_FLOAT64) return std::make_unique<Pairwise<double, F>>(info);
  return std::make_unique<Pairwise<float, F>>(info);
}

// y = a + sign * b
template <class T, int sign>
class Additive : public Op {
 public:
  explicit Additive(const NodeInfo&) {}

  void forward(Context& context) override {
    const Tensor &a = context.input(0), &b = context.input(1);
    if (is_float(a.dtype())) {
      const T *as = a.data<T>(), *bs = b.data<T>();
      if (sign == 1 && a.shape() == b.shape()) {
        Tensor& out = context.output_over(0, context.in_reusable[0] ? 0 : 1);
        add(context.linear, as, bs, out.count(), out.template data<T>());
      } else {
        combine(context, as, bs);
      }
      return;
    }
    visit_number(a.dtype(), [&](auto zero) { combine(context, a.data<decltype(zero)>(), b.data<decltype(zero)>()); });
  }

  void tangent(Context& context) override {
    const Tensor *da = context.tangent(0), *db = context.tangent(1);
    if (!da && !db) return;
    const Broadcast broadcast = broadcast_of(context);
    if (da && !db && context.input(0).shape() == broadcast.shape()) {
      context.out_tangent[0] = *da;
      return;
    }
    if (db && !da && context.input(1).shape() == broadcast.shape() && sign == 1) {
      context.out_tangent[0] = *db;
      return;
    }
    Tensor& out = context.make_tangent(0);
    if (da && db && da->shape() == out.shape() && db->shape() == out.shape() && sign == 1) {
      add(context.linear, da->data<T>(), db->data<T>(), out.count(), out.template data<T>());
      return;
    }
    for (int p = 0; p < context.probes; ++p) {
      T* y = out.template data<T>() + p * broadcast.count();
      if (da) spread(context.linear, broadcast, 0, da->data<T>() + p * context.input(0).count(), T(1), y, false);
      if (db) spread(context.linear, broadcast, 1, db->data<T>() + p * context.input(1).count(), T(sign), y, da != nullptr);
    }
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    pass_back(context, 0, *g);
    if (sign == 1) return pass_back(context, 1, *g);
    if (!context.adjoint_wanted(1)) return;
    Tensor negative = context.template make<T>(g->shape());
    const T* from = g->data<T>();
    T* to = negative.template data<T>();
    parallel_chunks(context.linear.pool, g->count(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = -from[i];
    });
    pass_back(context, 1, negative);
  }

 private:
  static Broadcast broadcast_of(const Context& context) { return {context.input(0).shape(), context.input(1).shape()}; }

  static void pass_back(Context& context, int side, const Tensor& g) {
    if (!context.adjoint_wanted(side)) return;
    const Broadcast broadcast = broadcast_of(context);
    if (context.input(side).count() == broadcast.count() && !context.parameter(side))
      context.add_adjoint(side, g);
    else
      reduce_adjoint(context, side, side, broadcast, g.data<T>());
  }

  template <class S>
  static void combine(Context& context, const S* a, const S* b) {
    const Broadcast broadcast = broadcast_of(context);
    S* y = context.output(0, DTypeOf<S>::value, broadcast.shape()).template data<S>();
    const auto value = [](S x, S z) { return sign == 1 ? wrapping_add(x, z) : wrapping_subtract(x, z); };
    broadcast.each_pair(context.linear.pool, a, b, [&](int64_t o, S x, S z) { y[o] = value(x, z); });
  }
};

template <class T>
using Add = Additive<T, 1>;
template <class T>
using Sub = Additive<T, -1>;

template <class T>
class Mul : public Op {
 public:
  explicit Mul(const NodeInfo&) {}

  void forward(Context& context) override {
    const Tensor &a = context.input(0), &b = context.input(1);
    const Broadcast broadcast = broadcast_of(context);
    if (is_float(a.dtype())) {
      const T *as = a.data<T>(), *bs = b.data<T>();
      product(context, broadcast, as, bs, context.output(0, DTypeOf<T>::value, broadcast.shape()).template data<T>(), false);
      return;
    }
    visit_number(a.dtype(), [&](auto zero) {
      using S = decltype(zero);
      const S *as = a.data<S>(), *bs = b.data<S>();
      S* y = context.output(0, DTypeOf<S>::value, broadcast.shape()).template data<S>();
      broadcast.each_pair(context.linear.pool, as, bs, [&](int64_t o, S x, S z) { y[o] = wrapping_multiply(x, z); });
    });
  }

  void tangent(Context& context) override {
    const Tensor *da = context.tangent(0), *db = context.tangent(1);
    if (!da && !db) return;
    const T *a = context.input(0).template data<T>(), *b = context.input(1).template data<T>();
    const Broadcast broadcast = broadcast_of(context);
    T* y = context.make_tangent(0).template data<T>();
    for (int p = 0; p < context.probes; ++p, y += broadcast.count()) {
      if (da) product(context, broadcast, da->data<T>() + p * context.input(0).count(), b, y, false);
      if (db) product(context, broadcast, a, db->data<T>() + p * context.input(1).count(), y, da != nullptr);
    }
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    for (int side = 0; side < 2; ++side) pass_back(context, side, g->data<T>(), true, context.input(1 - side).template data<T>(), false, 0, context.batch);
  }

  void curvature(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    for (int side = 0; side < 2; ++side)
      if (const Tensor* d = context.tangent(1 - side)) pass_back(context, side, g->data<T>(), false, d->data<T>(), true, context.first, context.probes);
  }

 private:
  static Broadcast broadcast_of(const Context& context) { return {context.input(0).shape(), context.input(1).shape()}; }

  // y = or += a * b
  static void product(Context& context, const Broadcast& broadcast, const T* a, const T* b, T* y, bool accumulate) {
    if (broadcast.elementwise() && accumulate)
      multiply_add(context.linear, a, b, broadcast.count(), y);
    else if (broadcast.elementwise())
      multiply(context.linear, a, b, broadcast.count(), y);
    else if (accumulate)
      broadcast.each_pair(context.linear.pool, a, b, [&](int64_t o, T x, T z) { y[o] += x * z; });
    else
      broadcast.each_pair(context.linear.pool, a, b, [&](int64_t o, T x, T z) { y[o] = x * z; });
  }

  // Adds g * other to cotangents [first, first + sets) of an argument; g or other has as many sets, or is shared by them.
  static void pass_back(Context& context, int side, const T* g, bool g_sets, const T* other, bool other_sets, int first, int sets) {
    if (!context.adjoint_wanted(side)) return;
    const Broadcast broadcast = broadcast_of(context);
    const Broadcast with_other(broadcast.shape(), context.input(1 - side).shape());
    const int64_t n = broadcast.count(), n_other = context.input(1 - side).count();
    const bool direct = context.input(side).count() == n && !context.parameter(side);
    Tensor full;
    Sum<T> sum;
    if (direct) {
      sum = context.template adjoint<T>(side);
      sum.data += first * n;
    } else {
      full = context.template make<T>({sets, n});
      sum.data = full.template data<T>();
    }
    for (int s = 0; s < sets; ++s)
      product(context, with_other, g + (g_sets ? s * n : 0), other + (other_sets ? s * n_other : 0), sum.data + s * n, sum.accumulate);
    if (!direct) reduce_adjoint(context, side, side, broadcast, sum.data, first, sets);
  }
};

struct Quotient {
  explicit Quotient(const NodeInfo&) {}
  template <class S>
  S operator()(const S& a, const S& b) const {
    if constexpr (std::is_integral_v<S>) {
      if (b == 0) invalid_model("an integer is divided by zero");
      // The most negative number has no opposite: its quotient wraps.
      if (std::is_signed_v<S> && b == static_cast<S>(-1)) return wrapping_subtract(S(0), a);
    }
    return a / b;
  }
};

// Linear where the divisor does not vary, as nearly everywhere: then without jets.
template <class T>
class Div : public Pairwise<T, Quotient> {
 public:
  using Pairwise<T, Quotient>::Pairwise;

  void tangent(Context& context) override {
    if (context.tangent(1)) return Pairwise<T, Quotient>::tangent(context);
    const Tensor* da = context.tangent(0);
    if (!da) return;
    const Broadcast broadcast(context.input(0).shape(), context.input(1).shape());
    divide(context, broadcast, context.probes, da->data<T>(), context.input(0).count(), context.make_tangent(0).template data<T>());
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g || context.adjoint_wanted(1)) return Pairwise<T, Quotient>::adjoint(context);
    if (!context.adjoint_wanted(0)) return;
    const Shape& shape = context.out[0].shape();
    Tensor quotient = context.template make<T>(g->shape());
    divide(context, Broadcast(shape, context.input(1).shape()), context.batch, g->data<T>(), context.out[0].count(), quotient.template data<T>());
    if (context.input(0).count() == context.out[0].count() && !context.parameter(0))
      context.add_adjoint(0, quotient);
    else
      reduce_adjoint<T>(context, 0, 0, Broadcast(context.input(0).shape(), context.input(1).shape()), quotient.template data<T>());
  }

  void curvature(Context& context) override {
    if (context.tangent(1) || context.adjoint_wanted(1)) Pairwise<T, Quotient>::curvature(context);
  }

 private:
  // y[s] = x[s] / divisor
  static void divide(Context& context, const Broadcast& broadcast, int sets, const T* x, int64_t x_count, T* y) {
    const T* divisor = context.input(1).template data<T>();
    for (int s = 0; s < sets; ++s, y += broadcast.count())
      broadcast.each_pair(context.linear.pool, x + s * x_count, divisor, [y](int64_t o, T a, T b) { y[o] = a / b; });
  }
};

// x where x > 0, else slope * x
struct Prelu {
  explicit Prelu(const NodeInfo&) {}
  template <class S>
  S operator()(const S& x, const S& slope) const {
    if constexpr (std::is_integral_v<S>) return x > 0 ? x : wrapping_multiply(slope, x);
    else return math::value(x) > 0 ? x : slope * x;
  }
};

struct Power {
  explicit Power(const NodeInfo&) {}
  template <class S>
  S operator()(const S& x, const S& y) const {
    if constexpr (std::is_integral_v<S>) {
      const double power = elementary::pow(static_cast<double>(x), static_cast<double>(y));
      const double low = static_cast<double>(std::numeric_limits<S>::min()), high = static_cast<double>(std::numeric_limits<S>::max());
      return power >= low && power < high ? static_cast<S>(power) : std::numeric_limits<S>::max();
    } else {
      return math::pow(x, y);
    }
  }
};

// x^p with one p for all elements, a constant.
struct FixedPower {
  double exponent = 1;
  explicit FixedPower(const NodeInfo&) {}
  template <class S>
  S operator()(const S& x) const {
    if (exponent == 2) return x * x;
    if (exponent == 3) return x * x * x;
    if (exponent == 0.5) return math::sqrt(x);
    return math::pow(x, exponent);
  }
};

template <class T>
class PowerOfFixed : public Elementwise<T, FixedPower> {
 public:
  using Elementwise<T, FixedPower>::Elementwise;
  void set_exponent(double exponent) { this->f_.exponent = exponent; }
};

// The exponent may have a type of its own.
template <class T>
class Pow : public Op {
 public:
  explicit Pow(const NodeInfo& info) : general_(info), fixed_(info) {}
  void forward(Context& context) override { prepare(context).forward(context); }
  void tangent(Context& context) override { prepare(context).tangent(context); }
  void adjoint(Context& context) override { prepare(context).adjoint(context); }
  void curvature(Context& context) override { prepare(context).curvature(context); }

 private:
  Op& prepare(Context& context) {
    const Tensor &x = context.input(0), y = context.input(1);
    if (y.dtype() != x.dtype()) context.in[1] = converted(context, y, x.dtype());
    const bool exponent_varies = context.tangent(1) || context.adjoint_wanted(1);
    if (!is_float(x.dtype()) || y.count() != 1 || y.rank() > x.rank() || exponent_varies) return general_;
    fixed_.set_exponent(context.input(1).template data<T>()[0]);
    return fixed_;
  }

  static Tensor converted(Context& context, const Tensor& from, bw_dtype dtype) {
    Tensor to(context.pool, dtype, from.shape());
    visit_number(dtype, [&](auto zero) {
      using S = decltype(zero);
      visit_number(from.dtype(), [&](auto other) {
        const auto* source = from.data<decltype(other)>();
        std::transform(source, source + from.count(), to.data<S>(), [](auto value) { return static_cast<S>(value); });
      });
    });
    return to;
  }

  Pairwise<T, Power> general_;
  PowerOfFixed<T> fixed_;
};

// The remainder has the divisor's sign or, with fmod, the dividend's.
class Mod : public Op {
 public:
  explicit Mod(const NodeInfo& info) : fmod_(info.node.attributes.integer("fmod", 0) != 0) {}

  void forward(Context& context) override {
    const Tensor &a = context.input(0), &b = context.input(1);
    const Broadcast broadcast(a.shape(), b.shape());
    visit_number(a.dtype(), [&](auto zero) {
      using S = decltype(zero);
      const S *as = a.data<S>(), *bs = b.data<S>();
      S* y = context.output(0, a.dtype(), broadcast.shape()).template data<S>();
      broadcast.each(context.linear.pool, [&](int64_t o, int64_t ia, int64_t ib) { y[o] = remainder(as[ia], bs[ib]); });
    });
  }

 private:
  template <class S>
  S remainder(S a, S b) const {
    if constexpr (std::is_integral_v<S>) {
      if (b == 0) invalid_model("an integer is divided by zero");
      if (std::is_signed_v<S> && b == static_cast<S>(-1)) return 0;
      const S rest = a % b;
      return !fmod_ && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
    } else {
      if (!fmod_) invalid_model("Mod of floats needs fmod = 1");
      return std::fmod(a, b);
    }
  }

  bool fmod_;
};

}  // namespace

std::vector<Row> arithmetic_rows() {
  return {
      {"", "Add", 7, "linear", true, {}, make_op<Add>, R"([
        {"inputs": [[2,3,4],[2,3,4]]},
        {"inputs": [[2,3,4,5],[3,1,1]]},
        {"inputs": [[4,5],[2,3,1,5]]},
        {"inputs": [[2,1,3],[4,1]]},
        {"inputs": [{"dims": [3], "dtype": "int64", "values": [1,-2,3]}, {"dims": [], "dtype": "int64", "values": [7]}]},
        {"inputs": [{"dims": [2,1], "dtype": "int32", "values": [5,6]}, {"dims": [2], "dtype": "int32", "values": [7,8]}]}
      ])"},
      {"", "Sub", 7, "linear", true, {}, make_op<Sub>, R"([
        {"inputs": [[2,3,4],[2,3,4]]},
        {"inputs": [[2,3,4],[3,1]]},
        {"inputs": [[],[2,3]]},
        {"inputs": [{"dims": [3], "dtype": "int64", "values": [1,-2,3]}, {"dims": [], "dtype": "int64", "values": [7]}]}
      ])"},
      {"", "Mul", 7, "product", true, {}, make_op<Mul>, R"([
        {"inputs": [[2,3,4],[2,3,4]]},
        {"inputs": [[2,3,4,5],[2,3,1,1]]},
        {"inputs": [[3,1],[2,3,5]]},
        {"inputs": [{"dims": [3], "dtype": "int64", "values": [1,-2,3]}, {"dims": [1], "dtype": "int64", "values": [7]}]}
      ])"},
      {"", "Div", 7, "elementwise", true, {}, make_op<Div>, R"([
        {"inputs": [[2,3,4],{"dims": [2,3,4], "low": 0.5, "high": 2}]},
        {"inputs": [[2,3,4],{"dims": [3,1], "low": -2, "high": -0.5}]},
        {"inputs": [[],{"dims": [2,3], "low": 0.5, "high": 2}]},
        {"inputs": [{"dims": [4], "dtype": "int64", "values": [7,-7,9,0]}, {"dims": [4], "dtype": "int64", "values": [2,2,-4,5]}]}
      ])"},
      {"", "Pow", 7, "elementwise", true, {}, make_op<Pow>, R"([
        {"inputs": [{"dims": [2,5], "low": 0.3, "high": 2},{"dims": [2,5], "low": -2, "high": 3}]},
        {"inputs": [[2,5],{"dims": [], "values": [2], "constant": true}]},
        {"inputs": [[2,5],{"dims": [1], "values": [3], "constant": true}]},
        {"inputs": [{"dims": [2,5], "low": 0.3, "high": 2},{"dims": [], "values": [0.5], "constant": true}]},
        {"inputs": [[2,5],{"dims": [5], "dtype": "int64", "values": [0,1,2,3,4], "constant": true}]},
        {"inputs": [{"dims": [3], "dtype": "int64", "values": [2,-3,5]},{"dims": [3], "dtype": "int64", "values": [10,3,0]}]}
      ])"},
      {"", "PRelu", 7, "elementwise", true, {}, make_pairwise<Prelu>, R"([{"inputs": [[2,3,4],[3,1]]}, {"inputs": [[2,5],[2,5]]}])"},
      {"", "Mod", 10, "shape", false, {}, make_plain<Mod>, R"([
        {"inputs": [{"dims": [4], "dtype": "int64", "values": [7,-7,9,-9]}, {"dims": [4], "dtype": "int64", "values": [3,3,-4,-4]}]},
        {"inputs": [{"dims": [4], "dtype": "int64", "values": [7,-7,9,-9]}, {"dims": [], "dtype": "int64", "values": [4]}], "attributes": {"fmod": 1}},
        {"inputs": [[2,5],{"dims": [5], "low": 0.3, "high": 0.5}], "attributes": {"fmod": 1}}
      ])"},
  };
}

}  // namespace bitwright
