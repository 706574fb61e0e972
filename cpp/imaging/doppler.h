#pragma once
// Doppler: what a sequence of I/Q images says about motion, in one pass over the ensemble of every pixel: the wall
// filter, then power and correlations along slow time.
#include <complex>
#include <cstdint>

#include "core/exec.h"
#include "core/view.h"

namespace sonoray {

/// A linear filter along slow time, y = A x, y = S A x or y = x - S A x for the ensemble x of a pixel. Complex
/// matrices stand with their real parts first, then their imaginary parts, along the second axis.
struct SlowTimeFilter {
  View<const float, 2> analysis;   ///< A (r, n) or, complex, (r, 2 n); empty: y = x
  View<const float, 2> synthesis;  ///< S (m, r) or (m, 2 r); empty: y = A x
  bool residual = false;           ///< y = x - S A x, with m = n
};

/// What is wanted of the filtered ensemble y of m frames; what is empty is left out.
struct DopplerMoments {
  View<const std::int32_t, 1> lags;       ///< each 1 to m - 1; in host memory, at most kMostLags
  View<std::complex<float>, 2> lagged;    ///< (n_lags, n_points) mean of y[k + lag] conj(y[k])
  View<float, 1> power;                   ///< (n_points) mean of |y|^2
  View<float, 1> pair_power;              ///< (n_points) mean of (|y[k]|^2 + |y[k + 1]|^2) / 2
  View<std::complex<float>, 2> filtered;  ///< (m, n_points) y itself
};

constexpr int kMostLags = 64;

/// Moments of every pixel of `frames` (n, n_points).
template <class Exec>
SONORAY_API void doppler_moments(const Exec&, View<const std::complex<float>, 2> frames, const SlowTimeFilter&,
                                 const DopplerMoments&);

/// out = scale * argument of `values`, in (-scale pi, scale pi].
template <class Exec>
SONORAY_API void doppler_phase(const Exec&, View<const std::complex<float>, 1> values, float scale, View<float, 1> out);

}  // namespace sonoray
