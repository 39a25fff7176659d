// What every function of abi.h does around its work: no exception gets out, and the details of a failure wait for bw_last_error.
#pragma once

#include <new>
#include <stdexcept>
#include <string>

#include "abi.h"
#include "core/error.h"

namespace bitwright {

// Details of this thread's last failure, for bw_last_error.
void remember_error(bw_status status, const std::string& message, const std::string& where, NeededMemory needed = {});

template <class Body>
int32_t guarded_call(const Body& body) {
  try {
    body();
    return BW_OK;
  } catch (const EngineError& error) {
    remember_error(error.status(), error.what(), error.where(), error.needed());
    return error.status();
  } catch (const std::bad_alloc&) {
    remember_error(BW_OUT_OF_MEMORY, "no memory is left", "");
    return BW_OUT_OF_MEMORY;
  } catch (const std::length_error&) {
    remember_error(BW_OUT_OF_MEMORY, "a list would be longer than the address space", "");
    return BW_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    remember_error(BW_INTERNAL, error.what(), "");
    return BW_INTERNAL;
  } catch (...) {
    remember_error(BW_INTERNAL, "an unknown exception", "");
    return BW_INTERNAL;
  }
}

// A count from JavaScript; refuses what is no count.
size_t to_size(bw_size count);

// Writes a text result by the rule of abi.h: the length always, the bytes when there is room.
void give_text(const std::string& text, uint8_t* out, bw_size capacity, bw_size* length);

}  // namespace bitwright
