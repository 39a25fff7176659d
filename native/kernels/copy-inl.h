// Copies that feed the products. Included once per target by kernels-inl.h.

static void copy_shifted(const float* x, const int64_t* offsets, int64_t rows, int64_t columns, float* y,
                         int64_t y_stride) {
  const int64_t whole = columns / kWidth * kWidth, left = columns - whole;
  for (int64_t r = 0; r < rows; ++r, y += y_stride) {
    const float* from = x + offsets[r];
    for (int64_t c = 0; c < whole; c += kWidth) store(y + c, load(from + c));
    if (left > 0) store_tail(y + whole, load_tail(from + whole, left), left);
  }
}

// `count` < 2 * kWidth elements of x.
BW_INLINE F32 even_elements(const float* x, int64_t count) {
  if (count <= kWidth) return even_lanes(count < kWidth ? load_tail(x, count) : load(x), F32{});
  return even_lanes(load(x), load_tail(x + kWidth, count - kWidth));
}

// Element c of a row is x[c * step]; lanes behind `count` are zero.
BW_INLINE void copy_padded(const float* x, int64_t step, int64_t count, float* y) {
  int64_t c = 0;
  if (step == 1) {
    for (; c + kWidth <= count; c += kWidth) store(y + c, load(x + c));
    if (c < count) store(y + c, load_tail(x + c, count - c));
  } else if (step == 2) {
    for (; c + kWidth < count; c += kWidth) store(y + c, even_lanes(load(x + 2 * c), load(x + 2 * c + kWidth)));
    if (c < count) store(y + c, even_elements(x + 2 * c, 2 * (count - c) - 1));
  } else {
    for (; c < count; ++c) y[c] = x[c * step];
    store(y + c, F32{});
  }
}

static void pad_rows(const float* x, int64_t x_stride, int64_t step, int64_t rows, int64_t before, int64_t count,
                     int64_t width, float* y) {
  // Stores run over the end of a row into the next one, which is written later.
  for (int64_t r = 0; r < rows; ++r, x += x_stride, y += width) {
    for (int64_t c = 0; c < before; c += kWidth) store(y + c, F32{});
    copy_padded(x, step, count, y + before);
    for (int64_t c = before + (count + kWidth - 1) / kWidth * kWidth; c < width; c += kWidth) store(y + c, F32{});
  }
}

static void interleave(const float* even, const float* odd, int64_t count, float* y, bool accumulate) {
  for (int64_t i = 0; i < count; i += 2 * kWidth, even += kWidth, odd += kWidth) {
    const F32 a = load(even), b = load(odd);
    const F32 parts[2] = {interleave_low(a, b), interleave_high(a, b)};
    BW_UNROLL
    for (int p = 0; p < 2; ++p) {
      float* out = y + i + p * kWidth;
      const int64_t left = count - i - p * kWidth;
      if (left >= kWidth) {
        store(out, accumulate ? load(out) + parts[p] : parts[p]);
      } else if (left > 0) {
        store_tail(out, accumulate ? load_tail(out, left) + parts[p] : parts[p], left);
      }
    }
  }
}
