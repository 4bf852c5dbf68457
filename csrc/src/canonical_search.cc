#include <algorithm>
#include <numeric>

#include "nasturtium/canonical.hpp"

// The search where refinement alone does not separate the vertices.
namespace nasturtium {
namespace {

constexpr std::size_t kMostAutomorphisms = 512;

}  // namespace

// The same for isomorphic (graph, individualized vertices).
std::uint64_t Canonizer::trace(const Level& node) const {
  std::uint64_t sum = node.cells;
  for (std::size_t v = 0; v < graph_->n; ++v) {
    sum += mix(node.colors[v] ^ 0x632BE59BD9B4E019ull);
  }
  return sum;
}

// Where the edges of each vertex begin; `in_edges_` are their numbers by (to, from).
void Canonizer::find_neighbors() {
  const EdgeList& g = *graph_;
  out_starts_.assign(g.n + 1, 0);
  in_starts_.assign(g.n + 1, 0);
  in_edges_.resize(g.edges());
  for (std::size_t e = 0; e < g.edges(); ++e) {
    ++out_starts_[g.from[e] + 1u];
    ++in_starts_[g.to[e] + 1u];
  }
  std::partial_sum(out_starts_.begin(), out_starts_.end(), out_starts_.begin());
  std::partial_sum(in_starts_.begin(), in_starts_.end(), in_starts_.begin());
  usable_.assign(in_starts_.begin(), in_starts_.end());
  for (std::size_t e = 0; e < g.edges(); ++e) {
    in_edges_[usable_[g.to[e]]++] = static_cast<std::uint32_t>(e);
  }
}

bool Canonizer::are_twins(std::size_t v, std::size_t w) const {
  const EdgeList& g = *graph_;
  const auto label = [&g](std::size_t e) { return g.edge_labels.empty() ? 0 : g.edge_labels[e]; };
  const std::uint32_t outs = out_starts_[v + 1] - out_starts_[v];
  const std::uint32_t ins = in_starts_[v + 1] - in_starts_[v];
  if (g.labels[v] != g.labels[w] || outs != out_starts_[w + 1] - out_starts_[w] ||
      ins != in_starts_[w + 1] - in_starts_[w]) {
    return false;
  }
  for (std::uint32_t i = 0; i < outs; ++i) {
    const std::size_t a = out_starts_[v] + i, b = out_starts_[w] + i;
    if (g.to[a] != g.to[b] || label(a) != label(b)) {
      return false;
    }
  }
  for (std::uint32_t i = 0; i < ins; ++i) {
    const std::size_t a = in_edges_[in_starts_[v] + i], b = in_edges_[in_starts_[w] + i];
    if (g.from[a] != g.from[b] || label(a) != label(b)) {
      return false;
    }
  }
  return true;
}

// Vertices with the same labels and the same neighbors can be swapped: automorphisms for nothing,
// and the ones that repeated equal branches of a network give.
void Canonizer::find_twins(const Level& root) {
  const EdgeList& g = *graph_;
  for (std::size_t v = twin_terms_.size() / 2; v < g.n; ++v) {
    twin_terms_.push_back(mix(2 * v));
    twin_terms_.push_back(mix(2 * v + 1));
  }
  twin_class_.resize(g.n);
  next_twin_.resize(g.n);
  std::iota(twin_class_.begin(), twin_class_.end(), std::uint16_t{0});
  std::iota(next_twin_.begin(), next_twin_.end(), std::uint16_t{0});
  // Twins have one color, and one hash of their neighbors: only those are compared.
  hashes_.assign(root.colors.begin(), root.colors.begin() + static_cast<std::ptrdiff_t>(g.n));
  for (std::size_t e = 0; e < g.edges(); ++e) {
    hashes_[g.from[e]] += twin_terms_[2u * g.to[e]];
    hashes_[g.to[e]] += twin_terms_[2u * g.from[e] + 1];
  }
  find_classes(root.colors.data());
  fresh_.clear();
  for (std::size_t v = 0; v < g.n; ++v) {
    if (counts_[places_[v]] > 1) {
      fresh_.push_back(static_cast<std::uint16_t>(v));
    }
  }
  std::sort(fresh_.begin(), fresh_.end(), [this](std::uint16_t a, std::uint16_t b) {
    return hashes_[a] != hashes_[b] ? hashes_[a] < hashes_[b] : a < b;
  });
  bool ready = false;
  for (std::size_t i = 0, j = 0; i < fresh_.size(); i = j) {
    const std::uint16_t least = fresh_[i];
    for (j = i + 1; j < fresh_.size() && hashes_[fresh_[j]] == hashes_[least]; ++j) {
      if (!ready) {
        find_neighbors();
        ready = true;
      }
      const std::uint16_t v = fresh_[j];
      if (are_twins(least, v)) {
        twin_class_[v] = least;
        next_twin_[v] = next_twin_[least];
        next_twin_[least] = v;
      }
    }
  }
}

// For each vertex one of its color, the same for all of them, and by that their number.
void Canonizer::find_classes(const std::uint64_t* colors) {
  const std::size_t n = graph_->n, last = slots_.size() - 1;
  place_colors(colors);
  places_.resize(n);
  counts_.assign(n, 0);
  for (std::size_t v = 0; v < n; ++v) {
    std::size_t at = colors[v] & last;
    while (colors[slots_[at] - 1] != colors[v]) {
      at = (at + 1) & last;
    }
    places_[v] = static_cast<std::uint16_t>(slots_[at] - 1);
    ++counts_[places_[v]];
  }
}

// The smallest cell of several vertices, of these the one with the least color.
void Canonizer::target_cell(Level& node) {
  const std::size_t n = graph_->n;
  const std::uint64_t* colors = node.colors.data();
  find_classes(colors);
  std::size_t best = n;
  for (std::size_t v = 0; v < n; ++v) {
    if (counts_[v] > 1 && (best == n || counts_[v] < counts_[best] ||
                           (counts_[v] == counts_[best] && colors[v] < colors[best]))) {
      best = v;
    }
  }
  node.cell.clear();
  for (std::size_t v = best; v < n; ++v) {
    if (places_[v] == best) {
      node.cell.push_back(static_cast<std::uint16_t>(v));
    }
  }
}

// Marks all vertices that known automorphisms which fix the first `length` vertices of the path map
// the explored ones to.
void Canonizer::spread_orbit(std::size_t length, const Vertices& path, const Vertices& explored,
                             std::vector<std::uint8_t>& orbit) {
  on_path_.assign(graph_->n, 0);
  class_done_.assign(graph_->n, 0);
  for (std::size_t i = 0; i < length; ++i) {
    on_path_[path[i]] = 1;
  }
  usable_.clear();
  for (std::size_t i = 0; i < automorphisms_.size(); ++i) {
    const Vertices& p = automorphisms_[i];
    if (std::all_of(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(length),
                    [&p](std::uint16_t v) { return p[v] == v; })) {
      usable_.push_back(static_cast<std::uint32_t>(i));
    }
  }
  // Permutations of finite order: the closure under their forward images is the whole orbit.
  fresh_.clear();
  const auto reach = [&](std::uint16_t v) {
    if (!orbit[v]) {
      orbit[v] = 1;
      fresh_.push_back(v);
    }
  };
  for (const std::uint16_t v : explored) {
    orbit[v] = 1;
  }
  fresh_ = explored;
  while (!fresh_.empty()) {
    const std::uint16_t v = fresh_.back();
    fresh_.pop_back();
    if (!on_path_[v] && !class_done_[twin_class_[v]]) {
      class_done_[twin_class_[v]] = 1;
      for (std::uint16_t twin = next_twin_[v]; twin != v; twin = next_twin_[twin]) {
        if (!on_path_[twin]) {
          reach(twin);
        }
      }
    }
    for (const std::uint32_t i : usable_) {
      reach(automorphisms_[i][v]);
    }
  }
}

Canonizer::Level& Canonizer::level_at(std::size_t level) {
  if (levels_.size() <= level) {
    levels_.resize(level + 1);
  }
  return levels_[level];
}

// Comes to a node of the search. False where it has no children to look at; `back_` is then the
// level to go back to, or below which to stop.
bool Canonizer::open(std::size_t level) {
  back_ = level;
  if (++visited_ > budget_) {
    over_ = true;
    return false;
  }
  Level& node = levels_[level];
  traces_.resize(level);
  const std::uint64_t own = trace(node);
  traces_.push_back(own);
  // `tied_`: the traces above equal the best leaf's, so that this one decides.
  if (has_leaf_ && tied_) {
    if (level >= best_traces_.size() || own > best_traces_[level]) {
      return false;
    }
    tied_ = own == best_traces_[level];
  }
  if (node.cells == graph_->n) {
    back_ = leaf(level);
    return false;
  }
  target_cell(node);
  node.next = 0;
  node.explored.clear();
  node.equivalent.assign(graph_->n, 0);
  return true;
}

// Individualizes the next vertex of the node's cell that is not equivalent to an explored one.
bool Canonizer::next_child(std::size_t level) {
  level_at(level + 1);
  Level &node = levels_[level], &child = levels_[level + 1];
  if (!node.explored.empty() && node.next < node.cell.size()) {
    spread_orbit(level, path_, node.explored, node.equivalent);
  }
  while (node.next < node.cell.size() && node.equivalent[node.cell[node.next]]) {
    ++node.next;
  }
  if (node.next == node.cell.size()) {
    return false;
  }
  const std::uint16_t v = node.cell[node.next++];
  node.explored.push_back(v);
  child.colors.assign(node.colors.begin(),
                      node.colors.begin() + static_cast<std::ptrdiff_t>(graph_->n));
  child.colors[v] = mix(node.colors[v] ^ 0xA0761D6478BD642Full);
  child.cells = refine(child.colors.data(), count_colors(child.colors.data()));
  path_.push_back(v);
  // A better leaf found below starts with this path's traces, so the tie holds from then on.
  tied_ = ties_with_best();
  return true;
}

// Goes through the tree without recursion: it may be as deep as there are vertices.
void Canonizer::search() {
  std::size_t level = 0;
  bool inside = open(0);
  while (!over_) {
    if (!inside) {
      if (level == 0) {
        return;
      }
      level = std::min(level - 1, back_);
      path_.resize(level);
      traces_.resize(level + 1);
    }
    if (next_child(level)) {
      inside = open(++level);
    } else {
      back_ = level;
      inside = false;
    }
  }
}

bool Canonizer::ties_with_best() const {
  return !has_leaf_ || (traces_.size() <= best_traces_.size() &&
                        std::equal(traces_.begin(), traces_.end(), best_traces_.begin()));
}

std::size_t Canonizer::leaf(std::size_t level) {
  sort_by_color(levels_[level].colors.data(), order_);
  write_form(order_, form_);
  if (!has_leaf_) {
    has_leaf_ = true;
    first_form_ = best_form_ = form_;
    first_order_ = best_order_ = order_;
    first_path_ = best_path_ = path_;
    best_traces_ = traces_;
    return level;
  }
  if (form_ == best_form_) {
    learn(best_order_, order_);
    return common_level(best_path_);
  }
  if (form_ == first_form_) {
    learn(first_order_, order_);
    return common_level(first_path_);
  }
  if (!tied_ || traces_.size() < best_traces_.size() || form_ < best_form_) {
    best_form_ = form_;
    best_order_ = order_;
    best_path_ = path_;
    best_traces_ = traces_;
  }
  return level;
}

// Keeps the automorphism that maps one leaf to another with the same form.
void Canonizer::learn(const Vertices& from, const Vertices& to) {
  if (automorphisms_.size() >= std::max(kMostAutomorphisms, 2 * graph_->n)) {
    forgot_ = true;
    return;
  }
  Vertices& p = automorphisms_.emplace_back(graph_->n);
  for (std::size_t i = 0; i < graph_->n; ++i) {
    p[from[i]] = to[i];
  }
}

// The level where the current path leaves another: what lies below is equivalent to what was seen.
std::size_t Canonizer::common_level(const Vertices& path) const {
  std::size_t level = 0;
  while (level < path.size() && level < path_.size() && path[level] == path_[level]) {
    ++level;
  }
  return level;
}

Status Canonizer::orbit_sizes(std::vector<std::uint32_t>& sizes) {
  if (forgot_) {
    return Status::fail(Code::budget, 0,
                        "the graph has more generating automorphisms than are kept");
  }
  sizes.clear();
  std::vector<std::uint8_t> orbit;
  for (std::size_t level = 0; level < best_path_.size(); ++level) {
    orbit.assign(graph_->n, 0);
    spread_orbit(level, best_path_, {best_path_[level]}, orbit);
    const auto size = static_cast<std::uint32_t>(std::count(orbit.begin(), orbit.end(), 1));
    if (size > 1) {
      sizes.push_back(size);
    }
  }
  return {};
}

}  // namespace nasturtium
