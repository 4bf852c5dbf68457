#pragma once

#include <cstdint>

#include "nasturtium/space.hpp"

// Codes of small spaces as one number each: the digits are the decisions, the first the most
// significant, the radix of a digit is its number of options. Numbers are ordered as codes are.
// Spaces whose option counts multiply to 2^64 or more are refused with Code::limit.
namespace nasturtium {

// One more than the greatest number.
Status packed_range(const Space& space, std::uint64_t& out);

Status pack(const Space& space, std::uint64_t n, const std::uint8_t* codes, std::uint64_t* out,
            unsigned threads);

// Numbers that stand for no code are refused: those out of range, and those where an inactive
// decision does not hold 0. Constraints are not looked at.
Status unpack(const Space& space, std::uint64_t n, const std::uint64_t* packed, std::uint8_t* out,
              unsigned threads);

}  // namespace nasturtium
