// Resize (and Upsample, its former name): nearest, linear and cubic. All are linear and separable: along each axis an output element is a
// weighted sum of a few input elements, and axes are resized one after the other.
#include <algorithm>
#include <cmath>

#include "ops/families.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

// Output element o of an axis is the sum over t of weights[o * taps + t] * input[sources[o * taps + t]].
struct AxisTaps {
  int axis;
  int64_t in, out;
  int taps;
  std::vector<int64_t> sources;
  std::vector<double> weights;
};

constexpr int kMostTaps = 4;

// How an axis is resampled, read from the attributes.
class Resampling {
 public:
  // `simple`: the forms below opset 11, which scale coordinates from 0 and round them down.
  Resampling(const Attributes& attributes, bool simple)
      : mode_(attributes.text("mode", "nearest")), coordinates_(attributes.text("coordinate_transformation_mode", simple ? "asymmetric" : "half_pixel")),
        nearest_(attributes.text("nearest_mode", simple ? "floor" : "round_prefer_floor")), cubic_(attributes.real("cubic_coeff_a", -0.75f)),
        inside_only_(attributes.integer("exclude_outside", 0) != 0) {
    const auto known = [](const std::string& value, std::initializer_list<const char*> values) {
      return std::any_of(values.begin(), values.end(), [&](const char* one) { return value == one; });
    };
    if (!known(mode_, {"nearest", "linear", "cubic"})) unsupported("mode '" + mode_ + "' is not supported");
    if (!known(coordinates_, {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn"}))
      unsupported("coordinate_transformation_mode '" + coordinates_ + "' is not supported");
    if (!known(nearest_, {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})) unsupported("nearest_mode '" + nearest_ + "' is not supported");
    if (attributes.integer("antialias", 0) != 0) unsupported("antialias is not supported");
    if (attributes.text("keep_aspect_ratio_policy", "stretch") != "stretch") unsupported("keep_aspect_ratio_policy is supported as 'stretch' only");
  }

  AxisTaps taps(int axis, int64_t in, int64_t out, float scale) const {
    AxisTaps taps{axis, in, out, mode_ == "nearest" ? 1 : mode_ == "linear" ? 2 : 4, {}, {}};
    for (int64_t o = 0; o < out; ++o) {
      const float x = coordinate(o, in, out, scale);
      if (mode_ == "nearest")
        add(taps, {{nearest(x), 1.0}});
      else if (mode_ == "linear")
        add_linear(taps, std::clamp(x, 0.0f, static_cast<float>(in - 1)));
      else
        add_cubic(taps, x);
    }
    return taps;
  }

 private:
  using Taps = std::vector<std::pair<int64_t, double>>;

  // Where an output element lies in the input; in float, as ties between neighbours depend on it.
  float coordinate(int64_t o, int64_t in, int64_t out, float scale) const {
    const float at = static_cast<float>(o);
    if (coordinates_ == "asymmetric") return at / scale;
    if (coordinates_ == "tf_half_pixel_for_nn") return (at + 0.5f) / scale;
    if (coordinates_ == "align_corners") return out == 1 ? 0 : at * static_cast<float>(in - 1) / static_cast<float>(out - 1);
    if (coordinates_ == "pytorch_half_pixel" && out == 1) return 0;
    const float centred = (at + 0.5f) / scale - 0.5f;
    if (coordinates_ != "half_pixel_symmetric") return centred;
    const float adjustment = static_cast<float>(out) / (scale * static_cast<float>(in));
    return static_cast<float>(in) / 2 * (1 - adjustment) + centred;
  }

  int64_t nearest(float x) const {
    if (nearest_ == "floor") return static_cast<int64_t>(std::floor(x));
    if (nearest_ == "ceil") return static_cast<int64_t>(std::ceil(x));
    const bool tie = x - std::floor(x) == 0.5f;
    if (tie) return static_cast<int64_t>(nearest_ == "round_prefer_ceil" ? std::ceil(x) : std::floor(x));
    return static_cast<int64_t>(std::round(x));
  }

  void add_linear(AxisTaps& taps, float x) const {
    const auto first = static_cast<int64_t>(std::floor(x));
    const double part = x - static_cast<float>(first);
    add(taps, {{first, 1 - part}, {first + 1, part}});
  }

  // Keys' cubic convolution.
  void add_cubic(AxisTaps& taps, float x) const {
    const auto first = static_cast<int64_t>(std::floor(x));
    const double t = x - static_cast<float>(first), a = cubic_;
    const auto near = [a](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
    const auto far = [a](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
    Taps all = {{first - 1, far(1 + t)}, {first, near(t)}, {first + 1, near(1 - t)}, {first + 2, far(2 - t)}};
    if (inside_only_) {
      double sum = 0;
      for (auto& [source, weight] : all) sum += source < 0 || source >= taps.in ? weight = 0 : weight;
      for (auto& tap : all) tap.second /= sum;
    }
    add(taps, all);
  }

  // Beyond its ends the input goes on as its last element.
  static void add(AxisTaps& taps, const Taps& all) {
    for (const auto& [source, weight] : all) {
      taps.sources.push_back(std::clamp<int64_t>(source, 0, taps.in - 1));
      taps.weights.push_back(weight);
    }
  }

  std::string mode_, coordinates_, nearest_;
  double cubic_;
  bool inside_only_;
};

template <class T>
class Resize : public Op {
 public:
  explicit Resize(const NodeInfo& info)
      : resampling_(info.node.attributes, info.opset < 11), axes_(info.node.attributes.integers("axes", {})),
        scales_(info.node.attributes.reals("scales", {})), scales_port_(info.opset < 11 ? 1 : 2) {}

  void forward(Context& context) override {
    const std::vector<AxisTaps> steps = this->steps(context);
    Tensor x = context.input(0);
    for (const AxisTaps& step : steps) x = along(context, step, x);
    context.place(0, x);
  }

  void tangent(Context& context) override {
    const Tensor* dx = context.tangent(0);
    if (!dx) return;
    Tensor moved = *dx;
    for (AxisTaps step : steps(context)) {
      ++step.axis;
      moved = along(context, step, moved);
    }
    context.out_tangent[0] = moved;
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g || !context.adjoint_wanted(0)) return;
    std::vector<AxisTaps> steps = this->steps(context);
    Tensor back = *g;
    for (; !steps.empty(); steps.pop_back()) {
      ++steps.back().axis;
      back = across(context, steps.back(), back);
    }
    context.add_adjoint(0, back);
  }

 private:
  // The axes whose size or elements change, in order.
  std::vector<AxisTaps> steps(const Context& context) const {
    const Tensor& x = context.input(0);
    std::vector<int> axes = normalize_axes(axes_, x.rank());
    if (axes_.empty())
      for (int i = 0; i < x.rank(); ++i) axes.push_back(i);
    const bool by_scale = !scales_.empty() || (context.has(scales_port_) && context.input(scales_port_).count() > 0);
    const std::vector<float> scales = by_scale ? scales_of(context) : std::vector<float>();
    const std::vector<int64_t> sizes = by_scale ? std::vector<int64_t>() : integer_list(context.input(3));
    if ((by_scale ? scales.size() : sizes.size()) != axes.size()) invalid_model("scales or sizes do not name every resized axis");
    std::vector<AxisTaps> steps;
    for (size_t i = 0; i < axes.size(); ++i) {
      const int64_t in = x.dim(axes[i]);
      if (by_scale && !(scales[i] > 0 && scales[i] < 1e6f)) invalid_model("a scale is out of range");
      const int64_t out = by_scale ? static_cast<int64_t>(std::floor(static_cast<float>(in) * scales[i])) : sizes[i];
      if (in < 1 || out < 1) invalid_model("an axis is resized from " + std::to_string(in) + " to " + std::to_string(out) + " elements");
      context.pool.expect(static_cast<uint64_t>(element_count({out})) * kMostTaps * (sizeof(int64_t) + sizeof(double)));
      const float scale = by_scale ? scales[i] : static_cast<float>(out) / static_cast<float>(in);
      if (out != in || scale != 1) steps.push_back(resampling_.taps(axes[i], in, out, scale));
    }
    return steps;
  }

  std::vector<float> scales_of(const Context& context) const {
    if (!scales_.empty()) return scales_;
    const Tensor& scales = context.input(scales_port_);
    const T* data = scales.data<T>();
    return std::vector<float>(data, data + scales.count());
  }

  // Calls body(first element of the source, first element of the result) for every line of `inner` elements outside of the axis.
  template <class Body>
  static Tensor resample(Context& context, const AxisTaps& step, const Tensor& from, int64_t size, int64_t new_size, const Body& body) {
    Shape shape = from.shape();
    const int64_t outer = element_count({shape.begin(), shape.begin() + step.axis}), inner = element_count({shape.begin() + step.axis + 1, shape.end()});
    shape[step.axis] = new_size;
    Tensor to = context.make<T>(shape);
    const T* source = from.data<T>();
    T* target = to.data<T>();
    context.linear.pool.parallel_for(outer, [&](int64_t i) { body(source + i * size * inner, target + i * new_size * inner, inner); });
    return to;
  }

  static Tensor along(Context& context, const AxisTaps& step, const Tensor& x) {
    return resample(context, step, x, step.in, step.out, [&](const T* from, T* to, int64_t inner) {
      for (int64_t k = 0; k < step.out * step.taps; ++k) {
        T* line = to + k / step.taps * inner;
        if (k % step.taps == 0) std::fill(line, line + inner, T(0));
        add_line(from + step.sources[k] * inner, step.weights[k], inner, line);
      }
    });
  }

  static Tensor across(Context& context, const AxisTaps& step, const Tensor& g) {
    return resample(context, step, g, step.out, step.in, [&](const T* from, T* to, int64_t inner) {
      std::fill(to, to + step.in * inner, T(0));
      for (int64_t k = 0; k < step.out * step.taps; ++k) add_line(from + k / step.taps * inner, step.weights[k], inner, to + step.sources[k] * inner);
    });
  }

  static void add_line(const T* from, double weight, int64_t count, T* to) {
    const T factor = static_cast<T>(weight);
    for (int64_t i = 0; i < count; ++i) to[i] += factor * from[i];
  }

  Resampling resampling_;
  std::vector<int64_t> axes_;
  std::vector<float> scales_;
  int scales_port_;
};

}  // namespace

std::vector<Row> resize_rows() {
  return {
      {"", "Resize", 10, "linear", true, {}, make_op<Resize>, R"([
        {"inputs": [[1,2,3,4], {"dims": [4], "values": [1,1,2,3], "constant": true}], "opset": 10},
        {"inputs": [[2,2,3,4], null, {"dims": [4], "values": [1,1,2,2], "constant": true}],
         "attributes": {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}},
        {"inputs": [[1,2,4,5], null, null, {"dims": [4], "dtype": "int64", "values": [1,2,7,3], "constant": true}]},
        {"inputs": [[1,2,4,5], null, {"dims": [4], "values": [1,1,1.7,0.6], "constant": true}], "attributes": {"mode": "linear"}},
        {"inputs": [[1,2,4,5], null, null, {"dims": [4], "dtype": "int64", "values": [1,2,7,8], "constant": true}],
         "attributes": {"mode": "linear", "coordinate_transformation_mode": "align_corners"}},
        {"inputs": [[1,2,4,5], null, null, {"dims": [4], "dtype": "int64", "values": [1,2,7,1], "constant": true}],
         "attributes": {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}},
        {"inputs": [[1,1,4,5], null, {"dims": [4], "values": [1,1,2,1.5], "constant": true}], "attributes": {"mode": "cubic"}},
        {"inputs": [[1,1,4,5], null, {"dims": [4], "values": [1,1,0.5,1.5], "constant": true}], "attributes": {"mode": "cubic", "exclude_outside": 1}},
        {"inputs": [[1,2,3,4], null, null, {"dims": [2], "dtype": "int64", "values": [6,9], "constant": true}],
         "attributes": {"axes": [2,3], "mode": "nearest", "nearest_mode": "ceil"}, "opset": 18}
      ])"},
      {"", "Upsample", 7, "linear", true, {}, make_op<Resize>, R"([
        {"inputs": [[1,2,3,4]], "attributes": {"scales": {"floats": [1,1,2,3]}}, "opset": 7},
        {"inputs": [[1,2,3,4], {"dims": [4], "values": [1,1,2,2], "constant": true}], "attributes": {"mode": "linear"}, "opset": 9}
      ])"},
  };
}

}  // namespace bitwright
