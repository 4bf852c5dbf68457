#pragma once
// ReLU -> depthwise -> pointwise of one image, forward and backward, in chunks of rows that stay in
// the first cache. An image lies with zeros around in a scratch that fits into the second cache.

#include <cstring>

#include "separable/groups.hpp"
#include "separable/taps.hpp"
#include "separable/tiles.hpp"

namespace {

// Sizes of an image and of its padded copy; `pixel` is the number of channels, rounded up.
struct Grid {
  Index channels, pixel, height, width, out_height, out_width, border, pitch, padded, rows;
  int stride;

  Grid(Index channels_, Index height_, Index width_, int stride_, Index border_)
      : channels(channels_),
        pixel(round_up(channels_, 8)),
        height(height_),
        width(width_),
        out_height((height_ - 1) / stride_ + 1),
        out_width((width_ - 1) / stride_ + 1),
        border(border_),
        stride(stride_) {
    const Index reached = round_up(out_width, kTile) * stride_, own = round_up(width, kTile);
    pitch = ((reached > own ? reached : own) + 2 * border) * pixel;
    // Rows at a large power of two apart would all fall into the same few sets of a cache.
    if (pitch % 512 == 0) pitch += pixel;
    padded = (height + 2 * border) * pitch;
    rows = kChunk / (out_width * pixel);
    rows = rows < 1 ? 1 : rows > out_height ? out_height : rows;
  }
  Index in_size() const { return height * width * pixel; }
  Index out_size() const { return out_height * out_width * pixel; }
  Index out_row() const { return out_width * pixel; }
  Index chunk() const { return rows * out_row(); }
  // The first pixel inside the border.
  float* inside(float* memory) const { return memory + border * (pitch + pixel); }
  // Calls body(first row, number of rows) for each chunk of output rows.
  template <class Body>
  void for_chunks(const Body& body) const {
    for (Index y = 0; y < out_height; y += rows)
      body(y, out_height - y < rows ? out_height - y : rows);
  }
};

// The weights of a separable convolution as rows of channels: taps [k * k][pixel], in order and
// turned round; pointwise weights [input][output] and [output][input]. Where a pixel holds several
// images, of `own` channels each, its channels have the weights of their own image's.
struct Filter {
  int kernel = 0, dilation = 1;
  Index own = 0;
  float *taps = nullptr, *flipped = nullptr, *point = nullptr, *back = nullptr;

  int tap_count() const { return kernel * kernel; }
  Index padding() const { return static_cast<Index>(dilation) * (kernel - 1) / 2; }

  void reserve(Arena& arena, Index own_, Index pixel) const {
    for (int i = 0; i < 2; ++i) arena.reserve<float>(tap_count() * pixel);
    for (int i = 0; i < 2; ++i) arena.reserve<float>(own_ * pixel);
  }
  // depthwise is [own][k * k], pointwise [output][input].
  void take(Arena& arena, Index own_, Index channels, Index pixel, const float* depthwise,
            const float* pointwise) {
    own = own_;
    taps = arena.take<float>(tap_count() * pixel);
    flipped = arena.take<float>(tap_count() * pixel);
    point = arena.take<float>(own * pixel);
    back = arena.take<float>(own * pixel);
    const Index count = tap_count();
    for (Index c = 0; c < pixel; ++c) {
      const Index b = c % own;
      const bool inside = c < channels;
      for (Index t = 0; t < count; ++t) {
        taps[t * pixel + c] = inside ? depthwise[b * count + t] : 0;
        flipped[t * pixel + c] = inside ? depthwise[b * count + count - 1 - t] : 0;
      }
      for (Index a = 0; a < own; ++a) {
        point[a * pixel + c] = inside ? pointwise[b * own + a] : 0;
        back[a * pixel + c] = inside ? pointwise[a * own + b] : 0;
      }
    }
  }
};

// One unit's share of the gradients of a filter's weights, laid out as its taps and its point.
struct FilterSums {
  float *taps, *point;
};

template <int L>
void fill_positive(const Grid& g, const float* x, float* inside) {
  const Index row = g.width * g.pixel;
  for (Index y = 0; y < g.height; ++y, x += row, inside += g.pitch)
    for (Index at = 0; at < row; at += L)
      Simd<L>::store(inside + at, positive<L>(Simd<L>::load(x + at)));
}

template <int L>
void fill_normalized(const Grid& g, const float* z, const float* mean, const float* inverse,
                     float* inside) {
  using S = Simd<L>;
  for (Index y = 0; y < g.height; ++y, z += g.width * g.pixel, inside += g.pitch)
    for (Index q = 0; q < g.pixel; q += L) {
      const typename S::vec m = S::load(mean + q), r = S::load(inverse + q);
      for (Index x = 0, at = q; x < g.width; ++x, at += g.pixel)
        S::store(inside + at, positive<L>((S::load(z + at) - m) * r));
    }
}

// ReLU(scale x + shift).
template <int L>
void fill_affine(const Grid& g, const float* x, const float* scale, const float* shift,
                 float* inside) {
  using S = Simd<L>;
  for (Index y = 0; y < g.height; ++y, x += g.width * g.pixel, inside += g.pitch)
    for (Index q = 0; q < g.pixel; q += L) {
      const typename S::vec a = S::load(scale + q), b = S::load(shift + q);
      for (Index c = 0, at = q; c < g.width; ++c, at += g.pixel)
        S::store(inside + at, positive<L>(a * S::load(x + at) + b));
    }
}

// v where `sign` is positive, zero elsewhere.
template <int L>
void mask_row(const float* sign, Index count, float* v) {
  for (Index at = 0; at < count; at += L)
    Simd<L>::store(v + at, where_positive<L>(Simd<L>::load(sign + at), Simd<L>::load(v + at)));
}

// The depthwise half of output rows y, ..., y + rows - 1.
template <int L>
void depthwise_half(const Grid& g, const Filter& f, const float* inside, Index y, Index rows,
                    float* middle) {
  const DepthwiseRows run = g.stride == 1 ? depthwise<L, 1, false>(f.kernel, f.dilation)
                                          : depthwise<L, 2, false>(f.kernel, f.dilation);
  run(inside + y * g.stride * g.pitch - f.padding() * (g.pitch + g.pixel), g.pitch, g.pixel, f.taps,
      middle, g.out_row(), rows, g.out_width);
}

// The pointwise half of `count` pixels, by the filter's weights in one direction or the other.
template <int L>
void pointwise_half(const Grid& g, const Filter& f, const float* weight, const float* in,
                    Index count, float* out, Index step) {
  if (f.own == g.channels)
    pointwise<L>(in, count, g.pixel, g.channels, weight, out, step);
  else
    grouped<L>(f.own).pointwise(in, count, g.pixel, weight, out, step);
}

template <int L>
void separable_rows(const Grid& g, const Filter& f, const float* inside, Index y, Index rows,
                    float* middle, float* out) {
  depthwise_half<L>(g, f, inside, y, rows, middle);
  pointwise_half<L>(g, f, f.point, middle, rows * g.out_width, out, g.pixel);
}

// The gradient of the depthwise half's output into `spread`, a padded image in which outputs lie
// `stride` apart with zeros between; incoming(y, rows, to) writes the gradient of a chunk of the
// result. The input is read again where the weights' gradients are wanted.
template <int L, class Incoming>
void pointwise_backward(const Grid& g, const Filter& f, const float* inside, const FilterSums* sums,
                        const Incoming& incoming, float* middle, float* chunk, float* spread) {
  g.for_chunks([&](Index y, Index rows) {
    incoming(y, rows, chunk);
    if (sums) {
      depthwise_half<L>(g, f, inside, y, rows, middle);
      const Index count = rows * g.out_width;
      if (f.own == g.channels)
        outer<L>(middle, chunk, count, g.pixel, g.channels, sums->point);
      else
        grouped<L>(f.own).outer(middle, chunk, count, g.pixel, sums->point);
    }
    for (Index r = 0; r < rows; ++r)
      pointwise_half<L>(g, f, f.back, chunk + r * g.out_row(), g.out_width,
                        spread + (y + r) * g.stride * g.pitch, g.stride * g.pixel);
  });
}

template <int L>
void taps_backward(const Grid& g, const Filter& f, const float* inside, const float* spread,
                   const FilterSums& sums) {
  const Correlate run = g.stride == 1 ? taps_gradient<L, 1>(f.kernel, f.dilation)
                                      : taps_gradient<L, 2>(f.kernel, f.dilation);
  const float* source = inside - f.padding() * (g.pitch + g.pixel);
  g.for_chunks([&](Index y, Index rows) {
    const Index at = y * g.stride * g.pitch;
    run(source + at, g.pitch, {spread + at, g.stride * g.pitch, g.stride * g.pixel}, rows,
        g.out_width, g.pixel, sums.taps);
  });
}

// The gradient of the depthwise half's input, rows y, ..., y + rows - 1, before ReLU's mask.
template <int L, bool Add>
void data_backward(const Grid& g, const Filter& f, const float* spread, Index y, Index rows,
                   float* out) {
  depthwise<L, 1, Add>(f.kernel, f.dilation)(
      spread + y * g.pitch - f.padding() * (g.pitch + g.pixel), g.pitch, g.pixel, f.flipped, out,
      g.width * g.pixel, rows, g.width);
}

// A filter's gradients where torch keeps weights, from sums that lie as taps and point do.
inline void write_weights(const Filter& f, Index channels, Index pixel, const float* from,
                          float* depthwise, float* pointwise) {
  const Index taps = f.tap_count();
  for (Index c = 0; c < channels; ++c)
    for (Index tap = 0; tap < taps; ++tap) depthwise[c * taps + tap] = from[tap * pixel + c];
  from += taps * pixel;
  for (Index a = 0; a < channels; ++a)
    for (Index b = 0; b < channels; ++b) pointwise[b * channels + a] = from[a * pixel + b];
}

// Between images with as many floats a pixel as there are channels and images of whole vectors.
inline void widen(const float* from, Index pixels, Index channels, Index pixel, float* to) {
  for (Index i = 0; i < pixels; ++i, from += channels, to += pixel) {
    for (Index c = 0; c < channels; ++c) to[c] = from[c];
    for (Index c = channels; c < pixel; ++c) to[c] = 0;
  }
}

inline void narrow(const float* from, Index pixels, Index channels, Index pixel, float* to) {
  for (Index i = 0; i < pixels; ++i, from += pixel, to += channels)
    for (Index c = 0; c < channels; ++c) to[c] = from[c];
}

}  // namespace
