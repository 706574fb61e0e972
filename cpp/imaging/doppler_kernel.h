#pragma once
// One pixel (or W pixels at once: F is float or a vector of simd.h), and the checks that both places share.
#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/exec.h"
#include "imaging/doppler.h"

namespace sonoray::doppler_kernel {

/// Sum of late conj(early).
template <class F>
struct LagSum {
  F re{}, im{};
  SONORAY_HD SONORAY_INLINE void add(F late_re, F late_im, F early_re, F early_im) {
    re += late_re * early_re + late_im * early_im;
    im += late_im * early_re - late_re * early_im;
  }
};

template <class F>
SONORAY_HD SONORAY_INLINE F square(F re, F im) {
  return re * re + im * im;
}

/// Power of the m - 1 pairs of neighbouring frames, from the sum over all frames and the squares at both ends.
template <class F>
SONORAY_HD SONORAY_INLINE F pair_power(F sum, F first, F last, float inverse_pairs) {
  return (sum - 0.5f * (first + last)) * inverse_pairs;
}

/// Argument of re + i im within 1e-7, 0 of zero. The arc tangent of [0, 1] is Abramowitz and Stegun's 4.4.49.
template <class F>
SONORAY_HD SONORAY_INLINE F angle(F re, F im) {
  constexpr float pi = 3.14159265358979f;
  const F zero = F{}, x = re < zero ? -re : re, y = im < zero ? -im : im;
  const F low = x < y ? x : y, high = x < y ? y : x;
  const F q = low / (high > zero ? high : zero + 1.0f), s = q * q;
  F a =
      q + q * s *
              (-0.3333314528f +
               s * (0.1999355085f +
                    s * (-0.1420889944f +
                         s * (0.1065626393f +
                              s * (-0.0752896400f + s * (0.0429096138f + s * (-0.0161657367f + s * 0.0028662257f)))))));
  a = x < y ? 0.5f * pi - a : a;
  a = re < zero ? pi - a : a;
  return im < zero ? -a : a;
}

/// Frames behind the filter.
inline std::int64_t filtered_frames(std::int64_t n, const SlowTimeFilter& f) {
  return f.synthesis ? f.synthesis.shape[0] : f.analysis ? f.analysis.shape[0] : n;
}

inline void check_moments(View<const std::complex<float>, 2> frames, const SlowTimeFilter& f,
                          const DopplerMoments& to) {
  const std::int64_t n = frames.shape[0], points = frames.shape[1], m = filtered_frames(n, f);
  require(n >= 1 && n <= 100000, "frames: expected 1 to 100000, got " + std::to_string(n));
  require(!f.analysis || f.analysis.shape[1] == n || f.analysis.shape[1] == 2 * n,
          "analysis: expected shape (r, n_frames) or (r, 2 n_frames)");
  require(!f.synthesis || f.analysis, "synthesis: expected an analysis, too");
  const std::int64_t r = f.analysis.shape[0];
  require(!f.synthesis || f.synthesis.shape[1] == r || f.synthesis.shape[1] == 2 * r,
          "synthesis: expected shape (m, r) or (m, 2 r)");
  require(!f.residual || (f.synthesis && m == n), "residual: expected a synthesis of as many frames");
  require(m >= 1 && m <= 100000 && r <= 100000, "analysis, synthesis: expected 1 to 100000 rows");
  require(to.lags.shape[0] <= kMostLags, "lags: expected at most " + std::to_string(kMostLags));
  for (std::int64_t i = 0; i < to.lags.shape[0]; ++i)
    require(to.lags.data[i] >= 1 && to.lags.data[i] < m, "lags: expected 1 to " + std::to_string(m - 1));
  const auto fits = [&](bool given, std::int64_t length, const char* name) {
    require(!given || length == points, std::string(name) + ": expected " + std::to_string(points) + " points");
  };
  require(to.lagged.shape[0] == to.lags.shape[0], "lagged: expected one row for each lag");
  fits(to.lags.shape[0] > 0, to.lagged.shape[1], "lagged");
  fits(bool(to.power), to.power.shape[0], "power");
  fits(bool(to.pair_power), to.pair_power.shape[0], "pair_power");
  fits(bool(to.filtered), to.filtered.shape[1], "filtered");
  require(!to.pair_power || m > 1, "pair_power: expected two frames or more");
  require(!to.filtered || to.filtered.shape[0] == m, "filtered: expected " + std::to_string(m) + " frames");
}

inline void check_phase(View<const std::complex<float>, 1> values, View<float, 1> out) {
  require(values.shape[0] == out.shape[0], "out: expected as many numbers as values");
}

}  // namespace sonoray::doppler_kernel
