// Elements taken by index: Gather, GatherElements, GatherND.
#include "ops/families.h"
#include "ops/indices.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

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
  };
}

}  // namespace bitwright
