#pragma once
// What must hold before any schedule of an adaptive beamformer reads memory, on either place.
#include <string>

#include "beamforming/adaptive.h"
#include "beamforming/das_check.h"

namespace sonoray {

inline void check_adaptive(const DasProblem& p, const AdaptiveMethod& m) {
  check_das(p);
  const int kind = static_cast<int>(m.kind), over = static_cast<int>(m.over);
  require(kind >= 0 && kind <= 8, "kind: expected 0 to 8, got " + std::to_string(kind));
  require(over >= 0 && over <= 2, "over: expected 0, 1 or 2, got " + std::to_string(over));
  require(m.over == AdaptiveOver::each || p.compounding == Compounding::coherent,
          "compounding: expected coherent unless each transmit is adapted for itself");
  require(m.cutoff >= 0 && m.cutoff < (1 << 16), "cutoff: expected 0 to 65535, got " + std::to_string(m.cutoff));
  require(m.exponent > 0.0f && m.exponent <= 64.0f, "exponent: expected 0 to 64, got " + std::to_string(m.exponent));
  require(m.fraction > 0.0f && m.fraction <= 1.0f, "fraction: expected 0 to 1, got " + std::to_string(m.fraction));
  require(m.loading >= 0.0f && m.loading <= 1e6f, "loading: expected 0 to 1e6, got " + std::to_string(m.loading));
  require(m.threshold >= 0.0f && m.threshold <= 1.0f, "threshold: expected 0 to 1, got " + std::to_string(m.threshold));
  require(m.temporal_samples >= 0 && m.temporal_samples <= 32,
          "temporal_samples: expected 0 to 32, got " + std::to_string(m.temporal_samples));
  require(!p.axes && !p.rx_weight, "axes, rx_weight: adaptive beamformers take apertures around the normals alone");
  require(p.wavelengths < 0.0f, "wavelengths: adaptive beamformers know no directivity");
}

/// Whether the image is real: RF, magnitudes, coherence.
inline bool adaptive_is_real(const DasProblem& p, const AdaptiveMethod& m) {
  return p.demodulation_frequency <= 0.0f || p.compounding == Compounding::incoherent ||
         m.kind == AdaptiveKind::short_lag_coherence;
}

}  // namespace sonoray
