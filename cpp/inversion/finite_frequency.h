#pragma once
// Finite-frequency travel times: the delay that a slowness change causes in a pulse, spread over the Fresnel zones
// around the ray instead of the ray alone.
#include <cstdint>

#include "core/exec.h"
#include "core/view.h"

namespace sonoray {

/// Nodes are packed in blocks of this many, neighbours together; the last block is filled up by the caller.
constexpr int kFresnelBlock = 64;

/// One emitter-receiver pair: delay = scale * sum over nodes of K * slowness change, with
/// K(x) = tx_amplitude * rx_amplitude * F(tx_time(x) + rx_time(x) - pair_time).
struct FresnelSetup {
  View<const float, 2> tx_time;       ///< (n_tx, n_nodes) [s] from each emitter; n_nodes a multiple of the block
  View<const float, 2> rx_time;       ///< (n_rx, n_nodes) [s]
  View<const float, 2> tx_amplitude;  ///< (n_tx, n_nodes) decay with distance, 0 at nodes that only fill up
  View<const float, 2> rx_amplitude;  ///< (n_rx, n_nodes)
  View<const std::int32_t, 2> pairs;  ///< (n_pairs, 2) emitter and receiver
  View<const float, 1> pair_time;     ///< (n_pairs) [s]
  View<const float, 1> pair_scale;    ///< (n_pairs)
  View<const float, 1> table;         ///< F at detours 0, step, 2 step, ...; 0 beyond its end
  float step;                         ///< [s]
};

/// delay[p] for every pair. All arrays of `setup` lie in the place's memory.
template <class Exec>
SONORAY_API void finite_frequency_forward(const Exec&, const FresnelSetup&,
                                          View<const float, 1> change,  ///< (n_nodes) [s/m]
                                          View<float, 1> delay);        ///< (n_pairs) [s]

/// The transpose: image[n] = sum over pairs of K * scale * weight[p].
template <class Exec>
SONORAY_API void finite_frequency_adjoint(const Exec&, const FresnelSetup&, View<const float, 1> weight,  ///< (n_pairs)
                                          View<float, 1> image);                                          ///< (n_nodes)

}  // namespace sonoray
