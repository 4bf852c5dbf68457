#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "nasturtium/space.hpp"
#include "nasturtium/status.hpp"

namespace nasturtium {

// A state: the bytes that keep a value beyond its process, on every platform the same. All numbers
// are little-endian.
//
//        0   8 bytes   89 4E 53 54 0D 0A 1A 0A: bytes that transfers as text would change
//        8   uint32    version of the format, 1
//       12   uint32    StateKind
//       16   uint64    length of the payload
//       24   payload
//   24 + length        MurmurHash3_x64_128 (seed 0) of everything above: two uint64
//
// Nothing follows. The checksum tells damage; it is no signature, so that a reader believes nothing
// of the payload that it has not checked, and allocates nothing by a length that the bytes at hand
// do not cover. A version of the library reads the formats of all versions before it.
//
// Payloads:
//   space   its text form
//   codes   declaration_key, two uint64; number of rows, uint64; the rows, one byte a decision
enum class StateKind : std::uint32_t {
  space = 1,
  codes = 2,
  // book_state.hpp
  ageing_queue = 16,
  pareto_archive = 17,
  rungs = 18,
  stopping_rungs = 19,
  halving = 20,
  hyperband = 21,
  tree = 22,
  key_map = 23,
  steady_state = 24,
  generational = 25,
  species = 26,
  bandit = 27,
};

constexpr std::uint32_t kStateVersion = 1;
constexpr std::size_t kStateHeader = 24;
constexpr std::size_t kStateOverhead = kStateHeader + 16;

// Appends one state to `out`, which outlives the writer and is not changed by others meanwhile.
class StateWriter {
 public:
  StateWriter(StateKind kind, std::vector<std::uint8_t>& out);

  void u32(std::uint32_t value);
  void u64(std::uint64_t value);
  void f64(double value);  // its bits
  void bytes(std::span<const std::uint8_t> values);
  // Writes length and checksum: the last call.
  void finish();

 private:
  std::vector<std::uint8_t>& out_;
  std::size_t begin_;
};

// Reads one state, whose bytes outlive the reader. After a failure all numbers read as 0 and all
// spans as empty, so that a decoder may ask `finish` alone whether everything was there.
class StateReader {
 public:
  // Checks all but the payload. `where` of this and all other failures is the byte.
  Status open(std::span<const std::uint8_t> state, StateKind kind);

  std::uint32_t u32();
  std::uint64_t u64();
  double f64();
  // The number of items, of at least `item` bytes each, that follow: never more than the bytes that
  // are left could hold.
  std::uint64_t count(std::uint64_t item);
  std::span<const std::uint8_t> bytes(std::uint64_t size);

  std::uint64_t left() const { return payload_.size() - at_; }
  bool ok() const { return reason_ == nullptr; }
  // The first failure is kept. `reason` lives as long as the program.
  void fail(const char* reason);
  // The first failure, or that something is left.
  Status finish() const;

 private:
  const std::uint8_t* take(std::uint64_t size);

  std::span<const std::uint8_t> payload_;
  std::size_t at_ = 0;
  const char* reason_ = nullptr;
  std::uint64_t where_ = 0;
};

// What gives codes their meaning: a hash of the space's name and of its decisions with options and
// conditions. The graph and the constraints are not part of it.
void declaration_key(const Space& space, std::uint64_t out[2]);

// Appends the state of a space's text form, which must be one.
Status save_space(std::string_view text, std::vector<std::uint8_t>& out);

// `text` lies in `state`.
Status load_space(std::span<const std::uint8_t> state, Space& space, std::string_view& text);

// The length of the state of n codes.
inline std::uint64_t codes_state_size(const Space& space, std::uint64_t n) {
  return kStateOverhead + 24 + n * space.width();
}

// Appends the state of n well-formed codes.
Status save_codes(const Space& space, std::uint64_t n, const std::uint8_t* codes,
                  std::vector<std::uint8_t>& out);

// The rows, all of them well-formed, as they lie in `state`.
Status load_codes(const Space& space, std::span<const std::uint8_t> state,
                  std::span<const std::uint8_t>& codes);

}  // namespace nasturtium
