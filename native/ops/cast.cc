// Cast between element types. Every float type is the graph's own here, so that casts between floats are the identity; others carry no derivative.
#include <cmath>
#include <limits>

#include "ops/dtypes.h"
#include "ops/families.h"

namespace bitwright {

namespace {

// Codes of TensorProto.DataType for float types that the program widens.
constexpr int64_t kFloat16 = 10, kBfloat16 = 16;

// As C converts where that is defined; NaN gives 0, what is out of range the nearest end.
template <class To, class From>
To convert(From x) {
  if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(x)) return 0;
    if (x <= static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    if (x >= static_cast<From>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    return static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

class CastTo : public Op {
 public:
  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    const bw_dtype dtype = target(context);
    if (x.dtype() == dtype) return context.alias(0, 0, x.shape());
    Tensor& y = context.output(0, dtype, x.shape());
    visit_dtype(x.dtype(), [&](auto from_zero) {
      const auto* from = x.data<decltype(from_zero)>();
      visit_dtype(dtype, [&](auto to_zero) {
        using To = decltype(to_zero);
        To* to = y.data<To>();
        parallel_chunks(context.linear.pool, x.count(), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) to[i] = convert<To>(from[i]);
        });
      });
    });
  }

  void tangent(Context& context) override {
    if (const Tensor* dx = context.tangent(0)) context.out_tangent[0] = *dx;
  }

  void adjoint(Context& context) override {
    if (const Tensor* g = context.cotangent(0)) context.add_adjoint(0, *g);
  }

 protected:
  virtual bw_dtype target(const Context& context) const = 0;
};

class Cast : public CastTo {
 public:
  explicit Cast(const NodeInfo& info) {
    const int64_t to = info.node.attributes.integer("to", 0);
    const bool real = to == BW_FLOAT32 || to == BW_FLOAT64 || to == kFloat16 || to == kBfloat16;
    to_ = real ? info.real : static_cast<bw_dtype>(to);
    visit_dtype(to_, [](auto) {});
  }

 private:
  bw_dtype target(const Context&) const override { return to_; }

  bw_dtype to_;
};

// To the type of another tensor, whose values do not matter.
class CastLike : public CastTo {
 public:
  explicit CastLike(const NodeInfo&) {}

  void tangent(Context& context) override {
    context.tangent(1);
    CastTo::tangent(context);
  }
  void adjoint(Context& context) override {
    context.adjoint_wanted(1);
    CastTo::adjoint(context);
  }

 private:
  bw_dtype target(const Context& context) const override { return context.input(1).dtype(); }
};

}  // namespace

std::vector<Row> cast_rows() {
  return {{"", "Cast", 6, "linear", true, {}, make_plain<Cast>, R"([
    {"inputs": [[2,3]], "attributes": {"to": 1}},
    {"inputs": [{"dims": [4], "values": [-1.5,0,2.75,300]}], "attributes": {"to": 7}},
    {"inputs": [{"dims": [4], "values": [-1.5,0,2.75,0.1]}], "attributes": {"to": 9}},
    {"inputs": [{"dims": [3], "dtype": "int64", "values": [-3,0,9]}], "attributes": {"to": 1}},
    {"inputs": [{"dims": [3], "dtype": "int64", "values": [-3,0,9]}], "attributes": {"to": 6}},
    {"inputs": [{"dims": [3], "dtype": "bool", "values": [1,0,1]}], "attributes": {"to": 7}},
    {"inputs": [{"dims": [3], "dtype": "int32", "values": [1,0,-1]}], "attributes": {"to": 9}}
  ])"},
  {"", "CastLike", 15, "linear", true, {}, make_plain<CastLike>, R"([
    {"inputs": [[2,3], {"dims": [1], "values": [1], "constant": true}]}, {"inputs": [{"dims": [3], "dtype": "int64", "values": [-3,0,9]}, {"dims": [1], "values": [1], "constant": true}]}
  ])"}};
}

}  // namespace bitwright
