#include "ops/lowered.h"

#include <cstring>

#include "ops/rearrangement.h"

namespace bitwright {

namespace {

// The operator set that programs are written in.
constexpr int64_t kOpset = 23;

bool any(const std::vector<Tensor>& tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const Tensor& tensor) { return static_cast<bool>(tensor); });
}

// A program may write down fewer or more elements than the shape has that it worked out of sizes in the model.
void check_count(const Tensor& tensor, size_t count) {
  if (tensor.count() != static_cast<int64_t>(count)) invalid_model("shape " + to_string(tensor.shape()) + " does not have " + std::to_string(count) + " elements");
}

}  // namespace

Lowering::Setting::Setting(int64_t value) {
  attribute.kind = Attribute::kInt;
  attribute.i = value;
}
Lowering::Setting::Setting(double value) {
  attribute.kind = Attribute::kFloat;
  attribute.f = static_cast<float>(value);
}
Lowering::Setting::Setting(std::vector<int64_t> value) {
  attribute.kind = Attribute::kInts;
  attribute.ints = std::move(value);
}
Lowering::Setting::Setting(const char* value) {
  attribute.kind = Attribute::kString;
  attribute.s = value;
}

Lowering::Lowering(Context& context, const Attributes& attributes, int64_t opset, bw_dtype real)
    : context_(&context), attributes_(attributes), opset_(opset), real_(real) {
  for (int i = 0; i < context.inputs(); ++i) {
    outer_.push_back(context.in[i] ? static_cast<Id>(values_.size()) : kNone);
    if (context.in[i]) values_.push_back({context.in[i], {}, i});
  }
}

Lowering::Id Lowering::input(int i) const {
  if (!has(i)) invalid_model("input " + std::to_string(i) + " is missing");
  return outer_[i];
}

int64_t Lowering::dim(Id id, int axis) const { return at(id).dim(normalize_axis(axis, rank(id))); }

double Lowering::number(Id id) const {
  const Tensor& tensor = at(id);
  if (tensor.count() != 1) invalid_model("expected one number, received shape " + to_string(tensor.shape()));
  if (tensor.dtype() == BW_FLOAT32) return tensor.data<float>()[0];
  if (tensor.dtype() == BW_FLOAT64) return tensor.data<double>()[0];
  return static_cast<double>(to_int64(tensor)[0]);
}

Lowering::Id Lowering::constant(Tensor tensor) {
  values_.push_back({std::move(tensor), {}, -1});
  return static_cast<Id>(values_.size()) - 1;
}

Lowering::Id Lowering::zero(bw_dtype dtype) {
  Tensor tensor(context_->pool, dtype, {});
  std::memset(tensor.raw(), 0, tensor.bytes());
  return constant(tensor);
}

Lowering::Id Lowering::real(double value) { return reals({}, {value}); }

Lowering::Id Lowering::reals(Shape shape, const std::vector<double>& values) {
  Tensor tensor(context_->pool, real_, std::move(shape));
  check_count(tensor, values.size());
  if (real_ == BW_FLOAT64)
    std::copy(values.begin(), values.end(), tensor.data<double>());
  else
    std::transform(values.begin(), values.end(), tensor.data<float>(), [](double value) { return static_cast<float>(value); });
  return constant(tensor);
}

Lowering::Id Lowering::list(const std::vector<int64_t>& values) {
  Tensor tensor(context_->pool, BW_INT64, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.data<int64_t>());
  return constant(tensor);
}

Lowering::Id Lowering::flags(Shape shape, const std::vector<bool>& values) {
  Tensor tensor(context_->pool, BW_BOOL, std::move(shape));
  check_count(tensor, values.size());
  std::copy(values.begin(), values.end(), tensor.data<bool>());
  return constant(tensor);
}

Lowering::Id Lowering::reshape(Id a, const Shape& shape) {
  if (this->shape(a) == shape) return a;
  return apply("Reshape", {a, list(shape)}, {{"allowzero", 1}});
}

Lowering::Id Lowering::slice(Id a, int axis, int64_t begin, int64_t end) {
  return apply("Slice", {a, list({begin}), list({end}), list({axis})});
}

Lowering::Id Lowering::apply(const char* type, std::vector<Id> inputs, const Settings& settings) {
  return apply(type, std::move(inputs), 1, settings)[0];
}

std::vector<Lowering::Id> Lowering::apply(const char* type, std::vector<Id> inputs, int outputs, const Settings& settings) {
  const Row* row = find_row("", type, kOpset);
  if (row == nullptr) throw EngineError(BW_INTERNAL, std::string("there is no operator ") + type);
  ProgramNode node;
  node.type = type;
  node.inputs = inputs;
  for (const auto& [name, setting] : settings) node.attributes.map[name] = setting.attribute;
  Step step;
  step.op = row->make({node, kOpset, real_});
  step.inputs = std::move(inputs);
  for (int o = 0; o < outputs; ++o) step.outputs.push_back(static_cast<Id>(values_.size()) + o);
  Context inner = context_of(*context_, step);
  inner.keep = context_->keep;
  inner.out.resize(outputs);
  step.op->forward(inner);
  for (Tensor& out : inner.out) values_.push_back({std::move(out), {}, -1});
  const std::vector<Id> results = step.outputs;
  if (context_->keep) steps_.push_back(std::move(step));
  return results;
}

Context Lowering::context_of(const Context& outer, Step& step) const {
  Context inner(outer.linear, outer.pool);
  inner.samples = outer.samples;
  inner.in.resize(step.inputs.size());
  inner.in_reusable.resize(step.inputs.size());
  for (size_t i = 0; i < step.inputs.size(); ++i)
    if (step.inputs[i] != kNone) inner.in[i] = values_[step.inputs[i]].primal;
  inner.out_wanted.assign(step.outputs.size(), true);
  inner.saved = &step.saved;
  inner.program = &step.program;
  return inner;
}

void Lowering::place_outputs(Context& context) const {
  for (const auto& [o, id] : results_)
    if (context.wanted(o)) context.place(o, values_[id].primal);
}

void Lowering::tangent(Context& context) {
  for (Value& value : values_) {
    value.tangent = Tensor();
    const Tensor* moved = value.outer < 0 ? nullptr : context.tangent(value.outer);
    if (moved) value.tangent = *moved;
  }
  for (Step& step : steps_) {
    Context inner = context_of(context, step);
    inner.probes = context.probes;
    inner.in_tangent.resize(step.inputs.size());
    for (size_t i = 0; i < step.inputs.size(); ++i)
      if (step.inputs[i] != kNone) inner.in_tangent[i] = values_[step.inputs[i]].tangent;
    for (Id id : step.outputs) inner.out.push_back(values_[id].primal);
    if (!any(inner.in_tangent) || std::none_of(inner.out.begin(), inner.out.end(), [](const Tensor& out) { return is_float(out.dtype()); })) continue;
    inner.out_tangent.resize(step.outputs.size());
    step.op->tangent(inner);
    inner.check_tangents_asked();
    for (size_t o = 0; o < step.outputs.size(); ++o) values_[step.outputs[o]].tangent = std::move(inner.out_tangent[o]);
  }
  for (const auto& [o, id] : results_)
    if (context.wanted(o)) context.out_tangent[o] = values_[id].tangent;
}

void Lowering::adjoint(Context& context) {
  if (real_ == BW_FLOAT64)
    run_back<double>(context);
  else
    run_back<float>(context);
}

// Takes over what a step has computed for its inputs.
template <class T>
void Lowering::collect(Context& inner, const Step& step, std::vector<Context::AdjointSlot>& slots) {
  for (size_t i = 0; i < step.inputs.size(); ++i) {
    Context::AdjointSlot& own = inner.adjoints[i];
    if (!own.started) continue;
    if (const ParameterSum sum = inner.parameters[i]) {
      const int64_t count = inner.in[i].count();
      const T* from = static_cast<const Tensor&>(own.tensor).data<T>() + sum.first * count;
      for (int64_t j = 0; j < sum.sets * count; ++j) sum.data[j] += from[j];
      continue;
    }
    Context::AdjointSlot& slot = slots[step.inputs[i]];
    if (slot.started) {
      const Tensor other = slot.tensor;
      slot.tensor = Tensor();
      add_to(inner.linear, other.data<T>(), other.count(), inner.adjoint<T>(static_cast<int>(i)).data);
    }
    slot.tensor = own.tensor;
    slot.started = true;
    own.tensor = Tensor();
  }
}

template <class T>
void Lowering::run_back(Context& context) {
  std::vector<Context::AdjointSlot> slots(values_.size());
  std::vector<ParameterSum> parameters(values_.size());
  for (size_t v = 0; v < values_.size(); ++v) {
    if (values_[v].outer < 0) continue;
    slots[v].wanted = context.adjoint_wanted(values_[v].outer);
    parameters[v] = context.parameter(values_[v].outer);
  }
  for (const Step& step : steps_) {
    if (std::none_of(step.inputs.begin(), step.inputs.end(), [&](Id id) { return id != kNone && slots[id].wanted; })) continue;
    for (Id id : step.outputs) slots[id].wanted = is_float(values_[id].primal.dtype());
  }
  for (const auto& [o, id] : results_) {
    if (!context.wanted(o) || !context.cotangent(o)) continue;
    Context::AdjointSlot& slot = slots[id];
    if (!slot.started) {
      slot.tensor = *context.cotangent(o);
    } else {
      Tensor sum = context.make<T>(slot.tensor.shape());
      bitwright::add(context.linear, static_cast<const Tensor&>(slot.tensor).data<T>(), context.cotangent(o)->template data<T>(), sum.count(), sum.data<T>());
      slot.tensor = sum;
    }
    slot.started = true;
  }
  for (size_t s = steps_.size(); s-- > 0;) {
    Step& step = steps_[s];
    Context inner = context_of(context, step);
    inner.batch = context.batch;
    inner.first = context.first;
    for (Id id : step.outputs) {
      inner.out.push_back(values_[id].primal);
      inner.out_adjoint.push_back(slots[id].wanted && slots[id].started ? slots[id].tensor : Tensor());
      slots[id].tensor = Tensor();
    }
    if (!any(inner.out_adjoint)) continue;
    inner.adjoints.resize(step.inputs.size());
    inner.parameters.resize(step.inputs.size());
    for (size_t i = 0; i < step.inputs.size(); ++i) {
      const Id id = step.inputs[i];
      if (id == kNone || !slots[id].wanted) continue;
      inner.adjoints[i].wanted = true;
      inner.parameters[i] = parameters[id];
      if (parameters[id] || !slots[id].started) continue;
      inner.adjoints[i].tensor = std::move(slots[id].tensor);
      inner.adjoints[i].started = true;
      slots[id] = {};
      slots[id].wanted = true;
    }
    if (context.first > 0) {
      inner.probes = context.probes;
      inner.in_tangent.resize(step.inputs.size());
      for (size_t i = 0; i < step.inputs.size(); ++i)
        if (step.inputs[i] != kNone) inner.in_tangent[i] = values_[step.inputs[i]].tangent;
    }
    step.op->adjoint(inner);
    if (inner.out_adjoint[0]) inner.check_adjoints_asked();
    if (context.first > 0) step.op->curvature(inner);
    collect<T>(inner, step, slots);
  }
  for (size_t v = 0; v < values_.size(); ++v) {
    if (values_[v].outer < 0 || !slots[v].wanted) continue;
    if (!slots[v].started) {
      // The results in question do not depend on it.
      const Sum<T> sum = parameters[v] ? Sum<T>() : context.adjoint<T>(values_[v].outer);
      if (sum && !sum.accumulate) std::fill_n(sum.data, context.batch * values_[v].primal.count(), T(0));
      continue;
    }
    if (!parameters[v]) {
      context.add_adjoint(values_[v].outer, slots[v].tensor);
      continue;
    }
    // A result that is the input itself.
    const ParameterSum sum = parameters[v];
    const T* from = static_cast<const Tensor&>(slots[v].tensor).data<T>() + sum.first * values_[v].primal.count();
    for (int64_t j = 0; j < sum.sets * values_[v].primal.count(); ++j) sum.data[j] += from[j];
  }
}

void Lowered::forward(Context& context) {
  auto program = std::make_shared<Lowering>(context, attributes_, opset_, real_);
  lower(*program);
  program->place_outputs(context);
  program->finish();
  if (context.keep) *context.program = std::move(program);
}

void Lowered::tangent(Context& context) { (*context.program)->tangent(context); }
void Lowered::adjoint(Context& context) { (*context.program)->adjoint(context); }

}  // namespace bitwright
