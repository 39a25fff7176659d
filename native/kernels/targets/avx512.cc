// AVX-512: 32 registers of 16 floats. A tile of 8 rows divides the channel counts of most networks.
#include "kernels/targets/headers.h"

#if defined(__x86_64__)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
// GCC 12 takes its own headers' undefined vectors for mistakes (bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

#define BW_TARGET "avx512"
#define BW_LANES 16
#define BW_FMA 1
#define BW_TILE_ROWS 8
#define BW_TILE_VECTORS 3
#define BW_PLANE_ROWS 7

namespace bitwright::avx512 {
namespace {
#include "kernels/kernels-inl.h"
}
}  // namespace bitwright::avx512

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace bitwright {
Flavours avx512_kernels() { return {&avx512::fast, &avx512::strict}; }
}  // namespace bitwright

#endif
