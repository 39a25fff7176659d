// Derivatives of a run that did not keep everything: what was let go is computed again, a segment at a time, by the code that computed it first.
#include <algorithm>
#include <numeric>

#include "core/segments.h"
#include "core/sweep.h"

namespace bitwright {

// Divides the nodes, and marks what stays. Any division is right for any input; the one for the largest inputs so far serves smaller ones as well.
void Graph::plan_segments() {
  size_t fed = 0;
  for (const auto& [value, tensor] : feeds_) fed += tensor.bytes();
  if (segments_.empty() || fed > planned_feeds_) {
    std::vector<NodeMemory> memory(nodes_.size());
    std::vector<size_t> bytes(values_.size());
    std::vector<int> last(values_.size(), -1), owner(values_.size());  // whose elements a value shares
    std::iota(owner.begin(), owner.end(), 0);
    for (size_t v = 0; v < values_.size(); ++v)
      if (!values_[v].readers.empty()) last[v] = values_[v].readers.back().first;
    std::vector<int> reads_left = read_counts();
    for (size_t n = 0; n < nodes_.size(); ++n) {
      check_cancelled();
      Node& node = nodes_[n];
      if (is_known(static_cast<int>(n))) continue;
      const size_t before = buffers_.live();
      run_node(static_cast<int>(n), true, nullptr);
      if (!node.constant) memory[n].kept = buffers_.live() - before;
      node.saves = !node.saved.empty() || node.program;
      node.saved.clear();
      node.program.reset();
      for (int output : node.source.outputs) {
        if (output < 0) continue;
        const Tensor& made = values_[output].primal;
        bytes[output] = size_class(made.bytes());
        for (int input : node.source.inputs)
          if (input >= 0 && values_[input].primal.raw() == made.raw()) owner[output] = owner[input];
        last[owner[output]] = std::max(last[owner[output]], last[output]);
      }
      release_inputs(static_cast<int>(n), reads_left);
    }
    for (size_t v = 0; v < values_.size(); ++v)
      if (values_[v].producer >= 0 && !held_[v] && owner[v] == static_cast<int>(v)) memory[values_[v].producer].outputs.push_back({last[v], bytes[v]});
    segments_ = divide_into_segments(memory);
    kept_bytes_.clear();
    for (const NodeMemory& node : memory) kept_bytes_.push_back(node.kept);
    planned_feeds_ = fed;
  }
  for (size_t v = 0; v < values_.size(); ++v) {
    const Value& value = values_[v];
    if (value.producer >= 0 && !value.readers.empty() && segments_[value.producer] != segments_[value.readers.back().first]) held_[v] = true;
  }
}

// Computes what a node has made, and what it keeps for derivatives, as far as that is not there.
void Graph::run_again(int index) {
  const Node& node = nodes_[index];
  const std::vector<int>& outputs = node.source.outputs;
  const bool made = std::all_of(outputs.begin(), outputs.end(), [&](int o) { return o < 0 || values_[o].primal; });
  const bool saved = !node.saves || !node.saved.empty() || node.program;
  if (!node.constant && !(made && saved)) run_node(index, true, nullptr);
}

// A segment up to one of its nodes.
void Graph::run_segment_again(int last) {
  for (int n = segments_[last]; n <= last; ++n) {
    check_cancelled();
    run_again(n);
  }
}

// What a node has kept, and its outputs but for those that stay.
void Graph::let_go(int index) {
  Node& node = nodes_[index];
  node.saved.clear();
  node.program.reset();
  for (int output : node.source.outputs)
    if (output >= 0 && !is_held(output)) values_[output].primal.drop_elements();
}

// What a pass forward through a node leaves behind.
void Graph::let_go_behind(int index) {
  Node& node = nodes_[index];
  node.saved.clear();
  node.program.reset();
  const auto drop = [&](int v) {
    if (v < 0 || is_held(v)) return;
    Value& value = values_[v];
    if (!value.readers.empty() && value.readers.back().first > index) return;
    value.primal.drop_elements();
    value.tangent = Tensor();
  };
  for (int input : node.source.inputs) drop(input);
  for (int output : node.source.outputs) drop(output);
}

void Graph::let_go_all() {
  read_segment_ = -1;
  if (!recomputes_) return;
  for (size_t n = 0; n < nodes_.size(); ++n) let_go(static_cast<int>(n));
}

// About what a sweep holds at most. Of what operators make for themselves, which is not known before they do, it takes as much as goes in and out of them.
uint64_t Graph::memory_of(const Sweep& sweep) {
  for (Value& value : values_) value.tangent = value.adjoint = Tensor();
  let_go_all();
  const uint64_t probes = sweep.first > 0 ? request_.probes : 0, sets = sweep.batch + probes;
  const auto bytes = [&](int v) -> uint64_t { return v < 0 ? 0 : size_class(values_[v].primal.bytes()); };
  const size_t count = nodes_.size();
  // Cotangents live from their value's last reader down to its producer, tangents of what stays down to there from the end.
  std::vector<int64_t> cotangents(count + 1), tangents(count + 1);
  for (size_t v = 0; v < values_.size(); ++v) {
    const Value& value = values_[v];
    const int last = value.readers.empty() ? value.producer : value.readers.back().first, begin = std::max(value.producer, 0);
    if (!sweep.active[v] || value.constant || last < 0) continue;
    cotangents[begin] += sweep.batch * bytes(static_cast<int>(v));
    cotangents[last + 1] -= sweep.batch * bytes(static_cast<int>(v));
    if (is_held(static_cast<int>(v))) tangents[begin] += probes * bytes(static_cast<int>(v));
  }
  uint64_t most = 0, segment = 0;
  int64_t across = 0;
  for (size_t n = 0; n < count; ++n) {
    const Node& node = nodes_[n];
    across += cotangents[n] + tangents[n];
    if (node.constant) continue;
    if (segments_[n] == static_cast<int>(n)) segment = 0;
    uint64_t kept = kept_bytes_[n], largest = 0, made = 0, own = 0;
    for (int output : node.source.outputs) {
      if (output < 0) continue;
      if (is_held(output))
        kept -= std::min(kept, bytes(output));
      else
        segment += probes * bytes(output);
      made += bytes(output);
    }
    segment += kept;
    for (int input : node.source.inputs) {
      if (input < 0) continue;
      const Value& value = values_[input];
      if (!value.constant) largest = std::max(largest, bytes(input));
      if (sweep.forms && weight_site(input) != nullptr) {
        segment += probes * made;
        own += probes * bytes(input) * (request_.per_sample ? samples_ : 1);
      }
      if (const ErrorSet* set = value.stored() ? errors_.of_value(input) : nullptr) {
        const uint64_t together = std::min(set->count(), errors_at_once(std::max<int64_t>(1, made / dtype_size(real_))));
        own = std::max(own, together * (bytes(input) + made + (probes > 0 ? largest : 0)));
      }
    }
    most = std::max(most, segment + across + own + sets * std::max(largest, made));
  }
  return buffers_.live() + most;
}

Tensor Graph::primal(int index) {
  const Tensor& tensor = described(index);
  if (tensor) return tensor;
  const int producer = values_[index].producer;
  if (!recomputes_ || producer < 0) invalid_argument("'" + values_[index].name + "' was not kept by the last run");
  // Reads come in the order of the nodes more often than not.
  if (read_segment_ != segments_[producer]) let_go_all();
  read_segment_ = segments_[producer];
  run_segment_again(producer);
  return tensor;
}

}  // namespace bitwright
