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

template <int L>
bool any_nan(const float* v, Index count) {
  using S = Simd<L>;
  typename S::mask found{};
  for (Index at = 0; at < count; at += L) found |= S::load(v + at) != S::load(v + at);
  for (int i = 0; i < L; ++i)
    if (found[i]) return true;
  return false;
}

// A centered average is that of what is left when a row of channels is subtracted.
enum class Pool { average, centered_average, maximum, maximum_of_numbers };

constexpr bool averages(Pool kind) {
  return kind == Pool::average || kind == Pool::centered_average;
}

// The rows of a window: a maximum may meet a row twice, an average leaves out what is not there.
template <int L, Pool Kind>
struct Rows {
  using S = Simd<L>;
  using vec = typename S::vec;
  const float* row[3];
  int count = 0;

  Rows(const Grid& g, const float* x, Index y) {
    const Window down(y, g.stride, g.height);
    for (Index r = 0; r < 3; ++r)
      row[r] = x + (r < down.count() ? down.first + r : down.first) * g.width * g.pixel;
    count = static_cast<int>(down.count());
  }
  static vec neutral() { return S::broadcast(averages(Kind) ? 0 : -__builtin_inff()); }
  static vec join(vec a, vec b) {
    if constexpr (averages(Kind)) return a + b;
    if constexpr (Kind == Pool::maximum) return larger<L>(a, b);
    return b > a ? b : a;
  }
  static vec value(const float* at, vec about) {
    if constexpr (Kind == Pool::centered_average) return S::load(at) - about;
    return S::load(at);
  }
  // A column of the window.
  template <int Count>
  vec column(Index at, vec about) const {
    vec v = value(row[0] + at, about);
    for (int i = 1; i < Count; ++i) v = join(v, value(row[i] + at, about));
    return v;
  }
};

// One row of outputs, of windows with `Count` rows. Columns are joined as they come, each once.
template <int L, Pool Kind, int Count>
void pool_row(const Grid& g, const Rows<L, Kind>& rows, const float* about, float* out) {
  using S = Simd<L>;
  using R = Rows<L, Kind>;
  const float part[4] = {0, 1.0f / Count, 1.0f / (2 * Count), 1.0f / (3 * Count)};
  for (Index q = 0; q < g.pixel; q += L) {
    typename S::vec mean{};
    if constexpr (Kind == Pool::centered_average) mean = S::load(about + q);
    typename S::vec before = R::neutral(), middle = rows.template column<Count>(q, mean);
    for (Index c = 0, from = 0; c < g.out_width; ++c) {
      const bool inside = from + 1 < g.width;
      const typename S::vec after =
          inside ? rows.template column<Count>((from + 1) * g.pixel + q, mean) : R::neutral();
      typename S::vec v = R::join(R::join(before, middle), after);
      if constexpr (averages(Kind)) v *= part[1 + (from > 0) + inside];
      S::store(out + c * g.pixel + q, v);
      from += g.stride;
      before = g.stride == 1 ? middle : after;
      if (g.stride == 1)
        middle = after;
      else if (from < g.width)
        middle = rows.template column<Count>(from * g.pixel + q, mean);
    }
  }
}

template <int L, Pool Kind>
void pool_rows(const Grid& g, const float* x, const float* about, Index y, Index count,
               float* out) {
  for (Index r = 0; r < count; ++r, out += g.out_row()) {
    const Rows<L, Kind> rows(g, x, y + r);
    // With fewer than three rows a maximum meets the first one again.
    if (!averages(Kind) || rows.count == 3)
      pool_row<L, Kind, 3>(g, rows, about, out);
    else if (rows.count == 2)
      pool_row<L, Kind, 2>(g, rows, about, out);
    else
      pool_row<L, Kind, 1>(g, rows, about, out);
  }
}

template <int L>
void average_rows(const Grid& g, const float* x, Index y, Index count, float* out) {
  pool_rows<L, Pool::average>(g, x, nullptr, y, count, out);
}
template <int L>
void average_rows(const Grid& g, const float* x, const float* about, Index y, Index count,
                  float* out) {
  pool_rows<L, Pool::centered_average>(g, x, about, y, count, out);
}

// The maximum of numbers alone is one instruction.
template <int L>
void maximum_rows(const Grid& g, const float* x, Index y, Index count, float* out) {
  const Index row = g.width * g.pixel, first = Window(y, g.stride, g.height).first,
              last = Window(y + count - 1, g.stride, g.height).last;
  if (any_nan<L>(x + first * row, (last - first + 1) * row))
    pool_rows<L, Pool::maximum>(g, x, nullptr, y, count, out);
  else
    pool_rows<L, Pool::maximum_of_numbers>(g, x, nullptr, y, count, out);
}

// grad_x += the gradient of a row of averages; `line` is a row of inputs and is overwritten.
template <int L>
void average_backward(const Grid& g, Index y, const float* grad, float* line, float* grad_x) {
  using S = Simd<L>;
  using vec = typename S::vec;
  const Window down(y, g.stride, g.height);
  const Index row = g.width * g.pixel;
  const float rows = static_cast<float>(down.count());
  const float part[4] = {0, 1 / rows, 1 / (2 * rows), 1 / (3 * rows)};
  const auto share = [&](Index c) { return part[Window(c, g.stride, g.width).count()]; };
  for (Index q = 0; q < g.pixel; q += L) {
    const auto scaled = [&](Index c) {
      return c >= 0 && c < g.out_width ? S::load(grad + c * g.pixel + q) * share(c) : vec{};
    };
    if (g.stride == 1) {
      vec before{}, middle = scaled(0);
      for (Index c = 0; c < g.width; ++c) {
        const vec after = scaled(c + 1);
        S::store(line + c * g.pixel + q, before + middle + after);
        before = middle;
        middle = after;
      }
    } else {
      for (Index c = 0; c < g.width; ++c)
        S::store(line + c * g.pixel + q, c % 2 ? scaled(c / 2) + scaled(c / 2 + 1) : scaled(c / 2));
    }
  }
  for (Index r = down.first; r <= down.last; ++r)
    for (Index at = 0; at < row; at += L) {
      float* to = grad_x + r * row + at;
      S::store(to, S::load(to) + S::load(line + at));
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
  using vec = typename S::vec;
  const Window down(y, g.stride, g.height);
  const Index row = g.width * g.pixel;
  const int count = static_cast<int>(down.count());
  const float* from = x + down.first * row;
  float* to = grad_x + down.first * row;
  for (Index q = 0; q < g.pixel; q += L)
    for (Index c = 0; c < g.out_width; ++c) {
      const Window across(c, g.stride, g.width);
      const vec most = S::load(best + c * g.pixel + q);
      vec left = S::load(grad + c * g.pixel + q);  // what no input has had yet
      for (int r = 0; r < count; ++r)
        for (Index k = across.first; k <= across.last; ++k) {
          const Index at = r * row + k * g.pixel + q;
          const typename S::mask hit = S::load(from + at) == most;
          S::store(to + at, S::load(to + at) + S::select(hit, left));
          left = S::select(~hit, left);
        }
    }
}

}  // namespace
