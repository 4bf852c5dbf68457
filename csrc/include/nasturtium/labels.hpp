#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nasturtium/space.hpp"

namespace nasturtium {

// The labels that the nodes and edges of a space can have, numbered as they first come in the
// declaration. A part is a node or an edge: nodes first, then edges, both as declared.
class Labels {
 public:
  static constexpr std::int32_t kAbsent = -1;
  static constexpr std::size_t kMaxLabels = 32767;

  struct Name {
    std::string text;  // the parts of the label, joined by commas
    Kind kind = Kind::weighted;
  };

  // Code::limit where the space has no graph, or more labels than that.
  Status build(const Space& space);

  const std::vector<Name>& all() const { return all_; }
  std::size_t size() const { return all_.size(); }
  std::size_t parts() const { return parts_.size(); }

  // A part whose label is always the same identity: it stands for no operation.
  bool silent(std::size_t part) const { return parts_[part].silent; }

  // The labels that a part can have, ascending.
  std::vector<std::uint32_t> possible(std::size_t part) const;

  // The label of a part in a well-formed code; kAbsent where its conditions fail or its operation's
  // decision is inactive. Operations of kind zero have a label too.
  std::int32_t of(std::size_t part, const std::uint8_t* code, const std::uint8_t* active) const {
    const Part& p = parts_[part];
    std::size_t at = 0;
    for (const Digit& digit : p.digits) {
      at += digit.stride * (active[digit.decision] ? code[digit.decision] : digit.inactive);
    }
    return !p.guarded || holds(*p.when, code, active) ? p.table[at] : kAbsent;
  }

 private:
  struct Digit {
    std::uint32_t decision = 0, inactive = 0;
    std::size_t stride = 1;
  };
  struct Part {
    std::vector<Digit> digits;
    std::vector<std::int32_t> table;
    const Conditions* when = nullptr;
    bool guarded = false, silent = false;
  };

  std::vector<Name> all_;
  std::vector<Part> parts_;
};

}  // namespace nasturtium
