#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nasturtium/status.hpp"

namespace nasturtium {

constexpr std::size_t kMaxNodes = 64;
constexpr std::size_t kMaxOptions = 256;
constexpr std::size_t kMaxDecisions = 4096;
constexpr std::size_t kMaxText = std::size_t{1} << 20;

// A set of option numbers.
struct OptionSet {
  std::array<std::uint64_t, 4> bits{};

  bool has(std::uint8_t v) const { return (bits[v >> 6] >> (v & 63)) & 1; }
  void add(std::size_t v) { bits[v >> 6] |= std::uint64_t{1} << (v & 63); }
};

// Holds where the decision is active and its option is in the set.
struct Condition {
  std::uint32_t decision = 0;
  OptionSet options;
};
using Conditions = std::vector<Condition>;

enum class Kind : std::uint8_t { weighted, weightless, identity, zero, concat };

// A value as text and as the core's label: `hash` depends on type and characters only.
struct Token {
  std::string text;
  bool quoted = false;
  std::uint64_t hash = 0;
  Kind kind = Kind::weighted;

  bool operator==(const Token& other) const { return quoted == other.quoted && text == other.text; }
};

// A label as the keys see it: the operation's kind, and a hash of all its parts.
struct Operation {
  std::uint64_t hash = 0;
  Kind kind = Kind::weighted;
};

struct Decision {
  std::string name;
  std::vector<Token> options;
  Conditions when;
};

// A constant, or the option of a decision.
struct LabelPart {
  std::int32_t decision = -1;
  Token constant;
};
using Label = std::vector<LabelPart>;

// Where the operation stands of a node or edge without conditions whose label is one constant or
// one decision's option: the place of the first option.
struct Slot {
  bool plain = false;
  std::int32_t decision = -1;
  std::uint32_t begin = 0;
};

struct Node {
  std::string name;
  Label label;
  Conditions when;
};

struct Edge {
  std::uint32_t src = 0, dst = 0;
  Label label;
  Conditions when;
};

enum class ConstraintKind : std::uint8_t {
  forbid,
  at_most,
  at_least,
  connected,
  live_at_most,
  live_at_least
};

struct Constraint {
  ConstraintKind kind = ConstraintKind::connected;
  std::uint32_t k = 0;
  Conditions terms;
  // Of the live kinds: whether nodes are counted or edges, and of which operations; none: of all.
  bool nodes = false;
  std::vector<Token> operations;
};

// A compiled space. Decisions come after those that their conditions name, edges go from earlier
// to later nodes, the first node is the input, the last the output.
struct Space {
  std::string name;
  std::vector<Decision> decisions;
  std::vector<Node> nodes;
  std::vector<Edge> edges;
  std::vector<Constraint> constraints;
  std::vector<std::uint32_t> edges_by_dst;  // a topological order of the edges
  std::vector<std::uint32_t> attributes;    // decisions that the graph does not mention
  std::vector<Operation> operations;        // of the slots
  std::vector<Slot> node_slots, edge_slots;
  std::uint64_t name_hash = 0;
  bool conditional = false;  // some decision has a condition
  // For each decision, packed for the inner loops: its number of options, whether it has
  // conditions, whether a later decision's condition names it.
  std::vector<std::uint32_t> counts;
  std::vector<std::uint8_t> is_guarded, is_parent;

  std::size_t width() const { return decisions.size(); }
};

// Reads the text form. On failure `where` is the line; `out` is then unspecified.
Status parse_space(std::string_view text, Space& out);

// Whether all conditions hold, given which decisions are active (one byte each).
inline bool holds(const Conditions& conditions, const std::uint8_t* code,
                  const std::uint8_t* active) {
  for (const Condition& c : conditions) {
    if (!active[c.decision] || !c.options.has(code[c.decision])) {
      return false;
    }
  }
  return true;
}

// Writes one byte per decision: whether it is active. Values must be in range.
inline void activity(const Space& space, const std::uint8_t* code, std::uint8_t* active) {
  for (std::size_t i = 0; i < space.width(); ++i) {
    active[i] = !space.is_guarded[i] || holds(space.decisions[i].when, code, active);
  }
}

// Whether each value is in range and inactive decisions hold 0; writes the activity. On failure
// `reason` (where given) says what is wrong.
bool well_formed(const Space& space, const std::uint8_t* code, std::uint8_t* active,
                 std::string* reason = nullptr);

// Whether the constraints hold for a well-formed code.
bool satisfies(const Space& space, const std::uint8_t* code, const std::uint8_t* active,
               std::string* reason = nullptr);

constexpr std::uint64_t bit(std::size_t i) { return std::uint64_t{1} << i; }

// A bijective mix of 64 bits (the finalizer of MurmurHash3).
constexpr std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xFF51AFD7ED558CCDull;
  x ^= x >> 33;
  x *= 0xC4CEB9FE1A85EC53ull;
  x ^= x >> 33;
  return x;
}

// FNV-1a between two mixes, as a whole and character by character.
constexpr std::uint64_t text_hash_begin(std::uint64_t seed) {
  return mix(seed ^ 0xCBF29CE484222325ull);
}
constexpr std::uint64_t text_hash_next(std::uint64_t h, char c) {
  return (h ^ static_cast<std::uint8_t>(c)) * 0x100000001B3ull;
}
constexpr std::uint64_t text_hash_end(std::uint64_t h, std::uint64_t size) { return mix(h ^ size); }
std::uint64_t hash_text(std::string_view text, std::uint64_t seed);

}  // namespace nasturtium
