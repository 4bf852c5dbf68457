#include <array>
#include <vector>

#include "nasturtium/parallel.hpp"
#include "nasturtium/rng.hpp"
#include "nb101_table.hpp"

namespace nasturtium::nb101 {
namespace {

constexpr std::uint64_t kDrawGrain = 16384;
constexpr int kDrawTries = 10000;
constexpr int kChangeTries = 64;

// The operations of five vertices from a number below 3^5, vertex 1 in its last digit.
constexpr auto kFiveOperations = [] {
  std::array<std::uint16_t, 243> codes{};
  for (std::size_t i = 0; i < codes.size(); ++i) {
    std::size_t rest = i;
    for (unsigned v = 0; v < kInner; ++v, rest /= 3) {
      codes[i] = static_cast<std::uint16_t>(codes[i] | rest % 3 << 2 * v);
    }
  }
  return codes;
}();

// A word of 64 bits is one draw: 21 coins, and 43 bits for the operations.
std::uint64_t cell_from(std::uint64_t word) {
  const std::uint64_t number = (word >> kSlots) * kFiveOperations.size() >> (64 - kSlots);
  return cell_of(
      {static_cast<std::uint32_t>(word) & ones(kSlots), kFiveOperations[number], kVertices});
}

// The cell with decision `at` changed: slots first, then the vertices' operations, each of which
// has two others.
Parts changed(Parts p, std::uint32_t at, std::uint32_t other) {
  const std::uint32_t slots = start_of(p.count);
  const bool is_slot = at < slots;
  p.triangle ^= std::uint32_t{is_slot} << at;
  const std::uint32_t shift = is_slot ? 0 : 2 * (at - slots);
  const std::uint32_t old = p.operations >> shift & 3;
  p.operations ^= is_slot ? 0 : (old ^ (other + std::uint32_t{other >= old})) << shift;
  return p;
}

// Where valid changes are rare: one of all of them, with the same frequencies.
bool change_from_list(const Table& t, const Parts& p, std::uint32_t decisions, RowRandom& random,
                      Parts& out) {
  std::array<Parts, 2 * (kSlots + kInner)> found;
  std::uint32_t size = 0;
  for (std::uint32_t i = 0; i < 2 * decisions; ++i) {
    const Parts next = changed(p, i >> 1, i & 1);
    if (t.is_valid(spread(next))) {
      found[size++] = next;
    }
  }
  if (size > 0) {
    out = found[random.below(size)];
  }
  return size > 0;
}

bool change(const Table& t, const Parts& p, RowRandom& random, Parts& out) {
  const std::uint32_t decisions = start_of(p.count) + p.count - 2;
  for (int tries = 0; tries < kChangeTries; ++tries) {
    std::uint64_t fraction = random.word();
    const std::uint32_t at = RowRandom::digit(fraction, decisions);
    out = changed(p, at, RowRandom::digit(fraction, 2));
    if (t.is_valid(spread(out))) {
      return true;
    }
  }
  return change_from_list(t, p, decisions, random, out);
}

}  // namespace

Status sample(const Draws& draws, std::uint64_t n, std::uint64_t* out) {
  const Table* t = table();
  if (t == nullptr) {
    return no_memory();
  }
  return parallel_rows(n, draws.threads, kDrawGrain, [&](std::uint64_t begin, std::uint64_t end) {
    RowSource source(draws.key, Purpose::sample);
    for (std::uint64_t row = begin; row < end; ++row) {
      RowRandom random = source.at(draws.start + row);
      std::uint64_t word = random.word();
      for (int tries = 1; !t->is_valid(static_cast<std::uint32_t>(word) & ones(kSlots)); ++tries) {
        if (tries == kDrawTries) {
          return Status::fail(Code::exhausted, row, "no draw gave a valid cell");
        }
        word = random.word();
      }
      out[row] = cell_from(word);
    }
    return Status{};
  });
}

Status mutate(const Draws& draws, std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out) {
  const Table* t = table();
  if (t == nullptr) {
    return no_memory();
  }
  return parallel_rows(n, draws.threads, kDrawGrain, [&](std::uint64_t begin, std::uint64_t end) {
    RowSource source(draws.key, Purpose::mutate);
    Parts next;
    for (std::uint64_t row = begin; row < end; ++row) {
      if (!is_cell(cells[row])) {
        return refuse(row, cells[row]);
      }
      RowRandom random = source.at(draws.start + row);
      if (!change(*t, parts_of(cells[row]), random, next)) {
        return Status::fail(Code::exhausted, row, "no single change of the cell gives a valid one");
      }
      out[row] = cell_of(next);
    }
    return Status{};
  });
}

}  // namespace nasturtium::nb101
