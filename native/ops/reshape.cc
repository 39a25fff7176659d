// Operators whose output has the input's elements in the same order: it shares them, and so do tangents and cotangents.
#include <algorithm>

#include "ops/families.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

class Reshaping : public Op {
 public:
  void forward(Context& context) override { context.alias(0, 0, shape(context)); }

  void tangent(Context& context) override {
    const Tensor* dx = context.tangent(0);
    if (!dx) return;
    Shape shape = context.out[0].shape();
    shape.insert(shape.begin(), context.probes);
    context.out_tangent[0] = dx->reshaped(std::move(shape));
  }

  void adjoint(Context& context) override {
    if (const Tensor* g = context.cotangent(0)) context.add_adjoint(0, *g);
  }

 protected:
  virtual Shape shape(const Context& context) const = 0;
};

class Identity : public Reshaping {
 public:
  explicit Identity(const NodeInfo&) {}

 private:
  Shape shape(const Context& context) const override { return context.input(0).shape(); }
};

// At inference: the input, and a mask that keeps everything (which opsets below 12 write as 0).
class Dropout : public Identity {
 public:
  explicit Dropout(const NodeInfo& info) : Identity(info), kept_(info.opset >= 12) {}

  void forward(Context& context) override {
    if (context.has(2))
      for (int64_t on : to_int64(context.input(2)))
        if (on != 0) unsupported("Dropout in training mode is not supported");
    Identity::forward(context);
    if (!context.wanted(1)) return;
    Tensor& mask = context.output(1, BW_BOOL, context.input(0).shape());
    std::fill(mask.data<bool>(), mask.data<bool>() + mask.count(), kept_);
  }

 private:
  bool kept_;
};

class Flatten : public Reshaping {
 public:
  explicit Flatten(const NodeInfo& info) : axis_(info.node.attributes.integer("axis", 1)) {}

 private:
  Shape shape(const Context& context) const override {
    const Shape& shape = context.input(0).shape();
    // The axis may lie after the last one.
    const int rank = context.input(0).rank(), axis = axis_ == rank ? rank : normalize_axis(axis_, rank);
    return {element_count({shape.begin(), shape.begin() + axis}), element_count({shape.begin() + axis, shape.end()})};
  }

  int64_t axis_;
};

// In the new shape 0 keeps the input's dimension (unless allowzero) and -1 takes what is left.
class Reshape : public Reshaping {
 public:
  explicit Reshape(const NodeInfo& info)
      : inputs_(info.opset >= 5), shape_(info.node.attributes.integers("shape", {})), allow_zero_(info.node.attributes.integer("allowzero", 0) != 0) {}

 private:
  Shape shape(const Context& context) const override {
    const Tensor& x = context.input(0);
    Shape shape = inputs_ ? integer_list(context.input(1)) : shape_;
    int rest = -1;
    int64_t known = 1;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == 0 && !allow_zero_) {
        if (static_cast<int>(i) >= x.rank()) invalid_model("shape " + to_string(shape) + " keeps a dimension that " + to_string(x.shape()) + " lacks");
        shape[i] = x.dim(static_cast<int>(i));
      }
      if (shape[i] == -1) {
        if (rest >= 0) invalid_model("shape " + to_string(shape) + " leaves two dimensions open");
        rest = static_cast<int>(i);
      } else {
        known = element_count({known, shape[i]});
      }
    }
    if (rest >= 0) {
      if (known == 0 ? x.count() != 0 : x.count() % known != 0) invalid_model("cannot view shape " + to_string(x.shape()) + " as " + to_string(shape));
      shape[rest] = known == 0 ? 0 : x.count() / known;
    }
    return shape;
  }

  bool inputs_;
  Shape shape_;
  bool allow_zero_;
};

// Squeeze and Unsqueeze take their axes from an attribute below opset 13, from an input from there on.
class AxesReshaping : public Reshaping {
 protected:
  explicit AxesReshaping(const NodeInfo& info) : inputs_(info.opset >= 13), axes_(info.node.attributes.integers("axes", {})) {}

  std::vector<int64_t> axes(const Context& context) const { return inputs_ && context.has(1) ? integer_list(context.input(1)) : axes_; }

 private:
  bool inputs_;
  std::vector<int64_t> axes_;
};

class Squeeze : public AxesReshaping {
 public:
  explicit Squeeze(const NodeInfo& info) : AxesReshaping(info) {}

 private:
  Shape shape(const Context& context) const override {
    const Tensor& x = context.input(0);
    const std::vector<int> removed = normalize_axes(axes(context), x.rank());
    Shape shape;
    for (int i = 0; i < x.rank(); ++i) {
      const bool named = std::find(removed.begin(), removed.end(), i) != removed.end();
      if (named && x.dim(i) != 1) invalid_model("axis " + std::to_string(i) + " of shape " + to_string(x.shape()) + " is not 1");
      if (removed.empty() ? x.dim(i) != 1 : !named) shape.push_back(x.dim(i));
    }
    return shape;
  }
};

class Unsqueeze : public AxesReshaping {
 public:
  explicit Unsqueeze(const NodeInfo& info) : AxesReshaping(info) {}

 private:
  Shape shape(const Context& context) const override {
    const Tensor& x = context.input(0);
    const std::vector<int64_t> all = axes(context);
    const int rank = x.rank() + static_cast<int>(all.size());
    Shape shape(rank, 0);
    for (int axis : normalize_axes(all, rank)) shape[axis] = 1;
    int next = 0;
    for (int64_t& dim : shape)
      if (dim == 0) dim = x.dim(next++);
    return shape;
  }
};

}  // namespace

std::vector<Row> reshape_rows() {
  return {
      {"", "Identity", 1, "linear", true, {}, make_plain<Identity>, R"([{"inputs": [[2,3]]}, {"inputs": [{"dims": [2], "dtype": "int64", "values": [3,4]}]}])"},
      {"", "Dropout", 7, "linear", true, {}, make_plain<Dropout>, R"([
        {"inputs": [[2,3]]},
        {"inputs": [[2,3]], "attributes": {"ratio": 0.25}, "outputs": 2, "opset": 10},
        {"inputs": [[2,3]], "outputs": 2}
      ])"},
      {"", "Flatten", 1, "linear", true, {}, make_plain<Flatten>, R"([
        {"inputs": [[2,3,4]]},
        {"inputs": [[2,3,4]], "attributes": {"axis": 3}},
        {"inputs": [[2,3,4]], "attributes": {"axis": -1}}
      ])"},
      {"", "Reshape", 1, "linear", true, {}, make_plain<Reshape>, R"([
        {"inputs": [[2,3,4], {"dims": [2], "dtype": "int64", "values": [0,-1], "constant": true}]},
        {"inputs": [[2,3,4], {"dims": [3], "dtype": "int64", "values": [4,3,2], "constant": true}]},
        {"inputs": [[0,3], {"dims": [2], "dtype": "int64", "values": [3,0], "constant": true}], "attributes": {"allowzero": 1}},
        {"inputs": [{"dims": [4], "dtype": "int64", "values": [1,2,3,4]}, {"dims": [2], "dtype": "int64", "values": [-1,2], "constant": true}]}
      ])"},
      {"", "Squeeze", 1, "linear", true, {}, make_plain<Squeeze>, R"([
        {"inputs": [[1,3,1,2]]},
        {"inputs": [[1,3,1,2], {"dims": [1], "dtype": "int64", "values": [-2], "constant": true}]},
        {"inputs": [[1,3,1,2]], "attributes": {"axes": [0]}, "opset": 11}
      ])"},
      {"", "Unsqueeze", 1, "linear", true, {}, make_plain<Unsqueeze>, R"([
        {"inputs": [[3,2], {"dims": [2], "dtype": "int64", "values": [0,-1], "constant": true}]},
        {"inputs": [[3,2]], "attributes": {"axes": [1]}, "opset": 11}
      ])"},
  };
}

}  // namespace bitwright
