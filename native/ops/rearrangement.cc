#include "ops/rearrangement.h"

#include <algorithm>

namespace bitwright {

void Rearrangement::forward(Context& context) {
  const Plan plan = this->plan(context);
  const Tensor& x = context.input(0);
  const int64_t count = element_count(plan.shape);
  if (count == x.count() && plan.map.identity(count)) return context.alias(0, 0, plan.shape);
  Tensor& y = context.output(0, x.dtype(), plan.shape);
  if (plan.map.count() != count) background(context, y);
  copy_mapped(context.linear.pool, plan.map, x, y);
}

void Rearrangement::tangent(Context& context) {
  const Tensor* dx = context.tangent(0);
  if (!dx) return;
  const Plan plan = this->plan(context);
  const int64_t from_count = context.input(0).count(), count = context.out[0].count();
  Tensor& y = context.make_tangent(0);
  if (plan.map.count() != count) std::memset(y.raw(), 0, y.bytes());
  copy_mapped(context.linear.pool, plan.map.repeated(context.probes, from_count, count), *dx, y);
}

void Rearrangement::adjoint(Context& context) {
  const Tensor* g = context.cotangent(0);
  if (g) add_mapped_adjoint(context, 0, plan(context).map, *g);
}

void Rearrangement::background(const Context&, Tensor& y) const { std::memset(y.raw(), 0, y.bytes()); }

int normalize_axis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) invalid_model("axis " + std::to_string(axis) + " does not exist in a tensor of rank " + std::to_string(rank));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

std::vector<int> normalize_axes(const std::vector<int64_t>& axes, int rank) {
  std::vector<int> result;
  for (int64_t axis : axes) {
    const int from_front = normalize_axis(axis, rank);
    if (std::find(result.begin(), result.end(), from_front) != result.end()) invalid_model("axis " + std::to_string(axis) + " is named twice");
    result.push_back(from_front);
  }
  return result;
}

std::vector<int64_t> integer_list(const Tensor& tensor) {
  if (tensor.rank() > 1) invalid_model("expected a list of integers, received shape " + to_string(tensor.shape()));
  return to_int64(tensor);
}

}  // namespace bitwright
