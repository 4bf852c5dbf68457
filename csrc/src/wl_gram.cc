#include <algorithm>
#include <cmath>
#include <limits>

#include "nasturtium/parallel.hpp"
#include "nasturtium/wl.hpp"

// The kernel among all rows of an index. Features of many rows are dense columns, which are added
// up as vectors; those of few rows are lists of their rows. All sums are of whole numbers, so that
// neither blocks nor threads change a bit.
namespace nasturtium {
namespace {

constexpr std::uint64_t kRowsAtOnce = 16;  // a line of the cache when a block is mirrored
constexpr std::uint64_t kBlocksGrain = 2;
constexpr std::uint32_t kDenseShare = 16;

struct Product {
  template <typename Sum>
  static Sum of(Sum a, Sum b) {
    return static_cast<Sum>(a * b);
  }
};

struct Least {
  template <typename Sum>
  static Sum of(Sum a, Sum b) {
    return std::min(a, b);
  }
};

}  // namespace

// What the blocks of a Gram matrix read.
template <typename Sum>
struct WLIndex::Columns {
  struct Posting {
    std::uint32_t row = 0, count = 0;
  };
  std::vector<std::uint32_t> dense_of;  // for each feature one more than its column, or 0
  std::vector<Sum> dense;               // column by column
  std::vector<std::uint64_t> starts;    // for each feature its postings, by row
  std::vector<Posting> postings;
  std::vector<float> scale;  // 1 / sqrt(k(i, i)), or 1
};

template <typename Sum, typename Combine>
void WLIndex::gram_block(const Columns<Sum>& columns, std::uint64_t first, bool normalize,
                         std::vector<Sum>& sums, float* out) const {
  const std::uint64_t n = rows(), last = std::min(n, first + kRowsAtOnce);
  for (std::uint64_t i = first; i < last; ++i) {
    Sum* to = sums.data() + (i - first) * n;
    std::fill(to + first, to + n, Sum{0});
    for (std::uint64_t e = starts_[i]; e < starts_[i + 1]; ++e) {
      const Entry& entry = entries_[e];
      const auto count = static_cast<Sum>(entry.count);
      if (const std::uint32_t column = columns.dense_of[entry.feature]; column != 0) {
        const Sum* from = columns.dense.data() + (column - 1) * n;
        for (std::uint64_t j = first; j < n; ++j) {
          to[j] = static_cast<Sum>(to[j] + Combine::of(count, from[j]));
        }
        continue;
      }
      const std::uint64_t begin = columns.starts[entry.feature];
      for (std::uint64_t p = columns.starts[entry.feature + 1]; p > begin; --p) {
        const auto& posting = columns.postings[p - 1];
        if (posting.row < first) {
          break;
        }
        to[posting.row] =
            static_cast<Sum>(to[posting.row] + Combine::of(count, static_cast<Sum>(posting.count)));
      }
    }
  }
  for (std::uint64_t i = first; i < last; ++i) {
    const Sum* from = sums.data() + (i - first) * n;
    const float scale = columns.scale[i];
    float* to = out + i * n;
    for (std::uint64_t j = first; j < n; ++j) {
      to[j] = static_cast<float>(from[j]) * (scale * columns.scale[j]);
    }
    if (normalize) {
      to[i] = 1.0F;
    }
  }
  for (std::uint64_t j = last; j < n; ++j) {
    for (std::uint64_t i = first; i < last; ++i) {
      out[j * n + i] = out[i * n + j];
    }
  }
}

template <typename Sum, typename Combine>
Status WLIndex::gram_of(WLKernel kernel, bool normalize, float* out, unsigned threads) const {
  const std::uint64_t n = rows();
  Columns<Sum> columns;
  columns.dense_of.assign(features(), 0);
  columns.starts.assign(features() + 1, 0);
  std::uint32_t dense = 0;
  for (std::uint64_t f = 0; f < features(); ++f) {
    const bool many = seen_in_[f] > 8 && std::uint64_t{seen_in_[f]} * kDenseShare > n;
    columns.dense_of[f] = many ? ++dense : 0;
    columns.starts[f + 1] = columns.starts[f] + (many ? 0 : seen_in_[f]);
  }
  columns.dense.assign(dense * n, Sum{0});
  columns.postings.resize(columns.starts.back());
  std::vector<std::uint64_t> next(columns.starts.begin(), columns.starts.end() - 1);
  for (const Entry& entry : entries_) {
    if (const std::uint32_t column = columns.dense_of[entry.feature]; column != 0) {
      columns.dense[(column - 1) * n + entry.row] = static_cast<Sum>(entry.count);
    } else {
      columns.postings[next[entry.feature]++] = {entry.row, entry.count};
    }
  }
  columns.scale.assign(n, 1.0F);
  for (std::uint64_t i = 0; normalize && i < n; ++i) {
    columns.scale[i] = static_cast<float>(1 / std::sqrt(own_value(kernel, i)));
  }
  // Later blocks have less to do, so a thread takes pairs of an early and a late one.
  const std::uint64_t blocks = (n + kRowsAtOnce - 1) / kRowsAtOnce;
  return parallel_rows(
      (blocks + 1) / 2, threads, kBlocksGrain, [&](std::uint64_t begin, std::uint64_t end) {
        std::vector<Sum> sums(kRowsAtOnce * n);
        for (std::uint64_t b = begin; b < end; ++b) {
          const std::uint64_t late = blocks - 1 - b;
          gram_block<Sum, Combine>(columns, b * kRowsAtOnce, normalize, sums, out);
          if (late != b) {
            gram_block<Sum, Combine>(columns, late * kRowsAtOnce, normalize, sums, out);
          }
        }
        return Status{};
      });
}

double WLIndex::own_value(WLKernel kernel, std::uint64_t row) const {
  double own = 0;
  for (std::uint64_t e = starts_[row]; e < starts_[row + 1]; ++e) {
    own += self(kernel, entries_[e].count);
  }
  return own;
}

Status WLIndex::gram(WLKernel kernel, bool normalize, float* out, unsigned threads) const {
  // By the inequality of Cauchy and Schwarz no sum exceeds the greatest k(i, i), and no part of a
  // sum either, as all terms are positive.
  double most = 0;
  for (std::uint64_t i = 0; i < rows(); ++i) {
    most = std::max(most, own_value(kernel, i));
  }
  const bool small = most <= std::numeric_limits<std::int16_t>::max();
  if (kernel == WLKernel::subtree) {
    return small ? gram_of<std::int16_t, Product>(kernel, normalize, out, threads)
                 : gram_of<std::int32_t, Product>(kernel, normalize, out, threads);
  }
  return small ? gram_of<std::int16_t, Least>(kernel, normalize, out, threads)
               : gram_of<std::int32_t, Least>(kernel, normalize, out, threads);
}

}  // namespace nasturtium
