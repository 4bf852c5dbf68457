#include "nasturtium/select.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "nasturtium/parallel.hpp"
#include "points.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kSelectGrain = 8192;

Status check_scores(std::uint64_t n, const double* scores) {
  if (n == 0) {
    return Status::fail(Code::limit, 0, "there is nothing to select from");
  }
  if (n > 0xFFFFFFFFu) {
    return Status::fail(Code::limit, 0, "more than 2^32 - 1 scores");
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    if (std::isnan(scores[i])) {
      return Status::fail(Code::row, i, "the score is NaN");
    }
  }
  return {};
}

// out[i] = pick(the draws of row i), on threads.
template <typename MakePick>
Status each_pick(const Draws& draws, std::uint64_t count, std::int64_t* out, MakePick make) {
  return parallel_rows(count, draws.threads, kSelectGrain,
                       [&](std::uint64_t begin, std::uint64_t end) {
                         RowSource source(draws.key, kSelectPurpose);
                         auto pick = make();
                         for (std::uint64_t i = begin; i < end; ++i) {
                           out[i] = static_cast<std::int64_t>(pick(source.at(draws.start + i)));
                         }
                         return Status{};
                       });
}

// Draws rows of which none comes twice.
class Distinct {
 public:
  explicit Distinct(std::uint32_t n) : n_(n) {}

  void clear() { drawn_.clear(); }

  std::uint32_t draw(RowRandom& random) {
    std::uint32_t row = random.below(n_ - static_cast<std::uint32_t>(drawn_.size()));
    auto at = drawn_.begin();
    for (; at != drawn_.end() && *at <= row; ++at) {
      ++row;
    }
    drawn_.insert(at, row);
    return row;
  }

 private:
  std::uint32_t n_;
  std::vector<std::uint32_t> drawn_;  // ascending
};

template <typename Draw>
std::uint32_t best_drawn(const double* scores, std::uint64_t size, Draw draw) {
  std::uint32_t best = draw();
  for (std::uint64_t k = 1; k < size; ++k) {
    const std::uint32_t row = draw();
    best = scores[row] > scores[best] ? row : best;
  }
  return best;
}

}  // namespace

Status tournament(std::uint64_t n, const double* scores, std::uint64_t size, bool replace,
                  const Draws& draws, std::uint64_t count, std::int64_t* out) {
  if (Status s = check_scores(n, scores); !s.ok()) {
    return s;
  }
  if (size == 0 || (!replace && size > n)) {
    return Status::fail(Code::limit, 0, "a tournament takes 1 row to all rows");
  }
  const auto rows = static_cast<std::uint32_t>(n);
  if (replace) {
    return each_pick(draws, count, out, [=] {
      return [=](RowRandom random) {
        return best_drawn(scores, size, [&] { return random.below(rows); });
      };
    });
  }
  return each_pick(draws, count, out, [=] {
    return [=, distinct = Distinct(rows)](RowRandom random) mutable {
      distinct.clear();
      return best_drawn(scores, size, [&] { return distinct.draw(random); });
    };
  });
}

Status roulette(std::uint64_t n, const double* weights, const Draws& draws, std::uint64_t count,
                std::int64_t* out) {
  if (Status s = check_scores(n, weights); !s.ok()) {
    return s;
  }
  std::vector<double> sums(n);
  double total = 0;
  std::uint64_t last = 0;  // the last row that can be picked
  for (std::uint64_t i = 0; i < n; ++i) {
    if (weights[i] < 0 || std::isinf(weights[i])) {
      return Status::fail(Code::row, i, "the weight is negative or infinite");
    }
    total += weights[i];
    sums[i] = total;
    last = weights[i] > 0 ? i : last;
  }
  if (!(total > 0) || std::isinf(total)) {
    return Status::fail(Code::limit, 0, "the weights' sum is not positive and finite");
  }
  const auto end = sums.begin() + static_cast<std::ptrdiff_t>(last);
  return each_pick(draws, count, out, [&] {
    return [&](RowRandom random) {
      const double fraction = static_cast<double>(random.word() >> 11) * 0x1p-53;
      return std::upper_bound(sums.begin(), end, fraction * total) - sums.begin();
    };
  });
}

Status linear_rank(std::uint64_t n, const double* scores, double pressure, const Draws& draws,
                   std::uint64_t count, std::int64_t* out) {
  if (Status s = check_scores(n, scores); !s.ok()) {
    return s;
  }
  if (!(pressure >= 1 && pressure <= 2)) {
    return Status::fail(Code::limit, 0, "the pressure is not between 1 and 2");
  }
  std::vector<std::uint32_t> order;
  sort_by_column(scores, n, 1, order);
  std::vector<double> weights(n, 1.0);
  for (std::size_t begin = 0, end = 0; n > 1 && begin < n; begin = end) {
    for (end = begin + 1; end < n && scores[order[end]] == scores[order[begin]];) {
      ++end;
    }
    const double rank = 0.5 * static_cast<double>(begin + end - 1);
    const double share = rank / static_cast<double>(n - 1);
    for (std::size_t i = begin; i < end; ++i) {
      weights[order[i]] = (2 - pressure) + 2 * (pressure - 1) * share;
    }
  }
  return roulette(n, weights.data(), draws, count, out);
}

Status best_rows(std::uint64_t n, const double* scores, std::uint64_t keep, std::int64_t* out) {
  if (Status s = check_scores(n, scores); !s.ok()) {
    return s;
  }
  if (keep > n) {
    return Status::fail(Code::limit, 0, "more rows are to be kept than there are");
  }
  std::vector<std::int64_t> rows(n);
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  const auto better = [=](std::int64_t a, std::int64_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  };
  const auto end = rows.begin() + static_cast<std::ptrdiff_t>(keep);
  std::nth_element(rows.begin(), end, rows.end(), better);
  std::sort(rows.begin(), end, better);
  std::copy(rows.begin(), end, out);
  return {};
}

Status truncation(std::uint64_t n, const double* scores, std::uint64_t keep, const Draws& draws,
                  std::uint64_t count, std::int64_t* out) {
  if (keep == 0) {
    return Status::fail(Code::limit, 0, "truncation keeps at least one row");
  }
  std::vector<std::int64_t> best(std::min(keep, n));
  if (Status s = best_rows(n, scores, keep, best.data()); !s.ok()) {
    return s;
  }
  const auto kept = static_cast<std::uint32_t>(keep);
  return each_pick(draws, count, out, [&] {
    return [&best, kept](RowRandom random) { return best[random.below(kept)]; };
  });
}

}  // namespace nasturtium
