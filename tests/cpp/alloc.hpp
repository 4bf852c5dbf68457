// Replaces the global operators new and delete of one program: counts what is allocated, and fails
// on demand. To be included by one file of a program only.
#pragma once

#include <malloc.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace alloc {

constexpr std::uint64_t kNever = ~std::uint64_t{0};

std::atomic<std::uint64_t> live{0};     // bytes
std::atomic<std::uint64_t> peak{0};     // of `live`, since the last Watch began
std::atomic<std::uint64_t> largest{0};  // of one request, since the last Watch began
std::atomic<std::uint64_t> count{0};    // requests since the last `arm`
std::atomic<std::uint64_t> fail_at{kNever};
std::atomic<bool> fail_on{false};  // all requests behind that one fail too
std::atomic<bool> fired{false};

inline void raise_to(std::atomic<std::uint64_t>& most, std::uint64_t value) {
  std::uint64_t seen = most.load();
  while (seen < value && !most.compare_exchange_weak(seen, value)) {
  }
}

inline void* take(std::size_t size) {
  const std::uint64_t number = ++count;
  if (number == fail_at || (fail_on && number > fail_at)) {
    fired = true;
    return nullptr;
  }
  raise_to(largest, size);
  void* block = std::malloc(size == 0 ? 1 : size);
  if (block != nullptr) {
    raise_to(peak, live += malloc_usable_size(block));
  }
  return block;
}

inline void drop(void* block) {
  if (block != nullptr) {
    live -= malloc_usable_size(block);
    std::free(block);
  }
}

// The request of that number from now on fails, and with `all` those behind it.
inline void arm(std::uint64_t number, bool all) {
  count = 0;
  fired = false;
  fail_on = all;
  fail_at = number;
}

// Whether a request failed since `arm`.
inline bool disarm() {
  fail_at = kNever;
  fail_on = false;
  return fired;
}

// What is allocated from here on.
class Watch {
 public:
  Watch() : before_(live) {
    peak = before_;
    largest = 0;
  }

  // What a decoder of that many bytes may allocate: the parser keeps 56 bytes a word and doubles.
  bool within(std::uint64_t bytes) const {
    return largest <= 64 * bytes + 4096 && peak - before_ <= 256 * bytes + 65536;
  }
  bool nothing_left() const { return live == before_; }

 private:
  std::uint64_t before_;
};

}  // namespace alloc

void* operator new(std::size_t size) {
  void* block = alloc::take(size);
  if (block == nullptr) {
    throw std::bad_alloc();
  }
  return block;
}

void* operator new[](std::size_t size) { return operator new(size); }

void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return alloc::take(size); }

void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return alloc::take(size); }

void operator delete(void* block) noexcept { alloc::drop(block); }
void operator delete[](void* block) noexcept { alloc::drop(block); }
void operator delete(void* block, std::size_t) noexcept { alloc::drop(block); }
void operator delete[](void* block, std::size_t) noexcept { alloc::drop(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { alloc::drop(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { alloc::drop(block); }
