#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nasturtium/space.hpp"

namespace nasturtium::text {

constexpr std::size_t kMaxTokenLength = 256;
constexpr std::size_t kMaxConditions = 64;
constexpr std::size_t kMaxLabelParts = 16;
constexpr std::size_t kMaxConstraints = 4096;
constexpr std::size_t kMaxEdges = kMaxNodes * (kMaxNodes - 1) / 2;

inline bool is_name(std::string_view s) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !s.empty() && s.size() <= 64 && plain(s[0]) &&
         std::all_of(s.begin(), s.end(), [&](char c) { return plain(c) || c == '.' || c == '-'; });
}

// Bare values: true, false, and what starts as a number; their characters are their identity.
inline bool is_bare_value(std::string_view s) {
  if (s == "true" || s == "false") {
    return true;
  }
  const std::size_t sign = !s.empty() && s[0] == '-';
  return s.size() > sign && s[sign] >= '0' && s[sign] <= '9' &&
         std::all_of(s.begin(), s.end(), [](char c) {
           return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e';
         });
}

// Reads the text form line by line: lexical part and decisions in text.cc, graph and constraints in
// text_graph.cc.
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
  Status live(const Tokens& t);
  Status number(const Token& t, std::size_t most, std::uint32_t& out) const;
  Status label(const Tokens& t, std::size_t& i, Label& out) const;
  Status conditions(const Tokens& t, std::size_t& i, Conditions& out) const;
  Status condition(const Tokens& t, std::size_t& i, Condition& out) const;
  Status find_decision(const Token& t, std::uint32_t& out) const;
  Status finish();
  Slot slot_of(const Label& label, const Conditions& when);

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

}  // namespace nasturtium::text
