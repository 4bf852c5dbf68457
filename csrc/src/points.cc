#include "points.hpp"

#include <array>
#include <cmath>

namespace nasturtium {

Status check_points(std::uint64_t n, std::size_t m, const double* points) {
  if (m == 0) {
    return Status::fail(Code::limit, 0, "points need at least one objective");
  }
  if (n > 0xFFFFFFFFu) {
    return Status::fail(Code::limit, 0, "more than 2^32 - 1 points");
  }
  for (std::uint64_t i = 0; i < n * m; ++i) {
    if (std::isnan(points[i])) {
      return Status::fail(Code::row, i / m, "a coordinate is NaN");
    }
  }
  return {};
}

void sort_words(std::vector<std::uint64_t>& words) {
  constexpr std::size_t kFew = 128, kDigits = 4, kValues = 256;
  const std::size_t n = words.size();
  if (n < kFew) {
    std::sort(words.begin(), words.end());
    return;
  }
  const auto digit = [](std::uint64_t word, std::size_t d) { return (word >> (32 + 8 * d)) & 255; };
  std::array<std::array<std::uint32_t, kValues>, kDigits> counts{};
  for (const std::uint64_t word : words) {
    for (std::size_t d = 0; d < kDigits; ++d) {
      ++counts[d][digit(word, d)];
    }
  }
  std::vector<std::uint64_t> sorted(n);
  for (std::size_t d = 0; d < kDigits; ++d) {
    std::array<std::uint32_t, kValues>& place = counts[d];
    if (place[digit(words[0], d)] == n) {
      continue;
    }
    std::uint32_t sum = 0;
    for (std::uint32_t& count : place) {
      const std::uint32_t here = count;
      count = sum;
      sum += here;
    }
    for (const std::uint64_t word : words) {
      sorted[place[digit(word, d)]++] = word;
    }
    words.swap(sorted);
  }
}

}  // namespace nasturtium
