#pragma once
// What both directions of a mixed operation share: its plan, prepared weights, statistics, and the
// scratch of one thread.

#include "mixed_op/cpu.hpp"
#include "mixed_op/halve.hpp"
#include "mixed_op/pools.hpp"

namespace {

using namespace nasturtium::kernels;

constexpr int kMostStages = 7;
constexpr int kMostNorms = 9;

// One ReLU -> depthwise -> pointwise -> normalization; of kernel 0 the skipped input of stride 2.
struct Stage {
  int kernel, dilation, norm, alpha;  // alpha: number of the candidate that it belongs to
  bool second;                        // takes the normalized output of the stage before it
  bool last;                          // its normalized output is the candidate's
};

struct Plan {
  int norms = 0, stages = 0, average = -1;          // average: the normalization of averages, or -1
  int norm_of[kCandidates], stage_of[kCandidates];  // of a candidate's output, or -1
  Stage stage[kMostStages];

  explicit Plan(const MixedShape& s) {
    for (int k = 0; k < s.count; ++k) {
      norm_of[k] = stage_of[k] = -1;
      switch (s.candidates[k]) {
        case kAveragePool:
          average = norms;
          [[fallthrough]];
        case kMaxPool:
          norm_of[k] = norms++;
          break;
        case kSeparable3:
        case kSeparable5: {
          const int kernel = s.candidates[k] == kSeparable3 ? 3 : 5;
          add({kernel, 1, norms, k, false, false});
          add({kernel, 1, norms, k, true, true});
          break;
        }
        case kDilated3:
        case kDilated5:
          add({s.candidates[k] == kDilated3 ? 3 : 5, 2, norms, k, false, true});
          break;
        case kSkip:
          if (s.stride == 2) add({0, 1, norms, k, false, true});
          break;
        default:
          break;
      }
      if (stage_of[k] >= 0) norm_of[k] = stage[stage_of[k]].norm;
    }
  }
  // The border that all stages of a kind fit into.
  Index border(bool second) const {
    Index most = 0;
    for (int i = 0; i < stages; ++i) {
      const Index reach = static_cast<Index>(stage[i].dilation) * (stage[i].kernel - 1) / 2;
      const Index own = stage[i].kernel ? reach : 1;
      if (stage[i].second == second && own > most) most = own;
    }
    return most;
  }

 private:
  void add(const Stage& next) {
    stage_of[next.alpha] = stages;
    stage[stages++] = next;
    ++norms;
  }
};

// Images are divided into units by the batch alone; a unit's sums are one share of a total.
struct Units {
  Index run, count;
  explicit Units(Index batch) : run((batch + kMostUnits - 1) / kMostUnits), count(0) {
    if (run < 1) run = 1;
    count = (batch + run - 1) / run;
  }
};

// The shape with several images side by side in a pixel, where their few channels fill a register
// together: one of twice the channels and half the batch, whose weights repeat.
inline MixedShape packed(MixedShape s) {
  if (s.stride != 1 || s.each || !s.pack) return s;
  for (Index lanes = kLanes > 8 ? kLanes : 8; lanes >= 8; lanes /= 2) {
    const Index many = lanes / s.channels;
    if (many < 2 || lanes % s.channels || s.batch % many) continue;
    s.channels *= many;
    s.batch /= many;
    return s;
  }
  return s;
}

struct Edge {
  MixedShape s;      // packed
  Index own, packs;  // channels of one image, and images of a pixel
  Plan plan;
  Grid whole, half;  // of stages that read x, and of second stages
  Units units;
  Filter filter[kMostStages];
  HalveFilter halve;
  // [norms][pixel]. Averages are those of x less their mean, which would drown the rest: until it
  // is known, of what the first image has.
  float *mean, *inverse;
  float* zeros;                   // [pixel]
  float *mix_mean, *mix_inverse;  // [candidates][pixel]
  double* sums;                   // [units][norms][2][pixel]
  Index pixel;
  Arena arena;

  explicit Edge(const MixedShape& shape)
      : s(packed(shape)),
        own(shape.channels),
        packs(s.channels / own),
        plan(s),
        whole(s.channels, s.height, s.width, s.stride, plan.border(false)),
        half(s.channels, whole.out_height, whole.out_width, 1, plan.border(true)),
        units(s.batch),
        pixel(whole.pixel) {}

  bool prepare(const float* const* weights) {
    for (int i = 0; i < plan.stages; ++i) {
      filter[i].kernel = plan.stage[i].kernel;
      filter[i].dilation = plan.stage[i].dilation;
      if (filter[i].kernel)
        filter[i].reserve(arena, own, pixel);
      else
        HalveFilter::reserve(arena, s.channels, pixel);
    }
    for (int i = 0; i < 2; ++i) arena.reserve<float>(kMostNorms * pixel);
    arena.reserve<float>(pixel);
    for (int i = 0; i < 2; ++i) arena.reserve<float>(kCandidates * pixel);
    arena.reserve<double>(units.count * plan.norms * 2 * pixel);
    if (!arena.allocate()) return false;
    for (int i = 0; i < plan.stages; ++i) {
      const float *one = weights[2 * i], *other = weights[2 * i + 1];
      if (filter[i].kernel)
        filter[i].take(arena, own, s.channels, pixel, one, other);
      else
        halve.take(arena, s.channels, pixel, one, other);
    }
    mean = arena.take<float>(kMostNorms * pixel);
    inverse = arena.take<float>(kMostNorms * pixel);
    zeros = arena.take<float>(pixel);
    for (Index c = 0; c < pixel; ++c) zeros[c] = 0;
    mix_mean = arena.take<float>(kCandidates * pixel);
    mix_inverse = arena.take<float>(kCandidates * pixel);
    const Index size = units.count * plan.norms * 2 * pixel;
    sums = arena.take<double>(size);
    std::memset(sums, 0, static_cast<std::size_t>(size) * sizeof(double));
    return true;
  }

  // A channel's sum over the images of a pixel, each of which has it.
  double of_pixel(const double* sums_, Index channel) const {
    if (packs == 1) return sums_[channel];
    double sum = 0;
    for (Index p = 0; p < packs; ++p) sum += sums_[p * own + channel % own];
    return sum;
  }
  // The same for sums that lie as a filter's taps and point, in place.
  void fold(const Filter& f, float* from) const {
    float* point = from + f.tap_count() * pixel;
    for (Index p = 1; p < packs; ++p)
      for (Index c = 0; c < own; ++c) {
        for (Index t = 0; t < f.tap_count(); ++t)
          from[t * pixel + c] += from[t * pixel + p * own + c];
        for (Index a = 0; a < own; ++a) point[a * pixel + c] += point[a * pixel + p * own + c];
      }
  }
  // Whether images are copied into pixels of whole vectors.
  bool copied() const { return pixel != own || s.parts > 1; }

  double* first(Index unit, int norm) const {
    return sums + (unit * plan.norms + norm) * 2 * pixel;
  }
  double* second(Index unit, int norm) const { return first(unit, norm) + pixel; }
  double elements() const {
    return static_cast<double>(s.batch * packs * whole.out_height * whole.out_width);
  }

  // What one channel's sums over all units come to.
  double total(int norm, Index which, Index channel) const {
    double sum = 0;
    for (Index unit = 0; unit < units.count; ++unit)
      sum += of_pixel(first(unit, norm) + which * pixel, channel);
    return sum;
  }

  void set_norm(int norm, Index channel, double about, double variance) const {
    mean[norm * pixel + channel] = static_cast<float>(about);
    inverse[norm * pixel + channel] = static_cast<float>(inverse_deviation(variance, s.epsilon));
  }
  // The statistics as they are given, [norms][channels].
  void read_norms(const float* about, const float* variance) const {
    for (int norm = 0; norm < plan.norms; ++norm)
      for (Index c = 0; c < pixel; ++c) {
        const Index at = norm * own + c % own;
        if (c < s.channels)
          set_norm(norm, c, static_cast<double>(about[at]), static_cast<double>(variance[at]));
        else
          mean[norm * pixel + c] = inverse[norm * pixel + c] = 0;
      }
  }

  // A first guess at the mean of averages, from x.
  void guess_mean(const float* x) const {
    if (plan.average < 0 || s.batch == 0) return;
    float* to = mean + plan.average * pixel;
    const Index pixels = s.height * s.width;
    for (Index c = 0; c < pixel; ++c) {
      double sum = 0;
      for (Index i = 0; c < s.channels && i < pixels; ++i)
        sum += static_cast<double>(x[i * own * s.parts + c % own]);
      to[c] = sum - sum == 0 ? static_cast<float>(sum / static_cast<double>(pixels)) : 0;
    }
  }
  // What images of a normalization still have of their mean.
  const float* mean_left(int norm) const {
    return norm == plan.average ? zeros : mean + norm * pixel;
  }

  // The output is sum over `many` of alpha inverse (z - mean); returns how many. A skipped input is
  // its own candidate with mean 0 and inverse 1.
  int mixture(int (&candidate)[kCandidates]) const {
    int many = 0;
    for (int k = 0; k < s.count; ++k) {
      if (s.candidates[k] == kNone) continue;
      for (Index c = 0; c < pixel; ++c) {
        const int norm = plan.norm_of[k];
        mix_mean[many * pixel + c] = norm < 0 ? 0 : mean_left(norm)[c];
        mix_inverse[many * pixel + c] = norm < 0 ? 1 : inverse[norm * pixel + c];
      }
      candidate[many++] = k;
    }
    return many;
  }

  // The alphas of image n.
  const float* weights_of(const float* alpha, Index n) const {
    return alpha + (s.each ? n * s.count : 0);
  }
};

// The working memory of one thread. The borders of both padded images stay zero.
struct Scratch {
  float *source, *spread;  // padded images, from the first pixel inside the border
  float *middle, *chunk;   // two chunks of output rows, and one
  float* pooled[2];        // of maxima and averages
  float *line, *wide_x, *wide_grad, *image;
  float *scale, *shift;  // [candidates][pixel] and [pixel], of an image
  double* sums;          // [candidates + 1][pixel], of an image
  float* local;          // what is kept of an image where nobody keeps it longer; or null
  Arena arena;

  // `spread_grid` may be null: there is no second image then.
  bool allocate(const Edge& e, const Grid& source_grid, const Grid* spread_grid, bool keep_here) {
    const Index chunk_size = e.whole.chunk() > e.half.chunk() ? e.whole.chunk() : e.half.chunk();
    const Index padded[2] = {source_grid.padded, spread_grid ? spread_grid->padded : 0};
    const Index wide = e.copied() ? e.whole.in_size() : 0;
    const struct {
      float** block;
      Index size;
    } parts[] = {{&source, padded[0]},
                 {&spread, padded[1]},
                 {&middle, 2 * chunk_size},
                 {&chunk, chunk_size},
                 {&pooled[0], chunk_size},
                 {&pooled[1], chunk_size},
                 {&line, e.whole.width * e.pixel},
                 {&wide_x, wide},
                 {&wide_grad, wide},
                 {&image, wide},
                 {&scale, kCandidates * e.pixel},
                 {&shift, e.pixel},
                 {&local, keep_here ? e.plan.stages * e.whole.out_size() : 0}};
    for (const auto& part : parts) arena.reserve<float>(part.size);
    arena.reserve<double>((kCandidates + 1) * e.pixel);
    if (!arena.allocate()) return false;
    for (const auto& part : parts) *part.block = arena.take<float>(part.size);
    sums = arena.take<double>((kCandidates + 1) * e.pixel);
    std::memset(source, 0, static_cast<std::size_t>(padded[0]) * sizeof(float));
    std::memset(spread, 0, static_cast<std::size_t>(padded[1]) * sizeof(float));
    source = source_grid.inside(source);
    if (spread_grid) spread = spread_grid->inside(spread);
    if (!keep_here) local = nullptr;
    return true;
  }
};

// Calls body(scratch, unit, image) for all images, unit by unit, after allocate(scratch) once for
// each thread.
template <class S, class Allocate, class Body>
bool for_images(const Edge& e, int threads, const Allocate& allocate, const Body& body) {
  return for_units(e.units.count, threads, [&](Index first, Index last) {
    S scratch;
    if (!allocate(scratch)) return false;
    for (Index unit = first; unit < last; ++unit)
      for (Index n = unit * e.units.run; n < (unit + 1) * e.units.run && n < e.s.batch; ++n)
        body(scratch, unit, n);
    return true;
  });
}
template <class Body>
bool for_images(const Edge& e, int threads, const Grid& source, const Grid* spread,
                const Body& body, bool keep_here = false) {
  return for_images<Scratch>(
      e, threads, [&](Scratch& t) { return t.allocate(e, source, spread, keep_here); }, body);
}

}  // namespace
