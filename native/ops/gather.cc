// Elements taken by index: Gather, GatherElements, GatherND; and put by index: ScatterElements, ScatterND.
#include "ops/families.h"
#include "ops/indices.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

// A map that takes blocks one after the other.
IndexMap blocks_map(IndexedBlocks blocks) {
  const auto count = static_cast<int64_t>(blocks.offsets.size());
  return IndexMap({{count, 0, blocks.block, std::move(blocks.offsets)}, {blocks.block, 1, 1, {}}});
}

class Gather : public Rearrangement {
 public:
  explicit Gather(const NodeInfo& info) : axis_(info.node.attributes.integer("axis", 0)) {}

 private:
  Plan plan(const Context& context) const override {
    const Shape& shape = context.input(0).shape();
    const Tensor& indices = context.input(1);
    const int axis = normalize_axis(axis_, context.input(0).rank());
    const int64_t outer = element_count({shape.begin(), shape.begin() + axis}), inner = element_count({shape.begin() + axis + 1, shape.end()});
    std::vector<int64_t> table = to_int64(indices);
    for (int64_t& index : table) index = checked_index(index, shape[axis]) * inner;
    Shape out(shape.begin(), shape.begin() + axis);
    out.insert(out.end(), indices.shape().begin(), indices.shape().end());
    out.insert(out.end(), shape.begin() + axis + 1, shape.end());
    return {out, IndexMap({{outer, shape[axis] * inner, indices.count() * inner, {}}, {indices.count(), 0, inner, std::move(table)}, {inner, 1, 1, {}}})};
  }

  int64_t axis_;
};

class GatherElements : public Rearrangement {
 public:
  explicit GatherElements(const NodeInfo& info) : axis_(info.node.attributes.integer("axis", 0)) {}

 private:
  Plan plan(const Context& context) const override {
    return {context.input(1).shape(), blocks_map(indexed_elements(context.input(0).shape(), context.input(1), axis_))};
  }

  int64_t axis_;
};

class GatherND : public Rearrangement {
 public:
  explicit GatherND(const NodeInfo& info) : batch_axes_(info.node.attributes.integer("batch_dims", 0)) {}

 private:
  Plan plan(const Context& context) const override {
    const Shape &shape = context.input(0).shape(), &indices = context.input(1).shape();
    IndexedBlocks blocks = indexed_slices(shape, context.input(1), batch_axes_);
    Shape out(indices.begin(), indices.end() - 1);
    out.insert(out.end(), shape.begin() + batch_axes_ + indices.back(), shape.end());
    return {out, blocks_map(std::move(blocks))};
  }

  int64_t batch_axes_;
};

// y = x with blocks replaced by, or with reduction `add` increased by, those of the updates.
class Scatter : public Op {
 public:
  explicit Scatter(const NodeInfo& info) {
    const std::string reduction = info.node.attributes.text("reduction", "none");
    if (reduction != "none" && reduction != "add") unsupported("reduction '" + reduction + "' is not supported");
    add_ = reduction == "add";
  }

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    const Tensor& updates = context.input(2);
    const IndexedBlocks blocks = checked_blocks(context);
    if (updates.dtype() != x.dtype()) invalid_model("the updates differ from the data in type");
    Tensor& y = context.output_over(0, 0);
    if (y.raw() != x.raw()) std::memcpy(y.raw(), x.raw(), x.bytes());
    put(blocks, updates, 0, y, 0);
  }

  void tangent(Context& context) override {
    const Tensor *dx = context.tangent(0), *du = context.tangent(2);
    if (!dx && !du) return;
    const IndexedBlocks blocks = checked_blocks(context);
    Tensor& y = context.make_tangent(0);
    if (dx)
      std::memcpy(y.raw(), dx->raw(), y.bytes());
    else
      std::memset(y.raw(), 0, y.bytes());
    for (int p = 0; p < context.probes; ++p) {
      if (du)
        put(blocks, *du, p * context.input(2).count(), y, p * context.out[0].count());
      else if (!add_)
        clear(blocks, y, p * context.out[0].count());
    }
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const IndexedBlocks blocks = checked_blocks(context);
    if (context.adjoint_wanted(0)) {
      if (add_) {
        context.add_adjoint(0, *g);
      } else {
        Tensor kept(context.pool, g->dtype(), g->shape());
        std::memcpy(kept.raw(), g->raw(), g->bytes());
        for (int r = 0; r < context.batch; ++r) clear(blocks, kept, r * context.out[0].count());
        context.add_adjoint(0, kept);
      }
    }
    if (context.adjoint_wanted(2)) {
      const int64_t count = context.input(2).count();
      Tensor taken(context.pool, g->dtype(), {context.batch, count});
      copy_mapped(context.linear.pool, blocks_map(blocks).repeated(context.batch, context.out[0].count(), count), *g, taken);
      context.add_adjoint(2, taken);
    }
  }

 protected:
  virtual IndexedBlocks blocks(const Context& context) const = 0;

 private:
  IndexedBlocks checked_blocks(const Context& context) const {
    IndexedBlocks found = blocks(context);
    if (context.input(2).count() != static_cast<int64_t>(found.offsets.size()) * found.block)
      invalid_model("updates of shape " + to_string(context.input(2).shape()) + " do not fit indices of shape " + to_string(context.input(1).shape()));
    return found;
  }

  void put(const IndexedBlocks& blocks, const Tensor& updates, int64_t first, Tensor& y, int64_t start) const {
    visit_dtype(y.dtype(), [&](auto zero) {
      using S = decltype(zero);
      const S* from = updates.data<S>() + first;
      for (int64_t offset : blocks.offsets) {
        S* to = y.data<S>() + start + offset;
        for (int64_t i = 0; i < blocks.block; ++i) to[i] = add_ ? wrapping_add(to[i], from[i]) : from[i];
        from += blocks.block;
      }
    });
  }

  static void clear(const IndexedBlocks& blocks, Tensor& y, int64_t start) {
    const size_t width = dtype_size(y.dtype());
    for (int64_t offset : blocks.offsets) std::memset(static_cast<std::byte*>(y.raw()) + (start + offset) * width, 0, blocks.block * width);
  }

  bool add_;
};

class ScatterElements : public Scatter {
 public:
  explicit ScatterElements(const NodeInfo& info) : Scatter(info), axis_(info.node.attributes.integer("axis", 0)) {}

 private:
  IndexedBlocks blocks(const Context& context) const override { return indexed_elements(context.input(0).shape(), context.input(1), axis_); }

  int64_t axis_;
};

class ScatterND : public Scatter {
 public:
  using Scatter::Scatter;

 private:
  IndexedBlocks blocks(const Context& context) const override { return indexed_slices(context.input(0).shape(), context.input(1), 0); }
};

}  // namespace

std::vector<Row> gather_rows() {
  return {
      {"", "Gather", 1, "linear", true, {}, make_plain<Gather>, R"([
        {"inputs": [[7,3], {"dims": [2,2], "dtype": "int64", "values": [0,-1,3,0]}]},
        {"inputs": [[2,5,3], {"dims": [], "dtype": "int64", "values": [2]}], "attributes": {"axis": 1}},
        {"inputs": [[2,3,5], {"dims": [3], "dtype": "int32", "values": [4,0,4]}], "attributes": {"axis": -1}},
        {"inputs": [{"dims": [4], "dtype": "int64", "values": [3,4,5,6]}, {"dims": [1], "dtype": "int64", "values": [-2]}]}
      ])"},
      {"", "GatherElements", 11, "linear", true, {}, make_plain<GatherElements>, R"([
        {"inputs": [[3,4], {"dims": [2,4], "dtype": "int64", "values": [0,2,-1,1,1,2,0,0]}]},
        {"inputs": [[3,4], {"dims": [3,2], "dtype": "int64", "values": [3,0,-1,1,2,2]}], "attributes": {"axis": 1}}
      ])"},
      {"", "GatherND", 11, "linear", true, {}, make_plain<GatherND>, R"([
        {"inputs": [[3,4,2], {"dims": [3,2], "dtype": "int64", "values": [0,1,2,-1,0,1]}]},
        {"inputs": [[3,4,2], {"dims": [3,2,1], "dtype": "int64", "values": [0,1,3,3,-1,0]}], "attributes": {"batch_dims": 1}}
      ])"},
      {"", "ScatterElements", 11, "linear", true, {}, make_plain<ScatterElements>, R"([
        {"inputs": [[3,4], {"dims": [2,3], "dtype": "int64", "values": [0,2,-1,1,0,1]}, [2,3]]},
        {"inputs": [[3,4], {"dims": [3,2], "dtype": "int64", "values": [3,3,1,-1,2,2]}, [3,2]], "attributes": {"axis": 1, "reduction": "add"}, "opset": 18}
      ])"},
      {"", "ScatterND", 11, "linear", true, {}, make_plain<ScatterND>, R"([
        {"inputs": [[4,3], {"dims": [2,1], "dtype": "int64", "values": [2,0]}, [2,3]]},
        {"inputs": [[4,3], {"dims": [3,2], "dtype": "int64", "values": [2,0,2,0,1,-1]}, [3]], "attributes": {"reduction": "add"}, "opset": 18},
        {"inputs": [{"dims": [3], "dtype": "int64", "values": [1,2,3]}, {"dims": [1,1], "dtype": "int64", "values": [1]}, {"dims": [1], "dtype": "int64", "values": [9]}]}
      ])"},
  };
}

}  // namespace bitwright
