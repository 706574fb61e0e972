#pragma once
// How well multistatic I/Q data focus with given travel times, and how that changes with them: what sound speed is
// found from. Points come in patches of `n_kernel`, over which correlations are summed.
#include <complex>
#include <cstdint>

#include "core/exec.h"
#include "core/view.h"

namespace sonoray {

/// Zeros at either end of every trace, which the host reads outside the record.
inline constexpr int focus_margin = 4;

/// The value of transmit a and receiver b at point p is
///   u(a, b, p) = w_a(p) w_b(p) iq_ab(T_a(p) + T_b(p)) exp(2 pi i f_d (T_a(p) + T_b(p))).
struct FocusProblem {
  View<const std::complex<float>, 3> samples;  ///< (n_tx, n_rx, margin + n_samples + margin)
  std::int64_t margin;                         ///< zeros at either end of a trace, on the host `focus_margin`
  View<const double, 1> start;                 ///< (n_tx) time of the first sample [samples]
  View<const float, 2> tx_time;                ///< (n_tx, n_points) [s]
  View<const float, 2> rx_time;                ///< (n_rx, n_points) [s]
  View<const float, 2> tx_weight, rx_weight;   ///< shaped like the times; may be empty for ones
  std::int64_t n_kernel;                       ///< points of a patch
  double sampling_frequency;                   ///< [Hz]
  double demodulation_frequency;               ///< f_d [Hz]
  bool cubic;                                  ///< Keys' cubic instead of linear interpolation
};

enum class FocusMeasure { phase_error = 0, coherence_factor = 1, lag_one_coherence = 2, speckle_brightness = 3 };

struct FocusCriterion {
  FocusMeasure measure;
  std::int64_t sub_aperture;  ///< elements; only for the phase error
  float threshold;            ///< pairs that correlate less have no say in the phase error
  float scale;                ///< of phases, in log(1 + (scale phase)^2)
};

/// With U_ij the sum of u over `sub_aperture` transmits from i on and as many receivers from j on: correlation
/// (n_patches, n_i - 1, n_j - 1) = <U_i,j+1 conj(U_i+1,j)> / energy, summed over each patch, and energy =
/// sqrt(<abs(U_i,j+1)^2> <abs(U_i+1,j)^2>). Both are 0 where a sub-aperture has no energy.
template <class Exec>
SONORAY_API void focus_correlations(const Exec&, const FocusProblem&, std::int64_t sub_aperture,
                                    View<std::complex<float>, 3> correlation, View<float, 3> energy);

/// loss (1), to be minimised, and, unless they are empty, its derivatives with respect to tx_time and rx_time.
template <class Exec>
SONORAY_API void focus_loss(const Exec&, const FocusProblem&, const FocusCriterion&, View<double, 1> loss,
                            View<float, 2> tx_slope, View<float, 2> rx_slope);

/// Derivatives of the sum over points of Re(conj(cotangent) image) with respect to tx_time and rx_time, image being
/// the sum of u over transmits and receivers.
template <class Exec>
SONORAY_API void focus_image_slopes(const Exec&, const FocusProblem&, View<const std::complex<float>, 1> cotangent,
                                    View<float, 2> tx_slope, View<float, 2> rx_slope);

}  // namespace sonoray
