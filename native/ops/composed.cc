// Operators that ONNX itself has and that others compose: norms and pools of powers, products over axes, Einsum, masks and one-hot rows.
#include <algorithm>
#include <cmath>
#include <string>

#include "ops/families.h"
#include "ops/lowered.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

using Id = Lowering::Id;

// |x|^p
Id power(Lowering& program, Id x, int64_t p) {
  if (p < 1) invalid_model("attribute 'p' must be positive");
  if (p == 1) return program.apply("Abs", {x});
  if (p == 2) return program.multiply(x, x);
  return program.apply("Pow", {program.apply("Abs", {x}), program.real(static_cast<double>(p))});
}

// The root of a sum of powers. At zero the derivative is taken to be 0.
Id root(Lowering& program, Id x, int64_t p) {
  if (p == 1) return x;
  const Id zero = program.apply("Equal", {x, program.real(0)}), other = program.apply("Where", {zero, program.real(1), x});
  const Id result = p == 2 ? program.apply("Sqrt", {other}) : program.apply("Pow", {other, program.real(1.0 / static_cast<double>(p))});
  return program.apply("Where", {zero, program.real(0), result});
}

// x / (bias + alpha / size * the sum of squares over the neighbouring channels)^beta
void lrn(Lowering& program) {
  const Attributes& attributes = program.attributes();
  const int64_t size = attributes.integer("size", 0);
  if (size < 1) invalid_model("attribute 'size' must be positive");
  const Id x = program.input(0);
  const Shape shape = program.shape(x);
  if (shape.size() < 3) invalid_model("LRN needs a spatial axis, shape " + to_string(shape) + " has none");
  const Id squares = program.reshape(program.multiply(x, x), {shape[0], 1, shape[1], element_count({shape.begin() + 2, shape.end()})});
  const Id mean = program.apply("AveragePool", {squares}, {{"kernel_shape", std::vector<int64_t>{size, 1}}, {"pads", std::vector<int64_t>{(size - 1) / 2, 0, size / 2, 0}}, {"count_include_pad", 1}});
  const Id scale = program.add(program.scaled(program.reshape(mean, shape), attributes.real("alpha", 1e-4f)), program.real(attributes.real("bias", 1)));
  program.output(0, program.multiply(x, program.apply("Pow", {scale, program.real(-attributes.real("beta", 0.75f))})));
}

void lp_normalization(Lowering& program) {
  const int64_t p = program.attributes().integer("p", 2);
  const Id x = program.input(0);
  const Id axes = program.list({program.attributes().integer("axis", -1)});
  const Id sums = program.apply("ReduceSum", {power(program, x, p), axes});
  // A line of zeros stays one.
  const Id divisors = program.apply("Where", {program.apply("Equal", {sums, program.real(0)}), program.real(1), sums});
  program.output(0, program.apply("Div", {x, root(program, divisors, p)}));
}

void lp_pool(Lowering& program) {
  const Attributes& attributes = program.attributes();
  const int64_t p = attributes.integer("p", 2);
  const std::vector<int64_t> kernel = attributes.integers("kernel_shape", {});
  if (attributes.integer("ceil_mode", 0) != 0) unsupported("LpPool with ceil_mode is not supported");
  Lowering::Settings settings{{"kernel_shape", kernel}, {"count_include_pad", 1}};
  for (const char* name : {"strides", "pads", "dilations"})
    if (attributes.has(name)) settings.push_back({name, attributes.integers(name, {})});
  const std::string auto_pad = attributes.text("auto_pad", "NOTSET");
  settings.push_back({"auto_pad", auto_pad.c_str()});
  const Id mean = program.apply("AveragePool", {power(program, program.input(0), p)}, settings);
  program.output(0, root(program, program.scaled(mean, static_cast<double>(element_count(kernel))), p));
}

void global_lp_pool(Lowering& program) {
  const int64_t p = program.attributes().integer("p", 2);
  const Id x = program.input(0);
  std::vector<int64_t> axes;
  for (int axis = 2; axis < program.rank(x); ++axis) axes.push_back(axis);
  program.output(0, root(program, program.apply("ReduceSum", {power(program, x, p), program.list(axes)}), p));
}

void mean_variance_normalization(Lowering& program) {
  const Id x = program.input(0);
  const Id axes = program.list(program.attributes().integers("axes", {0, 2, 3}));
  const Id centred = program.apply("Sub", {x, program.apply("ReduceMean", {x, axes})});
  const Id deviation = program.apply("Sqrt", {program.apply("ReduceMean", {program.multiply(centred, centred), axes})});
  program.output(0, program.apply("Div", {centred, program.add(deviation, program.real(1e-9))}));
}

// Before opset 21 scale and bias have an element for each group.
void group_normalization(Lowering& program) {
  const int64_t groups = program.attributes().integer("num_groups", 0), channels = program.rank(program.input(0)) > 1 ? program.dim(program.input(0), 1) : 0;
  if (groups < 1 || channels % groups != 0) invalid_model(std::to_string(channels) + " channels do not divide into " + std::to_string(groups) + " groups");
  const auto of_channels = [&](Id parameter) {
    return program.reshape(program.apply("Expand", {program.reshape(parameter, {groups, 1}), program.list({groups, channels / groups})}), {channels});
  };
  program.output(0, program.apply("GroupNormalization", {program.input(0), of_channels(program.input(1)), of_channels(program.input(2))},
                                  {{"num_groups", groups}, {"epsilon", static_cast<double>(program.attributes().real("epsilon", 1e-5f))}}));
}

// The part of each matrix above or below a diagonal. Chosen, not multiplied: what is cut off may be infinite.
void trilu(Lowering& program) {
  const Id x = program.input(0);
  const bool upper = program.attributes().integer("upper", 1) != 0;
  if (program.rank(x) < 2) invalid_model("Trilu takes matrices, not shape " + to_string(program.shape(x)));
  const int64_t diagonal = program.has(1) ? static_cast<int64_t>(program.number(program.input(1))) : 0, rows = program.dim(x, -2), columns = program.dim(x, -1);
  std::vector<bool> kept;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) kept.push_back(upper ? j - i >= diagonal : j - i <= diagonal);
  program.output(0, program.apply("Where", {program.flags({rows, columns}, kept), x, program.zero(program.at(x).dtype())}));
}

// values[1] where an index says so, values[0] elsewhere.
void one_hot(Lowering& program) {
  const Id indices = program.input(0), values = program.input(2);
  const auto depth = static_cast<int64_t>(program.number(program.input(1)));
  const Shape& shape = program.shape(indices);
  const int axis = normalize_axis(program.attributes().integer("axis", -1), program.rank(indices) + 1);
  if (depth < 0 || program.at(values).count() != 2) invalid_model("OneHot needs a depth that is not negative, and two values");
  if (is_float(program.at(indices).dtype())) unsupported("OneHot of float indices is not supported");
  Shape out = shape;
  out.insert(out.begin() + axis, depth);
  const int64_t inner = element_count({shape.begin() + axis, shape.end()});
  program.expect(out, 1);
  std::vector<bool> hot(element_count(out));
  const std::vector<int64_t> places = program.integers(indices);
  for (int64_t i = 0; i < static_cast<int64_t>(places.size()); ++i) {
    const int64_t at = places[i] < 0 ? places[i] + depth : places[i];
    if (at >= 0 && at < depth) hot[(i / inner * depth + at) * inner + i % inner] = true;
  }
  program.output(0, program.apply("Where", {program.flags(out, hot), program.slice(values, 0, 1, 2), program.slice(values, 0, 0, 1)}));
}

// The product over axes by halves: exact derivatives also where elements are 0.
void reduce_product(Lowering& program) {
  const Attributes& attributes = program.attributes();
  const Id x = program.input(0);
  const Shape shape = program.shape(x);
  const std::vector<int64_t> given = program.has(1) ? program.integers(program.input(1)) : attributes.integers("axes", {});
  if (given.empty() && attributes.integer("noop_with_empty_axes", 0) != 0) return program.output(0, program.apply("Identity", {x}));
  std::vector<int64_t> order, kept;
  Shape out, result;
  std::vector<int> reduced = normalize_axes(given, program.rank(x));
  for (int axis = 0; axis < program.rank(x); ++axis) {
    const bool reduce = given.empty() || std::find(reduced.begin(), reduced.end(), axis) != reduced.end();
    (reduce ? order : kept).push_back(axis);
    if (!reduce) out.push_back(shape[axis]);
    if (!reduce || attributes.integer("keepdims", 1) != 0) result.push_back(reduce ? 1 : shape[axis]);
  }
  const int64_t rest = element_count(out);
  order.insert(order.end(), kept.begin(), kept.end());
  int64_t count = rest == 0 ? 0 : program.at(x).count() / rest;
  if (count == 0 && rest != 0) invalid_model("nothing has no product: shape " + to_string(shape));
  Id part = program.reshape(program.transpose(x, order), {count, rest});
  for (; count > 1; count = (count + 1) / 2) {
    const int64_t half = count / 2;
    Id halved = program.multiply(program.slice(part, 0, 0, half), program.slice(part, 0, half, 2 * half));
    if (count % 2 != 0) halved = program.concat({halved, program.slice(part, 0, 2 * half, count)}, 0);
    part = halved;
  }
  program.output(0, program.reshape(part, result));
}

// ---- Einsum ----

struct Term {
  Id id;
  std::string labels;  // one for each axis
};

// Letters for the axes that an ellipsis stands for, the last axis first, so that operands line up at their ends.
constexpr char kEllipsis = '\x01';

std::string expanded(const std::string& text, int64_t rank) {
  const size_t dots = text.find("...");
  if (dots == std::string::npos) return text;
  std::string labels = text.substr(0, dots);
  const int64_t hidden = rank - static_cast<int64_t>(text.size() - 3);
  if (hidden < 0 || hidden > 20) invalid_model("the equation of Einsum does not fit an operand of rank " + std::to_string(rank));
  for (int64_t i = hidden; i-- > 0;) labels += static_cast<char>(kEllipsis + i);
  return labels + text.substr(dots + 3);
}

// The diagonals of axes with one label, and sums over those that nothing else needs.
Term simplified(Lowering& program, Term term, const std::string& needed) {
  for (size_t i = 0; i < term.labels.size(); ++i) {
    const size_t j = term.labels.find(term.labels[i], i + 1);
    if (j == std::string::npos) continue;
    const int64_t size = program.dim(term.id, static_cast<int>(i));
    if (program.dim(term.id, static_cast<int>(j)) != size) invalid_model("Einsum takes the diagonal of an axis pair of different sizes");
    Shape shape(term.labels.size(), 1);
    shape[i] = shape[j] = size;
    std::vector<bool> diagonal(size * size);
    for (int64_t k = 0; k < size; ++k) diagonal[k * size + k] = true;
    const Id masked = program.apply("Where", {program.flags(shape, diagonal), term.id, program.zero(program.at(term.id).dtype())});
    term.id = program.apply("ReduceSum", {masked, program.list({static_cast<int64_t>(j)})}, {{"keepdims", 0}});
    term.labels.erase(j, 1);
    --i;
  }
  std::vector<int64_t> axes;
  std::string kept;
  for (size_t i = 0; i < term.labels.size(); ++i) {
    if (needed.find(term.labels[i]) == std::string::npos)
      axes.push_back(static_cast<int64_t>(i));
    else
      kept += term.labels[i];
  }
  if (!axes.empty()) term = {program.apply("ReduceSum", {term.id, program.list(axes)}, {{"keepdims", 0}}), kept};
  return term;
}

Term ordered(Lowering& program, const Term& term, const std::string& labels) {
  if (labels == term.labels) return term;
  std::vector<int64_t> order;
  for (const char label : labels) order.push_back(static_cast<int64_t>(term.labels.find(label)));
  return {program.transpose(term.id, order), labels};
}

// A term without those axes of size 1 that another has longer: they are stretched, as in any product.
Term unstretched(Lowering& program, const Term& term, const Term& other) {
  Shape shape;
  std::string labels;
  for (size_t i = 0; i < term.labels.size(); ++i) {
    const int64_t size = program.dim(term.id, static_cast<int>(i));
    const size_t at = other.labels.find(term.labels[i]);
    if (size == 1 && at != std::string::npos && program.dim(other.id, static_cast<int>(at)) != 1) continue;
    shape.push_back(size);
    labels += term.labels[i];
  }
  return labels == term.labels ? term : Term{program.reshape(term.id, shape), labels};
}

// One product of matrices: over labels that only the two have, for each of those that both have and others need.
Term joined(Lowering& program, const Term& a, const Term& b, const std::string& needed) {
  std::string batch, summed, left, right;
  for (const char label : a.labels) {
    const bool shared = b.labels.find(label) != std::string::npos;
    (!shared ? left : needed.find(label) != std::string::npos ? batch : summed) += label;
  }
  for (const char label : b.labels)
    if (a.labels.find(label) == std::string::npos) right += label;
  const Term first = ordered(program, a, batch + left + summed), second = ordered(program, b, batch + summed + right);
  const auto size = [&](const Term& term, const std::string& labels) {
    int64_t count = 1;
    for (const char label : labels) count *= program.dim(term.id, static_cast<int>(term.labels.find(label)));
    return count;
  };
  for (const char label : batch + summed)
    if (size(first, {label}) != size(second, {label})) invalid_model("Einsum's operands differ in the size of an axis that they share");
  const int64_t sets = size(first, batch), depth = size(first, summed);
  Shape shape;
  for (const char label : batch + left) shape.push_back(size(first, {label}));
  for (const char label : right) shape.push_back(size(second, {label}));
  const Id product = program.product(program.reshape(first.id, {sets, size(first, left), depth}), program.reshape(second.id, {sets, depth, size(second, right)}));
  return {program.reshape(product, shape), batch + left + right};
}

void einsum(Lowering& program) {
  std::string equation = program.attributes().text("equation", "");
  equation.erase(std::remove(equation.begin(), equation.end(), ' '), equation.end());
  const size_t arrow = equation.find("->");
  const std::string left = equation.substr(0, arrow);
  std::vector<Term> terms;
  std::string all, dots;
  for (size_t at = 0; at <= left.size();) {
    const size_t end = std::min(left.find(',', at), left.size());
    const Id id = program.input(static_cast<int>(terms.size()));
    const std::string labels = expanded(left.substr(at, end - at), program.rank(id));
    if (static_cast<int>(labels.size()) != program.rank(id)) invalid_model("the equation of Einsum does not fit an operand of shape " + to_string(program.shape(id)));
    terms.push_back({id, labels});
    all += labels;
    std::string hidden;
    for (const char label : labels)
      if (label < ' ') hidden += label;
    if (hidden.size() > dots.size()) dots = hidden;
    at = end + 1;
  }
  if (static_cast<int>(terms.size()) != program.inputs()) invalid_model("the equation of Einsum has another number of operands than the node");
  std::string result;
  if (arrow == std::string::npos) {
    for (const char label : all)
      if (label > ' ' && std::count(all.begin(), all.end(), label) == 1) result += label;
    std::sort(result.begin(), result.end());
    result = dots + result;
  } else {
    result = equation.substr(arrow + 2);
    const size_t at = result.find("...");
    if (at != std::string::npos) result.replace(at, 3, dots);
  }
  for (const char label : result)
    if (all.find(label) == std::string::npos) invalid_model("Einsum's result has a label that no operand has");
  const auto needed = [&](size_t first) {
    std::string labels = result;
    for (size_t i = first; i < terms.size(); ++i) labels += terms[i].labels;
    return labels;
  };
  Term sum = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    sum = simplified(program, sum, needed(i));
    const Term next = simplified(program, terms[i], sum.labels + needed(i + 1));
    sum = joined(program, unstretched(program, sum, next), unstretched(program, next, sum), needed(i + 1));
  }
  program.output(0, ordered(program, simplified(program, sum, result), result).id);
}

}  // namespace

std::vector<Row> composed_rows() {
  return {
      lowered<lrn>("", "LRN", 1, R"([
        {"inputs": [[2,7,3,4]], "attributes": {"size": 5, "alpha": 0.3, "beta": 0.6, "bias": 1.5}},
        {"inputs": [[2,6,3,2]], "attributes": {"size": 3}}
      ])"),
      lowered<lp_normalization>("", "LpNormalization", 1, R"([{"inputs": [[3,5]]}, {"inputs": [[3,4,2]], "attributes": {"axis": 1, "p": 1}},
        {"inputs": [{"dims": [2,3], "values": [0,0,0,3,0,4], "constant": true}]}])"),
      lowered<lp_pool>("", "LpPool", 2, R"([
        {"inputs": [[2,3,7,8]], "attributes": {"kernel_shape": [3,2], "strides": [2,2]}},
        {"inputs": [[2,3,9]], "attributes": {"kernel_shape": [3], "p": 3}}
      ])"),
      lowered<global_lp_pool>("", "GlobalLpPool", 2, R"([{"inputs": [[2,3,4,5]]}, {"inputs": [[2,3,4]], "attributes": {"p": 3}}])"),
      lowered<mean_variance_normalization>("", "MeanVarianceNormalization", 9, R"([{"inputs": [[3,2,4,3]]}])"),
      lowered<group_normalization>("", "GroupNormalization", 18, R"([{"inputs": [[2,6,3,2], [3], [3]], "attributes": {"num_groups": 3}, "opset": 18}])"),
      lowered<trilu>("", "Trilu", 14, R"([
        {"inputs": [[2,3,4]]}, {"inputs": [[4,3], {"dims": [], "dtype": "int64", "values": [-1], "constant": true}], "attributes": {"upper": 0}},
        {"inputs": [{"dims": [2,3], "dtype": "int64", "values": [1,2,3,4,5,6]}, {"dims": [], "dtype": "int64", "values": [1], "constant": true}]}
      ])"),
      lowered<one_hot>("", "OneHot", 9, R"([
        {"inputs": [{"dims": [2,3], "dtype": "int64", "values": [0,2,-1,4,1,3]}, {"dims": [1], "dtype": "int64", "values": [4], "constant": true}, [2]]},
        {"inputs": [{"dims": [3], "dtype": "int64", "values": [0,2,1]}, {"dims": [], "dtype": "int64", "values": [3], "constant": true}, [2]], "attributes": {"axis": 0}}
      ])"),
      lowered<reduce_product>("", "ReduceProd", 1, R"([
        {"inputs": [[2,3,4], {"dims": [1], "dtype": "int64", "values": [-1], "constant": true}], "opset": 18},
        {"inputs": [[2,5,3], {"dims": [2], "dtype": "int64", "values": [0,1], "constant": true}], "attributes": {"keepdims": 0}, "opset": 18},
        {"inputs": [[2,3,4]], "attributes": {"axes": [1]}, "opset": 11},
        {"inputs": [{"dims": [3], "values": [0.5,0,2]}], "opset": 18},
        {"inputs": [[2,3]], "attributes": {"noop_with_empty_axes": 1}, "opset": 18},
        {"inputs": [{"dims": [2,3], "dtype": "int64", "values": [1,5,-2,3,9,4]}, {"dims": [1], "dtype": "int64", "values": [1], "constant": true}], "opset": 18}
      ])"),
      lowered<einsum>("", "Einsum", 12, R"([
        {"inputs": [[3,4],[4,5]], "attributes": {"equation": "ij,jk->ik"}},
        {"inputs": [[2,3,4,5],[2,3,6,5]], "attributes": {"equation": "bhqd,bhkd->bhqk"}},
        {"inputs": [[2,3,4],[4,5]], "attributes": {"equation": "...i,ij->...j"}},
        {"inputs": [[2,3,4],[2,4]], "attributes": {"equation": "bij,bj"}},
        {"inputs": [[3,4]], "attributes": {"equation": "ij->ji"}},
        {"inputs": [[3,4,3]], "attributes": {"equation": "iji->j"}},
        {"inputs": [[2,3],[3,4],[4,2]], "attributes": {"equation": "ab, bc, cd -> ad"}},
        {"inputs": [[2,1],[3,4]], "attributes": {"equation": "ij,jk->ik"}},
        {"inputs": [[2,3,1,4],[1,3,5,4]], "attributes": {"equation": "bqhd,bqkd->bqhk"}},
        {"inputs": [[1,3,4],[2,4,5]], "attributes": {"equation": "...ij,...jk->...ik"}},
        {"inputs": [[1,3],[2,1],[2,3]], "attributes": {"equation": "ij,ij,ij->ij"}}
      ])"),
  };
}

}  // namespace bitwright
