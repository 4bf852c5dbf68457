#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nasturtium/status.hpp"

namespace nasturtium {

// A population in which the oldest dies: after `capacity` further births an individual is gone
// (Real, Aggarwal, Huang, Le, "Regularized evolution for image classifier architecture search",
// AAAI 2019). O(1) a birth, 8 bytes an individual.
class AgeingQueue {
 public:
  explicit AgeingQueue(std::uint64_t capacity) : capacity_(capacity > 0 ? capacity : 1) {}

  // Adds the youngest; true where the oldest, `died`, dies for it.
  bool born(std::uint64_t individual, std::uint64_t& died) {
    if (ring_.size() < capacity_) {
      ring_.push_back(individual);
      return false;
    }
    died = ring_[oldest_];
    ring_[oldest_] = individual;
    oldest_ = oldest_ + 1 < capacity_ ? oldest_ + 1 : 0;
    return true;
  }

  // The i-th oldest.
  std::uint64_t operator[](std::uint64_t i) const {
    const std::uint64_t at = oldest_ + i;
    return ring_[at < ring_.size() ? at : at - ring_.size()];
  }

  std::uint64_t size() const { return ring_.size(); }
  std::uint64_t capacity() const { return capacity_; }

 private:
  std::uint64_t capacity_;
  std::uint64_t oldest_ = 0;
  std::vector<std::uint64_t> ring_;
};

// Individuals of which none dominates another; all objectives are minimized. One that has the
// objectives of a member, or larger ones, is refused, so of equal ones the first stays. With two
// objectives members lie by the first one: O(log s) comparisons an individual and a move of what is
// behind it; else in the order of their coming, O(m s). 8 (m + 1) bytes a member.
class ParetoArchive {
 public:
  explicit ParetoArchive(std::size_t objectives) : m_(objectives > 0 ? objectives : 1) {}

  // Individuals one after the other; kept[i] is 1 where the i-th joined then.
  Status add(std::uint64_t n, const double* points, const std::uint64_t* ids, std::uint8_t* kept);

  std::size_t objectives() const { return m_; }
  const std::vector<std::uint64_t>& ids() const { return ids_; }
  const std::vector<double>& points() const { return points_; }  // rows of m
  std::uint64_t bytes() const {
    return ids_.capacity() * sizeof(std::uint64_t) + points_.capacity() * sizeof(double);
  }

 private:
  bool add_sorted(const double* p, std::uint64_t id);
  bool add_any(const double* p, std::uint64_t id);

  std::size_t m_;
  std::vector<std::uint64_t> ids_;
  std::vector<double> points_;
};

}  // namespace nasturtium
