// AVX2 with FMA: 16 registers of 8 floats.
#include "kernels/targets/headers.h"

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define BW_TARGET "avx2"
#define BW_LANES 8
#define BW_FMA 1
#define BW_TILE_ROWS 6
#define BW_TILE_VECTORS 2
#define BW_PLANE_ROWS 4

namespace bitwright::avx2 {
namespace {
#include "kernels/kernels-inl.h"
}
}  // namespace bitwright::avx2

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace bitwright {
Flavours avx2_kernels() { return {&avx2::fast, &avx2::strict}; }
}  // namespace bitwright

#endif
