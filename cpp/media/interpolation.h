#pragma once
// Fields for interpolation_kernel.h: made from samples on a grid, evaluated at many points.
#include <cmath>
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

/// Refuses a grid that a field cannot have.
template <int D>
void check_grid(const Points<D>& points) {
  std::int64_t size = D == 2 ? 16 : 4;
  for (int d = 0; d < D; ++d) {
    require(points.shape[d] >= 2 && points.shape[d] <= 100000, "grid: expected 2 to 100000 points along each axis");
    require(std::isfinite(points.origin[d]) && std::isfinite(points.spacing[d]) && points.spacing[d] > 0,
            "grid: expected a finite origin and a finite positive spacing");
    size *= points.shape[d] + 2;
    require(size < (std::int64_t(1) << 31), "grid: expected fewer than 2^31 spline coefficients");
  }
}

/// How many numbers a field of this kind holds.
template <int D>
std::int64_t field_size(const Points<D>& points, Kind kind) {
  check_grid(points);
  std::int64_t size = 1;
  for (int d = 0; d < D; ++d) {
    const bool cells = kind != Kind::linear && (D == 2 || d == D - 1);
    size *= cells ? 4 * (points.shape[d] - 1) : points.shape[d] + 2;
  }
  return size;
}

/// Fills `data` (field_size numbers, host memory) from samples (one per point, in the grid's order).
template <int D>
SONORAY_API void make_field(const Cpu&, const Points<D>&, Kind, const double* samples, double* data);

/// What the kernels take; `data` stays the caller's, on the host or on a device, and is best aligned to 64 bytes.
template <int D>
Field<D> field_view(const Points<D>& points, Kind kind, const double* data) {
  check_grid(points);
  Field<D> f;
  f.data = data;
  f.kind = kind;
  for (int d = 0; d < D; ++d) {
    f.origin[d] = points.origin[d];
    f.inverse[d] = 1.0 / points.spacing[d];
    f.last[d] = static_cast<double>(points.shape[d] - 1);
  }
  const bool linear = kind == Kind::linear;
  const double cell = linear ? 1.0 : D == 2 ? 16.0 : 4.0;
  double stride = cell;
  for (int d = D - 1; d >= 0; --d) {
    f.stride[d] = stride;
    const bool cells = !linear && (D == 2 || d == D - 1);
    stride *= static_cast<double>(cells ? points.shape[d] - 1 : points.shape[d] + 2);
  }
  return f;
}

/// Numbers per point: value, then gradient, then Hessian, up to `order`.
template <int D>
constexpr int sample_size(int order) {
  return 1 + (order > 0 ? D : 0) + (order > 1 ? D * (D + 1) / 2 : 0);
}

/// The field at points (n, D) [m] with derivatives up to `order` (0 to 2): out (n, sample_size).
template <class Exec, int D>
SONORAY_API void interpolate(const Exec&, const Field<D>&, View<const double, 2> points, int order,
                             View<double, 2> out);

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
