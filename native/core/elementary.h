// Elementary functions in double from sums, products and divisions alone. Math libraries differ in the last place from system to system; these
// give the same bits wherever IEEE arithmetic is kept, which is what lets backends be compared with ==. Errors are a few units in the last
// place of a double; rounded to float they are right in all but a few in a billion arguments.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace bitwright::elementary {

// c[0] + c[1] x + c[2] x^2 + ...
template <int kCount>
inline double polynomial(const double (&c)[kCount], double x) {
  double sum = c[kCount - 1];
  for (int i = kCount - 2; i >= 0; --i) sum = sum * x + c[i];
  return sum;
}

// Nearest whole number, |x| < 2^51, half to even.
inline double nearest(double x) { return (x + 6755399441055744.0) - 6755399441055744.0; }

// 2^k for -1022 <= k <= 1023.
inline double power_of_two(int64_t k) {
  const uint64_t bits = static_cast<uint64_t>(k + 1023) << 52;
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// ln 2 in two parts; multiples of the first by up to 11 bits are exact.
constexpr double kLn2High = 0x1.62e42fefa0000p-1, kLn2Low = 0x1.cf79abc9e3b3ap-40;

inline double exp(double x) {
  // Taylor's series on |r| <= ln(2)/2.
  constexpr double c[] = {1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880,
                          1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
  if (!(x > -746)) return std::isnan(x) ? x : 0.0;
  if (x > 709.8) return std::numeric_limits<double>::infinity();
  const double k = nearest(x * 1.4426950408889634);
  const double r = (x - k * kLn2High) - k * kLn2Low;
  // Two factors, so that results below the smallest normal number are rounded once.
  const auto whole = static_cast<int64_t>(k);
  const int64_t half = whole / 2;
  return polynomial(c, r) * power_of_two(half) * power_of_two(whole - half);
}

inline double log(double x) {
  if (!(x > 0)) return x == 0 ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  if (std::isinf(x)) return x;
  int exponent;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752) {
    m *= 2;
    --exponent;
  }
  // 2 atanh(s) with s = (m - 1) / (m + 1), |s| < 0.172.
  constexpr double c[] = {1.0, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21};
  const double s = (m - 1) / (m + 1);
  return exponent * kLn2High + (2 * s * polynomial(c, s * s) + exponent * kLn2Low);
}

// 1 / (1 + e^-x), without overflow on either side.
inline double sigmoid(double x) {
  const double e = exp(-std::fabs(x));
  return (x >= 0 ? 1.0 : e) / (1 + e);
}

inline double tanh(double x) {
  const double a = std::fabs(x);
  // The quotient below loses the digits of small arguments; the series has them.
  if (a < 0.1) {
    constexpr double c[] = {1.0, -1.0 / 3, 2.0 / 15, -17.0 / 315, 62.0 / 2835, -1382.0 / 155925, 21844.0 / 6081075};
    return x * polynomial(c, x * x);
  }
  const double e = exp(-2 * a);
  return std::copysign((1 - e) / (1 + e), x);
}

// Polynomials from Chebyshev interpolation, computed with 40 digits: erf(x) / x in x^2 on [0, 1], and erfc(x) e^(x^2) in t = 1 / (1 + x/2) on
// x in [1, 6.5], shifted and scaled to [-1, 1]. Both are off by less than 1e-20.
inline double erf(double x) {
  const double a = std::fabs(x);
  if (!(a <= 6.5)) return std::isnan(x) ? x : std::copysign(1.0, x);
  if (a <= 1) {
    constexpr double c[] = {1.128379167095512574,     -0.3761263890318375238,     0.1128379167095512024,     -0.02686617064512984081,
                            0.005223977625423298309,  -0.0008548327021934829596,  0.0001205533290288873541,  -0.00001492564756751933213,
                            1.646204544146841894e-6,  -1.63646421581676153e-7,    1.4792401209404813e-8,     -1.216456005728345008e-9,
                            8.70904512905310669e-11,  -4.230945824295337817e-12};
    return x * polynomial(c, x * x);
  }
  constexpr double c[] = {0.2157634381198027347,     0.1648110543420651462,    0.04069787888964131786,    0.006169711561774933158,
                          0.0002426972979101591341,  -0.00009418227785577196314, -9.633642048350542445e-6, 2.460719413368552386e-6,
                          2.450869884871805869e-7,   -9.518683300871472642e-8, -2.303530960624538226e-9,  3.998635365482339443e-9,
                          -3.526474400832995432e-10, -1.326716599292680066e-10, 3.616121101332516089e-11, 6.189795579302008164e-13,
                          -1.977979620128442026e-12, 3.320295541516841943e-13, 5.162411267763086536e-14,  -2.318053765373035875e-14};
  const double s = (1 / (1 + 0.5 * a) - 0.4509803921568627451) / 0.21568627450980392157;
  return std::copysign(1 - polynomial(c, s) * exp(-a * a), x);
}

// x^y. Whole exponents up to 64 by multiplication, halves of odd ones with a square root.
inline double pow(double x, double y) {
  if (y == 0 || x == 1) return 1;
  const double a = std::fabs(y);
  const double whole = std::floor(a);
  if (a <= 64 && (a == whole || a == whole + 0.5)) {
    double result = a == whole ? 1.0 : std::sqrt(x), base = x;
    for (auto n = static_cast<int>(whole); n > 0; n /= 2, base *= base)
      if (n % 2 != 0) result *= base;
    return y < 0 ? 1 / result : result;
  }
  if (x > 0) return exp(y * log(x));
  // Zeros, negative bases and NaN have exact answers that every library gives.
  if (x == 0 || std::isnan(x) || std::isinf(y) || y != std::nearbyint(y)) return std::pow(x, y);
  const double magnitude = exp(y * log(-x));
  return std::fmod(a, 2) == 1 ? -magnitude : magnitude;
}

// The angle's quarter turn (0 to 3) and what is left of it, |rest| <= pi/4 and a little.
inline int quarter_turn(double x, double* rest) {
  // pi/2 in three parts; beyond 2^20 quarter turns the remainder by 2 pi, as a double, comes first.
  if (std::fabs(x) > 1e6) x = std::remainder(x, 6.283185307179586);
  const double k = nearest(x * 0.6366197723675814);
  *rest = ((x - k * 0x1.921fb54400000p+0) - k * 0x1.0b4611a600000p-34) - k * 0x1.3198a2e037073p-69;
  return static_cast<int>(static_cast<int64_t>(k) & 3);
}

inline double sin_part(double r) {
  constexpr double c[] = {1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000};
  return r * polynomial(c, r * r);
}

inline double cos_part(double r) {
  constexpr double c[] = {1.0, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000};
  return polynomial(c, r * r);
}

inline double sin(double x) {
  if (!std::isfinite(x)) return std::numeric_limits<double>::quiet_NaN();
  double r;
  const int turn = quarter_turn(x, &r);
  const double value = turn % 2 == 0 ? sin_part(r) : cos_part(r);
  return turn < 2 ? value : -value;
}

inline double cos(double x) {
  if (!std::isfinite(x)) return std::numeric_limits<double>::quiet_NaN();
  double r;
  const int turn = quarter_turn(x, &r);
  const double value = turn % 2 == 0 ? cos_part(r) : sin_part(r);
  return turn == 0 || turn == 3 ? value : -value;
}

inline double tan(double x) {
  double r;
  if (!std::isfinite(x)) return std::numeric_limits<double>::quiet_NaN();
  return quarter_turn(x, &r) % 2 == 0 ? sin_part(r) / cos_part(r) : -cos_part(r) / sin_part(r);
}

inline double atan(double x) {
  if (std::isnan(x)) return x;
  const double a = std::fabs(x);
  // Of 1/a beyond 1; then the angle is halved twice, and Taylor's series has |t| < 0.2.
  double t = a > 1 ? 1 / a : a;
  for (int i = 0; i < 2; ++i) t = t / (1 + std::sqrt(1 + t * t));
  constexpr double c[] = {1.0, -1.0 / 3, 1.0 / 5, -1.0 / 7, 1.0 / 9, -1.0 / 11, 1.0 / 13, -1.0 / 15, 1.0 / 17, -1.0 / 19, 1.0 / 21, -1.0 / 23};
  const double angle = 4 * t * polynomial(c, t * t);
  return std::copysign(a > 1 ? 1.5707963267948966 - angle : angle, x);
}

inline double asin(double x) {
  const double a = std::fabs(x);
  return a == 1 ? std::copysign(1.5707963267948966, x) : atan(x / std::sqrt((1 - x) * (1 + x)));
}
// Beside 1, where pi/2 - asin(x) would lose its digits, through the half angle.
inline double acos(double x) { return x <= -1 ? (x == -1 ? 3.141592653589793 : std::numeric_limits<double>::quiet_NaN()) : 2 * atan(std::sqrt((1 - x) / (1 + x))); }

// log(1 + x) with the digits of a small x.
inline double log1p(double x) {
  if (!(std::fabs(x) < 0.3)) return log(1 + x);
  constexpr double c[] = {1.0, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21};
  const double s = x / (2 + x);
  return 2 * s * polynomial(c, s * s);
}

inline double sinh(double x) {
  const double a = std::fabs(x);
  if (a < 0.5) {
    constexpr double c[] = {1.0, 1.0 / 6, 1.0 / 120, 1.0 / 5040, 1.0 / 362880, 1.0 / 39916800, 1.0 / 6227020800, 1.0 / 1307674368000};
    return x * polynomial(c, x * x);
  }
  const double e = exp(0.5 * a);
  return std::copysign(0.5 * e * e - 0.5 / e / e, x);
}
inline double cosh(double x) {
  const double e = exp(0.5 * std::fabs(x));
  return 0.5 * e * e + 0.5 / e / e;
}
inline double asinh(double x) {
  const double a = std::fabs(x);
  if (a > 1e9) return std::copysign(log(a) + 0.6931471805599453, x);
  return std::copysign(log1p(a + a * a / (1 + std::sqrt(1 + a * a))), x);
}
inline double acosh(double x) {
  if (x > 1e9) return log(x) + 0.6931471805599453;
  const double t = x - 1;
  return t >= 0 ? log1p(t + std::sqrt(t * (2 + t))) : std::numeric_limits<double>::quiet_NaN();
}
inline double atanh(double x) { return std::copysign(0.5 * log1p(2 * std::fabs(x) / (1 - std::fabs(x))), x); }

}  // namespace bitwright::elementary
