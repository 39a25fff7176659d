#include "core/program.h"

#include <cstring>

namespace bitwright {

namespace {

constexpr uint32_t kMagic = 0x50575742;  // "BWWP"
constexpr uint32_t kVersion = 2;
constexpr uint64_t kLeftOut = ~uint64_t{0};

class Reader {
 public:
  Reader(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)), sizeof(T));
    return value;
  }

  std::string text() {
    const uint32_t length = number<uint32_t>();
    const uint8_t* start = take(length);
    std::string value(reinterpret_cast<const char*>(start), length);
    align(4);
    return value;
  }

  // A count of items that take at least `item_bytes` each, so that a wild one fails before anything is allocated.
  uint32_t count(size_t item_bytes) {
    const uint32_t value = number<uint32_t>();
    if (value > (size_ - position_) / item_bytes) invalid_model("the program ends before a list that it announces");
    return value;
  }

  template <class T>
  std::vector<T> numbers() {
    std::vector<T> values(count(sizeof(T)));
    for (T& value : values) value = number<T>();
    return values;
  }

  const uint8_t* take(uint64_t bytes) {
    if (bytes > size_ - position_) invalid_model("the program is truncated");
    const uint8_t* start = data_ + position_;
    position_ += bytes;
    return start;
  }

  void align(size_t alignment) {
    const size_t rest = position_ % alignment;
    if (rest != 0) take(alignment - rest);
  }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t position_ = 0;
};

Tensor read_tensor(Reader& reader, size_t alignment, bw_dtype real, BufferPool& pool) {
  const auto dtype = static_cast<bw_dtype>(reader.number<uint32_t>());
  Shape shape(reader.count(8));
  for (int64_t& dim : shape) dim = reader.number<int64_t>();
  const auto bytes = reader.number<uint64_t>();
  reader.align(alignment);
  if (bytes == kLeftOut) {
    if (dtype != BW_FLOAT32) invalid_model("only the elements of float tensors can be left out");
    element_count(shape);
    return Tensor::described(real, std::move(shape));
  }
  const uint8_t* source = reader.take(bytes);
  reader.align(4);
  if (bytes != static_cast<uint64_t>(element_count(shape)) * dtype_size(dtype)) invalid_model("the bytes of a tensor do not fit its shape " + to_string(shape));
  if (!is_float(dtype) || dtype == real) {
    Tensor tensor(pool, dtype, shape);
    std::memcpy(tensor.raw(), source, bytes);
    return tensor;
  }
  Tensor tensor(pool, real, shape);
  const auto convert = [&](auto from, auto* to) {
    for (int64_t i = 0; i < tensor.count(); ++i) {
      std::memcpy(&from, source + i * sizeof(from), sizeof(from));
      to[i] = static_cast<std::remove_reference_t<decltype(*to)>>(from);
    }
  };
  if (real == BW_FLOAT64)
    convert(float{}, tensor.data<double>());
  else
    convert(double{}, tensor.data<float>());
  return tensor;
}

Attribute read_attribute(Reader& reader, bw_dtype real, BufferPool& pool) {
  Attribute attribute;
  attribute.kind = static_cast<Attribute::Kind>(reader.number<uint32_t>());
  switch (attribute.kind) {
    case Attribute::kInt: attribute.i = reader.number<int64_t>(); break;
    case Attribute::kFloat: attribute.f = reader.number<float>(); break;
    case Attribute::kString: attribute.s = reader.text(); break;
    case Attribute::kInts: attribute.ints = reader.numbers<int64_t>(); break;
    case Attribute::kFloats: attribute.floats = reader.numbers<float>(); break;
    case Attribute::kStrings:
      attribute.strings.resize(reader.count(4));
      for (std::string& text : attribute.strings) text = reader.text();
      break;
    case Attribute::kTensor: attribute.tensor = read_tensor(reader, 8, real, pool); break;
    case Attribute::kUnsupported: break;
    default: invalid_model("an attribute has the unknown kind " + std::to_string(attribute.kind));
  }
  return attribute;
}

std::vector<int> read_edges(Reader& reader, size_t values) {
  std::vector<int> edges = reader.numbers<int32_t>();
  for (int edge : edges)
    if (edge < -1 || edge >= static_cast<int>(values)) invalid_model("a node refers to the value " + std::to_string(edge) + ", which does not exist");
  return edges;
}

// Every value has one source, and nodes come after what they read.
void check_order(const Program& program) {
  std::vector<bool> known(program.values.size());
  for (size_t i = 0; i < program.values.size(); ++i) known[i] = program.values[i].input || program.values[i].stored;
  for (const ProgramNode& node : program.nodes) {
    for (int input : node.inputs)
      if (input >= 0 && !known[input])
        throw EngineError(BW_INVALID_MODEL, "reads '" + program.values[input].name + "' before anything has computed it", node.name);
    for (int output : node.outputs) {
      if (output < 0) continue;
      if (known[output]) throw EngineError(BW_INVALID_MODEL, "computes '" + program.values[output].name + "', which has a source already", node.name);
      known[output] = true;
    }
  }
  for (size_t i = 0; i < program.values.size(); ++i)
    if (program.values[i].output && !known[i]) invalid_model("nothing computes the graph output '" + program.values[i].name + "'");
}

}  // namespace

const Attribute* Attributes::find(const std::string& name, Attribute::Kind kind, const char* kind_name) const {
  const auto entry = map.find(name);
  if (entry == map.end()) return nullptr;
  if (entry->second.kind != kind) invalid_model("attribute '" + name + "' must be " + kind_name);
  return &entry->second;
}

int64_t Attributes::integer(const std::string& name, int64_t fallback) const {
  const Attribute* found = find(name, Attribute::kInt, "an integer");
  return found ? found->i : fallback;
}

float Attributes::real(const std::string& name, float fallback) const {
  const Attribute* found = find(name, Attribute::kFloat, "a float");
  return found ? found->f : fallback;
}

std::string Attributes::text(const std::string& name, const std::string& fallback) const {
  const Attribute* found = find(name, Attribute::kString, "a string");
  return found ? found->s : fallback;
}

std::vector<int64_t> Attributes::integers(const std::string& name, std::vector<int64_t> fallback) const {
  const Attribute* found = find(name, Attribute::kInts, "a list of integers");
  return found ? found->ints : fallback;
}

std::vector<float> Attributes::reals(const std::string& name, std::vector<float> fallback) const {
  const Attribute* found = find(name, Attribute::kFloats, "a list of floats");
  return found ? found->floats : fallback;
}

const Tensor* Attributes::tensor(const std::string& name) const {
  const Attribute* found = find(name, Attribute::kTensor, "a tensor");
  return found ? &found->tensor : nullptr;
}

int64_t Program::opset(const std::string& domain) const {
  const auto entry = opsets.find(domain == "ai.onnx" ? "" : domain);
  return entry == opsets.end() ? 1 : entry->second;
}

Program decode_program(const uint8_t* bytes, size_t size, bw_dtype real, BufferPool& pool) {
  Reader reader(bytes, size);
  if (size < 8 || reader.number<uint32_t>() != kMagic) invalid_model("these bytes are not a program");
  if (const uint32_t version = reader.number<uint32_t>(); version != kVersion)
    invalid_model("the program has version " + std::to_string(version) + ", this engine reads version " + std::to_string(kVersion));

  Program program;
  for (uint32_t n = reader.count(12); n > 0; --n) {
    std::string domain = reader.text();
    program.opsets[domain == "ai.onnx" ? "" : domain] = reader.number<int64_t>();
  }
  program.values.resize(reader.count(16));
  for (ProgramValue& value : program.values) {
    value.name = reader.text();
    const auto flags = reader.number<uint32_t>();
    value.input = flags & 1;
    value.output = flags & 2;
    reader.number<uint32_t>();  // declared type: what runs decides
    const auto rank = reader.number<int32_t>();
    if (rank > 0) reader.take(static_cast<uint64_t>(rank) * 8);
  }
  program.nodes.resize(reader.count(24));
  for (ProgramNode& node : program.nodes) {
    node.name = reader.text();
    node.domain = reader.text();
    node.type = reader.text();
    if (node.domain == "ai.onnx") node.domain.clear();
    node.inputs = read_edges(reader, program.values.size());
    node.outputs = read_edges(reader, program.values.size());
    for (uint32_t n = reader.count(8); n > 0; --n) {
      std::string name = reader.text();
      node.attributes.map[name] = read_attribute(reader, real, pool);
    }
  }
  for (uint32_t n = reader.count(20); n > 0; --n) {
    const auto id = reader.number<uint32_t>();
    if (id >= program.values.size() || program.values[id].stored) invalid_model("an initializer names no value of its own");
    program.values[id].stored = true;
    program.values[id].initializer = read_tensor(reader, 64, real, pool);
    // Older models list initializers among the inputs, as defaults; here they are constants.
    program.values[id].input = false;
  }
  check_order(program);
  return program;
}

}  // namespace bitwright
