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
constexpr int max_candidates = 8;  ///< starting points per pair

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

/// Into (-pi, pi].
SONORAY_HD SONORAY_INLINE double wrapped(double angle) {
  return angle - 2 * pi * ceil((angle - pi) / (2 * pi));
}

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
          tangent[j][i] =
              s * side[j][i] - y[j] * axis[i] - 0.25 * y[j] / s * (y[0] * side[0][i] + y[1] * side[1][i]);
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
  double y0[E];      ///< take-off
  int samples;       ///< valid ones; the first is at the emitter
  bool goes_on;      ///< false: it has turned back or was lost
  double x[D];       ///< from the emitter [m]
  double t[D];       ///< unit vector of travel
  double shift[E][D];   ///< dx / dy_j
  double spread[E][D];  ///< dt / dy_j
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

/// Where to start looking for a ray to a receiver.
template <int D>
struct Candidate {
  static constexpr int E = D - 1;
  double y[E];         ///< take-off
  double low, high;    ///< 2-D: between these it lies; low > high: unknown
  int sign_low;        ///< 2-D: sign of (direction - receiver's) at `low`
  double from, to;     ///< 2-D: the neighbours of the fan between which it lies
  double arrival[D];   ///< direction of travel at the receiver, about
  double length;       ///< acoustic length, about [m]
};

/// Direction of travel of a ray with the given polar form where it is seen in the direction y.
template <int D>
SONORAY_HD SONORAY_INLINE void travel(const Chart<D>& chart, const double* y, double rho, const Sample<D>& s,
                                      double* t) {
  double tangent[D - 1][D];
  chart.direction(y, t);
  chart.tangents(y, tangent);
  for (int j = 0; j < D - 1; ++j)
    for (int i = 0; i < D; ++i) t[i] += rho * double(s.slope[j]) * tangent[j][i];
  const double length = norm<D>(t);
  for (int i = 0; i < D; ++i) t[i] /= length;
}

/// f(u) = cubic with the values f0, f1 and derivatives m0, m1 at 0 and 1.
struct Cubic {
  double a, b, c, d;
  SONORAY_HD SONORAY_INLINE Cubic(double f0, double f1, double m0, double m1)
      : a(f0), b(m0), c(3 * (f1 - f0) - 2 * m0 - m1), d(2 * (f0 - f1) + m0 + m1) {}
  SONORAY_HD SONORAY_INLINE double operator()(double u) const { return a + u * (b + u * (c + u * d)); }
  SONORAY_HD SONORAY_INLINE double slope(double u) const { return b + u * (2 * c + u * 3 * d); }

  /// Root between p and q, where the sign differs: Newton, bisection where that leaves the interval.
  SONORAY_HD SONORAY_INLINE double root(double p, double q) const {
    const bool rising = (*this)(p) < 0;
    double u = 0.5 * (p + q);
    for (int k = 0; k < 60; ++k) {
      const double f = (*this)(u);
      ((f < 0) == rising ? p : q) = u;
      const double g = slope(u), next = g != 0 ? u - f / g : p;
      const double step = (next > p && next < q ? next : 0.5 * (p + q)) - u;
      u += step;
      if (fabs(step) < 1e-12) break;
    }
    return u;
  }

  /// The extrema in (0, 1) in rising order; returns how many.
  SONORAY_HD SONORAY_INLINE int extrema(double* at) const {
    const double disc = c * c - 3 * d * b;
    int n = 0;
    if (disc > 0) {
      const double q = -(c + (c < 0 ? -sqrt(disc) : sqrt(disc)));
      const double r[2] = {d != 0 ? q / (3 * d) : 2.0, q != 0 ? b / q : 2.0};
      for (int k = 0; k < 2; ++k) {
        const double u = (r[0] <= r[1]) == (k == 0) ? r[0] : r[1];
        if (u > 0 && u < 1) at[n++] = u;
      }
    }
    return n;
  }
};

SONORAY_HD SONORAY_INLINE void add(Candidate<2>* list, int* n, const Fan<2>& fan, double y_receiver, double rho,
                                   double y, double low, double high, int sign_low, double from, double to,
                                   const Sample<2>& form) {
  if (*n >= max_candidates) return;
  Candidate<2>& c = list[(*n)++];
  c.y[0] = y;
  c.low = low;
  c.high = high;
  c.sign_low = sign_low;
  c.from = from;
  c.to = to;
  c.length = form.length;
  travel<2>(fan.chart, &y_receiver, rho, form, c.arrival);
}

/// The first of the n rising numbers that is not below x.
SONORAY_HD SONORAY_INLINE int lower_bound(const double* values, int n, double x) {
  int low = 0;
  while (n > 0) {
    const int half = n / 2;
    if (values[low + half] < x) {
      low += half + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  return low;
}

/// A ray of a 2-D fan as the receiver at (rho, y) sees it: f how far it passes, g df/dy0.
struct Passing {
  bool valid;
  double y0, f, g;
  Sample<2> form;
};

/// Number i of a fan; a closed one goes on beyond both ends.
SONORAY_HD SONORAY_INLINE Passing passing(const Fan<2>& fan, int i, double rho, double y) {
  const int n = fan.n[0], turns = i >= 0 ? i / n : (i + 1) / n - 1, at = i - turns * n;
  Passing p;
  p.y0 = fan.take_offs[at] + 2 * pi * turns;
  p.valid = ray_at<2>(fan, fan.ray[at], rho, p.form);
  const double f = p.valid ? p.y0 + p.form.deflection[0] - y : 0;
  p.f = fan.closed ? wrapped(f) : f;  // an open fan may be wider than half a turn
  p.g = p.valid ? p.form.stretch[0] : 0;
  return p;
}

/// Starting points for a receiver at the distance rho in the direction y; returns how many. `sure` is false if no
/// two neighbours of the fan enclose the receiver: the one start is then beside the ray that comes nearest.
SONORAY_HD SONORAY_INLINE int locate(const Fan<2>& fan, const double* receiver, double rho, Candidate<2>* list,
                                     bool* sure) {
  const double y = receiver[0], window = fan.reach * 1.05 + 1.5 * fan.pitch[0];
  const int rays = fan.n[0];
  int n = 0, from, to;
  if (fan.closed && window > 0.98 * pi) {
    from = 0;
    to = rays;  // once around and one more: every gap is looked at once
  } else if (fan.closed) {
    const double start = fan.take_offs[0], low = y - window - 2 * pi * floor((y - window - start) / (2 * pi));
    from = lower_bound(fan.take_offs, rays, low) - 1;
    to = from + 1;
    while (to < from + rays && fan.take_offs[(to + rays) % rays] + (to >= rays ? 2 * pi : 0) < low + 2 * window) ++to;
  } else {
    from = lower_bound(fan.take_offs, rays, y - window) - 1;
    to = lower_bound(fan.take_offs, rays, y + window);
    from = from < 0 ? 0 : from;
    to = to > rays - 1 ? rays - 1 : to;
  }
  double best = 1e300;
  Passing a{}, b{}, nearest{};
  for (int i = from; i <= to; ++i) {
    a = b;
    b = passing(fan, i, rho, y);
    if (!b.valid) continue;
    if (fabs(b.f) < best) best = fabs(b.f), nearest = b;
    if (i == from || !a.valid || fabs(b.f - a.f) > pi) continue;
    const double h = b.y0 - a.y0, m0 = h * a.g, m1 = h * b.g;
    const double inner[2] = {a.f + m0 / 3, b.f - m1 / 3};  // with both f the corners of the curve's hull
    if ((a.f > 0 && b.f > 0 && inner[0] > 0 && inner[1] > 0) || (a.f < 0 && b.f < 0 && inner[0] < 0 && inner[1] < 0))
      continue;
    const Cubic cubic(a.f, b.f, m0, m1);
    double edge[4] = {};
    const int parts = cubic.extrema(edge + 1) + 1;
    edge[parts] = 1;
    for (int k = 0; k < parts; ++k) {
      const double p = cubic(edge[k]), q = cubic(edge[k + 1]);
      if (!((p <= 0 && q > 0) || (p >= 0 && q < 0))) continue;
      const double u = cubic.root(edge[k], edge[k + 1]);
      Sample<2> mean = a.form;
      mean.slope[0] = float((1 - u) * a.form.slope[0] + u * b.form.slope[0]);
      mean.length = float(Cubic(a.form.length, b.form.length, h * a.form.lean[0], h * b.form.lean[0])(u));
      add(list, &n, fan, y, rho, a.y0 + u * h, a.y0 + edge[k] * h, a.y0 + edge[k + 1] * h, q > p ? -1 : 1, a.y0, b.y0,
          mean);
    }
  }
  *sure = n > 0;
  if (n == 0 && nearest.valid) {
    double step = fabs(nearest.g) > 0.1 ? -nearest.f / nearest.g : 0;
    step = step > 0.2 ? 0.2 : step < -0.2 ? -0.2 : step;
    add(list, &n, fan, y, rho, nearest.y0 + step, 1, 0, 0, nearest.y0 - fan.pitch[0], nearest.y0 + fan.pitch[0],
        nearest.form);
  }
  return n;
}

/// x = A^-1 b for 2 x 2; false if A is singular.
SONORAY_HD SONORAY_INLINE bool solve2(double a, double b, double c, double d, const double* rhs, double* x) {
  const double det = a * d - b * c;
  if (!(fabs(det) > 1e-12 * (fabs(a * d) + fabs(b * c)) && det != 0)) return false;
  x[0] = (d * rhs[0] - b * rhs[1]) / det;
  x[1] = (a * rhs[1] - c * rhs[0]) / det;
  return true;
}

SONORAY_HD SONORAY_INLINE void add(Candidate<3>* list, int* n, const Fan<3>& fan, const double* receiver, double rho,
                                   const double* y, const Sample<3>& form) {
  if (*n >= max_candidates) return;
  Candidate<3>& c = list[(*n)++];
  c.y[0] = y[0];
  c.y[1] = y[1];
  c.low = 1;
  c.high = 0;
  c.sign_low = 0;
  c.length = form.length;
  travel<3>(fan.chart, receiver, rho, form, c.arrival);
}

/// The same on triangles of the lattice. Where three rays enclose the receiver the take-off is interpolated from
/// theirs to third order: the mean of linear interpolation and of the blend of their first-order expansions.
SONORAY_HD SONORAY_INLINE int locate(const Fan<3>& fan, const double* receiver, double rho, Candidate<3>* list,
                                     bool* sure) {
  int n = 0, nearest = -1;
  double best = 1e300;
  Sample<3> kept{};
  int from[2], to[2];
  for (int a = 0; a < 2; ++a) {
    const double window = fan.reach * 1.05 + 1.5 * fan.pitch[a], at = receiver[a] - fan.first[a];
    const int low = int(floor((at - window) / fan.pitch[a])), high = int(ceil((at + window) / fan.pitch[a]));
    from[a] = low < 0 ? 0 : low > fan.n[a] - 1 ? fan.n[a] - 1 : low;
    to[a] = high < 0 ? 0 : high > fan.n[a] - 1 ? fan.n[a] - 1 : high;
  }
  for (int i = from[0]; i <= to[0]; ++i)
    for (int j = from[1]; j <= to[1]; ++j) {
      Sample<3> form[4];
      double y0[4][2], f[4][2];
      bool valid[4];
      for (int k = 0; k < 4; ++k) {  // corners (i, j), (i + 1, j), (i, j + 1), (i + 1, j + 1)
        const int p = i + (k & 1), q = j + (k >> 1);
        valid[k] = p < fan.n[0] && q < fan.n[1];
        if (!valid[k]) continue;
        const int ray = p * fan.n[1] + q;
        fan.take_off(ray, y0[k]);
        valid[k] = ray_at<3>(fan, ray, rho, form[k]);
        for (int a = 0; a < 2; ++a) f[k][a] = valid[k] ? y0[k][a] + form[k].deflection[a] - receiver[a] : 0;
        if (k == 0 && valid[0]) {
          const double miss = f[0][0] * f[0][0] + f[0][1] * f[0][1];
          if (miss < best) best = miss, nearest = ray, kept = form[0];
        }
      }
      for (int half = 0; half < 2; ++half) {
        const int corner[3] = {half == 0 ? 0 : 3, 1, 2};
        if (!valid[corner[0]] || !valid[1] || !valid[2]) continue;
        double w[3], area = 0;
        for (int k = 0; k < 3; ++k) {
          const double *p = f[corner[(k + 1) % 3]], *q = f[corner[(k + 2) % 3]];
          w[k] = p[0] * q[1] - p[1] * q[0];
          area += w[k];
        }
        if (area == 0) continue;
        bool inside = true;
        for (int k = 0; k < 3; ++k) {
          w[k] /= area;
          inside = inside && w[k] >= -1e-9;
        }
        if (!inside) continue;
        double linear[2] = {}, blend[2] = {};
        bool expand = true;
        Sample<3> mean{};
        for (int k = 0; k < 3; ++k) {
          const int c = corner[k];
          const float* s = form[c].stretch;
          double back[2] = {};
          expand = expand && solve2(s[0], s[1], s[2], s[3], f[c], back) &&
                   (s[0] * s[3] > s[1] * s[2]) == (form[1].stretch[0] * form[1].stretch[3] >
                                                   form[1].stretch[1] * form[1].stretch[2]);
          for (int a = 0; a < 2; ++a) {
            linear[a] += w[k] * y0[c][a];
            blend[a] += w[k] * (y0[c][a] - back[a]);
            mean.slope[a] += float(w[k] * form[c].slope[a]);
          }
          mean.length += float(w[k] * form[c].length);
        }
        double y[2];
        for (int a = 0; a < 2; ++a) {
          expand = expand && fabs(blend[a] - linear[a]) < fan.pitch[a];
          y[a] = linear[a];
        }
        if (expand)
          for (int a = 0; a < 2; ++a) y[a] = 0.5 * (linear[a] + blend[a]);
        for (int k = 0; k < 3; ++k)
          for (int a = 0; a < 2; ++a)
            mean.length += float(0.5 * w[k] * form[corner[k]].lean[a] * (y[a] - y0[corner[k]][a]));
        add(list, &n, fan, receiver, rho, y, mean);
      }
    }
  *sure = n > 0;
  if (n == 0 && nearest >= 0) {
    double y[2], offset[2], step[2];
    fan.take_off(nearest, y);
    for (int a = 0; a < 2; ++a) offset[a] = y[a] + kept.deflection[a] - receiver[a];
    if (solve2(kept.stretch[0], kept.stretch[1], kept.stretch[2], kept.stretch[3], offset, step) &&
        norm<2>(step) < 0.3)
      for (int a = 0; a < 2; ++a) y[a] -= step[a];
    add(list, &n, fan, receiver, rho, y, kept);
  }
  return n;
}

}  // namespace sonoray::linking
