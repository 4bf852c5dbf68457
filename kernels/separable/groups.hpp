#pragma once
// Pointwise convolutions where a pixel holds several images side by side, of `Own` channels each:
// an output channel is made of the channels of its own image, which all lie within one vector.

#include "rows.hpp"

namespace {

// Every lane takes channel A of its own image.
template <int L, int Own, int A>
inline typename Simd<L>::vec channel_of_each(typename Simd<L>::vec v) {
  typename Simd<L>::mask from;
  for (int l = 0; l < L; ++l) from[l] = l / Own * Own + A;
  return __builtin_shuffle(v, from);
}

template <int L, int Own, int A = 0>
inline void add_channels(typename Simd<L>::vec in, const typename Simd<L>::vec* weight,
                         typename Simd<L>::vec& sum) {
  sum += channel_of_each<L, Own, A>(in) * weight[A];
  if constexpr (A + 1 < Own) add_channels<L, Own, A + 1>(in, weight, sum);
}

template <int L, int Own, int A = 0>
inline void add_outer(typename Simd<L>::vec a, typename Simd<L>::vec b,
                      typename Simd<L>::vec* sum) {
  sum[A] += channel_of_each<L, Own, A>(a) * b;
  if constexpr (A + 1 < Own) add_outer<L, Own, A + 1>(a, b, sum);
}

// weight is [Own][pixel]; outputs lie `step` floats apart.
template <int L, int Own>
void grouped_pointwise(const float* in, Index count, Index pixel, const float* weight, float* out,
                       Index step) {
  using V = Simd<L>;
  constexpr int kPixels = Own > 4 ? 4 : 8;
  for (Index q = 0; q < pixel; q += L) {
    typename V::vec w[Own];
    for (int a = 0; a < Own; ++a) w[a] = V::load(weight + a * pixel + q);
    const float* from = in + q;
    float* to = out + q;
    Index n = 0;
    for (; n + kPixels <= count; n += kPixels, from += kPixels * pixel, to += kPixels * step) {
      typename V::vec sum[kPixels] = {};
#pragma GCC unroll 8
      for (int p = 0; p < kPixels; ++p) add_channels<L, Own>(V::load(from + p * pixel), w, sum[p]);
#pragma GCC unroll 8
      for (int p = 0; p < kPixels; ++p) V::store(to + p * step, sum[p]);
    }
    for (; n < count; ++n, from += pixel, to += step) {
      typename V::vec sum{};
      add_channels<L, Own>(V::load(from), w, sum);
      V::store(to, sum);
    }
  }
}

// sums[a] += sum over pixels of channel a of each image times b, [Own][pixel].
template <int L, int Own>
void grouped_outer(const float* a, const float* b, Index count, Index pixel, float* sums) {
  using V = Simd<L>;
  constexpr int kSets = Own > 4 ? 1 : 8 / Own;  // enough chains to hide the latency of one
  for (Index q = 0; q < pixel; q += L) {
    typename V::vec sum[kSets][Own] = {};
    Index n = 0;
    for (; n + kSets <= count; n += kSets)
#pragma GCC unroll 8
      for (int set = 0; set < kSets; ++set) {
        const Index at = (n + set) * pixel + q;
        add_outer<L, Own>(V::load(a + at), V::load(b + at), sum[set]);
      }
    for (; n < count; ++n)
      add_outer<L, Own>(V::load(a + n * pixel + q), V::load(b + n * pixel + q), sum[0]);
    for (int i = 0; i < Own; ++i) {
      typename V::vec total = sum[0][i];
      for (int set = 1; set < kSets; ++set) total += sum[set][i];
      float* to = sums + i * pixel + q;
      V::store(to, V::load(to) + total);
    }
  }
}

struct Grouped {
  void (*pointwise)(const float* in, Index count, Index pixel, const float* weight, float* out,
                    Index step);
  void (*outer)(const float* a, const float* b, Index count, Index pixel, float* sums);
};

template <int L, int Own>
constexpr Grouped grouped_by() {
  if constexpr (Own > L)
    return {nullptr, nullptr};
  else
    return {grouped_pointwise<L, Own>, grouped_outer<L, Own>};
}

// Of 1, 2, 4 or 8 channels, fewer than a vector has lanes or as many.
template <int L>
Grouped grouped(Index own) {
  if (own == 1) return grouped_by<L, 1>();
  if (own == 2) return grouped_by<L, 2>();
  return own == 4 ? grouped_by<L, 4>() : grouped_by<L, 8>();
}

}  // namespace
