#include "core/parallel.h"

#if !defined(__EMSCRIPTEN__)
#define BW_THREADS 1
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>
#else
#define BW_THREADS 0
#endif

namespace bitwright {

#if BW_THREADS

namespace {
thread_local bool inside_chunk = false;
}

struct ThreadPool::State {
  struct Job {
    int64_t count = 0;
    const std::function<void(int64_t)>* body = nullptr;
    std::atomic<int64_t> next{0};
    std::exception_ptr error;
  };

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable idle;
  std::vector<std::thread> workers;
  Job* job = nullptr;
  uint64_t generation = 0;
  int busy = 0;
  bool stop = false;

  void run_chunks(Job& current) {
    inside_chunk = true;
    try {
      for (int64_t i; (i = current.next.fetch_add(1, std::memory_order_relaxed)) < current.count;) (*current.body)(i);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex);
      if (!current.error) current.error = std::current_exception();
      current.next.store(current.count, std::memory_order_relaxed);
    }
    inside_chunk = false;
  }

  void work() {
    uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return stop || generation != seen; });
      if (stop) return;
      seen = generation;
      if (job == nullptr) continue;
      Job& current = *job;
      ++busy;
      lock.unlock();
      run_chunks(current);
      lock.lock();
      if (--busy == 0) idle.notify_all();
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  for (int i = 1; i < threads; ++i) state_->workers.emplace_back([state = state_.get()] { state->work(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::parallel_for(int64_t count, const std::function<void(int64_t)>& body) {
  if (count <= 0) return;
  if (count == 1 || state_->workers.empty() || inside_chunk) {
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  State::Job job;
  job.count = count;
  job.body = &body;
  {
    std::lock_guard<std::mutex> lock(state_->mutex);
    state_->job = &job;
    ++state_->generation;
  }
  state_->wake.notify_all();
  state_->run_chunks(job);
  std::unique_lock<std::mutex> lock(state_->mutex);
  state_->job = nullptr;
  state_->idle.wait(lock, [&] { return state_->busy == 0; });
  if (job.error) std::rethrow_exception(job.error);
}

#else

struct ThreadPool::State {};

ThreadPool::ThreadPool(int) : state_(std::make_unique<State>()) {}
ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return 1; }

void ThreadPool::parallel_for(int64_t count, const std::function<void(int64_t)>& body) {
  for (int64_t i = 0; i < count; ++i) body(i);
}

#endif

}  // namespace bitwright
