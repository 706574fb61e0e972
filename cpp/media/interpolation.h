#pragma once
// Fields for interpolation_kernel.h: made from samples on a grid, evaluated at many points.
#include <cstdint>
#include <string>

#include "core/error.h"
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

template <int D>
void check_points(View<const double, 2> points, int order, View<double, 2> out) {
  require(points.shape[1] == D, "points: expected (n, " + std::to_string(D) + ")");
  require(order >= 0 && order <= 2, "order: expected 0, 1 or 2");
  require(out.shape[0] == points.shape[0] && out.shape[1] == sample_size<D>(order), "out: expected (n, numbers)");
}

/// One row of `interpolate`.
template <int D>
SONORAY_HD SONORAY_INLINE void sample_row(const Field<D>& field, const double* x, int order, double* to) {
  Sample<D, double> s;
  sample<2, D, double>(field, x, s);
  *to++ = s.value;
  for (int d = 0; order > 0 && d < D; ++d) *to++ = s.gradient[d];
  for (int d = 0; order > 1 && d < D * (D + 1) / 2; ++d) *to++ = s.hessian[d];
}

}  // namespace sonoray::interpolation
