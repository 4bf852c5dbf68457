#include "nasturtium/pareto.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "points.hpp"
#include "staircase.hpp"

namespace nasturtium {
namespace {

struct Lexicographic {
  const double* points;
  std::size_t m;

  bool operator()(std::uint32_t a, std::uint32_t b) const {
    const double *p = points + a * m, *q = points + b * m;
    for (std::size_t j = 0; j < m; ++j) {
      if (p[j] != q[j]) {
        return p[j] < q[j];
      }
    }
    return a < b;
  }
};

// Gives each point place(point); points come in lexicographic order, so that none dominates an
// earlier one, and of equal ones only the first comes.
template <typename Place>
void rank_in_order(std::uint64_t n, std::size_t m, const double* points, std::int64_t* out,
                   Place place) {
  std::vector<std::uint32_t> order;
  sort_rows(points, n, m, Lexicographic{points, m}, order);
  const double* before = nullptr;
  std::size_t rank = 0;
  for (const std::uint32_t row : order) {
    const double* p = points + row * m;
    if (before == nullptr || !std::equal(p, p + m, before)) {
      rank = place(p);
    }
    out[row] = static_cast<std::int64_t>(rank);
    before = p;
  }
}

// Of the fronts, best first, the first that does not cover a point. Where a front covers it, all
// better ones do.
template <typename Front, typename Covers>
std::size_t first_free(std::vector<Front>& fronts, Covers covers) {
  const auto at = std::partition_point(fronts.begin(), fronts.end(), covers);
  const auto rank = static_cast<std::size_t>(at - fronts.begin());
  if (at == fronts.end()) {
    fronts.emplace_back();
  }
  return rank;
}

template <std::size_t Width>
constexpr auto at_most = [](const double* p, const double* q) {
  bool all = true;
  for (std::size_t j = 0; j < Width; ++j) {
    all &= p[j] <= q[j];
  }
  return all;
};

// Rows of a front without their first coordinate. Of up to four coordinates those that cover no
// more than a new row go; with more they are too few to be looked for.
class Rows {
 public:
  // Whether a row is nowhere larger than p; the latest are the likeliest.
  template <typename AtMost>
  bool covers(const double* p, std::size_t width, AtMost within) const {
    for (const double* q = rows_.data() + rows_.size(); q != rows_.data();) {
      q -= width;
      if (within(q, p)) {
        return true;
      }
    }
    return false;
  }

  template <typename AtMost>
  void add(const double* p, std::size_t width, AtMost within) {
    if (width <= 4) {
      double* kept = rows_.data();
      const double* end = rows_.data() + rows_.size();
      for (const double* q = rows_.data(); q != end; q += width) {
        if (!within(p, q)) {
          kept = std::copy_n(q, width, kept);
        }
      }
      rows_.resize(static_cast<std::size_t>(kept - rows_.data()));
    }
    rows_.insert(rows_.end(), p, p + width);
  }

 private:
  std::vector<double> rows_;
};

void rank_two(std::uint64_t n, const double* points, std::int64_t* out) {
  std::vector<double> least;  // of each front, the second coordinate of its last point
  rank_in_order(n, 2, points, out, [&](const double* p) {
    const auto at = std::upper_bound(least.begin(), least.end(), p[1]);
    const auto rank = static_cast<std::size_t>(at - least.begin());
    if (at == least.end()) {
      least.push_back(p[1]);
    } else {
      *at = p[1];
    }
    return rank;
  });
}

void rank_three(std::uint64_t n, const double* points, std::int64_t* out) {
  std::vector<Staircase> fronts;
  rank_in_order(n, 3, points, out, [&](const double* p) {
    const std::size_t rank =
        first_free(fronts, [=](const Staircase& front) { return front.covers(p[1], p[2]); });
    fronts[rank].insert(p[1], p[2]);
    return rank;
  });
}

template <typename AtMost>
void rank_many(std::uint64_t n, std::size_t m, const double* points, std::int64_t* out,
               AtMost within) {
  std::vector<Rows> fronts;
  rank_in_order(n, m, points, out, [&](const double* p) {
    const std::size_t rank =
        first_free(fronts, [&](const Rows& front) { return front.covers(p + 1, m - 1, within); });
    fronts[rank].add(p + 1, m - 1, within);
    return rank;
  });
}

// Adds one objective's gaps on one front, whose rows come by that objective.
void add_gaps(const std::uint32_t* rows, std::size_t count, const double* column, std::size_t m,
              double* out) {
  const auto value = [=](std::size_t i) { return column[rows[i] * m]; };
  if (value(0) == value(count - 1)) {
    return;
  }
  out[rows[0]] = out[rows[count - 1]] = kInfinity;
  std::size_t low = 0, high = count - 1;
  while (low < high && std::isinf(value(low))) {
    ++low;
  }
  while (high > low && std::isinf(value(high))) {
    --high;
  }
  // Halves, so that no difference overflows.
  const double range = 0.5 * value(high) - 0.5 * value(low);
  for (std::size_t i = 1; i + 1 < count; ++i) {
    const double before = value(i - 1), after = value(i + 1);
    if (before == after) {
      continue;
    }
    const bool reaches = std::isinf(before) || std::isinf(after);
    out[rows[i]] += reaches ? kInfinity : (0.5 * after - 0.5 * before) / range;
  }
}

}  // namespace

Status pareto_ranks(std::uint64_t n, std::size_t m, const double* points, std::int64_t* out) {
  if (Status s = check_points(n, m, points); !s.ok()) {
    return s;
  }
  if (m == 1) {
    std::size_t next = 0;
    rank_in_order(n, 1, points, out, [&](const double*) { return next++; });
  } else if (m == 2) {
    rank_two(n, points, out);
  } else if (m == 3) {
    rank_three(n, points, out);
  } else if (m == 4) {
    rank_many(n, m, points, out, at_most<3>);
  } else if (m == 5) {
    rank_many(n, m, points, out, at_most<4>);
  } else if (m == 6) {
    rank_many(n, m, points, out, at_most<5>);
  } else {
    rank_many(n, m, points, out, [=](const double* p, const double* q) {
      return std::equal(p, p + m - 1, q, [](double a, double b) { return a <= b; });
    });
  }
  return {};
}

Status crowding_distance(std::uint64_t n, std::size_t m, const double* points,
                         const std::int64_t* ranks, double* out) {
  if (Status s = check_points(n, m, points); !s.ok()) {
    return s;
  }
  std::vector<std::uint32_t> starts(n + 1, 0);
  for (std::uint64_t i = 0; i < n; ++i) {
    if (ranks[i] < 0 || static_cast<std::uint64_t>(ranks[i]) >= n) {
      return Status::fail(Code::row, i, "a rank is not between 0 and n - 1");
    }
    ++starts[static_cast<std::size_t>(ranks[i]) + 1];
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    starts[i + 1] += starts[i];
  }
  std::vector<std::uint32_t> order, by_front(n), next;
  std::fill_n(out, n, 0.0);
  for (std::size_t j = 0; j < m; ++j) {
    sort_by_column(points + j, n, m, order);
    next = starts;
    for (const std::uint32_t row : order) {
      by_front[next[static_cast<std::size_t>(ranks[row])]++] = row;
    }
    for (std::uint64_t front = 0; front < n; ++front) {
      const std::uint32_t* rows = by_front.data() + starts[front];
      const std::size_t count = starts[front + 1] - starts[front];
      if (count > 2) {
        add_gaps(rows, count, points + j, m, out);
      } else {
        std::for_each(rows, rows + count, [&](std::uint32_t row) { out[row] = kInfinity; });
      }
    }
  }
  return {};
}

}  // namespace nasturtium
