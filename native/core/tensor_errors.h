// What formats would do to a graph's tensors: a list of errors, grouped by the tensor they are of.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "kernels/kernels.h"

namespace bitwright {

// An initializer, or the input of a node.
struct ErrorTarget {
  int value = -1;
  int node = -1, port = -1;
};

// constant + relative * t^2 for an element t.
struct Variance {
  double constant = 0, relative = 0;
};

// The errors of one tensor.
struct ErrorSet {
  ErrorTarget target;
  std::vector<int> errors;                          // indices in the whole list
  Tensor data;                                      // of an initializer: [errors, shape], a difference or a variance
  std::vector<std::optional<Grid>> grids;           // of a node input: the error is grid(t) - t
  std::vector<std::optional<Variance>> variances;   // of a node input
  std::vector<bool> given;

  int count() const { return static_cast<int>(errors.size()); }
  // Data of the errors at these positions, [positions, shape].
  Tensor stack(BufferPool& buffers, const std::vector<int>& positions) const;
};

class ErrorList {
 public:
  // A place of an error: its set, and its position there.
  struct Place {
    int set, position;
  };

  ErrorList() = default;
  explicit ErrorList(const std::vector<ErrorTarget>& targets);

  int count() const { return static_cast<int>(places_.size()); }
  const std::vector<ErrorSet>& sets() const { return sets_; }
  // nullptr where there is none.
  const ErrorSet* of_value(int value) const;
  const ErrorSet* of_edge(int node, int port) const;
  const Place& place(int error) const;

  ErrorSet& set_of(int error) { return sets_[place(error).set]; }
  void mark_given(int error) { set_of(error).given[place(error).position] = true; }
  // Every error must have been given, as a variance or as a difference.
  void check(bool variances) const;

 private:
  std::vector<ErrorSet> sets_;
  std::vector<Place> places_;
  std::map<int, int> by_value_;
  std::map<std::pair<int, int>, int> by_edge_;
};

}  // namespace bitwright
