#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "nasturtium/graph_batch.hpp"

// What functions from batches of graphs to batches of graphs share.
namespace nasturtium {

using GraphMaker = std::function<Status(std::uint64_t row, EdgeList& scratch, EdgeList& made)>;
using GraphWork = std::function<Status(std::uint64_t row, const EdgeList& graph, EdgeList& made)>;

// Appends `count` graphs, each a function of its row, in their order. `scratch` is a graph to
// use as one likes.
Status make_graphs(std::uint64_t count, unsigned threads, GraphStore& out, const GraphMaker& make);

// The same from a batch, one graph of it to one.
Status for_each_graph(const GraphBatch& batch, unsigned threads, GraphStore& out,
                      const GraphWork& work);

// The graph with vertex v at place[v].
void permute(const EdgeList& graph, const std::vector<std::int32_t>& place, EdgeList& out);

// The graph without the vertices whose mark is 0; the others keep their order.
void keep_vertices(const EdgeList& graph, const std::vector<std::uint8_t>& keep, EdgeList& out);

// Marks the vertices on a path from source to sink, and these two.
void live_vertices(const EdgeList& graph, std::size_t source, std::size_t sink,
                   std::vector<std::uint8_t>& live);

}  // namespace nasturtium
