#pragma once

#include <cstdlib>
#include <string_view>

namespace nasturtium {

// The levels of x86-64 for which loops of the core exist: v2, v3 with AVX2, v4 with AVX-512.
enum class Isa { v2, v3, v4 };

// The highest level that the processor has, and that the environment variable NASTURTIUM_ISA, "v2"
// or "v3", allows. Results are the same with each.
inline Isa chosen_isa() {
#if defined(__GNUC__) && defined(__x86_64__)
  __builtin_cpu_init();
  const char* asked = std::getenv("NASTURTIUM_ISA");
  const std::string_view most = asked == nullptr ? "" : asked;
  if (most == "v2" || !__builtin_cpu_supports("avx2")) {
    return Isa::v2;
  }
  return most == "v3" || !__builtin_cpu_supports("avx512f") ? Isa::v3 : Isa::v4;
#else
  return Isa::v2;
#endif
}

}  // namespace nasturtium
