// Reductions. Included once per target by kernels-inl.h.

static void min_max(const float* x, int64_t count, float* min, float* max, int64_t* nans) {
  float low = __builtin_inff(), high = -__builtin_inff();
  int64_t nan_count = 0;
  // NaN counters hold 32 bits a lane: emptied once a block.
  constexpr int64_t kBlock = int64_t{1} << 30;
  const int64_t whole = count / kWidth * kWidth;
  F32 low_lanes = broadcast(low), high_lanes = broadcast(high);
  for (int64_t begin = 0; begin < whole; begin += kBlock) {
    const int64_t end = begin + kBlock < whole ? begin + kBlock : whole;
    I32 nan_lanes = {};
    for (int64_t i = begin; i < end; i += kWidth) {
      const F32 x_i = load(x + i);
      low_lanes = smaller(x_i, low_lanes);
      high_lanes = larger(x_i, high_lanes);
      nan_lanes -= (x_i != x_i);
    }
    for (int lane = 0; lane < kWidth; ++lane) nan_count += nan_lanes[lane];
  }
  for (int lane = 0; lane < kWidth; ++lane) {
    if (low_lanes[lane] < low) low = low_lanes[lane];
    if (high_lanes[lane] > high) high = high_lanes[lane];
  }
  for (int64_t i = whole; i < count; ++i) {
    if (x[i] < low) low = x[i];
    if (x[i] > high) high = x[i];
    nan_count += x[i] != x[i];
  }
  // Which zero wins depends on the lanes; adding +0 leaves one.
  *min = low + 0.0f;
  *max = high + 0.0f;
  *nans = nan_count;
}

static void histogram(const float* x, int64_t count, float low, float high, int64_t bin_count, uint64_t* bins) {
  constexpr int64_t kBlock = 256;
  const double width = double(high) - double(low), last = double(bin_count - 1);
  double bin[kBlock];
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t block = begin + kBlock < count ? kBlock : count - begin;
    for (int64_t i = 0; i < block; ++i) {
      const double position = (double(x[begin + i]) - low) * double(bin_count) / width;
      bin[i] = position > 0 ? (position < last ? position : last) : 0;
    }
    for (int64_t i = 0; i < block; ++i) {
      if (x[begin + i] == x[begin + i]) ++bins[int64_t(bin[i])];
    }
  }
}

// The product of two floats is exact in double, so fusing could not change a bit.
static double dot(const float* a, const float* b, int64_t count) {
  constexpr int kVectors = kLanes / kWidth;
  LaneSum sum[kVectors] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    BW_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const F32 a_v = load(a + i + v * kWidth), b_v = load(b + i + v * kWidth);
      sum[v].low += widen_low(a_v) * widen_low(b_v);
      sum[v].high += widen_high(a_v) * widen_high(b_v);
    }
  }
  double lanes[kLanes];
  BW_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    store(lanes + v * kWidth, sum[v].low);
    store(lanes + v * kWidth + kWidth / 2, sum[v].high);
  }
  for (int64_t lane = 0; i < count; ++i, ++lane) lanes[lane] += double(a[i]) * double(b[i]);
  return merge_lanes(lanes);
}
