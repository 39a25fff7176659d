// What every machine of the architecture has: SSE2 on x86-64, whatever the compiler makes of four lanes elsewhere.
#include "kernels/targets/headers.h"

#if !defined(__aarch64__) && !defined(__wasm_simd128__)

#define BW_TARGET "baseline"
#define BW_LANES 4
#define BW_FMA 0
#define BW_TILE_ROWS 4
#define BW_TILE_VECTORS 2
#define BW_PLANE_ROWS 4

namespace bitwright::baseline {
namespace {
#include "kernels/kernels-inl.h"
}
}  // namespace bitwright::baseline

namespace bitwright {
Flavours baseline_kernels() { return {&baseline::fast, &baseline::strict}; }
}  // namespace bitwright

#endif
