#pragma once

#include <cstdint>

#include "nasturtium/space.hpp"

// Distances between all rows of `a` and all rows of `b`; `b` may be `a`. Results are na x nb.
namespace nasturtium {

// How many decisions differ: active in one code only, or in both with different options.
Status hamming(const Space& space, std::uint64_t na, const std::uint8_t* a, std::uint64_t nb,
               const std::uint8_t* b, std::uint16_t* out, unsigned threads);

// The sum over columns of the absolute differences, added up in their order.
Status manhattan(std::uint64_t columns, std::uint64_t na, const double* a, std::uint64_t nb,
                 const double* b, double* out, unsigned threads);

}  // namespace nasturtium
