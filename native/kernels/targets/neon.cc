// NEON on 64-bit ARM: 32 registers of 4 floats.
#include "kernels/targets/headers.h"

#if defined(__aarch64__)

#define BW_TARGET "neon"
#define BW_LANES 4
#define BW_FMA 1
#define BW_TILE_ROWS 8
#define BW_TILE_VECTORS 2
#define BW_PLANE_ROWS 7

namespace bitwright::neon {
namespace {
#include "kernels/kernels-inl.h"
}
}  // namespace bitwright::neon

namespace bitwright {
Flavours neon_kernels() { return {&neon::fast, &neon::strict}; }
}  // namespace bitwright

#endif
