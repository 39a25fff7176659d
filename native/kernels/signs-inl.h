// Expansion of random bits into signs. Included once per target by kernels-inl.h.

// Bit i of a word by itself; a table, because the baselines have no shift by lane.
static const int32_t kBit[32] = {1 << 0,  1 << 1,  1 << 2,  1 << 3,  1 << 4,  1 << 5,  1 << 6,  1 << 7,
                                 1 << 8,  1 << 9,  1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15,
                                 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22, 1 << 23,
                                 1 << 24, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30, (int32_t)0x80000000u};

BW_INLINE void signs_of(uint64_t bits, float* y) {
  for (int half = 0; half < 2; ++half) {
    const I32 word = broadcast((int32_t)(uint32_t)(bits >> (32 * half)));
    for (int i = 0; i < 32; i += kWidth) {
      const I32 set = (word & load(kBit + i)) != 0;
      store(y + 32 * half + i, (F32)((set & (int32_t)0x80000000u) | 0x3f800000));
    }
  }
}

static void signs(const uint64_t* bits, int64_t count, float* y) {
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) signs_of(bits[i / 64], y + i);
  if (i == count) return;
  float last[64];
  signs_of(bits[i / 64], last);
  __builtin_memcpy(y + i, last, (count - i) * sizeof(float));
}
