#include "nasturtium/space.hpp"

#include "nasturtium/graph.hpp"

namespace nasturtium {

bool well_formed(const Space& space, const std::uint8_t* code, std::uint8_t* active,
                 std::string* reason) {
  bool ok = true;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < space.width() && ok; ++i) {
    const bool on = !space.is_guarded[i] || holds(space.decisions[i].when, code, active);
    active[i] = on;
    ok = code[i] < (on ? space.counts[i] : 1u);
    wrong = i;
  }
  if (!ok && reason != nullptr) {
    const Decision& decision = space.decisions[wrong];
    *reason = "decision '" + decision.name + "' ";
    if (active[wrong]) {
      *reason += "has " + std::to_string(decision.options.size()) +
                 " options, and the code holds " + std::to_string(code[wrong]);
    } else {
      *reason += "is inactive, so the code must hold 0, not " + std::to_string(code[wrong]);
    }
  }
  return ok;
}

namespace {

bool holds_constraint(const Space& space, const Constraint& constraint, const std::uint8_t* code,
                      const std::uint8_t* active) {
  if (constraint.kind == ConstraintKind::forbid) {
    return !holds(constraint.terms, code, active);
  }
  if (constraint.kind == ConstraintKind::connected) {
    return reaches_output(space, code, active);
  }
  if (constraint.kind == ConstraintKind::live_at_most) {
    return count_live(space, constraint, code, active) <= constraint.k;
  }
  if (constraint.kind == ConstraintKind::live_at_least) {
    return count_live(space, constraint, code, active) >= constraint.k;
  }
  std::uint32_t count = 0;
  for (const Condition& term : constraint.terms) {
    count += active[term.decision] && term.options.has(code[term.decision]);
  }
  return constraint.kind == ConstraintKind::at_most ? count <= constraint.k : count >= constraint.k;
}

std::string describe(const Constraint& constraint, std::size_t number) {
  const std::string head = "constraint " + std::to_string(number + 1) + " (";
  switch (constraint.kind) {
    case ConstraintKind::forbid:
      return head + "forbid) is not met";
    case ConstraintKind::at_most:
      return head + "at_most " + std::to_string(constraint.k) + ") is not met";
    case ConstraintKind::at_least:
      return head + "at_least " + std::to_string(constraint.k) + ") is not met";
    case ConstraintKind::live_at_most:
    case ConstraintKind::live_at_least:
      return head +
             (constraint.kind == ConstraintKind::live_at_most ? "live_at_most "
                                                              : "live_at_least ") +
             std::to_string(constraint.k) + (constraint.nodes ? " nodes" : " edges") +
             ") is not met";
    case ConstraintKind::connected:
      break;
  }
  return head + "connected) is not met: no path leads from the input to the output";
}

}  // namespace

bool satisfies(const Space& space, const std::uint8_t* code, const std::uint8_t* active,
               std::string* reason) {
  for (std::size_t i = 0; i < space.constraints.size(); ++i) {
    if (!holds_constraint(space, space.constraints[i], code, active)) {
      if (reason != nullptr) {
        *reason = describe(space.constraints[i], i);
      }
      return false;
    }
  }
  return true;
}

std::uint64_t hash_text(std::string_view text, std::uint64_t seed) {
  std::uint64_t h = text_hash_begin(seed);
  for (const char c : text) {
    h = text_hash_next(h, c);
  }
  return text_hash_end(h, text.size());
}

}  // namespace nasturtium
