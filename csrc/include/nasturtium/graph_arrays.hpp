#pragma once

#include <cstdint>
#include <vector>

#include "nasturtium/labels.hpp"
#include "nasturtium/operation_graph.hpp"

namespace nasturtium {

// The graphs of codes as arrays of one shape, for graph networks. Two views:
//   nodes       a vertex for each declared node, edges carry labels
//   operations  a vertex for the input, for each node and edge that can carry an operation, in a
//               topological order, and for the output; constant identities are contracted
class GraphArrays {
 public:
  // The space must outlive it. Without `prune` also what lies on no path from input to output.
  Status build(const Space& space, bool operations, bool prune);

  std::size_t vertices() const { return operations_ ? places_.size() + 2 : space_->nodes.size(); }
  const Labels& labels() const { return labels_; }

  // For each vertex its part; input and output are the first and the last node.
  std::vector<std::uint32_t> parts() const;

  // Of each row and V = vertices(): `adjacency` V x V, 1 for an edge from the row's vertex to the
  // column's; `node_labels` V, label number + 1, 0 where the vertex is absent; `edge_labels` V x V
  // the same of edges, may be null, in the view of operations all 0; `present` V, 0 or 1.
  template <typename T>
  struct Out {
    T* adjacency = nullptr;
    std::int16_t* node_labels = nullptr;
    std::int16_t* edge_labels = nullptr;
    std::uint8_t* present = nullptr;
  };
  Status fill(std::uint64_t n, const std::uint8_t* codes, const Out<float>& out,
              unsigned threads) const;
  Status fill(std::uint64_t n, const std::uint8_t* codes, const Out<std::uint8_t>& out,
              unsigned threads) const;

  // How often each label occurs on what is present, but for input, output and parts that are always
  // an identity; n x labels().size().
  Status counts(std::uint64_t n, const std::uint8_t* codes, std::int32_t* out,
                unsigned threads) const;

 private:
  template <typename T>
  Status fill_any(std::uint64_t n, const std::uint8_t* codes, const Out<T>& out,
                  unsigned threads) const;

  const Space* space_ = nullptr;
  bool operations_ = false, prune_ = true;
  Labels labels_;
  std::vector<std::uint32_t> places_;  // the parts of the vertices between input and output
};

}  // namespace nasturtium
