#pragma once
// Memory, the division of work among threads, and sums whose order the shape alone decides.

#include <cstddef>
#include <cstdlib>

namespace {

using Index = std::ptrdiff_t;

constexpr Index kMostUnits = 32;  // of work, each with sums of its own

inline float* allocate(Index count) {
  return static_cast<float*>(std::calloc(static_cast<std::size_t>(count), sizeof(float)));
}

// Calls body(first, last) on equal shares of the units. One thread enters no parallel region, which
// is what keeps a forked process from waiting for threads that it does not have.
template <class Body>
bool for_units(Index units, int threads, const Body& body) {
  if (threads > units) threads = static_cast<int>(units);
  if (threads <= 1) return units == 0 || body(0, units);
  int failed = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : failed)
  for (int t = 0; t < threads; ++t) failed += !body(units * t / threads, units * (t + 1) / threads);
  return failed == 0;
}

// Adds the units' shares of sums first, ..., last - 1 in the order of the units; `stride` sums
// each.
inline void add_shares(const float* shares, Index units, Index stride, Index first, Index last,
                       float* out) {
  constexpr Index kBlock = 64;
  for (Index at = first; at < last; at += kBlock) {
    const Index count = last - at < kBlock ? last - at : kBlock;
    double sum[kBlock] = {};
    for (Index unit = 0; unit < units; ++unit)
      for (Index i = 0; i < count; ++i)
        sum[i] += static_cast<double>(shares[unit * stride + at + i]);
    for (Index i = 0; i < count; ++i) out[at + i] = static_cast<float>(sum[i]);
  }
}

inline void add_shares(const float* shares, Index units, Index count, float* out) {
  add_shares(shares, units, count, 0, count, out);
}

// Aligned blocks cut from one allocation: first reserve all, then allocate, then take in the same
// order. What is taken holds nothing yet.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { std::free(memory_); }

  template <class T>
  void reserve(Index count) {
    size_ += lines(count * static_cast<Index>(sizeof(T)));
  }
  bool allocate() {
    memory_ = static_cast<char*>(
        std::aligned_alloc(kLine, static_cast<std::size_t>(size_ > 0 ? size_ : kLine)));
    return memory_ != nullptr;
  }
  template <class T>
  T* take(Index count) {
    T* found = reinterpret_cast<T*>(memory_ + used_);
    used_ += lines(count * static_cast<Index>(sizeof(T)));
    return found;
  }

 private:
  static constexpr Index kLine = 64;
  static Index lines(Index bytes) { return (bytes + kLine - 1) / kLine * kLine; }
  char* memory_ = nullptr;
  Index size_ = 0, used_ = 0;
};

}  // namespace
