// One source, compiled once per instruction set (NASTURTIUM_ISA names the namespace).
//
// As many pixels as fill whole vectors are one block, whatever the number of channels: all rows of
// coefficients repeat with it. Pixels behind the last block are done one by one. A unit is a run of
// blocks, divided by the shape alone: no result depends on the number of threads.

#include "mix/cpu.hpp"

#include <cstring>

#include "rows.hpp"

namespace {

using namespace nasturtium::kernels;

// Pixels of a block: the fewest whose channels fill whole vectors.
inline Index block_pixels(Index channels) {
  Index a = channels, b = kLanes;
  while (b) {
    const Index rest = a % b;
    a = b;
    b = rest;
  }
  return kLanes / a;
}

struct Mixer {
  const MixShape& s;
  Index block, width, blocks, run, units, step;  // width: floats of a block; step: blocks a chunk
  float *mean, *inverse, *scale, *center, *shift, *slope, *fine;  // [count][width]
  double* sums;                                                   // [units][count + 1][3][width]
  Arena arena;

  explicit Mixer(const MixShape& shape)
      : s(shape), block(block_pixels(shape.channels)), width(block * shape.channels) {
    blocks = s.pixels / block;
    run = (blocks + kMostUnits - 1) / kMostUnits;
    if (run < 1) run = 1;
    units = (blocks + run - 1) / run;
    if (units < 1) units = 1;  // of the pixels behind the last block
    step = kChunk / width > 0 ? kChunk / width : 1;
  }

  Index sums_size() const { return units * (s.count + 1) * 3 * width; }
  bool prepare() {
    float** const rows[] = {&mean, &inverse, &scale, &center, &shift, &slope, &fine};
    for (int i = 0; i < 7; ++i) arena.reserve<float>(s.count * width);
    arena.reserve<double>(sums_size());
    if (!arena.allocate()) return false;
    for (float** row : rows) {
      *row = arena.take<float>(s.count * width);
      for (Index i = 0; i < s.count * width; ++i) (*row)[i] = 0;
    }
    sums = arena.take<double>(sums_size());
    std::memset(sums, 0, static_cast<std::size_t>(sums_size()) * sizeof(double));
    return true;
  }

  double* sum(Index unit, int term, int which) const {
    return sums + ((unit * (s.count + 1) + term) * 3 + which) * width;
  }
  double total(int term, int which, Index channel) const {
    double found = 0;
    for (Index unit = 0; unit < units; ++unit)
      for (Index p = 0; p < block; ++p) found += sum(unit, term, which)[p * s.channels + channel];
    return found;
  }
  void set(float* row, int branch, Index channel, double value) const {
    for (Index p = 0; p < block; ++p)
      row[branch * width + p * s.channels + channel] = static_cast<float>(value);
  }
  void set_norm(int k, Index c, double about, double variance) const {
    set(mean, k, c, about);
    set(inverse, k, c, inverse_deviation(variance, s.epsilon));
  }
  void read_norms(const float* about, const float* variance) const {
    for (int k = 0; k < s.count; ++k)
      for (Index c = 0; s.normalized[k] && c < s.channels; ++c)
        set_norm(k, c, static_cast<double>(about[k * s.channels + c]),
                 static_cast<double>(variance[k * s.channels + c]));
  }

  // chunk(unit, offset, blocks) for all chunks, and rest(offset, channel) for every float behind
  // the last block; the rest belongs to the last unit.
  template <class Chunk, class Rest>
  bool for_chunks(int threads, const Chunk& chunk, const Rest& rest) const {
    return for_units(units, threads, [&](Index first, Index last) {
      for (Index unit = first; unit < last; ++unit) {
        const Index end = (unit + 1) * run < blocks ? (unit + 1) * run : blocks;
        for (Index b = unit * run; b < end; b += step)
          chunk(unit, b * width, end - b < step ? end - b : step);
      }
      if (last == units)
        for (Index at = blocks * width; at < s.pixels * s.channels; ++at) rest(at, at % s.channels);
      return true;
    });
  }
};

void count_moments(const Mixer& m, const float* const* branches, int threads) {
  const MixShape& s = m.s;
  m.for_chunks(
      threads,
      [&](Index unit, Index at, Index blocks) {
        for (int k = 0; k < s.count; ++k)
          if (s.normalized[k])
            add_moments<kLanes>(branches[k] + at, blocks, m.width, m.sum(unit, k, 0),
                                m.sum(unit, k, 1));
      },
      [&](Index at, Index c) {
        for (int k = 0; k < s.count; ++k) {
          const double z = static_cast<double>(branches[k][at]);
          m.sum(m.units - 1, k, 0)[c] += z;
          m.sum(m.units - 1, k, 1)[c] += z * z;
        }
      });
}

// The gradient times each centered branch, that branch and its square; and the gradient itself
// behind them.
void count_products(const Mixer& m, const float* grad, const float* const* branches, int threads) {
  const MixShape& s = m.s;
  m.for_chunks(
      threads,
      [&](Index unit, Index at, Index blocks) {
        for (int k = 0; k < s.count; ++k)
          add_products<kLanes>(grad + at, branches[k] + at, m.mean + k * m.width, blocks, m.width,
                               m.sum(unit, k, 0), m.sum(unit, k, 1), m.sum(unit, k, 2));
        add_sum<kLanes>(grad + at, blocks, m.width, m.sum(unit, s.count, 0));
      },
      [&](Index at, Index c) {
        const double g = static_cast<double>(grad[at]);
        for (int k = 0; k < s.count; ++k) {
          const double z = static_cast<double>(branches[k][at] - m.mean[k * m.width + c]);
          m.sum(m.units - 1, k, 0)[c] += g * z;
          m.sum(m.units - 1, k, 1)[c] += z;
          m.sum(m.units - 1, k, 2)[c] += z * z;
        }
        m.sum(m.units - 1, s.count, 0)[c] += g;
      });
}

void settle_slopes(const Mixer& m, const float* alpha, float* grad_alpha) {
  const MixShape& s = m.s;
  for (int k = 0; k < s.count; ++k) {
    double of_alpha = 0;
    for (Index c = 0; c < s.channels; ++c) {
      const double product = m.total(k, 0, c), sum = m.total(s.count, 0, c);
      const Index at = k * m.width + c;
      if (!s.normalized[k]) {
        of_alpha += product;
        m.set(m.scale, k, c, static_cast<double>(alpha[k]));
        continue;
      }
      m.set(m.scale, k, c, static_cast<double>(alpha[k] * m.inverse[at]));
      const double scale = static_cast<double>(m.scale[at]);
      const Bend bend(scale * product, scale * sum, sum, m.total(k, 1, c), m.total(k, 2, c),
                      static_cast<double>(s.pixels), s.epsilon);
      const double lost = s.training ? bend.rest * sum : 0;
      of_alpha += static_cast<double>(m.inverse[at]) * (product - lost);
      m.set(m.shift, k, c, static_cast<double>(bend.shift(m.scale[at])));
      float slope, fine, center;
      bend.set(slope, fine, center);
      m.set(m.slope, k, c, static_cast<double>(slope));
      m.set(m.fine, k, c, static_cast<double>(fine));
      m.set(m.center, k, c, static_cast<double>(center));
    }
    if (grad_alpha) grad_alpha[k] = static_cast<float>(of_alpha);
  }
}

bool write_gradients(const Mixer& m, const float* grad, const float* const* branches,
                     float* const* to, int threads) {
  const MixShape& s = m.s;
  return m.for_chunks(
      threads,
      [&](Index, Index at, Index blocks) {
        for (int k = 0; k < s.count; ++k) {
          const Index own = k * m.width;
          if (!to[k]) continue;
          if (s.normalized[k] && s.training)
            branch_gradient<kLanes>({m.scale + own, m.center + own, m.shift + own, m.slope + own,
                                     m.fine + own, m.mean + own},
                                    grad + at, branches[k] + at, blocks, m.width, to[k] + at);
          else
            scaled<kLanes>(m.scale + own, grad + at, blocks, m.width, to[k] + at);
        }
      },
      [&](Index at, Index c) {
        for (int k = 0; k < s.count; ++k) {
          const Index own = k * m.width + c;
          if (!to[k]) continue;
          to[k][at] = m.scale[own] * grad[at];
          if (!s.normalized[k] || !s.training) continue;
          const float d = branches[k][at] - m.mean[own];
          to[k][at] = m.scale[own] * (grad[at] - m.center[own]) + (m.shift[own] + m.fine[own] * d) +
                      m.slope[own] * d;
        }
      });
}

}  // namespace

namespace nasturtium::kernels::NASTURTIUM_ISA {

static bool forward(const MixShape& s, const float* const* branches, const float* alpha, float* out,
                    float* mean, float* variance, int threads) {
  Mixer m(s);
  if (!m.prepare()) return false;
  if (s.training) {
    count_moments(m, branches, threads);
    for (int k = 0; k < s.count; ++k)
      for (Index c = 0; s.normalized[k] && c < s.channels; ++c) {
        const Moments found(m.total(k, 0, c), m.total(k, 1, c), static_cast<double>(s.pixels));
        m.set_norm(k, c, found.mean, found.variance);
        mean[k * s.channels + c] = static_cast<float>(found.mean);
        variance[k * s.channels + c] = static_cast<float>(found.variance);
      }
  } else {
    m.read_norms(mean, variance);
  }
  for (int k = 0; k < s.count; ++k)
    for (Index i = 0; i < m.width; ++i)
      m.scale[k * m.width + i] = s.normalized[k] ? alpha[k] * m.inverse[k * m.width + i] : alpha[k];
  return m.for_chunks(
      threads,
      [&](Index, Index at, Index blocks) {
        const float* from[kMostBranches];
        for (int k = 0; k < s.count; ++k) from[k] = branches[k] + at;
        mix<kLanes>(s.count, from, m.mean, m.scale, blocks, m.width, out + at);
      },
      [&](Index at, Index c) {
        float sum = 0;
        for (int k = 0; k < s.count; ++k)
          sum += m.scale[k * m.width + c] * (branches[k][at] - m.mean[k * m.width + c]);
        out[at] = sum;
      });
}

static bool backward(const MixShape& s, const float* grad, const float* const* branches,
                     const float* alpha, const float* mean, const float* variance,
                     float* const* grad_branches, float* grad_alpha, int threads) {
  Mixer m(s);
  if (!m.prepare()) return false;
  m.read_norms(mean, variance);
  bool any = false;
  for (int k = 0; k < s.count; ++k) any = any || grad_branches[k];
  // Gradients of branches need the sums of a batch; with given statistics only alpha does.
  if (s.training || grad_alpha) count_products(m, grad, branches, threads);
  settle_slopes(m, alpha, grad_alpha);
  return !any || write_gradients(m, grad, branches, grad_branches, threads);
}

extern const MixTable normalize_and_mix;
const MixTable normalize_and_mix{forward, backward};

}  // namespace nasturtium::kernels::NASTURTIUM_ISA
