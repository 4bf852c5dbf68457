// Damages inputs of parsers and decoders in the ways in which files get damaged and are forged.
// What becomes of an input is a function of the random numbers given.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "nasturtium/keys.hpp"
#include "nasturtium/rng.hpp"
#include "nasturtium/state.hpp"

namespace mutator {

using Random = nasturtium::RowRandom;

constexpr std::size_t kMaxGrowth = std::size_t{1} << 18;

inline std::size_t below(Random& random, std::size_t m) {
  return random.below(static_cast<std::uint32_t>(m));
}

inline std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline void put_little(std::string& data, std::size_t at, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size && at + i < data.size(); ++i) {
    data[at + i] = static_cast<char>(value >> (8 * i));
  }
}

// Numbers at which sizes and counts go wrong.
inline std::uint64_t extreme(Random& random, std::size_t size) {
  const std::uint64_t n = size;
  const std::array<std::uint64_t, 16> values = {
      0,     1,          2,           255,        256,        65535, n,          n - 1,
      n + 1, 1ull << 31, 0xFFFFFFFFu, 1ull << 32, 1ull << 63, ~0ull, ~0ull / 24, ~0ull - 39};
  return values[below(random, values.size())];
}

inline std::string word(Random& random) {
  const std::array<const char*, 24> words = {" when ",     "\"none\"", " 99999999999999999999 ",
                                             "$",          "\nend\n",  "-",
                                             "\n",         "decision", " -0 ",
                                             "1e999",      "true",     "\"",
                                             "connected",  "forbid ",  "at_most 4294967296 ",
                                             "at_least 0", "edge ",    "node ",
                                             "space ",     "zero ",    "identity ",
                                             "concat ",    " $ ",      "\xff\xfe"};
  return words[below(random, words.size())];
}

// The bounds of the line around a place.
inline std::pair<std::size_t, std::size_t> line_at(const std::string& data, std::size_t at) {
  const std::size_t before = at == 0 ? std::string::npos : data.rfind('\n', at - 1);
  const std::size_t end = data.find('\n', at);
  return {before == std::string::npos ? 0 : before + 1,
          end == std::string::npos ? data.size() : end + 1};
}

// Changes of lines, words and numbers.
inline void change_text(std::string& data, Random& random, std::size_t at) {
  const auto [begin, end] = line_at(data, at);
  const std::string line = data.substr(begin, end - begin);
  switch (random.below(6)) {
    case 0:
      data.insert(at, word(random));
      break;
    case 1:  // a line once more, somewhere
      data.insert(line_at(data, below(random, data.size())).first, line);
      break;
    case 2:
      data.erase(begin, end - begin);
      break;
    case 3:  // a line, or a piece of it, many times
      for (std::uint32_t i = random.below(200), half = random.below(2); i > 0; --i) {
        if (data.size() < kMaxGrowth) {
          data.insert(begin, half ? line.substr(0, line.size() / 2) : line);
        }
      }
      break;
    case 4: {  // another number
      const std::size_t digit = data.find_first_of("0123456789", at);
      if (digit != std::string::npos) {
        const std::size_t past = data.find_first_not_of("0123456789", digit);
        data.replace(digit, (past == std::string::npos ? data.size() : past) - digit,
                     std::to_string(extreme(random, data.size())));
      }
      break;
    }
    default: {  // two words change places
      const std::size_t space = data.find(' ', at);
      const std::size_t next = space == std::string::npos ? space : data.find(' ', space + 1);
      if (next != std::string::npos) {
        data.insert(at, data.substr(space, next - space));
      }
    }
  }
}

inline void change(std::string& data, const std::string& other, Random& random) {
  if (data.empty()) {
    data = word(random);
  }
  const std::size_t at = below(random, data.size());
  const std::size_t span = 1 + below(random, random.below(8) ? 16 : 256);
  switch (random.below(10)) {
    case 0:
      data[at] = static_cast<char>(data[at] ^ (1 << random.below(8)));
      break;
    case 1:
      data[at] = static_cast<char>(random.below(256));
      break;
    case 2:
      data.resize(at);
      break;
    case 3:
      data.erase(at, span);
      break;
    case 4:
      data.insert(below(random, data.size()), data.substr(at, span));
      break;
    case 5:  // the head of one, the tail of another
      data.resize(at);
      data += other.substr(below(random, other.size() + 1));
      break;
    case 6:
      put_little(data, at, extreme(random, data.size()), random.below(2) ? 8 : 4);
      break;
    case 7:  // where states keep their numbers
      put_little(data, 8 * below(random, 6), extreme(random, data.size()), 8);
      break;
    default:
      change_text(data, random, at);
  }
}

// Length and checksum as a forger would set them, so that the payload is read.
inline void reseal(std::string& state) {
  if (state.size() < nasturtium::kStateOverhead) {
    return;
  }
  const std::size_t end = state.size() - 16;
  put_little(state, 16, end - nasturtium::kStateHeader, 8);
  std::uint64_t sum[2];
  nasturtium::murmur128(bytes_of(std::string_view(state).substr(0, end)), 0, sum);
  put_little(state, end, sum[0], 8);
  put_little(state, end + 8, sum[1], 8);
}

}  // namespace mutator
