// One reverse sweep: what is carried, and for whom. Private to the passes of Graph.
#pragma once

#include <algorithm>
#include <set>

#include "core/graph.h"

namespace bitwright {

// Errors of one tensor whose derivatives are taken together, by the elements of each.
inline int errors_at_once(int64_t elements) {
  constexpr int64_t kMostElements = int64_t{1} << 26;
  return static_cast<int>(std::max<int64_t>(1, kMostElements / elements));
}

struct Graph::Sweep {
  explicit Sweep(const Graph& graph) : parameters(graph.values_.size()), kept(graph.values_.size()) {}

  int batch = 1;             // cotangents carried: one and the tangents of it, or several of their own
  int first = 0;             // index of the first tangent
  std::optional<FisherSigns> fisher;  // the cotangents at the loss are random, not its gradient:
  int draws = 0;             // so many of them
  int first_draw = 0;        // the first that is carried
  double* forms = nullptr;   // of the sites
  double* values = nullptr;  // of the errors: [batch - first][samples][errors]
  bool squares = false;      // the values are of squared gradients
  std::vector<bool> active;               // values whose cotangent somebody needs
  std::vector<bool> parameters;           // initializers whose cotangents are wanted
  std::vector<bool> kept;                 // activations whose cotangent is read afterwards
  std::set<std::pair<int, int>> edges;    // node inputs whose own share of a cotangent is contracted
};

}  // namespace bitwright
