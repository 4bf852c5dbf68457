#pragma once

#include <cstdint>
#include <vector>

#include "nasturtium/graph.hpp"
#include "nasturtium/space.hpp"

namespace nasturtium {

// A code's graph with the operations as vertices, wherever they stand in the declaration: vertex 0
// is the input, the last one the output, and the others are the nodes and edges between them that
// carry an operation. An arc says that the value of one enters another, through identities or at
// once; `times` is in how many ways.
struct OperationGraph {
  struct Vertex {
    std::uint64_t hash = 0;  // of the label; equal labels have equal ones
    Kind kind = Kind::weighted;
    std::uint32_t part = 0;  // node v, or edge e as (number of nodes) + e
  };
  struct Arc {
    std::uint32_t from = 0, to = 0;
    std::uint64_t times = 1;
  };
  std::vector<Vertex> vertices;  // in topological order
  std::vector<Arc> arcs;         // by `to`; no two between the same vertices
};

struct OperationGraphRule {
  // Without it, an identity stays a vertex where it is an option of a decision.
  bool contract = true;
  // Without it, what lies on no path from input to output stays as well.
  bool prune = true;
};

// Makes the operation graphs of one code after another.
class OperationGraphs {
 public:
  using Rule = OperationGraphRule;

  // The space must outlive it. Code::limit where it has no graph.
  Status begin(const Space& space, Rule rule);

  // Refuses codes that are not well-formed with Code::row.
  Status make(std::uint64_t row, const std::uint8_t* code, OperationGraph& out);

  // The activity of the code's decisions.
  const std::uint8_t* active() const { return active_.data(); }

 private:
  using Givers = std::vector<OperationGraph::Arc>;  // only `from` and `times`

  void reach(std::uint32_t vertex, const Givers& givers, OperationGraph& out) const;

  const Space* space_ = nullptr;
  Rule rule_;
  std::vector<std::uint8_t> active_;
  std::vector<std::uint8_t> constant_node_, constant_edge_;
  LiveGraph graph_;
  std::vector<Givers> givers_;  // of the declared nodes
};

}  // namespace nasturtium
