#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "remainder.hpp"

namespace nasturtium {

template <std::size_t D>
using Point = std::array<double, D>;

template <std::size_t D>
Point<D - 1> head(const Point<D>& p) {
  Point<D - 1> q;
  std::copy_n(p.begin(), D - 1, q.begin());
  return q;
}

// Where a point with this value in one coordinate goes among points by that coordinate.
template <std::size_t D>
std::ptrdiff_t place(const std::vector<Point<D>>& points, std::size_t coordinate, double value) {
  return std::lower_bound(points.begin(), points.end(), value,
                          [=](const Point<D>& q, double v) { return q[coordinate] < v; }) -
         points.begin();
}

template <std::size_t D>
void sort_by(std::vector<Point<D>>& points, std::size_t coordinate) {
  std::sort(points.begin(), points.end(),
            [=](const Point<D>& a, const Point<D>& b) { return a[coordinate] < b[coordinate]; });
}

// Points of D dimensions and the volume between each new one and the reference that the others do
// not dominate. Points that are dominated leave, as far as they are met.
template <std::size_t D>
class Front {
 public:
  // Forgets all; no coordinate of what follows is below the corner's.
  void clear(const double* corner, const double* reference) {
    reference_ = reference;
    by_last_.clear();
    by_other_.clear();
    below_.clear(corner, reference);
  }

  // Adds a point whose last coordinate is none below an earlier one's, after clear and before any
  // add; returns the volume that it adds, a prism.
  double push(const Point<D>& p) {
    const double base = below_.add(head(p));
    if (!(base > 0)) {
      return 0;
    }
    by_last_.push_back(p);
    return base * (reference_[D - 1] - p[D - 1]);
  }

  // Adds a point, and returns the volume that it adds.
  double add(const Point<D>& p) {
    const double volume = exclusive(p, false);
    if (!(volume > 0)) {
      return 0;
    }
    remove(p, by_last_.begin() + place(by_last_, D - 1, p[D - 1]));
    by_last_.insert(by_last_.begin() + place(by_last_, D - 1, p[D - 1]), p);
    by_other_.insert(by_other_.begin() + place(by_other_, D - 2, p[D - 2]), p);
    return volume;
  }

  // Makes these the points, which come by their last coordinate.
  void load(const std::vector<Point<D>>& points, const double* reference) {
    reference_ = reference;
    by_last_ = points;
    by_other_.clear();
  }

  // The volume that p adds; where p is `within`, one point that equals it does not count. What lies
  // below p in the last coordinate limits p all the way up, so it comes by the next coordinate.
  double exclusive(const Point<D>& p, bool within) {
    if (by_other_.size() != by_last_.size()) {
      by_other_ = by_last_;
      sort_by(by_other_, D - 2);
    }
    double volume = reference_[D - 1] - p[D - 1], low = 0;
    below_.clear(p.data(), reference_);
    // Picked out without a branch: which ones lie below cannot be predicted.
    lower_.resize(by_other_.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < by_other_.size(); ++i) {
      lower_[count] = static_cast<std::uint32_t>(i);
      count += by_other_[i][D - 1] <= p[D - 1];
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Point<D>& q = by_other_[lower_[i]];
      Point<D - 1> limit;
      if (!cut(q, p, limit)) {
        low += below_.push(limit);
      } else if (within && q == p) {
        within = false;
      } else {
        return 0;
      }
    }
    double base = 1;
    for (std::size_t j = 0; j + 1 < D; ++j) {
      base *= reference_[j] - p[j];
    }
    volume *= base - low;
    const auto higher = [](double value, const Point<D>& q) { return value < q[D - 1]; };
    auto q = std::upper_bound(by_last_.begin(), by_last_.end(), p[D - 1], higher);
    for (; q != by_last_.end(); ++q) {
      Point<D - 1> limit;
      const bool whole = cut(*q, p, limit);
      volume -= (reference_[D - 1] - (*q)[D - 1]) * below_.add(limit);
      if (whole) {
        break;
      }
    }
    end_ = q - by_last_.begin();
    return volume;
  }

 private:
  // Removes what p dominates, `from` on up to where the last volume ended: beyond there is nothing.
  void remove(const Point<D>& p, typename std::vector<Point<D>>::iterator from) {
    const auto end = std::max(from, by_last_.begin() + end_);
    auto kept = from;
    for (; from != end; ++from) {
      const Point<D>& q = *from;
      bool dominated = true;
      for (std::size_t j = 0; j + 1 < D; ++j) {
        dominated &= p[j] <= q[j];
      }
      if (dominated) {
        const auto begin = by_other_.begin() + place(by_other_, D - 2, q[D - 2]);
        by_other_.erase(std::find(begin, by_other_.end(), q));
      } else {
        *kept++ = q;
      }
    }
    by_last_.erase(kept, end);
  }

  // The part of q's base that is also p's; true where it is all of p's.
  static bool cut(const Point<D>& q, const Point<D>& p, Point<D - 1>& limit) {
    bool whole = true;
    for (std::size_t j = 0; j + 1 < D; ++j) {
      limit[j] = std::max(p[j], q[j]);
      whole &= q[j] <= p[j];
    }
    return whole;
  }

  const double* reference_ = nullptr;
  std::vector<Point<D>> by_last_, by_other_;  // by the last coordinate, by the one before
  std::vector<std::uint32_t> lower_;          // which of by_other_ are not above a point
  std::ptrdiff_t end_ = 0;                    // the place by the last where the last volume ended
  Front<D - 1> below_;
};

template <>
class Front<3> {
 public:
  void clear(const double* corner, const double* reference) {
    reference_ = reference;
    by_z_.clear();
    by_y_.clear();
    dominator_ = {reference[0], reference[1], reference[2]};
    left_.open(corner[0], corner[1], reference[0]);
    left_.close(reference[1]);
  }

  double push(const Point<3>& p) {
    if (p[0] >= left_.right() || p[1] >= left_.top()) {
      return 0;
    }
    const double base = left_.cut(p[0], p[1]);
    if (!(base > 0)) {
      return 0;
    }
    by_z_.push_back(p);
    return base * (reference_[2] - p[2]);
  }

  double add(const Point<3>& p) {
    const double volume = exclusive(p, false);
    if (!(volume > 0)) {
      return 0;
    }
    // Beyond where the volume ended nothing is dominated by p.
    const std::ptrdiff_t from = place(by_z_, 2, p[2]);
    auto kept = by_z_.begin() + from;
    const auto end = by_z_.begin() + std::max(from, end_);
    for (auto q = kept; q != end; ++q) {
      if (p[0] <= (*q)[0] && p[1] <= (*q)[1]) {
        by_y_.erase(std::find(by_y_.begin() + place(by_y_, 1, (*q)[1]), by_y_.end(), *q));
      } else {
        *kept++ = *q;
      }
    }
    by_z_.erase(kept, end);
    by_z_.insert(by_z_.begin() + from, p);
    by_y_.insert(by_y_.begin() + place(by_y_, 1, p[1]), p);
    return volume;
  }

  void load(const std::vector<Point<3>>& points, const double* reference) {
    reference_ = reference;
    by_z_ = points;
    by_y_.clear();
  }

  double exclusive(const Point<3>& p, bool within) {
    if (by_y_.size() != by_z_.size()) {
      by_y_ = by_z_;
      sort_by(by_y_, 1);
    }
    if (!within && covers(dominator_, p)) {
      return 0;
    }
    if (!open(p, within)) {
      return 0;
    }
    double volume = 0, level = p[2], right = left_.right(), top = left_.top();
    const auto higher = [](double value, const Point<3>& q) { return value < q[2]; };
    auto q = std::upper_bound(by_z_.begin(), by_z_.end(), p[2], higher);
    for (; q != by_z_.end(); ++q) {
      if ((*q)[0] >= right || (*q)[1] >= top) {
        continue;
      }
      volume += left_.area() * ((*q)[2] - level);
      level = (*q)[2];
      if ((*q)[0] <= p[0] && (*q)[1] <= p[1]) {
        end_ = q - by_z_.begin();
        return volume;
      }
      left_.cut(std::max(p[0], (*q)[0]), std::max(p[1], (*q)[1]));
      right = left_.right();
      top = left_.top();
    }
    end_ = q - by_z_.begin();
    return volume + left_.area() * (reference_[2] - level);
  }

 private:
  static bool covers(const Point<3>& q, const Point<3>& p) {
    return q[0] <= p[0] && q[1] <= p[1] && q[2] <= p[2];
  }

  // What the points at or below p leave of its base; false where that is nothing.
  bool open(const Point<3>& p, bool within) {
    left_.open(p[0], p[1], reference_[0]);
    double right = reference_[0], top = reference_[1];
    for (const Point<3>& q : by_y_) {
      if (q[2] > p[2] || q[0] >= right) {
        continue;
      }
      if (q[0] > p[0]) {
        right = q[0];
        left_.step(q[0], std::max(p[1], q[1]));
      } else if (q[1] > p[1]) {
        top = q[1];
        break;
      } else if (within && q == p) {
        within = false;
      } else {
        dominator_ = q;
        return false;
      }
    }
    left_.close(top);
    return true;
  }

  const double* reference_ = nullptr;
  std::vector<Point<3>> by_z_, by_y_;
  Point<3> dominator_{};    // the last one that was met: often it dominates the next point too
  std::ptrdiff_t end_ = 0;  // the place by z where the last volume ended
  Remainder left_;
};

}  // namespace nasturtium
