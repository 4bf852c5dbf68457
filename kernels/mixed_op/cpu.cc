// One source, compiled once per instruction set (NASTURTIUM_ISA names the namespace).
//
// Threads share images; scratch of an image lies in the second cache. Nothing that is normalized,
// rectified, pooled or weighted is stored for the backward pass: it keeps the outputs of pointwise
// convolutions and the statistics, and computes the rest again. Work is divided, and sums are
// ordered, by the shape alone: no result depends on the number of threads.

#include "mixed_op/backward.hpp"

namespace {

constexpr int kMostLanes = kLanes, kFewLanes = kLanes < 8 ? kLanes : 8;

// Pixels are multiples of eight floats: of sixteen lanes only where those divide them.
inline bool full_width(const MixedShape& s) {
  return kMostLanes <= 8 || round_up(packed(s).channels, 8) % kMostLanes == 0;
}

}  // namespace

namespace nasturtium::kernels::NASTURTIUM_ISA {

static bool forward(const MixedEdge* edges, int count, float* out, int threads) {
  const auto run =
      full_width(edges[0].shape) ? mixed_forward<kMostLanes> : mixed_forward<kFewLanes>;
  return run(edges, count, out, threads);
}

static bool backward(const MixedShape& s, const float* grad, const float* x, const float* alpha,
                     const float* const* weights, const float* kept, const float* mean,
                     const float* variance, float* grad_x, float* grad_alpha,
                     float* const* grad_weights, int threads) {
  const auto run = full_width(s) ? mixed_backward<kMostLanes> : mixed_backward<kFewLanes>;
  return run(s, grad, x, alpha, weights, kept, mean, variance, grad_x, grad_alpha, grad_weights,
             threads);
}

extern const MixedTable mixed_op;
const MixedTable mixed_op{forward, backward};

}  // namespace nasturtium::kernels::NASTURTIUM_ISA
