#include "ops/index_map.h"

#include <algorithm>

namespace bitwright {

IndexMap::IndexMap(std::vector<Axis> axes, int64_t from_start, int64_t to_start) : from_start_(from_start), to_start_(to_start) {
  for (Axis& axis : axes) {
    count_ *= axis.size;
    if (axis.size == 1) {
      from_start_ += axis.source(0);
      continue;
    }
    // Two neighbours that step as one become one.
    if (!axes_.empty() && axes_.back().table.empty() && axis.table.empty() && axes_.back().from == axis.from * axis.size &&
        axes_.back().to == axis.to * axis.size)
      axes_.back() = {axes_.back().size * axis.size, axis.from, axis.to, {}};
    else
      axes_.push_back(std::move(axis));
  }
  if (axes_.empty()) axes_.push_back({1, 1, 1, {}});
}

std::vector<int64_t> IndexMap::strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0; step *= shape[i]) strides[i] = step;
  return strides;
}

IndexMap IndexMap::repeated(int64_t sets, int64_t from_count, int64_t to_count) const {
  std::vector<Axis> axes = {{sets, from_count, to_count, {}}};
  axes.insert(axes.end(), axes_.begin(), axes_.end());
  return IndexMap(std::move(axes), from_start_, to_start_);
}

IndexMap IndexMap::inverse() const {
  std::vector<Axis> axes = axes_;
  for (Axis& axis : axes) std::swap(axis.from, axis.to);
  // The axis along which the destination is contiguous goes last.
  std::stable_sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.to > b.to; });
  return IndexMap(std::move(axes), to_start_, from_start_);
}

bool IndexMap::bijective(int64_t from_count) const {
  return count_ == from_count && std::all_of(axes_.begin(), axes_.end(), [](const Axis& axis) { return axis.injective(); });
}

bool IndexMap::identity(int64_t from_count) const {
  return bijective(from_count) && axes_.size() == 1 && axes_[0].from == 1 && axes_[0].to == 1 && from_start_ == 0 && to_start_ == 0;
}

int64_t IndexMap::extent(size_t first, size_t last) const {
  int64_t extent = 1;
  for (size_t k = first; k < last; ++k) extent *= axes_[k].size;
  return extent;
}

void copy_mapped(ThreadPool& pool, const IndexMap& map, const Tensor& from, Tensor& to) {
  visit_width(from.dtype(), [&](auto zero) {
    using E = decltype(zero);
    map.copy(pool, static_cast<const E*>(from.raw()), static_cast<E*>(to.raw()));
  });
}

namespace {

template <class T>
void add_mapped(Context& context, int i, const IndexMap& map, const Tensor& g) {
  const int64_t from_count = context.input(i).count(), to_count = g.count() / context.batch;
  const T* to = g.data<T>();
  if (const ParameterSum parameter = context.parameter(i)) {
    const IndexMap sets = map.repeated(parameter.sets, from_count, to_count);
    return sets.add_back(context.linear.pool, to + parameter.first * to_count, parameter.data);
  }
  const Sum<T> sum = context.adjoint<T>(i);
  if (!sum) return;
  const IndexMap sets = map.repeated(context.batch, from_count, to_count);
  if (!sum.accumulate && sets.bijective(context.batch * from_count)) return sets.inverse().copy(context.linear.pool, to, sum.data);
  if (!sum.accumulate) fill(context.linear, T(0), context.batch * from_count, sum.data);
  sets.add_back(context.linear.pool, to, sum.data);
}

}  // namespace

void add_mapped_adjoint(Context& context, int i, const IndexMap& map, const Tensor& g) {
  if (!context.adjoint_wanted(i)) return;
  if (g.dtype() == BW_FLOAT64)
    add_mapped<double>(context, i, map, g);
  else
    add_mapped<float>(context, i, map, g);
}

}  // namespace bitwright
