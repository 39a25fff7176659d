// RNN, GRU and LSTM. A direction of a node is a loop over steps; a step is a product of the state with R, added to a product of the input with W
// that all steps have at once, and a cell (recurrent_cell.h). Derivatives run the same loop on duals, forward for tangents and backward for
// cotangents. A weight is met in products only, so what its errors and probes contract with are the arguments of the gates:
//   <dL/dW, V> = sum over steps of <ga, V x>,    d<dL/dW, V> = sum of <dga, V x> + <ga, V dx>
// with ga the cotangent of the gates' arguments, and for R with the state in place of x.
#include "ops/recurrent_cell.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "ops/families.h"
#include "ops/kinds.h"

namespace bitwright {

std::vector<Activation> activations_of(const NodeInfo& info, const char* const* defaults, int count, int direction, int directions) {
  struct Known {
    const char* name;
    Activation::Kind kind;
    float alpha, beta;
  };
  // Parameters that a node does not give are onnxruntime's, which has 0 where no operator of ONNX has defaults.
  static constexpr Known known[] = {
      {"Sigmoid", Activation::kSigmoid, 0, 0},        {"Tanh", Activation::kTanh, 0, 0},
      {"Relu", Activation::kRelu, 0, 0},              {"HardSigmoid", Activation::kHardSigmoid, 0.2f, 0.5f},
      {"Affine", Activation::kAffine, 0, 0},          {"LeakyRelu", Activation::kLeakyRelu, 0.01f, 0},
      {"ThresholdedRelu", Activation::kThresholdedRelu, 0, 0}, {"ScaledTanh", Activation::kScaledTanh, 0, 0},
      {"Elu", Activation::kElu, 1, 0},                {"Softsign", Activation::kSoftsign, 0, 0},
      {"Softplus", Activation::kSoftplus, 0, 0},
  };
  const Attributes& attributes = info.node.attributes;
  std::vector<std::string> names;
  if (const auto found = attributes.map.find("activations"); found != attributes.map.end()) names = found->second.strings;
  const std::vector<float> alphas = attributes.reals("activation_alpha", {}), betas = attributes.reals("activation_beta", {});
  if (names.empty())
    for (int d = 0; d < directions; ++d) names.insert(names.end(), defaults, defaults + count);
  if (static_cast<int>(names.size()) != count * directions)
    invalid_model("attribute 'activations' must name " + std::to_string(count * directions) + " functions, not " + std::to_string(names.size()));
  const float clip = attributes.real("clip", 0);
  std::vector<Activation> found;
  size_t alpha = 0, beta = 0;
  for (int i = 0; i < count * directions; ++i) {
    const std::string& name = names[i];
    const auto same = [&](const Known& k) {
      return std::equal(name.begin(), name.end(), k.name, k.name + std::strlen(k.name), [](char a, char b) { return std::tolower(a) == std::tolower(b); });
    };
    const auto* const row = std::find_if(std::begin(known), std::end(known), same);
    if (row == std::end(known)) unsupported("has the activation function '" + name + "', which the engine lacks");
    // The arguments of gates are clipped; the state of an LSTM, its third function's, is not.
    Activation activation{row->kind, row->alpha, row->beta, i % count < 2 ? clip : 0};
    // Attributes are listed for the functions that take them, in order.
    const bool takes_beta = row->kind == Activation::kHardSigmoid || row->kind == Activation::kAffine || row->kind == Activation::kScaledTanh;
    const bool takes_alpha = takes_beta || row->kind == Activation::kLeakyRelu || row->kind == Activation::kThresholdedRelu || row->kind == Activation::kElu;
    if (takes_alpha && alpha < alphas.size()) activation.alpha = alphas[alpha++];
    if (takes_beta && beta < betas.size()) activation.beta = betas[beta++];
    if (i / count == direction) found.push_back(activation);
  }
  return found;
}

namespace {

enum Port { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kPeepholes };

template <class T, class Cell>
class Recurrent : public Op {
 public:
  explicit Recurrent(const NodeInfo& info) : batch_first_(info.node.attributes.integer("layout", 0) != 0) {
    const std::string direction = info.node.attributes.text("direction", "forward");
    if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
      invalid_model("attribute 'direction' must be 'forward', 'reverse' or 'bidirectional', not '" + direction + "'");
    const int directions = direction == "bidirectional" ? 2 : 1;
    for (int d = 0; d < directions; ++d) {
      reverse_.push_back(direction == "reverse" || d == 1);
      cells_.emplace_back(info);
      cells_.back().f = activations_of(info, Cell::kDefaults, Cell::kActivations, d, directions);
    }
  }

  bool contracts_weights() const override { return true; }
  int sample_axis(bool output, int port) const override {
    if (port == kLengths && !output) return 0;
    const bool sequence = port == 0;
    if (batch_first_) return 0;
    return sequence && output ? 2 : 1;
  }

  void forward(Context& context) override {
    const Sizes z = sizes(context);
    const bool states_wanted = context.wanted(1) || context.wanted(2);
    T* y = context.wanted(0) ? context.output(0, DTypeOf<T>::value, y_shape(z)).template data<T>() : nullptr;
    T* yh = context.wanted(1) ? context.output(1, DTypeOf<T>::value, state_shape(z)).template data<T>() : nullptr;
    T* yc = context.wanted(2) ? context.output(2, DTypeOf<T>::value, state_shape(z)).template data<T>() : nullptr;
    if (y && !z.full()) std::fill_n(y, z.directions * z.steps * z.rows * z.hidden, T(0));
    if (!y && !states_wanted) return;
    for (int d = 0; d < z.directions; ++d) {
      const Line line(*this, context, z, d);
      line.give(line.trace, y, yh, yc);
    }
  }

  void tangent(Context& context) override {
    const Sizes z = sizes(context);
    const Tangents tangents(context);
    if (!tangents.any) return;
    if (tangents.w.per_sample || tangents.r.per_sample) check_samples(context, z);
    T* outs[3];
    for (int o = 0; o < 3; ++o) {
      outs[o] = context.wanted(o) ? context.make_tangent(o).template data<T>() : nullptr;
      if (outs[o] && o == 0) fill(context.linear, T(0), context.probes * context.out[0].count(), outs[0]);
    }
    for (int d = 0; d < z.directions; ++d) {
      const Line line(*this, context, z, d);
      context.linear.pool.parallel_for(context.probes, [&](int64_t p) {
        const Moves moves = line.moves(tangents, p);
        const auto at = [&](int o) { return outs[o] ? outs[o] + p * context.out[o].count() : nullptr; };
        line.give(line.tangent(moves), at(0), at(1), at(2));
      });
    }
  }

  void adjoint(Context& context) override {
    const Sizes z = sizes(context);
    Sinks sinks(context);
    for (int d = 0; d < z.directions; ++d) {
      const Line line(*this, context, z, d);
      context.linear.pool.parallel_for(context.batch, [&](int64_t k) {
        line.distribute(sinks, static_cast<int>(k), line.back(static_cast<int>(k)), line.trace, true);
      });
    }
  }

  void curvature(Context& context) override {
    const Sizes z = sizes(context);
    const Tangents tangents(context);
    if (!tangents.any) return;
    const bool forms = tangents.w.forms || tangents.r.forms;
    if (forms) check_samples(context, z);
    Sinks sinks(context);
    for (int d = 0; d < z.directions; ++d) {
      const Line line(*this, context, z, d);
      const Back back = line.back(0);
      context.linear.pool.parallel_for(context.probes, [&](int64_t p) {
        const int set = context.first + static_cast<int>(p);
        const Moves moves = line.moves(tangents, p);
        const Trace along = line.tangent(moves);
        Back bent = line.back_along(back, moves, along, nullptr);
        line.distribute(sinks, set, bent, line.trace, true);
        line.distribute(sinks, set, back, along, false, &moves);
        if (!forms) return;
        // The whole tangent of the gates' cotangents: what the outputs' cotangents move by counts too.
        bent = line.back_along(back, moves, along, &set);
        for (int port : {kW, kR}) {
          const WeightProbe& probe = port == kW ? tangents.w : tangents.r;
          if (!probe.forms) continue;
          const Weight direction = port == kW ? moves.w : moves.r;
          const Tensor still = line.through(port, line.trace, direction), moving = line.through(port, along, direction);
          for (int64_t n = 0; n < context.samples; ++n)
            probe.forms[p * probe.probe_stride + n * probe.sample_stride] += line.dot_gates(port, bent, still, n) + line.dot_gates(port, back, moving, n);
        }
      });
    }
  }

  void contract(Context& context, int port, const Tensor& errors, const AddForm& add) override {
    const Sizes z = sizes(context);
    check_samples(context, z);
    const Tangents tangents(context);
    const int rights = context.batch - context.first;
    const auto count = errors.dim(0);
    std::vector<double> forms(count * rights * context.samples);
    for (int d = 0; d < z.directions; ++d) {
      const Line line(*this, context, z, d);
      std::vector<Back> backs(rights);
      std::vector<Trace> along(rights);
      Back first;
      if (context.first > 0) first = line.back(0);
      context.linear.pool.parallel_for(rights, [&](int64_t r) {
        const int set = context.first + static_cast<int>(r);
        if (context.first == 0) {
          backs[r] = line.back(set);
          return;
        }
        const Moves moves = line.moves(tangents, r);
        along[r] = line.tangent(moves);
        backs[r] = line.back_along(first, moves, along[r], &set);
      });
      const int64_t size = context.input(port).count() / z.directions;
      context.linear.pool.parallel_for(count, [&](int64_t e) {
        const Weight error{errors.data<T>() + e * context.input(port).count() + d * size};
        const Tensor still = line.through(port, line.trace, error);
        for (int r = 0; r < rights; ++r) {
          const Tensor moving = context.first > 0 ? line.through(port, along[r], error) : Tensor();
          for (int64_t n = 0; n < context.samples; ++n) {
            double& form = forms[(e * rights + r) * context.samples + n];
            form += line.dot_gates(port, backs[r], still, n);
            if (moving) form += line.dot_gates(port, first, moving, n);
          }
        }
      });
    }
    for (int64_t e = 0; e < count; ++e)
      for (int r = 0; r < rights; ++r)
        for (int64_t n = 0; n < context.samples; ++n) add(r, n, static_cast<int>(e), forms[(e * rights + r) * context.samples + n]);
  }

 private:
  static constexpr int64_t kGates = Cell::kGates;

  // The sizes of a run, and where the tensors keep what.
  struct Sizes {
    int64_t steps, rows, inputs, hidden;
    int directions;
    bool batch_first;
    std::vector<int64_t> lengths;  // of the sequences, by row

    int64_t gates() const { return kGates * hidden; }
    bool full() const { return std::all_of(lengths.begin(), lengths.end(), [&](int64_t length) { return length == steps; }); }
    int64_t x_at(int64_t t, int64_t b) const { return (batch_first ? b * steps + t : t * rows + b) * inputs; }
    int64_t y_at(int64_t t, int64_t d, int64_t b) const {
      return (batch_first ? (b * steps + t) * directions + d : (t * directions + d) * rows + b) * hidden;
    }
    int64_t state_at(int64_t d, int64_t b) const { return (batch_first ? b * directions + d : d * rows + b) * hidden; }
  };

  // What the loop goes through, [steps][rows][...] in the order of the steps; states have a step more, the initial one first.
  struct Trace {
    Tensor x, a, r, u, h, c;  // u: the reset state, of cells in two stages
  };
  // Cotangents of all that.
  struct Back {
    Tensor a, r, u, h, c, peepholes;
  };
  // A weight of one direction, or a move of it; every sample may have its own, one `stride` apart.
  struct Weight {
    const T* data = nullptr;
    bool per_sample = false;
    int64_t stride = 0;
  };
  // The tangents of a context's inputs.
  struct Tangents {
    explicit Tangents(const Context& context) : w(context.weight_probe(kW)), r(context.weight_probe(kR)) {
      any = w || r;
      for (int port = 0; port <= kPeepholes; ++port) {
        of[port] = context.tangent(port);
        any = any || of[port] != nullptr;
      }
    }
    const Tensor* of[kPeepholes + 1];
    WeightProbe w, r;
    bool any;
  };
  // How far the inputs of one direction move along one probe; nullptr is not at all.
  struct Moves {
    const T *x = nullptr, *bias = nullptr, *h = nullptr, *c = nullptr, *peepholes = nullptr;
    Weight w, r;
  };

  // Where the derivatives in the inputs go.
  struct Sinks {
    explicit Sinks(Context& context) : context(context) {
      for (int port = 0; port <= kPeepholes; ++port) {
        if (port == kLengths || !context.has(port)) continue;
        const int64_t count = context.input(port).count();
        parameter[port] = context.parameter(port);
        if (parameter[port]) continue;
        if (const Sum<T> sum = context.template adjoint<T>(port)) {
          if (!sum.accumulate) fill(context.linear, T(0), context.batch * count, sum.data);
          plain[port] = sum.data;
        }
      }
    }
    bool wants(int port, int set) const { return plain[port] || (parameter[port] && set >= parameter[port].first && set < parameter[port].first + parameter[port].sets); }
    void add(int port, int set, int64_t at, const T* values, int64_t count) const {
      if (!wants(port, set)) return;
      const int64_t whole = context.input(port).count();
      if (plain[port]) {
        T* to = plain[port] + set * whole + at;
        for (int64_t i = 0; i < count; ++i) to[i] += values[i];
      } else {
        double* to = parameter[port].data + (set - parameter[port].first) * whole + at;
        for (int64_t i = 0; i < count; ++i) to[i] += values[i];
      }
    }
    const Context& context;
    T* plain[kPeepholes + 1] = {};
    ParameterSum parameter[kPeepholes + 1];
  };

  // One direction of a node in one run.
  struct Line {
    Line(const Recurrent& op, Context& context, const Sizes& z, int d)
        : context(context), z(z), cell(op.cells_[d]), d(d), reverse(op.reverse_[d]),
          w{part(kW)}, r{part(kR)}, bias(context.has(kB) ? part(kB) : nullptr), peepholes(context.has(kPeepholes) ? part(kPeepholes) : nullptr) {
      trace = empty();
      T* x = trace.x.template data<T>();
      gather(context.input(kX).template data<T>(), x);
      initial(context.has(kInitialH) ? context.input(kInitialH).template data<T>() : nullptr, trace.h);
      if (Cell::kCell) initial(context.has(kInitialC) ? context.input(kInitialC).template data<T>() : nullptr, trace.c);
      T* a = trace.a.template data<T>();
      start(bias, 0, z.steps * z.rows, a);
      all_rows(w, x, z.inputs, a);
      for (int64_t s = 0; s < z.steps; ++s) {
        start(bias, z.gates(), z.rows, step(trace.r, s, z.gates()));
        state_product(s, trace, trace, nullptr, 0);
        if (cell.two_stages()) {
          resets<T>(s, trace, trace);
          state_product(s, trace, trace, nullptr, 1);
        }
        units<T>(s, trace, trace, nullptr);
      }
    }

    // ---- Where things lie ----

    const T* part(int port) const {
      const Tensor& tensor = context.input(port);
      return tensor.template data<T>() + d * (tensor.count() / z.directions);
    }
    int64_t time(int64_t s, int64_t b) const { return reverse ? z.lengths[b] - 1 - s : s; }
    bool active(int64_t s, int64_t b) const { return s < z.lengths[b]; }
    T* step(Tensor& tensor, int64_t s, int64_t width) const { return tensor.template data<T>() + s * z.rows * width; }
    const T* step(const Tensor& tensor, int64_t s, int64_t width) const { return tensor.template data<T>() + s * z.rows * width; }
    Tensor zeros(int64_t count) const {
      Tensor tensor = context.template make<T>({count});
      std::fill_n(tensor.template data<T>(), count, T(0));
      return tensor;
    }
    Trace empty() const {
      const int64_t places = z.steps * z.rows, states = (z.steps + 1) * z.rows * z.hidden;
      return {zeros(places * z.inputs), zeros(places * z.gates()), zeros(places * z.gates()), cell.two_stages() ? zeros(places * z.hidden) : Tensor(),
              zeros(states), Cell::kCell ? zeros(states) : Tensor()};
    }
    void gather(const T* from, T* to) const {
      for (int64_t s = 0; s < z.steps; ++s)
        for (int64_t b = 0; b < z.rows; ++b)
          if (active(s, b)) std::memcpy(to + (s * z.rows + b) * z.inputs, from + z.x_at(time(s, b), b), z.inputs * sizeof(T));
    }
    void initial(const T* from, Tensor& states) const {
      if (from == nullptr) return;
      for (int64_t b = 0; b < z.rows; ++b) std::memcpy(states.template data<T>() + b * z.hidden, from + z.state_at(d, b), z.hidden * sizeof(T));
    }
    // The outputs' share of a trace, of values or of tangents.
    void give(const Trace& from, T* y, T* yh, T* yc) const {
      const size_t bytes = z.hidden * sizeof(T);
      for (int64_t b = 0; b < z.rows; ++b) {
        if (y)
          for (int64_t s = 0; s < z.steps; ++s)
            if (active(s, b)) std::memcpy(y + z.y_at(time(s, b), d, b), step(from.h, s + 1, z.hidden) + b * z.hidden, bytes);
        if (yh) std::memcpy(yh + z.state_at(d, b), step(from.h, z.steps, z.hidden) + b * z.hidden, bytes);
        if (yc) std::memcpy(yc + z.state_at(d, b), step(from.c, z.steps, z.hidden) + b * z.hidden, bytes);
      }
    }

    // ---- Products ----

    // Rows of gates start as their biases.
    void start(const T* biases, int64_t at, int64_t rows, T* to) const {
      if (biases != nullptr)
        for (int64_t i = 0; i < rows; ++i) std::memcpy(to + i * z.gates(), biases + at, z.gates() * sizeof(T));
    }
    // The gates that read the state itself are [0, split), the others read the reset state.
    int64_t split() const { return cell.two_stages() ? kGates - 1 : kGates; }

    // gates[first, last) of the rows of a step += m weight^T
    void times(const Weight& weight, const T* m, int64_t depth, int64_t rows, int64_t first, int64_t last, T* to) const {
      product(weight, rows, {rows, (last - first) * z.hidden, depth, false, true, depth, depth, z.gates()}, m, first * z.hidden * depth, to + first * z.hidden);
    }
    // m += gates[first, last) weight
    void times_back(const Weight& weight, const T* gates, int64_t depth, int64_t rows, int64_t first, int64_t last, T* m) const {
      product(weight, rows, {rows, depth, (last - first) * z.hidden, false, false, z.gates(), depth, depth}, gates + first * z.hidden, first * z.hidden * depth, m);
    }
    void product(const Weight& weight, int64_t rows, GemmShape shape, const T* left, int64_t at, T* to) const {
      if (rows == 0 || weight.data == nullptr) return;
      if (weight.per_sample) {
        shape.batch = context.samples;
        shape.rows = rows / context.samples;
        shape.stride_a = shape.rows * shape.lda, shape.stride_b = weight.stride, shape.stride_c = shape.rows * shape.ldc;
      }
      gemm(context.linear, shape, left, weight.data + at, to, true);
    }
    // All steps at once, unless samples lie apart.
    void all_rows(const Weight& weight, const T* m, int64_t depth, T* to) const {
      const int64_t stretches = weight.per_sample ? z.steps : 1, rows = z.steps * z.rows / std::max<int64_t>(stretches, 1);
      for (int64_t s = 0; s < stretches; ++s) times(weight, m + s * rows * depth, depth, rows, 0, kGates, to + s * rows * z.gates());
    }
    // r of a step += the products with R of one stage: on numbers h R^T, on duals dh R^T + h dR^T.
    void state_product(int64_t s, const Trace& still, Trace& to, const Moves* moves, int stage) const {
      const int64_t first = stage == 0 ? 0 : split(), last = stage == 0 ? split() : kGates;
      const auto read = [&](const Trace& from) { return stage == 0 ? step(from.h, s, z.hidden) : step(from.u, s, z.hidden); };
      T* gates = step(to.r, s, z.gates());
      times(r, read(to), z.hidden, z.rows, first, last, gates);
      if (moves != nullptr) times(moves->r, read(still), z.hidden, z.rows, first, last, gates);
    }

    // ---- Units ----

    template <class S>
    static S load(const T* v, const T* dv, int64_t i) {
      if constexpr (std::is_same_v<S, T>)
        return v[i];
      else
        return S(v[i], dv == nullptr ? T(0) : dv[i]);
    }
    template <class S>
    static void store(const S& value, T* v, int64_t i) {
      if constexpr (std::is_same_v<S, T>)
        v[i] = value;
      else
        v[i] = value.d;
    }
    template <class S>
    UnitInput<S> read_unit(const Trace& still, const Trace& along, const T* moved_peepholes, int64_t s, int64_t b, int64_t j) const {
      UnitInput<S> unit;
      const int64_t at = b * z.hidden + j;
      for (int64_t g = 0; g < kGates; ++g) {
        const int64_t gate = b * z.gates() + g * z.hidden + j;
        unit.a[g] = load<S>(step(still.a, s, z.gates()), step(along.a, s, z.gates()), gate);
        unit.r[g] = load<S>(step(still.r, s, z.gates()), step(along.r, s, z.gates()), gate);
      }
      unit.h = load<S>(step(still.h, s, z.hidden), step(along.h, s, z.hidden), at);
      if (Cell::kCell) {
        unit.c = load<S>(step(still.c, s, z.hidden), step(along.c, s, z.hidden), at);
        for (int i = 0; i < 3; ++i) unit.peephole[i] = peepholes ? load<S>(peepholes, moved_peepholes, i * z.hidden + j) : S(0);
      }
      return unit;
    }
    template <class S>
    void resets(int64_t s, const Trace& still, Trace& along) const {
      for (int64_t b = 0; b < z.rows; ++b)
        for (int64_t j = 0; j < z.hidden; ++j)
          store(cell.reset(read_unit<S>(still, along, nullptr, s, b, j)), step(along.u, s, z.hidden), b * z.hidden + j);
    }
    template <class S>
    void units(int64_t s, const Trace& still, Trace& along, const T* moved_peepholes) const {
      T* h = step(along.h, s + 1, z.hidden);
      T* c = Cell::kCell ? step(along.c, s + 1, z.hidden) : nullptr;
      for (int64_t b = 0; b < z.rows; ++b) {
        const int64_t row = b * z.hidden;
        if (!active(s, b)) {
          std::memcpy(h + row, step(along.h, s, z.hidden) + row, z.hidden * sizeof(T));
          if (Cell::kCell) std::memcpy(c + row, step(along.c, s, z.hidden) + row, z.hidden * sizeof(T));
          continue;
        }
        for (int64_t j = 0; j < z.hidden; ++j) {
          S next_h, next_c;
          cell.forward(read_unit<S>(still, along, moved_peepholes, s, b, j), &next_h, &next_c);
          store(next_h, h, row + j);
          if (Cell::kCell) store(next_c, c, row + j);
        }
      }
    }

    // ---- Tangents ----

    Moves moves(const Tangents& from, int64_t p) const {
      Moves moves;
      const auto of = [&](int port, bool whole) -> const T* {
        if (from.of[port] == nullptr) return nullptr;
        const int64_t count = context.input(port).count();
        return from.of[port]->template data<T>() + p * count + (whole ? 0 : d * (count / z.directions));
      };
      moves.x = of(kX, true);
      moves.bias = of(kB, false);
      moves.h = of(kInitialH, true);
      if (Cell::kCell) {
        moves.c = of(kInitialC, true);
        moves.peepholes = of(kPeepholes, false);
      }
      moves.w = weight_move(kW, of(kW, false), from.w, p);
      moves.r = weight_move(kR, of(kR, false), from.r, p);
      return moves;
    }
    Weight weight_move(int port, const T* tangent, const WeightProbe& probe, int64_t p) const {
      if (!probe) return {tangent};
      const int64_t count = context.input(port).count();
      const T* direction = probe.directions.template data<T>() + p * (probe.per_sample ? context.samples : 1) * count;
      return {direction + d * (count / z.directions), probe.per_sample, count};
    }

    Trace tangent(const Moves& moves) const {
      Trace along = empty();
      if (moves.x) gather(moves.x, along.x.template data<T>());
      initial(moves.h, along.h);
      if (Cell::kCell) initial(moves.c, along.c);
      T* a = along.a.template data<T>();
      start(moves.bias, 0, z.steps * z.rows, a);
      if (moves.x) all_rows(w, along.x.template data<T>(), z.inputs, a);
      all_rows(moves.w, trace.x.template data<T>(), z.inputs, a);
      for (int64_t s = 0; s < z.steps; ++s) {
        start(moves.bias, z.gates(), z.rows, step(along.r, s, z.gates()));
        state_product(s, trace, along, &moves, 0);
        if (cell.two_stages()) {
          resets<Dual<T>>(s, trace, along);
          state_product(s, trace, along, &moves, 1);
        }
        units<Dual<T>>(s, trace, along, moves.peepholes);
      }
      return along;
    }

    // ---- Cotangents ----

    Back no_back() const {
      const int64_t places = z.steps * z.rows, states = (z.steps + 1) * z.rows * z.hidden;
      return {zeros(places * z.gates()), zeros(places * z.gates()), cell.two_stages() ? zeros(places * z.hidden) : Tensor(), zeros(states),
              Cell::kCell ? zeros(states) : Tensor(), Cell::kCell ? zeros(places * 3 * z.hidden) : Tensor()};
    }
    // The states' cotangents start as those of the outputs.
    void seed(int set, Back& back) const {
      const auto of = [&](int o) -> const T* {
        const Tensor* g = o < static_cast<int>(context.out_adjoint.size()) ? context.cotangent(o) : nullptr;
        return g == nullptr ? nullptr : g->template data<T>() + set * context.out[o].count();
      };
      const T *gy = of(0), *gh = of(1), *gc = of(2);
      for (int64_t b = 0; b < z.rows; ++b) {
        for (int64_t j = 0; j < z.hidden; ++j) {
          const int64_t at = b * z.hidden + j;
          if (gh) step(back.h, z.steps, z.hidden)[at] += gh[z.state_at(d, b) + j];
          if (gc) step(back.c, z.steps, z.hidden)[at] += gc[z.state_at(d, b) + j];
          if (gy)
            for (int64_t s = 0; s < z.steps; ++s)
              if (active(s, b)) step(back.h, s + 1, z.hidden)[at] += gy[z.y_at(time(s, b), d, b) + j];
        }
      }
    }

    Back back(int set) const {
      Back back = no_back();
      seed(set, back);
      for (int64_t s = z.steps - 1; s >= 0; --s) step_back<T>(s, trace, back, back, nullptr);
      return back;
    }

    // The tangent of `still` along moves whose trace is `along`; with that of the outputs' cotangents, which is a set of its own, if it is given.
    Back back_along(const Back& still, const Moves& moves, const Trace& along, const int* set) const {
      Back bent = no_back();
      if (set != nullptr) seed(*set, bent);
      for (int64_t s = z.steps - 1; s >= 0; --s) step_back<Dual<T>>(s, along, still, bent, &moves);
      return bent;
    }

    template <class S>
    void step_back(int64_t s, const Trace& along, const Back& still, Back& back, const Moves* moves) const {
      const T* moved_peepholes = moves == nullptr ? nullptr : moves->peepholes;
      const auto each = [&](const auto& body) {
        for (int64_t b = 0; b < z.rows; ++b)
          for (int64_t j = 0; j < z.hidden && active(s, b); ++j) {
            UnitAdjoint<S> g;
            const int64_t at = b * z.hidden + j;
            for (int64_t i = 0; i < kGates; ++i) {
              const int64_t gate = b * z.gates() + i * z.hidden + j;
              g.a[i] = load<S>(step(still.a, s, z.gates()), step(back.a, s, z.gates()), gate);
              g.r[i] = load<S>(step(still.r, s, z.gates()), step(back.r, s, z.gates()), gate);
            }
            g.h = g.c = S(0);
            body(read_unit<S>(trace, along, moved_peepholes, s, b, j), at, g);
            for (int64_t i = 0; i < kGates; ++i) {
              const int64_t gate = b * z.gates() + i * z.hidden + j;
              store(g.a[i], step(back.a, s, z.gates()), gate);
              store(g.r[i], step(back.r, s, z.gates()), gate);
            }
            add_store(g.h, step(back.h, s, z.hidden), at);
            if (Cell::kCell) add_store(g.c, step(back.c, s, z.hidden), at);
          }
      };
      each([&](const UnitInput<S>& unit, int64_t at, UnitAdjoint<S>& g) {
        const S gh = load<S>(step(still.h, s + 1, z.hidden), step(back.h, s + 1, z.hidden), at);
        const S gc = Cell::kCell ? load<S>(step(still.c, s + 1, z.hidden), step(back.c, s + 1, z.hidden), at) : S(0);
        cell.adjoint(unit, gh, gc, g);
        if (!Cell::kCell) return;
        for (int i = 0; i < 3; ++i) store(g.peephole[i], step(back.peepholes, s, 3 * z.hidden), (at / z.hidden * 3 + i) * z.hidden + at % z.hidden);
      });
      for (int64_t b = 0; b < z.rows; ++b) {
        if (active(s, b)) continue;
        for (int64_t at = b * z.hidden; at < (b + 1) * z.hidden; ++at) {
          step(back.h, s, z.hidden)[at] += step(back.h, s + 1, z.hidden)[at];
          if (Cell::kCell) step(back.c, s, z.hidden)[at] += step(back.c, s + 1, z.hidden)[at];
        }
      }
      const auto through_r = [&](int64_t first, int64_t last, Tensor& to) {
        times_back(r, step(back.r, s, z.gates()), z.hidden, z.rows, first, last, step(to, s, z.hidden));
        if (moves != nullptr) times_back(moves->r, step(still.r, s, z.gates()), z.hidden, z.rows, first, last, step(to, s, z.hidden));
      };
      if (cell.two_stages()) {
        through_r(split(), kGates, back.u);
        each([&](const UnitInput<S>& unit, int64_t at, UnitAdjoint<S>& g) {
          cell.reset_adjoint(unit, load<S>(step(still.u, s, z.hidden), step(back.u, s, z.hidden), at), g);
        });
      }
      through_r(0, split(), back.h);
    }
    template <class S>
    static void add_store(const S& value, T* v, int64_t i) {
      if constexpr (std::is_same_v<S, T>)
        v[i] += value;
      else
        v[i] += value.d;
    }

    // ---- Derivatives in the inputs ----

    // Adds what gates' cotangents `g` give the inputs where the loop went through `from`. With `moves`, only what is due to the moves of the products' factors:
    // `g` then stands still, and `from` is the tangent.
    void distribute(const Sinks& sinks, int set, const Back& g, const Trace& from, bool all, const Moves* moves = nullptr) const {
      if (sinks.wants(kX, set) && (all || moves->w.data)) {
        Tensor gx = zeros(z.steps * z.rows * z.inputs);
        T* to = gx.template data<T>();
        const Weight& weight = all ? w : moves->w;
        const int64_t stretches = weight.per_sample ? z.steps : 1, rows = z.steps * z.rows / std::max<int64_t>(stretches, 1);
        for (int64_t s = 0; s < stretches; ++s)
          times_back(weight, g.a.template data<T>() + s * rows * z.gates(), z.inputs, rows, 0, kGates, to + s * rows * z.inputs);
        for (int64_t s = 0; s < z.steps; ++s)
          for (int64_t b = 0; b < z.rows; ++b)
            if (active(s, b)) sinks.add(kX, set, z.x_at(time(s, b), b), to + (s * z.rows + b) * z.inputs, z.inputs);
      }
      if (sinks.wants(kW, set)) weight_gradient(sinks, kW, set, z.inputs, [&](int64_t s, int64_t b, int64_t rows, T* sum) {
        outer(step(g.a, s, z.gates()), step(from.x, s, z.inputs), z.inputs, b, rows, 0, kGates, sum);
      });
      if (sinks.wants(kR, set)) weight_gradient(sinks, kR, set, z.hidden, [&](int64_t s, int64_t b, int64_t rows, T* sum) {
        outer(step(g.r, s, z.gates()), step(from.h, s, z.hidden), z.hidden, b, rows, 0, split(), sum);
        if (cell.two_stages()) outer(step(g.r, s, z.gates()), step(from.u, s, z.hidden), z.hidden, b, rows, split(), kGates, sum);
      });
      if (!all) return;
      for (int64_t b = 0; b < z.rows; ++b) {
        sinks.add(kInitialH, set, z.state_at(d, b), g.h.template data<T>() + b * z.hidden, z.hidden);
        if (Cell::kCell) sinks.add(kInitialC, set, z.state_at(d, b), g.c.template data<T>() + b * z.hidden, z.hidden);
        for (int64_t s = 0; s < z.steps; ++s) {
          sinks.add(kB, set, d * 2 * z.gates(), step(g.a, s, z.gates()) + b * z.gates(), z.gates());
          sinks.add(kB, set, (d * 2 + 1) * z.gates(), step(g.r, s, z.gates()) + b * z.gates(), z.gates());
          if (Cell::kCell) sinks.add(kPeepholes, set, d * 3 * z.hidden, step(g.peepholes, s, 3 * z.hidden) + b * 3 * z.hidden, 3 * z.hidden);
        }
      }
    }
    // Sums over samples in their order, each summed over its steps.
    template <class Body>
    void weight_gradient(const Sinks& sinks, int port, int set, int64_t depth, const Body& body) const {
      const int64_t samples = z.rows % context.samples == 0 ? context.samples : 1, rows = z.rows / samples, count = z.gates() * depth;
      Tensor part = context.template make<T>({count});
      T* sum = part.template data<T>();
      for (int64_t n = 0; n < samples; ++n) {
        std::fill_n(sum, count, T(0));
        for (int64_t s = 0; s < z.steps; ++s) body(s, n * rows, rows, sum);
        sinks.add(port, set, d * count, sum, count);
      }
    }
    // sum[first gate, last) += gates^T m over some rows of a step
    void outer(const T* gates, const T* m, int64_t depth, int64_t b, int64_t rows, int64_t first, int64_t last, T* sum) const {
      if (rows == 0) return;
      const GemmShape shape{(last - first) * z.hidden, depth, rows, true, false, z.gates(), depth, depth};
      gemm(context.linear, shape, gates + b * z.gates() + first * z.hidden, m + b * depth, sum + first * z.hidden * depth, true);
    }

    // ---- Inner products ----

    // What a weight in the place of W or R makes of the gates' arguments at every step.
    Tensor through(int port, const Trace& from, const Weight& weight) const {
      Tensor gates = zeros(z.steps * z.rows * z.gates());
      T* to = gates.template data<T>();
      if (port == kW) {
        all_rows(weight, from.x.template data<T>(), z.inputs, to);
        return gates;
      }
      for (int64_t s = 0; s < z.steps; ++s) {
        times(weight, step(from.h, s, z.hidden), z.hidden, z.rows, 0, split(), to + s * z.rows * z.gates());
        if (cell.two_stages()) times(weight, step(from.u, s, z.hidden), z.hidden, z.rows, split(), kGates, to + s * z.rows * z.gates());
      }
      return gates;
    }
    // Over the steps and rows of a sample.
    double dot_gates(int port, const Back& back, const Tensor& gates, int64_t n) const {
      const Tensor& g = port == kW ? back.a : back.r;
      const int64_t rows = z.rows / context.samples;
      double sum = 0;
      for (int64_t s = 0; s < z.steps; ++s) {
        const int64_t at = (s * z.rows + n * rows) * z.gates();
        sum += dot(context.linear, g.template data<T>() + at, gates.template data<T>() + at, rows * z.gates());
      }
      return sum;
    }

    Context& context;
    const Sizes& z;
    const Cell& cell;
    int d;
    bool reverse;
    Weight w, r;
    const T *bias, *peepholes;
    Trace trace;
  };

  static void check_samples(const Context& context, const Sizes& z) {
    if (z.rows % context.samples != 0)
      unsupported("has " + std::to_string(z.rows) + " rows that do not divide into " + std::to_string(context.samples) + " samples; run one sample at a time");
  }

  Sizes sizes(const Context& context) const {
    const Shape &x = context.input(kX).shape(), &w = context.input(kW).shape(), &r = context.input(kR).shape();
    if (x.size() != 3 || w.size() != 3 || r.size() != 3) invalid_model("X, W and R must have three axes, not " + to_string(x) + ", " + to_string(w) + ", " + to_string(r));
    Sizes z{x[batch_first_ ? 1 : 0], x[batch_first_ ? 0 : 1], x[2], r[2], static_cast<int>(cells_.size()), batch_first_, {}};
    const auto check = [&](int port, const Shape& expected) {
      if (context.has(port) && context.input(port).shape() != expected)
        invalid_model("input " + std::to_string(port) + " must have the shape " + to_string(expected) + ", not " + to_string(context.input(port).shape()));
    };
    check(kW, {z.directions, z.gates(), z.inputs});
    check(kR, {z.directions, z.gates(), z.hidden});
    check(kB, {z.directions, 2 * z.gates()});
    check(kLengths, {z.rows});
    check(kInitialH, state_shape(z));
    if (Cell::kCell) {
      check(kInitialC, state_shape(z));
      check(kPeepholes, {z.directions, 3 * z.hidden});
    }
    z.lengths.assign(z.rows, z.steps);
    if (context.has(kLengths)) z.lengths = to_int64(context.input(kLengths));
    for (int64_t length : z.lengths)
      if (length < 0 || length > z.steps) invalid_model("a sequence of length " + std::to_string(length) + " among " + std::to_string(z.steps) + " steps");
    return z;
  }
  static Shape y_shape(const Sizes& z) {
    return z.batch_first ? Shape{z.rows, z.steps, z.directions, z.hidden} : Shape{z.steps, z.directions, z.rows, z.hidden};
  }
  static Shape state_shape(const Sizes& z) {
    return z.batch_first ? Shape{z.rows, z.directions, z.hidden} : Shape{z.directions, z.rows, z.hidden};
  }

  bool batch_first_;
  std::vector<bool> reverse_;
  std::vector<Cell> cells_;
};

template <class T>
using Rnn = Recurrent<T, RnnCell>;
template <class T>
using Gru = Recurrent<T, GruCell>;
template <class T>
using Lstm = Recurrent<T, LstmCell>;

// W multiplies the input, R the state.
const Ports kPorts{1, 1, -1, {0}, 2};

}  // namespace

std::vector<Row> recurrent_rows() {
  return {
      {"", "RNN", 7, "product", true, kPorts, make_op<Rnn>, R"([
        {"inputs": [[3,2,4],[1,5,4],[1,5,5],[1,10]], "outputs": 2, "attributes": {"hidden_size": 5}},
        {"inputs": [[3,2,4],[2,5,4],[2,5,5],[2,10],null,[2,2,5]], "outputs": 2,
         "attributes": {"hidden_size": 5, "direction": "bidirectional", "activations": {"strings": ["Softsign", "LeakyRelu"]}, "activation_alpha": {"floats": [0.3]}}},
        {"inputs": [[3,2,4],[1,5,4],[1,5,5],[1,10],{"dims": [2], "dtype": "int32", "values": [3,1], "constant": true}], "outputs": 2,
         "attributes": {"hidden_size": 5, "direction": "reverse", "activations": {"strings": ["Affine"]}, "activation_alpha": {"floats": [0.5]}, "activation_beta": {"floats": [0.25]}}},
        {"inputs": [[2,2,3],[1,4,3],[1,4,4]], "outputs": 2, "attributes": {"hidden_size": 4, "activations": {"strings": ["ThresholdedRelu"]}}}
      ])"},
      {"", "GRU", 7, "product", true, kPorts, make_op<Gru>, R"([
        {"inputs": [[3,2,4],[1,9,4],[1,9,3],[1,18]], "outputs": 2, "attributes": {"hidden_size": 3}},
        {"inputs": [[3,2,4],[1,9,4],[1,9,3],[1,18],null,[1,2,3]], "outputs": 2, "attributes": {"hidden_size": 3, "linear_before_reset": 1}},
        {"inputs": [[4,2,3],[2,6,3],[2,6,2],[2,12],{"dims": [2], "dtype": "int32", "values": [2,4], "constant": true},[2,2,2]], "outputs": 2,
         "attributes": {"hidden_size": 2, "direction": "bidirectional", "linear_before_reset": 1}},
        {"inputs": [[2,2,3],[1,6,3],[1,6,2]], "outputs": 2,
         "attributes": {"hidden_size": 2, "direction": "reverse", "activations": {"strings": ["HardSigmoid", "ScaledTanh"]}, "activation_alpha": {"floats": [0.25, 1.5]}, "activation_beta": {"floats": [0.4, 0.5]}}}
      ])"},
      {"", "LSTM", 7, "product", true, kPorts, make_op<Lstm>, R"([
        {"inputs": [[3,2,4],[1,12,4],[1,12,3],[1,24]], "outputs": 3, "attributes": {"hidden_size": 3}},
        {"inputs": [[3,2,4],[1,12,4],[1,12,3],[1,24],null,[1,2,3],[1,2,3],[1,9]], "outputs": 3, "attributes": {"hidden_size": 3, "direction": "reverse"}},
        {"inputs": [[4,2,3],[2,8,3],[2,8,2],[2,16],{"dims": [2], "dtype": "int32", "values": [4,2], "constant": true},[2,2,2],[2,2,2]], "outputs": 3,
         "attributes": {"hidden_size": 2, "direction": "bidirectional"}},
        {"inputs": [[3,2,3],[1,8,3],[1,8,2],[1,16]], "outputs": 3, "attributes": {"hidden_size": 2, "clip": {"float": 0.4}}},
        {"inputs": [[8,2,3],[1,8,3],[1,8,2],[1,16]], "outputs": 3, "attributes": {"hidden_size": 2, "clip": {"float": 0.2}}},
        {"inputs": [[3,2,3],[1,8,3],[1,8,2]], "outputs": 3, "attributes": {"hidden_size": 2, "input_forget": 1}}
      ])"},
  };
}

}  // namespace bitwright
