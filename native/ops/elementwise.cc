// y = f(x) for each element. Formulas over any number type (kinds.h derives the derivatives), and the bounded ones, which are linear pieces.
#include <limits>

#include "ops/families.h"
#include "ops/kinds.h"

namespace bitwright {

namespace {

template <class F>
std::unique_ptr<Op> make_elementwise(const NodeInfo& info) {
  if (info.real == BW_FLOAT64) return std::make_unique<Elementwise<double, F>>(info);
  return std::make_unique<Elementwise<float, F>>(info);
}

// A function without attributes.
struct Plain {
  explicit Plain(const NodeInfo&) {}
};

struct Sigmoid : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const { return math::sigmoid(x); }
};

struct Tanh : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const { return math::tanh(x); }
};

struct Exp : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const { return math::exp(x); }
};

struct Log : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const { return math::log(x); }
};

struct Sqrt : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const { return math::sqrt(x); }
};

struct Erf : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const { return math::erf(x); }
};

struct Reciprocal : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const { return S(1) / x; }
};

// A function given by its value at v, and by its first two derivatives there, which may use the value f.
template <class F>
struct Smooth : Plain {
  using Plain::Plain;
  float operator()(float x) const { return static_cast<float>(F::value(x)); }
  double operator()(double x) const { return F::value(x); }
  template <class J>
  J operator()(const J& x) const {
    using T = decltype(x.v);
    const double v = x.v, f = F::value(v);
    return x.chain(static_cast<T>(f), static_cast<T>(F::slope(v, f)), static_cast<T>(F::bend(v, f)));
  }
};

struct Sin {
  static double value(double v) { return elementary::sin(v); }
  static double slope(double v, double) { return elementary::cos(v); }
  static double bend(double, double f) { return -f; }
};
struct Cos {
  static double value(double v) { return elementary::cos(v); }
  static double slope(double v, double) { return -elementary::sin(v); }
  static double bend(double, double f) { return -f; }
};
struct Tan {
  static double value(double v) { return elementary::tan(v); }
  static double slope(double, double f) { return 1 + f * f; }
  static double bend(double, double f) { return 2 * f * (1 + f * f); }
};
struct Asin {
  static double value(double v) { return elementary::asin(v); }
  static double slope(double v, double) { return 1 / std::sqrt(1 - v * v); }
  static double bend(double v, double f) { return v * slope(v, f) / (1 - v * v); }
};
struct Acos {
  static double value(double v) { return elementary::acos(v); }
  static double slope(double v, double f) { return -Asin::slope(v, f); }
  static double bend(double v, double f) { return -Asin::bend(v, f); }
};
struct Atan {
  static double value(double v) { return elementary::atan(v); }
  static double slope(double v, double) { return 1 / (1 + v * v); }
  static double bend(double v, double) { return -2 * v / ((1 + v * v) * (1 + v * v)); }
};
struct Sinh {
  static double value(double v) { return elementary::sinh(v); }
  static double slope(double v, double) { return elementary::cosh(v); }
  static double bend(double, double f) { return f; }
};
struct Cosh {
  static double value(double v) { return elementary::cosh(v); }
  static double slope(double v, double) { return elementary::sinh(v); }
  static double bend(double, double f) { return f; }
};
struct Asinh {
  static double value(double v) { return elementary::asinh(v); }
  static double slope(double v, double) { return 1 / std::sqrt(1 + v * v); }
  static double bend(double v, double f) { return -v * slope(v, f) / (1 + v * v); }
};
struct Acosh {
  static double value(double v) { return elementary::acosh(v); }
  static double slope(double v, double) { return 1 / std::sqrt(v * v - 1); }
  static double bend(double v, double f) { return -v * slope(v, f) / (v * v - 1); }
};
struct Atanh {
  static double value(double v) { return elementary::atanh(v); }
  static double slope(double v, double) { return 1 / (1 - v * v); }
  static double bend(double v, double f) { return 2 * v * slope(v, f) * slope(v, f); }
};

// Also of integers, which wrap.
struct Abs : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const {
    if constexpr (std::is_integral_v<S>) return x < 0 ? wrapping_subtract(S(0), x) : x;
    else return math::abs(x);
  }
};

struct Neg : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const {
    if constexpr (std::is_integral_v<S>) return wrapping_subtract(S(0), x);
    else return S(-1) * x;
  }
};

template <class T, class F>
class NumberFunction : public Elementwise<T, F> {
 public:
  using Elementwise<T, F>::Elementwise;

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    if (is_float(x.dtype())) return Elementwise<T, F>::forward(context);
    visit_number(x.dtype(), [&](auto zero) {
      using S = decltype(zero);
      const S* from = x.data<S>();
      std::transform(from, from + x.count(), context.output(0, x.dtype(), x.shape()).template data<S>(), this->f_);
    });
  }
};

template <class F>
Row number_function(const char* type, const char* samples) {
  const auto make = [](const NodeInfo& info) -> std::unique_ptr<Op> {
    if (info.real == BW_FLOAT64) return std::make_unique<NumberFunction<double, F>>(info);
    return std::make_unique<NumberFunction<float, F>>(info);
  };
  return {"", type, 1, "elementwise", true, {}, make, samples};
}

template <class S>
S softplus(const S& x) {
  return math::value(x) > 0 ? x + math::log(S(1) + math::exp(S(0) - x)) : math::log(S(1) + math::exp(x));
}

struct Softplus : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const { return softplus(x); }
};

struct Softsign : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const { return x / (S(1) + math::abs(x)); }
};

struct Mish : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const { return x * math::tanh(softplus(x)); }
};

// The derivative at a kink is the left one, as for Relu.
struct LeakyRelu {
  float alpha;
  explicit LeakyRelu(const NodeInfo& info) : alpha(info.node.attributes.real("alpha", 0.01f)) {}
  template <class S>
  S operator()(const S& x) const { return math::value(x) > 0 ? x : S(alpha) * x; }
};

struct Elu {
  float alpha;
  explicit Elu(const NodeInfo& info) : alpha(info.node.attributes.real("alpha", 1)) {}
  template <class S>
  S operator()(const S& x) const { return math::value(x) > 0 ? x : S(alpha) * (math::exp(x) - S(1)); }
};

struct Celu {
  float alpha;
  explicit Celu(const NodeInfo& info) : alpha(info.node.attributes.real("alpha", 1)) {}
  template <class S>
  S operator()(const S& x) const { return math::value(x) > 0 ? x : S(alpha) * (math::exp(x / S(alpha)) - S(1)); }
};

struct Selu {
  float alpha, gamma;
  explicit Selu(const NodeInfo& info)
      : alpha(info.node.attributes.real("alpha", 1.67326319217681884765625f)), gamma(info.node.attributes.real("gamma", 1.05070102214813232421875f)) {}
  template <class S>
  S operator()(const S& x) const { return S(gamma) * (math::value(x) > 0 ? x : S(alpha) * (math::exp(x) - S(1))); }
};

template <class S>
S hard_sigmoid(const S& x, const S& alpha, const S& beta) {
  const S line = alpha * x + beta;
  return math::value(line) <= 0 ? S(0) : math::value(line) >= 1 ? S(1) : line;
}

struct HardSigmoid {
  float alpha, beta;
  explicit HardSigmoid(const NodeInfo& info) : alpha(info.node.attributes.real("alpha", 0.2f)), beta(info.node.attributes.real("beta", 0.5f)) {}
  template <class S>
  S operator()(const S& x) const { return hard_sigmoid(x, S(alpha), S(beta)); }
};

struct HardSwish : Plain {
  using Plain::Plain;
  template <class S>
  S operator()(const S& x) const { return x * hard_sigmoid(x, S(1) / S(6), S(0.5)); }
};

// x sigmoid(alpha x). In ONNX it is called Swish, in onnxruntime's domain QuickGelu.
struct Swish {
  float alpha;
  explicit Swish(const NodeInfo& info) : alpha(info.node.attributes.real("alpha", info.node.domain.empty() ? 1.0f : 1.702f)) {}
  template <class S>
  S operator()(const S& x) const { return x * math::sigmoid(S(alpha) * x); }
};

// x beyond alpha, else 0; the derivative at the jump is that of its lower side.
struct ThresholdedRelu {
  float alpha;
  explicit ThresholdedRelu(const NodeInfo& info) : alpha(info.node.attributes.real("alpha", 1)) {}
  template <class S>
  S operator()(const S& x) const { return math::value(x) > alpha ? x : S(0); }
};

struct Shrink {
  float bias, lambda;
  explicit Shrink(const NodeInfo& info) : bias(info.node.attributes.real("bias", 0)), lambda(info.node.attributes.real("lambd", 0.5f)) {}
  template <class S>
  S operator()(const S& x) const { return math::value(x) < -lambda ? x + S(bias) : math::value(x) > lambda ? x - S(bias) : S(0); }
};

struct Gelu {
  bool tanh;
  explicit Gelu(const NodeInfo& info) {
    const std::string approximate = info.node.attributes.text("approximate", "none");
    if (approximate != "none" && approximate != "tanh") invalid_model("attribute 'approximate' must be 'none' or 'tanh', not '" + approximate + "'");
    tanh = approximate == "tanh";
  }
  template <class S>
  S operator()(const S& x) const {
    const S half = S(0.5) * x;
    if (tanh) return half * (S(1) + math::tanh(S(0.7978845608028654) * (x + S(0.044715) * x * x * x)));  // sqrt(2 / pi)
    return half * (S(1) + math::erf(S(0.7071067811865476) * x));                                        // 1 / sqrt(2)
  }
};

template <class F>
Row formula(const char* type, int since, const char* samples, const char* domain = "") {
  return {domain, type, since, "elementwise", true, {}, make_elementwise<F>, samples};
}

// y = min(max(x, low), high). On the bounds the derivative is 0.
template <class T>
class Bounded : public Op {
 public:
  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    if (is_float(x.dtype())) {
      const T* from = x.data<T>();
      const Interval at = bounds(context);
      Tensor& out = context.output_over(0, 0);
      clip(context.linear, from, at.low, at.high, out.count(), out.template data<T>());
    } else {
      integers(context);
    }
  }

  void tangent(Context& context) override {
    if (const Tensor* dx = context.tangent(0))
      mask(context, context.probes, dx->data<T>(), {context.make_tangent(0).template data<T>(), false});
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    if (const Sum<T> sum = context.template adjoint<T>(0)) mask(context, context.batch, g->data<T>(), sum);
  }

 protected:
  struct Interval {
    T low, high;
  };
  virtual Interval bounds(const Context& context) const = 0;
  virtual void integers(Context&) const { unsupported("is supported on floats only"); }

 private:
  void mask(Context& context, int sets, const T* v, Sum<T> y) const {
    const T* x = context.input(0).template data<T>();
    const Interval at = bounds(context);
    const int64_t count = context.input(0).count();
    parallel_chunks(context.linear.pool, count, [&](int64_t begin, int64_t end) {
      for (int s = 0; s < sets; ++s)
        clip_mask(context.linear, x + begin, at.low, at.high, v + s * count + begin, end - begin, y.accumulate, y.data + s * count + begin);
    });
  }
};

template <class T>
class Relu : public Bounded<T> {
 public:
  explicit Relu(const NodeInfo&) {}

 private:
  typename Bounded<T>::Interval bounds(const Context&) const override { return {T(0), std::numeric_limits<T>::infinity()}; }
};

// Bounds are attributes below opset 11 and optional inputs from there on.
template <class T>
class Clip : public Bounded<T> {
 public:
  explicit Clip(const NodeInfo& info) {
    if (info.opset >= 11) return;
    low_ = info.node.attributes.real("min", std::numeric_limits<float>::lowest());
    high_ = info.node.attributes.real("max", std::numeric_limits<float>::max());
  }

 private:
  typename Bounded<T>::Interval bounds(const Context& context) const override {
    return {bound(context, 1, low_), bound(context, 2, high_)};
  }

  template <class S>
  static S bound(const Context& context, int i, S missing) {
    if (!context.has(i)) return missing;
    if (context.input(i).count() != 1) invalid_model("the bounds of Clip must be scalars");
    return context.input(i).template data<S>()[0];
  }

  void integers(Context& context) const override {
    if (context.input(0).dtype() == BW_INT64)
      clip_integers<int64_t>(context);
    else
      clip_integers<int32_t>(context);
  }

  template <class S>
  static void clip_integers(Context& context) {
    const Tensor& x = context.input(0);
    const S low = bound(context, 1, std::numeric_limits<S>::min()), high = bound(context, 2, std::numeric_limits<S>::max());
    const S* from = x.data<S>();
    S* y = context.output(0, x.dtype(), x.shape()).template data<S>();
    for (int64_t i = 0; i < x.count(); ++i) y[i] = std::min(std::max(from[i], low), high);
  }

  T low_ = -std::numeric_limits<T>::infinity(), high_ = std::numeric_limits<T>::infinity();
};

}  // namespace

std::vector<Row> elementwise_rows() {
  return {
      {"", "Relu", 1, "elementwise", true, {}, make_op<Relu>, R"([{"inputs": [[3,7,11]]}])"},
      {"", "Clip", 6, "elementwise", true, {}, make_op<Clip>, R"([
        {"inputs": [[4,9]], "attributes": {"min": -0.5, "max": 0.25}, "opset": 6},
        {"inputs": [[4,9], {"dims": [], "values": [-0.5], "constant": true}, {"dims": [], "values": [0.5], "constant": true}]},
        {"inputs": [[4,9], null, {"dims": [], "values": [0.5], "constant": true}]},
        {"inputs": [{"dims": [5], "dtype": "int64", "values": [-3,0,2,7,9]}, {"dims": [], "dtype": "int64", "values": [1], "constant": true},
                    {"dims": [], "dtype": "int64", "values": [7], "constant": true}]}
      ])"},
      formula<Sigmoid>("Sigmoid", 1, R"([{"inputs": [{"dims": [3,5], "low": -6, "high": 6}]}])"),
      formula<Tanh>("Tanh", 1, R"([{"inputs": [{"dims": [3,5], "low": -3, "high": 3}]}])"),
      formula<Exp>("Exp", 1, R"([{"inputs": [{"dims": [3,5], "low": -3, "high": 2}]}])"),
      formula<Log>("Log", 1, R"([{"inputs": [{"dims": [3,5], "low": 0.2, "high": 4}]}])"),
      formula<Sqrt>("Sqrt", 1, R"([{"inputs": [{"dims": [3,5], "low": 0.2, "high": 4}]}])"),
      formula<Erf>("Erf", 9, R"([{"inputs": [{"dims": [3,5], "low": -2, "high": 2}]}])"),
      formula<Reciprocal>("Reciprocal", 1, R"([{"inputs": [{"dims": [3,5], "low": 0.5, "high": 3}]}])"),
      formula<Smooth<Sin>>("Sin", 7, R"([{"inputs": [{"dims": [3,5], "low": -4, "high": 4}]}])"),
      formula<Smooth<Cos>>("Cos", 7, R"([{"inputs": [{"dims": [3,5], "low": -4, "high": 4}]}])"),
      formula<Smooth<Tan>>("Tan", 7, R"([{"inputs": [{"dims": [3,5], "low": -1.2, "high": 1.2}]}, {"inputs": [{"dims": [3], "values": [1.8,-2.5,4]}]}])"),
      formula<Smooth<Asin>>("Asin", 7, R"([{"inputs": [{"dims": [3,5], "low": -0.9, "high": 0.9}]}])"),
      formula<Smooth<Acos>>("Acos", 7, R"([{"inputs": [{"dims": [3,5], "low": -0.9, "high": 0.9}]}])"),
      formula<Smooth<Atan>>("Atan", 7, R"([{"inputs": [{"dims": [3,5], "low": -4, "high": 4}]}])"),
      formula<Smooth<Sinh>>("Sinh", 9, R"([{"inputs": [{"dims": [3,5], "low": -2, "high": 2}]}])"),
      formula<Smooth<Cosh>>("Cosh", 9, R"([{"inputs": [{"dims": [3,5], "low": -2, "high": 2}]}])"),
      formula<Smooth<Asinh>>("Asinh", 9, R"([{"inputs": [{"dims": [3,5], "low": -4, "high": 4}]}])"),
      formula<Smooth<Acosh>>("Acosh", 9, R"([{"inputs": [{"dims": [3,5], "low": 1.2, "high": 4}]}])"),
      formula<Smooth<Atanh>>("Atanh", 9, R"([{"inputs": [{"dims": [3,5], "low": -0.9, "high": 0.9}]}])"),
      number_function<Abs>("Abs", R"([{"inputs": [[3,5]]}, {"inputs": [{"dims": [3], "dtype": "int64", "values": [-3,0,2]}]}])"),
      number_function<Neg>("Neg", R"([{"inputs": [[3,5]]}, {"inputs": [{"dims": [3], "dtype": "int32", "values": [-3,0,2]}]}])"),
      formula<Softplus>("Softplus", 1, R"([{"inputs": [{"dims": [3,5], "low": -5, "high": 5}]}])"),
      formula<Softsign>("Softsign", 1, R"([{"inputs": [{"dims": [3,5], "low": -5, "high": 5}]}])"),
      formula<Mish>("Mish", 18, R"([{"inputs": [{"dims": [3,5], "low": -5, "high": 5}]}])"),
      formula<LeakyRelu>("LeakyRelu", 1, R"([{"inputs": [[3,5]]}, {"inputs": [[3,5]], "attributes": {"alpha": 0.3}}])"),
      formula<Elu>("Elu", 1, R"([{"inputs": [[3,5]], "attributes": {"alpha": 1.5}}])"),
      formula<Celu>("Celu", 12, R"([{"inputs": [[3,5]], "attributes": {"alpha": 0.75}}])"),
      formula<Selu>("Selu", 1, R"([{"inputs": [[3,5]]}])"),
      formula<HardSigmoid>("HardSigmoid", 1, R"([{"inputs": [{"dims": [3,7], "low": -4, "high": 4}]},
        {"inputs": [{"dims": [3,7], "low": -4, "high": 4}], "attributes": {"alpha": 0.3, "beta": 0.4}}])"),
      formula<HardSwish>("HardSwish", 14, R"([{"inputs": [{"dims": [3,7], "low": -5, "high": 5}]}])"),
      formula<Gelu>("Gelu", 20, R"([{"inputs": [{"dims": [3,7], "low": -3, "high": 3}]},
        {"inputs": [{"dims": [3,7], "low": -3, "high": 3}], "attributes": {"approximate": "tanh"}}])"),
      formula<Gelu>("Gelu", 1, R"([{"inputs": [{"dims": [3,7], "low": -3, "high": 3}]}])", "com.microsoft"),
      formula<Swish>("Swish", 24, R"([{"inputs": [{"dims": [3,7], "low": -3, "high": 3}]}, {"inputs": [[5]], "attributes": {"alpha": 2.5}}])"),
      formula<Swish>("QuickGelu", 1, R"([{"inputs": [{"dims": [3,7], "low": -3, "high": 3}]}, {"inputs": [[5]], "attributes": {"alpha": {"float": 1}}}])", "com.microsoft"),
      formula<ThresholdedRelu>("ThresholdedRelu", 10, R"([{"inputs": [[3,7]], "attributes": {"alpha": 0.3}}])"),
      formula<Shrink>("Shrink", 9, R"([{"inputs": [[3,7]], "attributes": {"lambd": 0.4, "bias": 0.3}}])"),
  };
}

}  // namespace bitwright
