#include <charconv>

#include "text_reader.hpp"

namespace nasturtium::text {

Status Reader::kinds(const Tokens& t) {
  if (!space_.nodes.empty()) {
    return fail("'" + t[0].text + "' comes before the nodes");
  }
  const Kind kind = t[0].text == "zero"         ? Kind::zero
                    : t[0].text == "identity"   ? Kind::identity
                    : t[0].text == "weightless" ? Kind::weightless
                                                : Kind::concat;
  for (std::size_t i = 1; i < t.size(); ++i) {
    if (!t[i].quoted) {
      return fail("operation '" + t[i].text + "' is not quoted");
    }
    if (!kinds_.emplace(t[i].text, kind).second) {
      return fail("operation '" + t[i].text + "' is of two kinds");
    }
  }
  return {};
}

// One or more of: VALUE, $DECISION; the first is the operation.
Status Reader::label(const Tokens& t, std::size_t& i, Label& out) const {
  for (; i < t.size() && !is_keyword(t, i, "when"); ++i) {
    LabelPart part;
    if (!t[i].quoted && t[i].text[0] == '$') {
      Token name = t[i];
      name.text.erase(0, 1);
      std::uint32_t number = 0;
      if (Status s = find_decision(name, number); !s.ok()) {
        return s;
      }
      part.decision = static_cast<std::int32_t>(number);
    } else if (is_value(t, i)) {
      part.constant = t[i];
      part.constant.kind = kind_of(t[i]);
    } else {
      return fail("label '" + t[i].text + "' is neither a value nor $DECISION");
    }
    if (out.size() == kMaxLabelParts) {
      return fail("a label of more than 16 parts");
    }
    out.push_back(std::move(part));
  }
  return out.empty() ? fail("a label is missing") : Status{};
}

Status Reader::node(const Tokens& t) {
  if (t.size() < 3 || t[1].quoted || !is_name(t[1].text)) {
    return fail("expected 'node NAME LABEL ...'");
  }
  if (space_.nodes.size() == kMaxNodes) {
    return fail("more than 64 nodes");
  }
  if (!space_.edges.empty()) {
    return fail("nodes come before edges");
  }
  Node n;
  n.name = t[1].text;
  std::size_t i = 2;
  if (Status s = label(t, i, n.label); !s.ok()) {
    return s;
  }
  if (Status s = conditions(t, i, n.when); !s.ok()) {
    return s;
  }
  if (!nodes_.emplace(n.name, static_cast<std::uint32_t>(space_.nodes.size())).second) {
    return fail("node '" + n.name + "' is declared twice");
  }
  space_.nodes.push_back(std::move(n));
  sources_.push_back(0);
  return {};
}

Status Reader::edge(const Tokens& t) {
  if (t.size() < 4 || t[1].quoted || t[2].quoted) {
    return fail("expected 'edge FROM TO LABEL ...'");
  }
  const auto src = nodes_.find(t[1].text);
  const auto dst = nodes_.find(t[2].text);
  if (src == nodes_.end() || dst == nodes_.end()) {
    return fail("unknown node '" + t[src == nodes_.end() ? 1 : 2].text + "'");
  }
  if (src->second >= dst->second) {
    return fail("an edge goes from an earlier to a later node, so that there is no cycle");
  }
  const std::uint64_t bit = std::uint64_t{1} << src->second;
  if (sources_[dst->second] & bit) {
    return fail("edge '" + t[1].text + "' -> '" + t[2].text + "' is declared twice");
  }
  sources_[dst->second] |= bit;
  Edge e;
  e.src = src->second;
  e.dst = dst->second;
  std::size_t i = 3;
  if (Status s = label(t, i, e.label); !s.ok()) {
    return s;
  }
  if (Status s = conditions(t, i, e.when); !s.ok()) {
    return s;
  }
  space_.edges.push_back(std::move(e));
  return {};
}

Status Reader::number(const Token& t, std::size_t most, std::uint32_t& out) const {
  const char* end = t.text.data() + t.text.size();
  const auto [stop, error] = std::from_chars(t.text.data(), end, out);
  const bool taken = !t.quoted && error == std::errc() && stop == end && out <= most;
  return taken ? Status{}
               : fail("K is '" + t.text + "', not a number from 0 to " + std::to_string(most));
}

// live_at_most K nodes|edges VALUE ..., and live_at_least; without values all are counted.
Status Reader::live(const Tokens& t) {
  if (space_.constraints.size() == kMaxConstraints) {
    return fail("more than 4096 constraints");
  }
  Constraint c;
  c.kind =
      t[0].text == "live_at_most" ? ConstraintKind::live_at_most : ConstraintKind::live_at_least;
  if (t.size() < 3 || space_.nodes.empty() ||
      !(is_keyword(t, 2, "nodes") || is_keyword(t, 2, "edges"))) {
    return fail("expected '" + t[0].text + " K nodes|edges VALUE ...', behind a graph");
  }
  c.nodes = t[2].text == "nodes";
  if (Status s = number(t[1], kMaxEdges, c.k); !s.ok()) {
    return s;
  }
  for (std::size_t i = 3; i < t.size(); ++i) {
    if (!is_value(t, i)) {
      return fail("operation '" + t[i].text + "' is no value");
    }
    c.operations.push_back(t[i]);
  }
  space_.constraints.push_back(std::move(c));
  return {};
}

Status Reader::constraint(const Tokens& t) {
  if (space_.constraints.size() == kMaxConstraints) {
    return fail("more than 4096 constraints");
  }
  Constraint c;
  if (t[0].text == "connected") {
    if (t.size() != 1 || space_.nodes.empty()) {
      return fail("'connected' stands alone and needs a graph");
    }
  } else if (t[0].text == "forbid") {
    c.kind = ConstraintKind::forbid;
    std::size_t i = 1;
    if (Status s = conditions(t, i, c.terms); !s.ok()) {
      return s;
    }
    if (c.terms.empty()) {
      return fail("expected 'forbid when NAME VALUE ...'");
    }
  } else {
    c.kind = t[0].text == "at_most" ? ConstraintKind::at_most : ConstraintKind::at_least;
    if (t.size() < 4 || !is_value(t, 2)) {
      return fail("expected '" + t[0].text + " K VALUE NAME ...'");
    }
    if (Status s = number(t[1], t.size() - 3, c.k); !s.ok()) {
      return s;
    }
    for (std::size_t i = 3; i < t.size(); ++i) {
      Tokens pair{t[i], t[2]};
      std::size_t at = 0;
      if (Status s = condition(pair, at, c.terms.emplace_back()); !s.ok()) {
        return s;
      }
    }
  }
  space_.constraints.push_back(std::move(c));
  return {};
}

}  // namespace nasturtium::text
