#include "nasturtium/graph.hpp"

#include <algorithm>
#include <bit>

namespace nasturtium {
namespace {

constexpr std::uint64_t kInactive = 0x9AE16A3B2F90404Full;

const Token* token_of(const Space& space, const LabelPart& part, const std::uint8_t* code,
                      const std::uint8_t* active) {
  if (part.decision < 0) {
    return &part.constant;
  }
  const auto d = static_cast<std::size_t>(part.decision);
  return active[d] ? &space.decisions[d].options[code[d]] : nullptr;
}

// The first part of the label of a node or edge; null where it does not exist.
const Token* head_of(const Space& space, const Label& label, const Conditions& when,
                     const std::uint8_t* code, const std::uint8_t* active) {
  const Token* head = token_of(space, label[0], code, active);
  const bool there = head != nullptr && head->kind != Kind::zero && holds(when, code, active);
  return there ? head : nullptr;
}

// The operation of a node or edge; kind zero where it does not exist.
Operation operation(const Space& space, const Label& label, const Conditions& when,
                    const std::uint8_t* code, const std::uint8_t* active) {
  const Token* head = head_of(space, label, when, code, active);
  if (head == nullptr) {
    return {0, Kind::zero};
  }
  std::uint64_t hash = head->hash;
  for (std::size_t i = 1; i < label.size(); ++i) {
    const Token* part = token_of(space, label[i], code, active);
    hash = mix(hash * 3 + (part == nullptr ? kInactive : part->hash));
  }
  return {hash, head->kind};
}

// The same, and at once where it stands in the table.
Operation operation(const Space& space, const Slot& slot, const Label& label,
                    const Conditions& when, const std::uint8_t* code, const std::uint8_t* active) {
  if (!slot.plain) {
    return operation(space, label, when, code, active);
  }
  if (slot.decision < 0) {
    return space.operations[slot.begin];
  }
  const auto d = static_cast<std::size_t>(slot.decision);
  return active[d] ? space.operations[slot.begin + code[d]] : Operation{0, Kind::zero};
}

// The nodes that exist.
std::uint64_t existing_nodes(const Space& space, const std::uint8_t* code,
                             const std::uint8_t* active) {
  std::uint64_t exists = 0;
  for (std::size_t v = 0; v < space.nodes.size(); ++v) {
    const Node& node = space.nodes[v];
    if (head_of(space, node.label, node.when, code, active) != nullptr) {
      exists |= bit(v);
    }
  }
  return exists;
}

}  // namespace

void build_graph(const Space& space, const std::uint8_t* code, const std::uint8_t* active,
                 LiveGraph& graph) {
  graph.nodes = 0;
  for (std::size_t v = 0; v < space.nodes.size(); ++v) {
    const Node& node = space.nodes[v];
    graph.ops[v] = operation(space, space.node_slots[v], node.label, node.when, code, active);
    if (graph.ops[v].kind != Kind::zero) {
      graph.nodes |= bit(v);
    }
  }
  // Each edge is written, and counts where it is there: which ones are cannot be predicted.
  graph.edges.resize(space.edges.size());
  std::size_t found = 0;
  for (std::size_t e = 0; e < space.edges.size(); ++e) {
    const Edge& edge = space.edges[e];
    const Operation op = operation(space, space.edge_slots[e], edge.label, edge.when, code, active);
    graph.edges[found] = {static_cast<std::uint32_t>(e), edge.src, edge.dst, op};
    const std::uint64_t ends = graph.nodes >> edge.src & graph.nodes >> edge.dst & 1;
    found += static_cast<std::size_t>(ends) & (op.kind != Kind::zero);
  }
  graph.edges.resize(found);
}

bool prune(const Space& space, LiveGraph& graph) {
  const std::size_t n = space.nodes.size();
  if (n == 0) {
    return true;
  }
  std::array<std::uint64_t, kMaxNodes> into, from;
  std::fill_n(into.begin(), n, 0);
  std::fill_n(from.begin(), n, 0);
  for (const LiveEdge& edge : graph.edges) {
    into[edge.dst] |= bit(edge.src);
    from[edge.src] |= bit(edge.dst);
  }
  std::uint64_t forward = graph.nodes & 1;
  for (std::size_t v = 1; v < n; ++v) {
    forward |= std::uint64_t{(into[v] & forward) != 0} << v;
  }
  std::uint64_t backward = graph.nodes & bit(n - 1);
  for (std::size_t v = n - 1; v-- > 0;) {
    backward |= std::uint64_t{(from[v] & backward) != 0} << v;
  }
  const std::uint64_t live = forward & backward;
  std::size_t kept = 0;
  for (const LiveEdge& edge : graph.edges) {
    graph.edges[kept] = edge;
    kept += static_cast<std::size_t>(live >> edge.src & live >> edge.dst & 1);
  }
  graph.edges.resize(kept);
  graph.nodes = live | bit(0) | bit(n - 1);
  return live != 0;
}

bool reaches_output(const Space& space, const std::uint8_t* code, const std::uint8_t* active) {
  const std::size_t n = space.nodes.size();
  if (n == 0) {
    return true;
  }
  const std::uint64_t exists = existing_nodes(space, code, active);
  // By destination, so that one pass settles every node before its own edges are looked at.
  std::uint64_t reached = exists & 1;
  for (const std::uint32_t number : space.edges_by_dst) {
    const Edge& edge = space.edges[number];
    if ((reached & bit(edge.src)) && (exists & bit(edge.dst)) && !(reached & bit(edge.dst)) &&
        head_of(space, edge.label, edge.when, code, active) != nullptr) {
      reached |= bit(edge.dst);
    }
  }
  return (reached & bit(n - 1)) != 0;
}

std::uint32_t count_live(const Space& space, const Constraint& constraint, const std::uint8_t* code,
                         const std::uint8_t* active) {
  const std::size_t n = space.nodes.size();
  const std::uint64_t exists = existing_nodes(space, code, active);
  // The sources of each node's edges, of those that the input reaches.
  std::array<std::uint64_t, kMaxNodes> sources;
  std::fill_n(sources.begin(), n, 0);
  std::uint64_t reached = exists & 1;
  for (const std::uint32_t number : space.edges_by_dst) {
    const Edge& edge = space.edges[number];
    if ((reached & bit(edge.src)) && (exists & bit(edge.dst)) &&
        head_of(space, edge.label, edge.when, code, active) != nullptr) {
      reached |= bit(edge.dst);
      sources[edge.dst] |= bit(edge.src);
    }
  }
  std::uint64_t live = reached & bit(n - 1);
  for (std::size_t v = n - 1; v > 0; --v) {
    live |= (live & bit(v)) ? sources[v] : 0;
  }
  const auto counts = [&](const Label& label) {
    const Token* head = token_of(space, label[0], code, active);
    return constraint.operations.empty() ||
           std::find(constraint.operations.begin(), constraint.operations.end(), *head) !=
               constraint.operations.end();
  };
  std::uint32_t count = 0;
  if (constraint.nodes) {
    for (std::size_t v = 0; v < n; ++v) {
      count += (live & bit(v)) != 0 && counts(space.nodes[v].label);
    }
  } else if (constraint.operations.empty()) {
    for (std::size_t v = 1; v < n; ++v) {
      count += (live & bit(v)) ? static_cast<std::uint32_t>(std::popcount(sources[v])) : 0;
    }
  } else {
    for (const Edge& edge : space.edges) {
      count += (live & bit(edge.dst)) != 0 && (sources[edge.dst] & bit(edge.src)) != 0 &&
               counts(edge.label);
    }
  }
  return count;
}

}  // namespace nasturtium
