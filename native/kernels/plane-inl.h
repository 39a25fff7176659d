// Depthwise convolutions as sums of shifted planes. Included once per target by kernels-inl.h.

BW_INLINE void store_row(float* y, F32 value, int64_t columns, bool accumulate) {
  if (columns >= kWidth) {
    store(y, accumulate ? load(y) + value : value);
  } else {
    store_tail(y, accumulate ? load_tail(y, columns) + value : value, columns);
  }
}

// kRows rows of one vector each: y[r][c] = or += sum over t of w[t] * x[r][c + offsets[t]].
template <bool kFused, int kRows>
BW_INLINE void shift_rows(const float* x, int64_t x_stride, const int64_t* offsets, const float* w, int64_t taps, float* y,
                          int64_t y_stride, int64_t columns, bool accumulate) {
  F32 sum[kRows];
  BW_UNROLL for (int r = 0; r < kRows; ++r) sum[r] = F32{};
  for (int64_t t = 0; t < taps; ++t) {
    const F32 w_t = broadcast(w[t]);
    const float* x_t = x + offsets[t];
    BW_UNROLL for (int r = 0; r < kRows; ++r) sum[r] = multiply_add<kFused>(w_t, load(x_t + r * x_stride), sum[r]);
  }
  BW_UNROLL for (int r = 0; r < kRows; ++r) store_row(y + r * y_stride, sum[r], columns, accumulate);
}

// The same for a 3x3 kernel on adjacent pixels, every vector of x loaded once for all the rows of y that it reaches. x's rows and then its columns
// ascend, so the taps of a row of y come in their order.
template <bool kFused, int kRows>
BW_INLINE void square_rows(const float* x, int64_t x_stride, const float* w, float* y, int64_t y_stride, int64_t columns, bool accumulate) {
  F32 weights[9], sum[kRows];
  BW_UNROLL for (int t = 0; t < 9; ++t) weights[t] = broadcast(w[t]);
  BW_UNROLL for (int r = 0; r < kRows; ++r) sum[r] = F32{};
  BW_UNROLL for (int row = 0; row < kRows + 2; ++row) {
    BW_UNROLL for (int kx = 0; kx < 3; ++kx) {
      const F32 value = load(x + row * x_stride + kx);
      BW_UNROLL for (int ky = 2; ky >= 0; --ky) {
        const int r = row - ky;
        if (r >= 0 && r < kRows) sum[r] = multiply_add<kFused>(weights[ky * 3 + kx], value, sum[r]);
      }
    }
  }
  BW_UNROLL for (int r = 0; r < kRows; ++r) store_row(y + r * y_stride, sum[r], columns, accumulate);
}

static bool is_square(const Plane& plane) {
  if (plane.taps != 9) return false;
  for (int64_t t = 0; t < 9; ++t) {
    if (plane.offsets[t] - plane.offsets[0] != t / 3 * plane.x_stride + t % 3) return false;
  }
  return true;
}

template <bool kFused>
void weighted_squares(const Plane& plane, const float* x, const float* w, float* y, bool accumulate) {
  x += plane.offsets[0];
  for (int64_t c = 0; c < plane.columns; c += kWidth) {
    const int64_t columns = plane.columns - c;
    int64_t r = 0;
    for (; r + BW_PLANE_ROWS <= plane.rows; r += BW_PLANE_ROWS) {
      square_rows<kFused, BW_PLANE_ROWS>(x + r * plane.x_stride + c, plane.x_stride, w, y + r * plane.y_stride + c, plane.y_stride, columns,
                                         accumulate);
    }
    for (; r + 2 <= plane.rows; r += 2) {
      square_rows<kFused, 2>(x + r * plane.x_stride + c, plane.x_stride, w, y + r * plane.y_stride + c, plane.y_stride, columns, accumulate);
    }
    if (r < plane.rows) {
      square_rows<kFused, 1>(x + r * plane.x_stride + c, plane.x_stride, w, y + r * plane.y_stride + c, plane.y_stride, columns, accumulate);
    }
  }
}

template <bool kFused>
void weighted_shifts(const Plane& plane, const float* x, const float* w, float* y, bool accumulate) {
  if (is_square(plane)) {
    weighted_squares<kFused>(plane, x, w, y, accumulate);
    return;
  }
  for (int64_t c = 0; c < plane.columns; c += kWidth) {
    const int64_t columns = plane.columns - c;
    int64_t r = 0;
    for (; r + 4 <= plane.rows; r += 4) {
      shift_rows<kFused, 4>(x + r * plane.x_stride + c, plane.x_stride, plane.offsets, w, plane.taps, y + r * plane.y_stride + c,
                            plane.y_stride, columns, accumulate);
    }
    for (; r < plane.rows; ++r) {
      shift_rows<kFused, 1>(x + r * plane.x_stride + c, plane.x_stride, plane.offsets, w, plane.taps, y + r * plane.y_stride + c,
                            plane.y_stride, columns, accumulate);
    }
  }
}

// sums[t] for kTaps taps; column c adds to lane c % kLanes.
template <bool kFused, int kTaps>
BW_INLINE void shift_product_taps(const Plane& plane, const float* x, const float* y, const int64_t* offsets, float* sums) {
  constexpr int kVectors = kLanes / kWidth;
  F32 sum[kTaps][kVectors];
  BW_UNROLL for (int t = 0; t < kTaps; ++t) {
    BW_UNROLL for (int v = 0; v < kVectors; ++v) sum[t][v] = F32{};
  }
  for (int64_t r = 0; r < plane.rows; ++r, x += plane.x_stride, y += plane.y_stride) {
    int64_t c = 0;
    for (; c + kLanes <= plane.columns; c += kLanes) {
      BW_UNROLL for (int v = 0; v < kVectors; ++v) {
        const F32 y_v = load(y + c + v * kWidth);
        BW_UNROLL for (int t = 0; t < kTaps; ++t) {
          sum[t][v] = multiply_add<kFused>(y_v, load(x + offsets[t] + c + v * kWidth), sum[t][v]);
        }
      }
    }
    BW_UNROLL for (int v = 0; v < kVectors; ++v) {
      const int64_t left = plane.columns - c - v * kWidth;
      if (left >= kWidth) {
        const F32 y_v = load(y + c + v * kWidth);
        BW_UNROLL for (int t = 0; t < kTaps; ++t) {
          sum[t][v] = multiply_add<kFused>(y_v, load(x + offsets[t] + c + v * kWidth), sum[t][v]);
        }
      } else if (left > 0) {
        const F32 y_v = load_tail(y + c + v * kWidth, left);
        BW_UNROLL for (int t = 0; t < kTaps; ++t) {
          sum[t][v] = multiply_add<kFused>(y_v, load_tail(x + offsets[t] + c + v * kWidth, left), sum[t][v]);
        }
      }
    }
  }
  BW_UNROLL for (int t = 0; t < kTaps; ++t) {
    float lanes[kLanes];
    BW_UNROLL for (int v = 0; v < kVectors; ++v) store(lanes + v * kWidth, sum[t][v]);
    sums[t] = merge_lanes(lanes);
  }
}

template <bool kFused>
void shift_products(const Plane& plane, const float* x, const float* y, float* sums) {
  constexpr int kTaps = 3;
  int64_t t = 0;
  for (; t + kTaps <= plane.taps; t += kTaps) {
    shift_product_taps<kFused, kTaps>(plane, x, y, plane.offsets + t, sums + t);
  }
  for (; t < plane.taps; ++t) shift_product_taps<kFused, 1>(plane, x, y, plane.offsets + t, sums + t);
}
