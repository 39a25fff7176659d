// Work that comes in many small parts, handed to threads in stretches that pay for it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/parallel.h"

namespace bitwright {

// Multiply-adds, or as much other work, below which a task costs less than handing it to another thread.
constexpr int64_t kTaskWork = int64_t{1} << 17;

// What moving a float is worth in multiply-adds.
constexpr int64_t kCopyWork = 16;

// Calls body(begin, end) for stretches that cover [0, count), each element being `work` multiply-adds.
template <class Body>
void parallel_stretches(ThreadPool& pool, int64_t count, int64_t work, const Body& body) {
  const int64_t length = std::max<int64_t>(1, kTaskWork / std::max<int64_t>(1, work));
  pool.parallel_for((count + length - 1) / length,
                    [&](int64_t task) { body(task * length, std::min((task + 1) * length, count)); });
}

}  // namespace bitwright
