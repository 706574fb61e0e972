#pragma once
// What envelope.cpp needs of the file that is compiled once per processor level.
#include <cstdint>

namespace sonoray {

/// Rows that are transformed at once: a pair in each lane, as real and imaginary part.
inline constexpr int envelope_lanes = 8, envelope_rows = 2 * envelope_lanes;

struct EnvelopeTables {
  std::int64_t n;
  const float* roots;  ///< (n, 2)
  const int* factors;  ///< of n
  int n_factors;
};

/// Floats of working memory, to be aligned to 32 bytes.
inline constexpr std::int64_t envelope_scratch(std::int64_t n) { return 4 * n * envelope_lanes; }

#define SONORAY_ENVELOPE_LEVEL(level)                                                                     \
  namespace level {                                                                                       \
  void envelope_block(const EnvelopeTables&, const float* rf, int rows, float* envelope, float* scratch); \
  }
SONORAY_ENVELOPE_LEVEL(baseline)
SONORAY_ENVELOPE_LEVEL(v3)
SONORAY_ENVELOPE_LEVEL(v4)
#undef SONORAY_ENVELOPE_LEVEL

}  // namespace sonoray
