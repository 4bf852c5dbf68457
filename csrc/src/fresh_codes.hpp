#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <vector>

#include "nasturtium/moves.hpp"
#include "nasturtium/simulate.hpp"

namespace nasturtium {

// How many draws of each kind a search has used: what a refused proposal sets back.
struct Counters {
  std::uint64_t sampled = 0, mutated = 0, selected = 0, explored = 0;
  std::size_t started = 0;
  bool listed = false;
};

// Whether there is one; failures are told apart since a Status costs more than a step of a search.
enum class Found : std::uint8_t { no, yes, failed };

// Codes whose class was not proposed before, or, with `repeats`, is not being evaluated.
class FreshCodes {
 public:
  FreshCodes(const SearchPlan& plan, const ResultTable& table, const SearchKeys& keys, bool alone)
      : plan_(plan),
        table_(table),
        keys_(keys),
        never_(alone && plan.repeats),
        blocked_(table.classes(), 0) {
    // Draws are looked at in blocks of 4, 16, 64, 256, 256, ... until `tries` of them were.
    for (std::uint64_t size = 4; draws_ < plan.tries;
         size = std::min<std::uint64_t>(4 * size, 256)) {
      draws_ += size;
    }
  }

  bool may(std::uint32_t code) const {
    return blocked_count_ == 0 || !blocked_[table_.class_of(code)];
  }
  bool empty() const { return blocked_count_ == table_.classes(); }

  void proposed(std::uint32_t code) {
    if (!never_) {
      block(table_.class_of(code), 1);
    }
  }
  void told(std::uint32_t code) {
    if (plan_.repeats && !never_) {
      block(table_.class_of(code), 0);
      first_open_ = 0;
    }
  }

  // A drawn code; none where none is left, or none was found in a space that is too large to list.
  Found random(Counters& now, std::uint32_t& code, Status& failure) {
    if (!now.listed) {
      for (std::uint64_t i = 0; i < draws_; ++i) {
        const std::uint64_t row = now.sampled++;
        if (ahead_.empty() || row - base_ >= kBlock) {
          failure = look_ahead(row);
          if (!failure.ok()) {
            return Found::failed;
          }
        }
        code = ahead_[row - base_];
        if (may(code)) {
          return Found::yes;
        }
      }
    }
    return remaining(now, code) ? Found::yes : Found::no;
  }

 private:
  static constexpr std::uint64_t kBlock = 64;

  void block(std::uint32_t number, std::uint8_t on) {
    std::uint8_t& state = blocked_[number];
    blocked_count_ += on;
    blocked_count_ -= state;
    state = on;
  }

  // The codes of row `row` and the next ones of the space's own sampler.
  Status look_ahead(std::uint64_t row) {
    const std::size_t width = table_.space().width();
    rows_.resize(kBlock * width);
    ahead_.resize(kBlock);
    Status s = sample(table_.space(), {{keys_.sample, 0}, row, 1}, kBlock, rows_.data());
    for (std::size_t i = 0; s.ok() && i < kBlock; ++i) {
      ahead_[i] = table_.number_of(rows_.data() + i * width);
    }
    base_ = row;
    return s;
  }

  // The first code in a fixed random order that may be proposed.
  bool remaining(Counters& now, std::uint32_t& code) {
    if (!plan_.small) {
      return false;
    }
    if (every_.empty()) {
      list();
    }
    while (first_open_ < every_.size() && !may(every_[first_open_])) {
      ++first_open_;
    }
    if (first_open_ == every_.size()) {
      return false;
    }
    code = every_[first_open_];
    now.listed = true;
    return true;
  }

  // One code for each class, the first in the order of random words.
  void list() {
    const std::uint32_t n = table_.codes();
    std::vector<std::uint64_t> words(n);
    random_words(words, {keys_.order, 0}, 0);
    std::vector<std::uint32_t> order(n);
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return words[a] < words[b]; });
    std::vector<std::uint8_t> seen(table_.classes(), 0);
    for (const std::uint32_t code : order) {
      std::uint8_t& known = seen[table_.class_of(code)];
      if (!known) {
        known = 1;
        every_.push_back(code);
      }
    }
  }

  const SearchPlan& plan_;
  const ResultTable& table_;
  const SearchKeys& keys_;
  bool never_;  // nothing is being evaluated when a code is looked for, so nothing is blocked
  std::vector<std::uint8_t> blocked_;  // by class
  std::uint32_t blocked_count_ = 0;
  std::uint64_t draws_ = 0;
  std::uint64_t base_ = 0;  // the row of the first code in ahead_
  std::vector<std::uint8_t> rows_;
  std::vector<std::uint32_t> ahead_;
  std::vector<std::uint32_t> every_;
  std::size_t first_open_ = 0;
};

}  // namespace nasturtium
