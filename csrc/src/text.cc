#include "text_reader.hpp"

namespace nasturtium::text {

Status Reader::split(std::string_view line, Tokens& tokens) const {
  tokens.clear();
  std::size_t i = 0;
  while (i < line.size()) {
    if (!tokens.empty()) {
      if (line[i] != ' ') {
        return fail("a space is missing at column " + std::to_string(i + 1));
      }
      ++i;
    }
    const bool quoted = i < line.size() && line[i] == '"';
    const std::size_t begin = i + quoted;
    const std::size_t end = std::min(line.find(quoted ? '"' : ' ', begin), line.size());
    const std::string_view word = line.substr(begin, end - begin);
    if (word.empty() || word.size() > kMaxTokenLength || (quoted && end == line.size())) {
      return fail("an empty, overlong or unclosed word at column " + std::to_string(i + 1));
    }
    const bool clean = std::none_of(word.begin(), word.end(), [](char c) {
      return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\\' || c == '\x7f';
    });
    if (!clean) {
      return fail("a character that is not allowed in the word at column " + std::to_string(i + 1));
    }
    tokens.push_back({std::string(word), quoted, hash_text(word, quoted ? 1 : 2), Kind::weighted});
    i = end + quoted;
  }
  return {};
}

Status Reader::read() {
  if (text_.size() > kMaxText) {
    return Status::fail(Code::limit, 0, "the text form is longer than 1 MiB");
  }
  Tokens tokens;
  for (std::size_t at = 0; at < text_.size();) {
    ++line_;
    const std::size_t end = text_.find('\n', at);
    if (end == std::string_view::npos) {
      return fail("the line is not ended: the text is cut off");
    }
    const std::string_view line = text_.substr(at, end - at);
    at = end + 1;
    if (ended_) {
      return fail("text after 'end'");
    }
    if (line_ == 1) {
      if (line != "nasturtium-space 1") {
        return fail("expected 'nasturtium-space 1': no space, or one of another version");
      }
      continue;
    }
    if (Status s = split(line, tokens); !s.ok()) {
      return s;
    }
    if (tokens.empty()) {
      return fail("an empty line");
    }
    if (Status s = statement(tokens); !s.ok()) {
      return s;
    }
  }
  if (!ended_) {
    ++line_;
    return fail("'end' is missing: the text is cut off");
  }
  return finish();
}

Status Reader::statement(const Tokens& t) {
  const std::string_view word = t[0].quoted ? std::string_view() : std::string_view(t[0].text);
  if (line_ == 2 || word == "space") {
    if (line_ != 2 || word != "space" || t.size() != 2 || t[1].quoted || !is_name(t[1].text)) {
      return fail("the second line, and only it, is 'space NAME'");
    }
    space_.name = t[1].text;
    space_.name_hash = hash_text(space_.name, 3);
    return {};
  }
  if (word == "decision") {
    return decision(t);
  }
  if (word == "zero" || word == "identity" || word == "weightless" || word == "concat") {
    return kinds(t);
  }
  if (word == "node") {
    return node(t);
  }
  if (word == "edge") {
    return edge(t);
  }
  if (word == "forbid" || word == "at_most" || word == "at_least" || word == "connected") {
    return constraint(t);
  }
  if (word == "live_at_most" || word == "live_at_least") {
    return live(t);
  }
  if (word == "convention") {
    const bool known = t.size() == 3 && !t[1].quoted && is_name(t[1].text) &&
                       (t[2].text == "string" || t[2].text == "string_skip");
    return known ? Status{} : fail("expected 'convention NAME string|string_skip'");
  }
  if (word == "end" && t.size() == 1) {
    ended_ = true;
    return {};
  }
  return fail("unknown statement '" + t[0].text + "'");
}

Status Reader::find_decision(const Token& t, std::uint32_t& out) const {
  const auto found = t.quoted ? decisions_.end() : decisions_.find(t.text);
  if (found == decisions_.end()) {
    return fail("unknown decision '" + t.text + "' (conditions name earlier decisions)");
  }
  out = found->second;
  return {};
}

// NAME VALUE VALUE ...
Status Reader::condition(const Tokens& t, std::size_t& i, Condition& out) const {
  if (i >= t.size()) {
    return fail("a decision is missing at the end of the line");
  }
  if (Status s = find_decision(t[i], out.decision); !s.ok()) {
    return s;
  }
  const Decision& decision = space_.decisions[out.decision];
  const std::size_t first = ++i;
  for (; is_value(t, i); ++i) {
    const auto found = std::find(decision.options.begin(), decision.options.end(), t[i]);
    if (found == decision.options.end()) {
      return fail("decision '" + decision.name + "' has no option '" + t[i].text + "'");
    }
    out.options.add(static_cast<std::size_t>(found - decision.options.begin()));
  }
  return i > first ? Status{} : fail("a condition on '" + decision.name + "' lists no value");
}

// Any number of: when NAME VALUE ...
Status Reader::conditions(const Tokens& t, std::size_t& i, Conditions& out) const {
  while (is_keyword(t, i, "when")) {
    if (out.size() == kMaxConditions) {
      return fail("more than 64 conditions");
    }
    Condition c;
    if (Status s = condition(t, ++i, c); !s.ok()) {
      return s;
    }
    out.push_back(c);
  }
  return i == t.size() ? Status{} : fail("unexpected word '" + t[i].text + "'");
}

Status Reader::decision(const Tokens& t) {
  if (t.size() < 3 || t[1].quoted || !is_name(t[1].text)) {
    return fail("expected 'decision NAME OPTION ...'");
  }
  if (!space_.nodes.empty() || !space_.constraints.empty() || !kinds_.empty()) {
    return fail("decisions come before graph and constraints");
  }
  if (space_.decisions.size() == kMaxDecisions) {
    return fail("more than 4096 decisions");
  }
  Decision d;
  d.name = t[1].text;
  std::size_t i = 2;
  for (; is_value(t, i); ++i) {
    if (d.options.size() == kMaxOptions) {
      return fail("more than 256 options");
    }
    if (std::find(d.options.begin(), d.options.end(), t[i]) != d.options.end()) {
      return fail("option '" + t[i].text + "' is given twice");
    }
    d.options.push_back(t[i]);
  }
  if (d.options.empty()) {
    return fail("decision '" + d.name + "' has no options");
  }
  if (Status s = conditions(t, i, d.when); !s.ok()) {
    return s;
  }
  const auto number = static_cast<std::uint32_t>(space_.decisions.size());
  if (!decisions_.emplace(d.name, number).second) {
    return fail("decision '" + d.name + "' is declared twice");
  }
  space_.decisions.push_back(std::move(d));
  return {};
}

// Adds the operations of a node or edge to the table, where it has a slot.
Slot Reader::slot_of(const Label& label, const Conditions& when) {
  if (label.size() != 1 || !when.empty()) {
    return {};
  }
  const Slot slot{true, label[0].decision, static_cast<std::uint32_t>(space_.operations.size())};
  const auto add = [this](const Token& token) {
    space_.operations.push_back(token.kind == Kind::zero ? Operation{0, Kind::zero}
                                                         : Operation{token.hash, token.kind});
  };
  if (slot.decision < 0) {
    add(label[0].constant);
  } else {
    for (const Token& option : space_.decisions[static_cast<std::size_t>(slot.decision)].options) {
      add(option);
    }
  }
  return slot;
}

// Fills in what is derived from the declarations.
Status Reader::finish() {
  if (space_.decisions.empty()) {
    return fail("a space needs at least one decision");
  }
  if (space_.nodes.size() == 1) {
    return fail("a graph needs an input and an output: two nodes");
  }
  std::vector<std::uint8_t> mentioned(space_.width(), 0);
  const auto mention = [&mentioned](const Label& label, const Conditions& when) {
    for (const LabelPart& part : label) {
      if (part.decision >= 0) {
        mentioned[static_cast<std::size_t>(part.decision)] = 1;
      }
    }
    for (const Condition& c : when) {
      mentioned[c.decision] = 1;
    }
  };
  for (const Node& n : space_.nodes) {
    mention(n.label, n.when);
  }
  for (const Edge& e : space_.edges) {
    mention(e.label, e.when);
  }
  space_.is_parent.assign(space_.width(), 0);
  for (std::size_t i = 0; i < space_.width(); ++i) {
    Decision& d = space_.decisions[i];
    for (Token& option : d.options) {
      option.kind = kind_of(option);
    }
    space_.counts.push_back(static_cast<std::uint32_t>(d.options.size()));
    space_.is_guarded.push_back(!d.when.empty());
    for (const Condition& c : d.when) {
      space_.is_parent[c.decision] = 1;
      space_.conditional = true;
    }
    if (!mentioned[i]) {
      space_.attributes.push_back(static_cast<std::uint32_t>(i));
    }
  }
  for (const Node& n : space_.nodes) {
    space_.node_slots.push_back(slot_of(n.label, n.when));
  }
  for (const Edge& e : space_.edges) {
    space_.edge_slots.push_back(slot_of(e.label, e.when));
  }
  for (std::size_t e = 0; e < space_.edges.size(); ++e) {
    space_.edges_by_dst.push_back(static_cast<std::uint32_t>(e));
  }
  std::stable_sort(space_.edges_by_dst.begin(), space_.edges_by_dst.end(),
                   [this](std::uint32_t a, std::uint32_t b) {
                     return space_.edges[a].dst < space_.edges[b].dst;
                   });
  return {};
}

}  // namespace nasturtium::text

namespace nasturtium {

Status parse_space(std::string_view text, Space& out) {
  out = Space{};
  return text::Reader(text, out).read();
}

}  // namespace nasturtium
