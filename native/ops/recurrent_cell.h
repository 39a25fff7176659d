// What recurrent operators compute at one unit of one step, over any number type: forward, and the adjoint of it. On plain numbers these are
// values and cotangents, on duals their tangents too, so the two formulas of a cell give all second derivatives.
#pragma once

#include <string>
#include <vector>

#include "ops/jet.h"
#include "ops/op.h"

namespace bitwright {

constexpr int kMostGates = 4;

// An activation function with its attributes; `clip` bounds its argument, 0 does not.
struct Activation {
  enum Kind { kSigmoid, kTanh, kRelu, kHardSigmoid, kAffine, kLeakyRelu, kThresholdedRelu, kScaledTanh, kElu, kSoftsign, kSoftplus };
  Kind kind = kSigmoid;
  float alpha = 0, beta = 0, clip = 0;

  // f(x), and f'(x) in `slope`.
  template <class S>
  S operator()(const S& x, S* slope) const {
    if (clip > 0 && (math::value(x) > clip || math::value(x) < -clip)) {
      const S value = bare(S(math::value(x) > 0 ? clip : -clip), slope);
      *slope = S(0);
      return value;
    }
    return bare(x, slope);
  }

 private:
  template <class S>
  S bare(const S& x, S* slope) const {
    const S one(1), a(alpha), b(beta);
    const bool positive = math::value(x) > 0;
    switch (kind) {
      case kSigmoid: {
        const S y = math::sigmoid(x);
        *slope = y * (one - y);
        return y;
      }
      case kTanh: {
        const S y = math::tanh(x);
        *slope = one - y * y;
        return y;
      }
      case kScaledTanh: {
        const S y = math::tanh(b * x);
        *slope = a * b * (one - y * y);
        return a * y;
      }
      case kHardSigmoid: {
        const S y = a * x + b;
        const bool inside = math::value(y) > 0 && math::value(y) < 1;
        *slope = inside ? a : S(0);
        return inside ? y : S(math::value(y) > 0 ? 1 : 0);
      }
      case kAffine: *slope = a; return a * x + b;
      case kRelu: return line(x, positive, S(0), slope);
      case kLeakyRelu: return line(x, positive, a, slope);
      case kThresholdedRelu: return line(x, math::value(x) > alpha, S(0), slope);
      case kElu:
        if (positive) return line(x, true, a, slope);
        *slope = a * math::exp(x);
        return *slope - a;
      case kSoftsign: {
        const S scale = one / (one + (positive ? x : S(0) - x));
        *slope = scale * scale;
        return x * scale;
      }
      case kSoftplus: {
        *slope = math::sigmoid(x);
        const S tail = math::log(one + math::exp(positive ? S(0) - x : x));
        return positive ? x + tail : tail;
      }
    }
    return x;
  }

  template <class S>
  static S line(const S& x, bool above, const S& below, S* slope) {
    *slope = above ? S(1) : below;
    return above ? x : below * x;
  }
};

// What a unit reads: the gates' arguments as the products with W and with R give them, biases added, the states of the step before, and its peepholes.
template <class S>
struct UnitInput {
  S a[kMostGates], r[kMostGates], h, c, peephole[3];
};

// The cotangents of all that; a cell adds to those of the states, and sets the others.
template <class S>
struct UnitAdjoint {
  S a[kMostGates], r[kMostGates], h, c, peephole[3];
};

struct RnnCell {
  static constexpr int kGates = 1, kActivations = 1;
  static constexpr bool kCell = false;
  static constexpr const char* kDefaults[] = {"Tanh"};
  std::vector<Activation> f;
  explicit RnnCell(const NodeInfo&) {}
  // Whether the last gate's product with R waits for the others: it multiplies `reset` of the state instead of the state.
  bool two_stages() const { return false; }

  template <class S>
  S reset(const UnitInput<S>& u) const { return u.h; }
  template <class S>
  void reset_adjoint(const UnitInput<S>&, const S&, UnitAdjoint<S>&) const {}

  template <class S>
  void forward(const UnitInput<S>& u, S* h, S*) const {
    S slope;
    *h = f[0](u.a[0] + u.r[0], &slope);
  }

  template <class S>
  void adjoint(const UnitInput<S>& u, const S& gh, const S&, UnitAdjoint<S>& g) const {
    S slope;
    f[0](u.a[0] + u.r[0], &slope);
    g.a[0] = g.r[0] = gh * slope;
  }
};

// Gates z (update), r (reset), h (candidate).
struct GruCell {
  static constexpr int kGates = 3, kActivations = 2;
  static constexpr bool kCell = false;
  static constexpr const char* kDefaults[] = {"Sigmoid", "Tanh"};
  std::vector<Activation> f;
  bool linear_before_reset;
  explicit GruCell(const NodeInfo& info) : linear_before_reset(info.node.attributes.integer("linear_before_reset", 0) != 0) {}
  bool two_stages() const { return !linear_before_reset; }

  template <class S>
  S reset(const UnitInput<S>& u) const {
    S slope;
    return f[0](u.a[1] + u.r[1], &slope) * u.h;
  }

  template <class S>
  void reset_adjoint(const UnitInput<S>& u, const S& gu, UnitAdjoint<S>& g) const {
    S slope;
    const S r = f[0](u.a[1] + u.r[1], &slope);
    g.a[1] = g.r[1] = gu * u.h * slope;
    g.h = g.h + gu * r;
  }

  template <class S>
  void forward(const UnitInput<S>& u, S* h, S*) const {
    S slope;
    const S z = f[0](u.a[0] + u.r[0], &slope);
    const S candidate = f[1](argument(u, &slope), &slope);
    *h = (S(1) - z) * candidate + z * u.h;
  }

  template <class S>
  void adjoint(const UnitInput<S>& u, const S& gh, const S&, UnitAdjoint<S>& g) const {
    S z_slope, r_slope, slope, r(0);
    const S z = f[0](u.a[0] + u.r[0], &z_slope);
    if (linear_before_reset) r = f[0](u.a[1] + u.r[1], &r_slope);
    const S candidate = f[1](linear_before_reset ? u.a[2] + r * u.r[2] : u.a[2] + u.r[2], &slope);
    g.a[0] = g.r[0] = gh * (u.h - candidate) * z_slope;
    g.a[2] = gh * (S(1) - z) * slope;
    g.h = g.h + gh * z;
    if (linear_before_reset) {
      g.a[1] = g.r[1] = g.a[2] * u.r[2] * r_slope;
      g.r[2] = g.a[2] * r;
    } else {
      g.r[2] = g.a[2];
    }
  }

 private:
  template <class S>
  S argument(const UnitInput<S>& u, S* slope) const {
    return linear_before_reset ? u.a[2] + f[0](u.a[1] + u.r[1], slope) * u.r[2] : u.a[2] + u.r[2];
  }
};

// Gates i (input), o (output), f (forget), c (candidate).
struct LstmCell {
  static constexpr int kGates = 4, kActivations = 3;
  static constexpr bool kCell = true;
  static constexpr const char* kDefaults[] = {"Sigmoid", "Tanh", "Tanh"};
  std::vector<Activation> f;
  bool coupled;  // the forget gate is 1 - i
  explicit LstmCell(const NodeInfo& info) : coupled(info.node.attributes.integer("input_forget", 0) != 0) {}
  bool two_stages() const { return false; }

  template <class S>
  S reset(const UnitInput<S>& u) const { return u.h; }
  template <class S>
  void reset_adjoint(const UnitInput<S>&, const S&, UnitAdjoint<S>&) const {}

  template <class S>
  void forward(const UnitInput<S>& u, S* h, S* c) const {
    const Gates<S> at(*this, u);
    *c = at.c;
    *h = at.o * at.squashed;
  }

  template <class S>
  void adjoint(const UnitInput<S>& u, const S& gh, const S& gc_next, UnitAdjoint<S>& g) const {
    const Gates<S> at(*this, u);
    g.a[1] = g.r[1] = gh * at.squashed * at.o_slope;
    const S gc = gc_next + gh * at.o * at.squashed_slope + g.a[1] * u.peephole[1];
    const S gf = gc * u.c, gi = gc * at.candidate;
    g.a[0] = g.r[0] = (coupled ? gi - gf : gi) * at.i_slope;
    g.a[2] = g.r[2] = coupled ? S(0) : gf * at.f_slope;
    g.a[3] = g.r[3] = gc * at.i * at.candidate_slope;
    g.c = g.c + gc * at.f + g.a[0] * u.peephole[0] + g.a[2] * u.peephole[2];
    g.peephole[0] = g.a[0] * u.c;
    g.peephole[1] = g.a[1] * at.c;
    g.peephole[2] = g.a[2] * u.c;
  }

 private:
  template <class S>
  struct Gates {
    S i, i_slope, f, f_slope, candidate, candidate_slope, c, o, o_slope, squashed, squashed_slope;
    Gates(const LstmCell& cell, const UnitInput<S>& u) {
      const auto argument = [&](int gate) { return u.a[gate] + u.r[gate]; };
      i = cell.f[0](argument(0) + u.peephole[0] * u.c, &i_slope);
      f = cell.coupled ? S(1) - i : cell.f[0](argument(2) + u.peephole[2] * u.c, &f_slope);
      candidate = cell.f[1](argument(3), &candidate_slope);
      c = f * u.c + i * candidate;
      o = cell.f[0](argument(1) + u.peephole[1] * c, &o_slope);
      squashed = cell.f[2](c, &squashed_slope);
    }
  };
};

// The activations of one direction of a node, whose lists go through all directions.
std::vector<Activation> activations_of(const NodeInfo& info, const char* const* defaults, int count, int direction, int directions);

}  // namespace bitwright
