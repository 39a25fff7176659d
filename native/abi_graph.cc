// The graph functions of abi.h over core/graph.h.
#include <cstring>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "abi.h"
#include "abi_call.h"
#include "core/graph.h"
#include "core/json.h"
#include "kernels/kernels.h"

namespace bitwright {

namespace {

// Handles instead of pointers: a wrong one is an error, not a crash.
class Registry {
 public:
  bw_graph add(std::shared_ptr<Graph> graph) {
    std::lock_guard<std::mutex> lock(mutex_);
    graphs_[++last_] = std::move(graph);
    return last_;
  }
  std::shared_ptr<Graph> get(bw_graph handle) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto entry = graphs_.find(handle);
    if (entry == graphs_.end()) invalid_argument("graph " + std::to_string(handle) + " does not exist");
    return entry->second;
  }
  void remove(bw_graph handle) {
    std::shared_ptr<Graph> last_owner;  // destroyed outside the lock
    std::lock_guard<std::mutex> lock(mutex_);
    const auto entry = graphs_.find(handle);
    if (entry == graphs_.end()) invalid_argument("graph " + std::to_string(handle) + " does not exist");
    last_owner = std::move(entry->second);
    graphs_.erase(entry);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<bw_graph, std::shared_ptr<Graph>> graphs_;
  bw_graph last_ = 0;
};

Registry& registry() {
  static Registry instance;
  return instance;
}

std::vector<int> list(const int32_t* items, int32_t count) {
  if (count < 0 || (count > 0 && items == nullptr)) invalid_argument("a list has a negative length or no data");
  return {items, items + count};
}

std::vector<Grid> grids(const float* scales, const int32_t* zero_points, const int32_t* qmins, const int32_t* qmaxs, int32_t count) {
  if (count < 0) invalid_argument("a list has a negative length");
  std::vector<Grid> result(count);
  for (int32_t i = 0; i < count; ++i) result[i] = {scales[i], zero_points[i], qmins[i], qmaxs[i]};
  return result;
}

void describe_row(JsonWriter& json, const Row& row) {
  json.begin_object().key("domain").value(row.domain).key("type").value(row.type).key("since").value(row.since);
  json.key("kind").value(row.kind).key("differentiable").value(row.differentiable);
  write_ports(json, row.ports);
  json.key("samples").raw(row.samples).end_object();
}

}  // namespace

}  // namespace bitwright

using namespace bitwright;

int32_t bw_ops(uint8_t* out, bw_size capacity, bw_size* length) {
  return guarded_call([&] {
    JsonWriter json;
    json.begin_array();
    for (const Row& row : all_rows()) describe_row(json, row);
    give_text(json.end_array().text(), out, capacity, length);
  });
}

int32_t bw_graph_create(const uint8_t* program, bw_size bytes, int32_t precision, int32_t threads, bw_size memory, const uint8_t* target,
                        bw_size target_length, bw_graph* out_graph) {
  return guarded_call([&] {
    if (precision != BW_FLOAT32 && precision != BW_FLOAT64) invalid_argument("precision must be float32 or float64");
    if (threads < 1 || threads > 256) invalid_argument("threads must be between 1 and 256");
    const std::string name(reinterpret_cast<const char*>(target), to_size(target_length));
    const size_t slash = name.find('/');
    const KernelTable* kernels =
        find_kernels(name.substr(0, slash).c_str(), slash == std::string::npos ? "fast" : name.substr(slash + 1).c_str());
    if (kernels == nullptr) invalid_argument("target '" + name + "' cannot run here");
    *out_graph = registry().add(
        std::make_shared<Graph>(program, to_size(bytes), static_cast<bw_dtype>(precision), threads, to_size(memory), *kernels));
  });
}

int32_t bw_graph_destroy(bw_graph graph) {
  return guarded_call([&] { registry().remove(graph); });
}

int32_t bw_graph_cancel(bw_graph graph, int32_t cancelled) {
  return guarded_call([&] { registry().get(graph)->cancel(cancelled != 0); });
}

int32_t bw_graph_describe(bw_graph graph, uint8_t* out, bw_size capacity, bw_size* length) {
  return guarded_call([&] { give_text(registry().get(graph)->describe(), out, capacity, length); });
}

int32_t bw_graph_set_input(bw_graph graph, int32_t value, int32_t dtype, const int64_t* dims, int32_t rank, const uint8_t* data, bw_size bytes) {
  return guarded_call([&] {
    if (rank < 0 || rank > 16) invalid_argument("an input's rank must be between 0 and 16");
    registry().get(graph)->set_input(value, static_cast<bw_dtype>(dtype), Shape(dims, dims + rank), data, to_size(bytes));
  });
}

int32_t bw_graph_set_constant(bw_graph graph, int32_t value, const float* data, bw_size count) {
  return guarded_call([&] { registry().get(graph)->set_constant(value, data, to_size(count)); });
}

int32_t bw_graph_set_edges(bw_graph graph, const int32_t* nodes, const int32_t* ports, const float* scales, const int32_t* zero_points,
                           const int32_t* qmins, const int32_t* qmaxs, int32_t count) {
  return guarded_call([&] {
    const std::vector<Grid> quantizers = grids(scales, zero_points, qmins, qmaxs, count);
    std::map<std::pair<int, int>, Grid> edges;
    for (int32_t i = 0; i < count; ++i) edges[{nodes[i], ports[i]}] = quantizers[i];
    registry().get(graph)->set_edges(std::move(edges));
  });
}

int32_t bw_graph_forward(bw_graph graph, int32_t keep, const int32_t* values, int32_t count) {
  return guarded_call([&] {
    if (keep < BW_KEEP_NONE || keep > BW_KEEP_SEGMENTS) invalid_argument("there is no way " + std::to_string(keep) + " to keep values");
    registry().get(graph)->forward(static_cast<bw_keep>(keep), list(values, count));
  });
}

int32_t bw_graph_forget(bw_graph graph) {
  return guarded_call([&] { registry().get(graph)->forget_run(); });
}

int32_t bw_graph_memory(bw_graph graph, bw_size* out_live, bw_size* out_peak) {
  return guarded_call([&] {
    const std::shared_ptr<Graph> owner = registry().get(graph);
    *out_peak = static_cast<bw_size>(owner->take_peak());
    *out_live = static_cast<bw_size>(owner->live());
  });
}

int32_t bw_graph_shape(bw_graph graph, int32_t value, int32_t* out_dtype, int32_t* out_rank, int64_t* out_dims) {
  return guarded_call([&] {
    const std::shared_ptr<Graph> owner = registry().get(graph);
    const Tensor& tensor = owner->described(value);
    if (tensor.rank() > 16) unsupported("a value of rank " + std::to_string(tensor.rank()));
    *out_dtype = tensor.dtype();
    *out_rank = tensor.rank();
    std::copy(tensor.shape().begin(), tensor.shape().end(), out_dims);
  });
}

int32_t bw_graph_read(bw_graph graph, int32_t value, int32_t part, int32_t probe, uint8_t* out, bw_size bytes) {
  return guarded_call([&] { registry().get(graph)->read(value, static_cast<bw_part>(part), probe, out, to_size(bytes)); });
}

int32_t bw_graph_loss(bw_graph graph, int32_t kind, int32_t value, const uint8_t* target, bw_size bytes, double* out_losses, bw_size samples) {
  return guarded_call([&] {
    const std::vector<double> losses = registry().get(graph)->set_loss(static_cast<bw_loss>(kind), value, target, to_size(bytes));
    if (losses.size() != to_size(samples))
      invalid_argument("the run has " + std::to_string(losses.size()) + " samples, room is given for " + std::to_string(to_size(samples)));
    std::copy(losses.begin(), losses.end(), out_losses);
  });
}

int32_t bw_graph_gradient(bw_graph graph, const int32_t* values, int32_t count, int32_t reset) {
  return guarded_call([&] { registry().get(graph)->gradient(list(values, count), reset != 0); });
}

int32_t bw_graph_set_sites(bw_graph graph, const int32_t* values, int32_t value_count, const int32_t* nodes, const int32_t* ports,
                           int32_t edge_count, int32_t probes, int32_t per_sample, bw_size seed, bw_size first_sample) {
  return guarded_call([&] {
    SiteRequest request;
    request.values = list(values, value_count);
    const std::vector<int> edge_nodes = list(nodes, edge_count), edge_ports = list(ports, edge_count);
    for (int32_t i = 0; i < edge_count; ++i) request.edges.push_back({edge_nodes[i], edge_ports[i]});
    request.probes = probes;
    request.per_sample = per_sample != 0;
    request.seed = to_size(seed);
    request.first_sample = to_size(first_sample);
    registry().get(graph)->set_sites(std::move(request));
  });
}

int32_t bw_graph_set_direction(bw_graph graph, int32_t site, int32_t probe, const float* data, bw_size count) {
  return guarded_call([&] { registry().get(graph)->set_direction(site, probe, data, to_size(count)); });
}

int32_t bw_graph_tangent(bw_graph graph) {
  return guarded_call([&] { registry().get(graph)->tangent(); });
}

int32_t bw_graph_hessian(bw_graph graph, int32_t products, double* out_forms, bw_size forms) {
  return guarded_call([&] { registry().get(graph)->hessian(products != 0, out_forms, to_size(forms)); });
}

int32_t bw_graph_set_errors(bw_graph graph, const int32_t* values, const int32_t* nodes, const int32_t* ports, int32_t count) {
  return guarded_call([&] {
    if (count < 0) invalid_argument("a list has a negative length");
    std::vector<ErrorTarget> targets(count);
    for (int32_t i = 0; i < count; ++i) targets[i] = {values[i], nodes[i], ports[i]};
    registry().get(graph)->set_errors(targets);
  });
}

int32_t bw_graph_set_error_data(bw_graph graph, int32_t error, const float* data, bw_size count) {
  return guarded_call([&] { registry().get(graph)->set_error_data(error, data, to_size(count)); });
}

int32_t bw_graph_set_error_grid(bw_graph graph, int32_t error, float scale, int32_t zero_point, int32_t qmin, int32_t qmax) {
  return guarded_call([&] { registry().get(graph)->set_error_grid(error, {scale, zero_point, qmin, qmax}); });
}

int32_t bw_graph_set_error_variance(bw_graph graph, int32_t error, double constant, double relative) {
  return guarded_call([&] { registry().get(graph)->set_error_variance(error, {constant, relative}); });
}

int32_t bw_graph_project(bw_graph graph, int32_t source, int32_t probes, bw_size seed, bw_size first_sample, double* out_values, bw_size count) {
  return guarded_call([&] {
    const std::shared_ptr<Graph> owner = registry().get(graph);
    if (source == BW_FISHER) return owner->project_fisher(probes, {to_size(seed), to_size(first_sample)}, out_values, to_size(count));
    if (source != BW_LOSS_GRADIENT || probes != 1) invalid_argument("projections come from one gradient, or from Fisher probes");
    owner->project_gradient(out_values, to_size(count));
  });
}

int32_t bw_graph_project_squares(bw_graph graph, double* out_values, bw_size count) {
  return guarded_call([&] { registry().get(graph)->project_squares(out_values, to_size(count)); });
}

int32_t bw_graph_aim(bw_graph graph, const int32_t* errors, int32_t count) {
  return guarded_call([&] { registry().get(graph)->aim(list(errors, count)); });
}

int32_t bw_graph_interactions(bw_graph graph, double* out_values, bw_size count) {
  return guarded_call([&] { registry().get(graph)->interactions(out_values, to_size(count)); });
}

int32_t bw_graph_ranges(bw_graph graph, const int32_t* values, int32_t count, double* out_ranges) {
  return guarded_call([&] { registry().get(graph)->ranges(list(values, count), out_ranges); });
}

int32_t bw_graph_histogram(bw_graph graph, int32_t value, float low, float high, double* out_bins, int32_t bins) {
  return guarded_call([&] { registry().get(graph)->histogram(value, low, high, out_bins, bins); });
}

int32_t bw_graph_errors(bw_graph graph, int32_t value, const float* scales, const int32_t* zero_points, const int32_t* qmins,
                        const int32_t* qmaxs, int32_t count, double* out_sums) {
  return guarded_call([&] { registry().get(graph)->errors(value, grids(scales, zero_points, qmins, qmaxs, count), out_sums); });
}
