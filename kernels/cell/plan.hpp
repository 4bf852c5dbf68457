#pragma once
// What both directions of a cell share: prepared weights, statistics, and the scratch of a thread.
//
// z = W r of a convolution of side 1 is never computed on its own: its mean is W times r's, its
// variance w C w for r's covariance C, and normalized and weighted it is another W' (r - mean).
// So are its gradients: sums of g z are W times those of g r.

#include "cell/cpu.hpp"
#include "cell/dense.hpp"
#include "mixed_op/pools.hpp"

namespace {

using namespace nasturtium::kernels;

inline int edge_of(int source, int target) { return target * (target - 1) / 2 + source; }
inline int point_norm(int edge) { return 2 * edge; }
inline int dense_norm(int edge) { return 2 * edge + 1; }

template <int L>
struct Cell {
  const CellShape& s;
  const float* alpha;
  const float* const* weights;
  int edges, sources;
  Index c;
  Grid grid;
  Index run, units;                           // images of a unit
  float *mean = nullptr, *inverse = nullptr;  // [2 * edges][c]
  float* about = nullptr;                     // [sources][c], from which activations are measured
  Arena arena = {};

  Cell(const CellShape& shape, const float* alpha_, const float* const* weights_)
      : s(shape),
        alpha(alpha_),
        weights(weights_),
        edges(shape.nodes * (shape.nodes - 1) / 2),
        sources(shape.nodes - 1),
        c(shape.channels),
        grid(c, shape.height, shape.width, 1, 1) {
    // Every unit has sums of its own for all weights: fewer of them where those are large.
    constexpr Index kMost = 32, kLeast = 8, kFloats = 1 << 20;
    const Index fitting = kFloats / (edges * 10 * c * c);
    const Index wanted = fitting > kMost ? kMost : fitting < kLeast ? kLeast : fitting;
    run = (s.batch + wanted - 1) / wanted;
    units = (s.batch + run - 1) / run;
  }

  bool prepare() {
    for (int i = 0; i < 2; ++i) arena.reserve<float>(2 * edges * c);
    arena.reserve<float>(sources * c);
    if (!arena.allocate()) return false;
    mean = arena.take<float>(2 * edges * c);
    inverse = arena.take<float>(2 * edges * c);
    about = arena.take<float>(sources * c);
    for (Index i = 0; i < sources * c; ++i) about[i] = 0;
    return true;
  }

  const float* point_weight(int edge) const { return weights[edge]; }
  const float* dense_weight(int edge) const { return weights[edges + edge]; }
  double weight_of(int edge, CellCandidate k) const {
    return static_cast<double>(alpha[edge * kCellCandidates + k]);
  }
  int filters(int source) const { return s.nodes - 1 - source; }
  Panels<L> point() const { return {c, c}; }
  Panels<L> wide(int source) const { return {9 * c, filters(source) * c}; }
  Panels<L> back() const { return {9 * c, c}; }
  Index image_size() const { return grid.in_size(); }
  double elements() const { return static_cast<double>(s.batch * s.height * s.width); }

  void set_norm(int norm, Index channel, double about_, double variance) const {
    mean[norm * c + channel] = static_cast<float>(about_);
    inverse[norm * c + channel] = static_cast<float>(inverse_deviation(variance, s.epsilon));
  }
  void read_norms(const float* about_, const float* variance) const {
    for (int norm = 0; norm < 2 * edges; ++norm)
      for (Index i = 0; i < c; ++i)
        set_norm(norm, i, static_cast<double>(about_[norm * c + i]),
                 static_cast<double>(variance[norm * c + i]));
  }
  // A whole number of pixels in a row without border.
  Span line(Index pixels) const { return {1, pixels, c}; }
  Span inside(Index rows) const { return {rows, s.width, c}; }
};

// Weights [output][input] of side 1, times something for each output, as panels from inputs.
template <int L, class Factor>
void pack_point(const Panels<L>& p, const float* weight, const Factor& factor, float* to) {
  for (Index o = 0; o < p.outputs; ++o)
    for (Index a = 0; a < p.rows; ++a)
      to[p.at(a, o)] = static_cast<float>(factor(o) * static_cast<double>(weight[o * p.rows + a]));
}

// Weights [output][input][3][3] as columns `first`, ... of panels from taps of inputs.
template <int L>
void pack_dense(const Panels<L>& p, Index channels, Index first, const float* weight, float* to) {
  for (Index o = 0; o < channels; ++o)
    for (Index a = 0; a < channels; ++a)
      for (Index tap = 0; tap < 9; ++tap)
        to[p.at(tap * channels + a, first + o)] = weight[(o * channels + a) * 9 + tap];
}

// The same for the gradient of the inputs: from outputs, turned round.
template <int L>
void pack_back(const Panels<L>& p, Index channels, const float* weight, float* to) {
  for (Index o = 0; o < channels; ++o)
    for (Index a = 0; a < channels; ++a)
      for (Index tap = 0; tap < 9; ++tap)
        to[p.at((8 - tap) * channels + o, a)] = weight[(o * channels + a) * 9 + tap];
}

// out[o] = sum over b of weight[o][b] matrix[b].
inline void times(const float* weight, const double* matrix, Index c, double* out) {
  for (Index o = 0; o < c; ++o) {
    double* to = out + o * c;
    for (Index a = 0; a < c; ++a) to[a] = 0;
    for (Index b = 0; b < c; ++b) {
      const double by = static_cast<double>(weight[o * c + b]);
      for (Index a = 0; a < c; ++a) to[a] += by * matrix[b * c + a];
    }
  }
}

// ReLU(x) - about.
template <int L>
void fill_centered(const float* x, const float* about, Index count, Index pixel, float* to) {
  using S = Simd<L>;
  for (Index q = 0; q < pixel; q += L) {
    const typename S::vec m = S::load(about + q);
    for (Index i = 0, at = q; i < count; ++i, at += pixel)
      S::store(to + at, positive<L>(S::load(x + at)) - m);
  }
}

// The working memory of one thread. The borders of padded images stay zero.
struct CellScratch {
  float *source, *planes[kMostNodes];    // padded images, from the first pixel inside the border
  float *pooled[kMostNodes], *centered;  // chunks of rows
  float* line;                           // a row of an image
  float *held, *averages, *covariances;  // an image; what one image's channels come to
  float* local;                          // what is kept of an image where nobody keeps it longer
  double* rest;                          // one a channel
  Arena arena;

  template <int L>
  bool allocate(const Cell<L>& cell, int plane_count, int local_count) {
    const Grid& g = cell.grid;
    const struct {
      float** block;
      Index size, count;
    } parts[] = {{&source, g.padded, 1},
                 {planes, g.padded, plane_count},
                 {pooled, g.chunk(), cell.sources},
                 {&centered, g.chunk(), 1},
                 {&line, g.width * g.pixel, 1},
                 {&held, g.in_size(), 1},
                 {&averages, cell.c, 1},
                 {&covariances, cell.c * cell.c, 1},
                 {&local, local_count * g.in_size(), 1}};
    for (const auto& part : parts)
      for (Index i = 0; i < part.count; ++i) arena.reserve<float>(part.size);
    arena.reserve<double>(cell.c);
    if (!arena.allocate()) return false;
    for (const auto& part : parts)
      for (Index i = 0; i < part.count; ++i) part.block[i] = arena.take<float>(part.size);
    rest = arena.take<double>(cell.c);
    const auto clear = [&](float*& image) {
      std::memset(image, 0, static_cast<std::size_t>(g.padded) * sizeof(float));
      image = g.inside(image);
    };
    clear(source);
    for (int i = 0; i < plane_count; ++i) clear(planes[i]);
    return true;
  }
};

// Calls body(scratch, unit, image) for all images, unit by unit.
template <int L, class Body>
bool for_cell_images(const Cell<L>& cell, int threads, int planes, int local, const Body& body) {
  return for_units(cell.units, threads, [&](Index first, Index last) {
    CellScratch scratch;
    if (!scratch.allocate(cell, planes, local)) return false;
    for (Index unit = first; unit < last; ++unit)
      for (Index n = unit * cell.run; n < (unit + 1) * cell.run && n < cell.s.batch; ++n)
        body(scratch, unit, n);
    return true;
  });
}

}  // namespace
