#pragma once
// Where to start looking for the ray that meets a receiver: between which rays of a fan it lies, and which take-off
// they tell. Shared by host and CUDA, in double, one pair at a time.
#include "rays/linking_kernel.h"

namespace sonoray::linking {

constexpr int max_candidates = 8;  ///< starting points per pair

/// Where to start looking for a ray to a receiver.
template <int D>
struct Candidate {
  static constexpr int E = D - 1;
  double y[E];        ///< take-off
  double low, high;   ///< 2-D: between these it lies; low > high: unknown
  int sign_low;       ///< 2-D: sign of (direction - receiver's) at `low`
  double from, to;    ///< 2-D: the neighbours of the fan between which it lies
  double arrival[D];  ///< direction of travel at the receiver, about
  double length;      ///< acoustic length, about [m]
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
                   (s[0] * s[3] > s[1] * s[2]) ==
                       (form[1].stretch[0] * form[1].stretch[3] > form[1].stretch[1] * form[1].stretch[2]);
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
    if (solve2(kept.stretch[0], kept.stretch[1], kept.stretch[2], kept.stretch[3], offset, step) && norm<2>(step) < 0.3)
      for (int a = 0; a < 2; ++a) y[a] -= step[a];
    add(list, &n, fan, receiver, rho, y, kept);
  }
  return n;
}

}  // namespace sonoray::linking
