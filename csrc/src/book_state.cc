#include "nasturtium/book_state.hpp"

#include <limits>
#include <utility>

#include "state_access.hpp"

namespace nasturtium {
namespace {

template <typename Value>
Status saved(const Value& value, StateKind kind, std::vector<std::uint8_t>& out) {
  StateWriter writer(kind, out);
  StateAccess::write(value, writer);
  writer.finish();
  return {};
}

template <typename Value>
Status loaded(std::span<const std::uint8_t> state, StateKind kind, Value fresh, Value& value) {
  StateReader reader;
  if (Status s = reader.open(state, kind); !s.ok()) {
    return s;
  }
  StateAccess::read(reader, fresh);
  if (Status s = reader.finish(); !s.ok()) {
    return s;
  }
  value = std::move(fresh);
  return {};
}

}  // namespace

void StateAccess::write(const AgeingQueue& queue, StateWriter& to) {
  to.u64(queue.capacity());
  to.u64(queue.size());
  for (std::uint64_t i = 0; i < queue.size(); ++i) {
    to.u64(queue[i]);
  }
}

void StateAccess::read(StateReader& from, AgeingQueue& queue) {
  const std::uint64_t capacity = from.u64(), n = from.count(8);
  if (from.ok() && (capacity == 0 || n > capacity)) {
    return from.fail("the queue holds more than its capacity");
  }
  queue = AgeingQueue(capacity);
  for (std::uint64_t i = 0, died = 0; i < n; ++i) {
    queue.born(from.u64(), died);
  }
}

void StateAccess::write(const ParetoArchive& archive, StateWriter& to) {
  to.u64(archive.objectives());
  write_list(archive.ids(), to);
  for (const double value : archive.points()) {
    to.f64(value);
  }
}

void StateAccess::read(StateReader& from, ParetoArchive& archive) {
  const std::uint64_t m = from.u64(), n = from.count(8);
  if (from.ok() && (m == 0 || m > std::numeric_limits<std::uint32_t>::max())) {
    return from.fail("the number of objectives is out of range");
  }
  archive = ParetoArchive(static_cast<std::size_t>(m));
  std::vector<std::uint64_t> ids(n);
  for (std::uint64_t& id : ids) {
    id = from.u64();
  }
  if (from.ok() && n > from.left() / 8 / m) {
    return from.fail("the payload ends too early");
  }
  std::vector<double> points(n * m);
  for (double& value : points) {
    value = from.f64();
  }
  if (!from.ok()) {
    return;
  }
  std::vector<std::uint8_t> kept(n);
  const bool good = archive.add(n, points.data(), ids.data(), kept.data()).ok();
  // Offered one after the other they all join, none leaves, and they stand where they stood.
  if (!good || archive.ids() != ids || archive.points() != points) {
    from.fail("a member of the archive dominates another, or they are out of order");
  }
}

void StateAccess::write(const KeyMap& map, StateWriter& to) {
  to.u64(map.size());
  for (std::uint64_t i = 0; i < 2 * map.size(); ++i) {
    to.u64(map.keys()[i]);
  }
}

void StateAccess::read(StateReader& from, KeyMap& map) {
  const std::uint64_t n = from.count(16);
  std::vector<std::uint64_t> keys(2 * n), numbers(n);
  for (std::uint64_t& word : keys) {
    word = from.u64();
  }
  std::vector<std::uint8_t> fresh(n);
  if (from.ok() && !map.insert(n, keys.data(), numbers.data(), fresh.data()).ok()) {
    return from.fail("no memory for the keys");
  }
  if (from.ok() && map.size() != n) {
    from.fail("a key comes twice");
  }
}

Status save_state(const AgeingQueue& queue, std::vector<std::uint8_t>& out) {
  return saved(queue, StateKind::ageing_queue, out);
}
Status save_state(const ParetoArchive& archive, std::vector<std::uint8_t>& out) {
  return saved(archive, StateKind::pareto_archive, out);
}
Status save_state(const Rungs& rungs, std::vector<std::uint8_t>& out) {
  return saved(rungs, StateKind::rungs, out);
}
Status save_state(const StoppingRungs& rungs, std::vector<std::uint8_t>& out) {
  return saved(rungs, StateKind::stopping_rungs, out);
}
Status save_state(const Halving& halving, std::vector<std::uint8_t>& out) {
  return saved(halving, StateKind::halving, out);
}
Status save_state(const Hyperband& hyperband, std::vector<std::uint8_t>& out) {
  return saved(hyperband, StateKind::hyperband, out);
}
Status save_state(const Tree& tree, std::vector<std::uint8_t>& out) {
  return saved(tree, StateKind::tree, out);
}
Status save_state(const KeyMap& map, std::vector<std::uint8_t>& out) {
  return saved(map, StateKind::key_map, out);
}

Status save_state(const SteadyState& population, std::vector<std::uint8_t>& out) {
  return saved(population, StateKind::steady_state, out);
}
Status save_state(const Generational& population, std::vector<std::uint8_t>& out) {
  return saved(population, StateKind::generational, out);
}
Status save_state(const Species& species, std::vector<std::uint8_t>& out) {
  return saved(species, StateKind::species, out);
}
Status save_state(const Bandit& bandit, std::vector<std::uint8_t>& out) {
  return saved(bandit, StateKind::bandit, out);
}

Status load_state(std::span<const std::uint8_t> state, AgeingQueue& queue) {
  return loaded(state, StateKind::ageing_queue, AgeingQueue(1), queue);
}
Status load_state(std::span<const std::uint8_t> state, ParetoArchive& archive) {
  return loaded(state, StateKind::pareto_archive, ParetoArchive(1), archive);
}
Status load_state(std::span<const std::uint8_t> state, Rungs& rungs) {
  return loaded(state, StateKind::rungs, Rungs(), rungs);
}
Status load_state(std::span<const std::uint8_t> state, StoppingRungs& rungs) {
  return loaded(state, StateKind::stopping_rungs, StoppingRungs(), rungs);
}
Status load_state(std::span<const std::uint8_t> state, Halving& halving) {
  return loaded(state, StateKind::halving, Halving(), halving);
}
Status load_state(std::span<const std::uint8_t> state, Hyperband& hyperband) {
  return loaded(state, StateKind::hyperband, Hyperband(), hyperband);
}
Status load_state(std::span<const std::uint8_t> state, Tree& tree) {
  return loaded(state, StateKind::tree, Tree(), tree);
}
Status load_state(std::span<const std::uint8_t> state, SteadyState& population) {
  return loaded(state, StateKind::steady_state, SteadyState(1), population);
}
Status load_state(std::span<const std::uint8_t> state, Generational& population) {
  return loaded(state, StateKind::generational, Generational(1, 0), population);
}
Status load_state(std::span<const std::uint8_t> state, Species& species) {
  return loaded(state, StateKind::species, Species(1, 0), species);
}
Status load_state(std::span<const std::uint8_t> state, Bandit& bandit) {
  return loaded(state, StateKind::bandit, Bandit(), bandit);
}
Status load_state(std::span<const std::uint8_t> state, KeyMap& map) {
  StateReader reader;
  if (Status s = reader.open(state, StateKind::key_map); !s.ok()) {
    return s;
  }
  StateAccess::read(reader, map);
  return reader.finish();
}

}  // namespace nasturtium
