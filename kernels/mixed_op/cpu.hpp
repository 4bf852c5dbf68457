#pragma once
// The mixed operation of a DARTS edge, float32, images as N, H, W, C:
// out = sum over candidates of alpha times the candidate's output. reference.py is the definition.

#include <cstddef>

namespace nasturtium::kernels {

enum Candidate {
  kNone,
  kMaxPool,
  kAveragePool,
  kSkip,
  kSeparable3,
  kSeparable5,
  kDilated3,
  kDilated5,
  kCandidates
};

// height and width are the input's; the output has (height - 1) / stride + 1 rows.
struct MixedShape {
  std::ptrdiff_t batch, channels, height, width;
  int stride, count;  // stride 1 or 2; count of candidates, none twice
  int candidates[kCandidates];
  bool training;  // statistics of the batch, or else those that are given
  double epsilon;
  bool each;  // alpha is [batch][count], or else [count]
  bool pack;  // images may lie side by side in a pixel: of all edges of a sum, or of none
  bool half;  // what is kept is less its mean and in bfloat16, or else in float32
  // Of more than one, x has as many times `channels`, of which the first are mixed and the others
  // pass by; channel c of part k is number c * parts + k of the output. Of stride 1 only.
  std::ptrdiff_t parts;
};

constexpr int kMostEdges = 16;

// One of the edges whose outputs are summed. Normalizations are numbered by candidate: one for a
// pool, one for a dilated convolution, two for a separable one. mean and variance (biased) are
// [normalizations][channels]. Weights go by convolution: depthwise [C][k * k], then pointwise
// [output][input]. `kept` holds one image batch [N][H][W][C rounded up to 8] for each pair of
// weights, or is null: nothing is kept then. mean and variance are written in training, else read.
struct MixedEdge {
  MixedShape shape;
  const float *x, *alpha;
  const float* const* weights;
  void* kept;
  float *mean, *variance;
};

struct MixedTable {
  // The edges' shapes differ in stride and in the input's size alone; an edge of several parts is
  // the only one. False when memory ran out; nothing else can fail.
  bool (*forward)(const MixedEdge* edges, int count, float* out, int threads);
  // grad_x, grad_alpha or grad_weights may be null: they are then not computed.
  bool (*backward)(const MixedShape&, const float* grad, const float* x, const float* alpha,
                   const float* const* weights, const void* kept, const float* mean,
                   const float* variance, float* grad_x, float* grad_alpha,
                   float* const* grad_weights, int threads);
};

}  // namespace nasturtium::kernels
