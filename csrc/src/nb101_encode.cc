#include <algorithm>
#include <array>
#include <cstring>

#include "nasturtium/parallel.hpp"
#include "nb101_cells.hpp"

namespace nasturtium::nb101 {
namespace {

constexpr std::uint64_t kPathGrain = 4096;
constexpr std::size_t kInnerSets = std::size_t{1} << kInner;

// For operations and a set of inner vertices: the number of the sequence that the path through
// exactly these vertices has. A sequence is a number in bijective base 3, first operation first,
// which orders sequences by length, then lexicographically. A cell reads one row of 64 bytes.
struct alignas(64) SequenceRow {
  std::array<std::uint16_t, kInnerSets> of{};
};

using SequenceRows = std::array<SequenceRow, std::size_t{1} << 2 * kInner>;

// No lambda, which would be evaluated at compile time, for seconds.
SequenceRows make_sequence_numbers() {
  SequenceRows rows{};
  for (std::uint32_t code = 0; code < rows.size(); ++code) {
    for (std::uint32_t set = 0; set < kInnerSets; ++set) {
      std::uint32_t number = 0;
      for (unsigned v = 0; v < kInner; ++v) {
        number = (set >> v & 1) != 0 ? 3 * number + (code >> 2 * v & 3) + 1 : number;
      }
      // Codes with an operation 3 are no cells, and are not looked up.
      rows[code].of[set] = static_cast<std::uint16_t>(std::min<std::uint32_t>(number, kPaths - 1));
    }
  }
  return rows;
}

const SequenceRows& sequence_numbers() {
  static const SequenceRows built = make_sequence_numbers();
  return built;
}

// Bit s: a path from input to output of the spread triangle goes through exactly the inner vertices
// of the set s. The sets of a vertex are those of its in-neighbors, with the vertex added: sets are
// numbers, and the vertex stands for a bit that those have not, so that adding it is a shift.
std::uint32_t path_sets(std::uint32_t triangle) {
  const auto via = [triangle](std::uint32_t sets, unsigned slot) {
    return sets & (0U - (triangle >> slot & 1));
  };
  const std::uint32_t s0 = 1;
  const std::uint32_t s1 = via(s0, 0) << 1;
  const std::uint32_t s2 = (via(s0, 1) | via(s1, 2)) << 2;
  const std::uint32_t s3 = (via(s0, 3) | via(s1, 4) | via(s2, 5)) << 4;
  const std::uint32_t s4 = (via(s0, 6) | via(s1, 7) | via(s2, 8) | via(s3, 9)) << 8;
  const std::uint32_t s5 = (via(s0, 10) | via(s1, 11) | via(s2, 12) | via(s3, 13) | via(s4, 14))
                           << 16;
  return via(s0, 15) | via(s1, 16) | via(s2, 17) | via(s3, 18) | via(s4, 19) | via(s5, 20);
}

// Calls see(sequence) for every path of a cell; a sequence may come several times.
template <typename F>
void for_each_path(const SequenceRow* numbers, std::uint64_t cell, F see) {
  const Parts p = parts_of(cell);
  const SequenceRow& row = numbers[p.operations];
  for (std::uint32_t sets = path_sets(spread(p)); sets != 0; sets &= sets - 1) {
    see(row.of[static_cast<unsigned>(std::countr_zero(sets))]);
  }
}

template <typename T>
Status path_columns(std::uint64_t n, const std::uint64_t* cells, std::size_t columns, T* out,
                    unsigned threads) {
  if (columns == 0 || columns > kPaths) {
    return Status::fail(Code::limit, 0, "path encodings have 1 to 364 columns");
  }
  const SequenceRow* numbers = sequence_numbers().data();
  return parallel_rows(n, threads, kPathGrain, [=](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t row = begin; row < end; ++row) {
      if (!is_cell(cells[row])) {
        return refuse(row, cells[row]);
      }
      T* to = out + row * columns;
      std::memset(to, 0, columns * sizeof(T));
      for_each_path(numbers, cells[row], [to, columns](std::uint16_t sequence) {
        if (sequence < columns) {
          to[sequence] = T{1};
        }
      });
    }
    return Status{};
  });
}

// For each operation code: three bits a vertex, one of them set.
constexpr auto kHotOperations = [] {
  std::array<std::uint16_t, std::size_t{1} << 2 * kInner> bits{};
  for (std::uint32_t code = 0; code < bits.size(); ++code) {
    for (unsigned v = 0; v < kInner; ++v) {
      const std::uint32_t hot = (std::uint32_t{1} << (code >> 2 * v & 3) & 7) << 3 * v;
      bits[code] = static_cast<std::uint16_t>(bits[code] | hot);
    }
  }
  return bits;
}();

std::uint64_t adjacency_bits(std::uint64_t cell) {
  const Parts p = parts_of(cell);
  const std::uint32_t hot = kHotOperations[p.operations] & ones(3 * (p.count - 2));
  return spread(p) | std::uint64_t{hot} << kSlots;
}

// Eight bits as eight bytes of 0 or 1, the lowest bit in the lowest byte: each byte keeps the bit
// of its own number, and adding 127 carries it into the highest bit.
constexpr std::uint64_t bytes_of(std::uint64_t bits) {
  const std::uint64_t kept = (bits & 0xFF) * 0x0101010101010101 & 0x8040201008040201;
  return (kept + 0x7F7F7F7F7F7F7F7F) >> 7 & 0x0101010101010101;
}

void write_bits(std::uint64_t bits, std::uint8_t* to) {
  if constexpr (std::endian::native == std::endian::little) {
    for (std::size_t i = 0; i + 8 <= kAdjacency; i += 8) {
      const std::uint64_t bytes = bytes_of(bits >> i);
      std::memcpy(to + i, &bytes, 8);
    }
    const auto last = static_cast<std::uint32_t>(bytes_of(bits >> 32));
    std::memcpy(to + 32, &last, 4);
  } else {
    for (std::size_t i = 0; i < kAdjacency; ++i) {
      to[i] = static_cast<std::uint8_t>(bits >> i & 1);
    }
  }
}

void write_bits(std::uint64_t bits, float* to) {
  for (std::size_t i = 0; i < kAdjacency; ++i) {
    to[i] = (bits >> i & 1) != 0 ? 1.0F : 0.0F;
  }
}

template <typename T>
Status adjacency_columns(std::uint64_t n, const std::uint64_t* cells, T* out, unsigned threads) {
  return parallel_rows(n, threads, kPathGrain, [=](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t row = begin; row < end; ++row) {
      if (!is_cell(cells[row])) {
        return refuse(row, cells[row]);
      }
      write_bits(adjacency_bits(cells[row]), out + row * kAdjacency);
    }
    return Status{};
  });
}

}  // namespace

Status path_bits(std::uint64_t n, const std::uint64_t* cells, std::uint64_t* out,
                 unsigned threads) {
  const SequenceRow* numbers = sequence_numbers().data();
  return parallel_rows(n, threads, kPathGrain, [=](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t row = begin; row < end; ++row) {
      if (!is_cell(cells[row])) {
        return refuse(row, cells[row]);
      }
      std::uint64_t* to = out + row * kPathWords;
      std::fill_n(to, kPathWords, std::uint64_t{0});
      for_each_path(numbers, cells[row], [to](std::uint16_t sequence) {
        to[sequence >> 6] |= std::uint64_t{1} << (sequence & 63);
      });
    }
    return Status{};
  });
}

Status path_one_hot(std::uint64_t n, const std::uint64_t* cells, std::size_t columns, float* out,
                    unsigned threads) {
  return path_columns(n, cells, columns, out, threads);
}

Status path_one_hot(std::uint64_t n, const std::uint64_t* cells, std::size_t columns,
                    std::uint8_t* out, unsigned threads) {
  return path_columns(n, cells, columns, out, threads);
}

Status adjacency_one_hot(std::uint64_t n, const std::uint64_t* cells, float* out,
                         unsigned threads) {
  return adjacency_columns(n, cells, out, threads);
}

Status adjacency_one_hot(std::uint64_t n, const std::uint64_t* cells, std::uint8_t* out,
                         unsigned threads) {
  return adjacency_columns(n, cells, out, threads);
}

}  // namespace nasturtium::nb101
