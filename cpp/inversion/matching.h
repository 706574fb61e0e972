#pragma once
// Arrivals by matching traces with the wave that came through water.
#include <cstdint>

#include "core/exec.h"
#include "core/strided.h"
#include "core/view.h"

namespace sonoray {

/// Weight along time, in samples from the template's onset: 1 in [0, flat], cosine flanks outside.
struct MatchWindow {
  double rise, flat, fall;
};

struct MatchParams {
  MatchWindow whole;           ///< finds the arrival: the largest correlation
  MatchWindow onset;           ///< places it: least squares of the part that counts as first arrival
  double oversampling;         ///< of the templates
  double lead;                 ///< samples (of the traces) in a template before its onset
  double earliest;             ///< the first correlation peak above this part of the largest one is taken
  double reach;                ///< samples that the least-squares step may move the arrival
  double minimum_correlation;  ///< between trace and template in the onset's window
};

/// For each trace of `samples` (n_tx, n_rx, n) int16 or float32, any strides: where the onset of its template lies.
/// Unmatched: `at` NaN, quality 0. Statuses are those of picking.h.
template <class Exec>
SONORAY_API void match_arrivals(
    const Exec&, const MatchParams&, const Strided& samples,
    View<const float, 2> templates,     ///< (n_templates, n) oversampled
    View<const float, 2> taps,          ///< (n_templates, n_taps) whole window times template, at whole samples
    std::int64_t taps_lead,             ///< of them before the onset
    View<const std::int32_t, 2> which,  ///< (n_tx, n_rx) template of each pair
    View<const double, 2> first,        ///< (n_tx, n_rx) samples; NaN: skipped
    View<const double, 2> last,         ///< (n_tx, n_rx)
    View<double, 2> at, View<float, 2> quality, View<std::uint8_t, 2> status);

}  // namespace sonoray
