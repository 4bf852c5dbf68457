#include "nasturtium/rungs.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

namespace nasturtium {
namespace {

Status bad_rungs(const char* reason) { return Status::fail(Code::limit, 0, reason); }

Status check_etas(std::span<const std::uint32_t> etas) {
  if (std::find(etas.begin(), etas.end(), 0u) != etas.end()) {
    return bad_rungs("an eta is at least 1");
  }
  return {};
}

}  // namespace

bool Rungs::better(const Entry& a, const Entry& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.number < b.number;
}

// The block that holds the entry, or that it joins.
Rungs::Block& Rungs::block_of(Rung& rung, const Entry& entry) {
  const auto after =
      std::partition_point(rung.blocks.begin(), rung.blocks.end(), [&](const Block& block) {
        return block.entries.empty() || !better(entry, block.entries.front());
      });
  return after == rung.blocks.begin() ? *after : *(after - 1);
}

Status Rungs::open(std::span<const std::uint32_t> etas, std::size_t width) {
  if (width < 1 || width > kMaxWidth) {
    return bad_rungs("a rank has 1 to 4 values");
  }
  if (Status s = check_etas(etas); !s.ok()) {
    return s;
  }
  etas_.assign(etas.begin(), etas.end());
  width_ = width;
  rungs_.assign(etas.size() + 1, Rung{});
  return {};
}

Status Rungs::add(std::uint64_t rung, std::uint64_t number, const double* rank) {
  if (rung >= rungs_.size()) {
    return bad_rungs("there is no such rung");
  }
  Rung& here = rungs_[rung];
  if (rank != nullptr) {
    if (std::any_of(rank, rank + width_, [](double r) { return std::isnan(r); })) {
      return bad_rungs("the rank holds NaN");
    }
    Entry entry{{}, number, false};
    std::copy_n(rank, width_, entry.rank.begin());
    if (!here.entries.emplace(number, entry.rank).second) {
      return bad_rungs("the rung holds this entry");
    }
    if (here.blocks.empty()) {
      here.blocks.emplace_back();
    }
    Block& block = block_of(here, entry);
    std::vector<Entry>& row = block.entries;
    row.insert(std::lower_bound(row.begin(), row.end(), entry, better), entry);
    if (row.size() > kBlock) {
      const auto half = row.begin() + static_cast<std::ptrdiff_t>(kBlock / 2);
      Block rest{{half, row.end()}, 0};
      row.erase(half, row.end());
      for (const Entry& e : rest.entries) {
        rest.risen += e.risen;
      }
      block.risen -= rest.risen;
      here.blocks.insert(here.blocks.begin() + (&block - here.blocks.data()) + 1, std::move(rest));
    }
  }
  ++here.count;
  return {};
}

bool Rungs::next(bool every, std::uint64_t& number, std::uint64_t& rung) const {
  for (std::size_t k = etas_.size(); k-- > 0;) {
    const Rung& here = rungs_[k];
    const std::uint64_t places = every ? here.count : here.count / etas_[k];
    std::uint64_t before = 0;
    for (const Block& block : here.blocks) {
      if (block.risen == block.entries.size()) {
        before += block.entries.size();
        continue;
      }
      const auto first = std::find_if(block.entries.begin(), block.entries.end(),
                                      [](const Entry& e) { return !e.risen; });
      before += static_cast<std::uint64_t>(first - block.entries.begin());
      if (before < places) {
        number = first->number;
        rung = k;
        return true;
      }
      break;
    }
  }
  return false;
}

Status Rungs::promote(std::uint64_t number, std::uint64_t rung) {
  if (rung >= etas_.size()) {
    return bad_rungs("entries do not rise from this rung");
  }
  Rung& here = rungs_[rung];
  const auto entry = here.entries.find(number);
  if (entry == here.entries.end()) {
    return bad_rungs("the rung does not hold this entry");
  }
  const Entry wanted{entry->second, number, false};
  Block& block = block_of(here, wanted);
  const auto at = std::lower_bound(block.entries.begin(), block.entries.end(), wanted, better);
  if (at->risen) {
    return bad_rungs("the entry has risen before");
  }
  at->risen = true;
  ++block.risen;
  return {};
}

Status StoppingRungs::open(std::span<const std::uint32_t> etas) {
  if (Status s = check_etas(etas); !s.ok()) {
    return s;
  }
  etas_.assign(etas.begin(), etas.end());
  counts_.assign(etas.size(), 0);
  values_.assign(etas.size(), {});
  return {};
}

Status StoppingRungs::report(std::uint64_t rung, double value, bool& goes_on) {
  if (rung >= etas_.size()) {
    return bad_rungs("there is no such rung");
  }
  const std::uint64_t count = ++counts_[rung];
  goes_on = false;
  if (std::isnan(value)) {
    return {};
  }
  std::vector<double>& values = values_[rung];
  values.insert(std::upper_bound(values.begin(), values.end(), value, std::greater<>()), value);
  const std::uint64_t places = std::max<std::uint64_t>(1, count / etas_[rung]);
  goes_on = places > values.size() || value >= values[places - 1];
  return {};
}

}  // namespace nasturtium
