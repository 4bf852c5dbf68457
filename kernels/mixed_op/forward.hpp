#pragma once
// The forward passes: stages that read x, second stages, and the sum. Statistics of a batch part
// them; where they are given, one image goes through all three at once.

#include <new>

#include "mixed_op/pixels.hpp"

namespace {

template <int L>
struct Forward {
  const Edge& e;
  const float *x, *alpha;
  float* kept;
  bfloat16* half;  // what is kept longer, where that is not `kept`; or null
  bool training;
  int many;  // terms of the sum, and the candidates that they are
  int candidate[kCandidates];

  float* z(const Scratch& t, int stage, Index n) const {
    const Index size = e.whole.out_size();
    return t.local ? t.local + stage * size : kept + (stage * e.s.batch + n) * size;
  }
  // Image n of a stage as it is kept, from its values and back.
  bfloat16* shortened(int stage, Index n) const {
    return half + (stage * e.s.batch + n) * e.whole.out_size();
  }
  void shorten_image(const Scratch& t, Index n) const {
    for (int i = 0; i < e.plan.stages; ++i)
      shorten<L>(z(t, i, n), e.mean + e.plan.stage[i].norm * e.pixel,
                 e.whole.out_height * e.whole.out_width, e.pixel, shortened(i, n));
  }
  // Of the stages that are wanted.
  template <class Wanted>
  void lengthen_image(const Scratch& t, Index n, const Wanted& wanted) const {
    for (int i = 0; half && i < e.plan.stages; ++i)
      if (wanted(e.plan.stage[i]))
        lengthen<L>(shortened(i, n), e.mean + e.plan.stage[i].norm * e.pixel,
                    e.whole.out_height * e.whole.out_width, e.pixel, z(t, i, n));
  }
  const float* image(const Scratch& t, Index n) const {
    return whole_pixels(e, x, n, e.whole.height * e.whole.width, 1, t.wide_x);
  }
  void count(Index unit, int norm, const float* rows, Index pixels) const {
    if (training) add_moments<L>(rows, pixels, e.pixel, e.first(unit, norm), e.second(unit, norm));
  }
  // Maxima or averages of a chunk of rows.
  void pool(int kind, const float* from, Index y, Index rows, float* to) const {
    if (kind == kMaxPool)
      maximum_rows<L>(e.whole, from, y, rows, to);
    else
      average_rows<L>(e.whole, from, e.mean + e.plan.average * e.pixel, y, rows, to);
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
        pool(kind, from, y, rows, t.chunk);
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

  // The factors of an image's terms.
  void weigh(const Scratch& t, Index n) const {
    for (int m = 0; m < many; ++m)
      for (Index c = 0; c < e.pixel; ++c)
        t.scale[m * e.pixel + c] =
            e.weights_of(alpha, n)[candidate[m]] * e.mix_inverse[m * e.pixel + c];
  }
  // Rows of the output, or on top of what is there.
  void sum_rows(const Scratch& t, Index n, const float* from, Index y, Index rows, bool add,
                float* to) const {
    const Grid& g = e.whole;
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
        pool(kind, from, y, rows, own);
    }
    const auto run = add ? mix<L, true> : mix<L, false>;
    run(many, terms, e.mix_mean, t.scale, rows * g.out_width, e.pixel, to);
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
      const Index at = norm * e.pixel + c;
      const double guess = norm == e.plan.average ? static_cast<double>(e.mean[at]) : 0;
      e.set_norm(norm, c, guess + found.mean, found.variance);
      if (c >= e.own) continue;
      mean[norm * e.own + c] = e.mean[at];
      variance[norm * e.own + c] = static_cast<float>(found.variance);
    }
    for (Index c = e.s.channels; c < e.pixel; ++c)
      e.mean[norm * e.pixel + c] = e.inverse[norm * e.pixel + c] = 0;
  }
}

// An edge and all that a forward pass knows of it.
template <int L>
struct Summand {
  Edge e;
  Forward<L> f;
  Arena own;

  explicit Summand(const MixedEdge& edge)
      : e(edge.shape),
        f{e,
          edge.x,
          edge.alpha,
          edge.shape.half ? nullptr : static_cast<float*>(edge.kept),
          edge.shape.half ? static_cast<bfloat16*>(edge.kept) : nullptr,
          edge.shape.training,
          0,
          {}} {}

  bool prepare(const MixedEdge& edge) {
    if (!e.prepare(edge.weights)) return false;
    if (f.training)
      e.guess_mean(edge.x);
    else
      e.read_norms(edge.mean, edge.variance);
    if (f.training && !f.kept) {
      own.reserve<float>(e.plan.stages * e.s.batch * e.whole.out_size());
      if (!own.allocate()) return false;
      f.kept = own.take<float>(e.plan.stages * e.s.batch * e.whole.out_size());
    }
    return true;
  }
  // Both stages of all images, and the statistics of the batch.
  bool stages(const MixedEdge& edge, int threads) {
    if (!for_images(e, threads, e.whole, nullptr,
                    [&](Scratch& t, Index unit, Index n) { f.first_stages(t, unit, n); }))
      return false;
    settle(e, false, edge.mean, edge.variance);
    if (!for_images(e, threads, e.half, nullptr, [&](Scratch& t, Index unit, Index n) {
          f.second_stages(t, t.source, unit, n);
        }))
      return false;
    settle(e, true, edge.mean, edge.variance);
    return true;
  }
};

template <int L>
struct Summands {
  Summand<L>* item[kMostEdges] = {};
  int count = 0;
  ~Summands() {
    for (int i = 0; i < count; ++i) delete item[i];
  }
};

// One image of the sum of all edges, written once.
template <int L>
void sum_image(const Summands<L>& all, const Scratch* scratch, Index n, float* out) {
  const Edge& e = all.item[0]->e;
  const Grid& g = e.whole;
  const bool wide = e.copied();
  const Index pixels = g.out_height * g.out_width;
  float* to = wide ? scratch[0].image : out + n * g.out_size();
  const float* from[kMostEdges];
  for (int i = 0; i < all.count; ++i) {
    from[i] = all.item[i]->f.image(scratch[i], n);
    all.item[i]->f.weigh(scratch[i], n);
  }
  g.for_chunks([&](Index y, Index rows) {
    for (int i = 0; i < all.count; ++i)
      all.item[i]->f.sum_rows(scratch[i], n, from[i], y, rows, i > 0, to + y * g.out_row());
  });
  if (e.s.parts > 1)
    joined_pixels<false>(e, to, all.item[0]->f.x, n, pixels, out);
  else if (wide)
    own_pixels(e, to, n, pixels, out);
  for (int i = 0; i < all.count; ++i)
    if (all.item[i]->f.half) all.item[i]->f.shorten_image(scratch[i], n);
}

struct ScratchOfEdges {
  Scratch edge[kMostEdges];
};

template <int L>
bool mixed_forward(const MixedEdge* edges, int count, float* out, int threads) {
  Summands<L> all;
  for (; all.count < count; ++all.count) {
    auto* next = all.item[all.count] = new (std::nothrow) Summand<L>(edges[all.count]);
    if (!next) return false;
    if (!next->prepare(edges[all.count]) ||
        (next->f.training && !next->stages(edges[all.count], threads))) {
      ++all.count;
      return false;
    }
    next->f.many = next->e.mixture(next->f.candidate);
  }
  const bool training = edges[0].shape.training;
  return for_images<ScratchOfEdges>(
      all.item[0]->e, threads,
      [&](ScratchOfEdges& t) {
        for (int i = 0; i < count; ++i) {
          const Edge& e = all.item[i]->e;
          const bool keep_here = !all.item[i]->f.kept;
          // With given statistics an image goes through all stages at once.
          const bool fits = training ? t.edge[i].allocate(e, e.half, nullptr, false)
                                     : t.edge[i].allocate(e, e.whole, &e.half, keep_here);
          if (!fits) return false;
        }
        return true;
      },
      [&](ScratchOfEdges& t, Index unit, Index n) {
        for (int i = 0; i < count && !training; ++i) {
          all.item[i]->f.first_stages(t.edge[i], unit, n);
          all.item[i]->f.second_stages(t.edge[i], t.edge[i].spread, unit, n);
        }
        sum_image(all, t.edge, n, out);
      });
}

}  // namespace
