#pragma once

#include "nasturtium/book_state.hpp"

namespace nasturtium {

// Reads and writes the payloads of book_state.hpp. A function that reads returns nothing: what is
// wrong is noted in the reader.
struct StateAccess {
  static void write(const AgeingQueue& queue, StateWriter& to);
  static void write(const ParetoArchive& archive, StateWriter& to);
  static void write(const Rungs& rungs, StateWriter& to);
  static void write(const StoppingRungs& rungs, StateWriter& to);
  static void write(const Halving& halving, StateWriter& to);
  static void write(const Hyperband& hyperband, StateWriter& to);
  static void write(const Tree& tree, StateWriter& to);
  static void write(const KeyMap& map, StateWriter& to);
  static void write(const SteadyState& population, StateWriter& to);
  static void write(const Generational& population, StateWriter& to);
  static void write(const Species& species, StateWriter& to);
  static void write(const Bandit& bandit, StateWriter& to);

  static void read(StateReader& from, AgeingQueue& queue);
  static void read(StateReader& from, ParetoArchive& archive);
  static void read(StateReader& from, Rungs& rungs);
  static void read(StateReader& from, StoppingRungs& rungs);
  static void read(StateReader& from, Halving& halving);
  static void read(StateReader& from, Hyperband& hyperband);
  static void read(StateReader& from, Tree& tree);
  static void read(StateReader& from, KeyMap& map);
  static void read(StateReader& from, SteadyState& population);
  static void read(StateReader& from, Generational& population);
  static void read(StateReader& from, Species& species);
  static void read(StateReader& from, Bandit& bandit);

 private:
  static void read_rung(StateReader& from, std::size_t width, Rungs::Rung& rung);
  static void read_rule(StateReader& from, Tree& tree);
  static void read_slots(StateReader& from, Tree& tree);
  static void read_pending(StateReader& from, Tree& tree);
};

}  // namespace nasturtium
