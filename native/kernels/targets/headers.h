// What every target file needs before its code region opens.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"
#include "kernels/targets/targets.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif
