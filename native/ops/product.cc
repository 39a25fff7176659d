#include "ops/kinds.h"

namespace bitwright {

namespace {

// forms[p][n] += <x[p][n], y[p][n]> over the elements of a sample.
template <class T>
void add_forms(Context& context, const WeightProbe& probe, const T* x, const T* y, int64_t count) {
  if (count % context.samples != 0) unsupported("has a tensor that does not divide into samples along its first axis");
  const int64_t each = count / context.samples;
  context.linear.pool.parallel_for(context.probes * context.samples, [&](int64_t i) {
    const int64_t p = i / context.samples, n = i % context.samples;
    probe.forms[p * probe.probe_stride + n * probe.sample_stride] += dot(context.linear, x + i * each, y + i * each, each);
  });
}

}  // namespace

template <class T>
void Product<T>::tangent(Context& context) {
  const Tensor* da = context.tangent(0);
  const Tensor* db = context.tangent(1);
  const WeightProbe probe = context.weight_probe(1);
  if (!da && !db && !probe && !rest_has_tangent(context)) return;
  const Operand<T> a{context.input(0).template data<T>()};
  const Operand<T> b{context.input(1).template data<T>()};
  const int probes = context.probes;
  Tensor& out = context.make_tangent(0);
  T* y = out.template data<T>();
  bool started = false;
  if (probe) {
    const Operand<T> v{probe.directions.template data<T>(), probes, probe.per_sample};
    if (probe.forms) {
      // <B(a, V), dg> is due in the reverse sweep.
      context.saved->assign(1, context.template make<T>(out.shape()));
      T* kept = context.saved->front().template data<T>();
      product(context, a, v, kept, false);
      copy(context.linear, kept, out.count(), y);
    } else {
      product(context, a, v, y, false);
    }
    started = true;
  }
  if (db) {
    product(context, a, {db->template data<T>(), probes}, y, started);
    started = true;
  }
  if (da) {
    product(context, {da->template data<T>(), probes}, b, y, started);
    started = true;
  }
  if (!started) fill(context.linear, T(0), out.count(), y);
  rest_tangent(context, y);
}

template <class T>
void Product<T>::adjoint(Context& context) {
  const Tensor* g = context.cotangent(0);
  if (!g) return;
  const T* gs = g->template data<T>();
  const T* a = context.input(0).template data<T>();
  const T* b = context.input(1).template data<T>();
  if (const Sum<T> sum = context.template adjoint<T>(0)) transpose_a(context, {b}, {gs, context.batch}, sum.data, sum.accumulate);
  if (const ParameterSum parameter = context.parameter(1)) {
    const int64_t each = context.out[0].count();
    for (int s = 0; s < parameter.sets; ++s)
      transpose_parameter(context, a, gs + (parameter.first + s) * each, parameter.data + s * context.input(1).count());
  } else if (const Sum<T> sum = context.template adjoint<T>(1)) {
    transpose_b(context, {a}, {gs, context.batch}, sum.data, sum.accumulate);
  }
  rest_adjoint(context, *g);
}

template <class T>
void Product<T>::curvature(Context& context) {
  const Tensor* g = context.cotangent(0);
  if (!g) return;
  const Tensor* da = context.tangent(0);
  const Tensor* db = context.tangent(1);
  const WeightProbe probe = context.weight_probe(1);
  const int64_t na = context.input(0).count(), nb = context.input(1).count(), ny = context.out[0].count();
  const T* g0 = g->template data<T>();
  const Operand<T> shared_g{g0};
  const auto tangents_of = [&](int i, int64_t count) {
    const Sum<T> sum = context.template adjoint<T>(i);
    return sum ? sum.data + context.first * count : nullptr;
  };

  if (probe) {
    if (probe.forms) add_forms(context, probe, context.saved->front().template data<T>(), g0 + context.first * ny, ny);
    if (da || context.adjoint_wanted(0)) {
      Tensor back = context.template make<T>([&] { Shape s = context.input(0).shape(); s.insert(s.begin(), context.probes); return s; }());
      T* back_data = back.template data<T>();
      transpose_a(context, {probe.directions.template data<T>(), context.probes, probe.per_sample}, shared_g, back_data, false);
      if (da && probe.forms) add_forms(context, probe, back_data, da->template data<T>(), na);
      if (T* sum = tangents_of(0, na)) add_to(context.linear, back_data, back.count(), sum);
    }
  }
  if (db)
    if (T* sum = tangents_of(0, na)) transpose_a(context, {db->template data<T>(), context.probes}, shared_g, sum, true);
  if (da) {
    if (const ParameterSum parameter = context.parameter(1)) {
      for (int s = 0; s < parameter.sets; ++s) transpose_parameter(context, da->template data<T>() + s * na, g0, parameter.data + s * nb);
    } else if (T* sum = tangents_of(1, nb)) {
      transpose_b(context, {da->template data<T>(), context.probes}, shared_g, sum, true);
    }
  }
}

template class Product<float>;
template class Product<double>;

}  // namespace bitwright
