#include <algorithm>
#include <cmath>
#include <utility>

#include "state_access.hpp"

namespace nasturtium {
namespace {

// A block of children that is still to come in breadth-first order; one that several slots share
// comes once.
struct Brood {
  std::uint32_t parent, position;
  std::size_t depth;  // of the children's decision
};

}  // namespace

void StateAccess::write(const Tree& tree, StateWriter& to) {
  write_list(tree.branching_, to);
  to.u32(tree.rule_.formula == TreeRule::Formula::puct);
  to.f64(tree.rule_.c);
  to.f64(tree.rule_.first_play);
  to.f64(tree.rule_.pending);
  to.f64(tree.rule_.widen_factor);
  to.f64(tree.rule_.widen_exponent);
  to.u64(tree.rule_.max_slots);
  to.u64(tree.key_.seed);
  to.u32(tree.key_.stream);
  to.u64(tree.started_);
  write_list(tree.classes_, to);
  const auto write_slot = [&](std::uint32_t at) {
    const Tree::Slot& slot = tree.slots_[at];
    to.f64(slot.sum);
    to.u32(slot.visits);
    to.u32(slot.children != 0);
    if (!tree.priors_.empty()) {
      to.f64(tree.priors_[at]);
    }
  };
  const bool shared = !tree.positions_.empty();
  std::vector<Brood> broods;
  const auto note = [&](std::uint32_t at, std::uint32_t position, std::size_t depth) {
    if (tree.slots_[at].children != 0) {
      broods.push_back({at, position, depth});
    }
  };
  if (!tree.slots_.empty()) {
    write_slot(0);
    note(0, 0, 0);
  }
  std::vector<std::uint8_t> written(shared ? tree.slots_.size() : 0);
  for (std::size_t i = 0; i < broods.size(); ++i) {
    const Brood brood = broods[i];
    const std::uint32_t first = tree.slots_[brood.parent].children;
    if (shared && std::exchange(written[first], std::uint8_t{1}) != 0) {
      continue;
    }
    const std::uint32_t count = tree.branching_[brood.depth];
    for (std::uint32_t k = 0; k < count; ++k) {
      write_slot(first + k);
      const std::uint32_t behind =
          shared ? tree.positions_[brood.depth].next[brood.position * count + k] : 0;
      note(first + k, behind, brood.depth + 1);
    }
  }
  std::vector<std::uint64_t> tickets;
  for (const auto& entry : tree.pending_) {
    tickets.push_back(entry.first);
  }
  std::sort(tickets.begin(), tickets.end());
  to.u64(tickets.size());
  for (const std::uint64_t ticket : tickets) {
    const std::vector<std::uint32_t>& way = tree.pending_.at(ticket);
    to.u64(ticket);
    to.u64(way.size() - 1);
    for (std::size_t i = 1; i < way.size(); ++i) {
      const auto option = static_cast<std::uint8_t>(way[i] - tree.slots_[way[i - 1]].children);
      to.bytes({&option, 1});
    }
  }
}

void StateAccess::read_rule(StateReader& from, Tree& tree) {
  const auto branching = read_list<std::uint32_t>(from);
  TreeRule rule;
  const std::uint32_t puct = from.u32();
  rule.formula = puct == 1 ? TreeRule::Formula::puct : TreeRule::Formula::uct;
  rule.c = from.f64();
  rule.first_play = from.f64();
  rule.pending = from.f64();
  rule.widen_factor = from.f64();
  rule.widen_exponent = from.f64();
  rule.max_slots = from.u64();
  RandomKey key;
  key.seed = from.u64();
  key.stream = from.u32();
  const std::uint64_t started = from.u64();
  const auto classes = read_list<std::uint32_t>(from);
  if (!from.ok()) {
    return;
  }
  if (puct > 1 || rule.max_slots > 0xFFFFFFFFu || !tree.open(branching, rule, key, classes).ok()) {
    return from.fail("the decisions or the rule of the tree are out of range");
  }
  tree.started_ = started;
}

void StateAccess::read_slots(StateReader& from, Tree& tree) {
  const bool priors = !tree.priors_.empty();
  const std::size_t size = priors ? 24 : 16;
  const bool shared = !tree.positions_.empty();
  std::vector<Brood> broods;
  const auto read_slot = [&](std::uint32_t at, std::uint32_t position, std::size_t depth) {
    Tree::Slot& slot = tree.slots_[at];
    slot.sum = from.f64();
    slot.visits = from.u32();
    const std::uint32_t grown = from.u32();
    const double prior = priors ? from.f64() : 0.0;
    if (priors) {
      tree.priors_[at] = prior;
    }
    if (grown > 1 || (grown == 1 && depth == tree.branching_.size()) || !std::isfinite(slot.sum) ||
        !(prior >= 0) || !std::isfinite(prior)) {
      return from.fail("a node of the tree is out of range");
    }
    if (grown == 1) {
      broods.push_back({at, position, depth});
    }
  };
  read_slot(0, 0, 0);
  for (std::size_t i = 0; i < broods.size() && from.ok(); ++i) {
    const Brood brood = broods[i];
    Tree::Positions* here = shared ? &tree.positions_[brood.depth] : nullptr;
    if (here != nullptr && here->blocks[brood.position] != 0) {
      tree.slots_[brood.parent].children = here->blocks[brood.position];
      continue;
    }
    const std::size_t count = tree.branching_[brood.depth], first = tree.slots_.size();
    if (count > from.left() / size || first + count > 0xFFFFFFFFu) {
      return from.fail("the payload ends too early");
    }
    tree.slots_.resize(first + count);
    if (priors) {
      tree.priors_.resize(first + count);
    }
    tree.slots_[brood.parent].children = static_cast<std::uint32_t>(first);
    if (here != nullptr) {
      here->blocks[brood.position] = static_cast<std::uint32_t>(first);
    }
    for (std::size_t k = 0; k < count && from.ok(); ++k) {
      const std::uint32_t behind = here != nullptr ? here->next[brood.position * count + k] : 0;
      read_slot(static_cast<std::uint32_t>(first + k), behind, brood.depth + 1);
    }
  }
}

void StateAccess::read_pending(StateReader& from, Tree& tree) {
  const std::uint64_t n = from.count(16);
  std::vector<std::uint32_t> waiting(n > 0 ? tree.slots_.size() : 0);
  std::uint64_t before = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::uint64_t ticket = from.u64();
    const std::span<const std::uint8_t> options = from.bytes(from.count(1));
    if (!from.ok()) {
      return;
    }
    if ((i > 0 && ticket <= before) || ticket >= tree.started_) {
      return from.fail("the tickets of the tree are out of order");
    }
    before = ticket;
    std::vector<std::uint32_t> way{0};
    for (std::size_t depth = 0; depth < options.size(); ++depth) {
      const std::uint32_t children = tree.slots_[way.back()].children;
      if (children == 0 || options[depth] >= tree.branching_[depth]) {
        return from.fail("what is pending is no way in the tree");
      }
      way.push_back(children + options[depth]);
    }
    for (const std::uint32_t at : way) {
      if (++waiting[at] > tree.slots_[at].visits) {
        return from.fail("more is pending at a node than it has visits");
      }
    }
    tree.pending_.emplace(ticket, std::move(way));
  }
}

void StateAccess::read(StateReader& from, Tree& tree) {
  read_rule(from, tree);
  if (from.ok()) {
    read_slots(from, tree);
  }
  if (from.ok()) {
    read_pending(from, tree);
  }
}

}  // namespace nasturtium
