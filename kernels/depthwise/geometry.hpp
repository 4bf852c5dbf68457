#pragma once
// Scratch layouts, taps and the division of work, for both memory formats. Internal linkage
// throughout, for the reason that simd.hpp gives.

#include <cstdlib>

#include "depthwise/cpu.hpp"
#include "simd.hpp"

namespace {

using nasturtium::kernels::DepthwiseShape;
using Index = std::ptrdiff_t;

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

inline float* allocate(Index count) {
  return static_cast<float*>(std::calloc(static_cast<std::size_t>(count), sizeof(float)));
}

// Calls body(first, last) on equal shares of the units. One thread enters no parallel region, which
// is what keeps a forked process from waiting for threads that it does not have.
template <class Body>
bool for_units(Index units, int threads, const Body& body) {
  if (threads > units) threads = static_cast<int>(units);
  if (threads <= 1) return units == 0 || body(0, units);
  int failed = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : failed)
  for (int t = 0; t < threads; ++t) failed += !body(units * t / threads, units * (t + 1) / threads);
  return failed == 0;
}

// Adds the units' shares of a sum in their order.
inline void add_shares(const float* shares, Index units, Index count, float* out) {
  for (Index i = 0; i < count; ++i) {
    double sum = 0;
    for (Index unit = 0; unit < units; ++unit) sum += static_cast<double>(shares[unit * count + i]);
    out[i] = static_cast<float>(sum);
  }
}

}  // namespace
