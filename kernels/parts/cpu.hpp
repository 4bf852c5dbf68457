#pragma once
// Images as N, H, W, C, C = own * parts, against their first `own` channels and the others.
// reference.py is the definition.

#include <cstddef>

namespace nasturtium::kernels {

struct PartsShape {
  std::ptrdiff_t pixels, own, parts;
  bool shuffled;  // in the whole, channel i of part k is number i * parts + k, else k * own + i
};

struct PartsTable {
  void (*split)(const PartsShape&, const float* whole, float* first, float* rest, int threads);
  void (*join)(const PartsShape&, const float* first, const float* rest, float* whole, int threads);
};

}  // namespace nasturtium::kernels
