#include <algorithm>
#include <cmath>
#include <utility>

#include "state_access.hpp"

namespace nasturtium {

void StateAccess::write(const SteadyState& population, StateWriter& to) {
  to.u64(population.capacity_);
  to.u64(population.births_);
  std::vector<SteadyState::Member> members;
  population.members(members);
  to.u64(members.size());
  for (const SteadyState::Member& member : members) {
    to.u64(member.age);
    to.u64(member.individual);
    to.f64(member.score);
  }
}

void StateAccess::read(StateReader& from, SteadyState& population) {
  const std::uint64_t capacity = from.u64(), births = from.u64(), n = from.count(24);
  if (from.ok() && (capacity == 0 || n > capacity || n > births)) {
    return from.fail("the population holds more than its capacity");
  }
  population = SteadyState(capacity);
  for (std::uint64_t i = 0, next = 0; i < n && from.ok(); ++i) {
    const std::uint64_t age = from.u64(), individual = from.u64();
    const double score = from.f64();
    if (from.ok() && (age < next || age >= births)) {
      return from.fail("the births of the population are out of order");
    }
    next = age + 1;
    std::uint64_t died = 0;
    population.births_ = age;
    population.born(individual, score, died);
  }
  population.births_ = births;
}

void StateAccess::write(const Generational& population, StateWriter& to) {
  to.u64(population.size_);
  to.u64(population.elites_);
  to.u64(population.generation_);
  for (const auto* members : {&population.present_, &population.next_}) {
    to.u64(members->size());
    for (const Generational::Member& member : *members) {
      to.u64(member.individual);
      to.f64(member.score);
    }
  }
}

void StateAccess::read(StateReader& from, Generational& population) {
  population.size_ = from.u64();
  population.elites_ = from.u64();
  population.generation_ = from.u64();
  for (auto* members : {&population.present_, &population.next_}) {
    members->resize(from.count(16));
    for (Generational::Member& member : *members) {
      member.individual = from.u64();
      member.score = from.f64();
    }
  }
  if (!from.ok()) {
    return;
  }
  const bool first = population.generation_ == 0;
  if (population.elites_ >= population.size_ ||
      population.present_.size() != (first ? 0 : population.size_) ||
      population.next_.size() >=
          (first ? population.size_ : population.size_ - population.elites_)) {
    from.fail("the generations do not have their sizes");
  }
}

void StateAccess::write(const Species& species, StateWriter& to) {
  to.u64(species.width_);
  to.u64(species.radius_);
  to.u64(species.count());
  to.bytes(species.founders_);
}

void StateAccess::read(StateReader& from, Species& species) {
  const std::uint64_t width = from.u64();
  species.radius_ = from.u64();
  if (from.ok() && (width == 0 || width > kMaxDecisions)) {
    return from.fail("the number of decisions is out of range");
  }
  const std::uint64_t n = from.count(width);
  const std::span<const std::uint8_t> rows = from.bytes(n * width);
  if (!from.ok()) {
    return;
  }
  species.width_ = static_cast<std::size_t>(width);
  std::vector<std::uint32_t> numbers(n);
  species.assign(n, rows.data(), numbers.data());
  if (species.count() != n) {
    from.fail("a founder belongs to the species of another one");
  }
}

void StateAccess::write(const Bandit& bandit, StateWriter& to) {
  to.u64(bandit.arms_.size());
  for (const Bandit::Arm& arm : bandit.arms_) {
    to.u64(arm.pulls);
    to.u64(arm.known);
    to.f64(arm.sum);
    to.f64(arm.weight);
  }
  to.u32(static_cast<std::uint32_t>(bandit.rule_.formula));
  to.f64(bandit.rule_.c);
  to.f64(bandit.rule_.gamma);
  to.u64(bandit.key_.seed);
  to.u32(bandit.key_.stream);
  to.u64(bandit.chosen_);
}

void StateAccess::read(StateReader& from, Bandit& bandit) {
  std::vector<Bandit::Arm> arms(from.count(32));
  for (Bandit::Arm& arm : arms) {
    arm.pulls = from.u64();
    arm.known = from.u64();
    arm.sum = from.f64();
    arm.weight = from.f64();
  }
  const std::uint32_t formula = from.u32();
  BanditRule rule;
  rule.formula = static_cast<BanditRule::Formula>(std::min(formula, 2u));
  rule.c = from.f64();
  rule.gamma = from.f64();
  RandomKey key;
  key.seed = from.u64();
  key.stream = from.u32();
  if (!from.ok()) {
    return;
  }
  if (formula > 2 || !bandit.open(arms.size(), rule, key).ok()) {
    return from.fail("the arms or the rule of the bandit are out of range");
  }
  bandit.chosen_ = from.u64();
  std::uint64_t pulls = 0;
  const bool bounded = rule.formula != BanditRule::Formula::ucb1;
  for (const Bandit::Arm& arm : arms) {
    const double most = static_cast<double>(arm.known);
    if (arm.known > arm.pulls || arm.pulls > bandit.chosen_ - pulls || !std::isfinite(arm.sum) ||
        !(arm.weight >= 0) || !std::isfinite(arm.weight) ||
        (bounded && !(arm.sum >= 0 && arm.sum <= most))) {
      return from.fail("an arm of the bandit is out of range");
    }
    pulls += arm.pulls;
  }
  bandit.arms_ = std::move(arms);
}

}  // namespace nasturtium
