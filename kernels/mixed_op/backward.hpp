#pragma once
// The backward passes: one read of the gradient for all sums, second stages, and everything that
// reaches x. Gradients of normalized outputs are formed in chunks from what was kept, never stored.

#include "mixed_op/forward.hpp"

namespace {

template <int L>
struct Backward {
  Forward<L> f;  // for what it recomputes
  const float* grad;
  float* grad_x;
  float* inner = nullptr;  // gradients of normalized first halves, [seconds][N] images
  Bend* bend = nullptr;    // [norms][pixel], and rounded:
  float *center = nullptr, *slope = nullptr, *fine = nullptr;
  // [units][norms][2][pixel]: sums of centered values and of their squares.
  double* rests = nullptr;
  // [units][terms][3][pixel]: sums of scale times gradient times centered term, of scale times
  // gradient, and of the gradient; [batch][terms]: the gradients of alpha; and [batch][pixel]: sums
  // of the gradient.
  double *products = nullptr, *of_alpha = nullptr, *of_grad = nullptr;
  float* shares = nullptr;  // [units][share] gradients of weights, if they are wanted
  Index share = 0, offset[kMostStages] = {}, inner_of[kMostStages] = {};
  int seconds = 0;
  Arena arena = {};

  bool prepare(bool weights) {
    const Edge& e = f.e;
    for (int i = 0; i < e.plan.stages; ++i) {
      offset[i] = share;
      const Index inputs = e.filter[i].kernel ? e.own : 2 * e.own;
      share += (e.filter[i].tap_count() + inputs) * e.pixel;
      if (e.plan.stage[i].second) inner_of[i] = seconds++;
    }
    const Index inner_size = seconds * e.s.batch * e.whole.out_size();
    const Index shares_size = weights ? e.units.count * share : 0;
    const Index products_size = e.units.count * f.many * 3 * e.pixel;
    const Index rests_size = e.units.count * e.plan.norms * 2 * e.pixel;
    for (int i = 0; i < 3; ++i) arena.reserve<float>(e.plan.norms * e.pixel);
    arena.reserve<double>(products_size);
    arena.reserve<double>(e.s.batch * f.many);
    arena.reserve<double>(e.s.batch * e.pixel);
    arena.reserve<Bend>(e.plan.norms * e.pixel);
    arena.reserve<double>(rests_size);
    arena.reserve<float>(inner_size);
    arena.reserve<float>(shares_size);
    if (!arena.allocate()) return false;
    center = arena.take<float>(e.plan.norms * e.pixel);
    slope = arena.take<float>(e.plan.norms * e.pixel);
    fine = arena.take<float>(e.plan.norms * e.pixel);
    products = arena.take<double>(products_size);
    std::memset(products, 0, static_cast<std::size_t>(products_size) * sizeof(double));
    of_alpha = arena.take<double>(e.s.batch * f.many);
    of_grad = arena.take<double>(e.s.batch * e.pixel);
    bend = arena.take<Bend>(e.plan.norms * e.pixel);
    rests = arena.take<double>(rests_size);
    for (Index i = 0; i < rests_size; ++i) rests[i] = 0;
    inner = arena.take<float>(inner_size);
    shares = arena.take<float>(shares_size);
    std::memset(shares, 0, static_cast<std::size_t>(shares_size) * sizeof(float));
    if (!weights) shares = nullptr;
    return true;
  }

  const float* gradient(const Scratch& t, Index n) const {
    return whole_pixels(f.e, grad, n, f.e.whole.out_height * f.e.whole.out_width, f.e.s.parts,
                        t.wide_grad);
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
    f.lengthen_image(t, n, [](const Stage& stage) { return stage.last; });
    for (Index i = 0; i < (f.many + 1) * e.pixel; ++i) t.sums[i] = 0;
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
          f.pool(kind, from, y, rows, t.chunk);
        add_products_of(unit, e.plan.norm_of[k], own + at, term, e.mix_mean + m * e.pixel, count,
                        t.sums + m * e.pixel);
      }
      add_sum<L>(own + at, count, e.pixel, t.sums + f.many * e.pixel);
    });
    const double* total = t.sums + f.many * e.pixel;
    for (Index c = 0; c < e.pixel; ++c) of_grad[n * e.pixel + c] = total[c];
    for (int m = 0; m < f.many; ++m) {
      const float weight = e.weights_of(f.alpha, n)[f.candidate[m]];
      const double* found = t.sums + m * e.pixel;
      double *to = products + (unit * f.many + m) * 3 * e.pixel, sum = 0;
      for (Index c = 0; c < e.pixel; ++c) {
        const float inverse = e.mix_inverse[m * e.pixel + c];
        const double scale = static_cast<double>(weight * inverse);  // as rounded where it is used
        sum += found[c] * static_cast<double>(inverse);
        to[c] += scale * found[c];
        to[e.pixel + c] += scale * total[c];
        to[2 * e.pixel + c] += total[c];
      }
      of_alpha[n * f.many + m] = sum;
    }
  }

  double product(int term, Index which, Index channel) const {
    double sum = 0;
    for (Index unit = 0; unit < f.e.units.count; ++unit)
      sum += f.e.of_pixel(products + ((unit * f.many + term) * 3 + which) * f.e.pixel, channel);
    return sum;
  }
  double* rest_of(Index unit, int norm, Index which) const {
    return rests + ((unit * f.e.plan.norms + norm) * 2 + which) * f.e.pixel;
  }
  void add_products_of(Index unit, int norm, const float* g, const float* z, const float* about,
                       Index count, double* sum) const {
    if (f.training && norm >= 0)
      add_products<L>(g, z, about, count, f.e.pixel, sum, rest_of(unit, norm, 0),
                      rest_of(unit, norm, 1));
    else
      add_product<L>(g, z, about, count, f.e.pixel, sum);
  }
  // Where these are the sums of scale times gradient times centered value, of scale times gradient,
  // and of the gradient.
  void set_bend(int norm, Index c, double product, double scaled, double sum) const {
    double rest[2] = {};
    for (Index unit = 0; unit < f.e.units.count; ++unit)
      for (Index i = 0; i < 2; ++i) rest[i] += f.e.of_pixel(rest_of(unit, norm, i), c);
    const Index at = norm * f.e.pixel + c;
    bend[at] = {product, scaled, sum, rest[0], rest[1], f.e.elements(), f.e.s.epsilon};
    bend[at].set(slope[at], fine[at], center[at]);
  }

  void settle_outer(float* grad_alpha) const {
    const Edge& e = f.e;
    for (int m = 0; m < f.many; ++m) {
      const int norm = e.plan.norm_of[f.candidate[m]];
      for (Index c = 0; norm >= 0 && f.training && c < e.pixel; ++c)
        set_bend(norm, c, product(m, 0, c), product(m, 1, c), product(m, 2, c));
    }
    if (!grad_alpha) return;
    for (Index i = 0; i < (e.s.each ? e.s.batch : 1) * e.s.count; ++i) grad_alpha[i] = 0;
    for (int m = 0; m < f.many; ++m) {
      double sum = 0;
      for (Index n = 0; n < e.s.batch; ++n) {
        const double found = of_alpha[n * f.many + m] - lost(m, n);
        if (e.s.each) grad_alpha[n * e.s.count + f.candidate[m]] = static_cast<float>(found);
        sum += found;
      }
      if (!e.s.each) grad_alpha[f.candidate[m]] = static_cast<float>(sum);
    }
  }
  // What the gradient of alpha has too much of, by an image and a rounded mean.
  double lost(int term, Index n) const {
    const Edge& e = f.e;
    const int norm = e.plan.norm_of[f.candidate[term]];
    double sum = 0;
    for (Index c = 0; norm >= 0 && f.training && c < e.s.channels; ++c)
      sum += of_grad[n * e.pixel + c] * bend[norm * e.pixel + c].rest *
             static_cast<double>(e.mix_inverse[term * e.pixel + c]);
    return sum;
  }
  void settle_inner() const {
    const Edge& e = f.e;
    for (int i = 0; i < e.plan.stages; ++i)
      for (Index c = 0; e.plan.stage[i].second && f.training && c < e.pixel; ++c) {
        const int norm = e.plan.stage[i].norm - 1;
        const double sum = e.total(norm, 0, c),
                     scale = static_cast<double>(e.inverse[norm * e.pixel + c]);
        set_bend(norm, c, scale * e.total(norm, 1, c), scale * sum, sum);
      }
  }

  // The gradient of z where that of its normalized value is `weight` times g.
  void branch(const Scratch& t, int norm, float weight, const float* g, const float* z,
              Index pixels, float* to) const {
    const Edge& e = f.e;
    const Index at = norm * e.pixel;
    for (Index c = 0; c < e.pixel; ++c) {
      t.scale[c] = weight * e.inverse[at + c];
      if (f.training) t.shift[c] = bend[at + c].shift(t.scale[c]);
    }
    if (f.training)
      branch_gradient<L>({t.scale, center + at, t.shift, slope + at, fine + at, e.mean_left(norm)},
                         g, z, pixels, e.pixel, to);
    else
      scaled<L>(t.scale, g, pixels, e.pixel, to);
  }
  void branch_of(const Scratch& t, int stage, Index n, const float* g, const float* z, Index pixels,
                 float* to) const {
    const Stage& own = f.e.plan.stage[stage];
    const float weight = own.last ? f.e.weights_of(f.alpha, n)[own.alpha] : 1;
    branch(t, own.norm, weight, g, z, pixels, to);
  }

  // Weights of a stage and, spread out, the gradient of its depthwise half's output.
  void stage(const Scratch& t, const Grid& g, int i, Index unit, Index n, const float* from,
             const float* z, const float* padded) const {
    const FilterSums own = shares ? sums(unit, i) : FilterSums{};
    pointwise_backward<L>(
        g, f.e.filter[i], padded, shares ? &own : nullptr,
        [&](Index y, Index rows, float* to) {
          const Index at = y * g.out_row();
          branch_of(t, i, n, from + at, z + at, rows * g.out_width, to);
        },
        t.middle, t.chunk, t.spread);
    if (shares) taps_backward<L>(g, f.e.filter[i], padded, t.spread, own);
  }

  // All of the skipped input of stride 2; `image` is null where nobody asks for x.
  void halve(const Scratch& t, int i, Index unit, Index n, const float* from, const float* z,
             float* image) const {
    const Grid& g = f.e.whole;
    g.for_chunks([&](Index y, Index rows) {
      const Index at = y * g.out_row();
      branch_of(t, i, n, from + at, z + at, rows * g.out_width, t.chunk);
      halve_backward<L>(g, f.e.halve, t.source, y, rows, t.chunk, t.middle,
                        shares ? sums(unit, i).point : nullptr, image);
    });
  }

  void second_stages(const Scratch& t, Index unit, Index n) const {
    const Edge& e = f.e;
    const Grid& g = e.half;
    const float* own = gradient(t, n);
    f.lengthen_image(t, n, [](const Stage& stage) { return stage.second || !stage.last; });
    for (int i = 0; i < e.plan.stages; ++i) {
      if (!e.plan.stage[i].second) continue;
      const int norm = e.plan.stage[i].norm - 1;
      const float *before = f.z(t, i - 1, n), *about = e.mean + norm * e.pixel;
      fill_normalized<L>(g, before, about, e.inverse + norm * e.pixel, t.source);
      stage(t, g, i, unit, n, own, f.z(t, i, n), t.source);
      float* to = inner_image(i, n);
      g.for_chunks([&](Index y, Index rows) {
        const Index at = y * g.out_row(), count = rows * g.out_width;
        data_backward<L, false>(g, e.filter[i], t.spread, y, rows, to + at);
        for (Index r = 0; r < rows; ++r)
          mask_row<L>(t.source + (y + r) * g.pitch, g.out_row(), to + at + r * g.out_row());
        add_sum<L>(to + at, count, e.pixel, e.first(unit, norm));
        add_products_of(unit, norm, to + at, before + at, about, count, e.second(unit, norm));
      });
    }
  }

  void first_stages(const Scratch& t, Index unit, Index n) const {
    const Edge& e = f.e;
    const Grid& g = e.whole;
    const float *from = f.image(t, n), *own = gradient(t, n);
    const bool wide = e.copied();
    f.lengthen_image(t, n, [](const Stage& stage) { return !stage.second; });
    float* to = !grad_x ? nullptr : wide ? t.image : grad_x + n * g.in_size();
    if (grad_x) std::memset(to, 0, static_cast<std::size_t>(g.in_size()) * sizeof(float));
    bool any = false;
    for (int i = 0; i < e.plan.stages; ++i) {
      if (e.plan.stage[i].second) continue;
      if (!any) fill_positive<L>(g, from, t.source);
      any = true;
      if (!e.filter[i].kernel) {
        halve(t, i, unit, n, own, f.z(t, i, n), to);
        continue;
      }
      stage(t, g, i, unit, n, e.plan.stage[i].last ? own : inner_image(i + 1, n), f.z(t, i, n),
            t.source);
      if (grad_x) data_backward<L, true>(g, e.filter[i], t.spread, 0, g.height, to);
    }
    if (!grad_x) return;
    if (any) mask_row<L>(from, g.in_size(), to);
    others(t, n, from, own, to);
    if (e.s.parts > 1)
      joined_pixels<true>(e, to, grad, n, g.height * g.width, grad_x);
    else if (wide)
      own_pixels(e, to, n, g.height * g.width, grad_x);
  }

  // What the skipped input and the pools add to the gradient of x.
  void others(const Scratch& t, Index n, const float* from, const float* own, float* to) const {
    const Edge& e = f.e;
    const float* weights = e.weights_of(f.alpha, n);
    const Grid& g = e.whole;
    for (int k = 0; k < e.s.count; ++k) {
      const int kind = e.s.candidates[k];
      if (kind == kSkip && g.stride == 1)
        for (Index at = 0; at < g.in_size(); at += L)
          Simd<L>::store(to + at, Simd<L>::load(to + at) + weights[k] * Simd<L>::load(own + at));
      if (kind != kMaxPool && kind != kAveragePool) continue;
      g.for_chunks([&](Index y, Index rows) {
        float* pooled = t.pooled[0];
        f.pool(kind, from, y, rows, pooled);
        branch(t, e.plan.norm_of[k], weights[k], own + y * g.out_row(), pooled, rows * g.out_width,
               t.chunk);
        for (Index r = 0; r < rows; ++r) {
          const Index at = r * g.out_row();
          if (kind == kMaxPool)
            max_backward<L>(g, from, y + r, pooled + at, t.chunk + at, to);
          else
            average_backward<L>(g, y + r, t.chunk + at, t.line, to);
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
      const Index taps = e.filter[i].tap_count(), channels = e.own;
      float* from = total + offset[i];
      e.fold(e.filter[i], from);
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
      for (Index b = 0; f.training && b < channels; ++b) balance(i, b, to[2 * i + 1]);
    }
    return true;
  }
  // Weights of a normalized output that grow together change it by epsilon alone. What rounding
  // left in that direction goes: with one channel there is no other, and it would be all of the
  // gradient.
  void balance(int stage, Index output, float* gradients) const {
    const Edge& e = f.e;
    const float* weights = e.filter[stage].back + output * e.pixel;
    float* own = gradients + output * e.own;
    double found = 0, length = 0;
    for (Index a = 0; a < e.own; ++a) {
      const double weight = static_cast<double>(weights[a]);
      found += weight * static_cast<double>(own[a]);
      length += weight * weight;
    }
    const Index at = e.plan.stage[stage].norm * e.pixel + output;
    const double off = (-bend[at].slope * e.elements() * e.s.epsilon - found) / length;
    if (off - off != 0) return;
    for (Index a = 0; a < e.own; ++a)
      own[a] =
          static_cast<float>(static_cast<double>(own[a]) + off * static_cast<double>(weights[a]));
  }
};

template <int L>
bool mixed_backward(const MixedShape& s, const float* grad, const float* x, const float* alpha,
                    const float* const* weights, const void* kept, const float* mean,
                    const float* variance, float* grad_x, float* grad_alpha,
                    float* const* grad_weights, int threads) {
  Edge e(s);
  if (!e.prepare(weights)) return false;
  e.read_norms(mean, variance);
  // Nothing is written to what was kept.
  void* own = const_cast<void*>(kept);
  Backward<L> b{{e,
                 x,
                 alpha,
                 s.half ? nullptr : static_cast<float*>(own),
                 s.half ? static_cast<bfloat16*>(own) : nullptr,
                 s.training,
                 0,
                 {}},
                grad,
                grad_x};
  b.f.many = e.mixture(b.f.candidate);
  if (!b.prepare(grad_weights)) return false;
  // Slopes need the sums of a batch; with given statistics only alpha does.
  if ((s.training || grad_alpha) &&
      !for_images(
          e, threads, e.half, nullptr,
          [&](Scratch& t, Index unit, Index n) { b.reduce(t, unit, n); }, s.half))
    return false;
  b.settle_outer(grad_alpha);
  if (!grad_x && !grad_weights) return true;
  if (b.seconds) {
    if (!for_images(
            e, threads, e.half, &e.half,
            [&](Scratch& t, Index unit, Index n) { b.second_stages(t, unit, n); }, s.half))
      return false;
    b.settle_inner();
  }
  if (!for_images(
          e, threads, e.whole, &e.whole,
          [&](Scratch& t, Index unit, Index n) { b.first_stages(t, unit, n); }, s.half))
    return false;
  return !grad_weights || b.weights(grad_weights, threads);
}

}  // namespace
