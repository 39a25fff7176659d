// MatMul of any rank and Gemm, on one product of matrices.
#include "ops/families.h"
#include "ops/kinds.h"

namespace bitwright {

namespace {

// y[i] = op(a[ia(i)]) op(b[ib(i)]): matrices rows x depth and depth x columns, in C order, stored transposed when said.
struct MatrixBatch {
  int64_t rows, columns, depth;
  bool transpose_a = false, transpose_b = false;
  std::vector<int64_t> ia, ib;  // one for each output matrix
  int64_t count_a = 1, count_b = 1;

  int64_t count() const { return static_cast<int64_t>(ia.size()); }
  int64_t size_a() const { return count_a * rows * depth; }
  int64_t size_b() const { return count_b * depth * columns; }
  int64_t size_y() const { return count() * rows * columns; }
  // One b for all: the batch is more rows.
  bool foldable() const { return count_b == 1 && count_a == count() && !transpose_a; }
};

template <class T>
class MatrixProduct : public Product<T> {
 public:
  void forward(Context& context) override {
    const MatrixBatch m = batch_of(context);
    T* y = context.output(0, DTypeOf<T>::value, output_shape(context)).template data<T>();
    forward_rest(context, y);
    product(context, {context.input(0).template data<T>()}, {context.input(1).template data<T>()}, y, rest());
  }

 protected:
  virtual MatrixBatch batch_of(const Context& context) const = 0;
  virtual Shape output_shape(const Context& context) const = 0;
  virtual void forward_rest(Context&, T*) {}
  virtual bool rest() const { return false; }
  virtual T alpha() const { return 1; }

  void product(Context& context, Operand<T> a, Operand<T> b, T* y, bool accumulate) override {
    const MatrixBatch m = batch_of(context);
    Tensor scaled;
    b.data = scale(context, b.data, sets_of(context, b) * m.size_b(), scaled);
    GemmShape shape{m.rows, m.columns, m.depth, m.transpose_a, m.transpose_b};
    shape.lda = m.transpose_a ? m.rows : m.depth;
    shape.ldb = m.transpose_b ? m.depth : m.columns;
    shape.ldc = m.columns;
    if (rows_product(context, m, shape, a, b, y, accumulate)) return;
    for (int s = 0; s < std::max(a.sets, b.sets); ++s) {
      for_each(context, m.count(), [&](int64_t i) {
        gemm(context.linear, shape, a.set(s, m.size_a()) + m.ia[i] * m.rows * m.depth, b.set(s, m.size_b()) + m.ib[i] * m.depth * m.columns,
             y + s * m.size_y() + i * m.rows * m.columns, accumulate);
      });
    }
  }

  void transpose_a(Context& context, Operand<T> b, Operand<T> g, T* da, bool accumulate) override {
    const MatrixBatch m = batch_of(context);
    Tensor scaled;
    b.data = scale(context, b.data, sets_of(context, b) * m.size_b(), scaled);
    // da = g b^T, or b g^T when a is stored transposed.
    GemmShape shape{m.rows, m.depth, m.columns, false, !m.transpose_b};
    shape.lda = m.columns;
    shape.ldb = m.transpose_b ? m.depth : m.columns;
    shape.ldc = m.depth;
    if (rows_product(context, m, shape, g, b, da, accumulate)) return;
    if (m.transpose_a) shape = {m.depth, m.rows, m.columns, m.transpose_b, true, m.transpose_b ? m.depth : m.columns, m.columns, m.rows};
    for (int s = 0; s < std::max(b.sets, g.sets); ++s) {
      sum_each(context, m.ia, m.count_a, accumulate, [&](int64_t i, bool add) {
        const T* bi = b.set(s, m.size_b()) + m.ib[i] * m.depth * m.columns;
        const T* gi = g.set(s, m.size_y()) + i * m.rows * m.columns;
        gemm(context.linear, shape, m.transpose_a ? bi : gi, m.transpose_a ? gi : bi, da + s * m.size_a() + m.ia[i] * m.rows * m.depth, add);
      });
    }
  }

  void transpose_b(Context& context, Operand<T> a, Operand<T> g, T* db, bool accumulate) override {
    const MatrixBatch m = batch_of(context);
    Tensor scaled;
    a.data = scale(context, a.data, a.sets * m.size_a(), scaled);
    const GemmShape shape = transpose_b_shape(m, m.rows);
    for (int s = 0; s < std::max(a.sets, g.sets); ++s) {
      sum_each(context, m.ib, m.count_b, accumulate, [&](int64_t i, bool add) {
        const T* ai = a.set(s, m.size_a()) + m.ia[i] * m.rows * m.depth;
        const T* gi = g.set(s, m.size_y()) + i * m.rows * m.columns;
        gemm(context.linear, shape, m.transpose_b ? gi : ai, m.transpose_b ? ai : gi, db + s * m.size_b() + m.ib[i] * m.depth * m.columns, add);
      });
    }
  }

  void transpose_parameter(Context& context, const T* a, const T* g, double* db) override {
    const MatrixBatch m = batch_of(context);
    const int64_t nb = m.size_b();
    Tensor part = context.template make<T>({nb});
    T* sum = part.template data<T>();
    const auto add_part = [&] {
      for (int64_t i = 0; i < nb; ++i) db[i] += sum[i];
    };
    if (m.foldable() && (m.rows * m.count()) % context.samples == 0) {
      Tensor scaled;
      a = scale(context, a, m.size_a(), scaled);
      const int64_t rows = m.rows * m.count() / context.samples;
      const GemmShape shape = transpose_b_shape(m, rows);
      for (int64_t n = 0; n < context.samples; ++n) {
        const T* an = a + n * rows * m.depth;
        const T* gn = g + n * rows * m.columns;
        gemm(context.linear, shape, m.transpose_b ? gn : an, m.transpose_b ? an : gn, sum, false);
        add_part();
      }
    } else {
      transpose_b(context, {a}, {g}, sum, false);
      add_part();
    }
  }

 private:
  static int64_t sets_of(const Context& context, const Operand<T>& operand) {
    return operand.sets * (operand.per_sample ? context.samples : 1);
  }

  // alpha times an operand, in `holder`, or the operand itself.
  const T* scale(Context& context, const T* data, int64_t count, Tensor& holder) const {
    if (alpha() == T(1)) return data;
    holder = context.template make<T>({count});
    T* to = holder.template data<T>();
    scale_shift(context.linear, data, alpha(), T(0), count, to);
    return to;
  }

  static GemmShape transpose_b_shape(const MatrixBatch& m, int64_t rows) {
    // db = a^T g, or g^T a when b is stored transposed.
    const int64_t lda = m.transpose_a ? rows : m.depth;
    if (m.transpose_b) return {m.columns, m.depth, rows, true, m.transpose_a, m.columns, lda, m.depth};
    return {m.depth, m.columns, rows, !m.transpose_a, false, lda, m.columns, m.columns};
  }

  // y = x b in as few products as there are different b, where all rows of x meet one b, or those of a sample do; false otherwise. x is a or g.
  static bool rows_product(Context& context, const MatrixBatch& m, GemmShape shape, Operand<T> x, Operand<T> b, T* y, bool accumulate) {
    const int64_t rows = m.rows * m.count(), nx = rows * shape.depth, ny = rows * shape.columns;
    if (!b.per_sample && !m.foldable()) return false;
    int64_t nb = m.size_b();
    shape.rows = rows;
    if (b.per_sample) {
      if (!m.foldable() || rows % context.samples != 0)
        unsupported("has rows that do not divide into samples, so a direction per sample has no meaning");
      shape.rows = rows / context.samples;
      shape.batch = context.samples;
      shape.stride_a = shape.rows * shape.depth, shape.stride_b = nb, shape.stride_c = shape.rows * shape.columns;
      nb *= context.samples;
    } else if (b.sets == 1) {
      shape.rows *= x.sets;
      gemm(context.linear, shape, x.data, b.data, y, accumulate);
      return true;
    }
    for (int s = 0; s < b.sets; ++s) gemm(context.linear, shape, x.set(s, nx), b.set(s, nb), y + s * ny, accumulate);
    return true;
  }

  // Many small products spread over the pool, a few large ones each take the whole pool.
  template <class Body>
  static void for_each(Context& context, int64_t count, const Body& body) {
    if (count >= 2 * context.linear.pool.threads()) {
      context.linear.pool.parallel_for(count, body);
    } else {
      for (int64_t i = 0; i < count; ++i) body(i);
    }
  }

  // As for_each where several i add to the same target[i]: in order, and the first overwrites unless `accumulate`.
  template <class Body>
  static void sum_each(Context& context, const std::vector<int64_t>& target, int64_t targets, bool accumulate, const Body& body) {
    const auto count = static_cast<int64_t>(target.size());
    if (targets == count) {
      for_each(context, count, [&](int64_t i) { body(i, accumulate); });
      return;
    }
    std::vector<bool> seen(targets, accumulate);
    for (int64_t i = 0; i < count; ++i) {
      body(i, seen[target[i]]);
      seen[target[i]] = true;
    }
  }
};

template <class T>
class MatMul : public MatrixProduct<T> {
 public:
  explicit MatMul(const NodeInfo&) {}

 private:
  // A vector is a matrix with one row (left) or one column (right), which then leaves the result's shape.
  static Shape matrix_shape(const Tensor& tensor, bool left) {
    Shape shape = tensor.shape();
    if (shape.empty()) invalid_model("a scalar has no matrix product");
    if (shape.size() == 1) shape.insert(left ? shape.begin() : shape.end(), 1);
    return shape;
  }

  MatrixBatch batch_of(const Context& context) const override {
    const Shape a = matrix_shape(context.input(0), true), b = matrix_shape(context.input(1), false);
    MatrixBatch m{a[a.size() - 2], b.back(), a.back()};
    if (b[b.size() - 2] != m.depth) invalid_model("matrices " + to_string(a) + " and " + to_string(b) + " do not fit");
    const Shape batch_a(a.begin(), a.end() - 2), batch_b(b.begin(), b.end() - 2);
    m.count_a = element_count(batch_a);
    m.count_b = element_count(batch_b);
    const Broadcast batch(batch_a, batch_b);
    context.pool.expect(static_cast<uint64_t>(batch.count()) * 2 * sizeof(int64_t));
    batch.in_order([&](int64_t, int64_t ia, int64_t ib) {
      m.ia.push_back(ia);
      m.ib.push_back(ib);
    });
    return m;
  }

  Shape output_shape(const Context& context) const override {
    const Shape a = matrix_shape(context.input(0), true), b = matrix_shape(context.input(1), false);
    Shape shape = Broadcast({a.begin(), a.end() - 2}, {b.begin(), b.end() - 2}).shape();
    if (context.input(0).rank() > 1) shape.push_back(a[a.size() - 2]);
    if (context.input(1).rank() > 1) shape.push_back(b.back());
    return shape;
  }
};

template <class T>
class Gemm : public MatrixProduct<T> {
 public:
  explicit Gemm(const NodeInfo& info)
      : transpose_a_(info.node.attributes.integer("transA", 0) != 0),
        transpose_b_(info.node.attributes.integer("transB", 0) != 0),
        alpha_(info.node.attributes.real("alpha", 1)),
        beta_(info.node.attributes.real("beta", 1)),
        has_bias_(info.node.inputs.size() > 2 && info.node.inputs[2] >= 0) {}

  Ports ports(const Ports& of_row) const override {
    Ports ports = of_row;
    ports.channel_axis = transpose_b_ ? 0 : 1;
    return ports;
  }

 private:
  MatrixBatch batch_of(const Context& context) const override {
    const Shape& a = context.input(0).shape();
    const Shape& b = context.input(1).shape();
    if (a.size() != 2 || b.size() != 2) invalid_model("Gemm takes matrices, not " + to_string(a) + " and " + to_string(b));
    MatrixBatch m{a[transpose_a_ ? 1 : 0], b[transpose_b_ ? 0 : 1], a[transpose_a_ ? 0 : 1], transpose_a_, transpose_b_, {0}, {0}};
    if (b[transpose_b_ ? 1 : 0] != m.depth) invalid_model("matrices " + to_string(a) + " and " + to_string(b) + " do not fit");
    return m;
  }

  Shape output_shape(const Context& context) const override {
    const MatrixBatch m = batch_of(context);
    return {m.rows, m.columns};
  }

  T alpha() const override { return static_cast<T>(alpha_); }
  bool rest() const override { return has_bias_; }

  Broadcast bias_broadcast(const Context& context) const {
    Broadcast broadcast(output_shape(context), context.input(2).shape());
    if (broadcast.count() != element_count(output_shape(context))) invalid_model("C does not broadcast to the product");
    return broadcast;
  }

  void forward_rest(Context& context, T* y) override {
    if (!has_bias_) return;
    const T* bias = context.input(2).template data<T>();
    bias_broadcast(context).each(context.linear.pool, [&](int64_t o, int64_t, int64_t ib) { y[o] = static_cast<T>(beta_) * bias[ib]; });
  }

  bool rest_has_tangent(Context& context) override { return context.tangent(2) != nullptr; }

  void rest_tangent(Context& context, T* y) override {
    const Tensor* bias = context.tangent(2);
    if (!bias) return;
    const Broadcast broadcast = bias_broadcast(context);
    for (int p = 0; p < context.probes; ++p) {
      const T* from = bias->template data<T>() + p * context.input(2).count();
      broadcast.each(context.linear.pool, [&](int64_t o, int64_t, int64_t ib) { y[p * broadcast.count() + o] += static_cast<T>(beta_) * from[ib]; });
    }
  }

  void rest_adjoint(Context& context, const Tensor& g) override {
    if (!has_bias_ || !context.adjoint_wanted(2)) return;
    Tensor scaled = context.template make<T>(g.shape());
    scale_shift(context.linear, g.data<T>(), static_cast<T>(beta_), T(0), g.count(), scaled.template data<T>());
    reduce_adjoint<T>(context, 2, 1, bias_broadcast(context), scaled.template data<T>());
  }

  bool transpose_a_, transpose_b_;
  float alpha_, beta_;
  bool has_bias_;
};

}  // namespace

std::vector<Row> matmul_rows() {
  return {
      {"", "MatMul", 1, "product", true, {1, 1, -1, {0, 1}}, make_op<MatMul>, R"([
        {"inputs": [[3,4],[4,5]]},
        {"inputs": [[2,3,4],[4,5]]},
        {"inputs": [[2,3,4,5],[3,5,2]]},
        {"inputs": [[2,1,3,4],[1,3,4,2]]},
        {"inputs": [[4],[4,3]]},
        {"inputs": [[2,3,4],[4]]}
      ])"},
      {"", "Gemm", 7, "product", true, {1, 1, 2, {0}}, make_op<Gemm>, R"([
        {"inputs": [[3,4],[4,5],[5]]},
        {"inputs": [[3,4],[5,4],[5]], "attributes": {"transB": 1}},
        {"inputs": [[4,3],[4,5],[3,1]], "attributes": {"transA": 1, "alpha": 0.5, "beta": 1.5}},
        {"inputs": [[4,3],[5,4]], "attributes": {"transA": 1, "transB": 1, "alpha": {"float": 2}}}
      ])"},
  };
}

}  // namespace bitwright
