// The passes of a graph that differentiate: see ops/op.h for the calculus and ops/kinds.h for what a weight's probe costs.
#include <algorithm>
#include <cstring>
#include <tuple>

#include "core/random.h"
#include "core/sweep.h"

namespace bitwright {

namespace {

// The sample index in a sign stream of directions that all samples share.
constexpr uint64_t kEverySample = ~uint64_t{0};

Shape with_leading(int64_t sets, const Shape& shape) {
  Shape result{sets};
  result.insert(result.end(), shape.begin(), shape.end());
  return result;
}

}  // namespace

bool Graph::Site::any_given() const {
  return std::any_of(directions.begin(), directions.end(), [](const auto& d) { return d.has_value(); });
}

bool Graph::Site::all_zero() const {
  return std::all_of(directions.begin(), directions.end(), [](const auto& d) { return d.has_value() && !*d; });
}

template <>
std::optional<Loss<float>>& Graph::loss<float>() { return loss_f_; }
template <>
std::optional<Loss<double>>& Graph::loss<double>() { return loss_d_; }

void Graph::check_derivatives_ready() const {
  if (!kept_) invalid_argument("derivatives need a forward run with keep");
}

void Graph::check_loss() const {
  check_derivatives_ready();
  if (!loss_f_ && !loss_d_) invalid_argument("this derivative needs a loss");
}

void Graph::check_edge(int node, int port) const {
  if (node < 0 || node >= static_cast<int>(nodes_.size()) || port < 0 || port >= static_cast<int>(nodes_[node].source.inputs.size()) ||
      nodes_[node].source.inputs[port] < 0)
    invalid_argument("there is no input " + std::to_string(port) + " of node " + std::to_string(node));
}

// Cotangents reach what is computed from the graph's inputs, and floats alone: an error or a direction anywhere else would meet zeros. What type a value
// has may not be known before it has been computed.
void Graph::check_moving_edge(int node, int port) const {
  check_edge(node, port);
  const ProgramNode& source = nodes_[node].source;
  const Value& value = values_[source.inputs[port]];
  const auto refuse = [&](const std::string& what) {
    throw EngineError(BW_UNSUPPORTED, "reads '" + value.name + "', which is " + what + ", at input " + std::to_string(port) + ": it has no derivative there", source.name);
  };
  if (value.constant) refuse("constant");
  if (!is_float(value.primal.dtype())) refuse(dtype_name(value.primal.dtype()));
}

std::vector<double> Graph::set_loss(bw_loss kind, int value, const uint8_t* target, size_t bytes) {
  check_derivatives_ready();
  if (kind < BW_CROSS_ENTROPY || kind > BW_SUM) invalid_argument("unknown loss " + std::to_string(kind));
  const Tensor z = primal(value);
  if (!is_float(z.dtype())) invalid_argument("a loss needs a float value; '" + values_[value].name + "' is " + dtype_name(z.dtype()));
  const bool labels = kind == BW_CROSS_ENTROPY;
  if (bytes % sizeof(float) != 0) invalid_argument("a loss's target has elements of four bytes");
  const auto count = static_cast<int64_t>(bytes / sizeof(float));
  Tensor copy(buffers_, labels ? BW_INT32 : real_, {count});
  if (!labels && real_ == BW_FLOAT64) {
    for (int64_t i = 0; i < count; ++i) {
      float element;
      std::memcpy(&element, target + i * sizeof(float), sizeof(float));
      copy.data<double>()[i] = element;
    }
  } else if (bytes > 0) {
    std::memcpy(copy.raw(), target, bytes);
  }
  loss_value_ = value;
  if (real_ == BW_FLOAT64) return loss_d_.emplace(kind, z, samples_, copy).values(linear_);
  return loss_f_.emplace(kind, z, samples_, copy).values(linear_);
}

// The float values that depend on the roots or on what is read at the edges.
std::vector<bool> Graph::downstream(std::vector<bool> roots, const std::set<std::pair<int, int>>& edges) const {
  for (size_t n = 0; n < nodes_.size(); ++n) {
    const ProgramNode& node = nodes_[n].source;
    bool reached = std::any_of(node.inputs.begin(), node.inputs.end(), [&](int i) { return i >= 0 && roots[i]; });
    for (size_t port = 0; port < node.inputs.size() && !reached; ++port) reached = edges.count({static_cast<int>(n), static_cast<int>(port)}) != 0;
    if (!reached) continue;
    for (int output : node.outputs)
      if (output >= 0 && is_float(values_[output].primal.dtype())) roots[output] = true;
  }
  return roots;
}

// ---- Sites and their directions -------------------------------------------------------------------------------------

void Graph::set_sites(SiteRequest request) {
  if (request.probes < 1 || request.probes > kMostProbes) invalid_argument("probes must be between 1 and " + std::to_string(kMostProbes));
  std::vector<Site> sites;
  for (int value : request.values) {
    const Value& weight = values_[value_index(value)];
    if (!weight.stored() || !is_float(weight.original.dtype())) invalid_argument("site '" + weight.name + "' is not a float initializer");
    check_direction(value, false);
    Site site;
    site.value = value;
    sites.push_back(site);
  }
  for (const auto& [node, port] : request.edges) {
    check_moving_edge(node, port);
    Site site;
    site.node = node;
    site.port = port;
    sites.push_back(site);
  }
  for (size_t s = 0; s < sites.size(); ++s) {
    sites[s].index = static_cast<int>(s);
    sites[s].directions.resize(request.probes);
  }
  for (Value& value : values_) value.products.clear();
  sites_ = std::move(sites);
  aims_.clear();
  request_ = std::move(request);
}

bool Graph::is_linear(int node) const {
  const auto& [row, op] = std::tie(nodes_[node].row, nodes_[node].op);
  return row != nullptr && std::strcmp(row->kind, "linear") == 0 && op != nullptr && !op->multiplies();
}

// Initializers move along directions where nodes are linear in them: as weights of products, in linear operators and, if `biases`, as biases of products.
void Graph::check_direction(int value, bool biases) const {
  for (const auto& [node, port] : values_[value].readers) {
    const Node& reader = nodes_[node];
    const bool product = reader.row != nullptr && std::strcmp(reader.row->kind, "product") == 0;
    const bool moves = product && (reader.row->ports.is_weight(port) || (biases && reader.row->ports.bias == port));
    if (reader.constant || !(moves || is_linear(node)))
      throw EngineError(BW_UNSUPPORTED, "reads '" + values_[value].name + "' as something else than the weight of a product", reader.source.name);
  }
}

void Graph::set_direction(int index, int probe, const float* data, size_t count) {
  if (index < 0 || index >= static_cast<int>(sites_.size()) || probe < 0 || probe >= request_.probes)
    invalid_argument("there is no probe " + std::to_string(probe) + " of site " + std::to_string(index));
  Site& site = sites_[index];
  const int value = site.value >= 0 ? site.value : nodes_[site.node].source.inputs[site.port];
  Tensor direction;
  if (count != 0) {
    const Tensor& like = described(value);
    if (static_cast<int64_t>(count) != like.count())
      invalid_argument("a direction for '" + values_[value].name + "' has " + std::to_string(like.count()) + " elements, not " + std::to_string(count));
    direction = Tensor(buffers_, real_, like.shape());
    if (real_ == BW_FLOAT64)
      std::copy(data, data + count, direction.data<double>());
    else
      std::copy(data, data + count, direction.data<float>());
  }
  site.directions[probe] = direction;
}

const Graph::Site* Graph::edge_site(int node, int port) const {
  for (const Site& site : sites_)
    if (site.node == node && site.port == port) return &site;
  return nullptr;
}

// The weight's site; nullptr where it has none that moves.
const Graph::Site* Graph::weight_site(int value) const {
  const auto found = std::find_if(sites_.begin(), sites_.end(), [&](const Site& site) { return site.value == value; });
  return found == sites_.end() || found->all_zero() ? nullptr : &*found;
}

// Signs, or what the caller gave. A weight's directions are shared by the samples as soon as one was given, or a linear operator reads it: that cannot
// give each sample a tensor of its own.
template <class T>
WeightProbe Graph::weight_probe(int value, double* forms) {
  const Site* found = weight_site(value);
  if (found == nullptr) return {};
  const Site& site = *found;
  const auto& readers = values_[value].readers;
  const bool read_linearly = std::any_of(readers.begin(), readers.end(), [&](const auto& reader) { return is_linear(reader.first); });
  const int64_t count = values_[value].primal.count(), probes = request_.probes;
  WeightProbe probe;
  probe.per_sample = request_.per_sample && !site.any_given() && !read_linearly;
  probe.forms = form_of(forms, site.index);
  probe.sample_stride = static_cast<int64_t>(sites_.size());
  probe.probe_stride = samples_ * probe.sample_stride;
  const int64_t copies = probe.per_sample ? samples_ : 1;
  Shape shape = values_[value].primal.shape();
  if (probe.per_sample) shape = with_leading(samples_, shape);
  probe.directions = Tensor(buffers_, DTypeOf<T>::value, with_leading(probes, shape));
  T* to = probe.directions.template data<T>();
  threads_.parallel_for(probes * copies, [&](int64_t i) {
    const int64_t p = i / copies;
    const std::optional<Tensor>& given = site.directions[p];
    if (given.has_value()) {
      if (*given)
        std::copy(given->template data<T>(), given->template data<T>() + count, to + i * count);
      else
        std::fill(to + i * count, to + (i + 1) * count, T(0));
      return;
    }
    const uint64_t sample = probe.per_sample ? request_.first_sample + static_cast<uint64_t>(i % copies) : kEverySample;
    SignStream(request_.seed, static_cast<uint64_t>(site.index), sample, static_cast<uint64_t>(p))
        .each_piece<T>(linear_.kernels, count, [&](const T* signs, int64_t begin, int64_t size) {
          std::memcpy(to + i * count + begin, signs, size * sizeof(T));
        });
  });
  return probe;
}

// Calls body(set and sample, direction, offset in the tensor of all sets, count) for pieces of the directions of an edge, one sample after
// the other in each; samples run in parallel.
template <class T, class Body>
void Graph::each_edge_piece(const Site& site, const Body& body) {
  const Tensor& like = values_[nodes_[site.node].source.inputs[site.port]].primal;
  int64_t each = 0;
  guarded(site.node, [&] { each = edge_sample_size(site.node, site.port); });
  const int64_t count = like.count();
  for (const std::optional<Tensor>& given : site.directions)
    if (given.has_value() && *given && given->count() != count) invalid_argument("an explicit direction was given for another batch size");
  threads_.parallel_for(request_.probes * samples_, [&](int64_t i) {
    const int64_t p = i / samples_, n = i % samples_;
    const std::optional<Tensor>& given = site.directions[p];
    if (given.has_value()) {
      if (*given) body(i, given->template data<T>() + n * each, i * each, each);
      return;
    }
    SignStream(request_.seed, static_cast<uint64_t>(site.index), request_.first_sample + static_cast<uint64_t>(n), static_cast<uint64_t>(p))
        .each_piece<T>(linear_.kernels, each, [&](const T* signs, int64_t begin, int64_t size) { body(i, signs, i * each + begin, size); });
  });
}

// ---- Tangents ---------------------------------------------------------------------------------------------------------

// Gives a node's context the primals, and the tangents of its inputs with the directions of its edges added.
template <class T>
void Graph::add_tangents(Context& context, int index, double* forms) {
  const ProgramNode& node = nodes_[index].source;
  context.probes = request_.probes;
  context.in_tangent.resize(node.inputs.size());
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i] < 0) continue;
    if (is_linear(index) && values_[node.inputs[i]].stored()) {
      context.in_tangent[i] = weight_probe<T>(node.inputs[i], nullptr).directions;
      continue;
    }
    const Tensor& carried = values_[node.inputs[i]].tangent;
    const Site* site = edge_site(index, static_cast<int>(i));
    if (site == nullptr || site->all_zero()) {
      context.in_tangent[i] = aimed_edge<T>(index, static_cast<int>(i), carried);
      continue;
    }
    const Tensor& like = values_[node.inputs[i]].primal;
    Tensor sum(buffers_, DTypeOf<T>::value, with_leading(request_.probes, like.shape()));
    T* to = sum.data<T>();
    const T* from = carried ? carried.data<T>() : nullptr;
    const bool fused = !site->any_given();  // directions given as zero are skipped, so theirs needs a start
    if (!fused && from)
      copy(linear_, from, sum.count(), to);
    else if (!fused)
      fill(linear_, T(0), sum.count(), to);
    each_edge_piece<T>(*site, [&](int64_t, const T* direction, int64_t at, int64_t count) {
      if (!fused)
        add_to(linear_, direction, count, to + at);
      else if (from)
        add(linear_, direction, from + at, count, to + at);
      else
        std::memcpy(to + at, direction, count * sizeof(T));
    });
    context.in_tangent[i] = sum;
  }
  if (!aims_.empty() && nodes_[index].op->contracts_weights()) set_aimed_weights<T>(context, index);
  context.weight_probe_of = [this, &node, forms](int port) {
    const int value = port < static_cast<int>(node.inputs.size()) ? node.inputs[port] : -1;
    return value >= 0 && values_[value].stored() ? weight_probe<T>(value, forms) : WeightProbe{};
  };
}

template <class T>
void Graph::tangent_node(int index, double* forms) {
  const auto is_site = [&](int value) {
    return std::any_of(sites_.begin(), sites_.end(), [&](const Site& site) { return site.value == value && !site.all_zero(); });
  };
  Node& node = nodes_[index];
  if (node.constant) return;
  Context context = context_for(index);
  add_tangents<T>(context, index, forms);
  const bool moved = std::any_of(context.in_tangent.begin(), context.in_tangent.end(), [](const Tensor& t) { return static_cast<bool>(t); }) ||
                     std::any_of(node.source.inputs.begin(), node.source.inputs.end(), [&](int i) { return i >= 0 && is_site(i); });
  const bool aimed = !node.op->contracts_weights() && aims_at(node.source);
  if (!moved && !aimed) return;
  for (size_t i = 0; i < node.source.inputs.size(); ++i)
    if (node.source.inputs[i] >= 0) context.in[i] = values_[node.source.inputs[i]].primal;
  bool any_float = false;
  for (size_t o = 0; o < node.source.outputs.size(); ++o) {
    if (node.source.outputs[o] < 0) continue;
    context.out[o] = values_[node.source.outputs[o]].primal;
    any_float = any_float || is_float(context.out[o].dtype());
  }
  if (!any_float) return;
  context.out_tangent.resize(context.out.size());
  guarded(index, [&] {
    if (moved) {
      node.op->tangent(context);
      context.check_tangents_asked();
    }
    if (aimed) add_aimed_weights<T>(context, index);
  });
  for (size_t o = 0; o < node.source.outputs.size(); ++o)
    if (node.source.outputs[o] >= 0) values_[node.source.outputs[o]].tangent = std::move(context.out_tangent[o]);
}

template <class T>
void Graph::tangent_pass(double* forms) {
  for (const Site& site : sites_)
    if (site.value < 0) check_moving_edge(site.node, site.port);
  for (Value& value : values_) value.tangent = Tensor();
  let_go_all();
  for (int n = 0; n < static_cast<int>(nodes_.size()); ++n) {
    check_cancelled();
    if (recomputes_) run_again(n);
    // What nodes keep for the forms is kept when the reverse sweep comes to their segment.
    tangent_node<T>(n, recomputes_ ? nullptr : forms);
    if (recomputes_) let_go_behind(n);
  }
}

void Graph::tangent() {
  check_derivatives_ready();
  real_ == BW_FLOAT64 ? tangent_pass<double>(nullptr) : tangent_pass<float>(nullptr);
}

// Adds the quadratic forms of the weights that a linear node reads: what it makes of their directions, times the tangents of its cotangents.
template <class T>
void Graph::add_linear_forms(const Context& context, const Sweep& sweep, int index) {
  const ProgramNode& node = nodes_[index].source;
  for (size_t port = 0; port < node.inputs.size(); ++port) {
    if (node.inputs[port] < 0 || !values_[node.inputs[port]].stored()) continue;
    const WeightProbe probe = weight_probe<T>(node.inputs[port], sweep.forms);
    if (!probe) continue;
    Context along = context_for(index);
    along.in = context.in;
    along.out = context.out;
    along.probes = request_.probes;
    along.in_tangent.resize(along.in.size());
    along.in_tangent[port] = probe.directions;
    along.out_tangent.resize(along.out.size());
    nodes_[index].op->tangent(along);
    along.check_tangents_asked();
    for (size_t o = 0; o < along.out.size(); ++o) {
      if (!along.out_tangent[o] || !context.out_adjoint[o]) continue;
      const int64_t count = along.out[o].count(), each = sample_size(along.out[o]);
      const T* moved = static_cast<const Tensor&>(along.out_tangent[o]).template data<T>();
      const T* back = context.out_adjoint[o].template data<T>() + sweep.first * count;
      threads_.parallel_for(request_.probes * samples_, [&](int64_t i) {
        const int64_t p = i / samples_, n = i % samples_;
        probe.forms[p * probe.probe_stride + n * probe.sample_stride] += dot(linear_, moved + i * each, back + i * each, each);
      });
    }
  }
}

// ---- Cotangents -------------------------------------------------------------------------------------------------------

// Takes over the cotangents a node has computed for its inputs.
template <class T>
void Graph::collect(Context& context, const Sweep& sweep, int index) {
  const ProgramNode& node = nodes_[index].source;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    Context::AdjointSlot& slot = context.adjoints[i];
    if (!slot.started) continue;
    Value& value = values_[node.inputs[i]];
    if (context.parameters[i]) {
      // The op summed in its own type; the sum over batches goes on in double.
      const ParameterSum sum = context.parameters[i];
      const int64_t count = value.original.count();
      const T* from = slot.tensor.template data<T>() + sum.first * count;
      for (int64_t j = 0; j < sum.sets * count; ++j) sum.data[j] += from[j];
      continue;
    }
    if (sweep.edges.count({index, static_cast<int>(i)}) != 0) {
      // The edge's own contribution, before other readers' are added.
      if (const Site* site = edge_site(index, static_cast<int>(i)); sweep.forms != nullptr) {
        const T* g = slot.tensor.template data<T>() + sweep.first * value.primal.count();
        each_edge_piece<T>(*site, [&](int64_t set, const T* direction, int64_t at, int64_t count) {
          sweep.forms[set * static_cast<int64_t>(sites_.size()) + site->index] += dot(linear_, direction, g + at, count);
        });
      } else {
        const ErrorSet& set = *errors_.of_edge(index, static_cast<int>(i));
        guarded(index, [&] { sweep.squares ? square_edge<T>(sweep, set, slot.tensor) : contract_edge<T>(context, sweep, set, slot.tensor); });
      }
      if (!sweep.active[node.inputs[i]]) continue;
      if (value.adjoint) add_to(linear_, static_cast<const Tensor&>(value.adjoint).template data<T>(), value.adjoint.count(), context.template adjoint<T>(static_cast<int>(i)).data);
      value.adjoint = slot.tensor;
      continue;
    }
    if (value.adjoint) {
      // The node reads this value at two ports.
      const Tensor other = value.adjoint;
      value.adjoint = Tensor();
      add_to(linear_, other.data<T>(), other.count(), context.template adjoint<T>(static_cast<int>(i)).data);
    }
    value.adjoint = slot.tensor;
    slot.tensor = Tensor();
  }
}

bool Graph::has_cotangent(int node) const {
  const std::vector<int>& outputs = nodes_[node].source.outputs;
  return !nodes_[node].constant && std::any_of(outputs.begin(), outputs.end(), [&](int o) { return o >= 0 && values_[o].adjoint; });
}

template <class T>
void Graph::reverse_node(const Sweep& sweep, int n) {
  const bool any = has_cotangent(n);
  Node& node = nodes_[n];
  Context context = context_for(n);
  context.batch = sweep.batch;
  context.first = sweep.first;
  context.out_adjoint.resize(node.source.outputs.size());
  for (size_t o = 0; o < node.source.outputs.size(); ++o) {
    const int output = node.source.outputs[o];
    if (output < 0) continue;
    Value& value = values_[output];
    context.out[o] = value.primal;
    context.out_adjoint[o] = value.adjoint;
    if (!sweep.kept[output]) value.adjoint = Tensor();
    if (sweep.first > 0) value.tangent = Tensor();
  }
  if (!any) return;
  context.adjoints.resize(node.source.inputs.size());
  context.parameters.resize(node.source.inputs.size());
  for (size_t i = 0; i < node.source.inputs.size(); ++i) {
    const int input = node.source.inputs[i];
    if (input < 0) continue;
    Value& value = values_[input];
    context.in[i] = value.primal;
    if (!is_float(value.primal.dtype())) continue;
    Context::AdjointSlot& slot = context.adjoints[i];
    if (sweep.parameters[input]) {
      std::vector<double>& sums = sweep.first > 0 ? value.products : value.parameter_adjoint;
      context.parameters[i] = {sums.data(), sweep.first, sweep.first > 0 ? request_.probes : 1};
      slot.wanted = true;
    } else if (!value.constant) {
      const bool edge = sweep.edges.count({n, static_cast<int>(i)}) != 0;
      slot.wanted = sweep.active[input] || edge;
      if (sweep.active[input] && !edge && value.adjoint) {
        slot.tensor = std::move(value.adjoint);
        slot.started = true;
        value.adjoint = Tensor();
      }
    }
  }
  if (sweep.first > 0) add_tangents<T>(context, n, sweep.forms);
  guarded(n, [&] {
    node.op->adjoint(context);
    if (context.out_adjoint[0]) context.check_adjoints_asked();
    if (sweep.first > 0) node.op->curvature(context);
    if (sweep.forms && is_linear(n)) add_linear_forms<T>(context, sweep, n);
    if (sweep.values) contract_weights<T>(context, sweep, n);
  });
  collect<T>(context, sweep, n);
}

template <class T>
void Graph::reverse_pass(const Sweep& sweep) {
  const Loss<T>& head = *loss<T>();
  for (Value& value : values_) value.adjoint = Tensor();
  let_go_all();
  if (!sweep.active[loss_value_]) return;
  Value& top = values_[loss_value_];
  const int64_t count = top.primal.count();
  top.adjoint = Tensor(buffers_, DTypeOf<T>::value, with_leading(sweep.batch, top.primal.shape()));
  T* seed = top.adjoint.template data<T>();
  if (sweep.fisher) {
    Tensor draws(buffers_, DTypeOf<T>::value, {sweep.draws, count});
    head.fisher(linear_, *sweep.fisher, sweep.draws, draws.template data<T>());
    copy(linear_, draws.template data<T>() + sweep.first_draw * count, sweep.batch * count, seed);
  } else {
    head.gradient(linear_, seed);
  }
  if (sweep.first > 0) {
    const Tensor& dz = top.tangent;
    head.hessian_product(linear_, dz ? dz.data<T>() : nullptr, request_.probes, seed + count);
  }

  int ready = static_cast<int>(nodes_.size());  // nodes from here on have been there, up to the one in turn
  for (int n = ready - 1; n >= 0; --n) {
    check_cancelled();
    if (recomputes_ && n < ready && has_cotangent(n)) {
      ready = segments_[n];
      run_segment_again(n);
      for (int m = ready; sweep.first > 0 && m <= n; ++m) tangent_node<T>(m, sweep.forms);
    }
    reverse_node<T>(sweep, n);
    if (recomputes_) let_go(n);
  }
}

template <class T>
void Graph::passes(const Sweep& sweep) {
  if (sweep.first > 0) tangent_pass<T>(sweep.forms);
  reverse_pass<T>(sweep);
}

void Graph::run_sweep(const Sweep& sweep) {
  try {
    real_ == BW_FLOAT64 ? passes<double>(sweep) : passes<float>(sweep);
  } catch (const EngineError& error) {
    if (error.status() != BW_OUT_OF_MEMORY || !recomputes_) throw;
    throw error.needing({std::max(error.needed().bytes, memory_of(sweep)), true});
  }
}

void Graph::gradient(const std::vector<int>& wanted, bool reset) {
  check_loss();
  Sweep sweep(*this);
  std::vector<bool> roots(values_.size());
  for (int index : wanted) {
    Value& value = values_[value_index(index)];
    roots[index] = true;
    if (!value.stored()) {
      if (value.constant) invalid_argument("'" + value.name + "' is computed from constants");
      sweep.kept[index] = true;
      continue;
    }
    if (!is_float(value.original.dtype())) invalid_argument("'" + value.name + "' is not a float initializer");
    sweep.parameters[index] = true;
    const auto count = static_cast<size_t>(value.original.count());
    if (reset || value.parameter_adjoint.size() != count) value.parameter_adjoint.assign(count, 0.0);
  }
  sweep.active = downstream(std::move(roots), {});
  run_sweep(sweep);
}

void Graph::hessian(bool products, double* forms, size_t count) {
  check_loss();
  const size_t expected = static_cast<size_t>(request_.probes) * samples_ * sites_.size();
  if (sites_.empty() || count != expected) invalid_argument("the forms have room for " + std::to_string(count) + " numbers, " + std::to_string(expected) + " are needed");
  std::fill(forms, forms + count, 0.0);
  Sweep sweep(*this);
  sweep.batch = 1 + request_.probes;
  sweep.first = 1;
  sweep.forms = forms;
  std::vector<bool> roots(values_.size());
  for (const Site& site : sites_) {
    if (site.value < 0) {
      sweep.edges.insert({site.node, site.port});
      continue;
    }
    Value& value = values_[site.value];
    roots[site.value] = true;
    if (!products) continue;
    sweep.parameters[site.value] = true;
    const size_t size = static_cast<size_t>(value.original.count()) * request_.probes;
    if (value.products.size() != size) value.products.assign(size, 0.0);
  }
  sweep.active = downstream(std::move(roots), sweep.edges);
  run_sweep(sweep);
}

}  // namespace bitwright
