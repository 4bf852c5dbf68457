#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "nasturtium/graph_batch.hpp"
#include "nasturtium/moves.hpp"

namespace nasturtium {

// Edits of networks that grow. A network's edges go to later vertices, its first vertex is the
// input, its last the output, and every vertex lies on a path between them; so does what an edit
// makes. The verbs are those of Real et al., "Large-scale evolution of image classifiers", ICML
// 2017, and of Kandasamy et al., "Neural architecture search with Bayesian optimisation and optimal
// transport", NeurIPS 2018.
enum class Verb : std::uint8_t {
  relabel,      // an inner vertex gets another label
  insert,       // an edge gets a new vertex between its ends
  remove,       // an inner vertex goes; what it took enters all that it fed
  add_skip,     // an edge between two vertices that have none
  remove_skip,  // an edge goes, of those that leave all vertices on a path
  duplicate,    // a path's inner vertices a second time, between the same ends
  widen,        // an inner vertex gets an eighth more units
  narrow,       // an eighth less
  widen_many,   // a run of inner vertices does: an eighth of those with units, a quarter of up to
                // eight, half of up to four
  narrow_many,  // an eighth less
};
constexpr std::size_t kVerbs = 10;

// Which operations have units (channels, neurons). Where there are any, the label of an inner
// vertex is its operation in the lower 32 bits and its units in the upper ones, 0 for an operation
// without. A vertex that gets such an operation keeps its units, or has the mean of those around.
struct UnitRule {
  std::vector<std::uint64_t> operations;
  std::uint32_t least = 1, most = ~std::uint32_t{0};
};

struct MoveOptions {
  std::array<double, kVerbs> weights{};  // of the verbs; the sum is above 0
  std::vector<double> steps{1};          // weights of one edit, of two, ...
  std::vector<std::uint64_t> labels;     // for new vertices and other labels; no two equal
  std::uint64_t most_vertices = kMaxVertices, most_edges = ~std::uint64_t{0};
  std::uint64_t most_in = kMaxVertices, most_out = kMaxVertices;  // edges at a vertex
  UnitRule units;  // where it has operations, `labels` are operations without units
};

// Appends one network for each of the batch. A verb is drawn by its weight, and what it is done to
// uniformly of all that keep within the limits (a path to duplicate by a random walk); a verb with
// no such place is drawn again among the others. Network i is a function of (draws.key,
// draws.start + i) and of itself. Code::row with the first graph that is no network,
// Code::exhausted with the first that no verb can edit.
Status mutate_graphs(const GraphBatch& batch, const MoveOptions& options, const Draws& draws,
                     GraphStore& out);

}  // namespace nasturtium
