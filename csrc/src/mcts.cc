#include "nasturtium/mcts.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace nasturtium {
namespace {

constexpr std::uint32_t kTable = 65536;
constexpr int kBits = 12, kFirstShift = 17 - kBits;
constexpr std::uint32_t kHalf = 1u << (kBits - 1);
constexpr std::uint64_t kMaxVisits = 0xFFFFFFFF;
// UCT's value of a child without visits.
constexpr double kUnvisited = std::numeric_limits<double>::infinity();

// Without the errno of std::sqrt, whose call would cost the loops their registers.
inline double square_root(double x) {
#if defined(__SSE2__)
  const __m128d v = _mm_set_sd(x);
  return _mm_cvtsd_f64(_mm_sqrt_sd(v, v));
#else
  return std::sqrt(x);
#endif
}

// 1 / sqrt(n) and sqrt(log(n)) for n below kTable, behind them sqrt(log(n)) of all n with kBits
// leading bits: each simulation asks for that of a new n at every much visited node.
struct Roots {
  Roots() : inverse(kTable, 0.0), log(kTable, 0.0) {
    for (std::uint32_t n = 1; n < kTable; ++n) {
      inverse[n] = 1.0 / square_root(n);
      log[n] = square_root(std::log(static_cast<double>(n)));
    }
    for (int shift = kFirstShift; shift <= 32 - kBits; ++shift) {
      for (std::uint64_t n = kHalf; n < 2 * kHalf; ++n) {
        log.push_back(square_root(std::log(static_cast<double>(n << shift))));
      }
    }
  }
  std::vector<double> inverse, log;
};

const Roots& roots() {
  static const Roots table;
  return table;
}

Status bad_tree(const char* reason) { return Status::fail(Code::limit, 0, reason); }

Status check_rule(const TreeRule& rule) {
  if (!(rule.c >= 0) || !std::isfinite(rule.c)) {
    return bad_tree("c must be finite and not negative");
  }
  if (!std::isfinite(rule.first_play) || !std::isfinite(rule.pending)) {
    return bad_tree("the first play's value and the pending value must be finite");
  }
  if (!(rule.widen_factor >= 0) || !std::isfinite(rule.widen_factor) ||
      !(rule.widen_exponent >= 0 && rule.widen_exponent <= 1)) {
    return bad_tree("widening takes a factor of at least 0 and an exponent from 0 to 1");
  }
  return {};
}

}  // namespace

Status Tree::open(std::span<const std::uint32_t> branching, const TreeRule& rule, RandomKey key,
                  std::span<const std::uint32_t> classes) {
  if (Status s = check_rule(rule); !s.ok()) {
    return s;
  }
  if (branching.empty() || branching.size() > kMaxDepth) {
    return bad_tree("a tree takes 1 to 4,096 decisions");
  }
  for (const std::uint32_t options : branching) {
    if (options < 1 || options > kMaxBranching) {
      return bad_tree("a decision takes 1 to 256 options");
    }
  }
  *this = Tree();
  branching_.assign(branching.begin(), branching.end());
  strides_.assign(branching.size(), 1);
  std::uint64_t leaves = 1;
  for (std::size_t i = branching.size(); i-- > 0;) {
    strides_[i] = leaves;
    if (leaves > (std::uint64_t{1} << 48) / branching[i]) {
      strides_.clear();
      break;
    }
    leaves *= branching[i];
  }
  rule_ = rule;
  rule_.max_slots = std::min<std::uint64_t>(rule.max_slots, 0xFFFFFFFF);
  key_ = key;
  plain_ = rule.formula == TreeRule::Formula::uct && rule.widen_factor == 0 && classes.empty();
  inverse_roots_ = roots().inverse.data();
  roots_of_logs_ = roots().log.data();
  path_.resize(branching.size() + 1);
  slots_.resize(1);
  priors_.resize(rule.formula == TreeRule::Formula::puct ? 1 : 0);
  return classes.empty() ? Status{} : find_positions(classes);
}

inline double Tree::inverse_root(std::uint32_t n) const {
  return n < kTable ? inverse_roots_[n] : 1.0 / square_root(n);
}

inline double Tree::root_of_log(std::uint32_t n) const {
  if (n < kTable) {
    return roots_of_logs_[n];
  }
  const int shift = std::bit_width(n) - kBits;
  return roots_of_logs_[kTable + static_cast<std::uint32_t>(shift - kFirstShift) * kHalf +
                        (n >> shift) - kHalf];
}

bool Tree::grow(std::uint32_t at, std::size_t depth, std::uint32_t position) {
  std::uint32_t* block = positions_.empty() ? nullptr : &positions_[depth].blocks[position];
  if (block != nullptr && *block != 0) {
    slots_[at].children = *block;
    return true;
  }
  const std::size_t size = slots_.size(), more = branching_[depth];
  if (size + more > rule_.max_slots) {
    return false;
  }
  if (size + more > slots_.capacity()) {
    // A vector of itself would hold up to twice of what is used.
    slots_.reserve(std::max(size + more, size + size / 2));
  }
  slots_.resize(size + more);
  if (!priors_.empty()) {
    priors_.resize(size + more, 1.0 / static_cast<double>(more));
  }
  slots_[at].children = static_cast<std::uint32_t>(size);
  if (block != nullptr) {
    *block = slots_[at].children;
  }
  return true;
}

// The value is written as (sum r + c sqrt(log N)) r with r = 1 / sqrt(n).
inline std::uint32_t Tree::choose_uct(std::uint32_t at, std::size_t depth) const {
  const Slot* child = slots_.data() + slots_[at].children;
  const double root = rule_.c * root_of_log(slots_[at].visits);
  double best = -kUnvisited;
  std::uint32_t chosen = 0;
  const std::uint32_t count = branching_[depth];
  for (std::uint32_t k = 0; k < count; ++k) {
    if (child[k].visits == 0) {
      return k;
    }
    const double r = inverse_root(child[k].visits);
    const double value = (child[k].sum * r + root) * r;
    if (value > best) {
      best = value;
      chosen = k;
#if defined(__GNUC__)
      // Keeps this a branch: where it is predicted, the way down does not wait for the value.
      asm("" : "+r"(chosen));
#endif
    }
  }
  return chosen;
}

std::uint32_t Tree::choose_any(std::uint32_t at, std::size_t depth) const {
  const std::uint32_t count = branching_[depth], first = slots_[at].children;
  std::uint32_t visits = slots_[at].visits;
  if (!positions_.empty()) {
    std::uint64_t sum = 1;
    for (std::uint32_t k = 0; k < count; ++k) {
      sum += slots_[first + k].visits;
    }
    visits = static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, kMaxVisits));
  }
  const double n = visits;
  std::uint32_t open = count;
  if (rule_.widen_factor > 0) {
    const double limit = std::floor(rule_.widen_factor * std::pow(n, rule_.widen_exponent));
    open = limit < count ? static_cast<std::uint32_t>(std::max(limit, 1.0)) : count;
  }
  std::uint32_t visited = 0;
  for (std::uint32_t k = 0; k < count; ++k) {
    visited += slots_[first + k].visits > 0;
  }
  const bool puct = rule_.formula == TreeRule::Formula::puct;
  const double root = rule_.c * (puct ? square_root(n) : root_of_log(visits));
  double best = -kUnvisited;
  std::uint32_t chosen = count;
  for (std::uint32_t k = 0; k < count; ++k) {
    const Slot& child = slots_[first + k];
    if (child.visits == 0 && visited >= open) {
      continue;
    }
    double value = kUnvisited;
    if (puct) {
      const double mean = child.visits > 0 ? child.sum / child.visits : rule_.first_play;
      value = mean + root * priors_[first + k] / (1.0 + child.visits);
    } else if (child.visits > 0) {
      const double r = inverse_root(child.visits);
      value = (child.sum * r + root) * r;
    }
    if (chosen == count || value > best) {
      best = value;
      chosen = k;
    }
  }
  return chosen;
}

inline std::uint32_t Tree::choose(std::uint32_t at, std::size_t depth) const {
  return plain_ ? choose_uct(at, depth) : choose_any(at, depth);
}

// Fills path_ and the decisions; returns how many of these are in the tree.
inline std::size_t Tree::descend(std::uint8_t* code) {
  const std::size_t depths = branching_.size();
  std::size_t depth = 0;
  std::uint32_t at = 0, position = 0;
  path_[0] = 0;
  while (depth < depths && (slots_[at].children != 0 || grow(at, depth, position))) {
    const std::uint32_t k = choose(at, depth);
    if (!plain_ && !positions_.empty()) {
      position = positions_[depth].next[position * branching_[depth] + k];
    }
    code[depth] = static_cast<std::uint8_t>(k);
    at = slots_[at].children + k;
    path_[++depth] = at;
    if (slots_[at].visits == 0) {
      break;
    }
  }
  if (depth < depths) {
    RowRandom random(key_, started_, kRolloutPurpose);
    for (std::size_t i = depth; i < depths; ++i) {
      code[i] = static_cast<std::uint8_t>(random.below(branching_[i]));
    }
  }
  ++started_;
  return depth;
}

Status Tree::room_for(std::uint64_t simulations) const {
  if (slots_.empty()) {
    return bad_tree("the tree is not open");
  }
  if (simulations > kMaxVisits - slots_[0].visits) {
    return bad_tree("a tree takes 2^32 - 1 simulations");
  }
  return {};
}

Status Tree::run(std::span<const double> table, std::uint64_t simulations, std::uint64_t* leaves) {
  if (Status s = room_for(simulations); !s.ok()) {
    return s;
  }
  if (strides_.empty() || table.size() != strides_[0] * branching_[0]) {
    return bad_tree("the table does not have one value for each leaf");
  }
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!std::isfinite(table[i])) {
      return Status::fail(Code::row, i, "the leaf's value is not finite");
    }
  }
  const std::size_t depths = branching_.size();
  std::vector<std::uint8_t> code(depths);
  for (std::uint64_t i = 0; i < simulations; ++i) {
    const std::size_t length = descend(code.data());
    std::uint64_t leaf = 0;
    for (std::size_t j = 0; j < depths; ++j) {
      leaf += strides_[j] * code[j];
    }
    const double value = table[leaf];
    for (std::size_t j = 0; j <= length; ++j) {
      Slot& slot = slots_[path_[j]];
      slot.sum += value;
      ++slot.visits;
    }
    if (leaves != nullptr) {
      leaves[i] = leaf;
    }
  }
  return {};
}

Status Tree::select(std::uint64_t n, std::uint8_t* codes, std::uint32_t* lengths,
                    std::uint64_t* tickets) {
  if (Status s = room_for(n); !s.ok()) {
    return s;
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    tickets[i] = started_;
    const std::size_t length = descend(codes + i * branching_.size());
    lengths[i] = static_cast<std::uint32_t>(length);
    std::vector<std::uint32_t> way(path_.data(), path_.data() + length + 1);
    for (const std::uint32_t slot : way) {
      slots_[slot].sum += rule_.pending;
      ++slots_[slot].visits;
    }
    pending_.emplace(tickets[i], std::move(way));
  }
  return {};
}

Status Tree::check_tickets(std::uint64_t n, const std::uint64_t* tickets) const {
  std::vector<std::uint64_t> sorted(tickets, tickets + n);
  std::sort(sorted.begin(), sorted.end());
  for (std::uint64_t i = 0; i < n; ++i) {
    if (!pending_.contains(tickets[i])) {
      return Status::fail(Code::row, i, "no leaf with this ticket is pending");
    }
  }
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    return bad_tree("a ticket is given twice");
  }
  return {};
}

void Tree::settle(std::uint64_t ticket, double value, std::uint32_t less) {
  const auto found = pending_.find(ticket);
  for (const std::uint32_t slot : found->second) {
    slots_[slot].sum += value;
    slots_[slot].visits -= less;
  }
  pending_.erase(found);
}

Status Tree::backup(std::uint64_t n, const std::uint64_t* tickets, const double* values) {
  for (std::uint64_t i = 0; i < n; ++i) {
    if (!std::isfinite(values[i])) {
      return Status::fail(Code::row, i, "the leaf's value is not finite");
    }
  }
  if (Status s = check_tickets(n, tickets); !s.ok()) {
    return s;
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    settle(tickets[i], values[i] - rule_.pending, 0);
  }
  return {};
}

Status Tree::forget(std::uint64_t n, const std::uint64_t* tickets) {
  if (Status s = check_tickets(n, tickets); !s.ok()) {
    return s;
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    settle(tickets[i], -rule_.pending, 1);
  }
  return {};
}

}  // namespace nasturtium
