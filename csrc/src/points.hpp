#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "nasturtium/status.hpp"

namespace nasturtium {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Refuses NaN, no columns, and more rows than a 32-bit number holds.
Status check_points(std::uint64_t n, std::size_t m, const double* points);

// The 32 leading bits of a double's place in the order of doubles, in the upper half of a word;
// both zeros have one place.
inline std::uint64_t leading_bits(double value) {
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(value + 0.0);
  const std::uint64_t flip = bits >> 63 ? ~std::uint64_t{0} : std::uint64_t{1} << 63;
  return (bits ^ flip) & (~std::uint64_t{0} << 32);
}

// Sorts words by their upper halves; the lower halves are 0, 1, ... and break ties.
void sort_words(std::vector<std::uint64_t>& words);

// The rows 0 ... n - 1 in the order of `less`, a strict total order of rows in which a smaller
// value of the column, column[row * stride], comes first. A radix sort of the leading bits leaves
// little to compare.
template <typename Less>
void sort_rows(const double* column, std::size_t n, std::size_t stride, Less less,
               std::vector<std::uint32_t>& order) {
  std::vector<std::uint64_t> words(n);
  for (std::size_t i = 0; i < n; ++i) {
    words[i] = leading_bits(column[i * stride]) | i;
  }
  sort_words(words);
  order.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    order[i] = static_cast<std::uint32_t>(words[i]);
  }
  for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
    for (end = begin + 1; end < n && words[end] >> 32 == words[begin] >> 32;) {
      ++end;
    }
    if (end - begin > 1) {
      std::sort(order.data() + begin, order.data() + end, less);
    }
  }
}

// The rows by the values of one column, equal ones in the order of rows.
inline void sort_by_column(const double* column, std::size_t n, std::size_t stride,
                           std::vector<std::uint32_t>& order) {
  const auto less = [=](std::uint32_t a, std::uint32_t b) {
    const double x = column[a * stride], y = column[b * stride];
    return x != y ? x < y : a < b;
  };
  sort_rows(column, n, stride, less, order);
}

}  // namespace nasturtium
