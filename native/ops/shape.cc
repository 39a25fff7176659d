// Operators on shapes and the constants that exporters make of them.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/families.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

// The result does not depend on the values of the inputs: no tangent moves it, and no cotangent comes back.
class ShapeOp : public Op {
 public:
  void tangent(Context&) override {}
  void adjoint(Context&) override {}
};

class ShapeOf : public ShapeOp {
 public:
  explicit ShapeOf(const NodeInfo& info)
      : start_(info.node.attributes.integer("start", 0)), end_(info.node.attributes.integer("end", std::numeric_limits<int64_t>::max())) {}

  void forward(Context& context) override {
    const Shape& shape = context.input(0).shape();
    const auto rank = static_cast<int64_t>(shape.size());
    const auto position = [rank](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
    const int64_t start = position(start_), end = std::max(start, position(end_));
    Tensor& y = context.output(0, BW_INT64, {end - start});
    std::copy(shape.begin() + start, shape.begin() + end, y.data<int64_t>());
  }

 private:
  int64_t start_, end_;
};

class Size : public ShapeOp {
 public:
  explicit Size(const NodeInfo&) {}
  void forward(Context& context) override { context.output(0, BW_INT64, {}).data<int64_t>()[0] = context.input(0).count(); }
};

class ConstantOfShape : public ShapeOp {
 public:
  explicit ConstantOfShape(const NodeInfo& info) : real_(info.real) {
    const Tensor* value = info.node.attributes.tensor("value");
    if (!value) return;
    if (value->count() != 1) invalid_model("attribute 'value' must have one element");
    value_ = *value;
  }

  void forward(Context& context) override {
    Tensor& y = context.output(0, value_ ? value_.dtype() : real_, integer_list(context.input(0)));
    if (!value_) {
      std::memset(y.raw(), 0, y.bytes());
      return;
    }
    visit_width(y.dtype(), [&](auto zero) {
      using E = decltype(zero);
      fill(context.linear, *static_cast<const E*>(value_.raw()), y.count(), static_cast<E*>(y.raw()));
    });
  }

 private:
  bw_dtype real_;
  Tensor value_;
};

// start, start + delta, ... before limit
class Range : public ShapeOp {
 public:
  explicit Range(const NodeInfo&) {}

  void forward(Context& context) override {
    const bw_dtype dtype = context.input(0).dtype();
    visit_number(dtype, [&](auto zero) {
      using S = decltype(zero);
      const S start = scalar<S>(context, 0), limit = scalar<S>(context, 1), delta = scalar<S>(context, 2);
      if (delta == 0) invalid_model("the delta of Range is 0");
      const double steps = std::ceil((static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(delta));
      if (!(steps < 1e12)) invalid_model("Range has too many elements");
      Tensor& y = context.output(0, dtype, {steps > 0 ? static_cast<int64_t>(steps) : 0});
      S* to = y.data<S>();
      for (int64_t i = 0; i < y.count(); ++i) to[i] = wrapping_add(start, wrapping_multiply(static_cast<S>(i), delta));
    });
  }

 private:
  template <class S>
  static S scalar(const Context& context, int i) {
    if (context.input(i).count() != 1) invalid_model("the inputs of Range must be scalars");
    return context.input(i).template data<S>()[0];
  }
};

class Constant : public ShapeOp {
 public:
  explicit Constant(const NodeInfo& info) : real_(info.real), attributes_(info.node.attributes) {
    if (!attributes_.has("value") && !attributes_.has("value_float") && !attributes_.has("value_floats") && !attributes_.has("value_int") &&
        !attributes_.has("value_ints"))
      unsupported("a Constant that is neither a tensor of numbers nor a list of them is not supported");
  }

  void forward(Context& context) override {
    const auto numbers = [&](const auto& values, bw_dtype dtype, const Shape& shape) {
      Tensor& y = context.output(0, dtype, shape);
      visit_number(dtype, [&](auto zero) {
        using S = decltype(zero);
        for (size_t i = 0; i < values.size(); ++i) y.data<S>()[i] = static_cast<S>(values[i]);
      });
    };
    if (const Tensor* value = attributes_.tensor("value")) {
      context.place(0, *value);
    } else if (attributes_.has("value_float")) {
      numbers(std::vector<float>{attributes_.real("value_float", 0)}, real_, {});
    } else if (attributes_.has("value_int")) {
      numbers(std::vector<int64_t>{attributes_.integer("value_int", 0)}, BW_INT64, {});
    } else if (attributes_.has("value_floats")) {
      const std::vector<float> values = attributes_.reals("value_floats", {});
      numbers(values, real_, {static_cast<int64_t>(values.size())});
    } else {
      const std::vector<int64_t> values = attributes_.integers("value_ints", {});
      numbers(values, BW_INT64, {static_cast<int64_t>(values.size())});
    }
  }

 private:
  bw_dtype real_;
  Attributes attributes_;
};

}  // namespace

std::vector<Row> shape_rows() {
  return {
      {"", "Shape", 1, "shape", true, {}, make_plain<ShapeOf>, R"([
        {"inputs": [[2,3,4]]},
        {"inputs": [[2,3,4]], "attributes": {"start": -2, "end": -1}},
        {"inputs": [[2,3,4]], "attributes": {"start": 1, "end": 9}}
      ])"},
      {"", "Size", 1, "shape", true, {}, make_plain<Size>, R"([{"inputs": [[2,3,4]]}])"},
      {"", "ConstantOfShape", 9, "shape", true, {}, make_plain<ConstantOfShape>, R"([
        {"inputs": [{"dims": [2], "dtype": "int64", "values": [2,3]}]},
        {"inputs": [{"dims": [1], "dtype": "int64", "values": [3]}], "attributes": {"value": {"tensor": {"dims": [1], "dtype": "int64", "values": [7]}}}}
      ])"},
      {"", "Range", 11, "shape", true, {}, make_plain<Range>, R"([
        {"inputs": [{"dims": [], "dtype": "int64", "values": [3]}, {"dims": [], "dtype": "int64", "values": [10]}, {"dims": [], "dtype": "int64", "values": [3]}]},
        {"inputs": [{"dims": [], "dtype": "int64", "values": [3]}, {"dims": [], "dtype": "int64", "values": [-1]}, {"dims": [], "dtype": "int64", "values": [-2]}]},
        {"inputs": [{"dims": [], "values": [0.5], "constant": true}, {"dims": [], "values": [2], "constant": true}, {"dims": [], "values": [0.25], "constant": true}]}
      ])"},
      {"", "Constant", 1, "shape", true, {}, make_plain<Constant>, R"([
        {"inputs": [], "attributes": {"value": {"tensor": {"dims": [2,2], "values": [1,2,3,4.5]}}}},
        {"inputs": [], "attributes": {"value_float": 1.5}},
        {"inputs": [], "attributes": {"value_floats": {"floats": [1.5,2]}}},
        {"inputs": [], "attributes": {"value_int": 3}},
        {"inputs": [], "attributes": {"value_ints": [3,4]}}
      ])"},
  };
}

}  // namespace bitwright
