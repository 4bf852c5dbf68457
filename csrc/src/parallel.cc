#include "nasturtium/parallel.hpp"

#include <algorithm>
#include <exception>
#include <thread>
#include <vector>

namespace nasturtium {
namespace {

// An exception that leaves a thread ends the process, so none does. All that the standard library
// throws in these loops is that it lacks memory; the message is short enough to need none.
Status caught(const std::function<Status(std::uint64_t, std::uint64_t)>& work, std::uint64_t begin,
              std::uint64_t end) {
  try {
    return work(begin, end);
  } catch (const std::exception&) {
    return Status::fail(Code::memory, 0, "out of memory");
  }
}

}  // namespace

Status parallel_rows(std::uint64_t n, unsigned threads, std::uint64_t grain,
                     const std::function<Status(std::uint64_t, std::uint64_t)>& work) {
  const std::uint64_t most = std::max<std::uint64_t>(1, n / std::max<std::uint64_t>(1, grain));
  const std::uint64_t count = std::min<std::uint64_t>({std::max(threads, 1u), most, 256});
  if (count == 1) {
    return caught(work, 0, n);
  }
  std::vector<Status> results(count);
  std::vector<std::thread> pool;
  pool.reserve(count - 1);
  const auto run = [&](std::uint64_t i) {
    results[i] = caught(work, n * i / count, n * (i + 1) / count);
  };
  std::uint64_t started = 1;
  try {
    for (; started < count; ++started) {
      pool.emplace_back(run, started);
    }
  } catch (const std::exception&) {
    // No further thread, or no memory for one, is to be had: the chunks that are left run here.
  }
  run(0);
  for (std::uint64_t i = started; i < count; ++i) {
    run(i);
  }
  for (std::thread& thread : pool) {
    thread.join();
  }
  for (Status& result : results) {
    if (!result.ok()) {
      return std::move(result);
    }
  }
  return {};
}

}  // namespace nasturtium
