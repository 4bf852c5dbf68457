#pragma once
// Dense convolutions of side 1 and 3 on channels-last rows, and the gradients of their weights.
//
// Outputs are vectors of channels, and are computed in pairs; both of a pair may belong to
// different filters, so each has an address of its own. A tile is a few pixels by a pair: 12 sums
// hide the latency of a multiply-add and leave room for the weights and one input.

#include "rows.hpp"

namespace {

constexpr int kPair = 2;

// Weights [rows][channels out], rows counting inputs within taps, in panels of a pair each:
// [pair][row][vector of the pair][lane]. A last vector without a partner is a narrower panel.
template <int L>
struct Panels {
  Index rows, outputs;

  Index size() const { return rows * outputs; }
  Index at(Index row, Index output) const {
    const Index vector = output / L, first = vector / kPair * kPair;
    const Index wide = (first + kPair) * L <= outputs ? kPair : 1;
    return first * L * rows + (row * wide + vector - first) * L + output % L;
  }
};

// Where the vectors of a pair lie; pixels are equally far apart in both.
template <class T>
struct Pair {
  T* at[kPair];
};

// A number that is known when compiling.
template <int N>
struct Number {
  static constexpr int value = N;
};

// body(Number of vectors, first vector) for all pairs.
template <class Body>
inline void for_pairs(Index vectors, const Body& body) {
  Index i = 0;
  for (; i + kPair <= vectors; i += kPair) body(Number<kPair>{}, i);
  if (i < vectors) body(Number<1>{}, i);
}

// Rows of pixels, `pixel` floats each.
struct Span {
  Index rows, width, pixel;
};

// P pixels of a convolution of side K with `inputs` inputs of every tap, of which `in` is where the
// first pixel's first tap lies. With Add on top of what the outputs hold.
template <int L, int K, int P, int V, bool Add>
inline void dense_tile(const float* in, Index pitch, Index pixel, Index inputs, const float* weight,
                       Index tap_step, const Pair<float>& out, Index offset) {
  using S = Simd<L>;
  using vec = typename S::vec;
  vec sum[P][V] = {};
  if constexpr (Add) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
      for (int v = 0; v < V; ++v) sum[p][v] = S::load(out.at[v] + offset + p * pixel);
  }
  for (int i = 0; i < K; ++i, in += pitch) {
    const float* from = in;
    for (int j = 0; j < K; ++j, from += pixel, weight += tap_step) {
      const float* w = weight;
      for (Index c = 0; c < inputs; ++c, w += V * L) {
        vec own[V];
        for (int v = 0; v < V; ++v) own[v] = S::load(w + v * L);
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p) {
          const vec value = S::broadcast(from[p * pixel + c]);
          for (int v = 0; v < V; ++v) sum[p][v] += value * own[v];
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p)
    for (int v = 0; v < V; ++v) S::store(out.at[v] + offset + p * pixel, sum[p][v]);
}

template <int L, int K, int V, bool Add>
void dense_rows(const float* in, Index pitch, const Span& by, Index inputs, const float* weight,
                Index tap_step, const Pair<float>& out) {
  constexpr int kMost = 12 / V;
  Index offset = 0;
  for (Index y = 0; y < by.rows; ++y, in += pitch) {
    const float* from = in;
    Index left = by.width;
    const auto run = [&](auto tile, Index size) {
      tile(from, pitch, by.pixel, inputs, weight, tap_step, out, offset);
      from += size * by.pixel;
      offset += size * by.pixel;
      left -= size;
    };
    // A rest of two more pixels goes as fours.
    while (left >= kMost && left != kMost + 2) run(dense_tile<L, K, kMost, V, Add>, kMost);
    while (left >= 4) run(dense_tile<L, K, 4, V, Add>, 4);
    if (left >= 2) run(dense_tile<L, K, 2, V, Add>, 2);
    if (left >= 1) run(dense_tile<L, K, 1, V, Add>, 1);
  }
}

// A convolution of side K from all channels of a pixel to `vectors` outputs, of which pair(first)
// gives the places; `in` is where the first pixel's first tap lies.
template <int L, int K, bool Add, class Place>
void dense(const float* in, Index pitch, const Span& by, const float* weight, Index vectors,
           const Place& pair) {
  // Weights of as many inputs as stay in the first cache while the pixels pass by.
  constexpr Index kInputs = K == 1 ? 1024 : 256 / L;
  const Index rows = K * K * by.pixel;
  for_pairs(vectors, [&](auto wide, Index first) {
    constexpr int V = decltype(wide)::value;
    const Pair<float> out = pair(first);
    const float* own = weight + first * L * rows;
    for (Index c = 0; c < by.pixel; c += kInputs) {
      const Index count = by.pixel - c < kInputs ? by.pixel - c : kInputs;
      const auto run = c == 0 ? dense_rows<L, K, V, Add> : dense_rows<L, K, V, true>;
      run(in + c, pitch, by, count, own + c * V * L, by.pixel * V * L, out);
    }
  });
}

// sums[c] += sum over pixels of a[c] b, C channels of a by V vectors of b.
template <int L, int C, int V>
inline void correlate_tile(const float* a, Index a_pitch, const Pair<const float>& b, Index b_pitch,
                           const Span& by, float* sums) {
  using S = Simd<L>;
  using vec = typename S::vec;
  vec sum[C][V] = {};
  for (Index y = 0; y < by.rows; ++y) {
    const float* from = a + y * a_pitch;
    Index at = y * b_pitch;
    for (Index x = 0; x < by.width; ++x, from += by.pixel, at += by.pixel) {
      vec w[V];
      for (int v = 0; v < V; ++v) w[v] = S::load(b.at[v] + at);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        const vec value = S::broadcast(from[c]);
        for (int v = 0; v < V; ++v) sum[c][v] += value * w[v];
      }
    }
  }
#pragma GCC unroll 16
  for (int c = 0; c < C; ++c)
    for (int v = 0; v < V; ++v) {
      float* to = sums + (c * V + v) * L;
      S::store(to, S::load(to) + sum[c][v]);
    }
}

template <int L, int V>
void correlate_pair(const float* a, Index a_pitch, const Pair<const float>& b, Index b_pitch,
                    const Span& by, float* sums) {
  constexpr int kMost = 12 / V;
  Index left = by.pixel;
  const auto run = [&](auto tile, Index size) {
    tile(a, a_pitch, b, b_pitch, by, sums);
    a += size;
    sums += size * V * L;
    left -= size;
  };
  while (left >= kMost && left != kMost + 2) run(correlate_tile<L, kMost, V>, kMost);
  while (left >= 4) run(correlate_tile<L, 4, V>, 4);
  if (left >= 2) run(correlate_tile<L, 2, V>, 2);
}

// The gradient of the weights of `dense`, in panels: `a` is where the first pixel's first tap lies,
// pair(first) where the gradient of the outputs does. Both need chunks of rows that stay in the
// first cache.
template <int L, int K, class Place>
void correlate(const float* a, Index a_pitch, Index b_pitch, const Span& by, Index vectors,
               float* sums, const Place& pair) {
  for_pairs(vectors, [&](auto wide, Index first) {
    constexpr int V = decltype(wide)::value;
    const Pair<const float> b = pair(first);
    for (int tap = 0; tap < K * K; ++tap, sums += by.pixel * V * L)
      correlate_pair<L, V>(a + tap / K * a_pitch + tap % K * by.pixel, a_pitch, b, b_pitch, by,
                           sums);
  });
}

}  // namespace
