// One source, compiled once per instruction set (NASTURTIUM_ISA names the namespace).
//
// Threads share images; scratch of an image lies in the second cache. Nothing that is normalized,
// rectified, pooled or weighted is stored for the backward pass: it keeps the outputs of pointwise
// convolutions and the statistics, and computes the rest again. Work is divided, and sums are
// ordered, by the shape alone: no result depends on the number of threads.

#include "mixed_op/backward.hpp"

#ifdef __AVX512F__
namespace nasturtium::kernels::v3 {
extern const MixedTable mixed_op;
}
#endif

namespace nasturtium::kernels::NASTURTIUM_ISA {

static bool forward(const MixedEdge* edges, int count, float* out, int threads) {
#ifdef __AVX512F__
  if (!fills_vectors(packed(edges[0].shape).channels))
    return v3::mixed_op.forward(edges, count, out, threads);
#endif
  return mixed_forward<kLanes>(edges, count, out, threads);
}

static bool backward(const MixedShape& s, const float* grad, const float* x, const float* alpha,
                     const float* const* weights, const void* kept, const float* mean,
                     const float* variance, float* grad_x, float* grad_alpha,
                     float* const* grad_weights, int threads) {
#ifdef __AVX512F__
  if (!fills_vectors(packed(s).channels))
    return v3::mixed_op.backward(s, grad, x, alpha, weights, kept, mean, variance, grad_x,
                                 grad_alpha, grad_weights, threads);
#endif
  return mixed_backward<kLanes>(s, grad, x, alpha, weights, kept, mean, variance, grad_x,
                                grad_alpha, grad_weights, threads);
}

extern const MixedTable mixed_op;
const MixedTable mixed_op{forward, backward};

}  // namespace nasturtium::kernels::NASTURTIUM_ISA
