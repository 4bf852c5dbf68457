#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "nasturtium/canonical.hpp"
#include "nasturtium/graph.hpp"
#include "nasturtium/space.hpp"

namespace nasturtium {

enum class Convention : std::uint8_t {
  genotype,     // the code
  pruned,       // the nodes and edges between input and output, by name
  graph,        // that, up to isomorphism
  function,     // what is computed, up to isomorphism
  string,       // NAS-Bench-201's published string rule (skips merged, zeros marked)
  string_skip,  // the same without the rule on zeros
};
constexpr std::size_t kConventions = 6;

bool find_convention(std::string_view name, Convention& out);

// Keys of 128 bits, two words a row: MurmurHash3_x64_128 over the words of the exact form.
Status keys(const Space& space, Convention convention, std::uint64_t n, const std::uint8_t* codes,
            std::uint64_t* out, unsigned threads);

// Keys of one code after the other: memory is kept for the next, which saves more than half of what
// a single key costs. The space must outlive it. What failed, or threw std::bad_alloc, is not to be
// used again.
class KeyMaker {
 public:
  KeyMaker(const Space& space, Convention convention);
  ~KeyMaker();

  Status make(const std::uint8_t* code, std::uint64_t out[2]);

 private:
  friend Status keys(const Space&, Convention, std::uint64_t, const std::uint8_t*, std::uint64_t*,
                     unsigned);
  class Work;
  std::unique_ptr<Work> work_;
};

// One byte per declared node and edge and row: 1 where it lies between input and output.
Status live_rows(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                 std::uint8_t* nodes, std::uint8_t* edges, unsigned threads);

// MurmurHash3_x64_128 (Austin Appleby, public domain) of the words, least significant byte first.
void murmur128(const std::vector<std::uint64_t>& words, std::uint64_t seed, std::uint64_t out[2]);
void murmur128(std::span<const std::uint8_t> bytes, std::uint64_t seed, std::uint64_t out[2]);

}  // namespace nasturtium
