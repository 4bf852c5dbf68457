#pragma once
// The gradient of depthwise weights: for every tap the sum over the image of gradient times input.

#include "rows.hpp"

namespace {

// Where the output gradient of a depthwise convolution lies: rows `pitch` and pixels `step` apart.
struct Spaced {
  const float* data;
  Index pitch, step;
};

// Adds to sums[Rows * K][pixel]. Four pixels at a time, so that an input that is loaded serves all
// taps of its row; a sum is split into Sets chains where there are too few to hide the latency.
template <int L, int K, int D, int S, int Rows, int Sets>
inline void correlate_rows(const float* source, Index pitch, const Spaced& grad, Index rows,
                           Index width, Index pixel, float* sums) {
  using V = Simd<L>;
  using vec = typename V::vec;
  constexpr int kInputs = S * 3 + D * (K - 1) + 1;
  vec sum[Rows][K][Sets] = {};
  for (Index y = 0; y < rows; ++y) {
    const float* a = source + y * S * pitch;
    const float* b = grad.data + y * grad.pitch;
    Index x = 0;
    for (; x + 4 <= width; x += 4, a += 4 * S * pixel, b += 4 * grad.step) {
      vec g[4];
      for (int p = 0; p < 4; ++p) g[p] = V::load(b + p * grad.step);
#pragma GCC unroll 8
      for (int i = 0; i < Rows; ++i) {
        const float* from = a + i * D * pitch;
#pragma GCC unroll 32
        for (int c = 0; c < kInputs; ++c, from += pixel) {
          const vec v = V::load(from);
#pragma GCC unroll 8
          for (int j = 0; j < K; ++j) {
            const int p = c - j * D;
            if (p >= 0 && p % S == 0 && p / S < 4) sum[i][j][p / S % Sets] += g[p / S] * v;
          }
        }
      }
    }
    for (; x < width; ++x, a += S * pixel, b += grad.step) {
      const vec g = V::load(b);
      for (int i = 0; i < Rows; ++i)
        for (int j = 0; j < K; ++j) sum[i][j][0] += g * V::load(a + i * D * pitch + j * D * pixel);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < K; ++j) {
      vec total = sum[i][j][0];
      for (int set = 1; set < Sets; ++set) total += sum[i][j][set];
      float* to = sums + (i * K + j) * pixel;
      V::store(to, V::load(to) + total);
    }
}

// As many rows of taps at once as the registers hold.
template <int L, int K, int D, int S>
void correlate(const float* source, Index pitch, const Spaced& grad, Index rows, Index width,
               Index pixel, float* sums) {
  for (Index q = 0; q < pixel; q += L) {
    const Spaced g{grad.data + q, grad.pitch, grad.step};
    const float* from = source + q;
    float* to = sums + q;
    if constexpr (K == 3) {
      correlate_rows<L, 3, D, S, 3, 1>(from, pitch, g, rows, width, pixel, to);
    } else if constexpr (L == 16) {
      correlate_rows<L, 5, D, S, 5, 1>(from, pitch, g, rows, width, pixel, to);
    } else {
      const Index two = 2 * D * pitch;
      correlate_rows<L, 5, D, S, 2, 1>(from, pitch, g, rows, width, pixel, to);
      correlate_rows<L, 5, D, S, 2, 1>(from + two, pitch, g, rows, width, pixel, to + 10 * pixel);
      correlate_rows<L, 5, D, S, 1, 2>(from + 2 * two, pitch, g, rows, width, pixel,
                                       to + 20 * pixel);
    }
  }
}

using Correlate = void (*)(const float* source, Index pitch, const Spaced& grad, Index rows,
                           Index width, Index pixel, float* sums);

template <int L, int S>
Correlate taps_gradient(int kernel, int dilation) {
  if (kernel == 3) return dilation == 1 ? correlate<L, 3, 1, S> : correlate<L, 3, 2, S>;
  return dilation == 1 ? correlate<L, 5, 1, S> : correlate<L, 5, 2, S>;
}

}  // namespace
