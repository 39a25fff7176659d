// WebAssembly SIMD: 4 lanes, no fused multiply-add. Engines keep a tile of 4x8 in registers; larger ones spill.
#include "kernels/targets/headers.h"

#if defined(__wasm_simd128__)

#define BW_TARGET "wasm128"
#define BW_LANES 4
#define BW_FMA 0
#define BW_TILE_ROWS 4
#define BW_TILE_VECTORS 2
#define BW_PLANE_ROWS 4

namespace bitwright::wasm128 {
namespace {
#include "kernels/kernels-inl.h"
}
}  // namespace bitwright::wasm128

namespace bitwright {
Flavours wasm128_kernels() { return {&wasm128::fast, &wasm128::strict}; }
}  // namespace bitwright

#endif
