// What onnxruntime fuses of normalizations, embeddings and activations.
#include "ops/families.h"
#include "ops/lowered.h"

namespace bitwright {

namespace {

using Id = Lowering::Id;
constexpr Id kNone = Lowering::kNone;

Id plus(Lowering& program, Id x, Id other) { return other == kNone ? x : program.add(x, other); }

double epsilon(const Lowering& program, float missing) { return program.attributes().real("epsilon", missing); }

// The normalized sum, the statistics and the sum itself.
void skip_layer_normalization(Lowering& program) {
  const Id sum = plus(program, program.add(program.input(0), program.input(1)), program.optional(4));
  const bool statistics = program.wanted(1) || program.wanted(2);
  const std::vector<Id> results = program.apply("LayerNormalization", {sum, program.input(2), program.optional(3)}, statistics ? 3 : 1, {{"axis", -1}, {"epsilon", epsilon(program, 1e-12f)}});
  program.output(0, results[0]);
  if (statistics) {
    program.output(1, results[1]);
    program.output(2, results[2]);
  }
  program.output(3, sum);
}

void skip_simplified_layer_normalization(Lowering& program) {
  const Id sum = plus(program, program.add(program.input(0), program.input(1)), program.optional(3));
  program.output(0, program.apply("RMSNormalization", {sum, program.input(2)}, {{"axis", -1}, {"epsilon", epsilon(program, 1e-12f)}}));
  program.output(3, sum);
}

// Embeddings of words, positions and segments, summed and normalized; also the number of tokens that the mask keeps.
void embed_layer_normalization(Lowering& program) {
  const Id ids = program.input(0), segments = program.optional(1);
  if (program.rank(ids) != 2) invalid_model("input_ids must have two axes, not shape " + to_string(program.shape(ids)));
  const int64_t batch = program.dim(ids, 0), length = program.dim(ids, 1);
  Id positions = program.optional(8);
  if (positions == kNone) {
    std::vector<int64_t> count;
    for (int64_t i = 0; i < length; ++i) count.push_back(i);
    positions = program.reshape(program.list(count), {1, length});
  }
  Id sum = program.add(program.apply("Gather", {program.input(2), ids}), program.apply("Gather", {program.input(3), positions}));
  if (segments != kNone) sum = program.add(sum, program.apply("Gather", {program.input(4), segments}));
  program.output(0, program.apply("LayerNormalization", {sum, program.input(5), program.input(6)}, {{"axis", -1}, {"epsilon", epsilon(program, 1e-12f)}}));
  if (program.wanted(1)) {
    const Id kept = program.has(7) ? program.apply("ReduceSum", {program.apply("Cast", {program.input(7)}, {{"to", BW_INT64}}), program.list({1})}, {{"keepdims", 0}})
                                   : program.list(std::vector<int64_t>(batch, 0));
    program.output(1, program.apply("Cast", {kept}, {{"to", BW_INT32}}));
  }
  program.output(2, sum);
}

void bias_gelu(Lowering& program) { program.output(0, program.apply("Gelu", {program.add(program.input(0), program.input(1))})); }

void fast_gelu(Lowering& program) {
  program.output(0, program.apply("Gelu", {plus(program, program.input(0), program.optional(1))}, {{"approximate", "tanh"}}));
}

// The last two axes swapped, or with transBatch the matrix axes first and last.
Id matrix(Lowering& program, Id x, bool transposed, bool batch) {
  const auto rank = static_cast<int64_t>(program.rank(x));
  std::vector<int64_t> order;
  for (int64_t axis = 0; axis < rank; ++axis) order.push_back(axis);
  if (rank < 2) return x;
  if (batch) {
    // The first axis is the rows': it goes behind the others but the last.
    order.erase(order.begin());
    order.insert(order.end() - 1, 0);
  }
  if (transposed) std::swap(order[rank - 1], order[rank - 2]);
  return transposed || batch ? program.transpose(x, order) : x;
}

void fused_matmul(Lowering& program) {
  const Attributes& attributes = program.attributes();
  const auto set = [&](const char* name) { return attributes.integer(name, 0) != 0; };
  const Id product = program.product(matrix(program, program.input(0), set("transA"), set("transBatchA")), matrix(program, program.input(1), set("transB"), set("transBatchB")));
  program.output(0, program.scaled(product, attributes.real("alpha", 1)));
}

constexpr const char* kMicrosoft = "com.microsoft";

}  // namespace

std::vector<Row> fused_rows() {
  return {
      lowered<skip_layer_normalization>(kMicrosoft, "SkipLayerNormalization", 1, R"([
        {"inputs": [[2,3,8], [2,3,8], [8], [8], [8]], "attributes": {"epsilon": 0.001}},
        {"inputs": [[2,3,8], [1,3,8], [8], [8]]}
      ])"),
      lowered<skip_simplified_layer_normalization>(kMicrosoft, "SkipSimplifiedLayerNormalization", 1, R"([
        {"inputs": [[2,3,8], [2,3,8], [8], [8]], "attributes": {"epsilon": 0.001}}, {"inputs": [[2,3,8], [3,8], [8]]}
      ])"),
      lowered<embed_layer_normalization>(kMicrosoft, "EmbedLayerNormalization", 1, R"([
        {"inputs": [{"dims": [2,3], "dtype": "int32", "values": [0,4,2,1,1,3]}, {"dims": [2,3], "dtype": "int32", "values": [0,0,1,0,1,1]}, [5,8], [6,8], [2,8], [8], [8],
                    {"dims": [2,3], "dtype": "int32", "values": [1,1,1,1,1,0]}], "outputs": 2, "attributes": {"epsilon": 0.001}},
        {"inputs": [{"dims": [2,3], "dtype": "int32", "values": [0,4,2,1,1,3]}, null, [5,8], [6,8], null, [8], [8]], "outputs": 2}
      ])"),
      lowered<bias_gelu>(kMicrosoft, "BiasGelu", 1, R"([{"inputs": [[2,3,8], [8]]}])"),
      lowered<fast_gelu>(kMicrosoft, "FastGelu", 1, R"([{"inputs": [[2,3,8], [8]]}, {"inputs": [[2,8]]}])"),
      lowered<fused_matmul>(kMicrosoft, "FusedMatMul", 1, R"([
        {"inputs": [[2,3,4], [2,5,4]], "attributes": {"transB": 1, "alpha": 0.5}},
        {"inputs": [[4,3], [4,5]], "attributes": {"transA": 1}},
        {"inputs": [[3,2,4], [2,4,5]], "attributes": {"transBatchA": 1}}
      ])"),
  };
}

}  // namespace bitwright
