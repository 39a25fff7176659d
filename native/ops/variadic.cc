// Sum, Mean, Max and Min of any number of tensors, with broadcasting.
#include "ops/broadcast.h"
#include "ops/dtypes.h"
#include "ops/families.h"

namespace bitwright {

namespace {

class Variadic : public Op {
 protected:
  static Shape common_shape(const Context& context) {
    Shape shape = context.input(0).shape();
    for (int i = 1; i < context.inputs(); ++i) shape = Broadcast(shape, context.input(i).shape()).shape();
    return shape;
  }

  static Broadcast onto(const Shape& shape, const Context& context, int i) { return {shape, context.input(i).shape()}; }

  static bool any_tangent(const Context& context) {
    for (int i = 0; i < context.inputs(); ++i)
      if (context.tangent(i)) return true;
    return false;
  }
};

template <class T, bool mean>
class Total : public Variadic {
 public:
  explicit Total(const NodeInfo& info) : factor_(mean ? T(1) / static_cast<T>(info.node.inputs.size()) : T(1)) {}

  void forward(Context& context) override {
    const Shape shape = common_shape(context);
    T* y = context.output(0, DTypeOf<T>::value, shape).template data<T>();
    for (int i = 0; i < context.inputs(); ++i)
      spread(context.linear, onto(shape, context, i), 1, context.input(i).template data<T>(), factor_, y, i > 0);
  }

  void tangent(Context& context) override {
    if (!any_tangent(context)) return;
    const Shape& shape = context.out[0].shape();
    T* y = context.make_tangent(0).template data<T>();
    for (int p = 0; p < context.probes; ++p, y += context.out[0].count()) {
      bool started = false;
      for (int i = 0; i < context.inputs(); ++i) {
        if (const Tensor* dx = context.tangent(i)) {
          spread(context.linear, onto(shape, context, i), 1, dx->data<T>() + p * context.input(i).count(), factor_, y, started);
          started = true;
        }
      }
    }
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    Tensor shared = *g;
    if (mean) {
      shared = context.template make<T>(g->shape());
      scale_shift(context.linear, g->data<T>(), factor_, T(0), g->count(), shared.template data<T>());
    }
    for (int i = 0; i < context.inputs(); ++i) {
      if (!context.adjoint_wanted(i)) continue;
      if (context.input(i).count() == context.out[0].count() && !context.parameter(i))
        context.add_adjoint(i, shared);
      else
        reduce_adjoint<T>(context, i, 1, onto(context.out[0].shape(), context, i), static_cast<const Tensor&>(shared).template data<T>());
    }
  }

 private:
  T factor_;
};

template <class T>
using SumOf = Total<T, false>;
template <class T>
using Mean = Total<T, true>;

// The greatest or least of the inputs; the first one where several are equal, which also gets the derivative.
template <class T, bool greatest>
class Extreme : public Variadic {
 public:
  explicit Extreme(const NodeInfo&) {}

  void forward(Context& context) override {
    const Shape shape = common_shape(context);
    Tensor chosen = context.template make<int32_t>(shape);
    int32_t* which = chosen.template data<int32_t>();
    visit_number(context.input(0).dtype(), [&](auto zero) {
      using S = decltype(zero);
      S* y = context.output(0, DTypeOf<S>::value, shape).template data<S>();
      for (int i = 0; i < context.inputs(); ++i) {
        const S* x = context.input(i).template data<S>();
        onto(shape, context, i).each(context.linear.pool, [&](int64_t o, int64_t, int64_t at) {
          if (i > 0 && !(greatest ? x[at] > y[o] : x[at] < y[o])) return;
          y[o] = x[at];
          which[o] = i;
        });
      }
    });
    if (context.keep) context.saved->assign(1, chosen);
  }

  void tangent(Context& context) override {
    if (!any_tangent(context)) return;
    const int64_t count = context.out[0].count();
    const int32_t* which = (*context.saved)[0].template data<int32_t>();
    T* y = context.make_tangent(0).template data<T>();
    fill(context.linear, T(0), count * context.probes, y);
    for (int i = 0; i < context.inputs(); ++i) {
      const Tensor* dx = context.tangent(i);
      if (!dx) continue;
      const T* from = dx->data<T>();
      onto(context.out[0].shape(), context, i).each(context.linear.pool, [&](int64_t o, int64_t, int64_t at) {
        for (int p = 0; which[o] == i && p < context.probes; ++p) y[p * count + o] = from[p * context.in[i].count() + at];
      });
    }
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const int64_t count = context.out[0].count();
    const int32_t* which = (*context.saved)[0].template data<int32_t>();
    const T* from = g->data<T>();
    for (int i = 0; i < context.inputs(); ++i) {
      if (!context.adjoint_wanted(i)) continue;
      Tensor masked = context.template make<T>(g->shape());
      T* to = masked.template data<T>();
      parallel_chunks(context.linear.pool, context.batch * count, [&](int64_t begin, int64_t end) {
        for (int64_t j = begin; j < end; ++j) to[j] = which[j % count] == i ? from[j] : T(0);
      });
      reduce_adjoint<T>(context, i, 1, onto(context.out[0].shape(), context, i), to);
    }
  }
};

template <class T>
using Max = Extreme<T, true>;
template <class T>
using Min = Extreme<T, false>;

}  // namespace

std::vector<Row> variadic_rows() {
  return {
      {"", "Sum", 8, "linear", true, {}, make_op<SumOf>, R"([{"inputs": [[2,3],[2,3],[3]]}, {"inputs": [[2,3]]}, {"inputs": [[2,1],[3],[]]}])"},
      {"", "Mean", 8, "linear", true, {}, make_op<Mean>, R"([{"inputs": [[2,3],[2,3],[3]]}, {"inputs": [[2,1],[1,3]]}])"},
      {"", "Max", 8, "selection", true, {}, make_op<Max>, R"([
        {"inputs": [[2,3],[2,3],[3]]},
        {"inputs": [[2,3],{"dims": [], "values": [0.1]}]},
        {"inputs": [{"dims": [3], "dtype": "int64", "values": [1,5,3]}, {"dims": [], "dtype": "int64", "values": [3]}]}
      ])"},
      {"", "Min", 8, "selection", true, {}, make_op<Min>, R"([
        {"inputs": [[2,3],[2,1],[3]]},
        {"inputs": [{"dims": [3], "dtype": "int32", "values": [1,5,3]}, {"dims": [], "dtype": "int32", "values": [3]}]}
      ])"},
  };
}

}  // namespace bitwright
