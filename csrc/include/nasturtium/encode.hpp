#pragma once

#include <cstdint>

#include "nasturtium/space.hpp"

namespace nasturtium {

// One 0/1 column per option; an inactive decision is all 0. `out` is n x sum of the option counts.
Status one_hot(const Space& space, std::uint64_t n, const std::uint8_t* codes, float* out,
               unsigned threads);

// The option numbers, -1 where inactive; `out` is n x width.
Status categorical(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                   std::int16_t* out, unsigned threads);

}  // namespace nasturtium
