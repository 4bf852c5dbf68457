#pragma once

#include <cstdint>
#include <vector>

#include "nasturtium/rng.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

struct BanditRule {
  enum class Formula : std::uint8_t {
    // The largest mean + c sqrt(2 log(N) / n), of n pulls of N: Auer, Cesa-Bianchi, Fischer,
    // "Finite-time analysis of the multiarmed bandit problem", Machine Learning 47, 2002. Arms
    // without a result come first, those with the fewest pulls before others; ties to the first.
    ucb1,
    // The largest of draws from Beta(1 + s, 1 + n - s), s the sum of n rewards: Thompson,
    // Biometrika 25, 1933; Chapelle, Li, "An empirical evaluation of Thompson sampling", NIPS 2011.
    thompson,
    // Arm i with probability p = (1 - gamma) w_i / sum(w) + gamma / K, whose reward r multiplies
    // w_i
    // by exp(gamma r / (p K)): Auer, Cesa-Bianchi, Freund, Schapire, "The nonstochastic multiarmed
    // bandit problem", SIAM J. Comput. 32(1), 2002.
    exp3,
  };
  Formula formula = Formula::ucb1;
  double c = 1;        // of ucb1, in units of the rewards
  double gamma = 0.1;  // of exp3, in (0, 1]
};

// The draws of choice k are the RowRandom of this purpose whose row is k.
inline constexpr Purpose kBanditPurpose = static_cast<Purpose>(18);

// Which of several arms to pull next. Rewards may come late and in any order; they are maximized,
// finite, and between 0 and 1 but for ucb1. O(arms) a choice.
class Bandit {
 public:
  static constexpr std::uint64_t kMostArms = std::uint64_t{1} << 20;

  Status open(std::uint64_t arms, const BanditRule& rule, RandomKey key);

  // n arms one after the other, each of which is pending until `reward` or `forget`; the
  // probability of each choice is 1 but for exp3, whose rewards need it.
  Status choose(std::uint64_t n, std::uint32_t* arms, double* probabilities);
  Status reward(std::uint64_t n, const std::uint32_t* arms, const double* probabilities,
                const double* values);
  // As if these had not been chosen.
  Status forget(std::uint64_t n, const std::uint32_t* arms);

  std::uint64_t arms() const { return arms_.size(); }
  const BanditRule& rule() const { return rule_; }
  // Pulls (pending ones included), rewards that are known, and their sums.
  void read(std::uint64_t* pulls, std::uint64_t* known, double* sums) const;
  // exp3's probabilities of the next choice.
  void probabilities(std::vector<double>& out) const;

 private:
  friend struct StateAccess;
  struct Arm {
    std::uint64_t pulls = 0, known = 0;
    double sum = 0;
    double weight = 0;  // the logarithm of exp3's
  };

  std::uint32_t ucb1() const;
  std::uint32_t thompson();
  std::uint32_t exp3(double& probability);
  Status pending(std::uint64_t n, const std::uint32_t* arms) const;

  BanditRule rule_;
  RandomKey key_;
  std::uint64_t chosen_ = 0;
  std::vector<Arm> arms_;
};

}  // namespace nasturtium
