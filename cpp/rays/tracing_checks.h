#pragma once
// Checks of a tracing job, the same on the host and on CUDA.
#include <cmath>
#include <string>

#include "core/error.h"
#include "rays/tracing.h"

namespace sonoray::tracing {

template <int D>
void check_job(const Job<D>& job) {
  require(bool(job.medium.index), "medium: expected a refractive index");
  require(std::isfinite(job.medium.floor) && job.medium.floor > 0, "medium: expected a positive smallest index");
  require(std::isfinite(job.limits.step) && job.limits.step > 0, "step: expected a positive number");
  require(job.limits.max_steps >= 1, "max_steps: expected at least 1");
  require(job.n >= 0 && (job.n == 0 || (job.positions && job.directions)), "positions: expected one per ray");
  require(!job.amplitudes || job.scheme == Scheme::rk4 || job.scheme == Scheme::heun,
          "amplitudes: expected the scheme rk4 or heun");
  require(!job.amplitudes || job.medium.index.kind != interpolation::Kind::linear,
          "amplitudes: expected a spline, which has second derivatives");
  require(job.surface.shape != Shape::plane || job.n == 0 || (job.points && job.normals),
          "surface: expected a plane per ray");
  require(job.surface.shape != Shape::sphere || (std::isfinite(job.surface.radius) && job.surface.radius > 0),
          "surface: expected a positive radius");
  require(job.surface.shape != Shape::convex || (job.surface.n_faces > 0 && job.surface.faces),
          "surface: expected at least one face");
  for (int d = 0; d < D; ++d) require(job.surface.low[d] < job.surface.high[d], "surface: expected the grid's box");
  require(!job.nodes || (job.offsets && job.every >= 1), "nodes: expected offsets and a positive interval");
}

}  // namespace sonoray::tracing
