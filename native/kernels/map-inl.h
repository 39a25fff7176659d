// Elementwise kernels. Included once per target by kernels-inl.h.

template <class Output, class Op, class... Inputs>
BW_INLINE void map(int64_t count, Output* y, Op op, const Inputs*... x) {
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) store(y + i, op(load(x + i)...));
  if (i < count) store_tail(y + i, op(load_tail(x + i, count - i)...), count - i);
}

struct Add {
  BW_INLINE_MEMBER F32 operator()(F32 a, F32 b) const { return a + b; }
};

struct Multiply {
  BW_INLINE_MEMBER F32 operator()(F32 a, F32 b) const { return a * b; }
};

struct MultiplyAdd {
  BW_INLINE_MEMBER F32 operator()(F32 a, F32 b, F32 y) const { return y + a * b; }
};

struct ScaleShift {
  float scale, shift;
  BW_INLINE_MEMBER F32 operator()(F32 x) const { return x * scale + shift; }
};

struct Clip {
  float low, high;
  BW_INLINE_MEMBER F32 operator()(F32 x) const { return smaller(broadcast(high), larger(broadcast(low), x)); }
};

struct ClipMask {
  float low, high;
  BW_INLINE_MEMBER F32 operator()(F32 x, F32 g) const { return (F32)((I32)g & (x > low) & (x < high)); }
};

struct ClipMaskAdd {
  ClipMask mask;
  BW_INLINE_MEMBER F32 operator()(F32 x, F32 g, F32 y) const { return y + mask(x, g); }
};

static void add(const float* a, const float* b, int64_t count, float* y) { map(count, y, Add{}, a, b); }

static void add_to(const float* x, int64_t count, float* y) { map<float, Add, float, float>(count, y, Add{}, y, x); }

static void multiply(const float* a, const float* b, int64_t count, float* y) { map(count, y, Multiply{}, a, b); }

static void multiply_add(const float* a, const float* b, int64_t count, float* y) {
  map<float, MultiplyAdd, float, float, float>(count, y, MultiplyAdd{}, a, b, y);
}

static void scale_shift(const float* x, float scale, float shift, int64_t count, float* y) {
  map(count, y, ScaleShift{scale, shift}, x);
}

static void clip(const float* x, float low, float high, int64_t count, float* y) { map(count, y, Clip{low, high}, x); }

static void clip_mask(const float* x, float low, float high, const float* g, int64_t count, bool accumulate, float* y) {
  if (accumulate) {
    map<float, ClipMaskAdd, float, float, float>(count, y, ClipMaskAdd{{low, high}}, x, g, y);
  } else {
    map(count, y, ClipMask{low, high}, x, g);
  }
}
