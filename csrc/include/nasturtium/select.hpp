#pragma once

#include <cstdint>

#include "nasturtium/moves.hpp"
#include "nasturtium/rng.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

// Selectors pick rows by their scores, which are maximized; NaN is refused (Code::row). Pick i of
// `count` is a function of (draws.key, draws.start + i) and the scores: the RowRandom of this
// purpose.
inline constexpr Purpose kSelectPurpose = static_cast<Purpose>(17);

// The best of `size` rows that are drawn uniformly, of equal ones the first drawn. O(size) a pick
// with replacement, O(size^2) without. Goldberg, Deb, "A comparative analysis of selection schemes
// used in genetic algorithms", FOGA 1991.
Status tournament(std::uint64_t n, const double* scores, std::uint64_t size, bool replace,
                  const Draws& draws, std::uint64_t count, std::int64_t* out);

// Row i with probability weights[i] / sum; weights are finite and not negative. O(n + count log n).
Status roulette(std::uint64_t n, const double* weights, const Draws& draws, std::uint64_t count,
                std::int64_t* out);

// The row of rank r (0 the worst, equal scores share their mean rank) with probability
// ((2 - pressure) + 2 (pressure - 1) r / (n - 1)) / n, 1 <= pressure <= 2. Baker, "Adaptive
// selection methods for genetic algorithms", ICGA 1985. O(n log n + count log n).
Status linear_rank(std::uint64_t n, const double* scores, double pressure, const Draws& draws,
                   std::uint64_t count, std::int64_t* out);

// Uniformly one of the `keep` best rows. O(n + keep log keep + count).
Status truncation(std::uint64_t n, const double* scores, std::uint64_t keep, const Draws& draws,
                  std::uint64_t count, std::int64_t* out);

// The `keep` best rows, the best first, equal ones in the order of rows.
Status best_rows(std::uint64_t n, const double* scores, std::uint64_t keep, std::int64_t* out);

}  // namespace nasturtium
