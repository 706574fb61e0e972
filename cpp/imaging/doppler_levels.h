#pragma once
// Entry points of doppler_tiles.cpp, one per processor level.
#include <cstdint>

#include "imaging/doppler.h"

namespace sonoray {

constexpr int kDopplerTile = 64;  ///< pixels whose ensembles are in the cache at once

#define SONORAY_DOPPLER_LEVEL(level)                                                                          \
  namespace level {                                                                                           \
  void doppler_tiles(const View<const std::complex<float>, 2>&, const SlowTimeFilter&, const DopplerMoments&, \
                     float* scratch, std::int64_t begin, std::int64_t end);                                   \
  void doppler_angles(const std::complex<float>* values, float scale, float* out, std::int64_t begin,         \
                      std::int64_t end);                                                                      \
  }
// Tiles [begin, end), with `scratch` of doppler_scratch() floats; values [begin, end).
SONORAY_DOPPLER_LEVEL(baseline)
SONORAY_DOPPLER_LEVEL(v3)
SONORAY_DOPPLER_LEVEL(v4)
#undef SONORAY_DOPPLER_LEVEL

/// Rows of a tile: the ensemble and i times it, the analysis and i times it, the synthesis.
inline std::int64_t doppler_scratch(std::int64_t n, const SlowTimeFilter& f) {
  return 2 * kDopplerTile * (2 * n + 2 * f.analysis.shape[0] + f.synthesis.shape[0]);
}

}  // namespace sonoray
