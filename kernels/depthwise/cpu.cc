// Memory format N, C, H, W. One source, compiled once per instruction set (NASTURTIUM_ISA names the
// namespace).
//
// A plane (one image, one channel) is copied into a scratch with zero borders, where every output
// row is a sum over taps of shifted rows: vectors run along the width. With stride 2 the scratch
// holds the even and the odd columns of a row one after the other, so shifted rows stay contiguous.
// The gradient of the data is the same sum over the padded output gradient, once per parity of the
// row and the column. Work is divided, and sums are ordered, by the shape alone: no result depends
// on the number of threads.

#include "depthwise/cpu.hpp"

#include <cstring>

#include "depthwise/geometry.hpp"

namespace {

void fill(float* scratch, const Layout& layout, const float* plane, Index rows, Index columns,
          int stride) {
  if (stride == 1) {
    float* to = scratch + layout.border * layout.pitch + layout.border;
    if (columns % kLanes == 0) {
      for (Index r = 0; r < rows; ++r, to += layout.pitch, plane += columns)
        for (Index c = 0; c < columns; c += kLanes)
          Simd<kLanes>::store(to + c, Simd<kLanes>::load(plane + c));
    } else {
      for (Index r = 0; r < rows; ++r, to += layout.pitch, plane += columns)
        std::memcpy(to, plane, static_cast<std::size_t>(columns) * sizeof(float));
    }
    return;
  }
  const Index even = layout.border & 1 ? layout.phase : 0;  // the phase of column 0
  float* first = scratch + layout.border * layout.pitch + even + layout.border / 2;
  float* second =
      scratch + layout.border * layout.pitch + (layout.phase - even) + (layout.border + 1) / 2;
  for (Index r = 0; r < rows; ++r, plane += columns) {
    float* a = first + r * layout.pitch;
    float* b = second + r * layout.pitch;
    const Index vectors = columns / 8 * 4;
    deinterleave(plane, a, b, vectors);
    for (Index c = vectors; c < columns / 2; ++c) {
      a[c] = plane[2 * c];
      b[c] = plane[2 * c + 1];
    }
    if (columns & 1) a[columns / 2] = plane[columns - 1];
  }
}

// out[y, x] = sum over taps of weight * source[offset + y * step + x]. Tiles of Rows by Vectors
// accumulators: one broadcast of a weight serves the tile. Rows past the end are computed on the
// scratch's slack and not stored.
template <int Lanes, int Rows, int Vectors>
void sum_taps(const float* source, Index step, const Taps& taps, const float* weight,
              const Plane& out) {
  using S = Simd<Lanes>;
  for (Index y = 0; y < out.rows; y += Rows) {
    for (Index x = 0; x < out.columns; x += Lanes * Vectors) {
      typename S::vec acc[Rows][Vectors] = {};
      const float* from = source + y * step + x;
      for (int t = 0; t < taps.count; ++t) {
        const typename S::vec w = S::broadcast(weight[t]);
        const float* p = from + taps.offset[t];
        for (int r = 0; r < Rows; ++r)
          for (int v = 0; v < Vectors; ++v) acc[r][v] += w * S::load(p + r * step + v * Lanes);
      }
      for (int r = 0; r < Rows && y + r < out.rows; ++r) {
        float* to = out.data + (y + r) * out.pitch + x;
        for (int v = 0; v < Vectors; ++v) {
          const Index left = out.columns - x - v * Lanes;
          if (left >= Lanes)
            S::store(to + v * Lanes, acc[r][v]);
          else if (left > 0)
            S::store_part(to + v * Lanes, acc[r][v], left);
        }
      }
    }
  }
}

template <int Lanes>
void sum_taps_lanes(const float* source, Index step, const Taps& taps, const float* weight,
                    const Plane& out) {
  if (out.columns > 2 * Lanes)
    sum_taps<Lanes, 2, 4>(source, step, taps, weight, out);
  else if (out.columns > Lanes)
    sum_taps<Lanes, 4, 2>(source, step, taps, weight, out);
  else if (out.rows > 4)
    sum_taps<Lanes, 8, 1>(source, step, taps, weight, out);
  else
    sum_taps<Lanes, 4, 1>(source, step, taps, weight, out);
}

// Narrow planes take narrow vectors: half-empty registers cost the same as full ones.
void convolve(const float* source, Index step, const Taps& taps, const float* weight,
              const Plane& out) {
  if constexpr (kLanes > 8)
    if (out.columns > 8) return sum_taps_lanes<16>(source, step, taps, weight, out);
  if constexpr (kLanes > 4)
    if (out.columns > 4) return sum_taps_lanes<8>(source, step, taps, weight, out);
  sum_taps_lanes<4>(source, step, taps, weight, out);
}

template <int Stride, int Dilation>
inline Index column_offset(int j, Index phase) {
  return (j * Dilation % Stride) * phase + j * Dilation / Stride;
}

// lanes[i, j] += sum of grad * source over TapRows rows of taps at once: as many accumulators as
// fit into 16 registers. The lanes of a sum stay apart until many planes went in.
template <int Lanes, int Kernel, int Stride, int Dilation, int TapRows>
void correlate(const float* source, const Layout& layout, const float* grad, Index grad_pitch,
               Index rows, Index columns, float* lanes) {
  using S = Simd<Lanes>;
  typename S::vec acc[TapRows][Kernel];
  for (int i = 0; i < TapRows; ++i)
    for (int j = 0; j < Kernel; ++j) acc[i][j] = S::load(lanes + (i * Kernel + j) * Lanes);
  const Index whole = columns / Lanes * Lanes;
  typename S::mask part{};
  if (whole < columns) part = S::first(columns - whole);
  for (Index y = 0; y < rows; ++y) {
    const float* g = grad + y * grad_pitch;
    const float* s = source + y * Stride * layout.pitch;
    for (Index x = 0; x < whole; x += Lanes) {
      const typename S::vec gv = S::load(g + x);
      for (int i = 0; i < TapRows; ++i)
        for (int j = 0; j < Kernel; ++j)
          acc[i][j] += gv * S::load(s + x + i * Dilation * layout.pitch +
                                    column_offset<Stride, Dilation>(j, layout.phase));
    }
    if (whole < columns) {
      // Lanes past the end meet real columns of the source, where 0 * infinity would be NaN.
      const typename S::vec gv = S::select(part, S::load(g + whole));
      for (int i = 0; i < TapRows; ++i)
        for (int j = 0; j < Kernel; ++j)
          acc[i][j] +=
              gv * S::select(part, S::load(s + whole + i * Dilation * layout.pitch +
                                           column_offset<Stride, Dilation>(j, layout.phase)));
    }
  }
  for (int i = 0; i < TapRows; ++i)
    for (int j = 0; j < Kernel; ++j) S::store(lanes + (i * Kernel + j) * Lanes, acc[i][j]);
}

template <int Lanes, int Kernel, int Stride, int Dilation>
void weight_plane(const float* source, const Layout& layout, const float* grad, Index grad_pitch,
                  Index rows, Index columns, float* lanes) {
  if constexpr (Kernel == 3) {
    correlate<Lanes, 3, Stride, Dilation, 3>(source, layout, grad, grad_pitch, rows, columns,
                                             lanes);
  } else {
    const Index two = 2 * Dilation * layout.pitch;
    correlate<Lanes, 5, Stride, Dilation, 2>(source, layout, grad, grad_pitch, rows, columns,
                                             lanes);
    correlate<Lanes, 5, Stride, Dilation, 2>(source + two, layout, grad, grad_pitch, rows, columns,
                                             lanes + 10 * Lanes);
    correlate<Lanes, 5, Stride, Dilation, 1>(source + 2 * two, layout, grad, grad_pitch, rows,
                                             columns, lanes + 20 * Lanes);
  }
}

struct WeightKernel {
  void (*plane)(const float*, const Layout&, const float*, Index, Index, Index, float*);
  int lanes;
};

template <int Lanes>
WeightKernel weight_kernel_lanes(const DepthwiseShape& shape) {
  static constexpr decltype(WeightKernel::plane) table[2][2][2] = {
      {{weight_plane<Lanes, 3, 1, 1>, weight_plane<Lanes, 3, 1, 2>},
       {weight_plane<Lanes, 3, 2, 1>, weight_plane<Lanes, 3, 2, 2>}},
      {{weight_plane<Lanes, 5, 1, 1>, weight_plane<Lanes, 5, 1, 2>},
       {weight_plane<Lanes, 5, 2, 1>, weight_plane<Lanes, 5, 2, 2>}}};
  return {table[shape.kernel == 5][shape.stride - 1][shape.dilation - 1], Lanes};
}

WeightKernel weight_kernel(const DepthwiseShape& shape, Index columns) {
  if constexpr (kLanes > 8)
    if (columns > 8) return weight_kernel_lanes<16>(shape);
  if constexpr (kLanes > 4)
    if (columns > 4) return weight_kernel_lanes<8>(shape);
  return weight_kernel_lanes<4>(shape);
}

void data_plane(const DepthwiseShape& s, const BackwardPlan& plan, const float* padded,
                const Layout& layout, const float* weight, float* half, float* grad_x) {
  for (int u = 0; u < s.stride; ++u) {
    const Index rows = (s.height - u + s.stride - 1) / s.stride;
    const Index half_pitch = (s.width + 1) / 2;
    for (int v = 0; v < s.stride; ++v) {
      const Taps& taps = plan.taps[u][v];
      float own[kMaxTaps];
      for (int t = 0; t < taps.count; ++t) own[t] = weight[taps.source[t]];
      const Index columns = (s.width - v + s.stride - 1) / s.stride;
      float* to = s.stride == 1 ? grad_x : half + v * rows * half_pitch;
      convolve(padded, layout.pitch, taps, own,
               {to, rows, columns, s.stride == 1 ? s.width : half_pitch});
    }
    if (s.stride == 1) return;
    for (Index r = 0; r < rows; ++r) {
      const float* even = half + r * half_pitch;
      const float* odd = half + (rows + r) * half_pitch;
      float* to = grad_x + (2 * r + u) * s.width;
      const Index vectors = s.width / 8 * 4;
      interleave(even, odd, to, vectors);
      for (Index c = vectors; c < s.width / 2; ++c) {
        to[2 * c] = even[c];
        to[2 * c + 1] = odd[c];
      }
      if (s.width & 1) to[s.width - 1] = even[s.width / 2];
    }
  }
}

}  // namespace

namespace nasturtium::kernels::NASTURTIUM_ISA {

static bool forward(const DepthwiseShape& s, const float* x, const float* weight, float* y,
                    int threads) {
  const Geometry g(s);
  const Layout layout(s.height, s.width, g.padding, s.stride);
  return for_units(g.planes, threads, [&](Index first, Index last) {
    // The next plane is copied before this one is computed: its loads would otherwise wait for
    // stores that have only just been issued.
    float* scratch = allocate(2 * layout.size);
    if (!scratch) return false;
    const Taps taps = forward_taps(s, layout);
    const auto copy = [&](Index plane) {
      fill(scratch + (plane & 1) * layout.size, layout, x + plane * s.height * s.width, s.height,
           s.width, s.stride);
    };
    copy(first);
    for (Index plane = first; plane < last; ++plane) {
      if (plane + 1 < last) copy(plane + 1);
      convolve(scratch + (plane & 1) * layout.size, s.stride * layout.pitch, taps,
               weight + plane % s.channels * g.taps,
               {y + plane * g.out_rows * g.out_columns, g.out_rows, g.out_columns, g.out_columns});
    }
    std::free(scratch);
    return true;
  });
}

// One unit of the backward pass is one channel of a run of images: its share of the weight gradient
// is summed in the order of the images, and the shares in the order of the runs.
constexpr Index kRun = 8;

static bool backward(const DepthwiseShape& s, const float* grad_y, const float* x,
                     const float* weight, float* grad_x, float* grad_weight, int threads) {
  const Geometry g(s);
  const Layout layout(s.height, s.width, g.padding, s.stride);
  const Layout grad_layout(g.out_rows, g.out_columns, g.padding, 1);
  const WeightKernel kernel = weight_kernel(s, g.out_columns);
  const Index units = (s.batch + kRun - 1) / kRun * s.channels;
  float* shares = grad_weight ? allocate(units * g.taps + 1) : nullptr;
  if (grad_weight && !shares) return false;
  const bool done = for_units(units, threads, [&](Index first, Index last) {
    const Index half = (s.height + 1) * (s.width + 1);
    float* scratch = allocate(layout.size + grad_layout.size + half);
    if (!scratch) return false;
    float* padded = scratch + layout.size;
    const BackwardPlan plan(s, g, grad_layout);
    for (Index unit = first; unit < last; ++unit) {
      const Index c = unit % s.channels, begin = unit / s.channels * kRun;
      const Index end = begin + kRun < s.batch ? begin + kRun : s.batch;
      float lanes[kMaxTaps * kLanes] = {};
      for (Index n = begin; n < end; ++n) {
        const Index plane = n * s.channels + c;
        fill(padded, grad_layout, grad_y + plane * g.out_rows * g.out_columns, g.out_rows,
             g.out_columns, 1);
        if (grad_weight)
          fill(scratch, layout, x + plane * s.height * s.width, s.height, s.width, s.stride);
        if (grad_x)
          data_plane(s, plan, padded, grad_layout, weight + c * g.taps, padded + grad_layout.size,
                     grad_x + plane * s.height * s.width);
        if (grad_weight)
          kernel.plane(scratch, layout, padded + grad_layout.border * (grad_layout.pitch + 1),
                       grad_layout.pitch, g.out_rows, g.out_columns, lanes);
      }
      if (grad_weight)
        for (Index t = 0; t < g.taps; ++t)
          shares[unit * g.taps + t] = sum_lanes(lanes + t * kernel.lanes, kernel.lanes);
    }
    std::free(scratch);
    return true;
  });
  if (grad_weight) {
    // Units are numbered run by run, so a run's shares of all channels lie together.
    add_shares(shares, units / s.channels, s.channels * g.taps, grad_weight);
    std::free(shares);
  }
  return done;
}

extern const DepthwiseTable depthwise;
const DepthwiseTable depthwise{forward, backward};

}  // namespace nasturtium::kernels::NASTURTIUM_ISA
