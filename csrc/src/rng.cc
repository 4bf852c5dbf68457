#include "nasturtium/rng.hpp"

#include <algorithm>
#include <cstddef>

namespace nasturtium {
namespace {

constexpr std::size_t kLanes = 8;

// The same rounds on `kLanes` counters at once, in a shape that compilers turn into vector code.
void philox_lanes(std::uint64_t counter, RandomKey key, std::uint64_t* out) {
  std::uint64_t c0[kLanes], c1[kLanes], c2[kLanes], c3[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) {
    c0[i] = (counter + i) & 0xFFFFFFFFu;
    c1[i] = (counter + i) >> 32;
    c2[i] = 0;
    c3[i] = key.stream;
  }
  std::uint32_t k0 = static_cast<std::uint32_t>(key.seed);
  std::uint32_t k1 = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0[i];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2[i];
      c0[i] = (p1 >> 32) ^ c1[i] ^ k0;
      c1[i] = p1 & 0xFFFFFFFFu;
      c2[i] = (p0 >> 32) ^ c3[i] ^ k1;
      c3[i] = p0 & 0xFFFFFFFFu;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (std::size_t i = 0; i < kLanes; ++i) {
    out[2 * i] = c0[i] | c1[i] << 32;
    out[2 * i + 1] = c2[i] | c3[i] << 32;
  }
}

}  // namespace

void random_words(std::span<std::uint64_t> out, RandomKey key, std::uint64_t counter) {
  std::size_t done = 0;
  for (; out.size() - done >= 2 * kLanes; done += 2 * kLanes, counter += kLanes) {
    philox_lanes(counter, key, out.data() + done);
  }
  if (done < out.size()) {
    std::uint64_t last[2 * kLanes];
    philox_lanes(counter, key, last);
    std::copy_n(last, out.size() - done, out.data() + done);
  }
}

}  // namespace nasturtium
