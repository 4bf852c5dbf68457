#include "md5.hpp"

#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace nasturtium {
namespace {

// The same word of four messages. Two of these are worked on in turn, because the steps of one
// depend on each other.
typedef std::uint32_t Md5Quad __attribute__((vector_size(16)));
constexpr std::size_t kMd5Halves = 2;
constexpr std::size_t kMd5Words = 16;
static_assert(kMd5Halves * 4 == kMd5Lanes);

constexpr Md5Digest kMd5Start = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476};

constexpr std::uint32_t kMd5Turns[4][4] = {
    {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

// floor(2^32 |sin(i + 1)|)
constexpr std::uint32_t kMd5Sines[64] = {
    0xD76AA478, 0xE8C7B756, 0x242070DB, 0xC1BDCEEE, 0xF57C0FAF, 0x4787C62A, 0xA8304613, 0xFD469501,
    0x698098D8, 0x8B44F7AF, 0xFFFF5BB1, 0x895CD7BE, 0x6B901122, 0xFD987193, 0xA679438E, 0x49B40821,
    0xF61E2562, 0xC040B340, 0x265E5A51, 0xE9B6C7AA, 0xD62F105D, 0x02441453, 0xD8A1E681, 0xE7D3FBC8,
    0x21E1CDE6, 0xC33707D6, 0xF4D50D87, 0x455A14ED, 0xA9E3E905, 0xFCEFA3F8, 0x676F02D9, 0x8D2A4C8A,
    0xFFFA3942, 0x8771F681, 0x6D9D6122, 0xFDE5380C, 0xA4BEEA44, 0x4BDECFA9, 0xF6BB4B60, 0xBEBFBC70,
    0x289B7EC6, 0xEAA127FA, 0xD4EF3085, 0x04881D05, 0xD9D4D039, 0xE6DB99E5, 0x1FA27CF8, 0xC4AC5665,
    0xF4292244, 0x432AFF97, 0xAB9423A7, 0xFC93A039, 0x655B59C3, 0x8F0CCC92, 0xFFEFF47D, 0x85845DD1,
    0x6FA87E4F, 0xFE2CE6E0, 0xA3014314, 0x4E0811A1, 0xF7537E82, 0xBD3AF235, 0x2AD7D2BB, 0xEB86D391,
};

// Step I of half H. The four words of the state change roles from step to step.
template <std::size_t I, std::size_t H>
[[gnu::always_inline]] inline void md5_step(Md5Quad (&state)[kMd5Halves][4],
                                            const Md5Quad (&words)[kMd5Halves][kMd5Words]) {
  constexpr std::size_t kA = (64 - I) % 4, kB = (kA + 1) % 4, kC = (kA + 2) % 4, kD = (kA + 3) % 4;
  constexpr std::size_t kRound = I / 16;
  constexpr std::size_t kWord = kRound == 0   ? I
                                : kRound == 1 ? (5 * I + 1) % 16
                                : kRound == 2 ? (3 * I + 5) % 16
                                              : 7 * I % 16;
  constexpr std::uint32_t kTurn = kMd5Turns[kRound][I % 4];
  const Md5Quad b = state[H][kB], c = state[H][kC], d = state[H][kD];
  Md5Quad sum = state[H][kA] + words[H][kWord] + kMd5Sines[I];
  if constexpr (kRound == 0) {
    sum += d ^ (b & (c ^ d));
  } else if constexpr (kRound == 1) {
    sum += c ^ (d & (b ^ c));
  } else if constexpr (kRound == 2) {
    sum += b ^ c ^ d;
  } else {
    sum += c ^ (b | ~d);
  }
  state[H][kA] = b + (sum << kTurn | sum >> (32 - kTurn));
}

// One block of all messages. Written out so that the state stays in registers.
template <std::size_t... I>
[[gnu::always_inline]] inline void md5_block(Md5Quad (&state)[kMd5Halves][4],
                                             const Md5Quad (&words)[kMd5Halves][kMd5Words],
                                             std::index_sequence<I...>) {
  Md5Quad next[kMd5Halves][4] = {{state[0][0], state[0][1], state[0][2], state[0][3]},
                                 {state[1][0], state[1][1], state[1][2], state[1][3]}};
  ((md5_step<I, 0>(next, words), md5_step<I, 1>(next, words)), ...);
  state[0][0] += next[0][0];
  state[0][1] += next[0][1];
  state[0][2] += next[0][2];
  state[0][3] += next[0][3];
  state[1][0] += next[1][0];
  state[1][1] += next[1][1];
  state[1][2] += next[1][2];
  state[1][3] += next[1][3];
}

// The sixteen words of one block of four messages.
#if defined(__SSE2__)

inline void md5_load(const std::uint8_t* from, std::size_t stride, Md5Quad* words) {
  auto* to = reinterpret_cast<__m128i*>(words);
  for (std::size_t i = 0; i < 4; ++i) {
    const auto row = [from, stride, i](std::size_t lane) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + lane * stride + 16 * i));
    };
    const __m128i a = row(0), b = row(1), c = row(2), d = row(3);
    const __m128i ab_low = _mm_unpacklo_epi32(a, b), ab_high = _mm_unpackhi_epi32(a, b);
    const __m128i cd_low = _mm_unpacklo_epi32(c, d), cd_high = _mm_unpackhi_epi32(c, d);
    _mm_store_si128(to + 4 * i, _mm_unpacklo_epi64(ab_low, cd_low));
    _mm_store_si128(to + 4 * i + 1, _mm_unpackhi_epi64(ab_low, cd_low));
    _mm_store_si128(to + 4 * i + 2, _mm_unpacklo_epi64(ab_high, cd_high));
    _mm_store_si128(to + 4 * i + 3, _mm_unpackhi_epi64(ab_high, cd_high));
  }
}

#else

inline void md5_load(const std::uint8_t* from, std::size_t stride, Md5Quad* words) {
  for (std::size_t lane = 0; lane < 4; ++lane) {
    const std::uint8_t* at = from + lane * stride;
    for (std::size_t i = 0; i < kMd5Words; ++i, at += 4) {
      words[i][lane] = at[0] | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 |
                       std::uint32_t{at[3]} << 24;
    }
  }
}

#endif

}  // namespace

void md5_pad(std::uint8_t* message, std::size_t length) {
  message[length] = 0x80;
  std::uint8_t* end = message + md5_blocks(length) * kMd5Block;
  const std::uint64_t bits = 8 * std::uint64_t{length};
  for (unsigned i = 0; i < 8; ++i) {
    end[static_cast<int>(i) - 8] = static_cast<std::uint8_t>(bits >> 8 * i);
  }
}

void md5(const std::uint8_t* messages, std::size_t stride, std::size_t blocks, Md5Digest* out) {
  Md5Quad state[kMd5Halves][4];
  for (std::size_t half = 0; half < kMd5Halves; ++half) {
    for (std::size_t k = 0; k < 4; ++k) {
      state[half][k] = Md5Quad{kMd5Start[k], kMd5Start[k], kMd5Start[k], kMd5Start[k]};
    }
  }
  for (std::size_t block = 0; block < blocks; ++block) {
    Md5Quad words[kMd5Halves][kMd5Words];
    const std::uint8_t* from = messages + block * kMd5Block;
    md5_load(from, stride, words[0]);
    md5_load(from + 4 * stride, stride, words[1]);
    md5_block(state, words, std::make_index_sequence<64>{});
  }
  for (std::size_t lane = 0; lane < kMd5Lanes; ++lane) {
    for (std::size_t k = 0; k < 4; ++k) {
      out[lane][k] = state[lane / 4][k][lane % 4];
    }
  }
}

}  // namespace nasturtium
