#include <algorithm>
#include <cmath>
#include <utility>

#include "nasturtium/mcts.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {

Status Tree::check_path(std::span<const std::uint8_t> path) const {
  if (path.size() >= branching_.size()) {
    return Status::fail(Code::limit, 0, "the path leads to a leaf or beyond");
  }
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] >= branching_[i]) {
      return Status::fail(Code::limit, 0, "the path holds an option out of range");
    }
  }
  return {};
}

Status Tree::set_priors(std::span<const std::uint8_t> path, std::span<const double> priors) {
  if (priors_.empty()) {
    return Status::fail(Code::limit, 0, "only PUCT takes priors");
  }
  if (Status s = check_path(path); !s.ok()) {
    return s;
  }
  if (priors.size() != branching_[path.size()]) {
    return Status::fail(Code::limit, 0, "there must be one prior for each child");
  }
  for (std::size_t k = 0; k < priors.size(); ++k) {
    if (!(priors[k] >= 0) || !std::isfinite(priors[k])) {
      return Status::fail(Code::row, k, "the prior is negative or not finite");
    }
  }
  std::uint32_t at = 0;
  for (std::size_t depth = 0; depth <= path.size(); ++depth) {
    if (slots_[at].children == 0 && !grow(at, depth, position_behind(path.first(depth)))) {
      return Status::fail(Code::limit, 0, "the tree has no room for the path");
    }
    if (depth < path.size()) {
      at = slots_[at].children + path[depth];
    }
  }
  std::copy(priors.begin(), priors.end(), priors_.data() + slots_[at].children);
  return {};
}

Status Tree::children(std::span<const std::uint8_t> path, std::uint64_t* visits,
                      double* sums) const {
  if (Status s = check_path(path); !s.ok()) {
    return s;
  }
  std::uint32_t first = 0;
  if (positions_.empty()) {
    first = slots_[0].children;
    for (std::size_t depth = 0; depth < path.size() && first != 0; ++depth) {
      first = slots_[first + path[depth]].children;
    }
  } else {
    first = positions_[path.size()].blocks[position_behind(path)];
  }
  for (std::uint32_t k = 0; k < branching_[path.size()]; ++k) {
    visits[k] = first != 0 ? slots_[first + k].visits : 0;
    sums[k] = first != 0 ? slots_[first + k].sum : 0.0;
  }
  return {};
}

Status Tree::merge(const Tree& other) {
  if (this == &other || branching_ != other.branching_ || classes_ != other.classes_ ||
      slots_.empty()) {
    return Status::fail(Code::limit, 0, "trees merge with others of the same decisions");
  }
  if (!other.pending_.empty()) {
    return Status::fail(Code::limit, 0, "the tree to merge with has pending leaves");
  }
  if (Status s = room_for(other.visits()); !s.ok()) {
    return s;
  }
  struct Pair {
    std::uint32_t mine, theirs, position;
    std::size_t depth;
  };
  const bool shared = !positions_.empty();
  std::vector<std::uint8_t> merged(shared ? other.slots_.size() : 0);  // by their first child
  std::vector<Pair> stack{{0, 0, 0, 0}};
  while (!stack.empty()) {
    const Pair pair = stack.back();
    stack.pop_back();
    const Slot& slot = other.slots_[pair.theirs];
    slots_[pair.mine].visits += slot.visits;
    slots_[pair.mine].sum += slot.sum;
    const std::size_t before = slots_.size();
    if (slot.children == 0 ||
        (slots_[pair.mine].children == 0 && !grow(pair.mine, pair.depth, pair.position))) {
      continue;
    }
    const bool fresh = slots_.size() > before;
    if (shared && std::exchange(merged[slot.children], std::uint8_t{1}) != 0) {
      continue;
    }
    const std::uint32_t first = slots_[pair.mine].children, from = slot.children;
    for (std::uint32_t k = 0; k < branching_[pair.depth]; ++k) {
      const std::uint32_t at = pair.position * branching_[pair.depth] + k;
      const std::uint32_t behind = shared ? positions_[pair.depth].next[at] : 0;
      stack.push_back({first + k, from + k, behind, pair.depth + 1});
      if (fresh && !priors_.empty() && !other.priors_.empty()) {
        priors_[first + k] = other.priors_[from + k];
      }
    }
  }
  return {};
}

void Tree::best_path(std::vector<std::uint8_t>& out) const {
  out.clear();
  std::uint32_t at = 0;
  while (out.size() < branching_.size() && children_of(at, out) != 0) {
    const Slot* first = slots_.data() + children_of(at, out);
    const Slot* best =
        std::max_element(first, first + branching_[out.size()],
                         [](const Slot& a, const Slot& b) { return a.visits < b.visits; });
    if (best->visits == 0) {
      return;
    }
    out.push_back(static_cast<std::uint8_t>(best - first));
    at = static_cast<std::uint32_t>(best - slots_.data());
  }
}

std::uint64_t Tree::nodes() const {
  return static_cast<std::uint64_t>(
      std::count_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.visits > 0; }));
}

std::uint64_t Tree::bytes() const {
  std::uint64_t sum = slots_.capacity() * sizeof(Slot) + priors_.capacity() * sizeof(double) +
                      classes_.capacity() * sizeof(std::uint32_t);
  for (const Positions& some : positions_) {
    sum += (some.next.capacity() + some.blocks.capacity()) * sizeof(std::uint32_t);
  }
  return sum;
}

Status root_parallel(std::span<const double> table, std::span<const std::uint32_t> branching,
                     const TreeRule& rule, RandomKey key, std::uint32_t trees,
                     std::uint64_t simulations, unsigned threads, Tree& out,
                     std::span<const std::uint32_t> classes) {
  if (trees == 0 || trees > 4096 || key.stream > 0xFFFFFFFFu - trees) {
    return Status::fail(Code::limit, 0, "1 to 4,096 trees take one stream each");
  }
  std::vector<Tree> forest(trees);
  Status status =
      parallel_rows(trees, threads, 1, [&](std::uint64_t begin, std::uint64_t end) -> Status {
        for (std::uint64_t i = begin; i < end; ++i) {
          const RandomKey own{key.seed, key.stream + static_cast<std::uint32_t>(i)};
          // A tree of this thread alone: neighbors in the forest would share cache lines.
          Tree tree;
          if (Status s = tree.open(branching, rule, own, classes); !s.ok()) {
            return s;
          }
          if (Status s = tree.run(table, simulations, nullptr); !s.ok()) {
            return s;
          }
          forest[i] = std::move(tree);
        }
        return {};
      });
  if (!status.ok()) {
    return status;
  }
  for (std::uint32_t i = 1; i < trees; ++i) {
    if (Status s = forest[0].merge(forest[i]); !s.ok()) {
      return s;
    }
  }
  out = std::move(forest[0]);
  return {};
}

}  // namespace nasturtium
