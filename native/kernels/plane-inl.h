// Depthwise convolutions, read from the source planes where they are. Included once per target by kernels-inl.h.

BW_INLINE void store_row(float* y, F32 value, int64_t columns, bool accumulate) {
  if (columns >= kWidth) {
    store(y, accumulate ? load(y) + value : value);
  } else {
    store_tail(y, accumulate ? load_tail(y, columns) + value : value, columns);
  }
}

// load_lanes, or a plain load where all lanes are known to lie inside.
template <bool kWhole>
BW_INLINE F32 read_lanes(const float* p, Lanes lanes, const float* begin, const float* end) {
  return kWhole ? load(p) : load_lanes(p, lanes, begin, end);
}

// How a tap reads the vector of pixels that begins at column c, and which of its elements lie in the source's row.
// kStep is the plane's step_x, or 0 for any.
template <int kStep>
struct TapColumns {
  const float* source;  // the plane and its end
  const float* end;
  const float* origin;  // what lane 0 reads for row 0 of y; may lie outside of the source
  int64_t begin;        // its column
  Lanes low, high;
  bool whole;  // all lanes lie inside

  BW_INLINE_MEMBER TapColumns() {}
  BW_INLINE_MEMBER TapColumns(const Plane& plane, const float* x, const PlaneTap& tap, int64_t c)
      : source(x + tap.plane), end(source + plane.source_height * plane.source_width), begin(c * plane.step_x + tap.x) {
    origin = source + tap.y * plane.source_width + begin;
    low = lanes_between(-begin, plane.source_width - begin);
    high = kStep == 2 ? lanes_between(-begin - kWidth, plane.source_width - begin - kWidth) : low;
    whole = begin >= 0 && begin + kStep * kWidth <= plane.source_width;
  }

  // `distance`: from row 0 to y's row, in elements of the source. kWhole when `whole` is known to hold.
  template <bool kWhole>
  BW_INLINE_MEMBER F32 read(const Plane& plane, int64_t distance) const {
    const float* p = origin + distance;
    if constexpr (kStep == 1) return read_lanes<kWhole>(p, low, source, end);
    if constexpr (kStep == 2) {
      return even_lanes(read_lanes<kWhole>(p, low, source, end), read_lanes<kWhole>(p + kWidth, high, source, end));
    }
    F32 v = {};
    for (int i = 0; i < kWidth; ++i) {
      const int64_t column = begin + i * plane.step_x;
      if (column >= 0 && column < plane.source_width) v[i] = p[i * plane.step_x];
    }
    return v;
  }
};

// The rows of y whose source rows at a tap lie inside the source.
struct TapRows {
  int64_t first, last;  // first <= r < last
};

BW_INLINE TapRows rows_inside(const Plane& plane, const PlaneTap& tap) {
  int64_t first = 0, last = plane.rows;
  while (first < last && first * plane.step_y + tap.y < 0) ++first;
  while (last > first && (last - 1) * plane.step_y + tap.y >= plane.source_height) --last;
  return {first, last};
}

// kRows rows of one vector each.
template <bool kFused, int kStep, int kRows>
BW_INLINE void tap_rows(const Plane& plane, const float* x, const float* w, int64_t first, int64_t c, float* y,
                        bool accumulate) {
  const int64_t stride = plane.step_y * plane.source_width;
  F32 sum[kRows];
  BW_UNROLL
  for (int r = 0; r < kRows; ++r) sum[r] = F32{};
  for (int64_t t = 0; t < plane.tap_count; ++t) {
    const PlaneTap& tap = plane.taps[t];
    const TapColumns<kStep> columns(plane, x, tap, c);
    const F32 w_t = broadcast(w[t]);
    const int64_t top = first * plane.step_y + tap.y, bottom = top + (kRows - 1) * plane.step_y;
    const bool rows_inside = top >= 0 && bottom < plane.source_height;
    if (rows_inside && columns.whole) {
      BW_UNROLL
      for (int r = 0; r < kRows; ++r) {
        sum[r] = multiply_add<kFused>(w_t, columns.template read<true>(plane, (first + r) * stride), sum[r]);
      }
    } else if (rows_inside) {
      BW_UNROLL
      for (int r = 0; r < kRows; ++r) {
        sum[r] = multiply_add<kFused>(w_t, columns.template read<false>(plane, (first + r) * stride), sum[r]);
      }
    } else {
      BW_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const int64_t row = top + r * plane.step_y;
        if (row < 0 || row >= plane.source_height) continue;
        sum[r] = multiply_add<kFused>(w_t, columns.template read<false>(plane, (first + r) * stride), sum[r]);
      }
    }
  }
  BW_UNROLL
  for (int r = 0; r < kRows; ++r)
    store_row(y + (first + r) * plane.y_stride + c, sum[r], plane.columns - c, accumulate);
}

template <bool kFused, int kStep>
void weighted_any(const Plane& plane, const float* x, const float* w, float* y, bool accumulate) {
  // Steps above 2 read element by element, however many rows there are.
  constexpr int kRows = kStep == 0 ? 1 : BW_PLANE_ROWS;
  for (int64_t c = 0; c < plane.columns; c += kWidth) {
    int64_t r = 0;
    for (; r + kRows <= plane.rows; r += kRows) tap_rows<kFused, kStep, kRows>(plane, x, w, r, c, y, accumulate);
    for (; r < plane.rows; ++r) tap_rows<kFused, kStep, 1>(plane, x, w, r, c, y, accumulate);
  }
}

// A 3x3 kernel on adjacent pixels of one source: taps ascend by rows and columns, or descend, as in a transpose.
struct Square {
  int64_t direction;  // 1, -1, or 0 for another shape
  int64_t y, x;       // the first tap

  explicit Square(const Plane& plane) : direction(0) {
    if (plane.tap_count != 9 || plane.step_y != 1 || plane.step_x != 1) return;
    y = plane.taps[0].y;
    x = plane.taps[0].x;
    const int64_t step = plane.taps[1].x - x;
    if (step != 1 && step != -1) return;
    for (int64_t t = 0; t < 9; ++t) {
      const PlaneTap& tap = plane.taps[t];
      if (tap.plane != plane.taps[0].plane || tap.y != y + step * (t / 3) || tap.x != x + step * (t % 3)) return;
    }
    direction = step;
  }
};

// kRows rows of kVectors vectors each, from row `first` on in the taps' direction. Every vector of x is loaded once for
// all rows of y that it reaches; x's rows and then its columns follow the taps, so those of one row of y come in their
// order. A row's sum is one chain of additions, so several vectors keep the machine busy.
template <bool kFused, bool kWhole, int kVectors, int kRows>
BW_INLINE void square_rows(const Plane& plane, const Square& square, const float* x, const F32* weights,
                           const Lanes* lanes, int64_t first, int64_t c, float* y, bool accumulate) {
  const float* end = x + plane.source_height * plane.source_width;
  F32 sum[kRows][kVectors];
  BW_UNROLL
  for (int r = 0; r < kRows; ++r) {
    BW_UNROLL
    for (int v = 0; v < kVectors; ++v) sum[r][v] = F32{};
  }
  const int64_t origin = square.direction > 0 ? square.y : plane.rows - 1 + square.y;
  BW_UNROLL
  for (int i = 0; i < kRows + 2; ++i) {
    const int64_t row = origin + square.direction * (first + i);
    if (row < 0 || row >= plane.source_height) continue;
    const float* p = x + row * plane.source_width + c + square.x;
    BW_UNROLL
    for (int kx = 0; kx < 3; ++kx) {
      F32 value[kVectors];
      BW_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        value[v] = read_lanes<kWhole>(p + square.direction * kx + v * kWidth, lanes[kx], x, end);
      }
      BW_UNROLL
      for (int ky = 2; ky >= 0; --ky) {
        const int r = i - ky;
        if (r < 0 || r >= kRows) continue;
        BW_UNROLL
        for (int v = 0; v < kVectors; ++v) sum[r][v] = multiply_add<kFused>(weights[ky * 3 + kx], value[v], sum[r][v]);
      }
    }
  }
  BW_UNROLL
  for (int r = 0; r < kRows; ++r) {
    const int64_t row = square.direction > 0 ? first + r : plane.rows - 1 - first - r;
    BW_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      store_row(y + row * plane.y_stride + c + v * kWidth, sum[r][v], plane.columns - c - v * kWidth, accumulate);
    }
  }
}

// kVectors vectors of columns, all rows.
template <bool kFused, bool kWhole, int kVectors>
void square_columns(const Plane& plane, const Square& square, const float* x, const F32* weights, const Lanes* lanes,
                    int64_t c, float* y, bool accumulate) {
  int64_t r = 0;
  for (; r + BW_PLANE_ROWS <= plane.rows; r += BW_PLANE_ROWS) {
    square_rows<kFused, kWhole, kVectors, BW_PLANE_ROWS>(plane, square, x, weights, lanes, r, c, y, accumulate);
  }
  for (; r + 2 <= plane.rows; r += 2)
    square_rows<kFused, kWhole, kVectors, 2>(plane, square, x, weights, lanes, r, c, y, accumulate);
  if (r < plane.rows) square_rows<kFused, kWhole, kVectors, 1>(plane, square, x, weights, lanes, r, c, y, accumulate);
}

template <bool kFused>
void weighted_square(const Plane& plane, const Square& square, const float* x, const float* w, float* y,
                     bool accumulate) {
  x += plane.taps[0].plane;
  F32 weights[9];
  BW_UNROLL
  for (int t = 0; t < 9; ++t) weights[t] = broadcast(w[t]);
  for (int64_t c = 0; c < plane.columns;) {
    Lanes lanes[3];
    BW_UNROLL
    for (int kx = 0; kx < 3; ++kx) {
      const int64_t begin = c + square.x + square.direction * kx;
      lanes[kx] = lanes_between(-begin, plane.source_width - begin);
    }
    // The columns of x that all taps of one vector, or of two, read.
    const int64_t begin = c + square.x + (square.direction > 0 ? 0 : -2), end = begin + 2 + kWidth;
    if (begin >= 0 && end + kWidth <= plane.source_width && c + 2 * kWidth <= plane.columns) {
      square_columns<kFused, true, 2>(plane, square, x, weights, lanes, c, y, accumulate);
      c += 2 * kWidth;
    } else if (begin >= 0 && end <= plane.source_width) {
      square_columns<kFused, true, 1>(plane, square, x, weights, lanes, c, y, accumulate);
      c += kWidth;
    } else {
      square_columns<kFused, false, 1>(plane, square, x, weights, lanes, c, y, accumulate);
      c += kWidth;
    }
  }
}

template <bool kFused>
void weighted_taps(const Plane& plane, const float* x, const float* w, float* y, bool accumulate) {
  const Square square(plane);
  if (square.direction != 0) {
    weighted_square<kFused>(plane, square, x, w, y, accumulate);
  } else if (plane.step_x == 1) {
    weighted_any<kFused, 1>(plane, x, w, y, accumulate);
  } else if (plane.step_x == 2) {
    weighted_any<kFused, 2>(plane, x, w, y, accumulate);
  } else {
    weighted_any<kFused, 0>(plane, x, w, y, accumulate);
  }
}

// kTaps taps; a stretch of kLanes columns goes down all rows before the next.
template <bool kFused, int kStep, int kTaps>
BW_INLINE void tap_products_of(const Plane& plane, const float* x, const float* y, const PlaneTap* taps, float* sums) {
  const int64_t stride = plane.step_y * plane.source_width;
  TapRows inside[kTaps];
  // Rows that are inside for every tap.
  int64_t first = 0, last = plane.rows;
  for (int t = 0; t < kTaps; ++t) {
    inside[t] = rows_inside(plane, taps[t]);
    first = inside[t].first > first ? inside[t].first : first;
    last = inside[t].last < last ? inside[t].last : last;
  }
  float lanes[kTaps][kLanes];
  for (int64_t v = 0; v < kLanes; v += kWidth) {
    F32 sum[kTaps];
    BW_UNROLL
    for (int t = 0; t < kTaps; ++t) sum[t] = F32{};
    for (int64_t c = v; c < plane.columns; c += kLanes) {
      TapColumns<kStep> columns[kTaps];
      BW_UNROLL
      for (int t = 0; t < kTaps; ++t) columns[t] = TapColumns<kStep>(plane, x, taps[t], c);
      const Lanes lanes_c = lanes_between(0, plane.columns - c);
      for (int64_t r = 0; r < plane.rows; ++r) {
        const F32 y_r =
            load_lanes(y + r * plane.y_stride + c, lanes_c, y, y + (plane.rows - 1) * plane.y_stride + plane.columns);
        if (r >= first && r < last) {
          BW_UNROLL
          for (int t = 0; t < kTaps; ++t)
            sum[t] = multiply_add<kFused>(y_r, columns[t].template read<false>(plane, r * stride), sum[t]);
        } else {
          BW_UNROLL
          for (int t = 0; t < kTaps; ++t) {
            if (r >= inside[t].first && r < inside[t].last)
              sum[t] = multiply_add<kFused>(y_r, columns[t].template read<false>(plane, r * stride), sum[t]);
          }
        }
      }
    }
    BW_UNROLL
    for (int t = 0; t < kTaps; ++t) store(lanes[t] + v, sum[t]);
  }
  BW_UNROLL
  for (int t = 0; t < kTaps; ++t) sums[t] = merge_lanes(lanes[t]);
}

// The same for a 3x3 kernel: every vector of x is loaded once for the three rows of y that it meets.
template <bool kFused>
void square_products(const Plane& plane, const Square& square, const float* x, const float* y, float* sums) {
  const float* source = x + plane.taps[0].plane;
  const float* end = source + plane.source_height * plane.source_width;
  const float* y_end = y + (plane.rows - 1) * plane.y_stride + plane.columns;
  float lanes[9][kLanes];
  for (int64_t v = 0; v < kLanes; v += kWidth) {
    F32 sum[9];
    BW_UNROLL
    for (int t = 0; t < 9; ++t) sum[t] = F32{};
    for (int64_t c = v; c < plane.columns; c += kLanes) {
      Lanes columns[3];
      BW_UNROLL
      for (int kx = 0; kx < 3; ++kx)
        columns[kx] = lanes_between(-(c + square.x + kx), plane.source_width - (c + square.x + kx));
      const Lanes y_columns = lanes_between(0, plane.columns - c);
      F32 y_rows[3] = {};  // rows i, i - 1, i - 2 of y, which x's row i + square.y meets
      for (int64_t i = 0; i < plane.rows + 2; ++i) {
        y_rows[2] = y_rows[1];
        y_rows[1] = y_rows[0];
        y_rows[0] = i < plane.rows ? load_lanes(y + i * plane.y_stride + c, y_columns, y, y_end) : F32{};
        const int64_t row = i + square.y;
        if (row < 0 || row >= plane.source_height) continue;
        const float* p = source + row * plane.source_width + c + square.x;
        BW_UNROLL
        for (int kx = 0; kx < 3; ++kx) {
          const F32 value = load_lanes(p + kx, columns[kx], source, end);
          BW_UNROLL
          for (int ky = 0; ky < 3; ++ky) sum[ky * 3 + kx] = multiply_add<kFused>(y_rows[ky], value, sum[ky * 3 + kx]);
        }
      }
    }
    BW_UNROLL
    for (int t = 0; t < 9; ++t) store(lanes[t] + v, sum[t]);
  }
  BW_UNROLL
  for (int t = 0; t < 9; ++t) sums[t] = merge_lanes(lanes[t]);
}

template <bool kFused, int kStep>
void tap_products_any(const Plane& plane, const float* x, const float* y, float* sums) {
  constexpr int kTaps = kStep == 0 ? 1 : 9;
  int64_t t = 0;
  for (; t + kTaps <= plane.tap_count; t += kTaps) {
    tap_products_of<kFused, kStep, kTaps>(plane, x, y, plane.taps + t, sums + t);
  }
  for (; t < plane.tap_count; ++t) tap_products_of<kFused, kStep, 1>(plane, x, y, plane.taps + t, sums + t);
}

template <bool kFused>
void tap_products(const Plane& plane, const float* x, const float* y, float* sums) {
  const Square square(plane);
  if (square.direction > 0) {
    square_products<kFused>(plane, square, x, y, sums);
  } else if (plane.step_x == 1) {
    tap_products_any<kFused, 1>(plane, x, y, sums);
  } else if (plane.step_x == 2) {
    tap_products_any<kFused, 2>(plane, x, y, sums);
  } else {
    tap_products_any<kFused, 0>(plane, x, y, sums);
  }
}
