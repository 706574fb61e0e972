#pragma once
// Which rays of a fan pass by a receiver, and where to start looking for the ray that meets it. Shared by host and
// CUDA, in double, one item at a time.
//
// Directions of take-off from one emitter lie on a chart: y in R^E, E = D - 1, an angle in 2-D and Lambert's
// equal-area map in 3-D. Every ray of the fan is seen from the emitter in polar form: at the distance rho it has gone
// from its take-off y0 to the direction y0 + u(rho). Sampled are
//   u             deflection              du/drho      slope, tells the direction of travel
//   dy/dy0        stretch, from Q         L            acoustic length
// so a receiver at (rho, y) has a ray wherever y0 + u(rho; y0) = y. In 2-D that is a root of a cubic between two
// neighbours (values and derivatives are known, folds included), in 3-D a triangle of three neighbours that holds y.

#include <cmath>
#include <cstdint>

#include "core/exec.h"
#include "rays/amplitudes_kernel.h"

namespace sonoray::linking {

constexpr double pi = 3.14159265358979323846;

template <int D>
SONORAY_HD SONORAY_INLINE double dot(const double* a, const double* b) {
  double s = 0;
  for (int i = 0; i < D; ++i) s += a[i] * b[i];
  return s;
}

template <int D>
SONORAY_HD SONORAY_INLINE double norm(const double* a) {
  return sqrt(dot<D>(a, a));
}

/// x = A^-1 b for 2 x 2; false if A is singular.
SONORAY_HD SONORAY_INLINE bool solve2(double a, double b, double c, double d, const double* rhs, double* x) {
  const double det = a * d - b * c;
  if (!(fabs(det) > 1e-12 * (fabs(a * d) + fabs(b * c)) && det != 0)) return false;
  x[0] = (d * rhs[0] - b * rhs[1]) / det;
  x[1] = (a * rhs[1] - c * rhs[0]) / det;
  return true;
}

/// Into (-pi, pi].
SONORAY_HD SONORAY_INLINE double wrapped(double angle) { return angle - 2 * pi * ceil((angle - pi) / (2 * pi)); }

/// Unit vectors across `t`, the frame that the tracer starts with.
template <int D>
SONORAY_HD SONORAY_INLINE void across(const double* t, double (*e)[D]) {
  tracing::across<D, double>(t, e[0]);
  if constexpr (D == 3) tracing::cross<double>(t, e[0], e[1]);
}

/// Turns the unit vector `t` by the angles `a` towards the unit vectors `e` across it.
template <int D>
SONORAY_HD SONORAY_INLINE void turn(const double* a, const double (*e)[D], double* t) {
  const double angle = norm<D - 1>(a), c = cos(angle), s = angle > 1e-12 ? sin(angle) / angle : 1.0;
  double length = 0;
  for (int i = 0; i < D; ++i) {
    double side = 0;
    for (int j = 0; j < D - 1; ++j) side += a[j] * e[j][i];
    t[i] = c * t[i] + s * side;
    length += t[i] * t[i];
  }
  length = 1 / sqrt(length);
  for (int i = 0; i < D; ++i) t[i] *= length;
}

/// Directions as E numbers around an axis.
template <int D>
struct Chart {
  static constexpr int E = D - 1;
  double axis[D];
  double side[E][D];

  SONORAY_HD SONORAY_INLINE void point(const double* to) {
    for (int i = 0; i < D; ++i) axis[i] = to[i];
    across<D>(axis, side);
  }

  /// `t` is a unit vector.
  SONORAY_HD SONORAY_INLINE void coordinates(const double* t, double* y) const {
    const double c = dot<D>(t, axis);
    if constexpr (D == 2) {
      y[0] = atan2(dot<D>(t, side[0]), c);
    } else {
      const double f = sqrt(2 / fmax(1 + c, 1e-12));
      for (int j = 0; j < E; ++j) y[j] = f * dot<D>(t, side[j]);
    }
  }

  SONORAY_HD SONORAY_INLINE void direction(const double* y, double* t) const {
    if constexpr (D == 2) {
      const double c = cos(y[0]), s = sin(y[0]);
      for (int i = 0; i < D; ++i) t[i] = c * axis[i] + s * side[0][i];
    } else {
      const double q = fmin(y[0] * y[0] + y[1] * y[1], 4.0), s = sqrt(1 - 0.25 * q);
      for (int i = 0; i < D; ++i) t[i] = (1 - 0.5 * q) * axis[i] + s * (y[0] * side[0][i] + y[1] * side[1][i]);
    }
  }

  /// tangent[j] = dt / dy_j.
  SONORAY_HD SONORAY_INLINE void tangents(const double* y, double (*tangent)[D]) const {
    if constexpr (D == 2) {
      const double c = cos(y[0]), s = sin(y[0]);
      for (int i = 0; i < D; ++i) tangent[0][i] = c * side[0][i] - s * axis[i];
    } else {
      const double q = fmin(y[0] * y[0] + y[1] * y[1], 4.0 - 1e-9), s = sqrt(1 - 0.25 * q);
      for (int j = 0; j < E; ++j)
        for (int i = 0; i < D; ++i)
          tangent[j][i] = s * side[j][i] - y[j] * axis[i] - 0.25 * y[j] / s * (y[0] * side[0][i] + y[1] * side[1][i]);
    }
  }

  /// Change of y when the unit vector `t` changes by `dt`.
  SONORAY_HD SONORAY_INLINE void change(const double* t, const double* dt, double* dy) const {
    const double c = dot<D>(t, axis), dc = dot<D>(dt, axis);
    if constexpr (D == 2) {
      dy[0] = c * dot<D>(dt, side[0]) - dot<D>(t, side[0]) * dc;
    } else {
      const double g = 1 / fmax(1 + c, 1e-12), f = sqrt(2 * g);
      for (int j = 0; j < E; ++j) dy[j] = f * (dot<D>(dt, side[j]) - 0.5 * g * dc * dot<D>(t, side[j]));
    }
  }

  /// a - b; angles are wrapped.
  SONORAY_HD static SONORAY_INLINE void difference(const double* a, const double* b, double* d) {
    for (int j = 0; j < E; ++j) d[j] = D == 2 ? wrapped(a[j] - b[j]) : a[j] - b[j];
  }
};

/// A ray at one distance from its emitter. In float: a starting point need not be exact, and a fan is large.
template <int D>
struct Sample {
  static constexpr int E = D - 1;
  float deflection[E], slope[E], stretch[E * E];
  float length, rate, lean[E];  ///< acoustic length [m], its derivatives along rho and y0
};

/// Where a ray of the fan has left the region of interest; it goes on straight from there.
template <int D>
struct Exit {
  static constexpr int E = D - 1;
  double y0[E];          ///< take-off
  int samples;           ///< valid ones; the first is at the emitter
  bool goes_on;          ///< false: it has turned back or was lost
  double x[D];           ///< from the emitter [m]
  double t[D];           ///< unit vector of travel
  double shift[E][D];    ///< dx / dy_j
  double spread[E][D];   ///< dt / dy_j
  double length, index;  ///< acoustic [m]; refractive index
};

/// All rays of one emitter. 2-D: `take_offs` in rising order, `ray` says where each one's samples are; 3-D: on a
/// lattice y = first + i pitch.
template <int D>
struct Fan {
  static constexpr int E = D - 1;
  Chart<D> chart;
  int n[E];
  double first[E], pitch[E];  ///< 2-D: the widest gap between neighbours
  bool closed;                ///< 2-D: the last ray's neighbour is the first
  const double* take_offs;
  const std::int32_t* ray;
  int most_samples;
  double spacing;  ///< of samples, along rho [m]
  double reach;    ///< largest change of y of any ray
  const Sample<D>* samples;
  const Exit<D>* exits;

  SONORAY_HD SONORAY_INLINE int rays() const { return E == 1 ? n[0] : n[0] * n[E - 1]; }

  SONORAY_HD SONORAY_INLINE void take_off(int ray, double* y) const {
    y[0] = first[0] + ray / n[E - 1] * pitch[0];
    y[E - 1] = first[E - 1] + ray % n[E - 1] * pitch[E - 1];
  }
};

/// The polar form of a point of a ray: `x` from the emitter, `shift` = dx / dy_j.
template <int D>
SONORAY_HD SONORAY_INLINE bool polar(const Chart<D>& chart, const double* y0, const double* x, const double* t,
                                     const double (*shift)[D], double length, double index, double* rho,
                                     Sample<D>& out) {
  constexpr int E = D - 1;
  const double r = norm<D>(x);
  *rho = r;
  double radial[D], y[E], u[E], dy[E], rate[D];
  for (int i = 0; i < D; ++i) radial[i] = x[i] / r;
  const double along = dot<D>(radial, t);
  if (!(along > 0.03)) return false;  // it turns back: rho no longer tells where on the ray
  chart.coordinates(radial, y);
  Chart<D>::difference(y, y0, u);
  for (int i = 0; i < D; ++i) rate[i] = (t[i] / along - radial[i]) / r;
  chart.change(radial, rate, dy);
  for (int j = 0; j < E; ++j) {
    out.deflection[j] = float(u[j]);
    out.slope[j] = float(dy[j]);
  }
  for (int j = 0; j < E; ++j) {
    const double back = dot<D>(shift[j], radial) / along;  // along the ray, back to the same rho
    for (int i = 0; i < D; ++i) rate[i] = (shift[j][i] - back * t[i]) / r;
    chart.change(radial, rate, dy);
    for (int i = 0; i < E; ++i) out.stretch[i * E + j] = float(dy[i]);
    out.lean[j] = float(-index * back);
  }
  out.length = float(length);
  out.rate = float(index / along);
  return true;
}

/// Hermite interpolation in rho between two points of a ray `h` apart, u in [0, 1].
template <int D>
SONORAY_HD SONORAY_INLINE void between(const Sample<D>& a, const Sample<D>& b, double h, double u, Sample<D>& out) {
  constexpr int E = D - 1;
  const double v = 1 - u, wa = v * v * (1 + 2 * u), wb = u * u * (3 - 2 * u), sa = h * u * v * v, sb = -h * u * u * v;
  for (int j = 0; j < E; ++j) {
    out.deflection[j] = float(wa * a.deflection[j] + wb * b.deflection[j] + sa * a.slope[j] + sb * b.slope[j]);
    out.slope[j] = float(v * a.slope[j] + u * b.slope[j]);
  }
  for (int j = 0; j < E; ++j) out.lean[j] = float(v * a.lean[j] + u * b.lean[j]);
  for (int j = 0; j < E * E; ++j) out.stretch[j] = float(v * a.stretch[j] + u * b.stretch[j]);
  out.length = float(wa * a.length + wb * b.length + sa * a.rate + sb * b.rate);
  out.rate = float(v * a.rate + u * b.rate);
}

/// A ray of the fan at the distance `rho`; false if it does not get there.
template <int D>
SONORAY_HD SONORAY_INLINE bool ray_at(const Fan<D>& fan, int ray, double rho, Sample<D>& out) {
  const Exit<D>& exit = fan.exits[ray];
  const double at = rho / fan.spacing;
  const int k = at < 1e9 ? int(at) : 1000000000;
  if (k + 1 < exit.samples) {
    const Sample<D>* s = fan.samples + std::int64_t(ray) * fan.most_samples + k;
    between<D>(s[0], s[1], fan.spacing, at - k, out);
    return true;
  }
  if (!exit.goes_on) return false;
  const double b = dot<D>(exit.x, exit.t), c = dot<D>(exit.x, exit.x) - rho * rho, root = b * b - c;
  if (!(root > 0)) return false;
  const double s = sqrt(root) - b;
  double x[D], shift[D - 1][D], r;
  for (int i = 0; i < D; ++i) x[i] = exit.x[i] + s * exit.t[i];
  for (int j = 0; j < D - 1; ++j)
    for (int i = 0; i < D; ++i) shift[j][i] = exit.shift[j][i] + s * exit.spread[j][i];
  return polar<D>(fan.chart, exit.y0, x, exit.t, shift, exit.length + s * exit.index, exit.index, &r, out);
}

}  // namespace sonoray::linking
