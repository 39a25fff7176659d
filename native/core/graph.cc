#include "core/graph.h"

#include <algorithm>
#include <cstring>

#include "core/json.h"

namespace bitwright {

namespace {

std::string node_label(const ProgramNode& node) { return node.name.empty() ? node.type : node.name + " (" + node.type + ")"; }

}  // namespace

Graph::Graph(const uint8_t* program, size_t bytes, bw_dtype real, int threads, size_t memory, const KernelTable& kernels)
    : real_(real), buffers_(memory), threads_(threads), linear_{kernels, threads_} {
  Program decoded = decode_program(program, bytes, real, buffers_);
  values_.resize(decoded.values.size());
  for (size_t i = 0; i < values_.size(); ++i) {
    values_[i].name = std::move(decoded.values[i].name);
    values_[i].input = decoded.values[i].input;
    values_[i].output = decoded.values[i].output;
    values_[i].constant = decoded.values[i].stored;
    values_[i].original = std::move(decoded.values[i].initializer);
    values_[i].primal = values_[i].original;
  }
  nodes_.resize(decoded.nodes.size());
  for (size_t n = 0; n < nodes_.size(); ++n) {
    Node& node = nodes_[n];
    node.source = std::move(decoded.nodes[n]);
    for (size_t port = 0; port < node.source.inputs.size(); ++port)
      if (const int input = node.source.inputs[port]; input >= 0) values_[input].readers.push_back({static_cast<int>(n), static_cast<int>(port)});
    for (int output : node.source.outputs)
      if (output >= 0) values_[output].producer = static_cast<int>(n);
    const int64_t opset = decoded.opset(node.source.domain);
    node.row = find_row(node.source.domain, node.source.type, opset);
    if (node.row == nullptr) continue;
    guarded(static_cast<int>(n), [&] { node.op = node.row->make({node.source, opset, real_}); });
  }
  mark_constants();
}

void Graph::mark_constants() {
  for (Node& node : nodes_) {
    node.constant = std::all_of(node.source.inputs.begin(), node.source.inputs.end(), [&](int i) { return i < 0 || values_[i].constant; });
    for (int output : node.source.outputs)
      if (output >= 0) values_[output].constant = node.constant;
  }
}

int Graph::value_index(int value) const {
  if (value < 0 || value >= static_cast<int>(values_.size())) invalid_argument("there is no value " + std::to_string(value));
  return value;
}

void Graph::check_cancelled() const {
  if (cancelled_) throw EngineError(BW_CANCELLED, "cancelled");
}

// Errors inside get the node's name.
void Graph::guarded(int node, const std::function<void()>& body) const {
  try {
    body();
  } catch (const EngineError& error) {
    throw error.at(node_label(nodes_[node].source));
  }
}


void Graph::check_supported() const {
  std::map<std::string, std::vector<std::string>> missing;
  for (const Node& node : nodes_)
    if (node.row == nullptr)
      missing[node.source.domain.empty() ? node.source.type : node.source.domain + "::" + node.source.type].push_back(node.source.name);
  if (missing.empty()) return;
  std::string list;
  for (const auto& [type, names] : missing) {
    list += (list.empty() ? "" : ", ") + type + " (";
    for (size_t i = 0; i < names.size(); ++i) list += (i ? ", " : "") + names[i];
    list += ")";
  }
  unsupported("the engine lacks " + std::to_string(missing.size()) + (missing.size() == 1 ? " operator: " : " operators: ") + list);
}

std::string Graph::describe() const {
  JsonWriter json;
  json.begin_object().key("nodes").begin_array();
  for (const Node& node : nodes_) {
    json.begin_object().key("supported").value(node.row != nullptr);
    if (node.row != nullptr) {
      json.key("differentiable").value(node.row->differentiable);
      write_ports(json, node.op->ports(node.row->ports));
    }
    json.end_object();
  }
  return json.end_array().end_object().text();
}

void Graph::set_input(int value, bw_dtype dtype, Shape shape, const uint8_t* data, size_t bytes) {
  const Value& target = values_[value_index(value)];
  if (!target.input) invalid_argument("'" + target.name + "' is not an input of the graph");
  const int64_t count = element_count(shape);
  if (bytes != static_cast<size_t>(count) * dtype_size(dtype))
    invalid_argument("input '" + target.name + "' has " + std::to_string(bytes) + " bytes, its shape " + to_string(shape) + " needs " +
                     std::to_string(count * dtype_size(dtype)));
  if (dtype == BW_FLOAT64 && real_ != dtype) invalid_argument("this graph computes in float32; input '" + target.name + "' is float64");
  // Before there is room for it, what the last run left has to go.
  forget_run();
  feeds_.erase(value);
  if (dtype == BW_FLOAT32 && real_ == BW_FLOAT64) {
    Tensor tensor(buffers_, BW_FLOAT64, std::move(shape));
    for (int64_t i = 0; i < count; ++i) {
      float element;
      std::memcpy(&element, data + i * sizeof(float), sizeof(float));
      tensor.data<double>()[i] = element;
    }
    feeds_[value] = tensor;
    return;
  }
  Tensor tensor(buffers_, dtype, std::move(shape));
  if (bytes > 0) std::memcpy(tensor.raw(), data, bytes);
  feeds_[value] = tensor;
}

void Graph::set_constant(int value, const float* data, size_t count) {
  Value& target = values_[value_index(value)];
  if (!target.stored() || !is_float(target.original.dtype())) invalid_argument("'" + target.name + "' is not a float initializer");
  forget_run();
  for (Value& other : values_)
    if (other.constant && other.producer >= 0) other.primal = Tensor();
  if (count == 0) {
    target.primal = target.original;
    return;
  }
  if (static_cast<int64_t>(count) != target.original.count())
    invalid_argument("initializer '" + target.name + "' has " + std::to_string(target.original.count()) + " elements, not " + std::to_string(count));
  if (!target.original && !target.primal) {
    // The others that are due before a run have to fit as well.
    uint64_t missing = 0;
    for (const Value& value : values_)
      if (value.stored() && !value.primal) missing += size_class(value.original.bytes());
    buffers_.expect(missing);
  }
  // What the program left out lies here alone, and what replaces it takes its place.
  if (target.original || !target.primal) target.primal = Tensor(buffers_, real_, target.original.shape());
  if (real_ == BW_FLOAT64)
    std::copy(data, data + count, target.primal.data<double>());
  else
    std::copy(data, data + count, target.primal.data<float>());
}

void Graph::set_edges(std::map<std::pair<int, int>, Grid> edges) {
  for (const auto& [edge, grid] : edges) {
    check_edge(edge.first, edge.second);
    if (!(grid.scale > 0) || grid.qmin > grid.qmax) invalid_argument("an edge's scale must be positive, and qmin at most qmax");
  }
  if (real_ != BW_FLOAT32 && !edges.empty()) invalid_argument("quantized edges need a float32 graph");
  edges_ = std::move(edges);
}

void Graph::forget_run() {
  // Every input and every constant that is set asks for this.
  if (!has_run_) return;
  has_run_ = false;
  kept_ = recomputes_ = false;
  read_segment_ = -1;
  loss_f_.reset();
  loss_d_.reset();
  loss_value_ = -1;
  for (Value& value : values_) {
    if (!value.constant) value.primal = Tensor();
    value.tangent = Tensor();
    value.adjoint = Tensor();
    value.quantized.clear();
  }
  for (Node& node : nodes_) {
    node.saved.clear();
    node.program.reset();
  }
}

Context Graph::context_for(int node) {
  const ProgramNode& source = nodes_[node].source;
  Context context(linear_, buffers_);
  context.samples = samples_;
  context.in.resize(source.inputs.size());
  context.in_reusable.resize(source.inputs.size());
  context.out.resize(source.outputs.size());
  context.out_wanted.resize(source.outputs.size());
  for (size_t o = 0; o < source.outputs.size(); ++o) context.out_wanted[o] = source.outputs[o] >= 0;
  context.saved = &nodes_[node].saved;
  context.program = &nodes_[node].program;
  return context;
}

// What a node reads at a port: the value, or its quantized copy when a quantizer sits on the edge.
Tensor Graph::read_edge(int node, int port, bool may_overwrite) {
  Value& value = values_[nodes_[node].source.inputs[port]];
  const auto edge = edges_.find({node, port});
  if (edge == edges_.end()) return value.primal;
  const Grid& grid = edge->second;
  for (const auto& [known, tensor] : value.quantized)
    if (std::memcmp(&known, &grid, sizeof(Grid)) == 0) return tensor;
  const Tensor& from = value.primal;
  Tensor to = may_overwrite ? value.primal : Tensor(buffers_, BW_FLOAT32, from.shape());
  const float* x = from.data<float>();
  float* y = to.data<float>();
  parallel_chunks(threads_, from.count(), [&](int64_t begin, int64_t end) { linear_.kernels.fake_quantize(x + begin, end - begin, grid, y + begin); });
  value.quantized.push_back({grid, to});
  return to;
}

// Where `reads_left` says how often values are still read, an input that is not read again may be overwritten.
void Graph::run_node(int index, bool keep, const std::vector<int>* reads_left) {
  Node& node = nodes_[index];
  Context context = context_for(index);
  context.keep = keep;
  for (size_t i = 0; i < node.source.inputs.size(); ++i) {
    const int input = node.source.inputs[i];
    if (input < 0) continue;
    Value& value = values_[input];
    const bool dies = reads_left && !held_[input] && (*reads_left)[input] == 1 && value.primal.exclusive();
    const bool quantized = edges_.count({index, static_cast<int>(i)}) != 0;
    context.in[i] = read_edge(index, static_cast<int>(i), dies && quantized);
    context.in_reusable[i] = dies && (!quantized || value.quantized.size() == 1);
  }
  guarded(index, [&] { node.op->forward(context); });
  for (size_t o = 0; o < node.source.outputs.size(); ++o) {
    if (node.source.outputs[o] < 0) continue;
    if (!context.out[o]) throw EngineError(BW_UNSUPPORTED, "does not compute its output " + std::to_string(o), node_label(node.source));
    // What is there is the same.
    Tensor& primal = values_[node.source.outputs[o]].primal;
    if (!primal) primal = std::move(context.out[o]);
  }
}

void Graph::release_inputs(int index, std::vector<int>& reads_left) {
  for (int input : nodes_[index].source.inputs) {
    if (input < 0 || --reads_left[input] > 0) continue;
    values_[input].quantized.clear();
    if (!held_[input]) values_[input].primal.drop_elements();
  }
}

void Graph::take_feeds() {
  samples_ = 0;
  for (size_t i = 0; i < values_.size(); ++i) {
    Value& value = values_[i];
    if (value.stored() && !value.primal) invalid_argument("the elements of initializer '" + value.name + "' are not set");
    if (!value.input) continue;
    const auto feed = feeds_.find(static_cast<int>(i));
    if (feed == feeds_.end()) invalid_argument("input '" + value.name + "' is not set");
    value.primal = feed->second;
    if (samples_ == 0 && value.primal.rank() > 0) samples_ = value.primal.dim(0);
  }
  if (samples_ == 0) samples_ = 1;
}

// Constants are computed once.
bool Graph::is_known(int node) const {
  const std::vector<int>& outputs = nodes_[node].source.outputs;
  return nodes_[node].constant && std::all_of(outputs.begin(), outputs.end(), [&](int o) { return o < 0 || values_[o].primal; });
}

std::vector<int> Graph::read_counts() const {
  std::vector<int> counts;
  for (const Value& value : values_) counts.push_back(static_cast<int>(value.readers.size()));
  return counts;
}

void Graph::forward(bw_keep keep, const std::vector<int>& values) {
  check_supported();
  if (keep != BW_KEEP_NONE && !edges_.empty()) unsupported("derivatives of a graph with quantized edges");
  forget_run();
  has_run_ = true;
  held_.assign(values_.size(), keep == BW_KEEP_ALL);
  for (int value : values) held_[value_index(value)] = true;
  for (size_t i = 0; i < values_.size(); ++i)
    if (values_[i].output || values_[i].constant || values_[i].input) held_[i] = true;
  take_feeds();
  if (keep == BW_KEEP_SEGMENTS) plan_segments();
  std::vector<int> reads_left = read_counts();
  for (size_t n = 0; n < nodes_.size(); ++n) {
    check_cancelled();
    if (is_known(static_cast<int>(n))) continue;
    run_node(static_cast<int>(n), keep == BW_KEEP_ALL, &reads_left);
    release_inputs(static_cast<int>(n), reads_left);
  }
  kept_ = keep != BW_KEEP_NONE;
  recomputes_ = keep == BW_KEEP_SEGMENTS;
}

const Tensor& Graph::described(int value) const {
  const Value& source = values_[value_index(value)];
  if (!source.primal.is_described()) invalid_argument("'" + source.name + "' was not kept by the last run");
  return source.primal;
}

void Graph::read(int index, bw_part part, int probe, uint8_t* out, size_t bytes) {
  const Value& value = values_[value_index(index)];
  const auto give = [&](const void* data, size_t size) {
    if (size != bytes) invalid_argument("'" + value.name + "' has " + std::to_string(size) + " bytes, room is given for " + std::to_string(bytes));
    std::memcpy(out, data, size);
  };
  const auto give_set = [&](const Tensor& sets, int set) {
    if (!sets || set < 0 || set >= sets.dim(0)) invalid_argument("'" + value.name + "' has no such derivative");
    const size_t size = sets.bytes() / sets.dim(0);
    give(static_cast<const uint8_t*>(sets.raw()) + set * size, size);
  };
  const auto give_sums = [&](const std::vector<double>& sums, int set) {
    const auto count = static_cast<size_t>(value.stored() ? value.original.count() : 0);
    if (count == 0 || set < 0 || sums.size() < (set + 1) * count) invalid_argument("'" + value.name + "' has no such derivative");
    give(sums.data() + set * count, count * sizeof(double));
  };
  switch (part) {
    case BW_PRIMAL: {
      const Tensor tensor = primal(index);
      return give(tensor.raw(), tensor.bytes());
    }
    case BW_ADJOINT: return value.stored() ? give_sums(value.parameter_adjoint, 0) : give_set(value.adjoint, 0);
    case BW_TANGENT: return give_set(value.tangent, probe);
    case BW_ADJOINT_TANGENT: return give_sums(value.products, probe);
  }
  invalid_argument("unknown part " + std::to_string(part));
}

}  // namespace bitwright
