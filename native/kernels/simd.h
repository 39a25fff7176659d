// Vectors of one target over the compilers' vector extensions. No include guard: kernels-inl.h includes it once for
// every target, inside the target's code region and namespace, with BW_LANES (floats in a vector) and BW_FMA (whether
// multiply-adds can be fused) defined. Inside a region use functions and functors only (a lambda does not inherit the
// region's target), and no vector constant outside a function.

#define BW_INLINE static inline __attribute__((always_inline))

constexpr int kWidth = BW_LANES;

typedef float F32 __attribute__((vector_size(BW_LANES * 4)));
typedef int32_t I32 __attribute__((vector_size(BW_LANES * 4)));
typedef double F64 __attribute__((vector_size(BW_LANES * 4)));  // half as many lanes

BW_INLINE F32 load(const float* p) {
  F32 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

BW_INLINE I32 load(const int32_t* p) {
  I32 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

BW_INLINE F64 load(const double* p) {
  F64 v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

BW_INLINE void store(float* p, F32 v) { __builtin_memcpy(p, &v, sizeof v); }
BW_INLINE void store(int32_t* p, I32 v) { __builtin_memcpy(p, &v, sizeof v); }
BW_INLINE void store(double* p, F64 v) { __builtin_memcpy(p, &v, sizeof v); }

// x - 0 keeps every x, -0 too, and is how a scalar meets a vector in both compilers.
BW_INLINE F32 broadcast(float x) { return x - F32{}; }
BW_INLINE I32 broadcast(int32_t x) { return x - I32{}; }

// A set of adjacent lanes.
#if BW_LANES == 16
typedef __mmask16 Lanes;
#else
typedef I32 Lanes;
#endif

// Lanes first <= lane < last; either may lie outside of the vector.
BW_INLINE Lanes lanes_between(int64_t first, int64_t last) {
  const int begin = first < 0 ? 0 : first > kWidth ? kWidth : (int)first;
  const int end = last < begin ? begin : last > kWidth ? kWidth : (int)last;
#if BW_LANES == 16
  return (Lanes)((1u << end) - (1u << begin));
#else
#if BW_LANES == 8
  const I32 lane = {0, 1, 2, 3, 4, 5, 6, 7};
#else
  const I32 lane = {0, 1, 2, 3};
#endif
  return (lane >= begin) & (lane < end);
#endif
}

#if BW_LANES == 4
// For the ends of an array, where a whole vector cannot be read. Out of line: it is rare, and long where it is written
// out.
__attribute__((noinline, cold)) static F32 gather_lanes(const float* p, Lanes lanes) {
  F32 v = {};
  for (int i = 0; i < kWidth; ++i) v[i] = lanes[i] ? p[i] : 0;
  return v;
}
#endif

// p's elements in `lanes`, zeros elsewhere. Those in `lanes` lie in [begin, end); nothing outside of that is read.
BW_INLINE F32 load_lanes(const float* p, Lanes lanes, const float* begin, const float* end) {
#if BW_LANES == 16
  (void)begin, (void)end;
  return (F32)_mm512_maskz_loadu_ps(lanes, p);
#elif BW_LANES == 8
  (void)begin, (void)end;
  return (F32)_mm256_maskload_ps(p, (__m256i)lanes);
#else
  if (__builtin_expect(p >= begin && p + kWidth <= end, true)) return (F32)((I32)load(p) & lanes);
  return gather_lanes(p, lanes);
#endif
}

// The first `count` < kWidth elements and zeros; nothing behind them is read.
BW_INLINE F32 load_tail(const float* p, int64_t count) { return load_lanes(p, lanes_between(0, count), p, p + count); }

BW_INLINE I32 load_tail(const int32_t* p, int64_t count) {
  int32_t v[kWidth] = {};
  for (int64_t i = 0; i < count; ++i) v[i] = p[i];
  return load(v);
}

BW_INLINE void store_tail(float* p, F32 value, int64_t count) {
#if BW_LANES == 16
  _mm512_mask_storeu_ps(p, lanes_between(0, count), (__m512)value);
#elif BW_LANES == 8
  _mm256_maskstore_ps(p, (__m256i)lanes_between(0, count), (__m256)value);
#else
  float v[kWidth];
  store(v, value);
  for (int64_t i = 0; i < count; ++i) p[i] = v[i];
#endif
}

BW_INLINE void store_tail(int32_t* p, I32 value, int64_t count) {
  int32_t v[kWidth];
  store(v, value);
  for (int64_t i = 0; i < count; ++i) p[i] = v[i];
}

// Lanes of a and b, numbered through both, by constant numbers.
#if defined(__clang__)
#define BW_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define BW_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, I32{__VA_ARGS__})
#endif

// Elements 0, 2, 4, ... of a and b one behind the other.
BW_INLINE F32 even_lanes(F32 a, F32 b) {
#if BW_LANES == 16
  return BW_SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
#elif BW_LANES == 8
  return BW_SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
#else
  return BW_SHUFFLE(a, b, 0, 2, 4, 6);
#endif
}

// a0 b0 a1 b1 ...: the first and the second vector of it.
BW_INLINE F32 interleave_low(F32 a, F32 b) {
#if BW_LANES == 16
  return BW_SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
#elif BW_LANES == 8
  return BW_SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
#else
  return BW_SHUFFLE(a, b, 0, 4, 1, 5);
#endif
}

BW_INLINE F32 interleave_high(F32 a, F32 b) {
#if BW_LANES == 16
  return BW_SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif BW_LANES == 8
  return BW_SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
  return BW_SHUFFLE(a, b, 2, 6, 3, 7);
#endif
}

BW_INLINE F32 select(I32 mask, F32 a, F32 b) { return (F32)(((I32)a & mask) | ((I32)b & ~mask)); }

// a > b ? a : b and a < b ? a : b: a NaN in either gives b.
BW_INLINE F32 larger(F32 a, F32 b) {
#if BW_LANES == 16
  return (F32)_mm512_max_ps((__m512)a, (__m512)b);
#elif BW_LANES == 8
  return (F32)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (F32)_mm_max_ps((__m128)a, (__m128)b);
#elif defined(__wasm_simd128__)
  return (F32)wasm_f32x4_pmax((v128_t)b, (v128_t)a);
#else
  return select(a > b, a, b);
#endif
}

BW_INLINE F32 smaller(F32 a, F32 b) {
#if BW_LANES == 16
  return (F32)_mm512_min_ps((__m512)a, (__m512)b);
#elif BW_LANES == 8
  return (F32)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
  return (F32)_mm_min_ps((__m128)a, (__m128)b);
#elif defined(__wasm_simd128__)
  return (F32)wasm_f32x4_pmin((v128_t)b, (v128_t)a);
#else
  return select(a < b, a, b);
#endif
}

// The nearest integer, ties to even, for |x| <= 2^22; zero is always +0, as a stored integer code would give.
// Adding 1.5 * 2^23 leaves no bits for a fraction, so the addition itself rounds, on machines without a rounding
// instruction too.
BW_INLINE F32 round_half_even(F32 x) { return (x + 12582912.0f) - 12582912.0f; }

BW_INLINE I32 to_integers(F32 x) { return __builtin_convertvector(x, I32); }
BW_INLINE F32 to_floats(I32 x) { return __builtin_convertvector(x, F32); }

// The low and high halves in double.
BW_INLINE F64 widen_low(F32 x) {
#if BW_LANES == 16
  return (F64)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)x));
#elif BW_LANES == 8
  return (F64)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)x));
#elif defined(__SSE2__)
  return (F64)_mm_cvtps_pd((__m128)x);
#else
  return F64{x[0], x[1]};
#endif
}

BW_INLINE F64 widen_high(F32 x) {
#if BW_LANES == 16
  return (F64)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)x, 1));
#elif BW_LANES == 8
  return (F64)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, 1));
#elif defined(__SSE2__)
  return (F64)_mm_cvtps_pd(_mm_movehl_ps((__m128)x, (__m128)x));
#else
  return F64{x[2], x[3]};
#endif
}

// a * b + c: rounded once when kFused and the target can, else the product is rounded first.
template <bool kFused>
BW_INLINE F32 multiply_add(F32 a, F32 b, F32 c) {
#if BW_FMA
  if constexpr (kFused) {
#if BW_LANES == 16
    return (F32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif BW_LANES == 8
    return (F32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return (F32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#endif
  }
#endif
  return a * b + c;
}

// Halves are added until one lane is left: lane i meets lane i + n / 2.
template <class T>
BW_INLINE T merge_lanes(T* lanes) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}
