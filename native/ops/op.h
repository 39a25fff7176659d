// What an operator is: a row in the table, and for each node an Op made from its attributes.
//
// An exact Hessian-vector product needs four rules (forward, its tangent, the adjoint, the adjoint's tangent). Three suffice to
// state, because the adjoint is linear in the cotangent:
//   tangent    dy_o = sum_i (df_o/dx_i) dx_i                    for each of `probes` directions
//   adjoint    g_i += sum_o (df_o/dx_i)^T g_o                    for each of `batch` cotangents
//   curvature  g_i[first + p] += d/dt (df_o/dx_i)^T g_o[0]       along probe p's tangents of the inputs
// The reverse sweep of a Hessian pass carries the cotangent and its `probes` tangents as one batch (first = 1), so the adjoint serves both and
// curvature adds the rest. An op that is linear, or linear almost everywhere, has none. ops/kinds.h derives the rules from an op's kind.
// Integers carry no derivatives: what passes through one (a cast, a comparison, an index) is piecewise constant, and its derivative is zero.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/array.h"
#include "core/program.h"
#include "core/tensor.h"

namespace bitwright {

class Lowering;

// Where to put a sum: `data` is to be overwritten, or added to.
template <class T>
struct Sum {
  T* data = nullptr;
  bool accumulate = false;
  explicit operator bool() const { return data != nullptr; }
};

// Where to put the derivative with respect to an initializer, summed over samples in sample order: cotangents
// [first, first + sets) of the batch go to data[0, sets), always added.
struct ParameterSum {
  double* data = nullptr;
  int first = 0;
  int sets = 0;
  explicit operator bool() const { return data != nullptr; }
};

// The directions of a weight's probes.
struct WeightProbe {
  Tensor directions;        // [probes, shape] or, per sample, [probes, samples, shape]
  bool per_sample = false;
  double* forms = nullptr;  // forms[probe * probe_stride + sample * sample_stride]
  int64_t probe_stride = 0;
  int64_t sample_stride = 0;
  explicit operator bool() const { return static_cast<bool>(directions); }
};

// What a node sees in one phase. The executor fills it in and carries the results on.
class Context {
 public:
  Context(const Linear& linear, BufferPool& pool) : linear(linear), pool(pool) {}

  const Linear& linear;
  BufferPool& pool;
  int64_t samples = 1;   // leading dimension of the first graph input
  bool keep = false;     // derivatives will follow: save what they need
  int probes = 0;
  int batch = 1;         // cotangents in the adjoint phase
  int first = 0;         // index of the first tangent of a cotangent in the batch

  // ---- forward ----
  int inputs() const { return static_cast<int>(in.size()); }
  bool has(int i) const { return i < inputs() && in[i]; }
  const Tensor& input(int i) const;
  Tensor& output(int o, bw_dtype dtype, Shape shape);
  Tensor& place(int o, Tensor tensor);
  // The output shares the input's elements.
  void alias(int o, int i, Shape shape) { place(o, input(i).reshaped(std::move(shape))); }
  // The output may overwrite input i, if that has no other reader.
  Tensor& output_over(int o, int i);
  bool wanted(int o) const { return o < static_cast<int>(out_wanted.size()) && out_wanted[o]; }

  // ---- derivatives ----
  // The tangent of an input, [probes, shape]; nullptr when it is zero.
  const Tensor* tangent(int i) const;
  Tensor& make_tangent(int o);
  // The cotangents of an output, [batch, shape]; nullptr when zero.
  const Tensor* cotangent(int o) const { return out_adjoint[o] ? &out_adjoint[o] : nullptr; }
  bool adjoint_wanted(int i) const;
  // The sum that is the cotangent of input i, [batch, shape]; empty when nobody needs it.
  template <class T>
  Sum<T> adjoint(int i);
  // As adjoint, when the contribution equals `tensor` [batch, ...]: shares it where possible.
  void add_adjoint(int i, const Tensor& tensor);
  ParameterSum parameter(int i) const;
  WeightProbe weight_probe(int i) const { return weight_probe_of ? weight_probe_of(i) : WeightProbe{}; }

  template <class T>
  Tensor make(Shape shape) { return Tensor(pool, DTypeOf<T>::value, std::move(shape)); }

  struct AdjointSlot {
    bool wanted = false;
    bool started = false;
    mutable bool asked = false;
    Tensor tensor;
  };

  // An op that did not ask for the tangent of an input, or for where its cotangent goes, does not have that derivative. These refuse it where it is not
  // zero, after the tangent and the adjoint phase.
  void check_tangents_asked() const;
  void check_adjoints_asked() const;

  // Filled in and collected by the executor.
  std::vector<Tensor> in, out, in_tangent, out_tangent, out_adjoint;
  std::vector<bool> in_reusable, out_wanted;
  mutable std::vector<bool> tangent_asked;
  std::vector<AdjointSlot> adjoints;
  std::vector<ParameterSum> parameters;
  std::function<WeightProbe(int)> weight_probe_of;
  std::vector<Tensor>* saved = nullptr;  // what a node keeps from its forward or tangent phase for its adjoint
  std::shared_ptr<Lowering>* program = nullptr;  // the same of a node that stands for others (lowered.h)
};

// Which inputs quantization treats how; -1 is none.
struct Ports {
  int weight = -1;        // the input that is a weight when it is constant
  int channel_axis = 0;   // the weight's axis of output channels
  int bias = -1;
  std::vector<int> data;  // inputs whose activations are multiplied
  int state_weight = -1;  // a second weight, which multiplies the state of a recurrent op

  bool is_weight(int port) const { return port >= 0 && (port == weight || port == state_weight); }
};

// What `contract` gives: a right-hand cotangent, a sample, an error, and their inner product.
using AddForm = std::function<void(int right, int64_t sample, int error, double form)>;

class Op {
 public:
  virtual ~Op() = default;
  virtual void forward(Context& context) = 0;
  virtual void tangent(Context& context);
  virtual void adjoint(Context& context);
  virtual void curvature(Context&) {}
  // Whether a node of a linear row multiplies some of its inputs after all.
  virtual bool multiplies() const { return false; }
  // An op that is not linear in its weights takes their tangents as those of other inputs, and contracts their errors itself: with `right` a cotangent
  // g of the outputs, or (first = 1) the tangent of the first one along a probe of the context,
  //   form = <D e, g>, or d(<D e, g>), per sample.
  virtual bool contracts_weights() const { return false; }
  virtual void contract(Context&, int /*port*/, const Tensor& /*errors*/, const AddForm&) {}
  // Where samples lie in an input or an output, as far as the op itself decides.
  virtual int sample_axis(bool /*output*/, int /*port*/) const { return 0; }
  // The row's ports, changed by this node's attributes.
  virtual Ports ports(const Ports& of_row) const { return of_row; }
};

struct NodeInfo {
  const ProgramNode& node;
  int64_t opset;
  bw_dtype real;
};

struct Row {
  const char* domain;
  const char* type;
  int since;         // first opset whose form this row reads; it must read the later ones too
  const char* kind;  // elementwise, linear, product, selection, lowered, custom, shape
  bool differentiable;
  Ports ports;
  std::unique_ptr<Op> (*make)(const NodeInfo&);
  // Test cases, JSON: [{"inputs": [dims | {"dims", "dtype"?, "values"?, "low"?, "high"?, "constant"?} | null], "attributes"?, "outputs"?, "opset"?}].
  const char* samples;
};

// Makes Op<float> or Op<double>, whichever the graph computes in.
template <template <class> class O>
std::unique_ptr<Op> make_op(const NodeInfo& info) {
  if (info.real == BW_FLOAT64) return std::make_unique<O<double>>(info);
  return std::make_unique<O<float>>(info);
}
// For ops on any type, which do not compute in floats.
template <class O>
std::unique_ptr<Op> make_plain(const NodeInfo& info) {
  return std::make_unique<O>(info);
}

// The row that serves a node, or nullptr.
const Row* find_row(const std::string& domain, const std::string& type, int64_t opset);
const std::vector<Row>& all_rows();

template <class T>
Sum<T> Context::adjoint(int i) {
  if (!adjoint_wanted(i)) return {};
  AdjointSlot& slot = adjoints[i];
  if (!slot.started) {
    Shape shape = in[i].shape();
    shape.insert(shape.begin(), batch);
    slot.tensor = make<T>(std::move(shape));
    slot.started = true;
    return {slot.tensor.template data<T>(), false};
  }
  if (!slot.tensor.exclusive()) {
    Tensor own = make<T>(slot.tensor.shape());
    copy(linear, static_cast<const Tensor&>(slot.tensor).template data<T>(), own.count(), own.template data<T>());
    slot.tensor = own;
  }
  return {slot.tensor.template data<T>(), true};
}

}  // namespace bitwright
