#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nb101_cells.hpp"

// The unlabeled cells of NAS-Bench-101, and a table from every triangle to them.
namespace nasturtium::nb101 {

constexpr std::size_t kOperationCodes = std::size_t{1} << 2 * kInner;

// A pruned cell of at most 9 edges, whatever its operations: `cell` is the canonical one, with
// every operation 0.
struct Class {
  std::uint64_t cell = 0;
  std::uint32_t group = 0;
};

// The automorphisms of a class, by what they do to operations. Vertices beyond the class's stay.
struct Group {
  std::vector<Places> members;
  std::array<std::uint16_t, kOperationCodes> least{};  // the least image
  std::vector<std::uint16_t> representatives;          // operations that are their least image
};

// One of a class's orders, and where its vertices are in the canonical one.
struct Labeled {
  std::uint32_t triangle = 0;
  unsigned count = 0;
  std::uint32_t number = 0;  // of the class
  Places place{};
};

struct Catalog {
  std::vector<Class> classes;  // by number of vertices, then by triangle
  std::vector<Group> groups;
  std::vector<Labeled> labeled;
};

// Built at the first use; nullptr where memory is lacking.
const Catalog* catalog();

// How many of its group's representatives say nothing of vertices that the class lacks; they are
// the first ones.
std::size_t representatives(const Catalog& catalog, const Class& unlabeled);

// Where the operations go that a cell's vertices carry: the vertices 1 to 3, and 4 and 5.
struct OperationMap {
  std::array<std::uint16_t, 64> low{};
  std::array<std::uint16_t, 16> high{};
};

constexpr std::uint32_t kLowTriangles = std::uint32_t{1} << start_of(kOutput);
constexpr std::uint32_t kLastColumns = std::uint32_t{1} << kOutput;

// What an order of a pruned cell becomes: its class, and where the operations go.
struct Form {
  std::uint16_t number = 0;
  std::uint16_t map = 0;
};

// Entries that are no form.
constexpr std::uint32_t kDisconnected = 0;
constexpr std::uint32_t kTooManyEdges = 1;

// From a spread triangle to its form. Triangles that differ in edges from vertices that the input
// does not reach share a block of entries, which keeps within two megabytes what cells that are
// drawn at random look up.
struct Table {
  const Catalog* catalog = nullptr;
  std::vector<std::uint16_t> blocks;   // by the columns of vertices 1 to 5
  std::vector<std::uint16_t> entries;  // a block has one for each column of vertex 6
  std::vector<std::uint64_t> valid;    // by the columns of vertices 1 to 5: a bit for each of these
  std::vector<Form> forms;             // by entry
  std::vector<OperationMap> maps;
  double seconds = 0;

  std::size_t place(std::uint32_t triangle) const {
    const std::uint32_t block = blocks[triangle & (kLowTriangles - 1)];
    return block * kLastColumns + (triangle >> start_of(kOutput));
  }

  bool is_valid(std::uint32_t triangle) const {
    const std::uint64_t bits = valid[triangle & (kLowTriangles - 1)];
    return (bits >> (triangle >> start_of(kOutput)) & 1) != 0;
  }

  // kDisconnected where the word is no cell.
  std::uint32_t entry(std::uint64_t cell) const {
    return is_cell(cell) ? entries[place(spread(parts_of(cell)))] : kDisconnected;
  }

  // The canonical cell of an entry above kTooManyEdges.
  std::uint64_t canonical(std::uint32_t entry, std::uint32_t operations) const {
    const Form& form = forms[entry];
    const OperationMap& map = maps[form.map];
    const Class& unlabeled = catalog->classes[form.number];
    const std::uint32_t moved = std::uint32_t{map.low[operations & 63]} | map.high[operations >> 6];
    const std::uint64_t least = catalog->groups[unlabeled.group].least[moved];
    return unlabeled.cell | least << kOperationsAt;
  }
};

// Built at the first use; nullptr where memory is lacking.
const Table* table();

// The canonical cell of a pruned one, found by trying its orders.
std::uint64_t least_cell(const Parts& pruned);

}  // namespace nasturtium::nb101
