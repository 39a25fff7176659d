// From an element type known at run time to a C++ type.
#pragma once

#include <type_traits>

#include "core/tensor.h"

namespace bitwright {

// Calls body(T{}) with the type of a tensor's elements.
template <class Body>
void visit_dtype(bw_dtype dtype, const Body& body) {
  switch (dtype) {
    case BW_FLOAT32: return body(float{});
    case BW_FLOAT64: return body(double{});
    case BW_INT64: return body(int64_t{});
    case BW_INT32: return body(int32_t{});
    case BW_INT16: return body(int16_t{});
    case BW_INT8: return body(int8_t{});
    case BW_UINT16: return body(uint16_t{});
    case BW_UINT8: return body(uint8_t{});
    case BW_BOOL: return body(bool{});
  }
  unsupported("element type " + std::to_string(dtype) + " is not supported");
}

// The same for types that have arithmetic.
template <class Body>
void visit_number(bw_dtype dtype, const Body& body) {
  visit_dtype(dtype, [&](auto zero) {
    if constexpr (std::is_same_v<decltype(zero), bool>)
      invalid_model("expected numbers, received a bool tensor");
    else
      body(zero);
  });
}

// Calls body with an unsigned integer as wide as an element, for what only moves elements about.
template <class Body>
void visit_width(bw_dtype dtype, const Body& body) {
  switch (dtype_size(dtype)) {
    case 1: return body(uint8_t{});
    case 2: return body(uint16_t{});
    case 4: return body(uint32_t{});
    default: return body(uint64_t{});
  }
}

// Integer arithmetic modulo 2^n, as ONNX runtimes compute it; floats as they are.
template <class S>
S wrapping_add(S a, S b) {
  if constexpr (std::is_integral_v<S>) return static_cast<S>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else return a + b;
}
template <class S>
S wrapping_subtract(S a, S b) {
  if constexpr (std::is_integral_v<S>) return static_cast<S>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
  else return a - b;
}
template <class S>
S wrapping_multiply(S a, S b) {
  if constexpr (std::is_integral_v<S>) return static_cast<S>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else return a * b;
}

}  // namespace bitwright
