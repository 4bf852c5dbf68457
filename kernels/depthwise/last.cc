// Memory format N, H, W, C (channels last). One source, compiled once per instruction set
// (NASTURTIUM_ISA names the namespace).
//
// The method of cpu.cc with an image in the place of a plane: a row is width * channels floats, a
// tap is shifted by whole pixels, and instead of one weight for all columns there is a row of
// weights that repeats with the channels. It is kept one register longer than the channels, so that
// a vector may start at any channel, whatever their number.

#include <cstring>

#include "depthwise/geometry.hpp"

namespace {

constexpr Index kRun = 4;  // images whose shares of the weight gradient are one sum

inline void copy_pixel(float* to, const float* from, Index count) {
  Index i = 0;
  for (; i + 4 <= count; i += 4) Simd<4>::store(to + i, Simd<4>::load(from + i));
  for (; i < count; ++i) to[i] = from[i];
}

void fill(float* scratch, const Layout& layout, const float* image, Index rows, Index columns,
          int stride) {
  const Index pixel = layout.pixel;
  for (Index r = 0; r < rows; ++r, image += columns * pixel) {
    float* to = scratch + (layout.border + r) * layout.pitch;
    if (stride == 1) {
      std::memcpy(to + layout.border * pixel, image,
                  static_cast<std::size_t>(columns * pixel) * sizeof(float));
      continue;
    }
    for (Index c = 0; c < columns; ++c) {
      const Index at = layout.border + c;
      copy_pixel(to + (at & 1) * layout.phase + at / 2 * pixel, image + c * pixel, pixel);
    }
  }
}

// Weights [channels, taps] as one row per tap, going on from the first channel after the last.
struct Rows {
  float* data;
  Index length, channels;

  Rows(float* memory, Index channels_)
      : data(memory), length(needed(channels_, 1)), channels(channels_) {}
  static Index needed(Index channels, Index taps) { return (channels + kLanes) * taps; }

  float* row(Index tap) const { return data + tap * length; }
  void expand(const float* weight, Index taps) const {
    for (Index t = 0; t < taps; ++t)
      for (Index i = 0; i < length; ++i) row(t)[i] = weight[i % channels * taps + t];
  }
  // The other direction: what stands behind the last channel belongs to the first ones.
  void fold(float* weight, Index taps) const {
    for (Index t = 0; t < taps; ++t) {
      for (Index i = 0; i < channels; ++i) weight[i * taps + t] = row(t)[i];
      for (Index i = channels; i < length; ++i) weight[i % channels * taps + t] += row(t)[i];
    }
  }
};

template <int TileRows>
void sum_taps(const float* source, Index step, const Taps& taps, const Rows& weights,
              const Plane& out) {
  using S = Simd<kLanes>;
  const Index advance = kLanes % weights.channels;
  const float* rows[kMaxTaps];
  for (int t = 0; t < taps.count; ++t) rows[t] = weights.row(taps.source[t]);
  for (Index y = 0; y < out.rows; y += TileRows) {
    Index channel = 0;
    for (Index x = 0; x < out.columns; x += kLanes) {
      S::vec acc[TileRows] = {};
      const float* from = source + y * step + x;
      for (int t = 0; t < taps.count; ++t) {
        const S::vec w = S::load(rows[t] + channel);
        const float* p = from + taps.offset[t];
        for (int r = 0; r < TileRows; ++r) acc[r] += w * S::load(p + r * step);
      }
      const Index left = out.columns - x;
      for (int r = 0; r < TileRows && y + r < out.rows; ++r) {
        float* to = out.data + (y + r) * out.pitch + x;
        if (left >= kLanes)
          S::store(to, acc[r]);
        else
          S::store_part(to, acc[r], left);
      }
      channel += advance;
      if (channel >= weights.channels) channel -= weights.channels;
    }
  }
}

void convolve(const float* source, Index step, const Taps& taps, const Rows& weights,
              const Plane& out) {
  if (out.rows > 4)
    sum_taps<8>(source, step, taps, weights, out);
  else
    sum_taps<4>(source, step, taps, weights, out);
}

// Adds grad * source to the rows of TapRows * Kernel taps. Down a column all vectors belong to the
// same channels, so the sums stay in registers.
template <int Kernel, int TapRows>
void correlate(const float* source, const Layout& layout, const DepthwiseShape& s, int first,
               const float* grad, Index grad_pitch, const Geometry& g, const Rows& sums) {
  using S = Simd<kLanes>;
  const Index columns = g.out_columns * s.channels, advance = kLanes % s.channels;
  Index shift[Kernel];
  for (int j = 0; j < Kernel; ++j)
    shift[j] = static_cast<Index>(j) * s.dilation % s.stride * layout.phase +
               static_cast<Index>(j) * s.dilation / s.stride * layout.pixel;
  const Index tap_step = s.dilation * layout.pitch, row_step = s.stride * layout.pitch;
  source += first * tap_step;
  Index channel = 0;
  const auto column = [&](Index x, auto keep) {
    S::vec acc[TapRows][Kernel] = {};
    for (Index y = 0; y < g.out_rows; ++y) {
      const S::vec gv = S::load(grad + y * grad_pitch + x);
      const float* p = source + y * row_step + x;
      for (int i = 0; i < TapRows; ++i)
        for (int j = 0; j < Kernel; ++j)
          acc[i][j] += gv * keep(S::load(p + i * tap_step + shift[j]));
    }
    for (int i = 0; i < TapRows; ++i)
      for (int j = 0; j < Kernel; ++j) {
        float* to = sums.row((first + i) * Kernel + j) + channel;
        S::store(to, S::load(to) + acc[i][j]);
      }
    channel += advance;
    if (channel >= s.channels) channel -= s.channels;
  };
  Index x = 0;
  for (; x + kLanes <= columns; x += kLanes) column(x, [](S::vec v) { return v; });
  if (x < columns) {
    // Lanes past the end meet real columns of the source, where 0 * infinity would be NaN.
    const S::mask part = S::first(columns - x);
    column(x, [part](S::vec v) { return S::select(part, v); });
  }
}

void weight_image(const float* source, const Layout& layout, const DepthwiseShape& s,
                  const float* grad, Index grad_pitch, const Geometry& g, const Rows& sums) {
  if (s.kernel == 3) {
    correlate<3, 3>(source, layout, s, 0, grad, grad_pitch, g, sums);
  } else {
    correlate<5, 2>(source, layout, s, 0, grad, grad_pitch, g, sums);
    correlate<5, 2>(source, layout, s, 2, grad, grad_pitch, g, sums);
    correlate<5, 1>(source, layout, s, 4, grad, grad_pitch, g, sums);
  }
}

void data_image(const DepthwiseShape& s, const BackwardPlan& plan, const float* padded,
                const Layout& layout, const Rows& weights, float* half, float* grad_x) {
  const Index pixel = s.channels, half_pitch = (s.width + 1) / 2 * pixel;
  for (int u = 0; u < s.stride; ++u) {
    const Index rows = (s.height - u + s.stride - 1) / s.stride;
    for (int v = 0; v < s.stride; ++v) {
      const Index columns = (s.width - v + s.stride - 1) / s.stride;
      const bool direct = s.stride == 1;
      convolve(
          padded, layout.pitch, plan.taps[u][v], weights,
          {direct ? grad_x : half, rows, columns * pixel, direct ? s.width * pixel : half_pitch});
      if (direct) return;
      for (Index r = 0; r < rows; ++r)
        for (Index c = 0; c < columns; ++c)
          copy_pixel(grad_x + ((2 * r + u) * s.width + 2 * c + v) * pixel,
                     half + r * half_pitch + c * pixel, pixel);
    }
  }
}

}  // namespace

namespace nasturtium::kernels::NASTURTIUM_ISA {

static bool forward(const DepthwiseShape& s, const float* x, const float* weight, float* y,
                    int threads) {
  const Geometry g(s);
  const Layout layout(s.height, s.width, g.padding, s.stride, s.channels);
  const Taps taps = forward_taps(s, layout);
  float* memory = allocate(Rows::needed(s.channels, g.taps));
  if (!memory) return false;
  const Rows weights(memory, s.channels);
  weights.expand(weight, g.taps);
  const bool done = for_units(s.batch, threads, [&](Index first, Index last) {
    float* scratch = allocate(layout.size);
    if (!scratch) return false;
    for (Index n = first; n < last; ++n) {
      fill(scratch, layout, x + n * s.height * s.width * s.channels, s.height, s.width, s.stride);
      const Index columns = g.out_columns * s.channels;
      convolve(scratch, s.stride * layout.pitch, taps, weights,
               {y + n * g.out_rows * columns, g.out_rows, columns, columns});
    }
    std::free(scratch);
    return true;
  });
  std::free(memory);
  return done;
}

static bool backward(const DepthwiseShape& s, const float* grad_y, const float* x,
                     const float* weight, float* grad_x, float* grad_weight, int threads) {
  const Geometry g(s);
  const Layout layout(s.height, s.width, g.padding, s.stride, s.channels);
  const Layout grad_layout(g.out_rows, g.out_columns, g.padding, 1, s.channels);
  const BackwardPlan plan(s, g, grad_layout);
  const Index units = (s.batch + kRun - 1) / kRun;
  const Index wide = Rows::needed(s.channels, g.taps), narrow = s.channels * g.taps;
  float* memory = allocate(wide + units * narrow);
  if (!memory) return false;
  const Rows weights(memory, s.channels);
  weights.expand(weight, g.taps);
  float* shares = memory + wide;
  const bool done = for_units(units, threads, [&](Index first, Index last) {
    const Index half = (s.height + 1) * (s.width + 1) * s.channels;
    float* scratch = allocate(layout.size + grad_layout.size + half + wide);
    if (!scratch) return false;
    float* padded = scratch + layout.size;
    const Rows sums(padded + grad_layout.size + half, s.channels);
    const float* inner = padded + grad_layout.border * (grad_layout.pitch + grad_layout.pixel);
    for (Index unit = first; unit < last; ++unit) {
      std::memset(sums.data, 0, static_cast<std::size_t>(wide) * sizeof(float));
      for (Index n = unit * kRun; n < (unit + 1) * kRun && n < s.batch; ++n) {
        const Index image = n * s.height * s.width * s.channels;
        fill(padded, grad_layout, grad_y + n * g.out_rows * g.out_columns * s.channels, g.out_rows,
             g.out_columns, 1);
        if (grad_x)
          data_image(s, plan, padded, grad_layout, weights, padded + grad_layout.size,
                     grad_x + image);
        if (grad_weight) {
          fill(scratch, layout, x + image, s.height, s.width, s.stride);
          weight_image(scratch, layout, s, inner, grad_layout.pitch, g, sums);
        }
      }
      if (grad_weight) sums.fold(shares + unit * narrow, g.taps);
    }
    std::free(scratch);
    return true;
  });
  if (grad_weight) add_shares(shares, units, narrow, grad_weight);
  std::free(memory);
  return done;
}

extern const DepthwiseTable depthwise_last;
const DepthwiseTable depthwise_last{forward, backward};

}  // namespace nasturtium::kernels::NASTURTIUM_ISA
