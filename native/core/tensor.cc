#include "core/tensor.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace bitwright {

namespace {

constexpr size_t kAlignment = 64;

// To a hundredth, in the unit of budgets.
std::string megabytes(uint64_t bytes) {
  const uint64_t hundredths = bytes / 10'000, rest = hundredths % 100;
  return std::to_string(hundredths / 100) + (rest < 10 ? ".0" : ".") + std::to_string(rest);
}

}  // namespace

// Sizes are rounded up to an eighth of their power of two, so that nearly equal requests share buffers.
size_t size_class(size_t bytes) {
  size_t step = kAlignment;
  while (step * 16 <= bytes) step *= 2;
  return (std::max<size_t>(bytes, 1) + step - 1) / step * step;
}

int64_t element_count(const Shape& shape) {
  constexpr int64_t kLimit = int64_t{1} << 46;
  // The product without zeros, so that no product of some of the dimensions can overflow either.
  int64_t product = 1;
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim < 0) invalid_model("a dimension is negative: shape " + to_string(shape));
    empty = empty || dim == 0;
    if (dim > 0 && product > kLimit / dim) invalid_model("shape " + to_string(shape) + " has too many elements");
    if (dim > 0) product *= dim;
  }
  return empty ? 0 : product;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

size_t dtype_size(bw_dtype dtype) {
  switch (dtype) {
    case BW_FLOAT64:
    case BW_INT64:
      return 8;
    case BW_FLOAT32:
    case BW_INT32:
      return 4;
    case BW_INT16:
    case BW_UINT16:
      return 2;
    case BW_INT8:
    case BW_UINT8:
    case BW_BOOL:
      return 1;
  }
  unsupported("element type " + std::to_string(dtype) + " is not supported");
}

const char* dtype_name(bw_dtype dtype) {
  switch (dtype) {
    case BW_FLOAT64: return "float64";
    case BW_INT64: return "int64";
    case BW_FLOAT32: return "float32";
    case BW_INT32: return "int32";
    case BW_INT16: return "int16";
    case BW_UINT16: return "uint16";
    case BW_INT8: return "int8";
    case BW_UINT8: return "uint8";
    case BW_BOOL: return "bool";
  }
  return "unknown";
}

BufferPool::~BufferPool() { free_held(); }

std::shared_ptr<std::byte> BufferPool::allocate(uint64_t bytes) {
  size_t size = 0;
  std::byte* data = take(bytes, &size);
  if (data == nullptr) {
    data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, size));
    if (data == nullptr) {
      std::lock_guard<std::mutex> lock(mutex_);
      free_held();
      data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, size));
    }
    if (data == nullptr) {
      std::lock_guard<std::mutex> lock(mutex_);
      live_ -= size;
      throw EngineError(BW_OUT_OF_MEMORY, "no memory for a tensor of " + megabytes(size) + " MB");
    }
  }
  return std::shared_ptr<std::byte>(data, [this, size](std::byte* p) { release(p, size); });
}

void BufferPool::expect(uint64_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  check_room(bytes);
}

size_t BufferPool::live() {
  std::lock_guard<std::mutex> lock(mutex_);
  return live_;
}

size_t BufferPool::take_peak() {
  std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(recent_peak_, live_);
}

void BufferPool::check_room(uint64_t bytes) const {
  if (bytes > limit_ - live_)
    throw EngineError(BW_OUT_OF_MEMORY,
                      megabytes(bytes) + " MB more do not fit: " + megabytes(live_) + " of " + megabytes(limit_) + " MB are in use", {}, {live_ + bytes});
}

// Counts a request as live. Gives a held buffer of its size, or nullptr where one has to be made.
std::byte* BufferPool::take(uint64_t bytes, size_t* size) {
  std::lock_guard<std::mutex> lock(mutex_);
  check_room(bytes);
  *size = size_class(static_cast<size_t>(bytes));
  check_room(*size);
  std::byte* data = nullptr;
  auto& buffers = free_[*size];
  if (!buffers.empty()) {
    data = buffers.back();
    buffers.pop_back();
    held_ -= *size;
  } else if (held_ > limit_ - live_ - *size) {
    free_held();
  }
  live_ += *size;
  peak_ = std::max(peak_, live_);
  recent_peak_ = std::max(recent_peak_, live_);
  return data;
}

void BufferPool::free_held() {
  for (auto& [size, buffers] : free_)
    for (std::byte* data : buffers) std::free(data);
  free_.clear();
  held_ = 0;
}

void BufferPool::release(std::byte* data, size_t size) {
  std::lock_guard<std::mutex> lock(mutex_);
  live_ -= size;
  // The sizes that a pass asks for change on its way through a graph. With room for twice what is live at once, a steady run finds nearly all of them
  // held; with less, it would free the large ones and have the system clear new pages for the small ones, and the other way round.
  if (live_ + held_ + size <= 2 * peak_) {
    free_[size].push_back(data);
    held_ += size;
  } else {
    std::free(data);
  }
}

Tensor Tensor::described(bw_dtype dtype, Shape shape) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.count_ = element_count(shape);
  tensor.shape_ = std::move(shape);
  return tensor;
}

Tensor Tensor::reshaped(Shape shape) const {
  Tensor view = *this;
  if (element_count(shape) != count_) invalid_model("cannot view shape " + to_string(shape_) + " as " + to_string(shape));
  view.shape_ = std::move(shape);
  return view;
}

void Tensor::check(bw_dtype wanted) const {
  if (dtype_ != wanted) invalid_model(std::string("expected a tensor of ") + dtype_name(wanted) + ", received " + dtype_name(dtype_));
}

std::vector<int64_t> to_int64(const Tensor& tensor) {
  std::vector<int64_t> values(tensor.count());
  const auto widen = [&](const auto* data) { std::copy(data, data + tensor.count(), values.begin()); };
  switch (tensor.dtype()) {
    case BW_INT64: widen(tensor.data<int64_t>()); break;
    case BW_INT32: widen(tensor.data<int32_t>()); break;
    case BW_INT16: widen(tensor.data<int16_t>()); break;
    case BW_INT8: widen(tensor.data<int8_t>()); break;
    case BW_UINT16: widen(tensor.data<uint16_t>()); break;
    case BW_UINT8: widen(tensor.data<uint8_t>()); break;
    case BW_BOOL: widen(tensor.data<bool>()); break;
    default: invalid_model(std::string("expected an integer tensor, received ") + dtype_name(tensor.dtype()));
  }
  return values;
}

}  // namespace bitwright
