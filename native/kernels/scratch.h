// Memory that a thread keeps between calls, since packing would otherwise allocate at every product.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

namespace bitwright {

class Scratch {
 public:
  // At least `count` floats, 64-byte aligned, contents undefined; earlier results of the same Scratch become invalid.
  float* floats(int64_t count) {
    if (count > capacity_) {
      // What a 32-bit address space cannot hold must not wrap around to something small.
      if (static_cast<uint64_t>(count) > SIZE_MAX / sizeof(float)) throw std::bad_alloc();
      memory_.reset();
      capacity_ = 0;
      memory_.reset(static_cast<float*>(::operator new(count * sizeof(float), std::align_val_t{64})));
      capacity_ = count;
    }
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(float* memory) const { ::operator delete(memory, std::align_val_t{64}); }
  };
  std::unique_ptr<float, Free> memory_;
  int64_t capacity_ = 0;
};

}  // namespace bitwright
