// The kind of operators that pick elements of x: linear once it is known which. Outputs come in groups that pick from a part of x each.
#pragma once

#include <limits>

#include "ops/op.h"

namespace bitwright {

struct Groups {
  int64_t count, in, out;  // of x and y: count * in and count * out elements
};

template <class T>
class Selection : public Op {
 public:
  void tangent(Context& context) override {
    const Tensor* dx = context.tangent(0);
    if (!dx) return;
    const Groups groups = this->groups(context);
    const int32_t* index = (*context.saved)[0].template data<int32_t>();
    const T* from = dx->data<T>();
    T* to = context.make_tangent(0).template data<T>();
    context.linear.pool.parallel_for(context.probes * groups.count, [&](int64_t i) {
      const int32_t* at = index + (i % groups.count) * groups.out;
      for (int64_t o = 0; o < groups.out; ++o) to[i * groups.out + o] = at[o] < 0 ? T(0) : from[i * groups.in + at[o]];
    });
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const Sum<T> sum = context.template adjoint<T>(0);
    if (!sum) return;
    const Groups groups = this->groups(context);
    const int32_t* index = (*context.saved)[0].template data<int32_t>();
    const T* from = g->data<T>();
    context.linear.pool.parallel_for(context.batch * groups.count, [&](int64_t i) {
      const int32_t* at = index + (i % groups.count) * groups.out;
      T* to = sum.data + i * groups.in;
      if (!sum.accumulate) std::fill(to, to + groups.in, T(0));
      for (int64_t o = 0; o < groups.out; ++o)
        if (at[o] >= 0) to[at[o]] += from[i * groups.out + o];
    });
  }

 protected:
  virtual Groups groups(const Context& context) const = 0;

  // Room for the index that each output picks from its group; -1 picks nothing, the output is a constant. Saved for the derivatives.
  int32_t* make_index(Context& context) const {
    const Groups groups = this->groups(context);
    if (groups.in > std::numeric_limits<int32_t>::max()) unsupported("more than 2^31 elements to pick from are not supported");
    context.saved->assign(1, context.template make<int32_t>({groups.count, groups.out}));
    return context.saved->front().template data<int32_t>();
  }
};

}  // namespace bitwright
