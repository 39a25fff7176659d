// A minimal test harness: counts checks, prints the failed ones and a last line `N passed, N failed`.
#pragma once

#include <cinttypes>
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace bitwright::test {

struct Counts {
  int64_t passed = 0, failed = 0;
};

inline Counts& counts() {
  static Counts instance;
  return instance;
}

// `format` describes the case; it is printed for failures alone.
__attribute__((format(printf, 2, 3))) inline bool check(bool ok, const char* format, ...) {
  constexpr int64_t kMostPrinted = 50;
  if (ok) {
    ++counts().passed;
  } else if (++counts().failed <= kMostPrinted) {
    va_list arguments;
    va_start(arguments, format);
    std::fputs("FAILED: ", stdout);
    std::vprintf(format, arguments);
    std::fputc('\n', stdout);
    va_end(arguments);
  }
  return ok;
}

inline int finish() {
  std::printf("%" PRId64 " passed, %" PRId64 " failed\n", counts().passed, counts().failed);
  return counts().failed == 0 ? 0 : 1;
}

// xorshift64*; the same numbers everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}

  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545F4914F6CDD1Du;
  }
  // In [low, high], both included.
  int64_t integer(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(next() % static_cast<uint64_t>(high - low + 1));
  }
  // In [-1, 1).
  float real() { return static_cast<float>(next() >> 40) / static_cast<float>(1 << 23) - 1.0f; }

  std::vector<float> reals(int64_t count) {
    std::vector<float> result(count);
    for (float& value : result) value = real();
    return result;
  }

 private:
  uint64_t state_;
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

}  // namespace bitwright::test
