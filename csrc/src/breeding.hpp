#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
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
      : key_{key, 0}, size_(size), drawn_(kPhiloxLanes * size) {}

  // The rows, each below n, that tournament `row` draws.
  const std::uint32_t* at(std::uint64_t row, std::uint32_t n) {
    if (row - base_ >= kPhiloxLanes || n != n_) {
      fill(row, n);
    }
    return drawn_.data() + (row - base_) * size_;
  }

 private:
  void fill(std::uint64_t row, std::uint32_t n) {
    base_ = row;
    n_ = n;
    const int cost = RowRandom::cost(n);
    const std::size_t each = cost == 0 ? size_ : static_cast<std::size_t>(RowRandom::kRoom / cost);
    std::array<std::uint64_t, 2 * kPhiloxLanes> words{};
    for (std::size_t begin = 0, word = 0; begin < size_; begin += each, ++word) {
      if (word % 2 == 0) {
        row_words(key_, row, kSelectPurpose, words.data(), static_cast<std::uint32_t>(word / 2));
      }
      const std::size_t end = std::min(size_, begin + each);
      for (std::size_t lane = 0; lane < kPhiloxLanes; ++lane) {
        std::uint64_t fraction = words[2 * lane + word % 2];
        for (std::size_t k = begin; k < end; ++k) {
          drawn_[lane * size_ + k] = RowRandom::digit(fraction, n);
        }
      }
    }
  }

  RandomKey key_;
  std::size_t size_;
  std::uint64_t base_ = 0;
  std::uint32_t n_ = 0;  // none yet
  std::vector<std::uint32_t> drawn_;
};

// How members compare: by the score alone, or by the rung, the score and fewer parameters.
using ScoreRank = double;
using RungRank = std::array<double, 3>;

// Mutants of the winners of tournaments in an ageing population.
template <typename Rank>
class Breeding {
 public:
  Breeding(const SearchPlan& plan, const ResultTable& table, const SearchKeys& keys)
      : table_(table),
        mutants_(plan.mutants),
        ring_(plan.population),
        draws_(keys.select, plan.sample),
        size_(plan.sample),
        source_({keys.mutate, 0}, Purpose::mutate),
        mutate_(table.space()),
        child_(table.space().width()) {}

  bool empty() const { return ring_.size() == 0; }

  // A mutant that may be proposed, and its parent's number; false where none was found.
  Status mutant(const FreshCodes& fresh, Counters& now, std::uint32_t& code, std::int64_t& parent,
                bool& found) {
    found = false;
    for (std::uint64_t i = 0; i < mutants_ && !found; ++i) {
      const Member& winner = select(now.selected++);
      if (Status s = mutate(source_.at(now.mutated++), winner.code, code); !s.ok()) {
        return s;
      }
      parent = winner.number;
      found = fresh.may(code);
    }
    return {};
  }

  void born(std::uint32_t number, std::uint32_t code, const Rank& rank) {
    Member died{};
    ring_.born({rank, code, number}, died);
  }

  // A member has a result of a higher rung: it counts if it is better.
  void raised(std::uint32_t number, const Rank& rank) {
    for (Member& member : ring_.members()) {
      if (member.number == number) {
        member.rank = std::max(member.rank, rank);
      }
    }
  }

 private:
  struct Member {
    Rank rank;
    std::uint32_t code, number;
  };

  // The first drawn of the best.
  const Member& select(std::uint64_t row) {
    const std::uint32_t* drawn = draws_.at(row, static_cast<std::uint32_t>(ring_.size()));
    const Member* best = &ring_[drawn[0]];
    for (std::size_t k = 1; k < size_; ++k) {
      const Member* other = &ring_[drawn[k]];
      best = other->rank > best->rank ? other : best;
    }
    return *best;
  }

  Status mutate(RowRandom random, std::uint32_t parent, std::uint32_t& code) {
    const std::uint8_t* digits = table_.digits(parent);
    if (table_.plain()) {
      const Change change = draw_change(table_.space(), random, digits);
      const std::uint32_t old = digits[change.decision];
      code = parent + (change.option - old) * table_.stride(change.decision);
      return {};
    }
    Status s = mutate_(random, digits, child_.data());
    code = table_.number_of(child_.data());
    return s;
  }

  const ResultTable& table_;
  std::uint64_t mutants_;
  AgeingRing<Member> ring_;
  TournamentDraws draws_;
  std::size_t size_;
  RowSource source_;
  RowMutation mutate_;
  std::vector<std::uint8_t> child_;
};

}  // namespace nasturtium
