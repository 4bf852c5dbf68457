#pragma once
// The backward passes, one node after the other from the last. A pass makes the gradient of a node
// of all images from those of later nodes, and takes from it the sums that statistics need, which
// part it from the next. Gradients of convolutions' outputs are formed in a scratch, never stored.

#include "cell/plan.hpp"

namespace {

template <int L>
struct CellBackward {
  Cell<L>& cell;
  const float *x, *grad;
  CellKept kept;
  float *grad_x, *grad_alpha;
  bool of_weights;
  float* inner = nullptr;     // gradients of the nodes between, [nodes - 2] images
  float* back = nullptr;      // [edges] panels of side 3, from outputs
  float* returned = nullptr;  // [edges] panels of side 1: from a target's gradient to the source's
  float* bent = nullptr;      // [sources] panels of side 1: from activations to their gradient
  float* constant = nullptr;  // [sources][c]
  float *scale = nullptr, *center = nullptr, *slope = nullptr;  // [2 * edges][c]
  float* zeros = nullptr;                                       // [c]
  double* sums = nullptr;   // [units][nodes + 3 * edges][c]: gradients; their products with terms
  float* shares = nullptr;  // [units][share] of weights' gradients
  Index share = 0;
  double* work = nullptr;  // two matrices
  Arena arena = {};

  Index square() const { return cell.c * cell.c; }
  int sum_count() const { return cell.s.nodes + 3 * cell.edges; }

  bool prepare() {
    const Index c = cell.c;
    share = (of_weights ? 10 : 1) * cell.edges * square();
    arena.reserve<float>((cell.s.nodes - 2) * cell.s.batch * cell.image_size());
    arena.reserve<float>(cell.edges * 9 * square());
    arena.reserve<float>(cell.edges * square());
    arena.reserve<float>(cell.sources * square());
    arena.reserve<float>(cell.sources * c);
    for (int i = 0; i < 3; ++i) arena.reserve<float>(2 * cell.edges * c);
    arena.reserve<float>(c);
    arena.reserve<double>(cell.units * sum_count() * c);
    arena.reserve<float>(cell.units * share);
    arena.reserve<double>(2 * square());
    if (!arena.allocate()) return false;
    inner = arena.take<float>((cell.s.nodes - 2) * cell.s.batch * cell.image_size());
    back = arena.take<float>(cell.edges * 9 * square());
    returned = arena.take<float>(cell.edges * square());
    bent = arena.take<float>(cell.sources * square());
    constant = arena.take<float>(cell.sources * c);
    scale = arena.take<float>(2 * cell.edges * c);
    center = arena.take<float>(2 * cell.edges * c);
    slope = arena.take<float>(2 * cell.edges * c);
    zeros = arena.take<float>(c);
    sums = arena.take<double>(cell.units * sum_count() * c);
    shares = arena.take<float>(cell.units * share);
    work = arena.take<double>(2 * square());
    const auto clear = [](auto* from, Index count) {
      for (Index i = 0; i < count; ++i) from[i] = 0;
    };
    clear(bent, cell.sources * square());
    clear(constant, cell.sources * c);
    clear(zeros, c);
    clear(sums, cell.units * sum_count() * c);
    clear(shares, cell.units * share);
    for (int edge = 0; edge < cell.edges; ++edge)
      pack_back(cell.back(), c, cell.dense_weight(edge), back + edge * 9 * square());
    if (cell.s.training)
      for (int source = 0; source < cell.sources; ++source)
        for (Index i = 0; i < c; ++i)
          cell.about[source * c + i] = kept.moments[source * (1 + c) * c + i];
    return true;
  }

  const float* covariance(int source) const {
    return kept.moments + (source * (1 + cell.c) + 1) * cell.c;
  }
  const float* value(int number, Index n) const {
    const Index size = cell.image_size();
    return number == 0 ? x + n * size : kept.nodes + ((number - 1) * cell.s.batch + n) * size;
  }
  const float* z(int edge, Index n) const {
    return kept.dense + (edge * cell.s.batch + n) * cell.image_size();
  }
  float* gradient(int number, Index n) const {
    const Index size = cell.image_size();
    if (number == 0) return grad_x + n * size;
    return inner + ((number - 1) * cell.s.batch + n) * size;
  }
  const float* incoming(int number, Index n) const {
    return number == cell.s.nodes - 1 ? grad + n * cell.image_size() : gradient(number, n);
  }
  double* gradient_sum(Index unit, int number) const {
    return sums + (unit * sum_count() + number) * cell.c;
  }
  // Gradient times the convolution of side 3 (0), the source (1) or its averages (2) of an edge.
  double* product_sum(Index unit, int edge, int which) const {
    return gradient_sum(unit, cell.s.nodes + 3 * edge + which);
  }
  double total(const double* first, Index channel) const {
    double found = 0;
    for (Index unit = 0; unit < cell.units; ++unit)
      found += first[unit * sum_count() * cell.c + channel];
    return found;
  }
  // Sums of a target's gradient times the activations of an edge's source, in panels.
  float* activation_share(Index unit, int edge) const {
    return shares + unit * share + edge * square();
  }
  // Sums for the weights of side 3 that read a node.
  float* dense_share(Index unit, int source) const {
    Index before = cell.edges * square();
    for (int i = 0; i < source; ++i) before += cell.wide(i).size();
    return shares + unit * share + before;
  }

  // What statistics need of the gradient of a node.
  void reduce(const CellScratch& t, int target, Index unit, Index n) const {
    const Grid& g = cell.grid;
    const Index c = cell.c;
    const float* own = incoming(target, n);
    g.for_chunks([&](Index y, Index rows) {
      const Index at = y * g.out_row(), count = rows * g.width;
      add_sum<L>(own + at, count, c, gradient_sum(unit, target));
      for (int source = 0; source < target; ++source) {
        const int edge = edge_of(source, target);
        add_product<L>(own + at, z(edge, n) + at, cell.mean + dense_norm(edge) * c, count, c,
                       product_sum(unit, edge, 0));
        fill_centered<L>(value(source, n) + at, cell.about + source * c, count, c, t.centered);
        correlate<L, 1>(
            t.centered, 0, 0, cell.line(count), c / L, activation_share(unit, edge),
            [&](Index v) { return Pair<const float>{{own + at + v * L, own + at + (v + 1) * L}}; });
      }
    });
  }

  // The gradient of z where that of its normalized value times `factor` has these sums.
  void set_slope(int norm, Index i, double factor, double sum, double product) const {
    const Index at = norm * cell.c + i;
    const double r = static_cast<double>(cell.inverse[at]), count = cell.elements();
    const bool training = cell.s.training;
    scale[at] = static_cast<float>(factor * r);
    center[at] = training ? static_cast<float>(sum / count) : 0;
    slope[at] = training ? static_cast<float>(-factor * r * r * r * product / count) : 0;
  }

  // All edges into a node, once its gradient's sums are known.
  void settle(int target) const {
    const Index c = cell.c;
    const Panels<L> p = cell.point();
    for (int source = 0; source < target; ++source) {
      const int edge = edge_of(source, target), norm = point_norm(edge);
      const float* weight = cell.point_weight(edge);
      double of_point = 0, of_dense = 0;
      for (Index o = 0; o < c; ++o) {
        const double sum = total(gradient_sum(0, target), o);
        double product = total(product_sum(0, edge, 0), o);
        of_dense += product * static_cast<double>(cell.inverse[dense_norm(edge) * c + o]);
        set_slope(dense_norm(edge), o, cell.weight_of(edge, kCellDense), sum, product);
        product = cell.s.training ? 0 : -sum * static_cast<double>(cell.mean[norm * c + o]);
        for (Index a = 0; a < c; ++a) {
          double found = 0;
          for (Index unit = 0; unit < cell.units; ++unit)
            found += static_cast<double>(activation_share(unit, edge)[p.at(a, o)]);
          product += static_cast<double>(weight[o * c + a]) * found;
        }
        of_point += product * static_cast<double>(cell.inverse[norm * c + o]);
        set_slope(norm, o, cell.weight_of(edge, kCellPointwise), sum, product);
      }
      if (grad_alpha) {
        grad_alpha[edge * kCellCandidates + kCellNone] = 0;
        grad_alpha[edge * kCellCandidates + kCellPointwise] = static_cast<float>(of_point);
        grad_alpha[edge * kCellCandidates + kCellDense] = static_cast<float>(of_dense);
      }
      give_back(source, edge);
    }
  }

  // dz = scale (g - center) + slope W (r - mean), and the gradient of r is W' dz.
  void give_back(int source, int edge) const {
    const Index c = cell.c, at = point_norm(edge) * c;
    const Panels<L> p = cell.point();
    const float* weight = cell.point_weight(edge);
    float* to = returned + edge * square();
    for (Index o = 0; o < c; ++o)
      for (Index a = 0; a < c; ++a) to[p.at(o, a)] = weight[o * c + a] * scale[at + o];
    if (!cell.s.training) return;
    for (Index i = 0; i < square(); ++i) work[i] = 0;
    for (Index o = 0; o < c; ++o)
      for (Index b = 0; b < c; ++b) {
        const double by = static_cast<double>(weight[o * c + b] * slope[at + o]);
        for (Index a = 0; a < c; ++a)
          work[b * c + a] += by * static_cast<double>(weight[o * c + a]);
      }
    for (Index b = 0; b < c; ++b)
      for (Index a = 0; a < c; ++a)
        bent[source * square() + p.at(b, a)] += static_cast<float>(work[b * c + a]);
    for (Index a = 0; a < c; ++a) {
      double sum = 0;
      for (Index o = 0; o < c; ++o)
        sum += static_cast<double>(weight[o * c + a] * scale[at + o]) *
               static_cast<double>(center[at + o]);
      constant[source * c + a] -= static_cast<float>(sum);
    }
  }

  // Everything that a node of one image hands back.
  void source(const CellScratch& t, int number, Index unit, Index n) const {
    const Grid& g = cell.grid;
    const bool wanted = number > 0 || grad_x;
    if (grad_alpha) weigh(t, number, unit, n);
    if (!wanted && !of_weights) return;
    fill_positive<L>(g, value(number, n), t.source);
    for (int target = number + 1; target < cell.s.nodes; ++target) spread(t, number, target, n);
    if (of_weights) {
      const Index vectors = cell.filters(number) * cell.c / L;
      g.for_chunks([&](Index y, Index rows) {
        const auto place = [&](Index v) {
          return t.planes[v * L / cell.c] + y * g.pitch + v * L % cell.c;
        };
        correlate<L, 3>(
            t.source + (y - 1) * g.pitch - g.pixel, g.pitch, g.pitch, cell.inside(rows), vectors,
            dense_share(unit, number), [&](Index v) {
              return Pair<const float>{{place(v), v + 1 < vectors ? place(v + 1) : nullptr}};
            });
      });
    }
    if (wanted) combine(t, number, n);
  }

  // What the weights of the skipped input and of the pool are multiplied with.
  void weigh(const CellScratch& t, int number, Index unit, Index n) const {
    const Grid& g = cell.grid;
    const float* from = value(number, n);
    g.for_chunks([&](Index y, Index rows) {
      const Index at = y * g.out_row(), count = rows * g.width;
      average_rows<L>(g, from, y, rows, t.pooled[0]);
      for (int target = number + 1; target < cell.s.nodes; ++target) {
        const int edge = edge_of(number, target);
        const float* own = incoming(target, n) + at;
        add_product<L>(own, from + at, zeros, count, cell.c, product_sum(unit, edge, 1));
        add_product<L>(own, t.pooled[0], zeros, count, cell.c, product_sum(unit, edge, 2));
      }
    });
  }

  // The gradient of a convolution of side 3, as a padded image.
  void spread(const CellScratch& t, int number, int target, Index n) const {
    const Grid& g = cell.grid;
    const int edge = edge_of(number, target);
    const Index at = dense_norm(edge) * cell.c;
    const float *own = incoming(target, n), *from = z(edge, n);
    for (Index y = 0; y < g.height; ++y, own += g.out_row(), from += g.out_row()) {
      float* to = t.planes[target - number - 1] + y * g.pitch;
      if (cell.s.training)
        branch_gradient<L>({scale + at, center + at, zeros, slope + at, zeros, cell.mean + at}, own,
                           from, g.width, cell.c, to);
      else
        scaled<L>(scale + at, own, g.width, cell.c, to);
    }
  }

  void combine(const CellScratch& t, int number, Index n) const {
    const Grid& g = cell.grid;
    const Index c = cell.c, vectors = c / L;
    const float* from = value(number, n);
    float* to = gradient(number, n);
    const auto place = [&](float* image) {
      return [=](Index v) { return Pair<float>{{image + v * L, image + (v + 1) * L}}; };
    };
    for (int target = number + 1; target < cell.s.nodes; ++target) {
      const auto run = target == number + 1 ? dense<L, 3, false, decltype(place(to))>
                                            : dense<L, 3, true, decltype(place(to))>;
      run(t.planes[target - number - 1] - g.pitch - g.pixel, g.pitch, cell.inside(g.height),
          back + edge_of(number, target) * 9 * square(), vectors, place(to));
    }
    g.for_chunks([&](Index y, Index rows) {
      const Index at = y * g.out_row(), count = rows * g.width;
      for (int target = number + 1; target < cell.s.nodes; ++target)
        dense<L, 1, true>(incoming(target, n) + at, 0, cell.line(count),
                          returned + edge_of(number, target) * square(), vectors, place(to + at));
      if (cell.s.training) {
        fill_centered<L>(from + at, cell.about + number * c, count, c, t.centered);
        dense<L, 1, true>(t.centered, 0, cell.line(count), bent + number * square(), vectors,
                          place(to + at));
      }
      finish(t, number, n, at, count, from + at, to + at);
    });
    for (Index y = 0; y < g.height; ++y)
      average_backward<L>(g, y, t.held + y * g.out_row(), t.line, to);
  }

  // ReLU's mask, the skipped input, and what the pools will spread.
  void finish(const CellScratch& t, int number, Index n, Index at, Index count, const float* from,
              float* to) const {
    using S = Simd<L>;
    using vec = typename S::vec;
    const float* own[kMostNodes];
    float skip[kMostNodes], pool[kMostNodes];
    int many = 0;
    for (int target = number + 1; target < cell.s.nodes; ++target) {
      const float* weights = cell.alpha + edge_of(number, target) * kCellCandidates;
      own[many] = incoming(target, n) + at;
      skip[many] = weights[kCellSkip];
      pool[many++] = weights[kCellPool];
    }
    for (Index q = 0; q < cell.c; q += L) {
      const vec rest = S::load(constant + number * cell.c + q);
      for (Index i = 0, p = q; i < count; ++i, p += cell.c) {
        vec sum = where_positive<L>(S::load(from + p), S::load(to + p) + rest), held{};
        for (int k = 0; k < many; ++k) {
          const vec g = S::load(own[k] + p);
          sum += skip[k] * g;
          held += pool[k] * g;
        }
        S::store(to + p, sum);
        S::store(t.held + at + p, held);
      }
    }
  }

  void write_alpha() const {
    for (int edge = 0; edge < cell.edges; ++edge)
      for (int which = 1; which <= 2; ++which) {
        double found = 0;
        for (Index i = 0; i < cell.c; ++i) found += total(product_sum(0, edge, which), i);
        grad_alpha[edge * kCellCandidates + (which == 1 ? kCellSkip : kCellPool)] =
            static_cast<float>(found);
      }
  }

  // Adds the units' shares of the weights' gradients and puts them where torch keeps weights.
  bool write_weights_of(float* const* to, int threads) const {
    const Index c = cell.c;
    Arena memory;
    memory.reserve<float>(share);
    if (!memory.allocate()) return false;
    float* all = memory.take<float>(share);
    constexpr Index kParts = 16;
    for_units(kParts, threads, [&](Index first, Index last) {
      add_shares(shares, cell.units, share, share * first / kParts, share * last / kParts, all);
      return true;
    });
    const float* wide = all + cell.edges * square();
    for (int source = 0; source < cell.sources; ++source) {
      const Panels<L> p = cell.wide(source);
      for (int target = source + 1; target < cell.s.nodes; ++target) {
        const int edge = edge_of(source, target);
        write_point(source, edge, all + edge * square(), to[edge]);
        const Index first = (target - source - 1) * c;
        for (Index o = 0; o < c; ++o)
          for (Index a = 0; a < c; ++a)
            for (Index tap = 0; tap < 9; ++tap)
              to[cell.edges + edge][(o * c + a) * 9 + tap] = wide[p.at(tap * c + a, first + o)];
      }
      wide += p.size();
    }
    return true;
  }
  // Sums of dz r are scale times those of g (r - mean), and slope times W C.
  void write_point(int source, int edge, const float* found, float* to) const {
    const Index c = cell.c, at = point_norm(edge) * c;
    const Panels<L> p = cell.point();
    double *matrix = work, *product = work + square();
    for (Index i = 0; i < square(); ++i) {
      matrix[i] = cell.s.training ? static_cast<double>(covariance(source)[i]) : 0;
      product[i] = 0;
    }
    if (cell.s.training) times(cell.point_weight(edge), matrix, c, product);
    for (Index o = 0; o < c; ++o)
      for (Index a = 0; a < c; ++a)
        to[o * c + a] = static_cast<float>(
            static_cast<double>(scale[at + o]) * static_cast<double>(found[p.at(a, o)]) +
            static_cast<double>(slope[at + o]) * cell.elements() * product[o * c + a]);
  }
};

template <int L>
bool cell_backward(const CellShape& s, const float* grad, const float* x, const float* alpha,
                   const float* const* weights, const CellKept& kept, const float* mean,
                   const float* variance, float* grad_x, float* grad_alpha,
                   float* const* grad_weights, int threads) {
  Cell<L> cell(s, alpha, weights);
  CellBackward<L> b{cell, x, grad, kept, grad_x, grad_alpha, grad_weights != nullptr};
  if (!cell.prepare()) return false;
  cell.read_norms(mean, variance);
  if (!b.prepare()) return false;
  for (int number = s.nodes - 1; number >= 0; --number) {
    if (!for_cell_images(cell, threads, cell.sources, 0, [&](CellScratch& t, Index unit, Index n) {
          if (number < cell.sources) b.source(t, number, unit, n);
          if (number > 0) b.reduce(t, number, unit, n);
        }))
      return false;
    if (number > 0) b.settle(number);
  }
  if (grad_alpha) b.write_alpha();
  return !grad_weights || b.write_weights_of(grad_weights, threads);
}

}  // namespace
