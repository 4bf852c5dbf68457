#include "nasturtium/graph_arrays.hpp"

#include <algorithm>
#include <numeric>

#include "nasturtium/moves.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kArrayGrain = 1024;

}  // namespace

Status GraphArrays::build(const Space& space, bool operations, bool prune) {
  space_ = &space;
  operations_ = operations;
  prune_ = prune;
  if (Status s = labels_.build(space); !s.ok()) {
    return s;
  }
  places_.clear();
  const std::size_t nodes = space.nodes.size();
  auto edge = space.edges_by_dst.begin();
  for (std::size_t v = 1; v < nodes; ++v) {
    for (; edge != space.edges_by_dst.end() && space.edges[*edge].dst == v; ++edge) {
      if (!labels_.silent(nodes + *edge)) {
        places_.push_back(static_cast<std::uint32_t>(nodes + *edge));
      }
    }
    if (v + 1 < nodes && !labels_.silent(v)) {
      places_.push_back(static_cast<std::uint32_t>(v));
    }
  }
  return {};
}

std::vector<std::uint32_t> GraphArrays::parts() const {
  std::vector<std::uint32_t> all;
  if (!operations_) {
    all.resize(space_->nodes.size());
    std::iota(all.begin(), all.end(), 0u);
    return all;
  }
  all.push_back(0);
  all.insert(all.end(), places_.begin(), places_.end());
  all.push_back(static_cast<std::uint32_t>(space_->nodes.size() - 1));
  return all;
}

template <typename T>
Status GraphArrays::fill_any(std::uint64_t n, const std::uint8_t* codes, const Out<T>& out,
                             unsigned threads) const {
  const std::size_t nodes = space_->nodes.size();
  const std::size_t v = vertices();
  // For each part its vertex.
  std::vector<std::size_t> vertex(labels_.parts(), 0);
  const std::vector<std::uint32_t> all = parts();
  for (std::size_t i = 0; i < all.size(); ++i) {
    vertex[all[i]] = i;
  }
  return parallel_rows(n, threads, kArrayGrain, [&](std::uint64_t begin, std::uint64_t end) {
    OperationGraphs maker;
    if (Status s = maker.begin(*space_, {false, prune_}); !s.ok()) {
      return s;
    }
    OperationGraph graph;
    LiveGraph live;
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * space_->width();
      if (Status s = maker.make(row, code, graph); !s.ok()) {
        return s;
      }
      T* adjacency = out.adjacency + row * v * v;
      std::int16_t* labels = out.node_labels + row * v;
      std::int16_t* edge_labels =
          out.edge_labels == nullptr ? nullptr : out.edge_labels + row * v * v;
      std::uint8_t* present = out.present + row * v;
      std::fill_n(adjacency, v * v, T{0});
      std::fill_n(labels, v, std::int16_t{0});
      std::fill_n(present, v, std::uint8_t{0});
      if (edge_labels != nullptr) {
        std::fill_n(edge_labels, v * v, std::int16_t{0});
      }
      const auto label_of = [&](std::size_t part) {
        return static_cast<std::int16_t>(labels_.of(part, code, maker.active()) + 1);
      };
      const auto place = [&](std::size_t part) {
        labels[vertex[part]] = label_of(part);
        present[vertex[part]] = 1;
      };
      if (operations_) {
        for (const OperationGraph::Vertex& x : graph.vertices) {
          place(x.part);
        }
        for (const OperationGraph::Arc& arc : graph.arcs) {
          adjacency[vertex[graph.vertices[arc.from].part] * v +
                    vertex[graph.vertices[arc.to].part]] = T{1};
        }
        continue;
      }
      build_graph(*space_, code, maker.active(), live);
      if (prune_) {
        prune(*space_, live);
      }
      for (std::size_t node = 0; node < nodes; ++node) {
        if (live.nodes & bit(node)) {
          place(node);
        }
      }
      for (const LiveEdge& edge : live.edges) {
        adjacency[edge.src * v + edge.dst] = T{1};
        if (edge_labels != nullptr) {
          edge_labels[edge.src * v + edge.dst] = label_of(nodes + edge.number);
        }
      }
    }
    return Status{};
  });
}

Status GraphArrays::fill(std::uint64_t n, const std::uint8_t* codes, const Out<float>& out,
                         unsigned threads) const {
  return fill_any(n, codes, out, threads);
}

Status GraphArrays::fill(std::uint64_t n, const std::uint8_t* codes, const Out<std::uint8_t>& out,
                         unsigned threads) const {
  return fill_any(n, codes, out, threads);
}

Status GraphArrays::counts(std::uint64_t n, const std::uint8_t* codes, std::int32_t* out,
                           unsigned threads) const {
  const std::size_t width = labels_.size();
  return parallel_rows(n, threads, kArrayGrain, [&](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint8_t> active(space_->width());
    LiveGraph live;
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * space_->width();
      if (!well_formed(*space_, code, active.data())) {
        return bad_row(*space_, row, code);
      }
      std::int32_t* to = out + row * width;
      std::fill_n(to, width, 0);
      build_graph(*space_, code, active.data(), live);
      if (prune_) {
        prune(*space_, live);
      }
      const auto count = [&](std::size_t part) {
        if (!labels_.silent(part)) {
          ++to[labels_.of(part, code, active.data())];
        }
      };
      for (std::size_t v = 1; v + 1 < space_->nodes.size(); ++v) {
        if (live.nodes & bit(v)) {
          count(v);
        }
      }
      for (const LiveEdge& edge : live.edges) {
        count(space_->nodes.size() + edge.number);
      }
    }
    return Status{};
  });
}

}  // namespace nasturtium
