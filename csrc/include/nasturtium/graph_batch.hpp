#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nasturtium/canonical.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

// A batch of graphs that may differ in size, in memory of the caller's.
//
// Graph g has the vertices offsets[g] to offsets[g + 1] of the batch, 0 to kMaxVertices of them.
// Bit w % 64 of rows[v * words + w / 64] is the edge from vertex v of the batch to vertex w of its
// graph; all rows of a batch have the same number of words, and the bits behind the graph's last
// vertex are 0. Edge labels, where there are any, stand in the order of the bits.
struct GraphBatch {
  std::uint64_t size = 0;  // graphs
  std::uint64_t words = 1;
  const std::int64_t* offsets = nullptr;  // size + 1, from 0 to `vertices`
  std::uint64_t vertices = 0;
  const std::uint64_t* rows = nullptr;
  const std::uint64_t* labels = nullptr;       // one a vertex
  const std::uint64_t* edge_labels = nullptr;  // `edges`, or null: all 0
  std::uint64_t edges = 0;                     // only read where there are labels
};

// A batch that a function makes: graphs one after the other as lists of edges.
class GraphStore {
 public:
  std::uint64_t size() const { return offsets_.size() - 1; }
  std::uint64_t vertices() const { return labels_.size(); }
  std::uint64_t edges() const { return from_.size(); }
  // Words that a row takes.
  std::uint64_t words() const { return row_words(largest_); }
  const std::vector<std::int64_t>& offsets() const { return offsets_; }
  const std::vector<std::uint64_t>& labels() const { return labels_; }
  // Empty where all are 0.
  const std::vector<std::uint64_t>& edge_labels() const { return edge_labels_; }

  void add(const EdgeList& graph);
  void append(const GraphStore& other);
  // Writes vertices() rows of so many words, at least words().
  void write_rows(std::uint64_t words, std::uint64_t* rows) const;

 private:
  std::size_t largest_ = 0;
  std::vector<std::int64_t> offsets_{0};
  std::vector<std::uint64_t> edge_offsets_{0};
  std::vector<std::uint64_t> labels_, edge_labels_;
  std::vector<std::uint16_t> from_, to_;
};

// Finds the graphs of a batch; its offsets are checked first, each graph when it is read.
class GraphReader {
 public:
  explicit GraphReader(const GraphBatch& batch) : batch_(batch) {}

  // Code::row with the first graph whose offsets, or Code::limit where the arrays, do not fit.
  Status check();
  // Code::row where bits stand behind the last vertex.
  Status read(std::uint64_t number, EdgeList& out) const;
  const GraphBatch& batch() const { return batch_; }

 private:
  const GraphBatch& batch_;
  std::vector<std::uint64_t> edge_offsets_;  // where there are edge labels
};

// Code::row with the first graph that is not in the stated form; where `symmetric`, or that has an
// edge without its like in the other direction.
Status check_graphs(const GraphBatch& batch, bool symmetric, unsigned threads);

struct CanonicalOptions {
  bool directed = true;  // false: graphs must be symmetric
  std::uint64_t budget = kSearchBudget;
  unsigned threads = 1;
};

// Keys of 128 bits, two words a graph, of the exact canonical form: equal for isomorphic graphs,
// labels included, and else different but for a collision of MurmurHash3_x64_128. A graph's key
// depends on the graph only, not on the batch's words. Code::budget with the first graph that takes
// more search nodes than allowed.
Status canonical_keys(const GraphBatch& batch, const CanonicalOptions& options, std::uint64_t* out);

// For each vertex of the batch the vertex of its graph at that place of the canonical form.
Status canonical_orders(const GraphBatch& batch, const CanonicalOptions& options,
                        std::int64_t* out);

// For each graph numbers whose product is the number of its automorphisms: `counts` how many
// numbers, and they one after the other in `factors`.
Status automorphism_factors(const GraphBatch& batch, const CanonicalOptions& options,
                            std::vector<std::uint32_t>& counts,
                            std::vector<std::uint32_t>& factors);

// The graphs with their vertices in another order: place i of a graph takes vertex order[i] of it.
Status reorder(const GraphBatch& batch, const std::int64_t* order, unsigned threads,
               GraphStore& out);

// The graphs without vertices that lie on no path from the source to the sink; these two stay, and
// the others keep their order. A number below 0 counts from the end. One source and sink a graph.
Status prune_graphs(const GraphBatch& batch, const std::int64_t* sources, const std::int64_t* sinks,
                    unsigned threads, GraphStore& out);

}  // namespace nasturtium
