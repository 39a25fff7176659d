// Concat and Split: one tensor in pieces along an axis.
#include "ops/families.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

// Piece -> whole, for a piece that starts at index `begin` of the axis.
IndexMap piece_map(const Shape& piece, const Shape& whole, int axis, int64_t begin) {
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < axis; ++i) outer *= piece[i];
  for (size_t i = axis + 1; i < piece.size(); ++i) inner *= piece[i];
  const int64_t length = piece[axis] * inner;
  return IndexMap({{outer, length, whole[axis] * inner, {}}, {length, 1, 1, {}}}, 0, begin * inner);
}

class Concat : public Op {
 public:
  explicit Concat(const NodeInfo& info) : axis_(info.node.attributes.integer("axis", 1)) {}

  void forward(Context& context) override {
    const int axis = normalize_axis(axis_, context.input(0).rank());
    Shape shape = context.input(0).shape();
    for (int i = 1; i < context.inputs(); ++i) {
      const Tensor& piece = context.input(i);
      Shape like = piece.shape();
      if (like.size() == shape.size()) like[axis] = shape[axis];
      if (like != shape || piece.dtype() != context.input(0).dtype())
        invalid_model("shape " + to_string(piece.shape()) + " cannot be joined to " + to_string(context.input(0).shape()) + " along axis " + std::to_string(axis));
      shape[axis] += piece.dim(axis);
    }
    Tensor& y = context.output(0, context.input(0).dtype(), shape);
    each(context, [&](int i, const IndexMap& map) { copy_mapped(context.linear.pool, map, context.input(i), y); });
  }

  void tangent(Context& context) override {
    bool any = false;
    for (int i = 0; i < context.inputs(); ++i) any = any || context.tangent(i);
    if (!any) return;
    Tensor& y = context.make_tangent(0);
    const int64_t count = context.out[0].count();
    std::memset(y.raw(), 0, y.bytes());
    each(context, [&](int i, const IndexMap& map) {
      if (const Tensor* dx = context.tangent(i))
        copy_mapped(context.linear.pool, map.repeated(context.probes, context.input(i).count(), count), *dx, y);
    });
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    each(context, [&](int i, const IndexMap& map) { add_mapped_adjoint(context, i, map, *g); });
  }

 private:
  template <class Body>
  void each(Context& context, const Body& body) const {
    const Shape& whole = context.out[0].shape();
    const int axis = normalize_axis(axis_, static_cast<int>(whole.size()));
    int64_t begin = 0;
    for (int i = 0; i < context.inputs(); ++i) {
      const Shape& piece = context.input(i).shape();
      body(i, piece_map(piece, whole, axis, begin));
      begin += piece[axis];
    }
  }

  int64_t axis_;
};

// The sizes are an attribute below opset 13 and an input from there on; without them the pieces are equal, and with num_outputs the last may be smaller.
class Split : public Op {
 public:
  explicit Split(const NodeInfo& info)
      : axis_(info.node.attributes.integer("axis", 0)), sizes_(info.node.attributes.integers("split", {})), inputs_(info.opset >= 13),
        uneven_(info.node.attributes.has("num_outputs")) {}

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    const int axis = normalize_axis(axis_, x.rank());
    const std::vector<int64_t> sizes = sizes_of(context, x.dim(axis));
    int64_t begin = 0;
    for (size_t o = 0; o < sizes.size(); ++o) {
      Shape shape = x.shape();
      shape[axis] = sizes[o];
      Tensor& y = context.output(static_cast<int>(o), x.dtype(), shape);
      copy_mapped(context.linear.pool, piece_map(shape, x.shape(), axis, begin).inverse(), x, y);
      begin += sizes[o];
    }
  }

  void tangent(Context& context) override {
    const Tensor* dx = context.tangent(0);
    if (!dx) return;
    each(context, [&](int o, const IndexMap& map) {
      const IndexMap sets = map.repeated(context.probes, context.out[o].count(), context.input(0).count()).inverse();
      copy_mapped(context.linear.pool, sets, *dx, context.make_tangent(o));
    });
  }

  void adjoint(Context& context) override {
    each(context, [&](int o, const IndexMap& map) {
      if (const Tensor* g = context.cotangent(o)) add_mapped_adjoint(context, 0, map.inverse(), *g);
    });
  }

 private:
  std::vector<int64_t> sizes_of(const Context& context, int64_t whole) const {
    const auto pieces = static_cast<int64_t>(context.out.size());
    std::vector<int64_t> sizes = inputs_ && context.has(1) ? integer_list(context.input(1)) : sizes_;
    if (sizes.empty()) {
      if (pieces == 0 || (!uneven_ && whole % pieces != 0)) invalid_model("an axis of " + std::to_string(whole) + " does not split into " + std::to_string(pieces) + " equal pieces");
      const int64_t each = (whole + pieces - 1) / pieces;
      sizes.assign(pieces, each);
      sizes.back() = whole - each * (pieces - 1);
    }
    int64_t sum = 0;
    for (int64_t size : sizes) {
      if (size < 0 || size > whole - sum) invalid_model("the pieces of Split do not add up to the axis");
      sum += size;
    }
    if (sum != whole || static_cast<int64_t>(sizes.size()) != pieces) invalid_model("the pieces of Split do not add up to the axis");
    return sizes;
  }

  // Calls body(output, map from the piece to the whole). An output that nobody wanted has no shape of its own, so pieces are found by size.
  template <class Body>
  void each(Context& context, const Body& body) const {
    const Tensor& x = context.input(0);
    const int axis = normalize_axis(axis_, x.rank());
    const std::vector<int64_t> sizes = sizes_of(context, x.dim(axis));
    int64_t begin = 0;
    for (size_t o = 0; o < sizes.size(); ++o) {
      Shape shape = x.shape();
      shape[axis] = sizes[o];
      if (context.out[o]) body(static_cast<int>(o), piece_map(shape, x.shape(), axis, begin));
      begin += sizes[o];
    }
  }

  int64_t axis_;
  std::vector<int64_t> sizes_;
  bool inputs_, uneven_;
};

}  // namespace

std::vector<Row> concat_rows() {
  return {
      {"", "Concat", 1, "linear", true, {}, make_plain<Concat>, R"([
        {"inputs": [[2,3,4],[2,1,4],[2,2,4]], "attributes": {"axis": 1}},
        {"inputs": [[2,3],[2,4]], "attributes": {"axis": -1}},
        {"inputs": [[2,3],[3,3]], "attributes": {"axis": 0}},
        {"inputs": [{"dims": [2], "dtype": "int64", "values": [1,2]}, {"dims": [1], "dtype": "int64", "values": [3]}], "attributes": {"axis": 0}}
      ])"},
      {"", "Split", 2, "linear", true, {}, make_plain<Split>, R"([
        {"inputs": [[2,6,3]], "attributes": {"axis": 1}, "outputs": 3},
        {"inputs": [[2,6]], "attributes": {"axis": -1, "split": [1,5]}, "outputs": 2, "opset": 11},
        {"inputs": [[5,2], {"dims": [2], "dtype": "int64", "values": [4,1], "constant": true}], "outputs": 2},
        {"inputs": [[2,7]], "attributes": {"axis": 1, "num_outputs": 3}, "outputs": 3, "opset": 18}
      ])"},
  };
}

}  // namespace bitwright
