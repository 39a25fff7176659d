// The one exception of the engine. It never leaves abi.cc, which turns it into a status and the details behind bw_last_error.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "abi.h"

namespace bitwright {

class EngineError : public std::runtime_error {
 public:
  EngineError(bw_status status, std::string message, std::string where = {})
      : std::runtime_error(std::move(message)), status_(status), where_(std::move(where)) {}

  bw_status status() const { return status_; }
  // The node, tensor or argument concerned; may be empty.
  const std::string& where() const { return where_; }

  // The same error with a place, unless it has one already.
  EngineError at(const std::string& where) const { return where_.empty() ? EngineError(status_, what(), where) : *this; }

 private:
  bw_status status_;
  std::string where_;
};

[[noreturn]] inline void invalid_argument(const std::string& message) { throw EngineError(BW_INVALID_ARGUMENT, message); }
[[noreturn]] inline void invalid_model(const std::string& message) { throw EngineError(BW_INVALID_MODEL, message); }
[[noreturn]] inline void unsupported(const std::string& message) { throw EngineError(BW_UNSUPPORTED, message); }

}  // namespace bitwright
