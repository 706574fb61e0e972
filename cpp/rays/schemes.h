#pragma once
// One step of a ray in arc length: dx/ds = K / n, dK/ds = grad n, |K| = n, with everything else that the ray carries.
#include "core/exec.h"
#include "core/lanes.h"
#include "media/interpolation_kernel.h"
#include "rays/amplitudes_kernel.h"

namespace sonoray::tracing {

using interpolation::Field;
using interpolation::Sample;

/// The first four as published for ultrasound tomography, rk4 the classical fourth-order method.
enum class Scheme { mixed_step, dual_update, characteristics, heun, rk4 };

template <int D>
struct Medium {
  Field<D> index;       ///< n = c_ref / c, bends the rays
  Field<D> travel;      ///< the index that is integrated for the acoustic length; none: `index`
  Field<D> absorption;  ///< integrated along the ray if given
  double floor = 0;     ///< positive; n is taken as at least this, whatever a spline does between samples
};

/// Where the parts of a ray's state lie. `S` counts the paraxial solutions: 0, 1 (point source), 2 (and plane wave).
/// `plain`: the medium has a spline as its index and neither of the other fields; saves asking at each point.
template <Scheme scheme, int S, int D, bool plain_ = false>
struct Layout {
  static_assert(S == 0 || scheme == Scheme::heun || scheme == Scheme::rk4, "amplitudes need a scheme that carries K");
  static constexpr bool plain = plain_;
  static constexpr int solutions = S, m = spread_size<D>;
  static constexpr int x = 0;                 ///< position [m]
  static constexpr int k = D;                 ///< K, or the unit direction in mixed_step and dual_update
  static constexpr int length = 2 * D;        ///< acoustic length [m]
  static constexpr int absorbed = 2 * D + 1;  ///< integral of the absorption field
  static constexpr int frame = 2 * D + 2;     ///< first vector across the ray (3-D with amplitudes)
  static constexpr int q = frame + (S > 0 && D == 3 ? 3 : 0);  ///< Q then P of each solution
  static constexpr int extra = q + 2 * S * m;                  ///< of the scheme
  static constexpr int previous = extra;  ///< length of the step before [m]; 0 at the start (not rk4)
  static constexpr int kick = extra + 1;  ///< mixed_step: 1/2, then 1; dual_update: k of the step before
  static constexpr int size = scheme == Scheme::rk4 ? extra
                                                    : extra + 1 +
                                                          (scheme == Scheme::mixed_step    ? 1
                                                           : scheme == Scheme::dual_update ? D
                                                                                           : 0);
};

template <int D, class N>
SONORAY_HD SONORAY_INLINE N dot(const N* a, const N* b) {
  N sum = a[0] * b[0];
  for (int d = 1; d < D; ++d) sum += a[d] * b[d];
  return sum;
}

/// 1 / |v|; of a zero vector a large number, so that v stays zero.
template <int D, class N>
SONORAY_HD SONORAY_INLINE N inverse_norm(const N* v) {
  return 1.0 / lanes::root<N>(lanes::larger<N>(dot<D, N>(v, v), lanes::same<N>(1e-60)));
}

template <int order, int D, class N>
SONORAY_HD SONORAY_INLINE void sample_index(const Medium<D>& medium, const N* x, Sample<D, N>& s) {
  interpolation::sample<order, D, N>(medium.index, x, s);
  s.value = lanes::larger<N>(s.value, lanes::same<N>(medium.floor));
}

/// The same on the way of a ray with the layout L.
template <class L, int order, int D, class N>
SONORAY_HD SONORAY_INLINE void sample_index(const Medium<D>& medium, const N* x, Sample<D, N>& s) {
  if constexpr (L::plain)
    interpolation::sample_spline<order, N>(medium.index, x, s);
  else
    interpolation::sample<order, D, N>(medium.index, x, s);
  s.value = lanes::larger<N>(s.value, lanes::same<N>(medium.floor));
}

/// What the acoustic length integrates at x, where the index has been sampled.
template <class L, int D, class N>
SONORAY_HD SONORAY_INLINE N travel_index(const Medium<D>& medium, const N* x, const Sample<D, N>& index) {
  if (L::plain || !medium.travel) return index.value;
  N at[D];
  for (int d = 0; d < D; ++d) at[d] = x[d];
  return lanes::larger<N>(interpolation::sample_value<D, N>(medium.travel, at), lanes::same<N>(medium.floor));
}

template <class L, int D, class N>
SONORAY_HD SONORAY_INLINE N absorption_at(const Medium<D>& medium, const N* x) {
  if (L::plain || !medium.absorption) return N{};
  N at[D];  // a copy, so that the ray's state need not lie in memory
  for (int d = 0; d < D; ++d) at[d] = x[d];
  return interpolation::sample_value<D, N>(medium.absorption, at);
}

/// dy/ds of everything but the scheme's extras, where `s` is the index at y's position.
template <class L, int D, class N>
SONORAY_HD SONORAY_INLINE void rates(const Medium<D>& medium, const Sample<D, N>& s, const N* y, N* f) {
  const N inverse = inverse_norm<D, N>(y + L::k);
  N t[D];
  for (int d = 0; d < D; ++d) {
    f[L::x + d] = t[d] = inverse * y[L::k + d];
    f[L::k + d] = s.gradient[d];
  }
  f[L::length] = travel_index<L, D, N>(medium, y + L::x, s);
  f[L::absorbed] = absorption_at<L, D, N>(medium, y + L::x);
  if constexpr (L::solutions > 0) {
    N m[D == 2 ? 1 : 3], e[D];
    if constexpr (D == 2) {
      across<D, N>(t, e);
    } else {  // parallel transport: the frame turns only as much as the direction does
      const N turn = -inverse * dot<D, N>(y + L::frame, s.gradient);
      for (int d = 0; d < D; ++d) {
        e[d] = y[L::frame + d];
        f[L::frame + d] = turn * t[d];
      }
    }
    focusing<D, N>(t, e, s.gradient, s.hessian, inverse, m);
    for (int k = 0; k < L::solutions; ++k) {
      const int q = L::q + 2 * k * L::m, p = q + L::m;
      paraxial_rates<D, N>(m, inverse, y + q, y + p, f + q, f + p);
    }
  }
}

/// Makes |K| = n exactly and the frame orthonormal again, which the exact solution keeps.
template <class L, int D, class N>
SONORAY_HD SONORAY_INLINE void rescale(N n, N* y) {
  const N inverse = inverse_norm<D, N>(y + L::k), scale = n * inverse;
  if constexpr (L::solutions > 0 && D == 3) {
    N* const e = y + L::frame;
    const N along = inverse * inverse * dot<D, N>(e, y + L::k);
    for (int d = 0; d < D; ++d) e[d] -= along * y[L::k + d];
    const N unit = inverse_norm<D, N>(e);
    for (int d = 0; d < D; ++d) e[d] *= unit;
  }
  for (int d = 0; d < D; ++d) y[L::k + d] *= scale;
}

template <class L, int D, class N>
SONORAY_HD SONORAY_INLINE void step_rk4(const Medium<D>& medium, N h, N* y, N* next) {
  constexpr int order = L::solutions > 0 ? 2 : 1;
  N at[L::size], f[L::size];
  for (int i = 0; i < L::size; ++i) next[i] = at[i] = y[i];
  SONORAY_ROLLED
  for (int stage = 0; stage < 4; ++stage) {
    Sample<D, N> s;
    sample_index<L, order, D, N>(medium, at + L::x, s);
    if (stage == 0) {
      rescale<L, D, N>(s.value, y);
      for (int i = L::k; i < L::q; ++i) next[i] = at[i] = y[i];
    }
    rates<L, D, N>(medium, s, at, f);
    const N share = h * (stage == 0 || stage == 3 ? 1.0 / 6.0 : 1.0 / 3.0);
    const N ahead = h * (stage == 2 ? 1.0 : 0.5);
    for (int i = 0; i < L::size; ++i) {
      next[i] += share * f[i];
      at[i] = y[i] + ahead * f[i];
    }
  }
}

/// Trapezoid rule whose weights are known one node late: the node at y counts for the steps on both its sides.
template <class L, int D, class N>
SONORAY_HD SONORAY_INLINE void integrate_node(const Medium<D>& medium, N h, const Sample<D, N>& s, const N* y,
                                              N* next) {
  const N weight = 0.5 * (y[L::previous] + h);
  next[L::length] = y[L::length] + weight * travel_index<L, D, N>(medium, y + L::x, s);
  next[L::absorbed] = y[L::absorbed] + weight * absorption_at<L, D, N>(medium, y + L::x);
  next[L::previous] = h;
}

template <class L, int D, class N>
SONORAY_HD SONORAY_INLINE void step_heun(const Medium<D>& medium, N h, N* y, N* next) {
  constexpr int order = L::solutions > 0 ? 2 : 1;
  Sample<D, N> s;
  N f[L::size], at[L::size], g[L::size], along[D];
  sample_index<L, order, D, N>(medium, y + L::x, s);
  rescale<L, D, N>(s.value, y);
  rates<L, D, N>(medium, s, y, f);
  integrate_node<L, D, N>(medium, h, s, y, next);
  for (int i = 0; i < L::extra; ++i) at[i] = y[i] + h * f[i];
  sample_index<L, order, D, N>(medium, at + L::x, s);
  rescale<L, D, N>(s.value, at);
  rates<L, D, N>(medium, s, at, g);
  for (int d = 0; d < D; ++d) along[d] = f[L::x + d] + g[L::x + d];
  const N scale = h * inverse_norm<D, N>(along);
  for (int d = 0; d < D; ++d) {
    next[L::x + d] = y[L::x + d] + scale * along[d];
    next[L::k + d] = y[L::k + d] + 0.5 * h * (f[L::k + d] + g[L::k + d]);
  }
  for (int i = L::frame; i < L::extra; ++i) next[i] = y[i] + 0.5 * h * (f[i] + g[i]);
}

template <class L, int D, class N>
SONORAY_HD SONORAY_INLINE void step_characteristics(const Medium<D>& medium, N h, N* y, N* next) {
  Sample<D, N> s;
  sample_index<L, 1, D, N>(medium, y + L::x, s);
  integrate_node<L, D, N>(medium, h, s, y, next);
  // Only the first K has the length n of its own point; later ones keep that of the point before.
  const N n0 = inverse_norm<D, N>(y + L::k),
          start = lanes::pick<N>(y[L::previous] > N{}, lanes::same<N>(1.0), s.value * n0);
  N* const k = next + L::k;
  for (int d = 0; d < D; ++d) k[d] = start * y[L::k + d] + h * s.gradient[d];
  const N unit = inverse_norm<D, N>(k);
  for (int d = 0; d < D; ++d) {
    next[L::x + d] = y[L::x + d] + h * unit * k[d];
    k[d] *= s.value * unit;
  }
}

/// mixed_step and dual_update: the direction turns by (h / n) times the gradient across it.
template <Scheme scheme, class L, int D, class N>
SONORAY_HD SONORAY_INLINE void step_direction(const Medium<D>& medium, N h, N* y, N* next) {
  Sample<D, N> s;
  sample_index<L, 1, D, N>(medium, y + L::x, s);
  integrate_node<L, D, N>(medium, h, s, y, next);
  N t[D], turn[D], ahead[D];
  for (int d = 0; d < D; ++d) t[d] = y[L::k + d];
  if constexpr (scheme == Scheme::dual_update) {
    for (int d = 0; d < D; ++d) t[d] += y[L::kick + d];
    const N unit = inverse_norm<D, N>(t);
    for (int d = 0; d < D; ++d) t[d] *= unit;
  }
  const N along = dot<D, N>(s.gradient, t), scale = h / s.value;
  for (int d = 0; d < D; ++d) turn[d] = scale * (s.gradient[d] - along * t[d]);
  const N share = scheme == Scheme::dual_update ? lanes::same<N>(0.5) : y[L::kick];
  for (int d = 0; d < D; ++d) ahead[d] = t[d] + share * turn[d];
  const N unit = inverse_norm<D, N>(ahead);
  for (int d = 0; d < D; ++d) {
    ahead[d] *= unit;
    next[L::x + d] = y[L::x + d] + h * ahead[d];
    next[L::k + d] = scheme == Scheme::dual_update ? t[d] : ahead[d];
    if constexpr (scheme == Scheme::dual_update) next[L::kick + d] = turn[d];
  }
  if constexpr (scheme == Scheme::mixed_step) next[L::kick] = lanes::same<N>(1.0);
}

/// The state `next` a step h [m] after y. Only rescales y.
template <Scheme scheme, class L, int D, class N>
SONORAY_HD SONORAY_INLINE void advance(const Medium<D>& medium, N h, N* y, N* next) {
  if constexpr (scheme == Scheme::rk4)
    step_rk4<L, D, N>(medium, h, y, next);
  else if constexpr (scheme == Scheme::heun)
    step_heun<L, D, N>(medium, h, y, next);
  else if constexpr (scheme == Scheme::characteristics)
    step_characteristics<L, D, N>(medium, h, y, next);
  else
    step_direction<scheme, L, D, N>(medium, h, y, next);
}

/// The same for Layout<scheme, S, D, plain>.
template <Scheme scheme, int S, int D, class N, bool plain = false>
SONORAY_HD SONORAY_INLINE void advance(const Medium<D>& medium, N h, N* y, N* next) {
  advance<scheme, Layout<scheme, S, D, plain>, D, N>(medium, h, y, next);
}

}  // namespace sonoray::tracing
