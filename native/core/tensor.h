// Dense tensors on pooled, 64-byte aligned buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "abi.h"
#include "core/error.h"

namespace bitwright {

using Shape = std::vector<int64_t>;

// Product of the dimensions; refuses negative ones and, even beside a 0, sizes that no memory holds.
int64_t element_count(const Shape& shape);
std::string to_string(const Shape& shape);

// Bytes that a pool sets aside for so many.
size_t size_class(size_t bytes);

size_t dtype_size(bw_dtype dtype);
const char* dtype_name(bw_dtype dtype);
inline bool is_float(bw_dtype dtype) { return dtype == BW_FLOAT32 || dtype == BW_FLOAT64; }

template <class T>
struct DTypeOf;
template <> struct DTypeOf<float> { static constexpr bw_dtype value = BW_FLOAT32; };
template <> struct DTypeOf<double> { static constexpr bw_dtype value = BW_FLOAT64; };
template <> struct DTypeOf<int64_t> { static constexpr bw_dtype value = BW_INT64; };
template <> struct DTypeOf<int32_t> { static constexpr bw_dtype value = BW_INT32; };
template <> struct DTypeOf<int16_t> { static constexpr bw_dtype value = BW_INT16; };
template <> struct DTypeOf<int8_t> { static constexpr bw_dtype value = BW_INT8; };
template <> struct DTypeOf<uint8_t> { static constexpr bw_dtype value = BW_UINT8; };
template <> struct DTypeOf<uint16_t> { static constexpr bw_dtype value = BW_UINT16; };
template <> struct DTypeOf<bool> { static constexpr bw_dtype value = BW_BOOL; };

// Keeps freed buffers for the next request of about their size, so that a steady run neither allocates nor touches new pages.
// Must outlive the buffers it made.
class BufferPool {
 public:
  // Never holds more than `limit` bytes.
  explicit BufferPool(size_t limit) : limit_(limit) {}
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // Fails with BW_OUT_OF_MEMORY. `bytes` may exceed the address space.
  std::shared_ptr<std::byte> allocate(uint64_t bytes);
  // Fails as allocate would: for lists that are kept elsewhere and whose length a model decides.
  void expect(uint64_t bytes);
  // Bytes in tensors.
  size_t live();
  // The most that they were since this was last asked.
  size_t take_peak();

 private:
  std::byte* take(uint64_t bytes, size_t* size);
  void release(std::byte* data, size_t size);
  void check_room(uint64_t bytes) const;
  void free_held();

  std::mutex mutex_;
  std::unordered_map<size_t, std::vector<std::byte*>> free_;
  size_t limit_;
  size_t live_ = 0;
  size_t held_ = 0;
  size_t peak_ = 0;  // largest number of bytes that were live at once
  size_t recent_peak_ = 0;
};

class Tensor {
 public:
  Tensor() = default;
  Tensor(BufferPool& pool, bw_dtype dtype, Shape shape)
      : dtype_(dtype), shape_(std::move(shape)), count_(element_count(shape_)), data_(pool.allocate(static_cast<uint64_t>(count_) * dtype_size(dtype))) {}

  // A type and a shape without elements.
  static Tensor described(bw_dtype dtype, Shape shape);
  // The same elements under another shape of equal count.
  Tensor reshaped(Shape shape) const;

  explicit operator bool() const { return data_ != nullptr; }
  // Type and shape stay.
  void drop_elements() { data_.reset(); }
  // Whether there is a shape, with elements or without.
  bool is_described() const { return count_ > 0 || !shape_.empty(); }
  bw_dtype dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  int64_t dim(int axis) const { return shape_[axis < 0 ? axis + rank() : axis]; }
  int64_t count() const { return count_; }
  size_t bytes() const { return static_cast<size_t>(count_) * dtype_size(dtype_); }
  // True when no other tensor shares the buffer.
  bool exclusive() const { return data_.use_count() == 1; }

  void* raw() { return data_.get(); }
  const void* raw() const { return data_.get(); }
  template <class T>
  T* data() {
    check(DTypeOf<T>::value);
    return reinterpret_cast<T*>(data_.get());
  }
  template <class T>
  const T* data() const {
    check(DTypeOf<T>::value);
    return reinterpret_cast<const T*>(data_.get());
  }

 private:
  void check(bw_dtype wanted) const;

  bw_dtype dtype_ = BW_FLOAT32;
  Shape shape_;
  int64_t count_ = 0;
  std::shared_ptr<std::byte> data_;
};

// The elements of an integer or bool tensor, widened.
std::vector<int64_t> to_int64(const Tensor& tensor);

}  // namespace bitwright
