// The tables that a build can hold; each is defined by the file of its name.
#pragma once

#include "kernels/kernels.h"

namespace bitwright {

struct Flavours {
  const KernelTable* fast;
  const KernelTable* strict;
};

#if defined(__x86_64__)
Flavours avx512_kernels();
Flavours avx2_kernels();
#endif
#if defined(__aarch64__)
Flavours neon_kernels();
#elif defined(__wasm_simd128__)
Flavours wasm128_kernels();
#else
Flavours baseline_kernels();
#endif

}  // namespace bitwright
