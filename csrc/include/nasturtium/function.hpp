#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "nasturtium/canonical.hpp"
#include "nasturtium/graph.hpp"

namespace nasturtium {

// Rewrites a pruned graph as what it computes: a graph of values.
//
// A vertex is the input, one application of an operation, or the output; an edge a -> b with label
// m says that b takes m times a in its sum. Identities are gone, sums are flat multisets. Every
// weighted operation is its own vertex, so that a value used twice is told apart from two computed
// alike. A weightless operation on a value is one vertex however often it is written. A
// concatenation takes each entering value apart; one that is a sum becomes a vertex of its own.
class FunctionForm {
 public:
  // Status code limit where more than 64 values arise.
  Status rewrite(const Space& space, const LiveGraph& graph, Digraph& out);

 private:
  // A sum of vertices with multiplicities, sorted by vertex.
  using Sum = std::vector<std::pair<std::uint32_t, std::uint64_t>>;

  static void add(Sum& to, const Sum& term);
  bool apply(const Operation& op, const Sum& argument, Sum& result);
  bool concatenate(const Operation& op, const std::vector<Sum>& arguments, Sum& result);
  bool edge_value(const LiveEdge& edge, Sum& result);
  bool node_value(const LiveGraph& graph, std::size_t v);
  bool emit(std::uint64_t label, const Sum& argument, bool shared, Sum& result);

  std::vector<Sum> values_;     // of the declared nodes
  std::vector<Sum> arguments_;  // of the vertices
  std::vector<std::uint64_t> labels_;
  std::vector<std::uint8_t> shared_;
};

}  // namespace nasturtium
