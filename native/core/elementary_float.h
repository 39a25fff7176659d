// Elementary functions in float, for the hot loops: like those in double (elementary.h) from IEEE arithmetic alone, and without branches, so that
// compilers turn loops over them into vector code. Each polynomial is a minimax fit whose relative error on its interval is below 1e-8; results
// are within 3 units in the last place.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

namespace bitwright::elementary_float {

inline uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

inline float from_bits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

inline float abs(float x) { return from_bits(bits_of(x) & 0x7fffffffu); }
inline float with_sign(float magnitude, float sign) { return from_bits(bits_of(magnitude) | (bits_of(sign) & 0x80000000u)); }

// 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2.
inline float exp(float x) {
  constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, which then is in the low bits
  const float low = x < -104.0f ? -104.0f : x, clamped = low > 89.0f ? 89.0f : low;
  const float shifted = clamped * 1.44269504f + kRounder, k = shifted - kRounder;
  const auto n = static_cast<int32_t>(bits_of(shifted) - bits_of(kRounder));
  const float r = (clamped - k * 0.693359375f) + k * 2.12194440e-4f;  // ln 2 in two parts, the first of few bits
  const float q = (((0.00138210424f * r + 0.00836867094f) * r + 0.0416682623f) * r + 0.166665211f) * r + 0.499999940f;
  const float power = r * r * q + r + 1.0f;
  // In two steps, because 2^n alone may be beyond the range of normal numbers.
  const int32_t half = n >> 1;
  const float first = from_bits(static_cast<uint32_t>(half + 127) << 23), second = from_bits(static_cast<uint32_t>(n - half + 127) << 23);
  return power * first * second;
}

// n ln 2 + log(1 + m) with x = 2^n (1 + m) and 1 + m in [sqrt(1/2), sqrt(2)).
inline float log(float x) {
  constexpr uint32_t kRootHalf = 0x3f3504f3u;
  const bool tiny = x < std::numeric_limits<float>::min();
  const uint32_t bits = bits_of(tiny ? x * 8388608.0f : x);
  const auto n = static_cast<int32_t>(bits - kRootHalf) >> 23;
  const float m = from_bits(bits - (static_cast<uint32_t>(n) << 23)) - 1.0f, exponent = static_cast<float>(n) - (tiny ? 23.0f : 0.0f);
  const float p = ((((((-0.0763694048f * m + 0.127624854f) * m - 0.131595507f) * m + 0.142015398f) * m - 0.166234106f) * m + 0.200012431f) * m -
                   0.250008196f) * m + 0.333333313f;
  const float value = (m * m * m * p - 0.5f * m * m - exponent * 2.12194440e-4f) + m + exponent * 0.693359375f;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float positive = x > std::numeric_limits<float>::max() ? x : value;
  const float with_zero = x == 0.0f ? -kInfinity : positive;
  return x >= 0.0f ? with_zero : std::numeric_limits<float>::quiet_NaN();
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

inline float tanh(float x) {
  const float t = abs(x), s = x * x;
  const float p = (((-0.00589796668f * s + 0.0207986254f) * s - 0.0537847169f) * s + 0.133319363f) * s - 0.333332986f;
  const float near = x + x * s * p, far = with_sign(1.0f - 2.0f / (exp(2.0f * t) + 1.0f), x);
  return t < 0.6f ? near : far;
}

// Near 0 by x + x P(x^2), elsewhere by 1 - e^(-t - t Q(t)).
inline float erf(float x) {
  const float t = abs(x), s = x * x, u = t > 4.0f ? 4.0f : t;
  const float p = (((((7.99664922e-5f * s - 0.000804976968f) * s + 0.00519240508f) * s - 0.0268557314f) * s + 0.112836257f) * s - 0.376126289f) * s +
                  0.128379166f;
  const float q = ((((-0.000213988358f * u + 0.00321497885f) * u - 0.0228900220f) * u + 0.105261907f) * u + 0.635718286f) * u + 0.128514364f;
  const float near = x + x * p, far = with_sign(1.0f - exp(-u - u * q), x);
  return t < 0.93f ? near : far;
}

}  // namespace bitwright::elementary_float
