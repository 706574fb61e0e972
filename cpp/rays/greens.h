#pragma once
// The fields of point sources at many points, by fans of rays.
#include <cstdint>

#include "core/exec.h"
#include "core/view.h"
#include "rays/schemes.h"

namespace sonoray::greens {

/// All arrays (points, sources), the source fastest, and with `points` and `sources` (n, 2) in host memory, too; the
/// medium's fields lie where the work is done. Points that no ray reaches keep the excess 0 and get the focusing 0.
struct Job {
  tracing::Medium<2> medium;
  double low[2], high[2];  ///< [m] the grid's box, which holds the sources
  double step = 0;         ///< [m]
  int every = 1;           ///< steps from node to node
  double width = 0;        ///< [m] between neighbouring rays at the farthest point, in a homogeneous medium
  double speed = 0;        ///< [m/s] where the index is 1
  View<const double, 2> sources, points;
  View<float, 2> excess, focusing, take_off, arrival;
  View<float, 2> absorption;       ///< none unless the medium has it
  View<std::uint8_t, 2> caustics;  ///< set where there are any: zeros before
};

struct Report {
  std::int64_t rays = 0, steps = 0;  ///< steps of all rays
  double trace = 0, raster = 0;      ///< [s] threads add up; 0 where not measured
  bool caustics = false;             ///< whether any first arrival has passed one
};

template <class Exec>
SONORAY_API Report fields(const Exec&, const Job&);

}  // namespace sonoray::greens
