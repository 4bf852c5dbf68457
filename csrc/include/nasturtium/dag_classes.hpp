#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "nasturtium/graph_batch.hpp"
#include "nasturtium/moves.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

constexpr std::uint32_t kMaxDagVertices = 16;
constexpr std::uint32_t kMaxDagMarks = 256;

// A family of labeled directed acyclic graphs. With `terminals` the first vertex is the input, the
// last the output, and every vertex lies on a path between them; these two have labels of their
// own, `labels` and `labels` + 1. Limits count them too.
struct DagFamily {
  std::uint32_t least = 1, most = 1;  // vertices; with terminals from 2 on
  std::uint32_t labels = 1;           // of vertices, 0 to labels - 1
  std::uint32_t edge_labels = 1;      // 0 to edge_labels - 1, at most kMaxDagMarks
  std::uint32_t most_edges = ~std::uint32_t{0};
  std::uint32_t most_in = kMaxDagVertices, most_out = kMaxDagVertices;  // edges at a vertex
  bool terminals = false;
};

// One graph of each isomorphism class of a family, made by orderly generation: McKay,
// "Isomorph-free exhaustive generation", Journal of Algorithms, 1998. Each graph grows by one sink
// from the one graph that it is without its canonical sink, so that no list of graphs is kept and
// none is compared with another, but for the children of one graph with symmetries.
//
// The classes are numbered: branch by branch, and in each in the order of the search. That order
// depends on the family only. Vertices stand in a topological order.
class DagClasses {
 public:
  DagClasses();
  ~DagClasses();
  DagClasses(DagClasses&&) noexcept;
  DagClasses& operator=(DagClasses&&) noexcept;

  // Code::limit where the numbers make no family.
  Status begin(const DagFamily& family);

  // Pieces of the search that need nothing of each other: to share out, and to go on from.
  std::size_t branches() const;

  // The number of classes in each branch from `first` to before `last`.
  Status count(std::size_t first, std::size_t last, unsigned threads, std::uint64_t* out) const;

  // The graphs of these branches, appended in their order.
  Status list(std::size_t first, std::size_t last, unsigned threads, GraphStore& out) const;

  // The graphs of these numbers, appended; `counts` are those of all branches. Only the branches
  // that hold them are searched. Code::row with the first number that is none.
  Status take(const std::vector<std::uint64_t>& counts, std::uint64_t n,
              const std::uint64_t* numbers, unsigned threads, GraphStore& out) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// n numbers below `size`, uniform; number i is a function of (draws.key, draws.start + i).
// Code::exhausted where size is 0.
Status draw_numbers(const Draws& draws, std::uint64_t size, std::uint64_t n, std::uint64_t* out);

}  // namespace nasturtium
