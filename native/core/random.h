// Counter-based randomness: a sign is a function of its indices, so directions take no memory and do not depend on the order
// in which they are asked for.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace bitwright {

// A bijective mix of 64 bits (SplitMix64's finalizer, Steele, Lea and Flood 2014).
inline uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Rademacher signs of one direction: sign i is bit i % 64 of a word that depends on the stream and i / 64.
class SignStream {
 public:
  SignStream(uint64_t seed, uint64_t site, uint64_t sample, uint64_t probe) : key_(mix(mix(mix(mix(seed) ^ site) ^ sample) ^ probe)) {}

  uint64_t word(uint64_t index) const { return mix(key_ ^ (index * 0xd1342543de82ef95u)); }

  // Calls body(signs, begin, count) for consecutive pieces of the first `count` signs. The pieces stay in the nearest cache, so that
  // a direction that is only added or multiplied never goes to memory.
  template <class T, class Body>
  void each_piece(const KernelTable& kernels, int64_t count, const Body& body) const {
    constexpr int64_t kPiece = 2048;
    uint64_t words[kPiece / 64];
    T piece[kPiece];
    for (int64_t begin = 0; begin < count; begin += kPiece) {
      const int64_t size = count - begin < kPiece ? count - begin : kPiece;
      for (int64_t i = 0; i < (size + 63) / 64; ++i) words[i] = word(static_cast<uint64_t>(begin / 64 + i));
      expand(kernels, words, size, piece);
      body(static_cast<const T*>(piece), begin, size);
    }
  }

 private:
  static void expand(const KernelTable& kernels, const uint64_t* words, int64_t count, float* y) { kernels.signs(words, count, y); }
  static void expand(const KernelTable&, const uint64_t* words, int64_t count, double* y) {
    for (int64_t i = 0; i < count; ++i) y[i] = (words[i / 64] >> (i % 64)) & 1 ? -1.0 : 1.0;
  }

  uint64_t key_;
};

}  // namespace bitwright
