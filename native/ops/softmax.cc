// Softmax and LogSoftmax. Both have the Jacobian of one vector: with s = softmax(x) along the axis,
//   Softmax     J v = s (v - <s, v>)         LogSoftmax  J v = v - <s, v>,    J^T g = g - s <1, g>
#include <algorithm>
#include <type_traits>

#include "core/lane_sum.h"
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
    each_line(context, lines, 1, [&](int64_t at, int64_t, auto step) {
      std::vector<T> line(lines.size);
      for (int64_t k = 0; k < lines.size; ++k) line[k] = x[at + k * step];
      const T greatest = greatest_of(line);
      for (T& value : line) value = logarithm ? value - greatest : math::exp(value - greatest);
      const double sum = lane_sum(lines.size, [&](int64_t k) -> double { return logarithm ? math::exp(line[k]) : line[k]; });
      const T factor = static_cast<T>(1 / sum), shift = static_cast<T>(math::log(sum));
      for (int64_t k = 0; k < lines.size; ++k) y[at + k * step] = logarithm ? line[k] - shift : line[k] * factor;
    });
  }

  void tangent(Context& context) override {
    const Tensor* dx = context.tangent(0);
    if (!dx) return;
    const Lines lines = lines_of(context);
    const int64_t count = context.out[0].count();
    const T *from = dx->data<T>(), *y = context.out[0].template data<T>();
    T* to = context.make_tangent(0).template data<T>();
    each_line(context, lines, context.probes, [&](int64_t at, int64_t p, auto step) {
      const T *s = y + at, *v = from + p * count + at;
      T* out = to + p * count + at;
      const double mean = weighted(lines, s, v, step);
      for (int64_t k = 0; k < lines.size; ++k) out[k * step] = (logarithm ? T(1) : s[k * step]) * static_cast<T>(v[k * step] - mean);
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
    each_line(context, lines, context.batch, [&](int64_t at, int64_t r, auto step) {
      const T *s = y + at, *v = from + r * count + at;
      T* out = sum.data + r * count + at;
      const double total = logarithm ? line_sum(lines, v, step) : weighted(lines, s, v, step);
      for (int64_t k = 0; k < lines.size; ++k) {
        const T old = sum.accumulate ? out[k * step] : T(0);
        out[k * step] = old + (logarithm ? static_cast<T>(v[k * step] - math::exp(s[k * step]) * total) : s[k * step] * static_cast<T>(v[k * step] - total));
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
    each_line(context, lines, context.probes, [&](int64_t at, int64_t p, auto step) {
      const T *h = gs + at, *v = dxs + p * count + at;
      T* out = sum + p * count + at;
      const double mean = weighted(lines, y + at, v, step);
      const double total = logarithm ? line_sum(lines, h, step) : weighted(lines, y + at, h, step);
      const auto s = [&](int64_t k) -> double { return logarithm ? math::exp(y[at + k * step]) : y[at + k * step]; };
      const auto ds = [&](int64_t k) { return s(k) * (v[k * step] - mean); };
      const double moved = logarithm ? 0 : lane_sum(lines.size, [&](int64_t k) { return ds(k) * h[k * step]; });  // <ds, g>
      for (int64_t k = 0; k < lines.size; ++k) out[k * step] += static_cast<T>(logarithm ? -ds(k) * total : ds(k) * (h[k * step] - total) - s(k) * moved);
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

  static T greatest_of(const std::vector<T>& line) {
    T lanes[kLanes];
    std::fill(lanes, lanes + kLanes, line[0]);
    size_t j = 0;
    for (; j + kLanes <= line.size(); j += kLanes)
      for (int k = 0; k < kLanes; ++k) lanes[k] = line[j + k] > lanes[k] ? line[j + k] : lanes[k];
    for (; j < line.size(); ++j) lanes[0] = std::max(lanes[0], line[j]);
    return *std::max_element(lanes, lanes + kLanes);
  }

  // <s, v>, where y of LogSoftmax is log s.
  template <class Step>
  static double weighted(const Lines& lines, const T* y, const T* v, Step step) {
    return lane_sum(lines.size, [&](int64_t k) { return static_cast<double>(logarithm ? math::exp(y[k * step]) : y[k * step]) * v[k * step]; });
  }

  template <class Step>
  static double line_sum(const Lines& lines, const T* v, Step step) {
    return lane_sum(lines.size, [&](int64_t k) { return static_cast<double>(v[k * step]); });
  }

  // Calls body(start of the line, set, step between its elements) for all lines of all sets; a step of 1 is a constant.
  template <class Body>
  static void each_line(Context& context, const Lines& lines, int64_t sets, const Body& body) {
    if (lines.size == 0) return;
    const int64_t together = std::max<int64_t>(1, kChunk / lines.size), chunks = (lines.count() + together - 1) / together;
    context.linear.pool.parallel_for(chunks * sets, [&](int64_t i) {
      const int64_t first = i % chunks * together, last = std::min(lines.count(), first + together);
      for (int64_t line = first; line < last; ++line) {
        if (lines.inner == 1)
          body(lines.start(line), i / chunks, std::integral_constant<int64_t, 1>());
        else
          body(lines.start(line), i / chunks, lines.inner);
      }
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
