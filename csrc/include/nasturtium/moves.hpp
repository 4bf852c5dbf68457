#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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

// What `mutate` changes in a code of a space without conditions whose decisions all have a choice:
// a decision, to the `other`-th of its options but the present one.
struct Change {
  std::size_t decision;
  std::uint32_t other;

  std::uint32_t option(std::uint32_t present) const { return other + (other >= present); }
};
// below(m) draws below m.
template <typename Below>
Change draw_change(const Space& space, Below below) {
  const std::size_t at = below(static_cast<std::uint32_t>(space.width()));
  return {at, below(space.counts[at] - 1)};
}

// Rows of `mutate` one at a time, for loops in which each follows from the ones before.
class RowMutation {
 public:
  explicit RowMutation(const Space& space);
  ~RowMutation();
  RowMutation(RowMutation&&) noexcept;

  Status operator()(RowRandom random, const std::uint8_t* code, std::uint8_t* out);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Each decision from either parent by a fair coin, or drawn where it is active in neither.
Status crossover(const Space& space, const Draws& draws, std::uint64_t n, const std::uint8_t* a,
                 const std::uint8_t* b, std::uint8_t* out);

// The valid codes that differ in one active decision, appended to `out`; decisions that become
// active take their first option.
Status neighbors(const Space& space, const std::uint8_t* code, std::vector<std::uint8_t>& out);

// All valid codes in lexicographic order, appended to `out`; at most `limit` well-formed codes are
// looked at.
Status enumerate(const Space& space, std::uint64_t limit, std::vector<std::uint8_t>& out);

// Some of them: those that are not before `from` and before `to` (rows of digits, which need be no
// codes; null: from the first, to the last), at most about `most`, appended to `out`. `next` takes
// where to go on, and is empty where nothing is left. Ranges that meet share nothing.
Status enumerate_range(const Space& space, const std::uint8_t* from, const std::uint8_t* to,
                       std::uint64_t most, std::vector<std::uint8_t>& out,
                       std::vector<std::uint8_t>& next);

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
