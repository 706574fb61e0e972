#pragma once
// The formulas of the eikonal solver, shared by the host's SIMD lanes (V is a vector) and CUDA (V is float).
//
// The unknown v is what is left of the travel time T after a reference has been taken out, so that v is smooth
// where T is not:
//   point source  T = r (s0 + v)        r distance to the source, s0 slowness there; s0 + v is the mean slowness
//   front         T = T0 + p.x + v      p a constant slowness vector
// Along axis i, with "up" the neighbour the wave comes from and lengths along the sweep, r^2 dT/dx_i / r reads
//   a v - b,   a = along + k (1 + w),   b = k (up1 + w (2 up1 - up2)) - slope,   k = scale / h
// with w = 0 (first order) or 1/2 (second order), and
//   point source  scale = r^2, along = d_i, slope = d_i s0   front  scale = 1, along = 0, slope = p_i
// so that |grad T| = s becomes sum_i (a_i v - b_i)^2 = scale s^2, free of square roots of distances.
// Factoring after S. Fomel, S. Luo, H. Zhao, Fast sweeping method for the factored eikonal equation,
// J. Comput. Phys. 228, 6440 (2009); upwind choice after H. Zhao, Math. Comp. 74, 603 (2005).

#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/exec.h"

namespace sonoray::eikonal {

/// Value of nodes that no wave has reached; slowness is scaled so that no mean slowness exceeds 1.
constexpr float unreached = 1e4f;

/// Changes of v that count. The first pass only has to find where waves come from; the second one starts above the
/// noise of float and doubles its tolerance up to the largest, which ends flicker where fronts meet.
constexpr float first_tolerance = 1e-5f, second_tolerance = 2e-6f, largest_tolerance = 4e-6f;

/// Squared share of |grad T| below which a wave runs across an axis: either sweep along it may update the node.
constexpr float tie = 1e-8f;

/// Around a point source the rays are taken as straight, in units of the largest spacing.
constexpr double start_reach = 2.25;

/// Square root and absolute value of V; specialised for float here and for vectors where they are used.
template <class V>
struct Math;

template <>
struct Math<float> {
  SONORAY_HD static SONORAY_INLINE float sqrt(float x) { return sqrtf(x); }
  SONORAY_HD static SONORAY_INLINE float abs(float x) { return fabsf(x); }
};

/// Coefficients of one axis: dT/dx is proportional to a v - b.
template <class V>
struct Upwind {
  V a, b;
};

/// Second order, unless the next neighbour is later than the near one (they lie on either side of a kink), is
/// unreached, or differs by more than any wave allows (r |grad u| <= s + u); `bound` is scale s^2.
template <class V>
SONORAY_HD SONORAY_INLINE Upwind<V> second_order(V k, V along, V slope, V up1, V up2, V bound) {
  const V rise = up1 - up2, steep = k * rise;
  const V w = ((steep * steep < bound * 256.0f) & (slope + steep >= 0.0f)) ? V{} + 0.5f : V{};
  return {along + k + k * w, k * (up1 + w * (up1 + rise)) - slope};
}

/// The root v of sum_i max(0, a_i v - b_i)^2 = bound, all a_i > 0: Godunov's choice of the upwind axes in closed
/// form. Axis j counts from v = b_j / a_j on, so it is out if the other axes alone arrive before that.
template <class V>
SONORAY_HD SONORAY_INLINE V godunov(const Upwind<V> (&axis)[2], V bound) {
  const V zero{};
  V a0 = axis[0].a, a1 = axis[1].a, b0 = axis[0].b, b1 = axis[1].b;
  V cross = a0 * b1 - a1 * b0;
  const V order = cross * Math<V>::abs(cross);
  const auto out1 = order >= bound * a1 * a1, out0 = -order >= bound * a0 * a0;
  a0 = out0 ? zero : a0, b0 = out0 ? zero : b0;
  a1 = out1 ? zero : a1, b1 = out1 ? zero : b1;
  cross = (out0 | out1) ? zero : cross;
  const V aa = a0 * a0 + a1 * a1;
  const V root = aa * bound - cross * cross;
  const V part = 1.0f / aa;
  return (a0 * b0 + a1 * b1 + Math<V>::sqrt(root > zero ? root : zero)) * part;
}

template <class V>
SONORAY_HD SONORAY_INLINE V godunov(const Upwind<V> (&axis)[3], V bound) {
  const V zero{};
  V a0 = axis[0].a, a1 = axis[1].a, a2 = axis[2].a, b0 = axis[0].b, b1 = axis[1].b, b2 = axis[2].b;
  V c01 = a0 * b1 - a1 * b0, c02 = a0 * b2 - a2 * b0, c12 = a1 * b2 - a2 * b1;
  V q01 = c01 * c01, q02 = c02 * c02, q12 = c12 * c12;
  // The last of three axes, if the other two arrive first.
  auto out2 = (c02 > 0.0f) & (c12 > 0.0f) & (q02 + q12 >= bound * a2 * a2);
  auto out1 = (c01 > 0.0f) & (c12 <= 0.0f) & (q01 + q12 >= bound * a1 * a1);
  auto out0 = (c01 <= 0.0f) & (c02 <= 0.0f) & (q01 + q02 >= bound * a0 * a0);
  const auto only01 = out2, only02 = out1, only12 = out0;
  // Then the later one of the remaining pair, if the other arrives first.
  out0 = out0 | (only01 & (c01 < 0.0f) & (q01 >= bound * a0 * a0)) | (only02 & (c02 < 0.0f) & (q02 >= bound * a0 * a0));
  out1 = out1 | (only01 & (c01 > 0.0f) & (q01 >= bound * a1 * a1)) | (only12 & (c12 < 0.0f) & (q12 >= bound * a1 * a1));
  out2 = out2 | (only02 & (c02 > 0.0f) & (q02 >= bound * a2 * a2)) | (only12 & (c12 > 0.0f) & (q12 >= bound * a2 * a2));
  a0 = out0 ? zero : a0, b0 = out0 ? zero : b0;
  a1 = out1 ? zero : a1, b1 = out1 ? zero : b1;
  a2 = out2 ? zero : a2, b2 = out2 ? zero : b2;
  q01 = (out0 | out1) ? zero : q01, q02 = (out0 | out2) ? zero : q02, q12 = (out1 | out2) ? zero : q12;
  const V aa = a0 * a0 + a1 * a1 + a2 * a2;
  const V root = aa * bound - (q01 + q02 + q12);
  const V part = 1.0f / aa;
  return (a0 * b0 + a1 * b1 + a2 * b2 + Math<V>::sqrt(root > zero ? root : zero)) * part;
}

/// Proportional to the derivative of T along this axis of the sweep, by the central difference; positive where
/// the wave comes from "up".
template <class V>
SONORAY_HD SONORAY_INLINE V central(V k, V slope, V up, V down) {
  return slope + k * 0.5f * (down - up);
}

/// What is less is not passed on, in units of the largest cotangent or relative change of the slowness. Below a source
/// the factored scheme makes nodes on either side of the vertical depend on each other a little (h / 2 z), and so do
/// those where fronts meet: what they pass back and forth fades but does not end.
constexpr float negligible_change = 3e-7f, negligible_rest = 1e-8f;

/// The scheme linearised at a node: the change of v is the sum over the axes of near_i times that of up1 and far_i
/// times that of up2, plus `own` times the relative change of the slowness and `source` times the change of s0.
template <int D, class V>
struct Tangent {
  V near[D], far[D], own, source;
};

/// `axis` relative to v (the value itself being 0), so that minus b is what the axis contributes to |grad T|; axes that
/// contribute nothing, or across which the wave runs, are out. sum_i (a_i v - b_i)^2 stands in for scale s^2, which it
/// equals where the sweeps have converged: the derivative along s itself is then v + s0 exactly.
template <int D, class V, class M>
SONORAY_HD SONORAY_INLINE Tangent<D, V> linearise(const Upwind<V> (&axis)[D], const V (&k)[D], const V (&along)[D],
                                                  const M (&in)[D]) {
  const V zero{};
  V share[D], sum = zero, squares = zero, source = zero;
  for (int i = 0; i < D; ++i) {
    share[i] = (in[i] & (axis[i].b < 0.0f)) ? -axis[i].b : zero;
    sum += share[i] * axis[i].a;
    squares += share[i] * share[i];
    source += share[i] * along[i];
  }
  const V part = sum > zero ? 1.0f / sum : zero;
  Tangent<D, V> t;
  for (int i = 0; i < D; ++i) {
    const V p = share[i] * part;
    t.far[i] = p * (along[i] + k[i] - axis[i].a);
    t.near[i] = p * k[i] - 2.0f * t.far[i];
  }
  t.own = squares * part;
  t.source = -source * part;
  return t;
}

/// A value that the solver keeps has an odd last bit; all others are rounded to the nearest with an even one (to
/// either side in turn: a bias would add up along the ray).
SONORAY_HD SONORAY_INLINE std::int32_t bits_of(float v) {
  std::int32_t bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}
SONORAY_HD SONORAY_INLINE float of_bits(std::int32_t bits) {
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}
SONORAY_HD SONORAY_INLINE float given(float v) { return of_bits(bits_of(v) | 1); }
SONORAY_HD SONORAY_INLINE float not_given(float v) { return of_bits((bits_of(v) + (bits_of(v) >> 1 & 1)) & ~1); }
SONORAY_HD SONORAY_INLINE bool is_given(float v) { return bits_of(v) & 1; }

}  // namespace sonoray::eikonal
