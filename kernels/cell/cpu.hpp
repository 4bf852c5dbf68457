#pragma once
// The cell of NAS-Bench-201's search network, float32, images as N, H, W, C: every node after the
// first is the sum of an edge from each earlier one, and an edge is the weighted sum of its
// candidates. reference.py is the definition.

#include <cstddef>

namespace nasturtium::kernels {

constexpr int kMostNodes = 8;
constexpr int kMostPairs = kMostNodes * (kMostNodes - 1) / 2;

// Of an edge, in the order of alpha's columns.
enum CellCandidate { kCellNone, kCellSkip, kCellPointwise, kCellDense, kCellPool, kCellCandidates };

struct CellShape {
  std::ptrdiff_t batch, channels, height, width;  // channels: a multiple of eight
  int nodes;                                      // 2, ..., kMostNodes
  bool training;                                  // statistics of the batch, or those given
  double epsilon;
};

// Edges are numbered by target, then by source. alpha is [edges][candidates]. Weights by edge:
// those of side 1, [output][input], then those of side 3, [output][input][3][3]. Normalizations are
// those of the same convolutions; mean and variance (biased) are [2 * edges][channels]. Kept are
// the nodes between the first and the last, [nodes - 2] images; the outputs of the convolutions of
// side 3, [edges] images; and, of each node but the last, the means and covariances of its
// activated channels, [nodes - 1][1 + channels][channels].
struct CellKept {
  float *nodes, *dense, *moments;
};

struct CellTable {
  // Of `kept` all may be null: nothing is kept then. mean and variance are written in training,
  // else read; so are moments. False when memory ran out; nothing else can fail.
  bool (*forward)(const CellShape&, const float* x, const float* alpha, const float* const* weights,
                  float* out, const CellKept& kept, float* mean, float* variance, int threads);
  // grad_x, grad_alpha or grad_weights may be null: they are then not computed.
  bool (*backward)(const CellShape&, const float* grad, const float* x, const float* alpha,
                   const float* const* weights, const CellKept& kept, const float* mean,
                   const float* variance, float* grad_x, float* grad_alpha,
                   float* const* grad_weights, int threads);
};

}  // namespace nasturtium::kernels
