#include "nasturtium/distance.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "nasturtium/moves.hpp"
#include "nasturtium/parallel.hpp"

namespace nasturtium {
namespace {

constexpr std::uint64_t kDistanceGrain = 16;
constexpr std::uint64_t kColumnsAtOnce = 1024;

// Adds term(a of row i, b of row j) for every column to out[i, j], a block of rows j at a time.
// `a` is row by row, `b` column by column.
template <typename T, typename Sum, typename Term>
Status blocked(std::uint64_t columns, std::uint64_t na, const T* a, std::uint64_t nb, const T* b,
               Sum* out, unsigned threads, Term term) {
  return parallel_rows(na, threads, kDistanceGrain, [=](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t first = 0; first < nb; first += kColumnsAtOnce) {
      const std::uint64_t size = std::min(kColumnsAtOnce, nb - first);
      for (std::uint64_t i = begin; i < end; ++i) {
        Sum* to = out + i * nb + first;
        std::fill_n(to, size, Sum{0});
        for (std::uint64_t c = 0; c < columns; ++c) {
          const T own = a[i * columns + c];
          const T* other = b + c * nb + first;
          for (std::uint64_t j = 0; j < size; ++j) {
            to[j] = static_cast<Sum>(to[j] + term(own, other[j]));
          }
        }
      }
    }
    return Status{};
  });
}

// The codes as one number a decision, 0 where it is inactive.
Status slots(const Space& space, std::uint64_t n, const std::uint8_t* codes,
             std::vector<std::uint16_t>& out) {
  std::vector<std::uint8_t> active(space.width());
  out.clear();
  out.reserve(n * space.width());
  for (std::uint64_t row = 0; row < n; ++row) {
    const std::uint8_t* code = codes + row * space.width();
    if (!well_formed(space, code, active.data())) {
      return bad_row(space, row, code);
    }
    for (std::size_t i = 0; i < space.width(); ++i) {
      out.push_back(active[i] ? static_cast<std::uint16_t>(code[i] + 1) : std::uint16_t{0});
    }
  }
  return {};
}

template <typename T>
std::vector<T> by_column(std::uint64_t columns, std::uint64_t n, const T* rows) {
  std::vector<T> out(columns * n);
  for (std::uint64_t i = 0; i < n; ++i) {
    for (std::uint64_t c = 0; c < columns; ++c) {
      out[c * n + i] = rows[i * columns + c];
    }
  }
  return out;
}

}  // namespace

Status hamming(const Space& space, std::uint64_t na, const std::uint8_t* a, std::uint64_t nb,
               const std::uint8_t* b, std::uint16_t* out, unsigned threads) {
  std::vector<std::uint16_t> from, to;
  if (Status s = slots(space, na, a, from); !s.ok()) {
    return s;
  }
  if (Status s = slots(space, nb, b, to); !s.ok()) {
    return s;
  }
  to = by_column(space.width(), nb, to.data());
  return blocked(
      space.width(), na, from.data(), nb, to.data(), out, threads,
      [](std::uint16_t x, std::uint16_t y) { return static_cast<std::uint16_t>(x != y); });
}

Status manhattan(std::uint64_t columns, std::uint64_t na, const double* a, std::uint64_t nb,
                 const double* b, double* out, unsigned threads) {
  const std::vector<double> to = by_column(columns, nb, b);
  return blocked(columns, na, a, nb, to.data(), out, threads,
                 [](double x, double y) { return std::abs(x - y); });
}

}  // namespace nasturtium
