#pragma once
// Rays of one group in the lanes of vectors. Compiled once per processor level.
#include <cstdint>

#include "rays/tracing.h"

namespace sonoray::tracing {

/// One ray or one group of lanes, from its starts in the job to its rows of the result; `count` lanes count.
template <Scheme scheme, int S, int D, class N>
SONORAY_HD SONORAY_INLINE void trace_group(const Job<D>& job, std::int64_t first, int count) {
  using C = Columns<D>;
  using L = Layout<scheme, S, D>;
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
  Ray<scheme, S, D, N> ray;
  start(job.medium, job.surface, job.limits, x, t, point, normal, ray);
  const auto record = [&](lanes::mask_of<N> reached, const N* y) {
    if (!job.nodes) return;
    const N mark = lanes::pick<N>(reached, lanes::same<N>(1.0), N{});
    for (int l = 0; l < count; ++l) {
      if (lanes::lane(mark, l) == 0.0) continue;
      // A node between two that are kept lies where the next of them will be written; so the last one stays.
      if (node[l] >= 0 && node[l] < job.offsets[first + l + 1] && node[l] < job.n_nodes)
        for (int d = 0; d < D; ++d) job.nodes[node[l] * D + d] = lanes::lane(y[d], l);
      if (steps[l]++ % job.every == 0) ++node[l];
    }
  };
  trace(job.medium, job.surface, job.limits, ray, record);
  if (!job.result) return;
  N direction[D];
  ray.direction(direction);
  for (int l = 0; l < count; ++l) {
    double* const row = job.result + (first + l) * (S > 0 ? C::with_amplitudes : C::plain);
    for (int d = 0; d < D; ++d) {
      row[C::position + d] = lanes::lane(ray.y[L::x + d], l);
      row[C::direction + d] = lanes::lane(direction[d], l);
    }
    row[C::length] = lanes::lane(ray.length(), l);
    row[C::absorbed] = lanes::lane(ray.absorbed(), l);
    row[C::status] = lanes::lane(ray.status, l);
    row[C::steps] = lanes::lane(ray.steps, l);
    row[C::caustics] = lanes::lane(ray.caustics, l);
    if constexpr (S > 0) {
      N frame[(D - 1) * D];
      ray.frame(frame);
      for (int d = 0; d < D; ++d) row[C::frame + d] = lanes::lane(frame[d], l);
      // Where rays are chaotic, neighbours part exponentially: held to what a determinant can take.
      for (int i = 0; i < 4 * L::m; ++i) {
        const double v = lanes::lane(ray.y[L::q + i], l);
        row[C::solution + i] = v > -1e150 && v < 1e150 ? v : v < 0 ? -1e150 : 1e150;
      }
    }
  }
}

template <int D, class N>
SONORAY_HD SONORAY_INLINE void trace_group(const Job<D>& job, std::int64_t first, int count) {
  switch (job.scheme) {
    case Scheme::mixed_step:
      return trace_group<Scheme::mixed_step, 0, D, N>(job, first, count);
    case Scheme::dual_update:
      return trace_group<Scheme::dual_update, 0, D, N>(job, first, count);
    case Scheme::characteristics:
      return trace_group<Scheme::characteristics, 0, D, N>(job, first, count);
    case Scheme::heun:
      if (job.amplitudes) return trace_group<Scheme::heun, 2, D, N>(job, first, count);
      return trace_group<Scheme::heun, 0, D, N>(job, first, count);
    case Scheme::rk4:
      if (job.amplitudes) return trace_group<Scheme::rk4, 2, D, N>(job, first, count);
      return trace_group<Scheme::rk4, 0, D, N>(job, first, count);
  }
}

#define SONORAY_DECLARE_LEVEL(level)                                     \
  namespace level {                                                      \
  int trace_lanes();                                                     \
  void trace_range(const Job<2>&, std::int64_t begin, std::int64_t end); \
  void trace_range(const Job<3>&, std::int64_t begin, std::int64_t end); \
  }
SONORAY_DECLARE_LEVEL(baseline)
SONORAY_DECLARE_LEVEL(v3)
SONORAY_DECLARE_LEVEL(v4)
#undef SONORAY_DECLARE_LEVEL

}  // namespace sonoray::tracing
