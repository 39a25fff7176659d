// Values between the elements of pictures and volumes: GridSample and RoiAlign. Where they are taken are weighted sums of a few elements; the weights depend on
// the place smoothly between elements, and which elements they are does not count as a derivative.
#include <algorithm>
#include <cmath>

#include "ops/families.h"
#include "ops/lowered.h"

namespace bitwright {

namespace {

using Id = Lowering::Id;

std::vector<double> reals_of(const Tensor& tensor) {
  if (tensor.dtype() == BW_FLOAT64) return {tensor.data<double>(), tensor.data<double>() + tensor.count()};
  return {tensor.data<float>(), tensor.data<float>() + tensor.count()};
}

Id integers(Lowering& program, const std::vector<int64_t>& values, const Shape& shape) { return program.reshape(program.list(values), shape); }

// x limited to [low, high].
Id limited(Lowering& program, Id x, double low, double high) { return program.apply("Clip", {x, program.real(low), program.real(high)}); }

// The elements next to some places of an axis, and their weights.
struct Taps {
  int count;
  std::vector<int64_t> indices;  // [places, count]
  Id weights;                    // [places, count]
};

// ---- GridSample ----

class GridSampling {
 public:
  explicit GridSampling(const Attributes& attributes)
      : corners_(attributes.integer("align_corners", 0) != 0), mode_(attributes.text("mode", "linear")), padding_(attributes.text("padding_mode", "zeros")) {
    // Their names below operator set 20.
    if (mode_ == "bilinear") mode_ = "linear";
    if (mode_ == "bicubic") mode_ = "cubic";
    if (mode_ != "linear" && mode_ != "nearest" && mode_ != "cubic") unsupported("mode '" + mode_ + "' is not supported");
    if (padding_ != "zeros" && padding_ != "border" && padding_ != "reflection") unsupported("padding_mode '" + padding_ + "' is not supported");
  }

  bool cubic() const { return mode_ == "cubic"; }

  // @param at - Places in [-1, 1], [places, 1].
  Taps taps(Lowering& program, Id at, int64_t size) const {
    const double low = corners_ ? 0 : -0.5, high = static_cast<double>(size) - (corners_ ? 1 : 0.5);
    const double half = static_cast<double>(corners_ ? size - 1 : size) / 2;
    Id x = program.add(program.scaled(at, half), program.real(corners_ ? half : half - 0.5));
    if (mode_ == "nearest") return nearest(program, x, size, low, high);
    if (padding_ == "border" && !cubic()) x = limited(program, x, 0, static_cast<double>(size) - 1);
    if (padding_ == "reflection" && !cubic()) x = reflected(program, x, low, high);
    Taps taps{cubic() ? 4 : 2, {}, Lowering::kNone};
    std::vector<double> floors, inside;
    for (const double value : reals_of(program.at(x))) {
      floors.push_back(std::floor(value));
      for (int tap = 0; tap < taps.count; ++tap) add_index(taps, inside, floors.back() + tap - (cubic() ? 1 : 0), size, low, high);
    }
    const auto places = static_cast<int64_t>(floors.size());
    const Id part = program.apply("Sub", {x, program.reals({places, 1}, floors)});
    taps.weights = cubic() ? cubic_weights(program, part) : program.concat({program.apply("Sub", {program.real(1), part}), part}, 1);
    taps.weights = program.multiply(taps.weights, program.reals({places, taps.count}, inside));
    return taps;
  }

 private:
  Taps nearest(Lowering& program, Id x, int64_t size, double low, double high) const {
    Taps taps{1, {}, Lowering::kNone};
    std::vector<double> inside;
    for (const double value : reals_of(program.at(x))) add_index(taps, inside, std::nearbyint(value), size, low, high);
    taps.weights = program.reals({static_cast<int64_t>(inside.size()), 1}, inside);
    return taps;
  }

  void add_index(Taps& taps, std::vector<double>& inside, double index, int64_t size, double low, double high) const {
    const auto last = static_cast<double>(size - 1);
    const bool is_inside = index >= 0 && index <= last;
    inside.push_back(is_inside || padding_ != "zeros" ? 1 : 0);
    if (!is_inside && padding_ == "reflection") index = std::trunc(reflected(index, low, high));
    // What is not a number is nowhere; its weight is not a number either.
    taps.indices.push_back(static_cast<int64_t>(std::isnan(index) ? 0 : std::clamp(index, 0.0, last)));
  }

  static double reflected(double x, double low, double high) {
    const double range = high - low;
    if (range <= 0) return low;
    const double folded = x - low - 2 * range * std::floor((x - low) / (2 * range));
    return low + range - std::abs(folded - range);
  }

  // The same with derivatives.
  static Id reflected(Lowering& program, Id x, double low, double high) {
    const double range = high - low;
    if (range <= 0) return program.scaled(x, 0);
    std::vector<double> turns;
    for (const double value : reals_of(program.at(x))) turns.push_back(low + range + 2 * range * std::floor((value - low) / (2 * range)));
    const Id folded = program.apply("Sub", {x, program.reals(program.shape(x), turns)});
    return program.apply("Sub", {program.real(low + range), program.apply("Abs", {folded})});
  }

  // Keys' cubic convolution as polynomials of the way from one element to the next.
  static Id cubic_weights(Lowering& program, Id part) {
    constexpr double a = -0.75;
    const Id square = program.multiply(part, part), cube = program.multiply(square, part);
    const Id powers = program.concat({program.add(program.scaled(part, 0), program.real(1)), part, square, cube}, 1);
    const Id coefficients = program.reals({4, 4}, {0, 1, 0, 0,                   // 1
                                                   a, 0, -a, 0,                  // t
                                                   -2 * a, -(a + 3), 2 * a + 3, a,  // t^2
                                                   a, a + 2, -(a + 2), -a});        // t^3
    return program.product(powers, coefficients);
  }

  bool corners_;
  std::string mode_, padding_;
};

void grid_sample(Lowering& program) {
  const GridSampling sampling(program.attributes());
  const Id x = program.input(0), grid = program.input(1);
  const Shape shape = program.shape(x), places = program.shape(grid);
  const int rank = static_cast<int>(shape.size()), axes = rank - 2;
  if (axes < 1 || static_cast<int>(places.size()) != rank || places[0] != shape[0] || places[rank - 1] != axes)
    invalid_model("GridSample does not take a grid of shape " + to_string(places) + " for shape " + to_string(shape));
  if (sampling.cubic() && axes != 2) unsupported("GridSample with mode 'cubic' takes pictures");
  const int64_t each = element_count({places.begin() + 1, places.end() - 1}), count = shape[0] * each, size = element_count({shape.begin() + 2, shape.end()});
  if (size == 0) invalid_model("GridSample of nothing: shape " + to_string(shape));
  const Id coordinates = program.reshape(grid, {count, axes});
  Taps all{1, std::vector<int64_t>(count), Lowering::kNone};
  for (int axis = 0; axis < axes && count > 0; ++axis) {
    // Coordinates are in the order x, y, z.
    const Taps taps = sampling.taps(program, program.slice(coordinates, 1, axes - 1 - axis, axes - axis), shape[axis + 2]);
    std::vector<int64_t> indices;
    for (int64_t p = 0; p < count; ++p)
      for (int i = 0; i < all.count; ++i)
        for (int t = 0; t < taps.count; ++t) indices.push_back(all.indices[p * all.count + i] * shape[axis + 2] + taps.indices[p * taps.count + t]);
    all.weights = axis == 0 ? taps.weights
                            : program.reshape(program.multiply(program.reshape(all.weights, {count, all.count, 1}), program.reshape(taps.weights, {count, 1, taps.count})),
                                              {count, static_cast<int64_t>(all.count) * taps.count});
    all.count *= taps.count;
    all.indices = std::move(indices);
  }
  Shape out{shape[0], shape[1]};
  out.insert(out.end(), places.begin() + 1, places.end() - 1);
  if (count == 0) return program.output(0, program.reals(out, {}));
  const Id lines = program.transpose(program.reshape(x, {shape[0], shape[1], size}), {0, 2, 1});
  const Id taken = program.apply("GatherND", {lines, integers(program, all.indices, {shape[0], each * all.count, 1})}, {{"batch_dims", 1}});
  const Id sums = program.product(program.reshape(all.weights, {count, 1, all.count}), program.reshape(taken, {count, all.count, shape[1]}));
  program.output(0, program.reshape(program.transpose(program.reshape(sums, {shape[0], each, shape[1]}), {0, 2, 1}), out));
}

// ---- RoiAlign ----

// The shares that the elements of an axis have in the bins of each region, [regions, bins, size]: a bin is the mean over places between elements.
Id bin_matrices(Lowering& program, Id start, Id length, int64_t size, int64_t bins, int64_t ratio) {
  const std::vector<double> lengths = reals_of(program.at(length));
  const auto regions = static_cast<int64_t>(lengths.size());
  std::vector<int64_t> counts;
  for (const double value : lengths) counts.push_back(std::max<int64_t>(0, ratio > 0 ? ratio : static_cast<int64_t>(std::ceil(value / static_cast<double>(bins)))));
  const int64_t most = std::max<int64_t>(1, *std::max_element(counts.begin(), counts.end()));
  program.expect({regions, bins, most, 2, size});
  std::vector<double> steps;
  for (const int64_t count : counts)
    for (int64_t bin = 0; bin < bins; ++bin)
      for (int64_t i = 0; i < most; ++i) steps.push_back((static_cast<double>(bin) + (static_cast<double>(i) + 0.5) / static_cast<double>(std::max<int64_t>(1, count))) / static_cast<double>(bins));
  const int64_t each = bins * most;
  const Id places = program.add(start, program.multiply(length, program.reals({regions, each}, steps)));
  const Id x = limited(program, places, 0, static_cast<double>(size) - 1);
  const std::vector<double> at = reals_of(program.at(places)), kept = reals_of(program.at(x));
  std::vector<double> floors, shares, elements(2 * at.size() * size);
  for (size_t p = 0; p < at.size(); ++p) {
    const int64_t count = counts[static_cast<int64_t>(p) / each], i = static_cast<int64_t>(p) % most;
    // What is not a number is outside.
    const bool inside = at[p] >= -1 && at[p] <= static_cast<double>(size) && i < count;
    shares.push_back(inside ? 1.0 / static_cast<double>(count) : 0);
    floors.push_back(inside ? std::floor(kept[p]) : 0);
    const auto first = static_cast<int64_t>(floors.back());
    elements[2 * p * size + first] = 1;
    elements[(2 * p + 1) * size + std::min(first + 1, size - 1)] = 1;
  }
  const auto count = static_cast<int64_t>(at.size());
  const Id part = program.reshape(program.apply("Sub", {x, program.reals({regions, each}, floors)}), {count, 1});
  const Id weights = program.multiply(program.concat({program.apply("Sub", {program.real(1), part}), part}, 1), program.reals({count, 1}, shares));
  const Id sums = program.product(program.reshape(weights, {regions * bins, 1, 2 * most}), program.reals({regions * bins, 2 * most, size}, elements));
  return program.reshape(sums, {regions, bins, size});
}

void roi_align(Lowering& program) {
  const Attributes& attributes = program.attributes();
  if (attributes.text("mode", "avg") != "avg") unsupported("RoiAlign with mode '" + attributes.text("mode", "avg") + "' is not supported");
  const std::string coordinates = attributes.text("coordinate_transformation_mode", program.opset() < 16 ? "output_half_pixel" : "half_pixel");
  if (coordinates != "half_pixel" && coordinates != "output_half_pixel") unsupported("coordinate_transformation_mode '" + coordinates + "' is not supported");
  const bool half = coordinates == "half_pixel";
  const int64_t height = attributes.integer("output_height", 1), width = attributes.integer("output_width", 1), ratio = attributes.integer("sampling_ratio", 0);
  const Id x = program.input(0), rois = program.input(1);
  const Shape shape = program.shape(x);
  const std::vector<int64_t> images = program.integers(program.input(2));
  const auto regions = static_cast<int64_t>(images.size());
  if (shape.size() != 4 || program.shape(rois) != Shape{regions, 4} || height < 1 || width < 1 || ratio < 0 || element_count(shape) == 0)
    invalid_model("RoiAlign does not take regions of shape " + to_string(program.shape(rois)) + " and " + std::to_string(regions) + " indices for shape " + to_string(shape));
  if (regions == 0) return program.output(0, program.reals({0, shape[1], height, width}, {}));
  const Id corners = program.add(program.scaled(rois, attributes.real("spatial_scale", 1)), program.real(half ? -0.5 : 0));
  const auto matrices = [&](int axis, int64_t size, int64_t bins) {
    const Id start = program.slice(corners, 1, axis, axis + 1);
    Id length = program.apply("Sub", {program.slice(corners, 1, axis + 2, axis + 3), start});
    if (!half) length = program.apply("Max", {length, program.real(1)});
    return bin_matrices(program, start, length, size, bins, ratio);
  };
  const Id rows = matrices(1, shape[2], height), columns = program.transpose(matrices(0, shape[3], width), {0, 2, 1});
  // Image by image, so that none is copied for each of its regions.
  std::vector<Id> parts;
  std::vector<int64_t> back(regions);
  int64_t done = 0;
  for (int64_t image = 0; image < shape[0]; ++image) {
    std::vector<int64_t> own;
    for (int64_t r = 0; r < regions; ++r)
      if (images[r] == image) own.push_back(r);
    if (own.empty()) continue;
    for (const int64_t r : own) back[r] = done++;
    const auto count = static_cast<int64_t>(own.size());
    const Id picture = program.reshape(program.slice(x, 0, image, image + 1), {shape[1], shape[2], shape[3]}), list = program.list(own);
    const Id across = program.product(program.reshape(program.apply("Gather", {rows, list}), {count * height, shape[2]}), picture);
    const Id bins = program.product(program.reshape(across, {shape[1], count, height, shape[3]}), program.apply("Gather", {columns, list}));
    parts.push_back(program.transpose(bins, {1, 0, 2, 3}));
  }
  if (done != regions) invalid_model("a region of RoiAlign is of an image that is not there");
  program.output(0, program.apply("Gather", {program.concat(parts, 0), program.list(back)}));
}

}  // namespace

std::vector<Row> sampling_rows() {
  return {
      lowered<grid_sample>("", "GridSample", 16, R"([
        {"inputs": [[2,3,4,5], {"dims": [2,3,2,2], "low": -1.3, "high": 1.3}], "opset": 20},
        {"inputs": [[1,2,4,5], {"dims": [1,3,4,2], "low": -1.5, "high": 1.5}], "attributes": {"padding_mode": "border", "align_corners": 1}, "opset": 20},
        {"inputs": [[1,2,4,5], {"dims": [1,3,4,2], "low": -2.5, "high": 2.5}], "attributes": {"padding_mode": "reflection"}, "opset": 20},
        {"inputs": [[1,2,4,5], {"dims": [1,3,4,2], "low": -1.4, "high": 1.4}], "attributes": {"mode": "nearest"}, "opset": 20},
        {"inputs": [[1,2,4,5], {"dims": [1,3,4,2], "low": -2, "high": 2}], "attributes": {"mode": "nearest", "padding_mode": "reflection", "align_corners": 1}, "opset": 22},
        {"inputs": [[1,2,6,5], {"dims": [1,3,4,2], "low": -1.2, "high": 1.2}], "attributes": {"mode": "bicubic"}, "opset": 16},
        {"inputs": [[1,2,6,5], {"dims": [1,3,4,2], "low": -1.4, "high": 1.4}], "attributes": {"mode": "cubic", "padding_mode": "border"}, "opset": 20},
        {"inputs": [[1,2,6,5], {"dims": [1,3,4,2], "low": -1.4, "high": 1.4}], "attributes": {"mode": "cubic", "padding_mode": "reflection", "align_corners": 1}, "opset": 20},
        {"inputs": [[1,2,3,4,3], {"dims": [1,2,2,2,3], "low": -1.2, "high": 1.2}], "attributes": {"align_corners": 1}, "opset": 20}
      ])"),
      lowered<roi_align>("", "RoiAlign", 10, R"([
        {"inputs": [[2,3,6,7], {"dims": [3,4], "values": [0.2,0.7,4.3,5.1, 1.1,2.2,5.8,4.4, -0.7,0.4,2.6,6.3]}, {"dims": [3], "dtype": "int64", "values": [1,0,1]}], "attributes": {"output_height": 2, "output_width": 3, "sampling_ratio": 2}, "opset": 16},
        {"inputs": [[1,2,8,8], {"dims": [2,4], "values": [1.3,2.1,12.4,15.2, 3.3,0.2,4.1,9.9]}, {"dims": [2], "dtype": "int64", "values": [0,0]}], "attributes": {"output_height": 2, "output_width": 2, "spatial_scale": 0.5}, "opset": 16},
        {"inputs": [[1,2,8,8], {"dims": [2,4], "values": [1.3,2.1,1.7,2.2, 3.3,0.2,4.1,9.4]}, {"dims": [2], "dtype": "int64", "values": [0,0]}], "attributes": {"output_height": 2, "output_width": 2, "sampling_ratio": 1}, "opset": 10}
      ])"),
  };
}

}  // namespace bitwright
