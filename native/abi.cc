#include "abi.h"

#include <cmath>
#include <cstring>

#include "abi_call.h"
#include "core/json.h"

namespace bitwright {

namespace {

thread_local std::string last_error;

}  // namespace

void remember_error(bw_status status, const std::string& message, const std::string& where, NeededMemory needed) {
  JsonWriter json;
  json.begin_object().key("status").value(static_cast<int>(status)).key("message").value(message);
  if (!where.empty()) json.key("where").value(where);
  if (needed.bytes > 0) json.key("needed").raw(std::to_string(needed.bytes)).key("enough").value(needed.enough);
  last_error = json.end_object().text();
}

size_t to_size(bw_size count) {
  if (!(count >= 0) || count > 9007199254740992.0 || count != std::floor(count)) invalid_argument("a count must be a whole number from 0 to 2^53");
  if (count > static_cast<double>(SIZE_MAX)) invalid_argument("a count is larger than the address space");
  return static_cast<size_t>(count);
}

void give_text(const std::string& text, uint8_t* out, bw_size capacity, bw_size* length) {
  *length = static_cast<bw_size>(text.size());
  if (to_size(capacity) >= text.size() && out != nullptr) std::memcpy(out, text.data(), text.size());
}

}  // namespace bitwright

int32_t bw_abi_version(void) { return 5; }

int32_t bw_last_error(uint8_t* out, bw_size capacity, bw_size* length) {
  // Not guarded: a failure here must not replace the failure asked for.
  bitwright::give_text(bitwright::last_error, out, capacity, length);
  return BW_OK;
}
