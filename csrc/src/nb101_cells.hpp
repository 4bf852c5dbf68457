#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "nasturtium/nb101.hpp"

// The bits of NAS-Bench-101 cells.
namespace nasturtium::nb101 {

constexpr unsigned kOutput = kVertices - 1;

constexpr std::uint32_t ones(unsigned n) { return (std::uint32_t{1} << n) - 1; }

// Where vertex j's column starts in a triangle, which is also the size of a triangle of j vertices.
constexpr unsigned start_of(unsigned j) { return j * (j - 1) / 2; }

// The vertices with an edge to vertex j.
constexpr std::uint32_t column(std::uint32_t triangle, unsigned j) {
  return triangle >> start_of(j) & ones(j);
}

struct Parts {
  std::uint32_t triangle = 0;
  std::uint32_t operations = 0;
  unsigned count = 0;
};

constexpr Parts parts_of(std::uint64_t cell) {
  return {static_cast<std::uint32_t>(cell) & ones(kSlots),
          static_cast<std::uint32_t>(cell >> kOperationsAt) & ones(2 * kInner),
          static_cast<unsigned>(cell >> kCountAt) & 7};
}

constexpr std::uint64_t cell_of(const Parts& p) {
  return p.triangle | std::uint64_t{p.operations} << kOperationsAt |
         std::uint64_t{p.count} << kCountAt;
}

// Which bits a cell of so many vertices may have.
inline constexpr auto kAllowed = [] {
  std::array<std::uint64_t, kVertices + 1> bits{};
  for (unsigned count = 2; count <= kVertices; ++count) {
    bits[count] = cell_of({ones(start_of(count)), ones(2 * (count - 2)), count});
  }
  return bits;
}();

constexpr bool is_cell(std::uint64_t cell) {
  const Parts p = parts_of(cell);
  const std::uint32_t threes = p.operations & p.operations >> 1 & 0x155;
  return p.count >= 2 && (cell & ~kAllowed[p.count]) == 0 && threes == 0;
}

// The triangle with the output moved to vertex 6; the vertices that the cell lacks get no edges.
constexpr std::uint32_t spread(const Parts& p) {
  const unsigned at = start_of(p.count - 1);
  return (p.triangle & ones(at)) | p.triangle >> at << start_of(kOutput);
}

// The vertices between input and output of a spread triangle, both included; 0 without a path.
constexpr std::uint32_t live(std::uint32_t triangle) {
  std::uint32_t from = 1, to = std::uint32_t{1} << kOutput;
  for (unsigned j = 1; j <= kOutput; ++j) {
    from |= std::uint32_t{(column(triangle, j) & from) != 0} << j;
  }
  for (unsigned j = kOutput; j > 0; --j) {
    to |= (to >> j & 1) != 0 ? column(triangle, j) : 0;
  }
  return (to & 1) != 0 ? from & to : 0;
}

// For each set of vertices: the slots of the edges among them.
inline constexpr auto kSlotsAmong = [] {
  std::array<std::uint32_t, std::size_t{1} << kVertices> slots{};
  for (std::uint32_t keep = 0; keep < slots.size(); ++keep) {
    for (unsigned j = 1; j < kVertices; ++j) {
      slots[keep] |= (keep >> j & 1) != 0 ? (keep & ones(j)) << start_of(j) : 0;
    }
  }
  return slots;
}();

// For each set of vertices: the bits of their operations.
inline constexpr auto kPairsOf = [] {
  std::array<std::uint32_t, std::size_t{1} << kVertices> pairs{};
  for (std::uint32_t keep = 0; keep < pairs.size(); ++keep) {
    for (unsigned v = 1; v <= kInner; ++v) {
      pairs[keep] |= (keep >> v & 1) != 0 ? std::uint32_t{3} << 2 * (v - 1) : 0;
    }
  }
  return pairs;
}();

// The bits at the places of the mask, moved together at the low end.
constexpr std::uint32_t gather(std::uint32_t bits, std::uint32_t mask) {
  std::uint32_t out = 0;
  for (bits &= mask; bits != 0; bits &= bits - 1) {
    const std::uint32_t below = ~bits & (bits - 1);
    out |= std::uint32_t{1} << std::popcount(mask & below);
  }
  return out;
}

// The reverse: the low bits, moved to the places of the mask.
constexpr std::uint32_t scatter(std::uint32_t bits, std::uint32_t mask) {
  std::uint32_t out = 0;
  for (; mask != 0; mask &= mask - 1, bits >>= 1) {
    out |= (bits & 1) != 0 ? mask & (~mask + 1) : 0;
  }
  return out;
}

// The cell of the vertices in `keep`, which holds both ends. Columns keep their order, so that a
// smaller triangle is what is left of the larger one's bits.
constexpr Parts squeeze(std::uint32_t triangle, std::uint32_t operations, std::uint32_t keep) {
  return {gather(triangle, kSlotsAmong[keep]), gather(operations, kPairsOf[keep]),
          static_cast<unsigned>(std::popcount(keep))};
}

// What a row that cannot be taken is refused with.
inline Status refuse(std::uint64_t row, std::uint64_t cell) {
  return Status::fail(Code::row, row,
                      is_cell(cell) ? "no path leads from the cell's input to its output"
                                    : "the word is no packed cell");
}

inline Status no_memory() {
  return Status::fail(Code::limit, 0, "no memory for the tables of NAS-Bench-101");
}

// Vertex v of a cell becomes vertex place[v] of another.
using Places = std::array<std::uint8_t, kVertices>;

constexpr std::uint32_t permuted(std::uint32_t operations, const Places& place, unsigned count) {
  std::uint32_t out = 0;
  for (unsigned v = 1; v + 1 < count; ++v) {
    out |= (operations >> 2 * (v - 1) & 3) << 2 * (place[v] - 1);
  }
  return out;
}

// Walks through the orders of the inner vertices in which every edge goes to a later vertex.
template <typename F>
struct OrderWalk {
  std::uint32_t triangle;
  unsigned count;
  const F& visit;
  std::uint32_t moved = 0;
  Places place{};

  // Chooses the vertex at place `next`; `placed` are those before it.
  void choose(unsigned next, std::uint32_t placed) {
    if (next + 1 == count) {
      visit(moved | image(column(triangle, next)) << start_of(next), place);
      return;
    }
    for (unsigned v = 1; v + 1 < count; ++v) {
      const std::uint32_t in = column(triangle, v);
      if ((placed >> v & 1) == 0 && (in & ~placed) == 0) {
        place[v] = static_cast<std::uint8_t>(next);
        moved |= image(in) << start_of(next);
        choose(next + 1, placed | std::uint32_t{1} << v);
        moved &= ones(start_of(next));
      }
    }
  }

  std::uint32_t image(std::uint32_t vertices) const {
    std::uint32_t out = 0;
    for (; vertices != 0; vertices &= vertices - 1) {
      out |= std::uint32_t{1} << place[static_cast<unsigned>(std::countr_zero(vertices))];
    }
    return out;
  }
};

// visit(triangle, place) for each of them; the first is the order as it is.
template <typename F>
void for_each_order(std::uint32_t triangle, unsigned count, const F& visit) {
  OrderWalk<F> walk{triangle, count, visit};
  walk.choose(1, 1);
}

}  // namespace nasturtium::nb101
