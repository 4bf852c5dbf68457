#include <algorithm>
#include <cmath>
#include <utility>

#include "state_access.hpp"

namespace nasturtium {

void StateAccess::write(const Halving& halving, StateWriter& to) {
  write_list(halving.sizes_, to);
  to.u64(halving.rung_);
  to.u32(halving.done_);
  to.u64(halving.given_);
  write_list(halving.entries_, to);
  for (const Halving::State state : halving.states_) {
    const auto byte = static_cast<std::uint8_t>(state);
    to.bytes({&byte, 1});
  }
  for (std::size_t i = 0; i < halving.given_; ++i) {
    if (halving.states_[halving.entries_[i]] == Halving::State::told) {
      to.f64(halving.values_[halving.entries_[i]]);
    }
  }
  to.u32(halving.any_);
  to.u64(halving.best_);
  to.f64(halving.best_value_);
}

// The values of the entries on the present rung; returns how many of them are out.
std::size_t StateAccess::read_entries(StateReader& from, std::span<const std::uint64_t> entries,
                                      Halving& halving) {
  std::vector<std::uint8_t> seen(halving.sizes_[0], 0);
  std::size_t out = 0;
  for (std::size_t i = 0; i < entries.size() && from.ok(); ++i) {
    const std::uint64_t entry = entries[i];
    if (entry >= seen.size() || seen[entry] || (halving.rung_ == 0 && entry != i)) {
      from.fail("an entry is out of range or comes twice");
      break;
    }
    seen[entry] = 1;
    const Halving::State state = halving.states_[entry];
    if (i >= halving.given_) {
      if (state != (halving.rung_ == 0 ? Halving::State::idle : Halving::State::told)) {
        from.fail("the state of an entry does not fit its place");
      }
    } else if (state == Halving::State::told) {
      halving.values_[entry] = from.f64();
      ++halving.told_;
    } else if (state == Halving::State::out) {
      ++out;
    } else {
      from.fail("the state of an entry does not fit its place");
    }
  }
  return out;
}

void StateAccess::read(StateReader& from, Halving& halving) {
  const auto sizes = read_list<std::uint64_t>(from);
  // The bytes at hand cover a byte for each number.
  if (!from.ok() || sizes.empty() || sizes[0] > from.left() || !halving.open(sizes).ok()) {
    return from.fail("the sizes of the rungs are out of range");
  }
  halving.rung_ = from.u64();
  halving.done_ = read_flag(from);
  halving.given_ = from.u64();
  auto entries = read_list<std::uint64_t>(from);
  const std::span<const std::uint8_t> states = from.bytes(sizes[0]);
  if (!from.ok()) {
    return;
  }
  const bool last = halving.rung_ == sizes.size() || entries.empty();
  if (halving.rung_ > sizes.size() || halving.done_ != last || halving.given_ > entries.size() ||
      entries.size() > sizes[std::min(halving.rung_, sizes.size() - 1)] ||
      (halving.done_ && halving.given_ != 0) ||
      (halving.rung_ == 0 && entries.size() != sizes[0])) {
    return from.fail("the present rung is out of range");
  }
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (states[i] > 2) {
      return from.fail("the state of an entry is none");
    }
    halving.states_[i] = static_cast<Halving::State>(states[i]);
  }
  const std::size_t out = read_entries(from, entries, halving);
  if (!from.ok()) {
    return;
  }
  const auto all_out = static_cast<std::size_t>(
      std::count(halving.states_.begin(), halving.states_.end(), Halving::State::out));
  const bool full = !halving.done_ && halving.told_ == entries.size();
  halving.any_ = read_flag(from);
  halving.best_ = from.u64();
  halving.best_value_ = from.f64();
  if (from.ok() && (all_out != out || full || halving.best_ >= sizes[0] ||
                    std::isnan(halving.best_value_) || (halving.rung_ == 0 && halving.any_))) {
    return from.fail("the entries of the present rung do not fit each other");
  }
  halving.entries_ = std::move(entries);
}

void StateAccess::write(const Hyperband& hyperband, StateWriter& to) {
  to.u64(hyperband.resource_);
  to.u64(hyperband.eta_);
  for (const Halving& halving : hyperband.states_) {
    write(halving, to);
  }
}

void StateAccess::read(StateReader& from, Hyperband& hyperband) {
  const std::uint64_t resource = from.u64(), eta = from.u64();
  std::vector<Bracket> brackets;
  if (!from.ok() || !hyperband_brackets(resource, eta, brackets).ok()) {
    return from.fail("the resource or eta is out of range");
  }
  std::uint64_t entries = 0;
  for (const Bracket& bracket : brackets) {
    entries += bracket.sizes[0];
  }
  if (entries > from.left() || !hyperband.open(resource, eta).ok()) {
    return from.fail("the payload ends too early");
  }
  for (std::size_t b = 0; b < brackets.size() && from.ok(); ++b) {
    read(from, hyperband.states_[b]);
    if (from.ok() && hyperband.states_[b].sizes_ != brackets[b].sizes) {
      from.fail("a bracket has other sizes than Hyperband gives it");
    }
  }
}

}  // namespace nasturtium
