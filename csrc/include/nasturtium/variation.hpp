#pragma once

#include <cstdint>
#include <vector>

#include "nasturtium/moves.hpp"
#include "nasturtium/space.hpp"

// Further moves on batches of codes. As in moves.hpp, row i is a function of (key, start + i) and
// of what its parents and its rate are.
namespace nasturtium {

// Each active decision with a choice changes to another option, all alike, with the probability of
// its row; what becomes active is drawn. Drawn again while the constraints refuse it; after 100
// draws the row stays as it is. Rates are from 0 to 1.
Status mutate_at_rate(const Space& space, const Draws& draws, std::uint64_t n,
                      const std::uint8_t* codes, const double* rates, std::uint8_t* out);

enum class Crossing : std::uint8_t {
  one_point,  // the decisions up to a uniform place from `a`, the others from `b`
  stages,     // each group of decisions as a whole from either parent by a fair coin
  aligned,    // `a`, each of whose units is replaced, by a fair coin, by the unit of `b` that is as
              // far along among those of its type
};

// Groups of decisions, no decision in two. For stages, a decision in no group is one of its own.
// For aligned crossover, a group is a unit: its first decision is its type, and it is there where
// that is active; all units have decisions with the same options, in the same order.
struct CrossoverRule {
  Crossing kind = Crossing::one_point;
  std::vector<std::vector<std::uint32_t>> groups;
};

// What is not active where it should come from is taken from `a`, then from `b`, each at the same
// decision, and else drawn. Drawn again while the constraints refuse it; after 100 draws the child
// is `a`. Code::limit for groups that break the rules.
Status crossover_by(const Space& space, const CrossoverRule& rule, const Draws& draws,
                    std::uint64_t n, const std::uint8_t* a, const std::uint8_t* b,
                    std::uint8_t* out);

}  // namespace nasturtium
