#include "ops/op.h"

namespace bitwright {

const Tensor& Context::input(int i) const {
  if (!has(i)) invalid_model("input " + std::to_string(i) + " is missing");
  return in[i];
}

Tensor& Context::place(int o, Tensor tensor) {
  if (o >= static_cast<int>(out.size())) invalid_model("output " + std::to_string(o) + " is missing");
  return out[o] = std::move(tensor);
}

Tensor& Context::output(int o, bw_dtype dtype, Shape shape) { return place(o, Tensor(pool, dtype, std::move(shape))); }

Tensor& Context::output_over(int o, int i) {
  const Tensor& source = input(i);
  if (!keep && in_reusable[i]) return place(o, source);
  return output(o, source.dtype(), source.shape());
}

Tensor& Context::make_tangent(int o) {
  Shape shape = out[o].shape();
  shape.insert(shape.begin(), probes);
  return out_tangent[o] = Tensor(pool, out[o].dtype(), std::move(shape));
}

const Tensor* Context::tangent(int i) const {
  if (i >= static_cast<int>(in_tangent.size())) return nullptr;
  tangent_asked.resize(in_tangent.size());
  tangent_asked[i] = true;
  return in_tangent[i] ? &in_tangent[i] : nullptr;
}

bool Context::adjoint_wanted(int i) const {
  if (i >= static_cast<int>(adjoints.size())) return false;
  adjoints[i].asked = true;
  return adjoints[i].wanted;
}

ParameterSum Context::parameter(int i) const {
  if (i >= static_cast<int>(parameters.size())) return {};
  adjoints[i].asked = true;
  return parameters[i];
}

void Context::check_tangents_asked() const {
  for (size_t i = 0; i < in_tangent.size(); ++i)
    if (in_tangent[i] && !(i < tangent_asked.size() && tangent_asked[i])) unsupported("has no derivative in its input " + std::to_string(i));
}

void Context::check_adjoints_asked() const {
  for (size_t i = 0; i < adjoints.size(); ++i)
    if (adjoints[i].wanted && !adjoints[i].asked) unsupported("has no derivative in its input " + std::to_string(i));
}

void Context::add_adjoint(int i, const Tensor& tensor) {
  if (!adjoint_wanted(i)) return;
  AdjointSlot& slot = adjoints[i];
  if (!slot.started) {
    Shape shape = in[i].shape();
    shape.insert(shape.begin(), batch);
    slot.tensor = tensor.reshaped(std::move(shape));
    slot.started = true;
    return;
  }
  if (tensor.dtype() == BW_FLOAT64)
    add_to(linear, tensor.data<double>(), tensor.count(), adjoint<double>(i).data);
  else
    add_to(linear, tensor.data<float>(), tensor.count(), adjoint<float>(i).data);
}

void Op::tangent(Context&) { unsupported("has no derivative"); }
void Op::adjoint(Context&) { unsupported("has no derivative"); }

}  // namespace bitwright
