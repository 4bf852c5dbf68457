#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nasturtium/space.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

// The results of all evaluations of a space: for each valid code, in lexicographic order, a score
// (maximized) for each fidelity and each of several runs that differ by their noise, and a cost for
// each fidelity. A score that is not finite is a failure. The space outlives the table.
class ResultTable {
 public:
  static constexpr std::uint64_t kMaxCodes = std::uint64_t{1} << 24;
  static constexpr std::uint32_t kNoCode = 0xFFFFFFFFu;

  // For n valid codes: classes[n], numbers from 0 on, equal where two codes compute the same;
  // scores[n, fidelities, runs]; costs[n, fidelities], finite and not negative; sizes[n], their
  // numbers of parameters, or empty.
  Status open(const Space& space, std::uint64_t fidelities, std::uint64_t runs,
              std::span<const std::uint32_t> classes, std::span<const double> scores,
              std::span<const double> costs, std::span<const double> sizes);

  const Space& space() const { return *space_; }
  std::uint32_t codes() const { return static_cast<std::uint32_t>(classes_.size()); }
  std::uint32_t classes() const { return class_count_; }
  std::uint64_t fidelities() const { return fidelities_; }
  std::uint64_t runs() const { return runs_; }

  std::uint32_t class_of(std::uint32_t code) const { return classes_[code]; }
  const std::uint8_t* digits(std::uint32_t code) const {
    return digits_.data() + std::size_t{code} * space_->width();
  }
  // Minus infinity where the evaluation fails.
  double score(std::uint32_t code, std::uint64_t fidelity, std::uint64_t run) const {
    return scores_[(code * fidelities_ + fidelity) * runs_ + run];
  }
  double cost(std::uint32_t code, std::uint64_t fidelity) const {
    return flat_ ? costs_[fidelity] : costs_[code * fidelities_ + fidelity];
  }
  double size(std::uint32_t code) const { return sizes_.empty() ? 0.0 : sizes_[code]; }

  // The digits as the bytes of a word, the first the lowest: of plain spaces of at most 8
  // decisions.
  bool has_packed() const { return !packed_.empty(); }
  std::uint64_t packed(std::uint32_t code) const { return packed_[code]; }

  // Without conditions and constraints, and with a choice at every decision: codes are numbered by
  // their digits, so that a changed option moves the number by a multiple of the decision's stride.
  bool plain() const { return places_.empty() && all_choices_; }
  std::uint32_t stride(std::size_t decision) const { return strides_[decision]; }

  // The number of a valid code.
  std::uint32_t number_of(const std::uint8_t* code) const {
    std::uint32_t at = 0;
    for (std::size_t i = 0; i < strides_.size(); ++i) {
      at += strides_[i] * code[i];
    }
    return places_.empty() ? at : places_[at];
  }

 private:
  Status number_codes();

  const Space* space_ = nullptr;
  std::uint64_t fidelities_ = 0, runs_ = 0;
  std::uint32_t class_count_ = 0;
  bool all_choices_ = false;
  std::vector<std::uint32_t> strides_;  // of the mixed radix
  std::vector<std::uint32_t> places_;   // the number behind each mixed-radix number, or kNoCode
  std::vector<std::uint8_t> digits_;    // the codes
  std::vector<std::uint64_t> packed_;
  std::vector<std::uint32_t> classes_;
  std::vector<double> scores_;
  bool flat_ = false;          // all codes cost the same
  std::vector<double> costs_;  // of each code and fidelity, or of each fidelity
  std::vector<double> sizes_;
};

// A search method that is composed of parts of the core. Every proposal of the lowest rung is
// fresh: its class was not proposed before, or, with `repeats`, is not being evaluated. A code is
// drawn, or, with a population, mutated from the winner of a tournament among the youngest trials;
// the oldest of them die. With `etas` the best of each rung rise (Rungs).
struct SearchPlan {
  std::vector<std::uint32_t> levels;  // the table's fidelity of each rung
  std::uint32_t rung = 0;             // of what is not promoted
  std::vector<std::uint32_t> starts;  // codes that are proposed first
  bool repeats = false;
  std::uint64_t tries = 0;  // draws after which a small space is listed instead
  bool small = false;       // the space may be listed

  std::uint64_t population = 0;  // 0: all proposals are drawn
  std::uint64_t sample = 0;      // draws of a tournament, with replacement
  std::uint64_t initial = 0;     // proposals that are drawn before any is mutated
  std::uint64_t mutants = 0;     // mutations until a code is drawn instead
  double explore = 0;            // share of the others that is drawn
  bool by_rung = false;          // members compare by rung, score and size, else by the score

  bool halving = false;
  std::vector<std::uint32_t> etas;
};

// What the draws of a search are keyed by, each a function of its seed.
struct SearchKeys {
  std::uint64_t sample, mutate, select, explore, order, evaluate;
};

// How the simulated evaluations go on.
struct Schedule {
  std::uint64_t budget = 0;  // trials
  // Each worker asks as soon as it is free; results are told as they come, equal times by the
  // worker's number.
  std::uint32_t workers = 1;
  // Where it is not 0: results are told in the order of trials, and trial n is asked for when
  // those of the trials up to n - lag have been told.
  std::uint64_t lag = 0;
};

// What comes of each search, one entry a seed; with rows of `budget` entries each, or null, what
// its trials were. Entries behind the last trial are -1, 0 or NaN.
struct SimulationOut {
  std::uint64_t* trials = nullptr;  // that were told
  double* clock = nullptr;          // when the last result came, in units of the table's costs
  // The best trial: the highest rung, then the largest score, then the first told; -1 where all
  // failed.
  std::int64_t* best = nullptr;
  std::uint32_t* best_code = nullptr;
  double* best_score = nullptr;

  std::int32_t* codes = nullptr;    // by the trial's number, like all but `order`
  std::int32_t* parents = nullptr;  // -1: none
  std::uint8_t* rungs = nullptr;
  double* finished = nullptr;     // when its result came
  std::int32_t* order = nullptr;  // the trials' numbers in the order in which they were told
};

// One search for each of n keys, on threads; the results do not depend on their number.
Status simulate(const SearchPlan& plan, const ResultTable& table, const Schedule& schedule,
                std::uint64_t n, const SearchKeys* keys, unsigned threads,
                const SimulationOut& out);

}  // namespace nasturtium
