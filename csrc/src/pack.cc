#include "nasturtium/pack.hpp"

#include <string>
#include <vector>

#include "nasturtium/moves.hpp"
#include "nasturtium/parallel.hpp"
#include "nasturtium/rng.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kPackGrain = 16384;

// Division by a small constant as a product with its reciprocal.
struct Divisor {
  std::uint32_t by = 1;
  std::uint64_t reciprocal = 0;  // 2^64 / by, rounded up; by > 1

  // The remainder; `x` becomes the quotient.
  std::uint32_t take(std::uint64_t& x) const {
    if (by == 1) {
      return 0;
    }
    auto quotient = static_cast<std::uint64_t>(static_cast<Wide>(x) * reciprocal >> 64);
    std::uint64_t rest = x - quotient * by;
    // The reciprocal is too large by less than 1, so the quotient by at most 1.
    if (rest >= by) {
      --quotient;
      rest += by;
    }
    x = quotient;
    return static_cast<std::uint32_t>(rest);
  }
};

}  // namespace

Status packed_range(const Space& space, std::uint64_t& out) {
  Wide range = 1;
  for (const std::uint32_t count : space.counts) {
    range *= count;
    if (range >> 64 != 0) {
      return Status::fail(Code::limit, 0,
                          "the option counts of '" + space.name +
                              "' multiply to 2^64 or more, so its codes fit no packed number");
    }
  }
  out = static_cast<std::uint64_t>(range);
  return {};
}

Status pack(const Space& space, std::uint64_t n, const std::uint8_t* codes, std::uint64_t* out,
            unsigned threads) {
  std::uint64_t range = 0;
  if (Status s = packed_range(space, range); !s.ok()) {
    return s;
  }
  return parallel_rows(n, threads, kPackGrain, [&](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint8_t> active(space.width());
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * space.width();
      bool ok = !space.conditional || well_formed(space, code, active.data());
      std::uint64_t number = 0;
      for (std::size_t i = 0; i < space.width(); ++i) {
        ok &= code[i] < space.counts[i];
        number = number * space.counts[i] + code[i];
      }
      if (!ok) {
        return bad_row(space, row, code);
      }
      out[row] = number;
    }
    return Status{};
  });
}

Status unpack(const Space& space, std::uint64_t n, const std::uint64_t* packed, std::uint8_t* out,
              unsigned threads) {
  std::uint64_t range = 0;
  if (Status s = packed_range(space, range); !s.ok()) {
    return s;
  }
  std::vector<Divisor> divisors;
  for (const std::uint32_t count : space.counts) {
    divisors.push_back({count, ~std::uint64_t{0} / count + 1});
  }
  return parallel_rows(n, threads, kPackGrain, [&](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint8_t> active(space.width());
    for (std::uint64_t row = begin; row < end; ++row) {
      std::uint64_t number = packed[row];
      if (number >= range) {
        return Status::fail(Code::row, row,
                            "packed codes of '" + space.name + "' are below " +
                                std::to_string(range) + ", not " + std::to_string(number));
      }
      std::uint8_t* code = out + row * space.width();
      for (std::size_t i = space.width(); i-- > 0;) {
        code[i] = static_cast<std::uint8_t>(divisors[i].take(number));
      }
      if (space.conditional && !well_formed(space, code, active.data())) {
        return bad_row(space, row, code);
      }
    }
    return Status{};
  });
}

}  // namespace nasturtium
