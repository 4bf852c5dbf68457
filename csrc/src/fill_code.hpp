#pragma once

#include <cstddef>
#include <cstdint>

#include "nasturtium/rng.hpp"
#include "nasturtium/space.hpp"

namespace nasturtium {

// Fills `code` decision by decision, in their order, with value(i) where the decision is active.
template <typename F>
void fill_code(const Space& space, std::uint8_t* code, std::uint8_t* active, F value) {
  for (std::size_t i = 0; i < space.width(); ++i) {
    active[i] = !space.is_guarded[i] || holds(space.decisions[i].when, code, active);
    code[i] = active[i] ? value(i) : std::uint8_t{0};
  }
}

inline std::uint8_t draw_option(const Space& space, std::size_t i, RowRandom& random) {
  return static_cast<std::uint8_t>(random.below(space.counts[i]));
}

}  // namespace nasturtium
