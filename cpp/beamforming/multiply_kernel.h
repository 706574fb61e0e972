#pragma once
// Sums of signals with compressed magnitudes: delay-multiply-and-sum and p-DAS.
#include "beamforming/aperture.h"

namespace sonoray::multiply_kernel {

using namespace aperture;

/// x / |x|^(1 - 1 / p): phase or sign kept.
template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> compressed(Complex<F> x, float p) {
  const F square = x.re * x.re + x.im * x.im, safe = largest_of(square, zero<F>() + 1e-30f);
  F factor;
  if (p == 2.0f) {
    factor = 1.0f / simd::root(simd::root(safe));
  } else {
    factor = simd::exponential((0.5f / p - 0.5f) * simd::logarithm(safe));
  }
  factor = square > 1e-30f ? factor : zero<F>();
  return {x.re * factor, x.im * factor};
}

/// The mean over pairs i < j of s_i s_j, s being x / sqrt |x| (Matrone et al. 2015, eqs. 4 and 5, in the form of
/// Ramalli et al. 2017), times the sum of weights. Of I/Q it has twice the phase of a signal.
template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> delay_multiply_and_sum(const Aperture<F>& a) {
  F re = zero<F>(), im = re, own_re = re, own_im = re, own = re;
  for (int k = 0; k < a.n; ++k) {
    const Complex<F> s = compressed(a.signal(k), 2.0f);
    const F w = a.weight_of(k), w_re = w * s.re, w_im = w * s.im;
    re += w_re;
    im += w_im;
    own_re += w_re * w_re - w_im * w_im;
    own_im += 2.0f * w_re * w_im;
    own += w * w;
  }
  const F pairs = a.total * a.total - own;
  const F factor = pairs > 1e-6f ? a.total / (pairs > 1e-6f ? pairs : zero<F>() + 1.0f) : zero<F>();
  return {(re * re - im * im - own_re) * factor, (2.0f * re * im - own_im) * factor};
}

/// The p-th power of the mean of signals of which the p-th root was taken, times the sum of weights (Polichetti et al.
/// 2018, eqs. 3 to 5; Shen and Hsieh 2019 for I/Q).
template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> power_das(const Aperture<F>& a, float p) {
  F re = zero<F>(), im = re;
  for (int k = 0; k < a.n; ++k) {
    const Complex<F> s = compressed(a.signal(k), p);
    const F w = a.weight_of(k);
    re += w * s.re;
    im += w * s.im;
  }
  const F inverse = ratio(zero<F>() + 1.0f, a.total);
  re *= inverse;
  im *= inverse;
  const F square = re * re + im * im, safe = largest_of(square, zero<F>() + 1e-30f);
  F factor = p == 2.0f ? simd::root(safe) : simd::exponential((0.5f * p - 0.5f) * simd::logarithm(safe));
  factor = square > 1e-30f ? factor * a.total : zero<F>();
  return {re * factor, im * factor};
}

}  // namespace sonoray::multiply_kernel
