// One reverse sweep: what is carried, and for whom. Private to the passes of Graph.
#pragma once

#include <set>

#include "core/graph.h"

namespace bitwright {

struct Graph::Sweep {
  explicit Sweep(const Graph& graph) : parameters(graph.values_.size()), kept(graph.values_.size()) {}

  int batch = 1;             // cotangents carried: one and the tangents of it, or several of their own
  int first = 0;             // index of the first tangent
  std::optional<FisherSigns> fisher;  // the cotangents at the loss are random, not its gradient
  double* forms = nullptr;   // of the sites
  double* values = nullptr;  // of the errors: [batch - first][samples][errors]
  bool squares = false;      // the values are of squared gradients
  std::vector<bool> active;               // values whose cotangent somebody needs
  std::vector<bool> parameters;           // initializers whose cotangents are wanted
  std::vector<bool> kept;                 // activations whose cotangent is read afterwards
  std::set<std::pair<int, int>> edges;    // node inputs whose own share of a cotangent is contracted
};

}  // namespace bitwright
