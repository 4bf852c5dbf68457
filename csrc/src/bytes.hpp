#pragma once

#include <cstddef>
#include <cstdint>

namespace nasturtium {

// Little-endian on every machine; compilers make one load or store of the full sizes.
template <typename Word>
constexpr Word load_word(const std::uint8_t* from) {
  Word word = 0;
  for (std::size_t i = 0; i < sizeof(Word); ++i) {
    word |= static_cast<Word>(Word{from[i]} << (8 * i));
  }
  return word;
}

template <typename Word>
constexpr void store_word(Word word, std::uint8_t* to) {
  for (std::size_t i = 0; i < sizeof(Word); ++i) {
    to[i] = static_cast<std::uint8_t>(word >> (8 * i));
  }
}

}  // namespace nasturtium
