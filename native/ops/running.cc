// CumSum: sums of all elements so far along an axis. Linear; its transpose sums from the other end.
#include "ops/dtypes.h"
#include "ops/families.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

template <class T>
class CumSum : public Op {
 public:
  explicit CumSum(const NodeInfo& info) : exclusive_(info.node.attributes.integer("exclusive", 0) != 0), reverse_(info.node.attributes.integer("reverse", 0) != 0) {}

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    Tensor& y = context.output(0, x.dtype(), x.shape());
    visit_number(x.dtype(), [&](auto zero) {
      using S = decltype(zero);
      run(context, 1, x.data<S>(), {y.data<S>(), false}, reverse_);
    });
  }

  void tangent(Context& context) override {
    if (const Tensor* dx = context.tangent(0)) run<T>(context, context.probes, dx->data<T>(), {context.make_tangent(0).template data<T>(), false}, reverse_);
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    if (const Sum<T> sum = context.template adjoint<T>(0)) run<T>(context, context.batch, g->data<T>(), sum, !reverse_);
  }

 private:
  template <class S>
  void run(Context& context, int sets, const S* x, Sum<S> y, bool backwards) const {
    using Wide = std::conditional_t<std::is_integral_v<S>, S, double>;
    const Shape& shape = context.input(0).shape();
    const std::vector<int64_t> axes = to_int64(context.input(1));
    if (axes.size() != 1) invalid_model("the axis of CumSum must be one number");
    const int axis = normalize_axis(axes[0], context.input(0).rank());
    const int64_t size = shape[axis], inner = element_count({shape.begin() + axis + 1, shape.end()}), lines = sets * element_count({shape.begin(), shape.begin() + axis}) * inner;
    context.linear.pool.parallel_for(lines, [&](int64_t line) {
      const int64_t start = line / inner * size * inner + line % inner;
      Wide sum = 0;
      for (int64_t k = 0; k < size; ++k) {
        const int64_t at = start + (backwards ? size - 1 - k : k) * inner;
        const Wide with = wrapping_add(sum, static_cast<Wide>(x[at]));
        const S value = static_cast<S>(exclusive_ ? sum : with);
        y.data[at] = y.accumulate ? wrapping_add(y.data[at], value) : value;
        sum = with;
      }
    });
  }

  bool exclusive_, reverse_;
};

}  // namespace

std::vector<Row> running_rows() {
  return {{"", "CumSum", 11, "linear", true, {}, make_op<CumSum>, R"([
    {"inputs": [[2,5,3], {"dims": [], "dtype": "int64", "values": [1], "constant": true}]},
    {"inputs": [[2,5], {"dims": [1], "dtype": "int32", "values": [-1], "constant": true}], "attributes": {"exclusive": 1}},
    {"inputs": [[4,3], {"dims": [], "dtype": "int64", "values": [0], "constant": true}], "attributes": {"exclusive": 1, "reverse": 1}},
    {"inputs": [{"dims": [2,4], "dtype": "int64", "values": [1,0,1,1,5,-2,0,3]}, {"dims": [], "dtype": "int64", "values": [1], "constant": true}], "attributes": {"reverse": 1}}
  ])"}};
}

}  // namespace bitwright
