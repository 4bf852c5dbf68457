#pragma once
// Depthwise 2-d convolution, float32, padding dilation * (kernel - 1) / 2, images contiguous as
// N, C, H, W (cpu.cc) or N, H, W, C (last.cc).

#include <cstddef>

namespace nasturtium::kernels {

// height and width are the input's; the output has (height - 1) / stride + 1 rows.
struct DepthwiseShape {
  std::ptrdiff_t batch, channels, height, width;
  int kernel, stride, dilation;  // kernel 3 or 5, stride 1 or 2, dilation 1 or 2
};

// One per instruction set and memory format. Both functions return false when memory ran out;
// nothing else can fail.
struct DepthwiseTable {
  bool (*forward)(const DepthwiseShape&, const float* x, const float* weight, float* y,
                  int threads);
  // grad_x or grad_weight may be null: it is then not computed.
  bool (*backward)(const DepthwiseShape&, const float* grad_y, const float* x, const float* weight,
                   float* grad_x, float* grad_weight, int threads);
};

}  // namespace nasturtium::kernels
