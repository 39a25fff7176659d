// Normalization by the statistics of the data itself: LayerNormalization, InstanceNormalization, GroupNormalization, RMSNormalization.
//
// All see x as rows of n elements: y = scale xhat + bias, xhat = r (x - mean(x)), r = (mean((x - mean(x))^2) + epsilon)^(-1/2). The Jacobian
// of xhat in x is symmetric,
//   A v = r (v - mean(v) - xhat mean(v xhat)),
// and along dx, with dxhat = A dx, it moves by
//   dA v = -r mean(xhat dx) A v - r (dxhat mean(v xhat) + xhat mean(v dxhat)).
// RMSNormalization leaves out the means of x and v.
#include <cmath>

#include "core/lane_sum.h"
#include "ops/families.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

// Rows, and which element of scale and bias belongs to element j of row i: (i % period) * per_row + j / run.
struct Rows {
  int64_t count, size;
  int64_t period = 1, per_row = 0, run = 1;
  int64_t parameters = 0;  // elements of scale and bias

  int64_t parameter(int64_t row, int64_t j) const { return row % period * per_row + j / run; }
};

template <class T>
class RowNormalization : public Op {
 public:
  void forward(Context& context) override {
    const Rows rows = checked_rows(context);
    const T *x = context.input(0).template data<T>(), *scale = context.input(1).template data<T>();
    const T* bias = context.has(2) ? context.input(2).template data<T>() : nullptr;
    T* y = context.output(0, DTypeOf<T>::value, context.input(0).shape()).template data<T>();
    Tensor statistics = context.template make<double>({rows.count, 2});
    double* statistic = statistics.template data<double>();
    each_row(context, rows, 1, [&](int64_t row, int64_t at, int64_t) {
      const T* from = x + at;
      double mean = 0, square = 0;
      if (centred_) mean = lane_sum(rows.size, [&](int64_t j) { return static_cast<double>(from[j]); }) / rows.size;
      square = lane_sum(rows.size, [&](int64_t j) { return (from[j] - mean) * (from[j] - mean); }) / rows.size;
      const double r = 1 / std::sqrt(square + epsilon_);
      statistic[2 * row] = mean;
      statistic[2 * row + 1] = r;
      const T slope = static_cast<T>(r), centre = static_cast<T>(mean);
      runs(rows, row, [&](int64_t k, int64_t begin, int64_t end, int64_t step) {
        for (int64_t j = begin; j < end; ++j)
          y[at + j] = (from[j] - centre) * slope * scale[k + (j - begin) * step] + (bias ? bias[k + (j - begin) * step] : T(0));
      });
    });
    write_statistics(context, rows, statistic);
    if (context.keep) context.saved->assign(1, statistics);
  }

  void tangent(Context& context) override {
    const Tensor *dx = context.tangent(0), *ds = context.tangent(1), *db = context.tangent(2);
    if (!dx && !ds && !db) return;
    refuse_statistics(context);
    const Rows rows = checked_rows(context);
    const T* scale = context.input(1).template data<T>();
    T* y = context.make_tangent(0).template data<T>();
    each_row(context, rows, context.probes, [&](int64_t row, int64_t at, int64_t p) {
      std::vector<double> xhat = normalized(context, rows, row), moved(rows.size);
      if (dx) moved = jacobian(context, rows, row, xhat, dx->data<T>() + p * context.input(0).count() + at);
      T* out = y + p * context.input(0).count() + at;
      for (int64_t j = 0; j < rows.size; ++j) {
        const int64_t k = rows.parameter(row, j), own = p * rows.parameters + k;
        out[j] = static_cast<T>(moved[j] * scale[k] + (ds ? xhat[j] * ds->data<T>()[own] : 0) + (db ? db->data<T>()[own] : 0));
      }
    });
  }

  void adjoint(Context& context) override {
    refuse_statistics(context);
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const Rows rows = checked_rows(context);
    const T *scale = context.input(1).template data<T>(), *gs = g->data<T>();
    const int64_t count = context.input(0).count();
    if (const Sum<T> sum = context.template adjoint<T>(0)) {
      each_row(context, rows, context.batch, [&](int64_t row, int64_t at, int64_t s) {
        const std::vector<double> h = scaled(rows, row, gs + s * count + at, scale), back = jacobian(context, rows, row, normalized(context, rows, row), h.data());
        T* to = sum.data + s * count + at;
        for (int64_t j = 0; j < rows.size; ++j) to[j] = static_cast<T>(sum.accumulate ? to[j] + back[j] : back[j]);
      });
    }
    parameter_sums(context, rows, 1, 0, context.batch, [&](int64_t row, int64_t set) {
      std::vector<double> terms = normalized(context, rows, row);
      for (int64_t j = 0; j < rows.size; ++j) terms[j] *= gs[set * count + row * rows.size + j];
      return terms;
    });
    parameter_sums(context, rows, 2, 0, context.batch, [&](int64_t row, int64_t set) {
      const T* from = gs + set * count + row * rows.size;
      return std::vector<double>(from, from + rows.size);
    });
  }

  void curvature(Context& context) override {
    const Tensor *g = context.cotangent(0), *dx = context.tangent(0), *ds = context.tangent(1);
    if (!g || (!dx && !ds)) return;
    const Rows rows = checked_rows(context);
    const T *scale = context.input(1).template data<T>(), *gs = g->data<T>();
    const int64_t count = context.input(0).count();
    if (const Sum<T> sum = context.template adjoint<T>(0)) {
      each_row(context, rows, context.probes, [&](int64_t row, int64_t at, int64_t p) {
        const std::vector<double> xhat = normalized(context, rows, row);
        T* to = sum.data + (context.first + p) * count + at;
        if (dx) add_moved_jacobian(context, rows, row, xhat, dx->data<T>() + p * count + at, scaled(rows, row, gs + at, scale), to);
        if (!ds) return;
        const std::vector<double> back = jacobian(context, rows, row, xhat, scaled(rows, row, gs + at, ds->data<T>() + p * rows.parameters).data());
        for (int64_t j = 0; j < rows.size; ++j) to[j] += static_cast<T>(back[j]);
      });
    }
    if (!dx) return;
    parameter_sums(context, rows, 1, context.first, context.probes, [&](int64_t row, int64_t set) {
      const int64_t at = row * rows.size;
      std::vector<double> terms = jacobian(context, rows, row, normalized(context, rows, row), dx->data<T>() + set * count + at);
      for (int64_t j = 0; j < rows.size; ++j) terms[j] *= gs[at + j];
      return terms;
    });
  }

 protected:
  explicit RowNormalization(const NodeInfo& info, bool centred = true) : epsilon_(info.node.attributes.real("epsilon", 1e-5f)), centred_(centred) {}

  virtual Rows rows(const Context& context) const = 0;
  // The further outputs, given {mean, r} of every row.
  virtual void write_statistics(Context&, const Rows&, const double*) const {}

 private:
  Rows checked_rows(const Context& context) const {
    const Rows rows = this->rows(context);
    for (int i = 1; i < 3; ++i)
      if ((i == 1 || context.has(i)) && context.input(i).count() != rows.parameters)
        invalid_model("input " + std::to_string(i) + " must have " + std::to_string(rows.parameters) + " elements, not shape " + to_string(context.input(i).shape()));
    return rows;
  }

  static void refuse_statistics(const Context& context) {
    for (int o = 1; o < 3; ++o)
      if (context.wanted(o)) unsupported("has no derivative where the mean or deviation is an output");
  }

  // Calls body(row, first element of the row, set), several small rows in one go.
  template <class Body>
  static void each_row(Context& context, const Rows& rows, int64_t sets, const Body& body) {
    if (rows.size == 0) return;
    const int64_t together = std::max<int64_t>(1, kChunk / rows.size), chunks = (rows.count + together - 1) / together;
    context.linear.pool.parallel_for(chunks * sets, [&](int64_t i) {
      const int64_t first = i % chunks * together;
      for (int64_t row = first; row < std::min(rows.count, first + together); ++row) body(row, row * rows.size, i / chunks);
    });
  }

  // Calls body(first parameter, begin, end, step) for stretches of a row along which the parameter's index grows by step.
  template <class Body>
  static void runs(const Rows& rows, int64_t row, const Body& body) {
    if (rows.run == 1) return body(rows.parameter(row, 0), 0, rows.size, 1);
    for (int64_t j = 0; j < rows.size; j += rows.run) body(rows.parameter(row, j), j, j + rows.run, 0);
  }

  static std::vector<double> normalized(const Context& context, const Rows& rows, int64_t row) {
    const T* x = context.input(0).template data<T>() + row * rows.size;
    const double* statistic = (*context.saved)[0].template data<double>() + 2 * row;
    std::vector<double> xhat(rows.size);
    for (int64_t j = 0; j < rows.size; ++j) xhat[j] = (x[j] - statistic[0]) * statistic[1];
    return xhat;
  }

  static std::vector<double> scaled(const Rows& rows, int64_t row, const T* g, const T* scale) {
    std::vector<double> h(rows.size);
    runs(rows, row, [&](int64_t k, int64_t begin, int64_t end, int64_t step) {
      for (int64_t j = begin; j < end; ++j) h[j] = static_cast<double>(g[j]) * scale[k + (j - begin) * step];
    });
    return h;
  }

  // A v
  template <class V>
  std::vector<double> jacobian(const Context& context, const Rows& rows, int64_t row, const std::vector<double>& xhat, const V* v) const {
    const double r = (*context.saved)[0].template data<double>()[2 * row + 1];
    const double mean = centred_ ? lane_sum(rows.size, [&](int64_t j) { return static_cast<double>(v[j]); }) / rows.size : 0;
    const double along = lane_sum(rows.size, [&](int64_t j) { return v[j] * xhat[j]; }) / rows.size;
    std::vector<double> result(rows.size);
    for (int64_t j = 0; j < rows.size; ++j) result[j] = r * (v[j] - mean - xhat[j] * along);
    return result;
  }

  // to += dA h
  void add_moved_jacobian(const Context& context, const Rows& rows, int64_t row, const std::vector<double>& xhat, const T* dx, const std::vector<double>& h,
                          T* to) const {
    const double r = (*context.saved)[0].template data<double>()[2 * row + 1];
    const std::vector<double> moved = jacobian(context, rows, row, xhat, dx), back = jacobian(context, rows, row, xhat, h.data());
    const auto mean_of = [&](const auto& a, const auto& b) { return lane_sum(rows.size, [&](int64_t j) { return static_cast<double>(a[j]) * b[j]; }) / rows.size; };
    const double shrink = -r * mean_of(xhat, dx), h_xhat = mean_of(h, xhat), h_moved = mean_of(h, moved);
    for (int64_t j = 0; j < rows.size; ++j) to[j] += static_cast<T>(shrink * back[j] - r * (moved[j] * h_xhat + xhat[j] * h_moved));
  }

  // Adds terms(row, set), row by row, to cotangents [first, first + sets) of scale or bias.
  template <class Terms>
  static void parameter_sums(Context& context, const Rows& rows, int i, int first, int sets, const Terms& terms) {
    if (!context.adjoint_wanted(i)) return;
    const auto total = [&](int64_t set, double* sums) {
      for (int64_t row = 0; row < rows.count; ++row) {
        const std::vector<double> term = terms(row, set);
        for (int64_t j = 0; j < rows.size; ++j) sums[rows.parameter(row, j)] += term[j];
      }
    };
    if (const ParameterSum parameter = context.parameter(i)) {
      context.linear.pool.parallel_for(parameter.sets, [&](int64_t s) { total(parameter.first - first + s, parameter.data + s * rows.parameters); });
      return;
    }
    const Sum<T> sum = context.template adjoint<T>(i);
    context.linear.pool.parallel_for(sets, [&](int64_t s) {
      T* to = sum.data + (first + s) * rows.parameters;
      std::vector<double> sums(rows.parameters);
      total(s, sums.data());
      for (int64_t k = 0; k < rows.parameters; ++k) to[k] = static_cast<T>(sum.accumulate ? to[k] + sums[k] : sums[k]);
    });
  }

  double epsilon_;
  bool centred_;
};

// Over all axes from `axis` on.
template <class T>
class LayerNormalization : public RowNormalization<T> {
 public:
  explicit LayerNormalization(const NodeInfo& info, bool centred = true)
      : RowNormalization<T>(info, centred), axis_(info.node.attributes.integer("axis", -1)), first_statistic_(centred ? 0 : 1) {}

 private:
  Rows rows(const Context& context) const override {
    const Shape& shape = context.input(0).shape();
    const int axis = normalize_axis(axis_, context.input(0).rank());
    Rows rows{element_count({shape.begin(), shape.begin() + axis}), element_count({shape.begin() + axis, shape.end()})};
    rows.parameters = rows.size;
    return rows;
  }

  void write_statistics(Context& context, const Rows& rows, const double* statistic) const override {
    for (int o = 1; o + first_statistic_ < 3; ++o) {
      if (!context.wanted(o)) continue;
      Shape shape = context.input(0).shape();
      std::fill(shape.begin() + normalize_axis(axis_, context.input(0).rank()), shape.end(), 1);
      T* to = context.output(o, DTypeOf<T>::value, shape).template data<T>();
      for (int64_t row = 0; row < rows.count; ++row) to[row] = static_cast<T>(statistic[2 * row + first_statistic_ + o - 1]);
    }
  }

  int64_t axis_;
  int first_statistic_;  // without a mean the deviation comes first
};

template <class T>
class RmsNormalization : public LayerNormalization<T> {
 public:
  explicit RmsNormalization(const NodeInfo& info) : LayerNormalization<T>(info, false) {}
};

// Over groups of channels and all axes after them.
template <class T>
class GroupNormalization : public RowNormalization<T> {
 public:
  explicit GroupNormalization(const NodeInfo& info) : RowNormalization<T>(info), groups_(info.node.attributes.integer("num_groups", 0)) {}

 protected:
  virtual int64_t groups(int64_t) const { return groups_; }

 private:
  Rows rows(const Context& context) const override {
    const Shape& shape = context.input(0).shape();
    if (shape.size() < 3) invalid_model("normalization over space needs a spatial axis, shape " + to_string(shape) + " has none");
    const int64_t channels = shape[1], plane = element_count({shape.begin() + 2, shape.end()}), groups = this->groups(channels);
    if (groups < 1 || channels % groups != 0) invalid_model(std::to_string(channels) + " channels do not divide into " + std::to_string(groups) + " groups");
    const int64_t each = channels / groups;
    return {shape[0] * groups, each * plane, groups, each, plane, channels};
  }

  int64_t groups_;
};

// Each channel is a group.
template <class T>
class InstanceNormalization : public GroupNormalization<T> {
 public:
  using GroupNormalization<T>::GroupNormalization;

 private:
  int64_t groups(int64_t channels) const override { return channels; }
};

}  // namespace

std::vector<Row> normalization_rows() {
  return {
      {"", "LayerNormalization", 1, "custom", true, {}, make_op<LayerNormalization>, R"([
        {"inputs": [[3,5,16], [16], [16]]},
        {"inputs": [[2,3,4], [3,4]], "attributes": {"axis": 1, "epsilon": 0.001}},
        {"inputs": [[3,5], [5], [5]], "attributes": {"axis": -1}}
      ])"},
      {"", "RMSNormalization", 23, "custom", true, {}, make_op<RmsNormalization>, R"([{"inputs": [[3,5,18], [18]]}])"},
      {"", "SimplifiedLayerNormalization", 1, "custom", true, {}, make_op<RmsNormalization>, R"([{"inputs": [[3,5,18], [18]]}, {"inputs": [[2,3,4], [3,4]], "attributes": {"axis": 1}}])"},
      {"", "InstanceNormalization", 6, "custom", true, {}, make_op<InstanceNormalization>, R"([{"inputs": [[2,3,4,5], [3], [3]]}, {"inputs": [[2,3,7], [3], [3]]}])"},
      {"", "GroupNormalization", 21, "custom", true, {}, make_op<GroupNormalization>, R"([{"inputs": [[2,6,3,2], [6], [6]], "attributes": {"num_groups": 3}}])"},
  };
}

}  // namespace bitwright
