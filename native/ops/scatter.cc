// Elements put by index: ScatterElements, ScatterND.
#include "ops/dtypes.h"
#include "ops/families.h"
#include "ops/indices.h"
#include "ops/jet.h"

namespace bitwright {

namespace {

// What the others multiply to, of every factor that elements of a product are made of: the data's own, and the updates. S: a number, or one with its
// derivative.
template <class S>
struct Others {
  std::vector<S> of_data, of_updates;

  Others(const IndexedBlocks& blocks, std::vector<S> before, const std::vector<S>& updates) : of_data(before.size(), S(1)), of_updates(updates.size(), S(1)) {
    const auto count = static_cast<int64_t>(updates.size());
    for (int64_t u = 0; u < count; ++u) {
      of_updates[u] = before[blocks.at(u)];
      before[blocks.at(u)] = before[blocks.at(u)] * updates[u];
    }
    std::vector<S>& behind = of_data;
    for (int64_t u = count - 1; u >= 0; --u) {
      of_updates[u] = of_updates[u] * behind[blocks.at(u)];
      behind[blocks.at(u)] = behind[blocks.at(u)] * updates[u];
    }
  }
};

// y = x with blocks replaced by those of the updates or, with a reduction, joined with them. Of the greatest or least element the first one counts.
class Scatter : public Op {
 public:
  explicit Scatter(const NodeInfo& info) {
    const std::string reduction = info.node.attributes.text("reduction", "none");
    const std::string known[] = {"none", "add", "mul", "max", "min"};
    const auto found = std::find(std::begin(known), std::end(known), reduction);
    if (found == std::end(known)) unsupported("reduction '" + reduction + "' is not supported");
    reduction_ = static_cast<Reduction>(found - std::begin(known));
  }

  void forward(Context& context) override {
    const Tensor& x = context.input(0);
    const Tensor& updates = context.input(2);
    const IndexedBlocks blocks = checked_blocks(context);
    if (updates.dtype() != x.dtype()) invalid_model("the updates differ from the data in type");
    Tensor& y = context.output_over(0, 0);
    if (y.raw() != x.raw()) std::memcpy(y.raw(), x.raw(), x.bytes());
    put(blocks, updates, 0, y, 0);
  }

  void tangent(Context& context) override {
    const Tensor *dx = context.tangent(0), *du = context.tangent(2);
    if (!dx && !du) return;
    const IndexedBlocks blocks = checked_blocks(context);
    if (multiplies()) return context.input(0).dtype() == BW_FLOAT64 ? move_product<double>(context, blocks, dx, du) : move_product<float>(context, blocks, dx, du);
    Tensor& y = context.make_tangent(0);
    if (dx)
      std::memcpy(y.raw(), dx->raw(), y.bytes());
    else
      std::memset(y.raw(), 0, y.bytes());
    const int64_t count = context.out[0].count();
    for (int p = 0; p < context.probes; ++p) {
      if (reduction_ == kMax || reduction_ == kMin)
        visit_width(y.dtype(), [&](auto zero) {
          using E = decltype(zero);
          const std::vector<int64_t> chosen = this->chosen(context, blocks);
          const E* from = du ? static_cast<const E*>(du->raw()) + p * context.input(2).count() : nullptr;
          E* to = static_cast<E*>(y.raw()) + p * count;
          for (int64_t i = 0; i < count; ++i)
            if (chosen[i] >= 0) to[i] = from ? from[chosen[i]] : E(0);
        });
      else if (du)
        put(blocks, *du, p * context.input(2).count(), y, p * count);
      else if (reduction_ == kNone)
        clear(blocks, y, p * count);
    }
  }

  void adjoint(Context& context) override {
    const Tensor* g = context.cotangent(0);
    if (!g) return;
    const IndexedBlocks blocks = checked_blocks(context);
    if (multiplies()) return g->dtype() == BW_FLOAT64 ? pass_back_product<double>(context, blocks, *g) : pass_back_product<float>(context, blocks, *g);
    if (reduction_ == kMax || reduction_ == kMin) return g->dtype() == BW_FLOAT64 ? pass_back_chosen<double>(context, blocks, *g) : pass_back_chosen<float>(context, blocks, *g);
    if (context.adjoint_wanted(0)) {
      if (reduction_ == kAdd) {
        context.add_adjoint(0, *g);
      } else {
        Tensor kept(context.pool, g->dtype(), g->shape());
        std::memcpy(kept.raw(), g->raw(), g->bytes());
        for (int r = 0; r < context.batch; ++r) clear(blocks, kept, r * context.out[0].count());
        context.add_adjoint(0, kept);
      }
    }
    if (context.adjoint_wanted(2)) {
      const int64_t count = context.input(2).count();
      Tensor taken(context.pool, g->dtype(), {context.batch, count});
      copy_mapped(context.linear.pool, blocks_map(blocks).repeated(context.batch, context.out[0].count(), count), *g, taken);
      context.add_adjoint(2, taken);
    }
  }

  void curvature(Context& context) override {
    const Tensor* g = context.cotangent(0);
    const Tensor *dx = context.tangent(0), *du = context.tangent(2);
    if (!multiplies() || !g || (!dx && !du)) return;
    const IndexedBlocks blocks = checked_blocks(context);
    g->dtype() == BW_FLOAT64 ? bend_product<double>(context, blocks, *g, dx, du) : bend_product<float>(context, blocks, *g, dx, du);
  }

  bool multiplies() const override { return reduction_ == kMul; }

 protected:
  virtual IndexedBlocks blocks(const Context& context) const = 0;

 private:
  IndexedBlocks checked_blocks(const Context& context) const {
    IndexedBlocks found = blocks(context);
    if (context.input(2).count() != static_cast<int64_t>(found.offsets.size()) * found.block)
      invalid_model("updates of shape " + to_string(context.input(2).shape()) + " do not fit indices of shape " + to_string(context.input(1).shape()));
    return found;
  }

  template <class T>
  static std::vector<T> elements(const Tensor& tensor) {
    return {tensor.data<T>(), tensor.data<T>() + tensor.count()};
  }

  // A tensor along one of its tangents.
  template <class T>
  static std::vector<Dual<T>> along(const Tensor& tensor, const Tensor* tangents, int64_t probe) {
    std::vector<Dual<T>> moved(tensor.count());
    const T *x = tensor.data<T>(), *dx = tangents ? tangents->data<T>() + probe * tensor.count() : nullptr;
    for (int64_t i = 0; i < tensor.count(); ++i) moved[i] = {x[i], dx ? dx[i] : T(0)};
    return moved;
  }

  template <class T>
  static void move_product(Context& context, const IndexedBlocks& blocks, const Tensor* dx, const Tensor* du) {
    const Tensor &x = context.input(0), &updates = context.input(2);
    T* y = context.make_tangent(0).template data<T>();
    context.linear.pool.parallel_for(context.probes, [&](int64_t p) {
      std::vector<Dual<T>> product = along<T>(x, dx, p);
      const std::vector<Dual<T>> factors = along<T>(updates, du, p);
      for (int64_t u = 0; u < updates.count(); ++u) {
        Dual<T>& element = product[blocks.at(u)];
        element = element * factors[u];
      }
      for (int64_t i = 0; i < x.count(); ++i) y[p * x.count() + i] = product[i].d;
    });
  }

  template <class T>
  static void pass_back_product(Context& context, const IndexedBlocks& blocks, const Tensor& g) {
    const Others<T> others(blocks, elements<T>(context.input(0)), elements<T>(context.input(2)));
    const Sinks<T> sinks(context);
    context.linear.pool.parallel_for(context.batch, [&](int64_t set) {
      sinks.add(blocks, set, g.data<T>() + set * context.input(0).count(), others, [](T factor) { return factor; });
    });
  }

  template <class T>
  static void bend_product(Context& context, const IndexedBlocks& blocks, const Tensor& g, const Tensor* dx, const Tensor* du) {
    const Sinks<T> sinks(context);
    context.linear.pool.parallel_for(context.probes, [&](int64_t p) {
      const Others<Dual<T>> others(blocks, along<T>(context.input(0), dx, p), along<T>(context.input(2), du, p));
      sinks.add(blocks, context.first + p, g.data<T>(), others, [](const Dual<T>& factor) { return factor.d; });
    });
  }

  // Where the derivatives in the factors go.
  template <class T>
  struct Sinks {
    explicit Sinks(Context& context)
        : of_data(context.template adjoint<T>(0)), of_updates(context.template adjoint<T>(2)), count(context.input(0).count()), updates(context.input(2).count()) {}

    // The cotangents g of the products, times `part` of what the others of each factor multiply to.
    template <class S, class Part>
    void add(const IndexedBlocks& blocks, int64_t set, const T* g, const Others<S>& others, const Part& part) const {
      const auto put = [](const Sum<T>& sum, int64_t at, T value) { sum.data[at] = sum.accumulate ? sum.data[at] + value : value; };
      if (of_data)
        for (int64_t i = 0; i < count; ++i) put(of_data, set * count + i, g[i] * part(others.of_data[i]));
      if (of_updates)
        for (int64_t u = 0; u < updates; ++u) put(of_updates, set * updates + u, g[blocks.at(u)] * part(others.of_updates[u]));
    }

    Sum<T> of_data, of_updates;
    int64_t count, updates;
  };

  // For every element the update that is the greatest or least, or -1 where the data's own is.
  std::vector<int64_t> chosen(const Context& context, const IndexedBlocks& blocks) const {
    std::vector<int64_t> chosen(context.input(0).count(), -1);
    visit_number(context.input(0).dtype(), [&](auto zero) {
      using S = decltype(zero);
      const S *x = context.input(0).data<S>(), *updates = context.input(2).data<S>();
      int64_t u = 0;
      for (int64_t offset : blocks.offsets)
        for (int64_t i = 0; i < blocks.block; ++i, ++u) {
          int64_t& record = chosen[offset + i];
          const S best = record < 0 ? x[offset + i] : updates[record];
          if (reduction_ == kMax ? updates[u] > best : updates[u] < best) record = u;
        }
    });
    return chosen;
  }

  template <class T>
  void pass_back_chosen(Context& context, const IndexedBlocks& blocks, const Tensor& g) const {
    const std::vector<int64_t> chosen = this->chosen(context, blocks);
    const auto count = static_cast<int64_t>(chosen.size()), updates = context.input(2).count();
    Tensor kept(context.pool, g.dtype(), g.shape()), taken(context.pool, g.dtype(), {context.batch, updates});
    T *of_data = kept.data<T>(), *of_updates = taken.data<T>();
    std::fill_n(of_updates, taken.count(), T(0));
    const T* from = g.data<T>();
    for (int64_t r = 0; r < context.batch; ++r)
      for (int64_t i = 0; i < count; ++i) {
        of_data[r * count + i] = chosen[i] < 0 ? from[r * count + i] : T(0);
        if (chosen[i] >= 0) of_updates[r * updates + chosen[i]] = from[r * count + i];
      }
    context.add_adjoint(0, kept);
    context.add_adjoint(2, taken);
  }

  template <class S>
  S joined(S old, S update) const {
    if constexpr (std::is_same_v<S, bool>) {
      if (reduction_ != kNone) invalid_model("bool tensors have no reduction");
      return update;
    } else {
      switch (reduction_) {
        case kAdd: return wrapping_add(old, update);
        case kMul: return wrapping_multiply(old, update);
        case kMax: return std::max(old, update);
        case kMin: return std::min(old, update);
        case kNone: break;
      }
      return update;
    }
  }

  void put(const IndexedBlocks& blocks, const Tensor& updates, int64_t first, Tensor& y, int64_t start) const {
    visit_dtype(y.dtype(), [&](auto zero) {
      using S = decltype(zero);
      const S* from = updates.data<S>() + first;
      for (int64_t offset : blocks.offsets) {
        S* to = y.data<S>() + start + offset;
        for (int64_t i = 0; i < blocks.block; ++i) to[i] = joined(to[i], from[i]);
        from += blocks.block;
      }
    });
  }

  static void clear(const IndexedBlocks& blocks, Tensor& y, int64_t start) {
    const size_t width = dtype_size(y.dtype());
    for (int64_t offset : blocks.offsets) std::memset(static_cast<std::byte*>(y.raw()) + (start + offset) * width, 0, blocks.block * width);
  }

  enum Reduction { kNone, kAdd, kMul, kMax, kMin };
  Reduction reduction_;
};

class ScatterElements : public Scatter {
 public:
  explicit ScatterElements(const NodeInfo& info) : Scatter(info), axis_(info.node.attributes.integer("axis", 0)) {}

 private:
  IndexedBlocks blocks(const Context& context) const override { return indexed_elements(context.input(0).shape(), context.input(1), axis_); }

  int64_t axis_;
};

class ScatterND : public Scatter {
 public:
  using Scatter::Scatter;

 private:
  IndexedBlocks blocks(const Context& context) const override { return indexed_slices(context.input(0).shape(), context.input(1), 0); }
};

}  // namespace

std::vector<Row> scatter_rows() {
  return {
      {"", "ScatterElements", 11, "linear", true, {}, make_plain<ScatterElements>, R"([
        {"inputs": [[3,4], {"dims": [2,3], "dtype": "int64", "values": [0,2,-1,1,0,1]}, [2,3]]},
        {"inputs": [[3,4], {"dims": [3,2], "dtype": "int64", "values": [3,3,1,-1,2,2]}, [3,2]], "attributes": {"axis": 1, "reduction": "add"}, "opset": 18},
        {"inputs": [[3,4], {"dims": [3,2], "dtype": "int64", "values": [3,3,1,-1,2,2]}, [3,2]], "attributes": {"axis": 1, "reduction": "max"}, "opset": 18},
        {"inputs": [[3,4], {"dims": [3,3], "dtype": "int64", "values": [3,3,-1,1,-1,0,2,2,1]}, {"dims": [3,3], "values": [0.5,-1.5,2,0,0.25,1,-0.75,0,3]}], "attributes": {"axis": 1, "reduction": "mul"}, "opset": 18},
        {"inputs": [{"dims": [3], "dtype": "int64", "values": [1,2,3]}, {"dims": [2], "dtype": "int64", "values": [1,1]}, {"dims": [2], "dtype": "int64", "values": [9,2]}], "attributes": {"reduction": "mul"}, "opset": 18}
      ])"},
      {"", "ScatterND", 11, "linear", true, {}, make_plain<ScatterND>, R"([
        {"inputs": [[4,3], {"dims": [2,1], "dtype": "int64", "values": [2,0]}, [2,3]]},
        {"inputs": [[4,3], {"dims": [3,2], "dtype": "int64", "values": [2,0,2,0,1,-1]}, [3]], "attributes": {"reduction": "add"}, "opset": 18},
        {"inputs": [[4,3], {"dims": [3,2], "dtype": "int64", "values": [2,0,2,0,1,-1]}, [3]], "attributes": {"reduction": "min"}, "opset": 18},
        {"inputs": [[4,3], {"dims": [3,1], "dtype": "int64", "values": [2,0,2]}, [3,3]], "attributes": {"reduction": "mul"}, "opset": 18},
        {"inputs": [{"dims": [3], "dtype": "int64", "values": [1,2,3]}, {"dims": [1,1], "dtype": "int64", "values": [1]}, {"dims": [1], "dtype": "int64", "values": [9]}]}
      ])"},
  };
}

}  // namespace bitwright
