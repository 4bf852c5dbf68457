#pragma once
// 3 x 3 pools of one image (padding 1; an average counts no padding) and their gradients.

#include <cstring>

#include "separable/bank.hpp"

namespace {

struct Window {
  Index first, last;  // of the rows or columns inside the image
  Window(Index output, int stride, Index size)
      : first(output * stride - 1), last(output * stride + 1) {
    if (first < 0) first = 0;
    if (last >= size) last = size - 1;
  }
  Index count() const { return last - first + 1; }
};

// A row of columns that were already pooled downwards, with one pixel more on both sides.
inline Index line_floats(const Grid& g) { return (g.width + 2) * g.pixel; }

template <bool Max>
void clear_line(const Grid& g, float* line) {
  const float neutral = Max ? -__builtin_inff() : 0.0f;
  for (Index i = 0; i < line_floats(g); ++i) line[i] = neutral;
}

template <int L>
bool any_nan(const float* v, Index count) {
  using S = Simd<L>;
  typename S::mask found{};
  for (Index at = 0; at < count; at += L) found |= S::load(v + at) != S::load(v + at);
  for (int i = 0; i < L; ++i)
    if (found[i]) return true;
  return false;
}

enum class Pool { average, maximum, maximum_of_numbers };

// One row of outputs; `line` was cleared once. The maximum of numbers alone is one instruction.
template <int L, Pool Kind>
void pool_row(const Grid& g, const float* x, Index y, float* line, float* out) {
  using S = Simd<L>;
  using vec = typename S::vec;
  const Window down(y, g.stride, g.height);
  const Index row = g.width * g.pixel;
  const auto join = [](vec a, vec b) {
    if constexpr (Kind == Pool::average) return a + b;
    if constexpr (Kind == Pool::maximum) return larger<L>(a, b);
    return b > a ? b : a;
  };
  for (Index at = 0; at < row; at += L) {
    vec v = S::load(x + down.first * row + at);
    for (Index r = down.first + 1; r <= down.last; ++r) v = join(v, S::load(x + r * row + at));
    S::store(line + g.pixel + at, v);
  }
  for (Index c = 0; c < g.out_width; ++c, out += g.pixel) {
    const float* from = line + c * g.stride * g.pixel;
    const Window across(c, g.stride, g.width);
    const float part = 1 / static_cast<float>(down.count() * across.count());
    for (Index q = 0; q < g.pixel; q += L) {
      const vec v = join(join(S::load(from + q), S::load(from + q + g.pixel)),
                         S::load(from + q + 2 * g.pixel));
      S::store(out + q, Kind == Pool::average ? v * part : v);
    }
  }
}

template <int L, bool Max>
void pool_rows(const Grid& g, const float* x, Index y, Index rows, float* line, float* out) {
  const Index row = g.width * g.pixel, first = Window(y, g.stride, g.height).first,
              last = Window(y + rows - 1, g.stride, g.height).last;
  const auto run = !Max ? pool_row<L, Pool::average>
                   : any_nan<L>(x + first * row, (last - first + 1) * row)
                       ? pool_row<L, Pool::maximum>
                       : pool_row<L, Pool::maximum_of_numbers>;
  for (Index r = 0; r < rows; ++r) run(g, x, y + r, line, out + r * g.out_row());
}

// grad_x += the gradient of a row of averages; `line` is overwritten.
template <int L>
void average_backward(const Grid& g, Index y, const float* grad, float* line, float* grad_x) {
  using S = Simd<L>;
  const Window down(y, g.stride, g.height);
  const Index row = g.width * g.pixel;
  std::memset(line, 0, static_cast<std::size_t>(line_floats(g)) * sizeof(float));
  for (Index c = 0; c < g.out_width; ++c, grad += g.pixel) {
    const Window across(c, g.stride, g.width);
    const float part = 1 / static_cast<float>(down.count() * across.count());
    for (Index q = 0; q < g.pixel; q += L) {
      const typename S::vec v = S::load(grad + q) * part;
      for (Index j = 0; j < 3; ++j) {
        float* to = line + (c * g.stride + j) * g.pixel + q;
        S::store(to, S::load(to) + v);
      }
    }
  }
  for (Index r = down.first; r <= down.last; ++r)
    for (Index at = 0; at < row; at += L) {
      float* to = grad_x + r * row + at;
      S::store(to, S::load(to) + S::load(line + g.pixel + at));
    }
}

// The gradient goes to the first of the largest inputs, or to the last NaN, as max_pool2d scans.
inline void max_backward_scan(const Grid& g, const float* x, Index y, const float* grad,
                              float* grad_x) {
  const Window down(y, g.stride, g.height);
  for (Index c = 0; c < g.out_width; ++c)
    for (Index q = 0; q < g.channels; ++q) {
      const Window across(c, g.stride, g.width);
      float best = -__builtin_inff();
      Index where = (down.first * g.width + across.first) * g.pixel + q;
      for (Index r = down.first; r <= down.last; ++r)
        for (Index k = across.first; k <= across.last; ++k) {
          const Index at = (r * g.width + k) * g.pixel + q;
          if (!(x[at] > best) && x[at] == x[at]) continue;
          best = x[at];
          where = at;
        }
      grad_x[where] += grad[c * g.pixel + q];
    }
}

// grad_x += the gradient of a row of maxima, which are `best`. No index was kept: the first input
// that equals the maximum is the one.
template <int L>
void max_backward(const Grid& g, const float* x, Index y, const float* best, const float* grad,
                  float* grad_x) {
  using S = Simd<L>;
  if (any_nan<L>(best, g.out_row())) return max_backward_scan(g, x, y, grad, grad_x);
  const Window down(y, g.stride, g.height);
  for (Index c = 0; c < g.out_width; ++c) {
    const Window across(c, g.stride, g.width);
    for (Index q = 0; q < g.pixel; q += L) {
      const typename S::vec most = S::load(best + c * g.pixel + q);
      const typename S::vec v = S::load(grad + c * g.pixel + q);
      typename S::mask free = ~typename S::mask{};
      for (Index r = down.first; r <= down.last; ++r)
        for (Index k = across.first; k <= across.last; ++k) {
          const Index at = (r * g.width + k) * g.pixel + q;
          const typename S::mask hit = (S::load(x + at) == most) & free;
          free &= ~hit;
          S::store(grad_x + at, S::load(grad_x + at) + S::select(hit, v));
        }
    }
  }
}

}  // namespace
