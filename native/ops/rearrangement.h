// The kind of operators that only move elements about: y is x through an index map, on every element type.
#pragma once

#include "ops/index_map.h"

namespace bitwright {

class Rearrangement : public Op {
 public:
  void forward(Context& context) override;
  void tangent(Context& context) override;
  void adjoint(Context& context) override;

 protected:
  struct Plan {
    Shape shape;
    IndexMap map;
  };
  // From the shape of input 0, and the values of the inputs that are parameters.
  virtual Plan plan(const Context& context) const = 0;
  // Sets y where the map does not reach it.
  virtual void background(const Context& context, Tensor& y) const;
};

// `axis` counted from the front, for a tensor of some rank.
int normalize_axis(int64_t axis, int rank);
// Distinct axes, counted from the front.
std::vector<int> normalize_axes(const std::vector<int64_t>& axes, int rank);
// The integers of an input that is a list.
std::vector<int64_t> integer_list(const Tensor& tensor);

}  // namespace bitwright
