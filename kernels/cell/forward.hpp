#pragma once
// The forward passes. Each makes one node of all images and the convolutions that read it, whose
// statistics part it from the next; where statistics are given, one image goes through all.

#include "cell/plan.hpp"

namespace {

template <int L>
struct CellForward {
  Cell<L>& cell;
  const float* x;
  float* out;
  CellKept kept;
  float* mixed = nullptr;  // [edges] panels of side 1: normalized and weighted
  float* taps = nullptr;   // panels of side 3, source by source
  float* bias = nullptr;   // [nodes][c], where statistics are given
  float *mix_mean = nullptr, *mix_scale = nullptr;  // [nodes][terms][c]
  double *dense_sums = nullptr, *first = nullptr, *second = nullptr;
  double* work = nullptr;  // two matrices and a row
  Arena arena = {};

  Index most_terms() const { return 3 * cell.sources; }

  bool prepare() {
    const Index c = cell.c, square = c * c;
    const Index sums = cell.units * cell.edges * 2 * c;
    arena.reserve<float>(cell.edges * square);
    arena.reserve<float>(cell.edges * 9 * square);
    arena.reserve<float>(cell.s.nodes * c);
    for (int i = 0; i < 2; ++i) arena.reserve<float>(cell.s.nodes * most_terms() * c);
    arena.reserve<double>(sums);
    arena.reserve<double>(cell.units * cell.sources * c);
    arena.reserve<double>(cell.units * cell.sources * square);
    arena.reserve<double>(2 * square + c);
    if (!arena.allocate()) return false;
    mixed = arena.take<float>(cell.edges * square);
    taps = arena.take<float>(cell.edges * 9 * square);
    bias = arena.take<float>(cell.s.nodes * c);
    mix_mean = arena.take<float>(cell.s.nodes * most_terms() * c);
    mix_scale = arena.take<float>(cell.s.nodes * most_terms() * c);
    dense_sums = arena.take<double>(sums);
    first = arena.take<double>(cell.units * cell.sources * c);
    second = arena.take<double>(cell.units * cell.sources * square);
    work = arena.take<double>(2 * square + c);
    const auto clear = [](auto* from, Index count) {
      for (Index i = 0; i < count; ++i) from[i] = 0;
    };
    clear(dense_sums, sums);
    clear(first, cell.units * cell.sources * c);
    clear(second, cell.units * cell.sources * square);
    clear(bias, cell.s.nodes * c);
    for (int source = 0; source < cell.sources; ++source)
      for (int target = source + 1; target < cell.s.nodes; ++target)
        pack_dense(cell.wide(source), c, (target - source - 1) * c,
                   cell.dense_weight(edge_of(source, target)), taps_of(source));
    return true;
  }

  float* taps_of(int source) const {
    Index before = 0;
    for (int i = 0; i < source; ++i) before += cell.wide(i).size();
    return taps + before;
  }
  double* moments_of(Index unit, int edge) const {
    return dense_sums + (unit * cell.edges + edge) * 2 * cell.c;
  }
  // Image n of a node, and of the convolution of side 3 of an edge.
  float* node(const CellScratch& t, int number, Index n) const {
    const Index size = cell.image_size();
    if (number == cell.s.nodes - 1) return out + n * size;
    return t.local ? t.local + (number - 1) * size
                   : kept.nodes + ((number - 1) * cell.s.batch + n) * size;
  }
  const float* value(const CellScratch& t, int number, Index n) const {
    return number == 0 ? x + n * cell.image_size() : node(t, number, n);
  }
  float* z(const CellScratch& t, int edge, Index n) const {
    const Index size = cell.image_size();
    return t.local ? t.local + (cell.s.nodes - 2 + edge) * size
                   : kept.dense + (edge * cell.s.batch + n) * size;
  }

  // A node of one image from all earlier ones.
  void join(const CellScratch& t, int target, Index n) const {
    const Grid& g = cell.grid;
    float* to = node(t, target, n);
    const Index own = target * most_terms() * cell.c;
    g.for_chunks([&](Index y, Index rows) {
      const Index at = y * g.out_row(), count = rows * g.width;
      const float* term[3 * kMostNodes];
      int many = 0;
      for (int source = 0; source < target; ++source) {
        const float* from = value(t, source, n);
        average_rows<L>(g, from, y, rows, t.pooled[source]);
        term[many++] = from + at;
        term[many++] = t.pooled[source];
        term[many++] = z(t, edge_of(source, target), n) + at;
      }
      mix<L>(many, term, mix_mean + own, mix_scale + own, count, cell.c, to + at);
      for (int source = 0; source < target; ++source) {
        fill_centered<L>(value(t, source, n) + at, cell.about + source * cell.c, count, cell.c,
                         t.centered);
        dense<L, 1, true>(
            t.centered, 0, cell.line(count), mixed + edge_of(source, target) * cell.c * cell.c,
            cell.c / L,
            [&](Index v) { return Pair<float>{{to + at + v * L, to + at + (v + 1) * L}}; });
      }
      if (!cell.s.training) add_row(bias + target * cell.c, count, to + at);
    });
  }
  void add_row(const float* row, Index count, float* to) const {
    for (Index i = 0; i < count; ++i, to += cell.c)
      for (Index q = 0; q < cell.c; q += L)
        Simd<L>::store(to + q, Simd<L>::load(to + q) + Simd<L>::load(row + q));
  }

  // All convolutions of side 3 that read a node of one image.
  void convolve(const CellScratch& t, int source, Index unit, Index n) const {
    const Grid& g = cell.grid;
    fill_positive<L>(g, value(t, source, n), t.source);
    if (cell.s.training) count_channels(t, source, unit);
    const auto place = [&](Index v) {
      const Index channel = v * L % cell.c;
      return z(t, edge_of(source, source + 1 + static_cast<int>(v * L / cell.c)), n) + channel;
    };
    const Index vectors = cell.filters(source) * cell.c / L;
    dense<L, 3, false>(
        t.source - g.pitch - g.pixel, g.pitch, cell.inside(g.height), taps_of(source), vectors,
        [&](Index v) { return Pair<float>{{place(v), v + 1 < vectors ? place(v + 1) : nullptr}}; });
    if (!cell.s.training) return;
    for (int target = source + 1; target < cell.s.nodes; ++target) {
      const int edge = edge_of(source, target);
      double* to = moments_of(unit, edge);
      g.for_chunks([&](Index y, Index rows) {
        add_moments<L>(z(t, edge, n) + y * g.out_row(), rows * g.width, cell.c, to, to + cell.c);
      });
    }
  }

  // Sums of an image's activated channels and of their products, about its own means first.
  void count_channels(const CellScratch& t, int source, Index unit) const {
    using S = Simd<L>;
    const Grid& g = cell.grid;
    const Index c = cell.c, square = c * c;
    const double pixels = static_cast<double>(g.height * g.width);
    double* sum = first + (unit * cell.sources + source) * c;
    double* product = second + (unit * cell.sources + source) * square;
    for (Index q = 0; q < c; q += L) {
      typename S::vec total{};
      for (Index y = 0; y < g.height; ++y)
        total += over_pixels<L>(g.width, c,
                                [&](Index at) { return S::load(t.source + y * g.pitch + q + at); });
      S::store(t.averages + q, total / static_cast<float>(pixels));
    }
    std::memset(t.covariances, 0, static_cast<std::size_t>(square) * sizeof(float));
    for (Index a = 0; a < c; ++a) t.rest[a] = 0;
    g.for_chunks([&](Index y, Index rows) {
      for (Index r = 0; r < rows; ++r)
        fill_centered<L>(t.source + (y + r) * g.pitch, t.averages, g.width, c,
                         t.centered + r * g.out_row());
      const Span by = cell.line(rows * g.width);
      add_sum<L>(t.centered, by.width, c, t.rest);
      correlate<L, 1>(t.centered, 0, 0, by, c / L, t.covariances, [&](Index v) {
        return Pair<const float>{{t.centered + v * L, t.centered + (v + 1) * L}};
      });
    });
    const Panels<L> p = cell.point();
    for (Index a = 0; a < c; ++a) {
      const double mine = static_cast<double>(t.averages[a]);
      const double off = t.rest[a] - t.rest[a] == 0 ? t.rest[a] : 0;  // of an infinite mean NaN
      sum[a] += pixels * mine + off;
      for (Index b = 0; b < c; ++b) {
        const double other = static_cast<double>(t.averages[b]);
        product[a * c + b] += static_cast<double>(t.covariances[p.at(a, b)]) +
                              mine * (pixels * other + t.rest[b]) + t.rest[a] * other;
      }
    }
  }

  // Statistics of a node's activated channels, and by them of the convolutions that read it.
  void settle(int source, float* moments, float* mean, float* variance) const {
    const Index c = cell.c, square = c * c;
    const double count = cell.elements();
    double *covariance = work, *product = work + square, *about = work + 2 * square;
    const auto total = [&](const double* sums, Index size, Index at) {
      double found = 0;
      for (Index unit = 0; unit < cell.units; ++unit)
        found += sums[(unit * cell.sources + source) * size + at];
      return found;
    };
    for (Index a = 0; a < c; ++a) about[a] = total(first, c, a) / count;
    for (Index a = 0; a < c; ++a)
      for (Index b = 0; b < c; ++b)
        covariance[a * c + b] = total(second, square, a * c + b) / count - about[a] * about[b];
    for (Index i = 0; i < c; ++i) cell.about[source * c + i] = static_cast<float>(about[i]);
    if (moments) {
      for (Index i = 0; i < c; ++i) moments[i] = static_cast<float>(about[i]);
      for (Index i = 0; i < square; ++i) moments[c + i] = static_cast<float>(covariance[i]);
    }
    const auto set = [&](int norm, Index i, double about_, double variance_) {
      cell.set_norm(norm, i, about_, variance_ < 0 ? 0 : variance_);
      mean[norm * c + i] = static_cast<float>(about_);
      variance[norm * c + i] = static_cast<float>(variance_ < 0 ? 0 : variance_);
    };
    for (int target = source + 1; target < cell.s.nodes; ++target) {
      const int edge = edge_of(source, target);
      const float* weight = cell.point_weight(edge);
      times(weight, covariance, c, product);
      for (Index o = 0; o < c; ++o) {
        double one = 0, two = 0, sum = 0, squares = 0;
        for (Index a = 0; a < c; ++a) {
          one += static_cast<double>(weight[o * c + a]) * about[a];
          two += static_cast<double>(weight[o * c + a]) * product[o * c + a];
        }
        set(point_norm(edge), o, one, two);
        for (Index unit = 0; unit < cell.units; ++unit) {
          sum += moments_of(unit, edge)[o];
          squares += moments_of(unit, edge)[c + o];
        }
        const Moments found(sum, squares, count);
        set(dense_norm(edge), o, found.mean, found.variance);
      }
    }
    weigh(source);
  }

  // What an edge's candidates count in its target.
  void weigh(int source) const {
    const Index c = cell.c;
    for (int target = source + 1; target < cell.s.nodes; ++target) {
      const int edge = edge_of(source, target);
      const float* weight = cell.point_weight(edge);
      const float *inverse = cell.inverse + point_norm(edge) * c,
                  *mean = cell.mean + point_norm(edge) * c;
      const double by = cell.weight_of(edge, kCellPointwise);
      pack_point(
          cell.point(), weight, [&](Index o) { return by * static_cast<double>(inverse[o]); },
          mixed + edge * c * c);
      // In training the mean of W r is W times what r is measured from.
      for (Index o = 0; !cell.s.training && o < c; ++o)
        bias[target * c + o] -=
            static_cast<float>(by * static_cast<double>(inverse[o]) * static_cast<double>(mean[o]));
      const Index at = (target * most_terms() + 3 * source) * c;
      for (Index i = 0; i < c; ++i) {
        const Index norm = dense_norm(edge) * c + i;
        const double weights[] = {
            cell.weight_of(edge, kCellSkip), cell.weight_of(edge, kCellPool),
            cell.weight_of(edge, kCellDense) * static_cast<double>(cell.inverse[norm])};
        for (Index k = 0; k < 3; ++k) {
          mix_mean[at + k * c + i] = k == 2 ? cell.mean[norm] : 0;
          mix_scale[at + k * c + i] = static_cast<float>(weights[k]);
        }
      }
    }
  }
};

template <int L>
bool cell_forward(const CellShape& s, const float* x, const float* alpha,
                  const float* const* weights, float* out, const CellKept& kept, float* mean,
                  float* variance, int threads) {
  Cell<L> cell(s, alpha, weights);
  CellForward<L> f{cell, x, out, kept};
  if (!cell.prepare() || !f.prepare()) return false;
  if (!s.training) {
    cell.read_norms(mean, variance);
    for (int source = 0; source < cell.sources; ++source) f.weigh(source);
    const int local = kept.dense ? 0 : s.nodes - 2 + cell.edges;
    return for_cell_images(cell, threads, 0, local, [&](CellScratch& t, Index unit, Index n) {
      if (!local) t.local = nullptr;
      for (int number = 0; number < s.nodes; ++number) {
        if (number > 0) f.join(t, number, n);
        if (number < cell.sources) f.convolve(t, number, unit, n);
      }
    });
  }
  Arena own;
  if (!kept.dense) {
    own.reserve<float>((s.nodes - 2) * s.batch * cell.image_size());
    own.reserve<float>(cell.edges * s.batch * cell.image_size());
    if (!own.allocate()) return false;
    f.kept.nodes = own.take<float>((s.nodes - 2) * s.batch * cell.image_size());
    f.kept.dense = own.take<float>(cell.edges * s.batch * cell.image_size());
  }
  for (int number = 0; number < s.nodes; ++number) {
    if (!for_cell_images(cell, threads, 0, 0, [&](CellScratch& t, Index unit, Index n) {
          t.local = nullptr;
          if (number > 0) f.join(t, number, n);
          if (number < cell.sources) f.convolve(t, number, unit, n);
        }))
      return false;
    if (number < cell.sources)
      f.settle(number, kept.moments ? kept.moments + number * (1 + cell.c) * cell.c : nullptr, mean,
               variance);
  }
  return true;
}

}  // namespace
