// Kinds of operators, each with its derivative rules derived.
//
//   Elementwise  y = f(x), f written once over any number type: its first two derivatives come from evaluating it on jets
//   Pairwise     y = f(a, b) with broadcasting, likewise
//   Product      y = B(a, b), linear in each argument; the rules follow from B and its two transposes
// Linear and selection ops are few and differ in how they index: they override tangent and adjoint directly.
#pragma once

#include <cmath>

#include "ops/broadcast.h"
#include "ops/dtypes.h"
#include "ops/jet.h"
#include "ops/op.h"

namespace bitwright {

// F: struct with a template <class S> S operator()(const S&) const and a constructor from NodeInfo.
template <class T, class F>
class Elementwise : public Op {
 public:
  explicit Elementwise(const NodeInfo& info) : f_(info) {}

  void forward(Context& context) override {
    const T* x = context.input(0).template data<T>();
    Tensor& out = context.output_over(0, 0);
    T* y = out.template data<T>();
    // Through a block of its own: where y overwrites x, no compiler would use vectors.
    blocks(context, out.count(), [&](int64_t at, int64_t length, T* value) {
      const F f = f_;
      for (int64_t i = 0; i < length; ++i) value[i] = f(x[at + i]);
      std::memcpy(y + at, value, length * sizeof(T));
    });
  }

  void tangent(Context& context) override {
    const Tensor* dx = context.tangent(0);
    if (!dx) return;
    apply(context, context.probes, dx->template data<T>(), {context.make_tangent(0).template data<T>(), false});
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    if (const Sum<T> sum = context.template adjoint<T>(0)) apply(context, context.batch, g->template data<T>(), sum);
  }

  void curvature(Context& context) override {
    const Tensor* dx = context.tangent(0);
    const Tensor* g = context.cotangent(0);
    if (!dx || !g || !context.adjoint_wanted(0)) return;
    const T* x = context.input(0).template data<T>();
    const int64_t count = context.input(0).count();
    const T* gs = g->template data<T>();
    const T* dxs = dx->template data<T>();
    T* sum = context.template adjoint<T>(0).data + context.first * count;
    blocks(context, count, [&](int64_t at, int64_t length, T* factor) {
      const F f = f_;
      for (int64_t i = 0; i < length; ++i) factor[i] = f(Jet1<T>::variable(x[at + i])).dd * gs[at + i];
      for (int p = 0; p < context.probes; ++p) multiply_add(context.linear, factor, dxs + p * count + at, length, sum + p * count + at);
    });
  }

 protected:
  F f_;

 private:
  // y[r] = or += f'(x) v[r]
  void apply(Context& context, int sets, const T* v, Sum<T> y) {
    const T* x = context.input(0).template data<T>();
    const int64_t count = context.input(0).count();
    blocks(context, count, [&](int64_t at, int64_t length, T* slope) {
      const F f = f_;
      for (int64_t i = 0; i < length; ++i) slope[i] = f(Jet1<T>::variable(x[at + i])).d;
      for (int r = 0; r < sets; ++r) {
        const int64_t o = r * count + at;
        if (y.accumulate)
          multiply_add(context.linear, slope, v + o, length, y.data + o);
        else
          multiply(context.linear, slope, v + o, length, y.data + o);
      }
    });
  }

  // Calls body(first element, length, room for as many numbers) for blocks that fit the nearest cache.
  template <class Body>
  static void blocks(Context& context, int64_t count, const Body& body) {
    constexpr int64_t kBlock = 1024;
    parallel_chunks(context.linear.pool, count, [&](int64_t begin, int64_t end) {
      T room[kBlock];
      for (int64_t at = begin; at < end; at += kBlock) body(at, std::min(kBlock, end - at), room);
    });
  }
};

// F: struct with a template <class S> S operator()(const S&, const S&) const and a constructor from NodeInfo.
template <class T, class F>
class Pairwise : public Op {
 public:
  explicit Pairwise(const NodeInfo& info) : f_(info) {}

  void forward(Context& context) override {
    const Broadcast broadcast(context.input(0).shape(), context.input(1).shape());
    visit_number(context.input(0).dtype(), [&](auto zero) {
      using S = decltype(zero);
      const S* a = context.input(0).template data<S>();
      const S* b = context.input(1).template data<S>();
      S* y = context.output(0, DTypeOf<S>::value, broadcast.shape()).template data<S>();
      broadcast.each_pair(context.linear.pool, a, b, [y, f = f_](int64_t o, S x, S z) { y[o] = f(x, z); });
    });
  }

  void tangent(Context& context) override {
    if (!context.tangent(0) && !context.tangent(1)) return;
    const Tangents d(context);
    const Broadcast broadcast(context.input(0).shape(), context.input(1).shape());
    T* y = context.make_tangent(0).template data<T>();
    each(context, broadcast, [&](int64_t o, int64_t ia, int64_t ib, const Jet2<T>& f) {
      for (int p = 0; p < context.probes; ++p) y[p * broadcast.count() + o] = d.along(p, ia, ib, f.a, f.b);
    });
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const T* gs = g->template data<T>();
    const Broadcast broadcast(context.input(0).shape(), context.input(1).shape());
    const int64_t n = broadcast.count();
    for (int side = 0; side < 2; ++side) {
      if (!context.adjoint_wanted(side)) continue;
      Tensor full = context.template make<T>({context.batch, n});
      T* out = full.template data<T>();
      each(context, broadcast, [&](int64_t o, int64_t, int64_t, const Jet2<T>& f) {
        for (int r = 0; r < context.batch; ++r) out[r * n + o] = (side == 0 ? f.a : f.b) * gs[r * n + o];
      });
      reduce_adjoint<T>(context, side, side, broadcast, out);
    }
  }

  void curvature(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g || (!context.tangent(0) && !context.tangent(1))) return;
    const T* gs = g->template data<T>();
    const Tangents d(context);
    const Broadcast broadcast(context.input(0).shape(), context.input(1).shape());
    const int64_t n = broadcast.count();
    for (int side = 0; side < 2; ++side) {
      if (!context.adjoint_wanted(side)) continue;
      Tensor full = context.template make<T>({context.probes, n});
      T* out = full.template data<T>();
      each(context, broadcast, [&](int64_t o, int64_t ia, int64_t ib, const Jet2<T>& f) {
        for (int p = 0; p < context.probes; ++p)
          out[p * n + o] = gs[o] * (side == 0 ? d.along(p, ia, ib, f.aa, f.ab) : d.along(p, ia, ib, f.ab, f.bb));
      });
      reduce_adjoint<T>(context, side, side, broadcast, out, context.first, context.probes);
    }
  }

 protected:
  F f_;

 private:
  // The tangents of both arguments; a missing one is zero.
  struct Tangents {
    explicit Tangents(const Context& context)
        : a(context.tangent(0) ? context.tangent(0)->template data<T>() : nullptr),
          b(context.tangent(1) ? context.tangent(1)->template data<T>() : nullptr),
          count_a(context.input(0).count()),
          count_b(context.input(1).count()) {}

    T along(int p, int64_t ia, int64_t ib, T slope_a, T slope_b) const {
      return (a ? slope_a * a[p * count_a + ia] : T(0)) + (b ? slope_b * b[p * count_b + ib] : T(0));
    }

    const T *a, *b;
    int64_t count_a, count_b;
  };

  template <class Body>
  void each(Context& context, const Broadcast& broadcast, const Body& body) {
    const T* a = context.input(0).template data<T>();
    const T* b = context.input(1).template data<T>();
    broadcast.each(context.linear.pool, [&](int64_t o, int64_t ia, int64_t ib) {
      body(o, ia, ib, f_(Jet2<T>::first(a[ia]), Jet2<T>::second(b[ib])));
    });
  }
};

// One argument of a product: `sets` instances one after the other (1: shared by all), per sample when each sample has its own.
template <class T>
struct Operand {
  const T* data = nullptr;
  int sets = 1;
  bool per_sample = false;

  // Instance s, of `count` elements.
  const T* set(int s, int64_t count) const { return data + (sets == 1 ? 0 : s) * count; }
};

// y = B(a, b) (+ terms of its own, such as a bias, by overriding the *_rest functions). b may be a weight with probes: its second-order
// terms are contracted with the directions V as they arise and H V is never formed,
//   v . (H v) = <B(a, V), dg> + <A_a(V, g), da>     (g the output's cotangent, dg and da tangents),
// where A_a(b, .) is the transpose of B(., b).
template <class T>
class Product : public Op {
 public:
  void tangent(Context& context) override;
  void adjoint(Context& context) override;
  void curvature(Context& context) override;

 protected:
  // y[s] = or += B(a[s], b[s]); s runs over the larger number of sets.
  virtual void product(Context& context, Operand<T> a, Operand<T> b, T* y, bool accumulate) = 0;
  // da[s] = or += the transpose in a.
  virtual void transpose_a(Context& context, Operand<T> b, Operand<T> g, T* da, bool accumulate) = 0;
  // db[s] = or += the transpose in b, for an activation b.
  virtual void transpose_b(Context& context, Operand<T> a, Operand<T> g, T* db, bool accumulate) = 0;
  // db += the transpose in b for one set, summed over samples in their order in double.
  virtual void transpose_parameter(Context& context, const T* a, const T* g, double* db) = 0;

  // The affine rest (bias): its tangent is added to y, its cotangent taken from g.
  virtual void rest_tangent(Context&, T*) {}
  virtual bool rest_has_tangent(Context&) { return false; }
  virtual void rest_adjoint(Context&, const Tensor&) {}
};

}  // namespace bitwright
