#pragma once

#include <cstdint>
#include <vector>

#include "nasturtium/rng.hpp"
#include "nasturtium/space.hpp"

namespace nasturtium {

// A batch of codes is n rows of space.width() bytes. Row i of the random operations is a function
// of (key, start + i) and of the parents' rows only.
struct Draws {
  RandomKey key;
  std::uint64_t start = 0;
  unsigned threads = 1;
};

// n valid codes; each active decision is uniform over its options, refused codes are redrawn.
Status sample(const Space& space, const Draws& draws, std::uint64_t n, std::uint8_t* out);

// Each row with one active decision changed: valid, and different from the row.
Status mutate(const Space& space, const Draws& draws, std::uint64_t n, const std::uint8_t* codes,
              std::uint8_t* out);

// Each decision from either parent by a fair coin, or drawn where it is active in neither.
Status crossover(const Space& space, const Draws& draws, std::uint64_t n, const std::uint8_t* a,
                 const std::uint8_t* b, std::uint8_t* out);

// The valid codes that differ in one active decision, appended to `out`; decisions that become
// active take their first option.
Status neighbors(const Space& space, const std::uint8_t* code, std::vector<std::uint8_t>& out);

// All valid codes in lexicographic order, appended to `out`; at most `limit` well-formed codes are
// looked at.
Status enumerate(const Space& space, std::uint64_t limit, std::vector<std::uint8_t>& out);

// One byte per row: 1 where it is a valid code.
Status valid_rows(const Space& space, std::uint64_t n, const std::uint8_t* codes, std::uint8_t* out,
                  unsigned threads);

// One byte per decision: 1 where it is active.
Status active_rows(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                   std::uint8_t* out, unsigned threads);

// Whether one code is valid, with the reason where it is not.
Status check(const Space& space, const std::uint8_t* code);

// The failure of a row that is not well-formed.
Status bad_row(const Space& space, std::uint64_t row, const std::uint8_t* code);

}  // namespace nasturtium
