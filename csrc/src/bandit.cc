#include "nasturtium/bandit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nasturtium {
namespace {

Status bad_bandit(const char* reason) { return Status::fail(Code::limit, 0, reason); }

double fraction_of(RowRandom& random) { return static_cast<double>(random.word() >> 11) * 0x1p-53; }

// Marsaglia's polar method.
double normal(RowRandom& random) {
  for (;;) {
    const double u = 2 * fraction_of(random) - 1, v = 2 * fraction_of(random) - 1;
    const double s = u * u + v * v;
    if (s < 1 && s > 0) {
      return u * std::sqrt(-2 * std::log(s) / s);
    }
  }
}

// Marsaglia, Tsang, "A simple method for generating gamma variables", ACM TOMS 26(3), 2000; a >= 1.
double gamma_variable(RowRandom& random, double a) {
  const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal(random);
    const double root = 1 + c * x;
    if (root <= 0) {
      continue;
    }
    const double v = root * root * root;
    const double u = fraction_of(random);
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) {
      return d * v;
    }
  }
}

}  // namespace

Status Bandit::open(std::uint64_t arms, const BanditRule& rule, RandomKey key) {
  if (arms < 1 || arms > kMostArms) {
    return bad_bandit("a bandit takes 1 to 2^20 arms");
  }
  if (!(rule.c >= 0) || !std::isfinite(rule.c) || !(rule.gamma > 0 && rule.gamma <= 1)) {
    return bad_bandit("c must be finite and not negative, and gamma above 0 and at most 1");
  }
  rule_ = rule;
  key_ = key;
  chosen_ = 0;
  arms_.assign(arms, Arm{});
  return {};
}

std::uint32_t Bandit::ucb1() const {
  std::uint64_t pulls = 0;
  for (const Arm& arm : arms_) {
    pulls += arm.pulls;
  }
  const double root = std::sqrt(2 * std::log(static_cast<double>(pulls)));
  std::uint32_t best = 0, fewest = 0;
  double most = -std::numeric_limits<double>::infinity();
  bool unknown = false;
  for (std::uint32_t i = 0; i < arms_.size(); ++i) {
    const Arm& arm = arms_[i];
    if (arm.known == 0) {
      fewest = unknown && arms_[fewest].pulls <= arm.pulls ? fewest : i;
      unknown = true;
      continue;
    }
    const double mean = arm.sum / static_cast<double>(arm.known);
    const double value = mean + rule_.c * root / std::sqrt(static_cast<double>(arm.pulls));
    if (value > most) {
      most = value;
      best = i;
    }
  }
  return unknown ? fewest : best;
}

std::uint32_t Bandit::thompson() {
  RowRandom random(key_, chosen_, kBanditPurpose);
  std::uint32_t best = 0;
  double most = -1;
  for (std::uint32_t i = 0; i < arms_.size(); ++i) {
    const double n = static_cast<double>(arms_[i].known);
    const double a = gamma_variable(random, 1 + arms_[i].sum);
    const double b = gamma_variable(random, std::max(1.0, 1 + n - arms_[i].sum));
    const double share = a / (a + b);
    if (share > most) {
      most = share;
      best = i;
    }
  }
  return best;
}

void Bandit::probabilities(std::vector<double>& out) const {
  double top = -std::numeric_limits<double>::infinity();
  for (const Arm& arm : arms_) {
    top = std::max(top, arm.weight);
  }
  out.resize(arms_.size());
  double sum = 0;
  for (std::size_t i = 0; i < arms_.size(); ++i) {
    out[i] = std::exp(arms_[i].weight - top);
    sum += out[i];
  }
  const double share = rule_.gamma / static_cast<double>(arms_.size());
  for (double& p : out) {
    p = (1 - rule_.gamma) * p / sum + share;
  }
}

std::uint32_t Bandit::exp3(double& probability) {
  std::vector<double> each;
  probabilities(each);
  RowRandom random(key_, chosen_, kBanditPurpose);
  double left = fraction_of(random);
  std::uint32_t i = 0;
  for (; i + 1 < each.size() && left >= each[i]; ++i) {
    left -= each[i];
  }
  probability = each[i];
  return i;
}

Status Bandit::choose(std::uint64_t n, std::uint32_t* arms, double* probabilities) {
  if (arms_.empty()) {
    return bad_bandit("the bandit is not open");
  }
  for (std::uint64_t k = 0; k < n; ++k) {
    probabilities[k] = 1;
    switch (rule_.formula) {
      case BanditRule::Formula::ucb1:
        arms[k] = ucb1();
        break;
      case BanditRule::Formula::thompson:
        arms[k] = thompson();
        break;
      case BanditRule::Formula::exp3:
        arms[k] = exp3(probabilities[k]);
        break;
    }
    ++arms_[arms[k]].pulls;
    ++chosen_;
  }
  return {};
}

Status Bandit::pending(std::uint64_t n, const std::uint32_t* arms) const {
  std::vector<std::uint32_t> sorted(arms, arms + n);
  std::sort(sorted.begin(), sorted.end());
  for (std::uint64_t i = 0; i < n;) {
    const std::uint32_t arm = sorted[i];
    std::uint64_t count = 0;
    for (; i < n && sorted[i] == arm; ++i) {
      ++count;
    }
    if (arm >= arms_.size() || count > arms_[arm].pulls - arms_[arm].known) {
      return Status::fail(Code::limit, 0, "an arm has fewer choices pending than are named");
    }
  }
  return {};
}

Status Bandit::reward(std::uint64_t n, const std::uint32_t* arms, const double* probabilities,
                      const double* values) {
  const bool any = rule_.formula == BanditRule::Formula::ucb1;
  // Rounding may leave a little less than gamma / K.
  const double least = rule_.formula == BanditRule::Formula::exp3
                           ? 0.999 * rule_.gamma / static_cast<double>(arms_.size())
                           : 1.0;
  for (std::uint64_t k = 0; k < n; ++k) {
    if (!std::isfinite(values[k]) || (!any && !(values[k] >= 0 && values[k] <= 1))) {
      return Status::fail(Code::row, k,
                          any ? "the reward is not finite" : "the reward is not between 0 and 1");
    }
    if (!(probabilities[k] >= least && probabilities[k] <= 1)) {
      return Status::fail(Code::row, k, "the probability is none that the bandit chooses with");
    }
  }
  if (Status s = pending(n, arms); !s.ok()) {
    return s;
  }
  for (std::uint64_t k = 0; k < n; ++k) {
    Arm& arm = arms_[arms[k]];
    ++arm.known;
    arm.sum += values[k];
    if (rule_.formula == BanditRule::Formula::exp3) {
      arm.weight +=
          rule_.gamma * values[k] / (probabilities[k] * static_cast<double>(arms_.size()));
    }
  }
  return {};
}

Status Bandit::forget(std::uint64_t n, const std::uint32_t* arms) {
  if (Status s = pending(n, arms); !s.ok()) {
    return s;
  }
  for (std::uint64_t k = 0; k < n; ++k) {
    --arms_[arms[k]].pulls;
  }
  return {};
}

void Bandit::read(std::uint64_t* pulls, std::uint64_t* known, double* sums) const {
  for (std::size_t i = 0; i < arms_.size(); ++i) {
    pulls[i] = arms_[i].pulls;
    known[i] = arms_[i].known;
    sums[i] = arms_[i].sum;
  }
}

}  // namespace nasturtium
