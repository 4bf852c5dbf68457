#pragma once
// The forward passes: stages that read x, second stages, and the sum. Statistics of a batch part
// them; where they are given, one image goes through all three at once.

#include "mixed_op/edge.hpp"

namespace {

template <int L>
struct Forward {
  const Edge& e;
  const float* x;
  float *kept, *out;
  bool training;
  int many;  // terms of the sum, and the candidates that they are
  int candidate[kCandidates];

  float* z(const Scratch& t, int stage, Index n) const {
    const Index size = e.whole.out_size();
    return t.local ? t.local + stage * size : kept + (stage * e.s.batch + n) * size;
  }
  const float* image(const Scratch& t, Index n) const {
    return whole_pixels(e, x, n, e.whole.height * e.whole.width, t.wide_x);
  }
  void count(Index unit, int norm, const float* rows, Index pixels) const {
    if (training) add_moments<L>(rows, pixels, e.pixel, e.first(unit, norm), e.second(unit, norm));
  }
  // Maxima or averages of a chunk of rows.
  void pool(int kind, const float* from, Index y, Index rows, const Scratch& t, float* to) const {
    if (kind == kMaxPool)
      pool_rows<L, true>(e.whole, from, y, rows, t.line[0], to);
    else
      pool_rows<L, false>(e.whole, from, y, rows, t.line[1], to);
  }

  void first_stages(const Scratch& t, Index unit, Index n) const {
    const Grid& g = e.whole;
    const float* from = image(t, n);
    fill_positive<L>(g, from, t.source);
    g.for_chunks([&](Index y, Index rows) {
      for (int i = 0; i < e.plan.stages; ++i) {
        if (e.plan.stage[i].second) continue;
        float* to = z(t, i, n) + y * g.out_row();
        if (e.filter[i].kernel)
          separable_rows<L>(g, e.filter[i], t.source, y, rows, t.middle, to);
        else
          halve_rows<L>(g, e.halve, t.source, y, rows, t.middle, to);
        count(unit, e.plan.stage[i].norm, to, rows * g.out_width);
      }
      // Pooling again is cheaper than keeping what was pooled.
      for (int k = 0; training && k < e.s.count; ++k) {
        const int kind = e.s.candidates[k];
        if (kind != kMaxPool && kind != kAveragePool) continue;
        pool(kind, from, y, rows, t, t.chunk);
        count(unit, e.plan.norm_of[k], t.chunk, rows * g.out_width);
      }
    });
  }

  void second_stages(const Scratch& t, float* padded, Index unit, Index n) const {
    const Grid& g = e.half;
    for (int i = 0; i < e.plan.stages; ++i) {
      const Stage& stage = e.plan.stage[i];
      if (!stage.second) continue;
      const Index before = (stage.norm - 1) * e.pixel;
      fill_normalized<L>(g, z(t, i - 1, n), e.mean + before, e.inverse + before, padded);
      g.for_chunks([&](Index y, Index rows) {
        float* to = z(t, i, n) + y * g.out_row();
        separable_rows<L>(g, e.filter[i], padded, y, rows, t.middle, to);
        count(unit, stage.norm, to, rows * g.out_width);
      });
    }
  }

  void sum(const Scratch& t, Index n) const {
    const Grid& g = e.whole;
    const bool wide = e.pixel != e.s.channels;
    const float* from = image(t, n);
    float* to = wide ? t.image : out + n * g.out_size();
    g.for_chunks([&](Index y, Index rows) {
      const float* terms[kCandidates];
      for (int m = 0; m < many; ++m) {
        const int k = candidate[m], kind = e.s.candidates[k];
        float* own = t.pooled[kind == kAveragePool];
        terms[m] = own;
        if (e.plan.stage_of[k] >= 0)
          terms[m] = z(t, e.plan.stage_of[k], n) + y * g.out_row();
        else if (kind == kSkip)
          terms[m] = from + y * g.out_row();
        else
          pool(kind, from, y, rows, t, own);
      }
      mix<L>(many, terms, e.mix_mean, e.mix_scale, rows * g.out_width, e.pixel,
             to + y * g.out_row());
    });
    const Index pixels = g.out_height * g.out_width;
    if (wide) narrow(to, pixels, e.s.channels, e.pixel, out + n * pixels * e.s.channels);
  }
};

// Settles the statistics of first stages and pools, or of second stages, and writes them down.
inline void settle(const Edge& e, bool second, float* mean, float* variance) {
  bool is_second[kMostNorms] = {};
  for (int i = 0; i < e.plan.stages; ++i) is_second[e.plan.stage[i].norm] = e.plan.stage[i].second;
  for (int norm = 0; norm < e.plan.norms; ++norm) {
    if (is_second[norm] != second) continue;
    for (Index c = 0; c < e.s.channels; ++c) {
      const Moments found(e.total(norm, 0, c), e.total(norm, 1, c), e.elements());
      e.set_norm(norm, c, found.mean, found.variance);
      mean[norm * e.s.channels + c] = static_cast<float>(found.mean);
      variance[norm * e.s.channels + c] = static_cast<float>(found.variance);
    }
    for (Index c = e.s.channels; c < e.pixel; ++c)
      e.mean[norm * e.pixel + c] = e.inverse[norm * e.pixel + c] = 0;
  }
}

template <int L>
bool mixed_forward(const MixedShape& s, const float* x, const float* alpha,
                   const float* const* weights, float* out, float* kept, float* mean,
                   float* variance, int threads) {
  Edge e(s);
  if (!e.prepare(weights)) return false;
  Forward<L> f{e, x, kept, out, s.training, 0, {}};
  if (!s.training) {
    e.read_norms(mean, variance);
    f.many = e.mixture(alpha, f.candidate);
    return for_images(e, threads, e.whole, &e.half, !kept, [&](Scratch& t, Index unit, Index n) {
      f.first_stages(t, unit, n);
      f.second_stages(t, t.spread, unit, n);
      f.sum(t, n);
    });
  }
  Arena own;
  if (!kept) {
    const Index size = e.plan.stages * s.batch * e.whole.out_size();
    own.reserve<float>(size);
    if (!own.allocate()) return false;
    f.kept = own.take<float>(size);
  }
  if (!for_images(e, threads, e.whole, nullptr, false,
                  [&](Scratch& t, Index unit, Index n) { f.first_stages(t, unit, n); }))
    return false;
  settle(e, false, mean, variance);
  if (!for_images(e, threads, e.half, nullptr, false,
                  [&](Scratch& t, Index unit, Index n) { f.second_stages(t, t.source, unit, n); }))
    return false;
  settle(e, true, mean, variance);
  f.many = e.mixture(alpha, f.candidate);
  return for_images(e, threads, e.half, nullptr, false,
                    [&](Scratch& t, Index, Index n) { f.sum(t, n); });
}

}  // namespace
