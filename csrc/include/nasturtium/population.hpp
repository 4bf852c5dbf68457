#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "nasturtium/status.hpp"

namespace nasturtium {

// A population in which the oldest dies: after `capacity` further births an individual is gone
// (Real, Aggarwal, Huang, Le, "Regularized evolution for image classifier architecture search",
// AAAI 2019). O(1) a birth.
template <typename Individual>
class AgeingRing {
 public:
  explicit AgeingRing(std::uint64_t capacity) : capacity_(capacity > 0 ? capacity : 1) {}

  // Adds the youngest; true where the oldest, `died`, dies for it.
  bool born(const Individual& individual, Individual& died) {
    if (ring_.size() < capacity_) {
      ring_.push_back(individual);
      return false;
    }
    died = std::exchange(turn(), individual);
    return true;
  }

  // The oldest's place, which is the youngest's from now on; of a full ring.
  Individual& turn() {
    const std::uint64_t place = oldest_;
    oldest_ = oldest_ + 1 < capacity_ ? oldest_ + 1 : 0;
    return ring_[place];
  }

  // The i-th oldest.
  const Individual& operator[](std::uint64_t i) const {
    const std::uint64_t at = oldest_ + i;
    return ring_[at < ring_.size() ? at : at - ring_.size()];
  }

  std::uint64_t size() const { return ring_.size(); }
  std::uint64_t capacity() const { return capacity_; }
  // All of them, the oldest at place `oldest`, behind the last the first.
  std::vector<Individual>& members() { return ring_; }
  std::uint64_t oldest() const { return oldest_; }

 private:
  std::uint64_t capacity_;
  std::uint64_t oldest_ = 0;
  std::vector<Individual> ring_;
};

using AgeingQueue = AgeingRing<std::uint64_t>;

// A population in which the worst dies: whenever there are more than `capacity`, the individual
// with the smallest score, of equal ones the oldest (Whitley, "The GENITOR algorithm and selection
// pressure", ICGA 1989). Scores are maximized; NaN is the worst. O(log n) a birth.
class SteadyState {
 public:
  struct Member {
    double score = 0;
    std::uint64_t age = 0;  // the number of its birth
    std::uint64_t individual = 0;
  };

  explicit SteadyState(std::uint64_t capacity) : capacity_(capacity > 0 ? capacity : 1) {}

  // Adds the youngest; true where `died`, which may be itself, dies for it.
  bool born(std::uint64_t individual, double score, std::uint64_t& died);

  // Oldest first.
  void members(std::vector<Member>& out) const;
  std::uint64_t size() const { return heap_.size(); }
  std::uint64_t capacity() const { return capacity_; }

 private:
  friend struct StateAccess;
  std::uint64_t capacity_;
  std::uint64_t births_ = 0;
  std::vector<Member> heap_;  // the next to die first
};

// A population that is replaced as a whole: when `size - elites` individuals are born (`size` of
// the first generation), they and the `elites` best of the present generation, equal ones by their
// order, are the next one: the elites, the best first, then the others in the order of their birth
// (De Jong, "An analysis of the behavior of a class of genetic adaptive systems", 1975). Scores are
// maximized; NaN is the worst.
class Generational {
 public:
  struct Member {
    double score = 0;
    std::uint64_t individual = 0;
  };

  // elites < size
  Generational(std::uint64_t size, std::uint64_t elites) : size_(size), elites_(elites) {}

  // Adds one to the next generation; true where that is now the present one.
  bool born(std::uint64_t individual, double score);

  std::uint64_t size() const { return size_; }
  std::uint64_t elites() const { return elites_; }
  std::uint64_t generation() const { return generation_; }         // 0 until the first is complete
  const std::vector<Member>& members() const { return present_; }  // of the present generation
  const std::vector<Member>& next() const { return next_; }        // what was born for the next one

 private:
  friend struct StateAccess;
  std::uint64_t size_, elites_;
  std::uint64_t generation_ = 0;
  std::vector<Member> present_, next_;
};

// Individuals with codes, grouped by likeness: one joins the first species to whose representative,
// its founder, its code has a Hamming distance of at most `radius`, or founds one (Stanley,
// Miikkulainen, "Evolving neural networks through augmenting topologies", Evolutionary Computation
// 10(2), 2002, with the founder in place of a random member). O(species x width) each.
class Species {
 public:
  Species(std::size_t width, std::uint64_t radius) : width_(width), radius_(radius) {}

  // The number of each code's species; numbers count from 0 in the order of founding.
  void assign(std::uint64_t n, const std::uint8_t* codes, std::uint32_t* species);

  std::size_t width() const { return width_; }
  std::uint64_t radius() const { return radius_; }
  std::uint64_t count() const { return founders_.size() / width_; }
  const std::vector<std::uint8_t>& founders() const { return founders_; }

 private:
  friend struct StateAccess;
  std::size_t width_;
  std::uint64_t radius_;
  std::vector<std::uint8_t> founders_;
};

// Fitness sharing: each score, finite and not negative, over the size of its species (Goldberg,
// Richardson, "Genetic algorithms with sharing for multimodal function optimization", ICGA 1987).
Status share_scores(std::uint64_t n, const double* scores, const std::uint32_t* species,
                    double* out);

// `total` places given out in proportion to k weights, finite and not negative: the whole parts,
// then one each by the largest remainder, equal ones in their order. All weights 0: as if equal.
Status apportion(std::uint64_t k, const double* weights, std::uint64_t total, std::uint64_t* out);

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
  friend struct StateAccess;
  bool add_sorted(const double* p, std::uint64_t id);
  bool add_any(const double* p, std::uint64_t id);

  std::size_t m_;
  std::vector<std::uint64_t> ids_;
  std::vector<double> points_;
};

}  // namespace nasturtium
