#include "nasturtium/function.hpp"

#include <algorithm>

namespace nasturtium {
namespace {

constexpr std::uint64_t kInput = 0xE7037ED1A0B428DBull;
constexpr std::uint64_t kOutput = 0x8EBC6AF09C88C6E3ull;
constexpr std::uint64_t kSum = 0x589965CC75374CC3ull;
constexpr std::uint64_t kConcat = 0x1D8E4E27C47D124Full;

}  // namespace

FunctionForm::Sum FunctionForm::sum_of(std::uint32_t vertex) {
  const Sum sum{static_cast<std::uint32_t>(terms_.size()), 1};
  terms_.push_back({1, vertex});
  return sum;
}

FunctionForm::Sum FunctionForm::sum_of(const std::vector<Term>& parts) {
  const Sum sum{static_cast<std::uint32_t>(terms_.size()),
                static_cast<std::uint32_t>(parts.size())};
  terms_.insert(terms_.end(), parts.begin(), parts.end());
  return sum;
}

void FunctionForm::add(std::vector<Term>& to, const Sum& term) const {
  for (std::uint32_t i = 0; i < term.size; ++i) {
    const Term& more = terms_[term.begin + i];
    // From behind: what is added is mostly younger than what is there.
    auto at = to.end();
    while (at != to.begin() && (at - 1)->vertex > more.vertex) {
      --at;
    }
    if (at != to.begin() && (at - 1)->vertex == more.vertex) {
      (at - 1)->times += more.times;
    } else {
      to.insert(at, more);
    }
  }
}

bool FunctionForm::equal(const Sum& a, const Sum& b) const {
  return a.size == b.size && (a.begin == b.begin || std::equal(terms_.begin() + a.begin,
                                                               terms_.begin() + a.begin + a.size,
                                                               terms_.begin() + b.begin));
}

// A vertex with this label and argument: a known one where `shared`, else a new one.
bool FunctionForm::emit(std::uint64_t label, const Sum& argument, bool shared, Sum& result) {
  for (std::size_t v = 1; shared && v < vertices_.size(); ++v) {
    const Vertex& known = vertices_[v];
    if (known.shared && known.label == label && equal(known.argument, argument)) {
      result = sum_of(static_cast<std::uint32_t>(v));
      return true;
    }
  }
  if (vertices_.size() + 1 >= kMaxNodes) {
    return false;
  }
  result = sum_of(static_cast<std::uint32_t>(vertices_.size()));
  vertices_.push_back({label, argument, shared});
  return true;
}

bool FunctionForm::apply(const Operation& op, const Sum& argument, Sum& result) {
  if (op.kind == Kind::identity) {
    result = argument;
    return true;
  }
  return emit(op.hash, argument, op.kind == Kind::weightless, result);
}

bool FunctionForm::concatenate(const Operation& op, const Sum* arguments, std::size_t count,
                               Sum& result) {
  parts_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    Sum part = arguments[i];
    const bool single = part.size == 1 && terms_[part.begin].times == 1;
    if (!single && !emit(kSum, arguments[i], true, part)) {
      return false;
    }
    add(parts_, part);
  }
  return emit(mix(op.hash ^ kConcat), sum_of(parts_), true, result);
}

bool FunctionForm::edge_value(const LiveEdge& edge, Sum& result) {
  if (edge.op.kind == Kind::concat) {
    return concatenate(edge.op, &values_[edge.src], 1, result);
  }
  return apply(edge.op, values_[edge.src], result);
}

bool FunctionForm::node_value(const LiveGraph& graph, std::size_t v) {
  const Operation& op = graph.ops[v];
  entering_.clear();
  for (const LiveEdge& edge : graph.edges) {
    if (edge.dst == v && !edge_value(edge, entering_.emplace_back())) {
      return false;
    }
  }
  if (entering_.empty()) {
    values_[v] = {};
    return true;
  }
  if (op.kind == Kind::concat) {
    return concatenate(op, entering_.data(), entering_.size(), values_[v]);
  }
  Sum total = entering_[0];
  if (entering_.size() > 1) {
    total_.clear();
    for (const Sum& term : entering_) {
      add(total_, term);
    }
    total = sum_of(total_);
  }
  if (total.size == 0) {
    values_[v] = {};
    return true;
  }
  return apply(op, total, values_[v]);
}

// The vertices with their arguments as edges, by the vertex that they come from.
void FunctionForm::write(EdgeList& out) const {
  const std::size_t n = vertices_.size();
  std::array<std::uint32_t, kMaxNodes + 1> place;
  std::fill_n(place.begin(), n + 1, 0u);
  std::uint32_t edges = 0;
  out.n = n;
  out.labels.resize(n);
  for (std::size_t v = 0; v < n; ++v) {
    const Vertex& vertex = vertices_[v];
    out.labels[v] = vertex.label;
    edges += vertex.argument.size;
    for (std::uint32_t i = 0; i < vertex.argument.size; ++i) {
      ++place[terms_[vertex.argument.begin + i].vertex + 1];
    }
  }
  out.from.resize(edges);
  out.to.resize(edges);
  out.edge_labels.resize(edges);
  for (std::size_t v = 0; v < n; ++v) {
    place[v + 1] += place[v];
  }
  for (std::size_t v = 0; v < n; ++v) {
    const Sum& argument = vertices_[v].argument;
    for (std::uint32_t i = 0; i < argument.size; ++i) {
      const Term& term = terms_[argument.begin + i];
      const std::uint32_t e = place[term.vertex]++;
      out.from[e] = static_cast<std::uint16_t>(term.vertex);
      out.to[e] = static_cast<std::uint16_t>(v);
      out.edge_labels[e] = term.times;
    }
  }
}

// For each vertex its label and the set of what it takes, and all multiplicities where there are
// others than 1.
void FunctionForm::spell(std::vector<std::uint64_t>& words) const {
  const std::size_t n = vertices_.size(), begin = words.size();
  words.resize(begin + 1 + 2 * n);
  std::uint64_t* to = words.data() + begin;
  bool counted = false;
  for (std::size_t v = 0; v < n; ++v) {
    const Sum& argument = vertices_[v].argument;
    std::uint64_t set = 0;
    for (std::uint32_t i = 0; i < argument.size; ++i) {
      const Term& term = terms_[argument.begin + i];
      set |= bit(term.vertex);
      counted |= term.times != 1;
    }
    to[1 + 2 * v] = vertices_[v].label;
    to[2 + 2 * v] = set;
  }
  to[0] = n << 1 | std::uint64_t{counted};
  for (std::size_t v = 0; counted && v < n; ++v) {
    const Sum& argument = vertices_[v].argument;
    for (std::uint32_t i = 0; i < argument.size; ++i) {
      words.push_back(terms_[argument.begin + i].times);
    }
  }
}

Status FunctionForm::rewrite(const Space& space, const LiveGraph& graph) {
  const std::size_t n = space.nodes.size();
  terms_.clear();
  vertices_.clear();
  const Operation& input = graph.ops[0];
  vertices_.push_back(
      {input.kind == Kind::identity ? kInput : mix(kInput ^ input.hash), {}, false});
  values_[0] = sum_of(0);
  for (std::size_t v = 1; v < n; ++v) {
    values_[v] = {};
    if ((graph.nodes >> v & 1) && !node_value(graph, v)) {
      return Status::fail(Code::limit, 0, "the graph computes more than 64 values");
    }
  }
  vertices_.push_back({kOutput, values_[n - 1], false});
  return {};
}

}  // namespace nasturtium
