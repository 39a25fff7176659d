// The division into segments against all divisions of short graphs.
#include "core/segments.h"

#include <algorithm>

#include "check.h"

using namespace bitwright;
using bitwright::test::check;

namespace {

// What a division holds: values that cross, and the largest segment without what crosses from it.
size_t bytes_of(const std::vector<NodeMemory>& nodes, const std::vector<int>& first) {
  const int count = static_cast<int>(nodes.size());
  size_t crossing = 0, largest = 0;
  std::vector<size_t> segment(count);
  for (int n = 0; n < count; ++n) {
    segment[first[n]] += nodes[n].kept;
    for (const auto& [last, bytes] : nodes[n].outputs) {
      if (last < 0 || first[last] == first[n]) continue;
      crossing += bytes;
      segment[first[n]] -= bytes;
    }
  }
  for (size_t bytes : segment) largest = std::max(largest, bytes);
  return crossing + largest;
}

size_t least(const std::vector<NodeMemory>& nodes) {
  const int count = static_cast<int>(nodes.size());
  size_t best = SIZE_MAX;
  for (int cuts = 0; cuts < 1 << (count - 1); ++cuts) {
    std::vector<int> first(count);
    for (int n = 1; n < count; ++n) first[n] = (cuts >> (n - 1)) & 1 ? n : first[n - 1];
    best = std::min(best, bytes_of(nodes, first));
  }
  return best;
}

}  // namespace

int main() {
  test::Random random(1);
  for (int round = 0; round < 200; ++round) {
    const int count = static_cast<int>(random.integer(1, 11));
    std::vector<NodeMemory> nodes(count);
    for (int n = 0; n < count; ++n) {
      // Outputs, some of them read far behind or not at all, and what derivatives keep besides.
      for (int64_t o = random.integer(0, 2); o > 0; --o) {
        const size_t bytes = static_cast<size_t>(random.integer(1, 100));
        nodes[n].outputs.push_back({static_cast<int>(random.integer(0, 3) == 0 ? -1 : random.integer(n, std::min(count - 1, n + 4))), bytes});
        nodes[n].kept += bytes;
      }
      nodes[n].kept += static_cast<size_t>(random.integer(0, 50));
    }
    const std::vector<int> first = divide_into_segments(nodes);
    bool divides = static_cast<int>(first.size()) == count;
    for (int n = 0; divides && n < count; ++n) divides = first[n] == n || (n > 0 && first[n] == first[n - 1]);
    if (!check(divides, "round %d: consecutive segments", round)) continue;
    const size_t found = bytes_of(nodes, first), best = least(nodes);
    // The largest segment is found to a tenth.
    check(static_cast<double>(found) <= 1.1 * static_cast<double>(best), "round %d: %zu bytes, %zu are possible", round, found, best);
  }

  // A chain of equal layers: about two square roots of what everything takes.
  constexpr int kLayers = 400;
  std::vector<NodeMemory> chain(kLayers);
  for (int n = 0; n < kLayers; ++n) chain[n] = {10, {{n + 1 < kLayers ? n + 1 : -1, 10}}};
  check(bytes_of(chain, divide_into_segments(chain)) <= 400, "a chain");
  check(divide_into_segments({}).empty(), "no nodes");
  return test::finish();
}
