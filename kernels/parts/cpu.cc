// One source, compiled once per instruction set (NASTURTIUM_ISA names the namespace).

#include "parts/cpu.hpp"

#include "simd.hpp"
#include "work.hpp"

namespace {

using namespace nasturtium::kernels;

// A number of channels or parts, known when compiling or not.
template <Index N>
struct Known {
  constexpr operator Index() const { return N; }
};

// body(where in the whole, where in the first part or behind it, whether behind) for a pixel.
template <bool Shuffled, class Own, class Parts, class Move>
inline void for_channels(Own own, Parts parts, const Move& move) {
  for (Index k = 0; k < parts; ++k)
    for (Index i = 0; i < own; ++i)
      move(Shuffled ? i * parts + k : k * own + i, k == 0 ? i : (k - 1) * own + i, k > 0);
}

template <bool Shuffled, class Own, class Parts, class Pixel>
void for_pixels(const PartsShape& s, Own own, Parts parts, int threads, const Pixel& pixel) {
  constexpr Index kUnits = 64;
  const Index rest = own * (parts - 1);
  for_units(kUnits, threads, [&](Index first, Index last) {
    for (Index p = s.pixels * first / kUnits; p < s.pixels * last / kUnits; ++p)
      pixel(p * (own + rest), p * own, p * rest);
    return true;
  });
}

template <bool Shuffled, class Own, class Parts>
void split_by(const PartsShape& s, Own own, Parts parts, const float* whole, float* first,
              float* rest, int threads) {
  for_pixels<Shuffled>(s, own, parts, threads, [=](Index at, Index in_first, Index in_rest) {
    for_channels<Shuffled>(own, parts, [=](Index from, Index to, bool behind) {
      (behind ? rest + in_rest : first + in_first)[to] = whole[at + from];
    });
  });
}

template <bool Shuffled, class Own, class Parts>
void join_by(const PartsShape& s, Own own, Parts parts, const float* first, const float* rest,
             float* whole, int threads) {
  for_pixels<Shuffled>(s, own, parts, threads, [=](Index at, Index in_first, Index in_rest) {
    for_channels<Shuffled>(own, parts, [=](Index to, Index from, bool behind) {
      whole[at + to] = (behind ? rest + in_rest : first + in_first)[from];
    });
  });
}

}  // namespace

namespace nasturtium::kernels::NASTURTIUM_ISA {

static void split(const PartsShape& s, const float* whole, float* first, float* rest, int threads) {
  const auto run = [&](auto own, auto parts) {
    if (s.shuffled)
      split_by<true>(s, own, parts, whole, first, rest, threads);
    else
      split_by<false>(s, own, parts, whole, first, rest, threads);
  };
  if (s.own == 4 && s.parts == 4)
    run(Known<4>{}, Known<4>{});
  else
    run(s.own, s.parts);
}

static void join(const PartsShape& s, const float* first, const float* rest, float* whole,
                 int threads) {
  const auto run = [&](auto own, auto parts) {
    if (s.shuffled)
      join_by<true>(s, own, parts, first, rest, whole, threads);
    else
      join_by<false>(s, own, parts, first, rest, whole, threads);
  };
  if (s.own == 4 && s.parts == 4)
    run(Known<4>{}, Known<4>{});
  else
    run(s.own, s.parts);
}

extern const PartsTable channel_parts;
const PartsTable channel_parts{split, join};

}  // namespace nasturtium::kernels::NASTURTIUM_ISA
