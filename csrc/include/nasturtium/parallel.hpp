#pragma once

#include <cstdint>
#include <functional>

#include "nasturtium/status.hpp"

namespace nasturtium {

// Runs work(begin, end) over chunks of [0, n) on up to `threads` threads, or here where n is at
// most `grain`. Rows must not depend on each other, so that the result is the same for any number
// of threads. Of several failures the one of the first chunk is returned; what work throws becomes
// Code::memory.
Status parallel_rows(std::uint64_t n, unsigned threads, std::uint64_t grain,
                     const std::function<Status(std::uint64_t, std::uint64_t)>& work);

}  // namespace nasturtium
