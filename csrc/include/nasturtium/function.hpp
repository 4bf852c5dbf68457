#pragma once

#include <array>
#include <cstdint>
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
  Status rewrite(const Space& space, const LiveGraph& graph);

  // The graph of values of the last one that was rewritten.
  void write(EdgeList& out) const;

  // Appends words that no other graph of values has, isomorphic ones included.
  void spell(std::vector<std::uint64_t>& words) const;

 private:
  // A sum of vertices with multiplicities, by vertex: a range of `terms_`. Sums do not change, so
  // that several values may share one.
  struct Term {
    std::uint64_t times = 0;
    std::uint32_t vertex = 0;
    bool operator==(const Term&) const = default;
  };
  struct Sum {
    std::uint32_t begin = 0, size = 0;
  };
  struct Vertex {
    std::uint64_t label = 0;
    Sum argument;
    bool shared = false;  // by all that write it
  };

  Sum sum_of(std::uint32_t vertex);
  Sum sum_of(const std::vector<Term>& parts);
  void add(std::vector<Term>& to, const Sum& term) const;
  bool equal(const Sum& a, const Sum& b) const;
  bool apply(const Operation& op, const Sum& argument, Sum& result);
  bool concatenate(const Operation& op, const Sum* arguments, std::size_t count, Sum& result);
  bool edge_value(const LiveEdge& edge, Sum& result);
  bool node_value(const LiveGraph& graph, std::size_t v);
  bool emit(std::uint64_t label, const Sum& argument, bool shared, Sum& result);

  std::vector<Term> terms_, total_, parts_;
  std::vector<Sum> entering_;          // a concatenation
  std::array<Sum, kMaxNodes> values_;  // of the declared nodes
  std::vector<Vertex> vertices_;
};

}  // namespace nasturtium
