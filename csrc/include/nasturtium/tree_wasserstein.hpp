#pragma once

#include <cstdint>
#include <vector>

#include "nasturtium/labels.hpp"
#include "nasturtium/operation_graph.hpp"

namespace nasturtium {

// The tree-Wasserstein distances of operation graphs: Nguyen, Le, Yamada, Osborne, "Optimal
// transport kernels for sequential and parallel neural architecture search", ICML 2021.
//
// Four distributions of mass 1 on trees:
//   operations  each operation alike, at the leaf of its label; leaves of one group hang from an
//               inner vertex by an edge of weight `leaf`, and that from the root by 1 - `leaf`;
//               labels without a group hang from the root by 1
//   pairs       each arc alike, at the leaf of its two labels, input and output included; leaves
//               whose labels are of the same two groups hang from an inner vertex; the weights of
//               both edges are the products of the two labels'
//   entering    a vertex's number of entering arcs, at its depth: the longest way from the input,
//               on a chain whose edges weigh one over the depth of the deepest declared path
//   leaving     the same with the leaving arcs
// Mass of a graph without operations, or without arcs, lies on a leaf of its own of weight 1, or at
// the start of the chain.
//
// On a tree the Wasserstein distance is the sum over edges of the weight times the difference of
// the masses below. So it is the Manhattan distance of one row per code: for each edge that.
class TreeWasserstein {
 public:
  static constexpr std::size_t kMaxColumns = std::size_t{1} << 16;

  struct Rule {
    std::vector<std::int32_t> groups;  // for each label its group, -1 for none
    double leaf = 0.1;                 // 0 to 1
    double operations = 1, pairs = 1, entering = 1, leaving = 1;  // factors, at least 0
  };

  // The space must outlive it. Code::limit where it has no graph, too many labels, or a bad rule.
  Status build(const Space& space, const Rule& rule);

  std::size_t columns() const { return columns_; }

  // n x columns().
  Status embed(std::uint64_t n, const std::uint8_t* codes, double* out, unsigned threads) const;

 private:
  void embed_row(const OperationGraph& graph, const std::vector<std::uint32_t>& symbols,
                 std::vector<std::uint32_t>& depths, double* out) const;

  const Space* space_ = nullptr;
  Rule rule_;
  Labels labels_;
  // A symbol is a label that operations can have, the input, or the output.
  std::vector<std::uint32_t> symbol_of_;  // for each label
  std::vector<std::int32_t> group_of_;    // for each symbol, renumbered; -1 for none
  std::size_t symbols_ = 0, groups_ = 0, levels_ = 0, columns_ = 0;
  std::size_t pairs_at_ = 0, entering_at_ = 0, leaving_at_ = 0;
};

}  // namespace nasturtium
