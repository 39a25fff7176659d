// The one exception of the engine. It never leaves abi.cc, which turns it into a status and the details behind bw_last_error.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "abi.h"

namespace bitwright {

// Bytes that would have to be allowed, where there is too little memory: an estimate of what is enough, or as much as is known to be needed.
struct NeededMemory {
  uint64_t bytes = 0;
  bool enough = false;
};

class EngineError : public std::runtime_error {
 public:
  EngineError(bw_status status, std::string message, std::string where = {}, NeededMemory needed = {})
      : std::runtime_error(std::move(message)), status_(status), where_(std::move(where)), needed_(needed) {}

  bw_status status() const { return status_; }
  // The node, tensor or argument concerned; may be empty.
  const std::string& where() const { return where_; }
  const NeededMemory& needed() const { return needed_; }

  // The same error with a place, unless it has one already.
  EngineError at(const std::string& where) const { return where_.empty() ? EngineError(status_, what(), where, needed_) : *this; }
  EngineError needing(NeededMemory needed) const { return EngineError(status_, what(), where_, needed); }

 private:
  bw_status status_;
  std::string where_;
  NeededMemory needed_;
};

[[noreturn]] inline void invalid_argument(const std::string& message) { throw EngineError(BW_INVALID_ARGUMENT, message); }
[[noreturn]] inline void invalid_model(const std::string& message) { throw EngineError(BW_INVALID_MODEL, message); }
[[noreturn]] inline void unsupported(const std::string& message) { throw EngineError(BW_UNSUPPORTED, message); }

}  // namespace bitwright
