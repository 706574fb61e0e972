#pragma once
#include <cstdio>

/// Counts failures instead of stopping, so that one run shows all of them; main returns `failures`.
inline int failures = 0;

#define CHECK(x)                                                  \
  do {                                                            \
    if (!(x)) {                                                   \
      std::printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #x); \
      ++failures;                                                 \
    }                                                             \
  } while (0)
