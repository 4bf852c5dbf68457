#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>

#include "md5.hpp"
#include "nasturtium/parallel.hpp"
#include "nasturtium/rng.hpp"
#include "nb101_cells.hpp"

namespace nasturtium::nb101 {
namespace {

constexpr std::uint64_t kHashGrain = 256;
constexpr std::size_t kTogether = 64;  // cells whose messages are hashed together
constexpr std::size_t kHexSize = 32;
constexpr std::size_t kMostBlocks = 5;

struct VertexHash {
  Md5Digest digest{};
  std::array<std::uint8_t, kHexSize> hex{};
};

// Eight hexadecimal digits of four bytes, the lowest byte first.
void write_hex(std::uint32_t word, std::uint8_t* to) {
  std::uint64_t x = word;
  x = (x | x << 16) & 0x0000FFFF0000FFFF;
  x = (x | x << 8) & 0x00FF00FF00FF00FF;
  x = (x >> 4 & 0x000F000F000F000F) | (x & 0x000F000F000F000F) << 8;
  const std::uint64_t letters = (x + 0x0606060606060606) >> 4 & 0x0101010101010101;
  x += 0x3030303030303030 + letters * ('a' - '0' - 10);
  for (unsigned i = 0; i < 8; ++i) {
    to[i] = static_cast<std::uint8_t>(x >> 8 * i);
  }
}

// Messages of one number of blocks, hashed whenever there are enough of them.
class Messages {
 public:
  void set_blocks(std::size_t blocks) { blocks_ = blocks; }

  // write(place) writes the message's bytes.
  template <typename F>
  void add(std::size_t length, VertexHash* to, const F& write) {
    std::uint8_t* at = bytes_.data() + used_ * kStride;
    // The padding starts in one of the last two blocks.
    std::memset(at + kMd5Block * (std::max<std::size_t>(blocks_, 2) - 2), 0, 2 * kMd5Block);
    write(at);
    md5_pad(at, length);
    to_[used_++] = to;
    if (used_ == kMd5Lanes) {
      finish();
    }
  }

  void finish() {
    if (used_ == 0) {
      return;
    }
    std::array<Md5Digest, kMd5Lanes> digests;
    md5(bytes_.data(), kStride, blocks_, digests.data());
    for (std::size_t i = 0; i < used_; ++i) {
      to_[i]->digest = digests[i];
      for (std::size_t k = 0; k < 4; ++k) {
        write_hex(digests[i][k], to_[i]->hex.data() + 8 * k);
      }
    }
    used_ = 0;
  }

 private:
  static constexpr std::size_t kStride = kMostBlocks * kMd5Block;

  std::size_t blocks_ = 1, used_ = 0;
  std::array<VertexHash*, kMd5Lanes> to_{};
  std::array<std::uint8_t, kMd5Lanes * kStride> bytes_{};
};

// [out-degree][in-degree][label + 2]
struct FirstHashes {
  VertexHash of[kVertices][kVertices][5];
};

const FirstHashes& first_hashes() {
  static const auto built = [] {
    FirstHashes made;
    Messages messages;
    for (unsigned out = 0; out < kVertices; ++out) {
      for (unsigned in = 0; in < kVertices; ++in) {
        for (int label = -2; label < 3; ++label) {
          char text[48];
          const int length = std::snprintf(text, sizeof text, "(%u, %u, %d)", out, in, label);
          const auto size = static_cast<std::size_t>(length);
          messages.add(size, &made.of[out][in][label + 2],
                       [&](std::uint8_t* to) { std::memcpy(to, text, size); });
        }
      }
    }
    messages.finish();
    return made;
  }();
  return built;
}

// The digest as a number whose order is that of the hexadecimal texts.
Wide order_of(const Md5Digest& digest) {
  const auto high_first = [](std::uint32_t low, std::uint32_t high) {
    return __builtin_bswap64(low | std::uint64_t{high} << 32);
  };
  return static_cast<Wide>(high_first(digest[0], digest[1])) << 64 |
         high_first(digest[2], digest[3]);
}

using VertexHashes = std::array<VertexHash, kVertices>;
using Order = std::array<std::uint8_t, kVertices>;

// rank[v] is the place of vertex v among its cell's sorted hashes.
void rank_hashes(const VertexHashes& hashes, unsigned count, Order& rank) {
  std::array<Wide, kVertices> numbers{};
  for (unsigned v = 0; v < count; ++v) {
    numbers[v] = order_of(hashes[v].digest);
  }
  rank.fill(0);
  for (unsigned v = 1; v < count; ++v) {
    for (unsigned u = 0; u < v; ++u) {
      const bool before = numbers[v] < numbers[u];
      rank[u] = static_cast<std::uint8_t>(rank[u] + before);
      rank[v] = static_cast<std::uint8_t>(rank[v] + !before);
    }
  }
}

// Hashes up to kTogether cells at once, so that messages of equal length meet.
class Hasher {
 public:
  Hasher() {
    for (std::size_t blocks = 1; blocks <= kMostBlocks; ++blocks) {
      messages_[blocks].set_blocks(blocks);
    }
  }

  Status run(std::uint64_t row, std::uint64_t size, const std::uint64_t* cells, std::uint8_t* out);

 private:
  void start(std::size_t i);
  void round(const Parts& cell, const VertexHashes& now, VertexHashes& next);
  void last(const Parts& cell, const VertexHashes& now, VertexHash* to);
  void finish() {
    for (Messages& messages : messages_) {
      messages.finish();
    }
  }

  std::array<Parts, kTogether> cells_;
  std::array<std::array<VertexHashes, kTogether>, 2> hashes_;
  std::array<VertexHash, kTogether> results_;
  std::array<Messages, kMostBlocks + 1> messages_;  // by number of blocks
};

void Hasher::start(std::size_t i) {
  const Parts& cell = cells_[i];
  std::array<unsigned, kVertices> in{}, out{};
  for (unsigned j = 1; j < cell.count; ++j) {
    for (std::uint32_t from = column(cell.triangle, j); from != 0; from &= from - 1) {
      ++in[j];
      ++out[static_cast<unsigned>(std::countr_zero(from))];
    }
  }
  const FirstHashes& first = first_hashes();
  for (unsigned v = 0; v < cell.count; ++v) {
    const bool is_inner = v > 0 && v + 1 < cell.count;
    const unsigned operation = is_inner ? cell.operations >> 2 * (v - 1) & 3 : 0;
    const unsigned label = is_inner ? operation + 2 : (v == 0 ? 1U : 0U);
    hashes_[0][i][v] = first.of[out[v]][in[v]][label];
  }
}

void Hasher::round(const Parts& cell, const VertexHashes& now, VertexHashes& next) {
  Order rank, vertex{};
  rank_hashes(now, cell.count, rank);
  for (unsigned v = 0; v < cell.count; ++v) {
    vertex[rank[v]] = static_cast<std::uint8_t>(v);
  }
  std::array<std::uint32_t, kVertices> in{}, out{};  // sets of ranks
  for (unsigned j = 1; j < cell.count; ++j) {
    for (std::uint32_t from = column(cell.triangle, j); from != 0; from &= from - 1) {
      const auto i = static_cast<unsigned>(std::countr_zero(from));
      in[j] |= std::uint32_t{1} << rank[i];
      out[i] |= std::uint32_t{1} << rank[j];
    }
  }
  const auto list = [&](std::uint32_t ranks, std::uint8_t* to) {
    for (; ranks != 0; ranks &= ranks - 1, to += kHexSize) {
      const unsigned v = vertex[static_cast<unsigned>(std::countr_zero(ranks))];
      std::memcpy(to, now[v].hex.data(), kHexSize);
    }
    *to = '|';
    return to + 1;
  };
  for (unsigned v = 0; v < cell.count; ++v) {
    const auto degree = static_cast<std::size_t>(std::popcount(in[v]) + std::popcount(out[v]));
    const std::size_t length = kHexSize * (degree + 1) + 2;
    messages_[md5_blocks(length)].add(length, &next[v], [&](std::uint8_t* to) {
      to = list(out[v], list(in[v], to));
      std::memcpy(to, now[v].hex.data(), kHexSize);
    });
  }
}

void Hasher::last(const Parts& cell, const VertexHashes& now, VertexHash* to) {
  Order rank;
  rank_hashes(now, cell.count, rank);
  constexpr std::size_t kItem = kHexSize + 4;  // with its quotes, a comma and a space
  const std::size_t length = kItem * cell.count;
  messages_[md5_blocks(length)].add(length, to, [&](std::uint8_t* text) {
    for (unsigned v = 0; v < cell.count; ++v) {
      std::uint8_t* at = text + kItem * rank[v];
      std::memcpy(at, rank[v] == 0 ? "['" : " '", 2);
      std::memcpy(at + 2, now[v].hex.data(), kHexSize);
      std::memcpy(at + 2 + kHexSize, rank[v] + 1U == cell.count ? "']" : "',", 2);
    }
  });
}

Status Hasher::run(std::uint64_t row, std::uint64_t size, const std::uint64_t* cells,
                   std::uint8_t* out) {
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint64_t cell = cells[row + i];
    const Parts p = parts_of(cell);
    const std::uint32_t triangle = is_cell(cell) ? spread(p) : 0;
    const std::uint32_t keep = live(triangle);
    if (keep == 0) {
      return refuse(row + i, cell);
    }
    cells_[i] = squeeze(triangle, p.operations, keep);
    start(i);
  }
  for (unsigned turn = 0; turn < kVertices; ++turn) {
    for (std::size_t i = 0; i < size; ++i) {
      if (turn < cells_[i].count) {
        round(cells_[i], hashes_[turn & 1][i], hashes_[(turn + 1) & 1][i]);
      }
    }
    finish();
  }
  for (std::size_t i = 0; i < size; ++i) {
    last(cells_[i], hashes_[cells_[i].count & 1][i], &results_[i]);
  }
  finish();
  for (std::size_t i = 0; i < size * kDigestBytes; ++i) {
    const Md5Digest& digest = results_[i / kDigestBytes].digest;
    out[row * kDigestBytes + i] = static_cast<std::uint8_t>(digest[i / 4 % 4] >> 8 * (i % 4));
  }
  return {};
}

}  // namespace

Status hashes(std::uint64_t n, const std::uint64_t* cells, std::uint8_t* out, unsigned threads) {
  return parallel_rows(n, threads, kHashGrain, [=](std::uint64_t begin, std::uint64_t end) {
    const auto hasher = std::make_unique<Hasher>();
    for (std::uint64_t row = begin; row < end; row += kTogether) {
      const std::uint64_t size = std::min<std::uint64_t>(kTogether, end - row);
      if (Status s = hasher->run(row, size, cells, out); !s.ok()) {
        return s;
      }
    }
    return Status{};
  });
}

}  // namespace nasturtium::nb101
