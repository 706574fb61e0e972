#pragma once
// Rays between all emitters and receivers of an array.
#include <cstdint>
#include <vector>

#include "core/exec.h"
#include "core/view.h"
#include "rays/linking_search.h"
#include "rays/schemes.h"

namespace sonoray {

/// What became of a pair. `unknown` goes in: no start is known; linked goes in: take-off and arrival are a start.
enum class PairStatus : std::int32_t {
  linked = 0,
  skipped = 1,
  shadow = 2,
  not_converged = 3,
  left_grid = 4,
  unknown = 255
};

template <int D>
struct LinkParams {
  tracing::Medium<D> medium;  ///< in the place's own memory
  double low[D], high[D];     ///< [m] the grid's box
  double cell;                ///< [m] finest spacing
  double step;                ///< [m]
  double tolerance;           ///< [m] at the receiver
  int max_traces;             ///< per pair and starting point
  linking::Solver solver;
  bool all;  ///< later arrivals, too
};

/// Fields of one ray in `rays`: acoustic length [m], determinant of Q, take-off (D), arrival (D).
template <int D>
inline constexpr int ray_fields = 2 + 2 * D;
/// Fields of one pair in `marks`: status, traces, caustics, full steps.
inline constexpr int mark_fields = 4;

/// A ray that arrives after the first one.
template <int D>
struct LaterRay {
  std::int32_t tx, rx, caustics, steps;
  double fields[ray_fields<D>];
};

struct LinkReport {
  std::int64_t fan_traces = 0;  ///< rays traced for all pairs together
};

/// Links every pair whose status is not `skipped`. Positions are host memory, the rest is the place's own.
template <int D, class Exec>
SONORAY_API LinkReport link(const Exec&, const LinkParams<D>&, View<const double, 2> tx,  ///< (n_tx, D) [m]
                            View<const double, 2> rx,                                     ///< (n_rx, D) [m]
                            View<double, 3> rays,                                         ///< (n_tx, n_rx, ray_fields)
                            View<std::int32_t, 3> marks,                                  ///< (n_tx, n_rx, mark_fields)
                            std::vector<LaterRay<D>>& later);                             ///< by pair, then by length

/// Nodes of the linked rays: the emitter, every `stride`-th step, the receiver. `offsets` (pairs + 1) says where
/// each pair's nodes begin in `points` (n, D); pairs without nodes are left out.
template <int D, class Exec>
SONORAY_API void link_paths(const Exec&, const LinkParams<D>&, View<const double, 2> tx, View<const double, 2> rx,
                            View<const double, 3> rays, View<const std::int32_t, 3> marks, int stride,
                            View<const std::int64_t, 1> offsets, View<double, 2> points);

}  // namespace sonoray
