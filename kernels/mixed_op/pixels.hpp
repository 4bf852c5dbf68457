#pragma once
// Images between the memory of torch, where a pixel holds the channels of one image, and that of
// the stages, where it holds whole vectors of channels, of one image or of several side by side.
//
// Of an image that is mixed in part, a pixel of x and of its gradient is [parts][own], of which the
// first row is mixed and the others pass by; a pixel of the output and of its gradient is the
// transpose, [own][parts].

#include "mixed_op/edge.hpp"

namespace {

// `own` floats of every pixel, `spread` apart, from pixels `step` floats apart.
inline void gather_pixels(const float* from, Index pixels, Index own, Index step, Index spread,
                          Index to_step, float* to) {
  if (own == 4 && spread == 1) {  // one move
    for (Index i = 0; i < pixels; ++i, from += step, to += to_step)
      Simd<4>::store(to, Simd<4>::load(from));
    return;
  }
  if (own == 4) {
    for (Index i = 0; i < pixels; ++i, from += step, to += to_step)
      Simd<4>::store(to, Simd<4>::vec{from[0], from[spread], from[2 * spread], from[3 * spread]});
    return;
  }
  for (Index i = 0; i < pixels; ++i, from += step, to += to_step)
    for (Index c = 0; c < own; ++c) to[c] = from[c * spread];
}

// Image n of x with whole vectors of channels: in place, or copied into `to`. `spread` is the
// distance of its channels, `parts` for an output's gradient.
inline const float* whole_pixels(const Edge& e, const float* images, Index n, Index pixels,
                                 Index spread, float* to) {
  const Index step = e.own * e.s.parts;
  const float* from = images + n * e.packs * pixels * step;
  if (!e.copied()) return from;
  for (Index p = 0; p < e.packs; ++p, from += pixels * step)
    gather_pixels(from, pixels, e.own, step, spread, e.pixel, to + p * e.own);
  for (Index c = e.s.channels; c < e.pixel; ++c)
    for (Index i = 0; i < pixels; ++i) to[i * e.pixel + c] = 0;
  return to;
}

// The other way round, where all of an image is mixed.
inline void own_pixels(const Edge& e, const float* from, Index n, Index pixels, float* images) {
  float* to = images + n * e.packs * pixels * e.own;
  for (Index p = 0; p < e.packs; ++p, to += pixels * e.own)
    gather_pixels(from + p * e.own, pixels, e.own, e.pixel, 1, e.own, to);
}

// Four pixels' worth of one: a[i][k] and a[k][i] change places.
inline void transpose(Simd<4>::vec (&a)[4]) {
  using V = Simd<4>;
  constexpr V::mask low{0, 4, 1, 5}, high{2, 6, 3, 7}, front{0, 1, 4, 5}, back{2, 3, 6, 7};
  const V::vec p = __builtin_shuffle(a[0], a[1], low), q = __builtin_shuffle(a[2], a[3], low);
  const V::vec r = __builtin_shuffle(a[0], a[1], high), s = __builtin_shuffle(a[2], a[3], high);
  a[0] = __builtin_shuffle(p, q, front);
  a[1] = __builtin_shuffle(p, q, back);
  a[2] = __builtin_shuffle(r, s, front);
  a[3] = __builtin_shuffle(r, s, back);
}

// Image n where only a part of it is mixed: `from` beside what passes by in `other`, turned from
// pixels [parts][own] to [own][parts], or with Back the other way round.
template <bool Back>
void joined_pixels(const Edge& e, const float* from, const float* other, Index n, Index pixels,
                   float* images) {
  const Index own = e.own, parts = e.s.parts, step = own * parts;
  other += n * e.packs * pixels * step;
  float* to = images + n * e.packs * pixels * step;
  for (Index p = 0; p < e.packs; ++p) {
    const float* mixed = from + p * own;
    for (Index i = 0; i < pixels; ++i, mixed += e.pixel, other += step, to += step) {
      if (own == 4 && parts == 4) {
        Simd<4>::vec a[4];
        for (int k = 0; k < 4; ++k) a[k] = Simd<4>::load(other + 4 * k);
        if (!Back) a[0] = Simd<4>::load(mixed);
        transpose(a);
        if (Back) a[0] = Simd<4>::load(mixed);
        for (int k = 0; k < 4; ++k) Simd<4>::store(to + 4 * k, a[k]);
        continue;
      }
      for (Index k = 0; k < parts; ++k)
        for (Index c = 0; c < own; ++c) {
          const Index straight = k * own + c, turned = c * parts + k;
          to[Back ? straight : turned] = k == 0 ? mixed[c] : other[Back ? turned : straight];
        }
    }
  }
}

}  // namespace
