#include "nasturtium/canonical.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#endif

namespace nasturtium {
namespace {

constexpr std::size_t kFewVertices = 16;
constexpr std::uint64_t kFromFactor = 0x9E3779B97F4A7C15ull;
constexpr std::uint64_t kToFactor = 0xD6E8FEB86659FD93ull;

template <typename F>
void for_each_bit(std::uint64_t set, F f) {
  for (; set != 0; set &= set - 1) {
    f(static_cast<std::size_t>(std::countr_zero(set)));
  }
}

// What the tail of an edge adds to its head's color, and the head to its tail's.
std::uint64_t in_term(std::uint64_t color, std::uint64_t label) {
  return mix(color + label * kFromFactor);
}
std::uint64_t out_term(std::uint64_t color, std::uint64_t label) {
  return mix(~color + label * kToFactor) * 5;
}

#if defined(__SSE4_2__)

__m128i two_words(const std::uint64_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

// The number of distinct ones of a few colors, without a branch that depends on them.
std::size_t count_few(const std::uint64_t* colors, std::size_t n) {
  std::size_t found = n > 0;
  for (std::size_t v = 1; v < n; ++v) {
    const __m128i own = _mm_set1_epi64x(static_cast<long long>(colors[v]));
    __m128i same = _mm_cmpeq_epi64(own, _mm_set1_epi64x(static_cast<long long>(colors[v - 1])));
    for (std::size_t w = 0; w + 1 < v; w += 2) {
      same = _mm_or_si128(same, _mm_cmpeq_epi64(own, two_words(colors + w)));
    }
    found += static_cast<std::size_t>(_mm_testz_si128(same, same));
  }
  return found;
}

// How many of a few colors are less than each.
void rank_few(const std::uint64_t* colors, std::size_t n, std::size_t* less) {
  // The comparison is of signed numbers; the last one is less than none.
  std::uint64_t shifted[kFewVertices + 1];
  for (std::size_t v = 0; v < n; ++v) {
    shifted[v] = colors[v] ^ bit(63);
  }
  shifted[n] = ~bit(63);
  for (std::size_t v = 0; v < n; ++v) {
    const __m128i own = _mm_set1_epi64x(static_cast<long long>(shifted[v]));
    __m128i count = _mm_setzero_si128();
    for (std::size_t w = 0; w < n; w += 2) {
      count = _mm_sub_epi64(count, _mm_cmpgt_epi64(own, two_words(shifted + w)));
    }
    less[v] = static_cast<std::size_t>(_mm_cvtsi128_si64(count) + _mm_extract_epi64(count, 1));
  }
}

#else

std::size_t count_few(const std::uint64_t* colors, std::size_t n) {
  std::size_t found = 0;
  for (std::size_t v = 0; v < n; ++v) {
    bool same = false;
    for (std::size_t w = 0; w < v; ++w) {
      same |= colors[w] == colors[v];
    }
    found += !same;
  }
  return found;
}

void rank_few(const std::uint64_t* colors, std::size_t n, std::size_t* less) {
  for (std::size_t v = 0; v < n; ++v) {
    less[v] = 0;
    for (std::size_t w = 0; w < n; ++w) {
      less[v] += colors[w] < colors[v];
    }
  }
}

#endif

}  // namespace

void Digraph::clear(std::size_t vertices) {
  n = vertices;
  std::fill_n(labels.begin(), n, 0);
  std::fill_n(out.begin(), n, 0);
}

void Digraph::add_edge(std::size_t from, std::size_t to, std::uint64_t label) {
  out[from] |= bit(to);
  edge_labels[from * kMaxNodes + to] = label;
}

void EdgeList::clear(std::size_t vertices) {
  n = vertices;
  labels.assign(n, 0);
  from.clear();
  to.clear();
  edge_labels.clear();
}

// The number of distinct colors.
std::size_t Canonizer::count_colors(const std::uint64_t* colors) {
  return graph_->n <= kFewVertices ? count_few(colors, graph_->n) : place_colors(colors);
}

// The same, with the first vertex of each color in `slots_`.
std::size_t Canonizer::place_colors(const std::uint64_t* colors) {
  const std::size_t n = graph_->n, last = slots_.size() - 1;
  std::fill(slots_.begin(), slots_.end(), std::uint16_t{0});
  std::size_t found = 0;
  for (std::size_t v = 0; v < n; ++v) {
    std::size_t at = colors[v] & last;
    while (slots_[at] != 0 && colors[slots_[at] - 1] != colors[v]) {
      at = (at + 1) & last;
    }
    if (slots_[at] == 0) {
      slots_[at] = static_cast<std::uint16_t>(v + 1);
      ++found;
    }
  }
  return found;
}

void Canonizer::recolor(std::uint64_t* colors) {
  const std::size_t n = graph_->n, edges = graph_->edges();
  const std::uint16_t *from = graph_->from.data(), *to = graph_->to.data();
  std::uint64_t *in_terms = in_terms_.data(), *out_terms = out_terms_.data(), *sums = sums_.data();
  for (std::size_t v = 0; v < n; ++v) {
    sums[v] = mix(colors[v] ^ 0x2545F4914F6CDD1Dull);
  }
  if (one_label_) {
    for (std::size_t v = 0; v < n; ++v) {
      in_terms[v] = in_term(colors[v], shared_label_);
      out_terms[v] = out_term(colors[v], shared_label_);
    }
    for (std::size_t e = 0; e < edges; ++e) {
      sums[to[e]] += in_terms[from[e]];
      sums[from[e]] += out_terms[to[e]];
    }
  } else {
    for (std::size_t e = 0; e < edges; ++e) {
      const std::uint64_t label = graph_->edge_labels[e];
      sums[to[e]] += in_term(colors[from[e]], label);
      sums[from[e]] += out_term(colors[to[e]], label);
    }
  }
  for (std::size_t v = 0; v < n; ++v) {
    colors[v] = mix(sums[v]);
  }
}

// The number of distinct labels, quickly where they are small.
std::size_t Canonizer::count_labels(const std::uint64_t* colors) {
  std::uint64_t seen = 0, all = 0;
  for (const std::uint64_t label : graph_->labels) {
    seen |= bit(label % 64);
    all |= label;
  }
  return all < 64 ? static_cast<std::size_t>(std::popcount(seen)) : count_colors(colors);
}

// Splits colors, of which there are `found`, by the colors around, until their number stops
// growing; returns that number.
std::size_t Canonizer::refine(std::uint64_t* colors, std::size_t found) {
  for (std::size_t cells = 0; found != graph_->n && found > cells;) {
    cells = found;
    recolor(colors);
    found = count_colors(colors);
  }
  return found;
}

// Colors are hashes, so that their upper bits bring all of them close to their places.
void Canonizer::sort_by_color(const std::uint64_t* colors, Vertices& order) {
  const std::size_t n = graph_->n;
  const auto bits = static_cast<unsigned>(std::bit_width(std::max<std::size_t>(n, 1)));
  order.resize(n);
  if (n <= kFewVertices) {
    // Without branches that depend on the colors.
    std::size_t less[kFewVertices];
    rank_few(colors, n, less);
    for (std::size_t v = 0; v < n; ++v) {
      order[less[v]] = static_cast<std::uint16_t>(v);
    }
    return;
  }
  counts_.assign((std::size_t{1} << bits) + 1, 0);
  for (std::size_t v = 0; v < n; ++v) {
    ++counts_[(colors[v] >> (64 - bits)) + 1];
  }
  std::partial_sum(counts_.begin(), counts_.end(), counts_.begin());
  for (std::size_t v = 0; v < n; ++v) {
    order[counts_[colors[v] >> (64 - bits)]++] = static_cast<std::uint16_t>(v);
  }
  for (std::size_t i = 1; i < n; ++i) {
    const std::uint16_t v = order[i];
    std::size_t at = i;
    for (; at > 0 && colors[order[at - 1]] > colors[v]; --at) {
      order[at] = order[at - 1];
    }
    order[at] = v;
  }
}

void Canonizer::write_form(const Vertices& order, std::vector<std::uint64_t>& form) {
  const EdgeList& g = *graph_;
  const std::size_t n = g.n, words = row_words(n);
  form.assign(1 + n + n * words, 0);
  form[0] = n;
  places_.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    places_[order[i]] = static_cast<std::uint16_t>(i);
    form[1 + i] = g.labels[order[i]];
  }
  std::uint64_t* rows = form.data() + 1 + n;
  for (std::size_t e = 0; e < g.edges(); ++e) {
    const std::size_t to = places_[g.to[e]];
    rows[places_[g.from[e]] * words + to / 64] |= bit(to % 64);
  }
  if (!g.edge_labels.empty()) {
    place_edge_labels(form);
  }
}

void Canonizer::place_edge_labels(std::vector<std::uint64_t>& form) {
  const EdgeList& g = *graph_;
  const std::size_t n = g.n, words = row_words(n), begin = 1 + n + n * words;
  form.resize(begin + g.edges());
  const std::uint64_t* rows = form.data() + 1 + n;
  row_starts_.resize(n * words + 1);
  row_starts_[0] = 0;
  for (std::size_t i = 0; i < n * words; ++i) {
    row_starts_[i + 1] = row_starts_[i] + static_cast<std::uint32_t>(std::popcount(rows[i]));
  }
  for (std::size_t e = 0; e < g.edges(); ++e) {
    const std::size_t to = places_[g.to[e]], word = places_[g.from[e]] * words + to / 64;
    const int before = std::popcount(rows[word] & (bit(to % 64) - 1));
    form[begin + row_starts_[word] + static_cast<std::size_t>(before)] = g.edge_labels[e];
  }
}

void Canonizer::prepare() {
  const EdgeList& g = *graph_;
  const std::size_t slots = std::bit_ceil(4 * std::max<std::size_t>(g.n, 1));
  if (slots_.size() != slots) {
    slots_.resize(slots);
  }
  if (sums_.size() < g.n) {
    sums_.resize(g.n);
    in_terms_.resize(g.n);
    out_terms_.resize(g.n);
  }
  shared_label_ = g.edge_labels.empty() ? 0 : g.edge_labels[0];
  one_label_ = std::all_of(g.edge_labels.begin(), g.edge_labels.end(),
                           [this](std::uint64_t label) { return label == shared_label_; });
  visited_ = 0;
  over_ = has_leaf_ = forgot_ = false;
  tied_ = true;
  automorphisms_.clear();
  path_.clear();
  best_path_.clear();
  traces_.clear();
  best_traces_.clear();
}

Status Canonizer::run(const EdgeList& graph, std::uint64_t budget) {
  graph_ = &graph;
  budget_ = budget;
  prepare();
  Level& root = level_at(0);
  root.colors.resize(std::max(root.colors.size(), graph.n));
  for (std::size_t v = 0; v < graph.n; ++v) {
    root.colors[v] = mix(graph.labels[v] ^ 0x8EBC6AF09C88C6E3ull);
  }
  root.cells = refine(root.colors.data(), count_labels(root.colors.data()));
  if (root.cells == graph.n && budget > 0) {
    visited_ = 1;
    sort_by_color(root.colors.data(), best_order_);
    write_form(best_order_, best_form_);
    return {};
  }
  find_twins(root);
  search();
  if (over_) {
    return Status::fail(
        Code::budget, 0,
        "the exact canonical form takes more than " + std::to_string(budget) + " search nodes");
  }
  return {};
}

Status Canonizer::run(const Digraph& graph, std::vector<std::uint64_t>& form,
                      std::uint64_t budget) {
  own_.clear(graph.n);
  std::copy_n(graph.labels.begin(), graph.n, own_.labels.begin());
  for (std::size_t v = 0; v < graph.n; ++v) {
    for_each_bit(graph.out[v], [&](std::size_t w) {
      own_.from.push_back(static_cast<std::uint16_t>(v));
      own_.to.push_back(static_cast<std::uint16_t>(w));
      own_.edge_labels.push_back(graph.edge_labels[v * kMaxNodes + w]);
    });
  }
  Status status = run(own_, budget);
  if (status.ok()) {
    form = best_form_;
  }
  return status;
}

}  // namespace nasturtium
