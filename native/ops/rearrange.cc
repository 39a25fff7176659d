// Operators that move elements within one tensor: Transpose, Expand, Tile, Slice, Pad, DepthToSpace, SpaceToDepth.
#include <algorithm>
#include <limits>

#include "ops/families.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

using Axis = IndexMap::Axis;

class Transpose : public Rearrangement {
 public:
  explicit Transpose(const NodeInfo& info) : perm_(info.node.attributes.integers("perm", {})), given_(info.node.attributes.has("perm")) {}

 private:
  Plan plan(const Context& context) const override {
    const Shape& shape = context.input(0).shape();
    const int rank = context.input(0).rank();
    std::vector<int> perm = normalize_axes(perm_, rank);
    if (!given_)
      for (int i = rank; i-- > 0;) perm.push_back(i);
    if (static_cast<int>(perm.size()) != rank) invalid_model("perm has " + std::to_string(perm.size()) + " axes, the input " + std::to_string(rank));
    const std::vector<int64_t> from = IndexMap::strides(shape);
    Shape out;
    for (int axis : perm) out.push_back(shape[axis]);
    const std::vector<int64_t> to = IndexMap::strides(out);
    std::vector<Axis> axes;
    for (int i = 0; i < rank; ++i) axes.push_back({out[i], from[perm[i]], to[i], {}});
    return {out, IndexMap(std::move(axes))};
  }

  std::vector<int64_t> perm_;
  bool given_;
};

class Expand : public Rearrangement {
 public:
  explicit Expand(const NodeInfo&) {}

 private:
  Plan plan(const Context& context) const override {
    const Shape& shape = context.input(0).shape();
    Shape out = integer_list(context.input(1));
    element_count(out);
    if (out.size() < shape.size()) out.insert(out.begin(), shape.size() - out.size(), 1);
    const size_t added = out.size() - shape.size();
    for (size_t i = 0; i < shape.size(); ++i) {
      int64_t& dim = out[added + i];
      if (dim != shape[i] && dim != 1 && shape[i] != 1) invalid_model("shape " + to_string(shape) + " does not expand to " + to_string(out));
      if (dim == 1) dim = shape[i];
    }
    element_count(out);
    const std::vector<int64_t> from = IndexMap::strides(shape), to = IndexMap::strides(out);
    std::vector<Axis> axes;
    for (size_t i = 0; i < out.size(); ++i) axes.push_back({out[i], i < added || shape[i - added] == 1 ? 0 : from[i - added], to[i], {}});
    return {out, IndexMap(std::move(axes))};
  }
};

class Tile : public Rearrangement {
 public:
  explicit Tile(const NodeInfo&) {}

 private:
  Plan plan(const Context& context) const override {
    const Shape& shape = context.input(0).shape();
    const std::vector<int64_t> repeats = integer_list(context.input(1));
    if (repeats.size() != shape.size()) invalid_model("repeats has " + std::to_string(repeats.size()) + " elements, the input's rank is " + std::to_string(shape.size()));
    Shape out;
    for (size_t i = 0; i < shape.size(); ++i) out.push_back(element_count({shape[i], repeats[i]}));
    element_count(out);
    const std::vector<int64_t> from = IndexMap::strides(shape), to = IndexMap::strides(out);
    std::vector<Axis> axes;
    for (size_t i = 0; i < shape.size(); ++i) {
      axes.push_back({repeats[i], 0, shape[i] * to[i], {}});
      axes.push_back({shape[i], from[i], to[i], {}});
    }
    return {out, IndexMap(std::move(axes))};
  }
};

// starts, ends, axes and steps are attributes below opset 10 (without steps), inputs from there on.
class Slice : public Rearrangement {
 public:
  explicit Slice(const NodeInfo& info) : inputs_(info.opset >= 10) {
    if (inputs_) return;
    const Attributes& attributes = info.node.attributes;
    starts_ = attributes.integers("starts", {});
    ends_ = attributes.integers("ends", {});
    axes_ = attributes.integers("axes", {});
  }

 private:
  Plan plan(const Context& context) const override {
    const Shape& shape = context.input(0).shape();
    const auto list = [&](int i, const std::vector<int64_t>& attribute) {
      return !inputs_ ? attribute : context.has(i) ? integer_list(context.input(i)) : std::vector<int64_t>();
    };
    const std::vector<int64_t> starts = list(1, starts_), ends = list(2, ends_);
    std::vector<int64_t> axis_list = list(3, axes_), steps = list(4, {});
    if (axis_list.empty())
      for (size_t i = 0; i < starts.size(); ++i) axis_list.push_back(static_cast<int64_t>(i));
    if (steps.empty()) steps.assign(starts.size(), 1);
    if (ends.size() != starts.size() || axis_list.size() != starts.size() || steps.size() != starts.size())
      invalid_model("starts, ends, axes and steps differ in length");
    const std::vector<int> sliced = normalize_axes(axis_list, context.input(0).rank());

    const std::vector<int64_t> from = IndexMap::strides(shape);
    std::vector<Axis> axes;
    for (size_t i = 0; i < shape.size(); ++i) axes.push_back({shape[i], from[i], 0, {}});
    int64_t offset = 0;
    for (size_t i = 0; i < sliced.size(); ++i) {
      const int64_t size = shape[sliced[i]];
      if (steps[i] == 0) invalid_model("a step of Slice is 0");
      const int64_t step = std::clamp(steps[i], -size - 1, size + 1);
      const auto position = [&](int64_t at, int64_t low, int64_t high) { return std::clamp(at < 0 ? at + size : at, low, std::max(low, high)); };
      const int64_t start = step > 0 ? position(starts[i], 0, size) : position(starts[i], 0, size - 1);
      const int64_t end = step > 0 ? position(ends[i], 0, size) : position(ends[i], -1, size - 1);
      const int64_t span = size == 0 ? 0 : step > 0 ? end - start : start - end;
      axes[sliced[i]].size = span <= 0 ? 0 : (span - 1) / std::abs(step) + 1;
      axes[sliced[i]].from = from[sliced[i]] * step;
      offset += from[sliced[i]] * start;
    }
    Shape out;
    for (const Axis& axis : axes) out.push_back(axis.size);
    const std::vector<int64_t> to = IndexMap::strides(out);
    for (size_t i = 0; i < axes.size(); ++i) axes[i].to = to[i];
    return {out, IndexMap(std::move(axes), offset)};
  }

  bool inputs_;
  std::vector<int64_t> starts_, ends_, axes_;
};

// pads and the value are attributes below opset 11, inputs from there on. Negative pads remove elements.
class Pad : public Rearrangement {
 public:
  explicit Pad(const NodeInfo& info) : inputs_(info.opset >= 11), mode_(info.node.attributes.text("mode", "constant")) {
    if (mode_ != "constant" && mode_ != "reflect" && mode_ != "edge" && mode_ != "wrap") invalid_model("mode '" + mode_ + "' of Pad is unknown");
    if (inputs_) return;
    pads_ = info.node.attributes.integers("pads", {});
    value_ = info.node.attributes.real("value", 0);
  }

 private:
  Plan plan(const Context& context) const override {
    const Shape& shape = context.input(0).shape();
    const std::vector<int64_t> pads = inputs_ ? integer_list(context.input(1)) : pads_;
    std::vector<int64_t> axis_list;
    if (context.has(3))
      axis_list = integer_list(context.input(3));
    else
      for (size_t i = 0; i < shape.size(); ++i) axis_list.push_back(static_cast<int64_t>(i));
    const std::vector<int> padded = normalize_axes(axis_list, context.input(0).rank());
    if (pads.size() != 2 * padded.size()) invalid_model("pads has " + std::to_string(pads.size()) + " elements for " + std::to_string(padded.size()) + " axes");
    std::vector<int64_t> before(shape.size()), after(shape.size());
    for (size_t i = 0; i < padded.size(); ++i) {
      before[padded[i]] = pads[i];
      after[padded[i]] = pads[padded.size() + i];
    }
    Shape out;
    for (size_t i = 0; i < shape.size(); ++i) {
      constexpr int64_t kLimit = int64_t{1} << 40;
      if (std::min(before[i], after[i]) < -kLimit || std::max(before[i], after[i]) > kLimit) invalid_model("pads are out of range");
      out.push_back(shape[i] + before[i] + after[i]);
    }
    element_count(out);
    const std::vector<int64_t> from = IndexMap::strides(shape), to = IndexMap::strides(out);
    std::vector<Axis> axes;
    int64_t from_start = 0, to_start = 0;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (mode_ == "constant" || (before[i] == 0 && after[i] == 0)) {
        const int64_t first = std::max<int64_t>(0, -before[i]), last = shape[i] - std::max<int64_t>(0, -after[i]);
        axes.push_back({std::max<int64_t>(0, last - first), from[i], to[i], {}});
        from_start += first * from[i];
        to_start += (first + before[i]) * to[i];
        continue;
      }
      if (shape[i] == 0) invalid_model("an empty axis cannot be padded by mode " + mode_);
      context.pool.expect(static_cast<uint64_t>(out[i]) * sizeof(int64_t));
      Axis axis{out[i], from[i], to[i], {}};
      for (int64_t j = 0; j < out[i]; ++j) axis.table.push_back(source(j - before[i], shape[i]) * from[i]);
      axes.push_back(std::move(axis));
    }
    return {out, IndexMap(std::move(axes), from_start, to_start)};
  }

  // The element of an axis that stands for index i, inside or outside of it.
  int64_t source(int64_t i, int64_t size) const {
    if (mode_ == "edge") return std::clamp<int64_t>(i, 0, size - 1);
    const int64_t period = mode_ == "wrap" ? size : std::max<int64_t>(1, 2 * (size - 1));
    const int64_t at = (i % period + period) % period;
    return at < size ? at : period - at;
  }

  void background(const Context& context, Tensor& y) const override {
    if (inputs_ && context.has(2)) {
      const Tensor& value = context.input(2);
      if (value.count() != 1 || value.dtype() != y.dtype()) invalid_model("the value of Pad must be a scalar of the input's type");
      visit_width(y.dtype(), [&](auto zero) {
        using E = decltype(zero);
        fill(context.linear, *static_cast<const E*>(value.raw()), y.count(), static_cast<E*>(y.raw()));
      });
    } else {
      visit_dtype(y.dtype(), [&](auto zero) {
        using S = decltype(zero);
        fill(context.linear, static_cast<S>(value_), y.count(), y.data<S>());
      });
    }
  }

  bool inputs_;
  std::string mode_;
  std::vector<int64_t> pads_;
  float value_ = 0;
};

// Blocks of block x block pixels against channels. DepthToSpace orders the channels as (block y, block x, channel), with mode CRD as
// (channel, block y, block x); SpaceToDepth as the former.
template <bool to_space>
class Blocks : public Rearrangement {
 public:
  explicit Blocks(const NodeInfo& info) : block_(info.node.attributes.integer("blocksize", 0)) {
    const std::string mode = info.node.attributes.text("mode", "DCR");
    if (mode != "DCR" && mode != "CRD") invalid_model("mode '" + mode + "' is unknown");
    channel_first_ = mode == "CRD";
    if (block_ < 1 || block_ > (1 << 20)) invalid_model("blocksize must be positive");
  }

 private:
  Plan plan(const Context& context) const override {
    const Shape& shape = context.input(0).shape();
    if (shape.size() != 4) invalid_model("expected a tensor of rank 4, received shape " + to_string(shape));
    const int64_t b = block_, area = b * b;
    if (to_space ? shape[1] % area != 0 : shape[2] % b != 0 || shape[3] % b != 0)
      invalid_model("blocksize " + std::to_string(b) + " does not divide shape " + to_string(shape));
    // The deep side has channels * area channels of height x width, the wide one channels of (height * b) x (width * b).
    const int64_t n = shape[0], channels = to_space ? shape[1] / area : shape[1];
    const int64_t height = to_space ? shape[2] : shape[2] / b, width = to_space ? shape[3] : shape[3] / b;
    const int64_t plane = height * width, all = channels * area * plane;
    const int64_t channel = (channel_first_ ? area : 1) * plane, pixel = (channel_first_ ? 1 : channels) * plane;
    const auto axis = [](int64_t size, int64_t deep, int64_t wide) { return to_space ? Axis{size, deep, wide, {}} : Axis{size, wide, deep, {}}; };
    const Axis sample = axis(n, all, all), depth = axis(channels, channel, plane * area), y = axis(height, width, width * b * b),
               x = axis(width, 1, b), block_y = axis(b, b * pixel, width * b), block_x = axis(b, pixel, 1);
    if (to_space) return {{n, channels, height * b, width * b}, IndexMap({sample, depth, y, block_y, x, block_x})};
    return {{n, channels * area, height, width}, IndexMap({sample, block_y, block_x, depth, y, x})};
  }

  int64_t block_;
  bool channel_first_;
};

}  // namespace

std::vector<Row> rearrange_rows() {
  return {
      {"", "Transpose", 1, "linear", true, {}, make_plain<Transpose>, R"([
        {"inputs": [[2,3,4]]},
        {"inputs": [[2,3,4,5]], "attributes": {"perm": [0,2,1,3]}},
        {"inputs": [[2,17,5,19]], "attributes": {"perm": [0,2,3,1]}},
        {"inputs": [[2,5,19,18]], "attributes": {"perm": [0,3,1,2]}},
        {"inputs": [{"dims": [2,3], "dtype": "int64", "values": [1,2,3,4,5,6]}], "attributes": {"perm": [1,0]}}
      ])"},
      {"", "Expand", 8, "linear", true, {}, make_plain<Expand>, R"([
        {"inputs": [[3,1], {"dims": [3], "dtype": "int64", "values": [2,1,6], "constant": true}]},
        {"inputs": [[2,3], {"dims": [1], "dtype": "int64", "values": [1], "constant": true}]},
        {"inputs": [[1,3,1,2], {"dims": [4], "dtype": "int64", "values": [4,3,5,2], "constant": true}]},
        {"inputs": [{"dims": [1], "dtype": "bool", "values": [1]}, {"dims": [2], "dtype": "int64", "values": [2,3], "constant": true}]}
      ])"},
      {"", "Tile", 6, "linear", true, {}, make_plain<Tile>, R"([
        {"inputs": [[2,3], {"dims": [2], "dtype": "int64", "values": [2,3], "constant": true}]},
        {"inputs": [[2,1,3], {"dims": [3], "dtype": "int64", "values": [1,4,1], "constant": true}]}
      ])"},
      {"", "Slice", 1, "linear", true, {}, make_plain<Slice>, R"([
        {"inputs": [[4,5]], "attributes": {"starts": [1,-3], "ends": [3,9007199254740991]}, "opset": 9},
        {"inputs": [[2,5,7]], "attributes": {"starts": [1], "ends": [-1], "axes": [2]}, "opset": 9},
        {"inputs": [[4,9,3], {"dims": [2], "dtype": "int64", "values": [0,8], "constant": true},
                    {"dims": [2], "dtype": "int64", "values": [-1,-9223372036854775808], "constant": true},
                    {"dims": [2], "dtype": "int64", "values": [0,-2], "constant": true},
                    {"dims": [2], "dtype": "int64", "values": [2,-3], "constant": true}]},
        {"inputs": [[4,6], {"dims": [1], "dtype": "int64", "values": [5], "constant": true}, {"dims": [1], "dtype": "int64", "values": [0], "constant": true},
                    {"dims": [1], "dtype": "int64", "values": [1], "constant": true}, {"dims": [1], "dtype": "int64", "values": [-2], "constant": true}]},
        {"inputs": [{"dims": [5], "dtype": "int64", "values": [1,2,3,4,5]}, {"dims": [1], "dtype": "int64", "values": [1], "constant": true},
                    {"dims": [1], "dtype": "int64", "values": [4], "constant": true}]}
      ])"},
      {"", "Pad", 2, "linear", true, {}, make_plain<Pad>, R"([
        {"inputs": [[2,3,4]], "attributes": {"pads": [0,1,2,0,0,1], "value": 1.5}, "opset": 10},
        {"inputs": [[2,3,4], {"dims": [6], "dtype": "int64", "values": [0,1,2,0,-1,1], "constant": true}, {"dims": [], "values": [-2], "constant": true}]},
        {"inputs": [[2,4,5], {"dims": [6], "dtype": "int64", "values": [0,2,1,0,3,4], "constant": true}], "attributes": {"mode": "reflect"}},
        {"inputs": [[2,4,5], {"dims": [6], "dtype": "int64", "values": [1,2,1,0,0,3], "constant": true}], "attributes": {"mode": "edge"}},
        {"inputs": [[2,4,5], {"dims": [4], "dtype": "int64", "values": [1,2,2,1], "constant": true}, null,
                    {"dims": [2], "dtype": "int64", "values": [1,-1], "constant": true}], "attributes": {"mode": "wrap"}, "opset": 19},
        {"inputs": [{"dims": [2], "dtype": "int64", "values": [3,4]}, {"dims": [2], "dtype": "int64", "values": [2,1], "constant": true}]}
      ])"},
      {"", "DepthToSpace", 1, "linear", true, {}, make_plain<Blocks<true>>, R"([
        {"inputs": [[2,12,3,2]], "attributes": {"blocksize": 2}},
        {"inputs": [[1,18,2,3]], "attributes": {"blocksize": 3, "mode": "CRD"}}
      ])"},
      {"", "SpaceToDepth", 1, "linear", true, {}, make_plain<Blocks<false>>, R"([{"inputs": [[2,3,4,6]], "attributes": {"blocksize": 2}}])"},
  };
}

}  // namespace bitwright
