#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "graph_blocks.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kGraphBlock = 64;

// The vertices that are reached from `start` along edges, or against them. Sweeps over the edges
// until nothing is new: one and another where edges go to later vertices, as they mostly do.
void reach(const EdgeList& graph, std::size_t start, bool forward,
           std::vector<std::uint8_t>& seen) {
  const std::uint16_t* from = forward ? graph.from.data() : graph.to.data();
  const std::uint16_t* to = forward ? graph.to.data() : graph.from.data();
  const std::size_t edges = graph.edges();
  seen.assign(graph.n, 0);
  seen[start] = 1;
  bool ascending = forward;
  for (bool grew = true; grew; ascending = !ascending) {
    grew = false;
    for (std::size_t i = 0; i < edges; ++i) {
      const std::size_t e = ascending ? i : edges - 1 - i;
      if (seen[from[e]] && !seen[to[e]]) {
        seen[to[e]] = 1;
        grew = true;
      }
    }
  }
}

}  // namespace

void keep_vertices(const EdgeList& graph, const std::vector<std::uint8_t>& keep, EdgeList& out) {
  std::vector<std::uint16_t> place(graph.n);
  std::size_t n = 0;
  for (std::size_t v = 0; v < graph.n; ++v) {
    place[v] = static_cast<std::uint16_t>(n);
    n += keep[v] != 0;
  }
  out.clear(n);
  for (std::size_t v = 0; v < graph.n; ++v) {
    if (keep[v]) {
      out.labels[place[v]] = graph.labels[v];
    }
  }
  for (std::size_t e = 0; e < graph.edges(); ++e) {
    if (keep[graph.from[e]] && keep[graph.to[e]]) {
      out.from.push_back(place[graph.from[e]]);
      out.to.push_back(place[graph.to[e]]);
      if (!graph.edge_labels.empty()) {
        out.edge_labels.push_back(graph.edge_labels[e]);
      }
    }
  }
}

void live_vertices(const EdgeList& graph, std::size_t source, std::size_t sink,
                   std::vector<std::uint8_t>& live) {
  std::vector<std::uint8_t> behind;
  reach(graph, source, true, live);
  reach(graph, sink, false, behind);
  for (std::size_t v = 0; v < graph.n; ++v) {
    live[v] &= behind[v];
  }
  live[source] = live[sink] = 1;
}

void permute(const EdgeList& graph, const std::vector<std::int32_t>& place, EdgeList& out) {
  out.clear(graph.n);
  for (std::size_t v = 0; v < graph.n; ++v) {
    out.labels[static_cast<std::size_t>(place[v])] = graph.labels[v];
  }
  std::vector<std::pair<std::uint32_t, std::uint64_t>> edges(graph.edges());
  for (std::size_t e = 0; e < graph.edges(); ++e) {
    const auto from = static_cast<std::uint32_t>(place[graph.from[e]]);
    const auto to = static_cast<std::uint32_t>(place[graph.to[e]]);
    edges[e] = {from << 16 | to, graph.edge_labels.empty() ? 0 : graph.edge_labels[e]};
  }
  std::sort(edges.begin(), edges.end());
  for (const auto& [ends, label] : edges) {
    out.from.push_back(static_cast<std::uint16_t>(ends >> 16));
    out.to.push_back(static_cast<std::uint16_t>(ends & 0xFFFF));
    if (!graph.edge_labels.empty()) {
      out.edge_labels.push_back(label);
    }
  }
}

void GraphStore::add(const EdgeList& graph) {
  largest_ = std::max(largest_, graph.n);
  labels_.insert(labels_.end(), graph.labels.begin(), graph.labels.end());
  const bool labeled = std::any_of(graph.edge_labels.begin(), graph.edge_labels.end(),
                                   [](std::uint64_t label) { return label != 0; });
  if (labeled || !edge_labels_.empty()) {
    edge_labels_.resize(from_.size());
    edge_labels_.insert(edge_labels_.end(), graph.edge_labels.begin(), graph.edge_labels.end());
    edge_labels_.resize(from_.size() + graph.edges());
  }
  from_.insert(from_.end(), graph.from.begin(), graph.from.end());
  to_.insert(to_.end(), graph.to.begin(), graph.to.end());
  offsets_.push_back(static_cast<std::int64_t>(labels_.size()));
  edge_offsets_.push_back(from_.size());
}

void GraphStore::append(const GraphStore& other) {
  const auto first = static_cast<std::int64_t>(labels_.size());
  const std::uint64_t first_edge = from_.size();
  largest_ = std::max(largest_, other.largest_);
  labels_.insert(labels_.end(), other.labels_.begin(), other.labels_.end());
  if (!edge_labels_.empty() || !other.edge_labels_.empty()) {
    edge_labels_.resize(first_edge);
    edge_labels_.insert(edge_labels_.end(), other.edge_labels_.begin(), other.edge_labels_.end());
    edge_labels_.resize(first_edge + other.edges());
  }
  from_.insert(from_.end(), other.from_.begin(), other.from_.end());
  to_.insert(to_.end(), other.to_.begin(), other.to_.end());
  for (std::size_t g = 0; g < other.size(); ++g) {
    offsets_.push_back(first + other.offsets_[g + 1]);
    edge_offsets_.push_back(first_edge + other.edge_offsets_[g + 1]);
  }
}

void GraphStore::write_rows(std::uint64_t words, std::uint64_t* rows) const {
  std::fill_n(rows, vertices() * words, 0);
  for (std::size_t g = 0; g < size(); ++g) {
    const auto first = static_cast<std::uint64_t>(offsets_[g]);
    for (std::uint64_t e = edge_offsets_[g]; e < edge_offsets_[g + 1]; ++e) {
      rows[(first + from_[e]) * words + to_[e] / 64u] |= bit(to_[e] % 64u);
    }
  }
}

Status GraphReader::check() {
  const GraphBatch& b = batch_;
  if (b.words == 0 || b.words > row_words(kMaxVertices)) {
    return Status::fail(Code::limit, 0, "rows have 1 to 64 words, not " + std::to_string(b.words));
  }
  const auto most = static_cast<std::int64_t>(std::min<std::uint64_t>(kMaxVertices, 64 * b.words));
  if (b.offsets[0] != 0) {
    return Status::fail(Code::limit, 0, "offsets begin with 0");
  }
  for (std::uint64_t g = 0; g < b.size; ++g) {
    const std::int64_t begin = b.offsets[g], end = b.offsets[g + 1];
    if (end < begin || end - begin > most) {
      return Status::fail(Code::row, g,
                          "offsets ascend by 0 to " + std::to_string(most) + ", not from " +
                              std::to_string(begin) + " to " + std::to_string(end));
    }
  }
  if (static_cast<std::uint64_t>(b.offsets[b.size]) != b.vertices) {
    return Status::fail(Code::limit, 0, "offsets end with the number of labels");
  }
  if (b.edge_labels == nullptr) {
    return {};
  }
  edge_offsets_.resize(b.size + 1);
  std::uint64_t edges = 0;
  for (std::uint64_t g = 0; g < b.size; ++g) {
    edge_offsets_[g] = edges;
    const auto begin = static_cast<std::uint64_t>(b.offsets[g]) * b.words;
    const auto end = static_cast<std::uint64_t>(b.offsets[g + 1]) * b.words;
    for (std::uint64_t i = begin; i < end; ++i) {
      edges += static_cast<std::uint64_t>(std::popcount(b.rows[i]));
    }
  }
  edge_offsets_[b.size] = edges;
  if (edges != b.edges) {
    return Status::fail(Code::limit, 0,
                        "there are " + std::to_string(edges) + " edges and " +
                            std::to_string(b.edges) + " edge labels");
  }
  return {};
}

Status GraphReader::read(std::uint64_t number, EdgeList& out) const {
  const GraphBatch& b = batch_;
  const auto first = static_cast<std::uint64_t>(b.offsets[number]);
  const auto n = static_cast<std::size_t>(b.offsets[number + 1]) - first;
  const std::uint64_t* rows = b.rows + first * b.words;
  std::size_t edges = 0;
  for (std::size_t i = 0; i < n * b.words; ++i) {
    edges += static_cast<std::size_t>(std::popcount(rows[i]));
  }
  out.n = n;
  out.labels.assign(b.labels + first, b.labels + first + n);
  // Two edges of each word are read whether there are any or not, since their number cannot be
  // predicted: what is read too much goes behind the others.
  out.from.resize(edges + 2);
  out.to.resize(edges + 2);
  out.edge_labels.clear();
  std::uint16_t *from = out.from.data(), *to = out.to.data();
  bool behind = false;
  for (std::size_t v = 0; v < n; ++v) {
    for (std::size_t i = 0; i < b.words; ++i) {
      std::uint64_t set = rows[v * b.words + i];
      const auto count = static_cast<std::size_t>(std::popcount(set));
      behind |= 64 * i + static_cast<std::size_t>(std::bit_width(set)) > n && count != 0;
      for (std::size_t k = 0; k < 2 || set != 0; ++k, set &= set - 1) {
        from[k] = static_cast<std::uint16_t>(v);
        to[k] =
            static_cast<std::uint16_t>(64 * i + static_cast<std::size_t>(std::countr_zero(set)));
      }
      from += count;
      to += count;
    }
  }
  out.from.resize(edges);
  out.to.resize(edges);
  if (behind) {
    return Status::fail(Code::row, number, "a row has bits behind the graph's last vertex");
  }
  if (b.edge_labels != nullptr) {
    const std::uint64_t* labels = b.edge_labels + edge_offsets_[number];
    if (std::any_of(labels, labels + edges, [](std::uint64_t label) { return label != 0; })) {
      out.edge_labels.assign(labels, labels + edges);
    }
  }
  return {};
}

Status for_each_graph(const GraphBatch& batch, unsigned threads, GraphStore& out,
                      const GraphWork& work) {
  GraphReader reader(batch);
  if (Status s = reader.check(); !s.ok()) {
    return s;
  }
  const auto make = [&](std::uint64_t row, EdgeList& graph, EdgeList& made) {
    Status s = reader.read(row, graph);
    return s.ok() ? work(row, graph, made) : s;
  };
  return make_graphs(batch.size, threads, out, make);
}

Status make_graphs(std::uint64_t count, unsigned threads, GraphStore& out, const GraphMaker& make) {
  // Blocks that do not depend on the number of threads keep the graphs in their order.
  const std::uint64_t blocks = (count + kGraphBlock - 1) / kGraphBlock;
  std::vector<GraphStore> parts(blocks);
  Status status = parallel_rows(blocks, threads, 1, [&](std::uint64_t begin, std::uint64_t end) {
    EdgeList scratch, made;
    for (std::uint64_t block = begin; block < end; ++block) {
      const std::uint64_t last = std::min(count, (block + 1) * kGraphBlock);
      for (std::uint64_t row = block * kGraphBlock; row < last; ++row) {
        if (Status s = make(row, scratch, made); !s.ok()) {
          s.where = row;
          return s;
        }
        parts[block].add(made);
      }
    }
    return Status{};
  });
  if (!status.ok()) {
    return status;
  }
  for (const GraphStore& part : parts) {
    out.append(part);
  }
  return {};
}

}  // namespace nasturtium
