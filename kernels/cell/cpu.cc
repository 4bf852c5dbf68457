// One source, compiled once per instruction set (NASTURTIUM_ISA names the namespace).
//
// Threads share images; scratch of an image lies in the second cache. Work is divided, and sums are
// ordered, by the shape alone: no result depends on the number of threads.

#include "cell/backward.hpp"
#include "cell/forward.hpp"

#ifdef __AVX512F__
namespace nasturtium::kernels::v3 {
extern const CellTable searched_cell;
}
#endif

namespace nasturtium::kernels::NASTURTIUM_ISA {

static bool forward(const CellShape& s, const float* x, const float* alpha,
                    const float* const* weights, float* out, const CellKept& kept, float* mean,
                    float* variance, int threads) {
#ifdef __AVX512F__
  if (!fills_vectors(s.channels))
    return v3::searched_cell.forward(s, x, alpha, weights, out, kept, mean, variance, threads);
#endif
  return cell_forward<kLanes>(s, x, alpha, weights, out, kept, mean, variance, threads);
}

static bool backward(const CellShape& s, const float* grad, const float* x, const float* alpha,
                     const float* const* weights, const CellKept& kept, const float* mean,
                     const float* variance, float* grad_x, float* grad_alpha,
                     float* const* grad_weights, int threads) {
#ifdef __AVX512F__
  if (!fills_vectors(s.channels))
    return v3::searched_cell.backward(s, grad, x, alpha, weights, kept, mean, variance, grad_x,
                                      grad_alpha, grad_weights, threads);
#endif
  return cell_backward<kLanes>(s, grad, x, alpha, weights, kept, mean, variance, grad_x, grad_alpha,
                               grad_weights, threads);
}

extern const CellTable searched_cell;
const CellTable searched_cell{forward, backward};

}  // namespace nasturtium::kernels::NASTURTIUM_ISA
