#pragma once
// What adaptive.cpp needs of the file that is compiled once per processor level.
#include "beamforming/adaptive.h"
#include "beamforming/das_levels.h"

namespace sonoray {

#define SONORAY_ADAPTIVE_LEVEL(level)                                                                                \
  namespace level {                                                                                                  \
  void adaptive_tile(const DasProblem&, const AdaptiveMethod&, const DasTiles&, const DasRecord&, std::int64_t tile, \
                     float* image, float* scratch);                                                                  \
  }
SONORAY_ADAPTIVE_LEVEL(baseline)
SONORAY_ADAPTIVE_LEVEL(v3)
SONORAY_ADAPTIVE_LEVEL(v4)
#undef SONORAY_ADAPTIVE_LEVEL

}  // namespace sonoray
