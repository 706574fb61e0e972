#pragma once
// Fields for interpolation_kernel.h: made from samples on a grid, evaluated at many points.
#include <cstdint>

#include "core/exec.h"
#include "core/view.h"
#include "media/interpolation_kernel.h"

namespace sonoray::interpolation {

/// Where the samples lie; the last axis is the fastest in memory. At least two points along each axis.
template <int D>
struct Points {
  std::int64_t shape[D];
  double spacing[D];  ///< [m]
  double origin[D];   ///< [m] first point
};

/// How many numbers a field of this kind holds.
template <int D>
std::int64_t field_size(const Points<D>&, Kind);

/// Fills `data` (field_size numbers, host memory) from samples (one per point, in the grid's order).
template <int D>
void make_field(const Cpu&, const Points<D>&, Kind, const double* samples, double* data);

/// What the kernels take; `data` stays the caller's, on the host or on a device, and is best aligned to 64 bytes.
template <int D>
Field<D> field_view(const Points<D>&, Kind, const double* data);

/// Numbers per point: value, then gradient, then Hessian, up to `order`.
template <int D>
constexpr int sample_size(int order) {
  return 1 + (order > 0 ? D : 0) + (order > 1 ? D * (D + 1) / 2 : 0);
}

/// The field at points (n, D) [m] with derivatives up to `order` (0 to 2): out (n, sample_size).
template <class Exec, int D>
void interpolate(const Exec&, const Field<D>&, View<const double, 2> points, int order, View<double, 2> out);

}  // namespace sonoray::interpolation
