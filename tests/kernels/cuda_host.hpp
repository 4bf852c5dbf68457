#pragma once
// Runs a CUDA kernel on the CPU: a block at a time, each of its threads a thread. What it lacks of
// CUDA this header stands in for, so that the very source that nvcc compiles is tested.

#include <algorithm>
#include <barrier>
#include <cmath>
#include <memory>
#include <thread>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static

struct float4 {
  float x, y, z, w;
};
struct Place {
  unsigned x = 0, y = 0, z = 0;
};
inline thread_local Place threadIdx, blockIdx;
inline Place gridDim;
inline std::unique_ptr<std::barrier<>> meeting;
inline void __syncthreads() { meeting->arrive_and_wait(); }
using std::min;

template <class Kernel, class... Arguments>
void run_blocks(Kernel kernel, unsigned across, unsigned down, unsigned threads,
                Arguments... arguments) {
  gridDim = {across, down, 1};
  for (unsigned y = 0; y < down; ++y)
    for (unsigned x = 0; x < across; ++x) {
      meeting = std::make_unique<std::barrier<>>(threads);
      std::vector<std::thread> block;
      for (unsigned t = 0; t < threads; ++t)
        block.emplace_back([=] {
          threadIdx = {t, 0, 0};
          blockIdx = {x, y, 0};
          kernel(arguments...);
          meeting->arrive_and_drop();
        });
      for (std::thread& each : block) each.join();
    }
}
