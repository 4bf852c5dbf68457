#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nasturtium/bandit.hpp"
#include "nasturtium/key_map.hpp"
#include "nasturtium/mcts.hpp"
#include "nasturtium/population.hpp"
#include "nasturtium/rungs.hpp"
#include "nasturtium/state.hpp"

namespace nasturtium {

// States (state.hpp) of what keeps the books of a search. A loaded value does whatever the saved
// one would have done. `load_state` changes nothing where it fails, and refuses what no sequence of
// calls could have led to as far as the later calls rely on it.
//
// Payloads (numbers are uint64 where nothing else is said, lists begin with their length):
//   ageing_queue    capacity; list of the individuals, oldest first
//   pareto_archive  objectives; list of ids; the objectives of each, float64
//   rungs           width, uint32; list of etas, uint32; for each rung: entries told; list of
//                   entries, the best first: number, risen uint32, rank float64[width]
//   stopping_rungs  list of etas, uint32; for each: values told; list of the values, float64
//   halving         list of sizes; rung; done uint32; given; list of entries on the rung; a byte
//                   for each number (0 idle, 1 out, 2 told); float64 for each entry that is told;
//                   any uint32; best; its value float64
//   hyperband       resource; eta; the payload of a halving for each bracket
//   tree            list of branching, uint32; rule: puct uint32, c, first_play, pending, factor
//                   and exponent of the widening float64, most slots; seed; stream uint32; number
//                   of simulations; list of the leaves' classes, uint32; slots in breadth-first
//                   order, the children of one together, those of a shared position once: sum
//                   float64, visits uint32, whether it has children uint32, prior float64 where the
//                   rule has them; list of what is pending, by ticket: ticket, list of options
//                   (bytes)
//   key_map         list of keys, two each
//   steady_state    capacity; births; list of members, oldest first: number of the birth,
//                   individual, score float64
//   generational    size; elites; generation; two lists of members, of the present and the next
//                   generation: individual, score float64
//   species         width; radius; list of founders, one byte a decision
//   bandit          list of arms: pulls, known rewards, their sum float64, logarithm of exp3's
//                   weight float64; formula uint32, c, gamma float64; seed; stream uint32; choices
Status save_state(const AgeingQueue& queue, std::vector<std::uint8_t>& out);
Status save_state(const ParetoArchive& archive, std::vector<std::uint8_t>& out);
Status save_state(const Rungs& rungs, std::vector<std::uint8_t>& out);
Status save_state(const StoppingRungs& rungs, std::vector<std::uint8_t>& out);
Status save_state(const Halving& halving, std::vector<std::uint8_t>& out);
Status save_state(const Hyperband& hyperband, std::vector<std::uint8_t>& out);
Status save_state(const Tree& tree, std::vector<std::uint8_t>& out);
Status save_state(const KeyMap& map, std::vector<std::uint8_t>& out);
Status save_state(const SteadyState& population, std::vector<std::uint8_t>& out);
Status save_state(const Generational& population, std::vector<std::uint8_t>& out);
Status save_state(const Species& species, std::vector<std::uint8_t>& out);
Status save_state(const Bandit& bandit, std::vector<std::uint8_t>& out);

Status load_state(std::span<const std::uint8_t> state, AgeingQueue& queue);
Status load_state(std::span<const std::uint8_t> state, ParetoArchive& archive);
Status load_state(std::span<const std::uint8_t> state, Rungs& rungs);
Status load_state(std::span<const std::uint8_t> state, StoppingRungs& rungs);
Status load_state(std::span<const std::uint8_t> state, Halving& halving);
Status load_state(std::span<const std::uint8_t> state, Hyperband& hyperband);
Status load_state(std::span<const std::uint8_t> state, Tree& tree);
Status load_state(std::span<const std::uint8_t> state, SteadyState& population);
Status load_state(std::span<const std::uint8_t> state, Generational& population);
Status load_state(std::span<const std::uint8_t> state, Species& species);
Status load_state(std::span<const std::uint8_t> state, Bandit& bandit);
// The map must be empty.
Status load_state(std::span<const std::uint8_t> state, KeyMap& map);

}  // namespace nasturtium
