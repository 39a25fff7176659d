// Conv and ConvTranspose over one to three axes, grouped and depthwise.
#include "ops/families.h"
#include "ops/kinds.h"
#include "ops/volume.h"
#include "ops/window.h"

namespace bitwright {

namespace {

// The three spatial axes of a list; those that it has not, the first ones, are `missing`.
struct Axes3 {
  int64_t z, y, x;
  Axes3(const std::vector<int64_t>& values, int64_t missing)
      : z(values.size() < 3 ? missing : values[0]), y(values.size() < 2 ? missing : values[values.size() - 2]), x(values.back()) {}
};

// y = A x (+ bias), where A is a convolution or, transposed, the adjoint of one in its input. `VolumeShape` is that convolution's in both cases.
template <class T, bool transposed>
class Convolution : public Product<T> {
 public:
  explicit Convolution(const NodeInfo& info) : attributes_(info.node.attributes), groups_(attributes_.integer("group", 1)) {}

  void forward(Context& context) override {
    const VolumeShape shape = shape_of(context);
    const Result result(shape);
    Shape out = {shape.samples, result.channels};
    const Shape spatial{result.depth, result.height, result.width};
    out.insert(out.end(), spatial.end() - (context.input(0).rank() - 2), spatial.end());
    T* y = context.output(0, DTypeOf<T>::value, out).template data<T>();
    if (context.has(2)) {
      if (context.input(2).count() != result.channels) invalid_model("the bias must have one element for each output channel");
      const T* bias = context.input(2).template data<T>();
      context.linear.pool.parallel_for(shape.samples * result.channels, [&](int64_t i) {
        std::fill(y + i * result.plane, y + (i + 1) * result.plane, bias[i % result.channels]);
      });
    }
    apply(context, shape, context.input(0).template data<T>(), context.input(1).template data<T>(), y, context.has(2));
  }

 protected:
  void product(Context& context, Operand<T> a, Operand<T> b, T* y, bool accumulate) override {
    run(context, a, b, y, context.input(0).count(), context.out[0].count(),
        [&](const VolumeShape& shape, const T* x, const T* w, T* to) { apply(context, shape, x, w, to, accumulate); });
  }

  void transpose_a(Context& context, Operand<T> b, Operand<T> g, T* da, bool accumulate) override {
    run(context, g, b, da, context.out[0].count(), context.input(0).count(),
        [&](const VolumeShape& shape, const T* dy, const T* w, T* to) { apply_back(context, shape, dy, w, to, accumulate); });
  }

  void transpose_b(Context& context, Operand<T> a, Operand<T> g, T* db, bool accumulate) override {
    const int64_t nx = context.input(0).count(), ny = context.out[0].count(), nw = context.input(1).count();
    const int sets = std::max(a.sets, g.sets);
    for (int s = 0; s < sets; ++s) {
      std::vector<double> sum(nw);
      transpose_parameter(context, a.data + (a.sets == 1 ? 0 : s) * nx, g.data + (g.sets == 1 ? 0 : s) * ny, sum.data());
      for (int64_t i = 0; i < nw; ++i) db[s * nw + i] = static_cast<T>(accumulate ? db[s * nw + i] + sum[i] : sum[i]);
    }
  }

  void transpose_parameter(Context& context, const T* a, const T* g, double* db) override {
    volume_weight_adjoint(context.linear, context.pool, shape_of(context), transposed ? g : a, transposed ? a : g, db);
  }

  bool rest_has_tangent(Context& context) override { return context.tangent(2) != nullptr; }

  void rest_tangent(Context& context, T* y) override {
    const Tensor* bias = context.tangent(2);
    if (!bias) return;
    const VolumeShape shape = shape_of(context);
    const Result result(shape);
    context.linear.pool.parallel_for(context.probes * shape.samples * result.channels, [&](int64_t i) {
      const int64_t p = i / (shape.samples * result.channels);
      const T value = bias->template data<T>()[p * result.channels + i % result.channels];
      for (int64_t j = i * result.plane; j < (i + 1) * result.plane; ++j) y[j] += value;
    });
  }

  void rest_adjoint(Context& context, const Tensor& g) override {
    if (!context.has(2) || !context.adjoint_wanted(2)) return;
    const VolumeShape shape = shape_of(context);
    const Result result(shape);
    const int64_t plane = result.plane, channels = result.channels;
    const auto sum_channel = [&](int64_t set, int64_t c, double sum) {
      for (int64_t n = 0; n < shape.samples; ++n) {
        const T* from = g.data<T>() + ((set * shape.samples + n) * channels + c) * plane;
        double part = 0;
        for (int64_t j = 0; j < plane; ++j) part += from[j];
        sum += part;
      }
      return sum;
    };
    if (const ParameterSum parameter = context.parameter(2)) {
      context.linear.pool.parallel_for(parameter.sets * channels, [&](int64_t i) {
        parameter.data[i] = sum_channel(parameter.first + i / channels, i % channels, parameter.data[i]);
      });
    } else {
      const Sum<T> sum = context.template adjoint<T>(2);
      context.linear.pool.parallel_for(context.batch * channels, [&](int64_t i) {
        sum.data[i] = static_cast<T>(sum_channel(i / channels, i % channels, sum.accumulate ? sum.data[i] : 0));
      });
    }
  }

 private:
  // The side of the convolution that y is on.
  struct Result {
    int64_t channels, depth, height, width, plane;
    explicit Result(const VolumeShape& shape)
        : channels(transposed ? shape.in_channels : shape.out_channels), depth(transposed ? shape.in_depth : shape.out_depth), height(transposed ? shape.in_height : shape.out_height),
          width(transposed ? shape.in_width : shape.out_width), plane(depth * height * width) {}
  };

  static void apply(Context& context, const VolumeShape& shape, const T* x, const T* w, T* y, bool accumulate) {
    if (transposed)
      volume_input_adjoint(context.linear, context.pool, shape, x, w, y, accumulate);
    else
      volume_forward(context.linear, context.pool, shape, x, w, y, accumulate);
  }

  static void apply_back(Context& context, const VolumeShape& shape, const T* g, const T* w, T* dx, bool accumulate) {
    if (transposed)
      volume_forward(context.linear, context.pool, shape, g, w, dx, accumulate);
    else
      volume_input_adjoint(context.linear, context.pool, shape, g, w, dx, accumulate);
  }

  // Chooses how the sets of the two operands run through one kernel call or several. x: the operand with samples (input or
  // cotangent), from_count and to_count elements a set.
  template <class Call>
  void run(Context& context, Operand<T> x, Operand<T> w, T* to, int64_t from_count, int64_t to_count, const Call& call) {
    VolumeShape shape = shape_of(context);
    const int64_t nw = context.input(1).count();
    if (w.sets == 1) {
      shape.samples *= x.sets;
      call(shape, x.data, w.data, to);
    } else if (w.per_sample) {
      if (shape.samples % context.samples != 0) unsupported("has a first axis that does not divide into samples");
      const int64_t samples = context.samples;
      shape.samples /= samples;
      context.linear.pool.parallel_for(w.sets * samples, [&](int64_t i) {
        const int64_t n = i % samples;
        const int64_t x_set = x.sets == 1 ? 0 : i / samples;
        call(shape, x.data + x_set * from_count + n * (from_count / samples), w.data + i * nw, to + i * (to_count / samples));
      });
    } else if (x.sets == 1) {
      shape.weight_sets = w.sets;
      call(shape, x.data, w.data, to);
    } else {
      for (int s = 0; s < w.sets; ++s) call(shape, x.data + s * from_count, w.data + s * nw, to + s * to_count);
    }
  }

  VolumeShape shape_of(const Context& context) const {
    const Tensor& x = context.input(0);
    const Tensor& w = context.input(1);
    if (x.rank() < 3 || x.rank() > 5) unsupported("a convolution over " + std::to_string(x.rank() - 2) + " spatial axes is not supported");
    if (w.rank() != x.rank()) invalid_model("the weight has " + std::to_string(w.rank()) + " axes, the input " + std::to_string(x.rank()));
    if (groups_ < 1 || groups_ > x.dim(1) || w.dim(0) % groups_ != 0 || x.dim(1) != (transposed ? w.dim(0) : w.dim(1) * groups_))
      invalid_model("input " + to_string(x.shape()) + ", weight " + to_string(w.shape()) + " and " + std::to_string(groups_) + " groups do not fit");
    const std::vector<int64_t> spatial(x.shape().begin() + 2, x.shape().end()), kernel(w.shape().begin() + 2, w.shape().end());
    const Window window = transposed ? Window::transposed(attributes_, spatial, kernel) : Window::of(attributes_, spatial, kernel);
    const Axes3 in(transposed ? window.out : spatial, 1), out(transposed ? spatial : window.out, 1), extent(window.kernel, 1),
        stride(window.stride, 1), dilation(window.dilation, 1), pad(window.pad_begin, 0);
    VolumeShape shape{};
    shape.samples = x.dim(0);
    shape.in_channels = w.dim(1) * groups_;
    shape.in_depth = in.z, shape.out_depth = out.z, shape.kernel_depth = extent.z;
    shape.stride_z = stride.z, shape.dilation_z = dilation.z, shape.pad_front = pad.z;
    shape.in_height = in.y, shape.in_width = in.x;
    shape.out_channels = w.dim(0);
    shape.out_height = out.y, shape.out_width = out.x;
    shape.kernel_height = extent.y, shape.kernel_width = extent.x;
    shape.stride_y = stride.y, shape.stride_x = stride.x;
    shape.dilation_y = dilation.y, shape.dilation_x = dilation.x;
    shape.pad_top = pad.y, shape.pad_left = pad.x;
    shape.groups = groups_;
    shape.weight_sets = 1;
    return shape;
  }

  Attributes attributes_;
  int64_t groups_;
};

template <class T>
using Conv = Convolution<T, false>;
template <class T>
using ConvTranspose = Convolution<T, true>;

}  // namespace

std::vector<Row> conv_rows() {
  return {
      {"", "Conv", 1, "product", true, {1, 0, 2, {0}}, make_op<Conv>, R"([
    {"inputs": [[2,3,7,6],[4,3,3,3],[4]], "attributes": {"pads": [1,1,1,1]}},
    {"inputs": [[2,4,9,8],[6,2,3,2]], "attributes": {"group": 2, "strides": [2,2], "pads": [0,1,1,0]}},
    {"inputs": [[1,4,8,9],[4,1,3,3],[4]], "attributes": {"group": 4, "strides": [2,1], "pads": [1,1,1,1]}},
    {"inputs": [[3,5,4,4],[7,5,1,1],[7]]},
    {"inputs": [[2,3,11,10],[4,3,3,3]], "attributes": {"dilations": [2,3], "pads": [1,3,2,0]}},
    {"inputs": [[2,3,11,10],[4,3,4,3]], "attributes": {"strides": [2,1], "auto_pad": "SAME_LOWER"}},
    {"inputs": [[2,3,11,10],[4,3,4,3]], "attributes": {"strides": [2,3], "auto_pad": "SAME_UPPER"}},
    {"inputs": [[2,3,12],[5,3,4],[5]], "attributes": {"strides": [3], "pads": [2,1]}},
    {"inputs": [[2,3,4,5,4],[4,3,3,2,3],[4]], "attributes": {"strides": [2,1,2], "pads": [1,0,1,1,1,0]}},
    {"inputs": [[1,4,5,4,4],[6,2,2,3,3]], "attributes": {"group": 2, "dilations": [2,1,1], "pads": [1,0,1,0,1,1]}}
  ])"},
      {"", "ConvTranspose", 1, "product", true, {1, 1, 2, {0}}, make_op<ConvTranspose>, R"([
    {"inputs": [[2,3,4,5],[3,2,3,3],[2]], "attributes": {"strides": [2,2], "pads": [1,1,0,1], "output_padding": [1,0]}},
    {"inputs": [[2,4,5,4],[4,3,3,2],[6]], "attributes": {"group": 2, "dilations": [2,1], "pads": [2,0,2,1]}},
    {"inputs": [[2,3,4,5],[3,2,3,3]], "attributes": {"strides": [2,3], "auto_pad": "SAME_UPPER"}},
    {"inputs": [[2,3,4,5],[3,2,3,3]], "attributes": {"strides": [2,2], "output_shape": [8,10]}},
    {"inputs": [[2,3,6],[3,2,4],[2]], "attributes": {"strides": [2], "pads": [1,1]}},
    {"inputs": [[2,3,2,3,2],[3,2,3,2,2],[2]], "attributes": {"strides": [2,2,1], "pads": [1,0,0,1,1,0]}}
  ])"},
  };
}

}  // namespace bitwright
