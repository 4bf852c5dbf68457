#pragma once
// out = sum over k of alpha[k] times branch k, normalized over all pixels where `normalized` says
// so; float32, every branch as [pixels][channels]. reference.py is the definition.

#include <cstddef>

namespace nasturtium::kernels {

constexpr int kMostBranches = 32;

struct MixShape {
  std::ptrdiff_t pixels, channels;
  int count;
  bool normalized[kMostBranches];
  bool training;  // statistics of the batch, or else those that are given
  double epsilon;
};

// mean and variance (biased) are [count][channels]; those of branches that are not normalized are
// neither read nor written.
struct MixTable {
  // mean and variance are written in training, else read. False when memory ran out.
  bool (*forward)(const MixShape&, const float* const* branches, const float* alpha, float* out,
                  float* mean, float* variance, int threads);
  // grad_alpha, and each of grad_branches, may be null: it is then not computed.
  bool (*backward)(const MixShape&, const float* grad, const float* const* branches,
                   const float* alpha, const float* mean, const float* variance,
                   float* const* grad_branches, float* grad_alpha, int threads);
};

}  // namespace nasturtium::kernels
