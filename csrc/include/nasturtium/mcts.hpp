#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "nasturtium/rng.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

// How one of the children of a node with N visits is chosen: the largest value, ties to the first
// child. A child has n visits of mean value Q.
struct TreeRule {
  enum class Formula : std::uint8_t {
    // Q + c sqrt(log(N) / n), without visits infinite: Kocsis, Szepesvari, "Bandit based
    // Monte-Carlo planning", ECML 2006. From 65,536 on the logarithm is that of N's 12 leading
    // bits, less than 5e-5 below it.
    uct,
    // Q + c P sqrt(N) / (1 + n), P the child's prior and Q = first_play without visits: Silver et
    // al., "Mastering the game of Go without human knowledge", Nature 550, 2017.
    puct,
  };
  Formula formula = Formula::uct;
  double c = 1;
  double first_play = 0;
  // What a visit counts as until its value is known (the virtual loss): Chaslot, Winands, van den
  // Herik, "Parallel Monte-Carlo tree search", CG 2008.
  double pending = 0;
  // A node's children are visited one more after the other: at most
  // max(1, floor(factor N^exponent)) of them; factor 0: all. Coulom, "Computing Elo ratings of move
  // patterns in the game of Go", ICGA Journal 30(4), 2007.
  double widen_factor = 0;
  double widen_exponent = 0.5;
  std::uint64_t max_slots = 0xFFFFFFFF;  // the tree stops growing there
};

// Rollouts are the RowRandom of this purpose whose row is the simulation's number.
inline constexpr Purpose kRolloutPurpose = static_cast<Purpose>(16);

// Monte-Carlo tree search over a fixed sequence of decisions, decision i with branching[i] options.
// A simulation goes down by the rule to the first node without visits, which joins the tree, and
// draws the decisions below it uniformly; the value of that leaf is added to all nodes on the way.
// 16 bytes a node (24 with priors). Results are a function of the calls' order and arguments.
class Tree {
 public:
  static constexpr std::size_t kMaxDepth = 4096, kMaxBranching = 256;

  // With `classes`, a number for each leaf (canonical keys, say; the first decision the most
  // significant): ways down whose leaves have equal classes under equal further decisions lead to
  // one position, whose children are shared (UCT1 of Childs, Brodeur, Kocsis, "Transpositions and
  // move groups in Monte Carlo tree search", CIG 2008). N is then one more than the visits of a
  // position's children, from wherever they came. At most 2^24 leaves.
  Status open(std::span<const std::uint32_t> branching, const TreeRule& rule, RandomKey key,
              std::span<const std::uint32_t> classes = {});

  // Whole simulations against a table of the values of all leaves, the first decision the most
  // significant. Where `leaves` is given, it takes the number of each simulation's leaf.
  Status run(std::span<const double> table, std::uint64_t simulations, std::uint64_t* leaves);

  // n leaves one after the other, whose visits are pending until backup or forget: their decisions
  // (n x depth), how many of them are in the tree, and tickets.
  Status select(std::uint64_t n, std::uint8_t* codes, std::uint32_t* lengths,
                std::uint64_t* tickets);
  Status backup(std::uint64_t n, const std::uint64_t* tickets, const double* values);
  // As if they had not been selected; what the tree grew for them stays.
  Status forget(std::uint64_t n, const std::uint64_t* tickets);

  // Priors of the children behind `path`, which joins the tree; PUCT only. They are 1/b before.
  Status set_priors(std::span<const std::uint8_t> path, std::span<const double> priors);

  // Visits and sums of values of the children behind `path`, pending ones included.
  Status children(std::span<const std::uint8_t> path, std::uint64_t* visits, double* sums) const;

  // Adds the visits and sums of a tree of the same decisions that has nothing pending.
  Status merge(const Tree& other);

  // The most visited child of each node, ties to the first, as far as there are visits.
  void best_path(std::vector<std::uint8_t>& out) const;

  const std::vector<std::uint32_t>& branching() const { return branching_; }
  const TreeRule& rule() const { return rule_; }
  const std::vector<std::uint32_t>& classes() const { return classes_; }
  std::uint64_t visits() const { return slots_.empty() ? 0 : slots_[0].visits; }
  std::uint64_t pending() const { return pending_.size(); }
  std::uint64_t nodes() const;  // with visits
  std::uint64_t bytes() const;  // of the nodes, as allocated

 private:
  friend struct StateAccess;
  struct Slot {
    double sum = 0;
    std::uint32_t visits = 0;
    std::uint32_t children = 0;  // the first of their slots, 0 where there are none yet
  };
  static_assert(sizeof(Slot) == 16);

  // The positions of one depth, the root's first.
  struct Positions {
    std::vector<std::uint32_t> next;    // of each, the position behind each option
    std::vector<std::uint32_t> blocks;  // of each, the first of its children, 0: none yet
  };

  Status find_positions(std::span<const std::uint32_t> classes);
  std::uint32_t position_behind(std::span<const std::uint8_t> path) const;
  // The first child of a slot; what a position has counts for all slots that lead to it.
  std::uint32_t children_of(std::uint32_t at, std::span<const std::uint8_t> path) const;
  std::size_t descend(std::uint8_t* code);
  bool grow(std::uint32_t at, std::size_t depth, std::uint32_t position);
  std::uint32_t choose(std::uint32_t at, std::size_t depth) const;
  std::uint32_t choose_uct(std::uint32_t at, std::size_t depth) const;
  std::uint32_t choose_any(std::uint32_t at, std::size_t depth) const;
  double inverse_root(std::uint32_t n) const;
  double root_of_log(std::uint32_t n) const;
  Status room_for(std::uint64_t simulations) const;
  Status check_tickets(std::uint64_t n, const std::uint64_t* tickets) const;
  Status check_path(std::span<const std::uint8_t> path) const;
  void settle(std::uint64_t ticket, double value, std::uint32_t less);

  std::vector<std::uint32_t> branching_;
  std::vector<std::uint64_t> strides_;  // of the table; empty where it would be too large
  TreeRule rule_;
  RandomKey key_;
  bool plain_ = true;  // UCT without widening
  const double* inverse_roots_ = nullptr;
  const double* roots_of_logs_ = nullptr;
  std::vector<Slot> slots_;
  std::vector<double> priors_;          // one a slot, PUCT only
  std::vector<std::uint32_t> classes_;  // of the leaves, empty without transpositions
  std::vector<Positions> positions_;    // by depth, empty without transpositions
  std::vector<std::uint32_t> path_;     // slots of the present way down
  std::uint64_t started_ = 0;           // simulations, the next one's number
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> pending_;
};

// `trees` trees of `simulations` simulations each, tree i with stream key.stream + i, on threads;
// their sum is independent of the number of threads (Chaslot et al. 2008, root parallelization).
Status root_parallel(std::span<const double> table, std::span<const std::uint32_t> branching,
                     const TreeRule& rule, RandomKey key, std::uint32_t trees,
                     std::uint64_t simulations, unsigned threads, Tree& out,
                     std::span<const std::uint32_t> classes = {});

}  // namespace nasturtium
