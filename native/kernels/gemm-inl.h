// The register tile of a matrix product. Included once per target by kernels-inl.h.

template <bool kFused, int kVectors>
void gemm_vectors(int64_t depth, const float* a, const float* b, int64_t ldb, float* c, int64_t ldc, bool accumulate) {
  constexpr int kRows = BW_TILE_ROWS;
  F32 sum[kRows][kVectors];
  BW_UNROLL
  for (int r = 0; r < kRows; ++r) {
    BW_UNROLL
    for (int v = 0; v < kVectors; ++v) sum[r][v] = F32{};
  }
  for (int64_t k = 0; k < depth; ++k, a += kRows, b += ldb) {
    F32 b_k[kVectors];
    // B's rows may lie pages apart, where the machine itself does not look ahead.
    BW_UNROLL
    for (int v = 0; v < kVectors; ++v) __builtin_prefetch(b + 6 * ldb + v * kWidth);
    BW_UNROLL
    for (int v = 0; v < kVectors; ++v) b_k[v] = load(b + v * kWidth);
    BW_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const F32 a_rk = broadcast(a[r]);
      BW_UNROLL
      for (int v = 0; v < kVectors; ++v) sum[r][v] = multiply_add<kFused>(a_rk, b_k[v], sum[r][v]);
    }
  }
  BW_UNROLL
  for (int r = 0; r < kRows; ++r) {
    BW_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      float* out = c + r * ldc + v * kWidth;
      store(out, accumulate ? load(out) + sum[r][v] : sum[r][v]);
    }
  }
}

template <bool kFused>
void gemm_tile(int64_t columns, int64_t depth, const float* a, const float* b, int64_t ldb, float* c, int64_t ldc,
               bool accumulate) {
  static_assert(BW_TILE_VECTORS <= 3);
  if (columns <= kWidth) {
    gemm_vectors<kFused, 1>(depth, a, b, ldb, c, ldc, accumulate);
  } else if (columns <= 2 * kWidth) {
    gemm_vectors<kFused, 2>(depth, a, b, ldb, c, ldc, accumulate);
  } else {
    gemm_vectors<kFused, BW_TILE_VECTORS>(depth, a, b, ldb, c, ldc, accumulate);
  }
}
