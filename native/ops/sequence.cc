// Operators whose samples have places of their own along an axis: ReverseSequence, TensorScatter.
#include <numeric>

#include "ops/families.h"
#include "ops/lowered.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

using Id = Lowering::Id;

// The order of axes that has two of them first.
std::vector<int64_t> axes_first(int rank, int first, int second) {
  std::vector<int64_t> order{first, second};
  for (int axis = 0; axis < rank; ++axis)
    if (axis != first && axis != second) order.push_back(axis);
  return order;
}

// Elements along an axis, taken for each sample of another axis by indices of its own, [samples, elements].
Id taken(Lowering& program, Id x, int samples, int axis, const std::vector<int64_t>& indices) {
  const int rank = program.rank(x);
  const std::vector<int64_t> order = axes_first(rank, samples, axis);
  std::vector<int64_t> back(rank);
  for (int i = 0; i < rank; ++i) back[order[i]] = i;
  const int64_t count = program.dim(x, samples), each = count == 0 ? 0 : static_cast<int64_t>(indices.size()) / count;
  const Id places = program.reshape(program.list(indices), {count, each, 1});
  return program.transpose(program.apply("GatherND", {program.transpose(x, order), places}, {{"batch_dims", 1}}), back);
}

void reverse_sequence(Lowering& program) {
  const Id x = program.input(0);
  const auto time = static_cast<int>(program.attributes().integer("time_axis", 0)), samples = static_cast<int>(program.attributes().integer("batch_axis", 1));
  const std::vector<int64_t> lengths = program.integers(program.input(1));
  if (program.rank(x) < 2 || time < 0 || time > 1 || samples != 1 - time || static_cast<int64_t>(lengths.size()) != program.dim(x, samples))
    invalid_model("ReverseSequence does not take " + std::to_string(lengths.size()) + " lengths for shape " + to_string(program.shape(x)));
  const int64_t steps = program.dim(x, time);
  std::vector<int64_t> indices;
  for (const int64_t length : lengths) {
    if (length < 0 || length > steps) invalid_model("a sequence of " + std::to_string(length) + " elements does not fit " + std::to_string(steps));
    for (int64_t t = 0; t < steps; ++t) indices.push_back(t < length ? length - 1 - t : t);
  }
  program.output(0, taken(program, x, samples, time, indices));
}

// A cache with an update written into it, at a place of each sample's own.
void tensor_scatter(Lowering& program) {
  const Id past = program.input(0), update = program.input(1);
  const std::string mode = program.attributes().text("mode", "linear");
  if (mode != "linear" && mode != "circular") invalid_model("mode '" + mode + "' is not known");
  const int axis = normalize_axis(program.attributes().integer("axis", -2), program.rank(past));
  Shape shape = program.shape(past);
  const int64_t size = shape[axis], added = program.dim(update, axis), samples = shape[0];
  shape[axis] = added;
  const std::vector<int64_t> starts = program.has(2) ? program.integers(program.input(2)) : std::vector<int64_t>(samples);
  if (axis == 0 || program.shape(update) != shape || added > size || static_cast<int64_t>(starts.size()) != samples)
    invalid_model("TensorScatter does not write shape " + to_string(program.shape(update)) + " at " + std::to_string(starts.size()) + " places into shape " + to_string(program.shape(past)));
  std::vector<int64_t> indices;
  for (const int64_t start : starts) {
    if (start < 0 || (mode == "linear" && start + added > size)) invalid_model("TensorScatter writes beyond its cache, at " + std::to_string(start));
    std::vector<int64_t> own(size);
    std::iota(own.begin(), own.end(), int64_t{0});
    for (int64_t i = 0; i < added; ++i) own[(start % size + i) % size] = size + i;
    indices.insert(indices.end(), own.begin(), own.end());
  }
  program.output(0, taken(program, program.concat({past, update}, axis), 0, axis, indices));
}

}  // namespace

std::vector<Row> sequence_rows() {
  return {
      lowered<reverse_sequence>("", "ReverseSequence", 10, R"([
        {"inputs": [[4,3,2], {"dims": [3], "dtype": "int64", "values": [1,4,2]}]},
        {"inputs": [[3,4], {"dims": [3], "dtype": "int64", "values": [4,1,3]}], "attributes": {"batch_axis": 0, "time_axis": 1}}
      ])"),
      lowered<tensor_scatter>("", "TensorScatter", 24, R"([
        {"inputs": [[2,3,5,2], [2,3,2,2], {"dims": [2], "dtype": "int64", "values": [1,3]}]},
        {"inputs": [[2,4,3], [2,3,3], {"dims": [2], "dtype": "int64", "values": [3,0]}], "attributes": {"mode": "circular"}},
        {"inputs": [[2,2,5], [2,2,3]], "attributes": {"axis": 2}}
      ])"),
  };
}

}  // namespace bitwright
