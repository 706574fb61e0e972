#pragma once
// One element, value or pair of sub-apertures at a time (or W: F is float or a vector of simd.h).
#include <cstdint>

#include "core/exec.h"
#include "core/simd.h"
#include "core/taps.h"
#include "inversion/focus_criteria.h"

namespace sonoray::focus_kernel {

using simd::int_of;
using simd::lanes_of;

/// Double precision for as many numbers as F has.
template <class F, class = void>
struct WideOf {
  using type = double;
};
#if !defined(__CUDACC__)
template <class F>
struct WideOf<F, std::enable_if_t<(sizeof(F) > 4)>> {
  typedef double type __attribute__((vector_size(2 * sizeof(F))));
};
#endif
template <class F>
using wide_of = typename WideOf<F>::type;

template <class To, class From>
SONORAY_HD SONORAY_INLINE To convert(From x) {
  if constexpr (sizeof(From) <= 8 && sizeof(To) <= 8) {
    return static_cast<To>(x);
  } else {
#if !defined(__CUDACC__)
    return __builtin_convertvector(x, To);
#endif
  }
}

/// A travel time as a place in the record and as a turn of phase. In double precision: a late time has few digits
/// left for fractions of a period.
template <class F>
struct Arrival {
  int_of<F> whole;    ///< sample before
  F rest;             ///< fraction of the way to the next one, 0 to 1
  F real, imaginary;  ///< weight exp(2 pi i f_d T)
};

template <class F>
SONORAY_HD SONORAY_INLINE Arrival<F> arrival(F time, F weight, double sampling_frequency, double start,
                                             double demodulation_frequency) {
  using D = wide_of<F>;
  constexpr double most = 5e8, shift = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves no bits for a fraction
  const D t = convert<D>(time);
  D index = t * sampling_frequency - start;
  index = index < most ? index : D() + most;  // NaN, too
  index = index > -most ? index : D() - most;
  const D turns = t * demodulation_frequency, nearest = (turns + shift) - shift;
  const D lower = (index - 0.5 + shift) - shift;  // at most index, at least index - 1
  Arrival<F> r;
  r.whole = convert<int_of<F>>(lower);
  r.rest = convert<F>(index - lower);
  simd::sincos_turns(convert<F>(turns - nearest), r.imaginary, r.real);
  r.real = r.real * weight;
  r.imaginary = r.imaginary * weight;
  return r;
}

/// Sum of two arrivals' places; clamped to the zeros around the record.
template <class F>
SONORAY_HD SONORAY_INLINE F sum_of(int_of<F> whole, F rest, std::int32_t other_whole, float other_rest,
                                   std::int32_t n_samples, int_of<F>& at) {
  using I = int_of<F>;
  const F sum = rest + other_rest, more = sum >= 1.0f ? F() + 1.0f : F();
  at = whole + other_whole + convert<I>(more);
  at = at > -3 ? at : I() - 3;
  at = at < n_samples + 1 ? at : I() + (n_samples + 1);
  return sum - more;
}

/// Weights of the four samples around an arrival.
template <bool Cubic, class F>
SONORAY_HD SONORAY_INLINE void weights_of(F f, F* w) {
  if constexpr (Cubic) {
    taps::tap_weights<4>(f, w);
  } else {
    taps::tap_weights<2>(f, w + 1);
    w[0] = w[3] = F();
  }
}

template <bool Cubic, class F>
SONORAY_HD SONORAY_INLINE void slopes_of(F f, F* w) {
  if constexpr (Cubic) {
    taps::tap_slopes<4>(f, w);
  } else {
    taps::tap_slopes<2>(f, w + 1);
    w[0] = w[3] = F();
  }
}

/// Angle of (x, y), within 3e-7 rad.
template <class F>
SONORAY_HD SONORAY_INLINE F angle(F y, F x) {
  if constexpr (lanes_of<F> == 1) {
    return atan2f(y, x);
  } else {
#if !defined(__CUDACC__)
    const F ax = x < 0.0f ? -x : x, ay = y < 0.0f ? -y : y;
    const F high = ax > ay ? ax : ay, low = ax > ay ? ay : ax;
    const F ratio = low / (high > 1e-37f ? high : F() + 1e-37f);
    const auto steep = ratio > 0.41421356f;  // tan(pi / 8)
    const F t = steep ? (ratio - 1.0f) / (ratio + 1.0f) : ratio, z = t * t;
    F r = t + t * z * (-0.33333303f + z * (0.19997896f + z * (-0.1423451f + z * (0.10536127f - 0.05948378f * z))));
    r = steep ? r + 0.78539816f : r;
    r = ay > ax ? 1.57079633f - r : r;
    r = x < 0.0f ? 3.14159265f - r : r;
    return y < 0.0f ? -r : r;
#endif
  }
}

/// A pair of sub-apertures with a common midpoint: correlation normalised by both energies.
template <class F>
struct Pair {
  F real, imaginary, energy;
};

template <class F>
SONORAY_HD SONORAY_INLINE Pair<F> pair(F real, F imaginary, F square_a, F square_b) {
  const F energy = simd::root(square_a) * simd::root(square_b);
  const F inverse = energy > 0.0f ? 1.0f / (energy > 0.0f ? energy : F() + 1.0f) : F();
  return {real * inverse, imaginary * inverse, energy};
}

}  // namespace sonoray::focus_kernel
