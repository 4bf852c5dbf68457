#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace nasturtium {

// Philox-4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011. A pure function of counter and key.
using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

constexpr PhiloxCounter philox(PhiloxCounter c, PhiloxKey k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(p0)};
    k = {k[0] + 0x9E3779B9u, k[1] + 0xBB67AE85u};
  }
  return c;
}

// What a draw is for. Equal (seed, stream, row) under different purposes are independent.
enum class Purpose : std::uint32_t { stream = 0, sample = 1, mutate = 2, crossover = 3 };

struct RandomKey {
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;
};

constexpr PhiloxKey split(std::uint64_t seed) {
  return {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
}

// Words 2 block and 2 block + 1 of each of kPhiloxLanes rows from `row` on, as RowRandom::word
// gives them, row by row; then those of the next of several blocks.
constexpr std::size_t kPhiloxLanes = 8;
void row_words(RandomKey key, std::uint64_t row, Purpose purpose, std::uint64_t* out,
               std::uint32_t block = 0, std::uint32_t blocks = 1);

// The next `count` digits in radix m of kPhiloxLanes fractions of 2^64, digit by digit, as
// RowRandom::digit gives them one after the other.
void lane_digits(std::uint64_t* fractions, std::uint32_t m, std::size_t count, std::uint32_t* out);

// Fills `out` with the words of blocks counter, counter + 1, ... (two words a block, the low half
// first) of Purpose::stream.
void random_words(std::span<std::uint64_t> out, RandomKey key, std::uint64_t counter);

__extension__ typedef unsigned __int128 Wide;

// The draws of one row: a function of (seed, stream, row, purpose).
class RowRandom {
 public:
  RowRandom(RandomKey key, std::uint64_t row, Purpose purpose)
      : key_(split(key.seed)),
        counter_{static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(row >> 32),
                 static_cast<std::uint32_t>(purpose) << 24, key.stream} {}

  // With the row's first block at hand.
  RowRandom(RandomKey key, std::uint64_t row, Purpose purpose, const std::uint64_t* first)
      : RowRandom(key, row, purpose) {
    words_ = {first[0], first[1]};
    left_ = 2;
    ++counter_[2];
  }

  static constexpr int kRoom = 32;  // bits of a word that are used

  // Bits that a draw below m uses up.
  static int cost(std::uint32_t m) { return std::bit_width(m - 1); }

  // The next digit of a fraction of 2^64 in radix m; the fraction keeps what is behind it.
  static std::uint32_t digit(std::uint64_t& fraction, std::uint32_t m) {
    const Wide product = static_cast<Wide>(fraction) * m;
    fraction = static_cast<std::uint64_t>(product);
    return static_cast<std::uint32_t>(product >> 64);
  }

  // Uniform below m, m >= 1. Draws share one word of 64 bits as the digits of a mixed-radix
  // fraction until 32 bits are used up, which keeps the bias of each below 2^-32.
  std::uint32_t below(std::uint32_t m) {
    if (cost(m) > room_) {
      fraction_ = word();
      room_ = kRoom;
    }
    room_ -= cost(m);
    return digit(fraction_, m);
  }

  // The row's next word of 64 bits.
  std::uint64_t word() {
    if (left_ == 0) {
      const PhiloxCounter v = philox(counter_, key_);
      ++counter_[2];
      words_ = {v[0] | std::uint64_t{v[1]} << 32, v[2] | std::uint64_t{v[3]} << 32};
      left_ = 2;
    }
    return words_[2 - left_--];
  }

 private:
  PhiloxKey key_;
  PhiloxCounter counter_;
  std::uint64_t fraction_ = 0;
  std::array<std::uint64_t, 2> words_{};
  std::size_t left_ = 0;
  int room_ = 0;
};

// The RowRandom of consecutive rows, whose first blocks are computed together.
class RowSource {
 public:
  RowSource(RandomKey key, Purpose purpose) : key_(key), purpose_(purpose) {}

  RowRandom at(std::uint64_t row) { return RowRandom(key_, row, purpose_, words(row)); }

  // The first two words of a row.
  const std::uint64_t* words(std::uint64_t row) {
    if (!filled_ || row - base_ >= kPhiloxLanes) {
      row_words(key_, row, purpose_, words_.data());
      base_ = row;
      filled_ = true;
    }
    return words_.data() + 2 * (row - base_);
  }

 private:
  RandomKey key_;
  Purpose purpose_;
  std::uint64_t base_ = 0;
  bool filled_ = false;
  std::array<std::uint64_t, 2 * kPhiloxLanes> words_;
};

}  // namespace nasturtium
