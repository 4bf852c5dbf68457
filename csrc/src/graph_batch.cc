#include "nasturtium/graph_batch.hpp"

#include <algorithm>
#include <functional>
#include <string>

#include "graph_blocks.hpp"
#include "nasturtium/keys.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kGraphGrain = 64;
constexpr std::uint64_t kKeySeed = 0x6E617374677261ull;

Status not_symmetric(std::uint64_t row) {
  return Status::fail(Code::row, row,
                      "an undirected graph needs every edge in both directions with one label");
}

// The number of the edge (from, to), or as many as there are edges.
std::size_t find_edge(const EdgeList& graph, const std::vector<std::uint32_t>& starts,
                      std::uint16_t from, std::uint16_t to) {
  const auto begin = graph.to.begin() + starts[from], end = graph.to.begin() + starts[from + 1u];
  const auto at = std::lower_bound(begin, end, to);
  return at != end && *at == to ? static_cast<std::size_t>(at - graph.to.begin()) : graph.edges();
}

bool is_symmetric(const EdgeList& graph, std::vector<std::uint32_t>& starts) {
  starts.assign(graph.n + 1, 0);
  for (const std::uint16_t v : graph.from) {
    ++starts[v + 1u];
  }
  for (std::size_t v = 0; v < graph.n; ++v) {
    starts[v + 1] += starts[v];
  }
  for (std::size_t e = 0; e < graph.edges(); ++e) {
    const std::size_t back = find_edge(graph, starts, graph.to[e], graph.from[e]);
    if (back == graph.edges() ||
        (!graph.edge_labels.empty() && graph.edge_labels[back] != graph.edge_labels[e])) {
      return false;
    }
  }
  return true;
}

using Visit = std::function<Status(std::uint64_t, Canonizer&)>;

// Runs the search for every graph and hands it over with the graph's number.
Status for_each_form(const GraphBatch& batch, const CanonicalOptions& options, const Visit& visit) {
  GraphReader reader(batch);
  if (Status s = reader.check(); !s.ok()) {
    return s;
  }
  const auto work = [&](std::uint64_t begin, std::uint64_t end) {
    EdgeList graph;
    Canonizer canonizer;
    std::vector<std::uint32_t> starts;
    for (std::uint64_t row = begin; row < end; ++row) {
      Status s = reader.read(row, graph);
      if (s.ok() && !options.directed && !is_symmetric(graph, starts)) {
        s = not_symmetric(row);
      }
      if (s.ok()) {
        s = canonizer.run(graph, options.budget);
      }
      if (s.ok()) {
        s = visit(row, canonizer);
      }
      if (!s.ok()) {
        s.where = row;
        return s;
      }
    }
    return Status{};
  };
  return parallel_rows(batch.size, options.threads, kGraphGrain, work);
}

}  // namespace

Status check_graphs(const GraphBatch& batch, bool symmetric, unsigned threads) {
  GraphReader reader(batch);
  if (Status s = reader.check(); !s.ok()) {
    return s;
  }
  return parallel_rows(batch.size, threads, kGraphGrain,
                       [&](std::uint64_t begin, std::uint64_t end) {
                         EdgeList graph;
                         std::vector<std::uint32_t> starts;
                         for (std::uint64_t row = begin; row < end; ++row) {
                           if (Status s = reader.read(row, graph); !s.ok()) {
                             return s;
                           }
                           if (symmetric && !is_symmetric(graph, starts)) {
                             return not_symmetric(row);
                           }
                         }
                         return Status{};
                       });
}

Status canonical_keys(const GraphBatch& batch, const CanonicalOptions& options,
                      std::uint64_t* out) {
  return for_each_form(batch, options, [out](std::uint64_t row, Canonizer& canonizer) {
    murmur128(canonizer.form(), kKeySeed, out + 2 * row);
    return Status{};
  });
}

Status canonical_orders(const GraphBatch& batch, const CanonicalOptions& options,
                        std::int64_t* out) {
  return for_each_form(batch, options, [&](std::uint64_t row, Canonizer& canonizer) {
    const auto order = canonizer.order();
    std::copy(order.begin(), order.end(), out + batch.offsets[row]);
    return Status{};
  });
}

Status automorphism_factors(const GraphBatch& batch, const CanonicalOptions& options,
                            std::vector<std::uint32_t>& counts,
                            std::vector<std::uint32_t>& factors) {
  std::vector<std::vector<std::uint32_t>> found(batch.size);
  Status status = for_each_form(batch, options, [&](std::uint64_t row, Canonizer& canonizer) {
    return canonizer.orbit_sizes(found[row]);
  });
  for (const auto& sizes : found) {
    counts.push_back(static_cast<std::uint32_t>(sizes.size()));
    factors.insert(factors.end(), sizes.begin(), sizes.end());
  }
  return status;
}

Status reorder(const GraphBatch& batch, const std::int64_t* order, unsigned threads,
               GraphStore& out) {
  const auto work = [&](std::uint64_t row, const EdgeList& graph, EdgeList& made) {
    const std::int64_t* own = order + batch.offsets[row];
    std::vector<std::int32_t> place(graph.n, -1);
    for (std::size_t i = 0; i < graph.n; ++i) {
      if (own[i] < 0 || own[i] >= static_cast<std::int64_t>(graph.n) ||
          place[static_cast<std::size_t>(own[i])] >= 0) {
        return Status::fail(Code::row, row, "the order is no permutation of the graph's vertices");
      }
      place[static_cast<std::size_t>(own[i])] = static_cast<std::int32_t>(i);
    }
    permute(graph, place, made);
    return Status{};
  };
  return for_each_graph(batch, threads, out, work);
}

Status prune_graphs(const GraphBatch& batch, const std::int64_t* sources, const std::int64_t* sinks,
                    unsigned threads, GraphStore& out) {
  const auto work = [&](std::uint64_t row, const EdgeList& graph, EdgeList& made) {
    const auto n = static_cast<std::int64_t>(graph.n);
    const std::int64_t source = sources[row] + (sources[row] < 0 ? n : 0);
    const std::int64_t sink = sinks[row] + (sinks[row] < 0 ? n : 0);
    if (source < 0 || source >= n || sink < 0 || sink >= n) {
      return Status::fail(Code::row, row,
                          "the source or the sink is none of " + std::to_string(n) + " vertices");
    }
    std::vector<std::uint8_t> live;
    live_vertices(graph, static_cast<std::size_t>(source), static_cast<std::size_t>(sink), live);
    keep_vertices(graph, live, made);
    return Status{};
  };
  return for_each_graph(batch, threads, out, work);
}

}  // namespace nasturtium
