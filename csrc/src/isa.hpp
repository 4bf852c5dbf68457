#pragma once

#include <cstdlib>
#include <string_view>

namespace nasturtium {

// Whether loops that exist for AVX2 as well use it: where the processor has it, and the environment
// variable NASTURTIUM_ISA does not say "v2". Results are the same either way.
inline bool use_avx2() {
#if defined(__GNUC__) && defined(__x86_64__)
  const char* asked = std::getenv("NASTURTIUM_ISA");
  return __builtin_cpu_supports("avx2") && (asked == nullptr || std::string_view(asked) != "v2");
#else
  return false;
#endif
}

}  // namespace nasturtium
