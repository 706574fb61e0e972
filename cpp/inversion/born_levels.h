#pragma once
// Entry points of born_rows.cpp, one per processor level.
#include <complex>
#include <cstdint>

#include "inversion/born.h"

namespace sonoray {

#define SONORAY_BORN_LEVEL(level)                                                                                  \
  namespace level {                                                                                                \
  void born_rows(const BornWaves&, const View<std::complex<float>, 3>& out, std::int64_t begin, std::int64_t end); \
  void born_dots(const View<const std::complex<float>, 3>& a, const View<const std::complex<float>, 3>& b,         \
                 const float* factor, std::complex<float>* out, std::int64_t begin, std::int64_t end);             \
  }
// Points [begin, end).
SONORAY_BORN_LEVEL(baseline)
SONORAY_BORN_LEVEL(v3)
SONORAY_BORN_LEVEL(v4)
#undef SONORAY_BORN_LEVEL

}  // namespace sonoray
