#include "core/tensor_errors.h"

#include <cstring>

namespace bitwright {

Tensor ErrorSet::stack(BufferPool& buffers, const std::vector<int>& positions) const {
  Shape shape = data.shape();
  const size_t each = data.bytes() / static_cast<size_t>(shape[0]);
  shape[0] = static_cast<int64_t>(positions.size());
  Tensor stacked(buffers, data.dtype(), std::move(shape));
  for (size_t i = 0; i < positions.size(); ++i)
    std::memcpy(static_cast<std::byte*>(stacked.raw()) + i * each, static_cast<const std::byte*>(data.raw()) + positions[i] * each, each);
  return stacked;
}

ErrorList::ErrorList(const std::vector<ErrorTarget>& targets) {
  for (const ErrorTarget& target : targets) {
    const int next = static_cast<int>(sets_.size());
    const int set = target.value >= 0 ? by_value_.insert({target.value, next}).first->second
                                      : by_edge_.insert({{target.node, target.port}, next}).first->second;
    if (set == next) {
      sets_.emplace_back();
      sets_.back().target = target;
    }
    places_.push_back({set, sets_[set].count()});
    sets_[set].errors.push_back(static_cast<int>(places_.size()) - 1);
  }
  for (ErrorSet& set : sets_) {
    set.given.resize(set.count());
    set.grids.resize(set.count());
    set.variances.resize(set.count());
  }
}

const ErrorSet* ErrorList::of_value(int value) const {
  const auto found = by_value_.find(value);
  return found == by_value_.end() ? nullptr : &sets_[found->second];
}

const ErrorSet* ErrorList::of_edge(int node, int port) const {
  const auto found = by_edge_.find({node, port});
  return found == by_edge_.end() ? nullptr : &sets_[found->second];
}

const ErrorList::Place& ErrorList::place(int error) const {
  if (error < 0 || error >= count()) invalid_argument("there is no error " + std::to_string(error));
  return places_[error];
}

void ErrorList::check(bool variances) const {
  if (places_.empty()) invalid_argument("no errors are set");
  for (int error = 0; error < count(); ++error) {
    const auto [index, position] = places_[error];
    const ErrorSet& set = sets_[index];
    const bool fits = set.given[position] && (set.target.value >= 0 || set.variances[position].has_value() == variances);
    if (!fits) invalid_argument("error " + std::to_string(error) + " was not given as a " + (variances ? "variance" : "difference"));
  }
}

}  // namespace bitwright
