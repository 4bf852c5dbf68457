#pragma once
// The two halves of a separable convolution on channels-last rows, for whole vectors of channels.
//
// A depthwise tile is eight outputs of one row: each input that is loaded serves all taps that meet
// it, and sums, weights of a row of taps and the input take 14 registers. A pointwise tile is a few
// pixels by one or two vectors of output channels.

#include "rows.hpp"

namespace {

constexpr int kTile = 8;

// Adds the taps of K rows to eight outputs; `in` is where the first output's first tap lies.
template <int L, int K, int D, int S>
inline void depthwise_tile(const float* in, Index pitch, Index pixel, const float* taps,
                           typename Simd<L>::vec (&sum)[kTile]) {
  using vec = typename Simd<L>::vec;
  constexpr int kInputs = S * (kTile - 1) + D * (K - 1) + 1;
// Unrolled, nine weights would be kept across the tiles of a row, and most of them spilled.
#pragma GCC unroll 1
  for (int i = 0; i < K; ++i, in += D * pitch) {
    vec weight[K];
    for (int j = 0; j < K; ++j, taps += pixel) weight[j] = Simd<L>::load(taps);
    const float* from = in;
#pragma GCC unroll 32
    for (int c = 0; c < kInputs; ++c, from += pixel) {
      const vec v = Simd<L>::load(from);
#pragma GCC unroll 8
      for (int j = 0; j < K; ++j) {
        const int out = c - j * D;
        if (out >= 0 && out % S == 0 && out / S < kTile) sum[out / S] += weight[j] * v;
      }
    }
  }
}

// Rows of a depthwise convolution; with Add on top of what `out` holds. Inputs right of the image
// are read up to a multiple of eight outputs.
template <int L, int K, int D, int S, bool Add>
void depthwise_rows(const float* in, Index pitch, Index pixel, const float* taps, float* out,
                    Index out_pitch, Index rows, Index width) {
  using V = Simd<L>;
  for (Index y = 0; y < rows; ++y, in += S * pitch, out += out_pitch)
    for (Index q = 0; q < pixel; q += L)
      for (Index x = 0; x < width; x += kTile) {
        typename V::vec sum[kTile] = {};
        float* to = out + x * pixel + q;
        const Index left = width - x;
        if constexpr (Add) {
#pragma GCC unroll 8
          for (int p = 0; p < kTile; ++p)
            if (p < left) sum[p] = V::load(to + p * pixel);
        }
        depthwise_tile<L, K, D, S>(in + S * x * pixel + q, pitch, pixel, taps + q, sum);
#pragma GCC unroll 8
        for (int p = 0; p < kTile; ++p)
          if (p < left) V::store(to + p * pixel, sum[p]);
      }
}

using DepthwiseRows = void (*)(const float* in, Index pitch, Index pixel, const float* taps,
                               float* out, Index out_pitch, Index rows, Index width);

template <int L, int S, bool Add>
DepthwiseRows depthwise(int kernel, int dilation) {
  if (kernel == 3)
    return dilation == 1 ? depthwise_rows<L, 3, 1, S, Add> : depthwise_rows<L, 3, 2, S, Add>;
  return dilation == 1 ? depthwise_rows<L, 5, 1, S, Add> : depthwise_rows<L, 5, 2, S, Add>;
}

// out[p] = sum over c of in[p][c] weight[c], V vectors of output channels.
template <int L, int P, int V>
inline void pointwise_tile(const float* in, Index pixel, Index channels, const float* weight,
                           float* out, Index step) {
  using vec = typename Simd<L>::vec;
  vec sum[P][V] = {};
  for (Index c = 0; c < channels; ++c, weight += pixel) {
    vec w[V];
    for (int v = 0; v < V; ++v) w[v] = Simd<L>::load(weight + v * L);
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p) {
      const vec value = Simd<L>::broadcast(in[p * pixel + c]);
      for (int v = 0; v < V; ++v) sum[p][v] += value * w[v];
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p)
    for (int v = 0; v < V; ++v) Simd<L>::store(out + p * step + v * L, sum[p][v]);
}

// 12 sums hide the latency of a multiply-add; a rest of two more pixels goes as fours.
template <int L, int V>
void pointwise_block(const float* in, Index count, Index pixel, Index channels, const float* weight,
                     float* out, Index step) {
  constexpr int kMost = 12 / V;
  const auto run = [&](auto tile, Index size) {
    tile(in, pixel, channels, weight, out, step);
    in += size * pixel;
    out += size * step;
    count -= size;
  };
  while (count >= kMost && count != kMost + 2) run(pointwise_tile<L, kMost, V>, kMost);
  while (count >= 4) run(pointwise_tile<L, 4, V>, 4);
  if (count >= 2) run(pointwise_tile<L, 2, V>, 2);
  if (count >= 1) run(pointwise_tile<L, 1, V>, 1);
}

// weight is [channels][pixel]; outputs lie `step` floats apart.
template <int L>
void pointwise(const float* in, Index count, Index pixel, Index channels, const float* weight,
               float* out, Index step) {
  Index q = 0;
  for (; q + 2 * L <= pixel; q += 2 * L)
    pointwise_block<L, 2>(in, count, pixel, channels, weight + q, out + q, step);
  if (q < pixel) pointwise_block<L, 1>(in, count, pixel, channels, weight + q, out + q, step);
}

// sums[c] += sum over pixels of a[c] b, C channels of a by V vectors of b.
template <int L, int C, int V>
inline void outer_tile(const float* a, const float* b, Index count, Index pixel, float* sums) {
  using vec = typename Simd<L>::vec;
  vec sum[C][V] = {};
  for (Index n = 0; n < count; ++n, a += pixel, b += pixel) {
    vec w[V];
    for (int v = 0; v < V; ++v) w[v] = Simd<L>::load(b + v * L);
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      const vec value = Simd<L>::broadcast(a[c]);
      for (int v = 0; v < V; ++v) sum[c][v] += value * w[v];
    }
  }
#pragma GCC unroll 16
  for (int c = 0; c < C; ++c)
    for (int v = 0; v < V; ++v) {
      float* to = sums + c * pixel + v * L;
      Simd<L>::store(to, Simd<L>::load(to) + sum[c][v]);
    }
}

template <int L, int V>
void outer_block(const float* a, const float* b, Index count, Index pixel, Index channels,
                 float* sums) {
  constexpr int kMost = 12 / V;
  const auto run = [&](auto tile, Index size) {
    tile(a, b, count, pixel, sums);
    a += size;
    sums += size * pixel;
    channels -= size;
  };
  while (channels >= kMost && channels != kMost + 2) run(outer_tile<L, kMost, V>, kMost);
  while (channels >= 4) run(outer_tile<L, 4, V>, 4);
  if (channels >= 2) run(outer_tile<L, 2, V>, 2);
  if (channels >= 1) run(outer_tile<L, 1, V>, 1);
}

// The pointwise weights' gradient: sums[c] += sum over pixels of a[c] b, [channels][pixel].
template <int L>
void outer(const float* a, const float* b, Index count, Index pixel, Index channels, float* sums) {
  Index q = 0;
  for (; q + 2 * L <= pixel; q += 2 * L)
    outer_block<L, 2>(a, b + q, count, pixel, channels, sums + q);
  if (q < pixel) outer_block<L, 1>(a, b + q, count, pixel, channels, sums + q);
}

}  // namespace
