// Discrete Fourier transforms: DFT and STFT. Linear, as one product with the matrix of cosines and sines; signals of operators in networks are short.
#include <cmath>

#include "ops/families.h"
#include "ops/lowered.h"
#include "ops/rearrangement.h"

namespace bitwright {

namespace {

using Id = Lowering::Id;

// Elements of a matrix beyond which it would not be one product any more.
constexpr int64_t kMostElements = int64_t{1} << 26;

struct Transform {
  int64_t length;       // of the signal that is transformed
  int64_t taken, bins;  // elements that are read and given
  bool complex;         // whether what is read is complex
  bool inverse = false, real = false;  // whether only real parts are given, of a spectrum whose other half is the mirror image
};

// [taken * parts read, bins * parts given]; parts are real and imaginary ones, next to each other.
Id fourier_matrix(Lowering& program, const Transform& t) {
  const int64_t read = t.complex ? 2 : 1, given = t.real ? 1 : 2, rows = t.taken * read, columns = t.bins * given;
  if (t.length < 1) invalid_model("a Fourier transform of " + std::to_string(t.length) + " elements");
  if (rows > kMostElements / std::max<int64_t>(1, columns)) unsupported("Fourier transforms of " + std::to_string(t.length) + " elements are not supported");
  const double turn = 2 * std::acos(-1.0) / static_cast<double>(t.length), scale = t.inverse ? 1.0 / static_cast<double>(t.length) : 1;
  std::vector<double> matrix(rows * columns);
  for (int64_t n = 0; n < t.taken; ++n) {
    const bool mirrored = t.real && n > 0 && 2 * n != t.length;
    for (int64_t k = 0; k < t.bins; ++k) {
      const double angle = turn * static_cast<double>(n * k % t.length) * (t.inverse ? 1 : -1), factor = scale * (mirrored ? 2 : 1);
      const double parts[2][2] = {{factor * std::cos(angle), factor * std::sin(angle)}, {-factor * std::sin(angle), factor * std::cos(angle)}};
      for (int64_t i = 0; i < read; ++i)
        for (int64_t o = 0; o < given; ++o) matrix[(n * read + i) * columns + k * given + o] = parts[i][o];
    }
  }
  return program.reals({rows, columns}, matrix);
}

// The transform of the axis before the last, of `taken` elements.
Id transformed(Lowering& program, Id x, const Transform& transform) {
  Shape shape = program.shape(x);
  const Id matrix = fourier_matrix(program, transform);
  Shape lines(shape.begin(), shape.end() - 2);
  lines.push_back(program.dim(matrix, 0));
  const Id product = program.product(program.reshape(x, lines), matrix);
  shape.end()[-2] = transform.bins;
  shape.back() = transform.real ? 1 : 2;
  return program.reshape(product, shape);
}

bool is_complex(const Shape& shape) {
  if (shape.size() < 2 || shape.back() < 1 || shape.back() > 2) invalid_model("expected a signal with real and, if any, imaginary parts as its last axis, received shape " + to_string(shape));
  return shape.back() == 2;
}

void dft(Lowering& program) {
  const Attributes& attributes = program.attributes();
  const bool inverse = attributes.integer("inverse", 0) != 0, onesided = attributes.integer("onesided", 0) != 0;
  const Id x = program.input(0);
  const Shape shape = program.shape(x);
  const bool complex = is_complex(shape);
  const int rank = static_cast<int>(shape.size());
  const int64_t given_axis = program.opset() < 20 ? attributes.integer("axis", 1) : program.has(2) ? static_cast<int64_t>(program.number(program.input(2))) : -2;
  const int axis = normalize_axis(given_axis, rank);
  if (axis == rank - 1) invalid_model("the last axis holds real and imaginary parts");
  if (onesided && complex != inverse) invalid_model("a one-sided transform takes real signals, its inverse complex ones");
  const bool real = onesided && inverse;
  Transform transform{program.has(1) ? static_cast<int64_t>(program.number(program.input(1))) : real ? 2 * (shape[axis] - 1) : shape[axis], 0, 0, complex, inverse, real};
  transform.bins = onesided && !inverse ? transform.length / 2 + 1 : transform.length;
  // What is longer is cut, and what is shorter goes on with zeros, which add nothing.
  transform.taken = std::min(shape[axis], real ? transform.length / 2 + 1 : transform.length);
  std::vector<int64_t> order;
  for (int i = 0; i < rank; ++i)
    if (i != axis && i != rank - 1) order.push_back(i);
  order.insert(order.end(), {axis, rank - 1});
  std::vector<int64_t> back(rank);
  for (int i = 0; i < rank; ++i) back[order[i]] = i;
  const Id line = program.slice(program.transpose(x, order), rank - 2, 0, transform.taken);
  program.output(0, program.transpose(transformed(program, line, transform), back));
}

void stft(Lowering& program) {
  const bool onesided = program.attributes().integer("onesided", 1) != 0;
  Id signal = program.input(0);
  Shape shape = program.shape(signal);
  if (shape.size() == 2) shape.push_back(1);
  signal = program.reshape(signal, shape);
  const bool complex = is_complex(shape);
  if (shape.size() != 3 || (complex && onesided)) invalid_model("STFT does not take a signal of shape " + to_string(shape));
  const auto step = static_cast<int64_t>(program.number(program.input(1)));
  const int64_t length = program.has(3) ? static_cast<int64_t>(program.number(program.input(3))) : program.has(2) ? program.at(program.input(2)).count() : shape[1];
  if (step < 1 || length < 1 || length > shape[1] || (program.has(2) && program.at(program.input(2)).count() != length))
    invalid_model("STFT with frames of " + std::to_string(length) + " elements, " + std::to_string(step) + " apart, of a signal of shape " + to_string(shape));
  const int64_t frames = (shape[1] - length) / step + 1;
  program.expect({frames, length});
  std::vector<int64_t> places;
  for (int64_t frame = 0; frame < frames; ++frame)
    for (int64_t i = 0; i < length; ++i) places.push_back(frame * step + i);
  Id x = program.reshape(program.apply("Gather", {signal, program.list(places)}, {{"axis", 1}}), {shape[0], frames, length, shape[2]});
  if (program.has(2)) x = program.multiply(x, program.reshape(program.input(2), {length, 1}));
  program.output(0, transformed(program, x, {length, length, onesided ? length / 2 + 1 : length, complex}));
}

}  // namespace

std::vector<Row> spectrum_rows() {
  return {
      lowered<dft>("", "DFT", 17, R"([
        {"inputs": [[2,9,1]], "opset": 17},
        {"inputs": [[2,8,3,2]], "attributes": {"inverse": 1}, "opset": 17},
        {"inputs": [[2,3,10,1], {"dims": [], "dtype": "int64", "values": [7], "constant": true}, {"dims": [], "dtype": "int64", "values": [-2], "constant": true}], "attributes": {"onesided": 1}, "opset": 20},
        {"inputs": [[2,5,2], {"dims": [], "dtype": "int64", "values": [8], "constant": true}, {"dims": [], "dtype": "int64", "values": [1], "constant": true}], "opset": 20}
      ])"),
      lowered<stft>("", "STFT", 17, R"([
        {"inputs": [[2,19,1], {"dims": [], "dtype": "int64", "values": [4], "constant": true}, [8]]},
        {"inputs": [[1,16,1], {"dims": [], "dtype": "int64", "values": [5], "constant": true}, [6], {"dims": [], "dtype": "int64", "values": [6], "constant": true}], "attributes": {"onesided": 0}}
      ])"),
  };
}

}  // namespace bitwright
