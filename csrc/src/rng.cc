#include "nasturtium/rng.hpp"

#include <algorithm>

#include "isa.hpp"

#if defined(__SSE2__)
// GCC 12 takes what its own headers leave undefined on purpose for a mistake (its bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace nasturtium {
namespace {

#if defined(__SSE2__)

// Two counters in a vector, in the low halves of its 64-bit lanes. The high halves hold what the
// products left there: the multiplication does not read them.
struct Lanes {
  __m128i c0, c1, c2, c3;
};

void rounds(Lanes* lanes, std::size_t count, PhiloxKey key) {
  const __m128i m0 = _mm_set1_epi64x(0xD2511F53), m1 = _mm_set1_epi64x(0xCD9E8D57);
  for (int round = 0; round < 10; ++round) {
    const __m128i k0 = _mm_set1_epi64x(key[0]), k1 = _mm_set1_epi64x(key[1]);
    for (std::size_t i = 0; i < count; ++i) {
      Lanes& c = lanes[i];
      const __m128i p0 = _mm_mul_epu32(c.c0, m0), p1 = _mm_mul_epu32(c.c2, m1);
      c.c0 = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(p1, 32), c.c1), k0);
      c.c2 = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(p0, 32), c.c3), k1);
      c.c1 = p1;
      c.c3 = p0;
    }
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
}

void philox_baseline(std::uint64_t first, PhiloxKey key, std::uint32_t c2, std::uint32_t c3,
                     std::uint64_t* out) {
  constexpr std::size_t kVectors = kPhiloxLanes / 2;
  Lanes lanes[kVectors];
  for (std::size_t i = 0; i < kVectors; ++i) {
    const std::uint64_t a = first + 2 * i, b = a + 1;
    const auto pair = [](std::uint64_t high, std::uint64_t low) {
      return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
    };
    lanes[i] = {pair(b & 0xFFFFFFFFu, a & 0xFFFFFFFFu), pair(b >> 32, a >> 32), pair(c2, c2),
                pair(c3, c3)};
  }
  rounds(lanes, kVectors, key);
  const __m128i low = _mm_set1_epi64x(0xFFFFFFFF);
  for (std::size_t i = 0; i < kVectors; ++i) {
    const Lanes& c = lanes[i];
    const __m128i w0 = _mm_or_si128(_mm_and_si128(c.c0, low), _mm_slli_epi64(c.c1, 32));
    const __m128i w1 = _mm_or_si128(_mm_and_si128(c.c2, low), _mm_slli_epi64(c.c3, 32));
    auto* to = reinterpret_cast<__m128i*>(out + 4 * i);
    _mm_storeu_si128(to, _mm_unpacklo_epi64(w0, w1));
    _mm_storeu_si128(to + 1, _mm_unpackhi_epi64(w0, w1));
  }
}

#if defined(__GNUC__)

// The same with four counters in a vector.
__attribute__((target("avx2"))) void philox_avx2(std::uint64_t first, PhiloxKey key,
                                                 std::uint32_t c2, std::uint32_t c3,
                                                 std::uint64_t* out) {
  constexpr int kVectors = kPhiloxLanes / 4;
  const __m256i low = _mm256_set1_epi64x(0xFFFFFFFF);
  const __m256i m0 = _mm256_set1_epi64x(0xD2511F53), m1 = _mm256_set1_epi64x(0xCD9E8D57);
  __m256i x[kVectors][4];
  for (int v = 0; v < kVectors; ++v) {
    const auto begin = static_cast<long long>(first + 4 * static_cast<std::uint64_t>(v));
    x[v][0] = _mm256_add_epi64(_mm256_set1_epi64x(begin), _mm256_set_epi64x(3, 2, 1, 0));
    x[v][1] = _mm256_srli_epi64(x[v][0], 32);
    x[v][2] = _mm256_set1_epi64x(c2);
    x[v][3] = _mm256_set1_epi64x(c3);
  }
  for (int round = 0; round < 10; ++round) {
    const __m256i k0 = _mm256_set1_epi64x(key[0]), k1 = _mm256_set1_epi64x(key[1]);
    for (int v = 0; v < kVectors; ++v) {
      const __m256i p0 = _mm256_mul_epu32(x[v][0], m0), p1 = _mm256_mul_epu32(x[v][2], m1);
      x[v][0] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p1, 32), x[v][1]), k0);
      x[v][2] = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(p0, 32), x[v][3]), k1);
      x[v][1] = p1;
      x[v][3] = p0;
    }
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  for (int v = 0; v < kVectors; ++v) {
    const __m256i w0 =
        _mm256_or_si256(_mm256_and_si256(x[v][0], low), _mm256_slli_epi64(x[v][1], 32));
    const __m256i w1 =
        _mm256_or_si256(_mm256_and_si256(x[v][2], low), _mm256_slli_epi64(x[v][3], 32));
    const __m256i even = _mm256_unpacklo_epi64(w0, w1), odd = _mm256_unpackhi_epi64(w0, w1);
    auto* to = reinterpret_cast<__m256i*>(out + 8 * v);
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(even, odd, 0x31));
  }
}

// Blocks c2 and, where there is a second one, c2 + 1 of each row, eight counters in a vector: the
// rounds of one block fill the gaps in those of the other.
template <int Blocks>
__attribute__((target("avx512f"))) void philox_avx512(std::uint64_t first, PhiloxKey key,
                                                      std::uint32_t c2, std::uint32_t c3,
                                                      std::uint64_t* out) {
  const __m512i low = _mm512_set1_epi64(0xFFFFFFFF);
  const __m512i m0 = _mm512_set1_epi64(0xD2511F53), m1 = _mm512_set1_epi64(0xCD9E8D57);
  constexpr int kXor = 0x96, kEither = 0xEA;  // a ^ b ^ c; (a & b) | c
  __m512i x[Blocks][4];
  for (int b = 0; b < Blocks; ++b) {
    x[b][0] = _mm512_add_epi64(_mm512_set1_epi64(static_cast<long long>(first)),
                               _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
    x[b][1] = _mm512_srli_epi64(x[b][0], 32);
    x[b][2] = _mm512_set1_epi64(c2 + static_cast<std::uint32_t>(b));
    x[b][3] = _mm512_set1_epi64(c3);
  }
  for (int round = 0; round < 10; ++round) {
    const __m512i k0 = _mm512_set1_epi64(key[0]), k1 = _mm512_set1_epi64(key[1]);
    for (int b = 0; b < Blocks; ++b) {
      const __m512i p0 = _mm512_mul_epu32(x[b][0], m0), p1 = _mm512_mul_epu32(x[b][2], m1);
      x[b][0] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), x[b][1], k0, kXor);
      x[b][2] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), x[b][3], k1, kXor);
      x[b][1] = p1;
      x[b][3] = p0;
    }
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  const __m512i lower = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
  const __m512i upper = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
  for (int b = 0; b < Blocks; ++b) {
    const __m512i w0 =
        _mm512_ternarylogic_epi64(x[b][0], low, _mm512_slli_epi64(x[b][1], 32), kEither);
    const __m512i w1 =
        _mm512_ternarylogic_epi64(x[b][2], low, _mm512_slli_epi64(x[b][3], 32), kEither);
    std::uint64_t* to = out + 2 * kPhiloxLanes * static_cast<std::size_t>(b);
    _mm512_storeu_si512(to, _mm512_permutex2var_epi64(w0, lower, w1));
    _mm512_storeu_si512(to + kPhiloxLanes, _mm512_permutex2var_epi64(w0, upper, w1));
  }
}

#endif

// The product with m is that of the lower halves plus that of the upper ones; its carry from the
// lower 64 bits is the digit.
void digits_baseline(std::uint64_t* fractions, std::uint32_t m, std::size_t count,
                     std::uint32_t* out) {
  const __m128i times = _mm_set1_epi64x(m), low = _mm_set1_epi64x(0xFFFFFFFF);
  for (std::size_t lane = 0; lane < kPhiloxLanes; lane += 4) {
    auto* at = reinterpret_cast<__m128i*>(fractions + lane);
    __m128i x[2] = {_mm_loadu_si128(at), _mm_loadu_si128(at + 1)};
    for (std::size_t k = 0; k < count; ++k) {
      __m128i above[2];
      for (int i = 0; i < 2; ++i) {
        const __m128i lower = _mm_mul_epu32(x[i], times);
        const __m128i upper = _mm_mul_epu32(_mm_srli_epi64(x[i], 32), times);
        above[i] = _mm_add_epi64(upper, _mm_srli_epi64(lower, 32));
        x[i] = _mm_or_si128(_mm_slli_epi64(above[i], 32), _mm_and_si128(lower, low));
      }
      const __m128 digits = _mm_shuffle_ps(_mm_castsi128_ps(above[0]), _mm_castsi128_ps(above[1]),
                                           _MM_SHUFFLE(3, 1, 3, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + k * kPhiloxLanes + lane),
                       _mm_castps_si128(digits));
    }
    _mm_storeu_si128(at, x[0]);
    _mm_storeu_si128(at + 1, x[1]);
  }
}

#if defined(__GNUC__)

__attribute__((target("avx512f"))) void digits_avx512(std::uint64_t* fractions, std::uint32_t m,
                                                      std::size_t count, std::uint32_t* out) {
  const __m512i times = _mm512_set1_epi64(m), low = _mm512_set1_epi64(0xFFFFFFFF);
  __m512i x = _mm512_loadu_si512(fractions);
  for (std::size_t k = 0; k < count; ++k) {
    const __m512i lower = _mm512_mul_epu32(x, times);
    const __m512i upper = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), times);
    const __m512i above = _mm512_add_epi64(upper, _mm512_srli_epi64(lower, 32));
    x = _mm512_ternarylogic_epi64(lower, low, _mm512_slli_epi64(above, 32), 0xEA);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + k * kPhiloxLanes),
                        _mm512_cvtepi64_epi32(_mm512_srli_epi64(above, 32)));
  }
  _mm512_storeu_si512(fractions, x);
}

#endif

#else

void philox_baseline(std::uint64_t first, PhiloxKey key, std::uint32_t c2, std::uint32_t c3,
                     std::uint64_t* out) {
  for (std::size_t i = 0; i < kPhiloxLanes; ++i) {
    const std::uint64_t n = first + i;
    const PhiloxCounter v =
        philox({static_cast<std::uint32_t>(n), static_cast<std::uint32_t>(n >> 32), c2, c3}, key);
    out[2 * i] = v[0] | std::uint64_t{v[1]} << 32;
    out[2 * i + 1] = v[2] | std::uint64_t{v[3]} << 32;
  }
}

void digits_baseline(std::uint64_t* fractions, std::uint32_t m, std::size_t count,
                     std::uint32_t* out) {
  for (std::size_t k = 0; k < count; ++k) {
    for (std::size_t lane = 0; lane < kPhiloxLanes; ++lane) {
      out[k * kPhiloxLanes + lane] = RowRandom::digit(fractions[lane], m);
    }
  }
}

#endif

const Isa kIsa = chosen_isa();

}  // namespace

void row_words(RandomKey key, std::uint64_t row, Purpose purpose, std::uint64_t* out,
               std::uint32_t block, std::uint32_t blocks) {
  const PhiloxKey k = split(key.seed);
  std::uint32_t c2 = (static_cast<std::uint32_t>(purpose) << 24) + block;
  const std::uint32_t end = c2 + blocks;
#if defined(__SSE2__) && defined(__GNUC__)
  if (kIsa == Isa::v4) {
    for (; end - c2 >= 2; c2 += 2, out += 4 * kPhiloxLanes) {
      philox_avx512<2>(row, k, c2, key.stream, out);
    }
  }
  const auto one = kIsa == Isa::v4   ? philox_avx512<1>
                   : kIsa == Isa::v3 ? philox_avx2
                                     : philox_baseline;
#else
  const auto one = philox_baseline;
#endif
  for (; c2 != end; ++c2, out += 2 * kPhiloxLanes) {
    one(row, k, c2, key.stream, out);
  }
}

void lane_digits(std::uint64_t* fractions, std::uint32_t m, std::size_t count, std::uint32_t* out) {
#if defined(__SSE2__) && defined(__GNUC__)
  if (kIsa == Isa::v4) {
    digits_avx512(fractions, m, count, out);
    return;
  }
#endif
  digits_baseline(fractions, m, count, out);
}

void random_words(std::span<std::uint64_t> out, RandomKey key, std::uint64_t counter) {
  constexpr std::size_t kWords = 2 * kPhiloxLanes;
  std::size_t done = 0;
  for (; out.size() - done >= kWords; done += kWords, counter += kPhiloxLanes) {
    row_words(key, counter, Purpose::stream, out.data() + done);
  }
  if (done < out.size()) {
    std::uint64_t last[kWords];
    row_words(key, counter, Purpose::stream, last);
    std::copy_n(last, out.size() - done, out.data() + done);
  }
}

}  // namespace nasturtium
