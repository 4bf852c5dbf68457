#include <string>
#include <utility>
#include <vector>

#include "nasturtium/moves.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kCheckGrain = 16384;

}  // namespace

Status bad_row(const Space& space, std::uint64_t row, const std::uint8_t* code) {
  std::vector<std::uint8_t> active(space.width());
  std::string reason;
  well_formed(space, code, active.data(), &reason);
  return Status::fail(Code::row, row, std::move(reason));
}

Status valid_rows(const Space& space, std::uint64_t n, const std::uint8_t* codes, std::uint8_t* out,
                  unsigned threads) {
  return parallel_rows(n, threads, kCheckGrain, [&](std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint8_t> active(space.width());
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * space.width();
      out[row] = well_formed(space, code, active.data()) && satisfies(space, code, active.data());
    }
    return Status{};
  });
}

Status active_rows(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                   std::uint8_t* out, unsigned threads) {
  return parallel_rows(n, threads, kCheckGrain, [&](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t row = begin; row < end; ++row) {
      const std::uint8_t* code = codes + row * space.width();
      if (!well_formed(space, code, out + row * space.width())) {
        return bad_row(space, row, code);
      }
    }
    return Status{};
  });
}

Status check(const Space& space, const std::uint8_t* code) {
  std::vector<std::uint8_t> active(space.width());
  std::string reason;
  const bool ok = well_formed(space, code, active.data(), &reason) &&
                  satisfies(space, code, active.data(), &reason);
  return ok ? Status{} : Status::fail(Code::row, 0, std::move(reason));
}

}  // namespace nasturtium
