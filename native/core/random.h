// Counter-based randomness: a sign is a function of its indices, so directions take no memory and do not depend on the order
// in which they are asked for.
#pragma once

#include <cstdint>

namespace bitwright {

// A bijective mix of 64 bits (SplitMix64's finalizer, Steele, Lea and Flood 2014).
inline uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Rademacher signs of one direction: sign(i) is bit i % 64 of a word that depends on the stream and i / 64.
class SignStream {
 public:
  SignStream(uint64_t seed, uint64_t site, uint64_t sample, uint64_t probe) : key_(mix(mix(mix(mix(seed) ^ site) ^ sample) ^ probe)) {}

  uint64_t word(uint64_t index) const { return mix(key_ ^ (index * 0xd1342543de82ef95u)); }

  // out[i] = +1 or -1 for the first `count` elements.
  template <class T>
  void fill(T* out, int64_t count) const {
    for (int64_t i = 0; i < count; i += 64) {
      uint64_t bits = word(static_cast<uint64_t>(i) / 64);
      const int64_t n = count - i < 64 ? count - i : 64;
      for (int64_t j = 0; j < n; ++j) out[i + j] = (bits >> j) & 1 ? T(-1) : T(1);
    }
  }

 private:
  uint64_t key_;
};

}  // namespace bitwright
