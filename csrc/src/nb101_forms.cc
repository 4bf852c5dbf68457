#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "nasturtium/parallel.hpp"
#include "nb101_cells.hpp"

namespace nasturtium::nb101 {
namespace {

constexpr std::uint64_t kFormGrain = 4096;
constexpr std::uint32_t kOperationCount = 3;

// Writes the operations of the inner vertices, -1 for a vertex that the cell lacks.
template <typename T>
void write_operations(const Parts& p, T* to) {
  for (unsigned v = 0; v < kInner; ++v) {
    to[v] = static_cast<T>(v + 2 < p.count ? static_cast<int>(p.operations >> 2 * v & 3) : -1);
  }
}

// Calls write(parts, row) for every row.
template <typename F>
Status for_each_cell(std::uint64_t n, const std::uint64_t* cells, unsigned threads, F write) {
  return parallel_rows(n, threads, kFormGrain, [=](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t row = begin; row < end; ++row) {
      if (!is_cell(cells[row])) {
        return refuse(row, cells[row]);
      }
      write(parts_of(cells[row]), row);
    }
    return Status{};
  });
}

// A whole number from `least` to `most` by rounding; false where it is none.
bool whole(float value, int least, int most, int& out) {
  const float rounded = std::round(value);
  if (!(rounded >= static_cast<float>(least) && rounded <= static_cast<float>(most))) {
    return false;
  }
  out = static_cast<int>(rounded);
  return true;
}

Status decode_row(std::uint64_t row, const float* from, std::uint64_t& out) {
  const auto fail = [row](const char* reason) { return Status::fail(Code::row, row, reason); };
  int edges = 0;
  if (!whole(from[kSlots], 0, static_cast<int>(kSlots), edges)) {
    return fail("the number of edges is not from 0 to 21");
  }
  std::array<std::uint8_t, kSlots> order{};
  for (unsigned slot = 0; slot < kSlots; ++slot) {
    if (std::isnan(from[slot])) {
      return fail("a score is not a number");
    }
    order[slot] = static_cast<std::uint8_t>(slot);
  }
  std::stable_sort(order.begin(), order.end(),
                   [from](std::uint8_t a, std::uint8_t b) { return from[a] > from[b]; });
  std::uint32_t triangle = 0, operations = 0, keep = 1 | std::uint32_t{1} << kOutput;
  for (int i = 0; i < edges; ++i) {
    triangle |= std::uint32_t{1} << order[static_cast<std::size_t>(i)];
  }
  bool missing = false;
  for (unsigned v = 0; v < kInner; ++v) {
    int operation = 0;
    if (!whole(from[kSlots + 1 + v], -1, static_cast<int>(kOperationCount) - 1, operation)) {
      return fail("an operation is not from -1 to 2");
    }
    if (operation >= 0 && missing) {
      return fail("an operation comes behind a missing vertex");
    }
    missing |= operation < 0;
    operations |= missing ? 0 : static_cast<std::uint32_t>(operation) << 2 * v;
    keep |= missing ? 0 : std::uint32_t{2} << v;
  }
  if ((triangle & ~kSlotsAmong[keep]) != 0) {
    return fail("an edge is at a missing vertex");
  }
  out = cell_of(squeeze(triangle, operations, keep));
  return {};
}

}  // namespace

Status path_categorical(std::uint64_t n, const std::uint64_t* cells, std::size_t most,
                        std::int16_t* out, unsigned threads) {
  return parallel_rows(n, threads, kFormGrain, [=](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint64_t> words(kPathWords);
    for (std::uint64_t row = begin; row < end; ++row) {
      if (Status s = path_bits(1, cells + row, words.data(), 1); !s.ok()) {
        s.where = row;
        return s;
      }
      std::int16_t* to = out + row * most;
      std::size_t found = 0;
      for (std::size_t word = 0; word < kPathWords; ++word) {
        for (std::uint64_t bits = words[word]; bits != 0 && found < most; bits &= bits - 1) {
          to[found++] = static_cast<std::int16_t>(64 * word +
                                                  static_cast<std::size_t>(std::countr_zero(bits)));
        }
      }
      std::fill(to + found, to + most, std::int16_t{-1});
    }
    return Status{};
  });
}

Status adjacency_categorical(std::uint64_t n, const std::uint64_t* cells, std::int16_t* out,
                             unsigned threads) {
  return for_each_cell(n, cells, threads, [out](const Parts& p, std::uint64_t row) {
    std::int16_t* to = out + row * kCategorical;
    std::size_t found = 0;
    for (std::uint32_t bits = spread(p); bits != 0; bits &= bits - 1) {
      to[found++] = static_cast<std::int16_t>(std::countr_zero(bits));
    }
    std::fill(to + found, to + kSlots, std::int16_t{-1});
    write_operations(p, to + kSlots);
  });
}

Status adjacency_continuous(std::uint64_t n, const std::uint64_t* cells, float* out,
                            unsigned threads) {
  return for_each_cell(n, cells, threads, [out](const Parts& p, std::uint64_t row) {
    float* to = out + row * kContinuous;
    const std::uint32_t triangle = spread(p);
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      to[slot] = (triangle >> slot & 1) != 0 ? 1.0F : 0.0F;
    }
    to[kSlots] = static_cast<float>(std::popcount(triangle));
    write_operations(p, to + kSlots + 1);
  });
}

Status decode_continuous(std::uint64_t n, const float* rows, std::uint64_t* out, unsigned threads) {
  return parallel_rows(n, threads, kFormGrain, [=](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t row = begin; row < end; ++row) {
      if (Status s = decode_row(row, rows + row * kContinuous, out[row]); !s.ok()) {
        return s;
      }
    }
    return Status{};
  });
}

}  // namespace nasturtium::nb101
