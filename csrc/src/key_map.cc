#include "nasturtium/key_map.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "nasturtium/parallel.hpp"
#include "nasturtium/space.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace nasturtium {
namespace {

constexpr std::uint64_t kKeyBlock = 32;  // keys whose memory is fetched together
constexpr std::uint64_t kFindGrain = 8192;
constexpr unsigned kFewestBits = 6;
constexpr unsigned kMostBits = 32;

// The most keys that so many slots hold.
constexpr std::uint64_t slots_hold(unsigned bits) { return (std::uint64_t{1} << bits) / 8 * 5; }

// 32 bits of a key's hash. Its upper bits are the place where the key is looked for first, so that
// a wider table is filled from a narrower one without the keys, in order.
std::uint32_t tag_of(const std::uint64_t* key) {
  return static_cast<std::uint32_t>(mix(key[0] ^ key[1] * 0x9E3779B97F4A7C15ull) >> 32);
}

// Asks for pages of 2 MiB where the system has them on request: the faults of small ones cost as
// much as what is done with the keys on them, and random places are found faster.
void prefer_large_pages(void* memory, std::uint64_t bytes) {
#if defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t kPage = std::uintptr_t{1} << 21;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (begin + kPage - 1) & ~(kPage - 1);
  const std::uintptr_t last = (begin + bytes) & ~(kPage - 1);
  if (first < last) {
    madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  }
#else
  static_cast<void>(memory);
  static_cast<void>(bytes);
#endif
}

}  // namespace

std::uint64_t KeyMap::bytes() const {
  const std::uint64_t slots = bits_ == 0 ? 0 : std::uint64_t{1} << bits_;
  return sizeof(*this) + sizeof(std::uint64_t) * (slots + 2 * room_);
}

Status KeyMap::reserve(std::uint64_t keys) {
  unsigned bits = std::max(bits_, kFewestBits);
  while (bits < kMostBits && slots_hold(bits) < keys) {
    ++bits;
  }
  if (slots_hold(bits) < keys) {
    return Status::fail(Code::limit, 0,
                        "a key map holds at most " + std::to_string(slots_hold(bits)) + " keys");
  }
  const bool done = (keys <= room_ || lengthen(std::max(keys, room_ + room_ / 2))) &&
                    (bits == bits_ || widen(bits));
  return done ? Status{}
              : Status::fail(Code::limit, 0, "no memory for " + std::to_string(keys) + " keys");
}

bool KeyMap::lengthen(std::uint64_t keys) {
  void* memory = std::realloc(keys_.get(), 2 * sizeof(std::uint64_t) * keys);
  if (memory == nullptr) {
    return false;
  }
  static_cast<void>(keys_.release());
  keys_.reset(static_cast<std::uint64_t*>(memory));
  room_ = keys;
  prefer_large_pages(memory, 2 * sizeof(std::uint64_t) * keys);
  return true;
}

bool KeyMap::widen(unsigned bits) {
  const std::uint64_t size = std::uint64_t{1} << bits;
  Memory wider{static_cast<std::uint64_t*>(std::calloc(size, sizeof(std::uint64_t)))};
  if (wider == nullptr) {
    return false;
  }
  prefer_large_pages(wider.get(), sizeof(std::uint64_t) * size);
  const std::uint64_t old_size = bits_ == 0 ? 0 : std::uint64_t{1} << bits_;
  for (std::uint64_t i = 0; i < old_size; ++i) {
    const std::uint64_t slot = slots_[i];
    if (slot == 0) {
      continue;
    }
    std::uint64_t at = slot >> 32 >> (32 - bits);
    while (wider[at] != 0) {
      at = (at + 1) & (size - 1);
    }
    wider[at] = slot;
  }
  slots_ = std::move(wider);
  bits_ = bits;
  return true;
}

// Computes the hashes, and asks for the slots and then for the keys that the slots name, so that
// the misses of a block overlap.
void KeyMap::fetch(std::uint64_t count, const std::uint64_t* keys, std::uint32_t* tags) const {
  for (std::uint64_t i = 0; i < count; ++i) {
    tags[i] = tag_of(keys + 2 * i);
    __builtin_prefetch(&slots_[home(tags[i])]);
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t slot = slots_[home(tags[i])];
    if (slot >> 32 == tags[i] && slot != 0) {
      __builtin_prefetch(&keys_[2 * ((slot & 0xFFFFFFFF) - 1)]);
    }
  }
}

void KeyMap::insert_block(std::uint64_t count, const std::uint64_t* keys, std::uint64_t* numbers,
                          std::uint8_t* fresh) {
  std::uint32_t tags[kKeyBlock];
  fetch(count, keys, tags);
  const std::uint64_t last = (std::uint64_t{1} << bits_) - 1;
  std::uint64_t *slots = slots_.get(), *known = keys_.get();
  std::uint64_t size = size_;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t* key = keys + 2 * i;
    std::uint64_t at = home(tags[i]);
    for (;; at = (at + 1) & last) {
      const std::uint64_t slot = slots[at];
      const std::uint64_t number = (slot & 0xFFFFFFFF) - 1;
      if (slot == 0) {
        numbers[i] = size;
        fresh[i] = 1;
        known[2 * size] = key[0];
        known[2 * size + 1] = key[1];
        slots[at] = std::uint64_t{tags[i]} << 32 | ++size;
        break;
      }
      if (slot >> 32 == tags[i] && holds(number, key)) {
        numbers[i] = number;
        fresh[i] = 0;
        break;
      }
    }
  }
  size_ = size;
}

// How many keys to make room for: where a batch that brings new keys as it did so far would double
// the map or more, up to four times as many at once, so that growing costs less.
std::uint64_t KeyMap::expected(std::uint64_t needed, std::uint64_t fresh, std::uint64_t done,
                               std::uint64_t n) const {
  if (done == 0) {
    return needed;
  }
  const auto more =
      static_cast<double>(n - done) * static_cast<double>(fresh) / static_cast<double>(done);
  const std::uint64_t all = size_ + static_cast<std::uint64_t>(more);
  return all < 2 * needed ? needed : std::min(all, 4 * needed);
}

Status KeyMap::insert(std::uint64_t n, const std::uint64_t* keys, std::uint64_t* numbers,
                      std::uint8_t* fresh) {
  const std::uint64_t before = size_;
  for (std::uint64_t begin = 0; begin < n; begin += kKeyBlock) {
    const std::uint64_t count = std::min(kKeyBlock, n - begin);
    if (const std::uint64_t needed = size_ + count;
        bits_ == 0 || needed > std::min(room_, slots_hold(bits_))) {
      Status s = reserve(expected(needed, size_ - before, begin, n));
      if (!s.ok()) {
        s = reserve(needed);
      }
      if (!s.ok()) {
        s.where = begin;
        return s;
      }
    }
    insert_block(count, keys + 2 * begin, numbers + begin, fresh + begin);
  }
  return {};
}

void KeyMap::find_block(std::uint64_t count, const std::uint64_t* keys,
                        std::uint64_t* numbers) const {
  std::uint32_t tags[kKeyBlock];
  fetch(count, keys, tags);
  const std::uint64_t last = (std::uint64_t{1} << bits_) - 1;
  for (std::uint64_t i = 0; i < count; ++i) {
    numbers[i] = kAbsent;
    std::uint64_t at = home(tags[i]);
    for (std::uint64_t slot; (slot = slots_[at]) != 0; at = (at + 1) & last) {
      const std::uint64_t number = (slot & 0xFFFFFFFF) - 1;
      if (slot >> 32 == tags[i] && holds(number, keys + 2 * i)) {
        numbers[i] = number;
        break;
      }
    }
  }
}

Status KeyMap::find(std::uint64_t n, const std::uint64_t* keys, std::uint64_t* numbers,
                    unsigned threads) const {
  if (bits_ == 0) {
    std::fill_n(numbers, n, kAbsent);
    return {};
  }
  return parallel_rows(n, threads, kFindGrain, [&](std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t at = begin; at < end; at += kKeyBlock) {
      find_block(std::min(kKeyBlock, end - at), keys + 2 * at, numbers + at);
    }
    return Status{};
  });
}

}  // namespace nasturtium
