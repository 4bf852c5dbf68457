#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nasturtium/graph_batch.hpp"
#include "nasturtium/moves.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

// Hierarchical genotypes: Liu, Simonyan, Vinyals, Fernando, Kavukcuoglu, "Hierarchical
// Representations for Efficient Architecture Search", ICLR 2018.
//
// A motif is a small graph whose edges carry operations. On the lowest level these are the
// primitives, numbered from 1; on each other one the motifs of the level below. 0 is no edge. The
// topmost level has one motif, the cell.
struct HierarchyLevel {
  std::uint32_t motifs = 1, nodes = 2;
};

struct Hierarchy {
  std::uint32_t primitives = 1;  // at most 255, as the motifs of a level
  std::uint32_t identity = 1;    // the primitive that changes nothing
  std::vector<HierarchyLevel> levels;

  // What the edges of a level may carry, besides nothing.
  std::uint32_t operations(std::size_t level) const {
    return level == 0 ? primitives : levels[level - 1].motifs;
  }
};

// Code::limit where the numbers make no hierarchy, or a code of more than kMaxDecisions bytes.
Status check_hierarchy(const Hierarchy& hierarchy);

// A code's bytes: level by level from the lowest, motif by motif, and in a motif the edges column
// by column, that from node j to node i > j at i (i - 1) / 2 + j.
std::size_t hierarchy_width(const Hierarchy& hierarchy);

// n codes in which every motif is a chain of identities, or of the first motif below it.
Status trivial_codes(const Hierarchy& hierarchy, std::uint64_t n, std::uint8_t* out);

// Each code with `steps` edges drawn again, one after the other: a level, a motif of it, a node i
// but the first, a node j before it, and what the edge from j to i carries, all uniform; with
// `distinct` it is never what it was. Code::row where a row is no code. `out` may be `codes`.
Status relabel_codes(const Hierarchy& hierarchy, const Draws& draws, std::uint32_t steps,
                     bool distinct, std::uint64_t n, const std::uint8_t* codes, std::uint8_t* out);

// The graphs that the cells are, appended: each edge that carries a motif becomes the motif, from
// the edge's tail to a copy of its last node, and from there an edge labeled 0 leads to the head.
// Other edges carry their primitive's number. Vertices are labeled 1 (the first, the input), 2 (the
// last, the output) and 0, and edges go to later ones; parts may be dead. Code::row where a row is
// no code, Code::limit where a graph has more than kMaxVertices vertices.
Status flatten_codes(const Hierarchy& hierarchy, std::uint64_t n, const std::uint8_t* codes,
                     unsigned threads, GraphStore& out);

}  // namespace nasturtium
