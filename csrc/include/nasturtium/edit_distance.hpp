#pragma once

#include <cstdint>

#include "nasturtium/graph_batch.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

constexpr std::size_t kMaxEditVertices = 64;
constexpr std::size_t kMaxBoundVertices = 1024;

// What one edit costs: a vertex or an edge that is inserted or deleted, another label on one.
struct EditCosts {
  double vertex = 1, vertex_label = 1, edge = 1, edge_label = 1;
};

struct EditOptions {
  EditCosts costs;
  std::uint64_t budget = kSearchBudget;  // search nodes of a pair
  unsigned threads = 1;
};

// The least cost of edits that make graph i of `a` isomorphic to graph i of `b`, exact.
//
// Depth first over where the vertices of one graph go, most edges first, with the bound below at
// every node and its assignment as a first guess. Graphs of up to kMaxEditVertices; Code::budget
// with the first pair that takes more search nodes than allowed.
Status edit_distances(const GraphBatch& a, const GraphBatch& b, const EditOptions& options,
                      double* out);

// A number at most and one at least as large as the edit distance, in the time of an assignment,
// cubic in the vertices; up to kMaxBoundVertices.
//
// The lower one is the cheapest assignment of vertices where each vertex brings half of what the
// labels of its edges, whatever their other ends, must cost; the upper one is what that assignment
// costs as a whole (Riesen and Bunke, Approximate graph edit distance computation by means of
// bipartite graph matching, Image and Vision Computing, 2009; the halves make it a lower bound).
Status edit_bounds(const GraphBatch& a, const GraphBatch& b, const EditOptions& options,
                   double* lower, double* upper);

}  // namespace nasturtium
