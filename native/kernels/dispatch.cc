#include <cstring>

#include "kernels/kernels.h"
#include "kernels/targets/targets.h"

namespace bitwright {

namespace {

struct Available {
  static constexpr int kMost = 8;
  const KernelTable* tables[kMost];
  int count = 0;

  Available() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
      add(avx512_kernels());
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) add(avx2_kernels());
#endif
#if defined(__aarch64__)
    add(neon_kernels());
#elif defined(__wasm_simd128__)
    add(wasm128_kernels());
#else
    add(baseline_kernels());
#endif
  }

  void add(Flavours flavours) {
    tables[count++] = flavours.fast;
    tables[count++] = flavours.strict;
  }
};

const Available& available() {
  static const Available instance;
  return instance;
}

bool any_or_equal(const char* wanted, const char* name) {
  return wanted == nullptr || *wanted == '\0' || std::strcmp(wanted, name) == 0;
}

}  // namespace

const KernelTable* const* available_kernels(int* count) {
  *count = available().count;
  return available().tables;
}

const KernelTable* find_kernels(const char* target, const char* flavour) {
  for (int i = 0; i < available().count; ++i) {
    const KernelTable* table = available().tables[i];
    if (any_or_equal(target, table->target) && any_or_equal(flavour, table->flavour)) return table;
  }
  return nullptr;
}

}  // namespace bitwright
