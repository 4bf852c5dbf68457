#include <algorithm>
#include <cmath>
#include <functional>

#include "state_access.hpp"

namespace nasturtium {
namespace {

std::vector<std::uint32_t> read_etas(StateReader& from) {
  std::vector<std::uint32_t> etas(from.count(20));  // behind each come two numbers at least
  for (std::uint32_t& eta : etas) {
    eta = from.u32();
    if (from.ok() && eta == 0) {
      from.fail("an eta is 0");
    }
  }
  return etas;
}

}  // namespace

void StateAccess::write(const Rungs& rungs, StateWriter& to) {
  to.u32(static_cast<std::uint32_t>(rungs.width_));
  write_list(rungs.etas_, to);
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
    entry.risen = read_flag(from);
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
  const std::vector<std::uint32_t> etas = read_etas(from);
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
  write_list(rungs.etas_, to);
  for (std::size_t k = 0; k < rungs.etas_.size(); ++k) {
    to.u64(rungs.counts_[k]);
    write_list(rungs.values_[k], to);
  }
}

void StateAccess::read(StateReader& from, StoppingRungs& rungs) {
  const std::vector<std::uint32_t> etas = read_etas(from);
  if (!from.ok() || !rungs.open(etas).ok()) {
    return from.fail("the rungs are out of range");
  }
  for (std::size_t k = 0; k < etas.size() && from.ok(); ++k) {
    rungs.counts_[k] = from.u64();
    std::vector<double>& values = rungs.values_[k];
    values = read_list<double>(from);
    const bool descends =
        std::none_of(values.begin(), values.end(), [](double v) { return std::isnan(v); }) &&
        std::is_sorted(values.begin(), values.end(), std::greater<>());
    if (!descends || values.size() > rungs.counts_[k]) {
      from.fail("the values of a rung are out of order");
    }
  }
}

}  // namespace nasturtium
