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

// y = x with blocks replaced by those of the updates or, with a reduction, joined with them. Of the greatest or least element the first one counts.
class Scatter : public Op {
 public:
  explicit Scatter(const NodeInfo& info) {
    const std::string reduction = info.node.attributes.text("reduction", "none");
    const std::string known[] = {"none", "add", "mul", "max", "min"};
    const auto found = std::find(std::begin(known), std::end(known), reduction);
    if (found == std::end(known)) unsupported("reduction '" + reduction + "' is not supported");
    reduction_ = static_cast<Reduction>(found - std::begin(known));
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
    const IndexedBlocks blocks = differentiable_blocks(context);
    Tensor& y = context.make_tangent(0);
    if (dx)
      std::memcpy(y.raw(), dx->raw(), y.bytes());
    else
      std::memset(y.raw(), 0, y.bytes());
    const int64_t count = context.out[0].count();
    for (int p = 0; p < context.probes; ++p) {
      if (reduction_ == kMax || reduction_ == kMin)
        visit_width(y.dtype(), [&](auto zero) {
          using E = decltype(zero);
          const std::vector<int64_t> chosen = this->chosen(context, blocks);
          const E* from = du ? static_cast<const E*>(du->raw()) + p * context.input(2).count() : nullptr;
          E* to = static_cast<E*>(y.raw()) + p * count;
          for (int64_t i = 0; i < count; ++i)
            if (chosen[i] >= 0) to[i] = from ? from[chosen[i]] : E(0);
        });
      else if (du)
        put(blocks, *du, p * context.input(2).count(), y, p * count);
      else if (reduction_ == kNone)
        clear(blocks, y, p * count);
    }
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const IndexedBlocks blocks = differentiable_blocks(context);
    if (reduction_ == kMax || reduction_ == kMin) return g->dtype() == BW_FLOAT64 ? pass_back_chosen<double>(context, blocks, *g) : pass_back_chosen<float>(context, blocks, *g);
    if (context.adjoint_wanted(0)) {
      if (reduction_ == kAdd) {
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

  IndexedBlocks differentiable_blocks(const Context& context) const {
    if (reduction_ == kMul) unsupported("has no derivative with reduction 'mul'");
    return checked_blocks(context);
  }

  // For every element the update that is the greatest or least, or -1 where the data's own is.
  std::vector<int64_t> chosen(const Context& context, const IndexedBlocks& blocks) const {
    std::vector<int64_t> chosen(context.input(0).count(), -1);
    visit_number(context.input(0).dtype(), [&](auto zero) {
      using S = decltype(zero);
      const S *x = context.input(0).data<S>(), *updates = context.input(2).data<S>();
      int64_t u = 0;
      for (int64_t offset : blocks.offsets)
        for (int64_t i = 0; i < blocks.block; ++i, ++u) {
          int64_t& record = chosen[offset + i];
          const S best = record < 0 ? x[offset + i] : updates[record];
          if (reduction_ == kMax ? updates[u] > best : updates[u] < best) record = u;
        }
    });
    return chosen;
  }

  template <class T>
  void pass_back_chosen(Context& context, const IndexedBlocks& blocks, const Tensor& g) const {
    const std::vector<int64_t> chosen = this->chosen(context, blocks);
    const auto count = static_cast<int64_t>(chosen.size()), updates = context.input(2).count();
    Tensor kept(context.pool, g.dtype(), g.shape()), taken(context.pool, g.dtype(), {context.batch, updates});
    T *of_data = kept.data<T>(), *of_updates = taken.data<T>();
    std::fill_n(of_updates, taken.count(), T(0));
    const T* from = g.data<T>();
    for (int64_t r = 0; r < context.batch; ++r)
      for (int64_t i = 0; i < count; ++i) {
        of_data[r * count + i] = chosen[i] < 0 ? from[r * count + i] : T(0);
        if (chosen[i] >= 0) of_updates[r * updates + chosen[i]] = from[r * count + i];
      }
    context.add_adjoint(0, kept);
    context.add_adjoint(2, taken);
  }

  template <class S>
  S joined(S old, S update) const {
    if constexpr (std::is_same_v<S, bool>) {
      if (reduction_ != kNone) invalid_model("bool tensors have no reduction");
      return update;
    } else {
      switch (reduction_) {
        case kAdd: return wrapping_add(old, update);
        case kMul: return wrapping_multiply(old, update);
        case kMax: return std::max(old, update);
        case kMin: return std::min(old, update);
        case kNone: break;
      }
      return update;
    }
  }

  void put(const IndexedBlocks& blocks, const Tensor& updates, int64_t first, Tensor& y, int64_t start) const {
    visit_dtype(y.dtype(), [&](auto zero) {
      using S = decltype(zero);
      const S* from = updates.data<S>() + first;
      for (int64_t offset : blocks.offsets) {
        S* to = y.data<S>() + start + offset;
        for (int64_t i = 0; i < blocks.block; ++i) to[i] = joined(to[i], from[i]);
        from += blocks.block;
      }
    });
  }

  static void clear(const IndexedBlocks& blocks, Tensor& y, int64_t start) {
    const size_t width = dtype_size(y.dtype());
    for (int64_t offset : blocks.offsets) std::memset(static_cast<std::byte*>(y.raw()) + (start + offset) * width, 0, blocks.block * width);
  }

  enum Reduction { kNone, kAdd, kMul, kMax, kMin };
  Reduction reduction_;
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
        {"inputs": [[3,4], {"dims": [3,2], "dtype": "int64", "values": [3,3,1,-1,2,2]}, [3,2]], "attributes": {"axis": 1, "reduction": "add"}, "opset": 18},
        {"inputs": [[3,4], {"dims": [3,2], "dtype": "int64", "values": [3,3,1,-1,2,2]}, [3,2]], "attributes": {"axis": 1, "reduction": "max"}, "opset": 18},
        {"inputs": [{"dims": [3], "dtype": "int64", "values": [1,2,3]}, {"dims": [2], "dtype": "int64", "values": [1,1]}, {"dims": [2], "dtype": "int64", "values": [9,2]}], "attributes": {"reduction": "mul"}, "opset": 18}
      ])"},
      {"", "ScatterND", 11, "linear", true, {}, make_plain<ScatterND>, R"([
        {"inputs": [[4,3], {"dims": [2,1], "dtype": "int64", "values": [2,0]}, [2,3]]},
        {"inputs": [[4,3], {"dims": [3,2], "dtype": "int64", "values": [2,0,2,0,1,-1]}, [3]], "attributes": {"reduction": "add"}, "opset": 18},
        {"inputs": [[4,3], {"dims": [3,2], "dtype": "int64", "values": [2,0,2,0,1,-1]}, [3]], "attributes": {"reduction": "min"}, "opset": 18},
        {"inputs": [{"dims": [3], "dtype": "int64", "values": [1,2,3]}, {"dims": [1,1], "dtype": "int64", "values": [1]}, {"dims": [1], "dtype": "int64", "values": [9]}]}
      ])"},
  };
}

}  // namespace bitwright
