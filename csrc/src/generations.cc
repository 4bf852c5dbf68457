#include <algorithm>
#include <cmath>
#include <numeric>

#include "nasturtium/population.hpp"

namespace nasturtium {
namespace {

// NaN counts as minus infinity.
double worst_of_nan(double score) { return std::isnan(score) ? -HUGE_VAL : score; }

// Whether a outlives b.
bool outlives(const SteadyState::Member& a, const SteadyState::Member& b) {
  const double x = worst_of_nan(a.score), y = worst_of_nan(b.score);
  return x != y ? x > y : a.age > b.age;
}

}  // namespace

bool SteadyState::born(std::uint64_t individual, double score, std::uint64_t& died) {
  heap_.push_back({score, births_++, individual});
  std::push_heap(heap_.begin(), heap_.end(), outlives);
  if (heap_.size() <= capacity_) {
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end(), outlives);
  died = heap_.back().individual;
  heap_.pop_back();
  return true;
}

void SteadyState::members(std::vector<Member>& out) const {
  out = heap_;
  std::sort(out.begin(), out.end(), [](const Member& a, const Member& b) { return a.age < b.age; });
}

bool Generational::born(std::uint64_t individual, double score) {
  next_.push_back({score, individual});
  if (next_.size() < (generation_ == 0 ? size_ : size_ - elites_)) {
    return false;
  }
  if (generation_ > 0) {
    const auto better = [](const Member& a, const Member& b) {
      return worst_of_nan(a.score) > worst_of_nan(b.score);
    };
    std::stable_sort(present_.begin(), present_.end(), better);
    present_.resize(elites_);
  }
  present_.insert(present_.end(), next_.begin(), next_.end());
  next_.clear();
  ++generation_;
  return true;
}

void Species::assign(std::uint64_t n, const std::uint8_t* codes, std::uint32_t* species) {
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::uint8_t* code = codes + i * width_;
    std::uint64_t k = 0;
    for (; k < count(); ++k) {
      const std::uint8_t* founder = founders_.data() + k * width_;
      std::uint64_t distance = 0;
      for (std::size_t j = 0; j < width_; ++j) {
        distance += code[j] != founder[j];
      }
      if (distance <= radius_) {
        break;
      }
    }
    if (k == count()) {
      founders_.insert(founders_.end(), code, code + width_);
    }
    species[i] = static_cast<std::uint32_t>(k);
  }
}

Status share_scores(std::uint64_t n, const double* scores, const std::uint32_t* species,
                    double* out) {
  std::uint32_t most = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    if (!(scores[i] >= 0) || std::isinf(scores[i])) {
      return Status::fail(Code::row, i, "the score to share is negative or not finite");
    }
    if (species[i] >= n) {
      return Status::fail(Code::row, i, "the species is not below the number of individuals");
    }
    most = std::max(most, species[i]);
  }
  std::vector<std::uint64_t> sizes(n > 0 ? most + std::size_t{1} : 0);
  for (std::uint64_t i = 0; i < n; ++i) {
    ++sizes[species[i]];
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    out[i] = scores[i] / static_cast<double>(sizes[species[i]]);
  }
  return {};
}

Status apportion(std::uint64_t k, const double* weights, std::uint64_t total, std::uint64_t* out) {
  if (k == 0 || total > (std::uint64_t{1} << 52)) {
    return Status::fail(Code::limit, 0, "places go to at least one weight, and are at most 2^52");
  }
  double sum = 0;
  for (std::uint64_t i = 0; i < k; ++i) {
    if (!(weights[i] >= 0) || std::isinf(weights[i])) {
      return Status::fail(Code::row, i, "the weight is negative or not finite");
    }
    sum += weights[i];
  }
  if (std::isinf(sum)) {
    return Status::fail(Code::limit, 0, "the weights' sum is not finite");
  }
  std::vector<double> rest(k);
  std::uint64_t given = 0;
  for (std::uint64_t i = 0; i < k; ++i) {
    const double share = sum > 0 ? weights[i] / sum : 1.0 / static_cast<double>(k);
    const double places = share * static_cast<double>(total);
    const double whole = std::min(std::floor(places), static_cast<double>(total - given));
    out[i] = static_cast<std::uint64_t>(whole);
    rest[i] = places - whole;
    given += out[i];
  }
  std::vector<std::uint64_t> order(k);
  std::iota(order.begin(), order.end(), std::uint64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint64_t a, std::uint64_t b) { return rest[a] > rest[b]; });
  // Rounding may leave more than k places, where weights differ by more than doubles can say.
  for (std::uint64_t i = 0; given < total; i = (i + 1) % k, ++given) {
    ++out[order[i]];
  }
  return {};
}

}  // namespace nasturtium
