// Attention and rotary position embedding, as ONNX has them since operator set 23 and as onnxruntime fuses them. They differ in how queries, keys and
// values arrive and in what is masked; in between all are softmax(scale q k' + bias) v.
#include <cmath>
#include <limits>

#include "ops/families.h"
#include "ops/lowered.h"

namespace bitwright {

namespace {

using Id = Lowering::Id;
constexpr Id kNone = Lowering::kNone;
constexpr double kLowest = std::numeric_limits<float>::lowest();

// [batch, length, heads * size] to [batch, heads, length, size]
Id split_heads(Lowering& program, Id x, int64_t heads) {
  const Shape shape = program.shape(x);
  if (shape.size() != 3 || heads < 1 || shape[2] % heads != 0) invalid_model("shape " + to_string(shape) + " does not divide into " + std::to_string(heads) + " heads");
  return program.transpose(program.reshape(x, {shape[0], shape[1], heads, shape[2] / heads}), {0, 2, 1, 3});
}

Id join_heads(Lowering& program, Id x) {
  const Shape shape = program.shape(x);
  return program.reshape(program.transpose(x, {0, 2, 1, 3}), {shape[0], shape[2], shape[1] * shape[3]});
}

struct Attention {
  Id query, key, value;          // [batch, heads, length, size]; heads of keys and values may be shared by neighbouring queries
  double scale = 0;              // 0: 1 / sqrt(size)
  double softcap = 0;
  std::vector<Id> biases;        // added to the scores, or left out
  Id allowed = kNone;            // bool: where false, no attention
};

struct Scores {
  Id raw, biased, capped, weights, result;
};

Scores attend(Lowering& program, const Attention& a) {
  const Shape query = program.shape(a.query), key = program.shape(a.key), value = program.shape(a.value);
  if (query.size() != 4 || key.size() != 4 || value.size() != 4 || key[1] < 1 || query[1] % key[1] != 0 || value[1] != key[1] || value[2] != key[2] ||
      key[3] != query[3])
    invalid_model("queries " + to_string(query) + ", keys " + to_string(key) + " and values " + to_string(value) + " do not fit");
  const int64_t together = query[1] / key[1];
  const Id rows = program.reshape(a.query, {query[0], key[1], together * query[2], query[3]});
  const Id products = program.reshape(program.product(rows, program.transpose(a.key, {0, 1, 3, 2})), {query[0], query[1], query[2], key[2]});
  Scores scores;
  scores.raw = program.scaled(products, a.scale == 0 ? 1 / std::sqrt(static_cast<double>(query[3])) : a.scale);
  scores.capped = a.softcap == 0 ? scores.raw : program.scaled(program.apply("Tanh", {program.scaled(scores.raw, 1 / a.softcap)}), a.softcap);
  scores.biased = scores.capped;
  for (const Id bias : a.biases)
    if (bias != kNone) scores.biased = program.add(scores.biased, bias);
  if (a.allowed != kNone) scores.biased = program.apply("Where", {a.allowed, scores.biased, program.real(kLowest)});
  scores.weights = program.apply("Softmax", {scores.biased}, {{"axis", -1}});
  // A query that sees no key gives zeros.
  if (a.allowed != kNone) scores.weights = program.apply("Where", {a.allowed, scores.weights, program.real(0)});
  const Id result = program.product(program.reshape(scores.weights, {query[0], key[1], together * query[2], key[2]}), a.value);
  scores.result = program.reshape(result, {query[0], query[1], query[2], value[3]});
  return scores;
}

// Query i sees keys up to past + i.
Id causal(Lowering& program, int64_t queries, int64_t keys, int64_t past) {
  std::vector<bool> allowed;
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t j = 0; j < keys; ++j) allowed.push_back(j <= past + i);
  return program.flags({queries, keys}, allowed);
}

Id with_past(Lowering& program, Id past, Id now) { return past == kNone || program.dim(past, 2) == 0 ? now : program.concat({past, now}, 2); }

double scale_of(const Lowering& program) { return program.attributes().real("scale", 0); }

// onnxruntime's kernels do not hide anything from the last query, which matters where there are more keys than queries.
Id unidirectional(Lowering& program, int64_t queries, int64_t keys, int64_t past) {
  if (program.attributes().integer("unidirectional", 0) == 0) return kNone;
  std::vector<bool> allowed;
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t j = 0; j < keys; ++j) allowed.push_back(j <= past + i || i == queries - 1);
  return program.flags({queries, keys}, allowed);
}

// Forms of a mask that Attention takes and MultiHeadAttention does not: ends and starts of the keys, and a single flag for none.
enum class MaskForms { all, without_starts };

// onnxruntime's forms of a mask over keys, as a bias: ends, ends and starts, or a flag for each key, or for each query and key. Shapes that its
// kernels for the CPU refuse are refused.
Id mask_bias(Lowering& program, Id mask, int64_t batch, int64_t queries, int64_t keys, MaskForms forms) {
  if (mask == kNone) return kNone;
  const double hidden = program.attributes().real("mask_filter_value", -10000);
  const Shape shape = program.shape(mask);
  if (forms == MaskForms::all && (shape == Shape{batch, 1} || shape == Shape{1, 1})) return kNone;
  const std::vector<int64_t> flags = program.integers(mask);
  std::vector<double> bias;
  const bool starts = forms == MaskForms::all && shape == Shape{2 * batch};
  // Of 3 * batch + 2 numbers the kernels read the first, the ends.
  if (shape == Shape{batch} || starts || shape == Shape{3 * batch + 2}) {
    for (int64_t b = 0; b < batch; ++b) {
      if (flags[b] < 0) invalid_model("a mask ends the keys of a sample at " + std::to_string(flags[b]));
      for (int64_t k = 0; k < keys; ++k) bias.push_back(k < flags[b] && (!starts || k >= flags[batch + b]) ? 0 : hidden);
    }
    return program.reals({batch, 1, 1, keys}, bias);
  }
  for (const int64_t flag : flags) bias.push_back(flag > 0 ? 0 : hidden);
  if (shape == Shape{batch, keys}) return program.reals({batch, 1, 1, keys}, bias);
  if (shape == Shape{batch, queries, keys}) return program.reals({batch, 1, queries, keys}, bias);
  unsupported("a mask of shape " + to_string(shape) + " over " + std::to_string(queries) + " queries and " + std::to_string(keys) + " keys of " +
              std::to_string(batch) + " samples is not supported");
}

Id pass(Lowering& program, Id x) { return program.apply("Identity", {x}); }

// ---- onnxruntime's Attention and MultiHeadAttention ----

void fused_attention(Lowering& program) {
  const Attributes& attributes = program.attributes();
  if (attributes.integer("do_rotary", 0) != 0 || program.has(6)) unsupported("Attention with rotary embedding or a shared buffer of the past is not supported");
  const int64_t heads = attributes.integer("num_heads", 0);
  Id projected = program.product(program.input(0), program.input(1));
  if (program.has(2)) projected = program.add(projected, program.input(2));
  const int64_t third = program.dim(projected, -1) / 3;
  const std::vector<int64_t> sizes = attributes.integers("qkv_hidden_sizes", {third, third, third});
  if (sizes.size() != 3) invalid_model("attribute 'qkv_hidden_sizes' must have three elements");
  const std::vector<Id> parts = program.apply("Split", {projected, program.list(sizes)}, 3, {{"axis", 2}});
  Attention a{split_heads(program, parts[0], heads), split_heads(program, parts[1], heads), split_heads(program, parts[2], heads)};
  int64_t past = 0;
  if (program.has(4)) {
    const Id both = program.input(4);
    past = program.dim(both, 3);
    const auto one = [&](int64_t i) {
      const Shape shape = program.shape(both);
      return program.reshape(program.slice(both, 0, i, i + 1), {shape.begin() + 1, shape.end()});
    };
    a.key = with_past(program, one(0), a.key);
    a.value = with_past(program, one(1), a.value);
  }
  const int64_t batch = program.dim(a.query, 0), queries = program.dim(a.query, 2), keys = program.dim(a.key, 2);
  a.scale = scale_of(program);
  a.biases = {mask_bias(program, program.optional(3), batch, queries, keys, MaskForms::all), program.optional(5)};
  a.allowed = unidirectional(program, queries, keys, past);
  program.output(0, join_heads(program, attend(program, a).result));
  if (!program.wanted(1)) return;
  const auto stacked = [&](Id x) {
    Shape shape = program.shape(x);
    shape.insert(shape.begin(), 1);
    return program.reshape(x, shape);
  };
  program.output(1, program.concat({stacked(a.key), stacked(a.value)}, 0));
}

void multi_head_attention(Lowering& program) {
  const Attributes& attributes = program.attributes();
  if (program.inputs() > 8) unsupported("MultiHeadAttention with a shared buffer of the past is not supported");
  const int64_t heads = attributes.integer("num_heads", 0);
  Id query = program.input(0), key = program.optional(1), value = program.optional(2);
  if (program.rank(query) == 5 || (key != kNone && value == kNone)) {
    // Packed as [batch, length, heads, 3 or 2, size].
    const bool all = program.rank(query) == 5;
    const Id packed = all ? query : key;
    const Shape shape = program.shape(packed);
    if (shape.size() != 5) invalid_model("packed keys and values need rank 5, not shape " + to_string(shape));
    const auto part = [&](int64_t i) { return program.reshape(program.slice(packed, 3, i, i + 1), {shape[0], shape[1], shape[2] * shape[4]}); };
    if (all) query = part(0);
    key = part(all ? 1 : 0);
    value = part(all ? 2 : 1);
  }
  if (key == kNone || value == kNone) invalid_model("MultiHeadAttention lacks keys or values");
  const int64_t width = program.dim(query, -1);
  // Keys and values may come with heads of their own, and then without bias.
  const auto heads_of = [&](Id x, int64_t begin, int64_t size) {
    if (program.rank(x) == 4) return x;
    if (program.has(3)) x = program.add(x, program.slice(program.input(3), 0, begin, begin + size));
    return split_heads(program, x, heads);
  };
  Attention a{heads_of(query, 0, width), heads_of(key, width, width), heads_of(value, 2 * width, program.dim(value, -1))};
  const int64_t past = program.has(6) ? program.dim(program.input(6), 2) : 0;
  a.key = with_past(program, program.optional(6), a.key);
  a.value = with_past(program, program.optional(7), a.value);
  const int64_t queries = program.dim(a.query, 2), keys = program.dim(a.key, 2);
  a.scale = scale_of(program);
  a.biases = {mask_bias(program, program.optional(4), program.dim(a.query, 0), queries, keys, MaskForms::without_starts), program.optional(5)};
  a.allowed = unidirectional(program, queries, keys, past);
  const Scores scores = attend(program, a);
  program.output(0, join_heads(program, scores.result));
  if (program.wanted(1)) program.output(1, pass(program, a.key));
  if (program.wanted(2)) program.output(2, pass(program, a.value));
  if (program.wanted(3)) program.output(3, scores.raw);
}

// ---- Rotary embedding ----

// x: [batch, heads, length, size]; cosines and sines: [batch or 1, length, half of what is turned].
Id rotated(Lowering& program, Id x, Id cosine, Id sine, bool interleaved) {
  const Shape shape = program.shape(x);
  const int64_t half = program.dim(cosine, -1), size = shape[3];
  if (2 * half > size || program.shape(sine) != program.shape(cosine))
    invalid_model("cosines " + to_string(program.shape(cosine)) + " and sines " + to_string(program.shape(sine)) + " do not fit shape " + to_string(shape));
  const auto of_heads = [&](Id table) { return program.reshape(table, {program.dim(table, 0), 1, program.dim(table, 1), half}); };
  cosine = of_heads(cosine);
  sine = of_heads(sine);
  const Id turned = program.slice(x, 3, 0, 2 * half);
  const Shape pairs{shape[0], shape[1], shape[2], half, 2};
  const auto part = [&](int64_t i) {
    if (!interleaved) return program.slice(turned, 3, i * half, (i + 1) * half);
    return program.reshape(program.slice(program.reshape(turned, pairs), 4, i, i + 1), {shape[0], shape[1], shape[2], half});
  };
  const Id first = part(0), second = part(1);
  Id real = program.apply("Sub", {program.multiply(first, cosine), program.multiply(second, sine)});
  Id imaginary = program.add(program.multiply(first, sine), program.multiply(second, cosine));
  Id result;
  if (interleaved) {
    const Shape single{shape[0], shape[1], shape[2], half, 1};
    result = program.reshape(program.concat({program.reshape(real, single), program.reshape(imaginary, single)}, 4), {shape[0], shape[1], shape[2], 2 * half});
  } else {
    result = program.concat({real, imaginary}, 3);
  }
  return 2 * half == size ? result : program.concat({result, program.slice(x, 3, 2 * half, size)}, 3);
}

// Rows of a table of cosines or sines: [batch, length, half].
Id rows_at(Lowering& program, Id table, const std::vector<int64_t>& positions, int64_t batch) {
  const auto count = static_cast<int64_t>(positions.size());
  if (batch < 1 || count % batch != 0) invalid_model(std::to_string(count) + " positions do not divide into " + std::to_string(batch) + " samples");
  const int64_t length = count / batch;
  return program.reshape(program.apply("Gather", {table, program.list(positions)}), {batch, length, program.dim(table, 1)});
}

void rotate_input(Lowering& program, Id x, int64_t heads, Id cosine, Id sine, bool interleaved) {
  const int64_t turned_part = program.attributes().integer("rotary_embedding_dim", 0);
  if (turned_part > 0 && turned_part != 2 * program.dim(cosine, -1))
    invalid_model("attribute 'rotary_embedding_dim' is " + std::to_string(turned_part) + ", and the tables are for " + std::to_string(2 * program.dim(cosine, -1)));
  const bool flat = program.rank(x) == 3;
  if (!flat && program.rank(x) != 4) invalid_model("rotary embedding takes three or four axes, not shape " + to_string(program.shape(x)));
  const Id turned = rotated(program, flat ? split_heads(program, x, heads) : x, cosine, sine, interleaved);
  program.output(0, flat ? join_heads(program, turned) : turned);
}

void rotary_embedding(Lowering& program) {
  const Attributes& attributes = program.attributes();
  const Id x = program.input(0);
  Id cosine = program.input(1), sine = program.input(2);
  if (program.has(3)) {
    const std::vector<int64_t> positions = program.integers(program.input(3));
    cosine = rows_at(program, cosine, positions, program.dim(x, 0));
    sine = rows_at(program, sine, positions, program.dim(x, 0));
  }
  rotate_input(program, x, attributes.integer("num_heads", 0), cosine, sine, attributes.integer("interleaved", 0) != 0);
}

// onnxruntime's has the positions before the tables, and may give only the first position.
void fused_rotary_embedding(Lowering& program) {
  const Attributes& attributes = program.attributes();
  if (attributes.integer("is_packed_batching", 0) != 0) unsupported("rotary embedding of packed batches is not supported");
  if (attributes.real("scale", 1) != 1) unsupported("rotary embedding with a scale is not supported");
  const Id x = program.input(0), cosine = program.input(2), sine = program.input(3);
  const bool flat = program.rank(x) == 3;
  const int64_t batch = program.dim(x, 0), length = program.dim(x, flat ? 1 : 2);
  std::vector<int64_t> positions = program.integers(program.input(1));
  if (positions.size() == 1) {
    const int64_t first = positions[0];
    positions.clear();
    for (int64_t i = 0; i < batch * length; ++i) positions.push_back(first + i % length);
  }
  int64_t heads = attributes.integer("num_heads", 0);
  if (flat && heads == 0 && program.dim(cosine, 1) > 0) heads = program.dim(x, 2) / (2 * program.dim(cosine, 1));
  rotate_input(program, x, heads, rows_at(program, cosine, positions, batch), rows_at(program, sine, positions, batch), attributes.integer("interleaved", 0) != 0);
}

// ---- onnxruntime's GroupQueryAttention ----

void group_query_attention(Lowering& program) {
  const Attributes& attributes = program.attributes();
  const int64_t heads = attributes.integer("num_heads", 0), shared = attributes.integer("kv_num_heads", 0);
  if (attributes.integer("smooth_softmax", 0) > 0 || program.has(11)) unsupported("GroupQueryAttention with a smooth softmax is not supported");
  if (attributes.text("k_quant_type", "NONE") != "NONE") unsupported("GroupQueryAttention with a quantized cache is not supported");
  if (heads < 1 || shared < 1) invalid_model("attributes 'num_heads' and 'kv_num_heads' must be positive");
  Id query = program.input(0), key = program.optional(1), value = program.optional(2);
  if (key == kNone) {
    const int64_t size = program.dim(query, 2) / (heads + 2 * shared);
    const std::vector<Id> parts = program.apply("Split", {query, program.list({heads * size, shared * size, shared * size})}, 3, {{"axis", 2}});
    query = parts[0], key = parts[1], value = parts[2];
  }
  query = split_heads(program, query, heads);
  key = split_heads(program, key, shared);
  value = split_heads(program, value, shared);
  const int64_t batch = program.dim(query, 0), length = program.dim(query, 2);
  // The last position of each sample, so its length is one more.
  const std::vector<int64_t> last = program.integers(program.input(5));
  const auto total = static_cast<int64_t>(program.number(program.input(6)));
  if (static_cast<int64_t>(last.size()) != batch) invalid_model("seqlens_k must have an element for each sample");
  const bool prompt = total == length;
  std::vector<int64_t> past;
  for (const int64_t position : last) past.push_back(prompt ? 0 : position + 1 - length);
  if (attributes.integer("do_rotary", 0) != 0) {
    std::vector<int64_t> positions;
    if (program.has(9)) positions = program.integers(program.input(9));
    else
      for (int64_t i = 0; i < batch * length; ++i) positions.push_back(past[i / length] + i % length);
    const Id cosine = rows_at(program, program.input(7), positions, batch), sine = rows_at(program, program.input(8), positions, batch);
    const bool interleaved = attributes.integer("rotary_interleaved", 0) != 0;
    query = rotated(program, query, cosine, sine, interleaved);
    key = rotated(program, key, cosine, sine, interleaved);
  }
  const auto buffer = [&](int i) { return program.has(i) ? program.dim(program.input(i), 2) : 0; };
  const int64_t keys = std::max(buffer(3), total);
  // The past of each sample, what is new, and room up to the buffer's end.
  const auto present = [&](Id now, int i) {
    if (prompt && keys == length) return now;
    std::vector<Id> samples;
    for (int64_t b = 0; b < batch; ++b) {
      const Id own = program.slice(now, 0, b, b + 1);
      const Shape shape = program.shape(own);
      if (past[b] < 0 || past[b] > buffer(i)) invalid_model("a past of " + std::to_string(past[b]) + " keys is not there");
      std::vector<Id> parts;
      if (past[b] > 0) parts.push_back(program.slice(program.slice(program.input(i), 0, b, b + 1), 2, 0, past[b]));
      parts.push_back(own);
      const int64_t rest = keys - past[b] - length, from = std::max(past[b] + length, std::int64_t{0});
      const int64_t old = std::min(rest, std::max<int64_t>(0, buffer(i) - from));
      if (old > 0) parts.push_back(program.slice(program.slice(program.input(i), 0, b, b + 1), 2, from, from + old));
      if (rest > old) parts.push_back(program.reals({1, shape[1], rest - old, shape[3]}, std::vector<double>(shape[1] * (rest - old) * shape[3])));
      samples.push_back(program.concat(parts, 2));
    }
    return program.concat(samples, 0);
  };
  Attention a{query, present(key, 3), present(value, 4)};
  a.scale = scale_of(program);
  a.softcap = attributes.real("softcap", 0);
  a.biases = {program.optional(10)};
  const int64_t window = attributes.integer("local_window_size", -1);
  std::vector<bool> allowed;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < length; ++i)
      for (int64_t j = 0; j < keys; ++j) allowed.push_back(j <= past[b] + i && (window < 0 || j > past[b] + i - window));
  a.allowed = program.flags({batch, 1, length, keys}, allowed);
  program.output(0, join_heads(program, attend(program, a).result));
  if (program.wanted(1)) program.output(1, pass(program, a.key));
  if (program.wanted(2)) program.output(2, pass(program, a.value));
}

// ---- ONNX's Attention ----

void attention(Lowering& program) {
  const Attributes& attributes = program.attributes();
  for (const char* side : {"left_window_size", "right_window_size"})
    if (attributes.integer(side, -1) != -1) unsupported("Attention with a window is not supported");
  Id query = program.input(0), key = program.input(1), value = program.input(2);
  const bool flat = program.rank(query) == 3;
  if (flat) {
    query = split_heads(program, query, attributes.integer("q_num_heads", 0));
    key = split_heads(program, key, attributes.integer("kv_num_heads", 0));
    value = split_heads(program, value, attributes.integer("kv_num_heads", 0));
  }
  const int64_t past = program.has(4) ? program.dim(program.input(4), 2) : 0;
  Attention a{query, with_past(program, program.optional(4), key), with_past(program, program.optional(5), value)};
  a.scale = scale_of(program);
  a.softcap = attributes.real("softcap", 0);
  const int64_t batch = program.dim(query, 0), queries = program.dim(query, 2), keys = program.dim(a.key, 2);
  Id flags = kNone;
  if (program.has(3)) {
    Id mask = program.input(3);
    const bool boolean = program.at(mask).dtype() == BW_BOOL;
    if (program.rank(mask) > 0 && program.dim(mask, -1) < keys && program.dim(mask, -1) != 1) {
      // Keys beyond the mask are not seen.
      Shape rest = program.shape(mask);
      rest.back() = keys - rest.back();
      const int64_t count = element_count(rest);
      mask = program.concat({mask, boolean ? program.flags(rest, std::vector<bool>(count)) : program.reals(rest, std::vector<double>(count, kLowest))}, program.rank(mask) - 1);
    }
    if (boolean) {
      flags = mask;
    } else {
      // Minus infinity hides a key as a flag does: where it hides all, a sum would be no number.
      flags = program.apply("Not", {program.apply("IsInf", {mask}, {{"detect_positive", 0}})});
      a.biases.push_back(program.apply("Where", {flags, mask, program.real(0)}));
    }
  }
  const auto both = [&](Id other) { flags = flags == kNone ? other : program.apply("And", {flags, other}); };
  const bool is_causal = attributes.integer("is_causal", 0) != 0;
  if (program.has(6)) {
    // Of each sample only so many keys are there, the last of which belongs to the last query.
    std::vector<bool> seen;
    for (const int64_t length : program.integers(program.input(6)))
      for (int64_t i = 0; i < queries; ++i)
        for (int64_t k = 0; k < keys; ++k) seen.push_back(k < length && (!is_causal || k <= length - queries + i));
    both(program.flags({batch, 1, queries, keys}, seen));
  } else if (is_causal) {
    both(causal(program, queries, keys, past));
  }
  a.allowed = flags;
  const Scores scores = attend(program, a);
  program.output(0, flat ? join_heads(program, scores.result) : scores.result);
  if (program.wanted(1)) program.output(1, pass(program, a.key));
  if (program.wanted(2)) program.output(2, pass(program, a.value));
  if (!program.wanted(3)) return;
  switch (attributes.integer("qk_matmul_output_mode", 0)) {
    case 0: return program.output(3, scores.raw);
    case 1: return program.output(3, scores.capped);
    case 2: return program.output(3, scores.biased);
    case 3: return program.output(3, scores.weights);
    default: invalid_model("attribute 'qk_matmul_output_mode' must be between 0 and 3");
  }
}

constexpr const char* kMicrosoft = "com.microsoft";

}  // namespace

std::vector<Row> attention_rows() {
  return {
      lowered<fused_attention>(kMicrosoft, "Attention", 1, R"([
        {"inputs": [[2,3,8], [8,24], [24]], "attributes": {"num_heads": 2}},
        {"inputs": [[2,3,8], [8,24], [24], {"dims": [2,3], "dtype": "int32", "values": [1,1,0,1,1,1], "constant": true}], "attributes": {"num_heads": 2, "scale": 0.4}},
        {"inputs": [[2,3,8], [8,24], [24], {"dims": [2], "dtype": "int32", "values": [2,3], "constant": true}], "attributes": {"num_heads": 4}},
        {"inputs": [[2,3,8], [8,24], [24], {"dims": [4], "dtype": "int32", "values": [3,2,1,0], "constant": true}], "attributes": {"num_heads": 2}},
        {"inputs": [[2,3,8], [8,24], [24], {"dims": [8], "dtype": "int32", "values": [2,1,0,3,6,0,2,3], "constant": true}], "attributes": {"num_heads": 2}},
        {"inputs": [[2,3,8], [8,24], [24], {"dims": [2,1], "dtype": "int32", "values": [0,1], "constant": true}], "attributes": {"num_heads": 2}},
        {"inputs": [[2,2,8], [8,24], [24], {"dims": [2,2,2], "dtype": "int32", "values": [1,0,1,1,0,1,1,1], "constant": true}], "attributes": {"num_heads": 2}},
        {"inputs": [[2,3,8], [8,24], [24]], "attributes": {"num_heads": 2, "unidirectional": 1}},
        {"inputs": [[1,2,8], [8,24], [24], null, [2,1,2,3,4]], "attributes": {"num_heads": 2, "unidirectional": 1}, "outputs": 2},
        {"inputs": [[1,2,8], [8,24], [24], null, null, [1,2,2,2]], "attributes": {"num_heads": 2}},
        {"inputs": [[2,3,6], [6,20], [20]], "attributes": {"num_heads": 2, "qkv_hidden_sizes": [8,8,4]}}
      ])"),
      lowered<multi_head_attention>(kMicrosoft, "MultiHeadAttention", 1, R"([
        {"inputs": [[2,3,8], [2,4,8], [2,4,6]], "attributes": {"num_heads": 2}},
        {"inputs": [[2,3,8], [2,3,8], [2,3,8], [24], {"dims": [2,3], "dtype": "int32", "values": [1,1,0,1,1,1], "constant": true}], "attributes": {"num_heads": 2}},
        {"inputs": [[2,3,8], [2,4,8], [2,4,8], null, {"dims": [8], "dtype": "int32", "values": [2,4,0,3,6,0,4,8], "constant": true}], "attributes": {"num_heads": 2}},
        {"inputs": [[2,2,8], [2,3,8], [2,3,8], null, {"dims": [2,2,3], "dtype": "int32", "values": [1,0,1,1,1,0,0,1,0,1,1,1], "constant": true}], "attributes": {"num_heads": 2}},
        {"inputs": [[2,3,8], [2,5,8], [2,5,8]], "attributes": {"num_heads": 2, "unidirectional": 1}},
        {"inputs": [[2,3,8], [2,3,8], [2,3,8], null, null, [1,2,3,3]], "attributes": {"num_heads": 2, "unidirectional": 1}},
        {"inputs": [[2,3,8], [2,2,4,4], [2,2,4,4]], "attributes": {"num_heads": 2, "scale": 0.3}},
        {"inputs": [[1,2,8], [1,2,8], [1,2,8], null, null, null, [1,2,3,4], [1,2,3,4]], "attributes": {"num_heads": 2}, "outputs": 3}
      ])"),
      lowered<group_query_attention>(kMicrosoft, "GroupQueryAttention", 1, R"([
        {"inputs": [[2,3,32], [2,3,16], [2,3,16], null, null, {"dims": [2], "dtype": "int32", "values": [2,2], "constant": true}, {"dims": [1], "dtype": "int32", "values": [3], "constant": true}],
         "attributes": {"num_heads": 4, "kv_num_heads": 2}, "outputs": 3},
        {"inputs": [[1,3,64], [1,3,32], [1,3,32], null, null, {"dims": [1], "dtype": "int32", "values": [2], "constant": true}, {"dims": [1], "dtype": "int32", "values": [3], "constant": true}, [5,8], [5,8]],
         "attributes": {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1}, "outputs": 3},
        {"inputs": [[1,1,32], [1,1,16], [1,1,16], [1,2,2,8], [1,2,2,8], {"dims": [1], "dtype": "int32", "values": [2], "constant": true}, {"dims": [1], "dtype": "int32", "values": [3], "constant": true}],
         "attributes": {"num_heads": 4, "kv_num_heads": 2, "scale": 0.4, "softcap": 0.5}, "outputs": 3},
        {"inputs": [[2,4,64], null, null, null, null, {"dims": [2], "dtype": "int32", "values": [3,3], "constant": true}, {"dims": [1], "dtype": "int32", "values": [4], "constant": true}],
         "attributes": {"num_heads": 4, "kv_num_heads": 2, "local_window_size": 2}, "outputs": 3}
      ])"),
      lowered<fused_rotary_embedding>(kMicrosoft, "RotaryEmbedding", 1, R"([
        {"inputs": [[2,3,8], {"dims": [2,3], "dtype": "int64", "values": [0,1,2,1,3,4], "constant": true}, [5,4], [5,4]]},
        {"inputs": [[2,2,3,6], {"dims": [1], "dtype": "int64", "values": [1], "constant": true}, [5,3], [5,3]], "attributes": {"interleaved": 1}},
        {"inputs": [[2,3,16], {"dims": [1], "dtype": "int64", "values": [0], "constant": true}, [4,2], [4,2]], "attributes": {"num_heads": 2, "rotary_embedding_dim": 4}}
      ])"),
      lowered<attention>("", "Attention", 23, R"([
        {"inputs": [[2,4,3,5], [2,4,6,5], [2,4,6,7]]},
        {"inputs": [[2,3,8], [2,3,4], [2,3,4]], "attributes": {"q_num_heads": 4, "kv_num_heads": 2, "is_causal": 1}},
        {"inputs": [[1,2,3,4], [1,2,5,4], [1,2,5,4], [3,5]], "attributes": {"scale": 0.3}, "outputs": 1},
        {"inputs": [[1,2,3,4], [1,2,3,4], [1,2,3,4], {"dims": [3,3], "dtype": "bool", "values": [1,0,0,1,1,0,1,0,1], "constant": true}], "attributes": {"softcap": 2.5}},
        {"inputs": [[1,2,3,4], [1,2,3,4], [1,2,3,4], {"dims": [3,3], "dtype": "bool", "values": [0,0,0,1,1,0,1,0,1], "constant": true}]},
        {"inputs": [[1,2,3,4], [1,2,5,4], [1,2,5,4], [3,5]], "attributes": {"softcap": 0.7, "qk_matmul_output_mode": 1}, "outputs": 4},
        {"inputs": [[1,2,3,4], [1,2,5,4], [1,2,5,4], [3,5]], "attributes": {"softcap": 0.7, "qk_matmul_output_mode": 2}, "outputs": 4},
        {"inputs": [[2,2,3,4], [2,2,5,4], [2,2,5,4], null, null, null, {"dims": [2], "dtype": "int64", "values": [5,2], "constant": true}], "attributes": {"is_causal": 1}, "opset": 24},
        {"inputs": [[1,2,2,4], [1,2,2,4], [1,2,2,4], null, [1,2,3,4], [1,2,3,4]], "outputs": 3}
      ])"),
      lowered<rotary_embedding>("", "RotaryEmbedding", 23, R"([
        {"inputs": [[2,2,3,8], [5,4], [5,4], {"dims": [2,3], "dtype": "int64", "values": [0,1,2,1,3,4], "constant": true}]},
        {"inputs": [[2,3,12], [2,3,3], [2,3,3]], "attributes": {"num_heads": 2, "interleaved": 1}},
        {"inputs": [[1,2,3,8], [1,3,2], [1,3,2]], "attributes": {"rotary_embedding_dim": 4}}
      ])"),
  };
}

}  // namespace bitwright
