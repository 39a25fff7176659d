// The kind of operators that are made of others. A row of this kind is one function that writes a node down as a program of rows, with the shapes in
// sight; the program runs as it is written, and its derivatives are those of its steps. The model keeps the node.
#pragma once

#include <deque>

#include "ops/op.h"

namespace bitwright {

// A program that one node stands for, and what a run of it has kept.
class Lowering {
 public:
  // A value of the program; kNone stands for an input or output that is left out.
  using Id = int;
  static constexpr Id kNone = -1;

  // The value of an attribute of a step.
  struct Setting {
    Attribute attribute;
    Setting(int64_t value);
    Setting(int value) : Setting(static_cast<int64_t>(value)) {}
    Setting(double value);
    Setting(std::vector<int64_t> value);
    Setting(const char* value);
  };
  using Settings = std::vector<std::pair<const char*, Setting>>;

  Lowering(Context& context, const Attributes& attributes, int64_t opset, bw_dtype real);

  // ---- for the functions that write programs ----
  const Attributes& attributes() const { return attributes_; }
  int64_t opset() const { return opset_; }
  int inputs() const { return static_cast<int>(outer_.size()); }
  bool has(int i) const { return i < inputs() && outer_[i] != kNone; }
  // An input of the node, which must be there.
  Id input(int i) const;
  // The same, or kNone.
  Id optional(int i) const { return has(i) ? outer_[i] : kNone; }
  bool wanted(int o) const { return context_->wanted(o); }

  const Tensor& at(Id id) const { return values_[id].primal; }
  const Shape& shape(Id id) const { return at(id).shape(); }
  // Refuses an axis that the value does not have.
  int64_t dim(Id id, int axis) const;
  int rank(Id id) const { return at(id).rank(); }
  // The integers of a value that is a list.
  std::vector<int64_t> integers(Id id) const { return to_int64(at(id)); }
  // The number that a value of one element is.
  double number(Id id) const;

  // Refuses what an attribute of the model would have written down, where it does not fit the memory that is allowed.
  void expect(const Shape& elements, uint64_t bytes = sizeof(double)) const { context_->pool.expect(static_cast<uint64_t>(element_count(elements)) * bytes); }

  Id constant(Tensor tensor);
  // A scalar 0 of any type.
  Id zero(bw_dtype dtype);
  Id real(double value);
  Id reals(Shape shape, const std::vector<double>& values);
  Id list(const std::vector<int64_t>& values);
  Id flags(Shape shape, const std::vector<bool>& values);

  // Runs an operator and returns its first output.
  Id apply(const char* type, std::vector<Id> inputs, const Settings& settings = {});
  std::vector<Id> apply(const char* type, std::vector<Id> inputs, int outputs, const Settings& settings = {});
  void output(int o, Id id) { results_.push_back({o, id}); }

  // Steps that programs are full of.
  Id add(Id a, Id b) { return apply("Add", {a, b}); }
  Id multiply(Id a, Id b) { return apply("Mul", {a, b}); }
  Id product(Id a, Id b) { return apply("MatMul", {a, b}); }
  Id scaled(Id a, double factor) { return factor == 1 ? a : multiply(a, real(factor)); }
  Id reshape(Id a, const Shape& shape);
  Id transpose(Id a, std::vector<int64_t> order) { return apply("Transpose", {a}, {{"perm", std::move(order)}}); }
  Id slice(Id a, int axis, int64_t begin, int64_t end);
  Id concat(std::vector<Id> parts, int axis) { return apply("Concat", std::move(parts), {{"axis", axis}}); }

  // ---- for the node that stands for the program ----
  void place_outputs(Context& context) const;
  void tangent(Context& context);
  void adjoint(Context& context);
  // What only writing needs is not there any more.
  void finish() { context_ = nullptr; }

 private:
  struct Value {
    Tensor primal, tangent;
    int outer = -1;  // the input of the node that it is
  };
  struct Step {
    std::unique_ptr<Op> op;
    std::vector<Id> inputs, outputs;
    std::vector<Tensor> saved;
    std::shared_ptr<Lowering> program;
  };

  Context context_of(const Context& outer, Step& step) const;
  template <class T>
  void run_back(Context& context);
  template <class T>
  static void collect(Context& inner, const Step& step, std::vector<Context::AdjointSlot>& slots);

  Context* context_;
  Attributes attributes_;
  int64_t opset_;
  bw_dtype real_;
  std::deque<Value> values_;  // so that a shape in use stays where it is while steps are added
  std::vector<Id> outer_;
  std::vector<Step> steps_;
  std::vector<std::pair<int, Id>> results_;
};

class Lowered : public Op {
 public:
  explicit Lowered(const NodeInfo& info) : attributes_(info.node.attributes), opset_(info.opset), real_(info.real) {}

  void forward(Context& context) override;
  void tangent(Context& context) override;
  // Adds the curvature of every step where it arises.
  void adjoint(Context& context) override;

 protected:
  virtual void lower(Lowering& program) const = 0;

 private:
  Attributes attributes_;
  int64_t opset_;
  bw_dtype real_;
};

template <void (*write)(Lowering&)>
class LoweredBy : public Lowered {
 public:
  using Lowered::Lowered;

 private:
  void lower(Lowering& program) const override { write(program); }
};

template <void (*write)(Lowering&)>
Row lowered(const char* domain, const char* type, int since, const char* samples) {
  return {domain, type, since, "lowered", true, {}, make_plain<LoweredBy<write>>, samples};
}

}  // namespace bitwright
