#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "nasturtium/status.hpp"

namespace nasturtium {

// Numbers keys of 128 bits in the order in which they come: 0, 1, 2, ...
//
// Open addressing with linear probing over words of 8 bytes, each 32 bits of a key's hash and 32 of
// its number, at most 5/8 full; the keys themselves lie in the order of their numbers. Exact: keys
// are compared as a whole. A key costs expected constant time and 29 to 50 bytes. Keys are two
// words a row; batches are worked through in blocks whose memory is fetched ahead.
//
// Not synchronized: any number of threads may find at once while none inserts.
class KeyMap {
 public:
  static constexpr std::uint64_t kAbsent = ~std::uint64_t{0};

  KeyMap() = default;
  KeyMap(const KeyMap&) = delete;
  KeyMap& operator=(const KeyMap&) = delete;

  // Makes room for so many keys in all.
  Status reserve(std::uint64_t keys);

  // For each key its number, and a byte that is 1 where the key was new; equal keys of a batch get
  // one number. Code::limit where memory is lacking, or beyond 2.6 thousand million keys: the rows
  // before `where` are then done, and the map holds their keys.
  Status insert(std::uint64_t n, const std::uint64_t* keys, std::uint64_t* numbers,
                std::uint8_t* fresh);

  // For each key its number, or kAbsent.
  Status find(std::uint64_t n, const std::uint64_t* keys, std::uint64_t* numbers,
              unsigned threads) const;

  std::uint64_t size() const { return size_; }

  // All keys in the order of their numbers, size() rows of two words.
  const std::uint64_t* keys() const { return keys_.get(); }

  // Memory in use, in bytes, with what is held in reserve.
  std::uint64_t bytes() const;

 private:
  // From calloc and realloc: large blocks come zeroed, and grow without being copied.
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  using Memory = std::unique_ptr<std::uint64_t[], Free>;

  void fetch(std::uint64_t count, const std::uint64_t* keys, std::uint32_t* tags) const;
  std::uint64_t home(std::uint64_t tag) const { return tag >> (32 - bits_); }
  bool holds(std::uint64_t number, const std::uint64_t* key) const {
    return keys_[2 * number] == key[0] && keys_[2 * number + 1] == key[1];
  }
  std::uint64_t expected(std::uint64_t needed, std::uint64_t fresh, std::uint64_t done,
                         std::uint64_t n) const;
  void insert_block(std::uint64_t count, const std::uint64_t* keys, std::uint64_t* numbers,
                    std::uint8_t* fresh);
  void find_block(std::uint64_t count, const std::uint64_t* keys, std::uint64_t* numbers) const;
  bool widen(unsigned bits);
  bool lengthen(std::uint64_t keys);

  unsigned bits_ = 0;       // there are 2^bits_ slots, or none
  std::uint64_t size_ = 0;  // keys
  std::uint64_t room_ = 0;  // keys that there is memory for
  Memory slots_;            // 0: empty, else hash << 32 | (number + 1)
  Memory keys_;
};

}  // namespace nasturtium
