// BatchNormalization at inference: y = scale (x - mean) / sqrt(variance + epsilon) + bias for each channel; mean and variance are constants.
#include <cmath>

#include "ops/families.h"

namespace bitwright {

namespace {

template <class T>
class BatchNormalization : public Op {
 public:
  explicit BatchNormalization(const NodeInfo& info) : epsilon_(info.node.attributes.real("epsilon", 1e-5f)) {
    if (info.opset >= 14 && info.node.attributes.integer("training_mode", 0) != 0) unsupported("BatchNormalization in training mode is not supported");
    if (info.opset < 9 && info.node.attributes.integer("spatial", 1) == 0) unsupported("BatchNormalization of each element is not supported");
  }

  void forward(Context& context) override {
    const Planes planes(context, epsilon_);
    const T *x = context.input(0).template data<T>(), *scale = context.input(1).template data<T>(), *bias = context.input(2).template data<T>();
    T* y = context.output_over(0, 0).template data<T>();
    planes.each(context, 1, [&](int64_t at, int64_t c) {
      const double factor = scale[c] * planes.inverse[c];
      scale_shift(context.linear, x + at, static_cast<T>(factor), static_cast<T>(bias[c] - planes.mean[c] * factor), planes.size, y + at);
    });
  }

  void tangent(Context& context) override {
    const Tensor *dx = context.tangent(0), *ds = context.tangent(1), *db = context.tangent(2);
    if (!dx && !ds && !db) return;
    const Planes planes(context, epsilon_);
    const T *x = context.input(0).template data<T>(), *scale = context.input(1).template data<T>();
    T* y = context.make_tangent(0).template data<T>();
    const int64_t count = context.input(0).count();
    planes.each(context, context.probes, [&](int64_t at, int64_t c) {
      const int64_t own = at / count * planes.channels + c;
      const T factor = static_cast<T>(scale[c] * planes.inverse[c]);
      const double ds_c = ds ? ds->data<T>()[own] * planes.inverse[c] : 0, db_c = db ? db->data<T>()[own] : 0;
      const T slope = static_cast<T>(ds_c), shift = static_cast<T>(db_c - planes.mean[c] * ds_c);
      for (int64_t i = 0; i < planes.size; ++i) y[at + i] = slope * x[at % count + i] + shift + (dx ? factor * dx->data<T>()[at + i] : T(0));
    });
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const Planes planes(context, epsilon_);
    const T *x = context.input(0).template data<T>(), *scale = context.input(1).template data<T>(), *gs = g->data<T>();
    const int64_t count = context.input(0).count();
    if (const Sum<T> sum = context.template adjoint<T>(0)) {
      planes.each(context, context.batch, [&](int64_t at, int64_t c) {
        const T factor = static_cast<T>(scale[c] * planes.inverse[c]);
        if (!sum.accumulate) return scale_shift(context.linear, gs + at, factor, T(0), planes.size, sum.data + at);
        for (int64_t i = at; i < at + planes.size; ++i) sum.data[i] += factor * gs[i];
      });
    }
    channel_sums(context, planes, 1, 0, context.batch, [&](int64_t set, int64_t at, int64_t c) {
      const T* from = gs + set * count + at;
      double total = 0;
      for (int64_t i = 0; i < planes.size; ++i) total += from[i] * (x[at + i] - planes.mean[c]);
      return total * planes.inverse[c];
    });
    channel_sums(context, planes, 2, 0, context.batch, [&](int64_t set, int64_t at, int64_t) {
      double total = 0;
      for (int64_t i = at; i < at + planes.size; ++i) total += gs[set * count + i];
      return total;
    });
  }

  // y is bilinear in scale and x.
  void curvature(Context& context) override {
    const Tensor *g = context.cotangent(0), *dx = context.tangent(0), *ds = context.tangent(1);
    if (!g || (!dx && !ds)) return;
    const Planes planes(context, epsilon_);
    const T* gs = g->data<T>();
    const int64_t count = context.input(0).count();
    if (ds && context.adjoint_wanted(0)) {
      T* sum = context.template adjoint<T>(0).data + context.first * count;
      planes.each(context, context.probes, [&](int64_t at, int64_t c) {
        const T factor = static_cast<T>(ds->data<T>()[at / count * planes.channels + c] * planes.inverse[c]);
        for (int64_t i = 0; i < planes.size; ++i) sum[at + i] += factor * gs[at % count + i];
      });
    }
    if (!dx) return;
    channel_sums(context, planes, 1, context.first, context.probes, [&](int64_t set, int64_t at, int64_t c) {
      return dot(context.linear, gs + at, dx->data<T>() + set * count + at, planes.size) * planes.inverse[c];
    });
  }

 private:
  struct Planes {
    int64_t samples, channels, size;
    std::vector<double> mean, inverse;  // inverse: 1 / sqrt(variance + epsilon)

    Planes(const Context& context, double epsilon) {
      const Shape& shape = context.input(0).shape();
      if (shape.empty()) invalid_model("BatchNormalization needs a sample axis");
      samples = shape[0];
      channels = shape.size() > 1 ? shape[1] : 1;
      size = 1;
      for (size_t i = 2; i < shape.size(); ++i) size *= shape[i];
      for (int i = 1; i < 5; ++i)
        if (context.input(i).count() != channels) invalid_model("input " + std::to_string(i) + " must have one element for each of " + std::to_string(channels) + " channels");
      const T *means = context.input(3).template data<T>(), *variances = context.input(4).template data<T>();
      for (int64_t c = 0; c < channels; ++c) {
        mean.push_back(means[c]);
        inverse.push_back(1 / std::sqrt(variances[c] + epsilon));
      }
    }

    // Calls body(first element, channel) for the planes of all sets.
    template <class Body>
    void each(Context& context, int64_t sets, const Body& body) const {
      context.linear.pool.parallel_for(sets * samples * channels, [&](int64_t i) { body(i * size, i % channels); });
    }
  };

  // Adds the sums over samples of body(set, first element of the plane, channel) to cotangents [first, first + sets) of input i.
  template <class Body>
  static void channel_sums(Context& context, const Planes& planes, int i, int first, int sets, const Body& body) {
    if (!context.adjoint_wanted(i)) return;
    const auto total = [&](int64_t set, int64_t c, double sum) {
      for (int64_t n = 0; n < planes.samples; ++n) sum += body(set, (n * planes.channels + c) * planes.size, c);
      return sum;
    };
    if (const ParameterSum parameter = context.parameter(i)) {
      context.linear.pool.parallel_for(parameter.sets * planes.channels, [&](int64_t k) {
        parameter.data[k] = total(parameter.first - first + k / planes.channels, k % planes.channels, parameter.data[k]);
      });
      return;
    }
    const Sum<T> sum = context.template adjoint<T>(i);
    T* to = sum.data + first * planes.channels;
    context.linear.pool.parallel_for(sets * planes.channels, [&](int64_t k) {
      to[k] = static_cast<T>(total(k / planes.channels, k % planes.channels, sum.accumulate ? to[k] : 0));
    });
  }

  double epsilon_;
};

}  // namespace

std::vector<Row> batch_normalization_rows() {
  return {{"", "BatchNormalization", 7, "product", true, {}, make_op<BatchNormalization>, R"([
    {"inputs": [[2,3,4,5], [3], [3], {"dims": [3], "values": [0.1,-0.2,0.3], "constant": true}, {"dims": [3], "values": [0.5,1.5,2], "constant": true}]},
    {"inputs": [[4,3], [3], [3], {"dims": [3], "values": [0.1,-0.2,0.3], "constant": true}, {"dims": [3], "values": [0.5,1.5,2], "constant": true}],
     "attributes": {"epsilon": 0.01}, "opset": 9}
  ])"}};
}

}  // namespace bitwright
