// One source, compiled once per instruction set (NASTURTIUM_ISA names the namespace).

#include "aggregated/cpu.hpp"

#include "simd.hpp"
#include "work.hpp"

namespace {

using namespace nasturtium::kernels;
using Kernel = AggregateShape::Kernel;

// Shares of the rows: their number decides the order of sums, and threads do not.
constexpr Index kUnits = 64;

// Where the taps of one direction lie: at first + dilation * tap for taps from, ..., to - 1, which
// are those inside.
struct Span {
  Index first, from, to;
};

Span span(Index taps, Index dilation, Index length) {
  const Index first = (length - 1) / 2 - dilation * ((taps - 1) / 2);
  const Index outside = first < 0 ? (-first + dilation - 1) / dilation : 0;
  return {first, outside, taps - outside};
}

// run(first tap, its place in the sum, taps) for every line of taps that lie inside.
template <class Run>
inline void for_lines(const AggregateShape& s, const Kernel& k, const Run& run) {
  const Span down = span(k.height, k.dilation, s.height),
             across = span(k.width, k.dilation, s.width);
  for (Index a = down.from; a < down.to; ++a)
    run(a * k.width + across.from,
        (down.first + a * k.dilation) * s.width + across.first + across.from * k.dilation,
        across.to - across.from);
}

void add_row(const AggregateShape& s, const Kernel& k, const float* weight, float alpha,
             float* sum) {
  for_lines(s, k, [&](Index tap, Index at, Index count) {
    if (k.dilation == 1)
      for (Index i = 0; i < count; ++i) sum[at + i] += alpha * weight[tap + i];
    else
      for (Index i = 0; i < count; ++i) sum[at + i * k.dilation] += alpha * weight[tap + i];
  });
}

void take_row(const AggregateShape& s, const Kernel& k, const float* grad, float alpha, float* to) {
  for (Index i = 0; i < k.height * k.width; ++i) to[i] = 0.0f;
  for_lines(s, k, [&](Index tap, Index at, Index count) {
    for (Index i = 0; i < count; ++i) to[tap + i] = alpha * grad[at + i * k.dilation];
  });
}

double product(const AggregateShape& s, const Kernel& k, const float* grad, const float* weight) {
  double sum = 0.0;
  for_lines(s, k, [&](Index tap, Index at, Index count) {
    for (Index i = 0; i < count; ++i)
      sum += static_cast<double>(grad[at + i * k.dilation]) * static_cast<double>(weight[tap + i]);
  });
  return sum;
}

}  // namespace

namespace nasturtium::kernels::NASTURTIUM_ISA {

static void forward(const AggregateShape& s, const float* const* weights, const float* alpha,
                    float* sum, int threads) {
  const Index size = s.height * s.width;
  for_units(kUnits, threads, [&](Index first, Index last) {
    for (Index row = s.rows * first / kUnits; row < s.rows * last / kUnits; ++row) {
      float* to = sum + row * size;
      for (Index i = 0; i < size; ++i) to[i] = 0.0f;
      for (int k = 0; k < s.count; ++k) {
        const Kernel& kernel = s.kernels[k];
        add_row(s, kernel, weights[k] + row * kernel.height * kernel.width, alpha[k], to);
      }
    }
    return true;
  });
}

static bool backward(const AggregateShape& s, const float* grad, const float* const* weights,
                     const float* alpha, float* const* grad_weights, float* grad_alpha,
                     int threads) {
  Arena arena;
  arena.reserve<double>(kUnits * s.count);
  if (!arena.allocate()) return false;
  double* shares = arena.take<double>(kUnits * s.count);
  for_units(kUnits, threads, [&](Index first, Index last) {
    for (Index unit = first; unit < last; ++unit)
      for (int k = 0; k < s.count; ++k) {
        const Kernel& kernel = s.kernels[k];
        const Index taps = kernel.height * kernel.width;
        double sum = 0.0;
        for (Index row = s.rows * unit / kUnits; row < s.rows * (unit + 1) / kUnits; ++row) {
          const float* from = grad + row * s.height * s.width;
          if (grad_alpha) sum += product(s, kernel, from, weights[k] + row * taps);
          if (grad_weights) take_row(s, kernel, from, alpha[k], grad_weights[k] + row * taps);
        }
        shares[unit * s.count + k] = sum;
      }
    return true;
  });
  for (int k = 0; grad_alpha && k < s.count; ++k) {
    double sum = 0.0;
    for (Index unit = 0; unit < kUnits; ++unit) sum += shares[unit * s.count + k];
    grad_alpha[k] = static_cast<float>(sum);
  }
  return true;
}

extern const AggregateTable aggregated_kernel;
const AggregateTable aggregated_kernel{forward, backward};

}  // namespace nasturtium::kernels::NASTURTIUM_ISA
