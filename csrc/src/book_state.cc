#include "nasturtium/book_state.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
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

void read_etas(StateReader& from, std::vector<std::uint32_t>& etas) {
  etas.resize(from.count(20));  // behind each come two numbers at least
  for (std::uint32_t& eta : etas) {
    eta = from.u32();
    if (from.ok() && eta == 0) {
      from.fail("an eta is 0");
    }
  }
}

bool flag(StateReader& from) {
  const std::uint32_t value = from.u32();
  if (value > 1) {
    from.fail("a flag is neither 0 nor 1");
  }
  return value == 1;
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
  to.u64(archive.ids().size());
  for (const std::uint64_t id : archive.ids()) {
    to.u64(id);
  }
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

void StateAccess::write(const Rungs& rungs, StateWriter& to) {
  to.u32(static_cast<std::uint32_t>(rungs.width_));
  to.u64(rungs.etas_.size());
  for (const std::uint32_t eta : rungs.etas_) {
    to.u32(eta);
  }
  for (const Rungs::Rung& rung : rungs.rungs_) {
    to.u64(rung.count);
    to.u64(rung.entries.size());
    for (const Rungs::Block& block : rung.blocks) {
      for (const Rungs::Entry& entry : block.entries) {
        to.u64(entry.number);
        to.u32(entry.risen);
        for (std::size_t i = 0; i < rungs.width_; ++i) {
          to.f64(entry.rank[i]);
        }
      }
    }
  }
}

void StateAccess::read_rung(StateReader& from, std::size_t width, Rungs::Rung& rung) {
  rung.count = from.u64();
  const std::uint64_t n = from.count(12 + 8 * width);
  if (from.ok() && n > rung.count) {
    return from.fail("a rung holds more entries than were told");
  }
  for (std::uint64_t i = 0; i < n && from.ok(); ++i) {
    Rungs::Entry entry{};
    entry.number = from.u64();
    entry.risen = flag(from);
    for (std::size_t k = 0; k < width; ++k) {
      entry.rank[k] = from.f64();
      if (std::isnan(entry.rank[k])) {
        return from.fail("a rank holds NaN");
      }
    }
    if (i > 0 && !Rungs::better(rung.blocks.back().entries.back(), entry)) {
      return from.fail("the entries of a rung are out of order");
    }
    if (!rung.entries.emplace(entry.number, entry.rank).second) {
      return from.fail("a rung holds an entry twice");
    }
    // Blocks are left with room for further entries.
    if (rung.blocks.empty() || rung.blocks.back().entries.size() == Rungs::kBlock / 2) {
      rung.blocks.emplace_back();
    }
    rung.blocks.back().entries.push_back(entry);
    rung.blocks.back().risen += entry.risen;
  }
}

void StateAccess::read(StateReader& from, Rungs& rungs) {
  const std::uint32_t width = from.u32();
  std::vector<std::uint32_t> etas;
  read_etas(from, etas);
  if (!from.ok()) {
    return;
  }
  if (!rungs.open(etas, width).ok()) {
    return from.fail("the rungs are out of range");
  }
  for (Rungs::Rung& rung : rungs.rungs_) {
    read_rung(from, width, rung);
  }
  for (const Rungs::Block& block : rungs.rungs_.back().blocks) {
    if (from.ok() && block.risen != 0) {
      from.fail("an entry has risen from the last rung");
    }
  }
}

void StateAccess::write(const StoppingRungs& rungs, StateWriter& to) {
  to.u64(rungs.etas_.size());
  for (const std::uint32_t eta : rungs.etas_) {
    to.u32(eta);
  }
  for (std::size_t k = 0; k < rungs.etas_.size(); ++k) {
    to.u64(rungs.counts_[k]);
    to.u64(rungs.values_[k].size());
    for (const double value : rungs.values_[k]) {
      to.f64(value);
    }
  }
}

void StateAccess::read(StateReader& from, StoppingRungs& rungs) {
  std::vector<std::uint32_t> etas;
  read_etas(from, etas);
  if (!from.ok() || !rungs.open(etas).ok()) {
    return from.fail("the rungs are out of range");
  }
  for (std::size_t k = 0; k < etas.size() && from.ok(); ++k) {
    rungs.counts_[k] = from.u64();
    std::vector<double>& values = rungs.values_[k];
    values.resize(from.count(8));
    for (double& value : values) {
      value = from.f64();
    }
    const bool descends =
        std::none_of(values.begin(), values.end(), [](double v) { return std::isnan(v); }) &&
        std::is_sorted(values.begin(), values.end(), std::greater<>());
    if (!descends || values.size() > rungs.counts_[k]) {
      from.fail("the values of a rung are out of order");
    }
  }
}

void StateAccess::write(const Halving& halving, StateWriter& to) {
  to.u64(halving.sizes_.size());
  for (const std::uint64_t size : halving.sizes_) {
    to.u64(size);
  }
  to.u64(halving.rung_);
  to.u32(halving.done_);
  to.u64(halving.given_);
  to.u64(halving.entries_.size());
  for (const std::uint64_t entry : halving.entries_) {
    to.u64(entry);
  }
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

void StateAccess::read(StateReader& from, Halving& halving) {
  std::vector<std::uint64_t> sizes(from.count(8));
  for (std::uint64_t& size : sizes) {
    size = from.u64();
  }
  // The bytes at hand cover a byte for each number.
  if (!from.ok() || sizes.empty() || sizes[0] > from.left() || !halving.open(sizes).ok()) {
    return from.fail("the sizes of the rungs are out of range");
  }
  halving.rung_ = from.u64();
  halving.done_ = flag(from);
  halving.given_ = from.u64();
  std::vector<std::uint64_t> entries(from.count(8));
  for (std::uint64_t& entry : entries) {
    entry = from.u64();
  }
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
  std::vector<std::uint8_t> seen(sizes[0], 0);
  std::size_t out = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::uint64_t entry = entries[i];
    if (entry >= sizes[0] || seen[entry] || (halving.rung_ == 0 && entry != i)) {
      return from.fail("an entry is out of range or comes twice");
    }
    seen[entry] = 1;
    const Halving::State state = halving.states_[entry];
    if (i >= halving.given_) {
      if (state != (halving.rung_ == 0 ? Halving::State::idle : Halving::State::told)) {
        return from.fail("the state of an entry does not fit its place");
      }
    } else if (state == Halving::State::told) {
      halving.values_[entry] = from.f64();
      ++halving.told_;
    } else if (state == Halving::State::out) {
      ++out;
    } else {
      return from.fail("the state of an entry does not fit its place");
    }
  }
  const auto all_out = static_cast<std::size_t>(
      std::count(halving.states_.begin(), halving.states_.end(), Halving::State::out));
  const bool full = !halving.done_ && halving.told_ == entries.size();
  halving.any_ = flag(from);
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
