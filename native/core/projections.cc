// Inner products of derivatives with the errors that formats make: first-order ones with gradients or random cotangents, second-order ones with the
// tangents of the gradient along other errors. With g a cotangent of a node's output, dg its tangent along an aimed error, and D the node's derivative
// in the tensor that an error e is of, what every error needs is made once and meets all probes:
//   project        <D e, g>
//   interactions   <D e, dg> + <d(D e), g>,   d(D e) from the node's curvature along e
//   squares        sum_k (dL/dt_k)^2 v_k, sample by sample
// At an edge D is the identity, and g the edge's own contribution to the cotangent of its tensor.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/contract.h"
#include "core/lane_sum.h"
#include "core/sweep.h"

namespace bitwright {

namespace {

// e = grid(x) - x
void grid_error(const KernelTable& kernels, const float* x, int64_t count, const Grid& grid, float* e) {
  kernels.fake_quantize(x, count, grid, e);
  for (int64_t i = 0; i < count; ++i) e[i] -= x[i];
}
void grid_error(const KernelTable&, const double* x, int64_t count, const Grid& grid, double* e) {
  for (int64_t i = 0; i < count; ++i) {
    const double code = std::nearbyint(x[i] / grid.scale) + grid.zero_point;
    e[i] = (std::min<double>(std::max<double>(code, grid.qmin), grid.qmax) - grid.zero_point) * grid.scale - x[i];
  }
}

Shape with_sets(int64_t sets, Shape shape) {
  shape.insert(shape.begin(), sets);
  return shape;
}

// Part n of `samples` equal ones along an axis.
Tensor slice(BufferPool& buffers, const Tensor& whole, int axis, int64_t samples, int64_t n) {
  Shape shape = whole.shape();
  shape[axis] /= samples;
  Tensor part(buffers, whole.dtype(), shape);
  int64_t outer = 1;
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  if (part.count() == 0) return part;
  const size_t piece = part.bytes() / static_cast<size_t>(outer);
  for (int64_t o = 0; o < outer; ++o)
    std::memcpy(static_cast<std::byte*>(part.raw()) + o * piece, static_cast<const std::byte*>(whole.raw()) + (o * samples + n) * piece, piece);
  return part;
}

}  // namespace

// ---- The list of errors -----------------------------------------------------------------------------------------------

void Graph::set_errors(const std::vector<ErrorTarget>& targets) {
  for (const ErrorTarget& target : targets) {
    if (target.value < 0) {
      check_moving_edge(target.node, target.port);
      continue;
    }
    const Value& value = values_[value_index(target.value)];
    if (!value.stored() || !is_float(value.original.dtype())) invalid_argument("'" + value.name + "' is not a float initializer");
    check_direction(target.value, true);
  }
  errors_ = ErrorList(targets);
  aims_.clear();
}

void Graph::set_error_data(int error, const float* data, size_t count) {
  ErrorSet& set = errors_.set_of(error);
  if (set.target.value < 0) invalid_argument("error " + std::to_string(error) + " is of a node's input and takes a quantizer or a variance");
  const Tensor& like = values_[set.target.value].original;
  if (static_cast<int64_t>(count) != like.count())
    invalid_argument("an error of '" + values_[set.target.value].name + "' has " + std::to_string(like.count()) + " elements, not " + std::to_string(count));
  if (!set.data) set.data = Tensor(buffers_, real_, with_sets(set.count(), like.shape()));
  const int64_t at = errors_.place(error).position * like.count();
  if (real_ == BW_FLOAT64)
    std::copy(data, data + count, set.data.data<double>() + at);
  else
    std::copy(data, data + count, set.data.data<float>() + at);
  errors_.mark_given(error);
}

void Graph::set_error_grid(int error, const Grid& grid) {
  ErrorSet& set = errors_.set_of(error);
  if (set.target.value >= 0) invalid_argument("error " + std::to_string(error) + " is of an initializer and takes data");
  if (!(grid.scale > 0) || grid.qmin > grid.qmax) invalid_argument("a quantizer's scale must be positive, and qmin at most qmax");
  set.grids[errors_.place(error).position] = grid;
  set.variances[errors_.place(error).position].reset();
  errors_.mark_given(error);
}

void Graph::set_error_variance(int error, const Variance& variance) {
  ErrorSet& set = errors_.set_of(error);
  if (set.target.value >= 0) invalid_argument("error " + std::to_string(error) + " is of an initializer and takes data");
  if (!(variance.constant >= 0 && variance.relative >= 0)) invalid_argument("a variance is not negative");
  set.variances[errors_.place(error).position] = variance;
  set.grids[errors_.place(error).position].reset();
  errors_.mark_given(error);
}

// Elements of a sample, which an axis has to tell apart.
int64_t Graph::sample_size(const Tensor& tensor, int axis) const {
  if (samples_ > 1 && (tensor.rank() <= axis || tensor.dim(axis) % samples_ != 0))
    throw EngineError(BW_UNSUPPORTED, "has a tensor " + to_string(tensor.shape()) + " whose axis " + std::to_string(axis) + " does not divide into " + std::to_string(samples_) +
                                          " samples; run one sample at a time");
  return tensor.count() / samples_;
}

// The same of what a node reads.
int64_t Graph::edge_sample_size(int node, int port) const {
  if (samples_ > 1 && nodes_[node].op->sample_axis(false, port) != 0)
    throw EngineError(BW_UNSUPPORTED, "reads samples along axis " + std::to_string(nodes_[node].op->sample_axis(false, port)) + " of input " + std::to_string(port) +
                                          "; run one sample at a time");
  return sample_size(values_[nodes_[node].source.inputs[port]].primal);
}

// ---- Sweeps -----------------------------------------------------------------------------------------------------------

void Graph::project(Sweep& sweep, double* values, size_t count) {
  const size_t expected = static_cast<size_t>(sweep.batch - sweep.first) * samples_ * errors_.count();
  if (count != expected)
    invalid_argument("the values have room for " + std::to_string(count) + " numbers, " + std::to_string(expected) + " are needed");
  std::fill(values, values + count, 0.0);
  sweep.values = values;
  std::vector<bool> roots(values_.size());
  for (const ErrorSet& set : errors_.sets()) {
    if (set.target.value >= 0) {
      roots[set.target.value] = true;
      continue;
    }
    check_moving_edge(set.target.node, set.target.port);
    sweep.edges.insert({set.target.node, set.target.port});
  }
  sweep.active = downstream(std::move(roots), sweep.edges);
  run_sweep(sweep);
}

void Graph::project_gradient(double* values, size_t count) {
  check_loss();
  errors_.check(false);
  Sweep sweep(*this);
  project(sweep, values, count);
}

void Graph::project_fisher(int probes, const FisherSigns& signs, double* values, size_t count) {
  check_loss();
  errors_.check(false);
  if (probes < 1 || probes > kMostProbes) invalid_argument("probes must be between 1 and " + std::to_string(kMostProbes));
  const size_t each = static_cast<size_t>(samples_) * errors_.count();
  if (count != probes * each) invalid_argument("the values have room for " + std::to_string(count) + " numbers, " + std::to_string(probes * each) + " are needed");
  // Where memory is short, fewer of the cotangents go through the graph together.
  for (int first = 0, together = probes; first < probes;) {
    Sweep sweep(*this);
    sweep.batch = std::min(together, probes - first);
    sweep.fisher = signs;
    sweep.draws = probes;
    sweep.first_draw = first;
    try {
      project(sweep, values + first * each, sweep.batch * each);
      first += sweep.batch;
    } catch (const EngineError& error) {
      if (error.status() != BW_OUT_OF_MEMORY || !recomputes_ || sweep.batch == 1) throw;
      together = (sweep.batch + 1) / 2;
    }
  }
}

void Graph::project_squares(double* values, size_t count) {
  check_loss();
  errors_.check(true);
  Sweep sweep(*this);
  sweep.squares = true;
  project(sweep, values, count);
  // Of a weight that several nodes read, the gradient is the sum over them.
  for (const ErrorSet& set : errors_.sets()) {
    if (set.target.value < 0) continue;
    Value& weight = values_[set.target.value];
    if (!weight.sample_adjoints) continue;
    for (int64_t n = 0; n < samples_; ++n) {
      const double* gradient = weight.sample_adjoints.data<double>() + n * weight.original.count();
      real_ == BW_FLOAT64 ? add_squares<double>(sweep, set, n, gradient) : add_squares<float>(sweep, set, n, gradient);
    }
    weight.sample_adjoints = Tensor();
  }
}

void Graph::interactions(double* values, size_t count) {
  check_loss();
  errors_.check(false);
  if (aims_.empty()) invalid_argument("interactions need errors to be aimed at");
  Sweep sweep(*this);
  sweep.batch = 1 + request_.probes;
  sweep.first = 1;
  project(sweep, values, count);
}

// ---- Tangents along single errors -------------------------------------------------------------------------------------

void Graph::aim(const std::vector<int>& errors) {
  if (errors.empty() || errors.size() > kMostProbes)
    invalid_argument("between 1 and " + std::to_string(kMostProbes) + " errors can be aimed at, not " + std::to_string(errors.size()));
  std::vector<ErrorList::Place> aims;
  for (int error : errors) aims.push_back(errors_.place(error));
  errors_.check(false);
  aims_ = std::move(aims);
  sites_.clear();
  request_ = {};
  request_.probes = static_cast<int>(errors.size());
}

// (probe, position in the set) of the probes that are aimed at an error of the set.
std::vector<std::pair<int, int>> Graph::aims_of(const ErrorSet& set) const {
  std::vector<std::pair<int, int>> aims;
  for (size_t p = 0; p < aims_.size(); ++p)
    if (&errors_.sets()[aims_[p].set] == &set) aims.push_back({static_cast<int>(p), aims_[p].position});
  return aims;
}

// Whether a probe moves an initializer that the node reads.
bool Graph::aims_at(const ProgramNode& node) const {
  return std::any_of(aims_.begin(), aims_.end(), [&](const ErrorList::Place& aim) {
    const int value = errors_.sets()[aim.set].target.value;
    return value >= 0 && std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end();
  });
}

// The tangent that a node reads at a port: the one carried there, with the errors of the edge on the probes that are aimed at them.
template <class T>
Tensor Graph::aimed_edge(int node, int port, const Tensor& carried) {
  const ErrorSet* set = aims_.empty() ? nullptr : errors_.of_edge(node, port);
  const std::vector<std::pair<int, int>> aims = set == nullptr ? std::vector<std::pair<int, int>>() : aims_of(*set);
  if (aims.empty()) return carried;
  const Tensor& like = values_[nodes_[node].source.inputs[port]].primal;
  const int64_t count = like.count();
  Tensor sum(buffers_, DTypeOf<T>::value, with_sets(request_.probes, like.shape()));
  T* to = sum.data<T>();
  if (carried)
    copy(linear_, carried.data<T>(), sum.count(), to);
  else
    fill(linear_, T(0), sum.count(), to);
  for (const auto& [probe, position] : aims) {
    const Grid& grid = *set->grids[position];
    parallel_chunks(threads_, count, [&, p = probe](int64_t begin, int64_t end) {
      Tensor error(buffers_, DTypeOf<T>::value, {end - begin});
      grid_error(linear_.kernels, like.data<T>() + begin, end - begin, grid, error.data<T>());
      add_to(linear_, error.data<T>(), end - begin, to + p * count + begin);
    });
  }
  return sum;
}

// Adds the derivative along the aimed errors of a node's initializers to the tangents of its outputs, for the probes that move them alone.
template <class T>
void Graph::add_aimed_weights(Context& context, int index) {
  const ProgramNode& node = nodes_[index].source;
  for (size_t port = 0; port < node.inputs.size(); ++port) {
    const ErrorSet* set = node.inputs[port] < 0 ? nullptr : errors_.of_value(node.inputs[port]);
    const std::vector<std::pair<int, int>> aims = set == nullptr ? std::vector<std::pair<int, int>>() : aims_of(*set);
    if (aims.empty()) continue;
    std::vector<int> positions;
    for (const auto& aim : aims) positions.push_back(aim.second);
    Context along = context_for(index);
    along.in = context.in;
    along.out = context.out;
    along.probes = static_cast<int>(positions.size());
    along.in_tangent.resize(node.inputs.size());
    along.in_tangent[port] = set->stack(buffers_, positions);
    along.out_tangent.resize(along.out.size());
    nodes_[index].op->tangent(along);
    along.check_tangents_asked();
    for (size_t o = 0; o < along.out.size(); ++o) {
      const Tensor part = along.out_tangent[o];
      if (!part) continue;
      Tensor& sum = context.out_tangent[o];
      if (!sum) {
        T* zeros = context.make_tangent(static_cast<int>(o)).template data<T>();
        fill(linear_, T(0), sum.count(), zeros);
      } else if (!sum.exclusive()) {
        const Tensor shared = sum;
        copy(linear_, shared.data<T>(), shared.count(), context.make_tangent(static_cast<int>(o)).template data<T>());
      }
      const int64_t count = context.out[o].count();
      for (size_t i = 0; i < aims.size(); ++i) add_to(linear_, part.data<T>() + i * count, count, sum.data<T>() + aims[i].first * count);
    }
  }
}

// For an op that takes its weights' tangents as those of other inputs: the aimed errors, and zero for all other probes.
template <class T>
void Graph::set_aimed_weights(Context& context, int index) {
  const ProgramNode& node = nodes_[index].source;
  for (size_t port = 0; port < node.inputs.size(); ++port) {
    const ErrorSet* set = node.inputs[port] < 0 ? nullptr : errors_.of_value(node.inputs[port]);
    const std::vector<std::pair<int, int>> aims = set == nullptr ? std::vector<std::pair<int, int>>() : aims_of(*set);
    if (aims.empty()) continue;
    const Tensor& like = values_[node.inputs[port]].original;
    Tensor sum(buffers_, DTypeOf<T>::value, with_sets(request_.probes, like.shape()));
    T* to = sum.data<T>();
    fill(linear_, T(0), sum.count(), to);
    for (const auto& [probe, position] : aims)
      add_to(linear_, static_cast<const Tensor&>(set->data).data<T>() + position * like.count(), like.count(), to + probe * like.count());
    context.in_tangent[port] = sum;
  }
}

// ---- Inner products ---------------------------------------------------------------------------------------------------

template <class T>
void Graph::contract_edge(const Context& context, const Sweep& sweep, const ErrorSet& set, const Tensor& adjoint) {
  const Tensor& like = values_[nodes_[set.target.node].source.inputs[set.target.port]].primal;
  const int64_t count = like.count();
  const T* x = like.data<T>();
  contract(linear_, samples_, edge_sample_size(set.target.node, set.target.port), set.count(),
           [&](int l, int64_t begin, int64_t size, T* room) {
             grid_error(linear_.kernels, x + begin, size, *set.grids[l], room);
             return static_cast<const T*>(room);
           },
           context.batch - context.first, adjoint.data<T>() + context.first * count,
           [&](int r, int64_t n, int l, double sum) { sweep.values[(r * samples_ + n) * errors_.count() + set.errors[l]] += sum; });
}

template <class T>
void Graph::contract_weights(Context& context, const Sweep& sweep, int index) {
  const ProgramNode& node = nodes_[index].source;
  for (size_t port = 0; port < node.inputs.size(); ++port) {
    const ErrorSet* set = node.inputs[port] < 0 ? nullptr : errors_.of_value(node.inputs[port]);
    if (set == nullptr) continue;
    if (sweep.squares) {
      square_weight<T>(context, sweep, index, static_cast<int>(port), *set);
      continue;
    }
    if (Op& op = *nodes_[index].op; op.contracts_weights()) {
      op.contract(context, static_cast<int>(port), set->data, [&](int r, int64_t n, int e, double form) {
        sweep.values[(r * samples_ + n) * errors_.count() + set->errors[e]] += form;
      });
      continue;
    }
    int64_t elements = 1;
    for (const Tensor& out : context.out) elements = std::max(elements, out.count());
    const int most = errors_at_once(elements);
    for (int first = 0; first < set->count(); first += most) {
      std::vector<int> positions;
      for (int i = first; i < std::min(set->count(), first + most); ++i) positions.push_back(i);
      contract_weight<T>(context, sweep, index, static_cast<int>(port), *set, positions);
    }
  }
}

// The inner products of some of the errors of the initializer at a port and, where probes are aimed at these errors, their share of the curvature.
template <class T>
void Graph::contract_weight(Context& context, const Sweep& sweep, int index, int port, const ErrorSet& set, const std::vector<int>& positions) {
  const int errors = static_cast<int>(positions.size()), rights = context.batch - context.first;
  const auto add_all = [&](const Tensor& along, const T* right, const Tensor& like) {
    const int64_t count = like.count();
    contract(linear_, samples_, sample_size(like), errors,
             [&](int l, int64_t begin, int64_t, T*) { return along.data<T>() + l * count + begin; }, rights, right,
             [&](int r, int64_t n, int l, double sum) { sweep.values[(r * samples_ + n) * errors_.count() + set.errors[positions[l]]] += sum; });
  };
  Context along = context_for(index);
  along.in = context.in;
  along.out = context.out;
  along.out_adjoint = context.out_adjoint;
  along.probes = along.batch = errors;
  along.in_tangent.resize(along.in.size());
  along.in_tangent[port] = set.stack(buffers_, positions);
  along.out_tangent.resize(along.out.size());
  Op& op = *nodes_[index].op;
  op.tangent(along);
  along.check_tangents_asked();
  for (size_t o = 0; o < along.out.size(); ++o)
    if (along.out_tangent[o] && context.out_adjoint[o])
      add_all(along.out_tangent[o], context.out_adjoint[o].data<T>() + context.first * along.out[o].count(), along.out[o]);

  if (context.first == 0 || nodes_[index].row->ports.weight != port) return;
  std::vector<std::pair<int, int>> aims;  // (probe, error among these)
  for (const auto& [probe, position] : aims_of(set)) {
    const auto found = std::find(positions.begin(), positions.end(), position);
    if (found != positions.end()) aims.push_back({probe, static_cast<int>(found - positions.begin())});
  }
  along.adjoints.resize(along.in.size());
  for (size_t i = 0; i < along.in.size(); ++i) {
    Context::AdjointSlot& slot = along.adjoints[i];
    const bool moves = !aims.empty() && context.adjoint_wanted(static_cast<int>(i));
    slot.wanted = static_cast<int>(i) != port && (moves || context.tangent(static_cast<int>(i)));
    if (slot.wanted) fill(linear_, T(0), errors * along.in[i].count(), along.adjoint<T>(static_cast<int>(i)).data);
  }
  op.curvature(along);
  for (size_t i = 0; i < along.in.size(); ++i) {
    if (!along.adjoints[i].wanted) continue;
    const Tensor& back = along.adjoints[i].tensor;
    const int64_t count = along.in[i].count();
    if (const Tensor* tangent = context.tangent(static_cast<int>(i))) add_all(back, tangent->data<T>(), along.in[i]);
    if (!context.adjoint_wanted(static_cast<int>(i))) continue;
    for (const auto& [probe, error] : aims)
      add_to(linear_, back.data<T>() + error * count, count, context.adjoint<T>(static_cast<int>(i)).data + (context.first + probe) * count);
  }
}

// ---- Squares ----------------------------------------------------------------------------------------------------------

template <class T>
void Graph::square_edge(const Sweep& sweep, const ErrorSet& set, const Tensor& adjoint) {
  const Tensor& like = values_[nodes_[set.target.node].source.inputs[set.target.port]].primal;
  const int64_t each = edge_sample_size(set.target.node, set.target.port);
  threads_.parallel_for(samples_, [&](int64_t n) {
    const T* x = like.data<T>() + n * each;
    const T* g = adjoint.data<T>() + n * each;
    const double squares = dot(linear_, g, g, each);
    const double weighted = lane_sum(each, [&](int64_t j) {
      const double product = static_cast<double>(g[j]) * x[j];
      return product * product;
    });
    for (int i = 0; i < set.count(); ++i)
      sweep.values[n * errors_.count() + set.errors[i]] += set.variances[i]->constant * squares + set.variances[i]->relative * weighted;
  });
}

template <class T>
void Graph::add_squares(const Sweep& sweep, const ErrorSet& set, int64_t sample, const double* gradient) {
  const int64_t count = values_[set.target.value].original.count();
  threads_.parallel_for(set.count(), [&](int64_t i) {
    const T* variance = set.data.data<T>() + i * count;
    sweep.values[sample * errors_.count() + set.errors[i]] += lane_sum(count, [&](int64_t j) { return gradient[j] * gradient[j] * variance[j]; });
  });
}

// Each sample's gradient of an initializer: the node's adjoint on that sample's slices.
template <class T>
void Graph::square_weight(const Context& context, const Sweep& sweep, int index, int port, const ErrorSet& set) {
  const ProgramNode& node = nodes_[index].source;
  Op& op = *nodes_[index].op;
  Value& weight = values_[set.target.value];
  const int64_t count = weight.original.count();
  const bool shared = weight.readers.size() > 1;
  if (shared && !weight.sample_adjoints) {
    weight.sample_adjoints = Tensor(buffers_, BW_FLOAT64, with_sets(samples_, weight.original.shape()));
    std::fill_n(weight.sample_adjoints.data<double>(), samples_ * count, 0.0);
  }
  Tensor own(buffers_, BW_FLOAT64, {count});
  for (int64_t n = 0; n < samples_; ++n) {
    Context one = context_for(index);
    one.samples = 1;
    one.in = context.in;
    one.out = context.out;
    one.out_adjoint = context.out_adjoint;
    for (size_t i = 0; i < one.in.size(); ++i) {
      if (node.inputs[i] < 0 || values_[node.inputs[i]].constant) continue;
      const int axis = op.sample_axis(false, static_cast<int>(i));
      sample_size(one.in[i], axis);
      one.in[i] = slice(buffers_, one.in[i], axis, samples_, n);
    }
    for (size_t o = 0; o < one.out.size(); ++o) {
      if (!one.out_adjoint[o]) continue;
      const int axis = op.sample_axis(true, static_cast<int>(o));
      sample_size(one.out[o], axis);
      one.out[o] = slice(buffers_, one.out[o], axis, samples_, n);
      one.out_adjoint[o] = slice(buffers_, one.out_adjoint[o], 1 + axis, samples_, n);
    }
    double* gradient = (shared ? weight.sample_adjoints.data<double>() + n * count : own.data<double>());
    if (!shared) std::fill_n(gradient, count, 0.0);
    one.adjoints.resize(one.in.size());
    one.adjoints[port].wanted = true;
    one.parameters.resize(one.in.size());
    one.parameters[port] = {gradient, 0, 1};
    op.adjoint(one);
    one.check_adjoints_asked();
    if (one.adjoints[port].started) {
      const T* part = static_cast<const Tensor&>(one.adjoints[port].tensor).data<T>();
      for (int64_t j = 0; j < count; ++j) gradient[j] += part[j];
    }
    if (!shared) add_squares<T>(sweep, set, n, gradient);
  }
}

#define INSTANTIATE(T)                                                                            \
  template Tensor Graph::aimed_edge<T>(int, int, const Tensor&);                                  \
  template void Graph::add_aimed_weights<T>(Context&, int);                                       \
  template void Graph::set_aimed_weights<T>(Context&, int);                                       \
  template void Graph::contract_weights<T>(Context&, const Sweep&, int);                          \
  template void Graph::contract_edge<T>(const Context&, const Sweep&, const ErrorSet&, const Tensor&); \
  template void Graph::square_edge<T>(const Sweep&, const ErrorSet&, const Tensor&)
INSTANTIATE(float);
INSTANTIATE(double);
#undef INSTANTIATE

}  // namespace bitwright
