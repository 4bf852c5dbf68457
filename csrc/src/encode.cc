#include "nasturtium/encode.hpp"

#include <algorithm>
#include <vector>

#include "nasturtium/moves.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kEncodeGrain = 16384;

}  // namespace

Status one_hot(const Space& space, std::uint64_t n, const std::uint8_t* codes, float* out,
               unsigned threads) {
  std::size_t columns = 0;
  for (const Decision& d : space.decisions) {
    columns += d.options.size();
  }
  return parallel_rows(n, threads, kEncodeGrain, [&](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint8_t> active(space.width());
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * space.width();
      if (!well_formed(space, code, active.data())) {
        return bad_row(space, row, code);
      }
      float* to = out + row * columns;
      std::fill_n(to, columns, 0.0F);
      for (std::size_t i = 0; i < space.width(); ++i) {
        to[code[i]] = active[i] ? 1.0F : 0.0F;
        to += space.decisions[i].options.size();
      }
    }
    return Status{};
  });
}

Status categorical(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                   std::int16_t* out, unsigned threads) {
  return parallel_rows(n, threads, kEncodeGrain, [&](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint8_t> active(space.width());
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * space.width();
      if (!well_formed(space, code, active.data())) {
        return bad_row(space, row, code);
      }
      for (std::size_t i = 0; i < space.width(); ++i) {
        out[row * space.width() + i] = active[i] ? std::int16_t{code[i]} : std::int16_t{-1};
      }
    }
    return Status{};
  });
}

}  // namespace nasturtium
