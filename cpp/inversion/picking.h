#pragma once
// First arrivals in recorded traces, one per (transmit, receiver).
#include <cstdint>

#include "core/exec.h"
#include "core/strided.h"
#include "core/view.h"

namespace sonoray {

enum class PickMethod : int { aic = 0, energy_ratio = 1, sta_lta = 2, threshold = 3 };

/// `outlier` is set by the caller's own comparisons, never here.
enum class PickStatus : std::uint8_t { picked = 0, skipped = 1, dead = 2, no_arrival = 3, edge = 4, outlier = 5 };

struct PickParams {
  PickMethod method;
  bool analytic;            ///< the threshold looks at the envelope instead of |u|
  bool parabolic;           ///< AIC: the vertex through three values instead of Akaike weights
  double silence;           ///< amplitude over the trace's largest, below which all is noise
  double taper;             ///< tapered part of the record, 0 to 1
  double threshold;         ///< of the largest magnitude in the expected window; 0: search all of that
  double duration;          ///< of the pulse, in samples
  double short_window;      ///< of STA/LTA, in samples
  double long_window;       ///< of STA/LTA and of the energy ratio, in samples
  double ratio;             ///< of the largest STA/LTA, at which it has arrived
  double minimum_contrast;  ///< of the energy of one duration after the pick, over that before it
};

struct Pick {
  double at;  ///< in samples from the first one
  double quality;
  PickStatus status;
};

/// Picks every trace of `samples` (n_tx, n_rx, n) int16 or float32 with any strides. Unpicked: `at` NaN, quality 0.
template <class Exec>
SONORAY_API void pick_arrivals(const Exec&, const PickParams&, const Strided& samples,
                               View<const double, 2> first,  ///< (n_tx, n_rx) expected window in samples; NaN: skipped
                               View<const double, 2> last,   ///< (n_tx, n_rx)
                               View<double, 2> at, View<float, 2> quality, View<std::uint8_t, 2> status);

}  // namespace sonoray
