#include "nb101_cells.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "nasturtium/parallel.hpp"
#include "nasturtium/space.hpp"
#include "nb101_table.hpp"

namespace nasturtium::nb101 {
namespace {

constexpr std::uint64_t kCellGrain = 16384;
constexpr std::uint64_t kSearchGrain = 1024;
constexpr std::uint64_t kAhead = 32;

// The pruned cell; false where the word is no cell or has no path.
bool find_pruned(std::uint64_t cell, Parts& out) {
  if (!is_cell(cell)) {
    return false;
  }
  const Parts p = parts_of(cell);
  const std::uint32_t triangle = spread(p), keep = live(triangle);
  out = squeeze(triangle, p.operations, keep);
  return keep != 0;
}

// Calls see(row, canonical cell) for the rows. Entries are looked up ahead, so that the misses of
// several rows overlap.
template <typename F>
Status canonical_rows(const Table& t, std::uint64_t begin, std::uint64_t end,
                      const std::uint64_t* cells, F see) {
  std::array<std::uint32_t, kAhead> entries;
  for (; begin < end; begin += kAhead) {
    const std::uint64_t size = std::min(kAhead, end - begin);
    for (std::uint64_t i = 0; i < size; ++i) {
      entries[i] = t.entry(cells[begin + i]);
    }
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t cell = cells[begin + i];
      Parts pruned;
      if (entries[i] > kTooManyEdges) {
        see(begin + i, t.canonical(entries[i], parts_of(cell).operations));
      } else if (find_pruned(cell, pruned)) {
        see(begin + i, least_cell(pruned));
      } else {
        return refuse(begin + i, cell);
      }
    }
  }
  return {};
}

// MurmurHash3_x64_128 of one word, as murmur128 in keys.hpp.
void word_key(std::uint64_t word, std::uint64_t seed, std::uint64_t* out) {
  constexpr std::uint64_t kBytes = sizeof word;
  std::uint64_t a = seed ^ std::rotl(word * 0x87C37B91114253D5ull, 31) * 0x4CF5AD432745937Full;
  std::uint64_t b = seed ^ kBytes;
  a = (a ^ kBytes) + b;
  b += a;
  a = mix(a);
  b = mix(b);
  out[0] = a + b;
  out[1] = out[0] + b;
}

}  // namespace

Status valid(std::uint64_t n, const std::uint64_t* cells, std::uint8_t* out, unsigned threads) {
  const Table* t = table();
  if (t == nullptr) {
    return no_memory();
  }
  return parallel_rows(n, threads, kCellGrain, [&](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t row = begin; row < end; ++row) {
      out[row] = is_cell(cells[row]) && t->is_valid(spread(parts_of(cells[row])));
    }
    return Status{};
  });
}

Status prune(std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out, unsigned threads) {
  return parallel_rows(n, threads, kCellGrain, [&](std::uint64_t begin, std::uint64_t end) {
    Parts pruned;
    for (std::uint64_t row = begin; row < end; ++row) {
      if (!find_pruned(cells[row], pruned)) {
        return refuse(row, cells[row]);
      }
      out[row] = cell_of(pruned);
    }
    return Status{};
  });
}

Status canonical(std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out,
                 unsigned threads) {
  const Table* t = table();
  if (t == nullptr) {
    return no_memory();
  }
  return parallel_rows(n, threads, kCellGrain, [=](std::uint64_t begin, std::uint64_t end) {
    return canonical_rows(*t, begin, end, cells,
                          [out](std::uint64_t row, std::uint64_t cell) { out[row] = cell; });
  });
}

Status canonical_by_search(std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out,
                           unsigned threads) {
  return parallel_rows(n, threads, kSearchGrain, [&](std::uint64_t begin, std::uint64_t end) {
    Parts pruned;
    for (std::uint64_t row = begin; row < end; ++row) {
      if (!find_pruned(cells[row], pruned)) {
        return refuse(row, cells[row]);
      }
      out[row] = least_cell(pruned);
    }
    return Status{};
  });
}

Status keys(std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out, unsigned threads) {
  const Table* t = table();
  if (t == nullptr) {
    return no_memory();
  }
  const std::uint64_t seed = hash_text("nb101", 3);
  return parallel_rows(n, threads, kCellGrain, [=](std::uint64_t begin, std::uint64_t end) {
    return canonical_rows(*t, begin, end, cells, [=](std::uint64_t row, std::uint64_t cell) {
      word_key(cell, seed, out + 2 * row);
    });
  });
}

}  // namespace nasturtium::nb101
