#pragma once
// Several separable convolutions of one input, float32, images as N, H, W, C: for each filter
// ReLU(scale x + shift) -> depthwise -> pointwise. reference.py is the definition.

#include <cstddef>

namespace nasturtium::kernels {

constexpr int kMostFilters = 16;

// height and width are the input's; outputs have (height - 1) / stride + 1 rows.
struct BankShape {
  std::ptrdiff_t batch, channels, height, width;
  int stride, count;                                   // stride 1 or 2
  int kernels[kMostFilters], dilations[kMostFilters];  // 3 or 5, 1 or 2
};

// Weights by filter: depthwise [C][k * k], then pointwise [output][input].
struct BankTable {
  // scale and shift may both be null: ReLU(x) then. mean and variance (biased) of the outputs are
  // [count][C]. False when memory ran out; nothing else can fail.
  bool (*forward)(const BankShape&, const float* x, const float* scale, const float* shift,
                  const float* const* weights, float* const* outs, float* mean, float* variance,
                  int threads);
  // Each of grads may be null, which is zero. grad_x, grad_affine (that of scale, then of shift)
  // or grad_weights may be null: they are then not computed.
  bool (*backward)(const BankShape&, const float* const* grads, const float* x, const float* scale,
                   const float* shift, const float* const* weights, float* grad_x,
                   float* grad_affine, float* const* grad_weights, int threads);
};

}  // namespace nasturtium::kernels
