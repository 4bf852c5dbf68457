#include "nasturtium/labels.hpp"

#include <algorithm>
#include <map>

namespace nasturtium {
namespace {

constexpr std::size_t kMaxTable = std::size_t{1} << 20;  // labels of all parts together

// The decisions of a label, each once, in its order.
std::vector<std::uint32_t> decisions_of(const Label& label) {
  std::vector<std::uint32_t> found;
  for (const LabelPart& part : label) {
    const auto d = static_cast<std::uint32_t>(part.decision);
    if (part.decision >= 0 && std::find(found.begin(), found.end(), d) == found.end()) {
      found.push_back(d);
    }
  }
  return found;
}

}  // namespace

Status Labels::build(const Space& space) {
  if (space.nodes.empty()) {
    return Status::fail(Code::limit, 0, "space '" + space.name + "' has no graph");
  }
  all_.clear();
  parts_.clear();
  std::map<std::string, std::int32_t> numbers;
  std::size_t entries = 0;
  const auto add = [&](const Label& label, const Conditions& when) {
    Part part;
    part.when = &when;
    part.guarded = !when.empty();
    std::size_t size = 1;
    for (const std::uint32_t d : decisions_of(label)) {
      part.digits.push_back({d, space.counts[d], size});
      size *= space.counts[d] + std::size_t{1};
      if (size > kMaxTable) {
        return false;
      }
    }
    entries += size;
    if (entries > kMaxTable) {
      return false;
    }
    part.silent = part.digits.empty() && label[0].constant.kind == Kind::identity;
    for (std::size_t at = 0; at < size; ++at) {
      // Quoted and bare values are different labels, though they read alike.
      std::string text, identity;
      Kind kind = Kind::weighted;
      bool absent = false;
      for (std::size_t i = 0; i < label.size(); ++i) {
        const Token* token = &label[i].constant;
        if (label[i].decision >= 0) {
          const auto d = static_cast<std::uint32_t>(label[i].decision);
          const auto digit = std::find_if(part.digits.begin(), part.digits.end(),
                                          [d](const Digit& x) { return x.decision == d; });
          const std::size_t option = at / digit->stride % (digit->inactive + std::size_t{1});
          token = option < digit->inactive ? &space.decisions[d].options[option] : nullptr;
        }
        absent |= i == 0 && token == nullptr;
        kind = i == 0 && token != nullptr ? token->kind : kind;
        text += (i > 0 ? "," : "") + (token == nullptr ? std::string("-") : token->text);
        identity += token == nullptr ? " -" : (token->quoted ? " \"" : " ") + token->text;
      }
      if (absent) {
        part.table.push_back(kAbsent);
        continue;
      }
      const auto [found, fresh] = numbers.emplace(identity, static_cast<std::int32_t>(all_.size()));
      if (fresh) {
        all_.push_back({text, kind});
      }
      part.table.push_back(found->second);
    }
    parts_.push_back(std::move(part));
    return all_.size() <= kMaxLabels;
  };
  bool ok = true;
  for (std::size_t i = 0; i < space.nodes.size() && ok; ++i) {
    ok = add(space.nodes[i].label, space.nodes[i].when);
  }
  for (std::size_t i = 0; i < space.edges.size() && ok; ++i) {
    ok = add(space.edges[i].label, space.edges[i].when);
  }
  return ok ? Status{}
            : Status::fail(Code::limit, 0,
                           "the nodes and edges of '" + space.name +
                               "' can have too many different labels to number them");
}

std::vector<std::uint32_t> Labels::possible(std::size_t part) const {
  std::vector<std::uint32_t> found;
  for (const std::int32_t label : parts_[part].table) {
    if (label != kAbsent) {
      found.push_back(static_cast<std::uint32_t>(label));
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace nasturtium
