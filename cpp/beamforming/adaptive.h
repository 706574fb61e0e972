#pragma once
#include <cstdint>

#include "beamforming/das.h"

namespace sonoray {

enum class AdaptiveKind {
  coherence_factor = 0,
  generalized_coherence_factor = 1,
  phase_coherence = 2,
  sign_coherence = 3,
  delay_multiply_and_sum = 4,
  power_das = 5,
  capon = 6,
  eigenspace = 7,
  short_lag_coherence = 8
};

/// What the signals that a method compares belong to: elements after the sum over transmits, elements of each
/// transmit for itself, or transmits after the sum over elements.
enum class AdaptiveOver { receive = 0, each = 1, transmit = 2 };

/// How the delayed signals of a point become its value. Signals that are all equal give what delay-and-sum gives, but
/// for short-lag coherence, which is a coherence.
struct AdaptiveMethod {
  AdaptiveKind kind;
  AdaptiveOver over;
  int cutoff;            ///< generalised coherence factor: spatial frequencies on either side of zero
  float exponent;        ///< phase coherence: gamma; sign coherence: power; p-DAS: p
  float fraction;        ///< of the active signals: subarray (Capon, eigenspace), largest lag (short-lag coherence)
  float loading;         ///< Capon, eigenspace: over the mean eigenvalue
  float threshold;       ///< eigenspace: least eigenvalue of the signal subspace over the largest
  int temporal_samples;  ///< samples before and after that also count (Capon, eigenspace, short-lag coherence)
};

/// As `das`; image (n_frames, n_points) complex64 for I/Q, float32 for RF, for short-lag coherence and for incoherent
/// compounding. Compounding other than coherent only with AdaptiveOver::each.
template <class Exec>
SONORAY_API void adaptive(const Exec&, const DasProblem&, const AdaptiveMethod&, const Strided& samples, float* image);

}  // namespace sonoray
