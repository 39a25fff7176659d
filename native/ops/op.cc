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
