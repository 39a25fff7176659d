// A graph as it arrives: names, edges, raw attributes and initializers, checked but not interpreted.
// src/onnx/program.ts states the encoding.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace bitwright {

struct Attribute {
  enum Kind : uint32_t { kInt = 1, kFloat = 2, kString = 3, kInts = 4, kFloats = 5, kStrings = 6, kTensor = 7, kUnsupported = 8 };
  Kind kind = kUnsupported;
  int64_t i = 0;
  float f = 0;
  std::string s;
  std::vector<int64_t> ints;
  std::vector<float> floats;
  std::vector<std::string> strings;
  Tensor tensor;
};

// The attributes of a node, read with defaults; a wrong kind is an error that names the attribute.
class Attributes {
 public:
  std::map<std::string, Attribute> map;

  bool has(const std::string& name) const { return map.count(name) != 0; }
  int64_t integer(const std::string& name, int64_t fallback) const;
  float real(const std::string& name, float fallback) const;
  std::string text(const std::string& name, const std::string& fallback) const;
  std::vector<int64_t> integers(const std::string& name, std::vector<int64_t> fallback) const;
  std::vector<float> reals(const std::string& name, std::vector<float> fallback) const;
  const Tensor* tensor(const std::string& name) const;

 private:
  const Attribute* find(const std::string& name, Attribute::Kind kind, const char* kind_name) const;
};

struct ProgramValue {
  std::string name;
  bool input = false;
  bool output = false;
  bool stored = false;  // an initializer
  Tensor initializer;   // its elements; without any, only type and shape, where the program leaves them out
};

struct ProgramNode {
  std::string name;
  std::string domain;
  std::string type;
  std::vector<int> inputs;  // -1: omitted
  std::vector<int> outputs;
  Attributes attributes;
};

struct Program {
  std::map<std::string, int64_t> opsets;
  std::vector<ProgramValue> values;
  std::vector<ProgramNode> nodes;  // in topological order

  int64_t opset(const std::string& domain) const;
};

// Copies everything out of `bytes`. Float initializers take the type `real` (float32 or float64). Fails with BW_INVALID_MODEL on anything
// that does not fit: lengths, indices, order, a value with two sources.
Program decode_program(const uint8_t* bytes, size_t size, bw_dtype real, BufferPool& pool);

}  // namespace bitwright
