// Fake quantization and its error. Included once per target by kernels-inl.h.
//
// round(x / scale) + zero_point clamped to [qmin, qmax] equals round(clamp(x / scale, qmin - zero_point, qmax -
// zero_point)) + zero_point, since the bounds are integers; clamping first keeps every value inside round_half_even's
// domain.

struct Steps {
  float scale, low, high;
  explicit Steps(const Grid& grid)
      : scale(grid.scale), low(float(grid.qmin - grid.zero_point)), high(float(grid.qmax - grid.zero_point)) {}
  // Steps of the scale from zero, an integer.
  BW_INLINE_MEMBER F32 count(F32 x) const {
    return round_half_even(smaller(larger(x / scale, broadcast(low)), broadcast(high)));
  }
  BW_INLINE_MEMBER F32 operator()(F32 x) const { return count(x) * scale; }
};

static void fake_quantize(const float* x, int64_t count, Grid grid, float* y) { map(count, y, Steps(grid), x); }

// Steps with a scale and a zero point of its own for every element.
struct StepsEach {
  int32_t qmin, qmax;
  BW_INLINE_MEMBER F32 count(F32 x, F32 scale, I32 zero_point) const {
    return round_half_even(smaller(larger(x / scale, to_floats(qmin - zero_point)), to_floats(qmax - zero_point)));
  }
  BW_INLINE_MEMBER F32 operator()(F32 x, F32 scale, I32 zero_point) const {
    return count(x, scale, zero_point) * scale;
  }
};

static void fake_quantize_each(const float* x, int64_t count, const float* scales, const int32_t* zero_points,
                               int32_t qmin, int32_t qmax, float* y) {
  map(count, y, StepsEach{qmin, qmax}, x, scales, zero_points);
}

struct CodeOf {
  Steps steps;
  int32_t zero_point;
  BW_INLINE_MEMBER I32 operator()(F32 x) const { return to_integers(steps.count(x)) + zero_point; }
};

static void quantize(const float* x, int64_t count, Grid grid, int32_t* codes) {
  map(count, codes, CodeOf{Steps(grid), grid.zero_point}, x);
}

struct CodeOfEach {
  StepsEach steps;
  BW_INLINE_MEMBER I32 operator()(F32 x, F32 scale, I32 zero_point) const {
    return to_integers(steps.count(x, scale, zero_point)) + zero_point;
  }
};

static void quantize_each(const float* x, int64_t count, const float* scales, const int32_t* zero_points, int32_t qmin,
                          int32_t qmax, int32_t* codes) {
  map(count, codes, CodeOfEach{{qmin, qmax}}, x, scales, zero_points);
}

// Lanes [v * kWidth, (v + 1) * kWidth) of a sum in double.
struct LaneSum {
  F64 low, high;
};

// Adds the weighted squares of one vector of errors. The square of a float is exact in double, so fusing could not
// change a bit.
template <bool kWeighted>
BW_INLINE void add_squares(F32 error, const float* weights, LaneSum& sum) {
  F64 low = widen_low(error), high = widen_high(error);
  low *= low;
  high *= high;
  if constexpr (kWeighted) {
    const F32 weight = load(weights);
    low *= widen_low(weight);
    high *= widen_high(weight);
  }
  sum.low += low;
  sum.high += high;
}

template <bool kWeighted>
BW_INLINE void add_errors(const Steps& steps, const float* x, const float* weights, int64_t count, double* lanes) {
  constexpr int kVectors = kLanes / kWidth;
  LaneSum sum[kVectors];
  BW_UNROLL
  for (int v = 0; v < kVectors; ++v) sum[v] = {load(lanes + v * kWidth), load(lanes + v * kWidth + kWidth / 2)};
  for (int64_t i = 0; i < count; i += kLanes) {
    BW_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const F32 x_v = load(x + i + v * kWidth);
      add_squares<kWeighted>(steps(x_v) - x_v, weights + i + v * kWidth, sum[v]);
    }
  }
  BW_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    store(lanes + v * kWidth, sum[v].low);
    store(lanes + v * kWidth + kWidth / 2, sum[v].high);
  }
}

// Runs every grid over a block of x that stays in the first-level cache. kGrids of them keep their lanes at a time.
template <bool kWeighted>
BW_INLINE void error_sums_of(const float* x, const float* weights, int64_t count, const Grid* grids, int64_t grid_count,
                             double* sums) {
  constexpr int64_t kBlock = 512, kGrids = 64;
  const int64_t whole = count / kLanes * kLanes;
  // The last few elements, padded with zeros of weight zero: a grid without zero in its range errs on them.
  float tail[kLanes] = {}, tail_weights[kLanes] = {};
  for (int64_t i = whole; i < count; ++i) {
    tail[i - whole] = x[i];
    tail_weights[i - whole] = kWeighted ? weights[i] : 1.0f;
  }
  for (int64_t g0 = 0; g0 < grid_count; g0 += kGrids) {
    const int64_t g1 = g0 + kGrids < grid_count ? g0 + kGrids : grid_count;
    double lanes[kGrids][kLanes] = {};
    for (int64_t i = 0; i < whole; i += kBlock) {
      const int64_t block = i + kBlock < whole ? kBlock : whole - i;
      for (int64_t g = g0; g < g1; ++g) {
        add_errors<kWeighted>(Steps(grids[g]), x + i, kWeighted ? weights + i : nullptr, block, lanes[g - g0]);
      }
    }
    for (int64_t g = g0; g < g1; ++g) {
      if (whole < count) add_errors<true>(Steps(grids[g]), tail, tail_weights, kLanes, lanes[g - g0]);
      sums[g] += merge_lanes(lanes[g - g0]);
    }
  }
}

static void error_sums(const float* x, const float* weights, int64_t count, const Grid* grids, int64_t grid_count,
                       double* sums) {
  if (weights != nullptr) {
    error_sums_of<true>(x, weights, count, grids, grid_count, sums);
  } else {
    error_sums_of<false>(x, weights, count, grids, grid_count, sums);
  }
}
