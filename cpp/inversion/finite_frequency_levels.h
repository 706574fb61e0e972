#pragma once
// Entry points of finite_frequency_sweep.cpp, one per processor level.
#include <cstdint>

#include "inversion/finite_frequency.h"

namespace sonoray {

#define SONORAY_FRESNEL_LEVEL(level)                                                                           \
  namespace level {                                                                                            \
  void fresnel_forward(const FresnelSetup&, const float* block_tx, const float* block_rx, const float* change, \
                       float* delay, std::int64_t begin, std::int64_t end);                                    \
  void fresnel_adjoint(const FresnelSetup&, const float* block_tx, const float* block_rx, const float* weight, \
                       float* image, std::int64_t begin, std::int64_t end);                                    \
  }
// Pairs, or blocks for the transpose, [begin, end). block_tx, block_rx (elements, blocks): earliest time in a block.
SONORAY_FRESNEL_LEVEL(baseline)
SONORAY_FRESNEL_LEVEL(v3)
SONORAY_FRESNEL_LEVEL(v4)
#undef SONORAY_FRESNEL_LEVEL

}  // namespace sonoray
