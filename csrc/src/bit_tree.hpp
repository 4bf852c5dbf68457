#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nasturtium {

// A set of numbers below a bound as bits, with a bit above each 64 that says whether one is set:
// every operation takes as many steps as the bound has digits in base 64.
class BitTree {
 public:
  explicit BitTree(std::size_t bound) {
    std::size_t words = 0;
    do {
      bound = (bound + 63) / 64;
      start_[levels_++] = words;
      words += bound;
    } while (bound > 1);
    words_.assign(words, 0);
  }

  void insert(std::size_t i) {
    for (std::size_t level = 0; level < levels_; ++level, i /= 64) {
      words_[start_[level] + i / 64] |= std::uint64_t{1} << (i % 64);
    }
  }

  void erase(std::size_t i) {
    for (std::size_t level = 0; level < levels_; ++level, i /= 64) {
      std::uint64_t& word = words_[start_[level] + i / 64];
      word &= ~(std::uint64_t{1} << (i % 64));
      if (word != 0) {
        return;
      }
    }
  }

  // The largest member below i, 0 where there is none.
  std::size_t before(std::size_t i) const {
    for (std::size_t level = 0; level < levels_; ++level, i /= 64) {
      const std::uint64_t below =
          words_[start_[level] + i / 64] & ((std::uint64_t{1} << (i % 64)) - 1);
      if (below == 0) {
        continue;
      }
      i = i / 64 * 64 + highest(below);
      while (level-- > 0) {
        i = i * 64 + highest(words_[start_[level] + i]);
      }
      return i;
    }
    return 0;
  }

 private:
  static std::size_t highest(std::uint64_t word) {
    return static_cast<std::size_t>(std::bit_width(word)) - 1;
  }

  // A bound of 2^32 has six digits.
  std::array<std::size_t, 7> start_{};
  std::size_t levels_ = 0;
  std::vector<std::uint64_t> words_;
};

}  // namespace nasturtium
