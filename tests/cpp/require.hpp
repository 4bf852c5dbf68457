#pragma once

#include <cstdio>

// Ends a check that returns bool, and says where and what.
#define REQUIRE(condition)                                                       \
  do {                                                                           \
    if (!(condition)) {                                                          \
      std::fprintf(stderr, "line %d: %s does not hold\n", __LINE__, #condition); \
      return false;                                                              \
    }                                                                            \
  } while (false)
