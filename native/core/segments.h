// Where derivatives stop keeping activations: nodes are divided into consecutive segments. What a later segment reads stays, the rest of a segment is
// computed again when a pass comes to it.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace bitwright {

// What a run that keeps everything keeps of one node.
struct NodeMemory {
  size_t kept = 0;                                // bytes, those of its outputs included
  std::vector<std::pair<int, size_t>> outputs;    // the last node that reads an output, and its bytes; not those that stay anyway
};

// The first node of every node's segment, by node: what stays and the largest segment together take about the least.
std::vector<int> divide_into_segments(const std::vector<NodeMemory>& nodes);

}  // namespace bitwright
