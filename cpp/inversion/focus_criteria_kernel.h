#pragma once
// One element, value or pair of sub-apertures at a time (or W: F is float or a vector of simd.h).
#include <cmath>
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

/// 1 where two fractions add up to a whole sample, else 0.
template <class F>
SONORAY_HD SONORAY_INLINE F carry(F sum) {
  return sum >= 1.0f ? F() + 1.0f : F();
}

/// Sample number, or one whose neighbours are zeros if it lies outside the record.
template <class I>
SONORAY_HD SONORAY_INLINE I inside(I at, std::int32_t n_samples) {
  at = at > -3 ? at : I() - 3;
  return at < n_samples + 1 ? at : I() + (n_samples + 1);
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

/// A focused value and its derivative with respect to time.
template <class F>
struct Value {
  F real, imaginary;
  F real_slope, imaginary_slope;  ///< [1/s], 0 unless asked for
};

/// From four samples, the fraction between the middle two, and the phases of both ways.
template <bool Cubic, bool Slopes, class F>
SONORAY_HD SONORAY_INLINE Value<F> value(const F* re, const F* im, F f, float tx_real, float tx_imaginary, F rx_real,
                                         F rx_imaginary, float rate, float omega) {
  F w[4];
  weights_of<Cubic>(f, w);
  const F x = w[0] * re[0] + w[1] * re[1] + w[2] * re[2] + w[3] * re[3];
  const F y = w[0] * im[0] + w[1] * im[1] + w[2] * im[2] + w[3] * im[3];
  const F phase_real = tx_real * rx_real - tx_imaginary * rx_imaginary;
  const F phase_imaginary = tx_real * rx_imaginary + tx_imaginary * rx_real;
  Value<F> v{};
  v.real = phase_real * x - phase_imaginary * y;
  v.imaginary = phase_real * y + phase_imaginary * x;
  if constexpr (Slopes) {
    slopes_of<Cubic>(f, w);
    const F dx = rate * (w[0] * re[0] + w[1] * re[1] + w[2] * re[2] + w[3] * re[3]);
    const F dy = rate * (w[0] * im[0] + w[1] * im[1] + w[2] * im[2] + w[3] * im[3]);
    v.real_slope = phase_real * dx - phase_imaginary * dy - omega * v.imaginary;
    v.imaginary_slope = phase_real * dy + phase_imaginary * dx + omega * v.real;
  }
  return v;
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

/// One pair's part in the phase error: 1 + (scale angle)^2, 1 if it has no say, and the derivative of its logarithm
/// with respect to the correlation before normalisation.
template <class F>
struct PhaseTerm {
  F factor, kept, real, imaginary;
};

template <class F>
SONORAY_HD SONORAY_INLINE PhaseTerm<F> phase_term(const Pair<F>& p, float threshold, float scale) {
  const F one = F() + 1.0f, zero = F(), square = p.real * p.real + p.imaginary * p.imaginary;
  const F kept = square > threshold * threshold ? one : zero, phase = angle(p.imaginary, p.real);
  const F factor = 1.0f + (scale * scale) * phase * phase;
  // d angle(z) = Re(conj(i z) dz) / abs(z)^2
  F slope = kept * (2.0f * scale * scale) * phase / factor;
  slope = slope / (square * p.energy > 0.0f ? square * p.energy : one);
  return {kept > 0.0f ? factor : one, kept, -slope * p.imaginary, slope * p.real};
}

/// A point's part in the coherence factor or the brightness: the quotient of abs(total) and `below`. Its derivative
/// with respect to a receiver's sum s is total * along + s / abs(s) * back, for the loss, which falls as it grows.
struct PointTerm {
  float value, counts, along, back;
};

SONORAY_HD SONORAY_INLINE PointTerm point_term(float real, float imaginary, float below, bool coherence) {
  const float size = simd::root(real * real + imaginary * imaginary);
  const bool counts = below > 0.0f;
  PointTerm t{counts ? size / below : 0.0f, counts ? 1.0f : 0.0f, 0.0f, 0.0f};
  if (counts && size > 0.0f) t.along = -1.0f / (size * below);
  if (counts && coherence) t.back = t.value / below;
  return t;
}

/// The loss from what patches added up to. Without a pair that counts it is the largest possible.
SONORAY_HD SONORAY_INLINE double mean_loss(const FocusCriterion& criterion, double sum, double count) {
  constexpr double pi = 3.141592653589793;
  if (criterion.measure != FocusMeasure::phase_error) return count > 0.0 ? 1.0 - sum / count : 1.0;
  return count > 0.0 ? sum / count : log(1.0 + criterion.scale * pi * criterion.scale * pi);
}

}  // namespace sonoray::focus_kernel
