// Kinds of operators, each with its derivative rules derived.
//
//   Elementwise  y = f(x), f written once over any number type: its first two derivatives come from evaluating it on jets
//   Pairwise     y = f(a, b) with broadcasting, likewise
//   Product      y = B(a, b), linear in each argument; the rules follow from B and its two transposes
// Linear and selection ops are few and differ in how they index: they override tangent and adjoint directly.
#pragma once

#include <cmath>

#include "ops/broadcast.h"
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
    parallel_chunks(context.linear.pool, out.count(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = f_(x[i]);
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
    if (Sum<T> sum = context.template adjoint<T>(0)) apply(context, context.batch, g->template data<T>(), sum);
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
    parallel_chunks(context.linear.pool, count, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T second = f_(Jet1<T>::variable(x[i])).dd;
        if (second == T(0)) continue;
        for (int p = 0; p < context.probes; ++p) sum[p * count + i] += second * dxs[p * count + i] * gs[i];
      }
    });
  }

 private:
  // y[r] = or += f'(x) v[r]
  void apply(Context& context, int sets, const T* v, Sum<T> y) {
    const T* x = context.input(0).template data<T>();
    const int64_t count = context.input(0).count();
    parallel_chunks(context.linear.pool, count, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T slope = f_(Jet1<T>::variable(x[i])).d;
        for (int r = 0; r < sets; ++r) {
          const int64_t at = r * count + i;
          y.data[at] = y.accumulate ? y.data[at] + slope * v[at] : slope * v[at];
        }
      }
    });
  }

  F f_;
};

// F: struct with a template <class S> S operator()(const S&, const S&) const and a constructor from NodeInfo.
template <class T, class F>
class Pairwise : public Op {
 public:
  explicit Pairwise(const NodeInfo& info) : f_(info) {}

  void forward(Context& context) override {
    const Tensor& a = context.input(0);
    const Tensor& b = context.input(1);
    const Broadcast broadcast(a.shape(), b.shape());
    if (is_float(a.dtype())) {
      compute<T>(context, broadcast);
    } else if (a.dtype() == BW_INT64) {
      compute<int64_t>(context, broadcast);
    } else {
      compute<int32_t>(context, broadcast);
    }
  }

  void tangent(Context& context) override {
    const Tensor* da = context.tangent(0);
    const Tensor* db = context.tangent(1);
    if (!da && !db) return;
    const Broadcast broadcast(context.input(0).shape(), context.input(1).shape());
    T* y = context.make_tangent(0).template data<T>();
    const int64_t na = context.input(0).count(), nb = context.input(1).count(), n = broadcast.count();
    each(context, broadcast, [&](int64_t o, int64_t ia, int64_t ib, const Jet2<T>& f) {
      for (int p = 0; p < context.probes; ++p) {
        T sum = 0;
        if (da) sum += f.a * da->template data<T>()[p * na + ia];
        if (db) sum += f.b * db->template data<T>()[p * nb + ib];
        y[p * n + o] = sum;
      }
    });
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const Broadcast broadcast(context.input(0).shape(), context.input(1).shape());
    const int64_t n = broadcast.count();
    for (int side = 0; side < 2; ++side) {
      if (!context.adjoint_wanted(side)) continue;
      Tensor full = context.template make<T>([&] { Shape s = broadcast.shape(); s.insert(s.begin(), context.batch); return s; }());
      T* out = full.template data<T>();
      each(context, broadcast, [&](int64_t o, int64_t, int64_t, const Jet2<T>& f) {
        for (int r = 0; r < context.batch; ++r) out[r * n + o] = (side == 0 ? f.a : f.b) * g->template data<T>()[r * n + o];
      });
      reduce_adjoint<T>(context, side, side, broadcast, out);
    }
  }

  void curvature(Context& context) override {
    const Tensor* da = context.tangent(0);
    const Tensor* db = context.tangent(1);
    const Tensor* g = context.cotangent(0);
    if (!g || (!da && !db)) return;
    const Broadcast broadcast(context.input(0).shape(), context.input(1).shape());
    const int64_t na = context.input(0).count(), nb = context.input(1).count(), n = broadcast.count();
    for (int side = 0; side < 2; ++side) {
      if (!context.adjoint_wanted(side)) continue;
      Tensor full = context.template make<T>([&] { Shape s = broadcast.shape(); s.insert(s.begin(), context.batch); return s; }());
      T* out = full.template data<T>();
      std::fill(out, out + context.first * n, T(0));
      T* tangents = out + context.first * n;
      each(context, broadcast, [&](int64_t o, int64_t ia, int64_t ib, const Jet2<T>& f) {
        for (int p = 0; p < context.probes; ++p) {
          T sum = 0;
          if (da) sum += (side == 0 ? f.aa : f.ab) * da->template data<T>()[p * na + ia];
          if (db) sum += (side == 0 ? f.ab : f.bb) * db->template data<T>()[p * nb + ib];
          tangents[p * n + o] = sum * g->template data<T>()[o];
        }
      });
      reduce_adjoint<T>(context, side, side, broadcast, out);
    }
  }

 private:
  template <class S>
  void compute(Context& context, const Broadcast& broadcast) {
    const S* a = context.input(0).template data<S>();
    const S* b = context.input(1).template data<S>();
    S* y = context.output(0, DTypeOf<S>::value, broadcast.shape()).template data<S>();
    broadcast.each(context.linear.pool, [&](int64_t o, int64_t ia, int64_t ib) { y[o] = f_(a[ia], b[ib]); });
  }

  template <class Body>
  void each(Context& context, const Broadcast& broadcast, const Body& body) {
    const T* a = context.input(0).template data<T>();
    const T* b = context.input(1).template data<T>();
    broadcast.each(context.linear.pool, [&](int64_t o, int64_t ia, int64_t ib) {
      body(o, ia, ib, f_(Jet2<T>::first(a[ia]), Jet2<T>::second(b[ib])));
    });
  }

  F f_;
};

// One argument of a product: `sets` instances one after the other (1: shared by all), per sample when each sample has its own.
template <class T>
struct Operand {
  const T* data = nullptr;
  int sets = 1;
  bool per_sample = false;
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
