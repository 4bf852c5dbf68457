#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "nasturtium/status.hpp"

namespace nasturtium {

// State machines of schedulers over numbers; values are maximized. None of them draws anything.

// Asynchronous successive halving by promotion (Li et al., "A system for massively parallel
// hyperparameter tuning", MLSys 2020, Algorithm 2), for etas.size() + 1 rungs: an entry of rung k
// may rise iff it is among the best floor(n_k / etas[k]) of the n_k entries that rung k holds, and
// has not risen before. Rungs are searched from the top. A rank is `width` values that are compared
// one after the other, larger is better; equal ranks: the smaller number first. An entry without a
// rank counts in n_k, but never rises. An entry of a rung of s takes O(log s) comparisons and moves
// up to 256 others, the next one O(s / 256) steps a rung.
class Rungs {
 public:
  static constexpr std::size_t kMaxWidth = 4;

  Status open(std::span<const std::uint32_t> etas, std::size_t width);

  // rank: `width` values, or null where the evaluation failed.
  Status add(std::uint64_t rung, std::uint64_t number, const double* rank);

  // Which entry to promote, and the rung it stands on; changes nothing. With `every` any entry may
  // rise, the best first.
  bool next(bool every, std::uint64_t& number, std::uint64_t& rung) const;

  Status promote(std::uint64_t number, std::uint64_t rung);

  std::size_t width() const { return width_; }
  std::uint64_t rungs() const { return rungs_.size(); }
  std::uint64_t count(std::uint64_t rung) const { return rungs_[rung].count; }

 private:
  friend struct StateAccess;
  using Rank = std::array<double, kMaxWidth>;
  struct Entry {
    Rank rank;
    std::uint64_t number;
    bool risen;
  };
  // Entries lie in blocks, so that an insertion moves little and what has risen is passed over.
  struct Block {
    std::vector<Entry> entries;  // the best first
    std::size_t risen = 0;
  };
  struct Rung {
    std::uint64_t count = 0;
    std::vector<Block> blocks;
    std::unordered_map<std::uint64_t, Rank> entries;  // by number
  };
  static constexpr std::size_t kBlock = 256;
  static Block& block_of(Rung& rung, const Entry& entry);
  static bool better(const Entry& a, const Entry& b);

  std::vector<std::uint32_t> etas_;
  std::size_t width_ = 1;
  std::vector<Rung> rungs_;
};

// Asynchronous successive halving by stopping, as Optuna's pruner does it (Akiba et al., KDD 2019):
// an entry that reports at rung k goes on iff its value is not below the max(1, floor(n_k /
// etas[k]))-th best of the n_k values reported there, its own included. NaN counts and stops.
class StoppingRungs {
 public:
  Status open(std::span<const std::uint32_t> etas);
  Status report(std::uint64_t rung, double value, bool& goes_on);

 private:
  friend struct StateAccess;
  std::vector<std::uint32_t> etas_;
  std::vector<std::uint64_t> counts_;
  std::vector<std::vector<double>> values_;  // the best first
};

// Synchronous successive halving (Jamieson, Talwalkar, "Non-stochastic best arm identification and
// hyperparameter optimization", AISTATS 2016): entries 0 ... sizes[0] - 1 stand on rung 0; when all
// of rung k have their values, the best sizes[k + 1] stand on rung k + 1. Equal values: the smaller
// number first. NaN is a failure and never rises. O(n log n) a rung.
class Halving {
 public:
  Status open(std::span<const std::uint64_t> sizes);

  // Gives out an entry that has to be evaluated on the present rung, the best first; false where
  // none is left or values are missing.
  bool next(std::uint64_t& number, std::uint64_t& rung);
  Status tell(std::uint64_t number, double value);

  bool done() const { return done_; }
  // The best entry of the highest rung that is complete.
  bool best(std::uint64_t& number, double& value) const;

 private:
  friend struct StateAccess;
  enum class State : std::uint8_t { idle, out, told };
  void finish_rung();

  std::vector<std::uint64_t> sizes_;
  std::size_t rung_ = 0;
  bool done_ = false;
  std::vector<std::uint64_t> entries_;  // of the present rung
  std::size_t given_ = 0, told_ = 0;
  std::vector<State> states_;   // by number
  std::vector<double> values_;  // the latest, by number
  bool any_ = false;            // whether there is a best one
  std::uint64_t best_ = 0;
  double best_value_ = 0;
};

struct Bracket {
  std::vector<std::uint64_t> sizes;  // entries of each rung
  std::vector<double> resources;     // what each entry gets there in all
};

// The brackets of Hyperband, the most exploring first: s = floor(log_eta R) ... 0 with n =
// ceil((s_max + 1) eta^s / (s + 1)) entries, floor(n / eta^i) of them with R eta^(i - s) on rung i.
// Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar, "Hyperband: a novel bandit-based approach to
// hyperparameter optimization", JMLR 18(185), 2018.
Status hyperband_brackets(std::uint64_t resource, std::uint64_t eta, std::vector<Bracket>& out);

// All brackets: an entry comes from the first bracket that has one to evaluate, so that the next
// bracket begins while values are missing. Numbers go on from bracket to bracket.
class Hyperband {
 public:
  struct Job {
    std::uint64_t number, bracket, rung;
    double resource;
  };

  Status open(std::uint64_t resource, std::uint64_t eta);
  bool next(Job& job);
  Status tell(std::uint64_t number, double value);
  bool done() const;
  std::uint64_t resource() const { return resource_; }
  std::uint64_t eta() const { return eta_; }
  const std::vector<Bracket>& brackets() const { return brackets_; }

 private:
  friend struct StateAccess;
  std::uint64_t resource_ = 0, eta_ = 0;
  std::vector<Bracket> brackets_;
  std::vector<Halving> states_;
  std::vector<std::uint64_t> firsts_;  // the first number of each bracket
};

}  // namespace nasturtium
