#pragma once
// Rays of one group in the lanes of vectors. Compiled once per processor level.
#include <cstdint>

#include "rays/tracing.h"

namespace sonoray::tracing {

/// One ray or one group of lanes, from its starts in the job to its rows of the result; `count` lanes count.
template <Scheme scheme, int S, int D, class N, bool plain>
SONORAY_HD SONORAY_OUTLINED void trace_group(const Job<D>& job, std::int64_t first, int count) {
  using C = Columns<D>;
  using L = Layout<scheme, S, D, plain>;
  N x[D] = {}, t[D] = {}, point[D] = {}, normal[D] = {};
  std::int64_t node[lanes::count<N>];   // where the next one goes
  std::int64_t steps[lanes::count<N>];  // so far
  for (int l = 0; l < lanes::count<N>; ++l) {
    const std::int64_t i = first + (l < count ? l : count - 1);  // surplus lanes repeat the last ray
    for (int d = 0; d < D; ++d) {
      lanes::set_lane(x[d], l, job.positions[i * D + d]);
      lanes::set_lane(t[d], l, job.directions[i * D + d]);
      lanes::set_lane(point[d], l, job.points ? job.points[i * D + d] : 0.0);
      lanes::set_lane(normal[d], l, job.normals ? job.normals[i * D + d] : 0.0);
    }
    node[l] = job.nodes ? job.offsets[i] : 0;
    steps[l] = 0;
  }
  Ray<scheme, S, D, N, plain> ray;
  start(job.medium, job.surface, job.limits, x, t, point, normal, ray);
  const auto record = [&](lanes::mask_of<N> reached, const N* y) {
    if (!job.nodes) return;
    N mark = lanes::pick<N>(reached, lanes::same<N>(1.0), N{}), x[D];  // copies, so that the state stays in registers
    for (int d = 0; d < D; ++d) x[d] = y[L::x + d];
    for (int l = 0; l < count; ++l) {
      if (lanes::lane(mark, l) == 0.0) continue;
      // A node between two that are kept lies where the next of them will be written; so the last one stays.
      if (node[l] >= 0 && node[l] < job.offsets[first + l + 1] && node[l] < job.n_nodes)
        for (int d = 0; d < D; ++d) job.nodes[node[l] * D + d] = lanes::lane(x[d], l);
      if (steps[l]++ % job.every == 0) ++node[l];
    }
  };
  trace(job.medium, job.surface, job.limits, ray, record);
  if (!job.result) return;
  constexpr int columns = S > 0 ? C::with_amplitudes : C::plain;
  double* const rows = job.result + first * columns;
  const auto put = [&](int column, N value) {
    for (int l = 0; l < count; ++l) rows[l * columns + column] = lanes::lane(value, l);
  };
  N direction[D];
  ray.direction(direction);
  for (int d = 0; d < D; ++d) {
    put(C::position + d, ray.y[L::x + d]);
    put(C::direction + d, direction[d]);
  }
  put(C::length, ray.length());
  put(C::absorbed, ray.absorbed());
  put(C::status, ray.status);
  put(C::steps, ray.steps);
  put(C::caustics, ray.caustics);
  if constexpr (S > 0) {
    N frame[(D - 1) * D];
    ray.frame(frame);
    for (int d = 0; d < D; ++d) put(C::frame + d, frame[d]);
    // Where rays are chaotic, neighbours part exponentially: held to what a determinant can take. NaN becomes that,
    // too.
    const N most = lanes::same<N>(1e150);
    for (int i = 0; i < 4 * L::m; ++i) {
      const N v = ray.y[L::q + i];
      put(C::solution + i, lanes::larger<N>(lanes::smaller<N>(v, most), -most));
    }
  }
}

#define SONORAY_DECLARE_LEVEL(level)                                     \
  namespace level {                                                      \
  void trace_range(const Job<2>&, std::int64_t begin, std::int64_t end); \
  void trace_range(const Job<3>&, std::int64_t begin, std::int64_t end); \
  }
SONORAY_DECLARE_LEVEL(baseline)
SONORAY_DECLARE_LEVEL(v3)
SONORAY_DECLARE_LEVEL(v4)
#undef SONORAY_DECLARE_LEVEL

}  // namespace sonoray::tracing
