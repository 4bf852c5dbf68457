#include "nasturtium/operation_graph.hpp"

#include <algorithm>

#include "nasturtium/moves.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kEnterMark = 0xC2B2AE3D27D4EB4Full;
constexpr std::uint64_t kLeaveMark = 0x165667B19E3779F9ull;

// Input and output are told from operations, and by their labels where these do something.
std::uint64_t end_hash(const Operation& op, std::uint64_t mark) {
  return op.kind == Kind::identity ? mark : mix(op.hash ^ mark);
}

bool is_constant(const Label& label) {
  return std::all_of(label.begin(), label.end(),
                     [](const LabelPart& part) { return part.decision < 0; });
}

// Adds the values of `from` to those of `to`; what is in both comes in more ways.
void add_values(std::vector<OperationGraph::Arc>& to,
                const std::vector<OperationGraph::Arc>& from) {
  for (const OperationGraph::Arc& arc : from) {
    const auto same = std::find_if(to.begin(), to.end(), [&arc](const OperationGraph::Arc& other) {
      return other.from == arc.from;
    });
    if (same == to.end()) {
      to.push_back(arc);
    } else {
      same->times += arc.times;
    }
  }
}

}  // namespace

Status OperationGraphs::begin(const Space& space, Rule rule) {
  if (space.nodes.empty()) {
    return Status::fail(Code::limit, 0, "space '" + space.name + "' has no graph");
  }
  space_ = &space;
  rule_ = rule;
  active_.assign(space.width(), 0);
  givers_.assign(space.nodes.size(), {});
  constant_node_.clear();
  constant_edge_.clear();
  for (const Node& node : space.nodes) {
    constant_node_.push_back(is_constant(node.label));
  }
  for (const Edge& edge : space.edges) {
    constant_edge_.push_back(is_constant(edge.label));
  }
  return {};
}

void OperationGraphs::reach(std::uint32_t vertex, const Givers& givers, OperationGraph& out) const {
  for (const OperationGraph::Arc& giver : givers) {
    out.arcs.push_back({giver.from, vertex, giver.times});
  }
}

Status OperationGraphs::make(std::uint64_t row, const std::uint8_t* code, OperationGraph& out) {
  const Space& space = *space_;
  if (!well_formed(space, code, active_.data())) {
    return bad_row(space, row, code);
  }
  build_graph(space, code, active_.data(), graph_);
  if (rule_.prune) {
    prune(space, graph_);
  }
  const auto later = [](const LiveEdge& a, const LiveEdge& b) { return a.dst < b.dst; };
  if (!std::is_sorted(graph_.edges.begin(), graph_.edges.end(), later)) {
    std::stable_sort(graph_.edges.begin(), graph_.edges.end(), later);
  }
  const std::size_t nodes = space.nodes.size();
  out.vertices.clear();
  out.arcs.clear();
  const auto add = [&](const Operation& op, std::size_t part) {
    out.vertices.push_back({op.hash, op.kind, static_cast<std::uint32_t>(part)});
    return static_cast<std::uint32_t>(out.vertices.size() - 1);
  };
  add({end_hash(graph_.ops[0], kEnterMark), graph_.ops[0].kind}, 0);
  auto edge = graph_.edges.begin();
  for (std::size_t v = 0; v < nodes; ++v) {
    Givers& here = givers_[v];
    here.clear();
    for (; edge != graph_.edges.end() && edge->dst == v; ++edge) {
      const bool passes =
          edge->op.kind == Kind::identity && (rule_.contract || constant_edge_[edge->number]);
      if (passes) {
        add_values(here, givers_[edge->src]);
      } else {
        const std::uint32_t vertex = add(edge->op, nodes + edge->number);
        reach(vertex, givers_[edge->src], out);
        here.push_back({vertex, 0, 1});
      }
    }
    if (v == 0) {
      here.push_back({0, 0, 1});
    } else if (v + 1 < nodes && (graph_.nodes & bit(v)) &&
               !(graph_.ops[v].kind == Kind::identity && (rule_.contract || constant_node_[v]))) {
      const std::uint32_t vertex = add(graph_.ops[v], v);
      reach(vertex, here, out);
      here.assign(1, {vertex, 0, 1});
    }
  }
  const std::uint32_t last =
      add({end_hash(graph_.ops[nodes - 1], kLeaveMark), graph_.ops[nodes - 1].kind}, nodes - 1);
  reach(last, givers_[nodes - 1], out);
  return {};
}

}  // namespace nasturtium
