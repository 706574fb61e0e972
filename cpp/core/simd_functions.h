#pragma once
// Functions of W floats that few files need.
#include "core/simd.h"

namespace sonoray::simd {

/// The natural logarithm of x > 0, not denormal, within 3e-7 + 1e-7 |log x|.
template <class F>
SONORAY_HD SONORAY_INLINE F logarithm(F x) {
  if constexpr (lanes_of<F> == 1) {
#if defined(__CUDA_ARCH__)
    return logf(x);
#else
    return __builtin_logf(x);
#endif
  } else {
#if !defined(__CUDACC__)
    using I = int_of<F>;
    const I bits = reinterpret_cast<I>(x);
    I exponent = (bits >> 23) - 127;
    F m = reinterpret_cast<F>((bits & 0x7fffff) | 0x3f800000);  // 1 to 2
    const I upper = m > 1.41421356f;
    exponent -= upper;  // true is -1
    m = upper ? m * 0.5f : m;
    const F s = (m - 1.0f) / (m + 1.0f), q = s * s;
    const F series = 2.0f * s * (1.0f + q * (3.3333333e-1f + q * (2e-1f + q * (1.4285714e-1f + q * 1.1111111e-1f))));
    return to_float<F>(exponent) * 0.69314718f + series;
#endif
  }
}

/// The angle of (x, y), -pi to pi, within 4e-7; 0 for (0, 0).
template <class F>
SONORAY_HD SONORAY_INLINE F arctangent(F y, F x) {
  if constexpr (lanes_of<F> == 1) {
#if defined(__CUDA_ARCH__)
    return atan2f(y, x);
#else
    return __builtin_atan2f(y, x);
#endif
  } else {
#if !defined(__CUDACC__)
    const F zero = F{}, a = x < 0.0f ? -x : x, b = y < 0.0f ? -y : y;
    const F most = a > b ? a : b, least = a > b ? b : a;
    const F t = least / (most > 0.0f ? most : zero + 1.0f);
    const F steep = t > 0.41421356f ? zero + 1.0f : zero;  // beyond pi / 8, from pi / 4 on
    const F u = (t - steep) / (1.0f + t * steep), q = u * u;
    F angle = u + u * q * (-3.3332949e-1f + q * (1.9977711e-1f + q * (-1.3877686e-1f + q * 8.0537446e-2f)));
    angle += steep * 0.78539816f;
    angle = a > b ? angle : 1.57079633f - angle;
    angle = most > 0.0f ? angle : zero;
    angle = x < 0.0f ? 3.14159265f - angle : angle;
    return y < 0.0f ? -angle : angle;
#endif
  }
}

}  // namespace sonoray::simd
