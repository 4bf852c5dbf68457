#pragma once
// Chunks of pixels, each `pixel` floats long (a multiple of the lanes), with coefficients of
// `pixel` floats. A chunk fits into the first cache and is short enough for a sum in float; what is
// added over chunks is double. The order of every sum is that of the pixels.

#include "simd.hpp"
#include "work.hpp"

namespace {

// Floats of a chunk: 8 KiB, so that a few of them share a first cache.
constexpr Index kChunk = 2048;

// The sum of term(offset of a pixel), in four chains.
template <int L, class Term>
inline typename Simd<L>::vec over_pixels(Index count, Index pixel, const Term& term) {
  typename Simd<L>::vec sum[4] = {};
  Index at = 0, i = 0;
  for (; i + 4 <= count; i += 4, at += 4 * pixel)
    for (int u = 0; u < 4; ++u) sum[u] += term(at + u * pixel);
  for (; i < count; ++i, at += pixel) sum[0] += term(at);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// A sum of vectors in double, in two halves.
template <int L>
struct WideSum {
  using S = Simd<L>;
  typename S::wide lower{}, upper{};

  void add(typename S::vec v) {
    lower += S::widen(v, 0);
    upper += S::widen(v, L / 2);
  }
  void add_to(double* to) const {
    for (int i = 0; i < L / 2; ++i) {
      to[i] += lower[i];
      to[i + L / 2] += upper[i];
    }
  }
};

// to[c] += sum of term(offset of a pixel). No more than four terms meet in float: where terms of
// both signs cancel, what longer sums round away would show.
template <int L, class Term>
inline void add_over_pixels(Index count, Index pixel, const Term& term, double* to) {
  WideSum<L> sum;
  Index at = 0, i = 0;
  for (; i + 4 <= count; i += 4, at += 4 * pixel)
    sum.add((term(at) + term(at + pixel)) + (term(at + 2 * pixel) + term(at + 3 * pixel)));
  for (; i < count; ++i, at += pixel) sum.add(term(at));
  sum.add_to(to);
}

// sum[c] += sum of z.
template <int L>
void add_sum(const float* z, Index count, Index pixel, double* sum) {
  for (Index q = 0; q < pixel; q += L)
    add_over_pixels<L>(
        count, pixel, [p = z + q](Index at) { return Simd<L>::load(p + at); }, sum + q);
}

// sum[c] += sum of g (z - mean[c]): centered first, or a large mean would drown the rest.
template <int L>
void add_product(const float* g, const float* z, const float* mean, Index count, Index pixel,
                 double* sum) {
  using S = Simd<L>;
  for (Index q = 0; q < pixel; q += L) {
    const typename S::vec m = S::load(mean + q);
    add_over_pixels<L>(
        count, pixel, [=](Index at) { return S::load(g + q + at) * (S::load(z + q + at) - m); },
        sum + q);
  }
}

// The same, and first[c] += sum of z - mean[c], second[c] += sum of its square.
template <int L>
void add_products(const float* g, const float* z, const float* mean, Index count, Index pixel,
                  double* sum, double* first, double* second) {
  using S = Simd<L>;
  using vec = typename S::vec;
  for (Index q = 0; q < pixel; q += L) {
    const vec m = S::load(mean + q);
    const float *a = g + q, *b = z + q;
    WideSum<L> product, rest, square;
    Index i = 0;
    for (; i + 4 <= count; i += 4, a += 4 * pixel, b += 4 * pixel) {
      vec d[4], p[4];
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u) {
        d[u] = S::load(b + u * pixel) - m;
        p[u] = S::load(a + u * pixel) * d[u];
      }
      product.add((p[0] + p[1]) + (p[2] + p[3]));
      rest.add((d[0] + d[1]) + (d[2] + d[3]));
      square.add((d[0] * d[0] + d[1] * d[1]) + (d[2] * d[2] + d[3] * d[3]));
    }
    for (; i < count; ++i, a += pixel, b += pixel) {
      const vec d = S::load(b) - m;
      product.add(S::load(a) * d);
      rest.add(d);
      square.add(d * d);
    }
    product.add_to(sum + q);
    rest.add_to(first + q);
    square.add_to(second + q);
  }
}

// first[c] += sum of z, second[c] += sum of z^2, by way of the chunk's own mean: what is squared in
// float are deviations, and the large terms meet in double only.
template <int L>
void add_moments(const float* z, Index count, Index pixel, double* first, double* second) {
  using S = Simd<L>;
  using vec = typename S::vec;
  const float n = static_cast<float>(count);
  for (Index q = 0; q < pixel; q += L) {
    const float* from = z + q;
    const vec mean = over_pixels<L>(count, pixel, [=](Index at) { return S::load(from + at); }) / n;
    vec off[4] = {}, square[4] = {};
    const auto add = [&](int u, const float* p) {
      const vec d = S::load(p) - mean;
      off[u] += d;
      square[u] += d * d;
    };
    Index i = 0;
    const float* p = from;
    for (; i + 4 <= count; i += 4, p += 4 * pixel)
      for (int u = 0; u < 4; ++u) add(u, p + u * pixel);
    for (; i < count; ++i, p += pixel) add(0, p);
    float m[L], o[L], s[L];
    S::store(m, mean);
    S::store(o, (off[0] + off[1]) + (off[2] + off[3]));
    S::store(s, (square[0] + square[1]) + (square[2] + square[3]));
    const double pixels = static_cast<double>(count);
    for (int l = 0; l < L; ++l) {
      const double about = static_cast<double>(m[l]), rest = static_cast<double>(o[l]);
      // Of an infinite mean the deviations are NaN, and the sum stays infinite.
      first[q + l] += pixels * about + (rest - rest == 0 ? rest : 0);
      second[q + l] += static_cast<double>(s[l]) + about * (pixels * about + 2 * rest);
    }
  }
}

// out = sum over k of scale[k] (z[k] - mean[k]), with Add on top of what it holds; mean and scale
// are [many][pixel].
template <int L, bool Add = false>
void mix(int many, const float* const* z, const float* mean, const float* scale, Index count,
         Index pixel, float* out) {
  using S = Simd<L>;
  using vec = typename S::vec;
  const Index size = count * pixel, step = 4 * pixel;
  Index at = 0;
  for (; at + step <= size; at += step)
    for (Index q = 0; q < pixel; q += L) {
      vec sum[4] = {};
      if constexpr (Add)
        for (int u = 0; u < 4; ++u) sum[u] = S::load(out + at + q + u * pixel);
      for (int k = 0; k < many; ++k) {
        const vec m = S::load(mean + k * pixel + q), s = S::load(scale + k * pixel + q);
        const float* from = z[k] + at + q;
        for (int u = 0; u < 4; ++u) sum[u] += s * (S::load(from + u * pixel) - m);
      }
      for (int u = 0; u < 4; ++u) S::store(out + at + q + u * pixel, sum[u]);
    }
  for (; at < size; at += pixel)
    for (Index q = 0; q < pixel; q += L) {
      vec sum{};
      if constexpr (Add) sum = S::load(out + at + q);
      for (int k = 0; k < many; ++k)
        sum += S::load(scale + k * pixel + q) *
               (S::load(z[k] + at + q) - S::load(mean + k * pixel + q));
      S::store(out + at + q, sum);
    }
}

// The gradient of a normalized branch is out = scale (g - center) + shift + slope (z - mean), where
// `fine` is what rounding took from the slope: it belongs to every pixel alike, and would remain
// where the gradients of weights cancel.
struct Slope {
  const float *scale, *center, *shift, *slope, *fine, *mean;
};

// Inlined into its large callers, its pointers would be spilled inside the loop.
template <int L>
[[gnu::noinline]] void branch_gradient(const Slope& by, const float* g, const float* z, Index count,
                                       Index pixel, float* out) {
  using S = Simd<L>;
  using vec = typename S::vec;
  for (Index q = 0; q < pixel; q += L) {
    const vec scale = S::load(by.scale + q), center = S::load(by.center + q);
    const vec slope = S::load(by.slope + q), fine = S::load(by.fine + q);
    const vec shift = S::load(by.shift + q), mean = S::load(by.mean + q);
    Index at = q;
    for (Index i = 0; i < count; ++i, at += pixel) {
      const vec d = S::load(z + at) - mean;
      S::store(out + at, scale * (S::load(g + at) - center) + (shift + fine * d) + slope * d);
    }
  }
}

// out = scale g, the same gradient where statistics are constants.
template <int L>
void scaled(const float* scale, const float* g, Index count, Index pixel, float* out) {
  using S = Simd<L>;
  for (Index q = 0; q < pixel; q += L) {
    const typename S::vec s = S::load(scale + q);
    for (Index i = 0, at = q; i < count; ++i, at += pixel) S::store(out + at, s * S::load(g + at));
  }
}

// out = z - mean in bfloat16. Centered, a value has the side of the mean that it had, on which a
// ReLU depends, and a large mean takes no digit of it.
template <int L>
void shorten(const float* z, const float* mean, Index count, Index pixel, bfloat16* out) {
  using S = Simd<L>;
  for (Index q = 0; q < pixel; q += L) {
    const typename S::vec m = S::load(mean + q);
    for (Index i = 0, at = q; i < count; ++i, at += pixel) S::store(out + at, S::load(z + at) - m);
  }
}

// The other way round.
template <int L>
void lengthen(const bfloat16* centered, const float* mean, Index count, Index pixel, float* out) {
  using S = Simd<L>;
  for (Index q = 0; q < pixel; q += L) {
    const typename S::vec m = S::load(mean + q);
    for (Index i = 0, at = q; i < count; ++i, at += pixel)
      S::store(out + at, S::load(centered + at) + m);
  }
}

// Zero where v is negative; NaN stays NaN. One instruction, as it is written.
template <int L>
inline typename Simd<L>::vec positive(typename Simd<L>::vec v) {
  const typename Simd<L>::vec zero{};
  return zero > v ? zero : v;
}

// v where `sign` is positive or NaN.
template <int L>
inline typename Simd<L>::vec where_positive(typename Simd<L>::vec sign, typename Simd<L>::vec v) {
  const typename Simd<L>::vec zero{};
  return sign <= zero ? zero : v;
}

// The later value where it is larger or NaN, as max_pool2d scans.
template <int L>
inline typename Simd<L>::vec larger(typename Simd<L>::vec before, typename Simd<L>::vec v) {
  return ((v > before) | (v != v)) ? v : before;
}

// The mean and 1 / sqrt(variance + epsilon) of a channel from its sums, or from what is given.
struct Moments {
  double mean, variance;
  Moments(double first, double second, double count) : mean(first / count) {
    variance = second / count - mean * mean;
    if (variance < 0) variance = 0;
  }
};

inline double inverse_deviation(double variance, double epsilon) {
  return 1 / __builtin_sqrt(variance + epsilon);
}

// One channel's part of `Slope`, in double: from sums over `count` values of scale times g times
// centered z, of scale times g, of g, of centered z and of its square. What z is centered with is a
// rounded mean: `rest` is what that lacks.
struct Bend {
  double slope, rest, center, weighted;

  Bend(double product, double scaled, double sum, double first, double second, double count,
       double epsilon)
      : rest(first / count), center(sum / count), weighted(scaled / count) {
    const Moments own(first, second, count);
    slope = -(product - rest * scaled) / (count * (own.variance + epsilon));
  }
  void set(float& slope_, float& fine, float& center_) const {
    slope_ = static_cast<float>(slope);
    const float lost = static_cast<float>(slope - static_cast<double>(slope_));
    fine = lost - lost == 0 ? lost : 0;
    center_ = static_cast<float>(center);
  }
  // Where g has this scale.
  float shift(float scale) const {
    const double rounded = static_cast<double>(static_cast<float>(center));
    const double off = static_cast<double>(scale) * rounded - weighted;
    return static_cast<float>((off - off == 0 ? off : 0) - slope * rest);
  }
};

}  // namespace
