// Softmax and LogSoftmax. Both have the Jacobian of one vector: with s = softmax(x) along the axis,
//   Softmax     J v = s (v - <s, v>)         LogSoftmax  J v = v - <s, v>,    J^T g = g - s <1, g>
#include <cmath>

#include "ops/families.h"
#include "ops/jet.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

// Lines of `size` elements, `inner` apart: element k of line (o, i) is at (o * size + k) * inner + i.
struct Lines {
  int64_t outer, size, inner;
  int64_t count() const { return outer * inner; }
  int64_t start(int64_t line) const { return line / inner * size * inner + line % inner; }
};

template <class T, bool logarithm>
class SoftmaxOp : public Op {
 public:
  // Below opset 13 all axes from `axis` on are one.
  explicit SoftmaxOp(const NodeInfo& info) : flatten_(info.opset < 13), axis_(info.node.attributes.integer("axis", flatten_ ? 1 : -1)) {}

  void forward(Context& context) override {
    const Lines lines = lines_of(context);
    const T* x = context.input(0).template data<T>();
    T* y = context.output_over(0, 0).template data<T>();
    each_line(context, lines, 1, [&](int64_t at, int64_t) {
      T greatest = x[at];
      for (int64_t k = 1; k < lines.size; ++k) greatest = std::max(greatest, x[at + k * lines.inner]);
      double sum = 0;
      for (int64_t k = 0; k < lines.size; ++k) {
        const int64_t i = at + k * lines.inner;
        const T shifted = x[i] - greatest, power = math::exp(shifted);
        y[i] = logarithm ? shifted : power;
        sum += power;
      }
      const T factor = static_cast<T>(1 / sum), shift = static_cast<T>(elementary::log(sum));
      for (int64_t k = 0; k < lines.size; ++k) {
        const int64_t i = at + k * lines.inner;
        y[i] = logarithm ? y[i] - shift : y[i] * factor;
      }
    });
  }

  void tangent(Context& context) override {
    const Tensor* dx = context.tangent(0);
    if (!dx) return;
    const Lines lines = lines_of(context);
    const T* from = dx->data<T>();
    T* to = context.make_tangent(0).template data<T>();
    const T* y = context.out[0].template data<T>();
    each_line(context, lines, context.probes, [&](int64_t at, int64_t p) {
      const T *v = from + p * context.out[0].count(), *s = y;
      T* out = to + p * context.out[0].count();
      const double mean = inner_product(lines, at, s, v);
      for (int64_t i = at; i < at + lines.size * lines.inner; i += lines.inner) out[i] = (logarithm ? T(1) : s[i]) * static_cast<T>(v[i] - mean);
    });
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const Sum<T> sum = context.template adjoint<T>(0);
    if (!sum) return;
    const Lines lines = lines_of(context);
    const int64_t count = context.out[0].count();
    const T *from = g->data<T>(), *y = context.out[0].template data<T>();
    each_line(context, lines, context.batch, [&](int64_t at, int64_t r) {
      const T* v = from + r * count;
      T* out = sum.data + r * count;
      const double total = logarithm ? line_sum(lines, at, v) : inner_product(lines, at, y, v);
      for (int64_t i = at; i < at + lines.size * lines.inner; i += lines.inner) {
        const T value = logarithm ? static_cast<T>(v[i] - math::exp(y[i]) * total) : y[i] * static_cast<T>(v[i] - total);
        out[i] = sum.accumulate ? out[i] + value : value;
      }
    });
  }

  // With ds = s (dx - <s, dx>):  Softmax  ds (g - <s, g>) - s <ds, g>;  LogSoftmax  -ds <1, g>.
  void curvature(Context& context) override {
    const Tensor *g = context.cotangent(0), *dx = context.tangent(0);
    if (!g || !dx || !context.adjoint_wanted(0)) return;
    const Lines lines = lines_of(context);
    const int64_t count = context.out[0].count();
    const T *gs = g->data<T>(), *dxs = dx->data<T>(), *y = context.out[0].template data<T>();
    T* sum = context.template adjoint<T>(0).data + context.first * count;
    each_line(context, lines, context.probes, [&](int64_t at, int64_t p) {
      const T* v = dxs + p * count;
      T* out = sum + p * count;
      const double mean = inner_product(lines, at, y, v);
      const double total = logarithm ? line_sum(lines, at, gs) : inner_product(lines, at, y, gs);
      double moved = 0;  // <ds, g>
      if (!logarithm)
        for (int64_t i = at; i < at + lines.size * lines.inner; i += lines.inner) moved += y[i] * (v[i] - mean) * gs[i];
      for (int64_t i = at; i < at + lines.size * lines.inner; i += lines.inner) {
        const double s = logarithm ? math::exp(y[i]) : y[i], ds = s * (v[i] - mean);
        out[i] += static_cast<T>(logarithm ? -ds * total : ds * (gs[i] - total) - s * moved);
      }
    });
  }

 private:
  Lines lines_of(const Context& context) const {
    const Shape& shape = context.input(0).shape();
    const int axis = normalize_axis(axis_, context.input(0).rank());
    const int64_t outer = element_count({shape.begin(), shape.begin() + axis});
    if (flatten_) return {outer, element_count({shape.begin() + axis, shape.end()}), 1};
    return {outer, shape[axis], element_count({shape.begin() + axis + 1, shape.end()})};
  }

  // s of LogSoftmax is exp(y).
  static double inner_product(const Lines& lines, int64_t at, const T* s, const T* v) {
    double sum = 0;
    for (int64_t i = at; i < at + lines.size * lines.inner; i += lines.inner) sum += static_cast<double>(logarithm ? math::exp(s[i]) : s[i]) * v[i];
    return sum;
  }

  static double line_sum(const Lines& lines, int64_t at, const T* v) {
    double sum = 0;
    for (int64_t i = at; i < at + lines.size * lines.inner; i += lines.inner) sum += v[i];
    return sum;
  }

  // Calls body(start of the line, set) for all lines of all sets.
  template <class Body>
  static void each_line(Context& context, const Lines& lines, int64_t sets, const Body& body) {
    if (lines.size == 0) return;
    const int64_t together = std::max<int64_t>(1, kChunk / lines.size), chunks = (lines.count() + together - 1) / together;
    context.linear.pool.parallel_for(chunks * sets, [&](int64_t i) {
      const int64_t first = i % chunks * together;
      for (int64_t line = first; line < std::min(lines.count(), first + together); ++line) body(lines.start(line), i / chunks);
    });
  }

  bool flatten_;
  int64_t axis_;
};

template <class T>
using Softmax = SoftmaxOp<T, false>;
template <class T>
using LogSoftmax = SoftmaxOp<T, true>;

constexpr const char* kSamples = R"([
  {"inputs": [{"dims": [3,7], "low": -3, "high": 3}]},
  {"inputs": [{"dims": [2,5,3], "low": -3, "high": 3}], "attributes": {"axis": 1}},
  {"inputs": [{"dims": [2,3,2], "low": -3, "high": 3}], "attributes": {"axis": 1}, "opset": 11}
])";

}  // namespace

std::vector<Row> softmax_rows() {
  return {
      {"", "Softmax", 1, "custom", true, {}, make_op<Softmax>, kSamples},
      {"", "LogSoftmax", 1, "custom", true, {}, make_op<LogSoftmax>, kSamples},
  };
}

}  // namespace bitwright
