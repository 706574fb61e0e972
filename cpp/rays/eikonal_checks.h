#pragma once
// Checks and the straight-ray start of the eikonal solver, the same on the host and on CUDA.
#include <cmath>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/exec.h"
#include "core/view.h"
#include "rays/eikonal.h"

namespace sonoray::eikonal {

inline double diagonal(const EikonalGrid& g) {
  double sum = 0;
  for (int i = 0; i < g.ndim; ++i) sum += g.spacing[i] * g.spacing[i] * g.shape[i] * g.shape[i];
  return std::sqrt(sum);
}

inline void check_grid(const EikonalGrid& g, const EikonalParams& params, std::int64_t medium) {
  require(g.ndim == 2 || g.ndim == 3, "grid: expected 2 or 3 axes, got " + std::to_string(g.ndim));
  for (int i = 0; i < g.ndim; ++i) {
    require(g.shape[i] >= 1 && g.shape[i] <= 100000, "grid: expected 1 to 100000 nodes along each axis");
    require(std::isfinite(g.spacing[i]) && g.spacing[i] > 0 && std::isfinite(g.origin[i]),
            "grid: expected a finite origin and a finite positive spacing");
  }
  require(medium == g.size(), "slowness: expected one value per node");
  require(params.max_rounds >= 1, "max_rounds: expected at least 1");
  require(std::isfinite(params.max_slowness) && params.max_slowness > 0, "max_slowness: expected a positive number");
}

inline void check_sources(const EikonalGrid& g, View<const double, 2> sources) {
  require(sources.shape[1] == 3, "sources: expected shape (n, 3)");
  for (std::int64_t k = 0; k < sources.shape[0]; ++k)
    for (int i = 0; i < g.ndim; ++i) {
      const double at = (sources(k, g.ndim == 2 && i == 1 ? 2 : i) - g.origin[i]) / g.spacing[i];
      require(at >= -1e-6 && at <= g.shape[i] - 1 + 1e-6,
              "sources: expected points inside the grid, number " + std::to_string(k) + " is outside or NaN");
    }
}

/// Of derivatives: what `eikonal_gradient` and `eikonal_derivative` have in common.
inline void check_around(const EikonalGrid& grid, const EikonalParams& params, View<const float, 1> slowness,
                         View<const double, 2> sources, View<const float, 2> solution) {
  check_grid(grid, params, slowness.size());
  check_sources(grid, sources);
  require(!solution || (solution.shape[0] == sources.shape[0] && solution.shape[1] == grid.size()),
          "solution: expected (sources, nodes)");
}

inline void check_gradient(const EikonalGrid& grid, const EikonalParams& params, View<const float, 1> slowness,
                           View<const double, 2> sources, View<const float, 2> solution, View<const float, 2> cotangent,
                           View<double, 1> out) {
  check_around(grid, params, slowness, sources, solution);
  require(cotangent.shape[0] == sources.shape[0] && cotangent.shape[1] == grid.size(),
          "cotangent: expected (sources, nodes)");
  require(out.size() == grid.size(), "out: expected one value per node");
}

inline void check_derivative(const EikonalGrid& grid, const EikonalParams& params, View<const float, 1> slowness,
                             View<const double, 2> sources, View<const float, 2> solution, View<const float, 1> change,
                             View<float, 2> out) {
  check_around(grid, params, slowness, sources, solution);
  require(change.size() == grid.size(), "change: expected one value per node");
  require(out.shape[0] == sources.shape[0] && out.shape[1] == grid.size(), "out: expected (sources, nodes)");
}

inline void check_reference(View<const double, 2> reference, const EikonalParams& params) {
  require(reference.shape[1] == 3, "reference: expected shape (n, 3)");
  for (std::int64_t k = 0; k < reference.size(); ++k)
    require(std::fabs(reference.data[k]) <= 1e3 * params.max_slowness, "reference: expected slowness in s/m");
}

/// f(node, weight) for the corners of the cell around `at` (in cells from the first node and inside the grid): the
/// multilinear interpolation there.
template <class F>
SONORAY_HD inline void for_each_corner(const EikonalGrid& g, const double* at, const F& f) {
  std::int64_t node = 0, step[3];
  double part[3];
  std::int64_t stride = g.size();
  for (int i = 0; i < g.ndim; ++i) {
    stride /= g.shape[i];
    std::int64_t k = static_cast<std::int64_t>(at[i]);
    if (k > g.shape[i] - 2) k = g.shape[i] - 2;
    if (k < 0) k = 0;
    part[i] = at[i] - k;
    step[i] = g.shape[i] > 1 ? stride : 0;
    node += k * stride;
  }
  for (int corner = 0; corner < (1 << g.ndim); ++corner) {
    double weight = 1;
    std::int64_t to = node;
    for (int i = 0; i < g.ndim; ++i) {
      weight *= (corner >> i & 1) ? part[i] : 1 - part[i];
      to += (corner >> i & 1) ? step[i] : 0;
    }
    f(to, weight);
  }
}

SONORAY_HD inline double sample(const EikonalGrid& g, const float* values, const double* at) {
  double sum = 0;
  for_each_corner(g, at, [&](std::int64_t node, double weight) { sum += weight * values[node]; });
  return sum;
}

/// f(point in cells) for the points whose mean stands for that along the straight line from `source` to a node;
/// midpoint rule.
constexpr int straight_parts = 16;
template <class F>
SONORAY_HD inline void for_each_part(const EikonalGrid& g, const double* source, const std::int64_t* node, const F& f) {
  for (int k = 0; k < straight_parts; ++k) {
    double at[3] = {};
    for (int i = 0; i < g.ndim; ++i) at[i] = source[i] + (k + 0.5) / straight_parts * (node[i] - source[i]);
    f(static_cast<const double*>(at));
  }
}

/// Mean slowness along the straight line from `source` (in cells) to a node.
SONORAY_HD inline double straight_mean(const EikonalGrid& g, const float* slowness, const double* source,
                                       const std::int64_t* node) {
  double sum = 0;
  for_each_part(g, source, node, [&](const double* at) { sum += sample(g, slowness, at); });
  return sum / straight_parts;
}

}  // namespace sonoray::eikonal
