#pragma once
// Travel times as integrals of the slowness along given paths, and the adjoint of this linear map. Matrix-free.
#include <cstdint>
#include <vector>

#include "core/exec.h"
#include "core/view.h"
#include "inversion/tomography_kernel.h"

namespace sonoray {

/// Polylines, one after the other: ray i owns the nodes offsets[i] to offsets[i + 1].
struct RayPaths {
  View<const double, 2> points;         ///< (n_nodes, ndim) [m]
  View<const std::int32_t, 1> offsets;  ///< (n_rays + 1)
  std::int64_t n_rays() const { return offsets.shape[0] - 1; }
};

struct PathCheck {
  std::int64_t outside;  ///< the first ray with a node outside the grid (or not a number), -1 if there is none
  double total_length;   ///< [m] of all rays
};

/// Host memory.
SONORAY_API PathCheck check_paths(const Cpu&, const TomographyGrid&, const RayPaths&);

/// out_i = weights_i * integral of the interpolated field along ray i; no nodes: 0.
/// Paths have been checked by check_paths; indices stay inside the grid even if they have not.
template <class Exec>
SONORAY_API void travel_times(
    const Exec&, const TomographyGrid&, const RayPaths&, View<const double, 1> weights,  ///< (n_rays) or none
    View<const std::int32_t, 1> columns,  ///< (size): where in x a node's value is, -1: it is 0; or none
    View<const double, 1> x,              ///< (n_columns)
    View<double, 1> out);                 ///< (n_rays)

/// The exact transpose. On the host the sum has a fixed order, on CUDA it is made of integers: the result does not
/// depend on the number of threads. `total_length` [m] is no smaller than that of all rays together.
template <class Exec>
SONORAY_API void travel_times_adjoint(const Exec&, const TomographyGrid&, const RayPaths&, double total_length,
                                      View<const double, 1> weights, View<const std::int32_t, 1> columns,
                                      View<const double, 1> y,  ///< (n_rays)
                                      View<double, 1> out);     ///< (n_columns)

/// Compressed rows of consecutive rays.
struct MatrixRows {
  std::vector<std::int64_t> ends;  ///< of each ray's entries in the following
  std::vector<std::int32_t> indices;
  std::vector<double> values;
};

/// The matrix, in parts that follow each other. Host.
SONORAY_API std::vector<MatrixRows> travel_time_matrix(const Cpu&, const TomographyGrid&, const RayPaths&,
                                                       View<const double, 1> weights,
                                                       View<const std::int32_t, 1> columns);

}  // namespace sonoray
