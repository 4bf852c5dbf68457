#pragma once
// The weighted sum of kernels with zeros between their taps, centered on one another; reference.py
// is the definition. All are rows of height * width taps, a row for each pair of channels.

#include <cstddef>

namespace nasturtium::kernels {

constexpr int kMostKernels = 64;

struct AggregateShape {
  std::ptrdiff_t rows, height, width;  // of the sum
  int count;
  struct Kernel {
    std::ptrdiff_t height, width, dilation;
  } kernels[kMostKernels];
};

struct AggregateTable {
  void (*forward)(const AggregateShape&, const float* const* weights, const float* alpha,
                  float* sum, int threads);
  // Null addresses are gradients that nobody needs. False: no memory.
  bool (*backward)(const AggregateShape&, const float* grad, const float* const* weights,
                   const float* alpha, float* const* grad_weights, float* grad_alpha, int threads);
};

}  // namespace nasturtium::kernels
