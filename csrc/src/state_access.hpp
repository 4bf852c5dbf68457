#pragma once

#include <type_traits>

#include "nasturtium/book_state.hpp"

namespace nasturtium {

// A list: its length, then its numbers.
template <typename T>
void write_list(const std::vector<T>& values, StateWriter& to) {
  to.u64(values.size());
  for (const T value : values) {
    if constexpr (std::is_same_v<T, double>) {
      to.f64(value);
    } else if constexpr (std::is_same_v<T, std::uint32_t>) {
      to.u32(value);
    } else {
      to.u64(value);
    }
  }
}

template <typename T>
std::vector<T> read_list(StateReader& from) {
  std::vector<T> values(from.count(sizeof(T)));
  for (T& value : values) {
    if constexpr (std::is_same_v<T, double>) {
      value = from.f64();
    } else if constexpr (std::is_same_v<T, std::uint32_t>) {
      value = from.u32();
    } else {
      value = from.u64();
    }
  }
  return values;
}

inline bool read_flag(StateReader& from) {
  const std::uint32_t value = from.u32();
  if (value > 1) {
    from.fail("a flag is neither 0 nor 1");
  }
  return value == 1;
}

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
  static std::size_t read_entries(StateReader& from, std::span<const std::uint64_t> entries,
                                  Halving& halving);
  static void read_rule(StateReader& from, Tree& tree);
  static void read_slots(StateReader& from, Tree& tree);
  static void read_pending(StateReader& from, Tree& tree);
};

}  // namespace nasturtium
