// Every kernel for one target. A file in targets/ opens the target's code region and namespace, defines BW_TARGET (its
// name), BW_LANES, BW_FMA, BW_TILE_ROWS, BW_TILE_VECTORS and BW_PLANE_ROWS (rows of a plane worked on at a time), and
// includes this; the result is the pair of tables `fast` and `strict`. The standard headers come from
// targets/headers.h, outside of the region: a region would compile their functions for the target.

#define BW_INLINE_MEMBER __attribute__((always_inline)) inline
#if defined(__clang__)
#define BW_UNROLL _Pragma("clang loop unroll(full)")
#else
#define BW_UNROLL _Pragma("GCC unroll 16")
#endif

// clang-format off: each file builds on those above it.
#include "kernels/simd.h"
#include "kernels/copy-inl.h"
#include "kernels/map-inl.h"
#include "kernels/signs-inl.h"
#include "kernels/quantize-inl.h"
#include "kernels/reduce-inl.h"
// Products come in two flavours.
#include "kernels/gemm-inl.h"
#include "kernels/plane-inl.h"
// clang-format on

template <bool kFused>
constexpr KernelTable make_table(const char* flavour) {
  return {BW_TARGET,
          flavour,
          BW_TILE_ROWS,
          BW_TILE_VECTORS * kWidth,
          gemm_tile<kFused>,
          weighted_taps<kFused>,
          tap_products<kFused>,
          copy_shifted,
          pad_rows,
          interleave,
          fake_quantize,
          fake_quantize_each,
          quantize,
          quantize_each,
          error_sums,
          min_max,
          histogram,
          dot,
          add,
          add_to,
          multiply,
          multiply_add,
          scale_shift,
          clip,
          clip_mask,
          signs};
}

// Without fused multiply-adds the flavours are the same code.
constexpr KernelTable fast = make_table<BW_FMA != 0>("fast");
constexpr KernelTable strict = make_table<false>("strict");
