#pragma once
// The skipped input of stride 2: every second pixel of ReLU(x) and every second one from one
// further down and right, each through a pointwise convolution of its own, side by side.

#include "separable/bank.hpp"

namespace {

// Both convolutions as one of twice the inputs: weights [2 * channels][pixel] from inputs to
// outputs, and [2][channels][pixel] back. Either has outputs where the other has zeros.
struct HalveFilter {
  float *point = nullptr, *back = nullptr;

  static void reserve(Arena& arena, Index channels, Index pixel) {
    for (int i = 0; i < 2; ++i) arena.reserve<float>(2 * channels * pixel);
  }
  // even is [channels / 2][channels], odd has the other outputs.
  void take(Arena& arena, Index channels, Index pixel, const float* even, const float* odd) {
    const Index half = channels / 2, size = channels * pixel;
    point = arena.take<float>(2 * size);
    back = arena.take<float>(2 * size);
    std::memset(point, 0, static_cast<std::size_t>(2 * size) * sizeof(float));
    std::memset(back, 0, static_cast<std::size_t>(2 * size) * sizeof(float));
    for (Index b = 0; b < channels; ++b)
      for (Index a = 0; a < channels; ++a) {
        const Index part = b < half ? 0 : size;
        const float w = b < half ? even[b * channels + a] : odd[(b - half) * channels + a];
        point[part + a * pixel + b] = back[part + b * pixel + a] = w;
      }
  }
};

// Every second pixel of rows y, ... from one that is `from` further down and right; what lies
// outside is the border's zero.
inline void every_second(const Grid& g, const float* inside, Index from, Index y, Index rows,
                         float* to) {
  for (Index r = y; r < y + rows; ++r)
    for (Index c = 0; c < g.out_width; ++c, to += g.pixel)
      std::memcpy(to, inside + (2 * r + from) * g.pitch + (2 * c + from) * g.pixel,
                  static_cast<std::size_t>(g.pixel) * sizeof(float));
}

template <int L>
void add_rows(const float* from, Index count, float* to) {
  for (Index at = 0; at < count; at += L)
    Simd<L>::store(to + at, Simd<L>::load(to + at) + Simd<L>::load(from + at));
}

// `middle` holds two chunks.
template <int L>
void halve_rows(const Grid& g, const HalveFilter& f, const float* inside, Index y, Index rows,
                float* middle, float* out) {
  const Index pixels = rows * g.out_width;
  float* part = middle + g.chunk();
  for (Index i = 0; i < 2; ++i) {
    every_second(g, inside, i, y, rows, middle);
    pointwise<L>(middle, pixels, g.pixel, g.channels, f.point + i * g.channels * g.pixel,
                 i ? part : out, g.pixel);
  }
  add_rows<L>(part, pixels * g.pixel, out);
}

// Gradients from those of a chunk of the result: of the weights, laid out as `point`, and of
// ReLU(x), added to an image without border. Either may be null.
template <int L>
void halve_backward(const Grid& g, const HalveFilter& f, const float* inside, Index y, Index rows,
                    const float* grad, float* middle, float* sums, float* image) {
  const Index pixels = rows * g.out_width, size = g.channels * g.pixel;
  for (Index i = 0; i < 2; ++i) {
    if (sums) {
      every_second(g, inside, i, y, rows, middle);
      outer<L>(middle, grad, pixels, g.pixel, g.channels, sums + i * size);
    }
    if (!image) continue;
    pointwise<L>(grad, pixels, g.pixel, g.channels, f.back + i * size, middle, g.pixel);
    for (Index r = 0; r < rows; ++r)
      for (Index c = 0; c < g.out_width; ++c) {
        const Index row = 2 * (y + r) + i, column = 2 * c + i;
        if (row < g.height && column < g.width)
          add_rows<L>(middle + (r * g.out_width + c) * g.pixel, g.pixel,
                      image + (row * g.width + column) * g.pixel);
      }
  }
}

}  // namespace
