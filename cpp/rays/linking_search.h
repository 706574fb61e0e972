#pragma once
// The search for the take-off whose ray meets a receiver, as a machine that asks for one ray after the other: `t` is
// the next take-off, `advance` takes what became of that ray. Shared by host and CUDA, one pair at a time; the rays
// end on a plane through the receiver, so receivers may be anywhere.
//
// newton         paraxial derivative; 2-D: inside the fan's bracket, bisection where a step leaves it;
//                without a bracket and in 3-D: steps are halved while the miss grows
// regula_falsi   2-D, plain false position between the fan's outermost rays
// secant         2-D, from the straight line, bounds of 0.3 rad, steps beyond them cut to half the distance
// broyden        3-D, "good" update with conditioning control; Jacobian from two more rays, bounds of 0.5 rad
// The last three are the published solvers that others use, for comparison; they know no derivative.

#include "rays/linking_kernel.h"

namespace sonoray::linking {

enum class Solver { newton = 0, regula_falsi = 1, secant = 2, broyden = 3 };

/// Where a ray has ended, positions from the emitter.
template <int D>
struct Landing {
  static constexpr int E = D - 1;
  bool landed;         ///< on the plane; nothing else is valid otherwise
  double x[D], t[D];   ///< [m], unit vector of travel
  double shift[E][D];  ///< dx / d(angle of take-off towards `across`), across the ray
  double length;       ///< acoustic [m]
  double index;        ///< refractive, there
  double jacobian;     ///< Q [m/rad] in 2-D, det Q [m^2/rad^2] in 3-D
  int caustics, steps;
  bool outside;  ///< it has run outside the grid
};

enum class State : int { searching = 0, found = 1, failed = 2 };

template <int D>
struct Search {
  static constexpr int E = D - 1;
  // the pair
  double target[D], toward[E], rho;  ///< receiver from the emitter, on the chart, and its distance
  double normal[D];                  ///< of the plane, along the travel at the receiver
  // the next ray
  double t[D], y[E];
  // what is known
  double low, high, f_low, f_high;  ///< 2-D bracket (none: low > high) and residuals (newton: only their signs)
  double best, best_t[D], best_y[E], step[E], last_f[E], B[E * E];
  int phase, traces;
  State state;
};

/// Unit vector of travel where there is none to be had: along the line of sight.
template <int D>
SONORAY_HD SONORAY_INLINE void begin(Search<D>& s, const Chart<D>& chart, const double* target, double rho,
                                     const double* y, const double* arrival) {
  s.rho = rho;
  double sight[D];
  for (int i = 0; i < D; ++i) {
    s.target[i] = target[i];
    sight[i] = target[i] / rho;
  }
  chart.coordinates(sight, s.toward);
  // The plane must have the emitter behind it.
  const bool usable = dot<D>(arrival, sight) > 0.05;
  for (int i = 0; i < D; ++i) s.normal[i] = usable ? arrival[i] : sight[i];
  for (int j = 0; j < D - 1; ++j) s.y[j] = y[j], s.step[j] = 0;
  chart.direction(y, s.t);
  s.low = 1;
  s.high = 0;
  s.best = 1e300;
  s.phase = s.traces = 0;
  s.state = State::searching;
}

/// The residual: the direction in which the end is seen from the emitter, less that of the receiver, on the chart.
template <int D>
SONORAY_HD SONORAY_INLINE void residual(const Search<D>& s, const Chart<D>& chart, const Landing<D>& at, double* f) {
  double seen[D], y[D - 1];
  const double r = norm<D>(at.x);
  for (int i = 0; i < D; ++i) seen[i] = at.x[i] / r;
  chart.coordinates(seen, y);
  Chart<D>::difference(y, s.toward, f);
}

template <int D>
SONORAY_HD SONORAY_INLINE double miss_of(const Search<D>& s, const Landing<D>& at) {
  double d[D];
  for (int i = 0; i < D; ++i) d[i] = at.x[i] - s.target[i];
  return norm<D>(d);
}

template <int D>
SONORAY_HD SONORAY_INLINE void go(Search<D>& s, const Chart<D>& chart, const double* y) {
  for (int j = 0; j < D - 1; ++j) s.y[j] = y[j];
  chart.direction(s.y, s.t);
}

template <int D>
SONORAY_HD SONORAY_INLINE void keep_best(Search<D>& s, double miss) {
  s.best = miss;
  for (int i = 0; i < D; ++i) s.best_t[i] = s.t[i];
  for (int j = 0; j < D - 1; ++j) s.best_y[j] = s.y[j];
}

/// Half of the last step from the best ray so far; fails when there is none or nothing is left of the step.
template <int D>
SONORAY_HD SONORAY_INLINE void halve(Search<D>& s, const Chart<D>& chart) {
  double size = 0, y[D - 1];
  for (int j = 0; j < D - 1; ++j) {
    s.step[j] *= 0.5;
    y[j] = s.best_y[j] + s.step[j];
    size += s.step[j] * s.step[j];
  }
  if (s.best >= 1e299 || size < 1e-26)
    s.state = State::failed;
  else
    go(s, chart, y);
}

/// Change of take-off, on the chart, that takes the ray to the receiver to first order; false at a caustic.
template <int D>
SONORAY_HD SONORAY_INLINE bool newton_step(const Search<D>& s, const Chart<D>& chart, const Landing<D>& at,
                                           double* dy) {
  constexpr int E = D - 1;
  const double along = dot<D>(at.t, s.normal);
  if (!(along > 1e-3)) return false;
  double slide[E][D], side[E][D], angle[E], turned[D];
  for (int j = 0; j < E; ++j) {
    const double back = dot<D>(at.shift[j], s.normal) / along;
    for (int i = 0; i < D; ++i) slide[j][i] = at.shift[j][i] - back * at.t[i];
  }
  across<D>(s.t, side);
  if constexpr (D == 2) {  // in angles as seen from the emitter: exact in one step where rays are straight
    const double rr = dot<2>(at.x, at.x);
    const double rate = (at.x[0] * slide[0][1] - at.x[1] * slide[0][0]) / rr;
    if (!(fabs(rate) > 1e-9)) return false;
    const double miss = atan2(at.x[0] * s.target[1] - at.x[1] * s.target[0], dot<2>(at.x, s.target));
    dy[0] = miss / rate;
  } else {
    double e[E][D], gap[D], rhs[E];
    across<D>(s.normal, e);
    for (int i = 0; i < D; ++i) gap[i] = s.target[i] - at.x[i];
    for (int j = 0; j < E; ++j) rhs[j] = dot<D>(gap, e[j]);
    if (!solve2(dot<D>(slide[0], e[0]), dot<D>(slide[1], e[0]), dot<D>(slide[0], e[1]), dot<D>(slide[1], e[1]), rhs,
                angle))
      return false;
    const double size = norm<E>(angle);
    if (!(size < 1e6)) return false;
    if (size > 0.2)
      for (int j = 0; j < E; ++j) angle[j] *= 0.2 / size;
    for (int i = 0; i < D; ++i) turned[i] = s.t[i];
    turn<D>(angle, side, turned);
    double y[E];
    chart.coordinates(turned, y);
    Chart<D>::difference(y, s.y, dy);
  }
  return true;
}

template <int D>
SONORAY_HD SONORAY_INLINE void advance_newton(Search<D>& s, const Chart<D>& chart, const Landing<D>& at, double miss) {
  constexpr int E = D - 1;
  double dy[E] = {}, y[E] = {};
  const bool bracket = s.low < s.high;
  if (!at.landed) {
    if (bracket && s.best >= 1e299) {  // nothing known yet: look at the middle, then nearer to either end
      const double share[4] = {0.5, 0.25, 0.75, 0.1};
      y[0] = s.low + share[s.phase & 3] * (s.high - s.low);
      if (++s.phase > 4)
        s.state = State::failed;
      else
        go(s, chart, y);
    } else {
      halve(s, chart);
    }
    return;
  }
  bool ok = newton_step(s, chart, at, dy);
  if constexpr (D == 2) {
    if (bracket) {
      const double f = s.target[0] * at.x[1] - s.target[1] * at.x[0];  // sine of the residual, times lengths
      ((f < 0) == (s.f_low < 0) ? s.low : s.high) = s.y[0];
      keep_best(s, miss);
      y[0] = s.y[0] + (ok ? dy[0] : 0);
      if (!(ok && y[0] > s.low && y[0] < s.high)) y[0] = 0.5 * (s.low + s.high);
      s.step[0] = y[0] - s.y[0];
      if (s.high - s.low < 1e-14)
        s.state = State::failed;
      else
        go(s, chart, y);
      return;
    }
    if (ok) dy[0] = dy[0] > 0.2 ? 0.2 : dy[0] < -0.2 ? -0.2 : dy[0];
  }
  if (!ok || miss >= s.best) {
    halve(s, chart);
    return;
  }
  keep_best(s, miss);
  for (int j = 0; j < E; ++j) {
    s.step[j] = dy[j];
    y[j] = s.y[j] + dy[j];
  }
  go(s, chart, y);
}

/// False position: the chord between the ends of the bracket; an end may stick, as in the published method.
SONORAY_HD SONORAY_INLINE void false_position(Search<2>& s, const Chart<2>& chart) {
  const double y = s.low - s.f_low * (s.high - s.low) / (s.f_high - s.f_low);
  if (!(s.high - s.low > 1e-15) || !(y >= s.low && y <= s.high))
    s.state = State::failed;
  else
    go(s, chart, &y);
}

SONORAY_HD SONORAY_INLINE void advance_regula_falsi(Search<2>& s, const Chart<2>& chart, const Landing<2>& at) {
  double f;
  if (!at.landed) {
    s.state = State::failed;
    return;
  }
  residual(s, chart, at, &f);
  if ((f < 0) == (s.f_low < 0)) {
    s.low = s.y[0];
    s.f_low = f;
  } else {
    s.high = s.y[0];
    s.f_high = f;
  }
  false_position(s, chart);
}

SONORAY_HD SONORAY_INLINE void advance_secant(Search<2>& s, const Chart<2>& chart, const Landing<2>& at) {
  constexpr double bound = 0.30, increment = 1e-6;
  double f;
  if (!at.landed) {
    s.state = State::failed;
    return;
  }
  residual(s, chart, at, &f);
  double y;
  if (s.phase == 0) {
    s.low = s.y[0] - bound;
    s.high = s.y[0] + bound;
    y = s.y[0] + increment;
    s.phase = 1;
  } else {
    const double slope = (f - s.last_f[0]) / (s.y[0] - s.best_y[0]);
    y = s.y[0] - f / slope;
    if (!(slope != 0)) {
      s.state = State::failed;
      return;
    }
    if (y > s.high) y = s.y[0] + 0.5 * (s.high - s.y[0]);
    if (y < s.low) y = s.y[0] + 0.5 * (s.low - s.y[0]);
    if (y == s.y[0]) s.state = State::failed;
  }
  s.best_y[0] = s.y[0];  // the previous iterate
  s.last_f[0] = f;
  if (s.state == State::searching) go(s, chart, &y);
}

/// Largest and smallest singular value of a 2 x 2 matrix.
SONORAY_HD SONORAY_INLINE void singular(const double* B, double* most, double* least) {
  const double sum = B[0] * B[0] + B[1] * B[1] + B[2] * B[2] + B[3] * B[3], det = B[0] * B[3] - B[1] * B[2];
  const double p = sqrt(fmax(sum + 2 * fabs(det), 0.0)), m = sqrt(fmax(sum - 2 * fabs(det), 0.0));
  *most = 0.5 * (p + m);
  *least = 0.5 * (p - m);
}

SONORAY_HD SONORAY_INLINE void advance_broyden(Search<3>& s, const Chart<3>& chart, const Landing<3>& at,
                                               double tolerance) {
  constexpr double bound = 0.5, increment = 1e-6;
  double f[2], y[2];
  if (!at.landed) {
    s.state = State::failed;
    return;
  }
  residual(s, chart, at, f);
  if (s.phase < 2) {  // Jacobian by forward differences: two more rays
    if (s.phase == 0)
      for (int j = 0; j < 2; ++j) s.best_y[j] = s.y[j], s.last_f[j] = f[j], s.f_low = s.y[0], s.f_high = s.y[1];
    else
      for (int j = 0; j < 2; ++j) s.B[2 * j] = (f[j] - s.last_f[j]) / increment;
    for (int j = 0; j < 2; ++j) y[j] = s.best_y[j] + (j == s.phase ? increment : 0);
    ++s.phase;
    go(s, chart, y);
    return;
  }
  if (s.phase == 2) {
    for (int j = 0; j < 2; ++j) s.B[2 * j + 1] = (f[j] - s.last_f[j]) / increment;
    ++s.phase;
  } else {
    double rest[2], ss = dot<2>(s.step, s.step);
    for (int j = 0; j < 2; ++j) rest[j] = f[j] - s.last_f[j] - (s.B[2 * j] * s.step[0] + s.B[2 * j + 1] * s.step[1]);
    for (int attempt = 0; attempt < 20; ++attempt) {
      const double tau = 1 + 0.01 * ((attempt + 1) / 2) * (attempt % 2 ? 1 : -1);
      double B[4], most, least;
      for (int j = 0; j < 2; ++j)
        for (int k = 0; k < 2; ++k) B[2 * j + k] = s.B[2 * j + k] + tau * rest[j] * s.step[k] / ss;
      singular(B, &most, &least);
      if (attempt < 19 && !(most < 1e4 * least && least > fmin(norm<2>(f), 1e-4))) continue;
      for (int k = 0; k < 4; ++k) s.B[k] = B[k];
      break;
    }
    for (int j = 0; j < 2; ++j) s.best_y[j] = s.y[j], s.last_f[j] = f[j];
  }
  double step[2];
  if (!solve2(s.B[0], s.B[1], s.B[2], s.B[3], s.last_f, step)) {
    s.state = State::failed;
    return;
  }
  const double start[2] = {s.f_low, s.f_high};
  double share = 1;
  for (int j = 0; j < 2; ++j) {
    const double to = s.best_y[j] - step[j], edge = start[j] + (to > start[j] ? bound : -bound);
    if (fabs(to - start[j]) > bound) share = fmin(share, fabs(0.5 * (edge - s.best_y[j]) / step[j]));
  }
  for (int j = 0; j < 2; ++j) {
    s.step[j] = -share * step[j];
    y[j] = s.best_y[j] + s.step[j];
  }
  if (norm<2>(s.step) * s.rho < 1e-2 * tolerance)
    s.state = State::failed;
  else
    go(s, chart, y);
}

/// Takes what became of the ray that was asked for; afterwards `state` says whether another one is wanted.
template <int D>
SONORAY_HD SONORAY_INLINE void advance(Search<D>& s, Solver solver, const Chart<D>& chart, const Landing<D>& at,
                                       double tolerance, int max_traces) {
  ++s.traces;
  const double miss = at.landed ? miss_of(s, at) : 1e300;
  if (miss < tolerance) {
    s.state = State::found;
    return;
  }
  if (s.traces >= max_traces) {
    s.state = State::failed;
    return;
  }
  if constexpr (D == 2) {
    if (solver == Solver::regula_falsi) return advance_regula_falsi(s, chart, at);
    if (solver == Solver::secant) return advance_secant(s, chart, at);
  } else {
    if (solver == Solver::broyden) return advance_broyden(s, chart, at, tolerance);
  }
  advance_newton(s, chart, at, miss);
}

/// A ray that meets a receiver.
template <int D>
struct Found {
  double fields[2 + 2 * D];  ///< as in LinkParams' rays: acoustic length [m], determinant of Q, take-off, arrival
  std::int32_t caustics, steps;
  bool outside;
};

/// Acoustic length to the receiver as a ray that has ended beside it tells, and how wrong that may be: the front that
/// passes there is bent, in tissue hardly more than with a radius of 5 mm.
template <int D>
SONORAY_HD SONORAY_INLINE double expected(const Search<D>& s, const Landing<D>& at, double* error) {
  double left = 0, square = 0;
  for (int d = 0; d < D; ++d) {
    const double gap = s.target[d] - at.x[d];
    left += at.t[d] * gap;
    square += gap * gap;
  }
  *error = square / (2 * 5e-3);
  return at.length + at.index * left;
}

template <int D>
SONORAY_HD SONORAY_INLINE Found<D> outcome(const Search<D>& s, const Landing<D>& at) {
  Found<D> f;
  double left = 0;
  for (int d = 0; d < D; ++d) {
    left += at.t[d] * (s.target[d] - at.x[d]);
    f.fields[2 + d] = s.t[d];
    f.fields[2 + D + d] = at.t[d];
  }
  f.fields[0] = at.length + at.index * left;  // to first order from where the ray ends to the receiver
  f.fields[1] = at.jacobian;
  f.caustics = at.caustics;
  f.steps = at.steps;
  f.outside = at.outside;
  return f;
}

}  // namespace sonoray::linking
