#include "nasturtium/encode.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "nasturtium/moves.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kEncodeGrain = 16384;

// For each decision its first column.
std::vector<std::uint32_t> first_columns(const Space& space) {
  std::vector<std::uint32_t> first;
  std::uint32_t columns = 0;
  for (const std::uint32_t count : space.counts) {
    first.push_back(columns);
    columns += count;
  }
  return first;
}

// Whether the code is well-formed. Without conditions every decision is active, and the activity,
// which is then all 1 from the start, is not written.
bool accepted(const Space& space, const std::uint8_t* code, std::uint8_t* active) {
  if (space.conditional) {
    return well_formed(space, code, active);
  }
  bool ok = true;
  for (std::size_t i = 0; i < space.width(); ++i) {
    ok &= code[i] < space.counts[i];
  }
  return ok;
}

// Calls each(row, code, active) for the rows, in chunks on threads.
template <typename F>
Status for_each_code(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                     unsigned threads, F each) {
  return parallel_rows(n, threads, kEncodeGrain, [&](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint8_t> active(space.width(), 1);
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * space.width();
      if (!accepted(space, code, active.data())) {
        return bad_row(space, row, code);
      }
      each(row, code, active.data());
    }
    return Status{};
  });
}

template <typename T>
Status hot_columns(const Space& space, std::uint64_t n, const std::uint8_t* codes, T* out,
                   unsigned threads) {
  const std::size_t columns = one_hot_width(space);
  const std::vector<std::uint32_t> first = first_columns(space);
  const std::uint32_t* at = first.data();
  const std::size_t width = space.width();
  if (!space.conditional) {
    return for_each_code(
        space, n, codes, threads,
        [=](std::uint64_t row, const std::uint8_t* code, const std::uint8_t* /*active*/) {
          T* to = out + row * columns;
          std::memset(to, 0, columns * sizeof(T));
          for (std::size_t i = 0; i < width; ++i) {
            to[at[i] + code[i]] = T{1};
          }
        });
  }
  return for_each_code(
      space, n, codes, threads,
      [=](std::uint64_t row, const std::uint8_t* code, const std::uint8_t* active) {
        T* to = out + row * columns;
        std::memset(to, 0, columns * sizeof(T));
        for (std::size_t i = 0; i < width; ++i) {
          to[at[i] + code[i]] = static_cast<T>(active[i]);
        }
      });
}

}  // namespace

std::size_t one_hot_width(const Space& space) {
  std::size_t columns = 0;
  for (const std::uint32_t count : space.counts) {
    columns += count;
  }
  return columns;
}

Status one_hot(const Space& space, std::uint64_t n, const std::uint8_t* codes, float* out,
               unsigned threads) {
  return hot_columns(space, n, codes, out, threads);
}

Status one_hot(const Space& space, std::uint64_t n, const std::uint8_t* codes, std::uint8_t* out,
               unsigned threads) {
  return hot_columns(space, n, codes, out, threads);
}

Status one_hot_bits(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                    std::uint64_t* out, unsigned threads) {
  const std::size_t words = (one_hot_width(space) + 63) / 64;
  const std::vector<std::uint32_t> first = first_columns(space);
  const std::uint32_t* at = first.data();
  const std::size_t width = space.width();
  return for_each_code(
      space, n, codes, threads,
      [=](std::uint64_t row, const std::uint8_t* code, const std::uint8_t* active) {
        std::uint64_t* to = out + row * words;
        std::fill_n(to, words, std::uint64_t{0});
        for (std::size_t i = 0; i < width; ++i) {
          const std::uint32_t column = at[i] + code[i];
          to[column >> 6] |= std::uint64_t{active[i]} << (column & 63);
        }
      });
}

Status categorical(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                   std::int16_t* out, unsigned threads) {
  const std::size_t width = space.width();
  return for_each_code(
      space, n, codes, threads,
      [=](std::uint64_t row, const std::uint8_t* code, const std::uint8_t* active) {
        for (std::size_t i = 0; i < width; ++i) {
          out[row * width + i] = active[i] ? std::int16_t{code[i]} : std::int16_t{-1};
        }
      });
}

Status conditional_tree(const Space& space, std::uint64_t n, const std::uint8_t* codes, float fill,
                        float* out, unsigned threads) {
  const std::size_t width = space.width();
  const std::uint32_t* counts = space.counts.data();
  return for_each_code(
      space, n, codes, threads,
      [=](std::uint64_t row, const std::uint8_t* code, const std::uint8_t* active) {
        float* to = out + row * 2 * width;
        for (std::size_t i = 0; i < width; ++i, to += 2) {
          const auto steps = static_cast<float>(std::max(counts[i], 2u) - 1);
          to[0] = active[i] ? 1.0F : 0.0F;
          to[1] = active[i] ? static_cast<float>(code[i]) / steps : fill;
        }
      });
}

Status decode_scores(const Space& space, std::uint64_t n, const float* scores, std::uint8_t* out,
                     unsigned threads) {
  const std::size_t width = space.width();
  const std::size_t columns = one_hot_width(space);
  return parallel_rows(n, threads, kEncodeGrain, [&](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint8_t> active(width);
    for (std::uint64_t row = begin; row < end; ++row) {
      const float* from = scores + row * columns;
      if (std::any_of(from, from + columns, [](float s) { return std::isnan(s); })) {
        return Status::fail(Code::row, row, "a score is not a number");
      }
      std::uint8_t* code = out + row * width;
      for (std::size_t i = 0; i < width; ++i) {
        active[i] = !space.is_guarded[i] || holds(space.decisions[i].when, code, active.data());
        const float* best = std::max_element(from, from + space.counts[i]);
        code[i] = active[i] ? static_cast<std::uint8_t>(best - from) : std::uint8_t{0};
        from += space.counts[i];
      }
    }
    return Status{};
  });
}

}  // namespace nasturtium
