#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nasturtium/space.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

// A directed graph of up to 64 vertices; vertices and edges carry labels, and where there are
// several edges from one vertex to another, their labels are combined into one by the caller.
struct Digraph {
  std::size_t n = 0;
  std::array<std::uint64_t, kMaxNodes> labels;
  std::array<std::uint64_t, kMaxNodes> out;  // bit w of out[v]: an edge from v to w
  std::array<std::uint64_t, kMaxNodes> in;
  std::array<std::uint64_t, kMaxNodes * kMaxNodes> edge_labels;  // [v * kMaxNodes + w], where set

  void clear(std::size_t vertices);
  void add_edge(std::size_t from, std::size_t to, std::uint64_t label);
};

constexpr std::uint64_t kSearchBudget = 100000;

// The exact canonical form: `form` is equal for two graphs exactly when they are isomorphic, labels
// included. It is the number of vertices, their labels, the rows of the adjacency matrix, and the
// edges' labels row by row, all in the canonical order; `order[i]` is the vertex at place i.
//
// Color refinement, individualization of the smallest cell, and pruning by traces and by the
// orbits of automorphisms (twins to start with, then those found at equal leaves). Exact whatever
// the hashes do, because leaves are compared as whole forms. More than `budget` search nodes give
// Code::budget. `visited` is the number of search nodes.
class Canonizer {
 public:
  Status run(const Digraph& graph, std::vector<std::uint64_t>& form,
             std::uint64_t budget = kSearchBudget);

  const std::array<std::uint8_t, kMaxNodes>& order() const { return best_order_; }
  std::uint64_t visited() const { return visited_; }

 private:
  using Colors = std::array<std::uint64_t, kMaxNodes>;
  using Permutation = std::array<std::uint8_t, kMaxNodes>;

  std::size_t refine(Colors& colors) const;
  std::uint64_t trace(const Colors& colors, std::size_t cells) const;
  void find_twins();
  bool ties_with_best() const;
  std::uint64_t target_cell(const Colors& colors) const;
  std::uint64_t orbit_of(std::uint64_t explored) const;
  // Returns the level to go back to; below the caller's level, the caller stops.
  std::size_t search(const Colors& colors, std::size_t cells, std::size_t level, bool tied);
  std::size_t leaf(const Colors& colors, std::size_t level, bool tied);
  void learn(const Permutation& from, const Permutation& to);
  std::size_t common_level(const std::vector<std::uint8_t>& path) const;
  void write_form(const Permutation& order, std::vector<std::uint64_t>& form) const;

  const Digraph* graph_ = nullptr;
  std::uint64_t budget_ = 0, visited_ = 0;
  bool over_ = false, has_leaf_ = false;
  std::vector<Permutation> automorphisms_;
  std::vector<std::uint8_t> path_, best_path_, first_path_;
  std::vector<std::uint64_t> traces_, best_traces_;
  std::vector<std::uint64_t> best_form_, first_form_, form_;
  Permutation best_order_{}, first_order_{};
};

}  // namespace nasturtium
