#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "nasturtium/rungs.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kMostEntries = std::uint64_t{1} << 32;

Status bad_halving(const char* reason) { return Status::fail(Code::limit, 0, reason); }

}  // namespace

Status Halving::open(std::span<const std::uint64_t> sizes) {
  if (sizes.empty() || sizes[0] > kMostEntries) {
    return bad_halving("there must be at least one rung, and at most 2^32 entries");
  }
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    if (sizes[k] < 1 || (k > 0 && sizes[k] > sizes[k - 1])) {
      return bad_halving("each rung takes at least one entry, and no more than the one below it");
    }
  }
  *this = Halving();
  sizes_.assign(sizes.begin(), sizes.end());
  entries_.resize(sizes[0]);
  std::iota(entries_.begin(), entries_.end(), std::uint64_t{0});
  states_.assign(sizes[0], State::idle);
  values_.assign(sizes[0], 0.0);
  return {};
}

bool Halving::next(std::uint64_t& number, std::uint64_t& rung) {
  if (done_ || given_ == entries_.size()) {
    return false;
  }
  number = entries_[given_++];
  rung = rung_;
  states_[number] = State::out;
  return true;
}

Status Halving::tell(std::uint64_t number, double value) {
  if (number >= states_.size() || states_[number] != State::out) {
    return bad_halving("the entry is not being evaluated");
  }
  states_[number] = State::told;
  values_[number] = value;
  if (++told_ == entries_.size()) {
    finish_rung();
  }
  return {};
}

void Halving::finish_rung() {
  std::erase_if(entries_, [&](std::uint64_t i) { return std::isnan(values_[i]); });
  std::sort(entries_.begin(), entries_.end(), [&](std::uint64_t a, std::uint64_t b) {
    return values_[a] != values_[b] ? values_[a] > values_[b] : a < b;
  });
  if (!entries_.empty()) {
    any_ = true;
    best_ = entries_[0];
    best_value_ = values_[best_];
  }
  ++rung_;
  given_ = told_ = 0;
  done_ = rung_ == sizes_.size() || entries_.empty();
  if (!done_ && entries_.size() > sizes_[rung_]) {
    entries_.resize(sizes_[rung_]);
  }
}

bool Halving::best(std::uint64_t& number, double& value) const {
  number = best_;
  value = best_value_;
  return any_;
}

Status hyperband_brackets(std::uint64_t resource, std::uint64_t eta, std::vector<Bracket>& out) {
  if (resource < 1 || eta < 2) {
    return bad_halving("Hyperband takes a resource of at least 1 and an eta of at least 2");
  }
  std::vector<std::uint64_t> powers{1};
  while (powers.back() <= resource / eta) {
    powers.push_back(powers.back() * eta);
  }
  if (powers.back() > kMostEntries / powers.size()) {
    return bad_halving("the first bracket would have more than 2^32 entries");
  }
  const std::uint64_t brackets = powers.size();
  out.clear();
  for (std::uint64_t s = brackets; s-- > 0;) {
    const std::uint64_t n = (brackets * powers[s] + s) / (s + 1);
    Bracket bracket;
    for (std::uint64_t i = 0; i <= s; ++i) {
      bracket.sizes.push_back(n / powers[i]);
      bracket.resources.push_back(static_cast<double>(resource) /
                                  static_cast<double>(powers[s - i]));
    }
    out.push_back(std::move(bracket));
  }
  return {};
}

Status Hyperband::open(std::uint64_t resource, std::uint64_t eta) {
  if (Status s = hyperband_brackets(resource, eta, brackets_); !s.ok()) {
    return s;
  }
  resource_ = resource;
  eta_ = eta;
  states_.assign(brackets_.size(), Halving());
  firsts_.clear();
  std::uint64_t first = 0;
  for (std::size_t b = 0; b < brackets_.size(); ++b) {
    if (Status s = states_[b].open(brackets_[b].sizes); !s.ok()) {
      return s;
    }
    firsts_.push_back(first);
    first += brackets_[b].sizes[0];
  }
  return {};
}

bool Hyperband::next(Job& job) {
  for (std::size_t b = 0; b < states_.size(); ++b) {
    if (states_[b].next(job.number, job.rung)) {
      job.number += firsts_[b];
      job.bracket = b;
      job.resource = brackets_[b].resources[job.rung];
      return true;
    }
  }
  return false;
}

Status Hyperband::tell(std::uint64_t number, double value) {
  const auto after = std::upper_bound(firsts_.begin(), firsts_.end(), number);
  if (after == firsts_.begin()) {
    return bad_halving("the entry is not being evaluated");
  }
  const auto b = static_cast<std::size_t>(after - firsts_.begin() - 1);
  return states_[b].tell(number - firsts_[b], value);
}

bool Hyperband::done() const {
  return std::all_of(states_.begin(), states_.end(), [](const Halving& h) { return h.done(); });
}

}  // namespace nasturtium
