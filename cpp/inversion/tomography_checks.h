#pragma once
// What both places refuse.
#include <string>

#include "core/error.h"
#include "inversion/tomography.h"

namespace sonoray::tomography {

inline void check_grid(const TomographyGrid& grid) {
  require(grid.ndim == 2 || grid.ndim == 3, "grid: expected 2 or 3 axes");
  std::int64_t size = 1;
  for (int i = 0; i < grid.ndim; ++i) {
    require(grid.shape[i] >= 2, "grid: expected at least two nodes along every axis, got " +
                                    std::to_string(grid.shape[i]) + " along axis " + std::to_string(i));
    require(grid.spacing[i] > 0, "grid: expected a positive spacing");
    size *= grid.shape[i];
    require(size < (std::int64_t(1) << 31), "grid: expected fewer than 2^31 nodes");
  }
}

/// Shapes only: offsets may lie in device memory.
inline void check_work(const TomographyGrid& grid, const RayPaths& paths, View<const double, 1> weights,
                       View<const std::int32_t, 1> columns, std::int64_t n_columns, std::int64_t n_rays) {
  check_grid(grid);
  require(paths.offsets.shape[0] >= 1, "offsets: expected n_rays + 1 numbers, got none");
  require(paths.points.shape[1] == grid.ndim, "points: expected " + std::to_string(grid.ndim) +
                                                  " coordinates each, got " + std::to_string(paths.points.shape[1]));
  require(n_rays == paths.n_rays(),
          "times: expected one per ray, " + std::to_string(paths.n_rays()) + ", got " + std::to_string(n_rays));
  require(!weights || weights.shape[0] == paths.n_rays(), "weights: expected one per ray");
  require(!columns || columns.shape[0] == grid.size(), "columns: expected one per node");
  require(columns ? n_columns <= grid.size() : n_columns == grid.size(),
          "image: expected " + std::to_string(grid.size()) + " nodes, got " + std::to_string(n_columns));
}

/// Offsets in host memory rise from 0 to the number of nodes; columns point into the image.
inline void check_host(const RayPaths& paths, View<const std::int32_t, 1> columns, std::int64_t n_columns) {
  const std::int64_t n = paths.n_rays();
  bool ok = paths.offsets(0) == 0 && paths.offsets(n) == paths.points.shape[0];
  for (std::int64_t i = 0; i < n; ++i) ok = ok && paths.offsets(i) <= paths.offsets(i + 1);
  require(ok, "offsets: expected rising numbers from 0 to the number of nodes");
  for (std::int64_t k = 0; columns && k < columns.shape[0]; ++k) ok = ok && columns(k) < n_columns;
  require(ok, "columns: expected numbers below that of the unknowns");
}

}  // namespace sonoray::tomography
