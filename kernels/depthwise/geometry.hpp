#pragma once
// Scratch layouts and taps, for both memory formats. Internal linkage throughout, for the reason
// that simd.hpp gives.

#include "depthwise/cpu.hpp"
#include "simd.hpp"
#include "work.hpp"

namespace {

using nasturtium::kernels::DepthwiseShape;

constexpr int kMaxTaps = 25;
constexpr Index kSlackRows = 8;  // the tallest tile of output rows

// The zero-bordered copy of a plane of pixels, each `pixel` floats: row r, column phase f starts at
// r * pitch + f * phase.
struct Layout {
  Index border, pixel, phase, pitch, size;
  Layout(Index rows, Index columns, Index border_, int stride, Index pixel_ = 1)
      : border(border_),
        pixel(pixel_),
        phase(
            round_up((columns + 2 * border_ + stride - 1) / stride * pixel_ + 4 * kLanes, kLanes)),
        pitch(phase * stride),
        size((rows + 2 * border_ + stride * kSlackRows) * pitch) {}
};

struct Plane {
  float* data;
  Index rows, columns, pitch;
};

struct Geometry {
  Index padding, out_rows, out_columns, planes, taps;
  explicit Geometry(const DepthwiseShape& s)
      : padding(static_cast<Index>(s.dilation) * (s.kernel - 1) / 2),
        out_rows((s.height - 1) / s.stride + 1),
        out_columns((s.width - 1) / s.stride + 1),
        planes(s.batch * s.channels),
        taps(static_cast<Index>(s.kernel) * s.kernel) {}
};

// Offsets of the taps in a scratch; `source` says which weight each one takes.
struct Taps {
  int count = 0;
  Index offset[kMaxTaps];
  int source[kMaxTaps];
};

// The taps of an output, in the scratch of x.
inline Taps forward_taps(const DepthwiseShape& s, const Layout& layout) {
  Taps taps;
  for (int i = 0; i < s.kernel; ++i)
    for (int j = 0; j < s.kernel; ++j) {
      const Index column = static_cast<Index>(j) * s.dilation;
      taps.source[taps.count] = taps.count;
      taps.offset[taps.count++] = static_cast<Index>(i) * s.dilation * layout.pitch +
                                  column % s.stride * layout.phase +
                                  column / s.stride * layout.pixel;
    }
  return taps;
}

// The taps that reach inputs whose row and column are u and v modulo the stride, in the scratch of
// the output gradient.
inline Taps backward_taps(const DepthwiseShape& s, const Geometry& g, const Layout& layout, int u,
                          int v) {
  Taps taps;
  for (int i = 0; i < s.kernel; ++i)
    for (int j = 0; j < s.kernel; ++j) {
      const Index row = u + g.padding - static_cast<Index>(i) * s.dilation;
      const Index column = v + g.padding - static_cast<Index>(j) * s.dilation;
      if (row % s.stride != 0 || column % s.stride != 0) continue;
      taps.source[taps.count] = i * s.kernel + j;
      taps.offset[taps.count++] = (layout.border + row / s.stride) * layout.pitch +
                                  (layout.border + column / s.stride) * layout.pixel;
    }
  return taps;
}

struct BackwardPlan {
  Taps taps[2][2];
  BackwardPlan(const DepthwiseShape& s, const Geometry& g, const Layout& layout) {
    for (int u = 0; u < s.stride; ++u)
      for (int v = 0; v < s.stride; ++v) taps[u][v] = backward_taps(s, g, layout, u, v);
  }
};

}  // namespace
