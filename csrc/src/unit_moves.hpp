#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nasturtium/graph_moves.hpp"
#include "nasturtium/rng.hpp"

namespace nasturtium {

// The units in the labels of a network's inner vertices, and the verbs that change them. Without
// operations that have units, labels are what they are.
class UnitMoves {
 public:
  explicit UnitMoves(const UnitRule& rule) : rule_(rule) {}

  bool on() const { return !rule_.operations.empty(); }
  std::uint64_t operation(std::uint64_t label) const { return on() ? label & 0xFFFFFFFF : label; }
  bool has(std::uint64_t label) const {
    return on() && std::find(rule_.operations.begin(), rule_.operations.end(), operation(label)) !=
                       rule_.operations.end();
  }
  static std::uint64_t units(std::uint64_t label) { return label >> 32; }

  // Whether there are units where the operation has some, and only there.
  bool fits(std::uint64_t label) const { return !on() || has(label) == (units(label) != 0); }

  // An operation with so many units, 0 for the least, brought between the limits where it has any.
  std::uint64_t labeled(std::uint64_t operation, std::uint64_t wanted) const {
    if (!has(operation)) {
      return operation;
    }
    const std::uint64_t least = rule_.least, most = rule_.most;
    return operation | std::clamp(wanted, least, most) << 32;
  }

  // The mean of the units that these labels have, halves up; 0 where none has any.
  std::uint64_t mean(const std::vector<std::uint64_t>& labels) const {
    std::uint64_t sum = 0, count = 0;
    for (const std::uint64_t label : labels) {
      sum += has(label) ? units(label) : 0;
      count += has(label);
    }
    return count == 0 ? 0 : (2 * sum + count) / (2 * count);
  }

  // One inner vertex gets an eighth more units, or less; false where none can.
  bool resize_one(std::vector<std::uint64_t>& labels, bool grow, RowRandom& random) {
    vertices_.clear();
    for (std::size_t v = 1; v + 1 < labels.size(); ++v) {
      if (has(labels[v]) && resized(labels[v], grow) != labels[v]) {
        vertices_.push_back(v);
      }
    }
    if (vertices_.empty()) {
      return false;
    }
    const auto at = random.below(static_cast<std::uint32_t>(vertices_.size()));
    std::uint64_t& label = labels[vertices_[at]];
    label = resized(label, grow);
    return true;
  }

  // The same for a run of those that have units, in their order.
  bool resize_many(std::vector<std::uint64_t>& labels, bool grow, RowRandom& random) {
    vertices_.clear();
    for (std::size_t v = 1; v + 1 < labels.size(); ++v) {
      if (has(labels[v])) {
        vertices_.push_back(v);
      }
    }
    const std::size_t all = vertices_.size();
    const std::size_t run = std::max<std::size_t>(1, all / (all > 8 ? 8 : all > 4 ? 4 : 2));
    starts_.clear();
    for (std::size_t at = 0; at + run <= all; ++at) {
      if (std::all_of(&vertices_[at], &vertices_[at] + run,
                      [&](std::size_t v) { return resized(labels[v], grow) != labels[v]; })) {
        starts_.push_back(at);
      }
    }
    if (starts_.empty()) {
      return false;
    }
    const std::size_t at = starts_[random.below(static_cast<std::uint32_t>(starts_.size()))];
    for (std::size_t i = at; i < at + run; ++i) {
      labels[vertices_[i]] = resized(labels[vertices_[i]], grow);
    }
    return true;
  }

 private:
  // The label with an eighth more or less, rounded, at least one; as it is beyond the limits.
  std::uint64_t resized(std::uint64_t label, bool grow) const {
    const std::uint64_t own = units(label), step = std::max<std::uint64_t>(1, (own + 4) / 8);
    const bool possible = grow ? own + step <= rule_.most : own >= rule_.least + step;
    return possible ? operation(label) | (grow ? own + step : own - step) << 32 : label;
  }

  const UnitRule& rule_;
  std::vector<std::size_t> vertices_, starts_;
};

}  // namespace nasturtium
