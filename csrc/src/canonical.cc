#include "nasturtium/canonical.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace nasturtium {
namespace {

constexpr std::size_t kMaxAutomorphisms = 512;
constexpr std::size_t kStop = 0;

template <typename F>
void for_each_bit(std::uint64_t set, F f) {
  for (; set != 0; set &= set - 1) {
    f(static_cast<std::size_t>(std::countr_zero(set)));
  }
}

}  // namespace

void Digraph::clear(std::size_t vertices) {
  n = vertices;
  std::fill_n(labels.begin(), n, 0);
  std::fill_n(out.begin(), n, 0);
  std::fill_n(in.begin(), n, 0);
}

void Digraph::add_edge(std::size_t from, std::size_t to, std::uint64_t label) {
  out[from] |= bit(to);
  in[to] |= bit(from);
  edge_labels[from * kMaxNodes + to] = label;
}

// Splits colors by the colors around, until their number stops growing; returns that number.
std::size_t Canonizer::refine(Colors& colors) const {
  const Digraph& g = *graph_;
  Colors sorted, next;
  std::size_t cells = 0;
  for (;;) {
    std::copy_n(colors.begin(), g.n, sorted.begin());
    std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(g.n));
    const auto end = std::unique(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(g.n));
    const auto found = static_cast<std::size_t>(end - sorted.begin());
    if (found == g.n || found <= cells) {
      return found;
    }
    cells = found;
    for (std::size_t v = 0; v < g.n; ++v) {
      std::uint64_t sum = mix(colors[v] ^ 0x2545F4914F6CDD1Dull);
      for_each_bit(g.in[v], [&](std::size_t u) {
        sum += mix(colors[u] + g.edge_labels[u * kMaxNodes + v] * 0x9E3779B97F4A7C15ull);
      });
      for_each_bit(g.out[v], [&](std::size_t w) {
        sum += mix(~colors[w] + g.edge_labels[v * kMaxNodes + w] * 0xD6E8FEB86659FD93ull) * 5;
      });
      next[v] = mix(sum);
    }
    std::copy_n(next.begin(), g.n, colors.begin());
  }
}

// The same for isomorphic (graph, individualized vertices).
std::uint64_t Canonizer::trace(const Colors& colors, std::size_t cells) const {
  std::uint64_t sum = cells;
  for (std::size_t v = 0; v < graph_->n; ++v) {
    sum += mix(colors[v] ^ 0x632BE59BD9B4E019ull);
  }
  return sum;
}

// Vertices with the same labels and the same neighbors can be swapped: automorphisms for nothing,
// and the ones that repeated equal branches of a network give.
void Canonizer::find_twins() {
  const Digraph& g = *graph_;
  std::uint64_t done = 0;
  for (std::size_t v = 0; v < g.n; ++v) {
    std::size_t previous = v;
    for (std::size_t w = v + 1; w < g.n && !(done & bit(v)); ++w) {
      if (g.labels[v] != g.labels[w] || g.in[v] != g.in[w] || g.out[v] != g.out[w]) {
        continue;
      }
      bool same = true;
      for_each_bit(g.in[v], [&](std::size_t u) {
        same &= g.edge_labels[u * kMaxNodes + v] == g.edge_labels[u * kMaxNodes + w];
      });
      for_each_bit(g.out[v], [&](std::size_t u) {
        same &= g.edge_labels[v * kMaxNodes + u] == g.edge_labels[w * kMaxNodes + u];
      });
      if (same && automorphisms_.size() < kMaxAutomorphisms) {
        done |= bit(w);
        Permutation& p = automorphisms_.emplace_back();
        std::iota(p.begin(), p.end(), std::uint8_t{0});
        std::swap(p[previous], p[w]);
        previous = w;
      }
    }
  }
}

// The smallest cell of several vertices, of these the one with the least color.
std::uint64_t Canonizer::target_cell(const Colors& colors) const {
  const std::size_t n = graph_->n;
  std::uint64_t best = 0, best_color = 0, seen = 0;
  for (std::size_t v = 0; v < n; ++v) {
    if (seen & bit(v)) {
      continue;
    }
    std::uint64_t cell = 0;
    for (std::size_t w = v; w < n; ++w) {
      cell |= colors[w] == colors[v] ? bit(w) : 0;
    }
    seen |= cell;
    const int size = std::popcount(cell);
    const int best_size = std::popcount(best);
    if (size > 1 &&
        (best == 0 || size < best_size || (size == best_size && colors[v] < best_color))) {
      best = cell;
      best_color = colors[v];
    }
  }
  return best;
}

// All vertices that known automorphisms which fix the current path map the explored ones to.
std::uint64_t Canonizer::orbit_of(std::uint64_t explored) const {
  std::array<const Permutation*, kMaxAutomorphisms> usable;
  std::size_t count = 0;
  for (const Permutation& p : automorphisms_) {
    if (std::all_of(path_.begin(), path_.end(), [&p](std::uint8_t v) { return p[v] == v; })) {
      usable[count++] = &p;
    }
  }
  // Permutations of finite order: the closure under their forward images is the whole orbit.
  std::uint64_t orbit = explored, fresh = explored;
  while (fresh != 0) {
    std::uint64_t images = 0;
    for_each_bit(fresh, [&](std::size_t v) {
      for (std::size_t i = 0; i < count; ++i) {
        images |= bit((*usable[i])[v]);
      }
    });
    fresh = images & ~orbit;
    orbit |= images;
  }
  return orbit;
}

std::size_t Canonizer::search(const Colors& colors, std::size_t cells, std::size_t level,
                              bool tied) {
  if (++visited_ > budget_) {
    over_ = true;
    return kStop;
  }
  traces_.resize(level);
  const std::uint64_t own = trace(colors, cells);
  traces_.push_back(own);
  // `tied`: the traces above equal the best leaf's, so that this one decides.
  if (has_leaf_ && tied) {
    if (level >= best_traces_.size() || own > best_traces_[level]) {
      return level;
    }
    tied = own == best_traces_[level];
  }
  if (cells == graph_->n) {
    return leaf(colors, level, tied);
  }
  const std::uint64_t cell = target_cell(colors);
  std::uint64_t explored = 0, equivalent = 0;
  for (std::size_t v = 0; v < graph_->n; ++v) {
    if (!(cell & bit(v) & ~equivalent)) {
      continue;
    }
    Colors next = colors;
    next[v] = mix(colors[v] ^ 0xA0761D6478BD642Full);
    const std::size_t next_cells = refine(next);
    path_.push_back(static_cast<std::uint8_t>(v));
    // A better leaf found below starts with this path's traces, so the tie holds from then on.
    const std::size_t back = search(next, next_cells, level + 1, ties_with_best());
    path_.pop_back();
    traces_.resize(level + 1);
    if (over_ || back < level) {
      return over_ ? kStop : back;
    }
    explored |= bit(v);
    equivalent = orbit_of(explored);
  }
  return level;
}

bool Canonizer::ties_with_best() const {
  return !has_leaf_ || (traces_.size() <= best_traces_.size() &&
                        std::equal(traces_.begin(), traces_.end(), best_traces_.begin()));
}

std::size_t Canonizer::leaf(const Colors& colors, std::size_t level, bool tied) {
  Permutation order{};
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(graph_->n);
  std::iota(order.begin(), end, std::uint8_t{0});
  std::sort(order.begin(), end,
            [&colors](std::uint8_t a, std::uint8_t b) { return colors[a] < colors[b]; });
  write_form(order, form_);
  if (!has_leaf_) {
    has_leaf_ = true;
    first_form_ = best_form_ = form_;
    first_order_ = best_order_ = order;
    first_path_ = best_path_ = path_;
    best_traces_ = traces_;
    return level;
  }
  if (form_ == best_form_) {
    learn(best_order_, order);
    return common_level(best_path_);
  }
  if (form_ == first_form_) {
    learn(first_order_, order);
    return common_level(first_path_);
  }
  if (!tied || traces_.size() < best_traces_.size() || form_ < best_form_) {
    best_form_ = form_;
    best_order_ = order;
    best_path_ = path_;
    best_traces_ = traces_;
  }
  return level;
}

// Keeps the automorphism that maps one leaf to another with the same form.
void Canonizer::learn(const Permutation& from, const Permutation& to) {
  if (automorphisms_.size() < kMaxAutomorphisms) {
    Permutation& p = automorphisms_.emplace_back();
    std::iota(p.begin(), p.end(), std::uint8_t{0});
    for (std::size_t i = 0; i < graph_->n; ++i) {
      p[from[i]] = to[i];
    }
  }
}

// The level where the current path leaves another: what lies below is equivalent to what was seen.
std::size_t Canonizer::common_level(const std::vector<std::uint8_t>& path) const {
  std::size_t level = 0;
  while (level < path.size() && level < path_.size() && path[level] == path_[level]) {
    ++level;
  }
  return level;
}

void Canonizer::write_form(const Permutation& order, std::vector<std::uint64_t>& form) const {
  const Digraph& g = *graph_;
  std::array<std::uint8_t, kMaxNodes> place;
  for (std::size_t i = 0; i < g.n; ++i) {
    place[order[i]] = static_cast<std::uint8_t>(i);
  }
  form.assign(1 + 2 * g.n, 0);
  form[0] = g.n;
  for (std::size_t i = 0; i < g.n; ++i) {
    form[1 + i] = g.labels[order[i]];
    for_each_bit(g.out[order[i]], [&](std::size_t w) { form[1 + g.n + i] |= bit(place[w]); });
  }
  for (std::size_t i = 0; i < g.n; ++i) {
    for_each_bit(form[1 + g.n + i], [&](std::size_t j) {
      form.push_back(g.edge_labels[order[i] * kMaxNodes + order[j]]);
    });
  }
}

Status Canonizer::run(const Digraph& graph, std::vector<std::uint64_t>& form,
                      std::uint64_t budget) {
  graph_ = &graph;
  budget_ = budget;
  visited_ = 0;
  over_ = has_leaf_ = false;
  automorphisms_.clear();
  path_.clear();
  traces_.clear();
  best_traces_.clear();
  Colors colors{};
  for (std::size_t v = 0; v < graph.n; ++v) {
    colors[v] = mix(graph.labels[v] ^ 0x8EBC6AF09C88C6E3ull);
  }
  const std::size_t cells = refine(colors);
  if (cells < graph.n) {
    find_twins();
  }
  search(colors, cells, 0, true);
  if (over_) {
    return Status::fail(
        Code::budget, 0,
        "the exact canonical form takes more than " + std::to_string(budget) + " search nodes");
  }
  form = best_form_;
  return {};
}

}  // namespace nasturtium
