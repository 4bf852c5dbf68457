#include <algorithm>
#include <cmath>
#include <vector>

#include "bit_tree.hpp"
#include "nasturtium/parallel.hpp"
#include "nasturtium/pareto.hpp"
#include "points.hpp"
#include "volume.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kContributionGrain = 16;

// The points below the reference by their last coordinate, ties by the one before and so on.
template <std::size_t M>
struct Inside {
  std::vector<Point<M>> points;
  std::vector<std::uint32_t> rows;

  Inside(std::uint64_t n, const double* all, const double* reference) {
    std::vector<Point<M>> found;
    std::vector<std::uint32_t> from, order;
    for (std::uint64_t i = 0; i < n; ++i) {
      Point<M> p;
      std::copy_n(all + i * M, M, p.begin());
      bool below = true;
      for (std::size_t j = 0; j < M; ++j) {
        below = below && p[j] < reference[j];
      }
      if (below) {
        found.push_back(p);
        from.push_back(static_cast<std::uint32_t>(i));
      }
    }
    const auto less = [&](std::uint32_t a, std::uint32_t b) {
      for (std::size_t j = M; j-- > 0;) {
        if (found[a][j] != found[b][j]) {
          return found[a][j] < found[b][j];
        }
      }
      return a < b;
    };
    if (!found.empty()) {
      sort_rows(found[0].data() + M - 1, found.size(), M, less, order);
    }
    points.reserve(order.size());
    rows.reserve(order.size());
    for (const std::uint32_t i : order) {
      points.push_back(found[i]);
      rows.push_back(from[i]);
    }
  }
};

double volume(const std::vector<Point<2>>& points, const double* reference) {
  double area = 0, left = reference[0];
  for (const Point<2>& p : points) {
    if (p[0] < left) {
      area += (left - p[0]) * (reference[1] - p[1]);
      left = p[0];
    }
  }
  return area;
}

// The sweep's plane: steps by their place in the order of y, between two that stand for the
// reference.
struct Plane {
  Plane(const std::vector<Point<3>>& points, const double* reference)
      : x(points.size() + 2), y(x.size()), next(x.size()), place(points.size()), tree(x.size()) {
    std::vector<std::uint32_t> order;
    sort_by_column(points[0].data() + 1, points.size(), 3, order);
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Point<3>& p = points[order[i]];
      x[i + 1] = p[0];
      y[i + 1] = p[1];
      place[order[i]] = static_cast<std::uint32_t>(i + 1);
    }
    x.front() = reference[0];
    x.back() = -kInfinity;
    y.back() = reference[1];
    next.front() = static_cast<std::uint32_t>(x.size() - 1);
    tree.insert(0);
  }

  // The area that step i adds.
  double add(std::uint32_t i) {
    const std::size_t before = tree.before(i);
    const double left = x[i];
    if (x[before] <= left) {
      return 0;
    }
    double area = 0, from = x[before], level = y[i];
    std::uint32_t after = next[before];
    for (;; after = next[after]) {
      area += (from - left) * (y[after] - level);
      if (x[after] < left) {
        break;
      }
      from = x[after];
      level = y[after];
      tree.erase(after);
    }
    next[before] = i;
    next[i] = after;
    tree.insert(i);
    return area;
  }

  std::vector<double> x, y;
  std::vector<std::uint32_t> next, place;
  BitTree tree;
};

double volume(const std::vector<Point<3>>& points, const double* reference) {
  if (points.empty()) {
    return 0;
  }
  Plane plane(points, reference);
  double total = 0, area = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    area += plane.add(plane.place[i]);
    const double end = i + 1 < points.size() ? points[i + 1][2] : reference[2];
    total += area * (end - points[i][2]);
  }
  return total;
}

// The points before p are at most p in the last coordinate: what p adds is a prism.
template <std::size_t M>
double volume(const std::vector<Point<M>>& points, const double* reference) {
  Front<M - 1> front;
  front.clear(reference, reference);
  double total = 0;
  for (const Point<M>& p : points) {
    total += (reference[M - 1] - p[M - 1]) * front.add(head(p));
  }
  return total;
}

Status contributions(const Inside<2>& inside, const double* reference, double* out, unsigned) {
  const std::vector<Point<2>>& points = inside.points;
  double right = reference[0];  // the x of the last point that nothing dominates
  for (std::size_t begin = 0, end = 0; begin < points.size(); begin = end) {
    const Point<2>& p = points[begin];
    for (end = begin + 1; end < points.size() && points[end][0] >= p[0];) {
      ++end;
    }
    const double top = end < points.size() ? points[end][1] : reference[1];
    // Of the box that the neighbors leave to p, the points that p dominates take their part.
    double taken = 0, left = right;
    for (std::size_t i = begin + 1; i < end; ++i) {
      if (points[i][0] < left) {
        taken += (left - points[i][0]) * (top - points[i][1]);
        left = points[i][0];
      }
    }
    out[inside.rows[begin]] = std::max(0.0, (right - p[0]) * (top - p[1]) - taken);
    right = p[0];
  }
  return {};
}

template <std::size_t M>
Status contributions(const Inside<M>& inside, const double* reference, double* out,
                     unsigned threads) {
  const std::vector<Point<M>>& points = inside.points;
  return parallel_rows(points.size(), threads, kContributionGrain,
                       [&](std::uint64_t begin, std::uint64_t end) {
                         Front<M> front;
                         front.load(points, reference);
                         for (std::uint64_t i = begin; i < end; ++i) {
                           const double own = front.exclusive(points[i], true);
                           out[inside.rows[i]] = std::max(0.0, own);
                         }
                         return Status{};
                       });
}

// Runs work(Inside<M>) for the number of objectives.
template <typename Work>
Status inside(std::uint64_t n, std::size_t m, const double* points, const double* reference,
              Work work) {
  for (std::size_t j = 0; j < m; ++j) {
    if (!std::isfinite(reference[j])) {
      return Status::fail(Code::limit, 0, "the reference point is not finite");
    }
  }
  if (Status s = check_points(n, m, points); !s.ok()) {
    return s;
  }
  for (std::uint64_t i = 0; i < n * m; ++i) {
    if (points[i] == -kInfinity) {
      return Status::fail(Code::row, i / m, "a coordinate is minus infinity");
    }
  }
  switch (m) {
    case 2:
      return work(Inside<2>(n, points, reference));
    case 3:
      return work(Inside<3>(n, points, reference));
    case 4:
      return work(Inside<4>(n, points, reference));
    case 5:
      return work(Inside<5>(n, points, reference));
    case 6:
      return work(Inside<6>(n, points, reference));
    default:
      return Status::fail(Code::limit, 0, "the hypervolume takes 2 to 6 objectives");
  }
}

}  // namespace

Status hypervolume(std::uint64_t n, std::size_t m, const double* points, const double* reference,
                   double& out) {
  return inside(n, m, points, reference, [&](const auto& found) {
    out = volume(found.points, reference);
    return Status{};
  });
}

Status hypervolume_contributions(std::uint64_t n, std::size_t m, const double* points,
                                 const double* reference, double* out, unsigned threads) {
  std::fill_n(out, n, 0.0);
  return inside(n, m, points, reference,
                [&](const auto& found) { return contributions(found, reference, out, threads); });
}

}  // namespace nasturtium
