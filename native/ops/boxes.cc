// NonMaxSuppression: boxes picked by their scores, of those that overlap much the best alone.
#include <algorithm>
#include <numeric>

#include "ops/families.h"

namespace bitwright {

namespace {

struct Box {
  float left, top, right, bottom;
  float area() const { return (right - left) * (bottom - top); }
};

class NonMaxSuppression : public Op {
 public:
  explicit NonMaxSuppression(const NodeInfo& info) : centred_(info.node.attributes.integer("center_point_box", 0) != 0) {}

  void forward(Context& context) override {
    const std::vector<float> boxes = floats(context.input(0)), scores = floats(context.input(1));
    const Shape &shape = context.input(0).shape(), &of_scores = context.input(1).shape();
    if (shape.size() != 3 || shape[2] != 4 || of_scores.size() != 3 || of_scores[0] != shape[0] || of_scores[2] != shape[1])
      invalid_model("NonMaxSuppression does not take boxes of shape " + to_string(shape) + " with scores of shape " + to_string(of_scores));
    const std::vector<int64_t> limit = context.has(2) ? to_int64(context.input(2)) : std::vector<int64_t>{0};
    if (limit.size() != 1) invalid_model("max_output_boxes_per_class is one number");
    const int64_t most = limit[0], count = shape[1];
    const float overlap = number(context, 3, 0), least = number(context, 4, 0);
    std::vector<int64_t> found;
    for (int64_t n = 0; n < shape[0]; ++n)
      for (int64_t c = 0; c < of_scores[1]; ++c) {
        const float* score = scores.data() + (n * of_scores[1] + c) * count;
        std::vector<int64_t> order;
        for (int64_t i = 0; i < count; ++i)
          if (!context.has(4) || score[i] > least) order.push_back(i);
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return score[a] > score[b]; });
        std::vector<Box> kept;
        for (const int64_t i : order) {
          if (static_cast<int64_t>(kept.size()) >= most) break;
          const Box box = box_at(boxes.data() + (n * count + i) * 4);
          if (std::any_of(kept.begin(), kept.end(), [&](const Box& other) { return overlaps(box, other, overlap); })) continue;
          kept.push_back(box);
          found.insert(found.end(), {n, c, i});
        }
      }
    int64_t* y = context.output(0, BW_INT64, {static_cast<int64_t>(found.size()) / 3, 3}).data<int64_t>();
    std::copy(found.begin(), found.end(), y);
  }

 private:
  // Places are decided in single precision, as where models run.
  static std::vector<float> floats(const Tensor& tensor) {
    if (tensor.dtype() == BW_FLOAT32) return {tensor.data<float>(), tensor.data<float>() + tensor.count()};
    std::vector<float> values;
    for (int64_t i = 0; i < tensor.count(); ++i) values.push_back(static_cast<float>(tensor.data<double>()[i]));
    return values;
  }

  static float number(const Context& context, int port, float otherwise) {
    if (!context.has(port)) return otherwise;
    const std::vector<float> values = floats(context.input(port));
    if (values.size() != 1) invalid_model("a threshold of NonMaxSuppression is one number");
    return values[0];
  }

  Box box_at(const float* p) const {
    if (centred_) return {p[0] - p[2] / 2, p[1] - p[3] / 2, p[0] + p[2] / 2, p[1] + p[3] / 2};
    return {std::min(p[1], p[3]), std::min(p[0], p[2]), std::max(p[1], p[3]), std::max(p[0], p[2])};
  }

  static bool overlaps(const Box& a, const Box& b, float share) {
    const float width = std::min(a.right, b.right) - std::max(a.left, b.left), height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
    if (width <= 0 || height <= 0 || a.area() <= 0 || b.area() <= 0) return false;
    const float common = width * height, all = a.area() + b.area() - common;
    return all > 0 && common / all > share;
  }

  bool centred_;
};

}  // namespace

std::vector<Row> boxes_rows() {
  return {{"", "NonMaxSuppression", 10, "shape", false, {}, make_plain<NonMaxSuppression>, R"([
    {"inputs": [{"dims": [1,6,4], "values": [0,0,1,1, 0,0.1,1,1.1, 0,-0.1,1,0.9, 0,10,1,11, 0,10.1,1,11.1, 0,100,1,101]},
                {"dims": [1,2,6], "values": [0.9,0.75,0.6,0.95,0.5,0.3, 0.1,0.7,0.7,0.2,0.8,0.05]},
                {"dims": [1], "dtype": "int64", "values": [3]}, {"dims": [1], "values": [0.5], "constant": true}, {"dims": [1], "values": [0.08], "constant": true}], "opset": 11},
    {"inputs": [{"dims": [2,3,4], "values": [0.5,0.5,1,1, 0.5,0.6,1,1, 0.5,10.5,1,1, 1,1,2,2, 1,1,2,1, 5,1,2,2]},
                {"dims": [2,1,3], "values": [0.9,0.75,0.6, -0.5,0.2,-0.4]},
                {"dims": [1], "dtype": "int64", "values": [5]}, {"dims": [1], "values": [0.4], "constant": true}], "attributes": {"center_point_box": 1}, "opset": 11},
    {"inputs": [{"dims": [1,2,4], "values": [1,1,0,0, 0,0,2,2]}, {"dims": [1,1,2], "values": [0.9,0.75]}, {"dims": [1], "dtype": "int64", "values": [0]}], "opset": 11}
  ])"}};
}

}  // namespace bitwright
