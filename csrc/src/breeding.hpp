#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "fresh_codes.hpp"
#include "nasturtium/population.hpp"
#include "nasturtium/select.hpp"

namespace nasturtium {

// The words of tournaments with replacement, row by row as `tournament` draws from them, for
// several rows at once: they do not depend on the scores.
class TournamentWords {
 public:
  TournamentWords(std::uint64_t key, std::size_t size) : key_{key, 0}, size_(size) {}

  // Calls take(i) for each of the draws below n, n > 1, of tournament `row`.
  template <typename Take>
  void each(std::uint64_t row, std::uint32_t n, Take take) {
    if (row - base_ >= kPhiloxLanes || n != n_) {
      fill(row, n);
    }
    const std::uint64_t* word = words_.data() + 2 * (row - base_);
    std::size_t left = size_;
    for (bool second = false; left > 0; second = !second) {
      std::uint64_t fraction = *word;
      word += second ? 2 * kPhiloxLanes - 1 : 1;
      const std::size_t count = std::min(left, each_);
      left -= count;
      for (std::size_t k = 0; k < count; ++k) {
        take(RowRandom::digit(fraction, n));
      }
    }
  }

 private:
  void fill(std::uint64_t row, std::uint32_t n) {
    base_ = row;
    n_ = n;
    each_ = static_cast<std::size_t>(RowRandom::kRoom / RowRandom::cost(n));
    const std::size_t words = (size_ + each_ - 1) / each_;
    words_.resize((words + 1) / 2 * 2 * kPhiloxLanes);
    for (std::size_t block = 0; 2 * block < words; ++block) {
      row_words(key_, row, kSelectPurpose, words_.data() + 2 * kPhiloxLanes * block,
                static_cast<std::uint32_t>(block));
    }
  }

  RandomKey key_;
  std::size_t size_, each_ = 1;
  std::uint64_t base_ = 0;
  std::uint32_t n_ = 0;               // none yet
  std::vector<std::uint64_t> words_;  // block by block, two words a row
};

// How members compare: by the score alone, as the whole number of its place among all doubles,
// or by the rung, the score and fewer parameters.
using ScoreRank = std::int64_t;
inline ScoreRank ordered(double score) {
  const auto bits = std::bit_cast<std::int64_t>(score + 0.0);  // there is one zero
  return bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF);
}
using RungRank = std::array<double, 3>;

// Below every rank.
template <typename Rank>
Rank lowest_rank() {
  if constexpr (std::is_same_v<Rank, ScoreRank>) {
    return std::numeric_limits<ScoreRank>::min();
  } else {
    return {-2.0, 0.0, 0.0};
  }
}

// Mutants of the winners of tournaments in an ageing population.
template <typename Rank>
class Breeding {
 public:
  Breeding(const SearchPlan& plan, const ResultTable& table, const SearchKeys& keys)
      : table_(table),
        packed_(table.has_packed()),
        mutants_(plan.mutants),
        ring_(plan.population),
        words_(keys.select, plan.sample),
        source_({keys.mutate, 0}, Purpose::mutate),
        mutate_(table.space()),
        child_(table.space().width()) {}

  bool empty() const { return ring_.size() == 0; }

  // A mutant that may be proposed, and its parent's number.
  Found mutant(const FreshCodes& fresh, Counters& now, std::uint32_t& code, std::int64_t& parent,
               Status& failure) {
    for (std::uint64_t i = 0; i < mutants_; ++i) {
      const Member& winner = ring_.members()[select(now.selected++)];
      if (!mutate(winner, now.mutated++, code, failure)) {
        return Found::failed;
      }
      parent = winner.number;
      if (fresh.may(code)) {
        return Found::yes;
      }
    }
    return Found::no;
  }

  void born(std::uint32_t number, std::uint32_t code, const Rank& rank) {
    const bool full = ring_.size() == ring_.capacity();
    const std::uint64_t at = full ? ring_.oldest() : ring_.size();
    Member died{};
    ring_.born({code, number, packed_ ? table_.packed(code) : 0}, died);
    if (!full) {
      ranks_.push_back(rank);
      if (ring_.size() == ring_.capacity()) {
        ranks_.resize(2 * ring_.size());
        std::copy_n(ranks_.begin(), ring_.size(), ranks_.begin() + std::ptrdiff_t(ring_.size()));
      }
      return;
    }
    ranks_[at] = ranks_[at + ring_.capacity()] = rank;
  }

  // A member has a result of a higher rung: it counts if it is better.
  void raised(std::uint32_t number, const Rank& rank) {
    for (std::uint64_t i = 0; i < ring_.size(); ++i) {
      if (ring_.members()[i].number == number) {
        for (std::uint64_t at = i; at < ranks_.size(); at += ring_.capacity()) {
          ranks_[at] = std::max(ranks_[at], rank);
        }
      }
    }
  }

 private:
  struct Member {
    std::uint32_t code, number;
    std::uint64_t digits;  // where the table packs them
  };

  // The place of the first drawn of the best. Written for conditional moves, since which of two is
  // better cannot be predicted.
  std::uint64_t select(std::uint64_t row) {
    const std::uint64_t n = ring_.size(), oldest = ring_.oldest();
    if (n == 1) {
      return 0;
    }
    const Rank* ranks = ranks_.data() + oldest;
    std::uint64_t best = 0;
    Rank most = lowest_rank<Rank>();
    words_.each(row, static_cast<std::uint32_t>(n), [&](std::uint64_t drawn) {
      const Rank rank = ranks[drawn];
      const bool better = rank > most;
      best = better ? drawn : best;
      most = better ? rank : most;
    });
    best += oldest;
    return best < n ? best : best - n;
  }

  bool mutate(const Member& parent, std::uint64_t row, std::uint32_t& code, Status& failure) {
    const std::uint8_t* digits = packed_ ? nullptr : table_.digits(parent.code);
    if (table_.plain()) {
      // Both draws are digits of the row's first word.
      std::uint64_t fraction = *source_.words(row);
      const auto old = [&](std::size_t i) {
        return packed_ ? static_cast<std::uint32_t>(parent.digits >> (8 * i)) & 0xFF
                       : std::uint32_t{digits[i]};
      };
      const Change change = draw_change(
          table_.space(), [&](std::uint32_t m) { return RowRandom::digit(fraction, m); }, old);
      const std::uint32_t before = old(change.decision);
      code = parent.code + (change.option - before) * table_.stride(change.decision);
      return true;
    }
    failure = mutate_(source_.at(row), digits, child_.data());
    code = failure.ok() ? table_.number_of(child_.data()) : 0;
    return failure.ok();
  }

  const ResultTable& table_;
  bool packed_;
  std::uint64_t mutants_;
  AgeingRing<Member> ring_;
  std::vector<Rank> ranks_;  // by place in the ring; of a full one twice, so that none wraps around
  TournamentWords words_;
  RowSource source_;
  RowMutation mutate_;
  std::vector<std::uint8_t> child_;
};

}  // namespace nasturtium
