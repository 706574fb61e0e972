#pragma once
// The delayed signals of a point (or of W points at once), as every method finds them on every place.
#include <cstdint>

#include "beamforming/adaptive.h"
#include "core/simd_functions.h"

namespace sonoray::aperture {

using simd::lanes_of;

/// Numbers that lie `step` floats apart, one F each: W neighbouring lanes on the host, threads on CUDA.
template <class F>
struct Column {
  float* at;
  std::int64_t step;

  SONORAY_HD SONORAY_INLINE F operator[](std::int64_t i) const {
    if constexpr (lanes_of<F> == 1) {
      return at[i * step];
    } else {
#if !defined(__CUDACC__)
      return simd::load<F>(at + i * step);
#endif
    }
  }
  SONORAY_HD SONORAY_INLINE void set(std::int64_t i, F value) const {
    if constexpr (lanes_of<F> == 1) {
      at[i * step] = value;
    } else {
#if !defined(__CUDACC__)
      simd::store(at + i * step, value);
#endif
    }
  }
  SONORAY_HD SONORAY_INLINE float& lane(std::int64_t i, int l) const { return at[i * step + l]; }
  /// What follows the first i numbers.
  SONORAY_HD SONORAY_INLINE Column after(std::int64_t i) const { return {at + i * step, step}; }
};

template <class F>
struct Complex {
  F re, im;
};

/// Signals x_k of the entries k, zero where masked. Entries are those that any lane sees, in their order; `slab` apart
/// lie those of `temporal` neighbouring samples, the middle one being the point's own.
template <class F>
struct Aperture {
  Column<F> re, im;  ///< im.step 0 for RF: a zero
  Column<F> mask;    ///< 1 or 0
  Column<F> weight;  ///< window over the aperture, or null for `mask`
  std::int64_t slab;
  int n, temporal;
  F scale;         ///< 1 over the largest signal: squares then neither vanish nor overflow
  F size;          ///< the largest signal
  F count, total;  ///< sums of mask and weight

  SONORAY_HD SONORAY_INLINE Complex<F> signal(int k, int d) const {
    const std::int64_t at = d * slab + k;
    return {re[at] * scale, im[at] * scale};
  }
  /// The point's own sample.
  SONORAY_HD SONORAY_INLINE Complex<F> signal(int k) const { return signal(k, temporal / 2); }
  SONORAY_HD SONORAY_INLINE F weight_of(int k) const { return weight.at ? weight[k] : mask[k]; }
};

template <class F>
SONORAY_HD SONORAY_INLINE F zero() {
  return F() + 0.0f;
}

template <class F>
SONORAY_HD SONORAY_INLINE F largest_of(F a, F b) {
  return a > b ? a : b;
}

template <class F>
SONORAY_HD SONORAY_INLINE F size_of(F a) {
  return a > 0.0f ? a : -a;
}

/// a / b, 0 where b is 0.
template <class F>
SONORAY_HD SONORAY_INLINE F ratio(F a, F b) {
  return b > 0.0f ? a / (b > 0.0f ? b : zero<F>() + 1.0f) : zero<F>();
}

/// The largest of the lanes.
template <class F>
SONORAY_HD SONORAY_INLINE float largest_lane(F x) {
  if constexpr (lanes_of<F> == 1) {
    return x;
  } else {
#if !defined(__CUDACC__)
    return simd::largest(x);
#endif
  }
}

/// Fills in count, total and the scale.
template <class F>
SONORAY_HD SONORAY_INLINE void measure(Aperture<F>& a) {
  a.count = a.total = a.size = zero<F>();
  for (int k = 0; k < a.n; ++k) {
    a.count += a.mask[k];
    a.total += a.weight_of(k);
    for (int d = 0; d < a.temporal; ++d) {
      const std::int64_t at = d * a.slab + k;
      a.size = largest_of(a.size, largest_of(size_of(a.re[at]), size_of(a.im[at])));
    }
  }
  const F counts = a.size > 1e-36f ? a.size : zero<F>() + 1.0f;
  a.scale = a.size > 1e-36f ? 1.0f / counts : zero<F>();
}

}  // namespace sonoray::aperture
