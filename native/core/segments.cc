#include "core/segments.h"

#include <algorithm>
#include <cstdint>

namespace bitwright {

namespace {

constexpr size_t kNever = SIZE_MAX;

struct Division {
  size_t bytes = kNever;
  std::vector<int> ends;  // of the segments, the last one first
};

// The division into segments of at most `limit` bytes, single nodes aside, of whose values the fewest bytes stay. What stays at the end b of a segment that
// begins at a is what its own nodes make and nodes from b on read: what comes from before a is counted at a.
Division divide(const std::vector<NodeMemory>& nodes, double limit) {
  const int count = static_cast<int>(nodes.size());
  std::vector<size_t> least(count + 1, kNever), size(count + 1);
  std::vector<int> begin(count + 1);
  least[0] = 0;
  for (int b = 1; b <= count; ++b) {
    size_t kept = 0, stays = 0;
    for (int a = b - 1; a >= 0; --a) {
      kept += nodes[a].kept;
      for (const auto& [last, bytes] : nodes[a].outputs)
        if (last >= b) stays += bytes;
      const size_t goes = kept - std::min(kept, stays);
      if (static_cast<double>(goes) > limit && a < b - 1) break;
      if (least[a] + stays >= least[b]) continue;
      least[b] = least[a] + stays;
      size[b] = goes;
      begin[b] = a;
    }
  }
  Division division;
  size_t largest = 0;
  for (int b = count; b > 0; b = begin[b]) {
    largest = std::max(largest, size[b]);
    division.ends.push_back(b);
  }
  division.bytes = least[count] + largest;
  return division;
}

}  // namespace

std::vector<int> divide_into_segments(const std::vector<NodeMemory>& nodes) {
  // Limits are tried in steps of a tenth, from what the largest node takes alone.
  double limit = 1;
  for (size_t n = 0; n < nodes.size(); ++n) {
    size_t goes = nodes[n].kept;
    for (const auto& [last, bytes] : nodes[n].outputs)
      if (last > static_cast<int>(n)) goes -= std::min(goes, bytes);
    limit = std::max(limit, static_cast<double>(goes));
  }
  Division best = divide(nodes, limit);
  for (; limit < static_cast<double>(best.bytes); limit *= 1.1) {
    Division other = divide(nodes, limit);
    if (other.bytes < best.bytes) best = std::move(other);
  }
  std::vector<int> first(nodes.size());
  int begin = 0;
  for (auto end = best.ends.rbegin(); end != best.ends.rend(); ++end) {
    std::fill(first.begin() + begin, first.begin() + *end, begin);
    begin = *end;
  }
  return first;
}

}  // namespace bitwright
