#include "nb101_table.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <new>

namespace nasturtium::nb101 {
namespace {

// Three bits for each inner vertex: the vertex it becomes, 0 where it is dropped.
OperationMap make_map(std::uint32_t packed) {
  OperationMap map;
  const auto moved = [packed](std::uint32_t code) {
    std::uint32_t out = 0;
    for (unsigned v = 0; v < kInner; ++v) {
      const std::uint32_t to = packed >> 3 * v & 7;
      out |= to == 0 ? 0 : (code >> 2 * v & 3) << 2 * (to - 1);
    }
    return static_cast<std::uint16_t>(out);
  };
  for (std::uint32_t code = 0; code < map.low.size(); ++code) {
    map.low[code] = moved(code);
  }
  for (std::uint32_t code = 0; code < map.high.size(); ++code) {
    map.high[code] = moved(code << 6);
  }
  return map;
}

// For each set of inner vertices, as it stands in the table: what its vertices become.
std::uint32_t packed_places(const Labeled& labeled, std::uint32_t inner) {
  std::uint32_t packed = 0;
  unsigned rank = 1;
  for (unsigned v = 0; v < kInner; ++v) {
    if ((inner >> v & 1) != 0) {
      packed |= std::uint32_t{labeled.place[rank++]} << 3 * v;
    }
  }
  return packed;
}

// The vertices that the input reaches, among the first six, and for each vertex those with a path
// to it, itself included.
std::uint32_t reach(std::uint32_t low, std::array<std::uint8_t, kOutput>& before) {
  std::uint32_t from = 1;
  before[0] = 1;
  for (unsigned j = 1; j < kOutput; ++j) {
    std::uint32_t set = std::uint32_t{1} << j;
    for (std::uint32_t in = column(low, j); in != 0; in &= in - 1) {
      set |= before[static_cast<unsigned>(std::countr_zero(in))];
    }
    before[j] = static_cast<std::uint8_t>(set);
    from |= (set & 1) << j;
  }
  return from;
}

// Numbers the triangles without edges from vertices that the input does not reach.
void number_blocks(Table& t) {
  t.blocks.resize(kLowTriangles);
  std::uint32_t count = 0;
  std::array<std::uint8_t, kOutput> before;
  for (std::uint32_t low = 0; low < kLowTriangles; ++low) {
    const std::uint32_t kept = low & kSlotsAmong[reach(low, before)];
    t.blocks[low] = kept == low ? static_cast<std::uint16_t>(count++) : t.blocks[kept];
  }
  t.entries.resize(std::size_t{count} * kLastColumns);
}

// Enters the forms, where every vertex that is not isolated lies on a path.
void enter_forms(Table& t) {
  constexpr std::uint16_t kNone = 0xFFFF;
  std::vector<std::uint16_t> numbers(std::size_t{1} << 3 * kInner, kNone);
  t.forms.resize(kTooManyEdges + 1);
  for (const Labeled& labeled : t.catalog->labeled) {
    for (std::uint32_t inner = 0; inner <= ones(kInner); ++inner) {
      if (static_cast<unsigned>(std::popcount(inner)) + 2 != labeled.count) {
        continue;
      }
      const std::uint32_t packed = packed_places(labeled, inner);
      if (numbers[packed] == kNone) {
        numbers[packed] = static_cast<std::uint16_t>(t.maps.size());
        t.maps.push_back(make_map(packed));
      }
      const std::uint32_t keep = 1 | inner << 1 | std::uint32_t{1} << kOutput;
      const std::size_t place = t.place(scatter(labeled.triangle, kSlotsAmong[keep]));
      t.entries[place] = static_cast<std::uint16_t>(t.forms.size());
      t.forms.push_back({static_cast<std::uint16_t>(labeled.number), numbers[packed]});
    }
  }
}

// Fills a block, and says which of its entries are forms. An entry is that of what is left after
// pruning, which as a number is not larger and has been entered before.
std::uint64_t fill_block(Table& t, std::uint32_t low) {
  std::array<std::uint8_t, kOutput> before;
  const std::uint32_t from = reach(low, before);
  std::array<std::uint8_t, kLastColumns> sets{};  // of live vertices, by column of the output
  for (unsigned j = 0; j < kOutput; ++j) {
    const std::size_t half = std::size_t{1} << j;
    for (std::size_t i = 0; i < half; ++i) {
      sets[half + i] = static_cast<std::uint8_t>(sets[i] | (before[j] & from));
    }
  }
  std::uint64_t valid = 0;
  for (std::uint32_t last = 0; last < kLastColumns; ++last) {
    const std::uint32_t triangle = low | last << start_of(kOutput);
    const std::uint32_t keep = sets[last] | std::uint32_t{1} << kOutput;
    std::uint32_t entry = t.entries[t.place(triangle & kSlotsAmong[keep])];
    entry = entry == kDisconnected ? kTooManyEdges : entry;
    entry = (keep & 1) == 0 ? kDisconnected : entry;
    t.entries[t.place(triangle)] = static_cast<std::uint16_t>(entry);
    valid |= std::uint64_t{entry > kTooManyEdges} << last;
  }
  return valid;
}

void fill(Table& t) {
  std::vector<std::uint64_t> valid;  // by block
  t.valid.resize(kLowTriangles);
  for (std::uint32_t low = 0; low < kLowTriangles; ++low) {
    const std::size_t block = t.blocks[low];
    if (block == valid.size()) {
      valid.push_back(fill_block(t, low));
    }
    t.valid[low] = valid[block];
  }
}

const Table* make_table() {
  const auto begin = std::chrono::steady_clock::now();
  try {
    auto made = std::make_unique<Table>();
    made->catalog = catalog();
    if (made->catalog == nullptr) {
      return nullptr;
    }
    number_blocks(*made);
    enter_forms(*made);
    fill(*made);
    made->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return made.release();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

// Never freed: threads may still use it while the process ends.
const Table* table() {
  static const Table* const built = make_table();
  return built;
}

std::uint64_t least_cell(const Parts& pruned) {
  std::uint64_t best = ~std::uint64_t{0};
  for_each_order(pruned.triangle, pruned.count, [&](std::uint32_t triangle, const Places& place) {
    const std::uint32_t operations = permuted(pruned.operations, place, pruned.count);
    best = std::min(best, std::uint64_t{triangle} << 2 * kInner | operations);
  });
  return cell_of({static_cast<std::uint32_t>(best >> 2 * kInner),
                  static_cast<std::uint32_t>(best) & ones(2 * kInner), pruned.count});
}

Status table_seconds(double& out) {
  const Table* t = table();
  if (t == nullptr) {
    return no_memory();
  }
  out = t->seconds;
  return {};
}

}  // namespace nasturtium::nb101
