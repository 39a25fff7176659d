// Numbers that carry their derivatives: a function written once over them gives its first and second derivatives exactly
// (truncated Taylor arithmetic; Griewank and Walther, Evaluating Derivatives, chapter 13).
#pragma once

#include <cmath>

#include "core/elementary.h"
#include "core/elementary_float.h"

namespace bitwright {

// f(x), f'(x), f''(x) of one variable.
template <class T>
struct Jet1 {
  T v = 0, d = 0, dd = 0;

  Jet1() = default;
  Jet1(T value) : v(value) {}
  static Jet1 variable(T x) {
    Jet1 jet(x);
    jet.d = 1;
    return jet;
  }
  // g(this) for a function with value g, first derivative g1 and second g2 at v.
  Jet1 chain(T g, T g1, T g2) const {
    Jet1 jet(g);
    jet.d = g1 * d;
    jet.dd = g1 * dd + g2 * d * d;
    return jet;
  }
  friend Jet1 operator+(const Jet1& x, const Jet1& y) { return make(x.v + y.v, x.d + y.d, x.dd + y.dd); }
  friend Jet1 operator-(const Jet1& x, const Jet1& y) { return make(x.v - y.v, x.d - y.d, x.dd - y.dd); }
  friend Jet1 operator-(const Jet1& x) { return make(-x.v, -x.d, -x.dd); }
  friend Jet1 operator*(const Jet1& x, const Jet1& y) {
    return make(x.v * y.v, x.d * y.v + x.v * y.d, x.dd * y.v + 2 * x.d * y.d + x.v * y.dd);
  }
  friend Jet1 operator/(const Jet1& x, const Jet1& y) { return x * y.chain(1 / y.v, -1 / (y.v * y.v), 2 / (y.v * y.v * y.v)); }

 private:
  static Jet1 make(T v, T d, T dd) {
    Jet1 jet(v);
    jet.d = d;
    jet.dd = dd;
    return jet;
  }
};

// f and its derivative along one direction.
template <class T>
struct Dual {
  T v = 0, d = 0;

  Dual() = default;
  Dual(T value) : v(value) {}
  Dual(T value, T derivative) : v(value), d(derivative) {}
  Dual chain(T g, T g1, T) const { return {g, g1 * d}; }
  friend Dual operator+(const Dual& x, const Dual& y) { return {x.v + y.v, x.d + y.d}; }
  friend Dual operator-(const Dual& x, const Dual& y) { return {x.v - y.v, x.d - y.d}; }
  friend Dual operator*(const Dual& x, const Dual& y) { return {x.v * y.v, x.d * y.v + x.v * y.d}; }
  friend Dual operator/(const Dual& x, const Dual& y) { return {x.v / y.v, (x.d - x.v / y.v * y.d) / y.v}; }
};

// f(a, b) with its gradient and Hessian.
template <class T>
struct Jet2 {
  T v = 0, a = 0, b = 0, aa = 0, ab = 0, bb = 0;

  Jet2() = default;
  Jet2(T value) : v(value) {}
  static Jet2 first(T x) { return make(x, 1, 0, 0, 0, 0); }
  static Jet2 second(T x) { return make(x, 0, 1, 0, 0, 0); }
  Jet2 chain(T g, T g1, T g2) const {
    return make(g, g1 * a, g1 * b, g1 * aa + g2 * a * a, g1 * ab + g2 * a * b, g1 * bb + g2 * b * b);
  }
  friend Jet2 operator+(const Jet2& x, const Jet2& y) {
    return make(x.v + y.v, x.a + y.a, x.b + y.b, x.aa + y.aa, x.ab + y.ab, x.bb + y.bb);
  }
  friend Jet2 operator-(const Jet2& x, const Jet2& y) {
    return make(x.v - y.v, x.a - y.a, x.b - y.b, x.aa - y.aa, x.ab - y.ab, x.bb - y.bb);
  }
  friend Jet2 operator*(const Jet2& x, const Jet2& y) {
    return make(x.v * y.v, x.a * y.v + x.v * y.a, x.b * y.v + x.v * y.b, x.aa * y.v + 2 * x.a * y.a + x.v * y.aa,
                x.ab * y.v + x.a * y.b + x.b * y.a + x.v * y.ab, x.bb * y.v + 2 * x.b * y.b + x.v * y.bb);
  }
  friend Jet2 operator/(const Jet2& x, const Jet2& y) { return x * y.chain(1 / y.v, -1 / (y.v * y.v), 2 / (y.v * y.v * y.v)); }

 private:
  static Jet2 make(T v, T a, T b, T aa, T ab, T bb) {
    Jet2 jet(v);
    jet.a = a, jet.b = b, jet.aa = aa, jet.ab = ab, jet.bb = bb;
    return jet;
  }
};

// The functions that op formulas use, on plain numbers and on jets.
namespace math {

inline float value(float x) { return x; }
inline double value(double x) { return x; }
template <class T>
T value(const Jet1<T>& x) { return x.v; }
template <class T>
T value(const Jet2<T>& x) { return x.v; }
template <class T>
T value(const Dual<T>& x) { return x.v; }
inline int64_t value(int64_t x) { return x; }
inline int32_t value(int32_t x) { return x; }

inline double exp(double x) { return elementary::exp(x); }
inline float exp(float x) { return elementary_float::exp(x); }
template <class J>
J exp(const J& x) { const auto e = exp(x.v); return x.chain(e, e, e); }

inline double log(double x) { return elementary::log(x); }
inline float log(float x) { return elementary_float::log(x); }
template <class J>
J log(const J& x) { return x.chain(log(x.v), 1 / x.v, -1 / (x.v * x.v)); }

inline float sqrt(float x) { return std::sqrt(x); }
inline double sqrt(double x) { return std::sqrt(x); }
template <class J>
J sqrt(const J& x) { const auto s = std::sqrt(x.v); return x.chain(s, 1 / (2 * s), -1 / (4 * s * s * s)); }

inline double tanh(double x) { return elementary::tanh(x); }
inline float tanh(float x) { return elementary_float::tanh(x); }
template <class J>
J tanh(const J& x) { const auto t = tanh(x.v); const auto d = 1 - t * t; return x.chain(t, d, -2 * t * d); }

inline double erf(double x) { return elementary::erf(x); }
inline float erf(float x) { return elementary_float::erf(x); }
template <class J>
J erf(const J& x) {
  using T = decltype(x.v);
  const T d = T(1.1283791670955126) * exp(-x.v * x.v);  // 2 / sqrt(pi)
  return x.chain(erf(x.v), d, -2 * x.v * d);
}

inline double sigmoid(double x) { return elementary::sigmoid(x); }
inline float sigmoid(float x) { return elementary_float::sigmoid(x); }
template <class J>
J sigmoid(const J& x) { const auto s = sigmoid(x.v); const auto d = s * (1 - s); return x.chain(s, d, d * (1 - 2 * s)); }

// |x|; the derivative at 0 is 0.
template <class J>
J abs(const J& x) {
  const auto v = value(x);
  return v > 0 ? x : v < 0 ? J(0) - x : J(v < 0 ? v : v + 0) * J(0);
}

// x^y
inline double pow(double x, double y) { return elementary::pow(x, y); }
inline float pow(float x, float y) { return static_cast<float>(elementary::pow(x, y)); }
inline float pow(float x, double y) { return static_cast<float>(elementary::pow(x, y)); }
template <class T>
Jet1<T> pow(const Jet1<T>& x, double y) {
  const auto slope = y == 0 ? 0 : y * elementary::pow(x.v, y - 1), bend = y == 0 || y == 1 ? 0 : y * (y - 1) * elementary::pow(x.v, y - 2);
  return x.chain(static_cast<T>(elementary::pow(x.v, y)), static_cast<T>(slope), static_cast<T>(bend));
}
template <class T>
Jet2<T> pow(const Jet2<T>& x, const Jet2<T>& y) {
  // Directly from the partial derivatives: with log x only where the exponent varies and x > 0.
  const T p = pow(x.v, y.v);
  const T px = y.v == 0 ? T(0) : y.v * pow(x.v, y.v - 1);
  const T pxx = y.v == 0 || y.v == 1 ? T(0) : y.v * (y.v - 1) * pow(x.v, y.v - 2);
  const T logx = x.v > 0 ? log(x.v) : T(0);
  const T pxy = x.v > 0 ? pow(x.v, y.v - 1) * (1 + y.v * logx) : T(0);
  Jet2<T> jet(p);
  jet.a = px * x.a + p * logx * y.a;
  jet.b = px * x.b + p * logx * y.b;
  jet.aa = pxx * x.a * x.a + 2 * pxy * x.a * y.a + p * logx * logx * y.a * y.a;
  jet.ab = pxx * x.a * x.b + pxy * (x.a * y.b + x.b * y.a) + p * logx * logx * y.a * y.b;
  jet.bb = pxx * x.b * x.b + 2 * pxy * x.b * y.b + p * logx * logx * y.b * y.b;
  return jet;
}

}  // namespace math

}  // namespace bitwright
