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

// The draws of tournaments with replacement, row by row as `tournament` draws them, for several
// rows at once: they do not depend on the scores.
class TournamentDraws {
 public:
  TournamentDraws(std::uint64_t key, std::size_t size)
      : key_{key, 0}, size_(size), drawn_(size * kPhiloxLanes) {}

  std::size_t size() const { return size_; }

  // The draws below n, n > 1, of tournament `row`, each kPhiloxLanes behind the one before.
  const std::uint32_t* at(std::uint64_t row, std::uint32_t n) {
    if (row - base_ >= kPhiloxLanes || n != n_) {
      fill(row, n);
    }
    return drawn_.data() + (row - base_);
  }

 private:
  [[gnu::noinline]] void fill(std::uint64_t row, std::uint32_t n) {
    base_ = row;
    n_ = n;
    const auto each = static_cast<std::size_t>(RowRandom::kRoom / RowRandom::cost(n));
    const std::size_t needed = (size_ + each - 1) / each, blocks = (needed + 1) / 2;
    words_.resize(2 * kPhiloxLanes * blocks);
    row_words(key_, row, kSelectPurpose, words_.data(), 0, static_cast<std::uint32_t>(blocks));
    std::uint64_t fractions[kPhiloxLanes];
    for (std::size_t word = 0; word < needed; ++word) {
      const std::uint64_t* block = words_.data() + 2 * kPhiloxLanes * (word / 2);
      for (std::size_t lane = 0; lane < kPhiloxLanes; ++lane) {
        fractions[lane] = block[2 * lane + word % 2];
      }
      const std::size_t first = word * each;
      lane_digits(fractions, n, std::min(each, size_ - first),
                  drawn_.data() + first * kPhiloxLanes);
    }
  }

  RandomKey key_;
  std::size_t size_;
  std::uint64_t base_ = 0;
  std::uint32_t n_ = 0;               // none yet
  std::vector<std::uint64_t> words_;  // of one filling
  std::vector<std::uint32_t> drawn_;  // draw by draw
};

// The changes of `mutate` to codes of a plain table, row by row, for several rows at once: they do
// not depend on the code.
class PlainChanges {
 public:
  PlainChanges(std::uint64_t key, const ResultTable& table) : key_{key, 0}, table_(table) {}

  const Change& at(std::uint64_t row) {
    if (!filled_ || row - base_ >= kPhiloxLanes) {
      fill(row);
    }
    return changes_[row - base_];
  }

 private:
  // Both draws are digits of the row's first word.
  [[gnu::noinline]] void fill(std::uint64_t row) {
    std::uint64_t words[2 * kPhiloxLanes];
    row_words(key_, row, Purpose::mutate, words);
    for (std::size_t lane = 0; lane < kPhiloxLanes; ++lane) {
      std::uint64_t& fraction = words[2 * lane];
      changes_[lane] = draw_change(table_.space(),
                                   [&](std::uint32_t m) { return RowRandom::digit(fraction, m); });
    }
    base_ = row;
    filled_ = true;
  }

  RandomKey key_;
  const ResultTable& table_;
  std::uint64_t base_ = 0;
  bool filled_ = false;
  std::array<Change, kPhiloxLanes> changes_{};
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
        draws_(keys.select, plan.sample),
        changes_(keys.mutate, table),
        source_({keys.mutate, 0}, Purpose::mutate),
        mutate_(table.space()),
        child_(table.space().width()) {}

  bool empty() const { return ring_.size() == 0; }

  // A mutant that may be proposed, and its parent's number; the counters stay where there is none.
  [[gnu::always_inline]] Found mutant(const FreshCodes& fresh, Counters& now, std::uint32_t& code,
                                      std::int64_t& parent, Status& failure) {
    for (std::uint64_t i = 0; i < mutants_; ++i) {
      const Member& winner = ring_.members()[select(now.selected + i)];
      if (!mutate(winner, now.mutated + i, code, failure)) {
        return Found::failed;
      }
      parent = winner.number;
      if (fresh.may(code)) {
        now.selected += i + 1;
        now.mutated += i + 1;
        return Found::yes;
      }
    }
    return Found::no;
  }

  [[gnu::always_inline]] void born(std::uint32_t number, std::uint32_t code, const Rank& rank) {
    const std::uint64_t digits = packed_ ? table_.packed(code) : 0;
    if (ring_.size() < ring_.capacity()) {
      grow({code, number, digits}, rank);
      return;
    }
    const std::uint64_t at = ring_.oldest();
    // Part by part: they are read so, and a whole one would wait for its parts to be written.
    Member& youngest = ring_.turn();
    youngest.code = code;
    youngest.number = number;
    youngest.digits = digits;
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

  [[gnu::noinline]] void grow(Member member, const Rank& rank) {
    Member died;
    ring_.born(member, died);
    ranks_.push_back(rank);
    if (ring_.size() == ring_.capacity()) {
      ranks_.resize(2 * ring_.size());
      std::copy_n(ranks_.begin(), ring_.size(), ranks_.begin() + std::ptrdiff_t(ring_.size()));
    }
  }

  // The place of the first drawn of the best. Written for conditional moves, since which of two is
  // better cannot be predicted.
  [[gnu::always_inline]] std::uint64_t select(std::uint64_t row) {
    const std::uint64_t n = ring_.size(), oldest = ring_.oldest();
    if (n == 1) {
      return 0;
    }
    const Rank* ranks = ranks_.data() + oldest;
    const std::uint32_t* drawn = draws_.at(row, static_cast<std::uint32_t>(n));
    std::uint64_t best = 0;
    Rank most = lowest_rank<Rank>();
    for (std::size_t k = 0; k < draws_.size(); ++k) {
      const std::uint32_t place = drawn[k * kPhiloxLanes];
      const Rank rank = ranks[place];
      const bool better = rank > most;
      best = better ? place : best;
      most = better ? rank : most;
    }
    best += oldest;
    return best < n ? best : best - n;
  }

  bool mutate(const Member& parent, std::uint64_t row, std::uint32_t& code, Status& failure) {
    const std::uint8_t* digits = packed_ ? nullptr : table_.digits(parent.code);
    if (table_.plain()) {
      const Change& change = changes_.at(row);
      const std::uint32_t before =
          packed_ ? static_cast<std::uint32_t>(parent.digits >> (8 * change.decision)) & 0xFF
                  : digits[change.decision];
      code = parent.code + (change.option(before) - before) * table_.stride(change.decision);
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
  TournamentDraws draws_;
  PlainChanges changes_;
  RowSource source_;
  RowMutation mutate_;
  std::vector<std::uint8_t> child_;
};

}  // namespace nasturtium
