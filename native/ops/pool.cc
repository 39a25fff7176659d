// Pooling over one to three spatial axes, and over all of them. A plane is one channel of one sample; over three axes, planes are pooled first and then depths.
#include <limits>

#include "ops/families.h"
#include "ops/lowered.h"
#include "ops/selection.h"
#include "ops/window.h"

namespace bitwright {

namespace {

// The windows of a plane: height is 1 for one spatial axis.
struct Planes {
  int64_t count;  // samples * channels
  int64_t in_height, in_width, out_height, out_width;
  int64_t kernel_height, kernel_width, stride_y, stride_x, dilation_y, dilation_x;
  int64_t top, left, bottom, right;
  Shape out;

  int64_t in() const { return in_height * in_width; }
  int64_t out_size() const { return out_height * out_width; }

  Planes(const Attributes& attributes, const Shape& shape) {
    if (shape.size() != 3 && shape.size() != 4) unsupported("pooling over " + std::to_string(static_cast<int64_t>(shape.size()) - 2) + " spatial axes is not supported");
    const std::vector<int64_t> spatial(shape.begin() + 2, shape.end());
    const Window window = Window::of(attributes, spatial, attributes.integers("kernel_shape", {}), attributes.integer("ceil_mode", 0) != 0);
    const auto pick = [&](const std::vector<int64_t>& v, int64_t missing, int64_t& y, int64_t& x) {
      y = v.size() == 1 ? missing : v[0];
      x = v.back();
    };
    count = shape[0] * shape[1];
    pick(spatial, 1, in_height, in_width);
    pick(window.out, 1, out_height, out_width);
    pick(window.kernel, 1, kernel_height, kernel_width);
    pick(window.stride, 1, stride_y, stride_x);
    pick(window.dilation, 1, dilation_y, dilation_x);
    pick(window.pad_begin, 0, top, left);
    pick(window.pad_end, 0, bottom, right);
    out = {shape[0], shape[1]};
    out.insert(out.end(), window.out.begin(), window.out.end());
  }
};

// Indices i in [0, extent) for which i * step + start lies in [0, size).
struct Range {
  int64_t begin, end;

  Range(int64_t extent, int64_t step, int64_t start, int64_t size)
      : begin(start >= 0 ? 0 : (-start + step - 1) / step), end(start >= size ? 0 : std::min(extent, (size - start - 1) / step + 1)) {}
  int64_t length() const { return std::max<int64_t>(0, end - begin); }
};

// Calls body(output row start, input start, first output column, last) for every tap of every row of a plane's windows; the input element of
// output column x is at input start + x * stride_x.
template <class Body>
void each_tap(const Planes& p, const Body& body) {
  for (int64_t oy = 0; oy < p.out_height; ++oy) {
    const Range rows(p.kernel_height, p.dilation_y, oy * p.stride_y - p.top, p.in_height);
    for (int64_t ky = rows.begin; ky < rows.end; ++ky) {
      const int64_t row = (oy * p.stride_y - p.top + ky * p.dilation_y) * p.in_width;
      // Columns of the kernel that can meet the input at all.
      const int64_t last_start = (p.out_width - 1) * p.stride_x - p.left;
      const int64_t first = std::max<int64_t>(0, (-last_start + p.dilation_x - 1) / p.dilation_x);
      for (int64_t kx = first; kx < p.kernel_width; ++kx) {
        const int64_t start = kx * p.dilation_x - p.left;
        if (start >= p.in_width) break;
        const Range columns(p.out_width, p.stride_x, start, p.in_width);
        body(oy * p.out_width, row + start, columns.begin, columns.end);
      }
    }
  }
}

// y = the greatest element of each window; the first one where several are equal.
template <class T>
class MaxPool : public Selection<T> {
 public:
  explicit MaxPool(const NodeInfo& info) : attributes_(info.node.attributes) {}

  void forward(Context& context) override {
    const Planes p(attributes_, context.input(0).shape());
    const T* x = context.input(0).template data<T>();
    T* y = context.output(0, DTypeOf<T>::value, p.out).template data<T>();
    if (!context.keep && !context.wanted(1)) {
      context.linear.pool.parallel_for(p.count, [&](int64_t plane) { greatest(p, x + plane * p.in(), y + plane * p.out_size()); });
      return;
    }
    int32_t* at = this->make_index(context);
    context.linear.pool.parallel_for(p.count, [&](int64_t plane) {
      greatest(p, x + plane * p.in(), y + plane * p.out_size(), at + plane * p.out_size());
    });
    if (context.wanted(1)) indices(context, p, at);
  }

 private:
  Groups groups(const Context& context) const override {
    const Planes p(attributes_, context.input(0).shape());
    return {p.count, p.in(), p.out_size()};
  }

  static void greatest(const Planes& p, const T* x, T* y) {
    std::fill(y, y + p.out_size(), std::numeric_limits<T>::lowest());
    each_tap(p, [&](int64_t row, int64_t start, int64_t begin, int64_t end) {
      if (p.stride_x == 1)
        for (int64_t i = begin; i < end; ++i) y[row + i] = std::max(y[row + i], x[start + i]);
      else
        for (int64_t i = begin; i < end; ++i) y[row + i] = std::max(y[row + i], x[start + i * p.stride_x]);
    });
  }

  // With the index in the plane; -1 for a window without elements.
  static void greatest(const Planes& p, const T* x, T* y, int32_t* index) {
    std::fill(y, y + p.out_size(), std::numeric_limits<T>::lowest());
    std::fill(index, index + p.out_size(), -1);
    each_tap(p, [&](int64_t row, int64_t start, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = start + i * p.stride_x;
        const bool greater = x[at] > y[row + i] || index[row + i] < 0;
        y[row + i] = greater ? x[at] : y[row + i];
        index[row + i] = greater ? static_cast<int32_t>(at) : index[row + i];
      }
    });
  }

  // The second output: indices in the whole tensor.
  void indices(Context& context, const Planes& p, const int32_t* at) const {
    if (attributes_.integer("storage_order", 0) != 0) unsupported("indices of MaxPool in column order are not supported");
    int64_t* y = context.output(1, BW_INT64, p.out).template data<int64_t>();
    for (int64_t i = 0; i < p.count * p.out_size(); ++i) y[i] = at[i] < 0 ? -1 : (i / p.out_size()) * p.in() + at[i];
  }

  Attributes attributes_;
};

template <class T>
class AveragePool : public Op {
 public:
  explicit AveragePool(const NodeInfo& info)
      : attributes_(info.node.attributes), include_pad_(info.node.attributes.integer("count_include_pad", 0) != 0) {}

  void forward(Context& context) override {
    const Planes p(attributes_, context.input(0).shape());
    T* y = context.output(0, DTypeOf<T>::value, p.out).template data<T>();
    average(context, p, 1, context.input(0).template data<T>(), y);
  }

  void tangent(Context& context) override {
    const Tensor* dx = context.tangent(0);
    if (!dx) return;
    const Planes p(attributes_, context.input(0).shape());
    average(context, p, context.probes, dx->data<T>(), context.make_tangent(0).template data<T>());
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const Sum<T> sum = context.template adjoint<T>(0);
    if (!sum) return;
    const Planes p(attributes_, context.input(0).shape());
    const std::vector<T> weights = this->weights(p);
    const T* from = g->data<T>();
    context.linear.pool.parallel_for(context.batch * p.count, [&](int64_t i) {
      std::vector<T> shares(p.out_size());
      for (int64_t o = 0; o < p.out_size(); ++o) shares[o] = weights[o] * from[i * p.out_size() + o];
      T* to = sum.data + i * p.in();
      if (!sum.accumulate) std::fill(to, to + p.in(), T(0));
      each_tap(p, [&](int64_t row, int64_t start, int64_t begin, int64_t end) {
        for (int64_t o = begin; o < end; ++o) to[start + o * p.stride_x] += shares[row + o];
      });
    });
  }

 private:
  void average(Context& context, const Planes& p, int64_t sets, const T* x, T* y) const {
    const std::vector<T> weights = this->weights(p);
    context.linear.pool.parallel_for(sets * p.count, [&](int64_t i) {
      const T* from = x + i * p.in();
      T* to = y + i * p.out_size();
      std::fill(to, to + p.out_size(), T(0));
      each_tap(p, [&](int64_t row, int64_t start, int64_t begin, int64_t end) {
        for (int64_t o = begin; o < end; ++o) to[row + o] += from[start + o * p.stride_x];
      });
      for (int64_t o = 0; o < p.out_size(); ++o) to[o] *= weights[o];
    });
  }

  // One over the number of elements of each window: of those in the input or, with count_include_pad, in the padded input.
  std::vector<T> weights(const Planes& p) const {
    const auto counts = [&](int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t before, int64_t size, int64_t after) {
      std::vector<int64_t> counts(out);
      for (int64_t o = 0; o < out; ++o)
        counts[o] = include_pad_ ? Range(kernel, dilation, o * stride, before + size + after).length() : Range(kernel, dilation, o * stride - before, size).length();
      return counts;
    };
    const std::vector<int64_t> rows = counts(p.out_height, p.kernel_height, p.stride_y, p.dilation_y, p.top, p.in_height, p.bottom);
    const std::vector<int64_t> columns = counts(p.out_width, p.kernel_width, p.stride_x, p.dilation_x, p.left, p.in_width, p.right);
    std::vector<T> weights;
    for (int64_t row : rows)
      for (int64_t column : columns) weights.push_back(row * column == 0 ? T(0) : T(1) / static_cast<T>(row * column));
    return weights;
  }

  Attributes attributes_;
  bool include_pad_;
};

// Windows over volumes are those over planes and those over depths, one after the other: greatest elements and means do not mind.
void pool_volume(Lowering& program, const char* type) {
  const Attributes& attributes = program.attributes();
  const Lowering::Id x = program.input(0);
  const Shape shape = program.shape(x);
  if (program.wanted(1)) unsupported("indices of MaxPool over three axes are not supported");
  const std::string auto_pad = attributes.text("auto_pad", "NOTSET");
  // The elements [first, last) of each attribute that has one for each axis, with `neutral` behind those of a single axis.
  const auto settings = [&](int64_t first, int64_t last) {
    const auto part = [&](const char* name, int64_t neutral) {
      std::vector<int64_t> all = attributes.integers(name, std::vector<int64_t>(std::string(name) == "pads" ? 6 : 3, neutral)), some;
      if (all.size() % 3 != 0 || all.empty()) invalid_model(std::string(name) + " does not fit 3 spatial axes");
      for (size_t side = 0; side < all.size(); side += 3) {
        some.insert(some.end(), all.begin() + side + first, all.begin() + side + last);
        if (last - first == 1) some.push_back(neutral);
      }
      return some;
    };
    Lowering::Settings result{{"kernel_shape", part("kernel_shape", 1)}, {"strides", part("strides", 1)}, {"pads", part("pads", 0)},
                              {"auto_pad", auto_pad.c_str()}, {"ceil_mode", attributes.integer("ceil_mode", 0)}, {"dilations", part("dilations", 1)}};
    if (attributes.has("count_include_pad")) result.push_back({"count_include_pad", attributes.integer("count_include_pad", 0)});
    return result;
  };
  const Lowering::Id planes = program.apply(type, {program.reshape(x, {shape[0], shape[1] * shape[2], shape[3], shape[4]})}, settings(1, 3));
  const int64_t height = program.dim(planes, 2), width = program.dim(planes, 3);
  const Lowering::Id depths = program.apply(type, {program.reshape(planes, {shape[0], shape[1], shape[2], height * width})}, settings(0, 1));
  program.output(0, program.reshape(depths, {shape[0], shape[1], program.dim(depths, 2), height, width}));
}

void max_pool_volume(Lowering& program) { pool_volume(program, "MaxPool"); }
void average_pool_volume(Lowering& program) { pool_volume(program, "AveragePool"); }

// A pool that is lowered for three axes.
template <class Flat, void (*write)(Lowering&)>
class PoolByRank : public Op {
 public:
  explicit PoolByRank(const NodeInfo& info) : flat_(info), volume_(info) {}
  void forward(Context& context) override { of(context).forward(context); }
  void tangent(Context& context) override { of(context).tangent(context); }
  void adjoint(Context& context) override { of(context).adjoint(context); }

 private:
  Op& of(const Context& context) {
    if (context.input(0).rank() == 5) return volume_;
    return flat_;
  }

  Flat flat_;
  LoweredBy<write> volume_;
};

template <class T>
using AnyMaxPool = PoolByRank<MaxPool<T>, max_pool_volume>;
template <class T>
using AnyAveragePool = PoolByRank<AveragePool<T>, average_pool_volume>;

// The planes of a tensor with any number of spatial axes, and the shape with one element left of each.
struct WholePlanes {
  int64_t count = 1, size = 1;
  Shape out;

  explicit WholePlanes(const Shape& shape) {
    if (shape.size() < 2) invalid_model("pooling needs a sample and a channel axis, shape " + to_string(shape) + " has not both");
    count = shape[0] * shape[1];
    for (size_t i = 2; i < shape.size(); ++i) size *= shape[i];
    if (size == 0) invalid_model("a plane without elements cannot be pooled: shape " + to_string(shape));
    out.assign(shape.size(), 1);
    std::copy(shape.begin(), shape.begin() + 2, out.begin());
  }
};

template <class T>
class GlobalAveragePool : public Op {
 public:
  explicit GlobalAveragePool(const NodeInfo&) {}

  void forward(Context& context) override {
    const WholePlanes p(context.input(0).shape());
    average(context, p, 1, context.input(0).template data<T>(), context.output(0, DTypeOf<T>::value, p.out).template data<T>());
  }

  void tangent(Context& context) override {
    const Tensor* dx = context.tangent(0);
    if (!dx) return;
    average(context, WholePlanes(context.input(0).shape()), context.probes, dx->data<T>(), context.make_tangent(0).template data<T>());
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const Sum<T> sum = context.template adjoint<T>(0);
    if (!sum) return;
    const WholePlanes p(context.input(0).shape());
    const T* from = g->data<T>();
    context.linear.pool.parallel_for(context.batch * p.count, [&](int64_t i) {
      const T share = from[i] / static_cast<T>(p.size);
      for (int64_t j = i * p.size; j < (i + 1) * p.size; ++j) sum.data[j] = sum.accumulate ? sum.data[j] + share : share;
    });
  }

 private:
  static void average(Context& context, const WholePlanes& p, int64_t sets, const T* x, T* y) {
    context.linear.pool.parallel_for(sets * p.count, [&](int64_t i) {
      double sum = 0;
      for (int64_t j = i * p.size; j < (i + 1) * p.size; ++j) sum += x[j];
      y[i] = static_cast<T>(sum / static_cast<double>(p.size));
    });
  }
};

template <class T>
class GlobalMaxPool : public Selection<T> {
 public:
  explicit GlobalMaxPool(const NodeInfo&) {}

  void forward(Context& context) override {
    const WholePlanes p(context.input(0).shape());
    const T* x = context.input(0).template data<T>();
    T* y = context.output(0, DTypeOf<T>::value, p.out).template data<T>();
    int32_t* index = this->make_index(context);
    context.linear.pool.parallel_for(p.count, [&](int64_t i) {
      const T* plane = x + i * p.size;
      const T* greatest = std::max_element(plane, plane + p.size);
      index[i] = static_cast<int32_t>(greatest - plane);
      y[i] = *greatest;
    });
  }

 private:
  Groups groups(const Context& context) const override {
    const WholePlanes p(context.input(0).shape());
    return {p.count, p.size, 1};
  }
};

}  // namespace

std::vector<Row> pool_rows() {
  return {
      {"", "MaxPool", 1, "selection", true, {}, make_op<AnyMaxPool>, R"([
        {"inputs": [[2,3,7,8]], "attributes": {"kernel_shape": [3,3], "strides": [2,2], "pads": [1,1,1,1]}},
        {"inputs": [[2,3,7,8]], "attributes": {"kernel_shape": [3,2], "strides": [2,2], "ceil_mode": 1}},
        {"inputs": [[2,3,9,9]], "attributes": {"kernel_shape": [5,5], "pads": [2,2,2,2]}},
        {"inputs": [[2,3,9,9]], "attributes": {"kernel_shape": [2,3], "dilations": [3,2], "pads": [0,1,1,0]}},
        {"inputs": [[2,3,9,8]], "attributes": {"kernel_shape": [2,3], "strides": [2,2], "auto_pad": "SAME_UPPER"}},
        {"inputs": [[2,3,11]], "attributes": {"kernel_shape": [3], "strides": [2]}, "outputs": 2},
        {"inputs": [[2,3,5,4,6]], "attributes": {"kernel_shape": [3,2,2], "strides": [2,1,2], "pads": [1,0,1,1,1,0]}}
      ])"},
      {"", "AveragePool", 1, "linear", true, {}, make_op<AnyAveragePool>, R"([
        {"inputs": [[2,3,7,8]], "attributes": {"kernel_shape": [3,3], "strides": [2,2], "pads": [1,1,1,1]}},
        {"inputs": [[2,3,7,8]], "attributes": {"kernel_shape": [3,3], "strides": [2,2], "pads": [1,1,0,0], "count_include_pad": 1}},
        {"inputs": [[2,3,8,8]], "attributes": {"kernel_shape": [3,3], "strides": [2,2], "pads": [1,1,1,1], "ceil_mode": 1}},
        {"inputs": [[2,3,8,8]], "attributes": {"kernel_shape": [3,3], "strides": [2,2], "pads": [1,1,1,1], "ceil_mode": 1, "count_include_pad": 1}, "opset": 19},
        {"inputs": [[2,3,9]], "attributes": {"kernel_shape": [3], "dilations": [2], "pads": [1,0]}, "opset": 19},
        {"inputs": [[2,3,9,8]], "attributes": {"kernel_shape": [2,3], "strides": [2,2], "auto_pad": "SAME_LOWER"}},
        {"inputs": [[2,3,5,4,6]], "attributes": {"kernel_shape": [3,2,2], "strides": [2,1,2], "pads": [1,0,1,1,1,0]}},
        {"inputs": [[2,2,5,4,6]], "attributes": {"kernel_shape": [2,2,3], "strides": [2,2,2], "pads": [1,1,1,1,1,1], "count_include_pad": 1}}
      ])"},
      {"", "GlobalAveragePool", 1, "linear", true, {}, make_op<GlobalAveragePool>, R"([{"inputs": [[2,3,5,4]]}, {"inputs": [[2,3,6]]}])"},
      {"", "GlobalMaxPool", 1, "selection", true, {}, make_op<GlobalMaxPool>, R"([{"inputs": [[2,3,5,4]]}, {"inputs": [[2,3,6]]}])"},
  };
}

}  // namespace bitwright
