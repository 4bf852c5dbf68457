#pragma once
// Register-sized float vectors. Everything has internal linkage and nothing comes from the standard
// library: a function that two instruction sets emit under one name would be merged by the linker,
// and the wider one would then run on a processor that lacks it.

#include <cstddef>
#include <cstdint>

namespace {

// Spelled out per width: gcc does not treat a vector_size that depends on a template as a vector.
template <int Lanes>
struct VectorTypes;
template <>
struct VectorTypes<4> {
  typedef float vec __attribute__((vector_size(16)));
  typedef float unaligned __attribute__((vector_size(16), aligned(4), may_alias));
  typedef std::int32_t mask __attribute__((vector_size(16)));
  typedef std::uint32_t bits __attribute__((vector_size(16)));
  typedef std::uint16_t half __attribute__((vector_size(8), aligned(2), may_alias));
  typedef float few __attribute__((vector_size(8)));
  typedef double wide __attribute__((vector_size(16)));
};
template <>
struct VectorTypes<8> {
  typedef float vec __attribute__((vector_size(32)));
  typedef float unaligned __attribute__((vector_size(32), aligned(4), may_alias));
  typedef std::int32_t mask __attribute__((vector_size(32)));
  typedef std::uint32_t bits __attribute__((vector_size(32)));
  typedef std::uint16_t half __attribute__((vector_size(16), aligned(2), may_alias));
  typedef float few __attribute__((vector_size(16)));
  typedef double wide __attribute__((vector_size(32)));
};
template <>
struct VectorTypes<16> {
  typedef float vec __attribute__((vector_size(64)));
  typedef float unaligned __attribute__((vector_size(64), aligned(4), may_alias));
  typedef std::int32_t mask __attribute__((vector_size(64)));
  typedef std::uint32_t bits __attribute__((vector_size(64)));
  typedef std::uint16_t half __attribute__((vector_size(32), aligned(2), may_alias));
  typedef float few __attribute__((vector_size(32)));
  typedef double wide __attribute__((vector_size(64)));
};

enum bfloat16 : std::uint16_t {};

template <int Lanes>
struct Simd {
  using vec = typename VectorTypes<Lanes>::vec;
  using unaligned = typename VectorTypes<Lanes>::unaligned;
  using mask = typename VectorTypes<Lanes>::mask;
  using bits = typename VectorTypes<Lanes>::bits;
  using half = typename VectorTypes<Lanes>::half;
  using few = typename VectorTypes<Lanes>::few;
  using wide = typename VectorTypes<Lanes>::wide;

  static inline vec load(const float* p) { return *reinterpret_cast<const unaligned*>(p); }
  static inline void store(float* p, vec v) { *reinterpret_cast<unaligned*>(p) = v; }

  // The same in bfloat16, the upper half of a float: rounded to the nearest, ties to even.
  static inline vec load(const bfloat16* p) {
    const auto upper = *reinterpret_cast<const half*>(p);
    return __builtin_bit_cast(vec, __builtin_convertvector(upper, bits) << 16);
  }
  static inline void store(bfloat16* p, vec v) {
    const bits exact = __builtin_bit_cast(bits, v), odd = (exact >> 16) & 1;
    const bits rounded = v != v ? exact | 0x400000 : exact + 0x7fff + odd;  // NaN stays one
    *reinterpret_cast<half*>(p) = __builtin_convertvector(rounded >> 16, half);
  }
  static inline vec broadcast(float x) { return x - vec{}; }

  // The first `count` lanes only, 0 < count < Lanes.
  static inline void store_part(float* p, vec v, std::ptrdiff_t count) {
    for (int i = 0; i < Lanes; ++i)
      if (i < count) p[i] = v[i];
  }
  static inline mask first(std::ptrdiff_t count) {
    mask m;
    for (int i = 0; i < Lanes; ++i) m[i] = i < count ? -1 : 0;
    return m;
  }
  static inline vec select(mask m, vec v) { return m ? v : vec{}; }

  // Half of the lanes in double. Lanes one by one: gcc makes one move of them, where vectors wider
  // than a register would go through memory.
  static inline wide widen(vec v, int from) {
    few part;
    for (int i = 0; i < Lanes / 2; ++i) part[i] = v[from + i];
    return __builtin_convertvector(part, wide);
  }
};

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

// even and odd take every second of 2 * count floats; count is a multiple of 4.
inline void deinterleave(const float* from, float* even, float* odd, std::ptrdiff_t count) {
  using S = Simd<4>;
  for (std::ptrdiff_t i = 0; i < count; i += 4) {
    const S::vec a = S::load(from + 2 * i), b = S::load(from + 2 * i + 4);
    S::store(even + i, S::vec{a[0], a[2], b[0], b[2]});
    S::store(odd + i, S::vec{a[1], a[3], b[1], b[3]});
  }
}

inline void interleave(const float* even, const float* odd, float* to, std::ptrdiff_t count) {
  using S = Simd<4>;
  for (std::ptrdiff_t i = 0; i < count; i += 4) {
    const S::vec a = S::load(even + i), b = S::load(odd + i);
    S::store(to + 2 * i, S::vec{a[0], b[0], a[1], b[1]});
    S::store(to + 2 * i + 4, S::vec{a[2], b[2], a[3], b[3]});
  }
}

// Lanes are added in pairs: an order of the width, not of the caller.
inline float sum_lanes(const float* lanes, int count) {
  float part[16];
  for (int i = 0; i < count; ++i) part[i] = lanes[i];
  for (int width = count / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) part[i] += part[i + width];
  return part[0];
}

inline std::ptrdiff_t round_up(std::ptrdiff_t n, std::ptrdiff_t step) {
  return (n + step - 1) / step * step;
}

// Pixels are multiples of eight floats. Where sixteen lanes do not divide them, kernels of sixteen
// leave the work to those of eight: a second width of their own would double their compile time.
inline bool fills_vectors(std::ptrdiff_t channels) {
  return kLanes <= 8 || round_up(channels, 8) % kLanes == 0;
}

}  // namespace
