#include <algorithm>
#include <charconv>
#include <map>
#include <string>

#include "nasturtium/space.hpp"

namespace nasturtium {
namespace {

constexpr std::size_t kMaxTokenLength = 256;
constexpr std::size_t kMaxConditions = 64;
constexpr std::size_t kMaxLabelParts = 16;
constexpr std::size_t kMaxConstraints = 4096;

bool is_name(std::string_view s) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !s.empty() && s.size() <= 64 && plain(s[0]) && std::all_of(s.begin(), s.end(), [&](char c) {
    return plain(c) || c == '.' || c == '-';
  });
}

// Bare values: true, false, and what starts as a number; their characters are their identity.
bool is_bare_value(std::string_view s) {
  if (s == "true" || s == "false") {
    return true;
  }
  const std::size_t sign = !s.empty() && s[0] == '-';
  return s.size() > sign && s[sign] >= '0' && s[sign] <= '9' &&
         std::all_of(s.begin(), s.end(), [](char c) {
           return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e';
         });
}

class Reader {
 public:
  Reader(std::string_view text, Space& space) : text_(text), space_(space) {}

  Status read();

 private:
  using Tokens = std::vector<Token>;

  Status fail(std::string reason) const {
    return Status::fail(Code::text, line_, std::move(reason));
  }
  Status split(std::string_view line, Tokens& tokens) const;
  Status statement(const Tokens& t);
  Status decision(const Tokens& t);
  Status kinds(const Tokens& t);
  Status node(const Tokens& t);
  Status edge(const Tokens& t);
  Status constraint(const Tokens& t);
  Status label(const Tokens& t, std::size_t& i, Label& out) const;
  Status conditions(const Tokens& t, std::size_t& i, Conditions& out) const;
  Status condition(const Tokens& t, std::size_t& i, Condition& out) const;
  Status find_decision(const Token& t, std::uint32_t& out) const;
  Status finish();

  bool is_keyword(const Tokens& t, std::size_t i, std::string_view word) const {
    return i < t.size() && !t[i].quoted && t[i].text == word;
  }
  bool is_value(const Tokens& t, std::size_t i) const {
    return i < t.size() && (t[i].quoted || is_bare_value(t[i].text));
  }
  Kind kind_of(const Token& t) const {
    const auto found = kinds_.find(t.text);
    return t.quoted && found != kinds_.end() ? found->second : Kind::weighted;
  }

  std::string_view text_;
  Space& space_;
  std::uint64_t line_ = 0;
  bool ended_ = false;
  std::map<std::string, std::uint32_t, std::less<>> decisions_;
  std::map<std::string, std::uint32_t, std::less<>> nodes_;
  std::map<std::string, Kind, std::less<>> kinds_;
  std::vector<std::uint64_t> sources_;  // for each node, the nodes that an edge leads from
};

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
    const char* end = t[1].text.data() + t[1].text.size();
    const auto [stop, error] = std::from_chars(t[1].text.data(), end, c.k);
    if (t[1].quoted || error != std::errc() || stop != end || c.k > t.size() - 3) {
      return fail("K is '" + t[1].text + "', not a number from 0 to the count of names");
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
    for (const Condition& c : d.when) {
      space_.is_parent[c.decision] = 1;
      space_.conditional = true;
    }
    if (!mentioned[i]) {
      space_.attributes.push_back(static_cast<std::uint32_t>(i));
    }
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

}  // namespace

Status parse_space(std::string_view text, Space& out) {
  out = Space{};
  return Reader(text, out).read();
}

}  // namespace nasturtium
