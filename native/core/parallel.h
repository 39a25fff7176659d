// A pool of threads that hands out chunks of an index range.
//
// Chunks come from one atomic counter, so a thread that the operating system takes away delays its own chunk only. What a
// chunk computes never depends on which thread runs it, and no reduction is split over chunks: results have the same bits for every
// thread count. A parallel_for inside a chunk runs serially in that chunk's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace bitwright {

class ThreadPool {
 public:
  // `threads` counts the calling thread; 1 never starts another. A WebAssembly build always has one.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls body(index) once for each index in [0, count), in any order and on any thread; returns when all are done.
  // An exception thrown by a body is rethrown here after the others have finished.
  void parallel_for(int64_t count, const std::function<void(int64_t)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bitwright
