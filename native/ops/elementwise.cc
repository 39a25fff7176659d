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

struct Sin : Plain {
  using Plain::Plain;
  float operator()(float x) const { return static_cast<float>(elementary::sin(x)); }
  double operator()(double x) const { return elementary::sin(x); }
  template <class J>
  J operator()(const J& x) const { return x.chain(elementary::sin(x.v), elementary::cos(x.v), -elementary::sin(x.v)); }
};

struct Cos : Plain {
  using Plain::Plain;
  float operator()(float x) const { return static_cast<float>(elementary::cos(x)); }
  double operator()(double x) const { return elementary::cos(x); }
  template <class J>
  J operator()(const J& x) const { return x.chain(elementary::cos(x.v), -elementary::sin(x.v), -elementary::cos(x.v)); }
};

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
Row formula(const char* type, int since, const char* samples) {
  return {"", type, since, "elementwise", true, {}, make_elementwise<F>, samples};
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
      formula<Sin>("Sin", 7, R"([{"inputs": [{"dims": [3,5], "low": -4, "high": 4}]}])"),
      formula<Cos>("Cos", 7, R"([{"inputs": [{"dims": [3,5], "low": -4, "high": 4}]}])"),
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
  };
}

}  // namespace bitwright
