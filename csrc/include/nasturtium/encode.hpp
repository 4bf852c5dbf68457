#pragma once

#include <cstdint>

#include "nasturtium/space.hpp"

// The decisions of a code as columns. Results may not overlap the codes.
namespace nasturtium {

// The columns of one_hot: the options of all decisions.
std::size_t one_hot_width(const Space& space);

// One 0/1 column per option; an inactive decision is all 0. `out` is n x one_hot_width.
Status one_hot(const Space& space, std::uint64_t n, const std::uint8_t* codes, float* out,
               unsigned threads);
Status one_hot(const Space& space, std::uint64_t n, const std::uint8_t* codes, std::uint8_t* out,
               unsigned threads);

// The same columns as bits, (one_hot_width + 63) / 64 words a row: column c is bit c % 64 of word
// c / 64.
Status one_hot_bits(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                    std::uint64_t* out, unsigned threads);

// The option numbers, -1 where inactive; `out` is n x width.
Status categorical(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                   std::int16_t* out, unsigned threads);

// Two columns a decision: 1 where it is active, and its option's number scaled to 0 ... 1, or
// `fill` where it is inactive. `out` is n x 2 width.
Status conditional_tree(const Space& space, std::uint64_t n, const std::uint8_t* codes, float fill,
                        float* out, unsigned threads);

// The codes of scores, one for each column of one_hot: in their order, every decision that is
// active takes the option with the greatest score, of equal ones the first. Constraints are not
// looked at. Scores that are no numbers are refused with Code::row.
Status decode_scores(const Space& space, std::uint64_t n, const float* scores, std::uint8_t* out,
                     unsigned threads);

}  // namespace nasturtium
