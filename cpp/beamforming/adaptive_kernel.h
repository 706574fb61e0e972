#pragma once
// From the delayed signals of a point to its value, whatever the method.
#include "beamforming/adaptive.h"
#include "beamforming/coherence_kernel.h"
#include "beamforming/eigenspace_kernel.h"
#include "beamforming/multiply_kernel.h"

namespace sonoray::adaptive_kernel {

using namespace aperture;

/// Samples of each signal that the method looks at.
SONORAY_HD SONORAY_INLINE int temporal_samples(const AdaptiveMethod& m) {
  const bool smooths = m.kind == AdaptiveKind::capon || m.kind == AdaptiveKind::eigenspace ||
                       m.kind == AdaptiveKind::short_lag_coherence;
  return smooths ? 2 * m.temporal_samples + 1 : 1;
}

/// Columns of working memory that `adapt` needs for n signals.
SONORAY_HD SONORAY_INLINE std::int64_t columns_of(const AdaptiveMethod& m, int n) {
  const int temporal = temporal_samples(m);
  if (m.kind == AdaptiveKind::short_lag_coherence) return 2 * std::int64_t(n) * temporal;
  if (m.kind == AdaptiveKind::capon || m.kind == AdaptiveKind::eigenspace)
    return capon_kernel::columns_of(n, temporal, m.fraction, m.kind == AdaptiveKind::eigenspace);
  return 0;
}

template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> value_of(const AdaptiveMethod& m, const Aperture<F>& a, Column<F> columns) {
  switch (m.kind) {
    case AdaptiveKind::coherence_factor:
      return coherence_kernel::coherence_factor(a);
    case AdaptiveKind::generalized_coherence_factor:
      return coherence_kernel::generalized_coherence_factor(a, m.cutoff);
    case AdaptiveKind::phase_coherence:
      return coherence_kernel::phase_coherence(a, m.exponent);
    case AdaptiveKind::sign_coherence:
      return coherence_kernel::sign_coherence(a, m.exponent);
    case AdaptiveKind::delay_multiply_and_sum:
      return multiply_kernel::delay_multiply_and_sum(a);
    case AdaptiveKind::power_das:
      return multiply_kernel::power_das(a, m.exponent);
    case AdaptiveKind::capon:
      return capon_kernel::capon(a, m.fraction, m.loading, columns);
    case AdaptiveKind::eigenspace:
      return eigenspace_kernel::eigenspace(a, m.fraction, m.loading, m.threshold, columns);
    case AdaptiveKind::short_lag_coherence:
      return coherence_kernel::short_lag_coherence(a, m.fraction, columns);
  }
  return {zero<F>(), zero<F>()};
}

/// The value of a point from signals whose scale, counts and sums are still to be found; 0 where there are none.
template <class F>
SONORAY_HD SONORAY_INLINE Complex<F> adapt(const AdaptiveMethod& m, Aperture<F>& a, Column<F> columns) {
  measure(a);
  if (a.n == 0 || largest_lane(a.scale) <= 0.0f) return {zero<F>(), zero<F>()};
  Complex<F> value = value_of(m, a, columns);
  if (m.kind != AdaptiveKind::short_lag_coherence) {
    value.re *= a.size;
    value.im *= a.size;
  }
  return value;
}

}  // namespace sonoray::adaptive_kernel
