// Elements and positions picked by their values: TopK, whose values have the derivative of the elements they are, and what only gives positions or
// flags: Hardmax, NonZero, EyeLike, IsInf.
#include <cmath>
#include <numeric>

#include "ops/dtypes.h"
#include "ops/families.h"
#include "ops/rearrangement.h"
#include "ops/selection.h"

namespace bitwright {

namespace {

// The lines of a tensor along an axis.
struct Lines {
  int64_t outer, size, inner;

  Lines(const Shape& shape, int axis)
      : outer(element_count({shape.begin(), shape.begin() + axis})), size(shape[axis]), inner(element_count({shape.begin() + axis + 1, shape.end()})) {}
};

// The k greatest (or least) elements of every line, in order; equal ones in that of their places.
template <class T>
class TopK : public Selection<T> {
 public:
  explicit TopK(const NodeInfo& info)
      : input_(info.opset >= 10), k_(info.node.attributes.integer("k", 0)), axis_(info.node.attributes.integer("axis", -1)),
        greatest_(info.node.attributes.integer("largest", 1) != 0) {}

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    const int axis = normalize_axis(axis_, x.rank());
    const Lines lines(x.shape(), axis);
    const int64_t k = count(context);
    Shape shape = x.shape();
    shape[axis] = k;
    int32_t* index = this->make_index(context);
    visit_number(x.dtype(), [&](auto zero) {
      using S = decltype(zero);
      const S* from = x.data<S>();
      S* y = context.output(0, x.dtype(), shape).template data<S>();
      context.linear.pool.parallel_for(lines.outer, [&](int64_t o) {
        std::vector<int64_t> order(lines.size);
        for (int64_t i = 0; i < lines.inner; ++i) {
          const S* line = from + o * lines.size * lines.inner + i;
          std::iota(order.begin(), order.end(), int64_t{0});
          std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
            const S first = line[a * lines.inner], second = line[b * lines.inner];
            return first == second ? a < b : greatest_ ? first > second : first < second;
          });
          for (int64_t j = 0; j < k; ++j) {
            const int64_t at = (o * k + j) * lines.inner + i;
            y[at] = line[order[j] * lines.inner];
            index[at] = static_cast<int32_t>(order[j] * lines.inner + i);
          }
        }
      });
    });
    if (!context.wanted(1)) return;
    int64_t* places = context.output(1, BW_INT64, shape).template data<int64_t>();
    std::transform(index, index + context.out[1].count(), places, [&](int32_t at) { return at / lines.inner; });
  }

 private:
  Groups groups(const Context& context) const override {
    const Lines lines(context.input(0).shape(), normalize_axis(axis_, context.input(0).rank()));
    return {lines.outer, lines.size * lines.inner, count(context) * lines.inner};
  }

  int64_t count(const Context& context) const {
    const std::vector<int64_t> given = input_ ? to_int64(context.input(1)) : std::vector<int64_t>{k_};
    const int64_t size = context.input(0).dim(normalize_axis(axis_, context.input(0).rank()));
    if (given.size() != 1 || given[0] < 0 || given[0] > size) invalid_model("k must be one number between 0 and " + std::to_string(size));
    return given[0];
  }

  bool input_;
  int64_t k_, axis_;
  bool greatest_;
};

// 1 for the first greatest element along the axis, 0 elsewhere. Below opset 13 over all axes from `axis` on.
template <class T>
class Hardmax : public Op {
 public:
  explicit Hardmax(const NodeInfo& info) : flatten_(info.opset < 13), axis_(info.node.attributes.integer("axis", flatten_ ? 1 : -1)) {}

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    const int axis = normalize_axis(axis_, x.rank());
    Lines lines(x.shape(), axis);
    if (flatten_) {
      lines.size *= lines.inner;
      lines.inner = 1;
    }
    const T* from = x.data<T>();
    Tensor& y = context.output(0, x.dtype(), x.shape());
    std::memset(y.raw(), 0, y.bytes());
    for (int64_t o = 0; o < lines.outer * lines.inner && lines.size > 0; ++o) {
      const int64_t start = o / lines.inner * lines.size * lines.inner + o % lines.inner;
      int64_t best = 0;
      for (int64_t k = 1; k < lines.size; ++k)
        if (from[start + k * lines.inner] > from[start + best * lines.inner]) best = k;
      y.data<T>()[start + best * lines.inner] = 1;
    }
  }

 private:
  bool flatten_;
  int64_t axis_;
};

// The positions of what is not zero: one column each, in the order of the elements.
class NonZero : public Op {
 public:
  explicit NonZero(const NodeInfo&) {}

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    std::vector<int64_t> found;
    visit_dtype(x.dtype(), [&](auto zero) {
      using S = decltype(zero);
      for (int64_t i = 0; i < x.count(); ++i)
        if (x.data<S>()[i] != S(0)) found.push_back(i);
    });
    const int64_t rank = std::max(1, x.rank()), count = static_cast<int64_t>(found.size());
    const std::vector<int64_t> strides = IndexMap::strides(x.shape());
    int64_t* y = context.output(0, BW_INT64, {rank, count}).data<int64_t>();
    for (int64_t i = 0; i < count; ++i)
      for (int64_t axis = 0, rest = found[i]; axis < rank; ++axis) {
        const int64_t stride = strides.empty() ? 1 : strides[axis];
        y[axis * count + i] = rest / stride;
        rest %= stride;
      }
  }
};

// Ones on a diagonal of a matrix as large as the input.
class EyeLike : public Op {
 public:
  explicit EyeLike(const NodeInfo& info)
      : real_(info.real), typed_(info.node.attributes.has("dtype")), dtype_(info.node.attributes.integer("dtype", 0)), diagonal_(info.node.attributes.integer("k", 0)) {}

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    if (x.rank() != 2) invalid_model("EyeLike takes a matrix, not shape " + to_string(x.shape()));
    const auto given = static_cast<bw_dtype>(dtype_);
    const bw_dtype dtype = !typed_ ? x.dtype() : is_float(given) ? real_ : given;
    Tensor& y = context.output(0, dtype, x.shape());
    std::memset(y.raw(), 0, y.bytes());
    visit_dtype(dtype, [&](auto zero) {
      for (int64_t i = 0; i < x.dim(0); ++i)
        if (i + diagonal_ >= 0 && i + diagonal_ < x.dim(1)) y.data<decltype(zero)>()[i * x.dim(1) + i + diagonal_] = 1;
    });
  }
  // Only the input's shape counts.
  void tangent(Context& context) override { context.tangent(0); }
  void adjoint(Context& context) override { context.adjoint_wanted(0); }

 private:
  bw_dtype real_;
  bool typed_;
  int64_t dtype_, diagonal_;
};

}  // namespace

std::vector<Row> pick_rows() {
  return {
      {"", "TopK", 1, "selection", true, {}, make_op<TopK>, R"([
        {"inputs": [[3,7], {"dims": [1], "dtype": "int64", "values": [3], "constant": true}], "outputs": 2},
        {"inputs": [[2,5,3], {"dims": [1], "dtype": "int64", "values": [2], "constant": true}], "attributes": {"axis": 1, "largest": 0}, "outputs": 2},
        {"inputs": [[2,5]], "attributes": {"k": 2}, "outputs": 2, "opset": 9},
        {"inputs": [{"dims": [6], "dtype": "int64", "values": [3,9,3,1,9,2]}, {"dims": [1], "dtype": "int64", "values": [4], "constant": true}], "outputs": 2}
      ])"},
      {"", "Hardmax", 1, "shape", false, {}, make_op<Hardmax>, R"([
        {"inputs": [[3,5]]}, {"inputs": [[2,4,3]], "attributes": {"axis": 1}}, {"inputs": [[2,4,3]], "attributes": {"axis": 1}, "opset": 11}
      ])"},
      {"", "NonZero", 9, "shape", false, {}, make_plain<NonZero>, R"([
        {"inputs": [{"dims": [2,3], "values": [1,0,2,0,0,3]}]}, {"inputs": [{"dims": [4], "dtype": "bool", "values": [0,1,1,0]}]}
      ])"},
      {"", "EyeLike", 9, "shape", true, {}, make_plain<EyeLike>, R"([
        {"inputs": [{"dims": [3,4], "dtype": "int32", "values": [0,0,0,0,0,0,0,0,0,0,0,0]}], "attributes": {"k": 1}},
        {"inputs": [{"dims": [3,3], "constant": true}], "attributes": {"dtype": 7}}, {"inputs": [{"dims": [2,3], "constant": true}], "attributes": {"k": -1}}
      ])"},
  };
}

}  // namespace bitwright
