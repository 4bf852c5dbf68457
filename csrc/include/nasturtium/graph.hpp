#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "nasturtium/space.hpp"

namespace nasturtium {

struct LiveEdge {
  std::uint32_t number = 0;  // among the declared edges
  std::uint32_t src = 0, dst = 0;
  Operation op;
};

// The graph of one code. `nodes` are the nodes that exist; after `prune` those on a path from
// input to output, and input and output. `edges` are in declared order.
struct LiveGraph {
  std::uint64_t nodes = 0;
  std::array<Operation, kMaxNodes> ops;
  std::vector<LiveEdge> edges;
};

// The graph that a well-formed code stands for: without zero operations, without nodes and edges
// whose conditions fail or whose label's decision is inactive.
void build_graph(const Space& space, const std::uint8_t* code, const std::uint8_t* active,
                 LiveGraph& graph);

// Removes what lies on no path from input to output. Returns whether there is such a path.
bool prune(const Space& space, LiveGraph& graph);

// Whether the output is reachable from the input; without building the graph.
bool reaches_output(const Space& space, const std::uint8_t* code, const std::uint8_t* active);

// How many nodes or edges that a constraint on live ones counts lie on a path from the input to the
// output, both ends among the nodes; 0 without such a path.
std::uint32_t count_live(const Space& space, const Constraint& constraint, const std::uint8_t* code,
                         const std::uint8_t* active);

}  // namespace nasturtium
