// A model ready to run: values, nodes with their ops, and the passes over them.
//
//   forward   values in node order; what nobody will read again goes back to the pool, unless derivatives follow (segments.h has the way in between)
//   gradient  cotangents in reverse order
//   tangent   derivatives along the sites' directions in node order
//   hessian   tangent, then one reverse sweep over [cotangent, tangents of the cotangent]
//
// Sites are tensors that move along directions of their own, all at once, and meet their own share of H v (derivatives.cc). Errors are what formats
// do to tensors: each moves alone, and each meets the derivatives along every other one (projections.cc).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "core/loss.h"
#include "core/program.h"
#include "core/tensor_errors.h"
#include "ops/op.h"

namespace bitwright {

// Directions or cotangents that one pass carries.
constexpr int kMostProbes = 64;

struct SiteRequest {
  std::vector<int> values;                 // initializers
  std::vector<std::pair<int, int>> edges;  // (node, port)
  int probes = 1;
  bool per_sample = false;
  uint64_t seed = 0;
  uint64_t first_sample = 0;
};

class Graph {
 public:
  Graph(const uint8_t* program, size_t bytes, bw_dtype real, int threads, size_t memory, const KernelTable& kernels);

  // Stays in force until it is taken back: the call that it is for may not have begun.
  void cancel(bool cancelled) { cancelled_ = cancelled; }
  std::string describe() const;

  void set_input(int value, bw_dtype dtype, Shape shape, const uint8_t* data, size_t bytes);
  void set_constant(int value, const float* data, size_t count);
  void set_edges(std::map<std::pair<int, int>, Grid> edges);

  void forward(bw_keep keep, const std::vector<int>& values);
  void forget_run();
  // A value of the last run; computed again where it was let go.
  Tensor primal(int value);
  // The same, perhaps without elements.
  const Tensor& described(int value) const;
  void read(int value, bw_part part, int probe, uint8_t* out, size_t bytes);

  std::vector<double> set_loss(bw_loss kind, int value, const uint8_t* target, size_t bytes);
  void gradient(const std::vector<int>& values, bool reset);

  void set_sites(SiteRequest request);
  void set_direction(int site, int probe, const float* data, size_t count);
  void tangent();
  // forms: [probe][sample][site]
  void hessian(bool products, double* forms, size_t count);

  void set_errors(const std::vector<ErrorTarget>& targets);
  void set_error_data(int error, const float* data, size_t count);
  void set_error_grid(int error, const Grid& grid);
  void set_error_variance(int error, const Variance& variance);
  // values: [probe][sample][error] in all of these.
  void project_gradient(double* values, size_t count);
  void project_fisher(int probes, const FisherSigns& signs, double* values, size_t count);
  void project_squares(double* values, size_t count);
  void aim(const std::vector<int>& errors);
  void interactions(double* values, size_t count);

  void ranges(const std::vector<int>& values, double* out);
  void histogram(int value, float low, float high, double* bins, int count);
  void errors(int value, const std::vector<Grid>& grids, double* sums);

  size_t live() { return buffers_.live(); }
  size_t take_peak() { return buffers_.take_peak(); }

 private:
  struct Value {
    std::string name;
    bool input = false, output = false;
    bool constant = false;  // an initializer, or computed from such alone
    Tensor original;        // the model's own initializer; without elements where the program leaves them out
    Tensor primal;          // without elements where the run has let them go
    Tensor tangent;         // [probes, shape]
    Tensor adjoint;         // [batch, shape]
    std::vector<double> parameter_adjoint;  // of an initializer, summed over samples
    std::vector<double> products;           // [probes, shape] of an initializer
    Tensor sample_adjoints;                 // [samples, shape] of an initializer with several readers, in double
    std::vector<std::pair<Grid, Tensor>> quantized;
    int producer = -1;
    std::vector<std::pair<int, int>> readers;  // (node, port)
    bool stored() const { return constant && producer < 0; }  // an initializer
  };
  struct Node {
    ProgramNode source;
    const Row* row = nullptr;  // nullptr: not supported
    std::unique_ptr<Op> op;
    std::string error;         // why op could not be made
    bool constant = false;
    bool saves = false;        // more than its outputs, where they are kept
    std::vector<Tensor> saved;
    std::shared_ptr<Lowering> program;
  };
  struct Site {
    int index = -1;
    int value = -1;            // a weight, or
    int node = -1, port = -1;  // an edge
    std::vector<std::optional<Tensor>> directions;  // by probe, where one was given; an empty tensor is zero
    bool any_given() const;
    bool all_zero() const;
  };
  struct Sweep;

  // Setup and forward (graph.cc).
  int value_index(int value) const;
  void check_supported() const;
  void check_cancelled() const;
  void guarded(int node, const std::function<void()>& body) const;
  void mark_constants();
  Context context_for(int node);
  Tensor read_edge(int node, int port, bool may_overwrite);
  void take_feeds();
  bool is_known(int node) const;
  std::vector<int> read_counts() const;
  void run_node(int node, bool keep, const std::vector<int>* reads_left);
  void release_inputs(int node, std::vector<int>& reads_left);

  // Recomputation (recompute.cc).
  void plan_segments();
  void run_again(int node);
  void run_segment_again(int last);
  bool is_held(int value) const { return held_[value] || value == loss_value_; }
  void let_go(int node);
  void let_go_behind(int node);
  void let_go_all();
  uint64_t memory_of(const Sweep& sweep);

  // Derivatives (derivatives.cc).
  void check_derivatives_ready() const;
  void check_loss() const;
  void check_edge(int node, int port) const;
  void check_moving_edge(int node, int port) const;
  bool is_linear(int node) const;
  void check_direction(int value, bool biases) const;
  const Site* weight_site(int value) const;
  std::vector<bool> downstream(std::vector<bool> roots, const std::set<std::pair<int, int>>& edges) const;
  const Site* edge_site(int node, int port) const;
  double* form_of(double* forms, int site) const { return forms ? forms + site : nullptr; }
  template <class T>
  WeightProbe weight_probe(int value, double* forms);
  template <class T, class Body>
  void each_edge_piece(const Site& site, const Body& body);
  template <class T>
  void add_tangents(Context& context, int node, double* forms);
  template <class T>
  void add_linear_forms(const Context& context, const Sweep& sweep, int node);
  template <class T>
  void tangent_node(int node, double* forms);
  template <class T>
  void tangent_pass(double* forms);
  bool has_cotangent(int node) const;
  template <class T>
  void reverse_node(const Sweep& sweep, int node);
  template <class T>
  void reverse_pass(const Sweep& sweep);
  template <class T>
  void passes(const Sweep& sweep);
  void run_sweep(const Sweep& sweep);
  template <class T>
  void collect(Context& context, const Sweep& sweep, int node);
  template <class T>
  std::optional<Loss<T>>& loss();

  // Errors (projections.cc).
  int64_t sample_size(const Tensor& tensor, int axis = 0) const;
  int64_t edge_sample_size(int node, int port) const;
  void project(Sweep& sweep, double* values, size_t count);
  bool aims_at(const ProgramNode& node) const;
  std::vector<std::pair<int, int>> aims_of(const ErrorSet& set) const;
  template <class T>
  Tensor aimed_edge(int node, int port, const Tensor& carried);
  template <class T>
  void add_aimed_weights(Context& context, int node);
  template <class T>
  void set_aimed_weights(Context& context, int node);
  template <class T>
  void contract_weights(Context& context, const Sweep& sweep, int node);
  template <class T>
  void contract_weight(Context& context, const Sweep& sweep, int node, int port, const ErrorSet& set, const std::vector<int>& positions);
  template <class T>
  void contract_edge(const Context& context, const Sweep& sweep, const ErrorSet& set, const Tensor& adjoint);
  template <class T>
  void square_edge(const Sweep& sweep, const ErrorSet& set, const Tensor& adjoint);
  template <class T>
  void square_weight(const Context& context, const Sweep& sweep, int node, int port, const ErrorSet& set);
  template <class T>
  void add_squares(const Sweep& sweep, const ErrorSet& set, int64_t sample, const double* gradient);

  bw_dtype real_;
  BufferPool buffers_;
  ThreadPool threads_;
  Linear linear_;
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::map<std::pair<int, int>, Grid> edges_;
  std::map<int, Tensor> feeds_;
  int64_t samples_ = 1;
  bool has_run_ = false;             // whether there is anything of a run, whole or not
  bool kept_ = false;
  bool recomputes_ = false;          // kept, but for what the segments let go
  std::vector<bool> held_;           // values that stay after the run
  std::vector<int> segments_;        // the first node of each node's segment, once they were needed
  std::vector<size_t> kept_bytes_;   // of each node, where everything is kept
  size_t planned_feeds_ = 0;         // bytes of the inputs that segments were planned for
  int read_segment_ = -1;            // the segment that reads have computed again
  std::optional<Loss<float>> loss_f_;
  std::optional<Loss<double>> loss_d_;
  int loss_value_ = -1;
  SiteRequest request_;
  std::vector<Site> sites_;
  ErrorList errors_;
  std::vector<ErrorList::Place> aims_;  // by probe
  std::atomic<bool> cancelled_{false};
};

}  // namespace bitwright
