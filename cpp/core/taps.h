#pragma once
// Interpolation between samples, f being the fraction of the way to the next one (float or a vector of simd.h).
#include "core/exec.h"

namespace sonoray::taps {

/// Weights of the samples at floor(index) + {0, 1} (linear) or {-1, 0, 1, 2} (Keys 1981, a = -1/2).
template <int TAPS, class F>
SONORAY_HD SONORAY_INLINE void tap_weights(F f, F* w) {
  if constexpr (TAPS == 2) {
    w[0] = 1.0f - f;
    w[1] = f;
  } else {
    const F g = 1.0f - f;
    w[0] = -0.5f * f * g * g;
    w[1] = g * (1.0f + f * (1.0f - 1.5f * f));
    w[2] = f * (1.0f + g * (1.0f - 1.5f * g));
    w[3] = -0.5f * g * f * f;
  }
}

/// Their derivatives with respect to f.
template <int TAPS, class F>
SONORAY_HD SONORAY_INLINE void tap_slopes(F f, F* w) {
  if constexpr (TAPS == 2) {
    w[0] = F() - 1.0f;
    w[1] = F() + 1.0f;
  } else {
    const F g = 1.0f - f;
    w[0] = -0.5f * g * (1.0f - 3.0f * f);
    w[1] = f * (4.5f * f - 5.0f);
    w[2] = 0.5f + f * (4.0f - 4.5f * f);
    w[3] = 0.5f * f * (3.0f * f - 2.0f);
  }
}

}  // namespace sonoray::taps
