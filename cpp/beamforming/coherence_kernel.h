#pragma once
// Coherence factors: how well the signals of a point agree, times their sum.
#include "beamforming/aperture.h"

namespace sonoray::coherence_kernel {

using namespace aperture;

/// Weighted sum, plain sum and sum of squares.
template <class F>
struct Sums {
  F re, im, plain_re, plain_im, power;
};

template <class F>
SONORAY_HD SONORAY_INLINE Sums<F> sums_of(const Aperture<F>& a) {
  Sums<F> s{zero<F>(), zero<F>(), zero<F>(), zero<F>(), zero<F>()};
  for (int k = 0; k < a.n; ++k) {
    const Complex<F> x = a.signal(k);
    s.plain_re += x.re;
    s.plain_im += x.im;
    s.power += x.re * x.re + x.im * x.im;
    if (a.weight.at) {
      const F w = a.weight[k];
      s.re += w * x.re;
      s.im += w * x.im;
    }
  }
  if (!a.weight.at) {
    s.re = s.plain_re;
    s.im = s.plain_im;
  }
  return s;
}

template <class F>
SONORAY_HD SONORAY_INLINE F at_most_one(F x) {
  return x < 1.0f ? x : zero<F>() + 1.0f;  // rounding may lift it past 1
}

/// |sum x|^2 / (m sum |x|^2), Mallart and Fink 1994.
template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> coherence_factor(const Aperture<F>& a) {
  const Sums<F> s = sums_of(a);
  const F square = s.plain_re * s.plain_re + s.plain_im * s.plain_im;
  const F factor = at_most_one(ratio(square, a.count * s.power));
  return {s.re * factor, s.im * factor};
}

/// The share of spatial frequencies -cutoff to cutoff of the signals' power (Li and Li 2003, eq. 5). A lane's signals
/// are counted without the entries that it does not see.
template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> generalized_coherence_factor(const Aperture<F>& a, int cutoff) {
  const Sums<F> s = sums_of(a);
  F low = s.plain_re * s.plain_re + s.plain_im * s.plain_im;
  const F m = largest_of(a.count, zero<F>() + 1.0f);
  for (int f = 1; f <= cutoff; ++f) {
    const F twice = zero<F>() + 2.0f * static_cast<float>(f);
    // Frequencies f and -f of m signals; they are one where 2 f = m, and beyond it has been counted already.
    const F share = twice < m ? zero<F>() + 2.0f : twice > m ? zero<F>() : zero<F>() + 1.0f;
    if (largest_lane(share) <= 0.0f) break;
    const F turns = twice < m ? 0.5f * twice / m : zero<F>() + 0.5f;
    F sine, cosine;
    simd::sincos_turns(turns, sine, cosine);
    F c = zero<F>() + 1.0f, d = zero<F>();
    F cos_re = zero<F>(), cos_im = cos_re, sin_re = cos_re, sin_im = cos_re;
    for (int k = 0; k < a.n; ++k) {
      const Complex<F> x = a.signal(k);
      cos_re += c * x.re;
      cos_im += c * x.im;
      sin_re += d * x.re;
      sin_im += d * x.im;
      const F mask = a.mask[k], turned = c * cosine - d * sine, raised = c * sine + d * cosine;
      c = mask > 0.0f ? turned : c;
      d = mask > 0.0f ? raised : d;
    }
    low += share * (cos_re * cos_re + cos_im * cos_im + sin_re * sin_re + sin_im * sin_im);
  }
  const F factor = at_most_one(ratio(low, a.count * s.power));
  return {s.re * factor, s.im * factor};
}

/// 1 - gamma / (pi / sqrt 3) min(std(phi), std(phi turned by pi)), at least 0 (Camacho, Parrilla and Fritsch 2009,
/// eqs. 10 to 13). Deviations are summed from the phase of the sum, near which they cancel least.
template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> phase_coherence(const Aperture<F>& a, float gamma) {
  constexpr float pi = 3.14159265358979f;
  const Sums<F> s = sums_of(a);
  const F middle = simd::arctangent(s.plain_im, s.plain_re);
  const F turned_middle = middle < 0.0f ? middle + pi : middle - pi;
  F sum = zero<F>(), squares = sum, turned_sum = sum, turned_squares = sum;
  for (int k = 0; k < a.n; ++k) {
    const Complex<F> x = a.signal(k);
    const F phase = simd::arctangent(x.im, x.re), turned = phase < 0.0f ? phase + pi : phase - pi;
    const F mask = a.mask[k], u = (phase - middle) * mask, v = (turned - turned_middle) * mask;
    sum += u;
    squares += u * u;
    turned_sum += v;
    turned_squares += v * v;
  }
  const F m = largest_of(a.count, zero<F>() + 1.0f), inverse = 1.0f / m;
  const F variance = squares * inverse - sum * inverse * (sum * inverse);
  const F turned_variance = turned_squares * inverse - turned_sum * inverse * (turned_sum * inverse);
  const F least = variance < turned_variance ? variance : turned_variance;
  const F deviation = simd::root(largest_of(least, zero<F>()));
  const F factor = largest_of(1.0f - deviation * (gamma * 0.551328895f), zero<F>());  // sqrt(3) / pi
  return {s.re * factor, s.im * factor};
}

/// Sign coherence of a sum of `count` signs.
template <class F>
SONORAY_HD SONORAY_INLINE F sign_factor(F sum, F count, float power) {
  const F mean = sum / largest_of(count, zero<F>() + 1.0f);
  const F value = 1.0f - simd::root(largest_of(1.0f - mean * mean, zero<F>()));
  if (power == 1.0f) return value;
  const F safe = largest_of(value, zero<F>() + 1e-30f);
  return value > 0.0f ? simd::exponential(power * simd::logarithm(safe)) : zero<F>();
}

/// (1 - sqrt(1 - mean(sign)^2))^power (Camacho, Parrilla and Fritsch 2009, eqs. 17 and 18), of real and imaginary part
/// each for itself, which for I/Q are two RF signals in quadrature.
template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> sign_coherence(const Aperture<F>& a, float power) {
  const Sums<F> s = sums_of(a);
  F re = zero<F>(), im = re;
  for (int k = 0; k < a.n; ++k) {
    const Complex<F> x = a.signal(k);
    const F mask = a.mask[k];
    re += x.re < 0.0f ? -mask : mask;
    im += x.im < 0.0f ? -mask : mask;
  }
  return {s.re * sign_factor(re, a.count, power), s.im * sign_factor(im, a.count, power)};
}

/// Whether any lane sees signals on both sides of entries that it does not see.
template <class F>
SONORAY_HD SONORAY_INLINE bool has_gaps(const Aperture<F>& a) {
  F begun = zero<F>(), ended = begun, gaps = begun;
  for (int k = 0; k < a.n; ++k) {
    const F mask = a.mask[k];
    ended = largest_of(ended, begun - mask);
    gaps = largest_of(gaps, ended * mask);
    begun = largest_of(begun, mask);
  }
  return largest_lane(gaps) > 0.0f;
}

/// Moves each lane's numbers of the entries that it sees together, in their order, and zeros behind them.
template <class F>
SONORAY_HD SONORAY_INLINE void close_gaps(const Aperture<F>& a, Column<F> numbers) {
  for (int l = 0; l < lanes_of<F>; ++l) {
    for (int d = 0; d < a.temporal; ++d) {
      int j = d * a.n;
      for (int k = 0; k < a.n; ++k) {
        if (a.mask.lane(k, l) != 0.0f) numbers.lane(j++, l) = numbers.lane(d * a.n + k, l);
      }
      while (j < (d + 1) * a.n) numbers.lane(j++, l) = 0.0f;
    }
  }
}

/// Mean normalised correlation of neighbours 1 to L apart, L being a fraction of the active signals, at least 1
/// (Lediju et al. 2011, eqs. 2 and 3, divided by L). `columns`: two for each entry and sample.
template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> short_lag_coherence(const Aperture<F>& a, float fraction, Column<F> columns) {
  const int stride = a.n * a.temporal;
  const Column<F> re = columns, im = columns.after(stride);
  for (int k = 0; k < a.n; ++k) {
    F power = zero<F>();
    for (int d = 0; d < a.temporal; ++d) {
      const Complex<F> x = a.signal(k, d);
      power += x.re * x.re + x.im * x.im;
    }
    const F inverse = ratio(zero<F>() + 1.0f, simd::root(power));
    for (int d = 0; d < a.temporal; ++d) {
      const Complex<F> x = a.signal(k, d);
      re.set(d * a.n + k, x.re * inverse);
      im.set(d * a.n + k, x.im * inverse);
    }
  }
  if (has_gaps(a)) {  // neighbours are those of a lane's own signals
    close_gaps(a, re);
    close_gaps(a, im);
  }
  // The nearest whole number, half way up, in float32 on every place.
  const F lags = largest_of(simd::to_float<F>(simd::to_int(a.count * fraction + 0.5f)), zero<F>() + 1.0f);
  const int most = static_cast<int>(largest_lane(lags));
  F total = zero<F>();
  for (int lag = 1; lag <= most && lag < a.n; ++lag) {
    F sum = zero<F>();
    for (int k = 0; k + lag < a.n; ++k) {
      for (int d = 0; d < a.temporal; ++d) {
        const int i = d * a.n + k;
        sum += re[i] * re[i + lag] + im[i] * im[i + lag];
      }
    }
    const F pairs = a.count - static_cast<float>(lag);
    total += lags < static_cast<float>(lag) ? zero<F>() : ratio(sum, pairs);
  }
  return {total / lags, zero<F>()};
}

}  // namespace sonoray::coherence_kernel
