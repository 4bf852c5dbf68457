#include "nasturtium/population.hpp"

#include <algorithm>

#include "points.hpp"

namespace nasturtium {
namespace {

// The first of n members, two objectives each by the first one, for which before(member) is false.
template <typename Before>
std::size_t first_not(const std::vector<double>& points, std::size_t begin, Before before) {
  std::size_t low = begin, high = points.size() / 2;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (before(points.data() + 2 * middle)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace

Status ParetoArchive::add(std::uint64_t n, const double* points, const std::uint64_t* ids,
                          std::uint8_t* kept) {
  if (Status s = check_points(n, m_, points); !s.ok()) {
    return s;
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    const double* p = points + i * m_;
    kept[i] = m_ == 2 ? add_sorted(p, ids[i]) : add_any(p, ids[i]);
  }
  return {};
}

bool ParetoArchive::add_sorted(const double* p, std::uint64_t id) {
  const std::size_t after = first_not(points_, 0, [=](const double* q) { return q[0] <= p[0]; });
  if (after > 0 && points_[2 * after - 1] <= p[1]) {
    return false;
  }
  // First objectives are distinct, so at most one member has that of p.
  const std::size_t begin = after > 0 && points_[2 * after - 2] == p[0] ? after - 1 : after;
  const std::size_t end = first_not(points_, begin, [=](const double* q) { return q[1] >= p[1]; });
  const auto at = [](std::size_t i) { return static_cast<std::ptrdiff_t>(i); };
  if (begin == end) {
    points_.insert(points_.begin() + at(2 * begin), p, p + 2);
    ids_.insert(ids_.begin() + at(begin), id);
  } else {
    std::copy_n(p, 2, points_.begin() + at(2 * begin));
    ids_[begin] = id;
    points_.erase(points_.begin() + at(2 * begin + 2), points_.begin() + at(2 * end));
    ids_.erase(ids_.begin() + at(begin + 1), ids_.begin() + at(end));
  }
  return true;
}

bool ParetoArchive::add_any(const double* p, std::uint64_t id) {
  const auto at_most = [m = m_](const double* a, const double* b) {
    return std::equal(a, a + m, b, [](double x, double y) { return x <= y; });
  };
  const std::size_t size = ids_.size();
  for (std::size_t i = 0; i < size; ++i) {
    if (at_most(points_.data() + i * m_, p)) {
      return false;
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (!at_most(p, points_.data() + i * m_)) {
      std::copy_n(points_.data() + i * m_, m_, points_.data() + kept * m_);
      ids_[kept++] = ids_[i];
    }
  }
  points_.resize(kept * m_);
  ids_.resize(kept);
  points_.insert(points_.end(), p, p + m_);
  ids_.push_back(id);
  return true;
}

}  // namespace nasturtium
