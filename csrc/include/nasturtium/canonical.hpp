#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nasturtium/space.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

constexpr std::size_t kMaxVertices = 4096;
constexpr std::uint64_t kSearchBudget = 100000;

// A directed graph of up to 64 vertices; vertices and edges carry labels, and where there are
// several edges from one vertex to another, their labels are combined into one by the caller.
struct Digraph {
  std::size_t n = 0;
  std::array<std::uint64_t, kMaxNodes> labels;
  std::array<std::uint64_t, kMaxNodes> out;  // bit w of out[v]: an edge from v to w
  std::array<std::uint64_t, kMaxNodes * kMaxNodes> edge_labels;  // [v * kMaxNodes + w], where set

  void clear(std::size_t vertices);
  void add_edge(std::size_t from, std::size_t to, std::uint64_t label);
};

// A directed graph of up to kMaxVertices vertices. Edges ascend by (from, to), no pair comes twice.
// Without edge labels all of them are 0.
struct EdgeList {
  std::size_t n = 0;
  std::vector<std::uint64_t> labels;
  std::vector<std::uint16_t> from, to;
  std::vector<std::uint64_t> edge_labels;

  std::size_t edges() const { return from.size(); }
  void clear(std::size_t vertices);
};

// Words of 64 bits that a row of the adjacency matrix takes.
constexpr std::size_t row_words(std::size_t vertices) {
  return vertices <= 64 ? 1 : (vertices + 63) / 64;
}

// The exact canonical form: equal for two graphs exactly when they are isomorphic, labels included.
// It is the number of vertices, their labels, the rows of the adjacency matrix (row_words each),
// and, where the graph has edge labels, these row by row, all in the canonical order.
//
// Color refinement, individualization of the smallest cell, and pruning by traces and by the
// orbits of automorphisms (twins to start with, then those found at equal leaves). Exact whatever
// the hashes do, because leaves are compared as whole forms. More than `budget` search nodes give
// Code::budget. Memory is kept for the next graph.
class Canonizer {
 public:
  Status run(const EdgeList& graph, std::uint64_t budget = kSearchBudget);
  Status run(const Digraph& graph, std::vector<std::uint64_t>& form,
             std::uint64_t budget = kSearchBudget);

  // Of the last graph that `run` took: its form, the vertex at each place of it, and the number of
  // search nodes.
  const std::vector<std::uint64_t>& form() const { return best_form_; }
  std::span<const std::uint16_t> order() const { return {best_order_.data(), graph_->n}; }
  std::uint64_t visited() const { return visited_; }

  // Numbers above 1 whose product is the number of automorphisms of the last graph: the orbits
  // along the path to its form. Code::budget where not all automorphisms found were kept.
  Status orbit_sizes(std::vector<std::uint32_t>& sizes);

 private:
  using Colors = std::vector<std::uint64_t>;
  using Vertices = std::vector<std::uint16_t>;

  // A node of the search on the current path: its coloring and the children it has.
  struct Level {
    Colors colors;
    std::size_t cells = 0, next = 0;
    Vertices cell, explored;
    std::vector<std::uint8_t> equivalent;  // to an explored vertex
  };

  std::size_t count_colors(const std::uint64_t* colors);
  std::size_t place_colors(const std::uint64_t* colors);
  void recolor(std::uint64_t* colors);
  std::size_t count_labels(const std::uint64_t* colors);
  std::size_t refine(std::uint64_t* colors, std::size_t found);
  void prepare();
  void find_neighbors();
  void find_twins(const Level& root);
  void find_classes(const std::uint64_t* colors);
  bool are_twins(std::size_t v, std::size_t w) const;
  std::uint64_t trace(const Level& node) const;
  void target_cell(Level& node);
  void spread_orbit(std::size_t length, const Vertices& path, const Vertices& explored,
                    std::vector<std::uint8_t>& orbit);
  Level& level_at(std::size_t level);
  bool open(std::size_t level);
  bool next_child(std::size_t level);
  void search();
  bool ties_with_best() const;
  std::size_t leaf(std::size_t level);
  void learn(const Vertices& from, const Vertices& to);
  std::size_t common_level(const Vertices& path) const;
  void sort_by_color(const std::uint64_t* colors, Vertices& order);
  void write_form(const Vertices& order, std::vector<std::uint64_t>& form);
  void place_edge_labels(std::vector<std::uint64_t>& form);

  const EdgeList* graph_ = nullptr;
  EdgeList own_;  // of a Digraph
  std::uint64_t budget_ = 0, visited_ = 0, shared_label_ = 0;
  bool one_label_ = true;  // all edges carry shared_label_
  bool over_ = false, has_leaf_ = false, tied_ = true, forgot_ = false;
  std::size_t back_ = 0;

  Colors in_terms_, out_terms_, sums_;
  Vertices slots_, counts_, places_;
  std::vector<std::uint32_t> row_starts_;

  // Only where refinement alone does not separate the vertices.
  std::vector<std::uint32_t> out_starts_, in_starts_, in_edges_;
  Colors hashes_, twin_terms_;
  Vertices twin_class_, next_twin_;  // the least twin of each vertex; the next in a ring of twins
  std::vector<Vertices> automorphisms_;
  std::vector<std::uint8_t> on_path_, class_done_;
  std::vector<std::uint32_t> usable_;
  Vertices fresh_;
  std::vector<Level> levels_;
  Vertices path_, best_path_, first_path_;
  std::vector<std::uint64_t> traces_, best_traces_;
  std::vector<std::uint64_t> best_form_, first_form_, form_;
  Vertices best_order_, first_order_, order_;
};

}  // namespace nasturtium
