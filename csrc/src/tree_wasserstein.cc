#include "nasturtium/tree_wasserstein.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kEmbedGrain = 512;

// Input and output are the last two symbols.
constexpr std::size_t kEnds = 2;

bool factor(double value) { return value >= 0 && std::isfinite(value); }

// The most operations on a declared path, and the output.
std::size_t deepest(const Space& space, const Labels& labels) {
  std::vector<std::size_t> depth(space.nodes.size(), 0);
  const std::size_t last = space.nodes.size() - 1;
  auto edge = space.edges_by_dst.begin();
  for (std::size_t v = 1; v <= last; ++v) {
    for (; edge != space.edges_by_dst.end() && space.edges[*edge].dst == v; ++edge) {
      const std::size_t own = labels.silent(space.nodes.size() + *edge) ? 0 : 1;
      depth[v] = std::max(depth[v], depth[space.edges[*edge].src] + own);
    }
    depth[v] += v == last || !labels.silent(v) ? 1 : 0;
  }
  return depth[last];
}

}  // namespace

Status TreeWasserstein::build(const Space& space, const Rule& rule) {
  space_ = &space;
  rule_ = rule;
  if (Status s = labels_.build(space); !s.ok()) {
    return s;
  }
  if (rule.groups.size() != labels_.size() || !(rule.leaf >= 0 && rule.leaf <= 1) ||
      !factor(rule.operations) || !factor(rule.pairs) || !factor(rule.entering) ||
      !factor(rule.leaving)) {
    return Status::fail(Code::limit, 0,
                        "tree-Wasserstein takes one group for each label, the weight of a leaf "
                        "from 0 to 1, and four finite factors of at least 0");
  }
  std::vector<std::uint8_t> used(labels_.size(), 0);
  for (std::size_t part = 0; part < labels_.parts(); ++part) {
    for (const std::uint32_t label : labels_.possible(part)) {
      const Kind kind = labels_.all()[label].kind;
      used[label] |= kind != Kind::identity && kind != Kind::zero;
    }
  }
  symbol_of_.assign(labels_.size(), 0);
  group_of_.clear();
  std::map<std::int32_t, std::int32_t> numbers;
  for (std::size_t label = 0; label < labels_.size(); ++label) {
    if (used[label] == 0) {
      continue;
    }
    symbol_of_[label] = static_cast<std::uint32_t>(group_of_.size());
    const std::int32_t group = rule.groups[label];
    const auto number = static_cast<std::int32_t>(numbers.size());
    group_of_.push_back(group < 0 ? -1 : numbers.emplace(group, number).first->second);
  }
  group_of_.insert(group_of_.end(), kEnds, -1);
  symbols_ = group_of_.size();
  groups_ = numbers.size();
  levels_ = deepest(space, labels_);
  // Pairs of groups: a symbol without a group counts as one of its own.
  const std::size_t sides = groups_ + symbols_;
  pairs_at_ = symbols_ + groups_ + 1;
  entering_at_ = pairs_at_ + symbols_ * symbols_ + sides * sides + 1;
  leaving_at_ = entering_at_ + levels_;
  columns_ = leaving_at_ + levels_;
  if (columns_ > kMaxColumns) {
    return Status::fail(Code::limit, 0,
                        "the operations of '" + space.name +
                            "' have too many different labels for a tree of their pairs");
  }
  return {};
}

void TreeWasserstein::embed_row(const OperationGraph& graph,
                                const std::vector<std::uint32_t>& symbols,
                                std::vector<std::uint32_t>& depths, double* out) const {
  std::fill_n(out, columns_, 0.0);
  const auto leaf = [&](std::uint32_t s) { return group_of_[s] < 0 ? 1 : rule_.leaf; };
  const auto inner = [&](std::uint32_t s) { return group_of_[s] < 0 ? 1 : 1 - rule_.leaf; };
  const std::size_t operations = graph.vertices.size() - kEnds;
  for (std::size_t v = 1; v <= operations; ++v) {
    const std::uint32_t s = symbols[v];
    const double mass = rule_.operations / static_cast<double>(operations);
    out[s] += leaf(s) * mass;
    if (group_of_[s] >= 0) {
      out[symbols_ + static_cast<std::size_t>(group_of_[s])] += inner(s) * mass;
    }
  }
  if (operations == 0) {
    out[pairs_at_ - 1] = rule_.operations;
  }
  double arcs = 0;
  for (const OperationGraph::Arc& arc : graph.arcs) {
    arcs += static_cast<double>(arc.times);
  }
  if (graph.arcs.empty()) {
    out[entering_at_ - 1] = rule_.pairs;
    return;
  }
  const std::size_t sides = groups_ + symbols_;
  const auto side = [&](std::uint32_t s) {
    return group_of_[s] < 0 ? groups_ + s : static_cast<std::size_t>(group_of_[s]);
  };
  depths.assign(graph.vertices.size(), 0);
  for (const OperationGraph::Arc& arc : graph.arcs) {
    depths[arc.to] = std::max(depths[arc.to], depths[arc.from] + 1);
  }
  for (const OperationGraph::Arc& arc : graph.arcs) {
    const double mass = static_cast<double>(arc.times) / arcs;
    const std::uint32_t a = symbols[arc.from], b = symbols[arc.to];
    out[pairs_at_ + a * symbols_ + b] += rule_.pairs * leaf(a) * leaf(b) * mass;
    if (group_of_[a] >= 0 || group_of_[b] >= 0) {
      out[pairs_at_ + symbols_ * symbols_ + side(a) * sides + side(b)] +=
          rule_.pairs * inner(a) * inner(b) * mass;
    }
    const double step = mass / static_cast<double>(levels_);
    for (std::size_t level = 0; level < depths[arc.to]; ++level) {
      out[entering_at_ + level] += rule_.entering * step;
    }
    for (std::size_t level = 0; level < depths[arc.from]; ++level) {
      out[leaving_at_ + level] += rule_.leaving * step;
    }
  }
}

Status TreeWasserstein::embed(std::uint64_t n, const std::uint8_t* codes, double* out,
                              unsigned threads) const {
  return parallel_rows(n, threads, kEmbedGrain, [&](std::uint64_t begin, std::uint64_t end) {
    OperationGraphs maker;
    if (Status s = maker.begin(*space_, {}); !s.ok()) {
      return s;
    }
    OperationGraph graph;
    std::vector<std::uint32_t> symbols, depths;
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * space_->width();
      if (Status s = maker.make(row, code, graph); !s.ok()) {
        return s;
      }
      symbols.clear();
      for (const OperationGraph::Vertex& vertex : graph.vertices) {
        const std::int32_t label = labels_.of(vertex.part, code, maker.active());
        symbols.push_back(label < 0 ? 0 : symbol_of_[static_cast<std::size_t>(label)]);
      }
      symbols.front() = static_cast<std::uint32_t>(symbols_ - 2);
      symbols.back() = static_cast<std::uint32_t>(symbols_ - 1);
      embed_row(graph, symbols, depths, out + row * columns_);
    }
    return Status{};
  });
}

}  // namespace nasturtium
