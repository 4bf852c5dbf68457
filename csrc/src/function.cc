#include "nasturtium/function.hpp"

#include <algorithm>

namespace nasturtium {
namespace {

constexpr std::uint64_t kInput = 0xE7037ED1A0B428DBull;
constexpr std::uint64_t kOutput = 0x8EBC6AF09C88C6E3ull;
constexpr std::uint64_t kSum = 0x589965CC75374CC3ull;
constexpr std::uint64_t kConcat = 0x1D8E4E27C47D124Full;

}  // namespace

void FunctionForm::add(Sum& to, const Sum& term) {
  for (const auto& [vertex, times] : term) {
    const auto at = std::lower_bound(
        to.begin(), to.end(), vertex,
        [](const auto& entry, std::uint32_t wanted) { return entry.first < wanted; });
    if (at != to.end() && at->first == vertex) {
      at->second += times;
    } else {
      to.insert(at, {vertex, times});
    }
  }
}

// A vertex with this label and argument: a known one where `shared`, else a new one.
bool FunctionForm::emit(std::uint64_t label, const Sum& argument, bool shared, Sum& result) {
  for (std::size_t v = 1; shared && v < labels_.size(); ++v) {
    if (shared_[v] && labels_[v] == label && arguments_[v] == argument) {
      result = {{static_cast<std::uint32_t>(v), 1}};
      return true;
    }
  }
  if (labels_.size() + 1 >= kMaxNodes) {
    return false;
  }
  result = {{static_cast<std::uint32_t>(labels_.size()), 1}};
  labels_.push_back(label);
  arguments_.push_back(argument);
  shared_.push_back(shared);
  return true;
}

bool FunctionForm::apply(const Operation& op, const Sum& argument, Sum& result) {
  if (op.kind == Kind::identity) {
    result = argument;
    return true;
  }
  return emit(op.hash, argument, op.kind == Kind::weightless, result);
}

bool FunctionForm::concatenate(const Operation& op, const std::vector<Sum>& arguments,
                               Sum& result) {
  Sum parts;
  for (const Sum& argument : arguments) {
    Sum part = argument;
    const bool single = part.size() == 1 && part[0].second == 1;
    if (!single && !emit(kSum, argument, true, part)) {
      return false;
    }
    add(parts, part);
  }
  return emit(mix(op.hash ^ kConcat), parts, true, result);
}

bool FunctionForm::edge_value(const LiveEdge& edge, Sum& result) {
  if (edge.op.kind == Kind::concat) {
    return concatenate(edge.op, {values_[edge.src]}, result);
  }
  return apply(edge.op, values_[edge.src], result);
}

bool FunctionForm::node_value(const LiveGraph& graph, std::size_t v) {
  const Operation& op = graph.ops[v];
  Sum total, term;
  std::vector<Sum> terms;
  for (const LiveEdge& edge : graph.edges) {
    if (edge.dst != v) {
      continue;
    }
    if (!edge_value(edge, term)) {
      return false;
    }
    if (op.kind == Kind::concat) {
      terms.push_back(term);
    } else {
      add(total, term);
    }
  }
  if (op.kind == Kind::concat && !terms.empty()) {
    return concatenate(op, terms, values_[v]);
  }
  if (total.empty()) {
    values_[v].clear();
    return true;
  }
  return apply(op, total, values_[v]);
}

Status FunctionForm::rewrite(const Space& space, const LiveGraph& graph, Digraph& out) {
  const std::size_t n = space.nodes.size();
  values_.assign(n, {});
  const Operation& input = graph.ops[0];
  labels_.assign(1, input.kind == Kind::identity ? kInput : mix(kInput ^ input.hash));
  arguments_.assign(1, {});
  shared_.assign(1, 0);
  values_[0] = {{0, 1}};
  for (std::size_t v = 1; v < n; ++v) {
    if ((graph.nodes >> v & 1) && !node_value(graph, v)) {
      return Status::fail(Code::limit, 0, "the graph computes more than 64 values");
    }
  }
  const std::size_t output = labels_.size();
  labels_.push_back(kOutput);
  arguments_.push_back(values_[n - 1]);
  out.clear(output + 1);
  for (std::size_t v = 0; v <= output; ++v) {
    out.labels[v] = labels_[v];
    for (const auto& [source, times] : arguments_[v]) {
      out.add_edge(source, v, times);
    }
  }
  return {};
}

}  // namespace nasturtium
