#pragma once
// The backward passes: one read of the gradient for all sums, second stages, and everything that
// reaches x. Gradients of normalized outputs are formed in chunks from what was kept, never stored.

#include "mixed_op/forward.hpp"

namespace {

template <int L>
struct Backward {
  Forward<L> f;  // for what it recomputes
  const float *alpha, *grad;
  float* grad_x;
  float* inner = nullptr;  // gradients of normalized first halves, [seconds][N] images
  float *scale = nullptr, *center = nullptr, *slope = nullptr;  // [norms][pixel]
  double* products = nullptr;  // [units][terms + 1][pixel]: gradient times centered term; gradient
  float* shares = nullptr;     // [units][share] gradients of weights, if they are wanted
  Index share = 0, offset[kMostStages] = {}, inner_of[kMostStages] = {};
  int seconds = 0;
  Arena arena = {};

  bool prepare(bool weights) {
    const Edge& e = f.e;
    for (int i = 0; i < e.plan.stages; ++i) {
      offset[i] = share;
      const Index inputs = e.filter[i].kernel ? e.s.channels : 2 * e.s.channels;
      share += (e.filter[i].tap_count() + inputs) * e.pixel;
      if (e.plan.stage[i].second) inner_of[i] = seconds++;
    }
    const Index inner_size = seconds * e.s.batch * e.whole.out_size();
    const Index shares_size = weights ? e.units.count * share : 0;
    const Index products_size = e.units.count * (f.many + 1) * e.pixel;
    for (int i = 0; i < 3; ++i) arena.reserve<float>(e.plan.norms * e.pixel);
    arena.reserve<double>(products_size);
    arena.reserve<float>(inner_size);
    arena.reserve<float>(shares_size);
    if (!arena.allocate()) return false;
    scale = arena.take<float>(e.plan.norms * e.pixel);
    center = arena.take<float>(e.plan.norms * e.pixel);
    slope = arena.take<float>(e.plan.norms * e.pixel);
    products = arena.take<double>(products_size);
    std::memset(products, 0, static_cast<std::size_t>(products_size) * sizeof(double));
    inner = arena.take<float>(inner_size);
    shares = arena.take<float>(shares_size);
    std::memset(shares, 0, static_cast<std::size_t>(shares_size) * sizeof(float));
    if (!weights) shares = nullptr;
    return true;
  }

  const float* gradient(const Scratch& t, Index n) const {
    return whole_pixels(f.e, grad, n, f.e.whole.out_height * f.e.whole.out_width, t.wide_grad);
  }
  float* inner_image(int stage, Index n) const {
    return inner + (inner_of[stage] * f.e.s.batch + n) * f.e.whole.out_size();
  }
  FilterSums sums(Index unit, int stage) const {
    float* taps = shares + unit * share + offset[stage];
    return {taps, taps + f.e.filter[stage].tap_count() * f.e.pixel};
  }

  void reduce(const Scratch& t, Index unit, Index n) const {
    const Edge& e = f.e;
    const Grid& g = e.whole;
    const float *from = f.image(t, n), *own = gradient(t, n);
    double* to = products + unit * (f.many + 1) * e.pixel;
    g.for_chunks([&](Index y, Index rows) {
      const Index at = y * g.out_row(), count = rows * g.out_width;
      for (int m = 0; m < f.many; ++m) {
        const int k = f.candidate[m], kind = e.s.candidates[k];
        const float* term = t.chunk;
        if (e.plan.stage_of[k] >= 0)
          term = f.z(t, e.plan.stage_of[k], n) + at;
        else if (kind == kSkip)
          term = from + at;
        else
          f.pool(kind, from, y, rows, t, t.chunk);
        add_product<L>(own + at, term, e.mix_mean + m * e.pixel, count, e.pixel, to + m * e.pixel);
      }
      add_sum<L>(own + at, count, e.pixel, to + f.many * e.pixel);
    });
  }

  double product(int term, Index channel) const {
    double sum = 0;
    for (Index unit = 0; unit < f.e.units.count; ++unit)
      sum += products[(unit * (f.many + 1) + term) * f.e.pixel + channel];
    return sum;
  }
  // The gradient of z where that of its normalized value times `factor` has these sums.
  void set_slope(int norm, Index c, double factor, double sum, double product_sum) const {
    const Index at = norm * f.e.pixel + c;
    const double r = static_cast<double>(f.e.inverse[at]), count = f.e.elements();
    scale[at] = static_cast<float>(factor * r);
    center[at] = f.training ? static_cast<float>(sum / count) : 0;
    slope[at] = f.training ? static_cast<float>(-factor * r * r * r * product_sum / count) : 0;
  }

  void settle_outer(float* grad_alpha) const {
    const Edge& e = f.e;
    if (grad_alpha)
      for (int k = 0; k < e.s.count; ++k) grad_alpha[k] = 0;
    for (int m = 0; m < f.many; ++m) {
      const int k = f.candidate[m], norm = e.plan.norm_of[k];
      double of_alpha = 0;
      for (Index c = 0; c < e.pixel; ++c) {
        const double found = product(m, c);
        of_alpha += norm < 0 ? found : found * static_cast<double>(e.inverse[norm * e.pixel + c]);
        if (norm >= 0) set_slope(norm, c, static_cast<double>(alpha[k]), product(f.many, c), found);
      }
      if (grad_alpha) grad_alpha[k] = static_cast<float>(of_alpha);
    }
  }
  void settle_inner() const {
    const Edge& e = f.e;
    for (int i = 0; i < e.plan.stages; ++i)
      if (e.plan.stage[i].second)
        for (Index c = 0; c < e.pixel; ++c) {
          const int norm = e.plan.stage[i].norm - 1;
          set_slope(norm, c, 1, e.total(norm, 0, c), e.total(norm, 1, c));
        }
  }

  void branch(int norm, const float* g, const float* z, Index pixels, float* to) const {
    const Index at = norm * f.e.pixel;
    if (f.training)
      branch_gradient<L>({scale + at, center + at, slope + at, f.e.mean + at}, g, z, pixels,
                         f.e.pixel, to);
    else
      scaled<L>(scale + at, g, pixels, f.e.pixel, to);
  }

  // Weights of a stage and, spread out, the gradient of its depthwise half's output.
  void stage(const Scratch& t, const Grid& g, int i, Index unit, const float* from, const float* z,
             const float* padded) const {
    const FilterSums own = shares ? sums(unit, i) : FilterSums{};
    pointwise_backward<L>(
        g, f.e.filter[i], padded, shares ? &own : nullptr,
        [&](Index y, Index rows, float* to) {
          const Index at = y * g.out_row();
          branch(f.e.plan.stage[i].norm, from + at, z + at, rows * g.out_width, to);
        },
        t.middle, t.chunk, t.spread);
    if (shares) taps_backward<L>(g, f.e.filter[i], padded, t.spread, own);
  }

  // All of the skipped input of stride 2; `image` is null where nobody asks for x.
  void halve(const Scratch& t, int i, Index unit, const float* from, const float* z,
             float* image) const {
    const Grid& g = f.e.whole;
    g.for_chunks([&](Index y, Index rows) {
      const Index at = y * g.out_row();
      branch(f.e.plan.stage[i].norm, from + at, z + at, rows * g.out_width, t.chunk);
      halve_backward<L>(g, f.e.halve, t.source, y, rows, t.chunk, t.middle,
                        shares ? sums(unit, i).point : nullptr, image);
    });
  }

  void second_stages(const Scratch& t, Index unit, Index n) const {
    const Edge& e = f.e;
    const Grid& g = e.half;
    const float* own = gradient(t, n);
    for (int i = 0; i < e.plan.stages; ++i) {
      if (!e.plan.stage[i].second) continue;
      const int norm = e.plan.stage[i].norm - 1;
      const float *before = f.z(t, i - 1, n), *about = e.mean + norm * e.pixel;
      fill_normalized<L>(g, before, about, e.inverse + norm * e.pixel, t.source);
      stage(t, g, i, unit, own, f.z(t, i, n), t.source);
      float* to = inner_image(i, n);
      g.for_chunks([&](Index y, Index rows) {
        const Index at = y * g.out_row(), count = rows * g.out_width;
        data_backward<L, false>(g, e.filter[i], t.spread, y, rows, to + at);
        for (Index r = 0; r < rows; ++r)
          mask_row<L>(t.source + (y + r) * g.pitch, g.out_row(), to + at + r * g.out_row());
        add_sum<L>(to + at, count, e.pixel, e.first(unit, norm));
        add_product<L>(to + at, before + at, about, count, e.pixel, e.second(unit, norm));
      });
    }
  }

  void first_stages(const Scratch& t, Index unit, Index n) const {
    const Edge& e = f.e;
    const Grid& g = e.whole;
    const float *from = f.image(t, n), *own = gradient(t, n);
    const bool wide = e.pixel != e.s.channels;
    float* to = !grad_x ? nullptr : wide ? t.image : grad_x + n * g.in_size();
    if (grad_x) std::memset(to, 0, static_cast<std::size_t>(g.in_size()) * sizeof(float));
    bool any = false;
    for (int i = 0; i < e.plan.stages; ++i) {
      if (e.plan.stage[i].second) continue;
      if (!any) fill_positive<L>(g, from, t.source);
      any = true;
      if (!e.filter[i].kernel) {
        halve(t, i, unit, own, f.z(t, i, n), to);
        continue;
      }
      stage(t, g, i, unit, e.plan.stage[i].last ? own : inner_image(i + 1, n), f.z(t, i, n),
            t.source);
      if (grad_x) data_backward<L, true>(g, e.filter[i], t.spread, 0, g.height, to);
    }
    if (!grad_x) return;
    if (any) mask_row<L>(from, g.in_size(), to);
    others(t, from, own, to);
    const Index pixels = g.height * g.width;
    if (wide) narrow(to, pixels, e.s.channels, e.pixel, grad_x + n * pixels * e.s.channels);
  }

  // What the skipped input and the pools add to the gradient of x.
  void others(const Scratch& t, const float* from, const float* own, float* to) const {
    const Edge& e = f.e;
    const Grid& g = e.whole;
    for (int k = 0; k < e.s.count; ++k) {
      const int kind = e.s.candidates[k];
      if (kind == kSkip && g.stride == 1)
        for (Index at = 0; at < g.in_size(); at += L)
          Simd<L>::store(to + at, Simd<L>::load(to + at) + alpha[k] * Simd<L>::load(own + at));
      if (kind != kMaxPool && kind != kAveragePool) continue;
      g.for_chunks([&](Index y, Index rows) {
        float* pooled = t.pooled[0];
        f.pool(kind, from, y, rows, t, pooled);
        branch(e.plan.norm_of[k], own + y * g.out_row(), pooled, rows * g.out_width, t.chunk);
        for (Index r = 0; r < rows; ++r) {
          const Index at = r * g.out_row();
          if (kind == kMaxPool)
            max_backward<L>(g, from, y + r, pooled + at, t.chunk + at, to);
          else
            average_backward<L>(g, y + r, t.chunk + at, t.spare, to);
        }
      });
    }
  }

  // Adds the units' shares of the weights' gradients and puts them where torch keeps weights.
  bool weights(float* const* to, int threads) const {
    const Edge& e = f.e;
    Arena memory;
    memory.reserve<float>(share);
    if (!memory.allocate()) return false;
    float* total = memory.take<float>(share);
    constexpr Index kParts = 16;
    for_units(kParts, threads, [&](Index first, Index last) {
      add_shares(shares, e.units.count, share, share * first / kParts, share * last / kParts,
                 total);
      return true;
    });
    for (int i = 0; i < e.plan.stages; ++i) {
      const Index taps = e.filter[i].tap_count(), channels = e.s.channels;
      const float* from = total + offset[i];
      if (!taps) {
        for (Index b = 0; b < channels; ++b)
          for (Index a = 0; a < channels; ++a) {
            const bool even = b < channels / 2;
            float* row =
                even ? to[2 * i] + b * channels : to[2 * i + 1] + (b - channels / 2) * channels;
            row[a] = from[(even ? a : channels + a) * e.pixel + b];
          }
        continue;
      }
      write_weights(e.filter[i], channels, e.pixel, from, to[2 * i], to[2 * i + 1]);
    }
    return true;
  }
};

template <int L>
bool mixed_backward(const MixedShape& s, const float* grad, const float* x, const float* alpha,
                    const float* const* weights, const float* kept, const float* mean,
                    const float* variance, float* grad_x, float* grad_alpha,
                    float* const* grad_weights, int threads) {
  Edge e(s);
  if (!e.prepare(weights)) return false;
  e.read_norms(mean, variance);
  // Nothing is written to what was kept.
  Backward<L> b{{e, x, const_cast<float*>(kept), nullptr, s.training, 0, {}}, alpha, grad, grad_x};
  b.f.many = e.mixture(alpha, b.f.candidate);
  if (!b.prepare(grad_weights)) return false;
  // Slopes need the sums of a batch; with given statistics only alpha does.
  if ((s.training || grad_alpha) &&
      !for_images(e, threads, e.half, nullptr, false,
                  [&](Scratch& t, Index unit, Index n) { b.reduce(t, unit, n); }))
    return false;
  b.settle_outer(grad_alpha);
  if (!grad_x && !grad_weights) return true;
  if (b.seconds) {
    if (!for_images(e, threads, e.half, &e.half, false,
                    [&](Scratch& t, Index unit, Index n) { b.second_stages(t, unit, n); }))
      return false;
    b.settle_inner();
  }
  if (!for_images(e, threads, e.whole, &e.whole, false,
                  [&](Scratch& t, Index unit, Index n) { b.first_stages(t, unit, n); }))
    return false;
  return !grad_weights || b.weights(grad_weights, threads);
}

}  // namespace
