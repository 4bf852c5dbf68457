// One source, compiled once per instruction set (NASTURTIUM_ISA names the namespace).
//
// Threads share images. An input is read once for all filters; rectified and depthwise images are
// never stored, and computed again for the weights' gradients. Work is divided, and sums are
// ordered, by the shape alone: no result depends on the number of threads.

#include "separable/cpu.hpp"

#include "separable/bank.hpp"

namespace {

using namespace nasturtium::kernels;

struct Bank {
  const BankShape& s;
  Grid g;
  Index run, units, share = 0, offset[kMostFilters];
  Filter filter[kMostFilters];
  float *scale = nullptr, *shift = nullptr, *zeros = nullptr;  // [pixel]
  double* sums = nullptr;   // [units][count + 1][2][pixel]: moments of outputs, affine gradients
  float* shares = nullptr;  // [units][share] gradients of weights, if they are wanted
  Arena arena;

  static Index border(const BankShape& s) {
    Index most = 0;
    for (int k = 0; k < s.count; ++k) {
      const Index own = static_cast<Index>(s.dilations[k]) * (s.kernels[k] - 1) / 2;
      if (own > most) most = own;
    }
    return most;
  }
  explicit Bank(const BankShape& shape)
      : s(shape),
        g(shape.channels, shape.height, shape.width, shape.stride, border(shape)),
        run((shape.batch + kMostUnits - 1) / kMostUnits) {
    if (run < 1) run = 1;
    units = (s.batch + run - 1) / run;
    for (int k = 0; k < s.count; ++k) {
      filter[k].kernel = s.kernels[k];
      filter[k].dilation = s.dilations[k];
      offset[k] = share;
      share += (filter[k].tap_count() + s.channels) * g.pixel;
    }
  }

  bool prepare(const float* scale_, const float* shift_, const float* const* weights, bool wanted) {
    const Index sums_size = units * (s.count + 1) * 2 * g.pixel, size = wanted ? units * share : 0;
    for (int k = 0; k < s.count; ++k) filter[k].reserve(arena, s.channels, g.pixel);
    for (int i = 0; i < 3; ++i) arena.reserve<float>(g.pixel);
    arena.reserve<double>(sums_size);
    arena.reserve<float>(size);
    if (!arena.allocate()) return false;
    for (int k = 0; k < s.count; ++k)
      filter[k].take(arena, s.channels, s.channels, g.pixel, weights[2 * k], weights[2 * k + 1]);
    scale = arena.take<float>(g.pixel);
    shift = arena.take<float>(g.pixel);
    zeros = arena.take<float>(g.pixel);
    for (Index c = 0; c < g.pixel; ++c) {
      scale[c] = scale_ && c < s.channels ? scale_[c] : 1;
      shift[c] = shift_ && c < s.channels ? shift_[c] : 0;
      zeros[c] = 0;
    }
    sums = arena.take<double>(sums_size);
    std::memset(sums, 0, static_cast<std::size_t>(sums_size) * sizeof(double));
    float* memory = arena.take<float>(size);
    std::memset(memory, 0, static_cast<std::size_t>(size) * sizeof(float));
    if (wanted) shares = memory;
    return true;
  }
  double* sum(Index unit, int term, int which) const {
    return sums + ((unit * (s.count + 1) + term) * 2 + which) * g.pixel;
  }
  double total(int term, int which, Index channel) const {
    double found = 0;
    for (Index unit = 0; unit < units; ++unit) found += sum(unit, term, which)[channel];
    return found;
  }
  bool wide() const { return g.pixel != s.channels; }
};

// The working memory of one thread.
struct BankScratch {
  float *source, *spread, *middle, *chunk, *image, *wide_x;
  Arena arena;

  bool allocate(const Bank& b) {
    const Index padded = b.g.padded, in = b.g.in_size();
    const Index sizes[] = {padded, padded, b.g.chunk(), b.g.chunk(), in, in};
    for (const Index size : sizes) arena.reserve<float>(size);
    if (!arena.allocate()) return false;
    float** const blocks[] = {&source, &spread, &middle, &chunk, &image, &wide_x};
    for (int i = 0; i < 6; ++i) *blocks[i] = arena.take<float>(sizes[i]);
    std::memset(source, 0, static_cast<std::size_t>(padded) * sizeof(float));
    std::memset(spread, 0, static_cast<std::size_t>(padded) * sizeof(float));
    source = b.g.inside(source);
    spread = b.g.inside(spread);
    return true;
  }
};

// Calls body(scratch, unit, image, x of the image in whole vectors of channels).
template <class Body>
bool for_bank_images(const Bank& b, const float* x, int threads, const Body& body) {
  return for_units(b.units, threads, [&](Index first, Index last) {
    BankScratch t;
    if (!t.allocate(b)) return false;
    const Index pixels = b.g.height * b.g.width;
    for (Index unit = first; unit < last; ++unit)
      for (Index n = unit * b.run; n < (unit + 1) * b.run && n < b.s.batch; ++n) {
        const float* own = x + n * pixels * b.s.channels;
        if (b.wide()) widen(own, pixels, b.s.channels, b.g.pixel, t.wide_x);
        body(t, unit, n, b.wide() ? t.wide_x : own);
      }
    return true;
  });
}

template <int L>
bool bank_forward(const BankShape& s, const float* x, const float* scale, const float* shift,
                  const float* const* weights, float* const* outs, float* mean, float* variance,
                  int threads) {
  Bank b(s);
  if (!b.prepare(scale, shift, weights, false)) return false;
  const Grid& g = b.g;
  const bool done =
      for_bank_images(b, x, threads, [&](BankScratch& t, Index unit, Index n, const float* own) {
        fill_affine<L>(g, own, b.scale, b.shift, t.source);
        g.for_chunks([&](Index y, Index rows) {
          const Index pixels = rows * g.out_width;
          for (int k = 0; k < s.count; ++k) {
            float* out = outs[k] + (n * g.out_height + y) * g.out_width * s.channels;
            float* to = b.wide() ? t.chunk : out;
            separable_rows<L>(g, b.filter[k], t.source, y, rows, t.middle, to);
            add_moments<L>(to, pixels, g.pixel, b.sum(unit, k, 0), b.sum(unit, k, 1));
            if (b.wide()) narrow(to, pixels, s.channels, g.pixel, out);
          }
        });
      });
  const double count = static_cast<double>(s.batch * g.out_height * g.out_width);
  for (int k = 0; k < s.count; ++k)
    for (Index c = 0; c < s.channels; ++c) {
      const Moments found(b.total(k, 0, c), b.total(k, 1, c), count);
      mean[k * s.channels + c] = static_cast<float>(found.mean);
      variance[k * s.channels + c] = static_cast<float>(found.variance);
    }
  return done;
}

template <int L>
void backward_image(const Bank& b, const BankScratch& t, Index unit, Index n, const float* x,
                    const float* const* grads, float* grad_x, bool affine) {
  const Grid& g = b.g;
  fill_affine<L>(g, x, b.scale, b.shift, t.source);
  const bool data = grad_x || affine;
  if (data) std::memset(t.image, 0, static_cast<std::size_t>(g.in_size()) * sizeof(float));
  for (int k = 0; k < b.s.count; ++k) {
    if (!grads[k]) continue;
    const Filter& f = b.filter[k];
    float* taps = b.shares ? b.shares + unit * b.share + b.offset[k] : nullptr;
    const FilterSums sums{taps, taps ? taps + f.tap_count() * g.pixel : nullptr};
    const float* from = grads[k] + n * g.out_height * g.out_width * b.s.channels;
    pointwise_backward<L>(
        g, f, t.source, taps ? &sums : nullptr,
        [&](Index y, Index rows, float* to) {
          widen(from + y * g.out_width * b.s.channels, rows * g.out_width, b.s.channels, g.pixel,
                to);
        },
        t.middle, t.chunk, t.spread);
    if (taps) taps_backward<L>(g, f, t.source, t.spread, sums);
    if (data) data_backward<L, true>(g, f, t.spread, 0, g.height, t.image);
  }
  if (!data) return;
  const Index row = g.width * g.pixel;
  for (Index y = 0; y < g.height; ++y) {
    float* to = t.image + y * row;
    mask_row<L>(t.source + y * g.pitch, row, to);
    if (!affine) continue;
    add_product<L>(to, x + y * row, b.zeros, g.width, g.pixel, b.sum(unit, b.s.count, 0));
    add_sum<L>(to, g.width, g.pixel, b.sum(unit, b.s.count, 1));
  }
  if (!grad_x) return;
  scaled<L>(b.scale, t.image, g.height * g.width, g.pixel, t.image);
  narrow(t.image, g.height * g.width, b.s.channels, g.pixel,
         grad_x + n * g.height * g.width * b.s.channels);
}

template <int L>
bool bank_backward(const BankShape& s, const float* const* grads, const float* x,
                   const float* scale, const float* shift, const float* const* weights,
                   float* grad_x, float* grad_affine, float* const* grad_weights, int threads) {
  Bank b(s);
  if (!b.prepare(scale, shift, weights, grad_weights)) return false;
  if (!for_bank_images(b, x, threads, [&](BankScratch& t, Index unit, Index n, const float* own) {
        backward_image<L>(b, t, unit, n, own, grads, grad_x, grad_affine);
      }))
    return false;
  if (grad_affine)
    for (int i = 0; i < 2; ++i)
      for (Index c = 0; c < s.channels; ++c)
        grad_affine[i * s.channels + c] = static_cast<float>(b.total(s.count, i, c));
  if (!grad_weights) return true;
  Arena memory;
  memory.reserve<float>(b.share);
  if (!memory.allocate()) return false;
  float* total = memory.take<float>(b.share);
  add_shares(b.shares, b.units, b.share, total);
  for (int k = 0; k < s.count; ++k)
    write_weights(b.filter[k], s.channels, b.g.pixel, total + b.offset[k], grad_weights[2 * k],
                  grad_weights[2 * k + 1]);
  return true;
}

}  // namespace

#ifdef __AVX512F__
namespace nasturtium::kernels::v3 {
extern const BankTable separable_bank;
}
#endif

namespace nasturtium::kernels::NASTURTIUM_ISA {

static bool forward(const BankShape& s, const float* x, const float* scale, const float* shift,
                    const float* const* weights, float* const* outs, float* mean, float* variance,
                    int threads) {
#ifdef __AVX512F__
  if (!fills_vectors(s.channels))
    return v3::separable_bank.forward(s, x, scale, shift, weights, outs, mean, variance, threads);
#endif
  return bank_forward<kLanes>(s, x, scale, shift, weights, outs, mean, variance, threads);
}

static bool backward(const BankShape& s, const float* const* grads, const float* x,
                     const float* scale, const float* shift, const float* const* weights,
                     float* grad_x, float* grad_affine, float* const* grad_weights, int threads) {
#ifdef __AVX512F__
  if (!fills_vectors(s.channels))
    return v3::separable_bank.backward(s, grads, x, scale, shift, weights, grad_x, grad_affine,
                                       grad_weights, threads);
#endif
  return bank_backward<kLanes>(s, grads, x, scale, shift, weights, grad_x, grad_affine,
                               grad_weights, threads);
}

extern const BankTable separable_bank;
const BankTable separable_bank{forward, backward};

}  // namespace nasturtium::kernels::NASTURTIUM_ISA
